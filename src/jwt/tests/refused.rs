//! Keys for which nothing at all is loaded.

use super::*;

/// As a key of a set, and named by itself.
fn refusals(algorithms: &str, key: &Value) -> [String; 2] {
    let in_set = load_keys(home(algorithms), std::slice::from_ref(key));
    let mut settings = home(algorithms);
    settings.keys.push(named(jwk(key)));
    let in_set = in_set.err().unwrap_or_default();
    let by_itself = load(settings).err().unwrap_or_default();
    [
        in_set.replace("issuer home: keys.json: key 1: ", ""),
        by_itself.replace("issuer home: auth.toml, line 7: ", ""),
    ]
}

fn check(table: &[(&str, Value, &str)]) {
    for (algorithms, key, reason) in table {
        assert_eq!(refusals(algorithms, key), [*reason; 2], "{key}");
    }
}

/// A modulus of ones, with the last byte given.
fn modulus(bits: usize, last: u8) -> Value {
    let mut bytes = vec![0xff; bits.div_ceil(8)];
    if !bits.is_multiple_of(8) {
        bytes[0] = (1 << (bits % 8)) - 1;
    }
    *bytes.last_mut().unwrap() = last;
    with(rsa(), json!({"n": base64(&bytes)}))
}

fn exponent(bytes: &[u8]) -> Value {
    with(rsa(), json!({"e": base64(bytes)}))
}

#[test]
fn weak_rsa_keys() {
    let size = |bits| format!("RSA modulus of {bits} bits, 2048 to 8192 are accepted");
    for bits in [8, 1024, 2047, 8193, 16384] {
        check(&[("RS256", modulus(bits, 0xff), &size(bits))]);
    }
    for bits in [2048, 2049, 8191, 8192] {
        assert_eq!(refusals("PS512", &modulus(bits, 0xff)), ["", ""], "{bits}");
    }
    // Zeros in front make no key longer.
    let padded = [vec![0; 200], vec![0xff; 128]].concat();
    check(&[
        (
            "RS256",
            with(rsa(), json!({"n": base64(&padded)})),
            &size(1024),
        ),
        ("RS256", with(rsa(), json!({"n": "AAAA"})), &size(0)),
        ("RS256", with(rsa(), json!({"n": ""})), &size(0)),
        ("RS256", modulus(2048, 0xfe), "RSA modulus is even"),
    ]);
    let weak: [&[u8]; 9] = [
        &[],
        &[0],
        &[1],
        &[3],
        &[17],
        &[0xff, 0xff],
        &[1, 0, 0],
        &[1, 0, 2],
        &[2, 0, 0, 0, 1],
    ];
    for weak in weak {
        let reason = "RSA exponent is even, below 65537 or over 33 bits";
        check(&[("RS256", exponent(weak), reason)]);
    }
    for good in [
        &[1, 0, 1][..],
        &[0, 1, 0, 1],
        &[1, 0, 3],
        &[1, 0xff, 0xff, 0xff, 0xff],
    ] {
        assert_eq!(refusals("RS256", &exponent(good)), ["", ""], "{good:?}");
    }
}

#[test]
fn points_that_are_none() {
    let x31 = base64(&[7; 31]);
    check(&[
        (
            "ES256",
            with(p256(), json!({"x": x31})),
            "x has 31 bytes, 32 are needed",
        ),
        (
            "ES256",
            with(p256(), json!({"y": base64(&[7; 33])})),
            "y has 33 bytes, 32 are needed",
        ),
        (
            "ES384",
            with(p256(), json!({"crv": "P-384"})),
            "x has 32 bytes, 48 are needed",
        ),
        (
            "ES256",
            with(p256(), json!({"y": p256()["x"]})),
            "the point is not on the curve P-256",
        ),
        (
            "ES256",
            with(
                p256(),
                json!({"x": base64(&[0; 32]), "y": base64(&[0; 32])}),
            ),
            "the point is not on the curve P-256",
        ),
        (
            "ES384",
            json!({"kty": "EC", "crv": "P-384", "x": base64(&[7; 48]), "y": base64(&[7; 48])}),
            "the point is not on the curve P-384",
        ),
        (
            "EdDSA",
            with(ed25519(), json!({"x": x31})),
            "x has 31 bytes, 32 are needed",
        ),
    ]);
}

#[test]
fn ed25519_points_that_anybody_can_sign_for() {
    let small = "the Ed25519 point is of small order: anybody can sign for it";
    let not_canonical = "the Ed25519 point is not in its canonical form";
    let table = [
        (
            "0000000000000000000000000000000000000000000000000000000000000000",
            small,
        ),
        (
            "0100000000000000000000000000000000000000000000000000000000000000",
            small,
        ),
        (
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            small,
        ),
        (
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            small,
        ),
        (
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
            small,
        ),
        (
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            not_canonical,
        ),
        (
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            not_canonical,
        ),
        (
            "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            not_canonical,
        ),
    ];
    for (hex, reason) in table {
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let mut y: Vec<u8> = (0..64).step_by(2).map(byte).collect();
        for sign in [0, 0x80] {
            y[31] = y[31] & 0x7f | sign;
            let key = with(ed25519(), json!({"x": base64(&y)}));
            check(&[("EdDSA", key, reason)]);
        }
    }
}

#[test]
fn short_secrets() {
    let short = "shared secret of 248 bits, HS256 needs 256 at least";
    check(&[
        ("HS256", oct(31), short),
        (
            "HS384",
            oct(47),
            "shared secret of 376 bits, HS384 needs 384 at least",
        ),
        (
            "HS512",
            oct(63),
            "shared secret of 504 bits, HS512 needs 512 at least",
        ),
        (
            "HS256",
            oct(0),
            "shared secret of 0 bits, HS256 needs 256 at least",
        ),
    ]);
    for (name, bytes) in [("HS256", 32), ("HS384", 48), ("HS512", 64), ("HS256", 500)] {
        assert_eq!(refusals(name, &oct(bytes)), ["", ""], "{name}");
    }
}

#[test]
fn private_keys_of_every_kind() {
    let reason = "this is a private key: put the public key here instead";
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth"] {
        let d = json!({member: "AQAB"});
        check(&[
            ("RS256", with(rsa(), d.clone()), reason),
            ("ES256", with(p256(), json!({member: null})), reason),
            // It comes before all that would skip a key.
            ("EdDSA", with(rsa(), d.clone()), reason),
            ("RS256", with(json!({"kty": "X"}), d.clone()), reason),
            ("RS256", with(json!({"use": "enc", "kid": 1}), d), reason),
        ]);
    }
}

#[test]
fn keys_that_do_not_fit_the_algorithm_or_the_issuer() {
    check(&[
        (
            "ES256 RS256",
            with(rsa(), json!({"alg": "ES256"})),
            "ES256 does not fit an RSA key",
        ),
        (
            "RS256",
            with(p256(), json!({"alg": "ES384"})),
            "ES384 does not fit a P-256 key",
        ),
        (
            "RS256",
            with(ed25519(), json!({"alg": "HS256"})),
            "HS256 does not fit an Ed25519 key",
        ),
        (
            "RS256",
            oct(64),
            "a shared secret needs allow_symmetric = true",
        ),
        (
            "RS256",
            with(oct(64), json!({"alg": "HS256"})),
            "a shared secret needs allow_symmetric = true",
        ),
        (
            "HS256",
            rsa(),
            "allow_symmetric = true is for shared secrets only, and this is an RSA key",
        ),
        (
            "RS256 PS256",
            rsa(),
            "several of the algorithms fit, say which one: alg",
        ),
        (
            "HS256 HS512",
            oct(64),
            "several of the algorithms fit, say which one: alg",
        ),
    ]);
}

#[test]
fn malformed_members() {
    let table = [
        (without(rsa(), "kty"), "kty is missing"),
        (without(rsa(), "n"), "n is missing"),
        (without(rsa(), "e"), "e is missing"),
        (without(p256(), "crv"), "crv is missing"),
        (without(p256(), "x"), "x is missing"),
        (without(p256(), "y"), "y is missing"),
        (without(ed25519(), "crv"), "crv is missing"),
        (without(ed25519(), "x"), "x is missing"),
        (with(rsa(), json!({"kty": 1})), "kty is not a string"),
        (with(rsa(), json!({"n": [N]})), "n is not a string"),
        (with(rsa(), json!({"e": 65537})), "e is not a string"),
        (with(rsa(), json!({"use": null})), "use is not a string"),
        (with(rsa(), json!({"alg": null})), "alg is not a string"),
        (with(rsa(), json!({"kid": 7})), "kid is not a string"),
        (
            with(rsa(), json!({"key_ops": "verify"})),
            "key_ops is not an array of strings",
        ),
        (
            with(rsa(), json!({"key_ops": ["verify", 1]})),
            "key_ops is not an array of strings",
        ),
        (
            with(rsa(), json!({"e": "AQAB="})),
            "e is not base64url without padding",
        ),
        (
            with(rsa(), json!({"e": "AQ AB"})),
            "e is not base64url without padding",
        ),
        (
            with(rsa(), json!({"e": "AQ+/"})),
            "e is not base64url without padding",
        ),
        // Bits that are left over must be zero, or one key had two spellings.
        (
            with(rsa(), json!({"e": "AQABAR"})),
            "e is not base64url without padding",
        ),
        (
            with(rsa(), json!({"n": format!("{N}\n")})),
            "n is not base64url without padding",
        ),
        (json!({}), "kty is missing"),
    ];
    for (key, reason) in table {
        check(&[("RS256 ES256 EdDSA", key, reason)]);
    }
    check(&[
        ("HS256", json!({"kty": "oct"}), "k is missing"),
        (
            "HS256",
            json!({"kty": "oct", "k": "="}),
            "k is not base64url without padding",
        ),
    ]);
    for kid in ["", "a\u{0}", "a\nb", "\u{85}", &"a".repeat(256)] {
        let key = with(rsa(), json!({"kid": kid}));
        let reason = "kid must have 1 to 255 bytes and no control characters";
        check(&[("RS256", key, reason)]);
    }
}

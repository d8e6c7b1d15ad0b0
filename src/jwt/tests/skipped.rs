//! Keys of a set that are not for us, which are errors where they are named by themselves.

use super::*;

#[test]
fn what_is_not_for_us_is_skipped_in_a_set_and_refused_by_itself() {
    let long = "x".repeat(60);
    let table = [
        (
            with(rsa(), json!({"kty": "AKP"})),
            r#"kty is "AKP", not RSA, EC, OKP or oct"#.into(),
        ),
        (
            with(rsa(), json!({"kty": long})),
            format!("kty is {:?}, not RSA, EC, OKP or oct", &long[..40]),
        ),
        (
            with(rsa(), json!({"kty": "\u{1b}[2J\n\u{202e}"})),
            r#"kty is "\u{1b}[2J\n\u{202e}", not RSA, EC, OKP or oct"#.into(),
        ),
        (
            crv("EC", "P-521"),
            r#"crv is "P-521", not P-256 or P-384 (EC) or Ed25519 (OKP)"#.into(),
        ),
        (
            crv("EC", "secp256k1"),
            r#"crv is "secp256k1", not P-256 or P-384 (EC) or Ed25519 (OKP)"#.into(),
        ),
        (
            crv("EC", "Ed25519"),
            r#"crv is "Ed25519", not P-256 or P-384 (EC) or Ed25519 (OKP)"#.into(),
        ),
        (
            crv("OKP", "P-256"),
            r#"crv is "P-256", not P-256 or P-384 (EC) or Ed25519 (OKP)"#.into(),
        ),
        (
            crv("OKP", "Ed448"),
            r#"crv is "Ed448", not P-256 or P-384 (EC) or Ed25519 (OKP)"#.into(),
        ),
        (
            crv("OKP", "X25519"),
            r#"crv is "X25519", not P-256 or P-384 (EC) or Ed25519 (OKP)"#.into(),
        ),
        (
            with(rsa(), json!({"use": "enc"})),
            r#"use is "enc", not "sig""#.into(),
        ),
        // What is skipped need not be well-formed.
        (
            json!({"kty": "RSA", "use": "enc", "kid": 1}),
            r#"use is "enc", not "sig""#.into(),
        ),
        (
            json!({"kty": "oct", "use": "enc"}),
            r#"use is "enc", not "sig""#.into(),
        ),
        (
            with(rsa(), json!({"key_ops": []})),
            r#"key_ops is without "verify""#.into(),
        ),
        (
            with(rsa(), json!({"key_ops": ["sign"]})),
            r#"key_ops is without "verify""#.into(),
        ),
        (
            with(rsa(), json!({"alg": "RSA-OAEP"})),
            r#"alg is "RSA-OAEP": no such signature algorithm"#.into(),
        ),
        (
            with(rsa(), json!({"alg": "rs256"})),
            r#"alg is "rs256": no such signature algorithm"#.into(),
        ),
        (
            with(rsa(), json!({"alg": "none"})),
            r#"alg is "none": `none` is never accepted"#.into(),
        ),
        (
            with(rsa(), json!({"alg": "RS384"})),
            "RS384 is not among the issuer's algorithms".into(),
        ),
        (
            p256(),
            "none of the issuer's algorithms fits a P-256 key".into(),
        ),
        (
            ed25519(),
            "none of the issuer's algorithms fits an Ed25519 key".into(),
        ),
    ];
    for (key, reason) in table {
        let good = with(rsa(), json!({"kid": "good"}));
        let loaded = load_keys(home("RS256"), &[good, key.clone()]).unwrap();
        let warning = format!("issuer home: keys.json: key 2: skipped: {reason}");
        assert_eq!(loaded.warnings, [warning], "{key}");
        assert_eq!(only(&loaded).keys.len(), 1, "{key}");

        let mut settings = home("RS256");
        settings.keys.push(named(jwk(&key)));
        let fault = format!("issuer home: auth.toml, line 7: {reason}");
        assert_eq!(load(settings).err(), Some(fault), "{key}");

        let fault =
            format!("issuer home: keys.json: key 1: skipped: {reason}; no usable key is left");
        assert_eq!(load_keys(home("RS256"), &[key]).err(), Some(fault));
    }
}

#[test]
fn a_warning_names_the_key_and_stays_one_line() {
    let key = |kid: &str| with(rsa(), json!({"kid": kid, "use": "enc"}));
    let keys = [key("a1"), rsa(), key("\"\u{202e}é"), key("a\nb")];
    let loaded = load_keys(home("RS256"), &keys).unwrap();
    let reason = r#"skipped: use is "enc", not "sig""#;
    assert_eq!(
        loaded.warnings,
        [
            format!(r#"issuer home: keys.json: key 1 (kid "a1"): {reason}"#),
            format!(r#"issuer home: keys.json: key 3 (kid "\"\u{{202e}}é"): {reason}"#),
            format!("issuer home: keys.json: key 4: {reason}"),
        ]
    );
}

fn crv(kty: &str, crv: &str) -> Value {
    json!({"kty": kty, "crv": crv, "x": "AA", "y": "AA"})
}

//! Good keys: what is known of them afterwards.

use super::*;

#[test]
fn thumbprints_are_those_of_the_rfcs() {
    // RFC 7638 §3.1 and RFC 8037 A.3.
    let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc\
        _BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW\
        2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6\
        WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    let of_rfc = json!({"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"});
    let loaded = load_keys(home("RS256 EdDSA"), &[of_rfc, ed25519()]).unwrap();
    let keys = &only(&loaded).keys;
    assert_eq!(
        keys[0].thumbprint.as_deref(),
        Some("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")
    );
    assert_eq!(
        keys[1].thumbprint.as_deref(),
        Some("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")
    );
    assert_eq!(keys[0].kid.as_deref(), Some("2011-04-29"));
    assert_eq!((keys[0].bits, keys[1].bits), (2048, 256));
}

#[test]
fn zeros_in_front_of_rsa_numbers_change_nothing() {
    let n = URL_SAFE_NO_PAD.decode(N).unwrap();
    let padded = json!({
        "n": base64(&[vec![0, 0], n].concat()),
        "e": base64(&[0, 1, 0, 1]),
    });
    let loaded = load_keys(home("RS256"), &[rsa(), with(rsa(), padded)]).unwrap();
    let keys = &only(&loaded).keys;
    assert_eq!(keys[0].thumbprint, keys[1].thumbprint);
    assert_eq!(keys[1].bits, 2048);
}

#[test]
fn a_key_is_pinned_to_one_algorithm() {
    // The issuer's algorithms, the key, and what it is pinned to.
    let table = [
        ("RS256", rsa(), "RS256"),
        ("PS512 ES256 EdDSA", rsa(), "PS512"),
        // Twice the same is one.
        ("RS256 RS256", rsa(), "RS256"),
        (
            "RS256 RS384 PS256",
            with(rsa(), json!({"alg": "RS384"})),
            "RS384",
        ),
        ("RS256 ES256 ES384", p256(), "ES256"),
        ("RS256 EdDSA", ed25519(), "EdDSA"),
        ("HS512", oct(64), "HS512"),
        (
            "HS256 HS512",
            with(oct(64), json!({"alg": "HS256"})),
            "HS256",
        ),
        (
            "RS256",
            with(
                rsa(),
                json!({"use": "sig", "key_ops": ["verify"], "ext": true}),
            ),
            "RS256",
        ),
    ];
    for (algorithms, key, pinned) in table {
        let loaded = load_keys(home(algorithms), std::slice::from_ref(&key)).unwrap();
        assert_eq!(only(&loaded).keys[0].algorithm.as_str(), pinned, "{key}");
        assert!(loaded.warnings.is_empty());
    }
}

#[test]
fn no_thumbprint_of_a_secret_is_known() {
    let loaded = load_keys(home("HS256"), &[oct(40)]).unwrap();
    let key = &only(&loaded).keys[0];
    assert_eq!((key.bits, key.thumbprint.as_ref()), (320, None));
}

#[test]
fn what_stands_beside_a_named_key_must_agree_with_it() {
    let id = |kid: &str| with(rsa(), json!({"kid": kid}));
    let alg = |alg: &str| with(rsa(), json!({"alg": alg}));
    let kid_rule = "kid must have 1 to 255 bytes and no control characters";
    // The key, kid and algorithm beside it, and what comes of it.
    let table = [
        (rsa(), None, Some("PS256"), Ok((None, "PS256"))),
        (alg("PS256"), None, None, Ok((None, "PS256"))),
        (alg("PS256"), None, Some("PS256"), Ok((None, "PS256"))),
        (
            alg("PS256"),
            None,
            Some("RS256"),
            Err("the JWK's alg is PS256, not RS256"),
        ),
        (
            rsa(),
            None,
            Some("ES256"),
            Err("ES256 does not fit an RSA key"),
        ),
        (
            rsa(),
            None,
            Some("RS512"),
            Err("RS512 is not among the issuer's algorithms"),
        ),
        (alg("RS256"), Some("a"), None, Ok((Some("a"), "RS256"))),
        (id("a"), None, Some("RS256"), Ok((Some("a"), "RS256"))),
        (id("a"), Some("a"), Some("RS256"), Ok((Some("a"), "RS256"))),
        (
            id("a"),
            Some("b\u{202e}"),
            Some("RS256"),
            Err(r#"the JWK's kid is "a", not "b\u{202e}""#),
        ),
        (rsa(), Some(""), Some("RS256"), Err(kid_rule)),
    ];
    for (key, kid, algorithm, outcome) in table {
        let mut settings = home("RS256 PS256 ES256");
        let mut key = named(jwk(&key));
        key.kid = kid.map(Into::into);
        key.algorithm = algorithm.map(|name| Algorithm::parse(name).unwrap());
        settings.keys.push(key);
        let loaded = load(settings);
        let read = match &loaded {
            Ok(loaded) => {
                let key = &only(loaded).keys[0];
                Ok((key.kid.as_deref(), key.algorithm.as_str()))
            }
            Err(fault) => Err(fault.trim_start_matches("issuer home: auth.toml, line 7: ")),
        };
        assert_eq!(read, outcome);
    }
}

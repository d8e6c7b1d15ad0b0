//! Keys and algorithms that a token would rather choose itself, signatures that are none, and
//! issuers that are taken for each other.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::support::{
    Idp, PASSES, Server, SigningKey, Tokens, base64url, eventually, hmac_of, judge_and_stop,
    start_with_issuers, talkative,
};

const ALGORITHM: &str = "JWT algorithm not accepted";
const NOT_THE_KEYS: &str = "JWT algorithm is not the key's";
const KEY: &str = "unknown key";
const SIGNATURE: &str = "bad signature";

/// x and y of an EC key.
fn coordinates(jwk: &Value) -> Vec<u8> {
    let decode = |name: &str| {
        let text = jwk[name].as_str().unwrap();
        URL_SAFE_NO_PAD.decode(text).unwrap()
    };
    [decode("x"), decode("y")].concat()
}

/// Everything that somebody may take for the bytes of a public P-256 key.
fn public_bytes(key: &SigningKey) -> Vec<Vec<u8>> {
    const SPKI: [u8; 26] = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
        0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
    ];
    let jwk = key.jwk();
    let bare = coordinates(&jwk);
    let point = [vec![4], bare.clone()].concat();
    let der = [SPKI.to_vec(), point.clone()].concat();
    let text = STANDARD.encode(&der);
    let (one, two) = text.split_at(64);
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{one}\n{two}\n-----END PUBLIC KEY-----");
    vec![
        jwk.to_string().into_bytes(),
        bare[..32].to_vec(),
        bare,
        point,
        der,
        format!("{pem}\n").into_bytes(),
        pem.into_bytes(),
        Vec::new(),
        vec![0; 32],
    ]
}

#[test]
fn no_token_chooses_its_algorithm_or_brings_its_key() {
    let home = Idp::new("home", "ES256");
    let mut t = Tokens::of(&home);
    let claims = t.claims(json!({}));

    t.header_text(r#"{"typ":"JWT","kid":"home-1"}"#, ALGORITHM);
    for alg in [
        json!(1),
        json!(null),
        json!(["ES256"]),
        json!({"ES256": 1}),
        json!(true),
    ] {
        t.with_header(json!({ "alg": alg }), ALGORITHM);
    }
    for alg in [
        "", "none", "None", "NONE", "nOnE", "none ", "es256", "Es256", "ES256 ", " ES256",
        "ES256\0", "ES512", "ES256K", "ES25", "EdDsa", "ed25519", "HS1", "RSA-OAEP", "dir",
    ] {
        t.with_header(json!({ "alg": alg }), ALGORITHM);
        let message = format!(
            "{}.{}",
            base64url(t.header(json!({ "alg": alg }))),
            base64url(&claims)
        );
        t.token(format!("{message}."), ALGORITHM);
    }
    for alg in [
        "RS256", "PS256", "ES384", "EdDSA", "Ed25519", "HS256", "HS512",
    ] {
        t.with_header(json!({ "alg": alg }), NOT_THE_KEYS);
        t.header_text(&json!({ "alg": alg }).to_string(), KEY);
    }
    for secret in public_bytes(&home.key) {
        for alg in ["HS256", "HS384", "HS512"] {
            for (header, reason) in [
                (t.header(json!({ "alg": alg })), NOT_THE_KEYS),
                (json!({"typ": "JWT", "alg": alg}).to_string(), KEY),
            ] {
                let message = format!("{}.{}", base64url(header), base64url(&claims));
                let tag = hmac_of(alg, &secret, message.as_bytes());
                t.token(format!("{message}.{}", base64url(tag)), reason);
            }
        }
    }

    let own = SigningKey::new("home-1", "ES256");
    let parameters = [
        ("crit", json!(["exp"])),
        ("crit", json!(["b64"])),
        ("crit", json!([])),
        ("crit", json!(null)),
        ("jwk", own.jwk()),
        ("jwk", home.key.jwk()),
        ("jwk", json!(null)),
        ("jku", json!("https://home.home.arpa/keys")),
        ("x5u", json!("file:///dev/zero")),
        ("x5c", json!(["MIIB"])),
        ("x5c", json!([])),
        ("zip", json!("DEF")),
        ("cty", json!("JWT")),
        ("cty", json!("")),
    ];
    for (name, value) in parameters {
        let reason = match name {
            "crit" => "JWT header parameter crit not accepted",
            "jwk" => "JWT header parameter jwk not accepted",
            "jku" => "JWT header parameter jku not accepted",
            "x5u" => "JWT header parameter x5u not accepted",
            "x5c" => "JWT header parameter x5c not accepted",
            "zip" => "JWT header parameter zip not accepted",
            _ => "JWT header parameter cty not accepted",
        };
        t.with_header(json!({ name: value }), reason);
        t.token(own.sign(&t.header(json!({ name: value })), &claims), reason);
    }
    judge_and_stop(talkative(&[&home]), t);
}

#[test]
fn a_token_without_a_kid_gets_the_only_key_of_its_algorithm() {
    let home = Idp::new("home", "ES256");
    let mut mixed = Idp::new("mixed", "ES256");
    mixed.settings = "algorithms = [\"ES256\", \"EdDSA\"]\n".to_owned();
    let (second, alone) = (
        SigningKey::new("mixed-2", "ES256"),
        SigningKey::new("mixed-3", "EdDSA"),
    );
    let server = talkative(&[&home, &mixed]);
    server.invite("ann-mixed", "mixed", "user");
    mixed.write_jwks(
        server.folder.path(),
        &[mixed.key.jwk(), second.jwk(), alone.jwk()],
    );
    eventually("the three keys are in force", || {
        let header = alone.header().to_string();
        let token = alone.sign(&header, &mixed.claims("ann-mixed", json!({})).to_string());
        let answer = server.bearer(&token).get("/api/users/current");
        (answer.status == 200).then_some(())
    });

    let mut t = Tokens::of(&home);
    t.header_text(r#"{"alg":"ES256"}"#, PASSES);
    for kid in [
        "",
        "home-2",
        "HOME-1",
        "home-1 ",
        "home",
        "mixed-1",
        "../home-1",
        "' OR 1=1 --",
    ] {
        t.with_header(json!({ "kid": kid }), KEY);
    }
    t.judge(&server);

    let mut t = Tokens::of(&mixed);
    t.user = "ann-mixed";
    let claims = t.claims(json!({}));
    for (key, without_kid) in [(&mixed.key, KEY), (&second, KEY), (&alone, PASSES)] {
        t.token(key.sign(&key.header().to_string(), &claims), PASSES);
        let bare = json!({"alg": key.algorithm}).to_string();
        t.token(key.sign(&bare, &claims), without_kid);
        let empty = json!({"alg": key.algorithm, "kid": ""}).to_string();
        t.token(key.sign(&empty, &claims), KEY);
    }
    // Another key of the issuer than the one that is named.
    t.token(second.sign(&t.header(json!({})), &claims), SIGNATURE);
    t.token(
        alone.sign(&t.header(json!({"alg": "EdDSA"})), &claims),
        NOT_THE_KEYS,
    );
    judge_and_stop(server, t);
}

#[test]
fn a_signature_is_the_keys_over_these_very_bytes() {
    let home = Idp::new("home", "ES256");
    let mut t = Tokens::of(&home);
    let token = home.jwt("ann");
    let (message, _) = token.rsplit_once('.').unwrap();
    let signature = home.key.signature("ES256", message.as_bytes());
    let with = |signature: &[u8]| format!("{message}.{}", base64url(signature));
    t.token(with(&signature), PASSES);

    // CVE-2022-21449, and what else is no number between 1 and the order of the group.
    let order = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let (r, s) = signature.split_at(32);
    let other = home.key.signature("ES256", b"e30.e30");
    let foreign = SigningKey::new("home-1", "ES256").signature("ES256", message.as_bytes());
    let text = String::from_utf8_lossy(&signature).into_owned();
    for wrong in [
        Vec::new(),
        vec![0; 64],
        vec![0xff; 64],
        vec![0; 32],
        vec![0; 96],
        [&[0; 32], s].concat(),
        [r, &[0; 32]].concat(),
        [&order[..], s].concat(),
        [r, &order].concat(),
        [order, order].concat(),
        [s, r].concat(),
        // r and s zero, and one, as DER.
        vec![0x30, 6, 2, 1, 0, 2, 1, 0],
        vec![0x30, 6, 2, 1, 1, 2, 1, 1],
        signature[..63].to_vec(),
        signature[1..].to_vec(),
        r.to_vec(),
        [&signature[..], &[0]].concat(),
        [&[0], &signature[..]].concat(),
        [&signature[..], &signature[..]].concat(),
        text.into_bytes(),
        other,
        foreign,
    ] {
        t.token(with(&wrong), SIGNATURE);
    }
    // Parts of two tokens that pass both.
    let second = home
        .key
        .sign(&t.header(json!({"p": 1})), &t.claims(json!({"jti": "2"})));
    t.token(&second, PASSES);
    let [one, two] = [&token, &second].map(|token| token.split('.').collect::<Vec<_>>());
    for parts in [
        [two[0], one[1], one[2]],
        [one[0], two[1], one[2]],
        [one[0], one[1], two[2]],
        [two[0], two[1], one[2]],
    ] {
        t.token(parts.join("."), SIGNATURE);
    }
    judge_and_stop(talkative(&[&home]), t);
}

/// A server with two issuers, and `ann` at the first one.
fn two(a: &Idp, b: &Idp) -> Server {
    let server = start_with_issuers(&[a, b]);
    server.invite("ann", &a.name, "admin");
    server
}

#[track_caller]
fn reason(server: &Server, token: &str) -> String {
    let answer = server.bearer(token).get("/api/users/current");
    answer.refused(401)
}

#[test]
fn a_key_speaks_for_its_own_issuer_only() {
    let a = Idp::new("a", "ES256");
    let mut b = Idp::new("b", "ES256");
    b.key.kid = a.key.kid.clone();
    let server = two(&a, &b);
    server.invite("bob", "b", "user");
    server.bearer(&a.jwt("ann")).get("/api/users/current").ok();
    server.bearer(&b.jwt("bob")).get("/api/users/current").ok();
    let posing = a.jwt_with("bob", json!({"iss": b.issuer}));
    assert_eq!(reason(&server, &posing), SIGNATURE);
    let posing = b.jwt_with("ann", json!({"iss": a.issuer}));
    assert_eq!(reason(&server, &posing), SIGNATURE);

    let b = Idp::new("b", "ES256");
    let server = two(&a, &b);
    let posing = a.jwt_with("bob", json!({"iss": b.issuer}));
    assert_eq!(reason(&server, &posing), KEY);
    let bare = a.key.sign(
        r#"{"alg":"ES256"}"#,
        &b.claims("bob", json!({})).to_string(),
    );
    assert_eq!(reason(&server, &bare), SIGNATURE);
}

#[test]
fn a_user_belongs_to_one_issuer_whatever_another_one_says() {
    for unknown_users in ["reject", "create", "create_pending"] {
        let a = Idp::new("a", "ES256");
        let b = Idp::new("b", "ES256").with(&format!("unknown_users = \"{unknown_users}\""));
        let server = two(&a, &b);
        // Before the first login, after it, and with the key of the other one.
        assert_eq!(reason(&server, &b.jwt("ann")), "unknown user");
        let me = server.bearer(&a.jwt("ann")).get("/api/users/current").ok();
        assert_eq!((&me["id"], &me["idp_id"]), (&json!("ann"), &json!("a")));
        assert_eq!(reason(&server, &b.jwt("ann")), "unknown user");
        b.write_jwks(server.folder.path(), &[a.key.jwk()]);
        let by_the_key_of_both = a.jwt_with("ann", json!({"iss": b.issuer}));
        eventually("both issuers have the same key", || {
            let reason = reason(&server, &by_the_key_of_both);
            (reason == "unknown user").then_some(())
        });
        let me = server.bearer(&a.jwt("ann")).get("/api/users/current").ok();
        assert_eq!(me["idp_id"], "a");
        assert_eq!(me["role"], "admin");
        let users = server.owner.get("/api/users?service_user=false").ok();
        let anns = users
            .as_array()
            .unwrap()
            .iter()
            .filter(|user| user["id"] == "ann");
        assert_eq!(anns.count(), 1);
    }
}

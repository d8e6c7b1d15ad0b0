//! What a JWT must be: its form, its header, its claims, each side of every line that is drawn.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::support::{
    Idp, PASSES, SigningKey, Tokens, assert_challenge, base64url, judge_and_stop,
    start_with_issuers, talkative,
};

const HEADER: &str = "malformed authorization header";
const PARTS: &str = "malformed JWT: not three parts";
const ENCODING: &str = "malformed JWT: not base64url";
const JWT_HEADER: &str = "malformed JWT header";
const TYPE: &str = "wrong JWT type";
const ALGORITHMS: [&str; 12] = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA", "HS256",
    "HS384", "HS512",
];

#[test]
fn of_every_algorithm_a_good_token_passes_and_a_foreign_signature_does_not() {
    let idps = ALGORITHMS.map(|algorithm| {
        let idp = Idp::new(&algorithm.to_lowercase(), algorithm);
        match algorithm.starts_with("HS") {
            true => idp.with("allow_symmetric = true"),
            false => idp,
        }
    });
    let server = start_with_issuers(&idps.each_ref());
    let foreign_rsa = SigningKey::new("foreign", "RS256");
    for idp in &idps {
        let (name, algorithm) = (&idp.name, idp.key.algorithm);
        let user = format!("ann-{name}");
        server.invite(&user, name, "user");
        let good = idp.jwt(&user);
        let me = server.bearer(&good).get("/api/users/current").ok();
        assert_eq!((&me["id"], &me["idp_id"]), (&json!(user), &json!(name)));

        let (message, _) = good.rsplit_once('.').unwrap();
        let foreign = match algorithm.starts_with(['R', 'P']) {
            true => foreign_rsa.signature(algorithm, message.as_bytes()),
            false => SigningKey::new("x", algorithm).signature(algorithm, message.as_bytes()),
        };
        let forged = server.bearer(&format!("{message}.{}", base64url(foreign)));
        let answer = forged.get("/api/users/current");
        assert_eq!(answer.refused(401), "bad signature", "{algorithm}");
        assert_challenge(&answer, "bad signature");

        // The key is for one algorithm, also where it could do another.
        for other in ALGORITHMS.into_iter().filter(|other| *other != algorithm) {
            let header = json!({"alg": other, "kid": idp.key.kid}).to_string();
            let payload = idp.claims(&user, json!({})).to_string();
            let message = format!("{}.{}", base64url(header), base64url(payload));
            let both = |letters: &[char]| [algorithm, other].iter().all(|a| a.starts_with(letters));
            let able = both(&['R', 'P']) || both(&['H']);
            let by = if able { other } else { algorithm };
            let signature = idp.key.signature(by, message.as_bytes());
            let token = format!("{message}.{}", base64url(signature));
            let answer = server.bearer(&token).get("/api/users/current");
            let reason = "JWT algorithm is not the key's";
            assert_eq!(answer.refused(401), reason, "{algorithm} {other}");
        }
    }
}

/// With the bits set that no byte has.
fn stray(part: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    assert_ne!(part.len() % 4, 0, "it has no such bits");
    let (rest, last) = part.split_at(part.len() - 1);
    let place = ALPHABET.find(last).unwrap();
    format!("{rest}{}", &ALPHABET[place + 1..place + 2])
}

#[test]
fn a_jwt_is_three_parts_of_canonical_base64url_of_at_most_8_kib() {
    let home = Idp::new("home", "ES256");
    let mut t = Tokens::of(&home);
    for in_header in [true, false] {
        t.token(t.of_length(8192, in_header), PASSES);
        t.token(t.of_length(8193, in_header), "JWT over 8 KiB");
        t.token(t.of_length(15_000, in_header), "JWT over 8 KiB");
    }
    // Parts of which each has bits to spare, and letters that two alphabets spell in two ways.
    let sign = |message: &str| {
        let signature = home.key.signature("ES256", message.as_bytes());
        format!("{message}.{}", base64url(signature))
    };
    let spare = |make: &dyn Fn(String) -> String| {
        let pads = (0..3).map(|pad| format!("{}???>>>ÿÿ", "x".repeat(pad)));
        let mut texts = pads.map(make);
        texts.find(|text| text.len() % 3 != 0).unwrap()
    };
    let header = spare(&|pad| t.header(json!({ "p": pad })));
    let payload = spare(&|pad| t.claims(json!({ "p": pad })));
    let (h, p) = (base64url(&header), base64url(&payload));
    let good = sign(&format!("{h}.{p}"));
    let (_, s) = good.rsplit_once('.').unwrap();
    t.token(&good, PASSES);

    t.token(&h, PARTS);
    t.token(format!("{h}.{p}"), PARTS);
    t.token(format!("{h}..{p}.{s}"), PARTS);
    t.token(format!("{good}."), PARTS);
    t.token(format!("{good}.{s}"), PARTS);
    t.token(format!("{h}.{h}.{h}.{h}.{s}"), PARTS);

    let padded = |text: &str| STANDARD.encode(text).replace('+', "-").replace('/', "_");
    let other = |text: &str| STANDARD.encode(text).replace('=', "");
    for spell in [&padded as &dyn Fn(&str) -> String, &other] {
        assert_ne!((spell(&header), spell(&payload)), (h.clone(), p.clone()));
        t.token(sign(&format!("{}.{p}", spell(&header))), ENCODING);
        t.token(sign(&format!("{h}.{}", spell(&payload))), ENCODING);
    }
    t.token(format!("{good}="), ENCODING);
    t.token(format!("{good}=="), ENCODING);
    t.token(sign(&format!("{}.{p}", stray(&h))), ENCODING);
    t.token(sign(&format!("{h}.{}", stray(&p))), ENCODING);
    t.token(format!("{h}.{p}.{}", stray(s)), ENCODING);
    let mut signed = std::iter::repeat_with(|| sign(&format!("{h}.{p}")));
    let letters = signed.find_map(|token| {
        let (message, s) = token.rsplit_once('.')?;
        let s = s
            .contains(['-', '_'])
            .then(|| s.replace('-', "+").replace('_', "/"))?;
        Some(format!("{message}.{s}"))
    });
    t.token(letters.unwrap(), ENCODING);
    for byte in ["%", "é", "~", "="] {
        t.token(format!("{h}{byte}.{p}.{s}"), ENCODING);
        t.token(format!("{h}.{byte}{p}.{s}"), ENCODING);
        t.token(format!("{h}.{p}.{byte}{s}"), ENCODING);
    }
    for space in [" ", "\t", "  "] {
        t.token(format!("{h}{space}.{p}.{s}"), HEADER);
        t.token(format!("{h}.{p}{space}.{s}"), HEADER);
        t.token(format!("{h}.{p}.{space}{s}"), HEADER);
    }
    judge_and_stop(talkative(&[&home]), t);
}

#[test]
fn a_header_is_one_json_object_without_a_name_twice_and_of_an_accepted_type() {
    let home = Idp::new("home", "ES256");
    let mut t = Tokens::of(&home);
    let good = r#""alg":"ES256","kid":"home-1""#;
    t.header_text(&format!("{{{good}}}"), PASSES);
    for header in [
        format!("{{{good}"),
        format!("{{{good},}}"),
        format!("{{{good}}}x"),
        format!("{{{good}}}{{}}"),
        format!("{{{good},\"typ\"}}"),
        format!("{{{good},\"alg\":\"ES256\"}}"),
        format!("{{\"alg\":\"none\",{good}}}"),
        format!("{{{good},\"\\u0061lg\":\"none\"}}"),
        format!("{{\"\\u006bid\":\"home-1\",{good}}}"),
        format!("{{{good},\"kid\":\"home-1\"}}"),
        format!("{{{good},\"private\":{{\"a\":1,\"a\":1}}}}"),
        format!("{{{good},\"private\":[{{\"a\":1,\"\\u0061\":1}}]}}"),
        format!("{{{good},\"private\":1e400}}"),
        format!("{{{good},\"private\":\"\\ud800\"}}"),
        "{\"alg\"".to_owned(),
    ] {
        t.header_text(&header, JWT_HEADER);
    }
    for kid in [
        json!(1),
        json!(null),
        json!(["home-1"]),
        json!({}),
        json!(true),
    ] {
        t.with_header(json!({ "kid": kid }), JWT_HEADER);
    }
    // What does not begin like an object is taken for no JWT.
    for header in [
        "",
        "[\"ES256\"]",
        "null",
        "\"ES256\"",
        "1",
        "{}",
        " {\"alg\":\"ES256\"}",
    ] {
        t.header_text(header, HEADER);
    }

    for value in [
        json!(null),
        json!({"a": []}),
        json!([1, "a"]),
        json!(1.5),
        json!(true),
        json!(""),
    ] {
        t.with_header(
            json!({"private": value, "x5t": value, "x5t#S256": value}),
            PASSES,
        );
    }
    for typ in [
        "JWT",
        "jwt",
        "at+jwt",
        "AT+JWT",
        "application/at+jwt",
        "Application/JWT",
    ] {
        t.with_header(json!({ "typ": typ }), PASSES);
    }
    for typ in [
        "dpop+jwt",
        "",
        "JWTs",
        "JWT ",
        "text/jwt",
        "application/",
        "application/application/jwt",
    ] {
        t.with_header(json!({ "typ": typ }), TYPE);
    }
    for typ in [json!(1), json!(null), json!(["JWT"]), json!({})] {
        t.with_header(json!({ "typ": typ }), TYPE);
    }
    judge_and_stop(talkative(&[&home]), t);
}

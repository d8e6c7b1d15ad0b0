//! What a JWT must say: whose it is, for whom, and when; each side of every line that is drawn.

use serde_json::{Value, json};

use crate::support::{Idp, PASSES, Tokens, judge_and_stop, now, talkative};

const JWT_PAYLOAD: &str = "malformed JWT payload";
const TYPE: &str = "wrong JWT type";
const ISSUER: &str = "unknown issuer";
const AUDIENCE: &str = "wrong audience";
const EXP: &str = "JWT without a usable exp";
const EXPIRED: &str = "expired token";
const TOO_FAR: &str = "JWT expires too far ahead";
const NBF: &str = "JWT with an unusable nbf";
const EARLY: &str = "not yet valid";
const IAT: &str = "JWT with an unusable iat";
const ISSUED_AHEAD: &str = "JWT issued in the future";
const USER_ID: &str = "JWT without a usable user id";
const STRANGER: &str = "unknown user";
const DAY: i64 = 24 * 60 * 60;

/// Good claims and a text behind them.
fn and(t: &mut Tokens<'_>, more: &str, outcome: &'static str) {
    let claims = t.claims(json!({}));
    let open = claims.strip_suffix('}').unwrap();
    t.signed(&t.header(json!({})), &format!("{open}{more}"), outcome);
}

fn without(t: &mut Tokens<'_>, name: &str, outcome: &'static str) {
    let mut claims: Value = serde_json::from_str(&t.claims(json!({}))).unwrap();
    claims.as_object_mut().unwrap().remove(name).unwrap();
    t.signed(&t.header(json!({})), &claims.to_string(), outcome);
}

#[test]
fn a_payload_is_one_json_object_without_a_name_twice() {
    let home = Idp::new("home", "ES256");
    let mut t = Tokens::of(&home);
    and(&mut t, "}", PASSES);
    and(&mut t, ",\"private\":{\"a\":[null,1.5,{}]}} \r\n\t", PASSES);
    for more in [
        "",
        ",}",
        "}x",
        "}{}",
        ",\"sub\":\"ann\"}",
        ",\"\\u0073ub\":\"ann\"}",
        ",\"iss\":\"https://home.home.arpa\"}",
        ",\"private\":{\"a\":1,\"a\":1}}",
        ",\"private\":[[{\"a\":1,\"\\u0061\":2}]]}",
        ",\"private\":1e400}",
        ",\"private\":NaN}",
        ",\"private\":01}",
        ",\"private\":\"\\ud800\"}",
        ",\"private\":\"\n\"}",
    ] {
        and(&mut t, more, JWT_PAYLOAD);
    }
    let header = t.header(json!({}));
    let array = format!("[{}]", t.claims(json!({})));
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(300), "]".repeat(300));
    for payload in [
        "", " ", "null", "[]", "1", "\"ann\"", "{\"iss\"", &array, &deep,
    ] {
        t.signed(&header, payload, JWT_PAYLOAD);
    }
    let (iss, exp) = (&home.issuer, now() + 600);
    for exp in [
        "1e400",
        "-1e400",
        "Infinity",
        &format!("{exp},\"exp\":{exp}"),
    ] {
        let payload =
            format!("{{\"iss\":\"{iss}\",\"aud\":\"netbird\",\"sub\":\"ann\",\"exp\":{exp}}}");
        t.signed(&header, &payload, JWT_PAYLOAD);
    }
    judge_and_stop(talkative(&[&home]), t);
}

#[test]
fn every_claim_is_checked() {
    let home = Idp::new("home", "ES256");
    let mut t = Tokens::of(&home);
    let iss = home.issuer.as_str();

    without(&mut t, "iss", ISSUER);
    for other in [
        json!([iss]),
        json!([iss, "https://other.example"]),
        json!({ iss: iss }),
        json!(1),
        json!(null),
        json!(""),
        json!("home"),
        json!(format!("{iss}/")),
        json!(format!("{iss} ")),
        json!(iss.to_uppercase()),
        json!(iss.replace("https", "http")),
        json!(&iss[..iss.len() - 1]),
        json!("https://other.example"),
    ] {
        t.with_claims(json!({ "iss": other }), ISSUER);
    }

    for aud in [
        json!("netbird"),
        json!(["netbird"]),
        json!(["a", "netbird", ""]),
    ] {
        t.with_claims(json!({ "aud": aud }), PASSES);
    }
    without(&mut t, "aud", AUDIENCE);
    for aud in [
        json!([]),
        json!(""),
        json!("other"),
        json!("Netbird"),
        json!("netbird "),
        json!("netbird,other"),
        json!("netbir"),
        json!(["other"]),
        json!(["netbird", 1]),
        json!([null, "netbird"]),
        json!([["netbird"]]),
        json!({"netbird": "netbird"}),
        json!(null),
        json!(1),
        json!(true),
    ] {
        t.with_claims(json!({ "aud": aud }), AUDIENCE);
    }

    let soon = now() + 600;
    let unusable = [
        json!(null),
        json!(true),
        json!(""),
        json!(soon.to_string()),
        json!([soon]),
        json!({"seconds": soon}),
    ];
    for (name, reason) in [("exp", EXP), ("nbf", NBF), ("iat", IAT)] {
        for value in &unusable {
            t.with_claims(json!({ name: value }), reason);
        }
    }
    without(&mut t, "exp", EXP);
    // `nbf` is absent in all the others.
    without(&mut t, "iat", PASSES);

    let past = [
        json!(now() - 31),
        json!(0),
        json!(-1),
        json!(-1e300),
        json!(1),
        json!(i64::MIN),
    ];
    for exp in past {
        t.with_claims(json!({ "exp": exp }), EXPIRED);
    }
    let far = now() + 30 * DAY;
    let ahead = [
        json!(far + 600),
        json!(1e300),
        json!(u64::MAX),
        json!(i64::MAX),
        json!(soon * 1000),
    ];
    for exp in ahead {
        t.with_claims(json!({ "exp": exp }), TOO_FAR);
    }
    for exp in [
        json!(soon),
        json!(soon as f64 + 0.5),
        json!(soon as f64),
        json!(far),
    ] {
        t.with_claims(json!({ "exp": exp }), PASSES);
    }

    for (name, reason) in [("nbf", EARLY), ("iat", ISSUED_AHEAD)] {
        let good = [
            json!(now()),
            json!(0),
            json!(-1),
            json!(-1e300),
            json!(now() + 29),
            json!(1.5),
        ];
        for moment in good {
            t.with_claims(json!({ name: moment }), PASSES);
        }
        for moment in [
            json!(now() + 300),
            json!(1e300),
            json!(u64::MAX),
            json!(soon * 1000),
        ] {
            t.with_claims(json!({ name: moment }), reason);
        }
    }

    without(&mut t, "sub", USER_ID);
    for id in [
        json!(1),
        json!(null),
        json!(["ann"]),
        json!({"id": "ann"}),
        json!(true),
    ] {
        t.with_claims(json!({ "sub": id }), USER_ID);
    }
    let long = "i".repeat(256);
    for id in [
        "", "current", "sys", "-", ".", "..", "a\u{7}", "a\n", "\0ann", "a\u{85}", &long,
    ] {
        t.with_claims(json!({ "sub": id }), USER_ID);
    }
    for id in ["Ann", "ann ", "bob", "Current", "--", "é", &long[1..]] {
        t.with_claims(json!({ "sub": id }), STRANGER);
    }
    judge_and_stop(talkative(&[&home]), t);
}

#[test]
fn an_issuer_has_its_own_leeway_longest_life_types_audiences_and_user_id_claim() {
    let home = Idp::new("home", "ES256");
    let strict = Idp::new("strict", "ES256")
        .with("leeway_seconds = 0")
        .with("max_age_days = 1")
        .with("typ = []")
        .with("user_id_claim = \"https://id.example/uid\"");
    let wide = Idp::new("wide", "ES256")
        .with("leeway_seconds = 300")
        .with("max_age_days = 3650")
        .with("typ = [\"application/Home+JWT\", \"x\"]")
        .with("user_id_claim = \"oid\"");
    let server = talkative(&[&home, &strict, &wide]);
    server.invite("ann-strict", "strict", "user");
    server.invite("ann-wide", "wide", "user");

    let mut t = Tokens::of(&strict);
    t.user = "ann-strict";
    let claim = "https://id.example/uid";
    for typ in [json!("JWT"), json!(""), json!(null)] {
        t.signed(
            &t.header(json!({ "typ": typ })),
            &t.claims(json!({ claim: "ann-strict" })),
            TYPE,
        );
    }
    let bare = json!({"alg": "ES256", "kid": "strict-1"}).to_string();
    let table = [
        (json!({ claim: "ann-strict", "sub": 1 }), PASSES),
        (json!({ claim: "ann-wide", "sub": "ann-strict" }), STRANGER),
        (json!({"sub": "ann-strict"}), USER_ID),
        (json!({ claim: "ann-strict", "exp": now() }), EXPIRED),
        (
            json!({ claim: "ann-strict", "exp": now() + DAY - 1 }),
            PASSES,
        ),
        (
            json!({ claim: "ann-strict", "exp": now() + DAY + 60 }),
            TOO_FAR,
        ),
        (
            json!({ claim: "ann-strict", "nbf": now(), "iat": now() }),
            PASSES,
        ),
        (json!({ claim: "ann-strict", "nbf": now() + 20 }), EARLY),
        (
            json!({ claim: "ann-strict", "iat": now() + 20 }),
            ISSUED_AHEAD,
        ),
    ];
    for (claims, outcome) in table {
        t.signed(&bare, &t.claims(claims), outcome);
    }
    t.judge(&server);

    let mut t = Tokens::of(&wide);
    t.user = "ann-wide";
    let table = [
        (json!({"exp": now() - 270}), PASSES),
        (json!({"exp": now() - 300}), EXPIRED),
        (json!({"exp": now() + 3650 * DAY + 300}), PASSES),
        (json!({"exp": now() + 3650 * DAY + 360}), TOO_FAR),
        (json!({"nbf": now() + 300}), PASSES),
        (json!({"nbf": now() + 330}), EARLY),
        (json!({"iat": now() + 300}), PASSES),
        (json!({"iat": now() + 330}), ISSUED_AHEAD),
        (json!({"oid": ""}), USER_ID),
    ];
    for (mut claims, outcome) in table {
        if claims.get("oid").is_none() {
            claims["oid"] = json!("ann-wide");
        }
        t.signed(
            &t.header(json!({"typ": "home+jwt"})),
            &t.claims(claims),
            outcome,
        );
    }
    let types = [
        ("X", PASSES),
        ("application/x", PASSES),
        ("JWT", TYPE),
        ("at+jwt", TYPE),
    ];
    for (typ, outcome) in types {
        let claims = t.claims(json!({"oid": "ann-wide"}));
        t.signed(&t.header(json!({ "typ": typ })), &claims, outcome);
    }
    judge_and_stop(server, t);
}

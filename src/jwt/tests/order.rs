//! The first check that fails is the one that is told, and times end at the microsecond.

use super::issuing::{LEEWAY, START, Signer, after, claims, just_before};
use super::*;
use crate::clock::Timestamp;
use crate::jwt::{Check, JwtFault, inspect};

/// A token that does not pass these checks, as far as they can be combined: a header that can't be
/// read has no algorithm to be wrong.
fn broken(good: &Signer, foreign: &Signer, checks: &[Check]) -> String {
    let has = |check| checks.contains(&check);
    let mut header = good.header();
    let mut payload = claims("ann");
    let header_members = [
        (Check::Algorithm, "alg", json!("none")),
        (Check::Parameters, "crit", json!(["exp"])),
        (Check::Type, "typ", json!("dpop+jwt")),
        (Check::Key, "kid", json!("k2")),
    ];
    let members = [
        (Check::Issuer, "iss", json!("https://other.example")),
        (Check::Audience, "aud", json!("other")),
        (Check::Expiry, "exp", json!(START - LEEWAY)),
        (Check::NotBefore, "nbf", json!(START + LEEWAY + 1)),
        (Check::IssuedAt, "iat", json!(START + LEEWAY + 1)),
        (Check::UserId, "sub", json!("")),
    ];
    for (check, name, value) in header_members {
        if has(check) {
            header[name] = value;
        }
    }
    for (check, name, value) in members {
        if has(check) {
            payload[name] = value;
        }
    }
    let signer = if has(Check::Signature) { foreign } else { good };
    let token = signer.sign(&header, &payload);
    let parts: Vec<&str> = token.split('.').collect();
    let twice = |text: Value, last: &str| {
        let text = text.to_string();
        base64(format!("{}{last}}}", text.strip_suffix('}').unwrap()).as_bytes())
    };
    let mut first = parts[0].to_owned();
    let mut second = parts[1].to_owned();
    let mut third = parts[2].to_owned();
    if has(Check::Header) {
        first = twice(header, ",\"alg\":\"none\"");
    }
    if has(Check::Payload) {
        second = twice(payload, ",\"iss\":1");
    }
    if has(Check::Encoding) {
        third += "=";
    }
    if has(Check::Parts) {
        third += ".e30";
    }
    if has(Check::Size) {
        second += &"A".repeat(8 * 1024);
    }
    format!("{first}.{second}.{third}")
}

/// What a verifier says, and what the inspection of the same token says.
fn fault(signer: &Signer, token: &str) -> Option<Check> {
    let verifier = signer.verifier();
    let fault = verifier.verify(token.as_bytes(), after(0)).err();
    let inspection = inspect(verifier.issuers(), token.as_bytes(), after(0));
    assert_eq!(inspection.result.as_ref().err(), fault.as_ref());
    let passed = inspection
        .checks()
        .take_while(|(_, outcome)| *outcome == Some(Ok(())));
    let failed = Check::ALL.get(passed.count()).copied();
    assert_eq!(failed, fault.map(JwtFault::check));
    let behind = inspection
        .checks()
        .skip_while(|(check, _)| Some(*check) != failed);
    assert!(behind.skip(1).all(|(_, outcome)| outcome.is_none()));
    failed
}

#[test]
fn a_token_that_fails_every_check_from_one_on_is_told_that_one() {
    let (good, foreign) = (Signer::new(Algorithm::Es256), Signer::new(Algorithm::Es256));
    assert_eq!(fault(&good, &broken(&good, &foreign, &[])), None);
    for (place, check) in Check::ALL.into_iter().enumerate() {
        let alone = broken(&good, &foreign, &[check]);
        assert_eq!(fault(&good, &alone), Some(check), "alone");
        let all = broken(&good, &foreign, &Check::ALL[place..]);
        assert_eq!(fault(&good, &all), Some(check), "with all behind it");
        for later in &Check::ALL[place..] {
            let two = broken(&good, &foreign, &[check, *later]);
            assert_eq!(fault(&good, &two), Some(check), "with {later:?}");
        }
    }
}

#[test]
fn times_are_good_to_the_microsecond_for_every_leeway() {
    let signer = Signer::new(Algorithm::EdDsa);
    let hour = 3600;
    let second = Duration::from_secs(1);
    for leeway in [0, 1, 30, 300] {
        let mut settings = signer.settings();
        settings.leeway = Duration::from_secs(leeway as u64);
        let set = load(settings).unwrap().set;
        let ends = |end: i64| (after(end + leeway), JwtFault::Expired);
        let verdict = |claims: &Value, now: Timestamp| {
            let token = signer.token("ann", claims.clone());
            inspect(&set, token.as_bytes(), now).result.err()
        };

        for (exp, (end, expired)) in [
            (json!(START + 10), ends(10)),
            (json!(START as f64 + 10.0), ends(10)),
            (json!(START - leeway), (after(0), JwtFault::Expired)),
        ] {
            let claims = json!({ "exp": exp });
            assert_eq!(
                verdict(&claims, just_before(end)),
                None,
                "{claims} {leeway}"
            );
            assert_eq!(verdict(&claims, end), Some(expired), "{claims} {leeway}");
        }
        let half = json!({"exp": START as f64 + 10.5});
        let end = after(10 + leeway).plus(second / 2);
        assert_eq!(verdict(&half, just_before(end)), None);
        assert_eq!(verdict(&half, end), Some(JwtFault::Expired));

        let far = json!({"exp": START + hour + leeway});
        let too_far = Some(JwtFault::TooLongLived);
        assert_eq!(verdict(&far, after(0)), None, "{leeway}");
        assert_eq!(verdict(&far, just_before(after(0))), too_far, "{leeway}");

        for (name, early) in [("nbf", JwtFault::NotYet), ("iat", JwtFault::IssuedAhead)] {
            let claims = json!({ name: START + leeway });
            assert_eq!(verdict(&claims, after(0)), None, "{claims} {leeway}");
            let before = just_before(after(0));
            assert_eq!(verdict(&claims, before), Some(early), "{claims} {leeway}");
        }
    }
}

//! Tokens that passed are remembered, and pass no longer or more often for that.

use std::sync::{Arc, Weak};

use proptest::prelude::*;

use super::issuing::{LEEWAY, START, Signer, after, claims, just_before};
use super::*;
use crate::clock::Timestamp;
use crate::jwt::{JwtFault, Verified, Verifier};

fn passes(verifier: &Verifier, token: &str, now: Timestamp) -> Arc<Verified> {
    let verified = verifier.verify(token.as_bytes(), now);
    verified.unwrap_or_else(|fault| panic!("{fault}"))
}

fn fault(verifier: &Verifier, token: &str, now: Timestamp) -> JwtFault {
    match verifier.verify(token.as_bytes(), now) {
        Ok(_) => panic!("it passes"),
        Err(fault) => fault,
    }
}

#[test]
fn a_remembered_token_passes_in_its_time_only() {
    let signer = Signer::new(Algorithm::EdDsa);
    let table = [
        (json!({}), after(-3000), None),
        (
            json!({"nbf": START}),
            after(-LEEWAY),
            Some(JwtFault::NotYet),
        ),
        (
            json!({"iat": START}),
            after(-LEEWAY),
            Some(JwtFault::IssuedAhead),
        ),
        (
            json!({"nbf": START, "iat": START - 9}),
            after(-LEEWAY),
            Some(JwtFault::NotYet),
        ),
        (
            json!({"nbf": START - 9, "iat": START}),
            after(-LEEWAY),
            Some(JwtFault::IssuedAhead),
        ),
    ];
    let end = after(600 + LEEWAY);
    for (claims, start, early) in table {
        let (verifier, token) = (signer.verifier(), signer.token("ann", claims.clone()));
        let first = passes(&verifier, &token, after(5));
        for now in [start, after(0), just_before(end), after(5)] {
            let again = passes(&verifier, &token, now);
            assert!(Arc::ptr_eq(&first, &again), "{claims}: looked at anew");
        }
        assert_eq!(first.good_until, end);
        for now in [end, after(10_000)] {
            assert_eq!(fault(&verifier, &token, now), JwtFault::Expired, "{claims}");
        }
        // It is forgotten then, and a clock that is put right lets it in again.
        assert!(!Arc::ptr_eq(&first, &passes(&verifier, &token, after(5))));
        if let Some(early) = early {
            assert_eq!(
                fault(&verifier, &token, just_before(start)),
                early,
                "{claims}"
            );
            passes(&verifier, &token, start);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_memory_changes_no_verdict_whatever_the_clock_does(
        times in proptest::collection::vec(-3600_i64..1400, 1..12),
        nbf in proptest::option::of(-100_i64..700),
        iat in proptest::option::of(-100_i64..700),
    ) {
        let signer = Signer::new(Algorithm::EdDsa);
        let verifier = signer.verifier();
        let mut further = json!({});
        for (name, moment) in [("nbf", nbf), ("iat", iat)] {
            if let Some(moment) = moment {
                further[name] = json!(START + moment);
            }
        }
        let token = signer.token("ann", further);
        for now in times.into_iter().map(after) {
            let fresh = signer.verifier().verify(token.as_bytes(), now).err();
            prop_assert_eq!(verifier.verify(token.as_bytes(), now).err(), fresh);
        }
    }
}

#[test]
fn two_users_are_never_taken_for_each_other() {
    let signer = Signer::new(Algorithm::Es256);
    let verifier = signer.verifier();
    let tokens: Vec<(String, String)> = (0..200)
        .map(|number| format!("user-{number}"))
        .map(|user| (signer.token(&user, json!({})), user))
        .collect();
    for round in 0..3 {
        for (token, user) in &tokens {
            let verified = passes(&verifier, token, after(round));
            assert_eq!(verified.user_id.as_str(), user);
        }
    }
    // With the header and the signature, or the header and the payload, of one that is remembered.
    for pair in tokens.windows(2) {
        let (a, b) = (&pair[0].0, &pair[1].0);
        let (message, _) = a.rsplit_once('.').unwrap();
        let (_, signature) = b.rsplit_once('.').unwrap();
        let mixed = format!("{message}.{signature}");
        assert_eq!(fault(&verifier, &mixed, after(0)), JwtFault::Signature);
    }
    // Another signature of the same bytes is another token of the same user.
    let header = signer.header();
    let same = [0, 1].map(|_| signer.sign(&header, &claims("ann")));
    assert_ne!(same[0], same[1]);
    let same = same.map(|token| passes(&verifier, &token, after(0)));
    assert!(!Arc::ptr_eq(&same[0], &same[1]));
    assert_eq!(same[0].user_id, same[1].user_id);
}

#[test]
fn what_was_refused_is_not_remembered() {
    let (signer, other) = (Signer::new(Algorithm::EdDsa), Signer::new(Algorithm::EdDsa));
    let verifier = signer.verifier();
    let early = signer.token("ann", json!({"nbf": START + 60}));
    let forged = other.token("ann", json!({}));
    for _ in 0..3 {
        assert_eq!(fault(&verifier, &early, after(0)), JwtFault::NotYet);
        assert_eq!(fault(&verifier, &forged, after(0)), JwtFault::Signature);
        passes(&verifier, &signer.token("ann", json!({})), after(0));
    }
    passes(&verifier, &early, after(60));
    assert_eq!(fault(&verifier, &forged, after(60)), JwtFault::Signature);
}

#[test]
fn a_token_passes_no_more_where_its_key_is_gone() {
    let (old, new) = (Signer::new(Algorithm::EdDsa), Signer::new(Algorithm::EdDsa));
    let token = old.token("ann", json!({}));
    let verifier = old.verifier();
    passes(&verifier, &token, after(0));
    // The same `kid` with another key, another `kid`, and no issuer at all.
    assert_eq!(
        fault(&new.verifier(), &token, after(0)),
        JwtFault::Signature
    );
    let mut settings = old.settings();
    settings.keys[0].kid = Some("k2".into());
    let renamed = Verifier::new(load(settings).unwrap().set);
    assert_eq!(fault(&renamed, &token, after(0)), JwtFault::Key);
    assert_eq!(
        fault(&Verifier::default(), &token, after(0)),
        JwtFault::Issuer
    );
    let mut settings = old.settings();
    settings.audiences = vec!["other".into()];
    let other = Verifier::new(load(settings).unwrap().set);
    assert_eq!(fault(&other, &token, after(0)), JwtFault::Audience);
    passes(&verifier, &token, after(0));
}

#[test]
fn of_many_tokens_two_generations_are_remembered_and_those_in_use_stay() {
    const MOST: usize = 2 * 16 * 512;
    let signer = Signer::new(Algorithm::Hs256);
    let verifier = signer.verifier();
    let in_use = signer.token("ann", json!({}));
    let first = passes(&verifier, &in_use, after(0));
    let mut remembered: Vec<Weak<Verified>> = Vec::new();
    for number in 0..3 * MOST {
        let token = signer.token("bob", json!({"jti": number}));
        remembered.push(Arc::downgrade(&passes(&verifier, &token, after(0))));
        if number % 100 == 0 {
            let again = passes(&verifier, &in_use, after(0));
            assert!(Arc::ptr_eq(&first, &again), "{number}");
        }
        if number % 8192 == 0 || number == 3 * MOST - 1 {
            let living = remembered.iter().filter(|one| one.strong_count() > 0);
            let living = living.count();
            assert!(living < MOST, "{living}");
            assert!(living >= remembered.len().min(MOST / 4), "{living}");
        }
    }
    // The oldest are gone, the newest is there.
    assert!(remembered[..MOST].iter().all(|one| one.strong_count() == 0));
    assert_eq!(remembered.last().unwrap().strong_count(), 1);
}

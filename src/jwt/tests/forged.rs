//! Nothing but the very bytes of a good token passes.

use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::Index;

use super::issuing::{Signer, after, claims};
use super::*;
use crate::jwt::{JwtFault, Verifier};

/// Of every algorithm a verifier and a token that it has seen pass.
static GOOD: LazyLock<Vec<(Algorithm, Verifier, Vec<u8>)>> = LazyLock::new(|| {
    let signers = Algorithm::ALL.map(Signer::new).into_iter();
    let good = signers.map(|signer| {
        let (verifier, token) = (signer.verifier(), signer.token("ann", json!({})));
        assert!(verifier.verify(token.as_bytes(), after(0)).is_ok());
        (signer.algorithm, verifier, token.into_bytes())
    });
    good.collect()
});

/// No algorithm's token passes with this change.
fn refused_with(change: impl Fn(&mut Vec<u8>)) -> Result<(), TestCaseError> {
    for (algorithm, verifier, good) in &*GOOD {
        let mut token = good.clone();
        change(&mut token);
        prop_assert!(&token != good, "{} is not changed", algorithm);
        let passes = verifier.verify(&token, after(0)).is_ok();
        prop_assert!(!passes, "{} {}", algorithm, String::from_utf8_lossy(&token));
    }
    Ok(())
}

/// JSON of any shape, with the names that mean something among its names.
fn json_value() -> impl Strategy<Value = String> {
    let name = "alg|kid|typ|iss|aud|exp|nbf|sub|[a-z]{0,3}";
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        any::<f64>().prop_map(|value| json!(value).to_string()),
        any::<String>().prop_map(|value| json!(value).to_string()),
        "\"(ES256|HS256|EdDSA|none|k1|JWT|netbird|https://id.example|ann)\"",
    ];
    leaf.prop_recursive(4, 24, 6, move |inner| {
        let member = (name, inner.clone()).prop_map(|(name, value)| format!("\"{name}\":{value}"));
        prop_oneof![
            proptest::collection::vec(inner, 0..4).prop_map(|list| format!("[{}]", list.join(","))),
            proptest::collection::vec(member, 0..6)
                .prop_map(|list| format!("{{{}}}", list.join(","))),
        ]
    })
}

/// A header that gets a token as far as its signature, or any JSON.
fn header() -> impl Strategy<Value = String> {
    let known = proptest::sample::select(Algorithm::ALL.to_vec()).prop_map(|algorithm| {
        json!({"alg": algorithm.as_str(), "kid": "k1", "typ": "JWT"}).to_string()
    });
    prop_oneof![known, json_value()]
}

/// Claims that pass, or any JSON.
fn payload() -> impl Strategy<Value = String> {
    let good = claims("ann").to_string();
    prop_oneof![Just(good), json_value()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_token_passes_with_one_byte_changed(place in any::<Index>(), by in 1_u8..=255) {
        refused_with(|token| {
            let place = place.index(token.len());
            token[place] ^= by;
        })?;
    }

    #[test]
    fn no_token_passes_with_one_letter_changed(place in any::<Index>(), letter in "[A-Za-z0-9_-]") {
        refused_with(|token| {
            let place = place.index(token.len());
            let other = if letter == "A" { b'B' } else { b'A' };
            let letter = letter.as_bytes()[0];
            token[place] = if token[place] == letter { other } else { letter };
        })?;
    }

    #[test]
    fn no_token_passes_with_one_byte_more(place in any::<Index>(), byte in prop_oneof![
        any::<u8>(),
        proptest::sample::select(b" \t\r\n=.+/-_A".to_vec()),
    ]) {
        refused_with(|token| {
            let place = place.index(token.len() + 1);
            token.insert(place, byte);
        })?;
    }

    #[test]
    fn no_token_passes_with_one_byte_less(place in any::<Index>()) {
        refused_with(|token| {
            let place = place.index(token.len());
            token.remove(place);
        })?;
    }

    #[test]
    fn no_token_passes_cut_off_or_with_its_parts_in_another_order(
        end in any::<Index>(),
        (one, two, three) in (0_usize..3, 0_usize..3, 0_usize..3),
    ) {
        refused_with(|token| token.truncate(end.index(token.len())))?;
        prop_assume!((one, two, three) != (0, 1, 2));
        refused_with(|token| {
            let parts: Vec<Vec<u8>> = token.split(|byte| *byte == b'.').map(<[u8]>::to_vec).collect();
            *token = [&*parts[one], &*parts[two], &*parts[three]].join(&b'.');
        })?;
    }

    #[test]
    fn no_bytes_pass_or_panic(bytes in any::<Vec<u8>>(), prefix in "(eyJ)?", dots in 0_usize..4) {
        let text = [prefix.as_bytes(), &bytes, &b".".repeat(dots), &bytes].concat();
        for (algorithm, verifier, _) in &*GOOD {
            prop_assert!(verifier.verify(&text, after(0)).is_err(), "{}", algorithm);
        }
    }

    #[test]
    fn no_json_passes_or_panics_without_the_signature_of_the_key(
        header in header(),
        payload in payload(),
        signature in prop_oneof![
            any::<Vec<u8>>(),
            proptest::sample::select(vec![32_usize, 48, 64, 96, 256]).prop_map(|size| vec![0; size]),
            proptest::collection::vec(any::<u8>(), 64),
            proptest::collection::vec(any::<u8>(), 96),
            proptest::collection::vec(any::<u8>(), 256),
        ],
    ) {
        let parts = [header.as_bytes(), payload.as_bytes(), &signature].map(base64);
        let token = parts.join(".");
        for (algorithm, verifier, _) in &*GOOD {
            prop_assert!(verifier.verify(token.as_bytes(), after(0)).is_err(), "{}", algorithm);
        }
    }
}

#[test]
fn a_made_up_token_gets_as_far_as_its_signature() {
    for (algorithm, verifier, good) in &*GOOD {
        let end = good.iter().rposition(|byte| *byte == b'.').unwrap();
        let made_up = [&good[..=end], base64(&[7; 64]).as_bytes()].concat();
        let fault = verifier.verify(&made_up, after(0)).err();
        assert_eq!(fault, Some(JwtFault::Signature), "{algorithm}");
    }
}

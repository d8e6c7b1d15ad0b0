//! Which key a token gets.

use super::*;
use crate::jwt::NoKey;

#[test]
fn a_token_gets_the_key_that_it_names_or_the_only_one() {
    let keys = [
        with(rsa(), json!({"kid": "r1", "alg": "RS256"})),
        with(rsa(), json!({"kid": "r2", "alg": "RS256"})),
        with(p256(), json!({"kid": "e1"})),
        ed25519(),
    ];
    let loaded = load_keys(home("RS256 PS256 ES256 EdDSA"), &keys).unwrap();
    let issuer = only(&loaded);
    let table = [
        (Some("r1"), Algorithm::Rs256, Ok(0)),
        (Some("r2"), Algorithm::Rs256, Ok(1)),
        (Some("e1"), Algorithm::Es256, Ok(2)),
        (Some("r1"), Algorithm::Ps256, Err(NoKey::Algorithm)),
        (Some("r1"), Algorithm::Hs256, Err(NoKey::Algorithm)),
        (Some("e1"), Algorithm::Rs256, Err(NoKey::Algorithm)),
        (Some("R1"), Algorithm::Rs256, Err(NoKey::Unknown)),
        (Some(""), Algorithm::EdDsa, Err(NoKey::Unknown)),
        (Some("x"), Algorithm::EdDsa, Err(NoKey::Unknown)),
        (None, Algorithm::Es256, Ok(2)),
        (None, Algorithm::EdDsa, Ok(3)),
        // Two of them, and none.
        (None, Algorithm::Rs256, Err(NoKey::Unknown)),
        (None, Algorithm::Ps256, Err(NoKey::Unknown)),
    ];
    for (kid, algorithm, outcome) in table {
        let chosen = issuer.key(kid, algorithm);
        let place = |key| {
            issuer
                .keys
                .iter()
                .position(|known| std::ptr::eq(known, key))
        };
        assert_eq!(chosen.map(|key| place(key).unwrap()), outcome, "{kid:?}");
    }
}

#[test]
fn an_issuer_is_found_by_its_exact_strings() {
    let loaded = load_keys(home("RS256"), &[rsa()]).unwrap();
    let set = &loaded.set;
    assert!(set.by_issuer("https://id.example").is_some());
    for other in ["https://id.example/", "https://ID.example", "home", ""] {
        assert!(set.by_issuer(other).is_none(), "{other}");
    }
    assert!(set.by_name("home").is_some());
    assert!(set.by_name("Home").is_none());
    assert_eq!(set.iter().count(), 1);
    assert_eq!(IssuerSet::default().iter().count(), 0);
}

//! An issuer with a fresh key, and its tokens.

use super::signatures::{Pair, pair};
use super::*;
use crate::clock::Timestamp;
use crate::jwt::Verifier;

/// Where the tests' time begins, in seconds since 1970.
pub(super) const START: i64 = 1_800_000_000;
pub(super) const LEEWAY: i64 = 30;

/// Seconds after [`START`].
pub(super) fn after(seconds: i64) -> Timestamp {
    Timestamp::from_micros((START + seconds) * 1_000_000)
}

/// The least that there is before a moment.
pub(super) fn just_before(moment: Timestamp) -> Timestamp {
    moment.minus(Duration::from_micros(1))
}

pub(super) struct Signer {
    pub(super) algorithm: Algorithm,
    pair: Pair,
}

impl Signer {
    pub(super) fn new(algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            pair: pair(algorithm.family()),
        }
    }

    /// The issuer `home` with this key as `k1`, a leeway, and an hour as the longest life.
    pub(super) fn settings(&self) -> IssuerSettings {
        let mut key = named(self.pair.public.clone());
        key.kid = Some("k1".into());
        let mut settings = home(self.algorithm.as_str());
        settings.keys.push(key);
        settings.leeway = Duration::from_secs(LEEWAY as u64);
        settings.typ = vec!["JWT".into()];
        settings
    }

    pub(super) fn verifier(&self) -> Verifier {
        Verifier::new(load(self.settings()).unwrap().set)
    }

    pub(super) fn header(&self) -> Value {
        json!({"typ": "JWT", "alg": self.algorithm.as_str(), "kid": "k1"})
    }

    /// Signs a header and claims as they are.
    pub(super) fn sign(&self, header: &Value, claims: &Value) -> String {
        let (header, claims) = (header.to_string(), claims.to_string());
        let message = format!(
            "{}.{}",
            base64(header.as_bytes()),
            base64(claims.as_bytes())
        );
        let signature = self.pair.sign_bytes(self.algorithm, message.as_bytes());
        format!("{message}.{signature}")
    }

    /// A token that is good from [`START`] on for ten minutes, with further claims.
    pub(super) fn token(&self, user: &str, further: Value) -> String {
        self.sign(&self.header(), &with(claims(user), further))
    }
}

/// Claims that are good from [`START`] on for ten minutes.
pub(super) fn claims(user: &str) -> Value {
    json!({"iss": "https://id.example", "aud": "netbird", "sub": user, "exp": START + 600})
}

//! All issuers with their keys, as they were at one moment.

use std::sync::Arc;

use super::{Algorithm, IssuerSettings, Key};

/// The issuers that are believed. Immutable: a reload makes another one.
#[derive(Default)]
pub struct IssuerSet {
    issuers: Vec<Arc<Issuer>>,
}

/// An issuer and its keys. Has no `Debug`: a key may be a shared secret.
pub struct Issuer {
    /// As configured, but for the keys, which were read.
    pub settings: IssuerSettings,
    /// At least one. No two have the same `kid`.
    pub keys: Vec<Key>,
}

/// Why there is no key for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// No key has this `kid`; or the token names none, and not exactly one key is of its algorithm.
    #[error("no such key")]
    Unknown,
    /// The key is pinned to another algorithm than the token's.
    #[error("the key is for another algorithm")]
    Algorithm,
}

impl IssuerSet {
    /// From judged issuers, whose names and `iss` are unique.
    pub(super) fn new(issuers: Vec<Issuer>) -> Self {
        Self {
            issuers: issuers.into_iter().map(Arc::new).collect(),
        }
    }

    /// The issuer with exactly this `iss`.
    pub fn by_issuer(&self, issuer: &str) -> Option<&Arc<Issuer>> {
        self.issuers
            .iter()
            .find(|known| &*known.settings.issuer == issuer)
    }

    /// The issuer with exactly this name in the configuration.
    pub fn by_name(&self, name: &str) -> Option<&Arc<Issuer>> {
        self.issuers
            .iter()
            .find(|known| &*known.settings.name == name)
    }

    /// In the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Issuer>> {
        self.issuers.iter()
    }
}

impl Issuer {
    /// The key for a token with this `kid` and this algorithm. A token without a `kid` gets the only
    /// key of its algorithm: with two, it would be tried with one after the other.
    ///
    /// # Errors
    /// [`NoKey`] says why there is none.
    pub fn key(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<&Key, NoKey> {
        let Some(kid) = kid else {
            let mut fitting = self.keys.iter().filter(|key| key.algorithm == algorithm);
            return match (fitting.next(), fitting.next()) {
                (Some(only), None) => Ok(only),
                _ => Err(NoKey::Unknown),
            };
        };
        let named = self.keys.iter().find(|key| key.kid.as_deref() == Some(kid));
        match named.ok_or(NoKey::Unknown)? {
            key if key.algorithm == algorithm => Ok(key),
            _ => Err(NoKey::Algorithm),
        }
    }
}

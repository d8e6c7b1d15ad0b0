//! All issuers with their keys, as they were at one moment.

use std::sync::Arc;

use super::{IssuerSettings, Key};

/// The issuers that are believed. Immutable: a reload makes another one.
#[derive(Default)]
pub struct IssuerSet {
    issuers: Vec<Arc<Issuer>>,
}

/// An issuer and its keys. Has no `Debug`: a key may be a shared secret.
pub struct Issuer {
    /// As configured.
    pub settings: IssuerSettings,
    /// At least one, each with its own `kid`.
    pub keys: Vec<Key>,
}

/// A set that was read, and what was passed over.
pub struct Loaded {
    /// The set.
    pub set: IssuerSet,
    /// Keys that were skipped, one line each, for the log.
    pub warnings: Vec<String>,
}

/// Why the issuers can't be used: one line that names issuer, file, index and reason, and never
/// holds a byte of a key.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct LoadFault(String);

/// Why a token's key can't be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoKey {
    /// No key has the id, or there is no id and not exactly one key of the algorithm.
    Unknown,
    /// The key is pinned to another algorithm.
    Algorithm,
}

impl Issuer {
    /// The key of a token, by the id and the algorithm in its header.
    ///
    /// # Errors
    /// [`NoKey`].
    pub fn key(&self, kid: Option<&str>, algorithm: super::Algorithm) -> Result<&Key, NoKey> {
        let Some(kid) = kid else {
            let mut fits = self.keys.iter().filter(|key| key.algorithm == algorithm);
            return match (fits.next(), fits.next()) {
                (Some(key), None) => Ok(key),
                _ => Err(NoKey::Unknown),
            };
        };
        let known = |key: &&Key| key.kid.as_deref() == Some(kid);
        let key = self.keys.iter().find(known).ok_or(NoKey::Unknown)?;
        match key.algorithm == algorithm {
            true => Ok(key),
            false => Err(NoKey::Algorithm),
        }
    }
}

impl IssuerSet {
    /// Reads every key, all or nothing.
    ///
    /// # Errors
    /// The first fault.
    pub fn load(_settings: Vec<IssuerSettings>) -> Result<Loaded, LoadFault> {
        Err(LoadFault(String::new()))
    }

    /// The issuer with exactly this `iss`.
    pub fn by_issuer(&self, issuer: &str) -> Option<&Arc<Issuer>> {
        self.issuers
            .iter()
            .find(|known| &*known.settings.issuer == issuer)
    }

    /// In the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Issuer>> {
        self.issuers.iter()
    }
}

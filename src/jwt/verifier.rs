//! The issuers of one moment, with the tokens of theirs that passed.

use std::sync::Arc;

use super::cache::Cache;
use super::check::{LONGEST_JWT, check};
use super::{IssuerSet, JwtFault, Verified};
use crate::clock::Timestamp;

/// Checks JWTs. A reload makes another one with an empty cache: no token outlives its key there.
#[derive(Default)]
pub struct Verifier {
    set: IssuerSet,
    cache: Cache,
}

impl Verifier {
    /// Over a set of issuers.
    pub fn new(set: IssuerSet) -> Self {
        Self {
            set,
            cache: Cache::default(),
        }
    }

    /// The issuers.
    pub fn issuers(&self) -> &IssuerSet {
        &self.set
    }

    /// Who a JWT is for, where every check passes at a moment.
    ///
    /// # Errors
    /// The first check that does not.
    pub fn verify(&self, text: &[u8], now: Timestamp) -> Result<Arc<Verified>, JwtFault> {
        if text.len() > LONGEST_JWT {
            return Err(JwtFault::TooLarge);
        }
        let hash = blake3::hash(text);
        match self.cache.get(&hash) {
            Some(verified) if verified.holds(now) => return Ok(verified),
            // Looked at anew, for the reason.
            Some(_) => self.cache.forget(&hash),
            None => {}
        }
        let verified = Arc::new(check(&self.set, text, now)?);
        self.cache.keep(hash, Arc::clone(&verified));
        Ok(verified)
    }
}

//! What is held of a token.

use super::mark::Mark;
use crate::clock::Timestamp;
use crate::store::LoadedToken;
use crate::token::TokenHash;
use crate::user::{TokenNumber, UserNumber};

/// All that a request needs of it, in one line of the processor's cache: in a big house each further
/// line is a wait for the memory.
#[repr(align(64))]
pub(super) struct Entry {
    pub(super) hash: TokenHash,
    pub(super) expires_at: Timestamp,
    pub(super) mark: Mark,
    pub(super) token: TokenNumber,
    pub(super) user: UserNumber,
}

impl Entry {
    pub(super) fn of(token: &LoadedToken) -> Self {
        Self {
            hash: token.hash,
            expires_at: token.expires_at,
            mark: Mark::clean_at(token.last_used),
            token: token.number,
            user: token.user,
        }
    }
}

//! What is held of a token.

use super::mark::Mark;
use crate::clock::Timestamp;
use crate::store::LoadedToken;
use crate::token::TokenHash;
use crate::user::{TokenNumber, UserNumber};

/// 72 bytes.
pub(super) struct Entry {
    pub(super) hash: TokenHash,
    pub(super) expires_at: Timestamp,
    pub(super) mark: Mark,
    pub(super) token: TokenNumber,
    pub(super) user: UserNumber,
    /// See [`Xid::to_bytes`](crate::xid::Xid::to_bytes).
    pub(super) id: [u8; 12],
}

impl Entry {
    pub(super) fn of(token: &LoadedToken) -> Self {
        Self {
            hash: token.hash,
            expires_at: token.expires_at,
            mark: Mark::clean_at(token.last_used),
            token: token.number,
            user: token.user,
            id: token.id.to_bytes(),
        }
    }
}

//! What is held of a token beside its hash.

use super::mark::Mark;
use crate::clock::Timestamp;
use crate::store::LoadedToken;
use crate::user::{TokenNumber, UserNumber};
use crate::xid::Xid;

/// 40 bytes, beside a key of 32.
pub(super) struct Entry {
    pub(super) expires_at: Timestamp,
    pub(super) mark: Mark,
    pub(super) token: TokenNumber,
    pub(super) user: UserNumber,
    id: [u8; 12],
}

impl Entry {
    pub(super) fn of(token: &LoadedToken) -> Self {
        Self {
            expires_at: token.expires_at,
            mark: Mark::clean_at(token.last_used),
            token: token.number,
            user: token.user,
            id: token.id.to_bytes(),
        }
    }

    /// On the wire.
    pub(super) fn id(&self) -> Xid {
        Xid::from_bytes(&self.id)
    }
}

//! The first start: a new database, its owner, and the one moment at which the owner's token is
//! shown.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use zeroize::Zeroizing;

use crate::change::{self, FirstOwner, NewTokenRequest, Refused};
use crate::clock::Timestamp;
use crate::index::Index;
use crate::store::{self, StoreError};
use crate::token::{Lifetime, PlainToken, TOKEN_LENGTH, TokenHash};
use crate::user::{Name, User, UserId};

/// Who owns a new database.
pub struct Owner {
    /// Not empty.
    pub name: Name,
    /// May be empty.
    pub email: Name,
    /// As [`FirstOwner::identity`].
    pub identity: Option<(UserId, Box<str>)>,
    /// Their token.
    pub token: PlainToken,
    /// How long it is good.
    pub lifetime: Lifetime,
}

impl Owner {
    /// Makes the owner in an open transaction and, where `out` names a file, writes the token into
    /// it before the caller commits: a token that nobody can read would lock everyone out.
    ///
    /// # Errors
    /// [`Refused::SetupDone`] where there is an owner; the file must not exist.
    pub fn create(
        &self,
        connection: &Connection,
        now: Timestamp,
        out: Option<&Path>,
    ) -> Result<User, Refused> {
        let request = FirstOwner {
            name: self.name.clone(),
            email: self.email.clone(),
            identity: self.identity.clone(),
            token: Some(NewTokenRequest {
                hash: self.token.hash(),
                name: token_name()?,
                lifetime: self.lifetime,
            }),
        };
        let made = change::first_owner(connection, now, request)?;
        if let Some(out) = out {
            store::write_new_private_file(out, &[self.token.expose().as_bytes(), b"\n"])?;
        }
        Ok(made.value)
    }

    /// Makes the database with this owner, or neither. The server's lock must be held.
    ///
    /// # Errors
    /// What the disk says.
    pub fn create_database(
        &self,
        database: &Path,
        now: Timestamp,
        out: Option<&Path>,
    ) -> Result<User, Refused> {
        let mut written = None;
        let made = store::create_database(database, |connection| {
            let user = self.create(connection, now, out)?;
            written = out;
            Ok(user)
        });
        if made.is_err() {
            // In this order: what is unfinished tells a start after a kill that the token in
            // `owner-token` is of no use, its owner not being made.
            if let Some(written) = written {
                let _ = std::fs::remove_file(written);
            }
            store::discard_unfinished(database);
        }
        made.map_err(|refused| match refused {
            Refused::Store(error) => error.at(database).into(),
            other => other,
        })
    }
}

/// A first start that was killed leaves its unfinished database, and maybe the file of a token that
/// never came to be. The server's lock must be held.
///
/// # Errors
/// What the disk says.
pub fn forget_killed_start(database: &Path) -> Result<(), StoreError> {
    let path = OwnerTokenFile::path_for(database);
    if store::is_unfinished(database) && read(&path).is_some_and(|text| is_ours(&text)) {
        std::fs::remove_file(&path).map_err(|source| StoreError::Io { path, source })?;
    }
    Ok(())
}

/// Tells a token that was written in part from other text: cut off by a kill, or with zeros where a power
/// cut left the file's length and not what was written.
fn is_ours(text: &str) -> bool {
    let mut head = text.bytes().zip(*b"nbp_");
    text.len() <= TOKEN_LENGTH + 1 && head.all(|(byte, ours)| byte == ours || byte == 0)
}

fn read(path: &Path) -> Option<Zeroizing<String>> {
    std::fs::read_to_string(path).ok().map(Zeroizing::new)
}

/// What the first token is called.
///
/// # Errors
/// Never: the name is a name.
pub fn token_name() -> Result<Name, Refused> {
    Name::parse("owner token").map_err(|_| StoreError::from(rusqlite::Error::InvalidQuery).into())
}

/// The file that a first start without a terminal leaves beside the database.
pub struct OwnerTokenFile {
    path: PathBuf,
    /// Of the token in it.
    pub hash: TokenHash,
}

impl OwnerTokenFile {
    /// Where it stands for a database.
    pub fn path_for(database: &Path) -> PathBuf {
        database.with_file_name("owner-token")
    }

    /// The file of a database whose token is not used yet.
    pub fn find(database: &Path, index: &Index) -> Option<Self> {
        let path = Self::path_for(database);
        let hash = PlainToken::parse(read(&path)?.trim()).ok()?.hash();
        index.knows_token(&hash).then_some(Self { path, hash })
    }

    /// Takes the file away: whoever used the token has it, and a revoked one is of no use.
    pub fn remove(self) {
        let path = self.path.display();
        match std::fs::remove_file(&self.path) {
            Ok(()) => log::info!("the owner token was used or revoked: removed the file {path}"),
            Err(error) => {
                log::warn!("the owner token was used or revoked: remove the file {path} ({error})")
            }
        }
    }
}

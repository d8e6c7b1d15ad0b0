//! Backups: a copy of the database as one file with its digest beside it, made while the server works,
//! by a command or by the clock, and brought back by a command while no server runs.
//!
//! A file gets its name last: what has the name of a backup, or of the database, is whole.

mod digest;
mod make;
mod restore;
mod rotation;
mod schedule;

pub use make::make;
pub use restore::{Digest, Restored, forget_killed_restore, restore};
pub use schedule::{Schedule, Scheduled, Status};

use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// Why a backup was not made, or not restored. The text is for the operator and tells the next step.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// What the disk or SQLite says; [`StoreError::Cancelled`] where it was called off.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another backup is written into the folder.
    #[error("{}: another backup is being written there; wait for its end", .0.display())]
    FolderInUse(PathBuf),
    /// The name of the file is no name, or has control characters.
    #[error("{0:?}: not the name of a file that a backup can have")]
    NoName(PathBuf),
    /// The name of a file that belongs to the database.
    #[error("{}: a name of the database's own files; name another", .0.display())]
    OwnName(PathBuf),
    /// No digest.
    #[error("{}: missing, so nothing tells whether the backup is what it was; copy it from where the backup comes from, or take the file as it is with --without-digest", .0.display())]
    DigestMissing(PathBuf),
    /// Something else in the digest's place.
    #[error("{}: not a BLAKE3 digest as 'netbird-auth backup' or b3sum writes it; copy it from where the backup comes from, or take the file as it is with --without-digest", .0.display())]
    DigestUnreadable(PathBuf),
    /// A changed backup, or another's digest.
    #[error("{}: not the file that its digest is of: it is damaged or was changed; take another backup", .0.display())]
    DigestWrong(PathBuf),
    /// A file that is not all of its database.
    #[error("{}: a write-ahead log, so the file beside it is not all of its database; make a backup of that with 'netbird-auth backup'", .0.display())]
    HasLog(PathBuf),
    /// The database is the restored one, and the last sync failed.
    #[error("{}: restored{}, but that may not be on the disk yet: restore once more when it is well ({source})", .database.display(), former_text(.former.as_deref()))]
    NotSynced {
        /// The database.
        database: PathBuf,
        /// Where the former database is, if there was one.
        former: Option<PathBuf>,
        /// What the disk says.
        source: Box<StoreError>,
    },
    /// The database was to be restored from itself.
    #[error("{}: this is the database itself; name a backup", .0.display())]
    IsDatabase(PathBuf),
}

fn former_text(path: Option<&Path>) -> String {
    path.map_or_else(String::new, |path| {
        format!(" (the former database is now {})", path.display())
    })
}

//! The database file: the only SQL of the project, one function a query, and the care for the file.

mod audit;
mod columns;
mod copy;
mod create;
mod identity;
mod inspect;
mod migrate;
mod open;
mod paths;
mod readers;
mod retention;
mod tokens;
mod users;
mod work;

pub use audit::{
    Activity, AuditEvent, ChangedRows, Initiator, NewAuditEvent, audit_page, changed_since,
    insert_audit, last_audit_number,
};
pub use copy::{Contents, check_whole, copy_database};
pub(crate) use create::unfinished;
pub use create::{create_database, discard_unfinished, is_unfinished};
pub(crate) use identity::refuse_foreign_log;
pub use identity::{FileIdentity, ServerLock};
pub use inspect::{Presence, inspect, recognise, restoring};
pub use migrate::{migrate, rewrite_version};
pub use open::{believe_log, empty_log, open_as_it_is, open_writer};
pub use paths::write_new_private_file;
pub(crate) use paths::{beside, folder_of, io, make_folder, real, sync_directory};
pub use readers::{Reader, Readers};
pub use retention::{Retention, delete_old_audit, has_old_audit};
pub use tokens::{
    LoadedToken, NewToken, Token, count_tokens, delete_token, hashes_of_user, insert_token,
    last_owner_token_expiry, load_tokens, save_last_used, token_by_id, token_by_number,
    token_id_owner, tokens_of_user,
};
pub use users::{
    NewUser, Origin, approve_user, delete_user, email_is_taken, insert_user, load_users, owner,
    save_last_login, save_login, update_user, user_by_id, user_by_number,
};
pub use work::{Progress, Stage, Work};

use std::path::{Path, PathBuf};

/// What can go wrong with the database. Its text names the file and the next step; it is for the
/// operator, never for a client.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no file.
    #[error("{}: no such database; name the server's by --config or NETBIRD_AUTH_DATABASE__PATH, or make a new one with 'netbird-auth serve'", absolute(.0).display())]
    Missing(PathBuf),
    /// Empty, garbage, or another program's.
    #[error("{}: not a database of netbird-auth ({why}); it was left as it is: name another file in [database] path, restore a backup, or remove it if it is of no use", .path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        why: &'static str,
    },
    /// Written by a newer release.
    #[error("{}: written by a newer netbird-auth (schema {found}, this one knows {known}); it was left as it is: run the newer release", .path.display())]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: u32,
        /// The newest that this binary knows.
        known: u32,
    },
    /// A write-ahead log without its database.
    #[error("{}: missing, but its write-ahead log {}-wal is there; restore the database, or move the log away to start anew", .0.display(), .0.display())]
    OrphanLog(PathBuf),
    /// The log of a file that had the name before.
    #[error("{}: another file than the one whose write-ahead log {} is; put that one back, or, if it was replaced on purpose, move the log away", .path.display(), .log.display())]
    ForeignLog {
        /// The database.
        path: PathBuf,
        /// The log beside it.
        log: PathBuf,
    },
    /// A link whose file is missing.
    #[error("{}: a link to a file that is missing; is its disk mounted?", .0.display())]
    DanglingLink(PathBuf),
    /// The file or its folder can't be written.
    #[error("{}: read-only; make it writable for this user", .0.display())]
    ReadOnly(PathBuf),
    /// Another server holds the lock.
    #[error("{}: in use by another netbird-auth server; stop it first", .0.display())]
    InUse(PathBuf),
    /// The path names a file that was replaced or deleted while it was in use.
    #[error("{}: it, or its write-ahead log, was replaced or deleted while in use; restart the server to use what is there now", .0.display())]
    Replaced(PathBuf),
    /// A file that would be overwritten.
    #[error("{}: exists already; move it away, or name another", .0.display())]
    Exists(PathBuf),
    /// The operating system refused.
    #[error("{}: {source}{}", .path.display(), hint(.source))]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What SQLite's own check found, in its words.
    #[error("{}: damaged ({what}); restore a backup that is whole", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The first thing that is wrong.
        what: String,
    },
    /// A file that is nobody else's is locked.
    #[error("{}: locked by another program; stop that and try again", .0.display())]
    Busy(PathBuf),
    /// A restore moved the database away and was killed before its end.
    #[error("{}: missing, since a restore was killed before its end; run 'netbird-auth restore' again", .0.display())]
    RestoreUnfinished(PathBuf),
    /// The disk of a copy is too full for it.
    #[error("{}: no room on that disk, {megabytes} MB are needed; make room there, or name another disk", .path.display())]
    NoRoom {
        /// The copy.
        path: PathBuf,
        /// Of all of it.
        megabytes: u64,
    },
    /// The database's log grew too long meanwhile.
    #[error("{}: called off, since that disk is so slow that the database's log fills its own; name another disk", .0.display())]
    TooSlow(PathBuf),
    /// Called off, as by a stop of the server.
    #[error("called off")]
    Cancelled,
    /// No randomness.
    #[error("the operating system gives no randomness: {0}")]
    Randomness(#[from] getrandom::Error),
    /// SQLite refused: locked, full, damaged …
    #[error("database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The same, where the file is known.
    #[error("{}: {}", .path.display(), explain(.source))]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// SQLite gave the transaction up in the middle.
    #[error("database: a full or failing disk undid the transaction")]
    TransactionLost,
    /// No reader came free.
    #[error("database readers: {0}")]
    Readers(#[from] r2d2::Error),
    /// None could be opened.
    #[error("{}: {source}{FAILING}", .path.display())]
    NoReaders {
        /// The file.
        path: PathBuf,
        /// Why.
        source: r2d2::Error,
    },
}

impl StoreError {
    /// Names the file in what SQLite says.
    #[must_use]
    pub fn at(self, path: &Path) -> Self {
        match self {
            Self::Sqlite(source) => Self::File {
                path: path.to_owned(),
                source,
            },
            other => other,
        }
    }
}

/// What is wrong with a copy is wrong with what it is of; what the disk says of the copy is not.
pub(crate) fn damage_of(original: &Path) -> impl Fn(StoreError) -> StoreError + '_ {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    let path = || original.to_owned();
    move |error| match error {
        StoreError::Damaged { what, .. } => StoreError::Damaged { path: path(), what },
        StoreError::File { source, .. }
            if matches!(
                source.sqlite_error_code(),
                Some(DatabaseCorrupt | NotADatabase)
            ) =>
        {
            StoreError::File {
                path: path(),
                source,
            }
        }
        error => error.at(original),
    }
}

/// Which file a relative path means, for somebody who is in the wrong folder.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// What to do about a disk that does not say more.
const FAILING: &str = "; look at the disk (dmesg may say more), then try again";

fn hint(error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::PermissionDenied => "; run it as the user that owns it",
        ErrorKind::StorageFull => "; make room, then try again",
        ErrorKind::ReadOnlyFilesystem => "; make it writable, then try again",
        _ if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => FAILING,
        _ => "",
    }
}

/// What SQLite says, and the next step.
fn explain(error: &rusqlite::Error) -> String {
    use rusqlite::ErrorCode;
    let hint = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program holds it; stop that or wait, and try again"
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            "the file is damaged: restore a backup"
        }
        Some(ErrorCode::DiskFull) => "the disk is full: make room",
        Some(ErrorCode::ReadOnly) => "make the file and its folder writable for this user",
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => {
            return format!("{error}{FAILING}");
        }
        _ => return error.to_string(),
    };
    format!("{error}; {hint}")
}

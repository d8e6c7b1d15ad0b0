//! Making a new database, whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

use super::StoreError;
use super::migrate;
use super::open::connect;
use super::paths::{beside, io, sync_directory};

/// Makes a new database with whatever `fill` puts in, or none: it is built under a temporary name,
/// synced and renamed, so a kill at any moment leaves nothing that a later start would refuse. What
/// it has left then, or when it fails, is thrown away by the next one.
///
/// # Errors
/// What the disk, SQLite or `fill` says.
pub fn create_database<T, E: From<StoreError>>(
    path: &Path,
    fill: impl FnOnce(&Connection) -> Result<T, E>,
) -> Result<T, E> {
    let temporary = unfinished(path);
    let made = build(&temporary, fill)?;
    fs::rename(&temporary, path).map_err(io(path))?;
    if let Err(error) = sync_directory(path) {
        // Whoever is told that it failed has no token: it must not be there after all.
        remove_database(path);
        return Err(error.into());
    }
    Ok(made)
}

/// Removes what a [`create_database`] that failed or was killed has left.
pub fn discard_unfinished(path: &Path) {
    remove_database(&unfinished(path));
}

/// Whether a [`create_database`] failed or was killed before its end.
pub fn is_unfinished(path: &Path) -> bool {
    unfinished(path).exists()
}

fn build<T, E: From<StoreError>>(
    temporary: &Path,
    fill: impl FnOnce(&Connection) -> Result<T, E>,
) -> Result<T, E> {
    let failed = |error: rusqlite::Error| StoreError::from(error).at(temporary);
    // The server's lock is held: what stands here was left by a kill.
    remove_database(temporary);
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(temporary)
        .map_err(io(temporary))?;
    let connection = connect(temporary, Duration::ZERO).map_err(|error| error.at(temporary))?;
    // The rollback journal, because its COMMIT is the last write: a write-ahead log would be moved
    // into the file by the closing, which does not say when the disk was too full for that.
    connection
        .execute_batch("PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL;")
        .map_err(failed)?;
    let transaction = connection.unchecked_transaction().map_err(failed)?;
    migrate::make(&transaction).map_err(failed)?;
    let made = fill(&transaction)?;
    transaction.commit().map_err(failed)?;
    connection.close().map_err(|(_, error)| failed(error))?;
    File::open(temporary)
        .and_then(|file| file.sync_all())
        .map_err(io(temporary))?;
    Ok(made)
}

/// The name under which a file is built: one that nobody else chooses.
pub(crate) fn unfinished(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".unfinished");
    path.with_file_name(name)
}

fn remove_database(path: &Path) {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let _ = fs::remove_file(beside(path, suffix));
    }
}

//! All of a database at once: a copy of it as it is at one moment, and whether a file is whole.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ErrorCode};

use super::StoreError;
use super::open::connect;
use super::paths::{beside, io, real};
use super::work::{Stage, Work};

/// Pages of one step, 4 MiB: between two steps the work can be called off.
const STEP: i32 = 1024;

/// Between two looks at whether a check was called off: pages in the check of a table, instructions of
/// SQLite's virtual machine elsewhere.
const CHECK_STEP: i32 = 1_000;

/// How long the write-ahead log may get while a copy holds it, in bytes, beside the length of the database: a
/// copy on a disk that has stopped would fill the database's own.
const LONGEST_LOG: u64 = 1 << 30;

/// What is in a database that was found whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contents {
    /// How many.
    pub users: u32,
    /// How many, expired ones too.
    pub tokens: u32,
}

/// Copies a database into an empty file, as it is at one moment, by SQLite's online backup. Others may
/// write meanwhile. `target` is the file that `path` names; its last pages may not be on the disk yet.
///
/// # Errors
/// What SQLite or the disk says; [`StoreError::NoRoom`]; [`StoreError::TooSlow`]; [`StoreError::Cancelled`].
pub fn copy_database(
    source: &Connection,
    path: &Path,
    target: &File,
    work: &Work,
) -> Result<(), StoreError> {
    let page_size: u32 = source.pragma_query_value(None, "page_size", |row| row.get(0))?;
    // One snapshot from the first page to the last. Without it SQLite begins anew at each commit of
    // somebody else, and beside a busy server never ends.
    let moment = source.unchecked_transaction()?;
    moment.query_row("SELECT count(*) FROM sqlite_schema", (), |_| Ok(()))?;
    let named = |error: rusqlite::Error| StoreError::from(error).at(path);
    let mut copy = connect(path, Duration::ZERO).map_err(|error| error.at(path))?;
    // Of no use before it is whole and synced by whoever asked for it.
    copy.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
        .map_err(named)?;
    let backup = Backup::new(&moment, &mut copy).map_err(named)?;
    work.begin(Stage::Copying, 0);
    let log = beside(&real(Path::new(source.path().unwrap_or_default())), "-wal");
    loop {
        let step = backup.step(STEP).map_err(named)?;
        let progress = backup.progress();
        let bytes = |pages: i32| u64::try_from(pages).unwrap_or(0) * u64::from(page_size);
        let total = bytes(progress.pagecount);
        if work.progress().total != total {
            work.begin(Stage::Copying, total);
            has_room(target, path, total)?;
        }
        // No checkpoint empties it as long as the snapshot is held.
        if std::fs::metadata(&log).is_ok_and(|log| log.len() > LONGEST_LOG + total) {
            return Err(StoreError::TooSlow(path.to_owned()));
        }
        work.reached(total - bytes(progress.remaining))?;
        // Piece by piece: all of a large file at once would keep the server's own syncs waiting.
        target.sync_data().map_err(io(path))?;
        match step {
            StepResult::Done => break,
            StepResult::More => {}
            // The target is nobody else's, and the source has its snapshot.
            _ => return Err(StoreError::Busy(path.to_owned())),
        }
    }
    drop(backup);
    moment.commit()?;
    by_itself(&copy).map_err(named)?;
    copy.close().map_err(|(_, error)| named(error))
}

/// A disk that is full in the midst of it would be full for everything else there too.
fn has_room(target: &File, path: &Path, needed: u64) -> Result<(), StoreError> {
    let disk = rustix::fs::fstatvfs(target).map_err(|error| io(path)(error.into()))?;
    match disk.f_bavail.saturating_mul(disk.f_frsize) {
        // With a file system that doesn't tell, it is tried.
        room if room >= needed || disk.f_blocks == 0 => Ok(()),
        _ => Err(StoreError::NoRoom {
            path: path.to_owned(),
            megabytes: needed.div_ceil(1_000_000),
        }),
    }
}

/// Reads all of a file that nobody else uses, and says what is in it. It is left as one file that
/// needs none beside it.
///
/// # Errors
/// [`StoreError::Damaged`], what SQLite says, [`StoreError::Cancelled`].
pub fn check_whole(path: &Path, work: &Arc<Work>) -> Result<Contents, StoreError> {
    work.begin(Stage::Checking, 0);
    read_all(path, work).map_err(|error| match error {
        StoreError::Sqlite(error) if work.is_cancelled() && is_interrupted(&error) => {
            StoreError::Cancelled
        }
        error => error.at(path),
    })
}

fn read_all(path: &Path, work: &Arc<Work>) -> Result<Contents, StoreError> {
    let connection = connect(path, Duration::ZERO)?;
    connection.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;")?;
    let looked_at = Arc::clone(work);
    connection.progress_handler(CHECK_STEP, Some(move || looked_at.is_cancelled()))?;
    let damaged = |what: String| StoreError::Damaged {
        path: path.to_owned(),
        what,
    };
    let found: String = connection.query_row("PRAGMA integrity_check(1)", (), |row| row.get(0))?;
    if found != "ok" {
        // "*** in database main ***" on a line of its own, then what is wrong.
        return Err(damaged(found.lines().last().unwrap_or_default().to_owned()));
    }
    let foreign_keys = "SELECT count(*) FROM pragma_foreign_key_check";
    let orphans: u32 = connection.query_row(foreign_keys, (), |row| row.get(0))?;
    if orphans > 0 {
        return Err(damaged(format!("rows that belong to nothing: {orphans}")));
    }
    let counts = "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM tokens),
                         (SELECT count(*) FROM token_usage), (SELECT count(*) FROM audit_events)";
    let contents = connection.query_row(counts, (), |row| {
        Ok(Contents {
            users: row.get(0)?,
            tokens: row.get(1)?,
        })
    })?;
    connection.progress_handler(0, None::<fn() -> bool>)?;
    by_itself(&connection)?;
    connection
        .close()
        .map_err(|(_, error)| StoreError::from(error))?;
    Ok(contents)
}

/// A file in WAL mode can't even be read without two more beside it. The server turns it on again.
fn by_itself(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "DELETE")
}

fn is_interrupted(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_without_room_for_all_of_it_is_told_before_it_is_full() {
        let file = tempfile::tempfile().unwrap();
        let room = |needed| has_room(&file, Path::new("/a"), needed);
        assert!(room(1).is_ok());
        let told = room(u64::MAX / 2).unwrap_err().to_string();
        assert!(told.starts_with("/a: no room on that disk"), "{told}");
    }
}

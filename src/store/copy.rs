//! All of a database at once: a copy of it as it is at one moment, and whether a file is whole.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ErrorCode};

use super::StoreError;
use super::open::connect;
use super::paths::io;
use super::work::{Stage, Work};

/// Pages of one step, 4 MiB: between two steps the work can be called off.
const STEP: i32 = 1024;

/// Virtual machine instructions of SQLite between two looks at whether a check was called off.
const CHECK_STEP: i32 = 100_000;

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
/// What SQLite or the disk says; [`StoreError::Cancelled`].
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
    loop {
        let step = backup.step(STEP).map_err(named)?;
        let progress = backup.progress();
        let bytes = |pages: i32| u64::try_from(pages).unwrap_or(0) * u64::from(page_size);
        let total = bytes(progress.pagecount);
        if work.progress().total != total {
            work.begin(Stage::Copying, total);
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

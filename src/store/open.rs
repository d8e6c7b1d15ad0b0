//! The connection that writes, and one that looks at a file as it is; those that read are in `readers`.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::StoreError;
use super::identity::refuse_foreign_log;
use super::inspect::{Presence, inspect};
use super::paths::{beside, real};

/// Opens the one connection that writes, brought to the newest schema.
///
/// `patience` is how long a statement waits for another process's lock. A log that a kill has left is read, and
/// stays a file of its own until [`believe_log`]: whoever copied a database over another one can still take the
/// other's log away.
///
/// # Errors
/// A file that is missing, not ours, read-only, locked or damaged.
pub fn open_writer(path: &Path, patience: Duration) -> Result<Connection, StoreError> {
    if inspect(path)? == Presence::Absent {
        return Err(StoreError::Missing(path.to_owned()));
    }
    prepare(path, patience).map_err(|error| error.at(path))
}

fn prepare(path: &Path, patience: Duration) -> Result<Connection, StoreError> {
    let has_log = beside(&real(path), "-wal").exists();
    let mut connection = connect(path, patience)?;
    if connection.is_readonly("main")? {
        return Err(StoreError::ReadOnly(path.to_owned()));
    }
    // A file that is refused below stays as it is: closing must not play a log into it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_log)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA trusted_schema = OFF;
         PRAGMA cell_size_check = ON;
         PRAGMA journal_size_limit = 16777216;",
    )?;
    super::migrate(&mut connection, path)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Moves the write-ahead log into the database that is open, whatever its name is by now, and empties
/// it; whether nobody was in the way.
///
/// # Errors
/// What the disk says.
pub fn empty_log(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| {
        Ok(row.get::<_, i64>(0)? == 0)
    })
}

/// What is in the database was read, with the log that lay beside it, and fits together: from now on that is
/// moved into the file, at the latest when the connection is closed.
///
/// # Errors
/// What SQLite says.
pub fn believe_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok(())
}

/// Opens a database to look at it as it is: nothing is migrated, and a log that was left is not played
/// in. No file of another owner is left beside it, as a connection that only reads would do.
///
/// # Errors
/// When the file can't be opened.
pub fn open_as_it_is(path: &Path) -> Result<Connection, StoreError> {
    let has_log = beside(&real(path), "-wal").exists();
    let connection = connect(path, Duration::ZERO)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_log)?;
    Ok(connection)
}

/// A connection that reads and writes an existing file, and plays no other's log into it.
pub(super) fn connect(path: &Path, patience: Duration) -> Result<Connection, StoreError> {
    refuse_foreign_log(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(patience)?;
    Ok(connection)
}

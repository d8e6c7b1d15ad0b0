//! The connections: one that writes, and a pool of those that read.

use std::path::Path;
use std::time::Duration;

use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::inspect::{Presence, inspect};
use super::paths::{beside, real};
use super::{Readers, StoreError};

const READERS: u32 = 4;

/// Opens the one connection that writes, brought to the newest schema.
///
/// `patience` is how long a statement waits for another process's lock.
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
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
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

/// Opens the pool of readers. The writer's connection must be open already: it sets the journal.
///
/// # Errors
/// When the file can't be opened.
pub fn open_readers(path: &Path) -> Result<Readers, StoreError> {
    let manager = SqliteConnectionManager::file(path)
        .with_flags(OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .with_init(|connection| {
            connection.execute_batch(
                "PRAGMA query_only = ON; PRAGMA busy_timeout = 1000; PRAGMA trusted_schema = OFF;
                 PRAGMA cell_size_check = ON; SELECT 1 FROM sqlite_schema;",
            )
        });
    r2d2::Pool::builder()
        .max_size(READERS)
        // Opened now and kept, and read from (which opens the write-ahead log): later, whatever file
        // has the name by then would be opened.
        .min_idle(None)
        .max_lifetime(None)
        .idle_timeout(None)
        .connection_timeout(Duration::from_secs(2))
        .test_on_check_out(false)
        .build(manager)
        .map_err(|source| StoreError::NoReaders {
            path: path.to_owned(),
            source,
        })
}

/// A connection that reads and writes an existing file.
pub(super) fn connect(path: &Path, patience: Duration) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(patience)?;
    Ok(connection)
}

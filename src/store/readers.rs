//! The pool of connections that only read.

use std::path::Path;
use std::time::Duration;

use r2d2::ManageConnection;
use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::OpenFlags;

use super::StoreError;

const READERS: u32 = 4;
/// For all of them to open: a machine that does other work, or a disk that has to spin up, is no reason to
/// end a start.
const OPENED_WITHIN: Duration = Duration::from_secs(10);
/// For one to come free: a client waits for it.
const FREE_WITHIN: Duration = Duration::from_secs(2);

/// A few connections that only read, opened at the start and kept.
pub struct Readers(r2d2::Pool<SqliteConnectionManager>);

/// One of them, until it is dropped.
pub type Reader = r2d2::PooledConnection<SqliteConnectionManager>;

impl Readers {
    /// Opens them. The writer's connection must be open already: it sets the journal.
    ///
    /// # Errors
    /// When the file can't be opened.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let manager = SqliteConnectionManager::file(path)
            .with_flags(OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .with_init(|connection| {
                connection.execute_batch(
                    "PRAGMA query_only = ON; PRAGMA busy_timeout = 1000; PRAGMA trusted_schema = OFF;
                     PRAGMA cell_size_check = ON; SELECT 1 FROM sqlite_schema;",
                )
            });
        // The pool tries again and again: one that can't be opened at all is told at once, and why.
        manager
            .connect()
            .map_err(|error| StoreError::from(error).at(path))?;
        r2d2::Pool::builder()
            .max_size(READERS)
            // Opened now and kept, and read from (which opens the write-ahead log): later, whatever file
            // has the name by then would be opened.
            .min_idle(None)
            .max_lifetime(None)
            .idle_timeout(None)
            .connection_timeout(OPENED_WITHIN)
            .test_on_check_out(false)
            .build(manager)
            .map(Self)
            .map_err(|source| StoreError::NoReaders {
                path: path.to_owned(),
                source,
            })
    }

    /// A reader that is free, or that comes free in two seconds.
    ///
    /// # Errors
    /// [`StoreError::Readers`].
    pub fn get(&self) -> Result<Reader, StoreError> {
        Ok(self.0.get_timeout(FREE_WITHIN)?)
    }
}

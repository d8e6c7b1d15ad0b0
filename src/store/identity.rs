//! Whose the database is, and whether it is still the same.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::StoreError;
use super::paths::{beside, folder_of, io, real};

/// The right to serve a database: an exclusive `flock` on `<database>.lock`, held until dropped.
pub struct ServerLock {
    _file: File,
}

impl ServerLock {
    /// Takes the lock; makes the database's folder (0700) where it is missing.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another server has it.
    pub fn acquire(database: &Path) -> Result<Self, StoreError> {
        let folder = folder_of(database);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(io(folder))?;
        // By the real name: a second name (a link) is no second database.
        let path = beside(&real(database), ".lock");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io(&path))?;
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(StoreError::InUse(database.to_owned())),
            Err(error) => Err(io(&path)(error.into())),
        }
    }
}

/// Device and inode of the database and of its write-ahead log: others there mean that the files
/// were replaced, which SQLite does not see. What is written to them then is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileIdentity {
    database: (u64, u64),
    log: (u64, u64),
}

impl FileIdentity {
    /// What is there now. The database must be open: only then it surely has a log.
    ///
    /// # Errors
    /// [`StoreError::Replaced`] when one of them is missing.
    pub fn of(path: &Path) -> Result<Self, StoreError> {
        let identity = |file: &Path| match fs::metadata(file) {
            Ok(metadata) => Ok((metadata.dev(), metadata.ino())),
            Err(_) => Err(StoreError::Replaced(path.to_owned())),
        };
        Ok(Self {
            database: identity(path)?,
            log: identity(&beside(&real(path), "-wal"))?,
        })
    }
}

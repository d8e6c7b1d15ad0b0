//! Opening, making, locking and recognising the database file.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::migrate::{LATEST, SCHEMA};
use super::{Readers, StoreError};

const APPLICATION_ID: u32 = 0x6e62_6175;
/// SQLite's header: magic at 0, user_version at 60, application_id at 68, big-endian.
/// <https://www.sqlite.org/fileformat2.html#the_database_header>
const HEADER_LENGTH: usize = 100;
const READERS: u32 = 4;

/// Whether there is a database at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Nothing is there.
    Absent,
    /// A database of this program.
    Ours,
}

/// Looks at a file without SQLite, so that a file of another program is never touched. To be called
/// before SQLite opens the file only: closing a second descriptor would drop SQLite's locks.
///
/// # Errors
/// Anything there that is not a database of this program and version, or can't be written.
pub fn inspect(path: &Path) -> Result<Presence, StoreError> {
    let not_ours = |why| StoreError::NotOurs {
        path: path.to_owned(),
        why,
    };
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if fs::symlink_metadata(path).is_ok() {
                // A volume that is not mounted, say: a new database would hide the old one.
                return Err(StoreError::DanglingLink(path.to_owned()));
            }
            if beside(path, "-wal").exists() {
                return Err(StoreError::OrphanLog(path.to_owned()));
            }
            return Ok(Presence::Absent);
        }
        Err(error) => return Err(io(path)(error)),
    };
    if !metadata.is_file() {
        return Err(not_ours("it is not a file"));
    }
    if metadata.len() == 0 {
        // SQLite would take it for a fresh database, and every token were silently gone.
        return Err(not_ours("it is empty"));
    }
    let mut header = [0u8; HEADER_LENGTH];
    let whole = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    match whole {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            return Err(not_ours("it is too short for a database"));
        }
        Err(error) => return Err(io(path)(error)),
    }
    if !header.starts_with(b"SQLite format 3\0") {
        return Err(not_ours("it is not an SQLite file"));
    }
    if number_at(&header, 68) != APPLICATION_ID {
        return Err(not_ours("it is another program's SQLite file"));
    }
    let found = number_at(&header, 60);
    if found > LATEST {
        return Err(StoreError::TooNew {
            path: path.to_owned(),
            found,
            known: LATEST,
        });
    }
    // Root may write it all the same; but whoever took the bits away meant it.
    if metadata.permissions().readonly() {
        return Err(StoreError::ReadOnly(path.to_owned()));
    }
    Ok(Presence::Ours)
}

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
    // The server's lock is held: what stands here was left by a kill.
    remove_database(temporary);
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(temporary)
        .map_err(io(temporary))?;
    let connection = connect(temporary, Duration::ZERO)?;
    // The rollback journal, because its COMMIT is the last write: a write-ahead log would be moved
    // into the file by the closing, which does not say when the disk was too full for that.
    connection
        .execute_batch("PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL;")
        .map_err(StoreError::from)?;
    let transaction = connection
        .unchecked_transaction()
        .map_err(StoreError::from)?;
    transaction
        .execute_batch(SCHEMA)
        .map_err(StoreError::from)?;
    let made = fill(&transaction)?;
    transaction.commit().map_err(StoreError::from)?;
    connection
        .close()
        .map_err(|(_, error)| StoreError::from(error))?;
    File::open(temporary)
        .and_then(|file| file.sync_all())
        .map_err(io(temporary))?;
    Ok(made)
}

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
    Ok(r2d2::Pool::builder()
        .max_size(READERS)
        // Opened now and kept, and read from (which opens the write-ahead log): later, whatever file
        // has the name by then would be opened.
        .min_idle(None)
        .max_lifetime(None)
        .idle_timeout(None)
        .connection_timeout(Duration::from_secs(2))
        .test_on_check_out(false)
        .build(manager)?)
}

fn connect(path: &Path, patience: Duration) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(patience)?;
    Ok(connection)
}

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

/// Writes a file that must not exist, readable for this user only, and syncs it and its folder.
///
/// # Errors
/// What the disk says; [`StoreError::Exists`] when the file is there.
pub fn write_new_private_file(path: &Path, parts: &[&[u8]]) -> Result<(), StoreError> {
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| {
            parts.iter().try_for_each(|part| file.write_all(part))?;
            file.sync_all()
        });
    let written = match written {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(StoreError::Exists(path.to_owned()));
        }
        written => written.map_err(io(path)),
    };
    written
        .and_then(|()| sync_directory(path))
        .inspect_err(|_| {
            // Half a file is of no use to anybody, and would be in the way next time.
            let _ = fs::remove_file(path);
        })
}

/// Syncs the folder of a file, so that its name survives a power cut.
fn sync_directory(file: &Path) -> Result<(), StoreError> {
    let folder = folder_of(file);
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(io(folder))
}

fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The name under which a database is built: one that nobody else chooses.
fn unfinished(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".unfinished");
    path.with_file_name(name)
}

/// The file's own name, where a path is a link to it: SQLite puts its further files beside that one.
fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn remove_database(path: &Path) {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let _ = fs::remove_file(beside(path, suffix));
    }
}

fn number_at(header: &[u8; HEADER_LENGTH], offset: usize) -> u32 {
    header
        .get(offset..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> StoreError + '_ {
    move |source| StoreError::Io {
        path: path.to_owned(),
        source,
    }
}

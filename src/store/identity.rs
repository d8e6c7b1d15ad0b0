//! Whose the database is, and whether it is still the same.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::StoreError;
use super::paths::{beside, folder_of, io as at, make_folder, real};

/// The right to serve a database: an exclusive `flock` on `<database>.lock`, held until dropped.
pub struct ServerLock {
    file: File,
    path: PathBuf,
}

impl ServerLock {
    /// Takes the lock; makes the database's folder (0700) where it is missing.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another server has it.
    pub fn acquire(database: &Path) -> Result<Self, StoreError> {
        let folder = folder_of(database);
        make_folder(folder)?;
        // By the real name: a second name (a link) is no second database.
        let path = beside(&real(database), ".lock");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(at(&path))?;
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { file, path }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(StoreError::InUse(database.to_owned())),
            Err(error) => Err(at(&path)(error.into())),
        }
    }

    /// Notes in the lock file which database is served, and with which log: where that is left by a kill, the
    /// note tells whose it is. To be called before the database is opened, so that a note of another one is
    /// gone, and when it is open and has its log.
    ///
    /// # Errors
    /// [`StoreError::ForeignLog`]; what the disk says.
    pub fn note(&self, database: &Path) -> Result<(), StoreError> {
        refuse_foreign_log(database)?;
        let served = fs::metadata(database).map_err(at(database))?;
        let log = fs::metadata(beside(&real(database), "-wal")).ok();
        let note = || {
            let note = Note {
                lock: identity(&self.file.metadata()?),
                database: identity(&served),
                log: log.as_ref().map_or([0; 3], identity),
            };
            if Note::read(&self.file)? == Some(note) {
                return Ok(());
            }
            self.file.write_all_at(note.text().as_bytes(), 0)?;
            self.file.sync_all()
        };
        note().map_err(at(&self.path))
    }
}

/// Device, inode and time of birth, in nanoseconds since 1970 and 0 where the file system does not know it: a
/// file that is made when another is deleted often gets its inode.
pub type Identity = [u64; 3];

fn identity(metadata: &Metadata) -> Identity {
    let born = metadata.created().ok();
    let born = born.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let nanoseconds = born.and_then(|time| u64::try_from(time.as_nanos()).ok());
    [metadata.dev(), metadata.ino(), nanoseconds.unwrap_or(0)]
}

/// What a server wrote into its lock file: that file, the database, its log (zeros for none). Where the
/// lock file or the log is another one, as in a copy of the folder, the note says nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Note {
    lock: Identity,
    database: Identity,
    log: Identity,
}

impl Note {
    /// Always of one length, so that a new note covers the former; with a check, so that what a power cut
    /// left of both is none.
    fn text(&self) -> String {
        let numbers = [self.lock, self.database, self.log].concat();
        let numbers: Vec<String> = numbers.iter().map(|n| format!("{n:016x}")).collect();
        let numbers = numbers.join(" ");
        let check = crc32fast::hash(numbers.as_bytes());
        format!("{numbers} {check:08x}\n")
    }

    fn read(file: &File) -> io::Result<Option<Self>> {
        let mut text = [0; 256];
        let length = file.read_at(&mut text, 0)?;
        let text = text.get(..length).unwrap_or_default();
        Ok(std::str::from_utf8(text).ok().and_then(Self::parse))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split(' ').map(|word| u64::from_str_radix(word, 16));
        let mut next = || {
            Some([
                numbers.next()?.ok()?,
                numbers.next()?.ok()?,
                numbers.next()?.ok()?,
            ])
        };
        let note = Self {
            lock: next()?,
            database: next()?,
            log: next()?,
        };
        (note.text() == text).then_some(note)
    }
}

/// A log that a kill left belongs to the database that was served then. If another file has the name by
/// now, SQLite would play the log into that one.
///
/// # Errors
/// [`StoreError::ForeignLog`].
pub(crate) fn refuse_foreign_log(database: &Path) -> Result<(), StoreError> {
    let path = real(database);
    let log = beside(&path, "-wal");
    let of_another = || {
        let left = fs::metadata(&log).ok().filter(|left| left.len() > 0)?;
        let lock = File::open(beside(&path, ".lock")).ok()?;
        let note = Note::read(&lock).ok()??;
        let is_noted = identity(&lock.metadata().ok()?) == note.lock && identity(&left) == note.log;
        Some(is_noted && identity(&fs::metadata(&path).ok()?) != note.database)
    };
    match of_another() {
        Some(true) => Err(StoreError::ForeignLog {
            path: database.to_owned(),
            log,
        }),
        _ => Ok(()),
    }
}

/// Which files the database and its write-ahead log are: others there mean that the files
/// were replaced, which SQLite does not see. What is written to them then is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileIdentity {
    database: Identity,
    log: Identity,
}

impl FileIdentity {
    /// What is there now. The database must be open: only then it surely has a log.
    ///
    /// # Errors
    /// [`StoreError::Replaced`] when one of them is missing; what the disk says.
    pub fn of(path: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            database: Self::of_one(path, path)?,
            log: Self::of_one(path, &beside(&real(path), "-wal"))?,
        })
    }

    /// What the database itself is now, open or not.
    ///
    /// # Errors
    /// As [`FileIdentity::of`].
    pub fn of_database(path: &Path) -> Result<Identity, StoreError> {
        Self::of_one(path, path)
    }

    /// Whether it is that database.
    pub fn is_of(&self, database: Identity) -> bool {
        self.database == database
    }

    fn of_one(path: &Path, file: &Path) -> Result<Identity, StoreError> {
        match fs::metadata(file) {
            Ok(metadata) => Ok(identity(&metadata)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(StoreError::Replaced(path.to_owned()))
            }
            Err(error) => Err(at(file)(error)),
        }
    }
}

//! Recognising the database file without SQLite.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::StoreError;
use super::migrate::LATEST;
use super::paths::{beside, io, real};

const APPLICATION_ID: u32 = 0x6e62_6175;
/// SQLite's header: magic at 0, user_version at 60, application_id at 68, big-endian.
/// <https://www.sqlite.org/fileformat2.html#the_database_header>
const HEADER_LENGTH: usize = 100;

/// Whether there is a database at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Nothing is there.
    Absent,
    /// A database of this program.
    Ours,
}

/// Looks at the place of the server's database. To be called before SQLite opens the file only: closing
/// a second descriptor would drop SQLite's locks.
///
/// # Errors
/// As [`recognise`]; a file that can't be written; nothing where something surely was.
pub fn inspect(path: &Path) -> Result<Presence, StoreError> {
    // Before a link to it is said to lead nowhere.
    if !path.exists() && restoring(path).exists() {
        return Err(StoreError::RestoreUnfinished(path.to_owned()));
    }
    let presence = recognise(path)?;
    match presence {
        Presence::Absent if beside(path, "-wal").exists() => {
            return Err(StoreError::OrphanLog(path.to_owned()));
        }
        Presence::Absent => {}
        // Root may write it all the same; but whoever took the bits away meant it.
        Presence::Ours => {
            let metadata = fs::metadata(path).map_err(io(path))?;
            if metadata.permissions().readonly() {
                return Err(StoreError::ReadOnly(path.to_owned()));
            }
        }
    }
    Ok(presence)
}

/// Under which name a restore prepares the new database. As long as it is there and the database is
/// not, no new one may be made: the restore has to be finished.
pub fn restoring(database: &Path) -> PathBuf {
    beside(&real(database), ".restoring")
}

/// Looks at a file without SQLite, so that a file of another program is never touched.
///
/// # Errors
/// Anything there that is not a database of this program and version.
pub fn recognise(path: &Path) -> Result<Presence, StoreError> {
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
    Ok(Presence::Ours)
}

fn number_at(header: &[u8; HEADER_LENGTH], offset: usize) -> u32 {
    header
        .get(offset..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

//! Making a backup.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use rustix::fs::FlockOperation;

use super::{BackupError, digest};
use crate::store::{self, Contents, StoreError, Work, beside, folder_of, io, real, sync_directory};

/// Writes a backup of an open database to a new file, and its digest beside it. Both are on the disk
/// and read through when this returns; on an error, or after a kill, there is no file of this name.
/// What a kill left is thrown away by the next backup to the same name.
///
/// # Errors
/// [`BackupError`]; [`StoreError::Exists`] where there is a file of this name.
pub fn make(source: &Connection, file: &Path, work: &Arc<Work>) -> Result<Contents, BackupError> {
    let name = file.file_name().unwrap_or_default().as_encoded_bytes();
    // A line of a digest's file is one line.
    if name.is_empty() || name.iter().any(u8::is_ascii_control) {
        return Err(BackupError::NoName(file.to_owned()));
    }
    refuse_own_names(source, file)?;
    let turn = Turn::take(folder_of(file))?;
    let database = Path::new(source.path().unwrap_or_default());
    let copy = |path: &Path, target: &File| store::copy_database(source, path, target, work);
    make_in(&turn, database, file, copy, work)
}

/// A name beside the database that means something to SQLite or to us: a backup would be lost there.
fn refuse_own_names(source: &Connection, file: &Path) -> Result<(), BackupError> {
    let database = real(Path::new(source.path().unwrap_or_default()));
    let place = real(file);
    let taken = ["-wal", "-shm", "-journal", ".lock", ".restoring"];
    match taken
        .iter()
        .any(|suffix| place == beside(&database, suffix))
    {
        true => Err(BackupError::OwnName(file.to_owned())),
        false => Ok(()),
    }
}

/// The same for whoever has the folder already; `copy` fills the empty file that it is given from
/// `source`.
pub(super) fn make_in(
    _: &Turn,
    source: &Path,
    file: &Path,
    copy: impl FnOnce(&Path, &File) -> Result<(), StoreError>,
    work: &Arc<Work>,
) -> Result<Contents, BackupError> {
    refuse_existing(file)?;
    let unfinished = store::unfinished(file);
    let made = write(source, &unfinished, file, copy, work);
    if made.is_err() {
        discard(&unfinished);
    }
    made
}

/// Neither a file nor another one's digest is overwritten.
fn refuse_existing(file: &Path) -> Result<(), BackupError> {
    if fs::symlink_metadata(file).is_ok() {
        return Err(StoreError::Exists(file.to_owned()).into());
    }
    digest::refuse_others(file)
}

fn write(
    source: &Path,
    unfinished: &Path,
    file: &Path,
    copy: impl FnOnce(&Path, &File) -> Result<(), StoreError>,
    work: &Arc<Work>,
) -> Result<Contents, BackupError> {
    discard(unfinished);
    let target = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(unfinished)
        .map_err(io(unfinished))?;
    let contents = copy(unfinished, &target)
        .and_then(|()| store::check_whole(unfinished, work))
        .map_err(store::damage_of(source))?;
    let hash = digest::of_file(unfinished, work)?;
    target.sync_all().map_err(io(unfinished))?;
    // The digest first: a backup has one from its first moment on.
    digest::write(file, &hash)?;
    let name = || {
        // All of that may have taken an hour, in which somebody else made a file.
        refuse_existing(file)?;
        fs::rename(unfinished, file).map_err(io(file))?;
        // Whoever is told that it failed must not find it.
        sync_directory(file).inspect_err(|_| drop(fs::remove_file(file)))?;
        Ok::<_, BackupError>(())
    };
    name().inspect_err(|_| drop(fs::remove_file(digest::path_of(file))))?;
    Ok(contents)
}

/// Removes what a backup that failed or was killed has left.
pub(super) fn discard(unfinished: &Path) {
    for suffix in ["", "-journal", "-wal", "-shm"] {
        let _ = fs::remove_file(beside(unfinished, suffix));
    }
}

/// One backup a folder at a time: an exclusive `flock` on the folder, held until dropped.
pub(super) struct Turn {
    _folder: File,
}

impl Turn {
    pub(super) fn take(folder: &Path) -> Result<Self, BackupError> {
        let opened = File::open(folder).map_err(io(folder))?;
        match rustix::fs::flock(&opened, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _folder: opened }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(BackupError::FolderInUse(folder.to_owned())),
            Err(error) => Err(io(folder)(error.into()).into()),
        }
    }
}

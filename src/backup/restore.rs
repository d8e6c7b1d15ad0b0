//! Bringing a backup back, while no server runs.
//!
//! The former database is moved aside, never deleted. In this order: the new file is made ready under a
//! name of its own; the database, then its write-ahead log, get their new names; the new file gets the
//! database's. A log that met the wrong database would be played into it. From the moment at which the
//! database has no name until the end, the prepared file keeps a server from making a new database.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, lchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::BackupError;
use super::digest::{self, of_copied};
use super::make::discard;
use crate::clock::Timestamp;
use crate::store::{
    self, Contents, Presence, ServerLock, Stage, StoreError, Work, beside, folder_of, io, real,
    sync_directory,
};

/// What tells that a backup is what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// The file beside it, which must be there.
    Required,
    /// Nothing does.
    Ignored,
}

/// What was done.
#[derive(Debug)]
pub struct Restored {
    /// What is in the database now.
    pub contents: Contents,
    /// Where the former database is, if there was one.
    pub former: Option<PathBuf>,
}

/// After the name of a database that a restore has set aside, before the time.
const ASIDE: &str = ".before-restore-";

/// What may stand beside a database and is part of it.
const LOGS: [&str; 2] = ["-wal", "-journal"];

/// Puts a backup in the place of a database. The former one is kept beside it.
///
/// # Errors
/// [`StoreError::InUse`] beside a running server, [`BackupError`] for a backup that is not whole, not
/// ours, of a newer schema, or not what its digest says. The database is then as it was, but where the
/// disk fails between two renames: it has no name then, and the next restore goes on from there; and
/// [`BackupError::NotSynced`].
pub fn restore(
    file: &Path,
    database: &Path,
    digest: Digest,
    now: Timestamp,
    work: &Arc<Work>,
) -> Result<Restored, BackupError> {
    judge_file(file, database)?;
    let prepared = store::restoring(database);
    let goes_on = || prepared.exists() && !database.exists();
    // Before the lock file is made beside it: nothing is left beside another program's file.
    judge_place(database, goes_on())?;
    let _lock = ServerLock::acquire(database)?;
    // Another restore may have been killed meanwhile.
    let goes_on = goes_on();
    judge_place(database, goes_on)?;
    let database = &real(database);
    keep_owner(&beside(database, ".lock"), database);
    let contents = prepare(file, &prepared, database, digest, work).inspect_err(|_| {
        if !goes_on {
            discard(&prepared);
        }
    })?;
    let former = set_aside(database, goes_on, now).inspect_err(|_| {
        // A database that lost its name already needs what bars the way of a new one.
        if fs::symlink_metadata(database).is_ok() {
            discard(&prepared);
        }
    })?;
    fs::rename(&prepared, database).map_err(io(database))?;
    match sync_directory(database) {
        Ok(()) => Ok(Restored { contents, former }),
        Err(source) => Err(BackupError::NotSynced {
            database: database.clone(),
            former,
            source: Box::new(source),
        }),
    }
}

/// A restore that was killed before it touched the database leaves what it prepared. The server's lock
/// must be held, and the database be there.
pub fn forget_killed_restore(database: &Path) {
    discard(&store::restoring(database));
}

/// What can be said of a backup before anything is written.
fn judge_file(file: &Path, database: &Path) -> Result<(), BackupError> {
    if store::recognise(file)? == Presence::Absent {
        return Err(io(file)(std::io::ErrorKind::NotFound.into()).into());
    }
    let identity = |path: &Path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    // What a killed restore prepared would be emptied before it is read.
    for own in [database, &store::restoring(database)] {
        if identity(file) == identity(own) {
            return Err(BackupError::IsDatabase(file.to_owned()));
        }
    }
    for suffix in LOGS {
        let log = beside(&real(file), suffix);
        if fs::metadata(&log).is_ok_and(|metadata| metadata.len() > 0) {
            return Err(BackupError::HasLog(log));
        }
    }
    Ok(())
}

/// A file that is there is kept, whatever it is; but a link to nowhere and a folder are mistakes, unless
/// it was a restore that took the file away.
fn judge_place(database: &Path, goes_on: bool) -> Result<(), StoreError> {
    match store::recognise(database) {
        Err(error @ StoreError::DanglingLink(_)) if !goes_on => Err(error),
        Err(error) if database.exists() && !database.is_file() => Err(error),
        _ => Ok(()),
    }
}

/// Copies the backup and looks at the copy, so that nothing can change in between.
fn prepare(
    file: &Path,
    prepared: &Path,
    database: &Path,
    digest: Digest,
    work: &Arc<Work>,
) -> Result<Contents, BackupError> {
    let expected = match digest {
        Digest::Required => Some(digest::read(file)?),
        Digest::Ignored => None,
    };
    for log in ["-wal", "-journal", "-shm"] {
        let _ = fs::remove_file(beside(prepared, log));
    }
    let mut source = File::open(file).map_err(io(file))?;
    let length = source.metadata().map_err(io(file))?.len();
    // Not made anew: where a restore was killed, the name must not be gone for a moment.
    let target = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(prepared)
        .map_err(io(prepared))?;
    work.begin(Stage::Copying, length);
    let found = of_copied(&mut source, &target, work).map_err(|fault| fault.of(file, prepared))?;
    if expected.is_some_and(|expected| expected != found) {
        return Err(BackupError::DigestWrong(file.to_owned()));
    }
    // Of what was copied: another file may have the name by now.
    store::recognise(prepared)?;
    let contents = store::check_whole(prepared, work).map_err(store::damage_of(file))?;
    keep_owner(prepared, database);
    target.sync_all().map_err(io(prepared))?;
    sync_directory(prepared)?;
    Ok(contents)
}

/// Root restores for the user that the server runs as, who has to open the lock too.
fn keep_owner(file: &Path, database: &Path) {
    let model = fs::metadata(database).or_else(|_| fs::metadata(folder_of(database)));
    if let (Ok(model), Ok(found)) = (model, fs::symlink_metadata(file))
        && (model.uid(), model.gid()) != (found.uid(), found.gid())
    {
        // Who may not do that is that user, or had no database here before.
        let _ = lchown(file, Some(model.uid()), Some(model.gid()));
    }
}

/// Gives the database and its log other names, each on the disk before the next.
fn set_aside(
    database: &Path,
    goes_on: bool,
    now: Timestamp,
) -> Result<Option<PathBuf>, StoreError> {
    let has_database = fs::symlink_metadata(database).is_ok();
    let logs = LOGS.map(|suffix| (beside(database, suffix), suffix));
    let has_log = logs.iter().any(|(log, _)| log.exists());
    // Under a name at which SQLite does not look.
    let is_foreign = has_database && store::refuse_foreign_log(database).is_err();
    let kept_as = |suffix: &str| match is_foreign {
        true => format!(".another{suffix}"),
        false => suffix.to_owned(),
    };
    // A log that is left belongs to what was moved before the kill, unless that has its own.
    let moved_before = || {
        let last = last_set_aside(database).filter(|_| goes_on)?;
        let has_own = LOGS.iter().any(|suffix| beside(&last, suffix).exists());
        (!has_log || !has_own).then_some(last)
    };
    let former = match has_database {
        true => Some(free_name(database, now)),
        false => moved_before().or_else(|| has_log.then(|| free_name(database, now))),
    };
    let Some(former) = former else {
        return Ok(None);
    };
    if has_database {
        fs::rename(database, &former).map_err(io(&former))?;
        sync_directory(database)?;
    }
    for (log, suffix) in logs {
        if log.exists() {
            fs::rename(&log, beside(&former, &kept_as(suffix))).map_err(io(&log))?;
        }
    }
    let _ = fs::remove_file(beside(database, "-shm"));
    sync_directory(database)?;
    Ok(Some(former))
}

/// A name for the former database that nothing has, and no log. It is later than all before, whatever the
/// clock says: the next restore looks for the latest.
fn free_name(database: &Path, now: Timestamp) -> PathBuf {
    const SECOND: Duration = Duration::from_secs(1);
    let after = last_moment(database).map(|last| last.plus(SECOND));
    let mut moment = after.map_or(now, |after| after.max(now));
    loop {
        let name = aside(database, moment);
        let is_free = |suffix| fs::symlink_metadata(beside(&name, suffix)).is_err();
        if ["", LOGS[0], LOGS[1]].into_iter().all(is_free) {
            return name;
        }
        moment = moment.plus(SECOND);
    }
}

fn aside(database: &Path, moment: Timestamp) -> PathBuf {
    beside(database, &format!("{ASIDE}{}", moment.compact()))
}

/// The newest database that a restore has set aside, and whose log may still come to it.
fn last_set_aside(database: &Path) -> Option<PathBuf> {
    Some(aside(database, last_moment(database)?))
}

fn last_moment(database: &Path) -> Option<Timestamp> {
    let start = beside(database, ASIDE);
    let start = start.file_name()?.to_str()?;
    let names = fs::read_dir(folder_of(database)).ok()?;
    names
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| Timestamp::from_compact(name.strip_prefix(start)?))
        .max()
}

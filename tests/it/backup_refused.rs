//! `backup` where it can't be made: one line with the next step, exit 1, and nothing is left.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::bad_files::{BAD, all_of};
use crate::support::{Kept, Output, full_disk, names_in, only_line};

/// Runs `backup`, which must fail and change nothing in either folder; what it says.
#[track_caller]
fn refused(kept: &Kept, target: &Path) -> String {
    let folders = [kept.folder.path(), kept.backup.parent().unwrap()];
    let before = folders.map(all_of);
    let output = kept.run(&["backup", target.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let after = folders.map(|folder| {
        let mut all = all_of(folder);
        // SQLite's index of a log that was there.
        all.remove("test.db-shm");
        all
    });
    assert!(after == before, "{output:?}: {:?}", names_in(folders[0]));
    only_line(&output)
}

type Arrange = fn(&Kept) -> PathBuf;

/// What stands at the target, how it comes there, and what is said.
const TARGETS: [(&str, Arrange, &str); 16] = [
    (
        "a digest of something else",
        |kept| {
            fs::write(kept.digest(), "precious").unwrap();
            kept.backup.clone()
        },
        "copy.db.blake3: exists already; move it away",
    ),
    (
        "a digest that cannot be read",
        |kept| {
            fs::create_dir(kept.digest()).unwrap();
            kept.backup.clone()
        },
        "copy.db.blake3: exists already; move it away",
    ),
    (
        "a name of two lines",
        |kept| kept.backup.with_file_name("a\nb.db"),
        "not the name of a file that a backup can have",
    ),
    (
        "a file",
        |kept| {
            fs::write(&kept.backup, "precious").unwrap();
            kept.backup.clone()
        },
        "exists already; move it away",
    ),
    (
        "an empty file",
        |kept| {
            fs::write(&kept.backup, "").unwrap();
            kept.backup.clone()
        },
        "exists already; move it away",
    ),
    (
        "a link to nowhere",
        |kept| {
            symlink("nowhere", &kept.backup).unwrap();
            kept.backup.clone()
        },
        "exists already; move it away",
    ),
    (
        "a folder",
        |kept| kept.backup.parent().unwrap().to_owned(),
        "exists already",
    ),
    (
        "a folder that is missing",
        |kept| kept.backup.with_file_name("missing").join("copy.db"),
        "No such file or directory",
    ),
    (
        "a file in the place of its folder",
        |kept| kept.database.join("copy.db"),
        "Not a directory",
    ),
    ("no name", |_| "..".into(), "not the name of a file"),
    (
        "the database",
        |kept| kept.database.clone(),
        "exists already",
    ),
    (
        "the database's log",
        |kept| kept.folder.path().join("test.db-wal"),
        "the database's own files; name another",
    ),
    (
        "the database's journal, from elsewhere",
        |kept| kept.folder.path().join("backups/../test.db-journal"),
        "the database's own files",
    ),
    (
        "the index of the log",
        |_| "test.db-shm".into(),
        "the database's own files",
    ),
    (
        "the lock",
        |_| "test.db.lock".into(),
        "the database's own files",
    ),
    (
        "what a restore prepares",
        |_| "test.db.restoring".into(),
        "the database's own files",
    ),
];

#[test]
fn a_target_that_is_there_or_can_not_be_made_is_refused() {
    for (what, arrange, words) in TARGETS {
        let kept = Kept::new();
        let target = arrange(&kept);
        let line = refused(&kept, &target);
        assert!(line.contains(words), "{what}: {line}");
        let name = target.file_name().unwrap_or(target.as_os_str());
        let name = name.to_str().unwrap().escape_debug().to_string();
        assert!(line.contains(&name) || words.contains("No such"), "{line}");
    }
}

#[test]
fn a_folder_that_may_not_be_written_is_refused() {
    if rustix::process::geteuid().is_root() {
        eprintln!("skipped: root may write everywhere");
        return;
    }
    let kept = Kept::new();
    let folder = kept.backup.parent().unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o500)).unwrap();
    let line = refused(&kept, &kept.backup);
    assert!(line.contains("run it as the user that owns it"), "{line}");
}

#[test]
fn a_second_backup_into_a_folder_is_refused_while_one_is_on_the_way() {
    let kept = Kept::new();
    let folder = fs::File::open(kept.backup.parent().unwrap()).unwrap();
    flock(&folder, FlockOperation::NonBlockingLockExclusive).unwrap();
    // Another's work is not thrown away.
    fs::write(kept.backup.with_file_name(".copy.db.unfinished"), "theirs").unwrap();
    let line = refused(&kept, &kept.backup);
    assert!(line.contains("another backup is being written"), "{line}");
    // Not only closed: a child of another test may have it open for a moment.
    flock(&folder, FlockOperation::Unlock).unwrap();
    kept.back_up();
}

#[test]
fn what_is_no_whole_database_is_not_backed_up_and_stays_as_it_is() {
    for (what, spoil, word) in BAD {
        // That it can't be written is no matter here.
        if what == "a read-only file" {
            continue;
        }
        let kept = Kept::new();
        spoil(&kept.database);
        let line = refused(&kept, &kept.backup);
        assert!(line.contains(word), "{what}: {line}");
        let damaged = line.contains("malformed") || line.contains("damaged");
        assert!(!word.is_empty() || damaged, "{what}: {line}");
        assert!(line.contains("test.db"), "{what}: {line}");
        assert!(!line.contains("unfinished"), "{what}: {line}");
    }
}

#[test]
fn a_missing_database_is_named() {
    let kept = Kept::new();
    fs::remove_file(&kept.database).unwrap();
    let line = refused(&kept, &kept.backup);
    assert!(line.contains("test.db: no such database"), "{line}");
}

#[test]
fn pages_that_are_damaged_make_no_backup() {
    let kept = Kept::new();
    kept.fill(5000);
    let mut bytes = fs::read(&kept.database).unwrap();
    // The kind of a page that is none.
    let middle = bytes.len() / 4096 / 2 * 4096;
    bytes[middle] = 0x55;
    fs::write(&kept.database, &bytes).unwrap();
    let line = refused(&kept, &kept.backup);
    assert!(line.contains("test.db: damaged"), "{line}");
}

#[test]
fn a_full_disk_makes_no_backup_and_leaves_nothing() {
    let kept = Kept::new();
    kept.fill(5000);
    let mut backup = kept.command();
    backup.arg("backup").arg(&kept.backup);
    let output: Output = full_disk(&backup, 200).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let line = only_line(&output);
    // Of a real one SQLite says that it is full.
    assert!(line.contains("disk I/O error"), "{line}");
    assert_eq!(names_in(kept.backup.parent().unwrap()), [""; 0]);
    kept.back_up();
}

//! `restore` of what must not become the database: one line that says why, exit 1, and the database
//! stays as it is to the byte.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::bad_files::{BAD, all_of, sql};
use crate::support::{
    Kept, Server, full_disk, names_in, netbird_auth, only_line, owner_of, restore,
};

/// The line of a restore of a file, which must fail and change nothing.
#[track_caller]
fn refused_file(kept: &Kept, file: &Path, options: &[&str]) -> String {
    let folders = [kept.folder.path(), kept.backup.parent().unwrap()];
    let all = || {
        folders.map(|folder| {
            let mut all = all_of(folder);
            // An empty lock file is no harm.
            all.remove("test.db.lock");
            all
        })
    };
    let before = all();
    let output = restore(kept.command(), file, options);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(all() == before, "{output:?}: {:?}", names_in(folders[0]));
    only_line(&output)
}

#[track_caller]
fn refused(kept: &Kept, options: &[&str]) -> String {
    refused_file(kept, &kept.backup, options)
}

#[test]
fn beside_a_running_server_nothing_is_restored() {
    let server = Server::start();
    let backup = server.folder.path().join("copy.db");
    server.run_command(&["backup", backup.to_str().unwrap()]);
    let link = server.folder.path().join("link.db");
    symlink("test.db", &link).unwrap();
    for database in [server.path(), link] {
        let mut command = netbird_auth(server.folder.path());
        command.env("NETBIRD_AUTH_DATABASE__PATH", database);
        let output = restore(command, &backup, &[]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let line = only_line(&output);
        assert!(
            line.contains("in use by another netbird-auth server; stop it first"),
            "{line}"
        );
    }
    assert_eq!(server.service_user("user").len(), 36);
    let names = names_in(server.folder.path());
    assert!(
        !names.iter().any(|name| name.contains("restor")),
        "{names:?}"
    );
    server.anonymous().get("/readyz").ok();
}

type Spoil = fn(&Kept);

/// What is wrong with the digest, how it comes about, and what is said.
const DIGESTS: [(&str, Spoil, &str); 7] = [
    (
        "a flipped bit of the backup",
        |kept| {
            let mut bytes = fs::read(&kept.backup).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            fs::write(&kept.backup, bytes).unwrap();
        },
        "copy.db: not the file that its digest is of",
    ),
    (
        "a byte more",
        |kept| {
            let mut bytes = fs::read(&kept.backup).unwrap();
            bytes.push(0);
            fs::write(&kept.backup, bytes).unwrap();
        },
        "copy.db: not the file that its digest is of",
    ),
    (
        "another backup's",
        |kept| {
            kept.call_owner("another");
            let other = kept.backup.with_file_name("other.db");
            let output = kept.run(&["backup", other.to_str().unwrap()]);
            assert_eq!(output.status.code(), Some(0));
            fs::rename(kept.backup.with_file_name("other.db.blake3"), kept.digest()).unwrap();
        },
        "copy.db: not the file that its digest is of",
    ),
    (
        "rubbish",
        |kept| fs::write(kept.digest(), "rubbish").unwrap(),
        "copy.db.blake3: not a BLAKE3 digest",
    ),
    (
        "nothing in it",
        |kept| fs::write(kept.digest(), "").unwrap(),
        "copy.db.blake3: not a BLAKE3 digest",
    ),
    (
        "a folder",
        |kept| {
            fs::remove_file(kept.digest()).unwrap();
            fs::create_dir(kept.digest()).unwrap();
        },
        "copy.db.blake3: not a BLAKE3 digest",
    ),
    (
        "none",
        |kept| fs::remove_file(kept.digest()).unwrap(),
        "take the file as it is with --without-digest",
    ),
];

#[test]
fn a_digest_that_is_not_the_backups_refuses_it() {
    for (what, spoil, words) in DIGESTS {
        let kept = Kept::new();
        kept.back_up();
        spoil(&kept);
        let line = refused(&kept, &[]);
        assert!(line.contains(words), "{what}: {line}");
    }
}

#[test]
fn without_digest_a_file_that_has_none_is_taken() {
    let kept = Kept::new();
    kept.back_up();
    kept.call_owner("later");
    fs::remove_file(kept.digest()).unwrap();
    assert_eq!(kept.restore(&["--without-digest"]).status.code(), Some(0));
    assert_eq!(owner_of(&kept.database), "Owner");
}

#[test]
fn damaged_pages_are_refused_with_a_fitting_digest_and_without_one() {
    let kept = Kept::large();
    let good = fs::read(&kept.backup).unwrap();
    let pages = good.len() / 4096;
    assert!(pages > 100, "{pages}");
    for page in [1, pages / 4, pages / 2, pages - 1] {
        // Its kind, the number of its cells, and where they begin.
        for byte in [0, 3, 8] {
            let mut bytes = good.clone();
            bytes[page * 4096 + byte] ^= 0xff;
            fs::write(&kept.backup, bytes).unwrap();
            kept.write_digest();
            for options in [&[][..], &["--without-digest"]] {
                let line = refused(&kept, options);
                assert!(
                    line.contains("copy.db: damaged ("),
                    "page {page}, {byte}: {line}"
                );
            }
        }
    }
}

#[test]
fn rows_that_belong_to_nothing_are_refused() {
    let kept = Kept::new();
    kept.back_up();
    sql(
        &kept.backup,
        "PRAGMA foreign_keys = OFF; INSERT INTO token_usage VALUES (77, 1)",
    );
    let line = refused(&kept, &["--without-digest"]);
    assert!(line.contains("rows that belong to nothing: 1"), "{line}");
}

#[test]
fn what_is_no_whole_database_of_this_release_is_refused() {
    let mut tried = 0;
    for (what, spoil, word) in BAD {
        // That it can't be written is no matter, and a log alone is no backup at all.
        if ["a read-only file", "a write-ahead log without its database"].contains(&what) {
            continue;
        }
        let kept = Kept::new();
        kept.back_up();
        spoil(&kept.backup);
        if kept.backup.is_file() {
            kept.write_digest();
        }
        for options in [&[][..], &["--without-digest"]] {
            let line = refused(&kept, options);
            assert!(line.contains(word), "{what}: {line}");
            assert!(line.contains("copy.db"), "{what}: {line}");
            tried += 1;
        }
    }
    assert_eq!(tried, 24);
}

type Arrange = fn(&Kept) -> PathBuf;

/// What is named, how it comes there, and what is said.
const FILES: [(&str, Arrange, &str); 8] = [
    (
        "the database",
        |kept| kept.database.clone(),
        "this is the database itself",
    ),
    (
        "the database by a link",
        |kept| {
            let link = kept.folder.path().join("link.db");
            symlink("test.db", &link).unwrap();
            link
        },
        "this is the database itself",
    ),
    (
        "the database by a second name",
        |kept| {
            let name = kept.folder.path().join("second.db");
            fs::hard_link(&kept.database, &name).unwrap();
            name
        },
        "this is the database itself",
    ),
    (
        "what a killed restore prepared",
        |kept| {
            let prepared = kept.folder.path().join("test.db.restoring");
            fs::copy(&kept.backup, &prepared).unwrap();
            prepared
        },
        "this is the database itself",
    ),
    (
        "a file with a log",
        |kept| {
            fs::write(kept.backup.with_file_name("copy.db-wal"), "x").unwrap();
            kept.backup.clone()
        },
        "copy.db-wal: a write-ahead log",
    ),
    (
        "a link to a file with a journal",
        |kept| {
            fs::write(kept.backup.with_file_name("copy.db-journal"), "x").unwrap();
            let link = kept.folder.path().join("link.db");
            symlink(&kept.backup, &link).unwrap();
            link
        },
        "copy.db-journal: a write-ahead log",
    ),
    (
        "nothing",
        |kept| kept.backup.with_file_name("none.db"),
        "none.db: ",
    ),
    (
        "a folder",
        |kept| kept.folder.path().join("backups"),
        "it is not a file",
    ),
];

#[test]
fn a_file_that_is_no_backup_is_refused() {
    for (what, arrange, words) in FILES {
        let kept = Kept::new();
        kept.back_up();
        let file = arrange(&kept);
        for options in [&[][..], &["--without-digest"]] {
            let line = refused_file(&kept, &file, options);
            assert!(line.contains(words), "{what}: {line}");
        }
    }
}

#[test]
fn an_empty_log_beside_a_backup_is_no_matter() {
    let kept = Kept::new();
    kept.back_up();
    fs::write(kept.backup.with_file_name("copy.db-wal"), "").unwrap();
    assert_eq!(kept.restore(&[]).status.code(), Some(0));
}

#[test]
fn a_place_that_is_a_mistake_is_refused() {
    let kept = Kept::new();
    kept.back_up();
    fs::remove_file(&kept.database).unwrap();
    symlink("not-mounted/test.db", &kept.database).unwrap();
    let line = refused(&kept, &[]);
    assert!(line.contains("is its disk mounted"), "{line}");
    fs::remove_file(&kept.database).unwrap();
    fs::create_dir(&kept.database).unwrap();
    let line = refused(&kept, &[]);
    assert!(line.contains("it is not a file"), "{line}");
}

#[test]
fn a_full_disk_restores_nothing() {
    let kept = Kept::large();
    kept.call_owner("later");
    let before = fs::read(&kept.database).unwrap();
    let mut command = kept.command();
    command.arg("restore").arg(&kept.backup);
    let output = full_disk(&command, 200).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let line = only_line(&output);
    assert!(line.contains("test.db.restoring: File too large"), "{line}");
    assert!(fs::read(&kept.database).unwrap() == before);
    assert_eq!(
        names_in(kept.folder.path()),
        ["backups", "test.db", "test.db.lock"]
    );
}

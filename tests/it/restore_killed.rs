//! A restore that was killed, at each of its steps: no server makes a new database over it, and the
//! next restore goes on from there.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;

use crate::bad_files::{all_of, leave_in_log};
use crate::restore::told;
use crate::support::{
    Kept, Server, ended, eventually, names_in, only_line, owner_of, refused_start, restore,
};

const FORMER: &str = "test.db.before-restore-20200102T030405Z";
const OLDER: &str = "test.db.before-restore-20190102T030405Z";

type Arrange = fn(&Kept);
type Former = (&'static str, &'static str);

/// How far the killed restore came, and what the former database is afterwards: its name, and the
/// name of its owner, which is in its log alone.
const STEPS: [(&str, Arrange, Option<Former>); 6] = [
    (
        "the database was moved, its log was not",
        |kept| {
            left_by_a_server(kept);
            moved(kept, "test.db", FORMER);
            prepared(kept);
        },
        Some((FORMER, "in the log")),
    ),
    (
        "both were moved",
        |kept| {
            left_by_a_server(kept);
            moved(kept, "test.db", FORMER);
            moved(kept, "test.db-wal", &format!("{FORMER}-wal"));
            prepared(kept);
        },
        Some((FORMER, "in the log")),
    ),
    (
        "it was moved, and an earlier restore had moved another",
        |kept| {
            kept.call_owner("older");
            fs::copy(&kept.database, kept.folder.path().join(OLDER)).unwrap();
            left_by_a_server(kept);
            moved(kept, "test.db", FORMER);
            // Somebody looks at it.
            fs::write(kept.folder.path().join(format!("{FORMER}-shm")), "").unwrap();
            prepared(kept);
        },
        Some((FORMER, "in the log")),
    ),
    (
        "the new one was not whole, and there was none before",
        |kept| {
            fs::remove_file(&kept.database).unwrap();
            fs::write(kept.folder.path().join("test.db.restoring"), "half").unwrap();
        },
        None,
    ),
    (
        "there was a log of a lost database only",
        |kept| {
            left_by_a_server(kept);
            fs::remove_file(&kept.database).unwrap();
            prepared(kept);
        },
        None,
    ),
    (
        "there was a log of a lost database, and what an earlier restore had moved",
        |kept| {
            kept.call_owner("older");
            fs::copy(&kept.database, kept.folder.path().join(OLDER)).unwrap();
            fs::write(kept.folder.path().join(format!("{OLDER}-wal")), "").unwrap();
            left_by_a_server(kept);
            fs::remove_file(&kept.database).unwrap();
            prepared(kept);
        },
        None,
    ),
];

fn left_by_a_server(kept: &Kept) {
    leave_in_log(
        &kept.database,
        "UPDATE users SET name = 'in the log' WHERE role = 'owner'",
    );
}

fn moved(kept: &Kept, from: &str, to: &str) {
    let folder = kept.folder.path();
    fs::rename(folder.join(from), folder.join(to)).unwrap();
}

fn prepared(kept: &Kept) {
    fs::copy(&kept.backup, kept.folder.path().join("test.db.restoring")).unwrap();
}

/// Everything that would use the database says why it can't, and leaves all as it is.
#[track_caller]
fn assert_refused(kept: &Kept, database: &Path, what: &str) {
    let before = all_of(kept.folder.path());
    let target = kept.backup.with_file_name("second.db");
    for arguments in [
        &["serve"][..],
        &["serve", "--no-bootstrap"],
        &["bootstrap"],
        &["user", "list"],
        &["token", "list"],
        &["token", "create", "--user", "x"],
        &["backup", target.to_str().unwrap()],
    ] {
        let mut command = kept.command();
        command
            .env("NETBIRD_AUTH_DATABASE__PATH", database)
            .args(arguments);
        let output = ended(command);
        assert_eq!(output.status.code(), Some(1), "{what}: {arguments:?}");
        let line = only_line(&output);
        let words = "a restore was killed before its end; run 'netbird-auth restore' again";
        assert!(line.contains(words), "{what}: {arguments:?}: {line}");
        let mut after = all_of(kept.folder.path());
        if !before.contains_key("test.db.lock") {
            after.remove("test.db.lock");
        }
        assert!(after == before, "{what}: {arguments:?}");
    }
}

#[test]
fn without_its_database_nothing_starts_until_the_next_restore_which_loses_nothing() {
    for by_link in [false, true] {
        for (what, arrange, former) in STEPS {
            let kept = Kept::new();
            kept.back_up();
            arrange(&kept);
            let mut database = kept.database.clone();
            if by_link {
                database = kept.backup.with_file_name("link.db");
                symlink("../test.db", &database).unwrap();
            }
            assert_refused(&kept, &database, what);
            let again = |options: &[&str]| {
                let mut command = kept.command();
                command.env("NETBIRD_AUTH_DATABASE__PATH", &database);
                restore(command, &kept.backup, options)
            };
            // One that fails leaves the way barred.
            fs::rename(kept.digest(), kept.folder.path().join("digest")).unwrap();
            assert_eq!(again(&[]).status.code(), Some(1));
            assert_refused(&kept, &database, what);
            fs::write(kept.digest(), "0".repeat(64)).unwrap();
            assert_eq!(again(&[]).status.code(), Some(1));
            assert_refused(&kept, &database, what);
            fs::rename(kept.folder.path().join("digest"), kept.digest()).unwrap();

            let said = told(&again(&[]));
            let names = names_in(kept.folder.path());
            for gone in ["test.db.restoring", "test.db-wal", "test.db-shm"] {
                assert!(!names.contains(&gone.to_owned()), "{what}: {names:?}");
            }
            assert_eq!(owner_of(&kept.database), "Owner", "{what}");
            if let Some((name, owner)) = former {
                let path = kept.folder.path().canonicalize().unwrap().join(name);
                let told = format!("the former database is now {}", path.display());
                assert!(said.contains(&told), "{what}: {said}");
                assert_eq!(owner_of(&path), owner, "{what}");
            }
            if names.contains(&OLDER.to_owned()) {
                let older = kept.folder.path().join(OLDER);
                assert_eq!(owner_of(&older), "older", "{what}");
            }
            assert_eq!(kept.run(&["user", "list"]).status.code(), Some(0));
        }
    }
}

#[test]
fn what_was_prepared_beside_a_database_that_is_there_is_thrown_away_by_serve_and_by_restore() {
    for by_restore in [false, true] {
        let kept = Kept::new();
        kept.back_up();
        kept.call_owner("later");
        left_by_a_server(&kept);
        for left in ["", "-journal", "-wal", "-shm"] {
            let left = format!("test.db.restoring{left}");
            fs::write(kept.folder.path().join(left), "half").unwrap();
        }
        // Commands have nothing to do with it.
        assert_eq!(kept.run(&["user", "list"]).status.code(), Some(0));
        if by_restore {
            told(&kept.restore(&[]));
        } else {
            let folder = Arc::new(kept.folder);
            let server = Server::start_in(Arc::clone(&folder), &[], String::new());
            assert_eq!(server.stop().0, Some(0));
            let names = names_in(folder.path());
            assert!(
                !names.iter().any(|name| name.contains("restor")),
                "{names:?}"
            );
            assert_eq!(owner_of(&kept.database), "in the log");
            continue;
        }
        let names = names_in(kept.folder.path());
        assert!(
            !names.iter().any(|name| name.contains("restoring")),
            "{names:?}"
        );
    }
}

#[test]
fn a_restore_that_is_killed_in_its_midst_leaves_the_one_or_the_other_database() {
    let kept = Kept::new();
    kept.fill(20_000);
    kept.back_up();
    kept.call_owner("later");
    let prepared = kept.folder.path().join("test.db.restoring");
    for _ in 0..3 {
        let mut command = kept.command();
        let mut killed = command.arg("restore").arg(&kept.backup).spawn().unwrap();
        eventually("it has begun or is done", || {
            let is_done = killed.try_wait().unwrap().is_some();
            (prepared.exists() || is_done).then_some(())
        });
        killed.kill().unwrap();
        killed.wait().unwrap();
        if kept.database.exists() {
            let check = "PRAGMA integrity_check";
            let database = Connection::open(&kept.database).unwrap();
            let found: String = database.query_row(check, (), |row| row.get(0)).unwrap();
            assert_eq!(found, "ok");
        } else {
            let line = only_line(&refused_start(kept.command()));
            assert!(line.contains("a restore was killed"), "{line}");
        }
        told(&kept.restore(&[]));
        assert!(!prepared.exists());
        assert_eq!(owner_of(&kept.database), "Owner");
    }
    let mut owners: Vec<String> = kept.former().iter().map(|path| owner_of(path)).collect();
    owners.dedup();
    assert_eq!(owners, ["later", "Owner"]);
}

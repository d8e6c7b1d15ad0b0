//! `restore`: a backup becomes the database, and what was there is kept.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use rustix::process::Signal;
use serde_json::json;

use crate::bad_files::{leave_in_log, sql};
use crate::support::{
    Kept, Output, Server, eventually, id_of, mode_of, names_in, netbird_auth, owner_of, restore,
};

/// What `restore` says, which must succeed.
#[track_caller]
pub fn told(output: &Output) -> String {
    let errors = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(0), "{errors}");
    assert!(output.stdout.is_empty());
    errors
}

#[test]
fn users_and_tokens_are_as_at_the_backup_and_the_former_database_is_kept_with_its_log() {
    for is_killed in [false, true] {
        let server = Server::start();
        let machine = server.service_user("user");
        let path = format!("/api/users/{machine}/tokens");
        let create = || {
            let body = json!({"name": "a", "expires_in": 1});
            let made = server.owner.post(&path, body).ok();
            let plain = made["plain_token"].as_str().unwrap().to_owned();
            (id_of(&made["personal_access_token"]), plain)
        };
        let (id, revoked_later) = create();
        let folder = Arc::clone(&server.folder);
        let backup = folder.path().join("copy.db");
        server.run_command(&["backup", backup.to_str().unwrap()]);
        server.owner.delete(&format!("{path}/{id}")).ok();
        let (later, made_later) = create();
        let gone = server.service_user("admin");
        let owner = server.owner.authorization.clone().unwrap();
        let owner = owner.trim_start_matches("Token ").to_owned();
        if is_killed {
            server.signal(Signal::KILL);
        }
        let _ = server.stop();
        let log = folder.path().join("test.db-wal");
        assert_eq!(log.exists(), is_killed, "its newest rows are in the log");

        let said = told(&restore(netbird_auth(folder.path()), &backup, &[]));
        assert!(said.contains("users: 2, tokens: 2"), "{said}");
        assert!(said.contains("revoke it anew"), "{said}");
        let former = said.lines().find_map(|line| {
            let (_, former) = line.split_once("the former database is now ")?;
            Some(PathBuf::from(former))
        });
        let former = former.unwrap();
        let names = names_in(folder.path());
        assert!(
            !names.iter().any(|name| name.contains("restoring")),
            "{names:?}"
        );
        assert_eq!(
            (log.exists(), mode_of(&folder.path().join("test.db"))),
            (false, 0o600)
        );
        assert_eq!(
            PathBuf::from(format!("{}-wal", former.display())).exists(),
            is_killed
        );
        let rows = Connection::open(&former).unwrap();
        let sql = "SELECT count(*) FROM tokens JOIN users WHERE tokens.id = ?1 AND users.id = ?2";
        let found: u32 = rows
            .query_row(sql, [&later, &gone], |row| row.get(0))
            .unwrap();
        assert_eq!(found, 1, "it opens with all its rows");

        let server = Server::start_in(folder, &[], owner);
        for (token, status) in [(&revoked_later, 200), (&made_later, 401)] {
            assert_eq!(server.client(token).get("/api/users").status, status);
        }
        let users = server.owner.get("/api/users?service_user=true").ok();
        assert_eq!(users.as_array().unwrap().len(), 1);
        // And it is a database like any other.
        server.token_of(&machine);
        assert_eq!(server.restart().stop().0, Some(0));
    }
}

#[test]
fn where_there_is_no_database_one_is_there_then() {
    let kept = Kept::new();
    kept.back_up();
    let elsewhere = kept.folder.path().join("new/folder/auth.db");
    let mut command = kept.command();
    command.env("NETBIRD_AUTH_DATABASE__PATH", &elsewhere);
    let said = told(&restore(command, &kept.backup, &[]));
    assert!(!said.contains("former"), "{said}");
    assert_eq!(owner_of(&elsewhere), "Owner");
    assert_eq!(mode_of(&elsewhere), 0o600);
    assert_eq!(mode_of(elsewhere.parent().unwrap()), 0o700);
    let names = names_in(elsewhere.parent().unwrap());
    assert_eq!(names, ["auth.db", "auth.db.lock"]);
}

#[test]
fn what_is_no_database_is_set_aside_as_it_is() {
    for bytes in [&b""[..], b"garbage", &[0x5a; 9000]] {
        let kept = Kept::new();
        kept.back_up();
        fs::write(&kept.database, bytes).unwrap();
        told(&kept.restore(&[]));
        assert_eq!(owner_of(&kept.database), "Owner");
        assert_eq!(fs::read(&kept.former()[0]).unwrap(), bytes);
    }
}

#[test]
fn a_log_without_its_database_is_set_aside_and_not_played_into_the_new_one() {
    let kept = Kept::new();
    kept.back_up();
    leave_in_log(
        &kept.database,
        "UPDATE users SET name = 'in the log' WHERE role = 'owner'",
    );
    fs::remove_file(&kept.database).unwrap();
    told(&kept.restore(&[]));
    assert_eq!(owner_of(&kept.database), "Owner");
    let names = names_in(kept.folder.path());
    let log = names.iter().find(|name| name.ends_with("Z-wal"));
    assert!(log.is_some(), "{names:?}");
}

#[test]
fn a_backup_that_was_renamed_or_came_in_wal_mode_is_good() {
    let kept = Kept::new();
    kept.back_up();
    let renamed = kept.backup.with_file_name("other.db");
    fs::rename(&kept.backup, &renamed).unwrap();
    fs::rename(kept.digest(), kept.backup.with_file_name("other.db.blake3")).unwrap();
    told(&restore(kept.command(), &renamed, &[]));
    // A file that was copied by hand after a stop.
    sql(
        &renamed,
        "PRAGMA journal_mode = WAL; UPDATE users SET name = 'by hand'",
    );
    told(&restore(kept.command(), &renamed, &["--without-digest"]));
    assert_eq!(owner_of(&kept.database), "by hand");
    assert_eq!(
        names_in(renamed.parent().unwrap()),
        ["other.db", "other.db.blake3"]
    );
}

#[test]
fn by_a_link_the_real_file_is_replaced_and_the_link_stays() {
    let kept = Kept::new();
    kept.back_up();
    kept.call_owner("later");
    let links = kept.folder.path().join("links");
    fs::create_dir(&links).unwrap();
    let link = links.join("link.db");
    symlink("../test.db", &link).unwrap();
    let mut command = kept.command();
    command.env("NETBIRD_AUTH_DATABASE__PATH", &link);
    told(&restore(command, &kept.backup, &[]));
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("../test.db"));
    assert_eq!(names_in(&links), ["link.db"]);
    assert_eq!(owner_of(&kept.database), "Owner");
    assert_eq!(owner_of(&kept.former()[0]), "later");
}

#[test]
fn restores_in_the_same_second_keep_every_former_database() {
    let kept = Kept::new();
    kept.back_up();
    for round in 0..4 {
        kept.call_owner(&format!("round {round}"));
        told(&kept.restore(&[]));
        assert_eq!(kept.former().len(), round + 1);
    }
    let owners: Vec<String> = kept.former().iter().map(|path| owner_of(path)).collect();
    assert_eq!(owners, ["round 0", "round 1", "round 2", "round 3"]);
}

#[test]
fn a_restore_comes_after_those_that_a_wrong_clock_put_into_the_future() {
    let kept = Kept::new();
    kept.back_up();
    let future = "test.db.before-restore-20990102T030405Z";
    fs::copy(&kept.database, kept.folder.path().join(future)).unwrap();
    kept.call_owner("former");
    told(&kept.restore(&[]));
    let later = kept
        .folder
        .path()
        .join("test.db.before-restore-20990102T030406Z");
    assert_eq!(owner_of(&later), "former");
}

#[test]
fn root_restores_for_the_user_that_the_server_runs_as() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can give files away");
        return;
    }
    let owners = |kept: &Kept| {
        ["test.db", "test.db.lock"].map(|name| {
            let metadata = fs::metadata(kept.folder.path().join(name)).unwrap();
            (metadata.uid(), metadata.gid())
        })
    };
    // The user of the database; where there is none, the user of its folder.
    let kept = Kept::new();
    kept.back_up();
    chown(&kept.database, Some(12345), Some(12346)).unwrap();
    told(&kept.restore(&[]));
    assert_eq!(owners(&kept), [(12345, 12346); 2]);

    let kept = Kept::new();
    kept.back_up();
    fs::remove_file(&kept.database).unwrap();
    chown(kept.folder.path(), Some(12347), Some(12348)).unwrap();
    told(&kept.restore(&[]));
    assert_eq!(owners(&kept), [(12347, 12348); 2]);
}

#[test]
fn a_command_that_waits_while_a_restore_takes_place_is_not_told_that_it_was_done() {
    for arguments in [
        &["token", "create", "--user", "machine"][..],
        &["user", "create", "--name", "late", "--service"],
        &["user", "block", "machine"],
    ] {
        let kept = Kept::new();
        sql(
            &kept.database,
            "INSERT INTO users (id, origin, name, email, role, is_service, created_at)
             VALUES ('machine', 'api', 'machine', '', 'user', 1, 1)",
        );
        kept.back_up();
        let holder = Connection::open(&kept.database).unwrap();
        holder.pragma_update(None, "journal_mode", "wal").unwrap();
        holder.execute_batch("BEGIN IMMEDIATE").unwrap();
        let mut command = kept.command();
        command
            .args(arguments)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        let command = command.spawn().unwrap();
        // With the log open it has the old file: it waits for the lock, or is about to.
        let opened = || {
            let open = fs::read_dir(format!("/proc/{}/fd", command.id())).ok()?;
            let open = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
            let log = kept.folder.path().join("test.db-wal");
            open.filter(|path| *path == log).count().checked_sub(1)
        };
        eventually("it has opened the log", opened);
        told(&kept.restore(&[]));
        holder.execute_batch("ROLLBACK").unwrap();
        let output = command.wait_with_output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {errors}");
        assert!(
            output.stdout.is_empty(),
            "no token of the old file is shown"
        );
        assert!(errors.contains("replaced"), "{errors}");
    }
}

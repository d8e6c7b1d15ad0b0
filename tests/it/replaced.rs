//! The files of the database by another name, moved away or replaced under a running server, beside
//! what `trouble` has: nothing is written to what is not the server's own, and its own is read on.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;

use crate::support::{Server, eventually, netbird_auth};
use crate::trouble::Patient;

#[test]
fn a_write_ahead_log_that_was_moved_away_or_replaced_is_not_written() {
    // What stands at its path meanwhile: nothing, a copy of it, or an empty file.
    let replace: [fn(&Path, &Path); 3] = [
        |_, _| {},
        |kept, path| assert!(fs::copy(kept, path).unwrap() > 0),
        |_, path| fs::write(path, "").unwrap(),
    ];
    for replace in replace {
        let mut patient = Patient::new(Server::start());
        let path = patient.server.path().with_file_name("test.db-wal");
        let kept = path.with_file_name("kept");
        fs::rename(&path, &kept).unwrap();
        replace(&kept, &path);
        let before = fs::read(&path).ok();
        patient.is_ill(&["replaced or deleted"]);
        assert!(fs::read(&path).ok() == before, "another log was written");
        fs::rename(&kept, &path).unwrap();
        patient.heals();
    }
}

#[test]
fn a_database_replaced_together_with_its_log_is_not_shown_for_the_old_one() {
    let mut patient = Patient::new(Server::start());
    let path = patient.server.path();
    let all = ["test.db", "test.db-wal", "test.db-shm"];
    let kept = path.with_file_name("kept");
    fs::create_dir(&kept).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut command = netbird_auth(folder.path());
    assert!(command.arg("bootstrap").output().unwrap().status.success());
    let other = Connection::open(folder.path().join("test.db")).unwrap();
    let journal: String = other
        .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))
        .unwrap();
    assert_eq!(journal, "wal");
    other
        .execute_batch("UPDATE tokens SET name = 'theirs'")
        .unwrap();
    for name in all {
        fs::rename(path.with_file_name(name), kept.join(name)).unwrap();
        fs::rename(folder.path().join(name), path.with_file_name(name)).unwrap();
    }
    patient.is_ill(&["replaced or deleted"]);
    for name in all {
        fs::rename(kept.join(name), path.with_file_name(name)).unwrap();
    }
    patient.heals();
}

#[test]
fn a_database_is_served_by_a_second_name_of_its_file_and_followed() {
    let server = Server::start();
    let folder = Arc::clone(&server.folder);
    let token = server.owner.authorization.clone().unwrap();
    let token = token.trim_start_matches("Token ").to_owned();
    assert_eq!(server.stop().0, Some(0));
    std::os::unix::fs::symlink("test.db", folder.path().join("link.db")).unwrap();
    let mut command = netbird_auth(folder.path());
    command
        .env("NETBIRD_AUTH_DATABASE__PATH", folder.path().join("link.db"))
        .arg("serve");
    let server = Server::start_by(command, folder, token);
    let machine = server.service_user("user");
    // By the file's own name.
    server.run_command(&["user", "delete", &machine]);
    eventually("it is followed", || {
        let users = server.owner.get("/api/users").ok();
        (users.as_array()?.len() == 1).then_some(())
    });
    server.anonymous().get("/readyz").ok();
    assert_eq!(server.stop().0, Some(0));
}

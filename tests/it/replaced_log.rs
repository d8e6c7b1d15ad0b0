//! The write-ahead log of a database whose name another one got: it is never played into that one, nor
//! lost.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::bad_files;
use crate::support::{
    Kept, Server, names_in, netbird_auth, only_line, owner_of, refused_start, restore,
};
use crate::trouble::Patient;

/// Who is in a database as SQLite reads it, with its log.
fn users(path: &Path) -> Vec<String> {
    let database = rusqlite::Connection::open(path).unwrap();
    let sql = "SELECT id FROM users ORDER BY id";
    let mut users = database.prepare(sql).unwrap();
    let ids = users.query_map((), |row| row.get(0)).unwrap();
    ids.collect::<Result<_, _>>().unwrap()
}

/// A folder whose server was killed, so that its users are in the log alone; and those users.
fn killed() -> (Arc<TempDir>, Vec<String>) {
    let server = Server::start();
    let mut made = vec![server.owner_id.clone(), server.service_user("auditor")];
    made.sort_unstable();
    let folder = Arc::clone(&server.folder);
    server.signal(Signal::KILL);
    drop(server);
    let log = fs::metadata(folder.path().join("test.db-wal")).unwrap();
    assert!(log.len() > 0);
    (folder, made)
}

#[test]
fn the_log_of_a_database_that_was_replaced_does_not_get_into_the_other_one() {
    for is_killed in [false, true] {
        let mut patient = Patient::new(Server::start());
        let path = patient.server.path();
        let kept = path.with_file_name("kept.db");
        let elsewhere = bad_files::database();
        let other = elsewhere.path().join("test.db");
        let others = users(&other);
        fs::rename(&path, &kept).unwrap();
        fs::rename(&other, &path).unwrap();
        patient.has_file = false;
        patient.is_ill(&["replaced or deleted"]);
        let mut made = [patient.server.owner_id.clone(), patient.machine.clone()];
        made.sort_unstable();
        // Whatever ends it, the folder stays.
        let _folder = Arc::clone(&patient.server.folder);
        match is_killed {
            true => {
                patient.server.signal(Signal::KILL);
                drop(patient.server);
            }
            false => assert_eq!(patient.server.stop().0, Some(1), "the last marks are lost"),
        }
        assert_eq!(users(&path), others, "as SQLite reads it, with its log");
        assert_eq!(users(&kept), made, "and here, without one");
    }
}

#[test]
fn a_log_that_a_kill_left_is_not_played_into_a_database_that_got_the_name() {
    let (folder, made) = killed();
    let path = folder.path().join("test.db");
    let kept = folder.path().join("kept.db");
    let elsewhere = bad_files::database();
    let other = elsewhere.path().join("test.db");
    let others = users(&other);
    fs::rename(&path, &kept).unwrap();
    fs::rename(&other, &path).unwrap();
    let before = bad_files::all_of(folder.path());
    let mut change = netbird_auth(folder.path());
    change.args(["token", "create", "--user", &others[0], "--name", "x"]);
    let mut look = netbird_auth(folder.path());
    look.args(["backup", "copy.db"]);
    let serve = refused_start(netbird_auth(folder.path()));
    let refused = [serve, change.output().unwrap(), look.output().unwrap()];
    for output in refused {
        assert_eq!(output.status.code(), Some(1));
        let line = only_line(&output);
        assert!(line.contains("test.db-wal is; put that one back"), "{line}");
        assert!(bad_files::all_of(folder.path()) == before);
    }
    // Either way out that the line names.
    let log = folder.path().join("test.db-wal");
    let aside = folder.path().join("aside");
    fs::rename(&log, &aside).unwrap();
    let server = Server::start_in(Arc::clone(&folder), &[], String::new());
    server.stop();
    assert_eq!(users(&path), others);
    fs::rename(&kept, &path).unwrap();
    fs::rename(&aside, &log).unwrap();
    let server = Server::start_in(Arc::clone(&folder), &[], String::new());
    server.stop();
    assert_eq!(users(&path), made);
}

#[test]
fn a_restore_over_a_database_that_got_the_name_keeps_the_log_of_the_former_one_apart() {
    let (folder, _) = killed();
    let path = folder.path().join("test.db");
    let log = fs::read(folder.path().join("test.db-wal")).unwrap();
    let kept = Kept::new();
    kept.back_up();
    kept.call_owner("got the name");
    // A copy that gets the inode of the deleted one is another file all the same.
    fs::remove_file(&path).unwrap();
    fs::copy(&kept.database, &path).unwrap();
    let output = restore(netbird_auth(folder.path()), &kept.backup, &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(owner_of(&path), "Owner");
    let names = names_in(folder.path());
    let former = names.iter().find(|name| name.ends_with('Z')).unwrap();
    assert_eq!(owner_of(&folder.path().join(former)), "got the name");
    let apart = folder.path().join(format!("{former}.another-wal"));
    assert!(fs::read(apart).unwrap() == log);
}

#[test]
fn a_log_is_played_into_a_copy_of_its_database() {
    let (folder, made) = killed();
    let copy = Arc::new(tempfile::tempdir().unwrap());
    for name in names_in(folder.path()) {
        fs::copy(folder.path().join(&name), copy.path().join(&name)).unwrap();
    }
    let server = Server::start_in(Arc::clone(&copy), &[], String::new());
    server.stop();
    assert_eq!(users(&copy.path().join("test.db")), made);
}

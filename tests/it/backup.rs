//! `backup`: one whole file and its digest, beside a busy server and without one.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;
use serde_json::json;

use crate::bad_files::{all_of, leave_in_log};
use crate::support::{Kept, Server, eventually, id_of, mode_of, names_in, owner_of, read_only};

/// SQLite, the foreign keys and the audit trail find nothing wrong; it is one file that needs none
/// beside it, for its user only, and its digest is beside it.
#[track_caller]
pub fn assert_whole(file: &Path) {
    let name = file.file_name().unwrap().to_str().unwrap();
    let bytes = fs::read(file).unwrap();
    assert_eq!(bytes[18..20], [1, 1], "not in WAL mode");
    assert_eq!(mode_of(file), 0o600);
    let digest = file.with_file_name(format!("{name}.blake3"));
    let expected = format!("{}  {name}\n", blake3::hash(&bytes).to_hex());
    assert_eq!(fs::read_to_string(&digest).unwrap(), expected);
    assert_eq!(mode_of(&digest), 0o600);
    let names = names_in(file.parent().unwrap());
    let beside = names.iter().filter(|other| other.contains(name));
    assert_eq!(
        beside.collect::<Vec<_>>(),
        [name, &format!("{name}.blake3")]
    );

    let copy = read_only(file);
    let one = |sql: &str| -> String { copy.query_row(sql, (), |row| row.get(0)).unwrap() };
    assert_eq!(one("PRAGMA integrity_check"), "ok");
    for wrong in [
        "SELECT count(*) FROM pragma_foreign_key_check",
        "SELECT count(*) FROM tokens WHERE number NOT IN (SELECT token FROM audit_events
         WHERE activity_code = 'personal.access.token.create')",
        "SELECT count(*) FROM audit_events e WHERE activity_code = 'personal.access.token.create'
         AND token NOT IN (SELECT number FROM tokens) AND NOT EXISTS
         (SELECT 1 FROM audit_events d WHERE d.token = e.token AND d.number > e.number)",
        "SELECT max(number) - count(*) FROM audit_events",
    ] {
        assert_eq!(one(&format!("SELECT ({wrong}) || ''")), "0", "{wrong}");
    }
}

/// Tells the writers to end when it is dropped.
struct AtTheEnd<'a>(&'a AtomicBool);

impl Drop for AtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_backup_beside_a_server_that_is_written_to_has_all_that_was_acknowledged_and_is_whole() {
    let server = Server::start();
    let users: Vec<String> = (0..4).map(|_| server.service_user("user")).collect();
    let backups = tempfile::tempdir().unwrap();
    let (made, done) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let (made, done) = (&made, &done);
    std::thread::scope(|threads| {
        // Also where a check fails: the writers would be waited for without an end.
        let _end = AtTheEnd(done);
        for user in &users {
            let owner = server.owner.clone();
            threads.spawn(move || {
                let path = format!("/api/users/{user}/tokens");
                let mut last: Option<String> = None;
                while !done.load(Ordering::Relaxed) {
                    let body = json!({"name": "n", "expires_in": 1});
                    let answer = owner.post(&path, body).ok();
                    let id = id_of(&answer["personal_access_token"]);
                    // Each second one is revoked at once, so that the trail has both. It is never
                    // among those that must be there.
                    match last.take() {
                        Some(revoked) => {
                            made.lock().unwrap().push(id);
                            owner.delete(&format!("{path}/{revoked}")).ok();
                        }
                        None => last = Some(id),
                    }
                }
            });
        }
        for round in 1..=3 {
            eventually("more is acknowledged", || {
                (made.lock().unwrap().len() >= round * 10).then_some(())
            });
            let before = made.lock().unwrap().clone();
            let file = backups.path().join(format!("{round}.db"));
            let output = server.run_command(&["backup", file.to_str().unwrap()]);
            assert_eq!(output, "");
            assert_whole(&file);
            let copy = read_only(&file);
            let sql = "SELECT count(*) FROM tokens WHERE id = ?1";
            for id in before {
                let found: u32 = copy.query_row(sql, [&id], |row| row.get(0)).unwrap();
                assert_eq!(found, 1, "{id} was acknowledged before the backup");
            }
        }
    });
    assert_eq!(names_in(backups.path()).len(), 6);
    server.anonymous().get("/readyz").ok();
    let folder = std::sync::Arc::clone(&server.folder);
    let (code, log) = server.stop();
    assert_eq!(code, Some(0));
    let bad = |line: &&String| line.contains("WARN") || line.contains("ERROR");
    assert_eq!(log.iter().find(bad), None);
    assert!(!names_in(folder.path()).contains(&"test.db-wal".to_owned()));
}

#[test]
fn a_backup_without_a_server_is_whole_and_changes_nothing() {
    let kept = Kept::new();
    let before = all_of(kept.folder.path());
    kept.back_up();
    assert_whole(&kept.backup);
    assert_eq!(owner_of(&kept.backup), "Owner");
    assert!(all_of(kept.folder.path()) == before);
}

#[test]
fn a_backup_has_what_a_kill_left_in_the_write_ahead_log_and_leaves_it_there() {
    let kept = Kept::new();
    leave_in_log(
        &kept.database,
        "UPDATE users SET name = 'in the log' WHERE role = 'owner'",
    );
    let before = all_of(kept.folder.path());
    kept.back_up();
    let mut after = all_of(kept.folder.path());
    // SQLite's index of the log, made anew by whoever opens it.
    after.remove("test.db-shm");
    assert!(after == before, "{:?}", after.keys());
    assert_whole(&kept.backup);
    assert_eq!(owner_of(&kept.backup), "in the log");
}

#[test]
fn a_file_of_an_older_schema_is_copied_as_it_is() {
    let kept = Kept::new();
    fs::remove_file(&kept.database).unwrap();
    let version = |path: &Path| -> u32 {
        let connection = Connection::open(path).unwrap();
        let version = connection.pragma_query_value(None, "user_version", |row| row.get(0));
        version.unwrap()
    };
    let old = Connection::open(&kept.database).unwrap();
    old.execute_batch(include_str!("../../schema.sql")).unwrap();
    old.close().unwrap();
    kept.back_up();
    assert_eq!((version(&kept.database), version(&kept.backup)), (1, 1));
    // The server brings it to the newest, after a restore too.
    assert_eq!(kept.restore(&[]).status.code(), Some(0));
    assert_eq!(version(&kept.database), 1);
    assert_eq!(kept.run(&["user", "list"]).status.code(), Some(0));
    assert!(version(&kept.database) > 1);
}

#[test]
fn what_a_killed_backup_left_is_replaced() {
    let kept = Kept::new();
    let folder = kept.backup.parent().unwrap();
    for left in [
        ".copy.db.unfinished",
        ".copy.db.unfinished-journal",
        ".copy.db.unfinished-wal",
        ".copy.db.unfinished-shm",
        ".copy.db.blake3.unfinished",
    ] {
        fs::write(folder.join(left), "left").unwrap();
    }
    let digest = blake3::hash(b"never came to be").to_hex();
    fs::write(kept.digest(), format!("{digest}  copy.db\n")).unwrap();
    kept.back_up();
    assert_eq!(names_in(folder), ["copy.db", "copy.db.blake3"]);
    assert_whole(&kept.backup);
}

#[test]
fn a_kill_in_the_midst_of_a_backup_leaves_nothing_that_has_the_name_of_one() {
    let kept = Kept::new();
    kept.fill(20_000);
    let folder = kept.backup.parent().unwrap();
    for suffix in [".unfinished", ".blake3"] {
        let mut backup = kept.command();
        let mut backup = backup.arg("backup").arg(&kept.backup).spawn().unwrap();
        eventually("it has begun", || {
            let names = names_in(folder);
            names
                .iter()
                .any(|name| name.ends_with(suffix))
                .then_some(())
        });
        backup.kill().unwrap();
        backup.wait().unwrap();
        if kept.backup.exists() {
            // The kill came too late: then it is whole.
            let names = names_in(folder);
            assert!(names.contains(&"copy.db.blake3".to_owned()), "{names:?}");
            assert_eq!(kept.restore(&[]).status.code(), Some(0));
            fs::remove_file(&kept.backup).unwrap();
        }
        kept.back_up();
        assert_eq!(names_in(folder), ["copy.db", "copy.db.blake3"]);
        fs::remove_file(&kept.backup).unwrap();
        fs::remove_file(kept.digest()).unwrap();
    }
}

#[test]
fn what_takes_long_is_told_until_it_is_done() {
    let kept = Kept::new();
    // Nobody reads while somebody has it for themselves: the backup waits.
    let other = Connection::open(&kept.database).unwrap();
    other
        .execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;
             UPDATE users SET name = name; COMMIT;",
        )
        .unwrap();
    let mut child = kept
        .command()
        .args(["backup", kept.backup.to_str().unwrap()])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert_eq!(first, "copying: 2 s so far");
    drop(other);
    let last = lines.last().unwrap().unwrap();
    assert!(last.contains("wrote "), "{last}");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

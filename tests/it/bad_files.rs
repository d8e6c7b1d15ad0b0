//! What stands where the database should be and is none that can be served: one clear line within
//! a second, exit 1, and every byte as it was.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rusqlite::Connection;
use tempfile::TempDir;

use crate::support::{Server, ended, netbird_auth, only_line, refused_start};

/// A good database, closed, so that the write-ahead log is in it.
pub fn database() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut command = netbird_auth(folder.path());
    let done = command.arg("bootstrap").output().unwrap();
    assert!(done.status.success());
    let _ = fs::remove_file(folder.path().join("test.db.lock"));
    folder
}

/// Name, bytes and mode of each file.
pub fn all_of(folder: &Path) -> BTreeMap<String, (u32, Option<Vec<u8>>)> {
    let entries = fs::read_dir(folder).unwrap();
    let entry = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        let name = entry.file_name().into_string().unwrap();
        (name, (mode, fs::read(entry.path()).ok()))
    };
    entries.map(entry).collect()
}

pub type Spoil = fn(&Path);

/// What it is, how a good database becomes it, and a word that the line must have.
pub const BAD: [(&str, Spoil, &str); 14] = [
    (
        "an empty file",
        |path| fs::write(path, "").unwrap(),
        "empty",
    ),
    (
        "garbage",
        |path| fs::write(path, [0x5a; 9000]).unwrap(),
        "not an SQLite file",
    ),
    (
        "a short text",
        |path| fs::write(path, "hello").unwrap(),
        "too short",
    ),
    (
        "a link to a file that is missing",
        |path| {
            fs::remove_file(path).unwrap();
            std::os::unix::fs::symlink("not-mounted/test.db", path).unwrap();
        },
        "is its disk mounted",
    ),
    (
        "a newer schema",
        |path| sql(path, "PRAGMA user_version = 2000"),
        "newer",
    ),
    (
        "another program's database",
        |path| sql(path, "PRAGMA application_id = 1"),
        "another program",
    ),
    (
        "a database of no program",
        |path| sql(path, "PRAGMA application_id = 0"),
        "another program",
    ),
    (
        "a folder",
        |path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        },
        "not a file",
    ),
    (
        "a read-only file",
        |path| fs::set_permissions(path, Permissions::from_mode(0o400)).unwrap(),
        "read-only",
    ),
    ("a header alone", |path| cut(path, 100), ""),
    ("one page", |path| cut(path, 4096), ""),
    ("half of its pages", |path| cut(path, 8 * 4096), ""),
    ("a page and a bit", |path| cut(path, 6000), ""),
    (
        "a write-ahead log without its database",
        |path| {
            fs::remove_file(path).unwrap();
            fs::write(path.with_file_name("test.db-wal"), "log").unwrap();
        },
        "write-ahead log",
    ),
];

#[test]
fn a_bad_file_ends_the_start_with_1_and_one_line_and_stays_as_it_is() {
    let mut wrong = Vec::new();
    for (what, spoil, word) in BAD {
        let folder = database();
        let path = folder.path().join("test.db");
        spoil(&path);
        let before = all_of(folder.path());
        for arguments in [["serve", ""], ["user", "list"]] {
            let mut command = netbird_auth(folder.path());
            command.args(arguments.iter().filter(|argument| !argument.is_empty()));
            let output = ended(command);
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            let lines = errors
                .lines()
                .filter(|line| !line.contains("configuration:"));
            let lines: Vec<&str> = lines.collect();
            let mut after = all_of(folder.path());
            // An empty lock file is no harm.
            after.remove("test.db.lock");
            let checks = [
                ("exit code", output.status.code() == Some(1)),
                ("one line", lines.len() == 1 && output.stdout.is_empty()),
                ("file named", errors.contains(path.to_str().unwrap())),
                ("said why", errors.contains(word)),
                ("untouched", after == before),
            ];
            for (check, _) in checks.iter().filter(|(_, good)| !good) {
                wrong.push(format!("{what}, {arguments:?}: {check}: {lines:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_newer_schema_that_is_in_the_write_ahead_log_only_is_refused_and_stays_there() {
    let folder = database();
    leave_in_log(&folder.path().join("test.db"), "PRAGMA user_version = 2000");
    let before = all_of(folder.path());
    let output = refused_start(netbird_auth(folder.path()));
    assert_eq!(output.status.code(), Some(1));
    assert!(only_line(&output).contains("newer"));
    let mut after = all_of(folder.path());
    after.remove("test.db.lock");
    // SQLite's own index of the log, made anew by whoever opens it.
    after.remove("test.db-shm");
    assert!(after == before, "{:?}", after.keys());
}

#[test]
fn a_second_server_on_the_same_file_ends_at_once() {
    let server = Server::start();
    let output = refused_start(netbird_auth(server.folder.path()));
    assert_eq!(output.status.code(), Some(1));
    let line = only_line(&output);
    assert!(line.contains(server.path().to_str().unwrap()), "{line}");
    assert!(line.contains("in use"), "{line}");
    assert_eq!(server.service_user("admin").len(), 36);
}

#[test]
fn a_second_name_of_a_served_file_is_no_second_database() {
    let server = Server::start();
    let elsewhere = tempfile::tempdir().unwrap();
    let link = |name: &str, target: &Path| {
        let link = elsewhere.path().join(name);
        std::os::unix::fs::symlink(target, &link).unwrap();
        link
    };
    let file = link("other.db", &server.path());
    let names = [
        link("again.db", &file),
        file,
        link("folder", server.folder.path()).join("test.db"),
    ];
    for name in names {
        let mut command = netbird_auth(server.folder.path());
        command.env("NETBIRD_AUTH_DATABASE__PATH", &name);
        let output = refused_start(command);
        assert_eq!(output.status.code(), Some(1), "{name:?}");
        let line = only_line(&output);
        assert!(line.contains("in use by another"), "{line}");
        assert!(line.contains(name.to_str().unwrap()), "{line}");
    }
    assert_eq!(server.service_user("admin").len(), 36);
}

#[test]
fn a_database_that_another_program_holds_ends_the_start_in_about_a_second() {
    let folder = database();
    let path = folder.path().join("test.db");
    let holder = Connection::open(&path).unwrap();
    let hold = "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; UPDATE users SET name = name";
    holder.execute_batch(hold).unwrap();
    let output = refused_start(netbird_auth(folder.path()));
    assert_eq!(output.status.code(), Some(1));
    let line = only_line(&output);
    assert!(line.contains("locked"), "{line}");
    assert!(line.contains(path.to_str().unwrap()), "{line}");
    drop(holder);
    let server = Server::start_in(folder.into(), &[], String::new());
    server.run_command(&["user", "list"]);
}

pub fn sql(path: &Path, statements: &str) {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(statements).unwrap();
    connection.close().unwrap();
}

/// As a program killed after its commit leaves it.
pub fn leave_in_log(path: &Path, statements: &str) {
    let connection = Connection::open(path).unwrap();
    // A new database has no log until something opens it to write.
    let journal: String = connection
        .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))
        .unwrap();
    assert_eq!(journal, "wal");
    connection.execute_batch(statements).unwrap();
    let copy = |suffix: &str| {
        let from = path.with_file_name(format!("test.db{suffix}"));
        (from.clone(), fs::read(from).unwrap())
    };
    let kept = [copy(""), copy("-wal")];
    connection.close().unwrap();
    for (path, bytes) in kept {
        fs::write(path, bytes).unwrap();
    }
}

fn cut(path: &Path, length: u64) {
    let file = fs::File::options().write(true).open(path).unwrap();
    assert!(file.metadata().unwrap().len() > length);
    file.set_len(length).unwrap();
}

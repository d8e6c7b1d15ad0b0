//! The first owner without a terminal: by a token file, and by `bootstrap`.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use netbird_auth::change::{self, Actor};
use netbird_auth::clock::Timestamp;
use netbird_auth::store;
use netbird_auth::user::Role;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::index::machine;
use crate::support::{
    Command, Server, ended, eventually, fresh_token, mode_of, netbird_auth, only_line,
    refused_start,
};

fn folder() -> Arc<TempDir> {
    Arc::new(tempfile::tempdir().unwrap())
}

fn bootstrap(folder: &Path, out: &Path) -> Command {
    let mut command = netbird_auth(folder);
    command.args(["bootstrap", "--out"]).arg(out);
    command
}

#[test]
fn a_token_file_is_the_owners_token_only_when_the_database_is_made() {
    let folder = folder();
    let token = fresh_token();
    let file = folder.path().join("secret");
    fs::write(&file, format!("{token}\n")).unwrap();
    let start = || {
        let mut command = netbird_auth(folder.path());
        command
            .env("NETBIRD_AUTH_BOOTSTRAP__TOKEN_FILE", &file)
            .arg("serve");
        Server::start_by(command, Arc::clone(&folder), token.clone())
    };
    let server = start();
    let id = server.owner_id.clone();
    let tokens = server.owner.get(&format!("/api/users/{id}/tokens")).ok();
    assert!(!folder.path().join("owner-token").exists());
    assert!(file.exists());
    server.run_command(&["token", "revoke", tokens[0]["id"].as_str().unwrap()]);
    assert_eq!(server.stop().0, Some(0));

    let server = start();
    assert_eq!(
        server.owner.get("/api/users").refused(401),
        "unknown or revoked token"
    );
    assert_eq!(server.stop().0, Some(0));

    // From now on nobody needs it.
    fs::remove_file(&file).unwrap();
    start();
}

#[test]
fn a_bad_token_file_ends_the_first_start_with_2_and_makes_nothing() {
    let folder = folder();
    let file = folder.path().join("secret");
    let broken = "nbp_z1pvsg2wP3EzmEou4S679KyTNhov632eyrXX";
    for content in [None, Some(""), Some(broken), Some("not a token")] {
        if let Some(content) = content {
            fs::write(&file, content).unwrap();
        }
        let mut command = netbird_auth(folder.path());
        command.env("NETBIRD_AUTH_BOOTSTRAP__TOKEN_FILE", &file);
        let output = refused_start(command);
        let line = only_line(&output);
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(line.contains(file.to_str().unwrap()), "{line}");
        assert!(!line.contains("nbp_"), "{line}");
        assert!(!folder.path().join("test.db").exists());
    }
}

#[test]
fn bootstrap_writes_the_token_into_a_new_private_file() {
    let folder = folder();
    let out = folder.path().join("token");
    let bootstrap = || bootstrap(folder.path(), &out).output().unwrap();
    // A file that is there stays as it is, and no database comes to be.
    fs::write(&out, "mine").unwrap();
    let refused = bootstrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(only_line(&refused).contains(out.to_str().unwrap()));
    assert_eq!(fs::read_to_string(&out).unwrap(), "mine");
    assert!(!folder.path().join("test.db").exists());

    fs::remove_file(&out).unwrap();
    let made = bootstrap();
    assert_eq!(made.status.code(), Some(0));
    assert!(made.stdout.is_empty());
    assert!(!String::from_utf8_lossy(&made.stderr).contains("nbp_"));
    assert_eq!(mode_of(&out), 0o600);
    let token = fs::read_to_string(&out).unwrap();
    assert_eq!(token.len(), 41);

    // There is an owner now.
    fs::remove_file(&out).unwrap();
    let refused = bootstrap();
    assert_eq!(refused.status.code(), Some(4));
    assert!(!out.exists());

    let token = token.trim().to_owned();
    let server = Server::start_in(Arc::clone(&folder), &[], token);
    assert_eq!(server.owner.get("/api/users").status, 200);
    assert!(!folder.path().join("owner-token").exists());
}

#[test]
fn a_killed_bootstrap_is_no_trouble_for_the_next() {
    let folder = folder();
    let out = folder.path().join("token");
    for name in [".test.db.unfinished", ".test.db.unfinished-journal"] {
        fs::write(folder.path().join(name), "left").unwrap();
    }
    let made = bootstrap(folder.path(), &out).output().unwrap();
    assert_eq!(made.status.code(), Some(0), "{made:?}");
    assert!(!folder.path().join(".test.db.unfinished").exists());
    let token = fs::read_to_string(&out).unwrap();
    let server = Server::start_in(Arc::clone(&folder), &[], token.trim().to_owned());
    server.owner.get("/api/users").ok();
}

#[test]
fn a_file_is_never_overwritten() {
    let token = fresh_token();
    let contents: [&[u8]; 5] = [b"mine", b"", b"nbp_", b"nbp_\xff", token.as_bytes()];
    for content in contents {
        for is_unfinished in [false, true] {
            let folder = folder();
            let out = folder.path().join("token");
            fs::write(&out, content).unwrap();
            if is_unfinished {
                fs::write(folder.path().join(".test.db.unfinished"), "left").unwrap();
            }
            let refused = ended(bootstrap(folder.path(), &out));
            assert_eq!(refused.status.code(), Some(1), "{content:?}");
            let line = only_line(&refused);
            assert!(line.contains(out.to_str().unwrap()), "{line}");
            assert!(line.contains("move it away, or name another"), "{line}");
            assert!(!line.contains("nbp_"), "{line}");
            assert_eq!(fs::read(&out).unwrap(), content);
            assert!(!folder.path().join("test.db").exists());
        }
    }
}

#[test]
fn bootstrap_on_a_disk_that_is_nearly_full_makes_all_or_nothing() {
    let (mut full, mut made) = (0, 0);
    // From no room at all to more than enough, in units of 512 bytes.
    for limit in (0..160).step_by(3) {
        let folder = folder();
        let out = folder.path().join("token");
        let plain = bootstrap(folder.path(), &out);
        let mut limited = Command::new("sh");
        limited
            .args(["-c", "trap '' XFSZ; ulimit -f $0; exec \"$@\""])
            .arg(limit.to_string())
            .arg(plain.get_program())
            .args(plain.get_args())
            .current_dir(folder.path());
        for (name, value) in plain.get_envs() {
            match value {
                Some(value) => limited.env(name, value),
                None => limited.env_remove(name),
            };
        }
        let output = ended(limited);
        if output.status.success() {
            made += 1;
        } else {
            full += 1;
            assert_eq!(output.status.code(), Some(1), "{limit}");
            only_line(&output);
            let mut left = fs::read_dir(folder.path()).unwrap().map(Result::unwrap);
            let left = left.find(|entry| entry.file_name() != "test.db.lock");
            assert!(left.is_none(), "{limit}: {left:?}");
            let again = ended(bootstrap(folder.path(), &out));
            assert_eq!(again.status.code(), Some(0), "{limit}: {again:?}");
        }
        let token = fs::read_to_string(&out).unwrap();
        assert_eq!(token.len(), 41, "{limit}");
        let mut list = netbird_auth(folder.path());
        list.args(["user", "list"]);
        let listed = ended(list);
        assert_eq!(listed.status.code(), Some(0), "{limit}: {listed:?}");
    }
    assert!(full > 10 && made > 10, "{full} and {made}");
}

#[test]
fn a_new_database_is_whole_once_it_is_committed_whatever_the_closing_does() {
    let folder = folder();
    let path = folder.path().join("test.db");
    let mut reader = None;
    let made = store::create_database(&path, |database| {
        // With a second connection open, SQLite does at the close what it does on a full disk:
        // nothing.
        let other = Connection::open(path.with_file_name(".test.db.unfinished"))?;
        let tables = "SELECT count(*) FROM sqlite_schema";
        let tables: i64 = other.query_row(tables, (), |row| row.get(0))?;
        assert_eq!(tables, 0, "it is not committed yet");
        reader = Some(other);
        change::create_user(
            database,
            Timestamp::now(),
            Actor::System,
            machine(Role::User),
        )
    });
    let user = made.unwrap().value;
    let copy = path.with_file_name("copy.db");
    fs::copy(&path, &copy).unwrap();
    let database = store::open_writer(&copy, Duration::ZERO).unwrap();
    let found = store::user_by_id(&database, user.id.as_str()).unwrap();
    assert_eq!(found, Some(user));
    drop(reader);
}

#[test]
fn bootstrap_gives_an_owner_to_a_server_that_runs_without_one() {
    let server = Server::start_in(folder(), &["--no-bootstrap"], String::new());
    assert!(!server.folder.path().join("owner-token").exists());
    let needed = |server: &Server| server.anonymous().get("/api/instance").ok();
    assert_eq!(needed(&server)["setup_required"], true);
    // Without --out the token is alone on standard output.
    let token = server.run_command(&["bootstrap"]);
    assert_eq!(token.len(), 41);
    eventually("the owner is known", || {
        let answer = server.client(token.trim()).get("/api/users");
        (answer.status == 200).then_some(())
    });
    assert_eq!(needed(&server)["setup_required"], false);
    assert_eq!(server.command(&["bootstrap"]).status.code(), Some(4));
}

#[test]
fn the_owner_is_as_configured() {
    let folder = folder();
    let mut command = netbird_auth(folder.path());
    command
        .env("NETBIRD_AUTH_BOOTSTRAP__OWNER_NAME", "Ada")
        .env("NETBIRD_AUTH_BOOTSTRAP__OWNER_EMAIL", "ada@home.arpa")
        .arg("serve");
    let server = Server::start_by(command, folder, String::new());
    let users = server.run_command(&["user", "list", "--json"]);
    let users: serde_json::Value = serde_json::from_str(&users).unwrap();
    assert_eq!(users[0]["name"], "Ada");
    assert_eq!(users[0]["email"], "ada@home.arpa");
    assert_eq!(users[0]["role"], "owner");
}

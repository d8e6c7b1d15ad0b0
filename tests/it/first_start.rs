//! The first start, and every later one on a good or a bad file.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Instant;

use rusqlite::Connection;
use tempfile::TempDir;

use crate::support::{
    Server, eventually, fresh_token, mode_of, netbird_auth, only_line, refused_start,
};

fn folder() -> Arc<TempDir> {
    Arc::new(tempfile::tempdir().unwrap())
}

fn names_in(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn without_a_terminal_the_token_is_in_a_file_until_it_is_used() {
    let server = Server::start_in(folder(), &[], String::new());
    let path = server.folder.path().join("owner-token");
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!((text.len(), text.ends_with('\n')), (41, true));
    assert_eq!(mode_of(&path), 0o600);
    assert!(server.log_line("owner-token").contains("expires"));
    let token = text.trim().to_owned();

    // A start before its use shows nothing and leaves the file; the use then takes it away.
    let server = server.restart();
    assert!(path.exists());
    assert_eq!(server.client(&token).get("/api/users").status, 200);
    eventually("the used file is gone", || (!path.exists()).then_some(()));

    let server = server.restart();
    assert_eq!(server.client(&token).get("/api/users").status, 200);
    assert!(!path.exists());
    let log = server.log().join("\n");
    assert!(!log.contains("owner-token"), "{log}");
    assert!(!log.contains("nbp_"), "{log}");
    assert_eq!(server.standard_output(), "");
}

#[test]
fn the_log_and_standard_output_never_hold_the_token() {
    let server = Server::start_in(folder(), &[], String::new());
    let text = fs::read_to_string(server.folder.path().join("owner-token")).unwrap();
    assert_eq!(server.client(text.trim()).get("/api/users").status, 200);
    server.log_line("owner token was used");
    let log = server.log().join("\n");
    assert!(!log.contains("nbp_"), "{log}");
    assert_eq!(server.standard_output(), "");
}

#[test]
fn the_owner_token_file_goes_when_its_token_is_revoked_before_its_use() {
    for by_command in [true, false] {
        let server = Server::start_in(folder(), &[], String::new());
        let file = server.folder.path().join("owner-token");
        let tokens = server.run_command(&["token", "list", "--json"]);
        let tokens: serde_json::Value = serde_json::from_str(&tokens).unwrap();
        let (id, owner) = (tokens[0]["id"].as_str().unwrap(), &server.owner_id);
        assert!(file.exists());
        if by_command {
            server.run_command(&["token", "revoke", id]);
        } else {
            let client = server.client(&server.token_of(owner));
            client
                .delete(&format!("/api/users/{owner}/tokens/{id}"))
                .ok();
        }
        eventually("the useless file is gone", || {
            (!file.exists()).then_some(())
        });
    }
}

#[test]
fn the_owner_token_file_goes_when_its_token_is_used_in_the_last_moment() {
    let server = Server::start_in(folder(), &[], String::new());
    let folder = Arc::clone(&server.folder);
    let file = folder.path().join("owner-token");
    let token = fs::read_to_string(&file).unwrap();
    server.client(token.trim()).get("/api/users").ok();
    let (code, log) = server.stop();
    assert_eq!(code, Some(0), "{log:?}");
    assert!(!file.exists(), "{log:?}");
}

#[test]
fn no_configuration_is_needed() {
    let folder = folder();
    let mut command = netbird_auth(folder.path());
    command
        .env_remove("NETBIRD_AUTH_DATABASE__PATH")
        .arg("serve");
    let server = Server::start_by(command, Arc::clone(&folder), String::new());
    let token = fs::read_to_string(folder.path().join("owner-token")).unwrap();
    let users = server.client(token.trim()).get("/api/users").ok();
    assert_eq!(users[0]["role"], "owner");
    assert_eq!(users[0]["name"], "Owner");
    let tokens = format!("/api/users/{}/tokens", users[0]["id"].as_str().unwrap());
    let tokens = server.client(token.trim()).get(&tokens).ok();
    let day = |key: &str| tokens[0][key].as_str().unwrap()[..10].to_owned();
    let age = |day: String| {
        let mut parts = day.split('-').map(|part| part.parse::<i64>().unwrap());
        let [year, month, day] = [(); 3].map(|()| parts.next().unwrap());
        year * 372 + month * 31 + day
    };
    let days = age(day("expiration_date")) - age(day("created_at"));
    assert!((30..=34).contains(&days), "about 30 days: {days}");
    assert_eq!(mode_of(&folder.path().join("netbird-auth.db")), 0o600);

    let mut command = netbird_auth(folder.path());
    for name in ["DATABASE__PATH", "SERVER__LISTEN", "SERVER__WORKERS"] {
        command.env_remove(format!("NETBIRD_AUTH_{name}"));
    }
    let output = command.args(["config", "check"]).output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("127.0.0.1:8080"), "{shown}");
    assert!(shown.contains("netbird-auth.db"), "{shown}");
}

#[test]
fn files_are_private_and_so_is_a_folder_made_for_them() {
    let folder = folder();
    let database = folder.path().join("a/b/test.db");
    let mut command = netbird_auth(folder.path());
    command
        .env("NETBIRD_AUTH_DATABASE__PATH", &database)
        .arg("serve");
    let server = Server::start_by(command, Arc::clone(&folder), String::new());
    let token = fs::read_to_string(database.with_file_name("owner-token")).unwrap();
    assert_eq!(server.client(token.trim()).get("/api/users").status, 200);
    for name in names_in(database.parent().unwrap()) {
        let mode = mode_of(&database.with_file_name(&name));
        assert_eq!(mode, 0o600, "{name}: {mode:o}");
    }
    for made in ["a", "a/b"] {
        assert_eq!(mode_of(&folder.path().join(made)), 0o700, "{made}");
    }
}

#[test]
fn on_a_terminal_the_token_and_a_curl_line_are_printed_once() {
    let folder = folder();
    let (first, address) = on_a_terminal(folder.path());
    assert!(!folder.path().join("owner-token").exists());
    let token = first
        .lines()
        .map(str::trim)
        .find(|line| line.starts_with("nbp_"))
        .unwrap_or_else(|| panic!("no token in {first}"));
    let curl = first
        .lines()
        .find(|line| line.trim().starts_with("curl "))
        .unwrap_or_else(|| panic!("no curl in {first}"));
    assert!(curl.contains(&format!("'Authorization: Token {token}'")));
    assert!(
        curl.contains(&format!("{address}/api/users")),
        "{curl}, but {address}"
    );

    let (second, _) = on_a_terminal(folder.path());
    assert_eq!(second, "");
}

/// What `serve` prints on a terminal until it is ready, and its address.
fn on_a_terminal(folder: &Path) -> (String, String) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let terminal = File::options()
        .write(true)
        .open(name.to_str().unwrap())
        .unwrap();
    let mut child = netbird_auth(folder)
        .arg("serve")
        .stdin(Stdio::null())
        .stdout(terminal)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let ready = lines
        .map_while(Result::ok)
        .find(|line| line.contains("ready on "));
    let ready = ready.expect("it gets ready");
    end(child);
    // The terminal is closed on the other side: Linux reports that as an error after the text.
    let mut text = Vec::new();
    let _ = File::from(master).read_to_end(&mut text);
    let address = ready.split("ready on ").nth(1).unwrap();
    let address = address.split(' ').next().unwrap().to_owned();
    (String::from_utf8(text).unwrap(), address)
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_first_start_killed_at_any_moment_is_no_trouble_for_the_next() {
    let begun = Instant::now();
    Server::start_in(folder(), &[], String::new());
    let whole = begun.elapsed();
    for round in 0..15 {
        let folder = folder();
        let until = Instant::now() + whole * round / 14;
        let child = netbird_auth(folder.path())
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while Instant::now() < until {
            std::thread::yield_now();
        }
        end(child);
        let left = names_in(folder.path());
        let server = Server::start_in(Arc::clone(&folder), &[], String::new());
        let token = fs::read_to_string(folder.path().join("owner-token"));
        let token = token.unwrap_or_else(|error| panic!("{error}; the kill left {left:?}"));
        let answer = server.client(token.trim()).get("/api/users");
        assert_eq!(answer.status, 200, "the kill left {left:?}");
    }
}

#[test]
fn what_a_killed_first_start_left_is_cleared_away() {
    // The token's file whole, cut off by the kill, and with its length alone written before a power cut.
    let token = fresh_token();
    let zeros = format!("{}\n", "\0".repeat(token.len()));
    for left in [&format!("{token}\n"), &token[..17], &token[..2], "", &zeros] {
        let folder = folder();
        for name in [".test.db.unfinished", ".test.db.unfinished-journal"] {
            fs::write(folder.path().join(name), "left").unwrap();
        }
        fs::write(folder.path().join("owner-token"), left).unwrap();
        let server = Server::start_in(Arc::clone(&folder), &[], String::new());
        let token = fs::read_to_string(folder.path().join("owner-token")).unwrap();
        assert_eq!(server.client(token.trim()).get("/api/users").status, 200);
        assert!(
            !names_in(folder.path())
                .iter()
                .any(|name| name.contains("unfinished"))
        );
    }
}

#[test]
fn a_token_that_never_came_to_be_is_not_left_beside_a_configured_one() {
    let folder = folder();
    fs::write(folder.path().join(".test.db.unfinished"), "left").unwrap();
    fs::write(folder.path().join("owner-token"), fresh_token()).unwrap();
    // Somebody's copy, which happens to be called as an unfinished database once was.
    fs::write(folder.path().join("test.db.new"), "mine").unwrap();
    let token = fresh_token();
    let mut command = netbird_auth(folder.path());
    command
        .arg("serve")
        .env("NETBIRD_AUTH_BOOTSTRAP__TOKEN", &token);
    let server = Server::start_by(command, Arc::clone(&folder), token);
    server.owner.get("/api/users").ok();
    assert!(!folder.path().join("owner-token").exists());
    let copy = fs::read_to_string(folder.path().join("test.db.new")).unwrap();
    assert_eq!(copy, "mine");
}

#[test]
fn an_owner_token_file_of_unknown_origin_is_left_alone() {
    let folder = folder();
    let file = folder.path().join("owner-token");
    fs::write(&file, "mine").unwrap();
    let output = refused_start(netbird_auth(folder.path()));
    assert_eq!(output.status.code(), Some(1));
    assert!(only_line(&output).contains(file.to_str().unwrap()));
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    assert!(!folder.path().join("test.db").exists());
}

#[test]
fn an_address_in_use_ends_the_first_start_before_a_token_is_shown() {
    let folder = folder();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = netbird_auth(folder.path());
    command.env("NETBIRD_AUTH_SERVER__LISTEN", &address);
    let output = refused_start(command);
    assert_eq!(output.status.code(), Some(1));
    assert!(only_line(&output).contains(&address));
    assert!(!folder.path().join("owner-token").exists());
    assert!(!folder.path().join("test.db").exists());
}

#[test]
fn the_log_warns_at_the_start_of_an_owner_token_that_ends_soon() {
    const DAY: i64 = 86_400_000_000;
    let now = netbird_auth::clock::Timestamp::now().micros();
    let table = [
        (Some(now + 8 * DAY), None),
        (Some(now + 6 * DAY), Some("the last owner token expires at")),
        (Some(now - DAY), Some("the last owner token expired at")),
        (None, Some("no owner has a token")),
    ];
    let folder = folder();
    let server = Server::start_in(Arc::clone(&folder), &[], String::new());
    let machine = server.run_command(&["user", "create", "--service", "--name", "machine"]);
    server.stop();
    for (end, warning) in table {
        let database = Connection::open(folder.path().join("test.db")).unwrap();
        let done = match end {
            Some(end) => database.execute("UPDATE tokens SET expires_at = ?1", [end]),
            None => database.execute("DELETE FROM tokens", ()),
        };
        assert_eq!(done.unwrap(), 1);
        drop(database);
        let server = Server::start_in(Arc::clone(&folder), &[], String::new());
        match warning {
            Some(warning) => {
                let line = server.log_line(warning);
                assert!(
                    line.contains("WARN") && line.contains("token create"),
                    "{line}"
                );
            }
            None => {
                // The writer looks right after the start; it has when it took this over.
                server.run_command(&["user", "block", machine.trim()]);
                server.log_line("took over");
                let log = server.stop().1.join("\n");
                assert!(!log.contains("owner token expire"), "{log}");
            }
        }
    }
}

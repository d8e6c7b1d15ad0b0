//! The first owner without a terminal: by a token file, and by `bootstrap`.

use std::fs;
use std::sync::Arc;

use tempfile::TempDir;

use crate::support::{
    Server, eventually, fresh_token, mode_of, netbird_auth, only_line, refused_start,
};

fn folder() -> Arc<TempDir> {
    Arc::new(tempfile::tempdir().unwrap())
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
    let bootstrap = || {
        let mut command = netbird_auth(folder.path());
        command.args(["bootstrap", "--out"]).arg(&out);
        command.output().unwrap()
    };
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

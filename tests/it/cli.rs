//! The commands: what they print for people and for scripts, and how fast a running server follows.

use std::time::Instant;

use serde_json::{Value, json};

use crate::support::{SOON, Server, eventually, fresh_token, netbird_auth};

/// Waits until a client gets a status, which must not take longer than a second.
#[track_caller]
fn in_force(server: &Server, token: &str, status: u16) {
    let since = Instant::now();
    let what = format!("{status} for the token");
    eventually(&what, || {
        let answer = server.client(token).get("/api/users");
        (answer.status == status).then_some(())
    });
    assert!(
        since.elapsed() < SOON,
        "{status} after {:?}",
        since.elapsed()
    );
}

/// A user made by a command, its id.
fn made(server: &Server, arguments: &[&str]) -> String {
    let arguments = [&["user", "create"], arguments].concat();
    server.run_command(&arguments).trim().to_owned()
}

fn json_of(server: &Server, arguments: &[&str]) -> Value {
    let arguments = [arguments, &["--json"]].concat();
    serde_json::from_str(&server.run_command(&arguments)).unwrap()
}

#[test]
fn users_and_tokens_are_shown_as_tables_and_as_json() {
    let server = Server::start();
    let groups = ["--groups", "g1,g2"];
    let made_json: Value = {
        let create = [
            "user",
            "create",
            "--name",
            "ada",
            "--email",
            "ada@home.arpa",
        ];
        json_of(&server, &[&create[..], &groups[..]].concat())
    };
    assert_eq!(made_json["status"], "active");
    assert_eq!(made_json["role"], "user");
    assert_eq!(made_json["auto_groups"], json!(["g1", "g2"]));
    let ada = made_json["id"].as_str().unwrap().to_owned();
    let machine = made(
        &server,
        &[
            "--name",
            "ci",
            "--service",
            "--id",
            "m|1",
            "--role",
            "admin",
        ],
    );
    assert_eq!(machine, "m|1");

    let table = server.run_command(&["user", "list"]);
    let mut lines = table.lines();
    let heading: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(heading, ["ID", "NAME", "EMAIL", "ROLE", "STATUS", "KIND"]);
    let row: Vec<&str> = table
        .lines()
        .find(|line| line.starts_with("m|1"))
        .unwrap()
        .split_whitespace()
        .collect();
    assert_eq!(row, ["m|1", "ci", "-", "admin", "active", "service"]);
    assert_eq!(lines.count(), 3);

    let users = json_of(&server, &["user", "list"]);
    assert_eq!(users.as_array().unwrap().len(), 3);
    assert_eq!(users[1], made_json);
    assert_eq!(json_of(&server, &["user", "show", &ada]), made_json);
    assert!(
        server
            .run_command(&["user", "show", &ada])
            .contains("g1, g2")
    );

    let create = ["token", "create", "--user", &ada, "--name", "laptop"];
    let token = json_of(&server, &create);
    let plain = token["plain_token"].as_str().unwrap();
    assert!(netbird_auth::token::PlainToken::parse(plain).is_ok());
    let record = &token["personal_access_token"];
    assert_eq!(record["name"], "laptop");
    let id = record["id"].as_str().unwrap();
    let listed = json_of(&server, &["token", "list", "--user", &ada]);
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["id"], record["id"]);
    assert_eq!(listed[0]["user_id"], json!(ada));
    assert!(listed[0].get("last_used").is_none());
    assert_eq!(json_of(&server, &["token", "show", id]), listed[0]);
    let table = server.run_command(&["token", "list"]);
    assert_eq!(
        table.lines().count(),
        3,
        "heading, the owner's and this: {table}"
    );
    let row = table.lines().find(|line| line.starts_with(id)).unwrap();
    assert!(row.contains("laptop") && row.ends_with("never"), "{row}");
    assert!(
        server
            .run_command(&["token", "show", id])
            .contains("laptop")
    );

    // The hash and the plain text are in none of it.
    let all = ["user", "token"].map(|what| server.run_command(&[what, "list", "--json"]));
    assert!(!all.concat().contains("nbp_"));

    let updated = json_of(&server, &["user", "update", &ada, "--groups", "g2"]);
    assert_eq!(updated["auto_groups"], json!(["g2"]));
    assert_eq!(updated["role"], "user");
    let none = json_of(&server, &["user", "update", &ada, "--groups", ""]);
    assert_eq!(none["auto_groups"], json!([]));
    let blocked = json_of(&server, &["user", "block", &ada]);
    assert_eq!(
        (&blocked["status"], &blocked["is_blocked"]),
        (&json!("blocked"), &json!(true))
    );
    assert_eq!(json_of(&server, &["token", "revoke", id]), json!({}));
    assert_eq!(json_of(&server, &["user", "delete", &ada]), json!({}));
}

#[test]
fn the_plain_token_stands_alone_on_standard_output() {
    let server = Server::start();
    let user = made(&server, &["--name", "ci", "--service"]);
    for (text, days) in [("90d", 90), ("1d", 1), ("365d", 365), ("7", 7)] {
        let arguments = ["token", "create", "--user", &user, "--expires-in", text];
        let output = server.command(&arguments);
        assert_eq!(output.status.code(), Some(0));
        let out = String::from_utf8(output.stdout).unwrap();
        assert_eq!(out.len(), 41);
        assert!(netbird_auth::token::PlainToken::parse(out.trim_end()).is_ok());
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(
            !errors.contains("nbp_") && errors.contains("expires"),
            "{errors}"
        );
        let life: i64 = server
            .database()
            .query_row(
                "SELECT expires_at - created_at FROM tokens ORDER BY number DESC LIMIT 1",
                (),
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(life, days * 86_400_000_000);
    }
    let default = server.run_command(&["token", "create", "--user", &user]);
    in_force(&server, default.trim(), 200);
}

#[test]
fn a_change_is_in_force_within_a_second_and_in_the_audit_trail() {
    let server = Server::start();
    let email = ["--name", "ada", "--email", "ada@home.arpa"];
    let ada = made(&server, &[&email[..], &["--role", "admin"]].concat());
    let token = server.run_command(&["token", "create", "--user", &ada]);
    let token = token.trim();
    in_force(&server, token, 200);
    server.run_command(&["user", "block", &ada]);
    in_force(&server, token, 403);
    server.run_command(&["user", "unblock", &ada]);
    in_force(&server, token, 200);

    let events = || server.client(token).get("/api/events/audit").status;
    server.run_command(&["user", "update", &ada, "--role", "user"]);
    eventually("the role is taken", || (events() == 403).then_some(()));
    server.run_command(&["user", "update", &ada, "--role", "owner"]);
    eventually("the ownership moved", || (events() == 200).then_some(()));
    let users = server.client(token).get("/api/users").ok();
    let roles: Vec<&Value> = users
        .as_array()
        .unwrap()
        .iter()
        .map(|user| &user["role"])
        .collect();
    assert_eq!(roles, ["admin", "owner"]);
    let old_owner = server.owner_id.clone();
    server.run_command(&["user", "update", &old_owner, "--role", "owner"]);

    let second = server.run_command(&["token", "create", "--user", &ada]);
    let second = second.trim();
    in_force(&server, second, 200);
    let listed = json_of(&server, &["token", "list", "--user", &ada]);
    server.run_command(&["token", "revoke", listed[0]["id"].as_str().unwrap()]);
    in_force(&server, token, 401);
    in_force(&server, second, 200);
    server.run_command(&["user", "delete", &ada]);
    in_force(&server, second, 401);

    let events = server.owner.get("/api/events/audit").ok();
    let mut codes: Vec<&str> = Vec::new();
    for event in events.as_array().unwrap() {
        assert_eq!(event["initiator_id"], "sys", "{event}");
        codes.push(event["activity_code"].as_str().unwrap());
    }
    codes.reverse();
    let expected = [
        "user.create", // the first start
        "personal.access.token.create",
        "user.create",
        "personal.access.token.create",
        "user.block",
        "user.unblock",
        "user.role.update",
        "user.role.update", // of the old owner, then the transfer
        "transferred.owner.role",
        "user.role.update",
        "transferred.owner.role",
        "personal.access.token.create",
        "personal.access.token.delete",
        "user.delete",
    ];
    assert_eq!(codes, expected);
}

#[test]
fn the_configuration_is_shown_without_its_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let output = netbird_auth(folder.path())
        .args(["config", "check"])
        .env("NETBIRD_AUTH_BOOTSTRAP__TOKEN", fresh_token())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(
        shown.contains("server.listen") && shown.contains("127.0.0.1:0"),
        "{shown}"
    );
    assert!(!shown.contains("nbp_"), "{shown}");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("nbp_"));
}

#[test]
fn the_healthcheck_asks_the_configured_server() {
    let server = Server::start();
    let check = |address: &str, arguments: &[&str]| server.healthcheck(address, arguments);
    let address = server.address.to_string();
    // A server that listens everywhere is asked on this machine.
    let everywhere = format!("0.0.0.0:{}", server.address.port());
    assert_eq!(check(&address, &[]), Some(0));
    assert_eq!(check(&address, &["--ready"]), Some(0));
    assert_eq!(check(&everywhere, &[]), Some(0));
    assert_eq!(check("127.0.0.1:1", &[]), Some(1));
    assert_eq!(check("127.0.0.1:1", &["--ready"]), Some(1));
}

//! How a command ends: its exit code, and one line that says why.

use std::process::Stdio;

use serde_json::json;

use crate::support::{Server, eventually, fresh_token, netbird_auth};

#[rustfmt::skip]
const COMMANDS: [&[&str]; 21] = [
    &[], &["serve"], &["bootstrap"], &["config"], &["config", "check"], &["healthcheck"],
    &["jwt"], &["jwt", "inspect"],
    &["user"], &["user", "list"], &["user", "create"], &["user", "show"], &["user", "update"],
    &["user", "block"], &["user", "unblock"], &["user", "delete"],
    &["token"], &["token", "list"], &["token", "create"], &["token", "show"], &["token", "revoke"],
];

/// Exit code, arguments, and what the error says. `{user}`, `{owner}`, `{secret}` and
/// `{257 groups}` are put in.
#[rustfmt::skip]
const EXITS: &[(i32, &[&str], &str)] = &[
    (0, &["user", "list"], ""),
    (0, &["user", "show", "{user}"], ""),
    (0, &["user", "update", "{user}", "--role", "Auditor"], ""),
    (0, &["user", "block", "{user}"], ""),
    (0, &["user", "block", "{user}"], ""),
    (0, &["user", "unblock", "{user}"], ""),
    (0, &["token", "list"], ""),
    (0, &["token", "list", "--user", "{user}"], ""),
    (0, &["config", "check"], ""),
    (0, &["--version"], ""),
    (1, &["healthcheck"], "http://127.0.0.1:1"),
    (2, &[], "Usage"),
    (2, &["user"], "Usage"),
    (2, &["token", "revoke", "a", "{secret}"], "looks like a token"),
    (2, &["jwt", "inspect", "Bearer", "eyJhbGciOiJub25lIn0.e30."], "looks like a token"),
    (2, &["usr"], "user"),
    (2, &["user", "list", "--jason"], "--json"),
    (2, &["user", "show"], "<ID>"),
    (2, &["user", "create", "--name", "bob"], "--email"),
    (2, &["user", "create", "--name", "b", "--email", "bob"], "--email"),
    (2, &["user", "create", "--name", "b", "--email", "@home.arpa"], "--email"),
    (2, &["user", "create", "--name", "b", "--email", "bob@"], "--email"),
    (2, &["user", "create", "--name", "b", "--email", "bob@a\nb"], "--email"),
    (2, &["user", "create", "--name", "", "--email", "bob@home.arpa"], "--name"),
    (2, &["user", "create", "--name", "a\nb", "--service"], "--name"),
    (2, &["user", "create", "--name", "b", "--service", "--groups", "{257 groups}"], "at most 256"),
    (2, &["user", "update", "{user}", "--groups", "{257 groups}"], "at most 256"),
    (2, &["user", "update", "{user}", "--groups", "a,b\nc"], "--groups"),
    (2, &["user", "create", "--name", "b", "--service", "--role", "root"], "network_admin"),
    (2, &["user", "create", "--name", "b", "--service", "--id", "a\u{7}"], "control"),
    (2, &["user", "update", "{user}"], "--role"),
    (2, &["user", "update", "{user}", "--role", "root"], "auditor"),
    (2, &["token", "create"], "--user"),
    (2, &["token", "create", "--user", "{user}", "--name", ""], "--name"),
    (2, &["token", "create", "--user", "{user}", "--expires-in", "0d"], "365d"),
    (2, &["token", "create", "--user", "{user}", "--expires-in", "366d"], "365d"),
    (2, &["token", "create", "--user", "{user}", "--expires-in", "-1"], ""),
    (2, &["token", "create", "--user", "{user}", "--expires-in", "1.5d"], "365d"),
    (2, &["token", "create", "--user", "{user}", "--expires-in", "1h"], "365d"),
    (2, &["token", "create", "--user", "{user}", "--expires-in", ""], ""),
    (2, &["--config", "missing.toml", "user", "list"], "missing.toml"),
    (3, &["user", "show", "nobody"], "nobody not found"),
    (3, &["user", "update", "nobody", "--role", "user"], "nobody not found"),
    (3, &["user", "block", "nobody"], "nobody not found"),
    (3, &["user", "unblock", "nobody"], "nobody not found"),
    (3, &["user", "delete", "nobody"], "nobody not found"),
    (3, &["token", "list", "--user", "nobody"], "nobody not found"),
    (3, &["token", "create", "--user", "nobody"], "nobody not found"),
    (3, &["user", "show", "{secret}"], "user with this id not found"),
    (3, &["user", "update", "{secret}", "--role", "user"], "user with this id not found"),
    (3, &["user", "block", "{secret}"], "user with this id not found"),
    (3, &["user", "delete", "{secret}"], "user with this id not found"),
    (3, &["token", "list", "--user", "{secret}"], "user with this id not found"),
    (3, &["token", "create", "--user", "{secret}"], "user with this id not found"),
    (3, &["token", "show", "0123456789abcdefghij"], "0123456789abcdefghij not found"),
    (3, &["token", "revoke", "0123456789abcdefghij"], "0123456789abcdefghij not found"),
    (3, &["token", "revoke", "{secret}"], "token not found"),
    (4, &["bootstrap"], "there is an owner already"),
    (4, &["user", "create", "--name", "b", "--service", "--role", "owner"], ""),
    (4, &["user", "create", "--name", "b", "--email", "ADA@home.arpa"], "e-mail"),
    (4, &["user", "create", "--name", "b", "--service", "--id", "{user}"], "id"),
    (4, &["user", "block", "{owner}"], ""),
    (4, &["user", "delete", "{owner}"], ""),
    (0, &["user", "delete", "{user}"], ""),
    (3, &["user", "delete", "{user}"], "not found"),
];

#[test]
fn every_command_explains_itself_and_none_takes_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    for command in COMMANDS {
        let output = netbird_auth(folder.path())
            .args(command)
            .arg("--help")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{command:?}");
        assert!(output.stderr.is_empty(), "{command:?}");
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(help.contains("Usage: netbird-auth"), "{help}");
        for secret in ["--token ", "--token=", "--password", "--secret", "--key"] {
            assert!(!help.contains(secret), "{command:?} takes {secret}");
        }
        for known in COMMANDS {
            if let [.., last] = known
                && known.len() == command.len() + 1
                && known.starts_with(command)
            {
                assert!(help.contains(last), "{command:?} does not list {last}");
            }
        }
    }
    let help = netbird_auth(folder.path()).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let codes = ["0 done", "1 failed", "2 usage", "3 not found", "4 denied"];
    for code in codes {
        assert!(help.contains(code), "{code}: {help}");
    }
    // Help is help on a machine with a broken configuration too, and leaves nothing behind.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn exit_codes_tell_what_happened() {
    let server = Server::start();
    let ada = [
        "user",
        "create",
        "--name",
        "ada",
        "--email",
        "ada@home.arpa",
    ];
    let user = server.run_command(&ada);
    let secret = fresh_token();
    let groups = ["g"; 257].join(",");
    for (code, arguments, words) in EXITS {
        let put_in = |argument: &&str| {
            let argument = argument.replace("{user}", user.trim());
            let argument = argument.replace("{owner}", &server.owner_id);
            let argument = argument.replace("{257 groups}", &groups);
            argument.replace("{secret}", &secret)
        };
        // No server listens where the commands look for one.
        let output = netbird_auth(server.folder.path())
            .env("NETBIRD_AUTH_SERVER__LISTEN", "127.0.0.1:1")
            .args(arguments.iter().map(put_in))
            .output()
            .unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(*code), "{arguments:?}: {errors}");
        if *code != 0 {
            assert!(output.stdout.is_empty(), "{arguments:?}");
            assert!(errors.contains(words), "{arguments:?}: {errors}");
        }
        assert!(!errors.contains("panic"), "{errors}");
        assert!(
            !errors.contains(&secret),
            "{arguments:?}: a secret is echoed"
        );
    }
    eventually("the owner alone is left", || {
        let users = server.owner.get("/api/users").ok();
        (users.as_array()?.len() == 1 && users[0]["role"] == "owner").then_some(())
    });
}

#[test]
fn an_owner_is_replaced_and_never_just_demoted() {
    let server = Server::start();
    let owner = server.owner_id.as_str();
    let output = server.command(&["user", "update", owner, "--role", "user"]);
    assert_eq!(output.status.code(), Some(4));
    // Without an owner anybody on the network could make themselves one.
    let fresh = server.restart();
    let instance = fresh.anonymous().get("/api/instance").ok();
    assert_eq!(instance, json!({"setup_required": false}));
}

#[test]
fn without_a_database_a_command_fails_and_makes_none() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [["user", "list"], ["token", "list"], ["user", "show"]] {
        let mut command = netbird_auth(folder.path());
        command.args(arguments);
        if arguments[1] == "show" {
            command.arg("nobody");
        }
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.contains("test.db: no such database"), "{errors}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_closed_standard_output_is_no_panic() {
    let server = Server::start();
    for arguments in [
        &["user", "list"][..],
        &["token", "list", "--json"],
        &["--help"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = netbird_auth(server.folder.path())
            .args(arguments)
            .stdout(Stdio::from(writer))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {errors}");
        assert_eq!(errors, "");
    }
}

//! The configuration as a person meets it: through the binary. Each fault by itself is a unit test
//! beside the code.

use std::fs;
use std::path::Path;

use crate::support::{Command, ended, fresh_token, netbird_auth, only_line, refused_start};

/// `config check` below a folder, with nothing set that the folder does not have.
fn check(folder: &Path) -> Command {
    let mut command = netbird_auth(folder);
    for name in ["DATABASE__PATH", "SERVER__LISTEN", "SERVER__WORKERS"] {
        command.env_remove(format!("NETBIRD_AUTH_{name}"));
    }
    command
        .env("XDG_CONFIG_HOME", folder.join("xdg"))
        .args(["config", "check"]);
    command
}

/// The value of a line that `config check` shows.
#[track_caller]
fn shown(command: &mut Command, key: &str) -> String {
    let output = command.output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.unwrap_or_else(|| panic!("no {key} in {text}"))
        .trim()
        .to_owned()
}

#[test]
fn the_file_is_the_first_of_the_places_and_the_environment_is_over_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir_all(path("xdg/netbird-auth")).unwrap();
    let named = |name: &str| format!("[bootstrap]\nowner_name = '{name}'\n");
    let owner = |command: &mut Command| shown(command, "bootstrap.owner_name");
    let in_folder = || check(folder.path());

    assert_eq!(owner(&mut in_folder()), "Owner");
    fs::write(path("xdg/netbird-auth/netbird-auth.toml"), named("xdg")).unwrap();
    assert_eq!(owner(&mut in_folder()), "xdg");
    fs::write(path("netbird-auth.toml"), named("here")).unwrap();
    assert_eq!(owner(&mut in_folder()), "here");
    fs::write(path("variable.toml"), named("variable")).unwrap();
    let by_variable = || {
        let mut command = in_folder();
        command.env("NETBIRD_AUTH_CONFIG", path("variable.toml"));
        command
    };
    assert_eq!(owner(&mut by_variable()), "variable");
    fs::write(path("argument.toml"), named("argument")).unwrap();
    let by_argument = || {
        let mut command = by_variable();
        command.arg("--config").arg(path("argument.toml"));
        command
    };
    assert_eq!(owner(&mut by_argument()), "argument");
    let mut over = by_argument();
    over.env("NETBIRD_AUTH_BOOTSTRAP__OWNER_NAME", "environment");
    assert_eq!(owner(&mut over), "environment");

    // The file that is in force is named.
    let file = shown(&mut by_argument(), "file");
    assert_eq!(file, path("argument.toml").display().to_string());
    // One that was named and is missing is an error, not the next place.
    let missing = in_folder()
        .env("NETBIRD_AUTH_CONFIG", path("missing.toml"))
        .output()
        .unwrap();
    assert_eq!(missing.status.code(), Some(2));
    assert!(only_line(&missing).contains("missing.toml"));
}

#[test]
fn a_wrong_setting_ends_the_start_with_2_and_names_file_line_key_and_the_right_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("netbird-auth.toml");
    let table: [(&str, u32, &[&str]); 7] = [
        ("[server]\n\nlisen = 'x'\n", 3, &["`lisen`", "`listen`"]),
        (
            "[log]\nlevel = 'info'\n[sever]\n",
            3,
            &["`sever`", "`server`"],
        ),
        (
            "[server]\nworkers = 'two'\n",
            2,
            &["`server.workers`", "number"],
        ),
        (
            "[server]\nlisten = 8080\n",
            2,
            &["`server.listen`", "string"],
        ),
        (
            "[[issuer]]\nname = 'home'\naudience = ['x']\n",
            3,
            &["`audience`", "`audiences`", "[[issuer]]"],
        ),
        ("[log\n", 1, &["TOML"]),
        (
            "[[forward_auth.rule]]\nhost = 'a'\n\nallow_role = ['admin']\n",
            4,
            &["`allow_role`", "`allow_roles`", "[[forward_auth.rule]]"],
        ),
    ];
    for (text, line, words) in table {
        fs::write(&file, text).unwrap();
        for arguments in [&["serve"][..], &["config", "check"], &["user", "list"]] {
            let mut command = netbird_auth(folder.path());
            command.args(arguments);
            let output = ended(command);
            let said = only_line(&output);
            assert_eq!(output.status.code(), Some(2), "{said}");
            assert!(
                said.contains(&format!("netbird-auth.toml:{line}: ")),
                "{said}"
            );
            for word in words {
                assert!(said.contains(word), "{word} is not in {said}");
            }
        }
    }
    fs::remove_file(&file).unwrap();
    let mut command = netbird_auth(folder.path());
    command.env("NETBIRD_AUTH_SERVER__LISEN", "127.0.0.1:0");
    let output = refused_start(command);
    assert_eq!(output.status.code(), Some(2));
    assert!(only_line(&output).contains("`NETBIRD_AUTH_SERVER__LISTEN`"));
    assert!(!folder.path().join("test.db").exists());
}

#[test]
fn both_forms_of_a_secret_at_once_are_refused_and_neither_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, fresh_token()).unwrap();
    let mut command = netbird_auth(folder.path());
    command
        .env("NETBIRD_AUTH_BOOTSTRAP__TOKEN", fresh_token())
        .env("NETBIRD_AUTH_BOOTSTRAP__TOKEN_FILE", &secret);
    let output = refused_start(command);
    assert_eq!(output.status.code(), Some(2));
    let said = only_line(&output);
    assert!(
        said.contains("NETBIRD_AUTH_BOOTSTRAP__TOKEN_FILE"),
        "{said}"
    );
    assert!(!said.contains("nbp_"), "{said}");
    assert!(!folder.path().join("test.db").exists());
}

#[test]
fn a_path_in_the_file_begins_at_the_file_and_in_a_variable_where_one_stands() {
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("etc");
    fs::create_dir(&below).unwrap();
    let file = below.join("a.toml");
    fs::write(&file, "[database]\npath = 'data.db'\n").unwrap();
    let mut command = check(folder.path());
    command.arg("--config").arg(&file);
    let expected = below.join("data.db").display().to_string();
    assert_eq!(shown(&mut command, "database.path"), expected);
    command.env("NETBIRD_AUTH_DATABASE__PATH", "data.db");
    assert_eq!(shown(&mut command, "database.path"), "data.db");
}

#[test]
fn a_variable_that_is_only_likely_a_setting_is_passed_over_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = check(folder.path());
    command
        .env("NETBIRD_AUTH_LISTEN", "127.0.0.1:1")
        .env("NETBIRD_AUTH_PORT", "tcp://10.0.0.1:80")
        .env("NETBIRD_AUTH_CONFIG", "");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let errors = String::from_utf8(output.stderr).unwrap();
    let warnings: Vec<&str> = errors
        .lines()
        .filter(|line| line.contains("NETBIRD"))
        .collect();
    assert_eq!(
        warnings,
        [
            "the variable NETBIRD_AUTH_LISTEN is no setting and was passed over; did you mean \
          NETBIRD_AUTH_SERVER__LISTEN?"
        ]
    );
    assert_eq!(shown(&mut command, "server.listen"), "127.0.0.1:8080");
}

#[test]
fn the_rules_of_forward_auth_are_shown_one_a_line_and_those_of_no_effect_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let rules = r#"
[forward_auth]
default = "authenticated"
api_key_header = ""
user_header = "X-User"
[[forward_auth.rule]]
host = "*.home.arpa"
path_prefix = "/api/"
methods = ["GET", "HEAD"]
allow_roles = ["owner", "admin"]
allow_users = ["ann\u202e"]
allow_service_users = true
client_cidrs = ["10.0.0.0/8", "::1"]
cors_preflight = true
[[forward_auth.rule]]
host = "*.home.arpa"
public = true
[[forward_auth.rule]]
host = "grafana.home.arpa"
"#;
    fs::write(folder.path().join("netbird-auth.toml"), rules).unwrap();
    let output = check(folder.path()).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{told}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<String> = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    for expected in [
        "forward_auth.default authenticated",
        "forward_auth.api_key_header -",
        "forward_auth.user_header X-User",
        "forward_auth.name_header Remote-Name",
        "RULE HOST PATH METHODS WHO FROM PUBLIC PREFLIGHT",
        "1 *.home.arpa /api GET, HEAD role owner, role admin, user ann\\u{202e}, service users \
         10.0.0.0/8, ::1/128 no yes",
        "2 *.home.arpa * * everybody * yes no",
        "3 grafana.home.arpa * * every user * no no",
    ] {
        assert!(
            lines.iter().any(|line| line == expected),
            "{expected} is not in {text}"
        );
    }
    let told: Vec<&str> = told.lines().collect();
    let [warning, _] = told[..] else {
        panic!("{told:?}")
    };
    let expected =
        "netbird-auth.toml:18: forward_auth rule 3 never matches: rule 2 is for all of it";
    assert!(warning.ends_with(expected), "{warning}");
    fs::remove_file(folder.path().join("netbird-auth.toml")).unwrap();
    let key = "forward_auth.api_key_header";
    assert_eq!(shown(&mut check(folder.path()), key), "x-api-key");
}

#[test]
fn what_is_kept_of_the_audit_trail_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = check(folder.path());
    assert_eq!(shown(&mut command, "audit.keep_days"), "for ever");
    assert_eq!(shown(&mut command, "audit.max_events"), "no limit");
    let text = "[audit]\nkeep_days = 365\nmax_events = 1000000\n";
    fs::write(folder.path().join("netbird-auth.toml"), text).unwrap();
    assert_eq!(shown(&mut command, "audit.keep_days"), "365");
    assert_eq!(shown(&mut command, "audit.max_events"), "1000000");
}

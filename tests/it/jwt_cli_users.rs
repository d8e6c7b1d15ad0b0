//! Users of issuers that commands make, and input of `jwt inspect` that is no JWT.

use std::fs;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::jwt_cli::run;
use crate::support::{Idp, Server, eventually, fresh_token, start_with_issuers, write_issuers};

#[test]
fn what_is_no_jwt_is_told_clearly_and_a_token_as_argument_is_not_repeated() {
    let home = Idp::new("home", "ES256");
    let folder = tempfile::tempdir().unwrap();
    write_issuers(folder.path(), &[&home]);
    fs::create_dir(folder.path().join("folder")).unwrap();
    let (jwt, pat) = (home.jwt("ann"), fresh_token());
    let bearer = format!("Bearer {jwt}");
    let odd = home.key.sign("{ \"alg\": \"ES256\" }", "{}");
    let (never, unread) = ("never taken from an argument", "the file can't be read: ");
    let empty = "there is no JWT: put it into a file, or pipe it in";
    let long = vec![b'a'; 1024 * 1024];
    #[rustfmt::skip]
    let table: [(&[&str], &[u8], i32, &str); 14] = [
        (&[&jwt], b"", 2, never),
        (&[&bearer], b"", 2, never),
        (&[&odd], b"", 1, unread),
        (&[&pat], b"", 1, unread),
        (&["missing.jwt"], b"", 1, unread),
        (&["folder"], b"", 1, unread),
        (&[], b"", 2, empty),
        (&[], b" \r\n\t", 2, empty),
        (&[], b"Bearer \n", 2, empty),
        (&[], pat.as_bytes(), 2, "this is a token, not a JWT"),
        (&[], b"a.b.c", 4, "not base64url"),
        (&[], b"\xff\x00.\xfe.\x1b[2J", 4, "not base64url"),
        (&[], &long, 4, "JWT over 8 KiB"),
        (&[], &[0; 1024 * 1024], 4, "JWT over 8 KiB"),
    ];
    for (arguments, input, code, words) in table {
        let said = run(
            folder.path(),
            &[&["jwt", "inspect"], arguments].concat(),
            input,
        );
        assert_eq!(said.code, Some(code), "{words}: {}", said.err);
        assert_eq!(said.err.lines().count(), 1, "{}", said.err);
        assert!(said.err.contains(words), "{words} is not in {}", said.err);
        assert_eq!(said.out.is_empty(), code != 4, "{words}: {}", said.out);
        assert!(said.out.len() < 2000, "{words}: the input is repeated");
        let text = said.out + &said.err;
        for secret in [&jwt, &odd, &pat] {
            for piece in secret.as_bytes().windows(16) {
                let piece = std::str::from_utf8(piece).unwrap();
                assert!(!text.contains(piece), "{words}: {piece}");
            }
        }
    }
}

#[test]
fn help_is_there_and_names_exit_code_4_where_a_jwt_does_not_pass() {
    let folder = tempfile::tempdir().unwrap();
    let help = |command: &[&str]| {
        let said = run(folder.path(), &[command, &["--help"]].concat(), b"");
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
        said.out.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let table: [(&[&str], &[&str]); 5] = [
        (
            &[],
            &[
                "jwt Look at",
                "4 denied or already there, or it would not pass.",
                "Every setting but those in double brackets: also NETBIRD_AUTH_",
            ],
        ),
        (&["jwt"], &["inspect Say"]),
        (
            &["jwt", "inspect"],
            &["[FILE]", "exit code 4", "standard input"],
        ),
        (&["config", "check"], &["exit code 2"]),
        (
            &["user", "create"],
            &["--issuer <NAME>", "[default: the first one]"],
        ),
    ];
    for (command, words) in table {
        let help = help(command);
        for word in words {
            assert!(help.contains(word), "{word} is not in {help}");
        }
    }
}

#[test]
fn a_user_made_for_an_issuer_is_shown_with_it_and_logs_in_with_its_jwts() {
    let (home, work) = (Idp::new("home", "ES256"), Idp::new("work", "EdDSA"));
    let server = start_with_issuers(&[&home, &work]);
    let create = |arguments: &[&str]| {
        let create = ["user", "create", "--name", "n"];
        server.command(&[&create[..], arguments].concat())
    };
    for (id, issuer) in [("ann", &[][..]), ("wim", &["--issuer", "work"])] {
        let email = format!("{id}@home.arpa");
        let made = create(&[&["--id", id, "--email", &email][..], issuer].concat());
        assert_eq!(made.status.code(), Some(0));
        let told = String::from_utf8(made.stderr).unwrap();
        let by = match issuer {
            [] => "home",
            _ => "work",
        };
        let told_by =
            format!("made the user; they log in with a JWT of {by}; 'netbird-auth token ");
        assert!(told.starts_with(&told_by), "{told}");
    }
    assert_eq!(create(&["--service", "--id", "ci"]).status.code(), Some(0));
    let refused: [(&[&str], &str); 4] = [
        (
            &["--email", "a@home.arpa", "--issuer", "nowhere"],
            "--issuer is not a configured issuer; there are home, work\n",
        ),
        (
            &["--email", "a@home.arpa", "--issuer", "HOME"],
            "there are home, work\n",
        ),
        (&["--email", "a@home.arpa", "--issuer", ""], "--issuer"),
        (&["--service", "--issuer", "work"], "--issuer"),
    ];
    for (arguments, words) in refused {
        let output = create(arguments);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
        assert!(
            errors.contains(words) && output.stdout.is_empty(),
            "{errors}"
        );
    }

    let table = server.run_command(&["user", "list"]);
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let heading = ["ID", "NAME", "EMAIL", "ROLE", "STATUS", "KIND", "ISSUER"];
    assert_eq!(rows[0], heading);
    assert_eq!(rows.len(), 1 + 4, "{table}");
    for (id, issuer) in [("ann", "home"), ("wim", "work"), ("ci", "-")] {
        let row = rows.iter().find(|row| row[0] == id).unwrap();
        assert_eq!((row[4], row[6]), ("active", issuer), "{table}");
        let shown = server.run_command(&["user", "show", id]);
        let line = shown.lines().find(|line| line.starts_with("issuer "));
        let words: Vec<&str> = line.unwrap().split_whitespace().collect();
        assert_eq!(words, ["issuer", issuer]);
        let json = server.run_command(&["user", "show", id, "--json"]);
        let json: Value = serde_json::from_str(&json).unwrap();
        let expected = (issuer != "-").then(|| json!(issuer));
        assert_eq!(json.get("idp_id"), expected.as_ref(), "{json}");
    }

    for (id, own, other) in [("ann", &home, &work), ("wim", &work, &home)] {
        let client = server.bearer(&own.jwt(id));
        let me = eventually("the new user is known", || {
            let answer = client.get("/api/users/current");
            (answer.status != 401).then(|| answer.ok())
        });
        assert_eq!((&me["id"], &me["status"]), (&json!(id), &json!("active")));
        assert_eq!(me["idp_id"], json!(own.name));
        let foreign = server.bearer(&other.jwt(id));
        foreign.get("/api/users/current").refused(401);
    }
}

#[test]
fn an_issuer_is_asked_for_where_none_is_configured() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["user", "create", "--name", "n", "--email", "a@home.arpa"];
    let said = run(
        folder.path(),
        &[&arguments[..], &["--issuer", "home"]].concat(),
        b"",
    );
    let told = "--issuer: no issuer is configured; see [[issuer]] in netbird-auth.toml\n";
    assert_eq!(said.code, Some(2), "{}", said.err);
    assert!(said.err.ends_with(told), "{}", said.err);
}

#[test]
fn bootstrap_makes_the_owner_whom_the_configuration_names_at_an_issuer() {
    let (home, work) = (Idp::new("home", "ES256"), Idp::new("work", "EdDSA"));
    let folder = Arc::new(tempfile::tempdir().unwrap());
    write_issuers(folder.path(), &[&home, &work]);
    let file = folder.path().join("netbird-auth.toml");
    let owner = "[bootstrap]\nowner_id = 'olga|1'\nowner_issuer = 'work'\n";
    fs::write(
        &file,
        owner.to_owned() + &fs::read_to_string(&file).unwrap(),
    )
    .unwrap();
    let made = run(folder.path(), &["bootstrap"], b"");
    assert_eq!(made.code, Some(0), "{}", made.err);
    assert!(
        made.err.contains("made the owner olga|1 in "),
        "{}",
        made.err
    );

    let check = || {
        let said = run(folder.path(), &["config", "check"], b"");
        assert_eq!(said.code, Some(0), "{}", said.err);
        said.err
    };
    let unused = "bootstrap.owner_id is not used: the database has its owner, olga|1; 'netbird-auth \
                  user update ID --role owner' moves the role\n";
    assert!(!check().contains("owner_id"));
    let good = fs::read_to_string(&file).unwrap();
    fs::write(&file, good.replace("olga|1", "olga")).unwrap();
    assert!(check().starts_with(unused), "{}", check());
    for beside in ["test.db-wal", "test.db-shm"] {
        assert!(!folder.path().join(beside).exists(), "{beside} is left");
    }
    fs::write(&file, good).unwrap();

    let server = Server::start_in(folder, &[], made.out.trim().to_owned());
    assert_eq!(server.owner_id, "olga|1");
    let shown = server.run_command(&["user", "show", "olga|1", "--json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(
        (&shown["role"], &shown["idp_id"]),
        (&json!("owner"), &json!("work"))
    );
    let by_token = server.owner.get("/api/users/current").ok();
    let by_jwt = server
        .bearer(&work.jwt("olga|1"))
        .get("/api/users/current")
        .ok();
    for me in [by_token, by_jwt] {
        assert_eq!(
            (&me["id"], &me["role"]),
            (&json!("olga|1"), &json!("owner"))
        );
    }
    server
        .bearer(&home.jwt("olga|1"))
        .get("/api/users")
        .refused(401);
}

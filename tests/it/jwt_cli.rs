//! `jwt inspect`: a good JWT, a bad one for each check, and what is told of the user.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use netbird_auth::clock::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::jwt_cli_check::thumbprint;
use crate::support::{Idp, SigningKey, base64url, netbird_auth, now, write_issuers};

/// What a command said.
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    /// The first word of the line of each check: `ok`, `no` or `-`.
    fn marks(&self) -> Vec<&str> {
        let marks = ["ok    ", "no    ", "-     "];
        let of_check = |line: &&str| marks.iter().any(|mark| line.starts_with(mark));
        let lines = self.out.lines().filter(of_check);
        lines.map(|line| line.split(' ').next().unwrap()).collect()
    }

    /// That no 16 characters of a token's signature were said.
    pub fn keeps_the_signature_of(&self, token: &str) {
        let (_, signature) = token.rsplit_once('.').unwrap_or_default();
        for piece in signature.as_bytes().windows(16) {
            let piece = std::str::from_utf8(piece).unwrap();
            assert!(!self.out.contains(piece) && !self.err.contains(piece));
        }
    }
}

pub fn run(folder: &Path, arguments: &[&str], input: &[u8]) -> Said {
    let mut child = netbird_auth(folder)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may be gone before it has read all of it.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(!err.contains("panicked"), "{err}");
    Said {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err,
    }
}

pub fn inspect(folder: &Path, token: &str) -> Said {
    run(folder, &["jwt", "inspect"], token.as_bytes())
}

/// A folder with the settings of issuers, and a database with `ann`, a user of the first one.
pub fn folder_with_ann(idps: &[&Idp]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_issuers(folder.path(), idps);
    assert_eq!(run(folder.path(), &["bootstrap"], b"").code, Some(0));
    user(folder.path(), "ann", &["--role", "auditor"]);
    folder
}

/// Makes a human at the command line.
fn user(folder: &Path, id: &str, further: &[&str]) {
    let email = format!("{id}@home.arpa");
    let create = [
        "user", "create", "--id", id, "--name", id, "--email", &email,
    ];
    let made = run(folder, &[&create[..], further].concat(), b"");
    assert_eq!(made.code, Some(0), "{}", made.err);
}

#[test]
fn a_good_jwt_passes_every_check_in_each_form_that_it_is_given_in() {
    let home = Idp::new("home", "ES256");
    let folder = folder_with_ann(&[&home]);
    let jwt = home.jwt("ann");
    let forms = [
        jwt.clone(),
        format!(" \t\r\n{jwt}\n\n "),
        format!("Bearer {jwt}"),
        format!("\nbearer \t{jwt}\n"),
    ];
    for form in forms {
        fs::write(folder.path().join("a.jwt"), &form).unwrap();
        for (arguments, input) in [(&[][..], form.as_str()), (&["a.jwt"], "")] {
            let arguments = [&["jwt", "inspect"], arguments].concat();
            let said = run(folder.path(), &arguments, input.as_bytes());
            assert_eq!(said.code, Some(0), "{form:?}: {}", said.err);
            assert_eq!(said.marks(), ["ok"; 16], "{}", said.out);
            assert_eq!(said.err, "it would pass, as ann with the role auditor\n");
            for claim in ["\"sub\":\"ann\"", "\"kid\":\"home-1\"", "\"alg\":\"ES256\""] {
                assert!(said.out.contains(claim), "{}", said.out);
            }
            said.keeps_the_signature_of(&jwt);
        }
    }
}

/// A moment as it is shown.
fn at(seconds: i64) -> String {
    Timestamp::from_micros(seconds * 1_000_000).to_string()
}

#[test]
fn the_check_that_a_jwt_fails_is_named_with_its_reason_and_what_was_expected() {
    let (home, work) = (Idp::new("home", "ES256"), Idp::new("work", "EdDSA"));
    let folder = folder_with_ann(&[&home, &work]);
    let (header, claims) = (home.key.header(), home.claims("ann", json!({})));
    let sign = |header: &str, payload: &str| home.key.sign(header, payload);
    let with_header = |name: &str, value: Value| {
        let mut header = header.clone();
        header[name] = value;
        sign(&header.to_string(), &claims.to_string())
    };
    let with = |name: &str, value: Value| home.jwt_with("ann", json!({ name: value }));
    let without = |name: &str| {
        let mut claims = claims.clone();
        claims.as_object_mut().unwrap().remove(name);
        sign(&header.to_string(), &claims.to_string())
    };
    let twice = |object: &Value, name: &str| {
        let text = object.to_string();
        format!("{{{:?}:{},{}", name, object[name], &text[1..])
    };
    let stranger = SigningKey::new("home-1", "ES256");
    let (soon, late) = (now() + 3600, now() + 31 * 86_400);
    let (past, good) = (now() - 3600, home.jwt("ann"));
    let forged = stranger.sign(&header.to_string(), &claims.to_string());
    let audience = "aud is \"x\"; accepted: \"netbird\"";
    let key = "alg \"ES256\"; the issuer's keys: \"home-1\" for ES256";
    let keys = |kid: &str| format!("kid is \"{kid}\", {key}");
    let signature = format!(
        "the key here is \"home-1\" for ES256, thumbprint {}: compare with the issuer's",
        thumbprint(&home.key.jwk())
    );
    let known = "configured: \"https://home.home.arpa\", \"https://work.home.arpa\"";
    #[rustfmt::skip]
    let table: Vec<(usize, String, &str, String)> = vec![
        (0, with("x", json!("x".repeat(9000))), "JWT over 8 KiB", String::new()),
        (1, good.rsplit_once('.').unwrap().0.to_owned(), "not three parts", String::new()),
        (1, format!("{good}.e30.{}", base64url([1; 64])), "not three parts", String::new()),
        (2, format!("{good}=="), "not base64url", String::new()),
        (3, sign(&twice(&header, "kid"), &claims.to_string()), "malformed JWT header", String::new()),
        (4, with_header("alg", json!("none")), "JWT algorithm not accepted", String::new()),
        (5, with_header("crit", json!(["exp"])), "header parameter crit not accepted", String::new()),
        (6, sign(&header.to_string(), &twice(&claims, "sub")), "malformed JWT payload", String::new()),
        (7, with("iss", json!("x")), "unknown issuer", format!("iss is \"x\"; {known}")),
        (7, without("iss"), "unknown issuer", format!("iss is absent; {known}")),
        (8, with_header("typ", json!("x")), "wrong JWT type", "typ is \"x\"; accepted: \"JWT\", \"at+jwt\"".into()),
        (9, with_header("kid", json!("x")), "unknown key", keys("x")),
        (9, with_header("alg", json!("RS256")), "JWT algorithm is not the key's", keys("home-1").replace("alg \"ES", "alg \"RS")),
        (10, forged, "bad signature", signature),
        (11, with("aud", json!("x")), "wrong audience", audience.to_owned()),
        (11, without("aud"), "wrong audience", audience.replace("\"x\"", "absent")),
        (12, with("exp", json!(past)), "expired token", format!("exp is {}; now is 20", at(past))),
        (12, without("exp"), "JWT without a usable exp", "exp is absent; now is 20".to_owned()),
        (12, with("exp", json!("x")), "JWT without a usable exp", "exp is no number; now is 20".to_owned()),
        (12, with("exp", json!(late)), "JWT expires too far ahead", format!("exp is {}; now is 20", at(late))),
        (13, with("nbf", json!(soon)), "not yet valid", format!("nbf is {}; now is 20", at(soon))),
        (14, with("iat", json!(soon)), "JWT issued in the future", format!("iat is {}; now is 20", at(soon))),
        (15, without("sub"), "JWT without a usable user id", "sub is absent; it must be a string".into()),
        (15, with("sub", json!("sys")), "JWT without a usable user id", "sub is \"sys\"; it must not be one of".into()),
    ];
    let mut failed: Vec<usize> = table.iter().map(|row| row.0).collect();
    failed.dedup();
    assert!(failed.into_iter().eq(0..16), "a check has no bad token");
    for (check, token, reason, hint) in table {
        let said = inspect(folder.path(), &token);
        assert_eq!(said.code, Some(4), "{reason}: {}", said.err);
        let mut marks = ["ok"; 16];
        marks[check..].fill("-");
        marks[check] = "no";
        assert_eq!(said.marks(), marks, "{reason}: {}", said.out);
        let mut lines = said.out.lines().skip_while(|line| !line.starts_with("no "));
        let line = lines.next().unwrap();
        assert!(line.ends_with(reason), "{reason} is not in {line}");
        let below = lines.next().and_then(|line| line.strip_prefix("      "));
        match hint.as_str() {
            "" => assert_eq!(below, None, "{reason}"),
            hint => assert!(below.unwrap().starts_with(hint), "{hint} is not {below:?}"),
        }
        assert!(said.err.starts_with("netbird-auth: it would not pass: "));
        assert!(said.err.trim_end().ends_with(reason), "{}", said.err);
        assert_eq!(said.err.lines().count(), 1, "{}", said.err);
        said.keeps_the_signature_of(token.trim_end_matches('='));
        said.keeps_the_signature_of(&good);
    }
}

#[test]
fn what_becomes_of_the_user_of_a_good_jwt_is_told() {
    let (home, work) = (Idp::new("home", "ES256"), Idp::new("work", "EdDSA"));
    let open = Idp::new("open", "ES384").with("unknown_users = \"create\"");
    let waiting = Idp::new("waiting", "ES256").with("unknown_users = \"create_pending\"");
    let folder = folder_with_ann(&[&home, &work, &open, &waiting]);
    let folder = folder.path();
    user(folder, "wim", &["--issuer", "work"]);
    user(folder, "bea", &[]);
    assert_eq!(run(folder, &["user", "block", "bea"], b"").code, Some(0));
    user(folder, "pia", &[]);
    let database = rusqlite::Connection::open(folder.join("test.db")).unwrap();
    let pending = "UPDATE users SET is_pending = 1 WHERE id = 'pia'";
    assert_eq!(database.execute(pending, ()).unwrap(), 1);
    let service = ["user", "create", "--name", "ci", "--service", "--id", "ci"];
    assert_eq!(run(folder, &service, b"").code, Some(0));
    let users = || database.query_row("SELECT count(*) FROM users", (), |row| row.get::<_, u32>(0));
    let before = users().unwrap();

    let table: [(&Idp, &str, i32, &[&str]); 11] = [
        (
            &home,
            "eve",
            4,
            &[
                "unknown user: eve; 'netbird-auth user create --id eve --issuer home --name NAME \
                 --email EMAIL' makes one",
            ],
        ),
        (
            &home,
            "e ve",
            4,
            &["unknown user: e ve; ", "--id ID --issuer home "],
        ),
        (&home, "-eve", 4, &["--id ID --issuer home "]),
        (&home, "e|$(ve)", 4, &["--id ID --issuer home "]),
        (
            &home,
            "wim",
            4,
            &["unknown user: wim is a user of issuer work, not a user of issuer home"],
        ),
        (
            &open,
            "ann",
            4,
            &["unknown user: ann is a user of issuer home, not a user of issuer open"],
        ),
        (&home, "ci", 4, &["unknown user: ci is a service user, not"]),
        (&home, "bea", 4, &["user is blocked (bea)"]),
        (&home, "pia", 4, &["user is pending approval (pia)"]),
        (
            &open,
            "eve",
            0,
            &[
                "it would pass",
                "make the user eve (eve, without an address: email is absent) with the role user\n",
            ],
        ),
        (
            &waiting,
            "eve",
            0,
            &[
                "make the user eve (",
                "with the role user, who waits for an approval",
            ],
        ),
    ];
    for (idp, id, code, words) in table {
        let token = idp.jwt(id);
        let said = inspect(folder, &token);
        assert_eq!(said.code, Some(code), "{id} of {}: {}", idp.name, said.err);
        assert_eq!(said.marks(), ["ok"; 16], "{}", said.out);
        for word in words {
            assert!(said.err.contains(word), "{word} is not in {}", said.err);
        }
        said.keeps_the_signature_of(&token);
    }
    assert_eq!(users().unwrap(), before, "looking changes nothing");
}

#[test]
fn without_a_database_or_an_issuer_it_says_so_and_makes_nothing() {
    let home = Idp::new("home", "ES256");
    let folder = tempfile::tempdir().unwrap();
    let jwt = home.jwt("ann");
    let said = inspect(folder.path(), &jwt);
    assert_eq!(said.code, Some(4));
    let hint = "      no issuer is configured: see [[issuer]] in netbird-auth.toml";
    assert!(said.out.contains(": unknown issuer\n"), "{}", said.out);
    assert!(said.out.lines().any(|line| line == hint), "{}", said.out);

    write_issuers(folder.path(), &[&home]);
    let said = inspect(folder.path(), &jwt);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(said.marks(), ["ok"; 16], "{}", said.out);
    let words = ["test.db is not there", "user ann was not looked up"];
    assert!(words.iter().all(|word| said.err.contains(word)));
    assert!(!folder.path().join("test.db").exists());
}

#[test]
fn what_a_terminal_would_act_upon_is_shown_escaped() {
    let home = Idp::new("home", "ES256");
    let folder = folder_with_ann(&[&home]);
    let acts = |character: &char| {
        character.is_control()
            || matches!(*character, '\u{61c}' | '\u{200e}' | '\u{200f}')
            || ('\u{202a}'..='\u{202e}').contains(character)
            || ('\u{2066}'..='\u{2069}').contains(character)
    };
    let evil: String = ('\0'..='\u{2069}').filter(acts).collect();
    assert_eq!(evil.chars().count(), 65 + 12);
    let mut header = home.key.header();
    header["kid"] = json!(evil);
    let claims = home.claims("ann", json!({ "name": evil }));
    let every: &[&str] = &["\\u001b", "\\u{9b}", "\\u{202e}", "\\u{2066}", "\\u{7f}"];
    let tokens = [
        (
            4,
            home.jwt_with("ann", json!({ &evil: evil, "iss": evil })),
            every,
        ),
        (4, home.jwt_with("ann", json!({ "aud": evil })), every),
        (4, home.jwt_with("ann", json!({ "sub": evil })), every),
        (
            4,
            home.key.sign(&header.to_string(), &claims.to_string()),
            every,
        ),
        (0, home.jwt_with("ann", json!({ "name": evil })), every),
        (4, home.jwt("ann\u{202e}"), &["unknown user: ann\\u{202e}"]),
    ];
    for (code, token, escaped) in tokens {
        let said = inspect(folder.path(), &token);
        assert_eq!(said.code, Some(code), "{}", said.err);
        let text = format!("{}{}", said.out, said.err);
        let found = text.chars().find(|shown| acts(shown) && *shown != '\n');
        assert_eq!(found, None, "{text:?}");
        for escaped in escaped {
            assert!(text.contains(escaped), "{escaped} is not in {text}");
        }
    }
}

//! What `config check` shows of issuers and of the first owner: every setting.

use std::fs;
use std::path::Path;

use crate::support::{Idp, ended, netbird_auth};

/// The lines of names and values, in order.
fn shown(folder: &Path) -> Vec<(String, String)> {
    let mut command = netbird_auth(folder);
    command.args(["config", "check"]);
    let output = ended(command);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let text = String::from_utf8(output.stdout).unwrap();
    let fields = text.lines().filter_map(|line| {
        let (name, value) = line.split_once(' ')?;
        Some((name.to_owned(), value.trim().to_owned()))
    });
    fields.collect()
}

fn below(section: &str, all: &[(String, String)]) -> Vec<(String, String)> {
    let of_it = all.iter().filter(|(name, _)| name.starts_with(section));
    of_it.cloned().collect()
}

/// Each setting of an issuer: what is written, what is shown then, and what where it is left out.
const SETTINGS: [(&str, &str, &str, &str); 17] = [
    ("name", "'home'", "home", "home"),
    (
        "issuer",
        "'https://id.home.arpa'",
        "https://id.home.arpa",
        "https://id.home.arpa",
    ),
    ("audiences", "['a', 'b c']", "a, b c", "a, b c"),
    ("jwks_file", "'keys.json'", "keys.json", "keys.json"),
    (
        "algorithms",
        "['ES256', 'EdDSA']",
        "ES256, EdDSA",
        "RS256, ES256, EdDSA",
    ),
    ("allow_symmetric", "false", "false", "false"),
    ("typ", "['at+jwt']", "at+jwt", "JWT, at+jwt"),
    ("leeway_seconds", "7", "7", "30"),
    ("max_age_days", "3", "3", "30"),
    ("user_id_claim", "'oid'", "oid", "sub"),
    ("name_claim", "'nick'", "nick", "name"),
    ("email_claim", "'mail'", "mail", "email"),
    ("trust_email", "true", "true", "false"),
    (
        "unknown_users",
        "'create_pending'",
        "create_pending",
        "reject",
    ),
    ("role_claim", "'groups'", "groups", "-"),
    (
        "role_map",
        "{ x = 'auditor', y = 'admin' }",
        "x = auditor, y = admin",
        "-",
    ),
    ("max_role", "'network_admin'", "network_admin", "-"),
];
/// Those that no issuer is without.
const NEEDED: usize = 4;

#[test]
fn every_setting_of_an_issuer_is_shown_as_set_or_as_it_is_by_itself() {
    let key = Idp::new("home", "ES256");
    for is_given in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let settings = match is_given {
            true => &SETTINGS[..],
            false => &SETTINGS[..NEEDED],
        };
        let lines = settings
            .iter()
            .map(|(name, written, ..)| format!("{name} = {written}\n"));
        let text: String = std::iter::once("[[issuer]]\n".to_owned())
            .chain(lines)
            .collect();
        fs::write(folder.path().join("netbird-auth.toml"), text).unwrap();
        let keys = serde_json::json!({ "keys": [key.key.jwk()] });
        fs::write(folder.path().join("keys.json"), keys.to_string()).unwrap();
        let shown = below("issuer.", &shown(folder.path()));
        let expected = SETTINGS.map(|(name, _, given, default)| {
            let value = if is_given { given } else { default };
            (format!("issuer.{name}"), value.to_owned())
        });
        assert_eq!(shown, expected, "given: {is_given}");
    }
}

#[test]
fn an_issuer_of_shared_secrets_is_shown_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let shared = Idp::new("shared", "HS512").with("allow_symmetric = true");
    crate::support::write_issuers(folder.path(), &[&shared]);
    let shown = shown(folder.path());
    for (name, value) in [
        ("issuer.allow_symmetric", "true"),
        ("issuer.algorithms", "HS512"),
    ] {
        let of_it = below(name, &shown);
        assert_eq!(of_it, [(name.to_owned(), value.to_owned())]);
    }
}

#[test]
fn the_identity_of_the_first_owner_is_shown() {
    let home = Idp::new("home", "ES256");
    let table = [
        ("", "-", "-"),
        (
            "[bootstrap]\nowner_id = 'a|b'\nowner_issuer = 'home'\n",
            "a|b",
            "home",
        ),
    ];
    for (lines, id, issuer) in table {
        let folder = tempfile::tempdir().unwrap();
        crate::support::write_issuers(folder.path(), &[&home]);
        let file = folder.path().join("netbird-auth.toml");
        fs::write(file, home.toml() + lines).unwrap();
        let shown = shown(folder.path());
        for (name, value) in [("owner_id", id), ("owner_issuer", issuer)] {
            let name = format!("bootstrap.{name}");
            let of_it = below(&name, &shown);
            assert_eq!(of_it, [(name, value.to_owned())]);
        }
    }
}

//! `[[issuer]]`, `[[issuer.key]]`, and who the owner is there.

use super::super::issuers::{ISSUER, KEY};
use super::*;
use crate::jwt::{IssuerSettings, KeySettings, KeySource};

pub(super) const TWO: &str = "
[[issuer]]
name = 'one'
issuer = 'https://one'
audiences = ['a']
jwks_file = 'one.json'
[[issuer]]
name = 'two'
issuer = 'https://two'
audiences = ['a']
jwks_file = 'two.json'
";

/// What an issuer must have at least, in five lines.
pub(super) const LEAST: &str = "[[issuer]]
name = 'home'
issuer = 'https://id.home.arpa'
audiences = ['netbird']
jwks_file = 'keys/home.jwks.json'
";

/// The same with every key, none of them at its default.
const EVERYTHING: &str = r#"[[issuer]]
name = "work"
issuer = "https://id.work.example"
audiences = ["netbird", "other"]
jwks_file = "/keys/work.json"
algorithms = ["PS256", "ES384"]
allow_symmetric = false
typ = []
leeway_seconds = 0
max_age_days = 3650
user_id_claim = "oid"
name_claim = "nickname"
email_claim = "mail"
trust_email = true
unknown_users = "create_pending"
role_claim = "groups"
role_map = { admins = "admin", "read only" = "Auditor" }
max_role = "network_admin"
[[issuer.key]]
kid = "a1"
algorithm = "ES384"
pem_file = "a1.pem"
[[issuer.key]]
pem = """
-----BEGIN PUBLIC KEY-----
-----END PUBLIC KEY-----
"""
[[issuer.key]]
jwk = '{"kty":"EC"}'
"#;

/// Every key of an issuer as text.
fn shown(issuer: &IssuerSettings) -> BTreeMap<&'static str, String> {
    let IssuerSettings {
        name,
        issuer,
        audiences,
        jwks_file,
        keys,
        algorithms,
        allow_symmetric,
        user_id_claim,
        name_claim,
        email_claim,
        trust_email,
        leeway,
        max_age,
        unknown_users,
        role_claim,
        typ,
    } = issuer;
    let role = role_claim.as_ref();
    BTreeMap::from([
        ("name", name.to_string()),
        ("issuer", issuer.to_string()),
        ("audiences", format!("{audiences:?}")),
        ("jwks_file", format!("{jwks_file:?}")),
        ("key", keys.iter().map(shown_key).collect()),
        ("algorithms", format!("{algorithms:?}")),
        ("allow_symmetric", allow_symmetric.to_string()),
        ("user_id_claim", user_id_claim.to_string()),
        ("name_claim", name_claim.to_string()),
        ("email_claim", email_claim.to_string()),
        ("trust_email", trust_email.to_string()),
        ("leeway_seconds", leeway.as_secs().to_string()),
        ("max_age_days", (max_age.as_secs() / 86_400).to_string()),
        ("unknown_users", format!("{unknown_users:?}")),
        ("role_claim", format!("{:?}", role.map(|role| &role.claim))),
        ("role_map", format!("{:?}", role.map(|role| &role.map))),
        ("max_role", format!("{:?}", role.map(|role| role.max))),
        ("typ", format!("{typ:?}")),
    ])
}

fn shown_key(key: &KeySettings) -> String {
    let KeySettings {
        place,
        kid,
        algorithm,
        source,
    } = key;
    let source = match source {
        KeySource::PemFile(path) => format!("file {}", path.display()),
        KeySource::Pem(text) => format!("pem {:?}", text.as_str()),
        KeySource::Jwk(text) => format!("jwk {}", text.as_str()),
    };
    format!("({place} {kid:?} {algorithm:?} {source})")
}

#[track_caller]
pub(super) fn only(path: &str, text: &str) -> BTreeMap<&'static str, String> {
    let config = parse_at(path, text, &[]).unwrap();
    assert_eq!(config.issuers.len(), 1);
    shown(&config.issuers[0])
}

#[track_caller]
fn check(issuer: &BTreeMap<&'static str, String>, expected: &[(&'static str, &str)]) {
    let expected = expected
        .iter()
        .map(|(key, value)| (*key, (*value).to_owned()));
    assert_eq!(*issuer, expected.collect());
}

#[test]
fn four_keys_are_enough_and_paths_begin_at_the_file() {
    check(
        &only("/etc/x/f.toml", LEAST),
        &[
            ("name", "home"),
            ("issuer", "https://id.home.arpa"),
            ("audiences", r#"["netbird"]"#),
            ("jwks_file", r#"Some("/etc/x/keys/home.jwks.json")"#),
            ("key", ""),
            ("algorithms", "[Rs256, Es256, EdDsa]"),
            ("allow_symmetric", "false"),
            ("user_id_claim", "sub"),
            ("name_claim", "name"),
            ("email_claim", "email"),
            ("trust_email", "false"),
            ("leeway_seconds", "30"),
            ("max_age_days", "30"),
            ("unknown_users", "Reject"),
            ("role_claim", "None"),
            ("role_map", "None"),
            ("max_role", "None"),
            ("typ", r#"["JWT", "at+jwt"]"#),
        ],
    );
}

#[test]
fn every_key_has_its_effect() {
    let keys = concat!(
        r#"(/x/f:19 Some("a1") Some(Es384) file /x/a1.pem)"#,
        r#"(/x/f:23 None None pem "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n")"#,
        r#"(/x/f:28 None None jwk {"kty":"EC"})"#,
    );
    let issuer = only("/x/f", EVERYTHING);
    check(
        &issuer,
        &[
            ("name", "work"),
            ("issuer", "https://id.work.example"),
            ("audiences", r#"["netbird", "other"]"#),
            ("jwks_file", r#"Some("/keys/work.json")"#),
            ("key", keys),
            ("algorithms", "[Ps256, Es384]"),
            ("allow_symmetric", "false"),
            ("user_id_claim", "oid"),
            ("name_claim", "nickname"),
            ("email_claim", "mail"),
            ("trust_email", "true"),
            ("leeway_seconds", "0"),
            ("max_age_days", "3650"),
            ("unknown_users", "CreatePending"),
            ("role_claim", r#"Some("groups")"#),
            (
                "role_map",
                r#"Some({"admins": Admin, "read only": Auditor})"#,
            ),
            ("max_role", "Some(NetworkAdmin)"),
            ("typ", "[]"),
        ],
    );
    let mut names: Vec<&str> = ISSUER.keys.to_vec();
    names.sort_unstable();
    assert_eq!(names, issuer.into_keys().collect::<Vec<_>>());
}

#[test]
fn several_issuers_keep_their_order_and_shared_secrets_their_own_default() {
    let text = format!("{TWO}allow_symmetric = true\nunknown_users = 'create'\n[log]\n");
    let issuers = parse(&text, &[]).unwrap().issuers;
    let names: Vec<&str> = issuers.iter().map(|issuer| &*issuer.name).collect();
    assert_eq!(names, ["one", "two"]);
    let second = shown(&issuers[1]);
    assert_eq!(second["algorithms"], "[Hs256]");
    assert_eq!(second["unknown_users"], "Create");
    let text = format!("{LEAST}allow_symmetric = true\nalgorithms = ['HS512', 'HS384']");
    assert_eq!(only("f", &text)["algorithms"], "[Hs512, Hs384]");
    let text = format!("{LEAST}role_claim = 'a.b'\nrole_map.'c d' = 'user'");
    assert_eq!(only("f", &text)["max_role"], "Some(Admin)");
    assert!(parse("issuer = []", &[]).unwrap().issuers.is_empty());
}

#[test]
fn no_key_is_known_that_nobody_reads() {
    // No setting is a date.
    for key in ISSUER.keys {
        let required: String = LEAST
            .lines()
            .filter(|line| !line.starts_with(&format!("{key} = ")))
            .map(|line| format!("{line}\n"))
            .collect();
        let message = fault(&format!("{required}{key} = 1979-05-27"), &[]);
        assert!(
            message.contains(&format!("`issuer.{key}` must ")),
            "{message}"
        );
    }
    for key in KEY.keys {
        let source = if ["kid", "algorithm"].contains(key) {
            "pem = 'a'\n"
        } else {
            ""
        };
        let text = format!("{LEAST}[[issuer.key]]\n{source}{key} = 1979-05-27");
        let message = fault(&text, &[]);
        let expected = format!("`issuer.key.{key}` must be a ");
        assert!(message.contains(&expected), "{message}");
    }
}

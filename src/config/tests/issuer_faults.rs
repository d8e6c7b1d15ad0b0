//! What is refused in `[[issuer]]` and of the owner's identity, and in which words.

use super::issuers::{LEAST, TWO};
use super::*;

/// What is added to [`LEAST`], the line that is named, and the rest of the message.
#[rustfmt::skip]
const ADDED: &[(&str, u32, &str)] = &[
    ("leeway = 1", 6, "unknown key `leeway` in [[issuer]]; did you mean `leeway_seconds`?"),
    ("\nUser_id_clam = 'x'\naudience = 'x'", 7, "unknown key `User_id_clam` in [[issuer]]; did you mean `user_id_claim`?"),
    ("[[issuer.keys]]\nkid = 'x'", 6, "unknown key `keys` in [[issuer]]; did you mean `key`?"),
    ("[[issuer.key]]\nkidd = 'x'", 7, "unknown key `kidd` in [[issuer.key]]; did you mean `kid`?"),
    ("[[issuer.key]]\ntrust_email = true", 7, "unknown key `trust_email` in [[issuer.key]]; there are algorithm, jwk, kid, pem, pem_file"),
    ("algorithms = 'RS256'", 6, "`issuer.algorithms` must be a list of strings"),
    ("algorithms = []", 6, "`issuer.algorithms` must not be empty"),
    ("algorithms = ['RS256', 'rs256']", 6, "`issuer.algorithms` item 2 is refused: no such signature algorithm"),
    ("algorithms = ['none']", 6, "`issuer.algorithms` item 1 is refused: `none` is never accepted"),
    ("algorithms = ['ES512']", 6, "`issuer.algorithms` item 1 is refused: ES512 is not supported here: choose RS256, PS256, ES256, ES384 or EdDSA (Ed25519)"),
    ("algorithms = ['ES256K']", 6, "`issuer.algorithms` item 1 is refused: ES256K is not supported here: choose RS256, PS256, ES256, ES384 or EdDSA (Ed25519)"),
    ("algorithms = ['Ed448']", 6, "`issuer.algorithms` item 1 is refused: Ed448 is not supported here: choose RS256, PS256, ES256, ES384 or EdDSA (Ed25519)"),
    ("algorithms = ['ES256', 'RS256', 'ES256']", 6, "`issuer.algorithms` has ES256 twice"),
    ("algorithms = ['HS256']", 6, NEEDS_ALLOW),
    ("algorithms = ['RS256', 'HS512']", 6, NEEDS_ALLOW),
    ("allow_symmetric = true\nalgorithms = ['RS256']", 7, NO_MIX),
    ("allow_symmetric = true\nalgorithms = ['HS256', 'EdDSA']", 7, NO_MIX),
    ("allow_symmetric = 'true'", 6, "`issuer.allow_symmetric` must be true or false"),
    ("typ = 'JWT'", 6, "`issuer.typ` must be a list of strings"),
    ("typ = ['JWT', '']", 6, "`issuer.typ` item 2 must be 1 to 255 bytes without control characters"),
    ("leeway_seconds = -1", 6, "`issuer.leeway_seconds` must be a whole number from 0 to 300"),
    ("leeway_seconds = 301", 6, "`issuer.leeway_seconds` must be a whole number from 0 to 300"),
    ("max_age_days = 0", 6, "`issuer.max_age_days` must be a whole number from 1 to 3650"),
    ("max_age_days = 3651", 6, "`issuer.max_age_days` must be a whole number from 1 to 3650"),
    ("user_id_claim = ''", 6, "`issuer.user_id_claim` must be 1 to 255 bytes without control characters"),
    ("name_claim = ''", 6, "`issuer.name_claim` must be 1 to 255 bytes without control characters"),
    ("email_claim = ''", 6, "`issuer.email_claim` must be 1 to 255 bytes without control characters"),
    ("trust_email = 1", 6, "`issuer.trust_email` must be true or false"),
    ("unknown_users = 'Create'", 6, "`issuer.unknown_users` must be reject, create or create_pending"),
    ("role_claim = ''\nrole_map = { a = 'user' }", 6, "`issuer.role_claim` must be 1 to 255 bytes without control characters"),
    ("role_claim = 'a'", 6, "`issuer.role_claim` is of no use without `role_map`"),
    ("role_map = { a = 'user' }", 6, "`issuer.role_map` is of no use without `role_claim`"),
    ("max_role = 'user'", 6, "`issuer.max_role` is of no use without `role_claim`"),
    ("[issuer.role_map]\na = 'user'", 6, "`issuer.role_map` is of no use without `role_claim`"),
    ("role_claim = 'a'\nrole_map = 'a'", 7, "`issuer.role_map` must be a table of strings, such as { key = \"value\" }"),
    ("role_claim = 'a'\nrole_map = { a = 1 }", 7, "`issuer.role_map` must be a table of strings, such as { key = \"value\" }"),
    ("role_claim = 'a'\nrole_map = {}", 7, "`issuer.role_map` must not be empty"),
    ("role_claim = 'a'\nrole_map = { '' = 'user' }", 7, "`issuer.role_map` must not have an empty key"),
    ("role_claim = 'a'\nrole_map = { a = 'user', b = 'owner' }", 7, "`issuer.role_map` of `b` must be one of admin, network_admin, auditor, user, billing_admin"),
    ("role_claim = 'a'\nrole_map = { a = 'root' }", 7, "`issuer.role_map` of `a` must be one of admin, network_admin, auditor, user, billing_admin"),
    ("role_claim = 'a'\nrole_map = { a = 'user' }\nmax_role = 'Owner'", 8, "`issuer.max_role` must be one of admin, network_admin, auditor, user, billing_admin"),
    ("[issuer.key]\nkid = 'x'", 6, "`issuer.key` must be a list, each written [[issuer.key]]"),
    ("key = 'x'", 6, "`issuer.key` must be a list, each written [[issuer.key]]"),
    ("key = ['x']", 6, "`issuer.key` must be a list, each written [[issuer.key]]"),
    ("[[issuer.key]]\nkid = 'x'", 6, "this [[issuer.key]] must have one of `pem_file`, `pem` and `jwk`"),
    ("\n[[issuer.key]]\npem = 'x'\njwk = 'y'", 7, "this [[issuer.key]] must have only one of `pem_file`, `pem` and `jwk`"),
    ("[[issuer.key]]\npem_file = 'x'\npem = 'y'", 6, "this [[issuer.key]] must have only one of `pem_file`, `pem` and `jwk`"),
    ("[[issuer.key]]\npem_file = ''", 7, "`issuer.key.pem_file` must be a path"),
    ("[[issuer.key]]\npem = ' '", 7, "`issuer.key.pem` must not be empty"),
    ("[[issuer.key]]\njwk = ''", 7, "`issuer.key.jwk` must not be empty"),
    ("[[issuer.key]]\njwk = { kty = 'EC' }", 7, "`issuer.key.jwk` must be a string"),
    ("[[issuer.key]]\npem = 'x'\nkid = ''", 8, "`issuer.key.kid` must be 1 to 255 bytes without control characters"),
    ("[[issuer.key]]\npem = 'x'\nkid = \"a\\nb\"", 8, "`issuer.key.kid` must be 1 to 255 bytes without control characters"),
    ("[[issuer.key]]\npem = 'x'\nalgorithm = 'ES512'", 8, "`issuer.key.algorithm` is refused: ES512 is not supported here: choose RS256, PS256, ES256, ES384 or EdDSA (Ed25519)"),
    ("[[issuer]]\nissuer = 'x'", 6, "`issuer.name` is missing in this [[issuer]]"),
    ("[[issuer]]\nname = 'home'\nissuer = 'x'\naudiences = ['a']\njwks_file = 'x'", 7, "`issuer.name` must differ from that of the [[issuer]] in netbird-auth.toml:1"),
    ("[[issuer]]\nname = 'x'\nissuer = 'https://id.home.arpa'\naudiences = ['a']\njwks_file = 'x'", 8, "`issuer.issuer` must differ from that of the [[issuer]] in netbird-auth.toml:1"),
];

const NEEDS_ALLOW: &str = "`issuer.algorithms` may have HS256, HS384 and HS512 only where \
     `allow_symmetric` is true, and then no other beside them";
const NO_MIX: &str = "`issuer.algorithms` must be HS256, HS384 and HS512 only, since \
     `allow_symmetric` is true: shared secrets and public keys are not mixed in one [[issuer]]";

/// A line of [`LEAST`], what stands in its place, and the message. A missing key is answered with
/// the line of the section.
#[rustfmt::skip]
const CHANGED: &[(u32, &str, u32, &str)] = &[
    (1, "[issuer]", 1, "`issuer` must be a list, each written [[issuer]]"),
    (1, "[[isuer]]", 1, "unknown section `isuer`; did you mean `issuer`?"),
    (1, "[[xyz]]", 1, "unknown section `xyz`; there are audit, backup, bootstrap, compat, cors, database, forward_auth, forward_auth.rule, issuer, limits, log, metrics, server"),
    (2, "", 1, "`issuer.name` is missing in this [[issuer]]"),
    (2, "nam = 'home'", 2, "unknown key `nam` in [[issuer]]; did you mean `name`?"),
    (2, "name = 1", 2, "`issuer.name` must be a string"),
    (2, "name = ' '", 2, "`issuer.name` must be 1 to 255 bytes without control characters"),
    (2, "name = \"a\\nb\"", 2, "`issuer.name` must be 1 to 255 bytes without control characters"),
    (3, "", 1, "`issuer.issuer` is missing in this [[issuer]]"),
    (3, "issuer = ''", 3, "`issuer.issuer` must be 1 to 255 bytes without control characters"),
    (3, "issuer = \"a\\u007f\"", 3, "`issuer.issuer` must be 1 to 255 bytes without control characters"),
    (4, "", 1, "`issuer.audiences` is missing in this [[issuer]]"),
    (4, "audiences = 'a'", 4, "`issuer.audiences` must be a list of strings"),
    (4, "audiences = []", 4, "`issuer.audiences` must not be empty"),
    (4, "audiences = ['a', '']", 4, "`issuer.audiences` item 2 must be 1 to 255 bytes without control characters"),
    (5, "", 1, "this [[issuer]] has no key: give it a `jwks_file` or an [[issuer.key]]"),
    (5, "key = []", 1, "this [[issuer]] has no key: give it a `jwks_file` or an [[issuer.key]]"),
    (5, "jwks_file = ''", 5, "`issuer.jwks_file` must be a path"),
];

#[test]
fn a_bad_issuer_is_answered_with_file_line_key_and_reason() {
    let added = ADDED
        .iter()
        .map(|(added, line, rest)| (format!("{LEAST}{added}"), line, rest));
    let changed = CHANGED.iter().map(|(number, text, line, rest)| {
        let lines = (1..).zip(LEAST.lines());
        let lines = lines.map(|(this, line)| if this == *number { text } else { line });
        (lines.collect::<Vec<_>>().join("\n"), line, rest)
    });
    for (text, line, rest) in added.chain(changed) {
        let expected = format!("netbird-auth.toml:{line}: {rest}");
        assert_eq!(fault(&text, &[]), expected, "{text}");
    }
}

#[test]
fn texts_end_at_255_bytes() {
    let text = |length: usize| {
        let long = "a".repeat(length);
        let least = LEAST
            .replace("'home'", &format!("'{long}'"))
            .replace("'https://id.home.arpa'", &format!("'{long}'"));
        format!("{least}[[issuer.key]]\nkid = '{long}'\npem = 'x'")
    };
    let longest = text(255);
    assert!(parse(&longest, &[]).is_ok());
    let longer = text(256);
    for key in ["name = ", "issuer = ", "kid = "] {
        let line = |text: &str| {
            text.lines()
                .find(|line| line.starts_with(key))
                .unwrap()
                .to_owned()
        };
        let message = fault(&longest.replace(&line(&longest), &line(&longer)), &[]);
        assert!(
            message.ends_with("must be 1 to 255 bytes without control characters"),
            "{message}"
        );
    }
}

type Variables = &'static [(&'static str, &'static str)];

/// Settings of `[bootstrap]` before [`TWO`], variables, and the message.
#[rustfmt::skip]
const OWNERS: &[(&str, Variables, &str)] = &[
    ("owner_id = 'a'", &[], "`bootstrap.owner_id` (netbird-auth.toml:2) is set and `bootstrap.owner_issuer` is not: set both or neither"),
    ("owner_issuer = 'one'", &[], "`bootstrap.owner_issuer` (netbird-auth.toml:2) is set and `bootstrap.owner_id` is not: set both or neither"),
    ("", &[("NETBIRD_AUTH_BOOTSTRAP__OWNER_ID", "a")], "NETBIRD_AUTH_BOOTSTRAP__OWNER_ID is set and `bootstrap.owner_issuer` is not: set both or neither"),
    ("owner_id = ''\nowner_issuer = 'one'", &[], "netbird-auth.toml:2: `bootstrap.owner_id` must not be empty"),
    ("owner_id = 'sys'\nowner_issuer = 'one'", &[], "netbird-auth.toml:2: `bootstrap.owner_id` must not be one of current, sys, -, . and .."),
    ("owner_id = 'a'\nowner_issuer = ''", &[], "netbird-auth.toml:3: `bootstrap.owner_issuer` must be 1 to 255 bytes without control characters"),
];

#[test]
fn the_owner_is_known_at_an_issuer_by_both_settings_or_none() {
    for (settings, variables, expected) in OWNERS {
        let text = format!("[bootstrap]\n{settings}\n{TWO}");
        assert_eq!(fault(&text, variables), *expected, "{text}");
    }
    let text = format!("[bootstrap]\nowner_id = 'a'\nowner_issuer = 'one'\n{TWO}");
    let config = parse(&text, &[]).unwrap();
    let identity = config.bootstrap.owner_identity.unwrap();
    assert_eq!((identity.id.as_str(), &*identity.issuer), ("a", "one"));
    // Judged where the owner is made, and never later.
    assert!(identity.check(&config.issuers).is_ok());
    let message = identity.check(&[]).unwrap_err().to_string();
    assert_eq!(
        message,
        "`bootstrap.owner_issuer` must be the `name` of an [[issuer]]"
    );
}

#[test]
fn no_variable_is_a_setting_of_an_issuer() {
    for name in ["NAME", "", "KEY__PEM"] {
        let name = format!("NETBIRD_AUTH_ISSUER__{name}");
        assert_eq!(
            fault(LEAST, &[(&name, "home")]),
            format!("{name} is no setting; [[issuer]] stands in the file only")
        );
    }
}

#[test]
fn no_message_holds_a_key() {
    for line in [
        "pem = ['SECRET']",
        "jwk = { k = 'SECRET' }",
        "jwk = 'SECRET'\npem = 'SECRET'",
        "jwk = 'SECRET'\nalgorithm = 'SECRET'",
        "jwk = 'SECRET",
    ] {
        let message = fault(&format!("{LEAST}[[issuer.key]]\n{line}"), &[]);
        assert!(!message.contains("SECRET"), "{message}");
    }
}

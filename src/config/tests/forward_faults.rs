//! What is refused in `[forward_auth]` and its rules, and in which words.

use super::forward::LEAST;
use super::*;

const HEADER: &str = "the name of a header, 1 to 64 letters, digits and hyphens; an underscore is a \
                      hyphen to many servers";
const TAKEN: &str =
    "a header without a meaning of its own, unlike Authorization or X-Forwarded-For";

/// A file, the line that is named, and the rest of the message.
#[rustfmt::skip]
const FILES: &[(&str, u32, &str)] = &[
    ("[forward_auth]\ndefault = 'allow'", 2, "`forward_auth.default` must be deny or authenticated"),
    ("[forward_auth]\ndefault = true", 2, "`forward_auth.default` must be a string"),
    ("[forward_auth]\n\ndefalt = 'deny'", 3, "unknown key `defalt` in [forward_auth]; did you mean `default`?"),
    ("[forward_auth]\nrules = []", 2, "unknown key `rules` in [forward_auth]; did you mean `rule`?"),
    ("[[forward_auth.rules]]\nhost = 'a'", 1, "unknown key `rules` in [forward_auth]; did you mean `rule`?"),
    ("[forwardauth]", 1, "unknown section `forwardauth`; did you mean `forward_auth`?"),
    ("[[rule]]\nhost = 'a'", 1, "unknown section `rule`; did you mean `forward_auth.rule`?"),
    ("user_header = 'X-User'", 1, "unknown key `user_header` outside of any section; it belongs below [forward_auth]"),
    ("[[forward_auth]]\nhost = 'a'", 1, "`forward_auth` must be a section, written [forward_auth]"),
    ("[forward_auth.rule]\nhost = 'a'", 1, "`forward_auth.rule` must be a list, each written [[forward_auth.rule]]"),
    ("[forward_auth]\nrule = 'a'", 2, "`forward_auth.rule` must be a list, each written [[forward_auth.rule]]"),
    ("[forward_auth]\nrule = ['a']", 2, "`forward_auth.rule` must be a list, each written [[forward_auth.rule]]"),
    ("[[forward_auth.rule]]\npublic = true", 1, "`forward_auth.rule.host` is missing in this [[forward_auth.rule]]"),
];

/// What is added to [`LEAST`], the line that is named, and the rest of the message.
#[rustfmt::skip]
const RULES: &[(&str, u32, &str)] = &[
    ("method = ['GET']", 3, "unknown key `method` in [[forward_auth.rule]]; did you mean `methods`?"),
    ("default = 'deny'", 3, "unknown key `default` in [[forward_auth.rule]]; there are allow_roles, allow_service_users, allow_users, client_cidrs, cors_preflight, host, methods, path_prefix, public"),
    ("path_prefix = 'api'", 3, PATH),
    ("path_prefix = ''", 3, PATH),
    ("path_prefix = '/a/../b'", 3, PATH),
    ("path_prefix = '/a%20b'", 3, PATH),
    ("path_prefix = '/a?b'", 3, PATH),
    ("methods = 'GET'", 3, "`forward_auth.rule.methods` must be a list of strings"),
    ("methods = []", 3, "`forward_auth.rule.methods` must not be empty: leave the key out instead"),
    ("methods = ['GET', '']", 3, "`forward_auth.rule.methods` item 2 must be a method such as GET, 1 to 32 upper-case letters"),
    ("methods = ['Get']", 3, "`forward_auth.rule.methods` item 1 must be a method such as GET, 1 to 32 upper-case letters"),
    ("methods = ['GET', 'M-SEARCH']", 3, "`forward_auth.rule.methods` item 2 must be a method such as GET, 1 to 32 upper-case letters"),
    ("methods = ['AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA']", 3, "`forward_auth.rule.methods` item 1 must be a method such as GET, 1 to 32 upper-case letters"),
    ("methods = ['PUT', 'GET', 'HEAD', 'GET']", 3, "`forward_auth.rule.methods` item 4 is the same as item 2"),
    ("allow_roles = []", 3, "`forward_auth.rule.allow_roles` must not be empty: leave the key out instead"),
    ("allow_roles = ['admin', 'root']", 3, "`forward_auth.rule.allow_roles` item 2 must be one of owner, admin, network_admin, auditor, user, billing_admin"),
    ("allow_users = []", 3, "`forward_auth.rule.allow_users` must not be empty: leave the key out instead"),
    ("allow_users = ['']", 3, "`forward_auth.rule.allow_users` item 1 must not be empty"),
    ("allow_users = [\"a\\n\"]", 3, "`forward_auth.rule.allow_users` item 1 must not contain control characters"),
    ("allow_service_users = 'yes'", 3, "`forward_auth.rule.allow_service_users` must be true or false"),
    ("client_cidrs = []", 3, "`forward_auth.rule.client_cidrs` must not be empty: leave the key out instead"),
    ("client_cidrs = ['10.0.0.0/8', 'home']", 3, "`forward_auth.rule.client_cidrs` item 2 must be a network such as 10.0.0.0/8, or an address"),
    ("public = 1", 3, "`forward_auth.rule.public` must be true or false"),
    ("cors_preflight = 'true'", 3, "`forward_auth.rule.cors_preflight` must be true or false"),
    ("public = true\nallow_roles = ['user']", 4, "`forward_auth.rule.allow_roles` is of no use where `public` is true, which lets everybody in"),
    ("public = true\nallow_users = ['ann']", 4, "`forward_auth.rule.allow_users` is of no use where `public` is true, which lets everybody in"),
    ("allow_service_users = true\npublic = true", 3, "`forward_auth.rule.allow_service_users` is of no use where `public` is true, which lets everybody in"),
    ("client_cidrs = ['::1']\npublic = true", 3, "`forward_auth.rule.client_cidrs` can't stand where `public` is true: it narrows who may come with a credential, and never replaces one"),
    ("[[forward_auth.rule]]\nhost = 'b'\npublic = 'no'", 5, "`forward_auth.rule.public` must be true or false"),
    ("host = 'b'", 3, "not TOML: duplicate key"),
];

const PATH: &str = "`forward_auth.rule.path_prefix` must be a path such as /api, which is for all below \
                    it too: no *, encoding, query, //, . and .. segments";

#[track_caller]
fn check(text: &str, line: u32, rest: &str) {
    let expected = format!("netbird-auth.toml:{line}: {rest}");
    assert_eq!(fault(text, &[]), expected, "{text}");
}

#[test]
fn a_bad_section_or_rule_is_answered_with_file_line_key_and_reason() {
    for (text, line, rest) in FILES {
        check(text, *line, rest);
    }
    for (added, line, rest) in RULES {
        check(&format!("{LEAST}{added}"), *line, rest);
    }
    for host in [
        "",
        "https://a",
        "a:80",
        "a.",
        "*",
        "a.*.b",
        "**.a",
        "*a",
        "a/b",
        "[::1",
        "*.[::1]",
        "a b",
    ] {
        let text = format!("[[forward_auth.rule]]\nhost = '{host}'");
        let rest = "`forward_auth.rule.host` must be a host such as grafana.home.arpa, or all below \
                    one: *.home.arpa";
        check(&text, 2, rest);
    }
}

#[test]
fn the_name_of_a_header_is_plain_and_has_no_meaning_of_its_own() {
    let long = "a".repeat(65);
    let names = [
        ("", HEADER),
        (&long, HEADER),
        ("Remote_User", HEADER),
        ("Remote User", HEADER),
        ("Remote-User:", HEADER),
        ("Bénutzer", HEADER),
        ("X-Förwarded-For", HEADER),
        ("authorization", TAKEN),
        ("Proxy-Authorization", TAKEN),
        ("COOKIE", TAKEN),
        ("Host", TAKEN),
        ("Connection", TAKEN),
        ("Content-Length", TAKEN),
        ("Content-Type", TAKEN),
        ("Transfer-Encoding", TAKEN),
        ("WWW-Authenticate", TAKEN),
        ("Set-Cookie", TAKEN),
        ("Location", TAKEN),
        ("Upgrade", TAKEN),
        ("te", TAKEN),
        ("Trailer", TAKEN),
        ("Keep-Alive", TAKEN),
        ("Via", TAKEN),
        ("Forwarded", TAKEN),
        ("Origin", TAKEN),
        ("User-Agent", TAKEN),
        ("X-Request-Id", TAKEN),
        ("Date", TAKEN),
        ("Cache-Control", TAKEN),
        ("Access-Control-Allow-Origin", TAKEN),
        ("Sec-Fetch-Mode", TAKEN),
        ("Content-Encoding", TAKEN),
        ("X-Real-IP", TAKEN),
        ("Proxy-Connection", TAKEN),
        ("x-forwarded-for", TAKEN),
        ("X-Forwarded-", TAKEN),
    ];
    for key in ["user", "name", "email", "groups", "token_id", "api_key"] {
        for (name, rest) in names {
            let empty = match key {
                "api_key" if name.is_empty() => continue,
                "api_key" => "empty, or ",
                _ => "",
            };
            let text = format!("[forward_auth]\n{key}_header = '{name}'");
            let message = format!("`forward_auth.{key}_header` must be {empty}{rest}");
            check(&text, 2, &message);
        }
    }
}

type Variables = &'static [(&'static str, &'static str)];

#[test]
fn two_headers_are_never_the_same_wherever_they_are_given() {
    let table: [(&str, Variables, &str); 4] = [
        (
            "user_header = 'remote-NAME'",
            &[],
            "`forward_auth.user_header` (netbird-auth.toml:2) and `forward_auth.name_header`",
        ),
        (
            "groups_header = 'X-API-KEY'",
            &[],
            "`forward_auth.api_key_header` and `forward_auth.groups_header` (netbird-auth.toml:2)",
        ),
        (
            "email_header = 'a'\ntoken_id_header = 'A'",
            &[],
            "`forward_auth.email_header` (netbird-auth.toml:2) and `forward_auth.token_id_header` \
             (netbird-auth.toml:3)",
        ),
        (
            "name_header = 'a'",
            &[("NETBIRD_AUTH_FORWARD_AUTH__EMAIL_HEADER", "A")],
            "`forward_auth.name_header` (netbird-auth.toml:2) and \
             NETBIRD_AUTH_FORWARD_AUTH__EMAIL_HEADER",
        ),
    ];
    for (text, variables, places) in table {
        let message = fault(&format!("[forward_auth]\n{text}"), variables);
        let expected = format!("{places} are the same header: each needs its own");
        assert_eq!(message, expected);
    }
    // Names may be changed round, and no api_key_header is no name.
    let text = "[forward_auth]\nuser_header = 'Remote-Name'\nname_header = 'Remote-User'\n\
                api_key_header = ''\nemail_header = 'X-Api-Key'";
    assert!(parse(text, &[]).is_ok());
}

#[test]
fn no_variable_is_a_key_of_a_rule() {
    for name in ["RULE", "HOST", "PUBLIC", "RULE__PUBLIC"] {
        let name = format!("NETBIRD_AUTH_FORWARD_AUTH__{name}");
        let message = fault(LEAST, &[(&name, "true")]);
        assert!(
            message.starts_with(&format!("{name} is no setting; ")),
            "{message}"
        );
    }
}

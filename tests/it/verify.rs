//! `/auth/verify`: which rule decides about whom.

use serde_json::json;

use crate::support::{Crowd, Server};

/// A rule for each way of admitting somebody.
pub const RULES: &str = r#"
[[forward_auth.rule]]
host = "pub.home.arpa"
public = true

[[forward_auth.rule]]
host = "app.home.arpa"
path_prefix = "/open"
public = true

[[forward_auth.rule]]
host = "app.home.arpa"
path_prefix = "/admin"
allow_roles = ["admin", "auditor"]

[[forward_auth.rule]]
host = "app.home.arpa"

[[forward_auth.rule]]
host = "ann.home.arpa"
allow_users = ["ann"]

[[forward_auth.rule]]
host = "bots.home.arpa"
allow_service_users = true

[[forward_auth.rule]]
host = "mixed.home.arpa"
allow_users = ["ann"]
allow_roles = ["admin"]
allow_service_users = true

[[forward_auth.rule]]
host = "lan.home.arpa"
client_cidrs = ["10.0.0.0/8", "2001:db8::/32"]

[[forward_auth.rule]]
host = "api.home.arpa"
methods = ["GET"]
cors_preflight = true

[[forward_auth.rule]]
host = "*.wild.home.arpa"
methods = ["GET", "HEAD"]
"#;

/// Those whom the rules tell apart: `ann` and `carl`, users, `bob`, an admin, `bot`, a machine; each
/// with the token.
pub fn guarded() -> (Server, [(&'static str, String); 4]) {
    guarded_by("")
}

pub fn guarded_by(settings: &str) -> (Server, [(&'static str, String); 4]) {
    let crowd = Crowd::new();
    let people = [
        ("ann", "user"),
        ("bob", "admin"),
        ("carl", "user"),
        ("bot", "user"),
    ];
    let tokens = people.map(|(id, role)| (id, crowd.member(id, role, id == "bot")));
    (
        crowd.start_guarding(&format!("{settings}{RULES}"), &[]),
        tokens,
    )
}

/// Who passes, of ann, bob, carl and bot; what the others are told; and what is told without a
/// credential.
#[test]
fn the_first_rule_that_matches_decides_and_without_one_nobody_passes() {
    let (server, tokens) = guarded();
    let no_rule = |what: &str| format!("no forward_auth rule matches {what} with this path");
    let not =
        |rule: u8| format!("forward_auth rule {rule} does not admit this user, of the role user");
    let everybody = "ann bob carl bot";
    let table = [
        ("GET app.home.arpa/", everybody, String::new()),
        ("GET app.home.arpa/opened", everybody, String::new()),
        ("DELETE app.home.arpa/x?y", everybody, String::new()),
        ("GET APP.Home.Arpa/x", everybody, String::new()),
        ("GET app.home.arpa.:8443/x", everybody, String::new()),
        ("GET app.home.arpa/admin", "bob", not(3)),
        ("GET app.home.arpa/admin?x", "bob", not(3)),
        ("GET app.home.arpa/admin/", "bob", not(3)),
        ("POST app.home.arpa/admin/x?y=/open", "bob", not(3)),
        ("GET app.home.arpa/%61dmin", "bob", not(3)),
        ("GET app.home.arpa/administer", everybody, String::new()),
        ("GET app.home.arpa/Admin", everybody, String::new()),
        // What an app may take for another path satisfies all that it may be meant for.
        ("GET app.home.arpa/open/../admin", "bob", not(3)),
        ("GET app.home.arpa/x/..%2fadmin", "bob", not(3)),
        ("GET app.home.arpa//", "bob", not(3)),
        ("GET app.home.arpa/open;/x", "bob", not(3)),
        ("GET app.home.arpa/open%3f", "bob", not(3)),
        ("GET app.home.arpa/open#", "bob", not(3)),
        ("GET ann.home.arpa/x", "ann", not(5)),
        ("GET bots.home.arpa/x", "bot", not(6)),
        ("GET mixed.home.arpa/x", "ann bob bot", not(7)),
        (
            "GET lan.home.arpa/x",
            "",
            "forward_auth rule 8 does not admit this client address".to_owned(),
        ),
        ("GET api.home.arpa/x", everybody, String::new()),
        ("PUT api.home.arpa/x", "", no_rule("PUT on api.home.arpa")),
        (
            "OPTIONS api.home.arpa/x",
            "",
            no_rule("OPTIONS on api.home.arpa"),
        ),
        ("GET a.wild.home.arpa/", everybody, String::new()),
        ("HEAD a.b.wild.home.arpa/", everybody, String::new()),
        ("GET wild.home.arpa/", "", no_rule("GET on wild.home.arpa")),
        (
            "GET awild.home.arpa/",
            "",
            no_rule("GET on awild.home.arpa"),
        ),
        (
            "GET other.home.arpa/x",
            "",
            no_rule("GET on other.home.arpa"),
        ),
        (
            "PROPFIND evil.example/open",
            "",
            no_rule("PROPFIND on evil.example"),
        ),
        ("GET xapp.home.arpa/", "", no_rule("GET on xapp.home.arpa")),
        (
            "GET app.home.arpa.evil.example/",
            "",
            no_rule("GET on app.home.arpa.evil.example"),
        ),
    ];
    for (line, passing, reason) in &table {
        let without = server.verify(line, &[]).verdict();
        assert_eq!(without, "401 missing credentials", "{line}");
        for (id, token) in &tokens {
            let expected = match passing.split(' ').any(|name| name == *id) {
                true => format!("200 {id}"),
                // Only bob has another role.
                false if *id == "bob" => {
                    format!("403 {}", reason.replace("role user", "role admin"))
                }
                false => format!("403 {reason}"),
            };
            assert_eq!(
                server.verify_as(line, token).verdict(),
                expected,
                "{line} {id}"
            );
        }
    }
}

/// CVE-2026-30851 (GHSA-7r4p-vjf4-gxv4, Caddy): `copy_headers` left in place what the client had sent
/// where the answer had no such header, as on a path that needs no credential. So ours is always
/// there.
#[test]
fn a_public_rule_asks_for_nothing_and_says_that_nobody_is_known() {
    let (server, tokens) = guarded();
    let ann = format!("Token {}", tokens[0].1);
    let shown = ["", "Token nbp_x", "Bearer eyJ", &ann];
    for line in [
        "GET pub.home.arpa/",
        "POST PUB.home.arpa/any/../thing",
        "GET app.home.arpa/open",
        "GET app.home.arpa/open?x",
        "DELETE app.home.arpa/open/x?y",
    ] {
        for authorization in shown {
            let answer = server.verify(
                line,
                &[("Authorization", authorization), ("Remote-User", "bob")],
            );
            assert_eq!(answer.identity(), ["-"; 5], "{line} {authorization}");
        }
        let twice = [("Authorization", "x"), ("Authorization", "y")];
        assert_eq!(server.verify(line, &twice).identity(), ["-"; 5], "{line}");
    }
}

#[test]
fn a_preflight_passes_where_a_rule_says_so_and_nothing_but_a_preflight_does() {
    const ASKS: (&str, &str) = ("Access-Control-Request-Method", "PUT");
    const ORIGIN: (&str, &str) = ("Origin", "https://evil.example");
    let (server, _) = guarded();
    let missing = "401 missing credentials";
    for (line, more, expected) in [
        ("OPTIONS api.home.arpa/x", &[ORIGIN, ASKS][..], "200 -"),
        ("OPTIONS api.home.arpa/x/../y", &[ORIGIN, ASKS], "200 -"),
        ("OPTIONS api.home.arpa/x", &[ORIGIN], missing),
        ("OPTIONS api.home.arpa/x", &[ASKS], missing),
        ("OPTIONS api.home.arpa/x", &[], missing),
        ("GET api.home.arpa/x", &[ORIGIN, ASKS], missing),
        ("PUT api.home.arpa/x", &[ORIGIN, ASKS], missing),
        ("OPTIONS app.home.arpa/x", &[ORIGIN, ASKS], missing),
        ("OPTIONS other.home.arpa/x", &[ORIGIN, ASKS], missing),
    ] {
        assert_eq!(
            server.verify(line, more).verdict(),
            expected,
            "{line} {more:?}"
        );
    }
}

#[test]
fn a_client_address_counts_as_the_proxies_tell_it_from_the_right() {
    let (server, tokens) =
        guarded_by("[server]\ntrusted_proxies = [\"127.0.0.0/8\", \"192.0.2.7\"]\n");
    let ann = format!("Token {}", tokens[0].1);
    let table: [(&[&str], bool); 14] = [
        (&[], false),
        (&["10.1.2.3"], true),
        (&["10.1.2.3:4711"], true),
        (&["2001:db8::1"], true),
        (&["::ffff:10.1.2.3"], true),
        (&["203.0.113.9, 10.1.2.3"], true),
        (&["10.1.2.3, 203.0.113.9"], false),
        (&["10.1.2.3", "203.0.113.9"], false),
        (&["10.1.2.3, 192.0.2.7, 127.0.0.2"], true),
        (&["10.1.2.3, 203.0.113.9, 192.0.2.7"], false),
        (&["10.1.2.3, x"], false),
        (&["10.1.2.3,"], false),
        (&["10.1.2.3", "\u{e9}"], false),
        (&["11.1.2.3"], false),
    ];
    for (lines, passes) in table {
        let mut headers = vec![("Authorization", ann.as_str())];
        headers.extend(lines.iter().map(|line| ("X-Forwarded-For", *line)));
        let expected = match passes {
            true => "200 ann",
            false => "403 forward_auth rule 8 does not admit this client address",
        };
        assert_eq!(
            server.verify("GET lan.home.arpa/", &headers).verdict(),
            expected,
            "{lines:?}"
        );
        // An address replaces no credential.
        let without = server.verify("GET lan.home.arpa/", &headers[1..]).verdict();
        assert_eq!(without, "401 missing credentials", "{lines:?}");
    }
}

#[test]
fn where_the_default_is_authenticated_a_credential_is_still_asked_for_and_rules_hold() {
    let (server, tokens) = guarded_by("[forward_auth]\ndefault = \"authenticated\"\n");
    let not = "403 forward_auth rule 5 does not admit this user, of the role user";
    for (line, carl, nobody) in [
        (
            "GET other.home.arpa/x",
            "200 carl",
            "401 missing credentials",
        ),
        ("PUT api.home.arpa/x", "200 carl", "401 missing credentials"),
        (
            "GET other.home.arpa/x/../y",
            "200 carl",
            "401 missing credentials",
        ),
        ("GET ann.home.arpa/x", not, "401 missing credentials"),
        ("GET pub.home.arpa/x", "200 -", "200 -"),
    ] {
        assert_eq!(
            server.verify_as(line, &tokens[2].1).verdict(),
            carl,
            "{line}"
        );
        assert_eq!(server.verify(line, &[]).verdict(), nobody, "{line}");
    }
}

#[test]
fn a_refusal_has_the_body_of_the_api_and_tells_a_browser_nothing_to_log_in_with() {
    let (server, tokens) = guarded();
    let answer = server.verify("GET app.home.arpa/", &[]);
    let body = json!({"message": "unauthorized", "code": 401, "reason": "missing credentials"});
    assert_eq!(answer.json(), body);
    let challenges = answer.headers_of("www-authenticate");
    let bearer = "Bearer realm=\"netbird-auth\", error_description=\"missing credentials\"";
    assert_eq!(challenges, [bearer, "Token realm=\"netbird-auth\""]);
    assert_eq!(answer.header("location"), None);
    let answer = server.verify_as("GET ann.home.arpa/", &tokens[2].1);
    assert_eq!(answer.error(403), "forbidden");
}

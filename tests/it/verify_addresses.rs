//! `/auth/verify`: what an address can do and can't, and what is judged before anything is written.

use serde_json::json;

use crate::support::{Crowd, Idp, Server};

const RULES: &str = r#"
[server]
trusted_proxies = ["127.0.0.0/8", "10.0.0.0/8"]

[[forward_auth.rule]]
host = "lan.home.arpa"
client_cidrs = ["10.0.0.0/8", "127.0.0.0/8"]
cors_preflight = true

[[forward_auth.rule]]
host = "app.home.arpa"
allow_roles = ["user"]
"#;

const PREFLIGHT: [(&str, &str); 2] = [
    ("Origin", "https://dash.home.arpa"),
    ("Access-Control-Request-Method", "PUT"),
];

fn guarded(idps: &[&Idp]) -> (Server, String) {
    let crowd = Crowd::new();
    let ann = crowd.member("ann", "user", false);
    (crowd.start_guarding(RULES, idps), ann)
}

#[test]
fn a_proxy_that_tells_no_address_lets_nobody_in_by_its_own() {
    let (server, ann) = guarded(&[]);
    let ann = format!("Token {ann}");
    let refused = "403 forward_auth rule 1 does not admit this client address";
    // All in the list are trusted, and the last of them is in the network.
    let table: [(&[&str], &str); 8] = [
        (&[], refused),
        (&[""], refused),
        (&["fe80::1%eth0"], refused),
        (&["unix:"], refused),
        (&["10.1.1.1, unknown"], refused),
        (&["unknown, 10.1.1.1"], refused),
        (&["10.1.1.1"], "200 ann"),
        (&["203.0.113.9"], refused),
    ];
    for (lines, expected) in table {
        let mut headers = vec![("Authorization", ann.as_str())];
        headers.extend(lines.iter().map(|line| ("X-Forwarded-For", *line)));
        let verdict = server.verify("GET lan.home.arpa/", &headers).verdict();
        assert_eq!(verdict, expected, "{lines:?}");
        // A rule that asks for no address needs none.
        let other = server.verify("GET app.home.arpa/", &headers).verdict();
        assert_eq!(other, "200 ann", "{lines:?}");
    }
}

#[test]
fn a_preflight_is_let_through_from_the_networks_of_its_rule_only() {
    let (server, _) = guarded(&[]);
    let ask = |more: &[(&str, &str)]| server.verify("OPTIONS lan.home.arpa/", more).verdict();
    let here = ("X-Forwarded-For", "10.1.1.1");
    let there = ("X-Forwarded-For", "203.0.113.9");
    let [origin, method] = PREFLIGHT;
    let missing = "401 missing credentials";
    let table: [(&[(&str, &str)], &str); 7] = [
        (&[origin, method, here], "200 -"),
        (&[origin, method, there], missing),
        (&[origin, method], missing),
        (&[("Origin", ""), method, here], missing),
        (
            &[origin, ("Access-Control-Request-Method", ""), here],
            missing,
        ),
        (&[origin, origin, method, here], missing),
        (&[origin, method, method, here], missing),
    ];
    for (more, expected) in table {
        assert_eq!(ask(more), expected, "{more:?}");
    }
}

#[test]
fn nobody_becomes_a_user_by_a_question_that_nobody_passes() {
    let home = Idp::new("home", "ES256").with("unknown_users = \"create\"");
    let (server, _) = guarded(&[&home]);
    let jwt = format!("Bearer {}", home.jwt("new"));
    let ask = |line: &str, from: &str| {
        let headers = [("Authorization", jwt.as_str()), ("X-Forwarded-For", from)];
        server.verify(line, &headers).verdict()
    };
    let users = || {
        server
            .owner
            .get("/api/users")
            .ok()
            .as_array()
            .unwrap()
            .len()
    };
    let before = users();
    let no_rule = "403 no forward_auth rule matches GET on other.home.arpa with this path";
    assert_eq!(ask("GET other.home.arpa/", "10.1.1.1"), no_rule);
    let address = "403 forward_auth rule 1 does not admit this client address";
    assert_eq!(ask("GET lan.home.arpa/", "203.0.113.9"), address);
    assert_eq!(users(), before);
    assert_eq!(ask("GET app.home.arpa/", "203.0.113.9"), "200 new");
    assert_eq!(users(), before + 1);
}

#[test]
fn no_spelling_of_its_path_is_answered_as_a_preflight_of_our_own() {
    let (server, _) = guarded(&[]);
    for path in [
        "/auth/verify",
        "/auth/verify/",
        "//auth/verify",
        "/auth/%76erify",
        "/auth//verify",
    ] {
        let answer = server.anonymous().send("OPTIONS", path, &PREFLIGHT, b"");
        assert!(
            [401, 403, 404].contains(&answer.status),
            "{path}: {}",
            answer.status
        );
    }
    let api = server
        .anonymous()
        .send("OPTIONS", "/api/users", &PREFLIGHT, b"");
    assert_eq!(api.status, 204);
}

#[test]
fn a_refused_question_is_logged_with_the_site_and_without_query_or_token() {
    let (server, ann) = guarded(&[]);
    let line = format!("GET other.home.arpa/a/b?key={ann}");
    server.verify(&line, &[]);
    let logged = server.log_line("asked=");
    assert!(
        logged.contains("asked=\"GET other.home.arpa/a/b\" "),
        "{logged}"
    );
    assert!(!server.log().iter().any(|line| line.contains("nbp_")));
    let body = json!({"name": "-", "email": "a@home.arpa", "id": "-", "role": "user", "is_service_user": false});
    server.owner.post("/api/users", body).error(422);
}

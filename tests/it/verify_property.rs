//! `/auth/verify`: what holds for all requests, over the real server.

use std::cell::RefCell;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::support::{Connection, basic, fresh_token};
use crate::verify::guarded;

/// A value of a header, without what HTTP itself refuses.
fn any_value() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,24}", "[ -~\u{e4}\u{20ac}\t]{0,12}"]
}

/// Hosts and paths in spellings of all sorts; for some of them a public rule stands there.
fn any_host() -> impl Strategy<Value = String> {
    let known = [
        "pub.home.arpa",
        "PUB.home.arpa",
        "app.home.arpa",
        "App.Home.Arpa:443",
        "ann.home.arpa",
        "api.home.arpa",
        "a.wild.home.arpa",
        "pub.home.arpa.evil.example",
        "xpub.home.arpa",
        "pub.home.arpa@app.home.arpa",
        "app.home.arpa,pub.home.arpa",
        "",
    ];
    prop_oneof![
        15 => select(known.to_vec()).prop_map(str::to_owned),
        1 => any_value(),
    ]
}

fn any_uri() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "(/(open|admin|opened|x|\\.\\.|\\.|%2e%2e|%6fpen|%2F|;|)){1,4}(\\?/open)?(#x)?",
        1 => any_value(),
    ]
}

fn any_method() -> impl Strategy<Value = String> {
    let known = [
        "GET", "OPTIONS", "OPTIONS", "PUT", "HEAD", "get", "PROPFIND",
    ];
    prop_oneof![
        15 => select(known.to_vec()).prop_map(str::to_owned),
        1 => any_value(),
    ]
}

/// What stands in a place for credentials and is nobody's.
fn any_credential() -> impl Strategy<Value = (String, String)> {
    let name = select(vec![
        "Authorization",
        "Authorization",
        "X-Api-Key",
        "Cookie",
    ]);
    let value = prop_oneof![
        any_value(),
        "(Token|Bearer|Basic|basic) [ -~]{0,20}",
        "(Token |Bearer )?(nbp_[0-9A-Za-z]{36}|eyJ[a-zA-Z0-9_-]{1,9}\\.eyJ[a-zA-Z0-9_-]{0,9}\\.[a-z]{0,4})",
        Just(()).prop_map(|()| format!("Bearer {}", fresh_token())),
        any_value().prop_map(|text| basic("x", &text)),
        Just(()).prop_map(|()| basic("x", &fresh_token())),
    ];
    (name.prop_map(str::to_owned), value)
}

fn any_other() -> impl Strategy<Value = (String, String)> {
    let harmless = [
        "Origin",
        "Access-Control-Request-Method",
        "X-Forwarded-For",
        "X-Original-URL",
        "X-Forwarded-Prefix",
        "Forwarded",
        "User-Agent",
        "Remote-User",
        "Accept",
        "Referer",
    ];
    // A second one is a refusal.
    let doubled = ["X-Forwarded-Uri", "X-Forwarded-Method", "X-Forwarded-Host"];
    let name = prop_oneof![
        20 => select(harmless.to_vec()),
        1 => select(doubled.to_vec()),
    ];
    let value = prop_oneof![
        select(vec![
            "/open",
            "GET",
            "OPTIONS",
            "pub.home.arpa",
            "https://pub.home.arpa/open",
            "10.0.0.1",
            "GoogleHC/1.0"
        ])
        .prop_map(str::to_owned),
        any_value(),
    ];
    (name.prop_map(str::to_owned), value)
}

/// Whether a rule opens what these headers say, told from the headers alone.
fn is_open(headers: &[(String, String)]) -> bool {
    let only = |name: &str| {
        let mut values = headers.iter().filter(|(known, _)| known == name);
        let value = values.next().map(|(_, value)| value.trim());
        value.filter(|_| values.next().is_none())
    };
    let has = |name: &str| headers.iter().any(|(known, _)| known == name);
    let (Some(method), Some(host), Some(uri)) = (
        only("X-Forwarded-Method"),
        only("X-Forwarded-Host"),
        only("X-Forwarded-Uri"),
    ) else {
        return false;
    };
    let host = host.to_ascii_lowercase();
    let host = host
        .split(':')
        .next()
        .unwrap()
        .trim_end_matches('.')
        .to_owned();
    let path = uri
        .split('?')
        .next()
        .unwrap()
        .replace("%6f", "o")
        .replace("%6F", "o");
    let is_below = path == "/open" || path.starts_with("/open/");
    let is_unclear = ["..", "/./", "//", ";", "%", "#", "\\"]
        .iter()
        .any(|odd| path.contains(odd))
        || path.ends_with("/.");
    match host.as_str() {
        "pub.home.arpa" => true,
        "app.home.arpa" => is_below && !is_unclear,
        "api.home.arpa" => {
            method == "OPTIONS" && has("Origin") && has("Access-Control-Request-Method")
        }
        _ => false,
    }
}

/// Among them are also such as a rule opens, or the property would say nothing of the server.
#[test]
fn nobody_passes_without_a_credential_but_where_a_rule_opens_and_nothing_else_is_answered() {
    let (server, tokens) = guarded();
    let connection = RefCell::new(Connection::open(server.address));
    let seen = RefCell::new([0_u32; 3]);
    let ask = |method: &str, headers: &[(String, String)]| {
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        connection.borrow_mut().verify(method, &headers, b"")
    };
    let ways = select(vec!["GET", "POST", "HEAD", "OPTIONS"]);
    let parts = (
        any_method(),
        any_host(),
        any_uri(),
        vec(any_credential(), 0..3),
        vec(any_other(), 0..4),
        ways,
    );
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(&parts, |(method, host, uri, credentials, others, way)| {
        let told = [
            ("X-Forwarded-Method", method),
            ("X-Forwarded-Proto", "https".to_owned()),
            ("X-Forwarded-Host", host),
            ("X-Forwarded-Uri", uri),
        ];
        let mut headers: Vec<(String, String)> =
            told.map(|(name, value)| (name.to_owned(), value)).into();
        headers.extend(others);
        let open = is_open(&headers);
        let asked = [&headers[..], &credentials].concat();
        let answer = ask(way, &asked);
        prop_assert!(matches!(answer.status, 200 | 401 | 403), "{answer:?}");
        seen.borrow_mut()[usize::from(answer.status != 200) + usize::from(answer.status == 403)] +=
            1;
        if answer.status == 200 {
            prop_assert!(open);
            prop_assert_eq!(answer.identity(), ["-"; 5]);
        } else {
            answer.names_nobody();
        }
        // One good credential, and it is never a 401.
        headers.push(("X-Api-Key".to_owned(), tokens[0].1.clone()));
        let answer = ask(way, &headers);
        prop_assert!(matches!(answer.status, 200 | 403), "{answer:?}");
        if answer.status == 200 {
            let user = answer.identity()[0];
            prop_assert!(user == "ann" || (user == "-" && open));
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    let seen = seen.into_inner();
    assert!(
        seen.iter().all(|count| *count > 10),
        "200, 401, 403: {seen:?}"
    );
}

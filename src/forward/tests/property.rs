//! What holds for all rules and requests.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;

const PREFIXES: [&str; 6] = ["/", "/a", "/a/b", "/b", "/ab", "/c"];
const ROLES: [&str; 3] = ["role:admin", "role:user", "role:owner"];

/// A rule as [`rule`] reads it, with some of the words that open it.
fn any_rule(opening: &'static [&'static str]) -> impl Strategy<Value = Rule> {
    let host = select(vec!["h", "h", "h", "x.h", "*.h"]);
    let path = proptest::option::of(select(PREFIXES.to_vec()));
    let methods = subsequence(vec!["GET", "PUT", "OPTIONS"], 0..=2);
    let narrow = subsequence(
        [&ROLES[..], &["user:ann", "services", "cidr:10.0.0.0/8"]].concat(),
        0..=2,
    );
    let opening = subsequence(opening.to_vec(), 0..=opening.len());
    let parts = (host, path, methods, narrow, opening);
    parts.prop_map(|(host, path, methods, narrow, opening)| {
        let mut words = vec![host.to_owned()];
        words.extend(path.map(str::to_owned));
        if !methods.is_empty() {
            words.push(methods.join(","));
        }
        words.extend(narrow.into_iter().chain(opening).map(str::to_owned));
        rule(&words.join(" "))
    })
}

fn any_settings(opening: &'static [&'static str]) -> impl Strategy<Value = ForwardAuth> {
    let unmatched = select(vec![Unmatched::Deny, Unmatched::Authenticated]);
    (vec(any_rule(opening), 0..6), unmatched).prop_map(|(rules, unmatched)| ForwardAuth {
        unmatched,
        rules: rules.into_iter().collect(),
        ..ForwardAuth::default()
    })
}

fn any_original() -> impl Strategy<Value = Original> {
    let uri = prop_oneof![
        select(PREFIXES.to_vec()).prop_map(str::to_owned),
        "(/(a|b|c|ab|\\.\\.|\\.|%2e|%2F|%61|;|)){1,4}",
    ];
    let method = select(vec!["GET", "PUT", "OPTIONS"]);
    let host = select(vec!["h", "x.h", "y.x.h"]);
    let parts = (method, host, uri, any::<bool>());
    parts.prop_map(|(method, host, uri, asks)| request(&format!("{method} {host}{uri}"), asks))
}

fn any_user() -> impl Strategy<Value = User> {
    let roles = vec![Role::Owner, Role::Admin, Role::User];
    (select(vec!["ann", "bea", "bot"]), select(roles)).prop_map(|(id, role)| user(id, role))
}

fn any_client() -> impl Strategy<Value = IpAddr> {
    select(vec!["10.0.0.1", "192.0.2.1", "::1"]).prop_map(address)
}

/// Whether a request passes, for somebody or with no credential.
fn passes(settings: &ForwardAuth, original: &Original, user: Option<(&User, IpAddr)>) -> bool {
    let plan = plan(settings, original, Some(CLIENT));
    match user {
        Some((user, client)) => plan.admit(user, Some(client), original).is_ok(),
        None => matches!(plan, Plan::Open),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn nothing_is_open_that_no_rule_opens(
        settings in any_settings(&[]),
        original in any_original(),
    ) {
        prop_assert!(needed(&plan(&settings, &original, Some(CLIENT))).is_some());
    }

    #[test]
    fn a_preflight_opens_nothing_else(
        settings in any_settings(&["preflight"]),
        original in any_original(),
    ) {
        prop_assert!(original.is_preflight || needed(&plan(&settings, &original, Some(CLIENT))).is_some());
    }

    #[test]
    fn there_is_always_a_rule_where_rules_decide(
        settings in any_settings(&["public", "preflight"]),
        original in any_original(),
    ) {
        if let Plan::Rules(rules) = plan(&settings, &original, Some(CLIENT)) {
            prop_assert!(!rules.is_empty());
            prop_assert!(original.path.is_none() || rules.len() == 1);
            for (number, rule) in rules {
                prop_assert_eq!(rule, &settings.rules[number - 1]);
            }
        }
    }

    /// What every rule's prefix fits, and a path that none fits but `/`.
    #[test]
    fn an_unclear_path_passes_only_where_every_path_would(
        settings in any_settings(&["public", "preflight"]),
        original in any_original(),
        user in any_user(),
        client in any_client(),
    ) {
        let unclear = Original { path: None, ..original };
        for who in [None, Some((&user, client))] {
            if !passes(&settings, &unclear, who) {
                continue;
            }
            for path in PREFIXES.into_iter().chain(["/a/b/c", "/other"]) {
                let clear = Original { path: Some(path.into()), ..unclear.clone() };
                prop_assert!(passes(&settings, &clear, who), "{}", path);
            }
        }
    }

    #[test]
    fn a_path_is_clear_or_none_and_never_a_way_upward(uri in "/[a./%2eFf;\\\\?#5cA]{0,12}") {
        let Ok(original) = Original::parse(b"GET", b"http", b"a", uri.as_bytes(), false) else {
            return Ok(());
        };
        if let Some(path) = original.path {
            prop_assert!(path.starts_with('/'), "{}", path);
            prop_assert!(!path.contains(['%', '\\', ';', '#']), "{}", path);
            prop_assert!(!path.contains("//"), "{}", path);
            prop_assert!(path.split('/').all(|segment| segment != "." && segment != ".."));
        }
    }

    #[test]
    fn no_bytes_are_too_odd(
        method in vec(any::<u8>(), 0..8),
        host in vec(any::<u8>(), 0..16),
        uri in vec(any::<u8>(), 0..24),
    ) {
        let whole = |method: &[u8], host: &[u8], uri: &[u8]| {
            Original::parse(method, b"https", host, uri, true)
        };
        let _ = whole(&method, b"a", b"/");
        if let Ok(original) = whole(b"GET", &host, b"/") {
            prop_assert!(original.host.bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert_eq!(original.host.to_ascii_lowercase(), &*original.host);
        }
        if let Ok(original) = whole(b"GET", b"a", &[b"/", &uri[..]].concat()) {
            let is_control = |path: Box<str>| path.bytes().any(|byte| byte < b' ' || byte == 0x7f);
            prop_assert!(!original.path.is_some_and(is_control));
        }
    }
}

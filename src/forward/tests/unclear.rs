//! A path that apps may understand in another way than we do gets round no rule.

use super::*;

/// Rules, and which of them a request with an unclear path has to satisfy; `None` where it passes
/// without a credential.
type Row = (&'static [&'static str], Option<&'static [usize]>);

const TABLE: &[Row] = &[
    (&[], Some(&[])),
    (&["a"], Some(&[1])),
    (&["a public"], None),
    // What is opened by a path stays shut.
    (&["a /x public"], Some(&[])),
    (&["a /x public", "a"], Some(&[2])),
    (&["a / public"], Some(&[])),
    (&["a / public", "a role:admin"], Some(&[2])),
    // Every rule with a path before the first without one.
    (&["a /admin role:admin", "a"], Some(&[1, 2])),
    (&["a /admin role:admin", "a public"], Some(&[1])),
    (
        &["a /x public", "a /admin role:admin", "a public"],
        Some(&[2]),
    ),
    (&["a /x", "a /y", "a /z"], Some(&[1, 2, 3])),
    (&["a /x", "a", "a /y", "a"], Some(&[1, 2])),
    (&["a", "a /x role:owner"], Some(&[1])),
    (&["a public", "a /x role:owner"], None),
    (&["a /x public", "a public", "a /y"], None),
    // Only those that are for the host and the method.
    (
        &["b /x role:owner", "a /x PUT role:owner", "*.a /x", "a"],
        Some(&[4]),
    ),
    (&["a PUT", "a GET public"], None),
];

#[test]
fn an_unclear_path_has_to_satisfy_every_rule_that_it_may_be_meant_for() {
    for (rules, expected) in TABLE {
        for uri in [
            "/x/..%2fadmin",
            "/x/../admin",
            "//admin",
            "/x;/admin",
            "/%61dmin%00",
            "/\\admin",
        ] {
            let request = original(&format!("GET a{uri}"));
            assert_eq!(request.path, None);
            for unmatched in [Unmatched::Deny, Unmatched::Authenticated] {
                let settings = settings(rules, unmatched);
                let found = needed(&plan(&settings, &request, Some(CLIENT)));
                assert_eq!(found.as_deref(), *expected, "{rules:?} {uri}");
            }
        }
    }
}

#[test]
fn nobody_gets_round_a_narrow_rule_by_falling_to_the_wide_one() {
    let request = original("GET a/x/..%2fadmin");
    let admin = user("ann", Role::Admin);
    let plain = user("bea", Role::User);
    let near = address("10.0.0.1");
    let far = address("192.0.2.1");
    let rules = ["a /admin role:admin cidr:10.0.0.0/8", "a /x public", "a"];
    for unmatched in [Unmatched::Deny, Unmatched::Authenticated] {
        // With and without the wide rule.
        for count in [2, 3] {
            let settings = settings(&rules[..count], unmatched);
            let plan = plan(&settings, &request, Some(CLIENT));
            let is_denied = count == 2 && unmatched == Unmatched::Deny;
            for (user, client, expected) in [
                (&admin, near, Ok(())),
                (&admin, far, Err(Denial::Client(1))),
                (&plain, near, Err(Denial::User(1, Role::User))),
            ] {
                let judged = plan.admit(user, Some(client), &request);
                if is_denied {
                    assert!(matches!(judged, Err(Denial::NoRule { .. })));
                } else {
                    assert_eq!(judged, expected, "{count} {unmatched:?}");
                }
            }
        }
    }
    // All of them, and not one of them.
    let settings = settings(
        &["a /x role:admin", "a /y user:bea"],
        Unmatched::Authenticated,
    );
    let plan = plan(&settings, &request, Some(CLIENT));
    let denial = plan.admit(&admin, Some(near), &request).unwrap_err();
    assert_eq!(denial, Denial::User(2, Role::Admin));
    let denial = plan.admit(&plain, Some(near), &request).unwrap_err();
    assert_eq!(denial, Denial::User(1, Role::User));
}

#[test]
fn an_unclear_preflight_opens_only_where_the_path_says_nothing() {
    let request = preflight("OPTIONS a/x/../y");
    for (rules, expected) in [
        (&["a preflight"][..], None),
        (&["a /x preflight"], Some(vec![])),
        (&["a /x preflight", "a preflight"], None),
        (&["a /x", "a preflight"], Some(vec![1])),
        (&["a /x GET", "a preflight"], None),
    ] {
        let settings = settings(rules, Unmatched::Deny);
        assert_eq!(
            needed(&plan(&settings, &request, Some(CLIENT))),
            expected,
            "{rules:?}"
        );
    }
}

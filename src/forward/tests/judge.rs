//! Which rule decides, and about whom.

use super::*;

const HERE: &str = "192.0.2.1";

/// What becomes of Ann, an admin; `None` for what passes without a credential.
fn judged(settings: &ForwardAuth, original: &Original) -> Option<Result<(), Denial>> {
    let plan = plan(settings, original, Some(CLIENT));
    let judged = plan.admit(&user("ann", Role::Admin), Some(address(HERE)), original);
    match plan {
        Plan::Open => None,
        _ => Some(judged),
    }
}

#[test]
fn the_first_rule_that_matches_counts() {
    let rules = [
        "a /x GET role:owner",
        "a /x",
        "*.a",
        "b.a public",
        "a /y role:owner",
        "a public",
    ];
    let settings = settings(&rules, Unmatched::Deny);
    for (line, expected) in [
        ("GET a/x", Some(Err(Denial::User(1, Role::Admin)))),
        ("PUT a/x", Some(Ok(()))),
        ("GET b.a/", Some(Ok(()))),
        ("GET a/y/z", Some(Err(Denial::User(5, Role::Admin)))),
        ("GET a/z", None),
    ] {
        assert_eq!(judged(&settings, &original(line)), expected, "{line}");
    }
    for (line, expected) in [
        ("GET a/x", Some(vec![1])),
        ("PUT a/x", Some(vec![2])),
        ("GET b.a/", Some(vec![3])),
        ("GET a/", None),
    ] {
        let found = needed(&plan(&settings, &original(line), Some(CLIENT)));
        assert_eq!(found, expected, "{line}");
    }
}

#[test]
fn where_no_rule_matches_the_default_counts() {
    let request = original("GET b/x");
    for rules in [&[][..], &["a public"], &["b PUT public"], &["b /y public"]] {
        let deny = settings(rules, Unmatched::Deny);
        let denial = judged(&deny, &request).unwrap().unwrap_err();
        let expected = "no forward_auth rule matches GET on b with this path";
        assert_eq!(denial.to_string(), expected);
        let authenticated = settings(rules, Unmatched::Authenticated);
        assert_eq!(judged(&authenticated, &request), Some(Ok(())));
        let plan = plan(&authenticated, &request, Some(CLIENT));
        assert!(matches!(plan, Plan::Unmatched(needed, _) if needed.is_empty()));
    }
}

#[test]
fn a_public_rule_opens_and_one_before_it_does_not() {
    let request = original("GET a/x");
    for (rules, is_open) in [
        (&["a public"][..], true),
        (&["a /x GET public", "a"], true),
        (&["*.a", "a public"], true),
        (&["a", "a public"], false),
        (&["a role:owner", "a /x public"], false),
        (&["a PUT public"], false),
        (&["a /y public"], false),
    ] {
        for unmatched in [Unmatched::Deny, Unmatched::Authenticated] {
            let settings = settings(rules, unmatched);
            assert_eq!(judged(&settings, &request).is_none(), is_open, "{rules:?}");
        }
    }
}

#[test]
fn a_preflight_passes_only_where_a_rule_says_so() {
    let asks = preflight("OPTIONS a/x");
    for (rules, is_open) in [
        (&["a preflight"][..], true),
        (&["a GET preflight"], true),
        (&["a GET,OPTIONS preflight"], true),
        (&["a /x role:owner cidr:192.0.2.0/24 preflight"], true),
        // Without a credential an address counts too.
        (&["a cidr:10.0.0.0/8 preflight"], false),
        (&["a"], false),
        (&["a OPTIONS"], false),
        (&[], false),
        (&["b preflight"], false),
        (&["a /y preflight"], false),
        (&["a", "a preflight"], false),
        // The one before is not for this method.
        (&["a GET", "a preflight"], true),
        (&["a public"], true),
    ] {
        let settings = settings(rules, Unmatched::Authenticated);
        assert_eq!(judged(&settings, &asks).is_none(), is_open, "{rules:?}");
    }
    // Everything else at the same rule needs a credential, and its methods count.
    let rules = settings(&["a GET preflight"], Unmatched::Deny);
    for request in [original("GET a/x"), preflight("GET a/x")] {
        assert_eq!(judged(&rules, &request), Some(Ok(())));
    }
    for request in [original("OPTIONS a/x"), preflight("PUT a/x")] {
        let denial = judged(&rules, &request).unwrap().unwrap_err();
        assert!(matches!(denial, Denial::NoRule { .. }));
    }
}

#[test]
fn one_of_what_a_rule_allows_is_enough_and_nothing_allows_all() {
    let admin = user("ann", Role::Admin);
    let plain = user("bea", Role::User);
    let service = user("bot", Role::User);
    let owner = user("eve", Role::Owner);
    let users = [&admin, &plain, &service, &owner];
    for (line, expected) in [
        ("a", [true, true, true, true]),
        ("a role:admin", [true, false, false, false]),
        ("a role:owner role:admin", [true, false, false, true]),
        ("a user:bea", [false, true, false, false]),
        ("a user:Bea", [false, false, false, false]),
        ("a services", [false, false, true, false]),
        ("a role:admin services", [true, false, true, false]),
        ("a role:admin user:bea", [true, true, false, false]),
        ("a role:admin user:bea services", [true, true, true, false]),
        ("a role:user", [false, true, true, false]),
        ("a role:auditor user:nobody", [false, false, false, false]),
        // The client's address is not one of them.
        (
            "a role:admin cidr:192.0.2.0/24",
            [true, false, false, false],
        ),
    ] {
        let settings = settings(&[line], Unmatched::Authenticated);
        let request = original("GET a/");
        let plan = plan(&settings, &request, Some(CLIENT));
        for (user, expected) in users.into_iter().zip(expected) {
            let judged = plan.admit(user, Some(address(HERE)), &request);
            let expected = if expected {
                Ok(())
            } else {
                Err(Denial::User(1, user.role))
            };
            assert_eq!(judged, expected, "{line} {}", user.id);
        }
    }
}

#[test]
fn networks_narrow_whom_a_rule_admits() {
    let request = original("GET a/");
    for (line, client, expected) in [
        ("a", "203.0.113.9", Ok(())),
        ("a cidr:192.0.2.0/24", HERE, Ok(())),
        ("a cidr:192.0.2.0/24", "192.0.3.1", Err(Denial::Client(1))),
        ("a cidr:10.0.0.0/8 cidr:192.0.2.1/32", HERE, Ok(())),
        (
            "a cidr:10.0.0.0/8 cidr:192.0.2.1/32",
            "192.0.2.2",
            Err(Denial::Client(1)),
        ),
        ("a cidr:0.0.0.0/0", "::1", Err(Denial::Client(1))),
        ("a cidr:::/0", HERE, Err(Denial::Client(1))),
        ("a cidr:2001:db8::/32", "2001:db8::1", Ok(())),
        ("a user:ann cidr:10.0.0.0/8", HERE, Err(Denial::Client(1))),
        (
            "a user:bea cidr:192.0.2.0/24",
            HERE,
            Err(Denial::User(1, Role::Admin)),
        ),
    ] {
        // No rule after it has a say.
        let settings = settings(&[line, "a"], Unmatched::Authenticated);
        let plan = plan(&settings, &request, Some(CLIENT));
        let judged = plan.admit(&user("ann", Role::Admin), Some(address(client)), &request);
        assert_eq!(judged, expected, "{line} {client}");
    }
}

#[test]
fn a_denial_names_the_rule() {
    let table = [
        (
            Denial::User(2, Role::User),
            "forward_auth rule 2 does not admit this user, of the role user",
        ),
        (
            Denial::Client(3),
            "forward_auth rule 3 does not admit this client address",
        ),
    ];
    for (denial, expected) in table {
        assert_eq!(denial.to_string(), expected);
    }
}

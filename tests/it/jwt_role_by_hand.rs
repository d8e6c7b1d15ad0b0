//! A role that a person gives, beside an issuer that decides roles.

use serde_json::json;

use crate::jwt_roles::{idp, jwt, put, role};
use crate::support::{Client, Idp, Server, eventually, now, start_with_issuers, start_with_owner};

/// How a person gives a role: whose client does it, who gets which.
type Give = fn(&Server, &Client, &str, &str);

const WAYS: [(&str, Give); 2] = [
    ("by the API", |_, client, id, role| {
        let body = json!({"role": role, "is_blocked": false, "auto_groups": []});
        client.put(&format!("/api/users/{id}"), body).ok();
    }),
    ("at the command line", |server, _, id, role| {
        server.run_command(&["user", "update", id, "--role", role]);
        eventually("the role is followed", || {
            (server.find_user(id)?["role"] == role).then_some(())
        });
    }),
];

/// The role of a user after a request with a JWT of these groups and this age.
fn role_by(server: &Server, idp: &Idp, id: &str, groups: &str, age: i64) -> String {
    let groups = match groups {
        "" => json!([]),
        _ => json!(groups),
    };
    role(&server.bearer(&jwt(idp, id, groups, age)))
}

#[test]
fn it_holds_against_every_jwt_issued_before_and_a_later_one_decides_again() {
    let home = idp("home");
    let server = start_with_issuers(&[&home]);
    for (number, (way, give)) in WAYS.into_iter().enumerate() {
        let id = &format!("user-{number}");
        let first = server.bearer(&jwt(&home, id, json!("admins"), 100));
        assert_eq!(role(&first), "admin");
        give(&server, &server.owner, id, "user");
        assert_eq!(role(&first), "user", "{way}");
        for age in [150, 100, 90, 60] {
            let by = role_by(&server, &home, id, "admins", age);
            assert_eq!(by, "user", "{way}: issued {age} s ago, never shown before");
        }
        // The clock of the issuer may be ahead.
        assert_eq!(
            role_by(&server, &home, id, "net", -5),
            "network_admin",
            "{way}"
        );
    }
}

#[test]
fn an_owner_who_gave_the_role_away_gets_none_by_a_jwt_issued_before() {
    let home = idp("home");
    for (way, give) in WAYS {
        let server = start_with_owner(&home, "ada");
        let old = server.bearer(&jwt(&home, "ada", json!("admins"), 100));
        assert_eq!(role(&old), "owner");
        let ann = server.bearer(&jwt(&home, "ann", json!("readers"), 100));
        role(&ann);
        give(&server, &server.owner, "ann", "owner");
        for groups in ["", "readers", "net"] {
            let by = role_by(&server, &home, "ada", groups, 90);
            assert_eq!(
                by, "admin",
                "{way}: what the transfer made them, {groups:?}"
            );
        }
        give(&server, &ann, "ada", "user");
        assert_eq!(role(&old), "user", "{way}");
        for age in [150, 90, 60] {
            let by = role_by(&server, &home, "ada", "admins", age);
            assert_eq!(by, "user", "{way}: {age}");
        }
        assert_eq!(
            role_by(&server, &home, "ada", "readers", -5),
            "auditor",
            "{way}"
        );
        assert_eq!(role(&ann), "owner", "{way}");
    }
}

#[test]
fn an_update_that_leaves_the_role_keeps_no_jwt_from_deciding() {
    let home = idp("home");
    let server = start_with_issuers(&[&home]);
    assert_eq!(role_by(&server, &home, "ann", "readers", 100), "auditor");
    put(&server, "ann", "auditor");
    assert_eq!(role_by(&server, &home, "ann", "admins", 110), "auditor");
    assert_eq!(role_by(&server, &home, "ann", "admins", 90), "admin");
}

#[test]
fn a_jwt_that_does_not_say_when_it_was_issued_passes_only_where_roles_are_not_decided() {
    let (with, without) = (idp("with"), Idp::new("without", "ES256"));
    let server = start_with_issuers(&[&with, &without]);
    let bearer = |idp: &Idp, id: &str| {
        let mut claims = idp.claims(id, json!({"groups": "admins"}));
        claims.as_object_mut().unwrap().remove("iat").unwrap();
        let header = idp.key.header().to_string();
        server.bearer(&idp.key.sign(&header, &claims.to_string()))
    };
    server.invite("bob", "without", "auditor");
    assert_eq!(role(&bearer(&without, "bob")), "auditor");
    // Of somebody new, and of somebody whose role is decided.
    for _ in 0..2 {
        let refused = bearer(&with, "ann").get("/api/users").refused(401);
        assert_eq!(refused, "JWT with an unusable iat");
        assert_eq!(role_by(&server, &with, "ann", "admins", 50), "admin");
    }
}

#[test]
fn of_two_jwts_of_one_second_the_lesser_role_counts() {
    let home = idp("home");
    let server = start_with_issuers(&[&home]);
    let issued = now() - 100;
    let orders = [["admins", "readers"], ["readers", "admins"]];
    for (number, order) in orders.into_iter().enumerate() {
        let id = format!("user-{number}");
        let clients = order.map(|groups| {
            let claims = json!({"groups": groups, "iat": issued});
            server.bearer(&home.jwt_with(&id, claims))
        });
        clients.iter().map(role).for_each(drop);
        let roles = clients.each_ref().map(role);
        assert_eq!(roles, ["auditor", "auditor"], "{order:?}");
    }
}

#[test]
fn the_cap_holds_for_who_is_in_no_group_too() {
    let home = idp("home").with("max_role = \"billing_admin\"");
    let server = start_with_issuers(&[&home]);
    for (number, groups) in ["", "others", "admins", "readers"].into_iter().enumerate() {
        server.invite(&format!("known-{number}"), "home", "admin");
        for id in ["known", "new"] {
            let id = format!("{id}-{number}");
            let by = role_by(&server, &home, &id, groups, 100);
            assert_eq!(by, "billing_admin", "{id}: {groups:?}");
        }
    }
}

#[test]
fn it_holds_against_the_jwt_that_decided_before_and_whose_clock_is_ahead() {
    let home = idp("home");
    let server = start_with_issuers(&[&home]);
    let ahead = server.bearer(&jwt(&home, "ann", json!("readers"), -20));
    assert_eq!(role(&ahead), "auditor");
    let (_, by_the_api) = WAYS[0];
    by_the_api(&server, &server.owner, "ann", "admin");
    assert_eq!(role(&ahead), "admin");
}

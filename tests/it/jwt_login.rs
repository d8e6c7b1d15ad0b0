//! Who a JWT is, and what a login does.

use std::sync::Barrier;
use std::time::Instant;

use netbird_auth::change::{self, Actor, Refused};
use netbird_auth::clock::Timestamp;
use netbird_auth::store;
use netbird_auth::user::{Credential, Role};
use serde_json::{Value, json};

use crate::index::{machine, new_token};
use crate::support::{
    Crowd, Idp, SOON, Server, eventually, human, id_of, service, start_with_issuers,
    start_with_owner, time_of,
};

const NEVER: &str = "0001-01-01T00:00:00Z";

/// How many rows of `users` have an id.
fn rows(server: &Server, id: &str) -> i64 {
    let sql = "SELECT count(*) FROM users WHERE id = ?1";
    let rows = server.database().query_row(sql, [id], |row| row.get(0));
    rows.unwrap()
}

/// Events by those whom they are about.
fn own(codes: &[&str], id: &str) -> Vec<(String, String)> {
    let events = codes.iter().map(|code| ((*code).to_owned(), id.to_owned()));
    events.collect()
}

#[test]
fn an_invited_user_is_active_and_seen_from_the_first_jwt_on_also_after_a_kill() {
    let home = Idp::new("home", "ES256");
    let server = start_with_issuers(&[&home]);
    server.invite("ann", "home", "admin");
    let invited = server.find_user("ann").unwrap();
    assert_eq!(invited["status"], "invited");
    assert_eq!(invited["last_login"], NEVER);
    let before = Timestamp::now();
    let ann = server.bearer(&home.jwt("ann"));
    let me = ann.get("/api/users/current").ok();
    let server = server.kill_and_restart();
    assert_eq!(me["status"], "active");
    assert_eq!(me["idp_id"], "home");
    assert_eq!(me["role"], "admin");
    let seen = time_of(&me["last_login"]).unix_timestamp_nanos() / 1000;
    assert!(seen >= i128::from(before.micros()), "{me}");
    let kept = server.find_user("ann").unwrap();
    assert_eq!(kept["status"], "active");
    assert_eq!(kept["last_login"], me["last_login"]);
    assert_eq!(server.told_of("ann")[1..], own(&["dashboard.login"], "ann"));
}

#[test]
fn an_unknown_user_is_refused_made_or_made_to_wait_as_the_issuer_says() {
    let no = Idp::new("no", "ES256");
    let yes = Idp::new("yes", "ES256").with("unknown_users = \"create\"");
    let wait = Idp::new("wait", "ES256").with("unknown_users = \"create_pending\"");
    let server = start_with_issuers(&[&no, &yes, &wait]);
    let get = |idp: &Idp, id: &str| server.bearer(&idp.jwt(id)).get("/api/users/current");

    assert_eq!(get(&no, "ann").refused(401), "unknown user");
    assert_eq!(rows(&server, "ann"), 0);

    let bob = get(&yes, "bob").ok();
    for (field, value) in [
        ("id", "bob"),
        ("role", "user"),
        ("issued", "api"),
        ("idp_id", "yes"),
        ("status", "active"),
    ] {
        assert_eq!(bob[field], value, "{field}");
    }
    assert_ne!(bob["last_login"], NEVER);
    let joined = own(&["user.join", "dashboard.login"], "bob");
    assert_eq!(server.told_of("bob"), joined);

    for id in ["cat", "dan"] {
        for _ in 0..2 {
            let reason = get(&wait, id).refused(403);
            assert_eq!(reason, "user is pending approval");
        }
        let pending = server.find_user(id).unwrap();
        assert_eq!(pending["is_blocked"], true);
        assert_eq!(pending["pending_approval"], true);
        assert_eq!(pending["last_login"], NEVER);
        assert_eq!(server.told_of(id), own(&["user.join"], id));
    }
    server.owner.post("/api/users/cat/approve", json!({})).ok();
    let cat = get(&wait, "cat").ok();
    assert_eq!(cat["pending_approval"], false);
    assert_ne!(cat["last_login"], NEVER);
    assert_eq!(server.told_of("cat")[2..], own(&["dashboard.login"], "cat"));
    server.owner.delete("/api/users/dan/reject").ok();
    assert_eq!(rows(&server, "dan"), 0);
    assert_eq!(get(&wait, "dan").refused(403), "user is pending approval");
}

#[test]
fn a_new_user_has_a_name_and_an_address_that_can_be_believed() {
    let create = |name: &str| Idp::new(name, "EdDSA").with("unknown_users = \"create\"");
    let plain = create("plain");
    let trusted = create("trusted").with("trust_email = true");
    let custom = create("custom")
        .with("name_claim = \"nick\"")
        .with("email_claim = \"mail\"");
    let server = start_with_issuers(&[&plain, &trusted, &custom]);
    let table: [(&Idp, Value, &str, &str); 11] = [
        (&plain, json!({"email_verified": true}), "Ann", "a@b.c"),
        (&plain, json!({"email_verified": "true"}), "Ann", ""),
        (&plain, json!({"email_verified": false}), "Ann", ""),
        (&plain, json!({"email_verified": 1}), "Ann", ""),
        (&plain, json!({}), "Ann", ""),
        (
            &plain,
            json!({"email_verified": true, "email": "no"}),
            "Ann",
            "",
        ),
        (&plain, json!({"name": ""}), "", ""),
        (&plain, json!({"name": 7}), "", ""),
        (&trusted, json!({}), "Ann", "a@b.c"),
        (&trusted, json!({"email_verified": false}), "Ann", "a@b.c"),
        (
            &custom,
            json!({"nick": "Nan", "mail": "n@b.c", "email_verified": true}),
            "Nan",
            "n@b.c",
        ),
    ];
    for (number, (idp, further, name, email)) in table.into_iter().enumerate() {
        let id = format!("user-{number}");
        let mut claims = json!({"name": "Ann", "email": "a@b.c"});
        let further = further.as_object().unwrap().clone();
        claims.as_object_mut().unwrap().extend(further);
        let jwt = idp.jwt_with(&id, claims);
        let me = server.bearer(&jwt).get("/api/users/current").ok();
        let name = if name.is_empty() { &id } else { name };
        assert_eq!(me["name"], name, "{number}");
        assert_eq!(me["email"], email, "{number}");
    }
}

#[test]
fn requests_of_a_new_user_at_once_make_one_user() {
    let home = Idp::new("home", "EdDSA").with("unknown_users = \"create\"");
    let server = start_with_issuers(&[&home]);
    for round in 0..10 {
        let id = format!("user-{round}");
        let (client, at_once) = (server.bearer(&home.jwt(&id)), Barrier::new(4));
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| {
                    at_once.wait();
                    assert_eq!(client.get("/api/users/current").ok()["id"], id);
                });
            }
        });
        let joined = own(&["user.join", "dashboard.login"], &id);
        assert_eq!(server.told_of(&id), joined);
        assert_eq!(rows(&server, &id), 1);
    }
}

#[test]
fn an_address_that_others_have_keeps_nobody_out() {
    let create = |name: &str| Idp::new(name, "EdDSA").with("unknown_users = \"create\"");
    let (home, work) = (create("home"), create("work"));
    let server = start_with_issuers(&[&home, &work]);
    let address = json!({"email": "ann@home.arpa", "email_verified": true});
    server.owner.post("/api/users", human("ann@home.arpa")).ok();
    for (idp, id) in [(&home, "ann"), (&work, "anna")] {
        let jwt = idp.jwt_with(id, address.clone());
        let me = server.bearer(&jwt).get("/api/users/current").ok();
        assert_eq!(me["email"], "ann@home.arpa");
    }
}

#[test]
fn an_id_that_is_not_the_issuers_own_is_unknown_to_it() {
    let home = Idp::new("home", "ES256").with("unknown_users = \"create\"");
    let work = Idp::new("work", "ES256");
    let crowd = Crowd::new();
    crowd.user("nobodys", "admin", false);
    crowd.jwt_user("of-home", "home", "admin", 3600);
    crowd.jwt_user("of-work", "work", "admin", 3600);
    crowd.user("machine", "admin", true);
    // No request makes this one.
    crowd.user("machine-of-home", "admin", true);
    let sql = "UPDATE users SET issuer = 'home' WHERE id = 'machine-of-home'";
    assert_eq!(crowd.database.execute(sql, ()).unwrap(), 1);
    let server = crowd.start_with_issuers(&[&home, &work]);
    let owner = server.owner_id.as_str();
    let strangers = ["nobodys", "machine", "machine-of-home", owner];
    let before = server.owner.get("/api/users").ok();
    for (idp, others) in [(&home, "of-work"), (&work, "of-home")] {
        for id in strangers.into_iter().chain([others]) {
            let answer = server.bearer(&idp.jwt(id)).get("/api/users/current");
            assert_eq!(answer.refused(401), "unknown user", "{id}");
            assert!(server.told_of(id).iter().all(|told| told.1 == "sys"));
        }
    }
    assert_eq!(
        server.owner.get("/api/users").ok(),
        before,
        "nobody was seen"
    );
    for (idp, own) in [(&home, "of-home"), (&work, "of-work")] {
        let me = server.bearer(&idp.jwt(own)).get("/api/users/current");
        assert_eq!(me.ok()["id"], own);
    }
}

#[test]
fn what_is_done_to_a_user_holds_for_the_next_request_with_their_jwt() {
    let home = Idp::new("home", "ES256");
    let server = start_with_issuers(&[&home]);
    server.invite("ann", "home", "user");
    let ann = server.bearer(&home.jwt("ann"));
    let get = || ann.get("/api/users/current");
    let put = |is_blocked: bool| {
        let body = json!({"role": "user", "is_blocked": is_blocked, "auto_groups": []});
        server.owner.put("/api/users/ann", body).ok();
    };
    for _ in 0..2 {
        get().ok();
        put(true);
        assert_eq!(get().refused(403), "user is blocked");
        put(false);
    }
    for (command, status) in [("block", 403), ("unblock", 200)] {
        server.run_command(&["user", command, "ann"]);
        let since = Instant::now();
        eventually(command, || (get().status == status).then_some(()));
        assert!(since.elapsed() < SOON, "{command}: {:?}", since.elapsed());
    }
    server.owner.delete("/api/users/ann").ok();
    assert_eq!(get().refused(401), "unknown user");
}

#[test]
fn with_a_jwt_one_makes_a_token_for_oneself_where_the_role_may() {
    let home = Idp::new("home", "ES256");
    let server = start_with_issuers(&[&home]);
    for (id, role) in [("ann", "network_admin"), ("bob", "user")] {
        server.invite(id, "home", role);
    }
    let body = json!({"name": "ci", "expires_in": 1});
    let create = |id: &str| {
        let path = format!("/api/users/{id}/tokens");
        server.bearer(&home.jwt(id)).post(&path, body.clone())
    };
    let made = create("ann").ok();
    let token = server.client(made["plain_token"].as_str().unwrap());
    assert_eq!(token.get("/api/users/current").ok()["id"], "ann");
    create("bob").refused(403);
    let told = server.told_of("ann");
    assert_eq!(told[2..], own(&["personal.access.token.create"], "ann"));
}

#[test]
fn nothing_is_changed_for_a_jwt_that_expired_since_the_door() {
    let folder = tempfile::tempdir().unwrap();
    let now = Timestamp::now();
    let admin = machine(Role::Admin);
    let made = store::create_database(&folder.path().join("test.db"), |database| {
        let admin = change::create_user(database, now, Actor::System, admin)?.value;
        let asked = |until: i64| {
            let until = Timestamp::from_micros(now.micros() + until);
            let actor = Actor::Caller(admin.number, Credential::Jwt(until));
            let user = change::create_user(database, now, actor, machine(Role::User)).map(drop);
            let token = change::create_token(database, now, actor, &admin.id, new_token());
            [user, token.map(drop)]
        };
        for until in [-1, 0] {
            for refused in asked(until) {
                assert!(matches!(refused, Err(Refused::JwtExpired)), "{refused:?}");
            }
        }
        assert!(asked(1).iter().all(Result::is_ok));
        Ok::<_, Refused>(())
    });
    made.unwrap();
}

#[test]
fn the_first_owner_is_a_jwt_user_where_the_configuration_says_who() {
    let home = Idp::new("home", "ES256").with("unknown_users = \"create\"");
    let server = start_with_owner(&home, "ada");
    let me = server
        .bearer(&home.jwt("ada"))
        .get("/api/users/current")
        .ok();
    assert_eq!(me["role"], "owner");
    assert_eq!(me["id"], "ada");
    assert_eq!(rows(&server, "ada"), 1);
    assert_eq!(server.owner_id, "ada");
}

#[test]
fn a_human_is_bound_to_the_named_issuer_or_the_first_and_a_machine_to_none() {
    let (home, work) = (Idp::new("home", "ES256"), Idp::new("work", "ES256"));
    let server = start_with_issuers(&[&home, &work]);
    let table = [
        (Value::Null, Some("home")),
        (json!(""), Some("home")),
        (json!("work"), Some("work")),
        (json!("home"), Some("home")),
        (json!("Home"), None),
        (json!("https://home.home.arpa"), None),
    ];
    for (number, (issuer, bound)) in table.into_iter().enumerate() {
        let mut body = human(&format!("a{number}@home.arpa"));
        body["issuer"] = issuer.clone();
        let made = server.owner.post("/api/users", body);
        match bound {
            Some(bound) => {
                let made = made.ok();
                assert_eq!(made["idp_id"], bound, "{issuer}");
                assert_eq!(made["status"], "invited");
                let idp = if bound == "home" { &home } else { &work };
                let jwt = idp.jwt(&id_of(&made));
                server.bearer(&jwt).get("/api/users/current").ok();
            }
            None => assert!(made.error(422).contains("issuer"), "{issuer}"),
        }
    }
    let mut body = service("ci");
    body["issuer"] = json!("work");
    let made = server.owner.post("/api/users", body).ok();
    assert_eq!(made.get("idp_id"), None);
}

#[test]
fn ownership_goes_to_an_invited_user_once_they_have_logged_in() {
    let home = Idp::new("home", "ES256");
    let server = start_with_issuers(&[&home]);
    server.invite("ann", "home", "admin");
    let give = || {
        let body = json!({"role": "owner", "is_blocked": false, "auto_groups": []});
        server.owner.put("/api/users/ann", body)
    };
    assert!(give().refused(403).contains("must be active"));
    server.bearer(&home.jwt("ann")).get("/api/users").ok();
    assert_eq!(give().ok()["role"], "owner");
}

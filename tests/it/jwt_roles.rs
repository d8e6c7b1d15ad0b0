//! Roles that an issuer decides.

use serde_json::{Value, json};

use crate::support::{
    Client, Idp, Server, SigningKey, netbird_auth, now, only_line, refused_start, service,
    start_with_issuers, start_with_owner, write_issuers,
};

pub fn idp(name: &str) -> Idp {
    Idp::new(name, "ES256")
        .with("unknown_users = \"create\"")
        .with("role_claim = \"groups\"")
        .with("role_map = { admins = \"admin\", net = \"network_admin\", readers = \"auditor\" }")
}

/// A token issued so many seconds ago.
pub fn jwt(idp: &Idp, id: &str, groups: Value, age: i64) -> String {
    idp.jwt_with(id, json!({"groups": groups, "iat": now() - age}))
}

pub fn role(client: &Client) -> String {
    let me = client.get("/api/users/current").ok();
    me["role"].as_str().unwrap().to_owned()
}

/// Who changed a user's role, each time.
fn decided(server: &Server, id: &str) -> Vec<String> {
    let told = server.told_of(id).into_iter();
    let roles = told.filter(|told| told.0 == "user.role.update");
    roles.map(|told| told.1).collect()
}

pub fn put(server: &Server, id: &str, role: &str) {
    let body = json!({"role": role, "is_blocked": false, "auto_groups": []});
    server.owner.put(&format!("/api/users/{id}"), body).ok();
}

#[test]
fn the_mightiest_role_of_the_groups_counts_up_to_the_cap() {
    let (home, capped) = (
        idp("home"),
        idp("capped").with("max_role = \"network_admin\""),
    );
    let server = start_with_issuers(&[&home, &capped]);
    let table = [
        (json!("admins"), "admin", "network_admin"),
        (json!("net"), "network_admin", "network_admin"),
        (json!("readers"), "auditor", "auditor"),
        (json!(["readers", "net"]), "network_admin", "network_admin"),
        (json!(["net", "admins", "x"]), "admin", "network_admin"),
        (json!([7, null, "readers"]), "auditor", "auditor"),
        (json!("others"), "user", "user"),
        (json!("Admins"), "user", "user"),
        (json!("admins net"), "user", "user"),
        (json!([]), "user", "user"),
        (json!(null), "user", "user"),
        (json!({"admins": "admins"}), "user", "user"),
        (json!([["admins"]]), "user", "user"),
        (json!("owner"), "user", "user"),
    ];
    // Of a new user, and of one who is an admin.
    for (number, (groups, wide, narrow)) in table.iter().enumerate() {
        for (idp, expected) in [(&home, wide), (&capped, narrow)] {
            let new = format!("{}-{number}", idp.name);
            for (id, before) in [(new.as_str(), None), ("ann", Some("admins"))] {
                let id = format!("{}-{id}", idp.name);
                let age = 1000 - 10 * number as i64;
                if let Some(before) = before {
                    role(&server.bearer(&jwt(idp, &id, json!(before), age)));
                }
                let client = server.bearer(&jwt(idp, &id, groups.clone(), age - 5));
                assert_eq!(role(&client), *expected, "{} {groups}", idp.name);
            }
        }
    }
    role(&server.bearer(&jwt(&home, "ann", json!("admins"), 10)));
    assert_eq!(role(&server.bearer(&home.jwt("ann"))), "user", "no claim");
}

#[test]
fn a_role_holds_for_the_very_request_that_brings_it() {
    let home = idp("home");
    let server = start_with_issuers(&[&home]);
    let create = |groups: &str, age: i64| {
        let client = server.bearer(&jwt(&home, "ann", json!(groups), age));
        client.post("/api/users", service("ci"))
    };
    create("admins", 100).ok();
    create("readers", 90).refused(403);
    create("admins", 80).ok();
    let machines = server.owner.get("/api/users?service_user=true").ok();
    assert_eq!(machines.as_array().unwrap().len(), 2);
    assert_eq!(decided(&server, "ann"), ["sys"; 3]);
}

#[test]
fn only_a_newer_jwt_decides_again_also_after_a_restart() {
    let home = idp("home");
    let mut server = start_with_issuers(&[&home]);
    server.invite("ann", "home", "admin");
    let owner = server.owner_id.clone();
    let same = jwt(&home, "ann", json!("admins"), 50);
    let is = |server: &Server, jwt: &str| role(&server.bearer(jwt));
    let of = |groups: &str, age: i64| jwt(&home, "ann", json!(groups), age);

    // The first one decides, whatever was given to the invited user.
    let none = jwt(&home, "ann", json!([]), 100);
    assert_eq!(is(&server, &none), "user");
    assert_eq!(is(&server, &same), "admin");
    put(&server, "ann", "auditor");
    for kill in [false, true] {
        assert_eq!(is(&server, &same), "auditor", "the same one");
        assert_eq!(is(&server, &of("admins", 60)), "auditor", "an older one");
        assert_eq!(is(&server, &none), "auditor");
        server = match kill {
            false => server.restart(),
            true => server.kill_and_restart(),
        };
    }
    // The clock of the issuer may be ahead.
    let newer = of("admins", -5);
    assert_eq!(is(&server, &newer), "admin");
    assert_eq!(is(&server, &of("readers", 45)), "admin");
    let server = server.kill_and_restart();
    assert_eq!(is(&server, &of("readers", 45)), "admin");
    put(&server, "ann", "user");
    assert_eq!(is(&server, &newer), "user");
    let expected = ["sys", "sys", &owner, "sys", &owner];
    assert_eq!(decided(&server, "ann"), expected);
}

#[test]
fn a_user_who_may_not_pass_gets_no_role_by_a_jwt() {
    let home = idp("home");
    let wait = idp("wait");
    let wait = Idp {
        settings: wait.settings.replace("\"create\"", "\"create_pending\""),
        ..wait
    };
    let server = start_with_issuers(&[&home, &wait]);
    role(&server.bearer(&jwt(&home, "ann", json!("readers"), 100)));
    let block = |is_blocked: bool| {
        let body = json!({"role": "auditor", "is_blocked": is_blocked, "auto_groups": []});
        server.owner.put("/api/users/ann", body).ok();
    };
    block(true);
    let newer = server.bearer(&jwt(&home, "ann", json!("admins"), 50));
    assert_eq!(newer.get("/api/users").refused(403), "user is blocked");
    assert_eq!(server.find_user("ann").unwrap()["role"], "auditor");
    block(false);
    assert_eq!(role(&newer), "admin");

    let bob = server.bearer(&jwt(&wait, "bob", json!("admins"), 50));
    assert_eq!(
        bob.get("/api/users").refused(403),
        "user is pending approval"
    );
    assert_eq!(server.find_user("bob").unwrap()["role"], "user");
    server.owner.post("/api/users/bob/approve", json!({})).ok();
    assert_eq!(role(&bob), "admin");
}

#[test]
fn a_user_blocked_or_deleted_while_their_jwt_waits_for_the_writer_gets_no_role() {
    let home = Idp {
        settings: idp("home").settings.replace("\"create\"", "\"reject\""),
        ..idp("home")
    };
    let server = start_with_issuers(&[&home]);
    let table = [
        ("ann", "UPDATE users SET is_blocked = 1 WHERE id = 'ann'"),
        ("bob", "DELETE FROM users WHERE id = 'bob'"),
    ];
    for (id, sql) in table {
        server.invite(id, "home", "user");
        role(&server.bearer(&jwt(&home, id, json!("readers"), 50)));
        let newer = server.bearer(&jwt(&home, id, json!("admins"), 10));
        let other = server.database();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let answer = std::thread::scope(|threads| {
            let answer = threads.spawn(|| newer.get("/api/users"));
            for _ in 0..20 {
                server.owner.get("/api/users").ok();
            }
            assert!(!answer.is_finished(), "it waits for the lock");
            other.execute_batch(sql).unwrap();
            other.execute_batch("COMMIT").unwrap();
            answer.join().unwrap()
        });
        match server.find_user(id) {
            Some(user) => {
                assert_eq!(answer.refused(403), "user is blocked");
                assert_eq!(user["role"], "auditor");
            }
            None => assert_eq!(answer.refused(401), "unknown user"),
        }
        assert_eq!(decided(&server, id), ["sys"]);
    }
}

#[test]
fn no_jwt_makes_an_owner_or_takes_the_role_from_one() {
    let home = idp("home");
    let server = start_with_owner(&home, "ada");
    for (groups, age) in [("readers", 100), ("admins", 90), ("others", 80)] {
        let ada = server.bearer(&jwt(&home, "ada", json!(groups), age));
        assert_eq!(role(&ada), "owner");
    }
    assert_eq!(decided(&server, "ada"), [""; 0]);
    // One who became it keeps it as well.
    role(&server.bearer(&jwt(&home, "ann", json!("readers"), 100)));
    put(&server, "ann", "owner");
    let ann = server.bearer(&jwt(&home, "ann", json!("readers"), 50));
    assert_eq!(role(&ann), "owner");
    let ada = server.bearer(&jwt(&home, "ada", json!("admins"), 50));
    assert_eq!(role(&ada), "admin");

    let table = [
        ("\"auditor\"", "\"owner\"", "role_map"),
        ("role_claim", "max_role = \"owner\"\nrole_claim", "max_role"),
    ];
    for (from, to, key) in table {
        let folder = tempfile::tempdir().unwrap();
        let wrong = Idp {
            settings: home.settings.replace(from, to),
            key: SigningKey::new("k", "ES256"),
            ..idp("home")
        };
        write_issuers(folder.path(), &[&wrong]);
        let output = refused_start(netbird_auth(folder.path()));
        assert_eq!(output.status.code(), Some(2));
        assert!(only_line(&output).contains(key));
    }
}

//! `/api/users/{user}`: changing, transferring, deleting, approving and rejecting.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::support::{Client, Crowd, Server, id_of, service};

fn put(client: &Client, id: &str, role: &str, is_blocked: bool) -> u16 {
    let body = json!({"role": role, "auto_groups": [], "is_blocked": is_blocked});
    client.put(&format!("/api/users/{id}"), body).status
}

fn all(server: &Server) -> Value {
    server.owner.get("/api/users").ok()
}

/// A user as everybody sees them.
fn user(server: &Server, id: &str) -> Option<Value> {
    let all = all(server);
    let found = all.as_array().unwrap().iter().find(|user| user["id"] == id);
    found.cloned()
}

#[test]
fn a_change_is_checked_in_the_order_of_the_contract() {
    let crowd = Crowd::new();
    let auditor = crowd.member("auditor", "auditor", false);
    crowd.user("ann", "user", false);
    let server = crowd.start();
    let auditor = server.client(&auditor);
    let good = r#"{"role":"user","auto_groups":[]}"#;
    for (id, body, auditor_gets, owner_gets) in [
        ("nobody", "{", 404, 404),
        ("nobody", good, 404, 404),
        ("ann", "", 400, 400),
        ("ann", "{", 400, 400),
        ("ann", "null", 400, 400),
        ("ann", "[]", 400, 400),
        ("ann", "1", 400, 400),
        ("ann", "{}", 400, 400),
        ("ann", r#"{"role":"user"}"#, 400, 400),
        ("ann", r#"{"role":"root"}"#, 400, 400),
        ("ann", r#"{"role":"root","auto_groups":null}"#, 400, 400),
        ("ann", r#"{"role":"root","auto_groups":[]}"#, 422, 422),
        ("ann", r#"{"role":"","auto_groups":[]}"#, 422, 422),
        ("ann", r#"{"auto_groups":[]}"#, 422, 422),
        ("ann", good, 403, 200),
        ("ann", r#"{"role":"uSER","auto_groups":[],"x":1}"#, 403, 200),
    ] {
        for (client, expected) in [(&auditor, auditor_gets), (&server.owner, owner_gets)] {
            let path = format!("/api/users/{id}");
            let answer = client.send("PUT", &path, &[], body.as_bytes());
            assert_eq!(answer.status, expected, "{id} {body}: {}", answer.text());
            if expected == 404 {
                assert!(answer.error(404).contains("not found"));
            }
        }
    }
}

#[test]
fn each_rule_for_changing_a_user_refuses_and_changes_nothing() {
    let crowd = Crowd::new();
    let admin = crowd.member("admin", "admin", false);
    let machine = crowd.member("machine", "admin", true);
    for id in ["human", "blocked", "pending", "invited"] {
        crowd.user(id, "user", false);
    }
    for id in ["blocked", "pending", "invited"] {
        crowd.mark(id, &format!("is_{id}"));
    }
    let server = crowd.start();
    let (admin, machine) = (server.client(&admin), server.client(&machine));
    let (owner, owner_id) = (&server.owner, server.owner_id.as_str());
    let before = all(&server);
    for (rule, client, id, role, is_blocked) in [
        ("own block", &admin, "admin", "admin", true),
        ("own block", &machine, "machine", "admin", true),
        ("own block", owner, owner_id, "owner", true),
        ("own role", &admin, "admin", "user", false),
        ("own role", &admin, "admin", "owner", false),
        ("own role", &machine, "machine", "auditor", false),
        ("own role", owner, owner_id, "admin", false),
        ("only an owner gives owner", &admin, "human", "owner", false),
        (
            "only an owner gives owner",
            &machine,
            "human",
            "owner",
            false,
        ),
        (
            "only an owner takes owner",
            &admin,
            owner_id,
            "admin",
            false,
        ),
        (
            "only an owner takes owner",
            &machine,
            owner_id,
            "user",
            false,
        ),
        ("an owner can't be blocked", &admin, owner_id, "owner", true),
        ("an owner can't be blocked", owner, "human", "owner", true),
        ("a machine can't own", owner, "machine", "owner", false),
        ("a new owner is active", owner, "blocked", "owner", false),
        ("a new owner is active", owner, "pending", "owner", false),
        ("a new owner is active", owner, "invited", "owner", false),
    ] {
        assert_eq!(put(client, id, role, is_blocked), 403, "{rule}: {id}");
        assert_eq!(all(&server), before, "{rule}: {id}");
    }
    // What only looks like one of them.
    for (client, id, role, is_blocked) in [
        (&admin, "admin", "admin", false),
        (&machine, "machine", "admin", false),
        (owner, owner_id, "owner", false),
        (&admin, owner_id, "owner", false),
        (&admin, "machine", "billing_admin", true),
        (&admin, "human", "admin", true),
    ] {
        assert_eq!(put(client, id, role, is_blocked), 200, "{id}");
    }
}

#[test]
fn a_change_puts_role_groups_and_block_in_place_and_answers_with_the_user() {
    let server = Server::start();
    let id = id_of(&server.owner.post("/api/users", service("ci")).ok());
    let path = format!("/api/users/{id}?account=other");
    for (body, role, groups, is_blocked) in [
        (
            json!({"role": "Auditor", "auto_groups": ["a", "b"], "is_blocked": true}),
            "auditor",
            json!(["a", "b"]),
            true,
        ),
        // A real client leaves is_blocked out, and that unblocks.
        (
            json!({"role": "admin", "auto_groups": ["b"]}),
            "admin",
            json!(["b"]),
            false,
        ),
        (
            json!({"role": "user", "auto_groups": [], "name": "not ours", "id": "x"}),
            "user",
            json!([]),
            false,
        ),
    ] {
        let answer = server.owner.put(&path, body).ok();
        let status = if is_blocked { "blocked" } else { "active" };
        assert_eq!(answer["role"], role);
        assert_eq!(answer["auto_groups"], groups);
        assert_eq!(answer["is_blocked"], is_blocked);
        assert_eq!(answer["status"], status);
        assert_eq!((&answer["name"], &answer["id"]), (&json!("ci"), &json!(id)));
        assert_eq!(user(&server, &id), Some(answer));
    }
}

#[test]
fn a_blocked_users_token_is_refused_from_the_answer_on_and_passes_again_when_unblocked() {
    let crowd = Crowd::new();
    let token = crowd.member("ci", "admin", true);
    let server = crowd.start();
    let client = server.client(&token);
    for _ in 0..5 {
        assert_eq!(put(&server.owner, "ci", "admin", true), 200);
        assert_eq!(client.get("/api/users").refused(403), "user is blocked");
        assert_eq!(put(&server.owner, "ci", "auditor", false), 200);
        assert_eq!(client.get("/api/users").status, 200);
        assert_eq!(client.post("/api/users", service("x")).status, 403);
    }
}

#[test]
fn who_makes_another_the_owner_becomes_admin() {
    let crowd = Crowd::new();
    let token = crowd.member("ann", "user", false);
    let server = crowd.start();
    let ann = server.client(&token);
    let body = json!({"role": "owner", "auto_groups": [], "is_blocked": false});
    let answer = server.owner.put("/api/users/ann", body).ok();
    assert_eq!(
        (&answer["role"], &answer["id"]),
        (&json!("owner"), &json!("ann"))
    );
    assert_eq!(server.owner.get("/api/users/current").ok()["role"], "admin");
    assert_eq!(ann.get("/api/users/current").ok()["role"], "owner");
    assert_eq!(put(&server.owner, &server.owner_id, "owner", false), 403);
    assert_eq!(put(&server.owner, "ann", "admin", false), 403);
    assert_eq!(put(&ann, &server.owner_id, "owner", false), 200, "and back");
    assert_eq!(server.owner.get("/api/users/current").ok()["role"], "owner");
}

#[test]
fn there_is_one_owner_at_every_moment_of_a_transfer() {
    let crowd = Crowd::new();
    let token = crowd.member("ann", "admin", false);
    let server = crowd.start();
    let ann = server.client(&token);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let database = server.database();
            let sql = "SELECT count(*) FROM users WHERE role = 'owner'";
            let mut seen = Vec::new();
            while !done.load(Ordering::Relaxed) {
                seen.push(
                    database
                        .query_row(sql, (), |row| row.get::<_, u32>(0))
                        .unwrap(),
                );
            }
            seen
        });
        for _ in 0..20 {
            assert_eq!(put(&server.owner, "ann", "owner", false), 200);
            assert_eq!(put(&ann, &server.owner_id, "owner", false), 200);
        }
        done.store(true, Ordering::Relaxed);
        let seen = watch.join().unwrap();
        assert!(seen.iter().all(|owners| *owners == 1), "{seen:?}");
    });
}

#[test]
fn of_two_transfers_at_once_one_is_refused() {
    let crowd = Crowd::new();
    for id in ["a", "b", "c", "d"] {
        crowd.user(id, "admin", false);
    }
    let server = crowd.start();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let racing =
            ["a", "b", "c", "d"].map(|id| scope.spawn(|| put(&server.owner, id, "owner", false)));
        racing.map(|thread| thread.join().unwrap()).into()
    });
    let passed = statuses.iter().filter(|status| **status == 200).count();
    assert_eq!(passed, 1, "{statuses:?}");
    assert!(
        statuses.iter().all(|status| [200, 403].contains(status)),
        "{statuses:?}"
    );
    let all = all(&server);
    let owners = all
        .as_array()
        .unwrap()
        .iter()
        .filter(|user| user["role"] == "owner");
    assert_eq!(owners.count(), 1);
}

#[test]
fn deleting_is_checked_in_the_order_of_the_contract() {
    let crowd = Crowd::new();
    let admin = crowd.member("admin", "admin", false);
    let reader = crowd.member("reader", "auditor", false);
    crowd.user("ann", "user", false);
    let server = crowd.start();
    let (admin, reader) = (server.client(&admin), server.client(&reader));
    let owner_id = server.owner_id.as_str();
    for (client, id, status) in [
        (&reader, "reader", 422),
        (&admin, "admin", 422),
        (&server.owner, owner_id, 422),
        (&reader, "nobody", 403),
        (&reader, "ann", 403),
        (&reader, owner_id, 403),
        (&admin, "nobody", 404),
        (&admin, owner_id, 403),
    ] {
        client.delete(&format!("/api/users/{id}")).error(status);
    }
    assert_eq!(all(&server).as_array().unwrap().len(), 4);
    assert_eq!(admin.delete("/api/users/ann").ok(), json!({}));
    let message = admin.delete("/api/users/ann").error(404);
    assert!(message.contains("not found"), "{message}");
}

#[test]
fn a_users_tokens_die_with_the_user_and_no_others() {
    let crowd = Crowd::new();
    let gone = crowd.member("gone", "admin", true);
    let (second, _) = crowd.token("gone", "second");
    let stays = crowd.member("stays", "admin", true);
    let server = crowd.start();
    let body = br#""""#;
    let answer = server.owner.send("DELETE", "/api/users/gone", &[], body);
    assert_eq!(answer.ok(), json!({}));
    for token in [gone, second] {
        let answer = server.client(&token).get("/api/users");
        assert_eq!(answer.refused(401), "unknown or revoked token");
    }
    server.client(&stays).get("/api/users").ok();
    server.owner.get("/api/users/gone/tokens").error(404);
    let sql = "SELECT count(*) FROM tokens";
    let left = server
        .database()
        .query_row(sql, (), |row| row.get::<_, u32>(0));
    assert_eq!(left.unwrap(), 2, "the owner's, and that of who stays");
}

#[test]
fn a_pending_user_is_let_in_or_deleted() {
    let crowd = Crowd::new();
    let reader = crowd.member("reader", "network_admin", false);
    let tokens = ["in", "out"].map(|id| {
        let token = crowd.member(id, "admin", false);
        crowd.mark(id, "is_pending");
        token
    });
    let server = crowd.start();
    let [let_in, left_out] = tokens.map(|token| server.client(&token));
    let reader = server.client(&reader);
    assert_eq!(user(&server, "in").unwrap()["pending_approval"], true);
    for (method, verb) in [("POST", "approve"), ("DELETE", "reject")] {
        for (client, id, status) in [
            (&reader, "nobody", 403),
            (&reader, "in", 403),
            (&let_in, "in", 403),
            (&server.owner, "nobody", 404),
            (&server.owner, "reader", 422),
        ] {
            let path = format!("/api/users/{id}/{verb}");
            client.send(method, &path, &[], b"").error(status);
        }
    }
    assert_eq!(
        let_in.get("/api/users").refused(403),
        "user is pending approval"
    );
    let path = "/api/users/in/approve?account=other";
    let answer = server.owner.send("POST", path, &[], br#""""#).ok();
    assert_eq!(answer["pending_approval"], false);
    assert_eq!(
        (&answer["id"], &answer["status"]),
        (&json!("in"), &json!("active"))
    );
    assert_eq!(user(&server, "in"), Some(answer));
    let_in.get("/api/users").ok();
    assert_eq!(server.owner.delete("/api/users/out/reject").ok(), json!({}));
    assert_eq!(user(&server, "out"), None);
    assert_eq!(
        left_out.get("/api/users").refused(401),
        "unknown or revoked token"
    );
    for (method, path, status) in [
        ("POST", "/api/users/in/approve", 422),
        ("DELETE", "/api/users/in/reject", 422),
        ("DELETE", "/api/users/out/reject", 404),
    ] {
        server.owner.send(method, path, &[], b"").error(status);
    }
}

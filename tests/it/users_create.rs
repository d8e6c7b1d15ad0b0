//! `POST /api/users`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Crowd, Server, human, id_of, service};

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

#[test]
fn making_a_user_is_checked_in_the_order_of_the_contract() {
    let crowd = Crowd::new();
    let auditor = crowd.member("auditor", "auditor", false);
    let server = crowd.start();
    let auditor = server.client(&auditor);
    server
        .owner
        .post("/api/users", human("taken@home.arpa"))
        .ok();
    let taken = with(human("new@home.arpa"), "id", json!("auditor"));
    // The body, what an owner gets, what an auditor gets, who may make nobody.
    for (body, owner_gets, auditor_gets) in [
        ("", 400, 400),
        ("{", 400, 400),
        ("null", 400, 400),
        ("[]", 400, 400),
        ("7", 400, 400),
        (r#""text""#, 400, 400),
        ("{}", 422, 422),
        (r#"{"role":null,"is_service_user":true}"#, 422, 422),
        (r#"{"role":"","is_service_user":true}"#, 422, 422),
        (r#"{"role":"root","is_service_user":true}"#, 422, 422),
        (
            r#"{"role":"owner","is_service_user":true,"name":"a"}"#,
            422,
            422,
        ),
        (
            r#"{"role":"OWNER","is_service_user":false,"name":"a","email":"a@home.arpa"}"#,
            422,
            422,
        ),
        (
            r#"{"role":"user","is_service_user":false,"email":"a@home.arpa"}"#,
            422,
            403,
        ),
        (
            r#"{"role":"user","is_service_user":false,"name":"","email":"a@home.arpa"}"#,
            422,
            403,
        ),
        (
            r#"{"role":"user","is_service_user":false,"name":"a"}"#,
            422,
            403,
        ),
        (r#"{"role":"user","name":"a","email":""}"#, 422, 403),
        (
            r#"{"role":"user","is_service_user":true,"name":"a\nb"}"#,
            422,
            403,
        ),
        (
            r#"{"role":"user","name":"a","email":"a@home.arpa","issuer":"nobody's"}"#,
            422,
            403,
        ),
        (&human("taken@home.arpa").to_string(), 409, 403),
        (&taken.to_string(), 409, 403),
        (&service("ci").to_string(), 200, 403),
    ] {
        for (client, expected) in [(&auditor, auditor_gets), (&server.owner, owner_gets)] {
            let answer = client.send("POST", "/api/users", &[], body.as_bytes());
            assert_eq!(answer.status, expected, "{body}: {}", answer.text());
            if expected != 200 {
                answer.error(expected);
            }
        }
    }
    let all = server.owner.get("/api/users").ok();
    assert_eq!(
        all.as_array().unwrap().len(),
        4,
        "what was refused made nobody"
    );
}

#[test]
fn names_are_kept_as_they_are_or_refused() {
    let server = Server::start();
    let longest = "é".repeat(127) + "x";
    for name in [
        "",
        " ",
        "👩‍🚀",
        "مرحبا \u{202e}abc",
        "<script>alert('&amp;')</script>",
        "\"quoted\\",
        &longest,
    ] {
        let made = server.owner.post("/api/users", service(name)).ok();
        assert_eq!(made["name"], name);
    }
    let without = json!({"role": "user", "is_service_user": true});
    let made = server.owner.post("/api/users", without).ok();
    assert_eq!(
        (&made["name"], &made["auto_groups"]),
        (&json!(""), &json!([]))
    );
    for name in [&"é".repeat(128), "a\0", "a\u{7f}", "a\u{85}", "\r\n"] {
        server.owner.post("/api/users", service(name)).error(422);
    }
}

#[test]
fn groups_are_judged_after_permission_and_told_of_by_their_fault() {
    let server = Server::start();
    let (auditor, _) = server.member("auditor", false);
    let long = "g".repeat(256);
    let many: Vec<String> = (0..257).map(|number| format!("g{number}")).collect();
    let made = server.owner.post("/api/users", service("ci")).ok();
    let path = format!("/api/users/{}", id_of(&made));
    for (groups, fault) in [
        (json!([""]), "a group id in auto_groups must not be empty"),
        (
            json!([long]),
            "a group id in auto_groups must be at most 255 bytes long",
        ),
        (json!(many), "auto_groups must hold at most 256 ids"),
    ] {
        let body = with(service("ci"), "auto_groups", groups.clone());
        let update = json!({"role": "user", "auto_groups": groups});
        auditor.post("/api/users", body.clone()).error(403);
        auditor.put(&path, update.clone()).error(403);
        assert_eq!(server.owner.post("/api/users", body).error(422), fault);
        assert_eq!(server.owner.put(&path, update).error(422), fault);
    }
    let body = with(service("ci"), "auto_groups", json!(many[..256]));
    server.owner.post("/api/users", body).ok();
}

#[test]
fn two_service_users_may_share_a_name_and_none_has_an_email() {
    let server = Server::start();
    server.owner.post("/api/users", human("ann@home.arpa")).ok();
    let made: Vec<Value> = ["ann@home.arpa", "ann@home.arpa", "", "no address"]
        .into_iter()
        .map(|email| {
            let body = with(service("twin"), "email", json!(email));
            server.owner.post("/api/users", body).ok()
        })
        .collect();
    for user in &made {
        assert_eq!(
            (&user["email"], &user["name"]),
            (&json!(""), &json!("twin"))
        );
    }
    assert_eq!(made.iter().map(id_of).collect::<BTreeSet<_>>().len(), 4);
}

#[test]
fn roles_are_read_in_any_case_and_shown_in_lower_case() {
    let server = Server::start();
    for role in ["admin", "network_admin", "auditor", "user", "billing_admin"] {
        for text in [
            role.to_uppercase(),
            role.to_owned(),
            role[..1].to_uppercase() + &role[1..],
        ] {
            let body = with(service("ci"), "role", json!(text));
            let made = server.owner.post("/api/users", body).ok();
            assert_eq!(made["role"], role, "{text}");
        }
    }
}

#[test]
fn a_humans_id_is_the_given_one_or_a_uuid() {
    let server = Server::start();
    let longest = "é".repeat(127) + "x";
    for (number, id) in [
        "google-oauth2|123456",
        "a/b",
        "100%",
        "%7C",
        "😀 مرحبا",
        "0b0d3c8e-4a6c-4b6b-9b1b-6f1f6a1f0001",
        &longest,
    ]
    .into_iter()
    .enumerate()
    {
        let body = with(human(&format!("{number}@home.arpa")), "id", json!(id));
        let made = server.owner.post("/api/users", body).ok();
        assert_eq!(
            (&made["id"], &made["status"]),
            (&json!(id), &json!("invited"))
        );
        let again = with(human("again@home.arpa"), "id", json!(id));
        server.owner.post("/api/users", again).error(409);
    }
    for id in ["current", "sys", "-", ".", "..", "a\nb", &"é".repeat(128)] {
        let body = with(human("new@home.arpa"), "id", json!(id));
        server.owner.post("/api/users", body).error(422);
    }
    let made = server.owner.post("/api/users", human("new@home.arpa")).ok();
    let parts: Vec<usize> = id_of(&made).split('-').map(str::len).collect();
    assert_eq!(parts, [8, 4, 4, 4, 12], "a UUID");
}

#[test]
fn unknown_fields_and_the_content_type_are_ignored() {
    let server = Server::start();
    let body = with(service("ci"), "unknown", json!({"deep": [null]})).to_string();
    for kind in ["text/plain", "application/xml", "nonsense"] {
        let headers = [("Content-Type", kind)];
        let answer = server
            .owner
            .send("POST", "/api/users", &headers, body.as_bytes());
        assert_eq!(answer.ok()["name"], "ci");
        let kind = answer.header("content-type");
        assert_eq!(kind, Some("application/json; charset=utf-8"));
    }
}

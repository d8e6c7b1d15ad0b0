//! Paths and methods that are wrong, and what every error has in common.

use netbird_auth::api::routes;
use serde_json::json;

use crate::bad_input::{ask, request, rows};
use crate::support::{Connection, Response, Server, fresh_token, id_of};

const XID: &str = "9m4e2mr0ui3e8a215n4g";

/// A path that fits a route's pattern.
fn fill(pattern: &str) -> String {
    pattern.replace("{user}", "nobody").replace("{token}", XID)
}

/// The form that every error has: JSON, a lower-case sentence, a request id.
#[track_caller]
fn assert_is_error(answer: &Response) -> String {
    let message = answer.error(answer.status);
    assert!(message.starts_with(char::is_lowercase), "{message}");
    assert!(!message.ends_with('.'), "{message}");
    assert_eq!(answer.header("x-request-id").unwrap().len(), 20);
    assert_eq!(answer.header("location"), None);
    message
}

#[test]
fn every_error_of_every_route_and_method_is_json_with_a_request_id() {
    let server = Server::start();
    let before = rows(&server);
    let mut connection = Connection::open(server.address);
    for (pattern, handled) in routes() {
        let path = fill(pattern);
        let handled: Vec<_> = handled.iter().map(|(method, ..)| method.as_str()).collect();
        for method in [
            "GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW",
        ] {
            println!("{method} {path}");
            let none = server.anonymous().send(method, &path, &[], b"{");
            let known = ask(
                &server,
                &mut connection,
                &request(&server, method, &path, "Content-Length: 1\r\n", b"{"),
            );
            if !handled.contains(&method) {
                for answer in [&none, &known] {
                    assert_eq!(answer.status, 405);
                    assert_eq!(assert_is_error(answer), "method not allowed");
                    let allowed = answer.header("allow").unwrap();
                    let allowed: Vec<_> = allowed.split(", ").collect();
                    assert!(handled.iter().all(|method| allowed.contains(method)));
                    assert_eq!(allowed.contains(&"HEAD"), handled.contains(&"GET"));
                }
            } else {
                for answer in [&none, &known] {
                    if answer.status != 200 {
                        assert_is_error(answer);
                    }
                }
                let is_open = !path.starts_with("/api/users") && path != "/api/events/audit";
                assert_eq!(none.status == 401, !is_open, "{}", none.status);
            }
        }
    }
    assert_eq!(rows(&server), before);
}

#[test]
fn an_unknown_path_is_404_before_any_credential() {
    let server = Server::start();
    let owner = server.owner_id.as_str();
    for path in [
        "/",
        "/api",
        "/api/",
        "/api/peers",
        "/api/users/",
        "/api/users//",
        "/api//users",
        "/API/users",
        "//api/users",
        "/api/users/current/",
        "/api/instance/",
        "/healthz/",
        "/api/users/x/tokens/",
        "/api/users//tokens",
        "/api/users/x/tokens/y/",
        "/api/users/x/tokens/y/z",
        "/api/users/../users/current/tokens/x/y",
        "/metrics",
        "/favicon.ico",
    ] {
        for client in [
            server.anonymous(),
            server.client(&fresh_token()),
            server.client("nonsense"),
            server.owner.clone(),
        ] {
            let answer = client.get(path);
            let message = assert_is_error(&answer);
            assert_eq!(answer.status, 404, "{path}");
            assert!(message.contains("not found"), "{message}");
        }
    }
    let slash = format!("/api/users/{owner}/tokens/");
    let body = json!({"name": "a", "expires_in": 1});
    assert!(
        server
            .owner
            .post(&slash, body)
            .error(404)
            .contains("not found")
    );
    server.owner.post("/api/users/", json!({})).error(404);
}

#[test]
fn an_id_that_cannot_be_one_is_400() {
    let server = Server::start();
    let replaced = make_human(&server, "\u{fffd}");
    let before = rows(&server);
    let mut connection = Connection::open(server.address);
    for id in [
        "%00",
        "a%00b",
        "%0d%0a",
        "a%0D%0Ab",
        "%09",
        "%1b",
        "%7f",
        "%c2%85",
        "%ff",
        "%FE",
        "a%80",
        "%c0%af",
        "%c1%81",
        "%e0%80%af",
        "%f0%80%80%af",
        "%ed%a0%80",
        "%f4%90%80%80",
        "%e2%82",
        "%",
        "%4",
        "a%",
        "%zz",
        "%4g",
        "%+1",
        "%%41",
        "%u0041",
        &"a".repeat(256),
        &"%61".repeat(256),
    ] {
        for (method, rest) in [
            ("PUT", ""),
            ("DELETE", ""),
            ("POST", "/approve"),
            ("DELETE", "/reject"),
            ("GET", "/tokens"),
            ("POST", "/tokens"),
        ] {
            let path = format!("/api/users/{id}{rest}");
            println!("{method} {path}");
            let body: &[u8] = br#"{"name":"a","expires_in":1,"role":"user","auto_groups":[]}"#;
            let length = format!("Content-Length: {}\r\n", body.len());
            let bytes = request(&server, method, &path, &length, body);
            let answer = ask(&server, &mut connection, &bytes);
            assert_eq!(answer.status, 400, "{}", answer.text());
            assert_is_error(&answer);
        }
    }
    assert_eq!(rows(&server), before);
    server.owner.delete(&format!("/api/users/{replaced}")).ok();
}

/// A human with an id of the test's choice; its percent-encoded form.
fn make_human(server: &Server, id: &str) -> String {
    let email = format!("{}@home.arpa", fresh_token());
    let body = json!({"id": id, "name": "n", "email": email, "role": "user"});
    assert_eq!(id_of(&server.owner.post("/api/users", body).ok()), id);
    id.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn every_spelling_of_an_id_is_that_user_and_no_other() {
    let server = Server::start();
    let table: &[(&str, &[&str])] = &[
        (
            "google-oauth2|1",
            &[
                "google-oauth2|1",
                "google-oauth2%7C1",
                "%67oogle-oauth2%7c1",
            ],
        ),
        ("a/b", &["a%2Fb", "%61%2fb"]),
        ("a%2Fb", &["a%252Fb", "a%252F%62"]),
        ("a%252Fb", &["a%25252Fb"]),
        ("a b", &["a%20b"]),
        ("a+b", &["a+b", "a%2Bb"]),
        ("A", &["A", "%41"]),
        ("a", &["a", "%61"]),
        ("é", &["%C3%A9", "%c3%a9"]),
        ("e\u{301}", &["e%CC%81"]),
        ("\u{fffd}", &["%EF%BF%BD"]),
        ("..%2f", &["..%252f"]),
        ("?#", &["%3F%23", "%3f%23"]),
        ("%ff", &["%25ff"]),
    ];
    for (id, _) in table {
        make_human(&server, id);
    }
    for (id, spellings) in table {
        for (count, spelling) in (1..).zip(*spellings) {
            let groups = json!([format!("g{count}")]);
            let body = json!({"role": "auditor", "auto_groups": groups});
            let path = format!("/api/users/{spelling}");
            let changed = server.owner.put(&path, body).ok();
            assert_eq!(changed["id"], *id, "{spelling}");
            let users = server.owner.get("/api/users").ok();
            let users = users.as_array().unwrap();
            let auditors: Vec<_> = users.iter().filter(|u| u["role"] == "auditor").collect();
            assert_eq!(auditors, [&changed]);
        }
        let body = json!({"role": "user", "auto_groups": []});
        server
            .owner
            .put(&format!("/api/users/{}", spellings[0]), body)
            .ok();
    }
    for (id, spellings) in table {
        let path = format!("/api/users/{}", spellings.last().unwrap());
        server.owner.delete(&path).ok();
        let users = server.owner.get("/api/users").text().to_owned();
        assert!(!users.contains(&format!("\"id\":{}", json!(id))));
        for spelling in *spellings {
            server
                .owner
                .delete(&format!("/api/users/{spelling}"))
                .error(404);
        }
    }
}

#[test]
fn a_token_id_that_cannot_be_one_changes_nothing() {
    let server = Server::start();
    let tokens = format!("/api/users/{}/tokens", server.owner_id);
    let before = rows(&server);
    for (id, status) in [
        ("%00", 400),
        ("%0d%0a", 400),
        ("x", 404),
        ("9M4E2MR0UI3E8A215N4G", 404),
        ("9m4e2mr0ui3e8a215n4w", 404),
        (XID, 404),
        ("a%2Fb", 404),
        ("%ff", 400),
        ("%c0%af", 400),
        ("%4", 400),
    ] {
        for method in ["GET", "DELETE"] {
            let answer = server
                .owner
                .send(method, &format!("{tokens}/{id}"), &[], b"");
            let message = assert_is_error(&answer);
            assert_eq!(answer.status, status, "{id}");
            assert_eq!(message.contains("not found"), status == 404);
        }
    }
    assert_eq!(rows(&server), before);
}

#[test]
fn head_is_get_without_the_body() {
    let server = Server::start();
    let mut connection = Connection::open(server.address);
    for (pattern, methods) in routes() {
        let path = fill(pattern).replace("nobody", &server.owner_id);
        let has_get = methods.iter().any(|(method, ..)| method == "GET");
        let head = request(&server, "HEAD", &path, "", b"");
        let head = ask(&server, &mut connection, &head);
        let get = server.owner.get(&path);
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"));
        assert!(head.header("x-request-id").is_some());
        assert_eq!(head.status == 405, !has_get);
        assert_eq!(head.body, b"");
    }
    for client in [server.anonymous(), server.client(&fresh_token())] {
        let head = client.send("HEAD", "/api/users", &[], b"");
        assert_eq!((head.status, head.body.len()), (401, 0));
        assert_eq!(head.headers_of("www-authenticate").len(), 2);
    }
}

//! The headers that every answer has, whatever it is.

use netbird_auth::api::routes;
use serde_json::json;

use crate::support::{Response, Server, VERIFY};

#[track_caller]
fn assert_guarded(what: &str, answer: &Response) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("content-security-policy", "frame-ancestors 'none'"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name} of {what}");
    }
    // Only over TLS does a browser believe it.
    assert_eq!(answer.header("strict-transport-security"), None, "{what}");
}

#[test]
fn every_route_answers_with_them_and_every_error_too() {
    let server = Server::start_with(&[
        ("CORS__ORIGINS", "https://dash.example"),
        ("LIMITS__HEADER_TIMEOUT", "1"),
        ("LIMITS__BODY_TIMEOUT", "1"),
    ]);
    let (machine, token) = (server.service_user("auditor"), "dc31sqe6ot5j970ce7v0");
    let known = routes().into_iter().map(|(path, _)| path);
    let paths = known.chain([VERIFY, "/nowhere", "/api", "/"]);
    let mut seen = std::collections::BTreeSet::new();
    for path in paths {
        let path = path.replace("{user}", &machine).replace("{token}", token);
        let long = format!("{path}?{}", "q".repeat(9000));
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
            for client in [&server.owner, &server.anonymous()] {
                for path in [&path, &long] {
                    let answer = client.send(method, path, &[], b"");
                    assert_guarded(&format!("{method} {path}"), &answer);
                    seen.insert(answer.status);
                }
            }
        }
        let preflight = [
            ("Origin", "https://dash.example"),
            ("Access-Control-Request-Method", "PUT"),
        ];
        let answer = server.anonymous().send("OPTIONS", &path, &preflight, b"");
        assert_guarded(&format!("a preflight of {path}"), &answer);
        seen.insert(answer.status);
    }
    let body = vec![b' '; 100_000];
    let large = server.owner.send("POST", "/api/users", &[], &body);
    let unread = server.anonymous().raw(b"GET / HTTP/1.1\r\n").unwrap();
    let head = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(20_000));
    let head = server.anonymous().raw(head.as_bytes()).unwrap();
    let wrong = server.owner.post(
        "/api/users",
        json!({"role": "king", "is_service_user": true}),
    );
    for answer in [large, unread, head, wrong] {
        assert_guarded("an answer of the door", &answer);
        seen.insert(answer.status);
    }
    let expected = [
        200, 204, 400, 401, 403, 404, 405, 408, 412, 413, 414, 422, 431,
    ];
    let missing: Vec<u16> = expected
        .into_iter()
        .filter(|status| !seen.contains(status))
        .collect();
    assert!(missing.is_empty(), "not seen: {missing:?}, seen: {seen:?}");
}

//! Browsers of other origins.

use serde_json::json;

use crate::support::{Response, Server, fresh_token};

const DASHBOARD: &str = "https://dash.home.arpa";
const OTHER: &str = "http://localhost:3000";
const ORIGINS: (&str, &str) = (
    "CORS__ORIGINS",
    "https://dash.home.arpa,http://localhost:3000",
);
const STRANGERS: [&str; 10] = [
    "https://evil.example",
    "null",
    "",
    "*",
    "http://dash.home.arpa",
    "https://dash.home.arpa:8443",
    "https://dash.home.arpa/",
    "https://dash.home.arpa.evil.example",
    "https://DASH.home.arpa",
    "https://dash.home.arpa, http://localhost:3000",
];
const PATHS: [&str; 8] = [
    "/api/users",
    "/api/users/current",
    "/api/users/nobody/tokens",
    "/api/users/%ff",
    "/api/setup",
    "/healthz",
    "/nowhere",
    "/api/users/",
];

fn preflight(server: &Server, path: &str, origin: &str, more: &[(&str, &str)]) -> Response {
    let mut headers = vec![
        ("Origin", origin),
        ("Access-Control-Request-Method", "DELETE"),
        (
            "Access-Control-Request-Headers",
            "authorization,content-type",
        ),
    ];
    headers.extend(more);
    server.anonymous().send("OPTIONS", path, &headers, b"")
}

fn allow_headers(answer: &Response) -> Vec<&str> {
    let names = answer.headers.iter().map(|(name, _)| name.as_str());
    names
        .filter(|name| name.starts_with("access-control-"))
        .collect()
}

/// Whether a comma-separated header has a word, in any case.
fn lists(answer: &Response, header: &str, word: &str) -> bool {
    let value = answer.header(header).unwrap_or_default();
    value
        .split(',')
        .any(|item| item.trim().eq_ignore_ascii_case(word))
}

#[test]
fn a_preflight_is_204_on_any_path_and_asks_for_no_credential() {
    for server in [Server::start(), Server::start_with(&[ORIGINS])] {
        let unknown = format!("Token {}", fresh_token());
        for path in PATHS {
            for origin in [DASHBOARD, OTHER, "https://evil.example", "null"] {
                for more in [&[][..], &[("Authorization", unknown.as_str())]] {
                    let answer = preflight(&server, path, origin, more);
                    assert_eq!(answer.status, 204, "{path} {origin}");
                    assert_eq!(answer.body, b"");
                    assert_eq!(answer.header("x-request-id").unwrap().len(), 20);
                    assert_eq!(answer.header("www-authenticate"), None);
                }
            }
        }
    }
}

#[test]
fn a_preflight_of_a_configured_origin_gets_the_allow_headers() {
    let server = Server::start_with(&[ORIGINS]);
    for path in PATHS {
        for origin in [DASHBOARD, OTHER] {
            let answer = preflight(&server, path, origin, &[]);
            assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
            for method in ["GET", "POST", "PUT", "DELETE"] {
                assert!(lists(&answer, "access-control-allow-methods", method));
            }
            for header in ["Authorization", "Content-Type"] {
                assert!(lists(&answer, "access-control-allow-headers", header));
            }
            assert!(lists(&answer, "vary", "Origin"));
            // A token in a header needs no cookies.
            assert_eq!(answer.header("access-control-allow-credentials"), None);
        }
    }
}

#[test]
fn other_origins_get_no_allow_header_from_any_answer() {
    let server = Server::start_with(&[ORIGINS]);
    for origin in STRANGERS {
        let answer = preflight(&server, "/api/users", origin, &[]);
        assert_eq!(answer.status, 204, "{origin:?}");
        assert_eq!(allow_headers(&answer), [""; 0], "{origin:?}");
        assert!(lists(&answer, "vary", "Origin"));
        for client in [&server.owner, &server.anonymous()] {
            let answer = client.send("GET", "/api/users", &[("Origin", origin)], b"");
            assert_eq!(allow_headers(&answer), [""; 0], "{origin:?}");
            assert!(lists(&answer, "vary", "Origin"));
        }
    }
    let answer = server.owner.get("/api/users");
    assert_eq!(allow_headers(&answer), [""; 0]);
    assert!(lists(&answer, "vary", "Origin"));
}

#[test]
fn answers_and_errors_can_be_read_by_a_configured_origin() {
    let server = Server::start_with(&[ORIGINS]);
    let (user, _) = server.member("user", false);
    let body = json!({"name": "", "expires_in": 1}).to_string();
    let tokens = format!("/api/users/{}/tokens", server.owner_id);
    let large = vec![b' '; 64 * 1024 + 1];
    let none = server.anonymous();
    let owner = &server.owner;
    for (client, method, path, body, status) in [
        (owner, "GET", "/api/users", b"".as_slice(), 200),
        (&none, "GET", "/api/instance", b"", 200),
        (&none, "GET", "/healthz", b"", 200),
        (owner, "POST", &tokens, b"{", 400),
        (&none, "GET", "/api/users", b"", 401),
        (&user, "GET", "/api/events/audit", b"", 403),
        (owner, "DELETE", "/api/users/nobody", b"", 404),
        (&none, "GET", "/nowhere", b"", 404),
        (owner, "PATCH", "/api/users", b"", 405),
        (&none, "OPTIONS", "/api/users", b"", 405),
        (&none, "POST", "/api/setup", b"{}", 412),
        (owner, "POST", &tokens, &large, 413),
        (owner, "POST", &tokens, body.as_bytes(), 422),
    ] {
        let answer = client.send(method, path, &[("Origin", DASHBOARD)], body);
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some(DASHBOARD),
            "{method} {path}"
        );
        assert!(lists(&answer, "vary", "Origin"));
        assert!(lists(
            &answer,
            "access-control-expose-headers",
            "X-Request-Id"
        ));
    }
}

#[test]
fn no_origin_is_allowed_unless_the_configuration_names_it() {
    let server = Server::start();
    for origin in [DASHBOARD, "null", "http://127.0.0.1:8080"] {
        let answer = preflight(&server, "/api/users", origin, &[]);
        assert_eq!(answer.status, 204);
        assert_eq!(allow_headers(&answer), [""; 0]);
        let answer = server
            .owner
            .send("GET", "/api/users", &[("Origin", origin)], b"");
        answer.ok();
        assert_eq!(allow_headers(&answer), [""; 0]);
    }
}

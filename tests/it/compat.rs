//! `[compat]`: NetBird's own words, where its clients compare them.

use serde_json::{Value, json};

use crate::credentials::{ask, block, expire, unused_token};
use crate::support::{Client, Response, Server, fresh_token};

fn netbird_server() -> Server {
    Server::start_with(&[("COMPAT__NETBIRD_MESSAGES", "true")])
}

#[track_caller]
fn assert_netbird(answer: &Response, status: u16, message: &str) {
    assert_eq!(answer.error(status), message);
    assert!(answer.json()["reason"].is_string());
    assert!(!answer.headers_of("www-authenticate").is_empty());
}

#[test]
fn netbirds_own_words_are_used_where_the_configuration_asks() {
    let server = netbird_server();
    let (blocked, user, _) = unused_token(&server, "user");
    block(&server, &user, true);
    let (expired, ..) = unused_token(&server, "user");
    expire(&server, &expired);
    let (human, own) = server.member("user", false);
    let none = "no valid authentication provided";
    let invalid = "token invalid";
    let table: &[(&[&str], u16, &str)] = &[
        (&[], 401, none),
        (&["Basic b3duZXI6c2VjcmV0"], 401, none),
        (&[&format!("Token {}", fresh_token())], 401, invalid),
        (&["Token nbp_"], 401, invalid),
        (&["Bearer eyJhbGciOiJub25lIn0.e30."], 401, invalid),
        (&["Token a", "Token b"], 401, invalid),
        (&[&format!("Token {expired}")], 401, "token expired"),
        (&[&format!("Token {blocked}")], 403, "user is blocked"),
    ];
    for (values, status, message) in table {
        assert_netbird(&ask(&server, values), *status, message);
    }
    let tokens = format!("/api/users/{own}/tokens");
    let body = json!({"name": "a", "expires_in": 1});
    let post = |client: &Client, body: &Value| client.post(&tokens, body.clone());
    assert_netbird(&post(&human, &body), 403, "permission denied");
    let answer = post(&server.owner, &body);
    assert_netbird(&answer, 403, "admin role required to perform this action");
    assert_eq!(server.owner.delete("/api/users/nobody").error(404), {
        "user not found"
    });
}

#[test]
fn a_header_without_a_scheme_is_no_valid_authentication_in_netbirds_words() {
    let server = netbird_server();
    for value in ["", &fresh_token()] {
        let answer = ask(&server, &[value]);
        assert_netbird(&answer, 401, "no valid authentication provided");
    }
}

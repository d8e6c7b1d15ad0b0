//! The `Authorization` header, and how a refusal is told.

use serde_json::json;

use crate::support::{Response, Server, eventually, fresh_token};

const USERS: &str = "/api/users";
const UNKNOWN: &str = "unknown or revoked token";

/// Sends header values as they are, each in an `Authorization` line of its own.
pub fn ask(server: &Server, values: &[&str]) -> Response {
    let headers: Vec<_> = values
        .iter()
        .map(|value| ("Authorization", *value))
        .collect();
    server.anonymous().send("GET", USERS, &headers, b"")
}

/// A token of a service user of its own that was never used, its user and its path.
pub fn unused_token(server: &Server, role: &str) -> (String, String, String) {
    let user = server.service_user(role);
    let tokens = format!("{USERS}/{user}/tokens");
    let body = json!({"name": "unused", "expires_in": 1});
    let made = server.owner.post(&tokens, body).ok();
    let id = made["personal_access_token"]["id"].as_str().unwrap();
    let plain = made["plain_token"].as_str().unwrap().to_owned();
    (plain, user, format!("{tokens}/{id}"))
}

pub fn block(server: &Server, user: &str, is_blocked: bool) {
    let body = json!({"role": "user", "auto_groups": [], "is_blocked": is_blocked});
    let user = server.owner.put(&format!("{USERS}/{user}"), body).ok();
    assert_eq!(user["is_blocked"], is_blocked);
}

/// Lets a token's life be over, and waits until the server knows.
pub fn expire(server: &Server, token: &str) {
    let hash = blake3::hash(token.as_bytes());
    let rows = server.database().execute(
        "UPDATE tokens SET expires_at = created_at WHERE hash = ?1",
        [hash.as_bytes().as_slice()],
    );
    assert_eq!(rows, Ok(1));
    eventually("the token is expired", || {
        (server.client(token).get(USERS).status != 200).then_some(())
    });
}

/// Two challenges and a body, all of them exact.
#[track_caller]
fn assert_unauthorized(answer: &Response, reason: &str) {
    assert_eq!(answer.error(401), "unauthorized");
    assert_eq!(
        answer.json(),
        json!({"message": "unauthorized", "code": 401, "reason": reason})
    );
    let bearer = match reason {
        // RFC 6750 §3.1: no error code where none was shown.
        "missing credentials" => {
            format!("Bearer realm=\"netbird-auth\", error_description=\"{reason}\"")
        }
        reason => format!(
            "Bearer realm=\"netbird-auth\", error=\"invalid_token\", error_description=\"{reason}\""
        ),
    };
    assert_eq!(
        answer.headers_of("www-authenticate"),
        [bearer.as_str(), "Token realm=\"netbird-auth\""]
    );
    assert_eq!(answer.header("x-request-id").unwrap().len(), 20);
}

#[track_caller]
fn assert_forbidden(answer: &Response, reason: &str) {
    assert_eq!(answer.error(403), "forbidden");
    assert_eq!(
        answer.json(),
        json!({"message": "forbidden", "code": 403, "reason": reason})
    );
    let expected = format!(
        "Bearer realm=\"netbird-auth\", error=\"insufficient_scope\", error_description=\"{reason}\""
    );
    let challenges = answer.headers_of("www-authenticate");
    assert!(challenges.contains(&expected.as_str()), "{challenges:?}");
}

/// All that an answer says, but for what differs between any two.
fn constant_part(answer: &Response) -> String {
    let mut headers: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| !["x-request-id", "date"].contains(&name.as_str()))
        .collect();
    headers.sort_by_key(|(name, _)| name);
    format!("{} {headers:?} {}", answer.status, answer.text())
}

/// No six bytes in a row of a credential stand in an answer.
#[track_caller]
fn assert_no_echo(answer: &Response, value: &str) {
    let answer = format!("{:?} {}", answer.headers, answer.text());
    let credential = match value.trim().split_once(' ') {
        Some((_, credential)) => credential,
        None if ["Token", "Bearer"].contains(&value.trim()) => "",
        None => value,
    };
    let parts = credential.as_bytes().windows(6).take(2000);
    for part in parts.filter(|part| part.iter().all(u8::is_ascii_graphic)) {
        let part = str::from_utf8(part).unwrap();
        assert!(!answer.contains(part), "{part} in {answer}");
    }
}

#[test]
fn a_token_is_believed_in_both_schemes_in_any_case_with_white_space_around() {
    let server = Server::start();
    let owner = server.owner.authorization.clone().unwrap();
    let token = owner.strip_prefix("Token ").unwrap();
    for scheme in ["Token", "token", "TOKEN", "tOkEn", "Bearer", "bearer"] {
        for (before, after) in [("", ""), ("  ", " "), ("\t", " \t")] {
            let value = format!("{before}{scheme} {token}{after}");
            let answer = ask(&server, &[&value]);
            assert_eq!(answer.status, 200, "{before:?}{scheme}{after:?}");
            assert!(answer.headers_of("www-authenticate").is_empty());
        }
    }
}

#[test]
fn every_bad_header_is_refused_with_its_reason_and_without_an_echo() {
    let server = Server::start();
    let owner = server.owner.authorization.clone().unwrap();
    let token = owner.strip_prefix("Token ").unwrap();
    let other = fresh_token();
    let (revoked, _, path) = unused_token(&server, "user");
    server.owner.delete(&path).ok();
    let (expired, ..) = unused_token(&server, "user");
    expire(&server, &expired);
    let (gone, user, _) = unused_token(&server, "user");
    server.owner.delete(&format!("{USERS}/{user}")).ok();
    let last = if token.ends_with('0') { "1" } else { "0" };
    let misspelled = format!("{}{last}", &token[..39]);
    let jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl";
    let long = "nbp_".to_owned() + &"x".repeat(15 * 1024);

    let missing = "missing credentials";
    let header = "malformed authorization header";
    let scheme = "unknown authorization scheme";
    let malformed = "malformed token";
    let checksum = "bad token checksum";
    let doubled = "more than one authorization header";
    let table: &[(&[&str], &str)] = &[
        (&[], missing),
        (&[""], header),
        (&[" "], header),
        (&["Token"], header),
        (&["Token "], header),
        (&["Bearer"], header),
        (&[token], header),
        (&[&format!("Token  {token}")], header),
        (&[&format!("Token\t{token}")], header),
        (&[&format!("Token {token} x")], header),
        (&[&format!("Token {token}, Token {token}")], header),
        (&["Bearer c2VjcmV0LW9wYXF1ZQ"], header),
        (&["Basic b3duZXI6c2VjcmV0"], scheme),
        (&[&format!("Tokens {token}")], scheme),
        (&[&format!("Token: {token}")], scheme),
        (&[&format!("Negotiate {token}")], scheme),
        (&[&owner, &owner], doubled),
        (&[&owner, ""], doubled),
        (&["", &owner], doubled),
        (&["Bearer nbp_"], malformed),
        (&["Token nbp_"], malformed),
        (&[&format!("Token {token}0")], malformed),
        (&[&format!("Token {}", &token[..39])], malformed),
        (&[&owner.replace("nbp_", "NBP_")], malformed),
        (&[&owner.replace("nbp_", "nbq_")], malformed),
        (&[&format!("Token {}é", &token[..38])], malformed),
        (&[&format!("Token {}-", &token[..39])], malformed),
        (&[&format!("Token {jwt}")], malformed),
        (&[&format!("Token {long}")], malformed),
        (&[&format!("Bearer {long}")], malformed),
        (&[&long], header),
        (&[&format!("Token {misspelled}")], checksum),
        (&[&format!("Bearer {misspelled}")], checksum),
        (&[&format!("Token {other}")], UNKNOWN),
        (&[&format!("Bearer {other}")], UNKNOWN),
        (&[&format!("Token {revoked}")], UNKNOWN),
        (&[&format!("Bearer {revoked}")], UNKNOWN),
        (&[&format!("Token {gone}")], UNKNOWN),
        (&[&format!("Token {expired}")], "expired token"),
        (&[&format!("Bearer {expired}")], "expired token"),
        (&[&format!("Bearer {jwt}")], "unknown issuer"),
    ];
    for (values, reason) in table {
        let answer = ask(&server, values);
        let shown: Vec<_> = values.iter().map(|v| v.get(..60).unwrap_or(v)).collect();
        println!("{shown:?}: {}", String::from_utf8_lossy(&answer.body));
        assert_unauthorized(&answer, reason);
        for value in *values {
            assert_no_echo(&answer, value);
        }
    }
    assert_eq!(ask(&server, &[&owner]).status, 200);
}

#[test]
fn an_unknown_token_and_a_revoked_one_get_the_same_answer() {
    let server = Server::start();
    let (revoked, user, path) = unused_token(&server, "admin");
    assert_eq!(server.client(&revoked).get(USERS).status, 200);
    server.owner.delete(&path).ok();
    let body = json!({"name": "a", "expires_in": 1}).to_string();
    for (method, path) in [
        ("GET", USERS.to_owned()),
        ("GET", format!("{USERS}/{user}/tokens")),
        ("POST", format!("{USERS}/{user}/tokens")),
        ("DELETE", path),
        ("GET", "/api/events/audit".to_owned()),
    ] {
        let send = |token: &str| {
            server
                .client(token)
                .send(method, &path, &[], body.as_bytes())
        };
        let (revoked, unknown) = (send(&revoked), send(&fresh_token()));
        assert_unauthorized(&revoked, UNKNOWN);
        assert_eq!(constant_part(&revoked), constant_part(&unknown));
    }
}

#[test]
fn a_refusal_of_somebody_known_has_its_reason() {
    let server = Server::start();
    let (user, own) = server.member("user", false);
    let body = json!({"name": "a", "expires_in": 1});
    let answer = user.post(&format!("{USERS}/{own}/tokens"), body.clone());
    assert_forbidden(&answer, "role user may not create pats");
    let answer = user.get("/api/events/audit");
    assert_forbidden(&answer, "role user may not read events");
    let (service, _) = server.member("admin", true);
    let answer = service.get("/api/users/current");
    assert_forbidden(&answer, "service users have no current user");
    let reason = server
        .owner
        .post(&format!("{USERS}/{own}/tokens"), body)
        .refused(403);
    assert!(reason.contains("tokens are for their own user"), "{reason}");
}

#[test]
fn a_blocked_user_passes_nothing_and_passes_again_at_once_when_unblocked() {
    let server = Server::start();
    let (token, user, path) = unused_token(&server, "user");
    let client = server.client(&token);
    let tokens = format!("{USERS}/{user}/tokens");
    for _ in 0..3 {
        block(&server, &user, true);
        for path in [USERS, "/api/users/current", "/api/events/audit", &tokens] {
            assert_forbidden(&client.get(path), "user is blocked");
        }
        let bearer = ask(&server, &[&format!("Bearer {token}")]);
        assert_forbidden(&bearer, "user is blocked");
        block(&server, &user, false);
        client.get(USERS).ok();
    }
    server.owner.delete(&path).ok();
    assert_unauthorized(&client.get(USERS), UNKNOWN);
    block(&server, &user, true);
    assert_unauthorized(&client.get(USERS), UNKNOWN);
}

#[test]
fn a_pending_user_passes_nothing() {
    let server = Server::start();
    let (token, user, _) = unused_token(&server, "admin");
    let rows = server
        .database()
        .execute("UPDATE users SET is_pending = 1 WHERE id = ?1", [&user]);
    assert_eq!(rows, Ok(1));
    let answer = eventually("the user is pending", || {
        let answer = server.client(&token).get(USERS);
        (answer.status != 200).then_some(answer)
    });
    assert_forbidden(&answer, "user is pending approval");
    server
        .owner
        .post(&format!("{USERS}/{user}/approve"), json!({}))
        .ok();
    server.client(&token).get(USERS).ok();
}

#[test]
fn a_refused_token_is_not_marked_as_used() {
    let server = Server::start();
    let (blocked, user, blocked_path) = unused_token(&server, "user");
    let (expired, _, expired_path) = unused_token(&server, "user");
    block(&server, &user, true);
    let hash = blake3::hash(expired.as_bytes());
    server
        .database()
        .execute(
            "UPDATE tokens SET expires_at = created_at WHERE hash = ?1",
            [hash.as_bytes().as_slice()],
        )
        .unwrap();
    let server = server.restart();
    for _ in 0..3 {
        assert_eq!(server.client(&blocked).get(USERS).status, 403);
        assert_eq!(server.client(&expired).get(USERS).status, 401);
        let wrong = format!("{}~", &expired[..39]);
        assert_eq!(server.client(&wrong).get(USERS).status, 401);
    }
    for path in [&blocked_path, &expired_path] {
        assert_eq!(server.owner.get(path).ok().get("last_used"), None);
    }
    block(&server, &user, false);
    server.client(&blocked).get(USERS).ok();
    assert!(server.owner.get(&blocked_path).ok()["last_used"].is_string());
    let server = server.restart();
    assert!(server.owner.get(&blocked_path).ok()["last_used"].is_string());
    assert_eq!(server.owner.get(&expired_path).ok().get("last_used"), None);
}

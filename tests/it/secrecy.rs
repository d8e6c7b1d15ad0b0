//! A token is in the answer that makes it, and nowhere else.

use std::path::Path;

use serde_json::json;

use crate::support::{Client, Connection, Server, fresh_token};

const LOUD: [(&str, &str); 2] = [("LOG__LEVEL", "trace"), ("METRICS__LISTEN", "127.0.0.1:0")];

/// The 30 secret characters.
fn secret(token: &str) -> &str {
    &token[4..34]
}

/// What is found of secrets in bytes, by where it was found.
fn assert_absent(place: &str, bytes: &[u8], tokens: &[String]) {
    for token in tokens {
        let secret = secret(token).as_bytes();
        let at = bytes.windows(secret.len()).position(|part| part == secret);
        let shown = at.map(|at| {
            let from = bytes[..at].iter().rposition(|byte| *byte == b'\n');
            let line = bytes[from.map_or(0, |from| from + 1)..].split(|byte| *byte == b'\n');
            String::from_utf8_lossy(line.into_iter().next().unwrap_or_default()).into_owned()
        });
        assert_eq!(shown, None, "a secret stands in {place}");
    }
}

fn metrics(server: &Server) -> Vec<u8> {
    let line = server.log_line("metrics on http://");
    let (_, address) = line.split_once("http://").unwrap();
    let client = Client {
        address: address.parse().unwrap(),
        authorization: None,
    };
    client.get("/metrics").body
}

/// Looks for secrets in all that a server leaves: metrics, log, files.
fn assert_kept_nowhere(server: Server, tokens: &[String]) {
    assert_absent("the metrics", &metrics(&server), tokens);
    let folder = std::sync::Arc::clone(&server.folder);
    let file = |name: &str| std::fs::read(folder.path().join(Path::new(name))).unwrap();
    // While the server runs, what was written last is in the write-ahead log.
    assert!(!file("test.db-wal").is_empty());
    for name in ["test.db", "test.db-wal"] {
        assert_absent(name, &file(name), tokens);
    }
    let (code, log) = server.stop();
    assert_eq!(code, Some(0));
    assert!(log.iter().any(|line| line.contains("TRACE")), "{log:?}");
    for entry in folder.path().read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            assert_absent(
                &path.to_string_lossy(),
                &std::fs::read(&path).unwrap(),
                tokens,
            );
        }
    }
    assert_absent("the log", log.join("\n").as_bytes(), tokens);
}

/// A token of each kind: good, revoked, of a blocked user, unknown, misspelled.
fn tokens(server: &Server) -> Vec<String> {
    let (owner, machine) = (&server.owner, server.service_user("auditor"));
    let path = format!("/api/users/{machine}/tokens");
    let make = |path: &str| {
        let made = owner.post(path, json!({"name": "a", "expires_in": 1})).ok();
        let id = made["personal_access_token"]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        (made["plain_token"].as_str().unwrap().to_owned(), id)
    };
    let (good, _) = make(&path);
    let (revoked, id) = make(&path);
    owner.delete(&format!("{path}/{id}")).ok();
    let blocked = server.service_user("user");
    let (of_blocked, _) = make(&format!("/api/users/{blocked}/tokens"));
    let body = json!({"role": "user", "auto_groups": [], "is_blocked": true});
    owner.put(&format!("/api/users/{blocked}"), body).ok();
    let unknown = fresh_token();
    let misspelled = format!("{}~", &fresh_token()[..39]);
    let owners = owner.authorization.clone().unwrap().replace("Token ", "");
    vec![owners, good, revoked, of_blocked, unknown, misspelled]
}

#[test]
fn a_token_used_rightly_or_in_a_wrong_place_is_kept_nowhere() {
    let server = Server::start_with(&LOUD);
    let tokens = tokens(&server);
    let own = format!("/api/users/{}/tokens", server.owner_id);
    for token in &tokens {
        let (client, owner) = (server.client(token), &server.owner);
        let send = |client: &Client, method, path: &str, headers: &[(&str, &str)], body: &str| {
            let answer = client.send(method, path, headers, body.as_bytes());
            let text = format!("{:?} {}", answer.headers, answer.text());
            assert_absent("an answer", text.as_bytes(), std::slice::from_ref(token));
        };
        send(&client, "GET", "/api/users", &[], "");
        send(&client, "GET", "/api/users/current", &[], "");
        send(&client, "GET", "/nowhere", &[], "");
        send(&client, "POST", "/api/users", &[], "{");
        let bearer = format!("Bearer {token}");
        for other in [&bearer, &bearer.to_lowercase(), &format!("Basic {token}")] {
            send(
                &server.anonymous(),
                "GET",
                "/api/users",
                &[("Authorization", other)],
                "",
            );
        }
        for header in [
            "X-Api-Key",
            "Cookie",
            "Origin",
            "X-Forwarded-For",
            "User-Agent",
            "Host",
        ] {
            send(owner, "GET", "/api/users", &[(header, token)], "");
            send(
                &server.anonymous(),
                "GET",
                "/api/users",
                &[(header, token)],
                "",
            );
        }
        for query in [format!("token={token}"), format!("service_user={token}")] {
            send(owner, "GET", &format!("/api/users?{query}"), &[], "");
            send(
                &server.anonymous(),
                "GET",
                &format!("/api/users?{query}"),
                &[],
                "",
            );
        }
        for path in [
            format!("/{token}"),
            format!("/api/users/{token}/tokens"),
            format!("{own}/{token}"),
        ] {
            send(owner, "GET", &path, &[], "");
            send(owner, "DELETE", &path, &[], "");
            send(&server.anonymous(), "GET", &path, &[], "");
        }
        for body in [
            token.clone(),
            json!([token]).to_string(),
            json!({"name": "a", "expires_in": token}).to_string(),
            json!({"name": "a", "expires_in": 1, "plain_token": token}).to_string(),
            json!({"name": format!("{token}\n"), "expires_in": 1}).to_string(),
            json!({"name": "a", "role": token}).to_string(),
        ] {
            send(owner, "POST", &own, &[], &body);
            send(owner, "POST", "/api/users", &[], &body);
        }
        let mut connection = Connection::open(server.address);
        connection.send(format!("GET / HTTP/1.1\r\n{token}\r\n\r\n").as_bytes());
        assert!(connection.answer(false).status >= 400);
    }
    assert_kept_nowhere(server, &tokens);
}

#[test]
fn a_token_in_an_encoded_path_is_kept_nowhere() {
    let server = Server::start_with(&LOUD);
    let tokens = tokens(&server);
    for token in &tokens {
        for path in [
            format!("/api/users/%6e{}/tokens", &token[1..]),
            format!("/api/users/nbp%5F{}/tokens", &token[4..]),
        ] {
            server.owner.get(&path).error(404);
            server.anonymous().get(&path).refused(401);
        }
    }
    assert_kept_nowhere(server, &tokens);
}

#[test]
fn a_token_in_place_of_the_method_is_kept_nowhere() {
    let server = Server::start_with(&LOUD);
    let tokens = tokens(&server);
    for token in &tokens {
        server.owner.send(token, "/api/users", &[], b"").error(405);
    }
    assert_kept_nowhere(server, &tokens);
}

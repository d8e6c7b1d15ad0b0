//! The files of `deploy/` in the real proxies: bodies, upgrades and connections.

use crate::support::{Connection, HOST, Site, with_each_proxy};

with_each_proxy! {
    a_websocket_opens_with_a_token_and_bytes_go_both_ways,
    a_websocket_without_a_credential_is_401,
    websockets_leave_the_requests_between_them_alone,
    no_other_upgrade_opens_a_tunnel_past_the_proxy,
    as_many_groups_as_a_user_of_netbird_has_arrive,
    a_body_of_a_mebibyte_arrives_whole_and_netbird_auth_gets_none_of_it,
    a_chunked_body_arrives_whole_and_netbird_auth_gets_none_of_it,
    a_body_without_a_credential_is_401_and_does_not_arrive,
    every_method_arrives_as_it_was_sent,
    a_head_request_is_asked_about_and_arrives_as_one,
    many_requests_of_one_client_are_asked_about_over_few_connections,
    requests_on_one_connection_are_judged_one_by_one,
    netbird_auth_is_asked_once_a_request,
}

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";

fn a_websocket_opens_with_a_token_and_bytes_go_both_ways(site: &Site) {
    let mut connection = site.connection();
    let head = format!(
        "GET /live?a=b HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Token {}\r\n{UPGRADE}\r\n",
        site.ann.0
    );
    connection.send(head.as_bytes());
    let answer = connection.answer(true);
    assert_eq!(answer.status, 101);
    assert_eq!(answer.header("upgrade"), Some("websocket"));
    for bytes in [&b"\x81\x05hello"[..], &[0; 5000], b"x"] {
        connection.send(bytes);
        assert_eq!(connection.take(bytes.len()), bytes);
    }
    let seen = site.upstream.take();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].all("Remote-User"), ["ann"]);
    assert_eq!(seen[0].target, "/live?a=b");
    seen[0].has_no_credential();
}

fn a_websocket_without_a_credential_is_401(site: &Site) {
    let ask = |path: &str, further: &str| {
        let text = format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{further}{UPGRADE}\r\n");
        let mut connection = site.connection();
        connection.send(text.as_bytes());
        (connection.answer(false).status, site.upstream.take().len())
    };
    let token = format!("Authorization: Token {}\r\n", site.ann.0);
    assert_eq!(ask("/live", ""), (401, 0));
    assert_eq!(ask("/live", "X-Forwarded-Uri: /public\r\n"), (401, 0));
    assert_eq!(ask("/admin", &token), (403, 0));
}

fn websockets_leave_the_requests_between_them_alone(site: &Site) {
    let head = format!("GET /live HTTP/1.1\r\nHost: {HOST}\r\n");
    let mut open = Vec::new();
    for _ in 0..10 {
        let mut connection = site.connection();
        let token = format!("Authorization: Token {}\r\n", site.ann.0);
        connection.send(format!("{head}{token}{UPGRADE}\r\n").as_bytes());
        assert_eq!(connection.answer(true).status, 101);
        open.push(connection);
        site.upstream.take();
        site.as_ann("/x", &[]).passed();
        site.get("/x", &[]).stopped(401);
    }
    assert!(!site.relay.sent().to_lowercase().contains("upgrade"));
}

/// An app that speaks HTTP/2 would take whatever the client writes into the tunnel, from whomever.
fn no_other_upgrade_opens_a_tunnel_past_the_proxy(site: &Site) {
    let token = format!("Authorization: Token {}\r\n", site.ann.0);
    let others: [&[&str]; 9] = [
        &["h2c"],
        &["H2C"],
        &["foo"],
        &["h2c", "websocket"],
        &["websocket", "h2c"],
        &["h2c, websocket"],
        &["websocket, h2c"],
        &["websocket/13"],
        &["websocket2"],
    ];
    for protocols in others {
        for (path, credential) in [("/public", ""), ("/x", token.as_str())] {
            let mut head = format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{credential}");
            for protocol in protocols {
                head += &format!("Upgrade: {protocol}\r\n");
            }
            head +=
                "Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
            let mut connection = site.connection();
            connection.send(head.as_bytes());
            let answer = connection.answer(false);
            let seen = site.upstream.take();
            // Of two protocols a proxy may have made the one that is let through.
            let upgrades: Vec<_> = seen.iter().flat_map(|seen| seen.all("Upgrade")).collect();
            assert!(
                upgrades.iter().all(|name| *name == "websocket"),
                "{protocols:?}: {upgrades:?}"
            );
            assert_eq!(answer.status == 101, !upgrades.is_empty(), "{protocols:?}");
        }
    }
}

fn as_many_groups_as_a_user_of_netbird_has_arrive(site: &Site) {
    let groups: Vec<String> = (0..200)
        .map(|number| format!("cs1tnh0hhcjnqoiu{number:04}"))
        .collect();
    let body = serde_json::json!({"role": "user", "auto_groups": groups, "is_blocked": false});
    site.server.owner.put("/api/users/ann", body).ok();
    let outcome = site.as_ann("/x", &[]);
    outcome.passed();
    let expected = format!("user,{}", groups.join(","));
    assert_eq!(outcome.seen[0].all("Remote-Groups"), [expected]);
}

/// Whether netbird-auth has got anything of a body, or is told to wait for one.
#[track_caller]
fn was_asked_without_a_body(site: &Site, part: &str) {
    let asked = site.relay.sent();
    assert!(!asked.contains(part));
    let asked = asked.to_lowercase();
    assert!(asked.contains("x-forwarded-method: "));
    for line in asked.lines() {
        assert!(!line.starts_with("transfer-encoding:"), "{line}");
        assert!(
            !line.starts_with("content-length:") || line == "content-length: 0",
            "{line}"
        );
    }
}

fn a_body_of_a_mebibyte_arrives_whole_and_netbird_auth_gets_none_of_it(site: &Site) {
    let body: String = (0..1 << 17).map(|number| format!("{number:07}.")).collect();
    assert_eq!(body.len(), 1 << 20);
    let authorization = format!("Token {}", site.ann.0);
    let headers = [("Authorization", authorization.as_str())];
    for method in ["POST", "PUT"] {
        let outcome = site.send(method, "/upload", &headers, body.as_bytes());
        assert!(outcome.passed().body == body.as_bytes());
    }
    was_asked_without_a_body(site, "0000777.");
    assert!(site.relay.sent().len() < 4000);
}

fn a_chunked_body_arrives_whole_and_netbird_auth_gets_none_of_it(site: &Site) {
    let chunk = "0123456789abcdef".repeat(1000);
    let mut text = format!(
        "POST /upload HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\
         Authorization: Token {}\r\nTransfer-Encoding: chunked\r\n\r\n",
        site.ann.0
    );
    for _ in 0..10 {
        text += &format!("{:x}\r\n{chunk}\r\n", chunk.len());
    }
    text += "0\r\n\r\n";
    let outcome = site.raw(text.as_bytes());
    assert!(outcome.passed().body == chunk.repeat(10).as_bytes());
    was_asked_without_a_body(site, "0123456789abcdef");
}

fn a_body_without_a_credential_is_401_and_does_not_arrive(site: &Site) {
    let body = "secret.".repeat(1000);
    site.send("POST", "/upload", &[], body.as_bytes())
        .stopped(401);
    was_asked_without_a_body(site, "secret.");
}

fn every_method_arrives_as_it_was_sent(site: &Site) {
    for method in [
        "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "QUERY",
    ] {
        let outcome = site.with_token(&site.ann.0, method, "/x", &[]);
        assert_eq!(outcome.passed().method, method);
        site.with_token(&site.ann.0, method, "/admin", &[])
            .stopped(403);
        site.send(method, "/x", &[], b"").stopped(401);
    }
}

fn a_head_request_is_asked_about_and_arrives_as_one(site: &Site) {
    let outcome = site.with_token(&site.ann.0, "HEAD", "/x", &[]);
    assert_eq!(outcome.passed().method, "HEAD");
    assert!(outcome.response.body.is_empty());
    let outcome = site.send("HEAD", "/x", &[], b"");
    outcome.stopped(401);
    assert!(outcome.response.body.is_empty());
    site.send("HEAD", "/feed", &[], b"").stopped(401);
    site.with_token(&site.ann.0, "HEAD", "/admin", &[])
        .stopped(403);
}

/// One request on a connection that stays open, and its status.
fn ask(connection: &mut Connection, path: &str, token: Option<&str>) -> u16 {
    let authorization = token.map(|token| format!("Authorization: Token {token}\r\n"));
    let authorization = authorization.unwrap_or_default();
    let text = format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{authorization}\r\n");
    connection.send(text.as_bytes());
    connection.answer(false).status
}

fn many_requests_of_one_client_are_asked_about_over_few_connections(site: &Site) {
    let mut connection = site.connection();
    for _ in 0..200 {
        assert_eq!(ask(&mut connection, "/x", Some(&site.ann.0)), 200);
    }
    assert_eq!(site.upstream.take().len(), 200);
    let connections = site.relay.connections();
    assert!(
        connections < 10,
        "{connections} connections for 200 requests"
    );
}

fn requests_on_one_connection_are_judged_one_by_one(site: &Site) {
    let mut connection = site.connection();
    let (ann, root) = (Some(&*site.ann.0), Some(&*site.root.0));
    for _ in 0..10 {
        assert_eq!(ask(&mut connection, "/admin", root), 200);
        assert_eq!(ask(&mut connection, "/admin", ann), 403);
        assert_eq!(ask(&mut connection, "/x", None), 401);
        assert_eq!(ask(&mut connection, "/x", ann), 200);
        assert_eq!(ask(&mut connection, "/public", None), 200);
    }
    let users = site.upstream.take();
    let users: Vec<_> = users
        .iter()
        .map(|seen| seen.all("Remote-User")[0])
        .collect();
    assert_eq!(users, ["root", "ann", "-"].repeat(10));
}

fn netbird_auth_is_asked_once_a_request(site: &Site) {
    for _ in 0..3 {
        site.as_ann("/x", &[]).passed();
    }
    site.get("/x", &[]).stopped(401);
    let asked = site
        .relay
        .sent()
        .matches(" /auth/verify HTTP/1.1\r\n")
        .count();
    assert_eq!(asked, 4);
}

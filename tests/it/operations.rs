//! What an operator has: probes, metrics, logs and an orderly end.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::bad_input::request;
use crate::support::{Client, Connection, Response, Server, eventually, fresh_token, netbird_auth};

pub const METRICS: (&str, &str) = ("METRICS__LISTEN", "127.0.0.1:0");
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// What supervisors give a server before they kill it.
pub const LONGEST_STOP: Duration = Duration::from_secs(10);

#[test]
fn probes_need_no_credential() {
    let server = Server::start();
    for path in ["/healthz", "/readyz", "/healthz?x=y"] {
        for client in [server.anonymous(), server.client("nonsense")] {
            let answer = client.get(path);
            answer.ok();
            assert!(answer.header("x-request-id").is_some());
        }
        assert_eq!(server.owner.send("HEAD", path, &[], b"").status, 200);
    }
}

/// A client of the metrics listener, whose port the log tells.
pub fn metrics_client(server: &Server) -> Client {
    let line = server.log_line("metrics on http://");
    let (_, rest) = line.split_once("http://").unwrap();
    Client {
        address: rest.split([' ', '"']).next().unwrap().parse().unwrap(),
        authorization: None,
    }
}

/// The samples of a scrape, whose every line must be one of OpenMetrics.
pub fn scrape(client: &Client) -> HashMap<String, f64> {
    let answer = client.get("/metrics");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some(OPEN_METRICS));
    let text = answer.text();
    let (lines, end) = text.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(end, "# EOF");
    let mut families = HashMap::new();
    let mut samples = HashMap::new();
    for line in lines.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (kind, name) = (words.next().unwrap(), words.next().unwrap());
            assert!(["HELP", "TYPE", "UNIT"].contains(&kind), "{line}");
            if kind == "TYPE" {
                let earlier = families.insert(name, words.next().unwrap());
                assert_eq!(earlier, None, "{line} stands twice");
            }
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap();
        let name = sample.split('{').next().unwrap();
        assert!(name.starts_with("netbird_auth_"), "{line}");
        let family = name.strip_suffix("_total").unwrap_or(name);
        let is_counter = families[family] == "counter";
        assert_eq!(is_counter, name.ends_with("_total"), "{line}");
        let earlier = samples.insert(sample.to_owned(), value.parse().unwrap());
        assert_eq!(earlier, None, "{line} stands twice");
    }
    samples
}

fn requests(outcome: &str, reason: &str) -> String {
    format!("netbird_auth_requests_total{{outcome=\"{outcome}\",reason=\"{reason}\"}}")
}

#[test]
fn metrics_tell_of_requests_the_queue_marks_commits_tokens_users_and_panics() {
    let server = Server::start_with(&[METRICS]);
    let metrics = metrics_client(&server);
    let before = scrape(&metrics);
    assert_eq!(before["netbird_auth_users"], 1.0);
    assert_eq!(before["netbird_auth_tokens"], 1.0);
    assert_eq!(before["netbird_auth_queue_depth"], 0.0);
    assert_eq!(before["netbird_auth_panics_total"], 0.0);
    assert!(before.contains_key("netbird_auth_oldest_mark_seconds"));

    let machine = server.service_user("user");
    let tokens = format!("/api/users/{machine}/tokens");
    let body = json!({"name": "a", "expires_in": 1});
    let made = server.owner.post(&tokens, body).ok();
    let client = server.client(made["plain_token"].as_str().unwrap());
    for _ in 0..3 {
        client.get("/api/users").ok();
    }
    client.post(&tokens, json!({})).error(422);
    client.post("/api/users", json!([])).error(400);
    client.delete("/api/users/nobody").refused(403);
    server.owner.delete("/api/users/nobody").error(404);
    for _ in 0..2 {
        server.client(&fresh_token()).get("/api/users").refused(401);
        server.anonymous().get("/api/users").refused(401);
    }
    let after = scrape(&metrics);
    let grown = |name: &str| after[name] - before.get(name).unwrap_or(&0.0);
    assert_eq!(after["netbird_auth_users"], 2.0);
    assert_eq!(after["netbird_auth_tokens"], 2.0);
    assert!(grown("netbird_auth_commits_total") >= 2.0);
    for (outcome, reason, count) in [
        ("ok", "", 5.0),
        ("refused", "missing credentials", 2.0),
        ("refused", "unknown or revoked token", 2.0),
        ("refused", "permission denied", 1.0),
        ("invalid", "not found", 1.0),
    ] {
        assert_eq!(grown(&requests(outcome, reason)), count, "{reason}");
    }
    let of = |outcome: &str| {
        let name = format!("outcome=\"{outcome}\"");
        let fitting = after.keys().filter(|key| key.contains(&name));
        fitting.map(|key| grown(key)).sum::<f64>()
    };
    assert_eq!(
        (of("refused"), of("invalid"), of("failed")),
        (5.0, 3.0, 0.0)
    );

    // While another program writes, marks wait and grow old; then they are written.
    let database = server.database();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    client.get("/api/users").ok();
    eventually("the mark is old", || {
        (scrape(&metrics)["netbird_auth_oldest_mark_seconds"] > 0.5).then_some(())
    });
    database.execute_batch("COMMIT").unwrap();
    eventually("the mark is written", || {
        (scrape(&metrics)["netbird_auth_oldest_mark_seconds"] == 0.0).then_some(())
    });
}

#[test]
fn metrics_are_off_unless_asked_for_and_never_on_the_apis_port() {
    let server = Server::start();
    server.owner.get("/metrics").error(404);
    let (code, log) = server.stop();
    assert_eq!(code, Some(0));
    assert!(!log.iter().any(|line| line.contains("metrics on")));

    let server = Server::start_with(&[METRICS]);
    let metrics = metrics_client(&server);
    assert_ne!(metrics.address, server.address);
    server.owner.get("/metrics").error(404);
    for path in ["/api/users", "/api/instance", "/healthz", "/"] {
        assert_eq!(metrics.get(path).status, 404);
    }
}

/// The line of the log about an answer.
fn line_of(server: &Server, answer: &Response) -> String {
    server.log_line(answer.header("x-request-id").unwrap())
}

#[test]
fn a_refusal_is_logged_with_the_request_id_of_its_answer() {
    let server = Server::start();
    let answer = server.anonymous().get("/api/users?secret=1");
    let line = line_of(&server, &answer);
    let id = answer.header("x-request-id").unwrap();
    for part in [
        &format!(" request.id={id} "),
        " client.address=127.0.0.1 ",
        " http.method=GET ",
        " http.path=/api/users ",
        " http.status=401 ",
        " reason=\"missing credentials\"",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert!(!line.contains("secret"));
}

#[test]
fn a_scraper_keeps_its_connection() {
    let server = Server::start_with(&[
        ("METRICS__LISTEN", "127.0.0.1:0"),
        ("LIMITS__HEADER_TIMEOUT", "1"),
        ("LIMITS__KEEP_ALIVE", "3"),
    ]);
    let line = server.log_line("metrics on http://");
    let address = line.split_once("http://").unwrap().1.parse().unwrap();
    let mut connection = Connection::open(address);
    let since = Instant::now();
    for _ in 0..2 {
        connection.send(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(connection.answer(false).status, 200);
        let last = Instant::now();
        eventually("longer than a head has time", || {
            (last.elapsed().as_millis() > 1_500).then_some(())
        });
    }
    assert!(connection.is_at_end());
    assert!(since.elapsed().as_secs() >= 4, "{:?}", since.elapsed());
    assert!(!server.stop().1.join("\n").contains("refused"));
}

#[test]
fn a_log_in_json_is_one_object_a_line() {
    let server = Server::start_with(&[("LOG__FORMAT", "json"), ("LOG__LEVEL", "trace")]);
    let (user, _) = server.member("user", false);
    let forbidden = user.get("/api/events/audit");
    assert_eq!(forbidden.status, 403);
    let name = "a\"b\\\u{202e}c";
    let body = json!({"name": name, "role": "user", "is_service_user": true});
    server.owner.post("/api/users", body).ok();
    let none = server.anonymous();
    let unauthorized = none.send(
        "GET",
        "/api/users",
        &[("X-Forwarded-For", "2001:db8::1")],
        b"",
    );
    let missing = none.get("/no%22where");
    for (answer, client) in [
        (&forbidden, "127.0.0.1"),
        (&unauthorized, "2001:db8::1"),
        (&missing, "127.0.0.1"),
    ] {
        let line: Value = serde_json::from_str(&line_of(&server, answer)).unwrap();
        assert_eq!(line["request.id"], answer.header("x-request-id").unwrap());
        assert_eq!(line["client.address"], client);
        assert_eq!(line["http.status"], answer.status);
        assert_eq!(line["http.method"], "GET");
        assert!(line["reason"].is_string());
    }
    let (_, log) = server.stop();
    for line in log {
        let line: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let text = |name: &str| {
            line[name]
                .as_str()
                .unwrap_or_else(|| panic!("{name}: {line}"))
        };
        assert!(text("time").ends_with('Z'));
        assert!(["ERROR", "WARN", "INFO", "DEBUG", "TRACE"].contains(&text("level")));
        assert!(!text("message").is_empty());
    }
}

#[test]
fn the_clients_address_is_read_through_trusted_proxies_only() {
    let direct = "127.0.0.1";
    let loopback = Server::start();
    let chain = Server::start_with(&[("SERVER__TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8")]);
    let other = Server::start_with(&[("SERVER__TRUSTED_PROXIES", "10.0.0.0/8")]);
    let nobody = Server::start_with(&[("SERVER__TRUSTED_PROXIES", "")]);
    let table: &[(&Server, &[&str], &str)] = &[
        (&loopback, &[], direct),
        (&loopback, &["203.0.113.9"], "203.0.113.9"),
        (&loopback, &["1.1.1.1, 203.0.113.9"], "203.0.113.9"),
        (&loopback, &["203.0.113.9", "198.51.100.7"], "198.51.100.7"),
        (&loopback, &["203.0.113.9, 10.1.2.3"], "10.1.2.3"),
        (&loopback, &["2001:db8::7"], "2001:db8::7"),
        (&loopback, &["1.1.1.1, nonsense"], direct),
        (&loopback, &["1.1.1.1 reason=forged"], direct),
        (&chain, &["1.1.1.1, 203.0.113.9, 10.1.2.3"], "203.0.113.9"),
        (
            &chain,
            &["203.0.113.9", "10.1.2.3, 10.1.2.4"],
            "203.0.113.9",
        ),
        (&other, &["203.0.113.9"], direct),
        (&nobody, &["203.0.113.9"], direct),
    ];
    for (server, values, expected) in table {
        let headers: Vec<_> = values
            .iter()
            .map(|value| ("X-Forwarded-For", *value))
            .collect();
        let answer = server.anonymous().send("GET", "/api/users", &headers, b"");
        let line = line_of(server, &answer);
        let expected = format!(" client.address={expected} ");
        assert!(line.contains(&expected), "{expected}, {values:?}: {line}");
        assert!(!line.contains("forged"));
    }
}

#[test]
fn sigterm_and_sigint_end_the_server_with_success() {
    let server = Server::start();
    server.owner.get("/api/users").ok();
    let (code, log) = server.stop();
    assert_eq!(code, Some(0));
    assert!(log.last().unwrap().contains("stopped"));

    let server = Server::start_with(&[METRICS]);
    server.owner.get("/api/users").ok();
    server.signal(Signal::INT);
    server.log_line("stopping");
    let (code, log) = server.stop();
    assert_eq!(code, Some(0));
    assert!(log.last().unwrap().contains("stopped"));
}

#[test]
fn a_server_that_said_it_is_ready_can_be_stopped_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..20 {
        let mut server = netbird_auth(folder.path());
        let mut server = server.arg("serve").stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(server.stderr.take().unwrap());
        let mut lines = log.lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("ready on ")));
        kill_process(Pid::from_child(&server), Signal::TERM).unwrap();
        let left: Vec<_> = lines.collect();
        assert_eq!(server.wait().unwrap().code(), Some(0), "{left:?}");
    }
}

#[test]
fn a_request_that_is_arriving_when_the_server_stops_is_answered_and_kept() {
    for signal in [Signal::TERM, Signal::INT] {
        let server = Server::start();
        let body = br#"{"name":"the last one","expires_in":1}"#;
        let more = format!("Content-Length: {}\r\nExpect: 100-continue\r\n", body.len());
        let path = format!("/api/users/{}/tokens", server.owner_id);
        let mut connection = Connection::open(server.address);
        connection.send(&request(&server, "POST", &path, &more, b""));
        assert_eq!(connection.answer(false).status, 100);
        let since = Instant::now();
        server.signal(signal);
        server.log_line("stopping");
        let (first, rest) = body.split_at(body.len() / 2);
        connection.send(first);
        connection.send(rest);
        let made = connection.answer(false).ok();
        assert_eq!(made["personal_access_token"]["name"], "the last one");
        assert!(connection.is_at_end());
        let database = server.database();
        let _folder = Arc::clone(&server.folder);
        assert_eq!(server.stop().0, Some(0));
        assert!(since.elapsed() < LONGEST_STOP, "{:?}", since.elapsed());
        let count: u32 = database
            .query_row("SELECT count(*) FROM tokens", (), |row| row.get(0))
            .unwrap();
        assert_eq!(count, 2);
    }
}

#[test]
fn idle_and_stuck_connections_do_not_hold_the_stop_for_long() {
    let server = Server::start_with(&[METRICS]);
    let metrics = metrics_client(&server);
    let mut idle = Connection::open(server.address);
    idle.send(&request(&server, "GET", "/api/users", "", b""));
    idle.answer(false).ok();
    let mut scraper = Connection::open(metrics.address);
    scraper.send(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(scraper.answer(false).status, 200);
    let mut silent = Connection::open(server.address);
    silent.send(b"GET /api/us");
    let mut stuck = Connection::open(server.address);
    let more = "Content-Length: 1000\r\nExpect: 100-continue\r\n";
    stuck.send(&request(&server, "POST", "/api/users", more, b""));
    assert_eq!(stuck.answer(false).status, 100);
    let since = Instant::now();
    let (code, _) = server.stop();
    assert_eq!(code, Some(0));
    assert!(since.elapsed() < LONGEST_STOP, "{:?}", since.elapsed());
    assert!(idle.is_at_end());
}

//! Failed authentications: limited by source and never by account, and told in lines that fail2ban reads.

use std::fs;
use std::path::Path;

use crate::support::{Client, Command, Response, Server, eventually, fresh_token};

/// With a burst of three, so that the fourth failure is one too many; then one a second.
fn server(settings: &[(&str, &str)]) -> Server {
    let few = [
        ("LIMITS__FAILURE_BURST", "3"),
        ("LIMITS__FAILURES_PER_SECOND", "1"),
    ];
    Server::start_with(&[&few[..], settings].concat())
}

/// A request with a token that nobody knows, from an address that a proxy tells.
fn fail(server: &Server, from: &str) -> Response {
    let unknown = server.client(&fresh_token());
    unknown.send("GET", "/api/users", &[("X-Forwarded-For", from)], b"")
}

#[test]
fn a_source_with_too_many_failures_gets_429_and_its_good_credentials_pass() {
    let server = server(&[]);
    for _ in 0..3 {
        assert_eq!(fail(&server, "192.0.2.1").error(401), "unauthorized");
    }
    let limited = fail(&server, "192.0.2.1");
    assert_eq!(limited.status, 429);
    assert_eq!(
        limited.error(429),
        "too many failed authentications from your address, try again later"
    );
    assert_eq!(limited.header("retry-after"), Some("1"));
    assert_eq!(limited.header("www-authenticate"), None);
    // The same address, with a credential that is good; and another address.
    let from = [("X-Forwarded-For", "192.0.2.1")];
    server.owner.send("GET", "/api/users", &from, b"").ok();
    assert_eq!(fail(&server, "192.0.2.2").status, 401);
    // No word of a client about itself makes a difference.
    let unknown = server.client(&fresh_token());
    let agent = [from[0], ("User-Agent", "kube-probe/1.31")];
    assert_eq!(unknown.send("GET", "/api/users", &agent, b"").status, 429);
    eventually("it is heard again", || {
        (fail(&server, "192.0.2.1").status == 401).then_some(())
    });
}

#[test]
fn an_ipv6_source_is_its_64_bits() {
    let server = server(&[]);
    for host in 1..=3 {
        assert_eq!(fail(&server, &format!("2001:db8::{host}")).status, 401);
    }
    assert_eq!(fail(&server, "2001:db8::4").status, 429);
    assert_eq!(fail(&server, "2001:db8:0:1::4").status, 401);
}

#[test]
fn a_proxy_gets_401_however_often_it_asks() {
    let server = server(&[]);
    let unknown = format!("Token {}", fresh_token());
    let more = [
        ("X-Forwarded-For", "192.0.2.1"),
        ("Authorization", &unknown),
    ];
    for _ in 0..30 {
        assert_eq!(server.verify("GET a.example/", &more).status, 401);
    }
    assert_eq!(fail(&server, "192.0.2.1").status, 429);
}

#[test]
fn a_flood_of_one_source_is_a_few_lines_and_their_number() {
    let server = Server::start();
    for _ in 0..200 {
        fail(&server, "192.0.2.1");
    }
    // Another source, and another reason.
    assert_eq!(fail(&server, "192.0.2.2").status, 401);
    server.log_line("client.address=192.0.2.2");
    let (reader, _) = server.member("user", false);
    assert_eq!(reader.get("/api/events/audit").status, 403);
    server.log_line("http.status=403");
    let told = |line: &String| line.contains("client.address=192.0.2.1 ");
    eventually("the rest is summed up", || {
        let log = server.log();
        log.iter()
            .any(|line| told(line) && line.contains("unlogged="))
            .then_some(())
    });
    let log = server.log();
    let lines: Vec<&String> = log.iter().filter(|line| told(line)).collect();
    let unlogged = lines.iter().filter_map(|line| line.split_once("unlogged="));
    let unlogged: usize = unlogged
        .map(|(_, count)| count.parse::<usize>().unwrap())
        .sum();
    let logged = lines
        .iter()
        .filter(|line| line.contains("request refused"))
        .count();
    assert!((20..60).contains(&logged), "{logged} lines");
    assert_eq!(logged + unlogged, 200);
}

/// Nothing of what a client sends can make a line say that somebody else failed.
#[test]
fn fail2ban_finds_each_failure_and_the_right_address() {
    let required = std::env::var("NETBIRD_AUTH_TEST_FAIL2BAN").is_ok_and(|text| text == "required");
    if Command::new("fail2ban-regex")
        .arg("--version")
        .output()
        .is_err()
    {
        assert!(!required, "fail2ban-regex is not installed");
        eprintln!("skipped: fail2ban-regex is not installed");
        return;
    }
    let filter = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/deploy/fail2ban/filter.d/netbird-auth.conf"
    );
    for format in ["text", "json"] {
        let server = server(&[("LOG__FORMAT", format)]);
        let unknown = server.client(&fresh_token());
        let get = |client: &Client, path: &str, from: &str| {
            let headers = [
                ("X-Forwarded-For", from),
                ("User-Agent", "x client.address=6.6.6.6 http.status=401"),
            ];
            client.send("GET", path, &headers, b"").status
        };
        // A token in a path is not logged, and what is in its place has spaces.
        assert_eq!(get(&unknown, "/api/users", "192.0.2.1"), 401);
        assert_eq!(get(&unknown, "/api/users", "2001:db8::2"), 401);
        let pretends = "/api/users/client.address=6.6.6.6/tokens";
        assert_eq!(get(&unknown, pretends, "192.0.2.3"), 401);
        let token = format!("/api/users/{}/tokens", fresh_token());
        assert_eq!(get(&unknown, &token, "192.0.2.4"), 401);
        let quotes = "/api/users/%22%5C%0A\"\\%22,%22client.address/tokens";
        assert_eq!(get(&unknown, quotes, "192.0.2.5"), 401);
        let from = [
            ("X-Forwarded-For", "192.0.2.6"),
            ("Authorization", unknown.authorization.as_deref().unwrap()),
        ];
        let asked = "GET a.example/\"%20client.address=6.6.6.6%20\"";
        assert_eq!(server.verify(asked, &from).status, 401);
        // The last one is a 429.
        for _ in 0..4 {
            get(&unknown, "/api/users", "192.0.2.7");
        }
        // No failures: no credential, a good one, and one that may not.
        assert_eq!(get(&server.anonymous(), "/api/users", "192.0.2.8"), 401);
        assert_eq!(get(&server.owner, "/api/users", "192.0.2.8"), 200);
        let (reader, _) = server.member("user", false);
        eventually("they are known", || {
            (reader.get("/api/events/audit").status == 403).then_some(())
        });
        assert_eq!(get(&reader, "/api/events/audit", "192.0.2.9"), 403);
        assert_eq!(get(&server.owner, "/http.status=401", "192.0.2.9"), 404);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log");
        fs::write(&file, server.stop().1.join("\n") + "\n").unwrap();
        let as_a_file = Command::new("fail2ban-regex")
            .args(["-o", "ip"])
            .args([&file, Path::new(filter)])
            .output()
            .unwrap();
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/clients/fail2ban_journal.py"
        );
        // With the interpreter that it is installed for.
        let from_the_journal = Command::new("/usr/bin/python3")
            .arg(script)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/fail2ban"))
            .stdin(fs::File::open(&file).unwrap())
            .output()
            .unwrap();
        let expected = [
            "192.0.2.1",
            "2001:db8::2",
            "192.0.2.3",
            "192.0.2.4",
            "192.0.2.5",
            "192.0.2.6",
            "192.0.2.7",
            "192.0.2.7",
            "192.0.2.7",
            "192.0.2.7",
        ];
        for (way, output) in [("file", as_a_file), ("journal", from_the_journal)] {
            let found = String::from_utf8(output.stdout).unwrap();
            let mut found: Vec<&str> = found.split_whitespace().collect();
            // What the helpers of the tests ask from here.
            found.retain(|address| *address != "127.0.0.1");
            let log = fs::read_to_string(&file).unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert_eq!(found, expected, "{format}, {way}: {log}{errors}");
        }
    }
}

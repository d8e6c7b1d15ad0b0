//! `/auth/verify`: how it may be asked.

use crate::support::{Connection, VERIFY, original};
use crate::verify::{guarded, guarded_by};

#[test]
fn a_connection_outlives_a_body_that_nobody_reads() {
    let (server, _) = guarded();
    let lines: String = original("GET pub.home.arpa/")
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .concat();
    for (more, body) in [
        ("Content-Length: 3\r\n", "abc"),
        ("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"),
    ] {
        let mut connection = Connection::open(server.address);
        for _ in 0..3 {
            let text = format!("POST {VERIFY} HTTP/1.1\r\nHost: test\r\n{lines}{more}\r\n{body}");
            connection.send(text.as_bytes());
            assert_eq!(connection.answer(false).identity(), ["-"; 5]);
        }
    }
}

#[test]
fn every_method_is_answered_by_the_rules_on_one_connection_with_bodies_and_without() {
    let (server, tokens) = guarded_by("[cors]\norigins = [\"https://dash.home.arpa\"]\n");
    let ann = format!("Token {}", tokens[0].1);
    let mut connection = Connection::open(server.address);
    let browser = [
        ("Origin", "https://dash.home.arpa"),
        ("Access-Control-Request-Method", "PUT"),
    ];
    let known = "GET HEAD POST PUT DELETE PATCH OPTIONS TRACE PROPFIND PURGE XYZZY";
    for method in known.split(' ') {
        for (body, more) in [
            (&b""[..], &browser[..]),
            (b"{\"a\":1}", &[]),
            (&[b'x'; 5000], &browser),
        ] {
            for (line, authorization, status) in [
                ("GET app.home.arpa/x", ann.as_str(), 200),
                ("GET app.home.arpa/x", "", 401),
                ("OPTIONS app.home.arpa/x", "", 401),
                ("GET app.home.arpa/admin", &ann, 403),
                ("OPTIONS pub.home.arpa/", "", 200),
            ] {
                let mut headers = original(line).to_vec();
                headers.extend(more);
                headers.push(("Authorization", authorization));
                let answer = connection.verify(method, &headers, body);
                assert_eq!(answer.status, status, "{method} {line}");
                match status {
                    200 => drop(answer.identity()),
                    _ => answer.names_nobody(),
                }
                assert_eq!(
                    answer.body.is_empty(),
                    method == "HEAD" || status == 200,
                    "{method}"
                );
                assert_eq!(answer.header("x-request-id").unwrap().len(), 20);
                assert_eq!(answer.header("connection"), None, "{method} {line}");
            }
        }
    }
    // An API that browsers may ask answers a preflight itself; what a proxy asks is no such thing.
    let api = server
        .anonymous()
        .send("OPTIONS", "/api/users", &browser, b"");
    assert_eq!(api.status, 204);
}

#[test]
fn only_its_own_path_is_asked_and_a_query_there_means_nothing() {
    let (server, tokens) = guarded();
    let ann = server.client(&tokens[0].1);
    let headers = original("GET app.home.arpa/x");
    for path in [
        "/auth",
        "/auth/",
        "/auth/verify/",
        "/auth/verify/x",
        "/auth//verify",
        "/Auth/verify",
        "/api/auth/verify",
    ] {
        let answer = ann.send("GET", path, &headers, b"");
        assert_eq!(answer.error(404), "path not found", "{path}");
        answer.names_nobody();
    }
    for query in [
        "?",
        "?rd=https://pub.home.arpa/",
        "?x-forwarded-host=pub.home.arpa",
        "?uri=/open",
    ] {
        let path = format!("{VERIFY}{query}");
        assert_eq!(
            ann.send("GET", &path, &headers, b"").verdict(),
            "200 ann",
            "{query}"
        );
        let without = server.anonymous().send("GET", &path, &headers, b"");
        assert_eq!(without.verdict(), "401 missing credentials", "{query}");
    }
}

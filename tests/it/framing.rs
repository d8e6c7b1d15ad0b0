//! Requests whose end two readers could see in different places: one answer, the end of the connection, and a
//! line in the log (RFC 9112 §6.3, §11.2).

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::bad_input::{request, rows};
use crate::support::{Server, eventually};

/// If it is ever taken for a request, it succeeds and is seen.
const SMUGGLED: &str = "GET /healthz HTTP/1.1\r\nHost: smuggled\r\n\r\n";

/// The statuses of all answers on a connection until its end.
fn statuses(server: &Server, bytes: &[u8]) -> Vec<u16> {
    let mut stream = TcpStream::connect(server.address).unwrap();
    let patience = std::time::Duration::from_secs(20);
    stream.set_read_timeout(Some(patience)).unwrap();
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer);
    let starts = text.match_indices("HTTP/1.1 ");
    let status = |at: usize| text[at + 9..at + 12].parse().unwrap();
    starts.map(|(at, _)| status(at)).collect()
}

fn refusals(server: &Server) -> usize {
    let lines = server.log();
    lines
        .iter()
        .filter(|line| line.contains("request refused"))
        .count()
}

#[test]
fn a_request_with_two_ends_is_one_400_and_nothing_behind_it_is_read() {
    let mut server = Server::start();
    let before = rows(&server);
    let chunk = "0\r\n\r\n";
    let heads = [
        (
            "length and chunks",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        ),
        (
            "chunks and length",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        ),
        (
            "chunks and no length",
            "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        ),
        ("two lengths", "Content-Length: 5\r\nContent-Length: 6\r\n"),
        (
            "the same length twice",
            "Content-Length: 5\r\nContent-Length: 5\r\n",
        ),
        ("a list of lengths", "Content-Length: 5, 5\r\n"),
        ("a signed length", "Content-Length: +5\r\n"),
        ("a negative length", "Content-Length: -5\r\n"),
        ("a hexadecimal length", "Content-Length: 0x5\r\n"),
        ("a fraction of a length", "Content-Length: 5.0\r\n"),
        ("words for a length", "Content-Length: five\r\n"),
        ("no length at all", "Content-Length: \r\n"),
        (
            "a length of too many digits",
            "Content-Length: 99999999999999999999\r\n",
        ),
        ("a length with a space in it", "Content-Length: 1 5\r\n"),
        ("another coding", "Transfer-Encoding: gzip\r\n"),
        (
            "chunks and another coding",
            "Transfer-Encoding: gzip, chunked\r\n",
        ),
        ("chunks twice", "Transfer-Encoding: chunked, chunked\r\n"),
        (
            "chunks in two lines",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        ),
        (
            "chunks and identity",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        ),
        (
            "identity",
            "Transfer-Encoding: identity\r\nContent-Length: 5\r\n",
        ),
        ("nearly chunks", "Transfer-Encoding: xchunked\r\n"),
        ("chunks in quotes", "Transfer-Encoding: \"chunked\"\r\n"),
        ("chunks after a tab", "Transfer-Encoding:\u{b}chunked\r\n"),
        (
            "a space before the colon",
            "Transfer-Encoding : chunked\r\n",
        ),
        ("a folded line", "X: a\r\n Transfer-Encoding: chunked\r\n"),
        ("two hosts", "Host: b\r\n"),
        ("a NUL", "X: a\0b\r\n"),
        ("a bare return", "X: a\rTransfer-Encoding: chunked\r\n"),
        ("no name", ": a\r\n"),
        ("a name with a space", "X Y: a\r\n"),
    ];
    for (number, (what, lines)) in heads.into_iter().enumerate() {
        if number % 15 == 0 {
            // All of them were more than one source has lines for.
            assert_eq!(rows(&server), before);
            server = Server::start();
        }
        let bytes = request(&server, "POST", "/api/users", lines, chunk.as_bytes());
        let known = refusals(&server);
        let seen = statuses(&server, &[&bytes, SMUGGLED.as_bytes()].concat());
        assert_eq!(seen, [400], "{what}");
        eventually(what, || (refusals(&server) == known + 1).then_some(()));
    }
    assert_eq!(rows(&server), before);
    let last = server.log().pop().unwrap();
    assert!(last.contains("client.address=127.0.0.1"), "{last}");
    assert!(
        last.contains("reason=\"the request can't be read\""),
        "{last}"
    );
}

#[test]
fn chunks_that_are_no_chunks_end_the_request_and_the_connection() {
    let server = Server::start();
    let before = rows(&server);
    for body in [
        "zz\r\n",
        "-1\r\n",
        "0x1\r\n",
        "1\r\naXX",
        "ffffffffffffffffff\r\n",
        "1\n",
        "1 \u{b}\r\n",
        "\r\n",
    ] {
        let chunked = "Transfer-Encoding: chunked\r\n";
        let bytes = request(&server, "POST", "/api/users", chunked, body.as_bytes());
        let known = refusals(&server);
        let seen = statuses(&server, &[&bytes, SMUGGLED.as_bytes()].concat());
        assert_eq!(seen, [400], "{body:?}");
        eventually(body, || (refusals(&server) > known).then_some(()));
    }
    assert_eq!(rows(&server), before);
}

#[test]
fn what_is_another_protocol_or_none_is_one_400_at_most_and_a_line_in_the_log() {
    let server = Server::start();
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\0\0\0\0\0\0\0\0\0\0\0\0";
    let table: [(&str, &[u8]); 9] = [
        (
            "HTTP/2",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04\0\0\0\0\0",
        ),
        ("TLS", hello),
        ("HTTP/0.9", b"GET /healthz\r\n\r\n"),
        ("HTTP/3.0", b"GET /healthz HTTP/3.0\r\n\r\n"),
        ("SSH", b"SSH-2.0-OpenSSH_9.9\r\n"),
        ("SOCKS", b"\x05\x01\0"),
        ("no host", b"GET /healthz HTTP/1.1\r\n\r\n"),
        (
            "a space too many",
            b"GET  /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
        ),
        ("bytes", b"\xff\xfe\xfd\r\n\r\n"),
    ];
    for (what, bytes) in table {
        let known = refusals(&server);
        let seen = statuses(&server, &[bytes, SMUGGLED.as_bytes()].concat());
        assert_eq!(seen, [400], "{what}");
        eventually(what, || (refusals(&server) == known + 1).then_some(()));
    }
}

#[test]
fn garbage_behind_a_request_is_told_and_ends_the_connection() {
    let server = Server::start();
    let known = refusals(&server);
    let good = request(&server, "GET", "/healthz", "", b"");
    let garbage: &[u8] = b"\0garbage\r\n\r\n";
    let seen = statuses(
        &server,
        &[&good, &good, garbage, SMUGGLED.as_bytes()].concat(),
    );
    assert_eq!(seen, [200, 200, 400]);
    eventually("it is logged", || {
        (refusals(&server) == known + 1).then_some(())
    });
}

#[test]
fn no_upgrade_is_made() {
    let server = Server::start();
    // What would be of the other protocol is a request as any other, or of none.
    for (protocol, expected) in [
        ("websocket", &[200][..]),
        ("h2c", &[200, 200]),
        ("TLS/1.0", &[200, 200]),
    ] {
        let upgrade = format!("Connection: Upgrade\r\nUpgrade: {protocol}\r\n");
        let bytes = request(&server, "GET", "/healthz", &upgrade, b"");
        let last = SMUGGLED.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
        let seen = statuses(&server, &[&bytes, last.as_bytes()].concat());
        assert_eq!(seen, expected, "{protocol}");
    }
}

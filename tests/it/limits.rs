//! What a client may take at most: `[limits]`, on raw sockets.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::bad_input::{GOOD_TOKEN, ask, own_tokens, request, rows, with_length};
use crate::support::{Connection, Response, Server, ended, eventually, netbird_auth, only_line};

/// Long enough to be told from at once.
const SECOND: Duration = Duration::from_secs(1);

fn server() -> Server {
    Server::start_with(&[
        ("LIMITS__HEADER_TIMEOUT", "1"),
        ("LIMITS__BODY_TIMEOUT", "1"),
        ("LIMITS__KEEP_ALIVE", "2"),
        ("LIMITS__HEAD_BYTES", "2048"),
        ("LIMITS__PATH_BYTES", "256"),
        ("LIMITS__QUERY_BYTES", "512"),
        ("LIMITS__BODY_BYTES", "1024"),
    ])
}

/// All that comes until the server ends the connection, while `bytes` are sent one by one.
fn trickle(stream: &mut TcpStream, bytes: &[u8]) -> Vec<u8> {
    // Between two bytes.
    let pause = Some(Duration::from_millis(100));
    stream.set_read_timeout(pause).unwrap();
    let (mut bytes, mut answer, mut buffer) = (bytes.iter(), Vec::new(), [0; 1024]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return answer,
            Ok(read) => answer.extend(&buffer[..read]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if let Some(byte) = bytes.next() {
                    // It may be closed by now, which the next look tells.
                    let _ = stream.write_all(&[*byte]);
                }
            }
            Err(_) => return answer,
        }
    }
}

#[test]
fn each_part_of_a_request_has_its_length() {
    let server = server();
    let tokens = own_tokens(&server);
    let head = |more: usize| format!("X-More: {}\r\n", "x".repeat(more));
    let get = |path: &str, more: &str| request(&server, "GET", path, more, b"");
    let path = |length: usize| format!("/{}", "p".repeat(length - 1));
    let query = |length: usize| format!("/healthz?{}", "q".repeat(length));
    let body = |length: usize| {
        let mut body = GOOD_TOKEN.as_bytes().to_vec();
        body.resize(length, b' ');
        with_length(&server, "POST", &tokens, &body)
    };
    let table = [
        ("a path", get(&path(256), ""), 404, ""),
        (
            "a longer path",
            get(&path(257), ""),
            414,
            "the path is longer than the server takes",
        ),
        ("a query", get(&query(512), ""), 200, ""),
        (
            "a longer query",
            get(&query(513), ""),
            414,
            "the query is longer than the server takes",
        ),
        ("a head", get("/healthz", &head(1900)), 200, ""),
        (
            "a larger head",
            get("/healthz", &head(2040)),
            431,
            "the request's head is larger than the server takes",
        ),
        ("a body", body(1024), 200, ""),
        (
            "a larger body",
            body(1025),
            413,
            "the body is larger than the server takes",
        ),
    ];
    for (what, bytes, status, message) in &table {
        let mut connection = Connection::open(server.address);
        let answer = ask(&server, &mut connection, bytes);
        assert_eq!(answer.status, *status, "{what}");
        assert!(answer.header("x-request-id").is_some(), "{what}");
        if !message.is_empty() {
            assert_eq!(answer.error(*status), *message, "{what}");
        }
    }
}

#[test]
fn a_head_without_an_end_is_431_and_ends_the_connection() {
    let server = server();
    for more in [2048, 16 * 1024, 200 * 1024] {
        let head = format!("GET /healthz HTTP/1.1\r\nX: {}", "x".repeat(more));
        let answer = server.anonymous().raw(head.as_bytes()).unwrap();
        let told = "the request's head is larger than the server takes";
        assert_eq!(answer.error(431), told);
        assert_eq!(answer.header("connection"), Some("close"));
    }
    let line = server.log_line("http.status=431");
    assert!(line.contains("client.address=127.0.0.1"), "{line}");
    assert!(line.contains("request refused"), "{line}");
}

#[test]
fn a_head_that_comes_too_slowly_is_408_and_logged() {
    let server = server();
    let head = format!("GET /healthz HTTP/1.1\r\nX: {}", "x".repeat(1000));
    for sent in ["GET", &head] {
        let mut stream = TcpStream::connect(server.address).unwrap();
        let since = Instant::now();
        // All at once and then nothing, or byte by byte.
        let answer = match sent {
            "GET" => {
                stream.write_all(sent.as_bytes()).unwrap();
                trickle(&mut stream, b"")
            }
            _ => trickle(&mut stream, sent.as_bytes()),
        };
        assert!(since.elapsed() >= SECOND, "{:?}", since.elapsed());
        let answer = Response::parse(&answer).unwrap();
        assert_eq!(answer.error(408), "the request did not arrive in time");
        assert_eq!(answer.header("connection"), Some("close"));
    }
    let line = server.log_line("http.status=408");
    assert!(line.contains("client.address=127.0.0.1"), "{line}");
}

#[test]
fn a_second_head_has_the_same_time_and_gets_no_answer_that_could_be_taken_for_another() {
    let server = server();
    let mut connection = Connection::open(server.address);
    let healthy = request(&server, "GET", "/healthz", "", b"");
    connection.send(&healthy);
    assert_eq!(connection.answer(false).status, 200);
    let since = Instant::now();
    connection.send(b"GET /healthz HT");
    assert!(connection.is_at_end());
    assert!(since.elapsed() >= SECOND);
    server.log_line("http.status=408");
}

#[test]
fn an_idle_connection_ends_without_a_word() {
    let server = server();
    let mut connection = Connection::open(server.address);
    let since = Instant::now();
    assert!(connection.is_at_end(), "nothing was sent");
    assert!(since.elapsed() >= SECOND);
    let mut connection = Connection::open(server.address);
    for _ in 0..3 {
        connection.send(&request(&server, "GET", "/healthz", "", b""));
        assert_eq!(connection.answer(false).status, 200);
    }
    let since = Instant::now();
    assert!(connection.is_at_end(), "nothing more was sent");
    assert!(since.elapsed() >= 2 * SECOND - Duration::from_millis(100));
    let (_, log) = server.stop();
    assert!(!log.join("\n").contains("refused"), "{log:?}");
}

#[test]
fn a_body_that_comes_too_slowly_is_408_and_makes_nothing() {
    let server = server();
    let before = rows(&server);
    let tokens = own_tokens(&server);
    let cut = |bytes: Vec<u8>, more: &[u8]| {
        let mut stream = TcpStream::connect(server.address).unwrap();
        let since = Instant::now();
        stream.write_all(&bytes).unwrap();
        let answer = Response::parse(&trickle(&mut stream, more)).unwrap();
        (answer, since.elapsed())
    };
    let slow = b" ".repeat(900);
    let head = request(&server, "POST", &tokens, "Content-Length: 1000\r\n", b"{");
    let (answer, took) = cut(head, &slow);
    assert!(took >= SECOND);
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(answer.error(408), "the body did not arrive in time");
    let chunked = "Transfer-Encoding: chunked\r\n";
    let head = request(&server, "POST", &tokens, chunked, b"3e8\r\n");
    assert_eq!(cut(head, &slow).0.status, 408);
    // The verdict does not depend on the body.
    let ask = "Content-Length: 1000\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Proto: https\r\n\
               X-Forwarded-Host: a.example\r\nX-Forwarded-Uri: /\r\n";
    let head = request(&server, "GET", "/auth/verify", ask, b"");
    assert_eq!(cut(head, &slow).0.status, 403);
    // Nobody reads this one.
    let head = request(&server, "GET", "/nowhere", "Content-Length: 1000\r\n", b"");
    assert_eq!(cut(head, &slow).0.status, 404);
    assert_eq!(rows(&server), before);
}

#[test]
fn what_is_left_of_a_body_is_no_head() {
    let server = server();
    // Longer than a head may be, in pieces, and never read: it is thrown away, and then the connection ends.
    let length = "Content-Length: 60000\r\n";
    for (method, path, status) in [("POST", "/nowhere", 404), ("GET", "/healthz", 200)] {
        let mut connection = Connection::open(server.address);
        connection.send(&request(&server, method, path, length, b""));
        assert_eq!(connection.answer(false).status, status);
        for _ in 0..60 {
            connection.send(&[b'x'; 1000]);
        }
        assert!(connection.is_at_end(), "{path}");
    }
    let mut connection = Connection::open(server.address);
    let chunked = "Transfer-Encoding: chunked\r\n";
    let whole = b"5\r\nhello\r\n0\r\n\r\n";
    connection.send(&request(&server, "POST", "/nowhere", chunked, whole));
    assert_eq!(connection.answer(false).status, 404);
    let since = Instant::now();
    assert!(connection.is_at_end(), "nothing more was sent");
    assert!(since.elapsed() >= 2 * SECOND - Duration::from_millis(200));
    let log = server.stop().1.join("\n");
    assert!(!log.contains("refused"), "{log}");
}

#[test]
fn pipelined_requests_of_a_slow_reader_are_all_answered() {
    const REQUESTS: usize = 20_000;
    let server = server();
    let mut stream = TcpStream::connect(server.address).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let healthy = request(&server, "GET", "/healthz", "", b"");
    let sent = std::thread::spawn(move || writer.write_all(&healthy.repeat(REQUESTS)));
    let (mut text, mut buffer, since) = (Vec::new(), [0; 4096], Instant::now());
    stream.set_read_timeout(Some(20 * SECOND)).unwrap();
    // Slowly for longer than a head has time, then as fast as it goes.
    while since.elapsed() < 3 * SECOND {
        let last = Instant::now();
        eventually("a pause", || {
            (last.elapsed().as_millis() > 50).then_some(())
        });
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "the connection ended");
        text.extend(&buffer[..read]);
    }
    // The last one asks for the end.
    sent.join().unwrap().unwrap();
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .unwrap();
    stream.read_to_end(&mut text).unwrap();
    let answers = text
        .windows(12)
        .filter(|part| part == b"HTTP/1.1 200")
        .count();
    assert_eq!(answers, REQUESTS + 1);
    let log = server.stop().1.join("\n");
    assert!(!log.contains("refused"), "{log}");
}

#[test]
fn requests_behind_an_answer_that_is_not_read_cost_no_time() {
    let server = crate::stalled::server(&[("LIMITS__WRITE_TIMEOUT", "5")]);
    let mut stream = TcpStream::connect(server.address).unwrap();
    let list = request(&server, "GET", "/api/users", "", b"");
    let healthy = request(&server, "GET", "/healthz", "", b"");
    // So that the answer does not find room on its way.
    rustix::net::sockopt::set_socket_recv_buffer_size(&stream, 4096).unwrap();
    stream.set_nonblocking(true).unwrap();
    let mut bytes: &[u8] = &[list, healthy.repeat(5_000)].concat();
    let time = || -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.pid())).unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        // In user mode and in the system's, in hundredths of a second.
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    // All that the system and the server take.
    let since = Instant::now();
    while since.elapsed() < SECOND {
        if let Ok(written) = stream.write(bytes) {
            bytes = &bytes[written..];
        }
        std::thread::yield_now();
    }
    let (before, since) = (time(), Instant::now());
    eventually("a second", || (since.elapsed() > SECOND).then_some(()));
    let spent = time() - before;
    assert!(spent < 50, "{spent} hundredths of a second");
    assert_eq!(server.anonymous().get("/healthz").status, 200);
}

#[test]
fn further_connections_wait_until_one_ends() {
    let server = Server::start_with(&[("LIMITS__CONNECTIONS", "2"), ("SERVER__WORKERS", "1")]);
    let healthy = request(&server, "GET", "/healthz", "", b"");
    let asked = |connection: &mut Connection| {
        connection.send(&healthy);
        connection.answer(false).status
    };
    let mut two = [0, 1].map(|_| Connection::open(server.address));
    for connection in &mut two {
        assert_eq!(asked(connection), 200);
    }
    let mut third = TcpStream::connect(server.address).unwrap();
    third.write_all(&healthy).unwrap();
    let pause = Duration::from_millis(300);
    third.set_read_timeout(Some(pause)).unwrap();
    let waits = third.read(&mut [0]).unwrap_err();
    assert_eq!(waits.kind(), ErrorKind::WouldBlock);
    // Nobody has to try again: so many may wait.
    let crowd: Vec<TcpStream> = (0..500)
        .map(|_| TcpStream::connect_timeout(&server.address, pause).unwrap())
        .collect();
    for connection in &mut two {
        assert_eq!(asked(connection), 200);
    }
    drop(two);
    drop(crowd);
    eventually("the third is answered", || third.read(&mut [0]).ok());
}

#[test]
fn as_many_files_may_be_open_as_the_system_lets() {
    let server = Server::start();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.pid())).unwrap();
    let files = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let files: Vec<&str> = files.unwrap().split_whitespace().collect();
    assert_eq!(files[3], files[4], "the soft limit is the hard one");
}

#[test]
fn more_connections_than_files_are_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let serve = netbird_auth(folder.path());
    let mut command = crate::support::Command::new("sh");
    command
        .args(["-c", "ulimit -n 300; exec \"$0\" serve"])
        .arg(serve.get_program())
        .current_dir(folder.path())
        .env_clear()
        .envs(
            serve
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .env("NETBIRD_AUTH_LIMITS__CONNECTIONS", "1000");
    let output = ended(command);
    assert_eq!(output.status.code(), Some(1));
    let line = only_line(&output);
    assert!(line.contains("only 300 files may be open here"), "{line}");
}

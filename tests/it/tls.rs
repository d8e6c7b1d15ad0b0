//! TLS of the server's own, as clients see it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, Error, ProtocolVersion};

use crate::support::{
    BOTH, Pair, Server, TlsClient, exchange, fresh_token, netbird_auth, only_line, refused_start,
    request,
};

pub const FILES: [(&str, &str); 2] = [
    ("SERVER__TLS_CERT_FILE", "tls.crt"),
    ("SERVER__TLS_KEY_FILE", "tls.key"),
];

/// A server with a certificate of its own, and a client that believes it.
pub fn server(settings: &[(&str, &str)]) -> (Server, TlsClient) {
    with(&Pair::new(), settings)
}

pub fn with(pair: &Pair, settings: &[(&str, &str)]) -> (Server, TlsClient) {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    pair.write_to(folder.path());
    let token = fresh_token();
    let mut settings = [settings, &FILES[..]].concat();
    settings.push(("BOOTSTRAP__TOKEN", &token));
    let server = Server::start_prepared(folder, &settings, token.clone());
    let client = pair.client(server.address);
    (server, client)
}

fn fault(error: &std::io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

#[test]
fn tls_1_2_and_1_3_are_spoken_and_carry_http_1_1() {
    let (server, client) = server(&[]);
    let owner = server.owner.authorization.as_deref();
    for (offered, spoken) in [
        (&[&TLS12][..], ProtocolVersion::TLSv1_2),
        (&[&TLS13], ProtocolVersion::TLSv1_3),
        (BOTH, ProtocolVersion::TLSv1_3),
    ] {
        for (protocols, chosen) in [
            (&["h2", "http/1.1"][..], Some(&b"http/1.1"[..])),
            (&[], None),
        ] {
            let connection = client.connect(offered, protocols).unwrap();
            assert_eq!(connection.conn.protocol_version(), Some(spoken));
            assert_eq!(connection.conn.alpn_protocol(), chosen);
            let answer = exchange(connection, request("/api/users", owner).as_bytes()).unwrap();
            assert_eq!(answer.ok()[0]["is_current"], true);
        }
    }
    let refused = client.connect(BOTH, &["h2"]).err().unwrap();
    let alert = Error::AlertReceived(AlertDescription::NoApplicationProtocol);
    assert_eq!(fault(&refused), Some(&alert));
    server.log_line("the client speaks no HTTP/1.1 over TLS");
}

#[test]
fn tls_1_1_is_refused_by_an_alert() {
    let (server, _) = server(&[]);
    // A ClientHello of TLS 1.1 (RFC 4346 §7.4.1.2): a random, no session, one cipher, no compression.
    let hello = [&[3, 2][..], &[7; 32], &[0], &[0, 2, 0xc0, 0x13], &[1, 0]].concat();
    let message = [&[1, 0, 0, hello.len() as u8][..], &hello].concat();
    let record = [&[22, 3, 1, 0, message.len() as u8][..], &message].concat();
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(&record).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    // An alert (21) that is fatal (2).
    assert_eq!((answer[0], answer[5]), (21, 2), "{answer:?}");
    server.log_line("the client's TLS does not fit the server's");
}

#[test]
fn every_answer_over_tls_and_none_else_tells_browsers_to_stay_with_it() {
    for (settings, value) in [
        (&[][..], "max-age=31536000"),
        (&[("SERVER__HSTS_DAYS", "0")], "max-age=0"),
    ] {
        let (server, client) = server(settings);
        let owner = server.owner.authorization.as_deref();
        for path in ["/healthz", "/api/users", "/nowhere", "/auth/verify", "/"] {
            for authorization in [owner, None] {
                let answer = client.get(path, authorization);
                assert_eq!(
                    answer.header("strict-transport-security"),
                    Some(value),
                    "{path}"
                );
            }
        }
        let head = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(20_000));
        let large = client.ask(head.as_bytes()).unwrap();
        assert_eq!(large.status, 431);
        assert_eq!(large.header("strict-transport-security"), Some(value));
        let plain = server.owner.get("/api/users");
        assert_eq!(plain.status, 400);
        assert_eq!(plain.header("strict-transport-security"), None);
    }
}

#[test]
fn plain_http_is_told_of_tls_and_runs_no_request() {
    let (server, client) = server(&[]);
    for bytes in [
        "GET /api/users HTTP/1.1\r\n",
        "SSH-2.0-x\r\n",
        "\0",
        "\u{17}\u{3}\u{3}\0\0",
    ] {
        let answer = server.anonymous().raw(bytes.as_bytes()).unwrap();
        assert_eq!(answer.error(400), "this port speaks TLS: ask by https");
    }
    server.log_line("this port speaks TLS");
    assert_eq!(client.get("/healthz", None).status, 200);
}

#[test]
fn what_is_no_handshake_is_refused_with_one_line() {
    let (server, _) = server(&[]);
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream
        .write_all(b"\x16\x03\x01\x00\x04\xff\xff\xff\xff")
        .unwrap();
    // An alert, or nothing: whatever it is, the connection ends.
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    server.log_line("the TLS handshake can't be understood");
    // A client that does not believe the certificate says so.
    let stranger = Pair::new().client(server.address);
    let refused = stranger.connect(BOTH, &[]).err().unwrap();
    assert!(
        matches!(fault(&refused), Some(Error::InvalidCertificate(_))),
        "{refused}"
    );
    let line = server.log_line("the client broke the TLS handshake off");
    assert!(line.contains("client.address=127.0.0.1"), "{line}");
    let refused = |line: &&String| line.contains("request refused");
    assert_eq!(server.log().iter().filter(refused).count(), 2);
}

#[test]
fn a_handshake_and_the_first_head_have_the_time_of_one_head() {
    let (server, client) = server(&[("LIMITS__HEADER_TIMEOUT", "3")]);
    // Nobody says anything.
    let mut silent = TcpStream::connect(server.address).unwrap();
    // A handshake's first bytes.
    let mut slow = TcpStream::connect(server.address).unwrap();
    slow.write_all(&[22, 3, 1, 0, 200, 1]).unwrap();
    // A whole handshake, and half a head.
    let mut half = client.connect(BOTH, &[]).unwrap();
    half.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    half.flush().unwrap();
    for stream in [&mut silent, &mut slow] {
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.is_empty(), "{rest:?}");
    }
    let mut answer = Vec::new();
    half.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 408 "));
    server.log_line("reason=\"the TLS handshake did not arrive in time\"");
    server.log_line("reason=\"the request did not arrive in time\"");
    let refused = |line: &&String| line.contains("request refused");
    assert_eq!(server.log().iter().filter(refused).count(), 2);
}

#[test]
fn a_stop_does_not_wait_for_handshakes() {
    let (server, _) = server(&[("LIMITS__HEADER_TIMEOUT", "3600"), ("SERVER__WORKERS", "1")]);
    let mut slow = TcpStream::connect(server.address).unwrap();
    slow.write_all(&[22, 3, 1, 0, 200, 1]).unwrap();
    // One worker takes them in their order: when this one is answered, the other one has begun.
    let _ = server.anonymous().get("/healthz");
    let since = std::time::Instant::now();
    assert_eq!(server.stop().0, Some(0));
    assert!(
        since.elapsed() < Duration::from_secs(4),
        "{:?}",
        since.elapsed()
    );
}

#[test]
fn a_long_answer_arrives_whole_over_tls_or_its_client_is_cut() {
    let (pair, folder) = (Pair::new(), tempfile::tempdir().unwrap());
    pair.write_to(folder.path());
    let paths = FILES.map(|(name, file)| (name, folder.path().join(file).display().to_string()));
    let settings = paths.each_ref().map(|(name, path)| (*name, path.as_str()));
    let settings = [&settings[..], &[("LIMITS__WRITE_TIMEOUT", "1")]].concat();
    let server = crate::stalled::server(&settings);
    let owner = server.owner.authorization.as_deref();
    let client = pair.client(server.address);
    let answer = client.get("/api/users", owner).ok();
    assert_eq!(answer.as_array().unwrap().len(), 10_001);
    let mut stalled = client.connect(BOTH, &[]).unwrap();
    stalled
        .write_all(request("/api/users", owner).as_bytes())
        .unwrap();
    crate::unix_socket::assert_is_cut(&server);
}

#[test]
fn healthcheck_asks_over_tls_whatever_the_name_in_the_certificate() {
    let (server, _) = server(&[]);
    let check = |files: bool| {
        let mut command = netbird_auth(server.folder.path());
        command
            .env("NETBIRD_AUTH_SERVER__LISTEN", server.address.to_string())
            .args(["healthcheck", "--ready"]);
        if files {
            for (name, value) in FILES {
                command.env(format!("NETBIRD_AUTH_{name}"), value);
            }
        }
        command.output().unwrap()
    };
    let good = check(true);
    assert_eq!(good.status.code(), Some(0));
    let text = String::from_utf8(good.stderr).unwrap();
    assert_eq!(text, format!("https://{}/readyz: ok\n", server.address));
    // Settings of a server without it: what it answers is shown.
    let plain = check(false);
    assert_eq!(plain.status.code(), Some(1));
    assert!(only_line(&plain).contains("this port speaks TLS"));
}

#[test]
fn a_start_with_bad_files_is_refused_with_the_reason() {
    let (pair, other) = (Pair::new(), Pair::new());
    let encrypted = pair.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let cut = pair.certificate.replace("-----END CERTIFICATE-----", "");
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let sealed = "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END EC PRIVATE KEY-----\n";
    let no_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for (certificate, key, words) in [
        (&*pair.key, &*pair.key, "tls.crt: holds no certificate"),
        (
            &cut,
            &pair.key,
            "tls.crt: is broken: a certificate in it is no PEM",
        ),
        (
            garbage,
            &pair.key,
            "tls.crt: is broken: the first certificate in it is none",
        ),
        (
            &pair.certificate,
            &pair.certificate,
            "tls.key: holds no private key",
        ),
        (
            &pair.certificate,
            &encrypted,
            "tls.key: the private key is encrypted",
        ),
        (
            &pair.certificate,
            sealed,
            "tls.key: the private key is encrypted",
        ),
        (
            &pair.certificate,
            no_key,
            "tls.key: is no private key that TLS can use",
        ),
        (
            &pair.certificate,
            &other.key,
            "tls.key is not the key of tls.crt",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("tls.crt"), certificate).unwrap();
        std::fs::write(folder.path().join("tls.key"), key).unwrap();
        assert_refused(folder.path(), words);
    }
    let folder = tempfile::tempdir().unwrap();
    assert_refused(folder.path(), "tls.crt: can't be read: No such file");
}

/// By `serve`, which leaves nothing behind, and by `config check`.
#[track_caller]
fn assert_refused(folder: &std::path::Path, words: &str) {
    for check in [false, true] {
        let mut command = netbird_auth(folder);
        for (name, value) in FILES {
            command.env(format!("NETBIRD_AUTH_{name}"), value);
        }
        let output = match check {
            true => command.args(["config", "check"]).output().unwrap(),
            false => refused_start(command),
        };
        assert_eq!(output.status.code(), Some(2), "{words}");
        let line = only_line(&output);
        assert!(line.contains(words), "{line}");
        assert!(!line.contains("PRIVATE KEY-----"), "{line}");
        assert!(!folder.join("test.db").exists());
    }
}

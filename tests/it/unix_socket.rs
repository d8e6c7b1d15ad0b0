//! The API on a socket in the file system.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::stalled::server as with_long_list;
use crate::supervisor::with_socket;
use crate::support::{
    Response, Server, eventually, exchange, fresh_token, mode_of, netbird_auth, only_line,
    refused_start, request,
};

const LISTEN: (&str, &str) = ("SERVER__LISTEN", "unix:auth.sock");

fn socket_of(server: &Server) -> PathBuf {
    server.folder.path().join("auth.sock")
}

fn connect(socket: &Path) -> UnixStream {
    let stream = UnixStream::connect(socket).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
}

fn get(server: &Server, path: &str) -> Response {
    let owner = server.owner.authorization.as_deref();
    exchange(connect(&socket_of(server)), request(path, owner).as_bytes()).unwrap()
}

#[test]
fn it_is_served_with_its_permissions_and_gone_after_a_stop() {
    for (settings, mode) in [
        (&[LISTEN][..], 0o660),
        (&[LISTEN, ("SERVER__SOCKET_MODE", "0600")], 0o600),
        (&[LISTEN, ("SERVER__SOCKET_MODE", "777")], 0o777),
    ] {
        let server = Server::start_with(settings);
        let socket = socket_of(&server);
        server.log_line("ready on unix:auth.sock after");
        assert_eq!(mode_of(&socket), mode);
        get(&server, "/api/users").ok();
        let folder = Arc::clone(&server.folder);
        let names = crate::support::names_in(folder.path());
        assert!(!names.iter().any(|name| name.starts_with('.')), "{names:?}");
        assert_eq!(server.stop().0, Some(0));
        assert!(!socket.exists());
    }
}

#[test]
fn who_connects_counts_as_this_machine_which_may_name_the_client() {
    let server = Server::start_with(&[LISTEN]);
    let ask = |more: &str| {
        let head = format!("GET /api/users HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{more}\r\n");
        exchange(connect(&socket_of(&server)), head.as_bytes())
            .unwrap()
            .refused(401);
    };
    ask("");
    server.log_line("client.address=127.0.0.1 ");
    ask("X-Forwarded-For: 192.0.2.7\r\n");
    server.log_line("client.address=192.0.2.7 ");
}

#[test]
fn what_a_killed_server_left_is_replaced() {
    let server = Server::start_with(&[LISTEN]).kill_and_restart();
    get(&server, "/api/users").ok();
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn what_is_somebody_elses_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("auth.sock");
    let start = |listen: &str| {
        let mut command = netbird_auth(folder.path());
        command.env("NETBIRD_AUTH_SERVER__LISTEN", listen);
        let output = refused_start(command);
        assert_eq!(output.status.code(), Some(1));
        only_line(&output)
    };
    std::fs::write(&path, "kept").unwrap();
    let line = start(LISTEN.1);
    assert!(
        line.contains("auth.sock: there is another file, which is no socket"),
        "{line}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), b"kept");
    std::fs::remove_file(&path).unwrap();

    let other = UnixListener::bind(&path).unwrap();
    let line = start(LISTEN.1);
    assert!(line.contains("another program listens there"), "{line}");
    assert!(path.exists());
    drop(other);

    // One that accepts nobody any more.
    std::fs::remove_file(&path).unwrap();
    let hung = UnixListener::bind(&path).unwrap();
    rustix::net::listen(&hung, 0).unwrap();
    let _waits = UnixStream::connect(&path).unwrap();
    let line = start(LISTEN.1);
    assert!(line.contains("another program listens there"), "{line}");
    drop(hung);

    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
        let line = start(LISTEN.1);
        assert!(line.contains("there is a socket of another user"), "{line}");
        assert!(path.exists());
    } else {
        eprintln!("skipped: only root can give a socket to another user");
    }

    let long = format!("unix:{}", "x".repeat(120));
    let line = start(&long);
    assert!(line.contains("too long for a socket"), "{line}");
    assert!(!folder.path().join("test.db").exists());
}

#[test]
fn a_file_that_took_its_place_survives_the_stop() {
    let server = Server::start_with(&[LISTEN]);
    let (socket, _folder) = (socket_of(&server), Arc::clone(&server.folder));
    std::fs::remove_file(&socket).unwrap();
    let _other = UnixListener::bind(&socket).unwrap();
    assert_eq!(server.stop().0, Some(0));
    assert!(socket.exists());
}

#[test]
fn it_is_still_there_after_all_connections_were_taken() {
    let server = Server::start_with(&[LISTEN, ("LIMITS__CONNECTIONS", "2")]);
    let socket = socket_of(&server);
    let held: Vec<_> = (0..8).map(|_| connect(&socket)).collect();
    // Those beyond the limit wait in the kernel: the listener is looked away from, and back.
    drop(held);
    get(&server, "/api/users").ok();
    assert!(socket.exists());
}

#[test]
fn a_slow_head_and_a_stalled_reader_are_cut_here_too() {
    let server = with_long_list(&[
        LISTEN,
        ("LIMITS__WRITE_TIMEOUT", "1"),
        ("LIMITS__HEADER_TIMEOUT", "1"),
    ]);
    let socket = socket_of(&server);
    let mut slow = connect(&socket);
    std::io::Write::write_all(&mut slow, b"GET / HTTP/1.1\r\n").unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");

    let mut stalled = connect(&socket);
    let owner = server.owner.authorization.as_deref();
    let asked = request("/api/users", owner);
    std::io::Write::write_all(&mut stalled, asked.as_bytes()).unwrap();
    assert_is_cut(&server);
    // Whoever reads gets all of it.
    let all = get(&server, "/api/users").ok();
    assert_eq!(all.as_array().unwrap().len(), 10_001);
    let mut rest = Vec::new();
    let _ = stalled.read_to_end(&mut rest);
    assert!(
        Response::parse(&rest).is_none(),
        "the answer that nobody read is not whole"
    );
}

/// A client that was accepted just now, and takes nothing, is cut soon.
#[track_caller]
pub fn assert_is_cut(server: &Server) {
    let open = || {
        let files = std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap();
        let links = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
        links
            .filter(|link| link.to_string_lossy().starts_with("socket:"))
            .count()
    };
    let begun = Instant::now();
    let with_it = eventually("it is accepted", || Some(open()).filter(|count| *count > 0));
    eventually("it is cut", || (open() < with_it).then_some(()));
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn healthcheck_asks_over_it() {
    let server = Server::start_with(&[LISTEN]);
    assert_eq!(server.healthcheck(LISTEN.1, &["--ready"]), Some(0));
    assert_eq!(server.healthcheck("unix:gone.sock", &[]), Some(1));
}

#[test]
fn one_that_is_handed_over_is_served_and_left_where_it_is() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let path = folder.path().join("handed.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let token = fresh_token();
    let mut command = with_socket(folder.path(), 1, OwnedFd::from(listener));
    command.env("NETBIRD_AUTH_BOOTSTRAP__TOKEN", &token);
    let server = Server::start_by(command, Arc::clone(&folder), token);
    let owner = server.owner.authorization.as_deref();
    exchange(connect(&path), request("/api/users", owner).as_bytes())
        .unwrap()
        .ok();
    assert_eq!(server.stop().0, Some(0));
    assert!(std::fs::metadata(&path).unwrap().file_type().is_socket());
}

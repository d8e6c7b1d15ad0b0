//! What systemd hands over and is told: sd_listen_fds(3), sd_notify(3).

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{Command, Server, ended_with_input, fresh_token, netbird_auth, only_line};

/// `serve`, with a socket as the first one that is handed over.
pub fn with_socket(folder: &std::path::Path, count: u32, socket: OwnedFd) -> Command {
    let serve = netbird_auth(folder);
    let mut command = Command::new("sh");
    // In the shell the descriptor gets its number, and the variable the number of the process.
    let script =
        format!("exec 3<&0 4<&0 </dev/null; LISTEN_FDS={count} LISTEN_PID=$$ exec \"$0\" serve");
    command
        .args(["-c", &script])
        .arg(serve.get_program())
        .current_dir(folder)
        .envs(
            serve
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .stdin(Stdio::from(socket));
    command
}

#[test]
fn a_socket_that_is_handed_over_is_served() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let token = fresh_token();
    let mut command = with_socket(folder.path(), 1, listener.into());
    // Of no effect; it would be taken, or be refused, if it were used.
    command
        .env("NETBIRD_AUTH_SERVER__LISTEN", "192.0.2.1:1")
        .env("NETBIRD_AUTH_BOOTSTRAP__TOKEN", &token);
    let server = Server::start_by(command, folder, token);
    assert_eq!(server.address, address);
    server.owner.get("/api/users").ok();
}

#[test]
fn what_can_not_be_served_is_refused_with_the_next_step() {
    let folder = tempfile::tempdir().unwrap();
    let socket = || OwnedFd::from(TcpListener::bind("127.0.0.1:0").unwrap());
    let local = UnixDatagram::unbound().unwrap();
    for (count, socket, words) in [
        (2, socket(), "leave one ListenStream="),
        (1, local.into(), "can't be served"),
    ] {
        let output = ended_with_input(with_socket(folder.path(), count, socket));
        assert_eq!(output.status.code(), Some(1));
        let line = only_line(&output);
        assert!(line.contains(words), "{line}");
    }
}

#[test]
fn a_supervisor_is_told_when_it_is_ready_and_when_it_stops() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let path = folder.path().join("notify");
    let supervisor = UnixDatagram::bind(&path).unwrap();
    supervisor
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let heard = || {
        let mut text = [0; 100];
        let length = supervisor.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..length]).trim().to_owned()
    };
    let token = fresh_token();
    let mut command = netbird_auth(folder.path());
    command
        .arg("serve")
        .env("NOTIFY_SOCKET", &path)
        .env("NETBIRD_AUTH_BOOTSTRAP__TOKEN", &token);
    let server = Server::start_by(command, Arc::clone(&folder), token.clone());
    assert_eq!(heard(), "READY=1");
    server.owner.get("/api/users").ok();
    assert_eq!(server.stop().0, Some(0));
    assert_eq!(heard(), "STOPPING=1");
    // One that is gone is no reason not to serve.
    drop(supervisor);
    std::fs::remove_file(&path).unwrap();
    let mut command = netbird_auth(folder.path());
    command.arg("serve").env("NOTIFY_SOCKET", &path);
    let server = Server::start_by(command, folder, token);
    server.log_line("the supervisor could not be told");
    server.owner.get("/api/users").ok();
}

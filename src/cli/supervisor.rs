//! What a supervisor hands over and wants to hear, as systemd and others do it: sd_listen_fds(3), sd_notify(3).

use listenfd::ListenFd;
use sd_notify::NotifyState;

use super::failure::Failure;
use crate::server::Socket;

/// The socket that it listens on for us; `None` where it does not.
pub(super) fn socket() -> Result<Option<Socket>, Failure> {
    let mut handed = ListenFd::from_env();
    if handed.len() > 1 {
        return Err(Failure::Failed(format!(
            "{} sockets were handed over, and one is served: leave one ListenStream= in the socket unit",
            handed.len()
        )));
    }
    if let Ok(unix) = handed.take_unix_listener(0) {
        return Ok(unix.map(Socket::Unix));
    }
    let tcp = handed.take_tcp_listener(0).map_err(|error| {
        Failure::Failed(format!(
            "the socket that was handed over can't be served ({error}): let ListenStream= be an address and a \
             port, or a path"
        ))
    })?;
    Ok(tcp.map(Socket::Tcp))
}

/// Requests are answered from now on.
pub(super) fn ready() {
    tell(NotifyState::Ready);
}

/// A stop has begun.
pub(super) fn stopping() {
    tell(NotifyState::Stopping);
}

fn tell(state: NotifyState<'_>) {
    // Without a supervisor that listens nothing is done, and that is no error.
    if let Err(error) = sd_notify::notify(&[state]) {
        log::warn!("the supervisor could not be told: {error}");
    }
}

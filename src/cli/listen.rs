//! Where the server listens, and with how many connections.

use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::Arc;

use rustix::process::{Resource, Rlimit};

use super::failure::Failure;
use super::place::Place;
use super::unix_socket::SocketFile;
use super::{supervisor, unix_socket};
use crate::config::{Config, Limits, Listen};
use crate::server::{self, Listeners, Socket};
use crate::tls::Tls;

/// Connections that wait to be accepted, if the system allows so many (net.core.somaxconn).
const BACKLOG: i32 = 4096;

/// What the server listens at, and what goes when it ends.
pub(super) struct Bound {
    pub(super) listeners: Listeners,
    pub(super) place: Place,
    pub(super) file: Option<SocketFile>,
}

/// Takes the addresses of the configuration, or the socket that a supervisor hands over in place of the API's.
pub(super) fn bind(config: &Config, tls: Option<&Arc<Tls>>) -> Result<Bound, Failure> {
    let (api, file) = match (supervisor::socket()?, &config.server.listen) {
        (Some(handed), _) => (handed, None),
        (None, Listen::Address(address)) => {
            (Socket::Tcp(bound(*address, "[server] listen")?), None)
        }
        (None, Listen::Unix(path)) => {
            let made = unix_socket::bind(path, config.server.socket_mode, BACKLOG);
            let (listener, file) = made.map_err(|error| {
                Failure::Failed(format!(
                    "{}: {error}; choose another in [server] listen",
                    path.display()
                ))
            })?;
            (Socket::Unix(listener), Some(file))
        }
    };
    match &api {
        Socket::Tcp(listener) => cut_stalled(listener, &config.limits)?,
        Socket::Unix(_) if tls.is_some() => {
            return Err(Failure::Failed(
                "the socket that was handed over is a unix socket, where TLS is not spoken: take [server] \
                 tls_cert_file and tls_key_file out, or let ListenStream= be an address and a port"
                    .to_owned(),
            ));
        }
        Socket::Unix(_) => {}
    }
    let place = match (&file, &config.server.listen) {
        // It was made beside it.
        (Some(_), listen) => Place {
            listen: listen.clone(),
            is_tls: false,
        },
        (None, _) => Place::of(&api, tls.is_some())?,
    };
    let metrics = match config.metrics.listen {
        None => None,
        Some(address) => {
            let listener = bound(address, "[metrics] listen")?;
            cut_stalled(&listener, &config.limits)?;
            Some(listener)
        }
    };
    Ok(Bound {
        listeners: Listeners {
            api,
            tls: tls.map(Tls::config).transpose()?,
            metrics,
            workers: config.server.workers,
            connections: connections(&config.limits, config.server.workers)?,
        },
        place,
        file,
    })
}

fn bound(address: SocketAddr, key: &str) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind(address)
        .map_err(|error| Failure::Failed(format!("{address}: {error}; choose another in {key}")))?;
    // The standard library's 128 are few where thousands come at once: who finds no place tries again after
    // a second, then after three.
    rustix::net::listen(&listener, BACKLOG).map_err(std::io::Error::from)?;
    Ok(listener)
}

/// At once: who connects before this is set is never cut.
fn cut_stalled(listener: &TcpListener, limits: &Limits) -> std::io::Result<()> {
    server::cut_stalled(listener, limits.write_timeout)
}

/// As many as files may be open, of which a connection is one, but for those of everything else.
fn connections(limits: &Limits, workers: usize) -> Result<usize, Failure> {
    // The database and its readers, backups, keys, the metrics; and four of each worker's own.
    let workers = match workers {
        0 => std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
        workers => workers,
    };
    let elsewhere = (64 + server::METRICS_CONNECTIONS + 5 * workers) as u64;
    let files = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: files.maximum,
        ..files
    };
    // What a shell gives is made for commands, not for servers. Where a supervisor gave more, it need not be
    // allowed to be asked.
    let is_raised = || rustix::process::setrlimit(Resource::Nofile, raised).is_ok();
    let files = match files.current != files.maximum && is_raised() {
        true => raised,
        false => files,
    };
    let files = files.current.unwrap_or(u64::MAX);
    let possible = usize::try_from(files.saturating_sub(elsewhere)).unwrap_or(usize::MAX);
    let possible = possible.clamp(1, 1_000_000);
    match limits.connections {
        0 => Ok(possible),
        wanted if wanted <= possible => Ok(wanted),
        wanted => Err(Failure::Failed(format!(
            "[limits] connections = {wanted}, but only {files} files may be open here: raise that limit \
             (LimitNOFILE= of systemd, ulimit -n), or lower the setting"
        ))),
    }
}

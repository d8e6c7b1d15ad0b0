//! Where the server listens, and with how many connections.

use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;

use rustix::process::{Resource, Rlimit};

use super::failure::Failure;
use super::supervisor;
use crate::config::{Config, Limits};
use crate::server::{self, Listeners};

/// Connections that wait to be accepted, if the system allows so many (net.core.somaxconn).
const BACKLOG: i32 = 4096;

/// Where a client on this machine finds the server.
pub(super) fn url_of(listen: SocketAddr) -> String {
    let mut address = listen;
    if listen.ip().is_unspecified() {
        address.set_ip(match listen {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    format!("http://{address}")
}

/// Takes the addresses of the configuration, or the socket that a supervisor hands over in place of the API's.
pub(super) fn bind(config: &Config) -> Result<Listeners, Failure> {
    let bound = |address: SocketAddr, key: &str| {
        let listener = TcpListener::bind(address).map_err(|error| {
            Failure::Failed(format!("{address}: {error}; choose another in {key}"))
        })?;
        // The standard library's 128 are few where thousands come at once: who finds no place tries again after
        // a second, then after three.
        rustix::net::listen(&listener, BACKLOG).map_err(std::io::Error::from)?;
        Ok(listener)
    };
    let ready = |listener: Result<TcpListener, Failure>| {
        let listener = listener?;
        // At once: who connects before this is set is never cut.
        server::cut_stalled(&listener, config.limits.write_timeout)?;
        Ok::<_, Failure>(listener)
    };
    let api = match supervisor::socket()? {
        Some(handed) => Ok(handed),
        None => bound(config.server.listen, "[server] listen"),
    };
    let metrics = config.metrics.listen;
    Ok(Listeners {
        api: ready(api)?,
        metrics: metrics
            .map(|address| ready(bound(address, "[metrics] listen")))
            .transpose()?,
        workers: config.server.workers,
        connections: connections(&config.limits, config.server.workers)?,
    })
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

/// An address for the log.
pub(super) fn shown(address: std::io::Result<SocketAddr>) -> String {
    address.map_or_else(
        |_| "an unknown address".to_owned(),
        |address| format!("http://{address}"),
    )
}

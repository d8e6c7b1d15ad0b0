//! Every setting: its field, its default, and the line that reads it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use log::LevelFilter;

use super::listen::{self, Listen, TlsFiles};
use super::owner::{self, OwnerIdentity};
use super::reader::Reader;
use super::secret::{self, TokenSource};
use super::{ConfigError, forward, issuers, value};
use crate::forward::ForwardAuth;
use crate::jwt::IssuerSettings;
use crate::refusals::Budget;

const LOOPBACK: [IpNet; 2] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
];

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// All settings, checked. Has no `Debug`: it may hold a secret.
#[derive(Default)]
pub struct Config {
    /// The port and its threads.
    pub server: Server,
    /// What a client may cost.
    pub limits: Limits,
    /// The one file of data.
    pub database: Database,
    /// Copies of it.
    pub backup: Backup,
    /// Which audit events are kept.
    pub audit: Audit,
    /// What the first start makes.
    pub bootstrap: Bootstrap,
    /// What is written to standard error.
    pub log: Log,
    /// Numbers for monitoring.
    pub metrics: Metrics,
    /// Browsers of other origins.
    pub cors: Cors,
    /// Likeness to NetBird where it is not needed.
    pub compat: Compat,
    /// `[forward_auth]`: what a reverse proxy may let pass to other sites.
    pub forward_auth: ForwardAuth,
    /// `[[issuer]]`: whose JWTs are believed, each with a name and an `iss` of its own.
    pub issuers: Vec<IssuerSettings>,
}

/// `[server]`: the port and its threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where requests are accepted.
    pub listen: Listen,
    /// Who may connect to the unix socket: its permissions, such as `0o660`.
    pub socket_mode: u32,
    /// `tls_cert_file` and `tls_key_file`: the API is served over TLS, and over nothing else.
    pub tls: Option<TlsFiles>,
    /// How long browsers shall use TLS only for this host, up to 3650 days: `hsts_days`.
    pub hsts: Duration,
    /// Worker threads, up to 1024; 0 is one a core.
    pub workers: usize,
    /// Proxies whose word about the client's address is believed.
    pub trusted_proxies: Vec<IpNet>,
}

/// `[limits]`: what a client may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the first byte of a request to the end of its head, 1 second to 1 hour.
    pub header_timeout: Duration,
    /// For the body, from the end of the head, 1 second to 1 hour.
    pub body_timeout: Duration,
    /// How long a client may leave an answer unread, 1 second to 1 hour; then its connection is cut.
    pub write_timeout: Duration,
    /// Between two requests on a connection, 1 second to 1 hour.
    pub keep_alive: Duration,
    /// Bytes of a request's head, 1 KiB to 96 KiB.
    pub head_bytes: usize,
    /// Bytes of the path in it, 256 to 64 KiB.
    pub path_bytes: usize,
    /// Bytes of the query in it, 256 to 64 KiB.
    pub query_bytes: usize,
    /// Bytes of a body, 1 KiB to 16 MiB.
    pub body_bytes: usize,
    /// Failed authentications of one source before it gets 429, and how many it may make each second after.
    pub failures: Budget,
    /// Connections at a time, up to 1 000 000; 0 is as many as files may be open.
    pub connections: usize,
}

/// `[database]`: the one file of data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// The SQLite file.
    pub path: PathBuf,
}

/// `[backup]`: copies of the database that the server makes by the clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Where to; `None` is no backups.
    pub directory: Option<PathBuf>,
    /// How much time is between two, 1 minute to 365 days.
    pub every: Duration,
    /// How many are kept, 1 to 10 000.
    pub keep: usize,
}

/// `[audit]`: which events are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Older events are deleted, 1 to 36500 days; `None` is never.
    pub keep: Option<Duration>,
    /// The oldest beyond so many are deleted, up to 1 000 000 000; `None` is no limit. 1 is allowed:
    /// nothing but who reads the trail needs an event that is on the disk.
    pub max_events: Option<NonZeroU32>,
}

/// `[bootstrap]`: what the first start makes. Has no `Debug`: it may hold a secret.
pub struct Bootstrap {
    /// Name of the first owner, 1 to 255 bytes.
    pub owner_name: String,
    /// E-mail address of the first owner, up to 255 bytes; may be empty.
    pub owner_email: String,
    /// Who the first owner is at an issuer, if they log in with JWTs: `owner_id` and `owner_issuer`.
    pub owner_identity: Option<OwnerIdentity>,
    /// How long the first token is valid, 1 to 365 days.
    pub token_days: u32,
    /// The first token, if it is not to be generated: `token` or `token_file`.
    pub token: Option<TokenSource>,
}

/// `[log]`: what is written to standard error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The least important line that is written.
    pub level: LevelFilter,
    /// How a line is written.
    pub format: LogFormat,
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// `[metrics]`: numbers for monitoring.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Where metrics are served, on a port of their own; `None` is nowhere.
    pub listen: Option<SocketAddr>,
}

/// `[cors]`: browsers of other origins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors {
    /// Origins that may call the API, exactly as browsers send them.
    pub origins: Vec<String>,
}

/// `[compat]`: likeness to NetBird where it is not needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compat {
    /// Whether refusals use NetBird's own wording.
    pub netbird_messages: bool,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: Listen::Address(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080)),
            socket_mode: 0o660,
            tls: None,
            hsts: DAY * 365,
            workers: 0,
            trusted_proxies: LOOPBACK.to_vec(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(5),
            body_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            keep_alive: Duration::from_secs(15),
            head_bytes: 16 * 1024,
            path_bytes: 2 * 1024,
            query_bytes: 8 * 1024,
            body_bytes: 64 * 1024,
            failures: Budget {
                burst: NonZeroU32::new(5_000).unwrap_or(NonZeroU32::MIN),
                per_second: NonZeroU32::new(20).unwrap_or(NonZeroU32::MIN),
            },
            connections: 0,
        }
    }
}

impl Default for Database {
    fn default() -> Self {
        Self {
            path: PathBuf::from("netbird-auth.db"),
        }
    }
}

impl Default for Backup {
    fn default() -> Self {
        Self {
            directory: None,
            every: DAY,
            keep: 7,
        }
    }
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self {
            owner_name: "Owner".to_owned(),
            owner_email: String::new(),
            owner_identity: None,
            token_days: 30,
            token: None,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: LevelFilter::Info,
            format: LogFormat::Text,
        }
    }
}

impl Config {
    /// Reads every setting: to add one is to add its field, its default and its line here, and to
    /// `netbird-auth.toml`.
    #[rustfmt::skip]
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let Self { server, limits, database, backup, audit, bootstrap, log, metrics, cors, compat, .. } =
            Self::default();
        let issuers = issuers::read(reader)?;
        Ok(Self {
            server: Server {
                listen: reader.get("server", "listen", server.listen, listen::listen)?,
                socket_mode: reader.get("server", "socket_mode", server.socket_mode, listen::mode)?,
                tls: listen::tls(reader, "server", ["tls_cert_file", "tls_key_file"])?,
                hsts: reader.get("server", "hsts_days", server.hsts, value::days(0..=3650))?,
                workers: reader.get("server", "workers", server.workers, value::integer(0..=1024))?,
                trusted_proxies: reader.get("server", "trusted_proxies", server.trusted_proxies, value::networks)?,
            },
            limits: Limits {
                header_timeout: reader.get("limits", "header_timeout", limits.header_timeout, value::seconds(1..=3600))?,
                body_timeout: reader.get("limits", "body_timeout", limits.body_timeout, value::seconds(1..=3600))?,
                write_timeout: reader.get("limits", "write_timeout", limits.write_timeout, value::seconds(1..=3600))?,
                keep_alive: reader.get("limits", "keep_alive", limits.keep_alive, value::seconds(1..=3600))?,
                head_bytes: reader.get("limits", "head_bytes", limits.head_bytes, value::integer(1024..=98_304))?,
                path_bytes: reader.get("limits", "path_bytes", limits.path_bytes, value::integer(256..=65_536))?,
                query_bytes: reader.get("limits", "query_bytes", limits.query_bytes, value::integer(256..=65_536))?,
                body_bytes: reader.get("limits", "body_bytes", limits.body_bytes, value::integer(1024..=16_777_216))?,
                failures: Budget {
                    burst: reader.get("limits", "failure_burst", limits.failures.burst, value::integer(1..=1_000_000))?,
                    per_second: reader.get("limits", "failures_per_second", limits.failures.per_second, value::integer(1..=10_000))?,
                },
                connections: reader.get("limits", "connections", limits.connections, value::integer(0..=1_000_000))?,
            },
            database: Database {
                path: reader.get("database", "path", database.path, value::path)?,
            },
            backup: Backup {
                directory: reader.get("backup", "directory", backup.directory, value::optional_path)?,
                every: reader.get("backup", "every", backup.every, value::period(MINUTE..=DAY * 365))?,
                keep: reader.get("backup", "keep", backup.keep, value::integer(1..=10_000))?,
            },
            audit: Audit {
                keep: reader.get("audit", "keep_days", audit.keep, value::optional_days(36_500))?,
                max_events: reader.get("audit", "max_events", audit.max_events, value::optional_integer(1_000_000_000))?,
            },
            bootstrap: Bootstrap {
                owner_name: reader.get("bootstrap", "owner_name", bootstrap.owner_name, value::name)?,
                owner_email: reader.get("bootstrap", "owner_email", bootstrap.owner_email, value::email)?,
                owner_identity: owner::identity(reader, "bootstrap", ["owner_id", "owner_issuer"])?,
                token_days: reader.get("bootstrap", "token_days", bootstrap.token_days, value::integer(1..=365))?,
                token: secret::token(reader, "bootstrap", ["token", "token_file"])?,
            },
            log: Log {
                level: reader.get("log", "level", log.level, value::level)?,
                format: reader.get("log", "format", log.format, value::log_format)?,
            },
            metrics: Metrics {
                listen: reader.get("metrics", "listen", metrics.listen, value::optional_socket_address)?,
            },
            cors: Cors {
                origins: reader.get("cors", "origins", cors.origins, value::origins)?,
            },
            compat: Compat {
                netbird_messages: reader.get("compat", "netbird_messages", compat.netbird_messages, value::boolean)?,
            },
            forward_auth: forward::read(reader)?,
            issuers,
        })
    }
}

//! Where a client finds the server.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use crate::config::{Listen, Server};
use crate::server::Socket;
use crate::tls::Certificate;

/// Where, and how it is spoken to there.
pub(super) struct Place {
    pub(super) listen: Listen,
    pub(super) is_tls: bool,
}

impl Place {
    /// As it is configured.
    pub(super) fn configured(server: &Server) -> Self {
        Self {
            listen: server.listen.clone(),
            is_tls: server.tls.is_some(),
        }
    }

    /// As it is: with the port that the system chose, or the socket that was handed over.
    pub(super) fn of(socket: &Socket, is_tls: bool) -> std::io::Result<Self> {
        let listen = match socket {
            Socket::Tcp(listener) => Listen::Address(listener.local_addr()?),
            Socket::Unix(listener) => {
                let address = listener.local_addr()?;
                Listen::Unix(address.as_pathname().map(PathBuf::from).unwrap_or_default())
            }
        };
        Ok(Self { listen, is_tls })
    }

    /// The address that a client on this machine can connect to, unless it is a unix socket.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        let Listen::Address(mut address) = self.listen else {
            return None;
        };
        address.set_ip(match address.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
            given => given,
        });
        Some(address)
    }

    /// What curl is to be told, beside the headers, to ask for a path on this machine; by a name of the
    /// certificate, if there is one.
    pub(super) fn curl(&self, certificate: Option<&Certificate>, path: &str) -> String {
        let Some(address) = self.address() else {
            let Listen::Unix(socket) = &self.listen else {
                return String::new();
            };
            return format!("--unix-socket {} http://localhost{path}", socket.display());
        };
        match certificate {
            None => format!("http://{address}{path}"),
            Some(certificate) => match certificate.host() {
                Some(host) => format!("https://{host}:{}{path}", address.port()),
                None => format!("https://{address}{path}"),
            },
        }
    }
}

/// For people: the address as it is bound.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match (&self.listen, self.is_tls) {
            (Listen::Unix(_), _) => "",
            (Listen::Address(_), true) => "https://",
            (Listen::Address(_), false) => "http://",
        };
        write!(f, "{scheme}{}", self.listen)
    }
}

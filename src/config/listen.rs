//! Where the server listens: an address, or a unix socket; and its TLS.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::ConfigError;
use super::reader::Reader;
use super::value::{self, Fault, Given};

const UNIX: &str = "unix:";

/// Where certificate and key are: PEM both, which may be one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and those between it and the root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Where requests are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// An address and a port.
    Address(SocketAddr),
    /// A socket in the file system: `unix:` and its path.
    Unix(PathBuf),
}

/// As it stands in the settings.
impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

/// `listen`.
pub(super) fn listen(given: Given<'_>) -> Result<Listen, Fault> {
    let text = given.text()?;
    if let Some(path) = text.strip_prefix(UNIX) {
        return value::path_of(path, given).map(Listen::Unix);
    }
    text.parse().map(Listen::Address).map_err(|_| {
        "must be an IP address with a port, such as 127.0.0.1:8080, or unix: and a path, such as \
         unix:/run/netbird-auth.sock"
            .to_owned()
    })
}

/// `socket_mode`: octal digits.
pub(super) fn mode(given: Given<'_>) -> Result<u32, Fault> {
    let fault = || "must be permissions in octal digits and quotes, such as \"0660\"".to_owned();
    let text = given.text().map_err(|_| fault())?;
    let is_mode =
        matches!(text.len(), 3 | 4) && text.bytes().all(|digit| matches!(digit, b'0'..=b'7'));
    match u32::from_str_radix(text, 8) {
        Ok(mode @ ..=0o777) if is_mode => Ok(mode),
        _ => Err(fault()),
    }
}

/// Certificate and key: both or neither.
pub(super) fn tls(
    reader: &mut Reader<'_>,
    section: &'static str,
    keys: [&'static str; 2],
) -> Result<Option<TlsFiles>, ConfigError> {
    let [certificate, key] = keys;
    let certificate = reader.get(section, certificate, None, value::optional_path)?;
    let key = reader.get(section, key, None, value::optional_path)?;
    let both = reader.both(section, keys, (certificate, key))?;
    Ok(both.map(|(certificate, key)| TlsFiles { certificate, key }))
}

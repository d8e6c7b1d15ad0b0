//! File and environment in, validated plain data out.
//!
//! Each setting has one line in `settings.rs` that reads it; the reader notes its name there, and
//! so knows which names in the file and in the environment are wrong. What may stand in the file
//! more than once is read in `forward.rs` and `issuers.rs`, and no variable overrides it.

mod environment;
mod error;
mod forward;
mod issuers;
mod listen;
mod location;
mod origin;
mod owner;
mod reader;
mod secret;
mod settings;
mod shadow;
mod table;
mod unknown;
mod value;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use environment::Environment;
pub use error::ConfigError;
pub use listen::{Listen, TlsFiles};
pub use owner::OwnerIdentity;
pub use secret::TokenSource;
pub use settings::{
    Audit, Backup, Bootstrap, Compat, Config, Cors, Database, Limits, Log, LogFormat, Metrics,
    Server,
};

use reader::Reader;

/// What [`load`] found.
pub struct Loaded {
    /// The settings: file over defaults, environment over file.
    pub config: Config,
    /// The file they came from; `None` when none of the usual places has one.
    pub file: Option<PathBuf>,
    /// What is probably not meant, for the log.
    pub warnings: Vec<String>,
}

/// Reads the settings from the file and the environment.
///
/// The file is `explicit` (`--config`), else what `NETBIRD_AUTH_CONFIG` names, else the first that
/// exists of `./netbird-auth.toml`, `$XDG_CONFIG_HOME/netbird-auth/netbird-auth.toml` and
/// `/etc/netbird-auth/netbird-auth.toml`. No file means all defaults. No file that a setting names is
/// read.
///
/// # Errors
/// A named file that does not exist, a file that cannot be read or is not TOML, an unknown name, a
/// wrong type, a value out of range, a secret given twice, or settings that contradict each other.
/// Only the first fault is reported.
pub fn load(explicit: Option<&Path>, environment: &Environment) -> Result<Loaded, ConfigError> {
    environment.check()?;
    if let Some(found) = location::find(explicit, environment)? {
        return read_found(found, environment);
    }
    let (config, warnings) = read(Reader::new(None, environment))?;
    Ok(Loaded {
        config,
        file: None,
        warnings,
    })
}

/// Reads the settings again, from the file that they came from and no other.
///
/// # Errors
/// As [`load`]; the file must be there, and be a regular file.
pub fn load_again(file: &Path, environment: &Environment) -> Result<Loaded, ConfigError> {
    read_found(location::again(file)?, environment)
}

fn read_found(found: location::Found, environment: &Environment) -> Result<Loaded, ConfigError> {
    read_bytes(&found.path, &found.bytes, environment)
}

/// Reads the settings from what stands in a file, and from no other place: the path is for messages, and
/// what relative paths begin at.
///
/// # Errors
/// As [`load`].
pub fn read_bytes(
    path: &Path,
    bytes: &[u8],
    environment: &Environment,
) -> Result<Loaded, ConfigError> {
    environment.check()?;
    let file = reader::File::parse(path, bytes)?;
    let (config, warnings) = read(Reader::new(Some(file), environment))?;
    Ok(Loaded {
        config,
        file: Some(path.to_owned()),
        warnings,
    })
}

fn read(mut reader: Reader<'_>) -> Result<(Config, Vec<String>), ConfigError> {
    let config = Config::read(&mut reader)?;
    let warnings = reader.finish()?;
    match &config.server.listen {
        Listen::Address(listen) => {
            if listen.port() != 0 && config.metrics.listen == Some(*listen) {
                return Err(ConfigError::new(format!(
                    "`server.listen` and `metrics.listen` are both {listen}: choose another port for one"
                )));
            }
        }
        Listen::Unix(_) if config.server.tls.is_some() => {
            return Err(ConfigError::new(
                "`server.listen` is a unix socket, where TLS is not spoken: take `server.tls_cert_file` and \
                 `server.tls_key_file` out, or let `server.listen` be an address and a port",
            ));
        }
        Listen::Unix(_) => {}
    }
    Ok((config, warnings))
}

//! Where the settings file is.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::environment::CONFIG;
use super::{ConfigError, Environment};
use crate::file;

const FILE_NAME: &str = "netbird-auth.toml";
/// More than any settings file has.
const LIMIT: usize = 16 * 1024 * 1024;
const FOLDER: &str = "netbird-auth";

/// A settings file as found. Its bytes are wiped when dropped, since a secret may stand in it.
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) bytes: Zeroizing<Vec<u8>>,
}

/// Reads the file that was named, or the first of the usual places that exists.
pub(super) fn find(
    explicit: Option<&Path>,
    environment: &Environment,
) -> Result<Option<Found>, ConfigError> {
    if let Some(path) = explicit {
        return open("--config", path).map(Some);
    }
    if let Some(path) = environment.path(CONFIG) {
        return open(CONFIG, path).map(Some);
    }
    for path in usual_places(environment) {
        match fs::read(&path) {
            Ok(bytes) => return Ok(Some(found(path, bytes))),
            Err(fault) if is_absent(fault.kind()) => {}
            // Not even its folder can be entered: a HOME that is another user's, say.
            Err(_) if fs::metadata(&path).is_err() => {}
            // A file that is there and unreadable must not silently mean "all defaults".
            Err(fault) => {
                let path = path.display();
                return Err(ConfigError::new(format!("cannot read {path}: {fault}")));
            }
        }
    }
    Ok(None)
}

/// Reads the file that was found before.
pub(super) fn again(path: &Path) -> Result<Found, ConfigError> {
    match file::read_regular(path, LIMIT) {
        Ok(bytes) => Ok(Found {
            path: path.to_owned(),
            bytes,
        }),
        Err(fault) => {
            let path = path.display();
            Err(ConfigError::new(format!("{path}: {fault}")))
        }
    }
}

fn open(named_by: &str, path: &Path) -> Result<Found, ConfigError> {
    match fs::read(path) {
        Ok(bytes) => Ok(found(path.to_owned(), bytes)),
        Err(fault) => Err(ConfigError::new(format!(
            "{named_by}: cannot read \"{}\": {fault}",
            path.display()
        ))),
    }
}

fn found(path: PathBuf, bytes: Vec<u8>) -> Found {
    let bytes = Zeroizing::new(bytes);
    Found { path, bytes }
}

fn is_absent(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// The places looked at when no file was named, first match wins.
pub(super) fn usual_places(environment: &Environment) -> Vec<PathBuf> {
    let mut places = vec![PathBuf::from(FILE_NAME)];
    // The XDG base directory specification has relative paths ignored.
    let folder = environment
        .path("XDG_CONFIG_HOME")
        .filter(|folder| folder.is_absolute())
        .map(Path::to_owned)
        .or_else(|| Some(environment.path("HOME")?.join(".config")));
    places.extend(folder.map(|folder| folder.join(FOLDER).join(FILE_NAME)));
    places.push(Path::new("/etc").join(FOLDER).join(FILE_NAME));
    places
}

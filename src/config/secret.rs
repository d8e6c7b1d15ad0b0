//! Secrets: given in place or as the path of a file, never both.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::ConfigError;
use super::reader::Reader;
use super::value::{self, Fault, Given};
use crate::token::PlainToken;

/// More than any secret has; what is longer is the wrong file, and is not read to its end.
const FILE_LIMIT: u64 = 4096;

/// Where a token comes from. Has no `Debug`: it may hold the token.
pub enum TokenSource {
    /// It stood in the settings file or in the environment.
    Inline(PlainToken),
    /// It is in this file, which is opened by [`TokenSource::read`] and not before: it is often
    /// there for the first start only.
    File(PathBuf),
}

impl TokenSource {
    /// Yields the token, from the file if need be. White space around it is dropped.
    ///
    /// # Errors
    /// The file cannot be read or does not hold exactly one well-formed token. The message has the
    /// path and never the content.
    pub fn read(self) -> Result<PlainToken, ConfigError> {
        match self {
            Self::Inline(token) => Ok(token),
            Self::File(path) => read_file(&path).map_err(|fault| {
                let path = path.display();
                ConfigError::new(format!(
                    "[bootstrap] token_file {path}: {fault}; 'netbird-auth token generate' makes one"
                ))
            }),
        }
    }
}

fn read_file(path: &Path) -> Result<PlainToken, Fault> {
    // The whole capacity at once: a buffer that grows leaves copies of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_LIMIT as usize + 64));
    let file = fs::File::open(path).map_err(|fault| fault.to_string())?;
    file.take(FILE_LIMIT)
        .read_to_end(&mut bytes)
        .map_err(|fault| fault.to_string())?;
    let text = std::str::from_utf8(&bytes).map_err(|_| "is not text".to_owned())?;
    parse(text)
}

fn parse(text: &str) -> Result<PlainToken, Fault> {
    PlainToken::parse(text.trim()).map_err(|fault| fault.to_string())
}

/// Reads the setting `key` and its companion `key_file`, of which at most one may be given.
pub(super) fn token(
    reader: &mut Reader<'_>,
    section: &'static str,
    [key, key_file]: [&'static str; 2],
) -> Result<Option<TokenSource>, ConfigError> {
    let inline = |given: Given<'_>| {
        let token = parse(given.text()?).map_err(|fault| format!("is no token: {fault}"))?;
        Ok(Some(token))
    };
    let inline = reader.get(section, key, None, inline)?;
    let file = reader.get(section, key_file, None, |given| {
        value::path(given).map(Some)
    })?;
    match (inline, file) {
        (None, None) => Ok(None),
        (Some(token), None) => Ok(Some(TokenSource::Inline(token))),
        (None, Some(path)) => Ok(Some(TokenSource::File(path))),
        (Some(_), Some(_)) => Err(ConfigError::new(format!(
            "{} and {} are both set: keep one of them",
            reader.place(section, key),
            reader.place(section, key_file)
        ))),
    }
}

//! Reading the keys of every issuer, all or nothing.

use std::collections::HashSet;
use std::fmt::{Display, Write};

use super::jwk::{self, Object};
use super::key::Wanted;
use super::key_fault::KeyFault;
use super::{Issuer, IssuerSet, IssuerSettings, Key, KeySettings, KeySource, pem};
use crate::file::read_regular;

const SET_LIMIT: usize = 1024 * 1024;
const PEM_LIMIT: usize = 64 * 1024;

/// A set that was read, and what was passed over.
pub struct Loaded {
    /// The set.
    pub set: IssuerSet,
    /// Keys that were skipped, one line each, for the log.
    pub warnings: Vec<String>,
}

/// Why the issuers can't be used: one line that names issuer, file, index and reason, and never
/// holds a byte of a key.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LoadFault(String);

impl IssuerSet {
    /// Reads every key, all or nothing.
    ///
    /// # Errors
    /// The first fault.
    pub fn load(settings: Vec<IssuerSettings>) -> Result<Loaded, LoadFault> {
        let mut names = HashSet::new();
        let mut identities = HashSet::new();
        let mut issuers = Vec::new();
        let mut warnings = Vec::new();
        for mut settings in settings {
            let place = one_line(format_args!("issuer {}", settings.name));
            if !names.insert(settings.name.clone()) {
                return Err(fault(&place, "another issuer has the same name"));
            }
            if !identities.insert(settings.issuer.clone()) {
                return Err(fault(&place, "another issuer has the same issuer"));
            }
            let mut reading = Reading::new(&settings, place);
            reading.everything()?;
            let keys = reading.keys;
            warnings.append(&mut reading.warnings);
            // Read, and maybe secret.
            settings.keys.clear();
            issuers.push(Issuer { settings, keys });
        }
        Ok(Loaded {
            set: Self::new(issuers),
            warnings,
        })
    }
}

/// The keys of one issuer, as far as they are read.
struct Reading<'a> {
    settings: &'a IssuerSettings,
    /// The issuer, for messages.
    place: String,
    keys: Vec<Key>,
    warnings: Vec<String>,
}

impl<'a> Reading<'a> {
    fn new(settings: &'a IssuerSettings, place: String) -> Self {
        Self {
            settings,
            place,
            keys: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn everything(&mut self) -> Result<(), LoadFault> {
        if let Some(path) = &self.settings.jwks_file {
            let place = one_line(format_args!("{}: {}", self.place, path.display()));
            let text = read_regular(path, SET_LIMIT).map_err(|reason| fault(&place, reason))?;
            self.set(&place, &text)?;
        }
        for key in &self.settings.keys {
            self.named(key)?;
        }
        if !self.keys.is_empty() {
            return Ok(());
        }
        // Why the first one was skipped is mostly why all of them were.
        match self.warnings.first() {
            Some(first) => Err(LoadFault(format!("{first}; no usable key is left"))),
            None => {
                let file = self.settings.jwks_file.iter();
                let place = file.fold(self.place.clone(), |place, path| {
                    one_line(format_args!("{place}: {}", path.display()))
                });
                Err(fault(&place, "no usable key"))
            }
        }
    }

    /// A key set: what is not for us is skipped, what is broken or dangerous is refused.
    fn set(&mut self, place: &str, text: &[u8]) -> Result<(), LoadFault> {
        let set = Object::parse(text).map_err(|reason| match text.trim_ascii_start() {
            [b'<', ..] => fault(place, KeyFault::WebPage),
            _ => fault(place, reason),
        })?;
        let keys = set.keys().map_err(|reason| fault(place, reason))?;
        let wanted = Wanted::of_set(self.settings);
        for (index, value) in keys.iter().enumerate() {
            let mut place = format!("{place}: key {}", index + 1);
            if let Some(kid) = jwk::kid(value) {
                let _ = write!(place, " (kid {kid:?})");
            }
            match jwk::key(value, &wanted) {
                Err(reason) if reason.skips() => {
                    self.warnings.push(format!("{place}: skipped: {reason}"));
                }
                read => self.keep(&place, read)?,
            }
        }
        Ok(())
    }

    /// A key that is named by itself: somebody wants it, so that it is never skipped.
    fn named(&mut self, key: &KeySettings) -> Result<(), LoadFault> {
        let mut place = one_line(format_args!("{}: {}", self.place, key.place));
        let wanted = Wanted::of_key(self.settings, key);
        let read = match &key.source {
            KeySource::Jwk(text) => {
                Object::parse(text.as_bytes()).and_then(|object| object.key(&wanted))
            }
            KeySource::Pem(text) => pem::key(text, &wanted),
            KeySource::PemFile(path) => {
                place = one_line(format_args!("{place}: {}", path.display()));
                let text = read_regular(path, PEM_LIMIT).map_err(|reason| fault(&place, reason))?;
                std::str::from_utf8(&text)
                    .map_err(|_| KeyFault::Pem)
                    .and_then(|text| pem::key(text, &wanted))
            }
        };
        self.keep(&place, read)
    }

    fn keep(&mut self, place: &str, read: Result<Key, KeyFault>) -> Result<(), LoadFault> {
        let key = read.map_err(|reason| fault(place, reason))?;
        if key.kid.is_some() && self.keys.iter().any(|other| other.kid == key.kid) {
            return Err(fault(place, KeyFault::KidTwice));
        }
        self.keys.push(key);
        Ok(())
    }
}

fn fault(place: &str, reason: impl Display) -> LoadFault {
    LoadFault(format!("{place}: {reason}"))
}

/// Without line breaks and what else would disturb a terminal or a log.
fn one_line(text: impl Display) -> String {
    let escape = |letter: char| match letter.is_control() {
        true => letter.escape_default().to_string(),
        false => letter.to_string(),
    };
    text.to_string().chars().map(escape).collect()
}

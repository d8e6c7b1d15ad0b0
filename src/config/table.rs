//! Sections that may stand in the file more than once, such as `[[issuer]]`. No variable overrides
//! what is in them.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::reader::File;
use super::value::{Fault, Given};
use super::{ConfigError, unknown};

/// What such a section is called, and which keys it may have.
pub(super) struct Kind {
    /// The name between `[[` and `]]`.
    pub(super) path: &'static str,
    /// All that may stand in one.
    pub(super) keys: &'static [&'static str],
}

/// One of these sections, with known keys only.
pub(super) struct Table<'f> {
    file: &'f File<'f>,
    path: &'static str,
    place: String,
    keys: &'f DeTable<'f>,
}

impl<'f> Table<'f> {
    /// The sections of a kind in their order, from the table that they stand in.
    ///
    /// Unknown keys are refused here and not at the end: a required key with a typing error in it
    /// would be called missing otherwise.
    pub(super) fn list(
        file: &'f File<'f>,
        within: &'f DeTable<'f>,
        kind: &'static Kind,
    ) -> Result<Vec<Self>, ConfigError> {
        let path = kind.path;
        let (_, key) = path.rsplit_once('.').unwrap_or(("", path));
        let Some((name, content)) = within.get_key_value(key) else {
            return Ok(Vec::new());
        };
        let other = || {
            let place = file.place(name);
            let message = format!("{place}: `{path}` must be a list, each written [[{path}]]");
            ConfigError::new(message)
        };
        let DeValue::Array(items) = content.get_ref() else {
            return Err(other());
        };
        let mut tables = Vec::new();
        for item in items.iter() {
            let DeValue::Table(keys) = item.get_ref() else {
                return Err(other());
            };
            unknown::in_table(file, kind, keys)?;
            tables.push(Self {
                file,
                path,
                place: file.place(item),
                keys,
            });
        }
        Ok(tables)
    }

    /// The sections of a kind within this one.
    pub(super) fn tables(&self, kind: &'static Kind) -> Result<Vec<Self>, ConfigError> {
        Self::list(self.file, self.keys, kind)
    }

    /// The key's value, or `default` where it is not given.
    pub(super) fn get<T>(
        &self,
        key: &'static str,
        default: T,
        parse: impl Fn(Given<'_>) -> Result<T, Fault>,
    ) -> Result<T, ConfigError> {
        Ok(self.optional(key, parse)?.unwrap_or(default))
    }

    /// The value of a key that must be there.
    pub(super) fn required<T>(
        &self,
        key: &'static str,
        parse: impl Fn(Given<'_>) -> Result<T, Fault>,
    ) -> Result<T, ConfigError> {
        let missing = || self.fault(key, &format!("is missing in this [[{}]]", self.path));
        self.optional(key, parse)?.ok_or_else(missing)
    }

    /// The key's value, if there is one.
    pub(super) fn optional<T>(
        &self,
        key: &'static str,
        parse: impl Fn(Given<'_>) -> Result<T, Fault>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.keys.get(key) else {
            return Ok(None);
        };
        let folder: &Path = self.file.folder();
        let value = Spanned::get_ref(value);
        let parsed = parse(Given::File { value, folder });
        parsed.map(Some).map_err(|fault| self.fault(key, &fault))
    }

    /// `file:line` of the line with `[[` and `]]`.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// A message that begins with the key's place, or with this section's where it has no such key.
    pub(super) fn fault(&self, key: &str, message: &str) -> ConfigError {
        let place = match self.keys.get_key_value(key) {
            Some((name, _)) => self.file.place(name),
            None => self.place.clone(),
        };
        ConfigError::new(format!("{place}: `{}.{key}` {message}", self.path))
    }

    /// A message about the section as a whole.
    pub(super) fn fault_of_all(&self, message: &str) -> ConfigError {
        ConfigError::new(format!("{}: this [[{}]] {message}", self.place, self.path))
    }
}

//! Looks settings up by name in the file and the environment, and notes which names there are.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::environment::variable;
use super::table::{Kind, Table};
use super::value::{Fault, Given};
use super::{ConfigError, Environment};

/// A settings file, parsed.
pub(super) struct File<'a> {
    path: &'a Path,
    text: &'a str,
    table: DeTable<'a>,
}

/// The name of a setting that somebody reads.
pub(super) struct Known {
    pub(super) section: &'static str,
    pub(super) key: &'static str,
}

/// Where values are looked up. [`Reader::get`] notes the names it is asked for, and
/// [`Reader::finish`] refuses all others.
pub(super) struct Reader<'a> {
    file: Option<File<'a>>,
    environment: &'a Environment,
    known: Vec<Known>,
    lists: Vec<&'static str>,
    warnings: Vec<String>,
}

impl<'a> File<'a> {
    /// Parses TOML. A syntax error is reported without the line's text, which may be a secret.
    pub(super) fn parse(path: &'a Path, bytes: &'a [u8]) -> Result<Self, ConfigError> {
        let fault = |before: &[u8], message: &str| {
            let line = line_after(before);
            ConfigError::new(format!("{}:{line}: {message}", path.display()))
        };
        let text = std::str::from_utf8(bytes).map_err(|broken| {
            let before = bytes.get(..broken.valid_up_to()).unwrap_or_default();
            fault(before, "not valid UTF-8")
        })?;
        match DeTable::parse(text) {
            Ok(table) => Ok(Self {
                path,
                text,
                table: table.into_inner(),
            }),
            Err(broken) => {
                let start = broken.span().map_or(bytes.len(), |span| span.start);
                let before = bytes.get(..start).unwrap_or(bytes);
                Err(fault(before, &format!("not TOML: {}", broken.message())))
            }
        }
    }

    /// `file:line` of something that was parsed.
    pub(super) fn place<T>(&self, item: &Spanned<T>) -> String {
        let before = self.text.as_bytes().get(..item.span().start);
        let line = line_after(before.unwrap_or_default());
        format!("{}:{line}", self.path.display())
    }

    /// The sections and keys of the file in their order, without what is below them.
    pub(super) fn table(&self) -> &DeTable<'a> {
        &self.table
    }

    /// Where relative paths of the file begin.
    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// The keys of a section. One that is not a table is an error.
    fn section(&self, section: &str) -> Result<Option<&DeTable<'a>>, ConfigError> {
        let Some((name, content)) = self.table.get_key_value(section) else {
            return Ok(None);
        };
        match content.get_ref() {
            DeValue::Table(keys) => Ok(Some(keys)),
            _ => Err(ConfigError::new(format!(
                "{}: `{section}` must be a section, written [{section}]",
                self.place(name)
            ))),
        }
    }

    /// The key's place and value.
    fn find(
        &self,
        section: &str,
        key: &str,
    ) -> Result<Option<(String, &DeValue<'a>)>, ConfigError> {
        let keys = self.section(section)?;
        let found = keys.and_then(|keys| keys.get_key_value(key));
        Ok(found.map(|(name, value)| (self.place(name), value.get_ref())))
    }
}

impl<'a> Reader<'a> {
    /// Over a file, if there is one, and the environment, which wins.
    pub(super) fn new(file: Option<File<'a>>, environment: &'a Environment) -> Self {
        Self {
            file,
            environment,
            known: Vec::new(),
            lists: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The setting's value, or `default` when it is given nowhere. A value in the file is checked
    /// even if the environment overrides it, so that it cannot lie in wait.
    pub(super) fn get<T>(
        &mut self,
        section: &'static str,
        key: &'static str,
        default: T,
        parse: impl Fn(Given<'_>) -> Result<T, Fault>,
    ) -> Result<T, ConfigError> {
        self.known.push(Known { section, key });
        let mut value = default;
        if let Some(file) = &self.file
            && let Some((place, found)) = file.find(section, key)?
        {
            let parsed = parse(Given::File {
                value: found,
                folder: file.folder(),
            });
            value = parsed
                .map_err(|fault| ConfigError::new(format!("{place}: `{section}.{key}` {fault}")))?;
        }
        let name = variable(section, key);
        if let Some(text) = self.environment.text(&name) {
            value = parse(Given::Environment(text))
                .map_err(|fault| ConfigError::new(format!("{name} {fault}")))?;
        }
        Ok(value)
    }

    /// Two settings of which none means anything without the other.
    pub(super) fn both<A, B>(
        &self,
        section: &str,
        [first, second]: [&str; 2],
        values: (Option<A>, Option<B>),
    ) -> Result<Option<(A, B)>, ConfigError> {
        let half = |set, unset| {
            Err(ConfigError::new(format!(
                "{} is set and {} is not: set both or neither",
                self.place(section, set),
                self.place(section, unset)
            )))
        };
        match values {
            (None, None) => Ok(None),
            (Some(a), Some(b)) => Ok(Some((a, b))),
            (Some(_), None) => half(first, second),
            (None, Some(_)) => half(second, first),
        }
    }

    /// The sections that may stand in the file more than once, in their order: by themselves, or
    /// within one that stands there once.
    pub(super) fn tables(&mut self, kind: &'static Kind) -> Result<Vec<Table<'_>>, ConfigError> {
        self.lists.push(kind.path);
        let Some(file) = &self.file else {
            return Ok(Vec::new());
        };
        let within = match kind.path.split_once('.') {
            Some((section, _)) => file.section(section)?,
            None => Some(&file.table),
        };
        within.map_or_else(|| Ok(Vec::new()), |within| Table::list(file, within, kind))
    }

    /// Notes what is probably not meant.
    pub(super) fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    /// Where a setting was given, for a message about two of them.
    pub(super) fn place(&self, section: &str, key: &str) -> String {
        let name = variable(section, key);
        if self.environment.text(&name).is_some() {
            return name;
        }
        let found = self.file.as_ref().map(|file| file.find(section, key));
        match found {
            Some(Ok(Some((place, _)))) => format!("`{section}.{key}` ({place})"),
            _ => format!("`{section}.{key}`"),
        }
    }

    /// Refuses every name in the file and the environment that nobody read; warns of those that are
    /// only likely to be meant as a setting, after what was noted before.
    pub(super) fn finish(mut self) -> Result<Vec<String>, ConfigError> {
        if let Some(file) = &self.file {
            super::unknown::in_file(file, &self.known, &self.lists)?;
        }
        super::unknown::in_environment(self.environment, &self.known)?;
        let meant = super::unknown::likely_meant(self.environment, &self.known);
        self.warnings.extend(meant);
        Ok(self.warnings)
    }

    /// The settings read so far.
    #[cfg(test)]
    pub(super) fn known(&self) -> &[Known] {
        &self.known
    }
}

/// The number of the line that follows `before`, from 1.
fn line_after(before: &[u8]) -> usize {
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

//! The part of the process environment that settings come from, captured once.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use super::ConfigError;

/// How all our variables begin.
pub(super) const PREFIX: &str = "NETBIRD_AUTH_";

/// The variable that names the settings file.
pub(super) const CONFIG: &str = "NETBIRD_AUTH_CONFIG";

/// A copy of the environment variables this program looks at. Has no `Debug`: it may hold a secret.
#[derive(Default)]
pub struct Environment(BTreeMap<String, OsString>);

impl Environment {
    /// Copies what matters from the environment of this process.
    pub fn from_process() -> Self {
        Self::new(std::env::vars_os())
    }

    /// Copies what matters from `variables`, pairs of name and value.
    pub fn new<N, V>(variables: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        let named = variables.into_iter().map(|(name, value)| {
            let name: OsString = name.into();
            (name.to_string_lossy().into_owned(), value.into())
        });
        let matters =
            |name: &str| name.starts_with(PREFIX) || name == "XDG_CONFIG_HOME" || name == "HOME";
        Self(named.filter(|(name, _)| matters(name)).collect())
    }

    /// Refuses values that are not UTF-8, so that [`Self::text`] may treat them as absent.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let broken = self
            .0
            .iter()
            .find(|(name, value)| name.starts_with(PREFIX) && value.to_str().is_none());
        match broken {
            Some((name, _)) => Err(ConfigError::new(format!("{name} is not valid UTF-8"))),
            None => Ok(()),
        }
    }

    /// The value of a variable.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.to_str()
    }

    /// The value of a variable as a path; empty is as good as unset.
    pub(super) fn path(&self, name: &str) -> Option<&Path> {
        let value = self.0.get(name).filter(|value| !value.is_empty())?;
        Some(Path::new(value))
    }

    /// Every name with our prefix.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.0.keys().map(String::as_str);
        names.filter(|name| name.starts_with(PREFIX))
    }

    /// The names that have the form of a setting. Others are left alone: Kubernetes, for one, sets
    /// `NETBIRD_AUTH_SERVICE_HOST` for a service called `netbird-auth`.
    pub(super) fn setting_names(&self) -> impl Iterator<Item = &str> {
        let names = self.0.keys().map(String::as_str);
        names.filter(|name| {
            name.strip_prefix(PREFIX)
                .is_some_and(|rest| rest.contains("__"))
        })
    }
}

/// The variable that overrides a setting: `NETBIRD_AUTH_SERVER__LISTEN` for `[server] listen`.
pub(super) fn variable(section: &str, key: &str) -> String {
    format!("{PREFIX}{section}__{key}").to_ascii_uppercase()
}

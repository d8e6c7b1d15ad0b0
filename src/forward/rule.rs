//! One rule: which requests it is for, and whom it admits.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::Original;
use super::original::{clean_path, parse_host};
use crate::user::{Role, User, UserId};

/// One `[[forward_auth.rule]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Of whose site.
    pub host: HostPattern,
    /// Which part of the site; all of it without one.
    pub path_prefix: Option<PathPrefix>,
    /// Which methods; every one where there is none.
    pub methods: Vec<Box<str>>,
    /// Who has one of these roles is admitted.
    pub allow_roles: Vec<Role>,
    /// Who has one of these ids is admitted.
    pub allow_users: Vec<UserId>,
    /// Service users are admitted.
    pub allow_service_users: bool,
    /// From where, if not from everywhere. It narrows whom the rule admits.
    pub client_cidrs: Vec<IpNet>,
    /// Everybody is admitted, without a credential.
    pub public: bool,
    /// CORS preflights pass without a credential: browsers send none with them.
    pub cors_preflight: bool,
}

/// What a rule has to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It is for another host.
    OtherHost,
    /// It is for other methods.
    OtherMethod,
    /// It is for another path.
    OtherPath,
    /// It does not match; but an app may understand the path as one that it is for.
    UnclearPath,
    /// It matches.
    Matches,
}

/// A host, or all hosts one or more labels below one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// Exactly this one.
    Exact(Box<str>),
    /// `*.` before it: not the host itself.
    Below(Box<str>),
}

/// The beginning of a path, segment by segment: `/api` is not that of `/apis`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPrefix(Box<str>);

/// Why a text is no host or path of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternFault {
    /// For example a URL, or a `*` somewhere else.
    #[error("must be a host such as grafana.home.arpa, or all below one: *.home.arpa")]
    Host,
    /// For example without a `/` before it, or with `..` in it.
    #[error(
        "must be a path such as /api, which is for all below it too: no *, encoding, query, //, . and \
         .. segments"
    )]
    Path,
}

impl HostPattern {
    /// Reads a pattern. The port is not part of it.
    ///
    /// # Errors
    /// [`PatternFault::Host`].
    pub fn parse(text: &str) -> Result<Self, PatternFault> {
        let (name, is_below) = match text.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (text, false),
        };
        let host = parse_host(name).filter(|host| host.eq_ignore_ascii_case(name));
        let host = host.ok_or(PatternFault::Host)?.into();
        match is_below {
            true if name.starts_with('[') => Err(PatternFault::Host),
            true => Ok(Self::Below(host)),
            false => Ok(Self::Exact(host)),
        }
    }

    fn fits(&self, host: &str) -> bool {
        match self {
            Self::Exact(exact) => **exact == *host,
            Self::Below(above) => {
                let below = host.strip_suffix(&**above);
                below.is_some_and(|below| below.len() > 1 && below.ends_with('.'))
            }
        }
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            "" => f.write_str("/"),
            path => f.write_str(path),
        }
    }
}

impl PathPrefix {
    /// Reads a prefix; a `/` at its end says nothing.
    ///
    /// # Errors
    /// [`PatternFault::Path`].
    pub fn parse(text: &str) -> Result<Self, PatternFault> {
        // A `*` would be meant as a pattern.
        let is_plain = !text.contains(['?', '*']);
        let path = clean_path(text.as_bytes()).filter(|path| path == text && is_plain);
        let path = path.ok_or(PatternFault::Path)?;
        Ok(Self(path.trim_end_matches('/').into()))
    }

    /// Whether a path is the prefix or below it.
    pub fn fits(&self, path: &str) -> bool {
        let rest = path.strip_prefix(&*self.0);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl Rule {
    /// What the rule has to do with a request.
    pub(super) fn fit(&self, original: &Original) -> Fit {
        if !self.host.fits(&original.host) {
            return Fit::OtherHost;
        }
        let has_method = self.methods.is_empty()
            || self.methods.iter().any(|known| **known == *original.method)
            || (self.cors_preflight && original.is_preflight);
        if !has_method {
            return Fit::OtherMethod;
        }
        match (&self.path_prefix, &original.path) {
            (None, _) => Fit::Matches,
            (Some(prefix), Some(path)) if prefix.fits(path) => Fit::Matches,
            (Some(_), Some(_)) => Fit::OtherPath,
            (Some(_), None) => Fit::UnclearPath,
        }
    }

    /// Whether the request passes without a credential.
    pub(super) fn is_open(&self, original: &Original, client: Option<IpAddr>) -> bool {
        let is_preflight = self.cors_preflight && original.is_preflight;
        self.public || (is_preflight && self.admits_client(client))
    }

    /// Whether it admits a user.
    pub(super) fn admits(&self, user: &User) -> bool {
        let admits_all =
            self.allow_roles.is_empty() && self.allow_users.is_empty() && !self.allow_service_users;
        admits_all
            || self.allow_roles.contains(&user.role)
            || self.allow_users.contains(&user.id)
            || (self.allow_service_users && user.is_service)
    }

    /// Whether it admits a client's address; an unknown one only where it asks for none.
    pub(super) fn admits_client(&self, client: Option<IpAddr>) -> bool {
        let admits = |client| self.client_cidrs.iter().any(|net| net.contains(&client));
        self.client_cidrs.is_empty() || client.is_some_and(admits)
    }
}

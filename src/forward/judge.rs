//! Which rules a request has to do with, and whether they let it pass.

use std::borrow::Cow;
use std::net::IpAddr;

use super::{Fit, ForwardAuth, Original, Rule, Unmatched};
use crate::user::{Role, User};

/// What a request needs, before anybody's credential is looked at.
#[derive(Debug)]
pub enum Plan<'r> {
    /// Nothing: a public rule, or a preflight that a rule lets pass.
    Open,
    /// A credential whose user all of these rules admit, by number from 1.
    ///
    /// There is one rule mostly. Where the path can't be told, an app may take the request for one
    /// of a rule with a path: then the user must be admitted whichever of them was meant.
    Rules(Vec<(usize, &'r Rule)>),
    /// A credential that satisfies these, as above, and passes or not by the default.
    Unmatched(Vec<(usize, &'r Rule)>, Unmatched),
}

/// Why somebody known does not pass.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// The default is to deny.
    #[error("no forward_auth rule matches {method} on {host} with this path")]
    NoRule {
        /// As the proxy told it.
        method: Cow<'static, str>,
        /// As the proxy told it.
        host: Box<str>,
    },
    /// The rule is for others.
    #[error("forward_auth rule {0} does not admit this user, of the role {1}")]
    User(usize, Role),
    /// The rule is for other clients.
    #[error("forward_auth rule {0} does not admit this client address")]
    Client(usize),
}

/// Finds the first rule that matches a request of a client, whose address is not always known.
pub fn plan<'r>(
    settings: &'r ForwardAuth,
    original: &Original,
    client: Option<IpAddr>,
) -> Plan<'r> {
    let mut needed = Vec::new();
    for (number, rule) in settings.rules.for_host(&original.host) {
        let fit = rule.fit(original);
        let is_open = || rule.is_open(original, client);
        match fit {
            Fit::OtherHost | Fit::OtherMethod | Fit::OtherPath => {}
            // It opens nothing, and may have to be satisfied.
            Fit::UnclearPath if is_open() => {}
            Fit::UnclearPath => needed.push((number, rule)),
            Fit::Matches if is_open() && needed.is_empty() => return Plan::Open,
            Fit::Matches => {
                if !is_open() {
                    needed.push((number, rule));
                }
                return Plan::Rules(needed);
            }
        }
    }
    Plan::Unmatched(needed, settings.unmatched)
}

/// What each rule has to do with a request, down to the first that matches.
pub fn fits(settings: &ForwardAuth, original: &Original) -> Vec<Fit> {
    let mut fits = Vec::new();
    for rule in settings.rules.iter() {
        let fit = rule.fit(original);
        fits.push(fit);
        if fit == Fit::Matches {
            break;
        }
    }
    fits
}

impl<'r> Plan<'r> {
    /// The rules that somebody has to satisfy, by number from 1.
    pub fn needed(&self) -> &[(usize, &'r Rule)] {
        match self {
            Self::Open => &[],
            Self::Rules(rules) | Self::Unmatched(rules, _) => rules,
        }
    }

    /// Whether anybody at all passes who comes from an address. Judged before a login is written.
    ///
    /// # Errors
    /// [`Denial`] names the rule, or that there is none.
    pub fn admit_anybody(&self, client: Option<IpAddr>, original: &Original) -> Result<(), Denial> {
        if let Self::Unmatched(_, Unmatched::Deny) = self {
            return Err(Denial::NoRule {
                method: original.method.clone(),
                host: original.host.clone(),
            });
        }
        match self
            .needed()
            .iter()
            .find(|(_, rule)| !rule.admits_client(client))
        {
            Some((number, _)) => Err(Denial::Client(*number)),
            None => Ok(()),
        }
    }

    /// Whether a user passes who comes from an address.
    ///
    /// # Errors
    /// As [`Plan::admit_anybody`], and where a rule does not admit the user.
    pub fn admit(
        &self,
        user: &User,
        client: Option<IpAddr>,
        original: &Original,
    ) -> Result<(), Denial> {
        self.admit_anybody(client, original)?;
        match self.needed().iter().find(|(_, rule)| !rule.admits(user)) {
            Some((number, _)) => Err(Denial::User(*number, user.role)),
            None => Ok(()),
        }
    }
}

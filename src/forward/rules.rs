//! All rules in their order, found by host: most of many are for other sites.

use std::ops::Deref;

use hashbrown::HashMap;

use super::{HostPattern, Rule};

/// The rules, and which of them may be for a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    all: Vec<Rule>,
    /// Places of the rules for exactly this host.
    exact: HashMap<Box<str>, Vec<usize>>,
    /// Places of the rules for all hosts below one.
    below: Vec<usize>,
    /// Whether any rule asks for the client's address.
    ask_for_client: bool,
}

impl Rules {
    /// Whether any rule asks for the client's address.
    pub const fn ask_for_client(&self) -> bool {
        self.ask_for_client
    }

    /// The rules that may be for a host, by number from 1, in their order.
    pub(super) fn for_host<'r>(&'r self, host: &str) -> impl Iterator<Item = (usize, &'r Rule)> {
        let exact = self.exact.get(host).map_or(&[][..], Vec::as_slice);
        let (mut exact, mut below) = (exact.iter().peekable(), self.below.iter().peekable());
        std::iter::from_fn(move || {
            let place = match (exact.peek(), below.peek()) {
                (Some(one), Some(other)) if one < other => exact.next(),
                (Some(_), None) => exact.next(),
                _ => below.next(),
            };
            let place = *place?;
            Some((place + 1, self.all.get(place)?))
        })
    }
}

impl FromIterator<Rule> for Rules {
    fn from_iter<I: IntoIterator<Item = Rule>>(all: I) -> Self {
        let all = Vec::from_iter(all);
        let mut rules = Self {
            ask_for_client: all.iter().any(|rule| !rule.client_cidrs.is_empty()),
            ..Self::default()
        };
        for (place, rule) in all.iter().enumerate() {
            match &rule.host {
                HostPattern::Exact(host) => {
                    rules.exact.entry(host.clone()).or_default().push(place);
                }
                HostPattern::Below(_) => rules.below.push(place),
            }
        }
        rules.all = all;
        rules
    }
}

impl Deref for Rules {
    type Target = [Rule];

    fn deref(&self) -> &[Rule] {
        &self.all
    }
}

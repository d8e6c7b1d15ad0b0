//! Rules of which nothing is left: earlier ones match all that they match.

use crate::forward::{HostPattern, PathPrefix, Rule};

/// A rule, and what of it the message needs.
pub(super) struct Placed {
    pub(super) rule: Rule,
    /// `file:line`.
    pub(super) place: String,
}

/// One line for each rule that never matches.
pub(super) fn warnings(rules: &[Placed]) -> Vec<String> {
    let mut warnings = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let mut before = rules.iter().zip(1..).take(index);
        if let Some((_, number)) = before.find(|(other, _)| covers(other, rule)) {
            warnings.push(format!(
                "{}: forward_auth rule {} never matches: rule {number} is for all of it",
                rule.place,
                index + 1
            ));
        }
    }
    warnings
}

/// Whether one rule is for every request that the other is for.
fn covers(one: &Placed, other: &Placed) -> bool {
    has_host(&one.rule.host, &other.rule.host)
        && has_path(&one.rule.path_prefix, &other.rule.path_prefix)
        && has_methods(&one.rule, &other.rule)
}

fn has_host(one: &HostPattern, other: &HostPattern) -> bool {
    match (one, other) {
        (HostPattern::Exact(one), HostPattern::Exact(other)) => one == other,
        (HostPattern::Exact(_), HostPattern::Below(_)) => false,
        (HostPattern::Below(one), HostPattern::Exact(other)) => is_below(one, other),
        (HostPattern::Below(one), HostPattern::Below(other)) => {
            one == other || is_below(one, other)
        }
    }
}

fn is_below(above: &str, host: &str) -> bool {
    let below = host.strip_suffix(above);
    below.is_some_and(|below| below.ends_with('.'))
}

/// A rule with a path never matches where the path is unclear, one without does.
fn has_path(one: &Option<PathPrefix>, other: &Option<PathPrefix>) -> bool {
    match (one, other) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(one), Some(other)) => one.fits(&other.to_string()),
    }
}

fn has_methods(one: &Rule, other: &Rule) -> bool {
    if one.methods.is_empty() {
        return true;
    }
    // A preflight matches whatever the methods are.
    let lets_more_pass = other.methods.is_empty() || other.cors_preflight;
    !lets_more_pass
        && other
            .methods
            .iter()
            .all(|method| one.methods.contains(method))
}

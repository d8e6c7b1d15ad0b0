//! Names that mean nothing, each answered with the nearest that does: a setting that is ignored
//! because of a typing error is worse than a server that does not start.

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::environment::{PREFIX, variable};
use super::reader::{File, Known};
use super::table::Kind;
use super::{ConfigError, Environment};

/// Jaro-Winkler similarity from which a name is taken for the other one, mistyped.
const NEAR: f64 = 0.7;

/// Refuses the first name in the file that is neither `known` nor one of the `lists`, whose tables
/// were looked at by [`in_table`]. A list within a section is written `section.key`.
pub(super) fn in_file(file: &File<'_>, known: &[Known], lists: &[&str]) -> Result<(), ConfigError> {
    let mut unknown = Vec::new();
    for (name, value) in file.table() {
        let section = name.get_ref().as_ref();
        match value.get_ref() {
            _ if lists.contains(&section) => {}
            value if !known.iter().any(|known| known.section == section) => {
                unknown.push((name, unknown_at_top(section, value, known, lists)));
            }
            DeValue::Table(keys) => {
                let known = known.iter().filter(|known| known.section == section);
                let within = lists.iter().filter_map(|list| list.split_once('.'));
                let within = within.filter(|(around, _)| *around == section);
                let known = known.map(|known| known.key);
                let known: Vec<&str> = known.chain(within.map(|(_, key)| key)).collect();
                unknown.extend(unknown_in(&format!("[{section}]"), keys, &known));
            }
            // Known, and not a table: whoever read it has refused it.
            _ => {}
        }
    }
    refuse_first(file, unknown)
}

/// Refuses the first key that is none of its kind.
pub(super) fn in_table(
    file: &File<'_>,
    kind: &Kind,
    keys: &DeTable<'_>,
) -> Result<(), ConfigError> {
    let unknown = unknown_in(&format!("[[{}]]", kind.path), keys, kind.keys);
    refuse_first(file, unknown)
}

/// A name with what is to be said of it.
type Unknown<'t, 'a> = (&'t Spanned<DeString<'a>>, String);

/// A table is ordered by name; the person reads from the top.
fn refuse_first(file: &File<'_>, unknown: Vec<Unknown<'_, '_>>) -> Result<(), ConfigError> {
    match unknown
        .into_iter()
        .min_by_key(|(name, _)| name.span().start)
    {
        Some((name, message)) => {
            let place = file.place(name);
            Err(ConfigError::new(format!("{place}: {message}")))
        }
        None => Ok(()),
    }
}

fn unknown_at_top(name: &str, value: &DeValue<'_>, known: &[Known], lists: &[&str]) -> String {
    let is_section = match value {
        DeValue::Table(_) => true,
        DeValue::Array(items) => {
            let first = items.first().map(Spanned::get_ref);
            matches!(first, Some(DeValue::Table(_)))
        }
        _ => false,
    };
    if is_section {
        let within = |list: &&&str| list.split_once('.').is_some_and(|(_, key)| key == name);
        if let Some(list) = lists.iter().find(within) {
            return format!("unknown section `{name}`; did you mean `{list}`?");
        }
        let sections = known.iter().map(|known| known.section);
        let sections = sections.chain(lists.iter().copied());
        return format!("unknown section `{name}`; {}", hint(name, sections));
    }
    let same = known.iter().find(|known| known.key == name);
    let hint = match same {
        Some(Known { section, .. }) => format!("it belongs below [{section}]"),
        None => hint(name, known.iter().map(|known| known.key)),
    };
    format!("unknown key `{name}` outside of any section; {hint}")
}

fn unknown_in<'t, 'a>(header: &str, keys: &'t DeTable<'a>, known: &[&str]) -> Vec<Unknown<'t, 'a>> {
    let mut unknown = Vec::new();
    for (key, _) in keys {
        let name = key.get_ref().as_ref();
        if !known.contains(&name) {
            let hint = hint(name, known.iter().copied());
            unknown.push((key, format!("unknown key `{name}` in {header}; {hint}")));
        }
    }
    unknown
}

/// Refuses the first variable with the form of a setting that is not `known`.
pub(super) fn in_environment(
    environment: &Environment,
    known: &[Known],
) -> Result<(), ConfigError> {
    let known: Vec<String> = known
        .iter()
        .map(|known| variable(known.section, known.key))
        .collect();
    let one_underscore = |name: &str| known.iter().find(|known| known.replace("__", "_") == name);
    if let Some((wrong, right)) = environment
        .names()
        .find_map(|name| Some((name, one_underscore(name)?)))
    {
        return Err(ConfigError::new(format!(
            "{wrong} is no setting; did you mean `{right}`?"
        )));
    }
    let wrong = environment
        .setting_names()
        .find(|name| !known.iter().any(|known| known == name));
    let Some(wrong) = wrong else { return Ok(()) };
    if wrong.starts_with(&format!("{PREFIX}ISSUER__")) {
        return Err(ConfigError::new(format!(
            "{wrong} is no setting; [[issuer]] stands in the file only"
        )));
    }
    // All share the prefix, which says nothing of how near they are.
    let rest = |name: &'_ str| name.strip_prefix(PREFIX).map(str::to_owned);
    let names: Vec<String> = known.iter().filter_map(|name| rest(name)).collect();
    let nearest = nearest(
        wrong.strip_prefix(PREFIX).unwrap_or(wrong),
        names.iter().map(String::as_str),
    );
    let hint = match nearest {
        Some((score, name)) if score >= NEAR => format!("; did you mean `{PREFIX}{name}`?"),
        _ => "; netbird-auth.toml has them all".to_owned(),
    };
    Err(ConfigError::new(format!("{wrong} is no setting{hint}")))
}

/// Variables that are a key without its section. They may be somebody else's
/// (`NETBIRD_AUTH_TOKEN` of a client, say), so they only deserve a warning.
pub(super) fn likely_meant(environment: &Environment, known: &[Known]) -> Vec<String> {
    let meant = |name: &str| {
        let key = name.strip_prefix(PREFIX)?;
        known
            .iter()
            .find(|known| known.key.eq_ignore_ascii_case(key))
    };
    let names = environment.names();
    names
        .filter_map(|name| {
            let Known { section, key } = meant(name)?;
            let right = variable(section, key);
            Some(format!(
                "the variable {name} is no setting and was passed over; did you mean {right}?"
            ))
        })
        .collect()
}

/// The nearest name if it is near, else all of them.
fn hint<'n>(wrong: &str, names: impl Iterator<Item = &'n str> + Clone) -> String {
    match nearest(wrong, names.clone()) {
        Some((score, name)) if score >= NEAR => format!("did you mean `{name}`?"),
        _ => {
            let mut names: Vec<&str> = names.collect();
            names.sort_unstable();
            names.dedup();
            format!("there are {}", names.join(", "))
        }
    }
}

fn nearest<'n>(wrong: &str, names: impl Iterator<Item = &'n str>) -> Option<(f64, &'n str)> {
    let wrong = wrong.to_ascii_lowercase();
    names
        .map(|name| {
            (
                strsim::jaro_winkler(&wrong, &name.to_ascii_lowercase()),
                name,
            )
        })
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
}

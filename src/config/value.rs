//! From what stands in the file or a variable to a checked value, one function a type.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use log::LevelFilter;
use toml::Spanned;
use toml::de::{DeArray, DeValue};

use super::settings::LogFormat;

/// The rest of a sentence that begins with the setting's name: "must be …". Never holds the value.
pub(super) type Fault = String;

/// What is said of nothing where something must be.
pub(super) const EMPTY: &str = "must not be empty";

const TEXT_LIMIT: usize = 255;

/// In seconds, as `DAY` is.
const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * MINUTE;

/// A value as it was given.
#[derive(Clone, Copy)]
pub(super) enum Given<'v> {
    /// In the file, which stands in `folder`.
    File {
        value: &'v DeValue<'v>,
        folder: &'v Path,
    },
    /// In a variable.
    Environment(&'v str),
}

impl<'v> Given<'v> {
    /// A string.
    pub(super) fn text(self) -> Result<&'v str, Fault> {
        match self {
            Self::Environment(text) => Ok(text),
            Self::File { value, .. } => string(value).ok_or("must be a string".to_owned()),
        }
    }

    /// A list of strings; in a variable, separated by commas.
    fn list(self) -> Result<Vec<&'v str>, Fault> {
        match self {
            Self::Environment(text) if text.trim().is_empty() => Ok(Vec::new()),
            Self::Environment(text) => Ok(text.split(',').map(str::trim).collect()),
            Self::File { value, .. } => {
                strings(value).ok_or("must be a list of strings".to_owned())
            }
        }
    }

    /// A table of strings; there is no such thing in a variable.
    pub(super) fn pairs(self) -> Result<Vec<(&'v str, &'v str)>, Fault> {
        let pairs = match self {
            Self::File {
                value: DeValue::Table(table),
                ..
            } => {
                let pairs = table.iter();
                pairs
                    .map(|(key, value)| Some((key.get_ref().as_ref(), string(value.get_ref())?)))
                    .collect()
            }
            _ => None,
        };
        pairs.ok_or("must be a table of strings, such as { key = \"value\" }".to_owned())
    }
}

fn string<'v>(value: &'v DeValue<'v>) -> Option<&'v str> {
    match value {
        DeValue::String(text) => Some(text.as_ref()),
        _ => None,
    }
}

fn strings<'v>(value: &'v DeValue<'v>) -> Option<Vec<&'v str>> {
    let DeValue::Array(items) = value else {
        return None;
    };
    let items: &DeArray<'v> = items;
    items.iter().map(Spanned::get_ref).map(string).collect()
}

/// `true` or `false`.
pub(super) fn boolean(given: Given<'_>) -> Result<bool, Fault> {
    let found = match given {
        Given::Environment(text) => text.parse().ok(),
        Given::File { value, .. } => match value {
            DeValue::Boolean(value) => Some(*value),
            _ => None,
        },
    };
    found.ok_or("must be true or false".to_owned())
}

/// A whole number within `range`.
pub(super) fn integer<T>(range: RangeInclusive<u32>) -> impl Fn(Given<'_>) -> Result<T, Fault>
where
    T: TryFrom<u32>,
{
    move |given| {
        let found = match given {
            Given::Environment(text) => text.parse().ok(),
            Given::File { value, .. } => match value {
                DeValue::Integer(value) => u32::from_str_radix(value.as_str(), value.radix()).ok(),
                _ => None,
            },
        };
        let (from, to) = (range.start(), range.end());
        found
            .filter(|number| range.contains(number))
            .and_then(|number| T::try_from(number).ok())
            .ok_or(format!("must be a whole number from {from} to {to}"))
    }
}

/// A time in whole seconds within `range`.
pub(super) fn seconds(range: RangeInclusive<u32>) -> impl Fn(Given<'_>) -> Result<Duration, Fault> {
    let number = integer(range);
    move |given| number(given).map(Duration::from_secs)
}

/// A time in minutes, hours or days, such as "12h".
pub(super) fn period(
    range: RangeInclusive<Duration>,
) -> impl Fn(Given<'_>) -> Result<Duration, Fault> {
    move |given| {
        let text = given.text()?;
        let units = [("m", MINUTE), ("h", 60 * MINUTE), ("d", DAY)];
        let found = units.into_iter().find_map(|(unit, seconds)| {
            let number: u32 = text.strip_suffix(unit)?.parse().ok()?;
            Some(Duration::from_secs(u64::from(number) * seconds))
        });
        found.filter(|time| range.contains(time)).ok_or(
            "must be minutes, hours or days, such as \"30m\", \"12h\" or \"7d\", and from 1m to 365d"
                .to_owned(),
        )
    }
}

/// A path, or nothing.
pub(super) fn optional_path(given: Given<'_>) -> Result<Option<PathBuf>, Fault> {
    match given.text()? {
        "" => Ok(None),
        _ => path(given).map(Some),
    }
}

/// A time in whole days within `range`.
pub(super) fn days(range: RangeInclusive<u32>) -> impl Fn(Given<'_>) -> Result<Duration, Fault> {
    let number = integer(range);
    move |given| number(given).map(|days: u32| Duration::from_secs(u64::from(days) * DAY))
}

/// A time of up to `most` days; 0 is none.
pub(super) fn optional_days(most: u32) -> impl Fn(Given<'_>) -> Result<Option<Duration>, Fault> {
    let number = optional_integer(most);
    move |given| Ok(number(given)?.map(|days| Duration::from_secs(u64::from(days.get()) * DAY)))
}

/// A whole number of up to `most`; 0 is none.
pub(super) fn optional_integer(
    most: u32,
) -> impl Fn(Given<'_>) -> Result<Option<NonZeroU32>, Fault> {
    let number = integer(0..=most);
    move |given| number(given).map(NonZeroU32::new)
}

/// A path. In the file, relative to its folder, so that a file means the same wherever it is
/// started from; in a variable, relative to the working directory.
pub(super) fn path(given: Given<'_>) -> Result<PathBuf, Fault> {
    path_of(given.text()?, given)
}

/// As [`path`], of a text that is only a part of what was given.
pub(super) fn path_of(text: &str, given: Given<'_>) -> Result<PathBuf, Fault> {
    if text.is_empty() || text.contains('\0') {
        return Err("must be a path".to_owned());
    }
    Ok(match given {
        Given::Environment(_) => PathBuf::from(text),
        Given::File { folder, .. } => folder.join(text),
    })
}

/// An IP address with a port, or nothing.
pub(super) fn optional_socket_address(given: Given<'_>) -> Result<Option<SocketAddr>, Fault> {
    match given.text()? {
        "" => Ok(None),
        text => parsed(text).map(Some).ok_or(
            "must be empty, or an IP address with a port, such as 127.0.0.1:9090".to_owned(),
        ),
    }
}

/// Networks; an address alone is a network of one.
pub(super) fn networks(given: Given<'_>) -> Result<Vec<IpNet>, Fault> {
    each(given, |item| {
        let network = parsed(item).or_else(|| parsed::<IpAddr>(item).map(IpNet::from));
        match network {
            // Addresses are compared as IPv4 where they are that.
            Some(IpNet::V6(network)) if network.addr().to_ipv4_mapped().is_some() => {
                Err("must be written as IPv4")
            }
            Some(network) => Ok(network),
            None => Err("must be a network such as 10.0.0.0/8, or an address"),
        }
    })
}

/// Origins as browsers send them.
pub(super) fn origins(given: Given<'_>) -> Result<Vec<String>, Fault> {
    each(given, |item| {
        super::origin::check(item).map(|()| item.to_owned())
    })
}

/// A display name: 1 to 255 bytes in one line.
pub(super) fn name(given: Given<'_>) -> Result<String, Fault> {
    let text = given.text()?;
    if text.trim().is_empty() || !is_short_line(text) {
        return Err("must be 1 to 255 bytes without control characters".to_owned());
    }
    Ok(text.to_owned())
}

/// 1 to 255 bytes in one line.
pub(super) fn line(given: Given<'_>) -> Result<Box<str>, Fault> {
    one_line(given.text()?).map_err(str::to_owned)
}

/// A list of such lines; it may be empty.
pub(super) fn lines(given: Given<'_>) -> Result<Vec<Box<str>>, Fault> {
    each(given, one_line)
}

fn one_line(text: &str) -> Result<Box<str>, &'static str> {
    if text.is_empty() || !is_short_line(text) {
        return Err("must be 1 to 255 bytes without control characters");
    }
    Ok(text.into())
}

/// An e-mail address, or nothing. Only its rough form is judged: nothing is ever sent to it.
pub(super) fn email(given: Given<'_>) -> Result<String, Fault> {
    let text = given.text()?;
    if !text.is_empty() && (!text.contains('@') || !is_short_line(text)) {
        return Err("must be empty, or an address with an @ of up to 255 bytes".to_owned());
    }
    Ok(text.to_owned())
}

/// How much is logged.
pub(super) fn level(given: Given<'_>) -> Result<LevelFilter, Fault> {
    let levels = LevelFilter::iter();
    let text = given.text()?;
    let found = levels
        .into_iter()
        .find(|level| level.as_str().to_ascii_lowercase() == text);
    found.ok_or("must be off, error, warn, info, debug or trace".to_owned())
}

/// How it is logged.
pub(super) fn log_format(given: Given<'_>) -> Result<LogFormat, Fault> {
    match given.text()? {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("must be text or json".to_owned()),
    }
}

/// A list, its items read by `parse`.
pub(super) fn each<T, F: Display>(
    given: Given<'_>,
    parse: impl Fn(&str) -> Result<T, F>,
) -> Result<Vec<T>, Fault> {
    let items = given.list()?.into_iter().zip(1..);
    items
        .map(|(item, number)| parse(item).map_err(|fault| format!("item {number} {fault}")))
        .collect()
}

fn parsed<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

fn is_short_line(text: &str) -> bool {
    text.len() <= TEXT_LIMIT && !text.chars().any(char::is_control)
}

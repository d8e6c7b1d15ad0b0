//! Retention: the oldest audit events go, and the floor of `audit_floor` moves up with them.
//!
//! Events are numbered without gaps: a number that a rolled back change took is given back. So what is
//! kept is the numbers from the floor to the newest, and only the first of them can go.

use std::num::NonZeroU32;
use std::time::Duration;

use rusqlite::{Connection, named_params};

use super::last_audit_number;
use crate::clock::Timestamp;

/// How long audit events are kept, and how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Events older than this go; `None` is for ever.
    pub keep: Option<Duration>,
    /// The oldest beyond so many go; `None` is no limit.
    pub max_events: Option<NonZeroU32>,
}

impl Retention {
    /// Whether nothing ever goes.
    pub fn keeps_all(&self) -> bool {
        *self == Self::default()
    }
}

/// Deletes the oldest events that needn't be kept, at most `most`, in the caller's transaction; how
/// many. Where it is `most`, there may be more.
///
/// # Errors
/// What SQLite says; then the transaction must be rolled back, or the floor may be above events.
pub fn delete_old_audit(
    connection: &Connection,
    retention: &Retention,
    now: Timestamp,
    most: u32,
) -> rusqlite::Result<u32> {
    let Some(floor) = new_floor(connection, retention, now, most)? else {
        return Ok(0);
    };
    // First: the trigger refuses to delete from the floor on.
    connection
        .prepare_cached("UPDATE audit_floor SET number = :floor")?
        .execute(named_params! { ":floor": floor })?;
    let deleted = connection
        .prepare_cached("DELETE FROM audit_events WHERE number < :floor")?
        .execute(named_params! { ":floor": floor })?;
    Ok(u32::try_from(deleted).unwrap_or(u32::MAX))
}

/// Whether [`delete_old_audit`] would delete anything: a few rows are read, and nothing is written.
///
/// # Errors
/// What SQLite says.
pub fn has_old_audit(
    connection: &Connection,
    retention: &Retention,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    Ok(new_floor(connection, retention, now, 1)?.is_some())
}

/// Where the floor moves to, at most `most` further; `None` where it stays.
fn new_floor(
    connection: &Connection,
    retention: &Retention,
    now: Timestamp,
    most: u32,
) -> rusqlite::Result<Option<i64>> {
    if retention.keeps_all() {
        return Ok(None);
    }
    let floor: i64 = connection
        .prepare_cached("SELECT number FROM audit_floor")?
        .query_row((), |row| row.get(0))?;
    let end = last_audit_number(connection)?.saturating_add(1);
    let reach = floor.saturating_add(most.into()).min(end);
    let by_count = retention
        .max_events
        .map_or(floor, |limit| end.saturating_sub(limit.get().into()));
    let by_age = match retention.keep {
        Some(keep) => first_since(connection, floor, reach, now.minus(keep))?,
        None => floor,
    };
    let moved = by_count.max(by_age).min(reach);
    Ok((moved > floor).then_some(moved))
}

/// The first event in a range that is not older than a time, or the range's end. Where the clock was
/// put back, an older event may come after it: that one stays until those before it are old enough, too.
fn first_since(
    connection: &Connection,
    from: i64,
    end: i64,
    time: Timestamp,
) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(
            "SELECT coalesce((SELECT number FROM audit_events
                              WHERE number >= :from AND number < :end AND at >= :time
                              ORDER BY number LIMIT 1), :end)",
        )?
        .query_row(
            named_params! { ":from": from, ":end": end, ":time": time },
            |row| row.get(0),
        )
}

//! Old audit events go for their age, exactly and without holding up a change: `keep_days` is put on where
//! very many are too old, and others become so meanwhile.

use std::path::Path;
use std::time::{Duration, Instant};

use netbird_auth::change::Refused;
use netbird_auth::clock::Timestamp;
use netbird_auth::first_start::Owner;
use netbird_auth::store;
use netbird_auth::token::{Lifetime, PlainToken};
use netbird_auth::user::Name;
use rusqlite::{Connection, params};

use crate::audit::{Kept, PATIENCE, write_for};
use crate::check;
use crate::ledger::{Entry, Ledger};
use crate::program::Settings;
use crate::row::Row;
use crate::run::Run;
use crate::uses::{now, pause, wait_until};

/// Of long ago, at the first start with `keep_days`.
const OLD: i64 = 200_000;
const KEEP_DAYS: i64 = 30;
const DAY: i64 = 86_400_000_000;
/// That become too old one after the other, in microseconds from one to the next.
const EDGE: i64 = 1_000;
const EDGE_EVERY: i64 = 50_000;
/// Asked of an event that becomes too old: it goes in a second or so.
const GONE_WITHIN: Duration = Duration::from_secs(2);
/// Asked of a change: so much longer at most, while the old ones go.
const HELD_UP: Duration = Duration::from_millis(100);
/// Beside other work.
const HARD: Duration = Duration::from_secs(1);
/// Of changes with nothing to delete.
const UNDISTURBED: Duration = Duration::from_secs(3);

pub fn run(run: &Run) -> Result<Row, String> {
    let mut settings = Settings::new(run, &run.new_folder("audit-age")?)?;
    let (path, begun) = (settings.database(), now());
    settings.token = Some(past(&path, begun)?);
    let mut ledger = Ledger::new(run.seed, 1);
    let program = settings.start()?;
    write_for(&program, &mut ledger, || {
        pause(UNDISTURBED);
        Ok(())
    })?;
    let before = taken(&ledger.writers[0].journal, 0..i64::MAX);
    program.stop()?;

    let settings = settings.with("NETBIRD_AUTH_AUDIT__KEEP_DAYS", KEEP_DAYS.to_string());
    let started = now();
    let program = settings.start()?;
    let looking = Connection::open(&path).map_err(|error| error.to_string())?;
    let floor = || {
        let floor = looking.query_row("SELECT number FROM audit_floor", (), |row| row.get(0));
        floor.map_err(|error| error.to_string())
    };
    let caught_up = write_for(&program, &mut ledger, || {
        wait_until("the old events are gone", PATIENCE, || {
            floor().map(|floor: i64| floor > OLD)
        })?;
        let at = now();
        pause(UNDISTURBED);
        Ok(at)
    })?;
    let journal = &ledger.writers[0].journal;
    let during = taken(journal, started..caught_up);
    let after = taken(journal, caught_up..i64::MAX);

    // How late they go is one thing; that those go which are too old, and no other, holds at any time.
    let too_old = |at: i64| ((at - begun) / EDGE_EVERY + 1).clamp(0, EDGE);
    let by_now = too_old(now());
    let since = Instant::now();
    wait_until("what is too old by now is gone", PATIENCE, || {
        floor().map(|floor| floor - 1 - OLD >= by_now)
    })?;
    let late = since.elapsed();

    let acknowledged = ledger.acknowledged() as i64;
    check::file_with(&path, &ledger.expected(u64::MAX), |database| {
        let kept = Kept::of(database)?;
        // Owner and token of the first start, then the changes.
        let younger = kept.newest - OLD - EDGE;
        let gone = kept.floor - 1 - OLD;
        let asked = by_now..=too_old(now());
        match younger >= acknowledged && asked.contains(&gone) {
            true => Ok(()),
            false => Err(format!(
                "{gone} events at the edge are gone, not {asked:?}: {kept:?}, {acknowledged} changes"
            )),
        }
    })?;
    program.stop()?;

    let most = |times: &[Duration]| times.last().copied().unwrap_or_default();
    let undisturbed = most(&before).max(most(&after));
    let took = Duration::from_micros(u64::try_from(caught_up - started).unwrap_or(0));
    let seen = format!(
        "gone in {took:.1?} beside {} changes: p50/p99/max {}; before {}; after {}; younger ones \
         {late:.1?} after their time at most",
        during.len(),
        shown(&during),
        shown(&before),
        shown(&after)
    );
    let asked = format!(
        "exact, within {GONE_WITHIN:?}; max ≤ {HELD_UP:?} + the max without ({undisturbed:.1?})"
    );
    let what = format!("audit: keep_days with {OLD} events too old");
    Ok(Row::new(what, seen, asked)
        .ok(!during.is_empty())
        .in_time(late <= GONE_WITHIN)
        .within(most(&during), HELD_UP + undisturbed, HARD + undisturbed))
}

/// A database whose trail begins with old events, then with some that are about to be too old; the plain
/// text of its owner's token.
fn past(path: &Path, begun: i64) -> Result<String, String> {
    let owner = Owner {
        name: Name::parse("Owner").map_err(|error| error.to_string())?,
        email: Name::empty(),
        identity: None,
        token: PlainToken::generate().map_err(|error| error.to_string())?,
        lifetime: Lifetime::days(30).ok_or("no lifetime")?,
    };
    let made = store::create_database(path, |database| {
        let mut insert = database.prepare(
            "INSERT INTO audit_events (at, activity_code, initiator_id, initiator_name,
                                       initiator_email, target_id, meta, user)
             VALUES (?1, 'user.block', 'sys', '', '', ?2, '{}', 1)",
        )?;
        let edge = begun - KEEP_DAYS * DAY;
        let old = (0..OLD).map(|number| edge - DAY + number);
        for at in old.chain((0..EDGE).map(|number| edge + number * EDGE_EVERY)) {
            insert.execute(params![at, at.to_string()])?;
        }
        owner.create(database, Timestamp::now(), None)?;
        Ok::<_, Refused>(())
    });
    made.map_err(|error| format!("{error:?}"))?;
    Ok(owner.token.expose().to_owned())
}

/// What the changes took that were sent in a time, sorted.
fn taken(journal: &[Entry], sent: std::ops::Range<i64>) -> Vec<Duration> {
    let times = journal.iter().filter_map(|entry| {
        let is_in = sent.contains(&entry.sent.cast_signed());
        let time = entry.acknowledged?.saturating_sub(entry.sent);
        is_in.then_some(Duration::from_micros(time))
    });
    let mut times: Vec<Duration> = times.collect();
    times.sort_unstable();
    times
}

fn shown(times: &[Duration]) -> String {
    let at = |percent: usize| times.get(times.len() * percent / 100).copied();
    let most = times.last().copied().unwrap_or_default();
    let (p50, p99) = (at(50).unwrap_or_default(), at(99).unwrap_or_default());
    format!("{p50:.1?}/{p99:.1?}/{most:.1?}")
}

//! The audit trail: old events go exactly, through kills and without holding up a change; and it agrees
//! with the rows at any moment.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use netbird_auth::change::Refused;
use netbird_auth::clock::Timestamp;
use netbird_auth::first_start::Owner;
use netbird_auth::store;
use netbird_auth::token::{Lifetime, PlainToken};
use netbird_auth::user::Name;
use rusqlite::{Connection, params};

use crate::check;
use crate::ledger::{Entry, Failure, Ledger, Plan};
use crate::program::{Program, Settings};
use crate::random::Random;
use crate::row::Row;
use crate::run::Run;
use crate::trail::Trail;
use crate::uses::{now, pause, wait_until};

const ROUNDS: u32 = 30;
const WRITERS: u64 = 4;
/// The most changes before a kill.
const CHANGES: u64 = 120;
/// Kept in the rounds of kills: a round writes more and less.
const MAX_EVENTS: i64 = 50;
/// Of long ago, at the first start with `keep_days`.
const OLD: i64 = 200_000;
const KEEP_DAYS: i64 = 30;
const DAY: i64 = 86_400_000_000;
/// That become too old one after the other, in microseconds from one to the next.
const EDGE: i64 = 1_000;
const EDGE_EVERY: i64 = 50_000;
/// Asked of an event that becomes too old: it goes in a second or so.
const GONE_WITHIN: i64 = 2_000_000;
/// Asked of a change: so much longer at most, while the old ones go.
const HELD_UP: Duration = Duration::from_millis(100);
/// Of changes with nothing to delete.
const UNDISTURBED: Duration = Duration::from_secs(3);
const SNAPSHOTS: Duration = Duration::from_secs(4);
/// Nothing takes so long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn run(run: &Run) -> Result<Vec<Row>, String> {
    Ok(vec![limit(run)?, age(run)?, snapshots(run)?])
}

/// What is kept: the numbers from the floor to the newest, each of them.
#[derive(Clone, Copy, Debug)]
struct Kept {
    floor: i64,
    newest: i64,
    count: i64,
}

impl Kept {
    fn of(database: &Connection) -> Result<Self, String> {
        let sql = "SELECT (SELECT number FROM audit_floor), min(number), max(number), count(*)
                   FROM audit_events";
        let numbers = database.query_row(sql, (), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        });
        let (floor, oldest, newest, count): (i64, i64, i64, i64) =
            numbers.map_err(|error| format!("the audit trail can't be read: {error}"))?;
        match floor == oldest && count == newest - floor + 1 {
            true => Ok(Self {
                floor,
                newest,
                count,
            }),
            false => Err(format!(
                "{count} audit events from {oldest} to {newest}, with the floor at {floor}"
            )),
        }
    }
}

/// `max_events`, with kills at random moments.
fn limit(run: &Run) -> Result<Row, String> {
    let rounds = run.rounds(ROUNDS);
    let mut random = Random::new(run.seed, 200);
    let mut ledger = Ledger::new(run.seed, WRITERS);
    let folder = run.new_folder("audit-limit")?;
    let limit = MAX_EVENTS.to_string();
    let settings = Settings::new(run, &folder)?.with("NETBIRD_AUTH_AUDIT__MAX_EVENTS", limit);
    let mut program = settings.start()?;
    let (_, first) = check::file_with(&settings.database(), &[], Kept::of)?;
    let mut written = first.newest;
    for round in 1..=rounds {
        let in_round = |lost: String| format!("max_events, round {round} of {rounds}: {lost}");
        killed(program, &mut ledger, &mut random).map_err(in_round)?;
        // Before a start could mend anything.
        let expected = ledger.expected(u64::MAX);
        let (found, kept) = check::file_with(&settings.database(), &expected, |database| {
            words_hold(database)?;
            Kept::of(database)
        })
        .map_err(in_round)?;
        // A change is one event, and a change that nobody answered may be there.
        let made = found.iter().filter(|found| found.made.is_some()).count();
        written += (ledger.acknowledged() + made) as i64;
        if kept.newest != written || kept.count != written.min(MAX_EVENTS) {
            return Err(in_round(format!("{written} events were written: {kept:?}")));
        }
        program = settings.start().map_err(in_round)?;
        let server = check::server(&program.owner(), &expected).map_err(in_round)?;
        if server != found {
            return Err(in_round(format!(
                "{server:?} in memory, {found:?} in the file"
            )));
        }
        ledger.settle(&found);
        run.tell(&format!(
            "round {round} of {rounds}: {written} events written"
        ));
    }
    program.stop()?;
    let what = format!("audit: {rounds} kills with max_events = {MAX_EVENTS}");
    let seen = format!("{written} events written, the newest {MAX_EVENTS} there each time");
    Ok(Row::new(what, seen, "exactly so many, without a gap"))
}

fn killed(program: Program, ledger: &mut Ledger, random: &mut Random) -> Result<(), String> {
    let wanted = 1 + random.below(CHANGES);
    let within = Duration::from_micros(random.below(2_000));
    let (sender, acknowledged) = channel();
    let owner = program.owner();
    let plan = Plan {
        client: &owner,
        failure: Failure::Stop,
        position: &|| 0,
        after: &move |_| sender.send(()).is_ok(),
    };
    let ended = ledger.write_while(plan, || {
        for _ in 0..wanted {
            let next = acknowledged.recv_timeout(PATIENCE);
            next.map_err(|_| "no change was acknowledged".to_owned())?;
        }
        pause(within);
        program.kill()
    })?;
    match ended.status.code() {
        None => Ok(()),
        Some(_) => Err(format!("it ended by itself:\n{}", ended.log.join("\n"))),
    }
}

/// What the kept events say of tokens and users holds, and what is younger than they are has its event.
fn words_hold(database: &Connection) -> Result<(), String> {
    let rules = [
        (
            "a token was deleted, and is there",
            "SELECT count(*) FROM audit_events WHERE activity_code = 'personal.access.token.delete'
             AND token IN (SELECT number FROM tokens)",
        ),
        (
            "a user was deleted, and is there",
            "SELECT count(*) FROM audit_events WHERE activity_code = 'service.user.delete'
             AND user IN (SELECT number FROM users)",
        ),
        (
            "a token was made and not deleted, and is gone",
            "SELECT count(*) FROM audit_events AS made
             WHERE activity_code = 'personal.access.token.create'
             AND token NOT IN (SELECT number FROM tokens) AND NOT EXISTS
             (SELECT 1 FROM audit_events WHERE number > made.number AND user = made.user
              AND (token = made.token OR activity_code = 'service.user.delete'))",
        ),
        (
            "a user was made and not deleted, and is gone",
            "SELECT count(*) FROM audit_events AS made WHERE activity_code = 'service.user.create'
             AND user NOT IN (SELECT number FROM users) AND NOT EXISTS
             (SELECT 1 FROM audit_events WHERE number > made.number AND user = made.user
              AND activity_code = 'service.user.delete')",
        ),
        (
            "a token is younger than the oldest event, and has none",
            "SELECT count(*) FROM tokens WHERE created_at > (SELECT min(at) FROM audit_events)
             AND number NOT IN (SELECT token FROM audit_events WHERE token IS NOT NULL)",
        ),
        (
            "a user is younger than the oldest event, and has none",
            "SELECT count(*) FROM users WHERE created_at > (SELECT min(at) FROM audit_events)
             AND number NOT IN (SELECT user FROM audit_events)",
        ),
    ];
    for (lost, sql) in rules {
        let count = database.query_row(sql, (), |row| row.get::<_, u32>(0));
        match count.map_err(|error| format!("{lost}: {error}"))? {
            0 => {}
            count => return Err(format!("{lost}: {count} times")),
        }
    }
    Ok(())
}

/// `keep_days`, put on where very many are too old.
fn age(run: &Run) -> Result<Row, String> {
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

    let acknowledged = ledger.acknowledged() as i64;
    check::file_with(&path, &ledger.expected(u64::MAX), |database| {
        let (first, kept) = (now(), Kept::of(database)?);
        // Owner and token of the first start, then the changes.
        let younger = kept.newest - OLD - EDGE;
        let gone = kept.floor - 1 - OLD;
        let too_old = |at: i64| ((at - begun) / EDGE_EVERY + 1).clamp(0, EDGE);
        let asked = too_old(first - GONE_WITHIN)..=too_old(now());
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
        "gone in {took:.1?} beside {} changes: p50/p99/max {}; before {}; after {}",
        during.len(),
        shown(&during),
        shown(&before),
        shown(&after)
    );
    let asked = format!("exact; max ≤ {HELD_UP:?} + the max without ({undisturbed:.1?})");
    let what = format!("audit: keep_days with {OLD} events too old");
    Ok(Row::new(what, seen, asked)
        .ok(!during.is_empty())
        .in_time(most(&during) <= HELD_UP + undisturbed))
}

/// A database whose trail begins with old events, then with some that are about to be too old; the plain
/// text of its owner's token.
fn past(path: &Path, begun: i64) -> Result<String, String> {
    let owner = Owner {
        name: Name::parse("Owner").map_err(|error| error.to_string())?,
        email: Name::empty(),
        identity: None,
        token: PlainToken::generate().map_err(|error| error.to_string())?,
        lifetime: Lifetime::days(30).ok_or("30 days are no lifetime")?,
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

/// Changes one after the other, with their times, until `meanwhile` ends.
fn write_for<T>(
    program: &Program,
    ledger: &mut Ledger,
    meanwhile: impl FnOnce() -> Result<T, String>,
) -> Result<T, String> {
    let (is_over, owner) = (AtomicBool::new(false), program.owner());
    let plan = Plan {
        client: &owner,
        failure: Failure::Stop,
        position: &|| now().unsigned_abs(),
        after: &|_| !is_over.load(Ordering::Relaxed),
    };
    ledger.write_while(plan, || {
        let value = meanwhile();
        is_over.store(true, Ordering::Relaxed);
        value
    })
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

/// All of the file at one moment after the other, while it is written.
fn snapshots(run: &Run) -> Result<Row, String> {
    let settings = Settings::new(run, &run.new_folder("audit-snapshots")?)?;
    let program = settings.start()?;
    let mut ledger = Ledger::new(run.seed, WRITERS);
    let mut trail = Trail::default();
    let failed = |error: rusqlite::Error| format!("a look at the file: {error}");
    let looking = Connection::open(settings.database()).map_err(failed)?;
    let (looks, versions) = write_for(&program, &mut ledger, || {
        let end = crossbeam_channel::after(SNAPSHOTS);
        let (mut looks, mut versions, mut newest) = (0, 0, 0);
        while end.try_recv().is_err() {
            let moment = looking.unchecked_transaction().map_err(failed)?;
            trail
                .check(&moment)
                .map_err(|lost| format!("in look {looks}: {lost}"))?;
            let kept = Kept::of(&moment)?;
            looks += 1;
            versions += u32::from(kept.newest > newest);
            newest = kept.newest;
        }
        Ok((looks, versions))
    })?;
    let changes = ledger.acknowledged();
    check::everything(&program, &ledger.expected(u64::MAX), &mut trail)?;
    program.stop()?;
    let what = format!("audit: {looks} looks at all of the file under {WRITERS} writers");
    let seen = format!("rows and trail agree at {versions} different moments of {changes} changes");
    Ok(Row::new(
        what,
        seen,
        "no change without its event, no event without its change",
    ))
}

//! The audit trail: of too many events the oldest go, exactly and through kills; and it agrees with the
//! rows at any moment. What goes for its age is in `age`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use rusqlite::Connection;

use crate::age;
use crate::check;
use crate::ledger::{Failure, Ledger, Plan};
use crate::program::{Program, Settings};
use crate::random::Random;
use crate::row::Row;
use crate::run::Run;
use crate::trail::Trail;
use crate::uses::{now, pause};

const ROUNDS: u32 = 30;
const WRITERS: u64 = 4;
/// The most changes before a kill.
const CHANGES: u64 = 120;
/// Kept in the rounds of kills: a round writes more and less.
const MAX_EVENTS: i64 = 50;
const SNAPSHOTS: Duration = Duration::from_secs(4);
/// Nothing takes so long unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn run(run: &Run) -> Result<Vec<Row>, String> {
    Ok(vec![limit(run)?, age::run(run)?, snapshots(run)?])
}

/// What is kept: the numbers from the floor to the newest, each of them.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    pub floor: i64,
    pub newest: i64,
    pub count: i64,
}

impl Kept {
    pub fn of(database: &Connection) -> Result<Self, String> {
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

/// Changes one after the other, with their times, until `meanwhile` ends.
pub fn write_for<T>(
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

//! The database locked by another process for a while, or taken away while the server runs.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use netbird_auth::clock::Timestamp;
use netbird_auth::token::TokenHash;
use rusqlite::Connection;

use crate::check::{self, door};
use crate::lane;
use crate::ledger::{Failure, Ledger};
use crate::program::{Program, Settings};
use crate::replaced;
use crate::row::Row;
use crate::run::Run;
use crate::trail::Trail;
use crate::vitals::{self, lives, told};

/// This program as the one that holds a lock, with the database behind it.
pub const HOLDER: &str = "--hold-a-lock";
const LOCKED: Duration = Duration::from_secs(10);
/// Writers begin no change so shortly before the lock ends: each waits for the lock at most two
/// seconds, and is then refused.
const LAST: Duration = Duration::from_secs(3);
const WRITERS: u64 = 3;
/// Looks at the door without a lock.
const BEFORE: Duration = Duration::from_secs(2);
/// A worker that waited for the disk would take longer by far, ...
const DOOR: Duration = Duration::from_millis(50);
/// ... and so it would beside other work: all the time of the lock, or the two seconds of a change.
const HARD: Duration = Duration::from_secs(1);

pub fn run(run: &Run) -> Result<Vec<Row>, String> {
    let mut rows = by_a_process(run)?;
    rows.extend(replaced::run(run)?);
    Ok(rows)
}

/// Runs in the other process, until its input ends.
#[allow(clippy::print_stdout, reason = "its parent waits for it")]
pub fn hold(database: &str) {
    let connection = Connection::open(database).unwrap();
    connection.busy_timeout(LOCKED).unwrap();
    connection.execute_batch("BEGIN EXCLUSIVE").unwrap();
    println!("locked");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

/// The process that holds the lock; it ends with this.
struct Holder(Child);

impl Holder {
    fn start(settings: &Settings) -> Result<Self, String> {
        let myself = std::env::current_exe().map_err(|error| error.to_string())?;
        let child = Command::new(myself)
            .arg(HOLDER)
            .arg(settings.database())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut holder = Self(child.map_err(|error| format!("the other process: {error}"))?);
        let mut said = [0; 6];
        let out = holder.0.stdout.as_mut().ok_or("no output")?;
        out.read_exact(&mut said)
            .map_err(|error| format!("the other process does not get the lock: {error}"))?;
        Ok(holder)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn by_a_process(run: &Run) -> Result<Vec<Row>, String> {
    let settings = Settings::new(run, &run.new_folder("locked")?)?;
    let program = settings.start()?;
    let mut ledger = Ledger::new(run.seed, WRITERS);
    let left = std::sync::atomic::AtomicU32::new(60);
    let goes_on = || left.fetch_sub(1, Ordering::Relaxed) > WRITERS as u32;
    lane::write(&program, &mut ledger, Failure::Stop, &goes_on)?;
    let before = at_the_door(&program, BEFORE, || {})?;

    let holder = Holder::start(&settings)?;
    let locked = Timestamp::now();
    let used = use_all(&program, &ledger)?;
    let is_locked = AtomicBool::new(true);
    let goes_on = || is_locked.load(Ordering::Relaxed);
    let since = Instant::now();
    let (telling, during) =
        lane::write_while(&program, &mut ledger, Failure::LookUp, &goes_on, || {
            let look = || {
                let telling = vitals::wait_ill(&program, &["locked"])?;
                let left = LOCKED.saturating_sub(since.elapsed());
                let during = at_the_door(&program, left, || {
                    is_locked.store(since.elapsed() < LOCKED - LAST, Ordering::Relaxed);
                })?;
                lives(&program).map(|()| (telling, during))
            };
            let seen = look();
            // Whatever was seen: else they would write for ever.
            is_locked.store(false, Ordering::Relaxed);
            seen
        })?;
    let entries = ledger.writers.iter().flat_map(|writer| &writer.journal);
    let refused = entries.clone().filter(|entry| entry.is_failed).count();
    if entries
        .filter(|entry| entry.is_failed && entry.undone.is_none())
        .count()
        > 0
    {
        return Err("what was refused under a lock was made".to_owned());
    }
    drop(holder);
    let healing = vitals::wait_well(&program)?;
    let marked = vitals::wait(&program, "every mark is in the file", || {
        let there = marks_since(&settings, locked)?;
        Ok(used.iter().all(|hash| there.contains(hash)))
    })?;
    let mut trail = Trail::default();
    let check = |program: &Program, ledger: &mut Ledger, trail: &mut Trail| {
        let found = check::everything(program, &ledger.expected(u64::MAX), trail);
        ledger.settle(&found.map_err(|lost| told(program, &lost))?);
        Ok::<_, String>(())
    };
    check(&program, &mut ledger, &mut trail)?;
    lane::write(&program, &mut ledger, Failure::Stop, &|| false)?;
    program.kill()?;
    check(&settings.start()?, &mut ledger, &mut trail)?;

    let (p50, p99) = percentiles(&during);
    let (was50, was99) = percentiles(&before);
    let slowest = telling.max(healing).max(marked);
    Ok(vec![
        Row::new(
            format!("locked: {LOCKED:?} by another process: the door"),
            format!("p50 {p50:.2?}, p99 {p99:.2?}; before p50 {was50:.2?}, p99 {was99:.2?}"),
            format!("only right answers, p99 ≤ {DOOR:?}"),
        )
        .ok(!during.is_empty())
        .within(p99, DOOR, HARD),
        Row::new(
            "locked: changes and marks",
            format!(
                "{refused} answered 503, none of them made; told after {telling:.1?}; ready \
                 {healing:.1?} after the lock; {} marks written {marked:.1?} later",
                used.len()
            ),
            format!(
                "503, nothing lost, every mark written, each ≤ {:?}",
                vitals::HEALING
            ),
        )
        .ok(refused > 0 && !used.is_empty())
        .within(slowest, vitals::HEALING, vitals::HANG),
    ])
}

/// Known and unknown tokens, again and again; how long each answer took.
fn at_the_door(
    program: &Program,
    time: Duration,
    mut meanwhile: impl FnMut(),
) -> Result<Vec<Duration>, String> {
    let (owner, until) = (program.owner(), Instant::now() + time);
    let known = program.settings.token.clone().unwrap_or_default();
    let unknown = crate::program::new_token()?;
    let mut times = Vec::new();
    while Instant::now() < until {
        for (plain, status) in [(&known, 200), (&unknown, 401)] {
            let since = Instant::now();
            door(&owner, "at the door", plain, status).map_err(|lost| told(program, &lost))?;
            times.push(since.elapsed());
        }
        meanwhile();
        vitals::pause();
    }
    Ok(times)
}

/// Every acknowledged token of users that are not blocked is used.
fn use_all(program: &Program, ledger: &Ledger) -> Result<Vec<Vec<u8>>, String> {
    let mut used = Vec::new();
    for expected in ledger.expected(u64::MAX) {
        let users = expected
            .state
            .users
            .into_values()
            .filter(|user| !user.is_blocked);
        for plain in users
            .flat_map(|user| user.tokens.into_values())
            .filter_map(|token| token.plain)
        {
            door(&program.owner(), "an acknowledged token", &plain, 200)?;
            let hash = TokenHash::of_presented(plain.as_bytes()).map_err(|_| "no token")?;
            used.push(hash.as_bytes().to_vec());
        }
    }
    Ok(used)
}

fn marks_since(settings: &Settings, since: Timestamp) -> Result<Vec<Vec<u8>>, String> {
    let read = || -> rusqlite::Result<Vec<Vec<u8>>> {
        let database = Connection::open(settings.database())?;
        let mut newer = database.prepare(
            "SELECT hash FROM tokens JOIN token_usage ON number = token WHERE last_used >= ?1",
        )?;
        newer
            .query_map([since.micros()], |row| row.get(0))?
            .collect()
    };
    read().map_err(|error| error.to_string())
}

fn percentiles(times: &[Duration]) -> (Duration, Duration) {
    let mut times = times.to_vec();
    times.sort_unstable();
    let at = |percent: usize| {
        times
            .get(times.len() * percent / 100)
            .copied()
            .unwrap_or_default()
    };
    (at(50), at(99))
}

//! Backups of a busy server: each holds all that was acknowledged before it was begun, and nothing
//! that was sent after its end.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::backup::{digest_fits, make};
use crate::check;
use crate::ledger::{Entry, Expected, Failure, Ledger, Plan, Writer};
use crate::program::Settings;
use crate::row::Row;
use crate::run::Run;
use crate::seen::Seen;
use crate::trail::Trail;

const BACKUPS: u32 = 10;
const WRITERS: u64 = 4;
/// So many changes a second are offered by all writers together.
const RATE: u64 = 500;
/// Tokens that make the file large enough for a copy to take a while.
const TOKENS: u32 = 20_000;
/// Without a backup, for comparison.
const QUIET: Duration = Duration::from_secs(2);

struct Made {
    file: PathBuf,
    before: u64,
    after: u64,
}

pub fn run(run: &Run) -> Result<Vec<Row>, String> {
    let folder = run.new_folder("backup/load")?;
    let settings = Settings::new(run, &folder)?;
    settings.start()?.stop()?;
    fill(&settings.database()).map_err(|error| format!("no tokens could be made: {error}"))?;
    let program = settings.start()?;
    let mut ledger = Ledger::new(run.seed, WRITERS);
    let (clock, is_over, turns) = (Clock::start(), AtomicBool::new(false), AtomicU64::new(0));
    let owner = program.owner();
    let plan = Plan {
        client: &owner,
        failure: Failure::Stop,
        position: &|| clock.now(),
        after: &|_| {
            let turn = turns.fetch_add(1, Ordering::Relaxed);
            wait_until(clock.started + Duration::from_micros(turn * 1_000_000 / RATE));
            !is_over.load(Ordering::Relaxed)
        },
    };
    let backups = run.rounds(BACKUPS);
    let made = ledger.write_while(plan, || {
        wait_until(clock.started + QUIET);
        let made = (0..backups).map(|number| {
            run.tell(&format!("backup {number} of {backups} of a busy server"));
            let file = folder.join(format!("backup-{number}.db"));
            let before = clock.now();
            let output = make(&settings, &file)?;
            let after = clock.now();
            match output.status.success() {
                true => Ok(Made {
                    file,
                    before,
                    after,
                }),
                false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
            }
        });
        let made = made.collect::<Result<Vec<Made>, String>>();
        is_over.store(true, Ordering::Relaxed);
        made
    })?;
    let time = clock.started.elapsed();
    for made in &made {
        holds(made, &ledger).map_err(|lost| format!("{}: {lost}", made.file.display()))?;
    }
    check::everything(&program, &ledger.expected(u64::MAX), &mut Trail::default())?;
    Ok(rows(&ledger, &made, time))
}

/// Unique numbers in the order in which they were asked for: nanoseconds, mostly.
struct Clock {
    started: Instant,
    last: AtomicU64,
}

impl Clock {
    fn start() -> Self {
        Self {
            started: Instant::now(),
            last: AtomicU64::new(0),
        }
    }

    fn now(&self) -> u64 {
        let now = self.started.elapsed().as_nanos() as u64;
        let later = |last: u64| Some(now.max(last + 1));
        let last = self
            .last
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, later);
        last.map_or(now, |last| now.max(last + 1))
    }
}

fn wait_until(moment: Instant) {
    while let Some(rest) = moment.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(rest.max(Duration::from_micros(1)));
    }
}

/// The owner's, with their events.
fn fill(path: &Path) -> rusqlite::Result<()> {
    let database = Connection::open(path)?;
    database.execute_batch("BEGIN")?;
    database.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
         INSERT INTO tokens (hash, id, user, name, created_at, expires_at)
         SELECT randomblob(32), printf('%019d0', i), users.number, 'filled-' || i, created_at, created_at + 86400000000
         FROM n, users WHERE role = 'owner'",
        [TOKENS],
    )?;
    database.execute_batch(
        "INSERT INTO audit_events (at, activity_code, initiator_id, initiator_name, initiator_email, target_id, meta, user, token)
         SELECT tokens.created_at, 'personal.access.token.create', 'sys', '', '', users.id,
                json_object('name', tokens.name), user, tokens.number
         FROM tokens JOIN users ON users.number = user WHERE tokens.name LIKE 'filled-%'
         ORDER BY tokens.number;
         COMMIT",
    )
}

/// A writer's changes of which a backup may hold the last, or lack the first.
struct Between<'a> {
    first_that_lacks: Option<&'a Entry>,
    last_that_is_there: Option<&'a Entry>,
}

fn holds(made: &Made, ledger: &Ledger) -> Result<(), String> {
    digest_fits(&made.file)?;
    let failed = |error: rusqlite::Error| error.to_string();
    let database = Connection::open(&made.file).map_err(failed)?;
    check::whole(&database)?;
    Trail::default().check(&database)?;
    let seen = Seen::of_file(&database)?;
    let writers = ledger.writers.iter();
    let all = writers
        .map(|writer| between(writer, made, &seen))
        .collect::<Result<Vec<_>, _>>()?;
    // One moment for all writers.
    for one in &all {
        for other in &all {
            if let (Some(lacks), Some(has)) = (one.first_that_lacks, other.last_that_is_there)
                && lacks.acknowledged.is_some_and(|at| at < has.sent)
            {
                return Err(format!(
                    "{has:?} is there, and {lacks:?} is not, which was acknowledged before"
                ));
            }
        }
    }
    Ok(())
}

fn between<'a>(writer: &'a Writer, made: &Made, seen: &Seen) -> Result<Between<'a>, String> {
    let Expected {
        prefix, mut state, ..
    } = writer.expected(made.before);
    let later = |entry: &&Entry| entry.acknowledged.is_some_and(|at| at > made.before);
    let possible: Vec<&Entry> = writer
        .journal
        .iter()
        .filter(later)
        .take_while(|entry| entry.sent < made.after)
        .collect();
    // Two states may look the same: whatever can be meant is allowed.
    let (mut first, mut last, mut why) = (None, None, String::new());
    for place in 0..=possible.len() {
        let expected = Expected {
            prefix: prefix.clone(),
            state: state.clone(),
            pending: None,
        };
        match check::find(&expected, seen) {
            Ok(_) => {
                first = first.or(Some(place));
                last = Some(place);
            }
            Err(lost) => why = lost,
        }
        if let Some(entry) = possible.get(place) {
            state.apply(&entry.operation, &entry.made);
        }
    }
    let (Some(first), Some(last)) = (first, last) else {
        return Err(format!(
            "of {prefix} it holds no state between its beginning and its end; at last: {why}"
        ));
    };
    Ok(Between {
        first_that_lacks: possible.get(last).copied(),
        last_that_is_there: first.checked_sub(1).map(|place| possible[place]),
    })
}

fn rows(ledger: &Ledger, made: &[Made], time: Duration) -> Vec<Row> {
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for entry in ledger.writers.iter().flat_map(|writer| &writer.journal) {
        let Some(acknowledged) = entry.acknowledged else {
            continue;
        };
        let is_beside = |made: &Made| entry.sent < made.after && acknowledged > made.before;
        let took = Duration::from_nanos(acknowledged - entry.sent);
        match made.iter().any(is_beside) {
            true => with.push(took),
            false => without.push(took),
        }
    }
    let took = made
        .iter()
        .map(|made| Duration::from_nanos(made.after - made.before))
        .collect();
    let rate = ledger.acknowledged() as f64 / time.as_secs_f64();
    let what = format!(
        "backup: {} of a server with {TOKENS} tokens, beside {rate:.0} changes a second",
        made.len()
    );
    let seen = format!(
        "{} changes, each where it must be; a backup takes {}",
        ledger.acknowledged(),
        spread(took)
    );
    let least = 0.9 * RATE as f64;
    let asked = format!(
        "all that was acknowledged before it, nothing that was sent after it, whole; ≥ {least:.0} a second of {RATE} that are offered"
    );
    let times = format!(
        "{} without a backup, {} beside one",
        spread(without),
        spread(with)
    );
    vec![
        Row::new(what, seen, asked).in_time(rate >= least),
        Row::new("backup: time of a change", times, "told"),
    ]
}

fn spread(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |percent: usize| {
        times.get((times.len() * percent / 100).min(times.len().saturating_sub(1)))
    };
    let (median, high) = (
        at(50).copied().unwrap_or_default(),
        at(99).copied().unwrap_or_default(),
    );
    format!("{median:.1?} (p50) to {high:.1?} (p99)")
}

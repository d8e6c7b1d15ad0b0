//! Calls of the server that fail while it writes: each kind of call, on each file, with each error,
//! once or from then on.
//!
//! Each round arms one failure, lets writers write until it has struck and a while longer, and looks
//! what the server says meanwhile. Then the disk is well again, or the server is killed before.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::io::Errno;

use crate::ends;
use crate::lane::{Lane, count};
use crate::ledger::Ledger;
use crate::row::Row;
use crate::run::Run;
use crate::shim::{Shim, call, kind};
use crate::vitals::{self, pause};

/// Each place with each error, once and from then on, and that three times.
const ROUNDS: u32 = COMBINATIONS * 3;
const COMBINATIONS: u32 = (PLACES.len() * ERRORS.len() * 2) as u32;
/// Servers at a time: most of a round is waiting for the second in which a server heals.
const LANES: u64 = 4;
/// Where calls may fail that a running server makes; those of starts and stops are in `ends`.
pub struct Place {
    pub name: &'static str,
    pub calls: u32,
    pub files: u32,
    /// Nothing can be written while they fail.
    pub stops_writes: bool,
}

const fn place(name: &'static str, calls: u32, files: u32, stops_writes: bool) -> Place {
    Place {
        name,
        calls,
        files,
        stops_writes,
    }
}

const OPENS: u32 = call::OPEN | call::CREATE | call::UNLINK;
const BOTH: u32 = kind::DATABASE | kind::LOG;

pub const PLACES: [Place; 11] = [
    place("write of -wal", call::WRITE, kind::LOG, true),
    place("sync of -wal", call::SYNC, kind::LOG, true),
    place("write of the database", call::WRITE, kind::DATABASE, false),
    place("sync of the database", call::SYNC, kind::DATABASE, false),
    place("write of both", call::WRITE, BOTH, true),
    place("sync of both", call::SYNC, BOTH, true),
    place("read of the database", call::READ, kind::DATABASE, false),
    place("read of -wal", call::READ, kind::LOG, false),
    place(
        "truncate of the database",
        call::TRUNCATE,
        kind::DATABASE,
        false,
    ),
    place("any change", call::CHANGES, kind::ANY, true),
    place(
        "any call",
        call::CHANGES | call::READ | OPENS,
        kind::ANY,
        true,
    ),
];
pub const ERRORS: [Errno; 3] = [Errno::IO, Errno::NOSPC, Errno::ROFS];

pub fn run(run: &Run) -> Result<Vec<Row>, String> {
    let shim = Shim::compile(&run.new_folder("shim")?);
    let mut rows = running(run, &shim)?;
    rows.extend(ends::run(run, &shim)?);
    Ok(rows)
}

fn running(run: &Run, shim: &Shim) -> Result<Vec<Row>, String> {
    let rounds = run.rounds(ROUNDS);
    let counts = count(run, shim)?;
    let lanes: Result<Vec<Lane>, String> = (0..LANES)
        .map(|number| Lane::new(run, shim, number))
        .collect();
    let (figures, next) = (Mutex::new(Figures::default()), AtomicU32::new(0));
    let work = |mut lane: Lane| {
        loop {
            let round = next.fetch_add(1, Ordering::Relaxed);
            if round >= rounds {
                return lane.finish();
            }
            let place = round as usize % PLACES.len();
            let others = round as usize / PLACES.len();
            let error = ERRORS[others % ERRORS.len()];
            let is_sticky = (others / ERRORS.len()).is_multiple_of(2);
            // The others end with it.
            let seen = lane
                .round(&PLACES[place], counts[place], error, is_sticky)
                .inspect_err(|_| next.store(rounds, Ordering::Relaxed))
                .map_err(|lost| format!("round {round}: {lost}"))?;
            let mut figures = figures.lock().map_err(|error| error.to_string())?;
            figures.add(&seen);
            figures.struck_at[place] += seen.struck;
        }
    };
    let work = &work;
    std::thread::scope(|threads| {
        let lanes: Vec<_> = lanes?
            .into_iter()
            .map(|lane| threads.spawn(move || work(lane)))
            .collect();
        while lanes.iter().any(|lane| !lane.is_finished()) {
            pause();
            if let Ok(Figures {
                rounds: done,
                struck,
                ..
            }) = figures.lock().as_deref()
            {
                run.tell(&format!(
                    "{done} of {rounds} failures, {struck} have struck"
                ));
            }
        }
        for lane in lanes {
            let ended = lane.join();
            ended.map_err(|_| "a lane has panicked".to_owned())??;
        }
        Ok::<_, String>(())
    })?;
    let figures = figures.into_inner().map_err(|error| error.to_string())?;
    Ok(figures.rows())
}

/// What was seen, of one round or of many.
#[derive(Default)]
pub struct Figures {
    rounds: u32,
    struck: u32,
    /// By place.
    struck_at: [u32; PLACES.len()],
    hits: u64,
    acknowledged: usize,
    failed: usize,
    pub made: usize,
    /// Until the server says that it is ill.
    pub telling: Duration,
    /// Until it is well again by itself.
    pub healing: Duration,
    pub kills: u32,
}

impl Figures {
    /// Of one round, before anything is looked up at the end.
    pub fn of(ledger: &Ledger, hits: u64) -> Self {
        let entries = ledger.writers.iter().flat_map(|writer| &writer.journal);
        let failed: Vec<_> = entries.filter(|entry| entry.is_failed).collect();
        let made = failed
            .iter()
            .filter(|entry| entry.acknowledged.is_some())
            .count();
        Self {
            rounds: 1,
            struck: u32::from(hits > 0),
            hits,
            acknowledged: ledger.acknowledged() - made,
            failed: failed.len(),
            made,
            ..Self::default()
        }
    }

    fn add(&mut self, of: &Self) {
        self.rounds += of.rounds;
        self.struck += of.struck;
        self.hits += of.hits;
        self.acknowledged += of.acknowledged;
        self.failed += of.failed;
        self.made += of.made;
        self.telling = self.telling.max(of.telling);
        self.healing = self.healing.max(of.healing);
        self.kills += of.kills;
    }

    fn rows(&self) -> Vec<Row> {
        let Self {
            rounds,
            struck,
            hits,
            acknowledged,
            failed,
            made,
            telling,
            healing,
            kills,
            ..
        } = self;
        let missed = PLACES.iter().zip(self.struck_at).filter(|(_, at)| *at == 0);
        let missed: Vec<&str> = missed.map(|(place, _)| place.name).collect();
        let none = match missed.as_slice() {
            [] => format!(", at each of {} places", PLACES.len()),
            _ => format!("; never struck: {}", missed.join(", ")),
        };
        // Fewer rounds than there are combinations don't come to all of them.
        let is_all = missed.is_empty() || *rounds < COMBINATIONS;
        let writes = format!(
            "{acknowledged} answered 200, all there; {failed} answered 503: {made} made, {} not; \
             {kills} kills",
            failed - made
        );
        let healed = format!("{healing:.1?} at worst; ill said after {telling:.1?}");
        let asked = "no other answer, nothing lost, authentication goes on";
        vec![
            Row::new(
                format!("faults: {rounds} of a running server"),
                format!("{struck} have struck, {hits} calls failed{none}"),
                "it lives, and tells; each place is struck",
            )
            .ok(is_all && *struck * 2 >= *rounds),
            Row::new("faults: changes meanwhile", writes, asked),
            Row::new(
                "faults: ready again when the disk is well",
                healed,
                format!("≤ {:?}, by itself", vitals::HEALING),
            )
            .within(*healing.max(telling), vitals::HEALING, vitals::HANG),
        ]
    }
}

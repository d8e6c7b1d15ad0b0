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

const ROUNDS: u32 = 240;
/// Servers at a time: most of a round is waiting for the second in which a server heals.
const LANES: u64 = 4;
/// Where calls may fail.
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

pub const PLACES: [Place; 13] = [
    place("write of -wal", call::WRITE, kind::LOG, true),
    place("sync of -wal", call::SYNC, kind::LOG, true),
    place("write of the database", call::WRITE, kind::DATABASE, false),
    place("sync of the database", call::SYNC, kind::DATABASE, false),
    place("read of the database", call::READ, kind::DATABASE, false),
    place("read of -wal", call::READ, kind::LOG, false),
    place(
        "truncate of the database",
        call::TRUNCATE,
        kind::DATABASE,
        false,
    ),
    place("truncate of -wal", call::TRUNCATE, kind::LOG, false),
    place("write of -shm", call::WRITE, kind::SHM, false),
    place("sync of the folder", call::SYNC, kind::FOLDER, false),
    place("open, create, unlink", OPENS, kind::ANY, false),
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
    // Each place in turn; of the rest every combination in the long run.
    let (called, uncalled): (Vec<_>, Vec<_>) =
        PLACES.iter().zip(counts).partition(|(_, count)| *count > 0);
    let lanes: Result<Vec<Lane>, String> = (0..LANES)
        .map(|number| Lane::new(run, shim, number))
        .collect();
    let (figures, next) = (Mutex::new(Figures::default()), AtomicU32::new(0));
    let work = |mut lane: Lane| {
        loop {
            let round = next.fetch_add(1, Ordering::Relaxed);
            if round >= rounds {
                return Ok::<_, String>(());
            }
            let (place, calls) = called[round as usize % called.len()];
            // The others end with it.
            let seen = lane
                .round(place, calls)
                .inspect_err(|_| next.store(rounds, Ordering::Relaxed))
                .map_err(|lost| format!("round {round}: {lost}"))?;
            let mut figures = figures.lock().map_err(|error| error.to_string())?;
            figures.add(&seen);
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
    let uncalled: Vec<&str> = uncalled.iter().map(|(place, _)| place.name).collect();
    let figures = figures.into_inner().map_err(|error| error.to_string())?;
    Ok(figures.rows(&uncalled.join(", ")))
}

/// What was seen, of one round or of many.
#[derive(Default)]
pub struct Figures {
    rounds: u32,
    struck: u32,
    hits: u64,
    acknowledged: usize,
    failed: usize,
    pub made: usize,
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
        self.healing = self.healing.max(of.healing);
        self.kills += of.kills;
    }

    fn rows(&self, uncalled: &str) -> Vec<Row> {
        let Self {
            rounds,
            struck,
            hits,
            acknowledged,
            failed,
            made,
            healing,
            kills,
        } = self;
        let none = match uncalled {
            "" => String::new(),
            names => format!("; a running server makes none: {names}"),
        };
        let writes = format!(
            "{acknowledged} answered 200, all there; {failed} answered 503: {made} made, {} not; \
             {kills} kills",
            failed - made
        );
        let healed = format!("{healing:.1?} at worst");
        let asked = "no other answer, nothing lost, authentication goes on";
        vec![
            Row::new(
                format!("faults: {rounds} of a running server"),
                format!("{struck} have struck, {hits} calls failed{none}"),
                "it lives, and tells",
            )
            .ok(*struck * 2 >= *rounds),
            Row::new("faults: changes meanwhile", writes, asked),
            Row::new(
                "faults: ready again when the disk is well",
                healed,
                format!("≤ {:?}, by itself", vitals::HEALING),
            ),
        ]
    }
}

//! Marks of use through SIGKILL and SIGTERM, and through everything that could put one where it does
//! not belong.

use std::ops::Range;
use std::time::Duration;

use netbird_auth::clock::Timestamp;
use rusqlite::Connection;
use rustix::process::Signal;

use crate::fill::Filled;
use crate::probe::Probe;
use crate::program::{Program, Settings};
use crate::random::Random;
use crate::revoked;
use crate::row::Row;
use crate::run::Run;
use crate::uses::{self, Kept, in_file, judge, now, pause, use_while};

const ROUNDS: u32 = 10;
/// So long, in milliseconds: a flush and a bit more, at any moment between two flushes.
const MILLIS: Range<u64> = 1_100..2_100;
/// Every third one: a loss is no older than its round, so only these show one beyond the hard bar.
const LONG_MILLIS: Range<u64> = 3_000..4_000;
/// With a flush of many transactions: as many as the longest line of marks needs to build up.
const MANY_ROUNDS: u32 = 3;
const MANY_MILLIS: Range<u64> = 2_500..4_000;
/// Microseconds that a kill may come after its moment. Where it is more, the clock was set or nobody got a
/// core, and an age would be the machine's; all else of the round counts.
const LATE: i64 = 100_000;
/// A disk that needs longer for a page of somebody else stood still, as after a large build: an age would be its.
const DISK_STILL: Duration = Duration::from_millis(200);
const STOPS: u32 = 5;
/// In use all the while.
const IN_USE: u32 = 2_000;
const MANY: u32 = 100_000;
/// How often marks are written.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// For one transaction of at most 10 000 marks with its sync, and for a core that another process
/// has: what a healthy machine needs is a tenth of it.
const TRANSACTION: Duration = Duration::from_millis(250);
/// Beside other work: two flushes and a half, which no machine needs that runs at all.
const HARD: Duration = Duration::from_millis(2_500);
/// Nothing takes so long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

pub fn run(run: &Run) -> Result<Vec<Row>, String> {
    let mut random = Random::new(run.seed, 100);
    let mut house = House::new(run, "marks", IN_USE + revoked::COUNT, IN_USE)?;
    let length = |round: usize| {
        if round.is_multiple_of(3) {
            LONG_MILLIS
        } else {
            MILLIS
        }
    };
    let kills = house.kills(run, run.rounds(ROUNDS), &length, &mut random)?;
    let stops = house.stops(run.rounds(STOPS), &mut random)?;
    let revoked = revoked::run(&house.settings, &house.filled, IN_USE)?;
    let back = house.back(&mut random)?;
    let mut many = House::new(run, "many-marks", MANY, MANY)?;
    let rounds = run.rounds(MANY_ROUNDS);
    let many = many.kills(run, rounds, &|_| MANY_MILLIS, &mut random)?;
    let bar = FLUSH_EVERY + TRANSACTION;
    let asked = format!("≤ {FLUSH_EVERY:?} + {TRANSACTION:?} for a transaction");
    Ok(vec![
        kills
            .row(&format!("marks: kills with {IN_USE} tokens in use"), &asked)
            .within(kills.worst(), bar, HARD),
        stops,
        revoked,
        back,
        many.row(
            &format!("marks: kills with {MANY} tokens, as fast as it goes"),
            &format!(
                "no bar, beside {bar:?}: a flush is many transactions, a mark waits for two at most"
            ),
        ),
    ])
}

/// A database with its server between two rounds.
struct House {
    settings: Settings,
    filled: Filled,
    requests: Vec<Vec<u8>>,
    /// What the file had last, of the tokens in use.
    before: Vec<i64>,
}

#[derive(Default)]
struct Figures {
    uses: usize,
    lost: Vec<Duration>,
    /// Rounds that say nothing of ages.
    set_aside: u32,
    /// There were too many of those.
    is_short: bool,
}

impl House {
    fn new(run: &Run, name: &str, tokens: u32, in_use: u32) -> Result<Self, String> {
        let (settings, filled) = uses::house(run, name, tokens)?;
        Ok(Self {
            before: in_file(&filled.path, in_use)?,
            requests: uses::requests(in_use),
            settings,
            filled,
        })
    }

    fn kills(
        &mut self,
        run: &Run,
        rounds: u32,
        length: &dyn Fn(usize) -> Range<u64>,
        random: &mut Random,
    ) -> Result<Figures, String> {
        let mut figures = Figures::default();
        // A machine on which so few kills come at their moment is busy: that is told, and no loss.
        while figures.lost.len() < rounds as usize && figures.set_aside <= rounds {
            let round = figures.lost.len() + 1;
            let millis = length(round);
            let millis = millis.start + random.below(millis.end - millis.start);
            let time = Duration::from_millis(millis);
            let mut late = 0;
            let probe = Probe::start(&self.filled.path);
            let kept = self.round(random, |program| {
                let begun = now();
                pause(time);
                program.signal(Signal::KILL)?;
                let at = now();
                late = at - begun - time.as_micros() as i64;
                let ended = program.kill()?;
                match ended.status.code() {
                    None => Ok(at),
                    Some(_) => Err(format!("it ended by itself:\n{}", ended.log.join("\n"))),
                }
            });
            let kept = kept.map_err(|lost| format!("round {round} of {rounds}: {lost}"))?;
            let disk = probe.longest()?;
            if !(-LATE..=LATE).contains(&late) || disk > DISK_STILL {
                figures.set_aside += 1;
                continue;
            }
            figures.uses += kept.acknowledged;
            figures.lost.push(kept.oldest_lost);
            let (uses, oldest) = (kept.acknowledged, kept.oldest_lost);
            run.tell(&format!(
                "round {round} of {rounds}: {uses} uses in {time:?}, {} lost, the oldest of {oldest:.2?}",
                kept.lost
            ));
        }
        figures.is_short = figures.lost.len() < rounds as usize;
        figures.lost.sort();
        Ok(figures)
    }

    fn stops(&mut self, rounds: u32, random: &mut Random) -> Result<Row, String> {
        let mut uses = 0;
        for round in 1..=rounds {
            let time = Duration::from_millis(random.below(1_500));
            let kept = self.round(random, |program| {
                pause(time);
                let ended = program.stop()?;
                match ended.status.code() {
                    Some(0) => Ok(now()),
                    _ => Err(format!("it ended with {}", ended.status)),
                }
            })?;
            uses += kept.acknowledged;
            if kept.lost > 0 {
                return Err(format!(
                    "SIGTERM {round} of {rounds}: of {} acknowledged uses {} are lost, the oldest of {:.2?}",
                    kept.acknowledged, kept.lost, kept.oldest_lost
                ));
            }
        }
        let what = format!("marks: SIGTERM, {rounds} times");
        let seen = format!("{uses} uses acknowledged, the newest of each token is there");
        Ok(Row::new(what, seen, "nothing lost"))
    }

    /// Uses until `end`, which gives the time of the server's end; then the file.
    fn round(
        &mut self,
        random: &mut Random,
        end: impl FnOnce(Program) -> Result<i64, String>,
    ) -> Result<Kept, String> {
        let program = self.settings.start()?;
        let sample = random.index(self.before.len());
        let shown = uses::shown(&program, &self.filled, sample as u32)?;
        let there = Timestamp::from_micros(self.before[sample]).to_string();
        if shown != there {
            return Err(format!("the API shows {shown}, the file had {there}"));
        }
        let address = program.address;
        let (ended, seen) = use_while(address, &self.requests, random, || end(program))?;
        let after = in_file(&self.filled.path, self.before.len() as u32)?;
        let kept = judge(&self.before, &after, seen, ended)?;
        self.before = after;
        match kept.acknowledged {
            0 => Err("no use was answered".to_owned()),
            _ => Ok(kept),
        }
    }

    /// Somebody else's later times, put into the file while the tokens are in use, stay.
    fn back(&mut self, random: &mut Random) -> Result<Row, String> {
        const AT_ONCE: usize = 20;
        let program = self.settings.start()?;
        let later = now() + 3_600_000_000;
        let other = Connection::open(&self.filled.path).map_err(|error| error.to_string())?;
        let address = program.address;
        let changed = 60 * AT_ONCE;
        let (ended, _) = use_while(address, &self.requests, random, || {
            let failed = |error: rusqlite::Error| format!("another's write: {error}");
            other.busy_timeout(PATIENCE).map_err(failed)?;
            let sql = "UPDATE token_usage SET last_used = ?1 WHERE token BETWEEN ?2 AND ?3";
            for first in (0..changed).step_by(AT_ONCE) {
                let first = i64::from(uses::row(first as u32));
                let values = [later, first, first + AT_ONCE as i64 - 1];
                other.execute(sql, values).map_err(failed)?;
                pause(Duration::from_millis(40));
            }
            pause(FLUSH_EVERY + TRANSACTION);
            program.stop()
        })?;
        if ended.status.code() != Some(0) {
            return Err(format!("it ended with {}", ended.status));
        }
        let after = in_file(&self.filled.path, IN_USE)?;
        match after[..changed].iter().position(|time| *time != later) {
            Some(token) => Err(format!(
                "the last use of token {token} went back from {later} to {}",
                after[token]
            )),
            None => Ok(Row::new(
                format!("marks: {changed} later times by another process"),
                "all stayed",
                "never backwards",
            )),
        }
    }
}

impl Figures {
    fn worst(&self) -> Duration {
        self.lost.last().copied().unwrap_or_default()
    }

    fn row(&self, what: &str, asked: &str) -> Row {
        let (uses, worst) = (self.uses, self.worst());
        let median = self
            .lost
            .get(self.lost.len() / 2)
            .copied()
            .unwrap_or_default();
        let seen = format!(
            "{uses} uses acknowledged; the oldest that was lost: {worst:.2?} before the kill at worst, \
             {median:.2?} in the median of {}; {} more rounds on a machine or a disk that stood still",
            self.lost.len(),
            self.set_aside
        );
        Row::new(what, seen, asked)
            .in_time(!self.is_short)
            .ok(!self.lost.is_empty())
    }
}

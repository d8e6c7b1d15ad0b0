//! Marks of use through SIGKILL and SIGTERM, and through everything that could put one where it does
//! not belong.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use rustix::process::Signal;

use crate::check;
use crate::fill::{self, EXPIRED_TOKENS, Filled};
use crate::line::Line;
use crate::program::{Program, Settings};
use crate::random::Random;
use crate::row::Row;
use crate::run::Run;
use crate::uses::{self, Kept, in_file, judge, now, pause, use_while, wait_until};
use crate::wire::who_am_i;

const ROUNDS: u32 = 12;
/// With a flush of many transactions: as many as the longest line of marks needs to build up.
const MANY_ROUNDS: u32 = 4;
const STOPS: u32 = 5;
/// In use all the while.
const IN_USE: u32 = 2_000;
/// Revoked behind their use; the tokens after those in use.
const REVOKED: u32 = 1_000;
const MANY: u32 = 100_000;
/// How often marks are written.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// For one transaction of at most 10 000 marks with its sync, and for a core that another process
/// has: what a healthy machine needs is a tenth of it.
const TRANSACTION: Duration = Duration::from_millis(250);
/// Nothing takes so long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

pub fn run(run: &Run) -> Result<Vec<Row>, String> {
    let mut random = Random::new(run.seed, 100);
    let mut house = House::new(run, "marks", IN_USE + REVOKED, IN_USE)?;
    let kills = house.kills(run, run.rounds(ROUNDS), 1_100..2_100, &mut random)?;
    let stops = house.stops(run.rounds(STOPS), &mut random)?;
    let revoked = house.revoked()?;
    let back = house.back(&mut random)?;
    let mut many = House::new(run, "many-marks", MANY, MANY)?;
    let many = many.kills(run, run.rounds(MANY_ROUNDS), 2_500..4_000, &mut random)?;
    let bar = FLUSH_EVERY + TRANSACTION;
    let asked = format!("≤ {FLUSH_EVERY:?} + {TRANSACTION:?} for a transaction");
    Ok(vec![
        kills
            .row(&format!("marks: kills with {IN_USE} tokens in use"), &asked)
            .in_time(kills.worst() <= bar),
        stops,
        revoked,
        back,
        many.row(
            &format!("marks: kills with {MANY} tokens, as fast as it goes"),
            "a flush is many transactions, a mark waits for two flushes at most: no bar",
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
        millis: std::ops::Range<u64>,
        random: &mut Random,
    ) -> Result<Figures, String> {
        let mut figures = Figures::default();
        for round in 1..=rounds {
            let time = millis.start + random.below(millis.end - millis.start);
            let kept = self.round(random, |program| {
                pause(Duration::from_millis(time));
                program.signal(Signal::KILL)?;
                let at = now();
                let ended = program.kill()?;
                match ended.status.code() {
                    None => Ok(at),
                    Some(_) => Err(format!("it ended by itself:\n{}", ended.log.join("\n"))),
                }
            });
            let kept = kept.map_err(|lost| format!("round {round} of {rounds}: {lost}"))?;
            figures.uses += kept.acknowledged;
            figures.lost.push(kept.oldest_lost);
            let (uses, oldest) = (kept.acknowledged, kept.oldest_lost);
            run.tell(&format!(
                "round {round} of {rounds}: {uses} uses in {time} ms, {} lost, the oldest of {oldest:.2?}",
                kept.lost
            ));
        }
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
        let there = netbird_auth::clock::Timestamp::from_micros(self.before[sample]).to_string();
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

    /// Each token is used all the while until it is revoked, and after; tokens that are made meanwhile,
    /// which get the places of those in memory, are never used.
    fn revoked(&self) -> Result<Row, String> {
        let program = self.settings.start()?;
        let (first, end) = (IN_USE, IN_USE + REVOKED);
        // All before it are revoked, and it was answered.
        let next = AtomicU32::new(first);
        let used = std::thread::scope(|threads| {
            let using = threads.spawn(|| use_behind(&program, &next, first, end));
            let revoke = || {
                for token in first..end {
                    let path = uses::path(token);
                    let client = uses::beside(&program, &self.filled, token);
                    answered(client.try_send("DELETE", &path, &[], b""))?;
                    next.store(token + 1, Ordering::SeqCst);
                    if token % 4 == 0 {
                        let body = br#"{"name": "never used", "expires_in": 1}"#;
                        let (tokens, _) = path.rsplit_once("/").unwrap_or_default();
                        answered(client.try_send("POST", tokens, &[], body))?;
                    }
                }
                Ok::<_, String>(())
            };
            let revoked = revoke();
            next.store(end, Ordering::SeqCst);
            let used = using.join().map_err(|_| "a client has panicked")?;
            revoked.and(used)
        })?;
        // A flush of all that, and then some.
        let after = now();
        let answer = Line::open(program.address).and_then(|mut line| line.ask(&self.requests[0]));
        if answer != Some(200) {
            return Err(format!("a token in use: {answer:?}"));
        }
        let path = &self.filled.path;
        wait_until("a mark is in the file", PATIENCE, || {
            Ok(in_file(path, 1)?[0] >= after)
        })?;
        self.none_back(&program, "after the flush")?;
        program.kill()?;
        let program = self.settings.start()?;
        self.none_back(&program, "after SIGKILL and a start")?;
        program.stop()?;
        let program = self.settings.start()?;
        self.none_back(&program, "after SIGTERM and a start")?;
        let what = format!("marks: {REVOKED} tokens revoked right behind their use");
        let seen = format!("{used} uses passed; no token and no mark of one is back");
        Ok(Row::new(
            what,
            seen,
            "a mark on a deleted token does nothing",
        ))
    }

    /// No revoked token passes or has a row, and none that was never used has a mark.
    fn none_back(&self, program: &Program, when: &str) -> Result<(), String> {
        let failed = |error: rusqlite::Error| format!("{when}: {error}");
        let database = Connection::open(&self.filled.path).map_err(failed)?;
        check::whole(&database).map_err(|lost| format!("{when}: {lost}"))?;
        let last = self.filled.size.tokens + EXPIRED_TOKENS + 1;
        let (first, end) = (uses::row(IN_USE), uses::row(IN_USE + REVOKED));
        for (sql, what) in [
            (
                "SELECT count(*) FROM tokens WHERE number >= ?1 AND number < ?2 AND ?3",
                "tokens are back",
            ),
            (
                "SELECT count(*) FROM token_usage WHERE token >= ?1 AND token < ?2 AND ?3",
                "marks are of revoked tokens",
            ),
            (
                "SELECT count(*) FROM token_usage WHERE token > ?3 AND ?1 AND ?2",
                "marks are of tokens that were never used",
            ),
        ] {
            let count = database.query_row(sql, [first, end, last], |row| row.get::<_, u32>(0));
            match count.map_err(failed)? {
                0 => {}
                count => return Err(format!("{when}: {count} {what}")),
            }
        }
        let mut line = Line::open(program.address).ok_or("nobody listens")?;
        for token in IN_USE..IN_USE + REVOKED {
            match line.ask(&who_am_i(&fill::token(token))) {
                Some(401) => {}
                other => return Err(format!("{when}: revoked token {token}: {other:?}")),
            }
        }
        Ok(())
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

/// Asks with the token that is revoked now, the next one and the one before; how often one passed.
fn use_behind(program: &Program, next: &AtomicU32, first: u32, end: u32) -> Result<usize, String> {
    let mut line = Line::open(program.address).ok_or("nobody listens")?;
    let mut passed = 0;
    loop {
        let now = next.load(Ordering::SeqCst);
        if now >= end {
            return Ok(passed);
        }
        for token in [now, (now + 1).min(end - 1), now.max(first + 1) - 1] {
            match line.ask(&who_am_i(&fill::token(token))) {
                Some(200) if token >= now => passed += 1,
                Some(401) => {}
                other => return Err(format!("token {token}, with {now} next: {other:?}")),
            }
        }
    }
}

fn answered(answer: std::io::Result<crate::http::Response>) -> Result<(), String> {
    let answer = answer.map_err(|error| format!("no answer: {error}"))?;
    match answer.status {
        200 => Ok(()),
        status => Err(format!(
            "{status}: {}",
            String::from_utf8_lossy(&answer.body)
        )),
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
             {median:.2?} in the median of {}",
            self.lost.len()
        );
        Row::new(what, seen, asked)
    }
}

//! The writer kept off the file for a minute by another process's lock, while a million marks arrive.

use std::time::{Duration, Instant};

use rusqlite::Connection;

use netbird_auth::clock::Timestamp;

use crate::fill;
use crate::program::Program;
use crate::row::Row;
use crate::run::Run;
use crate::uses::{self, in_file, now, wait_until};
use crate::wire::{self, find};

const TOKENS: u32 = 100_000;
/// That come while the lock is held, each token in turn.
const MARKS: u32 = 1_000_000;
const LOCKED: Duration = Duration::from_secs(60);
/// The same rate without the lock, before.
const BEFORE: Duration = Duration::from_secs(10);
const CONNECTIONS: u32 = 64;
/// From a token to the next one: no divisor in common with their number.
const STEP: u32 = 61_803;
/// Marks live in the index, which is as big as before: all that grows are the lists of tokens to be
/// written, 4 bytes each while they wait and 16 in a flush, doubled by how lists grow; the rest is for
/// the allocator.
const MOST_GROWTH: u64 = 16 * 1024;
/// For the writer to see the end of the lock, and then a thousand transactions' time.
const HEALED: Duration = Duration::from_secs(20);
/// Nothing takes so long unless it hangs, beside other work neither.
const HANG: Duration = Duration::from_secs(60);
const LOOK_EVERY: u32 = 100;
/// Of requests beside other work: whoever waited for the lock would take until its end.
const HARD: Duration = Duration::from_millis(250);

pub fn run(run: &Run) -> Result<Vec<Row>, String> {
    let (settings, filled) = uses::house(run, "stall", TOKENS)?;
    let other = Connection::open(&filled.path).map_err(|error| error.to_string())?;
    let program = settings.start()?;
    let mut load = Load::new(&program);
    // Every connection and every token once, so that what is first costs neither side.
    load.turns(run, &program, TOKENS.div_ceil(CONNECTIONS), Instant::now())?;

    let turns = MARKS / CONNECTIONS;
    let tick = LOCKED / turns;
    load.tick = tick;
    let before = load.seen(run, &program, (BEFORE.as_nanos() / tick.as_nanos()) as u32)?;

    let lock = |sql| {
        other
            .execute_batch(sql)
            .map_err(|error| format!("{sql}: {error}"))
    };
    other
        .busy_timeout(HEALED)
        .map_err(|error| error.to_string())?;
    lock("BEGIN IMMEDIATE")?;
    let locked = Instant::now();
    let during = load.seen(run, &program, turns)?;
    let locked_for = locked.elapsed();
    let was_ready = is_ready(&program)?;
    let known = in_file(&filled.path, TOKENS)?;
    lock("ROLLBACK")?;

    let healed = Instant::now();
    wait_until("every mark is in the file", HANG, || {
        let file = in_file(&filled.path, TOKENS)?;
        Ok(load
            .last
            .iter()
            .zip(&file)
            .all(|(last, file)| file >= &last.sent))
    })?;
    let flushed = healed.elapsed();
    wait_until("it is ready", HANG, || is_ready(&program))?;
    let after = resident(&program)?;
    load.check(&known, &in_file(&filled.path, TOKENS)?)?;
    load.check_shown(&program, &filled)?;
    program.stop()?;

    let growth = during.most.saturating_sub(before.most);
    let what = format!(
        "stall: {} s of a lock, {MARKS} marks on {TOKENS} tokens",
        locked_for.as_secs()
    );
    Ok(vec![
        Row::new(
            format!("{what}: requests"),
            format!(
                "p50 {:.2?}, p99 {:.2?}, all 200; before p50 {:.2?}, p99 {:.2?}",
                during.p50, during.p99, before.p50, before.p99
            ),
            format!("p99 ≤ twice that before, p50 ≤ {HARD:?} beside other work; no other status"),
        )
        .in_time(during.p99 <= 2 * before.p99)
        // One that waits for the lock makes half of them wait.
        .ok(during.p50 <= HARD),
        Row::new(
            "stall: resident memory",
            format!(
                "{} KiB more at most ({} before, {} during, {after} after)",
                growth, before.most, during.most
            ),
            format!("≤ {MOST_GROWTH} KiB more"),
        )
        .ok(growth <= MOST_GROWTH),
        Row::new(
            "stall: the end of the lock",
            format!("every token's newest use in the file after {flushed:.2?}; ready again"),
            format!("the newest wins, ≤ {HEALED:?}; not ready while locked"),
        )
        .ok(!was_ready)
        .in_time(flushed <= HEALED),
    ])
}

/// Requests with all tokens in turn, one on each connection at each tick.
struct Load {
    connections: Vec<wire::Connection>,
    requests: Vec<Vec<u8>>,
    next: u32,
    tick: Duration,
    /// By number.
    last: Vec<Last>,
}

/// The newest use of a token.
#[derive(Clone, Copy, Default)]
struct Last {
    sent: i64,
    answered: i64,
}

struct Seen {
    p50: Duration,
    p99: Duration,
    /// KiB resident.
    most: u64,
}

impl Load {
    fn new(program: &Program) -> Self {
        Self {
            connections: wire::Connection::open_many(program.address, CONNECTIONS as usize),
            requests: uses::requests(TOKENS),
            next: 0,
            tick: Duration::ZERO,
            last: vec![Last::default(); TOKENS as usize],
        }
    }

    fn seen(&mut self, run: &Run, program: &Program, turns: u32) -> Result<Seen, String> {
        let (mut times, most) = self.turns(run, program, turns, Instant::now())?;
        times.sort_unstable();
        let at = |percent: usize| times[times.len() * percent / 100];
        Ok(Seen {
            p50: at(50),
            p99: at(99),
            most,
        })
    }

    /// What each request took, from the time when it was due: one that holds up the next ones counts for
    /// each of them. And the most KiB that were resident.
    fn turns(
        &mut self,
        run: &Run,
        program: &Program,
        turns: u32,
        begun: Instant,
    ) -> Result<(Vec<Duration>, u64), String> {
        let mut times = Vec::with_capacity((turns * CONNECTIONS) as usize);
        let mut most = resident(program)?;
        for turn in 0..turns {
            let due = begun + self.tick * turn;
            let _ = crossbeam_channel::at(due).recv();
            self.turn(|| times.push(due.elapsed()))?;
            if turn % LOOK_EVERY == 0 {
                most = most.max(resident(program)?);
                run.tell(&format!("{turn} of {turns} times {CONNECTIONS} requests"));
            }
        }
        Ok((times, most))
    }

    fn turn(&mut self, mut answered: impl FnMut()) -> Result<(), String> {
        let mut waiting = Vec::with_capacity(self.connections.len());
        for (place, connection) in self.connections.iter_mut().enumerate() {
            let token = self.next as usize;
            self.next = (self.next + STEP) % TOKENS;
            self.last[token].sent = now();
            connection.send(&self.requests[token]);
            waiting.push((place, token));
        }
        loop {
            let mut wrong = None;
            waiting.retain(|&(place, token)| {
                let Some(status) = self.connections[place].poll() else {
                    return true;
                };
                if status != 200 {
                    wrong = Some(format!("token {token} was answered with {status}"));
                }
                self.last[token].answered = now();
                answered();
                false
            });
            if let Some(wrong) = wrong {
                return Err(wrong);
            }
            if waiting.is_empty() {
                return Ok(());
            }
            let rest = waiting.iter().map(|(place, _)| &self.connections[*place]);
            wire::wait(rest, Duration::from_secs(1));
        }
    }

    /// The newest use of each token is in the file, and was not while the lock was held.
    fn check(&self, locked: &[i64], file: &[i64]) -> Result<(), String> {
        for (token, (last, (file, locked))) in
            (0..).zip(self.last.iter().zip(file.iter().zip(locked)))
        {
            let newest = last.sent..=last.answered;
            if !newest.contains(file) || locked >= file {
                return Err(format!(
                    "token {token}: {file} in the file, {locked} in it while locked, last used in {newest:?}"
                ));
            }
        }
        Ok(())
    }

    /// The API shows what is in the file, of some.
    fn check_shown(&self, program: &Program, filled: &fill::Filled) -> Result<(), String> {
        let file = in_file(&filled.path, TOKENS)?;
        for token in (0..TOKENS).step_by(997) {
            let shown = uses::shown(program, filled, token)?;
            let there = Timestamp::from_micros(file[token as usize]).to_string();
            if shown != there {
                return Err(format!(
                    "token {token}: the API shows {shown}, the file has {there}"
                ));
            }
        }
        Ok(())
    }
}

fn is_ready(program: &Program) -> Result<bool, String> {
    let answer = program.owner().try_send("GET", "/readyz", &[], b"");
    let answer = answer.map_err(|error| format!("/readyz: {error}"))?;
    match answer.status {
        200 => Ok(true),
        503 if find(&answer.body, b"locked").is_some() => Ok(false),
        status => Err(format!(
            "/readyz: {status}, {}",
            String::from_utf8_lossy(&answer.body)
        )),
    }
}

/// KiB of a server that are in memory.
fn resident(program: &Program) -> Result<u64, String> {
    let path = format!("/proc/{}/status", program.pid());
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.trim().split(' ').next()?.parse().ok());
    number.ok_or_else(|| format!("{path} says nothing of VmRSS"))
}

//! What a thousand times as many tokens cost.

use std::time::Duration;

use netbird_auth::clock::Timestamp;

use crate::Bench;
use crate::fill::{self, Size};
use crate::house::{House, Shuffled, rounds, slice};
use crate::load::Churn;
use crate::program::Program;
use crate::row::{Bar, Figure, Row};
use crate::wire::{Connection, saturate};

const CLIENTS: usize = 64;
/// Tokens that are made before the clock runs: the client must be quicker than the server.
const PREPARED: u32 = 1_000_000;

/// Two servers whose workers share a core; one is asked while the other is idle.
pub fn run(bench: &Bench) -> Vec<Row> {
    let (few, many) = match bench.is_small {
        true => (1_000, 20_000),
        false => (10_000, 10_000_000),
    };
    let users = few / 10;
    let mut sides = [few, many].map(|tokens| Side::new(bench, Size { tokens, users }));
    let (mut requests, mut creations) = (Vec::new(), Vec::new());
    let (mut cpu, mut rates, mut changes) = ([vec![], vec![]], [vec![], vec![]], [vec![], vec![]]);
    for round in 0..=rounds(bench) {
        let started = Timestamp::now();
        let asked = [0, 1].map(|side: usize| sides[side].ask(slice(bench, 1.5)));
        // The writers have the core of the client: they must be done with the marks.
        sides.iter().for_each(|side| side.settle(started));
        let made = [0, 1].map(|side: usize| sides[side].change(slice(bench, 2.0)));
        eprintln!(
            "  round {round}: {:.2} and {:.2} µs a request, {:.0} and {:.0} changes/s",
            asked[0].0, asked[1].0, made[0], made[1]
        );
        if round > 0 {
            requests.push(asked[1].0 / asked[0].0);
            creations.push(made[0] / made[1]);
            for side in 0..2 {
                cpu[side].push(asked[side].0);
                rates[side].push(asked[side].1);
                changes[side].push(made[side]);
            }
        }
    }
    let median = |rounds: Vec<f64>| Figure::of(rounds, "").median;
    let [cpu, rates, changes] = [cpu, rates, changes].map(|both| both.map(median));
    let sizes = format!("at {many} tokens against {few}");
    vec![
        Row::new(
            format!("the worker's time for a token request {sizes}"),
            Figure::of(requests, "×"),
            Bar::AtMost(1.3),
        )
        .note(format!(
            "{:.2} and {:.2} µs; {:.0} and {:.0} requests/s, all of different tokens where there \
             are as many",
            cpu[1], cpu[0], rates[1], rates[0]
        )),
        Row::new(
            format!("time to make or revoke a token {sizes}"),
            Figure::of(creations, "×"),
            Bar::AtMost(1.3),
        )
        .note(format!(
            "{:.0} and {:.0} changes/s of 64 clients",
            changes[1], changes[0]
        )),
    ]
}

struct Side {
    // Before the database that it serves.
    program: Program,
    house: House,
    tokens: Vec<[u8; 40]>,
    next: usize,
    /// Requests of the last slice.
    asked: u32,
}

impl Side {
    fn new(bench: &Bench, size: Size) -> Self {
        let house = House::new(bench, size);
        let tokens = Shuffled::new(size.tokens)
            .take(size.tokens.min(PREPARED) as usize)
            .map(|number| fill::token(number).into_bytes().try_into().unwrap())
            .collect();
        Self {
            program: Program::start(&house.path),
            house,
            tokens,
            next: 0,
            asked: 0,
        }
    }

    /// The worker's microseconds for a request, and requests a second.
    fn ask(&mut self, time: Duration) -> (f64, f64) {
        let mut connections = Connection::open_many(self.program.address, CLIENTS);
        let before = self.program.worker_time();
        let next = || {
            self.next = (self.next + 1) % self.tokens.len();
            self.tokens[self.next]
        };
        self.asked = saturate(&mut connections, next, time);
        let answered = f64::from(self.asked);
        let worked = self.program.worker_time() - before;
        (
            worked.as_secs_f64() * 1e6 / answered,
            answered / time.as_secs_f64(),
        )
    }

    /// Waits until the marks since a moment are in the database.
    fn settle(&self, started: Timestamp) {
        let expected = u64::from(self.asked).min(self.tokens.len() as u64);
        let written = self.house.used_since(started, expected);
        assert!(written >= expected, "{written} of {expected} marks");
    }

    /// Changes a second.
    fn change(&mut self, time: Duration) -> f64 {
        let mut churn = Churn::new(self.program.address, &self.house.owner, CLIENTS);
        let rate = churn.rate(time);
        churn.check();
        rate
    }
}

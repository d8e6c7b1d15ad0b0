//! How long a token request takes while others change things.
//!
//! The client is one thread on one core. It asks by the clock, and between two looks at its own
//! connections it looks at one connection of the load, which takes a few microseconds. While nothing
//! is to be done it sleeps, and the server's writer may have its core.

use netbird_auth::clock::Timestamp;

use crate::Bench;
use crate::house::{House, Shuffled, rounds, slice};
use crate::load::{Churn, Idle};
use crate::program::Program;
use crate::row::{Bar, Figure, Row};
use crate::steady::{Latency, Steady};

/// Marks a second.
const MARKS: u32 = 10_000;

pub fn run(bench: &Bench) -> Vec<Row> {
    let house = House::big(bench);
    let program = Program::start(&house.path);
    let address = program.address;
    let time = slice(bench, 3.0);
    let probe = || Steady::probe(address);
    let (mut changing, mut marking) = (Busy::default(), Busy::default());
    for round in 0..=rounds(bench) {
        let idle = probe().measure(&mut Idle, time);

        let mut churn = Churn::new(address, &house.owner, 64);
        let before = churn.acknowledged();
        let busy = probe().measure(&mut churn, time);
        let changes = f64::from(churn.acknowledged() - before) / time.as_secs_f64() / 1.1;
        churn.check();

        let mut marks = Steady::new(address, MARKS, 16, Shuffled::new(house.size.tokens));
        let started = Timestamp::now();
        let begun = std::time::Instant::now();
        let marked = probe().measure(&mut marks, time);
        let rate = marks.sent() as f64 / begun.elapsed().as_secs_f64();
        assert!(
            rate > 0.9 * f64::from(MARKS) || bench.is_small,
            "only {rate:.0} tokens were used a second"
        );
        marks.stop();
        let expected = marks.sent().min(u64::from(house.size.tokens));
        let written = house.used_since(started, expected);
        assert!(written >= expected, "{written} of {expected} marks");
        eprintln!(
            "  round {round}: p50 {:.0} µs idle, {:.0} µs beside {changes:.0} changes/s, \
             {:.0} µs beside {rate:.0} marks/s",
            idle.p50, busy.p50, marked.p50
        );
        if round > 0 {
            changing.add(idle, busy);
            marking.add(idle, marked);
        }
    }
    vec![
        changing
            .row("p50 of a token request while 64 clients make and revoke tokens, against idle"),
        marking.row("p50 of a token request beside 10 000 marks a second, against idle"),
    ]
}

/// What was seen with a load, and without it in the same round.
#[derive(Default)]
pub struct Busy {
    ratios: Vec<f64>,
    idle: Vec<Latency>,
    busy: Vec<Latency>,
}

impl Busy {
    pub fn add(&mut self, idle: Latency, busy: Latency) {
        self.ratios.push(busy.p50 / idle.p50);
        self.idle.push(idle);
        self.busy.push(busy);
    }

    pub fn row(self, what: &str) -> Row {
        let median = |rounds: &[Latency], of: fn(&Latency) -> f64| {
            Figure::of(rounds.iter().map(of).collect(), "").median
        };
        let note = format!(
            "idle p50 {:.0} µs, p99 {:.0} µs; busy p50 {:.0} µs, p99 {:.0} µs; the \
             writer on the client's core",
            median(&self.idle, |latency| latency.p50),
            median(&self.idle, |latency| latency.p99),
            median(&self.busy, |latency| latency.p50),
            median(&self.busy, |latency| latency.p99),
        );
        Row::new(what, Figure::of(self.ratios, "×"), Bar::AtMost(1.5)).note(note)
    }
}

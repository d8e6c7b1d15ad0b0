//! Somebody asks for a long list and reads nothing, while others use their tokens.

use std::time::Instant;

use netbird_auth::clock::Timestamp;

use crate::Bench;
use crate::house::{House, Shuffled, slice};
use crate::load::Load;
use crate::program::Program;
use crate::row::{Bar, Figure, Row};
use crate::steady::Steady;
use crate::wire::{Connection, get};

const MIB: f64 = 1_048_576.0;
/// Marks a second.
const MARKS: u32 = 20_000;

pub fn run(bench: &Bench) -> Vec<Row> {
    let house = House::big(bench);
    let program = Program::start(&house.path);
    let time = slice(bench, 20.0);
    let mut silent = Connection::open(program.address);
    silent.send(&get("/api/users", &house.owner));

    let started = Timestamp::now();
    let mut marks = Steady::new(program.address, MARKS, 16, Shuffled::new(house.size.tokens));
    let begun = Instant::now();
    let (mut steps, mut longest) = (0_u64, 0.0_f64);
    while begun.elapsed() < time {
        marks.step();
        steps += 1;
        if steps.is_multiple_of(2_000) {
            longest = longest.max(program.log_length());
        }
    }
    marks.stop();
    let sent = marks.sent();
    let rate = sent as f64 / begun.elapsed().as_secs_f64();
    let expected = sent.min(u64::from(house.size.tokens));
    let written = house.used_since(started, expected);
    assert!(written >= expected, "{written} of {expected} marks");
    longest = longest.max(program.log_length());
    let note = format!(
        "a list of {} users asked for and not read, {rate:.0} of {MARKS} tokens used a second for {:.1} s, \
         {written} marks in the database",
        house.size.users,
        time.as_secs_f64()
    );
    let figure = Figure::once(longest / MIB, "MiB");
    vec![
        Row::new(
            "write-ahead log beside a client that reads nothing",
            figure,
            Bar::AtMost(64.0),
        )
        .note(note),
    ]
}

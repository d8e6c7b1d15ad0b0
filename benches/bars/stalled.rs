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

/// Makes some tokens the owner's, whose id it returns: a list long enough to fill every buffer.
fn give_to_owner(house: &House, tokens: u32) -> String {
    let database = house.open();
    let sql = "UPDATE tokens SET user = 1 WHERE number <= ?1";
    database.execute(sql, [tokens]).unwrap();
    let owner = netbird_auth::store::owner(&database).unwrap().unwrap();
    owner.id.to_string()
}

pub fn run(bench: &Bench) -> Vec<Row> {
    let house = House::big(bench);
    let listed = house.size.tokens / 10;
    let owner = give_to_owner(&house, listed);
    let program = Program::start(&house.path);
    let time = slice(bench, 20.0);
    let mut silent = Connection::open(program.address);
    let path = format!("/api/users/{owner}/tokens");
    silent.send(&get(&path, &house.owner));

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
    let rate = marks.sent() as f64 / begun.elapsed().as_secs_f64();
    assert!(
        rate > 0.9 * f64::from(MARKS) || bench.is_small,
        "only {rate:.0} tokens were used a second"
    );
    marks.stop();
    let sent = marks.sent();
    let expected = sent.min(u64::from(house.size.tokens));
    let written = house.used_since(started, expected);
    assert!(written >= expected, "{written} of {expected} marks");
    longest = longest.max(program.log_length());
    let note = format!(
        "a list of {listed} tokens asked for and not read, which comes from the database; {rate:.0} of \
         {MARKS} tokens used a second for {:.1} s, {written} marks in the database",
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

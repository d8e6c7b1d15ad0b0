//! From the start of the process to the first token that passes.

use std::path::Path;
use std::time::Instant;

use crate::Bench;
use crate::fill;
use crate::house::House;
use crate::program::Program;
use crate::row::{Bar, Figure, Row};
use crate::wire::{Connection, passes};

pub fn run(bench: &Bench) -> Vec<Row> {
    let starts = if bench.is_small { 2 } else { 5 };
    let big = bench.big();
    let token = fill::token(big.size.tokens / 2);
    let full = Vec::from_iter((0..starts).map(|_| first_answer(&big.path, &token)));
    let micros = full
        .iter()
        .map(|seconds| seconds * 1e6 / f64::from(big.size.tokens))
        .collect();
    let house = House::empty(bench);
    let empty = (0..starts).map(|_| first_answer(&house.path, &house.owner) * 1e3);
    let empty = Figure::of(empty.collect(), "ms");
    let note = "the file is in the system's cache; the client tries again and again";
    vec![
        Row::new(
            format!("start to first 200, {} tokens", big.size.tokens),
            Figure::of(full, "s"),
            Bar::AtMost(1.0),
        )
        .note(note),
        Row::new(
            "start to first 200, for each token",
            Figure::of(micros, "µs"),
            Bar::AtMost(1.5),
        ),
        Row::new("start to first 200, owner only", empty, Bar::AtMost(50.0)),
    ]
}

/// In seconds.
fn first_answer(database: &Path, token: &str) -> f64 {
    let started = Instant::now();
    let mut program = Program::start_unready(database);
    let mut connection = loop {
        // Nobody listens before everything is in memory.
        if let Ok(connection) = Connection::try_open(program.address) {
            break connection;
        }
        std::hint::spin_loop();
    };
    assert!(passes(&mut connection, token));
    let took = started.elapsed().as_secs_f64();
    program.wait_ready();
    took
}

//! A revocation at the command line, and the running server that has to follow it.

use std::process::Stdio;
use std::time::Instant;

use crate::Bench;
use crate::cores;
use crate::fill;
use crate::house::House;
use crate::program::Program;
use crate::row::{Bar, Figure, Row};
use crate::wire::{Connection, passes};

pub fn run(bench: &Bench) -> Vec<Row> {
    let house = House::big(bench);
    let program = Program::start(&house.path);
    let (mut after, mut whole) = (Vec::new(), Vec::new());
    for round in 0..if bench.is_small { 2 } else { 5 } {
        let number = house.size.tokens / 7 * (round + 1);
        let token = fill::token(number);
        let mut connection = Connection::open(program.address);
        assert!(passes(&mut connection, &token));
        // It would inherit the client's core.
        cores::free();
        let started = Instant::now();
        let mut command = program
            .command()
            .args(["token", "revoke", fill::token_id(number).as_str()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        cores::pin(cores::CLIENT);
        let mut exited = None;
        while passes(&mut connection, &token) {
            if exited.is_none() && command.try_wait().unwrap().is_some() {
                exited = Some(Instant::now());
            }
        }
        let refused = Instant::now();
        assert!(command.wait().unwrap().success());
        // Where the server was quicker than the command's end, that is no wait.
        after.push(exited.map_or(0.0, |exited| (refused - exited).as_secs_f64()));
        whole.push((refused - started).as_secs_f64());
    }
    let note = format!(
        "{:.2} s with the command itself; {} tokens",
        Figure::of(whole, "").median,
        house.size.tokens
    );
    let what = "from the end of 'token revoke' to the first 401 of the running server";
    vec![Row::new(what, Figure::of(after, "s"), Bar::AtMost(1.0)).note(note)]
}

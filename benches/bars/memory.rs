//! What the server holds in memory.

use crate::Bench;
use crate::fill;
use crate::house::{House, Shuffled};
use crate::program::Program;
use crate::row::{Bar, Figure, Row};
use crate::wire::{Connection, who_am_i};

const MIB: f64 = 1_048_576.0;

pub fn run(bench: &Bench) -> Vec<Row> {
    let house = House::empty(bench);
    let program = Program::start(&house.path);
    let request = who_am_i(&house.owner);
    use_tokens(&program, (0..1_000).map(|_| request.clone()));
    let idle = program.resident() / MIB;
    drop(program);

    let house = House::big(bench);
    let (tokens, users) = (house.size.tokens, house.size.users);
    let program = Program::start(&house.path);
    let started = program.resident() / MIB;
    let used = tokens / 5;
    let numbers = Shuffled::new(tokens).take(used as usize);
    use_tokens(
        &program,
        numbers.map(|number| who_am_i(&fill::token(number))),
    );
    let busy = program.resident() / MIB;
    let note = format!(
        "{started:.1} MiB after the start, the figure after {used} different tokens were used"
    );
    vec![
        Row::new(
            "resident memory, owner only",
            Figure::once(idle, "MiB"),
            Bar::AtMost(15.0),
        )
        .note("after a thousand requests"),
        Row::new(
            format!("resident memory, {tokens} tokens of {users} users"),
            Figure::once(busy, "MiB"),
            Bar::AtMost(150.0),
        )
        .note(note),
    ]
}

fn use_tokens(program: &Program, requests: impl Iterator<Item = Vec<u8>>) {
    let mut connection = Connection::open(program.address);
    for request in requests {
        assert_eq!(connection.ask(&request), 200);
    }
}

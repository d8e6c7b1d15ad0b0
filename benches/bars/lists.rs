//! Long lists, and who waits beside them.

use crate::Bench;
use crate::fill::Size;
use crate::house::{House, rounds, slice};
use crate::latency::Busy;
use crate::load::{Idle, Lists};
use crate::program::Program;
use crate::row::{Bar, Figure, Row};
use crate::steady::Steady;

const MIB: f64 = 1_048_576.0;

pub fn run(bench: &Bench) -> Vec<Row> {
    let users = if bench.is_small { 5_000 } else { 100_000 };
    let tokens = 1_000;
    let house = House::new(bench, Size { tokens, users });
    // The owner is one more.
    let listed = users as usize + 1;
    let program = Program::start(&house.path);
    let (address, time) = (program.address, slice(bench, 5.0));
    Steady::probe(address).measure(&mut Idle, time / 2);
    // Before the first list: what a list leaves behind counts.
    let resident = program.resident();
    let mut beside = Busy::default();
    let (mut first_bytes, mut alone, mut whole) = (Vec::new(), Vec::new(), Vec::new());
    let (mut peaks, mut count) = (Vec::new(), 0);
    for round in 0..=rounds(bench) {
        let idle = Steady::probe(address).measure(&mut Idle, time);
        let lists = |clients| Lists::new(address, &house.owner, clients, listed);
        let mut single = lists(1);
        single.finish();
        program.forget_peak();
        let mut eight = lists(8);
        let busy = Steady::probe(address).measure(&mut eight, time);
        eight.finish();
        let peak = (program.peak() - resident) / MIB;
        eprintln!(
            "  round {round}: p50 {:.0} µs idle, {:.0} µs beside 8 lists; {peak:.1} MiB more; {} \
             lists, {:.1} s each",
            idle.p50,
            busy.p50,
            eight.whole.len(),
            eight.whole[0]
        );
        if round > 0 {
            beside.add(idle, busy);
            peaks.push(peak);
            count += eight.whole.len();
            first_bytes.extend(eight.first_bytes);
            whole.extend(eight.whole);
            alone.extend(single.first_bytes);
        }
    }
    let first = Figure::of(first_bytes, "ms");
    let note = format!(
        "median of {count} lists; with one client at an idle server {:.2} ms; a whole list takes \
         {:.2} s",
        Figure::of(alone, "").median,
        Figure::of(whole, "").median
    );
    vec![
        Row::new(
            format!("memory of 8 lists of {users} users at once, over idle"),
            Figure::of(peaks, "MiB"),
            Bar::AtMost(32.0),
        )
        .note(format!("each of {count} lists complete")),
        Row::new("first byte of a list, 8 at once", first, Bar::AtMost(10.0)).note(note),
        beside.row("p50 of a token request beside 8 lists, against idle"),
    ]
}

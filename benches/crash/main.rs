//! The evidence that nothing acknowledged is ever lost.
//!
//! `cargo bench --bench crash` tries everything. `-- kills` tries the groups named, `-- --rounds 1000`
//! so many rounds of each, `-- --seed 7` with the choices of an earlier run, `-- --binary PATH` with
//! another program. The last lines are the table; the exit status is 1 where something was lost or too slow,
//! and then the folder with the files is kept. With `-- --busy`, for a machine that does other work, what is
//! only too slow is told and fails nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    missing_docs
)]

mod age;
mod audit;
mod backup;
mod check;
mod cuts;
mod disk;
mod ends;
mod each_call;
mod fate;
mod faults;
#[path = "../bars/fill.rs"]
#[allow(dead_code, reason = "the bars fill more")]
mod fill;
mod full;
#[path = "../../tests/it/support/http.rs"]
#[allow(dead_code, reason = "the client of the tests can do more")]
mod http;
mod kills;
mod lane;
mod ledger;
mod load;
mod locked;
mod line;
mod migrate;
mod panics;
mod replaced;
mod marks;
mod power;
mod probe;
mod program;
mod proof;
mod random;
mod recording;
mod replay;
mod restore;
mod revoked;
mod row;
mod run;
mod seen;
mod shim;
mod stall;
mod state;
mod token_file;
mod trace;
mod trail;
mod vitals;
mod versions;
mod uses;
mod weaker;
#[path = "../bars/wire.rs"]
#[allow(dead_code, reason = "the bars do more")]
mod wire;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::time::Instant;

use row::{HEADING, Row};
use run::Run;

/// What is tried together: its rows, or what was lost, in words.
type Group = (&'static str, fn(&Run) -> Result<Vec<Row>, String>);

const GROUPS: &[Group] = &[
    // In the order in which they are tried.
    ("kills", kills::run),
    ("power", power::run),
    ("backup", backup::run),
    ("restore", restore::run),
    ("migrate", migrate::run),
    ("marks", marks::run),
    ("stall", stall::run),
    ("audit", audit::run),
    ("faults", faults::run),
    ("full", full::run),
    ("locked", locked::run),
    ("panic", panics::run),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, database] = arguments.as_slice()
        && flag == locked::HOLDER
    {
        locked::hold(database);
        return ExitCode::SUCCESS;
    }
    // `cargo test --benches` would run it too.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    let (run, wanted) = match Run::parse(&arguments) {
        Ok(parsed) => parsed,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    if let Some(unknown) = wanted
        .iter()
        .find(|name| !GROUPS.iter().any(|(group, _)| group == *name))
    {
        run.remove_folder();
        let known: Vec<&str> = GROUPS.iter().map(|(group, _)| *group).collect();
        eprintln!("{unknown}: no such group; there are {}", known.join(", "));
        return ExitCode::FAILURE;
    }
    let (binary, folder) = (run.binary.display(), run.folder.display());
    eprintln!("seed {}, {binary}, files in {folder}", run.seed);
    let mut rows = Vec::new();
    for (name, group) in GROUPS {
        if !wanted.is_empty() && !wanted.iter().any(|wanted| wanted == name) {
            continue;
        }
        eprintln!("{name} …");
        let begun = Instant::now();
        let seen = std::panic::catch_unwind(AssertUnwindSafe(|| group(&run)));
        let seen = seen.unwrap_or_else(|_| Err("it panicked, as is said above".to_owned()));
        let seen = seen.unwrap_or_else(|lost| {
            run.end_of_line();
            eprintln!("{name}: LOST: {lost}");
            vec![Row::new(*name, first_line(&lost), "nothing lost").ok(false)]
        });
        run.end_of_line();
        eprintln!("{name}: {:.1?}", begun.elapsed());
        rows.extend(seen);
    }
    println!("{HEADING}");
    for row in &rows {
        println!("{row}");
    }
    let is_quick_enough = run.is_busy || rows.iter().all(|row| row.is_in_time);
    match is_quick_enough && rows.iter().all(|row| row.is_ok) {
        true => {
            run.remove_folder();
            ExitCode::SUCCESS
        }
        false => {
            eprintln!("the files are kept in {}", run.folder.display());
            eprintln!("to try the same again: --seed {}", run.seed);
            ExitCode::FAILURE
        }
    }
}

/// As much as a cell of the table takes.
fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.replace('|', "/").chars().take(200).collect()
}

//! Every figure of BENCHMARKS.md, measured and printed beside its bar.
//!
//! `cargo bench --bench bars` measures everything. `-- door changes` measures the groups named,
//! `-- --small` with small databases and few rounds, which says nothing of the bars and shows that
//! the program works. The last lines are the table; the exit status is 1 where a bar was missed.
//!
//! Machines are noisy: a figure is a ratio inside one run, wherever that can be, and the median of
//! rounds that measure everything in turn.

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

mod changes;
mod client;
mod command;
mod cores;
mod door;
mod fill;
mod growth;
mod house;
mod jwt;
mod latency;
mod lists;
mod load;
mod marks;
mod memory;
mod program;
mod rivals;
mod row;
#[path = "../../tests/it/support/signing.rs"]
mod signing;
mod site;
mod size;
mod slow;
mod stalled;
mod start;
mod steady;
mod verify;
mod ways;
mod wire;

use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;

use fill::{Filled, Size};
use row::{HEADING, Row};

/// What all groups share.
pub struct Bench {
    /// For databases; removed at the end.
    pub folder: tempfile::TempDir,
    /// Small databases, few rounds.
    pub is_small: bool,
    filled: RefCell<Vec<Rc<Filled>>>,
}

impl Bench {
    /// A database of a size, filled once. Nobody opens it: whoever needs one copies the file.
    pub fn filled(&self, size: Size) -> Rc<Filled> {
        let mut all = self.filled.borrow_mut();
        if let Some(known) = all.iter().find(|filled| filled.size == size) {
            return Rc::clone(known);
        }
        let name = format!("filled-{}-{}.db", size.tokens, size.users);
        let filled = Rc::new(fill::fill(self.folder.path(), &name, size));
        all.push(Rc::clone(&filled));
        filled
    }

    /// A million tokens of 100 000 users; fewer where the program is only tried.
    pub fn big(&self) -> Rc<Filled> {
        let (tokens, users) = match self.is_small {
            true => (50_000, 5_000),
            false => (1_000_000, 100_000),
        };
        self.filled(Size { tokens, users })
    }
}

/// A group of rows that are measured together.
type Group = (&'static str, fn(&Bench) -> Vec<Row>);

const GROUPS: &[Group] = &[
    ("door", door::run),
    ("rivals", rivals::run),
    ("jwt", jwt::run),
    ("verify", verify::run),
    ("marks", marks::run),
    ("changes", changes::run),
    ("latency", latency::run),
    ("lists", lists::run),
    ("stalled", stalled::run),
    ("slow", slow::run),
    ("start", start::run),
    ("memory", memory::run),
    ("size", size::run),
    ("command", command::run),
    ("growth", growth::run),
];

/// statfs(2).
const TMPFS: rustix::fs::FsWord = 0x0102_1994;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` would run it too.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    if let Some(unknown) = wanted
        .iter()
        .find(|name| !GROUPS.iter().any(|(group, _)| group == *name))
    {
        let known: Vec<&str> = GROUPS.iter().map(|(group, _)| *group).collect();
        eprintln!("{unknown}: no such group; there are {}", known.join(", "));
        return ExitCode::FAILURE;
    }
    let bench = Bench {
        folder: tempfile::tempdir().unwrap(),
        is_small: arguments.iter().any(|argument| argument == "--small"),
        filled: RefCell::default(),
    };
    // There an fsync costs nothing, and nothing is durable.
    let folder = rustix::fs::statfs(bench.folder.path()).unwrap();
    if folder.f_type == TMPFS {
        eprintln!("the folder for databases is in memory: name one on a disk in TMPDIR");
        return ExitCode::FAILURE;
    }
    let mut rows = Vec::new();
    for (name, run) in GROUPS {
        if wanted.is_empty() || wanted.contains(name) {
            eprintln!("{name} …");
            for row in run(&bench) {
                eprintln!("{row}");
                rows.push(row);
            }
        }
    }
    println!("{HEADING}");
    for row in &rows {
        println!("{row}");
    }
    match rows.iter().all(Row::is_met) || bench.is_small {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

//! What lies on the disk.

use std::fs;

use crate::Bench;
use crate::program::BINARY;
use crate::row::{Bar, Figure, Row};

pub fn run(bench: &Bench) -> Vec<Row> {
    let big = bench.big();
    let length = fs::metadata(&big.path).unwrap().len() as f64;
    let each = length / f64::from(big.size.tokens);
    let binary = fs::metadata(BINARY).unwrap().len() as f64 / 1e6;
    let note = format!(
        "the whole file, with {} users, without audit events; each token was used once",
        big.size.users
    );
    vec![
        Row::new(
            format!("database, for each of {} tokens", big.size.tokens),
            Figure::once(each, "bytes"),
            Bar::AtMost(260.0),
        )
        .note(note),
        Row::new(
            "release binary",
            Figure::once(binary, "MB"),
            Bar::AtMost(10.0),
        ),
    ]
}

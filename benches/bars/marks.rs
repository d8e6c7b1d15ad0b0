//! Marks of use that reach the disk.

use std::sync::Arc;
use std::time::Instant;

use netbird_auth::clock::Timestamp;
use netbird_auth::index::Index;
use netbird_auth::store;
use netbird_auth::token::{PlainToken, TokenHash};
use netbird_auth::writer::{Start, Writer};
use rusqlite::{Connection, params};

use crate::Bench;
use crate::cores;
use crate::fill;
use crate::house::{House, Shuffled};
use crate::row::{Bar, Figure, Row};

/// What the writer may hold of a batch that it has taken and not yet written, and some more.
const UNDER_WAY: i64 = 25_000;

/// Every token in turn, over and over: none is used again before its last mark is in the database,
/// so that each use is a mark of its own, and the writer never waits for marks. The times are
/// counted up by one, so that the oldest one that waits says how far the writer is.
pub fn run(bench: &Bench) -> Vec<Row> {
    let house = House::big(bench);
    let count = i64::from(house.size.tokens);
    let hashes: Vec<TokenHash> = Shuffled::new(house.size.tokens)
        .take(house.size.tokens as usize)
        .map(|number| PlainToken::parse(&fill::token(number)).unwrap().hash())
        .collect();
    let start = Start::load(house.open(), &house.path).unwrap();
    let index = start.index();
    // The writer's thread inherits the core.
    cores::pin(cores::SERVER);
    let (writer, thread) = Writer::start(start).unwrap();
    cores::pin(cores::CLIENT);

    let base = Timestamp::now().micros();
    let rounds = if bench.is_small { 2 } else { 5 };
    // The first one waits up to a second for the writer to begin.
    let total = count * (rounds as i64 + 1);
    let (mut used, mut rates, mut longest_log) = (0, Vec::new(), 0);
    let mut begun = Instant::now();
    let log = house.path.with_extension("db-wal");
    while rates.len() <= rounds {
        let written = index
            .oldest_mark()
            .map_or(used, |oldest| oldest.micros() - base);
        if written >= count * (rates.len() as i64 + 1) {
            let rate = count as f64 / begun.elapsed().as_secs_f64();
            eprintln!("  round {}: {rate:.0} marks/s", rates.len());
            rates.push(rate);
            begun = Instant::now();
        }
        let until = total.min(written + count - UNDER_WAY).min(used + 1_000);
        if until <= used {
            longest_log = longest_log.max(std::fs::metadata(&log).map_or(0, |file| file.len()));
            (0..1_000).for_each(|_| std::hint::spin_loop());
        }
        while used < until {
            let hash = &hashes[(used % count) as usize];
            index
                .authenticate(hash, Timestamp::from_micros(base + used))
                .unwrap();
            used += 1;
        }
    }
    drop(writer);
    assert_eq!(thread.join(), Some(true), "every mark is written");
    cores::free();
    check(&house, &index, &hashes, base + total - count);
    rates.remove(0);
    let note = format!(
        "{count} tokens a round; the writer alone on its core; longest log {:.1} MiB",
        longest_log as f64 / 1_048_576.0
    );
    let figure = Figure::of(rates, "marks/s");
    vec![
        Row::new(
            "marks of use, all of different tokens, durable",
            figure,
            Bar::AtLeast(80_000.0),
        )
        .note(note),
    ]
}

/// The database has the time of the last round for each token.
fn check(house: &House, index: &Arc<Index>, hashes: &[TokenHash], last_round: i64) {
    assert!(index.oldest_mark().is_none());
    let connection: Connection = store::open_as_it_is(&house.path).unwrap();
    let sql = "SELECT count(*) FROM token_usage WHERE last_used >= ?1";
    let used: u32 = connection
        .query_row(sql, [last_round], |row| row.get(0))
        .unwrap();
    assert_eq!(
        used as usize,
        hashes.len(),
        "tokens with the time of the last round"
    );
    let sql = "SELECT last_used FROM token_usage JOIN tokens ON number = token WHERE hash = ?1";
    for place in (0..hashes.len()).step_by(997) {
        let time: i64 = connection
            .query_row(sql, params![hashes[place]], |row| row.get(0))
            .unwrap();
        assert_eq!(time, last_round + place as i64, "the time of a token");
    }
}

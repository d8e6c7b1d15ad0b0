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

/// In each round every token is used once, and the clock runs until the last mark is in the database:
/// the writer's wait for its next second is in it. The times are counted up by one.
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
    let (mut used, mut rates, mut longest_log) = (0, Vec::new(), 0);
    let log = house.path.with_extension("db-wal");
    for round in 0..=rounds {
        let begun = Instant::now();
        for hash in &hashes {
            index
                .authenticate(hash, Timestamp::from_micros(base + used))
                .unwrap();
            used += 1;
        }
        while index.oldest_mark().is_some() {
            longest_log = longest_log.max(std::fs::metadata(&log).map_or(0, |file| file.len()));
            (0..1_000).for_each(|_| std::hint::spin_loop());
        }
        let rate = count as f64 / begun.elapsed().as_secs_f64();
        eprintln!("  round {round}: {rate:.0} marks/s");
        rates.push(rate);
    }
    drop(writer);
    assert_eq!(thread.join(), Some(true), "every mark is written");
    cores::free();
    check(&house, &index, &hashes, base + used - count);
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

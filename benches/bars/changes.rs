//! Tokens made and revoked over HTTP by many at once, against one COMMIT each.

use std::time::{Duration, Instant};

use netbird_auth::change::{self, Actor, NewTokenRequest};
use netbird_auth::clock::Timestamp;
use netbird_auth::store;
use netbird_auth::token::{Lifetime, PlainToken};
use netbird_auth::user::{Credential, Name, TokenNumber, UserId, UserNumber};
use rusqlite::Connection;

use crate::Bench;
use crate::house::{House, rounds, slice};
use crate::load::Churn;
use crate::program::Program;
use crate::row::{Bar, Figure, Row};

pub fn run(bench: &Bench) -> Vec<Row> {
    let (house, other) = (House::big(bench), House::big(bench));
    let program = Program::start(&house.path);
    let mut rival = Rival::new(&other);
    let time = slice(bench, 2.0);
    let (mut ratios, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=rounds(bench) {
        // Connections that nobody uses are closed by the server after a while.
        let mut churn = Churn::new(program.address, &house.owner, 64);
        let rate = churn.rate(time);
        churn.check();
        let single = rival.rate(time);
        eprintln!("  round {round}: {rate:.0} changes/s, one COMMIT each {single:.0}");
        if round > 0 {
            ratios.push(rate / single);
            ours.push(rate);
            theirs.push(single);
        }
    }
    let note = format!(
        "{:.0} changes/s over HTTP, each answered after its fsync, the writer on \
         the client's core; {:.0} with one COMMIT each, in \
         this process and without HTTP",
        Figure::of(ours, "").median,
        Figure::of(theirs, "").median
    );
    let what = "tokens made and revoked by 64 clients, against one COMMIT each";
    vec![Row::new(what, Figure::of(ratios, "×"), Bar::AtLeast(10.0)).note(note)]
}

/// The same changes by the same code, one after the other, each in its own transaction.
struct Rival {
    connection: Connection,
    owner: UserId,
}

impl Rival {
    fn new(house: &House) -> Self {
        let connection = house.open();
        let owner = store::owner(&connection).unwrap().unwrap().id;
        Self { connection, owner }
    }

    fn rate(&mut self, time: Duration) -> f64 {
        let started = Instant::now();
        let mut changes = 0;
        // The owner is the first user, and has the first token.
        let actor = Actor::Caller(UserNumber(1), Credential::Token(TokenNumber(1)));
        while started.elapsed() < time {
            let plain = PlainToken::generate().unwrap();
            let request = NewTokenRequest {
                hash: plain.hash(),
                name: Name::parse("bench").unwrap(),
                lifetime: Lifetime::days(30).unwrap(),
            };
            let now = Timestamp::now();
            let (connection, owner) = (&self.connection, &self.owner);
            connection.execute_batch("BEGIN IMMEDIATE").unwrap();
            let made = change::create_token(connection, now, actor, owner, request).unwrap();
            connection.execute_batch("COMMIT; BEGIN IMMEDIATE").unwrap();
            change::revoke_token(connection, now, actor, owner, made.value.id).unwrap();
            connection.execute_batch("COMMIT").unwrap();
            changes += 2;
        }
        f64::from(changes) / started.elapsed().as_secs_f64()
    }
}

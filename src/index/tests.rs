//! Tokens that get one another's slots, while their marks are on the way.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::slots::Slots;
use super::tokens::{PendingMark, Tokens};
use crate::clock::Timestamp;
use crate::store::LoadedToken;
use crate::token::TokenHash;
use crate::user::{TokenNumber, UserNumber};
use crate::xid::Xid;

/// Of tokens by a number: which of all that were ever made, round and round.
#[derive(Clone, Copy, Debug)]
enum Operation {
    Add,
    Remove(u32),
    /// Every second one.
    Thin,
    Use(u32, i64),
    Take(usize),
    Written,
    Failed,
    /// All is read anew.
    Replace,
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        6 => Just(Operation::Add),
        3 => any::<u32>().prop_map(Operation::Remove),
        1 => Just(Operation::Thin),
        8 => (any::<u32>(), 1..1_000i64).prop_map(|(token, at)| Operation::Use(token, at)),
        4 => (0..6usize).prop_map(Operation::Take),
        3 => Just(Operation::Written),
        1 => Just(Operation::Failed),
        1 => Just(Operation::Replace),
    ]
}

/// All in one shard, so that slots are reused, and many with the same bits in the table.
fn hash(number: u32) -> TokenHash {
    let mut bytes = [0; 32];
    bytes[1] = u8::try_from(number % 3).unwrap();
    bytes[28..].copy_from_slice(&number.to_be_bytes());
    TokenHash::from_bytes(bytes)
}

fn id(number: u32) -> Xid {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    Xid::from_bytes(&bytes)
}

fn token(number: u32, last_used: Option<Timestamp>) -> LoadedToken {
    LoadedToken {
        hash: hash(number),
        number: TokenNumber(number),
        id: id(number),
        user: UserNumber(1),
        expires_at: Timestamp::from_micros(i64::MAX),
        last_used,
    }
}

/// The tokens, and what plain maps say about them.
struct House {
    tokens: Tokens,
    made: u32,
    /// Those that are there, with their marks.
    marks: BTreeMap<u32, Option<Timestamp>>,
    database: BTreeMap<u32, Option<Timestamp>>,
    taken: Vec<PendingMark>,
}

impl House {
    fn run(&mut self, operation: Operation) {
        match operation {
            Operation::Add => {
                self.made += 1;
                self.tokens.add(&token(self.made, None));
                // Again, as when a change is taken over twice.
                self.tokens.add(&token(self.made, None));
                self.marks.insert(self.made, None);
                self.database.insert(self.made, None);
            }
            Operation::Remove(token) => {
                let token = 1 + token % self.made.max(1);
                self.tokens.remove(&hash(token));
                self.forget(|number| number == token);
            }
            Operation::Thin => {
                self.tokens.retain(|entry| !entry.token.0.is_multiple_of(2));
                self.forget(|number| number.is_multiple_of(2));
            }
            Operation::Use(token, at) => self.used(1 + token % self.made.max(1), at),
            Operation::Take(limit) => {
                if self.taken.is_empty() {
                    self.taken = self.tokens.take_marks(limit);
                    assert!(self.taken.len() <= limit);
                }
            }
            Operation::Written => {
                for mark in &self.taken {
                    // As the statement does: nothing for a token that is gone.
                    if let Some(time) = self.database.get_mut(&mark.token.0) {
                        *time = (*time).max(Some(mark.last_used()));
                    }
                }
                self.tokens.marks_written(&self.taken);
                self.taken.clear();
            }
            Operation::Failed => {
                self.tokens.marks_failed(&self.taken);
                self.taken.clear();
            }
            Operation::Replace => {
                let mut fresh = Tokens::with_capacity(0);
                for (number, last_used) in &self.database {
                    fresh.load(&token(*number, *last_used));
                }
                self.tokens.replace(fresh);
            }
        }
    }

    fn used(&mut self, token: u32, at: i64) {
        let at = Timestamp::from_micros(at);
        let shard = self.tokens.shard(&hash(token)).unwrap();
        let slots = shard.read();
        let found = slots.find(&hash(token));
        assert_eq!(found.is_some(), self.marks.contains_key(&token));
        let Some((slot, entry)) = found else {
            return;
        };
        if entry.mark.set(at) {
            shard.add_dirty(slot, at);
        }
        let mark = self.marks.entry(token).or_default();
        *mark = (*mark).max(Some(at));
    }

    fn forget(&mut self, is_gone: impl Fn(u32) -> bool) {
        self.marks.retain(|number, _| !is_gone(*number));
        self.database.retain(|number, _| !is_gone(*number));
    }

    fn check(&self) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.tokens.count(), self.marks.len());
        for number in 0..=self.made {
            let found = self.tokens.read(&hash(number), |entry| {
                (entry.hash, entry.token, entry.mark.time())
            });
            let known = self.marks.get(&number);
            let known = known.map(|mark| (hash(number), TokenNumber(number), *mark));
            prop_assert_eq!(found, known);
        }
        let waits = self.marks != self.database;
        prop_assert!(!waits || self.tokens.oldest_mark().is_some());
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn a_slot_that_another_token_gets_takes_no_mark_along(operations in prop::collection::vec(operation(), 1..120)) {
        let mut house = House {
            tokens: Tokens::with_capacity(0),
            made: 0,
            marks: BTreeMap::new(),
            database: BTreeMap::new(),
            taken: Vec::new(),
        };
        for operation in operations {
            house.run(operation);
            house.check()?;
        }
        house.run(Operation::Failed);
        let mut rounds = 0;
        while { house.run(Operation::Take(2)); !house.taken.is_empty() } {
            house.run(Operation::Written);
            rounds += 1;
            prop_assert!(rounds < 1_000, "marks that never end");
        }
        prop_assert_eq!(&house.marks, &house.database);
        prop_assert_eq!(house.tokens.oldest_mark(), None);
    }
}

#[test]
fn marks_are_written_in_the_order_of_rows_and_those_that_come_meanwhile_later() {
    let tokens = Tokens::with_capacity(6);
    (1..=6).for_each(|number| tokens.add(&token(number, None)));
    let used = |number: u32, at| {
        let shard = tokens.shard(&hash(number)).unwrap();
        let slots = shard.read();
        let (slot, entry) = slots.find(&hash(number)).unwrap();
        let at = Timestamp::from_micros(at);
        if entry.mark.set(at) {
            shard.add_dirty(slot, at);
        }
    };
    [5, 2, 6, 3].into_iter().for_each(|number| used(number, 10));
    let mut written = Vec::new();
    loop {
        let taken = tokens.take_marks(2);
        if taken.is_empty() {
            break;
        }
        let rows = taken.iter().map(|mark| mark.token.0);
        written.push(rows.collect::<Vec<_>>());
        if written.len() == 1 {
            used(1, 20);
            // On its way already: written once more, later.
            used(2, 30);
        }
        tokens.marks_written(&taken);
    }
    assert_eq!(written, [vec![2, 3], vec![5, 6], vec![1, 2]]);
}

#[test]
fn many_tokens_of_one_shard_are_all_found_and_their_slots_are_used_again() {
    let mut slots = Slots::default();
    (0..1_000).for_each(|number| slots.insert(&token(number, None)));
    (0..1_000)
        .step_by(3)
        .for_each(|number| slots.remove(&hash(number)));
    (1_000..1_334).for_each(|number| slots.insert(&token(number, None)));
    for number in 0..1_334 {
        let found = slots
            .find(&hash(number))
            .map(|(slot, entry)| (slot < 1_000, entry.token.0, slots.id(slot)));
        let is_there = number >= 1_000 || number % 3 != 0;
        assert_eq!(found, is_there.then_some((true, number, Some(id(number)))));
    }
    assert_eq!((slots.len(), slots.iter().count()), (1_000, 1_000));
}

//! The tokens in memory, in shards, and the marks of use that wait for the database.

use parking_lot::{Mutex, RwLock, RwLockReadGuard};

use super::entry::Entry;
use super::mark::Mark;
use super::slots::{Slot, Slots};
use crate::clock::Timestamp;
use crate::store::LoadedToken;
use crate::token::TokenHash;
use crate::user::TokenNumber;

/// One for each first byte of a hash. A writer holds one of them at a time.
const SHARDS: usize = 256;

pub(super) struct Tokens {
    shards: Box<[Shard]>,
    flush: Mutex<Flush>,
}

#[derive(Default)]
pub(super) struct Shard {
    slots: RwLock<Slots>,
    dirty: Mutex<Dirty>,
}

/// Where marks were set that the database does not have. The bit in the mark is the truth: a slot
/// whose mark is clean, since its token was revoked and another one has it, is passed by.
#[derive(Default)]
struct Dirty {
    slots: Vec<Slot>,
    /// The first of them.
    since: Option<Timestamp>,
}

/// Marks that are being written, in the order of rows, which is many times cheaper for the database
/// than the order of use.
#[derive(Default)]
struct Flush {
    /// The last one is the next.
    left: Vec<Waiting>,
    since: Option<Timestamp>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    token: TokenNumber,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    shard: u8,
    slot: Slot,
}

/// A mark on its way to the database.
#[derive(Clone, Copy, Debug)]
pub struct PendingMark {
    place: Place,
    seen: i64,
    /// The token's row.
    pub token: TokenNumber,
}

impl PendingMark {
    /// When the token last passed.
    pub fn last_used(&self) -> Timestamp {
        Mark::time_of(self.seen)
    }
}

impl Tokens {
    /// With room for some tokens, and for a few more.
    pub(super) fn with_capacity(tokens: usize) -> Self {
        let room = tokens / SHARDS;
        let shard = || Shard {
            slots: RwLock::new(Slots::with_capacity(room + room / 32)),
            dirty: Mutex::default(),
        };
        Self {
            shards: std::iter::repeat_with(shard).take(SHARDS).collect(),
            flush: Mutex::default(),
        }
    }

    pub(super) fn count(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.slots.read().len())
            .sum()
    }

    pub(super) fn shard(&self, hash: &TokenHash) -> Option<&Shard> {
        let [first, ..] = hash.as_bytes();
        self.shards.get(usize::from(*first))
    }

    /// What `read` makes of a token.
    pub(super) fn read<T>(&self, hash: &TokenHash, read: impl FnOnce(&Entry) -> T) -> Option<T> {
        let slots = self.shard(hash)?.slots.read();
        slots.find(hash).map(|(_, entry)| read(entry))
    }

    /// Adds a token. One that is there keeps its mark.
    pub(super) fn add(&self, token: &LoadedToken) {
        if let Some(shard) = self.shard(&token.hash) {
            shard.slots.write().insert(token);
        }
    }

    /// The same, while nobody else can see them.
    pub(super) fn load(&mut self, token: &LoadedToken) {
        let [first, ..] = *token.hash.as_bytes();
        if let Some(shard) = self.shards.get_mut(usize::from(first)) {
            shard.slots.get_mut().insert(token);
        }
    }

    pub(super) fn remove(&self, hash: &TokenHash) {
        if let Some(shard) = self.shard(hash) {
            shard.slots.write().remove(hash);
        }
    }

    pub(super) fn retain(&self, mut keep: impl FnMut(&Entry) -> bool) {
        for shard in &self.shards {
            shard.slots.write().retain(&mut keep);
        }
    }

    /// Puts others in place, which keep the marks of these.
    pub(super) fn replace(&self, fresh: Self) {
        let mut flush = self.flush.lock();
        flush.left.clear();
        let since = flush.since.take();
        for (shard, fresh) in self.shards.iter().zip(fresh.shards) {
            let fresh = fresh.slots.into_inner();
            let mut slots = shard.slots.write();
            // The slots that were known are of the former ones.
            let mut moved = Vec::new();
            for (slot, entry) in fresh.iter() {
                if let Some((_, old)) = slots.find(&entry.hash) {
                    entry.mark.merge(&old.mark);
                }
                if entry.mark.is_dirty() {
                    moved.push(slot);
                }
            }
            *slots = fresh;
            let mut dirty = shard.dirty.lock();
            let since = dirty.since.into_iter().chain(since).min();
            dirty.since = since.filter(|_| !moved.is_empty());
            dirty.slots = moved;
        }
    }

    /// Takes at most `limit` marks to be written. Those that wait by now come next when the ones that
    /// waited before are written, so that none waits for more than two rounds.
    pub(super) fn take_marks(&self, limit: usize) -> Vec<PendingMark> {
        let mut flush = self.flush.lock();
        let mut taken = Vec::with_capacity(limit.min(flush.left.len()));
        // Tokens that are gone give no mark, and a round may be of such alone.
        while taken.len() < limit {
            if flush.left.is_empty() {
                if !taken.is_empty() {
                    break;
                }
                flush.since = None;
                self.collect(&mut flush);
            }
            if flush.left.is_empty() {
                break;
            }
            let wanted = limit - taken.len();
            let rest = flush.left.len().saturating_sub(wanted);
            let mut next = flush.left.split_off(rest);
            // Each shard is asked once.
            next.sort_unstable_by_key(|waiting| waiting.place);
            for waiting in next.chunk_by(|one, other| one.place.shard == other.place.shard) {
                self.pending(waiting, &mut taken);
            }
        }
        taken.sort_unstable_by_key(|mark| mark.token);
        taken
    }

    fn collect(&self, flush: &mut Flush) {
        for (shard, number) in self.shards.iter().zip(0..=u8::MAX) {
            let slots = shard.slots.read();
            let mut dirty = shard.dirty.lock();
            let waiting = dirty.slots.drain(..).filter_map(|slot| {
                let token = slots.get(slot)?.token;
                let place = Place {
                    shard: number,
                    slot,
                };
                Some(Waiting { token, place })
            });
            flush.left.extend(waiting);
            flush.since = flush.since.into_iter().chain(dirty.since.take()).min();
        }
        // A slot that two tokens had is there twice.
        flush.left.sort_unstable_by(|one, other| other.cmp(one));
        flush.left.dedup();
    }

    /// Adds the marks of one shard. A token that is gone and whose slot is another's has none.
    fn pending(&self, waiting: &[Waiting], taken: &mut Vec<PendingMark>) {
        let shard = waiting.first().and_then(|first| self.shard_at(first.place));
        let Some(shard) = shard else {
            return;
        };
        let slots = shard.slots.read();
        taken.extend(waiting.iter().filter_map(|&Waiting { token, place }| {
            let entry = slots.get(place.slot)?;
            let is_due = entry.token == token && entry.mark.is_dirty();
            let seen = is_due.then(|| entry.mark.seen())?;
            Some(PendingMark { place, seen, token })
        }));
    }

    /// The marks are in the database. One that moved meanwhile stays to be written.
    pub(super) fn marks_written(&self, marks: &[PendingMark]) {
        let mut flush = self.flush.lock();
        let mut marks = marks.to_vec();
        marks.sort_unstable_by_key(|mark| mark.place);
        for marks in marks.chunk_by(|one, other| one.place.shard == other.place.shard) {
            let shard = marks.first().and_then(|first| self.shard_at(first.place));
            if let Some(shard) = shard {
                shard.marks_written(marks);
            }
        }
        if flush.left.is_empty() {
            *flush = Flush::default();
        }
    }

    /// The marks are not in the database: they stay to be written, as old as they were.
    pub(super) fn marks_failed(&self, marks: &[PendingMark]) {
        let back = marks.iter().rev().map(|mark| Waiting {
            token: mark.token,
            place: mark.place,
        });
        self.flush.lock().left.extend(back);
    }

    /// Since when the oldest mark waits to be written.
    pub(super) fn oldest_mark(&self) -> Option<Timestamp> {
        // Held to the end: no mark moves from here to there meanwhile.
        let flush = self.flush.lock();
        let dirty = self.shards.iter().map(|shard| shard.dirty.lock().since);
        dirty.chain([flush.since]).flatten().min()
    }

    fn shard_at(&self, place: Place) -> Option<&Shard> {
        self.shards.get(usize::from(place.shard))
    }
}

impl Shard {
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Slots> {
        self.slots.read()
    }

    fn marks_written(&self, marks: &[PendingMark]) {
        let slots = self.slots.read();
        for mark in marks {
            let entry = slots.get(mark.place.slot);
            // Another token may have the slot by now.
            let entry = entry.filter(|entry| entry.token == mark.token);
            if let Some(Err(time)) = entry.map(|entry| entry.mark.clean(mark.seen)) {
                self.add_dirty(mark.place.slot, time);
            }
        }
    }

    /// Remembers that the mark in a slot is to be written.
    pub(super) fn add_dirty(&self, slot: Slot, now: Timestamp) {
        self.dirty.lock().add(slot, now);
    }
}

impl Dirty {
    fn add(&mut self, slot: Slot, at: Timestamp) {
        self.slots.push(slot);
        self.since = self.since.or(Some(at));
    }
}

//! Tokens that are found by hash or by slot. Beside 76 bytes, a token costs the 5 of a place in a
//! table of small numbers: that one may be half empty, as hash tables are, and it is all that grows by
//! doubling.

use hashbrown::HashTable;

use super::entry::Entry;
use crate::store::LoadedToken;
use crate::token::TokenHash;
use crate::xid::Xid;

/// Entries that are allocated together.
const CHUNK: usize = 256;

/// Where an entry is, for as long as the token is not revoked; then another may get it.
pub(super) type Slot = u32;

#[derive(Default)]
pub(super) struct Slots {
    by_hash: HashTable<Slot>,
    chunks: Vec<Chunk>,
    /// Of tokens that are gone. Their entries are found by nobody.
    free: Vec<Slot>,
}

struct Chunk {
    entries: Vec<Entry>,
    /// Ids on the wire, as [`Xid::to_bytes`] has them: few requests need one.
    ids: Vec<[u8; 12]>,
}

impl Slots {
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self {
            by_hash: HashTable::with_capacity(capacity),
            ..Self::default()
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_hash.len()
    }

    pub(super) fn find(&self, hash: &TokenHash) -> Option<(Slot, &Entry)> {
        let fits =
            |slot: &Slot| entry(&self.chunks, *slot).is_some_and(|found| found.hash == *hash);
        let slot = *self.by_hash.find(key(hash), fits)?;
        Some((slot, entry(&self.chunks, slot)?))
    }

    /// The entry in a slot, which may be that of a token that is gone.
    pub(super) fn get(&self, slot: Slot) -> Option<&Entry> {
        entry(&self.chunks, slot)
    }

    /// The id on the wire of the token in a slot.
    pub(super) fn id(&self, slot: Slot) -> Option<Xid> {
        let (chunk, place) = place_of(slot);
        self.chunks.get(chunk)?.ids.get(place).map(Xid::from_bytes)
    }

    /// Adds a token unless it is there.
    pub(super) fn insert(&mut self, token: &LoadedToken) {
        if self.find(&token.hash).is_some() {
            return;
        }
        let place = key(&token.hash);
        let Some(slot) = self.store(Entry::of(token), token.id.to_bytes()) else {
            return;
        };
        let chunks = &self.chunks;
        let key_of = |slot: &Slot| entry(chunks, *slot).map_or(0, |found| key(&found.hash));
        self.by_hash.insert_unique(place, slot, key_of);
    }

    fn store(&mut self, entry: Entry, id: [u8; 12]) -> Option<Slot> {
        if let Some(slot) = self.free.pop() {
            let (chunk, place) = place_of(slot);
            let chunk = self.chunks.get_mut(chunk)?;
            *chunk.entries.get_mut(place)? = entry;
            *chunk.ids.get_mut(place)? = id;
            return Some(slot);
        }
        let is_full = |chunk: &Chunk| chunk.entries.len() == CHUNK;
        if self.chunks.last().is_none_or(is_full) {
            self.chunks.push(Chunk {
                entries: Vec::with_capacity(CHUNK),
                ids: Vec::with_capacity(CHUNK),
            });
        }
        let full = self.chunks.len() - 1;
        let chunk = self.chunks.last_mut()?;
        chunk.entries.push(entry);
        chunk.ids.push(id);
        Slot::try_from(full * CHUNK + chunk.entries.len() - 1).ok()
    }

    pub(super) fn remove(&mut self, hash: &TokenHash) {
        let chunks = &self.chunks;
        let fits = |slot: &Slot| entry(chunks, *slot).is_some_and(|found| found.hash == *hash);
        if let Ok(found) = self.by_hash.find_entry(key(hash), fits) {
            let (slot, _) = found.remove();
            self.free.push(slot);
        }
    }

    /// Keeps what `keep` says.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Entry) -> bool) {
        let (chunks, free) = (&self.chunks, &mut self.free);
        self.by_hash.retain(|slot| {
            let stays = entry(chunks, *slot).is_some_and(&mut keep);
            if !stays {
                free.push(*slot);
            }
            stays
        });
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &Entry)> {
        let slots = self.by_hash.iter().copied();
        slots.filter_map(|slot| Some((slot, entry(&self.chunks, slot)?)))
    }
}

fn place_of(slot: Slot) -> (usize, usize) {
    let slot = slot as usize;
    (slot / CHUNK, slot % CHUNK)
}

fn entry(chunks: &[Chunk], slot: Slot) -> Option<&Entry> {
    let (chunk, place) = place_of(slot);
    chunks.get(chunk)?.entries.get(place)
}

/// What is hashed well already is not hashed again. Nobody can choose many stored tokens with the same
/// bits: the server makes them.
fn key(hash: &TokenHash) -> u64 {
    // The first byte chooses the shard.
    let [_, a, b, c, d, e, f, g, h, ..] = *hash.as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

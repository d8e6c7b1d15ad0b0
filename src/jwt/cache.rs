//! JWTs whose signature was checked, so that the next request with one costs a hash.

use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::RwLock;

use super::claims::Verified;

/// A writer holds one shard of them at a time; a power of two.
const SHARDS: usize = 16;
/// Most entries of one generation of a shard: 16 384 tokens in all.
const GENERATION: usize = 512;

/// Good tokens by the BLAKE3 hash of all their bytes. Two generations: when the young one is full
/// it becomes the old one, and what was not asked for since goes. What was refused is never kept.
#[derive(Default)]
pub(super) struct Cache([RwLock<Shard>; SHARDS]);

#[derive(Default)]
struct Shard {
    young: HashMap<blake3::Hash, Arc<Verified>>,
    old: HashMap<blake3::Hash, Arc<Verified>>,
}

impl Cache {
    /// What was kept of a token.
    pub(super) fn get(&self, hash: &blake3::Hash) -> Option<Arc<Verified>> {
        let shard = self.shard(hash)?;
        {
            let shard = shard.read();
            if let Some(found) = shard.young.get(hash) {
                return Some(Arc::clone(found));
            }
            shard.old.get(hash)?;
        }
        let mut shard = shard.write();
        let found = shard.old.remove(hash)?;
        shard.keep(*hash, Arc::clone(&found));
        Some(found)
    }

    /// Keeps a token that passed every check.
    pub(super) fn keep(&self, hash: blake3::Hash, verified: Arc<Verified>) {
        if let Some(shard) = self.shard(&hash) {
            shard.write().keep(hash, verified);
        }
    }

    /// A token is of no use any more.
    pub(super) fn forget(&self, hash: &blake3::Hash) {
        if let Some(shard) = self.shard(hash) {
            let mut shard = shard.write();
            shard.young.remove(hash);
            shard.old.remove(hash);
        }
    }

    fn shard(&self, hash: &blake3::Hash) -> Option<&RwLock<Shard>> {
        let [first, ..] = hash.as_bytes();
        self.0.get(usize::from(*first) % SHARDS)
    }
}

impl Shard {
    fn keep(&mut self, hash: blake3::Hash, verified: Arc<Verified>) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(hash, verified);
    }
}

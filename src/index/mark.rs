//! When a token last passed, in eight bytes that many threads move at once.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::clock::Timestamp;

/// Twice the microseconds, plus 1 while the database does not know it; 0 is never.
pub(super) struct Mark(AtomicI64);

impl Mark {
    const DIRTY: i64 = 1;

    /// As the database has it.
    pub(super) fn clean_at(time: Option<Timestamp>) -> Self {
        Self(AtomicI64::new(time.map_or(0, |time| time.micros() << 1)))
    }

    /// Sets the time unless a later one is there; true where the database knew all until now.
    pub(super) fn set(&self, now: Timestamp) -> bool {
        let mark = (now.micros() << 1) | Self::DIRTY;
        let before = self.0.fetch_max(mark, Ordering::AcqRel);
        before < mark && before & Self::DIRTY == 0
    }

    /// Whether the database does not know it.
    pub(super) fn is_dirty(&self) -> bool {
        self.0.load(Ordering::Acquire) & Self::DIRTY != 0
    }

    /// The time of the mark.
    pub(super) fn time(&self) -> Option<Timestamp> {
        let mark = self.0.load(Ordering::Acquire);
        (mark > Self::DIRTY).then(|| Timestamp::from_micros(mark >> 1))
    }

    /// The database knows what was seen; the error is the newer time of a mark that moved.
    pub(super) fn clean(&self, seen: i64) -> Result<(), Timestamp> {
        self.0
            .compare_exchange(
                seen,
                seen & !Self::DIRTY,
                Ordering::AcqRel,
                Ordering::Acquire,
            )
            .map(drop)
            .map_err(|now| Timestamp::from_micros(now >> 1))
    }

    /// The value to be written, for [`Mark::clean`].
    pub(super) fn seen(&self) -> i64 {
        self.0.load(Ordering::Acquire)
    }

    /// The time in a value that was seen.
    pub(super) fn time_of(seen: i64) -> Timestamp {
        Timestamp::from_micros(seen >> 1)
    }

    /// Takes over a mark that is newer.
    pub(super) fn merge(&self, old: &Self) {
        self.0
            .fetch_max(old.0.load(Ordering::Acquire), Ordering::AcqRel);
    }
}

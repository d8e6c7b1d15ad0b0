//! When old audit events go by themselves: in chunks between the changes, for their age, for what
//! commands wrote, and after a lowered limit. Beside the changes `batch` lets some go.

use std::time::{Duration, Instant};

use crate::store::Retention;

/// Most events that one transaction of its own deletes, so that a change waits much less than 100 ms for
/// it, on a slow disk too.
pub(super) const CHUNK: u32 = 2_000;
const EVERY: Duration = Duration::from_secs(1);
/// After a chunk that failed. If nothing else fails, the log says each time that the database can't be
/// written and then that it can.
const RETRY: Duration = Duration::from_secs(5);
/// Deleted events are told at most this often.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// What is kept, and when it is looked at next.
pub(super) struct Pruning {
    pub(super) retention: Retention,
    /// `None` where nothing ever goes.
    pub(super) at: Option<Instant>,
    /// Deleted since it was told last.
    deleted: u64,
    tell_at: Instant,
}

impl Pruning {
    pub(super) fn new(retention: Retention, now: Instant) -> Self {
        Self {
            retention,
            at: (!retention.keeps_all()).then_some(now),
            deleted: 0,
            tell_at: now,
        }
    }

    /// Whether it is time; then the next time is a second later.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.at.is_some_and(|at| now >= at);
        if is_due {
            self.at = Some(now + EVERY);
        }
        is_due
    }

    /// A chunk is done: after a full one there may be more, at once.
    pub(super) fn chunk_done(&mut self, deleted: u32, now: Instant) {
        self.count(deleted);
        if deleted >= CHUNK {
            self.at = Some(now);
        } else {
            self.tell(now);
        }
    }

    /// A chunk failed: it is tried again.
    pub(super) fn chunk_failed(&mut self, now: Instant) {
        self.at = Some(now + RETRY);
    }

    /// So many were deleted with a batch, which is committed.
    pub(super) fn count(&mut self, deleted: u32) {
        self.deleted += u64::from(deleted);
    }

    /// Tells what was deleted, if it is time.
    pub(super) fn tell(&mut self, now: Instant) {
        if now >= self.tell_at && self.tell_rest() {
            self.tell_at = now + TELL_EVERY;
        }
    }

    /// Tells what was deleted; whether there was anything.
    pub(super) fn tell_rest(&mut self) -> bool {
        let deleted = std::mem::take(&mut self.deleted);
        if deleted > 0 {
            log::info!("old audit events were deleted, as [audit] says (events: {deleted})");
        }
        deleted > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_is_told_once_a_minute_and_nothing_twice() {
        let begin = Instant::now();
        let mut pruning = Pruning::new(Retention::default(), begin);
        // When so many go, and how many are not told then.
        let table = [
            (0, 5, 0),
            (1, 2, 2),
            (59, 3, 5),
            (60, 1, 0),
            (61, 1, 1),
            (119, 0, 1),
        ];
        for (seconds, deleted, left) in table {
            pruning.chunk_done(deleted, begin + Duration::from_secs(seconds));
            assert_eq!(pruning.deleted, left, "after {seconds} s");
        }
        assert!(pruning.tell_rest());
        assert!(!pruning.tell_rest());
    }

    #[test]
    fn a_catch_up_is_told_at_its_end() {
        let begin = Instant::now();
        let mut pruning = Pruning::new(Retention::default(), begin);
        pruning.chunk_done(CHUNK, begin);
        assert_eq!(pruning.deleted, u64::from(CHUNK));
        pruning.chunk_done(1, begin);
        assert_eq!(pruning.deleted, 0);
    }
}

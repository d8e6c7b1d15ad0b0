//! Work on a whole file, which takes a while: how far it is, for whoever looks on, and its early end.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::StoreError;

/// Shared between the thread that works and those that look on or call it off.
#[derive(Default)]
pub struct Work {
    stage: Mutex<Stage>,
    done: AtomicU64,
    total: AtomicU64,
    is_cancelled: AtomicBool,
}

/// What is being done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// Bytes go from one file to another.
    #[default]
    Copying,
    /// SQLite reads all of the copy. How far it is can't be told.
    Checking,
    /// Bytes go into the digest.
    Hashing,
}

/// How far it is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// Bytes, where that can be told.
    pub done: u64,
    /// Bytes in all; 0 where that can't be told.
    pub total: u64,
}

impl Work {
    /// Ends it soon, with [`StoreError::Cancelled`]; nothing of it is left.
    pub fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether it was called off.
    pub fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Relaxed)
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        Progress {
            stage: *self.stage.lock(),
            done: self.done.load(Ordering::Relaxed),
            total: self.total.load(Ordering::Relaxed),
        }
    }

    /// The next stage begins, over so many bytes; 0 where that can't be told.
    pub fn begin(&self, stage: Stage, total: u64) {
        *self.stage.lock() = stage;
        self.total.store(total, Ordering::Relaxed);
        self.done.store(0, Ordering::Relaxed);
    }

    /// So many bytes of the stage are done.
    ///
    /// # Errors
    /// [`StoreError::Cancelled`].
    pub fn reached(&self, done: u64) -> Result<(), StoreError> {
        self.done.store(done, Ordering::Relaxed);
        match self.is_cancelled() {
            true => Err(StoreError::Cancelled),
            false => Ok(()),
        }
    }
}

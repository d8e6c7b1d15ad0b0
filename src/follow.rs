//! Following files that somebody else writes, such as keys: what is in force stays until what is there now is right.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use parking_lot::Mutex;

const POLL: Duration = Duration::from_secs(1);

/// Calls `look` each second, until the other end of `wake` is gone; a message makes it look at once, and know
/// that it was asked.
pub fn run(wake: &Receiver<()>, mut look: impl FnMut(bool)) {
    loop {
        match wake.recv_timeout(POLL) {
            Ok(()) => look(true),
            Err(RecvTimeoutError::Timeout) => look(false),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// A file's state: while it is the same, nobody has written the file or put another in its place.
#[derive(PartialEq, Eq)]
pub struct Print {
    path: PathBuf,
    state: Option<State>,
}

/// Of a file that is there.
#[derive(PartialEq, Eq)]
struct State {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    /// Of the inode, which nobody can set back as a copying program sets `modified`.
    changed: (i64, i64),
}

impl Print {
    /// As the file is now. To be taken before it is read: what is written meanwhile is seen as a change.
    pub fn of(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let state = fs::metadata(&path).ok().map(|file| State {
            device: file.dev(),
            inode: file.ino(),
            size: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        });
        Self { path, state }
    }

    /// The file's path.
    pub fn path(&self) -> &PathBuf {
        &self.path
    }

    /// Whether the file is another one now.
    pub fn is_changed(&self) -> bool {
        *self != Self::of(&self.path)
    }
}

/// How the reloads went.
#[derive(Default)]
pub struct Reloads {
    /// Why the newest state of the files is not in force.
    trouble: Mutex<Option<String>>,
    failures: AtomicU64,
}

impl Reloads {
    /// Whether the newest state of the files is in force.
    pub fn is_current(&self) -> bool {
        self.trouble.lock().is_none()
    }

    /// Reloads that failed since the start.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// One went well.
    pub fn succeeded(&self) {
        self.trouble.lock().take();
    }

    /// One failed; whether it is for another reason than the one before.
    pub fn failed(&self, reason: &str) -> bool {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let mut trouble = self.trouble.lock();
        let is_new = trouble.as_deref() != Some(reason);
        *trouble = Some(reason.to_owned());
        is_new
    }
}

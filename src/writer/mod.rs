//! The write queue: one thread owns the only connection that writes.
//!
//! Whatever waits is one transaction (group commit), each change in a savepoint of its own. The
//! order is always COMMIT, then the memory index, then the answer: a revoked token is refused on
//! the next request, and an acknowledged change survives a power cut. Marks of use wait in the
//! index and are written each second; nobody waits for them. Old audit events go beside both.

mod batch;
mod follow;
mod prune;
mod status;
#[cfg(test)]
mod tests;
mod thread;

pub use status::Status;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::change::{Changed, Refused};
use crate::clock::Timestamp;
use crate::first_start::OwnerTokenFile;
use crate::index::{Effect, Index};
use crate::store::{self, Retention, StoreError};
use follow::Followed;

/// How many changes may wait before further ones are turned away (503).
const QUEUE: usize = 4096;

/// Hands changes to the writer's thread. The thread ends when the last handle is dropped.
#[derive(Clone)]
pub struct Writer {
    jobs: Sender<Job>,
    status: Arc<Status>,
}

/// A database, read and ready for the writer's thread.
pub struct Start {
    connection: Connection,
    path: PathBuf,
    index: Arc<Index>,
    followed: Followed,
    owner_token: Option<OwnerTokenFile>,
    retention: Retention,
}

impl Start {
    /// Reads all of the database into memory, as it is at one moment: what another process commits
    /// from then on is followed, before the thread runs too.
    ///
    /// # Errors
    /// What SQLite says; a damaged file shows here.
    pub fn load(connection: Connection, path: &Path) -> Result<Self, StoreError> {
        let load = || {
            let moment = connection.unchecked_transaction()?;
            let followed = Followed::new(&moment)?;
            let index = Index::load(&moment)?;
            moment.commit()?;
            store::believe_log(&connection)?;
            Ok((followed, index))
        };
        let (followed, index) =
            load().map_err(|error: rusqlite::Error| StoreError::from(error).at(path))?;
        Ok(Self {
            connection,
            path: path.to_owned(),
            owner_token: OwnerTokenFile::find(path, &index),
            index: Arc::new(index),
            followed,
            retention: Retention::default(),
        })
    }

    /// Lets old audit events go; without it all are kept.
    #[must_use]
    pub fn retain(self, retention: Retention) -> Self {
        Self { retention, ..self }
    }

    /// What is in memory.
    pub fn index(&self) -> Arc<Index> {
        Arc::clone(&self.index)
    }
}

/// The writer's thread, to be joined at the end.
pub struct WriterThread {
    thread: JoinHandle<Option<bool>>,
    /// Resolves when the thread ends, for whatever reason.
    pub ended: oneshot::Receiver<()>,
}

/// Why a change was not made.
#[derive(Debug)]
pub enum WriteError {
    /// It was judged, and refused.
    Refused(Refused),
    /// The database can't be written now, or too much waits; it may work later.
    Unavailable,
}

type Job = Box<dyn FnOnce(&Connection, Timestamp) -> Ran + Send>;

/// A change that ran in its savepoint and waits for the COMMIT.
struct Ran {
    /// For the index, or why there is nothing to commit.
    result: Result<Vec<Effect>, Unmade>,
    /// Gives the asker the answer; dropped instead where the commit failed.
    answer: Box<dyn FnOnce()>,
}

enum Unmade {
    Refused,
    Failed(StoreError),
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the operating system gives no thread, or the database can't be read.
    pub fn start(start: Start) -> Result<(Self, WriterThread), StoreError> {
        let (jobs, queue): (_, Receiver<Job>) = crossbeam_channel::bounded(QUEUE);
        let (ended_sender, ended) = oneshot::channel();
        let status = Arc::new(Status::default());
        let path = start.path.clone();
        let mut worker = thread::Worker::new(start, queue, Arc::clone(&status))?;
        let told = Arc::clone(&status);
        let thread = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || {
                // Dropped at the very end: that is how the server learns of it, and ends.
                let _ended = ended_sender;
                // What the panic left half done is not looked at again.
                let ran = catch_unwind(AssertUnwindSafe(|| worker.run()));
                ran.inspect_err(|_| told.panicked()).ok()
            })
            .map_err(|source| StoreError::Io { path, source })?;
        Ok((Self { jobs, status }, WriterThread { thread, ended }))
    }

    /// Makes a change and answers once it is on the disk.
    ///
    /// # Errors
    /// [`WriteError`]; where it is `Unavailable`, nothing was changed, or (a disk that failed in
    /// the very commit) it can't be told.
    pub async fn submit<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection, Timestamp) -> Result<Changed<T>, Refused> + Send + 'static,
    ) -> Result<T, WriteError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection, now| match change(connection, now) {
            Ok(changed) => Ran {
                result: Ok(changed.effects),
                answer: Box::new(move || drop(reply.send(Ok(changed.value)))),
            },
            Err(Refused::Store(error)) => Ran {
                result: Err(Unmade::Failed(error)),
                answer: Box::new(move || drop(reply)),
            },
            Err(refused) => Ran {
                result: Err(Unmade::Refused),
                answer: Box::new(move || drop(reply.send(Err(WriteError::Refused(refused))))),
            },
        });
        self.jobs
            .try_send(job)
            .map_err(|_| WriteError::Unavailable)?;
        answer.await.unwrap_or(Err(WriteError::Unavailable))
    }

    /// What the writer last knew.
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// How many changes wait.
    pub fn queue_depth(&self) -> usize {
        self.jobs.len()
    }
}

impl WriterThread {
    /// Waits for the thread: every handle must be dropped before. `Some` says whether the last
    /// marks of use were written, `None` that the thread panicked.
    pub fn join(self) -> Option<bool> {
        self.thread.join().ok().flatten()
    }
}

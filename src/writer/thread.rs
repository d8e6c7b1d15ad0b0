//! The writer's thread: batches, flushes, and what it looks after meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use rusqlite::Connection;

use super::follow::Followed;
use super::{Job, Ran, Start, Status, Unmade};
use crate::clock::Timestamp;
use crate::first_start::OwnerTokenFile;
use crate::index::Index;
use crate::store::{self, FileIdentity, StoreError};

/// Most changes of one transaction.
const BATCH: usize = 256;
/// Most marks of one transaction, so that a change waits for a flush about 100 ms at most.
const MARKS: usize = 10_000;
const FLUSH_EVERY: Duration = Duration::from_secs(1);
const FOLLOW_EVERY: Duration = Duration::from_millis(200);
const OWNER_CHECK_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a change waits for another process's lock.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long marks and probes do: they come again.
const SHORT_PATIENCE: Duration = Duration::from_millis(250);
/// How long the last marks may take at the end of the process.
const LAST_PATIENCE: Duration = Duration::from_secs(4);
/// The last working owner token is warned about from this long before its end.
const OWNER_TOKEN_NOTICE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

pub(super) struct Worker {
    connection: Connection,
    path: std::path::PathBuf,
    identity: FileIdentity,
    index: Arc<Index>,
    queue: Receiver<Job>,
    status: Arc<Status>,
    followed: Followed,
    owner_token: Option<OwnerTokenFile>,
    flush_at: Instant,
    follow_at: Instant,
    owner_check_at: Instant,
}

impl Worker {
    pub(super) fn new(
        start: Start,
        queue: Receiver<Job>,
        status: Arc<Status>,
    ) -> Result<Self, StoreError> {
        let now = Instant::now();
        Ok(Self {
            identity: FileIdentity::of(&start.path)?,
            followed: Followed::new(&start.connection)?,
            connection: start.connection,
            path: start.path,
            index: start.index,
            queue,
            status,
            owner_token: start.owner_token,
            flush_at: now + FLUSH_EVERY,
            follow_at: now + FOLLOW_EVERY,
            owner_check_at: now,
        })
    }

    /// Works until the last handle is dropped, then writes what is left; whether all of it was.
    pub(super) fn run(&mut self) -> bool {
        loop {
            let until = self
                .flush_at
                .min(self.follow_at)
                .saturating_duration_since(Instant::now());
            match self.queue.recv_timeout(until) {
                Ok(job) => {
                    let mut batch = vec![job];
                    batch.extend(self.queue.try_iter().take(BATCH - 1));
                    self.make(batch);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.look_after();
        }
        self.finish()
    }

    fn make(&mut self, batch: Vec<Job>) {
        // Both outlive the transaction: where it fails, the status says so before the askers, whose
        // answers are dropped with them, learn that nothing was done.
        let mut waiting = batch.into_iter();
        let mut ran = Vec::new();
        let made = self.transaction(PATIENCE, |connection| {
            run_batch(connection, &mut waiting, &mut ran)
        });
        let Some(event) = made else { return };
        self.followed.own_commit(event);
        for done in ran {
            for effect in done.result.into_iter().flatten() {
                self.index.apply(effect);
            }
            (done.answer)();
        }
    }

    fn look_after(&mut self) {
        let now = Instant::now();
        if now >= self.follow_at {
            self.follow_at = now + FOLLOW_EVERY;
            self.follow();
        }
        if now >= self.flush_at {
            let full = self.flush() == Some(MARKS);
            self.flush_at = if full { now } else { now + FLUSH_EVERY };
        }
        if now >= self.owner_check_at {
            self.owner_check_at = now + OWNER_CHECK_EVERY;
            self.check_owner_token();
        }
    }

    /// What others committed is in force within a second, also when nobody writes here.
    fn follow(&mut self) {
        let followed = self.same_file().and_then(|()| {
            self.connection.busy_timeout(SHORT_PATIENCE)?;
            let transaction = self.connection.unchecked_transaction()?;
            self.followed.catch_up(&transaction, &self.index)?;
            Ok(transaction.commit()?)
        });
        if let Err(error) = followed {
            self.status.failed(&error);
        }
    }

    /// Writes marks; how many. While nothing can be written and no mark waits, it tries a write of
    /// its own, so that the trouble's end is seen.
    fn flush(&mut self) -> Option<usize> {
        let marks = self.index.take_marks(MARKS);
        if marks.is_empty() {
            if self.status.trouble().is_some() {
                self.transaction(SHORT_PATIENCE, rewrite_version)?;
            }
            return Some(0);
        }
        let written = self.transaction(SHORT_PATIENCE, |connection| {
            for mark in &marks {
                store::save_last_used(connection, mark.token, mark.last_used())?;
            }
            Ok(())
        });
        if written.is_none() {
            self.index.marks_failed(&marks);
            return None;
        }
        self.index.marks_written(&marks);
        if let Some(file) = self
            .owner_token
            .take_if(|file| marks.iter().any(|mark| *mark.hash() == file.hash))
        {
            file.remove();
        }
        Some(marks.len())
    }

    /// Runs `work` in one transaction; `None` when it failed, which the status then tells.
    fn transaction<T>(
        &mut self,
        patience: Duration,
        work: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Option<T> {
        let done = self.try_transaction(patience, work);
        match done {
            Ok(done) => {
                self.status.committed();
                Some(done)
            }
            Err(error) => {
                if !self.connection.is_autocommit() {
                    let _ = self.connection.execute_batch("ROLLBACK");
                }
                self.status.failed(&error);
                None
            }
        }
    }

    fn try_transaction<T>(
        &mut self,
        patience: Duration,
        work: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.same_file()?;
        self.connection.busy_timeout(patience)?;
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        self.followed.catch_up(&self.connection, &self.index)?;
        let done = work(&self.connection)?;
        self.connection.execute_batch("COMMIT")?;
        Ok(done)
    }

    /// A write to a file that has no name any more would be acknowledged and lost.
    fn same_file(&self) -> Result<(), StoreError> {
        if FileIdentity::of(&self.path)? == self.identity {
            Ok(())
        } else {
            Err(StoreError::Replaced(self.path.clone()))
        }
    }

    /// Nobody is locked out without a warning.
    fn check_owner_token(&self) {
        if !self.index.has_owner() {
            return;
        }
        let hint = "'netbird-auth token create --user ID' makes one";
        match store::last_owner_token_expiry(&self.connection) {
            Ok(None) => log::warn!("no owner has a token; {hint}"),
            Ok(Some(end)) => {
                let now = Timestamp::now();
                if end <= now {
                    log::warn!("the last owner token expired at {end}; {hint}");
                } else if end.since(now) < OWNER_TOKEN_NOTICE {
                    log::warn!("the last owner token expires at {end}; {hint}");
                }
            }
            Err(error) => log::warn!("the owner's tokens could not be read: {error}"),
        }
    }

    fn finish(&mut self) -> bool {
        let until = Instant::now() + LAST_PATIENCE;
        while Instant::now() < until {
            while self.flush() == Some(MARKS) {}
            if self.index.oldest_mark().is_none() {
                return true;
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
        false
    }
}

/// Runs each change in its savepoint; gives the newest audit event with them.
fn run_batch(
    connection: &Connection,
    waiting: &mut impl Iterator<Item = Job>,
    done: &mut Vec<Ran>,
) -> Result<i64, StoreError> {
    let now = Timestamp::now();
    for job in waiting {
        connection.execute_batch("SAVEPOINT change")?;
        let ran = job(connection, now);
        if let Err(Unmade::Failed(error)) = &ran.result {
            log::error!("a change could not be made: {error}");
        }
        // A full or failing disk can undo the whole transaction inside a savepoint: going on would
        // commit each further statement by itself.
        if connection.is_autocommit() {
            return Err(StoreError::TransactionLost);
        }
        match &ran.result {
            Ok(_) => connection.execute_batch("RELEASE change")?,
            Err(_) => connection.execute_batch("ROLLBACK TO change; RELEASE change")?,
        }
        done.push(ran);
    }
    Ok(store::last_audit_number(connection)?)
}

/// The cheapest statement that really writes a page.
fn rewrite_version(connection: &Connection) -> Result<(), StoreError> {
    store::rewrite_version(connection)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{self, Actor, NewUserRequest};
    use crate::user::{Name, Role};
    use crate::writer::{Ran, Start, Unmade};

    struct Fixture {
        _folder: tempfile::TempDir,
        worker: Worker,
    }

    fn fixture() -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        store::create_database(&path, |_| Ok::<_, StoreError>(())).unwrap();
        let connection = store::open_writer(&path, PATIENCE).unwrap();
        let index = Arc::new(Index::load(&connection).unwrap());
        let start = Start {
            connection,
            path,
            index,
            owner_token: None,
        };
        let (_, queue) = crossbeam_channel::bounded(1);
        Fixture {
            worker: Worker::new(start, queue, Arc::default()).unwrap(),
            _folder: folder,
        }
    }

    /// A job that makes a user; what it answers is counted.
    fn makes_a_user(answers: &Arc<std::sync::atomic::AtomicUsize>) -> Job {
        let answers = Arc::clone(answers);
        Box::new(move |connection, now| {
            let request = NewUserRequest {
                id: None,
                role: Role::User,
                auto_groups: Box::new([]),
                is_service: true,
                name: Name::parse("machine").unwrap(),
                email: Name::parse("").unwrap(),
            };
            let made = change::create_user(connection, now, Actor::System, request).unwrap();
            Ran {
                result: Ok(made.effects),
                answer: Box::new(move || {
                    answers.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                }),
            }
        })
    }

    /// A job during which the disk undoes the whole transaction.
    fn undone() -> Job {
        Box::new(|connection, _| {
            connection.execute_batch("ROLLBACK").unwrap();
            Ran {
                result: Err(Unmade::Failed(rusqlite::Error::InvalidQuery.into())),
                answer: Box::new(|| panic!("a failure was answered")),
            }
        })
    }

    #[test]
    fn a_transaction_that_the_disk_undid_takes_the_whole_batch_with_it() {
        let mut fixture = fixture();
        let worker = &mut fixture.worker;
        let answers = Arc::default();
        let batch = vec![makes_a_user(&answers), undone(), makes_a_user(&answers)];
        worker.make(batch);
        assert_eq!(Arc::strong_count(&answers), 1, "an answer is kept for ever");
        assert_eq!(answers.load(std::sync::atomic::Ordering::SeqCst), 0);
        assert!(worker.connection.is_autocommit());
        assert!(worker.status.trouble().is_some());
        assert_eq!(worker.index.counts(), (0, 0));
        let stored = Index::load(&worker.connection).unwrap().counts();
        assert_eq!(stored, (0, 0));

        worker.make(vec![makes_a_user(&answers)]);
        assert_eq!(answers.load(std::sync::atomic::Ordering::SeqCst), 1);
        assert!(worker.status.trouble().is_none());
        assert_eq!(worker.index.counts(), (1, 0));
    }

    #[test]
    fn a_transaction_that_fails_is_rolled_back_before_the_next() {
        let mut fixture = fixture();
        let worker = &mut fixture.worker;
        let failed = worker.transaction(PATIENCE, |connection| {
            connection.execute_batch("INSERT INTO users (id) VALUES ('incomplete')")?;
            Ok(())
        });
        assert!(failed.is_none());
        assert!(worker.connection.is_autocommit());
        let answers = Arc::default();
        worker.make(vec![makes_a_user(&answers)]);
        assert_eq!(answers.load(std::sync::atomic::Ordering::SeqCst), 1);
    }
}

//! The writer's thread: batches, flushes, and what it looks after meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use rusqlite::Connection;

use super::batch::{self, Written};
use super::follow::Followed;
use super::prune::{CHUNK, Pruning};
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
pub(super) const OWNER_CHECK_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a change waits for another process's lock. Everything that waits behind it fails with it,
/// so that a stop ends within the ten seconds that supervisors give.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// How long marks and probes do: they come again.
const SHORT_PATIENCE: Duration = Duration::from_millis(250);
/// How long the last marks may take at the end of the process.
const LAST_PATIENCE: Duration = Duration::from_secs(3);
/// The last working owner token is warned about from this long before its end.
const OWNER_TOKEN_NOTICE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

pub(super) struct Worker {
    pub(super) connection: Connection,
    path: std::path::PathBuf,
    identity: FileIdentity,
    pub(super) index: Arc<Index>,
    queue: Receiver<Job>,
    pub(super) status: Arc<Status>,
    followed: Followed,
    owner_token: Option<OwnerTokenFile>,
    pub(super) pruning: Pruning,
    flush_at: Instant,
    follow_at: Instant,
    pub(super) owner_check_at: Instant,
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
            followed: start.followed,
            connection: start.connection,
            path: start.path,
            index: start.index,
            queue,
            status,
            owner_token: start.owner_token,
            pruning: Pruning::new(start.retention, now),
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
                .min(self.pruning.at.unwrap_or(self.flush_at))
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

    pub(super) fn make(&mut self, batch: Vec<Job>) {
        // Both outlive the transaction: where it fails, the status says so before the askers, whose
        // answers are dropped with them, learn that nothing was done.
        let mut waiting = batch.into_iter();
        let mut ran = Vec::new();
        let retention = self.pruning.retention;
        let made = self.transaction(PATIENCE, |connection| {
            batch::run(connection, &retention, &mut waiting, &mut ran)
        });
        let Some(Written { newest, deleted }) = made else {
            // Who waits behind them would wait as long, for the same.
            self.queue.try_iter().for_each(drop);
            return;
        };
        self.followed.own_commit(newest);
        self.pruning.count(deleted);
        // Replaced since the look before the transaction: the changes are in a file that nobody finds.
        let mut trouble = self.same_file().err();
        let is_lost = trouble.is_some();
        let mut answers = Vec::with_capacity(ran.len());
        for Ran { result, answer } in ran {
            match result {
                Ok(effects) => effects
                    .into_iter()
                    .for_each(|effect| self.index.apply(effect)),
                Err(Unmade::Refused) => {}
                Err(Unmade::Failed(error)) => trouble = trouble.or(Some(error)),
            }
            answers.push(answer);
        }
        if let Some(error) = &trouble {
            self.status.in_trouble(error);
        }
        if !is_lost {
            answers.into_iter().for_each(|answer| answer());
        }
    }

    pub(super) fn look_after(&mut self) {
        let now = Instant::now();
        if now >= self.follow_at {
            self.follow_at = now + FOLLOW_EVERY;
            self.follow();
        }
        if now >= self.flush_at {
            let full = self.flush() == Some(MARKS);
            self.flush_at = if full { now } else { now + FLUSH_EVERY };
            self.check_owner_token_file();
        }
        if self.pruning.is_due(now) {
            self.prune(now);
        }
        if now >= self.owner_check_at {
            self.owner_check_at = now + OWNER_CHECK_EVERY;
            if let Some(warning) = self.owner_token_warning(Timestamp::now()) {
                log::warn!("{warning}; 'netbird-auth token create --user ID' makes one");
            }
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
            self.status.in_trouble(&error);
            if matches!(error, StoreError::Replaced(_)) {
                self.leave_log();
            }
        }
    }

    /// The log keeps its name where only the database was replaced, and the next start would play it
    /// into whatever has the database's name by then: it must be empty. Where its changes belong is
    /// still open. Whether it is.
    fn leave_log(&self) -> bool {
        let emptied = self
            .connection
            .busy_timeout(SHORT_PATIENCE)
            .and_then(|()| store::empty_log(&self.connection));
        emptied.unwrap_or(false)
    }

    /// Writes marks; how many. While nothing can be written and no mark waits, it tries a write of
    /// its own, so that the trouble's end is seen.
    fn flush(&mut self) -> Option<usize> {
        // The few first: many marks must not keep them waiting.
        let logins = self.index.take_logins(MARKS);
        let marks = self.index.take_marks(MARKS - logins.len());
        if marks.is_empty() && logins.is_empty() {
            if self.status.trouble().is_some() {
                self.transaction(SHORT_PATIENCE, rewrite_version)?;
            }
            return Some(0);
        }
        let written = self.transaction(SHORT_PATIENCE, |connection| {
            for mark in &marks {
                store::save_last_used(connection, mark.token, mark.last_used())?;
            }
            for login in &logins {
                store::save_last_login(connection, login.user, login.at)?;
            }
            Ok(())
        });
        if written.is_none() {
            self.index.marks_failed(&marks);
            self.index.logins_failed(logins);
            return None;
        }
        self.index.marks_written(&marks);
        Some(marks.len() + logins.len())
    }

    /// Deletes a chunk of old audit events, if there are: without any, nothing is written.
    fn prune(&mut self, now: Instant) {
        // `flush` tries until the trouble is over: that is enough to wait for.
        if self.status.trouble().is_some() {
            return;
        }
        let (retention, present) = (self.pruning.retention, Timestamp::now());
        let deleted = match store::has_old_audit(&self.connection, &retention, present) {
            Ok(false) => Some(0),
            Ok(true) => self.transaction(SHORT_PATIENCE, |connection| {
                let deleted = store::delete_old_audit(connection, &retention, present, CHUNK)?;
                Ok(deleted)
            }),
            Err(error) => {
                self.status.in_trouble(&error.into());
                None
            }
        };
        match deleted {
            Some(deleted) => self.pruning.chunk_done(deleted, now),
            None => self.pruning.chunk_failed(now),
        }
    }

    /// Runs `work` in one transaction; `None` when it failed, which the status then tells.
    pub(super) fn transaction<T>(
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
                self.status.transaction_failed(&error);
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

    /// The file with the owner's token goes when the token was used, or revoked.
    fn check_owner_token_file(&mut self) {
        let index = &self.index;
        let is_done = |file: &mut OwnerTokenFile| {
            index.last_used(&file.hash).is_some() || !index.knows_token(&file.hash)
        };
        if let Some(file) = self.owner_token.take_if(is_done) {
            file.remove();
        }
    }

    /// Nobody is locked out without a warning.
    pub(super) fn owner_token_warning(&self, now: Timestamp) -> Option<String> {
        if !self.index.has_owner() {
            return None;
        }
        match store::last_owner_token_expiry(&self.connection) {
            Ok(None) => Some("no owner has a token".to_owned()),
            Ok(Some(end)) if end <= now => Some(format!("the last owner token expired at {end}")),
            Ok(Some(end)) if end.since(now) < OWNER_TOKEN_NOTICE => {
                Some(format!("the last owner token expires at {end}"))
            }
            Ok(Some(_)) => None,
            Err(error) => Some(format!("the owner's tokens could not be read: {error}")),
        }
    }

    fn finish(&mut self) -> bool {
        self.pruning.tell_rest();
        self.check_owner_token_file();
        if self.same_file().is_err() && !self.leave_log() {
            log::error!(
                "the write-ahead log {}-wal is not of the database that is there now: \
                 move it away before the next start",
                self.path.display()
            );
        }
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

/// The cheapest statement that really writes a page.
fn rewrite_version(connection: &Connection) -> Result<(), StoreError> {
    store::rewrite_version(connection)?;
    Ok(())
}

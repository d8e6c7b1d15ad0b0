//! Backups by the clock, on a thread of their own beside the server.

use std::fs::File;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use parking_lot::Mutex;

use super::BackupError;
use super::make::{Turn, make_in};
use super::rotation::Rotation;
use crate::clock::Timestamp;
use crate::store::{Contents, StoreError, Work, io, make_folder};

/// How long after a failure it is tried again, or sooner where backups are made more often.
const RETRY: Duration = Duration::from_secs(10 * 60);

/// What is made when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheduled {
    /// Where to; made (0700) where it is missing.
    pub directory: PathBuf,
    /// How much time is between two, from 1 minute on.
    pub every: Duration,
    /// How many are kept, from 1 on.
    pub keep: usize,
}

/// How the backups went, for `/readyz` and the metrics.
#[derive(Default)]
pub struct Status {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: Option<Timestamp>,
    failures: u64,
    is_failing: bool,
}

impl Status {
    /// When the newest backup was made, also before this process began.
    pub fn last(&self) -> Option<Timestamp> {
        self.state.lock().last
    }

    /// Backups that failed since the start.
    pub fn failures(&self) -> u64 {
        self.state.lock().failures
    }

    /// Whether the last try failed.
    pub fn is_failing(&self) -> bool {
        self.state.lock().is_failing
    }
}

/// As long as it is held, backups are made. Dropping it calls off what is on the way, which then leaves
/// nothing.
pub struct Schedule {
    work: Arc<Work>,
    _running: Sender<()>,
}

impl Drop for Schedule {
    fn drop(&mut self) {
        self.work.cancel();
    }
}

impl Schedule {
    /// Starts the thread; `copy` fills an empty file from `database`. The first backup is due when the
    /// newest one there is old enough, and at once where there is none.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn start(
        scheduled: Scheduled,
        database: &Path,
        copy: impl Fn(&Path, &File, &Work) -> Result<(), StoreError> + Send + 'static,
        status: Arc<Status>,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (running, stopped) = crossbeam_channel::bounded(0);
        let work = Arc::new(Work::default());
        let worker = Worker {
            rotation: Rotation::new(&scheduled.directory, database),
            database: database.to_owned(),
            scheduled,
            copy,
            status,
            work: Arc::clone(&work),
        };
        let thread = std::thread::Builder::new()
            .name("backups".to_owned())
            .spawn(move || worker.run(&stopped))?;
        let schedule = Self {
            work,
            _running: running,
        };
        Ok((schedule, thread))
    }
}

struct Worker<C> {
    scheduled: Scheduled,
    rotation: Rotation,
    database: PathBuf,
    copy: C,
    status: Arc<Status>,
    work: Arc<Work>,
}

impl<C: Fn(&Path, &File, &Work) -> Result<(), StoreError>> Worker<C> {
    fn run(&self, stopped: &Receiver<()>) {
        let every = self.scheduled.every;
        let mut wait = self.until_first(Timestamp::now());
        log::info!(
            "backups go to {}; the first is due in {} s",
            self.rotation.folder.display(),
            wait.as_secs()
        );
        loop {
            // Whatever the clock of the wall does meanwhile.
            let due = Instant::now() + wait;
            match stopped.recv_deadline(due) {
                Err(RecvTimeoutError::Timeout) if !self.work.is_cancelled() => {}
                // Dropped, or called off in the meantime.
                _ => return,
            }
            let started = Instant::now();
            // A bug must not end the backups in silence.
            let made = AssertUnwindSafe(|| self.make(Timestamp::now()));
            let why = match std::panic::catch_unwind(made) {
                Ok(Ok(_)) => None,
                Ok(Err(BackupError::Store(StoreError::Cancelled))) => return,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("a panic, as is said above".to_owned()),
            };
            wait = match why {
                None => every.saturating_sub(started.elapsed()),
                Some(why) => {
                    let wait = RETRY.min(every);
                    log::error!(
                        "no backup was made: {why}; tried again in {} s",
                        wait.as_secs()
                    );
                    let mut state = self.status.state.lock();
                    state.failures += 1;
                    state.is_failing = true;
                    wait
                }
            };
        }
    }

    /// How long the newest backup is good.
    fn until_first(&self, now: Timestamp) -> Duration {
        let moments = self.rotation.moments(now).unwrap_or_default();
        let Some(last) = moments.last() else {
            return Duration::ZERO;
        };
        self.status.state.lock().last = Some(*last);
        self.scheduled.every.saturating_sub(now.since(*last))
    }

    fn make(&self, now: Timestamp) -> Result<Contents, BackupError> {
        let folder = &self.rotation.folder;
        make_folder(folder)?;
        let started = Instant::now();
        let turn = Turn::take(folder)?;
        self.rotation.clean().map_err(io(folder))?;
        let path = self.rotation.path(now);
        let contents = make_in(
            &turn,
            &self.database,
            &path,
            |path, target| (self.copy)(path, target, &self.work),
            &self.work,
        )?;
        {
            let mut state = self.status.state.lock();
            state.last = Some(now);
            state.is_failing = false;
        }
        log::info!(
            "made the backup {} in {} ms (users: {}, tokens: {})",
            path.display(),
            started.elapsed().as_millis(),
            contents.users,
            contents.tokens
        );
        // Only now that there is a newer one.
        if let Err(error) = self.rotation.keep_newest(self.scheduled.keep, now) {
            log::warn!(
                "old backups in {} could not be removed: {error}",
                folder.display()
            );
        }
        Ok(contents)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn dropping_the_schedule_calls_off_what_is_on_the_way_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let scheduled = Scheduled {
            directory: folder.path().join("backups"),
            every: Duration::from_secs(60),
            keep: 1,
        };
        let (begun, has_begun) = crossbeam_channel::bounded(1);
        // One that ends by itself so late that it counts as never.
        let copy = move |_: &Path, _: &File, work: &Work| {
            begun.send(()).unwrap();
            let until = Instant::now() + Duration::from_secs(20);
            while Instant::now() < until {
                work.reached(0)?;
                std::thread::yield_now();
            }
            Ok(())
        };
        let status = Arc::<Status>::default();
        let (directory, told) = (scheduled.directory.clone(), Arc::clone(&status));
        let database = folder.path().join("test.db");
        let (schedule, thread) = Schedule::start(scheduled, &database, copy, status).unwrap();
        has_begun.recv().unwrap();
        drop(schedule);
        thread.join().unwrap();
        assert_eq!(fs::read_dir(directory).unwrap().count(), 0);
        let told = (told.last(), told.failures(), told.is_failing());
        assert_eq!(told, (None, 0, false));
    }
}

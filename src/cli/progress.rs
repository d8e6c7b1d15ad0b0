//! Showing how far work on a whole file is, once it takes longer than a moment.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::output;
use crate::store::{Progress, Stage, Work};

/// What takes less is not worth a line.
const QUIET: Duration = Duration::from_secs(2);
/// Between two lines where each stays: a log, a pipe.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// Between two where one is written over the other.
const TERMINAL_EVERY: Duration = Duration::from_millis(200);

/// Tells on standard error how far the work is, until it is dropped.
pub(super) struct Shown {
    ended: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Shown {
    /// From now on.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub(super) fn start(work: &Arc<Work>) -> io::Result<Self> {
        let (sender, ended) = crossbeam_channel::bounded(0);
        let work = Arc::clone(work);
        let thread = std::thread::Builder::new()
            .name("progress".to_owned())
            .spawn(move || show(&work, &ended))?;
        Ok(Self {
            ended: Some(sender),
            thread: Some(thread),
        })
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.ended.take();
        self.thread.take().map(JoinHandle::join);
    }
}

fn show(work: &Work, ended: &Receiver<()>) {
    let on_terminal = io::stderr().is_terminal();
    let every = match on_terminal {
        true => TERMINAL_EVERY,
        false => LINE_EVERY,
    };
    let started = Instant::now();
    let mut wait = QUIET;
    let mut is_shown = false;
    while ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
        wait = every;
        let line = line(work.progress(), started.elapsed());
        if on_terminal {
            // Back to the margin, and clear what was longer.
            let _ = write!(io::stderr(), "\r{line}\x1b[K");
            is_shown = true;
        } else {
            output::tell(&line);
        }
    }
    if is_shown {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
}

fn line(progress: Progress, elapsed: Duration) -> String {
    let stage = match progress.stage {
        Stage::Copying => "copying",
        Stage::Checking => "checking the copy",
        Stage::Hashing => "making the digest",
    };
    match progress.total {
        0 => format!("{stage}: {} s so far", elapsed.as_secs()),
        total => format!(
            "{stage}: {} of {} MB",
            progress.done / 1_000_000,
            total.div_ceil(1_000_000)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_the_stage_and_how_much_of_all() {
        let of = |stage, done, total| Progress { stage, done, total };
        let table = [
            (of(Stage::Copying, 0, 0), "copying: 7 s so far"),
            (of(Stage::Copying, 999_999, 1_000_001), "copying: 0 of 2 MB"),
            (of(Stage::Checking, 0, 0), "checking the copy: 7 s so far"),
            (
                of(Stage::Hashing, 221_000_000, 221_000_000),
                "making the digest: 221 of 221 MB",
            ),
        ];
        for (progress, expected) in table {
            assert_eq!(line(progress, Duration::from_secs(7)), expected);
        }
    }
}

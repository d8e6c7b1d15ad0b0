//! How long the disk itself takes for one page and its sync, while something else is measured on it.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender};

/// Seldom enough to be nothing beside the server's own syncs.
const EVERY: Duration = Duration::from_millis(50);

/// Asks the disk until it is asked for the longest time.
pub struct Probe {
    stop: Sender<()>,
    longest: JoinHandle<Result<Duration, String>>,
}

impl Probe {
    /// On the disk of a file, beside which it has one of its own.
    pub fn start(beside: &Path) -> Self {
        let path = beside.with_extension("probe");
        let (stop, stopped) = crossbeam_channel::bounded(0);
        let longest = std::thread::spawn(move || {
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path);
            let file = file.map_err(|error| format!("{}: {error}", path.display()))?;
            let mut longest = Duration::ZERO;
            while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                let begun = Instant::now();
                file.write_all_at(&[0; 4096], 0)
                    .and_then(|()| file.sync_data())
                    .map_err(|error| format!("{}: {error}", path.display()))?;
                longest = longest.max(begun.elapsed());
            }
            Ok(longest)
        });
        Self { stop, longest }
    }

    /// The longest time until now; one that is under way is waited for.
    pub fn longest(self) -> Result<Duration, String> {
        drop(self.stop);
        self.longest
            .join()
            .map_err(|_| "the probe of the disk panicked".to_owned())?
    }
}

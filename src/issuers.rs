//! The issuers in force, and taking over what changes in their files.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use parking_lot::{Mutex, RwLock};

use crate::config::{self, Environment};
use crate::jwt::{IssuerSet, IssuerSettings, LoadFault, Loaded, Verifier};

const POLL: Duration = Duration::from_secs(1);

/// The issuers that are believed at present.
pub struct Issuers {
    current: RwLock<Arc<Verifier>>,
    /// Why the newest state of the files is not in force.
    trouble: Mutex<Option<String>>,
    failures: AtomicU64,
}

impl Issuers {
    /// With these in force.
    pub fn new(set: IssuerSet) -> Self {
        Self {
            current: RwLock::new(Arc::new(Verifier::new(set))),
            trouble: Mutex::default(),
            failures: AtomicU64::new(0),
        }
    }

    /// The issuers in force, for one request.
    pub fn current(&self) -> Arc<Verifier> {
        Arc::clone(&self.current.read())
    }

    /// Whether the newest state of the files is in force.
    pub fn is_current(&self) -> bool {
        self.trouble.lock().is_none()
    }

    /// Reloads that failed since the start.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// How many issuers and keys are in force.
    pub fn counts(&self) -> (usize, usize) {
        let verifier = self.current();
        let keys: Vec<_> = verifier
            .issuers()
            .iter()
            .map(|issuer| issuer.keys.len())
            .collect();
        (keys.len(), keys.iter().sum())
    }

    /// What is not in the set is dead on the next request.
    fn replace(&self, set: IssuerSet) {
        *self.current.write() = Arc::new(Verifier::new(set));
        self.trouble.lock().take();
        let (issuers, keys) = self.counts();
        log::info!("the issuers were read anew (issuers: {issuers}, keys: {keys})");
    }

    /// Logged once for as long as the reason stays the same.
    fn failed(&self, reason: String) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let mut trouble = self.trouble.lock();
        if trouble.as_ref() != Some(&reason) {
            log::error!("the issuers stay as they were until this is mended: {reason}");
        }
        *trouble = Some(reason);
    }
}

/// Where the issuers are read from.
pub struct Source {
    /// The settings file that was named on the command line.
    pub explicit: Option<PathBuf>,
    /// The environment of this process.
    pub environment: Environment,
    /// The settings file that was found.
    pub file: Option<PathBuf>,
}

/// Looks whether the files have changed.
pub struct Watch {
    issuers: Arc<Issuers>,
    source: Source,
    seen: Vec<Print>,
}

/// A file's state: while it is the same, nobody has written the file or put another in its place.
#[derive(PartialEq, Eq)]
struct Print {
    path: PathBuf,
    /// Device, inode, size, and the last change; `None` where there is no file.
    state: Option<(u64, u64, u64, i64, i64)>,
}

impl Watch {
    /// Reads the keys of the issuers that the settings have.
    ///
    /// # Errors
    /// The first fault, for whoever starts the server.
    pub fn start(
        source: Source,
        settings: Vec<IssuerSettings>,
    ) -> Result<(Arc<Issuers>, Self), LoadFault> {
        // Before the keys are read: what is written meanwhile is seen as a change.
        let seen = prints(&source, &settings);
        let set = read(settings)?;
        let issuers = Arc::new(Issuers::new(set));
        let watch = Self {
            issuers: Arc::clone(&issuers),
            source,
            seen,
        };
        Ok((issuers, watch))
    }

    /// Follows the files until the other end of `wake` is gone. A message reads them at once.
    pub fn run(mut self, wake: &Receiver<()>) {
        loop {
            match wake.recv_timeout(POLL) {
                Ok(()) => self.reload(),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    let is_changed = self.seen.iter().any(|seen| *seen != Print::of(&seen.path));
                    // What failed may be mended where no file shows it: rights of a folder, say.
                    if is_changed || !self.issuers.is_current() {
                        self.reload();
                    }
                }
            }
        }
    }

    /// All or nothing: what is in force stays where anything is wrong.
    fn reload(&mut self) {
        let file = self.source.file.as_deref().map(Print::of);
        let Source {
            explicit,
            environment,
            ..
        } = &self.source;
        let loaded = match config::load(explicit.as_deref(), environment) {
            Ok(loaded) => loaded,
            Err(fault) => {
                // The keys' files are as they were seen; the settings file is what must change.
                self.seen
                    .retain(|seen| Some(&seen.path) != self.source.file.as_ref());
                self.seen.extend(file);
                return self.issuers.failed(fault.to_string());
            }
        };
        let settings = loaded.config.issuers;
        self.seen = prints(&self.source, &settings);
        if let Some(file) = file {
            // From before it was read.
            self.seen.retain(|seen| seen.path != file.path);
            self.seen.push(file);
        }
        match read(settings) {
            Ok(set) => self.issuers.replace(set),
            Err(fault) => self.issuers.failed(fault.to_string()),
        }
    }
}

/// The keys of the settings; what was passed over goes to the log.
fn read(settings: Vec<IssuerSettings>) -> Result<IssuerSet, LoadFault> {
    let Loaded { set, warnings } = IssuerSet::load(settings)?;
    for warning in warnings {
        log::warn!("{warning}");
    }
    Ok(set)
}

fn prints(source: &Source, settings: &[IssuerSettings]) -> Vec<Print> {
    let keys = settings.iter().flat_map(IssuerSettings::files);
    let files = source.file.as_deref().into_iter().chain(keys);
    files.map(Print::of).collect()
}

impl Print {
    fn of(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let state = fs::metadata(&path).ok();
        let state = state.map(|file| {
            let (dev, ino, size) = (file.dev(), file.ino(), file.size());
            (dev, ino, size, file.mtime(), file.mtime_nsec())
        });
        Self { path, state }
    }
}

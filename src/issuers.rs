//! The issuers in force, and taking over what changes in their files.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::config::{self, ConfigError, Environment};
use crate::follow::{Print, Reloads};
use crate::jwt::{IssuerSet, IssuerSettings, LoadFault, Loaded, Verifier};

/// The issuers that are believed at present.
pub struct Issuers {
    current: RwLock<Arc<Verifier>>,
    /// Of their files.
    pub reloads: Reloads,
}

impl Issuers {
    /// With these in force.
    pub fn new(set: IssuerSet) -> Self {
        Self {
            current: RwLock::new(Arc::new(Verifier::new(set))),
            reloads: Reloads::default(),
        }
    }

    /// The issuers in force, for one request.
    pub fn current(&self) -> Arc<Verifier> {
        Arc::clone(&self.current.read())
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
        let before = names_of_keys(&self.current());
        *self.current.write() = Arc::new(Verifier::new(set));
        self.reloads.succeeded();
        let after = names_of_keys(&self.current());
        let (issuers, keys) = self.counts();
        let new = listed("new", after.difference(&before));
        let gone = listed("gone", before.difference(&after));
        log::info!("the issuers were read anew (issuers: {issuers}, keys: {keys}{new}{gone})");
    }

    /// Logged for whoever asked for the reload, else once for as long as the reason stays the same.
    fn failed(&self, reason: &str, is_asked: bool) {
        if self.reloads.failed(reason) || is_asked {
            log::error!("the issuers stay as they were until this is mended: {reason}");
        }
    }
}

/// Issuer, `kid` and thumbprint of each key: with another thumbprint it is another key.
fn names_of_keys(verifier: &Verifier) -> BTreeSet<[String; 3]> {
    let issuers = verifier.issuers().iter();
    let keys = issuers.flat_map(|issuer| issuer.keys.iter().map(move |key| (issuer, key)));
    keys.map(|(issuer, key)| {
        let kid = key.kid.as_deref();
        let kid = kid.map_or_else(|| "without kid".to_owned(), |kid| format!("{kid:?}"));
        let thumbprint = key.thumbprint.clone().unwrap_or_default();
        [issuer.settings.name.to_string(), kid, thumbprint]
    })
    .collect()
}

fn listed<'k>(what: &str, keys: impl Iterator<Item = &'k [String; 3]>) -> String {
    let keys = keys.map(|[issuer, kid, _]| format!("{issuer} {kid}"));
    let keys: Vec<_> = keys.collect();
    match keys.is_empty() {
        true => String::new(),
        false => format!("; {what}: {}", keys.join(", ")),
    }
}

/// Where the issuers are read from.
pub struct Source {
    /// The settings.
    pub origin: Origin,
    /// The environment of this process.
    pub environment: Environment,
}

/// Where the settings of the issuers stand, as it was at the start: no other place is looked at later.
pub enum Origin {
    /// A file, which is read again.
    File(PathBuf),
    /// What was read once, and can't be read again: a pipe.
    Once(Vec<IssuerSettings>),
    /// There was no file.
    Nowhere,
}

/// Why the issuers can't be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceFault {
    /// The settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The keys.
    #[error(transparent)]
    Keys(#[from] LoadFault),
}

/// Looks whether the files have changed.
pub struct Watch {
    issuers: Arc<Issuers>,
    source: Source,
    seen: Vec<Print>,
    /// What was told of the keys that were skipped.
    skipped: Vec<String>,
}

impl Watch {
    /// Reads the issuers for whoever starts the server.
    ///
    /// # Errors
    /// The first fault.
    pub fn start(source: Source) -> Result<(Arc<Issuers>, Self), SourceFault> {
        let mut seen = Vec::new();
        let Loaded { set, warnings } = source.read(&mut seen)?;
        let issuers = Arc::new(Issuers::new(set));
        let mut watch = Self {
            issuers: Arc::clone(&issuers),
            source,
            seen,
            skipped: Vec::new(),
        };
        watch.tell(warnings);
        Ok((issuers, watch))
    }

    /// Reads them anew where a file has changed, or where somebody asks for it.
    pub fn look(&mut self, is_asked: bool) {
        // What failed may be mended where no file shows it: rights of a folder, say.
        if is_asked || self.seen.iter().any(Print::is_changed) || !self.issuers.reloads.is_current()
        {
            self.reload(is_asked);
        }
    }

    /// All or nothing: what is in force stays where anything is wrong.
    fn reload(&mut self, is_asked: bool) {
        let Self { source, seen, .. } = self;
        if matches!(source.origin, Origin::Nowhere) {
            log::warn!(
                "no settings file was found at the start, so none is read now: restart the server"
            );
            return;
        }
        // A bug there must not end the watch: keys that are taken away would live on, unseen.
        let read = catch_unwind(AssertUnwindSafe(|| source.read(seen)));
        match read {
            Ok(Ok(Loaded { set, warnings })) => {
                self.tell(warnings);
                self.issuers.replace(set);
            }
            Ok(Err(fault)) => self.issuers.failed(&fault.to_string(), is_asked),
            Err(_) => self.issuers.failed("a bug, see the log", is_asked),
        }
    }

    /// Once for as long as they stay the same: a key set may hold such keys for ever.
    fn tell(&mut self, skipped: Vec<String>) {
        if skipped != self.skipped {
            skipped.iter().for_each(|warning| log::warn!("{warning}"));
            self.skipped = skipped;
        }
    }
}

impl Source {
    /// Reads the settings, then the keys that they name. `seen` gets the state of each file from
    /// before it was read: what is written meanwhile is seen as a change.
    fn read(&self, seen: &mut Vec<Print>) -> Result<Loaded, SourceFault> {
        let settings = match &self.origin {
            Origin::Nowhere => Vec::new(),
            Origin::Once(settings) => settings.clone(),
            Origin::File(file) => {
                let print = Print::of(file);
                seen.retain(|seen| seen.path() != file);
                seen.push(print);
                config::load_again(file, &self.environment)?.config.issuers
            }
        };
        seen.retain(|seen| matches!(&self.origin, Origin::File(file) if file == seen.path()));
        let keys = settings.iter().flat_map(IssuerSettings::files);
        seen.extend(keys.map(Print::of));
        Ok(IssuerSet::load(settings)?)
    }
}

//! The names of scheduled backups, and which of them are kept.

use std::fs;
use std::path::{Path, PathBuf};

use super::digest;
use super::make::discard;
use crate::clock::Timestamp;
use crate::store;

/// The scheduled backups in a folder. All else there is left alone.
pub(super) struct Rotation {
    pub(super) folder: PathBuf,
    /// Name of the database without its ending.
    stem: String,
}

impl Rotation {
    pub(super) fn new(folder: &Path, database: &Path) -> Self {
        let stem = database.file_stem().unwrap_or_default();
        Self {
            folder: folder.to_owned(),
            stem: stem.to_string_lossy().into_owned(),
        }
    }

    /// Where the backup of a moment is.
    pub(super) fn path(&self, moment: Timestamp) -> PathBuf {
        let name = format!("{}-{}.db", self.stem, moment.compact());
        self.folder.join(name)
    }

    /// The moments of all backups that are there, oldest first.
    pub(super) fn moments(&self) -> std::io::Result<Vec<Timestamp>> {
        let names = self.names()?;
        let found = names.iter().filter_map(|name| self.moment_of(name));
        let mut found: Vec<Timestamp> = found.collect();
        found.sort_unstable();
        Ok(found)
    }

    /// Removes the oldest backups, so that the newest `keep` stay.
    pub(super) fn keep_newest(&self, keep: usize) -> std::io::Result<()> {
        let moments = self.moments()?;
        let surplus = moments.len().saturating_sub(keep);
        for moment in moments.into_iter().take(surplus) {
            let path = self.path(moment);
            // A backup without a digest is of little use, a digest without a backup of none.
            fs::remove_file(&path)?;
            let _ = fs::remove_file(digest::path_of(&path));
            log::info!("removed the backup {}: newer ones are kept", path.display());
        }
        Ok(())
    }

    /// Removes what kills have left. The folder's turn must be held.
    pub(super) fn clean(&self) -> std::io::Result<()> {
        for name in self.names()? {
            // `.NAME.unfinished`, of a backup or a digest, and what SQLite puts beside it.
            let unfinished = name
                .strip_prefix('.')
                .and_then(|name| name.rsplit_once(".unfinished"));
            if let Some((name, _)) = unfinished
                && self
                    .moment_of(name.strip_suffix(".blake3").unwrap_or(name))
                    .is_some()
            {
                discard(&store::unfinished(&self.folder.join(name)));
            }
            // A digest without its backup.
            if let Some(of) = name.strip_suffix(".blake3")
                && self.moment_of(of).is_some()
                && !self.folder.join(of).exists()
            {
                let _ = fs::remove_file(self.folder.join(&name));
            }
        }
        Ok(())
    }

    fn names(&self) -> std::io::Result<Vec<String>> {
        let entries = fs::read_dir(&self.folder)?;
        let names = entries.map(|entry| Ok(entry?.file_name().into_string().ok()));
        names.filter_map(Result::transpose).collect()
    }

    fn moment_of(&self, name: &str) -> Option<Timestamp> {
        let rest = name.strip_prefix(&self.stem)?.strip_prefix('-')?;
        Timestamp::from_compact(rest.strip_suffix(".db")?)
    }
}

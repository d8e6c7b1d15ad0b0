//! The names of scheduled backups, and which of them are kept.

use std::fs;
use std::path::{Path, PathBuf};

use super::digest;
use super::make::discard;
use crate::clock::Timestamp;
use crate::store;

/// The scheduled backups of databases of one name in a folder. All else there is left alone.
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

    /// The moments of all backups until `now`, oldest first. What is from the future was made while the
    /// clock was wrong: it says nothing, and must not take the place of what is made now.
    pub(super) fn moments(&self, now: Timestamp) -> std::io::Result<Vec<Timestamp>> {
        let names = self.names()?;
        let found = names.iter().filter_map(|name| self.moment_of(name));
        let found = found.filter(|moment| *moment <= now && self.path(*moment).is_file());
        let mut found: Vec<Timestamp> = found.collect();
        found.sort_unstable();
        Ok(found)
    }

    /// Removes the oldest backups until `now`, so that the newest `keep` stay. One that can't be removed
    /// keeps no other.
    pub(super) fn keep_newest(&self, keep: usize, now: Timestamp) -> std::io::Result<()> {
        let moments = self.moments(now)?;
        let surplus = moments.len().saturating_sub(keep);
        let removed = moments.into_iter().take(surplus).map(|moment| {
            let path = self.path(moment);
            // A backup without a digest is of little use, a digest without a backup of none.
            fs::remove_file(&path)?;
            let _ = fs::remove_file(digest::path_of(&path));
            log::info!("removed the backup {}: newer ones are kept", path.display());
            Ok(())
        });
        removed.fold(Ok(()), std::io::Result::and)
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
                && is_missing(&self.folder.join(of))
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
        let stamp = rest.strip_suffix(".db")?;
        // To the letter: what is read in another spelling would be removed under this one.
        Timestamp::from_compact(stamp).filter(|moment| moment.compact() == stamp)
    }
}

/// Not where the disk does not say so.
fn is_missing(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rotation(folder: &Path) -> Rotation {
        Rotation::new(folder, Path::new("/var/lib/x/auth.db"))
    }

    fn at(stamp: &str) -> Timestamp {
        Timestamp::from_compact(stamp).unwrap()
    }

    #[test]
    fn names_that_are_nearly_of_the_pattern_are_no_backups() {
        let rotation = rotation(Path::new("/b"));
        let moment = rotation.moment_of("auth-20231114T221320Z.db");
        assert_eq!(moment, Some(at("20231114T221320Z")));
        for name in [
            "auth-20231114T221320Z.db.blake3",
            "auth-20231114T221320Z.dbx",
            "auth-20231114T221320Z",
            "auth-20231114T221320Z.db~",
            ".auth-20231114T221320Z.db",
            ".auth-20231114T221320Z.db.unfinished",
            "auth--20231114T221320Z.db",
            "auth-+20231114T221320Z.db",
            "auth--0231114T221320Z.db",
            "auth- 20231114T221320Z.db",
            "auth-20231114t221320z.db",
            "auth-20231114T221360Z.db",
            "auth-20231131T221320Z.db",
            "auth-20231114T221320.5Z.db",
            "auth-before-20231114T221320Z.db",
            "auth20231114T221320Z.db",
            "Auth-20231114T221320Z.db",
            "other-20231114T221320Z.db",
            "auth-.db",
            "auth.db",
            "-20231114T221320Z.db",
            "",
        ] {
            assert_eq!(rotation.moment_of(name), None, "{name}");
        }
    }

    #[test]
    fn what_is_from_the_future_takes_no_place_and_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let rotation = rotation(folder.path());
        let stamps = ["20200101T000000Z", "20200102T000000Z", "21000101T000000Z"];
        for stamp in stamps {
            fs::write(rotation.path(at(stamp)), stamp).unwrap();
        }
        let now = at("20200102T000000Z");
        assert_eq!(rotation.moments(now).unwrap(), [at(stamps[0]), now]);
        rotation.keep_newest(1, now).unwrap();
        let left = stamps.map(|stamp| rotation.path(at(stamp)).exists());
        assert_eq!(left, [false, true, true]);
    }

    #[test]
    fn a_folder_of_the_name_is_no_backup() {
        let folder = tempfile::tempdir().unwrap();
        let rotation = rotation(folder.path());
        let stamps = ["20200101T000000Z", "20200102T000000Z", "20200103T000000Z"].map(at);
        fs::create_dir(rotation.path(stamps[0])).unwrap();
        fs::write(rotation.path(stamps[1]), "").unwrap();
        fs::write(rotation.path(stamps[2]), "").unwrap();
        rotation.keep_newest(1, stamps[2]).unwrap();
        let left = stamps.map(|stamp| rotation.path(stamp).exists());
        assert_eq!(left, [true, false, true]);
    }

    proptest! {
        #[test]
        fn a_name_is_that_of_one_moment_or_of_none(
            stamp in "[-+ ]?[0-9]{3,6}[0-9]{4}[Tt][0-2][0-9]{5}[Zz]?",
            stem in "[a-z-]{0,3}",
        ) {
            let rotation = Rotation::new(Path::new("/b"), Path::new(&format!("{stem}.db")));
            let name = format!("{}-{stamp}.db", rotation.stem);
            if let Some(moment) = rotation.moment_of(&name) {
                prop_assert_eq!(rotation.path(moment), Path::new("/b").join(&name));
            }
        }

        #[test]
        fn every_moment_has_a_name_that_tells_it_to_the_second(
            seconds in 0i64..253_402_300_800,
            micros in 0i64..1_000_000,
        ) {
            let rotation = rotation(Path::new("/b"));
            let path = rotation.path(Timestamp::from_micros(seconds * 1_000_000 + micros));
            let name = path.file_name().and_then(|name| name.to_str()).unwrap();
            let told = Timestamp::from_micros(seconds * 1_000_000);
            prop_assert_eq!(rotation.moment_of(name), Some(told));
        }
    }
}

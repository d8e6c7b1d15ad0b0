//! `restore` over a database whose newest rows are in its log, killed or failed at each of its calls,
//! and through power cuts: the former database, or the restored one, or none and nothing starts; and
//! no row of the former one is ever lost.

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::backup::{Busy, make};
use crate::check;
use crate::cuts::Traced;
use crate::each_call::{Attempt, Files, at_each_call, files, put};
use crate::ledger::Expected;
use crate::program::{Running, Settings};
use crate::row::Row;
use crate::run::Run;
use crate::shim::Shim;
use crate::trail::Trail;

/// Changes after the backup; they are in the log alone.
const CHANGES: usize = 40;
/// Cuts of the power after each record, in each model.
const CUTS: u32 = 100;
/// After so many states of a kind no program is started on more of them.
const STARTED: u32 = 20;
const THREADS: usize = 4;
const NAME: &str = "backup.db";
const ASIDE: &str = "test.db.before-restore-";
/// What a database without its name is told to be.
const REFUSED: &str = "a restore was killed before its end; run 'netbird-auth restore' again";

/// What there is before a restore.
struct Before {
    settings: Settings,
    /// A database with its log, and a backup with its digest.
    files: Files,
    former: Vec<Expected>,
    restored: Vec<Expected>,
}

/// Which database has the name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Former,
    Restored,
    None,
}

pub fn run(run: &Run) -> Result<Vec<Row>, String> {
    let shim = Shim::compile(&run.new_folder("restore")?);
    let before = Before::make(run)?;
    Ok(vec![
        before.each_call(run, &shim, false)?,
        before.each_call(run, &shim, true)?,
        before.cuts(run, &shim, false)?,
        before.cuts(run, &shim, true)?,
    ])
}

impl Before {
    fn each_call(&self, run: &Run, shim: &Shim, is_second: bool) -> Result<Row, String> {
        let name = ["restore/each-call", "restore/each-call-again"][usize::from(is_second)];
        let start = self.start(is_second);
        let tally = at_each_call(run, shim, name, THREADS, &|attempt| {
            self.befallen(attempt, &start)
        })?;
        for place in [Place::Former, Place::Restored, Place::None] {
            let can_be = !is_second || place != Place::Former;
            if tally.outcomes.contains_key(place.text()) != can_be {
                return Err(format!("{name}: {:?}", tally.outcomes));
            }
        }
        let what = ["", ", after a kill between two renames"][usize::from(is_second)];
        Ok(Row::new(
            format!("restore: killed and failing at each call{what}"),
            tally.text(),
            "the former, the restored, or none and no start; the next restore works, no row is lost",
        ))
    }

    /// As it is, or as a restore leaves it that was killed when the former database had its new name,
    /// and its log had not.
    fn start(&self, is_killed: bool) -> Files {
        let mut files = self.files.clone();
        if is_killed {
            let database = files.remove("test.db").unwrap_or_default();
            files.insert("test.db.restoring".to_owned(), database[..8192].to_owned());
            files.insert(format!("{ASIDE}20200102T030405Z"), database);
        }
        files
    }

    fn make(run: &Run) -> Result<Self, String> {
        let mut busy = Busy::start(run, "restore/server")?;
        let settings = busy.program.settings.clone();
        let output = make(&settings, &settings.folder.join(NAME))?;
        if !output.status.success() {
            return Err(format!("no backup: {}", said(&output)));
        }
        let restored = busy.expected();
        busy.write(CHANGES)?;
        let former = busy.expected();
        busy.program.kill()?;
        let mut files = files(&settings.folder);
        files.retain(|name, _| !name.ends_with("-shm"));
        Ok(Self {
            settings,
            files,
            former,
            restored,
        })
    }

    fn befallen(&self, attempt: &Attempt<'_>, start: &Files) -> Result<&'static str, String> {
        let folder = attempt.folder.join("disk");
        put(&folder, start);
        let settings = self.settings.on(&folder);
        let output = restore(&attempt.settings(&settings))?;
        let is_done = attempt.is_done(&output)?;
        let left = files(&folder);
        let place = self.place(&left)?;
        if is_done && place != Place::Restored {
            return Err(format!(
                "it said that it is done, and there is {}",
                place.text()
            ));
        }
        // Who was not killed has put away what was prepared, unless it bars the way.
        let is_left = left
            .keys()
            .any(|name| name.starts_with("test.db.restoring"));
        if !(attempt.is_kill() && attempt.was_hit()) && is_left != (place == Place::None) {
            return Err(format!("it left {:?}: {}", left.keys(), said(&output)));
        }
        self.goes_on(&settings, place)?;
        Ok(place.text())
    }

    /// Which database has the name. Wherever the former one is, it is there to the last byte, its log
    /// beside it; a log is beside no other.
    fn place(&self, left: &Files) -> Result<Place, String> {
        let same = |name: &str, as_was: &str| left.get(name) == self.files.get(as_was);
        let wrong = |what: &str| Err(format!("{what}; there is {:?}", left.keys()));
        let has_log = left.contains_key("test.db-wal") || left.contains_key("test.db-journal");
        if left.contains_key("test.db") && same("test.db", "test.db") {
            return match same("test.db-wal", "test.db-wal") {
                true => Ok(Place::Former),
                false => wrong("the former database is there without its log"),
            };
        }
        let aside = left.keys().find(|name| {
            name.starts_with(ASIDE) && !name.ends_with("-wal") && !name.ends_with("-shm")
        });
        let Some(aside) = aside.filter(|aside| same(aside, "test.db")) else {
            return wrong("the former database is gone");
        };
        let is_log_moved = same(&format!("{aside}-wal"), "test.db-wal");
        match left.get("test.db") {
            None if !is_log_moved && !same("test.db-wal", "test.db-wal") => {
                wrong("the former log is gone")
            }
            None if !left.contains_key("test.db.restoring") => wrong("nothing bars the way"),
            None => Ok(Place::None),
            Some(_) if has_log => wrong("another's log is beside the restored database"),
            Some(_) if !is_log_moved => wrong("the former log is gone"),
            Some(_) if same("test.db", NAME) => Ok(Place::Restored),
            Some(_) => wrong("the restored database is not whole"),
        }
    }

    /// Nothing starts without a database; the next restore comes to its end, and both databases have
    /// all their rows.
    fn goes_on(&self, settings: &Settings, place: Place) -> Result<(), String> {
        if place == Place::None {
            let start = settings.start_in_vain();
            let ended = start.map_err(|lost| format!("without a database {lost}"))?;
            let reason = ended.log.last().is_some_and(|line| line.contains(REFUSED));
            if ended.status.code() != Some(1) || !reason {
                return Err(format!(
                    "without a database its start ends with {}, and its last line does not say why:\n{}",
                    ended.status,
                    ended.log.join("\n")
                ));
            }
        }
        let output = restore(settings)?;
        if !output.status.success() {
            return Err(format!("the next restore fails: {}", said(&output)));
        }
        let names = files(&settings.folder);
        let mut asides = names.keys().filter(|name| {
            name.starts_with(ASIDE) && !name.ends_with("-wal") && !name.ends_with("-shm")
        });
        let first = asides.next().ok_or("the former database is gone")?;
        self.has(&settings.folder.join(first), &self.former)?;
        match (place, asides.next()) {
            (Place::Restored, Some(second)) => {
                self.has(&settings.folder.join(second), &self.restored)?
            }
            (Place::Former | Place::None, None) => {}
            (_, second) => return Err(format!("beside {first} there is {second:?}")),
        }
        self.has(&settings.database(), &self.restored)?;
        match names.keys().find(|name| name.contains("restoring")) {
            Some(name) => Err(format!("the next restore leaves {name}")),
            None => Ok(()),
        }
    }

    fn has(&self, path: &Path, expected: &[Expected]) -> Result<(), String> {
        let found = check::file(path, expected, &mut Trail::default());
        found
            .map(drop)
            .map_err(|lost| format!("{}: {lost}", path.display()))
    }

    fn cuts(&self, run: &Run, shim: &Shim, is_second: bool) -> Result<Row, String> {
        let folder = run.new_folder(&format!("restore/cuts-{is_second}"))?;
        let start = self.start(is_second);
        let traced = Traced::run(shim, &folder, &self.settings, &start, &["restore", NAME])?;
        let mut counts = [0; 3];
        let mut started = 0;
        let (states, differ) = traced.cuts(run.seed, CUTS, &mut |cut| {
            let place = self.place(cut.files)?;
            if cut.is_at_end && place != Place::Restored {
                return Err(format!("it was done, and there is {}", place.text()));
            }
            counts[place as usize] += 1;
            if counts[place as usize] > STARTED {
                return Ok(());
            }
            started += 1;
            let folder = folder.join(format!("state-{:?}-{}", cut.model, cut.number));
            put(&folder, cut.files);
            self.goes_on(&self.settings.on(&folder), place)?;
            fs::remove_dir_all(&folder).map_err(|error| error.to_string())
        })?;
        let [former, restored, none] = counts;
        if restored == 0 || none == 0 || (former == 0) != is_second {
            return Err(format!(
                "the cuts are blind: {counts:?} states of the three"
            ));
        }
        let seen = format!(
            "{states} states, {differ} different: {former} former, {restored} restored, {none} none; restored anew in {started}"
        );
        Ok(Row::new(
            [
                "restore: power cuts in both models",
                "restore: power cuts after such a kill",
            ][usize::from(is_second)],
            seen,
            "as after a kill",
        ))
    }
}

impl Place {
    fn text(self) -> &'static str {
        match self {
            Self::Former => "times the former",
            Self::Restored => "times the restored",
            Self::None => "times none",
        }
    }
}

fn restore(settings: &Settings) -> Result<Output, String> {
    Running::spawn(&mut settings.command(&["restore", NAME]))?.end()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

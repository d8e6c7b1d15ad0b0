//! `backup` under load, and killed or failed at each of its calls: what has the name of a backup is
//! one, with its digest, and nothing else stays.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Mutex;

use crate::check;
use crate::cuts::Traced;
use crate::each_call::{Attempt, Files, at_each_call, files};
use crate::ledger::{Expected, Failure, Ledger, Plan};
use crate::load;
use crate::program::{Program, Running, Settings};
use crate::row::Row;
use crate::run::Run;
use crate::shim::Shim;
use crate::trail::Trail;

/// Changes before the first backup.
const CHANGES: usize = 100;
/// Cuts of the power after each record, in each model.
const CUTS: u32 = 20;
const NAME: &str = "backup.db";
const DIGEST: &str = "backup.db.blake3";

pub fn run(run: &Run) -> Result<Vec<Row>, String> {
    let shim = Shim::compile(&run.new_folder("backup")?);
    let mut rows = load::run(run)?;
    rows.push(each_call(run, &shim)?);
    rows.push(cuts(run, &shim)?);
    Ok(rows)
}

/// Makes a backup by the command.
pub fn make(settings: &Settings, file: &Path) -> Result<Output, String> {
    Running::spawn(settings.command(&["backup"]).arg(file))?.end()
}

pub fn digest_of(file: &Path) -> PathBuf {
    PathBuf::from(format!("{}.blake3", file.display()))
}

pub fn digest_fits(file: &Path) -> Result<(), String> {
    let read = |path: &Path| fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
    let told = read(&digest_of(file))?;
    let found = blake3::hash(&read(file)?).to_hex();
    match told.starts_with(found.as_bytes()) {
        true => Ok(()),
        false => Err(format!(
            "{}: its digest is {found}, and another is told",
            file.display()
        )),
    }
}

/// A server in whose folder the backups are made, and what it must have.
pub struct Busy {
    pub program: Program,
    pub ledger: Ledger,
}

impl Busy {
    pub fn start(run: &Run, name: &str) -> Result<Self, String> {
        let program = Settings::new(run, &run.new_folder(name)?)?.start()?;
        let ledger = Ledger::new(run.seed, 1);
        let mut busy = Self { program, ledger };
        busy.write(CHANGES)?;
        Ok(busy)
    }

    /// So many changes.
    pub fn write(&mut self, changes: usize) -> Result<(), String> {
        let owner = self.program.owner();
        let wanted = self.ledger.acknowledged() + changes;
        let made = std::sync::atomic::AtomicUsize::new(self.ledger.acknowledged());
        let plan = Plan {
            client: &owner,
            failure: Failure::Stop,
            position: &|| 0,
            after: &|_| made.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1 < wanted,
        };
        self.ledger.write_while(plan, || Ok(()))?;
        match self.ledger.acknowledged() == wanted {
            true => Ok(()),
            false => Err(format!(
                "the server is hurt:\n{}",
                self.program.log().join("\n")
            )),
        }
    }

    pub fn expected(&self) -> Vec<Expected> {
        self.ledger.expected(u64::MAX)
    }
}

fn each_call(run: &Run, shim: &Shim) -> Result<Row, String> {
    let busy = Mutex::new(Busy::start(run, "backup/server")?);
    let tally = at_each_call(run, shim, "backup/each-call", 1, &|attempt| {
        let mut busy = busy.lock().unwrap();
        befallen(attempt, &mut busy)
    })?;
    let busy = busy.into_inner().unwrap();
    check::everything(&busy.program, &busy.expected(), &mut Trail::default())?;
    let asked = "FILE is whole or absent; the next backup works and leaves nothing else; the server is unhurt";
    Ok(Row::new(
        "backup: killed and failing at each call",
        tally.text(),
        asked,
    ))
}

fn befallen(attempt: &Attempt<'_>, busy: &mut Busy) -> Result<&'static str, String> {
    let settings = busy.program.settings.clone();
    let file = settings.folder.join(NAME);
    let before = names(&settings.folder);
    let expected = busy.expected();
    let output = make(&attempt.settings(&settings), &file)?;
    let is_done = attempt.is_done(&output)?;
    let is_there = file.exists();
    if is_there {
        judge(&file, &expected)?;
    } else if is_done {
        return Err("it said that it is done, and there is no backup".to_owned());
    }
    let left = || {
        let mut names = names(&settings.folder);
        names.retain(|name| !before.contains(name));
        names
    };
    // Who was not killed has put away what was half. A removal that fails after the copy was made is
    // no reason to say that there is none.
    let stays = |name: &String| is_done && attempt.was_hit() && name.starts_with(".backup.db.");
    let wanted: &[&str] = if is_done { &[NAME, DIGEST] } else { &[] };
    let mut tidy = left();
    tidy.retain(|name| !stays(name));
    if tidy != wanted && !(attempt.is_kill() && attempt.was_hit()) {
        return Err(format!("it left {tidy:?}: {}", said(&output)));
    }
    let remove = || {
        for path in [&file, &digest_of(&file)] {
            let removed = fs::remove_file(path);
            removed.map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok::<_, String>(())
    };
    if left() != [NAME, DIGEST] {
        if is_there {
            remove()?;
        }
        busy.write(1)?;
        let output = make(&settings, &file)?;
        if !output.status.success() {
            return Err(format!("the next backup fails: {}", said(&output)));
        }
        judge(&file, &busy.expected())?;
        if left() != [NAME, DIGEST] {
            return Err(format!("the next backup leaves {:?}", left()));
        }
    }
    remove()?;
    let database = settings.database();
    check::file(&database, &busy.expected(), &mut Trail::default())?;
    Ok(match (is_there, is_done) {
        (true, true) => "times done",
        (true, false) => "times whole before its end",
        (false, _) => "times none",
    })
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn judge(file: &Path, expected: &[Expected]) -> Result<(), String> {
    digest_fits(file)?;
    check::file(file, expected, &mut Trail::default()).map(drop)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn cuts(run: &Run, shim: &Shim) -> Result<Row, String> {
    let folder = run.new_folder("backup/cuts")?;
    let busy = Busy::start(run, "backup/cuts/server")?;
    let settings = busy.program.settings.clone();
    busy.program.stop()?;
    let before: Files = files(&settings.folder);
    let traced = Traced::run(
        shim,
        &folder.join("trace-of"),
        &settings,
        &before,
        &["backup", NAME],
    )?;
    let of = |files: &Files, name: &str| files.get(name).map(|content| blake3::hash(content));
    let (mut whole, mut none) = (0, 0);
    let (states, differ) = traced.cuts(run.seed, CUTS, &mut |cut| {
        if of(cut.files, "test.db") != of(&before, "test.db") {
            return Err("the database was changed".to_owned());
        }
        if !cut.files.contains_key(NAME) {
            none += 1;
            return match cut.is_at_end {
                true => Err("it was done, and is gone".to_owned()),
                false => Ok(()),
            };
        }
        whole += 1;
        for name in [NAME, DIGEST] {
            if of(cut.files, name) != of(&traced.after, name) {
                return Err(format!("{name} is not whole"));
            }
        }
        Ok(())
    })?;
    if whole == 0 || none == 0 {
        return Err(format!(
            "the cuts are blind: {whole} states with a backup, {none} without"
        ));
    }
    let seen = format!("{states} states, {differ} different: {whole} with FILE, {none} without");
    Ok(Row::new(
        "backup: power cuts in both models",
        seen,
        "FILE is absent, or whole with its digest",
    ))
}

//! Migrations, killed or failed at each call, at once from several processes, and through power cuts:
//! a database is of one version or the next, never between, and no row is lost.

use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::check;
use crate::cuts::Traced;
use crate::each_call::{Attempt, Tally, at_each_call, files, put};
use crate::program::{Running, Settings};
use crate::row::Row;
use crate::run::Run;
use crate::shim::Shim;
use crate::versions::{Older, Seen, Versions};

/// Rounds of several processes at once.
const AT_ONCE: u32 = 20;
/// Cuts of the power after each record, in each model.
const CUTS: u32 = 20;
/// The program is started on so many states of each version.
const STARTED: u32 = 20;
const THREADS: usize = 4;
/// A command that needs the newest version.
const COMMAND: [&str; 2] = ["user", "list"];

struct Migrations {
    shim: Shim,
    settings: Settings,
    versions: Versions,
    older: Vec<Older>,
}

pub fn run(run: &Run) -> Result<Vec<Row>, String> {
    let top = run.new_folder("migrate")?;
    let fresh = Settings::new(run, &run.new_folder("migrate/fresh")?)?;
    fresh.start()?.stop()?;
    let token = fresh.token.as_deref().unwrap_or_default();
    let (versions, older) = Versions::of(&fresh.database(), &top.join("older"), token)?;
    let migrations = Migrations {
        shim: Shim::compile(&top),
        settings: fresh.clone(),
        versions,
        older,
    };
    Ok(vec![
        migrations.each_call(run)?,
        migrations.at_once(run)?,
        migrations.cuts(run)?,
    ])
}

impl Migrations {
    fn each_call(&self, run: &Run) -> Result<Row, String> {
        let mut tally = Tally::default();
        let count = self.older.len() * 2;
        for older in &self.older {
            for by in ["serve", "command"] {
                let log = if older.has_log { "-with-log" } else { "" };
                let what = format!("migrate/from-{}{log}-by-{by}", older.version);
                let attempt = |attempt: &Attempt<'_>| {
                    let by_command = by == "command";
                    self.befallen(attempt, older, by_command)
                };
                let seen = at_each_call(run, &self.shim, &what, THREADS, &attempt)?;
                for outcome in ["times old", "times newest"] {
                    if !seen.outcomes.contains_key(outcome) {
                        return Err(format!("{what}: the attempts are blind: never {outcome}"));
                    }
                }
                tally.add(seen);
            }
        }
        let what = format!(
            "migrate: to version {}, killed and failing at each call ({count} ways)",
            self.versions.newest
        );
        let asked = "one version or the next, all rows; the next start ends it, a further one changes nothing";
        Ok(Row::new(what, tally.text(), asked))
    }

    fn befallen(
        &self,
        attempt: &Attempt<'_>,
        older: &Older,
        by_command: bool,
    ) -> Result<&'static str, String> {
        let folder = attempt.folder.join("disk");
        put(&folder, &older.files);
        let settings = self.settings.on(&folder);
        let shimmed = attempt.settings(&settings);
        let is_done = match by_command {
            true => attempt.is_done(&command(&shimmed)?)?,
            false => {
                let mut program = shimmed.spawn()?;
                let ready = program.wait_ready();
                let was_hit = attempt.was_hit();
                match ready {
                    Ok(()) => program.kill().map(|_| true)?,
                    Err(_) => {
                        let ended = program.end()?;
                        let is_right = match ended.status.code() {
                            None => attempt.is_kill(),
                            code => {
                                code == Some(1)
                                    && !attempt.is_kill()
                                    && ended
                                        .log
                                        .iter()
                                        .any(|line| line.starts_with("netbird-auth: /"))
                            }
                        };
                        if !was_hit || !is_right {
                            return Err(format!(
                                "it ended with {}:\n{}",
                                ended.status,
                                ended.log.join("\n")
                            ));
                        }
                        false
                    }
                }
            }
        };
        let seen = self.look_aside(&folder, &attempt.folder.join("looked"))?;
        self.judge(older, &seen, is_done)?;
        self.goes_on(&settings, older)?;
        Ok(match seen.version {
            version if version == older.version => "times old",
            version if version == self.versions.newest => "times newest",
            _ => "times a version between",
        })
    }

    /// Without a trace in the files.
    fn look_aside(&self, folder: &Path, aside: &Path) -> Result<Seen, String> {
        let mut files = files(folder);
        files.retain(|name, _| !name.ends_with("-shm"));
        put(aside, &files);
        self.versions.look(&aside.join("test.db"))
    }

    fn judge(&self, older: &Older, seen: &Seen, is_done: bool) -> Result<(), String> {
        if seen.rows != older.rows {
            let gone = older.rows.iter().find(|row| !seen.rows.contains(row));
            return Err(format!("rows are lost or changed, such as {gone:?}"));
        }
        match seen.version {
            version if is_done && version != self.versions.newest => {
                Err(format!("it is done, and version {version}"))
            }
            version if version < older.version => Err(format!("it is version {version}")),
            _ => Ok(()),
        }
    }

    /// The next start brings it to the newest version, and a further one changes nothing.
    fn goes_on(&self, settings: &Settings, older: &Older) -> Result<(), String> {
        let output = command(settings)?;
        if !output.status.success() {
            return Err(format!(
                "the next start fails: {}",
                String::from_utf8_lossy(&output.stderr)
            ));
        }
        let seen = self.versions.look(&settings.database())?;
        self.judge(older, &seen, true)?;
        let program = settings.start()?;
        if self.versions.look(&settings.database())? != seen {
            return Err("a further start changed the database".to_owned());
        }
        let token = settings.token.as_deref().unwrap_or_default();
        check::door(&program.owner(), "the owner's token", token, 200)
    }

    fn at_once(&self, run: &Run) -> Result<Row, String> {
        let rounds = run.rounds(AT_ONCE);
        let folder = run.new_folder("migrate/at-once")?;
        let started = Instant::now();
        for round in 0..rounds {
            let Some(older) = self.older.get(round as usize % self.older.len().max(1)) else {
                break;
            };
            put(&folder, &older.files);
            let settings = self.settings.on(&folder);
            let mut program = settings.spawn()?;
            let commands = (0..3).map(|_| Running::spawn(&mut settings.command(&COMMAND)));
            // All at once; those that are left behind by an error are killed.
            let commands = commands.collect::<Result<Vec<_>, String>>()?;
            for command in commands {
                let output = command.end()?;
                if !output.status.success() {
                    return Err(format!(
                        "round {round}: {}",
                        String::from_utf8_lossy(&output.stderr)
                    ));
                }
            }
            program.wait_ready()?;
            let seen = self.versions.look(&settings.database())?;
            self.judge(older, &seen, true)
                .map_err(|lost| format!("round {round}: {lost}"))?;
        }
        let what = format!("migrate: {rounds} times a server and three commands at once");
        let seen = format!("each came to its end ({:.1?})", started.elapsed());
        Ok(Row::new(what, seen, "the steps are run once, all rows"))
    }

    fn cuts(&self, run: &Run) -> Result<Row, String> {
        let folder = run.new_folder("migrate/cuts")?;
        let (mut states, mut differ, started) = (0, 0, AtomicU32::new(0));
        let (mut old, mut newer) = (0, 0);
        let begun = Instant::now();
        for (number, older) in self.older.iter().enumerate() {
            let folder = folder.join(number.to_string());
            let traced = Traced::run(&self.shim, &folder, &self.settings, &older.files, &COMMAND)?;
            let aside = folder.join("looked");
            let mut of_version = vec![0; self.versions.newest as usize + 1];
            let (all, different) = traced.cuts(run.seed, CUTS, &mut |cut| {
                put(&aside, cut.files);
                let seen = self.versions.look(&aside.join("test.db"))?;
                self.judge(older, &seen, cut.is_at_end)?;
                match seen.version == older.version {
                    true => old += 1,
                    false => newer += 1,
                }
                let count = &mut of_version[seen.version as usize];
                *count += 1;
                if *count <= STARTED {
                    put(&aside, cut.files);
                    started.fetch_add(1, Ordering::Relaxed);
                    self.goes_on(&self.settings.on(&aside), older)?;
                }
                Ok(())
            })?;
            states += all;
            differ += different;
        }
        if !self.older.is_empty() && (old == 0 || newer == 0) {
            return Err(format!(
                "the cuts are blind: {old} states of the old version, {newer} of a newer"
            ));
        }
        let seen = format!(
            "{states} states, {differ} different: {old} old, {newer} newer; started on {} ({:.1} s)",
            started.into_inner(),
            begun.elapsed().max(Duration::from_millis(1)).as_secs_f64()
        );
        Ok(Row::new(
            "migrate: power cuts in both models",
            seen,
            "as after a kill",
        ))
    }
}

fn command(settings: &Settings) -> Result<Output, String> {
    Running::spawn(&mut settings.command(&COMMAND))?.end()
}

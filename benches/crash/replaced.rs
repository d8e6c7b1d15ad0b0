//! The database deleted, replaced by another one, and asked for by a second server, while one runs.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use crate::check::{self, door};
use crate::lane;
use crate::ledger::{Failure, Ledger};
use crate::program::{Program, Settings};
use crate::row::Row;
use crate::run::Run;
use crate::trail::Trail;
use crate::vitals::{self, lives, told};

pub fn run(run: &Run) -> Result<Vec<Row>, String> {
    Ok(vec![deleted(run)?, replaced(run)?, second(run)?])
}

struct Site {
    settings: Settings,
    program: Program,
    ledger: Ledger,
}

impl Site {
    fn new(run: &Run, name: &str) -> Result<Self, String> {
        let settings = Settings::new(run, &run.new_folder(name)?)?;
        let mut site = Self {
            program: settings.start()?,
            settings,
            ledger: Ledger::new(run.seed, 2),
        };
        site.write()?;
        Ok(site)
    }

    /// Some changes; how many were acknowledged.
    fn write(&mut self) -> Result<usize, String> {
        let left = std::sync::atomic::AtomicU32::new(30);
        let goes_on = || left.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) > 2;
        let before = self.ledger.acknowledged();
        lane::write(&self.program, &mut self.ledger, Failure::Stop, &goes_on)?;
        Ok(self.ledger.acknowledged() - before)
    }

    /// Nothing is acknowledged, and it is told why; how long that took.
    fn is_ill(&mut self) -> Result<Duration, String> {
        let written = self.write()?;
        if written > 0 {
            return Err(format!("{written} changes were acknowledged into the void"));
        }
        let telling = vitals::wait_ill(&self.program, &["replaced or deleted"])?;
        lives(&self.program).map(|()| telling)
    }

    fn check(&mut self) -> Result<(), String> {
        let expected = self.ledger.expected(u64::MAX);
        let found = check::everything(&self.program, &expected, &mut Trail::default());
        let found = found.map_err(|lost| told(&self.program, &lost))?;
        if found.iter().any(|found| found.made.is_some()) {
            return Err("a change that was refused was made".to_owned());
        }
        self.ledger.settle(&found);
        Ok(())
    }
}

/// Deleted; and then its name is back, as from another link to it.
fn deleted(run: &Run) -> Result<Row, String> {
    let mut site = Site::new(run, "deleted")?;
    let path = site.settings.database();
    let kept = path.with_file_name("kept");
    io(fs::hard_link(&path, &kept))?;
    io(fs::remove_file(&path))?;
    let telling = site.is_ill()?;
    if path.exists() {
        return Err("a deleted database was made anew".to_owned());
    }
    io(fs::rename(&kept, &path))?;
    let healing = vitals::wait_well(&site.program)?;
    site.check()?;
    if site.write()? == 0 {
        return Err("the name is back, and nothing is written".to_owned());
    }
    site.check()?;
    let seen = format!("503 for every change; ready {healing:.1?} after its name was back");
    Ok(Row::new(
        "locked: the database deleted",
        seen,
        "nothing acknowledged into the void",
    )
    .in_time(telling.max(healing) <= vitals::HEALING))
}

/// Replaced by another good database of this program.
fn replaced(run: &Run) -> Result<Row, String> {
    let mut site = Site::new(run, "replaced")?;
    let mut other = Settings::new(run, &run.new_folder("other")?)?;
    other.start()?.stop()?;
    let path = site.settings.database();
    io(fs::rename(other.database(), &path))?;
    let before = io(fs::read(&path))?;
    let telling = site.is_ill()?;
    let former = site.settings.token.clone().unwrap_or_default();
    let ended = site.program.stop()?;
    if io(fs::read(&path))? != before {
        return Err("the other database was touched".to_owned());
    }
    other.folder = site.settings.folder.clone();
    let program = other.start()?;
    let token = other.token.clone().unwrap_or_default();
    door(&program.owner(), "the other database's owner", &token, 200)?;
    door(
        &program.owner(),
        "the former database's owner",
        &former,
        401,
    )?;
    check::everything(&program, &[], &mut Trail::default())?;
    let seen = format!(
        "503 for every change, the other is untouched; the stop ended with {}, and the next start \
         has the other",
        ended.status.code().unwrap_or(-1)
    );
    Ok(Row::new(
        "locked: the database replaced",
        seen,
        "nothing acknowledged into the void",
    )
    .in_time(telling <= vitals::HEALING))
}

/// A second server on the same file, by its name, by a link, and by another configuration.
fn second(run: &Run) -> Result<Row, String> {
    let mut site = Site::new(run, "second")?;
    let linked = run.new_folder("second-link")?;
    io(symlink(site.settings.database(), linked.join("test.db")))?;
    let folder = run.new_folder("second-folder")?.join("link");
    io(symlink(&site.settings.folder, &folder))?;
    let other = site
        .settings
        .clone()
        .with("NETBIRD_AUTH_SERVER__WORKERS", "1");
    let other = other.with("NETBIRD_AUTH_LOG__FORMAT", "json");
    let all = [
        ("its name", site.settings.clone()),
        ("a link to it", site.settings.on(&linked)),
        ("a link to its folder", site.settings.on(&folder)),
        ("another configuration", other),
    ];
    for (name, settings) in &all {
        match vitals::attempt(settings) {
            Ok(None) => {}
            Ok(Some(_)) => return Err(format!("a second server by {name} has started")),
            Err(lost) => return Err(format!("a second server by {name}: {lost}")),
        }
        lives(&site.program)?;
        if site.write()? == 0 {
            return Err(format!("a second server by {name} hurts the first"));
        }
        site.check()?;
    }
    let seen = format!(
        "{} ways: each ends with 1, and the first writes on",
        all.len()
    );
    Ok(Row::new(
        "locked: a second server on one file",
        seen,
        "it refuses to start",
    ))
}

fn io<T>(done: std::io::Result<T>) -> Result<T, String> {
    done.map_err(|error| error.to_string())
}

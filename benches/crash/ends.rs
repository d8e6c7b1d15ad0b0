//! Calls that fail while the server starts, for the first time or later, and while it stops.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use netbird_auth::clock::Timestamp;

use crate::check;
use crate::faults::ERRORS;
use crate::lane::{settings, write};
use crate::ledger::{Failure, Ledger};
use crate::program::{Program, Settings};
use crate::random::Random;
use crate::row::Row;
use crate::run::Run;
use crate::shim::{Action, Control, Fault, Shim, call, kind};
use crate::trail::Trail;
use crate::vitals::{lives, newest_mark, told};

/// Of each kind of call so many are tried at most, each once and from then on, for so many rounds.
const TRIED: u64 = 6;
const KINDS: [u32; 8] = [
    call::OPEN,
    call::CREATE,
    call::WRITE,
    call::TRUNCATE,
    call::SYNC,
    call::RENAME | call::LINK,
    call::UNLINK,
    call::READ,
];

/// What came of one kind of end.
#[derive(Default)]
struct Figures {
    tried: u32,
    struck: u32,
    well: u32,
    refused: u32,
}

/// A place of its own for each kind of end: its server, and what it acknowledged.
struct Site {
    settings: Settings,
    control: Control,
    ledger: Ledger,
    trail: Trail,
    random: Random,
    figures: Figures,
}

pub fn run(run: &Run, shim: &Shim) -> Result<Vec<Row>, String> {
    Ok(vec![
        later(run, shim)?,
        first(run, shim)?,
        stops(run, shim)?,
    ])
}

/// Each call of a start, as far as there is time.
fn each(
    run: &Run,
    site: &mut Site,
    mut count: impl FnMut(&mut Site, u32) -> Result<u64, String>,
    mut one: impl FnMut(&mut Site, Fault) -> Result<bool, String>,
) -> Result<(), String> {
    let tried = run.rounds.map_or(TRIED, u64::from);
    for calls in KINDS {
        let there = count(site, calls)?;
        for number in 0..there.min(tried) * 2 {
            let fault = Fault {
                calls,
                files: kind::ANY,
                action: Action::Fail,
                error: *site.random.pick(&ERRORS),
                nth: 1 + if there > tried {
                    site.random.below(there)
                } else {
                    number / 2
                },
                is_sticky: number % 2 == 1,
            };
            let is_well = one(site, fault).map_err(|lost| format!("{fault:?}: {lost}"))?;
            site.figures.tried += 1;
            site.figures.struck += u32::from(site.control.hits() > 0);
            match is_well {
                true => site.figures.well += 1,
                false => site.figures.refused += 1,
            }
            run.tell(&format!("{} ends with a failing call", site.figures.tried));
        }
    }
    Ok(())
}

/// Starts on a database that is there, after a kill and after a stop in turn.
fn later(run: &Run, shim: &Shim) -> Result<Row, String> {
    let mut site = Site::new(run, shim, "later")?;
    let program = site.settings.start()?;
    site.write(&program, 60)?;
    program.kill()?;
    let mut turn = 0_u32;
    let count = |site: &mut Site, calls| {
        site.control.count(calls, kind::ANY);
        site.settings.start()?.kill()?;
        Ok(site.control.seen())
    };
    each(run, &mut site, count, |site, fault| {
        site.control.arm(fault);
        let program = attempt(&site.settings)?;
        if let Some(program) = &program {
            lives(program)?;
        }
        let is_well = program.is_some();
        drop(program);
        let program = site.start_well()?;
        turn += 1;
        match turn % 2 {
            0 => program.stop()?,
            _ => program.kill()?,
        };
        Ok(is_well)
    })?;
    let asked =
        "it starts, or ends with 1 and a line with the file and the next step; nothing lost";
    Ok(site.row("starts", "started", "refused", asked))
}

/// First starts, with a token that is given and one that the program makes in turn.
fn first(run: &Run, shim: &Shim) -> Result<Row, String> {
    let mut site = Site::new(run, shim, "first")?;
    let given = site.settings.token.take();
    let mut turn = 0_u32;
    let count = |site: &mut Site, calls| {
        site.empty()?;
        site.control.count(calls, kind::ANY);
        site.settings.start()?.kill()?;
        Ok(site.control.seen())
    };
    each(run, &mut site, count, |site, fault| {
        site.empty()?;
        turn += 1;
        site.settings.token = given.clone().filter(|_| turn.is_multiple_of(2));
        let file = site.settings.folder.join("owner-token");
        site.control.arm(fault);
        let mut program = attempt(&site.settings)?;
        let is_well = program.is_some();
        let mut token = site.settings.token.clone();
        if let Some(program) = &mut program {
            token = Some(token.map_or_else(|| read(&file), Ok)?);
            program.settings.token.clone_from(&token);
            lives(program)?;
        }
        drop(program);
        site.control.disarm();
        let program = site.settings.start()?;
        let token = token.map_or_else(|| read(&file), Ok)?;
        let owner = program.client(&token);
        check::door(&owner, "the owner's token", &token, 200)
            .and_then(|()| check::server(&owner, &[]).map(drop))
            .map_err(|lost| told(&program, &lost))?;
        check::file(&site.settings.database(), &[], &mut Trail::default())?;
        program.kill()?;
        site.settings.token = None;
        Ok(is_well)
    })?;
    let asked = "the same, and the next start has one owner, whose token works";
    Ok(site.row("first starts", "started", "refused", asked))
}

/// SIGTERM: the last marks, and the closing of the database.
fn stops(run: &Run, shim: &Shim) -> Result<Row, String> {
    let mut site = Site::new(run, shim, "stops")?;
    let count = |site: &mut Site, calls| {
        let program = site.settings.start()?;
        site.write(&program, 10)?;
        site.control.count(calls, kind::ANY);
        program.stop()?;
        Ok(site.control.seen())
    };
    each(run, &mut site, count, |site, fault| {
        let program = site.settings.start()?;
        site.write(&program, 10)?;
        let used = Timestamp::now();
        lives(&program)?;
        site.control.arm(fault);
        let ended = program.stop()?;
        site.control.disarm();
        let told = ended
            .log
            .iter()
            .any(|line| line.contains("last_used of some tokens is old"));
        match ended.status.code() {
            Some(0) if newest_mark(&site.settings, run)? >= used => {}
            Some(1) if told => {}
            _ => {
                let log = ended.log.join("\n");
                return Err(format!(
                    "{}, and its marks are not there:\n{log}",
                    ended.status
                ));
            }
        }
        site.start_well()?.kill()?;
        Ok(!told)
    })?;
    let asked = "0 and every mark, or 1 and the log says that marks are lost; no change lost";
    Ok(site.row("stops", "with every mark", "told the loss of marks", asked))
}

/// A server that starts, or that ends with a reason.
pub fn attempt(settings: &Settings) -> Result<Option<Program>, String> {
    let mut program = settings.spawn()?;
    let Err(not_ready) = program.wait_ready() else {
        return Ok(Some(program));
    };
    let ended = program.end().map_err(|_| not_ready)?;
    let reason = ended.log.last().cloned().unwrap_or_default();
    let names = reason.contains(&*settings.folder.to_string_lossy());
    let next = reason
        .rsplit_once("; ")
        .is_some_and(|(_, step)| step.contains(' '));
    match ended.status.code() {
        Some(1) if names && next => Ok(None),
        _ => Err(format!(
            "the start ended with {}, and its last line lacks the file or the next step: {reason:?}",
            ended.status
        )),
    }
}

impl Site {
    fn new(run: &Run, shim: &Shim, name: &str) -> Result<Self, String> {
        let (settings, control) = settings(run, shim, &format!("ends-{name}"))?;
        Ok(Self {
            settings,
            control,
            ledger: Ledger::new(run.seed, 2),
            trail: Trail::default(),
            random: Random::new(run.seed, 2000),
            figures: Figures::default(),
        })
    }

    fn write(&mut self, program: &Program, changes: u32) -> Result<(), String> {
        let left = AtomicU32::new(changes);
        let goes_on = || left.fetch_sub(1, Ordering::Relaxed) > 2;
        write(program, &mut self.ledger, Failure::Stop, &goes_on)
    }

    /// A start on a disk that is well has everything.
    fn start_well(&mut self) -> Result<Program, String> {
        self.control.disarm();
        let program = self.settings.start()?;
        let expected = self.ledger.expected(u64::MAX);
        let found = check::everything(&program, &expected, &mut self.trail);
        self.ledger
            .settle(&found.map_err(|lost| told(&program, &lost))?);
        Ok(program)
    }

    fn empty(&self) -> Result<(), String> {
        self.control.disarm();
        let folder = &self.settings.folder;
        let emptied = fs::remove_dir_all(folder).and_then(|()| fs::create_dir(folder));
        emptied.map_err(|error| format!("{}: {error}", folder.display()))
    }

    fn row(&self, what: &str, well: &str, refused: &str, asked: &str) -> Row {
        let figures = &self.figures;
        let seen = format!(
            "{} have struck: {} {well}, {} {refused}",
            figures.struck, figures.well, figures.refused
        );
        Row::new(format!("faults: {} {what}", figures.tried), seen, asked)
    }
}

fn read(path: &Path) -> Result<String, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(text.trim().to_owned())
}

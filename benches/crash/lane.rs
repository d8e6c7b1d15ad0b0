//! A server whose disk fails again and again, and is well again between.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::Signal;

use crate::check;
use crate::faults::{Figures, PLACES, Place};
use crate::ledger::{Failure, Ledger, Plan};
use crate::program::{Program, Settings};
use crate::random::Random;
use crate::run::Run;
use crate::shim::{Action, Control, Fault, Shim, call};
use crate::trail::Trail;
use crate::vitals::{self, HANG, lives, told};

const WRITERS: u64 = 3;
/// SQLite moves its log into the database every 1000 pages, and a change is about six.
const MOST: u32 = 700;
/// Changes after the failure has struck.
const MORE: u32 = 30;

/// What comes after the failure.
#[derive(Clone, Copy, PartialEq, Debug)]
enum End {
    /// The disk is well again, and nobody writes until the server says that it is.
    Alone,
    /// The disk is well again, and the next write must succeed.
    AtOnce,
    /// The same, and then SIGKILL.
    Killed,
    /// SIGKILL while the disk fails.
    KilledIll,
}
const ENDS: [End; 4] = [End::Alone, End::AtOnce, End::Killed, End::KilledIll];

/// How many calls of each place some hundred changes make.
pub fn count(run: &Run, shim: &Shim) -> Result<[u64; PLACES.len()], String> {
    let (settings, control) = settings(run, shim, "count")?;
    let program = settings.start()?;
    let mut ledger = Ledger::new(run.seed, WRITERS);
    let mut counts = [0; PLACES.len()];
    let is_one = |place: &Place| place.calls.is_power_of_two() && place.files.is_power_of_two();
    for place in PLACES.iter().filter(|place| is_one(place)) {
        control.count(place.calls, place.files);
        let left = AtomicU32::new(MOST / 2);
        let goes_on = || left.fetch_sub(1, Ordering::Relaxed) > WRITERS as u32;
        write_while(&program, &mut ledger, Failure::Stop, &goes_on, || {
            lives(&program)
        })?;
        // The other places are made of these.
        for (sum, other) in counts.iter_mut().zip(&PLACES) {
            if place.calls & other.calls != 0 && place.files & other.files != 0 {
                *sum += control.seen();
            }
        }
    }
    Ok(counts)
}

/// A server with the library in front of it, and what arms it.
pub fn settings(run: &Run, shim: &Shim, name: &str) -> Result<(Settings, Control), String> {
    let folder = run.new_folder(name)?;
    let disk = run.new_folder(&format!("{name}/disk"))?;
    let control = Control::create(&folder.join("control"));
    let mut settings = Settings::new(run, &disk)?;
    for (name, value) in shim.environment(&disk, None, Some(&control)) {
        settings = settings.with(name, value);
    }
    Ok((settings, control))
}

/// All writers write, each at least once.
pub fn write(
    program: &Program,
    ledger: &mut Ledger,
    failure: Failure,
    goes_on: &(dyn Fn() -> bool + Sync),
) -> Result<(), String> {
    write_while(program, ledger, failure, goes_on, || Ok(()))
}

/// The same, while something else is done.
pub fn write_while<T>(
    program: &Program,
    ledger: &mut Ledger,
    failure: Failure,
    goes_on: &(dyn Fn() -> bool + Sync),
    meanwhile: impl FnOnce() -> Result<T, String>,
) -> Result<T, String> {
    let owner = program.owner();
    let plan = Plan {
        client: &owner,
        failure,
        position: &|| 0,
        after: &|_| goes_on(),
    };
    ledger.write_while(plan, meanwhile)
}

/// One server, and all that it acknowledged.
pub struct Lane {
    settings: Settings,
    program: Program,
    control: Control,
    ledger: Ledger,
    trail: Trail,
    random: Random,
}

impl Lane {
    pub fn new(run: &Run, shim: &Shim, number: u64) -> Result<Self, String> {
        let (settings, control) = settings(run, shim, &format!("faults-{number}"))?;
        Ok(Self {
            program: settings.start()?,
            settings,
            control,
            ledger: Ledger::new(run.seed, WRITERS),
            trail: Trail::default(),
            random: Random::new(run.seed, 1000 + number),
        })
    }

    /// One failure of a place, of which a running server makes so many calls.
    pub fn round(
        &mut self,
        place: &Place,
        calls: u64,
        error: Errno,
        is_sticky: bool,
    ) -> Result<Figures, String> {
        let end = *self.random.pick(&ENDS);
        let is_half = place.calls == call::WRITE && self.random.below(4) == 0;
        let fault = Fault {
            calls: place.calls,
            files: place.files,
            action: if is_half { Action::Half } else { Action::Fail },
            error,
            nth: 1 + self.random.below(calls.max(1)),
            is_sticky,
        };
        let done = self.strike(fault, place.stops_writes && fault.is_sticky, end);
        done.map_err(|lost| {
            let title = format!("{}, {end:?}, {fault:?}", place.name);
            told(&self.program, &format!("{title}: {lost}"))
        })
    }

    fn strike(&mut self, fault: Fault, must_tell: bool, end: End) -> Result<Figures, String> {
        let telling = self.write_ill(fault, must_tell, end)?;
        let mut seen = Figures::of(&self.ledger, self.control.hits());
        seen.telling = telling;
        match end {
            End::KilledIll => self.kill()?,
            End::Alone => {
                self.control.disarm();
                seen.healing = vitals::wait_well(&self.program)?;
            }
            End::AtOnce | End::Killed => self.control.disarm(),
        }
        seen.made += match end {
            End::KilledIll => self.check()?,
            _ => self.settle()?,
        };
        // Whatever it was, it is over: the next change of each writer is made.
        write(&self.program, &mut self.ledger, Failure::Stop, &|| false)?;
        let mut entries = self
            .ledger
            .writers
            .iter()
            .flat_map(|writer| &writer.journal);
        if let Some(entry) = entries.find(|entry| entry.acknowledged.is_none()) {
            return Err(format!(
                "the disk is well, and this was not made: {entry:?}"
            ));
        }
        vitals::wait_well(&self.program)?;
        if end == End::Killed {
            self.kill()?;
            self.check()?;
        } else {
            self.settle()?;
        }
        seen.kills = u32::from(matches!(end, End::Killed | End::KilledIll));
        Ok(seen)
    }

    /// Writes until the failure has struck and a while longer, and looks at the server meanwhile; how long
    /// it took to tell.
    fn write_ill(&mut self, fault: Fault, must_tell: bool, end: End) -> Result<Duration, String> {
        let (control, program) = (&self.control, &self.program);
        let (before, more) = (AtomicU32::new(0), AtomicU32::new(0));
        control.arm(fault);
        let is_over = || before.load(Ordering::Relaxed) >= MOST;
        let goes_on = || match control.hits() {
            0 => before.fetch_add(1, Ordering::Relaxed) < MOST,
            _ => more.fetch_add(1, Ordering::Relaxed) < MORE,
        };
        let failure = match end {
            // At most one change of each writer is in doubt.
            End::KilledIll => Failure::Stop,
            _ => Failure::LookUp,
        };
        write_while(program, &mut self.ledger, failure, &goes_on, || {
            let until = Instant::now() + 2 * HANG;
            while control.hits() == 0 && !is_over() {
                lives(program)?;
                vitals::pause();
                if Instant::now() > until {
                    return Err("the writers hang".to_owned());
                }
            }
            lives(program)?;
            let telling = match must_tell && control.hits() > 0 {
                true => vitals::wait_ill(program, &[])?,
                false => Duration::ZERO,
            };
            lives(program).map(|()| telling)
        })
    }

    /// The file and the next start, whatever the last round ended with: a healed server alone is no
    /// evidence that all is on the disk.
    pub fn finish(mut self) -> Result<(), String> {
        let done = self.kill().and_then(|()| self.check());
        done.map_err(|lost| told(&self.program, &format!("after the last round: {lost}")))?;
        let expected = self.ledger.expected(u64::MAX);
        self.program.stop()?;
        check::file(&self.settings.database(), &expected, &mut self.trail).map(drop)
    }

    fn kill(&mut self) -> Result<(), String> {
        self.program.signal(Signal::KILL)?;
        let ended = self.program.end()?;
        if ended.status.code().is_some() {
            return Err(format!("the server ended by itself: {}", ended.status));
        }
        self.control.disarm();
        self.program = self.settings.start()?;
        Ok(())
    }

    /// The server and its file; how many changes in doubt were made.
    fn check(&mut self) -> Result<usize, String> {
        let expected = self.ledger.expected(u64::MAX);
        let found = check::everything(&self.program, &expected, &mut self.trail)?;
        self.ledger.settle(&found);
        Ok(found.iter().filter(|found| found.made.is_some()).count())
    }

    /// The server alone; how many changes in doubt were made.
    fn settle(&mut self) -> Result<usize, String> {
        let expected = self.ledger.expected(u64::MAX);
        let found = check::server(&self.program.owner(), &expected)?;
        self.ledger.settle(&found);
        Ok(found.iter().filter(|found| found.made.is_some()).count())
    }
}

//! Calls that fail while the server starts, for the first time or later, and while it stops.

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

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
use crate::vitals::{attempt, lives, newest_mark, told};

/// Of each kind of call so many are tried at most, each once and from then on, for so many rounds.
const TRIED: u64 = 6;
/// Servers at a time, of each kind of end: a start that can't open all its readers tries for ten seconds.
const SITES: u64 = 4;
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

/// One kind of end: what of it is tried, and what it must show.
struct End {
    what: &'static str,
    /// How many ended well, and how many otherwise.
    words: [&'static str; 2],
    asked: &'static str,
    /// Calls that it makes, whatever else.
    makes: u32,
    /// What goes before the first failure.
    prepare: fn(&mut Site) -> Result<(), String>,
    /// How many of these calls it makes.
    count: fn(&mut Site, u32) -> Result<u64, String>,
    /// One failure; whether it ended well.
    one: fn(&mut Site, Fault) -> Result<bool, String>,
}

const ENDS: [End; 3] = [
    // On a database that is there, after a kill and after a stop in turn.
    End {
        what: "starts",
        words: ["started", "refused"],
        asked: "it starts, or ends with 1 and a line with the file and the next step; nothing lost",
        makes: call::OPEN | call::WRITE | call::READ,
        prepare: |site| {
            let program = site.settings.start()?;
            site.write(&program, 60)?;
            program.kill().map(drop)
        },
        count: |site, calls| {
            site.control.count(calls, kind::ANY);
            site.settings.start()?.kill()?;
            let killed = site.control.seen();
            site.settings.start()?.stop()?;
            site.control.count(calls, kind::ANY);
            site.settings.start()?.kill()?;
            Ok(killed.max(site.control.seen()))
        },
        one: later,
    },
    // With a token that is given and one that the program makes in turn.
    End {
        what: "first starts",
        words: ["started", "refused"],
        asked: "the same, and the next start has one owner, whose token works",
        makes: call::OPEN | call::CREATE | call::WRITE | call::SYNC | call::RENAME | call::READ,
        prepare: |site| {
            site.given = site.settings.token.take();
            Ok(())
        },
        count: |site, calls| {
            site.empty()?;
            site.control.count(calls, kind::ANY);
            site.settings.start()?.kill()?;
            Ok(site.control.seen())
        },
        one: first,
    },
    // SIGTERM: the last marks, and the closing of the database.
    End {
        what: "stops",
        words: ["with every mark", "told the loss of marks"],
        asked: "0 and every mark, or 1 and the log says that marks are lost; no change lost",
        makes: call::WRITE | call::SYNC | call::UNLINK,
        prepare: |_| Ok(()),
        count: |site, calls| {
            let program = site.settings.start()?;
            site.write(&program, 10)?;
            site.control.count(calls, kind::ANY);
            program.stop()?;
            Ok(site.control.seen())
        },
        one: stops,
    },
];

/// What came of one kind of end.
#[derive(Default)]
struct Figures {
    tried: u32,
    struck: u32,
    well: u32,
    /// Kinds of calls of which one failed.
    failed: u32,
}

/// A server of one kind of end, and what it acknowledged.
struct Site {
    settings: Settings,
    control: Control,
    ledger: Ledger,
    trail: Trail,
    turn: u32,
    /// The token of first starts to which one is given.
    given: Option<String>,
}

pub fn run(run: &Run, shim: &Shim) -> Result<Vec<Row>, String> {
    std::thread::scope(|threads| {
        let ends = ENDS.iter().zip(0..);
        let ends = ends.map(|(end, number)| threads.spawn(move || end.run(run, shim, number)));
        let ends: Vec<_> = ends.collect();
        let rows = ends.into_iter().map(|end| {
            let row = end.join();
            row.map_err(|_| "a kind of end has panicked".to_owned())?
        });
        rows.collect()
    })
}

impl End {
    /// Each call, as far as there is time.
    fn run(&self, run: &Run, shim: &Shim, number: u64) -> Result<Row, String> {
        let mut random = Random::new(run.seed, 2000 + number);
        let mut sites = Vec::new();
        for number in 0..SITES {
            let mut site = Site::new(run, shim, &format!("{}-{number}", self.what))?;
            (self.prepare)(&mut site)?;
            sites.push(site);
        }
        let (mut faults, mut there) = (Vec::new(), 0);
        for calls in KINDS {
            let count = (self.count)(&mut sites[0], calls)?;
            there |= if count > 0 { calls } else { 0 };
            let tried = run.rounds.map_or(TRIED, u64::from);
            for number in 0..count.min(tried) * 2 {
                let nth = match count > tried {
                    true => random.below(count),
                    false => number / 2,
                };
                faults.push(Fault {
                    calls,
                    files: kind::ANY,
                    action: Action::Fail,
                    error: *random.pick(&ERRORS),
                    nth: 1 + nth,
                    is_sticky: number % 2 == 1,
                });
            }
        }
        let (figures, next) = (Mutex::new(Figures::default()), AtomicUsize::new(0));
        let work = |mut site: Site| {
            while let Some(&fault) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                let one = |site: &mut Site| {
                    (self.one)(site, fault)
                        // The others end with it.
                        .inspect_err(|_| next.store(faults.len(), Ordering::Relaxed))
                        .map_err(|lost| format!("{}, {fault:?}: {lost}", self.what))
                };
                let mut is_well = one(&mut site)?;
                // Some calls only a start behind a kill makes, and some only one behind a stop.
                if site.control.hits() == 0 {
                    is_well = one(&mut site)?;
                }
                let mut figures = figures.lock().map_err(|error| error.to_string())?;
                let has_struck = site.control.hits() > 0;
                figures.tried += 1;
                figures.struck += u32::from(has_struck);
                figures.failed |= if has_struck { fault.calls } else { 0 };
                figures.well += u32::from(is_well);
                run.tell(&format!(
                    "{} {} with a failing call",
                    figures.tried, self.what
                ));
            }
            Ok::<_, String>(())
        };
        let work = &work;
        std::thread::scope(|threads| {
            let sites = sites.into_iter();
            let sites: Vec<_> = sites
                .map(|site| threads.spawn(move || work(site)))
                .collect();
            sites.into_iter().try_for_each(|site| {
                let ended = site.join();
                ended.map_err(|_| "a site has panicked".to_owned())?
            })
        })?;
        let figures = figures.into_inner().map_err(|error| error.to_string())?;
        Ok(self.row(&figures, there))
    }

    fn row(&self, figures: &Figures, there: u32) -> Row {
        let (tried, well, failed) = (figures.tried, figures.well, figures.failed);
        let [ended, otherwise] = self.words;
        // What it surely makes was seen, and of whatever it makes something failed.
        let missed = (there & !failed) | (self.makes & !there);
        let missed = match missed {
            0 => String::new(),
            _ => format!(" (never one of {missed:#b})"),
        };
        let seen = format!(
            "{} have struck, {} kinds of calls{missed}: {well} {ended}, {} {otherwise}",
            figures.struck,
            failed.count_ones(),
            tried - well
        );
        Row::new(format!("faults: {tried} {}", self.what), seen, self.asked).ok(missed.is_empty())
    }
}

fn later(site: &mut Site, fault: Fault) -> Result<bool, String> {
    site.control.arm(fault);
    let program = attempt(&site.settings)?;
    if let Some(program) = &program {
        lives(program)?;
    }
    let is_well = program.is_some();
    drop(program);
    let program = site.start_well()?;
    match site.turn().is_multiple_of(2) {
        true => program.stop()?,
        false => program.kill()?,
    };
    Ok(is_well)
}

fn first(site: &mut Site, fault: Fault) -> Result<bool, String> {
    site.empty()?;
    let is_given = site.turn().is_multiple_of(2);
    site.settings.token = site.given.clone().filter(|_| is_given);
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
}

fn stops(site: &mut Site, fault: Fault) -> Result<bool, String> {
    let program = site.settings.start()?;
    site.write(&program, 10)?;
    let used = Timestamp::now();
    lives(&program)?;
    site.control.arm(fault);
    let ended = program.stop()?;
    site.control.disarm();
    let loss = "last_used of some tokens is old";
    let told = ended.log.iter().any(|line| line.contains(loss));
    match ended.status.code() {
        Some(0) if newest_mark(&site.settings)? >= used => {}
        Some(1) if told => {}
        _ => {
            let (status, log) = (ended.status, ended.log.join("\n"));
            return Err(format!("{status}, and its marks are not there:\n{log}"));
        }
    }
    site.start_well()?.kill()?;
    Ok(!told)
}

impl Site {
    fn new(run: &Run, shim: &Shim, name: &str) -> Result<Self, String> {
        let (settings, control) = settings(run, shim, &format!("ends-{name}"))?;
        Ok(Self {
            settings,
            control,
            ledger: Ledger::new(run.seed, 2),
            trail: Trail::default(),
            turn: 0,
            given: None,
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

    /// The number of this one.
    fn turn(&mut self) -> u32 {
        self.turn += 1;
        self.turn
    }
}

fn read(path: &Path) -> Result<String, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(text.trim().to_owned())
}

//! A command of the real program, to which something happens at each of its calls in turn that
//! change the disk.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::program::Settings;
use crate::run::Run;
use crate::shim::{Action, Control, Fault, Shim, call, kind};

const BEFALL: [(Action, Errno); 4] = [
    (Action::KillBefore, Errno::IO),
    (Action::KillAfter, Errno::IO),
    (Action::Fail, Errno::IO),
    (Action::Fail, Errno::NOSPC),
];

/// A folder's files by their names.
pub type Files = BTreeMap<String, Vec<u8>>;

/// What a folder has; there is none below it.
pub fn files(folder: &Path) -> Files {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let file = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().unwrap();
        (name, fs::read(entry.path()).unwrap())
    };
    entries.map(file).collect()
}

/// Makes a folder with these files, and no others.
pub fn put(folder: &Path, files: &Files) {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).unwrap();
    for (name, content) in files {
        fs::write(folder.join(name), content).unwrap();
    }
}

/// One attempt.
pub struct Attempt<'a> {
    shim: &'a Shim,
    fault: Fault,
    /// For its files alone.
    pub folder: PathBuf,
    control: Control,
}

impl Attempt<'_> {
    /// A program below the shim. Only what it does in the folder of its settings counts.
    pub fn settings(&self, settings: &Settings) -> Settings {
        let control = Some(&self.control);
        let all = self.shim.environment(&settings.folder, None, control);
        all.into_iter()
            .fold(settings.clone(), |settings, (name, value)| {
                settings.with(name, value)
            })
    }

    /// Whether the program shall be killed; else a call fails, or nothing happens.
    pub fn is_kill(&self) -> bool {
        matches!(self.fault.action, Action::KillBefore | Action::KillAfter)
    }

    /// It has happened. What is called from now on does not count.
    pub fn was_hit(&self) -> bool {
        self.control.disarm();
        self.control.hits() > 0
    }

    /// Holds the end of a command against what was to happen: whether it was done. Who was not killed
    /// says in a line what is wrong.
    pub fn is_done(&self, output: &Output) -> Result<bool, String> {
        let said = String::from_utf8_lossy(&output.stderr);
        match (output.status.code(), self.was_hit()) {
            (Some(0), was_hit) if !was_hit || !self.is_kill() => Ok(true),
            (None, true) if self.is_kill() => Ok(false),
            (Some(1), true) if !self.is_kill() && tells(&said) => Ok(false),
            _ => Err(format!("it ended with {}: {said}", output.status)),
        }
    }
}

/// The operator learns of which file something is wrong. SQLite has no better word for some.
fn tells(said: &str) -> bool {
    said.lines().any(|line| line.starts_with("netbird-auth: /"))
}

/// What all attempts came to.
#[derive(Default)]
pub struct Tally {
    pub calls: u64,
    pub kills: u64,
    pub failures: u64,
    pub outcomes: BTreeMap<&'static str, u64>,
    pub time: Duration,
}

impl Tally {
    pub fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.kills += other.kills;
        self.failures += other.failures;
        self.time += other.time;
        for (outcome, count) in other.outcomes {
            *self.outcomes.entry(outcome).or_default() += count;
        }
    }

    pub fn text(&self) -> String {
        let outcomes = self.outcomes.iter();
        let outcomes: Vec<String> = outcomes
            .map(|(what, count)| format!("{count} {what}"))
            .collect();
        format!(
            "{} calls, {} kills, {} failures: {} ({:.1} s)",
            self.calls,
            self.kills,
            self.failures,
            outcomes.join(", "),
            self.time.as_secs_f64()
        )
    }
}

/// Counts the calls of quiet attempts, then makes one for each call and each thing that can happen
/// to it, on so many threads. An attempt says in words what it came to, or what was lost.
pub fn at_each_call(
    run: &Run,
    shim: &Shim,
    what: &str,
    threads: usize,
    attempt: &(dyn Fn(&Attempt<'_>) -> Result<&'static str, String> + Sync),
) -> Result<Tally, String> {
    let started = Instant::now();
    let top = run.new_folder(what)?;
    let one = |name: String, fault: Fault| {
        let folder = top.join(&name);
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let control = Control::create(&folder.join("control"));
        control.arm(fault);
        let attempted = Attempt {
            shim,
            fault,
            folder,
            control,
        };
        let outcome = attempt(&attempted).map_err(|lost| format!("{what}, {name}: {lost}"))?;
        let hits = attempted.was_hit();
        fs::remove_dir_all(&attempted.folder).map_err(|error| error.to_string())?;
        Ok::<_, String>((outcome, attempted.control.seen(), hits))
    };
    let fault = Fault {
        calls: call::CHANGES,
        files: kind::ANY,
        action: Action::Fail,
        error: Errno::IO,
        nth: u64::MAX,
        is_sticky: false,
    };
    // One attempt may make more calls than another: each makes as many as the lesser of two.
    let quiet = |number| one(format!("quiet-{number}"), fault).map(|(_, seen, _)| seen);
    let least = quiet(1)?.min(quiet(2)?);
    if least == 0 {
        return Err(format!("{what}: the shim saw no call"));
    }
    // And on, as long as there is such a call.
    let (next, is_over, calls) = (AtomicU64::new(0), AtomicBool::new(false), AtomicU64::new(0));
    let tally = Mutex::new(Tally::default());
    let work = || -> Result<(), String> {
        while !is_over.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let (action, error) = BEFALL[number as usize % BEFALL.len()];
            let nth = number / BEFALL.len() as u64 + 1;
            let fault = Fault {
                nth,
                action,
                error,
                ..fault
            };
            let name = format!("{action:?}-{}-at-{nth}", error.raw_os_error());
            let (outcome, _, was_hit) =
                one(name.clone(), fault).inspect_err(|_| is_over.store(true, Ordering::Relaxed))?;
            if !was_hit {
                is_over.store(true, Ordering::Relaxed);
                if nth <= least {
                    return Err(format!(
                        "{what}: {name} struck nothing, and quiet attempts make {least} calls"
                    ));
                }
                break;
            }
            calls.fetch_max(nth, Ordering::Relaxed);
            let mut tally = tally.lock().unwrap();
            match action {
                Action::Fail => tally.failures += 1,
                _ => tally.kills += 1,
            }
            *tally.outcomes.entry(outcome).or_default() += 1;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        while !threads.iter().all(|thread| thread.is_finished()) {
            let done = next.load(Ordering::Relaxed);
            run.tell(&format!("{what}: {done} attempts"));
            std::thread::park_timeout(Duration::from_millis(50));
        }
        let ended = threads.into_iter().map(|thread| thread.join().unwrap());
        ended.collect::<Result<(), String>>()
    })?;
    Ok(Tally {
        calls: calls.into_inner(),
        time: started.elapsed(),
        ..tally.into_inner().unwrap()
    })
}

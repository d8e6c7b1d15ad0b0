//! States of the disk after a power cut: chosen, made real, started from and looked at, on several
//! threads.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::disk::{Disk, Names};
use crate::random::Random;
use crate::recording::{Failed, Promise, Recording};
use crate::trace::{Change, Record};

const THREADS: u32 = 4;

/// What the states of some recordings came to.
#[derive(Default)]
pub struct Tally {
    pub states: u32,
    /// In how many the disk could have been found in another state too.
    pub uncertain: u32,
    /// How many were cut at the very end of a command.
    pub commands: u32,
    /// How many were cut when a token's file had been promised, and the token not been used.
    pub token_files: u32,
    /// What was lost, each with where the state is; the states are tried until there are so many.
    pub lost: Vec<String>,
    /// What says nothing of a loss, where only losses count.
    pub not_tried: Vec<String>,
}

/// What is to be tried.
pub struct Replay<'a> {
    pub recordings: &'a [Recording],
    pub model: Names,
    pub seed: u64,
    pub states: u32,
    /// It is over when so many were lost.
    pub enough: usize,
    /// A state from which the program does not start, or gives no answer, is no loss. Else it is.
    pub only_losses: bool,
    /// Each state gets a folder here.
    pub folder: PathBuf,
}

/// What came of one state.
struct Tried<'a> {
    is_uncertain: bool,
    /// It was cut at the very end of this.
    promise: Option<&'a Promise>,
    failed: Option<Failed>,
}

impl Replay<'_> {
    /// Tries the states in turn over all recordings. `tell` is told how many are done.
    pub fn run(&self, tell: &(dyn Fn(u32) + Sync)) -> Result<Tally, String> {
        let (next, is_over) = (AtomicU32::new(0), AtomicBool::new(false));
        let tally = Mutex::new(Tally::default());
        let work = || -> Result<(), String> {
            while !is_over.load(Ordering::Relaxed) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= self.states {
                    break;
                }
                let tried = self.state(number)?;
                let mut tally = tally.lock().unwrap();
                tally.states += 1;
                tally.uncertain += u32::from(tried.is_uncertain);
                match tried.promise {
                    Some(Promise::Changes(_)) => tally.commands += 1,
                    Some(Promise::TokenFile(_)) => tally.token_files += 1,
                    None => {}
                }
                match tried.failed {
                    Some(Failed::NotTried(why)) if self.only_losses => tally.not_tried.push(why),
                    Some(Failed::NotTried(why) | Failed::Lost(why)) => tally.lost.push(why),
                    None => {}
                }
                is_over.fetch_or(tally.lost.len() >= self.enough, Ordering::Relaxed);
                tell(tally.states);
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
            let ended = threads.into_iter().map(|thread| thread.join().unwrap());
            ended.collect::<Result<(), String>>()
        })?;
        Ok(tally.into_inner().unwrap())
    }

    fn state(&self, number: u32) -> Result<Tried<'_>, String> {
        let recording = &self.recordings[number as usize % self.recordings.len()];
        let mut dice = Random::new(self.seed, u64::from(number) + 1);
        let promises = counts(recording);
        let count = cut(&recording.records, &promises, &mut dice);
        let records = &recording.records[..count];
        let position = records.last().map_or(0, |record| record.end);
        let disk = Disk::replay(&recording.base, records, self.model, &mut dice);
        let state = disk.state(&mut dice);
        let folder = self.folder.join(format!("state-{number}"));
        let make = |folder: &Path| {
            std::fs::create_dir_all(folder)
                .map_err(|error| format!("{}: {error}", folder.display()))?;
            state.write(folder);
            Ok::<_, String>(())
        };
        make(&folder)?;
        let seen = recording.check(&folder, position);
        std::fs::remove_dir_all(&folder).map_err(|error| error.to_string())?;
        let told = |why: String| {
            // The server has changed the files.
            let kept = self.folder.join(format!("lost-{:?}-{number}", self.model));
            make(&kept)?;
            Ok::<_, String>(format!(
                "{why}\n  after record {count} of {} ({:?}) of {}; the disk is in {}",
                recording.records.len(),
                records
                    .last()
                    .map(|record| (&record.name, short(&record.change))),
                recording.title,
                kept.display()
            ))
        };
        let failed = match seen {
            Ok(()) => None,
            Err(Failed::Lost(why)) => Some(Failed::Lost(told(why)?)),
            Err(Failed::NotTried(why)) => Some(Failed::NotTried(told(why)?)),
        };
        Ok(Tried {
            is_uncertain: !disk.is_certain(),
            promise: promises.contains(&count).then_some(&recording.promise),
            failed,
        })
    }
}

/// How many records were there when a promise was acknowledged.
fn counts(recording: &Recording) -> Vec<usize> {
    let records = &recording.records;
    let before = |at: u64| records.partition_point(|record| record.end <= at);
    recording.promises().into_iter().map(before).collect()
}

/// How many records are on the disk's side of the cut: most often near where something becomes
/// durable or is promised, or where the database itself is written.
fn cut(records: &[Record], promises: &[usize], dice: &mut Random) -> usize {
    let kind = dice.below(6);
    if kind == 5 && !promises.is_empty() {
        // At its end, or with one more record.
        let count = dice.pick(promises) + dice.index(2);
        return count.min(records.len());
    }
    let is_sync = |record: &Record| record.change.sync_failed().is_some();
    let is_wanted = |record: &Record| match (kind, &record.change) {
        (0, _) => is_sync(record),
        // Of other files than the log, which has most of them.
        (1, _) => is_sync(record) && !record.name.ends_with("-wal"),
        (2, Change::Write { .. } | Change::Truncate(_)) => record.name.ends_with(".db"),
        (3, change) => !is_sync(record) && !matches!(change, Change::Write { .. }),
        _ => false,
    };
    let wanted: Vec<usize> = (0..records.len())
        .filter(|&which| is_wanted(&records[which]))
        .collect();
    match wanted.is_empty() {
        true => dice.index(records.len() + 1),
        // Before it, or behind it.
        false => dice.pick(&wanted) + dice.index(2),
    }
}

fn short(change: &Change) -> String {
    match change {
        Change::Write { at, data } => format!("write of {} at {at}", data.len()),
        other => format!("{other:?}"),
    }
}

//! Power cuts: the program's calls are traced, states that a disk may be left in are built from the
//! trace, and the program is started on each.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::disk::Names;
use crate::program::Settings;
use crate::proof;
use crate::recording::{Recorder, Recording};
use crate::replay::{Replay, Tally};
use crate::row::Row;
use crate::run::Run;
use crate::shim::{Action, Shim};
use crate::token_file::TokenFile;
use crate::weaker::weaken;

/// Of the model that ext4 and xfs follow.
const STATES: u32 = 1_000;
/// Of the stricter one, so many for each hundred of those.
const STRICT: u32 = 25;
/// Each so many states have recordings of their own.
const STATES_A_ROUND: u32 = 2_000;
/// Recordings from the first start on, and from after it; with a sync that fails, and without.
const KINDS: [(bool, bool); 6] = [
    (true, false),
    (false, false),
    (true, true),
    (false, false),
    (false, true),
    (true, false),
];
/// A weaker program is found out after fewer states than these, or the replay is blind.
const SIGHT: u32 = 200;

#[derive(Default)]
struct Figures {
    recordings: usize,
    records: usize,
    acknowledged: usize,
    checkpoints: usize,
    failures: usize,
    default: Tally,
    strict: Tally,
    time: Duration,
}

pub fn run(run: &Run) -> Result<Vec<Row>, String> {
    proof::prove();
    let folder = run.new_folder("power")?;
    let shim = Shim::compile(&folder);
    let mut rows = sight(run, &shim)?;
    let wanted = run.rounds(STATES);
    let mut figures = Figures::default();
    let mut round = 0;
    while figures.default.states < wanted {
        let states = STATES_A_ROUND.min(wanted - figures.default.states);
        figures.round(run, &shim, round, states, wanted)?;
        round += 1;
    }
    rows.extend(figures.rows(wanted >= STATES));
    Ok(rows)
}

impl Figures {
    fn round(
        &mut self,
        run: &Run,
        shim: &Shim,
        round: u32,
        states: u32,
        wanted: u32,
    ) -> Result<(), String> {
        let seed = run.seed.wrapping_add(u64::from(round) << 32);
        let name = format!("power/round-{round}");
        let (mut all, mut later) = (Vec::new(), Vec::new());
        for (number, (with_first_start, with_failure)) in KINDS.iter().enumerate() {
            run.tell(&format!("recording {} of {}", number + 1, KINDS.len()));
            let folder = run.new_folder(&format!("{name}/recording-{number}"))?;
            let settings = Settings::new(run, &folder)?;
            let recorder = Recorder {
                shim,
                settings: settings.clone(),
                commands: run.binary.clone(),
                seed: seed.wrapping_add(number as u64),
                with_first_start: *with_first_start,
                failure: with_failure.then_some(Action::Fail),
                changes: Recorder::CHANGES,
            };
            let recording = recorder.record(&folder, settings)?;
            self.add(&recording);
            match with_first_start {
                true => all.push(recording),
                false => later.push(recording),
            }
        }
        let folder = run.new_folder(&format!("{name}/token-file"))?;
        let token = TokenFile::record(shim, &folder, &Settings::new(run, &folder)?)?;
        self.add(&token);
        all.push(token);
        let strict = states * STRICT / 100;
        let all_states = wanted + wanted * STRICT / 100;
        let begun = Instant::now();
        let replay = |recordings: &[Recording], model, states, enough| {
            let done = self.default.states + self.strict.states;
            let replay = Replay {
                recordings,
                model,
                seed,
                states,
                enough,
                only_losses: false,
                folder: run.folder.join(&name),
            };
            replay.run_telling(run, &|states| {
                format!("{} of {all_states} states ({model:?})", done + states)
            })
        };
        let strict = replay(&later, Names::Strict, strict, usize::MAX)?;
        all.extend(later);
        let default = replay(&all, Names::Journaled, states, 1)?;
        self.time += begun.elapsed();
        self.strict.add(strict);
        self.default.add(default);
        match self.default.lost.first() {
            Some(lost) => Err(lost.clone()),
            None => Ok(()),
        }
    }

    fn add(&mut self, recording: &Recording) {
        self.recordings += 1;
        self.records += recording.records.len();
        self.acknowledged += recording.acknowledged();
        self.checkpoints += recording.database_syncs();
        self.failures += recording.failures();
    }

    /// The usual number of states must have seen everything that there is to be seen.
    fn rows(self, is_full: bool) -> Vec<Row> {
        let has_all = self.failures > 0 && self.checkpoints > 0;
        let is_sighted = |tally: &Tally| tally.uncertain > 0 && tally.commands > 0;
        let rate = f64::from(self.default.states + self.strict.states) / self.time.as_secs_f64();
        let traced = format!(
            "{} calls that change the disk, {} acknowledged changes, {} syncs of the database, {} syncs that failed",
            self.records, self.acknowledged, self.checkpoints, self.failures
        );
        let found = |tally: &Tally, also: &str| {
            format!(
                "{} states, {} of them of several possible, {} at the end of a command{also}; in {} something was lost ({rate:.0} states/s)",
                tally.states,
                tally.uncertain,
                tally.commands,
                tally.lost.len()
            )
        };
        let token_files = format!(", {} at that of a token's file", self.default.token_files);
        for lost in self.strict.lost.iter().take(3) {
            eprintln!("power, stricter model: {lost}");
        }
        vec![
            Row::new(
                format!("power: {} traces", self.recordings),
                traced,
                "new ones in each run, with failed syncs and with syncs of the database",
            )
            .ok(has_all || !is_full),
            Row::new(
                "power: cuts, names as in a journal",
                found(&self.default, &token_files),
                "nothing lost; some of each kind",
            )
            .ok(!is_full || (is_sighted(&self.default) && self.default.token_files > 0)),
            Row::new(
                "power: cuts, names durable by a sync of their folder only",
                found(&self.strict, ""),
                "nothing lost; some of each kind",
            )
            .ok(self.strict.lost.is_empty() && (!is_full || is_sighted(&self.strict))),
        ]
    }
}

/// Who promises too much must be found out: else the replay would see no loss anywhere.
fn sight(run: &Run, shim: &Shim) -> Result<Vec<Row>, String> {
    let folder = run.new_folder("power/sight")?;
    let checked = Settings::new(run, &folder)?;
    let weaker = || folder.join("weaker");
    let places = weaken(&run.binary, &weaker())?;
    eprintln!("  synchronous=NORMAL in a copy of the program, at {places:?}");
    let full = || run.binary.clone();
    [
        ("a program with synchronous=NORMAL", weaker(), full(), None),
        ("commands with synchronous=NORMAL", full(), weaker(), None),
        (
            "a disk that lies about one sync of the log",
            full(),
            full(),
            Some(Action::Lie),
        ),
    ]
    .into_iter()
    .enumerate()
    .map(|(number, (what, binary, commands, failure))| {
        let folder = run.new_folder(&format!("power/sight/{number}"))?;
        let recorder = Recorder {
            shim,
            settings: Settings {
                binary,
                ..checked.clone()
            },
            commands,
            seed: run.seed,
            with_first_start: false,
            failure,
            changes: Recorder::CHANGES / 5,
        };
        let recordings = [recorder.record(&folder, checked.clone())?];
        let replay = Replay {
            recordings: &recordings,
            model: Names::Journaled,
            seed: run.seed,
            states: SIGHT,
            enough: 1,
            only_losses: true,
            folder,
        };
        let tally = replay.run_telling(run, &|states| format!("{states} states of {what}"))?;
        let Some(lost) = tally.lost.first() else {
            let not_tried = tally.not_tried.first().map_or("", String::as_str);
            return Err(format!(
                "the replay is blind: of {what} it saw no loss in {SIGHT} states; {} were not tried: {not_tried}",
                tally.not_tried.len()
            ));
        };
        eprintln!("  as it should be, {what}: {lost}");
        let seen = format!(
            "a loss after {} states, {} of them not tried",
            tally.states,
            tally.not_tried.len()
        );
        let asked = format!("a loss after at most {SIGHT}");
        Ok(Row::new(format!("power: {what}"), seen, asked))
    })
    .collect()
}

impl Replay<'_> {
    /// With a line of progress, which is of this thread.
    fn run_telling(&self, run: &Run, text: &dyn Fn(u32) -> String) -> Result<Tally, String> {
        let done = AtomicU32::new(0);
        std::thread::scope(|scope| {
            let replay = scope.spawn(|| self.run(&|states| done.store(states, Ordering::Relaxed)));
            while !replay.is_finished() {
                run.tell(&text(done.load(Ordering::Relaxed)));
                std::thread::park_timeout(Duration::from_millis(200));
            }
            replay.join().unwrap()
        })
    }
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.states += other.states;
        self.uncertain += other.uncertain;
        self.commands += other.commands;
        self.token_files += other.token_files;
        self.lost.extend(other.lost);
        self.not_tried.extend(other.not_tried);
    }
}

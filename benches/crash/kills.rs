//! SIGKILL at random moments under mixed writes, and during first starts.

use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::check;
use crate::ledger::{Failure, Ledger, Plan};
use crate::program::{Program, Settings, new_token};
use crate::random::Random;
use crate::row::Row;
use crate::run::Run;
use crate::trail::Trail;

const ROUNDS: u32 = 100;
const WRITERS: u64 = 4;
/// One round in so many is that of a first start.
const FIRST_STARTS: u32 = 10;
/// A change takes about a millisecond: the kill comes somewhere in one.
const WITHIN: Duration = Duration::from_micros(2_000);
/// The most changes before a kill.
const CHANGES: u64 = 60;
/// Nothing takes so long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);
/// Asked of a start after a kill.
const READY: Duration = Duration::from_secs(1);
/// In so many rounds some changes are under way at the kills, or these are no kills of a server at work.
const ENOUGH: u32 = 20;

#[derive(Default)]
struct Figures {
    rounds: u32,
    acknowledged: usize,
    made: usize,
    not_made: usize,
    ready: Vec<Duration>,
}

pub fn run(run: &Run) -> Result<Vec<Row>, String> {
    let rounds = run.rounds(ROUNDS);
    let mut random = Random::new(run.seed, 0);
    let mut ledger = Ledger::new(run.seed, WRITERS);
    let mut trail = Trail::default();
    let mut figures = Figures::default();
    let settings = Settings::new(run, &run.new_folder("kills")?)?;
    let mut program = settings.start()?;
    let mut first = FirstStarts {
        // This was one.
        within: program.ready_after * 3 / 2,
        ..FirstStarts::default()
    };
    for round in 1..=rounds {
        let in_round = |lost: String| format!("round {round} of {rounds}: {lost}");
        if round % FIRST_STARTS == 0 {
            first.round(run, round, &mut random).map_err(in_round)?;
        } else {
            program = figures
                .round(program, &mut ledger, &mut trail, &mut random)
                .map_err(in_round)?;
        }
        run.tell(&format!(
            "round {round} of {rounds}: {} changes acknowledged, all there",
            figures.acknowledged
        ));
    }
    // What a stop leaves is whole too.
    let expected = ledger.expected(u64::MAX);
    let stopped = program.stop()?;
    check::file(&settings.database(), &expected, &mut trail)?;
    if stopped.status.code() != Some(0) {
        return Err(format!("the last stop ended with {}", stopped.status));
    }
    let mut rows = vec![figures.row(rounds)];
    if !first.ready.is_empty() {
        rows.push(first.row());
    }
    rows.push(ready([figures.ready, first.ready].concat()));
    Ok(rows)
}

impl Figures {
    fn round(
        &mut self,
        program: Program,
        ledger: &mut Ledger,
        trail: &mut Trail,
        random: &mut Random,
    ) -> Result<Program, String> {
        let (wanted, within) = (random.below(CHANGES), micros(random, WITHIN));
        let (sender, acknowledged) = channel();
        let owner = program.owner();
        let plan = Plan {
            client: &owner,
            failure: Failure::Stop,
            position: &|| 0,
            after: &move |_| sender.send(()).is_ok(),
        };
        let settings = program.settings.clone();
        let ended = ledger.write_while(plan, || {
            wait_for(&acknowledged, wanted).map_err(|lost| {
                let log = program.log().join("\n");
                format!("{lost}; the server's log:\n{log}")
            })?;
            spin(within);
            program.kill()
        })?;
        if ended.status.code().is_some() {
            let log = ended.log.join("\n");
            return Err(format!("the server ended before the kill:\n{log}"));
        }
        self.rounds += 1;
        self.acknowledged += ledger.acknowledged();
        let program = settings.start()?;
        self.ready.push(program.ready_after);
        let found = check::everything(&program, &ledger.expected(u64::MAX), trail)?;
        for found in found.iter().filter(|found| found.was_pending) {
            match found.made {
                Some(_) => self.made += 1,
                None => self.not_made += 1,
            }
        }
        ledger.settle(&found);
        Ok(program)
    }

    fn row(&self, rounds: u32) -> Row {
        let seen = format!(
            "{} acknowledged changes, all there; of {} without an answer {} made, {} not",
            self.acknowledged,
            self.made + self.not_made,
            self.made,
            self.not_made
        );
        let what = format!("kills: {} under mixed writes of {WRITERS}", self.rounds);
        let asked =
            format!("nothing lost, nothing half; some without an answer, from {ENOUGH} rounds on");
        let was_at_work = self.made + self.not_made > 0;
        Row::new(what, seen, asked).ok(was_at_work || rounds < ENOUGH)
    }
}

/// First starts that are killed, each on a folder of its own.
#[derive(Default)]
struct FirstStarts {
    /// They are killed before this.
    within: Duration,
    /// Whose owner was made by the killed start, and by the next one.
    made: u32,
    not_made: u32,
    ready: Vec<Duration>,
}

impl FirstStarts {
    fn round(&mut self, run: &Run, round: u32, random: &mut Random) -> Result<(), String> {
        let folder = run.new_folder(&format!("first-{round}"))?;
        let mut settings = Settings::new(run, &folder)?;
        // In turn: a token that the settings give, and one that the program writes into a file.
        let is_given = round / FIRST_STARTS % 2 == 1;
        let before = settings.token.take().filter(|_| is_given);
        settings.token.clone_from(&before);
        let program = settings.spawn()?;
        spin(micros(random, self.within));
        let was_ready = program
            .kill()?
            .log
            .iter()
            .any(|line| line.contains("ready on"));
        if is_given {
            // Another one, so that it shows which of both starts made the owner.
            settings.token = Some(new_token()?);
        }
        let program = settings.start()?;
        self.ready.push(program.ready_after);
        let made = match before {
            Some(before) => {
                let after = program.settings.token.clone().unwrap_or_default();
                let is_before = check::door(&program.owner(), "", &before, 200).is_ok();
                let (yes, no) = if is_before {
                    (before, after)
                } else {
                    (after, before)
                };
                let owner = program.client(&yes);
                check::door(&owner, "the owner's token, given", &yes, 200)?;
                check::door(&owner, "the owner's token that was not used", &no, 401)?;
                check::server(&owner, &[])?;
                is_before
            }
            None => {
                let path = folder.join("owner-token");
                let text = std::fs::read_to_string(&path)
                    .map_err(|error| format!("{}: {error}", path.display()))?;
                // The log names the file where it is made, and again where it is removed after its use.
                let is_old = !program
                    .log()
                    .iter()
                    .any(|line| line.contains("owner-token"));
                let owner = program.client(text.trim());
                check::door(
                    &owner,
                    "the token in the file owner-token",
                    text.trim(),
                    200,
                )?;
                check::server(&owner, &[])?;
                is_old
            }
        };
        if was_ready && !made {
            return Err("a first start was ready, and its owner is gone".to_owned());
        }
        check::file(&settings.database(), &[], &mut Trail::default())?;
        match made {
            true => self.made += 1,
            false => self.not_made += 1,
        }
        drop(program);
        std::fs::remove_dir_all(&folder).map_err(|error| error.to_string())
    }

    fn row(&self) -> Row {
        let what = format!("kills: {} first starts", self.made + self.not_made);
        let seen = format!(
            "the owner was made {} times by the killed start, {} times by the next",
            self.made, self.not_made
        );
        Row::new(
            what,
            seen,
            "the next start has one owner, whose token works",
        )
    }
}

fn ready(mut times: Vec<Duration>) -> Row {
    times.sort();
    let worst = times.last().copied().unwrap_or_default();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    let seen = format!("{median:.1?} in the median, {worst:.1?} at worst");
    Row::new("kills: ready again", seen, format!("≤ {READY:?}")).in_time(worst <= READY)
}

fn micros(random: &mut Random, below: Duration) -> Duration {
    Duration::from_micros(random.below(below.as_micros() as u64))
}

fn wait_for(acknowledged: &Receiver<()>, count: u64) -> Result<(), String> {
    for seen in 0..count {
        acknowledged
            .recv_timeout(PATIENCE)
            .map_err(|_| format!("no change was acknowledged after {seen} of {count}"))?;
    }
    Ok(())
}

/// Closer to the microsecond than any wait.
fn spin(time: Duration) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        std::hint::spin_loop();
    }
}

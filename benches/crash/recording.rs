//! A trace of the real program at work, and what it acknowledged at which length of the trace.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::io::Errno;

use crate::check;
use crate::disk::Base;
use crate::ledger::{Expected, Failure, Ledger, Plan};
use crate::program::{Program, Running, Settings};
use crate::random::Random;
use crate::shim::{Action, Control, Fault, Shim, call, kind};
use crate::token_file::TokenFile;
use crate::trace::{self, Record};
use crate::trail::Trail;

const WRITERS: u64 = 4;
/// SQLite moves its log into the database every 1000 pages, and a change is about six.
const CHANGES: u32 = 800;
/// Commands in a row, while nobody else writes.
const COMMANDS: usize = 6;

/// What is recorded, and how.
pub struct Recorder<'a> {
    pub shim: &'a Shim,
    /// Of the program that is recorded.
    pub settings: Settings,
    /// Those of its commands may be of another program.
    pub commands: PathBuf,
    pub seed: u64,
    /// The trace begins before there is a database, not after the first start.
    pub with_first_start: bool,
    /// What befalls one sync of the log, or of the database.
    pub failure: Option<Action>,
    /// How many changes are made, about half of them after a stop and a start.
    pub changes: u32,
}

/// A command's token, and where it came to be.
struct CommandToken {
    plain: String,
    sent: u64,
    acknowledged: u64,
}

/// Where what was refused with 5xx may be there all the same.
struct Doubt {
    /// Before the sync that failed.
    from: u64,
    /// When a later change was acknowledged, whose records took the place of what failed.
    to: u64,
}

/// The changes that were made while it was recorded.
pub struct Changes {
    ledger: Ledger,
    commands: Vec<CommandToken>,
    doubt: Option<Doubt>,
}

/// What must be there after a power cut.
pub enum Promise {
    Changes(Changes),
    TokenFile(TokenFile),
}

/// Why a state is not as it must be.
pub enum Failed {
    /// Something that must be there is not, or something that must not be there is.
    Lost(String),
    /// The program did not start, or gave no answer: this says nothing of what is on the disk.
    NotTried(String),
}

pub struct Recording {
    pub title: String,
    pub base: Base,
    pub records: Vec<Record>,
    pub promise: Promise,
    /// Those of the program that is started on the states.
    pub settings: Settings,
}

impl Recorder<'_> {
    /// As many changes as a usual recording has.
    pub const CHANGES: u32 = CHANGES;

    /// Lets the program work in a new folder. `checked` starts it on the states.
    pub fn record(&self, folder: &Path, checked: Settings) -> Result<Recording, String> {
        let disk = folder.join("disk");
        let path = folder.join("trace");
        let made = std::fs::create_dir_all(&disk);
        made.map_err(|error| format!("{}: {error}", disk.display()))?;
        let bare = self.settings.on(&disk);
        if !self.with_first_start {
            bare.start()?.stop()?;
        }
        let base = Base::of(&disk);
        let control = Control::create(&folder.join("control"));
        let mut settings = bare;
        let environment = self.shim.environment(&disk, Some(&path), Some(&control));
        for (name, value) in environment {
            settings = settings.with(name, value);
        }
        let position = || std::fs::metadata(&path).map_or(0, |trace| trace.len());
        let mut ledger = Ledger::new(self.seed, WRITERS);

        let program = settings.start()?;
        let half = self.changes / 2;
        let mut commands = self.write(&program, &mut ledger, half, &position, || {
            self.commands(&program, 1, &position)
        })?;
        // Beside others their syncs would do, where a command makes none of its own.
        commands.extend(self.commands(&program, COMMANDS, &position)?);
        program.stop()?;
        let program = settings.start()?;
        self.write(&program, &mut ledger, half, &position, || {
            if let Some(action) = self.failure {
                self.arm(&control, action);
            }
            Ok(())
        })?;
        // What was acknowledged since the failure is what is asked for; where there was none yet, it
        // befalls the stop.
        match control.hits() > 0 {
            true => program.kill()?,
            false => program.stop()?,
        };
        let records = trace::read(&path);
        Ok(Recording {
            title: folder.display().to_string(),
            base,
            promise: Promise::Changes(Changes {
                doubt: doubt(&records, &ledger),
                ledger,
                commands,
            }),
            records,
            settings: checked,
        })
    }

    /// So many changes, after which no request is under way.
    fn write<T>(
        &self,
        program: &Program,
        ledger: &mut Ledger,
        changes: u32,
        position: &(dyn Fn() -> u64 + Sync),
        meanwhile: impl FnOnce() -> Result<T, String>,
    ) -> Result<T, String> {
        let made = AtomicU32::new(0);
        let owner = program.owner();
        let plan = Plan {
            client: &owner,
            failure: match self.failure {
                Some(_) => Failure::LookUp,
                None => Failure::Stop,
            },
            position,
            after: &|_| made.fetch_add(1, Ordering::Relaxed) + 1 < changes,
        };
        let value = ledger.write_while(plan, meanwhile)?;
        match made.into_inner() < changes {
            true => Err(format!(
                "the writers stopped early; the log:\n{}",
                program.log().join("\n")
            )),
            false => Ok(value),
        }
    }

    /// Makes tokens by the command line, beside the server.
    fn commands(
        &self,
        program: &Program,
        count: usize,
        position: &(dyn Fn() -> u64 + Sync),
    ) -> Result<Vec<CommandToken>, String> {
        let path = "/api/users?service_user=false";
        let answer = program.owner().try_send("GET", path, &[], b"");
        let answer = answer.map_err(|error| format!("GET {path}: {error}"))?;
        let people: serde_json::Value =
            serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
        let owner = people[0]["id"].as_str().ok_or("there is no owner")?;
        let settings = Settings {
            binary: self.commands.clone(),
            ..program.settings.clone()
        };
        let token = |_| {
            let mut command = settings.command(&["token", "create", "--user", owner]);
            let sent = position();
            let ended = Running::spawn(&mut command)?.end()?;
            let acknowledged = position();
            let said = String::from_utf8_lossy(&ended.stdout);
            let mut words = said.split_whitespace();
            match words.find(|word| word.starts_with("nbp_")) {
                Some(plain) if ended.status.success() => Ok(CommandToken {
                    plain: plain.to_owned(),
                    sent,
                    acknowledged,
                }),
                _ => Err(format!(
                    "token create: {}: {}",
                    ended.status,
                    String::from_utf8_lossy(&ended.stderr)
                )),
            }
        };
        (0..count).map(token).collect()
    }

    fn arm(&self, control: &Control, action: Action) {
        let mut random = Random::new(self.seed, 77);
        let (files, nth) = match random.below(4) {
            // There are only a few checkpoints, and SQLite sets a sync of the database right by the next.
            0 if action == Action::Fail => (kind::DATABASE, 1),
            _ => (kind::LOG, 1 + random.below(u64::from(self.changes) / 16)),
        };
        control.arm(Fault {
            calls: call::SYNC,
            files,
            action,
            error: Errno::IO,
            nth,
            is_sticky: false,
        });
    }
}

impl Recording {
    /// Starts the program on a state of the disk at a position; what must be there then is there.
    pub fn check(&self, folder: &Path, position: u64) -> Result<(), Failed> {
        let program = self.settings.on(folder).start();
        let program = program.map_err(Failed::NotTried)?;
        let look = || match &self.promise {
            Promise::Changes(changes) => changes.check(&program, position),
            Promise::TokenFile(token) => token.check(&program, position),
        };
        let Err(why) = look() else {
            return Ok(());
        };
        // What is lost stays lost, before a server that is well; an answer that was only late comes now.
        let is_lost = look().is_err() && is_well(&program);
        Err(match is_lost {
            true => Failed::Lost(why),
            false => Failed::NotTried(why),
        })
    }

    /// Where something that a single process promised was acknowledged, as lengths of the trace.
    pub fn promises(&self) -> Vec<u64> {
        match &self.promise {
            Promise::Changes(changes) => {
                let commands = changes.commands.iter();
                commands.map(|command| command.acknowledged).collect()
            }
            Promise::TokenFile(token) => vec![token.ready],
        }
    }

    /// Changes that were acknowledged.
    pub fn acknowledged(&self) -> usize {
        match &self.promise {
            Promise::Changes(changes) => changes.ledger.acknowledged(),
            Promise::TokenFile(_) => 0,
        }
    }

    /// How often the database itself was synced, as the log's way into it ends.
    pub fn database_syncs(&self) -> usize {
        let of_database = self
            .records
            .iter()
            .filter(|record| record.name.ends_with(".db"));
        of_database
            .filter(|record| record.change.sync_failed() == Some(false))
            .count()
    }

    /// Syncs that failed.
    pub fn failures(&self) -> usize {
        let failures = self.records.iter().filter(|record| has_failed(record));
        failures.count()
    }
}

impl Changes {
    fn check(&self, program: &Program, position: u64) -> Result<(), String> {
        let looked = look(program, &self.ledger.expected(position));
        match &self.doubt {
            Some(doubt) if (doubt.from..doubt.to).contains(&position) => looked.or_else(|lost| {
                let earlier = look(program, &self.ledger.expected(doubt.from));
                earlier.map_err(|too| format!("{lost}\n  or, as before the failure: {too}"))
            }),
            _ => looked,
        }?;
        for (number, command) in self.commands.iter().enumerate() {
            let door = |status| {
                let what = format!("the token of command {number}");
                check::door(&program.owner(), &what, &command.plain, status)
            };
            if command.acknowledged <= position {
                door(200)?;
            } else if position < command.sent {
                door(401)?;
            }
        }
        Ok(())
    }
}

fn look(program: &Program, expected: &[Expected]) -> Result<(), String> {
    check::everything(program, expected, &mut Trail::default()).map(drop)
}

fn is_well(program: &Program) -> bool {
    let answer = program.owner().try_send("GET", "/readyz", &[], b"");
    answer.is_ok_and(|answer| answer.status == 200)
}

fn has_failed(record: &Record) -> bool {
    record.change.sync_failed() == Some(true)
}

/// From before the first sync that failed to the first acknowledgement of what was sent after it.
fn doubt(records: &[Record], ledger: &Ledger) -> Option<Doubt> {
    let at = records.iter().position(has_failed)?;
    let from = at.checked_sub(1).map_or(0, |before| records[before].end);
    let entries = ledger.writers.iter().flat_map(|writer| &writer.journal);
    let later = entries.filter(|entry| entry.sent > from);
    let to = later.filter_map(|entry| entry.acknowledged).min();
    Some(Doubt {
        from,
        to: to.unwrap_or(u64::MAX),
    })
}

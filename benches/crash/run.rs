//! What every group is told, and what it may tell meanwhile.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two lines of progress.
const EVERY: Duration = Duration::from_secs(2);

/// What the arguments say.
pub struct Run {
    /// The program that is tried.
    pub binary: PathBuf,
    /// Decides every choice, but not how the threads of two processes meet.
    pub seed: u64,
    /// Instead of a group's own number.
    pub rounds: Option<u32>,
    /// Of all files; kept where something was lost, or where a group panics.
    pub folder: PathBuf,
    /// Other work goes on beside this: what is too slow is told, and no failure.
    pub is_busy: bool,
    told: Mutex<Instant>,
    is_in_line: AtomicBool,
}

impl Run {
    /// The arguments of the command, and the groups named in them.
    pub fn parse(arguments: &[String]) -> Result<(Self, Vec<String>), String> {
        let (mut seed, mut rounds, mut groups) = (None, None, Vec::new());
        let mut is_busy = false;
        let mut binary = PathBuf::from(env!("CARGO_BIN_EXE_netbird-auth"));
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || {
                let value = arguments.next();
                value.ok_or_else(|| format!("{argument} needs a value"))
            };
            match argument.as_str() {
                "--bench" => {}
                "--busy" => is_busy = true,
                "--rounds" => rounds = Some(number(argument, value()?)?),
                "--seed" => seed = Some(number(argument, value()?)?),
                "--binary" => binary = PathBuf::from(value()?),
                option if option.starts_with('-') => {
                    return Err(format!(
                        "{option}: no such option; there are --rounds, --seed, --binary, --busy"
                    ));
                }
                group => groups.push(group.to_owned()),
            }
        }
        let binary = std::fs::canonicalize(&binary)
            .map_err(|error| format!("{}: {error}", binary.display()))?;
        let folder = tempfile::Builder::new().prefix("crash-").tempdir();
        let folder = folder.map_err(|error| format!("no folder for the files: {error}"))?;
        let run = Self {
            binary,
            seed: match seed {
                Some(seed) => seed,
                None => u64::from(getrandom::u32().map_err(|error| error.to_string())?),
            },
            rounds,
            is_busy,
            folder: folder.keep(),
            told: Mutex::new(Instant::now()),
            is_in_line: AtomicBool::new(false),
        };
        Ok((run, groups))
    }

    /// How many rounds a group makes: its own number, or the one that was asked for.
    pub fn rounds(&self, own: u32) -> u32 {
        self.rounds.unwrap_or(own)
    }

    /// A new folder for one database.
    pub fn new_folder(&self, name: &str) -> Result<PathBuf, String> {
        let path = self.folder.join(name);
        std::fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }

    /// Progress: on a terminal one line that is written anew, else a line every two seconds.
    pub fn tell(&self, text: &str) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.elapsed() < EVERY {
            return;
        }
        *told = Instant::now();
        let mut out = std::io::stderr();
        let _ = match out.is_terminal() {
            true => {
                self.is_in_line.store(true, Ordering::Relaxed);
                write!(out, "\r\x1b[K  {text}")
            }
            false => writeln!(out, "  {text}"),
        };
    }

    /// Ends the line of [`Run::tell`], if there is one.
    pub fn end_of_line(&self) {
        if self.is_in_line.swap(false, Ordering::Relaxed) {
            eprintln!();
        }
    }

    pub fn remove_folder(&self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn number<T: FromStr>(name: &str, text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("{name} {text}: not a number"))
}

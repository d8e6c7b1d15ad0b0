//! What power cuts leave of a command that went well.

use std::collections::HashSet;
use std::path::Path;

use crate::disk::{Base, Disk, Names, State};
use crate::each_call::{Files, files, put};
use crate::program::{Running, Settings};
use crate::random::Random;
use crate::shim::Shim;
use crate::trace::{self, Record};

/// What a command that went well did to the disk.
pub struct Traced {
    base: Base,
    records: Vec<Record>,
    /// What is there afterwards.
    pub after: Files,
}

/// A state of the disk after a power cut.
pub struct Cut<'a> {
    pub model: Names,
    pub files: &'a Files,
    /// It came after the command's end.
    pub is_at_end: bool,
    /// A number of its own.
    pub number: u32,
}

impl Traced {
    /// Runs a command on files, which are put into a new folder.
    pub fn run(
        shim: &Shim,
        folder: &Path,
        settings: &Settings,
        files_before: &Files,
        arguments: &[&str],
    ) -> Result<Self, String> {
        let (disk, path) = (folder.join("disk"), folder.join("trace"));
        put(&disk, files_before);
        let base = Base::of(&disk);
        let mut settings = settings.on(&disk);
        for (name, value) in shim.environment(&disk, Some(&path), None) {
            settings = settings.with(name, value);
        }
        let output = Running::spawn(&mut settings.command(arguments))?.end()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{arguments:?}: {}: {said}", output.status));
        }
        Ok(Self {
            base,
            records: trace::read(&path),
            after: files(&disk),
        })
    }

    /// Cuts the power after each record, so many times in both models. `look` is shown each state that
    /// differs from all before. Gives how many there were, and how many of them differed.
    pub fn cuts(
        &self,
        seed: u64,
        times: u32,
        look: &mut dyn FnMut(&Cut<'_>) -> Result<(), String>,
    ) -> Result<(u32, u32), String> {
        let (mut states, mut seen) = (0, HashSet::new());
        for model in [Names::Journaled, Names::Strict] {
            for count in 0..=self.records.len() {
                for _ in 0..times {
                    states += 1;
                    let mut dice = Random::new(seed, u64::from(states));
                    let records = &self.records[..count];
                    let disk = Disk::replay(&self.base, records, model, &mut dice);
                    let state = disk.state(&mut dice);
                    let is_at_end = count == self.records.len();
                    if !seen.insert((model == Names::Strict, is_at_end, digest(&state))) {
                        continue;
                    }
                    let number = u32::try_from(seen.len()).unwrap();
                    let files = &state.files;
                    look(&Cut {
                        model,
                        files,
                        is_at_end,
                        number,
                    })
                    .map_err(|lost| {
                        format!(
                            "{lost}\n  cut after record {count} of {} ({model:?}, {:?})",
                            self.records.len(),
                            records.last().map(|record| &record.name)
                        )
                    })?;
                }
            }
        }
        Ok((states, u32::try_from(seen.len()).unwrap()))
    }
}

fn digest(state: &State) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for (name, content) in &state.files {
        hasher.update(name.as_bytes());
        hasher.update(blake3::hash(content).as_bytes());
    }
    hasher.finalize()
}

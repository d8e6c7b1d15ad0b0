//! A small disk that is full: first of the server's own files, then of others, to the last byte; and
//! first starts on a disk with nearly no room.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use netbird_auth::clock::Timestamp;

use crate::check;
use crate::lane;
use crate::ledger::{Failure, Ledger};
use crate::program::{Program, Settings};
use crate::row::Row;
use crate::run::Run;
use crate::trail::Trail;
use crate::vitals::{self, attempt, lives, newest_mark, told};

/// KiB. SQLite's log alone would take twice as much before it is moved into the database.
const SIZE: u32 = 2 * 1024;
const ROOM: u32 = 64 * 1024;
/// KiB of first starts.
const SIZES: [u32; 14] = [4, 8, 16, 24, 32, 48, 64, 80, 96, 128, 160, 192, 256, 512];
/// Changes after the first 503.
const MORE: u32 = 40;
const MOST: u32 = 5_000;
/// This program within a namespace of its own, in which it may mount: the folder that outlives it.
const INSIDE: &str = "CRASH_MAY_MOUNT";
/// `required` where it is a failure that nothing can be mounted.
const REQUIRED: &str = "NETBIRD_AUTH_CRASH_TMPFS";

pub fn run(run: &Run) -> Result<Vec<Row>, String> {
    match Tmpfs::mount(&run.new_folder("full")?, SIZE) {
        Ok(disk) => {
            let filled = filled(run, &disk).inspect_err(|_| disk.keep(run))?;
            drop(disk);
            Ok(vec![filled, first_starts(run)?])
        }
        Err(why) if std::env::var_os(INSIDE).is_some() => skipped(&why).map(|row| vec![row]),
        Err(_) => within_a_namespace(run),
    }
}

/// Nothing was tried: told, and a failure where that is asked.
fn skipped(why: &str) -> Result<Row, String> {
    let why = why.trim().replace(['\n', '|'], " ");
    if std::env::var(REQUIRED).as_deref() == Ok("required") {
        return Err(format!("a tmpfs is required, and can't be mounted: {why}"));
    }
    let seen = format!("skipped: {why}");
    Ok(Row::new("full: a small disk", seen, "a mount of a tmpfs"))
}

/// Who is not root may mount in a namespace, where the system allows that. Only where it does not, this
/// is skipped: whatever ends the program there before its table is a failure.
fn within_a_namespace(run: &Run) -> Result<Vec<Row>, String> {
    let unshare = |program: &Path| {
        let mut command = Command::new("unshare");
        command.arg("-rm").arg(program).env(INSIDE, &run.folder);
        command
    };
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    match unshare(Path::new("true")).output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => return skipped(&said(&output)).map(|row| vec![row]),
        Err(error) => return skipped(&format!("unshare: {error}")).map(|row| vec![row]),
    }
    let myself = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = unshare(&myself);
    command
        .args(["--bench", "full", "--seed"])
        .arg(run.seed.to_string());
    let output = command.arg("--binary").arg(&run.binary).output();
    let output = output.map_err(|error| format!("unshare: {error}"))?;
    let table = String::from_utf8_lossy(&output.stdout);
    let rows = table.lines().filter(|line| line.starts_with("| full"));
    let rows: Option<Vec<Row>> = rows.map(row).collect();
    let rows = rows.filter(|rows| !rows.is_empty()).ok_or_else(|| {
        let status = output.status;
        format!(
            "within unshare it ended with {status}, and without a table:\n{}",
            said(&output)
        )
    })?;
    if !output.status.success() {
        eprintln!("within unshare:\n{}", said(&output));
    }
    Ok(rows)
}

/// A line of the table, read back.
fn row(line: &str) -> Option<Row> {
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    let &[_, what, seen, asked, word, _] = cells.as_slice() else {
        return None;
    };
    let row = Row::new(what, seen, asked);
    Some(match word {
        "ok" => row,
        "**SLOW**" => row.in_time(false),
        _ => row.ok(false),
    })
}

fn filled(run: &Run, disk: &Tmpfs) -> Result<Row, String> {
    let settings = Settings::new(run, &disk.path)?;
    let mut ledger = Ledger::new(run.seed, 3);
    let mut trail = Trail::default();
    let program = settings.start()?;
    // By the server's own files.
    let first = until_full(&program, &mut ledger)?;
    let mut telling = vitals::wait_ill(&program, &["full"])?;
    lives(&program)?;
    disk.resize(ROOM)?;
    let mut healing = vitals::wait_well(&program)?;
    let mut marked = Duration::ZERO;
    check(&program, &mut ledger, &mut trail)?;
    lane::write(&program, &mut ledger, Failure::Stop, &|| false)?;
    check(&program, &mut ledger, &mut trail)?;

    // By another file. A kill while it is full, too.
    let mut program = program;
    let mut second = (0, 0);
    for is_killed in [false, true] {
        let filler = disk.path.join("filler");
        fill(&filler)?;
        let seen = until_full(&program, &mut ledger)?;
        second = (second.0 + seen.0, second.1 + seen.1);
        let used = Timestamp::now();
        telling = telling.max(vitals::wait_ill(&program, &["full"])?);
        lives(&program)?;
        if is_killed {
            program.kill()?;
            // The disk is still full: it starts, or says why not.
            if let Some(program) = attempt(&settings)? {
                lives(&program)?;
            }
            remove(&filler)?;
            program = settings.start()?;
        } else {
            remove(&filler)?;
            healing = healing.max(vitals::wait_well(&program)?);
            let marks = vitals::wait(&program, "the marks are written", || {
                Ok(newest_mark(&settings)? >= used)
            })?;
            marked = marked.max(marks);
        }
        check(&program, &mut ledger, &mut trail)?;
        lane::write(&program, &mut ledger, Failure::Stop, &|| false)?;
        check(&program, &mut ledger, &mut trail)?;
    }
    program.kill()?;
    check(&settings.start()?, &mut ledger, &mut trail)?;
    let seen = format!(
        "by its own files: {} changes, then {} times 503; by another file: {}, {}; told after \
         {telling:.1?}; ready {healing:.1?} after there was room",
        first.0, first.1, second.0, second.1
    );
    Ok(Row::new(
        format!("full: a disk of {SIZE} KiB, filled three times"),
        seen,
        format!(
            "503 and right answers at the door, it heals ≤ {:?}, nothing lost",
            vitals::HEALING
        ),
    )
    .within(
        telling.max(healing).max(marked),
        vitals::HEALING,
        vitals::HANG,
    ))
}

fn check(program: &Program, ledger: &mut Ledger, trail: &mut Trail) -> Result<(), String> {
    let expected = ledger.expected(u64::MAX);
    let found = check::everything(program, &expected, trail);
    ledger.settle(&found.map_err(|lost| told(program, &lost))?);
    Ok(())
}

/// Writes until changes are refused, and some more; how many were acknowledged, and refused.
fn until_full(program: &Program, ledger: &mut Ledger) -> Result<(usize, usize), String> {
    let (all, more) = (AtomicU32::new(0), AtomicU32::new(0));
    let goes_on = || match vitals::trouble(program) {
        Ok(None) => all.fetch_add(1, Ordering::Relaxed) < MOST,
        _ => more.fetch_add(1, Ordering::Relaxed) < MORE,
    };
    lane::write_while(program, ledger, Failure::LookUp, &goes_on, || {
        lives(program)
    })?;
    let entries = ledger.writers.iter().flat_map(|writer| &writer.journal);
    let failed = entries.filter(|entry| entry.is_failed).count();
    match failed {
        0 => Err(told(program, "the disk is full, and no change was refused")),
        _ => Ok((ledger.acknowledged(), failed)),
    }
}

fn first_starts(run: &Run) -> Result<Row, String> {
    let (mut started, mut refused) = (0, 0);
    for size in SIZES {
        let at = |lost: String| format!("a first start on {size} KiB: {lost}");
        let disk = Tmpfs::mount(&run.new_folder(&format!("full-{size}"))?, size).map_err(at)?;
        let has_started = first_start(run, &disk)
            .inspect_err(|_| disk.keep(run))
            .map_err(at)?;
        match has_started {
            true => started += 1,
            false => refused += 1,
        }
    }
    let (least, most) = (SIZES[0], SIZES[SIZES.len() - 1]);
    Ok(Row::new(
        format!("full: first starts on {least} to {most} KiB"),
        format!("{started} started, {refused} refused with the reason; each works with room"),
        "a working server, or a line with the file and the next step",
    )
    .ok(started > 0 && refused > 0))
}

/// Whether it started without room; with room it works.
fn first_start(run: &Run, disk: &Tmpfs) -> Result<bool, String> {
    let settings = Settings::new(run, &disk.path)?;
    let has_started = match attempt(&settings)? {
        Some(program) => lives(&program).map(|()| true)?,
        None => false,
    };
    disk.resize(ROOM)?;
    let program = settings.start()?;
    let mut ledger = Ledger::new(run.seed, 1);
    lane::write(&program, &mut ledger, Failure::Stop, &|| false)?;
    check(&program, &mut ledger, &mut Trail::default())?;
    let expected = ledger.expected(0);
    if expected.iter().all(|one| one.state.users.is_empty()) {
        return Err("there is room, and nothing is written".to_owned());
    }
    program.kill()?;
    Ok(has_started)
}

/// Writes to the last byte.
fn fill(path: &Path) -> Result<(), String> {
    let mut file = std::fs::File::create(path).map_err(|error| error.to_string())?;
    for size in [64 * 1024, 1] {
        let piece = vec![7; size];
        while file.write_all(&piece).is_ok() {}
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), String> {
    std::fs::remove_file(path).map_err(|error| error.to_string())
}

/// A file system of its own; gone with this.
struct Tmpfs {
    path: PathBuf,
}

impl Tmpfs {
    fn mount(path: &Path, size: u32) -> Result<Self, String> {
        mount(
            &[
                "-t",
                "tmpfs",
                "-o",
                &format!("size={size}k,mode=700"),
                "tmpfs",
            ],
            path,
        )?;
        Ok(Self {
            path: path.to_owned(),
        })
    }

    fn resize(&self, size: u32) -> Result<(), String> {
        let size = format!("remount,size={size}k");
        // Named in full, or `mount` adds what the system shows of it, which a namespace may not ask for.
        mount(&["-t", "tmpfs", "-o", &size, "tmpfs"], &self.path)
    }

    /// What was lost shows in the files, which end with the mount: a copy of them stays.
    fn keep(&self, run: &Run) {
        let kept = std::env::var_os(INSIDE).map_or_else(|| run.folder.clone(), PathBuf::from);
        let kept = kept.join(format!("kept-{}", self.name()));
        let copied = Command::new("cp")
            .arg("-a")
            .args([&self.path, &kept])
            .output();
        match copied {
            Ok(copied) if copied.status.success() => {
                eprintln!("full: a copy is in {}", kept.display())
            }
            other => eprintln!("full: no copy of {}: {other:?}", self.path.display()),
        }
    }

    fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: a server may still be ending on it.
        let _ = Command::new("umount").arg("-l").arg(&self.path).output();
    }
}

fn mount(arguments: &[&str], path: &Path) -> Result<(), String> {
    let done = Command::new("mount").args(arguments).arg(path).output();
    let done = done.map_err(|error| format!("mount: {error}"))?;
    match done.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&done.stderr).into_owned()),
    }
}

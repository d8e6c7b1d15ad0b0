//! A small disk that is full: first of the server's own files, then of others, to the last byte; and
//! first starts on a disk with nearly no room.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use netbird_auth::clock::Timestamp;

use crate::check;
use crate::ends::attempt;
use crate::lane;
use crate::ledger::{Failure, Ledger};
use crate::program::{Program, Settings};
use crate::row::Row;
use crate::run::Run;
use crate::trail::Trail;
use crate::vitals::{self, lives, newest_mark, told};

/// KiB. SQLite's log alone would take twice as much before it is moved into the database.
const SIZE: u32 = 2 * 1024;
const ROOM: u32 = 64 * 1024;
/// KiB of first starts.
const SIZES: [u32; 14] = [4, 8, 16, 24, 32, 48, 64, 80, 96, 128, 160, 192, 256, 512];
/// Changes after the first 503.
const MORE: u32 = 40;
const MOST: u32 = 5_000;
/// This program within a namespace of its own, in which it may mount.
const INSIDE: &str = "CRASH_MAY_MOUNT";

pub fn run(run: &Run) -> Result<Vec<Row>, String> {
    let place = run.new_folder("full")?;
    match Tmpfs::mount(&place, SIZE) {
        Ok(disk) => {
            let mut rows = vec![filled(run, disk)?];
            rows.push(first_starts(run)?);
            Ok(rows)
        }
        Err(why) if std::env::var_os(INSIDE).is_some() => Ok(vec![skipped(&why)]),
        Err(_) => Ok(within_a_namespace(run)),
    }
}

fn skipped(why: &str) -> Row {
    let why = why.trim().replace(['\n', '|'], " ");
    Row::new(
        "full: a small disk",
        format!("skipped: {why}"),
        "a mount of a tmpfs",
    )
}

/// Who is not root may mount in a namespace, where the system allows that.
fn within_a_namespace(run: &Run) -> Vec<Row> {
    let tried = std::env::current_exe().and_then(|myself| {
        Command::new("unshare")
            .arg("-rm")
            .arg(myself)
            .args([
                "--bench",
                "full",
                "--seed",
                &run.seed.to_string(),
                "--binary",
            ])
            .arg(&run.binary)
            .env(INSIDE, "1")
            .output()
    });
    let output = match tried {
        Ok(output) => output,
        Err(error) => return vec![skipped(&format!("unshare: {error}"))],
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let rows: Vec<Row> = text
        .lines()
        .filter(|line| line.starts_with("| full"))
        .filter_map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            Some(
                Row::new(*cells.get(1)?, *cells.get(2)?, *cells.get(3)?).ok(*cells.get(4)? == "ok"),
            )
        })
        .collect();
    match rows.is_empty() {
        true => vec![skipped(&String::from_utf8_lossy(&output.stderr))],
        false => rows,
    }
}

fn filled(run: &Run, disk: Tmpfs) -> Result<Row, String> {
    let settings = Settings::new(run, &disk.path)?;
    let mut ledger = Ledger::new(run.seed, 3);
    let mut trail = Trail::default();
    let program = settings.start()?;
    // By the server's own files.
    let first = until_full(&program, &mut ledger)?;
    vitals::wait_ill(&program, &["full"])?;
    lives(&program)?;
    disk.resize(ROOM)?;
    let mut healing = vitals::wait_well(&program)?;
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
        vitals::wait_ill(&program, &["full"])?;
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
            vitals::wait(&program, "the marks are written", vitals::HEALING, || {
                Ok((newest_mark(&settings, run)? >= used).then_some(()))
            })?;
        }
        check(&program, &mut ledger, &mut trail)?;
        lane::write(&program, &mut ledger, Failure::Stop, &|| false)?;
        check(&program, &mut ledger, &mut trail)?;
    }
    program.kill()?;
    check(&settings.start()?, &mut ledger, &mut trail)?;
    let seen = format!(
        "by its own files: {} changes, then {} times 503; by another file: {}, {}; ready {healing:.1?} \
         after there was room",
        first.0, first.1, second.0, second.1
    );
    Ok(Row::new(
        format!("full: a disk of {SIZE} KiB, filled three times"),
        seen,
        "503 and right answers at the door, it heals, nothing lost",
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
        let settings = Settings::new(run, &disk.path)?;
        match attempt(&settings).map_err(at)? {
            Some(program) => {
                lives(&program).map_err(at)?;
                started += 1;
            }
            None => refused += 1,
        }
        disk.resize(ROOM)?;
        let program = settings.start().map_err(at)?;
        let mut ledger = Ledger::new(run.seed, 1);
        lane::write(&program, &mut ledger, Failure::Stop, &|| false).map_err(at)?;
        check(&program, &mut ledger, &mut Trail::default()).map_err(at)?;
        if ledger
            .expected(0)
            .iter()
            .all(|one| one.state.users.is_empty())
        {
            return Err(at("there is room, and nothing is written".to_owned()));
        }
        program.kill()?;
    }
    let (least, most) = (SIZES[0], SIZES[SIZES.len() - 1]);
    Ok(Row::new(
        format!("full: first starts on {least} to {most} KiB"),
        format!("{started} started, {refused} refused with the reason; each works with room"),
        "a working server, or a line with the file and the next step",
    )
    .ok(started > 0 && refused > 0))
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
        mount(&["-o", &format!("remount,size={size}k")], &self.path)
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

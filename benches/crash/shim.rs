//! `shim.c` and `step.h`, compiled for this run, and the file through which faults are armed while the program
//! runs.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::io::Errno;

/// Kinds of calls, to be added.
#[allow(dead_code, reason = "for groups in which the disk fails")]
pub mod call {
    /// Of a file that is there.
    pub const OPEN: u32 = 1;
    /// An open that makes the file.
    pub const CREATE: u32 = 2;
    pub const WRITE: u32 = 4;
    pub const TRUNCATE: u32 = 8;
    pub const SYNC: u32 = 16;
    pub const RENAME: u32 = 32;
    pub const UNLINK: u32 = 64;
    pub const LINK: u32 = 128;
    pub const MAKE_FOLDER: u32 = 256;
    pub const READ: u32 = 512;
    /// The writer's thread looks at a clock, which is of no file; Rust's standard library panics
    /// where that fails.
    pub const CLOCK: u32 = 1024;
    /// Whatever changes the disk.
    pub const CHANGES: u32 =
        CREATE | WRITE | TRUNCATE | SYNC | RENAME | UNLINK | LINK | MAKE_FOLDER;
}

/// Kinds of files, to be added.
#[allow(dead_code, reason = "for groups in which the disk fails")]
pub mod kind {
    /// Also while it is being made.
    pub const DATABASE: u32 = 1;
    pub const LOG: u32 = 2;
    pub const SHM: u32 = 4;
    pub const JOURNAL: u32 = 8;
    pub const FOLDER: u32 = 16;
    /// The lock, the owner's token.
    pub const OTHER: u32 = 32;
    pub const ANY: u32 = u32::MAX;
}

/// What befalls the Nth call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "for groups in which the disk fails")]
pub enum Action {
    /// It changes nothing and fails.
    Fail = 1,
    /// A write puts half of it on the disk and says so; the next call that counts fails.
    Half = 2,
    /// SIGKILL instead of the call.
    KillBefore = 3,
    /// SIGKILL behind the call, before the program knows its result.
    KillAfter = 4,
    /// A sync does nothing and says that it did, as a bad disk does.
    Lie = 5,
}

/// What is to happen.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Calls that count, of [`call`].
    pub calls: u32,
    /// Files on which they count, of [`kind`].
    pub files: u32,
    pub action: Action,
    pub error: Errno,
    /// Counted from 1, from now on.
    pub nth: u64,
    /// Each one from the Nth on, until [`Control::disarm`].
    pub is_sticky: bool,
}

/// The file that a running program shares with this one. It may be armed before the program starts.
pub struct Control {
    path: PathBuf,
    file: File,
}

/// Where `seen` and `hits` stand in `struct control`, and how long it is.
#[allow(dead_code, reason = "for groups that kill at every step")]
const SEEN: u64 = 32;
const HITS: u64 = 40;
const LENGTH: usize = 48;

impl Control {
    /// A new one; nothing is armed.
    pub fn create(path: &Path) -> Self {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
            .unwrap();
        file.write_all_at(&[0; LENGTH], 0).unwrap();
        Self {
            path: path.to_owned(),
            file,
        }
    }

    /// Counts from here on, and lets it happen.
    pub fn arm(&self, fault: Fault) {
        self.disarm();
        let words = [
            fault.calls,
            fault.files,
            fault.action as u32,
            fault.error.raw_os_error().cast_unsigned(),
            u32::from(fault.is_sticky),
        ];
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        for number in [fault.nth, 0, 0] {
            bytes.extend(number.to_ne_bytes());
        }
        self.file.write_all_at(&bytes, 4).unwrap();
        self.file.write_all_at(&1_u32.to_ne_bytes(), 0).unwrap();
    }

    /// Counts only: how many calls a run makes. The Nth is never reached.
    #[allow(dead_code, reason = "for groups that kill at every step")]
    pub fn count(&self, calls: u32, files: u32) {
        self.arm(Fault {
            calls,
            files,
            action: Action::Fail,
            error: Errno::IO,
            nth: u64::MAX,
            is_sticky: false,
        });
    }

    /// Lets nothing happen any more; the counters stay.
    pub fn disarm(&self) {
        self.file.write_all_at(&0_u32.to_ne_bytes(), 0).unwrap();
    }

    /// Calls that counted since it was armed.
    #[allow(dead_code, reason = "for groups that kill at every step")]
    pub fn seen(&self) -> u64 {
        self.number(SEEN)
    }

    /// How many of them something befell.
    pub fn hits(&self) -> u64 {
        self.number(HITS)
    }

    fn number(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, at).unwrap();
        u64::from_ne_bytes(bytes)
    }
}

/// The compiled library.
pub struct Shim {
    library: PathBuf,
}

impl Shim {
    /// Compiles it into a folder.
    pub fn compile(folder: &Path) -> Self {
        let source = folder.join("shim.c");
        let library = folder.join("shim.so");
        std::fs::write(&source, include_str!("shim.c")).unwrap();
        std::fs::write(folder.join("step.h"), include_str!("step.h")).unwrap();
        let flags = "-shared -fPIC -O2 -std=gnu11 -Wall -Wextra -Werror";
        let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let compiled = Command::new(&compiler)
            .args(flags.split(' '))
            .arg("-o")
            .args([&library, &source])
            .args(["-ldl", "-lpthread"])
            .output()
            .unwrap_or_else(|error| {
                panic!("{compiler:?}: {error}: a C compiler is needed here (apt install gcc, or name one in CC)")
            });
        let said = String::from_utf8_lossy(&compiled.stderr);
        assert!(compiled.status.success(), "shim.c:\n{said}");
        Self { library }
    }

    /// The environment of a program whose files below a folder are watched. Both paths must be
    /// outside of it.
    pub fn environment(
        &self,
        folder: &Path,
        trace: Option<&Path>,
        control: Option<&Control>,
    ) -> Vec<(&'static str, OsString)> {
        let mut all = vec![
            ("LD_PRELOAD", self.library.clone().into()),
            ("SHIM_FOLDER", folder.into()),
        ];
        all.extend(trace.map(|trace| ("SHIM_TRACE", trace.into())));
        all.extend(control.map(|control| ("SHIM_CONTROL", control.path.clone().into())));
        all
    }
}

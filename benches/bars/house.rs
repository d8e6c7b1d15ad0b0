//! Databases that several groups use, and what their files say afterwards.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use netbird_auth::clock::Timestamp;
use netbird_auth::store;
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use crate::Bench;
use crate::fill::{self, Filled, Size};
use crate::row;

/// A database that goes with its folder.
pub struct House {
    pub path: PathBuf,
    /// The plain text of the owner's token.
    pub owner: String,
    pub size: Size,
    _folder: TempDir,
}

impl House {
    /// A new database of a size.
    pub fn new(bench: &Bench, size: Size) -> Self {
        let folder = TempDir::new_in(bench.folder.path()).unwrap();
        let Filled { path, owner, size } = fill::fill(folder.path(), "house.db", size);
        Self {
            path,
            owner,
            size,
            _folder: folder,
        }
    }

    /// A copy of the big database, to be changed.
    pub fn big(bench: &Bench) -> Self {
        let big = bench.big();
        let folder = TempDir::new_in(bench.folder.path()).unwrap();
        let path = folder.path().join("house.db");
        fs::copy(&big.path, &path).unwrap();
        Self {
            path,
            owner: big.owner.clone(),
            size: big.size,
            _folder: folder,
        }
    }

    /// As a first start leaves it: the owner, with one token.
    pub fn empty(bench: &Bench) -> Self {
        let folder = TempDir::new_in(bench.folder.path()).unwrap();
        let path = folder.path().join("house.db");
        let owner = fill::make(&path);
        let size = Size {
            tokens: 0,
            users: 0,
        };
        Self {
            path,
            owner,
            size,
            _folder: folder,
        }
    }

    /// How many tokens are known to have been used since a moment; waits up to ten seconds for as
    /// many as are expected, since marks are written each second.
    pub fn used_since(&self, moment: Timestamp, expected: u64) -> u64 {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let connection = Connection::open_with_flags(&self.path, flags).unwrap();
        connection.busy_timeout(Duration::from_secs(1)).unwrap();
        let asked = Instant::now();
        loop {
            let sql = "SELECT count(*) FROM token_usage WHERE last_used >= ?1";
            let used = connection
                .query_row(sql, [moment], |row| row.get::<_, u32>(0))
                .unwrap();
            let used = u64::from(used);
            if used >= expected || asked.elapsed() > Duration::from_secs(10) {
                return used;
            }
        }
    }

    /// A connection as the server's writer has it, while there is no server.
    pub fn open(&self) -> Connection {
        store::open_writer(&self.path, Duration::from_secs(1)).unwrap()
    }
}

/// How many rounds count.
pub fn rounds(bench: &Bench) -> usize {
    if bench.is_small { 2 } else { row::ROUNDS }
}

/// How long a part of a round is.
pub fn slice(bench: &Bench, seconds: f64) -> Duration {
    Duration::from_secs_f64(if bench.is_small { 0.1 } else { seconds })
}

/// All numbers below a count, each once and far from the one before; then again.
pub struct Shuffled {
    pub count: u32,
    next: u64,
}

impl Shuffled {
    /// A prime that no count here is a multiple of.
    const STEP: u64 = 7_368_787;

    pub fn new(count: u32) -> Self {
        Self { count, next: 0 }
    }
}

impl Iterator for Shuffled {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let number = self.next as u32;
        self.next = (self.next + Self::STEP) % u64::from(self.count);
        Some(number)
    }
}

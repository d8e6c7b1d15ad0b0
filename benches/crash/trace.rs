//! What `shim.c` wrote down: each change of a watched file, in order.

use std::path::Path;

/// Device and inode; a number is used again when its file is gone.
pub type FileNumber = (u64, u64);

/// One call that changed something, or a sync.
#[derive(Clone, Debug)]
pub struct Record {
    /// Of which file; a rename's is the one that is renamed.
    pub file: FileNumber,
    /// Relative to the watched folder, which is "".
    pub name: String,
    pub change: Change,
    /// Where the record ends in the trace: what was acknowledged when the trace was this long has
    /// this record behind it.
    pub end: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Create,
    MakeFolder,
    Write {
        at: u64,
        data: Box<[u8]>,
    },
    Truncate(u64),
    Sync {
        has_failed: bool,
    },
    /// Of what is in the file, and no names.
    DataSync {
        has_failed: bool,
    },
    Rename {
        to: String,
    },
    Link {
        to: String,
    },
    Unlink,
}

impl Change {
    /// Of a sync of either kind, whether it failed.
    pub fn sync_failed(&self) -> Option<bool> {
        match self {
            Self::Sync { has_failed } | Self::DataSync { has_failed } => Some(*has_failed),
            _ => None,
        }
    }
}

/// As in `struct record`.
const HEAD: usize = 40;

/// Reads a trace. The program may still be writing to it: the last record may be there in part.
pub fn read(path: &Path) -> Vec<Record> {
    let bytes = std::fs::read(path).unwrap();
    let (mut records, mut at) = (Vec::new(), 0);
    while let Some(head) = bytes.get(at..at + HEAD) {
        let length = number(head, 0, 4) as usize;
        let Some(whole) = bytes.get(at..at + length) else {
            break;
        };
        at += length;
        records.push(parse(whole, at as u64));
    }
    records
}

fn parse(whole: &[u8], end: u64) -> Record {
    let first = number(whole, 32, 4) as usize;
    let (first, second) = whole[HEAD..].split_at(first);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let offset = number(whole, 24, 8);
    let mut name = first;
    let change = match number(whole, 4, 2) {
        1 => Change::Create,
        2 => {
            name = second;
            Change::Write {
                at: offset,
                data: first.into(),
            }
        }
        3 => Change::Truncate(offset),
        4 => Change::Sync {
            has_failed: number(whole, 6, 2) != 0,
        },
        5 => Change::Rename { to: text(second) },
        6 => Change::Unlink,
        7 => Change::Link { to: text(second) },
        8 => Change::MakeFolder,
        10 => Change::DataSync {
            has_failed: number(whole, 6, 2) != 0,
        },
        9 => panic!(
            "the program calls {} on {}, which the model does not know: teach it, or the replay is blind",
            text(first),
            text(second)
        ),
        kind => panic!("a record of kind {kind}: shim.c and trace.rs differ"),
    };
    Record {
        file: (number(whole, 8, 8), number(whole, 16, 8)),
        name: text(name),
        change,
        end,
    }
}

fn number(bytes: &[u8], at: usize, size: usize) -> u64 {
    let mut number = [0; 8];
    number[..size].copy_from_slice(&bytes[at..at + size]);
    u64::from_le_bytes(number)
}

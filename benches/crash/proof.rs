//! Whether the model of the disk is right: tiny traces whose possible states are known, all of them.
//! Each run of the replay begins with it.

use std::collections::BTreeSet;

use crate::disk::{Base, Disk, Names, State};
use crate::random::Random;
use crate::trace::{Change, Record};

/// Enough that each of so few states turns up.
const ROLLS: u64 = 4000;

/// A step of a tiny trace: which file (a number), its name and what happens.
type Step = (u64, &'static str, Change);

struct Case {
    title: &'static str,
    steps: Vec<Step>,
    journaled: &'static [&'static str],
    strict: &'static [&'static str],
}

/// Panics where the model has a state too many or too few.
pub fn prove() {
    for case in cases() {
        let records: Vec<Record> = case.steps.iter().map(record).collect();
        for (model, expected) in [
            (Names::Journaled, case.journaled),
            (Names::Strict, case.strict),
        ] {
            let seen: BTreeSet<String> = (0..ROLLS)
                .map(|seed| {
                    let mut dice = Random::new(seed, 0);
                    let base = Base::default();
                    let disk = Disk::replay(&base, &records, model, &mut dice);
                    show(&disk.state(&mut dice))
                })
                .collect();
            let expected: BTreeSet<String> = expected.iter().map(|&state| state.into()).collect();
            assert_eq!(seen, expected, "{} ({model:?})", case.title);
        }
    }
}

fn record((file, name, change): &Step) -> Record {
    Record {
        file: (0, *file),
        name: (*name).to_owned(),
        change: change.clone(),
        end: 0,
    }
}

/// The files as `name=content`; runs of a character are one, a zero is a dot.
fn show(state: &State) -> String {
    let files = state.files.iter().map(|(name, content)| {
        let mut text: Vec<u8> = content.clone();
        text.dedup();
        let text = String::from_utf8_lossy(&text).replace('\0', ".");
        format!("{name}={text}")
    });
    files.collect::<Vec<_>>().join(" ")
}

fn write(at: u64, data: &str) -> Change {
    let data = data.as_bytes().into();
    Change::Write { at, data }
}

fn rename(to: &str) -> Change {
    let to = to.to_owned();
    Change::Rename { to }
}

fn cases() -> Vec<Case> {
    use Change::{Create, MakeFolder, Truncate, Unlink};
    let synced = Change::Sync { has_failed: false };
    let failed = Change::Sync { has_failed: true };
    let synced_data = Change::DataSync { has_failed: false };
    let made = |file, name| {
        [
            (file, name, Create),
            (file, name, write(0, "a")),
            (file, name, synced.clone()),
            (0, "", synced.clone()),
        ]
    };
    let with = |steps: Vec<Step>| {
        let mut all = vec![(0, "", MakeFolder)];
        all.extend(made(1, "f"));
        all.extend(steps);
        all
    };
    vec![
        Case {
            title: "a synced file in a synced folder is there",
            steps: with(vec![]),
            journaled: &["f=a"],
            strict: &["f=a"],
        },
        Case {
            title: "a new file that nobody synced",
            steps: with(vec![(2, "g", Create), (2, "g", write(0, "x"))]),
            journaled: &["f=a", "f=a g=", "f=a g=.", "f=a g=x"],
            strict: &["f=a", "f=a g=", "f=a g=.", "f=a g=x"],
        },
        Case {
            title: "a file's own sync makes its name durable in a journal",
            steps: with(vec![
                (2, "g", Create),
                (2, "g", write(0, "x")),
                (2, "g", synced.clone()),
            ]),
            journaled: &["f=a g=x"],
            strict: &["f=a", "f=a g=x"],
        },
        Case {
            title: "a write may be there in part",
            steps: with(vec![(1, "f", write(0, "xyz"))]),
            journaled: &["f=a", "f=x", "f=xy", "f=xyz", "f=a.", "f=x.", "f=xy."],
            strict: &["f=a", "f=x", "f=xy", "f=xyz", "f=a.", "f=x.", "f=xy."],
        },
        Case {
            title: "a write is torn between the sectors of the file",
            steps: with(vec![
                (1, "f", Truncate(1024)),
                (1, "f", synced.clone()),
                (1, "f", write(511, "xy")),
            ]),
            journaled: &["f=a.", "f=a.x.", "f=a.y.", "f=a.xy."],
            strict: &["f=a.", "f=a.x.", "f=a.y.", "f=a.xy."],
        },
        Case {
            title: "writes are there in any order and choice",
            steps: with(vec![(1, "f", write(0, "x")), (1, "f", write(0, "y"))]),
            journaled: &["f=a", "f=x", "f=y"],
            strict: &["f=a", "f=x", "f=y"],
        },
        Case {
            title: "a truncation waits for a sync too",
            steps: with(vec![(1, "f", Truncate(0))]),
            journaled: &["f=a", "f="],
            strict: &["f=a", "f="],
        },
        Case {
            title: "a sync confirms what was written before it, of that file",
            steps: with(vec![
                (1, "f", write(0, "x")),
                (1, "f", synced.clone()),
                (1, "f", write(0, "y")),
            ]),
            journaled: &["f=x", "f=y"],
            strict: &["f=x", "f=y"],
        },
        Case {
            title: "no later sync mends one that failed",
            steps: with(vec![
                (1, "f", write(0, "x")),
                (1, "f", failed.clone()),
                (1, "f", write(1, "y")),
                (1, "f", synced.clone()),
            ]),
            journaled: &["f=ay", "f=xy"],
            strict: &["f=ay", "f=xy"],
        },
        Case {
            title: "names go to the journal in order",
            steps: with(vec![(1, "f", rename("g")), (2, "h", Create)]),
            journaled: &["f=a", "g=a", "g=a h="],
            strict: &["f=a", "g=a", "f=a h=", "g=a h="],
        },
        Case {
            title: "a rename is durable with any later sync in a journal",
            steps: with(vec![(1, "f", rename("g")), (1, "g", synced.clone())]),
            journaled: &["g=a"],
            strict: &["f=a", "g=a"],
        },
        Case {
            title: "fdatasync makes what is in a file durable, and how long it is",
            steps: with(vec![
                (1, "f", write(0, "xx")),
                (1, "f", synced_data.clone()),
                (1, "f", Truncate(0)),
            ]),
            journaled: &["f=x", "f="],
            strict: &["f=x", "f="],
        },
        Case {
            title: "fdatasync makes no name durable",
            steps: with(vec![
                (2, "g", Create),
                (2, "g", write(0, "x")),
                (2, "g", synced_data.clone()),
                (1, "f", Unlink),
                (2, "g", synced_data),
            ]),
            journaled: &["f=a", "f=a g=x", "g=x"],
            strict: &["f=a", "f=a g=x", "g=x", ""],
        },
        Case {
            title: "no later sync mends an fdatasync that failed",
            steps: with(vec![
                (1, "f", write(0, "x")),
                (1, "f", Change::DataSync { has_failed: true }),
                (1, "f", synced.clone()),
            ]),
            journaled: &["f=a", "f=x"],
            strict: &["f=a", "f=x"],
        },
        Case {
            title: "a sync that fails makes no name durable",
            steps: with(vec![(1, "f", Unlink), (0, "", failed)]),
            journaled: &["f=a", ""],
            strict: &["f=a", ""],
        },
        Case {
            title: "a sync of the folder makes a removal durable",
            steps: with(vec![(1, "f", Unlink), (0, "", synced.clone())]),
            journaled: &[""],
            strict: &[""],
        },
        Case {
            title: "an inode's number is used again",
            steps: with(vec![(1, "f", Unlink), (1, "g", Create)]),
            journaled: &["f=a", "", "g="],
            strict: &["f=a", "", "g=", "f=a g="],
        },
    ]
}

//! A model of the disk: what a power cut may leave of the changes in a trace.
//!
//! What was written to a file since its last successful sync may be there or not, in part, torn, in
//! any order. A sync that fails leaves what it should have written in that uncertainty for ever: the
//! kernel holds those pages clean from then on, and no later sync writes them.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::fate::{Taste, befall, put};
use crate::random::Random;
use crate::trace::{Change, FileNumber, Record};

/// When a name (a creation, a rename, a link, a removal) is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// In order, with any later fsync of anything, as the journals of ext4 and xfs do it.
    Journaled,
    /// With a sync of its folder only; until then each by itself.
    Strict,
}

/// What is on a disk, relative to the watched folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct State {
    pub folders: Vec<String>,
    pub files: BTreeMap<String, Vec<u8>>,
}

impl State {
    /// Makes it real, in a folder that exists and is empty.
    pub fn write(&self, folder: &Path) {
        for name in &self.folders {
            fs::create_dir(folder.join(name)).unwrap();
        }
        for (name, content) in &self.files {
            fs::write(folder.join(name), content).unwrap();
        }
    }
}

/// A file or folder, which may have a name.
#[derive(Clone, Default)]
struct Node<'t> {
    is_folder: bool,
    /// Certain.
    content: Vec<u8>,
    pending: Vec<&'t Change>,
}

/// A change of names.
struct NameChange<'t> {
    record: &'t Record,
    node: usize,
}

/// The disk while a trace is played to it.
pub struct Disk<'t> {
    model: Names,
    nodes: Vec<Node<'t>>,
    numbers: HashMap<FileNumber, usize>,
    names: BTreeMap<String, usize>,
    pending: Vec<NameChange<'t>>,
}

/// What is there, and durable, when a trace begins.
#[derive(Default)]
pub struct Base(Vec<(String, FileNumber, Option<Vec<u8>>)>);

impl Base {
    /// A folder and all below it. No program may be running there.
    pub fn of(folder: &Path) -> Self {
        let mut base = Self::default();
        base.add(folder, "");
        base
    }

    fn add(&mut self, path: &Path, name: &str) {
        let metadata = fs::symlink_metadata(path).unwrap();
        let number = (metadata.dev(), metadata.ino());
        let content = metadata.is_file().then(|| fs::read(path).unwrap());
        let is_folder = content.is_none();
        self.0.push((name.to_owned(), number, content));
        if is_folder {
            for entry in fs::read_dir(path).unwrap().map(Result::unwrap) {
                let own = entry.file_name().into_string().unwrap();
                let below = match name {
                    "" => own,
                    _ => format!("{name}/{own}"),
                };
                self.add(&entry.path(), &below);
            }
        }
    }
}

impl<'t> Disk<'t> {
    /// Plays records. The dice say what became of writes whose sync failed.
    pub fn replay(base: &Base, records: &'t [Record], model: Names, dice: &mut Random) -> Self {
        let mut disk = Self {
            model,
            nodes: Vec::new(),
            numbers: HashMap::new(),
            names: BTreeMap::new(),
            pending: Vec::new(),
        };
        for (name, number, content) in &base.0 {
            let node = disk.add(*number, content.is_none());
            disk.nodes[node].content = content.clone().unwrap_or_default();
            disk.names.insert(name.clone(), node);
        }
        for record in records {
            disk.play(record, dice);
        }
        disk
    }

    fn add(&mut self, number: FileNumber, is_folder: bool) -> usize {
        self.nodes.push(Node {
            is_folder,
            ..Node::default()
        });
        self.numbers.insert(number, self.nodes.len() - 1);
        self.nodes.len() - 1
    }

    fn play(&mut self, record: &'t Record, dice: &mut Random) {
        if matches!(record.change, Change::Create | Change::MakeFolder) {
            self.add(record.file, record.change == Change::MakeFolder);
        }
        let Some(&node) = self.numbers.get(&record.file) else {
            panic!("the trace does not say where {record:?} comes from");
        };
        match &record.change {
            Change::Write { .. } | Change::Truncate(_) => {
                // It is mapped too, and what is written that way is not in the trace.
                if !is_shared_memory(&record.name) {
                    self.nodes[node].pending.push(&record.change);
                }
            }
            Change::Sync { has_failed } => {
                self.sync_data(node, *has_failed, dice);
                if !has_failed {
                    self.sync_names(record, node);
                }
            }
            // It need not bring the names along, not even the file's own: they wait for an fsync.
            Change::DataSync { has_failed } => self.sync_data(node, *has_failed, dice),
            _ => self.pending.push(NameChange { record, node }),
        }
    }

    /// Makes durable what is in a file, and how long it is.
    fn sync_data(&mut self, node: usize, has_failed: bool, dice: &mut Random) {
        let node = &mut self.nodes[node];
        let pending = std::mem::take(&mut node.pending);
        if has_failed {
            befall(&mut node.content, &pending, Taste::any(dice), dice);
            return;
        }
        for change in pending {
            match change {
                Change::Truncate(length) => node.content.resize(*length as usize, 0),
                Change::Write { at, data } => put(&mut node.content, *at as usize, data),
                _ => {}
            }
        }
    }

    fn sync_names(&mut self, record: &Record, node: usize) {
        let is_folder = self.nodes[node].is_folder;
        let mut uncertain = Vec::new();
        for change in std::mem::take(&mut self.pending) {
            let is_durable = match self.model {
                Names::Journaled => true,
                Names::Strict => is_folder && folder_of(change.target()) == record.name,
            };
            match is_durable {
                true => change.apply(&mut self.names),
                false => uncertain.push(change),
            }
        }
        self.pending = uncertain;
    }

    /// Whether a power cut now would leave only one state.
    pub fn is_certain(&self) -> bool {
        let mut named = self.names.values();
        self.pending.is_empty() && named.all(|node| self.nodes[*node].pending.is_empty())
    }

    /// One of the states that a power cut now may leave.
    pub fn state(&self, dice: &mut Random) -> State {
        let mut names = self.names.clone();
        let taste = Taste::any(dice);
        let edge = dice.index(self.pending.len() + 1);
        for (which, change) in self.pending.iter().enumerate() {
            let is_there = match (taste, self.model) {
                (Taste::NoneThere, _) => false,
                (Taste::AllThere, _) => true,
                (_, Names::Journaled) => which < edge,
                (_, Names::Strict) => dice.coin(),
            };
            if is_there {
                change.apply(&mut names);
            }
        }
        // One taste for all files, or each its own.
        let common = dice.coin().then(|| Taste::any(dice));
        let mut contents = HashMap::new();
        let mut state = State::default();
        for (name, node) in &names {
            if !name.is_empty() && !has_folder(&names, name) {
                continue;
            }
            if self.nodes[*node].is_folder {
                if !name.is_empty() {
                    state.folders.push(name.clone());
                }
            } else if is_shared_memory(name) {
                if let Some(content) = garbage(dice) {
                    state.files.insert(name.clone(), content);
                }
            } else {
                // A link is a second name of the same content.
                let content = contents.entry(*node).or_insert_with(|| {
                    let taste = common.unwrap_or_else(|| Taste::any(dice));
                    let mut content = self.nodes[*node].content.clone();
                    befall(&mut content, &self.nodes[*node].pending, taste, dice);
                    content
                });
                state.files.insert(name.clone(), content.clone());
            }
        }
        state
    }
}

impl NameChange<'_> {
    /// The name that comes to be, or goes.
    fn target(&self) -> &str {
        match &self.record.change {
            Change::Rename { to } | Change::Link { to } => to,
            _ => &self.record.name,
        }
    }

    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match &self.record.change {
            Change::Unlink => {
                names.remove(&self.record.name);
            }
            Change::Rename { to } => {
                names.remove(&self.record.name);
                names.insert(to.clone(), self.node);
            }
            Change::Link { to } => {
                names.insert(to.clone(), self.node);
            }
            _ => {
                names.insert(self.record.name.clone(), self.node);
            }
        }
    }
}

/// SQLite's wal-index: never durable, since nobody syncs it.
fn is_shared_memory(name: &str) -> bool {
    name.ends_with("-shm")
}

/// Something that may be in it after a power cut; `None` is no file.
fn garbage(dice: &mut Random) -> Option<Vec<u8>> {
    let mut content = vec![0; *dice.pick(&[0, 3, 512, 32_768, 65_536])];
    match dice.below(3) {
        0 => return None,
        1 => {}
        _ => content.fill_with(|| dice.next() as u8),
    }
    Some(content)
}

fn folder_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn has_folder(names: &BTreeMap<String, usize>, name: &str) -> bool {
    let folder = folder_of(name);
    folder.is_empty() || (names.contains_key(folder) && has_folder(names, folder))
}

//! What becomes of the writes of one file that no sync has confirmed.

use crate::random::Random;
use crate::trace::Change;

const SECTOR: usize = 512;

/// How a state likes its writes. Extreme ones are frequent, since most mistakes show there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taste {
    NoneThere,
    AllThere,
    Coins,
    Few,
    Most,
    LastAbsent,
    OnlyLast,
    /// Up to one of them all, that one torn, none behind it.
    Front,
    Torn,
    /// The files have grown, and the data is not there.
    Zeros,
    Anything,
}

impl Taste {
    const ALL: [Self; 11] = [
        Self::NoneThere,
        Self::AllThere,
        Self::Coins,
        Self::Few,
        Self::Most,
        Self::LastAbsent,
        Self::OnlyLast,
        Self::Front,
        Self::Torn,
        Self::Zeros,
        Self::Anything,
    ];

    pub fn any(dice: &mut Random) -> Self {
        *dice.pick(&Self::ALL)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Absent,
    Whole,
    /// Its first bytes.
    Part,
    /// Some of its sectors.
    Torn,
    /// The file is as long as with it.
    Zeros,
}

/// Brings a file's content to one of the states that the pending changes allow.
pub fn befall(content: &mut Vec<u8>, pending: &[&Change], taste: Taste, dice: &mut Random) {
    let edge = dice.index(pending.len());
    let mut fates: Vec<(usize, Fate)> = (0..pending.len())
        .map(|which| (which, fate(taste, which, pending.len(), edge, dice)))
        .collect();
    // A disk writes in any order.
    if dice.coin() {
        dice.shuffle(&mut fates);
    }
    for (which, fate) in fates {
        match pending[which] {
            Change::Truncate(length) if fate == Fate::Whole => content.resize(*length as usize, 0),
            Change::Write { at, data } => write(content, *at as usize, data, fate, dice),
            _ => {}
        }
    }
}

fn fate(taste: Taste, which: usize, count: usize, edge: usize, dice: &mut Random) -> Fate {
    let is_last = which + 1 == count;
    let whole = |is_there| match is_there {
        true => Fate::Whole,
        false => Fate::Absent,
    };
    match taste {
        Taste::NoneThere => Fate::Absent,
        Taste::AllThere => Fate::Whole,
        Taste::Coins => whole(dice.coin()),
        Taste::Few => whole(dice.percent(10)),
        Taste::Most => whole(dice.percent(90)),
        Taste::LastAbsent => whole(!is_last),
        Taste::OnlyLast => whole(is_last),
        Taste::Front if which == edge => *dice.pick(&[Fate::Part, Fate::Torn]),
        Taste::Front => whole(which < edge),
        Taste::Torn => Fate::Torn,
        Taste::Zeros => Fate::Zeros,
        Taste::Anything => *dice.pick(&[
            Fate::Absent,
            Fate::Whole,
            Fate::Part,
            Fate::Torn,
            Fate::Zeros,
        ]),
    }
}

/// Puts a write into a content, as far as its fate goes.
fn write(content: &mut Vec<u8>, at: usize, data: &[u8], fate: Fate, dice: &mut Random) {
    match fate {
        Fate::Absent => {}
        Fate::Whole => put(content, at, data),
        Fate::Part => {
            if dice.coin() {
                grow(content, at + data.len());
            }
            put(content, at, &data[..dice.index(data.len() + 1)]);
        }
        Fate::Zeros => grow(content, at + data.len()),
        Fate::Torn => {
            if dice.coin() {
                grow(content, at + data.len());
            }
            let mut from = 0;
            while from < data.len() {
                // Sectors of the file, not of the write.
                let to = data.len().min(from + SECTOR - (at + from) % SECTOR);
                if dice.coin() {
                    put(content, at + from, &data[from..to]);
                }
                from = to;
            }
        }
    }
}

/// A write that is there.
pub fn put(content: &mut Vec<u8>, at: usize, data: &[u8]) {
    if data.is_empty() {
        return;
    }
    grow(content, at + data.len());
    content[at..at + data.len()].copy_from_slice(data);
}

fn grow(content: &mut Vec<u8>, length: usize) {
    if content.len() < length {
        content.resize(length, 0);
    }
}

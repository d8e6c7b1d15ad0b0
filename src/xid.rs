//! Xids: 20 characters of `0-9a-v` that sort by time, the form of NetBird's token ids.
//!
//! 12 bytes (4 of seconds, 5 random per process, 3 of a counter) in base32hex without padding, as
//! <https://github.com/rs/xid> defines them.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::clock::Timestamp;

/// Characters of an id.
pub const LENGTH: usize = 20;
/// 20 characters have 100 bits, 12 bytes have 96.
const STRAY: u32 = 4;
const ALPHABET: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";

/// An id that no other process or moment gives: token ids and request ids.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Xid([u8; LENGTH]);

impl Xid {
    /// A new id. Unique in this process for 16 million ids a second.
    pub fn new(now: Timestamp) -> Self {
        static PROCESS: OnceLock<([u8; 5], AtomicU32)> = OnceLock::new();
        let (process, counter) = PROCESS.get_or_init(|| {
            // An id is no secret: without randomness it is only less surely unique.
            let mut random = [0u8; 9];
            let _ = getrandom::fill(&mut random);
            let [a, b, c, d, e, w, x, y, z] = random;
            (
                [a, b, c, d, e],
                AtomicU32::new(u32::from_be_bytes([w, x, y, z])),
            )
        });
        let [_, c0, c1, c2] = counter.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let [s0, s1, s2, s3] = (now.seconds() as u32).to_be_bytes();
        let [p0, p1, p2, p3, p4] = *process;
        Self::encode(&[s0, s1, s2, s3, p0, p1, p2, p3, p4, c0, c1, c2])
    }

    /// Reads an id; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; LENGTH] = text.as_bytes().try_into().ok()?;
        bytes
            .iter()
            .all(|byte| ALPHABET.contains(byte))
            .then_some(Self(bytes))
    }

    /// The 12 bytes; less to keep a million of. An id whose last character has stray bits, which
    /// none of ours has, loses them.
    pub fn to_bytes(self) -> [u8; 12] {
        let value = |letter| ALPHABET.iter().position(|known| *known == letter);
        let bits = self.0.into_iter().fold(0u128, |bits, letter| {
            let value = value(letter).and_then(|value| u128::try_from(value).ok());
            (bits << 5) | value.unwrap_or_default()
        });
        let [_, _, _, _, bytes @ ..] = (bits >> STRAY).to_be_bytes();
        bytes
    }

    /// From the 12 bytes.
    pub fn from_bytes(bytes: &[u8; 12]) -> Self {
        Self::encode(bytes)
    }

    /// The 20 characters, all ASCII.
    pub fn as_bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }

    /// The 20 characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    fn encode(bytes: &[u8; 12]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = *bytes;
        let fives = [[a, b, c, d, e], [f, g, h, i, j], [k, l, 0, 0, 0]];
        let mut text = [b'0'; LENGTH];
        // Five bytes are eight characters.
        for (eight, [a, b, c, d, e]) in text.chunks_mut(8).zip(fives) {
            let bits = u64::from_be_bytes([0, 0, 0, a, b, c, d, e]);
            for (place, at) in eight.iter_mut().zip((0..8).rev()) {
                let value = (bits >> (5 * at)) & 31;
                *place = ALPHABET.get(value as usize).copied().unwrap_or_default();
            }
        }
        Self(text)
    }
}

impl std::fmt::Display for Xid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
impl std::fmt::Debug for Xid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_same_from_its_bytes() {
        for _ in 0..1000 {
            let id = Xid::new(Timestamp::from_micros(1_700_000_000_000_000));
            assert_eq!(Xid::from_bytes(&id.to_bytes()).as_str(), id.as_str());
        }
    }

    /// From the README of rs/xid: this id and the bytes it stands for.
    #[test]
    fn the_encoding_is_that_of_rs_xid() {
        let bytes = [
            0x4d, 0x88, 0xe1, 0x5b, 0x60, 0xf4, 0x86, 0xe4, 0x28, 0x41, 0x2d, 0xc9,
        ];
        assert_eq!(Xid::encode(&bytes).as_str(), "9m4e2mr0ui3e8a215n4g");
    }

    #[test]
    fn ids_differ_and_parse_back() {
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let ids: std::collections::HashSet<_> = (0..10_000).map(|_| Xid::new(now)).collect();
        assert_eq!(ids.len(), 10_000);
        for id in ids.iter().take(100) {
            assert_eq!(Xid::parse(id.as_str()), Some(*id));
        }
    }

    #[test]
    fn other_texts_are_no_id() {
        for text in [
            "",
            "9m4e2mr0ui3e8a215n4",
            "9m4e2mr0ui3e8a215n4w",
            "9M4E2MR0UI3E8A215N4G",
        ] {
            assert_eq!(Xid::parse(text), None, "{text}");
        }
    }
}

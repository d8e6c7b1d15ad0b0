//! The format of a personal access token: make, parse, checksum, hash. Pure.
//!
//! `nbp_`, 30 base62 characters of secret, 6 base62 characters of CRC-32 (IEEE) over the secret,
//! as NetBird has it. The plain text and its hash are different types, and neither shows a byte in
//! `Debug`: the plain one can only be read through [`PlainToken::expose`].

use std::fmt;
use std::ops::RangeInclusive;

use zeroize::Zeroize;

use crate::clock::Timestamp;

const PREFIX: &[u8; 4] = b"nbp_";
const SECRET_LENGTH: usize = 30;
const CHECKSUM_LENGTH: usize = 6;
/// Length of a whole token in bytes; all of them are ASCII.
pub const TOKEN_LENGTH: usize = PREFIX.len() + SECRET_LENGTH + CHECKSUM_LENGTH;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Days that a token lives: 1 to 365, as NetBird has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime(u16);

impl Lifetime {
    /// NetBird's default for the token of a setup.
    pub const ONE_DAY: Self = Self(1);

    /// The shortest and the longest, in days.
    pub const DAYS: RangeInclusive<u16> = 1..=365;

    /// `None` unless it is one of [`Lifetime::DAYS`].
    pub fn days(days: i64) -> Option<Self> {
        u16::try_from(days)
            .ok()
            .filter(|days| Self::DAYS.contains(days))
            .map(Self)
    }

    /// The last moment of a token made now.
    pub fn end(self, now: Timestamp) -> Timestamp {
        now.plus_days(self.0)
    }
}

/// Why a text is not a token, judged without a hash or a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// Length, prefix or alphabet is wrong.
    #[error("malformed token")]
    Malformed,
    /// The form is right, the last six characters do not fit the rest: mostly a typing error.
    #[error("bad token checksum")]
    BadChecksum,
}

/// A token that passed the checks of form, in the plain. Wiped from memory when dropped; has no
/// `Debug`, `Display`, `Clone` or `Serialize` on purpose.
pub struct PlainToken([u8; TOKEN_LENGTH]);

/// BLAKE3 of the whole 40 characters: what the database and the index hold.
///
/// Equality is constant-time (it is [`blake3::Hash`]'s own).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(blake3::Hash);

impl PlainToken {
    /// Makes a token from the operating system's random generator.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut secret = [0u8; SECRET_LENGTH];
        let mut filled = 0;
        let mut pool = [0u8; 64];
        while filled < SECRET_LENGTH {
            getrandom::fill(&mut pool)?;
            for byte in pool {
                // 248 is the largest multiple of 62 in a byte: beyond it some letters were likelier.
                let letter = (byte < 248).then(|| ALPHABET.get(usize::from(byte % 62)));
                if let (Some(Some(letter)), Some(place)) = (letter, secret.get_mut(filled)) {
                    *place = *letter;
                    filled += 1;
                }
            }
        }
        pool.zeroize();
        let mut text = [0u8; TOKEN_LENGTH];
        let parts = PREFIX
            .iter()
            .chain(&secret)
            .copied()
            .chain(checksum(&secret));
        for (place, byte) in text.iter_mut().zip(parts) {
            *place = byte;
        }
        secret.zeroize();
        Ok(Self(text))
    }

    /// Reads a token, refusing by form before anything costs something.
    ///
    /// # Errors
    /// [`TokenFault`] says which check failed; it never holds a byte of the text.
    pub fn parse(text: &str) -> Result<Self, TokenFault> {
        let bytes: &[u8; TOKEN_LENGTH] = check(text.as_bytes())?;
        Ok(Self(*bytes))
    }

    /// The plain text. Its only callers hand it to the person it was made for.
    pub fn expose(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// What is stored of it.
    pub fn hash(&self) -> TokenHash {
        TokenHash(blake3::hash(&self.0))
    }
}

impl Drop for PlainToken {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl TokenHash {
    /// Checks a presented credential by form and hashes it, without a copy of the plain text.
    ///
    /// # Errors
    /// [`TokenFault`], as [`PlainToken::parse`].
    pub fn of_presented(text: &[u8]) -> Result<Self, TokenFault> {
        check(text).map(|bytes| Self(blake3::hash(bytes)))
    }

    /// From the 32 bytes of a database row.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(blake3::Hash::from_bytes(bytes))
    }

    /// The 32 bytes for a database row.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

fn check(text: &[u8]) -> Result<&[u8; TOKEN_LENGTH], TokenFault> {
    let whole: &[u8; TOKEN_LENGTH] = text.try_into().map_err(|_| TokenFault::Malformed)?;
    let rest = whole.strip_prefix(PREFIX).ok_or(TokenFault::Malformed)?;
    let (secret, sum) = rest
        .split_first_chunk::<SECRET_LENGTH>()
        .ok_or(TokenFault::Malformed)?;
    if !(are_letters(secret) && are_letters(sum)) {
        return Err(TokenFault::Malformed);
    }
    if sum == checksum(secret) {
        Ok(whole)
    } else {
        Err(TokenFault::BadChecksum)
    }
}

/// To the end and without a branch, which is faster: many bytes are looked at together.
fn are_letters(text: &[u8]) -> bool {
    let letters = text.iter().map(u8::is_ascii_alphanumeric);
    letters.fold(true, std::ops::BitAnd::bitand)
}

/// CRC-32 in base62, most significant digit first, left-padded with `0`.
fn checksum(secret: &[u8; SECRET_LENGTH]) -> [u8; CHECKSUM_LENGTH] {
    let mut rest = crc32fast::hash(secret);
    let mut digits = [b'0'; CHECKSUM_LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET
            .get((rest % 62) as usize)
            .copied()
            .unwrap_or_default();
        rest /= 62;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const VECTORS: [&str; 3] = [
        "nbp_z1pvsg2wP3EzmEou4S679KyTNhov632eyrXe",
        "nbp_9999EUDNdkeusjentDLSJEn1902u84390W6W",
        "nbp_apTmlmUXHSC4PKmHwtIZNaGr8eqcVI2gMURp",
    ];

    #[test]
    fn tokens_made_by_netbird_verify() {
        for vector in VECTORS {
            assert!(PlainToken::parse(vector).is_ok(), "{vector}");
        }
    }

    #[test]
    fn what_is_stored_is_blake3_of_all_forty_characters() {
        let token = PlainToken::parse(VECTORS[0]).unwrap();
        assert_eq!(
            token.hash().as_bytes(),
            blake3::hash(VECTORS[0].as_bytes()).as_bytes()
        );
        assert_eq!(
            Ok(token.hash()),
            TokenHash::of_presented(VECTORS[0].as_bytes())
        );
    }

    #[test]
    fn a_hash_shows_no_byte_of_itself() {
        let token = PlainToken::generate().unwrap();
        assert_eq!(format!("{:?}", token.hash()), "TokenHash(..)");
    }

    #[test]
    fn form_is_judged_before_the_checksum() {
        let table = [
            ("", TokenFault::Malformed),
            ("nbp_", TokenFault::Malformed),
            (
                "nbq_z1pvsg2wP3EzmEou4S679KyTNhov632eyrXe",
                TokenFault::Malformed,
            ),
            (
                "nbp_z1pvsg2wP3EzmEou4S679KyTNhov632eyrX",
                TokenFault::Malformed,
            ),
            (
                "nbp_z1pvsg2wP3EzmEou4S679KyTNhov632eyrXee",
                TokenFault::Malformed,
            ),
            (
                "nbp_z1pvsg2wP3EzmEou4S679KyTNhov632e-rXe",
                TokenFault::Malformed,
            ),
            (
                "nbp_z1pvsg2wP3EzmEou4S679KyTNhov63éeyrX",
                TokenFault::Malformed,
            ),
            (
                "nbp_z1pvsg2wP3EzmEou4S679KyTNhov632eyrXf",
                TokenFault::BadChecksum,
            ),
            (
                "nbp_a1pvsg2wP3EzmEou4S679KyTNhov632eyrXe",
                TokenFault::BadChecksum,
            ),
        ];
        for (text, fault) in table {
            assert_eq!(PlainToken::parse(text).err(), Some(fault), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_generated_token_parses_and_no_other_byte_in_any_place_does(place in 0..TOKEN_LENGTH, byte in 0u8..128) {
            let token = PlainToken::generate().unwrap();
            prop_assert!(PlainToken::parse(token.expose()).is_ok());
            let mut changed = token.expose().as_bytes().to_vec();
            prop_assume!(changed[place] != byte);
            changed[place] = byte;
            prop_assert!(TokenHash::of_presented(&changed).is_err());
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = PlainToken::parse(&text);
        }
    }
}

//! Ed25519 points that the library takes and that are no keys. Pure.

use super::key_fault::KeyFault;

const SIZE: usize = 32;

/// 2^255 - 19, the prime of the field, most significant byte first.
const PRIME: [u8; SIZE] = prime_minus(0);

/// `y` of the points of order 1, 2, 4 and 8, most significant byte first. With either sign of `x`
/// they are all eight of them.
const SMALL_ORDER: [[u8; SIZE]; 5] = [
    [0; SIZE],
    one(),
    prime_minus(1),
    [
        0x05, 0xfc, 0x53, 0x6d, 0x88, 0x02, 0x38, 0xb1, 0x39, 0x33, 0xc6, 0xd3, 0x05, 0xac, 0xdf,
        0xd5, 0xf0, 0x98, 0xef, 0xf2, 0x89, 0xf4, 0xc3, 0x45, 0xb0, 0x27, 0xb2, 0xc2, 0x8f, 0x95,
        0xe8, 0x26,
    ],
    [
        0x7a, 0x03, 0xac, 0x92, 0x77, 0xfd, 0xc7, 0x4e, 0xc6, 0xcc, 0x39, 0x2c, 0xfa, 0x53, 0x20,
        0x2a, 0x0f, 0x67, 0x10, 0x0d, 0x76, 0x0b, 0x3c, 0xba, 0x4f, 0xd8, 0x4d, 0x3d, 0x70, 0x6a,
        0x17, 0xc7,
    ],
];

/// Whether the bytes are a point in the one form that RFC 8032 gives it, and not one of the eight
/// for which a signature can be made without a private key.
pub(super) fn judge(x: &[u8]) -> Result<(), KeyFault> {
    let mut y: [u8; SIZE] = x.try_into().map_err(|_| KeyFault::Length {
        member: "x",
        bytes: x.len(),
        needed: SIZE,
    })?;
    y.reverse();
    // The highest bit is the sign of the other coordinate.
    if let Some(first) = y.first_mut() {
        *first &= 0x7f;
    }
    if y >= PRIME {
        return Err(KeyFault::NotCanonical);
    }
    if SMALL_ORDER.contains(&y) {
        return Err(KeyFault::SmallOrder);
    }
    Ok(())
}

const fn prime_minus(less: u8) -> [u8; SIZE] {
    let mut number = [0xff; SIZE];
    number[0] = 0x7f;
    number[SIZE - 1] = 0xed - less;
    number
}

const fn one() -> [u8; SIZE] {
    let mut number = [0; SIZE];
    number[SIZE - 1] = 1;
    number
}

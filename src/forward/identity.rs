//! Who somebody is, as values of headers.

use std::borrow::Cow;
use std::fmt::Write;

/// What stands in a header that has nothing to say: an absent one is what a client can bring along,
/// and an empty one is dropped by some proxies. No user can have it as id.
pub const NOTHING: &str = "-";

/// A text as one element of a header's list: printable ASCII, everything else and `%` and `,`
/// percent-encoded, as are spaces at the ends, which HTTP drops. Never empty.
pub fn header_value(text: &str) -> Cow<'_, str> {
    if text.is_empty() {
        return NOTHING.into();
    }
    // A name that looks as if there were none.
    if text == NOTHING {
        return "%2D".into();
    }
    // To the end and without a branch, which is faster: many bytes are looked at together.
    let are_plain = text.bytes().map(is_plain);
    let are_plain = are_plain.fold(true, std::ops::BitAnd::bitand);
    if are_plain && !text.starts_with(' ') && !text.ends_with(' ') {
        return text.into();
    }
    let last = text.len() - 1;
    let mut value = String::with_capacity(text.len() * 3);
    for (place, byte) in text.bytes().enumerate() {
        let is_at_end = place == 0 || place == last;
        if is_plain(byte) && !(byte == b' ' && is_at_end) {
            value.push(char::from(byte));
        } else {
            let _ = write!(value, "%{byte:02X}");
        }
    }
    value.into()
}

/// Printable ASCII that stands for itself, but for a space at an end.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') & (byte != b'%') & (byte != b',')
}

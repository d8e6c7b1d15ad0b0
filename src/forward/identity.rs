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
    let last = text.len() - 1;
    let is_plain = |place: usize, byte: u8| match byte {
        b'%' | b',' => false,
        b' ' => place != 0 && place != last,
        byte => byte.is_ascii_graphic(),
    };
    if text
        .bytes()
        .enumerate()
        .all(|(place, byte)| is_plain(place, byte))
    {
        return text.into();
    }
    let mut value = String::with_capacity(text.len() * 3);
    for (place, byte) in text.bytes().enumerate() {
        if is_plain(place, byte) {
            value.push(char::from(byte));
        } else {
            let _ = write!(value, "%{byte:02X}");
        }
    }
    value.into()
}

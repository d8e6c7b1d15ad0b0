//! Values of headers.

use proptest::prelude::*;

use super::*;

#[test]
fn a_value_is_never_empty_and_always_printable() {
    let table = [
        ("", "-"),
        ("-", "%2D"),
        ("--", "--"),
        ("%2D", "%252D"),
        ("ann", "ann"),
        ("Ann Smith", "Ann Smith"),
        (" ", "%20"),
        (" a ", "%20a%20"),
        ("  a", "%20 a"),
        ("a,b%", "a%2Cb%25"),
        ("a\r\nX: y", "a%0D%0AX: y"),
        ("\ta", "%09a"),
        ("é\u{7f}", "%C3%A9%7F"),
    ];
    for (text, value) in table {
        assert_eq!(header_value(text), value);
    }
}

proptest! {
    #[test]
    fn a_value_is_plain_and_says_the_text(text in prop_oneof!["[ ,%a-]{0,6}", any::<String>()]) {
        let value = header_value(&text);
        prop_assert!(!value.is_empty());
        prop_assert!(value.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b','));
        prop_assert_eq!(value.trim(), &value);
        prop_assert_eq!(value == NOTHING, text.is_empty());
        for (place, _) in value.match_indices('%') {
            let digits = value.as_bytes().get(place + 1..place + 3).unwrap_or_default();
            let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
            prop_assert!(digits.len() == 2 && digits.iter().all(is_digit), "{}", value);
        }
        if !text.is_empty() {
            let decoded = percent_encoding::percent_decode_str(&value).decode_utf8();
            prop_assert_eq!(decoded.unwrap(), &*text);
        }
    }
}

//! Paths: the ids in those of the API, and those that the rules of forward-auth are for.

use netbird_auth::api::decode_segment;
use netbird_auth::forward::{Original, PathPrefix};
use netbird_auth::user::UserId;
use netbird_auth::xid::Xid;

use super::{percent_decoded, percent_encoded};

/// A raw path, and behind a line break the prefix of a rule.
pub fn run(data: &[u8]) {
    let mut lines = data.splitn(2, |byte| *byte == b'\n');
    let (path, prefix) = (lines.next().unwrap_or_default(), lines.next());
    if let Ok(path) = std::str::from_utf8(path) {
        path.split('/').for_each(id);
    }
    let judged = of_a_site(path);
    let prefix = prefix.and_then(|prefix| std::str::from_utf8(prefix).ok());
    if let Some(prefix) = prefix {
        rule(prefix, judged.as_deref());
    }
}

/// A segment is decoded once, and to what a simple reader makes of it.
fn id(raw: &str) {
    let expected = percent_decoded(raw.as_bytes()).and_then(|bytes| String::from_utf8(bytes).ok());
    let expected = expected.filter(|text| !text.chars().any(char::is_control));
    let found = decode_segment(raw);
    assert_eq!(found, expected);
    let Some(text) = found else { return };
    assert!(text.len() <= raw.len());
    assert_eq!(
        decode_segment(&percent_encoded(&text)).as_ref(),
        Some(&text)
    );
    if let Ok(id) = UserId::parse(&text) {
        assert_eq!(id.as_str(), text);
        assert!((1..=255).contains(&text.len()));
    }
    if let Some(id) = Xid::parse(&text) {
        assert_eq!(id.as_str(), text);
        let clean = Xid::from_bytes(&id.to_bytes());
        assert_eq!(Xid::from_bytes(&clean.to_bytes()).as_str(), clean.as_str());
    }
}

/// What every app understands alike is one path; the rest is none.
pub(super) fn of_a_site(uri: &[u8]) -> Option<Box<str>> {
    let original = Original::parse(b"GET", b"https", b"a.example", uri, false).ok();
    let path = original.and_then(|original| original.path)?;
    let raw = uri.split(|byte| *byte == b'?').next().unwrap_or_default();
    assert_eq!(percent_decoded(raw).as_deref(), Some(path.as_bytes()));
    assert!(path.starts_with('/'));
    assert!(!path.contains(['\\', ';', '#', '%', '?', '\u{7f}']));
    assert!(!path.bytes().any(|byte| byte < b' '));
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        assert!(segment != "." && segment != "..");
        assert!(!segment.is_empty() || segments.peek().is_none());
    }
    // Nothing is left to decode.
    let again = path.replace(' ', "%20");
    let again = Original::parse(b"GET", b"https", b"a.example", again.as_bytes(), false);
    assert_eq!(again.unwrap().path.as_ref(), Some(&path));
    Some(path)
}

fn rule(text: &str, path: Option<&str>) {
    let Ok(prefix) = PathPrefix::parse(text) else {
        return;
    };
    let shown = prefix.to_string();
    assert_eq!(PathPrefix::parse(&shown).as_ref(), Ok(&prefix));
    assert!(!text.contains(['?', '*', '%']) && text.starts_with('/'));
    assert!(prefix.fits(&shown) || shown == "/");
    let Some(path) = path else { return };
    let (wanted, is_below) = (segments(&shown), segments(path));
    assert_eq!(prefix.fits(path), is_below.starts_with(&wanted));
}

fn segments(path: &str) -> Vec<&str> {
    path.split('/')
        .filter(|segment| !segment.is_empty())
        .collect()
}

//! Lines of headers into a credential: the API's way and forward-auth's.

use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use netbird_auth::auth::{Presented, presented, presented_anywhere};
use netbird_auth::token::{PlainToken, TokenHash};

use super::headers;

/// Lines `authorization: …` and `x-api-key: …`.
pub fn run(data: &[u8]) {
    let headers = headers(data);
    by_the_letter(&headers);
    anywhere(&headers);
}

fn by_the_letter(headers: &HeaderMap) {
    let found = presented(headers).ok();
    let mut values = headers.get_all(AUTHORIZATION);
    let only = values.next().filter(|_| values.next().is_none());
    let credential = only.and_then(|value| reference(value.as_bytes()));
    match (&found, credential) {
        (None, None) => {}
        (Some(Presented::Token(hash)), Some(text)) if has_checksum(text) => {
            let text = std::str::from_utf8(text).unwrap();
            let plain = PlainToken::parse(text).unwrap_or_else(|_| panic!("no token"));
            assert_eq!(plain.expose(), text);
            assert!(plain.hash() == *hash);
            assert!(TokenHash::of_presented(text.as_bytes()).is_ok_and(|again| again == *hash));
            for scheme in ["Token", "bEaReR"] {
                let value = HeaderValue::from_str(&format!("{scheme} {text}")).unwrap();
                let again = HeaderMap::from_iter([(AUTHORIZATION, value)]);
                assert!(presented(&again).ok() == found);
                assert!(presented_anywhere(&again, None).ok() == found);
            }
        }
        (Some(Presented::Jwt(jwt)), Some(text)) => assert!(**jwt == *text && !has_checksum(text)),
        _ => panic!(
            "taken: {}, expected: {}",
            found.is_some(),
            credential.is_some()
        ),
    }
}

/// A token with its checksum after `Token` or `Bearer`, or after `Bearer` what begins like a JWT.
fn reference(value: &[u8]) -> Option<&[u8]> {
    let value = value.trim_ascii();
    let (scheme, credential) = [&b"token "[..], b"bearer "]
        .into_iter()
        .find_map(|scheme| {
            let start = value.get(..scheme.len())?;
            let rest = &value[scheme.len()..];
            start.eq_ignore_ascii_case(scheme).then_some((scheme, rest))
        })?;
    if credential.iter().any(u8::is_ascii_whitespace) {
        return None;
    }
    let is_jwt = scheme == b"bearer " && credential.starts_with(b"eyJ");
    (has_checksum(credential) || is_jwt).then_some(credential)
}

/// CRC-32 bit by bit, and base62 by division.
fn has_checksum(text: &[u8]) -> bool {
    let letters = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    if text.len() != 40 || !text.starts_with(b"nbp_") {
        return false;
    }
    let (secret, sum) = (&text[4..34], &text[34..]);
    if !secret.iter().all(|letter| letters.contains(letter)) {
        return false;
    }
    let mut crc = u32::MAX;
    for byte in secret {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
        }
    }
    let mut value = 0u64;
    for letter in sum {
        let Some(digit) = letters.iter().position(|known| known == letter) else {
            return false;
        };
        value = value * 62 + digit as u64;
    }
    value == u64::from(!crc)
}

fn anywhere(headers: &HeaderMap) {
    let key = HeaderName::from_static("x-api-key");
    let found = presented_anywhere(headers, Some(&key));
    if let (Ok(found), Ok(by_the_letter)) = (&found, presented(headers)) {
        // Beside a token, what is not quite a JWT is passed by.
        let is_jwt = matches!(by_the_letter, Presented::Jwt(_));
        assert!(*found == by_the_letter || is_jwt);
    }
    let Ok(found) = found else { return };
    assert!(headers.get_all(AUTHORIZATION).count() <= 1);
    let mut texts: Vec<Vec<u8>> = Vec::new();
    for value in headers.get_all(&key) {
        texts.push(value.as_bytes().trim_ascii().into());
    }
    for value in headers.get_all(AUTHORIZATION) {
        let value = value.as_bytes().trim_ascii();
        let mut parts = value.splitn(2, |byte| *byte == b' ');
        let (scheme, rest) = (parts.next().unwrap(), parts.next().unwrap_or_default());
        if scheme.eq_ignore_ascii_case(b"basic") {
            let pair = STANDARD.decode(rest).unwrap_or_default();
            let mut parts = pair.splitn(2, |byte| *byte == b':').skip(1);
            texts.extend(parts.next().map(<[u8]>::to_vec));
        } else if scheme.eq_ignore_ascii_case(b"token") || scheme.eq_ignore_ascii_case(b"bearer") {
            texts.push(rest.into());
        }
    }
    assert!(texts.iter().any(|text| match &found {
        Presented::Token(hash) => {
            has_checksum(text) && TokenHash::of_presented(text).is_ok_and(|known| known == *hash)
        }
        Presented::Jwt(jwt) => **jwt == **text && jwt.starts_with(b"eyJ"),
    }));
    // Nobody else's token is in the same request.
    for text in texts.iter().filter(|text| has_checksum(text)) {
        let other = TokenHash::of_presented(text).map(Presented::Token);
        assert!(other.is_ok_and(|other| other == found));
    }
}

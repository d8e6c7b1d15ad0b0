//! Ids in the path, decoded strictly: two spellings of different ids never become one user.
//!
//! actix decodes a path before it matches, `%ff` too; so the ids are read from the raw path
//! (RFC 3986 §2.1).

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use crate::error::ApiError;
use crate::user::UserId;
use crate::xid::Xid;

/// Of `/api/users/{user}/tokens/{token}`, counted between slashes.
const USER_SEGMENT: usize = 3;
const TOKEN_SEGMENT: usize = 5;

/// The user of `/api/users/{user}…`.
pub struct UserPath(pub UserId);

/// The token of `/api/users/{user}/tokens/{token}`; `None` for a text that no token has as id.
pub struct TokenPath(pub Option<Xid>);

impl FromRequest for UserPath {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(segment(request, USER_SEGMENT).and_then(|text| {
            UserId::parse(&text).map(Self).map_err(|fault| {
                ApiError::BadRequest(format!("the user id in the path {fault}").into())
            })
        }))
    }
}

impl FromRequest for TokenPath {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(segment(request, TOKEN_SEGMENT).map(|text| Self(Xid::parse(&text))))
    }
}

fn segment(request: &HttpRequest, number: usize) -> Result<String, ApiError> {
    let raw = request.uri().path().split('/').nth(number);
    raw.and_then(decode_segment).ok_or_else(|| {
        ApiError::BadRequest(
            "the path is not valid percent-encoded UTF-8 without control characters".into(),
        )
    })
}

/// The text of one segment of a raw path.
///
/// `None` where a `%` is not followed by two hexadecimal digits, the bytes are no UTF-8, or there
/// are control characters, which no id has.
pub fn decode_segment(raw: &str) -> Option<String> {
    let mut parts = raw.split('%');
    parts.next();
    for part in parts {
        let digits = part.as_bytes().first_chunk::<2>()?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
    }
    let decoded = percent_encoding::percent_decode_str(raw)
        .decode_utf8()
        .ok()?;
    (!decoded.contains(char::is_control)).then(|| decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn encodings_are_read_by_the_letter_or_refused() {
        let table = [
            ("google-oauth2%7C123456", Some("google-oauth2|123456")),
            ("google-oauth2|123456", Some("google-oauth2|123456")),
            ("%67oogle", Some("google")),
            ("a%2Fb", Some("a/b")),
            ("a%2fb", Some("a/b")),
            ("a%252Fb", Some("a%2Fb")),
            ("a+b", Some("a+b")),
            ("%F0%9F%98%80", Some("😀")),
            ("%00", None),
            ("a%0d%0ab", None),
            ("%ff", None),
            ("%c0%af", None),
            ("%ed%a0%80", None),
            ("%", None),
            ("%4", None),
            ("%4g", None),
            ("%%41", None),
            ("%+1", None),
            ("100%", None),
        ];
        for (raw, expected) in table {
            assert_eq!(decode_segment(raw).as_deref(), expected, "{raw}");
        }
    }

    proptest! {
        #[test]
        fn any_encoding_of_an_id_is_that_id(id in "[^\\pC]{1,40}", every in any::<bool>()) {
            let encoded: String = id.bytes().map(|byte| {
                if every || !byte.is_ascii_alphanumeric() { format!("%{byte:02X}") } else { char::from(byte).to_string() }
            }).collect();
            prop_assert_eq!(decode_segment(&encoded), Some(id));
        }
    }
}

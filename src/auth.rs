//! From the `Authorization` header to a [`Caller`].
//!
//! A handler that takes a `Caller` is behind the door; one that does not is open to everybody.

use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use actix_web::{FromRequest, HttpRequest, web};

use crate::app::App;
use crate::clock::Timestamp;
use crate::error::{ApiError, AuthFault};
use crate::index::Index;
use crate::token::TokenHash;
use crate::user::Caller;

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = std::future::Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(match request.app_data::<web::Data<Arc<App>>>() {
            Some(app) => authenticate(request.headers(), &app.index, Timestamp::now()),
            None => Err(ApiError::Internal),
        })
    }
}

/// Who the headers say is calling.
///
/// # Errors
/// 401 for a credential that is not believed, 403 for a user who may not pass.
pub fn authenticate(
    headers: &HeaderMap,
    index: &Index,
    now: Timestamp,
) -> Result<Caller, ApiError> {
    match presented(headers)? {
        Presented::Token(text) => {
            let hash = TokenHash::of_presented(text).map_err(AuthFault::from)?;
            Ok(index.authenticate(&hash, now)?)
        }
        // No issuer can be configured yet, so nobody's signature is believed.
        Presented::Jwt => Err(AuthFault::UnknownIssuer.into()),
    }
}

enum Presented<'a> {
    Token(&'a [u8]),
    Jwt,
}

/// One header, a scheme in any case, exactly one space, the credential (RFC 9110 §11.4).
fn presented(headers: &HeaderMap) -> Result<Presented<'_>, AuthFault> {
    let mut values = headers.get_all(AUTHORIZATION);
    let value = values.next().ok_or(AuthFault::Missing)?;
    if values.next().is_some() {
        return Err(AuthFault::Doubled);
    }
    let value = value.as_bytes().trim_ascii();
    let space = value.iter().position(|byte| *byte == b' ');
    let (scheme, credential) = space
        .and_then(|space| value.split_at_checked(space))
        .and_then(|(scheme, rest)| Some((scheme, rest.get(1..)?)))
        .ok_or(AuthFault::NoScheme)?;
    let is_token = scheme.eq_ignore_ascii_case(b"Token");
    if !is_token && !scheme.eq_ignore_ascii_case(b"Bearer") {
        return Err(AuthFault::Scheme);
    }
    if credential.is_empty() || credential.iter().any(u8::is_ascii_whitespace) {
        return Err(AuthFault::Malformed);
    }
    if is_token || credential.starts_with(b"nbp_") {
        Ok(Presented::Token(credential))
    } else if credential.starts_with(b"eyJ") {
        Ok(Presented::Jwt)
    } else {
        Err(AuthFault::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;
    use proptest::prelude::*;

    const TOKEN: &str = "nbp_z1pvsg2wP3EzmEou4S679KyTNhov632eyrXe";

    fn index() -> Index {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        connection
            .execute_batch(include_str!("../schema.sql"))
            .unwrap();
        Index::load(&connection).unwrap()
    }

    fn fault(values: &[&[u8]]) -> AuthFault {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        match authenticate(&headers, &index(), Timestamp::from_micros(0)) {
            Err(ApiError::Unauthorized(fault)) => fault,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_header_is_read_by_the_letter() {
        use crate::token::TokenFault;
        let wrong = TOKEN.replace('X', "Y");
        let reached = AuthFault::Unknown;
        let table = [
            (format!("Token {TOKEN}"), reached),
            (format!("token {TOKEN}"), reached),
            (format!("TOKEN {TOKEN}"), reached),
            (format!("Bearer {TOKEN}"), reached),
            (format!("bEARER {TOKEN}"), reached),
            (format!("  Token {TOKEN}\t "), reached),
            (String::new(), AuthFault::NoScheme),
            ("Token".to_owned(), AuthFault::NoScheme),
            ("Token ".to_owned(), AuthFault::NoScheme),
            (TOKEN.to_owned(), AuthFault::NoScheme),
            (format!("Token  {TOKEN}"), AuthFault::Malformed),
            (format!("Token\t{TOKEN}"), AuthFault::NoScheme),
            (format!("Token {TOKEN} x"), AuthFault::Malformed),
            (
                format!("Token {TOKEN}, Token {TOKEN}"),
                AuthFault::Malformed,
            ),
            (format!("Basic {TOKEN}"), AuthFault::Scheme),
            (format!("Tokens {TOKEN}"), AuthFault::Scheme),
            (format!(": {TOKEN}"), AuthFault::Scheme),
            (format!("Token {wrong}"), TokenFault::BadChecksum.into()),
            (format!("Token {TOKEN}e"), TokenFault::Malformed.into()),
            (
                "Token eyJhbGciOiJub25lIn0.e30.".to_owned(),
                TokenFault::Malformed.into(),
            ),
            (
                "Bearer eyJhbGciOiJub25lIn0.e30.".to_owned(),
                AuthFault::UnknownIssuer,
            ),
            ("Bearer nbp_".to_owned(), TokenFault::Malformed.into()),
            ("Bearer abc".to_owned(), AuthFault::Malformed),
            ("x".repeat(100 * 1024), AuthFault::NoScheme),
        ];
        for (value, expected) in table {
            let shown = value.get(..60).unwrap_or(&value);
            assert_eq!(fault(&[value.as_bytes()]), expected, "{shown:?}");
        }
    }

    #[test]
    fn there_is_exactly_one_header() {
        let value = format!("Token {TOKEN}");
        assert_eq!(fault(&[]), AuthFault::Missing);
        assert_eq!(
            fault(&[value.as_bytes(), value.as_bytes()]),
            AuthFault::Doubled
        );
        assert_eq!(fault(&[b"", value.as_bytes()]), AuthFault::Doubled);
    }

    proptest! {
        #[test]
        fn no_header_panics_or_passes(value in any::<Vec<u8>>()) {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                fault(&[value.as_bytes()]);
            }
        }
    }
}

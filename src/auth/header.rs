//! The `Authorization` header of the API, read by the letter.

use std::borrow::Cow;

use actix_web::http::header::{AUTHORIZATION, HeaderMap};

use crate::error::AuthFault;
use crate::token::TokenHash;

/// A credential of the right form.
#[derive(Clone, PartialEq, Eq)]
pub enum Presented<'a> {
    /// A personal access token. The plain text went no further.
    Token(TokenHash),
    /// What looks like a JWT.
    Jwt(Cow<'a, [u8]>),
}

/// One header, a scheme in any case, exactly one space, the credential (RFC 9110 §11.4).
///
/// # Errors
/// [`AuthFault`] for anything else.
pub fn presented(headers: &HeaderMap) -> Result<Presented<'_>, AuthFault> {
    let mut values = headers.get_all(AUTHORIZATION);
    let value = values.next().ok_or(AuthFault::Missing)?;
    if values.next().is_some() {
        return Err(AuthFault::Doubled);
    }
    let (scheme, credential) = split(value.as_bytes()).ok_or(AuthFault::NoScheme)?;
    let is_token = scheme.eq_ignore_ascii_case(b"Token");
    if !is_token && !scheme.eq_ignore_ascii_case(b"Bearer") {
        return Err(AuthFault::Scheme);
    }
    // To the end and without a branch, which is faster for a JWT: many bytes are looked at together.
    let spaces = credential.iter().map(u8::is_ascii_whitespace);
    if credential.is_empty() || spaces.fold(false, std::ops::BitOr::bitor) {
        return Err(AuthFault::Malformed);
    }
    if is_token || credential.starts_with(b"nbp_") {
        Ok(Presented::Token(TokenHash::of_presented(credential)?))
    } else if credential.starts_with(b"eyJ") {
        Ok(Presented::Jwt(credential.into()))
    } else {
        Err(AuthFault::Malformed)
    }
}

/// Scheme and credential, around the first space.
pub(super) fn split(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let value = value.trim_ascii();
    let space = value.iter().position(|byte| *byte == b' ')?;
    let (scheme, rest) = value.split_at_checked(space)?;
    Some((scheme, rest.get(1..)?))
}

//! A credential in any of the places that forward-auth looks at, among credentials of the app's own.

use std::borrow::Cow;

use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::Presented;
use super::header::split;
use crate::error::AuthFault;
use crate::jwt;
use crate::token::TokenHash;

/// The first token or JWT of the right form: `Authorization` with `Token`, `Bearer` or (as the
/// password) `Basic`, then the further header, if there is one. What has another form is the app's
/// own, and is passed by.
///
/// # Errors
/// Where there is none: [`AuthFault::Missing`], or what is wrong with the one that was meant. Two
/// different ones are [`AuthFault::Conflicting`], two `Authorization` headers [`AuthFault::Doubled`]: it
/// can't be told who asks.
pub fn presented_anywhere<'h>(
    headers: &'h HeaderMap,
    further: Option<&HeaderName>,
) -> Result<Presented<'h>, AuthFault> {
    let mut authorization = headers.get_all(AUTHORIZATION);
    let first = authorization.next().map(|value| value.as_bytes());
    if authorization.next().is_some() {
        return Err(AuthFault::Doubled);
    }
    let further = further.into_iter().flat_map(|name| headers.get_all(name));
    let further = further.map(|value| Cow::from(value.as_bytes().trim_ascii()));
    let mut candidates = first.and_then(of_authorization).into_iter().chain(further);
    let one = candidates.next().ok_or(AuthFault::Missing)?;
    let Some(another) = candidates.next() else {
        // Its form is judged with all the rest of it, so it is not looked at here.
        return meant_as_ours(one).unwrap_or(Err(AuthFault::Missing));
    };
    let mut found: Option<Presented<'h>> = None;
    let mut fault = None;
    for credential in [one, another].into_iter().chain(candidates) {
        match meant_as_ours(credential).map(|shown| shown.and_then(well_formed)) {
            Some(Ok(shown)) if found.as_ref().is_none_or(|known| *known == shown) => {
                found = Some(shown);
            }
            Some(Ok(_)) => return Err(AuthFault::Conflicting),
            Some(Err(wrong)) => fault = fault.or(Some(wrong)),
            None => {}
        }
    }
    found.ok_or(fault.unwrap_or(AuthFault::Missing))
}

/// The credential of a scheme that can carry ours.
fn of_authorization(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    let (scheme, credential) = split(value)?;
    if scheme.eq_ignore_ascii_case(b"Token") || scheme.eq_ignore_ascii_case(b"Bearer") {
        return Some(credential.into());
    }
    if !scheme.eq_ignore_ascii_case(b"Basic") {
        return None;
    }
    // RFC 7617 §2: the user name has no colon, and means nothing here.
    let pair = Zeroizing::new(STANDARD.decode(credential).ok()?);
    let colon = pair.iter().position(|byte| *byte == b':')?;
    Some(pair.get(colon + 1..)?.to_vec().into())
}

/// A text that begins like a credential of ours; `None` for an app's own.
fn meant_as_ours(text: Cow<'_, [u8]>) -> Option<Result<Presented<'_>, AuthFault>> {
    if text.starts_with(b"nbp_") {
        let hash = TokenHash::of_presented(&text);
        return Some(hash.map(Presented::Token).map_err(AuthFault::from));
    }
    text.starts_with(b"eyJ").then_some(Ok(Presented::Jwt(text)))
}

/// Beside another credential, what only begins like a JWT is passed by.
fn well_formed(shown: Presented<'_>) -> Result<Presented<'_>, AuthFault> {
    if let Presented::Jwt(text) = &shown {
        jwt::check_form(text)?;
    }
    Ok(shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::presented;
    use crate::token::PlainToken;
    use actix_web::http::header::{HeaderName, HeaderValue};
    use proptest::collection::vec;
    use proptest::prelude::*;

    const TOKEN: &str = "nbp_z1pvsg2wP3EzmEou4S679KyTNhov632eyrXe";
    const KEY: HeaderName = HeaderName::from_static("x-api-key");

    fn headers(lines: &[(HeaderName, Vec<u8>)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            if let Ok(value) = HeaderValue::from_bytes(value) {
                headers.append(name.clone(), value);
            }
        }
        headers
    }

    fn is_token(shown: &Presented<'_>) -> bool {
        TokenHash::of_presented(TOKEN.as_bytes()).is_ok_and(|hash| *shown == Presented::Token(hash))
    }

    /// Bytes, and what begins like something that is meant.
    fn any_value() -> impl Strategy<Value = Vec<u8>> {
        let pair = vec(any::<u8>(), 0..24).prop_map(|pair| STANDARD.encode(pair));
        prop_oneof![
            vec(any::<u8>(), 0..40),
            "(Token|bearer|Basic|eyJ|nbp_)?[ .=A-Za-z0-9_-]{0,60}".prop_map(String::into_bytes),
            pair.prop_map(|pair| format!("Basic {pair}").into_bytes()),
            "(Bearer )?[A-Za-z]{4}\\.[A-Za-z]{4}\\.[A-Za-z]{4}".prop_map(String::into_bytes),
            Just(()).prop_map(|()| PlainToken::generate().unwrap().expose().into()),
            Just(format!("Token {TOKEN}").into_bytes()),
            Just(TOKEN.into()),
        ]
    }

    #[test]
    fn the_password_is_what_follows_the_first_colon_whatever_bytes_the_name_has() {
        for (pair, is_ours) in [
            (&b"\xff\xfe\0:"[..], true),
            (b"\n:", true),
            (b"\xff\xfe", false),
            (b"x::", false),
            (b"x:\0", false),
        ] {
            let pair = STANDARD.encode([pair, TOKEN.as_bytes()].concat());
            let headers = headers(&[(AUTHORIZATION, format!("Basic {pair}").into())]);
            let shown = presented_anywhere(&headers, None);
            assert_eq!(shown.is_ok_and(|shown| is_token(&shown)), is_ours, "{pair}");
        }
    }

    proptest! {
        #[test]
        fn a_token_that_the_api_takes_is_taken_here_too(value in any_value()) {
            let headers = headers(&[(AUTHORIZATION, value)]);
            if let Ok(shown @ Presented::Token(_)) = presented(&headers) {
                prop_assert!(presented_anywhere(&headers, None).is_ok_and(|found| found == shown));
            }
        }

        /// Nor does it spoil one, unless it is another.
        #[test]
        fn no_bytes_beside_a_token_become_another(value in any_value()) {
            for (name, good) in [(AUTHORIZATION, KEY), (KEY, AUTHORIZATION)] {
                let token = match good == KEY {
                    true => TOKEN.to_owned(),
                    false => format!("Bearer {TOKEN}"),
                };
                let alone = headers(&[(name.clone(), value.clone())]);
                let both = headers(&[(name, value.clone()), (good, token.into())]);
                let alone = presented_anywhere(&alone, Some(&KEY));
                let both = presented_anywhere(&both, Some(&KEY));
                match alone {
                    // By itself a JWT's form is judged later.
                    Ok(other) if !is_token(&other) && well_formed(other.clone()).is_ok() => {
                        prop_assert!(both.is_err());
                    }
                    _ => prop_assert!(both.is_ok_and(|shown| is_token(&shown))),
                }
            }
        }
    }
}

//! From the bytes of a JWT to who it is for: every check, in the order of [`Check::ALL`].
//!
//! The payload is parsed once, before the signature is checked, since the issuer is picked by it;
//! nothing of it is believed before.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::claims::{self, Verified};
use super::{Algorithm, Issuer, IssuerSet, JwtFault, NoKey};
use crate::clock::Timestamp;
use crate::json::parse_object;

/// Longest JWT, in bytes. What is longer is not looked at.
pub const LONGEST_JWT: usize = 8 * 1024;

/// Parameters that bring a key of the token's own, name one elsewhere, or change what the token
/// means (RFC 7515 §4.1, RFC 7516 §4.1.3). `cty` is for nested tokens, which are not taken.
const REFUSED: [&str; 7] = ["crit", "jwk", "jku", "x5u", "x5c", "zip", "cty"];

/// What a JWT says, before anything of it is believed.
pub(super) struct Unverified<'a> {
    pub(super) header: Map<String, Value>,
    pub(super) payload: Map<String, Value>,
    algorithm: Algorithm,
    /// `header.payload`, which is signed.
    message: &'a [u8],
    signature: &'a str,
}

/// Who a JWT is for, where every check passes at a moment.
///
/// # Errors
/// The first check that does not.
pub(super) fn check(set: &IssuerSet, text: &[u8], now: Timestamp) -> Result<Verified, JwtFault> {
    let token = Unverified::parse(text)?;
    let issuer = token.issuer(set)?;
    token.check_type(issuer)?;
    let key = issuer.key(token.kid(), token.algorithm);
    let key = key.map_err(|none| match none {
        NoKey::Unknown => JwtFault::Key,
        NoKey::Algorithm => JwtFault::OtherAlgorithm,
    })?;
    if !key.verify(token.message, token.signature) {
        return Err(JwtFault::Signature);
    }
    claims::judge(issuer, &token.payload, now)
}

/// Whether a text is a JWT, whatever it says: other three-part texts are an app's own.
///
/// # Errors
/// Size, parts, encoding, or a header that is no JSON object with an `alg`.
pub fn check_form(text: &[u8]) -> Result<(), JwtFault> {
    let (header, payload, signature) = parts(text)?;
    let header = parse_object(&decode(header)?).map_err(|_| JwtFault::Header)?;
    if !header.get("alg").is_some_and(Value::is_string) {
        return Err(JwtFault::Algorithm);
    }
    if payload.is_empty() {
        return Err(JwtFault::Payload);
    }
    [payload, signature]
        .into_iter()
        .try_for_each(|part| decode(part).map(drop))
}

impl<'a> Unverified<'a> {
    /// Everything that needs no issuer.
    pub(super) fn parse(text: &'a [u8]) -> Result<Self, JwtFault> {
        let (header, payload, signature) = parts(text)?;
        let message_length = header.len() + 1 + payload.len();
        let (header, payload) = (decode(header)?, decode(payload)?);
        decode(signature)?;
        let header = parse_object(&header).map_err(|_| JwtFault::Header)?;
        if header.get("kid").is_some_and(|kid| !kid.is_string()) {
            return Err(JwtFault::Header);
        }
        let algorithm = header.get("alg").and_then(Value::as_str);
        let algorithm = algorithm.and_then(|name| Algorithm::parse(name).ok());
        let algorithm = algorithm.ok_or(JwtFault::Algorithm)?;
        if let Some(name) = REFUSED.iter().find(|name| header.contains_key(**name)) {
            return Err(JwtFault::Parameter(name));
        }
        let payload = parse_object(&payload).map_err(|_| JwtFault::Payload)?;
        Ok(Self {
            header,
            payload,
            algorithm,
            message: text.get(..message_length).unwrap_or_default(),
            signature,
        })
    }

    /// The issuer that the token names.
    pub(super) fn issuer<'s>(&self, set: &'s IssuerSet) -> Result<&'s Arc<Issuer>, JwtFault> {
        let name = self.payload.get("iss").and_then(Value::as_str);
        name.and_then(|name| set.by_issuer(name))
            .ok_or(JwtFault::Issuer)
    }

    /// A media type, so in any case and with or without `application/` (RFC 7515 §4.1.9).
    fn check_type(&self, issuer: &Issuer) -> Result<(), JwtFault> {
        let Some(typ) = self.header.get("typ") else {
            return Ok(());
        };
        let bare = |name: &'_ str| {
            let name = name.to_ascii_lowercase();
            name.strip_prefix("application/")
                .map_or(name.clone(), str::to_owned)
        };
        let typ = typ.as_str().map(bare).ok_or(JwtFault::Type)?;
        let accepted = &issuer.settings.typ;
        match accepted.iter().any(|accepted| bare(accepted) == typ) {
            true => Ok(()),
            false => Err(JwtFault::Type),
        }
    }

    fn kid(&self) -> Option<&str> {
        self.header.get("kid").and_then(Value::as_str)
    }
}

/// Header, payload and signature, as text.
fn parts(text: &[u8]) -> Result<(&str, &str, &str), JwtFault> {
    if text.len() > LONGEST_JWT {
        return Err(JwtFault::TooLarge);
    }
    if text.iter().filter(|byte| **byte == b'.').count() != 2 {
        return Err(JwtFault::Parts);
    }
    let text = std::str::from_utf8(text).map_err(|_| JwtFault::Encoding)?;
    let (header, rest) = text.split_once('.').ok_or(JwtFault::Parts)?;
    let (payload, signature) = rest.split_once('.').ok_or(JwtFault::Parts)?;
    Ok((header, payload, signature))
}

/// Base64url that has one spelling: no padding, no other alphabet, no stray bits.
pub(super) fn decode(part: &str) -> Result<Vec<u8>, JwtFault> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| JwtFault::Encoding)
}

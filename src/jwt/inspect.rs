//! A JWT looked at check by check, for the person who wonders why it does not pass.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::check::{self, Unverified, decode};
use super::{Algorithm, Check, Issuer, IssuerSet, JwtFault, Key, Verified};
use crate::clock::Timestamp;
use crate::json::parse_object;
use crate::user::{Name, UserId};

const DAY: u64 = 24 * 60 * 60;

/// What was found out about a token. Nothing of its signature is in it.
pub struct Inspection {
    /// The header, as far as it can be read.
    pub header: Option<Map<String, Value>>,
    /// The payload, as far as it can be read.
    pub payload: Option<Map<String, Value>>,
    /// The issuer that it names, if there is one.
    pub issuer: Option<Arc<Issuer>>,
    /// What a request with it would come to.
    pub result: Result<Verified, JwtFault>,
}

/// Goes through all checks as a request would.
pub fn inspect(set: &IssuerSet, text: &[u8], now: Timestamp) -> Inspection {
    let mut parts = text.split(|byte| *byte == b'.').map(|part| {
        let part = std::str::from_utf8(part).ok()?;
        parse_object(&decode(part).ok()?).ok()
    });
    let (header, payload) = (parts.next().flatten(), parts.next().flatten());
    let issuer = Unverified::parse(text).and_then(|token| token.issuer(set).map(Arc::clone));
    Inspection {
        header,
        payload,
        issuer: issuer.ok(),
        result: check::check(set, text, now),
    }
}

impl Inspection {
    /// Each check with what came of it: `None` for those behind the one that did not pass.
    pub fn checks(&self) -> impl Iterator<Item = (Check, Option<Result<(), JwtFault>>)> {
        let failed = self
            .result
            .as_ref()
            .err()
            .map(|fault| (fault.check(), *fault));
        Check::ALL.into_iter().map(move |check| {
            let outcome = match failed {
                Some((failed, _)) if check > failed => None,
                Some((failed, fault)) if check == failed => Some(Err(fault)),
                _ => Some(Ok(())),
            };
            (check, outcome)
        })
    }

    /// How a claim decides the role, where one does, and where every check passes: nothing else of
    /// the token counts.
    pub fn role(&self) -> Option<String> {
        let verified = self.result.as_ref().ok()?;
        let role = verified.issuer.settings.role_claim.as_ref()?;
        Some(role.explain(self.payload.as_ref()?))
    }

    /// Why somebody who becomes a user by the token gets no e-mail address.
    pub fn no_address(&self) -> Option<String> {
        let verified = self.result.as_ref().ok()?;
        if !verified.email.as_str().is_empty() {
            return None;
        }
        let claim = &verified.issuer.settings.email_claim;
        Some(match self.payload.as_ref()?.get(&**claim) {
            None => format!("{claim} is absent"),
            Some(Value::String(address)) if Name::parse_email(address).is_ok() => {
                "email_verified is not true".to_owned()
            }
            Some(_) => format!("{claim} is no address"),
        })
    }

    /// What the token has and what was expected, for the check that did not pass.
    pub fn hint(&self, set: &IssuerSet, now: Timestamp) -> Option<String> {
        let (fault, payload) = (self.result.as_ref().err()?, self.payload.as_ref()?);
        let claim = |name: &str| {
            payload
                .get(name)
                .map_or("absent".to_owned(), Value::to_string)
        };
        let settings = self.issuer.as_ref().map(|issuer| &issuer.settings);
        let header = |name: &str| match self.header.as_ref()?.get(name) {
            Some(value) => Some(value.to_string()),
            None => Some("absent".to_owned()),
        };
        let all = |names: &[Box<str>]| {
            names
                .iter()
                .map(|name| format!("{name:?}"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        Some(match fault.check() {
            Check::Issuer => {
                let known: Vec<_> = set
                    .iter()
                    .map(|issuer| issuer.settings.issuer.clone())
                    .collect();
                match known.as_slice() {
                    [] => "no issuer is configured: see [[issuer]] in netbird-auth.toml".to_owned(),
                    known => format!("iss is {}; configured: {}", claim("iss"), all(known)),
                }
            }
            Check::Type => format!(
                "typ is {}; accepted: {}",
                header("typ")?,
                all(&settings?.typ)
            ),
            Check::Key => {
                let keys: Vec<_> = self.issuer.as_ref()?.keys.iter().map(described).collect();
                format!(
                    "kid is {}, alg {}; the issuer's keys: {}",
                    header("kid")?,
                    header("alg")?,
                    keys.join(", ")
                )
            }
            Check::Signature => {
                let issuer = self.issuer.as_ref()?;
                let header = self.header.as_ref()?;
                let kid = header.get("kid").and_then(Value::as_str);
                let algorithm = header.get("alg").and_then(Value::as_str)?;
                let key = issuer.key(kid, Algorithm::parse(algorithm).ok()?).ok()?;
                // Of a shared secret it would help whoever guesses it.
                let thumbprint = key.thumbprint.as_deref();
                let thumbprint = thumbprint.map_or_else(
                    || "a shared secret".to_owned(),
                    |thumbprint| format!("thumbprint {thumbprint}"),
                );
                format!(
                    "the key here is {}, {thumbprint}: compare with the issuer's",
                    described(key)
                )
            }
            Check::Audience => {
                format!(
                    "aud is {}; accepted: {}",
                    claim("aud"),
                    all(&settings?.audiences)
                )
            }
            Check::Expiry if *fault == JwtFault::TooLongLived => format!(
                "exp is {}; now is {now}, and max_age_days is {}",
                moment(payload, "exp"),
                settings?.max_age.as_secs() / DAY
            ),
            Check::Expiry => format!("exp is {}; now is {now}", moment(payload, "exp")),
            Check::NotBefore => format!("nbf is {}; now is {now}", moment(payload, "nbf")),
            Check::IssuedAt => format!("iat is {}; now is {now}", moment(payload, "iat")),
            Check::UserId => {
                let name = &settings?.user_id_claim;
                let wanted = match payload.get(&**name).and_then(Value::as_str) {
                    Some(id) => UserId::parse_new(id).err()?.to_string(),
                    None => "must be a string".to_owned(),
                };
                format!("{name} is {}; it {wanted}", claim(name))
            }
            _ => return None,
        })
    }
}

fn described(key: &Key) -> String {
    let kid = key.kid.as_deref();
    let kid = kid.map_or("without kid".to_owned(), |kid| format!("{kid:?}"));
    format!("{kid} for {}", key.algorithm)
}

fn moment(payload: &Map<String, Value>, name: &str) -> String {
    match super::claims::time(payload, name) {
        Ok(Some(moment)) => moment.to_string(),
        Ok(None) => "absent".to_owned(),
        Err(()) => "no number".to_owned(),
    }
}

//! The claims of a JWT whose signature is good (RFC 7519 §4.1).

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Issuer, JwtFault};
use crate::clock::Timestamp;
use crate::user::{Name, Role, UserId};

/// What a JWT says, once every check has passed.
#[derive(Clone)]
pub struct Verified {
    /// Who says it.
    pub issuer: Arc<Issuer>,
    /// Of whom; an id of this issuer's and of no other.
    pub user_id: UserId,
    /// Their display name; the id where there is none.
    pub name: Name,
    /// Their address where it can be believed, else empty.
    pub email: Name,
    /// The role, where the issuer decides it.
    pub role: Option<Role>,
    /// When it was issued. It says so wherever it decides the role.
    pub issued_at: Option<Timestamp>,
    /// It does not pass before this moment, the leeway included.
    not_before: Timestamp,
    /// It does not pass from this moment on, the leeway included.
    pub good_until: Timestamp,
}

impl Verified {
    /// Whether the times still hold, for one that was checked earlier.
    pub(super) fn holds(&self, now: Timestamp) -> bool {
        self.not_before <= now && now < self.good_until
    }
}

/// Judges the claims at a moment.
pub(super) fn judge(
    issuer: &Arc<Issuer>,
    claims: &Map<String, Value>,
    now: Timestamp,
) -> Result<Verified, JwtFault> {
    let settings = &issuer.settings;
    check_audience(claims.get("aud"), &settings.audiences)?;

    let expiry = time(claims, "exp").map_err(|_| JwtFault::NoExpiry)?;
    let expiry = expiry.ok_or(JwtFault::NoExpiry)?;
    let good_until = expiry.plus(settings.leeway);
    if now >= good_until {
        return Err(JwtFault::Expired);
    }
    if expiry > now.plus(settings.max_age).plus(settings.leeway) {
        return Err(JwtFault::TooLongLived);
    }
    let not_before = time(claims, "nbf").map_err(|_| JwtFault::BadNotBefore)?;
    let latest = now.plus(settings.leeway);
    if not_before.is_some_and(|moment| moment > latest) {
        return Err(JwtFault::NotYet);
    }
    let issued_at = time(claims, "iat").map_err(|_| JwtFault::BadIssuedAt)?;
    if issued_at.is_some_and(|moment| moment > latest) {
        return Err(JwtFault::IssuedAhead);
    }

    // Which of two JWTs decides the role can't be told without it.
    if settings.role_claim.is_some() && issued_at.is_none() {
        return Err(JwtFault::BadIssuedAt);
    }

    let user_id = claims.get(&*settings.user_id_claim).and_then(Value::as_str);
    let user_id = user_id.and_then(|id| UserId::parse_new(id).ok());
    let user_id = user_id.ok_or(JwtFault::UserId)?;
    // What would have been too far ahead, not yet valid or issued in the future at an earlier moment.
    let earliest = expiry.minus(settings.max_age);
    let earliest = earliest.max(not_before.max(issued_at).unwrap_or(earliest));
    Ok(Verified {
        name: name(claims, &settings.name_claim, &user_id),
        email: email(claims, &settings.email_claim, settings.trust_email),
        role: settings.role_claim.as_ref().map(|role| role.decide(claims)),
        issued_at,
        not_before: earliest.minus(settings.leeway),
        good_until,
        user_id,
        issuer: Arc::clone(issuer),
    })
}

/// A string or an array of strings, one of which is ours.
fn check_audience(claim: Option<&Value>, ours: &[Box<str>]) -> Result<(), JwtFault> {
    let theirs = match claim {
        Some(Value::Array(theirs)) => theirs.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    let theirs: Option<Vec<&str>> = theirs.iter().map(Value::as_str).collect();
    let is_ours = |name: &&str| ours.iter().any(|ours| **ours == **name);
    match theirs.is_some_and(|theirs| theirs.iter().any(is_ours)) {
        true => Ok(()),
        false => Err(JwtFault::Audience),
    }
}

/// A NumericDate: seconds since 1970, maybe with a fraction. JSON has no number that is not finite.
pub(super) fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<Timestamp>, ()> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => {
            let seconds = value
                .as_f64()
                .filter(|seconds| seconds.is_finite())
                .ok_or(())?;
            #[allow(
                clippy::cast_possible_truncation,
                reason = "a cast of a float stops at the ends of the range"
            )]
            Ok(Some(Timestamp::from_micros((seconds * 1e6) as i64)))
        }
    }
}

fn name(claims: &Map<String, Value>, claim: &str, id: &UserId) -> Name {
    let name = claims.get(claim).and_then(Value::as_str);
    name.and_then(|name| Name::parse_non_empty(name).ok())
        .unwrap_or_else(|| id.into())
}

/// An address is believed where the issuer says that it checked it, as a boolean (OpenID Connect
/// Core §5.1), or where the configuration trusts it.
fn email(claims: &Map<String, Value>, claim: &str, trusted: bool) -> Name {
    let is_believed = trusted || claims.get("email_verified") == Some(&Value::Bool(true));
    let address = claims.get(claim).and_then(Value::as_str);
    let address = address.filter(|_| is_believed);
    address
        .and_then(|address| Name::parse_email(address).ok())
        .unwrap_or_else(Name::empty)
}

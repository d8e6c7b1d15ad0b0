//! The checks that a JWT goes through, and why one did not pass.

/// The checks, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is told by its text below")]
pub enum Check {
    Size,
    Parts,
    Encoding,
    Header,
    Algorithm,
    Parameters,
    Payload,
    Issuer,
    Type,
    Key,
    Signature,
    Audience,
    Expiry,
    NotBefore,
    IssuedAt,
    UserId,
}

impl Check {
    /// Every check, the first one first.
    pub const ALL: [Self; 16] = [
        Self::Size,
        Self::Parts,
        Self::Encoding,
        Self::Header,
        Self::Algorithm,
        Self::Parameters,
        Self::Payload,
        Self::Issuer,
        Self::Type,
        Self::Key,
        Self::Signature,
        Self::Audience,
        Self::Expiry,
        Self::NotBefore,
        Self::IssuedAt,
        Self::UserId,
    ];

    /// What is asked for.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Size => "at most 8 KiB",
            Self::Parts => "three parts",
            Self::Encoding => "base64url without padding or stray bits",
            Self::Header => "the header is a JSON object, no name twice",
            Self::Algorithm => "alg is a signature algorithm",
            Self::Parameters => "no crit, jwk, jku, x5u, x5c, zip or cty",
            Self::Payload => "the payload is a JSON object, no name twice",
            Self::Issuer => "iss is a configured issuer",
            Self::Type => "typ is accepted, or absent",
            Self::Key => "the key is one of the issuer's, and for this alg",
            Self::Signature => "the signature is the key's",
            Self::Audience => "aud has one of the issuer's audiences",
            Self::Expiry => "exp is ahead, and not too far",
            Self::NotBefore => "nbf is not ahead",
            Self::IssuedAt => "iat is not ahead",
            Self::UserId => "the user id claim is an id",
        }
    }
}

/// Why a JWT is not believed. Fixed texts: none holds a byte of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtFault {
    /// Over [`super::LONGEST_JWT`].
    #[error("JWT over 8 KiB")]
    TooLarge,
    /// Not `header.payload.signature`.
    #[error("malformed JWT: not three parts")]
    Parts,
    /// Padding, another alphabet, stray bits (RFC 7515 §2).
    #[error("malformed JWT: not base64url")]
    Encoding,
    /// Not a JSON object, a name twice, a `kid` that is no string.
    #[error("malformed JWT header")]
    Header,
    /// `none`, or no signature algorithm.
    #[error("JWT algorithm not accepted")]
    Algorithm,
    /// One that brings its own key, or must be understood and is not.
    #[error("JWT header parameter {0} not accepted")]
    Parameter(&'static str),
    /// Not a JSON object, or a claim twice.
    #[error("malformed JWT payload")]
    Payload,
    /// No configured issuer has this `iss`.
    #[error("unknown issuer")]
    Issuer,
    /// RFC 8725 §3.11.
    #[error("wrong JWT type")]
    Type,
    /// The issuer has no such key, or it can't be told which one.
    #[error("unknown key")]
    Key,
    /// `alg` is not what the key is pinned to (RFC 8725 §3.1).
    #[error("JWT algorithm is not the key's")]
    OtherAlgorithm,
    /// Not made by that key over these bytes.
    #[error("bad signature")]
    Signature,
    /// It is for somebody else (RFC 7519 §4.1.3).
    #[error("wrong audience")]
    Audience,
    /// Missing, or no number.
    #[error("JWT without a usable exp")]
    NoExpiry,
    /// It was good once.
    #[error("expired token")]
    Expired,
    /// Further ahead than `max_age_days`.
    #[error("JWT expires too far ahead")]
    TooLongLived,
    /// `nbf` is no number.
    #[error("JWT with an unusable nbf")]
    BadNotBefore,
    /// `nbf` is ahead.
    #[error("not yet valid")]
    NotYet,
    /// `iat` is no number, or missing where a claim decides the role.
    #[error("JWT with an unusable iat")]
    BadIssuedAt,
    /// `iat` is ahead.
    #[error("JWT issued in the future")]
    IssuedAhead,
    /// The claim is missing, no string, or no id.
    #[error("JWT without a usable user id")]
    UserId,
}

impl JwtFault {
    /// The check that it did not pass; it passed all before.
    pub const fn check(self) -> Check {
        match self {
            Self::TooLarge => Check::Size,
            Self::Parts => Check::Parts,
            Self::Encoding => Check::Encoding,
            Self::Header => Check::Header,
            Self::Algorithm => Check::Algorithm,
            Self::Parameter(_) => Check::Parameters,
            Self::Payload => Check::Payload,
            Self::Issuer => Check::Issuer,
            Self::Type => Check::Type,
            Self::Key | Self::OtherAlgorithm => Check::Key,
            Self::Signature => Check::Signature,
            Self::Audience => Check::Audience,
            Self::NoExpiry | Self::Expired | Self::TooLongLived => Check::Expiry,
            Self::BadNotBefore | Self::NotYet => Check::NotBefore,
            Self::BadIssuedAt | Self::IssuedAhead => Check::IssuedAt,
            Self::UserId => Check::UserId,
        }
    }

    /// A word for the metrics: one of few.
    pub const fn metric_reason(self) -> &'static str {
        match self {
            Self::TooLarge | Self::Parts | Self::Encoding | Self::Header | Self::Payload => {
                "malformed JWT"
            }
            Self::Algorithm | Self::OtherAlgorithm | Self::Parameter(_) | Self::Type => {
                "JWT header not accepted"
            }
            Self::Issuer => "unknown issuer",
            Self::Key => "unknown key",
            Self::Signature => "bad signature",
            Self::Audience => "wrong audience",
            Self::Expired => "expired token",
            Self::NoExpiry | Self::TooLongLived | Self::BadNotBefore | Self::BadIssuedAt => {
                "JWT times not accepted"
            }
            Self::NotYet | Self::IssuedAhead => "not yet valid",
            Self::UserId => "JWT without a usable user id",
        }
    }
}

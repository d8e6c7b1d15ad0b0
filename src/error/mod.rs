//! Every way in which a request is not answered with 200, and the one table of statuses.
//!
//! The texts are ours and fixed: nothing of a library's error, of SQLite or of the request's bytes
//! reaches a client. Internals go to the log, once, where they happen.

mod body;

pub use body::{SCHEMA, schema};

use std::borrow::Cow;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use crate::change::{Missing, Refused};
use crate::forward::{Denial, OriginalFault};
use crate::index::Rejected;
use crate::json::JsonFault;
use crate::jwt::JwtFault;
use crate::policy::Denied;
use crate::token::TokenFault;
use crate::writer::WriteError;

/// Why a credential was not believed. None tells an unknown token from a revoked one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthFault {
    /// No `Authorization` header.
    #[error("missing credentials")]
    Missing,
    /// More than one `Authorization` header.
    #[error("more than one authorization header")]
    Doubled,
    /// Two different credentials in one request to `/auth/verify`.
    #[error("more than one credential")]
    Conflicting,
    /// Not `<scheme> <credential>` with one space.
    #[error("malformed authorization header")]
    Malformed,
    /// One word, where scheme and credential should be.
    #[error("malformed authorization header")]
    NoScheme,
    /// Neither `Token` nor `Bearer`.
    #[error("unknown authorization scheme")]
    Scheme,
    /// See [`TokenFault`].
    #[error(transparent)]
    Token(#[from] TokenFault),
    /// Never made, or revoked.
    #[error("unknown or revoked token")]
    Unknown,
    /// It was good once.
    #[error("expired token")]
    Expired,
    /// See [`JwtFault`].
    #[error(transparent)]
    Jwt(#[from] JwtFault),
    /// A good JWT of somebody who is no user, or another issuer's.
    #[error("unknown user")]
    UnknownUser,
}

/// Of what is no request.
pub const UNREADABLE: &str = "the request can't be read";

/// An answer that is not a success.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// 400: the request can't be read.
    #[error("{0}")]
    BadRequest(Cow<'static, str>),
    /// 400 for plain HTTP where TLS is spoken. A handshake that fails has no answer, and is counted with these.
    #[error("{0}")]
    Handshake(Cow<'static, str>),
    /// 400: the body ended too early, or its chunks are none.
    #[error("the body did not arrive whole")]
    Broken,
    /// 400: the body can't be read.
    #[error(transparent)]
    Json(#[from] JsonFault),
    /// 401.
    #[error(transparent)]
    Unauthorized(#[from] AuthFault),
    /// 403.
    #[error(transparent)]
    Forbidden(#[from] Denied),
    /// 403 of `/auth/verify`: what the proxy says can't be understood or believed.
    #[error(transparent)]
    Original(#[from] OriginalFault),
    /// 403 of `/auth/verify`: somebody known whom no rule admits.
    #[error(transparent)]
    NotAdmitted(#[from] Denial),
    /// 404: the path, the user or the token.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// 405, with the methods that would do.
    #[error("method not allowed")]
    Method(String),
    /// 409.
    #[error("{0}")]
    Conflict(Cow<'static, str>),
    /// 412.
    #[error("setup was done already")]
    SetupDone,
    /// 408: what did not arrive in its time.
    #[error("{0} did not arrive in time")]
    Timeout(&'static str),
    /// 413.
    #[error("the body is larger than the server takes")]
    TooLarge,
    /// 414: the path or the query.
    #[error("the {0} is longer than the server takes")]
    UriTooLong(&'static str),
    /// 422: read, and wrong.
    #[error("{0}")]
    Invalid(Cow<'static, str>),
    /// 429: too many credentials of this source were refused; the seconds after which another one is looked at.
    #[error("too many failed authentications from your address, try again later")]
    TooManyFailures(u64),
    /// 431.
    #[error("the request's head is larger than the server takes")]
    HeadTooLarge,
    /// 500: a bug.
    #[error("internal error")]
    Internal,
    /// 503: the database can't be read or written now.
    #[error("the database is unavailable, try again")]
    Unavailable,
    /// 503 of `/readyz`: what the writer last knew.
    #[error("not ready: {0}")]
    NotReady(&'static str),
}

impl From<Rejected> for ApiError {
    fn from(rejected: Rejected) -> Self {
        match rejected {
            Rejected::Unknown => AuthFault::Unknown.into(),
            Rejected::Expired => AuthFault::Expired.into(),
            Rejected::Denied(denied) => denied.into(),
        }
    }
}

impl From<Missing> for ApiError {
    fn from(missing: Missing) -> Self {
        Self::NotFound(match missing {
            Missing::User => "user",
            Missing::Token => "token",
        })
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::CredentialGone => AuthFault::Unknown.into(),
            Refused::JwtExpired => AuthFault::Jwt(JwtFault::Expired).into(),
            Refused::UnknownUser => AuthFault::UnknownUser.into(),
            Refused::Denied(denied) => denied.into(),
            Refused::NotFound(missing) => missing.into(),
            Refused::OwnDeletion | Refused::NotPending => Self::Invalid(refused.to_string().into()),
            Refused::IdTaken | Refused::EmailTaken => Self::Conflict(refused.to_string().into()),
            Refused::SetupDone => Self::SetupDone,
            Refused::Store(_) => Self::Unavailable,
        }
    }
}

impl From<WriteError> for ApiError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Refused(refused) => refused.into(),
            WriteError::Unavailable => Self::Unavailable,
        }
    }
}

impl ApiError {
    /// The status.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) | Self::Handshake(_) | Self::Broken | Self::Json(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) | Self::Original(_) | Self::NotAdmitted(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::SetupDone => StatusCode::PRECONDITION_FAILED,
            Self::Timeout(_) => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UriTooLong(_) => StatusCode::URI_TOO_LONG,
            Self::TooManyFailures(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable | Self::NotReady(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Whether it is of a request that no client sends who means well, or whose connection is too bad.
    pub fn is_hostile(&self) -> bool {
        matches!(self, Self::Broken) || matches!(self.status().as_u16(), 408 | 413 | 414 | 431)
    }

    /// A word for the metrics that says why: one of few, never of the request.
    pub const fn metric_reason(&self) -> &'static str {
        match self {
            Self::BadRequest(_) | Self::Broken => "bad request",
            Self::Handshake(_) => "tls handshake",
            Self::Json(_) => "bad json",
            Self::Unauthorized(fault) => match fault {
                AuthFault::Missing => "missing credentials",
                AuthFault::Doubled => "more than one authorization header",
                AuthFault::Conflicting => "more than one credential",
                AuthFault::Malformed | AuthFault::NoScheme => "malformed authorization header",
                AuthFault::Scheme => "unknown authorization scheme",
                AuthFault::Token(TokenFault::Malformed) => "malformed token",
                AuthFault::Token(TokenFault::BadChecksum) => "bad token checksum",
                AuthFault::Unknown => "unknown or revoked token",
                AuthFault::Expired => "expired token",
                AuthFault::Jwt(fault) => fault.metric_reason(),
                AuthFault::UnknownUser => "unknown user",
            },
            Self::Forbidden(Denied::Blocked) => "user is blocked",
            Self::Forbidden(Denied::Pending) => "user is pending approval",
            Self::Forbidden(_) => "permission denied",
            Self::Original(OriginalFault::Untrusted) => "untrusted proxy",
            Self::Original(_) => "forwarded request not understood",
            Self::NotAdmitted(Denial::NoRule { .. }) => "no rule matches",
            Self::NotAdmitted(_) => "no rule admits",
            Self::NotFound(_) => "not found",
            Self::Method(_) => "method not allowed",
            Self::Conflict(_) => "conflict",
            Self::SetupDone => "setup done",
            Self::Timeout(_) => "timeout",
            Self::TooLarge => "body too large",
            Self::UriTooLong(_) => "uri too long",
            Self::TooManyFailures(_) => "too many failures",
            Self::HeadTooLarge => "head too large",
            Self::Invalid(_) => "invalid",
            Self::Internal => "internal error",
            Self::Unavailable => "database unavailable",
            Self::NotReady(_) => "not ready",
        }
    }
}

impl actix_web::ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    /// A bare status: `api::respond` puts the answer in its place, knowing the configuration.
    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status())
    }
}

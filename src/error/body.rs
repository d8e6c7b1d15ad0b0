//! What a client gets to see of an error: headers and body.

use std::borrow::Cow;
use std::fmt::Write as _;

use actix_web::http::header::{ALLOW, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, HttpResponseBuilder};
use schemars::{JsonSchema, SchemaGenerator};

use super::{ApiError, AuthFault};
use crate::jwt::JwtFault;
use crate::policy::Denied;

impl ApiError {
    /// `message` of the body: two are fixed by the contract, or NetBird's own where asked for.
    fn message(&self, netbird_messages: bool) -> Cow<'static, str> {
        match self {
            Self::Unauthorized(_) if !netbird_messages => "unauthorized".into(),
            Self::Forbidden(_) | Self::Original(_) | Self::NotAdmitted(_) if !netbird_messages => {
                "forbidden".into()
            }
            Self::Unauthorized(AuthFault::Missing | AuthFault::NoScheme | AuthFault::Scheme) => {
                "no valid authentication provided".into()
            }
            Self::Unauthorized(AuthFault::Expired | AuthFault::Jwt(JwtFault::Expired)) => {
                "token expired".into()
            }
            Self::Unauthorized(_) => "token invalid".into(),
            Self::Forbidden(denied @ (Denied::Blocked | Denied::Pending)) => {
                denied.to_string().into()
            }
            Self::Forbidden(Denied::OthersTokens) => {
                "admin role required to perform this action".into()
            }
            Self::Forbidden(_) | Self::Original(_) | Self::NotAdmitted(_) => {
                "permission denied".into()
            }
            other => other.to_string().into(),
        }
    }

    /// The whole answer. `netbird_messages` puts NetBird's wording for the two fixed messages.
    pub fn response(&self, netbird_messages: bool) -> HttpResponse {
        let status = self.status();
        let mut response = HttpResponseBuilder::new(status);
        match self {
            Self::Unauthorized(fault) => challenge(&mut response, *fault),
            Self::Forbidden(_) | Self::Original(_) | Self::NotAdmitted(_) => {
                let mut header = String::from("Bearer realm=\"netbird-auth\"");
                let _ = write!(
                    header,
                    ", error=\"insufficient_scope\", error_description=\"{self}\""
                );
                response
                    .append_header((WWW_AUTHENTICATE, header))
                    .append_header((WWW_AUTHENTICATE, TOKEN_CHALLENGE));
            }
            Self::Method(allowed) => {
                response.insert_header((ALLOW, allowed.as_str()));
            }
            Self::TooManyFailures(seconds) => {
                response.insert_header((RETRY_AFTER, HeaderValue::from(*seconds)));
            }
            Self::Unavailable | Self::NotReady(_) => {
                response.insert_header((RETRY_AFTER, HeaderValue::from_static("1")));
            }
            _ => {}
        }
        let reason = match self {
            Self::Unauthorized(_)
            | Self::Forbidden(_)
            | Self::Original(_)
            | Self::NotAdmitted(_) => Some(self.to_string()),
            _ => None,
        };
        let body = Body {
            message: self.message(netbird_messages),
            code: status.as_u16(),
            reason,
        };
        crate::answer::json(response, &body)
    }
}

const TOKEN_CHALLENGE: &str = "Token realm=\"netbird-auth\"";

/// RFC 6750 §3: no error code where no credential was shown, so that a client just asks for one. The
/// reason stands there all the same.
fn challenge(response: &mut HttpResponseBuilder, fault: AuthFault) {
    let bearer = match fault {
        AuthFault::Missing => {
            format!("Bearer realm=\"netbird-auth\", error_description=\"{fault}\"")
        }
        fault => format!(
            "Bearer realm=\"netbird-auth\", error=\"invalid_token\", error_description=\"{fault}\""
        ),
    };
    response
        .append_header((WWW_AUTHENTICATE, bearer))
        .append_header((WWW_AUTHENTICATE, TOKEN_CHALLENGE));
}

/// The name of the schema of every such body.
pub const SCHEMA: &str = "Error";

/// Puts that schema among the others.
pub fn schema(generator: &mut SchemaGenerator) {
    generator.subschema_for::<Body>();
}

/// An answer that is not a success.
#[derive(serde::Serialize, JsonSchema)]
#[schemars(rename = "Error")]
struct Body {
    /// `unauthorized`, `forbidden`, or a sentence that says what is wrong.
    message: Cow<'static, str>,
    /// The status.
    #[schemars(range(min = 400, max = 599))]
    code: u16,
    /// Why a credential was refused, with 401 and 403.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    reason: Option<String>,
}

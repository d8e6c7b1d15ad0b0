//! What comes back: the successes, and every status that is none.

use actix_web::http::StatusCode;
use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use super::{Answer, Door, Link, Operation};
use crate::error;

/// Of the connection or a bug: any route may answer so.
const EVERYWHERE: &[(StatusCode, &str)] = &[
    (
        StatusCode::URI_TOO_LONG,
        "The path or the query is longer than the server takes.",
    ),
    (
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        "The request's head is larger than the server takes.",
    ),
    (
        StatusCode::INTERNAL_SERVER_ERROR,
        "A bug; the log tells it.",
    ),
];

const CLOSED: &[(StatusCode, &str)] = &[
    (
        StatusCode::UNAUTHORIZED,
        "The credential is missing or was not believed; `reason` says why.",
    ),
    (
        StatusCode::FORBIDDEN,
        "The user may not do this, or is blocked or pending; `reason` says which.",
    ),
    (
        StatusCode::TOO_MANY_REQUESTS,
        "Too many credentials from this address were not believed.",
    ),
    (
        StatusCode::SERVICE_UNAVAILABLE,
        "The database can't be read or written now.",
    ),
];

const BY_RULE: &[(StatusCode, &str)] = &[
    (
        StatusCode::UNAUTHORIZED,
        "The credential is missing or was not believed; `reason` says why.",
    ),
    (
        StatusCode::FORBIDDEN,
        "No rule admits the user, the user is blocked or pending, or the proxy is not trusted or not \
         understood; `reason` says which.",
    ),
    (
        StatusCode::SERVICE_UNAVAILABLE,
        "A login can't be written now.",
    ),
];

const WITH_IDS: &[(StatusCode, &str)] =
    &[(StatusCode::BAD_REQUEST, "An id in the path can be none.")];

const WITH_BODY: &[(StatusCode, &str)] = &[
    (
        StatusCode::BAD_REQUEST,
        "The body is not one JSON object, a name stands twice in it, a member has the wrong type, or an \
         id in the path can be none.",
    ),
    (
        StatusCode::REQUEST_TIMEOUT,
        "The body did not arrive in time.",
    ),
    (
        StatusCode::PAYLOAD_TOO_LARGE,
        "The body is larger than the server takes.",
    ),
];

/// Every answer of an operation by its status; the operation's own words count most.
pub(super) fn of(operation: &Operation, has_ids: bool, generator: &mut SchemaGenerator) -> Value {
    let door = match operation.door {
        Door::Open => &[],
        Door::Closed => CLOSED,
        Door::ByRule => BY_RULE,
    };
    let none: &[(StatusCode, &str)] = &[];
    let ids = if has_ids { WITH_IDS } else { none };
    let body = operation.body.map_or(none, |_| WITH_BODY);
    let all = [EVERYWHERE, door, ids, body, operation.refusals];
    let mut answers = Map::new();
    answers.insert("200".to_owned(), success(operation, generator));
    for (status, about) in all.into_iter().flatten() {
        answers.insert(status.as_str().to_owned(), refusal(*status, about));
    }
    answers.into()
}

fn success(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let mut headers = Map::from_iter([request_id()]);
    let mut answer = match operation.answer {
        Answer::Json(about, schema) => json!({
            "description": about,
            "content": { "application/json": { "schema": schema(generator) } },
        }),
        Answer::Headers(about, all) => {
            for (name, about) in all {
                let header = json!({
                    "required": true,
                    "description": about,
                    "schema": { "type": "string", "minLength": 1 },
                });
                headers.insert((*name).to_owned(), header);
            }
            json!({ "description": about })
        }
    };
    if let Some(answer) = answer.as_object_mut() {
        answer.insert("headers".to_owned(), headers.into());
        if !operation.links.is_empty() {
            let links = operation.links.iter().map(Link::value);
            answer.insert("links".to_owned(), links.collect::<Map<_, _>>().into());
        }
    }
    answer
}

impl Link {
    fn value(&self) -> (String, Value) {
        let parameters = self.parameters.iter();
        let parameters: Map<String, Value> = parameters
            .map(|(name, place)| ((*name).to_owned(), (*place).into()))
            .collect();
        let link = json!({ "operationId": self.to, "parameters": parameters });
        (self.to.to_owned(), link)
    }
}

fn refusal(status: StatusCode, about: &str) -> Value {
    let mut headers = Map::new();
    // A head that can't be read whole is no request yet, and has no id.
    if status != StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE {
        headers.extend([request_id()]);
    }
    let more = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Some("WWW-Authenticate"),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Some("Retry-After"),
        _ => None,
    };
    headers.extend(more.map(header));
    json!({
        "description": about,
        "headers": headers,
        "content": { "application/json": { "schema": super::body::at(error::SCHEMA) } },
    })
}

fn request_id() -> (String, Value) {
    header("X-Request-Id")
}

fn header(name: &str) -> (String, Value) {
    let at = json!({ "$ref": format!("#/components/headers/{name}") });
    (name.to_owned(), at)
}

/// What the answers refer to.
pub(super) fn headers(generator: &mut SchemaGenerator) -> Value {
    json!({
        "X-Request-Id": {
            "required": true,
            "description": "Stands in the log too.",
            "schema": crate::schema::token_id(generator),
        },
        "WWW-Authenticate": {
            "required": true,
            "description": "Two challenges (RFC 6750), the first with the reason.",
            "schema": { "type": "string" },
            "example": "Bearer realm=\"netbird-auth\", error=\"invalid_token\", \
                        error_description=\"expired token\", Token realm=\"netbird-auth\"",
        },
        "Retry-After": {
            "required": true,
            "description": "Seconds after which another try makes sense.",
            "schema": { "type": "integer", "minimum": 1 },
        },
    })
}

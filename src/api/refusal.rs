//! What is refused: its answer, its count, and its line in the log.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Instant;

use actix_web::HttpRequest;
use actix_web::dev::ServiceResponse;
use actix_web::http::header::{HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode};
use log::kv::Value;

use super::client::client;
use super::verify::PATH as VERIFY;
use crate::app::App;
use crate::error::{ApiError, AuthFault, UNREADABLE};
use crate::xid::Xid;

/// A path in more encodings than this over one another is not looked through for the log.
const MOST_ENCODINGS: usize = 4;
/// Bytes of a path in the log: `[limits] path_bytes`, where it is not set.
const MOST_PATH: usize = 2048;
/// Characters of what a proxy asks about, in the log.
const MOST_ASKED: usize = 200;

/// Puts the error's answer in place of actix's, counts it and logs it.
pub(super) fn refuse(app: &App, response: ServiceResponse, id: Xid) -> ServiceResponse {
    let foreign;
    let known = response
        .response()
        .error()
        .and_then(|error| error.as_error::<ApiError>());
    let mut error = match known {
        Some(error) => error,
        None => {
            foreign = of_status(response.status());
            &foreign
        }
    };
    let request = response.request();
    let client = client(app, request);
    let limited;
    // Who shows no credential has guessed none.
    if let ApiError::Unauthorized(fault) = error
        && *fault != AuthFault::Missing
        && let Err(wait) = app.refusals.failed(client, Instant::now())
        // A proxy would make of a 429 what it likes.
        && !is_verify(request.path())
    {
        limited = ApiError::TooManyFailures(wait.as_secs() + 1);
        error = &limited;
    }
    app.metrics
        .not_passed(error.status().as_u16(), error.metric_reason());
    log_refusal(app, client, Some((request, id)), error);
    let answer = error.response(app.netbird_messages);
    response.into_response(answer)
}

/// One line, as `deploy/fail2ban` reads it: new fields come behind the others.
fn log_refusal(
    app: &App,
    client: Option<IpAddr>,
    request: Option<(&HttpRequest, Xid)>,
    error: &ApiError,
) {
    let status = error.status().as_u16();
    let level = match status {
        401 | 403 | 429 => log::Level::Info,
        _ if error.is_hostile() || request.is_none() => log::Level::Info,
        500.. => log::Level::Warn,
        _ => log::Level::Debug,
    };
    if !log::log_enabled!(level) {
        return;
    }
    let now = Instant::now();
    let line = match status {
        // A bug is told each time.
        500 => Some(0),
        // One trouble of ours, whoever asks.
        501.. => app.refusals.line(None, error.metric_reason(), now),
        _ if level == log::Level::Info => app.refusals.line(client, error.metric_reason(), now),
        _ => Some(0),
    };
    let Some(untold) = line else {
        return;
    };
    let client = client.map_or_else(|| "unknown".to_owned(), |client| client.to_string());
    let (reason, asked);
    let mut fields: Vec<(&str, Value<'_>)> = Vec::with_capacity(8);
    if let Some((_, id)) = &request {
        fields.push(("request.id", id.as_str().into()));
    }
    fields.push(("client.address", client.as_str().into()));
    if let Some((request, _)) = request {
        let (verb, place) = (method(request.method()), path(request.path()));
        fields.extend([("http.method", verb.into()), ("http.path", place.into())]);
        if is_verify(place) {
            asked = self::asked(request.headers());
            fields.push(("asked", asked.as_str().into()));
        }
    }
    reason = error.to_string();
    fields.extend([
        ("http.status", status.into()),
        ("reason", reason.as_str().into()),
    ]);
    if untold > 0 {
        fields.push(("unlogged", untold.into()));
    }
    log::logger().log(
        &log::Record::builder()
            .level(level)
            .target(module_path!())
            .args(format_args!("request refused"))
            .key_values(&fields.as_slice())
            .build(),
    );
}

/// What became no request: it is counted, and the log has a line.
pub fn refused(app: &App, peer: Option<IpAddr>, error: &ApiError) {
    app.metrics
        .not_passed(error.status().as_u16(), error.metric_reason());
    log_refusal(app, peer, None, error);
}

/// How many refusals of a source that is quiet now got no line. To be called now and then.
pub fn sum_up(app: &App) {
    for (client, reason, untold) in app.refusals.untold(Instant::now()) {
        let client = client.map_or_else(|| "unknown".to_owned(), |client| client.to_string());
        log::info!(
            "client.address" = client, "reason" = reason, "unlogged" = untold;
            "requests refused"
        );
    }
}

/// For the log: without the query, and never with a token that somebody put there by mistake, in
/// whatever encoding.
pub(super) fn path(path: &str) -> &str {
    if path.len() > MOST_PATH {
        return "(too long)";
    }
    let mut text = Cow::Borrowed(path);
    for _ in 0..MOST_ENCODINGS {
        if ["nbp_", "eyJ"].iter().any(|start| text.contains(start)) {
            return "(holds a token)";
        }
        let decoded = percent_encoding::percent_decode_str(&text).decode_utf8_lossy();
        if decoded == text {
            return path;
        }
        text = Cow::Owned(decoded.into_owned());
    }
    "(encoded many times)"
}

/// For the log: what a proxy asks about, as far as it says so.
fn asked(headers: &HeaderMap) -> String {
    let text = |name| {
        let value = headers
            .get(name)
            .map(HeaderValue::as_bytes)
            .unwrap_or_default();
        let value = String::from_utf8_lossy(value).into_owned();
        value.chars().take(MOST_ASKED).collect::<String>()
    };
    let verb = text("X-Forwarded-Method");
    let (host, uri) = (text("X-Forwarded-Host"), text("X-Forwarded-Uri"));
    let uri = uri.split('?').next().unwrap_or_default();
    format!("{} {}{}", path(&verb), path(&host), path(uri))
}

/// For the log: a method of HTTP's, not whatever stood in its place.
pub(super) fn method(method: &Method) -> &str {
    match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS" | "PATCH") => known,
        _ => "other",
    }
}

/// An error of actix's own, by its status: its text stays inside.
fn of_status(status: StatusCode) -> ApiError {
    match status {
        StatusCode::NOT_FOUND => ApiError::NotFound("path"),
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::TooLarge,
        StatusCode::SERVICE_UNAVAILABLE => ApiError::Unavailable,
        status if status.is_server_error() => ApiError::Internal,
        _ => ApiError::BadRequest(UNREADABLE.into()),
    }
}

/// Whether a path is that of `/auth/verify`, or meant to be.
pub(super) fn is_verify(path: &str) -> bool {
    let decoded = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
    let segments = decoded.split('/').filter(|segment| !segment.is_empty());
    segments.eq(VERIFY.split('/').filter(|segment| !segment.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_the_log_holds_no_token_in_any_encoding() {
        let deep = format!("/a%{}", "25".repeat(1_000));
        let long = "/a".repeat(1_025);
        let table = [
            ("/api/users", "/api/users"),
            ("/api/users/a%7Cb", "/api/users/a%7Cb"),
            ("/nbp_x", "(holds a token)"),
            ("/%6ebp_x", "(holds a token)"),
            ("/nbp%255Fx", "(holds a token)"),
            ("/eyJx", "(holds a token)"),
            ("/%", "/%"),
            (&deep, "(encoded many times)"),
            (&long, "(too long)"),
        ];
        for (sent, logged) in table {
            assert_eq!(path(sent), logged);
        }
    }
}

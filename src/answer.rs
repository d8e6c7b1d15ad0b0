//! The bodies of all answers, JSON, and the headers that all have.

use std::time::Duration;

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderValue, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::{HttpResponse, HttpResponseBuilder};
use serde::Serialize;

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// What tells browsers to use TLS only for this host, for so long (RFC 6797). Not for what is below it: whose that
/// is is not known here. Zero takes it back.
pub fn strict_transport(time: Duration) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("max-age={}", time.as_secs())).ok()
}

/// What keeps browsers and caches from making something else of an answer: every answer has it. `strict_transport`
/// is for what goes over TLS, and nothing else (RFC 6797 §7.2).
pub fn guard(headers: &mut HeaderMap, strict_transport: Option<&HeaderValue>) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("frame-ancestors 'none'"),
    );
    headers.insert(CACHE_CONTROL, NO_STORE);
    if let Some(value) = strict_transport {
        headers.insert(STRICT_TRANSPORT_SECURITY, value.clone());
    }
}

/// A success with a body.
pub fn ok(body: &impl Serialize) -> HttpResponse {
    json(HttpResponse::Ok(), body)
}

/// What a DELETE answers.
pub fn empty_object() -> HttpResponse {
    headers(&mut HttpResponse::Ok()).body("{}")
}

/// Any status with a body.
pub fn json(mut response: HttpResponseBuilder, body: &impl Serialize) -> HttpResponse {
    match serde_json::to_vec(body) {
        Ok(text) => headers(&mut response).body(text),
        // Our own types have string keys and no fallible parts: this can't be reached.
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

/// The headers of every JSON answer.
pub fn headers(response: &mut HttpResponseBuilder) -> &mut HttpResponseBuilder {
    response.insert_header((CONTENT_TYPE, JSON))
}

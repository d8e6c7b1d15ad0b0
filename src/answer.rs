//! The bodies of all answers: JSON, and nothing for a cache.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use actix_web::{HttpResponse, HttpResponseBuilder};
use serde::Serialize;

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

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
    response
        .insert_header((CONTENT_TYPE, JSON))
        .insert_header((CACHE_CONTROL, NO_STORE))
}

//! The document that tells of this API, made once of the routes.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::web::Bytes;

use super::{routes, told, verify};
use crate::answer;
use crate::openapi::document;

static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| {
    let routes = routes();
    let verify = (verify::PATH, Method::GET.as_str(), &told::VERIFY);
    let known = routes.iter().flat_map(|(path, methods)| {
        let methods = methods.iter();
        methods.map(|(method, _, told)| (*path, method.as_str(), *told))
    });
    document(known.chain([verify])).to_string().into()
});

/// `GET /openapi.json`.
pub async fn openapi() -> HttpResponse {
    answer::headers(&mut HttpResponse::Ok()).body(DOCUMENT.clone())
}

//! What every request and answer goes through: limits, its id, CORS, panics, counters, headers.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::uri::PathAndQuery;
use actix_web::http::{ConnectionType, Method, StatusCode, Version};
use actix_web::middleware::Next;
use actix_web::web::Bytes;
use actix_web::{Error, HttpResponse, web};
use futures_util::FutureExt;

use super::refusal::{is_verify, method, path, refuse};
use crate::app::App;
use crate::clock::Timestamp;
use crate::config::Limits;
use crate::connection::{Running, Watch};
use crate::error::ApiError;
use crate::xid::Xid;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const ALLOWED_METHODS: HeaderValue =
    HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE, OPTIONS");
const ALLOWED_HEADERS: HeaderValue =
    HeaderValue::from_static("Authorization, Content-Type, Accept");

/// The outermost middleware.
///
/// # Errors
/// Only for a handler that panicked: the request is gone with it, so the answer travels as error.
pub async fn respond(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(app) = request.app_data::<web::Data<Arc<App>>>().cloned() else {
        return Err(ApiError::Internal.into());
    };
    let has_body = !matches!(request.parts().1, Payload::None);
    let watch = request.conn_data::<Rc<Watch>>();
    let running = watch.map(|watch| watch.begin(has_body));
    let id = Xid::new(Timestamp::now());
    let extra = Extra {
        id,
        strict_transport: app.strict_transport.clone(),
        cors: match app.cors_origins.is_empty() {
            true => None,
            false => Some(Box::new(cors(&app, request.headers()))),
        },
    };
    if is_preflight(&request) {
        let answer = preflight(&extra);
        return Ok(request.into_response(answer));
    }
    let is_old = request.version() < Version::HTTP_11;
    if let Err(error) = within(&app.limits, &request) {
        let (request, _) = request.into_parts();
        let response = ServiceResponse::from_err(error, request);
        let mut response = refuse(&app, response, id);
        extra.put_on(response.headers_mut());
        return Ok(response);
    }
    // A panic takes the request along. Of an address without a path nothing is told.
    let verb = request.method().clone();
    let place = request.uri().path_and_query().cloned();
    let Ok(answered) = AssertUnwindSafe(next.call(request)).catch_unwind().await else {
        app.metrics.panicked();
        app.metrics
            .not_passed(500, ApiError::Internal.metric_reason());
        let place = place.as_ref().map_or("", PathAndQuery::path);
        log::error!(
            "request.id" = id.as_str(), "http.method" = method(&verb), "http.path" = path(place);
            "a handler panicked"
        );
        return Err(Panicked { extra }.into());
    };
    let response = answered?.map_into_boxed_body();
    let status = response.status();
    let mut response = if status.is_client_error() || status.is_server_error() {
        refuse(&app, response, id)
    } else {
        app.metrics.passed();
        let request = response.request();
        log::debug!(
            "request.id" = id.as_str(),
            "http.method" = method(request.method()), "http.path" = path(request.path()),
            "http.status" = status.as_u16();
            "answered"
        );
        response
    };
    extra.put_on(response.headers_mut());
    if status == StatusCode::REQUEST_TIMEOUT {
        // What is left of the request is no next one.
        let head = response.response_mut().head_mut();
        head.set_connection_type(ConnectionType::Close);
    }
    if is_old {
        // A list of unknown length ends with the connection: HTTP/1.0 knows no chunks (RFC 9112 §6.1).
        let head = response.response_mut().head_mut();
        head.no_chunking(true);
        head.set_connection_type(ConnectionType::Close);
    }
    Ok(match response.response().body().size() {
        BodySize::Stream => response.map_body(|_, body| {
            WhileSent {
                body,
                _running: running,
            }
            .boxed()
        }),
        // All of it goes out with the head.
        _ => response,
    })
}

/// The parts of a request's head within their limits.
fn within(limits: &Limits, request: &ServiceRequest) -> Result<(), ApiError> {
    let uri = request.uri();
    let (path, query) = (uri.path().len(), uri.query().map_or(0, str::len));
    // As they were sent: name, colon, space, value, end of the line.
    let headers = request.headers().iter();
    let headers: usize = headers
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    match () {
        () if path > limits.path_bytes => Err(ApiError::UriTooLong("path")),
        () if query > limits.query_bytes => Err(ApiError::UriTooLong("query")),
        () if path + query + headers > limits.head_bytes => Err(ApiError::HeadTooLarge),
        () => Ok(()),
    }
}

/// A body that is made while it is sent: until its end the request is not answered.
struct WhileSent {
    body: BoxBody,
    _running: Option<Running>,
}

impl MessageBody for WhileSent {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_next(cx)
    }
}

/// Fetch standard, "CORS-preflight request".
fn is_preflight(request: &ServiceRequest) -> bool {
    let headers = request.headers();
    request.method() == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
        // What a proxy asks about somebody else's site is not answered for our own.
        && !is_verify(request.path())
}

fn preflight(extra: &Extra) -> HttpResponse {
    let mut response = HttpResponse::NoContent();
    let is_allowed = |cors: &HeaderMap| cors.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN);
    if extra.cors.as_deref().is_some_and(is_allowed) {
        response
            .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS))
            .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS))
            .insert_header((header::ACCESS_CONTROL_MAX_AGE, "600"));
    }
    let mut response = response.finish();
    extra.put_on(response.headers_mut());
    response
}

/// The allow headers, for a configured origin only; for others the browser keeps the answer.
fn cors(app: &App, request: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = request.get(header::ORIGIN) else {
        return headers;
    };
    if app
        .cors_origins
        .iter()
        .any(|known| known.as_bytes() == origin.as_bytes())
    {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("X-Request-Id, Retry-After"),
        );
    }
    headers
}

/// The headers of every answer.
struct Extra {
    id: Xid,
    /// `None` without TLS.
    strict_transport: Option<HeaderValue>,
    /// `None` where no origin is configured.
    cors: Option<Box<HeaderMap>>,
}

impl Extra {
    fn put_on(&self, headers: &mut HeaderMap) {
        if let Ok(id) = HeaderValue::from_bytes(self.id.as_bytes()) {
            headers.insert(REQUEST_ID, id);
        }
        crate::answer::guard(headers, self.strict_transport.as_ref());
        for (name, value) in self.cors.iter().flat_map(|cors| cors.iter()) {
            headers.insert(name.clone(), value.clone());
        }
    }
}

#[derive(thiserror::Error)]
#[error("a handler panicked")]
struct Panicked {
    extra: Extra,
}

impl std::fmt::Debug for Panicked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Panicked")
    }
}

impl actix_web::ResponseError for Panicked {
    fn status_code(&self) -> StatusCode {
        ApiError::Internal.status()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = ApiError::Internal.response(false);
        self.extra.put_on(response.headers_mut());
        response
    }
}

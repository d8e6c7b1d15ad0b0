//! `/auth/verify`: a reverse proxy asks whether a request to somebody else's site may pass.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::http::header::{
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue, ORIGIN,
};
use actix_web::rt::time::timeout;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::StreamExt;

use super::client::behind_proxy;
use crate::address::is_trusted;
use crate::app::App;
use crate::auth::{Presented, know, let_in, presented_anywhere};
use crate::clock::Timestamp;
use crate::connection::Watch;
use crate::error::{ApiError, AuthFault};
use crate::forward::{self, NOTHING, Original, OriginalFault, Plan, header_value};
use crate::user::User;
use crate::xid::Xid;

/// Where it is asked.
pub const PATH: &str = "/auth/verify";

/// Any method: 200 with who it is, or 401, 403 or 503. It reads memory only.
pub async fn verify(
    request: HttpRequest,
    body: web::Payload,
    app: web::Data<Arc<App>>,
) -> Result<HttpResponse, ApiError> {
    let peer = request.peer_addr();
    if !peer.is_some_and(|peer| is_trusted(peer.ip(), &app.trusted_proxies)) {
        return Err(OriginalFault::Untrusted.into());
    }
    // However it ends, the verdict does not depend on it.
    let watch = request.conn_data::<Rc<Watch>>();
    let skipped = skip(body, app.limits.body_bytes, watch);
    let _ = timeout(app.limits.body_timeout, skipped).await;
    let settings = &app.forward_auth;
    let original = original(request.headers())?;
    let client = match settings.rules.ask_for_client() {
        true => behind_proxy(&app, &request),
        false => None,
    };
    let plan = forward::plan(settings, &original, client);
    if let Plan::Open = plan {
        return passes(&app, None, None);
    }
    let shown = presented_anywhere(request.headers(), app.identity_headers.api_key.as_ref())?;
    let known = know(&shown, &app.index, &app.issuers, Timestamp::now())?;
    // A login is written where somebody may pass only, and nobody becomes a user for nothing.
    plan.admit_anybody(client, &original)?;
    let caller = let_in(&app, known).await?;
    plan.admit(&caller.user, client, &original)?;
    let token = match &shown {
        // Revoked since it was looked at.
        Presented::Token(hash) => Some(app.index.token_id(hash).ok_or(AuthFault::Unknown)?),
        Presented::Jwt(_) => None,
    };
    passes(&app, Some(&caller.user), token)
}

/// Reads a short body that a proxy sent along: unread, it would cost the connection.
async fn skip(mut body: web::Payload, most: usize, watch: Option<&Rc<Watch>>) {
    let mut length = 0;
    if let Some(watch) = watch {
        watch.reads_body();
    }
    while let Some(Ok(part)) = body.next().await {
        length += part.len();
        if length > most {
            return;
        }
    }
    if let Some(watch) = watch {
        watch.has_read_body();
    }
}

static METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
static PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
static URI: HeaderName = HeaderName::from_static("x-forwarded-uri");

/// From four headers and nothing else: a proxy relays the client's copy of what it does not set.
///
/// # Errors
/// A header that does not stand there once, or that can't be understood.
pub fn original(headers: &HeaderMap) -> Result<Original, OriginalFault> {
    let once = |header: &HeaderName, name| {
        let mut values = headers.get_all(header);
        match (values.next(), values.next()) {
            (Some(value), None) => Ok(value.as_bytes()),
            _ => Err(OriginalFault::NotOnce(name)),
        }
    };
    let says = |name| {
        let mut values = headers.get_all(name);
        values.next().is_some_and(|value| !value.is_empty()) && values.next().is_none()
    };
    let method = once(&METHOD, "X-Forwarded-Method")?;
    Original::parse(
        method,
        once(&PROTO, "X-Forwarded-Proto")?,
        once(&HOST, "X-Forwarded-Host")?,
        once(&URI, "X-Forwarded-Uri")?,
        method == b"OPTIONS" && says(ORIGIN) && says(ACCESS_CONTROL_REQUEST_METHOD),
    )
}

/// Every header is always there: the proxy puts it in the place of whatever the client sent.
fn passes(app: &App, user: Option<&User>, token: Option<Xid>) -> Result<HttpResponse, ApiError> {
    let names = &app.identity_headers;
    let text = |text: Option<&str>| match text.map(header_value) {
        None | Some(Cow::Borrowed(NOTHING)) => Ok(HeaderValue::from_static(NOTHING)),
        Some(Cow::Borrowed(text)) => HeaderValue::from_str(text),
        Some(Cow::Owned(text)) => HeaderValue::from_maybe_shared(Bytes::from(text)),
    };
    let values = [
        (&names.user, text(user.map(|user| user.id.as_str()))),
        (&names.name, text(user.map(|user| user.name.as_str()))),
        (&names.email, text(user.map(|user| user.email.as_str()))),
        (&names.groups, user.map_or(text(None), groups)),
        (&names.token_id, text(token.as_ref().map(Xid::as_str))),
    ];
    let mut response = HttpResponse::Ok();
    for (name, value) in values {
        let value = value.map_err(|_| ApiError::Internal)?;
        response.insert_header((name.clone(), value));
    }
    // Without a body: nginx and Caddy close a connection of which they do not read the answer to its end.
    Ok(response.finish())
}

/// The role first, then the groups.
fn groups(user: &User) -> Result<HeaderValue, InvalidHeaderValue> {
    if user.auto_groups.is_empty() {
        return Ok(HeaderValue::from_static(user.role.as_str()));
    }
    let mut all = user.role.as_str().to_owned();
    for group in &user.auto_groups {
        all.push(',');
        all.push_str(&header_value(group));
    }
    HeaderValue::from_maybe_shared(Bytes::from(all))
}

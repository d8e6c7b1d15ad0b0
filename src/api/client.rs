//! Where a request comes from.

use std::borrow::Cow;
use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::http::header::HeaderMap;

use crate::address::{client_address, forwarded_client};
use crate::app::App;

/// The client's address as far as trusted proxies tell it; `None` where the peer's is unknown.
pub(super) fn client(app: &App, request: &HttpRequest) -> Option<IpAddr> {
    let lines = forwarded_for(request.headers());
    let lines = lines.iter().map(AsRef::as_ref);
    let peer = request.peer_addr()?.ip();
    Some(client_address(peer, lines, &app.trusted_proxies))
}

/// The address of a client behind a proxy; `None` where the proxy does not tell it.
pub(super) fn behind_proxy(app: &App, request: &HttpRequest) -> Option<IpAddr> {
    let lines = forwarded_for(request.headers());
    let lines = lines.iter().map(AsRef::as_ref);
    forwarded_client(request.peer_addr()?.ip(), lines, &app.trusted_proxies)
}

/// The lines of `X-Forwarded-For`, as [`client_address`] and [`forwarded_client`] read them.
pub fn forwarded_for(headers: &HeaderMap) -> Vec<Cow<'_, str>> {
    let lines = headers.get_all("X-Forwarded-For");
    // What is no text is no address: it ends the reading there, rather than being passed over.
    let lines = lines.map(|line| String::from_utf8_lossy(line.as_bytes()));
    lines.collect()
}

//! The TLS handshake of a client.

use std::borrow::Cow;
use std::io;
use std::pin::pin;

use actix_server::GracefulShutdownSignal;
use actix_web::rt::net::TcpStream;
use actix_web::rt::time::Instant;
use futures_util::future::{Either, select};
use rustls::Error;
use tokio::time::timeout_at;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::error::ApiError;

/// The first byte of a TLS record with a handshake in it (RFC 8446 §5.1).
const HANDSHAKE: u8 = 22;

/// Why TLS is not spoken.
pub(super) enum Failed {
    /// Nobody said anything, or the server stops.
    Silent,
    /// What was said is no TLS. Nothing of it was read.
    Plain(TcpStream),
    /// It came to nothing. The client was told by an alert, where it can be told anything.
    Fault(ApiError),
}

/// Waits for it, until a time.
pub(super) async fn done(
    tls: &TlsAcceptor,
    tcp: TcpStream,
    until: Instant,
    stopping: &GracefulShutdownSignal,
) -> Result<Box<TlsStream<TcpStream>>, Failed> {
    match select(pin!(shake(tls, tcp, until)), pin!(stopping.notified())).await {
        Either::Left((shaken, _)) => shaken,
        Either::Right(_) => Err(Failed::Silent),
    }
}

async fn shake(
    tls: &TlsAcceptor,
    tcp: TcpStream,
    until: Instant,
) -> Result<Box<TlsStream<TcpStream>>, Failed> {
    let mut first = [0];
    match timeout_at(until, tcp.peek(&mut first)).await {
        Ok(Ok(1..)) if first == [HANDSHAKE] => {}
        Ok(Ok(1..)) => return Err(Failed::Plain(tcp)),
        Ok(Ok(0) | Err(_)) | Err(_) => return Err(Failed::Silent),
    }
    match timeout_at(until, tls.accept(tcp)).await {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(error)) => {
            let fault = error.get_ref().and_then(|inner| inner.downcast_ref());
            Err(Failed::Fault(ApiError::Handshake(told(fault, &error))))
        }
        Err(_) => Err(Failed::Fault(ApiError::Timeout("the TLS handshake"))),
    }
}

/// For the log: what whoever runs the server can do something with.
fn told(fault: Option<&Error>, error: &io::Error) -> Cow<'static, str> {
    match fault {
        Some(Error::AlertReceived(alert)) => {
            format!("the client broke the TLS handshake off: {alert:?}").into()
        }
        Some(Error::PeerIncompatible(what)) => {
            format!("the client's TLS does not fit the server's: {what:?}").into()
        }
        Some(Error::NoApplicationProtocol) => "the client speaks no HTTP/1.1 over TLS".into(),
        Some(_) => "the TLS handshake can't be understood".into(),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the client went away in the TLS handshake".into()
        }
        None => format!("the TLS handshake broke off: {}", error.kind()).into(),
    }
}

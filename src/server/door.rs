//! From a socket that accepts to HTTP on each of its connections, as `HttpServer` of actix-web does it, but that
//! each has its bounds, that TLS is spoken where it shall be, and that what can't be read is told.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, KeepAlive, Protocol, Request, Response};
use actix_server::{GracefulShutdownSignal, Server, ServerBuilder};
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, fn_factory, fn_service,
    map_config,
};
use actix_web::body::MessageBody;
use actix_web::dev::AppConfig;
use actix_web::rt::net::{TcpStream, UnixStream};
use actix_web::rt::time::Instant;
use tokio_rustls::TlsAcceptor;

use super::{Socket, cut_stalled, handshake};
use crate::connection::{Connection, Manner, Stream};
use crate::error::{ApiError, UNREADABLE};

/// Whom a unix socket's client is taken for, as its address: somebody on this machine.
const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// What all connections to a listener have in common.
#[derive(Clone)]
pub(super) struct Door<R> {
    pub(super) manner: Manner,
    /// Over TLS, and over nothing else.
    pub(super) tls: Option<TlsAcceptor>,
    /// Told of what became no request.
    pub(super) refused: R,
}

/// Serves an application on a socket.
pub(super) fn listen<F, I, S, B, R>(
    builder: ServerBuilder,
    socket: Socket,
    door: Door<R>,
    application: F,
) -> io::Result<Server>
where
    F: Fn() -> I + Clone + Send + 'static,
    I: IntoServiceFactory<S, Request> + 'static,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<actix_web::Error> + 'static,
    S::InitError: std::fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    S::Service: 'static,
    B: MessageBody + 'static,
    R: Fn(Option<IpAddr>, &ApiError) + Clone + Send + 'static,
{
    let stopping = builder.graceful_shutdown_signal();
    let builder = builder.disable_signals();
    let builder = match socket {
        Socket::Tcp(listener) => builder.listen("http", listener, move || {
            connections(
                application(),
                door.clone(),
                stopping.clone(),
                |tcp: TcpStream| Stream::Tcp(tcp),
            )
        }),
        Socket::Unix(listener) => builder.listen_uds("http", listener, move || {
            connections(
                application(),
                door.clone(),
                stopping.clone(),
                |unix: UnixStream| Stream::Unix(unix),
            )
        }),
    };
    Ok(builder?.run())
}

/// A worker's service for accepted sockets of one kind.
fn connections<T, I, S, B, R>(
    application: I,
    door: Door<R>,
    stopping: GracefulShutdownSignal,
    stream: impl Fn(T) -> Stream + Copy + 'static,
) -> impl ServiceFactory<T, Config = (), Response = (), Error = (), InitError = ()>
where
    T: 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<actix_web::Error> + 'static,
    S::InitError: std::fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    S::Service: 'static,
    B: MessageBody + 'static,
    R: Fn(Option<IpAddr>, &ApiError) + Clone + 'static,
{
    let application = application.into_factory();
    let application = application.map_err(|error| error.into().error_response());
    let stops = stopping.clone();
    let http = HttpService::build()
        .graceful_shutdown_signal(move || {
            let stops = stops.clone();
            async move { stops.notified().await }
        })
        // The connection sees to it.
        .keep_alive(KeepAlive::Os)
        .client_request_timeout(Duration::ZERO)
        .client_disconnect_timeout(Duration::from_secs(1))
        .on_connect_ext(|connection: &Connection, data| {
            data.insert(Rc::clone(connection.watch()));
        })
        .finish(map_config(application, |_| AppConfig::default()));
    let door = Rc::new(door);
    fn_factory(move || {
        let (http, door, stopping) = (http.new_service(()), Rc::clone(&door), stopping.clone());
        async move {
            let http = Rc::new(http.await?);
            Ok::<_, ()>(fn_service(move |accepted: T| {
                let (http, door, stopping) = (Rc::clone(&http), Rc::clone(&door), stopping.clone());
                async move {
                    let Some((connection, peer)) = door.enter(stream(accepted), &stopping).await
                    else {
                        return Ok::<_, ()>(());
                    };
                    let ended = http.call((connection, Protocol::Http1, Some(peer))).await;
                    if let Err(DispatchError::Parse(_)) = ended {
                        let unreadable = ApiError::BadRequest(UNREADABLE.into());
                        (door.refused)(Some(peer.ip()), &unreadable);
                    }
                    Ok(())
                }
            }))
        }
    })
}

impl<R: Fn(Option<IpAddr>, &ApiError) + Clone + 'static> Door<R> {
    /// `None` for who is turned away.
    async fn enter(
        &self,
        stream: Stream,
        stopping: &GracefulShutdownSignal,
    ) -> Option<(Connection, SocketAddr)> {
        let accepted = Instant::now();
        let tcp = match stream {
            Stream::Tcp(tcp) => tcp,
            local => return Some((self.connection(local, accepted, LOCAL.ip()), LOCAL)),
        };
        // Who is gone already has none.
        let peer = tcp.peer_addr().ok()?;
        let _ = cut_stalled(&tcp, self.manner.bounds.stalled);
        // An answer is not kept back for the next one.
        let _ = tcp.set_nodelay(true);
        let stream = match &self.tls {
            None => Stream::Tcp(tcp),
            Some(tls) => {
                let until = accepted + self.manner.bounds.head;
                // Apart: the room for a handshake would stay with each connection, also one in the clear.
                match Box::pin(handshake::done(tls, tcp, until, stopping)).await {
                    Ok(tls) => Stream::Tls(tls),
                    Err(handshake::Failed::Silent) => return None,
                    Err(handshake::Failed::Fault(fault)) => {
                        (self.refused)(Some(peer.ip()), &fault);
                        return None;
                    }
                    Err(handshake::Failed::Plain(tcp)) => {
                        // In the clear, so a browser would not believe it; nor should it.
                        let manner = Manner {
                            strict_transport: None,
                            ..self.manner.clone()
                        };
                        let told = self.told(peer.ip());
                        let plain = Connection::new(Stream::Tcp(tcp), accepted, &manner, told);
                        let plain_http = "this port speaks TLS: ask by https".into();
                        Box::pin(plain.turn_away(&ApiError::Handshake(plain_http))).await;
                        return None;
                    }
                }
            }
        };
        Some((self.connection(stream, accepted, peer.ip()), peer))
    }

    fn connection(&self, stream: Stream, accepted: Instant, peer: IpAddr) -> Connection {
        Connection::new(stream, accepted, &self.manner, self.told(peer))
    }

    fn told(&self, peer: IpAddr) -> Rc<dyn Fn(&ApiError)> {
        let refused = self.refused.clone();
        Rc::new(move |error| refused(Some(peer), error))
    }
}

//! The running server: the caller owns the port, the application and the signal.

mod door;
mod handshake;

use std::future::Future;
use std::net::{IpAddr, TcpListener};
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_server::Server;
use actix_service::Service;
use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::rt::time::sleep;
use actix_web::{HttpResponse, web};
use futures_util::future::{Either, select};
use rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;

use crate::api;
use crate::app::App;
use crate::connection::{Bounds, Manner, Watch};
use crate::error::ApiError;
use crate::writer::WriterThread;
use door::Door;

/// How long running requests may take to end once the server was told to stop. The writer then
/// has as long again within the ten seconds that supervisors give.
const GRACE_SECONDS: u64 = 4;

/// To the metrics, at a time.
pub const METRICS_CONNECTIONS: usize = 32;

/// Between two looks at what got no line in the log.
const SUMMED_UP_EVERY: Duration = Duration::from_secs(10);

/// Where the server listens, and with how many threads.
pub struct Listeners {
    /// The API.
    pub api: Socket,
    /// How the API speaks TLS, if it does.
    pub tls: Option<Arc<ServerConfig>>,
    /// The metrics, if anywhere.
    pub metrics: Option<TcpListener>,
    /// Worker threads; 0 is one a core.
    pub workers: usize,
    /// Most connections to the API at a time; further ones wait.
    pub connections: usize,
}

/// What accepts clients.
pub enum Socket {
    /// At an address.
    Tcp(TcpListener),
    /// In the file system.
    Unix(UnixListener),
}

/// Why a server ended.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The operating system refused.
    #[error("the server could not run: {0}")]
    Io(#[from] std::io::Error),
    /// A bug: nothing could be written any more, so the process must be started anew.
    #[error("the writer ended by itself; the log says why: start the server again")]
    WriterEnded,
    /// The disk took no more until the end.
    #[error(
        "stopped, but the last marks of use could not be written: last_used of some tokens is old"
    )]
    MarksLost,
}

/// Lets the operating system cut this connection, or each one of this listener, if the client takes nothing of
/// what was sent to it for so long. Without this a client could ask for a long list, read nothing,
/// and keep the connection and a page of the list for ever.
///
/// A connection on which nothing is to be sent is not cut. A client that reads is cut only if it is
/// very slow: the kernel sees that it reads when it has made room for a larger piece.
///
/// # Errors
/// That of the operating system.
#[cfg(target_os = "linux")]
pub fn cut_stalled(socket: impl AsFd, write_timeout: Duration) -> std::io::Result<()> {
    let milliseconds = u32::try_from(write_timeout.as_millis()).unwrap_or(u32::MAX);
    // An accepted connection takes over the options of its listener.
    rustix::net::sockopt::set_tcp_user_timeout(socket, milliseconds)?;
    Ok(())
}

/// Does nothing: only Linux has `TCP_USER_TIMEOUT`.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub fn cut_stalled(_: impl AsFd, _: Duration) -> std::io::Result<()> {
    Ok(())
}

/// Serves until `shutdown` resolves; then running requests finish, the queue drains, and the last
/// marks are written.
///
/// # Errors
/// [`ServerError`].
pub async fn run(
    listeners: Listeners,
    app: Arc<App>,
    mut writer: WriterThread,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServerError> {
    let plain = Manner {
        bounds: Bounds {
            head: app.limits.header_timeout,
            idle: app.limits.keep_alive,
            head_bytes: app.limits.head_bytes,
            stalled: app.limits.write_timeout,
        },
        strict_transport: None,
    };
    let mut handles: Vec<ServerHandle> = Vec::new();
    if let Some(listener) = listeners.metrics {
        let data = web::Data::new(Arc::clone(&app));
        let door = Door {
            manner: plain.clone(),
            tls: None,
            refused: refusals(&app),
        };
        let builder = Server::build()
            .workers(1)
            .shutdown_timeout(1)
            .max_concurrent_connections(METRICS_CONNECTIONS);
        let server = door::listen(builder, Socket::Tcp(listener), door, move || {
            actix_web::App::new()
                .app_data(data.clone())
                .wrap_fn(|request, service| {
                    let watch = request.conn_data::<Rc<Watch>>();
                    let running = watch.map(|watch| watch.begin(false));
                    let answered = service.call(request);
                    async move {
                        let answered = answered.await;
                        drop(running);
                        answered
                    }
                })
                .route("/metrics", web::get().to(metrics))
        })?;
        handles.push(server.handle());
        actix_web::rt::spawn(server);
    }
    let workers = match listeners.workers {
        0 => std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
        workers => workers,
    };
    let builder = Server::build()
        .workers(workers)
        .shutdown_timeout(GRACE_SECONDS)
        .max_concurrent_connections((listeners.connections / workers).max(1));
    let door = Door {
        manner: Manner {
            strict_transport: app.strict_transport.clone(),
            ..plain
        },
        tls: listeners.tls.map(TlsAcceptor::from),
        refused: refusals(&app),
    };
    let data = web::Data::new(Arc::clone(&app));
    let server = door::listen(builder, listeners.api, door, move || {
        actix_web::App::new()
            .app_data(data.clone())
            .app_data(web::PayloadConfig::new(data.limits.body_bytes))
            .wrap(from_fn(api::respond))
            .configure(api::configure)
    })?;
    handles.push(server.handle());
    let server = actix_web::rt::spawn(server);

    let summed_up = actix_web::rt::spawn({
        let app = Arc::clone(&app);
        async move {
            loop {
                sleep(SUMMED_UP_EVERY).await;
                api::sum_up(&app);
            }
        }
    });

    let alive = match select(pin!(shutdown), &mut writer.ended).await {
        Either::Left(_) => true,
        Either::Right(_) => false,
    };
    // The metrics last: what made the server end shall be seen there.
    for handle in handles.into_iter().rev() {
        handle.stop(true).await;
    }
    let _ = server.await;
    summed_up.abort();
    let _ = summed_up.await;
    // The last handles go with the application; the writer then empties its queue and ends.
    drop(app);
    let clean = actix_web::rt::task::spawn_blocking(move || writer.join()).await;
    match clean {
        Ok(Some(true)) if alive => Ok(()),
        Ok(Some(false)) if alive => Err(ServerError::MarksLost),
        _ => Err(ServerError::WriterEnded),
    }
}

/// What became no request: the metrics count it, and the log has a line.
fn refusals(app: &Arc<App>) -> impl Fn(Option<IpAddr>, &ApiError) + Clone + Send + 'static {
    let app = Arc::clone(app);
    move |peer, error| api::refused(&app, peer, error)
}

async fn metrics(app: web::Data<Arc<App>>) -> HttpResponse {
    match app.metrics.text() {
        Ok(text) => HttpResponse::Ok()
            .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
            .body(text),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

//! The running server: the caller owns the port, the application and the signal.

use std::future::Future;
use std::net::TcpListener;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::{HttpResponse, HttpServer, web};
use futures_util::future::{Either, select};

use crate::api;
use crate::app::App;
use crate::writer::WriterThread;

/// How long running requests may take to end once the server was told to stop. The writer then
/// has as long again within the ten seconds that supervisors give.
const GRACE_SECONDS: u64 = 4;

/// Where the server listens, and with how many threads.
pub struct Listeners {
    /// The API.
    pub api: TcpListener,
    /// The metrics, if anywhere.
    pub metrics: Option<TcpListener>,
    /// Worker threads; 0 is one a core.
    pub workers: usize,
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

/// Lets the operating system cut each connection of this listener whose client takes nothing of
/// what was sent to it for so long. Without this a client could ask for a long list, read nothing,
/// and keep the connection and a page of the list for ever.
///
/// A connection on which nothing is to be sent is not cut. A client that reads is cut only if it is
/// very slow: the kernel sees that it reads when it has made room for a larger piece.
///
/// # Errors
/// That of the operating system.
#[cfg(target_os = "linux")]
pub fn cut_stalled(listener: &TcpListener, write_timeout: Duration) -> std::io::Result<()> {
    let milliseconds = u32::try_from(write_timeout.as_millis()).unwrap_or(u32::MAX);
    // An accepted connection takes over the options of its listener.
    rustix::net::sockopt::set_tcp_user_timeout(listener, milliseconds)?;
    Ok(())
}

/// Does nothing: only Linux has `TCP_USER_TIMEOUT`.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub fn cut_stalled(_: &TcpListener, _: Duration) -> std::io::Result<()> {
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
    let mut handles: Vec<ServerHandle> = Vec::new();
    if let Some(listener) = listeners.metrics {
        let app = web::Data::new(Arc::clone(&app));
        let server = HttpServer::new(move || {
            actix_web::App::new()
                .app_data(app.clone())
                .route("/metrics", web::get().to(metrics))
        })
        .workers(1)
        .disable_signals()
        .shutdown_timeout(1)
        .listen(listener)?
        .run();
        handles.push(server.handle());
        actix_web::rt::spawn(server);
    }
    let data = web::Data::new(Arc::clone(&app));
    let mut server = HttpServer::new(move || {
        actix_web::App::new()
            .app_data(data.clone())
            .app_data(web::PayloadConfig::new(api::LONGEST_BODY))
            .wrap(from_fn(api::respond))
            .configure(api::configure)
    })
    .disable_signals()
    // An answer is not kept back for the next one.
    .tcp_nodelay(true)
    .shutdown_timeout(GRACE_SECONDS)
    .keep_alive(Duration::from_secs(15));
    if listeners.workers > 0 {
        server = server.workers(listeners.workers);
    }
    let server = server.listen(listeners.api)?.run();
    handles.push(server.handle());
    let server = actix_web::rt::spawn(server);

    let alive = match select(pin!(shutdown), &mut writer.ended).await {
        Either::Left(_) => true,
        Either::Right(_) => false,
    };
    // The metrics last: what made the server end shall be seen there.
    for handle in handles.into_iter().rev() {
        handle.stop(true).await;
    }
    let _ = server.await;
    // The last handles go with the application; the writer then empties its queue and ends.
    drop(app);
    let clean = actix_web::rt::task::spawn_blocking(move || writer.join()).await;
    match clean {
        Ok(Some(true)) if alive => Ok(()),
        Ok(Some(false)) if alive => Err(ServerError::MarksLost),
        _ => Err(ServerError::WriterEnded),
    }
}

async fn metrics(app: web::Data<Arc<App>>) -> HttpResponse {
    match app.metrics.text() {
        Ok(text) => HttpResponse::Ok()
            .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
            .body(text),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

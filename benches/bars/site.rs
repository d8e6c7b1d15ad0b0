//! The servers that are asked: in this process, one worker each, on a core of their own.

use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::{HttpResponse, HttpServer, web};
use netbird_auth::api;
use netbird_auth::app::{App, IdentityHeaderNames};
use netbird_auth::config::{self, Environment, Limits};
use netbird_auth::index::Index;
use netbird_auth::issuers::Issuers;
use netbird_auth::jwt::IssuerSet;
use netbird_auth::metrics::Metrics;
use netbird_auth::refusals::{Budget, Refusals};
use netbird_auth::store::{self, Readers};
use netbird_auth::user::Caller;
use netbird_auth::writer::{Start, Writer, WriterThread};
use rustix::thread::{CpuSet, Pid, gettid, sched_getaffinity, sched_setaffinity};

use crate::fill::Filled;

/// A refusal is measured as one, and not as the 429 after it.
const UNLIMITED: Budget = Budget {
    burst: NonZeroU32::MAX,
    per_second: NonZeroU32::MAX,
};

/// Where the workers run.
const SERVER_CORE: usize = 0;
/// Where whoever asks runs, and the writer.
const CLIENT_CORE: usize = 1;
/// As the product's own server has it.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Two servers over one database.
pub struct Site {
    /// Handlers by themselves: `/bare`, which asks for nothing, `/caller`, which is behind the door,
    /// and what a group adds.
    pub plain: Server,
    /// The product's, with all that it does for each answer, and `/caller`.
    pub whole: Server,
    app: Arc<App>,
    handles: Vec<ServerHandle>,
    thread: JoinHandle<()>,
    writer: WriterThread,
}

/// One of them.
pub struct Server {
    pub address: SocketAddr,
    /// The thread of its worker.
    pub worker: Pid,
    /// Where it marks tokens as used.
    pub index: Arc<Index>,
}

impl Site {
    /// Starts both over a copy of a database, made in a folder. `settings` is the settings file, and
    /// `more` adds routes to the plain one, on the worker's thread.
    pub fn start(
        folder: &Path,
        filled: &Filled,
        settings: &str,
        more: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
    ) -> Self {
        let path = folder.join("site.db");
        copy(&filled.path, &path);
        // The writer's thread runs where this one does.
        let _pinned = Pinned::to_client();
        let (app, writer) = app(folder, &path, settings);
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [plain, whole] = [0, 1].map(|place: usize| listeners[place].local_addr().unwrap());
        let (tell, told) = mpsc::channel();
        let data = web::Data::new(Arc::clone(&app));
        let thread = std::thread::spawn(move || serve(listeners, &data, more, &tell));
        let (mut handles, mut workers) = (Vec::new(), [None, None]);
        while handles.is_empty() || workers.contains(&None) {
            match told.recv().unwrap() {
                Told::Worker(place, thread) => workers[place] = Some(thread),
                Told::Handles(both) => handles.extend(both),
            }
        }
        let server = |address, worker: Option<Pid>| Server {
            address,
            worker: worker.unwrap(),
            index: Arc::clone(&app.index),
        };
        Self {
            plain: server(plain, workers[0]),
            whole: server(whole, workers[1]),
            app,
            handles,
            thread,
            writer,
        }
    }

    /// Ends everything; the last marks must have reached the database.
    pub fn stop(self) {
        for handle in self.handles {
            // It is told at once; the thread ends when both have stopped.
            drop(handle.stop(false));
        }
        self.thread.join().unwrap();
        drop((self.plain, self.whole, self.app));
        assert_eq!(self.writer.join(), Some(true), "the last marks are lost");
    }
}

impl Server {
    /// Waits until all marks are in the database, so that what is measured next has the machine for
    /// itself. The writer is busy with them; what waits here leaves it the core.
    pub fn settle(&self) {
        while self.index.oldest_mark().is_some() {
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}

/// Copies a database that nobody has open, and lets the disk have it before anything is measured.
pub fn copy(from: &Path, to: &Path) {
    std::fs::copy(from, to).unwrap();
    std::fs::File::open(to).unwrap().sync_all().unwrap();
}

fn app(folder: &Path, database: &Path, settings: &str) -> (Arc<App>, WriterThread) {
    let file = folder.join("netbird-auth.toml");
    std::fs::write(&file, settings).unwrap();
    let config = config::load(Some(&file), &Environment::default())
        .unwrap()
        .config;
    let set = IssuerSet::load(config.issuers).unwrap().set;
    let start = Start::load(
        store::open_writer(database, Duration::from_secs(1)).unwrap(),
        database,
    )
    .unwrap();
    let index = start.index();
    let readers = Readers::open(database).unwrap();
    let backups = Arc::default();
    let (writer, thread) = Writer::start(start).unwrap();
    let issuers = Arc::new(Issuers::new(set));
    let app = App {
        metrics: Metrics::new(
            Arc::clone(&index),
            writer.clone(),
            Arc::clone(&issuers),
            Arc::clone(&backups),
            None,
        ),
        index,
        issuers,
        writer,
        readers,
        backups,
        list_turn: Default::default(),
        identity_headers: IdentityHeaderNames::of(&config.forward_auth).unwrap(),
        forward_auth: config.forward_auth,
        trusted_proxies: config.server.trusted_proxies,
        tls: None,
        strict_transport: None,
        cors_origins: Vec::new(),
        netbird_messages: false,
        refusals: Refusals::new(UNLIMITED),
        limits: Limits::default(),
    };
    (Arc::new(app), thread)
}

/// What the servers' thread tells.
enum Told {
    Worker(usize, Pid),
    Handles([ServerHandle; 2]),
}

/// Runs both until they are stopped.
fn serve(
    [plain, whole]: [TcpListener; 2],
    data: &web::Data<Arc<App>>,
    more: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
    tell: &mpsc::Sender<Told>,
) {
    pin(SERVER_CORE);
    let caller = || web::get().to(async |_: Caller| HttpResponse::Ok().body("ok"));
    // What makes an application runs on the thread of the worker.
    let (data_of_plain, tell_of_plain) = (data.clone(), tell.clone());
    let plain_server = HttpServer::new(move || {
        let _ = tell_of_plain.send(Told::Worker(0, gettid()));
        actix_web::App::new()
            .app_data(data_of_plain.clone())
            .route(
                "/bare",
                web::get().to(async || HttpResponse::Ok().body("ok")),
            )
            .route("/caller", caller())
            .configure(more.clone())
    });
    let (data_of_whole, tell_of_whole) = (data.clone(), tell.clone());
    let whole_server = HttpServer::new(move || {
        let _ = tell_of_whole.send(Told::Worker(1, gettid()));
        // From here on as `server::run` has it, but for `/caller`.
        actix_web::App::new()
            .app_data(data_of_whole.clone())
            .app_data(web::PayloadConfig::new(64 * 1024))
            .wrap(from_fn(api::respond))
            .configure(api::configure)
            .route("/caller", caller())
    });
    let plain_server = plain_server
        .workers(1)
        .disable_signals()
        .keep_alive(KEEP_ALIVE);
    let whole_server = whole_server
        .workers(1)
        .disable_signals()
        .keep_alive(KEEP_ALIVE);
    let both = async {
        let plain = plain_server.listen(plain).unwrap().run();
        let whole = whole_server.listen(whole).unwrap().run();
        let _ = tell.send(Told::Handles([plain.handle(), whole.handle()]));
        let (plain, whole) = futures_util::future::join(plain, whole).await;
        plain.and(whole)
    };
    actix_web::rt::System::new().block_on(both).unwrap();
}

/// This thread is on the client's core, and so are those that it starts; where it was before, when
/// dropped.
pub struct Pinned(CpuSet);

impl Pinned {
    pub fn to_client() -> Self {
        let before = sched_getaffinity(None).unwrap();
        pin(CLIENT_CORE);
        Self(before)
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let _ = sched_setaffinity(None, &self.0);
    }
}

/// Keeps this thread on one core, where there is more than one.
fn pin(core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    let _ = sched_setaffinity(None, &set);
}

//! `serve`: the first start, and every later one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use actix_web::rt::signal::unix::{Signal, SignalKind, signal};
use clap::Args;
use crossbeam_channel::Sender;

use super::bootstrap::owner;
use super::failure::Failure;
use super::listen::{Bound, bind};
use super::{output, supervisor};
use crate::answer;
use crate::app::{App, IdentityHeaderNames};
use crate::backup::{self, Schedule, Scheduled};
use crate::clock::Timestamp;
use crate::config::{self, Bootstrap, Config, Environment, Loaded};
use crate::first_start::{self, OwnerTokenFile};
use crate::follow;
use crate::index::Index;
use crate::issuers::{self, Issuers, Origin, Source};
use crate::jwt::{self, IssuerSettings};
use crate::logging;
use crate::metrics::Metrics;
use crate::refusals::Refusals;
use crate::server;
use crate::store::{self, Presence, Readers, Retention, ServerLock, StoreError, Work};
use crate::tls::{self, Tls};
use crate::writer::{Start, Writer, WriterThread};

/// How long the start waits for a database that another program has locked.
const START_PATIENCE: Duration = Duration::from_millis(500);

/// Users that are looked at in one go.
const PAGE: usize = 1000;

#[derive(Args)]
pub(super) struct Serve {
    /// Make a new database without an owner: POST /api/setup makes one
    #[arg(long)]
    no_bootstrap: bool,
}

impl Serve {
    pub(super) fn run(self, loaded: Loaded, environment: Environment) -> Result<(), Failure> {
        let started = Instant::now();
        let Loaded {
            mut config,
            file,
            warnings,
        } = loaded;
        logging::start(&config.log);
        let system = actix_web::rt::System::new();
        // From here on it does not end the process. What comes before "ready" is done then.
        let hangup = system.block_on(async { signal(SignalKind::hangup()) })?;
        match &file {
            Some(file) => log::info!("configuration: {}", file.display()),
            None => log::info!("configuration: no file"),
        }
        for warning in warnings {
            log::warn!("{warning}");
        }
        jwt::self_test().map_err(|fault| Failure::Failed(fault.to_string()))?;
        let origin = match file {
            None => Origin::Nowhere,
            Some(file) if file.is_file() => Origin::File(file),
            // What is no regular file, such as a pipe, can't be read again.
            Some(_) => Origin::Once(config.issuers.clone()),
        };
        let source = Source {
            origin,
            environment,
        };
        let (issuers, watch) = issuers::Watch::start(source)?;
        let (tls, tls_watch) = match config.server.tls.clone() {
            Some(files) => tls::Watch::start(files).map(|(tls, watch)| (Some(tls), Some(watch)))?,
            None => (None, None),
        };
        let path = config.database.path.clone();
        // Before the lock file is made beside it: nothing is left beside another program's file.
        store::inspect(&path)?;
        let lock = ServerLock::acquire(&path)?;
        let bound = match store::inspect(&path)? {
            Presence::Ours => {
                backup::forget_killed_restore(&path);
                None
            }
            Presence::Absent => {
                // An address in use ends the start before a token is shown.
                let bound = bind(&config, tls.as_ref())?;
                let bootstrap = std::mem::take(&mut config.bootstrap);
                let certificate = tls.as_ref().map(|tls| tls.current());
                let curl = bound.place.curl(certificate.as_deref(), "/api/users");
                self.first_start(bootstrap, &config.issuers, &path, &curl)?;
                Some(bound)
            }
        };
        // They may hold shared secrets, and are read.
        config.issuers.clear();
        let (app, writer) = open(&config, &lock, &path, Arc::clone(&issuers), tls.clone())?;
        let Bound {
            listeners,
            place,
            file: _file,
        } = match bound {
            Some(bound) => bound,
            None => bind(&config, tls.as_ref())?,
        };
        let (users, tokens) = app.index.counts();
        // Whoever reads "ready" may send a signal: from here on it means a graceful stop.
        let stop = system.block_on(async { stop_signal() })?;
        let wake = follow_files(watch, tls_watch)?;
        system.block_on(async { reload_at(hangup, wake) });
        // Last: a start that fails would end it in the midst of a backup.
        let backups = schedule(&config.backup, &path, &app)?;
        let (issuers, keys) = issuers.counts();
        let rules = app.forward_auth.rules.len();
        log::info!(
            "ready on {place} after {} ms (users: {users}, tokens: {tokens}, issuers: {issuers}, keys: {keys}, rules: {rules})",
            started.elapsed().as_millis()
        );
        if !app.index.has_owner() {
            log::warn!(
                "there is no owner: whoever sends the first POST /api/setup becomes it; \
                 'netbird-auth bootstrap' makes one too"
            );
        }
        for (issuer, users) in users_without_issuer(&app.index, &app.issuers) {
            log::warn!(
                "users bound to the issuer {issuer:?}, which is not configured: {users}; \
                 no JWT is of them"
            );
        }
        if let Some(metrics) = &listeners.metrics {
            log::info!("metrics on http://{}", metrics.local_addr()?);
        }
        supervisor::ready();
        let (schedule, backups) = backups.unzip();
        let stop = async move {
            stop.await;
            supervisor::stopping();
            // A backup that is on the way is called off while running requests finish.
            drop(schedule);
        };
        let ended = system.block_on(server::run(listeners, app, writer, stop));
        if let Some(backups) = backups {
            let _ = backups.join();
        }
        ended?;
        log::info!("stopped");
        Ok(())
    }

    /// Makes the database; shows the owner's token, this once.
    fn first_start(
        &self,
        bootstrap: Bootstrap,
        issuers: &[IssuerSettings],
        path: &Path,
        curl: &str,
    ) -> Result<(), Failure> {
        first_start::forget_killed_start(path)?;
        if self.no_bootstrap {
            store::create_database(path, |_| Ok::<_, StoreError>(()))
                .inspect_err(|_| store::discard_unfinished(path))?;
            log::info!(
                "made {} without an owner: POST /api/setup makes one",
                path.display()
            );
            return Ok(());
        }
        let given = bootstrap.token.is_some();
        let owner = owner(bootstrap, issuers)?;
        let now = Timestamp::now();
        let on_terminal = std::io::stdout().is_terminal();
        let out = (!given && !on_terminal).then(|| OwnerTokenFile::path_for(path));
        let user = owner.create_database(path, now, out.as_deref())?;
        log::info!("user.id" = user.id.as_str(); "made {} and its owner", path.display());
        let end = owner.lifetime.end(now);
        match out {
            Some(out) => log::info!(
                "the owner's token is in the file {}: copy it, the file is removed at its first use; \
                 it expires at {end}",
                out.display()
            ),
            None if given => log::info!("the owner's token is the configured one, until {end}"),
            None => output::print(&greeting(path, owner.token.expose(), end, curl))?,
        }
        Ok(())
    }
}

fn greeting(database: &Path, token: &str, end: Timestamp, curl: &str) -> String {
    format!(
        "\nMade {} with you as its owner. Your token is shown this once; it is good until {end}:\n\
         \n    {token}\n\
         \nTry it:\n\
         \n    curl -H 'Authorization: Token {token}' {curl}\n\n",
        database.display()
    )
}

/// Everything is in memory before the port is opened: nothing that was revoked meanwhile passes.
fn open(
    config: &Config,
    lock: &ServerLock,
    path: &Path,
    issuers: Arc<Issuers>,
    tls: Option<Arc<Tls>>,
) -> Result<(Arc<App>, WriterThread), Failure> {
    lock.note(path)?;
    let connection = store::open_writer(path, START_PATIENCE)?;
    lock.note(path)?;
    let start = Start::load(connection, path)?.retain(Retention {
        keep: config.audit.keep,
        max_events: config.audit.max_events,
    });
    let index = start.index();
    let readers = Readers::open(path)?;
    let (writer, thread) = Writer::start(start)?;
    let backups = Arc::<backup::Status>::default();
    let app = App {
        metrics: Metrics::new(
            Arc::clone(&index),
            writer.clone(),
            Arc::clone(&issuers),
            Arc::clone(&backups),
            tls.clone(),
        ),
        index,
        backups,
        issuers,
        writer,
        readers,
        list_turn: Default::default(),
        identity_headers: IdentityHeaderNames::of(&config.forward_auth)
            .ok_or_else(|| Failure::Usage("a name in [forward_auth] is no header".to_owned()))?,
        forward_auth: config.forward_auth.clone(),
        refusals: Refusals::new(config.limits.failures),
        limits: config.limits.clone(),
        trusted_proxies: config.server.trusted_proxies.clone(),
        strict_transport: (tls.as_ref()).and_then(|_| answer::strict_transport(config.server.hsts)),
        tls,
        cors_origins: config.cors.origins.clone(),
        netbird_messages: config.compat.netbird_messages,
    };
    Ok((Arc::new(app), thread))
}

/// Starts the thread that makes backups, if there shall be some.
fn schedule(
    settings: &config::Backup,
    database: &Path,
    app: &Arc<App>,
) -> Result<Option<(Schedule, JoinHandle<()>)>, Failure> {
    let Some(directory) = settings.directory.clone() else {
        return Ok(None);
    };
    let scheduled = Scheduled {
        directory,
        every: settings.every,
        keep: settings.keep,
    };
    let status = Arc::clone(&app.backups);
    let app = Arc::downgrade(app);
    // Held for the copy alone, and all of it: the writer's connection must be the last one that is
    // closed, or the write-ahead log is left.
    let copy = move |path: &Path, target: &File, work: &Work| {
        let app = app.upgrade().ok_or(StoreError::Cancelled)?;
        let reader = app.readers.get()?;
        store::copy_database(&reader, path, target, work)
    };
    let started = Schedule::start(scheduled, database, copy, status)?;
    Ok(Some(started))
}

/// How many users are bound to each name that no issuer has, as after a change of its name.
fn users_without_issuer(index: &Index, issuers: &Issuers) -> BTreeMap<Box<str>, usize> {
    let verifier = issuers.current();
    let (mut counts, mut last) = (BTreeMap::new(), None);
    loop {
        let page = index.users_after(last, PAGE);
        let Some(user) = page.last() else {
            return counts;
        };
        last = Some(user.number);
        let names = page.iter().map(|user| &user.issuer);
        let names = names.filter(|name| !name.is_empty());
        for name in names.filter(|name| verifier.issuers().by_name(name).is_none()) {
            *counts.entry(name.clone()).or_default() += 1;
        }
    }
}

/// Starts the thread that looks after the files of issuers and certificate; a message makes it look at once.
fn follow_files(
    mut issuers: issuers::Watch,
    mut tls: Option<tls::Watch>,
) -> Result<Sender<()>, Failure> {
    let (wake, woken) = crossbeam_channel::bounded(1);
    let look = move |is_asked| {
        issuers.look(is_asked);
        if let Some(tls) = &mut tls {
            tls.look(is_asked);
        }
    };
    std::thread::Builder::new()
        .name("files".to_owned())
        .spawn(move || follow::run(&woken, look))?;
    Ok(wake)
}

/// Each SIGHUP reads the issuers and the certificate anew.
fn reload_at(mut hangup: Signal, wake: Sender<()>) {
    actix_web::rt::spawn(async move {
        while hangup.recv().await.is_some() {
            // A full channel has a message that is not read yet.
            let _ = wake.try_send(());
        }
    });
}

/// Resolves at SIGTERM and SIGINT.
fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        let (terminate, interrupt) = (
            std::pin::pin!(terminate.recv()),
            std::pin::pin!(interrupt.recv()),
        );
        futures_util::future::select(terminate, interrupt).await;
        log::info!("stopping: running requests may finish");
    })
}

//! What the door costs: requests a second with a JWT, and through `/auth/verify`, as a ratio to a
//! handler that asks for nothing.
//!
//! `cargo bench --bench door`. The server has one worker on one core and 64 connections that stay
//! open; whoever asks has another core. "cold" is a token that was not seen before (more of them go
//! round than the cache holds), "cached" one that was. Each round measures every case, so that a
//! ratio compares what ran in the same seconds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs
)]

#[path = "../tests/it/support/signing.rs"]
mod signing;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::middleware::from_fn;
use actix_web::{HttpResponse, HttpServer, web};
use netbird_auth::api;
use netbird_auth::app::{App, IdentityHeaderNames};
use netbird_auth::clock::Timestamp;
use netbird_auth::config::{self, Environment};
use netbird_auth::first_start::Owner;
use netbird_auth::issuers::Issuers;
use netbird_auth::jwt::IssuerSet;
use netbird_auth::metrics::Metrics;
use netbird_auth::store;
use netbird_auth::token::{Lifetime, PlainToken};
use netbird_auth::user::{Caller, Name};
use netbird_auth::writer::{Start, Writer};
use rustix::thread::{CpuSet, sched_setaffinity};
use serde_json::json;
use signing::SigningKey;

const CONNECTIONS: usize = 64;
const ROUNDS: usize = 7;
const SLICE: Duration = Duration::from_millis(800);
/// More than the cache holds, and few enough to stay in it.
const COLD: usize = 24_000;
const CACHED: usize = 1_000;

/// Requests that are sent in turn.
struct Case {
    name: String,
    /// Asked of the whole server, with all that it does for each answer.
    is_ours: bool,
    requests: Vec<Vec<u8>>,
    next: usize,
    ratios: Vec<f64>,
}

fn main() {
    // `cargo test --benches` would run it too.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let keys = ["RS256", "ES256", "EdDSA"].map(|algorithm| SigningKey::new(algorithm, algorithm));
    let addresses = serve(folder.path(), &keys);
    pin(1);
    let mut cases = vec![Case::new("bare handler", vec![request("/bare", None)])];
    // `-- verify` measures the cases with this in their names.
    let wanted = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let is_wanted = |name: &str| wanted.as_ref().is_none_or(|wanted| name.contains(wanted));
    for key in keys.iter().filter(|key| is_wanted(key.algorithm)) {
        println!("signing {} tokens with {}", COLD + CACHED, key.algorithm);
        let mut jwts = (0..COLD + CACHED).map(|number| jwt(key, number));
        let mut requests = |count| -> Vec<Vec<u8>> {
            let jwts = jwts.by_ref().take(count);
            jwts.map(|jwt| request("/caller", Some(&jwt))).collect()
        };
        cases.push(Case::new(
            &format!("{} cold", key.algorithm),
            requests(COLD),
        ));
        cases.push(Case::new(
            &format!("{} cached", key.algorithm),
            requests(CACHED),
        ));
    }
    let token = std::fs::read_to_string(folder.path().join("token")).unwrap();
    let asked = |path| vec![question(path, &token, "/x"), question(path, &token, "/y")];
    cases.push(Case::new("bare, as asked", asked("/bare")));
    cases.push(Case {
        is_ours: true,
        ..Case::new("/auth/verify", asked("/auth/verify"))
    });
    let mut connections = addresses.map(|address| {
        let open = || {
            let connection = TcpStream::connect(address).unwrap();
            connection.set_nonblocking(true).unwrap();
            connection
        };
        Vec::from_iter(std::iter::repeat_with(open).take(CONNECTIONS))
    });
    for round in 0..=ROUNDS {
        let mut bare = 0.0;
        for case in &mut cases {
            let rate = case.run(&mut connections[usize::from(case.is_ours)]);
            if case.requests.len() == 1 {
                bare = rate;
                println!("round {round}: bare handler {rate:.0} requests/s");
            }
            // The first round fills the cache and warms the rest.
            if round > 0 {
                case.ratios.push(rate / bare);
            }
        }
    }
    println!(
        "\n{:14} {:>6} {:>6} {:>6}",
        "ratio to bare", "median", "least", "most"
    );
    for case in &mut cases {
        case.ratios.sort_by(f64::total_cmp);
        let ratios = &case.ratios;
        let (least, median, most) = (ratios[0], ratios[ROUNDS / 2], ratios[ROUNDS - 1]);
        println!("{:14} {median:>6.2} {least:>6.2} {most:>6.2}", case.name);
    }
}

impl Case {
    fn new(name: &str, requests: Vec<Vec<u8>>) -> Self {
        Self {
            name: name.to_owned(),
            is_ours: false,
            requests,
            next: 0,
            ratios: Vec::new(),
        }
    }

    /// Requests a second, for a slice of time.
    fn run(&mut self, connections: &mut [TcpStream]) -> f64 {
        let started = Instant::now();
        let mut answered = 0;
        let mut buffer = [0; 4096];
        while started.elapsed() < SLICE {
            for connection in &mut *connections {
                connection.write_all(&self.requests[self.next]).unwrap();
                self.next = (self.next + 1) % self.requests.len();
            }
            for connection in &mut *connections {
                let answer = answer(connection, &mut buffer);
                assert!(
                    answer.starts_with(b"HTTP/1.1 200"),
                    "{}",
                    String::from_utf8_lossy(answer)
                );
                assert!(
                    answer.ends_with(b"ok") || answer.ends_with(b"\r\n\r\n"),
                    "in pieces"
                );
                answered += 1;
            }
        }
        f64::from(answered) / started.elapsed().as_secs_f64()
    }
}

/// Asks until the answer is there. Waiting for it asleep would charge the server with the waking.
fn answer<'a>(connection: &mut TcpStream, buffer: &'a mut [u8]) -> &'a [u8] {
    loop {
        match connection.read(buffer) {
            Ok(read) => return &buffer[..read],
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
            Err(error) => panic!("{error}"),
        }
    }
}

fn jwt(key: &SigningKey, number: usize) -> String {
    let now = Timestamp::now().seconds();
    let claims = json!({
        "iss": "https://id.home.arpa", "aud": "netbird", "sub": "ann", "name": "Ann",
        "email": "ann@home.arpa", "email_verified": true, "groups": ["family", "admins"],
        "jti": number, "iat": now, "exp": now + 86_400,
    });
    key.sign(&key.header().to_string(), &claims.to_string())
}

fn request(path: &str, jwt: Option<&str>) -> Vec<u8> {
    let credential = jwt.map_or(String::new(), |jwt| {
        format!("Authorization: Bearer {jwt}\r\n")
    });
    format!("GET {path} HTTP/1.1\r\nHost: bench\r\n{credential}\r\n").into_bytes()
}

/// What nginx asks. The rule that matches is the last of a hundred.
fn question(path: &str, token: &str, uri: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Token {token}\r\n\
         X-Forwarded-Method: GET\r\nX-Forwarded-Proto: https\r\n\
         X-Forwarded-Host: host-99.home.arpa\r\nX-Forwarded-Uri: {uri}\r\n\
         X-Forwarded-For: 192.0.2.7\r\nAccept: */*\r\n\r\n"
    )
    .into_bytes()
}

/// Two servers of one worker each on one core, over a real database: handlers by themselves, and ours.
fn serve(folder: &Path, keys: &[SigningKey]) -> [SocketAddr; 2] {
    let jwks: Vec<_> = keys.iter().map(SigningKey::jwk).collect();
    std::fs::write(
        folder.join("keys.json"),
        json!({ "keys": jwks }).to_string(),
    )
    .unwrap();
    let file = folder.join("netbird-auth.toml");
    let text = "[[issuer]]\nname = 'home'\nissuer = 'https://id.home.arpa'\n\
                audiences = ['netbird']\njwks_file = 'keys.json'\nunknown_users = 'create'\n";
    let mut text = text.to_owned();
    for number in 0..100 {
        text += &format!(
            "[[forward_auth.rule]]\nhost = 'host-{number}.home.arpa'\npath_prefix = '/'\n\
             allow_roles = ['owner', 'admin']\n"
        );
    }
    std::fs::write(&file, text).unwrap();
    let config = config::load(Some(&file), &Environment::default())
        .unwrap()
        .config;
    let set = IssuerSet::load(config.issuers).unwrap().set;

    let path = folder.join("bench.db");
    let owner = Owner {
        name: Name::parse("Owner").unwrap(),
        email: Name::empty(),
        identity: None,
        token: PlainToken::generate().unwrap(),
        lifetime: Lifetime::ONE_DAY,
    };
    owner
        .create_database(&path, Timestamp::now(), None)
        .unwrap();
    std::fs::write(folder.join("token"), owner.token.expose()).unwrap();
    let start = Start::load(store::open_writer(&path, SLICE).unwrap(), &path).unwrap();
    let index = start.index();
    let readers = store::open_readers(&path).unwrap();
    let (writer, _thread) = Writer::start(start).unwrap();
    let issuers = Arc::new(Issuers::new(set));
    let app = Arc::new(App {
        metrics: Metrics::new(Arc::clone(&index), writer.clone(), Arc::clone(&issuers)),
        index,
        issuers,
        writer,
        readers,
        list_turn: Default::default(),
        identity_headers: IdentityHeaderNames::of(&config.forward_auth).unwrap(),
        forward_auth: config.forward_auth,
        trusted_proxies: config.server.trusted_proxies,
        cors_origins: Vec::new(),
        netbird_messages: false,
    });
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let addresses = [0, 1].map(|place: usize| listeners[place].local_addr().unwrap());
    std::thread::spawn(move || {
        pin(0);
        let data = web::Data::new(app);
        let ours = data.clone();
        let [bare, whole] = listeners;
        let bare_handlers = HttpServer::new(move || {
            actix_web::App::new()
                .app_data(data.clone())
                .route(
                    "/bare",
                    web::get().to(async || HttpResponse::Ok().body("ok")),
                )
                .route(
                    "/caller",
                    web::get().to(async |_: Caller| HttpResponse::Ok().body("ok")),
                )
        });
        let server = HttpServer::new(move || {
            actix_web::App::new()
                .app_data(ours.clone())
                .wrap(from_fn(api::respond))
                .configure(api::configure)
        });
        let bare_handlers = bare_handlers.workers(1).listen(bare).unwrap().run();
        let server = server.workers(1).listen(whole).unwrap().run();
        let both = futures_util::future::join(bare_handlers, server);
        let (one, other) = actix_web::rt::System::new().block_on(both);
        one.and(other).unwrap();
    });
    addresses
}

/// Keeps this thread, and those that it starts, on one core, where there is more than one.
fn pin(core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    let _ = sched_setaffinity(None, &set);
}

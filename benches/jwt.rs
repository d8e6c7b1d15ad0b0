//! What a JWT costs: requests a second with one, as a ratio to a handler that asks for nothing.
//!
//! `cargo bench --bench jwt`. The server has one worker on one core and 64 connections that stay
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

use actix_web::{HttpResponse, HttpServer, web};
use netbird_auth::app::App;
use netbird_auth::clock::Timestamp;
use netbird_auth::config::{self, Environment};
use netbird_auth::issuers::Issuers;
use netbird_auth::jwt::IssuerSet;
use netbird_auth::metrics::Metrics;
use netbird_auth::store::{self, StoreError};
use netbird_auth::user::Caller;
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
    let address = serve(folder.path(), &keys);
    pin(1);
    let mut cases = vec![Case::new("bare handler", vec![request("/bare", None)])];
    for key in &keys {
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
    let mut connections: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let connection = TcpStream::connect(address).unwrap();
            connection.set_nonblocking(true).unwrap();
            connection
        })
        .collect();
    for round in 0..=ROUNDS {
        let mut bare = 0.0;
        for case in &mut cases {
            let rate = case.run(&mut connections);
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
                assert!(answer.ends_with(b"ok"), "an answer came in pieces");
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

/// One worker on one core, over a real database with one user who has logged in.
fn serve(folder: &Path, keys: &[SigningKey]) -> SocketAddr {
    let jwks: Vec<_> = keys.iter().map(SigningKey::jwk).collect();
    std::fs::write(
        folder.join("keys.json"),
        json!({ "keys": jwks }).to_string(),
    )
    .unwrap();
    let file = folder.join("netbird-auth.toml");
    let text = "[[issuer]]\nname = 'home'\nissuer = 'https://id.home.arpa'\n\
                audiences = ['netbird']\njwks_file = 'keys.json'\nunknown_users = 'create'\n";
    std::fs::write(&file, text).unwrap();
    let settings = config::load(Some(&file), &Environment::default()).unwrap();
    let set = IssuerSet::load(settings.config.issuers).unwrap().set;

    let path = folder.join("bench.db");
    store::create_database(&path, |_| Ok::<_, StoreError>(())).unwrap();
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
        trusted_proxies: Vec::new(),
        cors_origins: Vec::new(),
        netbird_messages: false,
    });
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        pin(0);
        let data = web::Data::new(app);
        let server = HttpServer::new(move || {
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
        let server = server.workers(1).listen(listener).unwrap().run();
        actix_web::rt::System::new().block_on(server).unwrap();
    });
    address
}

/// Keeps this thread, and those that it starts, on one core, where there is more than one.
fn pin(core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    let _ = sched_setaffinity(None, &set);
}

//! A panic of the writer's thread in the midst of its work: told, counted, and answered by an end
//! that a supervisor restarts.
//!
//! The clock fails once for that thread: Rust's standard library panics where it does.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::check;
use crate::http::Client;
use crate::lane;
use crate::ledger::{Failure, Ledger};
use crate::program::{Ended, Program};
use crate::random::Random;
use crate::row::Row;
use crate::run::Run;
use crate::shim::{Action, Control, Fault, Shim, call, kind};
use crate::trail::Trail;
use crate::vitals::{pause, told};

const ROUNDS: u32 = 5;
const WRITERS: u64 = 3;
/// Looks at the clock before the one that fails, at most.
const WITHIN: u64 = 400;
/// Running requests may finish first, for four seconds.
const END: Duration = Duration::from_secs(6);
/// Nothing takes so long unless it hangs, beside other work neither.
const HANG: Duration = Duration::from_secs(60);
/// A wrong configuration, with which no supervisor starts it again.
const NO_RESTART: i32 = 2;

pub fn run(run: &Run) -> Result<Vec<Row>, String> {
    let shim = Shim::compile(&run.new_folder("panic-shim")?);
    let (settings, control) = lane::settings(run, &shim, "panic")?;
    let (mut random, mut trail) = (Random::new(run.seed, 3000), Trail::default());
    let mut ledger = Ledger::new(run.seed, WRITERS);
    let rounds = run.rounds(ROUNDS);
    let (mut slowest, mut acknowledged, mut restarts, mut counted) = (Duration::ZERO, 0, 0, 0);
    // On a port that is free, which the log tells.
    let settings = settings.with("NETBIRD_AUTH_METRICS__LISTEN", "127.0.0.1:0");
    let mut program = settings.start()?;
    for round in 1..=rounds {
        let in_round = |lost: String| format!("round {round}: {lost}");
        let nth = 1 + random.below(WITHIN);
        let (ended, time, is_counted) =
            fall(&mut program, &mut ledger, &control, nth).map_err(in_round)?;
        slowest = slowest.max(time);
        counted += u32::from(is_counted);
        acknowledged += ledger.acknowledged();
        // As `Restart=on-failure` with `RestartPreventExitStatus=2` does it.
        match ended.status.code() {
            Some(0 | NO_RESTART) | None => {
                return Err(in_round(format!(
                    "no supervisor restarts after {}",
                    ended.status
                )));
            }
            Some(_) => restarts += 1,
        }
        program = settings.start()?;
        let expected = ledger.expected(u64::MAX);
        let found = check::everything(&program, &expected, &mut trail);
        ledger.settle(&found.map_err(|lost| in_round(told(&program, &lost)))?);
        run.tell(&format!("{round} of {rounds} panics"));
    }
    Ok(vec![
        Row::new(
            format!("panic: {rounds} of the writer under load"),
            format!(
                "each told, {counted} seen in the metrics, exit code 1 within {slowest:.1?}; {restarts} restarts; \
             {acknowledged} acknowledged changes, all there"
            ),
            format!("an end with 1 within {END:?}, nothing lost"),
        )
        .within(slowest, END, HANG)
        .ok(counted > 0),
    ])
}

/// One panic: while writers write and one request is on the way.
fn fall(
    program: &mut Program,
    ledger: &mut Ledger,
    control: &Control,
    nth: u64,
) -> Result<(Ended, Duration, bool), String> {
    let held = Held::open(program)?;
    let metrics = metrics(program)?;
    control.arm(Fault {
        calls: call::CLOCK,
        files: kind::ANY,
        action: Action::Fail,
        error: Errno::INVAL,
        nth,
        is_sticky: false,
    });
    let asked = &*program;
    let is_over = AtomicBool::new(false);
    let goes_on = || !is_over.load(Ordering::Relaxed);
    let panicked = lane::write_while(asked, ledger, Failure::Stop, &goes_on, || {
        let panicked = look(asked, control, metrics, held);
        // The writers end with the server; where it lives on, they must end too.
        is_over.store(panicked.is_err(), Ordering::Relaxed);
        panicked
    })?;
    let (panicked, is_counted) = panicked;
    let ended = program.end()?;
    let time = panicked.elapsed();
    control.disarm();
    for text in [
        "panic: this is a bug",
        "the writer has failed",
        "the writer ended by itself",
    ] {
        if !ended.log.iter().any(|line| line.contains(text)) {
            return Err(format!("the log lacks {text:?}:\n{}", ended.log.join("\n")));
        }
    }
    match ended.status.code() {
        Some(1) => Ok((ended, time, is_counted)),
        _ => Err(format!("it ended with {}", ended.status)),
    }
}

/// Waits for the panic, and looks at the server while it ends; when it was seen, and whether the metrics told it
/// before they went: the server waits for the held request for a few seconds, which a busy machine may need for
/// less than that.
fn look(
    program: &Program,
    control: &Control,
    metrics: SocketAddr,
    held: Held,
) -> Result<(Instant, bool), String> {
    let until = Instant::now() + HANG;
    while control.hits() == 0 {
        if Instant::now() > until {
            return Err("the clock has not failed".to_owned());
        }
        pause();
    }
    let panicked = Instant::now();
    let client = Client {
        address: metrics,
        authorization: None,
    };
    loop {
        let Ok(text) = client.try_send("GET", "/metrics", &[], b"") else {
            return Ok((panicked, false));
        };
        if text.text().contains("netbird_auth_writer_panics_total 1\n") {
            break;
        }
        if panicked.elapsed() > HANG {
            return Err(told(program, "the panic is not counted"));
        }
        pause();
    }
    held.end()?;
    Ok((panicked, true))
}

/// A request whose body has not come yet: the server waits for it while it ends.
struct Held(TcpStream);

impl Held {
    fn open(program: &Program) -> Result<Self, String> {
        let token = program.settings.token.as_deref().unwrap_or_default();
        let head = format!(
            "POST /api/users HTTP/1.1\r\nHost: test\r\nAuthorization: Token {token}\r\n\
             Content-Length: 2\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n"
        );
        let open = || {
            let mut stream = TcpStream::connect(program.address)?;
            stream.set_read_timeout(Some(HANG))?;
            stream.write_all(head.as_bytes())?;
            // "100 Continue": it has begun.
            stream.read_exact(&mut [0; 25])?;
            Ok(Self(stream))
        };
        open().map_err(|error: std::io::Error| format!("a request that is held: {error}"))
    }

    /// It is answered all the same, and surely not with 200.
    fn end(mut self) -> Result<(), String> {
        let mut answer = Vec::new();
        let ended = self
            .0
            .write_all(b"{}")
            .and_then(|()| self.0.read_to_end(&mut answer));
        ended.map_err(|error| format!("a request that was on the way: {error}"))?;
        match answer.get(..12) {
            Some(b"HTTP/1.1 400" | b"HTTP/1.1 422" | b"HTTP/1.1 503") => Ok(()),
            _ => Err(format!(
                "it was answered: {}",
                String::from_utf8_lossy(&answer)
            )),
        }
    }
}

/// Where the metrics are, as the log says.
fn metrics(program: &Program) -> Result<SocketAddr, String> {
    let line = program.log_line("metrics on http://")?;
    let address = line.split_once("metrics on http://");
    let address = address.and_then(|(_, rest)| rest.split([' ', '"']).next()?.parse().ok());
    address.ok_or_else(|| format!("no address in the log line {line:?}"))
}

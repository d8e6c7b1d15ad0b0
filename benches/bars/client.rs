//! Who asks: many connections that stay open, and a thread that spins. One that waited asleep would
//! have to be woken by the server, in each answer, and the ratio would be that of the waking.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use netbird_auth::token::TOKEN_LENGTH;
use rustix::thread::{Pid, gettid};

use crate::Bench;
use crate::fill;
use crate::row::{Figure, ROUNDS};
use crate::site::Server;

const CONNECTIONS: usize = 64;
/// From a token to the next one, so that neither rows nor entries of the index are neighbours. Every
/// number of tokens has its turn where they have no divisor in common.
const STEP: usize = 618_033;

/// Requests that are sent in turn.
pub enum Requests {
    Listed(Vec<Vec<u8>>, usize),
    /// Another token in each; a request is made by copying it into the place.
    Tokens {
        tokens: Vec<[u8; TOKEN_LENGTH]>,
        next: usize,
        request: Vec<u8>,
        place: usize,
    },
}

impl Requests {
    /// One request, without a credential.
    pub fn to(path: &str) -> Self {
        Self::of(vec![get(path, "")])
    }

    /// These in turn.
    pub fn of(requests: Vec<Vec<u8>>) -> Self {
        Self::Listed(requests, 0)
    }

    /// A path with all these tokens, by their numbers.
    pub fn with_tokens(path: &str, numbers: impl Iterator<Item = u32>) -> Self {
        let text = |number| fill::token(number).into_bytes().try_into().unwrap();
        Self::with_texts(path, numbers.map(text).collect())
    }

    /// A path with all these texts in the place of tokens.
    pub fn with_texts(path: &str, tokens: Vec<[u8; TOKEN_LENGTH]>) -> Self {
        let before = format!("GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Token ");
        let request = [before.as_bytes(), &[0; TOKEN_LENGTH], b"\r\n\r\n"].concat();
        Self::Tokens {
            tokens,
            next: 0,
            request,
            place: before.len(),
        }
    }

    fn next(&mut self) -> &[u8] {
        match self {
            Self::Listed(requests, next) => {
                let request = &requests[*next];
                *next = (*next + 1) % requests.len();
                request
            }
            Self::Tokens {
                tokens,
                next,
                request,
                place,
            } => {
                request[*place..*place + TOKEN_LENGTH].copy_from_slice(&tokens[*next]);
                *next = (*next + STEP) % tokens.len();
                request
            }
        }
    }
}

/// A request with headers, each with its end of line.
pub fn get(path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: bench\r\n{headers}\r\n").into_bytes()
}

/// Requests to a server, and what it must answer.
pub struct Case<'a> {
    server: &'a Server,
    requests: Requests,
    status: u16,
    end: &'static str,
    connections: usize,
    at_least: usize,
    sent: usize,
}

/// What was seen in a slice of time.
#[derive(Clone, Copy)]
pub struct Seen {
    /// Requests a second.
    pub rate: f64,
    /// Nanoseconds of the worker's CPU time for a request.
    pub worker: f64,
    /// The same of all threads but the client's, until the last mark was in the database.
    pub all: f64,
}

impl<'a> Case<'a> {
    /// Each is answered with 200 and "ok".
    pub fn new(server: &'a Server, requests: Requests) -> Self {
        Self {
            server,
            requests,
            status: 200,
            end: "\r\n\r\nok",
            connections: CONNECTIONS,
            at_least: 0,
            sent: 0,
        }
    }

    /// Each is answered with this status, and the answer ends so.
    pub fn answered(mut self, status: u16, end: &'static str) -> Self {
        (self.status, self.end) = (status, end);
        self
    }

    /// For what is slow: fewer connections, and so many answers at least, however long they take.
    pub fn slow(mut self, connections: usize, at_least: usize) -> Self {
        (self.connections, self.at_least) = (connections, at_least);
        self
    }

    /// The tokens that were sent, where there are so many: some of them, spread evenly.
    pub fn some_tokens(&self) -> Vec<&[u8; TOKEN_LENGTH]> {
        let Requests::Tokens { tokens, .. } = &self.requests else {
            return Vec::new();
        };
        let sent = self.sent.min(tokens.len());
        let every = (sent / 200).max(1);
        let numbers = (0..sent).step_by(every);
        numbers
            .map(|turn| &tokens[turn * STEP % tokens.len()])
            .collect()
    }

    /// Asks for a slice of time, on new connections: a server closes those that wait too long.
    pub fn run(&mut self, slice: Duration) -> Seen {
        let open = || {
            let connection = TcpStream::connect(self.server.address).unwrap();
            connection.set_nonblocking(true).unwrap();
            connection
        };
        let opened = std::iter::repeat_with(open).take(self.connections);
        let mut connections: Vec<TcpStream> = opened.collect();
        // The first requests of connections cost more.
        self.once(&mut connections);
        let before = (cpu(self.server.worker), cpu_of_others());
        let started = Instant::now();
        let mut answered = 0;
        while started.elapsed() < slice || answered < self.at_least {
            self.once(&mut connections);
            answered += connections.len();
        }
        let elapsed = started.elapsed();
        let worker = cpu(self.server.worker) - before.0;
        self.server.settle();
        let all = cpu_of_others() - before.1;
        let answered = answered as f64;
        Seen {
            rate: answered / elapsed.as_secs_f64(),
            worker: worker as f64 / answered,
            all: all as f64 / answered,
        }
    }

    /// A request on each connection, then the answer of each.
    fn once(&mut self, connections: &mut [TcpStream]) {
        let mut buffer = [0; 4096];
        for connection in &mut *connections {
            connection.write_all(self.requests.next()).unwrap();
        }
        self.sent += connections.len();
        let (status, end) = (self.status.to_string(), self.end.as_bytes());
        for connection in connections {
            let answer = answer(connection, &mut buffer);
            let is_right = answer.starts_with(b"HTTP/1.1 ")
                && answer[9..].starts_with(status.as_bytes())
                && answer.ends_with(end);
            assert!(
                is_right,
                "not {status} and {end:?}, or in pieces: {}",
                String::from_utf8_lossy(answer)
            );
        }
    }
}

/// Asks until the answer is there.
fn answer<'a>(connection: &mut TcpStream, buffer: &'a mut [u8]) -> &'a [u8] {
    loop {
        match connection.read(buffer) {
            Ok(read) => return &buffer[..read],
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Nanoseconds of CPU time that a thread of this process has had.
fn cpu(thread: Pid) -> u64 {
    let file = format!("/proc/self/task/{}/schedstat", thread.as_raw_pid());
    let text = std::fs::read_to_string(file).unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

/// The same of all threads but this one. Those of a site stay until it is stopped.
fn cpu_of_others() -> u64 {
    let me = gettid();
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let threads = threads.map(|entry| {
        let name = entry.unwrap().file_name();
        Pid::from_raw(name.to_str().unwrap().parse().unwrap()).unwrap()
    });
    threads.filter(|thread| *thread != me).map(cpu).sum()
}

/// Every case in turn, some rounds long, after one that warms up. What was seen, by case and round.
pub fn rounds<const N: usize>(bench: &Bench, cases: &mut [Case<'_>; N]) -> [Vec<Seen>; N] {
    let (rounds, slice) = match bench.is_small {
        true => (2, Duration::from_millis(100)),
        false => (ROUNDS, Duration::from_millis(800)),
    };
    let mut seen = [const { Vec::new() }; N];
    for round in 0..=rounds {
        let all = cases.each_mut().map(|case| case.run(slice));
        eprintln!(
            "  round {round} of {rounds}: bare handler {:.0} requests/s",
            all[0].rate
        );
        if round > 0 {
            for (seen, one) in seen.iter_mut().zip(all) {
                seen.push(one);
            }
        }
    }
    seen
}

/// A figure over another, round by round.
pub fn ratio(of: &[Seen], to: &[Seen], figure: impl Fn(&Seen) -> f64) -> Figure {
    let ratios = of.iter().zip(to).map(|(of, to)| figure(of) / figure(to));
    Figure::of(ratios.collect(), "")
}

/// Requests a second, in words, for what is seen beside a ratio.
pub fn rate(seen: &[Seen]) -> String {
    let rates = seen.iter().map(|seen| seen.rate).collect();
    format!("{:.0} requests/s", Figure::of(rates, "").median)
}

/// How much of the time the worker had the core, for what is seen beside a ratio: far below 1, it was
/// not the server that was measured.
pub fn busy(seen: &[Seen]) -> String {
    let shares = seen.iter().map(|seen| seen.worker * seen.rate / 1e9);
    format!("{:.2}", Figure::of(shares.collect(), "").median)
}

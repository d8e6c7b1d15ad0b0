//! What every test stands on: a server of its own, clients, and waiting without sleeping.

mod crowd;
mod connection;
mod http;
mod json;
mod server;

pub use connection::Connection;
pub use crowd::Crowd;
pub use http::{Client, Response};
pub use json::{human, keys, service, time_of};
pub use server::{Command, Output, Server, id_of, netbird_auth};

use std::time::{Duration, Instant};

/// Long enough for the slowest machine; no test takes it unless it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks until the answer is something, and gives that.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < until, "in vain: {what}");
        std::thread::yield_now();
    }
}

/// A fresh well-formed token that no server knows.
pub fn fresh_token() -> String {
    ::netbird_auth::token::PlainToken::generate()
        .unwrap()
        .expose()
        .to_owned()
}

//! What every test stands on: a server of its own, clients, and waiting without sleeping.

mod crowd;
mod connection;
mod files;
mod forward;
mod http;
mod json;
mod jwt;
mod proxy;
mod server;
mod signing;
mod site;
mod tls;
mod tokens;
mod upstream;

pub use connection::Connection;
pub use crowd::Crowd;
pub use files::{Kept, full_disk, names_in, owner_of, read_only, restore};
pub use forward::{VERIFY, basic, original};
pub use http::{Client, Response};
pub use json::{human, keys, service, time_of};
pub use jwt::{Idp, now, start_with_issuers, start_with_owner, write_issuers};
pub use proxy::Kind;
pub use server::{Command, Output, Server, id_of, netbird_auth};
pub use signing::{SigningKey, base64url, hmac_of};
pub(crate) use site::with_each_proxy;
pub use site::{HOST, Outcome, Site};
pub use tls::{BOTH, Pair, TlsClient, TlsConnection, exchange, request};
pub use tokens::{PASSES, Tokens, assert_challenge, judge_and_stop, talkative};
pub use upstream::Seen;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

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

/// "Within a second", and one more for a machine that is busy with other tests.
pub const SOON: Duration = Duration::from_secs(2);

/// Runs a command that must end by itself, and soon.
#[track_caller]
pub fn ended(mut command: Command) -> Output {
    command.stdin(Stdio::null());
    ended_with_input(command)
}

/// As [`ended`], with the command's own standard input.
#[track_caller]
pub fn ended_with_input(mut command: Command) -> Output {
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = Pid::from_child(&child);
    let (sender, end) = std::sync::mpsc::channel();
    let started = Instant::now();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(output) = end.recv_timeout(PATIENCE) else {
        let _ = kill_process(pid, Signal::KILL);
        panic!("it runs on: {command:?}");
    };
    let took = started.elapsed();
    assert!(took < SOON, "{command:?} took {took:?}");
    output.unwrap()
}

/// Runs `serve`, which must end by itself, and soon.
#[track_caller]
pub fn refused_start(mut command: Command) -> Output {
    command.arg("serve");
    ended(command)
}

/// The one line of a failed command that says why, beside the one that names the configuration.
#[track_caller]
pub fn only_line(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    let lines = text.lines().filter(|line| !line.contains("configuration:"));
    let lines: Vec<&str> = lines.collect();
    assert_eq!(lines.len(), 1, "{text}");
    assert!(output.stdout.is_empty());
    lines[0].to_owned()
}

/// Permissions of a file or folder.
pub fn mode_of(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A fresh well-formed token that no server knows.
pub fn fresh_token() -> String {
    ::netbird_auth::token::PlainToken::generate()
        .unwrap()
        .expose()
        .to_owned()
}

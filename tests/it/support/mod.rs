//! What every test stands on: a server of its own, clients, and waiting without sleeping.

mod http;
mod server;

pub use http::{Client, Response};
pub use server::{Command, Output, Server, id_of, netbird_auth};

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
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

/// "Within a second", and one more for a machine that is busy with other tests.
pub const SOON: Duration = Duration::from_secs(2);

/// Runs `serve`, which must end by itself, and soon.
#[track_caller]
pub fn refused_start(mut command: Command) -> Output {
    let started = Instant::now();
    let output = command.arg("serve").output().unwrap();
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    output
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

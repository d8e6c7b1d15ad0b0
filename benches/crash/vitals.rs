//! What must hold while the database can't be written or read, whatever the reason.

use std::path::Path;
use std::time::{Duration, Instant};

use netbird_auth::clock::Timestamp;
use rusqlite::Connection;
use serde_json::Value;

use crate::check::door;
use crate::program::{Program, Settings, new_token};

/// Asked where it tells a trouble, and its end: the server tries a write of its own each second.
pub const HEALING: Duration = Duration::from_secs(5);
/// Nothing takes so long unless it hangs, beside other work neither.
pub const HANG: Duration = Duration::from_secs(60);

/// Known tokens pass, unknown ones don't, and the process says that it lives.
pub fn lives(program: &Program) -> Result<(), String> {
    let owner = program.owner();
    let known = program.settings.token.clone().unwrap_or_default();
    let alive = || {
        door(&owner, "the owner's token", &known, 200)?;
        door(&owner, "a token that nobody has", &new_token()?, 401)?;
        expect(program, "/healthz", &[200])?;
        let myself = expect(program, "/api/users/current", &[200])?;
        let myself: Value = serde_json::from_str(&myself).map_err(|error| error.to_string())?;
        let id = myself["id"].as_str().unwrap_or_default();
        // The only one here that reads the disk.
        expect(program, &format!("/api/users/{id}/tokens"), &[200, 503]).map(drop)
    };
    alive().map_err(|lost| told(program, &lost))
}

/// A server that starts, or that ends with a reason.
pub fn attempt(settings: &Settings) -> Result<Option<Program>, String> {
    let mut program = settings.spawn()?;
    let Err(not_ready) = program.wait_ready() else {
        return Ok(Some(program));
    };
    let ended = program.end().map_err(|_| not_ready)?;
    let reason = ended.log.last().cloned().unwrap_or_default();
    let names = reason.contains(&*settings.folder.to_string_lossy());
    let next = reason
        .rsplit_once("; ")
        .is_some_and(|(_, step)| step.contains(' '));
    match ended.status.code() {
        Some(1) if names && next => Ok(None),
        _ => Err(format!(
            "the start ended with {}, and its last line lacks the file or the next step: {reason:?}",
            ended.status
        )),
    }
}

/// `None` where `/readyz` says 200, else the words of its 503.
pub fn trouble(program: &Program) -> Result<Option<String>, String> {
    match status(program, "/readyz").map_err(|lost| told(program, &lost))? {
        (200, _) => Ok(None),
        (503, said) if said.contains("database") || said.contains("disk") => Ok(Some(said)),
        (status, said) => Err(format!("/readyz says {status}: {said}")),
    }
}

/// Waits for `/readyz` to be 503, with these words; how long that took.
pub fn wait_ill(program: &Program, words: &[&str]) -> Result<Duration, String> {
    wait(program, "/readyz tells the trouble", || {
        let is_told =
            |said: String| words.is_empty() || words.iter().any(|word| said.contains(word));
        Ok(trouble(program)?.is_some_and(is_told))
    })
}

/// Waits for `/readyz` to be 200; how long that took.
pub fn wait_well(program: &Program) -> Result<Duration, String> {
    wait(program, "ready again", || Ok(trouble(program)?.is_none()))
}

/// Asks again and again until it is so; how long that took.
pub fn wait(
    program: &Program,
    what: &str,
    mut is_so: impl FnMut() -> Result<bool, String>,
) -> Result<Duration, String> {
    let since = Instant::now();
    while !is_so()? {
        if since.elapsed() > HANG {
            return Err(told(program, &format!("in vain for {HANG:?}: {what}")));
        }
        pause();
    }
    Ok(since.elapsed())
}

/// Leaves the processor to the server.
pub fn pause() {
    std::thread::park_timeout(Duration::from_millis(5));
}

/// What was lost, with the server's log.
pub fn told(program: &Program, lost: &str) -> String {
    let mut log = program.log();
    // Thousands of the wrong tokens that were tried.
    log.retain(|line| !line.contains("request refused"));
    let last = log.len().saturating_sub(30);
    format!("{lost}; the server's log:\n{}", log[last..].join("\n"))
}

fn expect(program: &Program, path: &str, statuses: &[u16]) -> Result<String, String> {
    let (status, said) = status(program, path)?;
    match statuses.contains(&status) {
        true => Ok(said),
        false => Err(format!("{path} says {status}: {said}")),
    }
}

fn status(program: &Program, path: &str) -> Result<(u16, String), String> {
    let answer = program.owner().try_send("GET", path, &[], b"");
    let answer = answer.map_err(|error| format!("GET {path}: {error}"))?;
    Ok((
        answer.status,
        String::from_utf8_lossy(&answer.body).into_owned(),
    ))
}

/// When a token was last used, as the file says. In a copy: whoever opens the file itself may change it.
pub fn newest_mark(settings: &Settings) -> Result<Timestamp, String> {
    let folder = settings.folder.with_file_name("copy");
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let copy = folder.join("test.db");
    for suffix in ["", "-wal"] {
        let of = |path: &Path| format!("{}{suffix}", path.display());
        let _ = std::fs::remove_file(of(&copy));
        let (from, to) = (of(&settings.database()), of(&copy));
        match std::fs::copy(&from, &to) {
            Err(error) if suffix.is_empty() => return Err(format!("{from}: {error}")),
            _ => {}
        }
    }
    let newest = Connection::open(&copy).and_then(|copy| {
        copy.query_row(
            "SELECT coalesce(max(last_used), 0) FROM token_usage",
            (),
            |row| row.get(0),
        )
    });
    newest
        .map(Timestamp::from_micros)
        .map_err(|error| error.to_string())
}

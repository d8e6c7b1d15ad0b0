//! What must hold while the database can't be written or read, whatever the reason.

use std::path::Path;
use std::time::{Duration, Instant};

use netbird_auth::clock::Timestamp;
use rusqlite::Connection;
use serde_json::Value;

use crate::check::door;
use crate::program::{Program, Settings, new_token};
use crate::run::Run;

/// The server tries a write of its own each second.
pub const HEALING: Duration = Duration::from_secs(5);

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

/// `None` where `/readyz` says 200, else the words of its 503.
pub fn trouble(program: &Program) -> Result<Option<String>, String> {
    match status(program, "/readyz").map_err(|lost| told(program, &lost))? {
        (200, _) => Ok(None),
        (503, said) if said.contains("database") || said.contains("disk") => Ok(Some(said)),
        (status, said) => Err(format!("/readyz says {status}: {said}")),
    }
}

/// Waits for `/readyz` to be 503, with these words.
pub fn wait_ill(program: &Program, words: &[&str]) -> Result<String, String> {
    wait(program, "/readyz tells the trouble", HEALING, || {
        let said = trouble(program)?;
        Ok(said.filter(|said| words.is_empty() || words.iter().any(|word| said.contains(word))))
    })
}

/// Waits for `/readyz` to be 200; how long that took.
pub fn wait_well(program: &Program) -> Result<Duration, String> {
    let since = Instant::now();
    wait(program, "ready again", HEALING, || {
        Ok(trouble(program)?.is_none().then(|| since.elapsed()))
    })
}

/// Asks again and again.
pub fn wait<T>(
    program: &Program,
    what: &str,
    within: Duration,
    mut ask: impl FnMut() -> Result<Option<T>, String>,
) -> Result<T, String> {
    let until = Instant::now() + within;
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if Instant::now() > until {
            return Err(told(program, &format!("in vain for {within:?}: {what}")));
        }
        pause();
    }
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
pub fn newest_mark(settings: &Settings, run: &Run) -> Result<Timestamp, String> {
    let copy = run.new_folder("copy")?.join("test.db");
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

//! Tokens that are revoked right behind their use, in a race: their marks must do nothing.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use rusqlite::Connection;

use crate::check;
use crate::fill::{self, EXPIRED_TOKENS, Filled};
use crate::http::Response;
use crate::line::Line;
use crate::program::{Program, Settings};
use crate::row::Row;
use crate::uses::{self, in_file, now, pause, wait_until};
use crate::wire::who_am_i;

/// How many are revoked.
pub const COUNT: u32 = 1_000;
/// How many of those another process deletes, at the end, and how many at once.
const BY_ANOTHER: u32 = 100;
const AT_ONCE: u32 = 10;
/// How long it holds the lock each time: less than a flush waits for it, so that one which has taken the
/// marks goes on as soon as their tokens are gone.
const LOCKED: Duration = Duration::from_millis(200);
/// Nothing takes so long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// Each token is used all the while until it is revoked, and after; tokens that are made meanwhile,
/// which get the places of those in memory, are never used.
pub fn run(settings: &Settings, filled: &Filled, first: u32) -> Result<Row, String> {
    let program = settings.start()?;
    let end = first + COUNT - BY_ANOTHER;
    // All before it are revoked, and it was answered.
    let next = AtomicU32::new(first);
    let used = std::thread::scope(|threads| {
        let using = threads.spawn(|| use_behind(&program, &next, first, end));
        let revoke = || {
            for token in first..end {
                let path = uses::path(token);
                let client = uses::beside(&program, filled, token);
                answered(client.try_send("DELETE", &path, &[], b""))?;
                next.store(token + 1, Ordering::SeqCst);
                if token % 4 == 0 {
                    let body = br#"{"name": "never used", "expires_in": 1}"#;
                    let (tokens, _) = path.rsplit_once("/").unwrap_or_default();
                    answered(client.try_send("POST", tokens, &[], body))?;
                }
            }
            Ok::<_, String>(())
        };
        let revoked = revoke();
        next.store(end, Ordering::SeqCst);
        let used = using.join().map_err(|_| "a client has panicked")?;
        revoked.and(used)
    })?;
    let torn = torn_away(&program, filled, first + COUNT - BY_ANOTHER)?;
    // A flush of all that, and then some.
    let after = now();
    let answer =
        Line::open(program.address).and_then(|mut line| line.ask(&who_am_i(&fill::token(0))));
    if answer != Some(200) {
        return Err(format!("a token in use: {answer:?}"));
    }
    let path = &filled.path;
    wait_until("a mark is in the file", PATIENCE, || {
        Ok(in_file(path, 1)?[0] >= after)
    })?;
    none_back(&program, filled, first, "after the flush")?;
    program.kill()?;
    let program = settings.start()?;
    none_back(&program, filled, first, "after SIGKILL and a start")?;
    program.stop()?;
    let program = settings.start()?;
    none_back(&program, filled, first, "after SIGTERM and a start")?;
    let what = format!("marks: {COUNT} tokens revoked right behind their use");
    let seen = format!(
        "{used} uses passed, and {torn} of tokens that another process deleted; none of them is back"
    );
    Ok(Row::new(
        what,
        seen,
        "uses before and after, and a mark on a deleted token does nothing",
    )
    .ok(used > 0 && torn > 0))
}

/// Another process deletes tokens that are in use; how many uses passed.
fn torn_away(program: &Program, filled: &Filled, first: u32) -> Result<usize, String> {
    let failed = |error: rusqlite::Error| format!("another's deletion: {error}");
    let other = Connection::open(&filled.path).map_err(failed)?;
    other.busy_timeout(PATIENCE).map_err(failed)?;
    other
        .pragma_update(None, "foreign_keys", true)
        .map_err(failed)?;
    let is_over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let using = threads.spawn(|| {
            let mut line = Line::open(program.address).ok_or("nobody listens")?;
            let mut passed = 0;
            while !is_over.load(Ordering::Relaxed) {
                for token in first..first + BY_ANOTHER {
                    match line.ask(&who_am_i(&fill::token(token))) {
                        Some(200) => passed += 1,
                        Some(401) => {}
                        other => return Err(format!("token {token}: {other:?}")),
                    }
                }
            }
            Ok(passed)
        });
        let delete = || {
            for first in (first..first + BY_ANOTHER).step_by(AT_ONCE as usize) {
                other.execute_batch("BEGIN IMMEDIATE")?;
                let rows = [uses::row(first), uses::row(first + AT_ONCE)];
                other.execute(
                    "DELETE FROM tokens WHERE number >= ?1 AND number < ?2",
                    rows,
                )?;
                pause(LOCKED);
                other.execute_batch("COMMIT")?;
            }
            Ok(())
        };
        let deleted = delete().map_err(failed);
        is_over.store(true, Ordering::Relaxed);
        let passed = using.join().map_err(|_| "a client has panicked")?;
        deleted.and(passed)
    })
}

/// No revoked token passes or has a row, and none that was never used has a mark.
fn none_back(program: &Program, filled: &Filled, first: u32, when: &str) -> Result<(), String> {
    let failed = |error: rusqlite::Error| format!("{when}: {error}");
    let database = Connection::open(&filled.path).map_err(failed)?;
    check::whole(&database).map_err(|lost| format!("{when}: {lost}"))?;
    let last = filled.size.tokens + EXPIRED_TOKENS + 1;
    let rows = (uses::row(first), uses::row(first + COUNT));
    for (sql, what) in [
        (
            "SELECT count(*) FROM tokens WHERE number >= ?1 AND number < ?2 AND ?3",
            "tokens are back",
        ),
        (
            "SELECT count(*) FROM token_usage WHERE token >= ?1 AND token < ?2 AND ?3",
            "marks are of revoked tokens",
        ),
        (
            "SELECT count(*) FROM token_usage WHERE token > ?3 AND ?1 AND ?2",
            "marks are of tokens that were never used",
        ),
    ] {
        let count = database.query_row(sql, [rows.0, rows.1, last], |row| row.get::<_, u32>(0));
        match count.map_err(failed)? {
            0 => {}
            count => return Err(format!("{when}: {count} {what}")),
        }
    }
    let mut line = Line::open(program.address).ok_or("nobody listens")?;
    for token in first..first + COUNT {
        match line.ask(&who_am_i(&fill::token(token))) {
            Some(401) => {}
            other => return Err(format!("{when}: revoked token {token}: {other:?}")),
        }
    }
    Ok(())
}

/// Asks with the token that is revoked now, the next one and the one before; how often one passed.
fn use_behind(program: &Program, next: &AtomicU32, first: u32, end: u32) -> Result<usize, String> {
    let mut line = Line::open(program.address).ok_or("nobody listens")?;
    let mut passed = 0;
    loop {
        let now = next.load(Ordering::SeqCst);
        if now >= end {
            return Ok(passed);
        }
        for token in [now, (now + 1).min(end - 1), now.max(first + 1) - 1] {
            match line.ask(&who_am_i(&fill::token(token))) {
                Some(200) if token >= now => passed += 1,
                // The next one may have been revoked since, and whatever is behind that is not.
                Some(401) if token <= next.load(Ordering::SeqCst) => {}
                other => return Err(format!("token {token}, with {now} next: {other:?}")),
            }
        }
    }
}

fn answered(answer: std::io::Result<Response>) -> Result<(), String> {
    let answer = answer.map_err(|error| format!("no answer: {error}"))?;
    match answer.status {
        200 => Ok(()),
        status => Err(format!(
            "{status}: {}",
            String::from_utf8_lossy(&answer.body)
        )),
    }
}

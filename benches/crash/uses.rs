//! Tokens in use, each use with its times, and what a file has of them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use netbird_auth::clock::Timestamp;
use netbird_auth::store;
use rusqlite::Connection;

use crate::fill::{self, Filled, Size};
use crate::http::Client;
use crate::line::Line;
use crate::program::{Program, Settings};
use crate::random::Random;
use crate::run::Run;
use crate::wire;

/// Who have the tokens in turn; the number of tokens is a multiple.
const USERS: u32 = 100;
const THREADS: u64 = 2;
/// Of each thread.
const LINES: usize = 8;

/// A request with a token. The server's mark is of a moment between the two.
pub struct Use {
    pub token: u32,
    /// Microseconds since 1970, before it was sent.
    pub sent: i64,
    /// The same, after its answer. Without one the token may be marked or not.
    pub answered: Option<i64>,
}

/// What a file has of the uses until an end.
#[derive(Default)]
pub struct Kept {
    pub acknowledged: usize,
    pub lost: usize,
    /// The time from the answer to the end, of the oldest that is not there.
    pub oldest_lost: Duration,
}

/// The present, as the server's clock has it.
pub fn now() -> i64 {
    Timestamp::now().micros()
}

/// Lets time pass.
pub fn pause(time: Duration) {
    let _ = crossbeam_channel::after(time).recv();
}

/// Waits until something is so.
pub fn wait_until(
    what: &str,
    at_most: Duration,
    mut is_so: impl FnMut() -> Result<bool, String>,
) -> Result<(), String> {
    let end = crossbeam_channel::after(at_most);
    while !is_so()? {
        pause(Duration::from_millis(10));
        if end.try_recv().is_ok() {
            return Err(format!("in {at_most:?} it was never so: {what}"));
        }
    }
    Ok(())
}

/// A database with so many tokens and one more of each user, and its settings.
pub fn house(run: &Run, name: &str, tokens: u32) -> Result<(Settings, Filled), String> {
    let folder = run.new_folder(name)?;
    let size = Size {
        tokens: tokens + USERS,
        users: USERS,
    };
    let filled = fill::fill(&folder, "test.db", size);
    let change = || {
        let database = Connection::open(&filled.path)?;
        // Whoever is just a user reaches no tokens, not even their own.
        database.execute("UPDATE users SET role = 'admin' WHERE role = 'user'", ())
    };
    change().map_err(|error| format!("{}: {error}", filled.path.display()))?;
    let mut settings = Settings::new(run, &folder)?;
    settings.token = Some(filled.owner.clone());
    Ok((settings, filled))
}

/// A client of a token's user, who sees and revokes their tokens, with another token: that of the same
/// user behind the others.
pub fn beside(program: &Program, filled: &Filled, token: u32) -> Client {
    program.client(&fill::token(filled.size.tokens - USERS + token % USERS))
}

/// A filled token, as the API names it.
pub fn path(token: u32) -> String {
    let (user, id) = (fill::user_id(1 + token % USERS), fill::token_id(token));
    format!("/api/users/{user}/tokens/{id}")
}

/// A request with each of the first tokens of a filled database.
pub fn requests(tokens: u32) -> Vec<Vec<u8>> {
    let request = |number| wire::who_am_i(&fill::token(number));
    (0..tokens).map(request).collect()
}

/// Sends these in a random order over several connections, while `meanwhile` runs or until the server
/// is gone. Each answer must be 200.
pub fn use_while<T>(
    address: SocketAddr,
    requests: &[Vec<u8>],
    random: &mut Random,
    meanwhile: impl FnOnce() -> Result<T, String>,
) -> Result<(T, Vec<Use>), String> {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let running: Vec<_> = (0..THREADS)
            .map(|number| {
                let (mut random, is_over) = (Random::new(random.next(), number), &is_over);
                threads.spawn(move || {
                    let mut uses = Vec::new();
                    let lines = (0..LINES).map(|_| Line::open(address)).collect();
                    let mut lines: Vec<Line> = Option::unwrap_or_default(lines);
                    while !lines.is_empty() && !is_over.load(Ordering::Relaxed) {
                        if turn(&mut lines, requests, &mut random, &mut uses)?.is_none() {
                            break;
                        }
                    }
                    Ok::<_, String>(uses)
                })
            })
            .collect();
        let value = meanwhile();
        is_over.store(true, Ordering::Relaxed);
        let mut uses = Vec::new();
        for one in running {
            let seen = one.join().map_err(|_| "a client has panicked".to_owned())?;
            uses.extend(seen?);
        }
        Ok((value?, uses))
    })
}

/// A use on each connection; `None` where the server is gone.
fn turn(
    lines: &mut [Line],
    requests: &[Vec<u8>],
    random: &mut Random,
    uses: &mut Vec<Use>,
) -> Result<Option<()>, String> {
    let first = uses.len();
    let mut is_gone = false;
    for line in &mut *lines {
        let token = random.index(requests.len());
        uses.push(Use {
            token: token as u32,
            sent: now(),
            answered: None,
        });
        is_gone |= line.send(&requests[token]).is_none();
    }
    // An answer may be there on one connection where another has ended already.
    for (line, used) in lines.iter_mut().zip(&mut uses[first..]) {
        match line.status() {
            Some(200) => used.answered = Some(now()),
            Some(status) => return Err(format!("token {} was answered {status}", used.token)),
            None => is_gone = true,
        }
    }
    Ok((!is_gone).then_some(()))
}

/// When each of the first tokens was used last, as a file has it.
pub fn in_file(path: &Path, tokens: u32) -> Result<Vec<i64>, String> {
    let read = || {
        let database = store::open_as_it_is(path).map_err(|error| error.to_string())?;
        let failed = |error: rusqlite::Error| error.to_string();
        database
            .busy_timeout(Duration::from_secs(10))
            .map_err(failed)?;
        let sql = "SELECT last_used FROM token_usage WHERE token BETWEEN 2 AND ?1 ORDER BY token";
        let mut statement = database.prepare(sql).map_err(failed)?;
        let times = statement.query_map([row(tokens) - 1], |row| row.get(0));
        let times: Result<Vec<i64>, _> = times.map_err(failed)?.collect();
        times.map_err(failed)
    };
    let times: Vec<i64> = read().map_err(|error| format!("{}: {error}", path.display()))?;
    match times.len() == tokens as usize {
        true => Ok(times),
        false => Err(format!("of {tokens} tokens, {} are used", times.len())),
    }
}

/// The row of a filled token: the first is the owner's.
pub fn row(token: u32) -> u32 {
    token + 2
}

/// Holds a file against the one before and the uses since, which ended at a time: no time went back,
/// and each is that of a use.
pub fn judge(
    before: &[i64],
    after: &[i64],
    mut uses: Vec<Use>,
    ended: i64,
) -> Result<Kept, String> {
    let mut kept = Kept::default();
    uses.sort_unstable_by_key(|used| used.token);
    let mut rest = uses.as_slice();
    for (token, (&before, &after)) in (0..).zip(before.iter().zip(after)) {
        let (of_it, others) = rest.split_at(rest.partition_point(|used| used.token == token));
        rest = others;
        if after < before {
            return Err(format!(
                "the last use of token {token} went back from {before} to {after}"
            ));
        }
        let is_of_it = |used: &Use| (used.sent..=used.answered.unwrap_or(ended)).contains(&after);
        if after != before && !of_it.iter().any(is_of_it) {
            return Err(format!("token {token} was not used at {after}"));
        }
        for used in of_it {
            let Some(answered) = used.answered else {
                continue;
            };
            kept.acknowledged += 1;
            if used.sent > after {
                kept.lost += 1;
                let age = u64::try_from(ended - answered).unwrap_or(0);
                kept.oldest_lost = kept.oldest_lost.max(Duration::from_micros(age));
            }
        }
    }
    Ok(kept)
}

/// When the API says that a filled token was used last.
pub fn shown(program: &Program, filled: &Filled, token: u32) -> Result<String, String> {
    let (client, path) = (beside(program, filled, token), path(token));
    let answer = client.try_send("GET", &path, &[], b"");
    let answer = answer.map_err(|error| format!("{path}: {error}"))?;
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let time = body["last_used"].as_str().map(str::to_owned);
    time.ok_or_else(|| format!("{path}: {} and no last_used", answer.status))
}

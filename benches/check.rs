//! What one check of a token costs, in instructions: from the headers to a `Caller`, or to a refusal.
//!
//! `cargo bench --bench check` runs itself under callgrind (of valgrind) and compares with the numbers in
//! `check.txt`. Instructions do not drift with the load of a machine, so more than 10 % above them is a
//! failure. `cargo bench --bench check -- --write` puts the new numbers in their place.
//!
//! A check is what the extractor of `Caller` does: it reads the clock, then `auth::presented` and
//! `auth::know`. Each is with another of 1 000 tokens, of 100 users. Two runs differ in nothing but the
//! number of checks, and the difference of their instructions is what is shown; so the start, the reading of
//! the database and a first round over all tokens cost nothing here. That round marks every token as used:
//! what is measured is a token whose mark waits to be written already, as it is with one that is used often.
//! The system's part of reading the clock is not counted.
//!
//! Where the instructions go, function by function (the profile holds the measured checks alone, of good
//! tokens; it needs the symbols that a release has not):
//!
//! ```text
//! CARGO_PROFILE_BENCH_STRIP=none CARGO_PROFILE_BENCH_DEBUG=line-tables-only \
//!     cargo bench --bench check -- --profile=/tmp/check.out
//! callgrind_annotate --inclusive=yes /tmp/check.out
//! callgrind_annotate --auto=yes /tmp/check.out
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs
)]

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitCode};

use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use netbird_auth::auth::{Known, know, presented};
use netbird_auth::clock::Timestamp;
use netbird_auth::error::ApiError;
use netbird_auth::index::Index;
use netbird_auth::issuers::Issuers;
use netbird_auth::jwt::IssuerSet;
use netbird_auth::store::{self, NewToken, NewUser, Origin, StoreError};
use netbird_auth::token::{Lifetime, PlainToken};
use netbird_auth::user::{Name, Role, UserId};

const CASES: [&str; 3] = ["good", "bad-checksum", "unknown"];
const USERS: usize = 100;
const TOKENS: usize = 1_000;
/// A multiple of the tokens: each is checked equally often.
const CHECKS: usize = 20 * TOKENS;
/// Percent.
const TOLERANCE: f64 = 10.0;
const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/check.txt");

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    if let ["measured", case, folder, checks] = arguments[..] {
        measured(case, Path::new(folder), checks.parse().unwrap());
        return ExitCode::SUCCESS;
    }
    // `cargo test --benches` would run it too.
    if !arguments.contains(&"--bench") || arguments.contains(&"--test") {
        return ExitCode::SUCCESS;
    }
    let folder = tempfile::tempdir().unwrap();
    make(folder.path());
    let profile = |argument: &&str| argument.strip_prefix("--profile=").map(OsString::from);
    if let Some(out) = arguments.iter().find_map(profile) {
        let options = ["--toggle-collect=check::checks", "--dump-instr=yes"];
        let total = callgrind("good", folder.path(), CHECKS, &out, &options);
        println!("{} instructions a check", total / CHECKS as u64);
        return ExitCode::SUCCESS;
    }
    let found = CASES.map(|case| (case, instructions(case, folder.path())));
    judge(&found, arguments.contains(&"--write"))
}

/// Shows the numbers beside those that are committed.
fn judge(found: &[(&str, u64)], writes: bool) -> ExitCode {
    let committed = std::fs::read_to_string(COMMITTED).unwrap_or_default();
    let committed: HashMap<_, f64> = committed
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, number)| (name, number.parse().unwrap()))
        .collect();
    let mut lines = String::new();
    let (mut more, mut less) = (false, false);
    println!(
        "{:14} {:>12} {:>10} {:>8}",
        "a check", "instructions", "committed", "change"
    );
    for (case, now) in found {
        writeln!(lines, "{case} {now}").unwrap();
        let Some(before) = committed.get(case) else {
            more = true;
            println!("{case:14} {now:>12} {:>10} {:>8}", "-", "-");
            continue;
        };
        let change = (*now as f64 / before - 1.0) * 100.0;
        more |= change > TOLERANCE;
        less |= change < -TOLERANCE;
        println!("{case:14} {now:>12} {before:>10} {change:>+7.1}%");
    }
    if writes {
        std::fs::write(COMMITTED, lines).unwrap();
        println!("\nwritten into benches/check.txt");
        return ExitCode::SUCCESS;
    }
    if !cfg!(target_arch = "x86_64") {
        println!("\nthe committed numbers are of x86-64: nothing is judged here");
        return ExitCode::SUCCESS;
    }
    if more {
        println!(
            "\nMore than {TOLERANCE} % above what is committed, or not committed yet. Find what costs it with \
             --profile (see benches/check.rs); if it is worth it, or a new compiler's, run 'cargo bench --bench \
             check -- --write', commit benches/check.txt and say why."
        );
        return ExitCode::FAILURE;
    }
    if less {
        println!(
            "\nMore than {TOLERANCE} % below what is committed: run 'cargo bench --bench check -- --write' and \
             commit benches/check.txt, so that it stays so."
        );
    }
    ExitCode::SUCCESS
}

/// Of one check.
fn instructions(case: &str, folder: &Path) -> u64 {
    let [once, twice] =
        [1, 2].map(|times| callgrind(case, folder, times * CHECKS, "/dev/null".as_ref(), &[]));
    (twice - once) / CHECKS as u64
}

/// Runs this program under callgrind and returns how many instructions it counted.
fn callgrind(
    case: &str,
    folder: &Path,
    checks: usize,
    out: &std::ffi::OsStr,
    options: &[&str],
) -> u64 {
    let mut file = OsString::from("--callgrind-out-file=");
    file.push(out);
    let ran = Command::new("valgrind")
        .args(["--tool=callgrind", "--error-exitcode=1"])
        .arg(file)
        .args(options)
        .arg(std::env::current_exe().unwrap())
        .args(["measured", case])
        .arg(folder)
        .arg(checks.to_string())
        .output()
        .unwrap_or_else(|error| {
            panic!("valgrind: {error}; install it, for example with 'apt-get install valgrind'")
        });
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "valgrind failed: {said}");
    let total = said
        .lines()
        .find_map(|line| Some(line.split_once("Collected :")?.1.trim().parse().unwrap()));
    total.unwrap_or_else(|| panic!("valgrind says no total: {said}"))
}

/// A database, and a file of tokens for each case.
fn make(folder: &Path) {
    let now = Timestamp::now();
    let path = folder.join("check.db");
    let tokens: Vec<_> = (0..TOKENS)
        .map(|_| PlainToken::generate().unwrap())
        .collect();
    let filled = store::create_database(&path, |database| {
        for number in 0..USERS {
            let user = store::insert_user(database, user(number, now))?;
            for token in tokens.iter().skip(number).step_by(USERS) {
                let new = NewToken {
                    hash: token.hash(),
                    user: user.number,
                    name: Name::parse("a token").unwrap(),
                    created_by: None,
                    created_at: now,
                    expires_at: Lifetime::ONE_DAY.end(now),
                };
                store::insert_token(database, &new)?;
            }
        }
        Ok::<_, StoreError>(())
    });
    filled.unwrap();
    for case in CASES {
        let text = |token: &PlainToken| match case {
            "good" => token.expose().to_owned(),
            "unknown" => PlainToken::generate().unwrap().expose().to_owned(),
            _ => {
                let (most, last) = token.expose().split_at(39);
                format!("{most}{}", if last == "x" { "y" } else { "x" })
            }
        };
        let texts: Vec<_> = tokens.iter().map(text).collect();
        std::fs::write(folder.join(case), texts.join("\n")).unwrap();
    }
}

fn user(number: usize, now: Timestamp) -> NewUser {
    NewUser {
        id: UserId::parse(&format!("user-{number}")).unwrap(),
        issuer: "".into(),
        origin: Origin::Api,
        name: Name::parse(&format!("User {number}")).unwrap(),
        email: Name::parse(&format!("user-{number}@home.arpa")).unwrap(),
        role: Role::User,
        auto_groups: Box::default(),
        is_service: false,
        is_pending: false,
        is_invited: false,
        created_at: now,
    }
}

/// What callgrind counts.
fn measured(case: &str, folder: &Path, count: usize) {
    let database = rusqlite::Connection::open(folder.join("check.db")).unwrap();
    let index = Index::load(&database).unwrap();
    let issuers = Issuers::new(IssuerSet::default());
    let texts = std::fs::read_to_string(folder.join(case)).unwrap();
    let headers = texts.lines().map(|text| {
        let value = HeaderValue::from_str(&format!("Token {text}")).unwrap();
        HeaderMap::from_iter([(AUTHORIZATION, value)])
    });
    let requests: Vec<_> = headers.collect();
    for headers in &requests {
        let passes = check(headers, &index, &issuers).is_ok();
        assert_eq!(passes, case == "good", "{case}");
    }
    checks(&requests, count, &index, &issuers);
}

/// A function of its own, so that a profile can hold this alone.
#[inline(never)]
fn checks(requests: &[HeaderMap], count: usize, index: &Index, issuers: &Issuers) {
    for headers in requests.iter().cycle().take(count) {
        let _ = black_box(check(black_box(headers), index, issuers));
    }
}

fn check(headers: &HeaderMap, index: &Index, issuers: &Issuers) -> Result<Known, ApiError> {
    let now = Timestamp::now();
    let shown = presented(headers).map_err(ApiError::from);
    shown.and_then(|shown| know(&shown, index, issuers, now))
}

//! What the check of a token costs a request, in a small house and in one with a million tokens.

use netbird_auth::clock::Timestamp;
use netbird_auth::token::{PlainToken, TOKEN_LENGTH};
use rusqlite::Connection;

use crate::Bench;
use crate::client::{Case, Requests, Seen, busy, rate, ratio, rounds};
use crate::fill::{self, EXPIRED, EXPIRED_TOKENS, Size, UNKNOWN};
use crate::row::Bar::{AtLeast, AtMost};
use crate::row::{Row, Short};
use crate::site::{Pinned, Site};

pub fn run(bench: &Bench) -> Vec<Row> {
    let _pinned = Pinned::to_client();
    let sizes = [Size::HOME, Size::large(bench.is_small)];
    let folders = [(); 2].map(|()| tempfile::tempdir_in(bench.folder.path()).unwrap());
    let sites = [0, 1].map(|place: usize| {
        let filled = bench.filled(sizes[place]);
        Site::start(folders[place].path(), &filled, "", |_| ())
    });
    let [small, large] = &sites;
    let started = Timestamp::now();
    let tokens = |size: Size| Requests::with_tokens("/caller", 0..size.tokens);
    let [
        [bare_small, plain_small, whole_small],
        [bare_large, plain_large, whole_large],
    ] = [(small, sizes[0]), (large, sizes[1])].map(|(site, size)| {
        [
            Case::new(&site.plain, Requests::to("/bare")),
            Case::new(&site.plain, tokens(size)),
            Case::new(&site.whole, tokens(size)),
        ]
    });
    let refused = |requests: fn() -> Requests, end| {
        [
            Case::new(&large.plain, requests()).answered(401, "\r\n\r\n"),
            Case::new(&large.whole, requests()).answered(401, end),
        ]
    };
    let [plain_mistyped, whole_mistyped] =
        refused(mistyped, "\"code\":401,\"reason\":\"bad token checksum\"}");
    let [plain_unknown, whole_unknown] = refused(
        || Requests::with_tokens("/caller", UNKNOWN),
        "\"code\":401,\"reason\":\"unknown or revoked token\"}",
    );
    let [plain_expired, whole_expired] = refused(
        || Requests::with_tokens("/caller", EXPIRED..EXPIRED + EXPIRED_TOKENS),
        "\"code\":401,\"reason\":\"expired token\"}",
    );
    let mut cases = [
        bare_small,
        plain_small,
        whole_small,
        bare_large,
        plain_large,
        whole_large,
        plain_mistyped,
        whole_mistyped,
        plain_unknown,
        whole_unknown,
        plain_expired,
        whole_expired,
    ];
    let seen = rounds(bench, &mut cases);
    for (folder, cases) in folders.iter().zip([&cases[1..3], &cases[4..6]]) {
        let database = Connection::open(folder.path().join("site.db")).unwrap();
        cases
            .iter()
            .for_each(|case| assert_marked(&database, case, started));
    }
    drop(cases);
    let mut rows = Vec::new();
    let accepted = [(sizes[0], 0.85, &seen[0..3]), (sizes[1], 0.80, &seen[3..6])];
    for (size, bar, seen) in accepted {
        rows.extend(costs(size, bar, &seen[0], &seen[1], &seen[2]));
    }
    let refusals = [
        ("bad checksum", &seen[6..8]),
        ("unknown token", &seen[8..10]),
        ("expired token", &seen[10..12]),
    ];
    for (what, of) in refusals {
        let what = format!("401, {what}, {} tokens", sizes[1].tokens);
        let check = ratio(&of[0], &seen[3], |seen| seen.rate);
        let row = Row::new(
            format!("{what}: requests/s to bare, the check alone"),
            check,
            AtLeast(0.90),
        );
        rows.push(row.note(rate(&of[0])));
        let whole = ratio(&of[1], &seen[3], |seen| seen.rate);
        let row = Row::new(
            format!("{what}: requests/s to bare, the whole server"),
            whole,
            None,
        );
        rows.push(row.note(format!("{}; nothing is logged", rate(&of[1]))));
    }
    sites.into_iter().for_each(Site::stop);
    rows
}

/// Tokens of which the last character is another.
fn mistyped() -> Requests {
    let texts = (0..1_000).map(|number| {
        let mut text: [u8; TOKEN_LENGTH] = fill::token(number).into_bytes().try_into().unwrap();
        let last = &mut text[TOKEN_LENGTH - 1];
        *last = if *last == b'0' { b'1' } else { b'0' };
        text
    });
    Requests::with_texts("/caller", texts.collect())
}

/// The rows of a size, without those of refusals.
fn costs(size: Size, bar: f64, bare: &[Seen], plain: &[Seen], whole: &[Seen]) -> Vec<Row> {
    let house = format!("{} tokens of {} users", size.tokens, size.users);
    let ways = [
        (
            "the check alone",
            plain,
            Some(AtLeast(bar)),
            Some(AtMost(1.30)),
        ),
        ("the whole server", whole, None, None),
    ];
    let mut rows = Vec::new();
    for (way, of, bar, cpu_bar) in ways {
        let what = format!("another token each, {house}: requests/s to bare, {way}");
        let note = format!(
            "{}, bare {}; worker busy {} and {} of the time; the writer on the client's core",
            rate(of),
            rate(bare),
            busy(of),
            busy(bare)
        );
        rows.push(Row::new(what, ratio(of, bare, |seen| seen.rate), bar).note(note));
        let what = format!("another token each, {house}: worker's CPU a request to bare, {way}");
        let note = format!(
            "with the writer, until the last mark is in the database: {}",
            Short(ratio(of, bare, |seen| seen.all).median)
        );
        rows.push(Row::new(what, ratio(of, bare, |seen| seen.worker), cpu_bar).note(note));
    }
    rows
}

/// The tokens of a case are marked as used in the database; the last marks are there already.
fn assert_marked(database: &Connection, case: &Case<'_>, since: Timestamp) {
    let mut last_used = database
        .prepare("SELECT last_used FROM token_usage JOIN tokens ON number = token WHERE hash = ?1")
        .unwrap();
    let tokens = case.some_tokens();
    assert!(tokens.len() >= 100);
    for token in tokens {
        let text = str::from_utf8(token).unwrap();
        let hash = PlainToken::parse(text).unwrap().hash();
        let marked: Timestamp = last_used.query_row([hash], |row| row.get(0)).unwrap();
        assert!(marked >= since, "a token was used, and is not marked");
    }
}

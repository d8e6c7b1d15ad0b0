//! The check from memory beside the ways in which others do it, in the same rounds.

use netbird_auth::clock::Timestamp;
use rusqlite::Connection;

use crate::Bench;
use crate::client::{Case, Requests, busy, rate, ratio, rounds};
use crate::fill::{EXPIRED, EXPIRED_TOKENS, Size, UNKNOWN};
use crate::row::Bar::AtLeast;
use crate::row::{Row, Short};
use crate::site::{Pinned, Site, copy};
use crate::ways::{self, Databases};

pub fn run(bench: &Bench) -> Vec<Row> {
    let _pinned = Pinned::to_client();
    let folder = tempfile::tempdir_in(bench.folder.path()).unwrap();
    let size = Size::large(bench.is_small);
    let filled = bench.filled(size);
    let path = |name: &str| folder.path().join(name);
    let copied = |name: &str| {
        copy(&filled.path, &path(name));
        path(name)
    };
    let databases = Databases {
        select: copied("select.db"),
        normal: copied("normal.db"),
        full: copied("full.db"),
        netbird: [path("netbird-0.db"), path("netbird-1.db")],
    };
    let (few, many) = (1_000, if bench.is_small { 5_000 } else { 100_000 });
    ways::fill_netbird(&databases.netbird[0], few, 100);
    ways::fill_netbird(&databases.netbird[1], many, 1_000);
    let opened = databases.clone();
    let site = Site::start(folder.path(), &filled, "", move |config| {
        ways::configure(config, &opened);
    });
    assert_refusals(&site);
    let started = Timestamp::now();
    let case = |path, tokens| Case::new(&site.plain, Requests::with_tokens(path, 0..tokens));
    // What waits for the disk is asked so long that the figure is one.
    let few_are_enough = |count: usize| if bench.is_small { 16 } else { count };
    let mut cases = [
        Case::new(&site.plain, Requests::to("/bare")),
        case("/caller", size.tokens),
        case("/select", size.tokens),
        case("/normal", size.tokens),
        case("/full", size.tokens).slow(8, few_are_enough(400)),
        case("/netbird-0", few).slow(8, few_are_enough(200)),
        case("/netbird-1", many).slow(8, few_are_enough(56)),
    ];
    let [bare, ours, select, normal, full, netbird_few, netbird_many] = rounds(bench, &mut cases);
    drop(cases);
    site.stop();
    assert_written(&databases, started);
    let house = format!("{} tokens", size.tokens);
    let beside = |what: &str, seen: &[_], bar, more: &str| {
        let what = format!("token requests/s to those with {what}, {house}");
        let note = format!(
            "{} to {}, worker busy {} and {} of the time{more}",
            rate(&ours),
            rate(seen),
            busy(&ours),
            busy(seen)
        );
        Row::new(what, ratio(&ours, seen, |seen| seen.rate), AtLeast(bar)).note(note)
    };
    let tuned = "; it marks nothing, and has 64 MiB of cache; ours are marked on the client's core";
    let ours_too = "; ours are marked on the client's core";
    let normal_name = "a SELECT and an UPDATE each, synchronous=NORMAL";
    let full_name = "a SELECT and an UPDATE each, synchronous=FULL";
    let mut rows = vec![
        beside("a SELECT each", &select, 2.0, tuned),
        beside(normal_name, &normal, 4.0, ours_too),
        beside(full_name, &full, 25.0, ours_too),
    ];
    for (tokens, seen) in [(few, &netbird_few), (many, &netbird_many)] {
        let what = format!("NetBird's statements, {tokens} tokens: requests/s to bare");
        let times = ratio(&ours, seen, |seen| seen.rate).median;
        let note = format!(
            "{}; with {house} we answer {} times as many",
            rate(seen),
            Short(times)
        );
        rows.push(Row::new(what, ratio(seen, &bare, |seen| seen.rate), None).note(note));
    }
    rows
}

/// A rival that let everybody pass would be none.
fn assert_refusals(site: &Site) {
    let wrong = [EXPIRED..EXPIRED + EXPIRED_TOKENS, UNKNOWN];
    for path in ["/select", "/normal", "/full", "/netbird-0", "/netbird-1"] {
        for numbers in wrong.clone() {
            let requests = Requests::with_tokens(path, numbers);
            let case = Case::new(&site.plain, requests).answered(401, "\r\n\r\n");
            case.slow(8, 8).run(std::time::Duration::ZERO);
        }
    }
}

/// Those that say that they write have written.
fn assert_written(databases: &Databases, since: Timestamp) {
    for path in [&databases.normal, &databases.full] {
        let database = Connection::open(path).unwrap();
        let last: Timestamp = database
            .query_row("SELECT max(last_used) FROM token_usage", (), |row| {
                row.get(0)
            })
            .unwrap();
        assert!(last >= since);
    }
    for path in &databases.netbird {
        let database = Connection::open(path).unwrap();
        let last: String = database
            .query_row(
                "SELECT max(last_used) FROM personal_access_tokens",
                (),
                |row| row.get(0),
            )
            .unwrap();
        assert!(last >= since.to_string());
    }
}

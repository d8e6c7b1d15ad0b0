//! What `/auth/verify` costs where the rule that matches is the last of a hundred.

use crate::Bench;
use crate::client::{Case, Requests, get, rate, ratio, rounds};
use crate::fill::Size;
use crate::row::Bar::AtLeast;
use crate::row::Row;
use crate::site::{Pinned, Site};

pub fn run(bench: &Bench) -> Vec<Row> {
    let _pinned = Pinned::to_client();
    let folder = tempfile::tempdir_in(bench.folder.path()).unwrap();
    let rules = (0..100).map(|number| {
        format!(
            "[[forward_auth.rule]]\nhost = 'host-{number}.home.arpa'\npath_prefix = '/'\n\
             allow_roles = ['owner', 'admin']\n"
        )
    });
    let filled = bench.filled(Size::HOME);
    let site = Site::start(folder.path(), &filled, &rules.collect::<String>(), |_| ());
    let asked = |path| {
        let requests = ["/x", "/y"].map(|uri| question(path, &filled.owner, uri));
        Requests::of(requests.into())
    };
    let mut cases = [
        Case::new(&site.plain, Requests::to("/bare")),
        Case::new(&site.plain, asked("/bare")),
        // Without a body.
        Case::new(&site.whole, asked("/auth/verify")).answered(200, "\r\n\r\n"),
    ];
    let [bare, bare_asked, verify] = rounds(bench, &mut cases);
    drop(cases);
    site.stop();
    let what = "/auth/verify, a rule for each of 100 hosts: requests/s";
    let to_bare = ratio(&verify, &bare, |seen| seen.rate);
    let to_asked = ratio(&verify, &bare_asked, |seen| seen.rate);
    vec![
        Row::new(format!("{what} to bare"), to_bare, AtLeast(0.70)).note(rate(&verify)),
        Row::new(
            format!("{what} to bare with the same headers"),
            to_asked,
            None,
        )
        .note(format!("bare {}", rate(&bare_asked))),
    ]
}

/// What nginx asks.
fn question(path: &str, token: &str, uri: &str) -> Vec<u8> {
    let headers = format!(
        "Authorization: Token {token}\r\n\
         X-Forwarded-Method: GET\r\nX-Forwarded-Proto: https\r\n\
         X-Forwarded-Host: host-99.home.arpa\r\nX-Forwarded-Uri: {uri}\r\n\
         X-Forwarded-For: 192.0.2.7\r\nAccept: */*\r\n"
    );
    get(path, &headers)
}

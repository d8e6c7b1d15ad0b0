//! Certificates that change while the server runs, that are about to end, and bad ones.

use std::io::{Read, Write};
use std::path::Path;

use rustix::process::Signal;

use crate::jwt_reload::{put_in_place, soon};
use crate::operations::{METRICS, metrics_client, scrape};
use crate::support::{BOTH, Pair, Server, TlsConnection, eventually, netbird_auth};
use crate::tls::{FILES, server, with};

/// As a program does it that renews certificates: one file after the other.
fn renew(folder: &Path, pair: &Pair) {
    put_in_place(&folder.join("tls.crt"), &pair.certificate);
    put_in_place(&folder.join("tls.key"), &pair.key);
}

fn is_shown(server: &Server, pair: &Pair) -> bool {
    pair.client(server.address).connect(BOTH, &[]).is_ok()
}

/// One request on a connection that stays open.
#[track_caller]
fn still_answers(connection: &mut TlsConnection) {
    connection
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        let mut more = [0; 1024];
        let read = connection.read(&mut more).unwrap();
        assert!(read > 0, "the connection has ended");
        answer.extend(&more[..read]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
}

#[test]
fn a_new_certificate_is_shown_soon_and_open_connections_stay() {
    let (server, client) = server(&[]);
    let mut open = client.connect(BOTH, &[]).unwrap();
    still_answers(&mut open);
    let next = Pair::new();
    renew(server.folder.path(), &next);
    soon("the next certificate", || is_shown(&server, &next));
    assert!(client.connect(BOTH, &[]).is_err(), "the former one is gone");
    still_answers(&mut open);
    server.log_line("the certificate was read anew (names: auth.home.arpa; until ");
}

#[test]
fn sighup_reads_the_certificate_at_once_and_tells_how_it_went() {
    let (server, _) = server(&[]);
    server.signal(Signal::HUP);
    server.log_line("the certificate was read anew");
    std::fs::write(server.folder.path().join("tls.key"), Pair::new().key).unwrap();
    server.signal(Signal::HUP);
    server.log_line(
        "the certificate stays as it was until this is mended: tls.key is not the key of tls.crt",
    );
}

#[test]
fn a_bad_certificate_leaves_the_former_in_force_until_it_is_mended() {
    let first = Pair::new();
    let (server, client) = with(&first, &[METRICS]);
    let metrics = metrics_client(&server);
    let of = |name: &str| scrape(&metrics)[&format!("netbird_auth_certificate_{name}")];
    assert_eq!((of("current"), of("failed_reloads_total")), (1.0, 0.0));
    let end = of("end_timestamp_seconds");

    std::fs::remove_file(server.folder.path().join("tls.crt")).unwrap();
    server.log_line("the certificate stays as it was until this is mended: tls.crt: can't be read");
    assert_eq!(of("current"), 0.0);
    assert!(of("failed_reloads_total") >= 1.0);
    assert_eq!(of("end_timestamp_seconds"), end);
    let ready = client.get("/readyz", None).ok();
    let warning = ready["warnings"][0].as_str().unwrap();
    assert!(
        warning.starts_with("the certificate could not be read anew"),
        "{warning}"
    );

    renew(server.folder.path(), &Pair::of_days(0, 30));
    eventually("the certificate is mended", || {
        (of("current") == 1.0).then_some(())
    });
    assert!(of("end_timestamp_seconds") < end);
    assert!(client.connect(BOTH, &[]).is_err());
    let told = |line: &&String| line.contains("the certificate stays as it was");
    assert_eq!(server.log().iter().filter(told).count(), 1);
}

#[test]
fn a_certificate_near_its_end_is_told_once_and_a_good_one_is_not() {
    for (days, words) in [
        ((-80, 10), Some("ends at 2")),
        ((-90, -1), Some("ended at 2")),
        ((1, 90), Some("is good from 2")),
        ((-1, 90), None),
    ] {
        let (server, _) = with(&Pair::of_days(days.0, days.1), &[]);
        let line = "the certificate in tls.crt ";
        let told = |server: &Server| {
            let log = server.log();
            let told = log.iter().filter(|entry| entry.contains(line));
            told.cloned().collect::<Vec<_>>()
        };
        let mut check = netbird_auth(server.folder.path());
        for (name, value) in FILES {
            check.env(format!("NETBIRD_AUTH_{name}"), value);
        }
        let check = check.args(["config", "check"]).output().unwrap();
        let warned = String::from_utf8(check.stderr).unwrap();
        assert_eq!(warned.contains(line), words.is_some(), "{warned}");
        assert!(warned.contains(words.unwrap_or_default()), "{warned}");
        assert!(
            warned.contains("every user of this machine can read the private key"),
            "{warned}"
        );
        // Before "ready", by the start itself.
        match words {
            None => assert!(told(&server).is_empty()),
            Some(words) => assert!(told(&server)[0].contains(words), "{:?}", told(&server)),
        }
        let next = Pair::new();
        renew(server.folder.path(), &next);
        soon("the next certificate", || is_shown(&server, &next));
        assert_eq!(told(&server).len(), usize::from(words.is_some()));
    }
}

//! Key files and settings that change while the server runs, and bad ones.

use std::fs::{self, File};
use std::path::Path;
use std::time::Instant;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{
    Client, Idp, SOON, Server, SigningKey, eventually, netbird_auth, only_line, refused_start,
    start_with_issuers, write_issuers,
};

/// A good token of an issuer by any key.
pub fn signed(idp: &Idp, key: &SigningKey, user: &str) -> String {
    let claims = idp.claims(user, json!({}));
    key.sign(&key.header().to_string(), &claims.to_string())
}

/// 200, or why not.
pub fn outcome(client: &Client) -> String {
    let answer = client.get("/api/users/current");
    match answer.status {
        200 => "200".to_owned(),
        _ => answer.refused(401),
    }
}

#[track_caller]
pub fn soon(what: &str, mut ask: impl FnMut() -> bool) {
    let since = Instant::now();
    eventually(what, || ask().then_some(()));
    assert!(since.elapsed() < SOON, "{what}: {:?}", since.elapsed());
}

fn write_settings(server: &Server, idps: &[&Idp]) {
    let text: String = idps.iter().map(|idp| idp.toml()).collect();
    put_in_place(&server.folder.path().join("netbird-auth.toml"), &text);
}

pub fn put_in_place(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, path).unwrap();
}

/// One number of the metrics.
fn metric(server: &Server, name: &str) -> f64 {
    let line = server.log_line("metrics on http://");
    let address = line.split_once("metrics on http://").unwrap().1;
    let client = Client {
        address: address.split([' ', '"']).next().unwrap().parse().unwrap(),
        authorization: None,
    };
    let answer = client.get("/metrics");
    let text = answer.text();
    let mut values = text
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    values.next().unwrap().parse().unwrap()
}

pub fn warnings(server: &Server) -> Option<Value> {
    let ready = server.anonymous().get("/readyz").ok();
    assert_eq!(ready["status"], "ready");
    ready.get("warnings").cloned()
}

/// Waits until the files were read once more in vain.
pub fn failed_again(server: &Server) {
    let failures = || metric(server, "netbird_auth_issuers_failed_reloads_total");
    let before = failures();
    eventually("it fails again", || (failures() > before).then_some(()));
}

pub const METRICS: &str = "[metrics]\nlisten = \"127.0.0.1:0\"\n";

#[test]
fn another_key_is_in_force_soon_however_its_file_was_changed() {
    let home = Idp::new("home", "ES256");
    let (one, two) = (&home.key, SigningKey::new("home-2", "ES256"));
    let server = start_with_issuers(&[&home]);
    server.invite("ann", "home", "user");
    let path = server.folder.path().join("home.jwks.json");
    let text = |key: &SigningKey| json!({"keys": [key.jwk()]}).to_string();
    let in_place = |key: &SigningKey| fs::write(&path, text(key)).unwrap();
    // As careful copying programs do it: the same length, and the time of the copy's model.
    let unseen = |key: &SigningKey| {
        let before = fs::metadata(&path).unwrap();
        in_place(key);
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(before.modified().unwrap()).unwrap();
        assert_eq!(file.metadata().unwrap().len(), before.len());
    };
    let removed = |key: &SigningKey| {
        fs::remove_file(&path).unwrap();
        server.log_line("can't be read");
        in_place(key);
    };
    type Change<'a> = &'a dyn Fn(&SigningKey);
    let table: [(&str, Change<'_>); 4] = [
        ("renamed", &|key| {
            home.write_jwks(server.folder.path(), &[key.jwk()])
        }),
        ("written in place", &in_place),
        ("copied with its time", &unseen),
        ("removed and made again", &removed),
    ];
    let (mut old, mut new) = (one, &two);
    for (what, change) in table {
        let cached = server.bearer(&signed(&home, old, "ann"));
        let next = server.bearer(&signed(&home, new, "ann"));
        for _ in 0..2 {
            assert_eq!(outcome(&cached), "200");
        }
        assert_eq!(outcome(&next), "unknown key");
        change(new);
        soon(what, || outcome(&next) == "200");
        assert_eq!(outcome(&cached), "unknown key", "{what}");
        let fresh = server.bearer(&signed(&home, old, "ann"));
        assert_eq!(outcome(&fresh), "unknown key", "{what}");
        (old, new) = (new, old);
    }
}

#[test]
fn changed_settings_of_issuers_are_in_force_soon() {
    let (home, work) = (Idp::new("home", "ES256"), Idp::new("work", "EdDSA"));
    let server = start_with_issuers(&[&home]);
    server.invite("ann", "home", "user");
    work.write_jwks(server.folder.path(), &[work.key.jwk()]);
    let ann = server.bearer(&home.jwt("ann"));
    let bob = server.bearer(&work.jwt("bob"));
    assert_eq!(outcome(&ann), "200");
    assert_eq!(outcome(&bob), "unknown issuer");

    write_settings(&server, &[&home, &work]);
    soon("a new issuer", || outcome(&bob) == "unknown user");
    server.invite("bob", "work", "user");
    assert_eq!(outcome(&bob), "200");

    write_settings(&server, &[&work]);
    soon("a removed issuer", || outcome(&ann) == "unknown issuer");
    assert_eq!(outcome(&bob), "200");

    let two = SigningKey::new("home-2", "ES256");
    let key = format!("[[issuer.key]]\njwk = '{}'", two.jwk());
    let inline = Idp::new("home", "ES256").with(&key);
    let inline = inline
        .toml()
        .replace("jwks_file = \"home.jwks.json\"\n", "");
    put_in_place(&server.folder.path().join("netbird-auth.toml"), &inline);
    let by_two = server.bearer(&signed(&home, &two, "ann"));
    soon("a key in the settings", || outcome(&by_two) == "200");
    assert_eq!(outcome(&ann), "unknown key");
    assert_eq!(outcome(&bob), "unknown issuer");
    assert_eq!(server.find_user("bob").unwrap()["idp_id"], "work", "kept");
}

#[test]
fn bad_files_are_told_and_leave_the_former_keys_in_force_until_they_are_mended() {
    let home = Idp::new("home", "ES256").with(METRICS);
    let server = start_with_issuers(&[&home]);
    server.invite("ann", "home", "user");
    let cached = server.bearer(&home.jwt("ann"));
    assert_eq!(outcome(&cached), "200");
    let folder = server.folder.path();
    let (keys, settings) = (
        folder.join("home.jwks.json"),
        folder.join("netbird-auth.toml"),
    );
    let good = [&keys, &settings].map(|path| fs::read_to_string(path).unwrap());
    let mut private = home.key.jwk();
    private["d"] = json!("c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U");
    let private = json!({ "keys": [private] }).to_string();
    let table: [(&Path, Option<&str>, &str); 5] = [
        (&keys, Some("{\"keys\": ["), "home.jwks.json"),
        (&keys, Some(&private), "private"),
        (&keys, None, "can't be read"),
        (&settings, Some("[[issuer]\n"), "netbird-auth.toml"),
        (
            &settings,
            Some("[[issuer]]\nname = \"home\"\n"),
            "netbird-auth.toml",
        ),
    ];
    for (number, (path, bad, reason)) in table.into_iter().enumerate() {
        assert_eq!(metric(&server, "netbird_auth_issuers_current"), 1.0);
        match bad {
            Some(bad) => put_in_place(path, bad),
            None => fs::remove_file(path).unwrap(),
        }
        soon(reason, || warnings(&server).is_some());
        assert!(warnings(&server).unwrap()[0].is_string());
        failed_again(&server);
        assert_eq!(metric(&server, "netbird_auth_issuers_current"), 0.0);
        for client in [&cached, &server.bearer(&home.jwt("ann"))] {
            assert_eq!(outcome(client), "200", "{reason}");
        }
        let log = server.log();
        let told: Vec<&String> = log
            .iter()
            .filter(|line| line.contains("stay as they were"))
            .collect();
        assert_eq!(told.len(), number + 1, "{told:#?}");
        let (told, name) = (told[number], path.file_name().unwrap());
        assert!(told.contains(name.to_str().unwrap()), "{told}");
        assert!(told.contains(reason), "{told}");
        assert!(!told.contains("c2VjcmV0"), "{told}");

        put_in_place(path, &good[usize::from(path == settings)]);
        soon("mended", || warnings(&server).is_none());
        assert_eq!(outcome(&cached), "200");
    }
}

#[test]
fn one_bad_issuer_keeps_the_others_as_they_were() {
    let home = Idp::new("home", "ES256");
    let work = Idp::new("work", "EdDSA").with(METRICS);
    let two = SigningKey::new("home-2", "ES256");
    let server = start_with_issuers(&[&home, &work]);
    for (id, issuer) in [("ann", "home"), ("bob", "work")] {
        server.invite(id, issuer, "user");
    }
    let clients = [
        server.bearer(&home.jwt("ann")),
        server.bearer(&signed(&home, &two, "ann")),
        server.bearer(&work.jwt("bob")),
    ];
    let outcomes = || clients.each_ref().map(outcome);
    put_in_place(&server.folder.path().join("work.jwks.json"), "{}");
    soon("it is told", || warnings(&server).is_some());
    home.write_jwks(server.folder.path(), &[two.jwk()]);
    failed_again(&server);
    assert_eq!(outcomes(), ["200", "unknown key", "200"]);
    work.write_jwks(server.folder.path(), &[work.key.jwk()]);
    soon("all is new", || outcomes() == ["unknown key", "200", "200"]);
}

#[test]
fn the_signal_does_not_end_a_server_without_issuers_and_settings() {
    let server = Server::start();
    server.signal(Signal::HUP);
    let line = server.log_line("no settings file was found at the start, so none is read now");
    assert!(
        line.contains("WARN") && line.ends_with(": restart the server"),
        "{line}"
    );
    assert!(!server.log().iter().any(|line| line.contains("read anew")));
    server.owner.get("/api/users/current").ok();
    assert_eq!(warnings(&server), None);
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn with_bad_keys_there_is_no_start_and_no_database() {
    let home = Idp::new("home", "ES256");
    let other = SigningKey::new("other", "RS256").jwk();
    let table = [
        (Some("{\"keys\": [".to_owned()), "home.jwks.json"),
        (Some("{}".to_owned()), "keys"),
        (
            Some(json!({ "keys": [other] }).to_string()),
            "no usable key",
        ),
        (None, "can't be read"),
    ];
    for (text, reason) in table {
        let folder = tempfile::tempdir().unwrap();
        write_issuers(folder.path(), &[&home]);
        let path = folder.path().join("home.jwks.json");
        match text {
            Some(text) => fs::write(&path, text).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let output = refused_start(netbird_auth(folder.path()));
        assert_eq!(output.status.code(), Some(2), "{reason}");
        let line = only_line(&output);
        assert!(
            line.contains(reason) && line.contains("home.jwks.json"),
            "{line}"
        );
        for entry in fs::read_dir(folder.path()).unwrap() {
            let name = entry.unwrap().file_name();
            let given = name == "netbird-auth.toml" || name == "home.jwks.json";
            assert!(given, "{name:?} was made");
        }
    }
}

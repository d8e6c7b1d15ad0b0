//! Settings files that go away, are no files, or that nobody named; and SIGHUP at any moment.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::jwt_reload::{METRICS, failed_again, outcome, put_in_place, signed, soon, warnings};
use crate::support::{
    Idp, Server, SigningKey, ended, eventually, fresh_token, netbird_auth, only_line,
    start_with_issuers, write_issuers,
};

/// A named pipe in a file's place.
fn put_pipe(path: &Path) {
    let new = path.with_extension("pipe");
    mknodat(CWD, &new, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    fs::rename(new, path).unwrap();
}

/// Lines that tell of a reload in vain, and name a file.
fn told(server: &Server, name: &str) -> usize {
    let log = server.log().into_iter();
    log.filter(|line| line.contains("stay as they were") && line.contains(name))
        .count()
}

fn reloads(server: &Server) -> usize {
    let log = server.log().into_iter();
    log.filter(|line| line.contains("read anew")).count()
}

/// SIGHUP, and until it was heeded.
fn hang_up(server: &Server) {
    let before = reloads(server);
    server.signal(Signal::HUP);
    eventually("read anew", || (reloads(server) > before).then_some(()));
}

/// An issuer's files in one of the usual places for settings.
fn write_usual(server: &Server, idp: &Idp) {
    let place = server.folder.path().join("no-config/netbird-auth");
    fs::create_dir_all(&place).unwrap();
    write_issuers(&place, &[idp]);
}

#[test]
fn the_issuers_stay_while_the_settings_file_is_away_and_no_other_takes_its_place() {
    let home = Idp::new("home", "ES256").with(METRICS);
    let work = Idp::new("work", "ES256");
    let server = start_with_issuers(&[&home]);
    server.invite("ann", "home", "user");
    let clients = [
        server.bearer(&home.jwt("ann")),
        server.bearer(&work.jwt("bob")),
    ];
    let outcomes = || clients.each_ref().map(outcome);
    let file = server.folder.path().join("netbird-auth.toml");
    let away = file.with_extension("away");
    write_usual(&server, &work);
    fs::rename(&file, &away).unwrap();
    soon("it is told", || warnings(&server).is_some());
    for _ in 0..2 {
        failed_again(&server);
        assert_eq!(outcomes(), ["200", "unknown issuer"]);
    }
    assert_eq!(told(&server, "netbird-auth.toml"), 1);
    server.signal(Signal::HUP);
    eventually("it is told to who asked", || {
        (told(&server, "netbird-auth.toml") == 2).then_some(())
    });
    assert_eq!(outcomes(), ["200", "unknown issuer"]);
    assert_eq!(reloads(&server), 0);
    // A start would take the other one.
    let shown = server.run_command(&["config", "check"]);
    assert!(shown.contains("https://work.home.arpa"), "{shown}");
    fs::rename(&away, &file).unwrap();
    soon("it is back", || warnings(&server).is_none());
    assert_eq!(outcomes(), ["200", "unknown issuer"]);
}

#[test]
fn a_server_without_settings_takes_none_that_appear_later() {
    let home = Idp::new("home", "ES256");
    let server = Server::start();
    let ann = server.bearer(&home.jwt("ann"));
    write_issuers(server.folder.path(), &[&home]);
    write_usual(&server, &home);
    let told = || {
        let log = server.log().into_iter();
        log.filter(|line| line.contains("no settings file was found at the start"))
            .count()
    };
    for before in 0..3 {
        server.signal(Signal::HUP);
        eventually("it is told", || (told() > before).then_some(()));
        assert_eq!(outcome(&ann), "unknown issuer");
        assert_eq!(warnings(&server), None);
    }
    assert_eq!(reloads(&server), 0);
    let server = server.restart();
    assert_eq!(
        outcome(&ann_of(&server, &home)),
        "unknown user",
        "a start does"
    );
}

fn ann_of(server: &Server, idp: &Idp) -> crate::support::Client {
    server.bearer(&idp.jwt("ann"))
}

#[test]
fn a_pipe_in_the_place_of_a_file_is_told_and_hangs_nothing() {
    let home = Idp::new("home", "ES256").with(METRICS);
    let server = start_with_issuers(&[&home]);
    server.invite("ann", "home", "user");
    let [two, three] = ["two", "three"].map(|kid| SigningKey::new(kid, "ES256"));
    let table = [
        ("home.jwks.json", &home.key, &two),
        ("netbird-auth.toml", &two, &three),
    ];
    for (name, old, new) in table {
        let path = server.folder.path().join(name);
        let good = fs::read_to_string(&path).unwrap();
        let [by_old, by_new] = [old, new].map(|key| server.bearer(&signed(&home, key, "ann")));
        put_pipe(&path);
        soon(name, || warnings(&server).is_some());
        assert!(
            server
                .log_line(&format!("{name}: is not a"))
                .contains("is not a regular file")
        );
        failed_again(&server);
        assert_eq!(told(&server, name), 1);
        assert_eq!([&by_old, &by_new].map(outcome), ["200", "unknown key"]);
        put_in_place(&path, &good);
        home.write_jwks(server.folder.path(), &[new.jwk()]);
        soon("mended", || outcome(&by_new) == "200");
        assert_eq!(outcome(&by_old), "unknown key", "{name}");
        assert_eq!(warnings(&server), None, "{name}");
    }
}

#[test]
fn settings_through_a_pipe_are_in_force_and_their_key_files_are_followed() {
    let home = Idp::new("home", "ES256");
    let folder = Arc::new(TempDir::new().unwrap());
    let (pipe, token) = (folder.path().join("settings"), fresh_token());
    home.write_jwks(folder.path(), &[home.key.jwk()]);
    put_pipe(&pipe);
    let mut command = netbird_auth(folder.path());
    command.args(["serve", "--config"]).arg(&pipe);
    command.env("NETBIRD_AUTH_BOOTSTRAP__TOKEN", &token);
    let text = home.toml();
    let writer = std::thread::spawn(move || fs::write(pipe, text));
    let server = Server::start_by(command, folder, token);
    writer.join().unwrap().unwrap();
    server.invite("ann", "home", "user");
    let two = SigningKey::new("two", "ES256");
    let [by_one, by_two] = [&home.key, &two].map(|key| server.bearer(&signed(&home, key, "ann")));
    hang_up(&server);
    assert_eq!([&by_one, &by_two].map(outcome), ["200", "unknown key"]);
    home.write_jwks(server.folder.path(), &[two.jwk()]);
    soon("another key", || outcome(&by_two) == "200");
    assert_eq!(outcome(&by_one), "unknown key");
    assert_eq!(warnings(&server), None);
}

const OWNER: &str = "[bootstrap]\nowner_id = \"ada\"\nowner_issuer = \"home\"\n";

#[test]
fn the_issuer_of_the_first_owner_can_be_taken_out_once_there_is_a_database() {
    let (home, work) = (Idp::new("home", "ES256"), Idp::new("work", "ES256"));
    let folder = Arc::new(TempDir::new().unwrap());
    write_issuers(folder.path(), &[&home]);
    let file = folder.path().join("netbird-auth.toml");
    put_in_place(&file, &(home.toml() + OWNER));
    let token = fresh_token();
    let settings = [("BOOTSTRAP__TOKEN", token.as_str())];
    let server = Server::start_prepared(folder, &settings, token.clone());
    assert_eq!(server.owner_id, "ada");
    let ada = home.jwt("ada");
    assert_eq!(outcome(&server.bearer(&ada)), "200");

    work.write_jwks(server.folder.path(), &[work.key.jwk()]);
    put_in_place(&file, &(work.toml() + OWNER));
    soon("it is gone", || {
        outcome(&server.bearer(&ada)) == "unknown issuer"
    });
    assert_eq!(warnings(&server), None);
    assert_eq!(told(&server, ""), 0);
    server.run_command(&["config", "check"]);
    let server = server.restart();
    assert_eq!(outcome(&server.bearer(&ada)), "unknown issuer");
    assert_eq!(server.owner.get("/api/users/current").ok()["id"], "ada");
}

#[test]
fn an_owner_of_an_issuer_that_is_not_configured_is_refused_before_there_is_a_database() {
    let work = Idp::new("work", "ES256");
    for issuers in [&[&work][..], &[]] {
        for arguments in [&["serve"][..], &["bootstrap"], &["config", "check"]] {
            let folder = tempfile::tempdir().unwrap();
            write_issuers(folder.path(), issuers);
            let text: String = issuers.iter().map(|idp| idp.toml()).collect();
            put_in_place(&folder.path().join("netbird-auth.toml"), &(text + OWNER));
            let mut command = netbird_auth(folder.path());
            command.args(arguments);
            let output = ended(command);
            let said = only_line(&output);
            assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
            assert!(said.contains("`bootstrap.owner_issuer`"), "{said}");
            for entry in fs::read_dir(folder.path()).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                assert!(!name.ends_with(".db"), "{arguments:?} made {name}");
            }
        }
    }
}

/// A server that is not ready yet; killed when dropped.
struct Starting {
    child: Child,
    lines: Receiver<String>,
}

impl Starting {
    fn new(folder: &Path, token: &str) -> Self {
        let mut child = netbird_auth(folder)
            .arg("serve")
            .env("NETBIRD_AUTH_BOOTSTRAP__TOKEN", token)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let errors = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            let _ = errors
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line));
        });
        Self { child, lines }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Until a line has a text, with something done again and again meanwhile.
    #[track_caller]
    fn wait_for(&mut self, text: &str, mut meanwhile: impl FnMut(&Self)) {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            meanwhile(self);
            match self.lines.recv_timeout(Duration::from_micros(100)) {
                Ok(line) if line.contains(text) => return,
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("no {text:?}; it ended: {}", self.child.wait().unwrap())
                }
                _ => assert!(Instant::now() < until, "no {text:?}"),
            }
        }
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_signal_ends_no_start_and_is_heeded_once_the_server_is_ready() {
    let (home, token) = (Idp::new("home", "ES256"), fresh_token());
    let folder = tempfile::tempdir().unwrap();
    write_issuers(folder.path(), &[&home]);
    for _ in 0..15 {
        let mut server = Starting::new(folder.path(), &token);
        server.wait_for("configuration:", |_| {});
        server.wait_for("ready on", |server| server.signal(Signal::HUP));
        server.wait_for("read anew", |_| {});
        server.signal(Signal::TERM);
        assert_eq!(server.child.wait().unwrap().code(), Some(0));
    }
}

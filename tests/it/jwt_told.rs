//! What the log tells of logins and of reloads, and how often.

use std::sync::Barrier;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::jwt_reload::{METRICS, failed_again, put_in_place, soon, warnings};
use crate::support::{Idp, Server, SigningKey, eventually, start_with_issuers};

fn lines(server: &Server, text: &str) -> usize {
    let log = server.log().into_iter();
    log.filter(|line| line.contains(text)).count()
}

#[test]
fn a_fault_is_told_once_and_again_to_whoever_asks() {
    let home = Idp::new("home", "ES256").with(METRICS);
    let server = start_with_issuers(&[&home]);
    put_in_place(&server.folder.path().join("home.jwks.json"), "{}");
    soon("it is told", || warnings(&server).is_some());
    let told = || lines(&server, "stay as they were");
    for asked in 1..4 {
        for _ in 0..2 {
            failed_again(&server);
            assert_eq!(told(), asked, "the poll does not repeat it");
        }
        server.signal(Signal::HUP);
        eventually("it is told again", || (told() == asked + 1).then_some(()));
    }
}

#[test]
fn a_first_login_is_told_once_however_many_requests_come_and_a_pending_one_never() {
    let home = Idp::new("home", "EdDSA").with("unknown_users = \"create\"");
    let wait = Idp::new("wait", "EdDSA").with("unknown_users = \"create_pending\"");
    let server = start_with_issuers(&[&home, &wait]);
    let invited = |id: &str| server.invite(id, "home", "user");
    for (number, prepare) in [&|_: &str| {}, &invited as &dyn Fn(&str)]
        .into_iter()
        .cycle()
        .take(8)
        .enumerate()
    {
        let id = format!("user-{number}");
        prepare(&id);
        let (client, at_once) = (server.bearer(&home.jwt(&id)), Barrier::new(16));
        std::thread::scope(|threads| {
            for _ in 0..16 {
                threads.spawn(|| {
                    at_once.wait();
                    client.get("/api/users/current").ok();
                });
            }
        });
        server.log_line(&format!("login user.id={id} issuer=home"));
        let pending = server.bearer(&wait.jwt(&format!("pending-{number}")));
        for _ in 0..2 {
            pending.get("/api/users").refused(403);
        }
    }
    let (_, log) = server.stop();
    let mut logins: Vec<&str> = log
        .iter()
        .filter_map(|line| line.split_once(" login user.id=")?.1.split(' ').next())
        .collect();
    logins.sort_unstable();
    let expected: Vec<String> = (0..8).map(|number| format!("user-{number}")).collect();
    assert_eq!(logins, expected);
}

#[test]
fn which_keys_came_and_went_is_told_and_a_skipped_key_only_where_that_is_news() {
    let home = Idp::new("home", "ES256");
    let server = start_with_issuers(&[&home]);
    let other = |kid: &str| {
        let mut jwk = home.key.jwk();
        jwk["kid"] = json!(kid);
        jwk["use"] = json!("enc");
        jwk
    };
    let two = SigningKey::new("home-2", "ES256").jwk();
    let one = home.key.jwk();
    // Another key with an id that is there.
    let changed = SigningKey::new("home-2", "ES256").jwk();
    let mut nameless = SigningKey::new("home-2", "ES256").jwk();
    nameless.as_object_mut().unwrap().remove("kid");
    let skipped = || lines(&server, "skipped");
    let table: [(&[Value], &str, usize); 8] = [
        (std::slice::from_ref(&one), "keys: 1)", 0),
        (
            &[one.clone(), two.clone()],
            "keys: 2; new: home \"home-2\")",
            0,
        ),
        (
            &[two.clone(), other("a")],
            "keys: 1; gone: home \"home-1\")",
            1,
        ),
        (&[two.clone(), other("a")], "keys: 1)", 1),
        (
            &[changed.clone(), other("a")],
            "keys: 1; new: home \"home-2\"; gone: home \"home-2\")",
            1,
        ),
        (&[changed.clone(), other("a"), other("b")], "keys: 1)", 3),
        (std::slice::from_ref(&changed), "keys: 1)", 3),
        (
            &[nameless, other("a")],
            "keys: 1; new: home without kid; gone: home \"home-2\")",
            4,
        ),
    ];
    for (keys, told, warnings) in table {
        let before = lines(&server, "read anew");
        home.write_jwks(server.folder.path(), keys);
        eventually("read anew", || {
            (lines(&server, "read anew") > before).then_some(())
        });
        let log = server.log();
        let mut reloads = log.iter().filter(|line| line.contains("read anew"));
        let line = reloads.nth(before).unwrap();
        assert!(line.ends_with(told), "{told}: {line}");
        assert_eq!(skipped(), warnings, "{told}");
    }
}

#[test]
fn users_of_an_issuer_that_is_gone_are_counted_at_the_start() {
    let (home, work) = (Idp::new("home", "ES256"), Idp::new("work", "EdDSA"));
    let server = start_with_issuers(&[&home, &work]);
    for (id, issuer) in [("ann", "home"), ("bob", "work"), ("wim", "work")] {
        server.invite(id, issuer, "user");
    }
    assert_eq!(lines(&server, "users bound to"), 0);
    put_in_place(
        &server.folder.path().join("netbird-auth.toml"),
        &home.toml(),
    );
    let server = server.restart();
    server.log_line("users bound to the issuer \"work\", which is not configured: 2; no JWT");
    assert_eq!(lines(&server, "users bound to"), 1);
}

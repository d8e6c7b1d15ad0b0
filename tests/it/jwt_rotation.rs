//! Keys that are replaced while requests come.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::process::Signal;
use serde_json::json;

use crate::support::{Client, Idp, Server, SigningKey, eventually, start_with_issuers};

/// Sends requests with JWTs of one key, every other time the same JWT.
struct Caller<'a> {
    server: &'a Server,
    idp: &'a Idp,
    key: &'a SigningKey,
    user: &'static str,
}

impl Caller<'_> {
    fn client(&self) -> Client {
        let claims = self.idp.claims(self.user, json!({}));
        let jwt = self
            .key
            .sign(&self.key.header().to_string(), &claims.to_string());
        self.server.bearer(&jwt)
    }

    /// Goes on while it is told to; what came is 200 of its own user, or that the key is unknown.
    fn call(&self, mut goes_on: impl FnMut(bool) -> bool) {
        let same = self.client();
        let mut is_same = false;
        loop {
            is_same = !is_same;
            let client = if is_same { &same } else { &self.client() };
            let answer = client.get("/api/users/current");
            let is_known = answer.status == 200;
            match is_known {
                true => assert_eq!(answer.json()["id"], self.user),
                false => assert_eq!(answer.refused(401), "unknown key"),
            }
            if !goes_on(is_known) {
                return;
            }
        }
    }
}

/// Says that it is over, also where a test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Puts keys in the file and waits until they are in force.
fn replace(server: &Server, idp: &Idp, keys: &[&SigningKey]) {
    let reloads = || {
        let log = server.log();
        log.iter().filter(|line| line.contains("read anew")).count()
    };
    idp.write_jwks(
        server.folder.path(),
        &keys.iter().map(|key| key.jwk()).collect::<Vec<_>>(),
    );
    let before = reloads();
    server.signal(Signal::HUP);
    eventually("read anew", || (reloads() > before).then_some(()));
}

fn start(idp: &Idp) -> Server {
    let server = start_with_issuers(&[idp]);
    for user in ["one", "two"] {
        server.invite(user, &idp.name, "user");
    }
    server
}

#[test]
fn a_key_that_stays_is_known_all_the_time_whatever_happens_to_the_other() {
    let home = Idp::new("home", "EdDSA");
    let two = SigningKey::new("home-2", "EdDSA");
    let server = start(&home);
    let is_over = AtomicBool::new(false);
    // Answers with 401 and with 200 for the second key.
    let seen = [AtomicUsize::new(0), AtomicUsize::new(0)];
    std::thread::scope(|threads| {
        let _over = Over(&is_over);
        for number in 0..4 {
            let (key, user) = if number % 2 == 0 {
                (&home.key, "one")
            } else {
                (&two, "two")
            };
            let caller = Caller {
                server: &server,
                idp: &home,
                key,
                user,
            };
            let (is_over, seen) = (&is_over, &seen);
            threads.spawn(move || {
                caller.call(|is_known| {
                    assert!(is_known || user == "two", "the first key was unknown");
                    if user == "two" {
                        seen[usize::from(is_known)].fetch_add(1, Ordering::Relaxed);
                    }
                    !is_over.load(Ordering::Relaxed)
                });
            });
        }
        for round in 0..60 {
            let keys: &[&SigningKey] = match round % 3 {
                0 => &[&home.key, &two],
                1 => &[&two, &home.key],
                _ => &[&home.key],
            };
            replace(&server, &home, keys);
        }
    });
    for seen in &seen {
        assert!(seen.load(Ordering::Relaxed) > 0, "{seen:?}");
    }
}

#[test]
fn a_key_that_was_taken_away_is_never_known_again() {
    let home = Idp::new("home", "EdDSA");
    let two = SigningKey::new("home-2", "EdDSA");
    let server = start(&home);
    for _ in 0..5 {
        replace(&server, &home, &[&home.key, &two]);
        let is_over = AtomicBool::new(false);
        let (passed, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|threads| {
            let _over = Over(&is_over);
            for number in 0..4 {
                let (key, user) = if number % 2 == 0 {
                    (&home.key, "one")
                } else {
                    (&two, "two")
                };
                let caller = Caller {
                    server: &server,
                    idp: &home,
                    key,
                    user,
                };
                let (is_over, passed, refused) = (&is_over, &passed, &refused);
                threads.spawn(move || {
                    let mut was_refused = false;
                    caller.call(|is_known| {
                        assert!(is_known || user == "one", "the second key was unknown");
                        assert!(!(is_known && was_refused), "the first key came back");
                        was_refused |= !is_known;
                        if user == "one" {
                            let count = if is_known { passed } else { refused };
                            count.fetch_add(1, Ordering::Relaxed);
                        }
                        !is_over.load(Ordering::Relaxed)
                    });
                });
            }
            let more = |count: &AtomicUsize| {
                let before = count.load(Ordering::Relaxed);
                eventually("answers come", || {
                    (count.load(Ordering::Relaxed) > before + 20).then_some(())
                });
            };
            more(&passed);
            replace(&server, &home, &[&two]);
            more(&refused);
            let before = passed.load(Ordering::Relaxed);
            more(&refused);
            assert_eq!(passed.load(Ordering::Relaxed), before);
        });
    }
}

//! What the log tells of logins and of reloads, and how often.

use std::sync::Barrier;

use rustix::process::Signal;

use crate::jwt_reload::{METRICS, failed_again, put_in_place, soon, warnings};
use crate::support::{Idp, Server, eventually, start_with_issuers};

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

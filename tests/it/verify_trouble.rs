//! `/auth/verify` while the database can't be written or is gone, and the marks that it leaves.

use std::fs;
use std::time::Instant;

use serde_json::Value;

use crate::support::{Crowd, Idp, SOON, Server, eventually, fresh_token, netbird_auth, time_of};

const APP: &str = "GET app.home.arpa/x";
const SITE: &str = "[[forward_auth.rule]]\nhost = \"app.home.arpa\"\n\
                    [[forward_auth.rule]]\nhost = \"pub.home.arpa\"\npublic = true\n";

/// `ann`, a machine with a token and its id, and `jay`, whom an issuer knows that makes users.
fn patient(idp: &Idp) -> (Server, String, String) {
    let crowd = Crowd::new();
    crowd.user("ann", "user", true);
    crowd.jwt_user("jay", "home", "user", 0);
    let (token, id) = crowd.token("ann", "first");
    (crowd.start_guarding(SITE, &[idp]), token, id)
}

fn idp() -> Idp {
    Idp::new("home", "ES256").with("unknown_users = \"create\"")
}

/// Everything but what must be written first, and that at once.
#[track_caller]
fn goes_on(server: &Server, token: &str, idp: &Idp) {
    let since = Instant::now();
    let jwt = idp.jwt("jay");
    for _ in 0..10 {
        assert_eq!(server.verify_as(APP, token).verdict(), "200 ann");
        assert_eq!(server.verify_as(APP, &jwt).verdict(), "200 jay");
        assert_eq!(server.verify("GET pub.home.arpa/", &[]).verdict(), "200 -");
        assert_eq!(server.verify(APP, &[]).verdict(), "401 missing credentials");
        let unknown = server.verify_as(APP, &fresh_token()).verdict();
        assert_eq!(unknown, "401 unknown or revoked token");
    }
    assert!(since.elapsed() < SOON, "{:?}", since.elapsed());
}

fn is_told(server: &Server) {
    eventually("the trouble is told", || {
        (server.anonymous().get("/readyz").status == 503).then_some(())
    });
}

#[test]
fn a_locked_database_stops_no_question_but_that_of_a_new_user() {
    let idp = idp();
    let (server, token, _) = patient(&idp);
    let holder = server.database();
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    goes_on(&server, &token, &idp);
    is_told(&server);
    goes_on(&server, &token, &idp);
    let answer = server.verify_as(APP, &idp.jwt("new"));
    answer.error(503);
    answer.names_nobody();
    assert_eq!(answer.header("retry-after"), Some("1"));
    holder.execute_batch("ROLLBACK").unwrap();
    eventually("the new user is made", || {
        let answer = server.verify_as(APP, &idp.jwt("new"));
        (answer.status == 200).then(|| assert_eq!(answer.verdict(), "200 new"))
    });
    goes_on(&server, &token, &idp);
}

#[test]
fn a_database_that_is_gone_or_another_stops_no_question() {
    for is_replaced in [false, true] {
        let idp = idp();
        let (server, token, _) = patient(&idp);
        let kept = server.path().with_file_name("kept.db");
        fs::rename(server.path(), &kept).unwrap();
        if is_replaced {
            let other = tempfile::tempdir().unwrap();
            let made = netbird_auth(other.path())
                .arg("bootstrap")
                .output()
                .unwrap();
            assert!(made.status.success());
            fs::rename(other.path().join("test.db"), server.path()).unwrap();
        }
        goes_on(&server, &token, &idp);
        is_told(&server);
        goes_on(&server, &token, &idp);
        server.verify_as(APP, &idp.jwt("new")).error(503);
        fs::rename(&kept, server.path()).unwrap();
        eventually("it heals", || {
            (server.anonymous().get("/readyz").status == 200).then_some(())
        });
        goes_on(&server, &token, &idp);
    }
}

#[test]
fn a_token_that_passes_is_marked_as_used_and_one_that_nobody_looked_at_is_not() {
    let (server, token, id) = patient(&idp());
    let last_used = || {
        let token = server
            .owner
            .get(&format!("/api/users/ann/tokens/{id}"))
            .ok();
        token.get("last_used").cloned()
    };
    assert_eq!(
        server.verify_as("GET pub.home.arpa/", &token).verdict(),
        "200 -"
    );
    let headers = [
        ("X-Forwarded-Uri", "/"),
        ("Authorization", &format!("Token {token}")),
    ];
    assert_eq!(server.verify(APP, &headers).status, 403, "one header twice");
    assert_eq!(last_used(), None);
    assert_eq!(server.verify_as(APP, &token).verdict(), "200 ann");
    let first: Value = last_used().unwrap();
    eventually("it moves", || {
        assert_eq!(
            server.verify(APP, &[("X-Api-Key", &token)]).verdict(),
            "200 ann"
        );
        (time_of(&last_used().unwrap()) > time_of(&first)).then_some(())
    });
    let last = last_used();
    let server = server.restart();
    let kept = server
        .owner
        .get(&format!("/api/users/ann/tokens/{id}"))
        .ok();
    assert_eq!(kept.get("last_used").cloned(), last, "it is in the file");
}

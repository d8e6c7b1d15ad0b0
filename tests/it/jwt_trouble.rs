//! JWTs while the database is locked, and of users who go while their request waits.

use std::time::{Duration, Instant};

use netbird_auth::change::{self, Actor, Refused};
use netbird_auth::clock::Timestamp;
use netbird_auth::store;
use netbird_auth::user::{Credential, Role};
use rusqlite::Connection;

use crate::index::{machine, new_token, put};
use crate::support::{Crowd, Idp, Server, eventually, service, start_with_issuers};

const LOGIN: &str = "dashboard.login";

fn locked(server: &Server) -> Connection {
    let holder = server.database();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    holder
}

fn eventually_ready(server: &Server, status: u16) {
    eventually("/readyz", || {
        (server.anonymous().get("/readyz").status == status).then_some(())
    });
}

#[test]
fn a_login_that_could_not_be_written_is_written_with_the_next_request() {
    let home = Idp::new("home", "ES256");
    let crowd = Crowd::new();
    crowd.jwt_user("late", "home", "user", 48 * 3600);
    let server = crowd.start_with_issuers(&[&home]);
    server.invite("ann", "home", "user");
    let clients = ["late", "ann"].map(|id| (id, server.bearer(&home.jwt(id))));
    let logins = |id: &str| {
        let told = server.told_of(id);
        told.iter().filter(|told| told.0 == LOGIN).count()
    };
    let holder = locked(&server);
    // Together: each waits for the lock as long.
    std::thread::scope(|threads| {
        for (id, client) in &clients {
            threads.spawn(move || {
                assert_eq!(client.get("/api/users/current").ok()["id"], *id);
            });
        }
    });
    eventually_ready(&server, 503);
    let since = Instant::now();
    for (_, client) in &clients {
        client.get("/api/users/current").ok();
    }
    assert!(
        since.elapsed() < Duration::from_secs(1),
        "nobody waits again"
    );
    for (id, _) in &clients {
        assert_eq!(logins(id), 0, "{id}");
    }
    assert_eq!(server.find_user("ann").unwrap()["status"], "invited");

    holder.execute_batch("ROLLBACK").unwrap();
    eventually_ready(&server, 200);
    let began = Timestamp::now().to_string();
    for (id, client) in &clients {
        let me = client.get("/api/users/current").ok();
        assert_eq!(me["status"], "active", "{id}");
        assert!(me["last_login"].as_str().unwrap() >= began.as_str(), "{me}");
        for _ in 0..2 {
            assert_eq!(logins(id), 1, "{id}");
            client.get("/api/users/current").ok();
        }
    }
}

#[test]
fn somebody_new_is_refused_at_once_while_it_is_known_that_nothing_can_be_written() {
    let home = Idp::new("home", "ES256").with("unknown_users = \"create\"");
    let server = start_with_issuers(&[&home]);
    let get = |id: &str| server.bearer(&home.jwt(id)).get("/api/users/current");
    let holder = locked(&server);
    get("ann").error(503);
    eventually_ready(&server, 503);
    for id in ["ann", "bob"] {
        let since = Instant::now();
        let answer = get(id);
        let took = since.elapsed();
        answer.error(503);
        assert!(answer.header("retry-after").is_some());
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
    holder.execute_batch("ROLLBACK").unwrap();
    eventually_ready(&server, 200);
    for id in ["ann", "bob"] {
        assert_eq!(get(id).ok()["id"], id);
        assert_eq!(server.told_of(id).len(), 2, "user.join and one login");
    }
}

#[test]
fn nothing_is_changed_for_a_jwt_of_a_user_who_is_gone_since_the_door() {
    let folder = tempfile::tempdir().unwrap();
    let now = Timestamp::now();
    let made = store::create_database(&folder.path().join("test.db"), |database| {
        let create = |role| {
            let made = change::create_user(database, now, Actor::System, machine(role));
            made.map(|changed| changed.value)
        };
        let (gone, other) = (create(Role::Admin)?, create(Role::User)?);
        let actor = Actor::Caller(gone.number, Credential::Jwt(now.plus_days(1)));
        let asked = || {
            let (user, request) = (&other.id, machine(Role::User));
            [
                change::create_token(database, now, actor, user, new_token()).map(drop),
                change::create_user(database, now, actor, request).map(drop),
                change::update_user(database, now, actor, user, put(Role::Admin, false)).map(drop),
                change::delete_user(database, now, actor, user).map(drop),
            ]
        };
        change::delete_user(database, now, Actor::System, &gone.id)?;
        for refused in asked() {
            assert!(matches!(refused, Err(Refused::UnknownUser)), "{refused:?}");
        }
        let mut left = Vec::new();
        store::load_users(database, |user| left.push(user.id))?;
        assert_eq!(left, [other.id]);
        Ok::<_, Refused>(())
    });
    made.unwrap();
}

#[test]
fn a_change_of_a_user_who_goes_while_it_waits_is_refused_as_a_jwt_of_nobody() {
    let home = Idp::new("home", "ES256");
    let crowd = Crowd::new();
    crowd.jwt_user("ann", "home", "admin", 0);
    let server = crowd.start_with_issuers(&[&home]);
    let ann = server.bearer(&home.jwt("ann"));
    ann.get("/api/users").ok();
    let holder = locked(&server);
    let answer = std::thread::scope(|threads| {
        let answer = threads.spawn(|| ann.post("/api/users", service("ci")));
        for _ in 0..20 {
            server.owner.get("/api/users").ok();
        }
        assert!(!answer.is_finished(), "it waits for the lock");
        let sql = "DELETE FROM users WHERE id = 'ann'";
        holder.execute_batch(sql).unwrap();
        holder.execute_batch("COMMIT").unwrap();
        answer.join().unwrap()
    });
    assert_eq!(answer.refused(401), "unknown user");
    let machines = server.owner.get("/api/users?service_user=true").ok();
    assert_eq!(machines.as_array().unwrap().len(), 0);
}

//! When a JWT user was last seen: how often it moves, what is told of it, and what it outlives.

use std::time::Instant;

use netbird_auth::clock::Timestamp;
use serde_json::{Value, json};

use crate::support::{Client, Crowd, Idp, Server, eventually, now};

const HOUR: i64 = 3600;

/// What stands in the file, as the API writes it.
fn in_file(server: &Server, id: &str) -> Value {
    let sql = "SELECT last_login FROM users WHERE id = ?1";
    let micros: Option<i64> = server
        .database()
        .query_row(sql, [id], |row| row.get(0))
        .unwrap();
    json!(micros.map(|micros| Timestamp::from_micros(micros).to_string()))
}

fn last_login(client: &Client) -> Value {
    client.get("/api/users/current").ok()["last_login"].clone()
}

fn seen(server: &Server, id: &str) -> Value {
    server.find_user(id).unwrap()["last_login"].clone()
}

#[test]
fn it_moves_at_most_once_a_minute_and_comes_into_the_file() {
    let home = Idp::new("home", "ES256");
    let crowd = Crowd::new();
    crowd.jwt_user("late", "home", "user", 70);
    crowd.jwt_user("early", "home", "user", 20);
    let server = crowd.start_with_issuers(&[&home]);
    let (before_late, before_early) = (seen(&server, "late"), seen(&server, "early"));
    let (late, early) = (
        server.bearer(&home.jwt("late")),
        server.bearer(&home.jwt("early")),
    );
    last_login(&late);
    let moved = seen(&server, "late");
    assert!(moved.as_str() > before_late.as_str(), "{moved}");
    for _ in 0..3 {
        // Another JWT of the same user is no other user.
        last_login(&server.bearer(&home.jwt("late")));
        last_login(&late);
        assert_eq!(last_login(&early), before_early);
        assert_eq!(seen(&server, "late"), moved);
    }
    eventually("it is written", || {
        (in_file(&server, "late") == moved).then_some(())
    });
    assert_eq!(in_file(&server, "early"), before_early);
    assert_eq!(server.told_of("late"), []);
}

#[test]
fn it_outlives_a_stop_right_after() {
    let home = Idp::new("home", "ES256");
    let crowd = Crowd::new();
    crowd.jwt_user("ann", "home", "user", HOUR);
    let server = crowd.start_with_issuers(&[&home]);
    last_login(&server.bearer(&home.jwt("ann")));
    let moved = seen(&server, "ann");
    let server = server.restart();
    assert_eq!(seen(&server, "ann"), moved);
    assert_eq!(in_file(&server, "ann"), moved);
}

#[test]
fn a_login_is_audited_twelve_hours_after_the_one_before() {
    let home = Idp::new("home", "ES256");
    let crowd = Crowd::new();
    crowd.jwt_user("less", "home", "user", 12 * HOUR - 60);
    crowd.jwt_user("more", "home", "user", 12 * HOUR + 1);
    let server = crowd.start_with_issuers(&[&home]);
    for (id, events) in [("less", 0), ("more", 1)] {
        let before = seen(&server, id);
        let client = server.bearer(&home.jwt(id));
        for _ in 0..2 {
            client.get("/api/users/current").ok();
        }
        assert!(seen(&server, id).as_str() > before.as_str());
        let login = ("dashboard.login".to_owned(), id.to_owned());
        assert_eq!(server.told_of(id), vec![login; events], "{id}");
    }
}

#[test]
fn an_update_of_the_user_does_not_take_it_back() {
    let home = Idp::new("home", "ES256");
    let crowd = Crowd::new();
    let ids: Vec<String> = (0..10).map(|number| format!("user-{number}")).collect();
    for id in &ids {
        crowd.jwt_user(id, "home", "user", HOUR);
    }
    let server = crowd.start_with_issuers(&[&home]);
    for id in &ids {
        // So soon that the file does not have it yet.
        last_login(&server.bearer(&home.jwt(id)));
        let moved = seen(&server, id);
        let body = json!({"role": "auditor", "is_blocked": false, "auto_groups": []});
        server.owner.put(&format!("/api/users/{id}"), body).ok();
        assert_eq!(seen(&server, id), moved, "{id}");
    }
    let shown: Vec<Value> = ids.iter().map(|id| seen(&server, id)).collect();
    let server = server.restart();
    let kept: Vec<Value> = ids.iter().map(|id| in_file(&server, id)).collect();
    assert_eq!(kept, shown);
}

#[test]
fn a_service_user_never_has_one() {
    let home = Idp::new("home", "ES256");
    let crowd = Crowd::new();
    let token = crowd.member("machine", "admin", true);
    let server = crowd.start_with_issuers(&[&home]);
    let machine = server.client(&token);
    machine.get("/api/users").ok();
    let jwt = server.bearer(&home.jwt("machine"));
    assert_eq!(jwt.get("/api/users").refused(401), "unknown user");
    let server = server.restart();
    assert_eq!(seen(&server, "machine"), "0001-01-01T00:00:00Z");
    assert_eq!(in_file(&server, "machine"), Value::Null);
}

#[test]
fn while_nothing_can_be_written_they_pass_whose_role_stays() {
    let home = Idp::new("home", "ES256")
        .with("unknown_users = \"create\"")
        .with("role_claim = \"groups\"")
        .with("role_map = { admins = \"admin\", readers = \"auditor\" }");
    let crowd = Crowd::new();
    crowd.jwt_user("fresh", "home", "admin", HOUR);
    crowd.jwt_user("long-ago", "home", "admin", 30 * HOUR);
    crowd.jwt_user("lowered", "home", "admin", HOUR);
    crowd.jwt_user("raised", "home", "user", HOUR);
    let work = Idp::new("work", "ES256");
    let server = crowd.start_with_issuers(&[&home, &work]);
    // Nothing would be written for them.
    let stranger = server.bearer(&work.jwt("stranger"));
    let jwt = |id: &str, group: &str| {
        let jwt = home.jwt_with(id, json!({"groups": group}));
        server.bearer(&jwt)
    };
    let holder = server.database();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = stranger.get("/api/users").refused(401);
    assert_eq!(refused, "unknown user");
    // Together: each waits for the lock as long.
    let since = Instant::now();
    let table = [
        ("fresh", "admins", 200),
        ("long-ago", "admins", 200),
        ("lowered", "readers", 503),
        ("raised", "admins", 503),
        ("new", "admins", 503),
    ];
    std::thread::scope(|threads| {
        for (id, group, status) in table {
            let client = jwt(id, group);
            threads.spawn(move || {
                let answer = client.get("/api/users");
                assert_eq!(answer.status, status, "{id}: {}", answer.text());
                assert_eq!(answer.header("retry-after").is_some(), status == 503);
            });
        }
    });
    assert!(since.elapsed().as_secs() < 10, "{:?}", since.elapsed());
    holder.execute_batch("ROLLBACK").unwrap();
    let roles = [
        ("fresh", "admins", "admin"),
        ("long-ago", "admins", "admin"),
        ("lowered", "readers", "auditor"),
        ("raised", "admins", "admin"),
        ("new", "admins", "admin"),
    ];
    for (id, group, role) in roles {
        let me = eventually("it can be written again", || {
            let me = jwt(id, group).get("/api/users/current");
            (me.status != 503).then(|| me.ok())
        });
        assert_eq!(me["role"], role, "{id}");
    }
    let joined = server.told_of("new");
    assert_eq!(joined[0].0, "user.join");
    assert_eq!(
        joined.iter().filter(|told| told.0 == "user.join").count(),
        1
    );
}

#[test]
fn it_moves_no_more_often_where_each_jwt_is_newer_and_decides_the_role() {
    let home = Idp::new("home", "ES256")
        .with("role_claim = \"groups\"")
        .with("role_map = { admins = \"admin\", readers = \"auditor\" }");
    let crowd = Crowd::new();
    crowd.jwt_user("late", "home", "user", 70);
    crowd.jwt_user("early", "home", "user", 20);
    let server = crowd.start_with_issuers(&[&home]);
    for (id, moves) in [("late", true), ("early", false)] {
        let before = seen(&server, id);
        let mut after = Vec::new();
        for second in 0..6 {
            let groups = ["admins", "readers"][second % 2];
            let claims = json!({"groups": groups, "iat": now() - 100 + second as i64});
            let me = server.bearer(&home.jwt_with(id, claims));
            let me = me.get("/api/users/current").ok();
            assert_eq!(me["role"], ["admin", "auditor"][second % 2], "{id}");
            assert_eq!(in_file(&server, id), me["last_login"], "{id}");
            after.push(me["last_login"].clone());
        }
        assert_eq!(after[0] != before, moves, "{id}");
        assert!(
            after.iter().all(|last| *last == after[0]),
            "{id}: {after:?}"
        );
    }
}

#[test]
fn the_answer_to_an_update_shows_the_newest() {
    let home = Idp::new("home", "ES256");
    let crowd = Crowd::new();
    let ids: Vec<String> = (0..10).map(|number| format!("user-{number}")).collect();
    for id in &ids {
        crowd.jwt_user(id, "home", "user", HOUR);
    }
    let server = crowd.start_with_issuers(&[&home]);
    for id in &ids {
        let began = Timestamp::now().to_string();
        // So soon that the file does not have it yet.
        last_login(&server.bearer(&home.jwt(id)));
        let body = json!({"role": "auditor", "is_blocked": false, "auto_groups": []});
        let put = server.owner.put(&format!("/api/users/{id}"), body).ok();
        assert!(
            put["last_login"].as_str().unwrap() >= began.as_str(),
            "{put}"
        );
        assert_eq!(put["last_login"], seen(&server, id));
    }
}

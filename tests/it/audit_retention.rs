//! `[audit]`: the oldest events go, and exactly those.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use netbird_auth::change::{self, FirstOwner, NewTokenRequest, Refused};
use netbird_auth::clock::Timestamp;
use netbird_auth::store;
use netbird_auth::token::{Lifetime, PlainToken};
use netbird_auth::user::Name;
use rusqlite::{Connection, params};
use serde_json::json;
use tempfile::TempDir;

use crate::support::{Client, Server, eventually, service};

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;

/// A database whose trail begins with events of a test's own.
pub struct Past {
    folder: Arc<TempDir>,
    token: String,
}

impl Past {
    fn new(write: impl FnOnce(&Connection)) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let plain = PlainToken::generate().unwrap();
        let request = FirstOwner {
            identity: None,
            name: Name::parse("Owner").unwrap(),
            email: Name::empty(),
            token: Some(NewTokenRequest {
                hash: plain.hash(),
                name: Name::parse("first").unwrap(),
                lifetime: Lifetime::days(30).unwrap(),
            }),
        };
        let made = store::create_database(&folder.path().join("test.db"), |database| {
            write(database);
            change::first_owner(database, Timestamp::now(), request)?;
            Ok::<_, Refused>(())
        });
        made.unwrap();
        let token = plain.expose().to_owned();
        Self { folder, token }
    }

    /// With events of such ages, in this order.
    fn of_ages(ages: &[i64]) -> Self {
        let now = Timestamp::now().micros();
        Self::new(|database| ages.iter().for_each(|age| fill(database, 1, now - age)))
    }

    /// With many events of today.
    pub fn of_many(count: u32) -> Self {
        Self::new(|database| fill(database, count, Timestamp::now().micros()))
    }

    pub fn start(&self, settings: &[(&str, &str)]) -> Server {
        Server::start_prepared(Arc::clone(&self.folder), settings, self.token.clone())
    }
}

/// Events of one time.
pub fn fill(database: &Connection, count: u32, at: i64) {
    let sql = "WITH RECURSIVE count(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count WHERE n < ?1)
               INSERT INTO audit_events (at, activity_code, initiator_id, initiator_name,
                                         initiator_email, target_id, meta, user)
               SELECT ?2, 'user.block', 'sys', '', '', n, '{}', 1 FROM count";
    database.execute(sql, params![count, at]).unwrap();
}

/// What is kept: from the floor to the newest, nothing below and no gap.
#[derive(Debug)]
pub struct Kept {
    pub floor: i64,
    pub newest: i64,
    pub count: i64,
}

#[track_caller]
pub fn kept(database: &Connection) -> Kept {
    let sql = "SELECT (SELECT number FROM audit_floor), min(number), max(number), count(*)
               FROM audit_events";
    let (floor, oldest, newest, count): (i64, i64, i64, i64) = database
        .query_row(sql, (), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .unwrap();
    assert_eq!(oldest, floor, "the floor is the oldest event");
    assert_eq!(count, newest - floor + 1, "no gap from {floor} to {newest}");
    Kept {
        floor,
        newest,
        count,
    }
}

fn shown(client: &Client) -> Vec<i64> {
    let events = client.get("/api/events/audit").ok();
    let events = events.as_array().unwrap().iter();
    let ids = events.map(|event| event["id"].as_str().unwrap().parse().unwrap());
    ids.collect()
}

/// Returns when the writer has looked at everything that it looks at each second.
pub fn a_tick(server: &Server) {
    let user = server.service_user("auditor");
    let body = json!({"name": "n", "expires_in": 1});
    let made = server
        .owner
        .post(&format!("/api/users/{user}/tokens"), body);
    let token = made.ok()["plain_token"].as_str().unwrap().to_owned();
    server.client(&token).get("/api/users").ok();
    let database = server.database();
    let marks = |sql: &str| -> i64 { database.query_row(sql, (), |row| row.get(0)).unwrap() };
    eventually("the mark is written", || {
        let sql = "SELECT count(*) FROM token_usage WHERE token = (SELECT max(number) FROM tokens)";
        (marks(sql) == 1).then_some(())
    });
}

#[test]
fn the_limit_holds_after_each_change_that_is_answered() {
    let server = Past::of_many(3).start(&[("AUDIT__MAX_EVENTS", "10")]);
    let database = server.database();
    let users = || server.owner.post("/api/users", service("machine")).ok();
    let id = users()["id"].as_str().unwrap().to_owned();
    let path = format!("/api/users/{id}");
    for round in 0..10 {
        let before = kept(&database);
        users();
        let now = kept(&database);
        assert_eq!(now.newest, before.newest + 1);
        assert_eq!(now.count, now.newest.min(10));
        // Refused, and so without an event.
        server.owner.delete("/api/users/nobody").error(404);
        assert_eq!(kept(&database).newest, now.newest);
        // One change with more events than are kept.
        let groups: Vec<String> = (0..50).map(|group| format!("{round} {group}")).collect();
        let put = json!({"role": "user", "is_blocked": false, "auto_groups": groups});
        server.owner.put(&path, put).ok();
        let now = kept(&database);
        assert!(now.newest >= before.newest + 51);
        assert_eq!(now.count, 10);
        let expected: Vec<i64> = (now.floor..=now.newest).rev().collect();
        assert_eq!(shown(&server.owner), expected);
    }
    server.log_line("old audit events were deleted");
    let (_, log) = server.stop();
    let told = |line: &&String| line.contains("old audit events were deleted");
    // Once a minute, and the rest at the end.
    assert!(log.iter().filter(told).count() <= 2, "{log:?}");
}

#[test]
fn the_limit_holds_at_each_commit_while_many_change() {
    let server = Past::of_many(50).start(&[("AUDIT__MAX_EVENTS", "20")]);
    let database = server.database();
    eventually("it is caught up", || {
        (kept(&database).count == 20).then_some(())
    });
    let is_over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let watch = threads.spawn(|| {
            let database = server.database();
            while !is_over.load(Ordering::Relaxed) {
                assert_eq!(kept(&database).count, 20);
            }
        });
        let writers = [(); 4].map(|()| {
            threads.spawn(|| {
                for _ in 0..25 {
                    server.owner.post("/api/users", service("machine")).ok();
                }
            })
        });
        writers
            .into_iter()
            .for_each(|writer| writer.join().unwrap());
        is_over.store(true, Ordering::Relaxed);
        watch.join().unwrap();
    });
}

#[test]
fn events_older_than_keep_days_go_and_no_younger_one() {
    // The fifth was written while the clock was behind: it stays until the fourth may go.
    let ages = [
        100 * DAY,
        31 * DAY,
        30 * DAY + HOUR,
        30 * DAY - HOUR,
        40 * DAY,
        0,
    ];
    let server = Past::of_ages(&ages).start(&[("AUDIT__KEEP_DAYS", "30")]);
    let database = server.database();
    let newest = kept(&database).newest;
    eventually("the old ones are gone", || {
        (kept(&database).floor == 4).then_some(())
    });
    assert_eq!(shown(&server.owner), (4..=newest).rev().collect::<Vec<_>>());
    a_tick(&server);
    assert_eq!(kept(&database).floor, 4);
    let server = server.restart();
    a_tick(&server);
    assert_eq!(kept(&database).floor, 4);
}

#[test]
fn age_and_limit_work_together() {
    let ages = [100 * DAY, 1, 1, 100 * DAY, 100 * DAY, 0];
    let server =
        Past::of_ages(&ages).start(&[("AUDIT__KEEP_DAYS", "30"), ("AUDIT__MAX_EVENTS", "5")]);
    let database = server.database();
    let newest = kept(&database).newest;
    // The limit takes the young ones away that the old ones waited for.
    assert_eq!(newest, 8, "and two of the owner and their token");
    eventually("the old ones are gone", || {
        (kept(&database).floor == 6).then_some(())
    });
    server.owner.post("/api/users", service("machine")).ok();
    assert_eq!(kept(&database).count, 4);
}

#[test]
fn nothing_goes_unless_it_is_asked_for() {
    for settings in [
        &[][..],
        &[("AUDIT__KEEP_DAYS", "0"), ("AUDIT__MAX_EVENTS", "0")],
    ] {
        let server = Past::of_ages(&[20_000 * DAY; 300]).start(settings);
        a_tick(&server);
        let kept = kept(&server.database());
        assert_eq!((kept.floor, kept.count), (1, kept.newest));
        assert!(kept.count > 300);
    }
}

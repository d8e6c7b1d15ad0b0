//! Old audit events go beside everything else: changes, kills, commands, trouble.

use netbird_auth::change::{self, Actor};
use netbird_auth::clock::Timestamp;
use netbird_auth::user::{Role, UserId};
use serde_json::{Value, json};

use crate::audit_retention::{Past, a_tick, fill, kept};
use crate::index::{machine, put};
use crate::support::{Server, eventually, service};

#[test]
fn a_lowered_limit_catches_up_while_changes_are_answered() {
    let past = Past::of_many(200_000);
    let server = past.start(&[("AUDIT__MAX_EVENTS", "400000")]);
    a_tick(&server);
    assert_eq!(kept(&server.database()).floor, 1);
    server.stop();
    let server = past.start(&[("AUDIT__MAX_EVENTS", "100")]);
    let database = server.database();
    let mut floors = Vec::new();
    eventually("it is caught up", || {
        let before = kept(&database);
        server.owner.post("/api/users", service("machine")).ok();
        let after = kept(&database);
        assert_eq!(after.newest, before.newest + 1);
        floors.push(after.floor);
        (after.count == 100).then_some(())
    });
    assert!(floors.is_sorted());
    floors.dedup();
    assert!(floors.len() > 1, "no change was answered in between");
    server.owner.post("/api/users", service("machine")).ok();
    assert_eq!(kept(&database).count, 100);
}

#[test]
fn a_kill_in_the_midst_leaves_floor_and_events_of_one_moment() {
    let past = Past::of_many(200_000);
    let (mut answered, mut floor) = (0, 1);
    for _ in 0..5 {
        let server = past.start(&[("AUDIT__MAX_EVENTS", "5000")]);
        let database = server.database();
        let client = server.owner.clone();
        let number = |sql: &str| -> i64 { database.query_row(sql, (), |row| row.get(0)).unwrap() };
        answered += std::thread::scope(|threads| {
            let writing = threads.spawn(move || {
                let body = service("machine").to_string();
                let write = || client.try_send("POST", "/api/users", &[], body.as_bytes());
                let answers = std::iter::from_fn(|| write().ok());
                answers.take_while(|answer| answer.status == 200).count()
            });
            // To count the events would take longer than to delete them.
            eventually("it goes on", || {
                (number("SELECT number FROM audit_floor") > floor + 10_000).then_some(())
            });
            // SIGKILL.
            drop(server);
            writing.join().unwrap()
        });
        let now = kept(&database);
        assert!(now.count > 5000, "it was not in the midst");
        floor = now.floor;
        let users = number("SELECT count(*) FROM users WHERE is_service = 1");
        let events =
            "SELECT count(*) FROM audit_events WHERE activity_code = 'service.user.create'";
        assert_eq!(number(events), users, "no change without its event");
        assert!(users >= answered as i64, "what was answered is there");
        let check: String = database
            .query_row("PRAGMA integrity_check", (), |row| row.get(0))
            .unwrap();
        assert_eq!(check, "ok");
    }
    assert!(answered > 0);
    let server = past.start(&[("AUDIT__MAX_EVENTS", "5000")]);
    let database = server.database();
    eventually("it is caught up", || {
        (kept(&database).count == 5000).then_some(())
    });
}

#[test]
fn commands_are_followed_also_where_one_event_is_kept() {
    let server = Past::of_many(5).start(&[("AUDIT__MAX_EVENTS", "1")]);
    let database = server.database();
    for round in 0..5 {
        // Each has several events; the server's own changes let them go.
        let machine = server.run_command(&["user", "create", "--service", "--name", "machine"]);
        let machine = machine.trim();
        let token = server.client(&server.token_of(machine));
        token.get("/api/users").ok();
        server.run_command(&["user", "block", machine]);
        if round % 2 == 0 {
            server.owner.post("/api/users", service("other")).ok();
        }
        eventually("the block is in force", || {
            (token.get("/api/users").status == 403).then_some(())
        });
        server.run_command(&["user", "delete", machine]);
        eventually("the user is gone", || {
            (token.get("/api/users").status == 401).then_some(())
        });
    }
    eventually("what the commands wrote goes, too", || {
        (kept(&database).count == 1).then_some(())
    });
    let log = server.stop().1.join("\n");
    assert!(!log.contains("reading all of it"), "{log}");
}

#[test]
fn a_locked_database_stops_it_for_a_while_only() {
    let server = Past::of_many(5).start(&[("AUDIT__MAX_EVENTS", "5")]);
    let database = server.database();
    eventually("it is caught up", || {
        (kept(&database).count == 5).then_some(())
    });
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    fill(&database, 20, 0);
    database.execute_batch("COMMIT; BEGIN IMMEDIATE").unwrap();
    let anonymous = server.anonymous();
    let ready: Value = eventually("it is told", || {
        let ready = anonymous.get("/readyz");
        (ready.status == 503).then(|| json!(ready.error(503)))
    });
    assert!(ready.as_str().unwrap().contains("locked"), "{ready}");
    assert_eq!(kept(&database).count, 25);
    database.execute_batch("ROLLBACK").unwrap();
    eventually("it goes on", || (kept(&database).count == 5).then_some(()));
    assert_eq!(anonymous.get("/readyz").status, 200);
}

#[test]
fn a_change_whose_event_was_deleted_before_it_was_followed_is_in_force_all_the_same() {
    let server = Server::start();
    let machine_id = server.service_user("auditor");
    let token = server.client(&server.token_of(&machine_id));
    token.get("/api/users").ok();
    let mut database = server.database();
    let transaction = database.transaction().unwrap();
    let (now, block) = (Timestamp::now(), put(Role::Auditor, true));
    let id = UserId::parse(&machine_id).unwrap();
    change::update_user(&transaction, now, Actor::System, &id, block).unwrap();
    change::create_user(&transaction, now, Actor::System, machine(Role::User)).unwrap();
    let let_go = "UPDATE audit_floor SET number = (SELECT max(number) FROM audit_events);
                  DELETE FROM audit_events WHERE number < (SELECT number FROM audit_floor);";
    transaction.execute_batch(let_go).unwrap();
    transaction.commit().unwrap();
    eventually("the block is in force", || {
        (token.get("/api/users").status == 403).then_some(())
    });
}

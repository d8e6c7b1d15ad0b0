//! What nobody can do to the audit trail, whatever program they use, and older files.

use netbird_auth::clock::Timestamp;
use netbird_auth::store;
use rusqlite::Connection;

use crate::support::{Server, eventually, netbird_auth, service};

const COLUMNS: &str = "at, activity_code, initiator_id, initiator_name, initiator_email, target_id, \
                       meta, user";

/// Every row of both tables, as text.
fn contents(database: &Connection) -> Vec<String> {
    let sql = "SELECT 'floor ' || number FROM audit_floor
               UNION ALL SELECT concat_ws(' ', number, at, activity_code, initiator_id, initiator_name,
                                          initiator_email, target_id, meta, user, token)
               FROM audit_events";
    let mut rows = database.prepare(sql).unwrap();
    let rows = rows.query_map((), |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn no_event_is_changed_and_none_deleted_from_the_floor_on_even_by_hand() {
    let server = Server::start_with(&[("AUDIT__MAX_EVENTS", "5")]);
    let database = server.database();
    for _ in 0..10 {
        server.owner.post("/api/users", service("machine")).ok();
    }
    let before = contents(&database);
    assert_eq!(before.len(), 6);
    let newest = "(SELECT max(number) FROM audit_events)";
    let oldest = "(SELECT min(number) FROM audit_events)";
    let row = "0, 'a', 'a', 'a', 'a', 'a', '{}', 1";
    let table = [
        (
            "events can't be changed",
            "UPDATE audit_events SET at = at".to_owned(),
        ),
        (
            "events can't be changed",
            "UPDATE OR REPLACE audit_events SET number = number - 1".to_owned(),
        ),
        (
            "events can't be changed",
            format!("UPDATE audit_events SET meta = '' WHERE number = {newest}"),
        ),
        (
            "events can't be deleted",
            "DELETE FROM audit_events".to_owned(),
        ),
        (
            "events can't be deleted",
            format!("DELETE FROM audit_events WHERE number = {oldest}"),
        ),
        (
            "events can't be deleted",
            format!("DELETE FROM audit_events WHERE number = {newest}"),
        ),
        (
            "events can't be replaced",
            format!("REPLACE INTO audit_events (number, {COLUMNS}) SELECT {newest}, {row}"),
        ),
        (
            "events can't be replaced",
            format!("REPLACE INTO audit_events (number, {COLUMNS}) SELECT {oldest}, {row}"),
        ),
        (
            "floor can't go back",
            "UPDATE audit_floor SET number = number - 1".to_owned(),
        ),
        (
            "floor can't go back",
            "UPDATE audit_floor SET number = 0".to_owned(),
        ),
        (
            "floor can't go past the next event",
            format!("UPDATE audit_floor SET number = {newest} + 2"),
        ),
        (
            "the audit floor can't be deleted",
            "DELETE FROM audit_floor".to_owned(),
        ),
        (
            "the audit floor is there already",
            "INSERT INTO audit_floor VALUES (2, 1)".to_owned(),
        ),
        (
            "the audit floor is there already",
            "REPLACE INTO audit_floor VALUES (1, 0)".to_owned(),
        ),
        (
            "CHECK constraint failed",
            "UPDATE audit_floor SET id = 2".to_owned(),
        ),
    ];
    for (expected, sql) in table {
        let error = database.execute(&sql, ()).unwrap_err().to_string();
        assert!(error.contains(expected), "{sql}: {error}");
        assert_eq!(contents(&database), before, "{sql}");
    }
    // Retention's own way, for nobody but the oldest.
    let up = format!("UPDATE audit_floor SET number = {newest}");
    database.execute(&up, ()).unwrap();
    let error = database
        .execute("DELETE FROM audit_events", ())
        .unwrap_err();
    assert!(error.to_string().contains("events can't be deleted"));
    let below = "DELETE FROM audit_events WHERE number < (SELECT number FROM audit_floor)";
    assert_eq!(database.execute(below, ()).unwrap(), 4);
}

#[test]
fn an_older_file_is_brought_to_version_3_and_keeps_its_events() {
    let steps = [
        "",
        "ALTER TABLE users ADD COLUMN role_issued_at INTEGER; PRAGMA user_version = 2;",
    ];
    for (step, events) in steps.into_iter().flat_map(|step| [(step, 0), (step, 3)]) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(include_str!("../../schema.sql")).unwrap();
        old.execute_batch(step).unwrap();
        let at = Timestamp::now().micros();
        for event in 0..events {
            let sql = format!(
                "INSERT INTO audit_events ({COLUMNS}) VALUES (?1, 'a', 'a', 'a', 'a', ?2, '{{}}', 1)"
            );
            old.execute(&sql, (at, event.to_string())).unwrap();
        }
        drop(old);
        let command = netbird_auth(folder.path()).args(["user", "list"]).output();
        let command = command.unwrap();
        assert!(command.status.success(), "{command:?}");
        let new = Connection::open(&path).unwrap();
        let version: u32 = new
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap();
        assert_eq!(version, 3);
        let rows = contents(&new);
        assert_eq!((rows[0].as_str(), rows.len()), ("floor 1", 1 + events));
        for (event, row) in rows[1..].iter().enumerate() {
            let expected = format!("{} {at} a a a a {event} {{}} 1", event + 1);
            assert_eq!(*row, expected);
        }
        if events > 0 {
            let error = new.execute("DELETE FROM audit_events", ()).unwrap_err();
            assert!(error.to_string().contains("can't be deleted"));
        }
        let (newest, last) = (events as i64, store::last_audit_number(&new));
        assert_eq!(last.unwrap(), newest);
    }
}

#[test]
fn an_older_file_of_a_server_that_keeps_one_event_is_brought_to_it() {
    let folder = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let path = folder.path().join("test.db");
    let old = Connection::open(&path).unwrap();
    old.execute_batch(include_str!("../../schema.sql")).unwrap();
    for _ in 0..3 {
        let row = "VALUES (0, 'a', 'a', 'a', 'a', 'a', '{}', 1)";
        let sql = format!("INSERT INTO audit_events ({COLUMNS}) {row}");
        old.execute(&sql, ()).unwrap();
    }
    drop(old);
    let settings = [("AUDIT__MAX_EVENTS", "1")];
    let server = Server::start_prepared(folder, &settings, String::new());
    server.log_line("database schema updated");
    let database = server.database();
    eventually("one is kept", || {
        let rows = contents(&database);
        (rows.len() == 2 && rows[0] == "floor 3").then_some(())
    });
}

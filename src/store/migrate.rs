//! Bringing an older file to the newest schema.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;

/// Version 1, as a new file gets it.
const SCHEMA: &str = include_str!("../../schema.sql");

/// Step N brings version N + 1 to N + 2. Append only: a released step never changes.
const STEPS: &[&str] = &[
    // 2: a JWT older than the one that decided the role last does not decide it again.
    "ALTER TABLE users ADD COLUMN role_issued_at INTEGER",
    // 3: retention of audit events. Only the oldest may go, and only after the floor was moved above
    // them, which store/retention.rs does in the same transaction.
    "CREATE TABLE audit_floor (
         id     INTEGER PRIMARY KEY CHECK (id = 1),     -- there is one row
         number INTEGER NOT NULL                        -- of the oldest event that is kept, or the next one
     ) STRICT;
     INSERT INTO audit_floor SELECT 1, coalesce(min(number), 1) FROM audit_events;

     CREATE TRIGGER audit_floor_one_row BEFORE INSERT ON audit_floor
     BEGIN SELECT RAISE(ABORT, 'the audit floor is there already'); END;

     CREATE TRIGGER audit_floor_no_delete BEFORE DELETE ON audit_floor
     BEGIN SELECT RAISE(ABORT, 'the audit floor can''t be deleted'); END;

     CREATE TRIGGER audit_floor_only_up BEFORE UPDATE ON audit_floor
     WHEN NEW.number < OLD.number
     BEGIN SELECT RAISE(ABORT, 'the audit floor can''t go back'); END;

     -- Above the next event it would let events go that nobody has written yet.
     CREATE TRIGGER audit_floor_not_ahead BEFORE UPDATE ON audit_floor
     WHEN NEW.number > max(OLD.number, coalesce((SELECT max(number) FROM audit_events), 0) + 1)
     BEGIN SELECT RAISE(ABORT, 'the audit floor can''t go past the next event'); END;

     DROP TRIGGER audit_events_no_delete;
     CREATE TRIGGER audit_events_no_delete BEFORE DELETE ON audit_events
     WHEN OLD.number >= coalesce((SELECT number FROM audit_floor), 0)
     BEGIN SELECT RAISE(ABORT, 'audit events can''t be deleted'); END;

     -- INSERT OR REPLACE deletes the row before it without asking the trigger above.
     CREATE TRIGGER audit_events_no_replace BEFORE INSERT ON audit_events
     WHEN EXISTS (SELECT 1 FROM audit_events WHERE number = NEW.number)
     BEGIN SELECT RAISE(ABORT, 'audit events can''t be replaced'); END;",
];

/// The newest version that this binary knows.
pub(super) const LATEST: u32 = 1 + STEPS.len() as u32;

/// Makes the newest schema in an empty file, in the caller's transaction.
///
/// # Errors
/// What SQLite says.
pub(super) fn make(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(SCHEMA)?;
    for step in STEPS {
        connection.execute_batch(step)?;
    }
    connection.pragma_update(None, "user_version", LATEST)
}

/// Runs the steps that the file lacks, each in one transaction with its version number.
///
/// # Errors
/// [`StoreError::TooNew`] for a file of a newer release, else what SQLite says.
pub fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    run(connection, path, STEPS)
}

/// Writes the version that stands there: the cheapest proof that the file can be written.
///
/// # Errors
/// What SQLite says.
pub fn rewrite_version(connection: &Connection) -> rusqlite::Result<()> {
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    connection.pragma_update(None, "user_version", found)
}

fn run(connection: &mut Connection, path: &Path, steps: &[&str]) -> Result<(), StoreError> {
    while next(connection, path, steps)?.is_some() {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have run it before the lock was ours.
        let Some((step, version)) = next(&transaction, path, steps)? else {
            return Ok(());
        };
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
        log::info!("schema.version" = version; "database schema updated");
    }
    Ok(())
}

/// The step that the file lacks, and the version that it leads to.
fn next<'a>(
    connection: &Connection,
    path: &Path,
    steps: &[&'a str],
) -> Result<Option<(&'a str, u32)>, StoreError> {
    let known = 1 + u32::try_from(steps.len()).unwrap_or(u32::MAX);
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found == 0 {
        return Err(StoreError::NotOurs {
            path: path.to_owned(),
            why: "it has no schema version",
        });
    }
    if found > known {
        return Err(StoreError::TooNew {
            path: path.to_owned(),
            found,
            known,
        });
    }
    let step = steps.get(found as usize - 1);
    Ok(step.map(|step| (*step, found + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version_1() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        connection
    }

    #[test]
    fn running_the_steps_twice_is_running_them_once() {
        let steps = [
            "CREATE TABLE a (x INTEGER) STRICT",
            "ALTER TABLE a ADD y INTEGER",
        ];
        let mut connection = version_1();
        for _ in 0..2 {
            run(&mut connection, Path::new("test"), &steps).unwrap();
        }
        let version: u32 = connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap();
        assert_eq!(version, 3);
        connection
            .execute("INSERT INTO a (x, y) VALUES (1, 2)", ())
            .unwrap();
    }

    #[test]
    fn many_processes_at_once_run_a_step_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = &folder.path().join("test.db");
        let open = || {
            let connection = Connection::open(path).unwrap();
            connection
                .busy_timeout(std::time::Duration::from_secs(20))
                .unwrap();
            connection
        };
        open().execute_batch(SCHEMA).unwrap();
        let barrier = std::sync::Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let mut connection = open();
                    barrier.wait();
                    run(
                        &mut connection,
                        path,
                        &["CREATE TABLE a (x INTEGER) STRICT"],
                    )
                    .unwrap();
                });
            }
        });
    }

    #[test]
    fn a_step_that_fails_leaves_the_version_before_it() {
        let steps = [
            "CREATE TABLE a (x INTEGER) STRICT",
            "CREATE TABLE b (x INTEGER) STRICT; nonsense",
        ];
        let mut connection = version_1();
        assert!(run(&mut connection, Path::new("test"), &steps).is_err());
        let (version, tables): (u32, u32) = connection
            .query_row(
                "SELECT (SELECT user_version FROM pragma_user_version),
                        (SELECT count(*) FROM sqlite_schema WHERE name IN ('a', 'b'))",
                (),
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .unwrap();
        assert_eq!((version, tables), (2, 1));
    }

    #[test]
    fn a_newer_version_is_refused() {
        let mut connection = version_1();
        connection
            .pragma_update(None, "user_version", LATEST + 1)
            .unwrap();
        assert!(matches!(
            migrate(&mut connection, Path::new("test")),
            Err(StoreError::TooNew { .. })
        ));
    }
}

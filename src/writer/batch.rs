//! Many changes in one transaction, each in its savepoint.

use rusqlite::Connection;

use super::{Job, Ran, Unmade};
use crate::clock::Timestamp;
use crate::store::{self, StoreError};

/// Runs each change in its savepoint; gives the newest audit event with them.
pub(super) fn run(
    connection: &Connection,
    waiting: &mut impl Iterator<Item = Job>,
    done: &mut Vec<Ran>,
) -> Result<i64, StoreError> {
    let now = Timestamp::now();
    for job in waiting {
        connection.execute_batch("SAVEPOINT change")?;
        let ran = job(connection, now);
        if let Err(Unmade::Failed(error)) = &ran.result {
            log::error!("a change could not be made: {error}");
        }
        // A full or failing disk can undo the whole transaction inside a savepoint: going on would
        // commit each further statement by itself.
        if connection.is_autocommit() {
            return Err(StoreError::TransactionLost);
        }
        match &ran.result {
            Ok(_) => connection.execute_batch("RELEASE change")?,
            Err(_) => connection.execute_batch("ROLLBACK TO change; RELEASE change")?,
        }
        done.push(ran);
    }
    Ok(store::last_audit_number(connection)?)
}

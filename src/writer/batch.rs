//! Many changes in one transaction, each in its savepoint.

use rusqlite::Connection;

use super::{Job, Ran, Unmade};
use crate::clock::Timestamp;
use crate::store::{self, Retention, StoreError};

/// A batch deletes at least so many old events, if there are.
const FEW: u32 = 256;

/// What a batch did to the audit trail.
pub(super) struct Written {
    /// Number of the newest event.
    pub(super) newest: i64,
    /// How many old events went.
    pub(super) deleted: u32,
}

/// Runs each change in its savepoint; then old audit events go.
pub(super) fn run(
    connection: &Connection,
    retention: &Retention,
    waiting: &mut impl Iterator<Item = Job>,
    done: &mut Vec<Ran>,
) -> Result<Written, StoreError> {
    let now = Timestamp::now();
    let before = store::last_audit_number(connection)?;
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
    let newest = store::last_audit_number(connection)?;
    Ok(Written {
        newest,
        deleted: prune(connection, retention, now, newest - before)?,
    })
}

/// Lets old events go beside a batch that wrote so many; how many went. In a savepoint of its own: no
/// damage of an old event may keep anybody from revoking a token.
fn prune(
    connection: &Connection,
    retention: &Retention,
    now: Timestamp,
    written: i64,
) -> Result<u32, StoreError> {
    if retention.keeps_all() || written == 0 {
        return Ok(0);
    }
    // No fewer than were written: a limit that held before holds after it.
    let most = u32::try_from(written).unwrap_or(u32::MAX).max(FEW);
    connection.execute_batch("SAVEPOINT prune")?;
    let deleted = store::delete_old_audit(connection, retention, now, most);
    if connection.is_autocommit() {
        return Err(StoreError::TransactionLost);
    }
    match &deleted {
        Ok(_) => connection.execute_batch("RELEASE prune")?,
        Err(error) => {
            log::error!("old audit events could not be deleted: {error}");
            connection.execute_batch("ROLLBACK TO prune; RELEASE prune")?;
        }
    }
    Ok(deleted.unwrap_or(0))
}

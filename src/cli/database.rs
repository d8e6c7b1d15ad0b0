//! The commands' own way to the database file, beside a running server.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::failure::Failure;
use crate::change::{Changed, Refused};
use crate::clock::Timestamp;
use crate::store::{self, FileIdentity, Presence, StoreError};
use crate::user::{User, UserId};

/// How long a command waits while a server writes.
const PATIENCE: Duration = Duration::from_secs(5);

/// Opens the database of the configuration, which must exist.
pub(super) fn open(path: &Path) -> Result<Connection, Failure> {
    let connection = store::open_writer(path, PATIENCE)?;
    store::believe_log(&connection)?;
    Ok(connection)
}

/// Opens it to copy it, as it is: of an older schema too.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, Failure> {
    if !path.exists() {
        // It knows why, if a restore was killed.
        store::inspect(path)?;
    }
    if store::recognise(path)? == Presence::Absent {
        return Err(StoreError::Missing(path.to_owned()).into());
    }
    let connection = store::open_as_it_is(path)?;
    connection.busy_timeout(PATIENCE)?;
    Ok(connection)
}

/// The owner's id, where the database can be looked at. It is never changed for that, not even to
/// the newest schema.
pub(super) fn owner_id(path: &Path) -> Option<UserId> {
    if store::inspect(path).ok()? != Presence::Ours {
        return None;
    }
    let connection = store::open_as_it_is(path).ok()?;
    Some(store::owner(&connection).ok()??.id)
}

/// Whether there is an owner.
pub(super) fn has_owner(path: &Path) -> Result<bool, Failure> {
    Ok(store::owner(&open_to_read(path)?)?.is_some())
}

/// Makes one change, which is on the disk when this returns.
pub(super) fn change<T>(
    path: &Path,
    change: impl FnOnce(&Transaction<'_>, Timestamp) -> Result<Changed<T>, Refused>,
) -> Result<T, Failure> {
    let changed = commit(path, |transaction| change(transaction, Timestamp::now()))?;
    Ok(changed.value)
}

/// The same for a change that tells nothing but its value.
pub(super) fn commit<T>(
    path: &Path,
    change: impl FnOnce(&Transaction<'_>) -> Result<T, Refused>,
) -> Result<T, Failure> {
    let named = |error: rusqlite::Error| StoreError::from(error).at(path);
    let before = FileIdentity::of_database(path).ok();
    let mut connection = open(path)?;
    let identity = FileIdentity::of(path)?;
    // A restore that came in between moved away what was just opened.
    if before.is_none_or(|before| !identity.is_of(before)) {
        return Err(StoreError::Replaced(path.to_owned()).into());
    }
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(named)?;
    let changed = change(&transaction).map_err(|refused| match refused {
        Refused::Store(error) => Refused::Store(error.at(path)),
        refused => refused,
    })?;
    transaction.commit().map_err(named)?;
    // Or what was just changed.
    if FileIdentity::of(path)? != identity {
        return Err(StoreError::Replaced(path.to_owned()).into());
    }
    Ok(changed)
}

/// Reads an id from the command line.
pub(super) fn user_id(text: &str) -> Result<UserId, Failure> {
    UserId::parse(text).map_err(|fault| Failure::Usage(format!("user id {fault}")))
}

/// The user with an id.
pub(super) fn find_user(connection: &Connection, id: &str) -> Result<User, Failure> {
    store::user_by_id(connection, id)?.ok_or_else(|| Failure::user_not_found(id))
}

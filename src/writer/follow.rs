//! Following what other processes (the command line) commit to the same file.

use std::collections::HashSet;

use rusqlite::Connection;

use crate::index::{Effect, Index};
use crate::store::{self, ChangedRows};

/// More changed rows than this are read faster by reading everything.
const REBUILD_ABOVE: usize = 10_000;

/// How far this process knows the file.
pub(super) struct Followed {
    /// SQLite's counter of others' commits, as this connection sees it.
    data_version: i64,
    /// The newest audit event whose change is in the index.
    event: i64,
}

impl Followed {
    /// The state just loaded.
    pub(super) fn new(connection: &Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            data_version: data_version(connection)?,
            event: store::last_audit_number(connection)?,
        })
    }

    /// Brings what others committed into the index. Must run inside a transaction, so that the
    /// counter and the rows are of one moment.
    pub(super) fn catch_up(
        &mut self,
        connection: &Connection,
        index: &Index,
    ) -> rusqlite::Result<()> {
        let data_version = data_version(connection)?;
        if data_version == self.data_version {
            return Ok(());
        }
        let changed = store::changed_since(connection, self.event)?;
        let last = changed.last().map_or(self.event, |row| row.event);
        let is_whole = changed
            .first()
            .is_some_and(|row| row.event == self.event + 1);
        if !is_whole || changed.len() > REBUILD_ABOVE {
            // Somebody edited rows without saying which, or deleted the events that say it.
            log::warn!("the database was changed by another program: reading all of it");
            index.replace(Index::load(connection)?);
        } else {
            refresh(connection, index, &changed)?;
            log::info!(
                "took over what another process changed (changes: {})",
                changed.len()
            );
        }
        self.data_version = data_version;
        self.event = store::last_audit_number(connection)?.max(last);
        Ok(())
    }

    /// This process's own commit wrote events up to this one.
    pub(super) fn own_commit(&mut self, event: i64) {
        self.event = event;
    }
}

fn refresh(
    connection: &Connection,
    index: &Index,
    changed: &[ChangedRows],
) -> rusqlite::Result<()> {
    let users: HashSet<_> = changed.iter().map(|row| row.user).collect();
    let tokens: HashSet<_> = changed.iter().filter_map(|row| row.token).collect();
    let mut gone_users = HashSet::new();
    for number in users {
        match store::user_by_number(connection, number)? {
            Some(user) => index.apply(Effect::SetUser(user)),
            None => {
                index.apply(Effect::DropUser(number));
                gone_users.insert(number);
            }
        }
    }
    let mut gone_tokens = HashSet::new();
    for number in tokens {
        match store::token_by_number(connection, number)? {
            Some(token) => index.apply(Effect::AddToken((&token).into())),
            None => {
                gone_tokens.insert(number);
            }
        }
    }
    if !gone_users.is_empty() || !gone_tokens.is_empty() {
        index.drop_tokens(&gone_tokens, &gone_users);
    }
    Ok(())
}

fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "data_version", |row| row.get(0))
}

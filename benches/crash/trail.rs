//! The audit trail, folded, against the rows: no change without its event, no event without its change.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, Row};
use serde_json::Value;

/// What the events until now say. A later check of the same file reads only what came since, and that
/// none before has gone.
#[derive(Default)]
pub struct Trail {
    last: i64,
    users: BTreeMap<i64, Told>,
    tokens: BTreeMap<i64, ToldToken>,
}

/// A user as the trail tells of them.
#[derive(Clone, PartialEq, Debug)]
struct Told {
    id: String,
    is_blocked: bool,
    /// `None` until an event tells it.
    role: Option<String>,
    groups: BTreeSet<String>,
}

#[derive(Clone, PartialEq, Debug)]
struct ToldToken {
    user: i64,
    name: String,
}

struct Event {
    number: i64,
    code: String,
    target: String,
    user: i64,
    token: Option<i64>,
    meta: Value,
}

impl Trail {
    /// Groups count as far as users were created without any: a creation does not tell them.
    pub fn check(&mut self, database: &Connection) -> Result<(), String> {
        self.catch_up(database)?;
        let failed = |error: rusqlite::Error| format!("the rows can't be read: {error}");
        let users = "SELECT number, id, is_blocked, role, auto_groups FROM users";
        let users = rows(database, users, |row| {
            let groups: String = row.get(4)?;
            let told = Told {
                id: row.get(1)?,
                is_blocked: row.get(2)?,
                role: row.get(3)?,
                groups: serde_json::from_str(&groups).unwrap_or_default(),
            };
            Ok((row.get(0)?, told))
        });
        let tokens = rows(database, "SELECT number, user, name FROM tokens", |row| {
            let (user, name) = (row.get(1)?, row.get(2)?);
            Ok((row.get(0)?, ToldToken { user, name }))
        });
        let mut told = self.users.clone();
        let users = users.map_err(failed)?;
        for (number, told) in &mut told {
            if told.role.is_none() {
                told.role = users.get(number).and_then(|user| user.role.clone());
            }
        }
        agree("user", &told, &users)?;
        agree("token", &self.tokens, &tokens.map_err(failed)?)
    }

    fn catch_up(&mut self, database: &Connection) -> Result<(), String> {
        let failed = |error: rusqlite::Error| format!("the audit trail can't be read: {error}");
        // A number that was rolled back is given again: there are no gaps.
        let sql = "SELECT count(*), coalesce(max(number), 0) FROM audit_events";
        let counts = database.query_row(sql, (), |row| Ok((row.get(0)?, row.get(1)?)));
        let (count, newest): (i64, i64) = counts.map_err(failed)?;
        if count != newest || newest < self.last {
            return Err(format!(
                "the audit trail has {count} events and its last is number {newest}; \
                 before it was number {}",
                self.last
            ));
        }
        let sql = "SELECT number, activity_code, target_id, user, token, meta FROM audit_events
                   WHERE number > ?1 ORDER BY number";
        let mut statement = database.prepare(sql).map_err(failed)?;
        let mut rows = statement.query([self.last]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let event = event_of(row).map_err(failed)?;
            let number = event.number;
            self.take(&event)
                .map_err(|lost| format!("audit event {number} ({}): {lost}", event.code))?;
            self.last = number;
        }
        Ok(())
    }

    fn take(&mut self, event: &Event) -> Result<(), String> {
        let detail = |name: &str| {
            let detail = event.meta[name].as_str().map(str::to_owned);
            detail.ok_or_else(|| format!("it has no {name}: {}", event.meta))
        };
        match event.code.as_str() {
            "user.create" | "service.user.create" | "user.join" => {
                let new = Told {
                    id: event.target.clone(),
                    is_blocked: false,
                    role: event.meta["role"].as_str().map(str::to_owned),
                    groups: BTreeSet::new(),
                };
                return match self.users.insert(event.user, new) {
                    None => Ok(()),
                    Some(_) => Err(format!("user {} was there already", event.user)),
                };
            }
            "personal.access.token.create" => {
                let new = ToldToken {
                    user: event.user,
                    name: detail("name")?,
                };
                let number = event.token.ok_or("it names no token")?;
                self.user(event)?;
                return match self.tokens.insert(number, new) {
                    None => Ok(()),
                    Some(_) => Err(format!("token {number} was there already")),
                };
            }
            "personal.access.token.delete" => {
                let number = event.token.ok_or("it names no token")?;
                return match self.tokens.remove(&number) {
                    Some(token) if token.user == event.user => Ok(()),
                    Some(token) => Err(format!("token {number} is of user {}", token.user)),
                    None => Err(format!("there was no token {number}")),
                };
            }
            "user.delete" | "service.user.delete" | "user.reject" => {
                self.user(event)?;
                self.users.remove(&event.user);
                self.tokens.retain(|_, token| token.user != event.user);
                return Ok(());
            }
            _ => {}
        }
        let user = self.user(event)?;
        match event.code.as_str() {
            "user.role.update" | "transferred.owner.role" => user.role = Some(detail("role")?),
            "user.block" if !user.is_blocked => user.is_blocked = true,
            "user.unblock" if user.is_blocked => user.is_blocked = false,
            "user.group.add" if user.groups.insert(detail("group")?) => {}
            "user.group.delete" if user.groups.remove(&detail("group")?) => {}
            "user.approve" => user.is_blocked = false,
            "dashboard.login" => {}
            _ => return Err(format!("it changes nothing of {user:?}")),
        }
        Ok(())
    }

    fn user(&mut self, event: &Event) -> Result<&mut Told, String> {
        let user = self.users.get_mut(&event.user);
        let user = user.ok_or_else(|| format!("there was no user {}", event.user))?;
        match user.id == event.target {
            true => Ok(user),
            false => Err(format!("it names {}, not {}", event.target, user.id)),
        }
    }
}

fn event_of(row: &Row<'_>) -> rusqlite::Result<Event> {
    let meta: String = row.get(5)?;
    Ok(Event {
        number: row.get(0)?,
        code: row.get(1)?,
        target: row.get(2)?,
        user: row.get(3)?,
        token: row.get(4)?,
        meta: serde_json::from_str(&meta).unwrap_or_default(),
    })
}

fn rows<T>(
    database: &Connection,
    sql: &str,
    of: impl FnMut(&Row<'_>) -> rusqlite::Result<(i64, T)>,
) -> rusqlite::Result<BTreeMap<i64, T>> {
    database.prepare(sql)?.query_map((), of)?.collect()
}

fn agree<T: PartialEq + std::fmt::Debug>(
    what: &str,
    told: &BTreeMap<i64, T>,
    rows: &BTreeMap<i64, T>,
) -> Result<(), String> {
    let numbers: BTreeSet<&i64> = told.keys().chain(rows.keys()).collect();
    for number in numbers {
        let (told, row) = (told.get(number), rows.get(number));
        if told != row {
            return Err(format!(
                "{what} {number}: the audit trail says {told:?}, the row {row:?}"
            ));
        }
    }
    Ok(())
}

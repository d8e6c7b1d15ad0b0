//! The `audit_events` table.

use rusqlite::{Connection, Row, named_params};

use crate::clock::Timestamp;
use crate::user::{TokenNumber, User, UserNumber};

/// What happened: NetBird's activities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is told by its text below")]
pub enum Activity {
    TokenCreated,
    TokenDeleted,
    UserCreated,
    ServiceUserCreated,
    UserDeleted,
    ServiceUserDeleted,
    RoleUpdated,
    UserBlocked,
    UserUnblocked,
    UserApproved,
    UserRejected,
    OwnerTransferred,
    GroupAdded,
    GroupRemoved,
    UserJoined,
    Login,
}

impl Activity {
    const TABLE: [(Self, &'static str, &'static str); 16] = [
        (
            Self::TokenCreated,
            "personal.access.token.create",
            "Personal access token created",
        ),
        (
            Self::TokenDeleted,
            "personal.access.token.delete",
            "Personal access token deleted",
        ),
        (Self::UserCreated, "user.create", "User created"),
        (
            Self::ServiceUserCreated,
            "service.user.create",
            "Service user created",
        ),
        (Self::UserDeleted, "user.delete", "User deleted"),
        (
            Self::ServiceUserDeleted,
            "service.user.delete",
            "Service user deleted",
        ),
        (Self::RoleUpdated, "user.role.update", "User role updated"),
        (Self::UserBlocked, "user.block", "User blocked"),
        (Self::UserUnblocked, "user.unblock", "User unblocked"),
        (Self::UserApproved, "user.approve", "User approved"),
        (Self::UserRejected, "user.reject", "User rejected"),
        (
            Self::OwnerTransferred,
            "transferred.owner.role",
            "Transferred owner role",
        ),
        (Self::GroupAdded, "user.group.add", "Group added to user"),
        (
            Self::GroupRemoved,
            "user.group.delete",
            "Group removed from user",
        ),
        (Self::UserJoined, "user.join", "User joined"),
        (Self::Login, "dashboard.login", "Dashboard login"),
    ];

    /// NetBird's code, as it stands in the table.
    pub fn code(self) -> &'static str {
        Self::TABLE
            .iter()
            .find(|(activity, ..)| *activity == self)
            .map_or("", |(_, code, _)| code)
    }

    /// Every code.
    pub fn codes() -> impl Iterator<Item = &'static str> {
        Self::TABLE.into_iter().map(|(_, code, _)| code)
    }

    /// The text for people that belongs to a code; the code itself for one of a newer release.
    pub fn text_of(code: &str) -> &str {
        Self::TABLE
            .iter()
            .find(|(_, known, _)| *known == code)
            .map_or(code, |(.., text)| text)
    }
}

/// Who did it, as they were then.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields of NetBird's event")]
pub struct Initiator {
    pub id: Box<str>,
    pub name: Box<str>,
    pub email: Box<str>,
}

impl Initiator {
    /// The first start or the command line: NetBird's id for what no user did.
    pub fn system() -> Self {
        Self {
            id: "sys".into(),
            name: "netbird-auth".into(),
            email: "".into(),
        }
    }
}

impl From<&User> for Initiator {
    fn from(user: &User) -> Self {
        Self {
            id: user.id.as_str().into(),
            name: user.name.as_str().into(),
            email: user.email.as_str().into(),
        }
    }
}

/// A row to be.
#[derive(Clone, Debug)]
pub struct NewAuditEvent<'a> {
    /// The present.
    pub at: Timestamp,
    /// What happened.
    pub activity: Activity,
    /// Who did it.
    pub initiator: &'a Initiator,
    /// To whom.
    pub target: &'a User,
    /// Row of the token, where it is about one.
    pub token: Option<TokenNumber>,
    /// Details for people, by NetBird's names.
    pub meta: &'a [(&'a str, &'a str)],
}

/// A row as the API shows it.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields of NetBird's event")]
pub struct AuditEvent {
    pub number: i64,
    pub at: Timestamp,
    pub activity_code: String,
    pub initiator: Initiator,
    pub target_id: String,
    /// A JSON object with string values.
    pub meta: serde_json::Map<String, serde_json::Value>,
}

/// Which rows a change touched: how a server learns what another process did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangedRows {
    /// Of the event.
    pub event: i64,
    /// Of the user.
    pub user: UserNumber,
    /// Of the token, where it was about one.
    pub token: Option<TokenNumber>,
}

/// Writes an event, in the transaction of the change that it tells of.
///
/// # Errors
/// What SQLite says.
pub fn insert_audit(connection: &Connection, event: &NewAuditEvent<'_>) -> rusqlite::Result<()> {
    let meta: serde_json::Map<String, serde_json::Value> = event
        .meta
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).into()))
        .collect();
    connection
        .prepare_cached(
            "INSERT INTO audit_events (at, activity_code, initiator_id, initiator_name,
                                       initiator_email, target_id, meta, user, token)
             VALUES (:at, :activity_code, :initiator_id, :initiator_name, :initiator_email,
                     :target_id, :meta, :user, :token)",
        )?
        .execute(named_params! {
            ":at": event.at,
            ":activity_code": event.activity.code(),
            ":initiator_id": event.initiator.id,
            ":initiator_name": event.initiator.name,
            ":initiator_email": event.initiator.email,
            ":target_id": event.target.id,
            ":meta": serde_json::Value::Object(meta).to_string(),
            ":user": event.target.number,
            ":token": event.token,
        })?;
    Ok(())
}

/// At most `limit` events before a row number, newest first; `None` starts with the newest.
///
/// # Errors
/// What SQLite says.
pub fn audit_page(
    connection: &Connection,
    before: Option<i64>,
    limit: u32,
) -> rusqlite::Result<Vec<AuditEvent>> {
    connection
        .prepare_cached(
            "SELECT number, at, activity_code, initiator_id, initiator_name, initiator_email,
                    target_id, meta
             FROM audit_events WHERE number < :before ORDER BY number DESC LIMIT :limit",
        )?
        .query_map(
            named_params! { ":before": before.unwrap_or(i64::MAX), ":limit": limit },
            event_of,
        )?
        .collect()
}

/// The newest event's row number, also where retention has deleted it since; 0 where there was none.
///
/// # Errors
/// What SQLite says.
pub fn last_audit_number(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(
            "SELECT max(coalesce((SELECT max(number) FROM audit_events), 0),
                        coalesce((SELECT number - 1 FROM audit_floor), 0))",
        )?
        .query_row((), |row| row.get(0))
}

/// The rows that changed after an event, oldest first.
///
/// # Errors
/// What SQLite says.
pub fn changed_since(connection: &Connection, event: i64) -> rusqlite::Result<Vec<ChangedRows>> {
    connection
        .prepare_cached(
            "SELECT number, user, token FROM audit_events WHERE number > :event ORDER BY number",
        )?
        .query_map(named_params! { ":event": event }, |row| {
            Ok(ChangedRows {
                event: row.get(0)?,
                user: row.get(1)?,
                token: row.get(2)?,
            })
        })?
        .collect()
}

fn event_of(row: &Row<'_>) -> rusqlite::Result<AuditEvent> {
    let meta: String = row.get(7)?;
    Ok(AuditEvent {
        number: row.get(0)?,
        at: row.get(1)?,
        activity_code: row.get(2)?,
        initiator: Initiator {
            id: row.get(3)?,
            name: row.get(4)?,
            email: row.get(5)?,
        },
        target_id: row.get(6)?,
        meta: serde_json::from_str(&meta).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(7, rusqlite::types::Type::Text, error.into())
        })?,
    })
}

//! The `users` table.

use rusqlite::{Connection, OptionalExtension, Row, named_params};

use crate::clock::Timestamp;
use crate::user::{Name, Role, User, UserId, UserNumber};

/// All that [`user_of`] reads, in its order.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT number, id, issuer, name, email, role, auto_groups, is_service, is_blocked, ",
            "is_pending, is_invited, last_login, role_issued_at FROM users ",
            $rest
        )
    };
}

/// Who made a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A person, through the API or the command line, or the first start.
    Api,
    /// Their own first login.
    Jwt,
}

impl Origin {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Jwt => "jwt",
        }
    }
}

/// A user to be.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Unique.
    pub id: UserId,
    /// Name of the issuer whose JWTs it is, or empty.
    pub issuer: Box<str>,
    /// Who makes it.
    pub origin: Origin,
    /// May be empty.
    pub name: Name,
    /// Empty for a service user.
    pub email: Name,
    /// See [`Role`].
    pub role: Role,
    /// Group ids.
    pub auto_groups: Box<[Box<str>]>,
    /// A machine.
    pub is_service: bool,
    /// Waits for an approval. Blocked until then too, as in NetBird.
    pub is_pending: bool,
    /// Not seen yet.
    pub is_invited: bool,
    /// The present.
    pub created_at: Timestamp,
}

/// Calls `each` with every user, oldest first.
///
/// # Errors
/// What SQLite says.
pub fn load_users(connection: &Connection, mut each: impl FnMut(User)) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(select!("ORDER BY number"))?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        each(user_of(row)?);
    }
    Ok(())
}

/// The user with an id.
///
/// # Errors
/// What SQLite says.
pub fn user_by_id(connection: &Connection, id: &str) -> rusqlite::Result<Option<User>> {
    connection
        .prepare_cached(select!("WHERE id = :id"))?
        .query_row(named_params! { ":id": id }, user_of)
        .optional()
}

/// The user in a row.
///
/// # Errors
/// What SQLite says.
pub fn user_by_number(
    connection: &Connection,
    number: UserNumber,
) -> rusqlite::Result<Option<User>> {
    connection
        .prepare_cached(select!("WHERE number = :number"))?
        .query_row(named_params! { ":number": number }, user_of)
        .optional()
}

/// The owner, if there is one.
///
/// # Errors
/// What SQLite says.
pub fn owner(connection: &Connection) -> rusqlite::Result<Option<User>> {
    connection
        .prepare_cached(select!("WHERE role = 'owner'"))?
        .query_row((), user_of)
        .optional()
}

/// Whether somebody was created here with an e-mail address, in any case of the ASCII letters.
///
/// # Errors
/// What SQLite says.
pub fn email_is_taken(connection: &Connection, email: &Name) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT 1 FROM users
             WHERE lower(email) = lower(:email) AND origin = 'api' AND email <> ''",
        )?
        .exists(named_params! { ":email": email })
}

/// Adds a user and returns it.
///
/// # Errors
/// What SQLite says.
pub fn insert_user(connection: &Connection, new: NewUser) -> rusqlite::Result<User> {
    connection
        .prepare_cached(
            "INSERT INTO users (id, issuer, origin, name, email, role, auto_groups, is_service,
                                is_blocked, is_pending, is_invited, created_at)
             VALUES (:id, :issuer, :origin, :name, :email, :role, :auto_groups, :is_service,
                     :is_pending, :is_pending, :is_invited, :created_at)
             RETURNING number",
        )?
        .query_row(
            named_params! {
                ":id": new.id,
                ":issuer": new.issuer,
                ":origin": new.origin.as_str(),
                ":name": new.name,
                ":email": new.email,
                ":role": new.role,
                ":auto_groups": groups_to_json(&new.auto_groups),
                ":is_service": new.is_service,
                ":is_pending": new.is_pending,
                ":is_invited": new.is_invited,
                ":created_at": new.created_at,
            },
            |row| row.get(0),
        )
        .map(|number| User {
            number,
            id: new.id,
            issuer: new.issuer,
            name: new.name,
            email: new.email,
            role: new.role,
            auto_groups: new.auto_groups,
            is_service: new.is_service,
            is_blocked: new.is_pending,
            is_pending: new.is_pending,
            is_invited: new.is_invited,
            last_login: None,
            role_issued_at: None,
        })
}

/// Writes what the API can change of a user: role, groups, block.
///
/// # Errors
/// What SQLite says.
pub fn update_user(connection: &Connection, user: &User) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE users SET role = :role, role_issued_at = :role_issued_at,
                              auto_groups = :auto_groups, is_blocked = :is_blocked
             WHERE number = :number",
        )?
        .execute(named_params! {
            ":role": user.role,
            ":role_issued_at": user.role_issued_at,
            ":auto_groups": groups_to_json(&user.auto_groups),
            ":is_blocked": user.is_blocked,
            ":number": user.number,
        })?;
    Ok(())
}

/// Lets a pending user in.
///
/// # Errors
/// What SQLite says.
pub fn approve_user(connection: &Connection, user: UserNumber) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE users SET is_pending = 0, is_blocked = 0 WHERE number = :number")?
        .execute(named_params! { ":number": user })?;
    Ok(())
}

/// Writes what a login changes of a user.
///
/// # Errors
/// What SQLite says.
pub fn save_login(connection: &Connection, user: &User) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE users SET role = :role, role_issued_at = :role_issued_at,
                              is_invited = :is_invited, last_login = :last_login
             WHERE number = :number",
        )?
        .execute(named_params! {
            ":role": user.role,
            ":role_issued_at": user.role_issued_at,
            ":is_invited": user.is_invited,
            ":last_login": user.last_login,
            ":number": user.number,
        })?;
    Ok(())
}

/// Writes when a user was last seen with a JWT; never back in time, and never of a user who is gone.
///
/// # Errors
/// What SQLite says.
pub fn save_last_login(
    connection: &Connection,
    user: UserNumber,
    at: Timestamp,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE users SET last_login = :at
             WHERE number = :number AND (last_login IS NULL OR last_login < :at)",
        )?
        .execute(named_params! { ":at": at, ":number": user })?;
    Ok(())
}

/// Deletes a user and, by the foreign key, their tokens.
///
/// # Errors
/// What SQLite says.
pub fn delete_user(connection: &Connection, user: UserNumber) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM users WHERE number = :number")?
        .execute(named_params! { ":number": user })?;
    Ok(())
}

fn user_of(row: &Row<'_>) -> rusqlite::Result<User> {
    let groups: String = row.get(6)?;
    let auto_groups = serde_json::from_str(&groups).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(6, rusqlite::types::Type::Text, Box::new(error))
    })?;
    Ok(User {
        number: row.get(0)?,
        id: row.get(1)?,
        issuer: row.get(2)?,
        name: row.get(3)?,
        email: row.get(4)?,
        role: row.get(5)?,
        auto_groups,
        is_service: row.get(7)?,
        is_blocked: row.get(8)?,
        is_pending: row.get(9)?,
        is_invited: row.get(10)?,
        last_login: row.get(11)?,
        role_issued_at: row.get(12)?,
    })
}

fn groups_to_json(groups: &[Box<str>]) -> String {
    serde_json::json!(groups).to_string()
}

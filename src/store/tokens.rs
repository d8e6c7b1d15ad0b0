//! The `tokens` and `token_usage` tables.

use rusqlite::{Connection, OptionalExtension, Row, named_params};

use crate::clock::Timestamp;
use crate::token::TokenHash;
use crate::user::{Name, TokenNumber, UserId, UserNumber};
use crate::xid::Xid;

/// All that [`token_of`] reads, in its order.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT tokens.number, tokens.hash, tokens.id, tokens.name, ",
            "coalesce(tokens.created_by, users.id), tokens.created_at, tokens.expires_at, ",
            "token_usage.last_used, tokens.user ",
            "FROM tokens JOIN users ON users.number = tokens.user ",
            "LEFT JOIN token_usage ON token_usage.token = tokens.number ",
            $rest
        )
    };
}

/// A token's record; its plain text is nowhere.
#[derive(Clone, Debug)]
pub struct Token {
    /// Row number.
    pub number: TokenNumber,
    /// What memory knows it by.
    pub hash: TokenHash,
    /// Id on the wire.
    pub id: Xid,
    /// Whose it is.
    pub user: UserNumber,
    /// What its maker called it.
    pub name: Name,
    /// Id of its maker.
    pub created_by: UserId,
    /// When it was made.
    pub created_at: Timestamp,
    /// From this moment on it is refused.
    pub expires_at: Timestamp,
    /// As of the last flush; memory knows it better while a server runs.
    pub last_used: Option<Timestamp>,
}

/// A token to be.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Of the plain text.
    pub hash: TokenHash,
    /// Whose it is to be.
    pub user: UserNumber,
    /// What its maker calls it.
    pub name: Name,
    /// Its maker, where that is another than its user.
    pub created_by: Option<UserId>,
    /// The present.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// What memory holds of a token.
#[derive(Clone, Copy, Debug)]
pub struct LoadedToken {
    /// The key.
    pub hash: TokenHash,
    /// Row number.
    pub number: TokenNumber,
    /// On the wire.
    pub id: Xid,
    /// Whose it is.
    pub user: UserNumber,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it last passed.
    pub last_used: Option<Timestamp>,
}

impl From<&Token> for LoadedToken {
    fn from(token: &Token) -> Self {
        Self {
            hash: token.hash,
            number: token.number,
            id: token.id,
            user: token.user,
            expires_at: token.expires_at,
            last_used: token.last_used,
        }
    }
}

/// Calls `each` with every token.
///
/// # Errors
/// What SQLite says.
pub fn load_tokens(
    connection: &Connection,
    mut each: impl FnMut(LoadedToken),
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "SELECT hash, number, id, user, expires_at, last_used
         FROM tokens LEFT JOIN token_usage ON token_usage.token = tokens.number",
    )?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        each(LoadedToken {
            hash: row.get(0)?,
            number: row.get(1)?,
            id: row.get(2)?,
            user: row.get(3)?,
            expires_at: row.get(4)?,
            last_used: row.get(5)?,
        });
    }
    Ok(())
}

/// How many tokens there are.
///
/// # Errors
/// What SQLite says.
pub fn count_tokens(connection: &Connection) -> rusqlite::Result<u32> {
    connection.query_row("SELECT count(*) FROM tokens", (), |row| row.get(0))
}

/// At most `limit` tokens of a user after a row number, oldest first.
///
/// # Errors
/// What SQLite says.
pub fn tokens_of_user(
    connection: &Connection,
    user: UserNumber,
    after: Option<TokenNumber>,
    limit: u32,
) -> rusqlite::Result<Vec<Token>> {
    let sql = select!(
        "WHERE tokens.user = :user AND tokens.number > :after ORDER BY tokens.number LIMIT :limit"
    );
    connection
        .prepare_cached(sql)?
        .query_map(
            named_params! {
                ":user": user,
                ":after": after.map_or(0, |number| number.0),
                ":limit": limit,
            },
            token_of,
        )?
        .collect()
}

/// A user's token by its id.
///
/// # Errors
/// What SQLite says.
pub fn token_by_id(
    connection: &Connection,
    user: UserNumber,
    id: Xid,
) -> rusqlite::Result<Option<Token>> {
    connection
        .prepare_cached(select!("WHERE tokens.id = :id AND tokens.user = :user"))?
        .query_row(named_params! { ":id": id, ":user": user }, token_of)
        .optional()
}

/// Whose token has an id.
///
/// # Errors
/// What SQLite says.
pub fn token_id_owner(connection: &Connection, id: Xid) -> rusqlite::Result<Option<UserNumber>> {
    connection
        .prepare_cached("SELECT user FROM tokens WHERE id = :id")?
        .query_row(named_params! { ":id": id }, |row| row.get(0))
        .optional()
}

/// The token in a row.
///
/// # Errors
/// What SQLite says.
pub fn token_by_number(
    connection: &Connection,
    number: TokenNumber,
) -> rusqlite::Result<Option<Token>> {
    connection
        .prepare_cached(select!("WHERE tokens.number = :number"))?
        .query_row(named_params! { ":number": number }, token_of)
        .optional()
}

/// Hashes of all tokens of a user.
///
/// # Errors
/// What SQLite says.
pub fn hashes_of_user(
    connection: &Connection,
    user: UserNumber,
) -> rusqlite::Result<Vec<TokenHash>> {
    connection
        .prepare_cached("SELECT hash FROM tokens WHERE user = :user")?
        .query_map(named_params! { ":user": user }, |row| row.get(0))?
        .collect()
}

/// Adds a token and returns it.
///
/// # Errors
/// What SQLite says.
pub fn insert_token(connection: &Connection, new: &NewToken) -> rusqlite::Result<Token> {
    let number: TokenNumber = connection
        .prepare_cached(
            "INSERT INTO tokens (hash, id, user, name, created_by, created_at, expires_at)
             VALUES (:hash, :id, :user, :name, :created_by, :created_at, :expires_at)
             RETURNING number",
        )?
        .query_row(
            named_params! {
                ":hash": new.hash,
                ":id": Xid::new(new.created_at),
                ":user": new.user,
                ":name": new.name,
                ":created_by": new.created_by,
                ":created_at": new.created_at,
                ":expires_at": new.expires_at,
            },
            |row| row.get(0),
        )?;
    token_by_number(connection, number)?.ok_or(rusqlite::Error::QueryReturnedNoRows)
}

/// Deletes a token.
///
/// # Errors
/// What SQLite says.
pub fn delete_token(connection: &Connection, number: TokenNumber) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM tokens WHERE number = :number")?
        .execute(named_params! { ":number": number })?;
    Ok(())
}

/// Writes when a token last passed: never backwards, and nothing for a token that is gone.
///
/// # Errors
/// What SQLite says.
pub fn save_last_used(
    connection: &Connection,
    token: TokenNumber,
    last_used: Timestamp,
) -> rusqlite::Result<()> {
    let values = named_params! { ":token": token, ":last_used": last_used };
    // Nearly always there is a row: the wide table of tokens is then left alone.
    let newer = "UPDATE token_usage SET last_used = :last_used
                 WHERE token = :token AND last_used < :last_used";
    if connection.prepare_cached(newer)?.execute(values)? > 0 {
        return Ok(());
    }
    connection
        .prepare_cached(
            "INSERT INTO token_usage (token, last_used)
             SELECT number, :last_used FROM tokens WHERE number = :token
             ON CONFLICT (token) DO UPDATE SET last_used = excluded.last_used
             WHERE excluded.last_used > last_used",
        )?
        .execute(values)?;
    Ok(())
}

/// When the last token of an owner who may pass ends; `None` where there is no such token.
///
/// # Errors
/// What SQLite says.
pub fn last_owner_token_expiry(connection: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    connection
        .prepare_cached(
            "SELECT max(tokens.expires_at) FROM tokens JOIN users ON users.number = tokens.user
             WHERE users.role = 'owner' AND users.is_blocked = 0 AND users.is_pending = 0",
        )?
        .query_row((), |row| row.get(0))
}

fn token_of(row: &Row<'_>) -> rusqlite::Result<Token> {
    Ok(Token {
        number: row.get(0)?,
        hash: row.get(1)?,
        id: row.get(2)?,
        name: row.get(3)?,
        created_by: row.get(4)?,
        created_at: row.get(5)?,
        expires_at: row.get(6)?,
        last_used: row.get(7)?,
        user: row.get(8)?,
    })
}

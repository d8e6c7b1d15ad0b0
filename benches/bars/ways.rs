//! The ways in which others check a token, as handlers of the bench: each with a connection of its own
//! on the worker's thread, and with statements that are prepared once.

use std::path::{Path, PathBuf};

use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use netbird_auth::auth::{Presented, presented};
use netbird_auth::clock::Timestamp;
use netbird_auth::error::{ApiError, AuthFault};
use netbird_auth::policy::Denied;
use netbird_auth::token::{PlainToken, TokenHash};
use netbird_auth::user::{Role, TokenNumber, UserId, UserNumber};
use rusqlite::{Connection, OptionalExtension, named_params, params};

use crate::fill;

/// A database for each way.
#[derive(Clone)]
pub struct Databases {
    pub select: PathBuf,
    pub normal: PathBuf,
    pub full: PathBuf,
    /// With few tokens and with many.
    pub netbird: [PathBuf; 2],
}

/// Puts the routes into the plain server.
pub fn configure(config: &mut web::ServiceConfig, databases: &Databases) {
    let select = web::Data::new(indexed(&databases.select, "NORMAL"));
    let normal = web::Data::new(indexed(&databases.normal, "NORMAL"));
    let full = web::Data::new(indexed(&databases.full, "FULL"));
    config
        .service(web::resource("/select").app_data(select).to(select_each))
        .service(web::resource("/normal").app_data(normal).to(update_each))
        .service(web::resource("/full").app_data(full).to(update_each));
    for (place, path) in databases.netbird.iter().enumerate() {
        let connection = web::Data::new(as_netbird(path));
        let resource = web::resource(format!("/netbird-{place}"));
        config.service(resource.app_data(connection).to(netbird));
    }
}

/// The product's own schema, write-ahead log and index, and more cache than SQLite takes by itself.
fn indexed(path: &Path, synchronous: &str) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous};
             PRAGMA cache_size = -65536;"
        ))
        .unwrap();
    connection
}

/// What NetBird's server has: a rollback journal, and SQLite's own cache.
fn as_netbird(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch("PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL;")
        .unwrap();
    connection
}

/// The door's first half, as the product has it.
fn hash_of(request: &HttpRequest) -> Result<TokenHash, ApiError> {
    match presented(request.headers())? {
        Presented::Token(hash) => Ok(hash),
        Presented::Jwt(_) => Err(AuthFault::Malformed.into()),
    }
}

/// What a handler would want to know of whoever asks.
struct Found {
    token: TokenNumber,
    _user: (UserNumber, UserId, Role),
}

/// Whose token it is, and whether it passes.
fn find(connection: &Connection, hash: &TokenHash, now: Timestamp) -> Result<Found, ApiError> {
    let mut statement = connection
        .prepare_cached(
            "SELECT tokens.number, expires_at, users.number, users.id, role, is_blocked, is_pending
             FROM tokens JOIN users ON users.number = tokens.user WHERE hash = :hash",
        )
        .unwrap();
    let row = statement.query_row(named_params! { ":hash": hash }, |row| {
        let found = Found {
            token: row.get(0)?,
            _user: (row.get(2)?, row.get(3)?, row.get(4)?),
        };
        let (end, blocked, pending): (Timestamp, bool, bool) =
            (row.get(1)?, row.get(5)?, row.get(6)?);
        Ok((found, end, blocked, pending))
    });
    match row.optional().unwrap() {
        None => Err(AuthFault::Unknown.into()),
        Some((_, end, ..)) if now >= end => Err(AuthFault::Expired.into()),
        Some((_, _, true, _)) => Err(Denied::Blocked.into()),
        Some((_, _, _, true)) => Err(Denied::Pending.into()),
        Some((found, ..)) => Ok(found),
    }
}

/// A SELECT for each request; nothing is marked.
async fn select_each(
    request: HttpRequest,
    connection: web::Data<Connection>,
) -> Result<HttpResponse, ApiError> {
    find(&connection, &hash_of(&request)?, Timestamp::now())?;
    Ok(HttpResponse::Ok().body("ok"))
}

/// The SELECT, and the mark in a transaction of its own before the answer.
async fn update_each(
    request: HttpRequest,
    connection: web::Data<Connection>,
) -> Result<HttpResponse, ApiError> {
    let now = Timestamp::now();
    let found = find(&connection, &hash_of(&request)?, now)?;
    let mut statement = connection
        .prepare_cached(
            "INSERT INTO token_usage (token, last_used) VALUES (:token, :now)
             ON CONFLICT (token) DO UPDATE SET last_used = excluded.last_used",
        )
        .unwrap();
    statement
        .execute(named_params! { ":token": found.token, ":now": now })
        .unwrap();
    Ok(HttpResponse::Ok().body("ok"))
}

/// The statements of NetBird's server, one after the other.
async fn netbird(
    request: HttpRequest,
    connection: web::Data<Connection>,
) -> Result<HttpResponse, ApiError> {
    let now = Timestamp::now().to_string();
    let hash = STANDARD.encode(hash_of(&request)?.as_bytes());
    let run = |sql| connection.prepare_cached(sql).unwrap().execute(()).unwrap();
    run("BEGIN");
    let mut by_hash = connection
        .prepare_cached("SELECT * FROM personal_access_tokens WHERE hashed_token = ?1 LIMIT 1")
        .unwrap();
    let token = by_hash.query_row([hash], |row| {
        Ok((
            row.get::<_, String>("id")?,
            row.get::<_, String>("expiration_date")?,
        ))
    });
    let Some((token, end)) = token.optional().unwrap() else {
        run("ROLLBACK");
        return Err(AuthFault::Unknown.into());
    };
    let (account, blocked): (String, bool) = connection
        .prepare_cached(
            "SELECT users.* FROM users JOIN personal_access_tokens ON user_id = users.id
             WHERE personal_access_tokens.id = ?1 LIMIT 1",
        )
        .unwrap()
        .query_row([&token], |row| {
            Ok((row.get("account_id")?, row.get("blocked")?))
        })
        .unwrap();
    run("COMMIT");
    let _: String = connection
        .prepare_cached("SELECT domain, domain_category FROM accounts WHERE id = ?1")
        .unwrap()
        .query_row([account], |row| row.get(0))
        .unwrap();
    if now >= end {
        return Err(AuthFault::Expired.into());
    }
    if blocked {
        return Err(Denied::Blocked.into());
    }
    connection
        .prepare_cached("UPDATE personal_access_tokens SET last_used = ?1 WHERE id = ?2")
        .unwrap()
        .execute([now, token])
        .unwrap();
    Ok(HttpResponse::Ok().body("ok"))
}

/// Makes a database as NetBird's server has it, with tokens that are known by their numbers. The hash
/// is ours in the place of SHA-256: a text as long.
pub fn fill_netbird(path: &Path, tokens: u32, users: u32) {
    let now = Timestamp::now();
    let mut connection = Connection::open(path).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE accounts (id text PRIMARY KEY, created_by text, created_at datetime,
                 domain text, domain_category text, is_domain_primary_account numeric);
             CREATE TABLE users (id text PRIMARY KEY, account_id text, role text,
                 is_service_user numeric, non_deletable numeric, service_user_name text,
                 auto_groups text, blocked numeric, last_login datetime, created_at datetime,
                 issued text);
             CREATE INDEX idx_users_account_id ON users (account_id);
             CREATE TABLE personal_access_tokens (id text PRIMARY KEY, user_id text, name text,
                 hashed_token text, expiration_date datetime, created_by text,
                 created_at datetime, last_used datetime);
             CREATE INDEX idx_personal_access_tokens_user_id ON personal_access_tokens (user_id);",
        )
        .unwrap();
    let transaction = connection.transaction().unwrap();
    transaction
        .execute(
            "INSERT INTO accounts VALUES ('account', 'user', ?1, 'home.arpa', 'private', 1)",
            [now.to_string()],
        )
        .unwrap();
    for number in 1..=users {
        transaction
            .prepare_cached(
                "INSERT INTO users VALUES (?1, 'account', 'user', 0, 0, '', '[]', 0, ?2, ?2, 'api')",
            )
            .unwrap()
            .execute([fill::user_id(number), now.to_string()])
            .unwrap();
    }
    for number in 0..tokens {
        let user = fill::user_id(1 + number % users);
        let hash = PlainToken::parse(&fill::token(number)).unwrap().hash();
        transaction
            .prepare_cached(
                "INSERT INTO personal_access_tokens VALUES (?1, ?2, ?3, ?4, ?5, ?2, ?6, ?6)",
            )
            .unwrap()
            .execute(params![
                fill::token_id(number).as_str(),
                user,
                format!("token {number}"),
                STANDARD.encode(hash.as_bytes()),
                now.plus_days(365).to_string(),
                now.to_string(),
            ])
            .unwrap();
    }
    transaction.commit().unwrap();
}

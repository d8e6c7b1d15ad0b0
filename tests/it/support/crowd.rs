//! Users and tokens put straight into a database, before its server starts.

use std::sync::Arc;

use netbird_auth::clock::Timestamp;
use netbird_auth::token::PlainToken;
use netbird_auth::xid::Xid;
use rusqlite::{Connection, params};
use tempfile::TempDir;

use super::{Server, netbird_auth};

/// A database with its owner; what a test adds is there from the server's first moment on.
pub struct Crowd {
    folder: Arc<TempDir>,
    owner_token: String,
    pub database: Connection,
}

impl Crowd {
    pub fn new() -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let out = folder.path().join("first-token");
        let made = netbird_auth(folder.path())
            .args(["bootstrap", "--out"])
            .arg(&out)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "{errors}");
        let database = Connection::open(folder.path().join("test.db")).unwrap();
        // One transaction for all that is added: it ends when the server starts.
        database.execute_batch("BEGIN").unwrap();
        Self {
            owner_token: std::fs::read_to_string(out).unwrap().trim().to_owned(),
            folder,
            database,
        }
    }

    /// An active user.
    pub fn user(&self, id: &str, role: &str, is_service: bool) {
        let email = match is_service {
            true => String::new(),
            false => format!("{id}@home.arpa"),
        };
        self.database
            .execute(
                "INSERT INTO users (id, origin, name, email, role, is_service, created_at)
                 VALUES (?1, 'api', ?1, ?2, ?3, ?4, ?5)",
                params![id, email, role, is_service, Timestamp::now().micros()],
            )
            .unwrap();
    }

    /// Sets a column that no request sets, such as `("ann", "is_pending")`.
    pub fn mark(&self, id: &str, column: &str) {
        let sql = format!("UPDATE users SET {column} = 1 WHERE id = ?1");
        assert_eq!(self.database.execute(&sql, [id]).unwrap(), 1);
    }

    /// A token of a user that is good for 30 days: the plain token and its id.
    pub fn token(&self, user: &str, name: &str) -> (String, String) {
        let (plain, now) = (PlainToken::generate().unwrap(), Timestamp::now());
        let id = Xid::new(now).as_str().to_owned();
        let added = self.database.execute(
            "INSERT INTO tokens (hash, id, user, name, created_at, expires_at)
             SELECT ?1, ?2, number, ?3, ?4, ?5 FROM users WHERE id = ?6",
            params![
                plain.hash().as_bytes(),
                id,
                name,
                now.micros(),
                now.plus_days(30).micros(),
                user
            ],
        );
        assert_eq!(added.unwrap(), 1, "no user {user}");
        (plain.expose().to_owned(), id)
    }

    /// A user with a token: the plain token.
    pub fn member(&self, id: &str, role: &str, is_service: bool) -> String {
        self.user(id, role, is_service);
        self.token(id, "first").0
    }

    /// The server, with everybody in.
    pub fn start(self) -> Server {
        self.start_with(&[])
    }

    /// As [`Crowd::start`], with settings such as `("LIMITS__WRITE_TIMEOUT", "1")`.
    pub fn start_with(self, settings: &[(&str, &str)]) -> Server {
        self.database.execute_batch("COMMIT").unwrap();
        drop(self.database);
        Server::start_prepared(self.folder, settings, self.owner_token)
    }
}

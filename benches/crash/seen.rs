//! Users and their tokens as somebody sees them: the API's lists, or the rows of the file.

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde_json::Value;

use crate::http::Client;
use crate::state::{Token, User};

/// Why nothing was seen.
pub enum Unseen {
    /// No whole answer came, or a 5xx one: of what is there it says nothing.
    Silent(String),
    /// An answer that no right server gives.
    Wrong(String),
}

impl From<Unseen> for String {
    fn from(unseen: Unseen) -> Self {
        let (Unseen::Silent(why) | Unseen::Wrong(why)) = unseen;
        why
    }
}

impl From<String> for Unseen {
    fn from(why: String) -> Self {
        Self::Wrong(why)
    }
}

/// All users that are no people, by their names.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Seen {
    pub users: BTreeMap<String, User>,
}

impl Seen {
    /// Those whose name begins so, as the server lists them.
    pub fn of_server(client: &Client, prefix: &str) -> Result<Self, Unseen> {
        let mut seen = Self::default();
        for user in &list(client, "/api/users?service_user=true")? {
            let (id, name) = (text(user, "id")?, text(user, "name")?);
            if !name.starts_with(prefix) {
                continue;
            }
            let tokens = list(client, &format!("/api/users/{id}/tokens"))?;
            let mut new = User {
                id: Some(id),
                role: text(user, "role")?,
                is_blocked: user["is_blocked"] == true,
                groups: groups(&user["auto_groups"])?,
                tokens: BTreeMap::new(),
            };
            for token in &tokens {
                new.add(text(token, "name")?, text(token, "id")?)?;
            }
            seen.add(name, new)?;
        }
        Ok(seen)
    }

    /// All of them, as the rows have them.
    pub fn of_file(database: &Connection) -> Result<Self, String> {
        let failed = |error: rusqlite::Error| format!("the rows can't be read: {error}");
        let mut seen = Self::default();
        let users = "SELECT number, id, name, role, is_blocked, auto_groups FROM users
                     WHERE is_service = 1";
        let tokens = "SELECT name, id FROM tokens WHERE user = ?1";
        let mut users = database.prepare(users).map_err(failed)?;
        let mut tokens = database.prepare(tokens).map_err(failed)?;
        let mut rows = users.query(()).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let number: i64 = row.get(0).map_err(failed)?;
            let text: String = row.get(5).map_err(failed)?;
            let stored = serde_json::from_str(&text).map_err(|error| format!("{text}: {error}"))?;
            let mut new = User {
                id: row.get(1).map_err(failed)?,
                role: row.get(3).map_err(failed)?,
                is_blocked: row.get(4).map_err(failed)?,
                groups: groups(&stored)?,
                tokens: BTreeMap::new(),
            };
            let mut rows = tokens.query([number]).map_err(failed)?;
            while let Some(row) = rows.next().map_err(failed)? {
                new.add(row.get(0).map_err(failed)?, row.get(1).map_err(failed)?)?;
            }
            seen.add(row.get(2).map_err(failed)?, new)?;
        }
        Ok(seen)
    }

    fn add(&mut self, name: String, user: User) -> Result<(), String> {
        match self.users.insert(name.clone(), user) {
            None => Ok(()),
            Some(_) => Err(format!("the user {name} is there twice")),
        }
    }
}

impl User {
    fn add(&mut self, name: String, id: String) -> Result<(), String> {
        let token = Token {
            id: Some(id),
            plain: None,
        };
        match self.tokens.insert(name.clone(), token) {
            None => Ok(()),
            Some(_) => Err(format!("the token {name} is there twice")),
        }
    }
}

/// An array of the API.
pub fn list(client: &Client, path: &str) -> Result<Vec<Value>, Unseen> {
    let answer = client.try_send("GET", path, &[], b"");
    let answer = answer.map_err(|error| Unseen::Silent(format!("GET {path}: {error}")))?;
    let body = String::from_utf8_lossy(&answer.body);
    let what = format!("GET {path} as the owner: {}: {body}", answer.status);
    match (answer.status, serde_json::from_str(&body)) {
        (200, Ok(Value::Array(list))) => Ok(list),
        // Cut off.
        (200, Err(_)) | (500.., _) => Err(Unseen::Silent(what)),
        _ => Err(Unseen::Wrong(what)),
    }
}

fn text(object: &Value, name: &str) -> Result<String, String> {
    let text = object[name].as_str().map(str::to_owned);
    text.ok_or_else(|| format!("{object} has no {name}"))
}

fn groups(list: &Value) -> Result<Vec<String>, String> {
    serde_json::from_value(list.clone()).map_err(|error| format!("{list}: {error}"))
}

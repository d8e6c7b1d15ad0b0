//! What was acknowledged is there after any kill, and what was used is there after a stop.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use netbird_auth::clock::Timestamp;
use netbird_auth::token::TokenHash;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{Client, Server, eventually, id_of};

/// What one writer was told, and so must be found again.
struct Ledger {
    user: String,
    role: &'static str,
    is_blocked: bool,
    /// Id and plain text.
    tokens: Vec<(String, String)>,
    revoked: Vec<String>,
    /// The request whose answer never came: it was made, or it was not.
    pending: Option<Write>,
}

#[derive(Clone, PartialEq, Debug)]
enum Write {
    Create,
    Revoke(String),
    Update {
        role: &'static str,
        is_blocked: bool,
    },
}

impl Ledger {
    /// Writes until the server is gone, one tick per acknowledgement.
    fn write_on(&mut self, client: &Client, round: usize, acknowledged: &Sender<()>) {
        for step in round.. {
            let write = match step % 5 {
                0 | 1 => Write::Create,
                2 => Write::Update {
                    role: ["admin", "auditor", "user"][step % 3],
                    is_blocked: self.is_blocked,
                },
                3 => Write::Update {
                    role: self.role,
                    is_blocked: !self.is_blocked,
                },
                _ if self.tokens.is_empty() => continue,
                _ => Write::Revoke(self.tokens[step % self.tokens.len()].0.clone()),
            };
            self.pending = Some(write.clone());
            let Some(answer) = self.send(client, &write) else {
                return;
            };
            self.pending = None;
            match write {
                Write::Create => {
                    let plain = answer["plain_token"].as_str().unwrap().to_owned();
                    let id = id_of(&answer["personal_access_token"]);
                    self.tokens.push((id, plain));
                }
                Write::Revoke(id) => {
                    let place = self.tokens.iter().position(|token| token.0 == id);
                    self.revoked.push(self.tokens.remove(place.unwrap()).1);
                }
                Write::Update { role, is_blocked } => {
                    (self.role, self.is_blocked) = (role, is_blocked);
                }
            }
            let _ = acknowledged.send(());
        }
    }

    /// The answer, if one came.
    fn send(&self, client: &Client, write: &Write) -> Option<Value> {
        let user = format!("/api/users/{}", self.user);
        let tokens = format!("{user}/tokens");
        let (method, path, body) = match write {
            Write::Create => ("POST", tokens, json!({"name": "n", "expires_in": 1})),
            Write::Revoke(id) => ("DELETE", format!("{tokens}/{id}"), Value::Null),
            Write::Update { role, is_blocked } => {
                let body = json!({"role": role, "is_blocked": is_blocked, "auto_groups": []});
                ("PUT", user, body)
            }
        };
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let answer = client.try_send(method, &path, &[], body.as_bytes());
        answer.ok().map(|answer| answer.ok())
    }

    /// Holds the ledger against the server; what was pending is then known.
    fn check(&mut self, server: &Server) {
        let path = format!("/api/users/{}", self.user);
        let listed = server.owner.get(&format!("{path}/tokens")).ok();
        let listed = listed.as_array().unwrap();
        let ids: Vec<&str> = listed
            .iter()
            .map(|token| token["id"].as_str().unwrap())
            .collect();
        let users = server.owner.get("/api/users?service_user=true").ok();
        let user = users
            .as_array()
            .unwrap()
            .iter()
            .find(|user| user["id"] == self.user);
        let user = user.expect("the user is there");
        let found = (user["role"].clone(), user["is_blocked"].clone());
        let mut more = 0;
        match self.pending.take() {
            Some(Write::Revoke(id)) if !ids.contains(&id.as_str()) => {
                let place = self.tokens.iter().position(|token| token.0 == id);
                self.revoked.push(self.tokens.remove(place.unwrap()).1);
            }
            Some(Write::Create) => more = ids.len() - self.tokens.len(),
            Some(Write::Update { role, is_blocked })
                if found == (json!(role), json!(is_blocked)) =>
            {
                (self.role, self.is_blocked) = (role, is_blocked);
            }
            _ => {}
        }
        assert_eq!(found, (json!(self.role), json!(self.is_blocked)));
        assert!(more <= 1);
        assert_eq!(ids.len(), self.tokens.len() + more);
        for (id, plain) in &self.tokens {
            assert!(ids.contains(&id.as_str()), "an acknowledged token is gone");
            let status = server.client(plain).get("/api/users").status;
            assert_eq!(status, if self.is_blocked { 403 } else { 200 });
        }
        for plain in &self.revoked {
            assert_eq!(server.client(plain).get("/api/users").status, 401);
        }
        if more == 1 {
            // Nobody knows its plain text: away with it.
            let known = |id: &&str| self.tokens.iter().any(|token| token.0 == *id);
            let unknown = ids.iter().find(|id| !known(id)).unwrap();
            server
                .owner
                .delete(&format!("{path}/tokens/{unknown}"))
                .ok();
        }
    }
}

#[test]
fn every_acknowledged_write_is_there_after_ten_kills() {
    let mut server = Server::start();
    let mut ledgers: Vec<Ledger> = (0..4)
        .map(|_| Ledger {
            user: server.service_user("user"),
            role: "user",
            is_blocked: false,
            tokens: Vec::new(),
            revoked: Vec::new(),
            pending: None,
        })
        .collect();
    for round in 0..10 {
        let (sender, acknowledged): (_, Receiver<()>) = channel();
        let client = server.owner.clone();
        server = std::thread::scope(|threads| {
            for (number, ledger) in ledgers.iter_mut().enumerate() {
                let (client, sender) = (client.clone(), sender.clone());
                threads.spawn(move || ledger.write_on(&client, round + number, &sender));
            }
            drop(sender);
            // A different moment each time: after so many acknowledgements, in the midst of more.
            let wanted = 5 + 7 * round % 23;
            assert_eq!(acknowledged.iter().take(wanted).count(), wanted);
            server.kill_and_restart()
        });
        for ledger in &mut ledgers {
            ledger.check(&server);
        }
        check_whole(&server.database());
    }
    let written: usize = ledgers.iter().map(|ledger| ledger.tokens.len()).sum();
    assert!(written > 10, "{written}");
}

/// Nothing is damaged, and no change is there without its audit event or the other way round.
fn check_whole(database: &Connection) {
    let text = |sql: &str| -> String { database.query_row(sql, (), |row| row.get(0)).unwrap() };
    let number = |sql: &str| -> i64 { database.query_row(sql, (), |row| row.get(0)).unwrap() };
    assert_eq!(text("PRAGMA integrity_check"), "ok");
    assert_eq!(number("SELECT count(*) FROM pragma_foreign_key_check"), 0);
    let events = "SELECT count(*) FROM audit_events WHERE activity_code = 'personal.access.token.";
    let balance = number(&format!("{events}create'")) - number(&format!("{events}delete'"));
    assert_eq!(number("SELECT count(*) FROM tokens"), balance);
    let half_blocked = "SELECT count(*) FROM users WHERE is_blocked <> coalesce(
         (SELECT activity_code = 'user.block' FROM audit_events
          WHERE user = users.number AND activity_code IN ('user.block', 'user.unblock')
          ORDER BY number DESC LIMIT 1), 0)";
    assert_eq!(number(half_blocked), 0);
}

/// `last_used` in the file, by the hash of the token.
fn marks_in_file(database: &Connection) -> HashMap<[u8; 32], i64> {
    let sql = "SELECT hash, last_used FROM token_usage JOIN tokens ON tokens.number = token";
    let mut statement = database.prepare(sql).unwrap();
    let rows = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

fn hash_of(token: &str) -> [u8; 32] {
    *TokenHash::of_presented(token.as_bytes())
        .unwrap()
        .as_bytes()
}

/// New tokens of a new service user; its id.
fn tokens(server: &Server, count: usize) -> (String, Vec<String>) {
    let user = server.service_user("admin");
    let path = format!("/api/users/{user}/tokens");
    let body = json!({"name": "n", "expires_in": 1});
    let made = (0..count).map(|_| server.owner.post(&path, body.clone()).ok());
    let plain = made.map(|made| made["plain_token"].as_str().unwrap().to_owned());
    let plain = plain.collect();
    (user, plain)
}

#[test]
fn a_stop_loses_no_mark() {
    let server = Server::start();
    let (_, tokens) = tokens(&server, 100);
    let before = Timestamp::now().micros();
    for token in &tokens {
        assert_eq!(server.client(token).get("/api/users").status, 200);
    }
    let folder = Arc::clone(&server.folder);
    assert_eq!(server.stop().0, Some(0));
    let marks = marks_in_file(&Connection::open(folder.path().join("test.db")).unwrap());
    for token in &tokens {
        let mark = marks.get(&hash_of(token)).expect("each is marked");
        assert!(*mark >= before);
    }
}

#[test]
fn a_mark_is_in_the_file_soon_without_any_further_request() {
    let server = Server::start();
    let (_, tokens) = tokens(&server, 1);
    let database = server.database();
    assert_eq!(server.client(&tokens[0]).get("/api/users").status, 200);
    let since = Instant::now();
    eventually("the mark is written", || {
        marks_in_file(&database).get(&hash_of(&tokens[0])).copied()
    });
    // Each second, and a bit for a busy machine.
    assert!(
        since.elapsed() < Duration::from_secs(3),
        "{:?}",
        since.elapsed()
    );
}

#[test]
fn a_mark_never_goes_backwards() {
    let server = Server::start();
    let (user, tokens) = tokens(&server, 1);
    let folder = Arc::clone(&server.folder);
    assert_eq!(server.client(&tokens[0]).get("/api/users").status, 200);
    server.stop();
    // The clock was ahead once.
    let ahead = Timestamp::now().plus_days(1);
    let database = Connection::open(folder.path().join("test.db")).unwrap();
    let set = "UPDATE token_usage SET last_used = ?1";
    assert!(database.execute(set, [ahead.micros()]).unwrap() > 0);
    drop(database);
    let server = Server::start_in(Arc::clone(&folder), &[], String::new());
    let listed = server
        .client(&tokens[0])
        .get(&format!("/api/users/{user}/tokens"));
    assert_eq!(listed.ok()[0]["last_used"], json!(ahead.to_string()));
    server.stop();
    let marks = marks_in_file(&Connection::open(folder.path().join("test.db")).unwrap());
    assert_eq!(marks[&hash_of(&tokens[0])], ahead.micros());
}

#[test]
fn a_mark_does_not_bring_a_revoked_token_back() {
    let server = Server::start();
    let (user, tokens) = tokens(&server, 2);
    let path = format!("/api/users/{user}/tokens");
    let id = id_of(&server.owner.get(&path).ok()[0]);
    // Both are marked when the first is revoked, before any flush can have come.
    for token in tokens.iter().rev() {
        assert_eq!(server.client(token).get("/api/users").status, 200);
    }
    server.owner.delete(&format!("{path}/{id}")).ok();
    assert_eq!(server.client(&tokens[0]).get("/api/users").status, 401);
    let database = server.database();
    eventually("the other mark is written", || {
        marks_in_file(&database).get(&hash_of(&tokens[1])).copied()
    });
    let server = server.restart();
    assert_eq!(server.client(&tokens[0]).get("/api/users").status, 401);
    let database = server.database();
    let rows = |sql: &str| -> i64 { database.query_row(sql, (), |row| row.get(0)).unwrap() };
    assert_eq!(rows("SELECT count(*) FROM tokens"), 2);
    let orphans = "SELECT count(*) FROM token_usage WHERE token NOT IN (SELECT number FROM tokens)";
    assert_eq!(rows(orphans), 0);
}

#[test]
fn changes_by_others_lose_no_mark() {
    let server = Server::start();
    let (user, tokens) = tokens(&server, 1);
    let path = format!("/api/users/{user}/tokens");
    let last_used = || {
        let listed = server.owner.get(&path).ok();
        listed[0]["last_used"].as_str().map(str::to_owned)
    };
    assert_eq!(server.client(&tokens[0]).get("/api/users").status, 200);
    let used = last_used().expect("shown at once");
    // A command, whose audit event tells what changed.
    server.run_command(&["token", "create", "--user", &user]);
    server.log_line("took over");
    assert_eq!(last_used().as_ref(), Some(&used));
    // A program that tells nothing: everything is read anew.
    assert_eq!(server.client(&tokens[0]).get("/api/users").status, 200);
    let used = last_used().unwrap();
    let rename = "UPDATE users SET name = 'renamed' WHERE is_service = 1";
    server.database().execute(rename, ()).unwrap();
    server.log_line("reading all of it");
    eventually("the change is in force", || {
        let users = server.owner.get("/api/users?service_user=true").ok();
        (users[0]["name"] == "renamed").then_some(())
    });
    assert_eq!(last_used(), Some(used.clone()));
    let folder = Arc::clone(&server.folder);
    server.stop();
    let marks = marks_in_file(&Connection::open(folder.path().join("test.db")).unwrap());
    let written = Timestamp::from_micros(marks[&hash_of(&tokens[0])]).to_string();
    assert_eq!(written, used);
}

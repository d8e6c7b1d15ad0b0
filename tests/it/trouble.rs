//! A database that can't be written while the server runs: reads and authentication go on, writes
//! get 503, `/readyz` tells it, nothing acknowledged or marked is lost, and it heals by itself.

use std::fs;
use std::sync::Arc;
use std::time::Instant;

use netbird_auth::clock::Timestamp;
use netbird_auth::token::TokenHash;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};

use crate::support::{
    Client, Command, Response, SOON, Server, eventually, fresh_token, id_of, netbird_auth,
};

/// A server, and a machine's token that was never used before the trouble.
pub struct Patient {
    pub server: Server,
    pub machine: String,
    token: Client,
    id: String,
    /// Another, used at each onset of trouble only, and when that was.
    other: Client,
    marked: Timestamp,
    /// Whether the database is where it was.
    pub has_file: bool,
    /// Every token whose creation was acknowledged.
    made: Vec<String>,
}

impl Patient {
    pub fn new(server: Server) -> Self {
        let machine = server.service_user("auditor");
        let create = || server.owner.post(&tokens_of(&machine), new_token()).ok();
        let (made, other) = (create(), create());
        let (plain, other) = (plain_of(&made), plain_of(&other));
        Self {
            token: server.client(&plain),
            other: server.client(&other),
            marked: Timestamp::now(),
            id: id_of(&made["personal_access_token"]),
            has_file: true,
            made: vec![plain, other],
            machine,
            server,
        }
    }

    fn write(&self) -> Response {
        let path = tokens_of(&self.machine);
        self.server.owner.post(&path, new_token())
    }

    fn last_used(&self) -> Value {
        let path = format!("{}/{}", tokens_of(&self.machine), self.id);
        self.token.get(&path).ok()["last_used"].clone()
    }

    fn healthcheck(&self, arguments: &[&str]) -> Option<i32> {
        let address = self.server.address.to_string();
        self.server.healthcheck(&address, arguments)
    }

    fn mark(&mut self) {
        self.marked = Timestamp::now();
        assert_eq!(self.other.get("/api/users").status, 200);
    }

    /// All that must hold while nothing can be written; `/readyz` says one of the words.
    #[track_caller]
    pub fn is_ill(&mut self, words: &[&str]) {
        self.mark();
        // The mark is enough for the trouble to be seen.
        let anonymous = self.server.anonymous();
        let ready = eventually("it is told", || {
            let ready = anonymous.get("/readyz");
            (ready.status == 503).then_some(ready)
        });
        let refused = self.write();
        refused.error(503);
        assert!(refused.header("retry-after").is_some());
        let said = ready.error(503);
        assert!(words.iter().any(|word| said.contains(word)), "{said}");
        assert!(ready.header("retry-after").is_some());
        assert_eq!(anonymous.get("/healthz").status, 200);
        assert_eq!(self.healthcheck(&["--ready"]), Some(1));
        assert_eq!(self.healthcheck(&[]), Some(0));
        self.goes_on();
    }

    /// Reads and authentication, which no trouble of the writer stops or slows.
    #[track_caller]
    fn goes_on(&self) {
        let since = Instant::now();
        for _ in 0..20 {
            let users = self.token.get("/api/users").ok();
            assert_eq!(users.as_array().unwrap().len(), 2);
            let listed = self.token.get(&tokens_of(&self.machine));
            // A file that is not there can't be read; another's is never shown instead.
            if self.has_file || listed.status == 200 {
                let listed = listed.ok();
                assert_eq!(listed.as_array().unwrap().len(), self.made.len());
                assert_eq!(listed[0]["id"], json!(self.id));
                assert!(listed[0]["last_used"].is_string(), "shown from memory");
            } else {
                listed.error(503);
            }
        }
        let unknown = self.server.client(&fresh_token()).get("/api/users");
        assert_eq!(unknown.refused(401), "unknown or revoked token");
        assert!(since.elapsed() < SOON, "{:?}", since.elapsed());
    }

    /// Healed without a request that writes; every mark and every acknowledged change is in the
    /// file after the end, and nothing else.
    #[track_caller]
    pub fn heals(mut self) {
        let anonymous = self.server.anonymous();
        eventually("ready again", || {
            (anonymous.get("/readyz").status == 200).then_some(())
        });
        self.goes_on();
        eventually("the mark made meanwhile is in the file", || {
            (self.mark_in_file(&self.made[1])? >= self.marked).then_some(())
        });
        self.made.push(plain_of(&self.write().ok()));
        self.server.log_line("can be written again");
        let server = self.server.kill_and_restart();
        let rows: i64 = server
            .database()
            .query_row("SELECT count(*) FROM tokens", (), |row| row.get(0))
            .unwrap();
        assert_eq!(rows, self.made.len() as i64 + 1, "the owner's too");
        for token in &self.made {
            assert_eq!(server.client(token).get("/api/users").status, 200);
        }
    }

    fn mark_in_file(&self, token: &str) -> Option<Timestamp> {
        let database = self.server.database();
        let hash = TokenHash::of_presented(token.as_bytes()).unwrap();
        let sql = "SELECT last_used FROM token_usage JOIN tokens ON number = token WHERE hash = ?1";
        let micros = database.query_row(sql, [hash.as_bytes()], |row| row.get(0));
        Some(Timestamp::from_micros(micros.ok()?))
    }
}

fn tokens_of(user: &str) -> String {
    format!("/api/users/{user}/tokens")
}

fn new_token() -> Value {
    json!({"name": "ci", "expires_in": 30})
}

fn plain_of(made: &Value) -> String {
    made["plain_token"].as_str().unwrap().to_owned()
}

#[test]
fn a_database_locked_by_another_program_heals_when_the_lock_ends() {
    let mut patient = Patient::new(Server::start());
    let holder = patient.server.database();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    std::thread::scope(|threads| {
        // A write waits a while for the lock; nobody else waits with it.
        let write = threads.spawn(|| patient.write().status);
        patient.goes_on();
        assert!(!write.is_finished(), "it waits for the lock");
        assert_eq!(write.join().unwrap(), 503);
    });
    patient.is_ill(&["locked"]);
    let written = patient.mark_in_file(&patient.made[0]);
    assert_eq!(written, None, "shown before it was written");
    holder.execute_batch("ROLLBACK").unwrap();
    patient.heals();
}

#[test]
fn a_lock_that_nobody_writes_against_is_told_by_a_mark_and_heals() {
    let mut patient = Patient::new(Server::start());
    let holder = patient.server.database();
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    patient.mark();
    let anonymous = patient.server.anonymous();
    let said = eventually("the flush fails", || {
        let ready = anonymous.get("/readyz");
        (ready.status == 503).then(|| ready.error(503))
    });
    assert!(said.contains("locked"), "{said}");
    patient.goes_on();
    assert!(patient.last_used().is_string());
    holder.execute_batch("COMMIT").unwrap();
    patient.heals();
}

#[test]
fn it_heals_where_neither_a_mark_nor_a_request_writes() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let server = Server::start_in(folder, &["--no-bootstrap"], String::new());
    let holder = server.database();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let anonymous = server.anonymous();
    let setup = || {
        anonymous.post(
            "/api/setup",
            json!({"name": "Ada", "email": "ada@home.arpa"}),
        )
    };
    setup().error(503);
    eventually("it is told", || {
        (anonymous.get("/readyz").status == 503).then_some(())
    });
    holder.execute_batch("ROLLBACK").unwrap();
    eventually("ready again", || {
        (anonymous.get("/readyz").status == 200).then_some(())
    });
    assert_eq!(setup().status, 200, "the refused one was not made");
}

#[test]
fn a_database_that_was_moved_away_or_replaced_is_not_written() {
    // What stands at the path meanwhile: nothing, or a good database of somebody else.
    for replaced in [false, true] {
        let mut patient = Patient::new(Server::start());
        let path = patient.server.path();
        let kept = path.with_file_name("kept.db");
        fs::rename(&path, &kept).unwrap();
        let mut other = Vec::new();
        if replaced {
            let folder = tempfile::tempdir().unwrap();
            let mut command = netbird_auth(folder.path());
            assert!(command.arg("bootstrap").output().unwrap().status.success());
            fs::rename(folder.path().join("test.db"), &path).unwrap();
            other = fs::read(&path).unwrap();
        }
        patient.has_file = false;
        patient.is_ill(&["replaced or deleted"]);
        if replaced {
            assert!(fs::read(&path).unwrap() == other, "the other was touched");
        } else {
            assert!(!path.exists(), "it was made anew");
        }
        fs::rename(&kept, &path).unwrap();
        patient.has_file = true;
        patient.heals();
    }
}

#[test]
fn a_deleted_database_is_not_written_and_stays_an_error() {
    let mut patient = Patient::new(Server::start());
    fs::remove_file(patient.server.path()).unwrap();
    patient.has_file = false;
    patient.is_ill(&["replaced or deleted"]);
    let (code, log) = patient.server.stop();
    assert_eq!(code, Some(1), "the last marks are lost");
    let told = log.iter().any(|line| line.contains("could not be written"));
    assert!(told, "{}", log.join("\n"));
}

#[test]
fn a_full_disk_heals_when_there_is_room_again() {
    let mut patient = Patient::new(start_ignoring_the_size_signal());
    limit_file_size(&patient.server, Some(0));
    patient.is_ill(&["full", "can't be written"]);
    limit_file_size(&patient.server, None);
    patient.heals();
}

#[test]
fn a_disk_that_is_full_in_the_midst_of_a_transaction_undoes_all_of_it() {
    let mut patient = Patient::new(start_ignoring_the_size_signal());
    let log = patient.server.path().with_file_name("test.db-wal");
    // One page fits and a bit of the next: too little for a token, whichever batch it is in.
    let limit = fs::metadata(&log).unwrap().len() + 6000;
    limit_file_size(&patient.server, Some(limit));
    std::thread::scope(|threads| {
        let write = || patient.write();
        let writes: Vec<_> = (0..8).map(|_| threads.spawn(write)).collect();
        for write in writes {
            write.join().unwrap().error(503);
        }
    });
    patient.mark();
    patient.goes_on();
    limit_file_size(&patient.server, None);
    patient.heals();
}

/// A file that grows over the limit is then an error for the server, as on a full disk, and not a
/// signal that ends it.
fn start_ignoring_the_size_signal() -> Server {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let token = fresh_token();
    let binary = netbird_auth(folder.path());
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "trap '' XFSZ; exec \"$0\" serve"])
        .arg(binary.get_program())
        .current_dir(folder.path())
        .env("NETBIRD_AUTH_BOOTSTRAP__TOKEN", &token);
    for (name, value) in binary.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    Server::start_by(shell, folder, token)
}

fn limit_file_size(server: &Server, bytes: Option<u64>) {
    let pid = Pid::from_raw(server.pid().try_into().unwrap());
    let limit = Rlimit {
        current: bytes,
        maximum: None,
    };
    prlimit(pid, Resource::Fsize, limit).unwrap();
}

#[test]
fn a_change_that_was_refused_in_bad_times_is_not_made_later() {
    let patient = Patient::new(Server::start());
    let holder = patient.server.database();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let body = json!({"name": "late", "role": "user", "is_service_user": true, "auto_groups": []});
    patient.server.owner.post("/api/users", body).error(503);
    holder.execute_batch("ROLLBACK").unwrap();
    let server = patient.server.restart();
    let users: Vec<Value> = server
        .owner
        .get("/api/users")
        .ok()
        .as_array()
        .unwrap()
        .clone();
    assert!(users.iter().all(|user| user["name"] != "late"), "{users:?}");
}

//! What other processes do to the database beside the server: it is in force soon, from the first
//! moment of the start on.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use netbird_auth::change::{self, Actor, Refused};
use netbird_auth::clock::Timestamp;
use netbird_auth::index::{Effect, Index, Rejected};
use netbird_auth::policy::Denied;
use netbird_auth::store::{self, Token};
use netbird_auth::user::{Role, User};
use netbird_auth::writer::{Start, Writer};
use rusqlite::{Connection, TransactionBehavior};
use serde_json::json;
use tempfile::TempDir;

use crate::index::{machine, new_token, put};
use crate::support::{Server, eventually};
use crate::trouble::Patient;

/// A new database with one user, who has one token.
fn database() -> (TempDir, PathBuf, User, Token) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let made = store::create_database(&path, user_with_token);
    let (user, token) = made.unwrap();
    (folder, path, user, token)
}

fn user_with_token(database: &Connection) -> Result<(User, Token), Refused> {
    let now = Timestamp::now();
    let user = change::create_user(database, now, Actor::System, machine(Role::User))?.value;
    let token = change::create_token(database, now, Actor::System, &user.id, new_token())?.value;
    Ok((user, token))
}

/// One change, as the command line makes it.
fn commit<T>(connection: &mut Connection, change: impl FnOnce(&Connection) -> T) -> T {
    let immediate = TransactionBehavior::Immediate;
    let transaction = connection.transaction_with_behavior(immediate).unwrap();
    let done = change(&transaction);
    transaction.commit().unwrap();
    done
}

fn open(path: &Path) -> Connection {
    store::open_writer(path, Duration::from_secs(5)).unwrap()
}

#[test]
fn a_change_that_another_process_makes_during_the_start_is_in_force() {
    type Change = fn(&Connection, &User, &Token) -> Result<(), Refused>;
    let table: [(&str, Change, Rejected); 3] = [
        (
            "the token is revoked",
            |database, user, token| {
                let now = Timestamp::now();
                change::revoke_token(database, now, Actor::System, &user.id, token.id).map(drop)
            },
            Rejected::Unknown,
        ),
        (
            "the user is blocked",
            |database, user, _| {
                let (now, put) = (Timestamp::now(), put(Role::User, true));
                change::update_user(database, now, Actor::System, &user.id, put).map(drop)
            },
            Rejected::Denied(Denied::Blocked),
        ),
        (
            "the user is deleted",
            |database, user, _| {
                let now = Timestamp::now();
                change::delete_user(database, now, Actor::System, &user.id).map(drop)
            },
            Rejected::Unknown,
        ),
    ];
    for (what, change, expected) in table {
        // Once all is read: before the writer's thread runs, and while it does.
        for is_running in [false, true] {
            let (_folder, path, user, token) = database();
            let start = Start::load(open(&path), &path).unwrap();
            let index = start.index();
            let refused = || index.authenticate(&token.hash, Timestamp::now()).err();
            assert_eq!(refused(), None);
            let mut other = open(&path);
            let mut make = || commit(&mut other, |database| change(database, &user, &token));
            if !is_running {
                make().unwrap();
            }
            let (writer, thread) = Writer::start(start).unwrap();
            if is_running {
                make().unwrap();
            }
            eventually(what, || (refused() == Some(expected)).then_some(()));
            drop(writer);
            assert_eq!(thread.join(), Some(true));
        }
    }
}

#[test]
fn the_start_reads_one_moment_of_a_database_that_others_write() {
    let (_folder, path, ..) = database();
    let (commits, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let mut other = open(&path);
            other.pragma_update(None, "synchronous", false).unwrap();
            while !is_over.load(Ordering::Relaxed) {
                commit(&mut other, user_with_token).unwrap();
                commits.fetch_add(1, Ordering::Relaxed);
            }
        });
        let loaded: Vec<_> = (0..20)
            .map(|_| {
                let before = commits.load(Ordering::Relaxed);
                eventually("it goes on", || {
                    (commits.load(Ordering::Relaxed) > before).then_some(())
                });
                let start = Start::load(open(&path), &path);
                start.map(|start| start.index().counts())
            })
            .collect();
        is_over.store(true, Ordering::Relaxed);
        for loaded in loaded {
            // Every user comes with a token.
            let (users, tokens) = loaded.unwrap();
            assert_eq!(users, tokens);
        }
    });
}

#[test]
fn a_user_made_again_with_the_same_id_is_found_in_whatever_order_it_is_heard_of() {
    let (_folder, path, user, _) = database();
    let again = User {
        number: netbird_auth::user::UserNumber(user.number.0 + 1),
        ..user.clone()
    };
    let set = Effect::SetUser(again.clone());
    let dropped = Effect::DropUser(user.number);
    for effects in [[set.clone(), dropped.clone()], [dropped, set]] {
        let index = Index::load(&open(&path)).unwrap();
        assert_eq!(index.user_by_id(&user.id).unwrap().number, user.number);
        for effect in effects {
            index.apply(effect);
        }
        assert_eq!(index.user_by_id(&user.id).unwrap().number, again.number);
        assert_eq!(index.counts().0, 1);
    }
}

#[test]
fn a_user_deleted_and_made_again_by_commands_can_be_worked_with() {
    let server = Server::start();
    let create = |name: &str| {
        let arguments = ["user", "create", "--service", "--id", "X", "--name", name];
        server.run_command(&arguments);
        eventually("the new one is known", || {
            let users = server.owner.get("/api/users?service_user=true").ok();
            (users[0]["name"] == name).then_some(())
        });
    };
    create("0");
    let update = json!({"role": "auditor", "is_blocked": false, "auto_groups": []});
    let token = json!({"name": "ci", "expires_in": 1});
    for round in 1..=10 {
        server.run_command(&["user", "delete", "X"]);
        create(&round.to_string());
        let updated = server.owner.put("/api/users/X", update.clone()).ok();
        assert_eq!(updated["name"], round.to_string());
        let made = server.owner.post("/api/users/X/tokens", token.clone());
        made.ok();
    }
}

#[test]
fn a_row_edited_into_nonsense_is_told_and_heals_once_it_is_mended() {
    let table = [("name", "a\nb", "machine"), ("auto_groups", "none", "[]")];
    for (column, nonsense, good) in table {
        let mut patient = Patient::new(Server::start());
        let edit = |server: &Server, value: &str| {
            let sql = format!("UPDATE users SET {column} = ?1 WHERE is_service = 1");
            assert_eq!(server.database().execute(&sql, [value]).unwrap(), 1);
        };
        edit(&patient.server, nonsense);
        patient.is_ill(&["a row of the database can't be read"]);
        edit(&patient.server, good);
        patient.heals();
    }
}

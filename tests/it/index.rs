//! The memory index against the database under random operations, and changes that share a
//! transaction. In this process, through the library.

use std::collections::HashMap;
use std::path::Path;

use netbird_auth::change::{
    self, Actor, Changed, NewTokenRequest, NewUserRequest, Refused, UserUpdate,
};
use netbird_auth::clock::Timestamp;
use netbird_auth::index::Index;
use netbird_auth::policy::Denied;
use netbird_auth::store::{self, StoreError};
use netbird_auth::token::{Lifetime, PlainToken, TokenHash};
use netbird_auth::user::{Credential, Name, Role, User, UserId};
use netbird_auth::xid::Xid;
use proptest::prelude::*;
use rusqlite::Connection;

const START: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

/// Of users and tokens by a number: which of all that were ever made, round and round.
#[derive(Clone, Copy, Debug)]
enum Operation {
    CreateUser,
    Update(usize, Role, bool),
    DeleteUser(usize),
    CreateToken(usize),
    Revoke(usize),
    /// Used so many microseconds after the start.
    Use(usize, i64),
    Flush(usize),
    /// A flush whose transaction failed.
    FailedFlush(usize),
    /// A flush during which a token is used, or revoked.
    FlushWhileUsed(usize, i64),
    FlushWhileRevoked(usize),
    FlushWhileRebuilt(usize),
    /// Everything is read anew, after a change that nobody told of.
    Rebuild(usize),
}

fn operation() -> impl Strategy<Value = Operation> {
    let place = 0..12usize;
    let time = 0..1_000_000i64;
    let role = prop_oneof![Just(Role::Admin), Just(Role::User), Just(Role::Auditor)];
    prop_oneof![
        1 => Just(Operation::CreateUser),
        1 => (place.clone(), role, any::<bool>()).prop_map(|(u, r, b)| Operation::Update(u, r, b)),
        1 => place.clone().prop_map(Operation::DeleteUser),
        4 => place.clone().prop_map(Operation::CreateToken),
        2 => place.clone().prop_map(Operation::Revoke),
        6 => (place.clone(), time.clone()).prop_map(|(t, at)| Operation::Use(t, at)),
        2 => (0..4usize).prop_map(Operation::Flush),
        1 => (1..4usize).prop_map(Operation::FailedFlush),
        1 => (place.clone(), time).prop_map(|(t, at)| Operation::FlushWhileUsed(t, at)),
        1 => place.clone().prop_map(Operation::FlushWhileRevoked),
        1 => place.clone().prop_map(Operation::FlushWhileRebuilt),
        1 => place.prop_map(Operation::Rebuild),
    ]
}

/// A database, its index, and what a plain map says about the marks.
struct House {
    database: Connection,
    index: Index,
    users: Vec<UserId>,
    tokens: Vec<(UserId, Xid, TokenHash)>,
    marks: HashMap<[u8; 32], Timestamp>,
}

impl House {
    fn new() -> Self {
        let mut database = Connection::open_in_memory().unwrap();
        database.pragma_update(None, "foreign_keys", true).unwrap();
        database
            .execute_batch(include_str!("../../schema.sql"))
            .unwrap();
        store::migrate(&mut database, Path::new("")).unwrap();
        let index = Index::load(&database).unwrap();
        Self {
            database,
            index,
            users: Vec::new(),
            tokens: Vec::new(),
            marks: HashMap::new(),
        }
    }

    fn user(&self, place: usize) -> Option<&UserId> {
        self.users.get(place % self.users.len().max(1))
    }

    fn token(&self, place: usize) -> Option<&(UserId, Xid, TokenHash)> {
        self.tokens.get(place % self.tokens.len().max(1))
    }

    /// COMMIT, then the index; a change that is refused does nothing.
    fn take_over<T>(&self, changed: Result<Changed<T>, Refused>) -> Option<T> {
        let changed = changed.ok()?;
        for effect in changed.effects {
            self.index.apply(effect);
        }
        Some(changed.value)
    }

    fn create_user(&mut self) -> User {
        let made = change::create_user(&self.database, START, Actor::System, machine(Role::User));
        let user = self.take_over(made).unwrap();
        self.users.push(user.id.clone());
        user
    }

    fn create_token(&mut self, user: &UserId) -> Option<TokenHash> {
        let request = new_token();
        let made = change::create_token(&self.database, START, Actor::System, user, request);
        let token = self.take_over(made)?;
        self.tokens.push((user.clone(), token.id, token.hash));
        Some(token.hash)
    }

    fn revoke(&self, place: usize) {
        if let Some((user, id, _)) = self.token(place) {
            let revoke = change::revoke_token(&self.database, START, Actor::System, user, *id);
            self.take_over(revoke);
        }
    }

    fn used(&mut self, place: usize, at: i64) {
        let now = Timestamp::from_micros(START.micros() + at);
        if let Some(&(.., hash)) = self.token(place)
            && self.index.authenticate(&hash, now).is_ok()
        {
            let mark = self.marks.entry(*hash.as_bytes()).or_insert(now);
            *mark = (*mark).max(now);
        }
    }

    fn flush(&mut self, limit: usize, meanwhile: impl FnOnce(&mut Self)) {
        let marks = self.index.take_marks(limit);
        meanwhile(self);
        for mark in &marks {
            store::save_last_used(&self.database, mark.token, mark.last_used()).unwrap();
        }
        self.index.marks_written(&marks);
    }

    fn rebuild(&self, place: usize) {
        if let Some((user, id, _)) = self.token(place) {
            let _ = change::revoke_token(&self.database, START, Actor::System, user, *id);
        }
        self.index.replace(Index::load(&self.database).unwrap());
    }

    fn run(&mut self, operation: Operation) {
        match operation {
            Operation::CreateUser => drop(self.create_user()),
            Operation::Update(place, role, is_blocked) => {
                if let Some(user) = self.user(place) {
                    let update = put(role, is_blocked);
                    let made =
                        change::update_user(&self.database, START, Actor::System, user, update);
                    self.take_over(made);
                }
            }
            Operation::DeleteUser(place) => {
                if let Some(user) = self.user(place) {
                    let made = change::delete_user(&self.database, START, Actor::System, user);
                    self.take_over(made);
                }
            }
            Operation::CreateToken(place) => {
                if let Some(user) = self.user(place).cloned() {
                    self.create_token(&user);
                }
            }
            Operation::Revoke(place) => self.revoke(place),
            Operation::Use(place, at) => self.used(place, at),
            Operation::Flush(limit) => self.flush(limit, |_| {}),
            Operation::FailedFlush(limit) => {
                let marks = self.index.take_marks(limit);
                self.index.marks_failed(&marks);
            }
            Operation::FlushWhileUsed(place, at) => self.flush(100, |house| house.used(place, at)),
            Operation::FlushWhileRevoked(place) => self.flush(100, |house| house.revoke(place)),
            Operation::FlushWhileRebuilt(place) => self.flush(100, |house| house.rebuild(place)),
            Operation::Rebuild(place) => self.rebuild(place),
        }
    }

    /// The index answers as one that is read anew does.
    fn check(&self) -> Result<(), TestCaseError> {
        let fresh = Index::load(&self.database).unwrap();
        prop_assert_eq!(self.index.counts(), fresh.counts());
        prop_assert_eq!(
            self.index.users_after(None, 100),
            fresh.users_after(None, 100)
        );
        prop_assert_eq!(self.index.has_owner(), fresh.has_owner());
        for id in &self.users {
            prop_assert_eq!(self.index.user_by_id(id), fresh.user_by_id(id));
        }
        for (.., hash) in &self.tokens {
            let known = fresh.knows_token(hash);
            prop_assert_eq!(self.index.knows_token(hash), known);
            let mark = self.marks.get(hash.as_bytes()).copied();
            prop_assert_eq!(self.index.last_used(hash), mark.filter(|_| known));
        }
        Ok(())
    }

    /// Once all is written, the file has every mark, and both let the same tokens pass.
    fn check_written(mut self) -> Result<(), TestCaseError> {
        for _ in 0..50 {
            self.flush(3, |_| {});
        }
        prop_assert_eq!(self.index.oldest_mark(), None);
        let fresh = Index::load(&self.database).unwrap();
        let late = Timestamp::from_micros(START.micros() + 2_000_000);
        for (.., hash) in &self.tokens {
            prop_assert_eq!(fresh.last_used(hash), self.index.last_used(hash));
            let [ours, theirs] = [&self.index, &fresh].map(|index| {
                let passed = index.authenticate(hash, late);
                passed.map(|caller| (caller.user, caller.credential))
            });
            prop_assert_eq!(ours, theirs);
        }
        let ghosts =
            "SELECT count(*) FROM token_usage WHERE token NOT IN (SELECT number FROM tokens)";
        let ghosts: i64 = self
            .database
            .query_row(ghosts, (), |row| row.get(0))
            .unwrap();
        prop_assert_eq!(ghosts, 0);
        Ok(())
    }
}

pub fn machine(role: Role) -> NewUserRequest {
    NewUserRequest {
        id: None,
        issuer: "".into(),
        role,
        auto_groups: Box::new([]),
        is_service: true,
        name: Name::parse("machine").unwrap(),
        email: Name::empty(),
    }
}

pub fn new_token() -> NewTokenRequest {
    NewTokenRequest {
        hash: PlainToken::generate().unwrap().hash(),
        name: Name::parse("token").unwrap(),
        lifetime: Lifetime::days(1).unwrap(),
    }
}

pub fn put(role: Role, is_blocked: bool) -> UserUpdate {
    UserUpdate {
        role,
        auto_groups: Box::new([]),
        is_blocked,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn the_index_answers_as_the_database_does(operations in prop::collection::vec(operation(), 1..80)) {
        let mut house = House::new();
        for operation in operations {
            house.run(operation);
            house.check()?;
        }
        house.check_written()?;
    }
}

#[test]
fn a_change_is_judged_by_what_the_same_transaction_did_before() {
    /// What is done to an admin who then asks for something.
    type Before = fn(&Connection, &User, Xid) -> Result<(), Refused>;
    type Expected = fn(&Refused) -> bool;
    let table: [(&str, Before, Expected); 6] = [
        (
            "blocked",
            |database, user, _| update(database, user, Role::Admin, true),
            |refused| matches!(refused, Refused::Denied(Denied::Blocked)),
        ),
        (
            "made a user",
            |database, user, _| update(database, user, Role::User, false),
            |refused| matches!(refused, Refused::Denied(_)),
        ),
        (
            "their token revoked",
            |database, user, id| {
                change::revoke_token(database, START, Actor::System, &user.id, id).map(drop)
            },
            |refused| matches!(refused, Refused::CredentialGone),
        ),
        (
            "deleted",
            |database, user, _| {
                change::delete_user(database, START, Actor::System, &user.id).map(drop)
            },
            |refused| matches!(refused, Refused::CredentialGone),
        ),
        (
            "their token expired",
            |database, _, _| {
                database.execute("UPDATE tokens SET expires_at = ?1", [START])?;
                Ok(())
            },
            |refused| matches!(refused, Refused::CredentialGone),
        ),
        ("left alone", |_, _, _| Ok(()), |_| false),
    ];
    for (what, before, expected) in table {
        let mut house = House::new();
        let (admin, target) = (house.create_user(), house.create_user());
        update(&house.database, &admin, Role::Admin, false).unwrap();
        let hash = house.create_token(&admin.id).unwrap();
        let id = house.tokens[0].1;
        let caller = house.index.authenticate(&hash, START).unwrap();
        assert!(matches!(caller.credential, Credential::Token(_)));
        // The door let them in; then, in one transaction, this and what they ask for.
        let transaction = house.database.unchecked_transaction().unwrap();
        before(&transaction, &admin, id).unwrap();
        let actor = Actor::from(&caller);
        let user = &target.id;
        let asked: [Result<(), Refused>; 4] = [
            change::create_token(&transaction, START, actor, user, new_token()).map(drop),
            change::create_user(&transaction, START, actor, machine(Role::User)).map(drop),
            change::update_user(&transaction, START, actor, user, put(Role::Admin, true)).map(drop),
            change::delete_user(&transaction, START, actor, user).map(drop),
        ];
        transaction.commit().unwrap();
        for (number, asked) in asked.iter().enumerate() {
            match (what, asked) {
                ("left alone", Ok(())) => {}
                (_, Err(refused)) if expected(refused) => {}
                _ => panic!("{what}, {number}: {asked:?}"),
            }
        }
        let tokens = store::count_tokens(&house.database).unwrap();
        let mut users = 0;
        store::load_users(&house.database, |_| users += 1).unwrap();
        match what {
            "left alone" => assert_eq!((tokens, users), (1, 2), "made and deleted again"),
            "deleted" => assert_eq!((tokens, users), (0, 1)),
            "their token revoked" => assert_eq!((tokens, users), (0, 2)),
            _ => assert_eq!((tokens, users), (1, 2), "{what}"),
        }
    }
    fn update(
        database: &Connection,
        user: &User,
        role: Role,
        blocked: bool,
    ) -> Result<(), Refused> {
        let put = put(role, blocked);
        change::update_user(database, START, Actor::System, &user.id, put).map(drop)
    }
}

#[test]
fn the_error_of_the_database_is_told_from_a_refusal() {
    let house = House::new();
    house
        .database
        .execute_batch("PRAGMA query_only = ON")
        .unwrap();
    let made = change::create_user(&house.database, START, Actor::System, machine(Role::User));
    assert!(
        matches!(made, Err(Refused::Store(StoreError::Sqlite(_)))),
        "{made:?}"
    );
}

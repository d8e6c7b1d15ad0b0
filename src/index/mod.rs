//! What is held in memory: every token's hash and every user. Rebuilt from the store, never the
//! truth; a request is authenticated here without SQL, without an await, and with locks that a
//! writer holds for one map operation only.

mod entry;
mod logins;
mod mark;
mod slots;
#[cfg(test)]
mod tests;
mod tokens;
mod users;

pub use logins::PendingLogin;
pub use tokens::PendingMark;
pub use users::login_is_due;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use rusqlite::Connection;

use crate::clock::Timestamp;
use crate::policy::{self, Denied};
use crate::store::{self, LoadedToken};
use crate::token::TokenHash;
use crate::user::{Caller, Credential, TokenNumber, User, UserId, UserNumber};
use crate::xid::Xid;
use logins::Logins;
use tokens::Tokens;
use users::Users;

const PROGRESS_EVERY: Duration = Duration::from_secs(2);

/// The memory index.
pub struct Index {
    tokens: Tokens,
    users: RwLock<Users>,
    logins: Logins,
}

/// Why a token does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// Never made, or revoked: nobody is told which.
    Unknown,
    /// It was good once.
    Expired,
    /// Its user may not pass.
    Denied(Denied),
}

/// What a committed change does to the index.
#[derive(Clone, Debug)]
pub enum Effect {
    /// A user is new or changed.
    SetUser(User),
    /// A user is gone; their tokens go by effects of their own.
    DropUser(UserNumber),
    /// A token is new.
    AddToken(LoadedToken),
    /// A token is revoked.
    DropToken(TokenHash),
}

impl Index {
    /// Reads all of the database.
    ///
    /// # Errors
    /// What SQLite says; a damaged file shows here.
    pub fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let mut progress = Progress {
            last: Instant::now(),
            done: 0,
        };
        let mut users = Users::default();
        store::load_users(connection, |user| users.set(user))?;
        let expected = store::count_tokens(connection)?;
        let mut tokens = Tokens::with_capacity(usize::try_from(expected).unwrap_or(0));
        store::load_tokens(connection, |token| {
            tokens.load(&token);
            progress.count(expected);
        })?;
        Ok(Self {
            tokens,
            users: RwLock::new(users),
            logins: Logins::default(),
        })
    }

    /// Whether a token passes at a moment, and whose it is. A token that passes is marked as used.
    ///
    /// # Errors
    /// [`Rejected`]; a token that does not pass is not marked.
    pub fn authenticate(&self, hash: &TokenHash, now: Timestamp) -> Result<Caller, Rejected> {
        let shard = self.tokens.shard(hash).ok_or(Rejected::Unknown)?;
        let slots = shard.read();
        let (slot, entry) = slots.find(hash).ok_or(Rejected::Unknown)?;
        if now >= entry.expires_at {
            return Err(Rejected::Expired);
        }
        let user = self.user(entry.user).ok_or(Rejected::Unknown)?;
        policy::admit(&user).map_err(Rejected::Denied)?;
        if entry.mark.set(now) {
            shard.add_dirty(slot, now);
        }
        Ok(Caller {
            user,
            credential: Credential::Token(entry.token),
        })
    }

    /// A user passes with a JWT: `last_login` moves, at most once a minute.
    pub fn mark_login(&self, user: &User, now: Timestamp) {
        // Without the lock that others wait for, where there is nothing to do.
        if user.last_login.is_some_and(|last| !login_is_due(last, now)) {
            return;
        }
        if self.users.write().log_in(user.number, now) {
            self.logins.add(user.number, now);
        }
    }

    /// When a token last passed; `None` for never and for a token that is not there.
    pub fn last_used(&self, hash: &TokenHash) -> Option<Timestamp> {
        self.tokens.read(hash, |entry| entry.mark.time())?
    }

    /// The id on the wire of a token that is there.
    pub fn token_id(&self, hash: &TokenHash) -> Option<Xid> {
        let slots = self.tokens.shard(hash)?.read();
        slots.find(hash).and_then(|(slot, _)| slots.id(slot))
    }

    /// Whether a token is there, expired or not.
    pub fn knows_token(&self, hash: &TokenHash) -> bool {
        self.tokens.read(hash, |_| ()).is_some()
    }

    /// The user in a row.
    pub fn user(&self, number: UserNumber) -> Option<Arc<User>> {
        self.users.read().by_number(number).cloned()
    }

    /// The user with an id.
    pub fn user_by_id(&self, id: &UserId) -> Option<Arc<User>> {
        self.users.read().by_id(id).cloned()
    }

    /// At most `limit` users after a row number, oldest first.
    pub fn users_after(&self, after: Option<UserNumber>, limit: usize) -> Vec<Arc<User>> {
        self.users
            .read()
            .after(after)
            .take(limit)
            .cloned()
            .collect()
    }

    /// Whether there is an owner.
    pub fn has_owner(&self) -> bool {
        self.users.read().has_owner()
    }

    /// How many users and tokens there are.
    pub fn counts(&self) -> (usize, usize) {
        (self.users.read().count(), self.tokens.count())
    }

    /// Takes over what a commit changed.
    pub fn apply(&self, effect: Effect) {
        match effect {
            Effect::SetUser(user) => self.users.write().set(user),
            Effect::DropUser(number) => self.users.write().remove(number),
            Effect::AddToken(token) => self.tokens.add(&token),
            Effect::DropToken(hash) => self.tokens.remove(&hash),
        }
    }

    /// Drops tokens of which only the rows are known: another process deleted them.
    pub fn drop_tokens(&self, tokens: &HashSet<TokenNumber>, users: &HashSet<UserNumber>) {
        self.tokens
            .retain(|entry| !tokens.contains(&entry.token) && !users.contains(&entry.user));
    }

    /// Takes over a fresh image of the database without losing a mark.
    pub fn replace(&self, fresh: Self) {
        {
            let mut users = self.users.write();
            let mut fresh = fresh.users.into_inner();
            fresh.merge_logins(&users);
            *users = fresh;
        }
        self.tokens.replace(fresh.tokens);
    }

    /// Takes at most `limit` marks to be written. Each must come back through
    /// [`Index::marks_written`] or [`Index::marks_failed`] before more are taken.
    pub fn take_marks(&self, limit: usize) -> Vec<PendingMark> {
        self.tokens.take_marks(limit)
    }

    /// The marks are in the database. One that moved meanwhile stays to be written.
    pub fn marks_written(&self, marks: &[PendingMark]) {
        self.tokens.marks_written(marks);
    }

    /// The marks are not in the database: they stay to be written, as old as they were.
    pub fn marks_failed(&self, marks: &[PendingMark]) {
        self.tokens.marks_failed(marks);
    }

    /// Takes at most `limit` logins to be written. Where that fails, they must come back through
    /// [`Index::logins_failed`].
    pub fn take_logins(&self, limit: usize) -> Vec<PendingLogin> {
        self.logins.take(limit)
    }

    /// The logins are not in the database: they stay to be written.
    pub fn logins_failed(&self, taken: Vec<PendingLogin>) {
        self.logins.put_back(taken);
    }

    /// Since when the oldest mark or login waits to be written.
    pub fn oldest_mark(&self) -> Option<Timestamp> {
        let mark = self.tokens.oldest_mark();
        mark.into_iter().chain(self.logins.oldest()).min()
    }
}

/// Tells how far a long load is.
struct Progress {
    last: Instant,
    done: u32,
}

impl Progress {
    fn count(&mut self, expected: u32) {
        self.done += 1;
        if self.done.is_multiple_of(100_000) && self.last.elapsed() >= PROGRESS_EVERY {
            self.last = Instant::now();
            log::info!("loaded {} of {expected} tokens", self.done);
        }
    }
}

//! What is held in memory: every token's hash and every user. Rebuilt from the store, never the
//! truth; a request is authenticated here without SQL, without an await, and with locks that a
//! writer holds for one map operation only.

mod entry;
mod logins;
mod mark;
mod users;

pub use logins::PendingLogin;
pub use users::login_is_due;

use std::collections::{HashSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use parking_lot::{Mutex, RwLock};
use rusqlite::Connection;

use crate::clock::Timestamp;
use crate::policy::{self, Denied};
use crate::store::{self, LoadedToken};
use crate::token::TokenHash;
use crate::user::{Caller, Credential, TokenNumber, User, UserId, UserNumber};
use entry::Entry;
use logins::Logins;
use mark::Mark;
use users::Users;

/// A writer holds one shard of them at a time; a power of two.
const SHARDS: usize = 64;
const PROGRESS_EVERY: Duration = Duration::from_secs(2);

/// The memory index.
pub struct Index {
    tokens: Box<[RwLock<Shard>]>,
    users: RwLock<Users>,
    /// Tokens with a mark that is not in the database yet, oldest mark first.
    dirty: Mutex<VecDeque<(TokenHash, Timestamp)>>,
    logins: Logins,
}

type Shard = HashMap<TokenHash, Entry>;

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

/// A mark on its way to the database.
#[derive(Clone, Copy, Debug)]
pub struct PendingMark {
    hash: TokenHash,
    since: Timestamp,
    seen: i64,
    /// The token's row.
    pub token: TokenNumber,
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
        let mut shards: Vec<Shard> = Vec::new();
        let expected = store::count_tokens(connection)?;
        let room = usize::try_from(expected).unwrap_or(0) / SHARDS;
        shards.resize_with(SHARDS, || Shard::with_capacity(room + room / 32));
        store::load_tokens(connection, |token| {
            if let Some(shard) = shards.get_mut(shard_of(&token.hash)) {
                shard.insert(token.hash, Entry::of(&token));
            }
            progress.count(expected);
        })?;
        Ok(Self {
            tokens: shards.into_iter().map(RwLock::new).collect(),
            users: RwLock::new(users),
            dirty: Mutex::default(),
            logins: Logins::default(),
        })
    }

    /// Whether a token passes at a moment, and whose it is. A token that passes is marked as used.
    ///
    /// # Errors
    /// [`Rejected`]; a token that does not pass is not marked.
    pub fn authenticate(&self, hash: &TokenHash, now: Timestamp) -> Result<Caller, Rejected> {
        let shard = self.shard(hash).ok_or(Rejected::Unknown)?.read();
        let entry = shard.get(hash).ok_or(Rejected::Unknown)?;
        let user = self.user(entry.user).ok_or(Rejected::Unknown)?;
        if now >= entry.expires_at {
            return Err(Rejected::Expired);
        }
        policy::admit(&user).map_err(Rejected::Denied)?;
        if entry.mark.set(now) {
            self.dirty.lock().push_back((*hash, now));
        }
        Ok(Caller {
            user,
            credential: Credential::Token(entry.token),
            token_id: Some(entry.id()),
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
        self.shard(hash)?.read().get(hash)?.mark.time()
    }

    /// Whether a token is there, expired or not.
    pub fn knows_token(&self, hash: &TokenHash) -> bool {
        self.shard(hash)
            .is_some_and(|shard| shard.read().contains_key(hash))
    }

    /// The user in a row.
    pub fn user(&self, number: UserNumber) -> Option<Arc<User>> {
        self.users.read().by_number.get(&number).cloned()
    }

    /// The user with an id.
    pub fn user_by_id(&self, id: &UserId) -> Option<Arc<User>> {
        self.users.read().by_id(id).cloned()
    }

    /// At most `limit` users after a row number, oldest first.
    pub fn users_after(&self, after: Option<UserNumber>, limit: usize) -> Vec<Arc<User>> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let users = self.users.read();
        let page = users.by_number.range((start, Bound::Unbounded));
        page.take(limit).map(|(_, user)| Arc::clone(user)).collect()
    }

    /// Whether there is an owner.
    pub fn has_owner(&self) -> bool {
        self.users.read().has_owner()
    }

    /// How many users and tokens there are.
    pub fn counts(&self) -> (usize, usize) {
        let tokens = self.tokens.iter().map(|shard| shard.read().len()).sum();
        (self.users.read().by_number.len(), tokens)
    }

    /// Takes over what a commit changed.
    pub fn apply(&self, effect: Effect) {
        match effect {
            Effect::SetUser(user) => self.users.write().set(user),
            Effect::DropUser(number) => self.users.write().remove(number),
            Effect::AddToken(token) => {
                if let Some(shard) = self.shard(&token.hash) {
                    // One that is there keeps its mark.
                    let mut shard = shard.write();
                    shard.entry(token.hash).or_insert_with(|| Entry::of(&token));
                }
            }
            Effect::DropToken(hash) => {
                if let Some(shard) = self.shard(&hash) {
                    shard.write().remove(&hash);
                }
            }
        }
    }

    /// Drops tokens of which only the rows are known: another process deleted them.
    pub fn drop_tokens(&self, tokens: &HashSet<TokenNumber>, users: &HashSet<UserNumber>) {
        for shard in &self.tokens {
            shard
                .write()
                .retain(|_, entry| !tokens.contains(&entry.token) && !users.contains(&entry.user));
        }
    }

    /// Takes over a fresh image of the database without losing a mark.
    pub fn replace(&self, fresh: Self) {
        {
            let mut users = self.users.write();
            let mut fresh = fresh.users.into_inner();
            fresh.merge_logins(&users);
            *users = fresh;
        }
        for (shard, fresh) in self.tokens.iter().zip(fresh.tokens) {
            let fresh = fresh.into_inner();
            let mut shard = shard.write();
            for (hash, entry) in &fresh {
                if let Some(old) = shard.get(hash) {
                    entry.mark.merge(&old.mark);
                }
            }
            *shard = fresh;
        }
    }

    /// Takes at most `limit` marks to be written, oldest first. Each must come back through
    /// [`Index::marks_written`] or [`Index::marks_failed`].
    pub fn take_marks(&self, limit: usize) -> Vec<PendingMark> {
        let taken: Vec<_> = {
            let mut dirty = self.dirty.lock();
            let count = limit.min(dirty.len());
            dirty.drain(..count).collect()
        };
        let pending = taken.into_iter().filter_map(|(hash, since)| {
            // A token that was revoked meanwhile is not in the map, and its mark ends here.
            let shard = self.shard(&hash)?.read();
            let entry = shard.get(&hash)?;
            Some(PendingMark {
                hash,
                since,
                seen: entry.mark.seen(),
                token: entry.token,
            })
        });
        pending.collect()
    }

    /// The marks are in the database. One that moved meanwhile stays to be written.
    pub fn marks_written(&self, marks: &[PendingMark]) {
        for mark in marks {
            let moved = self.shard(&mark.hash).and_then(|shard| {
                let shard = shard.read();
                shard.get(&mark.hash)?.mark.clean(mark.seen).err()
            });
            if let Some(time) = moved {
                self.dirty.lock().push_back((mark.hash, time));
            }
        }
    }

    /// The marks are not in the database: they stay to be written, as old as they were.
    pub fn marks_failed(&self, marks: &[PendingMark]) {
        let mut dirty = self.dirty.lock();
        for mark in marks.iter().rev() {
            dirty.push_front((mark.hash, mark.since));
        }
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
        let mark = self.dirty.lock().front().map(|(_, since)| *since);
        mark.into_iter().chain(self.logins.oldest()).min()
    }

    fn shard(&self, hash: &TokenHash) -> Option<&RwLock<Shard>> {
        self.tokens.get(shard_of(hash))
    }
}

impl PendingMark {
    /// When the token last passed.
    pub fn last_used(&self) -> Timestamp {
        Mark::time_of(self.seen)
    }
}

fn shard_of(hash: &TokenHash) -> usize {
    let [first, ..] = hash.as_bytes();
    usize::from(*first) % SHARDS
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

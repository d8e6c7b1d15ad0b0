//! The users in memory, by row and by id.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;

use crate::clock::Timestamp;
use crate::user::{Role, User, UserId, UserNumber};

/// `last_login` moves at most this often.
const LOGIN_EVERY: Duration = Duration::from_secs(60);

/// Whether a login is late enough after the last one to be marked.
pub fn login_is_due(last: Timestamp, now: Timestamp) -> bool {
    now.since(last) >= LOGIN_EVERY
}

#[derive(Default)]
pub(super) struct Users {
    by_number: HashMap<UserNumber, Arc<User>>,
    by_id: HashMap<UserId, UserNumber>,
    /// What lists page by.
    order: BTreeSet<UserNumber>,
    owner: Option<UserNumber>,
}

impl Users {
    /// Adds a user, or puts another state in place. A login that was seen here and is not in the
    /// database yet stays seen.
    pub(super) fn set(&mut self, mut user: User) {
        if let Some(before) = self.by_number.get(&user.number) {
            user.last_login = user.last_login.max(before.last_login);
        }
        if user.role == Role::Owner {
            self.owner = Some(user.number);
        } else if self.owner == Some(user.number) {
            self.owner = None;
        }
        self.by_id.insert(user.id.clone(), user.number);
        self.order.insert(user.number);
        self.by_number.insert(user.number, Arc::new(user));
    }

    /// Moves `last_login`, unless that was done a moment ago; whether it moved.
    pub(super) fn log_in(&mut self, number: UserNumber, now: Timestamp) -> bool {
        let user = self.by_number.get_mut(&number);
        match user.filter(|user| user.last_login.is_none_or(|last| login_is_due(last, now))) {
            Some(user) => {
                Arc::make_mut(user).last_login = Some(now);
                true
            }
            None => false,
        }
    }

    /// Takes over logins that another image of the same users has seen.
    pub(super) fn merge_logins(&mut self, old: &Self) {
        for (number, old) in &old.by_number {
            if let Some(user) = self.by_number.get_mut(number)
                && user.last_login < old.last_login
            {
                Arc::make_mut(user).last_login = old.last_login;
            }
        }
    }

    pub(super) fn count(&self) -> usize {
        self.by_number.len()
    }

    /// The user in a row.
    pub(super) fn by_number(&self, number: UserNumber) -> Option<&Arc<User>> {
        self.by_number.get(&number)
    }

    /// The users after a row, oldest first.
    pub(super) fn after(&self, after: Option<UserNumber>) -> impl Iterator<Item = &Arc<User>> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let numbers = self.order.range((start, Bound::Unbounded));
        numbers.filter_map(|number| self.by_number.get(number))
    }

    /// The user with an id.
    pub(super) fn by_id(&self, id: &UserId) -> Option<&Arc<User>> {
        self.by_number.get(self.by_id.get(id)?)
    }

    /// Whether there is an owner.
    pub(super) fn has_owner(&self) -> bool {
        self.owner.is_some()
    }

    /// Takes a user out.
    pub(super) fn remove(&mut self, number: UserNumber) {
        if let Some(user) = self.by_number.remove(&number) {
            self.order.remove(&number);
            // The id may be another user's by now: deleted and made again elsewhere.
            if self.by_id.get(&user.id) == Some(&number) {
                self.by_id.remove(&user.id);
            }
            self.owner = self.owner.filter(|owner| *owner != number);
        }
    }
}

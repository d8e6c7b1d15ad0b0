//! The users in memory, by row and by id.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::user::{Role, User, UserId, UserNumber};

/// Ordered by row, which is what lists page by.
#[derive(Default)]
pub(super) struct Users {
    pub(super) by_number: BTreeMap<UserNumber, Arc<User>>,
    by_id: HashMap<UserId, UserNumber>,
    owner: Option<UserNumber>,
}

impl Users {
    /// Adds a user, or puts another state in place.
    pub(super) fn set(&mut self, user: Arc<User>) {
        if user.role == Role::Owner {
            self.owner = Some(user.number);
        } else if self.owner == Some(user.number) {
            self.owner = None;
        }
        self.by_id.insert(user.id.clone(), user.number);
        self.by_number.insert(user.number, user);
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
            // The id may be another user's by now: deleted and made again elsewhere.
            if self.by_id.get(&user.id) == Some(&number) {
                self.by_id.remove(&user.id);
            }
            self.owner = self.owner.filter(|owner| *owner != number);
        }
    }
}

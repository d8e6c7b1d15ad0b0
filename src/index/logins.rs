//! Logins that are not in the database yet.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::clock::Timestamp;
use crate::user::UserNumber;

/// A login on its way to the database.
#[derive(Clone, Copy, Debug)]
pub struct PendingLogin {
    /// Of whom.
    pub user: UserNumber,
    /// When they were seen last.
    pub at: Timestamp,
    /// When they were first seen of what the database does not know.
    since: Timestamp,
}

/// One a user at most, however long nothing can be written.
#[derive(Default)]
pub(super) struct Logins(Mutex<BTreeMap<UserNumber, PendingLogin>>);

impl Logins {
    pub(super) fn add(&self, user: UserNumber, at: Timestamp) {
        self.put_back(vec![PendingLogin {
            user,
            at,
            since: at,
        }]);
    }

    pub(super) fn take(&self, limit: usize) -> Vec<PendingLogin> {
        let mut logins = self.0.lock();
        let taken = std::iter::from_fn(|| logins.pop_first());
        taken.take(limit).map(|(_, login)| login).collect()
    }

    /// They stay to be written. Who was seen again meanwhile keeps the later time.
    pub(super) fn put_back(&self, taken: Vec<PendingLogin>) {
        let mut logins = self.0.lock();
        for login in taken {
            let known = logins.entry(login.user).or_insert(login);
            known.at = known.at.max(login.at);
            known.since = known.since.min(login.since);
        }
    }

    /// Since when the oldest waits.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        let logins = self.0.lock();
        logins.values().map(|login| login.since).min()
    }
}

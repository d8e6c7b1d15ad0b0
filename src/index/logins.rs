//! Logins that are not in the database yet.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::clock::Timestamp;
use crate::user::UserNumber;

/// A login on its way to the database.
pub type PendingLogin = (UserNumber, Timestamp);

/// Oldest first.
#[derive(Default)]
pub(super) struct Logins(Mutex<VecDeque<PendingLogin>>);

impl Logins {
    pub(super) fn push(&self, login: PendingLogin) {
        self.0.lock().push_back(login);
    }

    pub(super) fn take(&self, limit: usize) -> Vec<PendingLogin> {
        let mut logins = self.0.lock();
        let count = limit.min(logins.len());
        logins.drain(..count).collect()
    }

    /// They stay to be written.
    pub(super) fn put_back(&self, taken: Vec<PendingLogin>) {
        let mut logins = self.0.lock();
        for login in taken.into_iter().rev() {
            logins.push_front(login);
        }
    }

    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.0.lock().front().map(|(_, since)| *since)
    }
}

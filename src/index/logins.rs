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

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: UserNumber = UserNumber(1);
    const BOB: UserNumber = UserNumber(2);

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn taken(logins: &Logins) -> Vec<(UserNumber, Timestamp)> {
        let taken = logins.take(100).into_iter();
        taken.map(|login| (login.user, login.at)).collect()
    }

    #[test]
    fn of_one_user_one_login_waits_since_the_first_and_the_last_is_written() {
        let logins = Logins::default();
        assert_eq!(logins.oldest(), None);
        for time in [500, 300, 900, 700] {
            logins.add(ANN, at(time));
        }
        logins.add(BOB, at(400));
        assert_eq!(logins.oldest(), Some(at(300)));
        assert_eq!(taken(&logins), [(ANN, at(900)), (BOB, at(400))]);
        assert_eq!(logins.oldest(), None);
        assert_eq!(taken(&logins), []);
    }

    #[test]
    fn one_that_could_not_be_written_keeps_its_age_and_the_newer_time() {
        // Seen, taken, seen again before it is put back; what is written and since when it waits.
        let table = [
            (vec![100], vec![], 100, 100),
            (vec![100], vec![200], 200, 100),
            (vec![100, 150], vec![200, 300], 300, 100),
            // The clock went back.
            (vec![200], vec![100], 200, 100),
        ];
        for (before, after, written, since) in table {
            let logins = Logins::default();
            before.iter().for_each(|time| logins.add(ANN, at(*time)));
            let failed = logins.take(100);
            assert_eq!(failed.len(), 1);
            after.iter().for_each(|time| logins.add(ANN, at(*time)));
            logins.put_back(failed);
            assert_eq!(logins.oldest(), Some(at(since)), "{before:?}, {after:?}");
            assert_eq!(
                taken(&logins),
                [(ANN, at(written))],
                "{before:?}, {after:?}"
            );
        }
    }

    #[test]
    fn no_more_are_taken_than_asked_for_and_the_rest_waits() {
        let logins = Logins::default();
        (1..=5).for_each(|number| logins.add(UserNumber(number), at(0)));
        let taken = [2, 2, 2].map(|limit| logins.take(limit).len());
        assert_eq!(taken, [2, 2, 1]);
    }
}

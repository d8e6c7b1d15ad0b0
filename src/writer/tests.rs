//! What the thread does when the disk fails in the middle, which can't be provoked from outside.

use std::sync::Arc;

use super::thread::{PATIENCE, Worker};
use super::{Job, Ran, Start, Unmade};
use crate::change::{self, Actor, NewUserRequest};
use crate::index::Index;
use crate::store::{self, StoreError};
use crate::user::{Name, Role};

struct Fixture {
    _folder: tempfile::TempDir,
    worker: Worker,
}

fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    store::create_database(&path, |_| Ok::<_, StoreError>(())).unwrap();
    let connection = store::open_writer(&path, PATIENCE).unwrap();
    let start = Start::load(connection, &path).unwrap();
    let (_, queue) = crossbeam_channel::bounded(1);
    Fixture {
        worker: Worker::new(start, queue, Arc::default()).unwrap(),
        _folder: folder,
    }
}

/// A job that makes a user; what it answers is counted.
fn makes_a_user(answers: &Arc<std::sync::atomic::AtomicUsize>) -> Job {
    let answers = Arc::clone(answers);
    Box::new(move |connection, now| {
        let request = NewUserRequest {
            id: None,
            role: Role::User,
            auto_groups: Box::new([]),
            is_service: true,
            name: Name::parse("machine").unwrap(),
            email: Name::parse("").unwrap(),
        };
        let made = change::create_user(connection, now, Actor::System, request).unwrap();
        Ran {
            result: Ok(made.effects),
            answer: Box::new(move || {
                answers.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            }),
        }
    })
}

/// A job during which the disk undoes the whole transaction.
fn undone() -> Job {
    Box::new(|connection, _| {
        connection.execute_batch("ROLLBACK").unwrap();
        Ran {
            result: Err(Unmade::Failed(rusqlite::Error::InvalidQuery.into())),
            answer: Box::new(|| panic!("a failure was answered")),
        }
    })
}

#[test]
fn a_transaction_that_the_disk_undid_takes_the_whole_batch_with_it() {
    let mut fixture = fixture();
    let worker = &mut fixture.worker;
    let answers = Arc::default();
    let batch = vec![makes_a_user(&answers), undone(), makes_a_user(&answers)];
    worker.make(batch);
    assert_eq!(Arc::strong_count(&answers), 1, "an answer is kept for ever");
    assert_eq!(answers.load(std::sync::atomic::Ordering::SeqCst), 0);
    assert!(worker.connection.is_autocommit());
    assert!(worker.status.trouble().is_some());
    assert_eq!(worker.index.counts(), (0, 0));
    let stored = Index::load(&worker.connection).unwrap().counts();
    assert_eq!(stored, (0, 0));

    worker.make(vec![makes_a_user(&answers)]);
    assert_eq!(answers.load(std::sync::atomic::Ordering::SeqCst), 1);
    assert!(worker.status.trouble().is_none());
    assert_eq!(worker.index.counts(), (1, 0));
}

#[test]
fn a_transaction_that_fails_is_rolled_back_before_the_next() {
    let mut fixture = fixture();
    let worker = &mut fixture.worker;
    let failed = worker.transaction(PATIENCE, |connection| {
        connection.execute_batch("INSERT INTO users (id) VALUES ('incomplete')")?;
        Ok(())
    });
    assert!(failed.is_none());
    assert!(worker.connection.is_autocommit());
    let answers = Arc::default();
    worker.make(vec![makes_a_user(&answers)]);
    assert_eq!(answers.load(std::sync::atomic::Ordering::SeqCst), 1);
}

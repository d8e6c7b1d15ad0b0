//! What the thread does when the disk fails in the middle, each day, and chunk by chunk: none can be had
//! from outside.

use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use rusqlite::Connection;

use super::prune::{CHUNK, Pruning};
use super::thread::{OWNER_CHECK_EVERY, PATIENCE, Worker};
use super::{Job, QUEUE, Ran, Start, Unmade, WriteError, Writer};
use crate::change::{self, Actor, Changed, FirstOwner, NewTokenRequest, NewUserRequest, Refused};
use crate::clock::Timestamp;
use crate::index::Index;
use crate::store::{self, Retention, StoreError};
use crate::token::{Lifetime, PlainToken};
use crate::user::{Name, Role, User};

struct Fixture {
    _folder: tempfile::TempDir,
    worker: Worker,
    writer: Writer,
    queue: Receiver<Job>,
}

fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    store::create_database(&path, |_| Ok::<_, StoreError>(())).unwrap();
    let connection = store::open_writer(&path, PATIENCE).unwrap();
    let start = Start::load(connection, &path).unwrap();
    let (jobs, queue) = crossbeam_channel::bounded(QUEUE);
    let status = Arc::default();
    let writer = Writer {
        jobs,
        status: Arc::clone(&status),
    };
    Fixture {
        worker: Worker::new(start, queue.clone(), status).unwrap(),
        _folder: folder,
        writer,
        queue,
    }
}

fn make_user(connection: &Connection, now: Timestamp) -> Result<Changed<User>, Refused> {
    let request = NewUserRequest {
        issuer: "".into(),
        id: None,
        role: Role::User,
        auto_groups: Box::new([]),
        is_service: true,
        name: Name::parse("machine").unwrap(),
        email: Name::empty(),
    };
    change::create_user(connection, now, Actor::System, request)
}

/// A job that makes a user; what it answers is counted.
fn makes_a_user(answers: &Arc<std::sync::atomic::AtomicUsize>) -> Job {
    let answers = Arc::clone(answers);
    Box::new(move |connection, now| {
        let made = make_user(connection, now).unwrap();
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

#[test]
fn a_change_that_fails_alone_takes_no_other_with_it_and_is_told_until_a_good_transaction() {
    let mut fixture = fixture();
    let (worker, writer) = (&mut fixture.worker, &fixture.writer);
    let mut first = pin!(writer.submit(make_user));
    let mut failing = pin!(writer.submit(|connection, now| {
        make_user(connection, now)?;
        let error = rusqlite::Error::InvalidQuery;
        Err::<Changed<User>, _>(Refused::from(error))
    }));
    let mut last = pin!(writer.submit(make_user));
    let context = &mut Context::from_waker(Waker::noop());
    for asked in [
        first.as_mut() as std::pin::Pin<&mut dyn Future<Output = _>>,
        failing.as_mut(),
        last.as_mut(),
    ] {
        assert!(asked.poll(context).is_pending());
    }
    worker.make(fixture.queue.try_iter().collect());
    let mut made = Vec::new();
    for asked in [
        first.as_mut() as std::pin::Pin<&mut dyn Future<Output = _>>,
        last.as_mut(),
    ] {
        match asked.poll(context) {
            Poll::Ready(Ok(user)) => made.push(user.number),
            other => panic!("{other:?}"),
        }
    }
    let failed = failing.as_mut().poll(context);
    assert!(
        matches!(failed, Poll::Ready(Err(WriteError::Unavailable))),
        "{failed:?}"
    );
    let mut stored = Vec::new();
    store::load_users(&worker.connection, |user| stored.push(user.number)).unwrap();
    assert_eq!(stored, made);
    assert_eq!(worker.index.counts(), (2, 0));
    assert!(writer.status().trouble().is_some());
    assert_eq!(writer.status().commits(), 1);

    worker.make(vec![makes_a_user(&Arc::default())]);
    assert!(writer.status().trouble().is_none());
    assert_eq!(worker.index.counts(), (3, 0));
}

/// A job that makes the owner, with a token of eight days.
fn makes_the_owner() -> Job {
    Box::new(|connection, now| {
        let token = NewTokenRequest {
            hash: PlainToken::generate().unwrap().hash(),
            name: Name::parse("owner token").unwrap(),
            lifetime: Lifetime::days(8).unwrap(),
        };
        let request = FirstOwner {
            identity: None,
            name: Name::parse("Owner").unwrap(),
            email: Name::empty(),
            token: Some(token),
        };
        let made = change::first_owner(connection, now, request).unwrap();
        Ran {
            result: Ok(made.effects),
            answer: Box::new(|| {}),
        }
    })
}

#[test]
fn the_end_of_the_last_owner_token_is_warned_of_each_day_for_a_week() {
    let mut fixture = fixture();
    let worker = &mut fixture.worker;
    let now = Timestamp::now();
    assert_eq!(worker.owner_token_warning(now), None, "there is no owner");
    worker.make(vec![makes_the_owner()]);
    for (days, expected) in [(0, None), (2, Some("expires at")), (9, Some("expired at"))] {
        let warning = worker.owner_token_warning(now.plus_days(days));
        match expected {
            Some(text) => assert!(warning.unwrap().contains(text), "after {days} days"),
            None => assert_eq!(warning, None, "after {days} days"),
        }
    }
    // At once, and each time it is due, for a day from then on.
    for _ in 0..2 {
        let due = Instant::now();
        assert!(worker.owner_check_at <= due);
        worker.look_after();
        assert!(worker.owner_check_at >= due + OWNER_CHECK_EVERY);
        worker.owner_check_at = due;
    }
}

/// Numbers of the audit events, and the floor.
fn trail(connection: &Connection) -> (Vec<i64>, i64) {
    let sql = "SELECT number FROM audit_events ORDER BY number";
    let mut events = connection.prepare(sql).unwrap();
    let numbers = events.query_map((), |row| row.get(0)).unwrap();
    let floor = connection.query_row("SELECT number FROM audit_floor", (), |row| row.get(0));
    (numbers.map(Result::unwrap).collect(), floor.unwrap())
}

fn keep(fixture: &mut Fixture, keep: Option<Duration>, max_events: u32) {
    let retention = Retention {
        keep,
        max_events: NonZeroU32::new(max_events),
    };
    fixture.worker.pruning = Pruning::new(retention, Instant::now());
}

/// Many events of a time, as if they had been written then.
fn fill(connection: &Connection, count: u32, at: Timestamp) {
    let sql = "WITH RECURSIVE count(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count WHERE n < ?1)
               INSERT INTO audit_events (at, activity_code, initiator_id, initiator_name,
                                         initiator_email, target_id, meta, user)
               SELECT ?2, 'user.block', 'sys', '', '', n, '{}', 1 FROM count";
    connection.execute(sql, (count, at)).unwrap();
}

/// A job that makes a user, and then fails.
fn fails_late() -> Job {
    Box::new(|connection, now| {
        make_user(connection, now).unwrap();
        Ran {
            result: Err(Unmade::Refused),
            answer: Box::new(|| {}),
        }
    })
}

#[test]
fn a_change_that_is_not_made_leaves_no_gap_in_the_numbers_of_events() {
    let mut fixture = fixture();
    let answers = Arc::default();
    for _ in 0..2 {
        let batch = vec![
            fails_late(),
            makes_a_user(&answers),
            fails_late(),
            makes_a_user(&answers),
            fails_late(),
        ];
        fixture.worker.make(batch);
        fixture.worker.make(vec![undone()]);
    }
    let expected = vec![1, 2, 3, 4];
    assert_eq!(trail(&fixture.worker.connection), (expected, 1));
}

#[test]
fn the_limit_holds_after_a_batch_that_writes_more_than_the_limit() {
    let mut fixture = fixture();
    keep(&mut fixture, None, 10);
    let answers = Arc::default();
    for round in 1..=3 {
        let batch = (0..300).map(|_| makes_a_user(&answers));
        fixture.worker.make(batch.collect());
        let newest = round * 300;
        let expected = (newest - 9..=newest).collect();
        assert_eq!(trail(&fixture.worker.connection), (expected, newest - 9));
    }
}

#[test]
fn nothing_is_written_where_no_event_is_old() {
    let mut fixture = fixture();
    keep(&mut fixture, Some(Duration::from_secs(3600)), 3);
    let batch = (0..3).map(|_| makes_a_user(&Arc::default()));
    fixture.worker.make(batch.collect());
    for _ in 0..3 {
        fixture.worker.pruning.at = Some(Instant::now());
        fixture.worker.look_after();
        assert!(
            fixture.worker.pruning.at > Some(Instant::now()),
            "it looked"
        );
    }
    assert_eq!(fixture.worker.status.commits(), 1);
    assert_eq!(trail(&fixture.worker.connection), (vec![1, 2, 3], 1));
}

#[test]
fn a_full_chunk_is_followed_by_the_next_at_once_and_the_newest_number_outlives_its_event() {
    let mut fixture = fixture();
    let old = Timestamp::now().minus(Duration::from_secs(7200));
    fill(&fixture.worker.connection, CHUNK + 10, old);
    keep(&mut fixture, Some(Duration::from_secs(3600)), 0);
    fixture.worker.look_after();
    let (events, floor) = trail(&fixture.worker.connection);
    assert_eq!((events.len(), floor), (10, i64::from(CHUNK) + 1));
    assert!(fixture.worker.pruning.at <= Some(Instant::now()));
    fixture.worker.look_after();
    let next = i64::from(CHUNK) + 11;
    assert_eq!(trail(&fixture.worker.connection), (vec![], next));
    assert!(fixture.worker.pruning.at > Some(Instant::now()));
    let newest = store::last_audit_number(&fixture.worker.connection);
    assert_eq!(newest.unwrap(), next - 1);
    fixture.worker.make(vec![makes_a_user(&Arc::default())]);
    assert_eq!(trail(&fixture.worker.connection), (vec![next], next));
}

#[test]
fn events_that_can_t_be_deleted_keep_no_change_waiting_and_go_when_they_can() {
    let mut fixture = fixture();
    keep(&mut fixture, None, 2);
    let damage = "CREATE TRIGGER damage BEFORE DELETE ON audit_events
                  BEGIN SELECT RAISE(ABORT, 'damaged'); END";
    fixture.worker.connection.execute_batch(damage).unwrap();
    let answers = Arc::default();
    for _ in 0..5 {
        fixture.worker.make(vec![makes_a_user(&answers)]);
    }
    assert_eq!(answers.load(std::sync::atomic::Ordering::SeqCst), 5);
    assert_eq!(fixture.worker.index.counts(), (5, 0));
    assert_eq!(trail(&fixture.worker.connection), ((1..=5).collect(), 1));
    fixture.worker.look_after();
    assert!(fixture.worker.status.trouble().is_some(), "it is told");
    assert_eq!(trail(&fixture.worker.connection), ((1..=5).collect(), 1));
    let mend = "DROP TRIGGER damage";
    fixture.worker.connection.execute_batch(mend).unwrap();
    fixture.worker.make(vec![makes_a_user(&answers)]);
    assert_eq!(trail(&fixture.worker.connection), (vec![5, 6], 5));
}

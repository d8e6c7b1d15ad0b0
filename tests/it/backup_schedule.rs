//! Backups by the clock: made beside the server, rotated, and no trouble of theirs stops it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use netbird_auth::clock::Timestamp;
use rustix::fs::{FlockOperation, flock};
use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

use crate::backup::assert_whole;
use crate::operations::{METRICS, metrics_client, scrape};
use crate::support::{Kept, Server, eventually, fresh_token, mode_of, names_in};

const FAILED: &str = "netbird_auth_failed_backups_total";
const LAST: &str = "netbird_auth_last_backup_timestamp_seconds";
const DAY: u16 = 1;

/// A server whose backups go into a folder of its own.
struct Scheduled {
    folder: Arc<TempDir>,
    backups: PathBuf,
}

impl Scheduled {
    fn new() -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        Self {
            backups: folder.path().join("kept/backups"),
            folder,
        }
    }

    /// Once a day; further settings such as `("BACKUP__KEEP", "2")`.
    fn start(&self, settings: &[(&str, &str)]) -> Server {
        let token = fresh_token();
        let mut all = vec![
            ("BOOTSTRAP__TOKEN", token.as_str()),
            ("BACKUP__DIRECTORY", self.backups.to_str().unwrap()),
            METRICS,
        ];
        all.extend(settings);
        Server::start_prepared(Arc::clone(&self.folder), &all, token.clone())
    }

    /// Puts a file there that has the name of a backup of a moment.
    fn leave(&self, moment: Timestamp) -> PathBuf {
        fs::create_dir_all(&self.backups).unwrap();
        let path = self.backups.join(format!("test-{}.db", moment.compact()));
        fs::write(&path, "a backup").unwrap();
        path
    }

    fn names(&self) -> Vec<String> {
        names_in(&self.backups)
    }
}

/// The backup that the log tells of.
fn made(server: &Server) -> PathBuf {
    let line = server.log_line("made the backup ");
    let (_, rest) = line.split_once("made the backup ").unwrap();
    PathBuf::from(rest.split(" in ").next().unwrap())
}

fn moment_of(backup: &Path) -> Timestamp {
    let name = backup.file_name().unwrap().to_str().unwrap();
    let stamp = name.strip_prefix("test-").unwrap().strip_suffix(".db");
    Timestamp::from_compact(stamp.unwrap()).unwrap()
}

fn days_ago(days: u64) -> Timestamp {
    Timestamp::now().minus(std::time::Duration::from_secs(days * 86_400))
}

#[test]
fn the_first_start_makes_one_into_a_folder_that_it_makes_and_the_next_start_makes_none() {
    let scheduled = Scheduled::new();
    let server = scheduled.start(&[]);
    let backup = made(&server);
    assert_whole(&backup);
    assert_eq!(backup.parent(), Some(scheduled.backups.as_path()));
    assert_eq!(mode_of(&scheduled.backups), 0o700);
    assert_eq!(mode_of(scheduled.backups.parent().unwrap()), 0o700);
    let metrics = metrics_client(&server);
    let found = scrape(&metrics);
    let made_at = moment_of(&backup);
    assert!((made_at.seconds() - Timestamp::now().seconds()).abs() < 60);
    assert_eq!(found[LAST], made_at.seconds() as f64);
    assert_eq!(found[FAILED], 0.0);
    let ready = server.anonymous().get("/readyz").ok();
    assert_eq!(ready, json!({"status": "ready"}));
    let before = scheduled.names();
    assert_eq!(before.len(), 2);

    let server = server.restart();
    // Known from the name of the file; a thread that has something to do is quick to begin.
    let metrics = metrics_client(&server);
    eventually("it was looked for", || {
        (scrape(&metrics).get(LAST) == Some(&(made_at.seconds() as f64))).then_some(())
    });
    let (code, log) = server.stop();
    assert_eq!(code, Some(0));
    assert!(!log.iter().any(|line| line.contains("made the backup")));
    assert_eq!(scheduled.names(), before);
    // Without any reader left the log is gone, as without backups.
    let names = names_in(scheduled.folder.path());
    assert_eq!(names, ["kept", "test.db", "test.db.lock"]);
}

#[test]
fn nothing_is_made_without_a_directory() {
    let server = Server::start_with(&[METRICS]);
    let found = scrape(&metrics_client(&server));
    assert_eq!((found.get(LAST), found[FAILED]), (None, 0.0));
    let folder = Arc::clone(&server.folder);
    assert_eq!(server.stop().0, Some(0));
    assert_eq!(names_in(folder.path()), ["test.db", "test.db.lock"]);
}

#[test]
fn one_is_due_at_the_start_where_the_newest_is_older_than_every_or_from_the_future() {
    let now = Timestamp::now();
    let table = [
        ("1d", days_ago(2), true),
        ("3d", days_ago(2), false),
        ("1m", days_ago(1), true),
        ("1d", now.plus_days(DAY), true),
    ];
    for (every, last, is_due) in table {
        let scheduled = Scheduled::new();
        let left = scheduled.leave(last);
        let server = scheduled.start(&[("BACKUP__EVERY", every)]);
        let metrics = metrics_client(&server);
        if is_due {
            assert_whole(&made(&server));
            let told = scrape(&metrics)[LAST];
            assert!((told - now.seconds() as f64).abs() < 60.0, "{told}");
        } else {
            eventually("it was looked for", || {
                (scrape(&metrics).get(LAST) == Some(&(last.seconds() as f64))).then_some(())
            });
        }
        let (code, log) = server.stop();
        assert_eq!(code, Some(0));
        let made = log.iter().any(|line| line.contains("made the backup"));
        assert_eq!(made, is_due, "{every}");
        assert!(left.exists(), "{every}");
    }
}

#[test]
fn the_newest_are_kept_and_nothing_else_in_the_folder_is_touched() {
    let scheduled = Scheduled::new();
    let old: Vec<PathBuf> = (2..7).map(|days| scheduled.leave(days_ago(days))).collect();
    for backup in &old {
        fs::write(format!("{}.blake3", backup.display()), "digest").unwrap();
    }
    let stamp = days_ago(9).compact();
    let future = Timestamp::now().plus_days(DAY).compact();
    let others = [
        format!("other-{stamp}.db"),
        format!("test-{stamp}.db.bak"),
        format!("test-{stamp}.sqlite"),
        format!("test--{stamp}.db"),
        format!("test-{stamp}Z.db"),
        format!("my-test-{stamp}.db"),
        format!("test-{future}.db"),
        "test.db".to_owned(),
        "test-2019.db".to_owned(),
        ".test.db.unfinished".to_owned(),
        format!(".other-{stamp}.db.unfinished"),
        format!("other-{stamp}.db.blake3"),
    ];
    for other in &others {
        fs::write(scheduled.backups.join(other), "theirs").unwrap();
    }
    let folder = scheduled
        .backups
        .join(format!("test-{}.db", days_ago(8).compact()));
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("inside"), "").unwrap();
    // What kills have left.
    let killed = format!("test-{}.db", days_ago(1).compact());
    for left in [
        format!(".{killed}.unfinished"),
        format!(".{killed}.unfinished-journal"),
        format!(".{killed}.blake3.unfinished"),
        format!("{killed}.blake3"),
    ] {
        fs::write(scheduled.backups.join(left), "left").unwrap();
    }
    let server = scheduled.start(&[("BACKUP__KEEP", "3")]);
    let newest = made(&server);
    let (code, log) = server.stop();
    assert_eq!(code, Some(0));
    assert!(!log.iter().any(|line| line.contains("WARN")), "{log:?}");
    let mut expected: Vec<String> = others.to_vec();
    expected.push(folder.file_name().unwrap().to_str().unwrap().to_owned());
    for backup in old[..2].iter().chain([&newest]) {
        let name = backup.file_name().unwrap().to_str().unwrap();
        expected.extend([name.to_owned(), format!("{name}.blake3")]);
    }
    expected.sort();
    assert_eq!(scheduled.names(), expected);
    for other in &others {
        assert_eq!(
            fs::read_to_string(scheduled.backups.join(other)).unwrap(),
            "theirs"
        );
    }
}

#[test]
fn what_is_made_stays_where_files_from_the_future_fill_every_place() {
    let scheduled = Scheduled::new();
    let future = scheduled.leave(Timestamp::now().plus_days(DAY));
    let server = scheduled.start(&[("BACKUP__KEEP", "1")]);
    let backup = made(&server);
    assert_eq!(server.stop().0, Some(0));
    assert_whole(&backup);
    assert!(future.exists());
}

/// May hold a lock.
type Arrange = fn(&Path) -> Option<fs::File>;

#[test]
fn a_backup_that_fails_is_told_everywhere_and_does_not_stop_the_server() {
    let table: [(&str, Arrange, &str); 2] = [
        (
            "a file in the place of the folder",
            |backups| {
                fs::create_dir_all(backups.parent().unwrap()).unwrap();
                fs::write(backups, "").unwrap();
                None
            },
            "backups: ",
        ),
        (
            "another backup on the way",
            |backups| {
                fs::create_dir_all(backups).unwrap();
                let folder = fs::File::open(backups).unwrap();
                flock(&folder, FlockOperation::NonBlockingLockExclusive).unwrap();
                Some(folder)
            },
            "another backup is being written there",
        ),
    ];
    for (what, arrange, words) in table {
        let scheduled = Scheduled::new();
        let held = arrange(&scheduled.backups);
        let server = scheduled.start(&[]);
        let line = server.log_line("no backup was made: ");
        assert!(
            line.contains("ERROR") && line.contains(words),
            "{what}: {line}"
        );
        assert!(line.ends_with("tried again in 600 s"), "{line}");
        let ready = eventually("it is told", || {
            let ready = server.anonymous().get("/readyz").ok();
            ready["warnings"].is_array().then_some(ready)
        });
        assert_eq!(ready["status"], "ready");
        let warning = ready["warnings"][0].as_str().unwrap();
        assert!(
            warning.contains("the last scheduled backup failed"),
            "{warning}"
        );
        let found = scrape(&metrics_client(&server));
        assert_eq!((found[FAILED], found.get(LAST)), (1.0, None));
        assert_eq!(server.service_user("user").len(), 36);
        assert_eq!(server.stop().0, Some(0), "{what}");
        drop(held);
    }
}

#[test]
fn a_start_that_fails_makes_no_backup() {
    let scheduled = Scheduled::new();
    let taken = Server::start();
    assert_eq!(
        scheduled.start(&[("BACKUP__EVERY", "365d")]).stop().0,
        Some(0)
    );
    fs::remove_dir_all(scheduled.backups.parent().unwrap()).unwrap();
    let mut command = crate::support::netbird_auth(scheduled.folder.path());
    command
        .env("NETBIRD_AUTH_BACKUP__DIRECTORY", &scheduled.backups)
        .env("NETBIRD_AUTH_SERVER__LISTEN", taken.address.to_string());
    let output = crate::support::refused_start(command);
    assert_eq!(output.status.code(), Some(1));
    assert!(!scheduled.backups.exists());
}

#[test]
fn a_stop_calls_off_what_is_on_the_way_and_leaves_nothing_half() {
    let kept = Kept::new();
    kept.fill(60_000);
    let database = kept.database.clone();
    let scheduled = Scheduled {
        backups: kept.folder.path().join("scheduled"),
        folder: Arc::new(kept.folder),
    };
    let server = scheduled.start(&[]);
    let folder = &scheduled.backups;
    eventually("it has begun", || {
        let names = fs::read_dir(folder).ok()?.count();
        (names > 0).then_some(())
    });
    server.signal(Signal::TERM);
    let (code, log) = server.stop();
    assert_eq!(code, Some(0), "{log:?}");
    let bad = |line: &&String| line.contains("WARN") || line.contains("ERROR");
    assert_eq!(log.iter().find(bad), None);
    match log.iter().any(|line| line.contains("made the backup")) {
        true => assert_eq!(scheduled.names().len(), 2),
        false => assert_eq!(scheduled.names(), [""; 0]),
    }
    assert!(!database.with_file_name("test.db-wal").exists());
}

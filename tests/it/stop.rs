//! The stop while another program holds the database: in time, and with a word of what is lost.

use std::sync::Arc;
use std::time::Instant;

use rusqlite::Connection as Database;
use rustix::process::Signal;

use crate::bad_input::request;
use crate::operations::LONGEST_STOP;
use crate::support::{Connection, Server};

/// More than two batches of the writer.
const WAITING: usize = 600;
const MARKS_LOST: &str = "the last marks of use could not be written";

fn hold(server: &Server) -> Database {
    let holder = server.database();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    holder
}

#[test]
fn a_stop_ends_in_time_while_changes_wait_for_another_programs_lock() {
    let server = Server::start();
    let holder = hold(&server);
    let path = format!("/api/users/{}/tokens", server.owner_id);
    let body = br#"{"name":"ci","expires_in":1}"#;
    let more = format!("Content-Length: {}\r\nExpect: 100-continue\r\n", body.len());
    let head = request(&server, "POST", &path, &more, b"");
    let mut connections: Vec<_> = (0..WAITING)
        .map(|_| Connection::open(server.address))
        .collect();
    for connection in &mut connections {
        connection.send(&head);
        assert_eq!(connection.answer(false).status, 100);
    }
    for connection in &mut connections {
        connection.send(body);
    }
    let since = Instant::now();
    let folder = Arc::clone(&server.folder);
    let (code, log) = server.stop();
    let took = since.elapsed();
    assert!(took < LONGEST_STOP, "{took:?}");
    assert_eq!(code, Some(1), "{log:?}");
    assert!(log.iter().any(|line| line.contains(MARKS_LOST)), "{log:?}");
    for connection in &mut connections {
        connection.answer(false).error(503);
    }
    holder.execute_batch("ROLLBACK").unwrap();
    let count = "SELECT count(*) FROM tokens";
    let count: i64 = holder.query_row(count, (), |row| row.get(0)).unwrap();
    assert_eq!(count, 1, "nothing that was refused is made");
    drop(folder);
}

#[test]
fn marks_that_a_lock_keeps_out_until_the_end_are_an_error_and_written_where_it_ends_in_time() {
    for is_released in [false, true] {
        let server = Server::start();
        let holder = hold(&server);
        server.owner.get("/api/users").ok();
        let _folder = Arc::clone(&server.folder);
        server.signal(Signal::TERM);
        server.log_line("stopping");
        if is_released {
            holder.execute_batch("ROLLBACK").unwrap();
        }
        let since = Instant::now();
        let (code, log) = server.stop();
        assert!(since.elapsed() < LONGEST_STOP, "{:?}", since.elapsed());
        assert_eq!(code, Some(i32::from(!is_released)), "{log:?}");
        let told = log.iter().any(|line| line.contains(MARKS_LOST));
        assert_eq!(told, !is_released, "{log:?}");
        if !is_released {
            holder.execute_batch("ROLLBACK").unwrap();
        }
        let marks = "SELECT count(*) FROM token_usage";
        let marks: i64 = holder.query_row(marks, (), |row| row.get(0)).unwrap();
        assert_eq!(marks, i64::from(is_released));
    }
}

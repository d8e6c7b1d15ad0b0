//! A client that stops reading an answer, and one that only reads slowly.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::{Connection, Crowd, Response, Server, eventually};

const USERS: usize = 10_000;

/// A server whose list of users is some megabytes.
pub fn server(settings: &[(&str, &str)]) -> Server {
    let crowd = Crowd::new();
    let sql = format!(
        "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {USERS})
        INSERT INTO users (id, origin, name, email, role, is_service, created_at)
        SELECT 'user-' || n, 'api', printf('%.*c', 255, 'x'), n || '@home.arpa', 'user', 0, 1 FROM numbers"
    );
    assert_eq!(crowd.database.execute(&sql, ()).unwrap(), USERS);
    crowd.start_with(settings)
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address).unwrap();
    let patience = Duration::from_secs(20);
    stream.set_read_timeout(Some(patience)).unwrap();
    stream
}

/// Asks for the list, and reads nothing of it.
fn ask(server: &Server, client: &mut TcpStream) {
    let authorization = server.owner.authorization.as_ref().unwrap();
    let request = format!(
        "GET /api/users HTTP/1.1\r\nHost: test\r\nConnection: close\r\nAuthorization: {authorization}\r\n\r\n"
    );
    client.write_all(request.as_bytes()).unwrap();
}

/// The server's end of a connection, as the kernel tells it.
struct End {
    /// Whether the kernel asks the client again and again if it takes more.
    is_stalled: bool,
    inode: String,
}

impl End {
    /// `None` where there is none any more.
    fn find(server: &Server, client: &TcpStream) -> Option<Self> {
        let ports = [server.address.port(), client.local_addr().unwrap().port()];
        let [local, remote] = ports.map(|port| format!(":{port:04X}"));
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        table.lines().find_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let is_it = fields[1].ends_with(&local) && fields[2].ends_with(&remote);
            is_it.then(|| Self {
                // The timer that runs: 4 is that of a window of zero.
                is_stalled: fields[5].starts_with("04:"),
                inode: fields[9].to_owned(),
            })
        })
    }

    /// Whether the server has it still open.
    fn is_open(&self, server: &Server) -> bool {
        let socket = format!("socket:[{}]", self.inode);
        let files = std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap();
        let targets = files.filter_map(|file| std::fs::read_link(file.unwrap().path()).ok());
        targets
            .into_iter()
            .any(|target| target.as_os_str() == &*socket)
    }
}

#[test]
fn a_client_that_stops_reading_is_cut_and_nobody_else_is() {
    let server = server(&[("LIMITS__WRITE_TIMEOUT", "1")]);
    let healthy = b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n";
    let mut idle = Connection::open(server.address);
    idle.send(healthy);
    assert_eq!(idle.answer(false).status, 200);
    let mut client = connect(&server);
    let end = eventually("the server has accepted the client", || {
        End::find(&server, &client).filter(|end| end.is_open(&server))
    });
    let since = Instant::now();
    ask(&server, &mut client);
    eventually("the client is cut", || {
        (!end.is_open(&server)).then_some(())
    });
    assert!(since.elapsed() >= Duration::from_secs(1));
    assert!(End::find(&server, &client).is_none());
    let mut text = Vec::new();
    // The end, or an error: nothing comes after it.
    let _ = client.read_to_end(&mut text);
    assert!(text.starts_with(b"HTTP/1.1 200 OK\r\n"));
    assert!(Response::parse(&text).is_none());
    // It had nothing to read meanwhile, and that is no stall.
    idle.send(healthy);
    assert_eq!(idle.answer(false).status, 200);
    let whole = server.owner.get("/api/users");
    assert_eq!(whole.ok().as_array().unwrap().len(), USERS + 1);
    assert!(text.len() < whole.body.len());
}

#[test]
fn a_client_that_reads_slowly_gets_the_whole_list() {
    let server = server(&[("LIMITS__WRITE_TIMEOUT", "5")]);
    let mut client = connect(&server);
    let since = Instant::now();
    ask(&server, &mut client);
    let mut text = Vec::new();
    while since.elapsed() < Duration::from_secs(6) {
        let last = Instant::now();
        eventually("the client has read nothing for a while", || {
            if last.elapsed() < Duration::from_millis(500) {
                return None;
            }
            let end = End::find(&server, &client).expect("it is not cut");
            end.is_stalled.then_some(())
        });
        let wanted = text.len() + 128 * 1024;
        while text.len() < wanted {
            let mut few = [0; 1000];
            let read = client.read(&mut few).unwrap();
            assert!(read > 0, "cut after {} bytes", text.len());
            text.extend(&few[..read]);
        }
    }
    client.read_to_end(&mut text).unwrap();
    let whole = Response::parse(&text).expect("the last chunk");
    assert_eq!(whole.ok().as_array().unwrap().len(), USERS + 1);
}

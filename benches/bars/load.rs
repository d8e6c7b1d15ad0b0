//! What keeps a server busy while it is measured, in steps of a few microseconds: the probe beside
//! it, which is on the same core, is not kept waiting.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::wire::{self, Connection, find, get};

/// One of several things that a client's core does in turn.
pub trait Load {
    /// Looks at one connection, and sends what comes next; whether there was something.
    fn step(&mut self) -> bool;

    /// Lets the core go for a time at most, where no connection has anything: the server's writer has
    /// the same one.
    fn wait(&self, _at_most: Duration) {}

    /// How many connections are looked at in turn.
    fn width(&self) -> usize;
}

/// No load.
pub struct Idle;

impl Load for Idle {
    fn step(&mut self) -> bool {
        std::hint::spin_loop();
        false
    }

    fn width(&self) -> usize {
        1
    }
}

/// Clients that make a token, revoke it, make another …, each waiting for its answer.
pub struct Churn {
    lines: Vec<Maker>,
    next: usize,
    path: String,
    owner: String,
    acknowledged: u32,
}

struct Maker {
    connection: Connection,
    /// The plain text and the id of the token that this client has now.
    made: Option<(String, String)>,
    revoked: Option<String>,
}

impl Churn {
    /// With a token of the owner, and a number of clients.
    pub fn new(address: SocketAddr, owner: &str, clients: usize) -> Self {
        let mut connection = Connection::open(address);
        assert_eq!(connection.ask(&wire::who_am_i(owner)), 200);
        let user: serde_json::Value = serde_json::from_slice(connection.body()).unwrap();
        let maker = |connection| Maker {
            connection,
            made: None,
            revoked: None,
        };
        let lines = Connection::open_many(address, clients);
        let mut churn = Self {
            lines: lines.into_iter().map(maker).collect(),
            next: 0,
            path: format!("/api/users/{}/tokens", user["id"].as_str().unwrap()),
            owner: owner.to_owned(),
            acknowledged: 0,
        };
        // Every second one has a token already, so that half of what comes makes and half revokes.
        for place in (1..clients).step_by(2) {
            churn.send(place);
            while !churn.take(place) {}
        }
        for place in 0..clients {
            churn.send(place);
        }
        churn.acknowledged = 0;
        churn
    }

    /// Changes a second, over a time.
    pub fn rate(&mut self, time: Duration) -> f64 {
        let before = self.acknowledged;
        let started = Instant::now();
        let mut in_vain = 0;
        while started.elapsed() < time {
            in_vain = if self.step() { 0 } else { in_vain + 1 };
            if in_vain >= self.width() {
                self.wait(time);
                in_vain = 0;
            }
        }
        f64::from(self.acknowledged - before) / started.elapsed().as_secs_f64()
    }

    /// How many changes were acknowledged.
    pub fn acknowledged(&self) -> u32 {
        self.acknowledged
    }

    /// Waits for what is under way; then every token that is there must pass, and every one that is
    /// gone must not.
    pub fn check(mut self) {
        for place in 0..self.lines.len() {
            while !self.take(place) {}
            let line = &mut self.lines[place];
            if let Some((plain, _)) = &line.made {
                assert!(wire::passes(&mut line.connection, plain), "a new token");
            }
            if let Some(plain) = &line.revoked {
                assert!(
                    !wire::passes(&mut line.connection, plain),
                    "a revoked token"
                );
            }
        }
    }

    fn send(&mut self, place: usize) {
        let (path, owner) = (&self.path, &self.owner);
        let body = r#"{"name": "bench", "expires_in": 30}"#;
        let line = &mut self.lines[place];
        let (what, body) = match &line.made {
            None => (format!("POST {path}"), body),
            Some((_, id)) => (format!("DELETE {path}/{id}"), ""),
        };
        let request = format!(
            "{what} HTTP/1.1\r\nHost: bench\r\nAuthorization: Token {owner}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        line.connection.send(request.as_bytes());
    }

    fn take(&mut self, place: usize) -> bool {
        let line = &mut self.lines[place];
        let Some(status) = line.connection.poll() else {
            return false;
        };
        let body = line.connection.body();
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(body));
        match line.made.take() {
            Some((plain, _)) => line.revoked = Some(plain),
            None => {
                let made: serde_json::Value = serde_json::from_slice(body).unwrap();
                let plain = made["plain_token"].as_str().unwrap();
                let id = made["personal_access_token"]["id"].as_str().unwrap();
                line.made = Some((plain.to_owned(), id.to_owned()));
            }
        }
        self.acknowledged += 1;
        true
    }
}

impl Load for Churn {
    fn step(&mut self) -> bool {
        let place = self.next;
        self.next = (self.next + 1) % self.lines.len();
        let taken = self.take(place);
        if taken {
            self.send(place);
        }
        taken
    }

    fn wait(&self, at_most: Duration) {
        wire::wait(self.lines.iter().map(|line| &line.connection), at_most);
    }

    fn width(&self) -> usize {
        self.lines.len()
    }
}

/// Clients that list all users, again and again. Each list is checked.
pub struct Lists {
    lines: Vec<Reader>,
    next: usize,
    request: Vec<u8>,
    users: usize,
    /// No further list is asked for.
    is_last: bool,
    /// Milliseconds to the first byte of each list's body.
    pub first_bytes: Vec<f64>,
    /// Seconds that each whole list took.
    pub whole: Vec<f64>,
    buffer: [u8; 16 * 1024],
}

struct Reader {
    connection: Connection,
    sent: Instant,
    /// Until the body begins.
    head: Vec<u8>,
    in_body: bool,
    members: usize,
    tail: [u8; 8],
    is_done: bool,
}

impl Lists {
    /// With a token of the owner, and how many users there are.
    pub fn new(address: SocketAddr, owner: &str, clients: usize, users: usize) -> Self {
        let reader = |connection| Reader {
            connection,
            sent: Instant::now(),
            head: Vec::new(),
            in_body: false,
            members: 0,
            tail: [0; 8],
            is_done: false,
        };
        let lines = Connection::open_many(address, clients);
        let mut lists = Self {
            lines: lines.into_iter().map(reader).collect(),
            next: 0,
            request: get("/api/users", owner),
            users,
            is_last: false,
            first_bytes: Vec::new(),
            whole: Vec::new(),
            buffer: wire::buffer(),
        };
        for line in &mut lists.lines {
            line.sent = Instant::now();
            line.connection.send(&lists.request);
        }
        lists
    }

    /// Reads to its end what was asked for.
    pub fn finish(&mut self) {
        self.is_last = true;
        let clients = self.lines.len();
        while self.lines.iter().filter(|line| line.is_done).count() < clients {
            self.step();
        }
    }
}

impl Load for Lists {
    fn step(&mut self) -> bool {
        let place = self.next;
        self.next = (place + 1) % self.lines.len();
        let line = &mut self.lines[place];
        let Some(mut bytes) = line.connection.read(&mut self.buffer) else {
            return false;
        };
        if !line.in_body {
            line.head.extend_from_slice(bytes);
            let Some(end) = find(&line.head, b"\r\n\r\n") else {
                return true;
            };
            assert!(line.head.starts_with(b"HTTP/1.1 200 "), "a list");
            let body = line.head.len() - end - 4;
            bytes = &bytes[bytes.len() - body..];
            if bytes.is_empty() {
                // The body begins with the next byte.
                line.head.truncate(end + 4);
                return true;
            }
            line.in_body = true;
            let waited = line.sent.elapsed().as_secs_f64() * 1e3;
            self.first_bytes.push(waited);
        }
        // A user's object has no other in it, and no text here has a brace.
        line.members += bytes.iter().filter(|byte| **byte == b'{').count();
        let kept = bytes.len().min(8);
        line.tail.rotate_left(kept);
        line.tail[8 - kept..].copy_from_slice(&bytes[bytes.len() - kept..]);
        // Line breaks are between the parts of the body only.
        if line.tail == *b"]\r\n0\r\n\r\n" {
            assert_eq!(line.members, self.users, "users of a list");
            self.whole.push(line.sent.elapsed().as_secs_f64());
            (line.members, line.in_body, line.tail) = (0, false, [0; 8]);
            line.head.clear();
            line.is_done = self.is_last;
            if !line.is_done {
                line.sent = Instant::now();
                line.connection.send(&self.request);
            }
        }
        true
    }

    fn width(&self) -> usize {
        self.lines.len()
    }
}

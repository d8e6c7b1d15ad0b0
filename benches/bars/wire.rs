//! A connection of a client that looks whether there is something to read, and does something else
//! meanwhile.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Most that is read at a time, so that whoever waits behind it does not wait long.
const BITE: usize = 16 * 1024;

/// One connection that stays open, with one request at a time.
pub struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    head: usize,
}

impl Connection {
    pub fn open(address: SocketAddr) -> Self {
        Self::try_open(address).unwrap()
    }

    /// An error where nobody listens yet.
    pub fn try_open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            received: Vec::with_capacity(BITE),
            head: 0,
        })
    }

    pub fn open_many(address: SocketAddr, count: usize) -> Vec<Self> {
        (0..count).map(|_| Self::open(address)).collect()
    }

    /// Sends a request; the answer to the one before was taken.
    pub fn send(&mut self, request: &[u8]) {
        self.received.clear();
        self.head = 0;
        self.stream.write_all(request).unwrap();
    }

    /// Reads once; how much there was. An end is an error: the server keeps connections open.
    pub fn read<'a>(&mut self, buffer: &'a mut [u8; BITE]) -> Option<&'a [u8]> {
        match self.stream.read(buffer) {
            Ok(0) => panic!("the server closed a connection"),
            Ok(count) => Some(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Reads once; the status, if the whole answer is there.
    pub fn poll(&mut self) -> Option<u16> {
        let mut buffer = buffer();
        let bytes = self.read(&mut buffer)?;
        self.received.extend_from_slice(bytes);
        let end = find(&self.received, b"\r\n\r\n")?;
        self.head = end + 4;
        let head = std::str::from_utf8(&self.received[..end]).unwrap();
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            let is_length = name.eq_ignore_ascii_case("content-length");
            is_length.then(|| value.parse::<usize>().unwrap())
        });
        let length = length.expect("an answer with a length");
        (self.received.len() == self.head + length).then(|| head[9..12].parse().unwrap())
    }

    /// The body of the answer that [`Connection::poll`] told of.
    pub fn body(&self) -> &[u8] {
        &self.received[self.head..]
    }

    /// Asks, and waits for the answer without sleeping.
    pub fn ask(&mut self, request: &[u8]) -> u16 {
        self.send(request);
        loop {
            if let Some(status) = self.poll() {
                return status;
            }
            std::hint::spin_loop();
        }
    }
}

/// Sleeps until one of these has something to read, or for a time at most.
pub fn wait<'a>(connections: impl Iterator<Item = &'a Connection>, at_most: Duration) {
    let fds = connections.map(|one| PollFd::new(&one.stream, PollFlags::IN));
    let mut fds: Vec<PollFd<'_>> = fds.collect();
    let at_most = Timespec::try_from(at_most).unwrap();
    // An interrupted wait is as good as one that ended.
    let _ = poll(&mut fds, Some(&at_most));
}

/// For [`Connection::read`].
pub fn buffer() -> [u8; BITE] {
    [0; BITE]
}

/// Where a text begins in another.
pub fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// The request that asks who one is: the cheapest behind the door that shows whose token it was.
pub fn who_am_i(token: &str) -> Vec<u8> {
    get("/api/users/current", token)
}

pub fn get(path: &str, token: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Token {token}\r\n\r\n")
        .into_bytes()
}

/// Whether a token passes at a server.
pub fn passes(connection: &mut Connection, token: &str) -> bool {
    match connection.ask(&who_am_i(token)) {
        200 => true,
        401 => false,
        status => panic!("status {status}"),
    }
}

/// Keeps all connections busy for a time; how many requests were answered, with 200 each.
pub fn saturate(
    connections: &mut [Connection],
    mut next: impl FnMut() -> [u8; 40],
    time: Duration,
) -> u32 {
    let mut request = who_am_i(&"x".repeat(40));
    let place = find(&request, b"xxxx").unwrap();
    let started = Instant::now();
    let mut answered = 0;
    while started.elapsed() < time {
        for connection in &mut *connections {
            request[place..place + 40].copy_from_slice(&next());
            connection.send(&request);
        }
        for connection in &mut *connections {
            let status = loop {
                if let Some(status) = connection.poll() {
                    break status;
                }
                std::hint::spin_loop();
            };
            assert_eq!(status, 200, "a token that is good");
            answered += 1;
        }
    }
    answered
}

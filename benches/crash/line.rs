//! A connection that stays open, to a server that may be killed at any moment.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::wire::find;

/// Nothing takes so long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// One request at a time.
pub struct Line {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Line {
    /// `None` where nobody listens.
    pub fn open(address: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect(address).ok()?;
        stream.set_nodelay(true).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        Some(Self {
            stream,
            received: Vec::new(),
        })
    }

    /// Sends a request; the status of the one before was taken.
    pub fn send(&mut self, request: &[u8]) -> Option<()> {
        self.received.clear();
        self.stream.write_all(request).ok()
    }

    /// The status, once the whole answer is there; `None` where the server is gone.
    pub fn status(&mut self) -> Option<u16> {
        let mut buffer = [0; 4096];
        loop {
            let count = self
                .stream
                .read(&mut buffer)
                .ok()
                .filter(|count| *count > 0)?;
            self.received.extend_from_slice(&buffer[..count]);
            if let Some(status) = self.whole() {
                return Some(status);
            }
        }
    }

    /// Sends, and waits for the answer.
    pub fn ask(&mut self, request: &[u8]) -> Option<u16> {
        self.send(request)?;
        self.status()
    }

    fn whole(&self) -> Option<u16> {
        let end = find(&self.received, b"\r\n\r\n")?;
        let head = std::str::from_utf8(&self.received[..end]).ok()?;
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.parse::<usize>().ok())?
        })?;
        let is_whole = self.received.len() == end + 4 + length;
        is_whole.then(|| head.get(9..12)?.parse().ok())?
    }
}

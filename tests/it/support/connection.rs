//! A connection that stays open over several answers.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use super::{PATIENCE, Response};

/// Sends bytes as they are, and reads answers one by one.
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    pub fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    /// This end of it.
    pub fn local_address(&self) -> SocketAddr {
        self.0.get_ref().local_addr().unwrap()
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    /// Nothing more will be sent.
    pub fn half_close(&mut self) {
        self.0.get_mut().shutdown(Shutdown::Write).unwrap();
    }

    /// One answer; that to a HEAD has no body whatever its headers say.
    #[track_caller]
    pub fn answer(&mut self, to_head: bool) -> Response {
        let mut text = Vec::new();
        let mut length = 0;
        let mut is_chunked = false;
        loop {
            let line = self.line(&mut text);
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            }
            is_chunked |= line == "transfer-encoding: chunked";
        }
        if to_head {
            return Response::parse(&text).unwrap();
        }
        while is_chunked {
            let size = usize::from_str_radix(&self.line(&mut text), 16).unwrap();
            self.bytes(size + 2, &mut text);
            is_chunked = size > 0;
        }
        self.bytes(length, &mut text);
        Response::parse(&text).unwrap()
    }

    /// So many bytes, as they are.
    #[track_caller]
    pub fn take(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.bytes(length, &mut bytes);
        bytes
    }

    /// Whether the server has closed its side; waits for that.
    pub fn is_at_end(&mut self) -> bool {
        match self.0.read(&mut [0]) {
            Ok(read) => read == 0,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }

    #[track_caller]
    fn line(&mut self, text: &mut Vec<u8>) -> String {
        let start = text.len();
        let read = self.0.read_until(b'\n', text).unwrap();
        assert!(read > 0, "the connection ended in an answer's head");
        let line = String::from_utf8(text[start..].to_vec()).unwrap();
        line.trim_end().to_lowercase()
    }

    #[track_caller]
    fn bytes(&mut self, length: usize, text: &mut Vec<u8>) {
        let start = text.len();
        text.resize(start + length, 0);
        self.0.read_exact(&mut text[start..]).unwrap();
    }
}

//! An app behind a reverse proxy, and a relay that shows what goes through.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::json;

/// Answers every request with what it got, as JSON, and after an upgrade every byte with itself.
pub struct Upstream {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A request as it arrived, to the byte.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub target: String,
    /// Names in the case in which they came.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// What followed a chunked body.
    pub trailers: String,
}

impl Upstream {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let store = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let store = Arc::clone(&store);
                // A proxy that goes away in the middle of a request is no fault of the test.
                std::thread::spawn(move || answer(&stream, &store));
            }
        });
        Self { address, seen }
    }

    /// What has arrived since this was asked last.
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

impl Seen {
    /// All values of a header in any spelling: letter case, and `_` for `-`.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let plain = |name: &str| name.to_lowercase().replace('_', "-");
        let of_name = self.headers.iter();
        let of_name = of_name.filter(|(known, _)| plain(known) == plain(name));
        of_name.map(|(_, value)| value.as_str()).collect()
    }
}

fn answer(stream: &TcpStream, store: &Mutex<Vec<Seen>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Ok(());
    };
    let mut headers: Vec<(String, String)> = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut seen = Seen {
        method,
        target,
        headers,
        body: Vec::new(),
        trailers: String::new(),
    };
    if seen.all("Transfer-Encoding") == ["chunked"] {
        read_chunks(&mut reader, &mut seen)?;
    } else if let Some(length) = seen.all("Content-Length").first() {
        seen.body.resize(length.parse().unwrap(), 0);
        reader.read_exact(&mut seen.body)?;
    }
    store.lock().unwrap().push(seen.clone());
    let mut writer = stream;
    let connection = seen.all("Connection").join(",").to_lowercase();
    if let ([protocol], "upgrade") = (&seen.all("Upgrade")[..], &*connection) {
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n"
        );
        writer.write_all(head.as_bytes())?;
        std::io::copy(&mut reader, &mut writer)?;
        return Ok(());
    }
    let body = json!({
        "method": seen.method, "target": seen.target, "headers": seen.headers,
        "body": String::from_utf8_lossy(&seen.body),
    });
    let body = body.to_string();
    let length = body.len();
    let mut text = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n"
    );
    if seen.method != "HEAD" {
        text += &body;
    }
    writer.write_all(text.as_bytes())
}

fn read_chunks(reader: &mut impl BufRead, seen: &mut Seen) -> std::io::Result<()> {
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim(), 16).unwrap();
        if size == 0 {
            break;
        }
        let start = seen.body.len();
        seen.body.resize(start + size, 0);
        reader.read_exact(&mut seen.body[start..])?;
        reader.read_line(&mut line)?;
    }
    while reader.read_line(&mut seen.trailers)? > 2 {}
    Ok(())
}

/// Hands connections on to an address, counts them, and keeps what clients sent.
pub struct Relay {
    pub address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    connections: AtomicUsize,
    is_closed: AtomicBool,
    sent: Mutex<Vec<u8>>,
    open: Mutex<Vec<TcpStream>>,
}

impl Relay {
    pub fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if shared.is_closed.load(Ordering::SeqCst) {
                    return;
                }
                shared.connections.fetch_add(1, Ordering::SeqCst);
                let _ = relay(client, to, &shared);
            }
        });
        Self { address, state }
    }

    /// How many connections came.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// All that clients have sent until now.
    pub fn sent(&self) -> String {
        String::from_utf8_lossy(&self.state.sent.lock().unwrap()).into_owned()
    }

    /// Nobody gets through any more, and nobody even gets here.
    pub fn close(&self) {
        self.state.is_closed.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        for stream in self.state.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        super::eventually("the relay is gone", || {
            TcpStream::connect(self.address).err().map(|_| ())
        });
    }
}

/// Until one of the two ends.
fn relay(mut client: TcpStream, to: SocketAddr, state: &Arc<State>) -> std::io::Result<()> {
    let mut server = TcpStream::connect(to)?;
    let mut open = state.open.lock().unwrap();
    open.extend([client.try_clone()?, server.try_clone()?]);
    drop(open);
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    let state = Arc::clone(state);
    std::thread::spawn(move || {
        let mut bytes = [0; 16 * 1024];
        while let Ok(read @ 1..) = from_client.read(&mut bytes) {
            state.sent.lock().unwrap().extend(&bytes[..read]);
            if to_server.write_all(&bytes[..read]).is_err() {
                break;
            }
        }
        let _ = to_server.shutdown(Shutdown::Both);
    });
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut server, &mut client);
        let _ = client.shutdown(Shutdown::Both);
    });
    Ok(())
}

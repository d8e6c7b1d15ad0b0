//! `healthcheck`: for containers and supervisors without curl.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use clap::Args;
use rustls::{ClientConnection, StreamOwned};

use super::failure::Failure;
use super::output;
use super::place::Place;
use crate::config::{Listen, Server};
use crate::tls::{self, TlsFault};

const TIMEOUT: Duration = Duration::from_secs(3);

/// Far more than the server says of its health.
const MOST: u64 = 64 * 1024;

#[derive(Args)]
pub(super) struct Healthcheck {
    /// Also fail while the database can't be written
    #[arg(long)]
    ready: bool,
}

/// What was answered.
struct Answer {
    status: u16,
    body: Vec<u8>,
}

impl Healthcheck {
    pub(super) fn run(&self, server: &Server) -> Result<(), Failure> {
        let path = if self.ready { "/readyz" } else { "/healthz" };
        let place = Place::configured(server);
        let asked = format!("{place}{path}");
        let answer = within(TIMEOUT, move || ask(&place, path)).map_err(|error| {
            let hint = "is the server running, and is this its configuration?";
            Failure::Failed(format!("{asked}: {error}; {hint}"))
        })?;
        if answer.status == 200 {
            output::tell(&format!("{asked}: ok"));
            return Ok(());
        }
        let status = answer.status.to_string();
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let message = body.get("message").and_then(|message| message.as_str());
        Err(Failure::Failed(format!(
            "{asked}: {}",
            message.unwrap_or(&status)
        )))
    }
}

/// The work ends with the process where it takes longer.
fn within<T: Send + 'static>(
    time: Duration,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (done, wait) = mpsc::channel();
    std::thread::Builder::new().spawn(move || done.send(work()))?;
    wait.recv_timeout(time).unwrap_or_else(|error| {
        Err(match error {
            RecvTimeoutError::Timeout => io::Error::other("no answer within 3 seconds"),
            RecvTimeoutError::Disconnected => io::Error::other("a bug"),
        })
    })
}

fn ask(place: &Place, path: &str) -> io::Result<Answer> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let Some(address) = place.address() else {
        let Listen::Unix(socket) = &place.listen else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        return exchange(UnixStream::connect(socket)?, &request);
    };
    let tcp = TcpStream::connect(address)?;
    if !place.is_tls {
        return exchange(tcp, &request);
    }
    // Nothing secret is said, and no more is believed than over plain HTTP: so any certificate will do. It is for
    // another name than localhost, anyway.
    let client = tls::client_of_anybody().map_err(|fault| match fault {
        TlsFault::Library(error) => io::Error::other(error),
        fault => io::Error::other(fault.to_string()),
    })?;
    let name = address.ip().into();
    let client = ClientConnection::new(Arc::new(client), name).map_err(io::Error::other)?;
    exchange(StreamOwned::new(client, tcp), &request)
}

fn exchange(mut stream: impl Read + Write, request: &str) -> io::Result<Answer> {
    stream.write_all(request.as_bytes())?;
    stream.flush()?;
    let mut bytes = Vec::new();
    match stream.take(MOST).read_to_end(&mut bytes) {
        // Over TLS: closed without a farewell. Whether all is there shows in the answer.
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(error),
        _ => {}
    }
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut answer = httparse::Response::new(&mut headers);
    match (answer.parse(&bytes), answer.code) {
        (Ok(httparse::Status::Complete(head)), Some(status)) => Ok(Answer {
            status,
            body: bytes.split_off(head),
        }),
        _ => Err(io::Error::other("the answer is no HTTP")),
    }
}

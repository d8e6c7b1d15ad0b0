//! One client's connection: how long and how much it may take before, between and within its requests.
//!
//! actix has a deadline for the head of a connection's first request only, and lets a head grow to 128 KiB.

mod stream;
mod watch;

pub use stream::Stream;
pub use watch::{Bounds, Running, Watch};

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::http::header::HeaderValue;
use actix_web::rt::time::{Instant, Sleep, sleep, sleep_until};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::error::ApiError;
use watch::{Due, UNREAD_BYTES};

/// After an answer that refuses: what the client is still sending is taken off it for so long, or
/// the answer would be lost with it (RFC 9112 §9.6).
const LINGER: Duration = Duration::from_secs(1);

/// Told of what was refused before it was a request.
pub type Refused = Rc<dyn Fn(&ApiError)>;

/// What all connections of a listener have in common.
#[derive(Clone)]
pub struct Manner {
    /// What each may take.
    pub bounds: Bounds,
    /// For each answer: see [`crate::answer::guard`].
    pub strict_transport: Option<HeaderValue>,
}

/// The bytes of a connection, within its bounds.
pub struct Connection {
    stream: Stream,
    watch: Rc<Watch>,
    strict_transport: Option<HeaderValue>,
    refused: Refused,
    /// May be earlier than the deadline, which moves on with each request: then it is set anew.
    deadline: Pin<Box<Sleep>>,
    closing: Option<Closing>,
    /// The client takes nothing of what is written.
    is_blocked: bool,
    /// Until when it may, where the kernel does not see to it: `server::cut_stalled`.
    stalled: Option<Pin<Box<Sleep>>>,
}

/// It was refused: this is what is still to be written, and what of it was taken off meanwhile.
struct Closing {
    answer: Vec<u8>,
    written: usize,
    until: Pin<Box<Sleep>>,
    discarded: usize,
}

impl Connection {
    /// A connection that was accepted at a time: the first head is due from then on.
    pub fn new(stream: Stream, accepted: Instant, manner: &Manner, refused: Refused) -> Self {
        let watch = Rc::new(Watch::new(manner.bounds, accepted));
        let deadline = watch.deadline().unwrap_or(accepted);
        Self {
            stream,
            watch,
            strict_transport: manner.strict_transport.clone(),
            refused,
            deadline: Box::pin(sleep_until(deadline)),
            closing: None,
            is_blocked: false,
            stalled: None,
        }
    }

    /// Refuses whatever the client says, without reading it.
    pub async fn turn_away(mut self, error: &ApiError) {
        self.refuse(error);
        poll_fn(|cx| match &mut self.closing {
            Some(closing) => closing.poll(&mut self.stream, cx),
            None => Poll::Ready(()),
        })
        .await;
    }

    /// Which the application tells what it does.
    pub fn watch(&self) -> &Rc<Watch> {
        &self.watch
    }

    /// What is due when nothing came.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Due> {
        loop {
            let Some(due) = self.watch.deadline() else {
                // It is the application's turn, at whose end nobody reads: so the clock goes on.
                ready!(self.deadline.as_mut().poll(cx));
                let later = Instant::now() + self.watch.bounds().idle;
                self.deadline.as_mut().reset(later);
                continue;
            };
            if due < self.deadline.deadline() {
                self.deadline.as_mut().reset(due);
            }
            ready!(self.deadline.as_mut().poll(cx));
            if due <= self.deadline.deadline() {
                return Poll::Ready(self.watch.due());
            }
            self.deadline.as_mut().reset(due);
        }
    }

    /// Begins to refuse; the answer is written where no request was answered before, as what the client takes
    /// for its next answer otherwise.
    fn refuse(&mut self, error: &ApiError) {
        (self.refused)(error);
        let answer = match self.watch.is_first() {
            true => text(error, self.strict_transport.as_ref()),
            false => Vec::new(),
        };
        self.closing = Some(Closing {
            answer,
            written: 0,
            until: Box::pin(sleep_until(Instant::now() + LINGER)),
            discarded: 0,
        });
    }

    /// What follows from a write: where the client takes nothing, nothing is read of it either, and it has its
    /// time to go on.
    fn after_write<T>(
        &mut self,
        write: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if write.is_ready() {
            self.stalled = None;
            if std::mem::take(&mut self.is_blocked) {
                // actix has looked for something to read before it came here, in vain.
                self.watch.goes_on();
                cx.waker().wake_by_ref();
            }
            return write;
        }
        self.is_blocked = true;
        if self.stream.is_cut_by_kernel() {
            return write;
        }
        let time = self.watch.bounds().stalled;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(time)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

/// An answer as bytes, with which the connection ends.
fn text(error: &ApiError, strict_transport: Option<&HeaderValue>) -> Vec<u8> {
    let mut response = error.response(false);
    crate::answer::guard(response.headers_mut(), strict_transport);
    let status = response.status();
    let reason = status.canonical_reason().unwrap_or_default();
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
    let mut line = |name: &[u8], value: &[u8]| {
        head.extend([name, b": ", value, b"\r\n"].concat());
    };
    for (name, value) in response.headers() {
        line(name.as_str().as_bytes(), value.as_bytes());
    }
    let body = response.into_body().try_into_bytes().unwrap_or_default();
    line(b"content-length", body.len().to_string().as_bytes());
    line(b"connection", b"close");
    [&head, &b"\r\n"[..], &body].concat()
}

impl Closing {
    /// Ready when the connection may be closed.
    fn poll(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<()> {
        if self.until.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        while let Some(rest @ [_, ..]) = self.answer.get(self.written..) {
            match Pin::new(&mut *stream).poll_write(cx, rest) {
                Poll::Ready(Ok(written @ 1..)) => self.written += written,
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        if self.answer.is_empty() || ready!(Pin::new(&mut *stream).poll_shutdown(cx)).is_err() {
            return Poll::Ready(());
        }
        let mut scratch = [0; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            if ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer)).is_err() {
                return Poll::Ready(());
            }
            self.discarded += buffer.filled().len();
            if buffer.filled().is_empty() || self.discarded > UNREAD_BYTES {
                return Poll::Ready(());
            }
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if let Some(closing) = &mut this.closing {
                ready!(closing.poll(&mut this.stream, cx));
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
            // Whoever takes no answers needs none to further requests. And nothing is read ahead.
            if this.is_blocked || this.watch.holds(cx) {
                return Poll::Pending;
            }
            if this.watch.is_too_much() {
                return Poll::Ready(Ok(()));
            }
            if this.watch.is_head_full() {
                // actix reads all that there is before it looks whether it is a request.
                if this.watch.looks_once() {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                this.refuse(&ApiError::HeadTooLarge);
                continue;
            }
            let before = buffer.filled().len();
            if let Poll::Ready(read) = Pin::new(&mut this.stream).poll_read(cx, buffer) {
                this.watch.received(buffer.filled().len() - before);
                return Poll::Ready(read);
            }
            match ready!(this.wait(cx)) {
                // An end, as if the client had closed it.
                Due::Idle => return Poll::Ready(Ok(())),
                Due::Head => this.refuse(&ApiError::Timeout("the request")),
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let write = Pin::new(&mut this.stream).poll_write(cx, buffer);
        this.after_write(write, cx)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // TLS holds back what the socket does not take.
        let flush = Pin::new(&mut this.stream).poll_flush(cx);
        this.after_write(flush, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

//! Where a connection is: between two requests, in the head of one, with the application, or in what the
//! application left unread.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use actix_web::rt::time::Instant;

/// What a connection may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// From a request's first byte to the end of its head; for the first request, from the accepting.
    pub head: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// Bytes of a request's head.
    pub head_bytes: usize,
    /// For which the client may take nothing of an answer.
    pub stalled: Duration,
}

/// Bytes that are thrown away, of a body that nobody reads or behind a refusal: beyond them the connection ends.
pub(super) const UNREAD_BYTES: usize = 256 * 1024;

/// Shared by a connection and by what answers its requests.
pub struct Watch {
    bounds: Bounds,
    phase: Cell<Phase>,
    /// Requests whose answer is not complete.
    running: Cell<u32>,
    /// Of the request that is answered: how far its body is.
    body: Cell<Body>,
    is_first: Cell<bool>,
    /// To be woken when there may be something to read again.
    held: RefCell<Option<Waker>>,
}

#[derive(Clone, Copy)]
enum Phase {
    /// Nothing came of the next request.
    Idle { until: Instant },
    /// Some bytes came, no whole head.
    Head {
        until: Instant,
        bytes: usize,
        was_looked_at: bool,
    },
    /// The application has a request.
    Running,
    /// It has answered without reading all of the body, which actix throws away.
    Unread { until: Instant, bytes: usize },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    /// All of it was read, or there was none.
    Read,
    /// Somebody reads it.
    Reading,
    Unread,
}

/// What the time is up for.
pub(super) enum Due {
    /// Nobody waits for an answer.
    Idle,
    /// Somebody does.
    Head,
}

impl Watch {
    pub(super) fn new(bounds: Bounds, accepted: Instant) -> Self {
        let until = accepted + bounds.head;
        Self {
            bounds,
            phase: Cell::new(Phase::Idle { until }),
            running: Cell::new(0),
            body: Cell::new(Body::Read),
            is_first: Cell::new(true),
            held: RefCell::default(),
        }
    }

    pub(super) fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// The application begins with a request, until what is returned is dropped.
    pub fn begin(self: &Rc<Self>, has_body: bool) -> Running {
        self.phase.set(Phase::Running);
        self.running.set(self.running.get() + 1);
        self.body.set(match has_body {
            true => Body::Unread,
            false => Body::Read,
        });
        self.is_first.set(false);
        Running(Rc::clone(self))
    }

    /// Somebody begins to read the body of the request.
    pub fn reads_body(&self) {
        self.body.set(Body::Reading);
        self.wake();
    }

    /// All of it was read.
    pub fn has_read_body(&self) {
        self.body.set(Body::Read);
    }

    /// Whether no request was handed over yet.
    pub(super) fn is_first(&self) -> bool {
        self.is_first.get()
    }

    /// Whether it is the application's turn, and it reads nothing: what is read on would be held in memory, as
    /// much as the client likes, and actix spins when that is a lot. It is read when the turn is over.
    pub(super) fn holds(&self, cx: &Context<'_>) -> bool {
        let holds = matches!(self.phase.get(), Phase::Running) && self.body.get() != Body::Reading;
        if holds {
            self.held.replace(Some(cx.waker().clone()));
        }
        holds
    }

    /// Until when the client must do something; `None` where it is the application's turn.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.phase.get() {
            Phase::Idle { until } | Phase::Head { until, .. } | Phase::Unread { until, .. } => {
                Some(until)
            }
            Phase::Running => None,
        }
    }

    pub(super) fn due(&self) -> Due {
        match self.phase.get() {
            Phase::Head { .. } => Due::Head,
            Phase::Idle { .. } | Phase::Running | Phase::Unread { .. } => Due::Idle,
        }
    }

    /// The client took nothing of an answer for a while, and could not be expected to send anything.
    pub(super) fn goes_on(&self) {
        let until = Instant::now() + self.bounds.idle;
        self.phase.set(match self.phase.get() {
            Phase::Running => return,
            Phase::Unread { bytes, .. } => Phase::Unread { until, bytes },
            Phase::Idle { .. } | Phase::Head { .. } => Phase::Idle { until },
        });
    }

    /// So many bytes came.
    pub(super) fn received(&self, count: usize) {
        let (until, bytes) = match self.phase.get() {
            Phase::Running => return,
            Phase::Unread { until, bytes } => {
                let bytes = bytes + count;
                return self.phase.set(Phase::Unread { until, bytes });
            }
            Phase::Idle { .. } if count == 0 => return,
            Phase::Idle { until } if self.is_first.get() => (until, 0),
            Phase::Idle { .. } => (Instant::now() + self.bounds.head, 0),
            Phase::Head { until, bytes, .. } => (until, bytes),
        };
        self.phase.set(Phase::Head {
            until,
            bytes: bytes + count,
            was_looked_at: false,
        });
    }

    /// Whether more came of a body that nobody reads than is thrown away.
    pub(super) fn is_too_much(&self) -> bool {
        matches!(self.phase.get(), Phase::Unread { bytes, .. } if bytes > UNREAD_BYTES)
    }

    /// Whether as many bytes came as a head may have.
    pub(super) fn is_head_full(&self) -> bool {
        matches!(self.phase.get(), Phase::Head { bytes, .. } if bytes >= self.bounds.head_bytes)
    }

    /// Whether nobody has looked yet if the bytes are a whole head; from now on somebody has.
    pub(super) fn looks_once(&self) -> bool {
        let Phase::Head {
            until,
            bytes,
            was_looked_at: false,
        } = self.phase.get()
        else {
            return false;
        };
        self.phase.set(Phase::Head {
            until,
            bytes,
            was_looked_at: true,
        });
        true
    }

    fn end(&self) {
        let running = self.running.get().saturating_sub(1);
        self.running.set(running);
        if running > 0 {
            return;
        }
        let until = Instant::now() + self.bounds.idle;
        self.phase.set(match self.body.get() {
            Body::Read => Phase::Idle { until },
            Body::Reading | Body::Unread => Phase::Unread { until, bytes: 0 },
        });
        self.wake();
    }

    fn wake(&self) {
        if let Some(held) = self.held.take() {
            held.wake();
        }
    }
}

/// A request that is not answered completely.
pub struct Running(Rc<Watch>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.end();
    }
}

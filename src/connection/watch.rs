//! Where a connection is: between two requests, in the head of one, or with the application.

use std::cell::Cell;
use std::rc::Rc;
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
}

/// Shared by a connection and by what answers its requests.
pub struct Watch {
    bounds: Bounds,
    phase: Cell<Phase>,
    /// Requests whose answer is not complete.
    running: Cell<u32>,
    is_first: Cell<bool>,
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
}

/// What the time is up for.
pub(super) enum Due {
    Idle,
    Head,
}

impl Watch {
    pub(super) fn new(bounds: Bounds) -> Self {
        let until = Instant::now() + bounds.head;
        Self {
            bounds,
            phase: Cell::new(Phase::Idle { until }),
            running: Cell::new(0),
            is_first: Cell::new(true),
        }
    }

    pub(super) fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// The application begins with a request, until what is returned is dropped.
    pub fn begin(self: &Rc<Self>) -> Running {
        self.phase.set(Phase::Running);
        self.running.set(self.running.get() + 1);
        self.is_first.set(false);
        Running(Rc::clone(self))
    }

    /// Whether no request was handed over yet.
    pub(super) fn is_first(&self) -> bool {
        self.is_first.get()
    }

    /// Until when the client must do something; `None` where it is the application's turn.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.phase.get() {
            Phase::Idle { until } | Phase::Head { until, .. } => Some(until),
            Phase::Running => None,
        }
    }

    pub(super) fn due(&self) -> Due {
        match self.phase.get() {
            Phase::Head { .. } => Due::Head,
            Phase::Idle { .. } | Phase::Running => Due::Idle,
        }
    }

    /// So many bytes came.
    pub(super) fn received(&self, count: usize) {
        let (until, bytes) = match self.phase.get() {
            Phase::Running => return,
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
        if running == 0 {
            let until = Instant::now() + self.bounds.idle;
            self.phase.set(Phase::Idle { until });
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

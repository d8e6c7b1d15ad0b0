//! Token requests at a fixed rate: as the probe that tells latencies, and as a load.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::fill;
use crate::house::Shuffled;
use crate::load::Load;
use crate::wire::{Connection, who_am_i};

/// Before a request is due.
const AWAKE: Duration = Duration::from_micros(100);

/// Sends by the clock, whether or not the answers come. What a request waits for a free connection
/// counts as latency.
pub struct Steady {
    connections: Vec<Connection>,
    /// Connections without a request, the one that rests longest first.
    idle: VecDeque<usize>,
    /// Connections with a request, and when that was to be sent.
    asked: Vec<(usize, Instant)>,
    /// When requests were to be sent that found no connection.
    waiting: VecDeque<Instant>,
    tokens: Shuffled,
    every: Duration,
    due: Instant,
    sent: u64,
    latencies: Vec<f64>,
}

/// In microseconds.
#[derive(Clone, Copy)]
pub struct Latency {
    pub p50: f64,
    pub p99: f64,
}

impl Steady {
    /// The probe: 1 000 requests a second, with few tokens. It has connections enough for answers
    /// that take 64 ms.
    pub fn probe(address: SocketAddr) -> Self {
        Self::new(address, 1_000, 64, Shuffled::new(97))
    }

    pub fn new(address: SocketAddr, rate: u32, connections: usize, tokens: Shuffled) -> Self {
        Self {
            connections: Connection::open_many(address, connections),
            idle: (0..connections).collect(),
            asked: Vec::new(),
            waiting: VecDeque::new(),
            tokens,
            every: Duration::from_secs(1) / rate,
            due: Instant::now(),
            sent: 0,
            latencies: Vec::new(),
        }
    }

    /// Runs beside a load for a time.
    pub fn measure(&mut self, load: &mut dyn Load, time: Duration) -> Latency {
        self.due = Instant::now();
        self.run(load, time / 10);
        self.latencies.clear();
        self.run(load, time);
        self.settle();
        self.latency()
    }

    fn run(&mut self, load: &mut dyn Load, time: Duration) {
        let until = Instant::now() + time;
        let mut in_vain = 0;
        while Instant::now() < until {
            self.step();
            in_vain = if load.step() { 0 } else { in_vain + 1 };
            if in_vain < load.width() || !self.asked.is_empty() {
                continue;
            }
            // No request of the probe is under way: it sleeps until shortly before the next one, since
            // nobody wakes on time.
            let left = self.due.saturating_duration_since(Instant::now());
            if let Some(left) = left.checked_sub(AWAKE) {
                load.wait(left);
                in_vain = 0;
            }
        }
    }

    /// Waits for what is under way.
    pub fn settle(&mut self) {
        while !(self.asked.is_empty() && self.waiting.is_empty()) {
            self.send();
            self.take();
        }
    }

    /// Forgets what waits for a connection, and takes the answers under way.
    pub fn stop(&mut self) {
        self.waiting.clear();
        self.settle();
    }

    /// How many requests were sent.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    fn latency(&mut self) -> Latency {
        self.latencies.sort_by(f64::total_cmp);
        let at = |part: f64| self.latencies[(self.latencies.len() as f64 * part) as usize];
        Latency {
            p50: at(0.5),
            p99: at(0.99),
        }
    }

    /// Sends one request that waits, if a connection is free.
    fn send(&mut self) {
        if self.waiting.is_empty() || self.idle.is_empty() {
            return;
        }
        let place = self.idle.pop_front().unwrap();
        let due = self.waiting.pop_front().unwrap();
        let request = who_am_i(&fill::token(self.tokens.next().unwrap()));
        self.connections[place].send(&request);
        self.asked.push((place, due));
        self.sent += 1;
    }

    /// Takes the answers that are there.
    fn take(&mut self) {
        self.asked.retain(|(place, due)| {
            let Some(status) = self.connections[*place].poll() else {
                return true;
            };
            assert_eq!(status, 200, "a token that is good");
            self.latencies.push(due.elapsed().as_secs_f64() * 1e6);
            self.idle.push_back(*place);
            false
        });
    }
}

impl Load for Steady {
    fn step(&mut self) -> bool {
        if Instant::now() >= self.due {
            self.waiting.push_back(self.due);
            self.due += self.every;
        }
        self.send();
        self.take();
        !self.asked.is_empty()
    }

    fn width(&self) -> usize {
        1
    }
}

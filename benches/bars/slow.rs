//! Thousands of clients that are as slow as they can be, beside a hundred that are not.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::Bench;
use crate::house::{House, Shuffled, rounds, slice};
use crate::load::{Idle, Load};
use crate::program::Program;
use crate::row::{Bar, Figure, Row};
use crate::steady::Steady;
use crate::wire::get;

const SLOW: usize = 4_000;
const GOOD: usize = 100;
/// Between two bytes of a slow client: often enough to seem alive.
const PAUSE: Duration = Duration::from_secs(2);
/// `[limits] header_timeout` and `body_timeout`, as they are if not set.
const HEAD: Duration = Duration::from_secs(5);
const BODY: Duration = Duration::from_secs(10);

pub fn run(bench: &Bench) -> Vec<Row> {
    let house = House::big(bench);
    let program = Program::start(&house.path);
    let time = slice(bench, 12.0);
    let mut ratios = Vec::new();
    let (mut alone, mut beside, mut late) = (Vec::new(), Vec::new(), Duration::ZERO);
    let (mut cut, mut memory) = (0, 0.0_f64);
    // One p99 is that of a hundred requests, and another program of the machine doubles it: so all rounds, in spite of
    // their length.
    for round in 0..=rounds(bench) {
        let tokens = || Shuffled::new(house.size.tokens);
        let good = || Steady::new(program.address, 1_000, GOOD, tokens());
        let without = good().measure(&mut Idle, time);
        let before = program.resident();
        let mut slow = Slow::new(program.address, &house.owner);
        let with = good().measure(&mut slow, time);
        memory = memory.max(program.resident() - before);
        eprintln!(
            "  round {round}: p99 {:.0} µs without, {:.0} µs beside {SLOW} slow clients, of which {} were cut, \
             {:.2?} late at most",
            without.p99, with.p99, slow.cut, slow.late
        );
        if round > 0 {
            ratios.push(with.p99 / without.p99);
            alone.push(without.p99);
            beside.push(with.p99);
            late = late.max(slow.late);
            cut += slow.cut;
        }
    }
    let median = |values: Vec<f64>| Figure::of(values, "").median;
    let note = format!(
        "p99 {:.0} µs without, {:.0} µs beside; all good requests 200; {:.1} MiB more for the slow ones",
        median(alone),
        median(beside),
        memory / 1_048_576.0
    );
    let what = format!("p99 of {GOOD} good clients beside {SLOW} slow ones, against without");
    let cuts = format!("{cut} were cut: heads after {HEAD:?}, bodies after {BODY:?}");
    vec![
        Row::new(what, Figure::of(ratios, "×"), Bar::AtMost(2.0)).note(note),
        Row::new(
            "how late a slow client is cut at most",
            Figure::once(late.as_secs_f64(), "s"),
            Bar::AtMost(1.0),
        )
        .note(cuts),
    ]
}

/// Clients that send a byte now and then: of a head, of a body, or nothing at all. Whoever is cut comes again.
struct Slow {
    address: SocketAddr,
    clients: Vec<Client>,
    next: usize,
    post: Vec<u8>,
    cut: usize,
    /// After its time.
    late: Duration,
}

struct Client {
    stream: TcpStream,
    since: Instant,
    next: Instant,
    /// How long it may go on.
    time: Duration,
}

impl Slow {
    fn new(address: SocketAddr, owner: &str) -> Self {
        let get = get("/api/users", owner);
        let head = String::from_utf8(get).unwrap().replace("GET ", "POST ");
        let post = head.replace("\r\n\r\n", "\r\nContent-Length: 60000\r\n\r\n");
        let mut slow = Self {
            address,
            clients: Vec::new(),
            next: 0,
            post: post.into_bytes(),
            cut: 0,
            late: Duration::ZERO,
        };
        // Over the time that a head has: they are held, and don't all end in one moment again and again.
        for place in 0..SLOW {
            let client = slow.open(place);
            slow.clients.push(client);
            std::thread::sleep(HEAD / SLOW as u32);
        }
        slow
    }

    fn open(&self, place: usize) -> Client {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let (first, time): (&[u8], _) = match place % 3 {
            0 => (b"GET /healthz HTTP/1.1\r\nX: ", HEAD),
            1 => (&self.post, BODY),
            _ => (b"", HEAD),
        };
        stream.write_all(first).unwrap();
        stream.set_nonblocking(true).unwrap();
        let now = Instant::now();
        Client {
            stream,
            since: now,
            // Not all at once.
            next: now + PAUSE.mul_f64((place % 997) as f64 / 997.0),
            time,
        }
    }
}

impl Load for Slow {
    fn step(&mut self) -> bool {
        let place = self.next;
        self.next = (place + 1) % self.clients.len();
        let client = &mut self.clients[place];
        let now = Instant::now();
        if now < client.next {
            return false;
        }
        client.next = now + PAUSE;
        let mut answer = [0; 1024];
        let is_over = match client.stream.read(&mut answer) {
            Ok(_) => true,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        };
        if !is_over {
            if place % 3 < 2 {
                // It may be cut in this moment.
                let _ = client.stream.write(b"x");
            }
            return true;
        }
        // It is looked at every two seconds only: it may have been cut just after the last look.
        let late = client.since.elapsed().saturating_sub(client.time + PAUSE);
        self.late = self.late.max(late);
        self.cut += 1;
        self.clients[place] = self.open(place);
        true
    }

    fn width(&self) -> usize {
        self.clients.len()
    }
}

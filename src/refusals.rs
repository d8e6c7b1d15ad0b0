//! How many refusals a source of requests gets: failed authentications before it has to wait, and lines in the
//! log. Never how many an account gets: else anybody could lock anybody out.
//!
//! Each is a token bucket, as GCRA (ITU-T I.371): of a bucket only the moment is kept at which it is full again.
//! The published crates for that keep one for each source for as long as they are not told otherwise.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Sources that are known at a time, and sources with reasons: some 16 MiB in all. Others share one bucket until
/// there is room.
const MOST: usize = 65_536;
/// Lines in the log of one source for one reason: so many at once, then one each second.
const LINES: Budget = Budget {
    burst: NonZeroU32::new(20).unwrap(),
    per_second: NonZeroU32::MIN,
};

/// So many at once, and so many each second after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// At once.
    pub burst: NonZeroU32,
    /// After that.
    pub per_second: NonZeroU32,
}

/// Whom requests come from: an IPv4 address, or the /64 of an IPv6 address, which is one customer's (RFC 6177).
/// `None` where it is not known.
type Source = Option<IpAddr>;

/// 64:ff9b::/96, without its last 32 bits: an IPv4 address behind a translator (NAT64, RFC 6052 §2.1).
const NAT64: u128 = 0x0064_ff9b_0000_0000_0000_0000;

/// Which source an address belongs to.
fn source(address: Option<IpAddr>) -> Source {
    let bits = match address?.to_canonical() {
        IpAddr::V6(address) => address.to_bits(),
        v4 => return Some(v4),
    };
    Some(match bits >> 32 == NAT64 {
        true => Ipv4Addr::from_bits(bits as u32).into(),
        false => Ipv6Addr::from_bits(bits & !u128::from(u64::MAX)).into(),
    })
}

/// What was refused, by source.
pub struct Refusals {
    failures: Budget,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    failures: HashMap<Source, Bucket>,
    /// Of one source for one reason.
    lines: HashMap<(Source, &'static str), Line>,
}

#[derive(Clone, Copy)]
struct Line {
    bucket: Bucket,
    /// Refused since the last line.
    untold: u64,
}

/// The moment at which it is full again.
#[derive(Clone, Copy)]
struct Bucket(Instant);

impl Bucket {
    /// Takes one out; or says how long it is until there is one.
    fn take(&mut self, budget: Budget, now: Instant) -> Result<(), Duration> {
        let each = Duration::from_secs(1) / budget.per_second.get();
        let full = self.0.max(now);
        let ahead = full.saturating_duration_since(now);
        match ahead.checked_sub(each * (budget.burst.get() - 1)) {
            Some(wait) if wait > Duration::ZERO => Err(wait),
            _ => {
                self.0 = full + each;
                Ok(())
            }
        }
    }
}

impl Refusals {
    /// None yet.
    pub fn new(failures: Budget) -> Self {
        Self {
            failures,
            state: Mutex::default(),
        }
    }

    /// An authentication failed; or how long its source has to wait before it is heard again.
    ///
    /// # Errors
    /// The time to wait.
    pub fn failed(&self, address: Option<IpAddr>, now: Instant) -> Result<(), Duration> {
        let failures = &mut self.state.lock().failures;
        let mut source = source(address);
        if failures.len() >= MOST && !failures.contains_key(&source) {
            source = None;
        }
        let bucket = failures.entry(source).or_insert(Bucket(now));
        bucket.take(self.failures, now)
    }

    /// Whether a refusal gets a line in the log; and then how many for the same reason got none since the last one.
    pub fn line(&self, address: Option<IpAddr>, reason: &'static str, now: Instant) -> Option<u64> {
        let lines = &mut self.state.lock().lines;
        let mut key = (source(address), reason);
        if lines.len() >= MOST && !lines.contains_key(&key) {
            key.0 = None;
        }
        let line = lines.entry(key).or_insert(Line {
            bucket: Bucket(now),
            untold: 0,
        });
        if line.bucket.take(LINES, now).is_ok() {
            return Some(std::mem::take(&mut line.untold));
        }
        line.untold += 1;
        None
    }

    /// Whose refusals got no line and may have one now, why, and how many they were: for sources that went away.
    pub fn untold(&self, now: Instant) -> Vec<(Option<IpAddr>, &'static str, u64)> {
        let mut state = self.state.lock();
        let due = state
            .lines
            .iter_mut()
            .filter_map(|((source, reason), line)| {
                let is_due = line.untold > 0 && line.bucket.take(LINES, now).is_ok();
                is_due.then(|| (*source, *reason, std::mem::take(&mut line.untold)))
            });
        let due = due.collect();
        // A full bucket is as good as a new one.
        state.failures.retain(|_, bucket| bucket.0 > now);
        let is_needed = |line: &Line| line.bucket.0 > now || line.untold > 0;
        state.lines.retain(|_, line| is_needed(line));
        due
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use super::*;

    const BUDGET: Budget = Budget {
        burst: NonZeroU32::new(5).unwrap(),
        per_second: NonZeroU32::new(2).unwrap(),
    };

    /// So many milliseconds after the first call.
    fn at(milliseconds: u64) -> Instant {
        static BEGIN: OnceLock<Instant> = OnceLock::new();
        *BEGIN.get_or_init(Instant::now) + Duration::from_millis(milliseconds)
    }

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn a_burst_passes_then_so_many_a_second() {
        let refusals = Refusals::new(BUDGET);
        let passed = |from: u64, until: u64| {
            let times = (from..until).step_by(10);
            times
                .filter(|time| refusals.failed(ip("192.0.2.1"), at(*time)).is_ok())
                .count()
        };
        assert_eq!(passed(0, 10), 1);
        assert_eq!(
            passed(10, 20) + passed(20, 30) + passed(30, 40) + passed(40, 50),
            4
        );
        assert_eq!(passed(50, 500), 0);
        assert_eq!(passed(500, 2500), 4, "two a second");
        assert_eq!(passed(60_000, 60_100), 5, "a burst again");
        let wait = refusals.failed(ip("192.0.2.1"), at(60_100)).unwrap_err();
        assert_eq!(wait, Duration::from_millis(400));
    }

    #[test]
    fn a_source_is_an_ipv4_address_or_the_half_of_an_ipv6_address() {
        let table = [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("2001:db8::1", "2001:db8::ffff:0:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("::1", "::2", true),
            ("64:ff9b::192.0.2.1", "192.0.2.1", true),
            ("64:ff9b::192.0.2.1", "64:ff9b::192.0.2.2", false),
            ("::1", "192.0.2.1", false),
        ];
        for (one, other, is_same) in table {
            assert_eq!(
                source(ip(one)) == source(ip(other)),
                is_same,
                "{one} {other}"
            );
        }
    }

    #[test]
    fn what_got_no_line_is_counted_in_the_next_one_or_told_afterwards() {
        let refusals = Refusals::new(BUDGET);
        let one = ip("192.0.2.1");
        let lines = (0..120).filter_map(|_| refusals.line(one, "a", at(0)));
        assert_eq!(lines.count(), 20);
        assert_eq!(refusals.line(one, "b", at(0)), Some(0), "another reason");
        assert_eq!(refusals.line(ip("192.0.2.2"), "a", at(0)), Some(0));
        assert_eq!(refusals.untold(at(10)), []);
        assert_eq!(refusals.line(one, "a", at(1000)), Some(100));
        assert_eq!(refusals.line(one, "a", at(1001)), None);
        assert_eq!(refusals.untold(at(2000)), [(one, "a", 1)]);
        assert_eq!(refusals.untold(at(4000)), []);
    }

    #[test]
    fn there_are_so_many_sources_at_most_and_who_is_quiet_is_forgotten() {
        let refusals = Refusals::new(BUDGET);
        let address = |number: u32| Some(IpAddr::from(number.to_be_bytes()));
        let known = || {
            let state = refusals.state.lock();
            (state.failures.len(), state.lines.len())
        };
        for number in 0..70_000 {
            refusals.failed(address(number), at(0)).ok();
            refusals.line(address(number), "a", at(0));
        }
        assert_eq!(known(), (MOST + 1, MOST + 1));
        assert!(
            refusals.failed(address(70_001), at(0)).is_err(),
            "they share one"
        );
        assert_eq!(refusals.line(address(70_001), "a", at(0)), None);
        assert!(
            refusals.failed(address(1), at(0)).is_ok(),
            "this one has its own"
        );
        assert_eq!(refusals.line(address(1), "a", at(0)), Some(0));
        refusals.untold(at(60_000));
        refusals.untold(at(120_000));
        assert_eq!(known(), (0, 0));
        assert!(refusals.failed(address(70_001), at(120_000)).is_ok());
    }
}

//! Time as the database and the API know it, and the only reader of the system clock.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;

const MICROS_A_SECOND: i64 = 1_000_000;

/// A moment: microseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// What the API shows for "never": year 1, the zero time of NetBird's Go code.
    pub const NEVER: &'static str = "0001-01-01T00:00:00Z";

    /// The present. Everything below the handlers takes time as a parameter instead.
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the clock"
    )]
    pub fn now() -> Self {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        Self(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    /// From microseconds since 1970, as the database stores them.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(MICROS_A_SECOND)
    }

    /// This moment plus N times 24 hours exactly.
    pub fn plus_days(self, days: u16) -> Self {
        Self(
            self.0
                .saturating_add(i64::from(days) * 86_400 * MICROS_A_SECOND),
        )
    }

    /// This moment and a time more.
    #[must_use]
    pub fn plus(self, time: Duration) -> Self {
        Self(self.0.saturating_add(micros(time)))
    }

    /// This moment and a time less.
    #[must_use]
    pub fn minus(self, time: Duration) -> Self {
        Self(self.0.saturating_sub(micros(time)))
    }

    /// To the second and fit for the name of a file: `20231114T221320Z`. Such names sort by time.
    pub fn compact(self) -> String {
        let text = self.to_string();
        let seconds = text.split('.').next().unwrap_or_default();
        format!("{}Z", seconds.replace(['-', ':'], ""))
    }

    /// What [`Timestamp::compact`] wrote.
    pub fn from_compact(text: &str) -> Option<Self> {
        let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
        if (date.len(), time.len()) != (8, 6)
            || !(date.bytes().chain(time.bytes())).all(|byte| byte.is_ascii_digit())
        {
            return None;
        }
        let number = |text: &str, from, to| text.get(from..to)?.parse::<u8>().ok();
        let month = time::Month::try_from(number(date, 4, 6)?).ok()?;
        let date = time::Date::from_calendar_date(
            date.get(..4)?.parse().ok()?,
            month,
            number(date, 6, 8)?,
        )
        .ok()?;
        let time = time::Time::from_hms(
            number(time, 0, 2)?,
            number(time, 2, 4)?,
            number(time, 4, 6)?,
        )
        .ok()?;
        let seconds = time::PrimitiveDateTime::new(date, time).assume_utc();
        Some(Self(seconds.unix_timestamp().checked_mul(MICROS_A_SECOND)?))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// RFC 3339, UTC, `Z`, six fractional digits.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(t) = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1000) else {
            // Past the year 9999: no token of ours can get there, but a hand-edited row can.
            return f.write_str("9999-12-31T23:59:59.999999Z");
        };
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
            t.year(),
            u8::from(t.month()),
            t.day(),
            t.hour(),
            t.minute(),
            t.second(),
            t.microsecond()
        )
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_written_as_rfc_3339_with_six_digits() {
        let table = [
            (0, "1970-01-01T00:00:00.000000Z"),
            (1_700_000_000_000_001, "2023-11-14T22:13:20.000001Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (i64::MAX, "9999-12-31T23:59:59.999999Z"),
        ];
        for (micros, text) in table {
            assert_eq!(Timestamp::from_micros(micros).to_string(), text);
        }
    }

    #[test]
    fn the_compact_form_is_a_second_and_can_be_read_again() {
        let moment = Timestamp::from_micros(1_700_000_000_999_999);
        assert_eq!(moment.compact(), "20231114T221320Z");
        let read = Timestamp::from_compact("20231114T221320Z");
        assert_eq!(read, Some(Timestamp::from_micros(1_700_000_000_000_000)));
        for text in [
            "",
            "20231114T221320",
            "20231314T221320Z",
            "20231114T221320Zx",
            "+20231114T22132Z",
        ] {
            assert_eq!(Timestamp::from_compact(text), None, "{text}");
        }
    }

    #[test]
    fn days_are_24_hours_each() {
        let start = Timestamp::from_micros(1_700_000_000_123_456);
        assert_eq!(
            start.plus_days(365).micros() - start.micros(),
            365 * 86_400_000_000
        );
    }
}

//! One line of the table: what was tried, what was seen, what is asked, and whether it is so.

use std::fmt;
use std::time::Duration;

/// `Display` is a line of the table.
pub struct Row {
    pub what: String,
    pub seen: String,
    pub asked: String,
    pub is_ok: bool,
    /// Nothing is lost where this is not so, but it took longer than it may.
    pub is_in_time: bool,
}

impl Row {
    pub fn new(what: impl Into<String>, seen: impl Into<String>, asked: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            seen: seen.into(),
            asked: asked.into(),
            is_ok: true,
            is_in_time: true,
        }
    }

    /// Says whether what is asked was seen; without this it was.
    pub fn ok(self, is_ok: bool) -> Self {
        Self {
            is_ok: self.is_ok && is_ok,
            ..self
        }
    }

    /// Says whether it was quick enough; without this it was.
    pub fn in_time(self, is_in_time: bool) -> Self {
        Self {
            is_in_time: self.is_in_time && is_in_time,
            ..self
        }
    }

    /// Two bars for a time: `wished` is for a machine of one's own, and what takes longer than `hard` is
    /// broken beside any other work.
    pub fn within(self, seen: Duration, wished: Duration, hard: Duration) -> Self {
        let asked = format!("{} ({hard:.1?} beside other work)", self.asked);
        let row = Self { asked, ..self };
        row.in_time(seen <= wished).ok(seen <= hard)
    }
}

/// The heading that goes with the rows.
pub const HEADING: &str = "| what | seen | asked | |\n|---|---|---|---|";

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what, seen, asked, ..
        } = self;
        let word = match (self.is_ok, self.is_in_time) {
            (false, _) => "**LOST**",
            (true, false) => "**SLOW**",
            (true, true) => "ok",
        };
        write!(f, "| {what} | {seen} | {asked} | {word} |")
    }
}

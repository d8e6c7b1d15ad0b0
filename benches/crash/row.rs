//! One line of the table: what was tried, what was seen, what is asked, and whether it is so.

use std::fmt;

/// `Display` is a line of the table.
pub struct Row {
    pub what: String,
    pub seen: String,
    pub asked: String,
    pub is_ok: bool,
}

impl Row {
    pub fn new(what: impl Into<String>, seen: impl Into<String>, asked: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            seen: seen.into(),
            asked: asked.into(),
            is_ok: true,
        }
    }

    /// Says whether what is asked was seen; without this it was.
    pub fn ok(self, is_ok: bool) -> Self {
        Self { is_ok, ..self }
    }
}

/// The heading that goes with the rows.
pub const HEADING: &str = "| what | seen | asked | |\n|---|---|---|---|";

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what, seen, asked, ..
        } = self;
        let word = if self.is_ok { "ok" } else { "**LOST**" };
        write!(f, "| {what} | {seen} | {asked} | {word} |")
    }
}

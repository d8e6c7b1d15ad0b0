//! One line of the table: what was measured, the figure, and the bar that it has to meet.

use std::fmt;

/// Rounds of which the median counts, after one that warms up.
pub const ROUNDS: usize = 7;

/// A figure with its bar. `Display` is a line of BENCHMARKS.md's table.
pub struct Row {
    pub what: String,
    pub figure: Figure,
    pub bar: Option<Bar>,
    /// What else was seen in the same run.
    pub note: String,
}

/// What a figure has to be; without a bar it is only told.
#[derive(Clone, Copy)]
pub enum Bar {
    AtLeast(f64),
    AtMost(f64),
}

/// The median of some rounds, and their range; all three are the same where there was one round.
#[derive(Clone, Copy)]
pub struct Figure {
    pub median: f64,
    pub least: f64,
    pub most: f64,
    pub unit: &'static str,
}

impl Figure {
    /// Of what was seen in each round.
    pub fn of(mut rounds: Vec<f64>, unit: &'static str) -> Self {
        rounds.sort_by(f64::total_cmp);
        Self {
            median: rounds[rounds.len() / 2],
            least: rounds[0],
            most: rounds[rounds.len() - 1],
            unit,
        }
    }

    /// Of one measurement.
    pub fn once(value: f64, unit: &'static str) -> Self {
        Self::of(vec![value], unit)
    }
}

impl Row {
    pub fn new(what: impl Into<String>, figure: Figure, bar: impl Into<Option<Bar>>) -> Self {
        Self {
            what: what.into(),
            figure,
            bar: bar.into(),
            note: String::new(),
        }
    }

    /// Says what else was seen.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// Whether the bar is met; a row without one always is.
    pub fn is_met(&self) -> bool {
        match self.bar {
            None => true,
            Some(Bar::AtLeast(bar)) => self.figure.median >= bar,
            Some(Bar::AtMost(bar)) => self.figure.median <= bar,
        }
    }
}

/// The heading that goes with the rows.
pub const HEADING: &str = "\
| what | median | range | bar | | seen beside it |
|---|---|---|---|---|---|";

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figure {
            median,
            least,
            most,
            unit,
        } = self.figure;
        let unit = format!(" {unit}");
        let unit = unit.trim_end();
        let range = match least < most {
            true => format!("{}–{}", Short(least), Short(most)),
            false => String::new(),
        };
        let bar = match self.bar {
            None => String::new(),
            Some(Bar::AtLeast(bar)) => format!("≥ {}{unit}", Short(bar)),
            Some(Bar::AtMost(bar)) => format!("≤ {}{unit}", Short(bar)),
        };
        let met = match (self.bar, self.is_met()) {
            (None, _) => "",
            (_, true) => "met",
            (_, false) => "**missed**",
        };
        write!(
            f,
            "| {} | {}{unit} | {range} | {bar} | {met} | {} |",
            self.what,
            Short(median),
            self.note
        )
    }
}

/// Three digits that count.
pub struct Short(pub f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(value) = *self;
        match value.abs() {
            0.0 => f.write_str("0"),
            1000.0.. => write!(f, "{value:.0}"),
            100.0.. => write!(f, "{value:.0}"),
            10.0.. => write!(f, "{value:.1}"),
            0.1.. => write!(f, "{value:.2}"),
            _ => write!(f, "{value:.4}"),
        }
    }
}

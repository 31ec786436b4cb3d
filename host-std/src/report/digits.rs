//! Digits that were heard, as reports and `media-core dtmf detect` list them.

#[cfg(feature = "replay")]
use dsp_core::receive::{EventPhase, EventReport};
use dsp_core::time::{Duration, Instant};
#[cfg(feature = "replay")]
use dsp_core::tone::HeardDigit;
use serde::Serialize;

use super::json::micros;
#[cfg(feature = "replay")]
use crate::session::DigitSource;
use crate::session::{CallDigit, DigitPhase, sign};

/// A digit, or another event, that was heard.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DigitRow {
    /// `0` to `9`, `*`, `#`, `A` to `D`, `flash`, or the number of another event.
    pub digit: String,
    /// The time at which it began, as it arrived.
    #[serde(serialize_with = "micros")]
    pub start_ms: f64,
    /// The duration, as far as is known, in ms.
    #[serde(serialize_with = "micros")]
    pub duration_ms: f64,
    /// The power in dBm0.
    #[serde(serialize_with = "micros")]
    pub level_dbm0: f64,
    /// The way in which it was heard: `event` or `in-band`.
    pub source: &'static str,
}

impl DigitRow {
    /// Returns whether two intervals overlap, or are not further apart than this.
    #[cfg(feature = "replay")]
    pub(crate) fn overlaps(&self, other: &Self, apart_ms: f64) -> bool {
        let before = |a: &Self, b: &Self| a.start_ms <= b.start_ms + b.duration_ms + apart_ms;
        before(self, other) && before(other, self)
    }
}

/// Writes the digit in one line, for people.
impl std::fmt::Display for DigitRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { digit, start_ms, duration_ms, level_dbm0, source } = self;
        write!(f, "{digit:<5} at {:>8.3} s for {duration_ms:.0} ms, {level_dbm0:.0} dBm0, {source}", start_ms / 1e3)
    }
}

/// Many in one line: `12# (1 at 3.0 s, 2 at 3.2 s, # at 3.4 s)`, the first twenty of them with their times.
pub fn digits_in_words(rows: &[DigitRow]) -> String {
    const TIMED: usize = 20;
    let signs: String = rows
        .iter()
        .map(|row| if row.digit.len() == 1 { row.digit.clone() } else { format!(" {} ", row.digit) })
        .collect();
    let timed = |row: &DigitRow| format!("{} at {:.1} s by {}", row.digit, row.start_ms / 1e3, row.source);
    let times: Vec<_> = rows.iter().take(TIMED).map(timed).collect();
    let more = if rows.len() > TIMED { format!(" and {} more", rows.len() - TIMED) } else { String::new() };
    format!("{} ({}{more})", signs.trim(), times.join(", "))
}

/// The log of digits: a row each, whose length is filled in when the digit ends.
#[derive(Clone, Debug, Default)]
pub struct DigitLog {
    rows: Vec<DigitRow>,
    /// The digit of each row that hasn't ended.
    open: Vec<(usize, usize, u32)>,
}

impl DigitLog {
    /// Rows that are kept.
    const MOST: usize = 10_000;

    /// Takes in a call's report on a digit; times count from `zero`.
    pub fn add(&mut self, digit: &CallDigit, zero: Instant) {
        let row = |digit: &CallDigit| DigitRow {
            digit: sign(digit.event),
            start_ms: ms(digit.begun.since(zero)),
            duration_ms: ms(digit.duration),
            level_dbm0: f64::from(digit.level_dbm0),
            source: digit.source.name(),
        };
        let is_it = |&(_, stream, number): &(usize, usize, u32)| (stream, number) == (digit.stream, digit.number);
        match digit.phase {
            DigitPhase::Began if self.rows.len() < Self::MOST => {
                self.open.push((self.rows.len(), digit.stream, digit.number));
                self.rows.push(row(digit));
            }
            DigitPhase::Began => {}
            DigitPhase::Ended => {
                if let Some(at) = self.open.iter().position(is_it) {
                    let (place, ..) = self.open.swap_remove(at);
                    self.rows[place] = row(digit);
                }
            }
        }
    }

    /// Returns the rows, in the order in which the digits began.
    pub fn rows(&self) -> &[DigitRow] {
        &self.rows
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e3
}

/// Returns the row of an event of a capture, once it has ended; times count from zero.
#[cfg(feature = "replay")]
pub(crate) fn event_row(report: &EventReport) -> Option<DigitRow> {
    let row = || DigitRow {
        digit: sign(report.event),
        start_ms: ms(report.begun.since(Instant::ZERO)),
        duration_ms: ms(report.duration),
        level_dbm0: -f64::from(report.volume),
        source: DigitSource::Event.name(),
    };
    (report.phase != EventPhase::Began).then(row)
}

/// Returns the row of a digit in a sound that begins at a time in ms.
#[cfg(feature = "replay")]
pub(crate) fn tone_row(heard: &HeardDigit, begins_ms: f64) -> DigitRow {
    DigitRow {
        digit: heard.digit.to_string(),
        start_ms: (ms(heard.start) + begins_ms).max(0.0),
        duration_ms: ms(heard.duration),
        level_dbm0: f64::from(heard.level_hundredths_dbm0) / 100.0,
        source: DigitSource::InBand.name(),
    }
}

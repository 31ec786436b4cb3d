//! Tones that were heard, as reports and `media-core tone detect` list them.

use dsp_core::time::Instant;
use dsp_core::tone::HeardTone;
use serde::Serialize;

use super::json::{maybe_micros, micros};
use crate::session::{CallTone, DigitPhase};

/// A tone of a call's progress, of a fax or of a modem.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ToneRow {
    /// The name of the tone, as in `media-core tone`: `busy`, `ringing`, `cng` and others.
    pub tone: &'static str,
    /// The time at which it began, to 20 ms; in a call as it arrived.
    #[serde(serialize_with = "micros")]
    pub start_ms: f64,
    /// The duration with its pauses, in ms; `None` if it still lasted at the end.
    #[serde(serialize_with = "maybe_micros")]
    pub duration_ms: Option<f64>,
}

impl ToneRow {
    /// Returns the tones that a detector reported in a sound that begins at a time in ms.
    pub fn of(told: &[HeardTone], begins_ms: f64) -> Vec<Self> {
        let mut rows: Vec<Self> = Vec::new();
        for told in told {
            if told.ended {
                if let Some(last) = rows.last_mut() {
                    last.duration_ms = Some(told.duration.as_micros() as f64 / 1e3);
                }
            } else {
                let start_ms = (told.start.as_micros() as f64 / 1e3 + begins_ms).max(0.0);
                rows.push(Self { tone: told.signal.name(), start_ms, duration_ms: None });
            }
        }
        rows
    }
}

/// Writes the tone in one line, for people.
impl std::fmt::Display for ToneRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {:.1} s ", self.tone, self.start_ms / 1e3)?;
        match self.duration_ms {
            Some(duration_ms) => write!(f, "for {:.1} s", duration_ms / 1e3),
            None => f.write_str("until the end"),
        }
    }
}

/// Many in one line, the first twenty of them.
pub fn tones_in_words(rows: &[ToneRow]) -> String {
    const LISTED: usize = 20;
    let listed: Vec<_> = rows.iter().take(LISTED).map(ToneRow::to_string).collect();
    let more = if rows.len() > LISTED { format!(" and {} more", rows.len() - LISTED) } else { String::new() };
    listed.join(", ") + &more
}

/// The log of tones: a row each, whose length is filled in when the tone ends.
#[derive(Clone, Debug, Default)]
pub struct ToneLog {
    rows: Vec<ToneRow>,
    /// The tone of each row that hasn't ended.
    open: Vec<(usize, usize, u32)>,
}

impl ToneLog {
    /// Rows that are kept.
    const MOST: usize = 10_000;

    /// Takes in a call's report on a tone; times count from `zero`.
    pub fn add(&mut self, tone: &CallTone, zero: Instant) {
        match tone.phase {
            DigitPhase::Began if self.rows.len() < Self::MOST => {
                self.open.push((self.rows.len(), tone.stream, tone.number));
                let start_ms = tone.begun.since(zero).as_micros() as f64 / 1e3;
                self.rows.push(ToneRow { tone: tone.signal.name(), start_ms, duration_ms: None });
            }
            DigitPhase::Began => {}
            DigitPhase::Ended => {
                let is_it =
                    |(_, stream, number): &(usize, usize, u32)| (*stream, *number) == (tone.stream, tone.number);
                if let Some(at) = self.open.iter().position(is_it) {
                    let (place, ..) = self.open.swap_remove(at);
                    self.rows[place].duration_ms = Some(tone.duration.as_micros() as f64 / 1e3);
                }
            }
        }
    }

    /// Returns the rows, in the order in which the tones began.
    pub fn rows(&self) -> &[ToneRow] {
        &self.rows
    }
}

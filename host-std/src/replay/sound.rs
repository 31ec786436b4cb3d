//! Digits (DTMF) and tones in the sound of a stream as its listener heard it. A digit that is tone and event at once is one
//! digit, an event.

use dsp_core::tone::{Country, DtmfConfig, DtmfDetector, HeardDigit, ProgressDetector};

use crate::report::{DigitRow, ToneRow, tone_row};

/// The largest distance between a tone and an event of the same digit, in ms.
const APART_MS: f64 = 200.0;

/// A stream's sound.
#[derive(Clone, Copy)]
pub(super) struct StreamSound<'a> {
    /// Interleaved.
    pub(super) pcm: &'a [i16],
    pub(super) rate_hz: u32,
    pub(super) channels: u8,
    /// The begin on the report's time axis, in ms: sound is heard later than it arrives by the time that it waits.
    pub(super) begins_ms: f64,
}

impl StreamSound<'_> {
    fn mono(&self) -> Vec<i16> {
        let channels = usize::from(self.channels.max(1));
        let mean =
            |frame: &[i16]| (frame.iter().map(|&sample| i32::from(sample)).sum::<i32>() / channels as i32) as i16;
        self.pcm.chunks_exact(channels).map(mean).collect()
    }

    /// Adds the digits in it, except for those that are events in `digits`.
    pub(super) fn add_digits(&self, digits: &mut Vec<DigitRow>) {
        let config = DtmfConfig { sample_rate_hz: self.rate_hz, ..DtmfConfig::default() };
        let Ok(mut detector) = DtmfDetector::new(config) else { return };
        let mut rows = Vec::new();
        let mut keep = |heard: HeardDigit| {
            if heard.ended {
                rows.push(tone_row(&heard, self.begins_ms));
            }
        };
        detector.hear(&self.mono(), &mut keep);
        detector.finish().into_iter().for_each(keep);
        let events = digits.clone();
        let is_event =
            |row: &DigitRow| events.iter().any(|event| event.digit == row.digit && row.overlaps(event, APART_MS));
        digits.extend(rows.into_iter().filter(|row| !is_event(row)));
        digits.sort_by(|a, b| a.start_ms.total_cmp(&b.start_ms));
    }

    /// The tones in it, as they are in a country.
    pub(super) fn tones(&self, country: &'static Country) -> Vec<ToneRow> {
        let Ok(mut detector) = ProgressDetector::new(self.rate_hz, country) else { return Vec::new() };
        let mut told = Vec::new();
        detector.hear(&self.mono(), |tone| told.push(tone));
        ToneRow::of(&told, self.begins_ms)
    }
}

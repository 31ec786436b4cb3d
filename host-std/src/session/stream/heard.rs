//! Tones of a stream that were heard and not reported yet.

use dsp_core::time::{Duration, Instant};

use super::tones::InTone;
use crate::session::DigitPhase;
use crate::session::tones::CallTone;

/// Beginnings and ends that may wait for the end of the tick in which they are heard: one of each.
const PLACES: usize = 4;

/// Tones that are heard.
#[derive(Default)]
pub(super) struct HeardTones {
    waiting: [Option<CallTone>; PLACES],
    lasting: Option<CallTone>,
    begun: u32,
    /// The time of the last detection.
    now: Option<Instant>,
}

impl HeardTones {
    /// A tick is heard at `now`.
    pub(super) fn listen(&mut self, now: Instant) {
        self.now = Some(now);
    }

    /// Takes in a detector's report.
    pub(super) fn hear(&mut self, tone: &InTone) {
        if tone.ended {
            if let Some(lasting) = self.lasting.take() {
                self.push(CallTone { phase: DigitPhase::Ended, duration: tone.duration, ..lasting });
            }
            return;
        }
        let told = CallTone {
            stream: 0,
            number: self.begun,
            phase: DigitPhase::Began,
            signal: tone.signal,
            ssrc: tone.ssrc,
            begun: tone.begun,
            duration: tone.duration,
        };
        self.begun = self.begun.wrapping_add(1);
        self.lasting = Some(told);
        self.push(told);
    }

    /// Ends the tone that sounds with the last tick, since it is no longer detected.
    pub(super) fn end(&mut self) {
        if let Some(lasting) = self.lasting.take() {
            let until = self.now.map_or(Duration::ZERO, |now| now.since(lasting.begun));
            self.push(CallTone { phase: DigitPhase::Ended, duration: lasting.duration.max(until), ..lasting });
        }
    }

    fn push(&mut self, tone: CallTone) {
        // A tick holds fewer.
        if let Some(place) = self.waiting.iter_mut().find(|place| place.is_none()) {
            *place = Some(tone);
        }
    }

    pub(super) fn next(&mut self) -> Option<CallTone> {
        let tone = self.waiting[0].take()?;
        self.waiting.rotate_left(1);
        Some(tone)
    }
}

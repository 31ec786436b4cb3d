//! The stretches of speech, from a voice detector's decision for each 10 ms.

use serde::Serialize;

/// A stretch of speech, in ms from the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SpeechSegment {
    /// The begin of the segment.
    pub start_ms: u32,
    /// The end of the segment.
    pub end_ms: u32,
}

/// Gathers segments, frame by frame.
///
/// ```
/// use host_std::probe::Segments;
///
/// let mut segments = Segments::default();
/// // 100 ms of speech, a short pause, 100 ms of speech, a long pause, and a word.
/// for (frames, speech) in [(10, true), (15, false), (10, true), (50, false), (20, true)] {
///     (0..frames).for_each(|_| segments.frame(speech));
/// }
/// let found = segments.finish();
/// assert_eq!(found.iter().map(|found| (found.start_ms, found.end_ms)).collect::<Vec<_>>(), [(0, 350), (850, 1_050)]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Segments {
    frames: u32,
    found: Vec<SpeechSegment>,
}

impl Segments {
    /// Pauses that are shorter are within a segment, in ms.
    pub const JOIN_MS: u32 = 200;
    /// Length of a frame in ms.
    pub const FRAME_MS: u32 = 10;

    /// Whether there is speech in the next frame.
    pub fn frame(&mut self, speech: bool) {
        let start_ms = self.frames.saturating_mul(Self::FRAME_MS);
        let end_ms = start_ms.saturating_add(Self::FRAME_MS);
        self.frames = self.frames.saturating_add(1);
        if !speech {
            return;
        }
        match self.found.last_mut() {
            Some(last) if start_ms - last.end_ms < Self::JOIN_MS => last.end_ms = end_ms,
            _ => self.found.push(SpeechSegment { start_ms, end_ms }),
        }
    }

    /// Returns the segments that were found.
    pub fn finish(self) -> Vec<SpeechSegment> {
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_pauses_are_within_a_segment() {
        let mut segments = Segments::default();
        // Speech of 50 ms, a pause of 190, speech of 10, a pause of 200, speech of 20.
        for (speech, frames) in [(false, 3), (true, 5), (false, 19), (true, 1), (false, 20), (true, 2), (false, 9)] {
            (0..frames).for_each(|_| segments.frame(speech));
        }
        let segment = |start_ms, end_ms| SpeechSegment { start_ms, end_ms };
        assert_eq!(segments.finish(), [segment(30, 280), segment(480, 500)]);
        assert_eq!(Segments::default().finish(), []);
    }
}

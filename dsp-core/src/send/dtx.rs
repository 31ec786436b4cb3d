//! Discontinuous transmission by comfort noise: what to send of each frame (RFC 3389, clauses 4 and 5).
//!
//! What is speech is told by the capture chain with the samples ([`Sender::set_speech`](super::Sender::set_speech)), or where
//! nobody tells, by a detector that hears the frames.
//!
//! Speech goes out as it is. When it ends, frames go out for 80 ms more; an analyzer listens to the second half of them, as the
//! end of a word may reach into the first; then one description (SID) tells of the noise, and nothing follows while the noise stays as it is. Another
//! description goes out when it has changed by 2 dB or audibly in spectrum, after 100 ms at the earliest, and after
//! 1 s in any case, for a receiver that missed the last or came late.
//!
//! Delay: none. Cost: the detector's and, in pauses, the analyzer's.

use crate::codec::cn::{NoiseAnalyzer, NoiseDescription};
use crate::process::activity::SpeechDetector;
use crate::time::PayloadType;

/// Silence heard before the first description.
const LISTEN_MS: u32 = 80;
/// From one description to the next.
const SOONEST_MS: u32 = 100;
const LATEST_MS: u32 = 1_000;

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is sent.
    Speech,
    /// This is sent in its place.
    Noise(NoiseDescription),
    /// Nothing is sent.
    Nothing,
}

/// The state of discontinuous transmission of one mono stream; `D` says what in it is speech.
#[derive(Clone, Debug)]
pub(super) struct Dtx<D> {
    pub(super) payload_type: PayloadType,
    sample_rate_hz: u32,
    detector: D,
    analyzer: NoiseAnalyzer,
    /// Silence that was heard since the last speech, in samples.
    listened: u32,
    /// The description that holds in this pause, and the samples since.
    sent: Option<NoiseDescription>,
    since: u32,
}

impl<D: SpeechDetector> Dtx<D> {
    pub(super) fn new(payload_type: PayloadType, sample_rate_hz: u32, detector: D) -> Self {
        Self {
            payload_type,
            sample_rate_hz,
            detector,
            analyzer: NoiseAnalyzer::new(sample_rate_hz),
            listened: 0,
            sent: None,
            since: 0,
        }
    }

    /// Begins a new talk spurt; what is known of the noise stays.
    pub(super) fn interrupt(&mut self) {
        (self.listened, self.sent) = (0, None);
    }

    /// Hears a frame and says what becomes of it. `told`: whether it is speech, where that is known.
    pub(super) fn judge(&mut self, frame: &[i16], told: Option<bool>) -> Verdict {
        if told.unwrap_or_else(|| self.detector.is_speech(frame)) {
            self.interrupt();
            return Verdict::Speech;
        }
        if self.listened <= self.ms(LISTEN_MS) / 2 {
            self.analyzer.reset();
        }
        self.analyzer.hear(frame);
        let samples = frame.len() as u32;
        self.since = self.since.saturating_add(samples);
        if self.listened < self.ms(LISTEN_MS) {
            self.listened += samples;
            return Verdict::Speech;
        }
        let due = match &self.sent {
            Some(_) if self.since < self.ms(SOONEST_MS) => None,
            Some(sent) if self.since < self.ms(LATEST_MS) => self.analyzer.changed_from(sent),
            _ => Some(self.analyzer.describe()),
        };
        let Some(description) = due else { return Verdict::Nothing };
        (self.sent, self.since) = (Some(description), 0);
        Verdict::Noise(description)
    }

    fn ms(&self, ms: u32) -> u32 {
        self.sample_rate_hz / 1_000 * ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::activity::EnergyGate;
    use std::vec::Vec;

    /// 20 ms of noise of this peak.
    fn noise(peak: i32, seed: &mut u32) -> [i16; 160] {
        core::array::from_fn(|_| {
            *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((((*seed >> 16) as i16 as i32) * peak) >> 15) as i16
        })
    }

    #[test]
    fn describes_a_pause_once_and_again_when_it_changes() {
        let (mut dtx, mut seed) = (Dtx::new(PayloadType::COMFORT_NOISE, 8_000, EnergyGate::new(8_000)), 1);
        for _ in 0..100 {
            dtx.judge(&noise(300, &mut seed), None);
        }
        assert_eq!(dtx.judge(&noise(9_000, &mut seed), None), Verdict::Speech);
        // 120 ms of hangover less the block of speech itself, 80 ms of listening.
        let verdicts: Vec<Verdict> = (0..70).map(|_| dtx.judge(&noise(300, &mut seed), None)).collect();
        let speech = verdicts.iter().take_while(|&&verdict| verdict == Verdict::Speech).count();
        assert!((9..=11).contains(&speech), "{speech}");
        let told: Vec<usize> =
            (0..verdicts.len()).filter(|&i| matches!(verdicts[i], Verdict::Noise(_))).map(|i| i - speech).collect();
        assert_eq!(told, [0, 50], "frames after the first description");
        // Uniform noise: peak / sqrt(3), which is 45.5 dB below overload.
        let Verdict::Noise(description) = verdicts[speech] else { panic!("{:?}", verdicts[speech]) };
        assert!((45..=46).contains(&description.level()), "{description:?}");
        // 4 dB less, which a time constant of 400 ms turns into 2 dB in 0.25 s.
        let changed = (0..30).find(|_| matches!(dtx.judge(&noise(190, &mut seed), None), Verdict::Noise(_)));
        assert!(changed.is_some_and(|frames| (5..25).contains(&frames)), "{changed:?}");
        assert_eq!(dtx.judge(&noise(9_000, &mut seed), None), Verdict::Speech);
    }

    /// Every frame that is louder than this is speech.
    struct Threshold(i16);

    impl SpeechDetector for Threshold {
        fn is_speech(&mut self, pcm: &[i16]) -> bool {
            pcm.iter().any(|&sample| sample > self.0)
        }
    }

    #[test]
    fn any_detector_decides() {
        let mut dtx = Dtx::new(PayloadType::COMFORT_NOISE, 8_000, Threshold(1_000));
        let mut judge = |peak| match dtx.judge(&[peak; 160], None) {
            Verdict::Speech => 's',
            Verdict::Noise(_) => 'n',
            Verdict::Nothing => '-',
        };
        // No hangover but the 80 ms of listening; a description after it and, as nothing changes, none soon.
        let frames = [[1_000; 7], [2_000; 7], [1_000; 7]].concat();
        let told: std::string::String = frames.into_iter().map(&mut judge).collect();
        assert_eq!(told, "ssssn--sssssssssssn--");
    }
}

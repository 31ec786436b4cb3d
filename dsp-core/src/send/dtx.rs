//! Discontinuous transmission with comfort noise: what to send of each frame (RFC 3389, clauses 4 and 5).
//!
//! Whether there is speech is told by the capture chain with the samples
//! ([`Sender::set_speech`](super::Sender::set_speech)), or otherwise by a detector that hears the frames.
//!
//! Speech is sent as it is. After its end, frames are sent for another 80 ms. An analyzer listens to the second half
//! of them, since the end of a word may reach into the first, and for up to 240 ms while the sound still becomes
//! softer. Then one description (SID) of the noise is sent, and nothing more while the noise stays the same. Another
//! description is sent when the noise has changed by 2 dB or audibly in spectrum, after 100 ms at the earliest, and
//! after 1 s in any case, for a receiver that missed the last one or joined late.
//!
//! In a quiet room (noise below -60 dBov), every breath before a word is heard, though no detector takes it for
//! speech. So sound that is 6 dB above the described noise is sent as it is, for up to 160 ms; sound that lasts longer
//! is another noise, which is analysed anew. Sound that is softer by as much is described at once.
//!
//! There is no delay. The cost is that of the detector and, in pauses, that of the analyzer, and one multiplication
//! for each sample.

use crate::codec::cn::{NoiseAnalyzer, NoiseDescription};
use crate::process::activity::{NoDetector, SpeechDetector};
use crate::process::level::Level;
use crate::time::PayloadType;

/// Silence heard before the first description, and the most of it while it becomes softer.
const LISTEN_MS: u32 = 80;
const LONGEST_MS: u32 = 240;
/// How much noise of constant level is heard before it is described.
const HEARD_MS: u32 = 30;
/// From one description to the next.
const SOONEST_MS: u32 = 100;
const LATEST_MS: u32 = 1_000;
/// The noise of a quiet room is below, in hundredths of a dBov.
const QUIET: i16 = -6_000;
/// A frame that is this much louder or softer than the noise is another noise, in hundredths of a decibel.
const OTHER: i16 = 600;
/// What stands out for longer has become the noise.
const RISEN_MS: u32 = 160;

/// What a detector `D` is in, if there is any. A type without values takes no room in an `Option`: then there is nothing, and the
/// compiler, which can't tell by the `Option` alone, leaves out what would be done with it.
#[inline(always)]
pub(super) fn of<D, T>(held: &mut Option<T>) -> Option<&mut T> {
    const { assert!(size_of::<Option<NoDetector>>() == 0, "there is a value of NoDetector") };
    if size_of::<Option<D>>() == 0 { None } else { held.as_mut() }
}

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
    /// Samples that stand out of the noise, up to the last frame: the other side has heard them since the description.
    risen: u32,
    /// Level of the noise that was described last, in this pause or the one before.
    before: Option<i16>,
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
            risen: 0,
            before: None,
        }
    }

    /// Begins a new talk spurt; what is known of the noise stays.
    pub(super) fn interrupt(&mut self) {
        (self.listened, self.sent, self.risen) = (0, None, 0);
    }

    /// Hears a frame and says what becomes of it. `told`: whether it is speech, where that is known.
    pub(super) fn judge(&mut self, frame: &[i16], told: Option<bool>) -> Verdict {
        if told.unwrap_or_else(|| self.detector.is_speech(frame)) {
            self.interrupt();
            return Verdict::Speech;
        }
        let (level, samples) = (Level::of_frame(frame).hundredths_dbov(), frame.len() as u32);
        self.since = self.since.saturating_add(samples);
        let Some(sent) = self.sent else { return self.listen(frame, level) };
        let described = -100 * i16::from(sent.level());
        if described < QUIET && level > described + OTHER {
            if self.risen < self.ms(RISEN_MS) {
                self.risen += samples;
                return Verdict::Speech;
            }
            self.analyzer.reset();
            (self.listened, self.sent, self.risen, self.before) = (self.ms(LISTEN_MS), None, 0, None);
            return self.listen(frame, level);
        }
        let softer = level < QUIET && self.is_softer(level);
        if softer {
            self.analyzer.reset();
        }
        self.analyzer.hear(frame);
        let again = core::mem::take(&mut self.risen) > 0 || self.since >= self.ms(LATEST_MS);
        let due = match again {
            true => Some(self.analyzer.describe()),
            false if softer || self.since >= self.ms(SOONEST_MS) => self.analyzer.changed_from(&sent),
            false => None,
        };
        due.map_or(Verdict::Nothing, |description| self.tell(description))
    }

    /// Before the first description of a pause.
    fn listen(&mut self, frame: &[i16], level: i16) -> Verdict {
        if self.listened <= self.ms(LISTEN_MS) / 2 || self.is_softer(level) {
            self.analyzer.reset();
        }
        let louder = self.before.is_some_and(|before| self.analyzer.level().hundredths_dbov() > before + OTHER);
        let known = self.analyzer.heard() >= self.ms(HEARD_MS) && !louder || self.listened >= self.ms(LONGEST_MS);
        self.analyzer.hear(frame);
        if self.listened >= self.ms(LISTEN_MS) && known {
            return self.tell(self.analyzer.describe());
        }
        self.listened += frame.len() as u32;
        Verdict::Speech
    }

    fn tell(&mut self, description: NoiseDescription) -> Verdict {
        (self.sent, self.since) = (Some(description), 0);
        self.before = Some(self.analyzer.level().hundredths_dbov());
        Verdict::Noise(description)
    }

    /// Whether a frame of this level is softer than the noise that was heard before.
    fn is_softer(&self, level: i16) -> bool {
        self.analyzer.heard() > 0 && level < self.analyzer.level().hundredths_dbov() - OTHER
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

    /// What becomes of frames of these levels in a pause, after speech; the detector says that all of them are noise.
    fn verdicts(dtx: &mut Dtx<EnergyGate>, peaks: &[i32], seed: &mut u32) -> std::string::String {
        dtx.judge(&noise(9_000, seed), Some(true));
        let judged = peaks.iter().map(|&peak| match dtx.judge(&noise(peak, seed), Some(false)) {
            Verdict::Speech => 's',
            Verdict::Noise(_) => 'n',
            Verdict::Nothing => '-',
        });
        judged.collect()
    }

    #[test]
    fn a_word_that_dies_away_is_not_described_as_noise() {
        let (mut dtx, mut seed) = (Dtx::new(PayloadType::COMFORT_NOISE, 8_000, EnergyGate::new(8_000)), 1);
        let steady = verdicts(&mut dtx, &[20; 8], &mut seed);
        assert_eq!(steady, "ssssn---");
        // It becomes softer by 7 dB a frame: until it does so no longer, and one frame more.
        let falls = [[4_000, 1_800, 800, 360].as_slice(), &[160, 72, 32], &[20; 6]].concat();
        assert_eq!(verdicts(&mut dtx, &falls, &mut seed), "ssssssssn----");
        assert!(dtx.sent.is_some_and(|sent| (66..=70).contains(&sent.level())), "{:?}", dtx.sent);
        // What stays louder than the noise of the last pause is listened to for 240 ms, and then is noise.
        assert_eq!(verdicts(&mut dtx, &[400; 16], &mut seed), "ssssssssssssn---");
    }

    #[test]
    fn in_a_quiet_room_what_stands_out_is_sent_and_what_is_softer_told() {
        let (mut dtx, mut seed) = (Dtx::new(PayloadType::COMFORT_NOISE, 8_000, EnergyGate::new(8_000)), 1);
        verdicts(&mut dtx, &[10; 10], &mut seed);
        // A breath of 60 ms, 12 dB above: as it is; then the noise again.
        let quiet = |dtx: &mut Dtx<_>, peaks: &[i32], seed: &mut u32| {
            let pause = [&[10; 10][..], peaks].concat();
            verdicts(dtx, &pause, seed).split_off(10)
        };
        assert_eq!(quiet(&mut dtx, &[40, 40, 40, 10, 10], &mut seed), "sssn-");
        // What lasts is another noise.
        let lasts = quiet(&mut dtx, &[60; 14], &mut seed);
        assert_eq!(lasts, "ssssssssssn---");
        // 12 dB less is told at once.
        assert_eq!(quiet(&mut dtx, &[2, 2, 2], &mut seed), "n--");
        // In a loud room both are the noise's own changes, told when it has changed.
        verdicts(&mut dtx, &[2_000; 20], &mut seed);
        let mut loud = [2_000; 20];
        loud[14] = 8_000;
        assert!(!verdicts(&mut dtx, &loud, &mut seed)[6..].contains('s'));
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

//! Voice activity detector with a neural network, that of the crate [earshot]: use it in place of the [integer
//! detector](super::voice) on machines that have floating point and 95 KiB to spare (cargo feature `earshot`).
//!
//! The network tells speech from noise better than the integer detector's bands and pitch, most of all from babble and
//! clatter, but takes longer: it looks at 16 ms with the 32 ms before them, and its result holds until the next 16 ms
//! are complete. Where no word may be lost ([`NeuralVoiceDetector::activity`], and as detector of a sender), the
//! integer detector is heard too: what it takes for speech counts as speech for 60 ms, after which the network
//! decides. `BENCHMARKS.md` has both detectors beside others.
//!
//! The network hears 16 kHz. Sound at 32 and 48 kHz is brought there by averaging neighbours, and sound at 8 kHz by a
//! short interpolator (six taps), so that the network hears next to nothing above 4 kHz.
//!
//! The sound is not delayed; the decision is late by at most 16 ms, and by what the network waits for. It takes one
//! transform of 1,024 points and a pass over 40 KiB of weights every 16 ms. The state takes 9 KiB. Targets with IEEE
//! 754 floating point give the same bits, as long as nothing in the program enables the feature `std` of that crate.
//!
//! A second of a quiet room:
//!
//! ```
//! use dsp_core::process::neural_voice::NeuralVoiceDetector;
//! use dsp_core::process::voice::{VoiceConfig, VoiceError};
//!
//! let mut detector = NeuralVoiceDetector::new(VoiceConfig { sample_rate_hz: 16_000, ..VoiceConfig::default() })?;
//! # let mut seed = 1u32;
//! # let mut noise = move || {
//! #     seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
//! #     (seed as i32 >> 26) as i16
//! # };
//! for _ in 0..100 {
//!     let room: [i16; 160] = core::array::from_fn(|_| noise());
//!     detector.hear(&room);
//! }
//! assert!(!detector.voice().speech);
//! // Steady noise of -60 dBov or so.
//! assert!((-7_500..-4_500).contains(&detector.noise_level().hundredths_dbov()));
//! # Ok::<(), VoiceError>(())
//! ```
//!
//! [earshot]: https://docs.rs/earshot

use core::fmt;

use earshot::Detector;

use super::activity::{Activity, SpeechDetector};
use super::eight_khz::EightKhz;
use super::level::Level;
use super::voice::{Voice, VoiceConfig, VoiceDetector, VoiceError};
use crate::front::{CaptureBlock, Near};
use crate::sample::Sample;

/// Samples that the net takes at a time: 16 ms at 16 kHz.
const PIECE: usize = 256;
/// The least score of speech for each aggressiveness.
const THRESHOLDS: [f32; 4] = [0.3, 0.4, 0.5, 0.65];
/// Number of blocks for which the start of speech by the integer detector counts as speech, whatever the network says.
const BRIDGED: u8 = 6;
/// Samples from a neighbour to the next that are interpolated, in 2^-8: between the third and the fourth of six.
const HALF_WAY: [i32; 6] = [3, -25, 150, 150, -25, 3];

/// Brings sound to 16 kHz.
#[derive(Clone, Copy, Debug)]
enum Rate {
    /// From 8 kHz, with the last samples that were heard.
    Up([i16; 6]),
    /// For 16 kHz or a multiple: the mean of neighbouring samples.
    Down(EightKhz),
}

/// Detects voices in one channel with a neural network. [The module's page](self) has an example.
pub struct NeuralVoiceDetector {
    config: VoiceConfig,
    net: Detector,
    rate: Rate,
    piece: [i16; PIECE],
    filled: usize,
    /// The last piece's score.
    score: f32,
    threshold: f32,
    /// Blocks of 10 ms that are still speech after the last one that was.
    held: u16,
    /// Tells level and periodicity, ends the blocks, and bridges the time that the net takes.
    integer: VoiceDetector,
    /// Blocks of speech in a row by the integer detector.
    run: u8,
    voice: Voice,
    /// Samples of the input in the block that is being heard.
    block: u32,
}

impl fmt::Debug for NeuralVoiceDetector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NeuralVoiceDetector")
            .field("config", &self.config)
            .field("score", &self.score)
            .field("voice", &self.voice)
            .finish_non_exhaustive()
    }
}

impl NeuralVoiceDetector {
    /// A detector that has not heard anything. The values 0 to 3 of [`VoiceConfig::aggressiveness`] stand for scores
    /// of 0.3, 0.4, 0.5 and 0.65.
    ///
    /// # Errors
    /// Returns a [`VoiceError`] for an aggressiveness above 3, and for a sample rate other than 8, 16, 32 and 48 kHz.
    pub fn new(config: VoiceConfig) -> Result<Self, VoiceError> {
        let VoiceConfig { sample_rate_hz, aggressiveness, .. } = config;
        let rate = match sample_rate_hz {
            8_000 => Rate::Up([0; 6]),
            16_000 | 32_000 | 48_000 => Rate::Down(EightKhz::new(sample_rate_hz as usize / 16_000)),
            hz => return Err(VoiceError::Rate(hz)),
        };
        let Some(&threshold) = THRESHOLDS.get(usize::from(aggressiveness)) else {
            return Err(VoiceError::Aggressiveness(aggressiveness));
        };
        Ok(Self {
            config,
            net: Detector::const_default(),
            rate,
            piece: [0; PIECE],
            filled: 0,
            score: 0.0,
            threshold,
            held: 0,
            integer: VoiceDetector::new(VoiceConfig { hangover_ms: 0, ..config })?,
            run: 0,
            voice: Voice { speech: false, probability: 0, periodicity: 0 },
            block: 0,
        })
    }

    /// Takes in the next samples, any number, and returns the result of the last complete block of 10 ms. `speech` is
    /// true if it was true for any block that ended within these samples.
    pub fn hear<S: Sample>(&mut self, pcm: &[S]) -> Voice {
        let block = self.config.sample_rate_hz / 100;
        let (mut speech, mut rest) = (None, pcm);
        while !rest.is_empty() {
            let (now, later) = rest.split_at(((block - self.block) as usize).min(rest.len()));
            rest = later;
            self.integer.hear(now);
            self.score_pieces(now);
            self.block += now.len() as u32;
            if self.block == block {
                self.block = 0;
                self.judge();
                speech = Some(speech.unwrap_or(false) | self.voice.speech);
            }
        }
        Voice { speech: speech.unwrap_or(self.voice.speech), ..self.voice }
    }

    /// The result of the last complete block.
    pub fn voice(&self) -> Voice {
        self.voice
    }

    /// Level of the noise below 4 kHz, as tracked by the integer detector.
    pub fn noise_level(&self) -> Level {
        self.integer.noise_level()
    }

    /// The result for a sender, which must not lose a word: the first second counts as speech, and so does a word that
    /// begins, before the network has heard enough of it.
    pub fn activity(&self) -> Activity {
        let Voice { speech, probability, periodicity } = self.voice;
        let early = self.integer.may_be_speech();
        let begins = (1..=BRIDGED).contains(&self.run);
        Activity { speech: speech || early || begins, probability, periodicity, noise: self.noise_level() }
    }

    /// Forgets everything heard so far.
    pub fn reset(&mut self) {
        // The same settings, so that there is no error.
        if let Ok(new) = Self::new(self.config) {
            *self = new;
        }
    }

    /// Ends a block of 10 ms.
    fn judge(&mut self) {
        let Voice { speech, periodicity, .. } = self.integer.voice();
        self.run = if speech { self.run.saturating_add(1) } else { 0 };
        let speaks = self.score >= self.threshold;
        self.held = if speaks { self.config.hangover_ms / 10 } else { self.held.saturating_sub(1) };
        self.voice = Voice { speech: speaks || self.held > 0, probability: (self.score * 255.0) as u8, periodicity };
    }

    /// Gives samples to the net.
    fn score_pieces<S: Sample>(&mut self, pcm: &[S]) {
        let Self { net, rate, piece, filled, score, .. } = self;
        let mut put = |sample: i16| {
            if let Some(place) = piece.get_mut(*filled) {
                *place = sample;
            }
            *filled += 1;
            if *filled >= PIECE {
                *filled = 0;
                *score = net.predict_i16(piece);
            }
        };
        match rate {
            Rate::Up(last) => {
                for sample in pcm {
                    last.rotate_left(1);
                    last[5] = sample.to_i16();
                    put(last[2]);
                    let sum: i32 = last.iter().zip(HALF_WAY).map(|(&x, weight)| i32::from(x) * weight).sum();
                    put((sum >> 8).clamp(i16::MIN.into(), i16::MAX.into()) as i16);
                }
            }
            Rate::Down(means) if means.factor() == 1 => pcm.iter().for_each(|sample| put(sample.to_i16())),
            Rate::Down(means) => {
                for part in pcm.chunks(16) {
                    let mut out = [0; 16];
                    let count = means.bring(part, &mut out);
                    out.iter().take(count).for_each(|&sample| put(sample));
                }
            }
        }
    }
}

/// For a sender: what [`NeuralVoiceDetector::activity`] says.
impl SpeechDetector for NeuralVoiceDetector {
    fn is_speech(&mut self, pcm: &[i16]) -> bool {
        let before = Self::activity(self).speech;
        let speech = self.hear(pcm).speech;
        speech || Self::activity(self).speech || (before && pcm.len() < self.config.sample_rate_hz as usize / 100)
    }
}

/// The detector of a [capture chain](crate::front::CaptureChain): hears, and changes nothing.
impl CaptureBlock<f32> for NeuralVoiceDetector {
    fn process(&mut self, frame: &mut [f32], _: &Near<'_>) {
        self.hear(frame);
    }

    fn reset(&mut self) {
        Self::reset(self);
    }

    fn delay_samples(&self) -> usize {
        0
    }

    fn activity(&self) -> Option<Activity> {
        Some(Self::activity(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn noise(seed: &mut u32, peak: i32) -> i32 {
        *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (((*seed >> 16) as i16 as i32) * peak) >> 15
    }

    #[test]
    fn noise_is_none_at_any_rate_and_pieces_make_no_difference() {
        for rate in [8_000, 16_000, 32_000, 48_000] {
            let config = VoiceConfig { sample_rate_hz: rate, ..VoiceConfig::default() };
            let (mut whole, mut parts) =
                (NeuralVoiceDetector::new(config).unwrap(), NeuralVoiceDetector::new(config).unwrap());
            let mut seed = 1;
            let pcm: Vec<i16> = (0..3 * rate).map(|_| noise(&mut seed, 1_000) as i16).collect();
            let mut speech = 0;
            for block in pcm.chunks(rate as usize / 100) {
                let heard = whole.hear(block);
                speech += u32::from(heard.speech);
                let last = block.chunks(7).map(|part| parts.hear(part)).last().unwrap();
                assert_eq!(last, heard, "{rate}");
            }
            assert!(speech < 30, "{rate}: {speech} of 300");
            assert!(!whole.activity().speech);
            whole.reset();
            assert!(whole.activity().speech, "the first second may be speech");
        }
    }

    #[test]
    fn an_onset_is_speech_for_the_sender_before_the_net_says_so() {
        let config = VoiceConfig { sample_rate_hz: 16_000, ..VoiceConfig::default() };
        let mut detector = NeuralVoiceDetector::new(config).unwrap();
        let mut seed = 1;
        // Noise that rises by 30 dB stands out, and is no speech: for 60 ms nobody knows.
        for _ in 0..300 {
            let block: Vec<i16> = (0..160).map(|_| noise(&mut seed, 100) as i16).collect();
            detector.hear(&block);
        }
        let told: Vec<bool> = (0..40)
            .map(|_| {
                let block: Vec<i16> = (0..160).map(|_| noise(&mut seed, 3_000) as i16).collect();
                detector.hear(&block);
                detector.activity().speech
            })
            .collect();
        let first = told.iter().position(|&speech| speech).unwrap();
        assert!(first <= 2, "{told:?}");
        assert!(!told[first + 10..].contains(&true), "{told:?}");
    }

    #[test]
    fn extremes_and_wrong_settings() {
        for sample_rate_hz in [0, 11_025, 24_000, 44_100] {
            let config = VoiceConfig { sample_rate_hz, ..VoiceConfig::default() };
            assert_eq!(NeuralVoiceDetector::new(config).err(), Some(VoiceError::Rate(sample_rate_hz)));
        }
        let config = VoiceConfig { aggressiveness: 4, ..VoiceConfig::default() };
        assert_eq!(NeuralVoiceDetector::new(config).err(), Some(VoiceError::Aggressiveness(4)));
        let mut detector = NeuralVoiceDetector::new(VoiceConfig::default()).unwrap();
        for value in [f32::NAN, f32::INFINITY, f32::MIN, 1.0, 0.0] {
            for _ in 0..20 {
                detector.hear(&[value; 80]);
            }
            assert!(detector.score.is_finite(), "{value}");
        }
        assert!(size_of::<NeuralVoiceDetector>() < 9 * 1_024 + 512, "{}", size_of::<NeuralVoiceDetector>());
    }
}

//! Voice activity detector in integer arithmetic: the probability of speech in each 10 ms.
//!
//! Use it for comfort noise, gain control and levels, where the [energy gate](super::activity) takes too much noise
//! for speech. With the cargo feature `earshot`, `neural_voice` is a better and more expensive one with the same
//! interface.
//!
//! Two properties tell speech from noise. Speech is unlike the noise before it: each of six bands is compared with its
//! noise, which is tracked by the probability of speech ([T. Gerkmann and R. C. Hendriks 2012]). And it is voiced: the
//! autocorrelation of the lowest 500 Hz has a peak at the pitch lags of a voice. The decision is made of seven features:
//! how far the bands below 1 kHz are above their noise now; the likelihood of these and of all bands, smoothed, the
//! latter also squared, since a click is more unlike the noise than most of speech is; the likelihood times the
//! periodicity, which says more than either, since steady noise may be periodic, and changing noise often is not; and
//! the mean and the mean square of the periodicity over 0.4 s, since in speech vowels take turns with other sounds,
//! while noise is equally periodic all the time. They are weighted into the log odds of speech, and a threshold for
//! each [aggressiveness](VoiceConfig::aggressiveness) decides. The weights come from a logistic regression over
//! synthetic scenes, which differ in voices and noises from those on which the results in `BENCHMARKS.md` were
//! measured.
//!
//! Everything is heard at 8 kHz; higher rates are brought there by averaging neighbours. There is no delay: the result
//! of a block is known with its last sample. A block of 10 ms takes 1,948 instructions at 8 kHz and 2,473 at 16 kHz on
//! a Cortex-M3, and 2,907 and 3,624 on a Cortex-M0 (`BENCHMARKS.md`). The state takes 420 bytes.
//!
//! A quiet room, and a voiced sound in it:
//!
//! ```
//! use dsp_core::process::voice::{VoiceConfig, VoiceDetector, VoiceError};
//!
//! let mut detector = VoiceDetector::new(VoiceConfig { sample_rate_hz: 8_000, ..VoiceConfig::default() })?;
//! # let mut seed = 1u32;
//! # let mut noise = move || {
//! #     seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
//! #     (seed as i32 >> 26) as i16
//! # };
//! // `noise` is white noise of some 20 steps.
//! for _ in 0..200 {
//!     let room: [i16; 80] = core::array::from_fn(|_| noise());
//!     detector.hear(&room);
//! }
//! assert!(!detector.voice().speech);
//! // 125 pulses a second, as of vocal cords.
//! for _ in 0..20 {
//!     let vowel: [i16; 64] = core::array::from_fn(|n| if n < 16 { 500 * (8 - n as i16) } else { noise() });
//!     detector.hear(&vowel);
//! }
//! assert!(detector.voice().speech && detector.voice().probability > 50);
//! # Ok::<(), VoiceError>(())
//! ```
//!
//! [T. Gerkmann and R. C. Hendriks 2012]: https://doi.org/10.1109/TASL.2011.2180896

use core::fmt;

use super::activity::{Activity, SpeechDetector};
use super::eight_khz::EightKhz;
use super::level::Level;
use crate::front::{CaptureBlock, Near};
use crate::sample::Sample;

mod bands;
mod noise;
mod pitch;

use bands::{BANDS, BLOCK};
use noise::Noise;
use pitch::Pitch;

/// Weights of the log odds, for features in the units of [`Features`] and for the excess of the block in 2^-8 of an
/// octave; the sum is in 2^-16.
const WEIGHTS: Features =
    Features { roots: 540, squares: -127, low_roots: 85, voiced: 825, periodicity: 5_693, periodicity_squared: -5_443 };
const EXCESS_WEIGHT: i32 = 30;
/// The log odds of none of it, in 2^-16.
const OFFSET: i32 = -484_511;
/// The least log odds of speech for each aggressiveness, in 2^-8.
const THRESHOLDS: [i32; 4] = [-600, -500, -420, -80];
/// Blocks in which what stands out may be the beginning of a word, and blocks before it in which nothing did.
const BEGINS: u8 = 5;
const RESTED: u8 = 10;
/// 255 / (1 + exp(-x)) for x from -8 in halves.
const SIGMOID: [u8; 33] = [
    0, 0, 0, 0, 1, 1, 2, 3, 5, 7, 12, 19, 30, 47, 69, 96, 128, 159, 186, 208, 225, 236, 243, 248, 250, 252, 253, 254,
    254, 255, 255, 255, 255,
];

/// Settings of a [`VoiceDetector`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct VoiceConfig {
    /// Sample rate: a multiple of 8,000 Hz, at most 48,000 Hz.
    pub sample_rate_hz: u32,
    /// How much evidence speech needs: 0 misses the least speech, 3 takes the least noise for speech.
    pub aggressiveness: u8,
    /// How long after speech it still counts as speech, beyond the detector's own release, in ms, in steps of 10.
    pub hangover_ms: u16,
}

impl Default for VoiceConfig {
    /// 8 kHz, aggressiveness 2, no additional hangover.
    fn default() -> Self {
        Self { sample_rate_hz: 8_000, aggressiveness: 2, hangover_ms: 0 }
    }
}

/// What is wrong with a [`VoiceConfig`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum VoiceError {
    /// This sample rate, in Hz, is not a multiple of 8,000 up to 48,000.
    Rate(u32),
    /// This aggressiveness is above 3.
    Aggressiveness(u8),
}

impl fmt::Display for VoiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Rate(rate) => write!(f, "{rate} Hz; voices are detected at multiples of 8000 Hz up to 48000"),
            Self::Aggressiveness(got) => write!(f, "an aggressiveness of {got}; 0 to 3 are possible"),
        }
    }
}

impl core::error::Error for VoiceError {}

/// The result for a block of 10 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Voice {
    /// Whether there is speech.
    pub speech: bool,
    /// Probability of speech, of 255.
    pub probability: u8,
    /// Periodicity of the sound, of 255. Vowels are above 120.
    pub periodicity: u8,
}

/// What speech is told by, besides the excess of the block itself.
#[derive(Clone, Copy, Debug, Default)]
struct Features {
    /// Sum of the roots of the bands' likelihoods, in 2^-6, and its square, in 2^-4.
    roots: i32,
    squares: i32,
    /// Sum of the roots of the likelihoods below 1 kHz, in 2^-6.
    low_roots: i32,
    /// The same times the periodicity.
    voiced: i32,
    /// The periodicity, and its square, in 2^-8.
    periodicity: i32,
    periodicity_squared: i32,
}

/// Detects voices in one channel of `i16` or `f32`. [The module's page](self) has an example.
#[derive(Clone, Copy, Debug)]
pub struct VoiceDetector {
    narrow: EightKhz,
    threshold: i32,
    hangover: u16,
    block: [i16; BLOCK],
    filled: usize,
    /// Number of bits by which values were shifted before they were squared in the last block.
    shift: u32,
    noise: Noise,
    pitch: Pitch,
    /// Levels of the last block, in 2^-8 of an octave.
    levels: [i32; BANDS],
    /// Smoothed, in 2^-8 of their units.
    smooth: Features,
    held: u16,
    voice: Voice,
    /// Blocks in which what began may be a word, and blocks since one stood out from the noise.
    begins: u8,
    rested: u8,
}

impl VoiceDetector {
    /// A detector that has not heard anything.
    ///
    /// # Errors
    /// Returns a [`VoiceError`] for a sample rate that is not a multiple of 8,000 Hz up to 48,000 Hz, and for an
    /// aggressiveness above 3.
    pub fn new(config: VoiceConfig) -> Result<Self, VoiceError> {
        let VoiceConfig { sample_rate_hz, aggressiveness, hangover_ms } = config;
        let factor = sample_rate_hz / 8_000;
        if !sample_rate_hz.is_multiple_of(8_000) || !(1..=6).contains(&factor) {
            return Err(VoiceError::Rate(sample_rate_hz));
        }
        let Some(&threshold) = THRESHOLDS.get(usize::from(aggressiveness)) else {
            return Err(VoiceError::Aggressiveness(aggressiveness));
        };
        Ok(Self::with(factor as usize, threshold, hangover_ms / 10))
    }

    fn with(factor: usize, threshold: i32, hangover: u16) -> Self {
        Self {
            narrow: EightKhz::new(factor),
            threshold,
            hangover,
            block: [0; BLOCK],
            filled: 0,
            shift: 0,
            noise: Noise::new(),
            pitch: Pitch::new(),
            levels: [0; BANDS],
            smooth: Features::default(),
            held: 0,
            voice: Voice { speech: false, probability: 0, periodicity: 0 },
            begins: 0,
            rested: 0,
        }
    }

    /// Takes in the next samples, any number, and returns the result of the last complete block. `speech` is true if
    /// it was true for any block that ended within these samples.
    pub fn hear<S: Sample>(&mut self, pcm: &[S]) -> Voice {
        let mut speech = None;
        let mut rest = pcm;
        while !rest.is_empty() {
            if self.filled == 0
                && self.narrow.factor() == 1
                && let Some((block, later)) = rest.split_first_chunk::<BLOCK>()
            {
                // A whole block that needs no copy.
                rest = later;
                let levels = bands::split(block, &mut self.shift, self.pitch.room());
                speech = Some(self.judge(levels) | speech.unwrap_or(false));
                continue;
            }
            // Up to the end of the block.
            let missing = self.narrow.missing(BLOCK - self.filled);
            let (now, later) = rest.split_at(missing.min(rest.len()));
            rest = later;
            self.filled += self.narrow.bring(now, &mut self.block[self.filled..]);
            if self.filled == BLOCK {
                self.filled = 0;
                let levels = bands::split(&self.block, &mut self.shift, self.pitch.room());
                speech = Some(self.judge(levels) | speech.unwrap_or(false));
            }
        }
        Voice { speech: speech.unwrap_or(self.voice.speech), ..self.voice }
    }

    /// The result of the last complete block.
    pub fn voice(&self) -> Voice {
        self.voice
    }

    /// Level of the last complete block below 4 kHz, within 0.5 dB.
    pub fn level(&self) -> Level {
        total(&self.levels)
    }

    /// Level of the noise below 4 kHz, within 0.5 dB of what is tracked.
    pub fn noise_level(&self) -> Level {
        total(&self.noise.levels())
    }

    /// The result for a sender, which must not lose a word. The first second counts as speech, since a call may begin
    /// in the middle of it. So do 50 ms from where the sound rises far above the noise after 100 ms in which it did
    /// not: a word may be loud at once, and takes some tens of ms until it is periodic.
    pub fn activity(&self) -> Activity {
        let Voice { speech, probability, periodicity } = self.voice;
        Activity { speech: speech || self.may_be_speech(), probability, periodicity, noise: self.noise_level() }
    }

    /// Whether it's too early to know.
    pub(super) const fn may_be_speech(&self) -> bool {
        self.noise.is_early() || self.begins > 0
    }

    /// Forgets everything heard so far.
    pub fn reset(&mut self) {
        *self = Self::with(self.narrow.factor(), self.threshold, self.hangover);
    }

    /// Ends a block of these levels; whether there is speech.
    fn judge(&mut self, levels: [i32; BANDS]) -> bool {
        self.levels = levels;
        let found = self.noise.hear(&levels);
        let periodicity = self.pitch.hear();
        let smooth = &mut self.smooth;
        follow(&mut smooth.roots, found.roots, AT_ONCE);
        follow(&mut smooth.squares, (found.roots * found.roots) >> 8, AT_ONCE);
        follow(&mut smooth.low_roots, found.low_roots, SOON);
        follow(&mut smooth.voiced, (found.low_roots * periodicity) >> 8, AT_ONCE);
        follow_slowly(&mut smooth.periodicity, periodicity);
        follow_slowly(&mut smooth.periodicity_squared, (periodicity * periodicity) >> 8);
        // Features are below 2^13, weights below 2^13: the sum is below 2^23.
        let odds = found.low_excess * EXCESS_WEIGHT
            + (smooth.roots >> 8) * WEIGHTS.roots
            + (smooth.squares >> 8) * WEIGHTS.squares
            + (smooth.low_roots >> 8) * WEIGHTS.low_roots
            + (smooth.voiced >> 8) * WEIGHTS.voiced
            + (smooth.periodicity >> 8) * WEIGHTS.periodicity
            + (smooth.periodicity_squared >> 8) * WEIGHTS.periodicity_squared;
        let odds = (odds + OFFSET) >> 8;
        let speech = odds > self.threshold;
        self.held = if speech { self.hangover } else { self.held.saturating_sub(1) };
        self.begins = self.begins.saturating_sub(1);
        if self.noise.stood_out() {
            self.begins = if self.rested >= RESTED { BEGINS } else { self.begins };
            self.rested = 0;
        } else {
            self.rested = self.rested.saturating_add(1);
        }
        self.voice = Voice {
            speech: speech || self.held > 0,
            probability: sigmoid(odds),
            periodicity: periodicity.min(255) as u8,
        };
        self.voice.speech
    }
}

/// For a sender: what [`VoiceDetector::activity`] takes for speech.
impl SpeechDetector for VoiceDetector {
    fn is_speech(&mut self, pcm: &[i16]) -> bool {
        let early = self.may_be_speech();
        self.hear(pcm).speech || early || self.may_be_speech()
    }
}

/// The detector of a [capture chain](crate::front::CaptureChain): hears, and changes nothing.
impl CaptureBlock<f32> for VoiceDetector {
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

/// How fast a smoothed feature follows, up and down: by what fraction of the way for each block, as the logarithm to the
/// base 2 of its reciprocal.
type Pace = (u32, u32);
const AT_ONCE: Pace = (0, 4);
const SOON: Pace = (3, 5);

/// Smooths.
#[inline(always)]
fn follow(smooth: &mut i32, new: i32, pace: Pace) {
    let difference = (new << 8) - *smooth;
    *smooth += difference >> if difference > 0 { pace.0 } else { pace.1 };
}

/// Smooths over 0.4 s.
#[inline(always)]
fn follow_slowly(smooth: &mut i32, new: i32) {
    // Differences are below 2^17.
    *smooth += (((new << 8) - *smooth) * 6) >> 8;
}

/// A probability of 255 from log odds in 2^-8.
fn sigmoid(odds: i32) -> u8 {
    let at = odds.clamp(-2_048, 2_047) + 2_048;
    let (low, high) = (i32::from(SIGMOID[(at >> 7) as usize]), i32::from(SIGMOID[(at >> 7) as usize + 1]));
    (low + (((high - low) * (at & 127)) >> 7)) as u8
}

/// The level of all bands together.
fn total(levels: &[i32; BANDS]) -> Level {
    // 256 log2 of the samples of each band over 16.
    const SAMPLES: [i32; BANDS] = [-430, -430, -174, 82, 82, 82];
    let power = levels.iter().zip(SAMPLES).fold(0u64, |sum, (&level, samples)| {
        // In 2^-16 of a step squared. 2^f is 1 + f (0.6565 + 0.3435 f) within 0.01 dB.
        let log2 = (level - samples + (16 << 8)).max(0);
        let f = (log2 & 255) as u64;
        let mantissa = 65_536 + ((f * (43_024 + 88 * f)) >> 8);
        sum + ((mantissa << (log2 >> 8)) >> 16)
    });
    Level::of_power(power)
}
#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn noise(peak: i32, seed: &mut u32) -> i16 {
        *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((((*seed >> 16) as i16 as i32) * peak) >> 15) as i16
    }

    /// What stands for a voice: pulses at 125 Hz that ring at 700 Hz, in syllables of 200 ms out of 250.
    fn vowels(n: usize, rate: usize, peak: f64) -> f64 {
        let (since, ms) = (n % (rate / 125), n * 1_000 / rate);
        let t = since as f64 / rate as f64;
        if ms % 250 < 200 { peak * (-300.0 * t).exp() * (core::f64::consts::TAU * 700.0 * t).cos() } else { 0.0 }
    }

    fn detector(sample_rate_hz: u32, aggressiveness: u8) -> VoiceDetector {
        VoiceDetector::new(VoiceConfig { sample_rate_hz, aggressiveness, hangover_ms: 0 }).unwrap()
    }

    /// Of 3 s of noise, 2 s of a voice in it and 2 s of noise: the blocks of speech in each.
    fn heard(rate: usize, aggressiveness: u8, part: usize) -> [usize; 3] {
        let (mut detector, mut seed, mut counts) = (detector(rate as u32, aggressiveness), 1, [0; 3]);
        let pcm: Vec<i16> = (0..7 * rate)
            .map(|n| {
                let voice = if (3 * rate..5 * rate).contains(&n) { vowels(n, rate, 8_000.0) } else { 0.0 };
                voice as i16 + noise(300, &mut seed)
            })
            .collect();
        for (n, block) in pcm.chunks(rate / 100).enumerate() {
            let speech = block.chunks(part).fold(false, |speech, part| detector.hear(part).speech | speech);
            counts[[0, 0, 0, 1, 1, 2, 2][n / 100]] += usize::from(speech);
        }
        counts
    }

    #[test]
    fn the_first_block_of_a_word_is_to_be_sent() {
        for rate in [8_000, 16_000, 48_000] {
            for click in [false, true] {
                let (mut detector, mut seed) = (detector(rate as u32, 2), 1);
                let mut told = std::string::String::new();
                for block in 0..400 {
                    let pcm: Vec<i16> = (block * rate / 100..(block + 1) * rate / 100)
                        .map(|n| {
                            let sound = match (block, click) {
                                (250, true) => noise(6_000, &mut seed),
                                (250..280, false) => vowels(n, rate, 8_000.0) as i16,
                                _ => 0,
                            };
                            sound + noise(30, &mut seed)
                        })
                        .collect();
                    detector.hear(&pcm);
                    told.push(if detector.activity().speech { 's' } else { '-' });
                }
                assert_eq!(&told[200..250], "-".repeat(50), "{rate} {told}");
                let speech = told[250..].find('-').unwrap();
                // What then is no voice ends; release included.
                assert!(if click { (5..30).contains(&speech) } else { speech >= 20 }, "{rate}, click {click}: {told}");
            }
        }
    }

    #[test]
    fn a_voice_is_speech_and_noise_is_not_at_any_rate() {
        for rate in [8_000, 16_000, 24_000, 32_000, 40_000, 48_000] {
            let [before, during, after] = heard(rate, 2, usize::MAX);
            assert!(before <= 6 && during >= 170 && after <= 45, "{rate}: {before} {during} {after}");
        }
    }

    #[test]
    fn the_length_of_parts_changes_nothing() {
        for rate in [8_000, 16_000, 48_000] {
            let whole = heard(rate, 2, usize::MAX);
            // A call says what the last whole block was: within a part of the next one that is the block before.
            let mut last = None;
            let (mut a, mut b, mut seed) = (detector(rate as u32, 2), detector(rate as u32, 2), 3);
            for n in 0..200 {
                let block: Vec<i16> = (0..rate / 100)
                    .map(|k| vowels(n * rate / 100 + k, rate, 3_000.0) as i16 + noise(100, &mut seed))
                    .collect();
                let one = a.hear(&block);
                block.chunks(7).for_each(|part| last = Some(b.hear(part)));
                assert_eq!((Some(one), a.level(), a.noise_level()), (last, b.level(), b.noise_level()), "{rate} {n}");
            }
            assert!(whole[1] > 170);
        }
    }

    #[test]
    fn the_more_aggressive_the_less_is_speech_and_a_hangover_lasts() {
        let counts: Vec<usize> = (0..4).map(|aggressiveness| heard(8_000, aggressiveness, 80).iter().sum()).collect();
        assert!(counts.windows(2).all(|pair| pair[0] >= pair[1]) && counts[0] > counts[3], "{counts:?}");
        let mut with = VoiceDetector::new(VoiceConfig { hangover_ms: 200, ..VoiceConfig::default() }).unwrap();
        let (mut without, mut seed, mut difference) = (detector(8_000, 2), 1, 0);
        for n in 0..400 {
            let block: [i16; 80] = core::array::from_fn(|k| {
                let voice = if (100..200).contains(&n) { vowels(n * 80 + k, 8_000, 8_000.0) } else { 0.0 };
                voice as i16 + noise(300, &mut seed)
            });
            difference += i32::from(with.is_speech(&block)) - i32::from(without.is_speech(&block));
        }
        assert!((15..=80).contains(&difference), "{difference}");
    }

    #[test]
    fn levels_are_right_below_four_kilohertz() {
        let (mut detector, mut seed) = (detector(8_000, 2), 1);
        for peak in [30, 1_000, 32_767] {
            let mut sum = 0;
            for n in 0..1_000 {
                let block: [i16; 80] = core::array::from_fn(|_| noise(peak, &mut seed));
                detector.hear(&block);
                sum += if n >= 900 { i32::from(detector.level().hundredths_dbov()) } else { 0 };
            }
            let exact = 2_000.0 * (f64::from(peak) / 3f64.sqrt() / 32_768.0).log10();
            assert!((f64::from(sum / 100) - exact).abs() < 60.0, "{peak}: {} {exact}", sum / 100);
            let tracked = f64::from(detector.noise_level().hundredths_dbov());
            assert!((tracked - exact).abs() < 150.0, "{peak}: {tracked} {exact}");
        }
    }

    #[test]
    fn silence_is_none_and_full_scale_overflows_nowhere() {
        for aggressiveness in 0..4 {
            let mut detector = detector(8_000, aggressiveness);
            for n in 0..500 {
                assert!(!detector.hear(&[0i16; 80]).speech, "{n}");
                assert!(!detector.hear(&[1i16, -1, 0, 2].repeat(20)).speech, "{n}");
            }
            for n in 0..2_000usize {
                let block: [i16; 80] = core::array::from_fn(|k| match n / 50 % 5 {
                    0 => i16::MIN,
                    1 => [i16::MIN, i16::MAX][k % 2],
                    2 => [i16::MIN, i16::MAX][k / 8 % 2],
                    3 => [i16::MIN, i16::MAX][k / 2 % 2],
                    _ => 0,
                });
                detector.hear(&block);
            }
            detector.reset();
            assert!(!detector.hear(&[f32::NAN; 80]).speech && !detector.hear(&[f32::INFINITY; 80]).speech);
        }
    }

    #[test]
    fn configs_are_checked() {
        for rate in [0, 7_999, 8_001, 11_025, 44_100, 56_000, u32::MAX] {
            let config = VoiceConfig { sample_rate_hz: rate, ..VoiceConfig::default() };
            assert_eq!(VoiceDetector::new(config).err(), Some(VoiceError::Rate(rate)));
        }
        let config = VoiceConfig { aggressiveness: 4, ..VoiceConfig::default() };
        assert_eq!(VoiceDetector::new(config).err(), Some(VoiceError::Aggressiveness(4)));
        for (i, &value) in SIGMOID.iter().enumerate() {
            let exact = 255.0 / (1.0 + (8.0 - i as f64 / 2.0).exp());
            assert!((f64::from(value) - exact).abs() <= 1.0, "{i}: {exact}");
        }
        assert!((-3_000..3_000).all(|odds| sigmoid(odds) <= sigmoid(odds + 1)));
    }
}

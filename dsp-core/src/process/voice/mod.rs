//! Voice activity detector in integers: how probable it is that there is speech in each 10 ms.
//!
//! Two things tell speech from noise. It is unlike the noise that was before it: the likelihood of six bands against
//! their noise, which is tracked by the probability that there is speech ([T. Gerkmann and R. C. Hendriks 2012]). And it
//! is voiced: the autocorrelation of the lowest kilohertz has a peak at the lags of a voice. Their product says more than
//! either, since steady noise may be periodic and changing noise is often not. Mean roots of likelihoods, their squares and the
//! product with the periodicity are smoothed (attack 25 ms, release 125 ms) and weighted into the log odds of speech; a threshold
//! for each [aggressiveness](VoiceConfig::aggressiveness) decides. The weights are a logistic regression over made scenes
//! (`tests/quality/voice.py --set tuning`), and were not changed for the ones that results are told of.
//!
//! Everything is heard at 8 kHz: higher rates are brought there by means of neighbours, whose aliases do no harm here,
//! as they let fricatives be heard.
//!
//! Delay: none; a block counts when its last sample has come. All integer, multiplications of 32 bits only, and a
//! single division a block: written for a Cortex-M0.
//!
//! [T. Gerkmann and R. C. Hendriks 2012]: https://doi.org/10.1109/TASL.2011.2180896

use core::fmt;

use super::activity::SpeechDetector;
use super::level::Level;
use crate::sample::Sample;

mod bands;
mod noise;
mod pitch;

use bands::{BANDS, BLOCK};
use noise::Noise;
use pitch::Pitch;

/// Weights of the log odds, for features in the units of [`Features`]; the sum is in 2^-16.
const WEIGHTS: Features = Features { roots: 880, voiced: 759, squares: -228 };
/// The log odds of none of it, in 2^-16.
const OFFSET: i32 = -204_067;
/// The least log odds of speech for each aggressiveness, in 2^-8.
const THRESHOLDS: [i32; 4] = [-510, -470, -370, -240];
/// 255 / (1 + exp(-x)) for x from -8 in halves.
const SIGMOID: [u8; 33] = [
    0, 0, 0, 0, 1, 1, 2, 3, 5, 7, 12, 19, 30, 47, 69, 96, 128, 159, 186, 208, 225, 236, 243, 248, 250, 252, 253, 254,
    254, 255, 255, 255, 255,
];

/// Settings of a [`VoiceDetector`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct VoiceConfig {
    /// Rate of the samples: a multiple of 8,000 Hz up to 48,000.
    pub sample_rate_hz: u32,
    /// How much must speak for speech: 0 misses least, 3 takes least noise for speech.
    pub aggressiveness: u8,
    /// How long after speech it is still said that there is, beyond the detector's own release; in steps of 10 ms.
    pub hangover_ms: u16,
}

impl Default for VoiceConfig {
    /// 8 kHz, aggressiveness 2, no further hangover.
    fn default() -> Self {
        Self { sample_rate_hz: 8_000, aggressiveness: 2, hangover_ms: 0 }
    }
}

/// What is wrong with a [`VoiceConfig`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum VoiceError {
    /// This rate, in Hz, is no multiple of 8,000 up to 48,000.
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

/// What was found in a block of 10 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Voice {
    /// Whether there is speech.
    pub speech: bool,
    /// How probable speech is, of 255.
    pub probability: u8,
    /// How periodic the sound is, of 255: vowels are above 120.
    pub periodicity: u8,
}

/// What speech is told by.
#[derive(Clone, Copy, Debug, Default)]
struct Features {
    /// Sum of the roots of the bands' likelihoods, in 2^-6.
    roots: i32,
    /// The same times the periodicity.
    voiced: i32,
    /// The same squared, in 2^-4.
    squares: i32,
}

/// Detects voices in one channel; see the module's page.
#[derive(Clone, Copy, Debug)]
pub struct VoiceDetector {
    /// Samples that make one at 8 kHz, and its reciprocal in 2^-16.
    factor: u32,
    reciprocal: i32,
    threshold: i32,
    hangover: u16,
    /// The sample at 8 kHz that is being summed.
    sum: i32,
    summed: u32,
    block: [i16; BLOCK],
    filled: usize,
    noise: Noise,
    pitch: Pitch,
    /// Of the last block, in 2^-8 of an octave.
    levels: [i32; BANDS],
    /// Smoothed, in 2^-8 of their units.
    smooth: Features,
    held: u16,
    voice: Voice,
}

impl VoiceDetector {
    /// A detector that has heard nothing.
    ///
    /// # Errors
    /// [`VoiceError`] for a rate or an aggressiveness that there is not.
    pub fn new(config: VoiceConfig) -> Result<Self, VoiceError> {
        let VoiceConfig { sample_rate_hz, aggressiveness, hangover_ms } = config;
        let factor = sample_rate_hz / 8_000;
        if !sample_rate_hz.is_multiple_of(8_000) || !(1..=6).contains(&factor) {
            return Err(VoiceError::Rate(sample_rate_hz));
        }
        let Some(&threshold) = THRESHOLDS.get(usize::from(aggressiveness)) else {
            return Err(VoiceError::Aggressiveness(aggressiveness));
        };
        Ok(Self {
            factor,
            // Rounded down, so that no mean is beyond its samples.
            reciprocal: (65_536 / factor) as i32,
            threshold,
            hangover: hangover_ms / 10,
            sum: 0,
            summed: 0,
            block: [0; BLOCK],
            filled: 0,
            noise: Noise::new(),
            pitch: Pitch::new(),
            levels: [0; BANDS],
            smooth: Features::default(),
            held: 0,
            voice: Voice { speech: false, probability: 0, periodicity: 0 },
        })
    }

    /// Hears the next samples, any number; what was found in the last whole block. `speech` is true if it was for any
    /// block that ended within these samples.
    pub fn hear<S: Sample>(&mut self, pcm: &[S]) -> Voice {
        let mut speech = None;
        for &sample in pcm {
            self.sum += i32::from(sample.to_i16());
            self.summed += 1;
            if self.summed == self.factor {
                self.block[self.filled] = ((self.sum * self.reciprocal) >> 16) as i16;
                (self.sum, self.summed) = (0, 0);
                self.filled += 1;
                if self.filled == BLOCK {
                    self.filled = 0;
                    self.judge();
                    speech = Some(speech.unwrap_or(false) | self.voice.speech);
                }
            }
        }
        Voice { speech: speech.unwrap_or(self.voice.speech), ..self.voice }
    }

    /// What was found in the last whole block.
    pub fn voice(&self) -> Voice {
        self.voice
    }

    /// Level of the last whole block, below 4 kHz; within 0.5 dB.
    pub fn level(&self) -> Level {
        total(&self.levels)
    }

    /// Level of the noise, below 4 kHz; within 0.5 dB of what is tracked.
    pub fn noise_level(&self) -> Level {
        total(&self.noise.levels())
    }

    /// Forgets everything heard so far.
    pub fn reset(&mut self) {
        let Self { factor, reciprocal, threshold, hangover, .. } = *self;
        *self = Self {
            factor,
            reciprocal,
            threshold,
            hangover,
            sum: 0,
            summed: 0,
            block: [0; BLOCK],
            filled: 0,
            noise: Noise::new(),
            pitch: Pitch::new(),
            levels: [0; BANDS],
            smooth: Features::default(),
            held: 0,
            voice: Voice { speech: false, probability: 0, periodicity: 0 },
        };
    }

    /// Ends a block.
    fn judge(&mut self) {
        let (levels, slow) = bands::split(&self.block);
        self.levels = levels;
        let roots = self.noise.hear(&levels);
        let periodicity = self.pitch.hear(&slow);
        follow(&mut self.smooth.roots, roots);
        follow(&mut self.smooth.voiced, (roots * periodicity) >> 8);
        follow(&mut self.smooth.squares, (roots * roots) >> 8);
        let Features { roots, voiced, squares } = self.smooth;
        // Smoothed features are below 2^21, weights below 2^9: the sum is below 2^31.
        let odds = (roots >> 8) * WEIGHTS.roots + (voiced >> 8) * WEIGHTS.voiced + (squares >> 8) * WEIGHTS.squares;
        let odds = (odds + OFFSET) >> 8;
        let speech = odds > self.threshold;
        self.held = if speech { self.hangover } else { self.held.saturating_sub(1) };
        self.voice = Voice {
            speech: speech || self.held > 0,
            probability: sigmoid(odds),
            periodicity: periodicity.min(255) as u8,
        };
    }
}

impl SpeechDetector for VoiceDetector {
    fn is_speech(&mut self, pcm: &[i16]) -> bool {
        self.hear(pcm).speech
    }
}

/// Smooths: 0.4 of the way up, 0.08 of it down.
fn follow(smooth: &mut i32, new: i32) {
    let difference = (new << 8) - *smooth;
    // Differences are below 2^21.
    *smooth += (difference * if difference > 0 { 102 } else { 20 }) >> 8;
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
impl VoiceDetector {
    /// TEMPORARY
    pub fn features(&self) -> [i32; 3] {
        [self.smooth.roots, self.smooth.voiced, self.smooth.squares]
    }
}

//! Noise suppression at 32 and 48 kHz: the band below 7 kHz goes through a [`WidebandNoiseSuppressor`], and the band
//! above has one gain.
//!
//! The noise of the upper band is tracked, and its gain computed, like those of a bin, from the energy of 20 ms.
//! Whether the frame is speech is decided by the lower band, where voices are.
//!
//! The delay is the 10 ms of the suppressor, and 2 ms for the split.

use super::floor::{likely, rate};
use super::gain::{LEAST, log_amplitude, over as more};
use super::{NoiseConfig, NoiseLevel, NoiseStats, WidebandNoiseSuppressor};
use crate::arithmetic::{energy, exp2, log2, max, min, only_sound};
use crate::bands::{LOW, MOST, TwoBands};
use crate::block::Block;
use crate::front::{CaptureBlock, Near};

/// Blocks at the beginning that are taken for noise.
const BEGINNING: u32 = 8;

/// The upper band.
#[derive(Clone, Copy, Debug)]
struct Upper {
    noise: f32,
    /// Its power behind the gain.
    last: f32,
    blocks: u32,
    /// Amplitude gain.
    gain: f32,
}

impl Upper {
    const NEW: Self = Self { noise: 0.0, last: 0.0, blocks: 0, gain: 1.0 };

    /// The gain of a block of this power, in a frame that is so surely speech.
    fn gain(&mut self, power: f32, speech: f32, level: NoiseLevel) -> f32 {
        let power = power + 1e-10;
        if self.blocks < BEGINNING {
            let before = self.blocks as f32;
            self.noise = (self.noise * before + power) / (before + 1.0);
            self.blocks += 1;
        }
        let step = rate(speech) * (1.0 - likely(power / self.noise));
        self.noise += step * (power - self.noise);
        if speech < 0.1 {
            self.noise += (0.3 - 3.0 * speech) * max(power - self.noise, 0.0);
        }
        let noise = more(speech) * self.noise;
        let over = min(power / noise, 1e4);
        let trust = self.last / (self.last + noise);
        let new = 0.04 + 0.8 * trust * trust;
        let prior = ((1.0 - new) * self.last / noise + new * max(over - 1.0, 0.0)).clamp(LEAST, 1e6);
        let wiener = prior / (1.0 + prior);
        let gain = min(wiener * log_amplitude(over * wiener) / over, 1.0);
        self.last = gain * power;
        let least = level.octaves();
        let octaves = 0.5 * log2(max(gain, exp2(2.0 * least)));
        self.gain = exp2(speech * octaves + (1.0 - speech) * least);
        self.gain
    }
}

/// A noise suppressor for 16 kHz times `RATIO`, which is 2 or 3: 32 or 48 kHz.
///
/// The band below 7 kHz goes through a [`WidebandNoiseSuppressor`], and the band above it has one gain. It delays by
/// 12 ms.
#[derive(Clone, Debug)]
pub struct BandNoiseSuppressor<const RATIO: usize> {
    low: WidebandNoiseSuppressor,
    bands: TwoBands<RATIO>,
    /// The upper band waits for the lower one's suppressor; with its power.
    waiting: [f32; MOST],
    power: f32,
    upper: Upper,
}

impl<const RATIO: usize> BandNoiseSuppressor<RATIO> {
    const BLOCK: usize = TwoBands::<RATIO>::BLOCK;

    /// A suppressor that has not heard anything.
    pub fn new(config: NoiseConfig) -> Self {
        Self {
            low: WidebandNoiseSuppressor::new(config),
            bands: TwoBands::new(),
            waiting: [0.0; MOST],
            power: 0.0,
            upper: Upper::NEW,
        }
    }

    /// How much quieter noise becomes.
    pub const fn level(&self) -> NoiseLevel {
        self.low.level()
    }

    /// Sets how much quieter noise becomes, from the next frame on.
    pub fn set_level(&mut self, level: NoiseLevel) {
        self.low.set_level(level);
    }

    /// What it knows of speech and noise. Level and gain are those of the band below 7 kHz.
    pub const fn stats(&self) -> NoiseStats {
        self.low.stats()
    }

    fn suppress(&mut self, frame: &mut [f32]) {
        only_sound(frame);
        let (mut low, mut high): ([f32; LOW], _) = self.bands.split(frame);
        Block::process(&mut self.low, &mut low);
        let power = energy(&high[..Self::BLOCK]) / Self::BLOCK as f32;
        let both = 0.5 * (core::mem::replace(&mut self.power, power) + power);
        let last = self.upper.gain;
        let gain = self.upper.gain(both, self.low.stats().speech_probability, self.low.level());
        core::mem::swap(&mut high, &mut self.waiting);
        self.bands.join(&low, &high, last, gain, frame);
    }

    fn forget(&mut self) {
        Block::reset(&mut self.low);
        self.bands.reset();
        (self.waiting, self.power, self.upper) = ([0.0; MOST], 0.0, Upper::NEW);
    }

    const DELAY: usize = LOW * RATIO + TwoBands::<RATIO>::DELAY;
}

impl<const RATIO: usize> Block<f32> for BandNoiseSuppressor<RATIO> {
    /// Processes a frame of 10 ms; a frame of another length passes unchanged.
    fn process(&mut self, frame: &mut [f32]) {
        if frame.len() == Self::BLOCK {
            self.suppress(frame);
        }
    }

    fn reset(&mut self) {
        self.forget();
    }

    fn delay_samples(&self) -> usize {
        Self::DELAY
    }
}

impl<const RATIO: usize> CaptureBlock<f32> for BandNoiseSuppressor<RATIO> {
    /// Processes a frame of 10 ms; a frame of another length passes unchanged.
    fn process(&mut self, frame: &mut [f32], _: &Near<'_>) {
        Block::process(self, frame);
    }

    fn reset(&mut self) {
        self.forget();
    }

    fn delay_samples(&self) -> usize {
        Self::DELAY
    }
}

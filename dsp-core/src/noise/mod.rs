//! Noise suppression: steady noise around a voice becomes quieter by a chosen level, and so do clicks.
//!
//! A suppressor is a [`CaptureBlock`] and a [`Block`] on `f32`, over frames of 10 ms. Use it between the echo
//! canceller and the gain control of a [`CaptureChain`](crate::front::CaptureChain), or alone. It is for one voice in
//! noise: it does not separate voices or remove music. [`NarrowbandNoiseSuppressor`] is for 8 kHz,
//! [`WidebandNoiseSuppressor`] for 16 kHz, and [`BandNoiseSuppressor`] for 32 and 48 kHz.
//!
//! ```text
//! frame -> window, FFT -> noise floor -> a-priori SNR, gain -> frame presence, clicks -> level -> IFFT, window -> frame
//!                              ^                                       |
//!                              '------------- not speech <-------------'
//! ```
//!
//! - The power of the noise in each frequency bin is tracked.
//! - Each bin gets the gain that leaves the speech most like itself.
//! - Harmonics and bands show whether the frame is speech at all, and whether there are clicks.
//! - Between speech and pause the gain approaches the chosen level, so that noise in pauses stays an even copy of
//!   itself without musical tones.
//!
//! Nothing is trained: everything is statistics of the last second.
//!
//! # Cost and limits
//!
//! A frame of 10 ms at 16 kHz takes 209,746 instructions on a Cortex-M4F on average. The suppressor takes 15,792
//! bytes, and 33 KB of stack while it works (`BENCHMARKS.md`, which also has the measured quality). It delays by 10
//! ms; at 32 and 48 kHz by another 2 ms. Levels of noise are in dBov.
//!
//! # Sources
//!
//! Gerkmann and Hendriks, "Unbiased MMSE-based noise power estimation with low complexity and low tracking delay",
//! 2012; Breithaupt, Gerkmann and Martin, "A novel a priori SNR estimation approach based on selective cepstro-temporal
//! smoothing", 2008; Ephraim and Malah, 1984 and 1985; Mauler and Martin, "A low delay, variable resolution, perfect
//! reconstruction spectral analysis-synthesis system", 2007; Sohn, Kim and Sung, 1999; Valin, "On adjusting the learning rate in
//! frequency domain echo cancellation with double-talk" and Speex's preprocessor, 2007.
//!
//! # Example
//!
//! Two seconds of steady noise, and how much quieter they become:
//!
//! ```
//! use dsp_core::block::Block;
//! use dsp_core::noise::{NoiseConfig, NoiseLevel, WidebandNoiseSuppressor};
//!
//! # let mut seed = 1u32;
//! # let mut noise = move || {
//! #     seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
//! #     (seed as i32 >> 8) as f32 / 8_388_608.0
//! # };
//! // `noise` is white noise of full scale.
//! let mut suppressor = WidebandNoiseSuppressor::new(NoiseConfig { level: NoiseLevel::Medium });
//! let (mut before, mut after) = (0.0, 0.0);
//! for block in 0..200 {
//!     let mut frame: [f32; 160] = core::array::from_fn(|_| 0.01 * noise());
//!     let power = |frame: &[f32]| frame.iter().map(|sample| sample * sample).sum::<f32>();
//!     let loud = power(&frame);
//!     suppressor.process(&mut frame);
//!     if block >= 100 {
//!         before += loud;
//!         after += power(&frame);
//!     }
//! }
//! assert!(10.0 * (after / before).log10() < -6.0);
//! assert!(suppressor.stats().speech_probability < 0.5);
//! ```

mod bands;
mod cosines;
mod floor;
mod gain;
mod level;
mod presence;
#[cfg(test)]
mod tests;
mod wide;

use core::fmt;

use crate::arithmetic::{db, energy, exp2, log2, max, min, only_sound, total};
use crate::block::Block;
use crate::front::{CaptureBlock, Near};
use crate::spectrum::Spectrum;

pub use wide::BandNoiseSuppressor;

use bands::{Bands, Windows};
use floor::NoiseFloor;
use gain::SpeechGain;
use presence::{Presence, SpeechPresence};

/// How much quieter noise becomes in pauses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum NoiseLevel {
    /// By 10 dB; speech keeps its sound.
    Mild,
    /// By 18 dB.
    #[default]
    Medium,
    /// By 28 dB.
    Strong,
}

impl NoiseLevel {
    /// The least gain, in octaves of amplitude.
    const fn octaves(self) -> f32 {
        // Decibels of amplitude over 20 log10(2).
        match self {
            Self::Mild => -1.660_964,
            Self::Medium => -2.989_735_3,
            Self::Strong => -4.650_699,
        }
    }
}

/// The share of its attenuation, in octaves, that a bin with nothing but speech is spared; it falls with the bin's gain. What
/// speech loses, it loses in its loudest bins, where no noise is heard beside it: those give back, up to 0.3 dB, what
/// others have lost.
const SPARED: f32 = 1.6;

/// Settings of a noise suppressor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NoiseConfig {
    /// How much quieter noise becomes.
    pub level: NoiseLevel,
}

/// What a noise suppressor knows, as of the last frame.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct NoiseStats {
    /// Probability that somebody speaks, 0 to 1. It falls by at most a tenth in each frame.
    pub speech_probability: f32,
    /// Evidence for speech in the last frame alone, as natural log odds, -20 to 20. Voices are above 1.
    pub speech_log_odds: f32,
    /// Level of the noise below 8 kHz, in dBov, -127 at least.
    pub noise_level_dbov: f32,
    /// Change of the frame's power, in dB; 0 or less.
    pub gain_db: f32,
}

impl NoiseStats {
    /// Before anything was heard.
    const NEW: Self = Self { speech_probability: 0.0, speech_log_odds: -20.0, noise_level_dbov: -127.0, gain_db: 0.0 };
}

/// A noise suppressor for 8 kHz.
pub type NarrowbandNoiseSuppressor = NoiseSuppressor<80, 128>;
/// A noise suppressor for 16 kHz.
pub type WidebandNoiseSuppressor = NoiseSuppressor<160, 256>;

/// A noise suppressor. `B` is the number of samples in 10 ms and `H` the number of bins of 31.25 Hz: 80 and 128, or
/// 160 and 256; other values do not compile.
///
/// The level can be changed while it runs:
///
/// ```
/// use dsp_core::block::Block;
/// use dsp_core::noise::{NoiseConfig, NoiseLevel, WidebandNoiseSuppressor};
///
/// let mut suppressor = WidebandNoiseSuppressor::new(NoiseConfig { level: NoiseLevel::Strong });
/// let mut frame = [0.0; 160];
/// suppressor.process(&mut frame);
/// suppressor.set_level(NoiseLevel::Mild);
/// assert!(suppressor.stats().noise_level_dbov < -90.0);
/// ```
#[derive(Clone)]
pub struct NoiseSuppressor<const B: usize, const H: usize> {
    level: NoiseLevel,
    /// The last samples, as many as the window has.
    heard: [[f32; H]; 2],
    overlap: [f32; B],
    floor: NoiseFloor<H>,
    gain: SpeechGain<H>,
    presence: Presence<B, H>,
    /// The power behind the gains, slow to rise: what a click may leave.
    slow: [f32; H],
    stats: NoiseStats,
}

impl<const B: usize, const H: usize> NoiseSuppressor<B, H> {
    /// A suppressor that has not heard anything.
    pub const fn new(config: NoiseConfig) -> Self {
        const { assert!((B == 80 && H == 128) || (B == 160 && H == 256), "10 ms and 31.25 Hz, at 8 or 16 kHz") };
        Self {
            level: config.level,
            heard: [[0.0; H]; 2],
            overlap: [0.0; B],
            floor: NoiseFloor::NEW,
            gain: SpeechGain::NEW,
            presence: Presence::NEW,
            slow: [0.0; H],
            stats: NoiseStats::NEW,
        }
    }

    /// How much quieter noise becomes.
    pub const fn level(&self) -> NoiseLevel {
        self.level
    }

    /// Sets how much quieter noise becomes, from the next frame on.
    pub fn set_level(&mut self, level: NoiseLevel) {
        self.level = level;
    }

    /// What it knows of speech and noise.
    pub const fn stats(&self) -> NoiseStats {
        self.stats
    }

    /// Changes one frame.
    fn suppress(&mut self, frame: &mut [f32; B]) {
        let heard = self.heard.as_flattened_mut();
        heard.copy_within(B.., 0);
        heard[2 * H - B..].copy_from_slice(frame);
        only_sound(&mut heard[2 * H - B..]);
        let window = &Windows::<B, H>::ANALYSIS;
        let mut seen = self.heard;
        for (seen, window) in seen.as_flattened_mut().iter_mut().zip(window.as_flattened()) {
            *seen *= window;
        }
        let mut spectrum = Spectrum::forward(&seen[0], &seen[1]);
        let mut power = spectrum.power();
        power.iter_mut().for_each(|power| *power += 1e-10);
        let gains = self.gains(&power);
        for ((re, im), gain) in spectrum.re.iter_mut().zip(&mut spectrum.im).zip(gains) {
            *re *= gain;
            *im *= gain;
        }
        self.stats.gain_db = (db(total(&spectrum.power()) + 1e-9) - db(total(&power) + 1e-9)).min(0.0);
        let done = spectrum.inverse();
        let (done, [rise, fall]) = (&done.as_flattened()[2 * H - 2 * B..], &Windows::<B, H>::SYNTHESIS);
        for n in 0..B {
            frame[n] = self.overlap[n] + done[n] * rise[n];
            self.overlap[n] = done[B + n] * fall[n];
        }
        if !energy(frame).is_finite() {
            // It can't be: all that is divided by has a floor, and what was heard a ceiling.
            self.forget();
            *frame = [0.0; B];
        }
    }

    /// The gain of each bin, of amplitude.
    fn gains(&mut self, power: &[f32; H]) -> [f32; H] {
        let mut even = *power;
        for k in 1..H - 1 {
            even[k] = 0.25 * power[k - 1] + 0.5 * power[k] + 0.25 * power[k + 1];
        }
        let heard = Bands::<H>::sums(power);
        self.floor.hear(power, &even, &heard, self.stats.speech_probability, self.presence.voiceless());
        let enhanced = self.gain.enhance(power, self.floor.power(), self.presence.share());
        let noise = Bands::<H>::sums(self.floor.power());
        let frame = self.presence.look(power, &heard, &noise, &enhanced.over);
        self.floor.follow(power, frame.speech);
        self.stats.speech_probability = frame.speech;
        self.stats.speech_log_odds = frame.log_odds;
        let level = total(self.floor.power()) / (H as f32 * Windows::<B, H>::ENERGY);
        self.stats.noise_level_dbov = db(level).max(-127.0);
        self.mix(power, &even, &enhanced.gain, frame)
    }

    /// Between the gain of speech and that of pauses, as surely as the frame is speech.
    fn mix(&mut self, power: &[f32; H], even: &[f32; H], speech: &[f32; H], frame: SpeechPresence) -> [f32; H] {
        let noise = self.floor.power();
        let least = self.level.octaves();
        let least_power = exp2(2.0 * least);
        let mut gains = [0.0; H];
        for (gain, speech) in gains.iter_mut().zip(speech) {
            *gain = max(*speech, least_power);
        }
        if frame.click {
            for (((gain, slow), noise), power) in gains.iter_mut().zip(&self.slow).zip(noise).zip(power) {
                *gain = min(*gain, 2.0 * (slow + least_power * noise) / power);
            }
        }
        for (((slow, gain), power), noise) in self.slow.iter_mut().zip(&gains).zip(power).zip(noise) {
            let now = min(gain * power, 4.0 * *slow + noise);
            *slow = 0.6 * *slow + 0.4 * now;
        }
        let mut pauses = [least; H];
        if frame.clicks {
            for k in 0..H {
                // Down to 26 dB below the level, where a pause is louder than its noise.
                pauses[k] += (0.5 * log2(2.0 * noise[k] / even[k])).clamp(-4.321_928, 0.0);
            }
        }
        for (gain, pause) in gains.iter_mut().zip(&pauses) {
            let octaves = 0.5 * log2(*gain) * (1.0 - SPARED * *gain);
            *gain = exp2(frame.share * octaves + (1.0 - frame.share) * pause);
        }
        gains
    }

    fn forget(&mut self) {
        *self = Self::new(NoiseConfig { level: self.level });
    }
}

impl<const B: usize, const H: usize> fmt::Debug for NoiseSuppressor<B, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { level, stats, .. } = self;
        f.debug_struct("NoiseSuppressor").field("level", level).field("stats", stats).finish_non_exhaustive()
    }
}

impl<const B: usize, const H: usize> Block<f32> for NoiseSuppressor<B, H> {
    /// Processes a frame of 10 ms; a frame of another length passes unchanged.
    fn process(&mut self, frame: &mut [f32]) {
        if let Ok(frame) = frame.try_into() {
            self.suppress(frame);
        }
    }

    fn reset(&mut self) {
        self.forget();
    }

    fn delay_samples(&self) -> usize {
        B
    }
}

impl<const B: usize, const H: usize> CaptureBlock<f32> for NoiseSuppressor<B, H> {
    /// Processes a frame of 10 ms; a frame of another length passes unchanged.
    fn process(&mut self, frame: &mut [f32], _: &Near<'_>) {
        Block::process(self, frame);
    }

    fn reset(&mut self) {
        self.forget();
    }

    fn delay_samples(&self) -> usize {
        B
    }
}

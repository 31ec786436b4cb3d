//! Level meter: RMS and peak with a time constant, and a count of clipped samples.
//!
//! Use it for displays and for the levels of a [conference](crate::conference). For the level of speech without its
//! pauses there is [`active_level`](super::active_level).
//!
//! Levels are in dBov, decibels relative to the overload point (RFC 6464, 3): 0 dBov is a square wave between the
//! extremes, ±32768 or ±1.0. A full-scale sine reads -3.01 dBov, and the largest mu-law square wave (±32124, which is
//! 0 dBov for PCMU in RFC 6464) reads -0.17 dBov. [`Level::SILENCE`] is -127 dBov, the lowest level of RFC 6464, and
//! also stands for digital silence.
//!
//! The mean square is exact within a frame (a 64-bit sum, or `f32`) and smoothed over frames by a weighted mean, n /
//! (n + tau), which is a first-order lag if frames are much shorter than the time constant. Readings are within 0.1 dB
//! of the exact mean square. Mean square and peak are kept in 2^-46 of full scale squared, so that `f32` samples far
//! below a 16-bit step have a level too.
//!
//! There is no delay, as the signal is only read. It takes one multiplication and one addition for each sample, and
//! two 64-bit divisions for each frame; for `i16` no floating point is used.
//!
//! A square wave of 8,000, and one sample that is clipped:
//!
//! ```
//! use dsp_core::process::level::{Level, LevelConfig, LevelError, LevelMeter};
//!
//! let mut meter = LevelMeter::new(LevelConfig { sample_rate_hz: 8_000, time_constant_ms: 300 })?;
//! assert_eq!(meter.rms_dbov(), Level::SILENCE);
//! for _ in 0..200 {
//!     meter.hear(&[[8_000i16; 80], [-8_000; 80]].concat());
//! }
//! // 20 log10(8,000 / 32,768).
//! assert!((meter.rms_dbov().hundredths_dbov() + 1_225).abs() <= 10);
//! meter.hear(&[i16::MAX]);
//! assert_eq!(meter.clipped_samples(), 1);
//! assert!(meter.peak_dbov().hundredths_dbov() > -100);
//! # Ok::<(), LevelError>(())
//! ```

use core::fmt;

use super::decibel;
use crate::sample::Sample;

/// A level in hundredths of a decibel relative to the overload point (dBov).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Level {
    hundredths_dbov: i16,
}

impl Level {
    /// -127 dBov: the lowest level, and that of digital silence.
    pub const SILENCE: Self = Self { hundredths_dbov: -12_700 };

    /// The level in hundredths of a dBov, -12,700 to 0. `f32` samples beyond full scale read 0.
    pub const fn hundredths_dbov(self) -> i16 {
        self.hundredths_dbov
    }

    /// The level of hundredths of a dBov, at least the lowest.
    pub(super) fn of_hundredths(hundredths_dbov: i16) -> Self {
        Self { hundredths_dbov }.max(Self::SILENCE)
    }

    /// The level of the samples of a frame, all channels together.
    pub(crate) fn of_frame(frame: &[i16]) -> Self {
        let square = |&sample: &i16| u64::from(i32::from(sample).unsigned_abs().pow(2));
        Self::of_power((frame.iter().map(square).sum::<u64>() << 16) / frame.len().max(1) as u64)
    }

    /// The level of a mean square in 2^-46 of full scale squared.
    pub(crate) fn of_power(power: u64) -> Self {
        if power == 0 {
            return Self::SILENCE;
        }
        Self { hundredths_dbov: decibel::hundredths_of_power(power) }.max(Self::SILENCE)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.hundredths_dbov.unsigned_abs();
        let sign = if self.hundredths_dbov < 0 { "-" } else { "" };
        write!(f, "{sign}{}.{:02} dBov", magnitude / 100, magnitude % 100)
    }
}

/// Settings of a [`LevelMeter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LevelConfig {
    /// Sample rate, in Hz.
    pub sample_rate_hz: u32,
    /// Time constant of the RMS and of the fall of the peak (both in power), in ms, at most 65,535 samples. With 0,
    /// each frame is shown by itself.
    pub time_constant_ms: u16,
}

impl Default for LevelConfig {
    /// 8 kHz, a time constant of 125 ms.
    fn default() -> Self {
        Self { sample_rate_hz: 8_000, time_constant_ms: 125 }
    }
}

/// The time constant of a [`LevelConfig`] is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LevelError {
    /// Time constant that was asked for, in samples.
    pub samples: u64,
}

impl fmt::Display for LevelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "time constant of {} samples; at most 65535 are possible", self.samples)
    }
}

impl core::error::Error for LevelError {}

/// What a [`LevelMeter`] needs of a sample: `i16` or `f32`.
pub trait Metered: Sample {
    /// A sum of squares, wide enough for 2^15 samples.
    #[doc(hidden)]
    type Squares: Copy + Default;

    /// A magnitude.
    #[doc(hidden)]
    type Magnitude: Copy + Default + PartialOrd;

    /// Adds the square of the sample to `sum`.
    #[doc(hidden)]
    fn add_square(self, sum: Self::Squares) -> Self::Squares;

    /// Converts a sum of squares to 2^-46 of full scale squared, saturated; NaN becomes 0.
    #[doc(hidden)]
    fn energy(sum: Self::Squares) -> u64;

    /// Distance of the sample from zero.
    #[doc(hidden)]
    fn magnitude(self) -> Self::Magnitude;

    /// Square of a magnitude in 2^-46 of full scale squared, at most full scale.
    #[doc(hidden)]
    fn power(magnitude: Self::Magnitude) -> u64;

    /// Whether a magnitude is at the overload point. The negative extreme of `i16` is one step larger than the
    /// positive one: both are the overload point, and `f32` counts from the same magnitude on.
    #[doc(hidden)]
    fn overloads(magnitude: Self::Magnitude) -> bool;
}

impl Metered for i16 {
    type Squares = u64;
    type Magnitude = u16;

    #[inline]
    fn add_square(self, sum: u64) -> u64 {
        let sample = i32::from(self);
        sum + (sample * sample) as u64
    }

    #[inline]
    fn energy(sum: u64) -> u64 {
        if sum >> 48 == 0 { sum << 16 } else { u64::MAX }
    }

    #[inline]
    fn magnitude(self) -> u16 {
        self.unsigned_abs()
    }

    #[inline]
    fn power(magnitude: u16) -> u64 {
        (u64::from(magnitude) * u64::from(magnitude)) << 16
    }

    #[inline]
    fn overloads(magnitude: u16) -> bool {
        magnitude >= Self::MAX as u16
    }
}

impl Metered for f32 {
    type Squares = Self;
    type Magnitude = Self;

    #[inline]
    fn add_square(self, sum: Self) -> Self {
        sum + self * self
    }

    #[inline]
    fn energy(sum: Self) -> u64 {
        // 2^46.
        (sum * 70_368_744_177_664.0) as u64
    }

    #[inline]
    fn magnitude(self) -> Self {
        self.abs()
    }

    #[inline]
    fn power(magnitude: Self) -> u64 {
        // In 2^-31, so that the square of what was 16 bits is exact.
        let magnitude = (magnitude.min(1.0) * 2_147_483_648.0) as u64;
        (magnitude * magnitude) >> 16
    }

    #[inline]
    fn overloads(magnitude: Self) -> bool {
        // Half a step below the positive extreme of 16 bits, which it would be rounded to.
        magnitude >= 32_766.5 / 32_768.0
    }
}

/// Measures level, peak and clipping of one channel of `i16` or `f32`.
///
/// ```
/// use dsp_core::process::level::{LevelConfig, LevelError, LevelMeter};
///
/// // Whether somebody is loud enough: a display that is updated ten times a second.
/// let mut meter = LevelMeter::new(LevelConfig { sample_rate_hz: 8_000, time_constant_ms: 100 })?;
/// let voice: [i16; 80] = core::array::from_fn(|n| if n % 20 < 10 { 1_000 } else { -1_000 });
/// for _ in 0..100 {
///     meter.hear(&voice);
/// }
/// let (level, peak) = (meter.rms_dbov(), meter.peak_dbov());
/// // 1,000 of 32,768 is -30.3 dBov, and this wave's peak is its RMS.
/// assert!((-3_050..-3_010).contains(&level.hundredths_dbov()));
/// assert!((level.hundredths_dbov() - peak.hundredths_dbov()).abs() < 20);
/// assert_eq!(meter.clipped_samples(), 0);
/// # Ok::<(), LevelError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LevelMeter {
    /// Time constant in samples.
    tau: u16,
    /// Smoothed mean square and falling peak square, in 2^-46 of full scale squared; at most [`Self::FULL_SCALE`].
    mean_square: u64,
    peak_square: u64,
    clipped: u32,
}

impl LevelMeter {
    const FULL_SCALE: u64 = 1 << 46;

    /// A meter that has not heard anything.
    ///
    /// # Errors
    /// Returns a [`LevelError`] for a time constant of more than 65,535 samples.
    pub fn new(config: LevelConfig) -> Result<Self, LevelError> {
        let samples = u64::from(config.sample_rate_hz) * u64::from(config.time_constant_ms) / 1_000;
        let tau = u16::try_from(samples).map_err(|_| LevelError { samples })?;
        Ok(Self { tau, mean_square: 0, peak_square: 0, clipped: 0 })
    }

    /// Takes in one frame of any length.
    pub fn hear<S: Metered>(&mut self, frame: &[S]) {
        // So short that sums of 2^46 a sample stay below 2^63.
        for part in frame.chunks(1 << 15) {
            self.hear_part(part);
        }
    }

    fn hear_part<S: Metered>(&mut self, part: &[S]) {
        let mut sum = S::Squares::default();
        let mut peak = S::Magnitude::default();
        for &sample in part {
            sum = sample.add_square(sum);
            let magnitude = sample.magnitude();
            // A comparison that is false for NaN.
            peak = if magnitude > peak { magnitude } else { peak };
            self.clipped = self.clipped.saturating_add(u32::from(S::overloads(magnitude)));
        }
        let (heard, tau) = (part.len() as u64, u64::from(self.tau));
        let sum = S::energy(sum).min(heard * Self::FULL_SCALE);
        self.mean_square = (self.mean_square * tau + sum) / (tau + heard);
        self.peak_square = S::power(peak).max(self.peak_square * tau / (tau + heard));
    }

    /// Smoothed RMS level.
    pub fn rms_dbov(&self) -> Level {
        Level::of_power(self.mean_square)
    }

    /// Level of the highest magnitude, which rises at once and falls with the time constant.
    pub fn peak_dbov(&self) -> Level {
        Level::of_power(self.peak_square)
    }

    /// Number of samples at or beyond the overload point since the last reset.
    pub fn clipped_samples(&self) -> u32 {
        self.clipped
    }

    /// Forgets everything heard so far.
    pub fn reset(&mut self) {
        (self.mean_square, self.peak_square, self.clipped) = (0, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn meter(time_constant_ms: u16) -> LevelMeter {
        LevelMeter::new(LevelConfig { time_constant_ms, ..LevelConfig::default() }).unwrap()
    }

    fn noise(count: usize) -> Vec<i16> {
        let mut state = 1u32;
        (0..count)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 16) as i16
            })
            .collect()
    }

    #[test]
    fn reference_levels() {
        let mut level = meter(0);
        for (sample, expected) in [(i16::MIN, 0), (32_124, -17), (1, -9_031), (0, -12_700)] {
            level.hear(&[sample; 160]);
            assert!((level.rms_dbov().hundredths_dbov() - expected).abs() <= 1, "{sample}: {}", level.rms_dbov());
            assert!((level.peak_dbov().hundredths_dbov() - expected).abs() <= 1, "{sample}: {}", level.peak_dbov());
        }
        assert_eq!(level.rms_dbov(), Level::SILENCE);
        let sine: Vec<f32> = (0..800).map(|i| (f64::from(i) * 0.1 * core::f64::consts::PI).sin() as f32).collect();
        level.hear(&sine);
        assert!((level.rms_dbov().hundredths_dbov() + 301).abs() <= 1, "{}", level.rms_dbov());
        level.hear(&[4.0f32; 160]);
        assert_eq!(level.rms_dbov().hundredths_dbov(), 0);
    }

    #[test]
    fn both_bodies_are_within_a_tenth_of_a_decibel() {
        for shift in 0..15 {
            let pcm: Vec<i16> = noise(1_600).iter().map(|x| x >> shift).collect();
            let float: Vec<f32> = pcm.iter().map(|&x| f32::from_i16(x)).collect();
            let (mut a, mut b, mut exact) = (meter(125), meter(125), 0.0f64);
            for (pcm, float) in pcm.chunks(80).zip(float.chunks(80)) {
                a.hear(pcm);
                b.hear(float);
                let sum: f64 = pcm.iter().map(|&x| (f64::from(x) / 32_768.0).powi(2)).sum();
                exact = (exact * 1_000.0 + sum) / 1_080.0;
                for reading in [a.rms_dbov(), b.rms_dbov()] {
                    let error = f64::from(reading.hundredths_dbov()) / 100.0 - 10.0 * exact.log10();
                    assert!(error.abs() < 0.1, "{shift}: {error}");
                }
            }
            assert_eq!(a.peak_dbov(), b.peak_dbov());
        }
    }

    #[test]
    fn float_peaks_are_read_below_a_step_of_16_bits() {
        for (peak, expected) in [(2f32.powi(-17), -10_235), (2f32.powi(-20), -12_041), (1e-9, -12_700), (7.0, 0)] {
            let mut level = meter(0);
            level.hear(&[0.0, peak, f32::NAN, -peak / 2.0]);
            assert!((level.peak_dbov().hundredths_dbov() - expected).abs() <= 1, "{peak}: {}", level.peak_dbov());
        }
    }

    #[test]
    fn sums_of_squares_agree_and_saturate() {
        for sample in (i16::MIN..=i16::MAX).step_by(7) {
            let float = f32::from_i16(sample);
            let (square, wide) = (i16::energy(sample.add_square(0)), f32::energy(float.add_square(0.0)));
            assert!(square.abs_diff(wide) <= square >> 22);
            assert_eq!(i16::power(sample.magnitude()), f32::power(float.magnitude()));
            assert_eq!(i16::overloads(sample.magnitude()), f32::overloads(float.magnitude()));
        }
        assert_eq!(i16::energy(u64::MAX), u64::MAX);
        assert_eq!((f32::energy(f32::NAN), f32::energy(f32::INFINITY)), (0, u64::MAX));
    }

    #[test]
    fn falls_with_the_time_constant() {
        let mut level = meter(125);
        level.hear(&[16_384i16; 32_000]);
        let before = level.rms_dbov().hundredths_dbov();
        // 125 ms later the power has fallen to 1/e, -4.34 dB; frames of 1 ms come near the limit.
        for _ in 0..125 {
            level.hear(&[0i16; 8]);
        }
        let (rms, peak) = (level.rms_dbov().hundredths_dbov(), level.peak_dbov().hundredths_dbov());
        assert!((before - rms - 434).abs() < 10, "{before} {rms}");
        assert!((-602 - peak - 434).abs() < 10, "{peak}");
    }

    #[test]
    fn counts_clipping() {
        let mut level = meter(125);
        level.hear(&[i16::MAX, i16::MIN, -32_767, 32_766, 0]);
        assert_eq!(level.clipped_samples(), 3);
        level.hear(&[1.0f32, -1.5, 0.999, f32::NAN]);
        assert_eq!(level.clipped_samples(), 5);
        level.reset();
        assert_eq!((level.clipped_samples(), level.peak_dbov()), (0, Level::SILENCE));
    }

    #[test]
    fn too_long_a_time_constant_is_an_error() {
        let config = LevelConfig { sample_rate_hz: 48_000, time_constant_ms: 2_000 };
        assert_eq!(LevelMeter::new(config).unwrap_err(), LevelError { samples: 96_000 });
    }
}

//! Active speech level by ITU-T P.56 (12/2011), method B: how loud somebody is while speaking, and for how much of the
//! time.
//!
//! Use it to rate recordings and calls, where pauses must not count. For a display that follows the sound there is
//! [`level`](super::level); [`metering`](super::metering) combines both.
//!
//! An envelope (two first-order lags of 30 ms over the magnitude) is compared with 15 thresholds, each twice the one
//! before. For each threshold, the samples are counted at which the envelope was above it or had been so within the
//! last 200 ms. The energy of the whole signal divided by such a count is the level that the speech would have if this
//! threshold separated it from silence. The active level is the one that lies 15.9 dB above its own threshold,
//! interpolated between thresholds.
//!
//! Levels are in hundredths of a dBov. The arithmetic is integer, for `f32` samples too, with the same result on every
//! target. Speech below -74 dBov has no active level, since its envelope does not reach the lowest threshold of 16
//! bits. There is no delay, as the signal is only read. It takes three 64-bit multiplications for each sample, and 330
//! bytes.
//!
//! Somebody who speaks half of the time is as loud as somebody who speaks all the time; here the voice is a tone:
//!
//! ```
//! use dsp_core::process::active_level::{ActiveLevelError, ActiveLevelMeter};
//!
//! let mut meter = ActiveLevelMeter::new(8_000)?;
//! let tone: [i16; 8_000] =
//!     core::array::from_fn(|n| (8_000.0 * (n as f32 * core::f32::consts::TAU / 20.0).sin()) as i16);
//! for _ in 0..5 {
//!     meter.hear(&tone);
//!     meter.hear(&[0i16; 8_000]);
//! }
//! let read = meter.read();
//! // A sine of 8,000 has -15.26 dBov; over all of the time it is 3 dB less.
//! let active = read.active.map(|level| level.hundredths_dbov());
//! assert!(active.is_some_and(|level| (-1_700..-1_500).contains(&level)));
//! assert!((-1_850..-1_800).contains(&read.long_term.hundredths_dbov()));
//! // The 200 ms after each stretch count as activity.
//! assert!((5_000..6_500).contains(&read.activity_hundredths_percent));
//! # Ok::<(), ActiveLevelError>(())
//! ```

use core::fmt;

use super::decibel;
use super::level::Level;
use crate::sample::Sample;

/// Thresholds, from 2^-15 to 2^-1 of full scale.
const THRESHOLDS: usize = 15;
/// The lowest threshold is 2^-15, where full scale is 2^31.
const LOWEST_BITS: u32 = 16;
/// Distance of two thresholds, in hundredths of a decibel times 100: 20 log10(2).
const OCTAVE_TEN_THOUSANDTHS: i32 = 60_206;
/// How far the active level is above its threshold, in hundredths of a decibel.
const MARGIN: i32 = 1_590;
/// How long a threshold still counts as reached, in ms.
const HANGOVER_MS: u32 = 200;

/// The sample rate of an [`ActiveLevelMeter`] is not between 8,000 and 48,000 Hz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ActiveLevelError {
    /// Sample rate that was asked for, in Hz.
    pub sample_rate_hz: u32,
}

impl fmt::Display for ActiveLevelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} Hz; active levels are measured at 8000 to 48000 Hz", self.sample_rate_hz)
    }
}

impl core::error::Error for ActiveLevelError {}

/// What an [`ActiveLevelMeter`] has measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ActiveLevel {
    /// Level of the whole signal.
    pub long_term: Level,
    /// Level while somebody spoke; `None` if no speech could be separated from silence.
    pub active: Option<Level>,
    /// Share of the time in which somebody spoke, in hundredths of a percent: 0 to 10,000.
    pub activity_hundredths_percent: u16,
}

/// Measures the active speech level of one channel of `i16` or `f32` (ITU-T P.56). [The module's page](self) has an
/// example.
#[derive(Clone, Copy, Debug)]
pub struct ActiveLevelMeter {
    /// 1 - exp(-1 / (30 ms)) a sample, in 2^-32.
    lag: i64,
    /// Samples of the hangover.
    hangover: u32,
    /// Both stages of the envelope; full scale is 2^31.
    first: i64,
    second: i64,
    /// Samples heard, and the sum of their squares in 2^-46 of full scale squared.
    heard: u64,
    squares: u128,
    /// Thresholds that the envelope has reached now: those below this one.
    reached: usize,
    /// For each threshold: samples in which it counted as reached until `since`. From there on it counts as long as it is
    /// reached, or for the hangover where it isn't any more.
    active: [u64; THRESHOLDS],
    since: [u64; THRESHOLDS],
}

impl ActiveLevelMeter {
    /// A meter that has not heard anything, for this sample rate in Hz.
    ///
    /// # Errors
    /// Returns [`ActiveLevelError`] for a rate outside 8,000 to 48,000 Hz.
    pub fn new(sample_rate_hz: u32) -> Result<Self, ActiveLevelError> {
        if !(8_000..=48_000).contains(&sample_rate_hz) {
            return Err(ActiveLevelError { sample_rate_hz });
        }
        // 1 - exp(-x) by its series: x is at most 1/240, so that what is left out is below 2^-33.
        let x = 1_000.0 / (30.0 * f64::from(sample_rate_hz));
        let lag = x * (1.0 - x * (0.5 - x * (1.0 / 6.0)));
        Ok(Self {
            lag: (lag * 4_294_967_296.0) as i64,
            hangover: sample_rate_hz / 1_000 * HANGOVER_MS + sample_rate_hz % 1_000 * HANGOVER_MS / 1_000,
            first: 0,
            second: 0,
            heard: 0,
            squares: 0,
            reached: 0,
            active: [0; THRESHOLDS],
            // Long ago: nothing is held.
            since: [0; THRESHOLDS],
        })
    }

    /// Takes in the next samples, any number. NaN counts as silence, and values beyond full scale count as full scale.
    pub fn hear<S: Sample>(&mut self, pcm: &[S]) {
        for &sample in pcm {
            let magnitude = sample.to_i32().unsigned_abs();
            let half = u64::from(magnitude >> 8);
            self.squares += u128::from(half * half);
            self.first += ((i64::from(magnitude) - self.first) * self.lag) >> 32;
            self.second += ((self.first - self.second) * self.lag) >> 32;
            // Each octave of the envelope is a threshold that it has reached.
            let reached = (64 - self.second.leading_zeros()).saturating_sub(LOWEST_BITS) as usize;
            if reached != self.reached {
                self.cross(reached);
            }
            self.heard += 1;
        }
    }

    /// From this sample on the envelope has reached another number of thresholds.
    fn cross(&mut self, reached: usize) {
        let (low, high) = (reached.min(self.reached), reached.max(self.reached));
        for n in low..high.min(THRESHOLDS) {
            (self.active[n], self.since[n]) = (self.active_until_now(n), self.heard);
        }
        self.reached = reached;
    }

    /// Samples so far in which a threshold counted as reached.
    fn active_until_now(&self, n: usize) -> u64 {
        let since = self.heard - self.since[n];
        let never = self.active[n] == 0 && self.since[n] == 0;
        let held = if never { 0 } else { since.min(self.hangover.into()) };
        self.active[n] + if n < self.reached { since } else { held }
    }

    /// What was measured so far. Measuring goes on.
    pub fn read(&self) -> ActiveLevel {
        let long_term = self.level_over(self.heard);
        let active = self.active_level();
        let activity_hundredths_percent = active.map_or(0, |active| {
            let quotient = long_term.hundredths_dbov() - active.hundredths_dbov();
            // Of powers, hence twice the decibels of an amplitude.
            let share = u64::from(decibel::amplitude(quotient.saturating_mul(2).min(0), 30));
            ((share * 10_000 + (1 << 29)) >> 30) as u16
        });
        ActiveLevel { long_term, active, activity_hundredths_percent }
    }

    /// Forgets everything heard so far.
    pub fn reset(&mut self) {
        let Self { lag, hangover, .. } = *self;
        *self = Self {
            lag,
            hangover,
            first: 0,
            second: 0,
            heard: 0,
            squares: 0,
            reached: 0,
            active: [0; THRESHOLDS],
            // Long ago: nothing is held.
            since: [0; THRESHOLDS],
        };
    }

    /// Level of the energy of all that was heard, spread over this many samples.
    fn level_over(&self, samples: u64) -> Level {
        let mean = self.squares.checked_div(u128::from(samples)).unwrap_or(0);
        Level::of_power(u64::try_from(mean).unwrap_or(u64::MAX))
    }

    /// The level that is [`MARGIN`] above its threshold.
    fn active_level(&self) -> Option<Level> {
        let mut below: Option<(i32, i32)> = None;
        for n in 0..THRESHOLDS {
            let samples = self.active_until_now(n);
            if samples == 0 {
                return None;
            }
            let level = i32::from(self.level_over(samples).hundredths_dbov());
            let threshold = (n as i32 - THRESHOLDS as i32) * OCTAVE_TEN_THOUSANDTHS / 100;
            // How far above the margin: falls from threshold to threshold.
            let above = level - threshold - MARGIN;
            if above <= 0 {
                let (low, low_above) = below?;
                let between = (level - low) * low_above / (low_above - above);
                return Some(Level::of_hundredths((low + between) as i16));
            }
            below = Some((level, above));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// A sine of this amplitude and frequency.
    fn sine(amplitude: f64, frequency_hz: f64, rate_hz: u32, samples: usize) -> Vec<f32> {
        let step = core::f64::consts::TAU * frequency_hz / f64::from(rate_hz);
        (0..samples).map(|n| ((n as f64 * step).sin() * amplitude) as f32).collect()
    }

    fn near(level: Level, hundredths: i16, within: i16) -> bool {
        (level.hundredths_dbov() - hundredths).abs() <= within
    }

    #[test]
    fn half_of_the_time_is_three_decibels() {
        for rate in [8_000, 11_025, 16_000, 32_000, 44_100, 48_000] {
            let mut meter = ActiveLevelMeter::new(rate).unwrap();
            // 4 s of -20 dBov, 4 s of silence, three times: the hangover and the lag add a quarter of a second each.
            for _ in 0..3 {
                meter.hear(&sine(0.141_421, 440.0, rate, 4 * rate as usize));
                meter.hear(&Vec::from_iter(std::iter::repeat_n(0.0f32, 4 * rate as usize)));
            }
            let ActiveLevel { long_term, active, activity_hundredths_percent } = meter.read();
            assert!(near(long_term, -2_301, 2), "{rate}: {long_term}");
            assert!(active.is_some_and(|active| near(active, -2_030, 15)), "{rate}: {active:?}");
            assert!((5_200..5_500).contains(&activity_hundredths_percent), "{rate}: {activity_hundredths_percent}");
        }
    }

    #[test]
    fn level_shifts_with_the_signal() {
        let mut levels = Vec::new();
        for amplitude in [0.5, 0.05, 0.005, 0.000_8] {
            let mut meter = ActiveLevelMeter::new(16_000).unwrap();
            for _ in 0..5 {
                meter.hear(&sine(amplitude, 300.0, 16_000, 16_000));
                meter.hear(&[0.0f32; 16_000]);
            }
            levels.push(meter.read().active.unwrap().hundredths_dbov());
        }
        // 20 dB each, and 15.92 dB; thresholds an octave apart are at other places within the interpolation.
        for (pair, shift) in levels.windows(2).zip([2_000, 2_000, 1_592]) {
            assert!((pair[0] - pair[1] - shift).abs() <= 30, "{levels:?}");
        }
    }

    #[test]
    fn i16_and_f32_measure_alike() {
        let float = sine(0.25, 1_000.0, 8_000, 24_000);
        let int: Vec<i16> = float.iter().map(|x| x.to_i16()).collect();
        let [mut a, mut b] = [ActiveLevelMeter::new(8_000).unwrap(); 2];
        float.chunks(77).for_each(|part| a.hear(part));
        b.hear(&int);
        assert!(near(a.read().active.unwrap(), b.read().active.unwrap().hundredths_dbov(), 1));
        b.reset();
        b.hear(&int);
        assert!(near(a.read().long_term, b.read().long_term.hundredths_dbov(), 1));
    }

    #[test]
    fn what_is_no_speech_has_no_active_level() {
        let mut meter = ActiveLevelMeter::new(8_000).unwrap();
        let nothing = ActiveLevel { long_term: Level::SILENCE, active: None, activity_hundredths_percent: 0 };
        assert_eq!(meter.read(), nothing);
        meter.hear(&[0i16; 8_000]);
        meter.hear(&[f32::NAN; 800]);
        assert_eq!(meter.read(), nothing);
        // One step up and down: below the lowest threshold's margin.
        meter.hear(&[1i16, -1].repeat(8_000));
        assert_eq!(meter.read().active, None);
        meter.hear(&[f32::INFINITY, f32::NEG_INFINITY, i16::MIN.into(), 1e30].repeat(40_000));
        let read = meter.read();
        assert!(near(read.long_term, -63, 2) && near(read.active.unwrap(), 0, 1), "{read:?}");
        assert_eq!(ActiveLevelMeter::new(7_999).err(), Some(ActiveLevelError { sample_rate_hz: 7_999 }));
        assert!(ActiveLevelMeter::new(48_001).is_err());
    }
}

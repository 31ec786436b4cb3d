//! DTMF generator, described on [`DtmfGenerator`].

use core::fmt;

use super::digit::Digit;
use super::oscillator::{Oscillator, ramp};
use crate::process::decibel::{amplitude, hundredths_of_power};
use crate::sample::Sample;

/// Settings of a [`DtmfGenerator`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DtmfTone {
    /// Sample rate, in Hz: 4,000 to 192,000.
    pub sample_rate_hz: u32,
    /// Level of both sines together, in hundredths of a dBm0: -6,300 to 314, where a single sine would overload.
    pub level_hundredths_dbm0: i16,
    /// Level of the column over that of the row, in hundredths of a dB: -2,000 to 2,000.
    pub twist_hundredths_db: i16,
    /// Length of a digit, in ms: at least 4.
    pub on_ms: u16,
    /// Length of the pause after it, in ms.
    pub off_ms: u16,
}

impl Default for DtmfTone {
    /// 8 kHz, -7 dBm0 (-11 dBm0 for the row and -9 dBm0 for the column), 70 ms on and 70 ms off.
    fn default() -> Self {
        Self { sample_rate_hz: 8_000, level_hundredths_dbm0: -700, twist_hundredths_db: 200, on_ms: 70, off_ms: 70 }
    }
}

/// What is wrong with a [`DtmfTone`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DtmfToneError {
    /// This sample rate, in Hz, is not between 4,000 and 192,000.
    Rate(u32),
    /// This level, in hundredths of a dBm0, is not between -6,300 and 314.
    Level(i16),
    /// This twist, in hundredths of a dB, is not between -2,000 and 2,000.
    Twist(i16),
    /// This length of a digit, in ms, is below 4.
    On(u16),
}

/// Hundredths with their point.
struct Hundredths(i16);

impl fmt::Display for Hundredths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        write!(f, "{}{}.{:02}", if self.0 < 0 { "-" } else { "" }, magnitude / 100, magnitude % 100)
    }
}

impl fmt::Display for DtmfToneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Rate(rate) => write!(f, "{rate} Hz; tones are made at 4000 to 192000 Hz"),
            Self::Level(level) => write!(f, "a level of {} dBm0; -63 to 3.14 are possible", Hundredths(level)),
            Self::Twist(twist) => write!(f, "a twist of {} dB; -20 to 20 are possible", Hundredths(twist)),
            Self::On(ms) => write!(f, "a digit of {ms} ms; it lasts at least 4"),
        }
    }
}

impl core::error::Error for DtmfToneError {}

/// Levels of row and column, in hundredths of a dBm0, whose sum has `level` and whose difference is `twist`.
fn levels(level: i16, twist: i16) -> [i16; 2] {
    // The power of the softer one in 2^-14 of the louder one's.
    let softer = u64::from(amplitude(-2 * twist.abs(), 14));
    let sum = hundredths_of_power((1 << 46) + (softer << 32));
    let louder = level - sum;
    if twist < 0 { [louder, louder + twist] } else { [louder - twist, louder] }
}

/// Generates DTMF digits as sound in one channel, exact to the sample.
///
/// Use it where digits must be in the sound; as telephone events they are sent by
/// [`EventSender`](crate::send::EventSender). Levels are those of both sines together, as a telephone event's volume
/// is (RFC 4733, 2.3.3), and a sine of full scale is +3.14 dBm0. Both sines begin at 0, and rise and fall as half a
/// period of a cosine within 1 ms, so that nothing clicks. 20 ms at 8 kHz take 9,358 instructions on a Cortex-M3
/// (`BENCHMARKS.md`). The arithmetic is integer.
///
/// Two digits, as a key pad dials them:
///
/// ```
/// use dsp_core::tone::{Digit, DtmfConfig, DtmfDetector, DtmfGenerator, DtmfTone};
///
/// let mut generator = DtmfGenerator::new(DtmfTone { on_ms: 60, off_ms: 60, ..DtmfTone::default() })?;
/// let mut detector = DtmfDetector::new(DtmfConfig::default())?;
/// let (mut frame, mut dialled) = ([0i16; 80], String::new());
/// for digit in "42".chars().filter_map(Digit::from_char) {
///     generator.press(digit);
///     loop {
///         let samples = generator.fill(&mut frame);
///         if samples == 0 {
///             break;
///         }
///         detector.hear(&frame[..samples], |heard| {
///             if heard.ended {
///                 dialled.push(heard.digit.as_char());
///             }
///         });
///     }
/// }
/// assert_eq!(dialled, "42");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct DtmfGenerator {
    config: DtmfTone,
    levels: [i16; 2],
    sines: [Oscillator; 2],
    /// Samples of a ramp, of a digit, and of the pause behind it.
    ramp: u32,
    on: u32,
    off: u32,
    /// Samples of this digit that were made, and how many it will have.
    made: u32,
    length: u32,
    /// Samples of silence that are left.
    silence: u32,
}

impl DtmfGenerator {
    /// A generator that is silent.
    ///
    /// # Errors
    /// Returns a [`DtmfToneError`] that names the setting that is out of range.
    pub fn new(config: DtmfTone) -> Result<Self, DtmfToneError> {
        let DtmfTone { sample_rate_hz: rate, level_hundredths_dbm0, twist_hundredths_db, on_ms, off_ms } = config;
        if !(4_000..=192_000).contains(&rate) {
            return Err(DtmfToneError::Rate(rate));
        }
        if !(-6_300..=314).contains(&level_hundredths_dbm0) {
            return Err(DtmfToneError::Level(level_hundredths_dbm0));
        }
        if !(-2_000..=2_000).contains(&twist_hundredths_db) {
            return Err(DtmfToneError::Twist(twist_hundredths_db));
        }
        if on_ms < 4 {
            return Err(DtmfToneError::On(on_ms));
        }
        let samples = |ms: u16| ((u64::from(ms) * u64::from(rate) + 500) / 1_000) as u32;
        Ok(Self {
            config,
            levels: levels(level_hundredths_dbm0, twist_hundredths_db),
            sines: [Oscillator::default(); 2],
            ramp: samples(1),
            on: samples(on_ms),
            off: samples(off_ms),
            made: 0,
            length: 0,
            silence: 0,
        })
    }

    /// Begins a digit with the length and the pause of the settings. A digit that sounds is cut off.
    pub fn press(&mut self, digit: Digit) {
        self.begin(digit, self.on);
    }

    /// Begins a digit that lasts until it is released.
    pub fn hold(&mut self, digit: Digit) {
        self.begin(digit, u32::MAX);
    }

    /// Ends the digit that sounds, within 1 ms. The pause follows.
    pub fn release(&mut self) {
        self.length = self.length.min(self.made.saturating_add(self.ramp));
    }

    fn begin(&mut self, digit: Digit, length: u32) {
        let rate = self.config.sample_rate_hz;
        let [row, column] = self.levels;
        self.sines = [Oscillator::new(rate, digit.row_hz(), row), Oscillator::new(rate, digit.column_hz(), column)];
        (self.made, self.length, self.silence) = (0, length, self.off);
    }

    /// Writes the next samples of the digit and of the pause after it, and returns their number. It is 0 when nothing
    /// is left; then press the next digit.
    pub fn fill<S: Sample>(&mut self, out: &mut [S]) -> usize {
        let mut written = 0;
        for slot in out {
            *slot = if self.made < self.length {
                let value: i64 = self.sines.iter_mut().map(|sine| i64::from(sine.next())).sum();
                let edge = self.made.min(self.length - 1 - self.made);
                self.made += 1;
                let shaped = if edge < self.ramp { (value * i64::from(ramp(edge, self.ramp))) >> 30 } else { value };
                S::from_i32((shaped * 2).clamp(i32::MIN.into(), i32::MAX.into()) as i32)
            } else if self.silence > 0 {
                self.silence -= 1;
                S::default()
            } else {
                break;
            };
            written += 1;
        }
        written
    }

    /// Whether anything is left to generate.
    pub fn is_sounding(&self) -> bool {
        self.made < self.length || self.silence > 0
    }
}

#[cfg(test)]
mod tests {
    use super::super::detector::FULL_SINE;
    use super::*;
    use std::vec;
    use std::vec::Vec;

    fn all<S: Sample>(generator: &mut DtmfGenerator, frame: usize) -> Vec<S> {
        let (mut pcm, mut out) = (Vec::new(), vec![S::default(); frame]);
        loop {
            let written = generator.fill(&mut out);
            pcm.extend_from_slice(&out[..written]);
            if written < frame {
                return pcm;
            }
        }
    }

    /// The level of one frequency in a whole number of seconds, in dBm0.
    fn level(pcm: &[f32], rate: u32, hz: u32) -> f64 {
        let (mut re, mut im) = (0.0, 0.0);
        for (n, &x) in pcm.iter().enumerate() {
            let (sin, cos) = (n as f64 * f64::from(hz) / f64::from(rate) * core::f64::consts::TAU).sin_cos();
            re += f64::from(x) * cos;
            im += f64::from(x) * sin;
        }
        20.0 * (2.0 * (re * re + im * im).sqrt() / pcm.len() as f64).log10() + f64::from(FULL_SINE) / 100.0
    }

    #[test]
    fn levels_and_twist_are_those_asked_for() {
        for (asked, twist) in [(-700, 200), (-2_000, -800), (-1_000, 0), (-300, 400)] {
            for rate in [8_000, 11_025, 44_100, 48_000] {
                let config = DtmfTone {
                    sample_rate_hz: rate,
                    level_hundredths_dbm0: asked,
                    twist_hundredths_db: twist,
                    on_ms: 1_010,
                    off_ms: 0,
                };
                let mut generator = DtmfGenerator::new(config).unwrap();
                generator.press(Digit::Five);
                let pcm = all::<f32>(&mut generator, 160);
                assert_eq!(pcm.len(), (u64::from(rate) * 1_010 + 500) as usize / 1_000);
                let second = &pcm[rate as usize / 200..][..rate as usize];
                let (row, column) = (level(second, rate, 770), level(second, rate, 1_336));
                let sum = 10.0 * (10f64.powf(row / 10.0) + 10f64.powf(column / 10.0)).log10();
                assert!((sum - f64::from(asked) / 100.0).abs() < 0.03, "{asked} {twist} {rate}: {row} {column}");
                assert!((column - row - f64::from(twist) / 100.0).abs() < 0.03, "{asked} {twist}: {row} {column}");
            }
        }
    }

    #[test]
    fn timing_is_exact_to_the_sample_whatever_the_frames() {
        let config = DtmfTone { sample_rate_hz: 11_025, on_ms: 50, off_ms: 33, ..DtmfTone::default() };
        let mut whole = Vec::new();
        for frame in [1, 7, 160, 4_096] {
            let mut generator = DtmfGenerator::new(config).unwrap();
            assert_eq!(generator.fill(&mut [1i16; 8]), 0);
            generator.press(Digit::Star);
            let pcm = all::<i16>(&mut generator, frame);
            assert_eq!(pcm.len(), 551 + 364);
            assert!(pcm[551..].iter().all(|&x| x == 0) && !generator.is_sounding());
            whole.push(pcm);
        }
        assert!(whole.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn both_bodies_make_the_same_and_neither_clicks() {
        let mut short = DtmfGenerator::new(DtmfTone { sample_rate_hz: 48_000, ..DtmfTone::default() }).unwrap();
        let mut float = short;
        short.press(Digit::Nine);
        float.press(Digit::Nine);
        let (short, float) = (all::<i16>(&mut short, 480), all::<f32>(&mut float, 480));
        assert!(
            short.iter().zip(&float).all(|(&short, float)| (i32::from(short) - i32::from(float.to_i16())).abs() <= 1)
        );
        // No step is larger than the steepest of both sines.
        let steepest = (852.0 + 1_477.0) * core::f64::consts::TAU / 48_000.0 * 0.34;
        assert!(float.windows(2).all(|pair| f64::from((pair[1] - pair[0]).abs()) < steepest));
        assert!(float[0].abs() < 1e-3 && float[70 * 48 - 1].abs() < 1e-3);
    }

    #[test]
    fn a_digit_that_is_held_ends_within_a_millisecond_of_its_release() {
        let mut generator = DtmfGenerator::new(DtmfTone { off_ms: 0, ..DtmfTone::default() }).unwrap();
        generator.hold(Digit::Zero);
        let mut out = [0i16; 4_000];
        assert_eq!(generator.fill(&mut out), 4_000);
        generator.release();
        assert_eq!(generator.fill(&mut out), 8);
        assert!(!generator.is_sounding());
    }

    #[test]
    fn what_is_out_of_range_is_an_error() {
        let new = |change: fn(&mut DtmfTone)| {
            let mut config = DtmfTone::default();
            change(&mut config);
            DtmfGenerator::new(config).err()
        };
        assert_eq!(new(|_| ()), None);
        assert_eq!(new(|config| config.sample_rate_hz = 3_999), Some(DtmfToneError::Rate(3_999)));
        assert_eq!(new(|config| config.level_hundredths_dbm0 = 315), Some(DtmfToneError::Level(315)));
        assert_eq!(new(|config| config.twist_hundredths_db = -2_001), Some(DtmfToneError::Twist(-2_001)));
        assert_eq!(new(|config| config.on_ms = 3), Some(DtmfToneError::On(3)));
        assert_eq!(
            std::format!("{}", DtmfToneError::Level(-6_401)),
            "a level of -64.01 dBm0; -63 to 3.14 are possible"
        );
    }
}

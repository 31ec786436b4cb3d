//! DTMF detector; its rules are on [`DtmfDetector`].

use core::fmt;

use super::digit::Digit;
use super::groups::{Group, Groups, HIGH, Heard, LOW, MIDDLE, PER_HOP, Pairs};
use crate::process::decibel::{amplitude, hundredths_of_power};
use crate::sample::Sample;
use crate::time::Duration;

/// Hundredths of a dBm0 that a sine of full scale has.
pub(super) const FULL_SINE: i16 = 314;
/// Hops in the stretch that must be a digit's.
const WINDOW: usize = 6;
/// Hops in the stretch that is muted.
const EARLY: usize = 3;
/// For how long a digit must have been steady, in 2^-8 ms.
const LEAST: i32 = 7_550;
/// Hops without a digit that end it.
const ENDING: u8 = 5;
/// Milliseconds whose power is remembered.
const POWERS: usize = 64;
/// How much of a group's power must turn as one sine: of 64. White noise 15 dB below a digit takes 3 of the weaker sine, whose
/// twist is 8 dB.
const PURE: i64 = 57;
/// How much of the square of its power must still turn so after 4 ms: of 64.
const STEADY: i64 = 47;
/// How many times as loud as its softest hop a group's loudest may be.
const SWELL: i32 = 5;
/// How much of the whole sound must be the digit: of 64. The same noise takes 2.
const ALONE: i64 = 56;

/// Settings of a [`DtmfDetector`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DtmfConfig {
    /// Sample rate: a multiple of 8,000 Hz, at most 48,000 Hz.
    pub sample_rate_hz: u32,
    /// Lowest level of a digit, both sines together, in dBm0: -45 to 0.
    pub least_level_dbm0: i8,
    /// By how many dB the column's sine may be louder than the row's, 0 to 20.
    pub column_louder_db: u8,
    /// By how many dB the row's sine may be louder than the column's, 0 to 20.
    pub row_louder_db: u8,
}

impl Default for DtmfConfig {
    /// 8 kHz, digits from -32 dBm0 on, and 9 dB of twist in either direction.
    fn default() -> Self {
        Self { sample_rate_hz: 8_000, least_level_dbm0: -32, column_louder_db: 9, row_louder_db: 9 }
    }
}

/// What is wrong with a [`DtmfConfig`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DtmfError {
    /// This sample rate, in Hz, is not a multiple of 8,000 up to 48,000.
    Rate(u32),
    /// This lowest level, in dBm0, is not between -45 and 0.
    LeastLevel(i8),
    /// This twist, in dB, is above 20.
    Twist(u8),
}

impl fmt::Display for DtmfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Rate(rate) => write!(f, "{rate} Hz; digits are detected at multiples of 8000 Hz up to 48000"),
            Self::LeastLevel(level) => write!(f, "a least level of {level} dBm0; -45 to 0 are possible"),
            Self::Twist(twist) => write!(f, "a twist of {twist} dB; 0 to 20 are possible"),
        }
    }
}

impl core::error::Error for DtmfError {}

/// A digit that has begun or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct HeardDigit {
    /// The digit.
    pub digit: Digit,
    /// When it began, counted from the first sample that was heard.
    pub start: Duration,
    /// How long it lasted, or has lasted so far.
    pub duration: Duration,
    /// Level of both sines together, in hundredths of a dBm0.
    pub level_hundredths_dbm0: i16,
    /// Whether it has ended. Each digit is reported twice: when it is certain, and when it has ended.
    pub ended: bool,
}

/// The digit that sounds.
#[derive(Clone, Copy, Debug)]
struct Sounding {
    digit: Digit,
    /// In 2^-8 ms, on the scale of pointers.
    start: i64,
    /// The last pointer that was loud enough, and the power that is.
    last: u64,
    threshold: u32,
    /// Sum of the power of all that was heard in its hops, and how many. The filters are not flat; noise adds little.
    power: u64,
    hops: u32,
    /// Hops since it was last there.
    missing: u8,
}

/// Detects DTMF digits in the sound of one channel, with the limits of ITU-T Q.24, and reports their start, duration
/// and level. [The module's page](super) has an example.
///
/// - A stretch of 24 ms belongs to a digit if each group has one sine within 2 % of one of its frequencies (Q.24: 1.5
///   % must be accepted, 3.5 % rejected), neither is louder than the other by more than the allowed twist, and nearly
///   all of the sound is these two sines.
/// - A digit is certain when its power has been steady for 29.5 ms (Q.24: 40 ms must be accepted, 23 ms rejected). It
///   ends when it has been missing for 20 ms (gaps of 10 ms must be bridged, those of 40 ms separate digits). Start
///   and end are where its power crosses a quarter of its value, to a fraction of a millisecond.
/// - *Twist* is the level of the column over that of the row. The limits of AT&T in Q.24 are +4 dB and -8 dB, and some
///   documents exchange the two signs. The default accepts 9 dB in both directions.
///
/// Levels are in dBm0, and a sine of full scale is +3.14 dBm0 (A-law of G.711). A digit is reported about 34 ms after
/// its start, and again about 25 ms after its end. 20 ms of digits at 8 kHz take 23,193 instructions on a Cortex-M3
/// and 0.74 µs on a host; the detector takes 1,016 bytes (`BENCHMARKS.md`). The arithmetic is integer.
#[derive(Clone, Copy, Debug)]
pub struct DtmfDetector {
    groups: Groups,
    /// Least power of a digit in a millisecond: squares of 16-bit amplitudes.
    least: i64,
    /// The ratios of twist, in 2^-8: column over row, and row over column.
    twist: [i64; 2],
    /// The last hops; `at` is the place of the next one. Their sum, and that of the last few.
    hops: [Heard; WINDOW],
    at: usize,
    window: Heard,
    recent: Heard,
    /// Power of the last milliseconds, by their number.
    powers: [u32; POWERS],
    /// Milliseconds heard.
    pointers: u64,
    sounding: Option<Sounding>,
    /// Whether the last hop may be a digit's.
    early: bool,
    /// How much of the sound is passed, in 2^-14.
    passed: i32,
}

impl DtmfDetector {
    /// A detector that has not heard anything.
    ///
    /// # Errors
    /// Returns a [`DtmfError`] that names the setting that is out of range.
    pub fn new(config: DtmfConfig) -> Result<Self, DtmfError> {
        let DtmfConfig { sample_rate_hz, least_level_dbm0, column_louder_db, row_louder_db } = config;
        let factor = sample_rate_hz / 8_000;
        if !sample_rate_hz.is_multiple_of(8_000) || !(1..=6).contains(&factor) {
            return Err(DtmfError::Rate(sample_rate_hz));
        }
        if !(-45..=0).contains(&least_level_dbm0) {
            return Err(DtmfError::LeastLevel(least_level_dbm0));
        }
        if let Some(&twist) = [column_louder_db, row_louder_db].iter().find(|&&db| db > 20) {
            return Err(DtmfError::Twist(twist));
        }
        let amplitude_q15 = i64::from(amplitude(i16::from(least_level_dbm0) * 100 - FULL_SINE, 15));
        // A ratio of powers is one of amplitudes at twice the decibels.
        let ratio = |db: u8| i64::from(amplitude(i16::from(db) * 200, 8));
        let twist = [ratio(column_louder_db), ratio(row_louder_db)];
        Ok(Self::with(Groups::new(factor as usize), amplitude_q15 * amplitude_q15, twist))
    }

    fn with(groups: Groups, least: i64, twist: [i64; 2]) -> Self {
        Self {
            groups,
            least,
            twist,
            hops: [Heard::default(); WINDOW],
            at: 0,
            window: Heard::default(),
            recent: Heard::default(),
            powers: [0; POWERS],
            pointers: 0,
            sounding: None,
            early: false,
            passed: UNITY,
        }
    }

    /// Takes in the next samples, any number. Calls `each` with every digit that has begun or ended.
    pub fn hear<S: Sample>(&mut self, pcm: &[S], mut each: impl FnMut(HeardDigit)) {
        let mut rest = pcm;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(self.groups.missing().min(rest.len()));
            rest = later;
            self.groups.gather(now);
            if self.groups.missing() == 0 {
                self.hop(&mut each);
            }
        }
    }

    /// As [`hear`](Self::hear), and mutes what is a digit or may become one, so that a digit that is sent as an event
    /// is not heard in the sound as well. Its first 10 to 16 ms remain, which no receiver takes for a digit.
    pub fn hear_and_mute<S: Sample>(&mut self, pcm: &mut [S], mut each: impl FnMut(HeardDigit)) {
        let mut rest = pcm;
        while !rest.is_empty() {
            let (now, later) = rest.split_at_mut(self.groups.missing().min(rest.len()));
            rest = later;
            self.groups.gather(now);
            if self.groups.missing() == 0 {
                self.hop(&mut each);
            }
            self.pass(now);
        }
    }

    /// Ends the sound, and with it a digit that is still heard.
    pub fn finish(&mut self) -> Option<HeardDigit> {
        let sounding = self.sounding.take()?;
        Some(self.ended(&sounding))
    }

    /// The digit that is being heard.
    pub fn sounding(&self) -> Option<Digit> {
        self.sounding.map(|sounding| sounding.digit)
    }

    /// Forgets everything heard so far.
    pub fn reset(&mut self) {
        *self = Self::with(Groups::new(self.groups.factor()), self.least, self.twist);
    }

    /// Fades what is passed in or out, in 2 ms.
    fn pass<S: Sample>(&mut self, pcm: &mut [S]) {
        let target = if self.early { 0 } else { UNITY };
        if self.passed == UNITY && target == UNITY {
            return;
        }
        let most = UNITY / (16 * self.groups.factor() as i32);
        for sample in pcm {
            self.passed += (target - self.passed).clamp(-most, most);
            *sample = sample.scale(S::coef(fixed::types::I2F14::from_bits(self.passed as i16)));
        }
    }

    fn hop(&mut self, each: &mut impl FnMut(HeardDigit)) {
        let (heard, powers) = self.groups.hop();
        self.window.exchange(&heard, &self.hops[self.at]);
        self.recent.exchange(&heard, &self.hops[(self.at + WINDOW - EARLY) % WINDOW]);
        self.hops[self.at] = heard;
        self.at = (self.at + 1) % WINDOW;
        for power in powers {
            self.powers[self.pointers as usize % POWERS] = power;
            self.pointers += 1;
        }
        let newest = heard.low.power.min(heard.high.power);
        // No sound, as in most of a call.
        let loud = newest > 0 && (i64::from(heard.low.power) + i64::from(heard.high.power)) << 6 >= self.least;
        if !loud && self.sounding.is_none() {
            self.early = false;
            return;
        }
        let digit = if loud { self.digit(&self.window, WINDOW) } else { None };
        self.early = digit.is_some() || (loud && self.digit(&self.recent, EARLY).is_some());
        if let Some(sounding) = &mut self.sounding {
            let there = is_there(sounding.digit, &heard);
            let first = self.pointers - PER_HOP as u64;
            let loudest = powers.iter().rposition(|&power| power >= sounding.threshold);
            if there && loudest.is_some() {
                sounding.missing = 0;
                sounding.hops += 1;
                sounding.power += heard.whole as u64;
            } else {
                sounding.missing += 1;
            }
            // The hop in which it ends is not all its own.
            if sounding.missing < 2
                && let Some(step) = loudest
            {
                sounding.last = first + step as u64;
            }
            self.early |= sounding.missing < 2;
            let other = digit.is_some_and(|digit| digit != sounding.digit) && sounding.missing > 0;
            if sounding.missing < ENDING && !other {
                return;
            }
            let ended = *sounding;
            self.sounding = None;
            each(self.ended(&ended));
        }
        if let Some(digit) = digit {
            self.begin(digit, each);
        }
    }

    /// Begins a digit if it has been there for long enough.
    fn begin(&mut self, digit: Digit, each: &mut impl FnMut(HeardDigit)) {
        let newest = |ago: u64| self.powers[(self.pointers - 1 - ago) as usize % POWERS];
        let heard = self.pointers.min(POWERS as u64 - 1);
        // Over all of the window: what is left at its end when a digit is over must not be measured by itself. `powers` are halved.
        let mean = ((self.window.low.power as u64 + self.window.high.power as u64) << 5) / (WINDOW * PER_HOP) as u64;
        let threshold = (mean / 4) as u32;
        let Some(steady) = (0..heard).position(|ago| newest(ago) < threshold) else { return };
        let steady = steady as u64;
        if steady == 0 {
            return;
        }
        // From the first pointer that was loud enough towards the one before it.
        let (inside, outside) = (newest(steady - 1), newest(steady));
        let fraction = crossing(inside, outside, threshold);
        if (steady as i32 - 1) * 256 + fraction < LEAST {
            return;
        }
        let first = self.pointers - steady;
        let swells = |power: fn(&Heard) -> i32| {
            let powers = self.hops.iter().map(power);
            powers.clone().fold(i32::MAX, i32::min) < powers.fold(0, i32::max) / SWELL
        };
        if swells(|hop| hop.low.power) || swells(|hop| hop.high.power) {
            return;
        }
        let sounding = Sounding {
            digit,
            start: first as i64 * 256 - i64::from(fraction),
            last: self.pointers - 1,
            threshold,
            power: self.window.whole as u64,
            hops: WINDOW as u32,
            missing: 0,
        };
        self.sounding = Some(sounding);
        each(self.told(&sounding, self.pointers as i64 * 256 - 256, false));
    }

    fn ended(&self, sounding: &Sounding) -> HeardDigit {
        let last = sounding.last;
        let at = |pointer: u64| self.powers[pointer as usize % POWERS];
        // From the last pointer that was loud enough towards the one after it.
        let fraction = if last + 1 < self.pointers { crossing(at(last), at(last + 1), sounding.threshold) } else { 0 };
        self.told(sounding, last as i64 * 256 + i64::from(fraction), true)
    }

    fn told(&self, sounding: &Sounding, end: i64, ended: bool) -> HeardDigit {
        // A pointer's time is that of the middle of its filter; 2^-8 ms are microseconds by 1000 / 256.
        let micros = |time: i64| (((time - MIDDLE * 256 / 8) * 125) >> 5).max(0) as u64;
        let start = micros(sounding.start);
        let mean = sounding.power / u64::from(sounding.hops * PER_HOP as u32);
        // In squares of 16-bit amplitudes by 2^-6: full scale is 2^24, and 2^46 where logarithms are taken.
        let level = if mean == 0 { i16::MIN / 2 } else { hundredths_of_power(mean << 22) };
        HeardDigit {
            digit: sounding.digit,
            start: Duration::from_micros(start),
            duration: Duration::from_micros(micros(end).saturating_sub(start)),
            level_hundredths_dbm0: level + FULL_SINE,
            ended,
        }
    }

    /// The digit that is in this many hops.
    fn digit(&self, heard: &Heard, hops: usize) -> Option<Digit> {
        // No filter takes half of a power: most of what is no digit goes no further.
        if (i64::from(heard.low.power) + i64::from(heard.high.power)) * 128 < heard.whole * ALONE {
            return None;
        }
        let (row, low) = nearest(&LOW, &heard.low)?;
        let (column, high) = nearest(&HIGH, &heard.high)?;
        let within = high << 8 <= low * self.twist[0] && low << 8 <= high * self.twist[1];
        let alone = (low + high) * 64 >= heard.whole * ALONE;
        let loud = (low + high) << 6 >= self.least * (hops * PER_HOP) as i64;
        if within && alone && loud { Digit::at(row, column) } else { None }
    }
}

/// All of the sound is passed.
const UNITY: i32 = 1 << 14;

/// Where the amplitude crosses that of `threshold`, from the pointer inside on: in 2^-8 ms.
fn crossing(inside: u32, outside: u32, threshold: u32) -> i32 {
    let [inside, outside, threshold] = [inside, outside, threshold].map(|power| i64::from(power.isqrt()));
    ((inside - threshold).max(0) * 256 / (inside - outside).max(1)).min(256) as i32
}

/// The power of one frequency in what its group let through, as if the filter were flat.
fn power_at(group: &Group, pairs: &Pairs, index: usize) -> i64 {
    (i64::from(pairs.power) * i64::from(group.gains[index][1])) >> 12
}

fn power_of(digit: Digit, heard: &Heard) -> i64 {
    power_at(&LOW, &heard.low, digit.row()) + power_at(&HIGH, &heard.high, digit.column())
}

/// The frequency that a group holds, if it is one, and its power, as if the filter were flat.
fn nearest(group: &Group, pairs: &Pairs) -> Option<(usize, i64)> {
    let power = i64::from(pairs.power) << 14;
    let mut nearest = (power * PURE / 64, None);
    for (index, turns) in group.turns.iter().enumerate() {
        let along = pairs.along(turns[0], 0)[0];
        if along >= nearest.0 {
            nearest = (along, Some(index));
        }
    }
    let index = nearest.1?;
    let [along, across] = pairs.along(group.turns[index][1], 1);
    let exact = along > 0 && across.abs() << 12 <= along * i64::from(group.tolerances[index]);
    // A voice's harmonics glide: what is 4 ms apart is no longer alike.
    let [alike, unlike, all] = [along >> 17, across >> 17, power >> 17];
    let steady = (alike * alike + unlike * unlike) * 64 >= all * all * STEADY;
    if !exact || !steady {
        return None;
    }
    // Between the gain of the frequency and that of the most which it may be off.
    let off = ((across << 12) / ((along * i64::from(group.tolerances[index])) >> 12).max(1)).clamp(-4_096, 4_096);
    let [below, at, above] = group.gains[index].map(i64::from);
    let gain = at + if off < 0 { ((below - at) * -off) >> 12 } else { ((above - at) * off) >> 12 };
    Some((index, (i64::from(pairs.power) * gain) >> 12))
}

/// Whether a hop may be part of a digit that has begun.
fn is_there(digit: Digit, heard: &Heard) -> bool {
    let half = |group: &Group, pairs: &Pairs, index: usize| {
        pairs.along(group.turns[index][0], 0)[0] * 2 >= i64::from(pairs.power) << 14
    };
    half(&LOW, &heard.low, digit.row())
        && half(&HIGH, &heard.high, digit.column())
        && power_of(digit, heard) * 2 >= heard.whole
}

#[cfg(test)]
mod tests {
    use super::super::generator::{DtmfGenerator, DtmfTone};
    use super::*;
    use proptest::prelude::*;
    use std::string::String;
    use std::vec;
    use std::vec::Vec;

    fn sound<S: Sample>(rate_hz: u32, digits: &[Digit], silence: usize) -> Vec<S> {
        let mut generator = DtmfGenerator::new(DtmfTone { sample_rate_hz: rate_hz, ..DtmfTone::default() })
            .expect("a rate that there is");
        let mut pcm = vec![S::default(); silence];
        let mut frame = vec![S::default(); 77];
        for &digit in digits {
            generator.press(digit);
            loop {
                let made = generator.fill(&mut frame);
                pcm.extend_from_slice(&frame[..made]);
                if made == 0 {
                    break;
                }
            }
        }
        pcm
    }

    fn heard<S: Sample>(config: DtmfConfig, pcm: &[S], frame: usize) -> Vec<HeardDigit> {
        let (mut detector, mut heard) = (DtmfDetector::new(config).unwrap(), Vec::new());
        pcm.chunks(frame).for_each(|frame| detector.hear(frame, |digit| heard.push(digit)));
        heard.extend(detector.finish());
        heard
    }

    #[test]
    fn every_digit_begins_and_ends_whatever_the_frames() {
        for rate in [8_000, 16_000, 24_000, 32_000, 40_000, 48_000] {
            let config = DtmfConfig { sample_rate_hz: rate, ..DtmfConfig::default() };
            let (short, float) = (sound::<i16>(rate, &Digit::ALL, 100), sound::<f32>(rate, &Digit::ALL, 100));
            let first = heard(config, &short, 160);
            let told: String = first.iter().filter(|heard| heard.ended).map(|heard| heard.digit.as_char()).collect();
            assert_eq!(told, "0123456789*#ABCD");
            assert_eq!(first.len(), 32);
            for frame in [1, 33, 960] {
                assert_eq!(heard(config, &short, frame), first);
            }
            let float = heard(config, &float, 480);
            assert!(
                float.iter().zip(&first).all(|(float, short)| (float.digit, float.ended) == (short.digit, short.ended))
            );
        }
    }

    #[test]
    fn times_and_levels_are_those_of_the_sound() {
        let heard = heard(DtmfConfig::default(), &sound::<i16>(8_000, &[Digit::Four], 400), 160);
        let [begun, ended] = heard[..] else { panic!("{heard:?}") };
        assert!(!begun.ended && ended.ended && begun.start == ended.start);
        // The ramps cross half of the amplitude half a millisecond within the digit.
        assert!(ended.start.as_micros().abs_diff(50_500) < 700, "{ended:?}");
        assert!(ended.duration.as_micros().abs_diff(69_000) < 1_000, "{ended:?}");
        assert!((ended.level_hundredths_dbm0 + 700).abs() < 40, "{ended:?}");
        assert!((29_500..36_000).contains(&begun.duration.as_micros()), "{begun:?}");
    }

    #[test]
    fn a_muted_digit_is_still_told_of_and_is_one_no_longer() {
        for rate in [8_000, 48_000] {
            let config = DtmfConfig { sample_rate_hz: rate, ..DtmfConfig::default() };
            for digit in Digit::ALL {
                let mut pcm = sound::<f32>(rate, &[digit; 3], 137);
                let (mut detector, mut told) = (DtmfDetector::new(config).unwrap(), 0);
                let all = pcm.clone();
                pcm.chunks_mut(rate as usize / 50).for_each(|frame| detector.hear_and_mute(frame, |_| told += 1));
                assert_eq!((told, heard(config, &pcm, 160)), (6, vec![]), "{digit}");
                let energy = |pcm: &[f32]| pcm.iter().map(|x| x * x).sum::<f32>();
                assert!(energy(&pcm) < energy(&all) * 0.3, "{digit}: {} of {}", energy(&pcm), energy(&all));
            }
        }
    }

    #[test]
    fn sound_that_is_no_digit_passes_as_it_was() {
        let mut seed = 1u32;
        let mut noise = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 18) as i16 - 8_192
        };
        let pcm: Vec<i16> = (0..80_000).map(|_| noise()).collect();
        let mut passed = pcm.clone();
        let mut detector = DtmfDetector::new(DtmfConfig::default()).unwrap();
        passed.chunks_mut(160).for_each(|frame| detector.hear_and_mute(frame, |digit| panic!("{digit:?}")));
        assert_eq!(pcm, passed);
    }

    #[test]
    fn nothing_that_is_wrong_with_a_sound_stays() {
        let bad: [f32; 6] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, 1.0, -1.0];
        for value in bad {
            let mut detector = DtmfDetector::new(DtmfConfig::default()).unwrap();
            detector.hear(&[value; 4_000], |digit| panic!("{digit:?}"));
            let mut told = 0;
            detector.hear(&sound::<f32>(8_000, &[Digit::One], 400), |_| told += 1);
            assert_eq!(told, 2, "after {value}");
        }
        // A square wave of full scale is as loud as sound can be.
        let square: Vec<i16> = (0..8_000).map(|n| if n % 10 < 5 { i16::MAX } else { i16::MIN }).collect();
        assert_eq!(heard(DtmfConfig::default(), &square, 160), []);
    }

    #[test]
    fn one_that_was_reset_hears_as_a_new_one() {
        let pcm = sound::<i16>(8_000, &[Digit::D, Digit::Two], 0);
        let mut detector = DtmfDetector::new(DtmfConfig::default()).unwrap();
        detector.hear(&pcm[..400], |_| ());
        assert_eq!(detector.sounding(), Some(Digit::D));
        detector.reset();
        assert_eq!(detector.sounding(), None);
        let mut told = Vec::new();
        detector.hear(&pcm, |digit| told.push(digit));
        told.extend(detector.finish());
        assert_eq!(told, heard(DtmfConfig::default(), &pcm, 160));
    }

    #[test]
    fn what_is_out_of_range_is_an_error() {
        let new = |change: fn(&mut DtmfConfig)| {
            let mut config = DtmfConfig::default();
            change(&mut config);
            DtmfDetector::new(config).err()
        };
        assert_eq!(new(|config| config.sample_rate_hz = 44_100), Some(DtmfError::Rate(44_100)));
        assert_eq!(new(|config| config.sample_rate_hz = 56_000), Some(DtmfError::Rate(56_000)));
        assert_eq!(new(|config| config.least_level_dbm0 = -46), Some(DtmfError::LeastLevel(-46)));
        assert_eq!(new(|config| config.row_louder_db = 21), Some(DtmfError::Twist(21)));
    }

    proptest! {
        #[test]
        fn no_sound_makes_it_panic(
            parts in proptest::collection::vec((any::<i16>(), any::<i16>(), 1usize..300, 1usize..50), 1..40),
            rate in 1u32..=6,
        ) {
            let config = DtmfConfig { sample_rate_hz: rate * 8_000, least_level_dbm0: -45, ..DtmfConfig::default() };
            let mut detector = DtmfDetector::new(config).unwrap();
            for (one, other, length, period) in parts {
                let mut pcm: Vec<i16> = (0..length * 10).map(|n| if n % period < period / 2 { one } else { other }).collect();
                detector.hear_and_mute(&mut pcm, |_| ());
            }
        }
    }
}

//! Everything that is measured of one channel of a call or a file: levels, faults, and when they occurred.
//!
//! A [`SoundMeter`] takes in sound in pieces of any length and combines the other meters: RMS, peak, active speech
//! level ([`active_level`](super::active_level)), clipping, silence and DC ([`faults`](super::faults)), and howling
//! ([`howling`](super::howling)). For each fault it tells in blocks of 10 ms how long it lasted in all, when it first
//! began and when it last ended ([`Spell`]), in ms of the sound that was heard. Use it to check calls and recordings,
//! and a single meter where one figure is enough.
//!
//! There is no delay, as the signal is only read. The cost is that of the three meters, half of it that of the howling
//! detector's spectra, so a call should have it only where it is wanted. It takes 1.1 KB.
//!
//! A second of a recording, and when it was silent:
//!
//! ```
//! use dsp_core::process::metering::{MeteringError, SoundMeter};
//!
//! let mut meter = SoundMeter::new(8_000)?;
//! let tone: [i16; 8_000] =
//!     core::array::from_fn(|n| (8_000.0 * (n as f32 * core::f32::consts::TAU / 20.0).sin()) as i16);
//! meter.hear(&tone[..4_000]);
//! meter.hear(&[0i16; 2_000]);
//! meter.hear(&tone[..2_000]);
//! let stats = meter.read();
//! assert_eq!(stats.heard_ms, 1_000);
//! assert_eq!((stats.silent.first_ms, stats.silent.total_ms), (500, 250));
//! assert!(stats.clipped.is_empty() && stats.howling.is_empty());
//! # Ok::<(), MeteringError>(())
//! ```

use core::fmt;

use super::active_level::{ActiveLevel, ActiveLevelMeter};
use super::faults::{FaultConfig, FaultMeter, Faults};
use super::howling::HowlingDetector;
use super::level::Level;
use crate::sample::Sample;

/// The sample rate of a [`SoundMeter`] is not between 8,000 and 48,000 Hz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MeteringError {
    /// Sample rate that was asked for, in Hz.
    pub sample_rate_hz: u32,
}

impl fmt::Display for MeteringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} Hz; sound is metered at 8000 to 48000 Hz", self.sample_rate_hz)
    }
}

impl core::error::Error for MeteringError {}

/// When a fault was present, in blocks of 10 ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Spell {
    /// Total duration, in ms.
    pub total_ms: u32,
    /// Longest duration without a break, in ms.
    pub longest_ms: u32,
    /// When it first began, in ms of sound.
    pub first_ms: u32,
    /// When it last ended, in ms of sound.
    pub last_ms: u32,
}

impl Spell {
    /// Whether it was never present.
    pub fn is_empty(&self) -> bool {
        self.total_ms == 0
    }

    /// Share of `ms` milliseconds in which it was present, 0 to 1.
    pub fn share_of(&self, ms: u64) -> f32 {
        if ms == 0 { 0.0 } else { self.total_ms as f32 / ms as f32 }
    }
}

/// What a [`SoundMeter`] has measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SoundStats {
    /// Length of the sound that was heard, in ms.
    pub heard_ms: u32,
    /// RMS level, and the active speech level of ITU-T P.56 with its activity.
    pub level: ActiveLevel,
    /// Highest magnitude.
    pub peak: Level,
    /// Shares of clipped and silent samples, and DC.
    pub faults: Faults,
    /// Blocks with samples that were clipped at the overload point of 16 bits or of G.711.
    pub clipped: Spell,
    /// Blocks with flat tops below the overload point: sound that was clipped before and made quieter since. The
    /// coarse steps of G.711 make such tops too.
    pub flattened: Spell,
    /// Blocks below -70 dBov without their DC.
    pub silent: Spell,
    /// Blocks whose samples are all equal: a microphone that is switched off or missing.
    pub digital_silence: Spell,
    /// A steady tone, as of a loop from loudspeaker to microphone, from the time at which it was recognised.
    pub howling: Spell,
    /// Frequency of the last such tone in Hz, within 3 %; 0 if there was none.
    pub howling_hz: u32,
}

impl Default for SoundStats {
    /// The measurements of no sound.
    fn default() -> Self {
        Self {
            heard_ms: 0,
            level: ActiveLevel { long_term: Level::SILENCE, active: None, activity_hundredths_percent: 0 },
            peak: Level::SILENCE,
            faults: Faults::default(),
            clipped: Spell::default(),
            flattened: Spell::default(),
            silent: Spell::default(),
            digital_silence: Spell::default(),
            howling: Spell::default(),
            howling_hz: 0,
        }
    }
}

/// A spell that is being counted, in blocks.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    blocks: u32,
    run: u32,
    longest: u32,
    first: u32,
    last: u32,
}

impl Counted {
    #[inline]
    fn block(&mut self, at: u32, is: bool) {
        if !is {
            self.run = 0;
            return;
        }
        self.first = if self.blocks == 0 { at } else { self.first };
        self.blocks = self.blocks.saturating_add(1);
        self.run = self.run.saturating_add(1);
        self.longest = self.longest.max(self.run);
        self.last = at.saturating_add(1);
    }

    fn spell(&self) -> Spell {
        let ms = |blocks: u32| blocks.saturating_mul(SoundMeter::BLOCK_MS);
        Spell {
            total_ms: ms(self.blocks),
            longest_ms: ms(self.longest),
            first_ms: ms(self.first),
            last_ms: ms(self.last),
        }
    }
}

/// Measures everything of one channel of `i16` or `f32`. [The module's page](self) has an example.
#[derive(Clone, Copy, Debug)]
pub struct SoundMeter {
    rate_hz: u32,
    level: ActiveLevelMeter,
    faults: FaultMeter,
    howling: HowlingDetector,
    /// The highest magnitude, where full scale is 2^31.
    peak: u32,
    /// Samples of the block that isn't whole, and how many are.
    heard: usize,
    blocks: u32,
    /// Counts of the fault meter before this block.
    before: [u64; 4],
    clipped: Counted,
    flattened: Counted,
    silent: Counted,
    digital_silence: Counted,
    howled: Counted,
    howling_hz: u32,
}

impl SoundMeter {
    /// Length of a block, in ms.
    pub const BLOCK_MS: u32 = 10;

    /// A meter that has not heard anything, for this sample rate in Hz.
    ///
    /// # Errors
    /// Returns a [`MeteringError`] for a rate outside 8,000 to 48,000 Hz.
    pub fn new(sample_rate_hz: u32) -> Result<Self, MeteringError> {
        let wrong = MeteringError { sample_rate_hz };
        Ok(Self {
            rate_hz: sample_rate_hz,
            level: ActiveLevelMeter::new(sample_rate_hz).map_err(|_| wrong)?,
            faults: FaultMeter::new(FaultConfig { sample_rate_hz }).map_err(|_| wrong)?,
            howling: HowlingDetector::new(sample_rate_hz).map_err(|_| wrong)?,
            peak: 0,
            heard: 0,
            blocks: 0,
            before: [0; 4],
            clipped: Counted::default(),
            flattened: Counted::default(),
            silent: Counted::default(),
            digital_silence: Counted::default(),
            howled: Counted::default(),
            howling_hz: 0,
        })
    }

    /// Sample rate, in Hz.
    pub fn sample_rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// Takes in the next samples, any number. NaN counts as silence, and values beyond full scale count as full scale.
    pub fn hear<S: Sample>(&mut self, pcm: &[S]) {
        let block = (self.rate_hz / 100) as usize;
        let mut rest = pcm;
        while !rest.is_empty() {
            let (now, later) = rest.split_at((block - self.heard).min(rest.len()));
            rest = later;
            self.level.hear(now);
            self.faults.hear(now);
            self.howling.hear(now);
            self.peak = now.iter().fold(self.peak, |peak, sample| peak.max(sample.to_i32().unsigned_abs()));
            self.heard += now.len();
            if self.heard == block {
                self.turn();
            }
        }
    }

    /// Ends a block.
    fn turn(&mut self) {
        let (at, counts) = (self.blocks, self.faults.counts());
        let [clipped, flattened, silent, alike] = core::array::from_fn(|n| counts[n] > self.before[n]);
        self.clipped.block(at, clipped);
        self.flattened.block(at, flattened);
        self.silent.block(at, silent);
        self.digital_silence.block(at, alike);
        let howls = self.howling.is_howling();
        self.howled.block(at, howls);
        self.howling_hz = if howls { self.howling.frequency_hz() } else { self.howling_hz };
        (self.before, self.heard) = (counts, 0);
        self.blocks = self.blocks.saturating_add(1);
    }

    /// What was measured so far. Measuring goes on. A block that is not complete counts in levels and shares only.
    pub fn read(&self) -> SoundStats {
        // In 2^-46 of full scale squared.
        let peak = u64::from(self.peak >> 8);
        SoundStats {
            heard_ms: self.blocks.saturating_mul(Self::BLOCK_MS),
            level: self.level.read(),
            peak: Level::of_power(peak * peak),
            faults: self.faults.read(),
            clipped: self.clipped.spell(),
            flattened: self.flattened.spell(),
            silent: self.silent.spell(),
            digital_silence: self.digital_silence.spell(),
            howling: self.howled.spell(),
            howling_hz: self.howling_hz,
        }
    }

    /// Whether there is howling now.
    pub fn is_howling(&self) -> bool {
        self.howling.is_howling()
    }

    /// Forgets everything heard so far.
    pub fn reset(&mut self) {
        // A rate that was taken is taken again.
        if let Ok(new) = Self::new(self.rate_hz) {
            *self = new;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn sine(amplitude: f64, seconds: f64, rate: u32) -> Vec<f32> {
        let turn = core::f64::consts::TAU * 200.0 / f64::from(rate);
        let samples = (seconds * f64::from(rate)) as usize;
        (0..samples).map(|n| ((n as f64 * turn).sin() * amplitude).clamp(-1.0, 1.0) as f32).collect()
    }

    #[test]
    fn what_is_wrong_is_told_with_its_time_whatever_the_pieces() {
        for rate in [8_000, 11_025, 16_000, 48_000] {
            let scaled = |pcm: Vec<f32>| pcm.into_iter().map(|sample| sample * 0.5).collect::<Vec<_>>();
            // Sound; clipped; silence; clipped and then made quieter; sound.
            let pcm = [
                sine(0.3, 1.0, rate),
                sine(2.0, 0.5, rate),
                std::vec![0.0; rate as usize * 2],
                scaled(sine(2.0, 0.5, rate)),
                sine(0.3, 1.0, rate),
            ]
            .concat();
            let mut whole = SoundMeter::new(rate).unwrap();
            whole.hear(&pcm);
            let read = whole.read();
            let mut parts = SoundMeter::new(rate).unwrap();
            pcm.chunks(97).for_each(|part| parts.hear(part));
            assert_eq!(parts.read(), read, "{rate}");
            let near = |ms: u32, wanted: u32| ms.abs_diff(wanted) <= 30;
            assert!(near(read.heard_ms, 5_000), "{rate}: {read:?}");
            let Spell { total_ms, longest_ms, first_ms, last_ms } = read.clipped;
            assert!(near(total_ms, 500) && near(longest_ms, 500), "{rate}: {read:?}");
            assert!(near(first_ms, 1_000) && near(last_ms, 1_500), "{rate}: {read:?}");
            assert!(near(read.flattened.first_ms, 3_500) && near(read.flattened.last_ms, 4_000), "{rate}: {read:?}");
            assert!(
                near(read.digital_silence.longest_ms, 2_000) && near(read.silent.total_ms, 2_000),
                "{rate}: {read:?}"
            );
            assert!((read.digital_silence.share_of(u64::from(read.heard_ms)) - 0.4).abs() < 0.01);
            assert!(read.peak.hundredths_dbov() == 0 && read.howling.is_empty());
            whole.reset();
            assert_eq!(whole.read(), SoundStats::default());
        }
    }

    #[test]
    fn nothing_and_the_impossible_are_measured_too() {
        for rate in [0, 7_999, 48_001, 192_000] {
            assert_eq!(SoundMeter::new(rate).err(), Some(MeteringError { sample_rate_hz: rate }));
        }
        let mut meter = SoundMeter::new(8_000).unwrap();
        assert_eq!(meter.read(), SoundStats::default());
        assert_eq!(Spell::default().share_of(0), 0.0);
        meter.hear(&[f32::NAN; 8_000]);
        assert_eq!(meter.read().digital_silence.total_ms, 1_000);
        meter.hear(&[f32::NEG_INFINITY; 8_000]);
        assert_eq!((meter.read().peak.hundredths_dbov(), meter.read().faults.dc), (0, -16_384));
        // A tone that grows until it is cut howls.
        let turn = core::f64::consts::TAU / 8.0;
        let tone = |n: usize| ((n as f64 * turn).sin() * (n as f64 / 8_000.0).min(1.0) * 32_767.0) as i16;
        meter.hear(&(0..24_000).map(tone).collect::<Vec<_>>());
        let read = meter.read();
        assert!((2_400..3_300).contains(&read.howling.first_ms) && read.howling.last_ms == 5_000, "{read:?}");
        assert!((970..1_030).contains(&read.howling_hz), "{read:?}");
    }
}

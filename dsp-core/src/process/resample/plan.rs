//! How a resampler between two sample rates is built: length of the filter, sizes of table and history, and delay.

use core::fmt;

use super::prototype::Prototype;
use crate::kernel::LANES;
use crate::time::{Duration, common_divisor};

/// The rates that are resampled, in Hz.
const RATES: core::ops::RangeInclusive<u32> = 4_000..=192_000;
/// The most phases of an exact ratio: those of 11.025 to 96 kHz.
const MOST_PHASES: u32 = 1_280;
/// A steered resampler's positions in a sample are multiples of one over this many, by the phases.
pub(super) const PARTS: u64 = 1_000_000_000;
/// Greatest change of a steered ratio in either direction, in parts per billion.
pub const MAX_PPB: i32 = 5_000_000;

/// How much of the band is kept, and how much of the rest is left.
///
/// The band reaches to half of the lower sample rate. The figures are those of the filter; `i16` adds its rounding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Quality {
    /// For telephone speech on small processors: flat to 0.86 of the band, 70 dB down from 1.14 on; 32 taps.
    Fast,
    /// For speech and calls: flat to 0.86 of the band, 90 dB down from 1.05 on; 64 taps.
    #[default]
    Good,
    /// For music and files: flat to 0.9 of the band, 130 dB down from 1.0 on; 176 taps.
    Best,
}

impl Quality {
    /// Taps by samples of the lower rate, the middle of the transition in parts of the band, the stopband in dB, and a
    /// steered resampler's phases a sample of the lower rate.
    const fn design(self) -> (u32, f64, f64, u32) {
        match self {
            Self::Fast => (32, 1.0, 71.0, 32),
            Self::Good => (64, 0.955, 91.0, 128),
            Self::Best => (176, 0.95, 134.0, 512),
        }
    }
}

/// Why there is no such resampler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ResampleError {
    /// A rate is outside 4 to 192 kHz.
    Rate {
        /// Sample rate of the input, in Hz.
        from_hz: u32,
        /// Sample rate of the output, in Hz.
        to_hz: u32,
    },
    /// The ratio of these rates needs more than 1,280 phases. A [steered](Plan::steered) resampler, which
    /// interpolates, can do it.
    Ratio {
        /// Sample rate of the input, in Hz.
        from_hz: u32,
        /// Sample rate of the output, in Hz.
        to_hz: u32,
        /// Phases that it would need.
        phases: u32,
    },
    /// The table does not have the length that the plan says.
    Table {
        /// Blocks of taps that it needs.
        need: usize,
        /// Blocks of taps that it has.
        got: usize,
    },
    /// The history is too short.
    History {
        /// Samples that it needs at least.
        need: usize,
        /// Samples that it has.
        got: usize,
    },
}

impl fmt::Display for ResampleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate { from_hz, to_hz } => {
                write!(f, "no resampling from {from_hz} to {to_hz} Hz: rates go from 4 to 192 kHz")
            }
            Self::Ratio { from_hz, to_hz, phases } => {
                write!(f, "no exact resampling from {from_hz} to {to_hz} Hz: {phases} phases of at most {MOST_PHASES}")
            }
            Self::Table { need, got } => write!(f, "a table of {got} blocks of taps: {need} needed"),
            Self::History { need, got } => write!(f, "a history of {got} samples: at least {need} needed"),
        }
    }
}

impl core::error::Error for ResampleError {}

/// How a resampler between two sample rates is built: plain numbers, computed in a constant expression or at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    from_hz: u32,
    to_hz: u32,
    quality: Quality,
    steered: bool,
    /// The ratio in lowest terms: this many samples out ...
    up: u32,
    /// ... of this many in.
    down: u32,
    taps: u32,
    phases: u32,
}

impl Plan {
    /// A plan for the exact ratio of two sample rates, in Hz, with one set of taps for each phase.
    ///
    /// # Errors
    /// Returns [`ResampleError::Rate`] for a rate outside 4 to 192 kHz, and [`ResampleError::Ratio`] if the ratio
    /// needs more than 1,280 phases.
    pub const fn exact(from_hz: u32, to_hz: u32, quality: Quality) -> Result<Self, ResampleError> {
        match Self::new(from_hz, to_hz, quality, false) {
            Ok(plan) if plan.phases > MOST_PHASES => Err(ResampleError::Ratio { from_hz, to_hz, phases: plan.phases }),
            plan => plan,
        }
    }

    /// A plan whose ratio can be steered while it runs, by [`MAX_PPB`] in either direction. Taps are interpolated
    /// linearly between two phases of a table, at twice the cost of an exact ratio.
    ///
    /// # Errors
    /// Returns [`ResampleError::Rate`] for a rate outside 4 to 192 kHz.
    pub const fn steered(from_hz: u32, to_hz: u32, quality: Quality) -> Result<Self, ResampleError> {
        Self::new(from_hz, to_hz, quality, true)
    }

    const fn new(from_hz: u32, to_hz: u32, quality: Quality, steered: bool) -> Result<Self, ResampleError> {
        let (least, most) = (*RATES.start(), *RATES.end());
        if from_hz < least || from_hz > most || to_hz < least || to_hz > most {
            return Err(ResampleError::Rate { from_hz, to_hz });
        }
        let common = common_divisor(from_hz, to_hz);
        let (up, down) = (to_hz / common, from_hz / common);
        let (taps, _, _, phases) = quality.design();
        let (taps, interpolated) = if down > up {
            ((taps as u64 * down as u64).div_ceil(up as u64) as u32, (phases as u64 * up as u64).div_ceil(down as u64))
        } else {
            (taps, phases as u64)
        };
        let phases = if steered { interpolated as u32 } else { up };
        Ok(Self { from_hz, to_hz, quality, steered, up, down, taps: taps.next_multiple_of(LANES as u32), phases })
    }

    /// Sample rate of the input, in Hz.
    pub const fn from_hz(&self) -> u32 {
        self.from_hz
    }

    /// Sample rate of the output, in Hz.
    pub const fn to_hz(&self) -> u32 {
        self.to_hz
    }

    /// Quality of the filter.
    pub const fn quality(&self) -> Quality {
        self.quality
    }

    /// Whether the ratio can be steered.
    pub const fn is_steered(&self) -> bool {
        self.steered
    }

    /// Number of input samples from which one output sample is computed.
    pub const fn taps(&self) -> usize {
        self.taps as usize
    }

    /// Number of blocks of eight taps in the table, 32 bytes each, for `i16` and `f32`.
    pub const fn table_len(&self) -> usize {
        self.taps() / LANES * self.rows()
    }

    /// Number of samples of history for a channel that takes `input` samples at a time. Fewer are possible, down to
    /// [`taps`](Self::taps), but take more copying.
    pub const fn history_len(&self, input: usize) -> usize {
        self.taps() - 1 + if input == 0 { 1 } else { input }
    }

    /// Delay in samples of the input: exactly half the filter.
    pub const fn delay_samples(&self) -> usize {
        self.taps() / 2
    }

    /// Delay as a time, to the microsecond.
    pub const fn delay(&self) -> Duration {
        let micros = self.delay_samples() as u64 * 1_000_000;
        Duration::from_micros((micros + self.from_hz as u64 / 2) / self.from_hz as u64)
    }

    /// Number of samples that have been written when `input` have been taken, if the ratio is not steered: the ratio,
    /// rounded up.
    pub const fn output_len(&self, input: u64) -> u64 {
        let (up, down) = (self.up as u128, self.down as u128);
        (input as u128 * up).div_ceil(down) as u64
    }

    /// Sets of taps: an interpolated table has the next sample's first one too.
    const fn rows(&self) -> usize {
        self.phases as usize + self.steered as usize
    }

    /// The real taps of a block of the table.
    pub(super) const fn block(&self, index: usize, prototype: &Prototype) -> [f64; LANES] {
        let blocks = self.taps() / LANES;
        let (row, first) = (index / blocks, index % blocks * LANES);
        let phase = row as f64 / self.phases as f64;
        let mut real = [0.0; LANES];
        let mut lane = 0;
        while lane < LANES {
            // The newest sample, which is the last, lies half the filter behind the middle.
            let samples = self.taps() as i64 / 2 - 1 - (first + lane) as i64;
            real[lane] = prototype.at(phase + samples as f64);
            lane += 1;
        }
        real
    }

    pub(super) const fn prototype(&self) -> Prototype {
        let (_, middle, stopband_db, _) = self.quality.design();
        let band = if self.down > self.up { self.up as f64 / self.down as f64 } else { 1.0 };
        Prototype::new(self.taps as f64 / 2.0, middle * band, stopband_db)
    }

    /// Positions in a sample of the input: the phases, or [`PARTS`] in each.
    pub(super) const fn positions(&self) -> u64 {
        if self.steered { self.up as u64 * PARTS } else { self.up as u64 }
    }

    /// Positions from a sample of the output to the next, with `ppb` parts per billion more samples out of the same
    /// input.
    pub(super) fn step(&self, ppb: i32) -> u64 {
        if !self.steered {
            return u64::from(self.down);
        }
        let ppb = i64::from(ppb.clamp(-MAX_PPB, MAX_PPB));
        let (unsteered, ratio) = (u128::from(self.down) * u128::from(PARTS), (PARTS as i64 + ppb) as u128);
        ((unsteered * u128::from(PARTS) + ratio / 2) / ratio) as u64
    }

    /// The phase of the table, with 32 bits behind the point, is a position by this, 2^-50.
    pub(super) fn phase_factor(&self) -> u64 {
        ((u128::from(self.phases) << 82) / u128::from(self.positions())) as u64
    }
}

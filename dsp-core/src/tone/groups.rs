//! The two frequency groups of DTMF, each moved to DC by a complex filter and measured at 1 kHz.
//!
//! For each group, a filter of 48 taps (6 ms), a Kaiser-windowed low-pass moved to the middle of the group, lets one
//! group pass and attenuates the other by at least 29 dB. Its output is one rotating pointer for each millisecond,
//! since within a group a digit is one sine. Products of the output with itself 0, 1 and 4 ms ago give the power,
//! which of the four frequencies it is and how pure, and how far it is off (S. Miller and M. Rochwarger, "A covariance
//! approach to spectral moment estimation", 1972: pulse pairs).
//!
//! The arithmetic is integer, since 16 bits are more than a digit needs; `f32` samples are rounded first. Higher rates
//! are brought to 8 kHz by averaging neighbours, which costs less than filters of their own: the zeros of the average
//! lie on what would fold to DC, and what folds onto the digits' frequencies is attenuated by 10 to 13 dB.
//!
//! The filters delay by 3 ms. The cost is 24 multiplications of 16 bits for each sample, which vector units do eight
//! at a time.

use crate::math::sin_cos;
use crate::process::eight_khz::EightKhz;
use crate::process::resample::Prototype;
use crate::sample::Sample;

use super::digit::{COLUMNS_HZ, ROWS_HZ};

/// Samples at 8 kHz from one pointer to the next.
const STEP: usize = 8;
/// Pointers in a hop.
pub(super) const PER_HOP: usize = 4;
/// Samples at 8 kHz in a hop.
pub(super) const HOP: usize = STEP * PER_HOP;
/// Taps of the longest filter.
const TAPS: usize = 48;
/// Samples that a hop needs of those before it.
const PAST: usize = TAPS - STEP;
/// From a pointer's place to the middle of what it was made from, in samples: its newest sample is the 8th behind that place.
pub(super) const MIDDLE: i64 = TAPS as i64 / 2 - STEP as i64;
/// Bits that sums of products lose in a hop, so that sums over windows fit 32.
const SUM_SHIFT: u32 = 6;

/// A filter's taps, as many of them as it has: real and imaginary.
type Taps = [[[i16; STEP]; TAPS / STEP]; 2];

/// What a group is told by.
#[derive(Debug)]
pub(super) struct Group {
    taps: Taps,
    /// Eights of taps.
    blocks: usize,
    /// How much too low the power of each frequency comes out, in 2^-12: 2 % below it, at it, and 2 % above.
    pub(super) gains: [[i32; 3]; 4],
    /// How far each frequency turns in 1 ms and in 4 ms: cosine and sine in 2^-14.
    pub(super) turns: [[[i32; 2]; 2]; 4],
    /// The tangent of how far a frequency that is 2 % off turns beyond it in 4 ms, in 2^-12.
    pub(super) tolerances: [i32; 4],
}

/// How far a frequency may be off, as a share of itself: 1.5 % must be accepted, 3.5 % must not, and measurements in
/// noise are within 0.2 %.
const TOLERANCE: f64 = 0.02;

pub(super) static LOW: Group = Group::new(ROWS_HZ, 819.0, 180.0, 6);
pub(super) static HIGH: Group = Group::new(COLUMNS_HZ, 1_421.0, 300.0, 6);

const fn rounded(x: f64) -> i32 {
    (if x < 0.0 { x - 0.5 } else { x + 0.5 }) as i32
}

impl Group {
    /// `cutoff_hz` is where the low-pass is at -6 dB, either side of the middle.
    const fn new(frequencies_hz: [u32; 4], middle_hz: f64, cutoff_hz: f64, blocks: usize) -> Self {
        let length = blocks * STEP;
        let prototype = Prototype::new(length as f64 / 2.0, 2.0 * cutoff_hz / 8_000.0, 27.0);
        let middle = length as f64 / 2.0 - 0.5;
        let mut sum = 0.0;
        let mut n = 0;
        while n < length {
            sum += prototype.at(n as f64 - middle);
            n += 1;
        }
        // A sine of the middle's frequency makes a pointer of the sine's amplitude; the shift of the sum is 15.
        let scale = 65_536.0 / sum;
        let mut taps = [[[0; STEP]; TAPS / STEP]; 2];
        n = 0;
        while n < length {
            let time = n as f64 - middle;
            let (sin, cos) = sin_cos(middle_hz / 8_000.0 * time);
            let tap = prototype.at(time) * scale;
            taps[0][n / STEP][n % STEP] = rounded(tap * cos) as i16;
            taps[1][n / STEP][n % STEP] = rounded(-tap * sin) as i16;
            n += 1;
        }
        let (mut gains, mut turns, mut tolerances) = ([[0; 3]; 4], [[[0; 2]; 2]; 4], [0; 4]);
        let mut index = 0;
        while index < 4 {
            let hz = frequencies_hz[index] as f64;
            let mut off = 0;
            while off < 3 {
                let apart_hz = hz * (1.0 + TOLERANCE * (off as f64 - 1.0)) - middle_hz;
                let mut amplitude = 0.0;
                n = 0;
                while n < length {
                    let time = n as f64 - middle;
                    amplitude += prototype.at(time) * sin_cos(apart_hz / 8_000.0 * time).1;
                    n += 1;
                }
                amplitude /= sum;
                gains[index][off] = rounded(4_096.0 / (amplitude * amplitude));
                off += 1;
            }
            let mut lag = 0;
            while lag < 2 {
                let (sin, cos) = sin_cos(hz / 1_000.0 * LAGS[lag] as f64);
                turns[index][lag] = [rounded(cos * 16_384.0), rounded(sin * 16_384.0)];
                lag += 1;
            }
            let (sin, cos) = sin_cos(hz * TOLERANCE / 1_000.0 * LAGS[1] as f64);
            tolerances[index] = rounded(sin / cos * 4_096.0);
            index += 1;
        }
        Self { taps, blocks, gains, turns, tolerances }
    }
}

/// Steps between the pointers of a pair. One tells the four frequencies of a group apart, the other how far off one is.
const LAGS: [usize; 2] = [1, 4];

/// Sums of one group over a hop or a window, in 2^6 of a squared sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pairs {
    /// Sum of squared magnitudes.
    pub(super) power: i32,
    /// Sums of products of pointers with those 1 and 4 ms before: real and imaginary.
    pub(super) lagged: [[i32; 2]; 2],
}

impl Pairs {
    fn exchange(&mut self, new: &Self, old: &Self) {
        self.power += new.power - old.power;
        for (own, (new, old)) in self.lagged.iter_mut().zip(new.lagged.iter().zip(old.lagged)) {
            own[0] += new[0] - old[0];
            own[1] += new[1] - old[1];
        }
    }

    /// How much of the power turns as a frequency does, `lag` 0 for 1 ms and 1 for 4 ms: along it and across, in 2^14 of
    /// `power`.
    pub(super) fn along(&self, turn: [i32; 2], lag: usize) -> [i64; 2] {
        let ([re, im], [cos, sin]) = (self.lagged[lag].map(i64::from), turn.map(i64::from));
        [re * cos + im * sin, im * cos - re * sin]
    }
}

/// What was heard in a hop of 4 ms, or in several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) low: Pairs,
    pub(super) high: Pairs,
    /// Power of all the sound in the same time, in units of `Pairs::power`.
    pub(super) whole: i64,
}

impl Heard {
    /// In a sum over hops: a new one comes, an old one goes. Integers, so that nothing is left of it.
    pub(super) fn exchange(&mut self, new: &Self, old: &Self) {
        self.low.exchange(&new.low, &old.low);
        self.high.exchange(&new.high, &old.high);
        self.whole += new.whole - old.whole;
    }
}

/// The pointers of one group: the last four before this hop, and this hop's.
#[derive(Clone, Copy, Debug)]
struct Pointers([[i32; 2]; LAGS[1] + PER_HOP]);

impl Pointers {
    fn hear(&mut self, group: &Group, sound: &[i16; PAST + HOP], powers: &mut [u32; PER_HOP]) -> Pairs {
        self.0.copy_within(PER_HOP.., 0);
        for step in 0..PER_HOP {
            // All filters have the same middle.
            let (sound, _) = sound[step * STEP + (TAPS - group.blocks * STEP) / 2..].as_chunks::<STEP>();
            let part = |taps: &[[i16; STEP]; TAPS / STEP]| {
                let sum = sum_of_products(sound, &taps[..group.blocks]);
                // A square wave is louder than a sine may be.
                ((sum >> 15) + ((sum >> 14) & 1)).clamp(i16::MIN.into(), i16::MAX.into())
            };
            self.0[LAGS[1] + step] = [part(&group.taps[0]), part(&group.taps[1])];
        }
        let mut power = 0i64;
        for (slot, [re, im]) in powers.iter_mut().zip(&self.0[LAGS[1]..]) {
            // Each square is at most 2^30.
            let square = (re * re) as u32 + (im * im) as u32;
            *slot += square >> 1;
            power += i64::from(square);
        }
        let lagged = LAGS.map(|lag| {
            let (mut along, mut across) = (0i64, 0i64);
            for step in 0..PER_HOP {
                let ([re, im], [old_re, old_im]) = (self.0[LAGS[1] + step], self.0[LAGS[1] + step - lag]);
                along += i64::from(re * old_re) + i64::from(im * old_im);
                across += i64::from(im * old_re) - i64::from(re * old_im);
            }
            [(along >> SUM_SHIFT) as i32, (across >> SUM_SHIFT) as i32]
        });
        Pairs { power: (power >> SUM_SHIFT) as i32, lagged }
    }
}

/// The magnitudes of a filter's taps sum to less than 2^16, so no sum is beyond 32 bits. A function of its own, since compilers see
/// the instruction that multiplies and adds 16-bit factors in pairs in this loop, and not where it is taken apart.
#[inline(never)]
fn sum_of_products(sound: &[[i16; STEP]], taps: &[[i16; STEP]]) -> i32 {
    let mut sum = 0i32;
    for (sound, taps) in sound.iter().zip(taps) {
        let mut block = 0i32;
        for (&sample, &tap) in sound.iter().zip(taps) {
            block = block.wrapping_add(i32::from(sample) * i32::from(tap));
        }
        sum = sum.wrapping_add(block);
    }
    sum
}

/// Turns sound into what each hop holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Groups {
    narrow: EightKhz,
    sound: [i16; PAST + HOP],
    filled: usize,
    low: Pointers,
    high: Pointers,
}

impl Groups {
    /// `factor` is the rate in units of 8 kHz: 1 to 6.
    pub(super) const fn new(factor: usize) -> Self {
        let none = Pointers([[0; 2]; LAGS[1] + PER_HOP]);
        Self { narrow: EightKhz::new(factor), sound: [0; PAST + HOP], filled: 0, low: none, high: none }
    }

    pub(super) const fn factor(&self) -> usize {
        self.narrow.factor()
    }

    /// Samples of the input until the hop is whole.
    pub(super) const fn missing(&self) -> usize {
        self.narrow.missing(HOP - self.filled)
    }

    /// Hears at most the missing samples.
    pub(super) fn gather<S: Sample>(&mut self, pcm: &[S]) {
        self.filled += self.narrow.bring(pcm, &mut self.sound[PAST + self.filled..]);
    }

    /// What was in the hop, once nothing of it is missing, and the power of both groups in each of its milliseconds.
    pub(super) fn hop(&mut self) -> (Heard, [u32; PER_HOP]) {
        let mut powers = [0; PER_HOP];
        let low = self.low.hear(&LOW, &self.sound, &mut powers);
        let high = self.high.hear(&HIGH, &self.sound, &mut powers);
        // The samples in the middle of the filters.
        let (blocks, _) = self.sound[(TAPS - STEP) / 2..][..HOP].as_chunks::<8>();
        let mut whole = 0i64;
        for block in blocks {
            let mut sum = 0u32;
            for &sample in block {
                sum = sum.wrapping_add((i32::from(sample) * i32::from(sample)) as u32 >> 3);
            }
            whole += i64::from(sum);
        }
        self.sound.copy_within(HOP.., 0);
        self.filled = 0;
        // A sine of amplitude a has 8 a^2 / 2 in a millisecond, where its pointer has a^2.
        (Heard { low, high, whole: (whole * 8 / 4) >> SUM_SHIFT }, powers)
    }
}

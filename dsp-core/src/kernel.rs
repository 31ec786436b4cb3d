//! Arithmetic of filters and sums on `i16` or `f32`, beyond what [`Sample`] alone offers. Use it to write a block once
//! for both kinds of samples; programs that only use blocks do not need it.
//!
//! | | `i16` | `f32` |
//! |---|---|---|
//! | [`Kernel::Sum`]: a sum of samples | `i32` | `f32` |
//! | [`Kernel::State`]: a filter's state | `i32`: 4 bits below a sample's step, 2,047 times its range above | `f32` |
//! | [`Kernel::Tap`]: one factor, -2 to just under 2 | 30 bits behind the point | `f32` |
//! | [`Kernel::Acc`]: a sum of states by taps | `i64` | `f32` |
//! | [`Kernel::Taps`]: eight factors of a FIR, -4 to just under 4 | 21 bits behind the point, in two halves | `f32` |
//!
//! Designs are real numbers (`f64`) and are quantised where they are made: in constant expressions by [`tap`] and
//! [`Taps16::new`], or when a block is made. Only `+ - *`, comparison and conversion are used, and never a fused
//! multiply-add. Sums are exact (`i16`) or in one fixed order (`f32`), so that results are the same bits on every
//! target.
//!
//! [`Kernel::settle`] and [`Kernel::narrow`] of `i16` round halves up; `narrow` alone saturates, once. On a Cortex-M3,
//! one output of an FIR filter of 160 taps takes 1,179 instructions in `i16` (`BENCHMARKS.md`).
//!
//! A sum that does not overflow on its way and saturates once at its end:
//!
//! ```
//! use dsp_core::kernel::Kernel;
//!
//! /// What the first two play together, without the third.
//! fn without<S: Kernel>(both: [S; 2], third: S) -> S {
//!     S::saturated(both[0].whole() + both[1].whole() - third.whole())
//! }
//!
//! assert_eq!(without([30_000i16, 20_000], 20_000), 30_000);
//! assert_eq!(without([30_000i16, 20_000], 0), 32_767);
//! assert_eq!(without([0.75f32, 0.5], 0.5), 0.75);
//! ```

use core::ops::{Add, Sub};

use fixed::types::I2F30;

use crate::sample::Sample;

/// Bits of a 16-bit state below a sample's step.
const GUARD: u32 = 4;
/// Number of taps in one [`Kernel::Taps`].
pub const LANES: usize = 8;
/// Bits of [`Taps16`] behind the point, and those of its lower half.
const FIR_BITS: u32 = 21;
const LOW_BITS: u32 = 8;
/// Blocks of taps whose sums surely fit 32 bits: 256 products of a sample and a lower half stay below 2^30.
const BLOCKS: usize = 32;

/// Whether the processor surely has vectors of 16 bits. Where two ways to the same bits differ in speed alone, this chooses.
pub(crate) const VECTORS: bool =
    cfg!(any(target_feature = "sse2", target_feature = "neon", target_feature = "simd128"));

/// Whether leading zeros and quotients surely are an instruction each, or nobody counts what they take: a Cortex-M0, like other
/// ARM processors without atomic exchange, calls a routine of 40 or 150 instructions. Both ways have the same bits.
pub(crate) const COUNTS_ZEROS: bool = !cfg!(all(target_arch = "arm", not(target_has_atomic = "32")));

/// The tap nearest to a real number; beyond the range, the nearest end of it. For constant expressions.
pub const fn tap(real: f64) -> I2F30 {
    I2F30::from_bits(quantised(real, 30, i32::MIN, i32::MAX))
}

/// `real` in 2^-`bits`, to the nearest and within limits; NaN is 0.
const fn quantised(real: f64, bits: u32, least: i32, most: i32) -> i32 {
    let scaled = real * (1u64 << bits) as f64;
    // `as` saturates and takes NaN as 0; no tap reaches the ends of 64 bits.
    let nearest = if scaled < 0.0 { scaled - 0.5 } else { scaled + 0.5 } as i64;
    if nearest < least as i64 {
        least
    } else if nearest > most as i64 {
        most
    } else {
        nearest as i32
    }
}

/// A sample that filters and sums can work with: `i16` or `f32`.
pub trait Kernel: Sample {
    /// A sum of samples; for `i16` of at least 65,536 of them.
    type Sum: Copy + Default + PartialEq + core::fmt::Debug + Add<Output = Self::Sum> + Sub<Output = Self::Sum>;

    /// State of a filter: `i32` with 4 guard bits below and 11 above, or `f32`.
    type State: Copy + Default + PartialEq + core::fmt::Debug + Add<Output = Self::State> + Sub<Output = Self::State>;

    /// A factor from -2 to just under 2.
    type Tap: Copy + core::fmt::Debug;

    /// A sum of products of states and taps: `i64` or `f32`.
    type Acc: Copy + Default + core::fmt::Debug;

    /// [`LANES`] factors of an FIR filter, from -4 to just under 4.
    type Taps: Copy + Default + core::fmt::Debug;

    /// The sample as a sum; exact.
    fn whole(self) -> Self::Sum;

    /// A sum as a sample; `i16` saturates.
    fn saturated(sum: Self::Sum) -> Self;

    /// The sample as a state; exact.
    fn widen(self) -> Self::State;

    /// A state as a sample, rounded; `i16` saturates.
    fn narrow(state: Self::State) -> Self;

    /// The tap of a design; exact for `i16`, rounded to 24 significant bits for `f32`.
    fn tap(design: I2F30) -> Self::Tap;

    /// `acc + state * tap`.
    fn mac(acc: Self::Acc, state: Self::State, tap: Self::Tap) -> Self::Acc;

    /// Takes the nearest state out of `acc` and leaves what rounding lost there, for error feedback: at most half a
    /// step of the state, and nothing for `f32`. An `f32` state below -180 dB of full scale becomes 0, so that a
    /// filter comes to rest. An `i32` state beyond its range wraps: the gain of a filter must be below 2,047.
    fn settle(acc: &mut Self::Acc) -> Self::State;

    /// The taps nearest to real numbers.
    fn taps(real: &[f64; LANES]) -> Self::Taps;

    /// The sum of products of `samples` and `taps`, over the shorter of both; a last group of less than [`LANES`]
    /// samples is left out.
    ///
    /// `i16`: the sum is exact and rounded once to a state; the magnitudes of any 256 taps in a row must sum to less
    /// than 8. `f32`: there are sixteen partial sums, in turn, which are added by halves: (0 + 8), (4 + 12) and so on.
    fn dot(samples: &[Self], taps: &[Self::Taps]) -> Self::State;
}

/// Eight FIR taps for `i16`, 24 bits each, 21 of them behind the binary point. The upper 16 and the lower 8 bits are
/// kept apart, since processors multiply factors of 16 bits fastest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taps16 {
    high: [i16; LANES],
    /// -128 to 127.
    low: [i16; LANES],
}

impl Taps16 {
    /// The taps nearest to real numbers; beyond the range, the nearest end of it. For constant expressions.
    pub const fn new(real: &[f64; LANES]) -> Self {
        const HALF: i32 = 1 << (LOW_BITS - 1);
        const MOST: i32 = (1 << (FIR_BITS + 2)) - 1 - HALF;
        let (mut high, mut low) = ([0; LANES], [0; LANES]);
        let mut lane = 0;
        while lane < LANES {
            let tap = quantised(real[lane], FIR_BITS, -MOST, MOST);
            // The upper half to the nearest, so that the lower one is signed.
            high[lane] = ((tap + HALF) >> LOW_BITS) as i16;
            low[lane] = (tap - ((high[lane] as i32) << LOW_BITS)) as i16;
            lane += 1;
        }
        Self { high, low }
    }
}

/// The sum of products of at most [`BLOCKS`] blocks with one half of their taps. One half after the other: compilers see
/// an instruction that multiplies and adds 16-bit factors in pairs in this loop, and not in one of both halves.
#[inline]
fn sum_of_products(samples: &[[i16; LANES]], taps: &[Taps16], half: impl Fn(&Taps16) -> &[i16; LANES]) -> i64 {
    let mut sum = 0i32;
    for (samples, taps) in samples.iter().zip(taps) {
        let mut block = 0i32;
        for (&sample, &tap) in samples.iter().zip(half(taps)) {
            block = block.wrapping_add(i32::from(sample) * i32::from(tap));
        }
        sum = sum.wrapping_add(block);
    }
    i64::from(sum)
}

impl Kernel for i16 {
    type Sum = i32;
    type State = i32;
    type Tap = I2F30;
    type Acc = i64;
    type Taps = Taps16;

    #[inline]
    fn whole(self) -> i32 {
        self.into()
    }

    #[inline]
    fn saturated(sum: i32) -> Self {
        sum.clamp(Self::MIN.into(), Self::MAX.into()) as Self
    }

    #[inline]
    fn widen(self) -> i32 {
        i32::from(self) << GUARD
    }

    #[inline]
    fn narrow(state: i32) -> Self {
        // Half a step is added behind the shift, where it can't overflow.
        let step = (state >> GUARD) + ((state >> (GUARD - 1)) & 1);
        step.clamp(i32::from(Self::MIN), i32::from(Self::MAX)) as Self
    }

    #[inline]
    fn tap(design: I2F30) -> I2F30 {
        design
    }

    #[inline]
    fn mac(acc: i64, state: i32, tap: I2F30) -> i64 {
        acc + i64::from(state) * i64::from(tap.to_bits())
    }

    #[inline]
    fn settle(acc: &mut i64) -> i32 {
        let state = ((*acc + (1 << 29)) >> 30) as i32;
        *acc -= i64::from(state) << 30;
        state
    }

    #[inline]
    fn taps(real: &[f64; LANES]) -> Taps16 {
        Taps16::new(real)
    }

    #[inline]
    fn dot(samples: &[Self], taps: &[Taps16]) -> i32 {
        let (samples, _) = samples.as_chunks::<LANES>();
        let mut sum = 0i64;
        for (samples, taps) in samples.chunks(BLOCKS).zip(taps.chunks(BLOCKS)) {
            sum += (sum_of_products(samples, taps, |taps| &taps.high) << LOW_BITS)
                + sum_of_products(samples, taps, |taps| &taps.low);
        }
        ((sum + (1 << (FIR_BITS - GUARD - 1))) >> (FIR_BITS - GUARD)) as i32
    }
}

impl Kernel for f32 {
    type Sum = Self;
    type State = Self;
    type Tap = Self;
    type Acc = Self;
    type Taps = [Self; LANES];

    #[inline]
    fn whole(self) -> Self {
        self
    }

    #[inline]
    fn saturated(sum: Self) -> Self {
        sum
    }

    #[inline]
    fn widen(self) -> Self {
        self
    }

    #[inline]
    fn narrow(state: Self) -> Self {
        state
    }

    #[inline]
    fn tap(design: I2F30) -> Self {
        design.to_bits() as Self / 1_073_741_824.0
    }

    #[inline]
    fn mac(acc: Self, state: Self, tap: Self) -> Self {
        acc + state * tap
    }

    #[inline]
    fn settle(acc: &mut Self) -> Self {
        let state = core::mem::take(acc);
        // -180 dB. Processors are slow with the least numbers that a float can hold, where filters would end.
        if state.abs() < 1e-9 { 0.0 } else { state }
    }

    #[inline]
    fn taps(real: &[f64; LANES]) -> [Self; LANES] {
        real.map(|real| real as Self)
    }

    #[inline]
    fn dot(samples: &[Self], taps: &[[Self; LANES]]) -> Self {
        let (samples, _) = samples.as_chunks::<LANES>();
        let blocks = samples.len().min(taps.len());
        let (samples, taps) = (&samples[..blocks], &taps[..blocks]);
        let ((pairs, last), (tap_pairs, last_taps)) = (samples.as_chunks::<2>(), taps.as_chunks::<2>());
        let mut sums = [[0.0; LANES]; 2];
        for (samples, taps) in pairs.iter().zip(tap_pairs) {
            for half in 0..2 {
                for lane in 0..LANES {
                    sums[half][lane] += samples[half][lane] * taps[half][lane];
                }
            }
        }
        let [mut sum, other] = sums;
        for (samples, taps) in last.iter().zip(last_taps) {
            for lane in 0..LANES {
                sum[lane] += samples[lane] * taps[lane];
            }
        }
        for lane in 0..LANES {
            sum[lane] += other[lane];
        }
        let [a, b, c, d, e, f, g, h] = sum;
        ((a + e) + (c + g)) + ((b + f) + (d + h))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    /// Blocks of taps, and what they are once quantised.
    fn blocks<S: Kernel>(real: &[f64]) -> Vec<S::Taps> {
        real.chunks(LANES).map(|real| S::taps(real.try_into().unwrap())).collect()
    }

    #[test]
    fn samples_come_back_and_are_saturated_once() {
        for sample in i16::MIN..=i16::MAX {
            assert_eq!(i16::narrow(sample.widen()), sample);
            assert_eq!(f32::narrow(f32::from_i16(sample).widen()).to_i16(), sample);
        }
        let sum = i16::MAX.widen() + i16::MAX.widen() - i16::MIN.widen();
        assert_eq!(i16::narrow(sum), i16::MAX);
        assert_eq!(i16::narrow(sum - i16::MAX.widen() - i16::MAX.widen() + i16::MIN.widen()), 0);
        assert_eq!([i32::MAX, i32::MIN, 7, 8, -8, -9].map(i16::narrow), [i16::MAX, i16::MIN, 0, 1, 0, -1]);
        assert_eq!(f32::narrow(1.5f32.widen()), 1.5);
    }

    #[test]
    fn taps_are_the_nearest() {
        const HALF: I2F30 = tap(0.5);
        assert_eq!((HALF.to_bits(), f32::tap(HALF)), (1 << 29, 0.5));
        assert_eq!([tap(-7.0), tap(7.0), tap(f64::NAN)].map(I2F30::to_bits), [i32::MIN, i32::MAX, 0]);
        assert_eq!([tap(-2.0), tap(1e-9), tap(-1.5e-9)].map(I2F30::to_bits), [i32::MIN, 1, -2]);
        for step in -4_000..4_000 {
            let real = f64::from(step) / 1_000.1;
            let Taps16 { high, low } = Taps16::new(&[real; LANES]);
            assert!((-128..128).contains(&low[0]));
            let bits = i32::from(high[0]) * 256 + i32::from(low[0]);
            assert!((f64::from(bits) / 2_097_152.0 - real).abs() <= 0.5 / 2_097_152.0, "{real}: {bits}");
        }
        let ends = Taps16::new(&[9.0, -9.0, 4.0, -4.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 0.0]);
        assert_eq!((ends.high[0], ends.high[1], ends.high[4], ends.high[6]), (i16::MAX, -i16::MAX, i16::MAX, 0));
    }

    #[test]
    fn what_rounding_leaves_is_not_lost() {
        let mut acc = i16::mac(0, 1_000i16.widen(), tap(0.333_333));
        let all = acc;
        let state = i16::settle(&mut acc);
        assert_eq!(i16::mac(acc, state, tap(1.0)), all);
        assert!(acc.abs() <= 1 << 29);
        let mut acc = f32::mac(0.25, 0.5, 0.5);
        assert_eq!((f32::settle(&mut acc), acc), (0.5, 0.0));
    }

    #[test]
    fn a_dot_product_stops_where_the_shorter_ends() {
        let taps = blocks::<i16>(&[1.0; 16]);
        assert_eq!(i16::dot(&[16; 23], &taps), 16 * 16 * 16);
        assert_eq!(i16::dot(&[16; 15], &taps), 16 * 16 * 8);
        assert_eq!((i16::dot(&[], &taps), i16::dot(&[16; 64], &taps)), (0, 16 * 16 * 16));
        let taps = blocks::<f32>(&[1.0; 24]);
        assert_eq!([7, 8, 16, 24, 64].map(|n| f32::dot(&[1.0; 64][..n], &taps)), [0.0, 8.0, 16.0, 24.0, 24.0]);
    }

    #[test]
    fn the_loudest_signal_and_the_longest_filter_do_not_wrap() {
        // 4,096 taps of magnitudes that sum to 7.9 in every 256, against their own signs.
        let real: Vec<f64> = (0..4_096).map(|n| if n % 2 == 0 { 7.9 / 256.0 } else { -7.9 / 256.0 }).collect();
        for (even, odd) in [(i16::MIN, i16::MAX), (i16::MAX, i16::MIN)] {
            let samples: Vec<i16> = (0..4_096).map(|n| if n % 2 == 0 { even } else { odd }).collect();
            let exact: f64 = samples.iter().zip(&real).map(|(&x, tap)| f64::from(x) * tap).sum();
            let got = f64::from(i16::dot(&samples, &blocks::<i16>(&real))) / 16.0;
            assert!((got / exact - 1.0).abs() < 1e-4, "{got} {exact}");
        }
    }

    proptest! {
        #[test]
        fn dot_products_are_those_of_real_numbers(
            samples in proptest::collection::vec(any::<i16>(), 0..600),
            seed in any::<u32>(),
        ) {
            let mut state = seed;
            let length = samples.len() / LANES * LANES;
            let real: Vec<f64> = (0..length).map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                f64::from(state as i32) / 2f64.powi(31) / 64.0
            }).collect();
            let exact: f64 = samples.iter().zip(&real).map(|(&x, tap)| f64::from(x) / 32_768.0 * tap).sum();
            let short = f64::from(i16::dot(&samples, &blocks::<i16>(&real))) / 16.0 / 32_768.0;
            // Half a step of each tap by each sample, and half a step of a state.
            let bound = (length as f64) / 2.0 / 2_097_152.0 + 0.5 / 16.0 / 32_768.0;
            prop_assert!((short - exact).abs() <= bound, "{short} {exact}");
            let float: Vec<f32> = samples.iter().map(|&x| f32::from_i16(x)).collect();
            let float = f64::from(f32::dot(&float, &blocks::<f32>(&real)));
            prop_assert!((float - exact).abs() < 1e-6, "{float} {exact}");
        }
    }
}

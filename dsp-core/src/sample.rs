//! Samples: the number type on which blocks work, `i16` or `f32`, and its conversions. Use it to write a block for
//! both. What filters and sums need beyond that is [`Kernel`](crate::kernel::Kernel); the formats of sound cards and
//! files are in [`format`](crate::format).
//!
//! Full scale is 32768 for `i16` and 1.0 for `f32`. A coefficient is designed as [`I2F14`] (-2 to just under 2) for
//! both, so that a design needs no floating point where there is none. Only the `f32` version uses floating point, and
//! only `+ - *`, comparison and conversion, so that its results are the same bits on every target. Values are rounded
//! to the nearest, halves up (towards plus infinity). Conversion from floating point to integers saturates, and NaN
//! becomes 0. Every operation is a few instructions.
//!
//! A function that is written once for both:
//!
//! ```
//! use dsp_core::sample::Sample;
//!
//! fn loudest<S: Sample>(frame: &[S]) -> f32 {
//!     frame.iter().map(|sample| sample.to_f32().abs()).fold(0.0, f32::max)
//! }
//!
//! assert_eq!(loudest(&[100i16, -16_384]), 0.5);
//! assert_eq!(loudest(&[0.25f32, -0.125]), 0.25);
//! // Beyond full scale a conversion saturates.
//! assert_eq!(i16::from_f32(1.5), 32_767);
//! ```

use fixed::types::I2F14;

pub(crate) mod sealed {
    pub trait Sealed {}
    impl Sealed for i16 {}
    impl Sealed for f32 {}
}

/// A sample of PCM: `i16` or `f32`.
pub trait Sample: sealed::Sealed + Copy + Default + PartialEq + core::fmt::Debug + 'static {
    /// Bits that distinguish a sample from the next one near full scale: 16 for `i16`, and more than any integer
    /// format has for `f32`.
    const BITS: u32;

    /// A factor: [`I2F14`] or `f32`.
    type Coef: Copy;

    /// Converts from 16 bits; exact.
    fn from_i16(sample: i16) -> Self;

    /// Converts to 16 bits, rounded and saturated.
    fn to_i16(self) -> i16;

    /// Converts from 32 bits, left-justified (full scale 2^31); `i16` rounds and saturates.
    fn from_i32(sample: i32) -> Self;

    /// Converts to 32 bits, left-justified (full scale 2^31), saturated.
    fn to_i32(self) -> i32;

    /// Converts from `f32` with full scale 1.0; `i16` rounds and saturates.
    fn from_f32(sample: f32) -> Self;

    /// Converts to `f32` with full scale 1.0; exact.
    fn to_f32(self) -> f32;

    /// Converts from `f64` with full scale 1.0; `i16` rounds and saturates, `f32` rounds.
    fn from_f64(sample: f64) -> Self;

    /// Converts to `f64` with full scale 1.0; exact.
    fn to_f64(self) -> f64;

    /// The factor of a design; exact.
    fn coef(design: I2F14) -> Self::Coef;

    /// `self * factor`, rounded; `i16` saturates.
    fn scale(self, factor: Self::Coef) -> Self;

    /// `self + other`; `i16` saturates, `f32` keeps its headroom.
    fn mix(self, other: Self) -> Self;

    /// `(self + other) / 2`, rounded; never leaves the range.
    fn average(self, other: Self) -> Self;
}

impl Sample for i16 {
    const BITS: u32 = 16;
    type Coef = I2F14;

    #[inline]
    fn from_i16(sample: i16) -> Self {
        sample
    }

    #[inline]
    fn to_i16(self) -> i16 {
        self
    }

    #[inline]
    fn from_i32(sample: i32) -> Self {
        (sample.saturating_add(1 << 15) >> 16) as Self
    }

    #[inline]
    fn to_i32(self) -> i32 {
        i32::from(self) << 16
    }

    #[inline]
    fn from_f32(sample: f32) -> Self {
        sample.to_i16()
    }

    #[inline]
    fn to_f32(self) -> f32 {
        f32::from_i16(self)
    }

    #[inline]
    fn from_f64(sample: f64) -> Self {
        round_f64(sample * 32_768.0) as Self
    }

    #[inline]
    fn to_f64(self) -> f64 {
        f64::from(self) / 32_768.0
    }

    #[inline]
    fn coef(design: I2F14) -> I2F14 {
        design
    }

    #[inline]
    fn scale(self, factor: I2F14) -> Self {
        // At most 2^30 + 2^13: fits.
        let product = (i32::from(self) * i32::from(factor.to_bits()) + (1 << 13)) >> 14;
        product.clamp(i32::from(Self::MIN), i32::from(Self::MAX)) as Self
    }

    #[inline]
    fn mix(self, other: Self) -> Self {
        self.saturating_add(other)
    }

    #[inline]
    fn average(self, other: Self) -> Self {
        ((i32::from(self) + i32::from(other) + 1) >> 1) as Self
    }
}

/// The nearest whole number, halves up, for any `x`. Adding 2^23 leaves a float no bits for a fraction.
#[inline]
fn round(x: f32) -> f32 {
    const NO_FRACTION: f32 = 8_388_608.0;
    let shift = NO_FRACTION.copysign(x);
    // Not `abs() >= ..`: NaN takes this branch's else and stays NaN.
    if x.abs() >= NO_FRACTION {
        return x;
    }
    // Halves went to the even number, which may be the one below.
    let even = (x + shift) - shift;
    if x - even == 0.5 { even + 1.0 } else { even }
}

/// The same of a double.
#[inline]
fn round_f64(x: f64) -> f64 {
    const NO_FRACTION: f64 = 4_503_599_627_370_496.0;
    let shift = NO_FRACTION.copysign(x);
    if x.abs() >= NO_FRACTION {
        return x;
    }
    let even = (x + shift) - shift;
    if x - even == 0.5 { even + 1.0 } else { even }
}

impl Sample for f32 {
    const BITS: u32 = 32;
    type Coef = Self;

    #[inline]
    fn from_i16(sample: i16) -> Self {
        Self::from(sample) / 32_768.0
    }

    #[inline]
    fn to_i16(self) -> i16 {
        // No conversion and no jump, so that compilers take many samples at once. Next to this number floats are whole, and
        // their bits count them.
        const WHOLE: f32 = 12_582_912.0;
        let scaled = self * 32_768.0;
        let scaled = if scaled.is_nan() { 0.0 } else { scaled }.clamp(-32_768.0, 32_767.0);
        let shifted = scaled + WHOLE;
        // Halves went to the even number, which may be the one below.
        let below = scaled - (shifted - WHOLE) == 0.5;
        (shifted.to_bits() as i32 - WHOLE.to_bits() as i32 + i32::from(below)) as i16
    }

    #[inline]
    fn from_i32(sample: i32) -> Self {
        sample as Self / 2_147_483_648.0
    }

    #[inline]
    fn to_i32(self) -> i32 {
        round(self * 2_147_483_648.0) as i32
    }

    #[inline]
    fn from_f32(sample: f32) -> Self {
        sample
    }

    #[inline]
    fn to_f32(self) -> f32 {
        self
    }

    #[inline]
    fn from_f64(sample: f64) -> Self {
        sample as Self
    }

    #[inline]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }

    #[inline]
    fn coef(design: I2F14) -> Self {
        Self::from(design.to_bits()) / 16_384.0
    }

    #[inline]
    fn scale(self, factor: Self) -> Self {
        self * factor
    }

    #[inline]
    fn mix(self, other: Self) -> Self {
        self + other
    }

    #[inline]
    fn average(self, other: Self) -> Self {
        (self + other) * 0.5
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions_round_trip() {
        for sample in i16::MIN..=i16::MAX {
            assert_eq!(f32::from_i16(sample).to_i16(), sample);
            assert_eq!(i16::from_i32(sample.to_i32()), sample);
            assert_eq!(f32::from_i16(sample).to_i32(), sample.to_i32());
            assert_eq!(f32::from_i32(sample.to_i32()), f32::from_i16(sample));
        }
    }

    #[test]
    fn floats_round_saturate_and_lose_nan() {
        let lsb = 1.0 / 32_768.0;
        for (x, expected) in [
            (0.5 * lsb, 1),
            (-0.5 * lsb, 0),
            (1.5 * lsb, 2),
            (-1.5 * lsb, -1),
            (2.5 * lsb, 3),
            (0.499_999_97 * lsb, 0),
            (0.51 * lsb, 1),
            (-0.51 * lsb, -1),
            (1.0, i16::MAX),
            (-1.0, i16::MIN),
            (-1.1, i16::MIN),
            (f32::INFINITY, i16::MAX),
            (f32::NEG_INFINITY, i16::MIN),
            (f32::MAX, i16::MAX),
            (f32::NAN, 0),
        ] {
            assert_eq!(x.to_i16(), expected, "{x}");
        }
        assert_eq!((2.0f32.to_i32(), (-2.0f32).to_i32(), f32::NAN.to_i32()), (i32::MAX, i32::MIN, 0));
        assert_eq!(i16::from_i32(i32::MAX), i16::MAX);
        assert_eq!((i16::from_i32(0x7fff), i16::from_i32(0x8000), i16::from_i32(-0x8001)), (0, 1, -1));
    }

    #[test]
    fn both_bodies_agree_within_a_step() {
        let mut state = 1u32;
        for _ in 0..20_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (a, b) = ((state >> 16) as i16, state as i16);
            let (x, y) = (f32::from_i16(a), f32::from_i16(b));
            let factor = I2F14::from_bits(b);
            let near = |i: i16, f: f32| (i32::from(i) - i32::from(f.to_i16())).abs() <= 1;
            assert!(near(a.scale(factor), x.scale(f32::coef(factor))));
            assert!(near(a.mix(b), x.mix(y)));
            assert!(near(a.average(b), x.average(y)));
        }
    }

    #[test]
    fn extremes() {
        assert_eq!(i16::MIN.scale(I2F14::MIN), i16::MAX);
        assert_eq!(i16::MIN.scale(I2F14::MAX), i16::MIN);
        assert_eq!(i16::MAX.mix(1), i16::MAX);
        assert_eq!(i16::MIN.average(i16::MIN), i16::MIN);
    }
}

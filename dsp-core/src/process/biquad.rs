//! Biquad: a filter with two poles and two zeros; here a Butterworth high-pass, against rumble and DC of a microphone.
//!
//! Use it as the first step of a capture chain. A [`BiquadDesign`] is constant and can be shared; a [`Biquad`] is the
//! state of one channel. [`BiquadDesign::high_pass`] is the bilinear transform of the analogue filter with Q = 0.7071
//! (after R. Bristow-Johnson, "Cookbook formulae for audio EQ biquad filter coefficients"): -3 dB at the corner
//! frequency and 12 dB per octave below it, with its zeros at DC. It can be computed in a constant expression, so that
//! firmware needs no floating point.
//!
//! The filter has the state-variable form (two trapezoidal integrators; A. Simper, "Linear trapezoidal integrated
//! state variable filter", 2013): it computes the low frequencies and subtracts them from the input. Rounding errors
//! are therefore in proportion to the rumble and not to the voice, and do not grow with the ratio of sample rate and
//! corner frequency. Beside the same filter in `f64`, at 8 to 96 kHz and corners from 20 Hz, `i16` is within 0.75
//! steps, of which its own rounding is 0.5, and `f32` within -100 dB of full scale.
//!
//! 160 samples of `i16` take 8,687 instructions on a Cortex-M3, 160 samples of `f32` 5,377 on a Cortex-M4F
//! (`BENCHMARKS.md`). The filter has the phase response of its order and no other delay.
//!
//! The DC of a microphone is gone within half a second:
//!
//! ```
//! use dsp_core::block::Block;
//! use dsp_core::process::biquad::{Biquad, BiquadDesign, BiquadError};
//!
//! // In flash, where there is any.
//! const DESIGN: Result<BiquadDesign, BiquadError> = BiquadDesign::high_pass(8_000, 100);
//!
//! let mut high_pass = Biquad::<i16>::new(DESIGN?);
//! let mut sound = [1_000i16; 4_000];
//! high_pass.process(&mut sound);
//! assert_eq!(sound[3_999], 0);
//! # Ok::<(), BiquadError>(())
//! ```

use core::fmt;

use fixed::types::I2F30;

use crate::block::Block;
use crate::kernel::{Kernel, tap};
use crate::math::sin_cos;

/// The corner frequency is not between 0 Hz and half the sample rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BiquadError {
    /// Corner frequency that was asked for, in Hz.
    pub corner_hz: u32,
    /// Sample rate, in Hz.
    pub sample_rate_hz: u32,
}

impl fmt::Display for BiquadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "corner of {} Hz at a sample rate of {} Hz", self.corner_hz, self.sample_rate_hz)
    }
}

impl core::error::Error for BiquadError {}

/// The coefficients of a high-pass filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BiquadDesign {
    /// Of the first integrator's state in its next value, of the difference of input and second state in it, and of the
    /// latter in the second integrator.
    taps: [i32; 3],
    /// How much of the first integrator is taken off: 1 / Q. All of them are bits of an [`I2F30`].
    damping: i32,
}

impl BiquadDesign {
    /// A Butterworth high-pass that attenuates by 3 dB at `corner_hz`.
    ///
    /// # Errors
    /// Returns a [`BiquadError`] if the corner frequency is 0 or not below half the sample rate.
    pub const fn high_pass(sample_rate_hz: u32, corner_hz: u32) -> Result<Self, BiquadError> {
        if corner_hz == 0 || corner_hz as u64 * 2 >= sample_rate_hz as u64 {
            return Err(BiquadError { corner_hz, sample_rate_hz });
        }
        let (sin, cos) = sin_cos(corner_hz as f64 / sample_rate_hz as f64 / 2.0);
        let (g, damping) = (sin / cos, core::f64::consts::SQRT_2);
        let first = 1.0 / (1.0 + g * (g + damping));
        let taps = [tap(first).to_bits(), tap(g * first).to_bits(), tap(g * g * first).to_bits()];
        Ok(Self { taps, damping: tap(damping).to_bits() })
    }
}

/// A high-pass filter for one channel of `i16` or `f32`.
#[derive(Clone, Copy, Debug)]
pub struct Biquad<S: Kernel> {
    taps: [S::Tap; 3],
    damping: S::Tap,
    /// The integrators.
    states: [S::State; 2],
    /// What rounding lost of what went into each of them.
    lost: [S::Acc; 2],
}

impl<S: Kernel> Biquad<S> {
    /// A filter that has heard silence.
    pub fn new(design: BiquadDesign) -> Self {
        let tap = |bits| S::tap(I2F30::from_bits(bits));
        Self {
            taps: design.taps.map(tap),
            damping: tap(design.damping),
            states: Default::default(),
            lost: Default::default(),
        }
    }

    /// Filters one sample.
    #[inline]
    pub fn step(&mut self, sample: S) -> S {
        let input = sample.widen();
        let [own, across, through] = self.taps;
        let [first, second] = self.states;
        let difference = input - second;
        let [band, low] = &mut self.lost;
        *band = S::mac(S::mac(*band, first, own), difference, across);
        let band = S::settle(band);
        *low = S::mac(S::mac(*low, first, across), difference, through);
        let rise = S::settle(low);
        self.states = [band + band - first, second + rise + rise];
        let mut damped = S::mac(S::Acc::default(), band, self.damping);
        S::narrow(difference - rise - S::settle(&mut damped))
    }
}

impl<S: Kernel> Block<S> for Biquad<S> {
    fn process(&mut self, frame: &mut [S]) {
        // A copy, which lies in registers.
        let mut filter = *self;
        for sample in frame {
            *sample = filter.step(*sample);
        }
        *self = filter;
    }

    fn reset(&mut self) {
        (self.states, self.lost) = Default::default();
    }

    fn delay_samples(&self) -> usize {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;
    use proptest::prelude::*;
    use std::vec::Vec;

    /// The same filter in `f64`, from the factors as they are quantised.
    fn reference(design: BiquadDesign, pcm: &[i16]) -> Vec<f64> {
        let real = |bits| f64::from(bits) / 2f64.powi(30);
        let ([own, across, through], damping) = (design.taps.map(real), real(design.damping));
        let (mut first, mut second) = (0.0, 0.0);
        pcm.iter()
            .map(|&sample| {
                let difference = f64::from(sample) - second;
                let band = own * first + across * difference;
                let rise = across * first + through * difference;
                (first, second) = (2.0 * band - first, second + 2.0 * rise);
                difference - rise - damping * band
            })
            .collect()
    }

    /// The largest errors of both bodies, in steps of 16 bits.
    fn errors(design: BiquadDesign, pcm: &[i16]) -> (f64, f64) {
        let (mut short, mut float) = (Biquad::<i16>::new(design), Biquad::<f32>::new(design));
        let mut most = (0f64, 0f64);
        for (&sample, exact) in pcm.iter().zip(reference(design, pcm)) {
            let (a, b) = (short.step(sample), float.step(f32::from_i16(sample)));
            most.0 = most.0.max((f64::from(a) - exact.clamp(-32_768.0, 32_767.0)).abs());
            most.1 = most.1.max((f64::from(b) * 32_768.0 - exact).abs());
        }
        most
    }

    fn tone(rate_hz: u32, hz: f64, peak: f64, samples: usize) -> Vec<i16> {
        let turn = hz / f64::from(rate_hz) * core::f64::consts::TAU;
        (0..samples).map(|n| ((n as f64 * turn).sin() * peak).round() as i16).collect()
    }

    #[test]
    fn falls_12_db_an_octave_below_the_corner() {
        for rate in [8_000, 16_000, 44_100, 48_000] {
            for corner in [50, 100, 300] {
                let design = BiquadDesign::high_pass(rate, corner).unwrap();
                for (times, expected_db) in [(0.25, -24.1), (0.5, -12.3), (1.0, -3.0), (2.0, -0.3), (8.0, 0.0)] {
                    let pcm = tone(rate, f64::from(corner) * times, 20_000.0, rate as usize);
                    let out = reference(design, &pcm);
                    let energy = |x: &[f64]| x[x.len() / 2..].iter().map(|x| x * x).sum::<f64>();
                    let input: Vec<f64> = pcm.iter().map(|&x| f64::from(x)).collect();
                    let db = 10.0 * (energy(&out) / energy(&input)).log10();
                    assert!((db - expected_db).abs() < 0.15, "{rate} {corner} {times}: {db}");
                }
            }
        }
    }

    #[test]
    fn both_bodies_are_near_the_exact_filter() {
        let mut worst = (0f64, 0f64);
        for rate in [8_000, 16_000, 48_000] {
            for corner in [50, 100, 300] {
                let design = BiquadDesign::high_pass(rate, corner).unwrap();
                for hz in [20.0, 105.0, 1_000.0] {
                    let (short, float) = errors(design, &tone(rate, hz, 20_000.0, rate as usize));
                    assert!(short < 0.75 && float < 0.1, "{rate} {corner} {hz}: {short} {float}");
                    worst = (worst.0.max(short), worst.1.max(float));
                }
            }
        }
        // A bound that nothing comes near would say nothing.
        assert!(worst.0 > 0.5 && worst.1 > 0.001, "{worst:?}");
    }

    #[test]
    fn what_is_constant_leaves_as_silence() {
        for rate in [8_000, 48_000] {
            let design = BiquadDesign::high_pass(rate, 80).unwrap();
            let (mut short, mut float) = (Biquad::<i16>::new(design), Biquad::<f32>::new(design));
            for _ in 0..rate {
                short.step(12_345);
                float.step(0.4);
            }
            for _ in 0..1_000 {
                assert_eq!(short.step(12_345), 0);
                assert!(float.step(0.4).abs() < 2e-7);
            }
            (0..2 * rate).for_each(|_| _ = (short.step(0), float.step(0.0)));
            assert_eq!(short.step(0), 0);
            assert!(float.step(0.0).abs() < 2e-9);
            short.process(&mut [1_000; 3]);
            Block::<i16>::reset(&mut short);
            assert_eq!((short.states, short.lost), ([0; 2], [0; 2]));
        }
    }

    #[test]
    fn corners_out_of_range_are_errors() {
        const DESIGN: Result<BiquadDesign, BiquadError> = BiquadDesign::high_pass(8_000, 100);
        assert_eq!(DESIGN, BiquadDesign::high_pass(8_000, 100));
        for corner_hz in [0, 4_000, u32::MAX] {
            let error = BiquadError { corner_hz, sample_rate_hz: 8_000 };
            assert_eq!(BiquadDesign::high_pass(8_000, corner_hz), Err(error));
        }
    }

    proptest! {
        #[test]
        fn any_signal_through_any_high_pass(
            pcm in proptest::collection::vec(any::<i16>(), 1..2_000),
            rate in 8_000u32..=96_000,
            corner in 20u32..1_000,
        ) {
            let design = BiquadDesign::high_pass(rate, corner).unwrap();
            let (short, float) = errors(design, &pcm);
            prop_assert!(short < 0.75 && float < 0.3, "{short} {float}");
        }
    }
}

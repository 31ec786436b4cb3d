//! Goertzel filter: the level of one frequency in each block of a fixed number of samples.
//!
//! Use it to detect tones of a few known frequencies. Detectors for DTMF and call progress tones are in
//! [`tone`](crate::tone), and a whole spectrum is in [`spectrum`](crate::spectrum).
//!
//! It is one undamped resonator for each frequency, whose two states give the magnitude at the end of a block (G.
//! Goertzel, "An algorithm for the evaluation of finite trigonometric series", 1958). It hears a band of about `rate /
//! samples` Hz around its frequency, with the side lobes of a rectangular window. The level of a sine of exactly that
//! frequency is that of a [`LevelMeter`](super::level::LevelMeter): -3.01 dBov at full scale.
//!
//! With `i16`, readings are within 0.15 dB of the exact value down to -53 dBov, with a floor near -90 dBov. The design
//! can be computed in a constant expression. A level is known at the end of its block. 160 samples of `i16` take 2,640
//! instructions on a Cortex-M3 (`BENCHMARKS.md`).
//!
//! Whether there is a tone of 1,000 Hz, in blocks of 20 ms:
//!
//! ```
//! use dsp_core::process::goertzel::{Goertzel, GoertzelDesign, GoertzelError};
//!
//! let mut filter = Goertzel::<i16>::new(GoertzelDesign::new(8_000, 1_000, 160)?);
//! let tone = |samples_a_period: f32| -> [i16; 160] {
//!     core::array::from_fn(|n| (8_000.0 * (n as f32 * core::f32::consts::TAU / samples_a_period).sin()) as i16)
//! };
//! let mut heard = Vec::new();
//! filter.hear(&tone(8.0), |level| heard.push(level.hundredths_dbov()));
//! filter.hear(&tone(20.0), |level| heard.push(level.hundredths_dbov()));
//! // -15.26 dBov at 1,000 Hz; of 400 Hz next to nothing.
//! assert!((heard[0] + 1_526).abs() < 20 && heard[1] < -5_000);
//! # Ok::<(), GoertzelError>(())
//! ```

use core::fmt;

use fixed::types::I2F30;

use super::level::{Level, Metered};
use crate::kernel::{Kernel, tap};
use crate::math::sin_cos;

/// A frequency or the length of a block is out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum GoertzelError {
    /// The frequency is not between 1/1000 and 499/1000 of the sample rate.
    Frequency {
        /// Frequency that was asked for, in Hz.
        hz: u32,
        /// Sample rate, in Hz.
        sample_rate_hz: u32,
    },
    /// The length of a block is not between 8 and 65,535 samples.
    Samples(u32),
}

impl fmt::Display for GoertzelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frequency { hz, sample_rate_hz } => write!(f, "{hz} Hz at a sample rate of {sample_rate_hz} Hz"),
            Self::Samples(samples) => write!(f, "stretches of {samples} samples; 8 to 65535 are possible"),
        }
    }
}

impl core::error::Error for GoertzelError {}

/// The coefficients for one frequency and one length of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoertzelDesign {
    samples: u16,
    /// 2 cos w.
    turn: I2F30,
    /// What a sample is multiplied by: a power of 2.
    scale: I2F30,
    /// At the end of a stretch: the newer state by `gain`, and the older by `gain` times cosine and sine.
    gain: I2F30,
    cosine: I2F30,
    sine: I2F30,
}

impl GoertzelDesign {
    /// A design for the frequency `hz` in blocks of `samples`.
    ///
    /// # Errors
    /// Returns a [`GoertzelError`] if the frequency or the length of the blocks is out of range.
    pub const fn new(sample_rate_hz: u32, hz: u32, samples: u32) -> Result<Self, GoertzelError> {
        let thousandths = hz as u64 * 1_000;
        if thousandths < sample_rate_hz as u64 || thousandths > sample_rate_hz as u64 * 499 {
            return Err(GoertzelError::Frequency { hz, sample_rate_hz });
        }
        if samples < 8 || samples > u16::MAX as u32 {
            return Err(GoertzelError::Samples(samples));
        }
        let (sin, cos) = sin_cos(hz as f64 / sample_rate_hz as f64);
        // No signal's state is larger than the sum of all samples by 1 / sine; a state holds 2,047 times a sample.
        let mut scale = 1.0;
        while samples as f64 / sin * scale > 2_000.0 {
            scale /= 2.0;
        }
        // The sum of a sine by its own frequency is half its amplitude by the number of samples. Half is what is read: a square
        // wave has more than full scale of its frequency.
        let gain = 1.0 / (samples as f64 * scale);
        Ok(Self {
            samples: samples as u16,
            turn: tap(2.0 * cos),
            scale: tap(scale),
            gain: tap(gain),
            cosine: tap(-gain * cos),
            sine: tap(gain * sin),
        })
    }
}

/// Measures the level of one frequency in one channel of `i16` or `f32`. [The module's page](self) has an example.
#[derive(Clone, Copy, Debug)]
pub struct Goertzel<S: Kernel> {
    design: GoertzelDesign,
    turn: S::Tap,
    scale: S::Tap,
    /// The last two states, newest first.
    states: [S::State; 2],
    /// What rounding of the last state lost.
    lost: S::Acc,
    /// Samples until the stretch is at its end.
    left: u16,
}

impl<S: Kernel + Metered> Goertzel<S> {
    /// A filter that has not heard anything.
    pub fn new(design: GoertzelDesign) -> Self {
        Self {
            design,
            turn: S::tap(design.turn),
            scale: S::tap(design.scale),
            states: Default::default(),
            lost: S::Acc::default(),
            left: design.samples,
        }
    }

    /// Takes in a frame of any length. Calls `each` with the level of each block that ends in it.
    pub fn hear(&mut self, frame: &[S], mut each: impl FnMut(Level)) {
        let mut rest = frame;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(usize::from(self.left)));
            self.turn(now);
            self.left -= now.len() as u16;
            if self.left == 0 {
                each(self.level());
                self.reset();
            }
            rest = later;
        }
    }

    /// Drops the samples of the block that has begun.
    pub fn reset(&mut self) {
        (self.states, self.lost, self.left) = (Default::default(), S::Acc::default(), self.design.samples);
    }

    fn turn(&mut self, samples: &[S]) {
        let ([mut newer, mut older], mut sum) = (self.states, self.lost);
        for sample in samples {
            sum = S::mac(sum, sample.widen(), self.scale);
            sum = S::mac(sum, newer, self.turn);
            (newer, older) = (S::settle(&mut sum) - older, newer);
        }
        (self.states, self.lost) = ([newer, older], sum);
    }

    /// Half the squared amplitude of what is heard.
    fn level(&self) -> Level {
        let [newer, older] = self.states;
        let part = |mut sum: S::Acc| S::narrow(S::settle(&mut sum));
        let (none, tap) = (S::Acc::default(), S::tap);
        let real = part(S::mac(S::mac(none, newer, tap(self.design.gain)), older, tap(self.design.cosine)));
        let imaginary = part(S::mac(none, older, tap(self.design.sine)));
        let square = imaginary.add_square(real.add_square(S::Squares::default()));
        Level::of_power(S::energy(square) * 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    /// Level of the exact sum, in dBov.
    fn exact(pcm: &[i16], turns: f64) -> f64 {
        let (mut real, mut imaginary) = (0.0, 0.0);
        for (n, &sample) in pcm.iter().enumerate() {
            let (sin, cos) = (n as f64 * turns * core::f64::consts::TAU).sin_cos();
            real += f64::from(sample) / 32_768.0 * cos;
            imaginary += f64::from(sample) / 32_768.0 * sin;
        }
        10.0 * ((real * real + imaginary * imaginary) * 2.0 / (pcm.len() as f64).powi(2)).log10()
    }

    fn levels<S: Kernel + Metered>(design: GoertzelDesign, pcm: &[i16], frame: usize) -> Vec<f64> {
        let (mut goertzel, mut levels) = (Goertzel::<S>::new(design), Vec::new());
        for frame in pcm.chunks(frame) {
            let frame: Vec<S> = frame.iter().map(|&x| S::from_i16(x)).collect();
            goertzel.hear(&frame, |level| levels.push(f64::from(level.hundredths_dbov()) / 100.0));
        }
        levels
    }

    fn tone(rate_hz: u32, hz: f64, peak: f64, samples: usize) -> Vec<i16> {
        let turn = hz / f64::from(rate_hz) * core::f64::consts::TAU;
        (0..samples).map(|n| ((n as f64 * turn + 0.7).sin() * peak).round() as i16).collect()
    }

    #[test]
    fn reads_its_own_tone_and_little_of_others() {
        for (rate, samples) in [(8_000, 205), (16_000, 410), (48_000, 1_230), (8_000, 8_000), (8_000, 50_000)] {
            for hz in [350, 697, 941, 1_633] {
                let design = GoertzelDesign::new(rate, hz, samples).unwrap();
                for peak in [32_767.0, 1_000.0, 100.0] {
                    let pcm = tone(rate, f64::from(hz), peak, samples as usize * 2);
                    let expected = exact(&pcm[..samples as usize], f64::from(hz) / f64::from(rate));
                    for levels in [levels::<i16>(design, &pcm, 77), levels::<f32>(design, &pcm, 80)] {
                        assert_eq!(levels.len(), 2);
                        assert!((levels[0] - expected).abs() < 0.15, "{rate} {hz} {peak}: {levels:?} {expected}");
                    }
                    let other = tone(rate, f64::from(hz) * 1.25, peak, samples as usize);
                    for other in [levels::<i16>(design, &other, 80), levels::<f32>(design, &other, 77)] {
                        assert!(other[0] < expected - 12.0, "{rate} {hz} {peak}: {other:?} {expected}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_full_scale_sine_is_at_minus_3_dbov_and_silence_is_silent() {
        const DESIGN: GoertzelDesign = match GoertzelDesign::new(8_000, 1_000, 800) {
            Ok(design) => design,
            Err(_) => panic!(),
        };
        let pcm = tone(8_000, 1_000.0, 32_767.0, 800);
        assert!((levels::<i16>(DESIGN, &pcm, 800)[0] + 3.01).abs() < 0.02);
        assert!((levels::<f32>(DESIGN, &pcm, 800)[0] + 3.01).abs() < 0.02);
        assert_eq!(
            (levels::<i16>(DESIGN, &[0; 800], 9), levels::<f32>(DESIGN, &[0; 800], 9)),
            ([-127.0].into(), [-127.0].into())
        );
    }

    #[test]
    fn what_is_out_of_range_is_an_error() {
        for hz in [0, 7, 3_993, 4_000] {
            let error = GoertzelError::Frequency { hz, sample_rate_hz: 8_000 };
            assert_eq!(GoertzelDesign::new(8_000, hz, 205), Err(error));
        }
        for samples in [0, 7, 65_536] {
            assert_eq!(GoertzelDesign::new(8_000, 697, samples), Err(GoertzelError::Samples(samples)));
        }
    }

    proptest! {
        #[test]
        fn any_signal_is_measured_as_by_the_exact_sum(
            pcm in proptest::collection::vec(any::<i16>(), 8..2_000),
            rate in 8_000u32..=48_000,
            per_mille in 2u32..=498,
        ) {
            let hz = rate * per_mille / 1_000;
            let design = GoertzelDesign::new(rate, hz, pcm.len() as u32).unwrap();
            let expected = exact(&pcm, f64::from(hz) / f64::from(rate));
            for level in [levels::<i16>(design, &pcm, 100)[0], levels::<f32>(design, &pcm, 100)[0]] {
                // As amplitudes: a level of nearly nothing has large decibels.
                let off = (10f64.powf(level / 20.0) - 10f64.powf(expected / 20.0)).abs();
                prop_assert!(off < 1e-3 + 0.005 * 10f64.powf(expected / 20.0), "{level} {expected}");
            }
        }

        #[test]
        fn the_loudest_signal_of_any_frequency_does_not_overflow(per_mille in 1u32..=499, samples in 8u32..20_000) {
            let design = GoertzelDesign::new(1_000, per_mille, samples).unwrap();
            let turns = f64::from(per_mille) / 1_000.0;
            let pcm: Vec<i16> = (0..samples)
                .map(|n| if (f64::from(n) * turns).fract() < 0.5 { i16::MAX } else { i16::MIN })
                .collect();
            let expected = exact(&pcm, turns);
            let level = levels::<i16>(design, &pcm, 100)[0];
            prop_assert!((level - expected).abs() < 0.3, "{level} {expected}");
        }
    }
}

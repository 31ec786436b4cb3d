//! A sine of any frequency and level in integers, of which all tones are made.
//!
//! The phase has 32 bits, so that a frequency is exact to 2^-32 of the sample rate and a tone never loses its phase. A
//! quarter of a sine has 256 steps with linear interpolation, with an error of -106 dB. A sample is the sum of its
//! sines in 2^-31 of full scale, rounded once.

use crate::math::sin_cos;
use crate::process::decibel::amplitude;

use super::detector::FULL_SINE;

const STEPS: usize = 256;

/// A quarter of a sine, in 2^-30.
static QUARTER: [i32; STEPS + 1] = {
    let mut quarter = [0; STEPS + 1];
    let mut n = 0;
    while n <= STEPS {
        quarter[n] = (sin_cos(n as f64 / (4 * STEPS) as f64).0 * 1_073_741_824.0 + 0.5) as i32;
        n += 1;
    }
    quarter
};

/// The sine of a phase in 2^-32 of a turn: in 2^-30.
fn sine(phase: u32) -> i32 {
    let half = if phase & 1 << 30 == 0 { phase } else { !phase } & ((1 << 30) - 1);
    let (step, between) = ((half >> 22) as usize, (half >> 6 & 0xffff) as i64);
    let (low, high) = (i64::from(QUARTER[step]), i64::from(QUARTER[step + 1]));
    let value = (low + (((high - low) * between) >> 16)) as i32;
    if phase >> 31 == 0 { value } else { -value }
}

/// A sine that goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Oscillator {
    phase: u32,
    step: u32,
    /// In 2^-30 of full scale.
    peak: u32,
}

impl Oscillator {
    /// A sine that begins at 0. `hz` is below half the rate; `hundredths_dbm0` is at most +3.14 dBm0.
    pub(super) fn new(sample_rate_hz: u32, hz: u32, hundredths_dbm0: i16) -> Self {
        let rate = u64::from(sample_rate_hz.max(1));
        let step = ((u64::from(hz) << 32) + rate / 2) / rate;
        let peak = amplitude((hundredths_dbm0 - FULL_SINE).min(0), 30);
        Self { phase: 0, step: step as u32, peak }
    }

    /// The next value, in 2^-30 of full scale.
    pub(super) fn next(&mut self) -> i32 {
        let value = (i64::from(sine(self.phase)) * i64::from(self.peak)) >> 30;
        self.phase = self.phase.wrapping_add(self.step);
        value as i32
    }
}

/// A rise from 0 to 1 as half a period of a cosine: `at` of `length`, in 2^-30.
pub(super) fn ramp(at: u32, length: u32) -> i32 {
    if at >= length {
        return 1 << 30;
    }
    // From -a quarter of a turn to a quarter of one, in the middle of a sample.
    let turn = ((2 * u64::from(at) + 1) << 30) / u64::from(length);
    (1 << 29) + (sine((turn as u32).wrapping_sub(1 << 30)) >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sine_is_the_librarys() {
        for step in 0..100_000u32 {
            let phase = step.wrapping_mul(42_949);
            let exact = (f64::from(phase) / 4_294_967_296.0 * core::f64::consts::TAU).sin();
            let error = f64::from(sine(phase)) / 1_073_741_824.0 - exact;
            assert!(error.abs() < 5.5e-6, "{phase}: {error}");
        }
    }

    #[test]
    fn a_tone_stays_in_phase_and_has_its_level() {
        let mut oscillator = Oscillator::new(8_000, 697, -1_000);
        let (mut power, mut last) = (0.0, 0.0);
        for _ in 0..8_000 {
            last = f64::from(oscillator.next()) / 1_073_741_824.0;
            power += last * last;
        }
        // -10 dBm0 is 13.14 dB below a sine of full scale.
        assert!((10.0 * (power / 8_000.0 * 2.0).log10() + 13.14).abs() < 0.02);
        // After a whole second of whole periods it is where it was one sample before its start.
        let before = -(697.0 / 8_000.0 * core::f64::consts::TAU).sin() * 10f64.powf(-13.14 / 20.0);
        assert!((last - before).abs() < 1e-4, "{last} {before}");
        assert_eq!(Oscillator::new(8_000, 697, 3_000).peak, 1 << 30);
    }

    #[test]
    fn a_ramp_rises_from_nothing_to_all() {
        let values: std::vec::Vec<i32> = (0..20).map(|at| ramp(at, 16)).collect();
        assert!(values.windows(2).all(|pair| pair[0] <= pair[1]));
        assert!(values[0] < 1 << 23 && values[15] > (1 << 30) - (1 << 23));
        assert_eq!((values[16], ramp(0, 0)), (1 << 30, 1 << 30));
        // What rises is what falls.
        for at in 0..16 {
            assert!((values[at] + values[15 - at] - (1 << 30)).abs() < 1 << 12);
        }
    }
}

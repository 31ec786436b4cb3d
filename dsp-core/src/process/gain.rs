//! Gain for volume keys, microphone gain and mute. Every change is a straight ramp, so that nothing clicks.
//!
//! A [`FrontEnd`](crate::front::FrontEnd) has one in each direction; use it directly in a chain of your own. For a
//! gain that follows the level of the speech there is [`agc`](super::agc).
//!
//! The gain is set in hundredths of a decibel, up to +18.05 dB, and is kept as an amplitude factor in steps of 2^-14
//! (2^-13 above 6.02 dB, 2^-12 above 12.04 dB). `i16` saturates, `f32` keeps its headroom. At 0 dB the samples are
//! unchanged. There is no delay. It takes one multiplication for each sample, another addition during a ramp, and one
//! 32-bit division for each change.
//!
//! A volume key, and mute:
//!
//! ```
//! use dsp_core::block::Block;
//! use dsp_core::process::gain::{Gain, GainError};
//!
//! // Ramps of 10 ms at 8 kHz.
//! let mut gain = Gain::new(80);
//! gain.set_gain(-602)?;
//! let mut frame = [1_000i16; 160];
//! gain.process(&mut frame);
//! assert!(frame[0] > 990 && frame[159] == 500);
//! gain.set_muted(true);
//! gain.process(&mut frame);
//! assert_eq!(frame[159], 0);
//! // No more than 18.05 dB.
//! assert!(gain.set_gain(2_000).is_err());
//! # Ok::<(), GainError>(())
//! ```

use core::fmt;

use fixed::types::I2F14;

use super::decibel;
use crate::block::Block;
use crate::sample::Sample;

/// The gain is above [`Gain::MAX_HUNDREDTHS_DB`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct GainError {
    /// Gain that was asked for, in hundredths of a decibel.
    pub hundredths_db: i16,
}

impl fmt::Display for GainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gain of {}/100 dB; at most {} are possible", self.hundredths_db, Gain::MAX_HUNDREDTHS_DB)
    }
}

impl core::error::Error for GainError {}

/// A gain with mute for one channel, whose changes are ramps. [The module's page](self) has an example.
#[derive(Clone, Copy, Debug)]
pub struct Gain {
    /// The gain that is set, and whether it is muted, in 2^-14.
    set_q14: i32,
    muted: bool,
    /// Where the ramp is, in 2^-27: at most 2^30.
    now_q27: i32,
    step_q27: i32,
    /// Samples until the ramp is at its end.
    left: u32,
    ramp_samples: u16,
}

impl Gain {
    /// The highest gain, 18.05 dB, in hundredths of a decibel.
    pub const MAX_HUNDREDTHS_DB: i16 = 1_805;

    /// A gain of 0 dB, not muted. Each change takes `ramp_samples`; 10 ms is a good length, and with 0 changes are
    /// immediate.
    pub const fn new(ramp_samples: u16) -> Self {
        Self { set_q14: 1 << 14, muted: false, now_q27: 1 << 27, step_q27: 0, left: 0, ramp_samples }
    }

    /// Sets the gain, in hundredths of a decibel, and moves to it in a ramp. Below -90 dB it is silence.
    ///
    /// # Errors
    /// Returns a [`GainError`] for a gain above [`Self::MAX_HUNDREDTHS_DB`]. The gain stays as it was.
    pub fn set_gain(&mut self, hundredths_db: i16) -> Result<(), GainError> {
        if hundredths_db > Self::MAX_HUNDREDTHS_DB {
            return Err(GainError { hundredths_db });
        }
        self.set_q14 = decibel::amplitude_q14(hundredths_db) as i32;
        self.start();
        Ok(())
    }

    /// Mutes, or ends the mute, in a ramp.
    pub fn set_muted(&mut self, muted: bool) {
        self.muted = muted;
        self.start();
    }

    /// Whether the gain is 0 dB and not moving, so that samples are unchanged.
    #[inline]
    pub const fn is_unity(&self) -> bool {
        self.left == 0 && self.now_q27 == 1 << 27
    }

    /// The gain of all samples to come in 2^-16, if it is at rest.
    #[inline]
    pub(crate) fn at_rest_q16(&self) -> Option<u32> {
        (self.left == 0).then_some((self.now_q27 >> 11) as u32)
    }

    /// Whether the gain is not moving and lets nothing pass.
    #[inline]
    pub const fn is_silent(&self) -> bool {
        self.left == 0 && self.now_q27 == 0
    }

    fn target_q27(&self) -> i32 {
        if self.muted { 0 } else { self.set_q14 << 13 }
    }

    fn start(&mut self) {
        let way = self.target_q27() - self.now_q27;
        if self.ramp_samples == 0 || way == 0 {
            (self.now_q27, self.left) = (self.target_q27(), 0);
        } else {
            (self.step_q27, self.left) = (way / i32::from(self.ramp_samples), u32::from(self.ramp_samples));
        }
    }

    /// Multiplies by a gain in 2^-14.
    #[inline]
    fn apply<S: Sample>(sample: S, gain_q14: i32) -> S {
        let doublings = (gain_q14 >= 2 << 14) as u32 + (gain_q14 >= 4 << 14) as u32;
        // Below 2 after the shift: fits.
        let mut sample = sample.scale(S::coef(I2F14::from_bits((gain_q14 >> doublings) as i16)));
        for _ in 0..doublings {
            sample = sample.mix(sample);
        }
        sample
    }
}

impl<S: Sample> Block<S> for Gain {
    fn process(&mut self, frame: &mut [S]) {
        let ramping = frame.len().min(self.left as usize);
        let (ramp, rest) = frame.split_at_mut(ramping);
        for sample in ramp {
            self.now_q27 += self.step_q27;
            *sample = Self::apply(*sample, self.now_q27 >> 13);
        }
        self.left -= ramping as u32;
        if self.left == 0 {
            // The step was rounded towards zero: the last bit of the way.
            self.now_q27 = self.target_q27();
            let gain_q14 = self.now_q27 >> 13;
            if gain_q14 != 1 << 14 {
                for sample in rest {
                    *sample = Self::apply(*sample, gain_q14);
                }
            }
        }
    }

    /// Ends a ramp at once. Gain and mute stay as they were set.
    fn reset(&mut self) {
        (self.now_q27, self.left) = (self.target_q27(), 0);
    }

    fn delay_samples(&self) -> usize {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<S: Sample>(gain: &mut Gain, sample: S, frames: usize) -> std::vec::Vec<S> {
        let mut all = std::vec![sample; 80 * frames];
        all.chunks_mut(80).for_each(|frame| gain.process(frame));
        all
    }

    #[test]
    fn unity_changes_nothing() {
        let mut gain = Gain::new(80);
        for sample in [i16::MIN, -1, 0, 1, i16::MAX] {
            assert!(run(&mut gain, sample, 2).iter().all(|&x| x == sample));
        }
        assert!(gain.is_unity());
        gain.set_muted(true);
        assert!(!gain.is_unity());
        gain.set_muted(false);
        run(&mut gain, 0, 1);
        assert!(gain.is_unity());
        assert!(run(&mut gain, 0.3f32, 2).iter().all(|&x| x == 0.3));
        assert_eq!(<Gain as Block<i16>>::delay_samples(&gain), 0);
    }

    #[test]
    fn reaches_each_gain() {
        for hundredths_db in (-6_000..=Gain::MAX_HUNDREDTHS_DB).step_by(95) {
            let mut gain = Gain::new(80);
            gain.set_gain(hundredths_db).unwrap();
            let factor = 10f64.powf(f64::from(hundredths_db) / 2_000.0);
            let short = *run(&mut gain, 4_000i16, 2).last().unwrap();
            let float = *run(&mut gain, 0.1f32, 1).last().unwrap();
            // Half a step, doubled twice, and 0.01 dB; the factor itself has steps of 2^-14 to 2^-12.
            let tolerance = factor / 869.0 + 0.5 / 16_384.0 * factor.max(1.0);
            assert!((f64::from(short) - 4_000.0 * factor).abs() < 2.5 + 4_000.0 * tolerance, "{hundredths_db}");
            assert!((f64::from(float) - 0.1 * factor).abs() < 1e-6 + 0.1 * tolerance, "{hundredths_db}");
        }
    }

    #[test]
    fn mute_ramps_without_a_click_and_comes_back() {
        let mut gain = Gain::new(160);
        gain.set_muted(true);
        let down = run(&mut gain, 16_000i16, 3);
        gain.set_muted(false);
        let up = run(&mut gain, 16_000i16, 3);
        // 16000 over 160 samples is 100 a sample.
        assert!(down.windows(2).all(|pair| (0..=101).contains(&(pair[0] - pair[1]))));
        assert!(up.windows(2).all(|pair| (0..=101).contains(&(pair[1] - pair[0]))));
        assert!(16_000 - down[0] <= 101 && down[159] <= 1 && down[160..].iter().all(|&x| x == 0));
        assert!(up[0] <= 101 && up[160..].iter().all(|&x| x == 16_000));
        // A mute in the middle of a ramp turns round where it is.
        gain.set_muted(true);
        let half = run(&mut gain, 1.0f32, 1);
        gain.set_muted(false);
        let back = run(&mut gain, 1.0f32, 2);
        assert!((half[79] - 0.5).abs() < 0.001 && back[0] > half[79] && back[0] - half[79] < 0.01 && back[159] == 1.0);
    }

    #[test]
    fn saturates_and_resets() {
        let mut gain = Gain::new(0);
        gain.set_gain(Gain::MAX_HUNDREDTHS_DB).unwrap();
        assert_eq!(run(&mut gain, 20_000i16, 1)[0], i16::MAX);
        assert_eq!(run(&mut gain, -20_000i16, 1)[0], i16::MIN);
        assert_eq!(gain.set_gain(1_806), Err(GainError { hundredths_db: 1_806 }));
        gain.set_gain(i16::MIN).unwrap();
        assert_eq!(run(&mut gain, 20_000i16, 1)[0], 0);
        let mut gain = Gain::new(1_000);
        gain.set_muted(true);
        Block::<i16>::reset(&mut gain);
        assert_eq!(run(&mut gain, 20_000i16, 1)[0], 0);
    }
}

//! Mixer: the sum of any number of ports, and for each port the sum without itself.
//!
//! Use it for a few ports that a program adds up itself. A [conference](crate::conference) also has gains, a limiter,
//! and a choice of the loudest speakers.
//!
//! Ports are added up once, in [`Kernel::Sum`], and the sum saturates once when it is written. So the order of `i16`
//! ports does not matter, and what a port hears of the others is not made quieter by its own sound. `f32` keeps its
//! headroom; its sum without a port is inexact by -138 dB of the largest sum. A gain for a port is a
//! [`Gain`](super::gain::Gain) in front of it.
//!
//! A frame has at most `SAMPLES` samples, all channels together, and there are at most [`Mix::MAX_PORTS`] ports. There
//! is no delay. Adding a port takes 730 instructions for 20 ms at 8 kHz on a Cortex-M3, and the sum without a port
//! 1,096 (`BENCHMARKS.md`). Memory is `SAMPLES` words.
//!
//! Three ports, and what the first one hears:
//!
//! ```
//! use dsp_core::process::mixer::{Mixer, MixerError};
//!
//! let ports = [[20_000i16; 80], [15_000; 80], [10_000; 80]];
//! let mut mixer = Mixer::<i16, 80>::default();
//! let mut mix = mixer.frame(80)?;
//! for port in &ports {
//!     mix.add(port);
//! }
//! let mut out = [0; 80];
//! mix.all(&mut out);
//! assert_eq!(out, [32_767; 80]);
//! // The saturation of the sum costs it nothing.
//! mix.others(&ports[0], &mut out);
//! assert_eq!(out, [25_000; 80]);
//! # Ok::<(), MixerError>(())
//! ```

use core::fmt;

use crate::kernel::Kernel;

/// Why ports cannot be mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum MixerError {
    /// The frame is longer than the mixer has room for.
    Frame {
        /// Samples of the frame.
        need: usize,
        /// Samples that there is room for.
        got: usize,
    },
}

impl fmt::Display for MixerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame { need, got } => write!(f, "frame of {need} samples in a mixer of {got}"),
        }
    }
}

impl core::error::Error for MixerError {}

/// Adds up frames of at most `SAMPLES` samples. [The module's page](self) has an example.
#[derive(Clone, Copy, Debug)]
pub struct Mixer<S: Kernel, const SAMPLES: usize> {
    sum: [S::Sum; SAMPLES],
}

impl<S: Kernel, const SAMPLES: usize> Default for Mixer<S, SAMPLES> {
    fn default() -> Self {
        Self { sum: [S::Sum::default(); SAMPLES] }
    }
}

impl<S: Kernel, const SAMPLES: usize> Mixer<S, SAMPLES> {
    /// Begins a frame of this many samples, all silent.
    ///
    /// # Errors
    /// Returns [`MixerError::Frame`] if `samples` is more than `SAMPLES`.
    pub fn frame(&mut self, samples: usize) -> Result<Mix<'_, S>, MixerError> {
        let sum = self.sum.get_mut(..samples).ok_or(MixerError::Frame { need: samples, got: SAMPLES })?;
        sum.fill(S::Sum::default());
        Ok(Mix { sum, ports: 0 })
    }
}

/// One frame of a [`Mixer`].
#[derive(Debug)]
pub struct Mix<'a, S: Kernel> {
    sum: &'a mut [S::Sum],
    ports: u16,
}

impl<S: Kernel> Mix<'_, S> {
    /// Greatest number of ports. Further ones are not heard.
    pub const MAX_PORTS: u16 = 2_047;

    /// Adds a port. If it is shorter than the frame, it is silent behind its end.
    pub fn add(&mut self, port: &[S]) {
        if self.ports == Self::MAX_PORTS {
            return;
        }
        self.ports += 1;
        for (sum, &sample) in self.sum.iter_mut().zip(port) {
            *sum = *sum + sample.whole();
        }
    }

    /// Writes the sum of all ports into `out`.
    pub fn all(&self, out: &mut [S]) {
        for (out, &sum) in out.iter_mut().zip(&*self.sum) {
            *out = S::saturated(sum);
        }
    }

    /// Writes the sum of all ports except `own`, which was added before, into `out`.
    pub fn others(&self, own: &[S], out: &mut [S]) {
        for ((out, &sum), &own) in out.iter_mut().zip(&*self.sum).zip(own) {
            *out = S::saturated(sum - own.whole());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn saturates_once_and_in_no_order() {
        let mut mixer = Mixer::<i16, 4>::default();
        let ports = [[30_000, -30_000, 1, i16::MIN], [30_000, -30_000, 2, i16::MIN], [-30_000, 30_000, 3, i16::MAX]];
        for order in [[0, 1, 2], [2, 1, 0], [0, 2, 1]] {
            let mut mix = mixer.frame(4).unwrap();
            order.iter().for_each(|&port: &usize| mix.add(&ports[port]));
            let (mut all, mut third) = ([0; 4], [0; 4]);
            mix.all(&mut all);
            mix.others(&ports[2], &mut third);
            assert_eq!((all, third), ([30_000, -30_000, 6, i16::MIN], [i16::MAX, i16::MIN, 3, i16::MIN]));
        }
        assert_eq!(mixer.frame(5).err(), Some(MixerError::Frame { need: 5, got: 4 }));
    }

    #[test]
    fn two_thousand_loud_ports_do_not_wrap() {
        let mut mixer = Mixer::<i16, 2>::default();
        let mut mix = mixer.frame(2).unwrap();
        (0..3_000).for_each(|_| mix.add(&[i16::MIN, i16::MAX]));
        let mut out = [0; 2];
        mix.others(&[0, 0], &mut out);
        assert_eq!(out, [i16::MIN, i16::MAX]);
    }

    proptest! {
        #[test]
        fn each_hears_the_others(
            ports in proptest::collection::vec(proptest::collection::vec(any::<i16>(), 60), 1..40),
            samples in 0usize..=60,
        ) {
            let (mut short, mut float) = (Mixer::<i16, 60>::default(), Mixer::<f32, 60>::default());
            let (mut short, mut float) = (short.frame(samples).unwrap(), float.frame(samples).unwrap());
            let floats: Vec<Vec<f32>> = ports.iter().map(|port| port.iter().map(|&x| f32::from_i16(x)).collect()).collect();
            ports.iter().for_each(|port| short.add(port));
            floats.iter().for_each(|port| float.add(port));
            for (own, own_float) in ports.iter().zip(&floats) {
                let (mut heard, mut heard_float) = (vec![0; samples], vec![0.0; samples]);
                short.others(own, &mut heard);
                float.others(own_float, &mut heard_float);
                for n in 0..samples {
                    let exact = ports.iter().map(|port| i32::from(port[n])).sum::<i32>() - i32::from(own[n]);
                    prop_assert_eq!(i32::from(heard[n]), exact.clamp(-32_768, 32_767));
                    // Sums of 40 numbers of 16 bits fit a float's 24.
                    prop_assert_eq!(heard_float[n], exact as f32 / 32_768.0);
                }
            }
        }
    }
}

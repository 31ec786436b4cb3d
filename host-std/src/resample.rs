//! The core's resampler for streams on a host: mono, in pieces of any length, between any two rates of 4 to 192 kHz.
//!
//! Use [`Resampler::new`] between two exact rates, and [`Resampler::steered`] between two clocks that drift. [`Resampler`] has an
//! example. A call resamples by itself ([`Call::set_sound`](crate::session::Call::set_sound)), and so does a sound card. On a machine
//! without a heap use [`dsp_core::process::resample`], on which this is built. Samples are `f32` with a full scale of 1.0; `i16` is
//! converted at the ends.
//!
//! A whole recording at once:
//!
//! ```
//! use host_std::resample::Resampler;
//!
//! let mut resampler = Resampler::new(8_000, 48_000)?;
//! let (spoken, mut out) = ([500; 8_000], Vec::new());
//! let mut pcm = [0; 480];
//! for piece in spoken.chunks(80) {
//!     resampler.push(piece); // 10 ms
//!     let samples = resampler.pull(&mut pcm);
//!     out.extend_from_slice(&pcm[..samples]);
//! }
//! assert_eq!(out.len(), 48_000);
//! # Ok::<(), host_std::resample::ResampleError>(())
//! ```
//!
//! **Delay** is half the filter and nothing more ([`Resampler::delay_ms`]): 4 ms at 8 kHz and 0.67 ms at 48 kHz for
//! [`Quality::Good`].
//!
//! **Cost** (BENCHMARKS.md, for 20 ms of one channel): from 48 to 16 kHz 10 µs, from 8 to 48 kHz 13 µs, from 44.1 to 48 kHz 10 µs, all
//! with [`Quality::Good`]. Resamplers of the same rates share one table of taps. Memory is allocated only by constructors.
//!
//! **Limits.** One channel each. The passband of [`Quality::Good`] is flat within 0.0002 dB up to 0.86 of the lower rate's band, and
//! what folds back from above is 90 dB down.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use dsp_core::process::resample::{Line, MAX_PPB, Plan, Processed};
use dsp_core::sample::Sample;

use crate::designs::{FLOATS, Table};

pub use dsp_core::process::resample::{Quality, ResampleError};

/// The largest adjustment of a steered resampler's ratio in either direction, in parts per million.
pub const MAX_PPM: f64 = MAX_PPB as f64 / 1e3;

/// The least capacity of the output queue, in milliseconds: the longest frame of any codec here, twice.
const QUEUE_MS: usize = 240;

/// Takes mono sound at one rate in pieces of any length and gives it at another in pieces of any length.
///
/// After `n` samples went in, `n * to / from`, rounded up, came out or can be pulled, as long as nothing is nudged: a caller
/// that moves whole frames never falls short. What isn't pulled waits in a bounded queue; when it is full, `push` takes
/// less.
///
/// ```
/// use host_std::resample::Resampler;
///
/// let mut resampler = Resampler::new(48_000, 16_000)?;
/// let mut pcm = [0; 160];
/// for _ in 0..10 {
///     assert_eq!(resampler.push(&[1_000; 480]), 480);
///     resampler.pull(&mut pcm);
/// }
/// assert!(pcm.iter().all(|sample| (999..=1_001).contains(sample)));
/// assert!(resampler.delay_ms() < 4.0);
/// # Ok::<(), host_std::resample::ResampleError>(())
/// ```
pub struct Resampler {
    table: Arc<Table<f32>>,
    line: Line<f32, Box<[f32]>>,
    /// The input of one step: a millisecond.
    block: Box<[f32]>,
    scratch: Box<[f32]>,
    queue: VecDeque<f32>,
    capacity: usize,
}

impl Resampler {
    /// Creates a resampler from `from_hz` to `to_hz` whose ratio is fixed, of the quality for calls.
    ///
    /// # Errors
    /// [`ResampleError::Rate`] for a rate outside 4 to 192 kHz.
    pub fn new(from_hz: u32, to_hz: u32) -> Result<Self, ResampleError> {
        Self::with_quality(from_hz, to_hz, Quality::Good)
    }

    /// Does the same as [`new`](Self::new), with another quality.
    ///
    /// # Errors
    /// The same as for [`new`](Self::new).
    pub fn with_quality(from_hz: u32, to_hz: u32, quality: Quality) -> Result<Self, ResampleError> {
        match Plan::exact(from_hz, to_hz, quality) {
            // Rates with little in common, whose table would be large: interpolated, and otherwise the same.
            Err(ResampleError::Ratio { .. }) => Self::of(Plan::steered(from_hz, to_hz, quality)?),
            plan => Self::of(plan?),
        }
    }

    /// Creates a resampler for calls whose ratio can be nudged by parts per million while it runs.
    ///
    /// # Errors
    /// The same as for [`new`](Self::new).
    pub fn steered(from_hz: u32, to_hz: u32) -> Result<Self, ResampleError> {
        Self::of(Plan::steered(from_hz, to_hz, Quality::Good)?)
    }

    fn of(plan: Plan) -> Result<Self, ResampleError> {
        let block = (plan.from_hz() / 1_000) as usize;
        let scratch = most_output(&plan, block);
        let capacity = plan.to_hz() as usize * QUEUE_MS / 1_000 + scratch;
        let history = vec![0.0; plan.history_len(16 * block)].into_boxed_slice();
        Ok(Self {
            table: FLOATS.of(plan)?,
            line: Line::new(plan, history)?,
            block: vec![0.0; block].into(),
            scratch: vec![0.0; scratch].into(),
            queue: VecDeque::with_capacity(capacity),
            capacity,
        })
    }

    fn plan(&self) -> &Plan {
        self.table.plan()
    }

    /// Rate of the input, in Hz.
    pub fn from_hz(&self) -> u32 {
        self.plan().from_hz()
    }

    /// Rate of the output, in Hz.
    pub fn to_hz(&self) -> u32 {
        self.plan().to_hz()
    }

    /// Returns the delay of sound through the resampler, in samples of the output.
    pub fn delay_samples(&self) -> f64 {
        self.plan().delay_samples() as f64 * f64::from(self.to_hz()) / f64::from(self.from_hz())
    }

    /// Returns the delay in milliseconds.
    pub fn delay_ms(&self) -> f64 {
        self.plan().delay_samples() as f64 * 1e3 / f64::from(self.from_hz())
    }

    /// Makes `ppm` parts per million more output from the same input, from the next sample on; negative: less. Held to
    /// [`MAX_PPM`]. Only where it was made [`steered`](Self::steered).
    pub fn set_ppm(&mut self, ppm: f64) {
        // `as` saturates, and NaN becomes zero.
        self.line.steer((ppm * 1e3) as i32);
    }

    /// Takes `pcm` and returns how many samples fitted: all, unless the caller has not pulled 240 ms of output.
    pub fn push(&mut self, pcm: &[i16]) -> usize {
        self.push_with(pcm, f32::from_i16)
    }

    /// [`Resampler::push`] for floats, full scale at 1.0.
    pub fn push_f32(&mut self, pcm: &[f32]) -> usize {
        self.push_with(pcm, |s| s)
    }

    fn push_with<S: Copy>(&mut self, pcm: &[S], to_f32: impl Fn(S) -> f32) -> usize {
        let mut taken = 0;
        for part in pcm.chunks(self.block.len()) {
            if self.queue.len() + self.scratch.len() > self.capacity {
                break;
            }
            let block = &mut self.block[..part.len()];
            block.iter_mut().zip(part).for_each(|(slot, &sample)| *slot = to_f32(sample));
            let Processed { consumed, produced } = self.table.process(&mut self.line, block, &mut self.scratch);
            debug_assert_eq!(consumed, part.len(), "the scratch holds what comes of a block");
            // The output is within the queue's capacity, as was checked, so nothing is allocated.
            self.queue.extend(&self.scratch[..produced]);
            taken += consumed;
        }
        taken
    }

    /// Samples that can be pulled now.
    pub fn available(&self) -> usize {
        self.queue.len()
    }

    /// Fills `pcm` as far as there is output, and returns how far.
    pub fn pull(&mut self, pcm: &mut [i16]) -> usize {
        self.pull_with(pcm, f32::to_i16)
    }

    /// [`Resampler::pull`] for floats, full scale at 1.0.
    pub fn pull_f32(&mut self, pcm: &mut [f32]) -> usize {
        self.pull_with(pcm, |s| s)
    }

    fn pull_with<S>(&mut self, pcm: &mut [S], from_f32: impl Fn(f32) -> S) -> usize {
        let n = pcm.len().min(self.queue.len());
        for (slot, s) in pcm.iter_mut().zip(self.queue.drain(..n)) {
            *slot = from_f32(s);
        }
        n
    }

    /// Forgets all sound and the adjustment, and removes the delay: each output sample then has the time of its input sample and
    /// is available when [`delay_ms`](Self::delay_ms) of further sound has been pushed. This is for files.
    pub fn align(&mut self) {
        self.line.align();
        self.queue.clear();
    }

    /// Forgets all sound, and the nudge.
    pub fn reset(&mut self) {
        self.line.reset();
        self.queue.clear();
    }
}

/// Returns the most samples that `input` can produce, with any adjustment.
fn most_output(plan: &Plan, input: usize) -> usize {
    let whole = plan.output_len(input as u64) as usize + 1;
    whole + whole / 100 + 1
}

impl fmt::Debug for Resampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Resampler({} -> {} Hz, {} waiting)", self.from_hz(), self.to_hz(), self.queue.len())
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    fn tone(hz: f64, rate: u32, amplitude: f64, samples: usize) -> Vec<i16> {
        (0..samples).map(|n| (amplitude * (TAU * hz * n as f64 / f64::from(rate)).sin()).round() as i16).collect()
    }

    fn run(resampler: &mut Resampler, input: &[i16], piece: usize) -> Vec<i16> {
        let mut out = Vec::new();
        let mut pcm = vec![0; 6000];
        for part in input.chunks(piece) {
            assert_eq!(resampler.push(part), part.len());
            let n = resampler.pull(&mut pcm);
            out.extend_from_slice(&pcm[..n]);
        }
        out
    }

    /// Amplitude and phase of the tone in `pcm`, and its power over that of all else, in dB.
    fn measure(pcm: &[i16], hz: f64, rate: u32) -> (f64, f64, f64) {
        let w = TAU * hz / f64::from(rate);
        let (mut re, mut im) = (0.0, 0.0);
        for (n, &s) in pcm.iter().enumerate() {
            re += f64::from(s) * (w * n as f64).sin();
            im += f64::from(s) * (w * n as f64).cos();
        }
        let scale = 2.0 / pcm.len() as f64;
        let (re, im) = (re * scale, im * scale);
        let rest: f64 = pcm
            .iter()
            .enumerate()
            .map(|(n, &s)| (f64::from(s) - re * (w * n as f64).sin() - im * (w * n as f64).cos()).powi(2))
            .sum();
        let power = (re * re + im * im) / 2.0;
        (re.hypot(im), im.atan2(re), 10.0 * (power / (rest / pcm.len() as f64)).log10())
    }

    #[test]
    fn a_tone_keeps_90_db_and_its_place_in_time() {
        for (from, to) in [(8_000, 48_000), (48_000, 8_000), (16_000, 48_000), (48_000, 16_000), (44_100, 48_000)] {
            let mut resampler = Resampler::new(from, to).unwrap();
            let input = tone(1000.0, from, 29_000.0, from as usize * 2);
            let out = run(&mut resampler, &input, 137);
            let second = &out[to as usize / 2..to as usize * 3 / 2];
            let (amplitude, phase, sinad_db) = measure(second, 1000.0, to);
            let delay = -phase / TAU * f64::from(to) / 1000.0;
            let period = f64::from(to) / 1000.0;
            let off = (delay - resampler.delay_samples()).rem_euclid(period);
            let off = off.min(period - off);
            println!(
                "{from} to {to}: SINAD {sinad_db:.1} dB, gain {:.4} dB, delay {:.2} ms, said wrong by {off:.4} samples",
                20.0 * (amplitude / 29_000.0).log10(),
                resampler.delay_ms(),
            );
            assert!(sinad_db > 90.0, "{from} to {to}: {sinad_db:.1} dB");
            assert!((20.0 * (amplitude / 29_000.0).log10()).abs() < 0.01);
            assert!(off < 0.01, "{from} to {to}: delay is off by {off} samples");
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_hold_is_gone() {
        let mut resampler = Resampler::new(48_000, 8_000).unwrap();
        let out = run(&mut resampler, &tone(5000.0, 48_000, 29_000.0, 96_000), 960);
        let peak = out[4000..].iter().map(|s| s.unsigned_abs()).max();
        assert!(peak <= Some(1), "5 kHz leaves {peak:?} at 8 kHz");
    }

    #[test]
    fn output_never_falls_short_whatever_the_pieces() {
        for (from, to) in [(8_000, 48_000), (48_000, 8_000), (44_100, 16_000), (16_000, 44_100), (11_025, 192_000)] {
            for piece in [1, 7, 160, 441] {
                let mut resampler = Resampler::new(from, to).unwrap();
                let (mut pushed, mut pulled) = (0_u64, 0_u64);
                let mut pcm = [0; 9000];
                for _ in 0..2000 / piece + 50 {
                    pushed += resampler.push(&vec![0; piece]) as u64;
                    pulled += resampler.pull(&mut pcm) as u64;
                    let owed = pushed * u64::from(to) / u64::from(from);
                    assert!(pulled >= owed, "{from} to {to} by {piece}: {pulled} of {owed}");
                    assert!(pulled <= owed + 1);
                }
            }
        }
    }

    #[test]
    fn the_queue_is_bounded_and_nothing_taken_is_lost() {
        let mut resampler = Resampler::new(8_000, 48_000).unwrap();
        let capacity = resampler.queue.capacity();
        let taken = resampler.push(&vec![1; 100_000]);
        assert!((1_900..2_200).contains(&taken), "{taken} of 100,000 samples");
        assert_eq!(resampler.push(&[1; 8]), 0);
        assert_eq!(resampler.queue.capacity(), capacity);
        assert!(resampler.available() >= taken * 6);
        let mut pcm = vec![0; 20_000];
        assert!(resampler.pull(&mut pcm) >= taken * 6);
        assert_eq!(resampler.push(&[1; 8]), 8);
    }

    #[test]
    fn parts_per_million_are_followed() {
        for ppm in [-300.0, 0.0, 150.0] {
            let mut resampler = Resampler::steered(48_000, 48_000).unwrap();
            resampler.set_ppm(ppm);
            let mut pulled = 0;
            let mut pcm = [0; 1000];
            for _ in 0..100 * 60 {
                resampler.push(&[0; 480]);
                pulled += resampler.pull(&mut pcm);
            }
            let made = pulled as f64;
            let got = (made / (480.0 * 6000.0) - 1.0) * 1e6;
            assert!((got - ppm).abs() < 2.0, "{got:.2} ppm for {ppm}");
        }
    }

    #[test]
    fn a_moving_ratio_leaves_a_tone_clean() {
        let mut resampler = Resampler::steered(48_000, 48_000).unwrap();
        let mut out = Vec::new();
        let mut pcm = [0; 600];
        for (k, part) in tone(1000.0, 48_000, 20_000.0, 96_000).chunks(480).enumerate() {
            resampler.set_ppm(if k % 20 < 10 { 100.0 } else { -100.0 });
            resampler.push(part);
            let n = resampler.pull(&mut pcm);
            out.extend_from_slice(&pcm[..n]);
        }
        // No step: a 1 kHz sine at 20,000 moves at most 2,618 a sample, and its slope at most 343.
        for w in out[2000..].windows(3) {
            let bend = i32::from(w[2]) - 2 * i32::from(w[1]) + i32::from(w[0]);
            assert!(bend.abs() < 350, "a click of {bend}");
        }
    }

    #[test]
    fn rates_are_checked_and_any_nudge_is_survived() {
        let wrong = ResampleError::Rate { from_hz: 3999, to_hz: 48_000 };
        assert_eq!(Resampler::new(3999, 48_000).err(), Some(wrong));
        assert!(Resampler::new(8_000, 192_001).is_err());
        assert_eq!(Resampler::new(44_056, 48_000).map(|odd| odd.to_hz()), Ok(48_000));
        let mut resampler = Resampler::steered(192_000, 4_000).unwrap();
        for ppm in [1e9, f64::NAN, -1e9, f64::NEG_INFINITY] {
            resampler.set_ppm(ppm);
            resampler.push(&[100; 2000]);
        }
        assert!(resampler.available() > 0);
    }
}

//! The adaptive filters: a partitioned-block frequency-domain Kalman filter with a diagonal covariance (Enzner and
//! Vary, 2006; Kuech et al., 2014), and beside it an NLMS filter that learns faster and is disturbed more easily.
//!
//! `W[p]` is the contribution to the echo of the far end's block `p` blocks ago, as a spectrum of `2 * B` points. In
//! each block, one partition in turn is constrained to an impulse response of `B` samples, which works as well as
//! constraining all of them.
//!
//! The cost for each partition and bin is 4 multiplications to filter, 12 to learn, and 8 for the second filter.

use crate::arithmetic::{energy, max};
use crate::spectrum::Spectrum;

/// How much of its uncertainty the filter keeps a block: what its robustness in double talk hangs on.
const KEEP: f32 = 0.999_99;
/// The gain over Kalman's, which is in doubt of itself.
const GAIN: f32 = 0.6;
/// How much of what it believes to have learned the filter takes for learned.
const TRUST: f32 = 0.25;
/// The direct sound is the first tap of this share of the largest.
const DIRECT: f32 = 0.3;
/// The uncertainty of a filter that knows nothing.
const UNKNOWN: f32 = 0.3;

/// Spectra of the far end's last blocks: `P` of them, each of a block and the one before.
#[derive(Clone, Copy, Debug)]
pub(super) struct FarSpectra<const B: usize, const P: usize> {
    ring: [Spectrum<B>; P],
    head: usize,
}

impl<const B: usize, const P: usize> FarSpectra<B, P> {
    pub(super) const NEW: Self = Self { ring: [Spectrum::ZERO; P], head: 0 };

    /// Silence, in place: no second one lies on the stack meanwhile.
    pub(super) fn clear(&mut self) {
        self.ring.iter_mut().for_each(|spectrum| *spectrum = Spectrum::ZERO);
        self.head = 0;
    }

    /// The next block, with the one before it.
    pub(super) fn push(&mut self, last: &[f32; B], now: &[f32; B]) {
        self.head = if self.head == 0 { P - 1 } else { self.head - 1 };
        self.ring[self.head].set(last, now);
    }

    /// That of `p` blocks ago, of which the one before is `last`.
    pub(super) fn set(&mut self, p: usize, last: &[f32; B], now: &[f32; B]) {
        let at = self.head + p;
        self.ring[if at >= P { at - P } else { at }].set(last, now);
    }

    /// That of `p` blocks ago.
    #[inline(always)]
    pub(super) fn ago(&self, p: usize) -> &Spectrum<B> {
        let at = self.head + p;
        &self.ring[if at >= P { at - P } else { at }]
    }

    /// Reads the far end `blocks` blocks earlier (or later, if negative) from now on. Blocks that are not known become
    /// silence.
    pub(super) fn shift(&mut self, blocks: i32) {
        self.head = (self.head as i64 + i64::from(blocks)).rem_euclid(P as i64) as usize;
        for p in 0..P {
            if !(0..P as i64).contains(&(p as i64 + i64::from(blocks))) {
                self.ring[(self.head + p) % P] = Spectrum::ZERO;
            }
        }
    }
}

/// A filter in `P` partitions, or fewer where its memory has less.
pub(super) fn estimate<const B: usize, const P: usize>(filter: &[Spectrum<B>], far: &FarSpectra<B, P>) -> [f32; B] {
    let mut sum = Spectrum::ZERO;
    for (p, weights) in filter.iter().enumerate() {
        sum.add_product::<false>(far.ago(p), weights);
    }
    sum.inverse()[1]
}

/// Makes a partition's response end with its block, and returns it.
fn constrain<const B: usize>(weights: &mut Spectrum<B>) -> [f32; B] {
    let [first, _] = weights.inverse();
    weights.set(&first, &[0.0; B]);
    first
}

/// Moves learned partitions when the far end is read `blocks` blocks earlier from now on.
pub(super) fn shift<const B: usize>(filter: &mut [Spectrum<B>], blocks: i32) {
    let count = filter.len();
    let step = (blocks.unsigned_abs() as usize).min(count);
    if blocks > 0 {
        filter.copy_within(step.., 0);
        filter[count - step..].fill(Spectrum::ZERO);
    } else {
        filter.copy_within(..count - step, step);
        filter[..step].fill(Spectrum::ZERO);
    }
}

/// The Kalman filter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kalman<const B: usize, const P: usize> {
    pub(super) weights: [Spectrum<B>; P],
    /// How wrong each weight may be: a power.
    uncertainty: [[f32; B]; P],
    /// The power of what isn't echo.
    noise: [f32; B],
    /// The partition that was constrained last.
    pub(super) turn: usize,
    /// The largest tap of each partition, and where the first large one lies.
    peaks: [f32; P],
    onset: usize,
}

impl<const B: usize, const P: usize> Kalman<B, P> {
    pub(super) fn new() -> Self {
        let mut new = Self {
            weights: [Spectrum::ZERO; P],
            uncertainty: [[0.0; B]; P],
            noise: [1e-4; B],
            turn: 0,
            peaks: [0.0; P],
            onset: 0,
        };
        new.forget(60.0);
        new
    }

    /// The uncertainty of a partition of which nothing is known: the echo decays by one neper in `decay_ms`.
    fn unknown(p: usize, decay_ms: f32) -> f32 {
        UNKNOWN * crate::arithmetic::exp2(-(p as f32) * 10.0 / decay_ms * core::f32::consts::LOG2_E)
    }

    /// Knows nothing any more.
    pub(super) fn forget(&mut self, decay_ms: f32) {
        self.weights.iter_mut().for_each(|weights| *weights = Spectrum::ZERO);
        self.peaks = [0.0; P];
        for (p, row) in self.uncertainty.iter_mut().enumerate() {
            *row = [Self::unknown(p, decay_ms); B];
        }
    }

    /// Is less sure of what it knows: at least this share of what nothing known would be.
    pub(super) fn doubt(&mut self, share: f32) {
        for (p, row) in self.uncertainty.iter_mut().enumerate() {
            let least = share * Self::unknown(p, 60.0);
            row.iter_mut().for_each(|u| *u = max(*u, least));
        }
    }

    /// Moves what was learned when the far end is read `blocks` blocks earlier from now on.
    pub(super) fn shift(&mut self, blocks: i32) {
        shift(&mut self.weights, blocks);
        let step = (blocks.unsigned_abs() as usize).min(P);
        let unknown = if blocks > 0 {
            self.uncertainty.copy_within(step.., 0);
            self.peaks.copy_within(step.., 0);
            self.onset = self.onset.saturating_sub(step * B);
            P - step..P
        } else {
            self.uncertainty.copy_within(..P - step, step);
            self.peaks.copy_within(..P - step, step);
            self.onset += step * B;
            0..step
        };
        for p in unknown {
            self.uncertainty[p] = [Self::unknown(p, 60.0); B];
            self.peaks[p] = 0.0;
        }
    }

    pub(super) fn reset(&mut self) {
        self.forget(60.0);
        (self.noise, self.turn) = ([1e-4; B], 0);
    }

    /// Takes another filter's weights over, which left `error` of it.
    pub(super) fn take_over(&mut self, weights: &[Spectrum<B>], error: &Spectrum<B>, share: f32) {
        for (own, other) in self.weights.iter_mut().zip(weights) {
            *own = *other;
        }
        self.doubt(share);
        self.noise = error.power();
    }

    /// Learns from an error's spectrum. Returns the power that the weights' uncertainty means for the estimate.
    pub(super) fn learn(&mut self, far: &FarSpectra<B, P>, error: &Spectrum<B>) -> [f32; B] {
        let now = error.power();
        let mut doubt = [0.0; B];
        for (p, row) in self.uncertainty.iter().enumerate() {
            let x = far.ago(p);
            for k in 0..B {
                doubt[k] += (x.re[k] * x.re[k] + x.im[k] * x.im[k]) * row[k];
            }
        }
        let mut inverse = [0.0; B];
        for k in 0..B {
            self.noise[k] = 0.6 * self.noise[k] + 0.4 * now[k];
            inverse[k] = 1.0 / (doubt[k] + 2.0 * max(self.noise[k], 0.3 * now[k]) + 1e-10);
        }
        let (keep, lose) = (KEEP * KEEP, 1.0 - KEEP * KEEP);
        for (p, (weights, row)) in self.weights.iter_mut().zip(&mut self.uncertainty).enumerate() {
            let x = far.ago(p);
            let gain_0 = 2.0 * GAIN * row[0] * inverse[0];
            let (dc, half) =
                (weights.re[0] + gain_0 * x.re[0] * error.re[0], weights.im[0] + gain_0 * x.im[0] * error.im[0]);
            for k in 0..B {
                let (x_re, x_im, w_re, w_im) = (x.re[k], x.im[k], weights.re[k], weights.im[k]);
                let (e_re, e_im) = (error.re[k], error.im[k]);
                let share = row[k] * inverse[k];
                let gain = 2.0 * GAIN * share;
                weights.re[k] = w_re + gain * (x_re * e_re + x_im * e_im);
                weights.im[k] = w_im + gain * (x_re * e_im - x_im * e_re);
                row[k] = keep * (1.0 - TRUST * share * (x_re * x_re + x_im * x_im)) * row[k]
                    + lose * (w_re * w_re + w_im * w_im);
            }
            (weights.re[0], weights.im[0]) = (dc, half);
        }
        self.turn = if self.turn + 1 >= P { 0 } else { self.turn + 1 };
        let response = constrain(&mut self.weights[self.turn]);
        self.look(&response);
        doubt
    }

    /// Notes a partition's response, and where it makes the whole one begin.
    fn look(&mut self, response: &[f32; B]) {
        self.peaks[self.turn] = response.iter().fold(0.0, |peak, tap| max(tap.abs(), peak));
        let strong = DIRECT * self.peaks.iter().fold(0.0, |most, &peak| max(peak, most));
        let first = self.peaks.iter().position(|&peak| peak >= strong);
        if strong > 0.0 && first == Some(self.turn) {
            let begin = response.iter().position(|tap| tap.abs() >= strong).unwrap_or(0);
            self.onset = self.turn * B + begin;
        }
    }

    /// Samples from the far end that is read to the echo's beginning, as far as it's learned.
    pub(super) fn onset(&self) -> usize {
        self.onset
    }
}

/// The NLMS beside it, whose weights lie elsewhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nlms<const B: usize> {
    far: [f32; B],
    turn: usize,
}

impl<const B: usize> Nlms<B> {
    pub(super) const NEW: Self = Self { far: [0.0; B], turn: 0 };

    pub(super) fn learn<const P: usize>(
        &mut self,
        weights: &mut [Spectrum<B>],
        far: &FarSpectra<B, P>,
        error: &Spectrum<B>,
    ) {
        let mut sum = [0.0; B];
        for p in 0..weights.len() {
            let x = far.ago(p);
            for (sum, (re, im)) in sum.iter_mut().zip(x.re.iter().zip(&x.im)) {
                *sum += re * re + im * im;
            }
        }
        let mut step = Spectrum::ZERO;
        for (k, (far, sum)) in self.far.iter_mut().zip(sum).enumerate() {
            *far = max(0.9 * *far + 0.1 * sum, sum);
            let gain = 0.5 / (*far + 1e-4);
            (step.re[k], step.im[k]) = (gain * error.re[k], gain * error.im[k]);
        }
        for (p, weights) in weights.iter_mut().enumerate() {
            weights.add_product::<true>(&step, far.ago(p));
        }
        if !weights.is_empty() {
            self.turn = if self.turn + 1 >= weights.len() { 0 } else { self.turn + 1 };
            constrain(&mut weights[self.turn]);
        }
    }
}

/// The energy of a difference.
pub(super) fn difference<const B: usize>(a: &[f32; B], b: &[f32; B]) -> f32 {
    let difference: [f32; B] = core::array::from_fn(|n| a[n] - b[n]);
    energy(&difference)
}

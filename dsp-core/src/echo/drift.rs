//! Clock drift, from how the phase of the filter turns between two looks at it.
//!
//! If the loudspeaker's clock runs faster than the microphone's, the delay of the echo path grows steadily, and the
//! filter follows it. The change of delay between two looks, 250 ms apart and 500 ms once the drift is known, is the
//! slope of the phase of their cross-spectrum. Divided by the time between them it is the remaining drift, since the
//! far end is read with the known drift already. The filter's own lag cancels out in the difference, and the near end
//! has no part in it.
//!
//! The three strongest partitions of the filter are compared, from 200 Hz to 5 kHz. The cost is about 300 products,
//! twice a second.

use crate::arithmetic::max;
use crate::spectrum::Spectrum;

/// Partitions that are compared.
const STRONGEST: usize = 3;
/// The first bin, and the bins of three looks at the slope, coarse to fine.
const FIRST: usize = 4;
const BINS: usize = 96;
const LOOKS: [usize; 3] = [25, 50, BINS];
/// Blocks between two looks, before and after the drift is known.
const BLOCKS: [u32; 2] = [25, 50];
/// No clocks differ by more than this.
const MOST_PPM: f32 = 400.0;

#[derive(Clone, Copy, Debug)]
struct Look {
    partitions: [usize; STRONGEST],
    re: [[f32; BINS]; STRONGEST],
    im: [[f32; BINS]; STRONGEST],
    at: u32,
}

/// The drift loop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drift<const B: usize> {
    ppm: f32,
    /// How many looks in a row found less than 10 ppm.
    steady: u32,
    block: u32,
    old: Option<Look>,
}

impl<const B: usize> Drift<B> {
    pub(super) const NEW: Self = Self { ppm: 0.0, steady: 0, block: 0, old: None };

    /// How much faster the loudspeaker's clock is, in parts per million. Less than one is none.
    pub(super) fn ppm(&self) -> f32 {
        if self.ppm > -1.0 && self.ppm < 1.0 { 0.0 } else { self.ppm }
    }

    /// The filter has jumped: two looks can't be compared.
    pub(super) fn jump(&mut self) {
        self.old = None;
    }

    /// Bins that are compared: a block of 80 has fewer.
    fn bins() -> usize {
        BINS.min(B - FIRST)
    }

    /// Looks at the filter, once a block.
    pub(super) fn look(&mut self, weights: &[Spectrum<B>]) {
        self.block = self.block.wrapping_add(1);
        let every = BLOCKS[usize::from(self.steady >= 2)];
        if !self.block.is_multiple_of(every) || self.block < 50 || weights.len() < STRONGEST {
            return;
        }
        if let Some(old) = self.old {
            self.compare(weights, &old);
        }
        let look = self.old.insert(Look {
            partitions: strongest(weights),
            re: [[0.0; BINS]; STRONGEST],
            im: [[0.0; BINS]; STRONGEST],
            at: self.block,
        });
        for (n, &p) in look.partitions.iter().enumerate() {
            for k in 0..Self::bins() {
                (look.re[n][k], look.im[n][k]) = (weights[p].re[FIRST + k], weights[p].im[FIRST + k]);
            }
        }
    }

    /// Gives `each` the cosine and sine by which a delay turns the first bins' phases. From bin to bin they are multiplied up:
    /// the library's are computed in `f64`, which small processors lack.
    fn turned(delay: f32, bins: usize, mut each: impl FnMut(usize, f32, f32)) {
        let (step_sin, step_cos) = libm::sincosf(core::f32::consts::PI / B as f32 * delay);
        let (mut cos, mut sin) = (1.0f32, 0.0f32);
        for bin in 0..FIRST + bins {
            if bin >= FIRST {
                each(bin - FIRST, cos, sin);
            }
            (cos, sin) = (cos * step_cos - sin * step_sin, sin * step_cos + cos * step_sin);
        }
    }

    fn compare(&mut self, weights: &[Spectrum<B>], old: &Look) {
        let (mut re, mut im, mut norm) = ([0.0; BINS], [0.0; BINS], [0.0; BINS]);
        for k in 0..Self::bins() {
            let (mut now, mut then) = (0.0, 0.0);
            for (n, &p) in old.partitions.iter().enumerate() {
                let (a_re, a_im) = (weights[p].re[FIRST + k], weights[p].im[FIRST + k]);
                let (b_re, b_im) = (old.re[n][k], old.im[n][k]);
                re[k] += a_re * b_re + a_im * b_im;
                im[k] += a_im * b_re - a_re * b_im;
                now += a_re * a_re + a_im * a_im;
                then += b_re * b_re + b_im * b_im;
            }
            norm[k] = libm::sqrtf(now * then);
        }
        let turn = |k: usize| core::f32::consts::PI * (FIRST + k) as f32 / B as f32;
        let size: [f32; BINS] = core::array::from_fn(|k| libm::sqrtf(re[k] * re[k] + im[k] * im[k]));
        // Samples by which the path has become longer.
        let mut delay = 0.0f32;
        for bins in LOOKS {
            let (mut slope, mut weight) = (0.0, 1e-20);
            Self::turned(delay, bins.min(Self::bins()), |k, cos, sin| {
                slope += turn(k) * (im[k] * cos + re[k] * sin);
                weight += turn(k) * turn(k) * max(size[k], 1e-12);
            });
            delay -= slope / weight;
        }
        let (mut agree, mut all) = (0.0, 1e-20);
        Self::turned(delay, Self::bins(), |k, cos, sin| {
            agree += re[k] * cos - im[k] * sin;
            all += norm[k];
        });
        let left = -delay / (self.block.wrapping_sub(old.at) as f32 * B as f32) * 1e6;
        let known = self.steady >= 2;
        let coherent = agree > if known { 0.9 } else { 0.4 } * all;
        if coherent && left.abs() < MOST_PPM {
            self.ppm = (self.ppm + if known { 0.2 } else { 0.7 } * left).clamp(-MOST_PPM, MOST_PPM);
            self.steady = match left.abs() {
                small if small < 10.0 => self.steady + 1,
                large if large > 30.0 => 0,
                _ => self.steady,
            };
        }
    }
}

/// The partitions with the most energy in the bins that are compared.
fn strongest<const B: usize>(weights: &[Spectrum<B>]) -> [usize; STRONGEST] {
    let mut best = [(0, -1.0); STRONGEST];
    for (p, weights) in weights.iter().enumerate() {
        let bins = FIRST..FIRST + Drift::<B>::bins();
        let energy = bins.fold(0.0, |sum, k| sum + weights.re[k] * weights.re[k] + weights.im[k] * weights.im[k]);
        if let Some(at) = best.iter().position(|&(_, least)| energy > least) {
            best[at..].rotate_right(1);
            best[at] = (p, energy);
        }
    }
    best.map(|(p, _)| p)
}

//! The few kernels that everything else is made of: sliding products (FIR filters, correlations), all-pole filters and
//! the high-pass filters of both ends (RFC 3951, 3.1, 3.3, 3.6.2, 4.7, 4.8; A.28, A.30).
//!
//! Sums have one fixed order and no multiplication is fused into an addition, so that results are the same bits on
//! every target: [`correlate`] runs over many positions at once and sums each of them from the first product to the
//! last; [`dot`] has eight partial sums, written out.

use super::ORDER;

/// Coefficients of one linear prediction filter, the leading 1 included.
pub(super) type Lpc = [f32; ORDER + 1];

/// Positions that [`correlate`] works on together: four vectors of four floats, which hide the latency of addition.
const LANES: usize = 16;

/// `out[i]` = sum over `j` of `taps[j] * x[i + j]`.
///
/// `x` must have at least `out.len() + taps.len() - 1` samples; with fewer, the last elements of `out` are incomplete.
#[inline]
pub(super) fn correlate(taps: &[f32], x: &[f32], out: &mut [f32]) {
    let whole = out.len() - out.len() % LANES;
    let (blocks, rest) = out.split_at_mut(whole);
    for (block, out) in blocks.chunks_exact_mut(LANES).enumerate() {
        if let Some(x) = x.get(block * LANES..) {
            sliding::<LANES>(taps, x, out);
        }
    }
    let mut done = whole;
    for out in rest.chunks_mut(4) {
        let Some(x) = x.get(done..) else { return };
        if out.len() == 4 {
            sliding::<4>(taps, x, out);
        } else {
            for (i, out) in out.iter_mut().enumerate() {
                if let Some(x) = x.get(i..) {
                    sliding::<1>(taps, x, core::slice::from_mut(out));
                }
            }
        }
        done += 4;
    }
}

/// Computes `N` neighbouring elements of [`correlate`]'s output.
#[inline(always)]
fn sliding<const N: usize>(taps: &[f32], x: &[f32], out: &mut [f32]) {
    let mut sums = [0.0; N];
    for (&tap, x) in taps.iter().zip(x.windows(N)) {
        for (sum, &x) in sums.iter_mut().zip(x) {
            *sum += tap * x;
        }
    }
    out.copy_from_slice(&sums);
}

/// Scalar product of two vectors, in eight partial sums.
#[inline]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a8, a_rest) = a.as_chunks::<8>();
    let (b8, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (a, b) in a8.iter().zip(b8) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let mut sum = ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
    for (a, b) in a_rest.iter().zip(b_rest) {
        sum += a * b;
    }
    sum
}

/// Energy of a vector.
#[inline]
pub(super) fn energy(x: &[f32]) -> f32 {
    dot(x, x)
}

/// Filters `signal[ORDER..]` through 1/A(z) in place; `signal[..ORDER]` is the filter's output before it.
///
/// The latest two outputs enter last, so that the rest of the sum is ready before them.
#[inline]
pub(super) fn all_pole(a: &Lpc, signal: &mut [f32]) {
    let Some((history, _)) = signal.split_first_chunk::<ORDER>() else { return };
    let (mut before, mut last) = (history[ORDER - 2], history[ORDER - 1]);
    for n in ORDER..signal.len() {
        let Some((h, [input, ..])) = signal[n - ORDER..].split_first_chunk::<ORDER>() else { return };
        let older = ((a[10] * h[0] + a[9] * h[1]) + (a[8] * h[2] + a[7] * h[3]))
            + ((a[6] * h[4] + a[5] * h[5]) + (a[4] * h[6] + a[3] * h[7]));
        let output = (*input - older - a[2] * before) - a[1] * last;
        (before, last) = (last, output);
        signal[n] = output;
    }
}

/// Filters with A(z): `out[n]` = sum of `a[k] * x[ORDER + n - k]`. `x` begins with the `ORDER` input samples before the
/// first.
#[inline]
pub(super) fn all_zero(a: &Lpc, x: &[f32], out: &mut [f32]) {
    let mut taps = *a;
    taps.reverse();
    correlate(&taps, x, out);
}

/// A high-pass filter of second order, direct form I.
#[derive(Clone, Copy, Debug)]
pub(super) struct HighPass {
    zeros: [f32; 3],
    poles: [f32; 2],
    input: [f32; 2],
    output: [f32; 2],
}

impl HighPass {
    /// The encoder's input filter, with its cutoff at 90 Hz (RFC 3951, 3.1 and A.8).
    pub(super) const INPUT: Self = Self::new([0.92727436, -1.8544941, 0.92727436], [-1.9059465, 0.9114024]);
    /// The decoder's output filter, with its cutoff at 65 Hz (RFC 3951, 4.8 and A.8).
    pub(super) const OUTPUT: Self = Self::new([0.939_805_8, -1.8795834, 0.939_805_8], [-1.9330735, 0.935_892]);

    const fn new(zeros: [f32; 3], poles: [f32; 2]) -> Self {
        Self { zeros, poles, input: [0.0; 2], output: [0.0; 2] }
    }

    /// Filters one sample.
    #[inline]
    pub(super) fn step(&mut self, x: f32) -> f32 {
        let zeros = self.zeros[0] * x + (self.zeros[1] * self.input[0] + self.zeros[2] * self.input[1]);
        let y = (zeros - self.poles[1] * self.output[1]) - self.poles[0] * self.output[0];
        self.input = [x, self.input[0]];
        self.output = [y, self.output[0]];
        y
    }

    /// Clears the filter's history.
    pub(super) fn reset(&mut self) {
        *self = Self::new(self.zeros, self.poles);
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;

    fn noise(n: usize) -> Vec<f32> {
        let mut seed = 1_u32;
        (0..n)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 16) as i16 as f32
            })
            .collect()
    }

    #[test]
    fn sliding_products_are_those_of_one_position_at_a_time() {
        let x = noise(200);
        for taps in [1, 8, 23, 40] {
            for positions in [1, 3, 4, 20, 34, 108] {
                let mut out = vec![0.0; positions];
                correlate(&x[150..150 + taps], &x, &mut out);
                for (i, &out) in out.iter().enumerate() {
                    let sum = (0..taps).fold(0.0, |sum, j| sum + x[150 + j] * x[i + j]);
                    assert_eq!(out, sum);
                }
            }
        }
    }

    #[test]
    fn all_pole_undoes_all_zero() {
        let a = [1.0, -0.9, 0.5, -0.3, 0.2, -0.1, 0.05, 0.04, -0.03, 0.02, -0.01];
        let mut x = vec![0.0; ORDER];
        x.extend(noise(100));
        let mut residual = vec![0.0; ORDER + 100];
        all_zero(&a, &x, &mut residual[ORDER..]);
        all_pole(&a, &mut residual);
        for (x, y) in x.iter().zip(&residual) {
            assert!((x - y).abs() < 0.1, "{x} {y}");
        }
    }

    #[test]
    fn high_pass_blocks_dc_and_passes_the_rest() {
        let mut filter = HighPass::OUTPUT;
        let mut last = 0.0;
        for _ in 0..2000 {
            last = filter.step(1000.0);
        }
        // The standard's zeros lie 2.8e-5 beside 1: -40 dB is left.
        assert!(last.abs() < 11.0, "{last}");
        // 4 kHz: the zeros' sum over the poles' sum, signs alternating.
        for n in 0..2000 {
            last = filter.step(if n % 2 == 0 { 1000.0 } else { -1000.0 });
        }
        assert!((last.abs() - 1000.0 * (4.0 * 0.9398) / (1.0 + 1.93307 + 0.93589)).abs() < 30.0, "{last}");
    }
}

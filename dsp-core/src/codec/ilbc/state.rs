//! The start state: where it lies, and its scalar quantisation (RFC 3951, 3.5 and 4.2; A.20, A.44, A.46).

use super::filter::{Lpc, all_pole, all_zero, energy};
use super::lsf::Filters;
use super::tables::{STATE_LEVELS, STATE_MAXIMUM, STATE_MAXIMUM_BOUNDARY};
use super::{BLOCKL_MAX, IlbcMode, NSUB_MAX, ORDER, STATE_LEN, SUBL};

/// Longest start state, samples.
const SHORT_MAX: usize = 58;

/// Largest magnitude of the scaled samples is about that of the outermost level.
const SCALE: f32 = 4.5;

/// Limit of decoded residual: 16 bits, as in fixed-point implementations.
pub(super) const RESIDUAL_LIMIT: f32 = 32767.0;

/// Limits `x` to 16 bits; what is no number becomes the lower limit.
pub(super) fn limit(x: f32) -> f32 {
    if x > -RESIDUAL_LIMIT { x.min(RESIDUAL_LIMIT) } else { -RESIDUAL_LIMIT }
}

/// The first of the two sub-blocks with most energy, counted from 1, the rims and the outer sub-blocks weighted less
/// (3.5.1, A.20).
pub(super) fn locate(mode: IlbcMode, residual: &[f32; BLOCKL_MAX]) -> usize {
    const RIM: [f32; 5] = [1.0 / 6.0, 2.0 / 6.0, 3.0 / 6.0, 4.0 / 6.0, 5.0 / 6.0];
    const MIDDLE: [f32; NSUB_MAX - 1] = [0.8, 0.9, 1.0, 0.9, 0.8];
    let weights = match mode {
        IlbcMode::Ms20 => &MIDDLE[1..4],
        IlbcMode::Ms30 => &MIDDLE[..],
    };
    let (mut best, mut most) = (1, f32::MIN);
    for (n, &weight) in weights.iter().enumerate() {
        let pair = &residual[n * SUBL..n * SUBL + STATE_LEN];
        let mut sum = energy(&pair[5..STATE_LEN - 5]);
        for (i, rim) in RIM.iter().enumerate() {
            let (front, back) = (pair[i], pair[STATE_LEN - 1 - i]);
            sum += rim * (front * front + back * back);
        }
        if sum * weight > most {
            (best, most) = (n + 1, sum * weight);
        }
    }
    best
}

/// Filters `x` of at most 58 samples with the all-pass that has `a` for its denominator, by circular convolution from a
/// zero state (3.5.2).
#[inline(never)]
fn all_pass(a: &Lpc, x: &mut [f32]) {
    let len = x.len();
    let mut numerator = *a;
    numerator.reverse();
    let mut input = [0.0; ORDER + 2 * SHORT_MAX];
    input[ORDER..ORDER + len].copy_from_slice(x);
    let mut output = [0.0; ORDER + 2 * SHORT_MAX];
    // Past this the all-zero part has nothing left to filter.
    let (zeros, all) = (ORDER + len + ORDER, ORDER + 2 * len);
    all_zero(&numerator, &input[..zeros], &mut output[ORDER..zeros]);
    all_pole(a, &mut output[..all]);
    for (k, x) in x.iter_mut().enumerate() {
        *x = output[ORDER + k] + output[ORDER + len + k];
    }
}

/// Quantises the start state `residual`: the index of its largest magnitude and one index a sample.
///
/// `first` is the sub-block in which it begins; `turn`, how many of its samples that sub-block has. `synthesis` and
/// `weighting` are the quantised filters and those of the perceptual weighting.
#[inline(never)]
pub(super) fn quantize(
    residual: &[f32],
    first: usize,
    turn: usize,
    synthesis: &Filters,
    weighting: &Filters,
    indices: &mut [u8; SHORT_MAX],
) -> u8 {
    let len = residual.len();
    let mut buffer = [0.0; ORDER + SHORT_MAX];
    let signal = &mut buffer[..ORDER + len];
    signal[ORDER..].copy_from_slice(residual);
    all_pass(&synthesis[first], &mut signal[ORDER..]);

    let most = signal.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    let index = STATE_MAXIMUM_BOUNDARY.partition_point(|&boundary| most > boundary);
    let scale = SCALE / STATE_MAXIMUM[index];
    for x in &mut signal[ORDER..] {
        *x *= scale;
    }

    // Both the samples and what is decoded of them go through the weighting filter, which changes with the sub-block.
    let mut decoded = [0.0; ORDER + SHORT_MAX];
    for (range, weighting) in [(0..turn, &weighting[first]), (turn..len, &weighting[first + 1])] {
        all_pole(weighting, &mut signal[range.start..ORDER + range.end]);
        for n in range {
            let history = &decoded[n..n + ORDER];
            let mut older = 0.0;
            for k in (3..=ORDER).rev() {
                older += weighting[k] * history[ORDER - k];
            }
            let prediction = -((older + weighting[2] * history[ORDER - 2]) + weighting[1] * history[ORDER - 1]);
            let level = nearest_level(signal[ORDER + n] - prediction);
            indices[n] = level;
            decoded[ORDER + n] = STATE_LEVELS[usize::from(level)] + prediction;
        }
    }
    index as u8
}

/// Index of the level nearest to `x`.
fn nearest_level(x: f32) -> u8 {
    let mut index = 0;
    for pair in STATE_LEVELS.windows(2) {
        index += u8::from(x > (pair[0] + pair[1]) / 2.0);
    }
    index
}

/// The start state that `scale` and `indices` stand for, into `out` (4.2). `synthesis` is the filter of the sub-block in
/// which it begins. Indices past a table's end wrap.
pub(super) fn dequantize(scale: u8, indices: &[u8], synthesis: &Lpc, out: &mut [f32]) {
    let scale = STATE_MAXIMUM[usize::from(scale) % STATE_MAXIMUM.len()] / SCALE;
    for (x, &index) in out.iter_mut().rev().zip(indices) {
        *x = scale * STATE_LEVELS[usize::from(index) % STATE_LEVELS.len()];
    }
    all_pass(synthesis, out);
    out.reverse();
    for x in out {
        *x = limit(*x);
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;

    #[test]
    fn the_loudest_pair_of_sub_blocks_is_found() {
        for (mode, subblocks) in [(IlbcMode::Ms20, 4), (IlbcMode::Ms30, 6)] {
            for first in 1..subblocks {
                let mut residual = [1.0; BLOCKL_MAX];
                residual[first * SUBL - 10..first * SUBL + 10].fill(1000.0);
                assert_eq!(locate(mode, &residual), first);
            }
        }
    }

    #[test]
    fn quantised_state_resembles_the_state() {
        let mut filters = [[0.0; ORDER + 1]; NSUB_MAX];
        for filter in &mut filters {
            filter[..3].copy_from_slice(&[1.0, -0.8, 0.3]);
        }
        let mut weighting = filters;
        for filter in &mut weighting {
            *filter = super::super::lpc::expand(filter, 0.4222);
        }
        for amplitude in [30.0, 1000.0, 8000.0] {
            let mut seed = 5_u32;
            let state: Vec<f32> = (0..57)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    ((seed >> 16) as i16 as f32) / 32768.0 * amplitude
                })
                .collect();
            let mut indices = [0; SHORT_MAX];
            let scale = quantize(&state, 1, 40, &filters, &weighting, &mut indices);
            let mut decoded = vec![0.0; 57];
            dequantize(scale, &indices[..57], &filters[1], &mut decoded);
            let noise: f32 = state.iter().zip(&decoded).map(|(a, b)| (a - b) * (a - b)).sum();
            assert!(noise * 20.0 < energy(&state), "{amplitude}: {noise} in {}", energy(&state));
        }
    }

    #[test]
    fn levels_are_their_own_nearest() {
        for (i, &level) in STATE_LEVELS.iter().enumerate() {
            assert_eq!(usize::from(nearest_level(level)), i);
        }
        assert_eq!(nearest_level(-1e30), 0);
        assert_eq!(nearest_level(1e30), 7);
    }
}

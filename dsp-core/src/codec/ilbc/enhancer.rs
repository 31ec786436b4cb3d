//! The enhancer (RFC 3951, 4.6; A.16, A.18): adds to each 80 samples of decoded residual what repeats a pitch period
//! before and after them, within 5 % of their energy.
//!
//! Delay: 40 samples in the 20 ms mode, 80 in the 30 ms mode.

use super::filter::{correlate, dot, energy};
use super::tables::{HALF_BAND, POLYPHASE};
use super::{BLOCKL_MAX, IlbcMode};

/// Samples of a block of the enhancer (`ENH_BLOCKL`).
const BLOCK: usize = 80;
/// Blocks of residual that are kept (`ENH_NBLOCKS_TOT`).
const BLOCKS: usize = 8;
/// Samples of residual that are kept.
const LENGTH: usize = BLOCKS * BLOCK;
/// Periods before and after a block that enter (`ENH_HL`).
const PERIODS: usize = 3;
/// How far a period may lie from its estimate, samples (`ENH_SLOP`).
const SLOP: usize = 2;
/// Largest share of a block's energy that may be changed (`ENH_ALPHA0`).
const ALPHA: f32 = 0.05;
/// Weights of the periods, nearest first: 0.5 (1 - cos(2 pi i / 8)).
const WEIGHTS: [f32; PERIODS] = [0.853_553_4, 0.5, 0.146_446_6];
/// Halves of the shortest and longest pitch, samples at 4 kHz.
const SHORTEST: usize = 10;
const LONGEST: usize = 59;

/// Decoded residual of the latest 80 ms and its pitch.
#[derive(Clone, Debug)]
pub(super) struct Enhancer {
    residual: [f32; LENGTH],
    /// Pitch of each block, samples.
    period: [f32; BLOCKS],
}

impl Enhancer {
    pub(super) const fn new() -> Self {
        Self { residual: [0.0; LENGTH], period: [40.0; BLOCKS] }
    }

    /// The latest `samples` of residual.
    pub(super) fn latest(&self, samples: usize) -> &[f32] {
        &self.residual[LENGTH - samples..]
    }

    /// Takes in the residual of a frame, and returns its pitch lag in samples, 20 to 118.
    #[inline(never)]
    pub(super) fn push(&mut self, mode: IlbcMode, residual: &[f32]) -> usize {
        self.residual.copy_within(residual.len().., 0);
        self.residual[LENGTH - residual.len()..].copy_from_slice(residual);
        let blocks = mode.samples() / BLOCK;
        self.period.copy_within(blocks.., 0);

        // Half the rate, from 120 samples before the frame's pitch blocks on; nothing lies after the frame.
        let from = LENGTH - mode.samples() - 120;
        let mut half = [0.0; (BLOCKL_MAX + 120) / 2];
        let half = &mut half[..(mode.samples() + 120) / 2];
        let mut padded = [0.0; BLOCKL_MAX + 120 + 6];
        padded[..LENGTH - from + 3].copy_from_slice(&self.residual[from - 3..]);
        for (out, x) in half.iter_mut().zip(padded.windows(HALF_BAND.len()).step_by(2)) {
            *out = dot(&HALF_BAND, x);
        }
        let mut squares = [0.0; (BLOCKL_MAX + 120) / 2];
        for (square, x) in squares.iter_mut().zip(&*half) {
            *square = x * x;
        }
        let mut lag = SHORTEST;
        for block in 0..blocks {
            let at = 60 + block * BLOCK / 2;
            let (oldest, count) = (at - LONGEST, LONGEST - SHORTEST + 1);
            let (mut products, mut energies) = ([0.0; LONGEST - SHORTEST + 1], [0.0; LONGEST - SHORTEST + 1]);
            correlate(&half[at..at + BLOCK / 2], &half[oldest..], &mut products);
            correlate(&[1.0; BLOCK / 2], &squares[oldest..oldest + count + BLOCK / 2], &mut energies);
            let mut most = 0.0;
            lag = SHORTEST;
            for (i, (&product, &energy)) in products.iter().zip(&energies).rev().enumerate() {
                let measure = measure(product, energy);
                if measure > most {
                    (lag, most) = (SHORTEST + i, measure);
                }
            }
            self.period[BLOCKS - blocks + block] = (2 * lag) as f32;
        }
        2 * lag
    }

    /// After a concealed frame: mixes the concealed residual that the enhancer has yet to put out with what the new frame
    /// suggests lay before it.
    #[inline(never)]
    pub(super) fn join(&mut self, mode: IlbcMode) {
        let held = delay(mode);
        let blocks = mode.samples() / BLOCK;
        let new = LENGTH - mode.samples();
        let estimate = self.period[BLOCKS - blocks] as usize;
        let (mut lag, mut most) = (estimate - 1, -1.0);
        for candidate in estimate - 1..=estimate + 1 {
            let later = &self.residual[new + candidate..new + candidate + held];
            let measure = measure(dot(&self.residual[new..new + held], later), energy(later));
            if measure > most {
                (lag, most) = (candidate, measure);
            }
        }
        self.period[BLOCKS - blocks - 1] = lag as f32;

        // One period after the held samples lies what they should resemble.
        let mut backward = [0.0; BLOCK];
        let backward = &mut backward[..held];
        backward.copy_from_slice(&self.residual[new - held + lag..new + lag]);
        let old = &mut self.residual[new - held..new];
        let (backward_energy, old_energy) = (energy(backward), energy(old));
        if backward_energy > 4.0 * old_energy {
            let gain = 2.0 * libm::sqrtf(old_energy / backward_energy);
            for (i, x) in backward.iter_mut().enumerate() {
                let last = (i + 10).saturating_sub(held) as f32;
                *x *= gain + last * (1.0 - gain) / 10.0;
            }
        }
        for (i, (old, &backward)) in old.iter_mut().zip(&*backward).enumerate() {
            let forward = (held - i) as f32 / (held + 1) as f32;
            *old = *old * forward + backward * (1.0 - forward);
        }
    }

    /// The enhanced residual of a frame's length, [`delay`] late.
    pub(super) fn enhance(&self, mode: IlbcMode, out: &mut [f32]) {
        let first = LENGTH - mode.samples() - delay(mode);
        for (block, out) in out.as_chunks_mut::<BLOCK>().0.iter_mut().enumerate() {
            self.smooth(first + block * BLOCK, out);
        }
    }

    /// The block at `center`, enhanced (4.6.3 to 4.6.5).
    fn smooth(&self, center: usize, out: &mut [f32; BLOCK]) {
        let mut surround = [0.0; BLOCK];
        self.surround(center, &mut surround);
        let current = &self.residual[center..center + BLOCK];
        let own = energy(current);
        let other = energy(&surround).max(1.0);
        let cross = dot(current, &surround);

        // Scaled to the block's energy, if that changes little enough.
        let scale = libm::sqrtf(own / other);
        let mut error = 0.0;
        for ((out, &x), &y) in out.iter_mut().zip(current).zip(&surround) {
            *out = scale * y;
            error += (x - *out) * (x - *out);
        }
        if error <= ALPHA * own {
            return;
        }
        let own = own.max(1.0);
        let difference = (other * own - cross * cross) / (own * own);
        let (a, b) = if difference > 0.0001 {
            let a = libm::sqrtf((ALPHA - ALPHA * ALPHA / 4.0) / difference);
            (a, 1.0 - ALPHA / 2.0 - a * cross / own)
        } else {
            (0.0, 1.0)
        };
        for ((out, &x), &y) in out.iter_mut().zip(current).zip(&surround) {
            *out = a * y + b * x;
        }
    }

    /// Weighted sum of the blocks up to three pitch periods before and after `center` (4.6.2).
    #[inline(never)]
    fn surround(&self, center: usize, sum: &mut [f32; BLOCK]) {
        let here = center as f32;
        let middle = BLOCK as f32 / 2.0;
        let place = |block: usize| (block * BLOCK) as f32 + middle;
        let own = nearest(here + (BLOCK - 1) as f32 / 2.0, place);

        let (mut at, mut block) = (here, own);
        for weight in WEIGHTS {
            let period = self.period[block];
            at -= period;
            block = nearest(at + middle - period, place);
            if at >= SLOP as f32 {
                at = self.refine(center, at, weight, sum);
            }
        }
        at = here;
        for weight in WEIGHTS {
            let block = nearest(at + middle, |block| place(block) - self.period[block]);
            at += self.period[block];
            if at + (BLOCK + SLOP) as f32 <= (LENGTH - 1) as f32 {
                at = self.refine(center, at, weight, sum);
            }
        }
    }

    /// Finds the block near `estimate` that resembles that at `center` most, to a quarter of a sample, adds it to `sum`
    /// and returns its place.
    fn refine(&self, center: usize, estimate: f32, weight: f32, sum: &mut [f32; BLOCK]) -> f32 {
        let rounded = (estimate - 0.5) as usize;
        let first = rounded.saturating_sub(SLOP);
        let last = (rounded + SLOP).min(LENGTH - BLOCK - 1);
        let count = (last + 1).saturating_sub(first).min(2 * SLOP + 1);
        let current = &self.residual[center..center + BLOCK];
        // Two zeros on either side.
        let mut products = [0.0; 2 * SLOP + 5];
        for (i, product) in products[2..2 + count].iter_mut().enumerate() {
            *product = dot(current, &self.residual[first + i..first + i + BLOCK]);
        }
        let (mut best, mut most) = (0, f32::MIN);
        for i in 0..count {
            for (fraction, taps) in POLYPHASE.iter().enumerate() {
                let mut value = 0.0;
                for (k, tap) in taps[1..6].iter().enumerate() {
                    value += products[i + 4 - k] * tap;
                }
                if value > most {
                    (best, most) = (4 * i + fraction, value);
                }
            }
        }

        // `ceil` is the next whole sample, from which `fraction` quarters lead back.
        let ceil = best.div_ceil(4);
        let taps = &POLYPHASE[4 * ceil - best];
        let mut segment = [0.0; BLOCK + 6];
        let (from, skip) = ((first + ceil).saturating_sub(3), 3_usize.saturating_sub(first + ceil));
        let to = (first + ceil + BLOCK + 3).min(LENGTH);
        segment[skip..skip + to - from].copy_from_slice(&self.residual[from..to]);
        let mut shifted = [0.0; BLOCK];
        correlate(taps, &segment, &mut shifted);
        for (sum, &x) in sum.iter_mut().zip(&shifted) {
            *sum += weight * x;
        }
        first as f32 + best as f32 / 4.0 + 1.0
    }
}

/// How late the enhancer's output is, samples.
pub(super) const fn delay(mode: IlbcMode) -> usize {
    match mode {
        IlbcMode::Ms20 => BLOCK / 2,
        IlbcMode::Ms30 => BLOCK,
    }
}

/// Squared correlation over energy; 0 for what is opposed.
fn measure(product: f32, energy: f32) -> f32 {
    if product > 0.0 && energy > 0.0 { product * product / energy } else { 0.0 }
}

/// The block whose `place` is nearest to `at`.
fn nearest(at: f32, place: impl Fn(usize) -> f32) -> usize {
    let (mut best, mut least) = (0, f32::MAX);
    for block in 0..BLOCKS {
        let distance = (place(block) - at).abs();
        if distance < least {
            (best, least) = (block, distance);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// Pulses every `period` samples, from sample `from` on, under noise of a tenth of their height.
    fn pulses(period: usize, from: usize, n: usize) -> Vec<f32> {
        (from..from + n)
            .map(|i| {
                let mut noise = (i as u32 + 1).wrapping_mul(0x9e37_79b9);
                noise = (noise ^ noise >> 15).wrapping_mul(0x85eb_ca6b);
                let noise = (noise ^ noise >> 13) as i16;
                f32::from(noise) / 100.0 + if i % period < 3 { 3000.0 } else { 0.0 }
            })
            .collect()
    }

    #[test]
    fn the_pitch_is_found_and_the_noise_shrinks() {
        for (mode, frame) in [(IlbcMode::Ms20, 160), (IlbcMode::Ms30, 240)] {
            for period in [40, 56, 100] {
                let mut enhancer = Enhancer::new();
                let mut out = [0.0; BLOCKL_MAX];
                let mut lag = 0;
                for i in 0..6 {
                    lag = enhancer.push(mode, &pulses(period, i * frame, frame));
                    enhancer.enhance(mode, &mut out[..frame]);
                }
                assert_eq!(lag % period, 0, "{lag}");
                let (mut before, mut after) = (0.0, 0.0);
                let first = 5 * frame - delay(mode);
                let raw = pulses(period, first, frame);
                for i in 0..frame {
                    let clean = if (first + i) % period < 3 { 3000.0 } else { 0.0 };
                    before += (raw[i] - clean) * (raw[i] - clean);
                    after += (out[i] - clean) * (out[i] - clean);
                }
                // A long pitch has no periods after the block yet.
                let share = if period < 80 { 0.6 } else { 0.9 };
                assert!(after < share * before, "{mode:?} {period}: {before} {after}");
            }
        }
    }

    #[test]
    fn silence_and_full_scale_stay_finite() {
        for amplitude in [0.0, 1e-30, 32767.0] {
            for mode in [IlbcMode::Ms20, IlbcMode::Ms30] {
                let mut enhancer = Enhancer::new();
                let mut out = [0.0; BLOCKL_MAX];
                for i in 0..8_usize {
                    let frame: Vec<f32> = (0..mode.samples())
                        .map(|n| if (n * n + i) % 3 == 0 { amplitude } else { -amplitude })
                        .collect();
                    assert!((20..=118).contains(&enhancer.push(mode, &frame)));
                    if i % 2 == 1 {
                        enhancer.join(mode);
                    }
                    enhancer.enhance(mode, &mut out[..mode.samples()]);
                    assert!(out.iter().all(|x| x.is_finite()));
                }
            }
        }
    }
}

//! The codebook search (RFC 3951, 3.6.2, 3.6.4 and 3.7; A.12, A.34): three stages, each of which takes the vector that
//! leaves least of the weighted target, and the gain correction after them.
//!
//! Nearly all of an encoder's time goes here: about 40,000 products a 20 ms frame. Scalar products with all vectors of a
//! section run side by side; energies follow by recursion and are found once for the three stages.

use super::codebook::{AUGMENTED, FADE, augmented, expanded, sizes};
use super::filter::{Lpc, all_pole, correlate, dot, energy};
use super::tables::{GAIN_1, GAIN_2, GAIN_3};
use super::{CB_MEML, CB_NSTAGES, ORDER, SUBL};

/// Vectors of the expanded section that are searched, around the best of the base section (`CB_RESRANGE`).
const RESTRICTED: usize = 34;
/// Largest gain of a vector that may be chosen (`CB_MAXGAIN`).
const MAX_GAIN: f32 = 1.3;
/// Keeps the inverse of an energy finite (`EPS`).
const EPS: f32 = 2.220_446e-16;
/// Base vectors, at most.
const BASE_MAX: usize = CB_MEML - SUBL + 1;

/// Base vectors that a stage searches in each block (`search_rangeTbl`).
const RANGES: [[usize; CB_NSTAGES]; 5] = [[58, 58, 58], [108, 44, 44], [108; 3], [108; 3], [108; 3]];

/// The best vector of a stage so far.
struct Best {
    measure: f32,
    index: usize,
    gain: f32,
    /// Whether only positive gains count: the first stage.
    positive: bool,
}

impl Best {
    #[inline(always)]
    fn consider(&mut self, index: usize, product: f32, inverse: f32) {
        let measure = product * product * inverse;
        if measure > self.measure && (!self.positive || product > 0.0) {
            let gain = product * inverse;
            if gain.abs() < MAX_GAIN {
                (self.measure, self.index, self.gain) = (measure, index, gain);
            }
        }
    }
}

fn inverse(energy: f32) -> f32 {
    if energy > 0.0 { 1.0 / (energy + EPS) } else { 0.0 }
}

/// Inverse energies of the vectors of `len` samples that slide back from the end of `memory`.
fn inverse_energies(memory: &[f32], len: usize, out: &mut [f32]) {
    let (old, new) = (memory.len() - len, memory.len());
    let mut sum = energy(&memory[old..]);
    for (i, out) in out.iter_mut().enumerate() {
        if i > 0 {
            let (enters, leaves) = (memory[old - i], memory[new - i]);
            sum = sum + enters * enters - leaves * leaves;
        }
        *out = inverse(sum);
    }
}

/// Searches vectors `from..from + count` of a section over `memory`; `first_index` is that of vector `from`.
fn search_sliding(
    best: &mut Best,
    target: &[f32],
    memory: &[f32],
    inverses: &[f32],
    (from, count): (usize, usize),
    first_index: usize,
) {
    let mut products = [0.0; BASE_MAX];
    let products = &mut products[..count];
    // Memory order is the reverse of index order.
    let lowest = memory.len() + 1 - target.len() - from - count;
    correlate(target, &memory[lowest..memory.len() - from], products);
    for (i, (&product, &inverse)) in products.iter().rev().zip(&inverses[from..from + count]).enumerate() {
        best.consider(first_index + i, product, inverse);
    }
}

/// Scalar products of a 40-sample `target` with all augmented vectors over `memory`, shortest delay first, without making
/// the vectors: their beginnings slide over the memory with zeros behind it, the joints and repetitions come on top.
fn repeat_products(target: &[f32], memory: &[f32], out: &mut [f32; AUGMENTED]) {
    const LONGEST: usize = SUBL - 1;
    let end = memory.len();
    let mut last = [0.0; LONGEST + AUGMENTED];
    last[..LONGEST].copy_from_slice(&memory[end - LONGEST..]);
    correlate(target, &last, out);
    out.reverse();
    for (i, out) in out.iter_mut().enumerate() {
        let delay = AUGMENTED + i;
        let again = dot(&target[delay..], &memory[end - delay..end - delay + SUBL - delay]);
        let newer = &memory[end - 5..];
        let older = &memory[end - delay - 5..end - delay];
        let joint = &target[delay - 5..delay];
        let mut change = 0.0;
        for n in 1..5 {
            change += FADE[n] * (older[n] - newer[n]) * joint[n];
        }
        *out += again + change;
    }
}

/// Where the expanded section is searched, given the best vector of the base section (A.34): sliding vectors as first and
/// count, augmented ones as first delay and count.
fn restrict(best: usize, base: usize, range: usize, augment: bool) -> ((usize, usize), (usize, usize)) {
    const HALF: usize = RESTRICTED / 2;
    let none = (SUBL, 0);
    if augment && best < HALF {
        // Delays just below the shortest of the sliding vectors are those of the longest augmented ones.
        let below = HALF - best;
        return ((0, RESTRICTED - below), (SUBL - below, below));
    }
    if augment && best >= base {
        let place = best - base;
        let from = AUGMENTED + place.saturating_sub(HALF);
        let count = (SUBL - from).min(RESTRICTED);
        return ((0, RESTRICTED - count), (from, count));
    }
    let from = best.saturating_sub(HALF).min(range - RESTRICTED);
    ((from, RESTRICTED), none)
}

/// Nearest entry of `table` times `scale`: its index and value (A.22).
fn quantize_gain(gain: f32, scale: f32, table: &[f32]) -> (u8, f32) {
    let scale = scale.max(0.1);
    let (mut best, mut least) = (0, f32::MAX);
    for (i, &level) in table.iter().enumerate() {
        let distance = (gain - scale * level) * (gain - scale * level);
        if distance < least {
            (best, least) = (i, distance);
        }
    }
    (best as u8, scale * table[best])
}

/// Codebook and gain indices of `target` over `memory`, both unweighted; `block` counts the segments of the frame.
#[inline(never)]
pub(super) fn search(
    memory: &[f32],
    target: &[f32],
    weighting: &Lpc,
    block: usize,
) -> ([u8; CB_NSTAGES], [u8; CB_NSTAGES]) {
    let (base, section) = sizes(memory.len(), target.len());
    let augment = section > base;

    // Memory and target go through the weighting filter together (3.6.2).
    let mut buffer = [0.0; ORDER + CB_MEML + SUBL];
    let end = ORDER + memory.len();
    buffer[ORDER..end].copy_from_slice(memory);
    buffer[end..end + target.len()].copy_from_slice(target);
    all_pole(weighting, &mut buffer[..end + target.len()]);
    let (memory, rest) = buffer[ORDER..].split_at_mut(end - ORDER);
    let target = &mut rest[..target.len()];
    let target_energy = energy(target);
    let mut filtered = [0.0; CB_MEML];
    let filtered = &mut filtered[..memory.len()];
    expanded(memory, 0, filtered);

    let len = target.len();
    let mut inverses = [[0.0; BASE_MAX]; 2];
    let range = RANGES[block][0];
    inverse_energies(memory, len, &mut inverses[0][..range]);
    inverse_energies(filtered, len, &mut inverses[1][..range]);
    let mut coded = [0.0; SUBL];
    let mut chosen = [0.0; SUBL];
    let mut repeat_inverses = [0.0; AUGMENTED];
    if augment {
        for (i, inverse_energy) in repeat_inverses.iter_mut().enumerate() {
            augmented(memory, AUGMENTED + i, &mut chosen);
            *inverse_energy = inverse(energy(&chosen));
        }
    }

    let (mut indices, mut gain_indices, mut gains) = ([0; CB_NSTAGES], [0; CB_NSTAGES], [0.0; CB_NSTAGES]);
    for stage in 0..CB_NSTAGES {
        let range = RANGES[block][stage];
        let mut best = Best { measure: -1.0, index: 0, gain: 0.0, positive: stage == 0 };
        search_sliding(&mut best, target, memory, &inverses[0], (0, range), 0);
        if augment {
            let mut products = [0.0; AUGMENTED];
            repeat_products(target, memory, &mut products);
            for (i, (&product, &inverse)) in products.iter().zip(&repeat_inverses).enumerate() {
                best.consider(base + i, product, inverse);
            }
        }
        let (sliding, (delay, count)) = restrict(best.index, base, range, augment);
        search_sliding(&mut best, target, filtered, &inverses[1], sliding, section + sliding.0);
        for delay in delay..delay + count {
            augmented(filtered, delay, &mut chosen);
            best.consider(section + base + delay - AUGMENTED, dot(target, &chosen), inverse(energy(&chosen)));
        }

        indices[stage] = best.index as u8;
        let (index, gain) = match stage {
            0 => quantize_gain(best.gain.clamp(0.0, MAX_GAIN), 1.0, &GAIN_1),
            1 => quantize_gain(best.gain, gains[0], &GAIN_2),
            _ => quantize_gain(best.gain, f32::abs(gains[1]), &GAIN_3),
        };
        (gain_indices[stage], gains[stage]) = (index, gain);

        // What the vector leaves is the next stage's target.
        let from = if best.index < section { &*memory } else { &*filtered };
        let place = best.index % section;
        if place < base {
            let at = from.len() - len - place;
            chosen[..len].copy_from_slice(&from[at..at + len]);
        } else {
            augmented(from, AUGMENTED + place - base, &mut chosen);
        }
        for ((target, coded), &x) in target.iter_mut().zip(&mut coded).zip(&chosen) {
            *coded += gain * x;
            *target -= gain * x;
        }
    }

    // Gain correction: the largest first gain that makes no more energy than the target has, at most twice as large.
    let coded_energy = energy(&coded[..len]);
    let bound = target_energy * gains[0] * gains[0];
    let mut first = gain_indices[0];
    for (i, &gain) in GAIN_1.iter().enumerate().skip(usize::from(first)) {
        if coded_energy * gain * gain < bound && GAIN_1[usize::from(first)] < 2.0 * gains[0] {
            first = i as u8;
        }
    }
    gain_indices[0] = first;
    (indices, gain_indices)
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::super::codebook::construct;
    use super::*;

    fn noise(n: usize, mut seed: u32) -> Vec<f32> {
        (0..n)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 18) as f32 - 8192.0
            })
            .collect()
    }

    const FLAT: Lpc = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];

    #[test]
    fn a_vector_of_the_codebook_is_found() {
        let memory = noise(CB_MEML, 1);
        for block in 1..3 {
            for index in [0, 1, 43, 50, 107, 108, 120, 127, 128, 140, 200, 235, 236, 255] {
                let mut target = [0.0; SUBL];
                // Gain index 25 is 0.975, the later stages' zero.
                assert!(construct(&memory, [index, 0, 0], [25, 7, 3], &mut target));
                let (indices, gains) = search(&memory, &target, &FLAT, block);
                let mut found = [0.0; SUBL];
                assert!(construct(&memory, indices, gains, &mut found));
                let left: f32 = target.iter().zip(&found).map(|(a, b)| (a - b) * (a - b)).sum();
                // The expanded section is searched near the best base vector only, so it may be missed.
                if index < 128 {
                    assert_eq!((indices[0], gains[0]), (index, 25));
                    assert!(left < 1e-3 * energy(&target), "{index}");
                } else {
                    assert!(left < 0.6 * energy(&target), "{index}: {left} of {}", energy(&target));
                }
            }
        }
    }

    #[test]
    fn the_expanded_section_is_searched_where_it_exists() {
        for (base, range, augment) in [(108, 108, true), (108, 44, true), (63, 58, false), (64, 58, false)] {
            let mut bases: Vec<usize> = (0..range).collect();
            if augment {
                bases.extend(base..base + AUGMENTED);
            }
            for best in bases {
                let ((from, count), (delay, repeats)) = restrict(best, base, range, augment);
                assert!(from + count <= range && delay + repeats <= SUBL && delay >= AUGMENTED);
                assert_eq!(count + repeats, RESTRICTED, "{best}");
            }
        }
    }

    #[test]
    fn products_with_repetitions_are_those_of_the_vectors() {
        let (memory, target) = (noise(CB_MEML, 4), noise(SUBL, 5));
        let mut products = [0.0; AUGMENTED];
        repeat_products(&target, &memory, &mut products);
        let mut vector = [0.0; SUBL];
        for (i, product) in products.into_iter().enumerate() {
            augmented(&memory, AUGMENTED + i, &mut vector);
            let expected = dot(&target, &vector);
            let scale = energy(&target).max(energy(&vector));
            assert!((product - expected).abs() < 1e-5 * scale, "{i}: {product} {expected}");
        }
    }

    #[test]
    fn silence_and_memory_of_zeros_are_coded() {
        for target in [vec![0.0; SUBL], noise(SUBL, 3)] {
            let (indices, gains) = search(&[0.0; CB_MEML], &target, &FLAT, 1);
            let mut out = [1.0; SUBL];
            assert!(construct(&[0.0; CB_MEML], indices, gains, &mut out));
            assert!(out.iter().all(|&x| x == 0.0));
        }
    }

    #[test]
    fn a_search_of_a_short_block_stays_in_its_seven_bits() {
        for (n, seed) in [(23, 1), (22, 2), (23, 3), (22, 4)] {
            let (indices, _) = search(&noise(85, seed), &noise(n, seed + 9), &FLAT, 0);
            assert!(indices.iter().all(|&index| index < 126), "{indices:?}");
        }
    }
}

//! Vectors and gains of the adaptive codebook (RFC 3951, 3.6.3 and 4.4; A.22, A.24, A.32).
//!
//! A codebook has two sections: base vectors slide over the memory from its end backwards, 40-sample ones are followed
//! by 20 that repeat the last 20 to 39 samples (augmented); the second section is the same over the filtered memory.

use super::filter::correlate;
use super::state::limit;
use super::tables::{EXPANSION, GAIN_1, GAIN_2, GAIN_3};
use super::{CB_MEML, CB_NSTAGES, SUBL};

/// Shortest delay of an augmented vector, samples; there are as many of them.
pub(super) const AUGMENTED: usize = SUBL / 2;

/// Weight of the older repetition in the last five samples before an augmented vector's joint.
pub(super) const FADE: [f32; 5] = [0.0, 0.2, 0.4, 0.6, 0.8];

/// Sizes of a codebook of vectors of `len` samples over `memory` samples: base vectors, and a whole section.
pub(super) const fn sizes(memory: usize, len: usize) -> (usize, usize) {
    let base = memory - len + 1;
    (base, if len == SUBL { base + AUGMENTED } else { base })
}

/// The vector that repeats the last `delay` (20 to 39) samples of `memory`, its first joint interpolated over five
/// samples (3.6.3.3).
pub(super) fn augmented(memory: &[f32], delay: usize, out: &mut [f32; SUBL]) {
    let end = memory.len();
    let (head, tail) = out.split_at_mut(delay);
    head.copy_from_slice(&memory[end - delay..]);
    let older = &memory[end - delay - 5..end - delay];
    for ((x, &older), &fade) in head[delay - 5..].iter_mut().zip(older).zip(&FADE) {
        *x = (1.0 - fade) * *x + fade * older;
    }
    let again = tail.len();
    tail.copy_from_slice(&memory[end - delay..end - delay + again]);
}

/// The filtered memory (3.6.3.2) from place `at` on, zeros before and after it.
pub(super) fn expanded(memory: &[f32], at: usize, out: &mut [f32]) {
    const BEFORE: usize = 3;
    let mut padded = [0.0; BEFORE + CB_MEML + EXPANSION.len()];
    let needed = out.len() + EXPANSION.len() - 1;
    let from = at.saturating_sub(BEFORE);
    let skip = BEFORE.saturating_sub(at);
    let to = memory.len().min(at + out.len() + EXPANSION.len() - 1 - BEFORE);
    padded[skip..skip + to - from].copy_from_slice(&memory[from..to]);
    correlate(&EXPANSION, &padded[..needed], out);
}

/// Vector `index` of the codebook over `memory`, as long as `out`; `false` if there is none.
fn vector(memory: &[f32], index: usize, out: &mut [f32]) -> bool {
    let (base, section) = sizes(memory.len(), out.len());
    let filtered = index >= section;
    let place = if filtered { index - section } else { index };
    if place < base {
        let at = memory.len() - out.len() - place;
        if filtered {
            expanded(memory, at, out);
        } else {
            let len = out.len();
            out.copy_from_slice(&memory[at..at + len]);
        }
        return true;
    }
    let Some(out) = out.as_mut_array::<SUBL>() else { return false };
    let delay = AUGMENTED + place - base;
    if delay >= SUBL {
        return false;
    }
    if filtered {
        let mut last = [0.0; SUBL + 5];
        expanded(memory, memory.len() - last.len(), &mut last);
        augmented(&last, delay, out);
    } else {
        augmented(memory, delay, out);
    }
    true
}

/// The gains that indices stand for: each stage's table is scaled by the gain before, at least 0.1 (3.6.4.2).
pub(super) fn gains(indices: [u8; CB_NSTAGES]) -> [f32; CB_NSTAGES] {
    let first = GAIN_1[usize::from(indices[0]) % GAIN_1.len()];
    let second = first.max(0.1) * GAIN_2[usize::from(indices[1]) % GAIN_2.len()];
    let third = second.abs().max(0.1) * GAIN_3[usize::from(indices[2]) % GAIN_3.len()];
    [first, second, third]
}

/// The residual that three vectors and their gains make over `memory` (4.4.1), into `out`; `false` if one of the vectors
/// does not exist.
pub(super) fn construct(
    memory: &[f32],
    indices: [u8; CB_NSTAGES],
    gain_indices: [u8; CB_NSTAGES],
    out: &mut [f32],
) -> bool {
    let mut buffer = [0.0; SUBL];
    let scratch = &mut buffer[..out.len()];
    out.fill(0.0);
    for (index, gain) in indices.into_iter().zip(gains(gain_indices)) {
        if !vector(memory, usize::from(index), scratch) {
            return false;
        }
        for (out, &x) in out.iter_mut().zip(&*scratch) {
            *out += gain * x;
        }
    }
    for out in out {
        *out = limit(*out);
    }
    true
}

/// Codebook indices of the first 40-sample sub-block as sent: its later stages see 44 base vectors instead of 108, and
/// leave out the rest (A.32, `index_conv_enc`).
pub(super) fn shorten(indices: &mut [u8; CB_NSTAGES]) {
    for index in &mut indices[1..] {
        match *index {
            108..172 => *index -= 64,
            236.. => *index -= 128,
            _ => {}
        }
    }
}

/// The opposite of [`shorten`] (A.32, `index_conv_dec`).
pub(super) fn lengthen(indices: &mut [u8; CB_NSTAGES]) {
    for index in &mut indices[1..] {
        match *index {
            44..108 => *index += 64,
            108..128 => *index += 128,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;

    fn memory(len: usize) -> Vec<f32> {
        (0..len).map(|i| (i * i % 97) as f32 - 48.0).collect()
    }

    #[test]
    fn shortened_indices_come_back() {
        for index in (0..44).chain(108..172).chain(236..=255) {
            let mut indices = [3, index, index];
            shorten(&mut indices);
            assert!(indices[1] < 128, "{index}");
            lengthen(&mut indices);
            assert_eq!(indices, [3, index, index]);
        }
    }

    #[test]
    fn base_vectors_slide_backwards() {
        let memory = memory(CB_MEML);
        let mut out = [0.0; SUBL];
        assert!(vector(&memory, 0, &mut out));
        assert_eq!(out[..], memory[107..]);
        assert!(vector(&memory, 107, &mut out));
        assert_eq!(out[..], memory[..40]);
        assert!(vector(&memory, 108, &mut out));
        assert_eq!((out[0], out[15], out[20]), (memory[127], memory[142], memory[127]));
        assert_eq!(out[16], (1.0 - 0.2) * memory[143] + 0.2 * memory[123]);
    }

    #[test]
    fn filtered_vectors_are_those_of_the_filtered_memory() {
        for (len, n) in [(CB_MEML, SUBL), (85, 23), (85, 22)] {
            let memory = memory(len);
            let mut whole = vec![0.0; len];
            expanded(&memory, 0, &mut whole);
            let middle: f32 = (0..8).map(|j| EXPANSION[j] * memory[50 + j - 3]).sum();
            assert!((whole[50] - middle).abs() < 1e-3);
            let (base, section) = sizes(len, n);
            let mut out = vec![0.0; n];
            for i in 0..base {
                assert!(vector(&memory, section + i, &mut out));
                assert_eq!(out[..], whole[len - n - i..len - i]);
            }
            if let Some(out) = out.as_mut_array::<SUBL>() {
                let mut same = [0.0; SUBL];
                for delay in 20..40 {
                    assert!(vector(&memory, section + base + delay - 20, out));
                    augmented(&whole, delay, &mut same);
                    assert_eq!(*out, same);
                }
            } else {
                assert!(!vector(&memory, 2 * section, &mut out), "no such vector");
            }
        }
    }

    #[test]
    fn gains_scale_each_other() {
        assert_eq!(gains([31, 15, 7]), [1.200012, 1.200012 * 1.200012, 1.200012 * 1.200012]);
        assert_eq!(gains([0, 7, 0]), [0.037476, 0.0, -0.1]);
    }
}

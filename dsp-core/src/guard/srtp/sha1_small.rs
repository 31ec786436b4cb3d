//! The compression function of SHA-1 (FIPS 180-4, 6.1.2) for processors without instructions for it and with little flash.
//!
//! The words of the schedule are expanded first: 320 bytes of stack. Five rounds make one turn of a loop, after which
//! every variable is in its place again. There is no table, and no branch or address depends on the data.

use core::hint::black_box;

/// Takes blocks into the state.
#[inline(never)]
pub(super) fn compress(state: &mut [u32; 5], blocks: &[[u8; 64]]) {
    for block in blocks {
        let mut words = [0; 80];
        words.iter_mut().zip(block.as_chunks().0).for_each(|(word, bytes)| *word = u32::from_be_bytes(*bytes));
        for t in (16..words.len()).step_by(4) {
            let Some(window) = words.get_mut(t - 16..t + 4) else { return };
            let Some(window) = window.first_chunk_mut::<20>() else { return };
            for at in 16..20 {
                window[at] = (window[at - 3] ^ window[at - 8] ^ window[at - 14] ^ window[at - 16]).rotate_left(1);
            }
            black_box(());
        }
        let (quarters, _) = words.as_chunks::<20>();
        let [one, two, three, four] = quarters else { return };
        let mut here = *state;
        rounds(&mut here, one, 0x5a82_7999, |b, c, d| d ^ (b & (c ^ d)));
        rounds(&mut here, two, 0x6ed9_eba1, |b, c, d| b ^ c ^ d);
        rounds(&mut here, three, 0x8f1b_bcdc, |b, c, d| (b & c) | (d & (b | c)));
        rounds(&mut here, four, 0xca62_c1d6, |b, c, d| b ^ c ^ d);
        state.iter_mut().zip(here).for_each(|(word, here)| *word = word.wrapping_add(here));
    }
}

/// Twenty rounds with one constant and one function.
#[inline(always)]
fn rounds(state: &mut [u32; 5], words: &[u32; 20], constant: u32, choose: impl Fn(u32, u32, u32) -> u32) {
    let [mut a, mut b, mut c, mut d, mut e] = *state;
    // Made once, and not from two halves in each round.
    let constant = black_box(constant);
    // The new first variable; the second one turns by 30.
    let round = |a: u32, b: &mut u32, c: u32, d: u32, e: u32, word: u32| {
        let mixed = choose(*b, c, d);
        *b = b.rotate_left(30);
        e.wrapping_add(constant).wrapping_add(word).wrapping_add(mixed).wrapping_add(a.rotate_left(5))
    };
    for &[v, w, x, y, z] in words.as_chunks::<5>().0 {
        e = round(a, &mut b, c, d, e, v);
        d = round(e, &mut a, b, c, d, w);
        c = round(d, &mut e, a, b, c, x);
        b = round(c, &mut d, e, a, b, y);
        a = round(b, &mut c, d, e, a, z);
        // It costs nothing, and keeps the loop a loop.
        black_box(());
    }
    *state = [a, b, c, d, e];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_those_of_another_implementation() {
        let (mut ours, mut theirs) = ([1, 2, 3, 4, 5], [1, 2, 3, 4, 5]);
        for n in 0..50u32 {
            let block = |of: u32| {
                core::array::from_fn(|at| ((n + of) * 0x9e37 + at as u32 * 0x1f3 + at as u32) as u8 ^ n as u8)
            };
            let blocks = [block(0), block(7)];
            compress(&mut ours, &blocks[..1 + (n % 2) as usize]);
            sha1::block_api::compress(&mut theirs, &blocks[..1 + (n % 2) as usize]);
            assert_eq!(ours, theirs);
        }
        assert_ne!(ours, [1, 2, 3, 4, 5]);
    }
}

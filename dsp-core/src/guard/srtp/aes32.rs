//! AES encryption (FIPS 197) for 32-bit processors without AES instructions: two blocks at a time, bit by bit, in
//! constant time.
//!
//! This is *fixslicing* (A. Adomnicai, T. Peyrin, "Fixslicing AES-like Ciphers", TCHES 2021/1): bit `p` of all bytes
//! of both blocks is in word `p`, row by row, and ShiftRows is never done. Instead, MixColumns rotates differently in
//! each round, and the bytes of the round keys lie where those of the state do. The S-box is the circuit of J. Boyar,
//! R. Peralta and C. Calik with 113 gates (SLP_AES_113); its four inverters are in the round keys. There is no table,
//! and no branch depends on data.
//!
//! The crate `aes` does the same with keys of half the size, which it expands for each packet. Here they are kept
//! expanded, with 32 bytes for each round. In counter mode the blocks are arranged once for each packet, since two
//! counters differ in a few bits.
//!
//! The byte in row `r` and column `c` of block `b` has its bits at position `8 r + 2 c + b` of the words. The cost of
//! a round is 113 gates and about 80 further operations for both blocks.

use zeroize::Zeroize;

/// Bytes of a block.
pub(super) const BLOCK: usize = 16;
/// Round keys of the longer key.
const MOST_ROUND_KEYS: usize = 15;

/// Bit `p` of every byte, for each `p`.
type Slices = [u32; 8];

/// A key, ready; 128 or 256 bits.
pub(super) struct Aes32 {
    keys: [Slices; MOST_ROUND_KEYS],
    /// It has 256 bits, and 14 rounds instead of 10.
    long: bool,
}

impl Aes32 {
    /// With a key of 16 or 32 bytes; what is missing is zero.
    pub(super) fn new(key: &[u8]) -> Self {
        let long = key.len() >= 32;
        let words = if long { 8 } else { 4 };
        let rounds = words + 6;
        // FIPS 197, 5.2: four words a round.
        let mut schedule = [0_u32; 4 * MOST_ROUND_KEYS];
        for (word, bytes) in schedule.iter_mut().zip(key.as_chunks().0).take(words) {
            *word = u32::from_le_bytes(*bytes);
        }
        let mut constant = 1_u32;
        for at in words..4 * (rounds + 1) {
            let mut word = schedule[at - 1];
            if at % words == 0 {
                word = substitute(word.rotate_right(8)) ^ constant;
                // Doubled in the field.
                constant = constant << 1 ^ if constant & 0x80 != 0 { 0x11b } else { 0 };
            } else if words == 8 && at % words == 4 {
                word = substitute(word);
            }
            schedule[at] = schedule[at - words] ^ word;
        }
        let mut keys = [[0; 8]; MOST_ROUND_KEYS];
        for (round, (to, key)) in keys.iter_mut().zip(schedule.as_chunks::<4>().0).enumerate().take(rounds + 1) {
            *to = slices_of(*key, round);
        }
        schedule.zeroize();
        Self { keys, long }
    }

    /// Encrypts blocks of 16 bytes where they are.
    pub(super) fn encrypt<B: AsRef<[u8]> + AsMut<[u8]>>(&self, blocks: &mut [B]) {
        for pair in blocks.chunks_mut(2) {
            let mut words = [0; 8];
            for (b, block) in pair.iter().enumerate() {
                for (c, column) in block.as_ref().as_chunks().0.iter().enumerate().take(4) {
                    words[2 * c + b] = u32::from_le_bytes(*column);
                }
            }
            transpose(&mut words);
            for (word, key) in words.iter_mut().zip(&self.keys[0]) {
                *word ^= key;
            }
            let mut encrypted = [0; 2 * BLOCK];
            self.xor_pair(&words, &mut encrypted);
            for (block, encrypted) in pair.iter_mut().zip(encrypted.as_chunks::<BLOCK>().0) {
                if let Some(block) = block.as_mut().first_chunk_mut() {
                    *block = *encrypted;
                }
            }
        }
    }

    /// Exclusive-ors AES of `iv`, `iv + 1`, ... on `data`. The last two bytes of `iv` are zero, and there are at most 2^16
    /// blocks.
    pub(super) fn xor_counters(&self, iv: &[u8; BLOCK], data: &mut [u8]) {
        let mut base = [0; 8];
        for (c, column) in iv.as_chunks().0.iter().enumerate() {
            let column = u32::from_le_bytes(*column);
            (base[2 * c], base[2 * c + 1]) = (column, column);
        }
        transpose(&mut base);
        for (word, key) in base.iter_mut().zip(&self.keys[0]) {
            *word ^= key;
        }
        // The second block's counter is odd.
        base[0] ^= 1 << 31;
        let mut counter = 0_u16;
        let (pairs, rest) = data.as_chunks_mut::<{ 2 * BLOCK }>();
        for pair in pairs {
            self.xor_pair(&base, pair);
            // Two more: bits change up to the first that was zero. The lower byte is that of row 3, the higher one of row
            // 2, both of column 3 and alike in both blocks.
            let changes = counter ^ counter.wrapping_add(2);
            counter = counter.wrapping_add(2);
            for p in 1..16 - changes.leading_zeros() as usize {
                base[p % 8] ^= if p < 8 { 0b11 << 30 } else { 0b11 << 22 };
            }
        }
        if !rest.is_empty() {
            let mut pair = [0; 2 * BLOCK];
            pair[..rest.len()].copy_from_slice(rest);
            self.xor_pair(&base, &mut pair);
            rest.copy_from_slice(&pair[..rest.len()]);
        }
    }

    /// Exclusive-ors a pair of blocks on `pair`, of what the first key was added to. The rounds are linked here alone: they are long.
    #[inline(never)]
    fn xor_pair(&self, words: &Slices, pair: &mut [u8; 2 * BLOCK]) {
        let words = self.rounds(*words);
        for (at, bytes) in pair.as_chunks_mut().0.iter_mut().enumerate() {
            // Four columns of the first block, then those of the second.
            let key = words[2 * (at % 4) + at / 4];
            *bytes = (u32::from_le_bytes(*bytes) ^ key).to_le_bytes();
        }
    }

    /// All rounds, of what the first key was added to; the columns of both blocks in turn.
    #[inline(always)]
    fn rounds(&self, mut state: Slices) -> Slices {
        // 10 and 14 rounds are two more than a multiple of four; the last has no MixColumns.
        let (fours, last) = if self.long { (3, [13, 14]) } else { (2, [9, 10]) };
        for keys in self.keys[1..].as_chunks::<4>().0.iter().take(fours) {
            round(&mut state, &keys[0], mix::<1>);
            round(&mut state, &keys[1], mix::<2>);
            round(&mut state, &keys[2], mix::<3>);
            round(&mut state, &keys[3], mix::<0>);
        }
        round(&mut state, &self.keys[last[0]], mix::<1>);
        round(&mut state, &self.keys[last[1]], |state| state);
        transpose(&mut state);
        // ShiftRows was left out so often that rows 1 and 3 are off by two columns.
        for (one, other) in [(0, 4), (1, 5), (2, 6), (3, 7)] {
            let swapped = (state[one] ^ state[other]) & 0xff00_ff00;
            state[one] ^= swapped;
            state[other] ^= swapped;
        }
        state
    }
}

impl Drop for Aes32 {
    fn drop(&mut self) {
        self.keys.as_flattened_mut().zeroize();
    }
}

#[inline(always)]
fn round(state: &mut Slices, key: &Slices, mix: impl Fn(Slices) -> Slices) {
    *state = mix(sub_bytes(*state));
    for (word, key) in state.iter_mut().zip(key) {
        *word ^= key;
    }
}

/// A round key's columns, in the place that the state has in this round, in both blocks; with the S-box's inverters.
fn slices_of(key: [u32; 4], round: usize) -> Slices {
    let mut words = [0; 8];
    for (c, column) in key.into_iter().enumerate() {
        for r in 0..4 {
            let byte = column & 0xff << (8 * r);
            // Each round moves row `r` by `r` columns.
            let place = (c + round * r) % 4;
            words[2 * place] |= byte;
            words[2 * place + 1] |= byte;
        }
    }
    if round > 0 {
        // MixColumns leaves a byte that all rows have as it is.
        words.iter_mut().for_each(|word| *word ^= 0x6363_6363);
    }
    transpose(&mut words);
    words
}

/// The S-box of four bytes.
fn substitute(word: u32) -> u32 {
    let mut words = [word, 0, 0, 0, 0, 0, 0, 0];
    transpose(&mut words);
    let mut words = sub_bytes(words);
    transpose(&mut words);
    words[0] ^ 0x6363_6363
}

/// Columns of both blocks in turn to slices, and back.
#[inline(always)]
fn transpose(words: &mut Slices) {
    let mut swap = |one: usize, other: usize, shift: u32, mask: u32| {
        let swapped = (words[other] ^ words[one] >> shift) & mask;
        words[other] ^= swapped;
        words[one] ^= swapped << shift;
    };
    for one in [0, 2, 4, 6] {
        swap(one, one + 1, 1, 0x5555_5555);
    }
    for one in [0, 1, 4, 5] {
        swap(one, one + 2, 2, 0x3333_3333);
    }
    for one in [0, 1, 2, 3] {
        swap(one, one + 4, 4, 0x0f0f_0f0f);
    }
}

/// The bits that are this many rows below and columns to the right.
#[inline(always)]
fn turn<const ROWS: u32, const COLUMNS: u32>(word: u32) -> u32 {
    if COLUMNS == 0 {
        return word.rotate_right(8 * ROWS);
    }
    // Those that stay within the row's byte, and those that come in again from the left.
    let stay = 0x0101_0101 * (0xff >> (2 * COLUMNS));
    word.rotate_right(8 * ROWS + 2 * COLUMNS) & stay | word.rotate_right(8 * ROWS + 2 * COLUMNS - 8) & !stay
}

/// MixColumns where ShiftRows was left out `SHIFTS` times, modulo 4.
#[inline(always)]
fn mix<const SHIFTS: u32>(a: Slices) -> Slices {
    let below = |word: u32| match SHIFTS {
        0 => turn::<1, 0>(word),
        1 => turn::<1, 1>(word),
        2 => turn::<1, 2>(word),
        _ => turn::<1, 3>(word),
    };
    let opposite = |word: u32| match SHIFTS {
        0 | 2 => turn::<2, 0>(word),
        _ => turn::<2, 2>(word),
    };
    let b = a.map(below);
    let mut c = a;
    c.iter_mut().zip(&b).for_each(|(c, b)| *c ^= b);
    // Twice c: shifted by a bit, and reduced.
    [
        b[0] ^ c[7] ^ opposite(c[0]),
        b[1] ^ c[0] ^ c[7] ^ opposite(c[1]),
        b[2] ^ c[1] ^ opposite(c[2]),
        b[3] ^ c[2] ^ c[7] ^ opposite(c[3]),
        b[4] ^ c[3] ^ c[7] ^ opposite(c[4]),
        b[5] ^ c[4] ^ opposite(c[5]),
        b[6] ^ c[5] ^ opposite(c[6]),
        b[7] ^ c[6] ^ opposite(c[7]),
    ]
}

/// The S-box of every byte, without the constant 0x63. The names are the circuit's.
#[inline(always)]
fn sub_bytes(state: Slices) -> Slices {
    let [u7, u6, u5, u4, u3, u2, u1, u0] = state;
    let y14 = u3 ^ u5;
    let y13 = u0 ^ u6;
    let y12 = y13 ^ y14;
    let t1 = u4 ^ y12;
    let y15 = t1 ^ u5;
    let t2 = y12 & y15;
    let y6 = y15 ^ u7;
    let y20 = t1 ^ u1;
    let y9 = u0 ^ u3;
    let y11 = y20 ^ y9;
    let t12 = y9 & y11;
    let y7 = u7 ^ y11;
    let y8 = u0 ^ u5;
    let t0 = u1 ^ u2;
    let y10 = y15 ^ t0;
    let y17 = y10 ^ y11;
    let t14 = (y14 & y17) ^ t12;
    let y19 = y10 ^ y8;
    let t16 = (y8 & y10) ^ t12;
    let y16 = t0 ^ y11;
    let y21 = y13 ^ y16;
    let t7 = y13 & y16;
    let y18 = u0 ^ y16;
    let y1 = t0 ^ u7;
    let y4 = y1 ^ u3;
    let t6 = (y4 & u7) ^ t2;
    let t18 = t6 ^ t16;
    let t22 = t18 ^ y19;
    let y2 = y1 ^ u0;
    let t11 = (y2 & y7) ^ t7;
    let t20 = t11 ^ t16;
    let t24 = t20 ^ y18;
    let y5 = y1 ^ u6;
    let t9 = (y5 & y1) ^ t7;
    let t19 = t9 ^ t14;
    let t23 = t19 ^ y21;
    let y3 = y5 ^ y8;
    let t4 = (y3 & y6) ^ t2;
    let t17 = t4 ^ y20;
    let t21 = t17 ^ t14;
    let t26 = t21 & t23;
    let t27 = t24 ^ t26;
    let t31 = t22 ^ t26;
    let t25 = t21 ^ t22;
    let t29 = (t25 & t27) ^ t22;
    let z14 = t29 & y2;
    let z5 = t29 & y7;
    let t30 = t23 ^ t24;
    let t33 = (t31 & t30) ^ t24;
    let t35 = t27 ^ t33;
    let t36 = t24 & t35;
    let t38 = t27 ^ t36;
    let t40 = t25 ^ (t29 & t38);
    let t43 = t29 ^ t40;
    let z3 = t43 & y16;
    let tc12 = z3 ^ z5;
    let z12 = t43 & y13;
    let z13 = t40 & y5;
    let z4 = t40 & y1;
    let tc6 = z3 ^ z4;
    let t34 = t23 ^ t33;
    let t37 = t36 ^ t34;
    let t41 = t40 ^ t37;
    let z8 = t41 & y10;
    let z17 = t41 & y8;
    let t44 = t33 ^ t37;
    let z0 = t44 & y15;
    let z9 = t44 & y12;
    let z10 = t37 & y3;
    let tc5 = (t37 & y6) ^ z0;
    let tc11 = tc6 ^ tc5;
    let z11 = t33 & y4;
    let t42 = t29 ^ t33;
    let t45 = t42 ^ t41;
    let tc8 = (t45 & y17) ^ tc6;
    let z16 = t45 & y14;
    let tc16 = (t42 & y11) ^ tc8;
    let z15 = t42 & y9;
    let tc20 = z15 ^ tc16;
    let tc1 = z15 ^ z16;
    let tc2 = z10 ^ tc1;
    let tc21 = tc2 ^ z11;
    let tc3 = z9 ^ tc2;
    let s0 = tc3 ^ tc16;
    let s3 = tc3 ^ tc11;
    let s1 = s3 ^ tc16;
    let tc13 = z13 ^ tc1;
    let tc4 = z0 ^ (t33 & u7);
    let tc7 = z12 ^ tc4;
    let tc9 = z8 ^ tc7;
    let tc10 = tc8 ^ tc9;
    let tc17 = z14 ^ tc10;
    let s5 = tc21 ^ tc17;
    let tc26 = tc17 ^ tc20;
    let s2 = tc26 ^ z17;
    let tc14 = tc4 ^ tc12;
    let tc18 = tc13 ^ tc14;
    let s6 = tc10 ^ tc18;
    let s7 = z12 ^ tc18;
    let s4 = tc14 ^ s3;
    [s7, s6, s5, s4, s3, s2, s1, s0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use aes::cipher::{BlockCipherEncrypt, KeyInit};
    use std::vec::Vec;

    /// FIPS 197, C.1 and C.3.
    #[test]
    fn vectors_of_the_standard() {
        let key: [u8; 32] = core::array::from_fn(|n| n as u8);
        let plain: [u8; 16] = core::array::from_fn(|n| 0x11 * n as u8);
        for (bytes, expected) in
            [(16, 0x69c4_e0d8_6a7b_0430_d8cd_b780_70b4_c55a_u128), (32, 0x8ea2_b7ca_5167_45bf_eafc_4990_4b49_6089)]
        {
            let mut blocks = [plain; 3];
            Aes32::new(&key[..bytes]).encrypt(&mut blocks);
            assert_eq!(blocks.map(u128::from_be_bytes), [expected; 3], "{bytes}");
        }
    }

    /// Against the crate: random keys and blocks, and counters of every length of data.
    #[test]
    fn it_is_what_the_crate_computes() {
        let mut dice = 1_u32;
        let mut roll = || {
            dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (dice >> 16) as u8
        };
        for round in 0..300 {
            let key: [u8; 32] = core::array::from_fn(|_| roll());
            let short = round % 2 == 0;
            let ours = Aes32::new(if short { &key[..16] } else { &key });
            let theirs = |block: [u8; 16]| -> [u8; 16] {
                let mut block = block.into();
                if short {
                    aes::Aes128Enc::new_from_slice(&key[..16]).unwrap().encrypt_block(&mut block);
                } else {
                    aes::Aes256Enc::new(&key.into()).encrypt_block(&mut block);
                }
                block.into()
            };
            let blocks: [[u8; 16]; 3] = core::array::from_fn(|_| core::array::from_fn(|_| roll()));
            let mut encrypted = blocks;
            ours.encrypt(&mut encrypted);
            assert_eq!(encrypted, blocks.map(theirs));

            let mut iv = blocks[0];
            iv[14..].fill(0);
            let data: Vec<u8> = (0..round * 3).map(|_| roll()).collect();
            let mut made = data.clone();
            ours.xor_counters(&iv, &mut made);
            for (counter, (made, plain)) in made.chunks(16).zip(data.chunks(16)).enumerate() {
                iv[14..].copy_from_slice(&(counter as u16).to_be_bytes());
                assert!(theirs(iv).iter().zip(plain).map(|(key, byte)| key ^ byte).eq(made.iter().copied()));
            }
        }
        // Beyond the lower byte of the counter.
        let ours = Aes32::new(&[7; 16]);
        let (mut data, mut block) = (std::vec![0; 16 * 70_000 / 2], [[0; 16]]);
        ours.xor_counters(&[0; 16], &mut data);
        block[0][14..].copy_from_slice(&0x8765_u16.to_be_bytes());
        ours.encrypt(&mut block);
        assert_eq!(data[16 * 0x8765..][..16], block[0]);
    }
}

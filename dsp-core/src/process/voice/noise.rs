//! The noise in each band, and how much a block differs from it.
//!
//! The noise follows the signal by the probability that it contains no speech (T. Gerkmann and R. C. Hendriks,
//! *Unbiased MMSE-Based Noise Power Estimation with Low Complexity and Low Tracking Delay*, IEEE TASLP 20(4), 2012):
//! with the ratio g of a block's power to the noise and an a-priori SNR x, the probability of speech is p = 1 / (1 +
//! (1 + x) exp(-g x / (1 + x))), and the noise is multiplied by 1 + (1 - a)(1 - p)(g - 1). All of this depends on g
//! alone, so in logarithms it is one table in eighths of an octave. x = 4 (in the paper 32) and a = 0.99 (0.8)
//! measured best for a detector, for which a noise estimate that is too low costs more than one that lags.
//!
//! Where a band has been speech with p > 0.75 without a break for 250 ms, its probability is limited to p = 0.79, so
//! that the noise follows a jump in the end: one of 15 dB in about 5 s, up or down. In the first second it follows
//! eight times as fast, and so it does where a band falls to the level of a quiet room.
//!
//! The likelihood of a block against noise alone is g - 1 - ln g where g > 1 (J. Sohn et al. 1999), at most 8. Its
//! square root is summed over the bands, with another table.

use super::bands::{BANDS, LOW_BANDS};

/// 65,536 log2(1 + 0.01 (1 - p)(g - 1)) for g from 2^-4 in eighths of an octave, in their middle; none beyond.
const STEPS: [i16; 64] = [
    -733, -728, -722, -716, -709, -701, -693, -685, -675, -665, -653, -641, -628, -613, -598, -581, -562, -542, -520,
    -497, -471, -444, -414, -382, -347, -310, -270, -227, -182, -133, -82, -28, 29, 88, 148, 210, 273, 334, 393, 448,
    497, 538, 569, 586, 589, 577, 548, 505, 450, 388, 322, 257, 197, 144, 101, 68, 43, 26, 15, 8, 4, 2, 1, 0,
];
/// 64 sqrt(min(8, g - 1 - ln g)) for g from 1 in eighths of an octave, in their middle.
const ROOTS: [u8; 29] = [
    2, 6, 10, 14, 19, 23, 28, 33, 38, 43, 48, 54, 60, 66, 72, 78, 85, 91, 98, 106, 113, 121, 129, 138, 146, 155, 165,
    175, 181,
];
/// Blocks at the beginning of which the noise is the mean.
const BEGINNING: i32 = 8;
/// A band that is this far above its noise is speech with p = 0.75, in 2^-8 of an octave; not for so many blocks
/// without a break.
const CERTAINLY: i32 = 450;
const CERTAIN: u8 = 25;
/// 0.01 (1 - 0.79) / ln 2 in 2^-16, times g.
const UNCERTAIN: i32 = 200;
/// The most octaves of g that count for it, so that a long vowel in a quiet room doesn't pass for noise.
const FASTEST: i32 = 5;
/// A band far above its noise: 12 dB, in 2^-8 of an octave.
const FAR: i32 = 1_020;
/// Blocks at the beginning in which the noise follows eight times as fast.
const EARLY: i32 = 100;
/// Where a band becomes so much softer than its noise, and is softer than this, in 2^-8 of an octave, it falls eight
/// times as fast: a gate has closed, or a room is quiet again, and the next word may be soft. The level is that of some
/// 10 steps.
const HUSHED: i32 = -1_024;
const QUIET: i32 = 1_500;
/// The least and the greatest excess of a band over its noise, in 2^-8 of an octave: -6 dB and 24 dB.
const EXCESS: (i32, i32) = (-512, 2_048);

/// How a block differs from the noise.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Difference {
    /// Sum of the roots of the likelihoods, in 2^-6: 0 to 1,086.
    pub(super) roots: i32,
    /// The same of the bands below 1 kHz: 0 to 543.
    pub(super) low_roots: i32,
    /// How far the bands below 1 kHz are above their noise, in 2^-8 of an octave: -1,536 to 6,144.
    pub(super) low_excess: i32,
}

/// Logarithm of each band's noise, and how long it has been exceeded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noise {
    /// In 2^-16 of an octave.
    levels: [i32; BANDS],
    exceeded: [u8; BANDS],
    blocks: i32,
    /// Bands of the last block that were far above their noise.
    far: u8,
}

impl Noise {
    pub(super) const fn new() -> Self {
        Self { levels: [0; BANDS], exceeded: [0; BANDS], blocks: 0, far: 0 }
    }

    /// Hears the levels of a block; how it differs from the noise before it.
    pub(super) fn hear(&mut self, levels: &[i32; BANDS]) -> Difference {
        let beginning = self.blocks < BEGINNING;
        self.blocks += i32::from(self.blocks < EARLY);
        if beginning {
            for (&level, noise) in levels.iter().zip(&mut self.levels) {
                *noise += ((level << 8) - *noise) / self.blocks;
            }
        }
        // A second that begins in the middle of speech is soon told from it.
        let pace = if self.blocks < EARLY { 3 } else { 0 };
        let (mut found, mut far) = (Difference::default(), 0);
        for (band, ((&level, noise), exceeded)) in
            levels.iter().zip(&mut self.levels).zip(&mut self.exceeded).enumerate()
        {
            let above = level - (*noise >> 8);
            if above >= 0 {
                let root = ROOTS.get((above >> 5) as usize).unwrap_or(&ROOTS[ROOTS.len() - 1]);
                found.roots += i32::from(*root);
            }
            if band < LOW_BANDS {
                found.low_roots = found.roots;
                found.low_excess += above.clamp(EXCESS.0, EXCESS.1);
            }
            far += u8::from(above >= FAR);
            *exceeded = if above < CERTAINLY { 0 } else { exceeded.saturating_add(1) };
            let mut step = i32::from(*STEPS.get(((above >> 5) + 32).max(0) as usize).unwrap_or(&0));
            if above < HUSHED && level < QUIET {
                step <<= 3;
            }
            if *exceeded > CERTAIN {
                *noise += UNCERTAIN << (above >> 8).min(FASTEST);
            }
            *noise += step << pace;
        }
        self.far = far;
        found
    }

    /// Whether the last block stood out: two bands or more, 12 dB above their noise.
    pub(super) const fn stood_out(&self) -> bool {
        self.far >= 2
    }

    /// Whether it is the first second.
    pub(super) const fn is_early(&self) -> bool {
        self.blocks < EARLY
    }

    /// Each band's level in 2^-8 of an octave.
    pub(super) fn levels(&self) -> [i32; BANDS] {
        self.levels.map(|level| level >> 8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_what_the_formulas_say() {
        for (i, &step) in STEPS.iter().enumerate() {
            let g = ((i as f64 + 0.5) / 8.0 - 4.0).exp2();
            let p = 1.0 / (1.0 + 5.0 * (-0.8 * g).exp());
            let exact = 65_536.0 * (1.0 + 0.01 * (1.0 - p) * (g - 1.0)).log2();
            assert!((f64::from(step) - exact).abs() <= 0.5 + 1e-6, "{i}: {step} {exact}");
        }
        for (i, &root) in ROOTS.iter().enumerate() {
            let g = ((i as f64 + 0.5) / 8.0).exp2();
            let exact = 64.0 * (g - 1.0 - g.ln()).min(8.0).sqrt();
            assert!((f64::from(root) - exact).abs() <= 0.5 + 1e-6, "{i}: {root} {exact}");
        }
        let certain = ((0.75f64 / 0.25 * 5.0).ln() / 0.8).log2() * 256.0;
        assert!((f64::from(CERTAINLY) - certain).abs() < 3.0, "{certain}");
    }

    /// After so many blocks of one level.
    fn after(blocks: usize, level: i32) -> Noise {
        let mut noise = Noise::new();
        (0..blocks).for_each(|_| _ = noise.hear(&[level; BANDS]));
        noise
    }

    #[test]
    fn follows_a_jump_and_a_fall_of_15_db_in_five_seconds() {
        let mut noise = after(100, 2_000);
        assert!(noise.levels().iter().all(|&level| (level - 2_000).abs() < 64), "{noise:?}");
        // 15 dB.
        let up = [2_000 + 1_276; BANDS];
        let blocks = (1..1_000).find(|_| noise.hear(&up).roots < 200).unwrap();
        assert!((60..500).contains(&blocks), "{blocks}");
        for _ in 0..500 {
            noise.hear(&[2_000; BANDS]);
        }
        assert!(noise.levels().iter().all(|&level| level < 2_100), "{noise:?}");
    }

    #[test]
    fn after_a_gate_has_closed_the_noise_is_soon_that_of_silence() {
        let mut noise = after(200, 4_000);
        // 36 dB less: within 1.2 s it's at most 12 dB above.
        for _ in 0..120 {
            noise.hear(&[930; BANDS]);
        }
        assert!(noise.levels().iter().all(|&level| level <= 930 + 1_024), "{noise:?}");
    }

    #[test]
    fn a_long_vowel_in_a_quiet_room_is_no_noise() {
        let mut noise = after(200, 2_000);
        // 600 ms, 45 dB above: at most 12 dB of it pass for noise.
        for _ in 0..60 {
            noise.hear(&[2_000 + 3_827; BANDS]);
        }
        assert!(noise.levels().iter().all(|&level| level < 2_000 + 1_020), "{noise:?}");
    }

    #[test]
    fn speech_with_gaps_is_no_noise() {
        let mut noise = after(20, 3_000);
        for n in 0..3_000 {
            // 200 ms of 30 dB more, 50 ms of none.
            noise.hear(&[if n % 25 < 20 { 5_500 } else { 3_000 }; BANDS]);
        }
        assert!(noise.levels().iter().all(|&level| (level - 3_000).abs() < 64), "{noise:?}");
    }
}

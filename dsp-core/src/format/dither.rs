//! Dither: noise with a triangular distribution (TPDF), which is added before bits are cut off.

/// Dither: a seeded generator of noise with a triangular distribution (TPDF), one step of the target in each
/// direction, which is added before bits are cut off. Use one for each channel with
/// [`write_dithered`](super::write_dithered); the same seed gives the same noise.
///
/// With dither the rounding error is noise whose power does not depend on the signal, and sound below one step is not
/// lost (Lipshitz, Wannamaker and Vanderkooy, "Quantization and dither", 1992). It costs 4.8 dB of the signal-to-noise
/// ratio.
#[derive(Clone, Debug)]
pub struct Dither {
    state: u32,
}

impl Dither {
    /// A generator; every seed is good, 0 too.
    pub const fn new(seed: u32) -> Self {
        Self { state: if seed == 0 { 0x9e37_79b9 } else { seed } }
    }

    /// Marsaglia's xorshift of 32 bits.
    fn next(&mut self) -> u32 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 17;
        self.state ^= self.state << 5;
        self.state
    }

    /// The difference of two numbers of that many bits, at most 31.
    pub(super) fn noise(&mut self, bits: u32) -> i32 {
        let mut number = || (self.next() >> (32 - bits)) as i32;
        number() - number()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_noise_is_triangular_and_repeats_with_its_seed() {
        let mut dither = Dither::new(0);
        let mut below = [0u32; 4];
        let (mut sum, mut square) = (0i64, 0i64);
        for _ in 0..100_000 {
            let noise = dither.noise(16);
            assert!(noise.abs() < 1 << 16);
            below[((noise + (1 << 16)) >> 15) as usize] += 1;
            (sum, square) = (sum + i64::from(noise), square + i64::from(noise).pow(2));
        }
        // An eighth, three, three, an eighth; a variance of a sixth of a step.
        assert!(below.iter().zip([1, 3, 3, 1]).all(|(n, eighths)| n.abs_diff(eighths * 12_500) < 600), "{below:?}");
        assert!((sum / 100_000).abs() < 200, "{sum}");
        let variance = square as f64 / 100_000.0 / 65_536.0 / 65_536.0;
        assert!((variance * 6.0 - 1.0).abs() < 0.02, "{variance}");
        let [mut one, mut other] = [7, 7].map(Dither::new);
        assert!((0..100).all(|_| one.noise(8) == other.noise(8)));
    }
}

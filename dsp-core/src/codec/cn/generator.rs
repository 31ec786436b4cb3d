//! Noise of a given level and spectrum.
//!
//! White noise goes through the all-pole lattice of the reflection coefficients. A lattice is stable whatever its
//! coefficients are on the way from one description to the next, and none of its signals is stronger than its output.
//! So everything runs in 16 bits at a fixed level, and the wanted level is a gain at the end. The power of the lattice
//! is exactly 1 / ((1 - k1^2) (1 - k2^2) ...).
//!
//! Level and spectrum move with a time constant of 512 samples (64 ms at 8 kHz); those with which a pause begins apply
//! at once. The cost is at most 24 multiplications for each sample. The state takes 112 bytes.

use super::{MAX_ORDER, NoiseDescription};
use crate::codec::DecodeError;
use crate::process::decibel;

/// The lattice's output before the gain, root mean square.
const INNER_RMS: u32 = 2_048;
/// Number of samples after which the coefficients move.
const BLOCK: usize = 32;
/// They move by 2^-4 of the way; the gain moves at every sample by 2^-9 up and 2^-7 down.
const MOVE_SHIFT: u32 = 4;
const RISE_SHIFT: u32 = 9;
const FALL_SHIFT: u32 = 7;
/// One in Q15, and in Q30.
const ONE: i32 = 1 << 15;
const ONE_Q30: u32 = 1 << 30;

/// Generates comfort noise with the level and the spectrum that payloads describe (RFC 3389). [The module's
/// page](super) has an example.
///
/// Level and spectrum move to a new description with a time constant of 512 samples, 64 ms at 8 kHz. It takes at most
/// 24 multiplications for each sample, and 112 bytes.
#[derive(Clone, Debug)]
pub struct NoiseGenerator {
    /// What is on its way to be made; `None` before the first description.
    target: Option<NoiseDescription>,
    /// Reflection coefficients now, Q23.
    reflections: [i32; MAX_ORDER],
    /// Backward errors of the lattice's stages.
    stages: [i16; MAX_ORDER],
    /// Peak of the uniform white noise.
    excitation: i32,
    /// Root mean square of the noise now and in the end, in 2^-15 of a step.
    level: i32,
    wanted: i32,
    /// Samples until the coefficients move.
    left: usize,
    seed: u32,
}

impl NoiseGenerator {
    /// A generator that is silent until its first description. It needs no sample rate, as its noise has the rate of
    /// what was described.
    pub const fn new() -> Self {
        Self {
            target: None,
            reflections: [0; MAX_ORDER],
            stages: [0; MAX_ORDER],
            excitation: 0,
            level: 0,
            wanted: 0,
            left: 0,
            seed: 1,
        }
    }

    /// Takes in a payload of RFC 3389, to which the noise then moves.
    ///
    /// # Errors
    /// Returns a [`DecodeError`] for the reasons of [`NoiseDescription::read`](super::NoiseDescription::read). The
    /// noise stays as it is then.
    pub fn update(&mut self, payload: &[u8]) -> Result<(), DecodeError> {
        self.set(NoiseDescription::read(payload)?);
        Ok(())
    }

    /// Takes in a payload with which a pause begins: the noise is like it at once.
    ///
    /// # Errors
    /// Returns a [`DecodeError`] for the reasons of [`NoiseDescription::read`](super::NoiseDescription::read). The
    /// noise stays as it is then.
    pub fn begin(&mut self, payload: &[u8]) -> Result<(), DecodeError> {
        let description = NoiseDescription::read(payload)?;
        self.target = None;
        self.set(description);
        Ok(())
    }

    /// Takes in a description, to which the noise then moves.
    pub fn set(&mut self, description: NoiseDescription) {
        self.wanted = decibel::amplitude(-100 * i16::from(description.level()), 30) as i32;
        if self.target.is_none() {
            self.level = self.wanted;
            for (i, k) in self.reflections.iter_mut().enumerate() {
                *k = i32::from(description.reflection(i)) << 8;
            }
            self.left = 0;
        }
        self.target = Some(description);
    }

    /// Whether there was a description since the beginning or the last reset.
    pub fn is_ready(&self) -> bool {
        self.target.is_some()
    }

    /// Fills `pcm` with noise that continues the noise before it.
    pub fn generate(&mut self, pcm: &mut [i16]) {
        let Some(target) = self.target else { return pcm.fill(0) };
        let mut k = self.reflections.map(|k| k >> 8);
        for sample in pcm {
            if self.left == 0 {
                self.left = BLOCK;
                self.go_on(&target);
                k = self.reflections.map(|k| k >> 8);
            }
            self.left -= 1;
            self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let inner = self.filter(&k, (i32::from((self.seed >> 16) as i16) * self.excitation) >> 15);
            self.level += (self.wanted - self.level) >> if self.wanted < self.level { FALL_SHIFT } else { RISE_SHIFT };
            // 2^15 of the level's unit and 2^11 of the inner one, rounded.
            let outer = (i64::from(inner) * i64::from(self.level) + (1 << 25)) >> 26;
            *sample = outer.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        }
    }

    /// Forgets all descriptions.
    pub fn reset(&mut self) {
        *self = Self::new();
    }

    /// One step of the coefficients towards the target, and the excitation that belongs to them.
    fn go_on(&mut self, target: &NoiseDescription) {
        let mut power = ONE_Q30;
        for (i, k) in self.reflections.iter_mut().enumerate() {
            *k += ((i32::from(target.reflection(i)) << 8) - *k) >> MOVE_SHIFT;
            let square = ((*k >> 8) * (*k >> 8)).unsigned_abs();
            power = ((u64::from(power) * u64::from(ONE_Q30 - square)) >> 30) as u32;
        }
        // The peak of uniform noise is sqrt(3) over its root mean square: 3547 of 2048.
        self.excitation = ((power.isqrt() * (INNER_RMS * 3_547 / 2_048)) >> 15) as i32;
    }

    /// One sample of the lattice.
    fn filter(&mut self, k: &[i32; MAX_ORDER], excitation: i32) -> i32 {
        let mut forward = excitation;
        for i in (0..MAX_ORDER).rev() {
            let backward = i32::from(self.stages[i]);
            forward = (forward - ((k[i] * backward + ONE / 2) >> 15)).clamp(-32_768, 32_767);
            if let Some(next) = self.stages.get_mut(i + 1) {
                *next = (backward + ((k[i] * forward + ONE / 2) >> 15)).clamp(-32_768, 32_767) as i16;
            }
        }
        self.stages[0] = forward as i16;
        forward
    }
}

impl Default for NoiseGenerator {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::super::NoiseAnalyzer;
    use super::*;
    use std::vec;
    use std::vec::Vec;

    fn level_db(pcm: &[i16]) -> f64 {
        let power = pcm.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / pcm.len() as f64;
        10.0 * (power / f64::from(1 << 30)).log10()
    }

    fn made(description: NoiseDescription, samples: usize) -> Vec<i16> {
        let mut generator = NoiseGenerator::new();
        generator.set(description);
        let mut pcm = vec![0; samples];
        generator.generate(&mut pcm);
        pcm
    }

    #[test]
    fn the_level_is_the_one_described_whatever_the_spectrum() {
        let spectra: [&[i16]; 5] =
            [&[], &[-30_000, 20_000], &[-32_000, 12_000, -5_000, 9_000], &[25_000], &[-10_000, 31_000, 0, 0, 8_000]];
        for spectrum in spectra {
            for level in [12, 30, 50, 70] {
                let found = level_db(&made(NoiseDescription::new(level, spectrum), 80_000));
                // White noise of 9 dB below overload is the loudest that 16 bits hold whole.
                assert!((found + f64::from(level)).abs() < 0.5, "{spectrum:?} at -{level}: {found}");
            }
        }
        assert!(made(NoiseDescription::white(127), 8_000).iter().all(|&x| x == 0));
    }

    #[test]
    fn analysis_finds_what_synthesis_made() {
        let sent = NoiseDescription::new(40, &[-28_000, 15_000, -6_000, 4_000]);
        let mut analyzer = NoiseAnalyzer::new(16_000);
        analyzer.hear(&made(sent, 64_000));
        assert!(analyzer.changed_from(&sent).is_none(), "{:?}", analyzer.describe());
        let found = analyzer.describe();
        for i in 0..MAX_ORDER {
            let apart = i32::from(found.reflection(i)) - i32::from(sent.reflection(i));
            assert!(apart.abs() < 2_000, "k{} {} for {}", i + 1, found.reflection(i), sent.reflection(i));
        }
    }

    #[test]
    fn moves_without_a_click() {
        let (quiet, loud) = (NoiseDescription::new(60, &[-31_000, 20_000]), NoiseDescription::new(30, &[20_000]));
        let mut generator = NoiseGenerator::new();
        let mut pcm = vec![0; 12_000];
        generator.set(quiet);
        generator.generate(&mut pcm[..4_000]);
        generator.set(loud);
        generator.generate(&mut pcm[4_000..8_000]);
        generator.set(quiet);
        generator.generate(&mut pcm[8_000..]);
        // The level goes from one to the other in 512 samples and no block stands out above both.
        assert!((level_db(&pcm[6_000..8_000]) + 30.0).abs() < 1.0);
        assert!((level_db(&pcm[..4_000]) + 60.0).abs() < 1.0);
        let just_after = level_db(&pcm[4_000..4_032]);
        assert!(just_after < -45.0, "{just_after}");
        for block in pcm.chunks(64) {
            assert!(level_db(block) < -26.0);
        }
        // 2,560 samples later only 0.7 % of the way is left: 30 dB down and 4 dB of that.
        assert!(level_db(&pcm[11_500..]) < -58.5, "{}", level_db(&pcm[11_500..]));
    }

    #[test]
    fn a_pause_begins_at_its_own_level_and_a_fall_is_soon_over() {
        let mut generator = NoiseGenerator::new();
        let mut pcm = vec![0; 4_000];
        generator.update(&[40]).unwrap();
        generator.generate(&mut pcm);
        // 30 dB less within 640 samples.
        generator.update(&[70]).unwrap();
        generator.generate(&mut pcm[..1_280]);
        let (before, after) = (level_db(&pcm[..64]), level_db(&pcm[640..1_280]));
        assert!(before > -46.0 && (after + 70.0).abs() < 1.5, "{before} {after}");
        assert_eq!(generator.begin(&[]), Err(DecodeError::Empty));
        generator.begin(&[40]).unwrap();
        generator.generate(&mut pcm[..64]);
        assert!((level_db(&pcm[..64]) + 40.0).abs() < 1.5);
    }

    #[test]
    fn block_lengths_make_no_difference_and_the_bits_are_these() {
        let mut whole = NoiseGenerator::new();
        let mut pieces = NoiseGenerator::new();
        let (mut a, mut b) = ([0; 1_000], [0; 1_000]);
        for (payload, range) in [(&[40, 20, 200, 130][..], 0..500), (&[55, 150], 500..1_000)] {
            whole.update(payload).unwrap();
            pieces.update(payload).unwrap();
            whole.generate(&mut a[range.clone()]);
            b[range].chunks_mut(17).for_each(|piece| pieces.generate(piece));
        }
        assert_eq!(a, b);
        let hash = a
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .fold(0x811c_9dc5u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        assert_eq!(hash, 0xcb9b_9d19, "{hash:#x}");
    }

    #[test]
    fn an_error_changes_nothing_and_nothing_is_silence() {
        let mut generator = NoiseGenerator::new();
        let mut pcm = [7; 100];
        generator.generate(&mut pcm);
        assert_eq!(pcm, [0; 100]);
        assert!(!generator.is_ready());
        generator.update(&[40]).unwrap();
        let mut other = generator.clone();
        assert_eq!(other.update(&[]), Err(DecodeError::Empty));
        assert_eq!(other.update(&[3, 255]), Err(DecodeError::Malformed(255)));
        let mut again = [0; 100];
        generator.generate(&mut pcm);
        other.generate(&mut again);
        assert!(pcm == again && pcm != [0; 100]);
        other.reset();
        other.generate(&mut again);
        assert_eq!(again, [0; 100]);
    }
}

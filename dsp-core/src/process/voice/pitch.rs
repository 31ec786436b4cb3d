//! Periodicity of the lowest 500 Hz: the largest autocorrelation at lags of 5 to 13 ms, relative to the power.
//!
//! These are the periods of voices from 77 to 200 Hz. A higher voice, up to 400 Hz and more, is found at a multiple of
//! its period, and without shorter lags less noise passes for a voice: a short lag is a large autocorrelation of
//! whatever has its power at low frequencies.
//!
//! It works at 1 kHz, behind a first difference (1 - 3/4 z^-1), so that the rumble of a car does not pass for a voice.
//! A detector with it is as good as with a rate of 2 kHz and twice as many lags, and less than half as expensive. Sums
//! decay by a quarter in 10 ms.
//!
//! 256 stands for a period that is exactly like the next. The cost is 100 products for each block. The state takes 140
//! bytes.

use super::bands::{SLOW, count_zeros};
use crate::kernel::COUNTS_ZEROS;

/// Lags in samples at 1 kHz: 200 to 77 Hz.
const SHORTEST: usize = 5;
const LONGEST: usize = 13;
const LAGS: usize = LONGEST - SHORTEST + 1;
/// Greatest number of bits besides the sign of samples in the sums: ten products, four times over, stay below 2^30.
const BITS: u32 = 12;

/// Autocorrelation of the last 40 ms or so.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pitch {
    /// What came before the block, and the block, shifted to the right by this.
    samples: [i32; LONGEST + SLOW],
    shift: u32,
    /// The last sample that they were made of.
    last: i32,
    /// Power and products at each lag, of shifted samples.
    power: i32,
    products: [i32; LAGS],
}

impl Pitch {
    pub(super) const fn new() -> Self {
        Self { samples: [0; LONGEST + SLOW], shift: 0, last: 0, power: 0, products: [0; LAGS] }
    }

    /// Where the next block goes, before [`Self::hear`].
    pub(super) fn room(&mut self) -> &mut [i32; SLOW] {
        let mut at = 0;
        while at < LONGEST {
            self.samples[at] = self.samples[at + SLOW];
            at += 1;
        }
        self.samples.last_chunk_mut().expect("a block ends them")
    }

    /// Hears the block that was put there; how periodic it is, 0 to 256.
    pub(super) fn hear(&mut self) -> i32 {
        let (mut last, mut bits) = (self.last, 0);
        let (fives, _) = self.samples[LONGEST..].as_chunks_mut::<5>();
        for five in fives {
            for sample in five {
                let (new, difference) = (*sample, *sample - last + (last >> 2));
                // Half of the difference: 16 bits.
                *sample = difference >> 1;
                last = new;
                // A bit is set where it isn't the one above it: from the first of the half's on, and the difference's last.
                bits |= difference ^ *sample;
            }
        }
        self.last = last;
        self.scale((32 - count_zeros(bits as u32 >> 1)).saturating_sub(BITS));
        if self.shift > 0 {
            self.samples[LONGEST..].iter_mut().for_each(|sample| *sample >>= self.shift);
        }
        let mut largest = 0;
        for (n, products) in self.products.iter_mut().enumerate() {
            *products += correlate(&self.samples, SHORTEST + n) - (*products >> 2);
            largest = largest.max(*products);
        }
        self.power += correlate(&self.samples, 0) - (self.power >> 2);
        // A power of a thousand is silence.
        fraction(largest, (self.power >> 8) + 4)
    }

    /// Makes room for samples that need this shift; goes back by a bit where the sums have become small.
    fn scale(&mut self, need: u32) {
        if need > self.shift {
            let by = need - self.shift;
            self.shift = need;
            self.power >>= 2 * by;
            self.products.iter_mut().for_each(|products| *products >>= 2 * by);
            self.samples[..LONGEST].iter_mut().for_each(|sample| *sample >>= by);
        } else if need < self.shift && self.power < 1 << 26 {
            self.shift -= 1;
            self.power <<= 2;
            // Products can be larger than the power where a sound fades, and what is before the block louder than it.
            self.products.iter_mut().for_each(|products| *products = (*products).clamp(-(1 << 27), 1 << 27) << 2);
            self.samples[..LONGEST]
                .iter_mut()
                .for_each(|sample| *sample = (*sample << 1).clamp(-(1 << BITS), 1 << BITS));
        }
    }
}

/// The sum of the samples' products with those this far before.
fn correlate(samples: &[i32; LONGEST + SLOW], lag: usize) -> i32 {
    let new: &[i32; SLOW] = samples[LONGEST..].first_chunk().unwrap_or(&[0; SLOW]);
    let old: &[i32; SLOW] = samples[LONGEST - lag..].first_chunk().unwrap_or(&[0; SLOW]);
    // A constant index at each step, so that it is unrolled without a check of bounds.
    let mut sum = 0;
    let mut n = 0;
    while n < SLOW {
        sum += new[n] * old[n];
        n += 1;
    }
    sum
}

/// How many times `whole` goes into `part`, at most 256, where `part` is not negative and `whole` is not above 2^22 + 4.
fn fraction(part: i32, whole: i32) -> i32 {
    if COUNTS_ZEROS { (part / whole).min(256) } else { fraction_in_steps(part, whole) }
}

/// The same by eight comparisons.
fn fraction_in_steps(part: i32, whole: i32) -> i32 {
    if part >= whole << 8 {
        return 256;
    }
    let (mut rest, mut fraction) = (part, 0);
    for bit in (0..8).rev() {
        if rest >= whole << bit {
            rest -= whole << bit;
            fraction += 1 << bit;
        }
    }
    fraction
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn hear(pitch: &mut Pitch, sample: impl Fn(usize) -> i16) -> i32 {
        *pitch.room() = core::array::from_fn(|n| i32::from(sample(n)));
        pitch.hear()
    }

    /// The highest and lowest reading of the last three quarters of a signal at 1 kHz.
    fn readings(signal: impl Fn(usize) -> f64, blocks: usize) -> (i32, i32) {
        let mut pitch = Pitch::new();
        let readings: Vec<i32> =
            (0..blocks).map(|block| hear(&mut pitch, |n| signal(block * SLOW + n) as i16)).collect();
        let settled = &readings[blocks / 4..];
        (*settled.iter().min().unwrap(), *settled.iter().max().unwrap())
    }

    /// Uniform, -1 to 1, from the number of a sample.
    fn noise(n: usize) -> f64 {
        let mut x = (n as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 31)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        ((x ^ (x >> 32)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    #[test]
    fn pulses_are_periodic_and_noise_is_not() {
        for (period, amplitude) in [(3, 30_000.0), (7, 60.0), (9, 32_767.0), (13, 2_000.0)] {
            // A decaying pulse each period.
            let (low, _) = readings(|n| amplitude * 0.7f64.powi((n % period) as i32), 100);
            assert!(low > 150, "{period}: {low}");
        }
        for amplitude in [20.0, 1_000.0, 32_767.0] {
            let (_, high) = readings(|n| amplitude * noise(n), 200);
            assert!(high < 170, "{amplitude}: {high}");
            let mean = (0..20).map(|k| readings(|n| amplitude * noise(n + k * 10_000), 20).0).sum::<i32>() / 20;
            assert!(mean < 90, "{mean}");
        }
        assert_eq!(readings(|_| 0.0, 20), (0, 0));
    }

    #[test]
    fn a_quotient_in_steps_is_that_of_the_division() {
        for whole in [4, 5, 7, 1_000, 65_537, (1 << 22) + 3] {
            for part in (0..300).map(|n| n * whole).flat_map(|part| [part, part + 1, part + whole - 1]) {
                assert_eq!(fraction_in_steps(part, whole), (part / whole).min(256), "{part}, {whole}");
            }
        }
        assert_eq!(fraction_in_steps(i32::MAX, 4), 256);
    }

    #[test]
    fn any_change_of_level_stays_within_bounds() {
        let mut pitch = Pitch::new();
        for n in 0..2_000usize {
            let amplitude = [32_767.0, 0.0, 3.0, 32_767.0, 500.0][n / 7 % 5];
            let reading = hear(&mut pitch, |k| match n % 3 {
                0 => (amplitude * noise(n * SLOW + k)) as i16,
                1 => (amplitude * if k % 10 < 5 { 1.0 } else { -1.0 }) as i16,
                _ => amplitude as i16,
            });
            assert!((0..=256).contains(&reading));
        }
        // After full scale, a quiet voice is heard again within 400 ms.
        let mut read = 0;
        for block in 0..40 {
            read = hear(&mut pitch, |n| (300.0 * 0.7f64.powi(((block * SLOW + n) % 10) as i32)) as i16);
        }
        assert!(read > 120, "{read}");
    }
}

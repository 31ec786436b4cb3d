//! Level and spectrum of the noise at a microphone.
//!
//! Products of samples up to 12 apart are averaged, with equal weights at first and then with a time constant of 400
//! ms, across the bounds of frames. The reflection coefficients follow from these averages by Schur's recursion (J. Le
//! Roux and C. Gueguen, IEEE Trans. ASSP 25, 1977), which needs no number larger than the power.
//!
//! Averages are in 2^-12 of a 16-bit step squared. The cost is at most 13 multiplications for each sample, and 13
//! divisions of 64 bits in 240 samples and in each frame. A description takes 12 divisions and 144 multiplications of
//! 64 bits, and a logarithm. Whether the noise has changed takes the logarithm alone if the level decides, otherwise a
//! description and 520 multiplications of 64 bits. The state takes 144 bytes.

use super::{MAX_ORDER, NoiseDescription};
use crate::process::level::Level;

/// Time constant.
const MEMORY_MS: u32 = 400;
/// Samples taken at once.
const BLOCK: usize = 240;
/// White noise 39 dB down keeps the model's poles off the unit circle.
const WHITE_SHIFT: u32 = 13;
/// Levels that differ by this many dB are different.
const OTHER_LEVEL_DB: u8 = 2;
/// A spectrum is another one if its model leaves a quarter more of the noise unexplained than the noise's own (1 dB).
const OTHER_SPECTRUM: i64 = 4;

/// Products of neighbours, averaged; in units that are all the same.
type Products = [i64; MAX_ORDER + 1];

/// Describes the level and the spectrum of background noise, for comfort noise payloads (RFC 3389). [The module's
/// page](super) has an example.
///
/// It averages with a time constant of 400 ms. It takes at most 13 multiplications for each sample, and 144 bytes.
#[derive(Clone, Debug)]
pub struct NoiseAnalyzer {
    order: usize,
    /// Samples that the averages stand for, and the most of these.
    heard: u32,
    longest: u32,
    /// The last samples of the sound before.
    last: [i16; MAX_ORDER],
    mean: Products,
}

impl NoiseAnalyzer {
    /// An analyzer for mono sound at this sample rate, in Hz; rates outside 8,000 to 48,000 count as the nearest of
    /// these. It computes 10 reflection coefficients at 8 kHz and 12 above.
    pub fn new(sample_rate_hz: u32) -> Self {
        let rate_hz = sample_rate_hz.clamp(8_000, 48_000);
        Self {
            order: if rate_hz <= 8_000 { 10 } else { MAX_ORDER },
            heard: 0,
            longest: rate_hz / 1_000 * MEMORY_MS,
            last: [0; MAX_ORDER],
            mean: [0; MAX_ORDER + 1],
        }
    }

    /// Takes in sound that is noise alone, of any length.
    pub fn hear(&mut self, pcm: &[i16]) {
        for block in pcm.chunks(BLOCK) {
            let mut line = [0; MAX_ORDER + BLOCK];
            line[..MAX_ORDER].copy_from_slice(&self.last);
            line[MAX_ORDER..][..block.len()].copy_from_slice(block);
            let (new, old) = (block.len() as i64, i64::from(self.heard));
            for (lag, mean) in self.mean.iter_mut().enumerate().take(self.order + 1) {
                let before = &line[MAX_ORDER - lag..];
                let sum: i64 = block.iter().zip(before).map(|(&a, &b)| i64::from(i32::from(a) * i32::from(b))).sum();
                // Both below 2^58.
                *mean = (*mean * old + (sum << 12)) / (old + new);
            }
            self.heard = (self.heard + block.len() as u32).min(self.longest);
            self.last.copy_from_slice(&line[block.len()..][..MAX_ORDER]);
        }
    }

    /// The description of the noise heard so far.
    pub fn describe(&self) -> NoiseDescription {
        self.described(self.rounded_level(), &self.normalised())
    }

    /// The description of the noise heard so far, if it sounds different from `sent`; otherwise `None`.
    pub fn changed_from(&self, sent: &NoiseDescription) -> Option<NoiseDescription> {
        let level = self.rounded_level();
        // Digital silence has no spectrum.
        if level.abs_diff(sent.level()) >= OTHER_LEVEL_DB || level == 127 {
            return (level != sent.level()).then(|| self.describe());
        }
        let products = self.normalised();
        let now = self.described(level, &products);
        let (best, left) = (unexplained(&products, &now), unexplained(&products, sent));
        (left - best > best / OTHER_SPECTRUM).then_some(now)
    }

    fn described(&self, level: u8, products: &Products) -> NoiseDescription {
        NoiseDescription::new(level, &reflections(products)[..self.order])
    }

    /// Forgets everything heard.
    pub fn reset(&mut self) {
        (self.heard, self.last, self.mean) = (0, [0; MAX_ORDER], [0; MAX_ORDER + 1]);
    }

    /// Samples that the averages stand for, up to 400 ms of them.
    pub(crate) fn heard(&self) -> u32 {
        self.heard
    }

    /// Level of what was heard.
    pub(crate) fn level(&self) -> Level {
        // A level's unit of power is 2^-16 of a step squared.
        Level::of_power((self.mean[0].max(0) as u64) << 4)
    }

    /// The same in dB below overload, rounded.
    fn rounded_level(&self) -> u8 {
        ((-i32::from(self.level().hundredths_dbov()) + 50) / 100).clamp(0, 127) as u8
    }

    /// The averages with the power between 2^25 and 2^26.
    fn normalised(&self) -> Products {
        let mut products = self.mean;
        let power = products[0] + (products[0] >> WHITE_SHIFT) + 1;
        products[0] = power;
        let up = power.leading_zeros() as i32 - 38;
        products.map(|r| if up >= 0 { r << up } else { r >> -up })
    }
}

/// Reflection coefficients, Q15.
fn reflections(products: &Products) -> [i16; MAX_ORDER] {
    let mut k = [0; MAX_ORDER];
    // Products of the forward and backward prediction errors with the signal.
    let (mut forward, mut backward) = (*products, *products);
    for (m, k) in k.iter_mut().enumerate() {
        if forward[1].abs() >= forward[0] {
            break;
        }
        let reflection = -(forward[1] << 15) / forward[0];
        *k = reflection as i16;
        forward[0] += (forward[1] * reflection) >> 15;
        for i in 1..MAX_ORDER - m {
            let ahead = forward[i + 1];
            forward[i] = ahead + ((backward[i] * reflection) >> 15);
            backward[i] += (ahead * reflection) >> 15;
        }
    }
    k
}

/// Power that is left when the model predicts a signal with these products.
fn unexplained(products: &Products, model: &NoiseDescription) -> i64 {
    // Predictor Q16, from the reflection coefficients one after the other; their magnitudes sum to 2^12 at most.
    let mut a = [0i64; MAX_ORDER + 1];
    a[0] = 1 << 16;
    for m in 1..=model.order() {
        let k = i64::from(model.reflection(m - 1));
        let old = a;
        for i in 1..=m {
            a[i] = old[i] + ((k * old[m - i]) >> 15);
        }
    }
    (0..=MAX_ORDER)
        .map(|i| {
            let row: i64 = (0..=MAX_ORDER).map(|j| (a[j] * products[i.abs_diff(j)]) >> 16).sum();
            ((a[i] >> 4) * (row >> 4)) >> 8
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// White noise through two poles, about 20 dB below overload.
    fn noise(a1: f64, a2: f64, seed: u32, samples: usize) -> Vec<i16> {
        let (mut random, mut y1, mut y2) = (seed, 0.0, 0.0);
        (0..samples)
            .map(|_| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let y = f64::from((random >> 16) as i16) / 32.0 - a1 * y1 - a2 * y2;
                (y2, y1) = (y1, y);
                y as i16
            })
            .collect()
    }

    #[test]
    fn finds_level_and_poles() {
        for rate in [8_000, 16_000, 32_000, 48_000] {
            let source = noise(-1.2, 0.72, 5, rate as usize);
            let mut analyzer = NoiseAnalyzer::new(rate);
            source.chunks(rate as usize / 100 + 3).for_each(|frame| analyzer.hear(frame));
            let found = analyzer.describe();
            let tail = &source[source.len() / 2..];
            let power = tail.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / tail.len() as f64;
            let level = -10.0 * (power / f64::from(1 << 30)).log10();
            assert!((f64::from(found.level()) - level).abs() < 1.0, "{rate}: {} {level}", found.level());
            // k2 = a2, k1 = a1 / (1 + a2).
            let k = [0, 1, 2, 3].map(|i| f64::from(found.reflection(i)) / 32_768.0);
            assert!((k[0] + 1.2 / 1.72).abs() < 0.03 && (k[1] - 0.72).abs() < 0.03, "{rate}: {k:?}");
            assert!(k[2].abs() < 0.05 && k[3].abs() < 0.05, "{rate}: {k:?}");
        }
    }

    #[test]
    fn frames_leave_no_trace() {
        let source = noise(-0.9, 0.2, 9, 2_400);
        let descriptions = [1, 7, 80, 160, 2_400].map(|length| {
            let mut analyzer = NoiseAnalyzer::new(8_000);
            source.chunks(length).for_each(|frame| analyzer.hear(frame));
            analyzer.describe()
        });
        assert!(descriptions.iter().all(|d| d.level() == descriptions[0].level()), "{descriptions:?}");
        let spread = |d: &NoiseDescription| (0..10).all(|i| (d.indices[i].abs_diff(descriptions[0].indices[i])) <= 1);
        assert!(descriptions.iter().all(spread), "{descriptions:?}");
    }

    #[test]
    fn the_same_noise_differs_not_and_another_does() {
        let mut analyzer = NoiseAnalyzer::new(16_000);
        analyzer.hear(&noise(-1.2, 0.72, 5, 16_000));
        let sent = analyzer.describe();
        assert!(analyzer.changed_from(&sent).is_none());
        for frame in noise(-1.2, 0.72, 77, 32_000).chunks(320) {
            analyzer.hear(frame);
            assert!(analyzer.changed_from(&sent).is_none(), "{:?} {:?}", sent, analyzer.describe());
        }
        let mut other = analyzer.clone();
        other.hear(&noise(-1.2, 0.72, 7, 16_000).iter().map(|x| x / 2).collect::<Vec<_>>());
        assert_eq!(other.changed_from(&sent), Some(other.describe()), "6 dB less");
        analyzer.hear(&noise(-0.2, 0.72, 7, 16_000));
        analyzer.hear(&noise(-0.2, 0.72, 8, 16_000));
        assert_eq!(analyzer.changed_from(&sent), Some(analyzer.describe()), "another colour");
    }

    #[test]
    fn extremes() {
        let mut analyzer = NoiseAnalyzer::new(0);
        assert_eq!(analyzer.describe().level(), 127);
        analyzer.hear(&[0; 1_000]);
        assert_eq!(analyzer.describe().level(), 127);
        assert!(analyzer.changed_from(&analyzer.describe()).is_none());
        analyzer.reset();
        analyzer.hear(&[i16::MIN; 48_000]);
        assert_eq!(analyzer.describe().level(), 0);
        assert!(analyzer.changed_from(&NoiseDescription::white(0)).is_some());
        analyzer.reset();
        for alternating in [[i16::MIN, i16::MAX]; 24_000] {
            analyzer.hear(&alternating);
        }
        assert!(analyzer.describe().reflection(0) > 32_000);
    }
}

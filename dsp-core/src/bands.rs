//! Splits sound at 32 or 48 kHz into two complementary bands, so that processing for 16 kHz can work on the lower one.
//!
//! The upper band is what the low-pass leaves of the delayed input, so that both bands together are the delayed input
//! again where neither is changed. The lower band, below 7 kHz, is at 16 kHz; the upper band is at the full rate.
//!
//! Splitting and joining delay by 32 samples at 16 kHz, 2 ms. The cost is 195 multiplications for each sample at 16
//! kHz, times `RATIO`.

use crate::arithmetic::dot;
use crate::process::resample::Prototype;

/// Samples of 10 ms at 16 kHz, and the most at the whole rate.
pub(crate) const LOW: usize = 160;
pub(crate) const MOST: usize = 480;
/// Taps of the low-pass by samples at 16 kHz, and the most.
const TAPS: usize = 32;
const MOST_TAPS: usize = 3 * TAPS + 1;
/// The low-pass' -6 dB point by half of 16 kHz.
const CUTOFF: f64 = 0.86;

/// A stretch of samples that begins with the end of the last one.
#[derive(Clone, Debug)]
struct Line<const N: usize, const BEFORE: usize> {
    before: [f32; BEFORE],
    now: [f32; N],
}

impl<const N: usize, const BEFORE: usize> Line<N, BEFORE> {
    const NEW: Self = Self { before: [0.0; BEFORE], now: [0.0; N] };

    /// Takes in `block`; what was here comes before it.
    fn push(&mut self, block: &[f32], length: usize) {
        self.before.copy_from_slice(&self.now[length - BEFORE..length]);
        self.now[..length].copy_from_slice(block);
    }

    /// The sum of `taps` by the samples up to and including the one at `end - 1`.
    fn filtered(&self, taps: &[f32], end: usize) -> f32 {
        match end.checked_sub(taps.len()) {
            Some(start) => dot(&self.now[start..end], taps),
            None => {
                let before = taps.len() - end;
                dot(&self.before[BEFORE - before..], &taps[..before]) + dot(&self.now[..end], &taps[before..])
            }
        }
    }
}

/// The split of 16 kHz times `RATIO`, 2 or 3.
#[derive(Clone, Debug)]
pub(crate) struct TwoBands<const RATIO: usize> {
    low_pass: [f32; MOST_TAPS],
    /// The input, on its way to 16 kHz and, later, to the upper band.
    whole: Line<MOST, MOST_TAPS>,
    /// The lower band as it was and as it has become, on its way back.
    before: Line<LOW, TAPS>,
    behind: Line<LOW, TAPS>,
}

impl<const RATIO: usize> TwoBands<RATIO> {
    /// Samples of 10 ms at the whole rate.
    pub(crate) const BLOCK: usize = {
        assert!(RATIO == 2 || RATIO == 3, "32 or 48 kHz");
        LOW * RATIO
    };
    /// Samples at the whole rate that the split takes there and back.
    pub(crate) const DELAY: usize = TAPS * RATIO;
    /// One more than a multiple of the ratio, so that both ways together are a whole number of samples.
    const LENGTH: usize = TAPS * RATIO + 1;

    pub(crate) fn new() -> Self {
        let mut low_pass = [0.0; MOST_TAPS];
        let filter = Prototype::new(Self::LENGTH as f64 / 2.0, CUTOFF / RATIO as f64, 70.0);
        for (n, tap) in low_pass[..Self::LENGTH].iter_mut().enumerate() {
            *tap = filter.at(n as f64 - (Self::LENGTH - 1) as f64 / 2.0) as f32;
        }
        Self { low_pass, whole: Line::NEW, before: Line::NEW, behind: Line::NEW }
    }

    /// Forgets what was heard.
    pub(crate) fn reset(&mut self) {
        (self.whole, self.before, self.behind) = (Line::NEW, Line::NEW, Line::NEW);
    }

    /// The bands of a frame of [`Self::BLOCK`] samples.
    pub(crate) fn split(&mut self, frame: &[f32]) -> ([f32; LOW], [f32; MOST]) {
        // What the upper band needs of the input, before the line moves on.
        let mut high = [0.0; MOST];
        high[..Self::DELAY].copy_from_slice(&self.whole.now[Self::BLOCK - Self::DELAY..Self::BLOCK]);
        high[Self::DELAY..Self::BLOCK].copy_from_slice(&frame[..Self::BLOCK - Self::DELAY]);
        self.whole.push(frame, Self::BLOCK);
        let mut low = [0.0; LOW];
        let taps = &self.low_pass[..Self::LENGTH];
        for (n, low) in low.iter_mut().enumerate() {
            *low = self.whole.filtered(taps, n * RATIO + 1);
        }
        self.before.push(&low, LOW);
        let known = Self::up(&self.low_pass, &self.before);
        high.iter_mut().zip(known).for_each(|(high, known)| *high -= known);
        (low, high)
    }

    /// Both bands, whatever was done to the lower one, as a frame; the upper one's gain goes in a straight line from what it
    /// was to what it is.
    pub(crate) fn join(&mut self, low: &[f32; LOW], high: &[f32; MOST], from: f32, to: f32, frame: &mut [f32]) {
        self.behind.push(low, LOW);
        let kept = Self::up(&self.low_pass, &self.behind);
        let slope = (to - from) / Self::BLOCK as f32;
        for (n, sample) in frame.iter_mut().enumerate() {
            *sample = kept[n] + (from + slope * (n + 1) as f32) * high[n];
        }
    }

    fn up(low_pass: &[f32; MOST_TAPS], low: &Line<LOW, TAPS>) -> [f32; MOST] {
        let mut all = [0.0; TAPS + LOW];
        all[..TAPS].copy_from_slice(&low.before);
        all[TAPS..].copy_from_slice(&low.now);
        let mut out = [0.0; MOST];
        for phase in 0..RATIO {
            // Every `RATIO`th tap meets a sample; tap by tap, so that neighbours are computed together.
            let mut sums = [0.0; LOW];
            for (back, tap) in low_pass[phase..Self::LENGTH].iter().step_by(RATIO).enumerate() {
                let from = &all[TAPS - back..TAPS - back + LOW];
                sums.iter_mut().zip(from).for_each(|(sum, sample)| *sum += tap * sample);
            }
            out[phase..].iter_mut().step_by(RATIO).zip(&sums).for_each(|(out, sum)| *out = sum * RATIO as f32);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<const RATIO: usize>() {
        let mut bands = TwoBands::<RATIO>::new();
        let block = TwoBands::<RATIO>::BLOCK;
        let input: std::vec::Vec<f32> = (0..6 * block).map(|n| ((n * n * 7 + n) % 613) as f32 / 613.0 - 0.5).collect();
        let mut output = std::vec![];
        for frame in input.chunks(block) {
            let (low, high) = bands.split(frame);
            let mut joined = std::vec![0.0; block];
            bands.join(&low, &high, 1.0, 1.0, &mut joined);
            output.extend(joined);
        }
        let delay = TwoBands::<RATIO>::DELAY;
        for (n, sample) in output[delay..].iter().enumerate() {
            assert!((sample - input[n]).abs() < 1e-6, "{RATIO} {n}: {sample} {}", input[n]);
        }
        // The bands are bands: a tone of 1 kHz is in the lower one alone, one of 11 kHz in the upper one.
        for (hz, share) in [(1_000.0, 0.0), (11_000.0, 1.0)] {
            bands.reset();
            let (mut whole, mut upper) = (0.0, 0.0);
            for start in 0..6 {
                let frame: std::vec::Vec<f32> = (start * block..(start + 1) * block)
                    .map(|n| crate::math::sin_cos(n as f64 * hz / (16_000 * RATIO) as f64).0 as f32)
                    .collect();
                let (_, high) = bands.split(&frame);
                if start > 1 {
                    whole += crate::arithmetic::energy(&frame);
                    upper += crate::arithmetic::energy(&high[..block]);
                }
            }
            assert!((upper / whole - share).abs() < 0.01, "{RATIO} {hz}: {}", upper / whole);
        }
    }

    #[test]
    fn both_bands_together_are_the_input() {
        check::<2>();
        check::<3>();
    }
}

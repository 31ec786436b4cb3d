//! The real bandwidth of sound: the upper edge of its mean spectrum, which reveals a telephone's sound in a file of 48 kHz.
//!
//! Spectra of half-overlapping Hann windows of 512 samples are summed, those above -70 dBov. A frequency is used if the mean
//! there is at most 60 dB below the spectrum's highest bin, and four times above the rounding noise of 16 bits in a bin; the edge
//! is the end of the highest quarter of a kilohertz that is used in most of its bins, less the two by which the window widens it.
//! Resolution: an 512th of the rate, 16 Hz at 8 kHz and 94 at 48.

use dsp_core::spectrum::Spectrum;
use serde::Serialize;

/// Half a window.
const HALF: usize = 256;
/// The least mean square of a window that is evaluated: -70 dBov.
const LEAST_POWER: f64 = 1e-7;
/// The least power of a frequency that counts, as a factor of that of the highest bin.
const BELOW: f64 = 1e-6;
/// The number of bins by which the window widens a line.
const SMEARED: f64 = 2.0;
/// Width of what must be used, in Hz.
const WIDTH_HZ: f64 = 250.0;

/// The telephony name of a bandwidth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Band {
    /// Bandwidth up to 4.3 kHz: a telephone.
    Narrowband,
    /// Bandwidth up to 8.3 kHz.
    Wideband,
    /// Bandwidth up to 16.3 kHz.
    SuperWideband,
    /// Bandwidth beyond 16.3 kHz.
    Fullband,
}

/// The highest frequency that sound really uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bandwidth {
    /// The highest frequency that is used, in Hz.
    pub edge_hz: u32,
}

impl Bandwidth {
    /// Returns the name of the bandwidth.
    pub fn band(self) -> Band {
        match self.edge_hz {
            0..4_300 => Band::Narrowband,
            4_300..8_300 => Band::Wideband,
            8_300..16_300 => Band::SuperWideband,
            _ => Band::Fullband,
        }
    }
}

/// Sums spectra.
pub(super) struct Edge {
    rate_hz: u32,
    window: Vec<f32>,
    waiting: Vec<f32>,
    power: Vec<f64>,
    spectra: u64,
}

impl Edge {
    pub(super) fn new(rate_hz: u32) -> Self {
        let turn = std::f64::consts::TAU / (2 * HALF) as f64;
        Self {
            rate_hz,
            window: (0..2 * HALF).map(|n| (0.5 - 0.5 * (turn * n as f64).cos()) as f32).collect(),
            waiting: Vec::with_capacity(2 * HALF),
            power: vec![0.0; HALF],
            spectra: 0,
        }
    }

    pub(super) fn hear(&mut self, pcm: &[i16]) {
        for &sample in pcm {
            self.waiting.push(f32::from(sample) / 32_768.0);
            if self.waiting.len() == 2 * HALF {
                self.transform();
                self.waiting.drain(..HALF);
            }
        }
    }

    fn transform(&mut self) {
        let mean = self.waiting.iter().sum::<f32>() / (2 * HALF) as f32;
        let square =
            self.waiting.iter().map(|sample| f64::from(sample - mean).powi(2)).sum::<f64>() / (2 * HALF) as f64;
        if square < LEAST_POWER {
            return;
        }
        let windowed: Vec<f32> = self.waiting.iter().zip(&self.window).map(|(sample, w)| (sample - mean) * w).collect();
        let ([first, second], []) = windowed.as_chunks::<HALF>() else { return };
        let bins = Spectrum::forward(first, second).power();
        self.power.iter_mut().zip(bins).for_each(|(power, bin)| *power += f64::from(bin));
        self.spectra += 1;
    }

    /// `None` where nothing was loud enough.
    pub(super) fn finish(&self) -> Option<Bandwidth> {
        if self.spectra == 0 {
            return None;
        }
        let mean: Vec<f64> = self.power.iter().map(|power| power / self.spectra as f64).collect();
        let highest = mean[1..].iter().copied().fold(0.0, f64::max);
        // A window of this kind keeps 3/8 of the power of each sample in a bin; rounding has 1/12 of a step squared.
        let rounding = 0.375 * (2 * HALF) as f64 / 12.0 / (32_768.0 * 32_768.0);
        let least = (highest * BELOW).max(4.0 * rounding);
        let bin_hz = f64::from(self.rate_hz) / (2 * HALF) as f64;
        let width = (WIDTH_HZ / bin_hz).ceil().max(2.0) as usize;
        let used = |bins: &[f64]| bins.iter().filter(|power| **power >= least).count() * 2 > bins.len();
        let top = (1..HALF)
            .rev()
            .find(|&bin| mean[bin] >= least && used(&mean[(bin + 1).saturating_sub(width).max(1)..=bin]));
        // A single tone has no neighbours.
        let top = top.or_else(|| (1..HALF).rev().find(|&bin| mean[bin] >= least))?;
        Some(Bandwidth { edge_hz: ((top as f64 + 0.5 - SMEARED).max(1.0) * bin_hz) as u32 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resample::Resampler;

    fn noise(rate: u32) -> Vec<i16> {
        let mut seed = 5u32;
        let mut next = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 16) as i16 / 8
        };
        (0..2 * rate).map(|_| next()).collect()
    }

    fn edge(rate: u32, pcm: &[i16]) -> Option<u32> {
        let mut edge = Edge::new(rate);
        pcm.chunks(100).for_each(|part| edge.hear(part));
        edge.finish().map(|bandwidth| bandwidth.edge_hz)
    }

    #[test]
    fn sound_that_was_narrower_before_is_told() {
        for (from, to) in [(8_000, 48_000), (8_000, 16_000), (16_000, 48_000), (8_000, 44_100), (32_000, 48_000)] {
            let mut resampler = Resampler::new(from, to).unwrap();
            let (mut wide, mut out) = (Vec::new(), [0; 4_800]);
            for part in noise(from).chunks(100) {
                resampler.push(part);
                let pulled = resampler.pull(&mut out);
                wide.extend_from_slice(&out[..pulled]);
            }
            let hz = edge(to, &wide).unwrap();
            assert!((from * 40 / 100..from * 54 / 100).contains(&hz), "{from} as {to}: {hz}");
        }
        for rate in [8_000, 16_000, 48_000] {
            assert!(edge(rate, &noise(rate)).is_some_and(|hz| hz > rate * 49 / 100), "{rate}");
        }
    }

    #[test]
    fn a_tone_is_as_wide_as_its_frequency_and_silence_has_no_width() {
        let tone = |n: u32| ((f64::from(n) * 1_000.0 / 16_000.0 * std::f64::consts::TAU).sin() * 8_000.0) as i16;
        let hz = edge(16_000, &(0..32_000).map(tone).collect::<Vec<_>>()).unwrap();
        assert!((950..1_200).contains(&hz), "{hz}");
        assert_eq!(edge(8_000, &[0; 8_000]), None);
        assert_eq!(edge(8_000, &[1_000; 8_000]), None);
        let band = |edge_hz| Bandwidth { edge_hz }.band();
        let bands = [band(3_400), band(7_000), band(14_000), band(20_000)];
        assert_eq!(bands, [Band::Narrowband, Band::Wideband, Band::SuperWideband, Band::Fullband]);
    }
}

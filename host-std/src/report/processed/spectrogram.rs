//! A spectrogram of sound of any length in as many columns as a page shows: spectra of half-overlapping Hann windows of 32
//! ms at 8 and 16 kHz, 16 ms at 32 kHz and 11 ms at 48 kHz, and in a column the mean of those that begin in it.
//!
//! A value is the level that a tone of that frequency has, in dBov: the power of a bin over that of the window's sum, times two,
//! as half of it is at the negative frequency. For stereo it is the mean of both channels.

use dsp_core::spectrum::Spectrum;

use super::png;

/// Columns at most: two units of a picture's width each.
const COLUMNS: u64 = 925;
/// Levels of the lowest and the highest colour, in dBov.
pub(super) const RANGE_DBOV: [f64; 2] = [-100.0, -20.0];

#[derive(Clone, Debug)]
pub(super) struct Spectrogram {
    channels: usize,
    window: Vec<f32>,
    /// Samples of the next window, the mean of all channels, and how many a channel went before them.
    waiting: Vec<f32>,
    begins: u64,
    length: u64,
    /// Power of each bin below half the rate, column after column, and how many spectra are in it.
    power: Vec<f64>,
    spectra: Vec<u32>,
}

impl Spectrogram {
    /// Creates a spectrogram for this many samples a channel.
    pub(super) fn new(sample_rate_hz: u32, channels: u8, length: u64) -> Self {
        // The longest that the core's transform has.
        let size = if sample_rate_hz <= 8_000 { 256 } else { 512 };
        let turn = std::f64::consts::TAU / size as f64;
        let window: Vec<f32> = (0..size).map(|n| (0.5 - 0.5 * (turn * n as f64).cos()) as f32).collect();
        let columns = length.div_ceil(size as u64 / 2).clamp(1, COLUMNS) as usize;
        Self {
            channels: usize::from(channels.max(1)),
            window,
            waiting: Vec::with_capacity(size),
            begins: 0,
            length: length.max(1),
            power: vec![0.0; columns * (size / 2)],
            spectra: vec![0; columns],
        }
    }

    fn bins(&self) -> usize {
        self.window.len() / 2
    }

    /// Takes in interleaved samples.
    pub(super) fn hear(&mut self, pcm: &[i16]) {
        let scale = 1.0 / (32_768.0 * self.channels as f32);
        for frame in pcm.chunks_exact(self.channels) {
            self.waiting.push(frame.iter().map(|&sample| f32::from(sample)).sum::<f32>() * scale);
            if self.waiting.len() == self.window.len() {
                self.transform();
                self.waiting.drain(..self.window.len() / 2);
                self.begins += self.window.len() as u64 / 2;
            }
        }
    }

    fn transform(&mut self) {
        let columns = self.spectra.len() as u64;
        let column = (self.begins * columns / self.length).min(columns - 1) as usize;
        let windowed: Vec<f32> = self.waiting.iter().zip(&self.window).map(|(a, b)| a * b).collect();
        // The window's sum is half its length.
        let scale = 2.0 / (self.window.len() as f64 / 2.0).powi(2);
        let bins = self.bins();
        let column_power = &mut self.power[column * bins..][..bins];
        match bins {
            128 => add_power::<128>(&windowed, scale, column_power),
            _ => add_power::<256>(&windowed, scale, column_power),
        }
        self.spectra[column] += 1;
    }

    /// Returns a picture in a `data:` URI: time to the right, frequency upwards from 0 to half the rate.
    pub(super) fn picture(&self) -> String {
        let (columns, bins) = (self.spectra.len(), self.bins());
        let mut pixels = vec![0; columns * bins];
        let mut before = 0;
        for column in 0..columns {
            // A column in which no window begins repeats the one before it.
            if self.spectra[column] > 0 {
                before = column;
            }
            let spectra = f64::from(self.spectra[before].max(1));
            for bin in 0..bins {
                let value = value(self.power[before * bins + bin] / spectra);
                pixels[(bins - 1 - bin) * columns + column] = value;
            }
        }
        png::data_uri(columns as u32, bins as u32, &pixels)
    }
}

/// Adds the power of each bin of a block of `2 * H` samples.
fn add_power<const H: usize>(windowed: &[f32], scale: f64, power: &mut [f64]) {
    let ([first, second], []) = windowed.as_chunks::<H>() else { return };
    let bins = Spectrum::forward(first, second).power();
    power.iter_mut().zip(bins).for_each(|(power, bin)| *power += scale * f64::from(bin));
}

/// Returns a colour of the scale.
fn value(power: f64) -> u8 {
    let [low, high] = RANGE_DBOV;
    // Silence is minus infinity, and becomes 0.
    ((super::decibels(power) - low) / (high - low) * 255.0).round().clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_has_its_level_at_its_frequency_and_its_time() {
        for (rate, channels) in [(8_000u32, 1u8), (16_000, 2), (32_000, 1), (48_000, 1)] {
            let mut seen = Spectrogram::new(rate, channels, u64::from(rate) * 2);
            // A second of silence, and one of a tone in the middle of a bin at -23 dBov: an amplitude of a tenth.
            let bin = 21;
            let turn = std::f64::consts::TAU * bin as f64 / seen.window.len() as f64;
            let tone = (0..rate).map(|n| ((turn * f64::from(n)).sin() * 3_276.8).round() as i16);
            let mono: Vec<i16> = std::iter::repeat_n(0, rate as usize).chain(tone).collect();
            let pcm: Vec<i16> = mono.iter().flat_map(|&sample| vec![sample; channels.into()]).collect();
            pcm.chunks(334).for_each(|piece| seen.hear(piece));
            let (columns, bins) = (seen.spectra.len(), seen.bins());
            let level = |column: usize, bin: usize| {
                super::super::decibels(seen.power[column * bins + bin] / f64::from(seen.spectra[column]))
            };
            assert!((level(columns * 3 / 4, bin) + 23.0).abs() < 0.3, "{rate}: {}", level(columns * 3 / 4, bin));
            assert!(level(columns * 3 / 4, bin * 2) < -80.0, "{rate}");
            assert_eq!(value(seen.power[columns / 4 * bins + bin]), 0);
            assert!(seen.picture().starts_with("data:image/png;base64,iVBOR"));
        }
        assert_eq!((value(0.0), value(1.0), value(f64::NAN)), (0, 255, 0));
    }

    #[test]
    fn long_sound_has_as_many_columns_as_a_page_shows() {
        assert_eq!(Spectrogram::new(8_000, 1, 3_600 * 8_000).spectra.len(), 925);
        let short = Spectrogram::new(8_000, 1, 1);
        assert_eq!(short.spectra.len(), 1);
        assert!(short.picture().len() > 100);
    }
}

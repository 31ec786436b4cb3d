//! Faults of sound, in numbers: how much of it is clipped, how much is silent, and its DC.
//!
//! Use it to find out why a call or a recording sounds bad; [`metering`](super::metering) also tells when it happened.
//!
//! A run of equal samples (in 16 bits; three samples at 8 kHz, six at 48 kHz) is clipped if it is at the highest
//! magnitude of about the last 100 ms, and that is above -12 dBov. A converter that overloads makes such flat tops,
//! even if its sound was made quieter afterwards, and an unclipped waveform hardly ever has them. Samples at the
//! overload point count from two in a row on. Flat tops more than 0.17 dB below it, where G.711 ends, are counted
//! separately, since the coarse steps of G.711 make some of them in any loud voice. A block of 10 ms is silent if it
//! is below -70 dBov without its DC; a block whose samples are all equal is digital silence.
//!
//! Shares are in parts per million of the samples, DC in 2^-15 of full scale. The arithmetic is integer. There is no
//! delay, as the signal is only read. It takes one multiplication and two comparisons for each sample, five where it
//! is loud enough for flat tops, and about 100 bytes.
//!
//! A voice that a microphone clips, and a pause without any noise:
//!
//! ```
//! use dsp_core::process::faults::{FaultConfig, FaultError, FaultMeter};
//!
//! let mut meter = FaultMeter::new(FaultConfig { sample_rate_hz: 8_000 })?;
//! let cut: [i16; 4_000] = core::array::from_fn(|n| {
//!     let sine = 40_000.0 * (n as f32 * core::f32::consts::TAU / 80.0).sin();
//!     sine as i16
//! });
//! meter.hear(&cut);
//! meter.hear(&[0i16; 4_000]);
//! let faults = meter.read();
//! assert_eq!(faults.samples, 8_000);
//! // 100 peaks of either sign, and half of the time nothing at all.
//! assert!(faults.clipped_runs >= 99 && faults.clipped_ppm > 100_000);
//! assert_eq!(faults.digital_silence_ppm, 500_000);
//! # Ok::<(), FaultError>(())
//! ```

use core::fmt;

use crate::sample::Sample;

/// Samples in a row that make a flat top: these and one more for each 16 kHz; and at the overload point.
const FLAT: u32 = 3;
const OVERLOADED: u32 = 2;
/// Tops of this magnitude are at the overload point of 16 bits or of G.711: mu-law ends at 32,124.
const OVERLOAD: u32 = 32_124;
/// Flat tops are above this magnitude of 16 bits: -12 dBov.
const LOUD: u32 = 8_231;
/// Power per sample below which a block is silent: -70 dBov in 2^-30 of full scale.
const SILENT: u64 = 107;

/// Settings of a [`FaultMeter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FaultConfig {
    /// Sample rate, 1,000 to 192,000 Hz.
    pub sample_rate_hz: u32,
}

impl Default for FaultConfig {
    /// 8 kHz.
    fn default() -> Self {
        Self { sample_rate_hz: 8_000 }
    }
}

/// The sample rate of a [`FaultConfig`] is not between 1,000 and 192,000 Hz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FaultError {
    /// Sample rate that was asked for, in Hz.
    pub sample_rate_hz: u32,
}

impl fmt::Display for FaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} Hz; faults are measured at 1000 to 192000 Hz", self.sample_rate_hz)
    }
}

impl core::error::Error for FaultError {}

/// What a [`FaultMeter`] has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Faults {
    /// Number of samples heard.
    pub samples: u64,
    /// Clipped samples per million, at the overload point of 16 bits or of G.711 and below it.
    pub clipped_ppm: u32,
    /// Clipped samples below the overload point, per million of all samples: they were clipped elsewhere and made
    /// quieter since.
    pub flattened_ppm: u32,
    /// Number of runs of clipped samples.
    pub clipped_runs: u32,
    /// Samples in silent blocks per million, digital silence included.
    pub silent_ppm: u32,
    /// Samples per million in blocks whose samples are all equal.
    pub digital_silence_ppm: u32,
    /// Mean of all samples, in 2^-15 of full scale.
    pub dc: i16,
}

/// Measures clipping, silence and DC of one channel of `i16` or `f32`. [The module's page](self) has the rules and an
/// example.
#[derive(Clone, Copy, Debug)]
pub struct FaultMeter {
    /// Samples in 10 ms, and those of a flat top.
    block: u32,
    flat: u32,
    samples: u64,
    sum: i64,
    clipped: u64,
    flattened: u64,
    clipped_runs: u32,
    silent: u64,
    alike: u64,
    /// Number of samples of the present block.
    heard: u32,
    block_sum: i64,
    block_squares: u64,
    least: i16,
    most: i16,
    /// The highest magnitude of the blocks so far, falling by a tenth a block.
    highest: u32,
    /// The run of samples that are alike: its first one, and how long it is.
    top: i32,
    run: u32,
}

impl FaultMeter {
    /// A meter that has not heard anything.
    ///
    /// # Errors
    /// Returns a [`FaultError`] for a sample rate outside 1,000 to 192,000 Hz.
    pub fn new(config: FaultConfig) -> Result<Self, FaultError> {
        let FaultConfig { sample_rate_hz } = config;
        if !(1_000..=192_000).contains(&sample_rate_hz) {
            return Err(FaultError { sample_rate_hz });
        }
        Ok(Self {
            block: sample_rate_hz / 100,
            flat: FLAT + sample_rate_hz / 16_000,
            samples: 0,
            sum: 0,
            clipped: 0,
            flattened: 0,
            clipped_runs: 0,
            silent: 0,
            alike: 0,
            heard: 0,
            block_sum: 0,
            block_squares: 0,
            least: i16::MAX,
            most: i16::MIN,
            highest: 0,
            top: 0,
            run: 0,
        })
    }

    /// Takes in the next samples, any number. NaN counts as silence, and values beyond full scale count as full scale.
    pub fn hear<S: Sample>(&mut self, pcm: &[S]) {
        let mut rest = pcm;
        while !rest.is_empty() {
            // Up to the end of the block.
            let (now, later) = rest.split_at(((self.block - self.heard) as usize).min(rest.len()));
            rest = later;
            let (mut sum, mut squares, mut least, mut most) = (0i32, 0u64, i16::MAX, i16::MIN);
            for sample in now {
                let sample = sample.to_i16();
                // A block has 1,920 samples at most.
                sum += i32::from(sample);
                squares += u64::from(i32::from(sample).unsigned_abs().pow(2));
                least = least.min(sample);
                most = most.max(sample);
            }
            let peak = i32::from(least).unsigned_abs().max(i32::from(most).unsigned_abs());
            if peak >= LOUD {
                now.iter().for_each(|sample| self.flatness(i32::from(sample.to_i16())));
            } else {
                // No top is so low: what counts of it is how high it was.
                (self.top, self.run) = (0, 0);
                self.highest = self.highest.max(peak);
            }
            self.block_sum += i64::from(sum);
            self.block_squares += squares;
            self.least = self.least.min(least);
            self.most = self.most.max(most);
            self.heard += now.len() as u32;
            if self.heard == self.block {
                self.turn();
            }
        }
        self.samples += pcm.len() as u64;
    }

    /// What was found so far. Measuring goes on. A block that is not complete counts neither as silent nor as digital
    /// silence.
    pub fn read(&self) -> Faults {
        let ppm = |part: u64| match self.samples {
            0 => 0,
            samples => (u128::from(part) * 1_000_000 / u128::from(samples)) as u32,
        };
        Faults {
            samples: self.samples,
            clipped_ppm: ppm(self.clipped),
            flattened_ppm: ppm(self.flattened),
            clipped_runs: self.clipped_runs,
            silent_ppm: ppm(self.silent),
            digital_silence_ppm: ppm(self.alike),
            dc: ((self.sum + self.block_sum) / self.samples.max(1) as i64) as i16,
        }
    }

    /// Samples so far: clipped at the overload point, flat below it, in silent blocks, in those of samples that are all alike.
    pub(super) fn counts(&self) -> [u64; 4] {
        [self.clipped - self.flattened, self.flattened, self.silent, self.alike]
    }

    /// Counts flat tops: a sample joins the run if it is alike.
    fn flatness(&mut self, sample: i32) {
        let magnitude = sample.unsigned_abs();
        if sample == self.top {
            self.run = self.run.saturating_add(1);
        } else {
            (self.top, self.run) = (sample, 1);
        }
        let overloaded = magnitude >= 32_767;
        let enough = if overloaded { OVERLOADED } else { self.flat };
        // Below the highest of the last 100 ms it's no top.
        if self.run >= enough && magnitude >= LOUD && magnitude + (magnitude >> 10) >= self.highest {
            let first = self.run == enough;
            let samples = if first { u64::from(enough) } else { 1 };
            self.clipped += samples;
            self.flattened += if magnitude < OVERLOAD { samples } else { 0 };
            self.clipped_runs = self.clipped_runs.saturating_add(u32::from(first));
        }
        self.highest = self.highest.max(magnitude);
    }

    /// Ends a block.
    fn turn(&mut self) {
        let samples = u64::from(self.block);
        self.sum += self.block_sum;
        // The mean square less the square of the mean, times the samples squared.
        let power = self.block_squares * samples - self.block_sum.unsigned_abs().pow(2);
        self.silent += if power < SILENT * samples * samples { samples } else { 0 };
        self.alike += if self.least == self.most { samples } else { 0 };
        (self.heard, self.block_sum, self.block_squares) = (0, 0, 0);
        (self.least, self.most) = (i16::MAX, i16::MIN);
        self.highest -= self.highest / 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    fn meter(rate: u32, pcm: &[f32]) -> Faults {
        let mut meter = FaultMeter::new(FaultConfig { sample_rate_hz: rate }).unwrap();
        pcm.chunks(77).for_each(|part| meter.hear(part));
        meter.read()
    }

    fn sine(amplitude: f64, frequency: f64, rate: u32) -> Vec<f32> {
        (0..rate)
            .map(|n| ((f64::from(n) * frequency / f64::from(rate) * core::f64::consts::TAU).sin() * amplitude) as f32)
            .collect()
    }

    #[test]
    fn clipped_samples_are_counted_also_if_made_quieter() {
        for rate in [8_000, 16_000, 48_000] {
            let loud = sine(2.0, 220.0, rate);
            for scale in [1.0, 0.5, 0.3] {
                let cut: Vec<f32> = loud.iter().map(|x| x.clamp(-1.0, 1.0) * scale).collect();
                // Two thirds of a sine of twice full scale are beyond it.
                let found = meter(rate, &cut);
                assert!((600_000..700_000).contains(&found.clipped_ppm), "{rate} {scale}: {found:?}");
                assert!((430..=442).contains(&found.clipped_runs), "{rate} {scale}: {found:?}");
            }
        }
    }

    #[test]
    fn what_is_not_cut_is_not_clipped() {
        for rate in [8_000, 16_000, 48_000] {
            for (frequency, amplitude) in [(50.0, 0.9), (50.0, 0.26), (220.0, 0.5), (440.0, 0.9), (1_234.5, 0.99)] {
                let found = meter(rate, &sine(amplitude, frequency, rate));
                assert_eq!(found.clipped_ppm, 0, "{rate} {frequency} {amplitude}");
            }
        }
        let mut seed = 1u32;
        let noise: Vec<f32> = (0..48_000)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 16) as u16 as i16 as f32 / 33_000.0
            })
            .collect();
        assert!(meter(48_000, &noise).clipped_ppm < 100);
        assert_eq!(meter(8_000, &[0.1; 8_000]).clipped_ppm, 0);
    }

    #[test]
    fn silence_and_dc_are_told() {
        let quiet = sine(0.000_2, 300.0, 8_000);
        let found = meter(
            8_000,
            &[sine(0.1, 300.0, 8_000), quiet.iter().map(|x| x + 0.05).collect(), vec![0.0; 16_000]].concat(),
        );
        assert_eq!((found.silent_ppm, found.samples), (750_000, 32_000), "{found:?}");
        assert!((500_000..510_000).contains(&found.digital_silence_ppm), "{found:?}");
        assert!((found.dc - 409).abs() <= 2, "{found:?}");
        assert_eq!(meter(8_000, &[]), Faults::default());
        assert_eq!(meter(8_000, &[f32::NAN; 800]).digital_silence_ppm, 1_000_000);
        let full = meter(8_000, &[-1.0; 800]);
        assert_eq!((full.dc, full.clipped_runs), (i16::MIN, 1));
        assert!(FaultMeter::new(FaultConfig { sample_rate_hz: 999 }).is_err());
    }
}

//! Howling detector: it recognises the steady tone of a loop from a loudspeaker to its microphone.
//!
//! Use it to warn a user, or to lower the loudspeaker. It finds no other faults; [`faults`](super::faults) does.
//!
//! A spectrum is taken every 32 ms. It is a tone if 3/4 of its power lies within four bins (125 Hz) of its peak, which
//! is at 310 Hz or above, 95 % lies there and at the multiples of that frequency up to the seventh (which an
//! overloaded loop produces), and the whole is above -45 dBov. A tone that stays within one bin for 640 ms is howling
//! if it has grown by at least 3 dB since 64 ms after its beginning, as a loop does, or if it is above -9 dBov, where
//! a loop ends. The tones of a telephone network begin at once and stay below that. Limits: a loop that has grown
//! within 64 ms and is limited below -9 dBov is taken for such a tone, and a note sung with rising voice can be taken
//! for howling. A loop that overloads at many frequencies at once is noise and not a tone; the fault meter then shows
//! that it clips.
//!
//! The criteria (peak to average, peak to harmonic, persistence) are from T. van Waterschoot and M. Moonen, "Fifty
//! years of acoustic feedback control", Proc. IEEE 99 (2), 2011; the figures are this implementation's own. Higher
//! sample rates are brought to about 8 kHz by averaging neighbours. Tones above 4 kHz are folded down and stay tones,
//! and their frequency is counted at the full rate. Howling is reported 640 ms after it began; the times are those of
//! multiples of 8 kHz, and at other rates frames are 21 to 35 ms long. It takes one transform of 256 points every 32
//! ms, in `f32`, one addition for each sample, and 570 bytes.
//!
//! A tone that grows for half a second and stays:
//! A tone that grows for half a second and stays:
//!
//! ```
//! use dsp_core::process::howling::{HowlingDetector, HowlingError};
//!
//! let mut detector = HowlingDetector::new(8_000)?;
//! let mut howls = false;
//! for block in 0..200 {
//!     let level = (20.0 * 1.08f32.powi(block)).min(12_000.0);
//!     let frame: [i16; 80] =
//!         core::array::from_fn(|n| (level * (n as f32 * core::f32::consts::TAU / 8.0).sin()) as i16);
//!     howls |= detector.hear(&frame);
//! }
//! assert!(howls && detector.is_howling());
//! assert!((990..=1_010).contains(&detector.frequency_hz()));
//! # Ok::<(), HowlingError>(())
//! ```

use core::fmt;

use super::level::Level;
use crate::sample::Sample;
use crate::spectrum::Spectrum;

/// Half the points of a spectrum.
const HALF: usize = 128;
/// Samples of a frame at the lower rate.
const FRAME: usize = 2 * HALF;
/// The lowest peak that counts, in bins of 31.25 Hz.
const LEAST_BIN: usize = 10;
/// Bins on each side of a peak that belong to it, and of a multiple.
const PEAK: usize = 4;
const MULTIPLE: usize = 3;
/// Share of the power at the peak, and at it and its multiples.
const SHARE: f32 = 0.75;
const WITH_MULTIPLES: f32 = 0.95;
/// Mean square of a frame that counts: -45 dBov.
const LEAST_POWER: f32 = 3.16e-5;
/// A tone that is above this mean square howls: -9 dBov.
const LOUD_POWER: f32 = 0.126;
/// Growth of the power that a howling tone must have: 3 dB.
const GROWN: f32 = 2.0;
/// Frames that make a tone, those at its begin that say nothing of its growth, and those within it that may be something else.
const STEADY: u32 = 20;
const BEGIN: u32 = 2;
const MISSES: u32 = 2;

/// The sample rate of a [`HowlingDetector`] is not between 8,000 and 192,000 Hz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct HowlingError {
    /// Sample rate that was asked for, in Hz.
    pub sample_rate_hz: u32,
}

impl fmt::Display for HowlingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} Hz; howling is found at 8000 to 192000 Hz", self.sample_rate_hz)
    }
}

impl core::error::Error for HowlingError {}

/// Detects howling in one channel of `i16` or `f32`. [The module's page](self) has the rules and an example.
#[derive(Clone, Copy, Debug)]
pub struct HowlingDetector {
    rate_hz: u32,
    /// Samples that make one of the lower rate, and those that are being summed.
    factor: u32,
    sum: i32,
    summed: u32,
    frame: [i16; FRAME],
    filled: usize,
    /// Whether the last sample was below zero, and how often that has changed within the frame.
    below: bool,
    crossings: u32,
    /// The tone that is heard: its bin, how many frames it has lasted, and how many of them in a row were something
    /// else.
    bin: usize,
    frames: u32,
    missed: u32,
    /// Crossings of zero in its frames, and its least and its last mean square.
    toned: u32,
    turns: u32,
    least: f32,
    last: f32,
    howls: bool,
}

impl HowlingDetector {
    /// How long a tone must last before it is reported, in ms, at multiples of 8 kHz.
    pub const TELLS_AFTER_MS: u32 = 640;

    /// A detector that has not heard anything, for this sample rate in Hz.
    ///
    /// # Errors
    /// Returns a [`HowlingError`] for a rate outside 8,000 to 192,000 Hz.
    pub fn new(sample_rate_hz: u32) -> Result<Self, HowlingError> {
        if !(8_000..=192_000).contains(&sample_rate_hz) {
            return Err(HowlingError { sample_rate_hz });
        }
        Ok(Self::with(sample_rate_hz))
    }

    fn with(rate_hz: u32) -> Self {
        Self {
            rate_hz,
            factor: (rate_hz + 4_000) / 8_000,
            sum: 0,
            summed: 0,
            frame: [0; FRAME],
            filled: 0,
            below: false,
            crossings: 0,
            bin: 0,
            frames: 0,
            missed: 0,
            toned: 0,
            turns: 0,
            least: 0.0,
            last: 0.0,
            howls: false,
        }
    }

    /// Takes in the next samples, any number, and tells whether there is howling as of the last complete frame. NaN
    /// counts as silence.
    pub fn hear<S: Sample>(&mut self, pcm: &[S]) -> bool {
        for sample in pcm {
            let sample = sample.to_i16();
            let below = sample < 0;
            self.crossings += u32::from(below != self.below);
            self.below = below;
            self.sum += i32::from(sample);
            self.summed += 1;
            if self.summed == self.factor {
                // A division a sample is what most of the cost would be.
                let mean = if self.factor == 1 { self.sum } else { self.sum / self.factor as i32 };
                self.frame[self.filled] = mean as i16;
                self.filled += 1;
                (self.sum, self.summed) = (0, 0);
                if self.filled == FRAME {
                    self.judge();
                }
            }
        }
        self.howls
    }

    /// Whether there is howling as of the last complete frame.
    pub fn is_howling(&self) -> bool {
        self.howls
    }

    /// Frequency of the howling tone in Hz, within 3 %; 0 if there is none.
    pub fn frequency_hz(&self) -> u32 {
        if !self.howls || self.toned == 0 {
            return 0;
        }
        let samples = u64::from(self.toned) * FRAME as u64 * u64::from(self.factor);
        (u64::from(self.turns) * u64::from(self.rate_hz) / (2 * samples)) as u32
    }

    /// Level of the howling tone in the last frame.
    pub fn level(&self) -> Level {
        // 2^46.
        if self.howls { Level::of_power((self.last * 70_368_744_177_664.0) as u64) } else { Level::SILENCE }
    }

    /// Forgets everything heard so far.
    pub fn reset(&mut self) {
        *self = Self::with(self.rate_hz);
    }

    /// Ends a frame.
    fn judge(&mut self) {
        let (crossings, tone) = (core::mem::take(&mut self.crossings), tone(&self.frame));
        self.filled = 0;
        match tone {
            Some((bin, power)) if self.frames > 0 && bin.abs_diff(self.bin) <= 1 => {
                self.missed = 0;
                self.frames = self.frames.saturating_add(1);
                self.least = if self.frames <= BEGIN || power < self.least { power } else { self.least };
                self.last = power;
                self.note(crossings);
            }
            Some((bin, power)) if self.missed >= MISSES || self.frames < STEADY => {
                (self.bin, self.frames, self.missed) = (bin, 1, 0);
                (self.least, self.last, self.toned, self.turns) = (power, power, 0, 0);
                self.note(crossings);
            }
            _ if self.missed < MISSES => self.missed += 1,
            _ => (self.frames, self.missed) = (0, 0),
        }
        let steady = self.frames >= STEADY;
        // What howls goes on to, however loud it stays.
        self.howls = steady && (self.howls || self.last >= LOUD_POWER || self.last >= self.least * GROWN);
    }

    fn note(&mut self, crossings: u32) {
        // A second is enough for a frequency; a tone may last for days.
        if self.toned < 32 {
            (self.toned, self.turns) = (self.toned + 1, self.turns + crossings);
        }
    }
}

/// The bin of a frame's tone and its mean square of full scale, if it is one.
// Out of line: its spectra lie on the stack for a frame in 256 samples.
#[inline(never)]
fn tone(frame: &[i16; FRAME]) -> Option<(usize, f32)> {
    let scaled = |at: usize| -> [f32; HALF] { core::array::from_fn(|n| f32::from(frame[at + n]) * (1.0 / 32_768.0)) };
    let (first, second) = (scaled(0), scaled(HALF));
    let Spectrum { re, im } = Spectrum::forward(&first, &second);
    // Hann's window, as what it is among bins; the lowest and the highest are left out.
    let windowed = |of: &[f32; HALF], bin: usize| of[bin] - 0.5 * (of[bin - 1] + of[bin + 1]);
    let mut power = [0.0f32; HALF];
    let (mut total, mut peak) = (0.0, LEAST_BIN);
    for bin in 2..HALF - 1 {
        let (re, im) = (windowed(&re, bin), windowed(&im, bin));
        power[bin] = re * re + im * im;
        total += power[bin];
        if bin >= LEAST_BIN && power[bin] > power[peak] {
            peak = bin;
        }
    }
    let around = |bin: usize, reach: usize| {
        let (low, high) = (bin.saturating_sub(reach), (bin + reach + 1).min(HALF));
        power.get(low..high).unwrap_or_default().iter().fold(0.0, |sum, power| sum + power)
    };
    // Of a sine of amplitude 1 the window leaves 1.5 (FRAME / 2)^2 in its bins. DC doesn't count.
    let mean_square = total * (1.0 / (0.75 * (FRAME * FRAME) as f32));
    if mean_square < LEAST_POWER {
        return None;
    }
    let own = around(peak, PEAK);
    let multiples = (2..=7).fold(0.0, |sum, times| {
        // What is above half the rate is folded down.
        let at = peak * times % FRAME;
        let bin = if at > HALF { FRAME - at } else { at };
        let apart = bin.abs_diff(peak) > PEAK + MULTIPLE;
        sum + if apart { around(bin, MULTIPLE) } else { 0.0 }
    });
    (own >= SHARE * total && own + multiples >= WITH_MULTIPLES * total).then_some((peak, mean_square))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn noise(seed: &mut u32) -> f64 {
        *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from((*seed >> 16) as i16) / 32_768.0
    }

    /// A loop from loudspeaker to microphone: what is heard is filtered, made louder, limited and heard again after 12 ms.
    fn feedback(rate: u32, gain: f64, limit: f64, seconds: usize) -> Vec<i16> {
        let delay = rate as usize * 12 / 1_000;
        let (mut line, mut seed, mut out) = (std::vec![0.0f64; delay], 1, Vec::new());
        // A resonance at 1.2 kHz: what a loop has most gain for.
        let (mut a, mut b) = (0.0, 0.0);
        let turn = core::f64::consts::TAU * 1_200.0 / f64::from(rate);
        let radius = 1.0 - 800.0 / f64::from(rate);
        for n in 0..seconds * rate as usize {
            let at = n % delay;
            let heard = line[at] + 0.003 * noise(&mut seed);
            let resonant =
                heard * (1.0 - radius) * 2.0 * turn.sin() + 2.0 * radius * turn.cos() * a - radius * radius * b;
            (b, a) = (a, resonant);
            line[at] = (gain * resonant).clamp(-limit, limit);
            out.push((line[at] * 32_767.0) as i16);
        }
        out
    }

    fn found(rate: u32, pcm: &[i16]) -> (bool, u32, usize) {
        let mut detector = HowlingDetector::new(rate).unwrap();
        let (mut howls, mut hz, mut since) = (false, 0, usize::MAX);
        for (n, part) in pcm.chunks(rate as usize / 100).enumerate() {
            if detector.hear(part) {
                (howls, hz, since) = (true, detector.frequency_hz(), since.min(n));
                assert!(detector.level() > Level::SILENCE);
            }
        }
        (howls, hz, since)
    }

    fn sine(rate: u32, hz: f64, amplitude: impl Fn(f64) -> f64, seconds: u32) -> Vec<i16> {
        let sample = |n: u32| {
            let t = f64::from(n) / f64::from(rate);
            ((core::f64::consts::TAU * hz * t).sin() * amplitude(t) * 32_767.0) as i16
        };
        (0..rate * seconds).map(sample).collect()
    }

    #[test]
    fn a_loop_howls_at_any_rate_and_one_that_is_stable_does_not() {
        for rate in [8_000, 11_025, 16_000, 44_100, 48_000] {
            for limit in [0.9, 0.2] {
                let pcm = feedback(rate, 1.2, limit, 6);
                let (howls, hz, since) = found(rate, &pcm);
                assert!(howls && (900..1_500).contains(&hz), "{rate} {limit}: {howls} {hz} Hz");
                assert!((42..500).contains(&since), "{rate} {limit}: {since}");
            }
            let (howls, hz, _) = found(rate, &feedback(rate, 0.7, 0.9, 6));
            assert!(!howls, "{rate}: {hz}");
        }
    }

    #[test]
    fn its_frequency_is_told_beyond_four_kilohertz_too() {
        for (rate, hz) in [(8_000, 440.0), (16_000, 3_100.0), (48_000, 6_300.0), (44_100, 2_000.0)] {
            let (howls, told, _) = found(rate, &sine(rate, hz, |t| (t * 0.3).min(0.8), 3));
            assert!(howls && (f64::from(told) - hz).abs() < hz * 0.03, "{rate} {hz}: {told}");
        }
    }

    #[test]
    fn tones_of_a_network_noise_and_voices_do_not_howl() {
        for rate in [8_000, 48_000] {
            // Dial tone, ringing, busy, and a test tone at -10 dBm0.
            for (hz, cadence) in [(425.0, 4.0), (425.0, 1.0), (425.0, 0.5), (1_004.0, 4.0)] {
                let pcm = sine(rate, hz, |t| if t % cadence < cadence / 2.0 { 0.22 } else { 0.0 }, 8);
                assert!(!found(rate, &pcm).0, "{rate} {hz} {cadence}");
            }
            let mut seed = 7;
            let pcm: Vec<i16> = (0..rate * 4).map(|_| (noise(&mut seed) * 20_000.0) as i16).collect();
            assert!(!found(rate, &pcm).0);
            // Vowels that glide, their level growing: pulses of 180 to 240 Hz that ring at 600.
            let (mut phase, mut since) = (0.0f64, 0.0f64);
            let pcm: Vec<i16> = (0..rate * 4)
                .map(|n| {
                    let t = f64::from(n) / f64::from(rate);
                    phase += (180.0 + 60.0 * (t * 2.0).sin().abs()) / f64::from(rate);
                    since = if phase >= 1.0 { 0.0 } else { since + 1.0 / f64::from(rate) };
                    phase %= 1.0;
                    let ring = (-300.0 * since).exp() * (core::f64::consts::TAU * 600.0 * since).cos();
                    (ring * (0.05 + 0.2 * t) * 32_767.0) as i16
                })
                .collect();
            assert!(!found(rate, &pcm).0);
        }
    }

    #[test]
    fn anything_may_come_and_a_reset_forgets() {
        assert_eq!(HowlingDetector::new(7_999).err(), Some(HowlingError { sample_rate_hz: 7_999 }));
        assert!(HowlingDetector::new(192_001).is_err());
        let mut detector = HowlingDetector::new(192_000).unwrap();
        assert!(!detector.hear(&[f32::NAN; 50_000]) && !detector.hear(&[f32::INFINITY; 200_000]));
        assert!(!detector.hear(&[i16::MIN; 200_000]));
        let mut detector = HowlingDetector::new(8_000).unwrap();
        let loud = sine(8_000, 1_000.0, |_| 0.9, 2);
        assert!(detector.hear(&loud) && detector.frequency_hz() > 900);
        detector.reset();
        assert!(!detector.is_howling() && detector.frequency_hz() == 0 && detector.level() == Level::SILENCE);
        assert!(!detector.hear(&loud[..4_000]));
    }
}

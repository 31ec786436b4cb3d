//! A measurement of how long sound takes from being written to a device, through the air or a cable, until it is read again.
//!
//! Sweeps that nothing in a room resembles are played, and searched for in the captured sound: where the correlation of both is
//! highest, the sound came back. Noise, speech and other programs' sound don't correlate with them. Every other sweep goes down,
//! so that one that comes late isn't taken for the next one.

use std::f64::consts::TAU;
use std::fmt;

use dsp_core::time::Duration;

use super::AudioIo;

/// Sweeps that are played.
const SWEEPS: usize = 4;
/// Length of one, in ms.
const SWEEP_MS: usize = 120;
/// The time from the beginning of one sweep to that of the next, in ms: the longest latency that is found, and a sweep.
const EVERY_MS: usize = 1_000;
/// The time before the first sweep, in ms: a card that has just been started needs time.
const BEFORE_MS: usize = 600;
/// Its lowest and highest frequency in Hz: what any loudspeaker plays.
const FROM_HZ: f64 = 400.0;
const TO_HZ: f64 = 3_200.0;
/// Amplitude: 12 dB below full scale.
const AMPLITUDE: f64 = 8_200.0;
/// The least correlation, of 1, at which a sweep counts as heard: noise reaches 0.05, a loud room with echoes 0.3 and more.
const LIKENESS: f64 = 0.15;
/// The largest difference between the latencies of two sweeps that count as the same latency, in ms.
const SAME_MS: f64 = 3.0;

/// Measures how long sound takes from a device's loudspeaker to its microphone: it plays sweeps and searches for them in the
/// captured sound.
///
/// A device that returns everything 30 ms later, as a cable from its output to its input would:
///
/// ```
/// use std::collections::VecDeque;
///
/// use host_std::device::{AudioIo, LoopTest, Looped};
///
/// struct Cable(VecDeque<i16>);
///
/// impl AudioIo for Cable {
///     fn sample_rate_hz(&self) -> u32 {
///         8_000
///     }
///     fn read(&mut self, pcm: &mut [i16]) -> usize {
///         pcm.iter_mut().for_each(|sample| *sample = self.0.pop_front().unwrap_or(0));
///         pcm.len()
///     }
///     fn write(&mut self, pcm: &[i16]) -> usize {
///         self.0.extend(pcm);
///         pcm.len()
///     }
/// }
///
/// let mut cable = Cable(vec![0; 240].into());
/// let mut test = LoopTest::new(8_000);
/// while test.tick(&mut cable) {} // with a sound card once every 10 ms
/// let Looped::Heard { latency, sweeps, .. } = test.result() else { panic!("{}", test.result()) };
/// assert_eq!((latency.as_millis(), sweeps), (30, 4));
/// ```
#[derive(Debug)]
pub struct LoopTest {
    sample_rate_hz: u32,
    /// The sweep upwards, and the sweep downwards.
    sweeps: [Vec<f32>; 2],
    captured: Vec<f32>,
    /// Samples that have been played.
    played: usize,
}

/// The result of a [`LoopTest`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Looped {
    /// The test sound came back.
    Heard {
        /// The time from writing the sound to reading it.
        latency: Duration,
        /// The number of sweeps that came back.
        sweeps: usize,
        /// The correlation of the sweeps with the signal that was played, from 0 to 1: a measure of the path's quality.
        likeness: f32,
    },
    /// There was sound, but not the test sound.
    NotHeard,
    /// Nothing but silence was captured: the microphone is off or muted.
    Silence,
}

impl LoopTest {
    /// Creates a test for a device with this rate, in Hz.
    pub fn new(sample_rate_hz: u32) -> Self {
        let rate = f64::from(sample_rate_hz);
        let (count, length) = (samples(sample_rate_hz, SWEEP_MS), SWEEP_MS as f64 / 1e3);
        let sweep = (0..count).map(|n| {
            let t = n as f64 / rate;
            let phase = TAU * (FROM_HZ * t + (TO_HZ - FROM_HZ) / (2.0 * length) * t * t);
            // The window avoids a click at either end.
            let window = 0.5 - 0.5 * (TAU * n as f64 / count as f64).cos();
            (window * phase.sin()) as f32
        });
        let up: Vec<f32> = sweep.collect();
        let down = up.iter().rev().copied().collect();
        let captured = Vec::with_capacity(samples(sample_rate_hz, BEFORE_MS + EVERY_MS * SWEEPS));
        Self { sample_rate_hz, sweeps: [up, down], captured, played: 0 }
    }

    /// Plays and captures a tick of 10 ms; whether there are more to come. Of a device with two channels the first is
    /// heard.
    pub fn tick(&mut self, device: &mut dyn AudioIo) -> bool {
        let channels = usize::from(device.channels().max(1));
        let tick = samples(self.sample_rate_hz, 10);
        let mut pcm = vec![0; tick * channels];
        for (n, frame) in pcm.chunks_exact_mut(channels).enumerate() {
            frame.fill(self.sample(self.played + n));
        }
        device.write(&pcm);
        self.played += tick;
        device.read(&mut pcm);
        self.captured.extend(pcm.chunks_exact(channels).map(|frame| f32::from(frame[0])));
        self.captured.len() < samples(self.sample_rate_hz, BEFORE_MS + EVERY_MS * SWEEPS)
    }

    /// Returns the signal that is played at this sample.
    fn sample(&self, n: usize) -> i16 {
        let Some(since) = n.checked_sub(samples(self.sample_rate_hz, BEFORE_MS)) else { return 0 };
        let every = samples(self.sample_rate_hz, EVERY_MS);
        let sample = self.sweep(since / every).get(since % every);
        sample.map_or(0, |sample| (f64::from(*sample) * AMPLITUDE) as i16)
    }

    fn sweep(&self, number: usize) -> &[f32] {
        &self.sweeps[number % 2]
    }

    /// Returns the result so far.
    pub fn result(&self) -> Looped {
        if self.captured.iter().all(|sample| *sample == 0.0) {
            return Looped::Silence;
        }
        let to_ms = 1e3 / f64::from(self.sample_rate_hz);
        let mut found: Vec<(f64, f64)> = (0..SWEEPS)
            .filter_map(|sweep| self.find(sweep))
            .filter(|(_, likeness)| *likeness >= LIKENESS)
            .map(|(lag, likeness)| (lag as f64 * to_ms, likeness))
            .collect();
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
        // A sweep that comes back is equally late each time; a correlation by chance can be anywhere.
        let Some(&(median, _)) = found.get(found.len() / 2) else { return Looped::NotHeard };
        found.retain(|(latency, _)| (latency - median).abs() <= SAME_MS);
        if found.len() <= SWEEPS / 2 {
            return Looped::NotHeard;
        }
        let count = found.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| found.iter().map(of).sum::<f64>() / count;
        Looped::Heard {
            latency: Duration::from_micros((mean(|found| found.0) * 1e3) as u64),
            sweeps: found.len(),
            likeness: mean(|found| found.1) as f32,
        }
    }

    /// Returns how many samples later this sweep came back, and its correlation with the original.
    fn find(&self, number: usize) -> Option<(usize, f64)> {
        let begin = samples(self.sample_rate_hz, BEFORE_MS + EVERY_MS * number);
        let heard = self.captured.get(begin..begin + samples(self.sample_rate_hz, EVERY_MS))?;
        let sweep = self.sweep(number);
        let own = sweep.iter().map(|sample| f64::from(sample * sample)).sum::<f64>();
        let likeness = heard.windows(sweep.len()).map(|window| {
            let (mut product, mut power) = (0.0_f32, 0.0_f32);
            for (sample, own) in window.iter().zip(sweep) {
                product += sample * own;
                power += sample * sample;
            }
            // Near silence correlates with nothing.
            f64::from(product).abs() / (own * f64::from(power.max(window.len() as f32))).sqrt()
        });
        likeness.enumerate().max_by(|a, b| a.1.total_cmp(&b.1))
    }
}

fn samples(sample_rate_hz: u32, ms: usize) -> usize {
    sample_rate_hz as usize * ms / 1_000
}

impl fmt::Display for Looped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Heard { latency, sweeps, likeness } => {
                let ms = latency.as_micros() as f64 / 1e3;
                let percent = 100.0 * likeness;
                write!(f, "sound comes back after {ms:.1} ms ({sweeps} of {SWEEPS} sweeps, {percent:.0} % alike)")
            }
            Self::NotHeard => f.write_str(
                "the microphone doesn't hear the loudspeaker: turn it up, or bring them together or join them \
                 by a cable",
            ),
            Self::Silence => f.write_str("the microphone gives silence alone: it is off or muted"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is played comes back later, softer, with an echo and noise.
    struct Room {
        way: std::collections::VecDeque<i16>,
        gain: f64,
        noise: i16,
        seed: u32,
    }

    impl Room {
        fn new(latency: usize, gain: f64, noise: i16) -> Self {
            Self { way: std::iter::repeat_n(0, latency).collect(), gain, noise, seed: 1 }
        }
    }

    impl AudioIo for Room {
        fn sample_rate_hz(&self) -> u32 {
            16_000
        }
        fn read(&mut self, pcm: &mut [i16]) -> usize {
            for sample in &mut *pcm {
                let direct = f64::from(self.way.pop_front().unwrap_or(0));
                let echo = f64::from(self.way.get(300).copied().unwrap_or(0));
                self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = (self.seed >> 16) as i16 % self.noise.max(1);
                *sample = (self.gain * (direct + 0.5 * echo)) as i16 + noise;
            }
            pcm.len()
        }
        fn write(&mut self, pcm: &[i16]) -> usize {
            self.way.extend(pcm);
            pcm.len()
        }
    }

    fn test(room: &mut Room) -> Looped {
        let mut test = LoopTest::new(16_000);
        while test.tick(room) {}
        test.result()
    }

    #[test]
    fn the_latency_of_a_loop_is_found_in_noise_and_echoes() {
        // The echo comes before the sound itself here, and softer: 300 samples are 18.75 ms.
        for (latency, noise) in [(800, 1), (1_600, 300), (9_000, 600)] {
            let Looped::Heard { latency: found, sweeps, .. } = test(&mut Room::new(latency, 0.1, noise)) else {
                panic!("{latency} samples, noise of {noise}: not heard");
            };
            assert_eq!(sweeps, SWEEPS);
            let off = found.as_micros() as f64 / 1e3 - latency as f64 / 16.0;
            assert!(off.abs() < 0.2, "{latency} samples: off by {off} ms");
        }
    }

    #[test]
    fn a_microphone_that_is_off_and_one_that_hears_something_else_are_told_apart() {
        assert_eq!(test(&mut Room::new(800, 0.0, 1)), Looped::Silence);
        assert_eq!(test(&mut Room::new(800, 0.0, 3_000)), Looped::NotHeard);
    }

    #[test]
    fn what_comes_later_than_is_looked_for_is_not_taken_for_an_earlier_one() {
        // From 1.06 s to 2.5 s: other sweeps are heard where each is looked for.
        for latency in [17_000, 24_000, 31_000, 33_000, 40_000] {
            assert_eq!(test(&mut Room::new(latency, 0.1, 100)), Looped::NotHeard, "{latency} samples");
        }
    }
}

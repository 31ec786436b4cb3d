//! Noise suppression by a neural net, RNNoise's, as the crate nnnoiseless has it: a step of the capture chain that costs more than
//! the core's suppressor, and takes more noise away, above all noise that changes.
//!
//! The net runs at 48 kHz; sound at 8, 16 and 32 kHz is brought there and back by the core's resampler. NaN counts as silence,
//! since the net's state would keep it.
//!
//! Delay: 10 ms, and at other rates than 48 kHz the resamplers': 18 ms in all at 8 kHz, 14 at 16, 12 at 32. Cost: a recurrent net
//! and three transforms of 960 points each 10 ms. Memory: on the heap, most of it the
//! weights. The crate's transforms allocate their plans and room with the first frame in each thread, and by its source nothing
//! after that; the resamplers allocate nothing.

use std::fmt;

use dsp_core::front::{CaptureBlock, FrontError, Near};
use nnnoiseless::DenoiseState;

use crate::resample::{ResampleError, Resampler};

/// The net's rate in Hz.
const NET_HZ: u32 = 48_000;
/// A frame of the net: 10 ms.
const FRAME: usize = DenoiseState::FRAME_SIZE;
/// The net's value of full scale.
const FULL_SCALE: f32 = 32_768.0;
/// Louder than this no sound is.
const LOUDEST: f32 = 4.0;

/// RNNoise for one channel, in frames of 10 ms. In a call it is
/// [`CaptureConfig::neural_noise`](super::CaptureConfig::neural_noise); by itself it goes into an
/// [`OwnBlock`](super::OwnBlock), or wherever a block goes.
pub struct NeuralNoise {
    net: Box<DenoiseState<'static>>,
    /// The resamplers to the net's rate and back, where the sound has another rate.
    ways: Option<[Resampler; 2]>,
    delay: usize,
    given: [f32; FRAME],
    made: [f32; FRAME],
}

impl fmt::Debug for NeuralNoise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NeuralNoise({} samples of delay)", self.delay)
    }
}

impl NeuralNoise {
    /// Creates a suppressor that has heard nothing.
    ///
    /// # Errors
    /// [`FrontError::BlockRate`] for a rate that is neither 8, 16, 32 nor 48 kHz.
    pub fn new(sample_rate_hz: u32) -> Result<Self, FrontError> {
        let ways = match sample_rate_hz {
            NET_HZ => None,
            8_000 | 16_000 | 32_000 => {
                Some(ways(sample_rate_hz).map_err(|_| FrontError::BlockRate { hz: sample_rate_hz })?)
            }
            hz => return Err(FrontError::BlockRate { hz }),
        };
        // Both filters are as long as a filter at the lower rate: half of each is the delay.
        let resampled = ways.iter().flatten().map(Resampler::delay_ms).sum::<f64>() * f64::from(sample_rate_hz) / 1e3;
        let delay = sample_rate_hz as usize / 100 + resampled.round() as usize;
        Ok(Self { net: DenoiseState::new(), ways, delay, given: [0.0; FRAME], made: [0.0; FRAME] })
    }

    /// Runs the net on `given`; its output is in `made`.
    fn run(&mut self) {
        for sample in &mut self.given {
            let sound = if sample.is_finite() { sample.clamp(-LOUDEST, LOUDEST) } else { 0.0 };
            *sample = sound * FULL_SCALE;
        }
        self.net.process_frame(&mut self.made, &self.given);
        self.made.iter_mut().for_each(|sample| *sample /= FULL_SCALE);
    }
}

fn ways(rate_hz: u32) -> Result<[Resampler; 2], ResampleError> {
    Ok([Resampler::new(rate_hz, NET_HZ)?, Resampler::new(NET_HZ, rate_hz)?])
}

impl CaptureBlock<f32> for NeuralNoise {
    fn process(&mut self, frame: &mut [f32], _: &Near<'_>) {
        match &mut self.ways {
            None => {
                let Some(given) = self.given.get_mut(..frame.len()) else { return };
                given.copy_from_slice(frame);
                self.run();
                frame.copy_from_slice(&self.made[..frame.len()]);
            }
            Some([up, _]) => {
                for sample in &mut *frame {
                    *sample = if sample.is_finite() { *sample } else { 0.0 };
                }
                up.push_f32(frame);
                // Whole frames go in, so whole frames come out.
                let pulled = up.pull_f32(&mut self.given);
                debug_assert_eq!(pulled, FRAME);
                self.run();
                let Some([_, down]) = &mut self.ways else { return };
                down.push_f32(&self.made);
                let pulled = down.pull_f32(frame);
                debug_assert_eq!(pulled, frame.len());
            }
        }
    }

    fn reset(&mut self) {
        *self.net = *DenoiseState::new();
        self.ways.iter_mut().flatten().for_each(Resampler::reset);
    }

    fn delay_samples(&self) -> usize {
        self.delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wav::WavSource;
    use dsp_core::front::{FrontConfig, FrontEnd, NoBlock};
    use dsp_core::time::{Duration, Instant};

    /// The first two seconds of a woman, over and over with pauses of one, and noise some dB below her.
    fn scene(rate_hz: u32) -> [Vec<f32>; 2] {
        let woman = include_bytes!("../../assets/woman.wav");
        let voice = WavSource::from_bytes("woman", woman, rate_hz).unwrap().read_all(Duration::from_secs(60)).unwrap();
        let mut seed = 1u32;
        let voice = (0..6 * rate_hz as usize).map(|n| {
            if n / rate_hz as usize % 3 < 2 { f32::from(voice[n % (2 * rate_hz as usize)]) / 32_768.0 } else { 0.0 }
        });
        voice
            .map(|voice| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (voice, voice + (seed as i32) as f32 / 2f32.powi(31) * 0.01)
            })
            .collect::<Vec<_>>()
            .iter()
            .fold([vec![], vec![]], |[mut clean, mut noisy], &(a, b)| {
                clean.push(a);
                noisy.push(b);
                [clean, noisy]
            })
    }

    fn suppressed(rate_hz: u32, sound: &[f32]) -> Vec<f32> {
        let mut block = NeuralNoise::new(rate_hz).unwrap();
        let mut out = sound.to_vec();
        let front = FrontEnd::<NoBlock, 480>::new(FrontConfig::default(), [None, None], []).unwrap();
        for frame in out.chunks_exact_mut(rate_hz as usize / 100) {
            block.process(frame, &Near::new(Instant::ZERO, front.render()));
        }
        out
    }

    fn db(sound: &[f32]) -> f32 {
        10.0 * (sound.iter().map(|x| x * x).sum::<f32>() / sound.len() as f32 + 1e-12).log10()
    }

    #[test]
    fn noise_goes_the_voice_stays_and_comes_when_it_says() {
        for rate_hz in [8_000, 16_000, 32_000, 48_000] {
            let [clean, noisy] = scene(rate_hz);
            let out = suppressed(rate_hz, &noisy);
            let second = rate_hz as usize;
            let pause = 5 * second + second / 2..6 * second;
            let taken = db(&noisy[pause.clone()]) - db(&out[pause]);
            assert!(taken > 15.0, "{rate_hz}: {taken} dB in a pause");
            let spoken = 3 * second..5 * second;
            let change = db(&out[spoken.clone()]) - db(&clean[spoken.clone()]);
            assert!(change.abs() < 3.0, "{rate_hz}: {change} dB in speech");
            // The delay at which it is most like the voice.
            let delay = NeuralNoise::new(rate_hz).unwrap().delay_samples();
            let alike = |late: usize| spoken.clone().map(|n| clean[n - late] * out[n]).sum::<f32>();
            let best = (0..2 * delay).max_by(|&a, &b| alike(a).total_cmp(&alike(b))).unwrap();
            assert!(best.abs_diff(delay) <= 1 + second / 8_000, "{rate_hz}: {best} for {delay}");
            assert!(delay <= second / 50, "more than a chain's step may have");
        }
        assert_eq!(NeuralNoise::new(44_100).err(), Some(FrontError::BlockRate { hz: 44_100 }));
    }

    #[test]
    fn nothing_stays_of_what_is_no_number() {
        for rate_hz in [8_000, 48_000] {
            let mut sound = scene(rate_hz)[1].clone();
            sound[..rate_hz as usize / 10].fill(f32::NAN);
            sound[rate_hz as usize / 10..rate_hz as usize / 5].fill(f32::INFINITY);
            sound[rate_hz as usize / 5..rate_hz as usize / 4].fill(f32::MAX);
            let out = suppressed(rate_hz, &sound);
            assert!(out.iter().all(|x| x.is_finite()), "{rate_hz}");
            assert!(db(&out[3 * rate_hz as usize..5 * rate_hz as usize]) > -50.0);
        }
    }
}

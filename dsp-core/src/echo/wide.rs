//! Echo cancellation at 32 and 48 kHz: the band below 7 kHz goes through an [`EchoCanceller`] at 16 kHz, and the echo
//! above it is suppressed by a model of its own.
//!
//! The bands are complementary: the upper band is what the low-pass leaves of the delayed microphone, so that both
//! together are the microphone again where nothing is cancelled. Of the echo in the upper band only the power is
//! predicted: the far end's power there, delayed and spread as in the filter's highest bins, times the least ratio of
//! microphone to prediction in the last 300 loud frames. The gain never takes the band below its noise floor, so that
//! no comfort noise is needed.
//!
//! The delay is that of the canceller plus 32 samples at 16 kHz (2 ms) for the split.

use super::far::{Position, Precision, read, step};
use super::{EchoCanceller, EchoConfig, EchoError, EchoMemory, EchoStats};
use crate::arithmetic::{db, dot, energy, only_sound, power};
use crate::bands::{LOW, MOST, TwoBands};
use crate::front::{CaptureBlock, Near};
use crate::process::biquad::{Biquad, BiquadDesign};

/// Loud frames in a stretch, for which one least ratio is kept; the number of stretches; and the margin that is added
/// to the ratio.
const LOUD_FRAMES: u32 = 20;
const STRETCHES: usize = 15;
const MARGIN_DB: f32 = 6.0;
/// Energy of a block, below which the predicted echo counts as none.
const QUIET: f32 = 1e-9;
/// Blocks for which the far end's energy is kept: those of the longest tail.
const MOST_BLOCKS: usize = 26;
/// Blocks in each stretch, of which the minimum counts for the noise floor.
const FLOOR_BLOCKS: u32 = 20;

/// The powers of microphone, echo and noise in the upper band, and the gain that follows from them.
#[derive(Clone, Copy, Debug)]
struct Upper {
    /// Energies of the far end's last blocks, the newest first.
    far: [f32; MOST_BLOCKS],
    /// The echo's energy in the last block, as the model predicts it.
    echo: f32,
    smooth: [f32; 2],
    quick: f32,
    peak: f32,
    ratios_db: [f32; STRETCHES],
    ratio_db: f32,
    loud: u32,
    floors: [f32; 8],
    blocks: u32,
    gain: f32,
}

impl Upper {
    const NEW: Self = Self {
        far: [0.0; MOST_BLOCKS],
        echo: 0.0,
        smooth: [0.0; 2],
        quick: 0.0,
        peak: 0.0,
        ratios_db: [20.0; STRETCHES],
        ratio_db: 99.0,
        loud: 0,
        floors: [1e3; 8],
        blocks: 0,
        gain: 1.0,
    };

    /// The gain of a block, from the energies of its far end and its microphone, how the echo is spread over blocks
    /// (`response`), and the probability that the near end speaks (`near_end`).
    fn gain(&mut self, far: f32, near: f32, response: &[f32], near_end: f32) -> f32 {
        self.far.rotate_right(1);
        self.far[0] = far;
        let now = dot(&self.far[..response.len()], response) / response.len() as f32;
        self.echo = now.max(0.5 * self.echo);
        for (smooth, now) in self.smooth.iter_mut().zip([near, self.echo]) {
            *smooth = 0.85 * *smooth + 0.15 * now;
        }
        // The band is wide, so a block is nearly a mean; and the echo itself is in it, whose pauses are short.
        self.quick += 0.5 * (near - self.quick);
        if self.blocks.is_multiple_of(FLOOR_BLOCKS) {
            self.floors.rotate_right(1);
            self.floors[0] = self.quick;
        }
        self.floors[0] = self.floors[0].min(self.quick);
        self.blocks = self.blocks.wrapping_add(1);
        let floor = 1.5 * self.floors.iter().fold(f32::MAX, |least, &floor| least.min(floor));
        self.peak += if self.echo > self.peak { 0.1 } else { 0.002 } * (self.echo - self.peak);
        if self.echo > 0.3 * self.peak && self.echo > QUIET {
            let left = (self.smooth[0] - floor).max(0.02 * self.smooth[0]);
            self.ratio_db = self.ratio_db.min(db(left) - db(self.smooth[1]));
            self.loud += 1;
            if self.loud >= LOUD_FRAMES {
                self.loud = 0;
                self.ratios_db.rotate_right(1);
                self.ratios_db[0] = core::mem::replace(&mut self.ratio_db, 99.0);
            }
        }
        let ratio_db = self.ratios_db.iter().fold(self.ratio_db, |least, &ratio| least.min(ratio)).clamp(-40.0, 40.0);
        let over = power(3.010_3 * near_end + 20.0 * (1.0 - near_end));
        let echo = over * power(ratio_db + MARGIN_DB) * self.echo;
        let least = (floor / (near + 1e-12)).clamp(1e-4, 1.0);
        let gain = if self.echo > QUIET { (1.0 - echo / (near + 1e-12)).max(least) } else { 1.0 };
        self.gain = libm::sqrtf(gain);
        self.gain
    }
}

/// An echo canceller for 16 kHz times `RATIO`, which is 2 or 3: 32 or 48 kHz. `M` and `P` are those of the
/// [`EchoCanceller`].
///
/// The band below 7 kHz goes through an [`EchoCanceller`] at 16 kHz; the echo above it is suppressed by a model of its
/// power. Splitting the bands adds 2 ms of delay. With every part and a tail of 130 ms, 10 ms at 48 kHz take 42 µs on
/// a host (`BENCHMARKS.md`).
pub struct WideEchoCanceller<M: EchoMemory<LOW, P>, const P: usize, const RATIO: usize> {
    low: EchoCanceller<M, LOW, P>,
    bands: TwoBands<RATIO>,
    /// The upper band, held back while the canceller delays the lower one.
    waiting: [f32; MOST],
    far_high: Biquad<f32>,
    near_high: Biquad<f32>,
    upper: Upper,
}

impl<M: EchoMemory<LOW, P>, const P: usize, const RATIO: usize> WideEchoCanceller<M, P, RATIO> {
    const BLOCK: usize = TwoBands::<RATIO>::BLOCK;

    /// A canceller that has not learned anything.
    ///
    /// # Errors
    /// Returns [`EchoError::Tail`] if `P` is not 3 to 26, and [`EchoError::Memory`] if `config` has a part for which
    /// `M` has no room.
    pub fn new(config: EchoConfig) -> Result<Self, EchoError> {
        let high = match BiquadDesign::high_pass(16_000 * RATIO as u32, 8_000) {
            Ok(design) => Biquad::new(design),
            Err(_) => unreachable!("8 kHz are below half of 32 and of 48"),
        };
        Ok(Self {
            low: EchoCanceller::new(config)?,
            bands: TwoBands::new(),
            waiting: [0.0; MOST],
            far_high: high,
            near_high: high,
            upper: Upper::NEW,
        })
    }

    /// The parts that run.
    pub fn config(&self) -> EchoConfig {
        self.low.config()
    }

    /// What the canceller knows of the echo. The echo return loss is that of the band below 7 kHz.
    pub fn stats(&self) -> EchoStats {
        self.low.stats()
    }

    fn cancel(&mut self, frame: &mut [f32], near: &Near<'_>) {
        only_sound(frame);
        let (mut low, mut high) = self.bands.split(frame);
        self.low.cancel::<RATIO>(&mut low, near);
        let last = self.upper.gain;
        let mut gain = 1.0;
        if self.config().suppressor {
            gain = self.upper_gain(&high, near);
            core::mem::swap(&mut high, &mut self.waiting);
        }
        self.bands.join(&low, &high, last, gain, frame);
    }

    /// The gain of the upper band.
    fn upper_gain(&mut self, high: &[f32; MOST], near: &Near<'_>) -> f32 {
        let mut heard = 0.0;
        for sample in &high[..Self::BLOCK] {
            let sample = self.near_high.step(*sample);
            heard += sample * sample;
        }
        let at = self.low.position.map_or(Position::default(), |(position, _)| position);
        let mut far = [0.0; MOST];
        for (part, far) in far[..Self::BLOCK].as_chunks_mut::<LOW>().0.iter_mut().enumerate() {
            // The position is behind the block that was read.
            let back = (Self::BLOCK - part * LOW) as i64;
            let at = Position { sample: at.sample - back, fraction: 0 };
            read::<LOW, 1>(&near.render, near.channel, at, step::<1>(0.0), Precision::Phase, far);
        }
        far[..Self::BLOCK].iter_mut().for_each(|sample| *sample = self.far_high.step(*sample));
        self.upper.gain(energy(&far), heard, &self.low.upper_response(), self.low.stats().near_end)
    }
}

impl<M: EchoMemory<LOW, P>, const P: usize, const RATIO: usize> core::fmt::Debug for WideEchoCanceller<M, P, RATIO> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("WideEchoCanceller").field("low", &self.low).finish_non_exhaustive()
    }
}

impl<M: EchoMemory<LOW, P>, const P: usize, const RATIO: usize> CaptureBlock<f32> for WideEchoCanceller<M, P, RATIO> {
    /// A frame that is not 10 ms long passes unchanged.
    fn process(&mut self, frame: &mut [f32], near: &Near<'_>) {
        if frame.len() == Self::BLOCK {
            self.cancel(frame, near);
        }
    }

    fn reset(&mut self) {
        self.low.reset();
        self.bands.reset();
        self.waiting = [0.0; MOST];
        self.upper = Upper::NEW;
        crate::block::Block::<f32>::reset(&mut self.far_high);
        crate::block::Block::<f32>::reset(&mut self.near_high);
    }

    fn delay_samples(&self) -> usize {
        self.low.delay_samples() * RATIO + TwoBands::<RATIO>::DELAY
    }
}

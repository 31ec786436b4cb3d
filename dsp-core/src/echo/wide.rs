//! Echo cancellation at 32 and 48 kHz: the band below 7 kHz goes through an [`EchoCanceller`] at 16 kHz, what lies above is
//! suppressed by its own model.
//!
//! The bands are complementary: what the low-pass leaves of the delayed microphone is the upper band, so both together are the
//! microphone again where nothing is cancelled. The upper band's echo is never predicted, only its power: the far end's power
//! there, as far as the filter's highest bins delay and spread it, times the least ratio seen in the last 300 loud frames. Its gain never falls below the noise floor, so no
//! comfort noise is needed.
//!
//! Delay: the canceller's, and 32 samples at 16 kHz, thus 2 ms, for the split.

use super::arithmetic::{db, dot, energy, power};
use super::far::{Position, read, step};
use super::{EchoCanceller, EchoConfig, EchoError, EchoMemory, EchoStats};
use crate::front::{CaptureBlock, Near};
use crate::process::biquad::{Biquad, BiquadDesign};
use crate::process::resample::Prototype;

/// Samples of 10 ms at 16 kHz, and the most at the whole rate.
const LOW: usize = 160;
const MOST: usize = 480;
/// Taps of the low-pass by samples at 16 kHz, and the most.
const TAPS: usize = 32;
const MOST_TAPS: usize = 3 * TAPS + 1;
/// The low-pass' -6 dB point by half of 16 kHz.
const CUTOFF: f64 = 0.86;
/// Frames of the far end that count for the least ratio, stretches of them, and what is added to it.
const LOUD_FRAMES: u32 = 20;
const STRETCHES: usize = 15;
const MARGIN_DB: f32 = 6.0;
/// The echo's energy a block below which there is none.
const QUIET: f32 = 1e-9;
/// Blocks that the far end's power is kept for: the longest tail.
const MOST_BLOCKS: usize = 26;
/// Blocks in each of the stretches of the noise floor.
const FLOOR_BLOCKS: u32 = 20;

/// A stretch of samples that begins with the end of the last one.
#[derive(Clone, Debug)]
struct Line<const N: usize, const BEFORE: usize> {
    before: [f32; BEFORE],
    now: [f32; N],
}

/// The upper band's power: of microphone, echo and noise.
#[derive(Clone, Copy, Debug)]
struct Upper {
    /// Energies of the far end's last blocks, the newest first.
    far: [f32; MOST_BLOCKS],
    /// What the model says of the echo.
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

    /// The gain of a block, from its energies, how the echo is spread over blocks, and how surely the near end speaks.
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

/// An echo canceller for 16 kHz times `RATIO`, thus 32 or 48 kHz. `M` and `P` as of the [`EchoCanceller`].
pub struct WideEchoCanceller<M: EchoMemory<LOW, P>, const P: usize, const RATIO: usize> {
    low: EchoCanceller<M, LOW, P>,
    low_pass: [f32; MOST_TAPS],
    /// The microphone, on its way to 16 kHz and, later, to the upper band.
    near: Line<MOST, MOST_TAPS>,
    /// The low band before and behind the canceller, on its way back.
    before: Line<LOW, TAPS>,
    behind: Line<LOW, TAPS>,
    /// The upper band waits for the canceller.
    waiting: [f32; MOST],
    far_high: Biquad<f32>,
    near_high: Biquad<f32>,
    upper: Upper,
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

    /// The sample at a place that may lie before this block.
    fn at(&self, place: isize) -> f32 {
        match usize::try_from(place) {
            Ok(place) => self.now[place],
            Err(_) => self.before[(BEFORE as isize + place) as usize],
        }
    }
}

impl<M: EchoMemory<LOW, P>, const P: usize, const RATIO: usize> WideEchoCanceller<M, P, RATIO> {
    const BLOCK: usize = {
        assert!(RATIO == 2 || RATIO == 3, "32 or 48 kHz");
        LOW * RATIO
    };
    /// One more than a multiple of the ratio, so that both ways together are a whole number of samples.
    const LENGTH: usize = TAPS * RATIO + 1;

    /// A canceller that knows nothing.
    ///
    /// # Errors
    /// [`EchoError`] for sizes that it doesn't have, or parts that `M` has no memory for.
    pub fn new(config: EchoConfig) -> Result<Self, EchoError> {
        let mut low_pass = [0.0; MOST_TAPS];
        let filter = Prototype::new(Self::LENGTH as f64 / 2.0, CUTOFF / RATIO as f64, 70.0);
        for (n, tap) in low_pass[..Self::LENGTH].iter_mut().enumerate() {
            *tap = filter.at(n as f64 - (Self::LENGTH - 1) as f64 / 2.0) as f32;
        }
        let high = match BiquadDesign::high_pass(16_000 * RATIO as u32, 8_000) {
            Ok(design) => Biquad::new(design),
            Err(_) => unreachable!("8 kHz are below half of 32 and of 48"),
        };
        Ok(Self {
            low: EchoCanceller::new(config)?,
            low_pass,
            near: Line::NEW,
            before: Line::NEW,
            behind: Line::NEW,
            waiting: [0.0; MOST],
            far_high: high,
            near_high: high,
            upper: Upper::NEW,
        })
    }

    /// Which parts run.
    pub fn config(&self) -> EchoConfig {
        self.low.config()
    }

    /// What it knows; ERLE is that of the band below 7 kHz.
    pub fn stats(&self) -> EchoStats {
        self.low.stats()
    }

    /// Samples at the whole rate that the split takes there and back.
    const SPLIT: usize = TAPS * RATIO;

    /// The low band at the whole rate.
    fn up(low_pass: &[f32; MOST_TAPS], low: &Line<LOW, TAPS>) -> [f32; MOST] {
        let mut out = [0.0; MOST];
        for (n, out) in out[..Self::BLOCK].iter_mut().enumerate() {
            // Every `RATIO`th tap meets a sample.
            let (newest, phase) = (n / RATIO, n % RATIO);
            let mut sum = 0.0;
            for (back, tap) in low_pass[..Self::LENGTH].iter().skip(phase).step_by(RATIO).enumerate() {
                sum += tap * low.at(newest as isize - back as isize);
            }
            *out = sum * RATIO as f32;
        }
        out
    }

    fn cancel(&mut self, frame: &mut [f32], near: &Near<'_>) {
        for sample in frame.iter_mut() {
            *sample = if sample.is_finite() { sample.clamp(-4.0, 4.0) } else { 0.0 };
        }
        // What the upper band needs of the microphone, before the line moves on.
        let mut delayed = [0.0; MOST];
        let split = Self::SPLIT;
        delayed[..split].copy_from_slice(&self.near.now[Self::BLOCK - split..Self::BLOCK]);
        delayed[split..Self::BLOCK].copy_from_slice(&frame[..Self::BLOCK - split]);
        self.near.push(frame, Self::BLOCK);
        let mut low = [0.0; LOW];
        let taps = &self.low_pass[..Self::LENGTH];
        for (n, low) in low.iter_mut().enumerate() {
            *low = self.near.filtered(taps, n * RATIO + 1);
        }
        self.before.push(&low, LOW);
        self.low.cancel::<RATIO>(&mut low, near);
        self.behind.push(&low, LOW);
        let (whole, kept) = (Self::up(&self.low_pass, &self.before), Self::up(&self.low_pass, &self.behind));
        let mut high: [f32; MOST] = core::array::from_fn(|n| delayed[n] - whole[n]);
        let last = self.upper.gain;
        let mut gain = 1.0;
        if self.config().suppressor {
            gain = self.upper_gain(&high, near);
            core::mem::swap(&mut high, &mut self.waiting);
        }
        let slope = (gain - last) / Self::BLOCK as f32;
        for (n, sample) in frame.iter_mut().enumerate() {
            *sample = kept[n] + (last + slope * (n + 1) as f32) * high[n];
        }
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
            read::<LOW, 1>(&near.render, near.channel, at, step::<1>(0.0), far);
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
    /// A frame that isn't 10 ms long leaves unchanged.
    fn process(&mut self, frame: &mut [f32], near: &Near<'_>) {
        if frame.len() == Self::BLOCK {
            self.cancel(frame, near);
        }
    }

    fn reset(&mut self) {
        self.low.reset();
        (self.near, self.before, self.behind) = (Line::NEW, Line::NEW, Line::NEW);
        self.waiting = [0.0; MOST];
        self.upper = Upper::NEW;
        crate::block::Block::<f32>::reset(&mut self.far_high);
        crate::block::Block::<f32>::reset(&mut self.near_high);
    }

    fn delay_samples(&self) -> usize {
        self.low.delay_samples() * RATIO + Self::SPLIT
    }
}

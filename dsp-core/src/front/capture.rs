//! The capture chain: the steps that a microphone's sound goes through before it is sent, in one fixed order.
//!
//! ```text
//! high-pass -> echo -> noise -> own -> detector -> gain
//! ```

use super::{CaptureBlock, FrontError, Near};
use crate::block::Block;
use crate::process::activity::Activity;
use crate::process::biquad::Biquad;
use crate::sample::Sample;

/// Frames that a step may delay by.
const LINE: usize = 2;

/// Which blocks the steps of a [`CaptureChain`] are. A step that is never used is [`NoBlock`](super::NoBlock).
pub trait CaptureParts {
    /// Removes what the loudspeaker plays.
    type Echo: CaptureBlock<f32>;
    /// Removes noise.
    type Noise: CaptureBlock<f32>;
    /// An effect of the program's own.
    type Own: CaptureBlock<f32>;
    /// Detects whether somebody speaks, and changes nothing.
    type Detector: CaptureBlock<f32>;
    /// Brings speech to its target level.
    type Gain: CaptureBlock<f32>;
}

/// A [`Block`] as a step of the chain. It uses neither the far end nor the time.
#[derive(Clone, Copy, Debug)]
pub struct BlockStep<B>(pub B);

impl<S: Sample, B: Block<S>> CaptureBlock<S> for BlockStep<B> {
    fn process(&mut self, frame: &mut [S], _: &Near<'_>) {
        self.0.process(frame);
    }

    fn reset(&mut self) {
        self.0.reset();
    }

    fn delay_samples(&self) -> usize {
        self.0.delay_samples()
    }
}

/// A step that can be switched on and off. `FRAME` is the number of samples of 10 ms of one channel.
#[derive(Clone, Copy, Debug)]
pub struct Stage<B, const FRAME: usize> {
    block: B,
    delay: usize,
    /// What came in last, for while it's off.
    line: [[f32; FRAME]; LINE],
    next: usize,
    on: bool,
    /// Whether the block was heard in the last frame.
    heard: bool,
    /// Samples that the block is still to hear before it is heard: `usize::MAX` at first.
    warming: usize,
    /// Samples that passed the block by while it was off, and what was lost meanwhile.
    missed: u32,
}

impl<B: CaptureBlock<f32>, const FRAME: usize> Stage<B, FRAME> {
    /// A step that is switched on.
    ///
    /// # Errors
    /// Returns [`FrontError::Frame`] if the block delays by more than two frames of `FRAME` samples.
    pub fn new(block: B) -> Result<Self, FrontError> {
        let delay = block.delay_samples();
        if delay > LINE * FRAME {
            return Err(FrontError::Frame { need: delay.div_ceil(LINE), got: FRAME });
        }
        Ok(Self { block, delay, line: [[0.0; FRAME]; LINE], next: 0, on: true, heard: true, warming: 0, missed: 0 })
    }

    /// Whether the step is on.
    pub fn is_on(&self) -> bool {
        self.on
    }

    /// Switches the step on or off, from the next frame on. What the block has learned is kept.
    pub fn set_on(&mut self, on: bool) {
        if !self.heard {
            // Old sound is in the block until its delay has passed. What is switched off before that was never heard.
            self.warming = match (on, self.on) {
                (true, false) => usize::MAX,
                (true, true) => self.warming,
                (false, _) => 0,
            };
        }
        self.on = on;
    }

    /// The block, for reading.
    pub fn block(&self) -> &B {
        &self.block
    }

    /// The block, for changing its settings.
    pub fn block_mut(&mut self) -> &mut B {
        &mut self.block
    }

    /// Notes `frame` for later.
    fn note(&mut self, frame: &[f32]) {
        if self.delay == 0 {
            return;
        }
        let line = self.line.as_flattened_mut();
        // No frame is longer than half of the line.
        let (first, rest) = frame.split_at(frame.len().min(line.len() - self.next));
        line[self.next..self.next + first.len()].copy_from_slice(first);
        line[..rest.len()].copy_from_slice(rest);
        self.next = (self.next + frame.len()) % line.len();
    }

    /// Notes `frame`, and makes it what came in earlier by the block's delay.
    fn delayed(&mut self, frame: &mut [f32]) {
        if self.delay == 0 {
            return;
        }
        let line = self.line.as_flattened_mut();
        let length = line.len();
        for sample in frame {
            let from = if self.next >= self.delay { self.next - self.delay } else { self.next + length - self.delay };
            let before = line[from];
            line[self.next] = core::mem::replace(sample, before);
            self.next = if self.next + 1 == length { 0 } else { self.next + 1 };
        }
    }

    fn process(&mut self, frame: &mut [f32], near: &Near<'_>) {
        let steady = self.on == self.heard && self.warming == 0;
        if (steady && !self.on) || frame.len() > FRAME {
            let passed = u32::try_from(frame.len()).unwrap_or(u32::MAX).saturating_add(near.lost);
            self.missed = self.missed.saturating_add(passed);
            return self.delayed(frame);
        }
        // To the block, what passed it by is lost: it counts on from frame to frame.
        let missed = core::mem::take(&mut self.missed);
        let near = &Near { lost: near.lost.saturating_add(missed), ..*near };
        if steady {
            self.note(frame);
            self.block.process(frame, near);
            return;
        }
        let mut dry = [0.0; FRAME];
        let dry = &mut dry[..frame.len()];
        dry.copy_from_slice(frame);
        self.delayed(dry);
        self.block.process(frame, near);
        if self.on && self.warming > 0 {
            self.warming = self.warming.min(self.delay + frame.len()).saturating_sub(frame.len());
            frame.copy_from_slice(dry);
            return;
        }
        // From what was heard to what is to be heard.
        let slope = 1.0 / frame.len() as f32;
        for ((n, wet), dry) in frame.iter_mut().enumerate().zip(dry) {
            let rise = (n + 1) as f32 * slope;
            let share = if self.on { rise } else { 1.0 - rise };
            *wet = *dry + share * (*wet - *dry);
        }
        (self.heard, self.warming) = (self.on, 0);
    }

    fn reset(&mut self) {
        self.block.reset();
        self.line = [[0.0; FRAME]; LINE];
        (self.next, self.heard, self.warming, self.missed) = (0, self.on, 0, 0);
    }
}

/// The steps between the microphone and the stream, as a block of a [`FrontEnd`](super::FrontEnd). `FRAME` is the
/// number of samples of 10 ms of one channel.
///
/// ```text
/// high-pass -> echo -> noise -> own -> detector -> gain
/// ```
///
/// Each step is a field, present or not, and can be switched while sound runs ([`Stage::set_on`]). A step that is off
/// costs a copy and keeps its delay, so that nothing jumps; switching fades over one frame, and a step with a delay
/// fades in after it. The delay of the chain is the sum of its steps' delays. [`CaptureParts`] says which blocks the
/// steps are. With all of them, an echo canceller of 70 ms among them, 10 ms at 16 kHz take 593,819 instructions on a
/// Cortex-M4F on average, 77,784 bytes, and 33 KB of stack (`BENCHMARKS.md`).
///
/// The detector's result for each frame goes to the gain control, which needs no detector of its own, and to the
/// sender, whose pauses depend on it. The gain control comes last, so that its limiter catches everything. It delays
/// by 3 ms, so that speech is reported 3 ms before it begins.
///
/// A chain with an echo canceller and nothing else:
///
/// ```
/// use dsp_core::echo::{EchoCanceller, EchoConfig, EveryPart};
/// use dsp_core::front::{CaptureChain, CaptureParts, FrontConfig, FrontEnd, InFloat, NoBlock, Stage};
///
/// enum Parts {}
///
/// impl CaptureParts for Parts {
///     type Echo = EchoCanceller<EveryPart, 160, 13>;
///     type Noise = NoBlock;
///     type Gain = NoBlock;
///     type Own = NoBlock;
///     type Detector = NoBlock;
/// }
///
/// let mut chain = CaptureChain::<Parts, 160>::default();
/// chain.echo = Some(Stage::new(EchoCanceller::new(EchoConfig::default())?)?);
/// let config = FrontConfig { sample_rate_hz: 16_000, ..FrontConfig::default() };
/// let block = InFloat::<_, 160>::new(chain, 16_000)?;
/// let mut front = FrontEnd::<_, 160, _>::new(config, [Some(block), None], vec![0; 12_000])?;
/// // Later, in the running call, the user takes a headset.
/// let echo = front.block(0).and_then(|block| block.block().echo.as_mut()).ok_or("no canceller")?;
/// echo.set_on(false);
/// assert!(!echo.is_on());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct CaptureChain<T: CaptureParts, const FRAME: usize> {
    /// High-pass filter against rumble and DC.
    pub high_pass: Option<Stage<BlockStep<Biquad<f32>>, FRAME>>,
    /// Removes what the loudspeaker plays.
    pub echo: Option<Stage<T::Echo, FRAME>>,
    /// Removes noise.
    pub noise: Option<Stage<T::Noise, FRAME>>,
    /// An effect of the program's own.
    pub own: Option<Stage<T::Own, FRAME>>,
    /// Detects whether somebody speaks.
    pub detector: Option<Stage<T::Detector, FRAME>>,
    /// Brings speech to its target level.
    pub gain: Option<Stage<T::Gain, FRAME>>,
}

impl<T: CaptureParts, const FRAME: usize> Default for CaptureChain<T, FRAME> {
    /// A chain without any step.
    fn default() -> Self {
        Self { high_pass: None, echo: None, noise: None, gain: None, own: None, detector: None }
    }
}

impl<T: CaptureParts, const FRAME: usize> core::fmt::Debug for CaptureChain<T, FRAME> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        fn on<B: CaptureBlock<f32>, const FRAME: usize>(stage: &Option<Stage<B, FRAME>>) -> Option<bool> {
            stage.as_ref().map(Stage::is_on)
        }
        f.debug_struct("CaptureChain")
            .field("high_pass", &on(&self.high_pass))
            .field("echo", &on(&self.echo))
            .field("noise", &on(&self.noise))
            .field("gain", &on(&self.gain))
            .field("own", &on(&self.own))
            .field("detector", &on(&self.detector))
            .finish()
    }
}

impl<T: CaptureParts, const FRAME: usize> CaptureBlock<f32> for CaptureChain<T, FRAME> {
    fn process(&mut self, frame: &mut [f32], near: &Near<'_>) {
        // A step behind another hears the frame's sound later; what it reads of the far end belongs to the microphone.
        let Self { high_pass, echo, noise, gain, own, detector } = self;
        step(high_pass, frame, near);
        step(echo, frame, near);
        step(noise, frame, near);
        step(own, frame, near);
        step(detector, frame, near);
        let activity = found(detector).or(near.activity);
        step(gain, frame, &Near { activity, ..*near });
    }

    fn reset(&mut self) {
        let Self { high_pass, echo, noise, gain, own, detector } = self;
        high_pass.iter_mut().for_each(Stage::reset);
        echo.iter_mut().for_each(Stage::reset);
        noise.iter_mut().for_each(Stage::reset);
        gain.iter_mut().for_each(Stage::reset);
        own.iter_mut().for_each(Stage::reset);
        detector.iter_mut().for_each(Stage::reset);
    }

    fn delay_samples(&self) -> usize {
        fn delay<B, const FRAME: usize>(stage: &Option<Stage<B, FRAME>>) -> usize {
            stage.as_ref().map_or(0, |stage| stage.delay)
        }
        let Self { high_pass, echo, noise, gain, own, detector } = self;
        delay(high_pass) + delay(echo) + delay(noise) + delay(gain) + delay(own) + delay(detector)
    }

    fn activity(&self) -> Option<Activity> {
        found(&self.detector)
    }
}

/// What a detector has found in the last frame, if it was heard.
fn found<B: CaptureBlock<f32>, const FRAME: usize>(detector: &Option<Stage<B, FRAME>>) -> Option<Activity> {
    detector.as_ref().filter(|stage| stage.is_on()).and_then(|stage| stage.block.activity())
}

fn step<B: CaptureBlock<f32>, const FRAME: usize>(
    stage: &mut Option<Stage<B, FRAME>>,
    frame: &mut [f32],
    near: &Near<'_>,
) {
    if let Some(stage) = stage {
        stage.process(frame, near);
    }
}

#[cfg(test)]
mod tests {
    use super::super::NoBlock;
    use super::super::history::RenderHistory;
    use super::*;
    use crate::time::Instant;
    use std::vec::Vec;

    /// Turns the sound round, 100 samples later.
    struct Late {
        line: [f32; 100],
        heard: u32,
    }

    impl CaptureBlock<f32> for Late {
        fn process(&mut self, frame: &mut [f32], _: &Near<'_>) {
            self.heard += 1;
            for sample in frame {
                self.line.rotate_right(1);
                *sample = -core::mem::replace(&mut self.line[0], *sample);
            }
        }

        fn reset(&mut self) {
            self.line = [0.0; 100];
        }

        fn delay_samples(&self) -> usize {
            100
        }
    }

    enum Parts {}

    impl CaptureParts for Parts {
        type Echo = Late;
        type Noise = NoBlock;
        type Gain = NoBlock;
        type Own = NoBlock;
        type Detector = NoBlock;
    }

    fn late() -> Late {
        Late { line: [0.0; 100], heard: 0 }
    }

    /// A sine of one turn in 200 samples, so that a step is small and a click is not.
    fn sine(n: usize) -> f32 {
        libm::sinf(n as f32 / 200.0 * core::f32::consts::TAU)
    }

    #[test]
    fn a_step_is_switched_without_a_click_or_a_jump_and_costs_nothing_when_off() {
        let history = RenderHistory::new(8_000, 1, []);
        let near = Near::new(Instant::ZERO, history.view());
        let mut chain = CaptureChain::<Parts, 80> { echo: Some(Stage::new(late()).unwrap()), ..Default::default() };
        assert_eq!(chain.delay_samples(), 100);
        let mut out = Vec::new();
        for frame in 0..60 {
            let echo = chain.echo.as_mut().unwrap();
            match frame {
                20 => echo.set_on(false),
                40 => echo.set_on(true),
                39 => assert_eq!(echo.block().heard, 21),
                _ => {}
            }
            let mut samples: [f32; 80] = core::array::from_fn(|n| sine(frame * 80 + n));
            chain.process(&mut samples, &near);
            out.extend(samples);
        }
        // Whether it is on or not, a sound comes 100 samples later.
        let heard = |n: usize| sine(n + 100 - 200);
        for (n, &sample) in out.iter().enumerate().skip(300) {
            // On in the beginning; off from the end of frame 20 on; two frames to warm up and one to fade in again.
            let expected = match n / 80 {
                20 | 43 => continue,
                0..=19 | 44.. => -heard(n),
                _ => heard(n),
            };
            assert!((sample - expected).abs() < 1e-5, "{n}: {sample} {expected}");
        }
        // A full turn of the sound within 10 ms, and no step of more than that.
        let steps = out.windows(2).skip(300).map(|pair| (pair[1] - pair[0]).abs());
        assert!(steps.fold(0.0, f32::max) < 0.06);
    }

    #[test]
    fn a_step_that_is_switched_off_again_before_it_was_heard_makes_no_click() {
        let history = RenderHistory::new(8_000, 1, []);
        let near = Near::new(Instant::ZERO, history.view());
        let mut chain = CaptureChain::<Parts, 80> { echo: Some(Stage::new(late()).unwrap()), ..Default::default() };
        let mut out = Vec::new();
        for frame in 0..60 {
            let echo = chain.echo.as_mut().unwrap();
            match frame {
                20 | 41 => echo.set_on(false),
                40 => echo.set_on(true),
                _ => {}
            }
            let mut samples: [f32; 80] = core::array::from_fn(|n| sine(frame * 80 + n));
            chain.process(&mut samples, &near);
            out.extend(samples);
        }
        let steps = out.windows(2).skip(300).map(|pair| (pair[1] - pair[0]).abs());
        let most = steps.fold(0.0, f32::max);
        assert!(most < 0.06, "a step of {most}");
    }

    #[test]
    fn a_step_that_delays_by_several_frames_lets_no_old_sound_out() {
        /// Sound 200 samples later.
        struct Later([f32; 200]);
        impl CaptureBlock<f32> for Later {
            fn process(&mut self, frame: &mut [f32], _: &Near<'_>) {
                for sample in frame {
                    self.0.rotate_right(1);
                    *sample = core::mem::replace(&mut self.0[0], *sample);
                }
            }
            fn reset(&mut self) {}
            fn delay_samples(&self) -> usize {
                200
            }
        }
        let history = RenderHistory::new(8_000, 1, []);
        let near = Near::new(Instant::ZERO, history.view());
        // Room for 48 kHz, in a call at 8 kHz, as in a host.
        let mut stage = Stage::<_, 480>::new(Later([0.0; 200])).unwrap();
        let mut loud = 0.0f32;
        for frame in 0..60 {
            match frame {
                20 => stage.set_on(false),
                40 => stage.set_on(true),
                _ => {}
            }
            let mut samples = [if frame < 25 { 1.0 } else { 0.0 }; 80];
            stage.process(&mut samples, &near);
            if frame >= 30 {
                loud = samples.iter().fold(loud, |loud, x| loud.max(x.abs()));
            }
        }
        assert!(loud == 0.0, "sound of long ago at {loud}");
    }

    #[test]
    fn a_chain_of_nothing_changes_nothing() {
        let history = RenderHistory::new(8_000, 1, []);
        let near = Near::new(Instant::ZERO, history.view());
        let mut chain = CaptureChain::<Parts, 80>::default();
        let mut samples: [f32; 80] = core::array::from_fn(sine);
        chain.process(&mut samples, &near);
        chain.reset();
        assert_eq!(samples, core::array::from_fn(sine));
        assert_eq!(chain.delay_samples(), 0);
    }

    #[test]
    fn delays_beyond_the_line_are_refused() {
        assert_eq!(Stage::<_, 49>::new(late()).err(), Some(FrontError::Frame { need: 50, got: 49 }));
        assert!(Stage::<_, 50>::new(late()).is_ok());
    }
}

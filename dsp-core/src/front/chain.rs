//! The interface of a capture block: what it sees of the near and the far end.

use super::FrontError;
use super::history::Render;
use crate::format;
use crate::process::activity::Activity;
use crate::sample::Sample;
use crate::time::Instant;

/// What a block is told about one frame of the near end.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Near<'a> {
    /// When the first sample of the frame was at the microphone, on the caller's clock. It is zero for everything
    /// captured before that clock's zero.
    pub captured_at: Instant,
    /// Channel of the frame: 0 is the left or the only one.
    pub channel: usize,
    /// Samples of this channel that were lost between the frame before and this one, as the device reported. Where
    /// ticks are not multiples of 10 ms, the loss may lie within the frame.
    pub lost: u32,
    /// The far end: what the loudspeaker plays, with the volume applied.
    pub render: Render<'a>,
    /// What a detector in front of the block found in the frame; `None` if there is none.
    pub activity: Option<Activity>,
}

impl<'a> Near<'a> {
    /// The description of a frame of channel 0 without loss before it.
    pub const fn new(captured_at: Instant, render: Render<'a>) -> Self {
        Self { captured_at, channel: 0, lost: 0, render, activity: None }
    }
}

/// A step of capture processing, over frames of exactly 10 ms of one channel, in place. Implement it for echo
/// cancellation, noise suppression or an effect of your own; [the module's page](super) has an example.
///
/// Besides the frame a block gets [`Near`]: when the frame was captured, what was lost before it, and what the
/// loudspeaker plays ([`Render`]), each with its time. A block never fails and never allocates. A stereo call has one
/// block for each channel. Samples of a front end are `i16`; a block on `f32` goes into [`InFloat`].
pub trait CaptureBlock<S: Sample> {
    /// Processes one frame of `sample_rate_hz / 100` samples in place. Frames come in order.
    fn process(&mut self, frame: &mut [S], near: &Near<'_>);

    /// Forgets everything heard so far; settings stay.
    fn reset(&mut self);

    /// Delay of the block, in samples.
    fn delay_samples(&self) -> usize;

    /// What the block found in the frame that it processed last: whether somebody speaks, for the steps behind it and
    /// for the sender. The default is `None`.
    fn activity(&self) -> Option<Activity> {
        None
    }
}

impl<S: Sample, B: CaptureBlock<S> + ?Sized> CaptureBlock<S> for &mut B {
    fn process(&mut self, frame: &mut [S], near: &Near<'_>) {
        (**self).process(frame, near);
    }

    fn reset(&mut self) {
        (**self).reset();
    }

    fn delay_samples(&self) -> usize {
        (**self).delay_samples()
    }

    fn activity(&self) -> Option<Activity> {
        (**self).activity()
    }
}

/// The block of a front end without blocks. It has no value, so the compiler leaves the capture chain out.
#[derive(Clone, Copy, Debug)]
pub enum NoBlock {}

impl<S: Sample> CaptureBlock<S> for NoBlock {
    fn process(&mut self, _: &mut [S], _: &Near<'_>) {
        match *self {}
    }

    fn reset(&mut self) {
        match *self {}
    }

    fn delay_samples(&self) -> usize {
        match *self {}
    }
}

/// A block on `f32` in a front end on `i16`: it converts each sample once each way. `FRAME` is the number of samples
/// of 10 ms of one channel.
#[derive(Clone, Copy, Debug)]
pub struct InFloat<B, const FRAME: usize> {
    block: B,
    frame: [f32; FRAME],
}

impl<B: CaptureBlock<f32>, const FRAME: usize> InFloat<B, FRAME> {
    /// Wraps a block for this sample rate. A frame longer than `FRAME`, at another rate, passes unchanged.
    ///
    /// # Errors
    /// Returns [`FrontError::Frame`] if `FRAME` has no room for 10 ms at this rate.
    pub fn new(block: B, sample_rate_hz: u32) -> Result<Self, FrontError> {
        let need = super::framer::frame_samples(sample_rate_hz);
        if need > FRAME {
            return Err(FrontError::Frame { need, got: FRAME });
        }
        Ok(Self { block, frame: [0.0; FRAME] })
    }

    /// The block, for reading and for changing its settings.
    pub fn block(&mut self) -> &mut B {
        &mut self.block
    }
}

impl<B: CaptureBlock<f32>, const FRAME: usize> CaptureBlock<i16> for InFloat<B, FRAME> {
    fn process(&mut self, frame: &mut [i16], near: &Near<'_>) {
        let Some(float) = self.frame.get_mut(..frame.len()) else { return };
        // Lengths are the same: neither conversion can fail.
        let _ = format::read(frame, float);
        self.block.process(float, near);
        let _ = format::write(float, frame);
    }

    fn reset(&mut self) {
        self.block.reset();
    }

    fn delay_samples(&self) -> usize {
        self.block.delay_samples()
    }

    fn activity(&self) -> Option<Activity> {
        self.block.activity()
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::RenderHistory;
    use super::*;

    /// Passes everything, and counts.
    struct Pass(u32);

    impl<S: Sample> CaptureBlock<S> for Pass {
        fn process(&mut self, _: &mut [S], _: &Near<'_>) {
            self.0 += 1;
        }

        fn reset(&mut self) {
            self.0 = 0;
        }

        fn delay_samples(&self) -> usize {
            7
        }
    }

    #[test]
    fn a_float_block_that_passes_all_changes_no_bit() {
        let history = RenderHistory::new(8_000, 1, []);
        let near = Near::new(Instant::ZERO, history.view());
        let mut block = InFloat::<_, 80>::new(Pass(0), 8_000).unwrap();
        for start in (i32::from(i16::MIN)..=i32::from(i16::MAX)).step_by(80) {
            let frame: [i16; 80] = core::array::from_fn(|n| (start + n as i32) as i16);
            let mut changed = frame;
            block.process(&mut changed, &near);
            assert_eq!(changed, frame);
        }
        assert_eq!((block.block().0, block.delay_samples()), (820, 7));
        block.reset();
        assert_eq!(block.block().0, 0);
        assert_eq!(InFloat::<_, 80>::new(Pass(0), 16_000).err(), Some(FrontError::Frame { need: 160, got: 80 }));
    }

    #[test]
    fn a_borrowed_block_and_one_behind_the_trait_are_blocks() {
        let history = RenderHistory::new(8_000, 1, []);
        let near = Near::new(Instant::ZERO, history.view());
        let mut pass = Pass(0);
        let block: &mut dyn CaptureBlock<i16> = &mut pass;
        let mut block: &mut dyn CaptureBlock<i16> = &mut { block };
        CaptureBlock::process(&mut block, &mut [0; 80], &near);
        assert_eq!(CaptureBlock::delay_samples(&block), 7);
        assert_eq!(pass.0, 1);
    }
}

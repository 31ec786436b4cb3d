//! One step of processing over one frame, in place.

use crate::sample::Sample;

/// A step that changes a frame of one channel in place. It never fails and never allocates. What needs the far end or the
/// time of a frame is a [`CaptureBlock`](crate::front::CaptureBlock).
pub trait Block<S: Sample> {
    /// Processes one frame of any length.
    fn process(&mut self, frame: &mut [S]);

    /// Forgets everything heard so far; settings stay.
    fn reset(&mut self);

    /// How many samples later a sound leaves than it came in.
    fn delay_samples(&self) -> usize;
}

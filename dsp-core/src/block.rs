//! One step of processing over one frame, in place.

use crate::sample::Sample;

/// A step of a chain that changes a frame of one channel in place. It never fails and never allocates.
pub trait Block<S: Sample> {
    /// Processes one frame of any length.
    fn process(&mut self, frame: &mut [S]);

    /// Forgets everything heard so far; settings stay.
    fn reset(&mut self);

    /// How many samples later a sound leaves than it came in.
    fn delay_samples(&self) -> usize;
}

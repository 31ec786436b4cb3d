//! One step of processing over one frame, in place.
//!
//! Implement [`Block`] for a step that looks at nothing but the frame; [`BlockStep`](crate::front::BlockStep) takes it into
//! the capture chain. Its delay is what it says itself ([`Block::delay_samples`]), and its cost its own. A step of one's own,
//! for both kinds of samples:
//!
//! ```
//! use dsp_core::block::Block;
//! use dsp_core::sample::Sample;
//!
//! /// Each sample is the mean of itself and the one before it.
//! struct Softer<S>(S);
//!
//! impl<S: Sample> Block<S> for Softer<S> {
//!     fn process(&mut self, frame: &mut [S]) {
//!         for sample in frame {
//!             let before = core::mem::replace(&mut self.0, *sample);
//!             *sample = sample.average(before);
//!         }
//!     }
//!     fn reset(&mut self) {
//!         self.0 = S::default();
//!     }
//!     fn delay_samples(&self) -> usize {
//!         0
//!     }
//! }
//!
//! let mut frame = [0, 100, 100, -100];
//! Softer(0i16).process(&mut frame);
//! assert_eq!(frame, [0, 50, 100, 0]);
//! ```

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

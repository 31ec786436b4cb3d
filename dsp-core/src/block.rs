//! A step of signal processing over one frame, in place.
//!
//! Implement [`Block`] for a step that needs nothing but the frame; [`BlockStep`](crate::front::BlockStep) puts it
//! into the capture chain. A step that needs the far end or the time of the frame is a
//! [`CaptureBlock`](crate::front::CaptureBlock). Frames are mono; delay and cost are the step's own.
//!
//! A step for both kinds of samples:
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

/// A step that processes a frame of one channel in place. It never fails and never allocates. [The module's
/// page](self) has an example.
pub trait Block<S: Sample> {
    /// Processes one frame of any length.
    fn process(&mut self, frame: &mut [S]);

    /// Forgets everything heard so far; settings stay.
    fn reset(&mut self);

    /// Delay of the step, in samples.
    fn delay_samples(&self) -> usize;
}

//! Strategy: who decides how long packets wait and what is done meanwhile.
//!
//! A [`Receiver`](super::Receiver) asks three questions, all in plain numbers: which delay to steer to, what to do for
//! the next samples, whether to change speed. [`Standard`] answers as `delay` and `decision` do; another strategy
//! overrides what it knows better. The receiver keeps its bounds whatever it's told.

use super::decision;
pub use super::decision::{Next, Operation, Pace, Sending, Situation, Stretch};
pub use super::delay::Estimate;

/// Decides for a receiver; see the module's page.
pub trait Strategy {
    /// The delay to steer to, in ticks after the fastest packet.
    fn target(&mut self, estimate: &Estimate) -> u32 {
        estimate.target
    }

    /// What to do for the next samples.
    fn operation(&mut self, situation: &Situation) -> Operation {
        decision::decide(situation)
    }

    /// Whether to play what was just decoded faster or slower.
    fn stretch(&mut self, pace: &Pace) -> Option<Stretch> {
        decision::stretch(pace)
    }
}

/// What a receiver does by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standard;

impl Strategy for Standard {}

//! Strategy: who decides how long packets wait and what is done meanwhile.
//!
//! A [`Receiver`](super::Receiver) asks three questions, all in plain numbers: which delay to steer to, what to do for
//! the next samples, whether to change speed. [`Standard`] answers as `delay` and `decision` do; another strategy
//! overrides what it knows better. The receiver keeps its bounds whatever it's told.
//!
//! Which delay to steer to is asked once a call of [`play`](super::Receiver::play), at its beginning, and holds to its
//! end. What to do is asked for each piece of sound that is made: as often as the packets need it, and not at all where
//! the sound of a tick is there already. Whether to change speed is asked once for each packet that is decoded, unless
//! the last change is too recent or sound is being made up.

use super::decision;
pub use super::decision::{Next, Operation, Pace, Sending, Situation, Stretch};
pub use super::delay::Estimate;

/// Decides for a receiver; see the module's page.
pub trait Strategy {
    /// The delay to steer to, in ticks after the fastest packet: asked once a tick, before anything else.
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

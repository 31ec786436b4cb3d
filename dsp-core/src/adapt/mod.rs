//! What a sender should send over the network that it has: how much, in how long packets, with how much redundancy, and when to
//! give up.
//!
//! Plain numbers in, plain numbers out; no I/O, no clock, no codec. [`Capacity`] follows how much the network carries, from
//! [feedback on packets](PacketWindow) or [reports](ReportWindow); [`Settings::choose`] makes of that rate what is sent;
//! [`CircuitBreaker`] tells when nothing helps (RFC 8083).

mod breaker;
mod capacity;
mod choice;
mod observe;
#[cfg(test)]
mod tests;

pub use breaker::{BreakerConfig, CircuitBreaker, Hopeless, StreamReport};
pub use capacity::{Capacity, Observation, Phase, RateBounds};
pub use choice::{Choice, CodecRate, Conditions, InBand, Settings};
pub use observe::{PacketWindow, ReportWindow};

/// A percent of loss.
const PERCENT: u32 = crate::quality::impairment::PERCENT;

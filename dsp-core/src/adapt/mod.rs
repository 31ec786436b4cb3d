//! What a sender should send over the network that it has: how much, in how long packets, with how much redundancy, and when to
//! give up.
//!
//! Plain numbers in, plain numbers out; no I/O, no clock, no codec. [`Capacity`] follows how much the network carries, from
//! [feedback on packets](PacketWindow) or [reports](ReportWindow); [`Settings::choose`] makes of that rate what is sent;
//! [`CircuitBreaker`] tells when nothing helps (RFC 8083).
//!
//! Use it beside a sender whose bit rate, packet length or redundancy can change; where none of them can, the circuit breaker
//! is of use alone. All is integer. Cost: constant a packet, some divisions an observation or a report, and for a choice a
//! handful of operations for each of at most some hundreds of settings. The rate goes in at the one end, and what to send
//! comes out at the other:
//!
//! ```
//! use dsp_core::adapt::{Capacity, Choice, CodecRate, Conditions, Observation, RateBounds, Settings};
//! use dsp_core::quality::LossImpairment;
//! use dsp_core::time::{Duration, Instant};
//!
//! let mut capacity = Capacity::new(RateBounds { least_bps: 30_000, most_bps: 100_000 }, 100_000);
//! // A quarter of a second of it took twice as long to arrive, and the last packet waited for all of that.
//! let seen = Observation {
//!     duration: Duration::from_millis(250),
//!     took: Duration::from_millis(500),
//!     sent_bits: 25_000,
//!     packets: 12,
//!     loss: 0,
//!     queue: Some(Duration::from_millis(250)),
//!     age: Duration::from_millis(300),
//! };
//! capacity.observe(Instant::from_millis(1_000), &seen);
//! assert!(capacity.rate_bps() < 50_000);
//!
//! // G.711 has one rate: longer packets have fewer headers.
//! let settings = Settings {
//!     rates: &[CodecRate { bps: 64_000, ie_tenths: 0 }],
//!     packets_ms: &[20, 40, 60],
//!     copies: [0, 0],
//!     most_payload_bps: 64_000,
//!     header_bytes: 40,
//!     loss: LossImpairment::default(),
//!     in_band: None,
//! };
//! let conditions = Conditions { rate_bps: 75_000, loss: 0, loss_behind: 0, delay_ms: 100 };
//! let choice = settings.choose(&conditions, None);
//! assert_eq!(choice, Some(Choice { bps: 64_000, packet_ms: 40, in_band: false, copies: 0 }));
//! ```

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

//! Adapting to the network: which bit rate, packet length and redundancy a sender should use, and when it should stop.
//!
//! [`Capacity`] follows how much the network carries, from [feedback on packets](PacketWindow), from [reports](ReportWindow), or, where
//! neither comes through, from [what arrives here](ReceptionWindow). [`Settings::choose`] turns that rate into what is sent. [`CircuitBreaker`] tells when
//! sending is of no use any more (RFC 8083). All are plain numbers in and out: no I/O, no clock, no codec, and the
//! arithmetic is integer.
//!
//! Use it beside a [`Sender`](crate::send::Sender) whose bit rate, packet length or redundancy can change. Where none
//! of them can, as with G.711 at a fixed packet length, only the circuit breaker is of use. A packet takes constant
//! time, an observation or a report a few divisions, and a choice a handful of operations for each of at most some
//! hundreds of settings. It adapts what this side sends; the other side adapts its own sending.
//!
//! A queue builds up, the rate falls, and longer packets save headers:
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
//!     link_bps: None,
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

mod bounds;
mod breaker;
mod capacity;
mod ceiling;
mod choice;
mod observe;
mod phase;
mod reception;
mod serialization;
mod share;
#[cfg(test)]
mod tests;

pub use bounds::RateBounds;
pub use breaker::{BreakerConfig, CircuitBreaker, Hopeless, StreamReport};
pub use capacity::Capacity;
pub use choice::{Choice, CodecRate, Conditions, InBand, Settings};
pub use observe::{Observation, PacketWindow, ReportWindow};
pub use phase::Phase;
pub use reception::ReceptionWindow;

/// A percent of loss.
const PERCENT: u32 = crate::quality::impairment::PERCENT;

//! Simulated bad networks, rooms and callers, for tests, demos and measurements.
//!
//! | use | for |
//! |---|---|
//! | [`virtual_time`] | two calls over a bad network, faster than real time; its example has a loss of 10 % |
//! | [`callers`] | the callers of a conference, likewise |
//! | [`netsim`] | what becomes of each datagram: loss in bursts, delay, jitter, reordering |
//! | [`bottleneck`] | a narrow link with a queue, in front of such a network |
//! | `proxy` (cargo feature `tokio`) | such a network between two real sockets, to test another program |
//! | [`room`] | what a microphone picks up of a loudspeaker, to test an echo canceller |
//! | [`ambience`] | the noise around a microphone, to test a noise suppressor |
//!
//! The same seed gives the same bits on every machine, SRTP keys included
//! ([`Identity::seeded`](crate::session::Identity::seeded)):
//!
//! ```
//! use dsp_core::time::Instant;
//! use host_std::simulate::netsim::{Network, NetworkConfig};
//!
//! let config = NetworkConfig { loss_percent: 5.0, burst: 2.0, jitter_ms: 20.0, ..NetworkConfig::default() };
//! let run = || {
//!     let mut network = Network::new(config, 7);
//!     (0..100).map(|n| network.carry(Instant::from_millis(20 * n))).collect::<Vec<_>>()
//! };
//! assert_eq!(run(), run());
//! ```
//!
//! **Limits.** These are models. A network that was measured is played from its capture by `replay`.

pub mod ambience;
pub mod bottleneck;
pub mod callers;
mod in_flight;
pub mod netsim;
#[cfg(feature = "tokio")]
pub mod proxy;
pub mod room;
pub mod virtual_time;

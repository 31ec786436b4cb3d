//! Bad networks, rooms and callers that are only simulated, for tests, demos and measurements.
//!
//! - [`netsim`] says what becomes of each datagram: loss in bursts, delay, jitter, reordering. [`bottleneck`] is a narrow link
//!   with a queue, in front of it.
//! - [`virtual_time`] runs two calls over such networks faster than real time. [`callers`] does the same with the callers of a
//!   conference. Use them in tests: the same seed gives the same bits, SRTP keys included.
//! - `proxy` (cargo feature `tokio`) puts such a network between two real sockets. Use it where a program that isn't ours is to
//!   be tested.
//! - [`room`] is what a microphone hears of a loudspeaker, [`ambience`] what it hears of the world around. Use them in front of an
//!   echo canceller or a noise suppressor.
//!
//! The example of [`VirtualTime`](virtual_time::VirtualTime) is a call with a loss of 10 %. Limits: these are models. A network
//! that was measured is replayed from its capture by `replay`.

pub mod ambience;
pub mod bottleneck;
pub mod callers;
mod in_flight;
pub mod netsim;
#[cfg(feature = "tokio")]
pub mod proxy;
pub mod room;
pub mod virtual_time;

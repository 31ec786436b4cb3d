//! Streams of one sender at the same moment: RTP timestamps on its wall clock, and how long the earlier ones must wait
//! (RFC 3550, 6.4.1 and 2.2; lip-sync).
//!
//! A sender's reports tell of each stream which RTP timestamp belongs to which time of its wall clock: a [`ClockMap`]
//! keeps that. Sound that was captured at the same time by that clock is to be heard at the same time: [`align`] says
//! of each stream which delay it must have at least, for [`Receiver::set_least_delay`](crate::receive::Receiver).
//! Only streams with one canonical name share a clock (6.5.1); who belongs together is the caller's to know.

mod align;
mod clock_map;

pub use align::{AlignConfig, StreamTiming, align};
pub use clock_map::{ClockMap, Taken};

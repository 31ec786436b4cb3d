//! Media Core on a server or a desktop: calls, SDP, Opus, sound devices, records and reports.
//!
//! [`session`] holds a call, which does no I/O itself; its drivers give it a socket, a clock and sound.

#![deny(unsafe_code)]

pub mod device;
pub mod netsim;
pub mod opus;
pub mod record;
pub mod report;
pub mod resample;
pub mod sdp;
pub mod session;
pub mod wav;

//! The receive road: datagram to PCM.

pub mod decision;
pub mod delay;
pub mod jitter;
pub mod plc;
pub mod stretch;

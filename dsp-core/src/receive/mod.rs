//! The receive road: datagram to PCM.

pub mod decision;
pub mod delay;
mod extend;
pub mod jitter;
mod lpc;
mod pitch;
pub mod plc;
pub mod stretch;

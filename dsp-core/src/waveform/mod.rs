//! Tools over a waveform that codecs and the receiver share: pitch search, linear prediction, extension of what was
//! heard, concealment of what was lost, and time stretching. All of it is integer arithmetic on `i16`, one channel at a time
//! (the stretcher takes all channels at once, in one step).

pub(crate) mod extend;
pub(crate) mod lpc;
pub(crate) mod pitch;
pub(crate) mod plc;
pub(crate) mod stretch;

pub use plc::Concealer;
pub use stretch::Stretcher;

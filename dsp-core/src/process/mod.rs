//! Processing of PCM, block by block.

pub mod active_level;
pub mod activity;
pub mod agc;
pub mod biquad;
pub(crate) mod decibel;
pub mod echo_suppressor;
pub(crate) mod eight_khz;
pub mod faults;
pub mod gain;
pub mod goertzel;
pub mod howling;
pub mod level;
mod limiter;
pub mod metering;
pub mod mixer;
#[cfg(feature = "earshot")]
pub mod neural_voice;
pub mod resample;
pub mod voice;

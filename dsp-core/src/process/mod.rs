//! Processing of PCM, block by block.

pub mod activity;
pub(crate) mod decibel;
pub mod gain;
pub mod level;
pub mod resample;

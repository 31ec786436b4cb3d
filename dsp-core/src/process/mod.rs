//! Processing of PCM, block by block.

mod decibel;
pub mod gain;
pub mod level;

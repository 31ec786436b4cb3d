//! Processing of PCM, block by block.

pub mod level;

//! The command line as its user meets it, in running calls between processes.

mod cli;
mod early_media;
mod ice;
mod monitoring;
mod offers;
mod reoffer;
#[cfg(target_os = "linux")]
mod terminal;
mod tones;
mod wire;

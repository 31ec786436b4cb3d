//! Processing of PCM, block by block.
//!
//! Each block has a page with its cost, limits and sources:
//!
//! - changes of sound, in place or into the caller's buffer: [`biquad`], [`gain`], [`agc`], [`echo_suppressor`],
//!   [`mixer`], [`resample`];
//! - meters, which only read the sound: [`level`], [`active_level`], [`faults`], [`howling`], [`metering`],
//!   [`goertzel`];
//! - speech detectors: [`activity`] (the cheapest), [`voice`], and `neural_voice` (cargo feature `earshot`).
//!
//! Use them to build a chain of your own. A [front end](crate::front) with its [capture
//! chain](crate::front::CaptureChain) has the usual one ready, and contains the large blocks [`echo`](crate::echo) and
//! [`noise`](crate::noise).
//!
//! A voice that is 26 dB too low, with mains hum below it, is brought to -26 dBov:
//!
//! ```
//! use dsp_core::block::Block;
//! use dsp_core::process::agc::{Agc, AgcConfig};
//! use dsp_core::process::biquad::{Biquad, BiquadDesign};
//!
//! let mut high_pass = Biquad::<f32>::new(BiquadDesign::high_pass(16_000, 120)?);
//! let mut agc = Agc::new(AgcConfig::default())?;
//! let mut out = Vec::new();
//! for block in 0..300 {
//!     let mut frame: [f32; 160] = core::array::from_fn(|n| {
//!         let n = (160 * block + n) as f32;
//!         // 125 pulses a second, as of vocal cords, for 1 s of each 1.5 s.
//!         let voice = if block % 150 >= 50 && n % 128.0 < 32.0 { 0.01 * (16.0 - n % 128.0) / 16.0 } else { 0.0 };
//!         voice + 0.001 * (n * core::f32::consts::TAU * 50.0 / 16_000.0).sin()
//!     });
//!     high_pass.process(&mut frame);
//!     agc.process(&mut frame);
//!     out.extend_from_slice(&frame);
//! }
//! assert!((2_400..2_700).contains(&agc.gain_hundredths_db()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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

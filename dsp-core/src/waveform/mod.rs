//! Tools over a waveform that codecs and the receiver share: pitch search, linear prediction, extension of what was
//! heard, concealment of what was lost, and time stretching. All of it is integer arithmetic on `i16`, one channel at a time
//! (the stretcher takes all channels at once, in one step).
//!
//! A receiver has them built in; they are for a program that has its own buffer. Neither needs memory of its own for sound:
//! what was heard stays with the caller. A loss of 20 ms in a tone, and a tone that becomes shorter by whole periods:
//!
//! ```
//! use dsp_core::waveform::{Concealer, Stretcher};
//!
//! // 200 Hz at 8 kHz.
//! let tone = |n: usize| (8_000.0 * (n as f32 * core::f32::consts::TAU / 40.0).sin()) as i16;
//! let mut played: Vec<i16> = (0..960).map(tone).collect();
//! let mut concealer = Concealer::new(8_000);
//! let mut lost = [0; 160];
//! concealer.conceal(&played, &mut lost);
//! assert!(lost.iter().any(|&sample| sample > 6_000));
//! played.extend(lost);
//! // The first good packet joins what was made up.
//! let mut good: [i16; 160] = core::array::from_fn(|n| tone(1_120 + n));
//! concealer.merge(&played, &mut good);
//! assert!(!concealer.is_concealing());
//!
//! // 50 ms that are to be played, behind 10 ms that were played before.
//! let mut sound: Vec<i16> = (0..480).map(tone).collect();
//! let removed = Stretcher::new(8_000).accelerate(&mut [&mut sound[..]], 80, 80).ok_or("not alike")?;
//! assert_eq!(removed % 40, 0);
//! # Ok::<(), &str>(())
//! ```

pub(crate) mod extend;
pub(crate) mod lpc;
pub(crate) mod pitch;
pub(crate) mod plc;
pub(crate) mod stretch;

pub use plc::Concealer;
pub use stretch::Stretcher;

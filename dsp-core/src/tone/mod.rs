//! Signalling tones, generated and detected: DTMF digits (ITU-T Q.23 and Q.24), call progress tones by country (ITU-T
//! E.180), and the tones of faxes and modems (T.30, V.25, V.8).
//!
//! Use a [`DtmfDetector`] where digits come as sound, and a [`ProgressDetector`] where an exchange signals only by
//! sound how a call goes. Digits that come as telephone events (RFC 4733) are received by an
//! [`EventReceiver`](crate::receive::EventReceiver). [`DtmfGenerator`] and [`ProgressGenerator`] make the sound. For a
//! single frequency there is [`goertzel`](crate::process::goertzel).
//!
//! 20 ms at 8 kHz take 0.74 µs on a host to detect digits (`BENCHMARKS.md`; the types have the cost on small
//! processors). The detectors take 1,016 and 1,376 bytes. The arithmetic is integer, and works for `i16` and `f32`
//! samples.
//!
//! A digit is pressed and heard:
//!
//! ```
//! use dsp_core::tone::{Digit, DtmfConfig, DtmfDetector, DtmfGenerator, DtmfTone};
//!
//! let mut generator = DtmfGenerator::new(DtmfTone::default())?;
//! let mut detector = DtmfDetector::new(DtmfConfig::default())?;
//! generator.press(Digit::Seven);
//! let (mut frame, mut heard) = ([0i16; 160], None);
//! while generator.fill(&mut frame) > 0 {
//!     detector.hear(&frame, |digit| heard = Some(digit));
//! }
//! let heard = heard.expect("a digit of 70 ms");
//! assert_eq!((heard.digit, heard.ended), (Digit::Seven, true));
//! assert!((heard.level_hundredths_dbm0 + 700).abs() < 50);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod countries;
mod detector;
mod digit;
mod generator;
mod groups;
mod listener;
mod oscillator;
mod progress;
mod signal;

pub use countries::{COUNTRIES, TABLE};
pub use detector::{DtmfConfig, DtmfDetector, DtmfError, HeardDigit};
pub use digit::{COLUMNS_HZ, Digit, EventCode, ROWS_HZ};
pub use generator::{DtmfGenerator, DtmfTone, DtmfToneError};
pub use listener::{HeardTone, ListenerError, ProgressDetector};
pub use progress::{ANSAM, CED, CNG, Country, ProgressError, ProgressGenerator, ProgressTone, Segment};
pub use signal::ToneSignal;

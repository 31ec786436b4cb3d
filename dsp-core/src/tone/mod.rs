//! Tones that signal: digits (DTMF), made and heard, and their codes as telephone events; and the tones of a call's progress,
//! of faxes and of modems, made and heard. Digits are those of ITU-T Q.23, events those of RFC 4733, a call's tones those of
//! ITU-T E.180.
//!
//! Use a [`DtmfDetector`] where digits come as sound, and a [`ProgressDetector`] where an exchange says by sound alone how a
//! call goes; digits that come as events are [`EventReceiver`](crate::receive::EventReceiver)'s. Memory: 1,016 bytes for the
//! one and 1,376 for the other. A digit is pressed and heard:
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

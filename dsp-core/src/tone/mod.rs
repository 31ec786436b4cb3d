//! Tones that signal: digits (DTMF), made and heard, and their codes as telephone events.

mod detector;
mod digit;
mod groups;

pub use detector::{DtmfConfig, DtmfDetector, DtmfError, HeardDigit};
pub use digit::{COLUMNS_HZ, Digit, EventCode, ROWS_HZ};

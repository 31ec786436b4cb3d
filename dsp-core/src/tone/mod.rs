//! Tones that signal: digits (DTMF) and their codes as telephone events.

mod digit;

pub use digit::{COLUMNS_HZ, Digit, EventCode, ROWS_HZ};

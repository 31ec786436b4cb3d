//! Codec chips over I2C: from a phone's settings to registers, without pops.
//!
//! ```text
//! Setup -> Chip::image -> registers as they should be -> CodecChip -> writes, in the chip's order, silent meanwhile
//! ```
//!
//! [`Setup`] is all that a phone wants: power, clocks, route, volume, gain, mute, sidetone. A [`Chip`] says which registers that
//! is, and in which order they are written; [`CodecChip`] writes what differs. [`mock`] is a bus that records. To add a chip,
//! write a table, a function and four lists of steps: see `PORTING.md`.
//!
//! | chip | [`Chip`] | id | jack |
//! |---|---|---|---|
//! | WM8960 | [`wm8960`] | can't be read at all over I2C | by its pins alone |
//! | SGTL5000 | [`sgtl5000`] | checked | none |
//! | NAU88C22 | [`nau88c22`] | checked | by its pins alone |
//! | TLV320AIC3104 | [`tlv320aic3104`] | has none | read |
//! | WM8994 | [`wm8994`] | checked | not used |
//!
//! Use it where the phone's sound goes through one of these chips. Limits: mono, one route at a time; the processor's own pins
//! have to detect jacks, except where the table says otherwise.
//!
//! Register addresses, bits, limits and times were compared between two public sources each, datasheets among them; none of this
//! has run on silicon yet.

mod chip;
mod driver;
mod error;
pub mod mock;
pub mod nau88c22;
mod pll;
mod setup;
pub mod sgtl5000;
#[cfg(test)]
mod tests;
pub mod tlv320aic3104;
pub mod wm8960;
pub mod wm8994;

pub use chip::{
    Achieved, Bits, Chip, ChipStep, ChipTimings, Format, IdentityRegister, JackFlag, Register, ResetWrite, resets,
};
pub use driver::CodecChip;
pub use error::{BusRegister, ChipError};
pub use setup::{ClockError, ClockReason, Clocks, Decibels, Pins, Rate, Role, Route, Setup, Wiring, Word};

//! Which codec a payload type stands for: as the user says, as RFC 3551 fixes it, or as the packets themselves look.
//!
//! A capture of RTP alone doesn't say what a dynamic payload type is: that was in the signalling. [`Shape`] collects what
//! packets tell of it. Their length against the step of their timestamps leaves one codec or two; where samples lie
//! open, those readings are compared by how alike neighbouring samples are, which only the right one makes of speech.
//! Guesses are said to be guesses.

mod decoders;
mod format;
mod looks;
mod meaning;
mod resolve;
mod shape;
mod widen;

pub(super) use decoders::Decoders;
pub use format::{FormatError, PayloadFormat};
pub use meaning::{PayloadMap, PayloadMeaning};
pub(super) use resolve::{Origin, Payload};
pub(super) use shape::Shape;

/// Share of the packets that must fit what a guess says of them.
const FITTING: f64 = 0.9;

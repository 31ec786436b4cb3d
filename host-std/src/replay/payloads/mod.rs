//! The codec of a payload type: given by the user, fixed by RFC 3551, or guessed from the packets themselves.
//!
//! A capture of RTP alone doesn't say what a dynamic payload type is: that was in the signalling. [`Shape`] collects the evidence
//! from the packets. Their length against the step of their timestamps leaves one codec or two; where samples are not compressed,
//! those readings are compared by how similar neighbouring samples are, and only the right one makes speech of them. Guesses are
//! marked as guesses.

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

/// The share of the packets that must fit a guess.
const FITTING: f64 = 0.9;

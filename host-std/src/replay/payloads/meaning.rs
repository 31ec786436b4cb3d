//! What the user says that payload types stand for.

use std::str::FromStr;

use dsp_core::time::PayloadType;

use super::format::{FormatError, PayloadFormat, read};

/// What a payload type stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayloadMeaning {
    /// Sound that can be decoded.
    Sound(PayloadFormat),
    /// Comfort noise (RFC 3389): no packet is missing for it.
    Noise,
    /// Telephone events (RFC 4733).
    Events,
    /// Redundant audio data (RFC 2198); what each block is, it says itself.
    Redundancy,
}

/// `opus/48000/2`, `CN/8000`, `telephone-event/8000`, `red/8000`. The clock of what goes with a codec is the codec's,
/// whatever is written.
impl FromStr for PayloadMeaning {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let format = read(text)?;
        let beside = [("CN", Self::Noise), ("telephone-event", Self::Events), ("red", Self::Redundancy)];
        match beside.into_iter().find(|(name, _)| format.is_named(name)) {
            Some((_, meaning)) => Ok(meaning),
            None => text.parse().map(Self::Sound),
        }
    }
}

/// Payload types as the user knows them.
#[derive(Clone, Debug, Default)]
pub struct PayloadMap {
    /// By number; of two with the same the later counts.
    pub entries: Vec<(PayloadType, PayloadMeaning)>,
    /// For dynamic numbers that are not in `entries`.
    pub otherwise: Option<PayloadFormat>,
}

impl PayloadMap {
    /// Adds `96=opus/48000/2`, or several with commas between them.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn add(&mut self, text: &str) -> Result<(), FormatError> {
        for entry in text.split(',') {
            let (number, format) = entry.split_once('=').ok_or_else(|| FormatError::Entry(entry.into()))?;
            let number = number.trim().parse().ok().and_then(PayloadType::new);
            self.entries.push((number.ok_or_else(|| FormatError::Entry(entry.into()))?, format.trim().parse()?));
        }
        Ok(())
    }

    /// What the user says of a number.
    pub(in crate::replay) fn get(&self, number: PayloadType) -> Option<&PayloadMeaning> {
        self.entries.iter().rev().find(|(known, _)| *known == number).map(|(_, meaning)| meaning)
    }
}

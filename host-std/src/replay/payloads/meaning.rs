//! The meanings of payload types that the user has given.

use std::str::FromStr;

use dsp_core::time::PayloadType;

use super::format::{FormatError, PayloadFormat, read};

/// The meaning of a payload type. Its text is `opus/48000/2`, `CN/8000`, `telephone-event/8000` or `red/8000`.
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

/// The payload types of a capture whose codecs the user knows, such as those from its signalling.
///
/// ```
/// use host_std::replay::{PayloadMap, PayloadMeaning};
///
/// let mut payloads = PayloadMap::default();
/// payloads.add("96=opus/48000/2,101=telephone-event/48000")?;
/// assert_eq!(payloads.entries[1].1, PayloadMeaning::Events);
/// assert!(payloads.add("opus").is_err()); // of which payload type?
/// # Ok::<(), host_std::replay::FormatError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct PayloadMap {
    /// Payload types and their meanings. Of two entries with the same number the later one counts.
    pub entries: Vec<(PayloadType, PayloadMeaning)>,
    /// The codec of all dynamic payload types that are not in `entries`; `None` guesses it from the packets.
    pub otherwise: Option<PayloadFormat>,
}

impl PayloadMap {
    /// Adds an entry such as `96=opus/48000/2`, or several with commas between them.
    ///
    /// # Errors
    /// [`FormatError::Entry`] if an entry isn't `NUMBER=FORMAT` with a number up to 127, [`FormatError::Syntax`] if its format isn't
    /// `NAME[/CLOCK[/CHANNELS]]`, [`FormatError::Codec`] if there is no decoder for the format.
    pub fn add(&mut self, text: &str) -> Result<(), FormatError> {
        for entry in text.split(',') {
            let (number, format) = entry.split_once('=').ok_or_else(|| FormatError::Entry(entry.into()))?;
            let number = number.trim().parse().ok().and_then(PayloadType::new);
            self.entries.push((number.ok_or_else(|| FormatError::Entry(entry.into()))?, format.trim().parse()?));
        }
        Ok(())
    }

    /// Returns the meaning that the user has given to a number.
    pub(in crate::replay) fn get(&self, number: PayloadType) -> Option<&PayloadMeaning> {
        self.entries.iter().rev().find(|(known, _)| *known == number).map(|(_, meaning)| meaning)
    }
}

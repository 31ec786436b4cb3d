//! The formats on which SDP agrees: payload formats and telephone events (RFC 4733, 2.4 and 7.1) under their numbers.

use std::fmt;

use dsp_core::time::PayloadType;

use crate::registry::CodecFormat;

/// A payload format with the payload type that it has in one direction of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NegotiatedCodec {
    /// The payload type in RTP headers.
    pub payload_type: PayloadType,
    /// The format, with the parameters (`a=fmtp`) of the receiving side.
    pub format: CodecFormat,
}

/// Telephone events (RFC 4733) with the payload type that they have in one direction of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NegotiatedEvents {
    /// The payload type in RTP headers.
    pub payload_type: PayloadType,
    /// The RTP clock in which durations count, in Hz.
    pub rtp_clock_hz: u32,
    /// The events that the receiving side accepts.
    pub events: EventSet,
}

/// The telephone events 0 to 31 that a receiver accepts: 0 to 9 are the digits, 10 is `*`, 11 `#`, 12 to 15 are A to D, 16 is
/// the hook flash.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EventSet(u32);

impl EventSet {
    /// The sixteen DTMF digits: the default of a description without `a=fmtp` (RFC 4733, 2.4.1).
    pub const DTMF: Self = Self(0xffff);
    /// DTMF and the hook flash, `0-16`.
    pub const DTMF_AND_FLASH: Self = Self(0x1_ffff);

    /// Returns whether `event` is one of them; events above 31 never are.
    pub const fn contains(self, event: u8) -> bool {
        event < 32 && self.0 >> event & 1 == 1
    }

    /// Returns the events in both sets.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Reads `0-15,16,66`. What can't be read is passed over, and an empty rest is taken for DTMF.
    pub(super) fn from_fmtp(text: &str) -> Self {
        // Some write `events=0-15` in the manner of other formats.
        let text = text.trim();
        let text = text.strip_prefix("events=").unwrap_or(text);
        let mut bits = 0;
        for range in text.split([',', ';']).take(64) {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            if let (Ok(first), Ok(last)) = (first.trim().parse::<u8>(), last.trim().parse::<u8>()) {
                bits |= (first..=last.min(31)).fold(0, |bits, event| bits | 1_u32 << event);
            }
        }
        if bits == 0 { Self::DTMF } else { Self(bits) }
    }
}

impl fmt::Display for EventSet {
    /// Writes the events as in `a=fmtp`: `0-15,16` is written `0-16`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut event = 0_u8;
        let mut separator = "";
        while event < 32 {
            if !self.contains(event) {
                event += 1;
                continue;
            }
            let first = event;
            while self.contains(event + 1) {
                event += 1;
            }
            if first == event {
                write!(f, "{separator}{first}")?;
            } else {
                write!(f, "{separator}{first}-{event}")?;
            }
            separator = ",";
            event += 1;
        }
        Ok(())
    }
}

impl fmt::Debug for EventSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventSet({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_sets() {
        for (text, shown) in
            [("0-15", "0-15"), ("0-16", "0-16"), ("0-11,16", "0-11,16"), ("3", "3"), ("5,4,9", "4-5,9")]
        {
            assert_eq!(EventSet::from_fmtp(text).to_string(), shown);
        }
        assert_eq!(EventSet::from_fmtp(" 0-15 "), EventSet::DTMF);
        assert_eq!(EventSet::from_fmtp("0-15,66,70"), EventSet::DTMF);
        assert_eq!(EventSet::from_fmtp("events=0-15"), EventSet::DTMF);
        assert_eq!(EventSet::from_fmtp("15-0"), EventSet::DTMF);
        assert_eq!(EventSet::from_fmtp("0-255").to_string(), "0-31");
        assert_eq!(EventSet::from_fmtp("nonsense"), EventSet::DTMF);
        assert!(EventSet::DTMF_AND_FLASH.contains(16) && !EventSet::DTMF.contains(16));
        assert!(!EventSet::from_fmtp("0-255").contains(200));
    }
}

//! Audio formats with fixed payload types, which need no `a=rtpmap` (RFC 3551, table 4).

use crate::time::PayloadType;

/// An audio format with a fixed payload type (RFC 3551, table 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct StaticFormat {
    /// Payload type.
    pub payload_type: PayloadType,
    /// Encoding name, as `a=rtpmap` would have it.
    pub name: &'static str,
    /// Rate of the RTP timestamps, in Hz.
    pub clock_hz: u32,
    /// Number of channels.
    pub channels: u8,
}

impl StaticFormat {
    /// All of them, in the order of their payload types.
    pub const ALL: [Self; 17] = [
        Self::of(0, "PCMU", 8_000, 1),
        Self::of(3, "GSM", 8_000, 1),
        Self::of(4, "G723", 8_000, 1),
        Self::of(5, "DVI4", 8_000, 1),
        Self::of(6, "DVI4", 16_000, 1),
        Self::of(7, "LPC", 8_000, 1),
        Self::of(8, "PCMA", 8_000, 1),
        Self::of(9, "G722", 8_000, 1),
        Self::of(10, "L16", 44_100, 2),
        Self::of(11, "L16", 44_100, 1),
        Self::of(12, "QCELP", 8_000, 1),
        Self::of(13, "CN", 8_000, 1),
        Self::of(14, "MPA", 90_000, 1),
        Self::of(15, "G728", 8_000, 1),
        Self::of(16, "DVI4", 11_025, 1),
        Self::of(17, "DVI4", 22_050, 1),
        Self::of(18, "G729", 8_000, 1),
    ];

    const fn of(number: u8, name: &'static str, clock_hz: u32, channels: u8) -> Self {
        Self { payload_type: PayloadType::from_low_bits(number), name, clock_hz, channels }
    }

    /// The format with this payload type; `None` if the payload type is not fixed.
    pub fn find(payload_type: PayloadType) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.payload_type == payload_type)
    }
}

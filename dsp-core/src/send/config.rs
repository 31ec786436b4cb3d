//! How a sender is made, what it counts, and its errors: plain data.

use core::fmt;

use crate::codec::{EncodeError, Frames};
use crate::time::{PayloadType, RtpTime, Seq, Ssrc};
use crate::wire::rtp::WriteError;

/// Settings with which a [`Sender`](super::Sender) is made. SSRC, first sequence number and first timestamp should be random (RFC
/// 3550, 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SenderConfig {
    /// SSRC of the stream.
    pub ssrc: Ssrc,
    /// Sequence number of the first packet. With SRTP it should be below 2^15, so that no receiver misses the first
    /// wrap (RFC 4568, 6.4).
    pub first_seq: Seq,
    /// Timestamp of the first sample.
    pub first_timestamp: RtpTime,
    /// Payload type of the packets.
    pub payload_type: PayloadType,
    /// Packet length, 5 to 120 ms; it must be one of the encoder's ([`Encoder::frames`](crate::codec::Encoder::frames)).
    pub ptime_ms: u32,
}

/// Why no packet was written. The samples of the packet are gone; the next call takes the next ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SendError {
    /// The encoder refused the samples.
    Encode(EncodeError),
    /// The datagram buffer is too small for the header.
    Write(WriteError),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encode(_) => write!(f, "the frame could not be encoded"),
            Self::Write(_) => write!(f, "the packet could not be written"),
        }
    }
}

impl core::error::Error for SendError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Encode(error) => Some(error),
            Self::Write(error) => Some(error),
        }
    }
}

/// Why packets cannot have the length that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PacketLengthError {
    /// The length is not between 5 and 120 ms.
    OutOfRange {
        /// Length that was asked for, in ms.
        ms: u32,
    },
    /// The encoder has no frames of this length.
    NoFrame {
        /// Length that was asked for, in ms.
        ms: u32,
        /// Lengths that the encoder has.
        frames: Frames,
    },
    /// The sender has no room for the samples of one packet.
    NoRoom {
        /// Samples of one packet, all channels together.
        need: usize,
        /// Samples that there is room for.
        got: usize,
    },
}

impl fmt::Display for PacketLengthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange { ms } => write!(f, "packets of {ms} ms; 5 to 120 ms are possible"),
            Self::NoFrame { ms, frames } => write!(f, "packets of {ms} ms; this codec has packets {frames}"),
            Self::NoRoom { need, got } => write!(f, "a packet of {need} samples, room for {got}"),
        }
    }
}

impl core::error::Error for PacketLengthError {}

/// Counters of what was sent, as a sender report has them (RFC 3550, 6.4.1). All wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SendStats {
    /// RTP packets.
    pub packets: u32,
    /// Bytes of payload.
    pub octets: u32,
    /// Packets among them that describe comfort noise.
    pub noise_packets: u32,
    /// Packets among them that report telephone events.
    pub event_packets: u32,
}

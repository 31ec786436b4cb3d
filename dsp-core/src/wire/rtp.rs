//! RTP packets: a checked view of received bytes, and a writer of headers (RFC 3550, 5.1 and 5.3.1).
//!
//! Use it for the format alone; [`Receiver`](crate::receive::Receiver) and [`Sender`](crate::send::Sender) contain it.
//! [`RtpPacket::parse`] checks every length once, so that no accessor can fail, and copies nothing. [`RtpHeader`]
//! writes a header in front of a payload. Timestamps are in ticks of the payload format's RTP clock, lengths in bytes.
//! A packet takes a few comparisons and shifts, whatever its length: 1.1 ns to parse and 1.8 ns to write on a host
//! (`BENCHMARKS.md`).
//!
//! A packet, written and read:
//!
//! ```
//! use dsp_core::time::{PayloadType, RtpTime, Seq, Ssrc};
//! use dsp_core::wire::rtp::{ParseError, RtpHeader, RtpPacket};
//!
//! let header = RtpHeader {
//!     marker: true,
//!     payload_type: PayloadType::PCMA,
//!     seq: Seq(65_535),
//!     timestamp: RtpTime(160),
//!     ssrc: Ssrc(0x1234_5678),
//!     csrcs: &[],
//!     extension: None,
//! };
//! let mut datagram = [0; 172];
//! let len = header.write_packet(&[0xd5; 160], &mut datagram)?;
//! let packet = RtpPacket::parse(&datagram[..len])?;
//! assert_eq!((packet.seq(), packet.timestamp(), packet.marker()), (Seq(65_535), RtpTime(160), true));
//! assert_eq!(packet.payload(), [0xd5; 160]);
//! assert_eq!(RtpPacket::parse(&datagram[..5]).err(), Some(ParseError::Truncated { need: 12, got: 5 }));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use core::fmt;

use crate::time::{PayloadType, RtpTime, Seq, Ssrc};

/// Length of the fixed header, in bytes.
pub const FIXED_HEADER_LEN: usize = 12;
/// Greatest number of contributing sources in a header.
pub const MAX_CSRCS: usize = 15;

const VERSION: u8 = 2;
const PADDING_BIT: u8 = 0x20;
const EXTENSION_BIT: u8 = 0x10;

/// Why bytes are not an RTP packet. The datagram should be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ParseError {
    /// The fixed header, the CSRC list or the header extension reaches beyond the datagram.
    Truncated {
        /// Bytes that the fields read so far need.
        need: usize,
        /// Bytes that were given.
        got: usize,
    },
    /// The version is this one, and not 2.
    Version(u8),
    /// The padding count is 0, or the padding would reach into the header.
    Padding {
        /// Padding count: the last byte of the packet.
        count: u8,
        /// Bytes behind the header.
        available: usize,
    },
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Truncated { need, got } => write!(f, "{got} bytes, an RTP header of at least {need} announced"),
            Self::Version(version) => write!(f, "RTP version {version}"),
            Self::Padding { count, available } => write!(f, "padding of {count} bytes in {available}"),
        }
    }
}

impl core::error::Error for ParseError {}

/// A checked view of one RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpPacket<'a> {
    bytes: &'a [u8],
    fixed: &'a [u8; FIXED_HEADER_LEN],
    timestamp: RtpTime,
    header_len: usize,
    payload_end: usize,
}

impl<'a> RtpPacket<'a> {
    /// Checks version, CSRC count, length of the extension and padding count against the length of the datagram.
    ///
    /// # Errors
    /// Returns a [`ParseError`] that says which of these does not fit.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let got = bytes.len();
        let Some(fixed) = bytes.first_chunk::<FIXED_HEADER_LEN>() else {
            return Err(ParseError::Truncated { need: FIXED_HEADER_LEN, got });
        };
        let first = fixed[0];
        if first >> 6 != VERSION {
            return Err(ParseError::Version(first >> 6));
        }
        let mut header_len = FIXED_HEADER_LEN + 4 * usize::from(first & 0x0f);
        if first & EXTENSION_BIT != 0 {
            let Some(&[_, _, high, low]) = bytes.get(header_len..).and_then(|rest| rest.first_chunk::<4>()) else {
                return Err(ParseError::Truncated { need: header_len + 4, got });
            };
            header_len += 4 + 4 * usize::from(u16::from_be_bytes([high, low]));
        }
        if header_len > got {
            return Err(ParseError::Truncated { need: header_len, got });
        }
        let mut payload_end = got;
        if first & PADDING_BIT != 0 {
            let available = got - header_len;
            let count = bytes[got - 1];
            if count == 0 || usize::from(count) > available {
                return Err(ParseError::Padding { count, available });
            }
            payload_end -= usize::from(count);
        }
        let [_, _, _, _, a, b, c, d, ..] = *fixed;
        let timestamp = RtpTime(u32::from_be_bytes([a, b, c, d]));
        Ok(Self { bytes, fixed, timestamp, header_len, payload_end })
    }

    /// The packet with another timestamp, as if its sender had another clock.
    #[inline]
    pub const fn with_timestamp(self, timestamp: RtpTime) -> Self {
        Self { timestamp, ..self }
    }

    /// Marker bit: with audio, the first packet of a talk spurt (RFC 3551, 4.1).
    #[inline]
    pub const fn marker(&self) -> bool {
        self.fixed[1] & 0x80 != 0
    }

    /// Payload type.
    #[inline]
    pub const fn payload_type(&self) -> PayloadType {
        PayloadType::from_low_bits(self.fixed[1])
    }

    /// Sequence number.
    #[inline]
    pub const fn seq(&self) -> Seq {
        Seq(u16::from_be_bytes([self.fixed[2], self.fixed[3]]))
    }

    /// Timestamp of the first sample in the payload.
    #[inline]
    pub const fn timestamp(&self) -> RtpTime {
        self.timestamp
    }

    /// Synchronisation source (SSRC).
    #[inline]
    pub const fn ssrc(&self) -> Ssrc {
        let [.., a, b, c, d] = *self.fixed;
        Ssrc(u32::from_be_bytes([a, b, c, d]))
    }

    /// Contributing sources (CSRC), at most 15.
    pub fn csrcs(&self) -> impl ExactSizeIterator<Item = Ssrc> + 'a {
        let count = usize::from(self.fixed[0] & 0x0f);
        let list = &self.bytes[FIXED_HEADER_LEN..FIXED_HEADER_LEN + 4 * count];
        list.as_chunks().0.iter().map(|&csrc| Ssrc(u32::from_be_bytes(csrc)))
    }

    /// Header extension, if there is one.
    pub fn extension(&self) -> Option<RtpExtension<'a>> {
        if self.fixed[0] & EXTENSION_BIT == 0 {
            return None;
        }
        let start = FIXED_HEADER_LEN + 4 * usize::from(self.fixed[0] & 0x0f);
        let (&[high, low, _, _], data) = self.bytes[start..self.header_len].split_first_chunk::<4>()?;
        Some(RtpExtension { profile: u16::from_be_bytes([high, low]), data })
    }

    /// Payload, without padding. It may be empty.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        self.bytes.get(self.header_len..self.payload_end).unwrap_or_default()
    }

    /// Length of everything in front of the payload: fixed header, CSRC list and extension, in bytes.
    #[inline]
    pub const fn header_len(&self) -> usize {
        self.header_len
    }

    /// Length of the padding behind the payload, including the count itself: 0 to 255 bytes.
    #[inline]
    pub const fn padding(&self) -> usize {
        self.bytes.len() - self.payload_end
    }
}

/// A header extension (RFC 3550, 5.3.1; its elements are those of RFC 8285).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RtpExtension<'a> {
    /// The first 16 bits, which the profile defines: `0xBEDE` for the one-byte elements of RFC 8285.
    pub profile: u16,
    /// The data behind the 4-byte extension header: a multiple of 4 bytes, at most 4 * 65535.
    pub data: &'a [u8],
}

/// Why an RTP packet could not be written. The buffer has no usable content then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum WriteError {
    /// The buffer is too small.
    OutputTooSmall {
        /// Bytes needed.
        need: usize,
        /// Bytes that were given.
        got: usize,
    },
    /// There are this many contributing sources, more than 15.
    TooManyCsrcs(usize),
    /// The extension's data has this length, which is not a multiple of 4 bytes or above 4 * 65535.
    ExtensionLength(usize),
    /// The packet to pad is shorter than a header, or has padding already.
    CannotPad,
    /// The packet to extend is not an RTP packet, or has contributing sources or an extension already.
    CannotExtend,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::OutputTooSmall { need, got } => write!(f, "buffer of {got} bytes, {need} needed"),
            Self::TooManyCsrcs(count) => write!(f, "{count} contributing sources, a header holds {MAX_CSRCS}"),
            Self::ExtensionLength(len) => write!(f, "a header extension can't have {len} bytes"),
            Self::CannotPad => write!(f, "padding needs a packet that has none yet"),
            Self::CannotExtend => write!(f, "a header is extended once, and of a packet"),
        }
    }
}

impl core::error::Error for WriteError {}

/// The fields of an RTP header that is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RtpHeader<'a> {
    /// Marker bit: with audio, the first packet of a talk spurt.
    pub marker: bool,
    /// Payload type.
    pub payload_type: PayloadType,
    /// Sequence number.
    pub seq: Seq,
    /// Timestamp of the first sample in the payload.
    pub timestamp: RtpTime,
    /// Synchronisation source (SSRC).
    pub ssrc: Ssrc,
    /// Contributing sources (CSRC), at most 15.
    pub csrcs: &'a [Ssrc],
    /// Header extension.
    pub extension: Option<RtpExtension<'a>>,
}

impl RtpHeader<'_> {
    /// Number of bytes that [`write`](Self::write) needs.
    pub const fn header_len(&self) -> usize {
        let extension = match self.extension {
            Some(extension) => 4 + extension.data.len(),
            None => 0,
        };
        FIXED_HEADER_LEN + 4 * self.csrcs.len() + extension
    }

    /// Writes the header to the front of `out` and returns its length. The payload behind it may be there already, or
    /// be written later.
    ///
    /// # Errors
    /// Returns [`WriteError::TooManyCsrcs`] for more than 15 contributing sources, [`WriteError::ExtensionLength`] for
    /// an extension that is not whole words of 32 bits or too long, and [`WriteError::OutputTooSmall`] if `out` is too
    /// small.
    #[inline]
    pub fn write(&self, out: &mut [u8]) -> Result<usize, WriteError> {
        if self.csrcs.len() > MAX_CSRCS {
            return Err(WriteError::TooManyCsrcs(self.csrcs.len()));
        }
        if let Some(extension) = self.extension
            && (extension.data.len() % 4 != 0 || extension.data.len() / 4 > usize::from(u16::MAX))
        {
            return Err(WriteError::ExtensionLength(extension.data.len()));
        }
        let (need, got) = (self.header_len(), out.len());
        let too_small = WriteError::OutputTooSmall { need, got };
        let (fixed, rest) = out.split_first_chunk_mut::<FIXED_HEADER_LEN>().ok_or(too_small)?;
        let variable = rest.get_mut(..need - FIXED_HEADER_LEN).ok_or(too_small)?;

        let extension_bit = if self.extension.is_some() { EXTENSION_BIT } else { 0 };
        fixed[0] = VERSION << 6 | extension_bit | self.csrcs.len() as u8;
        fixed[1] = u8::from(self.marker) << 7 | self.payload_type.get();
        fixed[2..4].copy_from_slice(&self.seq.0.to_be_bytes());
        fixed[4..8].copy_from_slice(&self.timestamp.0.to_be_bytes());
        fixed[8..12].copy_from_slice(&self.ssrc.0.to_be_bytes());

        let (csrcs, extension_out) = variable.split_at_mut(4 * self.csrcs.len());
        for (slot, csrc) in csrcs.as_chunks_mut().0.iter_mut().zip(self.csrcs) {
            *slot = csrc.0.to_be_bytes();
        }
        if let Some(extension) = self.extension {
            let (head, data) = extension_out.split_at_mut(4);
            head[..2].copy_from_slice(&extension.profile.to_be_bytes());
            head[2..].copy_from_slice(&((extension.data.len() / 4) as u16).to_be_bytes());
            data.copy_from_slice(extension.data);
        }
        Ok(need)
    }

    /// Writes header and payload to the front of `out` and returns the length of the packet.
    ///
    /// # Errors
    /// Returns a [`WriteError`] for the reasons of [`write`](Self::write).
    pub fn write_packet(&self, payload: &[u8], out: &mut [u8]) -> Result<usize, WriteError> {
        let need = self.header_len() + payload.len();
        if out.len() < need {
            return Err(WriteError::OutputTooSmall { need, got: out.len() });
        }
        let start = self.write(out)?;
        out[start..need].copy_from_slice(payload);
        Ok(need)
    }
}

/// Inserts contributing sources and a header extension into the packet in the first `len` bytes of `datagram`, which
/// must have neither yet, and returns the new length. Everything behind the fixed header moves back. Use it for what
/// is known only when a packet is sent: its transport-wide number, its send time or its level.
///
/// # Errors
/// Returns [`WriteError::CannotExtend`] if it is not such a packet, and the errors of [`RtpHeader::write`]. Nothing
/// has changed then.
pub fn extend_header(
    datagram: &mut [u8],
    len: usize,
    csrcs: &[Ssrc],
    extension: Option<RtpExtension<'_>>,
) -> Result<usize, WriteError> {
    let packet = datagram.get(..len).and_then(|packet| RtpPacket::parse(packet).ok());
    let packet = packet.filter(|packet| packet.header_len() == FIXED_HEADER_LEN).ok_or(WriteError::CannotExtend)?;
    let header = RtpHeader {
        marker: packet.marker(),
        payload_type: packet.payload_type(),
        seq: packet.seq(),
        timestamp: packet.timestamp(),
        ssrc: packet.ssrc(),
        csrcs,
        extension,
    };
    let padded = packet.padding() > 0;
    let (start, got) = (header.header_len(), datagram.len());
    let need = start + len - FIXED_HEADER_LEN;
    if need > got {
        return Err(WriteError::OutputTooSmall { need, got });
    }
    if csrcs.len() > MAX_CSRCS {
        return Err(WriteError::TooManyCsrcs(csrcs.len()));
    }
    if let Some(extension) = extension
        && (extension.data.len() % 4 != 0 || extension.data.len() / 4 > usize::from(u16::MAX))
    {
        return Err(WriteError::ExtensionLength(extension.data.len()));
    }
    datagram.copy_within(FIXED_HEADER_LEN..len, start);
    header.write(datagram)?;
    datagram[0] |= if padded { PADDING_BIT } else { 0 };
    Ok(need)
}

/// Adds `count` bytes of padding, 1 to 255, behind the packet in `buffer[..len]`, sets the padding bit and returns the
/// new length. A `count` of 0 changes nothing.
///
/// # Errors
/// Returns [`WriteError::CannotPad`] if the packet has padding already or is shorter than a header, and
/// [`WriteError::OutputTooSmall`] if `buffer` has no room for the padding.
pub fn append_padding(buffer: &mut [u8], len: usize, count: u8) -> Result<usize, WriteError> {
    let got = buffer.len();
    let need = len.saturating_add(usize::from(count));
    if need > got {
        return Err(WriteError::OutputTooSmall { need, got });
    }
    if count == 0 {
        return Ok(len);
    }
    if len < FIXED_HEADER_LEN || buffer[0] & PADDING_BIT != 0 {
        return Err(WriteError::CannotPad);
    }
    buffer[0] |= PADDING_BIT;
    buffer[len..need].fill(0);
    buffer[need - 1] = count;
    Ok(need)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> RtpHeader<'static> {
        RtpHeader {
            marker: true,
            payload_type: PayloadType::PCMA,
            seq: Seq(0x1234),
            timestamp: RtpTime(0x5678_9abc),
            ssrc: Ssrc(0xdead_beef),
            csrcs: &[Ssrc(1), Ssrc(0x0203_0405)],
            extension: Some(RtpExtension { profile: 0xbede, data: &[9, 8, 7, 6] }),
        }
    }

    #[test]
    fn bytes_of_a_full_header() {
        let mut out = [0; 64];
        let len = header().write_packet(&[0xaa, 0xbb], &mut out).unwrap();
        let len = append_padding(&mut out, len, 3).unwrap();
        assert_eq!(
            out[..len],
            [
                0xb2, 0x88, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 1, 2, 3, 4, 5, 0xbe,
                0xde, 0, 1, 9, 8, 7, 6, 0xaa, 0xbb, 0, 0, 3
            ]
        );
        let packet = RtpPacket::parse(&out[..len]).unwrap();
        assert!(packet.marker());
        assert_eq!(packet.payload_type(), PayloadType::PCMA);
        assert_eq!((packet.seq(), packet.timestamp()), (Seq(0x1234), RtpTime(0x5678_9abc)));
        assert_eq!(packet.ssrc(), Ssrc(0xdead_beef));
        assert!(packet.csrcs().eq([Ssrc(1), Ssrc(0x0203_0405)]));
        assert_eq!(packet.extension(), header().extension);
        assert_eq!((packet.payload(), packet.padding(), packet.header_len()), (&[0xaa, 0xbb][..], 3, 28));
    }

    #[test]
    fn every_cut_of_the_header_is_an_error() {
        let mut out = [0; 28];
        assert_eq!(header().write(&mut out), Ok(28));
        for len in 0..28 {
            assert!(matches!(RtpPacket::parse(&out[..len]), Err(ParseError::Truncated { got, .. }) if got == len));
            assert!(matches!(
                header().write(&mut out[..len].to_vec()),
                Err(WriteError::OutputTooSmall { need: 28, .. })
            ));
        }
        assert!(RtpPacket::parse(&out).unwrap().payload().is_empty());
    }

    #[test]
    fn padding_counts() {
        let mut bytes = [0u8; 16];
        bytes[0] = 0xa0;
        assert_eq!(RtpPacket::parse(&bytes), Err(ParseError::Padding { count: 0, available: 4 }));
        bytes[15] = 5;
        assert_eq!(RtpPacket::parse(&bytes), Err(ParseError::Padding { count: 5, available: 4 }));
        bytes[15] = 4;
        assert!(RtpPacket::parse(&bytes).unwrap().payload().is_empty());
        // A padding bit on a bare header: the last byte is the SSRC's.
        bytes[11] = 1;
        assert_eq!(RtpPacket::parse(&bytes[..12]), Err(ParseError::Padding { count: 1, available: 0 }));
        assert_eq!(append_padding(&mut bytes, 12, 4), Err(WriteError::CannotPad));
        assert_eq!(
            append_padding(&mut bytes, usize::MAX, 4),
            Err(WriteError::OutputTooSmall { need: usize::MAX, got: 16 })
        );
    }

    #[test]
    fn impossible_headers_are_refused() {
        let mut out = [0; 100];
        let csrcs = [Ssrc(0); 16];
        assert_eq!(RtpHeader { csrcs: &csrcs, ..header() }.write(&mut out), Err(WriteError::TooManyCsrcs(16)));
        let extension = Some(RtpExtension { profile: 0, data: &[0; 5] });
        assert_eq!(RtpHeader { extension, ..header() }.write(&mut out), Err(WriteError::ExtensionLength(5)));
        assert_eq!(RtpPacket::parse(&[0x40; 12]), Err(ParseError::Version(1)));
    }

    #[test]
    fn a_header_is_extended_behind_what_was_written() {
        let header =
            RtpHeader { marker: true, seq: Seq(7), ssrc: Ssrc(9), timestamp: RtpTime(5), ..Default::default() };
        let (csrcs, data) = ([Ssrc(1), Ssrc(2)], [0x10, 0xaa, 0, 0]);
        let extension = Some(RtpExtension { profile: 0xbede, data: &data });
        let mut bytes = [0; 128];
        let len = header.write_packet(b"payload", &mut bytes).unwrap();
        let before = bytes;
        let short = extend_header(&mut bytes[..len + 15], len, &csrcs, extension);
        assert_eq!(short, Err(WriteError::OutputTooSmall { need: len + 16, got: len + 15 }));
        assert_eq!(extend_header(&mut bytes, len, &[Ssrc(0); 16], None), Err(WriteError::TooManyCsrcs(16)));
        let odd = Some(RtpExtension { profile: 0xbede, data: &data[..3] });
        assert_eq!(extend_header(&mut bytes, len, &csrcs, odd), Err(WriteError::ExtensionLength(3)));
        assert_eq!(extend_header(&mut bytes, 11, &csrcs, None), Err(WriteError::CannotExtend));
        assert_eq!(bytes, before, "what fails changes nothing");

        let len = append_padding(&mut bytes, len, 5).unwrap();
        let len = extend_header(&mut bytes, len, &csrcs, extension).unwrap();
        let packet = RtpPacket::parse(&bytes[..len]).unwrap();
        assert!(packet.marker() && packet.csrcs().eq(csrcs));
        assert_eq!((packet.seq(), packet.ssrc(), packet.timestamp()), (Seq(7), Ssrc(9), RtpTime(5)));
        assert_eq!((packet.extension(), packet.payload(), packet.padding()), (extension, &b"payload"[..], 5));
        assert_eq!(extend_header(&mut bytes, len, &[], None), Err(WriteError::CannotExtend));
    }
}

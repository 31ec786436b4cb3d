//! Bytes to fields and back: RTP, RTCP, redundant audio and telephone events, nothing else; and what a datagram is.
//!
//! Demultiplexing of one port follows RFC 7983, 7 (first byte) and RFC 5761, 4 (RTP against RTCP). It looks at two
//! bytes and proves nothing: the parser of the kind found decides whether the datagram is well formed.
//!
//! One socket for everything:
//!
//! ```
//! use dsp_core::wire::DatagramKind;
//!
//! assert_eq!(DatagramKind::of(&[0x80, 0, 0, 1]), DatagramKind::Rtp);
//! assert_eq!(DatagramKind::of(&[0x80, 200, 0, 6]), DatagramKind::Rtcp);
//! // The marker bit and payload type 0 are no RTCP.
//! assert_eq!(DatagramKind::of(&[0x80, 0x80, 0, 1]), DatagramKind::Rtp);
//! assert_eq!(DatagramKind::of(&[0, 1, 0, 0]), DatagramKind::Stun);
//! ```

pub mod event;
pub mod extension;
pub mod red;
pub mod rtcp;
pub mod rtp;

/// What a datagram on a media port is, by its first two bytes (RFC 7983, 7; RFC 5761, 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DatagramKind {
    /// RTP or SRTP: first byte 128-191, second not 192-223.
    Rtp,
    /// RTCP or SRTCP: first byte 128-191, second 192-223, the range that RFC 5761 keeps free of RTP payload types.
    Rtcp,
    /// STUN: first byte 0-3.
    Stun,
    /// DTLS: first byte 20-63.
    Dtls,
    /// Anything else, such as ZRTP, a TURN channel or an empty datagram. To be dropped.
    Unknown,
}

impl DatagramKind {
    /// Classifies one datagram.
    #[inline]
    pub const fn of(datagram: &[u8]) -> Self {
        match *datagram {
            [128..=191, 192..=223, ..] => Self::Rtcp,
            [128..=191, _, ..] => Self::Rtp,
            [0..=3, ..] => Self::Stun,
            [20..=63, ..] => Self::Dtls,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_byte_decides_and_second_tells_rtcp_from_rtp() {
        for first in 0..=255u8 {
            for second in 0..=255u8 {
                let expected = match first {
                    0..=3 => DatagramKind::Stun,
                    20..=63 => DatagramKind::Dtls,
                    128..=191 if (64..96).contains(&(second & 0x7f)) && second >= 128 => DatagramKind::Rtcp,
                    128..=191 => DatagramKind::Rtp,
                    _ => DatagramKind::Unknown,
                };
                assert_eq!(DatagramKind::of(&[first, second]), expected, "{first} {second}");
            }
        }
        assert_eq!(DatagramKind::of(&[]), DatagramKind::Unknown);
        assert_eq!(DatagramKind::of(&[0x80]), DatagramKind::Unknown);
    }
}

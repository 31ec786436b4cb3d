//! Guards: protect and unprotect one datagram in place, one line outside the receiver and the sender.
//!
//! [`Plain`] passes everything, [`Unkeyed`] nothing; `srtp` (feature `srtp`) is SRTP and SRTCP.
//!
//! A receiver and a sender know nothing of guards: a program calls [`unprotect_rtp`](PacketGuard::unprotect_rtp) before it
//! parses a datagram and [`protect_rtp`](PacketGuard::protect_rtp) behind the last byte that it writes, with room for
//! [`max_growth`](PacketGuard::max_growth) more. Implement [`PacketGuard`] where keys or protection come from elsewhere. Cost
//! and delay: none of `Plain` and `Unkeyed`; those of SRTP (RFC 3711) stand on its page.
//!
//! A guard of one's own, here one that finds damage and keeps out nobody: a byte behind the packet makes the sum of all bytes
//! zero.
//!
//! ```
//! use dsp_core::guard::{GuardError, PacketGuard};
//!
//! struct Checksum;
//!
//! impl PacketGuard for Checksum {
//!     fn max_growth(&self) -> usize {
//!         1
//!     }
//!     fn protect_rtp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, GuardError> {
//!         let too_small = GuardError::OutputTooSmall { need: len + 1, got: buffer.len() };
//!         let [packet @ .., check] = buffer.get_mut(..=len).ok_or(too_small)? else { return Err(GuardError::Malformed) };
//!         *check = packet.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte));
//!         Ok(len + 1)
//!     }
//!     fn protect_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, GuardError> {
//!         self.protect_rtp(buffer, len)
//!     }
//!     fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, GuardError> {
//!         match packet.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) {
//!             0 => packet.len().checked_sub(1).ok_or(GuardError::Malformed),
//!             _ => Err(GuardError::Authentication),
//!         }
//!     }
//!     fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, GuardError> {
//!         self.unprotect_rtp(packet)
//!     }
//! }
//!
//! let mut datagram = *b"packet ";
//! let len = Checksum.protect_rtp(&mut datagram, 6)?;
//! assert_eq!(Checksum.unprotect_rtp(&mut datagram[..len]), Ok(6));
//! datagram[0] ^= 1;
//! assert_eq!(Checksum.unprotect_rtp(&mut datagram[..len]), Err(GuardError::Authentication));
//! # Ok::<(), GuardError>(())
//! ```

use core::fmt;

#[cfg(feature = "srtp")]
pub mod srtp;

/// Why a datagram was not protected or unprotected. The datagram is to be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum GuardError {
    /// Too short, or not an RTP or RTCP packet at all.
    Malformed,
    /// The authentication tag does not match: forged, damaged or another key.
    Authentication,
    /// The packet names another key than the present one.
    OtherKey,
    /// A packet with this index was accepted (or sent) before, or the index is older than the replay window.
    Replayed,
    /// The buffer has no room for the tag.
    OutputTooSmall {
        /// Bytes needed.
        need: usize,
        /// Bytes given.
        got: usize,
    },
    /// The key has protected as many packets as its lifetime allows (RFC 3711, 9.2).
    KeyExpired,
    /// A new source, and the key has had as many as can be told apart from replays: another key is needed.
    TooManySources,
    /// There are no keys yet.
    Unkeyed,
}

impl fmt::Display for GuardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Malformed => write!(f, "not an RTP or RTCP packet"),
            Self::Authentication => write!(f, "authentication failed"),
            Self::OtherKey => write!(f, "another key's identifier"),
            Self::Replayed => write!(f, "replayed or too old"),
            Self::OutputTooSmall { need, got } => write!(f, "buffer of {got} bytes, {need} needed"),
            Self::KeyExpired => write!(f, "the key's lifetime is over"),
            Self::TooManySources => write!(f, "too many sources under one key"),
            Self::Unkeyed => write!(f, "no keys yet"),
        }
    }
}

impl core::error::Error for GuardError {}

/// Protects and unprotects datagrams in place. `len` is the length of the packet within `buffer`; the result is the
/// length afterwards. After an error the packet is as it was and the guard unchanged.
pub trait PacketGuard {
    /// The most bytes that protection adds to a packet.
    fn max_growth(&self) -> usize;
    /// Protects an outgoing RTP packet.
    fn protect_rtp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, GuardError>;
    /// Protects an outgoing RTCP compound packet.
    fn protect_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, GuardError>;
    /// Checks and decrypts an incoming RTP packet.
    fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, GuardError>;
    /// Checks and decrypts an incoming RTCP packet.
    fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, GuardError>;
}

/// No protection: plain RTP/AVP.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl PacketGuard for Plain {
    fn max_growth(&self) -> usize {
        0
    }
    fn protect_rtp(&mut self, _buffer: &mut [u8], len: usize) -> Result<usize, GuardError> {
        Ok(len)
    }
    fn protect_rtcp(&mut self, _buffer: &mut [u8], len: usize) -> Result<usize, GuardError> {
        Ok(len)
    }
    fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, GuardError> {
        Ok(packet.len())
    }
    fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, GuardError> {
        Ok(packet.len())
    }
}

/// No keys yet: nothing passes, in either direction, until another guard takes its place.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unkeyed;

impl PacketGuard for Unkeyed {
    fn max_growth(&self) -> usize {
        0
    }

    fn protect_rtp(&mut self, _buffer: &mut [u8], _len: usize) -> Result<usize, GuardError> {
        Err(GuardError::Unkeyed)
    }

    fn protect_rtcp(&mut self, _buffer: &mut [u8], _len: usize) -> Result<usize, GuardError> {
        Err(GuardError::Unkeyed)
    }

    fn unprotect_rtp(&mut self, _packet: &mut [u8]) -> Result<usize, GuardError> {
        Err(GuardError::Unkeyed)
    }

    fn unprotect_rtcp(&mut self, _packet: &mut [u8]) -> Result<usize, GuardError> {
        Err(GuardError::Unkeyed)
    }
}

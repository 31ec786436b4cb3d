//! Guards: they protect a datagram before it is sent, and check and decrypt it after it was received, in place.
//!
//! [`Plain`] lets everything pass, [`Unkeyed`] nothing. The module `srtp` (cargo feature `srtp`, on by default) is
//! SRTP and SRTCP (RFC 3711).
//!
//! A receiver and a sender do not know about guards. A program calls [`unprotect_rtp`](PacketGuard::unprotect_rtp)
//! before it passes a datagram to the receiver, and [`protect_rtp`](PacketGuard::protect_rtp) on each datagram that
//! the sender wrote, with [`max_growth`](PacketGuard::max_growth) bytes of room behind it. Implement [`PacketGuard`]
//! where the protection is another or is done elsewhere, in hardware for example. `Plain` and `Unkeyed` take no time;
//! the cost of SRTP is on its page.
//!
//! A guard that detects damage, but keeps nobody out, with a byte behind the packet that makes the sum of all bytes
//! zero:
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

/// Why a datagram could not be protected or unprotected. The caller drops the datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum GuardError {
    /// The datagram is too short, or not RTP or RTCP.
    Malformed,
    /// The authentication tag does not match: the packet is forged, damaged, or under another key.
    Authentication,
    /// The packet carries the identifier of another key (MKI) than the present one.
    OtherKey,
    /// A packet with this index was accepted (or sent) before, or the index is older than the replay window.
    Replayed,
    /// The buffer has no room for the packet and its tag.
    OutputTooSmall {
        /// Bytes needed.
        need: usize,
        /// Bytes given.
        got: usize,
    },
    /// The key has protected as many packets as its lifetime allows (RFC 3711, 9.2).
    KeyExpired,
    /// The packet has a new SSRC, and the key has had as many as can be told apart from replays. Another key is
    /// needed.
    TooManySources,
    /// No keys are set yet.
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

/// Protects outgoing datagrams and unprotects incoming ones, in place. After an error, the packet and the guard are as
/// they were.
///
/// [`Plain`], [`Unkeyed`] and `srtp::Srtp` implement it; [the module's page](self) shows how to write another. A
/// program can keep any of them behind `dyn PacketGuard`:
///
/// ```
/// use dsp_core::guard::{GuardError, PacketGuard, Plain, Unkeyed};
///
/// /// Protects what a sender wrote, and returns the datagram.
/// fn protected<'a>(guard: &mut dyn PacketGuard, buffer: &'a mut [u8], len: usize) -> Result<&'a [u8], GuardError> {
///     let len = guard.protect_rtp(buffer, len)?;
///     Ok(&buffer[..len])
/// }
///
/// let mut buffer = [0x80; 200];
/// // While the keys are being exchanged, nothing leaves.
/// let mut guard: Box<dyn PacketGuard> = Box::new(Unkeyed);
/// assert_eq!(protected(&mut *guard, &mut buffer, 172), Err(GuardError::Unkeyed));
/// // Both sides agreed to do without protection.
/// guard = Box::new(Plain);
/// assert_eq!(protected(&mut *guard, &mut buffer, 172)?.len(), 172);
/// # Ok::<(), GuardError>(())
/// ```
pub trait PacketGuard {
    /// Greatest number of bytes that protection adds to a packet.
    fn max_growth(&self) -> usize;
    /// Protects the outgoing RTP packet in the first `len` bytes of `buffer`, and returns its length afterwards.
    ///
    /// # Errors
    /// Returns [`GuardError::OutputTooSmall`] if `buffer` has no room for what is added, [`GuardError::Malformed`] if
    /// the packet is not RTP, and, depending on the guard, [`GuardError::Unkeyed`], [`GuardError::KeyExpired`],
    /// [`GuardError::TooManySources`], or [`GuardError::Replayed`] for an index that was sent before.
    fn protect_rtp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, GuardError>;
    /// Protects the outgoing compound RTCP packet in the first `len` bytes of `buffer`, and returns its length
    /// afterwards.
    ///
    /// # Errors
    /// As for [`protect_rtp`](Self::protect_rtp), with [`GuardError::Malformed`] if the packet is not RTCP.
    fn protect_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, GuardError>;
    /// Checks and decrypts the incoming RTP packet `packet`, and returns its length afterwards.
    ///
    /// # Errors
    /// Returns [`GuardError::Malformed`] if the packet is too short or not RTP, and, depending on the guard,
    /// [`GuardError::Authentication`] if it is forged, damaged or under another key, [`GuardError::OtherKey`],
    /// [`GuardError::Replayed`], [`GuardError::KeyExpired`], [`GuardError::TooManySources`] or
    /// [`GuardError::Unkeyed`].
    fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, GuardError>;
    /// Checks and decrypts the incoming RTCP packet `packet`, and returns its length afterwards.
    ///
    /// # Errors
    /// As for [`unprotect_rtp`](Self::unprotect_rtp), with [`GuardError::Malformed`] if the packet is not RTCP.
    fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, GuardError>;
}

/// No protection: every packet passes as it is (RTP/AVP).
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

/// No keys yet: no packet passes in either direction, until another guard takes its place. Every method returns
/// [`GuardError::Unkeyed`].
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

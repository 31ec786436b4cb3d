//! SDP for a phone without a heap: offers and answers for one stream of audio (RFC 8866, RFC 3264, RFC 4568).
//!
//! [`Local`] describes this side. It writes an [`offer`](Local::offer) or an [`answer`](Local::answer) into a buffer
//! of the caller, and [`accept`](Local::accept)s the answer to its own offer. [`Remote`] reads the text of the other
//! side; it copies nothing and searches the text again for each question. The result is [`Agreed`]: codec, address,
//! direction and SRTP keys.
//!
//! Use it in firmware whose SIP stack carries the text. It takes time in proportion to the length of the text, and no
//! memory besides the buffer. It covers what a simple phone needs: audio codecs without parameters, telephone events,
//! one SRTP key with AES-128 in counter mode, and RTCP on the port of RTP. It does not cover DTLS, ICE, BUNDLE,
//! feedback (AVPF) and codec parameters. A description that requires them is an error; further streams of an offer are
//! refused in the answer.
//!
//! An offer on hold with two codecs is answered with the one that both sides have:
//! ```
//! use dsp_core::sdp::{Direction, Format, Local, Remote};
//! use dsp_core::time::PayloadType;
//!
//! let formats = [Format { name: "PCMU", clock_hz: 8_000, payload_type: PayloadType::PCMU }];
//! let local = Local {
//!     address: [192, 0, 2, 1].into(),
//!     port: 5004,
//!     session: 7,
//!     version: 1,
//!     formats: &formats,
//!     events: PayloadType::new(101),
//!     ptime_ms: 20,
//!     direction: Direction::SendRecv,
//!     key: None,
//! };
//! let offer = "v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\n\
//!              m=audio 4000 RTP/AVP 8 0\r\na=sendonly\r\na=rtcp-mux\r\n";
//! let mut text = [0; 512];
//! let (answer, agreed) = local.answer(&Remote::parse(offer.as_bytes())?, &mut text)?;
//! assert!(answer.contains("m=audio 5004 RTP/AVP 0\r\n") && answer.contains("a=recvonly\r\n"));
//! assert_eq!((agreed.format.name, agreed.port, agreed.events), ("PCMU", 4000, None));
//! # Ok::<(), dsp_core::sdp::SdpError>(())
//! ```

use core::fmt;
use core::net::IpAddr;

use crate::guard::srtp::{MasterKey, SrtpProfile};
use crate::time::PayloadType;

mod base64;
mod crypto;
mod read;
mod static_formats;
#[cfg(test)]
mod tests;
mod write;

pub use crypto::{Crypto, CryptoError};
pub use read::Remote;
pub use static_formats::StaticFormat;

/// Direction of the sound, seen from the side whose description it is (RFC 8866, 6.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Direction {
    /// This side sends and receives.
    #[default]
    SendRecv,
    /// This side only sends: the other side is on hold, or this is an announcement.
    SendOnly,
    /// This side only receives: it is on hold.
    RecvOnly,
    /// This side neither sends nor receives.
    Inactive,
}

impl Direction {
    /// The direction in which sending and receiving are allowed as given.
    pub const fn from_flags(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// Whether this side sends.
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether this side receives.
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The same direction, seen from the other side.
    pub const fn reversed(self) -> Self {
        Self::from_flags(self.receives(), self.sends())
    }

    /// The direction that allows what both allow.
    pub const fn and(self, other: Self) -> Self {
        Self::from_flags(self.sends() && other.sends(), self.receives() && other.receives())
    }

    /// Name of the SDP attribute, such as `sendrecv`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// The direction with this attribute name; `None` if there is none.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::SendRecv, Self::SendOnly, Self::RecvOnly, Self::Inactive]
            .into_iter()
            .find(|direction| direction.name() == name)
    }
}

/// A mono codec without parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Format {
    /// Encoding name as in `a=rtpmap`, such as `G722`.
    pub name: &'static str,
    /// Rate of the RTP timestamps, in Hz.
    pub clock_hz: u32,
    /// Payload type in offers of this side. An answer takes the payload type of the offer.
    pub payload_type: PayloadType,
}

/// What this side offers and accepts.
///
/// ```
/// use dsp_core::sdp::{Direction, Format, Local, Remote};
/// use dsp_core::time::PayloadType;
///
/// let formats = [
///     Format { name: "G722", clock_hz: 8_000, payload_type: PayloadType::G722 },
///     Format { name: "PCMA", clock_hz: 8_000, payload_type: PayloadType::PCMA },
/// ];
/// let local = Local {
///     address: [192, 0, 2, 1].into(),
///     port: 5004,
///     session: 7,
///     version: 1,
///     formats: &formats,
///     events: PayloadType::new(101),
///     ptime_ms: 20,
///     direction: Direction::SendRecv,
///     key: None,
/// };
/// let mut text = [0; 512];
/// let offer = local.offer(&mut text)?;
/// assert!(offer.contains("m=audio 5004 RTP/AVP 9 8 101\r\n"));
///
/// // The other side has PCMA alone, and no telephone events.
/// let answer = "v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n";
/// let agreed = local.accept(&Remote::parse(answer.as_bytes())?)?;
/// assert_eq!((agreed.format.name, agreed.port, agreed.events, agreed.direction), ("PCMA", 4000, None, Direction::SendRecv));
/// # Ok::<(), dsp_core::sdp::SdpError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Local<'a> {
    /// Address to which the other side sends its packets.
    pub address: IpAddr,
    /// Port for RTP and RTCP.
    pub port: u16,
    /// Session number in the `o=` line. It stays the same for the whole call.
    pub session: u64,
    /// Version in the `o=` line: one higher for each text that differs from the one before.
    pub version: u64,
    /// Codecs, best first.
    pub formats: &'a [Format],
    /// Payload type of telephone events in offers, at the clock rate of the codecs; `None` offers none.
    pub events: Option<PayloadType>,
    /// Packet length that this side would like to receive, in ms.
    pub ptime_ms: u32,
    /// Direction that this side wants.
    pub direction: Direction,
    /// Key with which this side protects its packets, for AES-128 in counter mode (RFC 4568, 6.2). With a key, a call
    /// without SRTP is refused; without a key, a call with SRTP is.
    pub key: Option<&'a MasterKey>,
}

/// SRTP keys of both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// Profile for which the keys are made.
    pub profile: SrtpProfile,
    /// Key of this side, for what it sends.
    pub outgoing: MasterKey,
    /// Key of the other side, for what it sends.
    pub incoming: MasterKey,
}

/// What both sides agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// The codec, with the payload type that is used in both directions.
    pub format: Format,
    /// Payload type of telephone events in both directions; `None` if they were not agreed on.
    pub events: Option<PayloadType>,
    /// Address of the other side.
    pub address: IpAddr,
    /// RTP port of the other side.
    pub port: u16,
    /// Whether RTCP goes to the same port. Otherwise the other side expects it at the next port, for which a simple
    /// phone has no socket.
    pub rtcp_mux: bool,
    /// Length of the packets to send, in ms.
    pub ptime_ms: u32,
    /// Direction of the sound, seen from this side.
    pub direction: Direction,
    /// SRTP keys; `None` without SRTP.
    pub keys: Option<Keys>,
}

/// Why there is no agreement, or no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SdpError {
    /// The text is not SDP.
    Malformed,
    /// The description has no open audio stream.
    NoAudio,
    /// The description has no address, or a host name in its place.
    NoAddress,
    /// The two sides have no codec in common.
    NoCodec,
    /// The profile is neither RTP/AVP nor RTP/SAVP.
    Profile,
    /// One side requires SRTP and the other does not use it, or no key of the other side can be used.
    NoKeys,
    /// The text does not fit into the buffer.
    OutputTooSmall {
        /// Bytes that were given.
        got: usize,
    },
}

impl fmt::Display for SdpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => write!(f, "it is no SDP"),
            Self::NoAudio => write!(f, "no open stream of audio"),
            Self::NoAddress => write!(f, "no address of the other side"),
            Self::NoCodec => write!(f, "no codec in common"),
            Self::Profile => write!(f, "a profile other than RTP/AVP and RTP/SAVP"),
            Self::NoKeys => write!(f, "no agreement on SRTP or its keys"),
            Self::OutputTooSmall { got } => write!(f, "the description is longer than {got} bytes"),
        }
    }
}

impl core::error::Error for SdpError {}

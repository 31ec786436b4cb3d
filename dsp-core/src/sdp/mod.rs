//! SDP of a phone without a heap (RFC 8866, RFC 3264, RFC 4568): what it offers and answers, from its configuration, and what
//! the other side said. One stream of audio, its codecs by number, telephone events, one SRTP key, RTCP on the port of RTP.
//!
//! [`Remote`] is a text of the other side: nothing is copied out of it, each question reads it again. [`Local`] is this side:
//! it writes an [`offer`](Local::offer) or an [`answer`](Local::answer) into the caller's buffer, and [`accept`](Local::accept)s
//! the answer to its own offer. Left out is what a phone doesn't have: DTLS, ICE, BUNDLE, feedback (AVPF), codecs with
//! parameters. What needs those is an error, and other streams of an offer are refused in the answer.
//!
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

/// Which ways the sound goes, seen from the side that says it (RFC 8866, 6.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// This side sends: the other side is on hold, or it's an announcement.
    SendOnly,
    /// This side receives: it's on hold.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    /// From what is allowed.
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

    /// The same, seen from the other side.
    pub const fn reversed(self) -> Self {
        Self::from_flags(self.receives(), self.sends())
    }

    /// What both allow.
    pub const fn and(self, other: Self) -> Self {
        Self::from_flags(self.sends() && other.sends(), self.receives() && other.receives())
    }

    /// The attribute's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// By the attribute's name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::SendRecv, Self::SendOnly, Self::RecvOnly, Self::Inactive]
            .into_iter()
            .find(|direction| direction.name() == name)
    }
}

/// A codec without parameters, mono.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Format {
    /// Its name in `a=rtpmap`, such as `G722`.
    pub name: &'static str,
    /// Rate of the RTP timestamps in Hz.
    pub clock_hz: u32,
    /// Its number in offers. An answer has that of the offer.
    pub payload_type: PayloadType,
}

/// This side.
#[derive(Clone, Copy, Debug)]
pub struct Local<'a> {
    /// Where packets are to be sent to.
    pub address: IpAddr,
    /// The port of RTP and RTCP.
    pub port: u16,
    /// The number of the session, and of this text in it: one more for each text that differs from the one before.
    pub session: u64,
    /// See [`session`](Self::session).
    pub version: u64,
    /// The codecs, the best first.
    pub formats: &'a [Format],
    /// The number of telephone events in offers, at the clock of the codecs; `None`: without.
    pub events: Option<PayloadType>,
    /// Length of the packets that this side would like to have, in ms.
    pub ptime_ms: u32,
    /// What this side wants.
    pub direction: Direction,
    /// What this side protects its packets with, of AES-128 in counter mode (RFC 4568, 6.2). With one there is no call without
    /// SRTP, and without one none with it.
    pub key: Option<&'a MasterKey>,
}

/// The keys of both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// What they are used with.
    pub profile: SrtpProfile,
    /// This side's.
    pub outgoing: MasterKey,
    /// The other side's.
    pub incoming: MasterKey,
}

/// What both sides agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// The codec; its number is that of both directions.
    pub format: Format,
    /// The number of telephone events both ways.
    pub events: Option<PayloadType>,
    /// Where the other side is.
    pub address: IpAddr,
    /// Its port of RTP.
    pub port: u16,
    /// Whether RTCP goes there too. Otherwise its port is the next one, for which a phone has no socket.
    pub rtcp_mux: bool,
    /// Length of the packets that are sent, in ms.
    pub ptime_ms: u32,
    /// Who sends, as this side sees it.
    pub direction: Direction,
    /// The keys of SRTP.
    pub keys: Option<Keys>,
}

/// Why there is no agreement, or no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SdpError {
    /// It isn't SDP.
    Malformed,
    /// There is no stream of audio that is open.
    NoAudio,
    /// There is no address of the other side, or it has a name in its place.
    NoAddress,
    /// None of its codecs is one of ours.
    NoCodec,
    /// Its profile is neither RTP/AVP nor RTP/SAVP.
    Profile,
    /// One side wants SRTP and the other doesn't, or no key of theirs can be used.
    NoKeys,
    /// The buffer has no room for the text.
    OutputTooSmall {
        /// Bytes given.
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

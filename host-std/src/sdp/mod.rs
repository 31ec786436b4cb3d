//! SDP offer and answer for one audio stream, as pure functions from text to text: no I/O, no clock, no state.
//!
//! Offer/answer follows RFC 3264, the text RFC 8866, `a=rtcp` RFC 3605, `a=rtcp-mux` RFC 5761, `a=crypto` RFC 4568
//! (in RTP/SAVP, or beside plain RTP/AVP as RFC 8643 has it), telephone events RFC 4733, Opus RFC 7587 and the static
//! payload types RFC 3551. What the field does beyond these texts is taken where it's harmless.
//!
//! The grammar is the crate `sdp-types`. The crate `sdp` was tried first: it refuses a whole description for one
//! stream over `UDPTL`, `TCP/BFCP` or `TCP/MSRP` (fax, slides and chat beside a call), where RFC 3264, 6 wants that
//! stream alone rejected.
//!
//! ```
//! use host_std::sdp::{CodecFormat, LocalMedia, accept, answer, offer};
//!
//! let anna = LocalMedia { rtp_port: 4000, codecs: vec![CodecFormat::opus(), CodecFormat::pcmu()], ..Default::default() };
//! let bert = LocalMedia { rtp_port: 5000, codecs: vec![CodecFormat::pcmu()], ..Default::default() };
//!
//! let offered = offer(&anna)?;
//! let (answered, at_bert) = answer(&bert, &offered)?;
//! let at_anna = accept(&anna, &offered, &answered)?;
//!
//! assert_eq!(at_anna.remote_rtp.port(), 5000);
//! assert_eq!(at_anna.send[0].format.name, "PCMU");
//! assert_eq!(at_anna.send[0].payload_type, at_bert.receive[0].payload_type);
//! # Ok::<(), host_std::sdp::SdpError>(())
//! ```

mod crypto;
mod error;
mod format;
mod negotiate;
mod read;
mod resolve;
mod write;

#[cfg(test)]
mod phones;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

pub use crypto::{CryptoError, CryptoLine, CryptoSuite};
pub use dsp_core::guard::srtp::MasterKey;
pub use error::{Kind, SdpError};
pub use format::{EventSet, NegotiatedCodec, NegotiatedEvents};
pub use negotiate::{accept, answer, offer, offered};
pub(crate) use negotiate::{ip_overhead, offered_ptime_ms};
pub use resolve::resolved;

pub use crate::registry::CodecFormat;
use crate::registry::Registry;

/// The largest description that's read, in bytes.
pub const MAX_SDP_BYTES: usize = 64 * 1024;
/// The most `m=` lines.
pub const MAX_STREAMS: usize = 64;
/// The most lines.
pub const MAX_LINES: usize = 4_096;
/// The most formats of one stream; RTP has 128 payload types.
pub const MAX_FORMATS: usize = 128;

/// The most bytes of an IP packet unless one says otherwise: what passes every tunnel and every network of today.
pub const DEFAULT_MTU: u16 = 1_200;
/// The least MTU that can be set, in bytes: what headers, SRTP and a few bytes of sound take.
pub const MIN_MTU: u16 = 200;

/// What we do: which ways the audio goes, seen from the side that says it (RFC 8866, 6.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// We send: the other side is on hold, or it's an announcement.
    SendOnly,
    /// We receive: we're on hold.
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

    fn from_name(name: &str) -> Option<Self> {
        [Self::SendRecv, Self::SendOnly, Self::RecvOnly, Self::Inactive]
            .into_iter()
            .find(|direction| direction.name() == name)
    }
}

/// How much we want SRTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SrtpPolicy {
    /// Plain RTP only.
    #[default]
    Off,
    /// SRTP if the other side can, else plain RTP: `a=crypto` beside RTP/AVP (RFC 8643). Whoever can change the
    /// description on its way can take the protection away.
    Offered,
    /// SRTP or no call: RTP/SAVP.
    Required,
}

/// Whose order of codecs an answer follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CodecOrder {
    /// The offer's, as RFC 3264, 6.1 recommends.
    #[default]
    Offer,
    /// Ours.
    Ours,
}

/// The `o=` line's names for the session (RFC 8866, 5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionId {
    /// The user, without blanks; `-` for none.
    pub username: String,
    /// The session, the same in all its descriptions. Random numbers below 2^63 suit everybody.
    pub id: u64,
    /// The version of the first description; later ones count from [`LocalMedia::previous`].
    pub version: u64,
}

impl Default for SessionId {
    fn default() -> Self {
        Self { username: "-".into(), id: 1, version: 1 }
    }
}

/// What we have and want: the one input of [`offer`], [`answer`] and [`accept`] besides the texts.
///
/// The default is a plain RTP call at 127.0.0.1 with PCMU and PCMA, 20 ms packets and telephone events; the port has
/// to be set.
#[derive(Clone, PartialEq, Eq)]
pub struct LocalMedia {
    /// Where we receive. The zero address is old-style hold.
    pub address: IpAddr,
    /// Where we receive RTP.
    pub rtp_port: u16,
    /// Where we receive RTCP; `None` is the RTP port plus one.
    pub rtcp_port: Option<u16>,
    /// Our codecs, the best first.
    pub codecs: Vec<CodecFormat>,
    /// What there is to know of codecs: which formats go together, and the packets they have.
    pub registry: Registry,
    /// Whose order an answer follows.
    pub codec_order: CodecOrder,
    /// The packet length we like to receive, 10-60 ms in steps of ten.
    pub ptime_ms: u32,
    /// The longest packet we send or receive, 10-60 ms in steps of ten.
    pub max_ptime_ms: u32,
    /// The most bytes of an IP packet with RTP of ours, its headers included: packets are as much shorter as it takes,
    /// where the codec has any that are short enough.
    pub mtu: u16,
    /// What we want to do.
    pub direction: Direction,
    /// Whether RTP and RTCP may share a port.
    pub rtcp_mux: bool,
    /// Whether we speak telephone events (RFC 4733).
    pub telephone_event: bool,
    /// How many packets before it a packet with redundant audio data repeats, if that is among the codecs: as many more
    /// payload types its `fmtp` lists (RFC 2198, 5).
    pub redundancy: u8,
    /// Whether we want to be told how the other side hears us: `a=rtcp-xr:voip-metrics` (RFC 3611, 5.1).
    pub voip_metrics: bool,
    /// How much we want SRTP.
    pub srtp: SrtpPolicy,
    /// Our keys, one line a suite, the best first; [`CryptoLine::generate_both`] makes them. A re-offer with the same
    /// lines keeps the keys.
    pub crypto: Vec<CryptoLine>,
    /// The session's names.
    pub session: SessionId,
    /// The description we sent last in this session, offer or answer. A new one then keeps its streams in place
    /// and its payload types (RFC 3264, 8), and counts its version up if it says anything new.
    pub previous: Option<String>,
}

impl Default for LocalMedia {
    fn default() -> Self {
        Self {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            rtp_port: 0,
            rtcp_port: None,
            codecs: vec![CodecFormat::pcmu(), CodecFormat::pcma()],
            registry: Registry::builtin(),
            codec_order: CodecOrder::default(),
            ptime_ms: 20,
            max_ptime_ms: 60,
            mtu: DEFAULT_MTU,
            direction: Direction::default(),
            rtcp_mux: true,
            telephone_event: true,
            redundancy: 1,
            voip_metrics: false,
            srtp: SrtpPolicy::default(),
            crypto: Vec::new(),
            session: SessionId::default(),
            previous: None,
        }
    }
}

impl fmt::Debug for LocalMedia {
    /// Without `previous`, which holds keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalMedia")
            .field("address", &self.address)
            .field("rtp_port", &self.rtp_port)
            .field("rtcp_port", &self.rtcp_port)
            .field("codecs", &self.codecs)
            .field("ptime_ms", &self.ptime_ms)
            .field("max_ptime_ms", &self.max_ptime_ms)
            .field("mtu", &self.mtu)
            .field("direction", &self.direction)
            .field("rtcp_mux", &self.rtcp_mux)
            .field("telephone_event", &self.telephone_event)
            .field("redundancy", &self.redundancy)
            .field("voip_metrics", &self.voip_metrics)
            .field("srtp", &self.srtp)
            .field("crypto", &self.crypto)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// The keys of both directions (RFC 4568).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SrtpKeys {
    /// The suite, the same both ways.
    pub suite: CryptoSuite,
    /// What we protect with.
    pub outgoing: MasterKey,
    /// What we unprotect with.
    pub incoming: MasterKey,
}

/// What both sides agreed on, seen from ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// Where RTP goes to.
    pub remote_rtp: SocketAddr,
    /// Where RTCP goes to; the same as RTP with [`rtcp_mux`](Self::rtcp_mux).
    pub remote_rtcp: SocketAddr,
    /// Whether RTP and RTCP share a port, both ways.
    pub rtcp_mux: bool,
    /// What we do.
    pub direction: Direction,
    /// What we may send, the best first and never empty, under the other side's numbers and with its parameters.
    /// The first is a true codec; comfort noise and the like come last.
    pub send: Vec<NegotiatedCodec>,
    /// What may come, under our numbers and with our parameters; in the same order.
    pub receive: Vec<NegotiatedCodec>,
    /// The telephone events we may send, by clock; empty if there are none.
    pub send_events: Vec<NegotiatedEvents>,
    /// The telephone events that may come, by clock.
    pub receive_events: Vec<NegotiatedEvents>,
    /// The length of the packets we send, in ms: one that the first codec has, 10-60 unless its only frame is longer.
    pub send_ptime_ms: u32,
    /// The length that they would have without an MTU: longer, if [`LocalMedia::mtu`] made them shorter.
    pub wished_ptime_ms: u32,
    /// Bytes that the IP packets have at least, headers and SRTP included, at the codec's lowest bit rate and without
    /// redundancy. More than the MTU, where the codec has no packets that are short enough.
    pub least_packet_bytes: usize,
    /// Whether the other side wants VoIP metrics in our reports (RFC 3611, 5.1).
    pub send_voip_metrics: bool,
    /// The keys, or `None` for plain RTP.
    pub srtp: Option<SrtpKeys>,
}

impl Negotiated {
    /// Whether there is somewhere to send to. On old-style hold (`c=0.0.0.0`) there isn't, and not even RTCP may go
    /// out (RFC 3264, 8.4).
    pub fn has_remote(&self) -> bool {
        !self.remote_rtp.ip().is_unspecified()
    }

    /// The telephone events to send beside a codec with this RTP clock. RFC 4733 wants the same clock; of a side that
    /// offers only another one, as many do with Opus, the events are better than none.
    pub fn send_events_beside(&self, rtp_clock_hz: u32) -> Option<NegotiatedEvents> {
        let same_clock = self.send_events.iter().find(|events| events.rtp_clock_hz == rtp_clock_hz);
        same_clock.or(self.send_events.first()).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions() {
        use Direction::*;
        assert_eq!(SendOnly.reversed(), RecvOnly);
        assert_eq!(SendRecv.and(RecvOnly), RecvOnly);
        assert_eq!(SendOnly.and(RecvOnly), Inactive);
        assert_eq!(Direction::from_name("inactive"), Some(Inactive));
        assert_eq!(Direction::from_name("SendRecv"), None);
    }

    #[test]
    fn debug_shows_no_key() {
        let line = CryptoLine {
            tag: 1,
            suite: CryptoSuite::AesCm128HmacSha1_80,
            key: MasterKey::from_bytes(b"0123456789abcdefghijklmnopqrst"),
        };
        let mut local =
            LocalMedia { rtp_port: 4000, srtp: SrtpPolicy::Required, crypto: vec![line], ..Default::default() };
        local.previous = Some(offer(&local).unwrap());
        let shown = format!("{local:?} {local:#?}");
        assert!(!shown.contains("inline") && !shown.contains("MDEy") && !shown.contains("48, 49"), "{shown}");
    }
}

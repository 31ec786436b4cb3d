//! SDP offer and answer for audio streams over one transport, as pure functions from text to text: no I/O, no clock, no state.
//!
//! Use [`offer`], [`answer`] and [`accept`] where you negotiate for media that you carry yourself: a proxy, a gateway, a test, a
//! media server of your own. A [`Call`](crate::session::Call) does all of this itself, so users of a call need nothing from this
//! page but the types in its settings and results. On a machine without a heap use [`dsp_core::sdp`].
//!
//! One function takes one step of RFC 3264:
//!
//! | side | step | function |
//! |---|---|---|
//! | who calls | writes the offer | [`offer`] |
//! | who is called | reads it, writes the answer, and knows what was agreed on | [`answer`] |
//! | who calls | reads the answer, and knows what was agreed on | [`accept`] |
//!
//! [`LocalMedia`] describes the capabilities and wishes of this side, with one [`LocalStream`] for each stream. [`Negotiated`] is
//! the agreement of both sides, with one [`NegotiatedStream`] in the same place of its list, and one [`NegotiatedTransport`] for
//! the data that all streams share: addresses, ports, keys. For a later offer (hold, other codecs, another stream) put the last
//! description of this side into [`LocalMedia::previous`]. Several streams share one port as a BUNDLE group (RFC 9143) and are
//! distinguished by payload type; a description of one stream has no group unless the other side began with one.
//!
//! ```
//! use host_std::sdp::{CodecFormat, LocalMedia, LocalStream, accept, answer, offer};
//!
//! let both = LocalStream::of([CodecFormat::opus(), CodecFormat::pcmu()]);
//! let anna = LocalMedia { rtp_port: 4000, streams: vec![both], ..Default::default() };
//! let one = LocalStream::of([CodecFormat::pcmu()]);
//! let bert = LocalMedia { rtp_port: 5000, streams: vec![one], ..Default::default() };
//!
//! let offered = offer(&anna)?;
//! let (answered, at_bert) = answer(&bert, &offered)?;
//! let at_anna = accept(&anna, &offered, &answered)?;
//!
//! assert_eq!(at_anna.transport.remote_rtp.port(), 5000);
//! let (sends, receives) = (at_anna.stream(0).unwrap(), at_bert.stream(0).unwrap());
//! assert_eq!(sends.send[0].format.name, "PCMU");
//! assert_eq!(sends.send[0].payload_type, receives.receive[0].payload_type);
//! # Ok::<(), host_std::sdp::SdpError>(())
//! ```
//!
//! **Cost.** Two calls of PCMU that are made and agree with each other, SRTP keys included, take 37 µs together (BENCHMARKS.md);
//! most of that isn't the text. Everything here allocates, so it belongs off the audio path.
//!
//! **Limits.** Only audio is agreed on. Every other `m=` line (video, fax, chat) is rejected in its place, as RFC 3264, 6
//! requires, and the call continues. Text from the network may be any bytes: a text that exceeds [`MAX_SDP_BYTES`],
//! [`MAX_LINES`], [`MAX_STREAMS`] or [`MAX_FORMATS`] is an error, and nothing panics. Names of hosts in `c=` lines are not looked
//! up here: [`resolved`] puts addresses in their place.
//!
//! **Standards.** Offer and answer follow RFC 3264 and the text RFC 8866, read by the crate `sdp-types`.
//!
//! | part of a description | standard |
//! |---|---|
//! | `a=rtcp`, `a=rtcp-mux` | RFC 3605, RFC 5761 |
//! | `a=crypto`, in RTP/SAVP or beside plain RTP/AVP | RFC 4568, RFC 8643 |
//! | DTLS-SRTP | RFC 5763, RFC 8842 |
//! | ICE | RFC 8839, RFC 8840 |
//! | telephone events | RFC 4733 |
//! | `b=AS`, `b=TIAS` | RFC 8866, RFC 3890 |
//! | header extensions | RFC 8285 |
//! | RTCP feedback | RFC 4585, RFC 5506 |
//! | parameters of Opus | RFC 7587 |
//! | static payload types | RFC 3551 |
//!
//! Harmless deviations of phones and servers in the field are accepted.

mod accept;
mod agreed;
mod answer;
mod bundle;
mod common;
mod crypto;
mod dtls;
mod error;
mod extensions;
mod feedback;
mod format;
mod ice;
mod keys;
mod local;
mod offer;
mod packets;
mod read;
mod resolve;
mod write;

#[cfg(test)]
mod bundles;
#[cfg(test)]
mod phones;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod testing;

pub use accept::accept;
pub use agreed::{BandwidthLimits, Negotiated, NegotiatedStream, NegotiatedTransport, Refused};
pub use answer::answer;
pub use crypto::{CryptoError, CryptoLine, CryptoSuite};
pub use dsp_core::guard::srtp::MasterKey;
pub use dsp_core::sdp::Direction;
pub use dtls::{Fingerprint, FingerprintHash, LocalDtls, NegotiatedDtls};
pub use error::{DescriptionKind, SdpError};
pub use extensions::{Extension, ExtensionKind, ExtensionOptions, NegotiatedExtensions, OfferExtensions};
pub use feedback::{FeedbackOptions, NegotiatedFeedback};
pub use format::{EventSet, NegotiatedCodec, NegotiatedEvents};
pub use ice::{
    CandidateKind, CandidateLine, IceCandidate, IceCredentials, LocalIce, MAX_CANDIDATES, NegotiatedIce, NoIce,
    RemoteIce,
};
pub use local::{LocalMedia, LocalStream, Unencrypted};
pub use offer::{Offered, offer, offered};
pub(crate) use packets::{ip_overhead, offered_ptime_ms};
pub use resolve::resolved;
pub(crate) use write::version;

pub use crate::registry::CodecFormat;

/// The longest description that is read, in bytes.
pub const MAX_SDP_BYTES: usize = 64 * 1024;
/// The most `m=` lines that a description may have.
pub const MAX_STREAMS: usize = 64;
/// The most lines that a description may have.
pub const MAX_LINES: usize = 4_096;
/// The most formats that one `m=` line may have: RTP has 128 payload types.
pub const MAX_FORMATS: usize = 128;

/// The default of [`LocalMedia::mtu`], in bytes of an IP packet: short enough for usual tunnels and networks.
pub const DEFAULT_MTU: u16 = 1_200;
/// The smallest MTU that can be set, in bytes of an IP packet: room for headers, SRTP and a few bytes of sound.
pub const MIN_MTU: u16 = 200;

/// Whether a call is to be encrypted by SRTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SrtpPolicy {
    /// Plain RTP only: offers of SRTP alone are refused.
    #[default]
    Off,
    /// SRTP if the other side can, else plain RTP: `a=crypto` or `a=fingerprint` with RTP/AVP (RFC 8643). Anyone who can change
    /// the description on its way can remove the protection.
    Offered,
    /// SRTP or no call: the profile is RTP/SAVP, or UDP/TLS/RTP/SAVPF with DTLS.
    Required,
}

/// The side whose order of preference an answer follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CodecOrder {
    /// The order of the offer, as RFC 3264, 6.1 recommends.
    #[default]
    Offer,
    /// The order of our own list.
    Ours,
}

/// The identity of the session in the `o=` line (RFC 8866, 5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionId {
    /// The user's name, without blanks, or `-`.
    pub username: String,
    /// The session's number, which is the same in all of its descriptions. Choose a random one below 2^63, which every parser
    /// in use can read.
    pub id: u64,
    /// The version of the first description. A later description that says anything new has the version of
    /// [`LocalMedia::previous`] plus one, or this one if that is higher.
    pub version: u64,
}

impl Default for SessionId {
    fn default() -> Self {
        Self { username: "-".into(), id: 1, version: 1 }
    }
}

/// The SRTP keys of both directions (RFC 4568).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SrtpKeys {
    /// The suite, which is the same in both directions.
    pub suite: CryptoSuite,
    /// The key that protects the packets that we send.
    pub outgoing: MasterKey,
    /// The key that protects the packets that we receive.
    pub incoming: MasterKey,
}

impl SrtpKeys {
    /// Bytes that protection adds to each RTP packet that we send.
    pub(crate) fn growth_bytes(&self) -> usize {
        self.suite.profile().rtp_tag_bytes() + self.outgoing.terms().mki.map_or(0, |mki| mki.len_bytes())
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

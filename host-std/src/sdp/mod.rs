//! SDP offer and answer for audio streams over one transport, as pure functions from text to text: no I/O, no clock, no
//! state.
//!
//! Two lists stand for the streams: [`LocalMedia::streams`] is what we have and want, [`Negotiated::streams`] what became of
//! it, in the same places for the whole session. What they share, address, ports, keys, is [`NegotiatedTransport`].
//! Several streams are one BUNDLE group (RFC 9143), told apart by payload type; a description of one stream has no group,
//! unless the other side began with one.
//!
//! Offer/answer follows RFC 3264, the text RFC 8866, `a=rtcp` RFC 3605, `a=rtcp-mux` RFC 5761, `a=crypto` RFC 4568
//! (in RTP/SAVP, or beside plain RTP/AVP as RFC 8643 has it), DTLS-SRTP RFC 5763 and 8842, telephone events RFC 4733,
//! bandwidth RFC 3890, header extensions RFC 8285, feedback RFC 4585 and 5506, Opus RFC 7587, the static payload types RFC 3551, ICE RFC 8839 and 8840. What the field does beyond these texts is
//! taken where it's harmless.
//!
//! The grammar is the crate `sdp-types`. The crate `sdp` was tried first: it refuses a whole description for one
//! stream over `UDPTL`, `TCP/BFCP` or `TCP/MSRP` (fax, slides and chat beside a call), where RFC 3264, 6 wants that
//! stream alone rejected.
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

/// How much we want SRTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SrtpPolicy {
    /// Plain RTP only.
    #[default]
    Off,
    /// SRTP if the other side can, else plain RTP: `a=crypto` or `a=fingerprint` beside RTP/AVP (RFC 8643). Whoever can change the
    /// description on its way can take the protection away.
    Offered,
    /// SRTP or no call: RTP/SAVP, or UDP/TLS/RTP/SAVPF with DTLS.
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
    /// The version of the first description; later ones count from [`LocalMedia::previous`], and are this one at least where they
    /// say anything new.
    pub version: u64,
}

impl Default for SessionId {
    fn default() -> Self {
        Self { username: "-".into(), id: 1, version: 1 }
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

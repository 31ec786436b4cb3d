//! The configuration of our side: our transport, and the streams over it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use super::{
    CodecFormat, CodecOrder, CryptoLine, DEFAULT_MTU, Direction, ExtensionOptions, FeedbackOptions, LocalDtls,
    LocalIce, SessionId, SrtpPolicy,
};
use crate::registry::Registry;

/// The capabilities and wishes of this side: the settings of [`offer`](super::offer), [`answer`](super::answer) and
/// [`accept`](super::accept).
///
/// The default is a plain RTP call at 127.0.0.1 with one stream ([`LocalStream::default`]); set at least the port.
///
/// An offer that requires SRTP, with fresh keys for the two suites that every phone has:
///
/// ```
/// use host_std::sdp::{CodecFormat, CryptoLine, LocalMedia, LocalStream, SrtpPolicy, offer};
///
/// let local = LocalMedia {
///     address: "192.0.2.1".parse()?,
///     rtp_port: 4000,
///     srtp: SrtpPolicy::Required,
///     crypto: CryptoLine::generate_both()?,
///     streams: vec![LocalStream::of([CodecFormat::g722(), CodecFormat::pcma()])],
///     ..LocalMedia::default()
/// };
/// let text = offer(&local)?;
/// assert!(text.contains("m=audio 4000 RTP/SAVP 9 8"));
/// assert!(text.contains("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct LocalMedia {
    /// The address at which we receive. `0.0.0.0` puts the other side on hold as in RFC 2543.
    pub address: IpAddr,
    /// The port at which we receive RTP.
    pub rtp_port: u16,
    /// The port at which we receive RTCP; `None` is the RTP port plus one.
    pub rtcp_port: Option<u16>,
    /// Whether RTP and RTCP may share a port (RFC 5761).
    pub rtcp_mux: bool,
    /// The most bytes of an IP packet that we send, its headers included. Packets are made shorter until they fit, if the
    /// codec has packets that are short enough.
    pub mtu: u16,
    /// Whether the call is to be encrypted by SRTP.
    pub srtp: SrtpPolicy,
    /// Our keys, one line for each suite, the best first; [`CryptoLine::generate_both`] makes them. A later offer with the
    /// same lines keeps the keys.
    pub crypto: Vec<CryptoLine>,
    /// Our certificate's fingerprint and role for DTLS-SRTP. With it an offer wants DTLS, and an answer takes DTLS or `crypto`,
    /// whichever the offer has. Without it only `crypto` is used.
    pub dtls: Option<LocalDtls>,
    /// Our keys for suites that we don't offer but accept in an offer: one line for each suite, and no suite of `crypto`.
    pub crypto_answered: Vec<CryptoLine>,
    /// The parts that we allow an offer to leave unencrypted by `UNENCRYPTED_SRTP` and `UNENCRYPTED_SRTCP` (RFC 4568, 6.3.2). We
    /// request it ourselves where the terms of our keys contain it.
    pub unencrypted: Unencrypted,
    /// Our ICE credentials and candidates; `None` is no ICE. ICE needs `rtcp_mux`.
    pub ice: Option<LocalIce>,
    /// The RTP header extensions that we offer and accept.
    pub extensions: ExtensionOptions,
    /// The RTCP feedback that we offer and accept.
    pub feedback: FeedbackOptions,
    /// The codecs of the formats: they decide which formats are the same and how long packets can be.
    pub registry: Registry,
    /// The side whose order of preference an answer of ours follows.
    pub codec_order: CodecOrder,
    /// The streams: at most [`MAX_STREAMS`](super::MAX_STREAMS), and at least one that is open. Streams after the first use
    /// its port (BUNDLE, RFC 9143) or are rejected. A stream keeps its place in this list as long as the session lasts; add
    /// new ones at the end.
    pub streams: Vec<LocalStream>,
    /// [`NegotiatedTransport::bundle`](super::NegotiatedTransport::bundle) of the last agreement in this session. Where it is
    /// empty a later offer asks for the group again.
    pub bundle: Vec<String>,
    /// The identity of the session in the `o=` line.
    pub session: SessionId,
    /// The description that we sent last in this session, offer or answer; `None` before the first. A later one keeps its
    /// streams in their places and its payload types (RFC 3264, 8), and counts the version up if it says anything new.
    pub previous: Option<String>,
}

impl LocalMedia {
    /// Returns all keys of ours, those that are offered first.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &CryptoLine> + Clone {
        self.crypto.iter().chain(&self.crypto_answered)
    }

    /// Returns the same lines as [`lines`](Self::lines), to be changed.
    pub(crate) fn lines_mut(&mut self) -> impl Iterator<Item = &mut CryptoLine> {
        self.crypto.iter_mut().chain(&mut self.crypto_answered)
    }
}

/// The packets that may go over the network unencrypted although SRTP was agreed on. They are still authenticated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unencrypted {
    /// Whether RTP may: anybody on the way can then hear the call.
    pub rtp: bool,
    /// Whether RTCP may: anybody on the way can then read its reports.
    pub rtcp: bool,
}

impl Default for LocalMedia {
    fn default() -> Self {
        Self {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            rtp_port: 0,
            rtcp_port: None,
            rtcp_mux: true,
            mtu: DEFAULT_MTU,
            srtp: SrtpPolicy::default(),
            crypto: Vec::new(),
            dtls: None,
            crypto_answered: Vec::new(),
            unencrypted: Unencrypted::default(),
            ice: None,
            extensions: ExtensionOptions::default(),
            feedback: FeedbackOptions::default(),
            registry: Registry::builtin(),
            codec_order: CodecOrder::default(),
            streams: vec![LocalStream::default()],
            bundle: Vec::new(),
            session: SessionId::default(),
            previous: None,
        }
    }
}

impl fmt::Debug for LocalMedia {
    /// Writes all fields but `previous`, which holds keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalMedia")
            .field("address", &self.address)
            .field("rtp_port", &self.rtp_port)
            .field("rtcp_port", &self.rtcp_port)
            .field("rtcp_mux", &self.rtcp_mux)
            .field("mtu", &self.mtu)
            .field("srtp", &self.srtp)
            .field("crypto", &self.crypto)
            .field("dtls", &self.dtls)
            .field("ice", &self.ice)
            .field("streams", &self.streams)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// One stream of ours: an `m=audio` line.
///
/// The default has PCMU and PCMA in packets of 20 ms, telephone events, and sound in both directions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalStream {
    /// Our codecs, the best first.
    pub codecs: Vec<CodecFormat>,
    /// The packet length that we ask for (`a=ptime`): 10 to 60 ms in steps of 10 ms.
    pub ptime_ms: u32,
    /// The longest packet that we send or accept (`a=maxptime`): 10 to 60 ms in steps of 10 ms.
    pub max_ptime_ms: u32,
    /// Whether we want to send, to receive, or both.
    pub direction: Direction,
    /// Whether we offer and accept telephone events (RFC 4733).
    pub telephone_event: bool,
    /// The number of earlier payloads that a packet of redundant audio data repeats (RFC 2198), if `red` is among the codecs. Its
    /// `a=fmtp` lists as many payload types and one more (RFC 2198, 5).
    pub redundancy: u8,
    /// Whether `red` stands before the codecs in our lines, which asks the other side to send redundant audio data.
    pub ask_redundancy: bool,
    /// Whether we ask the other side to report how it hears us: `a=rtcp-xr:voip-metrics` (RFC 3611, 5.1).
    pub voip_metrics: bool,
    /// Whether the stream is closed. It keeps its place among the others and may be opened again (RFC 3264, 8.2).
    pub closed: bool,
}

impl LocalStream {
    /// Creates a stream with these codecs, the best first, and otherwise the default.
    pub fn of(codecs: impl Into<Vec<CodecFormat>>) -> Self {
        Self { codecs: codecs.into(), ..Self::default() }
    }
}

impl Default for LocalStream {
    fn default() -> Self {
        Self {
            codecs: vec![CodecFormat::pcmu(), CodecFormat::pcma()],
            ptime_ms: 20,
            max_ptime_ms: 60,
            direction: Direction::default(),
            telephone_event: true,
            redundancy: 1,
            ask_redundancy: false,
            voip_metrics: false,
            closed: false,
        }
    }
}

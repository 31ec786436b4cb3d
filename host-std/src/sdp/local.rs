//! What we have and want: our transport, and the streams over it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use super::{
    CodecFormat, CodecOrder, CryptoLine, DEFAULT_MTU, Direction, ExtensionOptions, FeedbackOptions, LocalDtls,
    LocalIce, SessionId, SrtpPolicy,
};
use crate::registry::Registry;

/// What we have and want: the one input of [`offer`](super::offer), [`answer`](super::answer) and
/// [`accept`](super::accept) besides the texts.
///
/// The default is a plain RTP call at 127.0.0.1 with one stream ([`LocalStream::default`]); the port has to be set.
#[derive(Clone, PartialEq, Eq)]
pub struct LocalMedia {
    /// Where we receive. The zero address is old-style hold.
    pub address: IpAddr,
    /// Where we receive RTP.
    pub rtp_port: u16,
    /// Where we receive RTCP; `None` is the RTP port plus one.
    pub rtcp_port: Option<u16>,
    /// Whether RTP and RTCP may share a port.
    pub rtcp_mux: bool,
    /// The most bytes of an IP packet with RTP of ours, its headers included: packets are as much shorter as it takes,
    /// where the codec has any that are short enough.
    pub mtu: u16,
    /// How much we want SRTP.
    pub srtp: SrtpPolicy,
    /// Our keys, one line a suite, the best first; [`CryptoLine::generate_both`] makes them. A re-offer with the same
    /// lines keeps the keys.
    pub crypto: Vec<CryptoLine>,
    /// What we have for DTLS-SRTP. With it an offer wants DTLS, and an answer takes DTLS or `crypto`, as the offer has it;
    /// without it `crypto` alone counts.
    pub dtls: Option<LocalDtls>,
    /// Keys for suites that we don't offer but take from an offer, one line a suite, none of those above.
    pub crypto_answered: Vec<CryptoLine>,
    /// What an offer may leave unencrypted: `UNENCRYPTED_SRTP` and `UNENCRYPTED_SRTCP` (RFC 4568, 6.3.2). We ask for it
    /// where the terms of our keys say so.
    pub unencrypted: Unencrypted,
    /// What we say of ICE; `None`: nothing. It needs `rtcp_mux`.
    pub ice: Option<LocalIce>,
    /// Which RTP header extensions we offer and take.
    pub extensions: ExtensionOptions,
    /// Which RTCP feedback we offer and take.
    pub feedback: FeedbackOptions,
    /// What there is to know of codecs: which formats go together, and the packets they have.
    pub registry: Registry,
    /// Whose order an answer follows.
    pub codec_order: CodecOrder,
    /// The streams, at most [`MAX_STREAMS`](super::MAX_STREAMS) and one that is open. Those after the first go over its
    /// port (RFC 9143), or are not taken. A stream keeps its place here in a session; further ones come after it.
    pub streams: Vec<LocalStream>,
    /// [`NegotiatedTransport::bundle`](super::NegotiatedTransport::bundle) of the last agreement in this session. Without
    /// it an offer asks anew for what is agreed.
    pub bundle: Vec<String>,
    /// The session's names.
    pub session: SessionId,
    /// The description we sent last in this session, offer or answer. A new one then keeps its streams in place
    /// and its payload types (RFC 3264, 8), and counts its version up if it says anything new.
    pub previous: Option<String>,
}

impl LocalMedia {
    /// All keys of ours, those that are offered first.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &CryptoLine> + Clone {
        self.crypto.iter().chain(&self.crypto_answered)
    }

    /// As [`lines`](Self::lines), to be changed.
    pub(crate) fn lines_mut(&mut self) -> impl Iterator<Item = &mut CryptoLine> {
        self.crypto.iter_mut().chain(&mut self.crypto_answered)
    }
}

/// What may go over the network in the clear though SRTP was agreed on. It's authenticated all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unencrypted {
    /// RTP: everybody on the way can hear the call.
    pub rtp: bool,
    /// RTCP: everybody on the way can read how the call is heard.
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
    /// Without `previous`, which holds keys.
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
/// The default has PCMU and PCMA in 20 ms packets, telephone events, and sound both ways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalStream {
    /// Our codecs, the best first.
    pub codecs: Vec<CodecFormat>,
    /// The packet length we like to receive, 10-60 ms in steps of ten.
    pub ptime_ms: u32,
    /// The longest packet we send or receive, 10-60 ms in steps of ten.
    pub max_ptime_ms: u32,
    /// What we want to do.
    pub direction: Direction,
    /// Whether we speak telephone events (RFC 4733).
    pub telephone_event: bool,
    /// How many packets before it a packet with redundant audio data repeats, if that is among the codecs: as many more
    /// payload types its `fmtp` lists (RFC 2198, 5).
    pub redundancy: u8,
    /// Whether redundant audio data stands before the codecs in our lines, which asks the other side to send it.
    pub ask_redundancy: bool,
    /// Whether we want to be told how the other side hears us: `a=rtcp-xr:voip-metrics` (RFC 3611, 5.1).
    pub voip_metrics: bool,
    /// Whether it's not there now: it keeps its place among the others and may be opened again (RFC 3264, 8.2).
    pub closed: bool,
}

impl LocalStream {
    /// A stream with these codecs, the best first, and otherwise the default.
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

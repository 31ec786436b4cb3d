//! The result of offer and answer: one transport, and the content of each stream over it (RFC 3264; RFC 9143 for several).

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use super::error::SdpError;
use super::format::{NegotiatedCodec, NegotiatedEvents};
use super::{Direction, NegotiatedDtls, NegotiatedExtensions, NegotiatedFeedback, NegotiatedIce, NoIce, SrtpKeys};

/// The agreement of both sides, seen from our side: where packets go, and which streams they carry. [`answer`](super::answer) and
/// [`accept`](super::accept) return it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Negotiated {
    /// The addresses, ports and keys that all streams share.
    pub transport: NegotiatedTransport,
    /// The streams, as many as in [`LocalMedia::streams`](super::LocalMedia::streams) and in the same order. A stream that is
    /// closed or was rejected is `None`; at least one isn't.
    pub streams: Vec<Option<NegotiatedStream>>,
    /// The streams other than the first that we requested and could not accept, or that the other side rejected, and why. Streams
    /// that either side has closed are not among them.
    pub refused: Vec<Refused>,
}

/// A stream that could not be agreed on, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// The index of the `m=` line in the description, from 0.
    pub media: usize,
    /// The reason why it could not be agreed on.
    pub reason: Arc<SdpError>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m= line {}: {}", self.media + 1, self.reason)
    }
}

impl Negotiated {
    /// Creates the result with the refusals to be reported; if no stream was accepted, the first refusal is the error.
    pub(super) fn of(
        transport: NegotiatedTransport,
        streams: Vec<Option<NegotiatedStream>>,
        refused: Vec<(usize, SdpError)>,
    ) -> Result<Self, SdpError> {
        let mut refused = refused.into_iter();
        if streams.iter().all(Option::is_none) {
            return Err(refused.next().map_or(SdpError::Local("there is no stream"), |(_, error)| error));
        }
        let refused = refused.map(|(media, error)| Refused { media, reason: Arc::new(error) }).collect();
        Ok(Self { transport, streams, refused })
    }

    /// The stream at this place of [`LocalMedia::streams`](super::LocalMedia::streams), from 0; `None` if it was not agreed on.
    pub fn stream(&self, at: usize) -> Option<&NegotiatedStream> {
        self.streams.get(at)?.as_ref()
    }
}

/// The destination of packets, and their protection: the part that all streams of a [`Negotiated`] share.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NegotiatedTransport {
    /// The address to which we send RTP.
    pub remote_rtp: SocketAddr,
    /// The address to which we send RTCP: the same as for RTP with [`rtcp_mux`](Self::rtcp_mux).
    pub remote_rtcp: SocketAddr,
    /// Whether RTP and RTCP share a port in both directions (RFC 5761).
    pub rtcp_mux: bool,
    /// Whether feedback may be sent without a report in front of it, in both directions (RFC 5506).
    pub rtcp_reduced_size: bool,
    /// The keys of SRTP, where the descriptions carry them (`a=crypto`).
    pub srtp: Option<SrtpKeys>,
    /// The DTLS association that the keys of SRTP come from. Where neither this nor `srtp` is there, RTP is plain.
    pub dtls: Option<NegotiatedDtls>,
    /// ICE, or why there is none. Without ICE packets go to the addresses above.
    pub ice: Result<NegotiatedIce, NoIce>,
    /// The names of the streams in the BUNDLE group (RFC 9143), the tagged one first; empty if both sides did not agree on a
    /// group. Put it into [`LocalMedia::bundle`](super::LocalMedia::bundle) for the next offer.
    pub bundle: Vec<String>,
}

impl NegotiatedTransport {
    /// Returns whether there is somewhere to send to. On old-style hold (`c=0.0.0.0`) there isn't, and not even RTCP may go out
    /// (RFC 3264, 8.4). With ICE the candidates say where, whatever the `c=` line contains.
    pub fn has_remote(&self) -> bool {
        self.ice.is_ok() || !self.remote_rtp.ip().is_unspecified()
    }
}

/// The agreement of both sides for one stream, seen from our side.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NegotiatedStream {
    /// The name that the stream has in both descriptions (`a=mid`: RFC 5888, 4), if it has one.
    pub mid: Option<String>,
    /// Whether we send, receive, or both.
    pub direction: Direction,
    /// The codecs that we may send, the best first and never empty, with the other side's payload types and parameters. The first
    /// is a codec for speech; comfort noise and redundancy come last.
    pub send: Vec<NegotiatedCodec>,
    /// The codecs that the other side may send, in the same order, with our payload types and parameters.
    pub receive: Vec<NegotiatedCodec>,
    /// The telephone events that we may send, one entry for each RTP clock; empty if there are none.
    pub send_events: Vec<NegotiatedEvents>,
    /// The telephone events that the other side may send, one entry for each RTP clock.
    pub receive_events: Vec<NegotiatedEvents>,
    /// The length of the packets that we send, in ms. The first codec has packets of this length: 10 to 60 ms, or longer if
    /// it has no shorter ones.
    pub send_ptime_ms: u32,
    /// The length, in ms, that these packets would have without [`LocalMedia::mtu`](super::LocalMedia::mtu).
    pub wished_ptime_ms: u32,
    /// The longest packets that both sides accept, in ms: the smaller `a=maxptime`.
    pub max_ptime_ms: u32,
    /// The most bytes of a payload for which [`LocalMedia::mtu`](super::LocalMedia::mtu) leaves room, after the redundant
    /// copies in the same packet.
    pub payload_bytes: usize,
    /// The fewest bytes of an IP packet, headers and SRTP included, at the codec's lowest bit rate and without redundancy.
    /// This is more than the MTU where the codec has no packets that are short enough.
    pub least_packet_bytes: usize,
    /// Bytes of a packet's headers: IP, UDP, RTP, and the tag of SRTP.
    pub header_bytes: usize,
    /// The most that the other side wants to be sent.
    pub bandwidth: BandwidthLimits,
    /// Whether the other side wants VoIP metrics in our reports (RFC 3611, 5.1).
    pub send_voip_metrics: bool,
    /// The header extensions that packets may have.
    pub extensions: NegotiatedExtensions,
    /// The RTCP feedback that both sides may send.
    pub feedback: NegotiatedFeedback,
}

/// The most that the other side wants to be sent in a stream, as its `b=` lines say; by default there is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BandwidthLimits {
    /// `b=AS` in bit/s: whole IP packets, without RTCP (RFC 8866, 5.8; RFC 3550, 6.2).
    pub session_bps: Option<u32>,
    /// `b=TIAS` in bit/s: payloads alone (RFC 3890, 6.2.2).
    pub payload_bps: Option<u32>,
}

impl BandwidthLimits {
    /// The highest bit rate of payloads that keeps within both limits, in bit/s, where packets are of `packet_ms` milliseconds and
    /// their headers, IP and UDP included, of `header_bytes`. Without a limit this is `u32::MAX`.
    pub fn most_payload_bps(&self, packet_ms: u32, header_bytes: usize) -> u32 {
        let headers_bps = (header_bytes as u64 * 8_000 / u64::from(packet_ms.max(1))).min(u32::MAX.into()) as u32;
        let of_session = self.session_bps.map_or(u32::MAX, |bps| bps.saturating_sub(headers_bps));
        of_session.min(self.payload_bps.unwrap_or(u32::MAX))
    }

    /// Returns the same for a codec whose payloads are each repeated `copies` times (RFC 2198, 3: four bytes of header each, one
    /// for the last).
    pub(crate) fn most_codec_bps(&self, packet_ms: u32, header_bytes: usize, copies: usize) -> u32 {
        let most_bps = self.most_payload_bps(packet_ms, header_bytes);
        if copies == 0 || most_bps == u32::MAX {
            return most_bps;
        }
        let headers_bps = (4 * copies as u32 + 1) * 8_000 / packet_ms.max(1);
        most_bps.saturating_sub(headers_bps) / (copies as u32 + 1)
    }

    /// Returns whether there is a limit.
    pub fn is_limited(&self) -> bool {
        *self != Self::default()
    }
}

/// No codec makes speech of less, whatever it takes as a setting (RFC 7587, 6.1).
const LEAST_BPS: u64 = 6_000;

impl NegotiatedStream {
    /// Returns how many payloads each packet may repeat, of `wanted`, within the bandwidth and at the codec's lowest bit rate.
    pub(crate) fn copies_within_bandwidth(&self, wanted: usize) -> usize {
        let least_bytes = self.least_packet_bytes.saturating_sub(self.header_bytes) as u64;
        let least_bps = (least_bytes * 8_000 / u64::from(self.send_ptime_ms.max(1))).max(LEAST_BPS);
        let fits = |copies: &usize| {
            u64::from(self.bandwidth.most_codec_bps(self.send_ptime_ms, self.header_bytes, *copies)) >= least_bps
        };
        (0..=wanted).rev().find(fits).unwrap_or(0)
    }

    /// Returns the telephone events to send together with a codec of this RTP clock. RFC 4733 requires events with the codec's
    /// clock; where the other side has only others, as many do with Opus, those are returned. `None` if it has no events at all.
    pub fn send_events_beside(&self, rtp_clock_hz: u32) -> Option<NegotiatedEvents> {
        let same_clock = self.send_events.iter().find(|events| events.rtp_clock_hz == rtp_clock_hz);
        same_clock.or(self.send_events.first()).copied()
    }
}

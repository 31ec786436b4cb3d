//! What offer and answer come to: one transport, and what each stream over it carries (RFC 3264; RFC 9143 for several).

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use super::error::SdpError;
use super::format::{NegotiatedCodec, NegotiatedEvents};
use super::{Direction, NegotiatedDtls, NegotiatedExtensions, NegotiatedFeedback, NegotiatedIce, NoIce, SrtpKeys};

/// What both sides agreed on, seen from ours: where packets travel, and the streams they carry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Negotiated {
    /// The one way that the packets of all streams take.
    pub transport: NegotiatedTransport,
    /// In the order of [`LocalMedia::streams`](super::LocalMedia::streams), and as many; `None` where a stream is closed
    /// or was rejected. At least one is there.
    pub streams: Vec<Option<NegotiatedStream>>,
    /// The further streams that we have a place for and could not take, or that the other side refused, and why; what
    /// either side has closed is not among them.
    pub refused: Vec<Refused>,
}

/// A stream that could not be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// Which `m=` line of the description, from 0.
    pub media: usize,
    /// Why not.
    pub reason: Arc<SdpError>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m= line {}: {}", self.media + 1, self.reason)
    }
}

impl Negotiated {
    /// With what is to be told of refusals; if nothing was taken, the first of them is the error.
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

    /// The stream of that place in [`LocalMedia::streams`](super::LocalMedia::streams), if it was agreed on.
    pub fn stream(&self, at: usize) -> Option<&NegotiatedStream> {
        self.streams.get(at)?.as_ref()
    }
}

/// Where packets go, and how they are protected.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NegotiatedTransport {
    /// Where RTP goes to.
    pub remote_rtp: SocketAddr,
    /// Where RTCP goes to; the same as RTP with [`rtcp_mux`](Self::rtcp_mux).
    pub remote_rtcp: SocketAddr,
    /// Whether RTP and RTCP share a port, both ways.
    pub rtcp_mux: bool,
    /// Whether RTCP may have feedback without a report in front of it, both ways (RFC 5506).
    pub rtcp_reduced_size: bool,
    /// The keys of SRTP, where the descriptions have them.
    pub srtp: Option<SrtpKeys>,
    /// The DTLS association that SRTP's keys come from. Neither this nor `srtp`: plain RTP.
    pub dtls: Option<NegotiatedDtls>,
    /// ICE, or why there is none: then packets go to the addresses above.
    pub ice: Result<NegotiatedIce, NoIce>,
    /// The names of the streams that share it by RFC 9143, the tagged one first; empty if both sides did not agree on that.
    /// It goes into [`LocalMedia::bundle`](super::LocalMedia::bundle) for the next offer.
    pub bundle: Vec<String>,
}

impl NegotiatedTransport {
    /// Whether there is somewhere to send to. On old-style hold (`c=0.0.0.0`) there isn't, and not even RTCP may go
    /// out (RFC 3264, 8.4). With ICE the candidates say where, whatever stands in the `c=` line.
    pub fn has_remote(&self) -> bool {
        self.ice.is_ok() || !self.remote_rtp.ip().is_unspecified()
    }
}

/// One stream, seen from our side.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NegotiatedStream {
    /// The name it has in both descriptions (RFC 5888, 4), if it has one.
    pub mid: Option<String>,
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
    /// The length that they would have without an MTU: longer, if [`LocalMedia::mtu`](super::LocalMedia::mtu) made them
    /// shorter.
    pub wished_ptime_ms: u32,
    /// The longest packets that both sides take, in ms: the smaller `maxptime`.
    pub max_ptime_ms: u32,
    /// The most bytes of a payload that [`LocalMedia::mtu`](super::LocalMedia::mtu) has room for, beside as many copies of
    /// those before it as are repeated.
    pub payload_bytes: usize,
    /// Bytes that the IP packets have at least, headers and SRTP included, at the codec's lowest bit rate and without
    /// redundancy. More than the MTU, where the codec has no packets that are short enough.
    pub least_packet_bytes: usize,
    /// Bytes of a packet's headers, those of IP and UDP and the tag of SRTP counted.
    pub header_bytes: usize,
    /// How much the other side wants to be sent at most.
    pub bandwidth: BandwidthLimits,
    /// Whether the other side wants VoIP metrics in our reports (RFC 3611, 5.1).
    pub send_voip_metrics: bool,
    /// The header extensions of its packets.
    pub extensions: NegotiatedExtensions,
    /// The RTCP feedback.
    pub feedback: NegotiatedFeedback,
}

/// The bandwidth of a stream as the other side's `b=` lines have it; the default bounds nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BandwidthLimits {
    /// `b=AS` in bit/s: whole IP packets, without RTCP (RFC 8866, 5.8; RFC 3550, 6.2).
    pub session_bps: Option<u32>,
    /// `b=TIAS` in bit/s: payloads alone (RFC 3890, 6.2.2).
    pub payload_bps: Option<u32>,
}

impl BandwidthLimits {
    /// The most that payloads may take, in bit/s, in packets of `packet_ms` under headers of `header_bytes`, those of IP and UDP
    /// counted; `u32::MAX` where nothing bounds it.
    pub fn most_payload_bps(&self, packet_ms: u32, header_bytes: usize) -> u32 {
        let headers_bps = (header_bytes as u64 * 8_000 / u64::from(packet_ms.max(1))).min(u32::MAX.into()) as u32;
        let of_session = self.session_bps.map_or(u32::MAX, |bps| bps.saturating_sub(headers_bps));
        of_session.min(self.payload_bps.unwrap_or(u32::MAX))
    }

    /// The same of a codec whose payloads are each sent again so many times (RFC 2198, 3: four bytes of header each, one for the
    /// last).
    pub(crate) fn most_codec_bps(&self, packet_ms: u32, header_bytes: usize, copies: usize) -> u32 {
        let most_bps = self.most_payload_bps(packet_ms, header_bytes);
        if copies == 0 || most_bps == u32::MAX {
            return most_bps;
        }
        let headers_bps = (4 * copies as u32 + 1) * 8_000 / packet_ms.max(1);
        most_bps.saturating_sub(headers_bps) / (copies as u32 + 1)
    }

    /// Whether anything is bounded.
    pub fn is_limited(&self) -> bool {
        *self != Self::default()
    }
}

/// No codec makes speech of less, whatever it takes as a setting (RFC 7587, 6.1).
const LEAST_BPS: u64 = 6_000;

impl NegotiatedStream {
    /// How many payloads each packet may repeat, of so many, within the bandwidth and at the codec's lowest bit rate.
    pub(crate) fn copies_within_bandwidth(&self, wanted: usize) -> usize {
        let least_bytes = self.least_packet_bytes.saturating_sub(self.header_bytes) as u64;
        let least_bps = (least_bytes * 8_000 / u64::from(self.send_ptime_ms.max(1))).max(LEAST_BPS);
        let fits = |copies: &usize| {
            u64::from(self.bandwidth.most_codec_bps(self.send_ptime_ms, self.header_bytes, *copies)) >= least_bps
        };
        (0..=wanted).rev().find(fits).unwrap_or(0)
    }

    /// The telephone events to send beside a codec with this RTP clock. RFC 4733 wants the same clock; of a side that
    /// offers only another one, as many do with Opus, the events are better than none.
    pub fn send_events_beside(&self, rtp_clock_hz: u32) -> Option<NegotiatedEvents> {
        let same_clock = self.send_events.iter().find(|events| events.rtp_clock_hz == rtp_clock_hz);
        same_clock.or(self.send_events.first()).copied()
    }
}

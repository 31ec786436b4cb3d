//! The formats that both sides have in common: codecs in pairs, telephone events by clock (RFC 3264, 6.1).
//!
//! Each side sends with the numbers and parameters the other declared. An answer keeps the offer's numbers, so ours
//! are the same both ways unless the other side answers with numbers of its own.

use dsp_core::time::PayloadType;

use super::error::{DescriptionKind, SdpError, quote};
use super::format::{EventSet, NegotiatedCodec, NegotiatedEvents};
use super::packets::{PacketLengthBounds, packets};
use super::read::Audio;
use super::{
    CodecOrder, Direction, LocalMedia, LocalStream, NegotiatedExtensions, NegotiatedFeedback, NegotiatedStream,
    NegotiatedTransport,
};
use crate::registry::CodecFormat;

/// The properties of a stream other than its formats.
pub(super) struct StreamAttributes {
    pub(super) mid: Option<String>,
    pub(super) direction: Direction,
    pub(super) extensions: NegotiatedExtensions,
    pub(super) feedback: NegotiatedFeedback,
}

/// The formats that a stream may send and receive.
pub(super) struct NegotiatedFormats {
    send: Vec<NegotiatedCodec>,
    receive: Vec<NegotiatedCodec>,
    send_events: Vec<NegotiatedEvents>,
    receive_events: Vec<NegotiatedEvents>,
}

impl NegotiatedFormats {
    /// Negotiates for the answer to `theirs`, without the payload types that earlier streams over the same port have.
    pub(super) fn answered(
        local: &LocalMedia,
        own: &LocalStream,
        theirs: &Audio,
        taken: &[PayloadType],
    ) -> Result<Self, SdpError> {
        let free = |number: PayloadType| !taken.contains(&number);
        let codecs: Vec<_> = theirs.codecs.iter().filter(|codec| free(codec.payload_type)).cloned().collect();
        let Some(pairs) = pair(local, &codecs, &own.codecs, local.codec_order) else {
            let shared = pair(local, &theirs.codecs, &own.codecs, local.codec_order).is_some();
            let shared = shared.then_some(SdpError::SharedPayloadTypes(DescriptionKind::Offer));
            return Err(shared.unwrap_or_else(|| no_common(theirs, own.codecs.iter())));
        };
        let send: Vec<_> = pairs.iter().map(|(theirs, _)| (*theirs).clone()).collect();
        let receive = pairs.iter().map(|(theirs, ours)| NegotiatedCodec {
            payload_type: theirs.payload_type,
            format: CodecFormat { payload_type: None, ..agreed(local, theirs, &own.codecs[*ours]) },
        });
        let receive = receive.collect();
        let events = theirs.events.iter().filter(|events| own.telephone_event && free(events.payload_type));
        let send_events = common_events(&events.copied().collect::<Vec<_>>(), &send);
        let understood = |events: &NegotiatedEvents| events.events.and(EventSet::DTMF_AND_FLASH);
        let receive_events =
            send_events.iter().map(|events| NegotiatedEvents { events: understood(events), ..*events }).collect();
        Ok(Self { send, receive, send_events, receive_events })
    }

    /// Negotiates after `theirs` answered `ours`.
    pub(super) fn accepted(local: &LocalMedia, ours: &Audio, theirs: &Audio) -> Result<Self, SdpError> {
        let our_formats: Vec<_> = ours.codecs.iter().map(|codec| codec.format.clone()).collect();
        let pairs = pair(local, &theirs.codecs, &our_formats, CodecOrder::Offer);
        let pairs = pairs.ok_or_else(|| no_common(theirs, our_formats.iter()))?;
        let (send, receive): (Vec<_>, Vec<_>) =
            pairs.into_iter().map(|(theirs, at)| (theirs.clone(), ours.codecs[at].clone())).unzip();
        let ours_beside =
            |theirs: &NegotiatedEvents| ours.events.iter().find(|own| own.rtp_clock_hz == theirs.rtp_clock_hz).copied();
        let both: Vec<_> = theirs.events.iter().filter(|theirs| ours_beside(theirs).is_some()).copied().collect();
        let send_events = common_events(&both, &send);
        let receive_events = send_events.iter().filter_map(ours_beside).collect();
        Ok(Self { send, receive, send_events, receive_events })
    }

    /// Returns the payload types of the formats that may come.
    pub(super) fn numbers(&self) -> impl Iterator<Item = PayloadType> {
        let codecs = self.receive.iter().map(|codec| codec.payload_type);
        codecs.chain(self.receive_events.iter().map(|events| events.payload_type))
    }

    /// The stream over this transport, in the direction that we have agreed to.
    pub(super) fn stream(
        self,
        local: &LocalMedia,
        own: &LocalStream,
        theirs: &Audio,
        transport: &NegotiatedTransport,
        StreamAttributes { mid, direction, extensions, feedback }: StreamAttributes,
    ) -> NegotiatedStream {
        let extension_bytes = extensions.most_bytes(mid.as_deref().map_or(0, str::len));
        let (PacketLengthBounds { max_ptime_ms, payload_bytes, headers }, packets) =
            packets(local, own, theirs, transport, extension_bytes, [&self.send, &self.receive]);
        NegotiatedStream {
            mid,
            direction,
            extensions,
            feedback,
            send_ptime_ms: packets.ms,
            wished_ptime_ms: packets.free_ms,
            max_ptime_ms,
            payload_bytes,
            least_packet_bytes: headers + packets.least_bytes,
            header_bytes: headers,
            bandwidth: theirs.bandwidth,
            send_voip_metrics: theirs.voip_metrics,
            send: self.send,
            receive: self.receive,
            send_events: self.send_events,
            receive_events: self.receive_events,
        }
    }
}

/// Returns pairs of their and our formats that go together, each partner once: in the order of theirs, or of ours. `None` without
/// a true codec. Comfort noise and the like come last, and only together with a codec with the same clock.
fn pair<'a>(
    local: &LocalMedia,
    theirs: &'a [NegotiatedCodec],
    ours: &'a [CodecFormat],
    order: CodecOrder,
) -> Option<Vec<(&'a NegotiatedCodec, usize)>> {
    let codecs: Vec<_> = ours.iter().map(|ours| local.registry.find(ours)).collect();
    let together = |t: usize, o: usize| match codecs[o] {
        Some(codec) => codec.agree(&ours[o], &theirs[t].format).is_some(),
        None => ours[o].same_encoding(&theirs[t].format),
    };
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    match order {
        CodecOrder::Offer => {
            for t in 0..theirs.len() {
                let free = |o: &usize| pairs.iter().all(|(_, used)| used != o);
                let found = (0..ours.len()).filter(free).find(|o| together(t, *o));
                pairs.extend(found.map(|o| (t, o)));
            }
        }
        CodecOrder::Ours => {
            for o in 0..ours.len() {
                let free = |t: &usize| pairs.iter().all(|(used, _)| used != t);
                let found = (0..theirs.len()).filter(free).find(|t| together(*t, o));
                pairs.extend(found.map(|t| (t, o)));
            }
        }
    }
    let pairs = pairs.into_iter().map(|(t, o)| (&theirs[t], o));
    let (mut codecs, others): (Vec<_>, Vec<_>) = pairs.partition(|(theirs, _)| !theirs.format.is_auxiliary());
    if codecs.is_empty() {
        return None;
    }
    let clocks: Vec<_> = codecs.iter().map(|(theirs, _)| theirs.format.rtp_clock_hz).collect();
    codecs.extend(others.into_iter().filter(|(theirs, _)| clocks.contains(&theirs.format.rtp_clock_hz)));
    Some(codecs)
}

/// Their events at the clocks of the codecs agreed on, in the codecs' order, one a clock and each number once (RFC 4733,
/// 2.1: events have the clock of the sound that they are in). Failing that, whatever they have.
fn common_events(theirs: &[NegotiatedEvents], codecs: &[NegotiatedCodec]) -> Vec<NegotiatedEvents> {
    let mut common: Vec<NegotiatedEvents> = Vec::new();
    for codec in codecs {
        let clock_hz = codec.format.rtp_clock_hz;
        if common.iter().any(|events| events.rtp_clock_hz == clock_hz) {
            continue;
        }
        let taken = |number| common.iter().any(|events| events.payload_type == number);
        let beside = theirs.iter().find(|events| events.rtp_clock_hz == clock_hz && !taken(events.payload_type));
        common.extend(beside);
    }
    if common.is_empty() {
        common.extend(theirs.first());
    }
    common
}

/// Returns the format that we write in the answer to this format of theirs.
fn agreed(local: &LocalMedia, theirs: &NegotiatedCodec, ours: &CodecFormat) -> CodecFormat {
    local.registry.agree(ours, &theirs.format).unwrap_or_else(|| ours.clone())
}

/// The most characters of their list that an error names.
const LISTED: usize = 320;

/// Returns the error with both lists in full: without clock and channels an error "L16 and L16" would say nothing.
fn no_common<'a>(theirs: &Audio, ours: impl Iterator<Item = &'a CodecFormat>) -> SdpError {
    let ours: Vec<_> = ours.map(CodecFormat::to_rtpmap).collect();
    let mut listed = String::new();
    for (at, codec) in theirs.codecs.iter().enumerate() {
        let name = quote(&codec.format.to_rtpmap());
        if listed.len() + name.len() > LISTED {
            listed = format!("{listed} and {} more", theirs.codecs.len() - at);
            break;
        }
        listed = if listed.is_empty() { name } else { format!("{listed}, {name}") };
    }
    let theirs = if listed.is_empty() { "nothing we know".into() } else { listed };
    SdpError::NoCommonCodec { theirs, ours: ours.join(", ") }
}

//! Offer and answer (RFC 3264): what we write, and what both sides have in common.
//!
//! Each side sends with the numbers and parameters the other declared. An answer keeps the offer's numbers, so ours
//! are the same both ways unless the other side answers with numbers of its own.

use std::net::IpAddr;

use dsp_core::time::PayloadType;
use sdp_types::Session;

use super::crypto::{CryptoError, CryptoLine, CryptoSuite};
use super::error::{Kind, SdpError, quote};
use super::format::{EventSet, NegotiatedCodec, NegotiatedEvents};
use super::read::{self, Audio, Profile};
use super::write::{self, OurAudio};
use super::{
    CodecOrder, Direction, LocalMedia, LocalStream, Negotiated, NegotiatedStream, NegotiatedTransport, SrtpKeys,
    SrtpPolicy,
};
use crate::registry::{CodecFormat, Numbers, Packets, Terms};

/// Writes an offer: the first of a session, or with [`LocalMedia::previous`] a later one (hold, resume, another
/// address, new keys).
///
/// # Errors
/// [`SdpError::Local`] if `local` contradicts itself.
pub fn offer(local: &LocalMedia) -> Result<String, SdpError> {
    write::check(local)?;
    let stream = first(local)?;
    let previous = local.previous.as_deref().map(|text| read::session(text.as_bytes())).transpose()?;
    let place = previous.as_ref().and_then(audio_place);
    let before = match (&previous, place) {
        (Some(session), Some(place)) => Audio::read(session, &session.medias[place], Kind::Offer).ok(),
        _ => None,
    };
    let (codecs, events) = number(stream, before.as_ref());
    let ours = write::audio(
        local,
        stream,
        &OurAudio {
            proto: profile(local, before.as_ref()),
            direction: stream.direction,
            codecs: &codecs,
            events: &events,
            ptime_ms: stream.ptime_ms,
            rtcp_mux: local.rtcp_mux,
            crypto: if local.srtp == SrtpPolicy::Off { &[] } else { &local.crypto },
        },
    );
    // Streams never leave a session (RFC 3264, 8): what was rejected once stays in its place with port 0.
    let mut medias: Vec<_> = previous.iter().flat_map(|session| &session.medias).map(write::rejected).collect();
    match place {
        Some(place) => medias[place] = ours,
        None => medias.push(ours),
    }
    Ok(write::session(local, medias, Vec::new()))
}

/// Answers an offer: one audio stream is taken, all else rejected in its place.
///
/// Of several audio streams (a phone that leaves the choice between RTP/SAVP and RTP/AVP) it's the first that can be
/// taken, and with [`SrtpPolicy::Offered`] the first with SRTP. The offer may be any bytes.
///
/// # Errors
/// Whatever stands in the way, of the first audio stream if there are several. Nothing is agreed then.
pub fn answer(local: &LocalMedia, offer: impl AsRef<[u8]>) -> Result<(String, Negotiated), SdpError> {
    write::check(local)?;
    let stream = first(local)?;
    let session = read::session(offer.as_ref())?;
    let mut taken: Option<(usize, Answered)> = None;
    let mut refused = None;
    for (place, media) in session.medias.iter().enumerate() {
        let tried = match Audio::is_live(media) {
            None => continue,
            Some(false) => Err(SdpError::Rejected(Kind::Offer)),
            Some(true) => {
                Audio::read(&session, media, Kind::Offer).and_then(|theirs| Answered::new(local, stream, theirs))
            }
        };
        match tried {
            Ok(answered) => {
                let better = match &taken {
                    None => true,
                    Some((_, best)) => best.crypto.is_none() && answered.crypto.is_some(),
                };
                if better {
                    taken = Some((place, answered));
                }
            }
            // What's wrong with a live stream says more than that another is dead.
            Err(error) => match refused {
                None | Some(SdpError::Rejected(_)) => refused = Some(error),
                Some(_) => {}
            },
        }
    }
    let Some((place, answered)) = taken else {
        return Err(refused.unwrap_or(SdpError::NoAudio(Kind::Offer)));
    };
    let Answered { transport, stream: agreed, .. } = &answered;
    let mut medias: Vec<_> = session.medias.iter().map(write::rejected).collect();
    medias[place] = write::audio(
        local,
        stream,
        &OurAudio {
            proto: &answered.proto,
            direction: agreed.direction,
            codecs: &agreed.receive,
            events: &agreed.receive_events,
            ptime_ms: agreed.send_ptime_ms,
            rtcp_mux: transport.rtcp_mux,
            crypto: answered.crypto.as_slice(),
        },
    );
    // RFC 3264, 6: the t= line is the offer's.
    let text = write::session(local, medias, session.times.into_iter().take(1).collect());
    Ok((text, alone(local, answered.transport, answered.stream)))
}

/// The codecs of each stream of our `offer` with the payload types it gives them: from the moment it is sent, the other side may use
/// them (RFC 3264, 5.1).
///
/// # Errors
/// [`SdpError::NoAudio`] and what a description may be wrong in.
pub fn offered(offer: impl AsRef<[u8]>) -> Result<Vec<Vec<NegotiatedCodec>>, SdpError> {
    let session = read::session(offer.as_ref())?;
    let place = session.medias.iter().position(|media| Audio::is_live(media) == Some(true));
    let place = place.ok_or(SdpError::NoAudio(Kind::Offer))?;
    Ok(vec![Audio::read(&session, &session.medias[place], Kind::Offer)?.codecs])
}

/// Reads the answer to our `offer`. The answer may be any bytes; what we said is taken from the text of the offer.
///
/// # Errors
/// Whatever stands in the way; the call has no media then.
pub fn accept(local: &LocalMedia, offer: impl AsRef<[u8]>, answer: impl AsRef<[u8]>) -> Result<Negotiated, SdpError> {
    let offered = read::session(offer.as_ref())?;
    let place = offered.medias.iter().position(|media| Audio::is_live(media) == Some(true));
    let place = place.ok_or(SdpError::NoAudio(Kind::Offer))?;
    let ours = Audio::read(&offered, &offered.medias[place], Kind::Offer)?;

    let answered = read::session(answer.as_ref())?;
    let media = answered.medias.get(place).ok_or(match answered.medias.len() {
        0 => SdpError::NoAudio(Kind::Answer),
        count => SdpError::MissingStream { answered: count, offered: offered.medias.len() },
    })?;
    match Audio::is_live(media) {
        Some(true) => {}
        Some(false) => return Err(SdpError::Rejected(Kind::Answer)),
        None => return Err(SdpError::NoAudio(Kind::Answer)),
    }
    let theirs = Audio::read(&answered, media, Kind::Answer)?;
    same_family(local, &theirs, Kind::Answer)?;

    let stream = first(local)?;
    let srtp = accept_keys(local, &ours, &theirs)?;
    let our_formats: Vec<_> = ours.codecs.iter().map(|codec| codec.format.clone()).collect();
    let pairs = pair(local, &theirs.codecs, &our_formats, CodecOrder::Offer);
    let pairs = pairs.ok_or_else(|| no_common(&theirs, our_formats.iter()))?;
    let (send, receive): (Vec<_>, Vec<_>) =
        pairs.into_iter().map(|(theirs, at)| (theirs.clone(), ours.codecs[at].clone())).unzip();
    let ours_beside =
        |theirs: &NegotiatedEvents| ours.events.iter().find(|own| own.rtp_clock_hz == theirs.rtp_clock_hz).copied();
    let both: Vec<_> = theirs.events.iter().filter(|theirs| ours_beside(theirs).is_some()).copied().collect();
    let send_events = common_events(&both, &send);
    let rtcp_mux = ours.rtcp_mux && theirs.rtcp_mux;
    let (packets, headers) = packets(local, stream, &theirs, srtp.as_ref(), [&send, &receive]);
    let transport = NegotiatedTransport {
        remote_rtp: theirs.rtp,
        remote_rtcp: if rtcp_mux { theirs.rtp } else { theirs.rtcp.ok_or(SdpError::RtcpPort(Kind::Answer))? },
        rtcp_mux,
        srtp,
    };
    let agreed = NegotiatedStream {
        mid: None,
        direction: ours.direction.and(theirs.direction.reversed()),
        receive_events: send_events.iter().filter_map(ours_beside).collect(),
        send_events,
        send_ptime_ms: packets.ms,
        wished_ptime_ms: packets.free_ms,
        least_packet_bytes: headers + packets.least_bytes,
        send_voip_metrics: theirs.voip_metrics,
        send,
        receive,
    };
    Ok(alone(local, transport, agreed))
}

/// The first of our streams.
fn first(local: &LocalMedia) -> Result<&LocalStream, SdpError> {
    local.streams.first().ok_or(SdpError::Local("there is no stream"))
}

/// The first of our streams was agreed on.
fn alone(local: &LocalMedia, transport: NegotiatedTransport, stream: NegotiatedStream) -> Negotiated {
    let mut streams = vec![Some(stream)];
    streams.resize(local.streams.len().max(1), None);
    Negotiated { transport, streams }
}

/// One stream of an offer, and our answer to it.
struct Answered {
    proto: String,
    transport: NegotiatedTransport,
    stream: NegotiatedStream,
    crypto: Option<CryptoLine>,
}

impl Answered {
    fn new(local: &LocalMedia, own: &LocalStream, theirs: Audio) -> Result<Self, SdpError> {
        same_family(local, &theirs, Kind::Offer)?;
        let keys = answer_keys(local, &theirs)?;
        let pairs = pair(local, &theirs.codecs, &own.codecs, local.codec_order);
        let pairs = pairs.ok_or_else(|| no_common(&theirs, own.codecs.iter()))?;
        let send: Vec<_> = pairs.iter().map(|(theirs, _)| (*theirs).clone()).collect();
        let receive: Vec<_> = pairs
            .iter()
            .map(|(theirs, ours)| NegotiatedCodec {
                payload_type: theirs.payload_type,
                format: CodecFormat { payload_type: None, ..agreed(local, theirs, &own.codecs[*ours]) },
            })
            .collect();
        let send_events = if own.telephone_event { common_events(&theirs.events, &send) } else { Vec::new() };
        let receive_events = send_events
            .iter()
            .map(|events| NegotiatedEvents { events: events.events.and(EventSet::DTMF_AND_FLASH), ..*events })
            .collect();
        let rtcp_mux = local.rtcp_mux && theirs.rtcp_mux;
        let can_receive = !local.address.is_unspecified();
        let wanted = own.direction.and(Direction::from_flags(true, can_receive));
        let (srtp, crypto) = keys.unzip();
        let (packets, headers) = packets(local, own, &theirs, srtp.as_ref(), [&send, &receive]);
        Ok(Self {
            transport: NegotiatedTransport {
                remote_rtp: theirs.rtp,
                remote_rtcp: if rtcp_mux { theirs.rtp } else { theirs.rtcp.ok_or(SdpError::RtcpPort(Kind::Offer))? },
                rtcp_mux,
                srtp,
            },
            stream: NegotiatedStream {
                mid: None,
                direction: wanted.and(theirs.direction.reversed()),
                send_ptime_ms: packets.ms,
                wished_ptime_ms: packets.free_ms,
                least_packet_bytes: headers + packets.least_bytes,
                send_voip_metrics: theirs.voip_metrics,
                send,
                receive,
                send_events,
                receive_events,
            },
            proto: theirs.proto,
            crypto,
        })
    }
}

/// The profile of an offer. Phones take it ill when it changes during a call, so it stays what it was if it can.
fn profile<'a>(local: &LocalMedia, before: Option<&'a Audio>) -> &'a str {
    let keeps = |before: &&Audio| match local.srtp {
        SrtpPolicy::Off => before.profile == Profile::Plain,
        SrtpPolicy::Offered => true,
        SrtpPolicy::Required => before.profile == Profile::Secure || !before.crypto.is_empty(),
    };
    match before.filter(keeps) {
        Some(before) => &before.proto,
        None if local.srtp == SrtpPolicy::Required => "RTP/SAVP",
        None => "RTP/AVP",
    }
}

/// Where our stream lies in a description of ours: the live audio stream, else the first that once was.
fn audio_place(session: &Session) -> Option<usize> {
    let live = session.medias.iter().position(|media| Audio::is_live(media) == Some(true));
    live.or_else(|| session.medias.iter().position(|media| Audio::is_live(media).is_some()))
}

/// Gives our codecs and events their numbers: those they had before, those they wish, static ones, then free ones.
/// A number never changes its meaning within a session (RFC 3264, 8.3.2).
fn number(stream: &LocalStream, before: Option<&Audio>) -> (Vec<NegotiatedCodec>, Vec<NegotiatedEvents>) {
    let (old_codecs, old_events) = before.map_or((&[][..], &[][..]), |audio| (&audio.codecs, &audio.events));
    let old_numbers = old_codecs.iter().map(|codec| codec.payload_type);
    let mut free = Numbers::new(old_numbers.chain(old_events.iter().map(|events| events.payload_type)));
    let mut kept: Vec<Option<PayloadType>> = vec![None; stream.codecs.len()];
    for (at, codec) in stream.codecs.iter().enumerate() {
        let mut old = old_codecs.iter().filter(|old| old.format.same_encoding(codec)).map(|old| old.payload_type);
        kept[at] = old.find(|old| !kept.contains(&Some(*old)));
    }
    let numbers = free.assign(&stream.codecs, &kept);
    let mut codecs = Vec::new();
    for (codec, number) in stream.codecs.iter().zip(numbers) {
        if let Some(payload_type) = number {
            codecs.push(NegotiatedCodec { payload_type, format: codec.clone() });
        }
    }
    let mut events: Vec<NegotiatedEvents> = Vec::new();
    for codec in stream.codecs.iter().filter(|codec| stream.telephone_event && !codec.is_auxiliary()) {
        let rtp_clock_hz = codec.rtp_clock_hz;
        if events.iter().any(|events| events.rtp_clock_hz == rtp_clock_hz) {
            continue;
        }
        let old = old_events.iter().find(|old| old.rtp_clock_hz == rtp_clock_hz).map(|old| old.payload_type);
        let usual = PayloadType::new(101).filter(|_| rtp_clock_hz == 8_000);
        let number = old.or_else(|| usual.and_then(|usual| free.take_if_free(usual))).or_else(|| free.take_dynamic());
        if let Some(payload_type) = number {
            events.push(NegotiatedEvents { payload_type, rtp_clock_hz, events: EventSet::DTMF_AND_FLASH });
        }
    }
    (codecs, events)
}

/// Pairs of their and our formats that go together, each partner once: in the order of theirs, or of ours. `None`
/// without a true codec. Comfort noise and the like come last, and only beside a codec with the same clock.
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

/// What we write in the answer to this format of theirs.
fn agreed(local: &LocalMedia, theirs: &NegotiatedCodec, ours: &CodecFormat) -> CodecFormat {
    local.registry.agree(ours, &theirs.format).unwrap_or_else(|| ours.clone())
}

/// The packet length the receiver asks for, within both limits and the MTU, in steps of ten that the first codec has; and
/// bytes of headers and tag in an IP packet.
fn packets(
    local: &LocalMedia,
    stream: &LocalStream,
    theirs: &Audio,
    srtp: Option<&SrtpKeys>,
    [send, receive]: [&[NegotiatedCodec]; 2],
) -> (Packets, usize) {
    let most = theirs.max_ptime_ms.unwrap_or(60).min(stream.max_ptime_ms).max(10);
    let wished = theirs.ptime_ms.unwrap_or(stream.ptime_ms).clamp(10, most) / 10 * 10;
    let suite = srtp.map(|keys| keys.suite);
    let headers = ip_overhead(theirs.rtp.ip()) + RTP_HEADER_BYTES + suite.map_or(0, CryptoSuite::tag_bytes);
    let (Some(send), Some(receive)) = (send.first(), receive.first()) else {
        return (Packets { ms: wished, free_ms: wished, least_bytes: 0 }, headers);
    };
    let terms = Terms { ours: &receive.format, theirs: &send.format };
    let room = usize::from(local.mtu).saturating_sub(headers);
    (local.registry.packets(&terms, wished, payload_bytes(stream, &send.format, room)), headers)
}

/// Bytes of an RTP header without contributing sources or extensions (RFC 3550, 5.1).
const RTP_HEADER_BYTES: usize = 12;

/// Bytes of the IP and UDP headers of a packet to `address`.
pub(crate) fn ip_overhead(address: IpAddr) -> usize {
    if address.is_ipv4() { 20 + 8 } else { 40 + 8 }
}

/// Bytes of one payload, where `room` is to hold it and the copies of those before it (RFC 2198, 3: four bytes of header
/// each, one for the last). What is too long to be copied goes alone.
fn payload_bytes(stream: &LocalStream, codec: &CodecFormat, room: usize) -> usize {
    let repeats = stream.codecs.iter().any(|own| own.same_encoding(&CodecFormat::redundancy(codec)));
    let copies = if repeats { usize::from(stream.redundancy) } else { 0 };
    if copies == 0 { room } else { room.saturating_sub(4 * copies + 1) / (copies + 1) }
}

/// The packet length to ask for before there is another side: that of the best codec, within the MTU.
pub(crate) fn offered_ptime_ms(local: &LocalMedia, stream: &LocalStream, wished_ms: u32) -> u32 {
    let Some(best) = stream.codecs.first() else { return wished_ms };
    let tag = local.crypto.iter().map(|line| line.suite.tag_bytes()).max().unwrap_or(0);
    let room = usize::from(local.mtu).saturating_sub(ip_overhead(local.address) + RTP_HEADER_BYTES + tag);
    local.registry.packets(&Terms::alone(best), wished_ms, payload_bytes(stream, best, room)).ms
}

/// The keys for an answer, and our line in it; `None` for plain RTP.
fn answer_keys(local: &LocalMedia, theirs: &Audio) -> Result<Option<(SrtpKeys, CryptoLine)>, SdpError> {
    let secure = theirs.profile == Profile::Secure;
    let keyless = theirs.crypto.is_empty() && theirs.fingerprint;
    match local.srtp {
        SrtpPolicy::Off if secure && keyless => Err(SdpError::Dtls(Kind::Offer)),
        SrtpPolicy::Off if secure => Err(SdpError::SrtpOff(Kind::Offer, quote(&theirs.proto))),
        SrtpPolicy::Off => Ok(None),
        SrtpPolicy::Offered | SrtpPolicy::Required => match pick_line(local, theirs) {
            Ok(line) => Ok(Some(line)),
            Err(_) if local.srtp == SrtpPolicy::Offered && !secure => Ok(None),
            Err(_) if keyless => Err(SdpError::Dtls(Kind::Offer)),
            Err(CryptoError::Missing) if !secure => Err(SdpError::SrtpRequired(Kind::Offer, quote(&theirs.proto))),
            Err(error) => Err(SdpError::Crypto(Kind::Offer, error)),
        },
    }
}

/// The first of their lines that we can use (RFC 4568, 5.1.2): our answer has its tag and suite and a key of ours.
fn pick_line(local: &LocalMedia, theirs: &Audio) -> Result<(SrtpKeys, CryptoLine), CryptoError> {
    let mut first_error = None;
    for line in &theirs.crypto {
        let picked = line.as_ref().map_err(|error| *error).and_then(|line| {
            let ours = local.crypto.iter().find(|ours| ours.suite == line.suite);
            let ours = ours.ok_or(CryptoError::SuiteNotOurs(line.suite))?;
            Ok((keys(local, ours, line)?, CryptoLine { tag: line.tag, ..ours.clone() }))
        });
        match picked {
            Ok(picked) => return Ok(picked),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    Err(first_error.unwrap_or(CryptoError::Missing))
}

/// The keys after the answer to our offer; `None` for plain RTP.
fn accept_keys(local: &LocalMedia, ours: &Audio, theirs: &Audio) -> Result<Option<SrtpKeys>, SdpError> {
    let secure = theirs.profile == Profile::Secure;
    if ours.crypto.is_empty() {
        return if secure { Err(SdpError::SrtpOff(Kind::Answer, quote(&theirs.proto))) } else { Ok(None) };
    }
    let Some(line) = theirs.crypto.first() else {
        return if secure && theirs.fingerprint {
            Err(SdpError::Dtls(Kind::Answer))
        } else if secure {
            Err(SdpError::Crypto(Kind::Answer, CryptoError::Missing))
        } else if local.srtp == SrtpPolicy::Required || ours.profile == Profile::Secure {
            Err(SdpError::SrtpRequired(Kind::Answer, quote(&theirs.proto)))
        } else {
            Ok(None)
        };
    };
    // They answered with a key, so they'll protect: plain RTP from us would be as useless as no call.
    let agreed = line.as_ref().map_err(|error| *error).and_then(|line| {
        let mut offered = ours.crypto.iter().flatten();
        if offered.clone().any(|offered| offered.key == line.key) {
            return Err(CryptoError::SameKey);
        }
        let offered = offered.find(|offered| offered.tag == line.tag && offered.suite == line.suite);
        keys(local, offered.ok_or(CryptoError::Tag(line.tag))?, line)
    });
    agreed.map(Some).map_err(|error| SdpError::Crypto(Kind::Answer, error))
}

/// None of our keys may be theirs, whichever line it stands in: it protects what we send, now or later.
fn keys(local: &LocalMedia, ours: &CryptoLine, theirs: &CryptoLine) -> Result<SrtpKeys, CryptoError> {
    if ours.key == theirs.key || local.crypto.iter().any(|ours| ours.key == theirs.key) {
        return Err(CryptoError::SameKey);
    }
    Ok(SrtpKeys { suite: theirs.suite, outgoing: ours.key.clone(), incoming: theirs.key.clone() })
}

/// The most characters of their list that an error names.
const LISTED: usize = 320;

/// Both lists in full: without clock and channels L16 beside L16 says nothing.
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

/// A socket of one address family can't send to the other. Where either address is the zero of old-style hold nothing
/// is sent.
fn same_family(local: &LocalMedia, theirs: &Audio, kind: Kind) -> Result<(), SdpError> {
    let (ours, theirs) = (local.address.to_canonical(), theirs.rtp.ip());
    if ours.is_ipv4() == theirs.is_ipv4() || ours.is_unspecified() || theirs.is_unspecified() {
        return Ok(());
    }
    Err(SdpError::Family { kind, theirs, ours })
}

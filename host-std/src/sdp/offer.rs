//! Our offer (RFC 3264, 5 and 8; RFC 9143, 7.2 and 7.5 for several streams).

use dsp_core::time::PayloadType;
use sdp_types::Media;

use super::bundle::{self, SessionDescription};
use super::dtls::{OurDtls, speaks_dtls};
use super::error::{DescriptionKind, SdpError};
use super::extensions::{ExtensionKind, Extensions, OfferExtensions};
use super::feedback::FeedbackAttributes;
use super::format::{EventSet, NegotiatedCodec, NegotiatedEvents};
use super::ice;
use super::read::{Audio, Profile};
use super::write::{self, Carries, OurAudio};
use super::{LocalMedia, LocalStream, MAX_STREAMS, SrtpPolicy};
use crate::registry::PayloadTypesInUse;

/// Writes an offer: the first one of a session, or, where [`LocalMedia::previous`] is set, a later one (hold, resume, another
/// address, new keys, another stream).
///
/// Several streams are offered in one BUNDLE group (RFC 9143). Until the other side has agreed to the group only one of the
/// streams has a port, so that a side without BUNDLE rejects the others. No two streams share a payload type.
///
/// # Errors
/// [`SdpError::Local`] if `local` contradicts itself: it has no stream or codec, say, or requires SRTP and has no key.
/// [`SdpError::TooMany`] if there would be more than [`MAX_STREAMS`](super::MAX_STREAMS) `m=` lines.
///
/// # Examples
/// A first offer, and one that puts the other side on hold:
///
/// ```
/// use host_std::sdp::{CodecFormat, Direction, LocalMedia, LocalStream, offer};
///
/// let mut local = LocalMedia { rtp_port: 4000, ..LocalMedia::default() };
/// local.streams = vec![LocalStream::of([CodecFormat::pcma(), CodecFormat::pcmu()])];
/// let first = offer(&local)?;
/// assert!(first.contains("m=audio 4000 RTP/AVP 8 0"));
///
/// local.streams[0].direction = Direction::SendOnly;
/// local.previous = Some(first);
/// let second = offer(&local)?;
/// assert!(second.contains("a=sendonly"));
/// # Ok::<(), host_std::sdp::SdpError>(())
/// ```
pub fn offer(local: &LocalMedia) -> Result<String, SdpError> {
    write::check(local)?;
    let before = Before::read(local)?;
    let (medias, places) = before.lay_out(local)?;
    let streams = || local.streams.iter().zip(places.iter().copied());
    let open = || streams().filter(|(stream, _)| !stream.closed).map(|(_, place)| place);
    if open().count() > 1 && !local.rtcp_mux {
        return Err(SdpError::Local("several streams over one port need rtcp-mux"));
    }
    let tag = before.tag().filter(|tag| open().any(|place| place == *tag)).or(open().next());
    let tag = tag.ok_or(SdpError::Local("all streams are closed"))?;
    let grouped = places.len() > 1 || before.is_grouped(tag);
    // Endpoints of WebRTC take none without a name (RFC 8829, 5.2.1).
    let mids = mids(&medias, grouped || (local.dtls.is_some() && local.ice.is_some()));
    let mid = |place: usize| mids.get(place).and_then(Option::as_deref);
    let agreed = |place: usize| mid(place).is_some_and(|mid| local.bundle.iter().any(|agreed| agreed == mid));

    let rejected =
        medias.iter().enumerate().map(|(place, media)| media.map(|media| write::rejected(media, mid(place))));
    let mut medias: Vec<_> = rejected.collect();
    // A line at which we rejected something doesn't show our numbers.
    let old = |place: &usize| before.own.contains(place).then(|| before.audio(*place)).flatten();
    let old: Vec<_> = places.iter().map(old).collect();
    // All bundled streams have one profile (RFC 9143, 9.1).
    let proto = profile(local, before.audio(tag).as_ref()).to_owned();
    // Numbers of one stream are none of another's, not even of a closed one.
    let mut free = PayloadTypesInUse::new(old.iter().flatten().flat_map(Audio::numbers));
    let sections: Vec<_> = old.iter().flatten().map(|audio| &audio.extensions).collect();
    let with_feedback = proto.to_ascii_uppercase().ends_with('F');
    let wanted = |kind| match local.extensions.offer {
        OfferExtensions::Never => false,
        _ if kind == ExtensionKind::Mid => grouped,
        _ if kind == ExtensionKind::TransportSequence => with_feedback && local.feedback.transport_wide,
        OfferExtensions::WithFeedback => with_feedback,
        OfferExtensions::Always => true,
    };
    let extensions = Extensions::offered(&local.extensions, wanted, &sections);
    let numbered = extensions.get(ExtensionKind::TransportSequence).is_some();
    for ((stream, place), old) in streams().zip(&old) {
        let (codecs, events) = number(stream, old.as_ref(), &mut free);
        if codecs.iter().all(|codec| codec.format.is_auxiliary()) {
            return Err(SdpError::Local("there are too few payload types for so many codecs"));
        }
        let ours = OurAudio {
            mid: mid(place),
            carries: match place {
                tagged if tagged == tag => Carries::All,
                bundled if agreed(bundled) => Carries::Port,
                _ => Carries::Nothing,
            },
            proto: &proto,
            direction: stream.direction,
            codecs: &codecs,
            events: &events,
            ptime_ms: stream.ptime_ms,
            rtcp_mux: local.rtcp_mux,
            crypto: if local.srtp == SrtpPolicy::Off || local.dtls.is_some() { &[] } else { &local.crypto },
            dtls: OurDtls::offered(local),
            ice: local.ice.as_ref(),
            extensions,
            feedback: FeedbackAttributes::offered(
                &local.feedback,
                &proto,
                numbered,
                old.as_ref().map(|audio| audio.feedback),
            ),
            reduced_size: local.feedback.reduced_size && with_feedback,
        };
        let media = write::audio(local, stream, &ours);
        medias[place] = Some(if stream.closed { write::closed(&media, mid(place)) } else { media });
    }
    let others = open().filter(|place| *place != tag);
    let group = std::iter::once(tag).chain(others).filter(|_| grouped).filter_map(mid);
    let attributes = write::group(group).into_iter().chain(ice::of_session(local.ice.as_ref())).collect();
    Ok(write::session(local, attributes, medias.into_iter().flatten().collect(), Vec::new()))
}

/// The formats that the other side may send in one stream of an offer of ours as soon as it has the offer: [`offered`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offered {
    /// The codecs, with the payload types that the offer gives them.
    pub codecs: Vec<NegotiatedCodec>,
    /// The telephone events (RFC 4733), one entry for each RTP clock.
    pub events: Vec<NegotiatedEvents>,
}

/// Reads what our own `offer` allows the other side to send, stream by stream; a closed stream allows nothing. Sound may come as
/// soon as the offer is sent, before its answer is here (RFC 3264, 5.1).
///
/// # Errors
/// [`SdpError::NoAudio`] if the offer has no audio stream; another [`SdpError`] if it isn't a valid description.
pub fn offered(offer: impl AsRef<[u8]>) -> Result<Vec<Offered>, SdpError> {
    let offer = SessionDescription::read(offer.as_ref())?;
    let places = offer.own();
    if !places.iter().any(|place| offer.is_open(*place) == Some(true)) {
        return Err(SdpError::NoAudio(DescriptionKind::Offer));
    }
    let of = |place: usize| match offer.is_open(place) {
        Some(true) => {
            offer.audio(place, DescriptionKind::Offer).map(|Audio { codecs, events, .. }| Offered { codecs, events })
        }
        _ => Ok(Offered::default()),
    };
    places.into_iter().map(of).collect()
}

/// Our last description in this session.
struct Before {
    text: Option<SessionDescription>,
    /// The places of our streams.
    own: Vec<usize>,
}

impl Before {
    fn read(local: &LocalMedia) -> Result<Self, SdpError> {
        let text = local.previous.as_deref().map(|text| SessionDescription::read(text.as_bytes())).transpose()?;
        let mut own = text.as_ref().map_or_else(Vec::new, SessionDescription::own);
        if let Some(text) = text.as_ref().filter(|_| own.is_empty()) {
            // The first that once was.
            own.extend(text.places().find(|place| text.is_open(*place).is_some()));
        }
        Ok(Self { text, own })
    }

    /// Returns the earlier line for each place, and the places of our streams. Streams never leave a session (RFC 3264, 8): one
    /// that was rejected stays in its place with port 0. A new stream comes last, or in a place after all of ours where audio was
    /// rejected (8.1): the other side may have kept that place for its stream.
    fn lay_out(&self, local: &LocalMedia) -> Result<(Vec<Option<&Media>>, Vec<usize>), SdpError> {
        let medias = self.text.iter().flat_map(|text| &text.session.medias);
        let mut medias: Vec<_> = medias.map(Some).collect();
        // A closed stream that never was needs a place only for the sake of those after it.
        let last = local.streams.iter().rposition(|stream| !stream.closed).map_or(0, |last| last + 1);
        let count = last.max(self.own.len().min(local.streams.len()));
        let mut places: Vec<_> = self.own.iter().copied().take(count).collect();
        let after = places.last().map_or(0, |last| last + 1);
        let is_rejected = |place: &usize| self.text.as_ref().is_some_and(|text| text.is_open(*place) == Some(false));
        let free = (after..medias.len()).filter(is_rejected).chain(medias.len()..);
        places.extend(free.take(count - places.len()));
        medias.resize(medias.len().max(places.last().map_or(0, |last| last + 1)), None);
        if medias.len() > MAX_STREAMS {
            return Err(SdpError::TooMany { what: "streams", most: MAX_STREAMS });
        }
        Ok((medias, places))
    }

    fn audio(&self, place: usize) -> Option<Audio> {
        self.text.as_ref()?.audio(place, DescriptionKind::Offer).ok()
    }

    fn is_grouped(&self, place: usize) -> bool {
        self.text.as_ref().is_some_and(|text| text.bundles.group(place).is_some())
    }

    /// Returns the place whose address counted for all. It stays, as long as it's open: a side without BUNDLE knows no other.
    fn tag(&self) -> Option<usize> {
        let text = self.text.as_ref()?;
        let tagged = text.bundles.first_group().and_then(|group| text.tag(group));
        let live = || self.own.iter().copied().find(|place| text.port(*place) != 0);
        tagged.filter(|tag| self.own.contains(tag)).or_else(live)
    }
}

/// Returns the name of each section: its own, and, if all are to have one, a new one for each section without (RFC 5888, 6:
/// either all have names or none counts).
fn mids(medias: &[Option<&Media>], named: bool) -> Vec<Option<String>> {
    let mut mids: Vec<Option<String>> = Vec::with_capacity(medias.len());
    for media in medias {
        let mid = media.and_then(bundle::written_mid).map(str::to_owned);
        mids.push(mid.filter(|mid| mids.iter().flatten().all(|other| other != mid)));
    }
    for place in 0..mids.len() {
        if named && mids[place].is_none() {
            mids[place] = Some(bundle::new_mid(place, &mids));
        }
    }
    mids
}

/// Returns the profile of an offer. Some phones fail if it changes during a call, so it stays the same if possible.
fn profile<'a>(local: &LocalMedia, before: Option<&'a Audio>) -> &'a str {
    let keeps = |before: &&Audio| match local.srtp {
        SrtpPolicy::Off => before.profile == Profile::Plain,
        SrtpPolicy::Offered => before.profile != Profile::Dtls || local.dtls.is_some(),
        SrtpPolicy::Required if local.dtls.is_some() => speaks_dtls(before),
        SrtpPolicy::Required => before.profile == Profile::Secure || !before.crypto.is_empty(),
    };
    match before.filter(keeps) {
        Some(before) => &before.proto,
        None if local.srtp == SrtpPolicy::Required && local.dtls.is_some() => "UDP/TLS/RTP/SAVPF",
        None if local.srtp == SrtpPolicy::Required && local.feedback.profile => "RTP/SAVPF",
        None if local.srtp == SrtpPolicy::Required => "RTP/SAVP",
        None if local.feedback.profile => "RTP/AVPF",
        None => "RTP/AVP",
    }
}

/// Gives our codecs and events their numbers: those they had before, those they wish, static ones, then free ones.
/// A number never changes its meaning within a session (RFC 3264, 8.3.2).
fn number(
    stream: &LocalStream,
    before: Option<&Audio>,
    free: &mut PayloadTypesInUse,
) -> (Vec<NegotiatedCodec>, Vec<NegotiatedEvents>) {
    let (old_codecs, old_events) = before.map_or((&[][..], &[][..]), |audio| (&audio.codecs, &audio.events));
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

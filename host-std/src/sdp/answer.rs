//! Our answer to an offer (RFC 3264, 6; RFC 9143, 7.3 for several streams).

use dsp_core::time::PayloadType;
use sdp_types::Media;

use super::agreed::{Negotiated, NegotiatedTransport};
use super::bundle::{self, SessionDescription};
use super::common::{NegotiatedFormats, StreamAttributes};
use super::crypto::CryptoLine;
use super::dtls::OurDtls;
use super::error::{DescriptionKind, SdpError};
use super::extensions::ExtensionKind;
use super::ice;
use super::keys::{NegotiatedKeys, answer_keys};
use super::read::{Audio, same_family};
use super::write::{self, Carries, OurAudio};
use super::{Direction, LocalMedia};

/// Answers an offer, which may be any bytes: returns the text of the answer and what both sides have agreed on.
///
/// The answer accepts as many audio streams as [`LocalMedia::streams`] has; everything else is rejected in its place.
///
/// The first stream that is taken decides where packets go. Where the offer has several audio streams without a BUNDLE group,
/// as of a phone that leaves the choice between RTP/SAVP and RTP/AVP, this is the first that suits us, or with
/// [`SrtpPolicy::Offered`](super::SrtpPolicy::Offered) the first that has SRTP. Further streams are taken only if they are in the
/// first one's BUNDLE group and have payload types of their own. In a later offer of the same session
/// ([`LocalMedia::previous`]) streams keep their places.
///
/// # Errors
/// An [`SdpError`] that says why the first audio stream can't be taken: the offer isn't a valid description, has no audio, no
/// codec that we have, no usable address, or not the protection that [`LocalMedia::srtp`] requires. [`SdpError::Local`] if
/// `local` contradicts itself. Nothing is agreed on then.
///
/// # Examples
/// This is the offer of a phone that has video beside the sound: the video is rejected in its place (RFC 3264, 6).
///
/// ```
/// use host_std::sdp::{CodecFormat, LocalMedia, LocalStream, answer};
///
/// let offer = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
///     m=audio 5004 RTP/AVP 0 8\r\nm=video 5006 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n";
/// let ours = LocalStream::of([CodecFormat::pcma()]);
/// let local = LocalMedia { rtp_port: 4000, streams: vec![ours], ..LocalMedia::default() };
/// let (answer, agreed) = answer(&local, offer)?;
/// assert!(answer.contains("m=audio 4000 RTP/AVP 8"));
/// assert!(answer.contains("m=video 0 "));
/// assert_eq!(agreed.transport.remote_rtp, "192.0.2.1:5004".parse().unwrap());
/// # Ok::<(), host_std::sdp::SdpError>(())
/// ```
pub fn answer(local: &LocalMedia, offer: impl AsRef<[u8]>) -> Result<(String, Negotiated), SdpError> {
    write::check(local)?;
    let offer = SessionDescription::read(offer.as_ref())?;
    let Seats { first, further, mut next, new, closed } = Seats::find(local, &offer)?;
    let mut taken = vec![first];
    let mut refused = Vec::new();
    let group = offer.bundles.group(taken[0].place).filter(|_| local.rtcp_mux).unwrap_or_default();
    for (own, place) in further {
        match Taken::further(local, &offer, (own, place), group, &taken) {
            Ok(further) => taken.push(further),
            Err(error) => refused.push((place, error)),
        }
    }
    for place in new {
        // A stream that was closed before it existed has no place, and doesn't take another's.
        if local.streams.get(next).is_none_or(|stream| stream.closed) {
            break;
        }
        match Taken::further(local, &offer, (next, place), group, &taken) {
            Ok(further) => {
                taken.push(further);
                next += 1;
            }
            Err(error) => refused.push((place, error)),
        }
    }
    // Of the accepted sections, the first in the group's list that has a port counts for all (RFC 9143, 7.3.1).
    let is_taken = |place: &usize| taken.iter().any(|taken| taken.place == *place);
    let mut bundle: Vec<_> = group.iter().copied().filter(is_taken).collect();
    let tag = offer.tag(&bundle).and_then(|tag| taken.iter().position(|taken| taken.place == tag));
    // Without RTCP over the same port there is no bundle (9.3).
    let tag = tag.filter(|tag| taken[*tag].transport.rtcp_mux);
    if tag.is_none() {
        bundle.clear();
        refused.extend(taken.drain(1..).map(|taken| (taken.place, SdpError::NotBundled(DescriptionKind::Offer))));
    }
    let tagged = &taken[tag.unwrap_or(0)];
    bundle.sort_by_key(|place| *place != tagged.place);
    let mids = bundle.iter().filter_map(|place| offer.bundles.mid(*place));
    let transport = NegotiatedTransport { bundle: mids.map(str::to_owned).collect(), ..tagged.transport.clone() };
    let (tagged, crypto) = (tagged.place, tagged.crypto.clone());
    let spoken = local.ice.as_ref().filter(|_| transport.ice.is_ok());

    let medias = offer.session.medias.iter().map(|media| write::rejected(media, bundle::written_mid(media)));
    let mut medias: Vec<_> = medias.collect();
    for (place, closed) in closed {
        medias[place] = closed;
    }
    let mut streams = vec![None; local.streams.len()];
    for Taken { own, place, theirs, formats, .. } in taken {
        let ours = &local.streams[own];
        let can_receive = !local.address.is_unspecified();
        let wanted = ours.direction.and(Direction::from_flags(true, can_receive));
        let mid = offer.bundles.mid(place).map(str::to_owned);
        let direction = wanted.and(theirs.direction.reversed());
        let mut extensions = theirs.extensions.answered(&local.extensions).within(direction);
        let numbered = extensions.get(ExtensionKind::TransportSequence).is_some();
        let feedback = theirs.feedback.answered(&local.feedback, numbered);
        if !feedback.agreed(numbered).transport_wide {
            extensions = extensions.without(ExtensionKind::TransportSequence);
        }
        if mid.is_none() {
            extensions = extensions.without(ExtensionKind::Mid);
        }
        let beside = StreamAttributes { mid, direction, extensions, feedback: feedback.agreed(numbered) };
        let stream = formats.stream(local, ours, &theirs, &transport, beside);
        let written = OurAudio {
            mid: stream.mid.as_deref(),
            carries: match (bundle.is_empty(), place == tagged) {
                (true, _) => Carries::All,
                (false, true) => Carries::Multiplexed,
                (false, false) => Carries::Port,
            },
            proto: &theirs.proto,
            direction: stream.direction,
            codecs: &stream.receive,
            events: &stream.receive_events,
            ptime_ms: stream.send_ptime_ms,
            rtcp_mux: transport.rtcp_mux,
            crypto: crypto.as_slice(),
            dtls: transport.dtls.as_ref().and_then(|agreed| OurDtls::answered(local, agreed)),
            ice: spoken,
            extensions,
            feedback,
            reduced_size: transport.rtcp_reduced_size,
        };
        medias[place] = write::audio(local, ours, &written);
        streams[own] = Some(stream);
    }
    let attributes =
        write::group(transport.bundle.iter().map(String::as_str)).into_iter().chain(ice::of_session(spoken)).collect();
    // RFC 3264, 6: the t= line is the offer's.
    let text = write::session(local, attributes, medias, offer.session.times.into_iter().take(1).collect());
    Ok((text, Negotiated::of(transport, streams, refused)?))
}

/// The assignment of our streams to places in an offer.
struct Seats {
    first: Taken,
    /// The other streams that existed before: the index of our stream, and the place.
    further: Vec<(usize, usize)>,
    /// The first of our streams that has no place yet, and the places that are new.
    next: usize,
    new: Vec<usize>,
    /// The media lines for our places at which nothing is accepted, so that the places stay ours.
    closed: Vec<(usize, Media)>,
}

impl Seats {
    fn find(local: &LocalMedia, offer: &SessionDescription) -> Result<Self, SdpError> {
        let previous = local.previous.as_deref().filter(|_| local.streams.len() > 1);
        let previous = previous.and_then(|text| SessionDescription::read(text.as_bytes()).ok());
        let known = previous.as_ref().map_or_else(Vec::new, SessionDescription::own);
        let before = previous.and_then(|previous| Self::as_before(local, offer, &previous, &known));
        before.map_or_else(|| Self::anew(local, offer, &known), Ok)
    }

    /// Assigns the places as before; `None` if no earlier stream continues.
    fn as_before(
        local: &LocalMedia,
        offer: &SessionDescription,
        previous: &SessionDescription,
        known: &[usize],
    ) -> Option<Self> {
        let seated = || (0..local.streams.len()).zip(known.iter().copied());
        let open = || {
            let open = |place| offer.is_open(place) == Some(true);
            seated().filter(move |(own, place)| !local.streams[*own].closed && open(*place))
        };
        let first = first(local, offer, open()).ok()?;
        let after = known.last().map_or(0, |last| last + 1);
        let closed = seated().filter_map(|(_, place)| {
            let (ours, theirs) = (previous.session.medias.get(place)?, offer.session.medias.get(place)?);
            // The meaning of the payload types is kept, unless another kind of stream has taken the place.
            let kept = if offer.is_open(place).is_some() { ours } else { theirs };
            let mid = bundle::written_mid(theirs).or(bundle::written_mid(ours));
            Some((place, write::closed(kept, mid)))
        });
        Some(Self {
            further: open().filter(|(own, _)| *own != first.own).collect(),
            next: known.len(),
            new: offer.open_from(after),
            closed: closed.collect(),
            first,
        })
    }

    /// Assigns the places from scratch, where no earlier stream continues or none exists. Places of our streams other than the
    /// first are not used for it.
    fn anew(local: &LocalMedia, offer: &SessionDescription, known: &[usize]) -> Result<Self, SdpError> {
        let own = local.streams.iter().position(|stream| !stream.closed).unwrap_or(0);
        let is_others = |place: usize| known.iter().position(|known| *known == place).is_some_and(|other| other != own);
        let candidates = offer.places().filter(|place| !is_others(*place));
        let first = first(local, offer, candidates.map(|place| (own, place)))?;
        let new = offer.open_from(first.place + 1);
        // Those of ours before it are closed. Where the offer has closed ones too, they are each other's.
        let media = |place: usize| &offer.session.medias[place];
        let is_closed =
            |place: &usize| offer.is_open(*place) == Some(false) && bundle::written_mid(media(*place)).is_some();
        let places: Vec<_> = (0..first.place).filter(is_closed).collect();
        let places = if places.len() == own { places } else { Vec::new() };
        let closed = |place| (place, write::closed(media(place), bundle::written_mid(media(place))));
        let closed = places.into_iter().map(closed).collect();
        Ok(Self { first, further: Vec::new(), next: own + 1, new, closed })
    }
}

/// Returns the first stream that can be taken with a port of its own, or the first with SRTP.
fn first(
    local: &LocalMedia,
    offer: &SessionDescription,
    candidates: impl Iterator<Item = (usize, usize)>,
) -> Result<Taken, SdpError> {
    let mut taken: Option<Taken> = None;
    let mut refused = None;
    for (own, place) in candidates {
        let tried = match offer.is_open(place) {
            None => continue,
            Some(true) if offer.port(place) != 0 => Taken::new(local, offer, (own, place), &[]),
            Some(_) => Err(SdpError::Rejected(DescriptionKind::Offer)),
        };
        match tried {
            Ok(tried) => {
                let better = match &taken {
                    None => true,
                    Some(best) => !best.is_secure() && tried.is_secure(),
                };
                if better {
                    taken = Some(tried);
                }
            }
            // What's wrong with a live stream says more than that another is dead.
            Err(error) => match refused {
                None | Some(SdpError::Rejected(_)) => refused = Some(error),
                Some(_) => {}
            },
        }
    }
    taken.ok_or_else(|| refused.unwrap_or(SdpError::NoAudio(DescriptionKind::Offer)))
}

/// One stream of an offer that we take.
struct Taken {
    own: usize,
    place: usize,
    theirs: Audio,
    formats: NegotiatedFormats,
    transport: NegotiatedTransport,
    crypto: Option<CryptoLine>,
}

impl Taken {
    fn new(
        local: &LocalMedia,
        offer: &SessionDescription,
        (own, place): (usize, usize),
        numbers: &[PayloadType],
    ) -> Result<Self, SdpError> {
        let mut theirs = offer.audio(place, DescriptionKind::Offer)?;
        same_family(local, &theirs, DescriptionKind::Offer)?;
        let (srtp, crypto, dtls) = match answer_keys(local, &theirs)? {
            NegotiatedKeys::Plain => (None, None, None),
            NegotiatedKeys::Described(keys, line) => (Some(keys), Some(line), None),
            NegotiatedKeys::Dtls(dtls) => (None, None, Some(dtls)),
        };
        let formats = NegotiatedFormats::answered(local, &local.streams[own], &theirs, numbers)?;
        let ice = ice::answered(local, &theirs)?;
        if ice.is_err() {
            theirs.go_without_ice();
        }
        let rtcp_mux = local.rtcp_mux && theirs.rtcp_mux;
        let transport = NegotiatedTransport {
            remote_rtp: theirs.rtp,
            remote_rtcp: if rtcp_mux {
                theirs.rtp
            } else {
                theirs.rtcp.ok_or(SdpError::RtcpPort(DescriptionKind::Offer))?
            },
            rtcp_mux,
            rtcp_reduced_size: theirs.reduced_size && local.feedback.reduced_size && theirs.feedback.is_early(),
            srtp,
            dtls,
            ice,
            bundle: Vec::new(),
        };
        Ok(Self { own, place, theirs, formats, transport, crypto })
    }

    fn is_secure(&self) -> bool {
        self.transport.srtp.is_some() || self.transport.dtls.is_some()
    }

    /// Accepts one more stream over the port of the first one.
    fn further(
        local: &LocalMedia,
        offer: &SessionDescription,
        (own, place): (usize, usize),
        group: &[usize],
        taken: &[Self],
    ) -> Result<Self, SdpError> {
        // All bundled streams have one profile (RFC 9143, 9.1).
        let proto = |place: usize| &*offer.session.medias[place].proto;
        let goes_with = |first: &Self| proto(place).eq_ignore_ascii_case(proto(first.place));
        if !group.contains(&place) || !taken.first().is_some_and(goes_with) {
            return Err(SdpError::NotBundled(DescriptionKind::Offer));
        }
        let numbers: Vec<_> = taken.iter().flat_map(|taken| taken.formats.numbers()).collect();
        Self::new(local, offer, (own, place), &numbers)
    }
}

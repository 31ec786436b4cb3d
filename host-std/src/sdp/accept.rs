//! The answer to our offer (RFC 3264, 7; RFC 9143, 7.4 for several streams).

use super::agreed::{Negotiated, NegotiatedStream, NegotiatedTransport};
use super::bundle::{Bundles, SessionDescription};
use super::common::{NegotiatedFormats, StreamAttributes};
use super::error::{DescriptionKind, SdpError};
use super::extensions::{ExtensionKind, Extensions};
use super::ice;
use super::keys::{NegotiatedKeys, accept_keys};
use super::read::same_family;
use super::{LocalMedia, LocalStream};

/// Reads the answer to our `offer`, which may be any bytes: returns what both sides have agreed on.
///
/// The content of our offer is read from its text, so keep the text until the answer is here.
///
/// The first stream that the other side took decides where packets go. Further streams are taken if they are in one BUNDLE
/// group with it; those that can't be are in [`Negotiated::refused`].
///
/// # Errors
/// An [`SdpError`] that says why the first stream can't be used: the answer isn't a valid description, it rejects all streams,
/// takes no codec of ours, or hasn't the protection that we offered. There is no media then.
///
/// # Examples
/// An answer without a codec of ours is an error, whose text is for the log:
///
/// ```
/// use host_std::sdp::{CodecFormat, LocalMedia, LocalStream, accept, offer};
///
/// let ours = LocalStream::of([CodecFormat::pcma()]);
/// let local = LocalMedia { rtp_port: 4000, streams: vec![ours], ..LocalMedia::default() };
/// let answer = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 5004 RTP/AVP 18\r\n";
/// let error = accept(&local, offer(&local)?, answer).unwrap_err();
/// assert!(!error.to_string().contains('\n'));
/// # Ok::<(), host_std::sdp::SdpError>(())
/// ```
pub fn accept(local: &LocalMedia, offer: impl AsRef<[u8]>, answer: impl AsRef<[u8]>) -> Result<Negotiated, SdpError> {
    let offered = SessionDescription::read(offer.as_ref())?;
    let own: Vec<_> = local.streams.iter().zip(offered.own()).enumerate().collect();
    let open = || own.iter().copied().filter(|(_, (_, place))| offered.is_open(*place) == Some(true));
    let (_, (_, first)) = open().next().ok_or(SdpError::NoAudio(DescriptionKind::Offer))?;

    let mut answered = SessionDescription::read(answer.as_ref())?;
    let mut bundle = common_group(&offered, &answered);
    if bundle.is_empty() {
        // Without a common group each section counts for itself.
        answered.bundles = Bundles::default();
    }
    let live = |place: usize| is_live(&offered, &answered, place);
    let taken = open().map(|(_, (_, place))| place).find(|place| live(*place).is_ok());
    let carrier = taken.map_or_else(|| live(first).map(|()| first), Ok)?;
    if !bundle.contains(&carrier) {
        bundle.clear();
    }
    let both = Both { local, offered: &offered, answered: &answered };
    let mut transport = both.transport(bundle.first().copied().unwrap_or(carrier), &bundle)?;

    let mut streams = vec![None; local.streams.len()];
    let mut refused = Vec::new();
    for (at, (stream, place)) in open() {
        let agreed = live(place).and_then(|()| {
            let carried = place == carrier || bundle.contains(&place);
            carried.then_some(()).ok_or(SdpError::NotBundled(DescriptionKind::Answer))?;
            both.stream(stream, place, &transport)
        });
        match agreed {
            Ok(stream) => streams[at] = Some(stream),
            Err(error) => refused.push((place, error)),
        }
    }
    // A stream that was refused after all shares nothing.
    let is_there = |mid: &String| streams.iter().flatten().any(|stream| stream.mid.as_ref() == Some(mid));
    transport.bundle.retain(is_there);
    Negotiated::of(transport, streams, refused)
}

/// Returns the places in our group that the other side keeps in it, the tagged one first; none, if it has no group.
fn common_group(offered: &SessionDescription, answered: &SessionDescription) -> Vec<usize> {
    // A name for another stream than ours: no name counts (RFC 5888, 9.1).
    let renamed = |place: usize| {
        let (ours, theirs) = (offered.bundles.mid(place), answered.bundles.mid(place));
        theirs.is_some() && theirs != ours
    };
    if answered.places().any(renamed) {
        return Vec::new();
    }
    let (ours, theirs) = (offered.bundles.first_group(), answered.bundles.first_group());
    let is_common =
        |place: &usize| ours.is_some_and(|ours| ours.contains(place)) && is_live(offered, answered, *place).is_ok();
    let mut common: Vec<_> = theirs.unwrap_or_default().iter().copied().filter(is_common).collect();
    // Without RTCP over the same port there is no bundle (RFC 9143, 9.3).
    let is_muxed = |place: usize| {
        let muxed = |side: &SessionDescription, kind| side.audio(place, kind).is_ok_and(|audio| audio.rtcp_mux);
        muxed(offered, DescriptionKind::Offer) && muxed(answered, DescriptionKind::Answer)
    };
    match answered.tag(&common).filter(|tag| is_muxed(*tag)) {
        Some(tag) => {
            common.retain(|place| *place != tag);
            common.insert(0, tag);
            common
        }
        None => Vec::new(),
    }
}

/// Whether the other side takes a stream of ours.
fn is_live(offered: &SessionDescription, answered: &SessionDescription, place: usize) -> Result<(), SdpError> {
    match (answered.is_open(place), answered.places().len()) {
        (Some(true), _) => Ok(()),
        (Some(false), _) => Err(SdpError::Rejected(DescriptionKind::Answer)),
        (None, 0) => Err(SdpError::NoAudio(DescriptionKind::Answer)),
        (None, count) if place >= count => {
            Err(SdpError::MissingStream { answered: count, offered: offered.places().len() })
        }
        (None, _) => Err(SdpError::NoAudio(DescriptionKind::Answer)),
    }
}

/// An offer of ours and its answer.
struct Both<'a> {
    local: &'a LocalMedia,
    offered: &'a SessionDescription,
    answered: &'a SessionDescription,
}

impl Both<'_> {
    /// Determines the destination of the packets of the section at `tag`, and of all sections in its bundle.
    fn transport(&self, tag: usize, bundle: &[usize]) -> Result<NegotiatedTransport, SdpError> {
        let ours = self.offered.audio(tag, DescriptionKind::Offer)?;
        let theirs = self.answered.audio(tag, DescriptionKind::Answer)?;
        same_family(self.local, &theirs, DescriptionKind::Answer)?;
        let ice = ice::accepted(self.local, &ours, &theirs)?;
        let (srtp, dtls) = match accept_keys(self.local, &ours, &theirs)? {
            NegotiatedKeys::Plain => (None, None),
            NegotiatedKeys::Described(keys, ()) => (Some(keys), None),
            NegotiatedKeys::Dtls(dtls) => (None, Some(dtls)),
        };
        let rtcp_mux = ours.rtcp_mux && theirs.rtcp_mux;
        let mids = bundle.iter().filter_map(|place| self.offered.bundles.mid(*place));
        Ok(NegotiatedTransport {
            remote_rtp: theirs.rtp,
            remote_rtcp: if rtcp_mux {
                theirs.rtp
            } else {
                theirs.rtcp.ok_or(SdpError::RtcpPort(DescriptionKind::Answer))?
            },
            rtcp_mux,
            rtcp_reduced_size: ours.reduced_size && theirs.reduced_size,
            srtp,
            dtls,
            ice,
            bundle: mids.map(str::to_owned).collect(),
        })
    }

    fn stream(
        &self,
        own: &LocalStream,
        place: usize,
        transport: &NegotiatedTransport,
    ) -> Result<NegotiatedStream, SdpError> {
        let ours = self.offered.audio(place, DescriptionKind::Offer)?;
        let mut theirs = self.answered.audio(place, DescriptionKind::Answer)?;
        if transport.ice.is_err() {
            theirs.go_without_ice();
        }
        let formats = NegotiatedFormats::accepted(self.local, &ours, &theirs)?;
        let direction = ours.direction.and(theirs.direction.reversed());
        let mid = self.answered.bundles.mid(place).map(str::to_owned);
        let mut extensions = Extensions::accepted(&ours.extensions, &theirs.extensions).within(direction);
        let numbered = extensions.get(ExtensionKind::TransportSequence).is_some();
        let feedback = ours.feedback.and(theirs.feedback).agreed(numbered);
        if !feedback.transport_wide {
            extensions = extensions.without(ExtensionKind::TransportSequence);
        }
        if mid.is_none() {
            extensions = extensions.without(ExtensionKind::Mid);
        }
        let beside = StreamAttributes { mid, direction, extensions, feedback };
        Ok(formats.stream(self.local, own, &theirs, transport, beside))
    }
}

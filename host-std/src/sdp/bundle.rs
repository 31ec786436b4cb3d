//! Streams over one port: the names of `m=` lines and their BUNDLE groups (RFC 5888, RFC 9143).
//!
//! The groups of each description are read exactly as written: a name that no stream has, or that two have, has no meaning for
//! streams. Work is at most the square of [`MAX_STREAMS`](super::MAX_STREAMS) and linear in the text.
//!
//! Packets are assigned to streams by payload type (RFC 9143, 9.2), and by the name in a header extension where both sides have
//! it (15).

use sdp_types::{Attribute, Media, Session};

use super::error::{DescriptionKind, SdpError};
use super::read::{self, Audio};
use crate::registry::is_token;

/// The names and groups of a description, by the place of the `m=` lines.
#[derive(Debug, Default)]
pub(super) struct Bundles {
    /// The name of each `m=` line, unless it has none or another has the same.
    mids: Vec<Option<String>>,
    /// The places of each group, in the order of its list; no place occurs twice.
    groups: Vec<Vec<usize>>,
    /// Whether the port of each `m=` line is 0 because it's only there together with the others of its group (RFC 9143, 6).
    bundle_only: Vec<bool>,
}

impl Bundles {
    pub(super) fn read(session: &Session) -> Self {
        let named: Vec<_> = session.medias.iter().map(written_mid).collect();
        let once = |mid: &&str| named.iter().flatten().filter(|other| *other == mid).count() == 1;
        let mids: Vec<_> = named.iter().map(|mid| mid.filter(once).map(str::to_owned)).collect();
        let mut grouped = vec![false; mids.len()];
        let mut groups = Vec::new();
        for list in session.attributes.iter().filter_map(|attribute| value(attribute, "group")) {
            let mut names = list.split_whitespace();
            if names.next() != Some("BUNDLE") {
                continue;
            }
            let mut group = Vec::new();
            for name in names {
                let place = mids.iter().position(|mid| mid.as_deref() == Some(name));
                if let Some(place) = place.filter(|place| !std::mem::replace(&mut grouped[*place], true)) {
                    group.push(place);
                }
            }
            groups.push(group);
        }
        let bundle_only = session.medias.iter().zip(grouped);
        let bundle_only = bundle_only.map(|(media, grouped)| grouped && media.port == 0 && has(media, "bundle-only"));
        Self { mids, bundle_only: bundle_only.collect(), groups }
    }

    pub(super) fn mid(&self, place: usize) -> Option<&str> {
        self.mids.get(place)?.as_deref()
    }

    /// The group that a place is in.
    pub(super) fn group(&self, place: usize) -> Option<&[usize]> {
        self.groups.iter().find(|group| group.contains(&place)).map(Vec::as_slice)
    }

    /// Returns the first group.
    pub(super) fn first_group(&self) -> Option<&[usize]> {
        self.groups.first().map(Vec::as_slice)
    }

    /// Returns whether this `m=` line has the port of its group's tagged section and none of its own.
    fn is_bundle_only(&self, place: usize) -> bool {
        self.bundle_only.get(place).is_some_and(|only| *only)
    }
}

/// A description and its groups.
#[derive(Debug)]
pub(super) struct SessionDescription {
    pub(super) session: Session,
    pub(super) bundles: Bundles,
}

impl SessionDescription {
    /// Parses a description of whatever origin.
    pub(super) fn read(text: &[u8]) -> Result<Self, SdpError> {
        let session = read::session(text)?;
        Ok(Self { bundles: Bundles::read(&session), session })
    }

    pub(super) fn places(&self) -> std::ops::Range<usize> {
        0..self.session.medias.len()
    }

    pub(super) fn port(&self, place: usize) -> u16 {
        self.session.medias.get(place).map_or(0, |media| media.port)
    }

    /// Returns whether there is an audio stream at this place; `None` if it's something else.
    pub(super) fn is_open(&self, place: usize) -> Option<bool> {
        let media = self.session.medias.get(place)?;
        let is_audio = media.media.eq_ignore_ascii_case("audio");
        is_audio.then(|| media.port != 0 || self.bundles.is_bundle_only(place))
    }

    /// The places from `first` on where there is an audio stream.
    pub(super) fn open_from(&self, first: usize) -> Vec<usize> {
        (first..self.places().end).filter(|place| self.is_open(*place) == Some(true)).collect()
    }

    /// The audio stream at this place.
    pub(super) fn audio(&self, place: usize, kind: DescriptionKind) -> Result<Audio, SdpError> {
        let media = self.session.medias.get(place).ok_or(SdpError::NoAudio(kind))?;
        Audio::read(&self.session, media, self.carrier(place, media), kind)
    }

    /// The section that says where the packets of this one travel and how: the tagged one of its group, if this one has
    /// no port or the same. In the first offer of a group each section has its own (RFC 9143, 7.1.3 and 7.2).
    fn carrier<'a>(&'a self, place: usize, media: &'a Media) -> &'a Media {
        let tagged = self.bundles.group(place).and_then(|group| self.tag(group));
        let tagged = tagged.and_then(|place| self.session.medias.get(place));
        tagged.filter(|tagged| media.port == 0 || media.port == tagged.port).unwrap_or(media)
    }

    /// The section whose address counts for the group: the first of the list that has a port (RFC 9143, 7.3.1).
    pub(super) fn tag(&self, group: &[usize]) -> Option<usize> {
        group.iter().copied().find(|place| self.port(*place) != 0)
    }

    /// Returns the places of our streams in a description of ours, in their order: those that are there, and the closed ones,
    /// which [`write::closed`](super::write::closed) leaves recognizable among rejected ones.
    pub(super) fn own(&self) -> Vec<usize> {
        let is_own = |place: &usize| {
            let media = &self.session.medias[*place];
            let closed = || media.port == 0 && written_mid(media).is_some() && has(media, "inactive");
            self.is_open(*place) == Some(true) || closed()
        };
        self.places().filter(is_own).collect()
    }
}

/// Returns a name for a new stream: its place, or the next number that no other is called.
pub(super) fn new_mid(place: usize, taken: &[Option<String>]) -> String {
    let is_taken = |name: &String| taken.iter().flatten().any(|other| other == name);
    // Since there is one more candidate than there are names in use, one is free.
    let mut names = (place..=place + taken.len()).map(|number| number.to_string());
    names.find(|name| !is_taken(name)).unwrap_or_default()
}

/// Returns the name of a section as it's written there.
pub(super) fn written_mid(media: &Media) -> Option<&str> {
    media.attributes.iter().find_map(|attribute| value(attribute, "mid")).filter(|mid| is_token(mid))
}

fn value<'a>(attribute: &'a Attribute, name: &str) -> Option<&'a str> {
    let named = attribute.attribute.trim() == name;
    named.then(|| attribute.value.as_deref().unwrap_or_default().trim())
}

fn has(media: &Media, name: &str) -> bool {
    media.attributes.iter().any(|attribute| attribute.attribute.trim() == name)
}

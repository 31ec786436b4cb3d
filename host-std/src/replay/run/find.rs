//! The first reading of a capture: which streams there are, and what else.

use std::collections::HashMap;
use std::io::Read;

use dsp_core::wire::rtp::RtpPacket;

use super::ReplayError;
use crate::replay::capture::CaptureCounts;
use crate::replay::payloads::{PayloadMap, Shape};
use crate::replay::source::{CapturedDatagramKind, ReplaySource};
use crate::replay::streams::{Finder, Found, StreamKey};

/// The datagrams by their kind.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Kinds {
    pub(super) rtp: u64,
    pub(super) refused: u64,
    pub(super) rtcp: u64,
    pub(super) other: u64,
    pub(super) forgotten: u64,
    pub(super) left_out: usize,
    pub(super) out_of_order: u64,
}

/// The result of the first reading.
pub(in crate::replay) struct Search {
    pub(in crate::replay) found: Vec<Found>,
    /// Streams that look encrypted, and that none of the keys opens.
    pub(super) hidden: Vec<Found>,
    pub(super) kinds: Kinds,
    pub(super) counts: CaptureCounts,
    pub(super) format: &'static str,
}

pub(in crate::replay) fn find<R: Read>(
    mut source: ReplaySource<'_, R>,
    payloads: &PayloadMap,
) -> Result<Search, ReplayError> {
    let mut finder = Finder::new(payloads);
    let mut kinds = Kinds::default();
    let mut time_us = 0;
    while let Some(kind) = source.next()? {
        kinds.out_of_order += u64::from(source.datagram.time_us.is_some_and(|time| time < time_us));
        time_us = source.datagram.time_us.unwrap_or(time_us);
        match kind {
            CapturedDatagramKind::Rtp | CapturedDatagramKind::Unopened => kinds.rtp += 1,
            CapturedDatagramKind::Refused => kinds.refused += 1,
            CapturedDatagramKind::Rtcp => kinds.rtcp += 1,
            CapturedDatagramKind::Other => kinds.other += 1,
        }
        match (kind, RtpPacket::parse(&source.datagram.bytes)) {
            (CapturedDatagramKind::Rtp | CapturedDatagramKind::Unopened, Ok(packet)) => {
                finder.add(key(&source, &packet), time_us, &packet, source.profile);
            }
            (CapturedDatagramKind::Refused, Ok(packet)) => {
                finder.refuse(StreamKey { secured: true, ..key(&source, &packet) }, time_us)
            }
            _ => {}
        }
    }
    (kinds.forgotten, kinds.left_out) = (finder.forgotten, finder.left_out());
    let (mut found, others) = finder.finish();
    let mut hidden = Vec::new();
    if source.has_keys() {
        hidden = tell_unopened_apart(&mut found, others, &mut kinds);
    }
    Ok(Search { found, hidden, kinds, counts: source.counts().clone(), format: source.format() })
}

/// Sorts the streams that no key opens: they are plain, or damaged and of a source that a key opens, or encrypted under a key
/// that isn't here. Leaves the plain ones in `found` and returns the encrypted ones.
fn tell_unopened_apart(found: &mut Vec<Found>, others: Vec<Found>, kinds: &mut Kinds) -> Vec<Found> {
    let opened: HashMap<StreamKey, usize> =
        found.iter().enumerate().filter(|(_, found)| found.key.secured).map(|(n, found)| (found.key, n)).collect();
    let (mut hidden, mut refused) = (Vec::new(), Vec::new());
    let mut all: Vec<Option<Found>> = found.drain(..).map(Some).collect();
    let believed = all.len();
    all.extend(others.into_iter().map(Some));
    for (n, entry) in all.iter_mut().enumerate() {
        let Some(candidate) = entry.take_if(|found| !found.key.secured) else { continue };
        let shape = candidate.main_shape().map(|(_, shape)| shape);
        let sibling = opened.get(&StreamKey { secured: true, ..candidate.key });
        match sibling {
            Some(&place) if n >= believed || !shape.is_some_and(Shape::looks_plain) => {
                refused.push((place, candidate.packets));
            }
            None if n < believed && shape.is_some_and(Shape::looks_encrypted) => {
                kinds.rtp -= candidate.packets;
                kinds.refused += candidate.packets;
                hidden.push(candidate);
            }
            _ => *entry = Some(candidate),
        }
    }
    for (place, packets) in refused {
        kinds.rtp -= packets;
        kinds.refused += packets;
        if let Some(found) = &mut all[place] {
            found.refused += packets;
        }
    }
    all.truncate(believed);
    found.extend(all.into_iter().flatten());
    hidden
}

pub(in crate::replay) fn key<R: Read>(source: &ReplaySource<'_, R>, packet: &RtpPacket<'_>) -> StreamKey {
    let secured = source.profile.is_some();
    StreamKey { from: source.datagram.from, to: source.datagram.to, ssrc: packet.ssrc(), secured }
}

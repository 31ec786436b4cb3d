//! The RTP streams of a capture: found by addresses and SSRC, and believed by the rules of RFC 3550, A.1.
//!
//! A UDP payload that begins like RTP need not be RTP. A source counts when two of its packets followed each other in sequence,
//! and when few of the rest jump. Where the same source is silent for [`LONGEST_PAUSE_US`], what follows is another stream: the
//! pause is not worth playing. Memory: [`MOST_SOURCES`] candidates. When there are more, one that has proved nothing for long
//! makes room; without such a one they are left out, and counted.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;

use dsp_core::guard::srtp::SrtpProfile;
use dsp_core::quality::{SequenceConfig, SequenceTracker, SequenceUpdate};
use dsp_core::time::{PayloadType, Ssrc};
use dsp_core::wire::red::RedPayload;
use dsp_core::wire::rtp::RtpPacket;

use super::payloads::{PayloadMap, PayloadMeaning, Shape};

/// Candidates that are kept.
pub(super) const MOST_SOURCES: usize = 1 << 12;
/// The time for which a candidate without proof keeps its place, a second; below is the number of packets of others that replaces
/// it where there are no times.
const PATIENCE_US: u64 = 1_000_000;
const PATIENCE_PACKETS: u64 = 1 << 16;
/// Candidates that are asked, each time, whether they make room.
const ASKED: usize = 8;
/// A longer pause ends a stream: five minutes.
pub(super) const LONGEST_PAUSE_US: u64 = 300_000_000;

/// The source and the destination of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct StreamKey {
    /// The sender's address; unspecified in an rtpdump that doesn't say it.
    pub(super) from: SocketAddr,
    /// The receiver's.
    pub(super) to: SocketAddr,
    /// The source.
    pub(super) ssrc: Ssrc,
    /// Whether a key has opened its packets: opened and unopened packets are two streams, even of one source.
    pub(super) secured: bool,
}

/// A stream that was found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) key: StreamKey,
    /// The index of the stream among those with this key, from 0.
    pub(super) part: u32,
    /// Time of the packet that comes first in the capture, and the latest time.
    pub(super) first_us: u64,
    pub(super) last_us: u64,
    pub(super) packets: u64,
    /// The protection, if a key opened the stream, and the number of packets of this source that SRTP refused.
    pub(super) profile: Option<SrtpProfile>,
    pub(super) refused: u64,
    /// The index of its last packet among all packets.
    last_packet: u64,
    sequence: SequenceTracker,
    suspect: u64,
    valid: bool,
    timestamps: (u32, i64),
    /// The payload type of redundant audio data, if there is any.
    pub(super) redundancy: Option<PayloadType>,
    /// The shapes by payload type; redundant audio data count under that of the sound in them.
    pub(super) shapes: Vec<(PayloadType, Shape)>,
}

impl Found {
    fn new(key: StreamKey, part: u32, time_us: u64) -> Self {
        Self {
            key,
            part,
            first_us: time_us,
            last_us: time_us,
            packets: 0,
            profile: None,
            refused: 0,
            last_packet: 0,
            sequence: SequenceTracker::new(SequenceConfig::default()),
            suspect: 0,
            valid: false,
            timestamps: (0, 0),
            redundancy: None,
            shapes: Vec::new(),
        }
    }

    fn add(&mut self, time_us: u64, packet: &RtpPacket<'_>, payloads: &PayloadMap) {
        match self.sequence.update(packet.seq()) {
            SequenceUpdate::Probation => {}
            SequenceUpdate::Suspect => self.suspect += 1,
            _ => self.valid = true,
        }
        let timestamp = packet.timestamp().0;
        let step = if self.packets == 0 { 0 } else { timestamp.wrapping_sub(self.timestamps.0) as i32 };
        // A jump of the timestamps says nothing of their rate.
        let step = if step.unsigned_abs() > 1 << 22 { 0 } else { step };
        self.timestamps = (timestamp, self.timestamps.1 + i64::from(step));
        self.packets += 1;
        self.last_us = self.last_us.max(time_us);
        let (mut number, mut payload) = (packet.payload_type(), packet.payload());
        if payloads.get(number) == Some(&PayloadMeaning::Redundancy)
            && let Ok(red) = RedPayload::parse(payload)
        {
            self.redundancy.get_or_insert(number);
            (number, payload) = (red.primary().payload_type, red.primary().payload);
        }
        let place = match self.shapes.iter().position(|(known, _)| *known == number) {
            Some(place) => place,
            None => {
                self.shapes.push((number, Shape::default()));
                self.shapes.len() - 1
            }
        };
        self.shapes[place].1.add(packet.seq().0, timestamp, payload);
    }

    /// Returns the shape of the packets of the most frequent payload type.
    pub(super) fn main_shape(&self) -> Option<&(PayloadType, Shape)> {
        self.shapes.iter().max_by_key(|(number, shape)| (shape.packets, std::cmp::Reverse(*number)))
    }

    /// Returns whether this is RTP.
    fn is_believed(&self) -> bool {
        self.valid && self.suspect * 4 <= self.packets && self.shapes.len() <= 16
    }

    /// Returns the common clock rate that is nearest to how fast the timestamps run; without times, that of telephony.
    pub(super) fn clock_hz(&self) -> u32 {
        let seconds = (self.last_us - self.first_us) as f64 / 1e6;
        let rate = self.timestamps.1 as f64 / seconds;
        if !(rate.is_finite() && rate > 0.0) {
            return 8_000;
        }
        let off = |clock: &u32| (rate / f64::from(*clock)).ln().abs();
        let common = [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 90_000];
        common.into_iter().min_by(|a, b| off(a).total_cmp(&off(b))).unwrap_or(8_000)
    }
}

/// The assignment of packets to streams: the same in every reading of a capture.
#[derive(Default)]
pub(super) struct StreamParts(HashMap<StreamKey, (u32, u64)>);

impl StreamParts {
    /// Returns the part of the stream `key` to which a packet at `time_us` belongs.
    pub(super) fn of(&mut self, key: StreamKey, time_us: u64) -> u32 {
        if self.0.len() >= 4 * MOST_SOURCES && !self.0.contains_key(&key) {
            return 0;
        }
        let (part, last) = self.0.entry(key).or_insert((0, time_us));
        if time_us.saturating_sub(*last) > LONGEST_PAUSE_US {
            *part += 1;
        }
        *last = time_us.max(*last);
        *part
    }
}

/// Sources that are counted though there is no place for them.
const MOST_LEFT_OUT: usize = 1 << 16;

/// Collects streams.
pub(super) struct Finder<'a> {
    payloads: &'a PayloadMap,
    parts: StreamParts,
    found: HashMap<(StreamKey, u32), Found>,
    /// Those that may make room: they had proved nothing when they came.
    unproved: VecDeque<(StreamKey, u32)>,
    /// Packets so far.
    packets: u64,
    /// Packets of candidates that made room for others, or had no place.
    pub(super) forgotten: u64,
    /// Sources for which there was no place.
    left_out: HashSet<(StreamKey, u32)>,
}

impl<'a> Finder<'a> {
    pub(super) fn new(payloads: &'a PayloadMap) -> Self {
        Self {
            payloads,
            parts: StreamParts::default(),
            found: HashMap::new(),
            unproved: VecDeque::new(),
            packets: 0,
            forgotten: 0,
            left_out: HashSet::new(),
        }
    }

    /// Takes in a packet; `profile` says how it was protected, if a key has opened it.
    pub(super) fn add(&mut self, key: StreamKey, time_us: u64, packet: &RtpPacket<'_>, profile: Option<SrtpProfile>) {
        let place = (key, self.parts.of(key, time_us));
        self.packets += 1;
        if !self.found.contains_key(&place) {
            if self.found.len() >= MOST_SOURCES && !self.make_room(time_us) {
                self.forgotten += 1;
                if self.left_out.len() < MOST_LEFT_OUT {
                    self.left_out.insert(place);
                }
                return;
            }
            self.unproved.push_back(place);
            self.found.insert(place, Found::new(key, place.1, time_us));
        }
        if let Some(found) = self.found.get_mut(&place) {
            found.add(time_us, packet, self.payloads);
            found.profile = profile.or(found.profile);
            found.last_packet = self.packets;
        }
    }

    /// SRTP refused a packet of a source that it knows.
    pub(super) fn refuse(&mut self, key: StreamKey, time_us: u64) {
        let place = (key, self.parts.of(key, time_us));
        if let Some(found) = self.found.get_mut(&place) {
            found.refused += 1;
        }
    }

    /// Forgets one that proved nothing for long, if there is any among the oldest.
    fn make_room(&mut self, time_us: u64) -> bool {
        for _ in 0..ASKED.min(self.unproved.len()) {
            let Some(place) = self.unproved.pop_front() else { return false };
            let Some(found) = self.found.get(&place).filter(|found| !found.valid) else { continue };
            let waited = time_us.saturating_sub(found.last_us) > PATIENCE_US
                || self.packets - found.last_packet > PATIENCE_PACKETS;
            if !waited {
                self.unproved.push_back(place);
                continue;
            }
            self.forgotten += found.packets;
            self.found.remove(&place);
            return true;
        }
        false
    }

    /// Returns the number of sources that found no place in the end; it is a lower bound.
    pub(super) fn left_out(&self) -> usize {
        self.left_out.iter().filter(|place| !self.found.contains_key(place)).count()
    }

    /// Returns the streams, in the order of their first packets, and what proved to be none.
    pub(super) fn finish(self) -> (Vec<Found>, Vec<Found>) {
        let (mut streams, others): (Vec<_>, Vec<_>) = self.found.into_values().partition(Found::is_believed);
        streams.sort_by_key(|found| {
            (found.first_us, found.key.from, found.key.to, found.key.ssrc.0, found.part, found.key.secured)
        });
        (streams, others)
    }
}

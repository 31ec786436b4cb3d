//! The RTP streams of a capture: found by addresses and SSRC, and believed by the rules of RFC 3550, A.1.
//!
//! A UDP payload that begins as RTP does need not be RTP. A source counts when two of its packets followed each other
//! in sequence, and when few of the rest jump. Where the same source is silent for [`LONGEST_PAUSE_US`], what follows is
//! another stream: nobody wants to listen to the pause. Memory: [`MOST_SOURCES`] candidates; when there are more, the
//! one that was silent for longest and proved nothing makes room.

use std::collections::HashMap;
use std::net::SocketAddr;

use dsp_core::quality::{SequenceConfig, SequenceTracker, SequenceUpdate};
use dsp_core::time::{PayloadType, Ssrc};
use dsp_core::wire::red::RedPayload;
use dsp_core::wire::rtp::RtpPacket;

use super::payloads::{PayloadMap, PayloadMeaning, Shape};

/// Candidates that are kept.
pub(super) const MOST_SOURCES: usize = 1 << 12;
/// A longer pause ends a stream: five minutes.
pub(super) const LONGEST_PAUSE_US: u64 = 300_000_000;

/// Where a stream comes from and goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct StreamKey {
    /// The sender's address; unspecified in an rtpdump that doesn't say it.
    pub(super) from: SocketAddr,
    /// The receiver's.
    pub(super) to: SocketAddr,
    /// The source.
    pub(super) ssrc: Ssrc,
}

/// A stream that was found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) key: StreamKey,
    /// Which of those with this key it is, from 0.
    pub(super) part: u32,
    /// Time of the packet that comes first in the capture, and the latest time.
    pub(super) first_us: u64,
    pub(super) last_us: u64,
    pub(super) packets: u64,
    sequence: SequenceTracker,
    suspect: u64,
    valid: bool,
    timestamps: (u32, i64),
    /// The payload type of redundant audio data, if there is any.
    pub(super) redundancy: Option<PayloadType>,
    /// By payload type; of redundant audio data, by that of the sound in it.
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

    /// Whether this is RTP.
    fn is_believed(&self) -> bool {
        self.valid && self.suspect * 4 <= self.packets && self.shapes.len() <= 16
    }

    /// The common clock rate that is nearest to how fast the timestamps run; without times, that of telephony.
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

/// Which stream a packet belongs to: the same in every reading of a capture.
#[derive(Default)]
pub(super) struct Parts(HashMap<StreamKey, (u32, u64)>);

impl Parts {
    /// The part of the stream `key` in which a packet at `time_us` lies.
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

/// Collects streams.
pub(super) struct Finder<'a> {
    payloads: &'a PayloadMap,
    parts: Parts,
    found: HashMap<(StreamKey, u32), Found>,
    /// Packets of candidates that made room for others.
    pub(super) forgotten: u64,
}

impl<'a> Finder<'a> {
    pub(super) fn new(payloads: &'a PayloadMap) -> Self {
        Self { payloads, parts: Parts::default(), found: HashMap::new(), forgotten: 0 }
    }

    pub(super) fn add(&mut self, key: StreamKey, time_us: u64, packet: &RtpPacket<'_>) {
        let part = self.parts.of(key, time_us);
        if !self.found.contains_key(&(key, part)) && self.found.len() >= MOST_SOURCES {
            self.make_room();
        }
        let found = self.found.entry((key, part)).or_insert_with(|| Found::new(key, part, time_us));
        found.add(time_us, packet, self.payloads);
    }

    /// Forgets the half that proved least. Costs a sort, once in thousands of new sources.
    fn make_room(&mut self) {
        let mut all: Vec<_> =
            self.found.values().map(|found| (found.valid, found.last_us, found.key, found.part)).collect();
        all.sort_by_key(|&(valid, last, key, part)| (valid, last, key.ssrc.0, key.from, key.to, part));
        for (_, _, key, part) in &all[..MOST_SOURCES / 2] {
            self.forgotten += self.found.remove(&(*key, *part)).map_or(0, |found| found.packets);
        }
    }

    /// The streams, in the order of their first packets.
    pub(super) fn finish(self) -> Vec<Found> {
        let mut streams: Vec<_> = self.found.into_values().filter(Found::is_believed).collect();
        streams.sort_by_key(|found| (found.first_us, found.key.from, found.key.to, found.key.ssrc.0, found.part));
        streams
    }
}

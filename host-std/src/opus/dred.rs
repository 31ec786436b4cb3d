//! Deep Redundancy (DRED, as libopus 1.6 codes it): the past of up to a second, as features of speech
//! in the padding of a packet, from which a neural vocoder speaks again.
//!
//! Durations are in 48 kHz ticks. Reading where it reaches is cheap; making features of it costs in proportion to the
//! reach that is asked for and happens once a packet.

use super::{MAX_PAYLOAD, OpusBandwidth, OpusError, OpusMode, OpusPacket, ffi};

/// The furthest useful reach. DRED holds 1040 ms; anything older is speech from before a long pause.
const FURTHEST: u32 = 2 * 48_000;

/// The redundancy of one packet at a time.
#[derive(Debug)]
pub(super) struct Dred {
    raw: ffi::RawDred,
    /// The packet that was read last: a gap is filled step by step, each asking about the same one.
    packet: Vec<u8>,
    /// The begin and the end of its redundancy, in ticks before the packet.
    begin: u32,
    end: u32,
    /// The time before the packet for which features have been made, in ticks.
    ready: u32,
}

impl Dred {
    pub(super) fn new() -> Result<Self, OpusError> {
        let packet = Vec::with_capacity(MAX_PAYLOAD);
        Ok(Self { raw: ffi::RawDred::new()?, packet, begin: 0, end: 0, ready: 0 })
    }

    pub(super) fn raw(&self) -> &ffi::RawDred {
        &self.raw
    }

    /// Returns how far back from `next` its redundancy reaches; 0 if it has none.
    pub(super) fn reach(&mut self, next: &[u8]) -> u32 {
        if self.packet != next {
            self.packet.clear();
            (self.begin, self.end, self.ready) = (0, 0, 0);
            // No encoder makes a larger one.
            if next.len() > MAX_PAYLOAD {
                return 0;
            }
            self.packet.extend_from_slice(next);
            (self.begin, self.end) = self.raw.read(next, FURTHEST).unwrap_or((0, 0));
        }
        if self.begin > self.end && self.begin <= FURTHEST { self.begin } else { 0 }
    }

    /// Returns whether `next` covers the stretch of `ticks` that ends `ahead` of it, except for a silence at its end that isn't
    /// sent. Then its features are made.
    pub(super) fn covers(&mut self, next: &[u8], ahead: u32, ticks: u32) -> bool {
        let Some(back) = ahead.checked_add(ticks) else { return false };
        if back > self.reach(next) || back <= self.end {
            return false;
        }
        if back > self.ready {
            // The parts of a gap come in order, so the first asks for the most.
            if self.raw.read(next, back).is_err() || self.raw.process().is_err() {
                return false;
            }
            self.ready = back;
        }
        true
    }
}

/// Returns whether the vocoder can continue from the sound decoded last: it needs 16 kHz, and SILK below that has less.
pub(super) fn goes_on_after(last: Option<OpusPacket>) -> bool {
    last.is_some_and(|last| last.mode == OpusMode::Celt || last.bandwidth >= OpusBandwidth::Wide)
}

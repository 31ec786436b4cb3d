//! The source that is played: its SSRC, how it numbers its packets and counts its time, and what became of its
//! packets. Sources that must prove themselves before they take over are kept here too.

use super::clocks::SourceClocks;
use super::tick_rate::TickRate;
use super::timeline::Timeline;
use crate::quality::{BurstTracker, JitterEstimator, PastBursts, ReceptionTotals, SequenceConfig, SequenceTracker};
use crate::time::{Seq, Ssrc};
use crate::wire::rtp::RtpPacket;

/// The first source is heard from its first packet on: a call has only one, and who it is was settled before.
const AT_ONCE: SequenceConfig = SequenceConfig { min_sequential: 1, max_dropout: 3_000, max_misorder: 100 };
/// Packets in sequence that a new SSRC must send before it takes over (RFC 3550, A.1: MIN_SEQUENTIAL).
const PROBATION: u8 = 2;

/// One source's numbers; those of another begin with [`reset`](Self::reset).
pub(super) struct Source {
    /// `None` before the first packet.
    pub(super) ssrc: Option<Ssrc>,
    /// A source that may take over: its SSRC, the sequence number that it must send next, and how many were right so
    /// far.
    candidate: Option<(Ssrc, Seq, u8)>,
    pub(super) sequence: SequenceTracker,
    /// How fast it counts.
    pub(super) tick_rate: TickRate,
    pub(super) interarrival: JitterEstimator,
    /// Where its timestamps lie on the receiver's clock.
    pub(super) clocks: SourceClocks,
    /// Those places without the jumps of its own.
    pub(super) timeline: Timeline,
    /// What became of each packet.
    pub(super) bursts: BurstTracker,
    /// What became of those of the sources before.
    pub(super) earlier_bursts: PastBursts,
}

impl Source {
    /// Nobody yet.
    pub(super) fn new() -> Self {
        Self {
            ssrc: None,
            candidate: None,
            sequence: SequenceTracker::new(AT_ONCE),
            tick_rate: TickRate::default(),
            interarrival: JitterEstimator::new(),
            clocks: SourceClocks::default(),
            timeline: Timeline::default(),
            bursts: BurstTracker::new(),
            earlier_bursts: PastBursts::default(),
        }
    }

    /// Another source is heard from here on. What the sequence of the one before came to. `bursts`: whether they are counted.
    #[inline]
    pub(super) fn reset(&mut self, ssrc: Ssrc, bursts: bool) -> ReceptionTotals {
        let totals = self.sequence.totals();
        let mut earlier_bursts = self.earlier_bursts;
        if bursts {
            earlier_bursts.add(&self.bursts.stats());
        }
        *self = Self { ssrc: Some(ssrc), earlier_bursts, ..Self::new() };
        totals
    }

    /// Its own packet came: nobody else is to take over.
    pub(super) fn stay(&mut self) {
        self.candidate = None;
    }

    /// Whether the packet of another source is the last that this needed to take over.
    pub(super) fn admit(&mut self, packet: &RtpPacket<'_>) -> bool {
        let right = match self.candidate {
            Some((ssrc, seq, right)) if ssrc == packet.ssrc() && seq == packet.seq() => right + 1,
            _ => 1,
        };
        self.candidate = Some((packet.ssrc(), packet.seq().plus(1), right));
        right >= PROBATION
    }
}

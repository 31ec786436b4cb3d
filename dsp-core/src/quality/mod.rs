//! Numbers about a call: RFC 3550 statistics, bursts and ratings for RFC 3611.
//!
//! A receiver keeps a [`SequenceTracker`] and a [`JitterEstimator`] for its source, and hands out
//! [`ReceptionStats`], a snapshot by value. Whoever reports keeps the snapshot of its last report and takes the
//! difference, so several readers (RTCP, a screen, a log) may each have an interval of their own.
//!
//! The statistics of RFC 3550 are clauses 6.4.1, A.1, A.3 and A.8; bursts and ratings are those of RFC 3611, 4.7, and ITU-T
//! G.107. One packet of four is lost:
//!
//! ```
//! use dsp_core::quality::{JitterEstimator, ReceptionStats, SequenceTracker};
//! use dsp_core::time::{RtpTime, Seq, Ssrc};
//!
//! let (mut sequence, mut jitter) = (SequenceTracker::default(), JitterEstimator::new());
//! for n in 0..100u16 {
//!     if n % 4 != 2 {
//!         sequence.update(Seq(n));
//!         // Steady arrivals, in ticks of a clock of 8 kHz.
//!         jitter.update(160 * u32::from(n) + 1_000, RtpTime(160 * u32::from(n)));
//!     }
//! }
//! let stats = ReceptionStats::new(Ssrc(7), &sequence, &jitter);
//! // The first packet of a source proves nothing yet, and does not count (A.1).
//! assert_eq!((stats.received, stats.cumulative_lost(), stats.jitter_ticks), (74, 25, 0));
//! // Since the beginning; in 256ths.
//! assert_eq!(stats.fraction_lost_since(None), 64);
//! ```

mod burst;
mod emodel;
pub(crate) mod impairment;
mod jitter;
mod loss;
mod voip;

pub(crate) use burst::PastBursts;
pub use burst::{BurstStats, BurstTracker, PacketFate};
pub use emodel::{CallConditions, CallQuality, CodecImpairment, EModel, Rating, mos};
pub use impairment::LossImpairment;
pub use jitter::JitterEstimator;
pub(crate) use jitter::arrival_ticks;
pub use loss::{SequenceConfig, SequenceTracker, SequenceUpdate};
pub use voip::{ConversationalQuality, JitterBufferInfo, StreamQuality, VoipMetricsInput};

use crate::time::Ssrc;
use crate::wire::rtcp::ReportBlock;

/// What a receiver knows of one source since it started, or restarted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ReceptionStats {
    /// The source.
    pub ssrc: Ssrc,
    /// Highest sequence number in the lower 16 bits, its cycles in the upper (RFC 3550, 6.4.1).
    pub extended_highest_seq: u32,
    /// Packets from the first to the highest sequence number (A.3).
    pub expected: u64,
    /// Packets that arrived, late ones and duplicates too (A.3).
    pub received: u64,
    /// Of those received, the ones that had come before.
    pub duplicates: u64,
    /// Of those received, the ones that came after a later sequence number.
    pub reordered: u64,
    /// How often the source began a new sequence (A.1). The counts above start again with each.
    pub restarts: u32,
    /// Interarrival jitter in ticks of the RTP clock (A.8).
    pub jitter_ticks: u32,
}

impl ReceptionStats {
    /// The snapshot of one source's trackers.
    pub fn new(ssrc: Ssrc, sequence: &SequenceTracker, jitter: &JitterEstimator) -> Self {
        Self {
            ssrc,
            extended_highest_seq: sequence.extended_highest_seq(),
            expected: sequence.expected(),
            received: sequence.received(),
            duplicates: sequence.duplicates(),
            reordered: sequence.reordered(),
            restarts: sequence.restarts(),
            jitter_ticks: jitter.jitter_ticks(),
        }
    }

    /// Packets expected and not received, by the RFC's count: duplicates make it too small, even negative. Clamped to
    /// 24 bits with sign (A.3).
    pub fn cumulative_lost(&self) -> i32 {
        let lost = self.expected.wrapping_sub(self.received) as i64;
        let range = ReportBlock::LOST_RANGE;
        lost.clamp(i64::from(*range.start()), i64::from(*range.end())) as i32
    }

    /// Whether `self` continues the sequence that `earlier` counted.
    fn continues(&self, earlier: &Self) -> bool {
        self.ssrc == earlier.ssrc && self.restarts == earlier.restarts
    }

    /// Packets received since `earlier`; since the start if that was another source or sequence.
    pub fn received_since(&self, earlier: Option<&Self>) -> u64 {
        let prior = earlier.filter(|earlier| self.continues(earlier));
        self.received.saturating_sub(prior.map_or(0, |prior| prior.received))
    }

    /// The fraction lost since `earlier` in 1/256, 0-255 (A.3); since the start if that was another source or sequence,
    /// or is `None`.
    pub fn fraction_lost_since(&self, earlier: Option<&Self>) -> u8 {
        let prior = earlier.filter(|earlier| self.continues(earlier));
        let expected = self.expected.saturating_sub(prior.map_or(0, |prior| prior.expected));
        let lost = expected.saturating_sub(self.received_since(earlier));
        if lost == 0 {
            return 0;
        }
        // `lost` is at most `expected`, so neither is 0 here; all lost would be 256.
        (lost.saturating_mul(256) / expected).min(255) as u8
    }
}

/// What was received of all sequences and sources, one after the other or at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ReceptionTotals {
    /// Packets from the first to the highest sequence number of each.
    pub expected: u64,
    /// Packets that arrived, late ones and duplicates too.
    pub received: u64,
    /// Of those received, the ones that had come before.
    pub duplicates: u64,
    /// Of those received, the ones that came after a later sequence number.
    pub reordered: u64,
}

impl ReceptionTotals {
    /// Takes in another's.
    pub const fn add(&mut self, other: &Self) {
        self.expected += other.expected;
        self.received += other.received;
        self.duplicates += other.duplicates;
        self.reordered += other.reordered;
    }

    /// Packets that never arrived.
    pub const fn lost(&self) -> u64 {
        (self.expected + self.duplicates).saturating_sub(self.received)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(expected: u64, received: u64) -> ReceptionStats {
        ReceptionStats { expected, received, ..ReceptionStats::default() }
    }

    #[test]
    fn loss_of_a3() {
        assert_eq!(stats(100, 90).cumulative_lost(), 10);
        assert_eq!(stats(100, 103).cumulative_lost(), -3);
        assert_eq!(stats(u64::MAX, 0).cumulative_lost(), -1);
        assert_eq!(stats(1 << 40, 0).cumulative_lost(), 0x7f_ffff);
        assert_eq!(stats(0, 1 << 40).cumulative_lost(), -0x80_0000);

        assert_eq!(stats(100, 75).fraction_lost_since(None), 64);
        assert_eq!(stats(100, 0).fraction_lost_since(None), 255);
        assert_eq!(stats(0, 0).fraction_lost_since(None), 0);
        assert_eq!(stats(110, 106).fraction_lost_since(Some(&stats(100, 100))), 102);
        // A late packet of the interval before makes up for a loss in this one.
        assert_eq!(stats(110, 110).fraction_lost_since(Some(&stats(100, 99))), 0);
        // An `earlier` from the future, or from before a restart, is no reason to panic.
        assert_eq!(stats(1, 1).fraction_lost_since(Some(&stats(100, 99))), 0);
        let restarted = ReceptionStats { restarts: 1, ..stats(10, 5) };
        assert_eq!(restarted.fraction_lost_since(Some(&stats(100, 100))), 128);
    }
}

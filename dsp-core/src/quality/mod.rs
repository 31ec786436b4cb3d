//! Statistics and ratings of a call: reception statistics of RFC 3550, bursts and VoIP metrics of RFC 3611, and the
//! E-model of ITU-T G.107.
//!
//! [`SequenceTracker`] and [`JitterEstimator`] follow one source, and [`ReceptionStats`] is a snapshot of both, by
//! value. A reader keeps the snapshot of its last report and takes the difference, so that RTCP, a display and a log
//! can have intervals of their own. [`BurstTracker`] counts bursts and gaps, [`EModel`] and [`CallConditions`] rate a
//! call, and [`VoipMetricsInput`] makes an RTCP XR block of it all.
//!
//! Use it to follow streams in a program of your own; a [`Receiver`](crate::receive::Receiver) keeps these statistics
//! itself. A packet takes a few integer operations, 6.5 ns on a host (`BENCHMARKS.md`); the E-model takes about forty
//! exponentials and logarithms for each rating. Ratings are on the narrowband scale up to 93.2. The clauses are RFC
//! 3550, 6.4.1, A.1, A.3 and A.8, RFC 3611, 4.7, and ITU-T G.107.
//!
//! One packet of four is lost:
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

/// A snapshot of what was received from one source since it started or restarted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ReceptionStats {
    /// SSRC of the source.
    pub ssrc: Ssrc,
    /// Highest sequence number in the lower 16 bits, the count of its cycles in the upper (RFC 3550, 6.4.1).
    pub extended_highest_seq: u32,
    /// Packets from the first to the highest sequence number (A.3).
    pub expected: u64,
    /// Packets that arrived, including late ones and duplicates (A.3).
    pub received: u64,
    /// Packets among the received ones that had been received before.
    pub duplicates: u64,
    /// Packets among the received ones that came after a later sequence number.
    pub reordered: u64,
    /// How often the source restarted its sequence (A.1). The counts above start again with each.
    pub restarts: u32,
    /// Interarrival jitter, in ticks of the RTP clock (A.8).
    pub jitter_ticks: u32,
}

impl ReceptionStats {
    /// A snapshot of the trackers of one source.
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

    /// Packets expected less packets received, by the count of RFC 3550: duplicates make it too small, even negative.
    /// It is clamped to 24 bits with sign (A.3).
    pub fn cumulative_lost(&self) -> i32 {
        let lost = self.expected.wrapping_sub(self.received) as i64;
        let range = ReportBlock::LOST_RANGE;
        lost.clamp(i64::from(*range.start()), i64::from(*range.end())) as i32
    }

    /// Whether `self` continues the sequence that `earlier` counted.
    fn continues(&self, earlier: &Self) -> bool {
        self.ssrc == earlier.ssrc && self.restarts == earlier.restarts
    }

    /// Packets received since `earlier`; since the start if `earlier` was another source or sequence.
    pub fn received_since(&self, earlier: Option<&Self>) -> u64 {
        let prior = earlier.filter(|earlier| self.continues(earlier));
        self.received.saturating_sub(prior.map_or(0, |prior| prior.received))
    }

    /// Fraction lost since `earlier` in 256ths, 0 to 255 (A.3); since the start if `earlier` was another source or
    /// sequence, or is `None`.
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

/// Counts over all sequences and sources together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ReceptionTotals {
    /// Packets from the first to the highest sequence number of each sequence.
    pub expected: u64,
    /// Packets that arrived, including late ones and duplicates.
    pub received: u64,
    /// Packets among the received ones that had been received before.
    pub duplicates: u64,
    /// Packets among the received ones that came after a later sequence number.
    pub reordered: u64,
}

impl ReceptionTotals {
    /// Adds the counts of another.
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

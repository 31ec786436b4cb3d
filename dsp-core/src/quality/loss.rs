//! Validation of a source by its sequence numbers, and counts of what was expected and received (RFC 3550, A.1 and
//! A.3); described on [`SequenceTracker`].

use super::ReceptionTotals;
use crate::time::Seq;

/// Packets behind the highest whose arrival is remembered.
const WINDOW: u32 = u128::BITS;

/// When a source is valid and when it has restarted (RFC 3550, A.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SequenceConfig {
    /// Number of packets in sequence that make a new source valid. With 0 or 1 the first packet is enough.
    pub min_sequential: u8,
    /// Number of packets that may be missing before a jump ahead is suspect; at most 32,767 is used.
    pub max_dropout: u16,
    /// Number of packets by which one may come late before it is suspect; at most 32,767 is used.
    pub max_misorder: u16,
}

impl Default for SequenceConfig {
    /// The typical values of RFC 3550, A.1: 2, 3,000 and 100 packets.
    fn default() -> Self {
        Self { min_sequential: 2, max_dropout: 3000, max_misorder: 100 }
    }
}

/// What a packet's sequence number says. `extended` is the sequence number with its cycles: it goes on across the
/// 16-bit wrap, and is below 0 only for a packet from before the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SequenceUpdate {
    /// The source is not valid yet, and the packet is not counted. It may be dropped, or kept until the source has
    /// started (RFC 3550 allows both).
    Probation,
    /// The source became valid with this packet, which is the first that counts.
    Started {
        /// Extended sequence number.
        extended: i64,
    },
    /// The packet has the highest sequence number so far.
    InOrder {
        /// Extended sequence number.
        extended: i64,
        /// Number of packets missing right before it.
        gap: u16,
    },
    /// The packet is behind the highest, and was not seen before as far as the window of 128 packets tells.
    Late {
        /// Extended sequence number.
        extended: i64,
    },
    /// A packet with this number was received before.
    Duplicate {
        /// Extended sequence number.
        extended: i64,
    },
    /// The packet is far from the sequence: a stray one, or the first of a new sequence. It is not counted and should
    /// be dropped.
    Suspect,
    /// The second packet in a row of a new sequence: the source has restarted, and this is the first packet that
    /// counts. Buffers and clocks of the old sequence are void.
    Restarted {
        /// Extended sequence number.
        extended: i64,
    },
}

/// Counts the packets of one source by their sequence numbers (RFC 3550, A.1 and A.3): it decides whether the source
/// is valid and whether it has restarted.
///
/// Two things go beyond A.1: duplicates are told from late packets in a window of 128, and a packet in order voids the
/// suspicion of a restart, as the text of A.1 asks but its code does not. A packet takes a few integer operations.
///
/// ```
/// use dsp_core::quality::{SequenceTracker, SequenceUpdate};
/// use dsp_core::time::Seq;
///
/// let mut tracker = SequenceTracker::default();
/// // Two packets in sequence make a source valid.
/// assert_eq!(tracker.update(Seq(65_534)), SequenceUpdate::Probation);
/// assert_eq!(tracker.update(Seq(65_535)), SequenceUpdate::Started { extended: 65_535 });
/// // The sequence number wraps, and one packet is missing.
/// assert_eq!(tracker.update(Seq(1)), SequenceUpdate::InOrder { extended: 65_537, gap: 1 });
/// assert_eq!(tracker.update(Seq(0)), SequenceUpdate::Late { extended: 65_536 });
/// assert_eq!(tracker.update(Seq(0)), SequenceUpdate::Duplicate { extended: 65_536 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SequenceTracker {
    config: SequenceConfig,
    /// Packets still wanted in sequence; `heard` is false before the very first packet.
    probation: u8,
    heard: bool,
    base: i64,
    highest: i64,
    /// Bit n: the packet n before the highest has come.
    seen: u128,
    suspect_next: Option<Seq>,
    received: u64,
    duplicates: u64,
    reordered: u64,
    restarts: u32,
}

impl SequenceTracker {
    /// A tracker of a source from which nothing was received.
    pub fn new(config: SequenceConfig) -> Self {
        let limit = i16::MAX as u16;
        let config = SequenceConfig {
            min_sequential: config.min_sequential.max(1),
            max_dropout: config.max_dropout.min(limit),
            max_misorder: config.max_misorder.min(limit),
        };
        Self {
            config,
            probation: config.min_sequential,
            heard: false,
            base: 0,
            highest: 0,
            seen: 0,
            suspect_next: None,
            received: 0,
            duplicates: 0,
            reordered: 0,
            restarts: 0,
        }
    }

    fn begin(&mut self, seq: Seq) -> i64 {
        let extended = i64::from(seq.0);
        self.base = extended;
        self.highest = extended;
        self.seen = 1;
        self.suspect_next = None;
        self.received = 1;
        self.duplicates = 0;
        self.reordered = 0;
        extended
    }

    /// Counts one packet of this source and says what it is.
    pub fn update(&mut self, seq: Seq) -> SequenceUpdate {
        let highest_seq = Seq(self.highest as u16);
        if self.probation > 0 {
            if !self.heard || seq == highest_seq.plus(1) {
                self.probation -= 1;
            } else {
                self.probation = self.config.min_sequential - 1;
            }
            self.heard = true;
            self.highest = i64::from(seq.0);
            if self.probation == 0 {
                return SequenceUpdate::Started { extended: self.begin(seq) };
            }
            return SequenceUpdate::Probation;
        }
        let ahead = seq.0.wrapping_sub(highest_seq.0);
        if ahead != 0 && ahead < self.config.max_dropout.max(2) {
            self.highest += i64::from(ahead);
            self.seen = self.seen.checked_shl(u32::from(ahead)).unwrap_or(0) | 1;
            self.suspect_next = None;
            self.received += 1;
            return SequenceUpdate::InOrder { extended: self.highest, gap: ahead - 1 };
        }
        // 0 for a repetition of the highest; A.1 takes less than MAX_MISORDER for late.
        let behind = 0u16.wrapping_sub(ahead);
        if behind == 0 || behind < self.config.max_misorder {
            let extended = self.highest - i64::from(behind);
            self.received += 1;
            let behind = u32::from(behind);
            if behind < WINDOW {
                if self.seen >> behind & 1 == 1 {
                    self.duplicates += 1;
                    return SequenceUpdate::Duplicate { extended };
                }
                self.seen |= 1 << behind;
            }
            self.reordered += 1;
            return SequenceUpdate::Late { extended };
        }
        if self.suspect_next == Some(seq) {
            self.restarts = self.restarts.wrapping_add(1);
            return SequenceUpdate::Restarted { extended: self.begin(seq) };
        }
        self.suspect_next = Some(seq.plus(1));
        SequenceUpdate::Suspect
    }

    /// Whether a packet with this number was received, as far as the window of 128 packets behind the highest tells.
    pub const fn has_seen(&self, seq: Seq) -> bool {
        let behind = (self.highest as u16).wrapping_sub(seq.0) as u32;
        self.heard && behind < WINDOW && self.seen >> behind & 1 == 1
    }

    /// Whether enough packets came in sequence for the source to be valid.
    pub const fn is_valid(&self) -> bool {
        self.probation == 0
    }

    /// Highest sequence number in the lower 16 bits, the count of its cycles in the upper, as in a report block.
    pub const fn extended_highest_seq(&self) -> u32 {
        self.highest as u32
    }

    /// Packets from the first to the highest; 0 before the source is valid.
    pub const fn expected(&self) -> u64 {
        if self.is_valid() { (self.highest - self.base) as u64 + 1 } else { 0 }
    }

    /// Packets counted, including late ones and duplicates.
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// Packets that were received before.
    pub const fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Packets that came after a later one.
    pub const fn reordered(&self) -> u64 {
        self.reordered
    }

    /// The counts of this sequence, to be added to those of others.
    pub const fn totals(&self) -> ReceptionTotals {
        ReceptionTotals {
            // Before its first packet a sequence has none.
            expected: if self.received > 0 { self.expected() } else { 0 },
            received: self.received,
            duplicates: self.duplicates,
            reordered: self.reordered,
        }
    }

    /// How often the source restarted its sequence.
    pub const fn restarts(&self) -> u32 {
        self.restarts
    }
}

impl Default for SequenceTracker {
    fn default() -> Self {
        Self::new(SequenceConfig::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use SequenceUpdate::*;

    fn started(first: u16) -> SequenceTracker {
        let mut tracker = SequenceTracker::new(SequenceConfig { min_sequential: 1, ..SequenceConfig::default() });
        assert_eq!(tracker.update(Seq(first)), Started { extended: i64::from(first) });
        tracker
    }

    #[test]
    fn probation_wants_two_in_sequence() {
        let mut tracker = SequenceTracker::default();
        for (seq, update) in [
            (0, Probation),
            (7, Probation),
            (65_535, Probation),
            (0, Started { extended: 0 }),
            (1, InOrder { extended: 1, gap: 0 }),
        ] {
            assert_eq!(tracker.update(Seq(seq)), update);
        }
        assert_eq!((tracker.expected(), tracker.received()), (2, 2));
        let mut strict = SequenceTracker::new(SequenceConfig { min_sequential: 3, ..SequenceConfig::default() });
        assert_eq!([5, 6, 8, 9, 10].map(|seq| strict.update(Seq(seq)))[3..], [Probation, Started { extended: 10 }]);
    }

    #[test]
    fn wraps_and_late_packets() {
        let mut tracker = started(65_534);
        assert_eq!(tracker.update(Seq(1)), InOrder { extended: 65_537, gap: 2 });
        assert_eq!(tracker.extended_highest_seq(), 0x1_0001);
        assert_eq!(tracker.update(Seq(65_535)), Late { extended: 65_535 });
        assert_eq!(tracker.update(Seq(65_535)), Duplicate { extended: 65_535 });
        assert_eq!(tracker.update(Seq(1)), Duplicate { extended: 65_537 });
        assert_eq!((tracker.expected(), tracker.received(), tracker.duplicates(), tracker.reordered()), (4, 5, 2, 1));
        // Before the first packet of a sequence that began at 0.
        assert_eq!(started(0).update(Seq(65_535)), Late { extended: -1 });
    }

    #[test]
    fn bounds_of_dropout_and_misorder() {
        assert_eq!(started(0).update(Seq(2999)), InOrder { extended: 2999, gap: 2998 });
        assert_eq!(started(0).update(Seq(3000)), Suspect);
        assert_eq!(started(200).update(Seq(101)), Late { extended: 101 });
        assert_eq!(started(200).update(Seq(100)), Suspect);
    }

    #[test]
    fn restart_needs_two_in_a_row() {
        let mut tracker = started(100);
        assert_eq!(tracker.update(Seq(40_000)), Suspect);
        assert_eq!(tracker.update(Seq(101)), InOrder { extended: 101, gap: 0 });
        assert_eq!(tracker.update(Seq(40_001)), Suspect);
        assert_eq!(tracker.update(Seq(40_002)), Restarted { extended: 40_002 });
        assert_eq!((tracker.expected(), tracker.received(), tracker.restarts()), (1, 1, 1));
        assert_eq!(tracker.update(Seq(40_003)), InOrder { extended: 40_003, gap: 0 });
        assert_eq!(tracker.totals(), ReceptionTotals { expected: 2, received: 2, duplicates: 0, reordered: 0 });
    }

    #[test]
    fn extreme_limits_are_harmless() {
        let config = SequenceConfig { min_sequential: 0, max_dropout: u16::MAX, max_misorder: u16::MAX };
        let mut tracker = SequenceTracker::new(config);
        assert_eq!(tracker.update(Seq(9)), Started { extended: 9 });
        assert_eq!(tracker.update(Seq(9 + 32_766)), InOrder { extended: 32_775, gap: 32_765 });
        assert_eq!(tracker.update(Seq(9)), Late { extended: 9 });
        let mut tracker = SequenceTracker::new(SequenceConfig { min_sequential: 1, max_dropout: 0, max_misorder: 0 });
        assert_eq!(
            [3, 4, 4, 6].map(|seq| tracker.update(Seq(seq)))[1..],
            [InOrder { extended: 4, gap: 0 }, Duplicate { extended: 4 }, Suspect]
        );
    }
}

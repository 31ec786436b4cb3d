//! Bursts and gaps in a sequence of packets (RFC 3611, 4.7.1 and 4.7.2), and the burst ratio of ITU-T G.107; the rules
//! are on [`BurstTracker`].

use crate::time::Duration;

/// What became of an expected packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PacketFate {
    /// Its sound was decoded, or recovered from redundancy.
    Received,
    /// It did not arrive, and nothing made up for it.
    Lost,
    /// It arrived and was discarded: too late, or too early for the buffer.
    Discarded,
}

/// A run of losses no two of which are Gmin received packets apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Cluster {
    /// Packets from its first to its last loss.
    packets: u32,
    lost: u32,
    duration_us: u64,
}

/// Counts losses, discards, bursts and gaps (RFC 3611, 4.7.1 and 4.7.2), and computes the burst ratio of ITU-T G.107.
///
/// Count each packet in the order of the sequence numbers, once the receiver has decided what became of it. Losses
/// with less than Gmin received packets between them belong to one cluster; a cluster of two or more is a burst, and a
/// single loss lies in a gap. That is the exact definition of the text; the counts of state transitions in A.2 infer
/// it "to an accuracy of 1". Where 4.7.2 and its example differ, the text holds: the example's 520 ms are the sum of
/// its two gaps, the mean is 260 ms. Pauses of the sender, in which no packet is expected, belong to neither. Up to
/// 2^32 of each can be counted. A packet takes a few additions, a report the divisions.
///
/// Single losses far from each other belong to no burst; three losses close together are a burst:
///
/// ```
/// use dsp_core::quality::{BurstTracker, PacketFate};
/// use dsp_core::time::Duration;
///
/// let mut tracker = BurstTracker::new();
/// for n in 0..200 {
///     let fate = if matches!(n, 50 | 100 | 102 | 104) { PacketFate::Lost } else { PacketFate::Received };
///     tracker.count(fate, Duration::from_millis(20));
/// }
/// let stats = tracker.stats();
/// assert_eq!((stats.lost, stats.bursts), (4, 1));
/// assert_eq!((stats.expected_in_bursts, stats.missing_in_bursts), (5, 3));
/// assert_eq!(stats.burst_duration_ms(), 100);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BurstTracker {
    gmin: u8,
    expected: u32,
    lost: u32,
    discarded: u32,
    duration_us: u64,
    /// Runs of losses without a received packet between.
    runs: u32,
    /// Received packets since the last loss, and how long they last.
    since: u32,
    since_us: u64,
    /// The cluster that may still grow.
    open: Cluster,
    /// All bursts that have ended.
    bursts: u32,
    in_bursts: Cluster,
    /// A burst began with the first packet: no gap lies before it.
    starts_in_burst: bool,
    open_is_first: bool,
}

impl BurstTracker {
    /// Gmin as RFC 3611 recommends it.
    pub const GMIN: u8 = 16;

    /// A tracker with a Gmin of 16 that has not counted anything.
    pub const fn new() -> Self {
        Self::with_gmin(Self::GMIN)
    }

    /// A tracker with another Gmin, at least 1.
    pub const fn with_gmin(gmin: u8) -> Self {
        Self {
            gmin: if gmin == 0 { 1 } else { gmin },
            expected: 0,
            lost: 0,
            discarded: 0,
            duration_us: 0,
            runs: 0,
            since: 0,
            since_us: 0,
            open: Cluster { packets: 0, lost: 0, duration_us: 0 },
            bursts: 0,
            in_bursts: Cluster { packets: 0, lost: 0, duration_us: 0 },
            starts_in_burst: false,
            open_is_first: false,
        }
    }

    /// Counts the next expected packet, which lasts `duration`. For a lost packet, `duration` is what the stream's
    /// packets usually last.
    pub const fn count(&mut self, fate: PacketFate, duration: Duration) {
        let duration_us = duration.as_micros();
        self.expected = self.expected.saturating_add(1);
        self.duration_us = self.duration_us.saturating_add(duration_us);
        match fate {
            PacketFate::Received => {
                self.since = self.since.saturating_add(1);
                self.since_us = self.since_us.saturating_add(duration_us);
                return;
            }
            PacketFate::Lost => self.lost = self.lost.saturating_add(1),
            PacketFate::Discarded => self.discarded = self.discarded.saturating_add(1),
        }
        if self.since > 0 || self.open.lost == 0 {
            self.runs = self.runs.saturating_add(1);
        }
        if self.open.lost == 0 || self.since >= self.gmin as u32 {
            self.close();
            self.open_is_first = self.expected == 1;
            self.open = Cluster { packets: 1, lost: 1, duration_us };
        } else {
            self.open.packets = self.open.packets.saturating_add(self.since).saturating_add(1);
            self.open.lost = self.open.lost.saturating_add(1);
            self.open.duration_us = self.open.duration_us.saturating_add(self.since_us).saturating_add(duration_us);
        }
        self.since = 0;
        self.since_us = 0;
    }

    /// Notes that a packet that was counted as lost has arrived after all, too late: it becomes a discarded one.
    /// Bursts and gaps stay the same.
    pub const fn lost_came_late(&mut self) {
        if self.lost > 0 {
            self.lost -= 1;
            self.discarded = self.discarded.saturating_add(1);
        }
    }

    /// Ends the open cluster: a burst, or a loss within a gap.
    const fn close(&mut self) {
        if self.open.lost >= 2 {
            self.bursts = self.bursts.saturating_add(1);
            self.in_bursts.packets = self.in_bursts.packets.saturating_add(self.open.packets);
            self.in_bursts.lost = self.in_bursts.lost.saturating_add(self.open.lost);
            self.in_bursts.duration_us = self.in_bursts.duration_us.saturating_add(self.open.duration_us);
            self.starts_in_burst |= self.open_is_first;
        }
    }

    /// The counts so far. They assume that Gmin received packets follow (4.7.2), so that a loss may change its class
    /// later.
    pub fn stats(&self) -> BurstStats {
        let mut ended = *self;
        ended.close();
        let ends_in_burst = self.open.lost >= 2 && self.since == 0;
        // Between bursts, and before the first and behind the last if something lies there.
        let gaps = match ended.bursts {
            0 => u64::from(self.expected > 0),
            bursts => u64::from(bursts) + 1 - u64::from(ended.starts_in_burst) - u64::from(ends_in_burst),
        };
        let burst = ended.in_bursts;
        BurstStats {
            gmin: self.gmin,
            expected: self.expected.into(),
            lost: self.lost.into(),
            discarded: self.discarded.into(),
            runs: self.runs.into(),
            bursts: ended.bursts.into(),
            gaps,
            expected_in_bursts: burst.packets.into(),
            missing_in_bursts: burst.lost.into(),
            bursts_us: burst.duration_us,
            gaps_us: self.duration_us.saturating_sub(burst.duration_us),
        }
    }
}

impl Default for BurstTracker {
    fn default() -> Self {
        Self::new()
    }
}

/// Counts of a [`BurstTracker`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BurstStats {
    /// Number of received packets in a row that end a burst; 0 only in the default value.
    pub gmin: u8,
    /// Packets expected.
    pub expected: u64,
    /// Packets lost and not recovered.
    pub lost: u64,
    /// Packets discarded.
    pub discarded: u64,
    /// Runs of packets that were lost or discarded one right after the other.
    pub runs: u64,
    /// Bursts.
    pub bursts: u64,
    /// Gaps.
    pub gaps: u64,
    /// Packets expected in bursts.
    pub expected_in_bursts: u64,
    /// Packets lost or discarded in bursts.
    pub missing_in_bursts: u64,
    /// Length of all bursts, in microseconds.
    pub bursts_us: u64,
    /// Length of all gaps, in microseconds.
    pub gaps_us: u64,
}

/// What was counted of streams that are over, in half the memory of [`BurstStats`]: up to 2^32 of each.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PastBursts {
    expected: u32,
    lost: u32,
    discarded: u32,
    runs: u32,
    bursts: u32,
    gaps: u32,
    expected_in_bursts: u32,
    missing_in_bursts: u32,
    bursts_us: u64,
    gaps_us: u64,
}

impl PastBursts {
    /// Takes in the counts of a stream that is over.
    pub(crate) fn add(&mut self, stream: &BurstStats) {
        for (sum, count) in [
            (&mut self.expected, stream.expected),
            (&mut self.lost, stream.lost),
            (&mut self.discarded, stream.discarded),
            (&mut self.runs, stream.runs),
            (&mut self.bursts, stream.bursts),
            (&mut self.gaps, stream.gaps),
            (&mut self.expected_in_bursts, stream.expected_in_bursts),
            (&mut self.missing_in_bursts, stream.missing_in_bursts),
        ] {
            *sum = sum.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        }
        self.bursts_us = self.bursts_us.saturating_add(stream.bursts_us);
        self.gaps_us = self.gaps_us.saturating_add(stream.gaps_us);
    }

    /// The same as statistics.
    pub(crate) fn stats(&self) -> BurstStats {
        BurstStats {
            gmin: BurstTracker::GMIN,
            expected: self.expected.into(),
            lost: self.lost.into(),
            discarded: self.discarded.into(),
            runs: self.runs.into(),
            bursts: self.bursts.into(),
            gaps: self.gaps.into(),
            expected_in_bursts: self.expected_in_bursts.into(),
            missing_in_bursts: self.missing_in_bursts.into(),
            bursts_us: self.bursts_us,
            gaps_us: self.gaps_us,
        }
    }
}

/// `part` in 1/256 of `whole`, at most 255 (4.7.1); 0 of nothing.
fn fraction_256(part: u64, whole: u64) -> u8 {
    part.saturating_mul(256).checked_div(whole).unwrap_or(0).min(255) as u8
}

/// The mean in ms, rounded to the nearest; 0 of nothing.
fn mean_ms(sum_us: u64, count: u64) -> u16 {
    let units = count.saturating_mul(1_000);
    sum_us.saturating_add(units / 2).checked_div(units).unwrap_or(0).min(u64::from(u16::MAX)) as u16
}

impl BurstStats {
    /// Adds the counts of another stream.
    pub fn add(&mut self, other: &Self) {
        self.gmin = self.gmin.max(other.gmin);
        self.expected += other.expected;
        self.lost += other.lost;
        self.discarded += other.discarded;
        self.runs += other.runs;
        self.bursts += other.bursts;
        self.gaps += other.gaps;
        self.expected_in_bursts += other.expected_in_bursts;
        self.missing_in_bursts += other.missing_in_bursts;
        self.bursts_us = self.bursts_us.saturating_add(other.bursts_us);
        self.gaps_us = self.gaps_us.saturating_add(other.gaps_us);
    }

    /// Packets that were not played: lost or discarded.
    pub const fn missing(&self) -> u64 {
        self.lost + self.discarded
    }

    /// Lost packets, in 256ths of those expected.
    pub fn loss_rate(&self) -> u8 {
        fraction_256(self.lost, self.expected)
    }

    /// Discarded packets, in 256ths of those expected.
    pub fn discard_rate(&self) -> u8 {
        fraction_256(self.discarded, self.expected)
    }

    /// Packets lost or discarded in bursts, in 256ths of those expected in them.
    pub fn burst_density(&self) -> u8 {
        fraction_256(self.missing_in_bursts, self.expected_in_bursts)
    }

    /// Packets lost or discarded in gaps, in 256ths of those expected in them.
    pub fn gap_density(&self) -> u8 {
        let missing = self.missing().saturating_sub(self.missing_in_bursts);
        fraction_256(missing, self.expected.saturating_sub(self.expected_in_bursts))
    }

    /// Mean length of a burst, in ms.
    pub fn burst_duration_ms(&self) -> u16 {
        mean_ms(self.bursts_us, self.bursts)
    }

    /// Mean length of a gap, in ms.
    pub fn gap_duration_ms(&self) -> u16 {
        mean_ms(self.gaps_us, self.gaps)
    }

    /// Packets lost or discarded, in percent of those expected: Ppl of G.107.
    pub fn loss_percent(&self) -> f64 {
        if self.expected == 0 { 0.0 } else { 100.0 * self.missing() as f64 / self.expected as f64 }
    }

    /// Burst ratio (BurstR of G.107, 3.5): the mean run of losses, divided by that of independent losses at the same
    /// rate, 1 / (1 - Ppl / 100). It is 1 if nothing or everything is missing.
    pub fn burst_ratio(&self) -> f64 {
        let received = self.expected.saturating_sub(self.missing());
        if self.runs == 0 || received == 0 {
            return 1.0;
        }
        let mean_run = self.missing() as f64 / self.runs as f64;
        mean_run * (received as f64 / self.expected as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    use proptest::prelude::*;

    const PACKET: Duration = Duration::from_millis(10);

    fn track(gmin: u8, fates: &[PacketFate]) -> BurstStats {
        let mut tracker = BurstTracker::with_gmin(gmin);
        for &fate in fates {
            tracker.count(fate, PACKET);
        }
        tracker.stats()
    }

    /// The definition, read literally: each loss looks for others within Gmin received packets on either side.
    fn by_definition(gmin: usize, fates: &[PacketFate]) -> BurstStats {
        let missing: Vec<bool> = fates.iter().map(|&fate| fate != PacketFate::Received).collect();
        let losses: Vec<usize> = (0..fates.len()).filter(|&n| missing[n]).collect();
        // A packet lies in a burst if losses no further than Gmin received ones apart surround or touch it.
        let mut in_burst = vec![false; fates.len()];
        for pair in losses.windows(2) {
            if pair[1] - pair[0] - 1 < gmin {
                in_burst[pair[0]..=pair[1]].fill(true);
            }
        }
        // Two bursts never touch: Gmin received packets lie between.
        let periods = |kind: bool| {
            (0..fates.len()).filter(|&n| in_burst[n] == kind && (n == 0 || in_burst[n - 1] != kind)).count() as u64
        };
        let count = |fate: PacketFate| fates.iter().filter(|&&other| other == fate).count() as u64;
        let burst_packets = in_burst.iter().filter(|&&burst| burst).count() as u64;
        BurstStats {
            gmin: gmin as u8,
            expected: fates.len() as u64,
            lost: count(PacketFate::Lost),
            discarded: count(PacketFate::Discarded),
            runs: (0..fates.len()).filter(|&n| missing[n] && (n == 0 || !missing[n - 1])).count() as u64,
            bursts: periods(true),
            gaps: periods(false),
            expected_in_bursts: burst_packets,
            missing_in_bursts: losses.iter().filter(|&&n| in_burst[n]).count() as u64,
            bursts_us: 10_000 * burst_packets,
            gaps_us: 10_000 * (fates.len() as u64 - burst_packets),
        }
    }

    fn pattern(text: &str) -> Vec<PacketFate> {
        let fate = |letter| match letter {
            '1' => PacketFate::Received,
            '0' => PacketFate::Lost,
            _ => PacketFate::Discarded,
        };
        text.chars().map(fate).collect()
    }

    /// RFC 3611, 4.7.2. It rounds densities to percent before it takes 256ths of them: 84 and 10.
    #[test]
    fn the_example_of_4_7_2() {
        let stats = track(16, &pattern("11110111111111111111111X111X1011110111111111111111111X111111111"));
        // The figure says 64 packets and shows 63.
        assert_eq!((stats.expected, stats.lost, stats.discarded), (63, 3, 3));
        assert_eq!((stats.loss_rate(), stats.discard_rate()), (12, 12));
        assert_eq!((stats.bursts, stats.expected_in_bursts, stats.missing_in_bursts), (1, 12, 4));
        assert_eq!((stats.burst_density(), stats.gap_density()), (85, 10));
        assert_eq!((stats.burst_duration_ms(), stats.gaps, stats.gaps_us), (120, 2, 510_000));
        assert_eq!(stats.gap_duration_ms(), 255);
    }

    #[test]
    fn ends_and_nothing() {
        let stats = track(16, &[]);
        assert_eq!(stats, BurstStats { gmin: 16, ..BurstStats::default() });
        assert_eq!((stats.loss_rate(), stats.burst_density(), stats.gap_density()), (0, 0, 0));
        assert_eq!((stats.gap_duration_ms(), stats.burst_duration_ms()), (0, 0));
        assert_eq!((stats.burst_ratio(), stats.loss_percent()), (1.0, 0.0));
        // Nothing but a burst; all lost.
        let stats = track(16, &pattern("0000"));
        assert_eq!((stats.bursts, stats.gaps, stats.burst_density(), stats.loss_rate()), (1, 0, 255, 255));
        assert_eq!((stats.burst_duration_ms(), stats.gap_duration_ms(), stats.burst_ratio()), (40, 0, 1.0));
        // One alone is a gap's.
        let stats = track(16, &pattern("0"));
        assert_eq!((stats.bursts, stats.gaps, stats.gap_density()), (0, 1, 255));
    }

    #[test]
    fn losses_that_came_late_are_discards() {
        let mut tracker = BurstTracker::new();
        tracker.lost_came_late();
        assert_eq!(tracker.stats().discarded, 0);
        tracker.count(PacketFate::Lost, PACKET);
        tracker.count(PacketFate::Lost, PACKET);
        let before = tracker.stats();
        tracker.lost_came_late();
        assert_eq!(tracker.stats(), BurstStats { lost: 1, discarded: 1, ..before });
    }

    #[test]
    fn burst_ratio_of_known_channels() {
        // Every tenth lost is more regular than chance, and pairs at the same rate are burstier.
        let single = track(16, &pattern(&"1111111110".repeat(100)));
        assert_eq!((single.loss_percent(), single.burst_ratio()), (10.0, 0.9));
        let pairs = track(16, &pattern(&"11111111111111111100".repeat(50)));
        assert_eq!((pairs.loss_percent(), pairs.burst_ratio()), (10.0, 1.8));
        // Independent losses give 1, to the accuracy of the sample.
        let mut random = 1u32;
        let fates: Vec<PacketFate> = (0..100_000)
            .map(|_| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if random >> 16 < 13_107 { PacketFate::Lost } else { PacketFate::Received }
            })
            .collect();
        let ratio = track(16, &fates).burst_ratio();
        assert!((0.98..1.02).contains(&ratio), "{ratio}");
    }

    #[test]
    fn long_calls_do_not_overflow() {
        let mut tracker = BurstTracker::new();
        for fate in [PacketFate::Lost, PacketFate::Received, PacketFate::Discarded, PacketFate::Received] {
            tracker.count(fate, Duration::from_micros(u64::MAX));
        }
        assert_eq!(tracker.stats().burst_duration_ms(), u16::MAX);
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(
            gmin in 1..20u8,
            // Runs make bursts, gaps and isolated losses all likely.
            runs in prop::collection::vec((0..4u8, 1..25usize), 0..40),
        ) {
            let mut fates = Vec::new();
            for (kind, len) in runs {
                match kind {
                    0 => fates.extend(vec![PacketFate::Lost; len % 4]),
                    1 => fates.extend(vec![PacketFate::Discarded; len % 3]),
                    _ => fates.extend(vec![PacketFate::Received; len]),
                }
            }
            // At every moment, not only at the end.
            let mut tracker = BurstTracker::with_gmin(gmin);
            for n in 0..fates.len() {
                tracker.count(fates[n], PACKET);
                prop_assert_eq!(tracker.stats(), by_definition(gmin.into(), &fates[..=n]));
            }
        }
    }
}

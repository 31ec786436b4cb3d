//! Histogram of how late packets were, in ms, which decays with a half-life of 355 packets.
//!
//! Newer packets get larger weights instead of older ones being scaled down, so that a packet changes one bucket. The
//! memory is 456 bytes.

/// Buckets of 2 ms up to 32 ms, then sixteen an octave up to 2048 ms.
const GROUP: usize = 16;
const BUCKETS: usize = 7 * GROUP;
/// Width of the first buckets.
pub(super) const FIRST_WIDTH_MS: u32 = 2;
/// A packet's weight grows by 1/512 with each packet.
const WEIGHT_SHIFT: u32 = 9;
const WEIGHT_START: u32 = 1 << 12;
const WEIGHT_LIMIT: u32 = 1 << 20;
/// An overtaken packet that is late counts a third: it alone is missing, and what follows is here to bridge it. Where one
/// in order is late, so is everything behind it.
const OVERTAKEN_SHARE: u32 = 3;
/// Beyond this, a ms of delay costs 13 sixteenths.
const LONG_MS: u32 = 256;

/// Packets by their delays.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    weights: [u32; BUCKETS],
    /// Weight of all packets, as if none had been overtaken.
    total: u32,
    /// Weight of the next packet.
    weight: u32,
}

impl Histogram {
    pub(super) const fn new() -> Self {
        Self { weights: [0; BUCKETS], total: 0, weight: WEIGHT_START }
    }

    /// Counts a packet.
    pub(super) fn count(&mut self, ms: u32, overtaken: bool) {
        if self.weight >= WEIGHT_LIMIT {
            let shift = WEIGHT_LIMIT.ilog2() - WEIGHT_START.ilog2();
            self.weight >>= shift;
            self.total >>= shift;
            for weight in &mut self.weights {
                *weight >>= shift;
            }
        }
        self.weights[bucket(ms)] += if overtaken { self.weight / OVERTAKEN_SHARE } else { self.weight };
        self.total += self.weight;
        self.weight += self.weight >> WEIGHT_SHIFT;
    }

    /// Shifts everything that was counted by this many ms, later or earlier.
    pub(super) fn shift(&mut self, by_ms: i32) {
        if by_ms == 0 {
            return;
        }
        for step in 0..BUCKETS {
            // In the order in which none is moved twice.
            let from = if by_ms < 0 { step } else { BUCKETS - 1 - step };
            let weight = core::mem::take(&mut self.weights[from]);
            if weight > 0 {
                // Down from a bucket's end and up from its start, so that many small steps never add up to too much.
                let ms = if by_ms < 0 { upper_edge_ms(from + 1) - 1 } else { upper_edge_ms(from) };
                self.weights[bucket(ms.saturating_add_signed(by_ms))] += weight;
            }
        }
    }

    /// Weight of all packets, at least that of this many packets of today.
    pub(super) fn total(&self, at_least: u32) -> u32 {
        self.total.max(self.weight * at_least)
    }

    /// What all buckets hold.
    pub(super) fn sum(&self) -> u32 {
        self.weights.iter().sum()
    }

    /// The end of each bucket, in ms, and what it holds, from the latest.
    pub(super) fn latest_first(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.weights.iter().enumerate().rev().map(|(index, &weight)| (upper_edge_ms(index + 1), weight))
    }
}

/// The bucket of a delay in ms.
fn bucket(ms: u32) -> usize {
    let octave = (ms / GROUP as u32 / FIRST_WIDTH_MS).checked_ilog2().unwrap_or(0);
    ((octave * GROUP as u32 + (ms >> (octave + 1))) as usize).min(BUCKETS - 1)
}

/// The end of the first `count` buckets, in ms.
fn upper_edge_ms(count: usize) -> u32 {
    let octave = (count / GROUP).saturating_sub(1);
    ((count - octave * GROUP) as u32) << (octave + 1)
}

/// What a delay costs, in ms.
pub(super) fn price(ms: u32) -> u32 {
    ms.min(LONG_MS) + ((ms.saturating_sub(LONG_MS) * 13) >> 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_tile_the_axis() {
        for ms in 0..2_048 {
            let index = bucket(ms);
            assert!(upper_edge_ms(index) <= ms && ms < upper_edge_ms(index + 1), "{ms}");
        }
        assert_eq!(bucket(99_999), BUCKETS - 1);
    }

    #[test]
    fn an_overtaken_packet_counts_a_third() {
        let sum = |overtaken| {
            let mut histogram = Histogram::new();
            histogram.count(100, overtaken);
            (histogram.sum(), histogram.total(0))
        };
        assert_eq!((sum(false), sum(true)), ((4_096, 4_096), (1_365, 4_096)));
    }

    #[test]
    fn nothing_is_lost_when_all_are_shifted() {
        let mut histogram = Histogram::new();
        for ms in [0, 7, 40, 300, 2_000] {
            histogram.count(ms, false);
        }
        let sum = histogram.sum();
        for by_ms in [1, 30, -30, -1, 3_000, -5_000] {
            histogram.shift(by_ms);
            assert_eq!(histogram.sum(), sum, "{by_ms}");
        }
        assert_eq!(histogram.latest_first().last(), Some((FIRST_WIDTH_MS, sum)));
    }
}

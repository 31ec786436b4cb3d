//! Delay estimator: how long packets must wait so that nearly all of them are there when their turn comes.
//!
//! Everything is in ticks of the RTP clock, 32 bits, modulo 2^32. A packet's *transit* is its arrival minus its
//! timestamp: unknown offset and all. The smallest transit of the last 10 to 20 seconds is the *base*; what a packet
//! took longer is its *relative delay*. Because the base is a minimum over a window, a sender whose clock drifts moves
//! it along, and a shorter route is noticed at once; when it rises, what was counted is lowered by as much.
//!
//! Relative delays go into a histogram that forgets with a half-life of about 355 packets (7 s at 20 ms). The target
//! is the delay that 98.5 % of them stayed within. Newer packets weigh more instead of older ones being scaled down,
//! so an update touches one bucket; the target is looked up every eighth packet, or at once if a packet was later.

use crate::time::Duration;

/// Bounds of the delay. With `min_ms == max_ms` the delay is fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DelayConfig {
    /// The target never falls below this, in ms.
    pub min_ms: u32,
    /// The target never rises above this, and a packet that would be played later than this is dropped, in ms.
    pub max_ms: u32,
    /// What the estimator believes before it has seen packets, in ms.
    pub initial_ms: u32,
    /// How many ms of delay one percent of late packets is worth.
    pub late_cost_ms: u32,
}

impl Default for DelayConfig {
    /// 20 ms to 2 s, beginning with 40 ms.
    fn default() -> Self {
        Self { min_ms: 10, max_ms: 2_000, initial_ms: env("INIT",40), late_cost_ms: env("K", 160) }
    }
}

/// Buckets of 2, 4, 8, 16, 32 and 64 ms, sixteen of each: up to 2016 ms.
const GROUP: usize = 16;
const BUCKETS: usize = 7 * GROUP;
const FIRST_WIDTH_MS: u32 = 2;
/// A packet's weight grows by 1/512 with each packet.
const WEIGHT_SHIFT: u32 = 9;
const WEIGHT_START: u32 = 1 << 12;
const WEIGHT_LIMIT: u32 = 1 << 20;
/// An overtaken packet that is late counts a quarter: one packet is missing, and what follows is here to bridge it. If
/// one in order is late, so are those behind it.
const OVERTAKEN_SHIFT: u32 = 2;
/// A packet must be here when the tick begins in which its turn comes.
const MARGIN_MS: u32 = 5;
const KNOWN_PACKETS: u32 = 512;
const WINDOW: Duration = Duration::from_secs(10);
const LOOK_UP_EVERY: u32 = 8;

/// Estimates base and target delay from arrivals.
#[derive(Clone, Debug)]
pub struct DelayEstimator {
    ticks_per_second: u32,
    config: DelayConfig,
    /// Mean difference of two packets' transits, in ticks, times 16.
    spread: u32,
    last: u32,
    pub reorders: u32,
    pub usual: u32,
    /// Timestamp of the newest packet.
    newest: u32,
    histogram: [u32; BUCKETS],
    total: u32,
    weight: u32,
    packets: u32,
    /// Smallest transit of the window that is filling and of the one before.
    minimum: [u32; 2],
    window_start: u32,
    target: u32,
}

impl DelayEstimator {
    /// An estimator for a clock of `ticks_per_second`.
    pub fn new(ticks_per_second: u32, config: DelayConfig) -> Self {
        let mut estimator = Self {
            ticks_per_second,
            config,
            spread: 0,
            last: 0,
            reorders: 0,
            usual: 0,
            newest: 0,
            histogram: [0; BUCKETS],
            total: 0,
            weight: WEIGHT_START,
            packets: 0,
            minimum: [0; 2],
            window_start: 0,
            target: 0,
        };
        estimator.reset();
        estimator
    }

    /// Forgets all arrivals.
    pub fn reset(&mut self) {
        self.histogram = [0; BUCKETS];
        self.weight = WEIGHT_START;
        self.total = 0;
        self.packets = 0;
        self.target = self.ticks(self.config.initial_ms.clamp(self.config.min_ms, self.config.max_ms));
    }

    /// Forgets the base, but not how much packets vary: for a sender whose timestamps jumped.
    pub fn rebase(&mut self) {
        self.packets = 0;
    }

    /// Takes in one arrival (both in ticks) and returns the packet's relative delay, in ticks.
    pub fn update(&mut self, arrival: u32, timestamp: u32) -> u32 {
        let transit = arrival.wrapping_sub(timestamp);
        let overtaken = self.packets > 0 && (timestamp.wrapping_sub(self.newest) as i32) < 0;
        if !overtaken {
            self.newest = timestamp;
        }
        if self.packets == 0 {
            self.last = transit;
        }
        let d = (transit.wrapping_sub(self.last) as i32).unsigned_abs().min(10 * self.ticks_per_second);
        let fast = 16 / (self.packets + 1).min(16);
        self.spread = self.spread - self.spread / 16 * fast + d * fast;
        if overtaken { self.reorders = 1024; } else { self.reorders = self.reorders.saturating_sub(1); }
        self.last = transit;
        if self.packets == 0 {
            self.minimum = [transit; 2];
            self.window_start = arrival;
        } else if arrival.wrapping_sub(self.window_start) > WINDOW.as_samples(self.ticks_per_second) as u32 {
            let before = self.base();
            self.minimum = [transit, self.minimum[0]];
            self.window_start = arrival;
            self.lower(self.base().wrapping_sub(before));
        } else if (transit.wrapping_sub(self.minimum[0]) as i32) < 0 {
            self.minimum[0] = transit;
        }
        self.packets = self.packets.wrapping_add(1).max(1);
        let relative = transit.wrapping_sub(self.base());
        self.count(relative, overtaken);
        if relative > self.target || self.packets.is_multiple_of(LOOK_UP_EVERY) {
            self.target = self.look_up();
        }
        relative
    }

    /// How much later than the base this arrival is, in ticks, without taking it in; `None` before the first.
    pub fn relative(&self, arrival: u32, timestamp: u32) -> Option<i32> {
        (self.packets > 0).then(|| arrival.wrapping_sub(timestamp).wrapping_sub(self.base()) as i32)
    }

    /// The smallest transit of the last windows, in ticks.
    pub fn base(&self) -> u32 {
        let newer = self.minimum[0].wrapping_sub(self.minimum[1]) as i32;
        self.minimum[usize::from(newer > 0)]
    }

    /// How long after the base a packet should be played, in ticks.
    pub fn target(&self) -> u32 {
        self.target
    }

    /// The longest delay that the bounds allow, in ticks.
    pub fn maximum(&self) -> u32 {
        self.ticks(self.config.max_ms)
    }

    fn ticks(&self, ms: u32) -> u32 {
        Duration::from_millis(u64::from(ms)).as_samples(self.ticks_per_second) as u32
    }

    fn count(&mut self, relative: u32, overtaken: bool) {
        if self.weight >= WEIGHT_LIMIT {
            let shift = WEIGHT_LIMIT.ilog2() - WEIGHT_START.ilog2();
            self.weight >>= shift;
            self.total >>= shift;
            for bucket in &mut self.histogram {
                *bucket >>= shift;
            }
        }
        // Beyond ten seconds it's the last bucket anyway, and the product stays within 32 bits.
        let ms = relative.min(10 * self.ticks_per_second) / (self.ticks_per_second / 1_000).max(1);
        self.histogram[bucket(ms)] += if overtaken { self.weight / 16 * env("OT", 4) } else { self.weight };
        self.total += self.weight;
        self.weight += self.weight >> env("SHIFT",9);
    }

    /// The base rose by so many ticks: all that was counted was that much less late.
    fn lower(&mut self, by: u32) {
        let by_ms = by / (self.ticks_per_second / 1_000).max(1);
        if by_ms == 0 || by > i32::MAX as u32 {
            return;
        }
        for from in 0..BUCKETS {
            // From a bucket's end, so that a slow drift never adds up to too little.
            let to = bucket((upper_edge_ms(from + 1) - 1).saturating_sub(by_ms));
            let weight = core::mem::take(&mut self.histogram[from]);
            self.histogram[to] += weight;
        }
    }

    /// The delay that costs least: itself, and what comes later than it.
    fn look_up(&mut self) -> u32 {
        // One ms of delay is worth so much weight of late packets.
        let total = self.total.max(self.weight.saturating_mul(env("N0",1)));
        let unit = (total / (100 * self.config.late_cost_ms.max(1))).max(1);
        let (mut later, mut best, mut least) = (0u32, 0, u32::MAX);
        let rare = self.histogram.iter().sum::<u32>() / env("RARE", 20);
        let mut usual = 0;
        for index in (0..BUCKETS).rev() {
            let cost = upper_edge_ms(index + 1) * unit + later;
            if cost < least {
                (best, least) = (index, cost);
            }
            later += self.histogram[index];
            if later > rare && usual == 0 { usual = upper_edge_ms(index + 1); }
        }
        // The first bucket is jitter that nothing needs to be done about.
        let edge = if best == 0 { 0 } else { upper_edge_ms(best + 1) };
        // What was seen of few packets says little of the latest: half the spread more for each halving.
        self.usual = self.ticks(usual);
        let few = if self.packets < KNOWN_PACKETS { (KNOWN_PACKETS / self.packets.max(1)).ilog2() } else { 0 };
        let edge = edge + env("EXT",1) * self.spread / 16 * few / 2 / (self.ticks_per_second / 1000);
        self.ticks((edge + env("MARGIN", 10)).clamp(self.config.min_ms, self.config.max_ms))
    }
}

/// The bucket of a delay in ms: sixteen an octave from 32 ms on, below that 2 ms each.
fn bucket(ms: u32) -> usize {
    let octave = (ms / GROUP as u32 / FIRST_WIDTH_MS).checked_ilog2().unwrap_or(0);
    let shift = octave + 1;
    ((octave * GROUP as u32 + (ms >> shift)) as usize).min(BUCKETS - 1)
}

/// The end of the first `count` buckets, in ms.
fn upper_edge_ms(count: usize) -> u32 {
    let octave = (count / GROUP).saturating_sub(1);
    ((count - octave * GROUP) as u32) << (octave + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOCK: u32 = 8_000;

    /// Feeds `packets` of 20 ms; `delay_ms(n)` is what packet n takes.
    fn feed(estimator: &mut DelayEstimator, from: u32, packets: u32, delay_ms: impl Fn(u32) -> u32) {
        for n in from..from + packets {
            let timestamp = n.wrapping_mul(160).wrapping_add(u32::MAX - 40_000);
            estimator.update(n.wrapping_mul(160).wrapping_add(delay_ms(n) * 8), timestamp);
        }
    }

    fn target_ms(estimator: &DelayEstimator) -> u32 {
        estimator.target() * 1_000 / CLOCK
    }

    #[test]
    fn buckets_tile_the_axis() {
        for ms in 0..2_048 {
            let index = bucket(ms);
            assert!(upper_edge_ms(index) <= ms && ms < upper_edge_ms(index + 1), "{ms}");
        }
        assert_eq!(bucket(99_999), BUCKETS - 1);
    }

    #[test]
    fn falls_to_the_minimum_on_a_quiet_network_and_rises_on_a_bad_one() {
        let mut estimator = DelayEstimator::new(CLOCK, DelayConfig::default());
        assert_eq!(target_ms(&estimator), 40);
        feed(&mut estimator, 0, 1_000, |_| 50);
        assert_eq!(target_ms(&estimator), 20);
        // Every tenth packet is 100 ms late: the target must cover it soon, and for as long as it lasts.
        feed(&mut estimator, 1_000, 100, |n| if n % 10 == 0 { 150 } else { 50 });
        assert!((100..=120).contains(&target_ms(&estimator)), "{}", target_ms(&estimator));
        // And shrink again afterwards.
        feed(&mut estimator, 1_100, 2_500, |_| 50);
        assert_eq!(target_ms(&estimator), 20);
    }

    #[test]
    fn drift_moves_the_base_along() {
        let mut estimator = DelayEstimator::new(CLOCK, DelayConfig::default());
        // The sender is 500 ppm slow for an hour: 1.8 s in all.
        for n in 0..180_000u32 {
            let arrival = n.wrapping_mul(160).wrapping_add(n / 100 * 8);
            estimator.update(arrival, n.wrapping_mul(160));
        }
        assert_eq!(target_ms(&estimator), 20);
    }

    #[test]
    fn a_longer_route_costs_no_delay_once_it_is_the_base() {
        let mut estimator = DelayEstimator::new(CLOCK, DelayConfig::default());
        feed(&mut estimator, 0, 1_000, |_| 50);
        feed(&mut estimator, 1_000, 1_100, |_| 550);
        assert_eq!(target_ms(&estimator), 20);
    }

    #[test]
    fn bounds_hold() {
        let fixed = DelayConfig { min_ms: 60, max_ms: 60, initial_ms: 60 };
        let mut estimator = DelayEstimator::new(CLOCK, fixed);
        feed(&mut estimator, 0, 500, |n| n % 7 * 100);
        assert_eq!(target_ms(&estimator), 60);
    }
}

pub fn env(name: &str, default: u32) -> u32 { std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default) }

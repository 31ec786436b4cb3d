//! The narrowest link of a network: a rate, a queue in front of it that drops what doesn't fit, and others who send through it.
//!
//! Use it to see how a call adapts its sending to a link with little room. Usually it precedes a
//! [`Network`](super::netsim::Network) ([`Network::behind`](super::netsim::Network::behind)).
//!
//! Packets of 182 kbit/s come to a link of 80 kbit/s, which lets fewer than half of them through; [`Bottleneck`] has an example
//! of a link alone:
//!
//! ```
//! use dsp_core::time::Instant;
//! use host_std::simulate::bottleneck::{Bottleneck, BottleneckConfig};
//! use host_std::simulate::netsim::{Network, NetworkConfig};
//!
//! let narrow = BottleneckConfig { rate_bps: 80_000.0, queue_ms: 50.0, bulk: None };
//! let mut network = Network::new(NetworkConfig::default(), 1).behind(Bottleneck::new(narrow));
//! let arrived = (0..100).filter_map(|n| network.carry_datagram(Instant::from_millis(10 * n), 200)[0]).count();
//! let dropped = network.bottleneck().map_or(0, |link| link.dropped());
//! assert_eq!(arrived as u64 + dropped, 100);
//! assert!((50..60).contains(&dropped));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A packet waits until all packets before it have left. The bulk transfer is TCP in outline (RFC 5681): slow start, then one more
//! packet each round trip, and half as many after a loss. It fills any queue. Its acknowledgements come late by up to the time that one of
//! its packets takes on the link. Otherwise the transfer can fall in step with a call in a drop-tail queue, and take the last place
//! each time just before the call's packet comes (Floyd and Jacobson, *On Traffic Phase Effects in Packet-Switched Gateways*, 1992).
//! These delays are the same in each run, so the same packets at the same times find the same link.
//!
//! **Limits.** There is one link and one bulk transfer, whose acknowledgements aren't sent through a link of their own.

use std::collections::VecDeque;

use dsp_core::time::{Duration, Instant};

/// IPv4 and UDP headers.
const HEADERS: usize = 28;
/// Bytes of a packet of the bulk transfer.
const BULK_BYTES: usize = 1_500;
/// Packets that it begins with (RFC 6928).
const FIRST_WINDOW: f64 = 10.0;
/// The time without acknowledgements after which it restarts.
const BULK_TIMEOUT: Duration = Duration::from_secs(1);

/// A link, and what else is sent through it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BottleneckConfig {
    /// The rate in bit/s, which IP headers use too.
    pub rate_bps: f64,
    /// The longest that a packet may wait, in ms. A packet that would wait longer is dropped; one that finds the link idle always
    /// passes.
    pub queue_ms: f64,
    /// A bulk transfer that shares the link for a time; `None` if nothing else is sent.
    pub bulk: Option<BulkConfig>,
}

/// A TCP connection that always has something to send.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BulkConfig {
    /// The time at which it begins, in ms.
    pub from_ms: f64,
    /// The time at which it ends, in ms.
    pub until_ms: f64,
    /// The round-trip time of the transfer without the queue, in ms.
    pub round_trip_ms: f64,
}

/// A link in use.
///
/// ```
/// use dsp_core::time::Instant;
/// use host_std::simulate::bottleneck::{Bottleneck, BottleneckConfig};
///
/// // 80 kbit/s are 10 bytes a millisecond.
/// let mut link = Bottleneck::new(BottleneckConfig { rate_bps: 80_000.0, queue_ms: 50.0, bulk: None });
/// let first = link.pass(Instant::ZERO, 200).expect("the link is idle");
/// let second = link.pass(Instant::ZERO, 200).expect("there is room");
/// assert!(second > first);
/// for _ in 0..10 {
///     link.pass(Instant::ZERO, 200);
/// }
/// assert!(link.dropped() > 0);
/// ```
#[derive(Clone, Debug)]
pub struct Bottleneck {
    config: BottleneckConfig,
    /// The time at which everything that waits will have been sent.
    idle_from: Instant,
    dropped: u64,
    bulk: Option<Bulk>,
}

impl Bottleneck {
    /// Creates a link with an empty queue.
    pub fn new(config: BottleneckConfig) -> Self {
        Self { config, idle_from: Instant::ZERO, dropped: 0, bulk: config.bulk.map(Bulk::new) }
    }

    /// Sends a datagram of this many bytes, without IP and UDP headers, at `now`. Returns when it has passed the link; `None` if it
    /// was dropped.
    pub fn pass(&mut self, now: Instant, bytes: usize) -> Option<Instant> {
        if let Some(mut bulk) = self.bulk.take() {
            bulk.run_until(now, self);
            self.bulk = Some(bulk);
        }
        let passed = self.enqueue(now, bytes + HEADERS);
        self.dropped += u64::from(passed.is_none());
        passed
    }

    /// Returns the number of datagrams that were dropped, not counting those of the bulk transfer.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Returns how long a packet would wait now.
    pub fn waiting(&self, now: Instant) -> Duration {
        self.idle_from.since(now)
    }

    /// Returns how many bytes of the bulk transfer have passed.
    pub fn bulk_bytes(&self) -> u64 {
        self.bulk.as_ref().map_or(0, |bulk| bulk.delivered * BULK_BYTES as u64)
    }

    fn enqueue(&mut self, now: Instant, bytes: usize) -> Option<Instant> {
        let waits = self.waiting(now);
        if waits > Duration::from_micros((self.config.queue_ms * 1_000.0) as u64) {
            return None;
        }
        self.idle_from = self.idle_from.max(now) + self.takes(bytes);
        Some(self.idle_from)
    }

    /// Returns how long the link is busy with this many bytes.
    fn takes(&self, bytes: usize) -> Duration {
        Duration::from_micros((bytes as f64 * 8e6 / self.config.rate_bps.max(1.0)) as u64)
    }
}

/// The other end of a transfer is not simulated: acknowledgements come a round trip after a packet has passed.
#[derive(Clone, Debug)]
struct Bulk {
    config: BulkConfig,
    /// Packets that may be under way.
    window: f64,
    threshold: f64,
    /// The times at which the packets under way are acknowledged.
    acknowledged: VecDeque<Instant>,
    /// A loss before this is known already.
    recovered: Instant,
    delivered: u64,
    begun: bool,
    /// The time at which it was last able to send.
    now: Instant,
    /// Makes the delays of the acknowledgements.
    delays: u64,
}

impl Bulk {
    fn new(config: BulkConfig) -> Self {
        Self {
            config,
            window: FIRST_WINDOW,
            threshold: f64::INFINITY,
            acknowledged: VecDeque::new(),
            recovered: Instant::ZERO,
            delivered: 0,
            begun: false,
            now: Instant::ZERO,
            delays: 1,
        }
    }

    /// Returns a random extra delay of an acknowledgement, evenly distributed up to `most`.
    fn delay(&mut self, most: Duration) -> Duration {
        // Knuth's linear congruential generator (MMIX); its upper bits are the good ones.
        self.delays = self.delays.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Duration::from_micros((most.as_micros() * (self.delays >> 48)) >> 16)
    }

    fn run_until(&mut self, now: Instant, link: &mut Bottleneck) {
        let micros = |ms: f64| Instant::from_micros((ms * 1_000.0) as u64);
        if now < micros(self.config.from_ms) {
            return;
        }
        if !self.begun {
            (self.begun, self.now) = (true, micros(self.config.from_ms));
            self.send(link);
        }
        while let Some(at) = self.acknowledged.front().copied().filter(|&at| at <= now) {
            self.acknowledged.pop_front();
            self.now = at;
            self.delivered += 1;
            self.window += if self.window < self.threshold { 1.0 } else { 1.0 / self.window };
            self.send(link);
        }
        if self.acknowledged.is_empty() && now.since(self.now) > BULK_TIMEOUT {
            (self.window, self.now) = (1.0, now);
            self.send(link);
        }
    }

    fn send(&mut self, link: &mut Bottleneck) {
        if self.now.as_millis() as f64 >= self.config.until_ms {
            return;
        }
        let round_trip = Duration::from_micros((self.config.round_trip_ms * 1_000.0) as u64);
        while (self.acknowledged.len() as f64) < self.window.floor().max(1.0) {
            let Some(passed) = link.enqueue(self.now, BULK_BYTES) else {
                // Half of it for all that is lost within a round trip.
                if self.now >= self.recovered {
                    self.threshold = (self.window / 2.0).max(2.0);
                    self.window = self.threshold;
                    self.recovered = self.now + round_trip + link.waiting(self.now);
                }
                return;
            };
            let at = passed + round_trip + self.delay(link.takes(BULK_BYTES));
            self.acknowledged.push_back(self.acknowledged.back().map_or(at, |&last| last.max(at)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(rate_bps: f64, queue_ms: f64, bulk: Option<BulkConfig>) -> Bottleneck {
        Bottleneck::new(BottleneckConfig { rate_bps, queue_ms, bulk })
    }

    /// Packets of `bytes` each `ms` for 60 s: what passes in bit/s, the share that is dropped, and the mean wait in ms of the last 30 s.
    fn run(link: &mut Bottleneck, bytes: usize, ms: u64) -> (f64, f64, f64) {
        let (mut passed, mut waited, mut sent, mut dropped) = (0, 0.0, 0.0, 0.0);
        for at in (0..60_000).step_by(ms as usize).map(Instant::from_millis) {
            let came = link.pass(at, bytes);
            if at >= Instant::from_millis(30_000) {
                sent += 1.0;
                dropped += f64::from(u8::from(came.is_none()));
                passed += came.map_or(0, |_| bytes + HEADERS);
                waited += came.map_or(0.0, |came| came.since(at).as_micros() as f64 / 1e3);
            }
        }
        (passed as f64 * 8.0 / 30.0, dropped / sent, waited / (sent - dropped))
    }

    #[test]
    fn what_is_below_the_rate_waits_only_for_itself() {
        let (passed, dropped, waited) = run(&mut link(100_000.0, 200.0, None), 172, 20);
        assert!((passed - 80_000.0).abs() < 100.0 && dropped == 0.0 && (waited - 16.0).abs() < 0.01);
    }

    #[test]
    fn what_is_above_it_fills_the_queue_and_loses_the_rest() {
        let mut narrow = link(40_000.0, 200.0, None);
        let (passed, dropped, waited) = run(&mut narrow, 172, 20);
        assert!((passed - 40_000.0).abs() < 400.0 && (dropped - 0.5).abs() < 0.01, "{passed} {dropped}");
        assert!((200.0..250.0).contains(&waited), "{waited}");
        assert!(narrow.dropped() > 1_400);
        // A packet that is longer than the queue still passes where the link is idle.
        let (passed, dropped, _) = run(&mut link(20_000.0, 10.0, None), 172, 100);
        assert!(passed > 15_000.0 && dropped == 0.0);
    }

    #[test]
    fn a_bulk_transfer_fills_what_a_call_leaves() {
        let bulk = BulkConfig { from_ms: 5_000.0, until_ms: 1e9, round_trip_ms: 40.0 };
        let mut shared = link(1_000_000.0, 200.0, Some(bulk));
        let (passed, dropped, waited) = run(&mut shared, 172, 20);
        assert!((waited - 150.0).abs() < 60.0 && dropped < 0.1, "{waited} {dropped}");
        let theirs = shared.bulk_bytes() as f64 * 8.0 / 55.0;
        assert!((800_000.0..940_000.0).contains(&theirs), "{theirs} beside {passed}");
        // It goes as it came.
        let ends = BulkConfig { until_ms: 20_000.0, ..bulk };
        let (_, dropped, waited) = run(&mut link(1_000_000.0, 200.0, Some(ends)), 172, 20);
        assert!(dropped == 0.0 && waited < 2.0, "{waited}");
    }
}

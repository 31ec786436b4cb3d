//! A bad network with a seed: what becomes of each datagram, without I/O.
//!
//! Use it where you carry datagrams in virtual time yourself. Two calls are connected by [`virtual_time`](super::virtual_time), and two
//! sockets by `proxy`.
//!
//! A network with jitter keeps the order of the packets, until it breaks down; [`Network`] has an example with losses:
//!
//! ```
//! use dsp_core::time::Instant;
//! use host_std::simulate::netsim::{Network, NetworkConfig};
//!
//! let config = NetworkConfig { jitter_ms: 10.0, ..NetworkConfig::default() };
//! let mut network = Network::new(config, 1);
//! let arrivals: Vec<_> = (0..100).filter_map(|n| network.carry(Instant::from_millis(20 * n))[0]).collect();
//! assert!(arrivals.len() == 100 && arrivals.is_sorted());
//!
//! network.set_config(NetworkConfig { loss_percent: 100.0, ..config });
//! assert!(network.carry(Instant::from_millis(2_000))[0].is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Loss** is Gilbert's two-state model: within a bad spell every packet is lost. Spells last
//! [`burst`](NetworkConfig::burst) packets on average, and [`loss_percent`](NetworkConfig::loss_percent) is their share. **Delay** is a
//! constant and a random part with a gamma distribution of shape 2, in which few packets are much later than most; its standard
//! deviation is [`jitter_ms`](NetworkConfig::jitter_ms). **Order** is kept, as in a queue, except for the share of packets that
//! is held back for the time of two packets. A bottleneck, if there is one, comes before all this.
//!
//! **Limits.** This is a model, and losses don't depend on delay. The same seed gives the same network on every machine.

use dsp_core::time::{Duration, Instant};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::bottleneck::Bottleneck;

/// The impairments of a network. The default is a perfect one with a one-way delay of 20 ms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NetworkConfig {
    /// The share of packets that are lost, in percent.
    pub loss_percent: f64,
    /// The mean number of packets that are lost in a row. With 1 or less losses are independent.
    pub burst: f64,
    /// The constant part of the one-way delay, in ms.
    pub delay_ms: f64,
    /// The standard deviation of the random part of the delay, in ms.
    pub jitter_ms: f64,
    /// The share of packets that are held back so that later ones overtake them, in percent.
    pub reorder_percent: f64,
    /// The share of packets that arrive twice, in percent.
    pub duplicate_percent: f64,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            loss_percent: 0.0,
            burst: 1.0,
            delay_ms: 20.0,
            jitter_ms: 0.0,
            reorder_percent: 0.0,
            duplicate_percent: 0.0,
        }
    }
}

/// One direction of a network.
///
/// ```
/// use dsp_core::time::{Duration, Instant};
/// use host_std::simulate::netsim::{Network, NetworkConfig};
///
/// let config = NetworkConfig { loss_percent: 20.0, delay_ms: 30.0, ..NetworkConfig::default() };
/// let mut network = Network::new(config, 1);
/// let arrivals: Vec<_> = (0..1_000).filter_map(|n| network.carry(Instant::from_millis(20 * n))[0]).collect();
/// assert!((700..900).contains(&arrivals.len()));
/// assert_eq!(Network::new(NetworkConfig::default(), 1).carry(Instant::ZERO)[0], Some(Instant::from_millis(20)));
/// ```
#[derive(Clone, Debug)]
pub struct Network {
    config: NetworkConfig,
    random: Xoshiro256PlusPlus,
    in_burst: bool,
    /// The earliest arrival of the next packet that keeps its order.
    last_arrival: Instant,
    bottleneck: Option<Bottleneck>,
}

/// The time for which a packet that is overtaken is held back.
const HELD_BACK: Duration = Duration::from_millis(45);
/// The delay of the second packet of a pair after the first.
const DUPLICATE_AFTER: Duration = Duration::from_millis(1);

impl Network {
    /// Creates a network with this seed. Give the two directions of a link different seeds.
    pub fn new(config: NetworkConfig, seed: u64) -> Self {
        Self {
            config,
            random: Xoshiro256PlusPlus::seed_from_u64(seed),
            in_burst: false,
            last_arrival: Instant::ZERO,
            bottleneck: None,
        }
    }

    /// Changes how bad the network is from now on.
    pub fn set_config(&mut self, config: NetworkConfig) {
        self.config = config;
    }

    /// Puts a narrow link in front of this network.
    #[must_use]
    pub fn behind(self, bottleneck: Bottleneck) -> Self {
        Self { bottleneck: Some(bottleneck), ..self }
    }

    /// Returns the narrow link, if there is one.
    pub fn bottleneck(&self) -> Option<&Bottleneck> {
        self.bottleneck.as_ref()
    }

    /// Returns when a datagram of this many bytes, sent at `sent`, arrives: never, once or twice.
    pub fn carry_datagram(&mut self, sent: Instant, bytes: usize) -> [Option<Instant>; 2] {
        let Some(link) = &mut self.bottleneck else { return self.carry(sent) };
        link.pass(sent, bytes).map_or([None, None], |passed| self.carry(passed))
    }

    /// Returns when a datagram that is sent at `sent` arrives, after the narrow link if there is one: never, once or twice.
    pub fn carry(&mut self, sent: Instant) -> [Option<Instant>; 2] {
        // All dice are thrown for every packet, so that changing one share leaves the other events where they were.
        let lost = self.lose();
        let jitter = self.jitter();
        let reordered = self.uniform() * 100.0 < self.config.reorder_percent;
        let duplicated = self.uniform() * 100.0 < self.config.duplicate_percent;
        if lost {
            return [None, None];
        }
        let delay = Duration::from_micros((self.config.delay_ms * 1_000.0) as u64) + jitter;
        let mut arrival = (sent + delay).max(self.last_arrival);
        if reordered {
            arrival += HELD_BACK;
        } else {
            self.last_arrival = arrival;
        }
        [Some(arrival), duplicated.then_some(arrival + DUPLICATE_AFTER)]
    }

    fn lose(&mut self) -> bool {
        let share = (self.config.loss_percent / 100.0).clamp(0.0, 1.0);
        let dice = self.uniform();
        if self.config.burst <= 1.0 || share >= 1.0 {
            return dice < share;
        }
        let leave = 1.0 / self.config.burst;
        let enter = (leave * share / (1.0 - share)).min(1.0);
        self.in_burst = if self.in_burst { dice >= leave } else { dice < enter };
        self.in_burst
    }

    /// Gamma of shape 2: the sum of two exponentials. Its standard deviation is its scale times the root of two.
    fn jitter(&mut self) -> Duration {
        let product = (1.0 - self.uniform()) * (1.0 - self.uniform());
        let scale_ms = self.config.jitter_ms / core::f64::consts::SQRT_2;
        Duration::from_micros((-libm::log(product) * scale_ms * 1_000.0).max(0.0) as u64)
    }

    /// 0 (included) to 1 (excluded).
    fn uniform(&mut self) -> f64 {
        (self.random.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loss share, mean burst, and mean and deviation of the delay in ms, over 200,000 packets.
    fn measure(config: NetworkConfig) -> (f64, f64, f64, f64) {
        let mut network = Network::new(config, 7);
        let (mut lost, mut bursts, mut before) = (0.0, 0.0, false);
        let mut delays = Vec::new();
        for n in 0..200_000u64 {
            // One packet a second: keeping the order changes nothing.
            let sent = Instant::from_millis(1_000 * n);
            let arrival = network.carry(sent)[0];
            lost += f64::from(u8::from(arrival.is_none()));
            bursts += f64::from(u8::from(arrival.is_none() && !before));
            before = arrival.is_none();
            delays.extend(arrival.map(|arrival| arrival.since(sent).as_micros() as f64 / 1_000.0));
        }
        let mean = delays.iter().sum::<f64>() / delays.len() as f64;
        let variance = delays.iter().map(|delay| (delay - mean).powi(2)).sum::<f64>() / delays.len() as f64;
        (lost / 200_000.0, lost / bursts, mean, variance.sqrt())
    }

    #[test]
    fn loss_and_jitter_are_as_asked() {
        let config = NetworkConfig { loss_percent: 10.0, burst: 2.0, jitter_ms: 30.0, ..Default::default() };
        let (loss, burst, mean, deviation) = measure(config);
        assert!((loss - 0.1).abs() < 0.004, "{loss}");
        assert!((burst - 2.0).abs() < 0.05, "{burst}");
        assert!((mean - 62.4).abs() < 0.5, "{mean}");
        assert!((deviation - 30.0).abs() < 0.5, "{deviation}");
        let (loss, burst, ..) = measure(NetworkConfig { loss_percent: 20.0, ..Default::default() });
        assert!((loss - 0.2).abs() < 0.005 && (burst - 1.25).abs() < 0.02, "{loss} {burst}");
    }

    #[test]
    fn the_same_seed_is_the_same_network() {
        let config = NetworkConfig { loss_percent: 5.0, jitter_ms: 10.0, reorder_percent: 3.0, ..Default::default() };
        let run = |seed| {
            let mut network = Network::new(config, seed);
            (0..500).map(|n| network.carry(Instant::from_millis(n * 20))).collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }
}

//! Datagrams that are on their way through a simulated network, in the order in which they arrive.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use dsp_core::time::Instant;

use super::netsim::Network;

/// A datagram, and `To`: where it is going.
#[derive(Debug)]
pub(super) struct DatagramInFlight<To> {
    pub(super) arrival: Instant,
    pub(super) to: To,
    pub(super) bytes: Vec<u8>,
    /// Counts from 1 as they were sent.
    order: u64,
}

impl<To> Ord for DatagramInFlight<To> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.arrival, self.order).cmp(&(other.arrival, other.order))
    }
}

impl<To> PartialOrd for DatagramInFlight<To> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<To> PartialEq for DatagramInFlight<To> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<To> Eq for DatagramInFlight<To> {}

/// All that is on its way. Those that arrive at the same moment do so in the order in which they were sent.
#[derive(Debug)]
pub(super) struct InFlight<To> {
    datagrams: BinaryHeap<Reverse<DatagramInFlight<To>>>,
    sent: u64,
}

impl<To> Default for InFlight<To> {
    fn default() -> Self {
        Self { datagrams: BinaryHeap::new(), sent: 0 }
    }
}

impl<To: Copy> InFlight<To> {
    /// Sends a datagram at `now` through a network, which loses it, or lets it arrive once or twice.
    pub(super) fn send(&mut self, network: &mut Network, now: Instant, to: To, bytes: &[u8]) {
        for arrival in network.carry_datagram(now, bytes.len()).into_iter().flatten() {
            self.sent += 1;
            let datagram = DatagramInFlight { arrival, to, bytes: bytes.to_vec(), order: self.sent };
            self.datagrams.push(Reverse(datagram));
        }
    }

    /// Returns when the next one arrives.
    pub(super) fn next_arrival(&self) -> Option<Instant> {
        self.datagrams.peek().map(|Reverse(next)| next.arrival)
    }

    /// Takes the datagram that arrives first.
    pub(super) fn take(&mut self) -> Option<DatagramInFlight<To>> {
        self.datagrams.pop().map(|Reverse(next)| next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::netsim::NetworkConfig;

    #[test]
    fn comes_in_the_order_of_arrival_and_then_of_sending() {
        let slow = NetworkConfig { delay_ms: 50.0, ..NetworkConfig::default() };
        let (mut slow, mut fast) = (Network::new(slow, 1), Network::new(NetworkConfig::default(), 1));
        let mut in_flight = InFlight::default();
        for (number, late) in [true, false, false].into_iter().enumerate() {
            let network = if late { &mut slow } else { &mut fast };
            in_flight.send(network, Instant::ZERO, number, &[number as u8]);
        }
        assert_eq!(in_flight.next_arrival(), Some(Instant::from_millis(20)));
        let order: Vec<usize> = std::iter::from_fn(|| in_flight.take()).map(|datagram| datagram.to).collect();
        assert_eq!((order, in_flight.next_arrival()), (vec![1, 2, 0], None));
    }
}

//! How long until the next report: the arithmetic of RFC 3550, 6.2, 6.3.1 and 6.3.3. With feedback (RFC 4585, 3.4)
//! there is no minimum, except 1 s for the first interval.
//!
//! Units: intervals in microseconds, sizes in 1/16 byte with IP and UDP headers, bandwidth in kbit/s. An interval
//! costs some 64-bit divisions.

use super::config::{LONGEST_INTERVAL_US, ReporterConfig, SHORTEST_INTERVAL_US};
use crate::time::Duration;

/// IPv4 and UDP headers, which count as RTCP bandwidth (6.2).
const LOWER_LAYERS: usize = 28;
/// A peer is gone after this many intervals of silence (6.3.5).
const TIMEOUT_INTERVALS: u64 = 5;
/// The minimum of the first interval with feedback (RFC 4585, 3.4).
const FIRST_WITH_FEEDBACK_US: u64 = 1_000_000;

/// Who takes part in the session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Members {
    /// Whether this end sends.
    pub(super) we_send: bool,
    /// How many others send.
    pub(super) others: u64,
    /// How many others report.
    pub(super) heard: u64,
}

/// The length of intervals, by the sizes of the datagrams so far.
#[derive(Clone, Debug)]
pub(super) struct TransmissionInterval {
    bandwidth_kbps: u32,
    /// The minimum for timeouts, the one for this end's reports, which may be reduced, and that of the first of them.
    fixed_min_us: u64,
    min_us: u64,
    first_min_us: u64,
    /// State of the random numbers: xorshift with 32 bits.
    state: u32,
    /// Average datagram with lower layers, in 1/16 byte.
    average_size_16: u32,
}

impl TransmissionInterval {
    /// An interval for a configuration that was checked. The first report is assumed to be `datagram_len` bytes long.
    pub(super) fn new(config: &ReporterConfig, datagram_len: usize) -> Self {
        let (min_us, first_min_us) = minima_us(config);
        Self {
            bandwidth_kbps: config.session_bandwidth_kbps,
            fixed_min_us: config.min_interval.as_micros(),
            min_us,
            first_min_us,
            // Any non-zero state will do for xorshift; the multiplication spreads small seeds.
            state: (config.seed ^ config.ssrc.0.rotate_left(16)).wrapping_mul(0x9e37_79b1).max(1),
            average_size_16: 16 * (LOWER_LAYERS + datagram_len) as u32,
        }
    }

    /// What was agreed on is another now.
    pub(super) fn agree(&mut self, config: &ReporterConfig) {
        self.bandwidth_kbps = config.session_bandwidth_kbps;
        (self.min_us, self.first_min_us) = minima_us(config);
    }

    /// Counts a datagram into the average size, with a gain of 1/16 (6.3.3).
    pub(super) fn average_in(&mut self, datagram_len: usize) {
        let size = (datagram_len.min(usize::from(u16::MAX)) + LOWER_LAYERS) as u32;
        self.average_size_16 = self.average_size_16 - self.average_size_16 / 16 + size;
    }

    /// After this silence a peer is gone. It uses the fixed minimum and the interval of a receiver, whatever this end
    /// uses itself (6.2, 6.3.5).
    pub(super) fn timeout(&self, heard: u64) -> Duration {
        let members = Members { we_send: false, others: 0, heard };
        Duration::from_micros(TIMEOUT_INTERVALS * self.calculated_us(members, self.fixed_min_us))
    }

    /// The deterministic interval (6.3.1, 1-3), in microseconds.
    fn calculated_us(&self, members: Members, min_us: u64) -> u64 {
        let Members { we_send, others, heard } = members;
        let members = 1 + others.max(heard);
        let senders = u64::from(we_send) + others;
        // Sites that share, and their quarters of the bandwidth.
        let (sites, quarters) = match (4 * senders <= members, we_send) {
            (true, true) => (senders, 1),
            (true, false) => (members - senders, 3),
            (false, _) => (members, 4),
        };
        // 5 % of x kbit/s are 25/4 x bytes/s, of which `quarters`/4; with the size in 1/16 byte, all but this cancels.
        let bandwidth = u64::from(self.bandwidth_kbps) * quarters;
        // A configuration without bandwidth is refused.
        let shared_us = sites * u64::from(self.average_size_16) * 40_000 / bandwidth.max(1);
        shared_us.max(min_us).clamp(SHORTEST_INTERVAL_US, LONGEST_INTERVAL_US)
    }

    /// The interval with its randomness (6.3.1, 4-5); before the first report, `initial`, its minimum is half.
    pub(super) fn random(&mut self, members: Members, initial: bool) -> Duration {
        let interval_us = self.calculated_us(members, if initial { self.first_min_us } else { self.min_us });
        // 0.5 to 1.5 in 1/65536, over e - 3/2, which makes up for the reconsideration. An hour fits in 32 bits.
        let factor = 0x8000 + self.dice();
        Duration::from_micros(((interval_us * factor) >> 16) * 100_000 / 121_828)
    }

    /// Between half and one and a half of an interval (RFC 4585, 3.5.3).
    pub(super) fn around(&mut self, interval: Duration) -> Duration {
        Duration::from_micros((interval.as_micros() * (0x8000 + self.dice())) >> 16)
    }

    /// Between nothing and an interval.
    pub(super) fn within(&mut self, interval: Duration) -> Duration {
        Duration::from_micros((interval.as_micros() * self.dice()) >> 16)
    }

    /// 16 random bits.
    fn dice(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 17;
        self.state ^= self.state << 5;
        u64::from(self.state >> 16)
    }
}

/// The minimum of the interval, and that of the first.
fn minima_us(config: &ReporterConfig) -> (u64, u64) {
    if config.feedback.is_some() {
        return (0, FIRST_WITH_FEEDBACK_US);
    }
    let reduced = config.reduced_minimum.then(|| 360_000_000 / u64::from(config.session_bandwidth_kbps.max(1)));
    let min_us = reduced.unwrap_or(u64::MAX).min(config.min_interval.as_micros());
    (min_us, min_us / 2)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{START, config};
    use super::super::{RtcpReporter, SendInfo};
    use super::*;
    use crate::quality::ReceptionStats;
    use crate::time::Instant;
    use core::slice;

    #[test]
    fn extreme_configs_and_times_do_not_overflow() {
        let mut out = [0; 200];
        for session_bandwidth_kbps in [1, u32::MAX] {
            for min_interval in [Duration::from_millis(10), Duration::from_secs(3600)] {
                let config = ReporterConfig { session_bandwidth_kbps, min_interval, reduced_minimum: true, ..config() };
                let mut reporter = RtcpReporter::<1>::new(config, START).unwrap();
                let jumbo = [&[0x80, 201, 0, 1, 0, 0, 0, 2][..], &[0x80, 205, 0xff, 0xfe], &[0; 262_136]].concat();
                for _ in 0..100 {
                    reporter.receive(START, &jumbo).unwrap();
                }
                for now in [START, Instant::from_micros(u64::MAX), START] {
                    let stats = ReceptionStats { expected: u64::MAX, received: 1, ..ReceptionStats::default() };
                    let send = SendInfo { packets: u32::MAX, ..SendInfo::default() };
                    reporter.poll(now, slice::from_ref(&stats), Some(&send), &mut out).unwrap();
                    assert!(reporter.next_deadline() > START);
                }
            }
        }
    }
}

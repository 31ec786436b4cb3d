//! Interarrival jitter (RFC 3550, 6.4.1 and A.8).
//!
//! The estimate is kept in 1/16 of a tick of the RTP clock. Arrival times are in the same ticks, modulo 2^32; only
//! differences matter. A packet costs no division besides the one in [`arrival_ticks`].

use crate::time::{Instant, RtpTime};

/// A deviation of more than this many ticks, 46 minutes at 48 kHz, counts as this many: so 16 times it fit into the state.
const MAX_DEVIATION: u32 = (1 << 27) - 1;

/// `now` in ticks of a clock of `rtp_clock_hz`, modulo 2^32, exact over any length of time.
pub(crate) const fn arrival_ticks(now: Instant, rtp_clock_hz: u32) -> u32 {
    let micros = now.as_micros();
    let seconds = micros / 1_000_000;
    let rest = micros % 1_000_000;
    // The whole seconds may wrap: a multiple of the clock rate stays exact modulo 2^32.
    (seconds as u32).wrapping_mul(rtp_clock_hz).wrapping_add((rest * rtp_clock_hz as u64 / 1_000_000) as u32)
}

/// The interarrival jitter of one source (RFC 3550, 6.4.1 and A.8): the mean deviation of the transit time, with a
/// gain of 1/16, in the integer form of A.8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct JitterEstimator {
    transit: Option<u32>,
    /// In 1/16 tick.
    jitter: u32,
}

impl JitterEstimator {
    /// An estimate of 0 that waits for the first packet.
    pub const fn new() -> Self {
        Self { transit: None, jitter: 0 }
    }

    /// Counts one packet, in order or not. `arrival_ticks` is its arrival time in ticks of the RTP clock, modulo 2^32,
    /// and `timestamp` is from its header. The first packet only sets the transit time with which the second is
    /// compared.
    pub fn update(&mut self, arrival_ticks: u32, timestamp: RtpTime) {
        let transit = arrival_ticks.wrapping_sub(timestamp.0);
        if let Some(before) = self.transit.replace(transit) {
            let deviation = (transit.wrapping_sub(before) as i32).unsigned_abs().min(MAX_DEVIATION);
            // At most 2^31: where the second term outgrows the first, the estimate falls.
            self.jitter = self.jitter + deviation - ((self.jitter + 8) >> 4);
        }
    }

    /// Forgets the last transit time and keeps the estimate, because the timestamps restart, with a restart of the
    /// source or a change of the clock rate (RFC 7160, 4.1).
    pub const fn resync(&mut self) {
        self.transit = None;
    }

    /// The estimate in ticks of the RTP clock, as in a report block.
    pub const fn jitter_ticks(&self) -> u32 {
        self.jitter >> 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steady_arrival_has_no_jitter_across_wraps() {
        let mut jitter = JitterEstimator::new();
        let (mut arrival, mut timestamp) = (u32::MAX - 300, RtpTime(u32::MAX - 1000));
        for _ in 0..20 {
            jitter.update(arrival, timestamp);
            arrival = arrival.wrapping_add(160);
            timestamp = timestamp.plus(160);
        }
        assert_eq!(jitter.jitter_ticks(), 0);
    }

    #[test]
    fn alternating_delay_converges_to_its_step() {
        let mut jitter = JitterEstimator::new();
        for n in 0..400u32 {
            jitter.update(n * 160 + 80 * (n & 1), RtpTime(n * 160));
        }
        assert!((79..=80).contains(&jitter.jitter_ticks()), "{}", jitter.jitter_ticks());
    }

    #[test]
    fn follows_the_floating_point_form() {
        let (mut jitter, mut float, mut last) = (JitterEstimator::new(), 0f64, None);
        let mut random = 1u32;
        for n in 0..5000u32 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let transit = (random >> 20) as i32;
            jitter.update((n * 160).wrapping_add(transit as u32), RtpTime(n * 160));
            if let Some(before) = last.replace(transit) {
                float += (f64::from((transit - before).abs()) - float) / 16.0;
            }
            assert!((f64::from(jitter.jitter_ticks()) - float).abs() <= 1.5, "{n}");
        }
    }

    #[test]
    fn wild_timestamps_saturate() {
        let mut jitter = JitterEstimator::new();
        for n in 0..1000u32 {
            jitter.update(0, RtpTime((n & 1) << 31));
        }
        assert!(jitter.jitter_ticks().abs_diff(MAX_DEVIATION) <= 1);
        jitter.resync();
        jitter.update(5, RtpTime(9));
        assert!(jitter.jitter_ticks().abs_diff(MAX_DEVIATION) <= 1);
    }

    #[test]
    fn arrival_is_continuous_at_any_epoch() {
        for base in [0, 1_700_000_000_000_000, u64::MAX - 1_000_000] {
            let ticks = |micros| arrival_ticks(Instant::from_micros(base + micros), 48_000);
            assert_eq!(ticks(1_000_000).wrapping_sub(ticks(0)), 48_000);
            assert!(ticks(1_000).wrapping_sub(ticks(0)).abs_diff(48) <= 1);
        }
        assert_eq!(arrival_ticks(Instant::from_micros(u64::MAX), u32::MAX), {
            let exact = u128::from(u64::MAX) * u128::from(u32::MAX) / 1_000_000;
            exact as u32
        });
    }
}

//! The numbers of one stream, collected tick by tick while it's played.

use dsp_core::receive::{Played, ReceiverStats};

use super::ListenerReport;

/// Collects what [`ListenerReport`] says of delays; the rest is in the receiver's statistics.
#[derive(Default)]
pub(super) struct DelayStatistics {
    /// Mean buffer delay of each second, in ms.
    seconds_ms: Vec<f64>,
    before: ReceiverStats,
    /// Playout delay of packets over the fastest one, in ms: sum, number and largest.
    playout: (f64, u64, f64),
    /// The same for the packets before the sender restarted.
    earlier: (f64, u64, f64),
}

impl DelayStatistics {
    /// A second has passed.
    pub(super) fn second(&mut self, stats: &ReceiverStats) {
        let mean = stats.buffer_delay.mean_us_since(&self.before.buffer_delay);
        self.seconds_ms.extend(mean.map(|us| f64::from(us) / 1_000.0));
        self.before = *stats;
    }

    /// A packet was played that came `transit_ms` later than the fastest one.
    pub(super) fn played(&mut self, played: &Played, transit_ms: f64) {
        if let Some(waited) = played.buffer_delay_us {
            let delay = transit_ms + f64::from(waited) / 1_000.0;
            self.playout = (self.playout.0 + delay, self.playout.1 + 1, self.playout.2.max(delay));
        }
    }

    /// Everything known before is `by_ms` more over the fastest packet: a faster one has come.
    pub(super) fn faster(&mut self, by_ms: f64) {
        let (sum, count, most) = self.playout;
        self.playout = (sum + by_ms * count as f64, count, if count > 0 { most + by_ms } else { most });
    }

    /// Starts a new count, since later packets have another fastest packet.
    pub(super) fn restarted(&mut self) {
        self.earlier = self.all_playout();
        self.playout = (0.0, 0, 0.0);
    }

    fn all_playout(&self) -> (f64, u64, f64) {
        let (now, earlier) = (self.playout, self.earlier);
        (now.0 + earlier.0, now.1 + earlier.1, now.2.max(earlier.2))
    }

    /// Returns the largest playout delay in ms.
    pub(super) fn max_playout_ms(&self) -> f64 {
        thousandth(self.all_playout().2)
    }

    /// Returns the statistics at the end. Packets are counted by the caller.
    pub(super) fn report(mut self, name: String, stats: &ReceiverStats, sample_rate_hz: u32) -> ListenerReport {
        let played = stats.played_samples.max(1) as f64;
        let ratio = |samples: u64| (samples as f64 / played * 1e6).round() / 1e6;
        let (playout_sum, playouts, _) = self.all_playout();
        let p95 = percentile(&mut self.seconds_ms, 95.0);
        ListenerReport {
            name,
            sample_rate_hz,
            duration_s: thousandth(stats.played_samples as f64 / f64::from(sample_rate_hz)),
            mean_buffer_delay_ms: thousandth(f64::from(stats.buffer_delay.mean_us()) / 1_000.0),
            p95_buffer_delay_ms: thousandth(p95),
            max_buffer_delay_ms: thousandth(self.seconds_ms.last().copied().unwrap_or(0.0)),
            mean_playout_delay_ms: thousandth(playout_sum / playouts.max(1) as f64),
            target_delay_ms: stats.target_delay_ms,
            concealed_ratio: ratio(stats.concealed_samples),
            concealment_events: stats.concealment_events,
            stretched_ratio: ratio(stats.inserted_samples + stats.removed_samples),
            inserted_ratio: ratio(stats.inserted_samples),
            removed_ratio: ratio(stats.removed_samples),
            recovered_ratio: ratio(stats.recovered_samples),
            silence_ratio: ratio(stats.silence_samples),
            received: 0,
            lost: 0,
            late: u64::from(stats.late),
            discarded: u64::from(stats.discarded),
            mos_lq: None,
            mos_cq: None,
            r_factor: None,
        }
    }
}

/// Rounds to a thousandth: `61.3`, not `61.300000000000004`.
pub(super) fn thousandth(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

/// Linear between the nearest ranks; sorts. 0 for no values.
pub(super) fn percentile(values: &mut [f64], percent: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let Some(last) = values.len().checked_sub(1) else { return 0.0 };
    let place = percent / 100.0 * last as f64;
    let below = place as usize;
    let above = (below + 1).min(last);
    values[below] + (values[above] - values[below]) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles() {
        assert_eq!(percentile(&mut [], 95.0), 0.0);
        assert_eq!(percentile(&mut [3.0, 1.0, 2.0], 50.0), 2.0);
        assert!((percentile(&mut [0.0, 10.0], 95.0) - 9.5).abs() < 1e-12);
    }
}

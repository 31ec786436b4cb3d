//! The difference between two snapshots of a call: counts, delay, and quality by the E-model of those packets alone.

use dsp_core::quality::{BurstStats, CallConditions};
use dsp_core::time::Duration;

use crate::session::CallStats;

/// The statistics of a part of a call, between two snapshots. An `Option` is `None` where nothing was heard in that time.
///
/// This example has two seconds of a call whose network gets worse after the first:
///
/// ```
/// use dsp_core::time::Instant;
/// use host_std::monitoring::Interval;
/// use host_std::session::{Call, CallConfig, Identity};
/// use host_std::simulate::netsim::NetworkConfig;
/// use host_std::simulate::virtual_time::VirtualTime;
///
/// let call = |port| Call::new(CallConfig::with_identity(port, Identity::seeded(port.into())));
/// let addresses = ["127.0.0.1:4000".parse()?, "127.0.0.1:5000".parse()?];
/// let mut two = VirtualTime::connect([call(4000)?, call(5000)?], addresses, NetworkConfig::default(), 0.0, 1)?;
/// let mut snapshots = vec![two.ends[1].call.stats()];
/// for second in 1..=2 {
///     two.run_until(Instant::from_millis(1_000 * second));
///     snapshots.push(two.ends[1].call.stats());
///     two.set_network(0, NetworkConfig { loss_percent: 30.0, ..NetworkConfig::default() });
/// }
/// let seconds = [0, 1].map(|n| Interval::between(&snapshots[n], &snapshots[n + 1]));
/// assert_eq!(seconds[0].lost_percent(), Some(0.0));
/// assert!(seconds[1].lost_percent() > Some(5.0));
/// assert!(seconds[1].mos_lq < seconds[0].mos_lq);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Interval {
    /// Packets that we sent.
    pub sent: u32,
    /// Packets that arrived.
    pub received: u64,
    /// Packets that never arrived.
    pub lost: u64,
    /// Losses, discards and bursts among the packets whose turn to be played has passed (RFC 3611, 4.7.1).
    pub bursts: BurstStats,
    /// Samples of one channel that were played, at the rate of the user's sound.
    pub played_samples: u64,
    /// The played samples that were concealed for missing packets.
    pub concealed_samples: u64,
    /// The mean delay from a packet's fastest transit to its being played, in ms.
    pub playout_delay_ms: Option<f64>,
    /// The delay within this side (RFC 3611, 4.7.3), with the mean wait in the jitter buffer of this interval, in ms.
    pub end_system_delay_ms: f64,
    /// Half of the round trip and both sides' delays, in ms; `None` without a round trip.
    pub one_way_ms: Option<f64>,
    /// The rating R without delay (ITU-T G.107).
    pub listening_r: Option<f64>,
    /// The listening quality, a MOS of 1 to 4.5.
    pub mos_lq: Option<f64>,
    /// The rating R with delay; `None` without a round trip.
    pub r_factor: Option<f64>,
    /// The conversational quality, a MOS of 1 to 4.5; `None` without a round trip.
    pub mos_cq: Option<f64>,
}

impl Interval {
    /// Computes the difference between two snapshots of the same call. It costs three ratings of the E-model.
    pub fn between(earlier: &CallStats, later: &CallStats) -> Self {
        let (before, after) = (&earlier.total, &later.total);
        let bursts = bursts(&earlier.bursts, &later.bursts);
        // The first receiver's, as in its VoIP metrics; another one may have taken its place.
        let (waited, waits) = (&earlier.receiver.buffer_delay, &later.receiver.buffer_delay);
        let wait_us = if waits.packets >= waited.packets { waits.mean_us_since(waited) } else { None };
        let end = later.local_voip.end_system_delay.as_micros() as f64;
        let end_us = wait_us.map_or(end, |wait_us| end - f64::from(waits.mean_us()) + f64::from(wait_us)).max(0.0);
        let heard = dsp_core::quality::VoipMetricsInput {
            end_system_delay: Duration::from_micros(end_us as u64),
            ..later.local_voip
        };
        let one_way_ms = heard.one_way_ms();
        let conditions = heard.codec.filter(|_| bursts.expected > 0).map(|codec| CallConditions {
            codec,
            loss_percent: bursts.loss_percent(),
            burst_ratio: bursts.burst_ratio(),
            one_way_ms: 0.0,
            residual_echo_db: heard.peer.and_then(|peer| peer.rerl_db).map(f64::from),
        });
        let listening = conditions.map(|conditions| conditions.quality());
        let with_delay = |one_way_ms| conditions.map(|basis| CallConditions { one_way_ms, ..basis }.quality());
        let conversation = one_way_ms.and_then(with_delay);
        Self {
            sent: later.sender.packets.saturating_sub(earlier.sender.packets),
            received: after.total.received.saturating_sub(before.total.received),
            lost: after.total.lost().saturating_sub(before.total.lost()),
            bursts,
            played_samples: after.played_samples.saturating_sub(before.played_samples),
            concealed_samples: after.concealed_samples.saturating_sub(before.concealed_samples),
            playout_delay_ms: after
                .playout_delay
                .mean_us_since(&before.playout_delay)
                .filter(|_| after.playout_delay.packets >= before.playout_delay.packets)
                .map(|us| f64::from(us) / 1e3),
            end_system_delay_ms: end_us / 1e3,
            one_way_ms,
            // Without delay no points are deducted for echo, so this is the rating of listening alone.
            listening_r: conditions.map(|basis| CallConditions { residual_echo_db: None, ..basis }.quality().r_factor),
            mos_lq: listening.map(|quality| quality.mos_lq),
            r_factor: conversation.map(|quality| quality.r_factor),
            mos_cq: conversation.map(|quality| quality.mos_cq),
        }
    }

    /// Packets that never came, in percent of those that should have; `None` where none should have.
    pub fn lost_percent(&self) -> Option<f64> {
        percent(self.lost, self.received + self.lost)
    }

    /// Returns the concealed sound, in percent of the played sound; `None` where nothing was played.
    pub fn concealed_percent(&self) -> Option<f64> {
        percent(self.concealed_samples, self.played_samples)
    }
}

fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| 100.0 * part as f64 / whole as f64)
}

/// Returns the difference of the counts. A loss may be reclassified after the first snapshot, as part of a burst that continues:
/// then the difference is none.
fn bursts(earlier: &BurstStats, later: &BurstStats) -> BurstStats {
    BurstStats {
        gmin: later.gmin,
        expected: later.expected.saturating_sub(earlier.expected),
        lost: later.lost.saturating_sub(earlier.lost),
        discarded: later.discarded.saturating_sub(earlier.discarded),
        runs: later.runs.saturating_sub(earlier.runs),
        bursts: later.bursts.saturating_sub(earlier.bursts),
        // The gap that was open continues.
        gaps: later.gaps.saturating_sub(earlier.gaps).max(u64::from(later.gaps_us > earlier.gaps_us)),
        expected_in_bursts: later.expected_in_bursts.saturating_sub(earlier.expected_in_bursts),
        missing_in_bursts: later.missing_in_bursts.saturating_sub(earlier.missing_in_bursts),
        bursts_us: later.bursts_us.saturating_sub(earlier.bursts_us),
        gaps_us: later.gaps_us.saturating_sub(earlier.gaps_us),
    }
}

#[cfg(test)]
mod tests {
    use dsp_core::quality::{BurstTracker, CodecImpairment, PacketFate, VoipMetricsInput};

    use super::*;

    fn after(tracker: &BurstTracker) -> CallStats {
        let bursts = tracker.stats();
        let local_voip = VoipMetricsInput {
            bursts,
            codec: Some(CodecImpairment::G711_CONCEALED),
            round_trip: Some(Duration::from_millis(60)),
            end_system_delay: Duration::from_millis(70),
            ..VoipMetricsInput::default()
        };
        let mut stats = CallStats { bursts, local_voip, ..CallStats::default() };
        stats.total.total.expected = bursts.expected;
        stats.total.total.received = bursts.expected - bursts.lost;
        stats
    }

    /// A bad minute behind a good one is told as bad as it was, and a good one behind it as good.
    #[test]
    fn quality_is_that_of_the_interval_alone() {
        let mut tracker = BurstTracker::new();
        let packet = Duration::from_millis(20);
        (0..3_000).for_each(|_| tracker.count(PacketFate::Received, packet));
        let good = after(&tracker);
        for n in 0..1_000 {
            tracker.count(if n % 10 == 0 { PacketFate::Lost } else { PacketFate::Received }, packet);
        }
        let bad = after(&tracker);
        (0..1_000).for_each(|_| tracker.count(PacketFate::Received, packet));
        let again = after(&tracker);

        let first = Interval::between(&CallStats::default(), &good);
        let second = Interval::between(&good, &bad);
        let third = Interval::between(&bad, &again);
        assert_eq!((first.lost, second.lost, third.lost), (0, 100, 0));
        assert_eq!(second.lost_percent(), Some(10.0));
        assert_eq!((second.bursts.expected, second.bursts.loss_percent()), (1_000, 10.0));
        // Every tenth packet: no 16 in a row between two losses, so all of it is one burst.
        assert_eq!((second.bursts.bursts, second.bursts.burst_duration_ms()), (1, 991 * 20));
        assert!(first.mos_lq > Some(4.3) && second.mos_lq < Some(3.5) && third.mos_lq > Some(4.3), "{second:?}");
        assert!(second.r_factor < second.listening_r && second.mos_cq <= second.mos_lq, "{second:?}");
        assert_eq!(first.one_way_ms, Some(100.0));
        assert_eq!(third.bursts.gaps, 1);
    }

    #[test]
    fn nothing_heard_is_not_told_as_good_or_bad() {
        let nothing = Interval::between(&CallStats::default(), &CallStats::default());
        assert_eq!((nothing.mos_lq, nothing.r_factor, nothing.lost_percent()), (None, None, None));
        assert_eq!((nothing.concealed_percent(), nothing.playout_delay_ms), (None, None));
    }
}

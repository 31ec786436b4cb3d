//! The numbers of calls as metrics for the recorder of the crate `metrics`.

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use super::Interval;
use crate::session::CallStats;

/// Gives the recorder of the crate `metrics` the units and meanings of all metrics, for exporters that show them. Call it once,
/// after the recorder is installed.
pub fn describe_metrics() {
    describe_gauge!("media_core_calls", Unit::Count, "Calls that run");
    describe_counter!("media_core_calls_begun_total", Unit::Count, "Calls that began");
    describe_counter!("media_core_calls_ended_total", Unit::Count, "Calls that ended, by why");
    for (name, _, words) in COUNTERS {
        let unit = match name {
            _ if name.contains("milliseconds") => Unit::Milliseconds,
            _ if name.contains("bytes") => Unit::Bytes,
            _ => Unit::Count,
        };
        describe_counter!(name, unit, words);
    }
    describe_counter!("media_core_findings_total", Unit::Count, "Calls whose sound had something wrong, by what");
    describe_histogram!(
        "media_core_playout_delay_seconds",
        Unit::Seconds,
        "From a packet's fastest way to its playing"
    );
    describe_histogram!("media_core_round_trip_seconds", Unit::Seconds, "Round trip, by RTCP");
    describe_histogram!("media_core_jitter_seconds", Unit::Seconds, "Interarrival jitter (RFC 3550)");
    describe_histogram!("media_core_mos_listening", Unit::Count, "Listening quality, 1 to 4.5 (ITU-T G.107)");
    describe_histogram!("media_core_mos_conversational", Unit::Count, "Quality with delay, 1 to 4.5 (ITU-T G.107)");
    describe_histogram!("media_core_lost_ratio", Unit::Count, "Share of packets that never came, 0 to 1");
}

/// A counter's value in a call.
type Count = fn(&CallStats, u32) -> u64;

/// The counters that are sums of what calls count; in ms by the rate of the call's sound.
const COUNTERS: [(&str, Count, &str); 14] = [
    ("media_core_packets_sent_total", |stats, _| stats.sender.packets.into(), "RTP packets sent"),
    ("media_core_packets_received_total", |stats, _| stats.total.total.received, "RTP packets received"),
    ("media_core_packets_lost_total", |stats, _| stats.total.total.lost(), "RTP packets that never came"),
    ("media_core_packets_late_total", |stats, _| stats.total.late.into(), "RTP packets that came too late"),
    ("media_core_packets_discarded_total", |stats, _| stats.total.discarded.into(), "RTP packets thrown away"),
    ("media_core_packets_duplicate_total", |stats, _| stats.total.duplicate.into(), "RTP packets that came again"),
    ("media_core_packets_refused_total", |stats, _| stats.refused.into(), "Packets that SRTP refused"),
    ("media_core_datagrams_foreign_total", |stats, _| stats.foreign.into(), "Datagrams from addresses not believed"),
    ("media_core_datagrams_unsent_total", |stats, _| stats.unsent.into(), "Datagrams that the system refused to send"),
    ("media_core_payload_sent_bytes_total", |stats, _| stats.sender.octets.into(), "Bytes of payload sent"),
    ("media_core_played_milliseconds_total", |stats, hz| ms(stats.total.played_samples, hz), "Sound played"),
    ("media_core_concealed_milliseconds_total", |stats, hz| ms(stats.total.concealed_samples, hz), "Sound made up"),
    ("media_core_recovered_milliseconds_total", |stats, hz| ms(stats.total.recovered_samples, hz), "Sound recovered"),
    ("media_core_restarts_total", |stats, _| stats.total.restarts.into(), "Sources that began anew"),
];

fn ms(samples: u64, rate_hz: u32) -> u64 {
    samples * 1_000 / u64::from(rate_hz.max(1))
}

/// The metrics of one call, for whatever recorder the program has installed for the crate `metrics`, such as Prometheus' exporter.
/// Without a recorder nothing happens.
///
/// The call is counted as running from [`begin`](Self::begin) until this is dropped. Publish from a task or thread that may wait,
/// never from the one that plays. The metrics are sums over all calls, so ten thousand calls make no more time series than one;
/// gauges of a single call exist only if it is [`named`](Self::named). Publishing costs some 20 look-ups in the recorder.
///
/// ```
/// use host_std::monitoring::CallMetrics;
/// use host_std::session::{Call, CallConfig};
///
/// let call = Call::new(CallConfig::new(4000)?)?;
/// let mut metrics = CallMetrics::begin(48_000);
/// // Once a second while the call runs; `follow` does it for the status of a driver.
/// metrics.publish(&call.stats());
/// drop(metrics); // the call is over
/// # Ok::<(), host_std::session::CallError>(())
/// ```
///
/// | metric | what it is |
/// |---|---|
/// | `media_core_calls` | gauge of the calls that run |
/// | `media_core_calls_begun_total`, `…_ended_total{why}` | counters of calls; `why` is the [`name`](crate::session::Reason::name) of the reason |
/// | `media_core_packets_{sent,received,lost,late,discarded,duplicate,refused}_total` | counters of RTP packets; `refused` ones by SRTP |
/// | `media_core_datagrams_{foreign,unsent}_total` | counters of datagrams from addresses that aren't accepted, and of those that the system refused to send |
/// | `media_core_payload_sent_bytes_total` | counter of bytes |
/// | `media_core_{played,concealed,recovered}_milliseconds_total` | counters of sound, in ms |
/// | `media_core_restarts_total` | counter of sources that began anew |
/// | `media_core_findings_total{what}` | counter of calls with a fault in their sound; `what` is [`Finding::name`](crate::session::Finding::name) |
/// | `media_core_{playout_delay,round_trip,jitter}_seconds` | histograms over calls, with a value at each publishing |
/// | `media_core_mos_{listening,conversational}`, `media_core_lost_ratio` | histograms of the packets since the last publishing |
///
/// A packet that is counted as lost and comes after all stays counted, since counters don't go back.
#[derive(Debug)]
pub struct CallMetrics {
    rate_hz: u32,
    name: Option<String>,
    before: CallStats,
    published: [u64; COUNTERS.len()],
    found: Vec<&'static str>,
    why: &'static str,
}

impl CallMetrics {
    /// Counts a call that begins now, whose sound has this rate in Hz.
    pub fn begin(rate_hz: u32) -> Self {
        gauge!("media_core_calls").increment(1.0);
        counter!("media_core_calls_begun_total").increment(1);
        let published = [0; COUNTERS.len()];
        let before = CallStats::default();
        Self { rate_hz, name: None, before, published, found: Vec::new(), why: "unknown" }
    }

    /// Adds gauges of this call alone, `media_core_call_…{call="NAME"}`. Each name makes time series of its own, so use this for few
    /// calls. The values that were published last stay until the recorder forgets them.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Publishes everything that has happened since the last call of this function.
    pub fn publish(&mut self, stats: &CallStats) {
        for ((name, count, _), published) in COUNTERS.iter().zip(&mut self.published) {
            let counted = count(stats, self.rate_hz);
            // Also where nothing was counted: the metric is there from the first call on.
            counter!(*name).increment(counted.saturating_sub(*published));
            *published = counted.max(*published);
        }
        // Idle gauges may be forgotten; this one isn't as long as there are calls.
        gauge!("media_core_calls").increment(0.0);
        for finding in stats.findings() {
            if !self.found.contains(&finding.name()) {
                self.found.push(finding.name());
                counter!("media_core_findings_total", "what" => finding.name()).increment(1);
            }
        }
        let interval = Interval::between(&self.before, stats);
        let jitter = f64::from(stats.receiver.reception.jitter_ticks) / f64::from(stats.receiver.clock_hz.max(1));
        let values = [
            ("playout_delay_seconds", interval.playout_delay_ms.map(|ms| ms / 1e3)),
            ("round_trip_seconds", stats.round_trip.map(|trip| trip.as_micros() as f64 / 1e6)),
            ("jitter_seconds", (interval.received > 0).then_some(jitter)),
            ("mos_listening", interval.mos_lq),
            ("mos_conversational", interval.mos_cq),
            ("lost_ratio", interval.lost_percent().map(|percent| percent / 100.0)),
        ];
        for (name, value) in values {
            let Some(value) = value else { continue };
            histogram!(format!("media_core_{name}")).record(value);
            if let Some(call) = &self.name {
                gauge!(format!("media_core_call_{name}"), "call" => call.clone()).set(value);
            }
        }
        if let Some(call) = &self.name {
            let counts = [
                ("packets_received", stats.total.total.received),
                ("packets_lost", stats.total.total.lost()),
                ("concealed_milliseconds", ms(stats.total.concealed_samples, self.rate_hz)),
            ];
            for (name, count) in counts {
                gauge!(format!("media_core_call_{name}"), "call" => call.clone()).set(count as f64);
            }
        }
        self.before = *stats;
    }

    /// Sets the reason why the call ends: the label of `media_core_calls_ended_total`.
    pub fn set_ended(&mut self, why: &'static str) {
        self.why = why;
    }

    /// Publishes a driver's status each second, until the call is over.
    #[cfg(feature = "tokio")]
    pub async fn follow(mut self, status: tokio::sync::watch::Receiver<crate::session::driver::Status>) {
        let second = std::time::Duration::from_secs(1);
        super::each_interval(status, second, |status, _| {
            self.publish(&status.stats);
            self.why = status.ended.map_or(self.why, |reason| reason.name);
        })
        .await;
    }
}

impl Drop for CallMetrics {
    fn drop(&mut self) {
        gauge!("media_core_calls").decrement(1.0);
        counter!("media_core_calls_ended_total", "why" => self.why).increment(1);
    }
}

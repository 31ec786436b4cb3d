//! The circuit breaker of RFC 8083 for one outgoing stream; the rules are on [`CircuitBreaker`].
//!
//! The cost is constant for each packet, and a sum over at most 64 intervals for each report.

use core::fmt;

use crate::time::{Duration, Instant};

/// Intervals of reports that are remembered: more than the formula of 4.3 asks for with any interval of 150 ms or more.
const INTERVALS: usize = 64;
/// Reports of nothing new that count as no chance any more, where reports are rarer than packets (4.2).
const UNHEARD_REPORTS: u64 = 5;
/// Intervals without a report (4.1).
const UNREPORTED_INTERVALS: u64 = 3;
/// How much more than TCP would send is too much (4.3).
const TIMES_TCP: u128 = 10;
/// An interval, or a round trip, is not longer than this, in ms: an hour.
const LONGEST_MS: u64 = 3_600_000;
/// The weight of a new round trip in the mean is one in this many: 0.2 (RFC 8083, 3).
const ROUND_TRIP_SHARE: u64 = 5;

/// What a [`CircuitBreaker`] must know of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BreakerConfig {
    /// Td of RFC 8083, 4.1: the RTCP reporting interval without randomness and with the fixed minimum of 5 s.
    pub fixed_interval: Duration,
    /// Tdr of RFC 8083, 4.2: the interval at which the receiver of this stream reports, without randomness. With
    /// feedback (RFC 4585), its least interval of regular reports, if that is longer.
    pub interval: Duration,
    /// Tf of RFC 8083, 4.3: the longest time between two packets, those of comfort noise included.
    pub frame: Duration,
}

impl Default for BreakerConfig {
    /// Reports every 5 s, and packets every 20 ms.
    fn default() -> Self {
        let interval = Duration::from_secs(5);
        Self { fixed_interval: interval, interval, frame: Duration::from_millis(20) }
    }
}

/// Why it is of no use to go on sending (RFC 8083).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Hopeless {
    /// Reports on this stream came at first, and then stopped (RFC 8083, 4.1).
    Unreported {
        /// How long no report has come.
        silence: Duration,
    },
    /// Reports say that no packets of this stream arrive (RFC 8083, 4.2).
    Unheard {
        /// Number of such reports in a row.
        reports: u16,
    },
    /// The stream takes more than ten times what a TCP connection would send at this loss (RFC 8083, 4.3).
    Congested {
        /// Mean loss over the reports that were looked at, in percent.
        loss_percent: u8,
        /// Rate that TCP would send at, in bit/s.
        tcp_bps: u32,
        /// Rate that was sent, in bit/s.
        sent_bps: u32,
    },
}

impl fmt::Display for Hopeless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Unreported { silence } => {
                write!(f, "the other side has not reported for {} s how it hears this one", silence.as_millis() / 1_000)
            }
            Self::Unheard { reports } => {
                write!(f, "by {reports} reports in a row nothing of what was sent has arrived")
            }
            Self::Congested { loss_percent, tcp_bps, sent_bps } => write!(
                f,
                "{loss_percent} % of what was sent is lost, at {sent_bps} bit/s where {} bit/s are the most",
                tcp_bps.saturating_mul(10)
            ),
        }
    }
}

/// What a report of the other side says about a stream that this side sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct StreamReport {
    /// Fraction of the packets lost since the report before, in 256ths (RFC 3550, 6.4.1).
    pub fraction_lost: u8,
    /// Highest sequence number received, with the count of its cycles in the upper 16 bits.
    pub extended_highest_seq: u32,
    /// Round-trip time, if the report tells it.
    pub round_trip: Option<Duration>,
}

/// What was sent and lost between two reports.
#[derive(Clone, Copy, Debug)]
struct Interval {
    duration_ms: u32,
    bytes: u32,
    fraction_lost: u8,
}

/// Tells when a call should stop sending: the RTP circuit breaker of RFC 8083, for one outgoing stream.
///
/// Three conditions mean that sending on does not reach the other side and burdens the network:
///
/// - [`Hopeless::Unreported`] (4.1): packets are sent, and no report on them has come for three intervals of at least
///   5 s.
/// - [`Hopeless::Unheard`] (4.2): at least five reports in a row say that no new packet has arrived.
/// - [`Hopeless::Congested`] (4.3): over the last reports, the loss was such that a TCP connection would get less than
///   a tenth of the rate that is sent.
///
/// The first condition counts only after a first report, since some phones never send one. It does not count either
/// while the other side's sound comes without any RTCP, as behind servers that drop RTCP. Reports that do not mention
/// the stream, and silence of the other side, do count. The arithmetic is all integer; the state takes less than 1 KB.
///
/// Call [`sent`](Self::sent) for each packet and [`report`](Self::report) for each report, and [`poll`](Self::poll)
/// now and then. Here six reports, 5 s apart, all name the same highest packet while more are sent:
///
/// ```
/// use dsp_core::adapt::{BreakerConfig, CircuitBreaker, Hopeless, StreamReport};
/// use dsp_core::time::{Duration, Instant};
///
/// let mut breaker = CircuitBreaker::new(BreakerConfig::default());
/// let report = StreamReport { fraction_lost: 0, extended_highest_seq: 1_000, round_trip: None };
/// let (mut now, mut verdict) = (Instant::ZERO, None);
/// for _ in 0..6 {
///     for _ in 0..250 {
///         breaker.sent(now, 172);
///         now += Duration::from_millis(20);
///     }
///     verdict = breaker.report(now, &report);
/// }
/// assert_eq!(verdict, Some(Hopeless::Unheard { reports: 5 }));
/// ```
#[derive(Clone, Debug)]
pub struct CircuitBreaker {
    config: BreakerConfig,
    /// When the first packet of this stretch of sending left, and the last one.
    began: Option<Instant>,
    sent: Instant,
    /// Bytes and packets since the last report, and the lengths of the last four packets.
    bytes: u32,
    packets: u32,
    lengths: [u16; 4],
    /// When the other side was last heard by RTCP, when it last told of this stream, and how much had arrived by then.
    heard: Option<Instant>,
    reported: Option<Instant>,
    highest: Option<u32>,
    /// Reports came that told nothing of this stream, and none since that did.
    untold: bool,
    round_trip_us: Option<u64>,
    /// Reports of nothing new in a row, and how many are too many.
    unheard: u16,
    unheard_most: u64,
    /// The last intervals, in a ring: the place of the next one, and how many there are.
    intervals: [Interval; INTERVALS],
    next: usize,
    kept: usize,
}

impl CircuitBreaker {
    /// A circuit breaker for a stream that has not begun.
    pub const fn new(config: BreakerConfig) -> Self {
        Self {
            config,
            began: None,
            sent: Instant::ZERO,
            bytes: 0,
            packets: 0,
            lengths: [0; 4],
            heard: None,
            reported: None,
            highest: None,
            untold: false,
            round_trip_us: None,
            unheard: 0,
            unheard_most: 0,
            intervals: [Interval { duration_ms: 0, bytes: 0, fraction_lost: 0 }; INTERVALS],
            next: 0,
            kept: 0,
        }
    }

    /// Notes that a packet of the stream was sent, with this many bytes of UDP payload.
    pub fn sent(&mut self, now: Instant, bytes: usize) {
        if now.since(self.sent) >= self.config.fixed_interval {
            // It begins, or goes on after a pause, in which nobody had anything to report.
            self.start(now);
        }
        self.began.get_or_insert(now);
        self.sent = now;
        self.lengths[self.packets as usize % 4] = bytes.min(usize::from(u16::MAX)) as u16;
        self.packets = self.packets.wrapping_add(1);
        self.bytes = self.bytes.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// Notes that RTCP came which is not a report, such as a feedback message (RFC 8083, 5).
    pub const fn heard(&mut self, now: Instant) {
        self.heard = Some(now);
    }

    /// Notes that a report came which does not mention the stream. A receiver of the stream would mention it (RFC
    /// 3550, 6.4.1).
    pub const fn untold(&mut self) {
        self.untold = true;
    }

    /// Takes in a report on the stream. Returns why sending on is of no use, if it now is.
    pub fn report(&mut self, now: Instant, report: &StreamReport) -> Option<Hopeless> {
        self.heard = Some(now);
        self.untold = false;
        let since = self.reported.replace(now).or(self.began).unwrap_or(now);
        if let Some(new) = report.round_trip {
            let new = new.as_micros().min(1_000 * LONGEST_MS);
            let mean = self.round_trip_us.map_or(new, |mean| mean - mean / ROUND_TRIP_SHARE + new / ROUND_TRIP_SHARE);
            self.round_trip_us = Some(mean);
        }
        let bytes = core::mem::take(&mut self.bytes);
        let before = self.highest.replace(report.extended_highest_seq);
        let sending = self.is_sending(now);
        if bytes == 0 || !sending {
            return None;
        }
        if before == Some(report.extended_highest_seq) {
            self.unheard = self.unheard.saturating_add(1);
            // It may become longer while it runs, and not shorter (4.2).
            self.unheard_most = self.unheard_most.max(self.most_unheard());
            let hopeless = u64::from(self.unheard) >= self.unheard_most;
            return hopeless.then_some(Hopeless::Unheard { reports: self.unheard });
        }
        (self.unheard, self.unheard_most) = (0, 0);
        // What the first tells of began at a time that nobody knows.
        before?;
        let duration_ms = now.since(since).as_millis().min(LONGEST_MS) as u32;
        self.intervals[self.next] = Interval { duration_ms, bytes, fraction_lost: report.fraction_lost };
        self.next = (self.next + 1) % INTERVALS;
        self.kept = (self.kept + 1).min(INTERVALS);
        self.congested()
    }

    /// Tells whether reports have stopped coming; call it from time to time. `quiet` is how long nothing at all, sound
    /// included, has come from the other side.
    pub fn poll(&self, now: Instant, quiet: Duration) -> Option<Hopeless> {
        let since = self.heard?.max(self.began?);
        self.reported?;
        let silence = now.since(since);
        let longest = Duration::from_micros(UNREPORTED_INTERVALS * self.config.fixed_interval.as_micros());
        let is_gone = self.untold || quiet >= self.config.fixed_interval;
        (self.is_sending(now) && silence >= longest && is_gone).then_some(Hopeless::Unreported { silence })
    }

    fn start(&mut self, now: Instant) {
        self.began = Some(now);
        self.bytes = 0;
        (self.unheard, self.unheard_most) = (0, 0);
        self.kept = 0;
        self.untold = false;
    }

    /// Whether packets leave often enough for their fate to say something.
    fn is_sending(&self, now: Instant) -> bool {
        let round_trip = Duration::from_micros(self.round_trip_us.unwrap_or(0));
        let rarest = self.config.interval.max(round_trip).max(self.config.frame);
        self.began.is_some() && now.since(self.sent) <= rarest
    }

    /// MEDIA_TIMEOUT of 4.2.
    fn most_unheard(&self) -> u64 {
        let interval = self.config.interval.as_micros().max(1);
        let longest = self.config.frame.as_micros().max(self.round_trip_us.unwrap_or(0)).max(interval);
        (UNHEARD_REPORTS * longest).div_ceil(interval)
    }

    /// CB_INTERVAL of 4.3, of a codec that can change its rate with each frame.
    fn intervals_wanted(&self) -> usize {
        let BreakerConfig { fixed_interval, interval, frame } = self.config;
        let interval = interval.as_micros().max(1);
        let longest = (10 * frame.as_micros()).max(10 * self.round_trip_us.unwrap_or(0)).max(3 * interval);
        let bound = (3 * fixed_interval.as_micros()).max(15_000_000);
        (longest.min(bound).div_ceil(interval) as usize).min(INTERVALS)
    }

    fn congested(&self) -> Option<Hopeless> {
        let (round_trip_us, wanted) = (u128::from(self.round_trip_us?), self.intervals_wanted());
        if self.kept < wanted {
            return None;
        }
        let (mut duration_ms, mut bytes, mut lost) = (0, 0, 0);
        for back in 1..=wanted {
            let interval = &self.intervals[(self.next + INTERVALS - back) % INTERVALS];
            duration_ms += u128::from(interval.duration_ms);
            bytes += u128::from(interval.bytes);
            lost += u128::from(interval.duration_ms) * u128::from(interval.fraction_lost);
        }
        let packets = (self.packets as usize).clamp(1, 4);
        let length = self.lengths.iter().map(|&length| u128::from(length)).sum::<u128>() / packets as u128;
        // X = s / (Tr sqrt(2 p / 3)), with p = lost / (256 duration): X² = s² 3 256 duration / (2 Tr² lost).
        let sent = bytes * 1_000 / duration_ms.max(1);
        let tcp_squared =
            length * length * 384 * duration_ms * 1_000_000_000_000 / (round_trip_us * round_trip_us * lost).max(1);
        let hopeless = lost > 0 && sent * sent > TIMES_TCP * TIMES_TCP * tcp_squared;
        hopeless.then(|| Hopeless::Congested {
            loss_percent: (lost * 100 / (256 * duration_ms).max(1)) as u8,
            tcp_bps: (8 * tcp_squared.isqrt()).min(u128::from(u32::MAX)) as u32,
            sent_bps: (8 * sent).min(u128::from(u32::MAX)) as u32,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: usize = 172;
    const _: () = assert!(size_of::<CircuitBreaker>() < 1_024);

    fn at(ms: u64) -> Instant {
        Instant::from_millis(100_000 + ms)
    }

    /// A call of `seconds` with a packet each 20 ms and a report each 5 s, until it's hopeless.
    fn call(seconds: u64, mut report: impl FnMut(u64, u32) -> Option<StreamReport>) -> Option<(u64, Hopeless)> {
        let mut breaker = CircuitBreaker::new(BreakerConfig::default());
        for ms in (0..seconds * 1_000).step_by(20) {
            breaker.sent(at(ms), PACKET);
            let mut hopeless = breaker.poll(at(ms), at(ms).since(at(0)));
            if ms > 0 && ms % 5_000 == 0 {
                let report = report(ms / 1_000, (ms / 20) as u32);
                hopeless = report.and_then(|report| breaker.report(at(ms), &report)).or(hopeless);
            }
            if let Some(hopeless) = hopeless {
                return Some((ms / 1_000, hopeless));
            }
        }
        None
    }

    fn told(loss_percent: u32, round_trip_ms: u64) -> impl FnMut(u64, u32) -> Option<StreamReport> {
        move |_, sent| {
            Some(StreamReport {
                fraction_lost: (loss_percent * 256 / 100) as u8,
                extended_highest_seq: sent,
                round_trip: Some(Duration::from_millis(round_trip_ms)),
            })
        }
    }

    #[test]
    fn a_call_that_nothing_is_wrong_with_goes_on() {
        assert_eq!(call(3_600, told(0, 50)), None);
        // A bad network is no hopeless one: 68.8 kbit/s are less than ten times what TCP has at 20 % and 300 ms.
        assert_eq!(call(3_600, told(20, 300)), None);
        // A peer that never reports says nothing.
        assert_eq!(call(3_600, |_, _| None), None);
    }

    #[test]
    fn reports_that_cease_are_told_after_fifteen_seconds() {
        let mut before = told(0, 50);
        let ended = call(300, |second, sent| before(second, sent).filter(|_| second <= 60));
        assert_eq!(ended, Some((75, Hopeless::Unreported { silence: Duration::from_secs(15) })));
    }

    #[test]
    fn messages_that_tell_nothing_of_the_stream_keep_it_from_being_unreported() {
        let mut breaker = CircuitBreaker::new(BreakerConfig::default());
        let report = StreamReport { fraction_lost: 0, extended_highest_seq: 9, round_trip: None };
        for ms in (0..60_000).step_by(20) {
            breaker.sent(at(ms), PACKET);
            if ms == 1_000 {
                assert_eq!(breaker.report(at(ms), &report), None);
            } else if ms % 10_000 == 0 {
                breaker.heard(at(ms));
            }
            assert_eq!(breaker.poll(at(ms), at(ms).since(at(0))), None, "{ms}");
        }
        // And nobody wonders at silence while nothing is sent.
        assert_eq!(breaker.poll(at(160_000), Duration::ZERO), None);
        breaker.sent(at(160_000), PACKET);
        assert_eq!(breaker.poll(at(160_001), Duration::ZERO), None);
    }

    #[test]
    fn five_reports_of_nothing_new_are_enough() {
        let ended = call(300, |second, sent| {
            let arrived = if second <= 60 { sent } else { 3_000 };
            Some(StreamReport { fraction_lost: 0, extended_highest_seq: arrived, round_trip: None })
        });
        assert_eq!(ended, Some((85, Hopeless::Unheard { reports: 5 })));
        // One that something arrived counts anew; and with round trips longer than intervals more are waited for.
        let ended = call(300, |second, sent| {
            let arrived = if second <= 60 || second == 80 { sent } else { 3_000 };
            Some(StreamReport {
                fraction_lost: 0,
                extended_highest_seq: arrived,
                round_trip: Some(Duration::from_secs(8)),
            })
        });
        // 3,000 after what arrived at 80 s is something new once more.
        assert_eq!(ended, Some((85 + 8 * 5, Hopeless::Unheard { reports: 8 })));
    }

    #[test]
    fn what_tcp_would_not_send_a_tenth_of_is_congestion() {
        // 172 bytes / (2 s · sqrt(2 · 0.6 / 3)) are 136 byte/s; 8,600 are sent. Three intervals, behind the first report.
        let Some((second, Hopeless::Congested { loss_percent, tcp_bps, sent_bps })) = call(300, told(60, 2_000)) else {
            panic!("not congested")
        };
        assert_eq!((second, loss_percent, sent_bps), (20, 59, 68_800));
        assert!((1_085..1_100).contains(&tcp_bps), "{tcp_bps}");
        // The same at 50 ms is no congestion: 5.4 kB/s.
        assert_eq!(call(3_600, told(60, 50)), None);
        // Nor is a short one.
        assert_eq!(call(3_600, |second, sent| told(if second % 30 == 0 { 60 } else { 0 }, 500)(second, sent)), None);
    }

    #[test]
    fn wild_numbers_are_no_trouble() {
        let zero = Duration::ZERO;
        let config = BreakerConfig { fixed_interval: zero, interval: zero, frame: zero };
        let mut breaker = CircuitBreaker::new(config);
        let far = Instant::from_micros(u64::MAX);
        for (n, now) in [Instant::ZERO, far, Instant::ZERO, far, far].into_iter().cycle().take(500).enumerate() {
            breaker.sent(now, usize::MAX >> 8);
            let round_trip = Some(Duration::from_micros(if n % 3 == 0 { u64::MAX } else { 0 }));
            let report = StreamReport { fraction_lost: n as u8, extended_highest_seq: n as u32 / 2, round_trip };
            breaker.report(now, &report);
            breaker.poll(now, Duration::ZERO);
        }
    }
}

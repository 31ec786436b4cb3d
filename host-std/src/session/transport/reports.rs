//! RTCP of one stream: the times and the content of its reports (RFC 3550, 6; RFC 3611).

use dsp_core::quality::ReceptionStats;
use dsp_core::rtcp::{Cname, FeedbackTiming, PeerReport, ReporterConfig, RtcpReporter, SendInfo};
use dsp_core::time::{Duration, Instant, Ssrc};
use dsp_core::wire::rtcp::{Compound, CompoundRule, Feedback, Packet, VoipMetrics, WriteError};

use super::by_sources::{BySources, either};
use crate::sdp::NegotiatedFeedback;
use crate::session::identity::Identity;
use crate::session::outcome::CallError;
use crate::session::stream::MAX_SOURCES;

/// The data of a stream for a report.
pub(in crate::session) struct Account {
    /// The reception of each source; the number says how many of them count.
    pub(in crate::session) reception: ([ReceptionStats; MAX_SOURCES], usize),
    /// The totals that were sent.
    pub(in crate::session) sent: SendInfo,
    /// The quality of the other side's sound, if it wants such reports.
    pub(in crate::session) voip: Option<VoipMetrics>,
}

/// The bandwidth that reports have their share of, in kbit/s: of G.711 in packets of 20 ms. Feedback of all packets' arrivals
/// has as much again.
const SESSION_KBPS: u32 = 80;
/// The interval of whole reports with feedback, unless another one is agreed on: close to that of reports without feedback (RFC
/// 8108, 7.1.3).
const REGULAR_INTERVAL: Duration = Duration::from_secs(4);

/// On a narrow link a report with metrics of the sound takes longer than the media leaves room for: they go with one report in so long.
const METRICS_INTERVAL: Duration = Duration::from_secs(20);

/// Sources that a stream remembers which hears one at a time: it, and those before it that may come back.
const ONE_AT_A_TIME: usize = 4;

/// A reporter for as many sources as the stream can hear.
type Reporter = BySources<RtcpReporter<ONE_AT_A_TIME>, RtcpReporter<MAX_SOURCES>>;

/// The reports of one stream.
pub(in crate::session) struct Report {
    reporter: Reporter,
    /// Whether the goodbye is sent next.
    leaving: bool,
    /// Whether the link is narrow, and when a report with metrics of the sound left last.
    is_narrow: bool,
    metrics_left: Option<Instant>,
}

impl Report {
    /// Creates the reports with the name and the seed of `identity`, as the source `ssrc`. `index` is that of the stream, so that
    /// not all of a call report at once. `sources`: the number of sources that are heard at once.
    ///
    /// # Errors
    /// [`CallError::Rtcp`] for an unusable canonical name.
    pub(in crate::session) fn new(
        now: Instant,
        index: usize,
        identity: &Identity,
        ssrc: Ssrc,
        sources: usize,
    ) -> Result<Self, CallError> {
        let config = ReporterConfig {
            ssrc,
            cname: Cname::new(&identity.cname),
            seed: identity.seed.wrapping_add((index as u32).wrapping_mul(0x9e37_79b9)),
            session_bandwidth_kbps: SESSION_KBPS,
            ..ReporterConfig::default()
        };
        let reporter = match sources {
            1 => BySources::One(Box::new(RtcpReporter::new(config, now).map_err(|_| CallError::Rtcp)?)),
            _ => BySources::Many(Box::new(RtcpReporter::new(config, now).map_err(|_| CallError::Rtcp)?)),
        };
        Ok(Self { reporter, leaving: false, is_narrow: false, metrics_left: None })
    }

    /// Applies the agreement on feedback.
    pub(super) fn agree(&mut self, agreed: &NegotiatedFeedback, reduced_size: bool) {
        let timing = FeedbackTiming { regular_interval: agreed.regular_interval.unwrap_or(REGULAR_INTERVAL) };
        let timing = agreed.early.then_some(timing);
        let bandwidth_kbps = if agreed.transport_wide { 2 * SESSION_KBPS } else { SESSION_KBPS };
        either!(&mut self.reporter, own => own.agree_feedback(timing, reduced_size, bandwidth_kbps));
    }

    /// Sets whether the link is so narrow that metrics of the sound are sent seldom.
    pub(super) fn set_narrow(&mut self, is_narrow: bool) {
        self.is_narrow = is_narrow;
    }

    /// Slows down what is sent where feedback is told each so many ms and not each 100 ms.
    pub(super) fn set_cadence(&mut self, ms: u32) {
        let kbps = 2 * SESSION_KBPS * 100 / ms.max(100);
        either!(&mut self.reporter, own => own.set_session_bandwidth(kbps));
    }

    /// There is feedback to send.
    pub(super) fn request(&mut self, now: Instant) {
        either!(&mut self.reporter, own => own.request(now));
    }

    /// Returns whether the report that is written now may contain feedback.
    pub(super) fn may_tell(&self, now: Instant) -> bool {
        !self.leaving && either!(&self.reporter, own => own.may_tell(now))
    }

    /// Returns the source of the reports.
    pub(super) fn ssrc(&self) -> Ssrc {
        either!(&self.reporter, own => own.ssrc())
    }

    /// Returns the round-trip time of the last report that contained it.
    pub(in crate::session) fn round_trip(&self) -> Option<Duration> {
        either!(&self.reporter, own => own.round_trip())
    }

    /// Returns the quality of our sound as the other side last reported it.
    pub(in crate::session) fn peer_voip(&self) -> Option<VoipMetrics> {
        either!(&self.reporter, own => own.peer_voip())
    }

    pub(super) fn take_in(&mut self, now: Instant, compound: &Compound<'_>) -> PeerReport {
        either!(&mut self.reporter, own => own.receive_compound(now, compound))
    }

    pub(super) fn change_source(&mut self, now: Instant, ssrc: Ssrc, packets: u32) {
        either!(&mut self.reporter, own => own.change_source(now, ssrc, packets));
    }

    pub(super) fn leave(&mut self) {
        self.leaving = true;
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.leaving
    }

    /// Returns whether its goodbye was sent.
    pub(super) fn has_left(&self) -> bool {
        either!(&self.reporter, own => own.has_left())
    }

    /// Continues as another source before the goodbye of this one was sent.
    pub(super) fn replaced_by(mut self, now: Instant, next: Self, packets: u32) -> Self {
        self.leaving = false;
        let ssrc = next.ssrc();
        self.change_source(now, ssrc, packets);
        self
    }

    /// Returns when something is due; the end of time after a goodbye.
    pub(super) fn next_deadline(&self) -> Instant {
        if self.leaving { Instant::ZERO } else { either!(&self.reporter, own => own.next_deadline()) }
    }

    pub(super) fn write(
        &mut self,
        now: Instant,
        account: &Account,
        feedback: &[Feedback<'_>],
        buffer: &mut [u8],
    ) -> Result<Option<usize>, WriteError> {
        let bye = std::mem::take(&mut self.leaving);
        let (reception, sources) = &account.reception;
        let (reception, sent) = (&reception[..*sources], Some(&account.sent));
        let waits = self.is_narrow && !bye && self.metrics_left.is_some_and(|left| now.since(left) < METRICS_INTERVAL);
        let metrics = account.voip.filter(|_| !waits);
        let written = either!(&mut self.reporter, own => {
            own.set_voip(metrics);
            if bye {
                own.bye(now, reception, sent, None, buffer)
            } else {
                own.poll_with(now, reception, sent, feedback, buffer)
            }
        });
        if let (Some(_), Ok(Some(len))) = (metrics, &written)
            && has_metrics(&buffer[..*len])
        {
            self.metrics_left = Some(now);
        }
        written
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.reporter.heap_bytes()
    }
}

/// Whether a datagram has metrics of the sound: feedback without a report has none.
fn has_metrics(datagram: &[u8]) -> bool {
    let Ok(compound) = Compound::parse(datagram, CompoundRule::ReducedSize) else { return false };
    compound.packets().flatten().any(|packet| matches!(packet, Packet::Xr(_)))
}

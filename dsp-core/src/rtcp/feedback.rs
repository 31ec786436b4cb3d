//! When feedback may be sent before the next regular report, and what becomes of that report (RFC 4585, 3.5; RFC
//! 5506).
//!
//! [`RtcpReporter::request`] notes that feedback waits. Between two regular reports, one early packet may be sent: at
//! once between two participants, with more after a random wait of up to half an interval (3.5.1). The regular report
//! after it is delayed by an interval, so that the mean rate stays within RTCP's share (3.5.2). Feedback that may not
//! be sent early goes with the next report, or with reduced size behind it. Where regular reports have a least interval (`trr-int`), one that comes
//! due too soon is left out, or consists of the feedback alone (3.5.3). An early packet is a report, the name and the
//! feedback, or with reduced size the feedback alone.
//!
//! Suppression of feedback that others have sent already (3.5.2, 5) is left out, since a call has one other side. A
//! media packet costs nothing.

use super::{Contents, FeedbackTiming, RtcpReporter};
use crate::quality::ReceptionStats;
use crate::rtcp::SendInfo;
use crate::time::{Duration, Instant};
use crate::wire::rtcp::{CompoundWriter, Feedback, WriteError};

/// State of the feedback between regular reports.
#[derive(Clone, Copy, Debug)]
pub(super) struct Early {
    /// One may leave before the next regular report (`allow_early`).
    allowed: bool,
    /// When it leaves, once somebody asked (`te`).
    due: Option<Instant>,
    /// When the last whole report left, and the least time until the next (`t_rr_last`, `T_rr_current_interval`).
    regular: Instant,
    interval: Duration,
}

impl Early {
    pub(super) const fn new(now: Instant) -> Self {
        Self { allowed: true, due: None, regular: now, interval: Duration::ZERO }
    }

    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// A regular report's turn has passed, and with it whatever waited.
    pub(super) const fn allowed(self) -> Self {
        Self { allowed: true, due: None, ..self }
    }
}

impl<const SOURCES: usize, const EXTENDED: bool> RtcpReporter<SOURCES, EXTENDED> {
    /// Sets what a later offer and answer agreed on: the timing of feedback, whether feedback may be sent without a
    /// report, and the session bandwidth in kbit/s (0 counts as 1). It applies from the next interval on.
    pub fn agree_feedback(
        &mut self,
        feedback: Option<FeedbackTiming>,
        reduced_size: bool,
        session_bandwidth_kbps: u32,
    ) {
        let session_bandwidth_kbps = session_bandwidth_kbps.max(1);
        self.config = super::ReporterConfig { feedback, reduced_size, session_bandwidth_kbps, ..self.config };
        self.interval.agree(&self.config);
        if feedback.is_none() {
            self.early = self.early.allowed();
        }
    }

    /// Sets the session bandwidth in kbit/s (0 counts as 1), for a sender that follows its network. It applies from the next interval on.
    pub fn set_session_bandwidth(&mut self, kbps: u32) {
        self.config.session_bandwidth_kbps = kbps.max(1);
        self.interval.agree(&self.config);
    }

    /// Notes that there is feedback to send. It is sent by [`poll_with`](Self::poll_with), at
    /// [`next_deadline`](Self::next_deadline): before the next report if RFC 4585 (3.5) allows it, otherwise with that
    /// report (unless [`may_tell`](Self::may_tell) says that it goes without), and always so without AVPF
    /// ([`ReporterConfig::feedback`](super::ReporterConfig::feedback)). One call
    /// stands for all feedback that waits.
    pub fn request(&mut self, now: Instant) {
        if !EXTENDED
            || self.config.feedback.is_none()
            || !self.early.allowed
            || self.early.due.is_some()
            || self.former.is_some()
        {
            return;
        }
        // The interval that runs now; its half is shared by all who may have the same to tell (3.5.1).
        let runs = self.next.since(self.last_sent);
        let dither = match self.heard_peers() {
            0 | 1 => Duration::ZERO,
            _ => Duration::from_micros(runs.as_micros() / 2),
        };
        let due = now + self.interval.within(dither);
        // The report is as near: it takes the feedback along.
        if now + dither < self.next {
            self.early.due = Some(due);
        }
    }

    /// Whether what is written at `now` should contain feedback: whether a report or an early packet is due. With reduced size a whole
    /// report goes without: both together would take a narrow link for so long that the media behind them came late. Feedback that
    /// waits then is to be [requested](Self::request) again.
    pub fn may_tell(&self, now: Instant) -> bool {
        // Without a least interval every report is whole, and without AVPF nothing is early: then it goes with them.
        let has_others = self.config.feedback.is_some_and(|timing| timing.regular_interval > Duration::ZERO);
        let goes_alone = self.config.reduced_size && has_others;
        let is_whole = now >= self.next && self.is_regular_due(now);
        !self.left && self.former.is_none() && self.next_deadline() <= now && !(goes_alone && is_whole)
    }

    /// Whether a report whose time has come is written whole.
    pub(super) fn is_regular_due(&self, now: Instant) -> bool {
        self.initial || now >= self.early.regular + self.early.interval
    }

    /// A whole report has left.
    pub(super) fn regular_left(&mut self, now: Instant) {
        let FeedbackTiming { regular_interval } = self.config.feedback.unwrap_or_default();
        self.early.regular = now;
        self.early.interval = self.interval.around(regular_interval);
    }

    /// The early packet, if it is due and something is to be told.
    pub(super) fn poll_early(
        &mut self,
        now: Instant,
        receive: &[ReceptionStats],
        send: Option<&SendInfo>,
        feedback: &[Feedback<'_>],
        out: &mut [u8],
    ) -> Result<Option<usize>, WriteError> {
        if !EXTENDED || self.early.due.is_none_or(|due| now < due) {
            return Ok(None);
        }
        if feedback.is_empty() {
            // Nothing is left to tell.
            self.early.due = None;
            return Ok(None);
        }
        let first = self.initial;
        let len = self.write_feedback(now, receive, send, feedback, out)?;
        let interval = self.next.since(self.last_sent);
        if first {
            // The interval that ran was that before anything is sent, with its minimum: another begins.
            self.regular_left(now);
            let we_send = self.active_send(send).is_some();
            let others = self.active_receive(receive).count() as u64;
            self.last_sent = now;
            self.next = now + self.random_interval(we_send, others);
        } else {
            // The regular report that comes next is left out for it (3.5.2, 6).
            self.last_sent += interval;
            self.next = self.last_sent + interval;
        }
        (self.early.allowed, self.early.due) = (false, None);
        Ok(Some(len))
    }

    /// Feedback without a whole report.
    pub(super) fn write_feedback(
        &mut self,
        now: Instant,
        receive: &[ReceptionStats],
        send: Option<&SendInfo>,
        feedback: &[Feedback<'_>],
        out: &mut [u8],
    ) -> Result<usize, WriteError> {
        // A goodbye needs that something was sent, and a reduced packet has no name (RFC 5506, 3.4.1): the first is whole.
        if !self.config.reduced_size || self.initial {
            let contents = Contents { feedback, minimal: true, ..Contents::default() };
            let len = self.write(now, receive, send, contents, out)?;
            self.initial = false;
            return Ok(len);
        }
        let mut writer = CompoundWriter::new(out);
        for message in feedback {
            writer.feedback(message)?;
        }
        let len = writer.finish();
        self.interval.average_in(len);
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{START, config};
    use super::super::{FeedbackTiming, ReporterConfig};
    use super::*;
    use crate::time::Ssrc;
    use crate::wire::rtcp::{Compound, CompoundRule, FeedbackMessage, Packet};
    use std::vec::Vec;

    const PLI: [Feedback<'static>; 1] =
        [Feedback { sender: Ssrc(1), media: Ssrc(2), message: FeedbackMessage::PictureLoss }];

    fn with_feedback(regular_ms: u64) -> ReporterConfig {
        let regular_interval = Duration::from_millis(regular_ms);
        ReporterConfig { feedback: Some(FeedbackTiming { regular_interval }), reduced_size: true, ..config() }
    }

    /// What leaves in so many seconds where there is always something to tell: when in ms, and whether it was a report.
    fn run(config: ReporterConfig, secs: u64, peers: u32, tells: bool) -> Vec<(u64, bool, usize)> {
        let mut reporter = RtcpReporter::<4>::new(config, START).unwrap();
        let (mut out, mut left) = ([0; 500], Vec::new());
        let mut now = START;
        while now < START + Duration::from_secs(secs) {
            for peer in 0..peers {
                let report = [0x80, 201, 0, 1, 0, 0, 1, peer as u8];
                reporter.receive(now, &report).unwrap();
            }
            if tells {
                reporter.request(now);
            }
            assert!(reporter.next_deadline() > now || reporter.may_tell(now) || reporter.is_regular_due(now));
            let feedback: &[Feedback<'_>] = if tells && reporter.may_tell(now) { &PLI } else { &[] };
            if let Some(len) = reporter.poll_with(now, &[], None, feedback, &mut out).unwrap() {
                let compound = Compound::parse(&out[..len], CompoundRule::ReducedSize).unwrap();
                let packets: Vec<_> = compound.packets().flatten().collect();
                let told = packets.iter().any(|packet| matches!(packet, Packet::Feedback(_)));
                assert_eq!(told, !feedback.is_empty());
                let whole = matches!(packets[0], Packet::ReceiverReport(_));
                // The first has the name in any case.
                let timing = config.feedback.unwrap_or_default();
                if tells && config.reduced_size && timing.regular_interval > Duration::ZERO && !left.is_empty() {
                    assert_eq!(told, !whole);
                }
                left.push((now.since(START).as_millis(), whole, len));
            }
            now += Duration::from_millis(1);
        }
        left
    }

    #[test]
    fn two_members_tell_at_once_and_then_with_the_report_after_next() {
        let left = run(with_feedback(0), 60, 1, true);
        // The first is whole, whenever it leaves, so that the peer knows the name.
        assert_eq!((left[0].0, left[0].1), (0, true), "{left:?}");
        // One early between two regular ones, and none is sooner than the bandwidth allows: 5 % of 80 kbit/s.
        let kinds: Vec<_> = left[1..].iter().map(|(_, whole, _)| *whole).collect();
        assert!(kinds.chunks(2).all(|pair| pair[0] != *pair.last().unwrap() || pair.len() == 1), "{kinds:?}");
        let bytes: usize = left.iter().map(|(_, _, len)| len + 28).sum();
        let share = bytes as f64 / (60.0 * 500.0);
        assert!((0.3..=0.6).contains(&share), "half of RTCP's share, as this end is one of two: {share}");
    }

    #[test]
    fn without_feedback_reports_are_only_more_frequent() {
        let left = run(with_feedback(0), 60, 1, false);
        assert!(left.iter().all(|(_, whole, _)| *whole));
        assert!((300..=1_300).contains(&left[0].0), "the first has a minimum of 1 s: {left:?}");
        let slow = run(ReporterConfig { feedback: None, ..config() }, 60, 1, false);
        assert!(left.len() > 5 * slow.len(), "{} {}", left.len(), slow.len());
        // Without AVPF nothing is early.
        let told = run(ReporterConfig { feedback: None, ..config() }, 60, 1, true);
        assert!(told.len() < 20 && told.iter().all(|(_, whole, _)| *whole), "{told:?}");
    }

    #[test]
    fn whole_reports_keep_their_least_interval() {
        for tells in [true, false] {
            let left = run(with_feedback(4_000), 120, 1, tells);
            let whole: Vec<_> = left.iter().filter(|(_, whole, _)| *whole).map(|(at, ..)| *at).collect();
            for pair in whole[1..].windows(2) {
                assert!((2_000..=7_500).contains(&(pair[1] - pair[0])), "{whole:?}");
            }
            assert!((20..=45).contains(&whole.len()), "{whole:?}");
            assert_eq!(left.len() > 3 * whole.len(), tells, "what is told goes alone between them");
        }
    }

    #[test]
    fn among_more_members_one_waits_by_lot() {
        let mut waits = Vec::new();
        for seed in 0..50 {
            let mut reporter = RtcpReporter::<4>::new(ReporterConfig { seed, ..with_feedback(0) }, START).unwrap();
            for peer in 0..3 {
                reporter.receive(START, &[0x80, 201, 0, 1, 0, 0, 1, peer]).unwrap();
            }
            let runs = reporter.next.since(START);
            reporter.request(START);
            let due = reporter.early.due().unwrap();
            assert!(due.since(START) <= Duration::from_micros(runs.as_micros() / 2));
            waits.push(due.since(START).as_millis());
            // What is no more to be told costs nothing.
            assert_eq!(reporter.poll_with(due, &[], None, &[], &mut [0; 100]), Ok(None));
            assert!(reporter.early.due().is_none() && reporter.early.allowed);
            // Near the report it goes along.
            reporter.request(reporter.next_deadline());
            assert!(reporter.early.due().is_none());
        }
        waits.sort_unstable();
        assert!(waits[0] < 60 && waits[49] > 200, "{waits:?}");
    }

    #[test]
    fn without_reduced_size_a_report_leads() {
        let left = run(ReporterConfig { reduced_size: false, ..with_feedback(0) }, 20, 1, true);
        assert!(left.len() > 10 && left.iter().all(|(_, whole, _)| *whole));
    }
}

//! The RTCP of a whole transport: the reports of its streams, in their order, and each side's feedback on the other's packets.

use dsp_core::rtcp::PeerReport;
use dsp_core::rtcp::transport::{FeedbackStats, MAX_MESSAGE_BYTES, PacketFeedback};
use dsp_core::time::{Instant, Seq, Ssrc};
use dsp_core::wire::rtcp::{Compound, Feedback, FeedbackMessage};

use super::feedback::PathFeedback;
use super::{Account, CallTransport, Report};
use crate::sdp::NegotiatedFeedback;
use crate::session::outcome::{Channel, Transmit};

impl CallTransport {
    /// Adds the reports of the stream with this number, which is new or restarts. The goodbye of the one before, after
    /// `packets_before` packets, is sent first if it hasn't been sent yet.
    pub(in crate::session) fn add_report(
        &mut self,
        now: Instant,
        index: usize,
        mut report: Report,
        packets_before: u32,
    ) {
        if self.reports.len() <= index {
            self.reports.resize_with(index + 1, || None);
        }
        let place = &mut self.reports[index];
        if let Some(before) = place.take_if(|before| before.is_leaving()) {
            report = before.replaced_by(now, report, packets_before);
        }
        *place = Some(report);
    }

    /// Applies the agreement on feedback for the stream with this number. `first`: the number of the first packet, where they
    /// have none yet.
    pub(in crate::session) fn agree_feedback(&mut self, index: usize, agreed: &NegotiatedFeedback, first: Seq) {
        let reduced_size = self.agreed.rtcp_reduced_size;
        if let Some(report) = self.report_of(index) {
            report.agree(agreed, reduced_size);
        }
        if agreed.transport_wide && self.feedback.is_none() {
            self.feedback = Some(PathFeedback::new(first));
        }
    }

    /// Returns the transport-wide number of the next packet to be sent.
    pub(in crate::session) fn next_number(&self) -> Option<Seq> {
        self.feedback.as_ref().map(|feedback| feedback.next())
    }

    /// A packet of the other side arrived that has this number among all of its transport.
    pub(in crate::session) fn is_numbered(&mut self, now: Instant, source: Ssrc, number: Seq) {
        if let Some(feedback) = &mut self.feedback {
            feedback.arrive(now, source, number);
        }
    }

    /// Takes in the other side's reports on our packets; returns whether there were any.
    pub(in crate::session) fn take_feedback(&mut self, now: Instant, compound: &Compound<'_>) -> bool {
        self.feedback.as_mut().is_some_and(|feedback| feedback.take_in(now, compound))
    }

    /// Keeps feedback within its share of what may be sent, in bit/s.
    pub(in crate::session) fn set_feedback_rate(&mut self, bps: u32) {
        let tells = self.tells();
        let Some((ms, is_narrow)) = self.feedback.as_mut().map(|feedback| feedback.set_rate(bps)) else { return };
        if let Some(report) = tells.and_then(|index| self.reports.get_mut(index)?.as_mut()) {
            report.set_cadence(ms);
        }
        self.reports.iter_mut().flatten().for_each(|report| report.set_narrow(is_narrow));
    }

    /// What the last feedback told something new of.
    pub(in crate::session) fn told_packets(&self) -> &[PacketFeedback] {
        self.feedback.as_ref().map_or(&[], |feedback| feedback.told())
    }

    /// Returns the totals of all feedback.
    pub(in crate::session) fn feedback_stats(&self) -> Option<FeedbackStats> {
        self.feedback.as_ref().map(|feedback| feedback.stats())
    }

    /// Returns the stream whose reports carry the feedback for the transport's packets: the first that exists.
    pub(super) fn tells(&self) -> Option<usize> {
        self.feedback.as_ref()?;
        self.reports
            .iter()
            .position(|report| report.as_ref().is_some_and(|report| !report.is_leaving() && !report.has_left()))
    }

    fn report_of(&mut self, index: usize) -> Option<&mut Report> {
        self.reports.get_mut(index)?.as_mut()
    }

    /// Returns the other side's reports on the stream with this number.
    pub(in crate::session) fn told(&self, index: usize) -> Option<&Report> {
        self.reports.get(index)?.as_ref()
    }

    /// Takes in a compound packet's report on the stream with this number.
    pub(in crate::session) fn take_report(
        &mut self,
        now: Instant,
        index: usize,
        compound: &Compound<'_>,
    ) -> PeerReport {
        self.report_of(index).map(|report| report.take_in(now, compound)).unwrap_or_default()
    }

    /// Continues the stream with this number as another source, after `packets` packets of the one before.
    pub(in crate::session) fn change_source(&mut self, now: Instant, index: usize, ssrc: Ssrc, packets: u32) {
        if let Some(report) = self.report_of(index) {
            report.change_source(now, ssrc, packets);
        }
    }

    /// Ends the stream with this number: its goodbye is sent next.
    pub(in crate::session) fn leave(&mut self, index: usize) {
        if let Some(report) = self.report_of(index) {
            report.leave();
        }
    }

    /// Returns whether a report of the stream with this number is due.
    pub(in crate::session) fn report_is_due(&self, now: Instant, index: usize) -> bool {
        let behind_media = self.feedback.as_ref().is_some_and(|feedback| feedback.is_behind_media(now));
        let due = self.report_due(index).is_some_and(|[due, latest]| latest <= now || due <= now && behind_media);
        due && self.may_send(now) && self.may_report()
    }

    /// Returns when a report of the stream with this number is due, and when it leaves at the latest.
    pub(super) fn report_due(&self, index: usize) -> Option<[Instant; 2]> {
        let report = self.told(index)?;
        let due = report.next_deadline();
        let Some(feedback) = self.feedback.as_ref().filter(|_| !report.is_leaving()) else { return Some([due; 2]) };
        let tells = self.tells() == Some(index);
        let due = feedback.deadline().filter(|_| tells).map_or(due, |feedback| feedback.min(due));
        Some([due, feedback.latest(due)])
    }

    /// Writes the report of the stream with this number, if one is due, protected and addressed. What doesn't fit is an
    /// error.
    pub(in crate::session) fn send_report(
        &mut self,
        now: Instant,
        index: usize,
        account: &Account,
        buffer: &mut [u8],
    ) -> Option<Result<Transmit, ()>> {
        let tells = self.tells() == Some(index);
        let report = self.reports.get_mut(index)?.as_mut()?;
        let feedback = self.feedback.as_mut().filter(|_| tells);
        let written = match feedback {
            None => report.write(now, account, &[], buffer),
            Some(feedback) => {
                if feedback.take_due(now) {
                    report.request(now);
                }
                let mut bytes = [0; MAX_MESSAGE_BYTES];
                let message = if report.may_tell(now) { feedback.message(&mut bytes) } else { None };
                let message = message.map(|(media, message)| Feedback {
                    sender: report.ssrc(),
                    media,
                    message: FeedbackMessage::Transport(message),
                });
                let written = report.write(now, account, message.as_slice(), buffer);
                match (message, &written) {
                    (Some(_), Ok(Some(_))) => feedback.left(now),
                    (None, Ok(Some(_))) => feedback.wait(now),
                    _ => {}
                }
                written
            }
        };
        let protected = match written {
            Ok(None) => return None,
            Ok(Some(_)) if !self.agreed.has_remote() => return None,
            Ok(Some(len)) => self.rtcp_guard().protect_rtcp(buffer, len).ok(),
            Err(_) => None,
        };
        let Some(len) = protected else { return Some(Err(())) };
        let headers = self.ip_overhead();
        if let Some(feedback) = &mut self.feedback {
            feedback.depart(now, len + headers, false);
        }
        if !self.agreed.rtcp_mux {
            return Some(Ok(self.addressed(len, self.rtcp.remote(), Channel::Rtcp)));
        }
        let routed = self.rtp.route(now, self.rtp.remote(), buffer, len);
        Some(routed.map(|(len, to)| self.addressed(len, to, Channel::Rtp)).ok_or(()))
    }
}

//! What the other side's reports say: its clocks, how it receives this side, and round trips (RFC 3550, 6.4.1; RFC
//! 3611, 4.5, 4.7).
//!
//! Participants and the clocks of senders are kept in tables of fixed size. Round trips are in microseconds, computed
//! from fields of 1/65536 s. A datagram costs one pass over it, and one over a table for each report in it.

use super::{RtcpReporter, reported_of};
use crate::time::{Duration, Instant, Ssrc};
use crate::wire::rtcp::{
    Compound, CompoundRule, Feedback, FeedbackMessage, Packet, ParseError, ReportBlock, SenderInfo, VoipMetrics, Xr,
    XrBlock,
};

/// A sender report of the other side, which relates its wall clock to its RTP clock, and when it arrived. It serves to
/// play sound and video together and to measure drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SenderClock {
    /// SSRC of the sender.
    pub ssrc: Ssrc,
    /// The sender's clocks and counters.
    pub info: SenderInfo,
    /// When the report arrived.
    pub arrived: Instant,
}

/// How the other side receives what this side sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RemoteReception {
    /// The other side's report block about this side: loss, jitter and highest sequence number.
    pub block: ReportBlock,
    /// Round-trip time (RFC 3550, 6.4.1), if the block refers to one of the last four sender reports and the value is
    /// plausible.
    pub round_trip: Option<Duration>,
}

/// What one RTCP datagram of the other side says. [`RtcpReporter::receive`] returns it.
///
/// Two sides report to each other with 40 ms of delay each way, and one of them learns the round-trip time:
///
/// ```
/// use dsp_core::quality::{JitterEstimator, ReceptionStats, SequenceTracker};
/// use dsp_core::rtcp::{Cname, ReporterConfig, ReporterConfigError, RtcpReporter, SendInfo};
/// use dsp_core::time::{Duration, Instant, NtpTime, RtpTime, Seq, Ssrc};
///
/// let reporter = |ssrc, name| -> Result<RtcpReporter<1>, ReporterConfigError> {
///     let config = ReporterConfig { ssrc: Ssrc(ssrc), cname: Cname::new(name), ..ReporterConfig::default() };
///     RtcpReporter::new(config, Instant::ZERO)
/// };
/// let (mut anna, mut ben) = (reporter(1, "anna@example.org")?, reporter(2, "ben@example.org")?);
/// let one_way = Duration::from_millis(40);
/// let mut datagram = [0; RtcpReporter::<1>::MAX_REPORT_LEN];
///
/// // Anna sends sound, and reports when. A deadline may be put off once it has come (RFC 3550, 6.3.6).
/// let sent = SendInfo { ntp: NtpTime::from_unix_micros(1_000_000), rtp: RtpTime(0), packets: 100, octets: 16_000 };
/// let (mut now, mut report) = (Instant::ZERO, None);
/// while report.is_none() {
///     now = anna.next_deadline();
///     report = anna.poll(now, &[], Some(&sent), &mut datagram)?;
/// }
/// ben.receive(now + one_way, &datagram[..report.unwrap_or(0)])?;
///
/// // Ben has received some of it, and reports when his own time has come.
/// let mut sequence = SequenceTracker::default();
/// (0..10).for_each(|n| _ = sequence.update(Seq(n)));
/// let received = ReceptionStats::new(Ssrc(1), &sequence, &JitterEstimator::new());
/// let mut report = None;
/// while report.is_none() {
///     now = ben.next_deadline().max(now + one_way);
///     report = ben.poll(now, &[received], None, &mut datagram)?;
/// }
/// let heard = anna.receive(now + one_way, &datagram[..report.unwrap_or(0)])?;
/// let round_trip = heard.reception.and_then(|reception| reception.round_trip).ok_or("no report on us")?;
/// assert!(round_trip.as_micros().abs_diff(80_000) < 100);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PeerReport {
    /// SSRC of the last report in the datagram.
    pub ssrc: Option<Ssrc>,
    /// The sender report in the datagram.
    pub clock: Option<SenderClock>,
    /// How the other side receives what this side sends.
    pub reception: Option<RemoteReception>,
    /// Round-trip time from the answer to a reference time (RFC 3611, 4.5), under the conditions of
    /// [`RemoteReception::round_trip`].
    pub receiver_round_trip: Option<Duration>,
    /// VoIP metrics about this side: loss, delay, levels and quality (RFC 3611, 4.7).
    pub voip: Option<VoipMetrics>,
    /// Number of this side's packets that the other side asks to be sent again (generic NACK, RFC 4585, 6.2.1).
    pub nacked: u16,
    /// Highest bit rate that the other side accepts from this side, in bit/s (REMB).
    pub maximum_bit_rate: Option<u64>,
    /// Whether the other side said goodbye (BYE).
    pub bye: bool,
    /// Whether the datagram carries this side's own SSRC: there is a loop, or the SSRCs collide (RFC 3550, 8.2).
    /// Nothing else in it was used.
    pub collision: bool,
    /// Number of packets in the datagram that were skipped because their content is malformed.
    pub malformed: u8,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    ssrc: Ssrc,
    heard: Instant,
}

impl<const SOURCES: usize, const EXTENDED: bool> RtcpReporter<SOURCES, EXTENDED> {
    /// Takes in an RTCP datagram of the other side that arrived at `now`. It must already be unprotected by a
    /// [guard](crate::guard). A goodbye is accepted even without a report before it, although RFC 3550 (6.1) asks for
    /// one.
    ///
    /// # Errors
    /// Returns a [`ParseError`] if the datagram is not compound RTCP. Nothing has changed then.
    pub fn receive(&mut self, now: Instant, datagram: &[u8]) -> Result<PeerReport, ParseError> {
        let rule = if self.config.reduced_size { CompoundRule::ReducedSize } else { CompoundRule::ReportOrBye };
        Ok(self.receive_compound(now, &Compound::parse(datagram, rule)?))
    }

    /// As [`receive`](Self::receive), for a datagram that is parsed already.
    pub fn receive_compound(&mut self, now: Instant, compound: &Compound<'_>) -> PeerReport {
        let mut report = PeerReport::default();
        let from_us = |packet: &Packet<'_>| match packet {
            Packet::SenderReport(sr) => sr.ssrc() == self.config.ssrc,
            Packet::ReceiverReport(rr) => rr.ssrc() == self.config.ssrc,
            Packet::Xr(xr) => xr.ssrc() == self.config.ssrc,
            Packet::Feedback(feedback) => feedback.sender == self.config.ssrc,
            _ => false,
        };
        if compound.packets().known::<EXTENDED>().flatten().any(|packet| from_us(&packet)) {
            report.collision = true;
            return report;
        }
        self.interval.average_in(compound.as_bytes().len());
        for packet in compound.packets().known::<EXTENDED>() {
            match packet {
                Ok(Packet::SenderReport(sr)) => {
                    let clock = SenderClock { ssrc: sr.ssrc(), info: sr.info(), arrived: now };
                    self.keep_clock(clock);
                    report.clock = Some(clock);
                    self.heard(now, sr.ssrc(), sr.blocks(), &mut report);
                }
                Ok(Packet::ReceiverReport(rr)) => self.heard(now, rr.ssrc(), rr.blocks(), &mut report),
                Ok(Packet::Xr(xr)) if EXTENDED => self.extended(now, &xr, &mut report),
                Ok(Packet::Feedback(feedback)) if EXTENDED => self.told_back(&feedback, &mut report),
                Ok(Packet::Bye(bye)) => {
                    for peer in &mut self.peers {
                        let leaves = peer.take_if(|peer| bye.ssrcs().any(|ssrc| ssrc == peer.ssrc)).is_some();
                        report.bye |= leaves;
                    }
                }
                Ok(_) => {}
                Err(_) => report.malformed = report.malformed.saturating_add(1),
            }
        }
        report
    }

    fn heard(&mut self, now: Instant, ssrc: Ssrc, blocks: impl Iterator<Item = ReportBlock>, report: &mut PeerReport) {
        // Its own place, else an empty one, else that of the one silent for longest.
        let rank =
            |peer: &Option<Peer>| peer.map_or((1, now), |peer| (2 - 2 * u8::from(peer.ssrc == ssrc), peer.heard));
        if let Some(place) = self.peers.iter_mut().min_by_key(|peer| rank(peer)) {
            *place = Some(Peer { ssrc, heard: now });
        }
        report.ssrc = Some(ssrc);
        for block in blocks.filter(|block| block.ssrc == self.config.ssrc) {
            let round_trip = self.measure_round_trip(now, block.last_sr, block.delay_since_last_sr);
            self.round_trip = round_trip.or(self.round_trip);
            report.reception = Some(RemoteReception { block, round_trip });
        }
    }

    /// As peers are kept, but those that nothing is received of go first.
    fn keep_clock(&mut self, new: SenderClock) {
        let reported = &self.reported;
        let rank = |clock: &Option<SenderClock>| match clock {
            Some(clock) if clock.ssrc == new.ssrc => (0, clock.arrived),
            None => (1, new.arrived),
            Some(clock) => (2 + u8::from(reported_of(reported, clock.ssrc).is_some()), clock.arrived),
        };
        if let Some(place) = self.clocks.iter_mut().min_by_key(|clock| rank(clock)) {
            *place = Some(new);
        }
    }

    /// Takes what feedback says of this end's packets. Of a transport's arrivals [`DepartureLog`](super::transport) knows.
    fn told_back(&self, feedback: &Feedback<'_>, report: &mut PeerReport) {
        let own = self.config.ssrc;
        match &feedback.message {
            FeedbackMessage::Nack(nacks) if feedback.media == own => {
                let lost = u16::try_from(nacks.lost().count()).unwrap_or(u16::MAX);
                report.nacked = report.nacked.saturating_add(lost);
            }
            FeedbackMessage::MaximumBitRate(rate) if rate.sources().any(|source| source == own) => {
                report.maximum_bit_rate = Some(rate.bit_rate());
            }
            _ => {}
        }
    }

    /// Takes what is about this end, and the peer's reference time.
    fn extended(&mut self, now: Instant, xr: &Xr<'_>, report: &mut PeerReport) {
        for block in xr.blocks() {
            match block {
                XrBlock::VoipMetrics(metrics) if metrics.ssrc == self.config.ssrc => {
                    self.peer_voip = Some(metrics);
                    report.voip = Some(metrics);
                }
                XrBlock::ReceiverReferenceTime(ntp) => self.peer_reference = Some((xr.ssrc(), ntp.middle(), now)),
                XrBlock::Dlrr(dlrr) => {
                    for answer in dlrr.items().filter(|answer| answer.ssrc == self.config.ssrc) {
                        let round_trip = self.measure_round_trip(now, answer.last_rr, answer.delay_since_last_rr);
                        self.round_trip = round_trip.or(self.round_trip);
                        report.receiver_round_trip = round_trip;
                    }
                }
                _ => {}
            }
        }
    }

    /// Arrival less departure less the peer's delay. A peer that claims to have kept our report longer than it was away
    /// is not believed, but for a millisecond of rounding.
    fn measure_round_trip(&self, now: Instant, last_report: u32, delay_since: u32) -> Option<Duration> {
        if last_report == 0 {
            return None;
        }
        let departures = self.departures.iter().flatten();
        let (_, sent) = departures.filter(|(middle, _)| *middle == last_report).max_by_key(|(_, sent)| *sent)?;
        let away_us = now.since(*sent).as_micros();
        let kept_us = (u64::from(delay_since) * 1_000_000) >> 16;
        (kept_us <= away_us + 1_000).then(|| Duration::from_micros(away_us.saturating_sub(kept_us)))
    }

    /// Forgets those who were silent for too long (6.3.5).
    pub(super) fn forget_silent_peers(&mut self, now: Instant) {
        let limit = self.interval.timeout(self.heard_peers());
        for peer in &mut self.peers {
            *peer = peer.filter(|peer| now.since(peer.heard) <= limit);
        }
    }

    /// How many peers were heard.
    pub(super) fn heard_peers(&self) -> u64 {
        self.peers.iter().flatten().count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::super::SendInfo;
    use super::super::tests::{START, next_report, reporter};
    use super::*;
    use crate::time::NtpTime;
    use crate::wire::rtcp::CompoundWriter;

    #[test]
    fn round_trip_refuses_what_cannot_be() {
        let (mut out, mut reporter) = ([0; 200], reporter());
        let send = SendInfo { ntp: NtpTime(0x1234_5678_9abc_def0), packets: 1, ..SendInfo::default() };
        let (sent, _) = next_report(&mut reporter, Some(&send), &mut out);
        let mut trip = |last_sr, delay_since_last_sr| {
            let block = ReportBlock { ssrc: Ssrc(1), last_sr, delay_since_last_sr, ..ReportBlock::default() };
            let mut bytes = [0; 32];
            let mut writer = CompoundWriter::new(&mut bytes);
            writer.receiver_report(Ssrc(2), &[block]).unwrap();
            let report = reporter.receive(sent + Duration::from_millis(1500), &bytes).unwrap();
            report.reception.unwrap().round_trip.map(Duration::as_micros)
        };
        assert_eq!(trip(0x5678_9abc, 0x1_0000), Some(500_000));
        assert_eq!(trip(0x5678_9abc, 0x1_8001), Some(0));
        assert_eq!(trip(0x5678_9abc, 0x1_8100), None);
        assert_eq!(trip(0x5678_9abc, u32::MAX), None);
        assert_eq!(trip(0x5678_9abd, 0), None);
        assert_eq!(trip(0, 0), None);
    }

    #[test]
    fn voip_metrics_are_taken_only_about_this_end() {
        let (mut reporter, mut bytes) = (reporter(), [0; 200]);
        let mut metrics = [1, 2, 1].map(|ssrc| VoipMetrics { ssrc: Ssrc(ssrc), ..VoipMetrics::default() });
        metrics[0].loss_rate = 9;
        let mut receive = |metrics: &[VoipMetrics]| {
            let mut writer = CompoundWriter::new(&mut bytes);
            writer.receiver_report(Ssrc(2), &[]).unwrap();
            for &metrics in metrics {
                writer.extended_report(Ssrc(2), &[XrBlock::VoipMetrics(metrics)]).unwrap();
            }
            let len = writer.finish();
            reporter.receive(START, &bytes[..len]).unwrap().voip
        };
        assert_eq!(receive(&metrics[..2]), Some(metrics[0]));
        assert_eq!(receive(&metrics[1..2]), None);
        assert_eq!(receive(&metrics), Some(metrics[2]));
        assert_eq!(reporter.peer_voip(), Some(metrics[2]));
    }

    #[test]
    fn a_reporter_without_extended_reports_passes_them_over_and_sends_none() {
        let (mut bytes, metrics) = ([0; 200], VoipMetrics { ssrc: Ssrc(1), ..VoipMetrics::default() });
        let mut writer = CompoundWriter::new(&mut bytes);
        writer.receiver_report(Ssrc(2), &[ReportBlock { ssrc: Ssrc(1), ..ReportBlock::default() }]).unwrap();
        writer.extended_report(Ssrc(2), &[XrBlock::VoipMetrics(metrics)]).unwrap();
        let len = writer.finish();
        let config = crate::rtcp::ReporterConfig { receiver_round_trip: true, ..super::super::tests::config() };
        let mut reporter = RtcpReporter::<1, false>::new(config, START).unwrap();
        reporter.set_voip(Some(metrics));
        let told = reporter.receive(START, &bytes[..len]).unwrap();
        assert_eq!((told.reception.map(|told| told.block.ssrc), told.voip, told.malformed), (Some(Ssrc(1)), None, 0));
        let mut out = [0; RtcpReporter::<1, false>::MAX_REPORT_LEN];
        let len = (1..100)
            .find_map(|second| reporter.poll(START + Duration::from_secs(second), &[], None, &mut out).unwrap());
        let compound = Compound::parse(&out[..len.unwrap()], CompoundRule::ReportFirst).unwrap();
        assert!(compound.packets().all(|packet| matches!(packet, Ok(Packet::ReceiverReport(_) | Packet::Sdes(_)))));
        assert_eq!(compound.packets().count(), 2);
    }

    #[test]
    fn own_reports_coming_back_are_a_collision() {
        let (mut out, mut reporter) = ([0; 200], reporter());
        let (now, len) = next_report(&mut reporter, None, &mut out);
        let report = reporter.receive(now, &out[..len]).unwrap();
        assert_eq!(report, PeerReport { collision: true, ..PeerReport::default() });
    }

    #[test]
    fn feedback_counts_where_it_is_about_this_end() {
        let (mut reporter, mut bytes) = (reporter(), [0; 200]);
        let mut take = |media: u32, source: u32, sender| {
            let mut writer = CompoundWriter::new(&mut bytes);
            writer.receiver_report(Ssrc(2), &[]).unwrap();
            let entries = [[0, 5, 0x80, 1], [0, 90, 0, 0]];
            let message = FeedbackMessage::Nack(crate::wire::rtcp::Nacks::new(&entries).unwrap());
            writer.feedback(&Feedback { sender: Ssrc(sender), media: Ssrc(media), message }).unwrap();
            let sources = [7_u32.to_be_bytes(), source.to_be_bytes()];
            let rate = crate::wire::rtcp::MaximumBitRate::new(64_000, &sources);
            let message = FeedbackMessage::MaximumBitRate(rate);
            writer.feedback(&Feedback { sender: Ssrc(2), media: Ssrc(0), message }).unwrap();
            let len = writer.finish();
            reporter.receive(START, &bytes[..len]).unwrap()
        };
        let report = take(1, 1, 2);
        assert_eq!((report.nacked, report.maximum_bit_rate, report.collision), (4, Some(64_000), false));
        let report = take(3, 3, 2);
        assert_eq!((report.nacked, report.maximum_bit_rate), (0, None));
        assert!(take(1, 1, 1).collision);
    }
}

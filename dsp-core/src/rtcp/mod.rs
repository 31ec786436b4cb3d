//! When RTCP reports are sent, what they say, and what the peer's reports tell (RFC 3550, 6.2-6.4 and
//! A.7); with VoIP metrics, if it is given any, and round trips of an end that sends nothing (RFC 3611, 4.4-4.7).
//!
//! For one stream out, and as many in as `SOURCES` says. Sans-IO: [`RtcpReporter::poll`] writes a compound packet when
//! one is due, [`RtcpReporter::next_deadline`] says when to ask again, [`RtcpReporter::receive`] takes the peer's
//! datagrams. Intervals are random between 0.41 and 1.23 times the calculated one, with its mean (6.3.1), from a seed;
//! the timer is reconsidered at each expiry (6.3.6). Reverse reconsideration and BYE back-off are for many parties and
//! left out, as 6.3 and 6.3.7 allow for few. With feedback (AVPF, [`ReporterConfig::feedback`]) messages leave at once or
//! with the next report, by the rules in `feedback` (RFC 4585, 3). Round trips are measured on the monotonic clock: a step of the wall clock
//! does no harm. Cost: some 64-bit divisions a report, none a media packet.
//!
//! A host sleeps until the deadline and asks then:
//!
//! ```
//! use dsp_core::rtcp::{Cname, ReporterConfig, RtcpReporter};
//! use dsp_core::time::{Instant, Ssrc};
//!
//! let config = ReporterConfig { ssrc: Ssrc(7), cname: Cname::new("anna@example.org"), ..ReporterConfig::default() };
//! let mut reporter = RtcpReporter::<1>::new(config, Instant::ZERO)?;
//! let mut datagram = [0; RtcpReporter::<1>::MAX_REPORT_LEN];
//! while reporter.poll(reporter.next_deadline(), &[], None, &mut datagram)?.is_none() {}
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::quality::ReceptionStats;
use crate::time::{Duration, Instant, NtpTime, RtpTime, Ssrc};
use crate::wire::rtcp::{CompoundWriter, Feedback, ReportBlock, SdesItem, SenderInfo, VoipMetrics, WriteError};

mod config;
mod extended;
mod feedback;
mod incoming;
mod interval;
pub mod transport;

pub use config::{Cname, FeedbackTiming, ReporterConfig, ReporterConfigError};
pub use incoming::{PeerReport, RemoteReception, SenderClock};

use feedback::Early;
use incoming::Peer;
use interval::{Members, TransmissionInterval};

/// Sender reports whose departure is remembered, to measure round trips with.
const REMEMBERED_REPORTS: usize = 4;
/// Report blocks that one report can hold (6.4.1).
const MAX_BLOCKS: usize = 31;

/// What this end has sent, as of the moment it is passed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SendInfo {
    /// The wall clock.
    pub ntp: NtpTime,
    /// The same moment on the clock of the RTP timestamps: as a rule later than the last packet's.
    pub rtp: RtpTime,
    /// Packets sent since the start, modulo 2^32.
    pub packets: u32,
    /// Payload bytes sent since the start, modulo 2^32.
    pub octets: u32,
}

/// Schedules and writes this end's reports, and reads the peer's. It reports on up to `SOURCES`, 1 to 31.
///
/// `EXTENDED`: whether it knows extended reports (RFC 3611) and feedback (RFC 4585). Without, what the peer says of them is passed
/// over, none is sent whatever is set, and nothing of them is in the program.
#[derive(Clone, Debug)]
pub struct RtcpReporter<const SOURCES: usize, const EXTENDED: bool = true> {
    config: ReporterConfig,
    cname: Cname,
    last_sent: Instant,
    next: Instant,
    /// No report was sent yet.
    initial: bool,
    left: bool,
    /// The source that this end was before, as long as its goodbye has not been written.
    former: Option<Ssrc>,
    early: Early,
    interval: TransmissionInterval,
    peers: [Option<Peer>; SOURCES],
    /// The last sender report of each source.
    clocks: [Option<SenderClock>; SOURCES],
    round_trip: Option<Duration>,
    /// This end's packet count at the last report but one, and at the last.
    packets_before: [u32; 2],
    reported: [Option<ReceptionStats>; SOURCES],
    voip: Option<VoipMetrics>,
    peer_voip: Option<VoipMetrics>,
    /// The peer's last reference time: who, its middle NTP bits, and when it came.
    peer_reference: Option<(Ssrc, u32, Instant)>,
    /// Middle NTP bits and departure of the last sender reports and reference times.
    departures: [Option<(u32, Instant)>; REMEMBERED_REPORTS],
    next_departure: usize,
}

impl<const SOURCES: usize, const EXTENDED: bool> RtcpReporter<SOURCES, EXTENDED> {
    /// SR with a block for each source, and SDES with the longest CNAME.
    const LONGEST_PLAIN_REPORT: usize = 28 + 24 * SOURCES + 8 + (2 + Cname::MAX_LEN + 1).next_multiple_of(4);

    /// Bytes that [`poll`](Self::poll) needs at most: SR with a block for each source, SDES with the longest CNAME, and
    /// XR with metrics and an answer. (A reference time goes with a receiver report, which is shorter.)
    pub const MAX_REPORT_LEN: usize = Self::LONGEST_PLAIN_REPORT + 8 + 36 + 16;

    /// A participant that joined at `now` and has heard nobody.
    ///
    /// # Errors
    /// [`ReporterConfigError`] says what of the configuration can't be.
    pub fn new(config: ReporterConfig, now: Instant) -> Result<Self, ReporterConfigError> {
        const { assert!(SOURCES >= 1 && SOURCES <= MAX_BLOCKS, "1 to 31 sources") };
        let cname = config.check()?;
        let mut reporter = Self {
            config,
            cname,
            last_sent: now,
            next: now,
            initial: true,
            left: false,
            former: None,
            early: Early::new(now),
            interval: TransmissionInterval::new(&config, Self::LONGEST_PLAIN_REPORT),
            peers: [None; SOURCES],
            clocks: [None; SOURCES],
            round_trip: None,
            packets_before: [0; 2],
            reported: [None; SOURCES],
            voip: None,
            peer_voip: None,
            peer_reference: None,
            departures: [None; REMEMBERED_REPORTS],
            next_departure: 0,
        };
        reporter.next = now + reporter.random_interval(false, 0);
        Ok(reporter)
    }

    /// When to call [`poll`](Self::poll) next. After goodbye: never, the end of time.
    pub fn next_deadline(&self) -> Instant {
        if self.left {
            Instant::from_micros(u64::MAX)
        } else {
            self.early.due().map_or(self.next, |due| due.min(self.next))
        }
    }

    /// The source that reports leave as.
    pub const fn ssrc(&self) -> Ssrc {
        self.config.ssrc
    }

    /// The last round-trip time measured.
    pub const fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// The last VoIP metrics that the peer sent about this end.
    pub const fn peer_voip(&self) -> Option<VoipMetrics> {
        self.peer_voip
    }

    /// Sets the VoIP metrics that go out with every report from now on, the goodbye's with them;
    /// `None` for reports without. To be renewed when [`next_deadline`](Self::next_deadline) has come, before
    /// [`poll`](Self::poll): they are as of the moment they are set.
    pub const fn set_voip(&mut self, metrics: Option<VoipMetrics>) {
        self.voip = metrics;
    }

    /// Goes on as another source (8.2). If anything was sent as the one before, `packets` of RTP or a report, its goodbye is
    /// what [`poll`](Self::poll) writes next, and it is due at once.
    pub fn change_source(&mut self, now: Instant, ssrc: Ssrc, packets: u32) {
        if !self.initial || packets > 0 {
            // A goodbye that was not written yet is that of the source which the peer has heard.
            self.former.get_or_insert(self.config.ssrc);
        }
        self.config.ssrc = ssrc;
        self.packets_before = [0; 2];
        self.voip = None;
        self.peer_voip = None;
        self.initial = true;
        self.last_sent = now;
        self.early = Early::new(now);
        self.next = if self.former.is_some() { now } else { now + self.random_interval(false, 0) };
    }

    /// If a report is due at `now`, writes it to `out` and returns its length; call again at
    /// [`next_deadline`](Self::next_deadline) in either case.
    ///
    /// `receive` is what this end receives of each source: there is a block about each that sends, up to `SOURCES`.
    /// `send` is what it has sent by `now`: with it the report is a sender report as long as packets go out, otherwise a
    /// receiver report. With [`MAX_REPORT_LEN`](Self::MAX_REPORT_LEN) bytes in `out` it can't fail.
    ///
    /// # Errors
    /// [`WriteError::OutputTooSmall`]: nothing was reported, and the next call tries again.
    pub fn poll(
        &mut self,
        now: Instant,
        receive: &[ReceptionStats],
        send: Option<&SendInfo>,
        out: &mut [u8],
    ) -> Result<Option<usize>, WriteError> {
        self.poll_with(now, receive, send, &[], out)
    }

    /// As [`poll`](Self::poll), with feedback that waits to leave: with the report that is due, or before it, if
    /// [`request`](Self::request) found that it may. Whatever is written has all of it.
    ///
    /// # Errors
    /// As for [`poll`](Self::poll), of a buffer that has as many bytes more as the feedback takes.
    pub fn poll_with(
        &mut self,
        now: Instant,
        receive: &[ReceptionStats],
        send: Option<&SendInfo>,
        feedback: &[Feedback<'_>],
        out: &mut [u8],
    ) -> Result<Option<usize>, WriteError> {
        if self.left {
            return Ok(None);
        }
        if now < self.next {
            return self.poll_early(now, receive, send, feedback, out);
        }
        if let Some(former) = self.former {
            let len = self.write_goodbye(former, out)?;
            self.former = None;
            self.next = now + self.random_interval(false, 0);
            return Ok(Some(len));
        }
        self.forget_silent_peers(now);
        let we_send = self.active_send(send).is_some();
        let others = self.active_receive(receive).count() as u64;
        let due = self.last_sent + self.random_interval(we_send, others);
        if due > now {
            self.next = due;
            return Ok(None);
        }
        let len = if self.is_regular_due(now) {
            let len = self.write(now, receive, send, Contents { feedback, ..Contents::default() }, out)?;
            self.initial = false;
            self.regular_left(now);
            Some(len)
        } else if feedback.is_empty() {
            None
        } else {
            Some(self.write_feedback(now, receive, send, feedback, out)?)
        };
        self.early = self.early.allowed();
        self.last_sent = now;
        self.next = now + self.random_interval(we_send, others);
        Ok(len)
    }

    /// Whether the goodbye has left: nothing is said any more.
    pub const fn has_left(&self) -> bool {
        self.left
    }

    /// Leaves: writes a last report with a goodbye and returns its length; `None` if this end never sent anything, which
    /// forbids a goodbye (6.3.7), or has left already. `reason` has at most 255 bytes. If this end goes on as another source
    /// since, and the goodbye of the one before was not written yet, that leaves too.
    ///
    /// If it fails, the reporter has not left.
    ///
    /// # Errors
    /// [`WriteError::OutputTooSmall`], and [`WriteError::Length`] of a longer reason.
    pub fn bye(
        &mut self,
        now: Instant,
        receive: &[ReceptionStats],
        send: Option<&SendInfo>,
        reason: Option<&str>,
        out: &mut [u8],
    ) -> Result<Option<usize>, WriteError> {
        let silent = self.initial && send.is_none_or(|send| send.packets == 0);
        let len = match self.former {
            _ if self.left => None,
            Some(former) if silent => Some(self.write_goodbye(former, out)?),
            None if silent => None,
            _ => {
                Some(self.write(now, receive, send, Contents { leaving: Some(reason), ..Contents::default() }, out)?)
            }
        };
        self.left = true;
        Ok(len)
    }

    /// `send`, if packets went out since the last report but one.
    fn active_send<'a>(&self, send: Option<&'a SendInfo>) -> Option<&'a SendInfo> {
        send.filter(|send| send.packets != self.packets_before[0])
    }

    /// Those of whom packets came since the last report: only then is there a block about them (6.4).
    fn active_receive<'a>(&'a self, receive: &'a [ReceptionStats]) -> impl Iterator<Item = &'a ReceptionStats> {
        let active = |stats: &&ReceptionStats| stats.received_since(reported_of(&self.reported, stats.ssrc)) > 0;
        receive.iter().filter(active).take(SOURCES)
    }

    /// The goodbye of a source that this end was: a report about nobody, the name, and the goodbye.
    fn write_goodbye(&mut self, former: Ssrc, out: &mut [u8]) -> Result<usize, WriteError> {
        let mut writer = CompoundWriter::new(out);
        writer.receiver_report(former, &[])?;
        writer.sdes(&[(former, &[SdesItem { kind: SdesItem::CNAME, value: self.cname.as_bytes() }])])?;
        writer.bye(&[former], None)?;
        let len = writer.finish();
        self.interval.average_in(len);
        Ok(len)
    }

    /// Writes one compound packet and takes note of what it reported.
    fn write(
        &mut self,
        now: Instant,
        receive: &[ReceptionStats],
        send: Option<&SendInfo>,
        contents: Contents<'_>,
        out: &mut [u8],
    ) -> Result<usize, WriteError> {
        let Contents { leaving, feedback, minimal } = contents;
        let mut blocks = [ReportBlock::default(); SOURCES];
        let mut count = 0;
        for (block, stats) in blocks.iter_mut().zip(self.active_receive(receive)) {
            *block = self.block(now, stats);
            count += 1;
        }
        let blocks = &blocks[..count];
        let active_send = self.active_send(send);
        let ssrc = self.config.ssrc;

        let mut writer = CompoundWriter::new(out);
        match active_send {
            Some(&SendInfo { ntp, rtp, packets, octets }) => {
                writer.sender_report(ssrc, &SenderInfo { ntp, rtp, packets, octets }, blocks)?;
            }
            None => writer.receiver_report(ssrc, blocks)?,
        }
        writer.sdes(&[(ssrc, &[SdesItem { kind: SdesItem::CNAME, value: self.cname.as_bytes() }])])?;
        let reference = if EXTENDED && !minimal { self.write_extended(now, send, &mut writer)? } else { None };
        for message in feedback.iter().filter(|_| EXTENDED) {
            writer.feedback(message)?;
        }
        if let Some(reason) = leaving {
            let leaving = [ssrc, self.former.unwrap_or(ssrc)];
            let count = 1 + usize::from(self.former.is_some());
            writer.bye(&leaving[..count], reason.map(str::as_bytes))?;
        }
        let len = writer.finish();

        if let Some(ntp) = active_send.map(|send| send.ntp).or(reference) {
            self.departures[self.next_departure] = Some((ntp.middle(), now));
            self.next_departure = (self.next_departure + 1) % REMEMBERED_REPORTS;
        }
        let packets = send.map_or(self.packets_before[1], |send| send.packets);
        self.packets_before = [self.packets_before[1], packets];
        if !receive.is_empty() {
            self.reported = core::array::from_fn(|index| receive.get(index).copied());
        }
        self.interval.average_in(len);
        Ok(len)
    }

    fn block(&self, now: Instant, stats: &ReceptionStats) -> ReportBlock {
        let clock = self.clocks.iter().flatten().find(|clock| clock.ssrc == stats.ssrc);
        let (last_sr, delay_since_last_sr) =
            clock.map_or((0, 0), |clock| (clock.info.ntp.middle(), delay_since(now, clock.arrived)));
        ReportBlock {
            ssrc: stats.ssrc,
            fraction_lost: stats.fraction_lost_since(reported_of(&self.reported, stats.ssrc)),
            cumulative_lost: stats.cumulative_lost(),
            extended_highest_seq: stats.extended_highest_seq,
            jitter_ticks: stats.jitter_ticks,
            last_sr,
            delay_since_last_sr,
        }
    }

    fn random_interval(&mut self, we_send: bool, others: u64) -> Duration {
        self.interval.random(Members { we_send, others, heard: self.heard_peers() }, self.initial)
    }
}

/// What is in a compound packet besides report and name.
#[derive(Clone, Copy, Default)]
struct Contents<'a> {
    /// A goodbye and its reason.
    leaving: Option<Option<&'a str>>,
    feedback: &'a [Feedback<'a>],
    /// Without extended reports (RFC 4585, 3.1).
    minimal: bool,
}

/// What was last reported of a source.
fn reported_of(reported: &[Option<ReceptionStats>], ssrc: Ssrc) -> Option<&ReceptionStats> {
    reported.iter().flatten().find(|stats| stats.ssrc == ssrc)
}

/// Time since `arrived` in 1/65536 s, at most the field's 18 hours.
fn delay_since(now: Instant, arrived: Instant) -> u32 {
    // 2^47 us are beyond the field, and can still be shifted.
    let micros = now.since(arrived).as_micros().min(1 << 47);
    u32::try_from((micros << 16) / 1_000_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtcp::{Compound, CompoundRule, Packet, XrBlock};
    use core::slice;

    pub(super) const START: Instant = Instant::from_millis(1_000_000);

    pub(super) fn config() -> ReporterConfig {
        ReporterConfig { ssrc: Ssrc(1), cname: Cname::new("one@example"), seed: 7, ..ReporterConfig::default() }
    }

    pub(super) fn reporter() -> RtcpReporter<1> {
        RtcpReporter::<1>::new(config(), START).unwrap()
    }

    pub(super) fn next_report(
        reporter: &mut RtcpReporter<1>,
        send: Option<&SendInfo>,
        out: &mut [u8],
    ) -> (Instant, usize) {
        for _ in 0..100 {
            let now = reporter.next_deadline();
            if let Some(len) = reporter.poll(now, &[], send, out).unwrap() {
                return (now, len);
            }
        }
        panic!("no report in a hundred deadlines");
    }

    #[test]
    fn first_report_comes_in_half_the_interval_and_is_whole() {
        let mut out = [0; RtcpReporter::<1>::MAX_REPORT_LEN];
        for seed in 0..100 {
            let mut reporter = RtcpReporter::<1>::new(ReporterConfig { seed, ..config() }, START).unwrap();
            let (now, len) = next_report(&mut reporter, None, &mut out);
            let after = now.since(START).as_millis();
            assert!((1026..=3079).contains(&after), "{after}");
            let mut packets = Compound::parse(&out[..len], CompoundRule::ReportFirst).unwrap().packets();
            assert!(matches!(packets.next(), Some(Ok(Packet::ReceiverReport(rr))) if rr.blocks().len() == 0));
            assert!(matches!(packets.next(), Some(Ok(Packet::Sdes(s))) if s.cname(Ssrc(1)) == Some(b"one@example")));
            assert!(packets.next().is_none());
        }
    }

    #[test]
    fn the_longest_report_fits() {
        let mut out = [0; RtcpReporter::<1>::MAX_REPORT_LEN];
        let config = ReporterConfig { cname: Cname::new(&"x".repeat(64)), receiver_round_trip: true, ..config() };
        let mut reporter = RtcpReporter::<1>::new(config, START).unwrap();
        let mut peer = [0; 28];
        let mut writer = CompoundWriter::new(&mut peer);
        writer.receiver_report(Ssrc(2), &[]).unwrap();
        writer.extended_report(Ssrc(2), &[XrBlock::ReceiverReferenceTime(NtpTime(1 << 40))]).unwrap();
        assert_eq!(writer.finish(), peer.len());
        reporter.receive(START, &peer).unwrap();
        reporter.set_voip(Some(VoipMetrics::default()));
        let stats = ReceptionStats { expected: 1, received: 1, ..ReceptionStats::default() };
        let send = SendInfo { packets: 1, ..SendInfo::default() };
        let now = START + Duration::from_secs(60);
        let short = reporter.poll(now, slice::from_ref(&stats), Some(&send), &mut out[1..]);
        assert!(matches!(short, Err(WriteError::OutputTooSmall { .. })));
        assert_eq!(reporter.poll(now, slice::from_ref(&stats), Some(&send), &mut out), Ok(Some(out.len())));
    }

    #[test]
    fn sender_reports_stop_two_reports_after_the_last_packet() {
        let (mut out, mut reporter) = ([0; 200], reporter());
        let kinds = [5, 9, 9, 9, 9, 10].map(|packets| {
            next_report(&mut reporter, Some(&SendInfo { packets, ..SendInfo::default() }), &mut out);
            out[1]
        });
        assert_eq!(kinds, [200, 200, 200, 201, 201, 200]);
    }

    #[test]
    fn bye_only_after_something_was_sent_and_once() {
        let (mut out, mut silent) = ([0; 200], reporter());
        assert_eq!(silent.bye(START, &[], None, None, &mut out), Ok(None));
        assert_eq!(silent.next_deadline(), Instant::from_micros(u64::MAX));

        let mut reporter = reporter();
        let send = SendInfo { packets: 1, ..SendInfo::default() };
        assert!(reporter.bye(START, &[], Some(&send), Some("hang up"), &mut out[..30]).is_err());
        let len = reporter.bye(START, &[], Some(&send), Some("hang up"), &mut out).unwrap().unwrap();
        let last = Compound::parse(&out[..len], CompoundRule::ReportFirst).unwrap().packets().last();
        assert!(matches!(last, Some(Ok(Packet::Bye(bye))) if bye.reason() == Some(b"hang up")));
        assert_eq!(reporter.bye(START, &[], Some(&send), None, &mut out), Ok(None));
        assert_eq!(reporter.poll(Instant::from_micros(u64::MAX), &[], None, &mut out), Ok(None));
    }

    /// Whoever leaves before the goodbye of the source before was due leaves as both.
    #[test]
    fn the_goodbye_of_the_source_before_is_not_forgotten() {
        let goodbye = |packets| {
            let (mut out, mut reporter) = ([0; 200], reporter());
            reporter.change_source(START, Ssrc(6), 3);
            let send = SendInfo { packets, ..SendInfo::default() };
            let len = reporter.bye(START, &[], Some(&send), None, &mut out).unwrap().unwrap();
            assert_eq!(reporter.bye(START, &[], Some(&send), None, &mut out), Ok(None));
            match Compound::parse(&out[..len], CompoundRule::ReportFirst).unwrap().packets().last() {
                Some(Ok(Packet::Bye(bye))) => bye.ssrcs().collect::<std::vec::Vec<_>>(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((goodbye(0), goodbye(1)), (std::vec![Ssrc(1)], std::vec![Ssrc(6), Ssrc(1)]));
    }

    #[test]
    fn another_source_begins_with_the_goodbye_of_the_one_before() {
        let (mut out, mut reporter) = ([0; 200], reporter());
        // Nothing was sent: there is nobody to say goodbye (6.3.7).
        reporter.change_source(START, Ssrc(5), 0);
        assert!(reporter.next_deadline() > START);
        reporter.change_source(START, Ssrc(6), 3);
        assert_eq!(reporter.next_deadline(), START);
        let len = reporter.poll(START, &[], None, &mut out).unwrap().unwrap();
        let mut packets = Compound::parse(&out[..len], CompoundRule::ReportFirst).unwrap().packets();
        assert!(matches!(packets.next(), Some(Ok(Packet::ReceiverReport(rr))) if rr.ssrc() == Ssrc(5)));
        assert!(matches!(packets.next(), Some(Ok(Packet::Sdes(s))) if s.cname(Ssrc(5)) == Some(b"one@example")));
        assert!(matches!(packets.next(), Some(Ok(Packet::Bye(bye))) if bye.ssrcs().eq([Ssrc(5)])));
        let (later, len) = next_report(&mut reporter, None, &mut out);
        assert!(later.since(START) >= Duration::from_millis(1_026));
        let first = Compound::parse(&out[..len], CompoundRule::ReportFirst).unwrap().packets().next();
        assert!(matches!(first, Some(Ok(Packet::ReceiverReport(rr))) if rr.ssrc() == Ssrc(6)));
    }

    #[test]
    fn a_goodbye_that_no_report_leads_is_one() {
        let (mut reporter, mut bytes) = (reporter(), [0; 200]);
        let mut writer = CompoundWriter::new(&mut bytes);
        writer.receiver_report(Ssrc(2), &[]).unwrap();
        let len = writer.finish();
        reporter.receive(START, &bytes[..len]).unwrap();
        let goodbye = [0x81, 203, 0, 1, 0, 0, 0, 2];
        assert!(reporter.receive(START, &goodbye).unwrap().bye);
        assert!(reporter.receive(START, &[0x80, 202, 0, 0]).is_err());
    }

    #[test]
    fn a_block_about_each_source_and_its_own_sender_report() {
        let config = ReporterConfig { ssrc: Ssrc(99), cname: Cname::new("us"), ..ReporterConfig::default() };
        let mut reporter = RtcpReporter::<31>::new(config, Instant::ZERO).unwrap();
        let stats = |n: u32| ReceptionStats { ssrc: Ssrc(n), expected: 100, received: 90, ..ReceptionStats::default() };
        let mut datagram = [0; 200];
        for n in 0..40 {
            let mut writer = CompoundWriter::new(&mut datagram);
            let info = SenderInfo { ntp: NtpTime(u64::from(n + 1) << 32), ..SenderInfo::default() };
            writer.sender_report(Ssrc(n), &info, &[]).unwrap();
            writer.sdes(&[(Ssrc(n), &[SdesItem { kind: SdesItem::CNAME, value: b"peer" }])]).unwrap();
            let len = writer.finish();
            reporter.receive(Instant::from_millis(u64::from(n)), &datagram[..len]).unwrap();
        }
        // Forty sources are more than a report holds: the first 31 that send.
        let all: std::vec::Vec<_> = (0..40).map(stats).collect();
        let mut out = [0; 1_024];
        let mut blocks_at = |now: Instant, reporter: &mut RtcpReporter<31>| {
            let len = reporter.poll(now, &all[9..], None, &mut out).unwrap()?;
            assert!(len <= RtcpReporter::<31>::MAX_REPORT_LEN);
            let compound = Compound::parse(&out[..len], CompoundRule::ReportFirst).unwrap();
            let Some(Ok(Packet::ReceiverReport(report))) = compound.packets().next() else { panic!("no report") };
            Some(report.blocks().collect::<std::vec::Vec<_>>())
        };
        let blocks = (1..100).find_map(|second| blocks_at(Instant::from_millis(second * 1_000), &mut reporter));
        let blocks = blocks.unwrap();
        assert_eq!(blocks.len(), 31);
        for (block, n) in blocks.iter().zip(9..) {
            assert_eq!((block.ssrc, block.last_sr, block.cumulative_lost), (Ssrc(n), (n + 1) << 16, 10));
        }
        // Nobody has sent since: no block.
        let later = (100..300).find_map(|second| blocks_at(Instant::from_millis(second * 1_000), &mut reporter));
        assert_eq!(later.unwrap(), []);
    }
}

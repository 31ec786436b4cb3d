//! RTCP reports: when they are sent, what they contain, and what the other side's reports say (RFC 3550, 6.2 to 6.4
//! and A.7). Optionally they carry VoIP metrics, and round trips are measured even while nothing is sent (RFC 3611,
//! 4.4 to 4.7).
//!
//! [`RtcpReporter`] serves one outgoing stream and at most `SOURCES` incoming ones. It does no I/O:
//! [`RtcpReporter::poll`] writes a compound packet when one is due, [`RtcpReporter::next_deadline`] tells when to call
//! it again, and [`RtcpReporter::receive`] takes in the datagrams of the other side. Use the packets in
//! [`wire::rtcp`](crate::wire::rtcp) where only the format is needed, and [`transport`] for feedback on single
//! packets.
//!
//! Intervals are random, between 0.41 and 1.23 times the calculated interval (6.3.1), and the timer is reconsidered at
//! each expiry (6.3.6). With feedback (AVPF, [`ReporterConfig::feedback`]), messages leave at once or with the next
//! report, by the rules of RFC 4585 (3). Round trips are measured on the monotonic clock, so a step of the wall clock
//! does not disturb them.
//!
//! A report takes some 64-bit divisions, a media packet nothing; on a host, a compound packet is written in 12 ns
//! (`BENCHMARKS.md`). Reverse reconsideration and the back-off of BYE are meant for sessions of many participants and
//! are left out, as 6.3 and 6.3.7 allow for few.
//!
//! A program sleeps until the deadline and then polls:
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
use crate::slices::part;
use crate::time::{Duration, Instant, NtpTime, RtpTime, Ssrc};
use crate::wire::rtcp::{CompoundWriter, Feedback, ReportBlock, SdesItem, SenderInfo, VoipMetrics, WriteError};

mod config;
mod extended;
mod feedback;
mod goodbye;
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

/// What this side has sent up to the moment at which it is passed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SendInfo {
    /// Wall clock time of that moment.
    pub ntp: NtpTime,
    /// The same moment on the RTP clock. It is usually later than the timestamp of the last packet.
    pub rtp: RtpTime,
    /// Packets sent since the start, modulo 2^32.
    pub packets: u32,
    /// Payload bytes sent since the start, modulo 2^32.
    pub octets: u32,
}

/// Schedules and writes this side's RTCP reports, and reads those of the other side. A report has blocks about at most
/// `SOURCES` sources, 1 to 31.
///
/// With `EXTENDED`, the default, it knows extended reports (RFC 3611) and feedback (RFC 4585). Without, it passes over what the other
/// side says of them and sends none, whatever is configured, and none of their code is in the program.
///
/// [The module's page](self) shows the loop of a program, [`PeerReport`] shows two sides that report to each other. At
/// the end of a call a program says goodbye:
///
/// ```
/// use dsp_core::rtcp::{Cname, ReporterConfig, RtcpReporter, SendInfo};
/// use dsp_core::time::{Instant, NtpTime, RtpTime, Ssrc};
/// use dsp_core::wire::DatagramKind;
///
/// let config = ReporterConfig { ssrc: Ssrc(7), cname: Cname::new("anna@example.org"), ..ReporterConfig::default() };
/// let mut reporter = RtcpReporter::<1>::new(config, Instant::ZERO)?;
/// let mut datagram = [0; RtcpReporter::<1>::MAX_REPORT_LEN + 20];
/// // Ten seconds of G.711 were sent.
/// let ntp = NtpTime::from_unix_micros(1_700_000_000_000_000);
/// let sent = SendInfo { ntp, rtp: RtpTime(80_000), packets: 500, octets: 80_000 };
/// let len = reporter.bye(Instant::from_millis(10_000), &[], Some(&sent), Some("call ended"), &mut datagram)?;
/// assert_eq!(DatagramKind::of(&datagram[..len.ok_or("nothing to say")?]), DatagramKind::Rtcp);
/// assert!(reporter.has_left());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
    /// Goes on by one with each, modulo the number of them.
    next_departure: usize,
}

impl<const SOURCES: usize, const EXTENDED: bool> RtcpReporter<SOURCES, EXTENDED> {
    /// SR with a block for each source, and SDES with the longest CNAME.
    const LONGEST_PLAIN_REPORT: usize = 28 + 24 * SOURCES + 8 + (2 + Cname::MAX_LEN + 1).next_multiple_of(4);

    /// Number of bytes that [`poll`](Self::poll) needs at most: a sender report with a block for each source, SDES
    /// with the longest CNAME, and an XR packet with VoIP metrics and an answer to a reference time.
    pub const MAX_REPORT_LEN: usize = Self::LONGEST_PLAIN_REPORT + 8 + 36 + 16;

    /// A participant that joined at `now` and has not received anything.
    ///
    /// # Errors
    /// Returns a [`ReporterConfigError`] if the canonical name is missing, the session bandwidth is 0, or an interval
    /// is out of range.
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

    /// When to call [`poll`](Self::poll) next. After the goodbye it is the end of time.
    pub fn next_deadline(&self) -> Instant {
        if self.left {
            Instant::from_micros(u64::MAX)
        } else {
            self.early.due().map_or(self.next, |due| due.min(self.next))
        }
    }

    /// SSRC under which reports are sent.
    pub const fn ssrc(&self) -> Ssrc {
        self.config.ssrc
    }

    /// Round-trip time measured last.
    pub const fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// VoIP metrics about this side that the other side sent last.
    pub const fn peer_voip(&self) -> Option<VoipMetrics> {
        self.peer_voip
    }

    /// Sets the VoIP metrics that go out with each report from now on, the goodbye included; `None` sends reports
    /// without. The metrics describe the moment at which they are set: renew them when
    /// [`next_deadline`](Self::next_deadline) has come, before [`poll`](Self::poll).
    pub const fn set_voip(&mut self, metrics: Option<VoipMetrics>) {
        self.voip = metrics;
    }

    /// Changes the SSRC after a collision (RFC 3550, 8.2). If anything was sent under the old SSRC, a report or
    /// `packets` RTP packets, the next [`poll`](Self::poll) writes a goodbye for it and is due at once.
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

    /// Writes a report into `out` and returns its length, if one is due at `now`; otherwise returns `None`. In both
    /// cases, call it again at [`next_deadline`](Self::next_deadline).
    ///
    /// `receive` is what this side receives from each source: the report has a block about each one that sends, up to
    /// `SOURCES`. `send` is what this side has sent by `now`: with it, the report is a sender report as long as
    /// packets go out, otherwise a receiver report.
    ///
    /// # Errors
    /// Returns [`WriteError::OutputTooSmall`] if the report does not fit into `out`, which cannot happen with
    /// [`MAX_REPORT_LEN`](Self::MAX_REPORT_LEN) bytes. Nothing was reported then, and the next call tries again.
    pub fn poll(
        &mut self,
        now: Instant,
        receive: &[ReceptionStats],
        send: Option<&SendInfo>,
        out: &mut [u8],
    ) -> Result<Option<usize>, WriteError> {
        self.poll_with(now, receive, send, &[], out)
    }

    /// As [`poll`](Self::poll), with `feedback` that waits to be sent: it goes with the report that is due, or before
    /// it if [`request`](Self::request) found that it may. Whatever is written contains all of it.
    ///
    /// # Errors
    /// As for [`poll`](Self::poll); `out` needs room for the feedback in addition.
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

    /// `send`, if packets went out since the last report but one.
    fn active_send<'a>(&self, send: Option<&'a SendInfo>) -> Option<&'a SendInfo> {
        send.filter(|send| send.packets != self.packets_before[0])
    }

    /// Those of whom packets came since the last report: only then is there a block about them (6.4).
    fn active_receive<'a>(&'a self, receive: &'a [ReceptionStats]) -> impl Iterator<Item = &'a ReceptionStats> {
        let active = |stats: &&ReceptionStats| stats.received_since(reported_of(&self.reported, stats.ssrc)) > 0;
        receive.iter().filter(active).take(SOURCES)
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
        let blocks = part(&blocks, 0, count);
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
            self.departures[self.next_departure % REMEMBERED_REPORTS] = Some((ntp.middle(), now));
            self.next_departure = self.next_departure.wrapping_add(1);
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

//! When RTCP reports are sent, what they say, and what the peer's reports tell (RFC 3550, 6.2-6.4 and
//! A.7); with VoIP metrics, if it is given any, and round trips of an end that sends nothing (RFC 3611, 4.4-4.7).
//!
//! For one stream out, and as many in as `SOURCES` says. Sans-IO: [`RtcpReporter::poll`] writes a compound packet when one
//! is due, [`RtcpReporter::next_deadline`] says when to ask again, [`RtcpReporter::receive`] takes the peer's
//! datagrams. Intervals are random between 0.41 and 1.23 times the calculated one, with its mean (6.3.1), from a seed;
//! the timer is reconsidered at each expiry (6.3.6). Reverse reconsideration and BYE back-off are for many parties and
//! left out, as 6.3 and 6.3.7 allow for few. Round trips are measured on the monotonic clock: a step of the wall clock
//! does no harm. Cost: some 64-bit divisions a report, none a media packet.

use core::{fmt, slice};

use super::ReceptionStats;
use crate::time::{Duration, Instant, NtpTime, RtpTime, Ssrc};
use crate::wire::rtcp::xr::{Dlrr, DlrrItem};
use crate::wire::rtcp::{
    Compound, CompoundRule, CompoundWriter, Packet, ParseError, ReportBlock, SdesItem, SenderInfo, VoipMetrics,
    WriteError, Xr, XrBlock,
};

/// IPv4 and UDP headers, which count as RTCP bandwidth (6.2).
const LOWER_LAYERS: usize = 28;
/// Sender reports whose departure is remembered, to measure round trips with.
const REMEMBERED_REPORTS: usize = 4;
/// A peer is gone after this many intervals of silence (6.3.5).
const TIMEOUT_INTERVALS: u64 = 5;
/// Report blocks that one report can hold (6.4.1).
const MAX_BLOCKS: usize = 31;
const SHORTEST_INTERVAL_US: u64 = 10_000;
const LONGEST_INTERVAL_US: u64 = 3_600_000_000;

/// A canonical name of 1-64 bytes (6.5.1). The host makes it, for example as RFC 7022 recommends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Cname {
    bytes: [u8; Self::MAX_LEN],
    len: u8,
}

impl Cname {
    /// The longest name kept, in bytes.
    pub const MAX_LEN: usize = 64;

    /// A copy of `name`; `None` if it is empty or longer than 64 bytes.
    pub fn new(name: &str) -> Option<Self> {
        let mut bytes = [0; Self::MAX_LEN];
        bytes.get_mut(..name.len()).filter(|slot| !slot.is_empty())?.copy_from_slice(name.as_bytes());
        Some(Self { bytes, len: name.len() as u8 })
    }

    /// The name in UTF-8.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// How to report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ReporterConfig {
    /// The source that this end sends as, in RTP and RTCP.
    pub ssrc: Ssrc,
    /// The canonical name of this end. There is no default.
    pub cname: Option<Cname>,
    /// The session bandwidth, in kbit/s with IP and UDP headers, at least 1. RTCP has 5 % of it.
    pub session_bandwidth_kbps: u32,
    /// Minimum of the calculated interval, 10 ms to 1 h; before the first report it is half of it.
    pub min_interval: Duration,
    /// Use 360 s divided by the session bandwidth in kbit/s as minimum, if that is shorter (6.2).
    pub reduced_minimum: bool,
    /// Take datagrams that don't begin with a report: both ends agreed to reduced-size RTCP (RFC 5506).
    pub reduced_size: bool,
    /// Measure the round trip also while this end sends nothing, and let the peer do so: both ends agreed to
    /// `a=rtcp-xr:rcvr-rtt=all` (RFC 3611, 5.1).
    pub receiver_round_trip: bool,
    /// Where the random intervals start: to differ between calls, and to be the same in a repeated one.
    pub seed: u32,
}

impl Default for ReporterConfig {
    /// 80 kbit/s (G.711 in packets of 20 ms) and the RFC's 5 s.
    fn default() -> Self {
        Self {
            ssrc: Ssrc(0),
            cname: None,
            session_bandwidth_kbps: 80,
            min_interval: Duration::from_secs(5),
            reduced_minimum: false,
            reduced_size: false,
            receiver_round_trip: false,
            seed: 0,
        }
    }
}

/// Why a [`ReporterConfig`] is unusable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ReporterConfigError {
    /// There is no canonical name.
    NoCname,
    /// The session bandwidth is 0.
    NoBandwidth,
    /// The minimum interval is not between 10 ms and 1 h.
    MinInterval(Duration),
}

impl fmt::Display for ReporterConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NoCname => write!(f, "RTCP needs a canonical name"),
            Self::NoBandwidth => write!(f, "RTCP needs a session bandwidth above 0"),
            Self::MinInterval(interval) => {
                write!(f, "minimum RTCP interval of {} ms, 10 ms to 1 h are possible", interval.as_millis())
            }
        }
    }
}

impl core::error::Error for ReporterConfigError {}

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

/// A sender report of the peer, and when it came: its wall clock beside its RTP clock, for lip-sync and one-way drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SenderClock {
    /// The source.
    pub ssrc: Ssrc,
    /// Its clocks and counters.
    pub info: SenderInfo,
    /// When the report arrived.
    pub arrived: Instant,
}

/// What the peer receives of this end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RemoteReception {
    /// The peer's report block about this end: loss, jitter and highest sequence number.
    pub block: ReportBlock,
    /// Round-trip time (6.4.1), if the block refers to one of the last four sender reports and isn't absurd.
    pub round_trip: Option<Duration>,
}

/// What one datagram of the peer told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PeerReport {
    /// Who sent the last report in it.
    pub ssrc: Option<Ssrc>,
    /// The sender report in it.
    pub clock: Option<SenderClock>,
    /// What the peer receives of this end.
    pub reception: Option<RemoteReception>,
    /// Round-trip time by its answer to a reference time (RFC 3611, 4.5), under the same conditions.
    pub receiver_round_trip: Option<Duration>,
    /// How the peer hears this end: loss, delay, levels and quality.
    pub voip: Option<VoipMetrics>,
    /// The peer said goodbye.
    pub bye: bool,
    /// It came in this end's own name: a loop, or a collision of SSRCs (8.2). Nothing else in it was used.
    pub collision: bool,
    /// Packets with a malformed body that were skipped.
    pub malformed: u8,
}

#[derive(Clone, Copy, Debug)]
struct Peer {
    ssrc: Ssrc,
    heard: Instant,
}

/// Schedules and writes this end's reports, and reads the peer's. It reports on up to `SOURCES`, 1 to 31.
#[derive(Clone, Debug)]
pub struct RtcpReporter<const SOURCES: usize> {
    config: ReporterConfig,
    cname: Cname,
    random: u32,
    last_sent: Instant,
    next: Instant,
    /// No report was sent yet.
    initial: bool,
    left: bool,
    /// Average datagram with lower layers, in 1/16 byte.
    average_size_16: u32,
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

impl<const SOURCES: usize> RtcpReporter<SOURCES> {
    /// SR with a block for each source, and SDES with the longest CNAME.
    const LONGEST_PLAIN_REPORT: usize = 28 + 24 * SOURCES + 8 + (2 + Cname::MAX_LEN + 1).next_multiple_of(4);

    /// Bytes that [`poll`](Self::poll) needs at most: SR with a block for each source, SDES with the longest CNAME, and
    /// XR with metrics and an answer. (A reference time goes with a receiver report, which is shorter.)
    pub const MAX_REPORT_LEN: usize = Self::LONGEST_PLAIN_REPORT + 8 + 36 + 16;

    /// A participant that joined at `now` and has heard nobody.
    pub fn new(config: ReporterConfig, now: Instant) -> Result<Self, ReporterConfigError> {
        const { assert!(SOURCES >= 1 && SOURCES <= MAX_BLOCKS, "1 to 31 sources") };
        let cname = config.cname.ok_or(ReporterConfigError::NoCname)?;
        if config.session_bandwidth_kbps == 0 {
            return Err(ReporterConfigError::NoBandwidth);
        }
        if !(SHORTEST_INTERVAL_US..=LONGEST_INTERVAL_US).contains(&config.min_interval.as_micros()) {
            return Err(ReporterConfigError::MinInterval(config.min_interval));
        }
        // Any non-zero state will do for xorshift; the multiplication spreads small seeds.
        let random = (config.seed ^ config.ssrc.0.rotate_left(16)).wrapping_mul(0x9e37_79b1).max(1);
        let mut reporter = Self {
            config,
            cname,
            random,
            last_sent: now,
            next: now,
            initial: true,
            left: false,
            average_size_16: 16 * (LOWER_LAYERS + Self::LONGEST_PLAIN_REPORT) as u32,
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
    pub const fn next_deadline(&self) -> Instant {
        if self.left { Instant::from_micros(u64::MAX) } else { self.next }
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

    /// If a report is due at `now`, writes it to `out` and returns its length; call again at
    /// [`next_deadline`](Self::next_deadline) in either case.
    ///
    /// `receive` is what this end receives of each source: there is a block about each that sends, up to `SOURCES`.
    /// `send` is what it has sent by `now`: with it the report is a sender report as long as packets go out, otherwise a
    /// receiver report. With [`MAX_REPORT_LEN`](Self::MAX_REPORT_LEN) bytes in
    /// `out` it can't fail.
    pub fn poll(
        &mut self,
        now: Instant,
        receive: &[ReceptionStats],
        send: Option<&SendInfo>,
        out: &mut [u8],
    ) -> Result<Option<usize>, WriteError> {
        if self.left || now < self.next {
            return Ok(None);
        }
        self.forget_silent_peers(now);
        let we_send = self.active_send(send).is_some();
        let others = self.active_receive(receive).count() as u64;
        let due = self.last_sent + self.random_interval(we_send, others);
        if due > now {
            self.next = due;
            return Ok(None);
        }
        let len = self.write(now, receive, send, None, out)?;
        self.initial = false;
        self.last_sent = now;
        self.next = now + self.random_interval(we_send, others);
        Ok(Some(len))
    }

    /// Leaves: writes a last report with a goodbye and returns its length; `None` if this end never sent anything, which
    /// forbids a goodbye (6.3.7), or has left already. `reason` has at most 255 bytes.
    ///
    /// If it fails, the reporter has not left.
    pub fn bye(
        &mut self,
        now: Instant,
        receive: &[ReceptionStats],
        send: Option<&SendInfo>,
        reason: Option<&str>,
        out: &mut [u8],
    ) -> Result<Option<usize>, WriteError> {
        let silent = self.initial && send.is_none_or(|send| send.packets == 0);
        let len = if self.left || silent { None } else { Some(self.write(now, receive, send, Some(reason), out)?) };
        self.left = true;
        Ok(len)
    }

    /// Takes a datagram of RTCP from the peer, unprotected, as it arrived at `now`.
    pub fn receive(&mut self, now: Instant, datagram: &[u8]) -> Result<PeerReport, ParseError> {
        let rule = if self.config.reduced_size { CompoundRule::ReducedSize } else { CompoundRule::ReportFirst };
        let compound = Compound::parse(datagram, rule)?;
        let mut report = PeerReport::default();
        let from_us = |packet: &Packet<'_>| match packet {
            Packet::SenderReport(sr) => sr.ssrc() == self.config.ssrc,
            Packet::ReceiverReport(rr) => rr.ssrc() == self.config.ssrc,
            Packet::Xr(xr) => xr.ssrc() == self.config.ssrc,
            _ => false,
        };
        if compound.packets().flatten().any(|packet| from_us(&packet)) {
            report.collision = true;
            return Ok(report);
        }
        self.average_in(datagram.len());
        for packet in compound.packets() {
            match packet {
                Ok(Packet::SenderReport(sr)) => {
                    let clock = SenderClock { ssrc: sr.ssrc(), info: sr.info(), arrived: now };
                    self.keep_clock(clock);
                    report.clock = Some(clock);
                    self.heard(now, sr.ssrc(), sr.blocks(), &mut report);
                }
                Ok(Packet::ReceiverReport(rr)) => self.heard(now, rr.ssrc(), rr.blocks(), &mut report),
                Ok(Packet::Xr(xr)) => self.extended(now, &xr, &mut report),
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
        Ok(report)
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

    /// `send`, if packets went out since the last report but one.
    fn active_send<'a>(&self, send: Option<&'a SendInfo>) -> Option<&'a SendInfo> {
        send.filter(|send| send.packets != self.packets_before[0])
    }

    /// Those of whom packets came since the last report: only then is there a block about them (6.4).
    fn active_receive<'a>(&'a self, receive: &'a [ReceptionStats]) -> impl Iterator<Item = &'a ReceptionStats> {
        let active = |stats: &&ReceptionStats| stats.received_since(reported_of(&self.reported, stats.ssrc)) > 0;
        receive.iter().filter(active).take(SOURCES)
    }

    /// Writes one compound packet and takes note of what it reported; `leaving` holds the reason of a goodbye.
    fn write(
        &mut self,
        now: Instant,
        receive: &[ReceptionStats],
        send: Option<&SendInfo>,
        leaving: Option<Option<&str>>,
        out: &mut [u8],
    ) -> Result<usize, WriteError> {
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
        // An end without a wall clock may use the time since it joined (RFC 3611, 4.4).
        let reference = (self.config.receiver_round_trip && active_send.is_none())
            .then(|| send.map_or(NtpTime::default().plus(now.since(Instant::ZERO)), |send| send.ntp));
        let answer = self.answer(now).map(DlrrItem::to_bytes);
        let extended = [
            self.voip.map(XrBlock::VoipMetrics),
            reference.map(XrBlock::ReceiverReferenceTime),
            answer.as_ref().map(|answer| XrBlock::Dlrr(Dlrr::new(slice::from_ref(answer)))),
        ];
        let mut blocks = [XrBlock::ReceiverReferenceTime(NtpTime::default()); 3];
        let mut count = 0;
        for block in extended.into_iter().flatten() {
            blocks[count] = block;
            count += 1;
        }
        if count > 0 {
            writer.extended_report(ssrc, &blocks[..count])?;
        }
        if let Some(reason) = leaving {
            writer.bye(&[ssrc], reason.map(str::as_bytes))?;
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
        self.average_in(len);
        Ok(len)
    }

    /// The answer to the peer's reference time (RFC 3611, 4.5).
    fn answer(&self, now: Instant) -> Option<DlrrItem> {
        let (ssrc, last_rr, arrived) = self.peer_reference.filter(|_| self.config.receiver_round_trip)?;
        Some(DlrrItem { ssrc, last_rr, delay_since_last_rr: delay_since(now, arrived) })
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

    /// Counts a datagram into the average size, with a gain of 1/16 (6.3.3).
    fn average_in(&mut self, datagram_len: usize) {
        let size = (datagram_len.min(usize::from(u16::MAX)) + LOWER_LAYERS) as u32;
        self.average_size_16 = self.average_size_16 - self.average_size_16 / 16 + size;
    }

    fn forget_silent_peers(&mut self, now: Instant) {
        // The timeout uses the fixed minimum and the interval of a receiver, whatever this end uses itself (6.2, 6.3.5).
        let interval = self.calculated_interval_us(false, 0, self.config.min_interval.as_micros());
        let limit = Duration::from_micros(TIMEOUT_INTERVALS * interval);
        for peer in &mut self.peers {
            *peer = peer.filter(|peer| now.since(peer.heard) <= limit);
        }
    }

    /// The deterministic interval (6.3.1, 1-3), in microseconds; `others` are those who send beside us.
    fn calculated_interval_us(&self, we_send: bool, others: u64, min_us: u64) -> u64 {
        let members = 1 + others.max(self.peers.iter().flatten().count() as u64);
        let senders = u64::from(we_send) + others;
        // Sites that share, and their quarters of the bandwidth.
        let (sites, quarters) = match (4 * senders <= members, we_send) {
            (true, true) => (senders, 1),
            (true, false) => (members - senders, 3),
            (false, _) => (members, 4),
        };
        // 5 % of x kbit/s are 25/4 x bytes/s, of which `quarters`/4; with the size in 1/16 byte, all but this cancels.
        let bandwidth = u64::from(self.config.session_bandwidth_kbps) * quarters;
        let shared_us = sites * u64::from(self.average_size_16) * 40_000 / bandwidth;
        shared_us.max(min_us).clamp(SHORTEST_INTERVAL_US, LONGEST_INTERVAL_US)
    }

    /// The interval with its randomness (6.3.1, 4-5).
    fn random_interval(&mut self, we_send: bool, others: u64) -> Duration {
        let mut min_us = self.config.min_interval.as_micros();
        if self.config.reduced_minimum {
            min_us = min_us.min(360_000_000 / u64::from(self.config.session_bandwidth_kbps));
        }
        if self.initial {
            min_us /= 2;
        }
        let interval_us = self.calculated_interval_us(we_send, others, min_us);
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        // 0.5 to 1.5 in 1/65536, over e - 3/2, which makes up for the reconsideration. An hour fits in 32 bits.
        let factor = 0x8000 + u64::from(self.random >> 16);
        Duration::from_micros(((interval_us * factor) >> 16) * 100_000 / 121_828)
    }
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

    const START: Instant = Instant::from_millis(1_000_000);

    fn config() -> ReporterConfig {
        ReporterConfig { ssrc: Ssrc(1), cname: Cname::new("one@example"), seed: 7, ..ReporterConfig::default() }
    }

    fn reporter() -> RtcpReporter<1> {
        RtcpReporter::<1>::new(config(), START).unwrap()
    }

    fn next_report(reporter: &mut RtcpReporter<1>, send: Option<&SendInfo>, out: &mut [u8]) -> (Instant, usize) {
        for _ in 0..100 {
            let now = reporter.next_deadline();
            if let Some(len) = reporter.poll(now, &[], send, out).unwrap() {
                return (now, len);
            }
        }
        panic!("no report in a hundred deadlines");
    }

    #[test]
    fn config_is_checked() {
        assert!(Cname::new("").is_none() && Cname::new(&"x".repeat(65)).is_none());
        assert_eq!(Cname::new(&"x".repeat(64)).unwrap().as_bytes(), [b'x'; 64]);
        let error = |config| RtcpReporter::<1>::new(config, START).err();
        assert_eq!(error(ReporterConfig::default()), Some(ReporterConfigError::NoCname));
        let no_bandwidth = ReporterConfig { session_bandwidth_kbps: 0, ..config() };
        assert_eq!(error(no_bandwidth), Some(ReporterConfigError::NoBandwidth));
        let zero = ReporterConfig { min_interval: Duration::ZERO, ..config() };
        assert_eq!(error(zero), Some(ReporterConfigError::MinInterval(Duration::ZERO)));
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
    fn own_reports_coming_back_are_a_collision() {
        let (mut out, mut reporter) = ([0; 200], reporter());
        let (now, len) = next_report(&mut reporter, None, &mut out);
        let report = reporter.receive(now, &out[..len]).unwrap();
        assert_eq!(report, PeerReport { collision: true, ..PeerReport::default() });
    }

    #[test]
    fn extreme_configs_and_times_do_not_overflow() {
        let mut out = [0; 200];
        for session_bandwidth_kbps in [1, u32::MAX] {
            for min_interval in [Duration::from_millis(10), Duration::from_secs(3600)] {
                let config = ReporterConfig { session_bandwidth_kbps, min_interval, reduced_minimum: true, ..config() };
                let mut reporter = RtcpReporter::<1>::new(config, START).unwrap();
                let jumbo = [&[0x80, 201, 0, 1, 0, 0, 0, 2][..], &[0x80, 205, 0xff, 0xfe], &[0; 262_136]].concat();
                for _ in 0..100 {
                    reporter.receive(START, &jumbo).unwrap();
                }
                for now in [START, Instant::from_micros(u64::MAX), START] {
                    let stats = ReceptionStats { expected: u64::MAX, received: 1, ..ReceptionStats::default() };
                    let send = SendInfo { packets: u32::MAX, ..SendInfo::default() };
                    reporter.poll(now, slice::from_ref(&stats), Some(&send), &mut out).unwrap();
                    assert!(reporter.next_deadline() > START);
                }
            }
        }
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

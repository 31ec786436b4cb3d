//! Quality reports as a SIP stack sends them to a collector: `application/vq-rtcpxr` (RFC 6035) as text.
//!
//! Use it where a collector of voice quality reports is in use. [`VqReporter`] makes the reports from a call's numbers: one of each
//! interval, one of the whole session, and alerts. The SIP stack sends them, by PUBLISH or NOTIFY.
//!
//! The report at the end of a call that was agreed on and in which nothing was heard:
//!
//! ```
//! use std::time::{Duration, SystemTime};
//!
//! use dsp_core::time::Instant;
//! use host_std::monitoring::vq_rtcpxr::{VqReporter, VqSession, VqSnapshot};
//! use host_std::session::{Call, CallConfig};
//!
//! let (mut anna, mut bert) = (Call::new(CallConfig::new(4000)?)?, Call::new(CallConfig::new(5000)?)?);
//! let answer = bert.answer(Instant::ZERO, &anna.offer()?)?;
//! anna.accept(Instant::ZERO, &answer)?;
//!
//! let session = VqSession::new("a84b4c76e66710", "sip:anna@example.com", "sip:bert@example.com")?;
//! let begin = SystemTime::now();
//! let snapshot = |at| VqSnapshot::of(&anna, at).ok_or("not agreed on");
//! let reporter = VqReporter::new(session, snapshot(begin)?);
//! let text = reporter.session(&snapshot(begin + Duration::from_secs(60))?);
//! assert!(text.starts_with("VQSessionReport: CallTerm\r\n"));
//! assert!(text.contains("CallID: a84b4c76e66710\r\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Unknown values are left out, as 4.6 asks, and all reported values were measured between START and STOP. `LocalMetrics` are the
//! quality of the call as heard here. `RemoteMetrics` are the quality of our sound at the other side by its last report (RFC
//! 3611, 4.7), since the call began. Lines and their parts have the order of the grammar (4.6.1). Lines end once, as in the RFC's
//! examples and in the reports of phones, where the grammar taken literally has empty lines between groups.
//!
//! **Limits.** One stream of a call is reported. Levels are in dBm0, where 0 dBov is 6.15 dBm0 by the overload point of A-law (ITU-T
//! G.711; G.100.1).

mod metrics;

use std::fmt::{self, Write as _};
use std::net::SocketAddr;
use std::time::SystemTime;

use dsp_core::time::Ssrc;

use metrics::{local_metrics, remote_metrics};

use super::Interval;
use crate::calendar::date_time;
use crate::session::{Call, CallStats};

/// The media type of the reports.
pub const MEDIA_TYPE: &str = "application/vq-rtcpxr";
/// The event package (RFC 6035, 4.1).
pub const EVENT: &str = "vq-rtcpxr";

/// The group that is reported if the session has none: the grammar requires one.
const NO_GROUP: &str = "unknown";

/// The reason why a text can't be in a report.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VqError {
    /// The text doesn't match the grammar (RFC 6035, 4.6.1): the parameter, and the text.
    Malformed {
        /// The name of the parameter, such as `CallID`.
        what: &'static str,
        /// The text that was given.
        text: String,
    },
}

impl fmt::Display for VqError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Malformed { what, text } = self;
        write!(f, "{text:?} can't be {what} of a quality report (RFC 6035, 4.6.1)")
    }
}

impl std::error::Error for VqError {}

/// The session that is reported, as its SIP dialog names it. Each text is checked when it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VqSession {
    call_id: String,
    local_id: String,
    remote_id: String,
    remote_began: bool,
    local_group: String,
    remote_group: String,
    local_mac: Option<[u8; 6]>,
    dialog: Option<String>,
}

impl VqSession {
    /// Creates a session of the dialog with this `Call-ID`, between these two parties, each as in a `From` or `To` header without
    /// its parameters: `Alice <sip:alice@example.org>` or `sip:alice@example.org`. The local one began it.
    ///
    /// # Errors
    /// A [`VqError`] that names the text that the grammar doesn't allow there.
    pub fn new(call_id: &str, local_id: &str, remote_id: &str) -> Result<Self, VqError> {
        Ok(Self {
            call_id: checked("CallID", call_id, is_call_id)?,
            local_id: checked("LocalID", local_id, is_party)?,
            remote_id: checked("RemoteID", remote_id, is_party)?,
            remote_began: false,
            local_group: NO_GROUP.into(),
            remote_group: NO_GROUP.into(),
            local_mac: None,
            dialog: None,
        })
    }

    /// Returns this session, begun by the other side.
    #[must_use]
    pub fn begun_by_remote(self) -> Self {
        Self { remote_began: true, ..self }
    }

    /// Returns this session with names of groups, by which a collector adds up the reports of each side.
    ///
    /// # Errors
    /// A [`VqError`] that names the group with other characters than the grammar's `word-plus`.
    pub fn with_groups(self, local: &str, remote: &str) -> Result<Self, VqError> {
        let local_group = checked("LocalGroup", local, |text| is_of(text, is_word_plus))?;
        Ok(Self {
            local_group,
            remote_group: checked("RemoteGroup", remote, |text| is_of(text, is_word_plus))?,
            ..self
        })
    }

    /// Returns this session with the hardware address of this phone.
    #[must_use]
    pub fn with_mac(self, mac: [u8; 6]) -> Self {
        Self { local_mac: Some(mac), ..self }
    }

    /// Returns this session with the tags of the dialog.
    ///
    /// # Errors
    /// A [`VqError`] that names the tag that isn't a token.
    pub fn with_tags(self, to: &str, from: &str) -> Result<Self, VqError> {
        let to = checked("to-tag", to, |text| is_of(text, is_token))?;
        let from = checked("from-tag", from, |text| is_of(text, is_token))?;
        let dialog = Some(format!("{};to-tag={to};from-tag={from}", self.call_id));
        Ok(Self { dialog, ..self })
    }
}

fn checked(what: &'static str, text: &str, is_right: impl Fn(&str) -> bool) -> Result<String, VqError> {
    let text = text.trim();
    if is_right(text) { Ok(text.into()) } else { Err(VqError::Malformed { what, text: text.into() }) }
}

fn is_of(text: &str, sign: fn(u8) -> bool) -> bool {
    !text.is_empty() && text.len() <= 1_024 && text.bytes().all(sign)
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

fn is_word(byte: u8) -> bool {
    is_token(byte) || b"()<>:\\\"/[]?".contains(&byte)
}

fn is_word_plus(byte: u8) -> bool {
    (is_word(byte) && byte != b'"') || b"{}= ".contains(&byte)
}

/// `word [ "@" word ]`.
fn is_call_id(text: &str) -> bool {
    let (first, rest) = text.split_once('@').map_or((text, None), |(first, rest)| (first, Some(rest)));
    is_of(first, is_word) && rest.is_none_or(|rest| is_of(rest, is_word))
}

/// `name-addr` or `addr-spec` (RFC 3261, 25.1), as far as nothing of it can end the line.
fn is_party(text: &str) -> bool {
    let printable = text.len() <= 1_024 && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let uri = match text.split_once('<') {
        Some((_, rest)) => rest.strip_suffix('>'),
        None => Some(text).filter(|text| !text.contains(' ')),
    };
    let has_scheme = |uri: &str| {
        let (scheme, rest) = uri.split_once(':').unwrap_or_default();
        !rest.is_empty() && scheme.starts_with(|sign: char| sign.is_ascii_alphabetic())
    };
    printable && uri.is_some_and(has_scheme)
}

/// The codec that is received, as the descriptions have it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VqMedia {
    /// The payload type.
    pub payload_type: u8,
    /// The encoding name, such as `PCMU`.
    pub name: String,
    /// The RTP clock of its `a=rtpmap`, in Hz.
    pub rtp_clock_hz: u32,
    /// The length of a frame in ms; for a codec without frames that of a packet.
    pub frame_ms: u32,
    /// The number of frames in a packet.
    pub frames_per_packet: u32,
    /// The parameters of its `a=fmtp`, if they have only characters that the grammar allows, among which the semicolon isn't.
    pub fmtp: Option<String>,
    /// Whether pauses in silence were agreed on: comfort noise, or those of Opus.
    pub silence_suppression: bool,
}

/// All data of a report, at one moment of a call.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct VqSnapshot {
    /// The moment, by the wall clock.
    pub at: SystemTime,
    /// The numbers of the call.
    pub stats: CallStats,
    /// The codec that is received; `None` if it isn't known.
    pub media: Option<VqMedia>,
    /// The address at which we receive, and the source as which we send.
    pub local: (SocketAddr, Ssrc),
    /// The other side's address, and the source that is heard.
    pub remote: (SocketAddr, Ssrc),
}

impl VqSnapshot {
    /// Creates a snapshot of a call now; `None` before it is agreed on.
    pub fn of(call: &Call, at: SystemTime) -> Option<Self> {
        let stats = call.stats();
        let remote = call.destination(crate::session::Channel::Rtp)?;
        let local = SocketAddr::new(call.address(), call.rtp_port());
        let pair = stats.ice.and_then(|ice| ice.pair);
        let local = pair.map_or(local, |pair| pair.local);
        let media = call.negotiated_stream(0).and_then(|stream| {
            let codec = stream.receive.first()?;
            let format = &codec.format;
            let ptime_ms = stream.send_ptime_ms.max(1);
            let frame_ms = if format.is_named("iLBC") {
                if format.parameter("mode") == Some("20") { 20 } else { 30 }
            } else {
                ptime_ms
            };
            let pauses = stream.receive.iter().any(|codec| codec.format.is_named("CN"))
                || format.parameter("usedtx") == Some("1");
            Some(VqMedia {
                payload_type: codec.payload_type.get(),
                name: format.name.to_string(),
                rtp_clock_hz: format.rtp_clock_hz,
                frame_ms,
                frames_per_packet: (ptime_ms / frame_ms).max(1),
                fmtp: Some(format.fmtp.clone()).filter(|fmtp| is_of(fmtp, is_word_plus)),
                silence_suppression: pauses,
            })
        });
        let ours = call.sent_source(0).unwrap_or_default();
        Some(Self { at, media, local: (local, ours), remote: (remote, stats.local_voip.ssrc), stats })
    }
}

/// The number about which an alert is (RFC 6035, 4.6.1, `MetricType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VqMetric {
    /// The rating R without delay, 0 to 93.2.
    ListeningR,
    /// The rating R with delay, 0 to 93.2.
    ConversationalR,
    /// Listening quality, 1 to 4.5.
    MosLq,
    /// Conversational quality, 1 to 4.5.
    MosCq,
    /// Packets that never came, in percent.
    NetworkLoss,
    /// Packets that came too late or found no room, in percent.
    Discards,
    /// Mean length of a burst of losses, in ms.
    BurstDuration,
    /// The round trip, in ms.
    RoundTrip,
    /// Delay within this end, in ms.
    EndSystemDelay,
    /// Interarrival jitter (RFC 3550), in ms.
    Jitter,
}

impl VqMetric {
    /// Returns the name of the number in a report.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ListeningR => "RLQ",
            Self::ConversationalR => "RCQ",
            Self::MosLq => "MOSLQ",
            Self::MosCq => "MOSCQ",
            Self::NetworkLoss => "NLR",
            Self::Discards => "JDR",
            Self::BurstDuration => "BD",
            Self::RoundTrip => "RTD",
            Self::EndSystemDelay => "ESD",
            Self::Jitter => "IAJ",
        }
    }

    /// Returns the number between two snapshots of a call; `None` where it isn't known.
    pub fn value(self, earlier: &CallStats, later: &CallStats) -> Option<f64> {
        let interval = Interval::between(earlier, later);
        let bursts = &interval.bursts;
        match self {
            Self::ListeningR => interval.listening_r,
            Self::ConversationalR => interval.r_factor,
            Self::MosLq => interval.mos_lq,
            Self::MosCq => interval.mos_cq,
            Self::NetworkLoss => percent(bursts.lost, bursts.expected),
            Self::Discards => percent(bursts.discarded, bursts.expected),
            Self::BurstDuration => (bursts.expected > 0).then(|| f64::from(bursts.burst_duration_ms())),
            Self::RoundTrip => later.round_trip.map(|trip| trip.as_micros() as f64 / 1e3),
            Self::EndSystemDelay => (interval.bursts.expected > 0).then_some(interval.end_system_delay_ms),
            Self::Jitter => (interval.received > 0).then(|| jitter_ms(later)),
        }
    }

    /// Returns whether less of it is worse.
    const fn is_quality(self) -> bool {
        matches!(self, Self::ListeningR | Self::ConversationalR | Self::MosLq | Self::MosCq)
    }
}

/// The severity of a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VqSeverity {
    /// The number is good again.
    #[default]
    Clear,
    /// The number should be looked at.
    Warning,
    /// The number is so bad that something must be done.
    Critical,
}

impl VqSeverity {
    const fn name(self) -> &'static str {
        match self {
            Self::Clear => "Clear",
            Self::Warning => "Warning",
            Self::Critical => "Critical",
        }
    }
}

/// Reports once when a number has become worse than a limit, and once when it is good again. So that a number near a limit
/// doesn't give an alert again and again, it must be better than the limit by a quarter of the distance between both limits
/// before the alert is over.
///
/// ```
/// use host_std::monitoring::vq_rtcpxr::{VqAlarm, VqMetric};
/// use host_std::session::CallStats;
///
/// // A warning at a loss of 2 %, a critical alert at 5 %.
/// let mut alarm = VqAlarm::new(VqMetric::NetworkLoss, 2.0, 5.0);
/// // Look at two snapshots of a call each few seconds; here nothing has happened yet.
/// assert_eq!(alarm.look(&CallStats::default(), &CallStats::default()), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VqAlarm {
    metric: VqMetric,
    warning: f64,
    critical: f64,
    now: VqSeverity,
}

impl VqAlarm {
    /// Creates an alarm for this number, with limits in its unit. For a quality the critical limit is the lower one, for anything
    /// else the higher one.
    pub const fn new(metric: VqMetric, warning: f64, critical: f64) -> Self {
        Self { metric, warning, critical, now: VqSeverity::Clear }
    }

    /// Returns the new severity from the difference of two snapshots; `None` if it hasn't changed, or the number isn't known.
    pub fn look(&mut self, earlier: &CallStats, later: &CallStats) -> Option<VqSeverity> {
        let value = self.metric.value(earlier, later)?;
        let sign = if self.metric.is_quality() { -1.0 } else { 1.0 };
        let margin = (self.critical - self.warning).abs() / 4.0;
        // The sign makes higher values worse; a severity that was reported stays until the value is better by the margin.
        let beyond = |limit: f64, told: bool| sign * value > sign * limit - if told { margin } else { 0.0 };
        let severity = if beyond(self.critical, self.now == VqSeverity::Critical) {
            VqSeverity::Critical
        } else if beyond(self.warning, self.now >= VqSeverity::Warning) {
            VqSeverity::Warning
        } else {
            VqSeverity::Clear
        };
        let before = std::mem::replace(&mut self.now, severity);
        (before != severity).then_some(severity)
    }

    /// Returns the number that the alarm is for.
    pub const fn metric(&self) -> VqMetric {
        self.metric
    }
}

/// Makes the reports of one session.
///
/// [The module's page](self) has an example.
#[derive(Clone, Debug)]
pub struct VqReporter {
    session: VqSession,
    begin: VqSnapshot,
    last: VqSnapshot,
}

impl VqReporter {
    /// Creates a reporter of a session that begins with this snapshot of the call.
    pub fn new(session: VqSession, begin: VqSnapshot) -> Self {
        Self { session, last: begin.clone(), begin }
    }

    /// Returns the numbers at the end of the last interval, or at the beginning.
    pub fn last(&self) -> &CallStats {
        &self.last.stats
    }

    /// `VQIntervalReport`: from the last such report until `now`, where the next one begins.
    pub fn interval(&mut self, now: VqSnapshot) -> String {
        let text = self.text("VQIntervalReport", &self.last, &now);
        self.last = now;
        text
    }

    /// `VQSessionReport: CallTerm`: all of the session, which is over.
    pub fn session(&self, now: &VqSnapshot) -> String {
        self.text("VQSessionReport: CallTerm", &self.begin, now)
    }

    /// `VQAlertReport`: that a number of ours became better or worse, with the numbers since the last interval's report.
    pub fn alert(&self, metric: VqMetric, severity: VqSeverity, now: &VqSnapshot) -> String {
        let head = format!("VQAlertReport: Type={} Severity={} Dir=local", metric.name(), severity.name());
        self.text(&head, &self.last, now)
    }

    fn text(&self, head: &str, from: &VqSnapshot, now: &VqSnapshot) -> String {
        let session = &self.session;
        let began = if session.remote_began { &session.remote_id } else { &session.local_id };
        let mut text = format!(
            "{head}\r\nCallID: {}\r\nLocalID: {}\r\nRemoteID: {}\r\nOrigID: {began}\r\n",
            session.call_id, session.local_id, session.remote_id
        );
        for (name, (address, Ssrc(ssrc))) in [("LocalAddr", now.local), ("RemoteAddr", now.remote)] {
            let (ip, port) = (address.ip().to_canonical(), address.port());
            let _ = write!(text, "{name}: IP={ip} PORT={port} SSRC=0x{ssrc:08x}\r\n");
        }
        let _ = write!(text, "LocalGroup: {}\r\nRemoteGroup: {}\r\n", session.local_group, session.remote_group);
        if let Some([a, b, c, d, e, f]) = session.local_mac {
            let _ = write!(text, "LocalMAC: {a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}\r\n");
        }
        text += "LocalMetrics:\r\n";
        local_metrics(&mut text, from, now);
        if let Some(voip) = &now.stats.remote_voip {
            text += "RemoteMetrics:\r\n";
            let _ = write!(text, "Timestamps:START={} STOP={}\r\n", date_time(self.begin.at), date_time(now.at));
            remote_metrics(&mut text, voip, &now.stats);
        }
        if let Some(dialog) = &session.dialog {
            let _ = write!(text, "DialogID:{dialog}\r\n");
        }
        text
    }
}

fn jitter_ms(stats: &CallStats) -> f64 {
    f64::from(stats.receiver.reception.jitter_ticks) * 1e3 / f64::from(stats.receiver.clock_hz.max(1))
}

fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| 100.0 * part as f64 / whole as f64)
}

//! Settings of RTCP: who reports, its share of the bandwidth, and what both sides agreed on (RFC 3550, 6.2 and 6.5.1;
//! RFC 3611, 5.1; RFC 4585, 3.4; RFC 5506). Intervals are in microseconds, bandwidth in kbit/s.

use core::fmt;

use crate::slices::part;
use crate::time::{Duration, Ssrc};

/// Bounds of the calculated interval.
pub(super) const SHORTEST_INTERVAL_US: u64 = 10_000;
pub(super) const LONGEST_INTERVAL_US: u64 = 3_600_000_000;

/// A canonical name (CNAME) of 1 to 64 bytes (RFC 3550, 6.5.1). The program makes it, for example as RFC 7022
/// recommends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Cname {
    bytes: [u8; Self::MAX_LEN],
    len: u8,
}

impl Cname {
    /// Length of the longest name, in bytes.
    pub const MAX_LEN: usize = 64;

    /// A copy of `name`; `None` if it is empty or longer than 64 bytes.
    pub fn new(name: &str) -> Option<Self> {
        let mut bytes = [0; Self::MAX_LEN];
        bytes.get_mut(..name.len()).filter(|slot| !slot.is_empty())?.copy_from_slice(name.as_bytes());
        Some(Self { bytes, len: name.len() as u8 })
    }

    /// The name as UTF-8 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        part(&self.bytes, 0, self.len.into())
    }
}

/// Timing of regular reports with feedback: the profile AVPF (RFC 4585, 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FeedbackTiming {
    /// Least time between regular reports: `trr-int` of `a=rtcp-fb` (`T_rr_interval`, RFC 4585, 3.4). A report that
    /// comes due earlier is left out, or consists of the feedback alone. With zero, no report is left out.
    pub regular_interval: Duration,
}

/// Settings of an [`RtcpReporter`](super::RtcpReporter).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ReporterConfig {
    /// SSRC with which this side sends RTP and RTCP.
    pub ssrc: Ssrc,
    /// Canonical name of this side. It must be set: there is no default.
    pub cname: Option<Cname>,
    /// Session bandwidth, in kbit/s with IP and UDP headers, at least 1. RTCP takes 5 % of it.
    pub session_bandwidth_kbps: u32,
    /// Minimum of the calculated interval between reports, 10 ms to 1 h. Before the first report, half of it applies.
    pub min_interval: Duration,
    /// Whether the minimum is 360 s divided by the session bandwidth in kbit/s, if that is shorter (RFC 3550, 6.2).
    pub reduced_minimum: bool,
    /// Whether both sides agreed to reduced-size RTCP (RFC 5506): datagrams that do not begin with a report are
    /// accepted, and feedback is sent without a report.
    pub reduced_size: bool,
    /// Timing of feedback, if both sides agreed to it (AVPF). Reports then come as often as their share of the
    /// bandwidth allows, with feedback between them, and `min_interval` and `reduced_minimum` have no effect (RFC
    /// 4585, 3.4).
    pub feedback: Option<FeedbackTiming>,
    /// Whether the round trip is also measured while this side sends nothing, and the other side is answered when it
    /// does so: both sides agreed to `a=rtcp-xr:rcvr-rtt=all` (RFC 3611, 5.1).
    pub receiver_round_trip: bool,
    /// Seed of the random intervals. It should differ from call to call; the same seed repeats the same intervals.
    pub seed: u32,
}

impl Default for ReporterConfig {
    /// 80 kbit/s (G.711 in packets of 20 ms), and the minimum interval of RFC 3550, 5 s. The canonical name is missing
    /// and must be set.
    fn default() -> Self {
        Self {
            ssrc: Ssrc(0),
            cname: None,
            session_bandwidth_kbps: 80,
            min_interval: Duration::from_secs(5),
            reduced_minimum: false,
            reduced_size: false,
            feedback: None,
            receiver_round_trip: false,
            seed: 0,
        }
    }
}

impl ReporterConfig {
    /// The canonical name, if all is usable.
    pub(super) fn check(&self) -> Result<Cname, ReporterConfigError> {
        let cname = self.cname.ok_or(ReporterConfigError::NoCname)?;
        if self.session_bandwidth_kbps == 0 {
            return Err(ReporterConfigError::NoBandwidth);
        }
        if !(SHORTEST_INTERVAL_US..=LONGEST_INTERVAL_US).contains(&self.min_interval.as_micros()) {
            return Err(ReporterConfigError::MinInterval(self.min_interval));
        }
        if let Some(FeedbackTiming { regular_interval }) = self.feedback
            && regular_interval.as_micros() > LONGEST_INTERVAL_US
        {
            return Err(ReporterConfigError::RegularInterval(regular_interval));
        }
        Ok(cname)
    }
}

/// Why a [`ReporterConfig`] cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ReporterConfigError {
    /// The canonical name is missing.
    NoCname,
    /// The session bandwidth is 0.
    NoBandwidth,
    /// The minimum interval is not between 10 ms and 1 h.
    MinInterval(Duration),
    /// The least time between regular reports is longer than 1 h.
    RegularInterval(Duration),
}

impl fmt::Display for ReporterConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NoCname => write!(f, "RTCP needs a canonical name"),
            Self::NoBandwidth => write!(f, "RTCP needs a session bandwidth above 0"),
            Self::RegularInterval(interval) => {
                write!(f, "regular RTCP reports each {} s, up to 1 h is possible", interval.as_millis() / 1_000)
            }
            Self::MinInterval(interval) => {
                write!(f, "minimum RTCP interval of {} ms, 10 ms to 1 h are possible", interval.as_millis())
            }
        }
    }
}

impl core::error::Error for ReporterConfigError {}

#[cfg(test)]
mod tests {
    use super::super::RtcpReporter;
    use super::super::tests::{START, config};
    use super::*;

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
        let regular_interval = Duration::from_secs(3_601);
        let seldom = ReporterConfig { feedback: Some(FeedbackTiming { regular_interval }), ..config() };
        assert_eq!(error(seldom), Some(ReporterConfigError::RegularInterval(regular_interval)));
    }
}

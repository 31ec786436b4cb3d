//! How RTCP is reported: who reports, its share of the bandwidth, and what both ends agreed to (RFC 3550, 6.2 and 6.5.1;
//! RFC 3611, 5.1; RFC 4585, 3.4; RFC 5506).
//!
//! Units: intervals in microseconds, bandwidth in kbit/s.

use core::fmt;

use crate::time::{Duration, Ssrc};

/// Bounds of the calculated interval.
pub(super) const SHORTEST_INTERVAL_US: u64 = 10_000;
pub(super) const LONGEST_INTERVAL_US: u64 = 3_600_000_000;

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

/// When feedback leaves and how that changes regular reports: the profile AVPF (RFC 4585, 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FeedbackTiming {
    /// The least time between regular reports, `trr-int` of `a=rtcp-fb` (`T_rr_interval`, 3.4): within it a report that is due
    /// is left out, or is the feedback alone. Zero: none is left out.
    pub regular_interval: Duration,
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
    /// Take datagrams that don't begin with a report, and send feedback without one: both ends agreed to reduced-size RTCP
    /// (RFC 5506).
    pub reduced_size: bool,
    /// Both ends agreed to feedback (AVPF): reports may come as often as their share of the bandwidth allows, and feedback
    /// between them. `min_interval` and `reduced_minimum` count no more then (RFC 4585, 3.4).
    pub feedback: Option<FeedbackTiming>,
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

/// Why a [`ReporterConfig`] is unusable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ReporterConfigError {
    /// There is no canonical name.
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

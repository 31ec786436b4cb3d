//! The parameters of Opus in SDP's `a=fmtp` (RFC 7587, 6.1 and 7), read, written and turned into settings.
//!
//! All parameters but the `sprop-` ones describe the stream that their writer wishes to *receive*, and offer and answer don't
//! depend on one another (7.1): each side [applies](OpusFmtp::apply) the other side's parameters to its encoder, and writes those
//! for its own decoder.

use std::fmt;

use super::{OpusBandwidth, OpusEncoderConfig, OpusRateControl};

/// The parameters of Opus in one side's `a=fmtp` (RFC 7587, 6.1). The default has the values of parameters that are absent.
///
/// ```
/// use host_std::opus::{OpusBandwidth, OpusEncoderConfig, OpusFmtp};
///
/// // What the other side wishes to receive, out of its `a=fmtp:111 ...`.
/// let theirs = OpusFmtp::parse("maxplaybackrate=16000; maxaveragebitrate=20000; useinbandfec=1")?;
/// let mut config = OpusEncoderConfig { bitrate_bps: 64_000, ..Default::default() };
/// theirs.apply(&mut config);
/// assert_eq!((config.bitrate_bps, config.max_bandwidth), (20_000, OpusBandwidth::Wide));
///
/// // What we say of ourselves.
/// let ours = OpusFmtp::of(&OpusEncoderConfig { sample_rate_hz: 16_000, ..Default::default() });
/// assert_eq!(ours.to_string(), "maxplaybackrate=16000;sprop-maxcapturerate=16000;useinbandfec=1");
/// # Ok::<_, host_std::opus::OpusFmtpError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusFmtp {
    /// `maxplaybackrate`: the highest sampling rate that the writer can play, 8000 to 48,000 Hz.
    pub max_playback_rate_hz: u32,
    /// `sprop-maxcapturerate`: the highest sampling rate of the writer's sent sound, 8000 to 48,000 Hz.
    pub max_capture_rate_hz: u32,
    /// `maxaveragebitrate`: the most that the writer can receive, 6000 to 510,000 bit/s. Values beyond are ignored, as the RFC
    /// asks.
    pub max_average_bitrate_bps: Option<u32>,
    /// `stereo`: the writer prefers two channels; to one that doesn't, none must be sent.
    pub stereo: bool,
    /// `sprop-stereo`: the writer is likely to send two channels.
    pub sends_stereo: bool,
    /// `cbr`: the writer prefers packets of constant size.
    pub cbr: bool,
    /// `useinbandfec`: the writer can use in-band FEC.
    pub fec: bool,
    /// `usedtx`: the writer prefers that silence isn't sent.
    pub dtx: bool,
}

impl Default for OpusFmtp {
    fn default() -> Self {
        Self {
            max_playback_rate_hz: 48_000,
            max_capture_rate_hz: 48_000,
            max_average_bitrate_bps: None,
            stereo: false,
            sends_stereo: false,
            cbr: false,
            fec: false,
            dtx: false,
        }
    }
}

/// The reason why parameters can't be read, with the name of the parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpusFmtpError {
    /// The value isn't 0 or 1.
    Flag {
        /// The parameter.
        parameter: &'static str,
    },
    /// The value isn't a number from 8,000 to 48,000.
    Rate {
        /// The parameter.
        parameter: &'static str,
    },
    /// The value isn't a positive number.
    Bitrate {
        /// The parameter.
        parameter: &'static str,
    },
}

impl fmt::Display for OpusFmtpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Flag { parameter } => write!(f, "{parameter} of Opus is neither 0 nor 1"),
            Self::Rate { parameter } => write!(f, "{parameter} of Opus is no rate from 8000 to 48000 Hz"),
            Self::Bitrate { parameter } => write!(f, "{parameter} of Opus is no positive number"),
        }
    }
}

impl std::error::Error for OpusFmtpError {}

impl OpusFmtp {
    /// Reads the parameters after the payload type of an `a=fmtp` line: `name=value` separated by semicolons, in any case, with
    /// or without blanks. Unknown parameters are ignored (RFC 7587, 7.1), and so are packet lengths, which SDP has in attributes
    /// of their own; if a parameter is repeated, the last one counts.
    ///
    /// # Errors
    /// The [`OpusFmtpError`] that names the first parameter with a value that it can't have.
    pub fn parse(text: &str) -> Result<Self, OpusFmtpError> {
        let mut fmtp = Self::default();
        for part in text.split(';') {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (name.trim(), value.trim());
            let Some(&parameter) = NAMES.iter().find(|known| known.eq_ignore_ascii_case(name)) else { continue };
            let flag = || match value {
                "0" => Ok(false),
                "1" => Ok(true),
                _ => Err(OpusFmtpError::Flag { parameter }),
            };
            let rate = || number(value, 8_000..=48_000).ok_or(OpusFmtpError::Rate { parameter });
            match parameter {
                "maxplaybackrate" => fmtp.max_playback_rate_hz = rate()?,
                "sprop-maxcapturerate" => fmtp.max_capture_rate_hz = rate()?,
                "maxaveragebitrate" => {
                    let bps = number(value, 1..=u32::MAX).ok_or(OpusFmtpError::Bitrate { parameter })?;
                    fmtp.max_average_bitrate_bps = Some(bps).filter(|bps| (6_000..=510_000).contains(bps));
                }
                "stereo" => fmtp.stereo = flag()?,
                "sprop-stereo" => fmtp.sends_stereo = flag()?,
                "cbr" => fmtp.cbr = flag()?,
                "useinbandfec" => fmtp.fec = flag()?,
                _ => fmtp.dtx = flag()?,
            }
        }
        Ok(fmtp)
    }

    /// Returns the parameters of a side that is configured as `config`: it plays and records at that rate and with those
    /// channels, and wishes to receive the same kind of stream that it sends. They contain no bit rate, since the side can
    /// receive any.
    pub fn of(config: &OpusEncoderConfig) -> Self {
        Self {
            max_playback_rate_hz: config.sample_rate_hz,
            max_capture_rate_hz: config.sample_rate_hz,
            stereo: config.channels == 2,
            sends_stereo: config.channels == 2,
            cbr: config.rate_control == OpusRateControl::Cbr,
            fec: config.fec,
            dtx: config.dtx,
            ..Self::default()
        }
    }

    /// Restricts `config` to the stream that the writer of these parameters wishes to receive. Bit rate and bandwidth are capped,
    /// never raised; two channels are coded as one, unless the writer prefers stereo; FEC is left out where it can't be used;
    /// constant size is set where it's preferred, and kept where we want it; DTX is as the writer prefers.
    pub fn apply(&self, config: &mut OpusEncoderConfig) {
        if let Some(bps) = self.max_average_bitrate_bps {
            config.bitrate_bps = config.bitrate_bps.min(bps);
        }
        config.max_bandwidth = config.max_bandwidth.min(OpusBandwidth::of_rate(self.max_playback_rate_hz));
        if !self.stereo {
            config.coded_channels = Some(1);
        }
        if self.cbr {
            config.rate_control = OpusRateControl::Cbr;
        }
        config.fec &= self.fec;
        config.dtx = self.dtx;
    }
}

/// The names that are read.
const NAMES: [&str; 8] = [
    "maxplaybackrate",
    "sprop-maxcapturerate",
    "maxaveragebitrate",
    "stereo",
    "sprop-stereo",
    "cbr",
    "useinbandfec",
    "usedtx",
];

/// Digits alone: `parse` would take a sign.
fn number(text: &str, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|number| digits && range.contains(number))
}

/// Writes the parameters as they follow the payload type of an `a=fmtp` line; defaults aren't written, so the text may be empty.
impl fmt::Display for OpusFmtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let below_full = |rate_hz| Some(rate_hz).filter(|rate_hz| *rate_hz != 48_000);
        let set = |flag: bool| flag.then_some(1);
        let values = [
            below_full(self.max_playback_rate_hz),
            below_full(self.max_capture_rate_hz),
            self.max_average_bitrate_bps,
            set(self.stereo),
            set(self.sends_stereo),
            set(self.cbr),
            set(self.fec),
            set(self.dtx),
        ];
        let mut separator = "";
        for (name, value) in NAMES.iter().zip(values) {
            if let Some(value) = value {
                write!(f, "{separator}{name}={value}")?;
                separator = ";";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_others_write() {
        let browser = OpusFmtp::parse("minptime=10;useinbandfec=1").unwrap();
        assert_eq!(browser, OpusFmtp { fec: true, ..Default::default() });
        let all = "MaxPlaybackRate=16000; sprop-maxcapturerate = 8000 ;maxaveragebitrate=20000; STEREO=1;\
                   sprop-stereo=1;cbr=1;useinbandfec=1;usedtx=1;ptime=20;maxptime=60;x-unknown=;;";
        let read = OpusFmtp::parse(all).unwrap();
        let want = OpusFmtp {
            max_playback_rate_hz: 16_000,
            max_capture_rate_hz: 8_000,
            max_average_bitrate_bps: Some(20_000),
            stereo: true,
            sends_stereo: true,
            cbr: true,
            fec: true,
            dtx: true,
        };
        assert_eq!(read, want);
        assert_eq!(OpusFmtp::parse(&read.to_string()), Ok(want));
        assert_eq!(
            OpusFmtp::parse("ptime=2;cbr=1;maxptime=x"),
            OpusFmtp::parse("cbr=1"),
            "of packet lengths nothing counts"
        );
        assert_eq!(OpusFmtp::parse(""), Ok(OpusFmtp::default()));
        assert_eq!(OpusFmtp::default().to_string(), "");
        assert_eq!(OpusFmtp::parse("cbr=1;cbr=0"), Ok(OpusFmtp::default()), "the last counts");
    }

    #[test]
    fn a_bit_rate_out_of_range_is_ignored_and_a_wrong_value_named() {
        for bps in ["5999", "510001", "4000000000"] {
            assert_eq!(OpusFmtp::parse(&format!("maxaveragebitrate={bps}")), Ok(OpusFmtp::default()));
        }
        for (text, error) in [
            ("maxaveragebitrate=0", OpusFmtpError::Bitrate { parameter: "maxaveragebitrate" }),
            ("maxaveragebitrate=-64000", OpusFmtpError::Bitrate { parameter: "maxaveragebitrate" }),
            ("maxaveragebitrate=99999999999", OpusFmtpError::Bitrate { parameter: "maxaveragebitrate" }),
            ("maxplaybackrate=7999", OpusFmtpError::Rate { parameter: "maxplaybackrate" }),
            ("sprop-maxcapturerate=+8000", OpusFmtpError::Rate { parameter: "sprop-maxcapturerate" }),
            ("Stereo=yes", OpusFmtpError::Flag { parameter: "stereo" }),
            ("usedtx", OpusFmtpError::Flag { parameter: "usedtx" }),
        ] {
            assert_eq!(OpusFmtp::parse(text), Err(error), "{text}");
        }
        let error = OpusFmtp::parse("stereo=2").unwrap_err();
        assert_eq!(error.to_string(), "stereo of Opus is neither 0 nor 1");
    }

    #[test]
    fn wishes_cap_the_encoder_and_raise_nothing() {
        let ours = OpusEncoderConfig { channels: 2, bitrate_bps: 40_000, dtx: true, ..Default::default() };
        let sent_to = |text: &str| {
            let mut config = ours;
            OpusFmtp::parse(text).unwrap().apply(&mut config);
            config
        };
        let nothing_said = sent_to("");
        let expected = OpusEncoderConfig { coded_channels: Some(1), fec: false, dtx: false, ..ours };
        assert_eq!(nothing_said, expected, "mono, no FEC, no DTX");
        let all = sent_to("maxplaybackrate=24000;maxaveragebitrate=510000;stereo=1;cbr=1;useinbandfec=1;usedtx=1");
        let max_bandwidth = OpusBandwidth::SuperWide;
        assert_eq!(all, OpusEncoderConfig { max_bandwidth, rate_control: OpusRateControl::Cbr, ..ours });
        assert_eq!(sent_to("maxaveragebitrate=6000").bitrate_bps, 6_000);
        for (rate_hz, bandwidth) in [
            (8_000, OpusBandwidth::Narrow),
            (11_025, OpusBandwidth::Medium),
            (16_000, OpusBandwidth::Wide),
            (22_050, OpusBandwidth::SuperWide),
            (32_000, OpusBandwidth::Full),
            (48_000, OpusBandwidth::Full),
        ] {
            assert_eq!(sent_to(&format!("maxplaybackrate={rate_hz}")).max_bandwidth, bandwidth);
        }
    }

    #[test]
    fn two_of_the_same_kind_get_what_they_are_set_to() {
        for config in [
            OpusEncoderConfig::default(),
            OpusEncoderConfig { channels: 2, dtx: true, fec: false, ..Default::default() },
            OpusEncoderConfig { rate_control: OpusRateControl::Cbr, sample_rate_hz: 8_000, ..Default::default() },
        ] {
            let said = OpusFmtp::parse(&OpusFmtp::of(&config).to_string()).unwrap();
            assert_eq!(said, OpusFmtp::of(&config));
            let mut sent = config;
            said.apply(&mut sent);
            let max_bandwidth = OpusBandwidth::of_rate(config.sample_rate_hz);
            let coded_channels = (config.channels == 1).then_some(1);
            assert_eq!(sent, OpusEncoderConfig { max_bandwidth, coded_channels, ..config });
        }
    }
}

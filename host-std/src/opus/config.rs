//! The settings of an [`OpusEncoder`](super::OpusEncoder) (RFC 6716, 2.1), checked in one place.

use super::{OpusError, check_complexity, check_format};

/// The purpose for which the encoder is tuned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OpusApplication {
    /// Speech: emphasises formants and harmonics, and prefers the SILK layer.
    #[default]
    Voip,
    /// Music and mixed sound: closest to the original.
    Audio,
    /// The shortest delay, MDCT only: no in-band FEC.
    LowDelay,
}

/// The rule by which the payload's size follows the sound (RFC 6716, 2.1.8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OpusRateControl {
    /// Sizes follow the sound.
    Vbr,
    /// Sizes follow the sound within one frame's worth of buffering.
    #[default]
    ConstrainedVbr,
    /// Every packet has the same size. Use it with SRTP where sizes would reveal what was said (RFC 6562).
    Cbr,
}

/// The widest audio band coded (RFC 6716, 2, table 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum OpusBandwidth {
    /// 4 kHz.
    Narrow,
    /// 6 kHz.
    Medium,
    /// 8 kHz.
    Wide,
    /// 12 kHz.
    SuperWide,
    /// 20 kHz.
    #[default]
    Full,
}

impl OpusBandwidth {
    /// Returns the narrowest band that makes full use of sound sampled at `rate_hz` (RFC 7587, 7.1; RFC 6716, table 1).
    pub const fn of_rate(rate_hz: u32) -> Self {
        match rate_hz {
            0..=8_000 => Self::Narrow,
            8_001..=12_000 => Self::Medium,
            12_001..=16_000 => Self::Wide,
            16_001..=24_000 => Self::SuperWide,
            _ => Self::Full,
        }
    }
}

/// The kind of sound that the encoder expects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OpusSignal {
    /// The encoder finds out by itself, frame by frame.
    #[default]
    Auto,
    /// Speech: it leans to the SILK layer.
    Voice,
    /// Music: it leans to the MDCT layer.
    Music,
}

/// The configuration of an [`OpusEncoder`](super::OpusEncoder). The default is fullband mono speech at 32 kbit/s with FEC ready
/// for 5 % loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusEncoderConfig {
    /// Rate of the PCM, in Hz: 8, 12, 16, 24 or 48 kHz.
    pub sample_rate_hz: u32,
    /// Channels of the PCM: 1 or 2.
    pub channels: u8,
    /// The purpose for which the encoder is tuned.
    pub application: OpusApplication,
    /// The bit rate in bit/s: 500 to 512,000 for each channel.
    pub bitrate_bps: u32,
    /// The rule by which sizes vary.
    pub rate_control: OpusRateControl,
    /// 0 (cheapest) to 10 (best).
    pub complexity: u8,
    /// The widest band coded. A running SILK layer may wait for a pause before it goes down to it.
    pub max_bandwidth: OpusBandwidth,
    /// The band coded, whatever the bit rate is, if that is up to `max_bandwidth`; `None`: the encoder chooses.
    pub bandwidth: Option<OpusBandwidth>,
    /// Channels coded, 1 or 2 and no more than there are; `None`: the encoder chooses by bit rate.
    pub coded_channels: Option<u8>,
    /// The kind of sound.
    pub signal: OpusSignal,
    /// Whether in-band FEC is used. It takes effect in the SILK layer, when the expected loss is above 0 and the bit rate leaves
    /// room.
    pub fec: bool,
    /// The loss to prepare for, in percent, 0 to 100.
    pub expected_loss_percent: u8,
    /// Nearly nothing is sent in silence; see [`OpusEncoder::in_dtx`](super::OpusEncoder::in_dtx).
    pub dtx: bool,
    /// The furthest reach of the Deep Redundancy of each packet, in ms: 0 (none) to 1040 in steps of 10. The actual reach depends
    /// on bit rate and expected loss. It is available only in a build with the feature `opus-dred`.
    pub dred_ms: u16,
}

impl Default for OpusEncoderConfig {
    fn default() -> Self {
        Self {
            sample_rate_hz: 48_000,
            channels: 1,
            application: OpusApplication::Voip,
            bitrate_bps: 32_000,
            rate_control: OpusRateControl::ConstrainedVbr,
            complexity: 9,
            max_bandwidth: OpusBandwidth::Full,
            bandwidth: None,
            coded_channels: None,
            signal: OpusSignal::Auto,
            fec: true,
            expected_loss_percent: 5,
            dtx: false,
            dred_ms: 0,
        }
    }
}

impl OpusEncoderConfig {
    /// # Errors
    /// The [`OpusError`] that names the field out of its range.
    pub(super) fn check(&self) -> Result<(), OpusError> {
        check_format(self.sample_rate_hz, self.channels)?;
        check_complexity(self.complexity)?;
        // libopus would clamp in silence.
        if !(500..=512_000 * u32::from(self.channels)).contains(&self.bitrate_bps) {
            return Err(OpusError::Bitrate { bps: self.bitrate_bps });
        }
        if self.expected_loss_percent > 100 {
            return Err(OpusError::ExpectedLoss { percent: self.expected_loss_percent });
        }
        if let Some(channels) = self.coded_channels.filter(|coded| !(1..=self.channels).contains(coded)) {
            return Err(OpusError::Channels { channels });
        }
        if self.dred_ms > 1040 || !self.dred_ms.is_multiple_of(10) {
            return Err(OpusError::Dred { ms: self.dred_ms });
        }
        if self.dred_ms > 0 && !cfg!(feature = "opus-dred") {
            return Err(OpusError::NoDred);
        }
        Ok(())
    }
}

//! PCM to payload, with the settings that matter in a call (RFC 6716, 2.1).

use std::ffi::c_int;

use dsp_core::codec::{CodecInfo, EncodeError, Encoder};

use super::{OpusError, RTP_CLOCK_HZ, check_format, ffi};

/// What the encoder is tuned for.
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

/// How freely the payload's size follows the sound (RFC 6716, 2.1.8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OpusRateControl {
    /// Sizes follow the sound.
    Vbr,
    /// Sizes follow the sound within one frame's worth of buffering.
    #[default]
    ConstrainedVbr,
    /// Every packet has the same size. Wanted with SRTP where sizes would tell what was said (RFC 6562).
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

/// How an [`OpusEncoder`] is set up. The default is fullband mono speech at 32 kbit/s with FEC ready for 5 % loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusEncoderConfig {
    /// Rate of the PCM, in Hz: 8, 12, 16, 24 or 48 kHz.
    pub sample_rate_hz: u32,
    /// Channels of the PCM: 1 or 2.
    pub channels: u8,
    /// What to tune for.
    pub application: OpusApplication,
    /// Bit rate in bit/s, 500 to 512,000 a channel.
    pub bitrate_bps: u32,
    /// How sizes may vary.
    pub rate_control: OpusRateControl,
    /// 0 (cheapest) to 10 (best).
    pub complexity: u8,
    /// The widest band coded.
    pub max_bandwidth: OpusBandwidth,
    /// In-band FEC. It takes effect in the SILK layer, when the expected loss is above 0 and the bit rate leaves room.
    pub fec: bool,
    /// The loss to prepare for, in percent, 0 to 100.
    pub expected_loss_percent: u8,
    /// Nearly nothing is sent in silence; see [`OpusEncoder::in_dtx`].
    pub dtx: bool,
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
            fec: true,
            expected_loss_percent: 5,
            dtx: false,
        }
    }
}

/// Frames of 2.5, 5, 10, 20, 40, 60, 80, 100 or 120 ms to payloads; the length may change from frame to frame.
///
/// After construction nothing allocates.
#[derive(Debug)]
pub struct OpusEncoder {
    raw: ffi::RawEncoder,
    info: CodecInfo,
}

impl OpusEncoder {
    /// An encoder set up as `config` says.
    ///
    /// # Errors
    /// The [`OpusError`] that names the field out of its range; [`OpusError::Library`] without memory.
    pub fn new(config: OpusEncoderConfig) -> Result<Self, OpusError> {
        let OpusEncoderConfig { sample_rate_hz, channels, complexity, .. } = config;
        check_format(sample_rate_hz, channels)?;
        if complexity > 10 {
            return Err(OpusError::Complexity { complexity });
        }
        let application = match config.application {
            OpusApplication::Voip => ffi::OPUS_APPLICATION_VOIP,
            OpusApplication::Audio => ffi::OPUS_APPLICATION_AUDIO,
            OpusApplication::LowDelay => ffi::OPUS_APPLICATION_RESTRICTED_LOWDELAY,
        };
        let bandwidth = match config.max_bandwidth {
            OpusBandwidth::Narrow => ffi::OPUS_BANDWIDTH_NARROWBAND,
            OpusBandwidth::Medium => ffi::OPUS_BANDWIDTH_MEDIUMBAND,
            OpusBandwidth::Wide => ffi::OPUS_BANDWIDTH_WIDEBAND,
            OpusBandwidth::SuperWide => ffi::OPUS_BANDWIDTH_SUPERWIDEBAND,
            OpusBandwidth::Full => ffi::OPUS_BANDWIDTH_FULLBAND,
        };
        let info = CodecInfo { name: "opus", sample_rate_hz, rtp_clock_hz: RTP_CLOCK_HZ, channels };
        let mut encoder = Self { raw: ffi::RawEncoder::new(sample_rate_hz, channels, application)?, info };
        encoder.set_bitrate(config.bitrate_bps)?;
        encoder.set_expected_loss(config.expected_loss_percent)?;
        let vbr = config.rate_control != OpusRateControl::Cbr;
        let constrained = config.rate_control == OpusRateControl::ConstrainedVbr;
        for (request, value) in [
            (ffi::OPUS_SET_COMPLEXITY_REQUEST, c_int::from(complexity)),
            (ffi::OPUS_SET_MAX_BANDWIDTH_REQUEST, bandwidth),
            (ffi::OPUS_SET_VBR_REQUEST, c_int::from(vbr)),
            (ffi::OPUS_SET_VBR_CONSTRAINT_REQUEST, c_int::from(constrained)),
            (ffi::OPUS_SET_INBAND_FEC_REQUEST, c_int::from(config.fec)),
            (ffi::OPUS_SET_DTX_REQUEST, c_int::from(config.dtx)),
        ] {
            encoder.raw.set(request, value).map_err(OpusError::Library)?;
        }
        Ok(encoder)
    }

    /// Sets the bit rate from the next frame on, in bit/s.
    ///
    /// # Errors
    /// [`OpusError::Bitrate`] outside 500 to 512,000 bit/s a channel.
    pub fn set_bitrate(&mut self, bps: u32) -> Result<(), OpusError> {
        // libopus would clamp in silence.
        if !(500..=512_000 * u32::from(self.info.channels)).contains(&bps) {
            return Err(OpusError::Bitrate { bps });
        }
        self.raw.set(ffi::OPUS_SET_BITRATE_REQUEST, bps as c_int).map_err(OpusError::Library)
    }

    /// Says how much loss to expect from the next frame on, in percent: with FEC it decides how much is sent twice.
    ///
    /// # Errors
    /// [`OpusError::ExpectedLoss`] above 100.
    pub fn set_expected_loss(&mut self, percent: u8) -> Result<(), OpusError> {
        if percent > 100 {
            return Err(OpusError::ExpectedLoss { percent });
        }
        self.raw.set(ffi::OPUS_SET_PACKET_LOSS_PERC_REQUEST, c_int::from(percent)).map_err(OpusError::Library)
    }

    /// Samples a channel by which the coded sound lies behind the PCM.
    pub fn lookahead(&self) -> usize {
        usize::try_from(self.raw.get(ffi::OPUS_GET_LOOKAHEAD_REQUEST)).unwrap_or(0)
    }

    /// Whether the encoder is in a silence that DTX skips. There a payload of one or two bytes need not be sent
    /// (RFC 7587, 3.1.3); a longer one, every 400 ms, renews the receiver's background noise and should be.
    pub fn in_dtx(&self) -> bool {
        self.raw.get(ffi::OPUS_GET_IN_DTX_REQUEST) == 1
    }

    /// State of the range coder after the last frame; see [`OpusDecoder::final_range`](super::OpusDecoder).
    pub fn final_range(&self) -> u32 {
        self.raw.final_range()
    }
}

impl Encoder for OpusEncoder {
    fn info(&self) -> CodecInfo {
        self.info
    }

    /// A payload buffer smaller than the bit rate asks for makes a smaller payload, as with a lower bit rate;
    /// [`MAX_PAYLOAD`](super::MAX_PAYLOAD) bytes never do.
    fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> Result<usize, EncodeError> {
        let channels = usize::from(self.info.channels);
        let samples = pcm.len() / channels;
        // In units of 2.5 ms: 2.5, 5, 10, 20 and 40 ms, then 60 to 120 ms in steps of 20.
        let unit = self.info.sample_rate_hz as usize / 400;
        let is_frame = pcm.len().is_multiple_of(channels)
            && samples.is_multiple_of(unit)
            && matches!(samples / unit, 1 | 2 | 4 | 8 | 16 | 24 | 32 | 40 | 48);
        if !is_frame {
            return Err(EncodeError::FrameLength { samples });
        }
        let got = payload.len();
        if got == 0 {
            return Err(EncodeError::OutputTooSmall { need: 1, got });
        }
        self.raw.encode(pcm, payload).map_err(|code| match code {
            ffi::OPUS_BUFFER_TOO_SMALL => EncodeError::OutputTooSmall { need: got + 1, got },
            code => EncodeError::Codec(code),
        })
    }

    fn reset(&mut self) {
        self.raw.reset();
    }
}

#[cfg(test)]
mod tests {
    use dsp_core::codec::Decoder;

    use super::super::{MAX_PAYLOAD, OpusDecoder};
    use super::*;

    fn tone(samples: usize, channels: usize) -> Vec<i16> {
        (0..samples * channels).map(|i| (8000.0 * (0.03 * (i / channels) as f32).sin()) as i16).collect()
    }

    #[test]
    fn every_rate_channel_count_and_frame_length_goes_round() {
        for sample_rate_hz in [8_000, 12_000, 16_000, 24_000, 48_000] {
            for channels in [1, 2] {
                let config = OpusEncoderConfig { sample_rate_hz, channels, ..Default::default() };
                let mut encoder = OpusEncoder::new(config).unwrap();
                let mut decoder = OpusDecoder::new(sample_rate_hz, channels).unwrap();
                for quarter_ms in [10, 20, 40, 80, 160, 240, 320, 400, 480_u32] {
                    let samples = (sample_rate_hz * quarter_ms / 4000) as usize;
                    let mut payload = [0; MAX_PAYLOAD];
                    let n = encoder.encode(&tone(samples, usize::from(channels)), &mut payload).unwrap();
                    assert_eq!(decoder.duration(&payload[..n]), Ok(12 * quarter_ms));
                    let mut pcm = vec![0; samples * usize::from(channels)];
                    assert_eq!(decoder.decode(&payload[..n], &mut pcm), Ok(samples));
                    assert_eq!(decoder.final_range(), encoder.final_range());
                }
            }
        }
    }

    #[test]
    fn wrong_lengths_and_settings_are_errors() {
        let mut encoder = OpusEncoder::new(OpusEncoderConfig::default()).unwrap();
        let mut payload = [0; 100];
        for samples in [0, 119, 121, 360, 6000] {
            assert_eq!(encoder.encode(&vec![0; samples], &mut payload), Err(EncodeError::FrameLength { samples }));
        }
        assert_eq!(encoder.encode(&[0; 960], &mut []), Err(EncodeError::OutputTooSmall { need: 1, got: 0 }));
        assert!(encoder.encode(&tone(960, 1), &mut payload[..20]).unwrap() <= 20);
        assert_eq!(encoder.set_bitrate(499), Err(OpusError::Bitrate { bps: 499 }));
        assert_eq!(encoder.set_bitrate(512_001), Err(OpusError::Bitrate { bps: 512_001 }));
        assert_eq!(encoder.set_expected_loss(101), Err(OpusError::ExpectedLoss { percent: 101 }));
        let wrong = OpusEncoderConfig { complexity: 11, ..Default::default() };
        assert_eq!(OpusEncoder::new(wrong).unwrap_err(), OpusError::Complexity { complexity: 11 });
    }

    #[test]
    fn constant_bit_rate_is_constant_and_follows_set_bitrate() {
        let config = OpusEncoderConfig { rate_control: OpusRateControl::Cbr, ..Default::default() };
        let mut encoder = OpusEncoder::new(config).unwrap();
        let mut payload = [0; 400];
        let sound = tone(960 * 10, 1);
        for frame in sound.chunks(960) {
            assert_eq!(encoder.encode(frame, &mut payload), Ok(80), "32 kbit/s for 20 ms");
        }
        encoder.set_bitrate(64_000).unwrap();
        assert_eq!(encoder.encode(&sound[..960], &mut payload), Ok(160));
    }

    #[test]
    fn dtx_falls_silent_and_says_so() {
        let config = OpusEncoderConfig { dtx: true, sample_rate_hz: 16_000, ..Default::default() };
        let mut encoder = OpusEncoder::new(config).unwrap();
        let mut payload = [0; 400];
        let frames: Vec<_> =
            (0..100).map(|_| (encoder.encode(&[0; 320], &mut payload).unwrap(), encoder.in_dtx())).collect();
        let skipped = frames.iter().filter(|(n, _)| *n <= 2).count();
        assert!(frames.iter().all(|&(n, in_dtx)| in_dtx || n > 2), "only a silence is skipped");
        assert!(skipped > 80, "{skipped} of 100 frames of silence skipped");
    }

    #[test]
    fn low_delay_looks_ahead_less() {
        let lookahead = |application| {
            OpusEncoder::new(OpusEncoderConfig { application, ..Default::default() }).unwrap().lookahead()
        };
        assert_eq!(lookahead(OpusApplication::Voip), 312);
        assert_eq!(lookahead(OpusApplication::LowDelay), 120);
    }

    #[test]
    fn both_directions_can_move_to_another_thread() {
        fn is_send<T: Send>() {}
        is_send::<OpusEncoder>();
        is_send::<OpusDecoder>();
    }
}

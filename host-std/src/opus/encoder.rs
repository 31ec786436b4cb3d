//! PCM to payload, with the settings that matter in a call (RFC 6716, 2.1).

use std::ffi::c_int;

use dsp_core::codec::{Adaptation, CodecInfo, EncodeError, Encoder, Frames, InBandRedundancy};

use super::{
    FRAMES, OpusApplication, OpusBandwidth, OpusEncoderConfig, OpusError, OpusRateControl, OpusSignal, RTP_CLOCK_HZ,
    ffi,
};

/// Frames of 2.5, 5, 10, 20, 40, 60, 80, 100 or 120 ms to payloads; the length may change from frame to frame.
///
/// After construction nothing allocates, not even a change of settings:
///
/// ```
/// use host_std::opus::{OpusEncoder, OpusEncoderConfig, OpusSignal};
///
/// let mut encoder = OpusEncoder::new(OpusEncoderConfig { sample_rate_hz: 16_000, ..Default::default() })?;
/// encoder.set(OpusEncoderConfig { signal: OpusSignal::Voice, dtx: true, ..encoder.config() })?;
/// # Ok::<_, host_std::opus::OpusError>(())
/// ```
#[derive(Debug)]
pub struct OpusEncoder {
    raw: ffi::RawEncoder,
    config: OpusEncoderConfig,
}

impl OpusEncoder {
    /// Creates an encoder set up as `config` says.
    ///
    /// # Errors
    /// The [`OpusError`] that names the field out of its range; [`OpusError::Library`] without memory.
    pub fn new(config: OpusEncoderConfig) -> Result<Self, OpusError> {
        config.check()?;
        let application = match config.application {
            OpusApplication::Voip => ffi::OPUS_APPLICATION_VOIP,
            OpusApplication::Audio => ffi::OPUS_APPLICATION_AUDIO,
            OpusApplication::LowDelay => ffi::OPUS_APPLICATION_RESTRICTED_LOWDELAY,
        };
        let raw = ffi::RawEncoder::new(config.sample_rate_hz, config.channels, application)?;
        let mut encoder = Self { raw, config };
        encoder.apply()?;
        Ok(encoder)
    }

    /// Returns the current settings.
    pub fn config(&self) -> OpusEncoderConfig {
        self.config
    }

    /// Changes settings from the next frame on; the encoder's history is kept.
    ///
    /// # Errors
    /// [`OpusError::Fixed`] for another sample rate, channel count or application, and the [`OpusError`] that names
    /// the field out of its range: then nothing has changed.
    pub fn set(&mut self, config: OpusEncoderConfig) -> Result<(), OpusError> {
        config.check()?;
        let fixed = |c: &OpusEncoderConfig| (c.sample_rate_hz, c.channels, c.application);
        if fixed(&config) != fixed(&self.config) {
            return Err(OpusError::Fixed);
        }
        self.config = config;
        self.apply()
    }

    /// Hands the settings on, which have been checked.
    fn apply(&mut self) -> Result<(), OpusError> {
        let config = self.config;
        let bandwidth = |bandwidth| match bandwidth {
            OpusBandwidth::Narrow => ffi::OPUS_BANDWIDTH_NARROWBAND,
            OpusBandwidth::Medium => ffi::OPUS_BANDWIDTH_MEDIUMBAND,
            OpusBandwidth::Wide => ffi::OPUS_BANDWIDTH_WIDEBAND,
            OpusBandwidth::SuperWide => ffi::OPUS_BANDWIDTH_SUPERWIDEBAND,
            OpusBandwidth::Full => ffi::OPUS_BANDWIDTH_FULLBAND,
        };
        let signal = match config.signal {
            OpusSignal::Auto => ffi::OPUS_AUTO,
            OpusSignal::Voice => ffi::OPUS_SIGNAL_VOICE,
            OpusSignal::Music => ffi::OPUS_SIGNAL_MUSIC,
        };
        let vbr = config.rate_control != OpusRateControl::Cbr;
        let constrained = config.rate_control == OpusRateControl::ConstrainedVbr;
        let forced = config.bandwidth.map(|forced| forced.min(config.max_bandwidth));
        for (request, value) in [
            (ffi::OPUS_SET_BITRATE_REQUEST, config.bitrate_bps as c_int),
            (ffi::OPUS_SET_PACKET_LOSS_PERC_REQUEST, c_int::from(config.expected_loss_percent)),
            (ffi::OPUS_SET_COMPLEXITY_REQUEST, c_int::from(config.complexity)),
            (ffi::OPUS_SET_MAX_BANDWIDTH_REQUEST, bandwidth(config.max_bandwidth)),
            (ffi::OPUS_SET_BANDWIDTH_REQUEST, forced.map_or(ffi::OPUS_AUTO, bandwidth)),
            (ffi::OPUS_SET_FORCE_CHANNELS_REQUEST, config.coded_channels.map_or(ffi::OPUS_AUTO, c_int::from)),
            (ffi::OPUS_SET_SIGNAL_REQUEST, signal),
            (ffi::OPUS_SET_VBR_REQUEST, c_int::from(vbr)),
            (ffi::OPUS_SET_VBR_CONSTRAINT_REQUEST, c_int::from(constrained)),
            (ffi::OPUS_SET_INBAND_FEC_REQUEST, c_int::from(config.fec)),
            (ffi::OPUS_SET_DTX_REQUEST, c_int::from(config.dtx)),
        ] {
            self.raw.set(request, value).map_err(OpusError::Library)?;
        }
        if cfg!(feature = "opus-dred") {
            let tens_of_ms = c_int::from(config.dred_ms / 10);
            self.raw.set(ffi::OPUS_SET_DRED_DURATION_REQUEST, tens_of_ms).map_err(OpusError::Library)?;
        }
        Ok(())
    }

    /// Sets the bit rate from the next frame on, in bit/s.
    ///
    /// # Errors
    /// [`OpusError::Bitrate`] if `bps` is outside 500 to 512,000 bit/s for each channel.
    pub fn set_bitrate(&mut self, bps: u32) -> Result<(), OpusError> {
        self.set(OpusEncoderConfig { bitrate_bps: bps, ..self.config })
    }

    /// Says how much loss to expect from the next frame on, in percent: with FEC it decides how much is sent twice.
    ///
    /// # Errors
    /// [`OpusError::ExpectedLoss`] if `percent` is above 100.
    pub fn set_expected_loss(&mut self, percent: u8) -> Result<(), OpusError> {
        self.set(OpusEncoderConfig { expected_loss_percent: percent, ..self.config })
    }

    /// Returns the delay of the coded sound after the PCM, in samples of one channel.
    pub fn lookahead(&self) -> usize {
        usize::try_from(self.raw.get(ffi::OPUS_GET_LOOKAHEAD_REQUEST)).unwrap_or(0)
    }

    /// Returns whether the encoder is in a silence that DTX skips. There a payload of one or two bytes need not be sent (RFC
    /// 7587, 3.1.3); a longer one, every 400 ms, renews the receiver's background noise and should be.
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
        let OpusEncoderConfig { sample_rate_hz, channels, .. } = self.config;
        CodecInfo { name: "opus", sample_rate_hz, rtp_clock_hz: RTP_CLOCK_HZ, channels }
    }

    fn frames(&self) -> Frames {
        FRAMES
    }

    /// Sets bit rate and expected loss, each within its range: 500 to 512,000 bit/s a channel, 0 to 100 %. Whether FEC is sent
    /// remains a setting: without it an expected loss makes the coding less dependent on earlier sound.
    fn adapt(&mut self, wanted: &Adaptation) -> Adaptation {
        let Self { config: OpusEncoderConfig { channels, bitrate_bps, expected_loss_percent, .. }, .. } = *self;
        let mut taken = *wanted;
        taken.bit_rate_bps = wanted.bit_rate_bps.map(|bps| bps.clamp(500, 512_000 * u32::from(channels)));
        taken.expected_loss_percent = wanted.expected_loss_percent.map(|percent| percent.min(100));
        taken.packet_ms = wanted.packet_ms.filter(|ms| FRAMES.has(ms.saturating_mul(1_000)));
        let config = OpusEncoderConfig {
            bitrate_bps: taken.bit_rate_bps.unwrap_or(bitrate_bps),
            expected_loss_percent: taken.expected_loss_percent.unwrap_or(expected_loss_percent),
            ..self.config
        };
        if self.set(config).is_ok() { taken } else { Adaptation::default() }
    }

    /// Deep Redundancy where it is set and built in, else FEC where it is set.
    fn in_band_redundancy(&self) -> InBandRedundancy {
        match self.config {
            OpusEncoderConfig { dred_ms: 1.., .. } => InBandRedundancy::Deep,
            OpusEncoderConfig { fec: true, .. } => InBandRedundancy::Fec,
            _ => InBandRedundancy::None,
        }
    }

    /// A payload buffer smaller than the bit rate asks for makes a smaller payload, as with a lower bit rate;
    /// [`MAX_PAYLOAD`](super::MAX_PAYLOAD) bytes never do.
    fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> Result<usize, EncodeError> {
        let channels = usize::from(self.config.channels);
        let samples = pcm.len() / channels;
        // Lengths are in units of 2.5 ms: 2.5, 5, 10, 20 and 40 ms, then 60 to 120 ms in steps of 20.
        let unit = self.config.sample_rate_hz as usize / 400;
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

    use super::super::{MAX_PAYLOAD, OpusDecoder, OpusMode, OpusPacket, RATES_HZ};
    use super::*;

    fn tone(samples: usize, channels: usize) -> Vec<i16> {
        (0..samples * channels).map(|i| (8000.0 * (0.03 * (i / channels) as f32).sin()) as i16).collect()
    }

    #[test]
    fn every_rate_channel_count_and_frame_length_goes_round() {
        for sample_rate_hz in RATES_HZ {
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
        let wrong = OpusEncoderConfig { coded_channels: Some(2), ..Default::default() };
        assert_eq!(OpusEncoder::new(wrong).unwrap_err(), OpusError::Channels { channels: 2 });
        let wrong = OpusEncoderConfig { dred_ms: 1050, ..Default::default() };
        assert_eq!(encoder.set(wrong), Err(OpusError::Dred { ms: 1050 }));
        let with_dred = encoder.set(OpusEncoderConfig { dred_ms: 100, ..encoder.config() });
        assert_eq!(with_dred, if cfg!(feature = "opus-dred") { Ok(()) } else { Err(OpusError::NoDred) });
    }

    #[test]
    fn a_running_encoder_takes_new_settings() {
        let start = OpusEncoderConfig {
            channels: 2,
            bitrate_bps: 64_000,
            // Above 6 the encoder would hear that a tone needs no more than a narrow band.
            complexity: 5,
            // SILK, which FEC brings with it, waits for a pause to change its band.
            signal: OpusSignal::Music,
            fec: false,
            ..Default::default()
        };
        let mut encoder = OpusEncoder::new(start).unwrap();
        let sound = tone(960, 2);
        let packet = |encoder: &mut OpusEncoder, config| {
            encoder.set(config).unwrap();
            assert_eq!(encoder.config(), config);
            let mut payload = [0; MAX_PAYLOAD];
            // A change of band takes effect after a few frames.
            let n = (0..10).map(|_| encoder.encode(&sound, &mut payload).unwrap()).last().unwrap();
            (OpusPacket::parse(&payload[..n]).unwrap(), n)
        };
        let (full, _) = packet(&mut encoder, start);
        assert_eq!((full.bandwidth, full.channels), (OpusBandwidth::Full, 2));
        for bandwidth in [OpusBandwidth::Narrow, OpusBandwidth::Wide, OpusBandwidth::SuperWide] {
            let capped = OpusEncoderConfig { max_bandwidth: bandwidth, ..start };
            assert_eq!(packet(&mut encoder, capped).0.bandwidth, bandwidth);
            let forced = OpusEncoderConfig { bandwidth: Some(bandwidth), ..start };
            assert_eq!(packet(&mut encoder, forced).0.bandwidth, bandwidth);
        }
        let both =
            OpusEncoderConfig { bandwidth: Some(OpusBandwidth::Full), max_bandwidth: OpusBandwidth::Wide, ..start };
        assert_eq!(packet(&mut encoder, both).0.bandwidth, OpusBandwidth::Wide, "the cap counts");
        let mono = OpusEncoderConfig { coded_channels: Some(1), ..start };
        assert_eq!(packet(&mut encoder, mono).0.channels, 1);
        let voice = OpusEncoderConfig { signal: OpusSignal::Voice, bitrate_bps: 32_000, ..mono };
        assert_ne!(packet(&mut encoder, voice).0.mode, OpusMode::Celt);
        let music = OpusEncoderConfig { bitrate_bps: 32_000, ..mono };
        assert_eq!(packet(&mut encoder, music).0.mode, OpusMode::Celt);
        let constant = OpusEncoderConfig { rate_control: OpusRateControl::Cbr, complexity: 0, ..start };
        assert_eq!(packet(&mut encoder, constant).1, 160);
        for fixed in [
            OpusEncoderConfig { sample_rate_hz: 16_000, ..start },
            OpusEncoderConfig { channels: 1, ..start },
            OpusEncoderConfig { application: OpusApplication::Audio, ..start },
        ] {
            assert_eq!(encoder.set(fixed), Err(OpusError::Fixed));
        }
        assert_eq!(encoder.config(), constant, "unchanged");
    }

    #[test]
    fn says_which_redundancy_its_payloads_have() {
        let redundancy = |fec, dred_ms| {
            let encoder = OpusEncoder::new(OpusEncoderConfig { fec, dred_ms, ..Default::default() });
            encoder.map(|encoder| encoder.in_band_redundancy())
        };
        assert_eq!(redundancy(true, 0), Ok(InBandRedundancy::Fec));
        assert_eq!(redundancy(false, 0), Ok(InBandRedundancy::None));
        let deep = if cfg!(feature = "opus-dred") { Ok(InBandRedundancy::Deep) } else { Err(OpusError::NoDred) };
        assert_eq!(redundancy(false, 100), deep);
    }

    #[test]
    fn adapts_within_its_bounds_and_says_what_it_took() {
        let constant = OpusEncoderConfig { rate_control: OpusRateControl::Cbr, ..Default::default() };
        let mut encoder = OpusEncoder::new(constant).unwrap();
        let mut payload = [0; MAX_PAYLOAD];
        let sound = tone(960, 1);
        for (asked, bps) in [(16_000, 16_000), (0, 500), (u32::MAX, 512_000), (48_000, 48_000)] {
            let wanted = Adaptation::default().with_bit_rate(asked);
            assert_eq!(encoder.adapt(&wanted), wanted.with_bit_rate(bps));
            let bytes = encoder.encode(&sound, &mut payload).unwrap();
            assert!(bytes == bps as usize / 400 || bps == 500 || bps == 512_000, "{bytes} bytes at {bps} bit/s");
        }
        let wanted = Adaptation::default().with_expected_loss(200).with_packet_ms(30);
        assert_eq!(encoder.adapt(&wanted), Adaptation::default().with_expected_loss(100));
        assert_eq!(encoder.adapt(&Adaptation::default()), Adaptation::default());
        let expected = OpusEncoderConfig { bitrate_bps: 48_000, expected_loss_percent: 100, ..constant };
        assert_eq!(encoder.config(), expected, "what nobody asked for stays");
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

//! Payload to PCM, with libopus' concealment, in-band FEC (RFC 6716, 2.1.7 and 4) and, where it is built in, Deep
//! Redundancy.

use std::ffi::c_int;

use dsp_core::codec::{CodecInfo, DecodeError, Decoder};

use super::{DEEP_CONCEALMENT, OpusError, OpusMode, OpusPacket, RTP_CLOCK_HZ, check_complexity, check_format, ffi};

/// The duration that libopus conceals in one step, in ticks: 20 ms.
const STEP_TICKS: u32 = 960;

/// Takes any Opus packet, mono or stereo of any bandwidth, to PCM of one rate and channel count.
///
/// A packet with broken framing is an error and leaves the decoder unchanged; [`OpusPacket::parse`] gives the reason. After a
/// packet whose coded sound is broken, the next good one decodes. After construction nothing allocates.
///
/// In this example a packet is lost. Where the next one repeats it (RFC 6716, 2.1.7) nothing has to be concealed:
///
/// ```
/// use dsp_core::codec::{Decoder, Encoder};
/// use host_std::opus::{OpusDecoder, OpusEncoder, OpusEncoderConfig};
///
/// let config = OpusEncoderConfig { sample_rate_hz: 16_000, expected_loss_percent: 20, ..OpusEncoderConfig::default() };
/// let (mut encoder, mut decoder) = (OpusEncoder::new(config)?, OpusDecoder::new(16_000, 1)?);
/// let voice: Vec<i16> = (0..9_600).map(|n| ((n as f32 * 0.08).sin() * 8_000.0) as i16).collect();
/// let mut packets = Vec::new();
/// for frame in voice.chunks(320) {
///     let mut payload = [0; 400];
///     let bytes = encoder.encode(frame, &mut payload)?;
///     packets.push(payload[..bytes].to_vec());
/// }
///
/// let mut pcm = [0; 320];
/// for packet in &packets[..20] {
///     assert_eq!(decoder.decode(packet, &mut pcm)?, 320);
/// }
/// // Packet 20 is lost, and packet 21 is here.
/// if !decoder.recover(&packets[21], 0, &mut pcm) {
///     decoder.conceal(&mut pcm);
/// }
/// assert_eq!(decoder.decode(&packets[21], &mut pcm)?, 320);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct OpusDecoder {
    raw: ffi::RawDecoder,
    info: CodecInfo,
    /// The last packet decoded.
    last: Option<OpusPacket>,
    #[cfg(feature = "opus-dred")]
    dred: super::dred::Dred,
}

impl OpusDecoder {
    /// Creates a decoder to PCM at `sample_rate_hz` (8, 12, 16, 24 or 48 kHz) with `channels` (1 or 2). Its complexity is 0, or
    /// with the feature `opus-dred` [`DEEP_CONCEALMENT`].
    ///
    /// # Errors
    /// [`OpusError::SampleRate`] and [`OpusError::Channels`] for others; [`OpusError::Library`] without memory.
    pub fn new(sample_rate_hz: u32, channels: u8) -> Result<Self, OpusError> {
        check_format(sample_rate_hz, channels)?;
        let info = CodecInfo { name: "opus", sample_rate_hz, rtp_clock_hz: RTP_CLOCK_HZ, channels };
        let mut decoder = Self {
            raw: ffi::RawDecoder::new(sample_rate_hz, channels)?,
            info,
            last: None,
            #[cfg(feature = "opus-dred")]
            dred: super::dred::Dred::new()?,
        };
        if cfg!(feature = "opus-dred") {
            decoder.set_complexity(DEEP_CONCEALMENT)?;
        }
        Ok(decoder)
    }

    /// Sets the decoder's complexity, 0 to 10. From [`DEEP_CONCEALMENT`] on a loss is concealed by a neural net, in a build with
    /// the feature `opus-dred`; otherwise it changes nothing.
    ///
    /// # Errors
    /// [`OpusError::Complexity`] if `complexity` is above 10.
    pub fn set_complexity(&mut self, complexity: u8) -> Result<(), OpusError> {
        check_complexity(complexity)?;
        self.raw.set(ffi::OPUS_SET_COMPLEXITY_REQUEST, c_int::from(complexity)).map_err(OpusError::Library)
    }

    /// State of the range decoder after the last packet: equal to the encoder's when both agree bit for bit
    /// (RFC 6716, 6.1).
    pub fn final_range(&self) -> u32 {
        self.raw.final_range()
    }

    /// PCM samples, all channels together, in `ticks` of 48 kHz. Exact: ticks come in multiples of 120 (2.5 ms).
    fn interleaved(&self, ticks: u32) -> usize {
        self.info.samples(ticks) as usize * usize::from(self.info.channels)
    }

    fn ticks(&self, pcm: &[i16]) -> u32 {
        self.info.ticks((pcm.len() / usize::from(self.info.channels)) as u32)
    }

    /// Returns whether libopus can conceal a stretch of this length: a multiple of 2.5 ms.
    fn fits(&self, pcm: &[i16]) -> bool {
        !pcm.is_empty() && pcm.len().is_multiple_of(self.interleaved(120))
    }

    /// libopus conceals 20 ms at a time whatever it is asked for, and takes its buffer from the stack.
    fn conceal_in_steps(&mut self, pcm: &mut [i16]) -> bool {
        let step = self.interleaved(STEP_TICKS);
        pcm.chunks_mut(step).all(|part| self.raw.conceal(part).is_ok())
    }

    /// Ticks right before `next` that its in-band FEC holds: as much as its first frame lasts.
    fn fec_ticks(&self, next: &[u8], packet: &OpusPacket) -> u32 {
        // After an MDCT packet libopus can't use it, and would just conceal. A first frame of one byte marks a frame that was not
        // sent, whatever its bits say.
        let usable = self.last.is_none_or(|last| last.mode != OpusMode::Celt);
        if usable && packet.first_frame_bytes >= 2 && ffi::has_lbrr(next) { packet.frame_ticks } else { 0 }
    }

    #[cfg(feature = "opus-dred")]
    fn dred_reach(&mut self, next: &[u8]) -> u32 {
        if super::dred::goes_on_after(self.last) { self.dred.reach(next) } else { 0 }
    }

    #[cfg(not(feature = "opus-dred"))]
    fn dred_reach(&mut self, _next: &[u8]) -> u32 {
        0
    }

    #[cfg(feature = "opus-dred")]
    fn recover_deep(&mut self, next: &[u8], ahead: u32, pcm: &mut [i16]) -> bool {
        let ticks = self.ticks(pcm);
        if !super::dred::goes_on_after(self.last) || !ticks.is_multiple_of(480) || !self.dred.covers(next, ahead, ticks)
        {
            return false;
        }
        let step = self.interleaved(STEP_TICKS);
        let mut back = ahead + ticks;
        for part in pcm.chunks_mut(step) {
            let samples = self.info.samples(back);
            // Covered stretches can't fail; if one does, the decoder has moved on and it is filled all the same.
            if self.raw.decode_dred(self.dred.raw(), samples, part).is_err() && self.raw.conceal(part).is_err() {
                return false;
            }
            back -= self.info.ticks((part.len() / usize::from(self.info.channels)) as u32);
        }
        true
    }

    #[cfg(not(feature = "opus-dred"))]
    fn recover_deep(&mut self, _next: &[u8], _ahead: u32, _pcm: &mut [i16]) -> bool {
        false
    }
}

impl Decoder for OpusDecoder {
    fn info(&self) -> CodecInfo {
        self.info
    }

    /// Read from the packet's framing alone (RFC 6716, 3.2), which is checked to the last byte.
    fn duration(&self, payload: &[u8]) -> Result<u32, DecodeError> {
        Ok(OpusPacket::parse(payload)?.ticks())
    }

    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, DecodeError> {
        let packet = OpusPacket::parse(payload)?;
        let need = self.interleaved(packet.ticks());
        if pcm.len() < need {
            return Err(DecodeError::OutputTooSmall { need, got: pcm.len() });
        }
        self.last = Some(packet);
        self.raw.decode(payload, &mut pcm[..need], false).map_err(DecodeError::Malformed)
    }

    /// libopus' own concealment, of a multiple of 2.5 ms; any other length is `false`. Before the first packet it is
    /// silence.
    fn conceal(&mut self, pcm: &mut [i16]) -> bool {
        self.fits(pcm) && self.conceal_in_steps(pcm)
    }

    /// Returns how many ticks `next` covers: the length of its first frame where that has in-band FEC, and up to a second with
    /// Deep Redundancy.
    fn redundancy(&mut self, next: &[u8]) -> u32 {
        let Ok(packet) = OpusPacket::parse(next) else { return 0 };
        self.fec_ticks(next, &packet).max(self.dred_reach(next))
    }

    /// Returns whether the payload marks a pause: in DTX libopus sends only a packet's first byte or two, every 400 ms.
    fn pauses(&self, payload: &[u8]) -> bool {
        payload.len() <= 2
    }

    /// Recovers sound by in-band FEC where that exists, and by Deep Redundancy for the rest; sound that neither covers is
    /// concealed, if the end of `pcm` is covered.
    ///
    /// `false` where they cover nothing of the stretch, and where it isn't a multiple of 2.5 ms, or of 10 ms for Deep
    /// Redundancy alone.
    fn recover(&mut self, next: &[u8], ahead: u32, pcm: &mut [i16]) -> bool {
        let Ok(packet) = OpusPacket::parse(next) else { return false };
        if !self.fits(pcm) {
            return false;
        }
        let fec = self.fec_ticks(next, &packet);
        if fec == 0 || ahead > 0 || self.ticks(pcm) < fec {
            return self.recover_deep(next, ahead, pcm);
        }
        let (before, redundant) = pcm.split_at_mut(pcm.len() - self.interleaved(fec));
        if !before.is_empty() && !self.recover_deep(next, fec, before) && !self.conceal_in_steps(before) {
            return false;
        }
        // Redundancy that can't be decoded after all: the decoder has moved on, so the stretch is filled all the same.
        self.raw.decode(next, redundant, true).is_ok() || self.conceal_in_steps(redundant)
    }

    fn reset(&mut self) {
        self.raw.reset();
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_checked() {
        assert_eq!(OpusDecoder::new(44_100, 1).unwrap_err(), OpusError::SampleRate { hz: 44_100 });
        assert_eq!(OpusDecoder::new(48_000, 3).unwrap_err(), OpusError::Channels { channels: 3 });
        let info = OpusDecoder::new(16_000, 2).unwrap().info();
        assert_eq!((info.sample_rate_hz, info.rtp_clock_hz, info.channels), (16_000, 48_000, 2));
    }

    #[test]
    fn concealment_takes_multiples_of_two_and_a_half_milliseconds() {
        let mut decoder = OpusDecoder::new(16_000, 2).unwrap();
        let mut pcm = [7; 16_000];
        assert!(!decoder.conceal(&mut pcm[..0]));
        assert!(!decoder.conceal(&mut pcm[..79]));
        assert!(!decoder.conceal(&mut pcm[..120]), "1.5 units");
        assert!(decoder.conceal(&mut pcm[..80]));
        assert_eq!(pcm[79..81], [0, 7], "silence before any packet, and no sample more");
        assert!(decoder.conceal(&mut pcm), "half a second at once");
        assert_eq!(pcm, [0; 16_000]);
    }

    #[test]
    fn a_bad_packet_is_an_error_and_changes_nothing() {
        let mut decoder = OpusDecoder::new(48_000, 1).unwrap();
        let mut pcm = [0; 960];
        assert_eq!(decoder.decode(&[], &mut pcm), Err(DecodeError::Empty));
        assert_eq!(decoder.decode(&[0x0b, 0], &mut pcm), Err(DecodeError::Malformed(5)));
        assert_eq!(decoder.decode(&[0x0b, 6], &mut pcm), Err(DecodeError::OutputTooSmall { need: 5760, got: 960 }));
        assert!(!decoder.recover(&[0x08, 1, 2], 0, &mut pcm), "no redundancy flag");
        assert_eq!(decoder.decode(&[0x08], &mut pcm), Ok(960));
    }
}

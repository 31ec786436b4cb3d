//! Payload to PCM, with libopus' concealment and in-band FEC (RFC 6716, 2.1.7 and 4).

use dsp_core::codec::{CodecInfo, DecodeError, Decoder};

use super::{OpusError, OpusMode, OpusPacket, RTP_CLOCK_HZ, check_format, ffi};

/// Takes any Opus packet, mono or stereo of any bandwidth, to PCM of one rate and channel count.
///
/// A packet with broken framing is an error and leaves the decoder as it was; after a packet whose coded sound is
/// broken, the next good one decodes. After construction nothing allocates.
#[derive(Debug)]
pub struct OpusDecoder {
    raw: ffi::RawDecoder,
    info: CodecInfo,
    /// The last packet was MDCT only: libopus then has no FEC for the stretch after it, it would just conceal.
    after_celt: bool,
}

impl OpusDecoder {
    /// A decoder to PCM at `sample_rate_hz` (8, 12, 16, 24 or 48 kHz) with `channels` (1 or 2).
    ///
    /// # Errors
    /// [`OpusError::SampleRate`] and [`OpusError::Channels`] for others; [`OpusError::Library`] without memory.
    pub fn new(sample_rate_hz: u32, channels: u8) -> Result<Self, OpusError> {
        check_format(sample_rate_hz, channels)?;
        let raw = ffi::RawDecoder::new(sample_rate_hz, channels)?;
        let info = CodecInfo { name: "opus", sample_rate_hz, rtp_clock_hz: RTP_CLOCK_HZ, channels };
        Ok(Self { raw, info, after_celt: false })
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

    fn conceal_in_steps(&mut self, pcm: &mut [i16]) -> bool {
        // libopus conceals 20 ms at a time whatever it is asked for, and takes its buffer from the stack.
        let step = self.interleaved(960);
        pcm.chunks_mut(step).all(|part| self.raw.conceal(part).is_ok())
    }
}

impl Decoder for OpusDecoder {
    fn info(&self) -> CodecInfo {
        self.info
    }

    /// Read from the packet's framing alone (RFC 6716, 3.2), which is checked to the last byte.
    fn duration(&self, payload: &[u8]) -> Result<u32, DecodeError> {
        OpusPacket::parse(payload).map(|packet| packet.ticks())
    }

    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, DecodeError> {
        let packet = OpusPacket::parse(payload)?;
        let need = self.interleaved(packet.ticks());
        if pcm.len() < need {
            return Err(DecodeError::OutputTooSmall { need, got: pcm.len() });
        }
        self.after_celt = packet.mode == OpusMode::Celt;
        self.raw.decode(payload, &mut pcm[..need], false).map_err(DecodeError::Malformed)
    }

    /// libopus' own concealment, of a multiple of 2.5 ms; any other length is `false`. Before the first packet it is
    /// silence.
    fn conceal(&mut self, pcm: &mut [i16]) -> bool {
        let unit = self.interleaved(120);
        if pcm.is_empty() || !pcm.len().is_multiple_of(unit) {
            return false;
        }
        self.conceal_in_steps(pcm)
    }

    /// The redundancy in `next` covers as much as its first frame lasts; an earlier part of `pcm` is concealed.
    ///
    /// `false` where `next` has no redundancy or lasts longer than the stretch, where `pcm` isn't a multiple of 2.5 ms,
    /// and after an MDCT packet, from which libopus can't go on with it.
    fn has_redundancy(&self) -> bool {
        true
    }

    /// In DTX libopus sends nothing but a packet's first byte or two, every 400 ms.
    fn pauses(&self, payload: &[u8]) -> bool {
        payload.len() <= 2
    }

    fn recover(&mut self, next: &[u8], pcm: &mut [i16]) -> bool {
        let Ok(packet) = OpusPacket::parse(next) else { return false };
        let covered = self.interleaved(packet.frame_ticks);
        // A first frame of one byte is one not sent, whatever its bits say.
        if self.after_celt
            || packet.first_frame_bytes < 2
            || pcm.len() < covered
            || !pcm.len().is_multiple_of(self.interleaved(120))
            || !ffi::has_lbrr(next)
        {
            return false;
        }
        let (before, redundant) = pcm.split_at_mut(pcm.len() - covered);
        if !self.conceal_in_steps(before) {
            return false;
        }
        // Redundancy that can't be decoded after all: the decoder has moved on, so the stretch is filled all the same.
        self.raw.decode(next, redundant, true).is_ok() || self.conceal_in_steps(redundant)
    }

    fn reset(&mut self) {
        self.raw.reset();
        self.after_celt = false;
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
        assert_eq!(decoder.decode(&[0x0b, 0], &mut pcm), Err(DecodeError::Malformed(0)));
        assert_eq!(decoder.decode(&[0x0b, 6], &mut pcm), Err(DecodeError::OutputTooSmall { need: 5760, got: 960 }));
        assert!(!decoder.recover(&[0x08, 1, 2], &mut pcm), "no redundancy flag");
        assert_eq!(decoder.decode(&[0x08], &mut pcm), Ok(960));
    }
}

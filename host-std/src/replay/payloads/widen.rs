//! Decoders of one channel in a stream of two: samples of both channels that are interleaved, and mono that is heard in both.

use dsp_core::codec::{CodecInfo, DecodeError, Decoder};

/// A decoder of samples that has those of two channels, interleaved.
pub(super) struct StereoDecoder(pub(super) Box<dyn Decoder + Send>);

impl Decoder for StereoDecoder {
    fn info(&self) -> CodecInfo {
        CodecInfo { channels: 2, ..self.0.info() }
    }

    fn duration(&self, payload: &[u8]) -> Result<u32, DecodeError> {
        match self.0.duration(payload)? {
            ticks if ticks % 2 == 0 => Ok(ticks / 2),
            _ => Err(DecodeError::Length { bytes: payload.len() }),
        }
    }

    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, DecodeError> {
        self.duration(payload)?;
        Ok(self.0.decode(payload, pcm)? / 2)
    }

    fn reset(&mut self) {
        self.0.reset();
    }
}

/// A mono decoder, in a stream that is stereo at other times: the same in both channels.
pub(super) struct Doubled(pub(super) Box<dyn Decoder + Send>);

impl Doubled {
    /// Doubles the first half of `pcm`, which is mono.
    fn double(pcm: &mut [i16]) {
        for n in (0..pcm.len() / 2).rev() {
            let sample = pcm[n];
            pcm[2 * n..2 * n + 2].fill(sample);
        }
    }
}

impl Decoder for Doubled {
    fn info(&self) -> CodecInfo {
        CodecInfo { channels: 2, ..self.0.info() }
    }

    fn duration(&self, payload: &[u8]) -> Result<u32, DecodeError> {
        self.0.duration(payload)
    }

    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, DecodeError> {
        let half = pcm.len() / 2;
        let samples = self.0.decode(payload, &mut pcm[..half])?;
        Self::double(&mut pcm[..2 * samples]);
        Ok(samples)
    }

    fn conceal(&mut self, pcm: &mut [i16]) -> bool {
        let half = pcm.len() / 2;
        let made = self.0.conceal(&mut pcm[..half]);
        Self::double(pcm);
        made
    }

    fn follow(&mut self, samples: usize) {
        self.0.follow(samples);
    }

    fn pauses(&self, payload: &[u8]) -> bool {
        self.0.pauses(payload)
    }

    fn reset(&mut self) {
        self.0.reset();
    }
}

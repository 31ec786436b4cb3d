//! A mono Opus encoder and decoder over memory of the caller's (RFC 6716; RTP as in RFC 7587, clock 48 kHz).
//!
//! Units: samples at the codec's rate, durations in ticks of 48 kHz. Delay: 6.5 ms of lookahead beside the frame. Not
//! here: in-band FEC, stereo.

use core::ffi::c_int;

use dsp_core::codec::{CodecInfo, DecodeError, Decoder, EncodeError, Encoder};

use crate::ffi;
pub use crate::ffi::{StateError, state_bytes};

/// RTP ticks a second, whatever the sample rate (RFC 7587, 4.1).
pub const RTP_CLOCK_HZ: u32 = 48_000;
/// Words that hold an encoder's state, with some to spare; [`state_bytes`] says what it takes.
pub const ENCODER_WORDS: usize = 2_048;
/// Words that hold a decoder's state.
pub const DECODER_WORDS: usize = 2_560;
/// What libopus conceals at once, in ticks: 20 ms.
const STEP_TICKS: u32 = 960;

fn info(sample_rate_hz: u32) -> CodecInfo {
    CodecInfo { name: "opus", sample_rate_hz, rtp_clock_hz: RTP_CLOCK_HZ, channels: 1 }
}

/// How voice is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusConfig {
    /// 8,000, 12,000, 16,000, 24,000 or 48,000 Hz.
    pub sample_rate_hz: u32,
    /// Mean bit rate, bit/s.
    pub bitrate_bps: u32,
    /// 0, the cheapest, to 10.
    pub complexity: u8,
}

impl Default for OpusConfig {
    /// Wide band at 20 kbit/s, as cheap as can be.
    fn default() -> Self {
        Self { sample_rate_hz: 16_000, bitrate_bps: 20_000, complexity: 0 }
    }
}

/// Voice to payload. Its state lies in `'a`.
pub struct OpusEncoder<'a> {
    raw: ffi::RawEncoder<'a>,
    sample_rate_hz: u32,
}

impl<'a> OpusEncoder<'a> {
    /// An encoder in `memory`, which may hold anything.
    ///
    /// # Errors
    /// [`StateError::Memory`] if that is too little, [`StateError::Library`] for a rate or setting that Opus hasn't.
    pub fn new(memory: &'a mut [u64], config: OpusConfig) -> Result<Self, StateError> {
        let OpusConfig { sample_rate_hz, bitrate_bps, complexity } = config;
        let mut raw = ffi::RawEncoder::new(memory, sample_rate_hz, ffi::OPUS_APPLICATION_VOIP)?;
        for (request, value) in [
            (ffi::OPUS_SET_BITRATE_REQUEST, c_int::try_from(bitrate_bps).unwrap_or(c_int::MAX)),
            (ffi::OPUS_SET_COMPLEXITY_REQUEST, c_int::from(complexity)),
            (ffi::OPUS_SET_MAX_BANDWIDTH_REQUEST, ffi::OPUS_BANDWIDTH_WIDEBAND),
            (ffi::OPUS_SET_SIGNAL_REQUEST, ffi::OPUS_SIGNAL_VOICE),
        ] {
            raw.set(request, value)?;
        }
        Ok(Self { raw, sample_rate_hz })
    }
}

impl Encoder for OpusEncoder<'_> {
    fn info(&self) -> CodecInfo {
        info(self.sample_rate_hz)
    }

    fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> Result<usize, EncodeError> {
        let samples = pcm.len();
        // In units of 2.5 ms: 2.5, 5, 10, 20 and 40 ms, then 60 to 120 ms in steps of 20.
        let unit = self.sample_rate_hz as usize / 400;
        if !samples.is_multiple_of(unit) || !matches!(samples / unit, 1 | 2 | 4 | 8 | 16 | 24 | 32 | 40 | 48) {
            return Err(EncodeError::FrameLength { samples });
        }
        if payload.is_empty() {
            return Err(EncodeError::OutputTooSmall { need: 1, got: 0 });
        }
        self.raw.encode(pcm, payload).map_err(EncodeError::Codec)
    }

    fn reset(&mut self) {
        self.raw.reset();
    }
}

/// Payload to PCM: any Opus packet, which the library mixes to mono and brings to the sample rate. Its state lies in
/// `'a`.
pub struct OpusDecoder<'a> {
    raw: ffi::RawDecoder<'a>,
    info: CodecInfo,
}

impl<'a> OpusDecoder<'a> {
    /// A decoder to `sample_rate_hz` in `memory`, which may hold anything.
    ///
    /// # Errors
    /// [`StateError::Memory`] if that is too little, [`StateError::Library`] for a rate that Opus hasn't.
    pub fn new(memory: &'a mut [u64], sample_rate_hz: u32) -> Result<Self, StateError> {
        Ok(Self { raw: ffi::RawDecoder::new(memory, sample_rate_hz)?, info: info(sample_rate_hz) })
    }

    /// Samples of `payload` at `rate_hz`.
    fn samples(payload: &[u8], rate_hz: u32) -> Result<usize, DecodeError> {
        if payload.is_empty() {
            return Err(DecodeError::Empty);
        }
        ffi::packet_samples(payload, rate_hz).map_err(DecodeError::Malformed)
    }
}

impl Decoder for OpusDecoder<'_> {
    fn info(&self) -> CodecInfo {
        self.info
    }

    fn duration(&self, payload: &[u8]) -> Result<u32, DecodeError> {
        Self::samples(payload, RTP_CLOCK_HZ).map(|ticks| ticks as u32)
    }

    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, DecodeError> {
        let need = Self::samples(payload, self.info.sample_rate_hz)?;
        let got = pcm.len();
        let pcm = pcm.get_mut(..need).ok_or(DecodeError::OutputTooSmall { need, got })?;
        self.raw.decode(Some(payload), pcm).map_err(DecodeError::Malformed)
    }

    /// libopus' own concealment, of a multiple of 2.5 ms; any other length is `false`.
    fn conceal(&mut self, pcm: &mut [i16]) -> bool {
        let unit = self.info.sample_rate_hz as usize / 400;
        let step = self.info.samples(STEP_TICKS) as usize;
        !pcm.is_empty()
            && pcm.len().is_multiple_of(unit)
            && pcm.chunks_mut(step).all(|part| self.raw.decode(None, part).is_ok())
    }

    fn reset(&mut self) {
        self.raw.reset();
    }
}

//! The codecs of a call: made from what the SDP negotiated, found by payload type.

use dsp_core::codec::g711::{Pcma, Pcmu};
use dsp_core::codec::g722::{G722Decoder, G722Encoder, Mode};
use dsp_core::codec::ilbc::{IlbcDecoder, IlbcEncoder, IlbcMode};
use dsp_core::codec::l16::L16;
use dsp_core::codec::{CodecInfo, DecodeError, Decoder, Encoder, OtherPayload, PayloadTable};
use dsp_core::time::PayloadType;

use crate::opus::{OpusDecoder, OpusEncoder, OpusEncoderConfig};
use crate::sdp::{CodecFormat, NegotiatedCodec};

use super::CallError;

/// A codec that a call can offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// G.711 mu-law, 8 kHz.
    Pcmu,
    /// G.711 A-law, 8 kHz.
    Pcma,
    /// G.722 at 64 kbit/s, 16 kHz with an RTP clock of 8 kHz.
    G722,
    /// iLBC, 8 kHz, in frames of 20 or 30 ms (RFC 3952).
    Ilbc(IlbcMode),
    /// Linear 16-bit PCM, mono, at this rate in Hz.
    L16(u32),
    /// Opus, mono, at the rate of the call's [`OpusEncoderConfig`].
    Opus,
}

impl Codec {
    /// As SDP writes it.
    pub fn format(self, opus: &OpusEncoderConfig) -> CodecFormat {
        match self {
            Self::Pcmu => CodecFormat::pcmu(),
            Self::Pcma => CodecFormat::pcma(),
            Self::G722 => CodecFormat::g722(),
            Self::Ilbc(IlbcMode::Ms20) => CodecFormat::new("iLBC", 8_000, 1).with_fmtp("mode=20"),
            Self::Ilbc(IlbcMode::Ms30) => CodecFormat::new("iLBC", 8_000, 1).with_fmtp("mode=30"),
            Self::L16(rate_hz) => CodecFormat::l16(rate_hz, 1),
            Self::Opus if opus.fec => CodecFormat::opus().with_fmtp("useinbandfec=1"),
            Self::Opus => CodecFormat::opus(),
        }
    }

    /// The one that a negotiated format stands for; `None` for comfort noise and the like.
    pub fn of(format: &CodecFormat) -> Option<Self> {
        let named = |name: &str| format.name.eq_ignore_ascii_case(name);
        match (format.rtp_clock_hz, format.channels) {
            (8_000, 1) if named("PCMU") => Some(Self::Pcmu),
            (8_000, 1) if named("PCMA") => Some(Self::Pcma),
            (8_000, 1) if named("G722") => Some(Self::G722),
            // 30 ms is what a side has that doesn't say (RFC 3952, 4.2).
            (8_000, 1) if named("iLBC") && format.parameter("mode") == Some("20") => Some(Self::Ilbc(IlbcMode::Ms20)),
            (8_000, 1) if named("iLBC") => Some(Self::Ilbc(IlbcMode::Ms30)),
            (rate_hz @ 8_000..=48_000, 1) if named("L16") => Some(Self::L16(rate_hz)),
            (48_000, _) if named("opus") => Some(Self::Opus),
            _ => None,
        }
    }

    /// Rate of its sound in this call, in Hz.
    pub fn sample_rate_hz(self, opus: &OpusEncoderConfig) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::Ilbc(_) => 8_000,
            Self::G722 => 16_000,
            Self::L16(rate_hz) => rate_hz,
            Self::Opus => opus.sample_rate_hz,
        }
    }

    /// Rate of its RTP clock, in Hz.
    pub fn rtp_clock_hz(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 | Self::Ilbc(_) => 8_000,
            Self::L16(rate_hz) => rate_hz,
            Self::Opus => 48_000,
        }
    }

    /// The packet length for this codec that is nearest below `ptime_ms`, and at least one frame.
    pub(super) fn ptime_ms(self, ptime_ms: u32) -> u32 {
        match self {
            Self::Ilbc(mode) => {
                let frame_ms = mode.samples() as u32 / 8;
                frame_ms * (ptime_ms / frame_ms).max(1)
            }
            _ => ptime_ms,
        }
    }

    /// What to send to a side that has `theirs`, when we have `ours`: of iLBC's two frame lengths the longer, if one
    /// side wants it (RFC 3952, 4.2).
    pub(super) fn agreed(theirs: Self, ours: Option<Self>) -> Self {
        match (theirs, ours) {
            (Self::Ilbc(_), Some(Self::Ilbc(IlbcMode::Ms30))) => Self::Ilbc(IlbcMode::Ms30),
            _ => theirs,
        }
    }

    pub(super) fn encoder(self, opus: &OpusEncoderConfig) -> Result<Box<dyn Encoder + Send>, CallError> {
        Ok(match self {
            Self::Pcmu => Box::new(Pcmu),
            Self::Pcma => Box::new(Pcma),
            Self::G722 => Box::new(G722Encoder::new(Mode::Kbps64)),
            Self::Ilbc(mode) => Box::new(IlbcEncoder::new(mode)),
            Self::L16(rate_hz) => Box::new(L16::new(rate_hz, 1).map_err(CallError::L16)?),
            Self::Opus => Box::new(OpusEncoder::new(*opus)?),
        })
    }

    fn decoder(self, opus: &OpusEncoderConfig) -> Result<Box<dyn Decoder + Send>, CallError> {
        Ok(match self {
            Self::Pcmu => Box::new(Pcmu),
            Self::Pcma => Box::new(Pcma),
            Self::G722 => Box::new(G722Decoder::new(Mode::Kbps64)),
            Self::Ilbc(_) => Box::new(IlbcByLength::new()),
            Self::L16(rate_hz) => Box::new(L16::new(rate_hz, 1).map_err(CallError::L16)?),
            Self::Opus => Box::new(OpusDecoder::new(opus.sample_rate_hz, 1)?),
        })
    }
}

/// iLBC by the length of the payload, whichever mode was agreed on: 38 bytes a frame of 20 ms, 50 one of 30 ms.
struct IlbcByLength {
    ms20: IlbcDecoder,
    ms30: IlbcDecoder,
    mode: IlbcMode,
}

impl IlbcByLength {
    fn new() -> Self {
        let mode = IlbcMode::Ms20;
        Self { ms20: IlbcDecoder::new(IlbcMode::Ms20), ms30: IlbcDecoder::new(IlbcMode::Ms30), mode }
    }

    fn mode_of(&self, payload: &[u8]) -> IlbcMode {
        match (payload.len() % IlbcMode::Ms20.bytes(), payload.len() % IlbcMode::Ms30.bytes()) {
            (0, 0) => self.mode,
            (0, _) => IlbcMode::Ms20,
            (_, 0) => IlbcMode::Ms30,
            _ => self.mode,
        }
    }

    fn of(&mut self, mode: IlbcMode) -> &mut IlbcDecoder {
        if mode == IlbcMode::Ms20 { &mut self.ms20 } else { &mut self.ms30 }
    }
}

impl Decoder for IlbcByLength {
    fn info(&self) -> CodecInfo {
        Decoder::info(&self.ms20)
    }

    fn duration(&self, payload: &[u8]) -> Result<u32, DecodeError> {
        match self.mode_of(payload) {
            IlbcMode::Ms20 => self.ms20.duration(payload),
            IlbcMode::Ms30 => self.ms30.duration(payload),
        }
    }

    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, DecodeError> {
        let mode = self.mode_of(payload);
        if mode != self.mode {
            // What the other mode's decoder remembers is not what was heard last.
            self.of(mode).reset();
            self.mode = mode;
        }
        self.of(mode).decode(payload, pcm)
    }

    fn conceal(&mut self, pcm: &mut [i16]) -> bool {
        self.of(self.mode).conceal(pcm)
    }

    fn reset(&mut self) {
        self.ms20.reset();
        self.ms30.reset();
    }
}

/// The decoders of a call, by payload type.
pub(super) struct Decoders(Vec<(PayloadType, Box<dyn Decoder + Send>)>);

impl Decoders {
    /// One for each format that has the sample rate and the RTP clock of the call.
    pub(super) fn new(formats: &[NegotiatedCodec], main: Codec, opus: &OpusEncoderConfig) -> Result<Self, CallError> {
        let same = |codec: &Codec| {
            codec.rtp_clock_hz() == main.rtp_clock_hz() && codec.sample_rate_hz(opus) == main.sample_rate_hz(opus)
        };
        let mut decoders = Vec::new();
        for NegotiatedCodec { payload_type, format } in formats {
            if let Some(codec) = Codec::of(format).filter(same) {
                decoders.push((*payload_type, codec.decoder(opus)?));
            }
        }
        Ok(Self(decoders))
    }

    /// Whether packets of this type can be decoded.
    pub(super) fn knows(&self, payload_type: PayloadType) -> bool {
        self.0.iter().any(|(own, _)| *own == payload_type)
    }

    /// Takes in decoders of payload types that are not here: those beside them keep what they have heard.
    pub(super) fn add(&mut self, others: Self) {
        for (payload_type, decoder) in others.0 {
            if !self.knows(payload_type) {
                self.0.push((payload_type, decoder));
            }
        }
    }
}

impl PayloadTable for Decoders {
    fn decoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Decoder> {
        let (_, decoder) = self.0.iter_mut().find(|(own, _)| *own == payload_type)?;
        Some(&mut **decoder)
    }

    /// Static payload type 13 is comfort noise, whatever was agreed on (RFC 3389, 4).
    fn other(&self, payload_type: PayloadType) -> OtherPayload {
        if payload_type.get() == 13 { OtherPayload::Noise } else { OtherPayload::Unknown }
    }
}

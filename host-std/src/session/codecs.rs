//! The codecs of a call: made from what the SDP negotiated, found by payload type.

use dsp_core::codec::g711::{Pcma, Pcmu};
use dsp_core::codec::g722::{G722Decoder, G722Encoder, Mode};
use dsp_core::codec::l16::L16;
use dsp_core::codec::{Decoder, Encoder, PayloadTable};
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
            (rate_hz @ 8_000..=48_000, 1) if named("L16") => Some(Self::L16(rate_hz)),
            (48_000, _) if named("opus") => Some(Self::Opus),
            _ => None,
        }
    }

    /// Rate of its sound in this call, in Hz.
    pub fn sample_rate_hz(self, opus: &OpusEncoderConfig) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma => 8_000,
            Self::G722 => 16_000,
            Self::L16(rate_hz) => rate_hz,
            Self::Opus => opus.sample_rate_hz,
        }
    }

    /// Rate of its RTP clock, in Hz.
    pub fn rtp_clock_hz(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 => 8_000,
            Self::L16(rate_hz) => rate_hz,
            Self::Opus => 48_000,
        }
    }

    pub(super) fn encoder(self, opus: &OpusEncoderConfig) -> Result<Box<dyn Encoder + Send>, CallError> {
        Ok(match self {
            Self::Pcmu => Box::new(Pcmu),
            Self::Pcma => Box::new(Pcma),
            Self::G722 => Box::new(G722Encoder::new(Mode::Kbps64)),
            Self::L16(rate_hz) => Box::new(L16::new(rate_hz, 1).map_err(CallError::L16)?),
            Self::Opus => Box::new(OpusEncoder::new(*opus)?),
        })
    }

    fn decoder(self, opus: &OpusEncoderConfig) -> Result<Box<dyn Decoder + Send>, CallError> {
        Ok(match self {
            Self::Pcmu => Box::new(Pcmu),
            Self::Pcma => Box::new(Pcma),
            Self::G722 => Box::new(G722Decoder::new(Mode::Kbps64)),
            Self::L16(rate_hz) => Box::new(L16::new(rate_hz, 1).map_err(CallError::L16)?),
            Self::Opus => Box::new(OpusDecoder::new(opus.sample_rate_hz, 1)?),
        })
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
}

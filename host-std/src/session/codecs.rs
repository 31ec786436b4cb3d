//! The codecs of a call: made by the registry from what the SDP agreed on, found by payload type.

use dsp_core::codec::{Decoder, PayloadTable};
use dsp_core::time::PayloadType;

use super::CallError;
use crate::registry::{CodecFormat, Made, Registry, Terms};
use crate::sdp::{Negotiated, NegotiatedCodec};

/// What a call sends, and the rates of its sound both ways. Where two are equal, one encoder serves both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sending {
    /// What the other side wrote.
    pub(super) theirs: CodecFormat,
    /// What both sides' formats come to.
    pub(super) agreed: CodecFormat,
    pub(super) sample_rate_hz: u32,
}

impl Sending {
    /// The best codec that was agreed on.
    pub(super) fn new(registry: &Registry, negotiated: &Negotiated) -> Result<Self, CallError> {
        let (Some(theirs), Some(ours)) = (negotiated.send.first(), negotiated.receive.first()) else {
            return Err(CallError::Codec("none".into()));
        };
        let theirs = theirs.format.clone();
        let agreed = registry.agree(&ours.format, &theirs).unwrap_or_else(|| ours.format.clone());
        let sample_rate_hz = sample_rate_hz(registry, &agreed)?;
        Ok(Self { theirs, agreed, sample_rate_hz })
    }

    pub(super) fn rtp_clock_hz(&self) -> u32 {
        self.agreed.rtp_clock_hz
    }

    /// Whether a codec of ours has the same rates, so that one stream can carry both.
    pub(super) fn has_the_rates_of(&self, registry: &Registry, format: &CodecFormat) -> bool {
        let same_sound = || registry.describe(format).is_some_and(|codec| codec.sample_rate_hz == self.sample_rate_hz);
        format.rtp_clock_hz == self.rtp_clock_hz() && (format.is_auxiliary() || same_sound())
    }

    pub(super) fn encoder(&self, registry: &Registry) -> Result<Box<dyn dsp_core::codec::Encoder + Send>, CallError> {
        make(registry, &self.agreed, |codec| codec.encoder(&Terms { ours: &self.agreed, theirs: &self.theirs }))
    }
}

/// Rate of the sound of a codec in a call, in Hz.
///
/// # Errors
/// [`CallError::Codec`] if the registry has none, [`CallError::Channels`] if its sound is not mono.
pub(super) fn sample_rate_hz(registry: &Registry, format: &CodecFormat) -> Result<u32, CallError> {
    let description = registry.describe(format).ok_or_else(|| CallError::Codec(format.to_string()))?;
    match description.channels {
        1 => Ok(description.sample_rate_hz),
        channels => Err(CallError::Channels { codec: format.to_string(), channels }),
    }
}

fn make<T: ?Sized>(
    registry: &Registry,
    format: &CodecFormat,
    make: impl FnOnce(&dyn crate::registry::Codec) -> Made<T>,
) -> Result<Box<T>, CallError> {
    let codec = registry.find(format).ok_or_else(|| CallError::Codec(format.to_string()))?;
    make(codec).map_err(|source| CallError::CodecSetup { codec: format.to_string(), source })
}

/// The decoders of a call, by payload type.
pub(super) struct Decoders(Vec<(PayloadType, Box<dyn Decoder + Send>)>);

impl Decoders {
    /// One for each format that has the sample rate and the RTP clock of the call.
    pub(super) fn new(registry: &Registry, formats: &[NegotiatedCodec], sound: &Sending) -> Result<Self, CallError> {
        let mut decoders = Vec::new();
        for NegotiatedCodec { payload_type, format } in formats {
            if !format.is_auxiliary() && sound.has_the_rates_of(registry, format) {
                let decoder = make(registry, format, |codec| codec.decoder(&Terms::alone(format)))?;
                decoders.push((*payload_type, decoder));
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

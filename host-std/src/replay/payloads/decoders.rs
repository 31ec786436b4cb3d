//! The decoders of one stream by payload type.

use dsp_core::codec::{Decoder, OtherPayload, PayloadTable};
use dsp_core::time::PayloadType;

use super::format::PayloadFormat;
use crate::session::Converted;

/// The decoders of one stream by payload type.
pub(in crate::replay) struct Decoders {
    decoders: Vec<(PayloadType, Box<dyn Decoder + Send>)>,
    others: Vec<(PayloadType, OtherPayload)>,
    redundancy: Option<PayloadType>,
    /// The RTP clock in Hz of each type, with or without a decoder.
    clocks_hz: Vec<(PayloadType, u32)>,
    other_clock_hz: u32,
}

impl Decoders {
    /// Creates decoders for all these formats, of which the first is that of most packets, for a receiver that plays this many
    /// channels at a rate in Hz: other sound is converted, as in a call.
    pub(in crate::replay) fn new(
        formats: &[(PayloadType, PayloadFormat)],
        [rate_hz, main_clock_hz]: [u32; 2],
        channels: u8,
    ) -> Option<Self> {
        let decoder = |format: &PayloadFormat| -> Option<Box<dyn Decoder + Send>> {
            let decoder = format.decoder()?;
            if (format.sample_rate_hz(), format.channels()) == (rate_hz, channels) {
                return Some(decoder);
            }
            Some(Box::new(Converted::new(decoder, rate_hz, channels).ok()?))
        };
        let decoders =
            formats.iter().map(|(number, format)| Some((*number, decoder(format)?))).collect::<Option<_>>()?;
        let clocks_hz = formats.iter().map(|(number, format)| (*number, format.rtp_clock_hz())).collect();
        Some(Self { decoders, others: Vec::new(), redundancy: None, clocks_hz, other_clock_hz: main_clock_hz })
    }

    /// The RTP clock in Hz that packets of this type count in.
    pub(in crate::replay) fn clock_of(&self, payload_type: PayloadType) -> u32 {
        let own = self.clocks_hz.iter().find(|(own, _)| *own == payload_type);
        match own {
            Some((_, clock_hz)) => *clock_hz,
            // RFC 3551 has it at 8 kHz, together with a codec of that clock.
            None if payload_type == PayloadType::COMFORT_NOISE && self.clocks_hz.iter().any(|(_, hz)| *hz == 8_000) => {
                8_000
            }
            None => self.other_clock_hz,
        }
    }

    /// Returns the same with comfort noise and telephone events: nothing is missing where they are.
    pub(in crate::replay) fn with_others(self, others: &[(PayloadType, OtherPayload)]) -> Self {
        Self { others: others.to_vec(), ..self }
    }

    /// Returns whether the timestamp of such a packet says when it is to be heard: it's sound, or comfort noise.
    pub(in crate::replay) fn has_time(&self, payload_type: PayloadType) -> bool {
        self.redundancy == Some(payload_type)
            || self.other(payload_type) == OtherPayload::Noise
            || self.decoders.iter().any(|(own, _)| *own == payload_type)
    }

    /// Returns whether such packets are telephone events.
    pub(in crate::replay) fn is_event(&self, payload_type: PayloadType) -> bool {
        self.other(payload_type) == OtherPayload::Event
    }

    /// Returns the same with redundant audio data.
    pub(in crate::replay) fn with_redundancy(self, redundancy: Option<PayloadType>) -> Self {
        Self { redundancy, ..self }
    }

    /// Returns the payload type of redundant audio data.
    pub(in crate::replay) fn redundancy(&self) -> Option<PayloadType> {
        self.redundancy
    }
}

impl PayloadTable for Decoders {
    fn decoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Decoder> {
        let (_, decoder) = self.decoders.iter_mut().find(|(own, _)| *own == payload_type)?;
        Some(&mut **decoder)
    }

    fn other(&self, payload_type: PayloadType) -> OtherPayload {
        let other = self.others.iter().find(|(own, _)| *own == payload_type);
        other.map_or(OtherPayload::Unknown, |(_, other)| *other)
    }

    fn clock_hz(&self, payload_type: PayloadType) -> Option<u32> {
        Some(self.clock_of(payload_type))
    }
}

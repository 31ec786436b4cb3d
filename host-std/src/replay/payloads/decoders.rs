//! What the receiver finds behind the payload types of one stream.

use dsp_core::codec::{Decoder, OtherPayload, PayloadTable};
use dsp_core::time::PayloadType;

use super::format::PayloadFormat;
use crate::session::Converted;

/// What is behind the payload types of one stream.
pub(in crate::replay) struct Decoders {
    decoders: Vec<(PayloadType, Box<dyn Decoder + Send>)>,
    others: Vec<(PayloadType, OtherPayload)>,
    redundancy: Option<PayloadType>,
}

impl Decoders {
    /// Of those formats that have the clock of `main`, as a call has them (RFC 7160).
    pub(in crate::replay) fn new(formats: &[(PayloadType, PayloadFormat)], main: &PayloadFormat) -> Option<Self> {
        let sound = main.decoder()?.info();
        let decoder = |format: &PayloadFormat| -> Option<Box<dyn Decoder + Send>> {
            let decoder = format.decoder()?;
            if format.has_the_rates_of(main) && format.channels() == main.channels() {
                return Some(decoder);
            }
            Some(Box::new(Converted::new(decoder, sound)?.ok()?))
        };
        let heard = formats.iter().filter(|(_, format)| format.goes_with(main));
        let decoders = heard.map(|(number, format)| Some((*number, decoder(format)?))).collect::<Option<_>>()?;
        Some(Self { decoders, others: Vec::new(), redundancy: None })
    }

    /// The same with comfort noise and telephone events: nothing is missing where they are.
    pub(in crate::replay) fn with_others(self, others: &[(PayloadType, OtherPayload)]) -> Self {
        Self { others: others.to_vec(), ..self }
    }

    /// Whether the timestamp of such a packet says when it is to be heard: it's sound, or comfort noise.
    pub(in crate::replay) fn has_time(&self, payload_type: PayloadType) -> bool {
        self.redundancy == Some(payload_type)
            || self.other(payload_type) == OtherPayload::Noise
            || self.decoders.iter().any(|(own, _)| *own == payload_type)
    }

    /// The same with redundant audio data.
    pub(in crate::replay) fn with_redundancy(self, redundancy: Option<PayloadType>) -> Self {
        Self { redundancy, ..self }
    }

    /// The payload type of redundant audio data.
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
}

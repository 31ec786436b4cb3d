//! The parts of the phone, at 8 kHz and at 16 kHz.

use dsp_core::codec::g722::{G722Encoder, LeanG722Decoder, Mode};
use dsp_core::codec::{Decoder, Encoder, PayloadTable};
use dsp_core::front::NoBlock;
use dsp_core::process::activity::NoDetector;
use dsp_core::receive::strategy::Standard;
use dsp_core::time::PayloadType;
use host_embedded::parts::{Parts, PhoneCodecs, PhoneParts, Wideband};

/// G.722, by the number that was agreed on.
pub(crate) struct Wide {
    number: PayloadType,
    encoder: G722Encoder,
    decoder: LeanG722Decoder,
}

impl PayloadTable for Wide {
    fn decoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Decoder> {
        (payload_type == self.number).then_some(&mut self.decoder as &mut dyn Decoder)
    }
}

impl PhoneCodecs for Wide {
    const SAMPLE_RATE_HZ: u32 = 16_000;
    const RTP_CLOCK_HZ: u32 = 8_000;
    type Memory = Wideband;

    fn encoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Encoder> {
        (payload_type == self.number).then_some(&mut self.encoder as &mut dyn Encoder)
    }
}

/// A phone of G.722.
pub(crate) enum WideParts {}

impl PhoneParts for WideParts {
    type Block = NoBlock;
    type Detector = NoDetector;
    type Strategy = Standard;
    type Codecs = Wide;
}

pub(crate) fn wide(number: PayloadType) -> Parts<WideParts> {
    let (encoder, decoder) = (G722Encoder::new(Mode::Kbps64), LeanG722Decoder::new(Mode::Kbps64));
    Parts { block: None, noise: None, strategy: Standard, codecs: Wide { number, encoder, decoder } }
}

//! The codecs that code the waveform sample by sample: PCMU, PCMA (RFC 3551, 4.5.14), G722 (4.5.2) and L16 (4.5.11).
//! None of them has parameters.

use dsp_core::codec::g711;
use dsp_core::codec::g722::{G722Decoder, G722Encoder, Mode};
use dsp_core::codec::{Decoder, Encoder, l16};

use super::{Codec, CodecFormat, Description, Frames, Made, Terms};

/// G.711 mu-law.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pcmu;

/// G.711 A-law.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pcma;

fn g711_description() -> Description {
    Description { bit_rate_bps: [64_000; 2], ..Description::new(8_000, 1) }
}

impl Codec for Pcmu {
    fn formats(&self) -> Vec<CodecFormat> {
        vec![CodecFormat::pcmu()]
    }

    fn describe(&self, _: &CodecFormat) -> Description {
        g711_description()
    }

    fn encoder(&self, _: &Terms<'_>) -> Made<dyn Encoder + Send> {
        Ok(Box::new(g711::Pcmu))
    }

    fn decoder(&self, _: &Terms<'_>) -> Made<dyn Decoder + Send> {
        Ok(Box::new(g711::Pcmu))
    }
}

impl Codec for Pcma {
    fn formats(&self) -> Vec<CodecFormat> {
        vec![CodecFormat::pcma()]
    }

    fn describe(&self, _: &CodecFormat) -> Description {
        g711_description()
    }

    fn encoder(&self, _: &Terms<'_>) -> Made<dyn Encoder + Send> {
        Ok(Box::new(g711::Pcma))
    }

    fn decoder(&self, _: &Terms<'_>) -> Made<dyn Decoder + Send> {
        Ok(Box::new(g711::Pcma))
    }
}

/// G.722 in one of its modes. RTP knows only mode 1, 64 kbit/s: with another one both sides must know of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct G722(pub Mode);

impl Codec for G722 {
    fn formats(&self) -> Vec<CodecFormat> {
        vec![CodecFormat::g722()]
    }

    fn describe(&self, _: &CodecFormat) -> Description {
        Description {
            // An octet a pair of samples.
            frames: Frames::Of(125),
            // In every mode: in modes 2 and 3 the rest of each octet is another's data.
            bit_rate_bps: [64_000; 2],
            // 22 samples, both filters together.
            delay_us: 1_375,
            encoder_bytes: size_of::<G722Encoder>(),
            decoder_bytes: size_of::<G722Decoder>(),
            ..Description::new(16_000, 1)
        }
    }

    fn encoder(&self, _: &Terms<'_>) -> Made<dyn Encoder + Send> {
        Ok(Box::new(G722Encoder::new(self.0)))
    }

    fn decoder(&self, _: &Terms<'_>) -> Made<dyn Decoder + Send> {
        Ok(Box::new(G722Decoder::new(self.0)))
    }
}

/// Uncompressed samples of 16 bits, mono and stereo, at the rates of RFC 3551.
#[derive(Clone, Copy, Debug, Default)]
pub struct L16;

impl Codec for L16 {
    fn formats(&self) -> Vec<CodecFormat> {
        // The usual one is what has a static number.
        let mono = [44_100].into_iter().chain(l16::L16::RATES_HZ.into_iter().filter(|rate_hz| *rate_hz != 44_100));
        let formats = |channels| mono.clone().map(move |rate_hz| CodecFormat::l16(rate_hz, channels));
        formats(1).chain(formats(2)).collect()
    }

    fn describe(&self, format: &CodecFormat) -> Description {
        Description::new(format.rtp_clock_hz, format.channels)
    }

    fn encoder(&self, terms: &Terms<'_>) -> Made<dyn Encoder + Send> {
        Ok(Box::new(l16::L16::new(terms.theirs.rtp_clock_hz, terms.theirs.channels)?))
    }

    fn decoder(&self, terms: &Terms<'_>) -> Made<dyn Decoder + Send> {
        Ok(Box::new(l16::L16::new(terms.ours.rtp_clock_hz, terms.ours.channels)?))
    }
}

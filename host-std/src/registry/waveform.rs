//! The codecs that code the waveform sample by sample: PCMU, PCMA (RFC 3551, 4.5.14), G722 (4.5.2) and L16 (4.5.11).
//! None of them has parameters.

use dsp_core::codec::g711::{self, WithAppendixI};
use dsp_core::codec::g722::{G722Decoder, G722Encoder, Mode};
use dsp_core::codec::{Decoder, Encoder, l16};

use super::{Codec, CodecDescription, CodecFormat, Frames, Made, Terms};

/// The codec G.711 mu-law, `PCMU` (RFC 3551, 4.5.14).
#[derive(Clone, Copy, Debug, Default)]
pub struct Pcmu {
    /// Whether the decoder conceals losses as Appendix I of G.711 does, which adds 3.75 ms of delay. Otherwise the receiver does.
    pub appendix1: bool,
}

/// The codec G.711 A-law, `PCMA` (RFC 3551, 4.5.14).
#[derive(Clone, Copy, Debug, Default)]
pub struct Pcma {
    /// Whether the decoder conceals losses, as for [`Pcmu`].
    pub appendix1: bool,
}

fn g711_description(appendix1: bool) -> CodecDescription {
    let plain = CodecDescription { bit_rate_bps: [64_000; 2], ..CodecDescription::new(8_000, 1) };
    match appendix1 {
        false => plain,
        true => CodecDescription {
            own_concealment: true,
            // 30 samples.
            delay_us: 3_750,
            decoder_bytes: size_of::<WithAppendixI<g711::Pcmu>>(),
            ..plain
        },
    }
}

fn g711_decoder(decoder: impl Decoder + Send + 'static, appendix1: bool) -> Made<dyn Decoder + Send> {
    match appendix1 {
        false => Ok(Box::new(decoder)),
        true => Ok(Box::new(WithAppendixI::new(decoder).ok_or("Appendix I is for mono sound at 8 kHz")?)),
    }
}

impl Codec for Pcmu {
    fn formats(&self) -> Vec<CodecFormat> {
        vec![CodecFormat::pcmu()]
    }

    fn describe(&self, _: &CodecFormat) -> CodecDescription {
        g711_description(self.appendix1)
    }

    fn encoder(&self, _: &Terms<'_>) -> Made<dyn Encoder + Send> {
        Ok(Box::new(g711::Pcmu))
    }

    fn decoder(&self, _: &Terms<'_>) -> Made<dyn Decoder + Send> {
        g711_decoder(g711::Pcmu, self.appendix1)
    }
}

impl Codec for Pcma {
    fn formats(&self) -> Vec<CodecFormat> {
        vec![CodecFormat::pcma()]
    }

    fn describe(&self, _: &CodecFormat) -> CodecDescription {
        g711_description(self.appendix1)
    }

    fn encoder(&self, _: &Terms<'_>) -> Made<dyn Encoder + Send> {
        Ok(Box::new(g711::Pcma))
    }

    fn decoder(&self, _: &Terms<'_>) -> Made<dyn Decoder + Send> {
        g711_decoder(g711::Pcma, self.appendix1)
    }
}

/// The codec G.722 (RFC 3551, 4.5.2): 16 kHz sound with an RTP clock of 8 kHz.
#[derive(Clone, Copy, Debug, Default)]
pub struct G722 {
    /// The mode. RTP knows only mode 1, of 64 kbit/s; use another one only where the other side knows of it.
    pub mode: Mode,
    /// Whether the decoder conceals losses. Otherwise the receiver does, and the decoder follows the receiver's output.
    pub own_concealment: bool,
}

impl Codec for G722 {
    fn formats(&self) -> Vec<CodecFormat> {
        vec![CodecFormat::g722()]
    }

    fn describe(&self, _: &CodecFormat) -> CodecDescription {
        CodecDescription {
            // An octet a pair of samples.
            frames: Frames::Of(125),
            // The rate is the same in every mode: in modes 2 and 3 the rest of each octet is other data.
            bit_rate_bps: [64_000; 2],
            own_concealment: self.own_concealment,
            // 22 samples, both filters together.
            delay_us: 1_375,
            encoder_bytes: size_of::<G722Encoder>(),
            decoder_bytes: size_of::<G722Decoder>(),
            ..CodecDescription::new(16_000, 1)
        }
    }

    fn encoder(&self, _: &Terms<'_>) -> Made<dyn Encoder + Send> {
        Ok(Box::new(G722Encoder::new(self.mode).with_silence_above_a_telephone()))
    }

    fn decoder(&self, _: &Terms<'_>) -> Made<dyn Decoder + Send> {
        let decoder = G722Decoder::new(self.mode);
        Ok(Box::new(if self.own_concealment { decoder.with_concealment() } else { decoder }))
    }
}

/// Uncompressed samples of 16 bits, mono and stereo, at the rates of RFC 3551.
#[derive(Clone, Copy, Debug, Default)]
pub struct L16;

impl Codec for L16 {
    fn formats(&self) -> Vec<CodecFormat> {
        // The usual format is the one with a static number.
        let mono = [44_100].into_iter().chain(l16::L16::RATES_HZ.into_iter().filter(|rate_hz| *rate_hz != 44_100));
        let formats = |channels| mono.clone().map(move |rate_hz| CodecFormat::l16(rate_hz, channels));
        formats(1).chain(formats(2)).collect()
    }

    fn describe(&self, format: &CodecFormat) -> CodecDescription {
        CodecDescription::new(format.rtp_clock_hz, format.channels)
    }

    fn encoder(&self, terms: &Terms<'_>) -> Made<dyn Encoder + Send> {
        Ok(Box::new(l16::L16::new(terms.theirs.rtp_clock_hz, terms.theirs.channels)?))
    }

    fn decoder(&self, terms: &Terms<'_>) -> Made<dyn Decoder + Send> {
        Ok(Box::new(l16::L16::new(terms.ours.rtp_clock_hz, terms.ours.channels)?))
    }
}

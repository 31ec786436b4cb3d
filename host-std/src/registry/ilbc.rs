//! iLBC in calls (RFC 3952): the frame length is negotiated by `mode=`, and a decoder takes both.

use dsp_core::codec::ilbc::{IlbcDecoder, IlbcEncoder, IlbcMode};
use dsp_core::codec::{CodecInfo, DecodeError, Decoder, Encoder};

use super::{Codec, CodecDescription, CodecFormat, Frames, Made, Terms};

/// The codec iLBC (RFC 3951, RFC 3952), in frames of 20 or 30 ms: the parameter `mode` of the format says which.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ilbc;

/// Returns the mode. RFC 3952 has no default for a side that doesn't give one; but 20 ms must be given (5). So it's 30 ms, also
/// for a side that gives an invalid mode.
fn mode(format: &CodecFormat) -> IlbcMode {
    if format.parameter("mode") == Some("20") { IlbcMode::Ms20 } else { IlbcMode::Ms30 }
}

/// Chooses the longer frame length if one side wants it (RFC 3952, 5).
fn agreed(terms: &Terms<'_>) -> IlbcMode {
    let both_20 = mode(terms.ours) == IlbcMode::Ms20 && mode(terms.theirs) == IlbcMode::Ms20;
    if both_20 { IlbcMode::Ms20 } else { IlbcMode::Ms30 }
}

impl Codec for Ilbc {
    fn formats(&self) -> Vec<CodecFormat> {
        vec![CodecFormat::ilbc(IlbcMode::Ms20), CodecFormat::ilbc(IlbcMode::Ms30)]
    }

    fn describe(&self, format: &CodecFormat) -> CodecDescription {
        let (frame_us, bps, enhancer_us) = match mode(format) {
            IlbcMode::Ms20 => (20_000, 15_200, 5_000),
            IlbcMode::Ms30 => (30_000, 13_333, 10_000),
        };
        CodecDescription {
            frames: Frames::Of(frame_us),
            bit_rate_bps: [bps; 2],
            own_concealment: true,
            delay_us: enhancer_us,
            encoder_bytes: size_of::<IlbcEncoder>(),
            decoder_bytes: size_of::<ByLength>(),
            ..CodecDescription::new(8_000, 1)
        }
    }

    fn encoder(&self, terms: &Terms<'_>) -> Made<dyn Encoder + Send> {
        Ok(Box::new(IlbcEncoder::new(agreed(terms))))
    }

    fn decoder(&self, terms: &Terms<'_>) -> Made<dyn Decoder + Send> {
        Ok(Box::new(ByLength::new(agreed(terms))))
    }

    fn agree(&self, ours: &CodecFormat, theirs: &CodecFormat) -> Option<CodecFormat> {
        let format = CodecFormat::ilbc(agreed(&Terms { ours, theirs }));
        ours.same_encoding(theirs).then_some(CodecFormat { payload_type: ours.payload_type, ..format })
    }
}

/// iLBC by the length of the payload, whichever mode was agreed on: 38 bytes a frame of 20 ms, 50 one of 30 ms.
struct ByLength {
    ms20: IlbcDecoder,
    ms30: IlbcDecoder,
    mode: IlbcMode,
}

impl ByLength {
    fn new(mode: IlbcMode) -> Self {
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

impl Decoder for ByLength {
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
            // The state of the other mode's decoder doesn't belong to the sound that was heard last.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_frame_wins() {
        let format = |mode: &str| CodecFormat::new("ilbc", 8_000, 1).with_fmtp(mode);
        for (ours, theirs, agreed) in [
            ("mode=20", "mode=20", "mode=20"),
            ("mode=20", "mode=30", "mode=30"),
            ("mode=30", "MODE = 20", "mode=30"),
            ("mode=20", "", "mode=30"),
            ("mode=20", "mode=40", "mode=30"),
            ("mode=20", "x=1; Mode=20", "mode=20"),
        ] {
            let answer = Ilbc.agree(&format(ours), &format(theirs)).unwrap();
            assert_eq!(answer.fmtp, agreed, "{ours} and {theirs}");
            let (ours, theirs) = (format(ours), format(theirs));
            let terms = Terms { ours: &ours, theirs: &theirs };
            let mut payload = [0; 100];
            let samples = Ilbc.describe(&answer).frames.packet_ms(0) as usize * 8;
            assert!(Ilbc.encoder(&terms).unwrap().encode(&vec![0; samples], &mut payload).is_ok());
        }
    }
}

//! G.711 A-law and mu-law: 8 kHz sound with one byte for each sample, 64 kbit/s (RTP names `PCMU` and `PCMA`, RFC
//! 3551, 4.5.14).
//!
//! [`Pcmu`] and [`Pcma`] are the codecs for a sender and a receiver. The functions are for programs that have bytes
//! and samples only. Every telephone has at least one of the two laws; prefer [`g722`](super::g722) or Opus, at the
//! same or a lower bit rate, where both sides have them. [`WithAppendixI`] adds the concealment of the standard.
//!
//! It follows ITU-T G.711 (11/88), tables 1a/1b (A-law) and 2a/2b (mu-law), on the 16-bit words of the ITU-T software
//! tool library (G.191). A-law takes the 13 most significant bits of a word, mu-law 14. A negative word counts as its
//! one's complement, so that -1 and 0 lie in the two innermost steps. A decoder returns the middle of the step in the
//! same 16-bit scale: at most ±32256 (A-law) and ±32124 (mu-law). The even bits of A-law are inverted, and all bits of
//! mu-law.
//!
//! Encoding 20 ms takes 2,903 (mu-law) or 2,262 (A-law) instructions on a Cortex-M3 and decoding 599; on a host 39 to
//! 50 ns and 32 ns (`BENCHMARKS.md`). There is no delay and no state. Tables are 256 bytes for encoding both laws and
//! 256 words for decoding each, and are linked only where they are used.
//!
//! A packet of 20 ms is encoded and decoded:
//!
//! ```
//! use dsp_core::codec::g711::{Pcma, linear_to_alaw, linear_to_ulaw, ulaw_to_linear};
//! use dsp_core::codec::{Decoder, Encoder};
//!
//! let pcm: [i16; 160] = core::array::from_fn(|n| 100 * n as i16);
//! let (mut payload, mut heard) = ([0; 160], [0; 160]);
//! let len = Pcma.encode(&pcm, &mut payload)?;
//! assert_eq!(Pcma.decode(&payload[..len], &mut heard)?, 160);
//! // A step of A-law is at most 512 wide below 16,384.
//! assert!(pcm.iter().zip(heard).all(|(sent, heard)| sent.abs_diff(heard) <= 256));
//!
//! // Silence as it is on the wire.
//! assert_eq!((linear_to_ulaw(0), linear_to_alaw(0)), (0xff, 0xd5));
//! assert_eq!(ulaw_to_linear(0xff), 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::kernel::VECTORS;

use super::{CodecInfo, DecodeError, Decoder, EncodeError, Encoder};

pub use appendix1::WithAppendixI;

mod appendix1;

/// The lesser of two, in a form that is `const` and becomes one instruction in vector code.
const fn min(a: i16, b: i16) -> i16 {
    if a < b { a } else { b }
}

/// The lowest line over each sixteenth of a magnitude (half of 14 bits + 33, or 12 bits): floor(log2) of the index.
static LINES: [u8; 256] = {
    let mut table = [0; 256];
    let mut index = 1;
    while index < 256 {
        table[index] = (index as u8).ilog2() as u8;
        index += 1;
    }
    table
};

/// The mu-law byte of a sample, by the least of eight lines.
const fn ulaw_by_least(sample: i16) -> u8 {
    let sign = sample >> 15;
    // Half of (magnitude in 14 bits + 33): 16 to 4095. Adding in 16 bits and saturating there is the clip at 8158.
    let n = (sample ^ sign).saturating_add(132) >> 3;
    let low = min(min(n - 16, n >> 1), min((n >> 2) + 16, (n >> 3) + 32));
    let high = min(min((n >> 4) + 48, (n >> 5) + 64), min((n >> 6) + 80, (n >> 7) + 96));
    !(min(low, high) as u8 | (sign as u8 & 0x80))
}

/// The mu-law byte of a sample, by a table of lines.
#[inline]
fn ulaw_by_table(sample: i16) -> u8 {
    let sample = i32::from(sample);
    let sign = sample >> 31;
    let n = (((sample ^ sign) + 132).min(i32::from(i16::MAX)) as u32) >> 3;
    let line = u32::from(LINES[(n >> 4) as usize & 0xff]);
    // All bits inverted: 127 less the magnitude's 0 to 127, and the sign bit is 1 for positive samples.
    (143 - ((n >> line) + (line << 4)) as i32 + (!sign & 0x80)) as u8
}

/// The A-law byte of a sample, by the least of seven lines.
const fn alaw_by_least(sample: i16) -> u8 {
    let sign = sample >> 15;
    // Magnitude in 12 bits: 0 to 2047. Segments 0 and 1 have the same slope, so there are seven lines.
    let n = (sample ^ sign) >> 4;
    let low = min(min(n, (n >> 1) + 16), min((n >> 2) + 32, (n >> 3) + 48));
    let high = min(min((n >> 4) + 64, (n >> 5) + 80), (n >> 6) + 96);
    // 0x55 inverts the even bits; the sign bit is 1 for positive samples.
    (min(low, high) as u8 | (!sign as u8 & 0x80)) ^ 0x55
}

/// The A-law byte of a sample, by a table of lines.
#[inline]
fn alaw_by_table(sample: i16) -> u8 {
    let sample = i32::from(sample);
    let sign = sample >> 31;
    let n = ((sample ^ sign) as u32) >> 4;
    let line = u32::from(LINES[(n >> 4) as usize & 0xff]);
    (((n >> line) + (line << 4)) as u8 | (!sign as u8 & 0x80)) ^ 0x55
}

/// Encodes one 16-bit sample to a mu-law byte.
pub const fn linear_to_ulaw(sample: i16) -> u8 {
    ulaw_by_least(sample)
}

/// Encodes one 16-bit sample to an A-law byte.
pub const fn linear_to_alaw(sample: i16) -> u8 {
    alaw_by_least(sample)
}

/// One mu-law byte to its 16-bit sample, by the segments of table 2.
const fn expand_ulaw(code: u8) -> i16 {
    let code = !code as i16;
    let magnitude = ((((code & 0x0f) << 3) + 0x84) << ((code >> 4) & 7)) - 0x84;
    if code & 0x80 != 0 { -magnitude } else { magnitude }
}

/// One A-law byte to its 16-bit sample, by the segments of table 1.
const fn expand_alaw(code: u8) -> i16 {
    let code = (code ^ 0x55) as i16;
    let step_middle = ((code & 0x0f) << 4) + 8;
    let magnitude = match (code >> 4) & 7 {
        0 => step_middle,
        segment => (step_middle + 0x100) << (segment - 1),
    };
    if code & 0x80 != 0 { magnitude } else { -magnitude }
}

static ULAW: [i16; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = expand_ulaw(code as u8);
        code += 1;
    }
    table
};

static ALAW: [i16; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = expand_alaw(code as u8);
        code += 1;
    }
    table
};

/// Decodes one mu-law byte to a 16-bit sample.
pub fn ulaw_to_linear(code: u8) -> i16 {
    ULAW[code as usize]
}

/// Decodes one A-law byte to a 16-bit sample.
pub fn alaw_to_linear(code: u8) -> i16 {
    ALAW[code as usize]
}

/// Encodes samples to mu-law bytes, as many as the shorter of the two slices holds.
pub fn encode_ulaw(pcm: &[i16], payload: &mut [u8]) {
    for (code, &sample) in payload.iter_mut().zip(pcm) {
        *code = if VECTORS { ulaw_by_least(sample) } else { ulaw_by_table(sample) };
    }
}

/// Encodes samples to A-law bytes, as many as the shorter of the two slices holds.
pub fn encode_alaw(pcm: &[i16], payload: &mut [u8]) {
    for (code, &sample) in payload.iter_mut().zip(pcm) {
        *code = if VECTORS { alaw_by_least(sample) } else { alaw_by_table(sample) };
    }
}

/// Decodes mu-law bytes to samples, as many as the shorter of the two slices holds.
pub fn decode_ulaw(payload: &[u8], pcm: &mut [i16]) {
    look_up(&ULAW, payload, pcm);
}

/// Decodes A-law bytes to samples, as many as the shorter of the two slices holds.
pub fn decode_alaw(payload: &[u8], pcm: &mut [i16]) {
    look_up(&ALAW, payload, pcm);
}

fn look_up(table: &[i16; 256], payload: &[u8], pcm: &mut [i16]) {
    let length = payload.len().min(pcm.len());
    // Sixteen at a time, because a known length lets the compiler unroll: a fifth faster than a plain loop.
    let (codes, last_codes) = payload[..length].as_chunks::<16>();
    let (samples, last_samples) = pcm[..length].as_chunks_mut::<16>();
    for (samples, codes) in samples.iter_mut().zip(codes) {
        for (sample, &code) in samples.iter_mut().zip(codes) {
            *sample = table[code as usize];
        }
    }
    for (sample, &code) in last_samples.iter_mut().zip(last_codes) {
        *sample = table[code as usize];
    }
}

/// G.711 mu-law: encoder and decoder with the RTP name `PCMU` and the static payload type 0. A packet may have any
/// number of samples, at least one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pcmu;

/// G.711 A-law: encoder and decoder with the RTP name `PCMA` and the static payload type 8. A packet may have any
/// number of samples, at least one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pcma;

const fn info(name: &'static str) -> CodecInfo {
    CodecInfo { name, sample_rate_hz: 8_000, rtp_clock_hz: 8_000, channels: 1 }
}

/// A payload buffer of just the right length.
fn payload_for<'a>(pcm: &[i16], payload: &'a mut [u8]) -> Result<&'a mut [u8], EncodeError> {
    let (need, got) = (pcm.len(), payload.len());
    if need == 0 {
        return Err(EncodeError::FrameLength { samples: 0 });
    }
    payload.get_mut(..need).ok_or(EncodeError::OutputTooSmall { need, got })
}

/// A PCM buffer of just the right length.
fn pcm_for<'a>(payload: &[u8], pcm: &'a mut [i16]) -> Result<&'a mut [i16], DecodeError> {
    let (need, got) = (duration(payload)? as usize, pcm.len());
    pcm.get_mut(..need).ok_or(DecodeError::OutputTooSmall { need, got })
}

fn duration(payload: &[u8]) -> Result<u32, DecodeError> {
    match payload.len() {
        0 => Err(DecodeError::Empty),
        bytes => u32::try_from(bytes).map_err(|_| DecodeError::Length { bytes }),
    }
}

impl Encoder for Pcmu {
    fn info(&self) -> CodecInfo {
        info("PCMU")
    }

    fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> Result<usize, EncodeError> {
        encode_ulaw(pcm, payload_for(pcm, payload)?);
        Ok(pcm.len())
    }

    fn reset(&mut self) {}
}

impl Decoder for Pcmu {
    fn info(&self) -> CodecInfo {
        info("PCMU")
    }

    fn duration(&self, payload: &[u8]) -> Result<u32, DecodeError> {
        duration(payload)
    }

    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, DecodeError> {
        decode_ulaw(payload, pcm_for(payload, pcm)?);
        Ok(payload.len())
    }

    fn reset(&mut self) {}
}

impl Encoder for Pcma {
    fn info(&self) -> CodecInfo {
        info("PCMA")
    }

    fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> Result<usize, EncodeError> {
        encode_alaw(pcm, payload_for(pcm, payload)?);
        Ok(pcm.len())
    }

    fn reset(&mut self) {}
}

impl Decoder for Pcma {
    fn info(&self) -> CodecInfo {
        info("PCMA")
    }

    fn duration(&self, payload: &[u8]) -> Result<u32, DecodeError> {
        duration(payload)
    }

    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, DecodeError> {
        decode_alaw(payload, pcm_for(payload, pcm)?);
        Ok(payload.len())
    }

    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_a_round_trip() {
        for code in 0..=255u8 {
            // The two zeros of mu-law both decode to 0, which encodes as the positive one.
            let expected = if code == 0x7f { 0xff } else { code };
            assert_eq!(linear_to_ulaw(ulaw_to_linear(code)), expected);
            assert_eq!(linear_to_alaw(alaw_to_linear(code)), code);
        }
    }

    #[test]
    fn the_table_knows_which_line_is_the_least() {
        for sample in i16::MIN..=i16::MAX {
            assert_eq!(ulaw_by_table(sample), ulaw_by_least(sample), "{sample}");
            assert_eq!(alaw_by_table(sample), alaw_by_least(sample), "{sample}");
        }
    }

    #[test]
    fn error_is_at_most_half_a_step() {
        for sample in i16::MIN..=i16::MAX {
            let magnitude = i32::from(sample).abs();
            let a = i32::from(alaw_to_linear(linear_to_alaw(sample)));
            let mu = i32::from(ulaw_to_linear(linear_to_ulaw(sample)));
            // A step is 16 (A) and 8 (mu) in the innermost segment and grows to 1024 in the outermost.
            assert!((a - i32::from(sample)).abs() <= 8.max(magnitude / 32 + 8), "A {sample} {a}");
            assert!((mu - i32::from(sample)).abs() <= 4.max((magnitude + 132) / 32 + 8), "mu {sample} {mu}");
        }
    }

    #[test]
    fn lengths() {
        let (mut pcm, mut payload) = ([0i16; 480], [0u8; 480]);
        // 10 to 60 ms, and a length that is no multiple of the unrolled loop.
        for samples in [80, 160, 240, 320, 400, 480, 37, 1] {
            let source: std::vec::Vec<i16> = (0..samples).map(|i| (i * 67 - 9_000) as i16).collect();
            assert_eq!(Pcmu.encode(&source, &mut payload), Ok(samples as usize));
            assert_eq!(Pcmu.duration(&payload[..samples as usize]), Ok(samples as u32));
            assert_eq!(Pcmu.decode(&payload[..samples as usize], &mut pcm), Ok(samples as usize));
            for (i, &sample) in source.iter().enumerate() {
                assert_eq!(pcm[i], expand_ulaw(linear_to_ulaw(sample)));
            }
            assert_eq!(Pcma.encode(&source, &mut payload), Ok(samples as usize));
            assert_eq!(Pcma.decode(&payload[..samples as usize], &mut pcm), Ok(samples as usize));
            for (i, &sample) in source.iter().enumerate() {
                assert_eq!(pcm[i], expand_alaw(linear_to_alaw(sample)));
            }
        }
        assert_eq!(Pcmu.encode(&[], &mut payload), Err(EncodeError::FrameLength { samples: 0 }));
        assert_eq!(
            Pcma.encode(&pcm[..160], &mut payload[..80]),
            Err(EncodeError::OutputTooSmall { need: 160, got: 80 })
        );
        assert_eq!(Pcmu.decode(&[], &mut pcm), Err(DecodeError::Empty));
        assert_eq!(Pcma.duration(&[]), Err(DecodeError::Empty));
        assert_eq!(
            Pcmu.decode(&payload[..160], &mut pcm[..159]),
            Err(DecodeError::OutputTooSmall { need: 160, got: 159 })
        );
    }
}

//! G.722: 16 kHz sound at 64, 56 or 48 kbit/s (RTP name `G722`, RFC 3551, 4.5.2).
//!
//! Use it for wideband calls where Opus is not available; many desk phones have it, and it needs no floating point. It
//! follows ITU-T G.722 (11/88): a quadrature mirror filter (clause 5) splits the band, and an adaptive differential
//! coder (clause 6) codes each half. It is bit-exact with the digital test sequences of Appendix II, which go around
//! the filters through [`SubBandEncoder`] and [`SubBandDecoder`].
//!
//! A pair of samples is one octet: two bits of the higher band, then six of the lower. At 56 and 48 kbit/s the last
//! one or two bits carry other data, and a packet is as long as at 64 kbit/s. RTP does not tell the mode. The RTP
//! clock is 8000 Hz, half the sample rate: one tick for each octet.
//!
//! After a loss, a decoder leaves the sound to the receiver, which may know what comes after the loss, and only keeps
//! its state close to the encoder's. [`LeanG722Decoder`] keeps no sound for that: the receiver shows it what is heard.
//! [`G722Decoder::with_concealment`] makes a decoder that conceals by itself, in the manner of Appendix IV of the
//! standard, but without its text. Sound that came from a telephone at 8 kHz can be coded with a silent higher band,
//! against hiss ([`G722Encoder::with_silence_above_a_telephone`]).
//!
//! # Cost and limits
//!
//! 20 ms take 85,247 instructions to encode and 81,612 to decode on a Cortex-M4F, and 5.5 µs and 3.4 µs on a host
//! (`BENCHMARKS.md`). Both filters together delay by 22 samples (1.4 ms). On a 64-bit host the encoder takes 264 bytes,
//! the decoder 4,432, of which 3,840 are the sound heard last, and the one that keeps no sound 432; tables take 544
//! bytes. All arithmetic is integer.
//!
//! # Example
//!
//! A packet of 20 ms, 320 samples in 160 octets:
//!
//! ```
//! use dsp_core::codec::g722::{G722Decoder, G722Encoder, Mode};
//! use dsp_core::codec::{Decoder, Encoder};
//!
//! let mut encoder = G722Encoder::new(Mode::Kbps64);
//! let mut decoder = G722Decoder::new(Mode::Kbps64);
//! let (mut payload, mut heard) = ([0; 160], [0; 320]);
//! let len = encoder.encode(&[1_000; 320], &mut payload)?;
//! // 20 ms are 160 ticks of its RTP clock, not 320.
//! assert_eq!((len, decoder.duration(&payload[..len])?), (160, 160));
//! assert_eq!(decoder.decode(&payload[..len], &mut heard)?, 320);
//! assert_eq!((encoder.info().sample_rate_hz, encoder.info().rtp_clock_hz), (16_000, 8_000));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use core::num::NonZeroUsize;

use super::{CodecInfo, DecodeError, Decoder, EncodeError, Encoder, Frames, GapView};
use crate::kernel::VECTORS;
use crate::slices::part_mut;
use crate::waveform::GapAnalysis;
use band::{Higher, Lower};
use conceal::{Loss, OwnSound, PIECE, TAIL, VIEW};
use narrow::Narrow;
use qmf::{Analysis, BLOCK, Band, Synthesis};

mod band;
mod conceal;
mod narrow;
mod predictor;
mod qmf;
mod tables;

/// How many of the 64 kbit/s are sound (G.722, table 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Mode {
    /// Mode 1: all eight bits of an octet. RTP's `G722` means this mode unless both sides know otherwise.
    #[default]
    Kbps64,
    /// Mode 2: the last bit of each octet carries other data.
    Kbps56,
    /// Mode 3: the last two bits of each octet carry other data.
    Kbps48,
}

impl Mode {
    /// The bits of an octet that are sound.
    const fn sound_bits(self) -> u8 {
        match self {
            Self::Kbps64 => 0xff,
            Self::Kbps56 => 0xfe,
            Self::Kbps48 => 0xfc,
        }
    }
}

/// The encoder without its filter: it codes one sample of each band at 8 kHz to an octet. It is for the test sequences
/// of the standard.
#[derive(Clone, Debug)]
pub struct SubBandEncoder {
    lower: Lower,
    higher: Higher,
}

impl SubBandEncoder {
    /// An encoder in its initial state.
    pub const fn new() -> Self {
        Self { lower: Lower::new(), higher: Higher::new() }
    }

    /// Codes a sample of the lower and one of the higher band, each of 15 bits (-16384 to 16383), at 64 kbit/s. The
    /// encoder is the same in all modes.
    #[inline(always)]
    pub fn encode(&mut self, lower: i16, higher: i16) -> u8 {
        self.higher.encode(higher) << 6 | self.lower.encode(lower)
    }

    /// Codes at most a block of samples.
    #[inline(always)]
    fn encode_block(&mut self, lower: &Band, higher: &Band, octets: &mut [u8]) {
        // Both bands at once keep a wide processor busy. A small one has registers for the state of one of them.
        if VECTORS {
            for ((octet, &lower), &higher) in octets.iter_mut().zip(lower).zip(higher) {
                *octet = self.encode(lower, higher);
            }
        } else {
            self.higher.encode_block(higher, octets);
            self.lower.encode_block(lower, octets);
        }
    }
}

impl Default for SubBandEncoder {
    fn default() -> Self {
        Self::new()
    }
}

/// The decoder without its filter: it decodes an octet to one sample of each band at 8 kHz. It is for the test
/// sequences of the standard.
#[derive(Clone, Debug)]
pub struct SubBandDecoder {
    lower: Lower,
    higher: Higher,
}

impl SubBandDecoder {
    /// A decoder in its initial state.
    pub const fn new() -> Self {
        Self { lower: Lower::new(), higher: Higher::new() }
    }

    /// Decodes an octet to a sample of the lower and one of the higher band, each of 15 bits (-16384 to 16383).
    #[inline(always)]
    pub fn decode(&mut self, octet: u8, mode: Mode) -> (i16, i16) {
        (self.lower.decode(octet, mode), self.higher.decode(octet >> 6))
    }

    /// Decodes at most a block of octets.
    #[inline(always)]
    fn decode_block(&mut self, octets: &[u8], mode: Mode, lower: &mut Band, higher: &mut Band) {
        if VECTORS {
            for ((&octet, lower), higher) in octets.iter().zip(lower).zip(higher) {
                (*lower, *higher) = self.decode(octet, mode);
            }
        } else {
            self.lower.decode_block(octets, mode, lower);
            self.higher.decode_block(octets, higher);
        }
    }

    /// Goes along with an encoder: takes samples of each band, adapts as when their octets are decoded, and puts what
    /// decoding gives at 64 kbit/s in their place.
    fn follow(&mut self, lower: &mut [i16], higher: &mut [i16]) {
        self.lower.follow_block(lower);
        self.higher.follow_block(higher);
    }

    /// Ends a loss over which the decoder followed a guess, from the state `before` it and the `next` octets: see
    /// `conceal.rs`.
    fn recall(&mut self, before: &Self, next: &[u8]) {
        self.lower.recall(&before.lower, next);
        self.higher.recall(&before.higher, next);
    }
}

impl Default for SubBandDecoder {
    fn default() -> Self {
        Self::new()
    }
}

const INFO: CodecInfo = CodecInfo { name: "G722", sample_rate_hz: 16_000, rtp_clock_hz: 8_000, channels: 1 };

/// G.722 encoder with the RTP name `G722` and the static payload type 9. A packet may have any even number of samples,
/// at least two: one octet for each pair, 160 in 20 ms.
#[derive(Clone, Debug)]
pub struct G722Encoder {
    mode: Mode,
    filter: Analysis,
    narrow: Option<Narrow>,
    bands: SubBandEncoder,
}

impl G722Encoder {
    /// An encoder in its initial state. In other modes than [`Mode::Kbps64`] the bits for other data are 0.
    pub const fn new(mode: Mode) -> Self {
        Self { mode, filter: Analysis::new(), narrow: None, bands: SubBandEncoder::new() }
    }

    /// Lets the encoder code silence above 4 kHz when the sound has nothing there, as sound from a telephone, so that
    /// the coder's noise is not heard as hiss. It begins 100 ms after the last sound above 4 kHz. Sound whose spectrum
    /// ends between 4 and 5 kHz loses what it has there.
    pub const fn with_silence_above_a_telephone(mut self) -> Self {
        self.narrow = Some(Narrow::new());
        self
    }

    /// The mode with which it was made.
    pub const fn mode(&self) -> Mode {
        self.mode
    }
}

impl Encoder for G722Encoder {
    fn info(&self) -> CodecInfo {
        INFO
    }

    /// A packet holds any number of octets, one for each pair of samples.
    fn frames(&self) -> Frames {
        Frames::Of(125)
    }

    /// Each pair of samples is an octet by itself.
    fn divisor(&self) -> Option<NonZeroUsize> {
        NonZeroUsize::new(2)
    }

    fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> Result<usize, EncodeError> {
        let (pairs, odd) = pcm.as_chunks::<2>();
        if pairs.is_empty() || !odd.is_empty() {
            return Err(EncodeError::FrameLength { samples: pcm.len() });
        }
        let (need, got) = (pairs.len(), payload.len());
        let octets = payload.get_mut(..need).ok_or(EncodeError::OutputTooSmall { need, got })?;
        let (mut lower, mut higher) = ([0; BLOCK], [0; BLOCK]);
        for (pairs, octets) in pairs.chunks(BLOCK).zip(octets.chunks_mut(BLOCK)) {
            self.filter.split(pairs, &mut lower, &mut higher);
            if let Some(narrow) = &mut self.narrow {
                higher.iter_mut().take(pairs.len()).for_each(|higher| *higher = narrow.hear(*higher));
            }
            self.bands.encode_block(&lower, &higher, octets);
            octets.iter_mut().for_each(|octet| *octet &= self.mode.sound_bits());
        }
        Ok(need)
    }

    fn reset(&mut self) {
        let narrow = self.narrow.is_some().then(Narrow::new);
        *self = Self { narrow, ..Self::new(self.mode) };
    }
}

/// G.722 decoder with the RTP name `G722` and the static payload type 9. A payload may have any length, at least one
/// octet. It keeps the sound heard last, so that it can follow a loss whose sound nobody shows it, or conceal it.
#[derive(Clone, Debug)]
pub struct G722Decoder {
    decoder: LeanG722Decoder,
    own: OwnSound,
    /// Whether the sound of a loss is the decoder's own.
    sounds: bool,
}

impl G722Decoder {
    /// A decoder in its initial state, which leaves the sound of losses to the receiver.
    pub fn new(mode: Mode) -> Self {
        Self { decoder: LeanG722Decoder::new(mode), own: OwnSound::new(), sounds: false }
    }

    /// Lets [`Decoder::conceal`] make sound. Use it where nothing else conceals; a
    /// [`Receiver`](crate::receive::Receiver), which knows both sides of a gap, makes better sound.
    pub fn with_concealment(mut self) -> Self {
        self.sounds = true;
        self
    }

    /// The mode with which it was made.
    pub const fn mode(&self) -> Mode {
        self.decoder.mode
    }

    /// Goes along with the encoder over a loss, as if its sound were what is concealed.
    fn guess(&mut self, samples: usize, gap: Option<GapAnalysis<'_>>) {
        let mut left = samples;
        while left > 0 && self.decoder.loss.follows() {
            let count = left.min(PIECE);
            self.own.go_on(count, &mut self.decoder, gap);
            left -= count;
        }
    }
}

impl Decoder for G722Decoder {
    fn info(&self) -> CodecInfo {
        INFO
    }

    fn duration(&self, payload: &[u8]) -> Result<u32, DecodeError> {
        self.decoder.duration(payload)
    }

    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, DecodeError> {
        let samples = self.decoder.decode(payload, pcm)?;
        self.own.hear(part_mut(pcm, 0, samples), self.sounds);
        Ok(samples)
    }

    /// Makes sound if the decoder was made [`with_concealment`](G722Decoder::with_concealment), and keeps its state
    /// close to the encoder's.
    fn conceal(&mut self, pcm: &mut [i16]) -> bool {
        if self.sounds {
            for pcm in pcm.chunks_mut(PIECE) {
                self.own.go_on(pcm.len(), &mut self.decoder, None);
                self.own.made(pcm);
            }
        }
        self.sounds
    }

    /// Prepares the decoder for octets that do not follow on the last ones, with an estimate of its own of what was
    /// lost.
    fn follow(&mut self, samples: usize) {
        self.guess(samples, None);
    }

    fn follow_known(&mut self, samples: usize, gap: GapAnalysis<'_>) {
        self.guess(samples, Some(gap));
    }

    fn reset(&mut self) {
        *self = Self { sounds: self.sounds, ..Self::new(self.mode()) };
    }
}

/// A [`G722Decoder`] that keeps no sound, in 432 bytes instead of 4,432. After a loss it decodes as well if it is shown the
/// sound that is heard instead ([`Decoder::follow_sound`]), as a [`Receiver`](crate::receive::Receiver) at 16 kHz does. Use it in
/// a phone; of a loss whose sound it isn't shown, it takes no notice.
#[derive(Clone, Debug)]
pub struct LeanG722Decoder {
    mode: Mode,
    bands: SubBandDecoder,
    filter: Synthesis,
    loss: Loss,
}

impl LeanG722Decoder {
    /// A decoder in its initial state.
    pub const fn new(mode: Mode) -> Self {
        Self { mode, bands: SubBandDecoder::new(), filter: Synthesis::new(), loss: Loss::new() }
    }

    /// The mode with which it was made.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    #[inline(always)]
    fn run(&mut self, payload: &[u8], pairs: &mut [[i16; 2]], mode: Mode) {
        let (mut lower, mut higher) = ([0; BLOCK], [0; BLOCK]);
        for (octets, pairs) in payload.chunks(BLOCK).zip(pairs.chunks_mut(BLOCK)) {
            self.bands.decode_block(octets, mode, &mut lower, &mut higher);
            self.filter.join(&lower, &higher, pairs);
        }
    }
}

impl Decoder for LeanG722Decoder {
    fn info(&self) -> CodecInfo {
        INFO
    }

    fn duration(&self, payload: &[u8]) -> Result<u32, DecodeError> {
        match payload.len() {
            0 => Err(DecodeError::Empty),
            // Its samples must have a number too.
            bytes if bytes > u32::MAX as usize / 2 => Err(DecodeError::Length { bytes }),
            bytes => Ok(bytes as u32),
        }
    }

    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, DecodeError> {
        let (need, got) = (2 * self.duration(payload)? as usize, pcm.len());
        let pcm = pcm.get_mut(..need).ok_or(DecodeError::OutputTooSmall { need, got })?;
        self.loss.end(&mut self.bands, payload);
        self.run(payload, pcm.as_chunks_mut::<2>().0, self.mode);
        Ok(need)
    }

    fn gap_view(&self) -> Option<GapView> {
        Some(VIEW)
    }

    fn follow_sound(&mut self, sound: &[i16], samples: usize) {
        self.loss.follow(sound, samples.min(TAIL), &mut self.bands, &mut self.filter);
    }

    fn reset(&mut self) {
        *self = Self::new(self.mode);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    /// Numerical Recipes' generator; 32 bits, the upper ones good.
    struct Random(u32);

    impl Random {
        fn next(&mut self) -> u32 {
            self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            self.0 >> 16
        }
    }

    /// Noise whose level goes up and down between 1 and 15 bits, through a small low-pass.
    fn sound(samples: usize) -> Vec<i16> {
        let mut random = Random(722);
        let mut last = 0i32;
        (0..samples)
            .map(|n| {
                let noise = random.next() as i16 >> (n / 150 % 15);
                last = (last + i32::from(noise)) / 2;
                last as i16
            })
            .collect()
    }

    /// FNV-1a.
    fn hash(bytes: impl IntoIterator<Item = u8>) -> u32 {
        bytes.into_iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
    }

    const MODES: [Mode; 3] = [Mode::Kbps64, Mode::Kbps56, Mode::Kbps48];

    #[test]
    fn golden_output() {
        // The same bits on every target.
        let source = sound(4800);
        let mut hashes = [0; 4];
        let mut octets = vec![0; 2400];
        assert_eq!(G722Encoder::new(Mode::Kbps64).encode(&source, &mut octets), Ok(2400));
        hashes[0] = hash(octets.iter().copied());
        // What an encoder never sends follows: any octets at all.
        let mut random = Random(9);
        octets.extend((0..2400).map(|_| random.next() as u8));
        for (mode, place) in MODES.into_iter().zip(&mut hashes[1..]) {
            let mut pcm = vec![0; 9600];
            let mut decoder = G722Decoder::new(mode);
            assert_eq!(decoder.decode(&octets[..3000], &mut pcm), Ok(6000));
            decoder.follow(320);
            assert_eq!(decoder.decode(&octets[3000..], &mut pcm[6000..]), Ok(3600));
            *place = hash(pcm.iter().flat_map(|sample| sample.to_le_bytes()));
        }
        assert_eq!(hashes, GOLDEN, "{hashes:#x?}");
    }
    /// Octets; sound in modes 1, 2 and 3.
    const GOLDEN: [u32; 4] = [0x6747_e38f, 0x276a_39f5, 0x8175_e725, 0x5298_fe62];

    /// A voice of 125 Hz, louder and softer.
    fn voice(samples: usize) -> Vec<i16> {
        let (mut tilted, mut ringing) = (0, [0; 2]);
        (0..samples)
            .map(|n| {
                let pulse = if n % 128 == 0 { 300 + n as i32 / 64 } else { 0 };
                tilted = pulse + tilted * 15 / 16;
                // A formant at 700 Hz.
                let made = tilted + ((ringing[0] * 30_200) >> 14) - ((ringing[1] * 15_000) >> 14);
                ringing = [made, ringing[0]];
                (made / 4) as i16
            })
            .collect()
    }

    #[test]
    fn shown_the_sound_of_a_loss_it_decodes_better_after_it() {
        let source = voice(16_000);
        let mut octets = vec![0; 8_000];
        assert_eq!(G722Encoder::new(Mode::Kbps64).encode(&source, &mut octets), Ok(8_000));
        let decode = |decoder: &mut LeanG722Decoder, octets: &[u8]| {
            let mut pcm = vec![0; 2 * octets.len()];
            assert_eq!(decoder.decode(octets, &mut pcm), Ok(pcm.len()));
            pcm
        };
        let clean = decode(&mut LeanG722Decoder::new(Mode::Kbps64), &octets);
        let mut hashes = std::vec::Vec::new();
        for lost in [30, 160, 161, 400] {
            let end = 4_000 + lost;
            let after = |shown: Option<usize>| {
                let mut decoder = LeanG722Decoder::new(Mode::Kbps64);
                decode(&mut decoder, &octets[..4_000]);
                if let Some(samples) = shown {
                    decoder.follow_sound(&clean[..2 * end + VIEW.after][2 * end - VIEW.before..], samples);
                }
                decode(&mut decoder, &octets[end..][..240])
            };
            let error = |heard: &[i16]| -> f64 {
                heard.iter().zip(&clean[2 * end..]).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum()
            };
            let [shown, not] = [Some(2 * lost), None].map(after);
            hashes.push(hash(shown.iter().flat_map(|sample| sample.to_le_bytes())));
            assert!(error(&shown) < 0.9 * error(&not), "{lost}: {} {}", error(&shown), error(&not));
        }
        assert_eq!(hashes, SHOWN, "{hashes:#x?}");
        // Too little to see: nothing is followed, and nothing fails.
        let mut decoder = LeanG722Decoder::new(Mode::Kbps64);
        decode(&mut decoder, &octets[..4_000]);
        let mut untold = decoder.clone();
        decoder.follow_sound(&clean[..40], 320);
        assert_eq!(decode(&mut decoder, &octets[4_000..4_001]), decode(&mut untold, &octets[4_000..4_001]));
    }
    /// Sound behind losses of these lengths.
    const SHOWN: [u32; 4] = [0x2f90_0062, 0x4e79_e111, 0x6495_a23b, 0x41db_a548];

    #[test]
    fn lengths() {
        let (mut pcm, mut payload) = ([0; 960], [0; 480]);
        let (mut encoder, mut decoder) = (G722Encoder::new(Mode::Kbps64), G722Decoder::new(Mode::Kbps64));
        for samples in [160, 320, 480, 640, 800, 960, 2, 34] {
            let octets = samples / 2;
            assert_eq!(encoder.encode(&sound(samples), &mut payload), Ok(octets));
            assert_eq!(decoder.duration(&payload[..octets]), Ok(octets as u32));
            assert_eq!(decoder.duration(&payload[..octets]), Ok(encoder.info().ticks(samples as u32)));
            pcm.fill(0x5a5a);
            assert_eq!(decoder.decode(&payload[..octets], &mut pcm), Ok(samples));
            assert!(pcm[samples..].iter().all(|&sample| sample == 0x5a5a));
        }
        for samples in [0, 1, 319] {
            assert_eq!(encoder.encode(&pcm[..samples], &mut payload), Err(EncodeError::FrameLength { samples }));
        }
        assert_eq!(
            encoder.encode(&pcm[..320], &mut payload[..159]),
            Err(EncodeError::OutputTooSmall { need: 160, got: 159 })
        );
        assert_eq!(decoder.duration(&[]), Err(DecodeError::Empty));
        assert_eq!(decoder.decode(&[], &mut pcm), Err(DecodeError::Empty));
        assert_eq!(
            decoder.decode(&payload[..160], &mut pcm[..319]),
            Err(DecodeError::OutputTooSmall { need: 320, got: 319 })
        );
    }

    #[test]
    fn an_error_changes_nothing_and_a_reset_everything() {
        let source = sound(640);
        let (mut all, mut parts) = ([0; 320], [0; 320]);
        let mut encoder = G722Encoder::new(Mode::Kbps56);
        encoder.encode(&source, &mut all).unwrap();
        assert!(all.iter().all(|octet| octet & 1 == 0), "the bit for other data");
        encoder.reset();
        encoder.encode(&source[..320], &mut parts).unwrap();
        encoder.encode(&source[..320], &mut []).unwrap_err();
        encoder.encode(&source[..319], &mut [0; 320]).unwrap_err();
        encoder.encode(&source[320..], &mut parts[160..]).unwrap();
        assert_eq!(all, parts);

        let (mut once, mut again) = ([0; 640], [0; 640]);
        let mut decoder = G722Decoder::new(Mode::Kbps56);
        decoder.decode(&all, &mut once).unwrap();
        decoder.reset();
        decoder.decode(&all[..160], &mut again).unwrap();
        decoder.decode(&all, &mut []).unwrap_err();
        decoder.decode(&[], &mut [0; 2]).unwrap_err();
        decoder.decode(&all[160..], &mut again[320..]).unwrap();
        assert_eq!(once, again);
    }

    #[test]
    fn is_small() {
        let bytes = [size_of::<G722Encoder>(), size_of::<G722Decoder>(), size_of::<LeanG722Decoder>()];
        assert!(bytes[0] <= 264 && bytes[1] <= 4_608 && bytes[2] <= 432, "{bytes:?}");
    }
}

//! Codecs: 16-bit PCM to RTP payloads and back.
//!
//! [`Encoder`] and [`Decoder`] are separate traits, and both are object-safe. All PCM is interleaved `i16`; "samples"
//! always means samples of each channel. The sample rate of a codec and its RTP clock rate are two numbers: G.722 has
//! 16 kHz and 8 kHz (RFC 3551, 4.5.2). Codecs here are [`g711`], [`g722`], [`ilbc`] and [`l16`], and [`cn`] is comfort
//! noise. Implement the traits for another codec.
//!
//! An encoder tells which lengths of sound it takes ([`Encoder::frames`]), so that a sender refuses a wrong packet
//! length when it is made. It may follow the network while it runs ([`Encoder::adapt`]). Cost, delay and memory of
//! each codec are on its page.
//!
//! A program has a table that says which decoder a packet is for:
//!
//! ```
//! use dsp_core::codec::g711::{Pcma, Pcmu};
//! use dsp_core::codec::{Decoder, OtherPayload, PayloadTable};
//! use dsp_core::time::PayloadType;
//!
//! /// Both laws of G.711, comfort noise, and telephone events as type 101.
//! struct Agreed {
//!     mu: Pcmu,
//!     a: Pcma,
//! }
//!
//! impl PayloadTable for Agreed {
//!     fn decoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Decoder> {
//!         match payload_type {
//!             PayloadType::PCMU => Some(&mut self.mu),
//!             PayloadType::PCMA => Some(&mut self.a),
//!             _ => None,
//!         }
//!     }
//!     fn other(&self, payload_type: PayloadType) -> OtherPayload {
//!         match payload_type.get() {
//!             13 => OtherPayload::Noise,
//!             101 => OtherPayload::Event,
//!             _ => OtherPayload::Unknown,
//!         }
//!     }
//! }
//!
//! let mut table = Agreed { mu: Pcmu, a: Pcma };
//! let decoder = table.decoder(PayloadType::PCMA).ok_or("not agreed on")?;
//! let mut pcm = [0; 160];
//! assert_eq!(decoder.duration(&[0xd5; 160])?, 160);
//! assert_eq!(decoder.decode(&[0xd5; 160], &mut pcm)?, 160);
//! assert_eq!(pcm, [8; 160]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use core::fmt;
use core::num::NonZeroUsize;

use crate::time::PayloadType;
use crate::waveform::GapAnalysis;

mod adapt;
pub mod cn;
mod frames;
pub mod g711;
pub mod g722;
pub mod ilbc;
pub mod l16;

pub use adapt::Adaptation;
pub use frames::Frames;

/// Describes a codec, in the terms of SDP's `a=rtpmap` (RFC 8866, 6.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CodecInfo {
    /// Encoding name as registered for RTP, for example `PCMU`.
    pub name: &'static str,
    /// Sample rate of the PCM, in Hz.
    pub sample_rate_hz: u32,
    /// Rate of the RTP timestamps, in Hz.
    pub rtp_clock_hz: u32,
    /// Number of channels in the interleaved PCM.
    pub channels: u8,
}

impl CodecInfo {
    /// Number of RTP ticks for this many samples of each channel. A sample rate of 0 counts as 1 Hz.
    pub const fn ticks(&self, samples: u32) -> u32 {
        // Most codecs have one clock, and a small processor divides 64 bits by hand.
        if self.rtp_clock_hz == self.sample_rate_hz {
            return samples;
        }
        scale(samples, self.rtp_clock_hz, self.sample_rate_hz)
    }

    /// Number of samples of each channel for this many RTP ticks. A clock rate of 0 counts as 1 Hz.
    pub const fn samples(&self, ticks: u32) -> u32 {
        if self.rtp_clock_hz == self.sample_rate_hz {
            return ticks;
        }
        scale(ticks, self.sample_rate_hz, self.rtp_clock_hz)
    }
}

/// `count * to / from`, rounded down.
const fn scale(count: u32, to: u32, from: u32) -> u32 {
    let from = if from == 0 { 1 } else { from };
    (count as u64 * to as u64 / from as u64) as u32
}

/// Why PCM could not be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum EncodeError {
    /// The codec has no frame of this many samples of each channel.
    FrameLength {
        /// Samples of each channel that were given.
        samples: usize,
    },
    /// The buffer for the payload is too small.
    OutputTooSmall {
        /// Bytes needed.
        need: usize,
        /// Bytes that were given.
        got: usize,
    },
    /// The codec library refused the frame, with its own error number.
    Codec(i32),
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::FrameLength { samples } => write!(f, "the codec has no frame of {samples} samples"),
            Self::OutputTooSmall { need, got } => write!(f, "payload buffer of {got} bytes, {need} needed"),
            Self::Codec(code) => write!(f, "the codec refused to encode (error {code})"),
        }
    }
}

impl core::error::Error for EncodeError {}

/// Why a payload could not be decoded. The decoder goes on with the next good payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DecodeError {
    /// The payload is empty.
    Empty,
    /// The codec has no payload of this length.
    Length {
        /// Bytes that were given.
        bytes: usize,
    },
    /// The buffer for the PCM is too small.
    OutputTooSmall {
        /// Samples needed, all channels together.
        need: usize,
        /// Samples that were given, all channels together.
        got: usize,
    },
    /// The payload is malformed. A negative number is the codec library's own error number; a positive one is the
    /// number of the rule in the codec's standard that the payload breaks.
    Malformed(i32),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Empty => write!(f, "the payload is empty"),
            Self::Length { bytes } => write!(f, "the codec has no payload of {bytes} bytes"),
            Self::OutputTooSmall { need, got } => write!(f, "PCM buffer of {got} samples, {need} needed"),
            Self::Malformed(code) => write!(f, "the payload is malformed (error {code})"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// Redundancy that an encoder puts into its own payloads, so that a decoder can recover a lost packet from a later one. How much of
/// it there is follows the expected loss ([`Adaptation::with_expected_loss`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum InBandRedundancy {
    /// The encoder has none.
    #[default]
    None,
    /// A payload has a coarse copy of the sound in the one before (Opus' in-band FEC, RFC 6716, 2.1.7).
    Fec,
    /// A payload has a coarse description of the sound in several payloads before it (Opus' Deep Redundancy, DRED).
    Deep,
}

/// Encodes PCM to RTP payloads.
pub trait Encoder {
    /// Describes the codec.
    fn info(&self) -> CodecInfo;

    /// Lengths of sound that [`encode`](Self::encode) takes. The default is any.
    fn frames(&self) -> Frames {
        Frames::Any
    }

    /// Encodes one frame of interleaved PCM into `payload` and returns the length of the payload in bytes.
    ///
    /// # Errors
    /// Returns [`EncodeError::FrameLength`] if the codec has no frame of this length, [`EncodeError::OutputTooSmall`]
    /// if `payload` is too small, and [`EncodeError::Codec`] if a codec library refuses the frame.
    fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> Result<usize, EncodeError>;

    /// Where a frame can be divided: at multiples of so many samples, if the payloads of the parts, one behind the other, are
    /// that of the whole frame. With it a [`Sender`](crate::send::Sender) may encode the beginning of a frame before its
    /// end was captured. The default is `None`: nowhere.
    fn divisor(&self) -> Option<NonZeroUsize> {
        None
    }

    /// Follows the network from the next frame on, as far as the encoder can. Returns what it has changed, within its
    /// own bounds and those that were agreed on, with `None` for everything that it cannot change. It neither
    /// allocates nor forgets what it has heard. The default changes nothing.
    fn adapt(&mut self, wanted: &Adaptation) -> Adaptation {
        let _ = wanted;
        Adaptation::default()
    }

    /// Which redundancy its payloads can have, as it is set now. By default there is none.
    fn in_band_redundancy(&self) -> InBandRedundancy {
        InBandRedundancy::None
    }

    /// Tells whether there is speech in what is encoded from now on, if the capture chain knows; `None` if it does
    /// not. An encoder with pauses of its own does not pause during speech. The default ignores it.
    fn set_speech(&mut self, speech: Option<bool>) {
        let _ = speech;
    }

    /// Forgets everything heard so far.
    fn reset(&mut self);
}

/// The part of the sound around the end of a gap that a decoder needs to follow it ([`Decoder::gap_view`]), in samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GapView {
    /// Those up to the end of the gap: concealed ones, and if the gap is shorter, those before it.
    pub before: usize,
    /// Those that would come next if the gap went on.
    pub after: usize,
}

/// Decodes RTP payloads to PCM.
pub trait Decoder {
    /// Describes the codec.
    fn info(&self) -> CodecInfo;

    /// How much sound `payload` holds, in ticks of the RTP clock. It is not decoded for that.
    ///
    /// # Errors
    /// Returns [`DecodeError::Empty`] for an empty payload, [`DecodeError::Length`] if the codec has no payload of
    /// this length, and [`DecodeError::Malformed`] if its content is malformed.
    fn duration(&self, payload: &[u8]) -> Result<u32, DecodeError>;

    /// Decodes one payload into interleaved PCM and returns the number of samples of each channel.
    ///
    /// # Errors
    /// Returns [`DecodeError::OutputTooSmall`] if `pcm` is too small, and the errors of [`duration`](Self::duration).
    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, DecodeError>;

    /// Conceals a lost stretch of exactly `pcm.len()` samples by the codec's own means. Returns `false` if it has
    /// none; the receiver then conceals from the waveform. The default is `false`.
    fn conceal(&mut self, pcm: &mut [i16]) -> bool {
        let _ = pcm;
        false
    }

    /// Tells that a stretch of this many samples of each channel was lost and is concealed by somebody else, so that
    /// the next payload does not follow on the last one. The default does nothing.
    fn follow(&mut self, samples: usize) {
        let _ = samples;
    }

    /// As [`follow`](Self::follow), where the side before the gap was analysed already, at the decoder's sample rate: a
    /// decoder that continues the sound on its own need not search for the pitch again. The default calls `follow`.
    fn follow_known(&mut self, samples: usize, gap: GapAnalysis<'_>) {
        let _ = gap;
        self.follow(samples);
    }

    /// The part of the sound around the end of a gap that [`follow_sound`](Self::follow_sound) needs. The default is `None`: the
    /// decoder is told of gaps by [`follow`](Self::follow), without their sound.
    fn gap_view(&self) -> Option<GapView> {
        None
    }

    /// Tells of a gap as [`follow`](Self::follow) does, once, at its end: a stretch of `samples` in all was concealed. `sound` is the
    /// [part of it](Self::gap_view) that the decoder needs, as far as there is any, at the decoder's sample rate. The default does nothing.
    fn follow_sound(&mut self, sound: &[i16], samples: usize) {
        let _ = (sound, samples);
    }

    /// How far before the beginning of `next` its redundancy reaches, in ticks of the RTP clock, given what was
    /// decoded last. The default is 0: no redundancy.
    fn redundancy(&mut self, next: &[u8]) -> u32 {
        let _ = next;
        0
    }

    /// Fills a lost stretch of exactly `pcm.len()` samples, which ends `ahead` ticks before `next` begins, from the
    /// redundancy in `next` (Opus FEC, RFC 6716, 2.1.7). A gap may be filled in parts, in order. Returns `false`, and
    /// changes neither `pcm` nor the decoder, if the redundancy does not cover the stretch. The default is `false`.
    fn recover(&mut self, next: &[u8], ahead: u32, pcm: &mut [i16]) -> bool {
        let _ = (next, ahead, pcm);
        false
    }

    /// Whether `payload` says that the sender pauses. Nothing is missing then until the next packet comes, and
    /// [`conceal`](Self::conceal) makes the background noise (Opus DTX, RFC 6716, 2.1.9). The default is `false`.
    fn pauses(&self, payload: &[u8]) -> bool {
        let _ = payload;
        false
    }

    /// Forgets everything decoded so far.
    fn reset(&mut self);
}

/// What a packet carries whose payload type has no decoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum OtherPayload {
    /// The call does not use this payload type.
    #[default]
    Unknown,
    /// A description of comfort noise (RFC 3389).
    Noise,
    /// A telephone event (RFC 4733).
    Event,
    /// Redundant audio data (RFC 2198): blocks of other payload types.
    Redundancy,
}

/// The decoders of a call, by payload type. A receiver has no codec of its own and asks this table for each packet, so
/// that the sender may change the codec in mid-stream. For a single codec, the pair `(payload type, decoder)` is a
/// table; [the module's page](self) has an example with two.
pub trait PayloadTable {
    /// The decoder for `payload_type`, or `None` if the call has not negotiated it.
    fn decoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Decoder>;

    /// What `payload_type` stands for, if it has no decoder. The default is [`OtherPayload::Unknown`].
    fn other(&self, payload_type: PayloadType) -> OtherPayload {
        let _ = payload_type;
        OtherPayload::Unknown
    }

    /// RTP clock rate of `payload_type` in Hz, as in its `a=rtpmap`, if it has no decoder. The default is the
    /// receiver's clock.
    fn clock_hz(&self, payload_type: PayloadType) -> Option<u32> {
        let _ = payload_type;
        None
    }
}

/// A call with one codec and one payload type.
impl<D: Decoder> PayloadTable for (PayloadType, D) {
    fn decoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Decoder> {
        (payload_type == self.0).then_some(&mut self.1 as &mut dyn Decoder)
    }
}

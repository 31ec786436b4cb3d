//! Codecs: 16-bit PCM to RTP payload and back.
//!
//! [`Encoder`] and [`Decoder`] are separate and object-safe. All PCM is interleaved `i16`; "samples" always counts
//! samples *a channel*. A codec's sample rate and its RTP clock rate are two numbers: G.722 samples at 16 kHz and
//! has an 8 kHz RTP clock (RFC 3551, 4.5.2).
//!
//! An encoder says which lengths of sound it takes ([`Encoder::frames`]), so that a wrong packet length is refused when
//! a sender is made, and may follow the network while it runs ([`Encoder::adapt`]).
//!
//! What each codec costs, its delay and its memory stand on its own page. Which decoder a packet is for is said by a table of
//! the call's own:
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

use crate::time::PayloadType;

mod adapt;
pub mod cn;
mod frames;
pub mod g711;
pub mod g722;
pub mod ilbc;
pub mod l16;

pub use adapt::Adaptation;
pub use frames::Frames;

/// What a codec is, in the terms of SDP's `a=rtpmap` (RFC 8866, 6.6) and of its sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CodecInfo {
    /// The encoding name as registered for RTP, for example `PCMU`.
    pub name: &'static str,
    /// Rate of the PCM that goes in and comes out, in Hz.
    pub sample_rate_hz: u32,
    /// Rate of the RTP timestamp, in Hz.
    pub rtp_clock_hz: u32,
    /// Channels of the PCM, interleaved.
    pub channels: u8,
}

impl CodecInfo {
    /// RTP ticks that `samples` (a channel) last.
    pub const fn ticks(&self, samples: u32) -> u32 {
        // Most codecs have one clock, and a small processor divides 64 bits by hand.
        if self.rtp_clock_hz == self.sample_rate_hz {
            return samples;
        }
        (samples as u64 * self.rtp_clock_hz as u64 / self.sample_rate_hz as u64) as u32
    }

    /// Samples a channel in `ticks` of the RTP clock.
    pub const fn samples(&self, ticks: u32) -> u32 {
        (ticks as u64 * self.sample_rate_hz as u64 / self.rtp_clock_hz as u64) as u32
    }
}

/// Why PCM could not be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum EncodeError {
    /// The codec has no frame of this many samples a channel.
    FrameLength {
        /// Samples a channel that were given.
        samples: usize,
    },
    /// The payload buffer is too small.
    OutputTooSmall {
        /// Bytes needed.
        need: usize,
        /// Bytes given.
        got: usize,
    },
    /// The codec library refused, with its own error number.
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

/// Why a payload could not be decoded. The next good payload decodes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DecodeError {
    /// The payload is empty.
    Empty,
    /// The payload's length is not one that the codec can have.
    Length {
        /// Bytes given.
        bytes: usize,
    },
    /// The PCM buffer is too small.
    OutputTooSmall {
        /// Samples needed, all channels together.
        need: usize,
        /// Samples given, all channels together.
        got: usize,
    },
    /// The payload is malformed: below 0 the codec library's own error number, above 0 the number of the rule that it
    /// breaks in the codec's standard.
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

/// PCM to payload.
pub trait Encoder {
    /// What this encoder makes.
    fn info(&self) -> CodecInfo;

    /// Which lengths of sound [`encode`](Self::encode) takes; by default any.
    fn frames(&self) -> Frames {
        Frames::Any
    }

    /// Encodes one frame of interleaved PCM into `payload` and returns the payload's length in bytes.
    fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> Result<usize, EncodeError>;

    /// Follows the network from the next frame on, as far as it can. Returns what it has taken, within its own bounds and
    /// those that were agreed on; `None` of what it has no setting for. By default it takes nothing, and says so.
    ///
    /// It neither allocates nor forgets what was heard.
    fn adapt(&mut self, wanted: &Adaptation) -> Adaptation {
        let _ = wanted;
        Adaptation::default()
    }

    /// Which redundancy its payloads can have, as it is set now. By default there is none.
    fn in_band_redundancy(&self) -> InBandRedundancy {
        InBandRedundancy::None
    }

    /// Says whether somebody speaks in what is encoded from now on, as a capture chain knows; `None` is nobody's word. An
    /// encoder with pauses of its own pauses in no speech. By default there are none, and it does nothing.
    fn set_speech(&mut self, speech: Option<bool>) {
        let _ = speech;
    }

    /// Forgets everything heard so far.
    fn reset(&mut self);
}

/// Payload to PCM.
pub trait Decoder {
    /// What this decoder takes.
    fn info(&self) -> CodecInfo;

    /// How long `payload` lasts, in ticks of the RTP clock, without decoding it.
    fn duration(&self, payload: &[u8]) -> Result<u32, DecodeError>;

    /// Decodes one payload into interleaved PCM and returns the samples a channel.
    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, DecodeError>;

    /// Conceals one lost stretch of exactly `pcm.len()` samples by the codec's own means. `false`: it has none, and
    /// the receiver conceals in the waveform.
    fn conceal(&mut self, pcm: &mut [i16]) -> bool {
        let _ = pcm;
        false
    }

    /// Goes along with a lost stretch of `samples` samples a channel that somebody else conceals: what is decoded next
    /// does not follow on what was decoded last.
    fn follow(&mut self, samples: usize) {
        let _ = samples;
    }

    /// How far back from the beginning of `next` its redundancy reaches, in ticks of the RTP clock, given what was
    /// decoded last; 0: it has none.
    fn redundancy(&mut self, next: &[u8]) -> u32 {
        let _ = next;
        0
    }

    /// Fills a lost stretch of exactly `pcm.len()` samples, which ends `ahead` ticks before `next` begins, from the
    /// redundancy in `next` (Opus FEC, RFC 6716 2.1.7). A gap may be filled part by part, in order. `false`: the
    /// redundancy doesn't cover it, and `pcm` and the decoder are unchanged.
    fn recover(&mut self, next: &[u8], ahead: u32, pcm: &mut [i16]) -> bool {
        let _ = (next, ahead, pcm);
        false
    }

    /// Whether `payload` says that the sender pauses: until its next packet comes, nothing is missing, and
    /// [`conceal`](Self::conceal) makes the background (Opus DTX, RFC 6716 2.1.9).
    fn pauses(&self, payload: &[u8]) -> bool {
        let _ = payload;
        false
    }

    /// Forgets everything decoded so far.
    fn reset(&mut self);
}

/// What packets carry that no decoder is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum OtherPayload {
    /// Nothing that this call has a use for.
    #[default]
    Unknown,
    /// A description of comfort noise (RFC 3389).
    Noise,
    /// A telephone event (RFC 4733).
    Event,
    /// Redundant audio data (RFC 2198): blocks of other payload types.
    Redundancy,
}

/// The decoders of a call, by payload type. A receiver owns no codec: it asks this table for each packet, so that a
/// sender may change codec in mid-stream.
pub trait PayloadTable {
    /// The decoder for `payload_type`, or `None` if this call has not negotiated it.
    fn decoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Decoder>;

    /// What `payload_type` is, if it has no decoder. By default this call knows neither comfort noise nor events.
    fn other(&self, payload_type: PayloadType) -> OtherPayload {
        let _ = payload_type;
        OtherPayload::Unknown
    }

    /// The RTP clock of `payload_type` in Hz, if it has no decoder, as its `a=rtpmap` has it. By default the receiver's.
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

//! Opus (RFC 6716, RFC 8251) over libopus, as the core's [`Encoder`](dsp_core::codec::Encoder) and
//! [`Decoder`](dsp_core::codec::Decoder).
//!
//! Use this module for Opus without a call: files, tests, a protocol of your own. In a call Opus is a codec of the registry,
//! [`registry::Opus`](crate::registry::Opus), which makes these encoders and decoders by itself.
//!
//! - PCM is interleaved `i16`, one or two channels, at 8, 12, 16, 24 or 48 kHz; the RTP clock is 48 kHz at any of
//!   them (RFC 7587, 4.1), and mono and stereo decoders both take mono and stereo packets.
//! - [`OpusPacket`] reads the packet's framing without the library: everything that comes from the network goes
//!   through it first, and libopus only sees packets whose framing is sound.
//! - [`OpusFmtp`] holds the parameters of Opus in SDP (RFC 7587): the other side's wishes as a receiver become settings.
//! - The cargo feature `opus-dred` builds concealment by a neural net and Deep Redundancy (DRED) in: an encoder then
//!   sends up to a second of the past along, and a decoder fills any gap that it covers.
//! - Delay: [`OpusEncoder::lookahead`] samples (6.5 ms, 2.5 ms in the low-delay application); the decoder adds none.
//!
//! A frame is encoded into a packet and decoded again:
//!
//! ```
//! use dsp_core::codec::{Decoder, Encoder};
//! use host_std::opus::{OpusDecoder, OpusEncoder, OpusEncoderConfig};
//!
//! let mut encoder = OpusEncoder::new(OpusEncoderConfig::default())?; // 48 kHz, mono
//! let mut decoder = OpusDecoder::new(16_000, 1)?; // at another rate
//! let (mut payload, mut pcm) = ([0; 400], [0; 320]);
//! let bytes = encoder.encode(&[0; 960], &mut payload)?; // 20 ms
//! assert_eq!(decoder.decode(&payload[..bytes], &mut pcm)?, 320);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Cost** (BENCHMARKS.md). 20 ms at 16 kHz take 65 µs to encode at 24 kbit/s and complexity 5, and 5.5 µs to decode, 2 % more than
//! libopus called from C. Encoder and decoder together hold 50 KB in mono and 76 KB in stereo, more with `opus-dred`. Memory is
//! allocated only by constructors.
//!
//! **Limits.** Multistream Opus (surround) isn't supported. CMake builds libopus, so a C compiler is needed. All `unsafe` code of
//! this crate is in this module's `ffi` file.

use std::fmt;

use dsp_core::codec::Frames;

mod config;
mod decoder;
#[cfg(feature = "opus-dred")]
mod dred;
mod encoder;
mod ffi;
mod fmtp;
mod packet;

pub use config::{OpusApplication, OpusBandwidth, OpusEncoderConfig, OpusRateControl, OpusSignal};
pub use decoder::OpusDecoder;
pub use encoder::OpusEncoder;
pub use fmtp::{OpusFmtp, OpusFmtpError};
pub use packet::{MAX_PACKET_TICKS, OpusMode, OpusPacket, OpusPacketError};

/// Rate of the RTP timestamp, whatever the audio's rate (RFC 7587, 4.1).
pub const RTP_CLOCK_HZ: u32 = 48_000;

/// Rates of the PCM in Hz (RFC 6716, 2).
pub const RATES_HZ: [u32; 5] = [8_000, 12_000, 16_000, 24_000, 48_000];

/// Lengths of a frame (RFC 6716, 2.1.4), and from 80 ms on of several in one packet.
pub const FRAMES: Frames = Frames::OneOf(&[2_500, 5_000, 10_000, 20_000, 40_000, 60_000, 80_000, 100_000, 120_000]);

/// The largest payload an encoder here makes: 1275 bytes a frame (RFC 6716, 3.2.1) in a packet of at most six
/// 20 ms frames, with its framing.
pub const MAX_PAYLOAD: usize = 6 * 1275 + 15;

/// The complexity from which on a decoder conceals by a neural net, where it is built in.
pub const DEEP_CONCEALMENT: u8 = 5;

/// Whether deep concealment and Deep Redundancy are in this build (cargo feature `opus-dred`).
pub const HAS_DRED: bool = cfg!(feature = "opus-dred");

/// The reason why an encoder or decoder can't be made or set as asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpusError {
    /// Opus runs at 8, 12, 16, 24 and 48 kHz only.
    SampleRate {
        /// The rate asked for, in Hz.
        hz: u32,
    },
    /// One or two channels only.
    Channels {
        /// The channels asked for.
        channels: u8,
    },
    /// The bit rate is outside 500 to 512,000 bit/s for each channel.
    Bitrate {
        /// The rate asked for, in bit/s.
        bps: u32,
    },
    /// Complexity goes from 0 to 10.
    Complexity {
        /// The complexity asked for.
        complexity: u8,
    },
    /// The expected loss goes from 0 to 100 percent.
    ExpectedLoss {
        /// The loss asked for, in percent.
        percent: u8,
    },
    /// Deep Redundancy reaches at most 1040 ms back, in steps of 10 ms.
    Dred {
        /// The reach asked for, in ms.
        ms: u16,
    },
    /// Deep Redundancy was asked for, and this build is without the feature `opus-dred`.
    NoDred,
    /// Sample rate, channels and application of a running encoder can't be changed.
    Fixed,
    /// libopus refused, with its own error number.
    Library(i32),
}

impl fmt::Display for OpusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::SampleRate { hz } => write!(f, "Opus has no sample rate of {hz} Hz (8, 12, 16, 24 or 48 kHz)"),
            Self::Channels { channels } => write!(f, "Opus here has one or two channels, not {channels}"),
            Self::Bitrate { bps } => write!(f, "Opus has no bit rate of {bps} bit/s (500 to 512,000 a channel)"),
            Self::Complexity { complexity } => write!(f, "Opus complexity is 0 to 10, not {complexity}"),
            Self::ExpectedLoss { percent } => write!(f, "an expected loss of {percent} % is out of 0 to 100"),
            Self::Dred { ms } => write!(f, "DRED has no reach of {ms} ms (0 to 1040 in steps of 10)"),
            Self::NoDred => write!(f, "this build has no DRED (cargo feature opus-dred)"),
            Self::Fixed => write!(f, "sample rate, channels and application of a running Opus encoder don't change"),
            Self::Library(code) => write!(f, "libopus refused (error {code})"),
        }
    }
}

impl std::error::Error for OpusError {}

/// Returns the version of the library that is linked in, for example `libopus 1.6.1`.
pub fn library_version() -> &'static str {
    ffi::version()
}

/// Bytes of memory of an encoder and of a decoder with this many channels.
pub fn state_bytes(channels: u8) -> [usize; 2] {
    ffi::state_bytes(channels)
}

fn check_format(sample_rate_hz: u32, channels: u8) -> Result<(), OpusError> {
    if !RATES_HZ.contains(&sample_rate_hz) {
        return Err(OpusError::SampleRate { hz: sample_rate_hz });
    }
    if !matches!(channels, 1 | 2) {
        return Err(OpusError::Channels { channels });
    }
    Ok(())
}

fn check_complexity(complexity: u8) -> Result<(), OpusError> {
    if complexity > 10 { Err(OpusError::Complexity { complexity }) } else { Ok(()) }
}

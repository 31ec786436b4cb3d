//! How a receiver is made, and what it says of a datagram: plain data and errors.

use core::fmt;

use super::delay::DelayConfig;
use crate::codec::CodecInfo;
use crate::wire::red::RedParseError;
use crate::wire::rtp::ParseError;

/// How a receiver is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ReceiverConfig {
    /// Rate of the sound that comes out; every decoder that is used must have it.
    pub sample_rate_hz: u32,
    /// Rate of the RTP timestamps (8000 for G.722, 48000 for Opus).
    pub rtp_clock_hz: u32,
    /// Bounds of the delay.
    pub delay: DelayConfig,
}

impl ReceiverConfig {
    /// RTP ticks that `samples` last: one rate is a multiple of the other.
    pub(super) fn ticks(&self, samples: usize) -> u32 {
        let (rate, clock) = (self.sample_rate_hz, self.rtp_clock_hz);
        if clock >= rate { samples as u32 * (clock / rate) } else { samples as u32 / (rate / clock) }
    }

    /// Samples in `ticks` of the RTP clock: one rate is a multiple of the other.
    pub(super) fn samples(&self, ticks: u32) -> usize {
        let (rate, clock) = (self.sample_rate_hz, self.rtp_clock_hz);
        (if clock >= rate { ticks / (clock / rate) } else { ticks.saturating_mul(rate / clock) }) as usize
    }

    /// Whole milliseconds in `ticks` of the RTP clock.
    pub(super) fn ms(&self, ticks: u32) -> u32 {
        ticks / (self.rtp_clock_hz / 1_000)
    }

    /// Whether a codec makes the sound that this receiver plays.
    pub(super) fn fits<const CHANNELS: usize>(&self, codec: &CodecInfo) -> bool {
        codec.sample_rate_hz == self.sample_rate_hz && usize::from(codec.channels) == CHANNELS
    }
}

impl Default for ReceiverConfig {
    /// 8 kHz, as for G.711.
    fn default() -> Self {
        Self { sample_rate_hz: 8_000, rtp_clock_hz: 8_000, delay: DelayConfig::default() }
    }
}

/// Why a receiver can't be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ConfigError {
    /// The rates must be 8 to 192 kHz (8 to 48 kHz for sound), and one a multiple of the other.
    Rates {
        /// Rate of the sound.
        sample_rate_hz: u32,
        /// Rate of the timestamps.
        rtp_clock_hz: u32,
    },
    /// The minimum delay lies above the maximum.
    DelayBounds {
        /// Minimum in ms.
        min_ms: u32,
        /// Maximum in ms.
        max_ms: u32,
    },
    /// `SAMPLES` is too small for this rate: 120 ms of history, a gap of 60 ms and a packet of 20 ms, interleaved.
    TooFewSamples {
        /// Samples needed.
        need: usize,
        /// Samples given.
        got: usize,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Rates { sample_rate_hz, rtp_clock_hz } => {
                write!(f, "no receiver for {sample_rate_hz} Hz with an RTP clock of {rtp_clock_hz} Hz")
            }
            Self::DelayBounds { min_ms, max_ms } => write!(f, "delay bounds of {min_ms} to {max_ms} ms"),
            Self::TooFewSamples { need, got } => write!(f, "room for {got} samples, {need} needed"),
        }
    }
}

impl core::error::Error for ConfigError {}

/// What became of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Received {
    /// Stored; it will be played in its turn.
    Stored,
    /// Stored, and the stream begins anew: another SSRC, or a jump of the sequence, which discard all that waits, or a jump
    /// of the sender's clock, which doesn't.
    Restarted,
    /// The packet was here before.
    Duplicate,
    /// Its turn has passed.
    Late,
    /// A source or a sequence that has to prove itself first.
    Probation,
}

/// Why a datagram was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ReceiveError {
    /// Not an RTP packet.
    Parse(ParseError),
    /// Its payload is not redundant audio data, as its type says.
    Redundancy(RedParseError),
    /// The payload is longer than the whole buffer.
    TooLong {
        /// Bytes of the payload.
        bytes: usize,
    },
}

impl fmt::Display for ReceiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parse(_) => write!(f, "not an RTP packet"),
            Self::Redundancy(_) => write!(f, "not redundant audio data"),
            Self::TooLong { bytes } => write!(f, "a payload of {bytes} bytes is longer than the jitter buffer"),
        }
    }
}

impl core::error::Error for ReceiveError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Parse(error) => Some(error),
            Self::Redundancy(error) => Some(error),
            Self::TooLong { .. } => None,
        }
    }
}

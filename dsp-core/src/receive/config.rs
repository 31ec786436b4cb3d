//! How a receiver is made, and what it says of a datagram: plain data and errors.

use core::fmt;

use super::delay::DelayConfig;
use crate::codec::CodecInfo;
use crate::quality::arrival_ticks;
use crate::time::{Duration, Instant};
use crate::wire::red::RedParseError;
use crate::wire::rtp::ParseError;

/// A usual tick of a loudspeaker.
const TICK: Duration = Duration::from_millis(10);

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
    /// How much sound is asked for at a time by whoever plays, taken as one of up to 10 s: packets must be here when a tick
    /// begins. It may be played in parts.
    pub tick: Duration,
}

/// The rate of the sound and that of the receiver's clock, and one in terms of the other: one is a multiple of the other.
/// All that turns samples into ticks or back is here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rates {
    pub(super) sample_rate_hz: u32,
    pub(super) clock_hz: u32,
    /// Ticks a sample, or 0 where a tick lasts several samples,
    ticks: u8,
    /// which then are so many. Kept, as a Cortex-M0 doesn't divide.
    samples: u8,
}

impl Rates {
    /// Of a configuration that was found good: neither is 0, and one is at most 24 times the other.
    pub(super) fn new(sample_rate_hz: u32, clock_hz: u32) -> Self {
        let (ticks, samples) = ((clock_hz / sample_rate_hz) as u8, (sample_rate_hz / clock_hz) as u8);
        Self { sample_rate_hz, clock_hz, ticks, samples }
    }

    /// Ticks of the receiver's clock that `samples` last.
    pub(super) fn ticks(&self, samples: usize) -> u32 {
        let samples = samples as u32;
        if self.ticks > 0 { samples * u32::from(self.ticks) } else { samples / u32::from(self.samples) }
    }

    /// Samples in `ticks` of the receiver's clock.
    pub(super) fn samples(&self, ticks: u32) -> usize {
        (match self.ticks {
            0 => ticks.saturating_mul(self.samples.into()),
            1 => ticks,
            ticks_a_sample => ticks / u32::from(ticks_a_sample),
        }) as usize
    }

    /// Whole milliseconds in `ticks` of the receiver's clock.
    pub(super) fn ms(&self, ticks: u32) -> u32 {
        ticks / (self.clock_hz / 1_000)
    }

    /// Ticks of the receiver's clock in `length`.
    pub(super) fn ticks_in(&self, length: Duration) -> u32 {
        length.as_samples(self.clock_hz) as u32
    }

    /// Samples in `length`.
    pub(super) fn samples_in(&self, length: Duration) -> usize {
        length.as_samples(self.sample_rate_hz) as usize
    }

    /// How long `samples` last.
    pub(super) fn lasting(&self, samples: usize) -> Duration {
        Duration::from_samples(samples as u64, self.sample_rate_hz)
    }

    /// The receiver's clock at `now`: what arrivals are measured in.
    pub(super) fn at(&self, now: Instant) -> u32 {
        arrival_ticks(now, self.clock_hz)
    }

    /// Whether a codec makes the sound that this receiver plays.
    pub(super) fn fits<const CHANNELS: usize>(&self, codec: &CodecInfo) -> bool {
        codec.sample_rate_hz == self.sample_rate_hz && usize::from(codec.channels) == CHANNELS
    }
}

impl Default for ReceiverConfig {
    /// 8 kHz, as for G.711, in ticks of 10 ms.
    fn default() -> Self {
        Self { sample_rate_hz: 8_000, rtp_clock_hz: 8_000, delay: DelayConfig::default(), tick: TICK }
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
    /// There must be 4 to 32,768 slots for packets and 4 to 16,384 cells, and as many runs as cells.
    Packets {
        /// Slots given.
        slots: usize,
        /// Cells given.
        cells: usize,
    },
    /// The memory is too small for this rate: 120 ms of history, a gap of 60 ms and a packet of 20 ms, interleaved.
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
            Self::Packets { slots, cells } => write!(f, "memory of {slots} packets and {cells} cells"),
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

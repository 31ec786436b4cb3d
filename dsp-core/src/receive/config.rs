//! Settings of a receiver, its results and its errors: plain data.

use core::fmt;

use super::delay::DelayConfig;
use crate::codec::CodecInfo;
use crate::quality::arrival_ticks;
use crate::time::{Duration, Instant};
use crate::wire::red::RedParseError;
use crate::wire::rtp::ParseError;

/// A usual tick of a loudspeaker.
const TICK: Duration = Duration::from_millis(10);

/// Settings with which a [`Receiver`](super::Receiver) is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ReceiverConfig {
    /// Sample rate of the sound that comes out, in Hz: 8,000 to 48,000. Every decoder in use must decode to this rate.
    pub sample_rate_hz: u32,
    /// Rate of the RTP timestamps, in Hz: 8,000 to 192,000, and a multiple or a divisor of the sample rate (8,000 for
    /// G.722, 48,000 for Opus).
    pub rtp_clock_hz: u32,
    /// Bounds of the delay, and how delay is weighed against late packets.
    pub delay: DelayConfig,
    /// How much sound the player asks for at a time. A packet must have arrived when the tick begins in which it is
    /// played. Values above 10 s count as 10 s. A tick may be fetched in several calls of
    /// [`play`](super::Receiver::play).
    pub tick: Duration,
}

/// The rate of the sound and that of the receiver's clock, and one in terms of the other: one is a multiple of the other.
/// All that turns samples or time into ticks or back is here. A small processor divides 64 bits by hand: where the clock
/// is a whole number of kHz, and all but those of 11.025 kHz and its multiples are, 32 bits will do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rates {
    pub(super) sample_rate_hz: u32,
    pub(super) clock_hz: u32,
    /// Ticks a ms, or 0 where they are no whole number.
    khz: u8,
    /// Ticks a sample, or 0 where a tick lasts several samples.
    ticks: u8,
    /// Samples a tick then. Kept, as a Cortex-M0 doesn't divide.
    samples: u8,
}

impl Rates {
    /// The ratio of a configuration that was checked: 8 to 192 kHz, and neither is more than 24 times the other.
    pub(super) const fn new(sample_rate_hz: u32, clock_hz: u32) -> Self {
        let (ticks, samples) = ((clock_hz / sample_rate_hz) as u8, (sample_rate_hz / clock_hz) as u8);
        let khz = if clock_hz.is_multiple_of(1_000) { (clock_hz / 1_000) as u8 } else { 0 };
        Self { sample_rate_hz, clock_hz, khz, ticks, samples }
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
        if self.khz == 0 { ticks / (self.clock_hz / 1_000) } else { ticks / u32::from(self.khz) }
    }

    /// How long `ticks` of the receiver's clock last.
    pub(super) fn length(&self, ticks: u32) -> Duration {
        match ticks.checked_mul(1_000) {
            Some(ticks) if self.khz != 0 => Duration::from_micros(u64::from(ticks / u32::from(self.khz))),
            _ => Duration::from_samples(u64::from(ticks), self.clock_hz),
        }
    }

    /// Ticks of the receiver's clock in `length`.
    pub(super) fn ticks_in(&self, length: Duration) -> u32 {
        let micros = length.as_micros();
        if self.khz != 0 && micros < 1 << 24 {
            return micros as u32 * u32::from(self.khz) / 1_000;
        }
        length.as_samples(self.clock_hz) as u32
    }

    /// Samples in `length`.
    pub(super) fn samples_in(&self, length: Duration) -> usize {
        if self.ticks == 1 {
            return self.ticks_in(length) as usize;
        }
        length.as_samples(self.sample_rate_hz) as usize
    }

    /// How long `samples` last.
    pub(super) fn lasting(&self, samples: usize) -> Duration {
        if self.ticks == 1 {
            return self.length(samples as u32);
        }
        Duration::from_samples(samples as u64, self.sample_rate_hz)
    }

    /// The receiver's clock at `now`: what arrivals are measured in.
    pub(super) fn at(&self, now: Instant) -> u32 {
        if self.khz == 0 {
            return arrival_ticks(now, self.clock_hz);
        }
        let seconds = now.as_micros() / 1_000_000;
        let rest = (now.as_micros() - seconds * 1_000_000) as u32;
        // The whole seconds may wrap: a multiple of the clock rate stays exact modulo 2^32.
        (seconds as u32).wrapping_mul(self.clock_hz).wrapping_add(rest * u32::from(self.khz) / 1_000)
    }

    /// Whether a codec makes the sound that this receiver plays.
    pub(super) fn fits<const CHANNELS: usize>(&self, codec: &CodecInfo) -> bool {
        codec.sample_rate_hz == self.sample_rate_hz && usize::from(codec.channels) == CHANNELS
    }
}

impl Default for ReceiverConfig {
    /// G.711: 8 kHz, in ticks of 10 ms.
    fn default() -> Self {
        Self { sample_rate_hz: 8_000, rtp_clock_hz: 8_000, delay: DelayConfig::default(), tick: TICK }
    }
}

/// Reasons why a receiver cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ConfigError {
    /// A rate is out of range (sound: 8 to 48 kHz, timestamps: 8 to 192 kHz), or neither rate is a multiple of the
    /// other.
    Rates {
        /// Sample rate that was asked for, in Hz.
        sample_rate_hz: u32,
        /// Rate of the timestamps that was asked for, in Hz.
        rtp_clock_hz: u32,
    },
    /// The minimum delay is above the maximum delay.
    DelayBounds {
        /// Minimum delay, in ms.
        min_ms: u32,
        /// Maximum delay, in ms.
        max_ms: u32,
    },
    /// The packet memory has the wrong size: it needs 4 to 32,768 slots for packets, 4 to 16,384 cells, and as many
    /// runs as cells.
    Packets {
        /// Slots that were given.
        slots: usize,
        /// Cells that were given.
        cells: usize,
    },
    /// The sound memory is too small for this rate. It must hold 120 ms of history, a gap of 60 ms and a packet of 20
    /// ms, all channels interleaved.
    TooFewSamples {
        /// Samples needed.
        need: usize,
        /// Samples that were given.
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
/// What a receiver did with a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Received {
    /// The packet is stored and will be played in its turn.
    Stored,
    /// The packet is stored and starts a new stream. After a new SSRC or a jump of the sequence numbers, all packets
    /// that were waiting have been discarded; after a jump of the sender's clock alone, they are kept.
    Restarted,
    /// The packet was received before.
    Duplicate,
    /// The packet came after its turn and is not used.
    Late,
    /// The packet comes from a source, or belongs to a sequence, that has not proved itself yet (RFC 3550, A.1). It is
    /// not used.
    Probation,
}

/// Reasons why a datagram was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ReceiveError {
    /// The datagram is not an RTP packet.
    Parse(ParseError),
    /// The packet has the payload type of redundant audio data (RFC 2198), and its payload does not parse as such.
    Redundancy(RedParseError),
    /// The payload is longer than the whole buffer.
    TooLong {
        /// Length of the payload, in bytes.
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rates_are_exact(
            rates in prop::sample::select(&[
                (8_000, 8_000), (16_000, 8_000), (48_000, 48_000), (16_000, 48_000), (44_100, 44_100), (22_050, 44_100),
                (8_000, 192_000), (12_000, 12_000),
            ][..]),
            ticks in any::<u32>(),
            micros in any::<u64>(),
            shift in 0u32..64,
        ) {
            let (rate, clock) = rates;
            let known = Rates::new(rate, clock);
            let (ticks, micros) = (ticks >> (shift / 2), micros >> 24 >> (shift / 2));
            prop_assert_eq!(known.length(ticks), Duration::from_samples(u64::from(ticks), clock));
            let length = Duration::from_micros(micros);
            prop_assert_eq!(known.ticks_in(length), length.as_samples(clock) as u32);
            let samples = length.as_samples(rate);
            if samples < 1 << 31 {
                prop_assert_eq!(known.samples_in(length) as u64, samples);
                prop_assert_eq!(known.lasting(samples as usize), Duration::from_samples(samples, rate));
            }
            let now = Instant::from_micros(micros);
            prop_assert_eq!(known.at(now), arrival_ticks(now, clock));
            prop_assert_eq!(known.ms(ticks), ticks / (clock / 1_000));
        }
    }
}

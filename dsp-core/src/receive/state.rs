//! What a receiver is doing, where it is in the stream, and what it has concealed since the last packet: the state
//! that [`play`](super::Receiver::play) changes, each part with the only methods that change it.
//!
//! Each state holds what only it needs. While priming, that is whether the stream before fades out and whether the
//! buffer is full; while playing, what the sender does between its packets. A new SSRC or a jump of the sequence
//! numbers (`restart`) is the one way to begin a stream within a receiver that goes on playing and counting.
//!
//! Times are ticks of the receiver's clock, modulo 2^32. The memory is 40 bytes.

use super::decision::Sending;
use super::jitter::PacketInfo;
use crate::time::RtpTime;

/// Ticks of a pause beyond which they aren't counted: six hours at 48 kHz. Nobody asks for more than a second.
const MOST_FILLED: u32 = 1 << 30;

/// Whether there is a stream to be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Silence until the first packet's turn comes.
    Priming {
        /// The stream before was cut off and fades out.
        fading: bool,
        /// The buffer is full, so that waiting longer would only lose more.
        full: bool,
    },
    /// One packet follows the other.
    Playing {
        /// What the sender does between its packets.
        sending: Sending,
    },
}

impl State {
    /// Nothing has come yet, or the stream has ended.
    pub(super) const WAITING: Self = Self::Priming { fading: false, full: false };
    /// The first packet's turn has come.
    pub(super) const STARTED: Self = Self::Playing { sending: Sending::Sound };

    pub(super) fn is_playing(self) -> bool {
        matches!(self, Self::Playing { .. })
    }

    /// The stream goes on with other numbers: what was heard fades out.
    pub(super) fn interrupt(&mut self) {
        let fading = matches!(self, Self::Playing { .. } | Self::Priming { fading: true, .. });
        *self = Self::Priming { fading, full: false };
    }

    /// A packet had to be dropped for want of room: it's no use to wait for more of them.
    pub(super) fn crowd(&mut self) {
        if let Self::Priming { full, .. } = self {
            *full = true;
        }
    }

    /// What was heard before has faded out.
    pub(super) fn faded(&mut self) {
        if let Self::Priming { fading, .. } = self {
            *fading = false;
        }
    }

    /// A packet said what the sender does until the next one.
    pub(super) fn send(&mut self, what: Sending) {
        if let Self::Playing { sending } = self {
            *sending = what;
        }
    }
}

/// Where in the stream the sound is that was made last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Playhead {
    /// The time of the sample that follows the last decoded one.
    pub(super) next_time: RtpTime,
    /// Ticks that were filled since then: the media time stands still meanwhile.
    pub(super) filled: u32,
    /// Length of the last packet; 0 before the first.
    pub(super) packet_ticks: u32,
}

impl Playhead {
    pub(super) const START: Self = Self { next_time: RtpTime(0), filled: 0, packet_ticks: 0 };

    /// How much later `time` is than the end of what was decoded; negative if timestamps went back.
    pub(super) fn gap(&self, time: RtpTime) -> i32 {
        time.distance(self.next_time)
    }

    /// The sample that follows has this time.
    pub(super) fn seek(&mut self, time: RtpTime) {
        self.next_time = time;
        self.filled = 0;
    }

    /// Notes that a packet of `ticks` ticks that begins at `time` was decoded.
    pub(super) fn decoded(&mut self, time: RtpTime, ticks: u32) {
        self.seek(time.plus(ticks));
        self.packet_ticks = ticks;
    }

    /// Notes that this many ticks were filled. However long a pause is, the sum stays in bounds.
    pub(super) fn fill(&mut self, ticks: u32) {
        self.filled = self.filled.saturating_add(ticks).min(MOST_FILLED);
    }

    /// Notes that this many of the filled ticks were taken back before they were heard.
    pub(super) fn take_back(&mut self, ticks: u32) {
        self.filled -= ticks;
    }
}

/// What was made up since the last packet, and how the next one follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MadeUp {
    /// Samples that were concealed.
    pub(super) samples: u32,
    /// Missing packets before the next one that a codec recovered from it.
    pub(super) recovered: u16,
    /// The packet before the next one was here but could not be decoded.
    pub(super) broken: bool,
    /// Packets or sound were left out: the next one doesn't follow what was played last.
    pub(super) spliced: bool,
}

impl MadeUp {
    pub(super) const NOTHING: Self = Self { samples: 0, recovered: 0, broken: false, spliced: false };

    /// The next packet was decoded, or is the first of a stream: what comes follows it. What was made up before it is
    /// [settled](super::Receiver::settle) by itself.
    pub(super) fn joined(&mut self) {
        self.broken = false;
        self.spliced = false;
    }
}

/// The first packet in the buffer that has a place in time, as a tick found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct First {
    /// How many places after the next one it lies: those before it are missing, or have no place in time.
    pub(super) offset: usize,
    pub(super) info: PacketInfo,
}

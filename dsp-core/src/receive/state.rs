//! What a receiver is doing, where it is in the stream, and what it has concealed since the last packet: the state
//! that [`play`](super::Receiver::play) changes, each part with the only methods that change it.
//!
//! Each state holds only what it needs. While priming, that is whether the previous stream is fading out and whether
//! the buffer is full; while playing, what the sender does between its packets. A new SSRC or a jump of the sequence
//! numbers (`restart`) is the one way to begin a stream within a receiver that goes on playing and counting.
//!
//! Times are in ticks of the receiver's clock, modulo 2^32. The state takes 40 bytes of memory.

use super::decision::Sending;
use super::jitter::PacketInfo;
use crate::time::RtpTime;

/// The most filled ticks that are counted: six hours at 48 kHz. No caller asks for more than a second of them.
const MOST_FILLED: u32 = 1 << 30;

/// Whether there is a stream to be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Silence until the first packet's turn comes.
    Priming {
        /// The previous stream was cut off and is fading out.
        fading: bool,
        /// The buffer is full, so that waiting longer would only lose more.
        full: bool,
    },
    /// Packets are played, one after the other.
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

    /// Notes that the stream goes on with other sequence numbers or another SSRC: the sound so far fades out.
    pub(super) fn interrupt(&mut self) {
        let fading = matches!(self, Self::Playing { .. } | Self::Priming { fading: true, .. });
        *self = Self::Priming { fading, full: false };
    }

    /// Notes that a packet was dropped because the buffer was full: waiting for more of them makes no sense.
    pub(super) fn crowd(&mut self) {
        if let Self::Priming { full, .. } = self {
            *full = true;
        }
    }

    /// Notes that the sound of the previous stream has faded out.
    pub(super) fn faded(&mut self) {
        if let Self::Priming { fading, .. } = self {
            *fading = false;
        }
    }

    /// Notes what the sender does until its next packet, as its last one told.
    pub(super) fn send(&mut self, what: Sending) {
        if let Self::Playing { sending } = self {
            *sending = what;
        }
    }
}

/// The position in the stream of the sound that was made last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Playhead {
    /// The time of the sample that follows the last decoded one.
    pub(super) next_time: RtpTime,
    /// Ticks of filler (concealed sound, noise or silence) since the last decoded sample; `next_time` stands still
    /// meanwhile.
    pub(super) filled: u32,
    /// Length of the last decoded packet in ticks; 0 before the first.
    pub(super) packet_ticks: u32,
}

impl Playhead {
    pub(super) const START: Self = Self { next_time: RtpTime(0), filled: 0, packet_ticks: 0 };

    /// How many ticks `time` is later than the end of what was decoded; negative if timestamps went back.
    pub(super) fn gap(&self, time: RtpTime) -> i32 {
        time.distance(self.next_time)
    }

    /// Sets the time of the sample that follows, with nothing filled before it.
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

/// What was made up since the last packet, and how the next packet continues from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MadeUp {
    /// Samples that were concealed.
    pub(super) samples: u32,
    /// How many missing packets before the next one the codec recovered from the redundancy in it.
    pub(super) recovered: u16,
    /// The packet before the next one arrived but could not be decoded.
    pub(super) broken: bool,
    /// Packets or sound were left out: the next one doesn't follow what was played last.
    pub(super) spliced: bool,
}

impl MadeUp {
    pub(super) const NOTHING: Self = Self { samples: 0, recovered: 0, broken: false, spliced: false };

    /// Notes that the next packet was decoded or begins a stream: what comes now follows it without a break. What was
    /// made up before it is counted separately, by [`settle`](super::Receiver::settle).
    pub(super) fn joined(&mut self) {
        self.broken = false;
        self.spliced = false;
    }
}

/// The first packet in the buffer whose place in time is known, as a tick found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct First {
    /// How many packets it is after the next expected one: those before it are missing, or their place in time is
    /// unknown.
    pub(super) offset: usize,
    pub(super) info: PacketInfo,
}

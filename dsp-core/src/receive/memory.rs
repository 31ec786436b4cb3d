//! Memory for a [`Receiver`](super::Receiver): in arrays, or wherever its owner has it. Use it for sizes other than
//! those of [`NarrowbandReceiver`](super::NarrowbandReceiver) and [`HostReceiver`](super::HostReceiver).
//!
//! [`Arrays`] is for a receiver whose size is known at compile time. A host implements [`ReceiverMemory`] for boxed
//! slices and gives each call what its codecs need ([`MemoryNeed`]). A slot for a packet takes 24 bytes, a cell of 64
//! bytes of payload 66 bytes, a sample two bytes. A receiver takes memory when it is made or in `set_memory`, and at
//! no other time.
//!
//! A receiver on a host whose memory is on the heap, for 40 packets of 20 ms at 8 kHz:
//!
//! ```
//! use dsp_core::receive::memory::{CELL_BYTES, Cell, Memory, PacketMemory, ReceiverMemory, Run, Slot};
//! use dsp_core::receive::{ConfigError, Receiver, ReceiverConfig, sound_samples};
//!
//! enum Boxes {}
//!
//! impl ReceiverMemory for Boxes {
//!     type Slots = Box<[Slot]>;
//!     type Cells = Box<[Cell]>;
//!     type Runs = Box<[Run]>;
//!     type Sound = Box<[i16]>;
//! }
//!
//! // A packet with 160 bytes takes three cells.
//! let (packets, cells) = (40, 120);
//! let memory = Memory::<Boxes, 1> {
//!     packets: PacketMemory {
//!         slots: vec![Slot::EMPTY; packets].into(),
//!         cells: vec![[0; CELL_BYTES]; cells].into(),
//!         runs: vec![Run::EMPTY; cells].into(),
//!     },
//!     sound: [vec![0; sound_samples(8_000, 1)].into()],
//! };
//! let receiver = Receiver::with_memory(ReceiverConfig::default(), memory)?;
//! assert_eq!((receiver.memory().slots, receiver.memory().cells), (40, 120));
//! # Ok::<(), ConfigError>(())
//! ```

use super::config::Rates;
pub use super::jitter::{CELL_BYTES, Cell, Run, Slot};
use crate::storage::Storage;

/// The types of the lists in which a receiver keeps packets and sound.
pub trait ReceiverMemory {
    /// Packets that are stored or remembered.
    type Slots: Storage<Slot>;
    /// Payload bytes, in cells of 64.
    type Cells: Storage<Cell>;
    /// How the cells are used: one entry for each cell.
    type Runs: Storage<Run>;
    /// Samples of one channel: those played last and those yet to be played.
    type Sound: Storage<i16>;
    /// Which parts the receiver in this memory has: all of them, unless it's written.
    const PARTS: ReceiverParts = ReceiverParts::ALL;
}

/// Parts of a receiver that a program of few bytes may do without. One that isn't there takes no flash; it says so itself of what
/// becomes of the packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ReceiverParts {
    /// Comfort noise (RFC 3389) is generated. Without, its packets are passed over, as those of an unknown payload type.
    pub comfort_noise: bool,
    /// Redundant audio data (RFC 2198) is taken apart. Without, such packets are of an unknown payload type.
    pub redundancy: bool,
    /// Bursts and gaps (RFC 3611, 4.7.2) are counted. Without, [`bursts`](super::Receiver::bursts) counts nothing.
    pub bursts: bool,
    /// Payload types may count in another clock than the receiver's (RFC 7160), or count it wrongly
    /// ([`TickRate`](super::TickRate)). Without, every timestamp is taken as it comes.
    pub clocks: bool,
    /// Codecs fill gaps by their own means: concealment, redundancy in their payloads, a background in pauses. Without, every gap is
    /// filled in the waveform, and a pause is silence.
    pub codec_recovery: bool,
    /// The rate of the sound and of the timestamps in Hz, where it is one and known when the program is made; another one is refused
    /// ([`ConfigError::Rates`](super::ConfigError)). `None`: what the configuration says.
    pub rate_hz: Option<u32>,
}

impl ReceiverParts {
    /// All there is.
    pub const ALL: Self =
        Self { comfort_noise: true, redundancy: true, bursts: true, clocks: true, codec_recovery: true, rate_hz: None };

    /// What the sound of a codec without means of its own needs, at this rate and in a clock of the same, and nothing else.
    pub const fn least(rate_hz: u32) -> Self {
        Self {
            comfort_noise: false,
            redundancy: false,
            bursts: false,
            clocks: false,
            codec_recovery: false,
            rate_hz: Some(rate_hz),
        }
    }

    pub(super) const fn rates(self) -> Option<Rates> {
        match self.rate_hz {
            Some(hz) => Some(Rates::new(hz, hz)),
            None => None,
        }
    }
}

/// Memory in arrays: `CELLS` slots, `CELLS` cells of 64 bytes, and `SAMPLES` samples for each channel.
#[derive(Clone, Copy, Debug)]
pub enum Arrays<const CELLS: usize, const SAMPLES: usize> {}

impl<const CELLS: usize, const SAMPLES: usize> ReceiverMemory for Arrays<CELLS, SAMPLES> {
    type Slots = [Slot; CELLS];
    type Cells = [Cell; CELLS];
    type Runs = [Run; CELLS];
    type Sound = [i16; SAMPLES];
}

/// Memory for packets, in three lists.
pub struct PacketMemory<M: ReceiverMemory> {
    /// Slots for packets, 4 to 32,768.
    pub slots: M::Slots,
    /// Cells for payloads, 4 to 16,384.
    pub cells: M::Cells,
    /// Uses of the cells: as many as there are cells.
    pub runs: M::Runs,
}

impl<const CELLS: usize, const SAMPLES: usize> PacketMemory<Arrays<CELLS, SAMPLES>> {
    /// Empty arrays.
    pub const ARRAYS: Self =
        Self { slots: [Slot::EMPTY; CELLS], cells: [[0; CELL_BYTES]; CELLS], runs: [Run::EMPTY; CELLS] };
}

impl<M: ReceiverMemory> PacketMemory<M> {
    const LEAST: usize = 4;
    const MOST_SLOTS: usize = 32_768;
    const MOST_CELLS: usize = 16_384;

    /// Packets that it has room for.
    #[inline]
    pub(super) fn slot_count(&self) -> usize {
        self.slots.as_ref().len()
    }

    /// Cells of 64 bytes that it has.
    #[inline]
    pub(super) fn cell_count(&self) -> usize {
        self.cells.as_ref().len()
    }

    /// Whether the lists are as long as they must be, and no longer than can be used.
    pub(super) fn is_usable(&self) -> bool {
        (Self::LEAST..=Self::MOST_SLOTS).contains(&self.slot_count())
            && (Self::LEAST..=Self::MOST_CELLS).contains(&self.cell_count())
            && self.runs.as_ref().len() == self.cell_count()
    }
}

/// All memory of a receiver with `CHANNELS` channels.
pub struct Memory<M: ReceiverMemory, const CHANNELS: usize> {
    /// Memory for packets.
    pub packets: PacketMemory<M>,
    /// Memory for the sound of each channel; all channels have the same length.
    pub sound: [M::Sound; CHANNELS],
}

impl<const CELLS: usize, const SAMPLES: usize, const CHANNELS: usize> Default
    for Memory<Arrays<CELLS, SAMPLES>, CHANNELS>
{
    fn default() -> Self {
        // Not `ARRAYS`: a constant lies in flash, to be copied.
        let packets =
            PacketMemory { slots: [Slot::EMPTY; CELLS], cells: [[0; CELL_BYTES]; CELLS], runs: [Run::EMPTY; CELLS] };
        Self { packets, sound: [[0; SAMPLES]; CHANNELS] }
    }
}

/// How much memory a receiver needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MemoryNeed {
    /// Packets that are stored or remembered at once.
    pub slots: usize,
    /// Cells of 64 bytes for payloads.
    pub cells: usize,
    /// Samples for each channel.
    pub samples: usize,
}

impl MemoryNeed {
    /// The larger of both, field by field.
    #[must_use]
    pub const fn max(self, other: Self) -> Self {
        const fn max(a: usize, b: usize) -> usize {
            if a > b { a } else { b }
        }
        Self {
            slots: max(self.slots, other.slots),
            cells: max(self.cells, other.cells),
            samples: max(self.samples, other.samples),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ConfigError, DelayConfig, Receiver, ReceiverConfig};
    use super::*;

    enum Known {}

    impl ReceiverMemory for Known {
        type Slots = [Slot; 8];
        type Cells = [Cell; 8];
        type Runs = [Run; 8];
        type Sound = [i16; 1_600];
        const PARTS: ReceiverParts = ReceiverParts::least(8_000);
    }

    #[test]
    fn another_rate_than_the_one_that_is_known_is_refused() {
        let make = |sample_rate_hz, rtp_clock_hz| {
            let packets = PacketMemory { slots: [Slot::EMPTY; 8], cells: [[0; CELL_BYTES]; 8], runs: [Run::EMPTY; 8] };
            let config =
                ReceiverConfig { sample_rate_hz, rtp_clock_hz, delay: DelayConfig::fixed(40), ..Default::default() };
            Receiver::<Known, 1>::with_memory(config, Memory { packets, sound: [[0; 1_600]] }).map(|_| ()).err()
        };
        assert_eq!(make(8_000, 8_000), None);
        for (sample_rate_hz, rtp_clock_hz) in [(16_000, 8_000), (8_000, 16_000), (16_000, 16_000)] {
            assert_eq!(make(sample_rate_hz, rtp_clock_hz), Some(ConfigError::Rates { sample_rate_hz, rtp_clock_hz }));
        }
    }
}

//! The memory that the receivers of a stream need, by the agreement.
//!
//! There are cells for the packets of 20 ms that come within the bound of the delay, at the codec's bit rate, and slots for
//! packets of 10 ms. Of shorter packets, or of a source that sends at a higher bit rate, less time is held. The sound of a
//! channel is what concealment looks back on, the longest gap that it bridges, and the longest packet.

use dsp_core::receive::memory::{CELL_BYTES, MemoryNeed};
use dsp_core::receive::{HOST_CELLS, ReceiverConfig, sound_samples};
use dsp_core::streams::budget::Budget;

use crate::registry::{CodecFormat, Registry};

/// The length of packets by which their number is reckoned, in ms, and the shortest that all have a slot of.
pub(super) const USUAL_MS: u32 = 20;
const SHORT_MS: u32 = 10;
/// The least bit rate that there is room for, in bit/s: that of G.711.
const LEAST_BPS: u32 = 64_000;
/// The fewest cells: some packets that fill an Ethernet frame.
const FEWEST_CELLS: usize = 96;
const FEWEST_SLOTS: usize = 64;

/// Cells that a usual packet of a codec takes.
pub(super) fn packet_cells(registry: &Registry, format: &CodecFormat) -> usize {
    let bps = registry.find(format).map_or(0, |codec| codec.packet_bps(format));
    let bytes = u64::from(bps.max(LEAST_BPS)) * u64::from(USUAL_MS) / 8_000;
    (bytes as usize).div_ceil(CELL_BYTES)
}

/// Returns the memory of a receiver for packets that take `packet_cells`. `budget` is that of all receivers together.
pub(super) fn need(config: &ReceiverConfig, channels: u8, packet_cells: usize, budget: Option<&Budget>) -> MemoryNeed {
    let held_ms = config.delay.max_ms;
    let most = HOST_CELLS * usize::from(channels);
    let most = budget.map_or(most, |budget| (budget.bytes as usize / CELL_BYTES).clamp(FEWEST_CELLS, most));
    MemoryNeed {
        slots: (held_ms.div_ceil(SHORT_MS) as usize).next_power_of_two().max(FEWEST_SLOTS),
        cells: (packet_cells * held_ms.div_ceil(USUAL_MS) as usize).clamp(FEWEST_CELLS, most),
        samples: sound_samples(config.sample_rate_hz, channels),
    }
}

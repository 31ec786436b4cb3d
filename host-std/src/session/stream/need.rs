//! How much memory the receivers of a stream need, by what was agreed on.
//!
//! Of each codec's payloads as many are held as arrive within the bound of the delay, in packets of 20 ms; slots are for
//! packets of 10 ms, so that shorter ones are held for less time and never lost for want of a slot alone. Who sends faster
//! than a codec's usual bit rate finds room for less time, too. The sound of a channel is what concealment looks back on,
//! the longest gap that it bridges, and the longest packet.

use dsp_core::receive::memory::{CELL_BYTES, MemoryNeed};
use dsp_core::receive::{ReceiverConfig, sound_samples};

use crate::registry::Registry;
use crate::sdp::NegotiatedCodec;

/// The length of packets by which their number is reckoned, in ms, and the shortest that all have a slot of.
const USUAL_MS: u32 = 20;
const SHORT_MS: u32 = 10;
/// The least bit rate that there is room for, in bit/s: G.711, which many codecs' music is below.
const LEAST_BPS: u32 = 64_000;
/// The most cells of a channel: 64 KiB.
const MOST_CELLS: usize = 1_024;
/// The least: 40 ms of anything in an Ethernet frame.
const LEAST_CELLS: usize = 96;

/// What each receiver of a stream needs that gets `codecs`; `budget`: bytes of payloads that all of them may hold.
pub(super) fn need(
    registry: &Registry,
    codecs: &[NegotiatedCodec],
    config: ReceiverConfig,
    channels: u8,
    budget: Option<u32>,
) -> MemoryNeed {
    let held_ms = config.delay.max_ms;
    let most = MOST_CELLS * usize::from(channels);
    let most = budget.map_or(most, |bytes| (bytes as usize / CELL_BYTES).clamp(LEAST_CELLS, most));
    let cells = codecs.iter().filter_map(|codec| {
        let bps = registry.find(&codec.format)?.packet_bps(&codec.format);
        let bytes = u64::from(bps.max(LEAST_BPS)) * u64::from(USUAL_MS) / 8_000;
        Some((bytes as usize).div_ceil(CELL_BYTES) * held_ms.div_ceil(USUAL_MS) as usize)
    });
    MemoryNeed {
        slots: (held_ms.div_ceil(SHORT_MS) as usize).next_power_of_two().max(64),
        cells: cells.max().unwrap_or(0).clamp(LEAST_CELLS, most),
        samples: sound_samples(config.sample_rate_hz, channels),
    }
}

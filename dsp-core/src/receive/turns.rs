//! Each packet's turn: it's played, given up or dropped, and what became of it is counted (RFC 3611, 4.7.1).

use super::{Played, Receiver};
use crate::quality::PacketFate;
use crate::time::{Duration, Seq};

impl<const CELLS: usize, const SAMPLES: usize, const CHANNELS: usize> Receiver<CELLS, SAMPLES, CHANNELS> {
    /// Samples that were decoded from a packet, or from its copy.
    pub(super) fn count_decoded(&mut self, copy: bool, samples: usize, played: &mut Played) {
        if copy {
            self.stats.redundant_used += 1;
            played.recovered += samples as u32;
        } else {
            played.decoded += samples as u32;
        }
    }

    /// The turn of the next packet has passed: what became of it, if it was here. Whether it was.
    pub(super) fn pass(&mut self, fate: PacketFate) -> bool {
        let here = self.jitter.peek(0).is_some();
        if self.jitter.next_seq().is_some() {
            let fate = if here { fate } else { PacketFate::Lost };
            self.jitter.advance(fate == PacketFate::Received);
            self.count_fate(fate);
        }
        here
    }

    /// The turn of all that is missing before the first packet in the buffer has passed.
    pub(super) fn skip_missing(&mut self) {
        let missing = self.jitter.first_offset().unwrap_or(0);
        // Redundancy covers the end of a gap.
        let recovered = usize::from(core::mem::take(&mut self.recovered));
        for left in (0..missing).rev() {
            let recovered = left < recovered;
            self.jitter.advance(recovered);
            self.count_fate(if recovered { PacketFate::Received } else { PacketFate::Lost });
        }
    }

    /// The buffer is empty, and the next packet is one that it has no place for: all before it is lost.
    pub(super) fn skip_to(&mut self, seq: Seq) {
        let missing = self.jitter.next_seq().map_or(0, |next| seq.distance(next));
        for _ in 0..missing {
            self.count_fate(PacketFate::Lost);
        }
        self.jitter.clear();
    }

    fn count_fate(&mut self, fate: PacketFate) {
        if fate == PacketFate::Lost {
            self.delay.lost();
        }
        self.bursts.count(fate, Duration::from_samples(u64::from(self.packet_ticks), self.config.rtp_clock_hz));
    }
}

//! Redundant audio data when receiving (RFC 2198).
//!
//! The redundant blocks of a packet are copies of earlier packets. If the packet of a copy is missing and still to be
//! played, the copy is put into the jitter buffer in its place. From there on it is played like any packet and counts
//! as received; in the counts of RFC 3550 that RTCP reports, the packet is lost.
//!
//! A copy comes one packet or more after the time of its packet. Whether it is worth waiting for is for the delay
//! estimator to decide, as with any late packet: a copy of a missing packet counts there as the arrival of that
//! packet, in time or not. So the first losses are answered too late, and where losses are common enough, the delay
//! grows by a packet. The same applies to what a codec repeats in its own payloads (Opus FEC and DRED).

use super::jitter::{PacketInfo, PacketKind, PushError};
use super::memory::ReceiverMemory;
use super::stats::bump;
use super::{ReceiveError, Receiver};
use crate::time::{Instant, PayloadType, RtpTime, Seq};
use crate::wire::red::{RedBlock, RedPayload};
use crate::wire::rtp::RtpPacket;

/// Redundancy may reach far back, but to wait long for it is not worth it.
const REACH_PACKETS: u32 = 8;

/// Which payload type carries redundancy, and what came of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ReceivedRedundancy {
    /// The payload type of redundant audio data, if one was agreed on.
    payload_type: Option<PayloadType>,
    /// The newest packet of which a copy came that was missing.
    newest_copy: Option<Seq>,
}

impl ReceivedRedundancy {
    /// Other numbers begin.
    pub(super) fn reset(self) -> Self {
        Self { newest_copy: None, ..self }
    }
}

impl<M: ReceiverMemory, const CHANNELS: usize> Receiver<M, CHANNELS> {
    /// Sets the payload type of redundant audio data (RFC 2198), from the next packet on. With `None`, as at the
    /// beginning, no payload type stands for it.
    pub fn set_redundancy(&mut self, payload_type: Option<PayloadType>) {
        self.redundancy.payload_type = payload_type;
    }

    /// The blocks of a packet with redundant audio data; `None` for any other packet.
    pub(super) fn take_apart<'a>(&mut self, packet: &RtpPacket<'a>) -> Result<Option<RedPayload<'a>>, ReceiveError> {
        let number = packet.payload_type();
        let is_red = self.redundancy.payload_type == Some(number) || self.kinds.is_redundancy(number);
        if !M::PARTS.redundancy || !is_red {
            return Ok(None);
        }
        let red = RedPayload::parse(packet.payload()).map_err(|error| {
            bump(&mut self.stats.refused);
            ReceiveError::Redundancy(error)
        })?;
        Ok(Some(red))
    }

    /// Puts the redundant blocks of the packet `carrier`, which is in the buffer, in the place of missing packets.
    pub(super) fn store_copies(&mut self, now: Instant, carrier: &PacketInfo, red: &RedPayload<'_>) {
        let count = red.redundant().len();
        for (index, block) in red.redundant().enumerate() {
            bump(&mut self.stats.redundant_blocks);
            self.store_copy(now, carrier, block, (count - index) as u16);
        }
    }

    /// `rank`: this block's place among the redundant ones, counted from the youngest.
    fn store_copy(&mut self, now: Instant, carrier: &PacketInfo, block: RedBlock<'_>, rank: u16) {
        // Another encoding of the same sound (RFC 2198, 3) may be one that nobody here can decode; events are no sound.
        let known = block.payload_type == carrier.payload_type || Some(block.payload_type) == self.payload_type;
        let known = known && self.kinds.of(block.payload_type) == PacketKind::Sound;
        if block.payload.is_empty() || block.timestamp_offset == 0 || !known {
            bump(&mut self.stats.redundant_unusable);
            return;
        }
        // Blocks have no sequence numbers. Packets of one length lie evenly; else it's the order.
        let packet = self.playhead.packet_ticks;
        // Counted in the clock of the packet that carries it.
        let offset = self.ratio(carrier.payload_type).length(block.timestamp_offset);
        let even = packet > 0 && offset.is_multiple_of(packet);
        let back = if even { (offset / packet).min(1 << 14) as u16 } else { rank };
        let seq = Seq(carrier.seq.0.wrapping_sub(back));
        let timestamp = carrier.timestamp.plus(offset.wrapping_neg());
        if self.source.sequence.has_seen(seq) {
            bump(&mut self.stats.redundant_duplicate);
            return;
        }
        if !self.lies_between(seq, timestamp) {
            bump(&mut self.stats.redundant_unusable);
            return;
        }
        if self.redundancy.newest_copy.is_none_or(|newest| seq.distance(newest) > 0) {
            self.redundancy.newest_copy = Some(seq);
            self.delay.update_copy(self.rates().at(now), timestamp.0);
        }
        // What has been concealed by more than half stays so, or the delay would grow for nothing.
        let begins = self.playhead.gap(timestamp);
        let passed = (self.playhead.filled as i32).saturating_sub(begins);
        if self.state.is_playing() && begins >= 0 && passed > self.playhead.packet_ticks as i32 / 2 {
            bump(&mut self.stats.redundant_late);
            return;
        }
        let info = PacketInfo {
            seq,
            timestamp,
            payload_type: block.payload_type,
            kind: PacketKind::Copy,
            arrival: carrier.arrival,
        };
        match self.jitter.push(info, block.payload) {
            Ok(()) => {}
            Err(PushError::Duplicate) => bump(&mut self.stats.redundant_duplicate),
            Err(PushError::Late | PushError::Old) => bump(&mut self.stats.redundant_late),
            Err(PushError::Full | PushError::TooFarAhead | PushError::TooLong { .. }) => {
                bump(&mut self.stats.redundant_discarded);
            }
        }
    }

    /// Whether a packet with these numbers fits between those in the buffer.
    fn lies_between(&self, seq: Seq, timestamp: RtpTime) -> bool {
        let Some(next) = self.jitter.next_seq() else { return true };
        let neighbour = |seq: Seq| usize::try_from(seq.distance(next)).ok().and_then(|offset| self.jitter.peek(offset));
        let after = neighbour(seq.plus(1)).is_none_or(|(info, _)| timestamp.distance(info.timestamp) < 0);
        let before =
            neighbour(Seq(seq.0.wrapping_sub(1))).is_none_or(|(info, _)| timestamp.distance(info.timestamp) > 0);
        after && before
    }

    /// Tells the delay estimator of the `missing` packets before `timestamp` that the redundancy of a packet covers, up to
    /// `reach` ticks back: as of copies, whether they came in time or not.
    pub(super) fn weigh_reach(&mut self, arrival: Instant, timestamp: RtpTime, missing: usize, reach: u32) {
        let covered = reach.checked_div(self.playhead.packet_ticks).unwrap_or(0).min(missing as u32).min(REACH_PACKETS);
        for back in 1..=covered {
            let timestamp = timestamp.0.wrapping_sub(back.wrapping_mul(self.playhead.packet_ticks));
            self.delay.update_copy(self.rates().at(arrival), timestamp);
        }
    }
}

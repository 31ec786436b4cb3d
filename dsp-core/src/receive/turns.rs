//! The turn of each packet: it is played, given up or dropped, and its fate is counted (RFC 3611, 4.7.1).
//!
//! Packets that have no place in time (events, padding, unknown payload types) have a turn too, after that of the
//! packet before them. They count neither as lost nor as discarded, since the sound is complete without them.

use super::clocks::{self, Ratio};
use super::jitter::{Fate, PacketKind};
use super::memory::ReceiverMemory;
use super::stats::bump;
use super::{First, Receiver};
use crate::codec::{OtherPayload, PayloadTable};
use crate::quality::PacketFate;
use crate::time::{PayloadType, Seq};

/// Payload types that count in another clock than the receiver's at most.
const FOREIGN: usize = 10;

/// What each payload type is, and in which clock it counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct PayloadKinds {
    /// Two bits a type: sound and comfort noise have none, events both; of what nobody agreed on the first is set, and of
    /// redundancy the second.
    beside: [u64; 2],
    /// The second bit.
    events: [u64; 2],
    /// Those of another clock than the receiver's, with its number; 0 where there is none.
    foreign: [(u8, u8); FOREIGN],
    /// Ticks of the receiver's clock in one of each of them, by that number less one. Each keeps its number.
    ratios: [Ratio; clocks::MOST - 1],
}

impl PayloadKinds {
    /// All are taken for sound, in the receiver's clock.
    pub(super) const SOUND: Self =
        Self { beside: [0; 2], events: [0; 2], foreign: [(0, 0); FOREIGN], ratios: [Ratio::ONE; clocks::MOST - 1] };

    fn bits(&self, payload_type: PayloadType) -> (bool, bool) {
        let number = payload_type.get();
        let is_in = |set: [u64; 2]| set[usize::from(number >> 6 & 1)] >> (number & 63) & 1 == 1;
        (is_in(self.beside), is_in(self.events))
    }

    /// What a packet of this type is; redundancy is what its primary block is.
    pub(super) fn of(&self, payload_type: PayloadType) -> PacketKind {
        match self.bits(payload_type) {
            (false, false) => PacketKind::Sound,
            (true, true) => PacketKind::Event,
            _ => PacketKind::Unknown,
        }
    }

    /// Whether it carries redundant audio data.
    pub(super) fn is_redundancy(&self, payload_type: PayloadType) -> bool {
        self.bits(payload_type) == (false, true)
    }

    /// The number of the clock that it counts in; 0 is the receiver's.
    pub(super) fn clock(&self, payload_type: PayloadType) -> u8 {
        // In most streams there is one clock, and nothing to look for with each packet.
        if self.ratios[0] == Ratio::ONE {
            return 0;
        }
        let own = self.foreign.iter().find(|(number, clock)| *number == payload_type.get() && *clock > 0);
        own.map_or(0, |(_, clock)| *clock)
    }

    /// Ticks of the receiver's clock in one of the clock with this number.
    pub(super) fn ratio_of(&self, clock: u8) -> Ratio {
        usize::from(clock).checked_sub(1).and_then(|index| self.ratios.get(index)).map_or(Ratio::ONE, |ratio| *ratio)
    }

    /// The same of a payload type's.
    pub(super) fn ratio(&self, payload_type: PayloadType) -> Ratio {
        self.ratio_of(self.clock(payload_type))
    }

    /// Sets what a payload type is, and its clock as a number of the receiver's ticks. If there is no room for another
    /// clock, the payload type counts as unknown.
    fn set(&mut self, payload_type: PayloadType, mut bits: (bool, bool), ratio: Ratio) {
        let number = payload_type.get();
        for own in self.foreign.iter_mut().filter(|(own, _)| *own == number) {
            *own = (0, 0);
        }
        if ratio != Ratio::ONE {
            let clock = self.ratios.iter().position(|own| *own == ratio || *own == Ratio::ONE);
            let place = self.foreign.iter().position(|(_, clock)| *clock == 0);
            match (clock, place) {
                (Some(clock), Some(place)) => {
                    self.ratios[clock] = ratio;
                    self.foreign[place] = (number, clock as u8 + 1);
                }
                _ => bits = (true, false),
            }
        }
        let (half, bit) = (usize::from(number >> 6 & 1), 1 << (number & 63));
        for (set, is_in) in [(&mut self.beside[half], bits.0), (&mut self.events[half], bits.1)] {
            *set = if is_in { *set | bit } else { *set & !bit };
        }
    }
}

impl<M: ReceiverMemory, const CHANNELS: usize> Receiver<M, CHANNELS> {
    /// Takes note of which payload types of `payloads` are sound or comfort noise. Call it with the table that
    /// [`play`](Self::play) gets, before the first packet and whenever another payload type is agreed on. Until then
    /// every payload type counts as sound.
    ///
    /// The timestamps of other packets say nothing about the network: an event repeats the timestamp of its beginning
    /// (RFC 4733, 2.5.1.2), and the clock of an unknown payload type is not known. Such packets keep their place in
    /// the sequence (RFC 3550, A.3). They affect neither jitter nor delay, nor the losses and discards of the sound,
    /// and a source does not prove itself by them (A.1).
    ///
    /// The timestamps of each payload type count in the clock of its decoder
    /// ([`CodecInfo::rtp_clock_hz`](crate::codec::CodecInfo)) or the one that [`PayloadTable::clock_hz`] tells; until
    /// this call they count in the receiver's clock. Besides the receiver's clock, three others are possible, for ten
    /// payload types in all. A payload type beyond those counts as unknown.
    pub fn set_payloads(&mut self, payloads: &mut dyn PayloadTable) {
        for number in 0..128 {
            let payload_type = PayloadType::from_low_bits(number);
            let decoder = payloads.decoder(payload_type).map(|decoder| decoder.info().rtp_clock_hz);
            let bits = match payloads.other(payload_type) {
                _ if decoder.is_some() => (false, false),
                OtherPayload::Noise if M::PARTS.comfort_noise => (false, false),
                OtherPayload::Event => (true, true),
                OtherPayload::Redundancy if M::PARTS.redundancy => (false, true),
                OtherPayload::Noise | OtherPayload::Redundancy | OtherPayload::Unknown => (true, false),
            };
            let clock_hz = decoder.or(payloads.clock_hz(payload_type)).filter(|_| bits != (true, false));
            let clock_hz = clock_hz.filter(|hz| *hz > 0).unwrap_or(self.rates().clock_hz);
            let ratio = if M::PARTS.clocks { Ratio::new(clock_hz, self.rates().clock_hz) } else { Ratio::ONE };
            self.kinds.set(payload_type, bits, ratio);
        }
    }

    /// What became of the packet with the sequence number `seq` that [`receive`](Self::receive) stored; `None` while
    /// it waits for its turn. The answer is kept for as many sequence numbers as the receiver has slots, or until
    /// another source or a jump of the sequence numbers ([`Restarted`](super::Received::Restarted)) discards all that
    /// waits. To learn of each packet, ask after each call of [`receive`](Self::receive) and [`play`](Self::play).
    pub fn fate(&self, seq: Seq) -> Option<Fate> {
        self.jitter.fate(seq)
    }

    /// The turn of the next packet has passed: what became of it, if it was here. Whether it was.
    pub(super) fn pass(&mut self, fate: Fate) -> bool {
        let here = self.jitter.peek(0).map(|(info, _)| info.kind);
        if self.jitter.next_seq().is_some() {
            let fate = if here.is_some() { fate } else { Fate::Lost };
            self.jitter.advance(fate);
            self.count_fate(fate, here);
        }
        here.is_some()
    }

    /// The first packet in the buffer that has a place in time.
    pub(super) fn first(&self) -> Option<First> {
        self.jitter.first().map(|(offset, info, _)| First { offset, info })
    }

    /// The turn of all before `first` has passed. How many of them were missing.
    pub(super) fn skip_missing(&mut self, first: First) -> usize {
        self.skip_to_first(first, None)
    }

    /// Drops `first` with all before it; if no packet in the buffer has a place in time, the first of any kind.
    pub(super) fn drop_to(&mut self, first: Option<First>) {
        if let Some(first) = first {
            self.skip_to_first(first, Some(Fate::Discarded));
        }
        while self.jitter.peek(0).is_none() && !self.jitter.is_empty() {
            self.pass(Fate::Lost);
        }
        self.pass(Fate::Discarded);
    }

    /// `dropped`: what becomes of packets that have no place in time, if they don't get their turn.
    fn skip_to_first(&mut self, first: First, dropped: Option<Fate>) -> usize {
        let First { offset: ahead, info } = first;
        // Redundancy covers the end of a gap.
        let recovered = usize::from(core::mem::take(&mut self.made_up.recovered));
        // Where the sound goes on without a gap, what is missing was none.
        let follows = recovered == 0 && !self.made_up.spliced && self.playhead.gap(info.timestamp) == 0;
        let whole = follows && self.state.is_playing();
        let missing = (0..ahead).filter(|&place| self.jitter.peek(place).is_none()).count();
        let mut left = missing;
        for _ in 0..ahead {
            if self.jitter.peek(0).is_some() {
                match dropped {
                    Some(fate) => self.pass(fate),
                    None => self.pass_beside(),
                };
                continue;
            }
            left -= 1;
            let fate = match left < recovered {
                true => Fate::Recovered,
                false if whole => Fate::Silent,
                false => Fate::Lost,
            };
            self.jitter.advance(fate);
            self.count_fate(fate, None);
        }
        missing
    }

    /// The turn of the next packet passes, if it has no place in time. Whether that was so.
    pub(super) fn pass_beside(&mut self) -> bool {
        let fate = match self.jitter.peek(0).map(|(info, _)| info.kind) {
            Some(PacketKind::Event) => Fate::Event,
            Some(PacketKind::Unknown) => Fate::Unknown,
            _ => return false,
        };
        self.pass(fate)
    }

    /// The buffer is empty, and the next packet is one that it has no place for: all before it is lost.
    pub(super) fn skip_to(&mut self, seq: Seq) {
        let missing = self.jitter.next_seq().map_or(0, |next| seq.distance(next));
        for _ in 0..missing {
            self.count_fate(Fate::Lost, None);
        }
        self.jitter.reset();
    }

    /// Counts what became of a packet that was here as `kind`, or was not.
    fn count_fate(&mut self, fate: Fate, kind: Option<PacketKind>) {
        let stats = &mut self.stats;
        match (fate, kind) {
            (Fate::Recovered | Fate::Lost | Fate::Silent, _) | (_, None) => {}
            (Fate::Played | Fate::Noise, Some(PacketKind::Copy)) => bump(&mut stats.redundant_used),
            (_, Some(PacketKind::Copy)) => bump(&mut stats.redundant_discarded),
            (Fate::Played, _) => stats.decoded_packets += 1,
            (Fate::Noise, _) => bump(&mut stats.noise_packets),
            (Fate::Event, _) => bump(&mut stats.event_packets),
            (Fate::Unknown, _) => bump(&mut stats.unknown_payload),
            (Fate::Undecodable, _) => bump(&mut stats.undecodable),
            (Fate::Discarded, _) => bump(&mut stats.discarded),
        }
        let fate = match (fate, kind) {
            (_, Some(PacketKind::Event | PacketKind::Unknown)) => return,
            (Fate::Event | Fate::Unknown | Fate::Silent, _) => return,
            (Fate::Played | Fate::Noise | Fate::Recovered, _) => PacketFate::Received,
            (Fate::Undecodable | Fate::Discarded, _) => PacketFate::Discarded,
            (Fate::Lost, _) => PacketFate::Lost,
        };
        if fate == PacketFate::Lost {
            self.delay.lost();
        }
        if M::PARTS.bursts {
            let length = self.rates().length(self.playhead.packet_ticks);
            self.source.bursts.count(fate, length);
        }
    }
}

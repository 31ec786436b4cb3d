//! Each packet's turn: it's played, given up or dropped, and what became of it is counted (RFC 3611, 4.7.1).
//!
//! Packets that have no place in time, events and what nobody agreed on, have a turn all the same: when the packet before
//! them has had its own. They are neither lost nor discarded for the sound, which is whole without them.

use super::clocks::{self, Ratio};
use super::jitter::{Fate, PacketKind};
use super::memory::ReceiverMemory;
use super::stats::bump;
use super::{First, Receiver};
use crate::codec::{OtherPayload, PayloadTable};
use crate::quality::PacketFate;
use crate::time::{Duration, PayloadType, Seq};

/// What each payload type is, and in which clock it counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct PayloadKinds {
    /// For each type, its kind and above that the number of its clock.
    entries: [u8; 128],
    /// The clocks in Hz, the receiver's own first; 0 where there is none. Each keeps its number.
    clocks_hz: [u32; clocks::MOST],
    ratios: [Ratio; clocks::MOST],
}

const SOUND: u8 = 0;
const EVENT: u8 = 1;
const UNKNOWN: u8 = 2;
const REDUNDANCY: u8 = 3;
/// Bits of the kind.
const KIND: u8 = 3;

impl PayloadKinds {
    /// All are taken for sound, in the receiver's clock.
    pub(super) const fn sound(clock_hz: u32) -> Self {
        let mut clocks_hz = [0; clocks::MOST];
        clocks_hz[0] = clock_hz;
        Self { entries: [SOUND; 128], clocks_hz, ratios: [Ratio::ONE; clocks::MOST] }
    }

    fn entry(&self, payload_type: PayloadType) -> u8 {
        self.entries[usize::from(payload_type.get() & 127)]
    }

    /// What a packet of this type is; redundancy is what its primary block is.
    pub(super) fn of(&self, payload_type: PayloadType) -> PacketKind {
        match self.entry(payload_type) & KIND {
            SOUND => PacketKind::Sound,
            EVENT => PacketKind::Event,
            _ => PacketKind::Unknown,
        }
    }

    /// Whether it carries redundant audio data.
    pub(super) fn is_redundancy(&self, payload_type: PayloadType) -> bool {
        self.entry(payload_type) & KIND == REDUNDANCY
    }

    /// The number of the clock that it counts in.
    pub(super) fn clock(&self, payload_type: PayloadType) -> usize {
        usize::from(self.entry(payload_type) >> 2)
    }

    /// Ticks of the receiver's clock in one of its own.
    pub(super) fn ratio(&self, payload_type: PayloadType) -> Ratio {
        self.ratios[self.clock(payload_type) % clocks::MOST]
    }

    /// The clock with this number, in Hz.
    pub(super) fn clock_hz(&self, clock: usize) -> u32 {
        self.clocks_hz[clock % clocks::MOST]
    }

    /// The number of a clock; `None` where there are too many, or it is none.
    fn number(&mut self, clock_hz: u32) -> Option<u8> {
        let known = |hz: &u32| *hz == clock_hz || *hz == 0;
        let number = self.clocks_hz.iter().position(known).filter(|_| clock_hz > 0)?;
        self.ratios[number] = Ratio::new(clock_hz, self.clocks_hz[0]);
        self.clocks_hz[number] = clock_hz;
        Some(number as u8)
    }
}

impl<M: ReceiverMemory, const CHANNELS: usize> Receiver<M, CHANNELS> {
    /// Which payload types are sound or comfort noise, as `payloads` says it now: to be called with the table that
    /// [`play`](Self::play) gets, before the first packet and whenever another payload type was agreed on.
    ///
    /// Timestamps of the others say nothing of the network: an event repeats the one at which it began (RFC 4733, 2.5.1.2),
    /// and the clock of what nobody agreed on isn't known. Such packets keep their place in the sequence (RFC 3550, A.3),
    /// and move neither jitter nor delay, neither losses nor discards of the sound, nor does a source prove itself by them
    /// (A.1). Until this is called every payload type is taken for sound.
    ///
    /// Each type's timestamps count in the clock of its decoder ([`CodecInfo::rtp_clock_hz`](crate::codec::CodecInfo)), or
    /// that which [`PayloadTable::clock_hz`] tells, and until this is called in the receiver's. Eight clocks are known;
    /// what counts in a ninth is taken for what nobody agreed on.
    pub fn set_payloads(&mut self, payloads: &mut dyn PayloadTable) {
        for number in 0..128 {
            let payload_type = PayloadType::from_low_bits(number);
            let decoder = payloads.decoder(payload_type).map(|decoder| decoder.info().rtp_clock_hz);
            let kind = match payloads.other(payload_type) {
                _ if decoder.is_some() => SOUND,
                OtherPayload::Noise => SOUND,
                OtherPayload::Event => EVENT,
                OtherPayload::Redundancy => REDUNDANCY,
                OtherPayload::Unknown => UNKNOWN,
            };
            let clock_hz = decoder.or(payloads.clock_hz(payload_type)).unwrap_or(self.rates.clock_hz);
            self.kinds.entries[usize::from(number)] = match self.kinds.number(clock_hz) {
                Some(clock) => kind | clock << 2,
                None => UNKNOWN,
            };
        }
    }

    /// What became of a packet that was [`Stored`](super::Received::Stored) as the number `seq` of the stream that is being
    /// played; `None` while it waits for its turn. To be asked after each call of [`receive`](Self::receive) and
    /// [`play`](Self::play): it is remembered until `CELLS` numbers later, or until the stream begins anew
    /// with another source or other numbers ([`Restarted`](super::Received::Restarted)), which discards all that waits.
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
        let length = Duration::from_samples(u64::from(self.playhead.packet_ticks), self.rates.clock_hz);
        self.source.bursts.count(fate, length);
    }
}

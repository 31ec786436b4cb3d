//! Jitter buffer: it stores packets, puts them in order, drops duplicates and lets its owner look ahead. It knows no
//! time: how long a packet waits is decided in `delay` and `decision`.
//!
//! Payloads lie in a ring of 64-byte cells in the order of their arrival, each in one piece, so that a decoder can
//! read them in place. A table finds a packet by its sequence number in one step. Both have a fixed length: the buffer
//! never holds more packets than it has slots, nor more bytes than its cells have. Sequence numbers are extended to 32
//! bits by their distance to the newest one (RFC 3550, A.1).
//!
//! Storing, looking and moving on take constant time, except for a run of freed cells that is skipped once. Finding
//! the first packet takes as many steps as packets are missing before it.

use super::memory::{Arrays, PacketMemory, ReceiverMemory};
use crate::slices::{copy, part_mut};
use crate::time::{Instant, PayloadType, RtpTime, Seq};

/// Bytes of payload in one cell.
pub const CELL_BYTES: usize = 64;

/// Reasons why a [`JitterBuffer`] did not store a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PushError {
    /// The packet was stored or played before, itself or as a copy in another packet.
    Duplicate,
    /// The packet's turn has passed without it: it was concealed or skipped.
    Late,
    /// The packet is older than the first packet that was played, or so old that the buffer remembers nothing of it.
    Old,
    /// The packet is so far ahead of the next one that there is no slot for it.
    TooFarAhead,
    /// No free run of cells is long enough for the payload.
    Full,
    /// The payload is longer than all cells together.
    TooLong {
        /// Length of the payload, in bytes.
        bytes: usize,
    },
}

/// How a packet relates to the sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PacketKind {
    /// Sound or comfort noise: the timestamp says when it is to be heard.
    #[default]
    Sound,
    /// Sound that a later packet carried as redundancy (RFC 2198).
    Copy,
    /// A telephone event: all packets of an event carry the timestamp of its beginning (RFC 4733, 2.5.1.2).
    Event,
    /// The payload type was not agreed on, so its clock is unknown, or the packet holds nothing but padding.
    Unknown,
}

impl PacketKind {
    /// Whether the timestamp says when the packet is to be heard. Other packets have a turn in the sequence, but no
    /// place in time.
    pub const fn has_time(self) -> bool {
        matches!(self, Self::Sound | Self::Copy)
    }
}

/// What became of a packet whose turn has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Fate {
    /// The packet was decoded.
    // From 1 on, so that none is 0, and memory with no packet in it all zeros: as a static it takes no flash.
    Played = 1,
    /// The packet described comfort noise (RFC 3389).
    Noise,
    /// The packet was a telephone event.
    Event,
    /// The packet had no decoder for its payload type, or held nothing but padding.
    Unknown,
    /// The decoder refused the packet, or its sound has another sample rate.
    Undecodable,
    /// The packet was there and was dropped: there was no room, it waited longer than the bound, or a new stream
    /// began.
    Discarded,
    /// The packet was missing, and its copy from another packet was decoded instead.
    Recovered,
    /// The packet was missing.
    Lost,
    /// The packet was missing, but no sound is missing with it.
    Silent,
}

/// What the buffer keeps about a packet besides its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PacketInfo {
    /// Sequence number as received.
    pub seq: Seq,
    /// RTP timestamp.
    pub timestamp: RtpTime,
    /// Payload type.
    pub payload_type: PayloadType,
    /// How the packet relates to the sound.
    pub kind: PacketKind,
    /// When the packet arrived.
    pub arrival: Instant,
}

/// Memory for one packet in a jitter buffer.
#[derive(Clone, Copy)]
pub struct Slot {
    info: PacketInfo,
    first_cell: u16,
    bytes: u16,
    used: bool,
    /// Once the turn of this number has passed: what became of its packet.
    fate: Option<Fate>,
}

impl Slot {
    /// A slot without a packet.
    pub const EMPTY: Self = Self {
        info: PacketInfo {
            seq: Seq(0),
            timestamp: RtpTime(0),
            payload_type: PayloadType::PCMU,
            kind: PacketKind::Sound,
            arrival: Instant::ZERO,
        },
        first_cell: 0,
        bytes: 0,
        used: false,
        fate: None,
    };
}

/// Memory for a part of a payload.
pub type Cell = [u8; CELL_BYTES];

/// Memory that says, for the first cell of each payload, how many cells the payload takes and whether they are still
/// in use.
#[derive(Clone, Copy)]
pub struct Run(u16);

impl Run {
    /// A run without cells.
    pub const EMPTY: Self = Self(0);
    /// Beside the number of cells, which is at most 2^14.
    const LIVE: u16 = 1 << 15;

    fn cells(self) -> usize {
        usize::from(self.0 & !Self::LIVE)
    }

    fn is_live(self) -> bool {
        self.0 & Self::LIVE != 0
    }
}

/// A jitter buffer: it stores packets, puts them in order, drops duplicates and lets the caller look ahead.
///
/// Use it alone where a program has its own rules for playing; a [`Receiver`](super::Receiver) contains one. It knows
/// no time: its owner decides when the next packet's turn comes. It holds as many packets as its memory `M` has slots,
/// and as many payload bytes as its cells have. Storing, looking and moving on take constant time; on a host storing
/// and taking out a packet of 160 bytes takes 15 ns (`BENCHMARKS.md`). Sequence numbers are extended to 32 bits (RFC
/// 3550, A.1).
///
/// Two packets that overtook each other come out in order:
///
/// ```
/// use dsp_core::receive::{ArrayBuffer, Fate, PacketInfo, PacketKind, PushError};
/// use dsp_core::time::{Instant, PayloadType, RtpTime, Seq};
///
/// let mut buffer = ArrayBuffer::<32>::new();
/// for n in [1u16, 3, 2] {
///     let info = PacketInfo {
///         seq: Seq(n),
///         timestamp: RtpTime(160 * u32::from(n)),
///         payload_type: PayloadType::PCMU,
///         kind: PacketKind::Sound,
///         arrival: Instant::ZERO,
///     };
///     buffer.push(info, &[n as u8; 160])?;
/// }
/// let mut order = Vec::new();
/// while let Some((_, info, payload)) = buffer.first() {
///     order.push((info.seq.0, payload[0]));
///     buffer.advance(Fate::Played);
/// }
/// assert_eq!(order, [(1, 1), (2, 2), (3, 3)]);
/// # Ok::<(), PushError>(())
/// ```
pub struct JitterBuffer<M: ReceiverMemory> {
    memory: PacketMemory<M>,
    /// Where the next run begins, where the oldest begins, and how many cells lie between.
    head: usize,
    tail: usize,
    occupied: usize,
    packets: usize,
    /// Cells in which these packets lie.
    live: usize,
    /// Extended sequence number of the next packet to be played; `None` until the first packet.
    next: Option<u32>,
    /// The highest extended sequence number seen since `reset`.
    newest: u32,
    /// Whether a turn has passed since `reset`.
    begun: bool,
}

/// A jitter buffer with `CELLS` slots and `CELLS` cells of 64 bytes: room for at most `CELLS` packets.
pub type ArrayBuffer<const CELLS: usize> = JitterBuffer<Arrays<CELLS, 0>>;

impl<const CELLS: usize, const SAMPLES: usize> JitterBuffer<Arrays<CELLS, SAMPLES>> {
    /// An empty buffer.
    pub const fn new() -> Self {
        const { assert!(CELLS >= 4 && CELLS <= 16_384, "4 to 16384 cells") };
        Self::empty(PacketMemory::ARRAYS)
    }
}

impl<const CELLS: usize, const SAMPLES: usize> Default for JitterBuffer<Arrays<CELLS, SAMPLES>> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: ReceiverMemory> PacketMemory<M> {
    /// The payload of the packet in a slot of these.
    #[inline]
    fn payload(&self, slot: &Slot) -> &[u8] {
        let cells = self.cells.as_ref().get(usize::from(slot.first_cell)..).unwrap_or_default();
        cells.as_flattened().get(..usize::from(slot.bytes)).unwrap_or_default()
    }
}

impl<M: ReceiverMemory> JitterBuffer<M> {
    /// An empty buffer that uses `memory` and overwrites its content; `None` if `memory` has fewer or more slots and
    /// cells than the buffer can use.
    pub fn with_memory(mut memory: PacketMemory<M>) -> Option<Self> {
        if !memory.is_usable() {
            return None;
        }
        memory.slots.as_mut().fill(Slot::EMPTY);
        Some(Self::empty(memory))
    }

    /// In memory that is usable, and all whose slots are empty.
    #[inline(always)]
    pub(super) const fn empty(memory: PacketMemory<M>) -> Self {
        Self { memory, head: 0, tail: 0, occupied: 0, packets: 0, live: 0, next: None, newest: 0, begun: false }
    }

    /// Moves the buffer into other memory, with all packets and all that it remembers, and returns the memory that it
    /// had before.
    ///
    /// # Errors
    /// Returns `memory` itself, and changes nothing, if it has fewer slots or cells than the present memory, or more
    /// than the buffer can use.
    pub fn set_memory(&mut self, mut memory: PacketMemory<M>) -> Result<PacketMemory<M>, PacketMemory<M>> {
        let is_less = memory.slot_count() < self.memory.slot_count() || memory.cell_count() < self.memory.cell_count();
        if is_less || !memory.is_usable() {
            return Err(memory);
        }
        memory.slots.as_mut().fill(Slot::EMPTY);
        let before = core::mem::replace(&mut self.memory, memory);
        (self.head, self.tail, self.occupied, self.live, self.packets) = (0, 0, 0, 0, 0);
        let Some(next) = self.next else { return Ok(before) };
        let old = |extended: u32| &before.slots.as_ref()[extended as usize % before.slot_count()];
        for back in 1..=before.slot_count() as u32 {
            let extended = next.wrapping_sub(back);
            let slot = old(extended);
            if slot.fate.is_some() && slot.info.seq == Seq(extended as u16) {
                *self.slot_mut(extended) = *slot;
            }
        }
        for ahead in 0..=self.newest.wrapping_sub(next) {
            let slot = *old(next.wrapping_add(ahead));
            let payload = before.payload(&slot);
            // There is more room than before.
            let Some(Ok(first_cell)) = slot.used.then(|| self.store(payload)) else { continue };
            *self.slot_mut(next.wrapping_add(ahead)) = Slot { first_cell, ..slot };
            self.packets += 1;
        }
        Ok(before)
    }

    /// The place for the packet with this extended sequence number.
    fn slot(&self, extended: u32) -> &Slot {
        &self.memory.slots.as_ref()[extended as usize % self.memory.slot_count()]
    }

    fn slot_mut(&mut self, extended: u32) -> &mut Slot {
        let count = self.memory.slot_count();
        &mut self.memory.slots.as_mut()[extended as usize % count]
    }

    /// Puts a payload into cells; returns the first.
    fn store(&mut self, payload: &[u8]) -> Result<u16, PushError> {
        let first_cell = self.allocate(payload.len())?;
        let cells = self.memory.cells.as_mut().get_mut(first_cell..).unwrap_or_default();
        copy(part_mut(cells.as_flattened_mut(), 0, payload.len()), payload);
        Ok(first_cell as u16)
    }

    /// Number of packets in the buffer.
    pub const fn len(&self) -> usize {
        self.packets
    }

    /// Number of copies (RFC 2198) among the packets. It takes one step for each slot.
    pub fn copies(&self) -> usize {
        let is_copy = |slot: &&Slot| slot.used && slot.info.kind == PacketKind::Copy;
        self.memory.slots.as_ref().iter().filter(is_copy).count()
    }

    /// Length of the longest payload that fits, in bytes.
    pub fn longest(&self) -> usize {
        (self.memory.cell_count() * CELL_BYTES).min(usize::from(u16::MAX))
    }

    /// Whether the buffer holds no packet.
    pub const fn is_empty(&self) -> bool {
        self.packets == 0
    }

    /// Number of cells in use.
    pub const fn cells(&self) -> usize {
        self.live
    }

    /// Number of slots and number of cells.
    pub fn memory(&self) -> (usize, usize) {
        (self.memory.slot_count(), self.memory.cell_count())
    }

    /// Number of free cells.
    pub fn room(&self) -> usize {
        self.memory.cell_count() - self.occupied
    }

    /// Sequence number whose turn is next; `None` before the first packet.
    pub fn next_seq(&self) -> Option<Seq> {
        self.next.map(|next| Seq(next as u16))
    }

    /// Stores a packet, or a copy of one. The first packet after `new` or `reset` starts the sequence. Packets that
    /// were sent shortly before it and arrive later are still stored, until the first turn has passed.
    ///
    /// # Errors
    /// Returns a [`PushError`] that says why the packet was not stored. The buffer is unchanged then.
    pub fn push(&mut self, info: PacketInfo, payload: &[u8]) -> Result<(), PushError> {
        let extended = match self.next {
            None => u32::from(info.seq.0) + (1 << 16),
            Some(_) => self.newest.wrapping_add(i32::from(info.seq.distance(Seq(self.newest as u16))) as u32),
        };
        let ahead = self.next.map_or(0, |next| extended.wrapping_sub(next) as i32);
        let span = self.newest.wrapping_sub(self.next.unwrap_or(self.newest)) as usize;
        let early = !self.begun && span + ahead.unsigned_abs() as usize <= self.memory.slot_count() / 2;
        if ahead < 0 && !early {
            let last = self.slot(extended);
            return Err(match last.fate.filter(|_| last.info.seq == info.seq) {
                Some(Fate::Played | Fate::Noise | Fate::Recovered) => PushError::Duplicate,
                Some(Fate::Lost) => PushError::Late,
                _ => PushError::Old,
            });
        }
        if ahead >= self.memory.slot_count() as i32 {
            return Err(PushError::TooFarAhead);
        }
        if self.slot(extended).used {
            return Err(PushError::Duplicate);
        }
        let first_cell = self.store(payload)?;
        *self.slot_mut(extended) = Slot { info, first_cell, bytes: payload.len() as u16, used: true, fate: None };
        self.packets += 1;
        if ahead < 0 {
            self.next = Some(extended);
        }
        if self.next.is_none() {
            self.next = Some(extended);
            self.newest = extended;
        } else if extended.wrapping_sub(self.newest) as i32 > 0 {
            self.newest = extended;
        }
        Ok(())
    }

    /// The packet `offset` places after the next one, with its payload; `None` if it is missing.
    pub fn peek(&self, offset: usize) -> Option<(PacketInfo, &[u8])> {
        let next = self.next?;
        if offset >= self.memory.slot_count() {
            return None;
        }
        let slot = self.slot(next.wrapping_add(offset as u32));
        slot.used.then(|| (slot.info, self.memory.payload(slot)))
    }

    /// The payload of the packet `offset` places after the next one; empty where none is.
    pub(super) fn payload(&self, offset: usize) -> &[u8] {
        self.peek(offset).map_or(&[], |(_, payload)| payload)
    }

    /// What became of the stored packet with this sequence number; `None` while it waits for its turn. The answer is
    /// kept until another packet takes its slot, as many sequence numbers later as there are slots; from then on it is
    /// [`Fate::Discarded`], as for a packet that was dropped to make room.
    pub fn fate(&self, seq: Seq) -> Option<Fate> {
        let Some(next) = self.next else { return Some(Fate::Discarded) };
        let ahead = i32::from(seq.distance(Seq(next as u16)));
        let slot = self.slot(next.wrapping_add(ahead as u32));
        match slot.fate {
            _ if slot.info.seq != seq => Some(Fate::Discarded),
            None if slot.used => None,
            None => Some(Fate::Discarded),
            fate => fate,
        }
    }

    /// How many places after the next one the earliest packet lies whose timestamp says when it is to be heard: 0 if
    /// that is the next one.
    pub fn first_offset(&self) -> Option<usize> {
        if self.packets == 0 {
            return None;
        }
        let next = self.next?;
        let span = self.newest.wrapping_sub(next) as usize;
        let slot = |offset: usize| self.slot(next.wrapping_add(offset as u32));
        (0..=span).find(|&offset| slot(offset).used && slot(offset).info.kind.has_time())
    }

    /// The earliest packet whose timestamp says when it is to be heard: how many places after the next one it lies,
    /// what is known of it, and its payload.
    pub fn first(&self) -> Option<(usize, PacketInfo, &[u8])> {
        let offset = self.first_offset()?;
        self.peek(offset).map(|(info, payload)| (offset, info, payload))
    }

    /// Ends the turn of the next packet: takes it out, or gives it up if it is missing. Returns whether it was there.
    /// `fate` is kept, so that a packet with this number that comes later is known to be a duplicate or late.
    pub fn advance(&mut self, fate: Fate) -> bool {
        let Some(next) = self.next else { return false };
        self.begun = true;
        self.next = Some(next.wrapping_add(1));
        if next == self.newest {
            // Nothing newer was seen: the one that follows is the newest position from now on.
            self.newest = next.wrapping_add(1);
        }
        let slot = self.slot_mut(next);
        slot.fate = Some(fate);
        if !slot.used {
            slot.info.seq = Seq(next as u16);
            return false;
        }
        slot.used = false;
        let first = usize::from(slot.first_cell);
        self.packets -= 1;
        self.free(first);
        true
    }

    /// Forgets everything: the next packet starts a new sequence.
    pub fn reset(&mut self) {
        for slot in self.memory.slots.as_mut() {
            (slot.used, slot.fate) = (false, None);
        }
        self.head = 0;
        self.tail = 0;
        self.occupied = 0;
        self.packets = 0;
        self.live = 0;
        self.next = None;
        self.begun = false;
    }

    fn allocate(&mut self, bytes: usize) -> Result<usize, PushError> {
        let cells = self.memory.cell_count();
        let need = bytes.div_ceil(CELL_BYTES).max(1);
        if need > cells || bytes > usize::from(u16::MAX) {
            return Err(PushError::TooLong { bytes });
        }
        let to_end = cells - self.head;
        // A run is in one piece: if it doesn't fit before the end, what is left there is skipped.
        let skip = if need > to_end { to_end } else { 0 };
        if self.occupied + skip + need > cells {
            return Err(PushError::Full);
        }
        let runs = self.memory.runs.as_mut();
        if skip > 0 {
            set(runs, self.head, Run(skip as u16));
            self.occupied += skip;
            self.head = 0;
        }
        let first = self.head;
        set(runs, first, Run(need as u16 | Run::LIVE));
        self.live += need;
        self.occupied += need;
        self.head = round(first + need, cells);
        self.reclaim();
        Ok(first)
    }

    fn free(&mut self, first: usize) {
        let Some(run) = self.memory.runs.as_mut().get_mut(first) else { return };
        *run = Run(run.0 & !Run::LIVE);
        self.live -= run.cells();
        self.reclaim();
    }

    /// Moves the tail over runs that are no longer used. An early packet that waits holds up what arrived after it;
    /// `Full` then tells the owner to move on.
    fn reclaim(&mut self) {
        let (runs, count) = (self.memory.runs.as_ref(), self.memory.cell_count());
        while self.occupied > 0
            && let Some(run) = runs.get(self.tail).filter(|run| !run.is_live())
        {
            let cells = run.cells();
            self.occupied -= cells;
            self.tail = round(self.tail + cells, count);
        }
        if self.occupied == 0 {
            self.head = 0;
            self.tail = 0;
        }
    }
}

/// Notes a run at a cell that there is.
fn set(runs: &mut [Run], at: usize, run: Run) {
    debug_assert!(at < runs.len());
    if let Some(place) = runs.get_mut(at) {
        *place = run;
    }
}

/// A cell of `count`, behind the last of which comes the first; `at` goes round once at most.
fn round(at: usize, count: usize) -> usize {
    if at < count { at } else { at - count }
}

#[cfg(test)]
mod tests;

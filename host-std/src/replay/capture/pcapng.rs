//! pcapng (draft-ietf-opsawg-pcapng): sections in either byte order, interfaces with any resolution of the times, and
//! enhanced, simple and obsolete packet blocks. Any other block is passed over.

use std::io::{self, Read};

use super::blocks::{Blocks, Order, ReadOutcome};
use super::{CaptureError, Found, LONGEST_BLOCK, Packet, Sink, broken};

const SECTION: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
/// A section with more interfaces than this is no capture.
const MOST_INTERFACES: usize = 1 << 12;

/// A pcapng file.
pub(super) struct PcapNg {
    order: Order,
    interfaces: Vec<Interface>,
}

/// The description of an interface in pcapng.
#[derive(Clone, Copy)]
struct Interface {
    link: u16,
    /// Bytes of a packet that are kept at most; 0: all.
    snap_length: u32,
    /// Units a second of its times; 0: more than 64 bits hold.
    units: u64,
    offset_s: i64,
}

/// A packet block's fields, independent of their places in it.
struct Fields {
    interface: u32,
    ticks: Option<u64>,
    stored: u32,
    length: u32,
    /// The position at which the bytes of the packet begin.
    at: usize,
}

impl PcapNg {
    /// Returns whether a file that begins so is one.
    pub(super) fn begins(head: &[u8]) -> bool {
        head.starts_with(&SECTION)
    }

    /// Looks at the head of the first section, without reading on.
    pub(super) fn open<R: Read>(blocks: &Blocks<R>) -> Result<Self, CaptureError> {
        let head = blocks.beginning();
        let order = head.get(8..12).and_then(byte_order).ok_or(CaptureError::Header)?;
        if head.len() < 28 {
            return Err(CaptureError::Header);
        }
        Ok(Self { order, interfaces: Vec::new() })
    }

    pub(super) fn next<R: Read>(&mut self, blocks: &mut Blocks<R>, sink: &mut Sink<'_>) -> io::Result<Found> {
        let begin = blocks.at;
        let no_packet = "what follows is no packet";
        let not_whole = "the last packet is not whole";
        // The head is type and length, and in a section also the byte order: every block ends with its length again, so none is
        // shorter than that.
        let head = match blocks.head::<12>()? {
            ReadOutcome::Whole(head) => head,
            ReadOutcome::Short => return Ok(broken(sink.counts, begin, not_whole)),
            ReadOutcome::End => return Ok(Found::End),
        };
        let section = head.starts_with(&SECTION);
        if section {
            let Some(order) = byte_order(&head[8..]) else { return Ok(broken(sink.counts, begin, no_packet)) };
            self.order = order;
            self.interfaces.clear();
        }
        let word = |at| self.order.u32(&head, at).unwrap_or_default();
        // Some writers forget the padding in the length, not in the file.
        let (kind, length) = (word(0), (word(4) as usize).next_multiple_of(4));
        let Some(rest) = length.checked_sub(12) else { return Ok(broken(sink.counts, begin, no_packet)) };
        if length > LONGEST_BLOCK {
            return Ok(broken(sink.counts, begin, "a packet is longer than any network carries"));
        }
        if rest == 0 {
            // The four bytes after type and length are the length again.
            return Ok(Found::Other);
        }
        let order = self.order;
        let ReadOutcome::Whole(tail) = blocks.body(rest)? else { return Ok(broken(sink.counts, begin, not_whole)) };
        // The first four bytes of the body came with the head; the last four of the block are its length again.
        let body = Body { first: [head[8], head[9], head[10], head[11]], rest: &tail[..rest - 4], order };
        Ok(match kind {
            _ if section => Found::Other,
            1 => match self.interfaces.len() {
                MOST_INTERFACES => broken(sink.counts, begin, "more interfaces than a capture has"),
                _ => {
                    self.interfaces.extend(interface(&body));
                    Found::Other
                }
            },
            2 => self.packet(&body, Self::obsolete(&body), sink),
            3 => self.packet(&body, self.simple(&body), sink),
            6 => self.packet(&body, Self::enhanced(&body), sink),
            _ => Found::Other,
        })
    }

    fn enhanced(body: &Body<'_>) -> Option<Fields> {
        Some(Fields {
            interface: body.first(),
            ticks: Some(u64::from(body.u32(0)?) << 32 | u64::from(body.u32(4)?)),
            stored: body.u32(8)?,
            length: body.u32(12)?,
            at: 16,
        })
    }

    /// Reads the obsolete packet block (until 2009), in which the interface and a count of dropped packets share the first word.
    fn obsolete(body: &Body<'_>) -> Option<Fields> {
        let interface = body.order.u16(&body.first, 0)?.into();
        Some(Fields { interface, ..Self::enhanced(body)? })
    }

    /// One without a time, of the first interface.
    fn simple(&self, body: &Body<'_>) -> Option<Fields> {
        let length = body.first();
        let snap = self.interfaces.first().map_or(0, |interface| interface.snap_length);
        let kept = if snap == 0 { length } else { length.min(snap) };
        Some(Fields { interface: 0, ticks: None, stored: kept.min(body.rest.len() as u32), length, at: 0 })
    }

    fn packet(&self, body: &Body<'_>, fields: Option<Fields>, sink: &mut Sink<'_>) -> Found {
        let found = fields.and_then(|fields| {
            let interface = self.interfaces.get(fields.interface as usize)?;
            let bytes = body.rest.get(fields.at..)?.get(..fields.stored as usize)?;
            let time_us = fields.ticks.and_then(|ticks| interface.time_us(ticks));
            Some(Packet { link: interface.link, time_us, bytes, cut: fields.stored < fields.length })
        });
        match found {
            Some(packet) => {
                sink.counts.untimed += u64::from(packet.time_us.is_none());
                sink.packet(&packet)
            }
            None => sink.malformed(),
        }
    }
}

/// The content of a block: its first word, and the rest.
struct Body<'a> {
    first: [u8; 4],
    rest: &'a [u8],
    order: Order,
}

impl Body<'_> {
    fn first(&self) -> u32 {
        self.order.u32(&self.first, 0).unwrap_or_default()
    }

    /// Returns the word at offset `at` after the first word.
    fn u32(&self, at: usize) -> Option<u32> {
        self.order.u32(self.rest, at)
    }
}

fn byte_order(magic: &[u8]) -> Option<Order> {
    match magic {
        [0x1a, 0x2b, 0x3c, 0x4d] => Some(Order::Big),
        [0x4d, 0x3c, 0x2b, 0x1a] => Some(Order::Little),
        _ => None,
    }
}

/// Returns an interface description: link type, a reserved half, the snap length, options. Options that make no sense end the
/// list.
fn interface(body: &Body<'_>) -> Option<Interface> {
    let link = body.order.u16(&body.first, 0)?;
    let mut interface = Interface { link, snap_length: body.u32(0)?, units: 1_000_000, offset_s: 0 };
    let mut options = body.rest.get(4..).unwrap_or_default();
    while let (Some(code @ 1..), Some(length)) = (body.order.u16(options, 0), body.order.u16(options, 2)) {
        let length = usize::from(length);
        let Some(value) = options.get(4..4 + length) else { break };
        match (code, value) {
            (9, &[resolution, ..]) => interface.units = units(resolution),
            (14, value) => interface.offset_s = body.order.i64(value, 0).unwrap_or(0),
            _ => {}
        }
        options = options.get(4 + length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(interface)
}

impl Interface {
    fn time_us(&self, ticks: u64) -> Option<u64> {
        let micros = (u128::from(ticks) * 1_000_000).checked_div(u128::from(self.units))?;
        let micros = i128::try_from(micros).ok()? + i128::from(self.offset_s) * 1_000_000;
        // Times after the year 5000 are refused, so that no sum of times overflows.
        u64::try_from(micros).ok().filter(|micros| *micros < 1 << 57)
    }
}

/// Units a second of `if_tsresol`: a negative power of 10, or with the highest bit set of 2; 0 if there are too many.
fn units(resolution: u8) -> u64 {
    let power = u32::from(resolution & 0x7f);
    let base: u64 = if resolution & 0x80 == 0 { 10 } else { 2 };
    base.checked_pow(power).unwrap_or(0)
}

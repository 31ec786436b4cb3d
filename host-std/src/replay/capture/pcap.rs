//! pcap (draft-ietf-opsawg-pcap): both byte orders, micro- and nanoseconds, and the records of Linux's libpcap of old
//! that say the interface too.

use std::io::{self, Read};

use super::blocks::{Blocks, Order, ReadOutcome};
use super::{CaptureError, Found, LONGEST_BLOCK, Packet, Sink, broken};

/// A pcap file after its header.
pub(super) struct Pcap {
    order: Order,
    link: u16,
    nanoseconds: bool,
    modified: bool,
}

impl Pcap {
    /// Returns whether a file that begins so is one.
    pub(super) fn begins(head: &[u8]) -> bool {
        Self::magic(head).is_some()
    }

    fn magic(head: &[u8]) -> Option<Self> {
        let (order, nanoseconds, modified) = match head.first_chunk()? {
            [0xa1, 0xb2, 0xc3, 0xd4] => (Order::Big, false, false),
            [0xd4, 0xc3, 0xb2, 0xa1] => (Order::Little, false, false),
            [0xa1, 0xb2, 0x3c, 0x4d] => (Order::Big, true, false),
            [0x4d, 0x3c, 0xb2, 0xa1] => (Order::Little, true, false),
            [0xa1, 0xb2, 0xcd, 0x34] => (Order::Big, false, true),
            [0x34, 0xcd, 0xb2, 0xa1] => (Order::Little, false, true),
            _ => return None,
        };
        Some(Self { order, link: 0, nanoseconds, modified })
    }

    pub(super) fn open<R: Read>(blocks: &mut Blocks<R>) -> Result<Self, CaptureError> {
        let ReadOutcome::Whole(head) = blocks.head::<24>()? else { return Err(CaptureError::Header) };
        let pcap = Self::magic(&head).ok_or(CaptureError::Header)?;
        let network = pcap.order.u32(&head, 20).ok_or(CaptureError::Header)?;
        // The upper bits give the length of the checksum that follows each frame.
        Ok(Self { link: network as u16, ..pcap })
    }

    pub(super) fn next<R: Read>(&self, blocks: &mut Blocks<R>, sink: &mut Sink<'_>) -> io::Result<Found> {
        let begin = blocks.at;
        let head = match blocks.head::<16>()? {
            ReadOutcome::Whole(head) => head,
            ReadOutcome::Short => return Ok(broken(sink.counts, begin, "the last packet is not whole")),
            ReadOutcome::End => return Ok(Found::End),
        };
        let word = |at| self.order.u32(&head, at).unwrap_or_default();
        let (seconds, part, stored, length) = (word(0), u64::from(word(4)), word(8) as usize, word(12) as usize);
        if stored > LONGEST_BLOCK {
            return Ok(broken(sink.counts, begin, "a packet is longer than any network carries"));
        }
        // Interface, protocol, and the kind of the packet.
        let before = if self.modified { 8 } else { 0 };
        let ReadOutcome::Whole(body) = blocks.body(before + stored)? else {
            return Ok(broken(sink.counts, begin, "the last packet is not whole"));
        };
        let time_us = u64::from(seconds) * 1_000_000 + if self.nanoseconds { part / 1_000 } else { part };
        let packet = Packet { link: self.link, time_us: Some(time_us), bytes: &body[before..], cut: stored < length };
        Ok(sink.packet(&packet))
    }
}

//! Writing compound packets into the caller's buffer, packet by packet (RFC 3550, 6.1).

use core::fmt;

use super::report::BLOCK_LEN;
use super::{Feedback, MAX_COUNT, PADDING_BIT, ReportBlock, SdesItem, SenderInfo, VERSION, XrBlock, packet_type};
use crate::slices::{copy, part_mut, split_mut};
use crate::time::Ssrc;

/// Why a packet could not be added. What was written before is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum WriteError {
    /// The buffer is too small.
    OutputTooSmall {
        /// Bytes needed, with those that are written already.
        need: usize,
        /// Bytes that were given.
        got: usize,
    },
    /// There are this many blocks, chunks or sources, more than 31.
    TooMany(usize),
    /// A text is longer than 255 bytes, a body is not a multiple of 4 bytes, or a packet is longer than 4 * 65536
    /// bytes; this is its length.
    Length(usize),
    /// An item has the type 0, which ends a chunk, or a subtype is above 31.
    Field(u8),
    /// A packet would follow padding, or padding would have no packet before it.
    Padding,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::OutputTooSmall { need, got } => write!(f, "buffer of {got} bytes, {need} needed"),
            Self::TooMany(count) => write!(f, "{count} entries, a packet holds {MAX_COUNT}"),
            Self::Length(len) => write!(f, "a length of {len} bytes can't be written"),
            Self::Field(value) => write!(f, "field value {value} is out of range"),
            Self::Padding => write!(f, "padding goes behind the last packet, once"),
        }
    }
}

impl core::error::Error for WriteError {}

/// Builds a compound RTCP packet in a buffer of the caller, packet by packet (RFC 3550, 6.1). If a method fails, what
/// was written before is unchanged, so that a program may leave out an optional packet that does not fit. The order is
/// the caller's choice: a report first, then an SDES packet with the CNAME.
#[derive(Debug)]
pub struct CompoundWriter<'a> {
    out: &'a mut [u8],
    len: usize,
    last: Option<usize>,
    padded: bool,
}

impl<'a> CompoundWriter<'a> {
    /// A writer that begins at the front of `out`.
    pub const fn new(out: &'a mut [u8]) -> Self {
        Self { out, len: 0, last: None, padded: false }
    }

    /// Writes the header of a packet with `body_len` more bytes and gives the body, which the caller fills.
    fn packet(&mut self, packet_type: u8, count: usize, body_len: usize) -> Result<&mut [u8], WriteError> {
        if self.padded {
            return Err(WriteError::Padding);
        }
        if count > MAX_COUNT {
            return Err(WriteError::TooMany(count));
        }
        let words = u16::try_from(body_len / 4).map_err(|_| WriteError::Length(body_len))?;
        if !body_len.is_multiple_of(4) {
            return Err(WriteError::Length(body_len));
        }
        let (start, got) = (self.len, self.out.len());
        let need = start + 4 + body_len;
        let Some(packet) = self.out.get_mut(start..need) else {
            return Err(WriteError::OutputTooSmall { need, got });
        };
        let Some((header, body)) = packet.split_first_chunk_mut() else {
            return Err(WriteError::OutputTooSmall { need, got });
        };
        let [high, low] = words.to_be_bytes();
        *header = [VERSION << 6 | count as u8, packet_type, high, low];
        self.last = Some(start);
        self.len = need;
        Ok(body)
    }

    /// Adds a sender report.
    ///
    /// # Errors
    /// Returns a [`WriteError`] if there are more than 31 blocks, padding was written, or the packet does not fit.
    pub fn sender_report(&mut self, ssrc: Ssrc, info: &SenderInfo, blocks: &[ReportBlock]) -> Result<(), WriteError> {
        let body = self.packet(packet_type::SR, blocks.len(), 24 + BLOCK_LEN * blocks.len())?;
        let SenderInfo { ntp, rtp, packets, octets } = *info;
        let [seconds, fraction] = [(ntp.0 >> 32) as u32, ntp.0 as u32];
        let (words, _) = body.as_chunks_mut();
        for (to, word) in words.iter_mut().zip([ssrc.0, seconds, fraction, rtp.0, packets, octets]) {
            *to = word.to_be_bytes();
        }
        write_blocks(blocks, body.get_mut(24..).unwrap_or_default());
        Ok(())
    }

    /// Adds a receiver report.
    ///
    /// # Errors
    /// Returns a [`WriteError`] if there are more than 31 blocks, padding was written, or the packet does not fit.
    pub fn receiver_report(&mut self, ssrc: Ssrc, blocks: &[ReportBlock]) -> Result<(), WriteError> {
        let body = self.packet(packet_type::RR, blocks.len(), 4 + BLOCK_LEN * blocks.len())?;
        if let Some((head, rest)) = body.split_first_chunk_mut() {
            *head = ssrc.0.to_be_bytes();
            write_blocks(blocks, rest);
        }
        Ok(())
    }

    /// Adds a source description with the items of each source.
    ///
    /// # Errors
    /// Returns a [`WriteError`] if there are more than 31 chunks, an item has the type 0 or more than 255 bytes,
    /// padding was written, or the packet does not fit.
    pub fn sdes(&mut self, chunks: &[(Ssrc, &[SdesItem<'_>])]) -> Result<(), WriteError> {
        let mut body_len = 0;
        for (_, items) in chunks {
            let mut items_len = 0;
            for item in *items {
                if item.kind == 0 {
                    return Err(WriteError::Field(0));
                }
                if item.value.len() > usize::from(u8::MAX) {
                    return Err(WriteError::Length(item.value.len()));
                }
                items_len += 2 + item.value.len();
            }
            // At least one null ends the items; nulls fill the chunk to a word.
            body_len += 4 + (items_len + 1).next_multiple_of(4);
        }
        let mut body = self.packet(packet_type::SDES, chunks.len(), body_len)?;
        body.fill(0);
        for (ssrc, items) in chunks {
            let mut at = 4;
            copy(part_mut(body, 0, 4), &ssrc.0.to_be_bytes());
            for item in *items {
                let len = item.value.len();
                copy(part_mut(body, at, 2), &[item.kind, len as u8]);
                copy(part_mut(body, at + 2, len), item.value);
                at += 2 + len;
            }
            (_, body) = split_mut(body, (at + 1).next_multiple_of(4));
        }
        Ok(())
    }

    /// Adds a goodbye of the sources `ssrcs`, with a reason of at most 255 bytes.
    ///
    /// # Errors
    /// Returns a [`WriteError`] if there are more than 31 sources, the reason is longer than 255 bytes, padding was
    /// written, or the packet does not fit.
    pub fn bye(&mut self, ssrcs: &[Ssrc], reason: Option<&[u8]>) -> Result<(), WriteError> {
        let reason_len = match reason {
            Some(text) if text.len() > usize::from(u8::MAX) => return Err(WriteError::Length(text.len())),
            Some(text) => (1 + text.len()).next_multiple_of(4),
            None => 0,
        };
        let body = self.packet(packet_type::BYE, ssrcs.len(), 4 * ssrcs.len() + reason_len)?;
        let (list, rest) = body.split_at_mut(4 * ssrcs.len());
        for (slot, ssrc) in list.as_chunks_mut().0.iter_mut().zip(ssrcs) {
            *slot = ssrc.0.to_be_bytes();
        }
        if let Some(text) = reason {
            rest.fill(0);
            rest[0] = text.len() as u8;
            rest[1..=text.len()].copy_from_slice(text);
        }
        Ok(())
    }

    /// Adds an application-defined packet; `data` must be whole words of 32 bits.
    ///
    /// # Errors
    /// Returns a [`WriteError`] if the subtype is above 31, `data` is not whole words, padding was written, or the
    /// packet does not fit.
    pub fn app(&mut self, subtype: u8, ssrc: Ssrc, name: [u8; 4], data: &[u8]) -> Result<(), WriteError> {
        if usize::from(subtype) > MAX_COUNT {
            return Err(WriteError::Field(subtype));
        }
        let body = self.packet(packet_type::APP, usize::from(subtype), 8 + data.len())?;
        body[..4].copy_from_slice(&ssrc.0.to_be_bytes());
        body[4..8].copy_from_slice(&name);
        body[8..].copy_from_slice(data);
        Ok(())
    }

    /// Adds a feedback message (RFC 4585, 6.1).
    ///
    /// # Errors
    /// Returns a [`WriteError`] if a [`FeedbackMessage::Other`](super::FeedbackMessage::Other) is not whole words or
    /// has a format above 31, a bit rate is for more than 255 sources, padding was written, or the packet does not
    /// fit.
    pub fn feedback(&mut self, feedback: &Feedback<'_>) -> Result<(), WriteError> {
        let (packet_type, format, fci_len) = feedback.shape().ok_or(WriteError::TooMany(usize::from(u8::MAX) + 1))?;
        if usize::from(format) > MAX_COUNT {
            return Err(WriteError::Field(format));
        }
        feedback.write(self.packet(packet_type, format.into(), 8 + fci_len)?);
        Ok(())
    }

    /// Adds an extended report (RFC 3611, 2). The body of an [`XrBlock::Unknown`] must be whole words of 32 bits.
    ///
    /// # Errors
    /// Returns a [`WriteError`] if a block has another length, padding was written, or the packet does not fit.
    pub fn extended_report(&mut self, ssrc: Ssrc, blocks: &[XrBlock<'_>]) -> Result<(), WriteError> {
        if let Some(block) = blocks.iter().find(|block| !block.len().is_multiple_of(4)) {
            return Err(WriteError::Length(block.len()));
        }
        // A block that is too long for its own length field is so for the packet's.
        let body_len = 4 + blocks.iter().map(XrBlock::len).sum::<usize>();
        let body = self.packet(packet_type::XR, 0, body_len)?;
        let (head, mut rest) = body.split_at_mut(4);
        head.copy_from_slice(&ssrc.0.to_be_bytes());
        for block in blocks {
            let (slot, after) = rest.split_at_mut(block.len());
            block.write(slot);
            rest = after;
        }
        Ok(())
    }

    /// Adds a packet of any type with `body` behind its header, which must be whole words of 32 bits.
    ///
    /// # Errors
    /// Returns a [`WriteError`] if the count is above 31, `body` is not whole words, padding was written, or the
    /// packet does not fit.
    pub fn raw(&mut self, packet_type: u8, count: u8, body: &[u8]) -> Result<(), WriteError> {
        if usize::from(count) > MAX_COUNT {
            return Err(WriteError::Field(count));
        }
        self.packet(packet_type, usize::from(count), body.len())?.copy_from_slice(body);
        Ok(())
    }

    /// Pads the last packet by `count` bytes, a multiple of 4 and at most 252. No packet can be added afterwards.
    ///
    /// # Errors
    /// Returns a [`WriteError`] if the count is another, there is no packet, padding was written, or it does not fit.
    pub fn pad(&mut self, count: u8) -> Result<(), WriteError> {
        if count == 0 {
            return Ok(());
        }
        let Some(last) = self.last.filter(|_| !self.padded) else {
            return Err(WriteError::Padding);
        };
        if !count.is_multiple_of(4) {
            return Err(WriteError::Length(usize::from(count)));
        }
        let (need, got) = (self.len + usize::from(count), self.out.len());
        if need > got {
            return Err(WriteError::OutputTooSmall { need, got });
        }
        let words = u16::try_from((need - last) / 4 - 1).map_err(|_| WriteError::Length(need - last))?;
        self.out[self.len..need].fill(0);
        self.out[need - 1] = count;
        self.out[last] |= PADDING_BIT;
        self.out[last + 2..last + 4].copy_from_slice(&words.to_be_bytes());
        self.len = need;
        self.padded = true;
        Ok(())
    }

    /// Ends the datagram and returns its length in bytes.
    pub const fn finish(self) -> usize {
        self.len
    }
}

fn write_blocks(blocks: &[ReportBlock], out: &mut [u8]) {
    for (slot, block) in out.as_chunks_mut::<BLOCK_LEN>().0.iter_mut().zip(blocks) {
        *slot = block.to_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Compound, CompoundRule, Packet};
    use super::*;

    #[test]
    fn what_does_not_fit_leaves_the_rest_alone() {
        let mut out = [0xee; 20];
        let mut writer = CompoundWriter::new(&mut out);
        writer.receiver_report(Ssrc(1), &[]).unwrap();
        let items = [SdesItem { kind: SdesItem::CNAME, value: b"longer than it has room" }];
        assert_eq!(writer.sdes(&[(Ssrc(1), &items)]), Err(WriteError::OutputTooSmall { need: 44, got: 20 }));
        writer.bye(&[Ssrc(1)], Some(b"end")).unwrap();
        assert_eq!(writer.pad(4), Err(WriteError::OutputTooSmall { need: 24, got: 20 }));
        assert_eq!(writer.finish(), 20);
        let mut packets = Compound::parse(&out, CompoundRule::ReportFirst).unwrap().packets();
        assert!(matches!(packets.next(), Some(Ok(Packet::ReceiverReport(report))) if report.ssrc() == Ssrc(1)));
        assert!(matches!(packets.next(), Some(Ok(Packet::Bye(bye))) if bye.reason() == Some(b"end")));
        assert!(packets.next().is_none());
    }

    #[test]
    fn impossible_fields_are_refused() {
        let mut out = [0; 2000];
        let mut writer = CompoundWriter::new(&mut out);
        assert_eq!(writer.pad(4), Err(WriteError::Padding));
        assert_eq!(writer.receiver_report(Ssrc(1), &[ReportBlock::default(); 32]), Err(WriteError::TooMany(32)));
        assert_eq!(writer.bye(&[Ssrc(1)], Some(&[b'x'; 256])), Err(WriteError::Length(256)));
        assert_eq!(writer.app(32, Ssrc(1), *b"test", &[]), Err(WriteError::Field(32)));
        assert_eq!(writer.app(0, Ssrc(1), *b"test", &[1]), Err(WriteError::Length(9)));
        assert_eq!(writer.sdes(&[(Ssrc(1), &[SdesItem { kind: 0, value: b"" }])]), Err(WriteError::Field(0)));
        assert_eq!(writer.raw(205, 1, &[0; 262_144]), Err(WriteError::Length(262_144)));
        let block = |body| XrBlock::Unknown { block_type: 9, type_specific: 0, body };
        assert_eq!(writer.extended_report(Ssrc(1), &[block(&[1])]), Err(WriteError::Length(5)));
        assert_eq!(writer.extended_report(Ssrc(1), &[block(&[0; 262_140])]), Err(WriteError::Length(262_148)));
        writer.receiver_report(Ssrc(1), &[]).unwrap();
        assert_eq!(writer.pad(3), Err(WriteError::Length(3)));
        writer.pad(252).unwrap();
        assert_eq!(writer.pad(4), Err(WriteError::Padding));
        assert_eq!(writer.bye(&[], None), Err(WriteError::Padding));
        assert_eq!(writer.finish(), 260);
        assert!(Compound::parse(&out[..260], CompoundRule::ReportFirst).is_ok());
    }
}

//! Redundant audio data: earlier payloads in the packet of a later one (RFC 2198, 3).
//!
//! Use it to read and write such payloads; [`send::Redundancy`](crate::send::Redundancy) and a
//! [`Receiver`](crate::receive::Receiver) do so by themselves. [`RedPayload::parse`] checks every header and length
//! once and copies nothing. The blocks lie in the packet in their order, the primary last. [`write_red`] writes the
//! blocks that it is given, and refuses what the fields cannot hold: 14 bits of timestamp offset and 10 bits of
//! length. [`RedundancyHistory`] is the memory of a sender and leaves such blocks out, so that redundancy never costs
//! the primary.
//!
//! Offsets are in ticks of the RTP clock, lengths in bytes. Reading takes time in proportion to the blocks, writing a
//! copy of each payload.
//!
//! A packet that carries the payload before its own:
//!
//! ```
//! use dsp_core::time::{PayloadType, RtpTime};
//! use dsp_core::wire::red::{RedBlock, RedPayload, write_red};
//!
//! let before = RedBlock { payload_type: PayloadType::PCMU, timestamp_offset: 160, payload: &[1, 2, 3] };
//! let mut out = [0; 16];
//! let len = write_red(&[before], PayloadType::PCMU, &[4, 5, 6], &mut out)?;
//! // Four bytes of header for it, and one for the primary.
//! assert_eq!(len, 4 + 1 + 3 + 3);
//! let read = RedPayload::parse(&out[..len])?;
//! assert_eq!(read.primary().payload, [4, 5, 6]);
//! assert_eq!(read.redundant().next(), Some(before));
//! assert_eq!(before.timestamp(RtpTime(1_000)), RtpTime(840));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use core::fmt;

use crate::time::{PayloadType, RtpTime};

/// Greatest number of redundant blocks that are read or written in one packet.
pub const MAX_REDUNDANT_BLOCKS: usize = 16;
/// Greatest timestamp offset of a redundant block, in ticks of the RTP clock: the field has 14 bits.
pub const MAX_TIMESTAMP_OFFSET: u32 = (1 << 14) - 1;
/// Length of the longest redundant block, in bytes: the field has 10 bits.
pub const MAX_BLOCK_LEN: usize = (1 << 10) - 1;

/// Header of a redundant block in bytes.
const HEADER_LEN: usize = 4;
/// The F bit: another header follows.
const FOLLOWS_BIT: u8 = 0x80;

/// Why a payload is not redundant audio data. The packet should be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RedParseError {
    /// The payload ends within the headers.
    Headers {
        /// Bytes that the headers read so far need.
        need: usize,
        /// Bytes that were given.
        got: usize,
    },
    /// The redundant blocks reach beyond the payload.
    Blocks {
        /// Bytes that headers and redundant blocks need.
        need: usize,
        /// Bytes that were given.
        got: usize,
    },
    /// There are more than [`MAX_REDUNDANT_BLOCKS`] redundant blocks.
    TooMany,
}

impl fmt::Display for RedParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Headers { need, got } => write!(f, "{got} bytes, redundancy headers of at least {need} announced"),
            Self::Blocks { need, got } => write!(f, "{got} bytes, redundant blocks up to byte {need} announced"),
            Self::TooMany => write!(f, "more than {MAX_REDUNDANT_BLOCKS} redundant blocks"),
        }
    }
}

impl core::error::Error for RedParseError {}

/// Why redundant audio data could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RedWriteError {
    /// The buffer is too small.
    OutputTooSmall {
        /// Bytes needed.
        need: usize,
        /// Bytes that were given.
        got: usize,
    },
    /// There are this many redundant blocks, more than [`MAX_REDUNDANT_BLOCKS`].
    TooMany(usize),
    /// This timestamp offset is above [`MAX_TIMESTAMP_OFFSET`].
    TimestampOffset(u32),
    /// A redundant block has this length, longer than [`MAX_BLOCK_LEN`].
    BlockLength(usize),
}

impl fmt::Display for RedWriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::OutputTooSmall { need, got } => write!(f, "buffer of {got} bytes, {need} needed"),
            Self::TooMany(count) => write!(f, "{count} redundant blocks, {MAX_REDUNDANT_BLOCKS} are possible"),
            Self::TimestampOffset(ticks) => {
                write!(f, "redundancy of {ticks} ticks before, {MAX_TIMESTAMP_OFFSET} are possible")
            }
            Self::BlockLength(len) => write!(f, "redundant block of {len} bytes, {MAX_BLOCK_LEN} are possible"),
        }
    }
}

impl core::error::Error for RedWriteError {}

/// One block: the sound at an earlier time than the primary's, or the primary itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RedBlock<'a> {
    /// Payload type of the block's encoding.
    pub payload_type: PayloadType,
    /// How many ticks of the RTP clock the block begins before the packet's timestamp; 0 for the primary.
    pub timestamp_offset: u32,
    /// Payload of the block. It may be empty.
    pub payload: &'a [u8],
}

impl RedBlock<'_> {
    /// Timestamp of the block's first sample in a packet with `timestamp`.
    pub const fn timestamp(&self, timestamp: RtpTime) -> RtpTime {
        RtpTime(timestamp.0.wrapping_sub(self.timestamp_offset))
    }
}

/// A checked view of the payload of a packet with redundancy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedPayload<'a> {
    headers: &'a [[u8; HEADER_LEN]],
    /// The redundant payloads, one behind the other.
    redundant: &'a [u8],
    primary: RedBlock<'a>,
}

impl<'a> RedPayload<'a> {
    /// Checks all headers and lengths.
    ///
    /// # Errors
    /// Returns a [`RedParseError`] if the headers or the blocks reach beyond the payload, or there are too many
    /// blocks.
    pub fn parse(payload: &'a [u8]) -> Result<Self, RedParseError> {
        let got = payload.len();
        let (mut headers_len, mut redundant_len) = (0, 0);
        let last = loop {
            match *payload.get(headers_len..).unwrap_or_default() {
                [first, ..] if first & FOLLOWS_BIT == 0 => break first,
                _ if headers_len == HEADER_LEN * MAX_REDUNDANT_BLOCKS => return Err(RedParseError::TooMany),
                [_, _, high, low, ..] => redundant_len += block_len(high, low),
                // This header's rest, or the next one's first byte.
                [_, ..] => return Err(RedParseError::Headers { need: headers_len + HEADER_LEN + 1, got }),
                [] => return Err(RedParseError::Headers { need: headers_len + 1, got }),
            }
            headers_len += HEADER_LEN;
        };
        // The byte at `headers_len` is there: it ended the loop.
        let (headers, rest) = payload.split_at(headers_len);
        let Some((redundant, primary)) = rest[1..].split_at_checked(redundant_len) else {
            return Err(RedParseError::Blocks { need: headers_len + 1 + redundant_len, got });
        };
        let payload_type = PayloadType::from_low_bits(last);
        let primary = RedBlock { payload_type, timestamp_offset: 0, payload: primary };
        Ok(Self { headers: headers.as_chunks().0, redundant, primary })
    }

    /// The primary block: the sound of the packet's own time.
    pub const fn primary(&self) -> RedBlock<'a> {
        self.primary
    }

    /// The redundant blocks in the packet's order, at most [`MAX_REDUNDANT_BLOCKS`].
    pub fn redundant(&self) -> impl ExactSizeIterator<Item = RedBlock<'a>> + 'a {
        let mut rest = self.redundant;
        self.headers.iter().map(move |&[first, offset, middle, low]| {
            // `parse` found all lengths within the payload.
            let (payload, after) = rest.split_at_checked(block_len(middle, low)).unwrap_or_default();
            rest = after;
            RedBlock {
                payload_type: PayloadType::from_low_bits(first),
                timestamp_offset: u32::from(offset) << 6 | u32::from(middle >> 2),
                payload,
            }
        })
    }
}

/// The block length in the last two bytes of a header.
const fn block_len(middle: u8, low: u8) -> usize {
    (middle as usize & 3) << 8 | low as usize
}

/// Writes `redundant` in this order, and the primary behind it, to the front of `out`. Returns the length of the
/// payload.
///
/// # Errors
/// Returns a [`RedWriteError`] if there are too many blocks, an offset or a length does not fit into its field, or
/// `out` is too small.
pub fn write_red(
    redundant: &[RedBlock<'_>],
    primary_type: PayloadType,
    primary: &[u8],
    out: &mut [u8],
) -> Result<usize, RedWriteError> {
    if redundant.len() > MAX_REDUNDANT_BLOCKS {
        return Err(RedWriteError::TooMany(redundant.len()));
    }
    for block in redundant {
        if block.timestamp_offset > MAX_TIMESTAMP_OFFSET {
            return Err(RedWriteError::TimestampOffset(block.timestamp_offset));
        }
        if block.payload.len() > MAX_BLOCK_LEN {
            return Err(RedWriteError::BlockLength(block.payload.len()));
        }
    }
    let got = out.len();
    let need = redundant.iter().map(|block| HEADER_LEN + block.payload.len()).sum::<usize>() + 1 + primary.len();
    let Some(out) = out.get_mut(..need) else {
        return Err(RedWriteError::OutputTooSmall { need, got });
    };
    let (headers, rest) = out.split_at_mut(HEADER_LEN * redundant.len());
    let (last, mut rest) = rest.split_at_mut(1);
    for (header, block) in headers.as_chunks_mut::<HEADER_LEN>().0.iter_mut().zip(redundant) {
        let fields = block.timestamp_offset << 10 | block.payload.len() as u32;
        *header = (u32::from(FOLLOWS_BIT | block.payload_type.get()) << 24 | fields).to_be_bytes();
        let (slot, after) = rest.split_at_mut(block.payload.len());
        slot.copy_from_slice(block.payload);
        rest = after;
    }
    last[0] = primary_type.get();
    rest.copy_from_slice(primary);
    Ok(need)
}

/// A payload that was sent.
#[derive(Clone, Copy, Debug)]
struct Sent<const BYTES: usize> {
    payload_type: PayloadType,
    timestamp: RtpTime,
    len: usize,
    bytes: [u8; BYTES],
}

/// The last `BLOCKS` payloads of a sender, of at most `BYTES` bytes each, which are sent again with the next ones. For
/// each packet, [`write`](Self::write) the payload with its redundancy, and then [`push`](Self::push) it.
#[derive(Clone, Debug)]
pub struct RedundancyHistory<const BLOCKS: usize, const BYTES: usize> {
    /// A ring; `None` for a payload too long to be kept.
    sent: [Option<Sent<BYTES>>; BLOCKS],
    /// The oldest.
    next: usize,
}

impl<const BLOCKS: usize, const BYTES: usize> RedundancyHistory<BLOCKS, BYTES> {
    /// A history of a sender that has not sent anything.
    pub const fn new() -> Self {
        const {
            assert!(BLOCKS >= 1 && BLOCKS <= MAX_REDUNDANT_BLOCKS, "1 to 16 redundant blocks");
            assert!(BYTES <= MAX_BLOCK_LEN, "a redundant block has at most 1023 bytes");
        }
        Self { sent: [None; BLOCKS], next: 0 }
    }

    /// Forgets everything, because the stream's clock or format changed.
    pub fn clear(&mut self) {
        self.sent.iter_mut().for_each(|slot| *slot = None);
    }

    /// Keeps a copy of a payload in place of the oldest one. A payload that is empty or longer than `BYTES` takes its
    /// place without content.
    pub fn push(&mut self, payload_type: PayloadType, timestamp: RtpTime, payload: &[u8]) {
        let slot = &mut self.sent[self.next];
        self.next = (self.next + 1) % BLOCKS;
        let fits = (1..=BYTES).contains(&payload.len());
        *slot = fits.then(|| {
            let mut bytes = [0; BYTES];
            bytes[..payload.len()].copy_from_slice(payload);
            Sent { payload_type, timestamp, len: payload.len(), bytes }
        });
    }

    /// Writes `payload` as primary, with at most `most` of the newest payloads before it, oldest first, to the front
    /// of `out`. Returns the length.
    ///
    /// Payloads that are not earlier than `timestamp`, or too early for the field, are left out, and then the oldest
    /// until the rest fits into `out`.
    ///
    /// # Errors
    /// Returns [`RedWriteError::OutputTooSmall`] if the primary alone does not fit.
    pub fn write(
        &self,
        most: usize,
        payload_type: PayloadType,
        timestamp: RtpTime,
        payload: &[u8],
        out: &mut [u8],
    ) -> Result<usize, RedWriteError> {
        let nothing = RedBlock { payload_type, timestamp_offset: 0, payload: &[] };
        let (mut blocks, mut count) = ([nothing; BLOCKS], 0);
        let mut room = out.len().saturating_sub(1 + payload.len());
        // From the youngest back: what is too much is the oldest.
        for back in 1..=most.min(BLOCKS) {
            let Some(sent) = &self.sent[(self.next + BLOCKS - back) % BLOCKS] else { continue };
            let timestamp_offset = timestamp.0.wrapping_sub(sent.timestamp.0);
            if !(1..=MAX_TIMESTAMP_OFFSET).contains(&timestamp_offset) {
                continue;
            }
            let Some(left) = room.checked_sub(HEADER_LEN + sent.len) else { break };
            room = left;
            count += 1;
            let (payload_type, payload) = (sent.payload_type, &sent.bytes[..sent.len]);
            blocks[BLOCKS - count] = RedBlock { payload_type, timestamp_offset, payload };
        }
        write_red(&blocks[BLOCKS - count..], payload_type, payload, out)
    }
}

impl<const BLOCKS: usize, const BYTES: usize> Default for RedundancyHistory<BLOCKS, BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const LPC: PayloadType = PayloadType::from_low_bits(7);
    const DVI4: PayloadType = PayloadType::from_low_bits(5);

    /// RFC 2198, 7: DVI4 of 84 bytes with one block of LPC, 14 bytes, 20 ms at 8 kHz before it.
    #[test]
    fn the_example_of_section_7() {
        let (redundancy, primary) = ([0x1c; 14], [0xd4; 84]);
        let block = RedBlock { payload_type: LPC, timestamp_offset: 160, payload: &redundancy };
        let mut out = [0; 103];
        assert_eq!(write_red(&[block], DVI4, &primary, &mut out), Ok(103));
        // |1| PT=7 | 160 in 14 bits | 14 in 10 bits |, |0| PT=5 |, bit by bit.
        assert_eq!(out[..5], [0b1000_0111, 0b0000_0010, 0b1000_0000, 0b0000_1110, 0b0000_0101]);
        assert_eq!((&out[5..19], &out[19..]), (&redundancy[..], &primary[..]));

        let red = RedPayload::parse(&out).unwrap();
        assert!(red.redundant().eq([block]));
        assert_eq!(red.primary(), RedBlock { payload_type: DVI4, timestamp_offset: 0, payload: &primary });
        assert_eq!(red.redundant().next().unwrap().timestamp(RtpTime(100)), RtpTime(100u32.wrapping_sub(160)));
        for len in 0..19 {
            let error = RedPayload::parse(&out[..len]).unwrap_err();
            let expected = match len {
                0 => RedParseError::Headers { need: 1, got: 0 },
                1..4 => RedParseError::Headers { need: 5, got: len },
                4 => RedParseError::Headers { need: 5, got: 4 },
                _ => RedParseError::Blocks { need: 19, got: len },
            };
            assert_eq!(error, expected, "{len}");
        }
        // An empty primary is well formed.
        assert!(RedPayload::parse(&out[..19]).is_ok_and(|red| red.primary().payload.is_empty()));
        assert!(RedPayload::parse(&[5]).is_ok_and(|red| red.redundant().len() == 0));
    }

    #[test]
    fn too_much_is_refused() {
        let block = RedBlock { payload_type: LPC, timestamp_offset: 1, payload: &[] };
        let mut out = [0; 2000];
        let mut write = |blocks: &[RedBlock<'_>]| write_red(blocks, DVI4, &[9], &mut out);
        assert_eq!(write(&[block; 17]), Err(RedWriteError::TooMany(17)));
        assert_eq!(
            write(&[RedBlock { timestamp_offset: 16_384, ..block }]),
            Err(RedWriteError::TimestampOffset(16_384))
        );
        assert_eq!(write(&[RedBlock { payload: &[0; 1024], ..block }]), Err(RedWriteError::BlockLength(1024)));
        assert_eq!(write(&[RedBlock { timestamp_offset: 16_383, payload: &[0; 1023], ..block }]), Ok(1029));
        assert_eq!(write(&[block; 16]), Ok(66));
        assert_eq!(RedPayload::parse(&out[..66]).unwrap().redundant().len(), 16);
        assert_eq!(
            write_red(&[block], DVI4, &[9], &mut [0; 5]),
            Err(RedWriteError::OutputTooSmall { need: 6, got: 5 })
        );

        let mut many = [block; 17].iter().flat_map(|_| [0x87, 0, 0, 0]).collect::<Vec<u8>>();
        many.push(5);
        assert_eq!(RedPayload::parse(&many), Err(RedParseError::TooMany));
        assert!(RedPayload::parse(&many[4..]).is_ok());
    }

    #[test]
    fn history_leaves_out_what_cannot_be_sent() {
        fn blocks(out: &[u8]) -> Vec<(u32, usize)> {
            let red = RedPayload::parse(out).unwrap();
            red.redundant().map(|block| (block.timestamp_offset, block.payload.len())).collect()
        }
        let (mut history, mut out) = (RedundancyHistory::<3, 40>::new(), [0; 200]);
        let mut send = |history: &RedundancyHistory<3, 40>, timestamp, room: usize| {
            let len = history.write(3, DVI4, RtpTime(timestamp), &[1; 10], &mut out[..room]).unwrap();
            blocks(&out[..len])
        };
        assert_eq!(send(&history, 0, 200), []);
        for (timestamp, len) in [(u32::MAX - 159, 10), (0, 20), (160, 30), (320, 40)] {
            history.push(LPC, RtpTime(timestamp), &[2; 40][..len]);
        }
        assert_eq!(send(&history, 480, 200), [(480, 20), (320, 30), (160, 40)]);
        // The oldest give way to the buffer's end: 11 bytes of primary, 44 and 34 of redundancy.
        assert_eq!(send(&history, 480, 89), [(320, 30), (160, 40)]);
        assert_eq!(send(&history, 480, 88), [(160, 40)]);
        assert_eq!(send(&history, 480, 11), []);
        // No more than is asked for.
        let mut newest = [0; 200];
        let len = history.write(1, DVI4, RtpTime(480), &[1; 10], &mut newest).unwrap();
        assert_eq!(blocks(&newest[..len]), [(160, 40)]);
        let error = history.write(3, DVI4, RtpTime(480), &[1; 10], &mut [0; 10]);
        assert_eq!(error, Err(RedWriteError::OutputTooSmall { need: 11, got: 10 }));
        // After a pause, of the same time, and of a time to come.
        assert_eq!(send(&history, 16_383 + 160, 200), [(16_383, 30), (16_223, 40)]);
        assert_eq!(send(&history, 160, 200), [(160, 20)]);
        // A payload that is too long ages the others all the same.
        history.push(LPC, RtpTime(480), &[2; 41]);
        assert_eq!(send(&history, 640, 200), [(480, 30), (320, 40)]);
        history.clear();
        assert_eq!(send(&history, 640, 200), []);
    }
}

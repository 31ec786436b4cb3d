//! Extended reports (RFC 3611): the packet and its report blocks, read and written.
//!
//! Use it for blocks that [`RtcpReporter`](crate::rtcp::RtcpReporter), which exchanges VoIP metrics and round-trip
//! times, does not handle. [`Xr`] has blocks whose lengths are consistent. [`XrBlock`] is one of them, for the seven
//! types of clause 4. A block of another type, or one that breaks its own definition, is [`XrBlock::Unknown`] with its
//! bytes, and should be ignored, as RFC 3611 asks. Times are NTP times or in 1/65536 s, jitter is in ticks of the RTP
//! clock. Reading and writing cost time in proportion to the bytes.
//!
//! A receiver that sends no sound reports its wall clock, so that its round trip can be measured:
//!
//! ```
//! use dsp_core::time::{NtpTime, Ssrc};
//! use dsp_core::wire::rtcp::{Compound, CompoundRule, CompoundWriter, Packet, XrBlock};
//!
//! let time = XrBlock::ReceiverReferenceTime(NtpTime::from_unix_micros(1_000_000));
//! let mut room = [0; 60];
//! let mut writer = CompoundWriter::new(&mut room);
//! writer.receiver_report(Ssrc(2), &[])?;
//! writer.extended_report(Ssrc(2), &[time])?;
//! let len = writer.finish();
//! let compound = Compound::parse(&room[..len], CompoundRule::ReportFirst)?;
//! let Some(Ok(Packet::Xr(report))) = compound.packets().nth(1) else { return Err("no extended report".into()) };
//! assert!(report.blocks().eq([time]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::time::{NtpTime, Seq, Ssrc};

use super::voip_metrics::VoipMetrics;

/// Block type numbers (RFC 3611, 4).
pub mod block_type {
    /// Which packets were lost.
    pub const LOSS_RLE: u8 = 1;
    /// Which packets came twice.
    pub const DUPLICATE_RLE: u8 = 2;
    /// When packets arrived.
    pub const RECEIPT_TIMES: u8 = 3;
    /// The wall clock of a participant that sends no media.
    pub const RECEIVER_REFERENCE_TIME: u8 = 4;
    /// The answer to a reference time.
    pub const DLRR: u8 = 5;
    /// Loss, duplicates, jitter and TTL over a range of packets.
    pub const STATISTICS_SUMMARY: u8 = 6;
    /// Loss, delay, levels and quality of a call.
    pub const VOIP_METRICS: u8 = 7;
}

/// Bytes of a block's header.
const HEADER_LEN: usize = 4;
/// Bytes in front of the chunks or times of the first three blocks.
const RANGE_LEN: usize = 8;
const SUMMARY_LEN: usize = 36;

/// A checked view of an extended report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Xr<'a> {
    ssrc: Ssrc,
    blocks: &'a [u8],
}

/// Splits the first block, type, type-specific byte and body, from what follows it; `None` if it isn't whole.
fn next_block(bytes: &[u8]) -> Option<(u8, u8, &[u8], &[u8])> {
    let (&[kind, specific, high, low], rest) = bytes.split_first_chunk()?;
    let (body, rest) = rest.split_at_checked(4 * usize::from(u16::from_be_bytes([high, low])))?;
    Some((kind, specific, body, rest))
}

impl<'a> Xr<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let (&ssrc, blocks) = body.split_first_chunk()?;
        let mut rest = blocks;
        while !rest.is_empty() {
            (_, _, _, rest) = next_block(rest)?;
        }
        Some(Self { ssrc: Ssrc(u32::from_be_bytes(ssrc)), blocks })
    }

    /// SSRC of the sender of the report.
    pub const fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// The report blocks in their order.
    pub fn blocks(&self) -> impl Iterator<Item = XrBlock<'a>> + 'a {
        let mut rest = self.blocks;
        core::iter::from_fn(move || {
            let (kind, specific, body, after) = next_block(rest)?;
            rest = after;
            Some(XrBlock::parse(kind, specific, body))
        })
    }
}

/// One report block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum XrBlock<'a> {
    /// Which packets were lost (4.1).
    LossRle(RunLengths<'a>),
    /// Which packets came twice (4.2). The bit is set for those that did not.
    DuplicateRle(RunLengths<'a>),
    /// When packets arrived (4.3).
    ReceiptTimes(ReceiptTimes<'a>),
    /// Wall clock time at which the block was sent (4.4).
    ReceiverReferenceTime(NtpTime),
    /// Answers to reference times (4.5).
    Dlrr(Dlrr<'a>),
    /// Statistics of a range of packets (4.6).
    StatisticsSummary(StatisticsSummary),
    /// VoIP metrics of a call (4.7).
    VoipMetrics(VoipMetrics),
    /// A block of another type, or one that breaks its definition.
    Unknown {
        /// Block type.
        block_type: u8,
        /// The byte beside the block type.
        type_specific: u8,
        /// What follows the block's header: whole 32-bit words.
        body: &'a [u8],
    },
}

impl<'a> XrBlock<'a> {
    fn parse(block_type: u8, type_specific: u8, body: &'a [u8]) -> Self {
        let block = match block_type {
            block_type::LOSS_RLE => RunLengths::parse(type_specific, body).map(Self::LossRle),
            block_type::DUPLICATE_RLE => RunLengths::parse(type_specific, body).map(Self::DuplicateRle),
            block_type::RECEIPT_TIMES => ReceiptTimes::parse(type_specific, body).map(Self::ReceiptTimes),
            block_type::RECEIVER_REFERENCE_TIME => {
                <[u8; 8]>::try_from(body).ok().map(|ntp| Self::ReceiverReferenceTime(NtpTime(u64::from_be_bytes(ntp))))
            }
            block_type::DLRR => Dlrr::parse(body).map(Self::Dlrr),
            block_type::STATISTICS_SUMMARY => {
                StatisticsSummary::parse(type_specific, body).map(Self::StatisticsSummary)
            }
            block_type::VOIP_METRICS => VoipMetrics::parse(body).map(Self::VoipMetrics),
            _ => None,
        };
        block.unwrap_or(Self::Unknown { block_type, type_specific, body })
    }

    /// Bytes that it takes in a packet, with its header.
    pub(super) const fn len(&self) -> usize {
        HEADER_LEN
            + match self {
                Self::LossRle(runs) | Self::DuplicateRle(runs) => {
                    RANGE_LEN + (2 * runs.chunks.len()).next_multiple_of(4)
                }
                Self::ReceiptTimes(times) => RANGE_LEN + 4 * times.times.len(),
                Self::ReceiverReferenceTime(_) => 8,
                Self::Dlrr(dlrr) => DlrrItem::LEN * dlrr.items.len(),
                Self::StatisticsSummary(_) => SUMMARY_LEN,
                Self::VoipMetrics(_) => VoipMetrics::LEN,
                Self::Unknown { body, .. } => body.len(),
            }
    }

    const fn type_bytes(&self) -> [u8; 2] {
        match *self {
            Self::LossRle(ref runs) => [block_type::LOSS_RLE, runs.range.thinning & 0x0f],
            Self::DuplicateRle(ref runs) => [block_type::DUPLICATE_RLE, runs.range.thinning & 0x0f],
            Self::ReceiptTimes(ref times) => [block_type::RECEIPT_TIMES, times.range.thinning & 0x0f],
            Self::ReceiverReferenceTime(_) => [block_type::RECEIVER_REFERENCE_TIME, 0],
            Self::Dlrr(_) => [block_type::DLRR, 0],
            Self::StatisticsSummary(ref summary) => [block_type::STATISTICS_SUMMARY, summary.flags()],
            Self::VoipMetrics(_) => [block_type::VOIP_METRICS, 0],
            Self::Unknown { block_type, type_specific, .. } => [block_type, type_specific],
        }
    }

    /// Writes the block; `out` has exactly [`len`](Self::len) bytes.
    pub(super) fn write(&self, out: &mut [u8]) {
        let words = ((out.len() - HEADER_LEN) / 4) as u16;
        let (header, body) = out.split_at_mut(HEADER_LEN);
        header[..2].copy_from_slice(&self.type_bytes());
        header[2..].copy_from_slice(&words.to_be_bytes());
        match self {
            Self::LossRle(runs) | Self::DuplicateRle(runs) => {
                let (range, chunks) = body.split_at_mut(RANGE_LEN);
                range.copy_from_slice(&runs.range.to_bytes());
                // A null chunk fills the last word.
                chunks.fill(0);
                chunks[..2 * runs.chunks.len()].copy_from_slice(runs.chunks.as_flattened());
            }
            Self::ReceiptTimes(times) => {
                body[..RANGE_LEN].copy_from_slice(&times.range.to_bytes());
                body[RANGE_LEN..].copy_from_slice(times.times.as_flattened());
            }
            Self::ReceiverReferenceTime(ntp) => body.copy_from_slice(&ntp.0.to_be_bytes()),
            Self::Dlrr(dlrr) => body.copy_from_slice(dlrr.items.as_flattened()),
            Self::StatisticsSummary(summary) => body.copy_from_slice(&summary.to_bytes()),
            Self::VoipMetrics(metrics) => body.copy_from_slice(&metrics.to_bytes()),
            Self::Unknown { body: bytes, .. } => body.copy_from_slice(bytes),
        }
    }
}

/// Packets that a block is about (4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PacketRange {
    /// Only packets whose sequence number is a multiple of 2^thinning are reported; 0 to 15.
    pub thinning: u8,
    /// SSRC of the source.
    pub ssrc: Ssrc,
    /// First sequence number.
    pub begin_seq: Seq,
    /// Last sequence number plus one.
    pub end_seq: Seq,
}

impl PacketRange {
    fn parse(type_specific: u8, body: &[u8]) -> Option<(Self, &[u8])> {
        let (&[a, b, c, d, begin_high, begin_low, end_high, end_low], rest) = body.split_first_chunk()?;
        let range = Self {
            thinning: type_specific & 0x0f,
            ssrc: Ssrc(u32::from_be_bytes([a, b, c, d])),
            begin_seq: Seq(u16::from_be_bytes([begin_high, begin_low])),
            end_seq: Seq(u16::from_be_bytes([end_high, end_low])),
        };
        Some((range, rest))
    }

    const fn to_bytes(self) -> [u8; RANGE_LEN] {
        let [a, b, c, d] = self.ssrc.0.to_be_bytes();
        let ([e, f], [g, h]) = (self.begin_seq.0.to_be_bytes(), self.end_seq.0.to_be_bytes());
        [a, b, c, d, e, f, g, h]
    }
}

/// One chunk of a run length block (4.1.1-4.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Chunk {
    /// The end of the chunks, or the filling of the last word.
    Null,
    /// The same bit several times.
    Run {
        /// Value of the bit.
        set: bool,
        /// Number of times, 1 to 16,383.
        len: u16,
    },
    /// 15 bits; that of the first packet is bit 14.
    Bits(u16),
}

impl Chunk {
    /// Reads the two bytes of a chunk.
    pub const fn from_bytes(bytes: [u8; 2]) -> Self {
        match u16::from_be_bytes(bytes) {
            0 => Self::Null,
            bits @ 0x8000.. => Self::Bits(bits & 0x7fff),
            run => Self::Run { set: run & 0x4000 != 0, len: run & 0x3fff },
        }
    }

    /// The two bytes of the chunk. A longer run is cut to 14 bits, a longer vector to 15.
    pub const fn to_bytes(self) -> [u8; 2] {
        match self {
            Self::Null => [0; 2],
            Self::Run { set, len } => ((set as u16) << 14 | len & 0x3fff).to_be_bytes(),
            Self::Bits(bits) => (0x8000 | bits & 0x7fff).to_be_bytes(),
        }
    }
}

/// One bit for each packet of a range, in chunks (4.1, 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunLengths<'a> {
    /// Range of packets.
    pub range: PacketRange,
    chunks: &'a [[u8; 2]],
}

impl<'a> RunLengths<'a> {
    /// A block with these chunks, as [`Chunk::to_bytes`] gives them.
    pub const fn new(range: PacketRange, chunks: &'a [[u8; 2]]) -> Self {
        Self { range, chunks }
    }

    fn parse(type_specific: u8, body: &'a [u8]) -> Option<Self> {
        let (range, chunks) = PacketRange::parse(type_specific, body)?;
        Some(Self { range, chunks: chunks.as_chunks().0 })
    }

    /// Chunks of the block, including a null chunk at the end.
    pub fn chunks(&self) -> impl ExactSizeIterator<Item = Chunk> + 'a {
        self.chunks.iter().map(|&bytes| Chunk::from_bytes(bytes))
    }
}

/// Arrival times of the packets of a range (4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiptTimes<'a> {
    /// Range of packets.
    pub range: PacketRange,
    times: &'a [[u8; 4]],
}

impl<'a> ReceiptTimes<'a> {
    /// A block with these times in ticks of the RTP clock, in network byte order.
    pub const fn new(range: PacketRange, times: &'a [[u8; 4]]) -> Self {
        Self { range, times }
    }

    fn parse(type_specific: u8, body: &'a [u8]) -> Option<Self> {
        let (range, times) = PacketRange::parse(type_specific, body)?;
        Some(Self { range, times: times.as_chunks().0 })
    }

    /// Arrival times in ticks of the RTP clock.
    pub fn times(&self) -> impl ExactSizeIterator<Item = u32> + 'a {
        self.times.iter().map(|&time| u32::from_be_bytes(time))
    }
}

/// The answer to the reference time of one receiver (4.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DlrrItem {
    /// SSRC of the receiver.
    pub ssrc: Ssrc,
    /// Middle 32 bits of its reference time; 0 if there was none.
    pub last_rr: u32,
    /// Time from the arrival of that block to the sending of this one, in 1/65536 s.
    pub delay_since_last_rr: u32,
}

impl DlrrItem {
    /// Length of an item in the packet, in bytes.
    pub const LEN: usize = 12;

    const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
        Self {
            ssrc: Ssrc(u32::from_be_bytes([a, b, c, d])),
            last_rr: u32::from_be_bytes([e, f, g, h]),
            delay_since_last_rr: u32::from_be_bytes([i, j, k, l]),
        }
    }

    /// The bytes of the item.
    pub const fn to_bytes(self) -> [u8; Self::LEN] {
        let [a, b, c, d] = self.ssrc.0.to_be_bytes();
        let ([e, f, g, h], [i, j, k, l]) = (self.last_rr.to_be_bytes(), self.delay_since_last_rr.to_be_bytes());
        [a, b, c, d, e, f, g, h, i, j, k, l]
    }
}

/// Answers to the reference times of several receivers (4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dlrr<'a> {
    items: &'a [[u8; DlrrItem::LEN]],
}

impl<'a> Dlrr<'a> {
    /// A block with these items, as [`DlrrItem::to_bytes`] gives them.
    pub const fn new(items: &'a [[u8; DlrrItem::LEN]]) -> Self {
        Self { items }
    }

    fn parse(body: &'a [u8]) -> Option<Self> {
        let (items, rest) = body.as_chunks();
        rest.is_empty().then_some(Self { items })
    }

    /// Answers in the block.
    pub fn items(&self) -> impl ExactSizeIterator<Item = DlrrItem> + 'a {
        self.items.iter().map(|&bytes| DlrrItem::from_bytes(bytes))
    }
}

/// Smallest value, largest value, mean and standard deviation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Spread<T> {
    /// Smallest.
    pub min: T,
    /// Largest.
    pub max: T,
    /// Mean.
    pub mean: T,
    /// Standard deviation.
    pub deviation: T,
}

/// Time to live (IPv4) or hop limit (IPv6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum HopCount {
    /// IPv4 time to live.
    Ttl(Spread<u8>),
    /// IPv6 hop limit.
    HopLimit(Spread<u8>),
}

/// Statistics of a range of packets (4.6). A field that is not reported is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct StatisticsSummary {
    /// SSRC of the source.
    pub ssrc: Ssrc,
    /// First sequence number.
    pub begin_seq: Seq,
    /// Last sequence number plus one.
    pub end_seq: Seq,
    /// Packets lost.
    pub lost: Option<u32>,
    /// Packets that came more than once.
    pub duplicates: Option<u32>,
    /// Relative transit time between two packets, in ticks of the RTP clock.
    pub jitter: Option<Spread<u32>>,
    /// Time to live or hop limit.
    pub hops: Option<HopCount>,
}

impl StatisticsSummary {
    const LOST: u8 = 0x80;
    const DUPLICATES: u8 = 0x40;
    const JITTER: u8 = 0x20;
    const TTL: u8 = 0x08;
    const HOP_LIMIT: u8 = 0x10;

    const fn flags(&self) -> u8 {
        let hops = match self.hops {
            None => 0,
            Some(HopCount::Ttl(_)) => Self::TTL,
            Some(HopCount::HopLimit(_)) => Self::HOP_LIMIT,
        };
        (if self.lost.is_some() { Self::LOST } else { 0 })
            | (if self.duplicates.is_some() { Self::DUPLICATES } else { 0 })
            | (if self.jitter.is_some() { Self::JITTER } else { 0 })
            | hops
    }

    fn parse(flags: u8, body: &[u8]) -> Option<Self> {
        let body = <&[u8; SUMMARY_LEN]>::try_from(body).ok()?;
        let (range, _) = PacketRange::parse(0, body)?;
        let (words, _) = body.as_chunks::<4>();
        let word = |index: usize| u32::from_be_bytes(words[index]);
        let jitter = Spread { min: word(4), max: word(5), mean: word(6), deviation: word(7) };
        let [min, max, mean, deviation] = words[8];
        let hops = Spread { min, max, mean, deviation };
        let summary = Self {
            ssrc: range.ssrc,
            begin_seq: range.begin_seq,
            end_seq: range.end_seq,
            lost: (flags & Self::LOST != 0).then_some(word(2)),
            duplicates: (flags & Self::DUPLICATES != 0).then_some(word(3)),
            jitter: (flags & Self::JITTER != 0).then_some(jitter),
            hops: match flags & (Self::TTL | Self::HOP_LIMIT) {
                0 => None,
                Self::TTL => Some(HopCount::Ttl(hops)),
                Self::HOP_LIMIT => Some(HopCount::HopLimit(hops)),
                _ => return None,
            },
        };
        // What is flagged as unreported must be zero, or the block be ignored.
        (summary.to_bytes() == *body).then_some(summary)
    }

    fn to_bytes(self) -> [u8; SUMMARY_LEN] {
        let range = PacketRange { thinning: 0, ssrc: self.ssrc, begin_seq: self.begin_seq, end_seq: self.end_seq };
        let jitter = self.jitter.unwrap_or_default();
        let (HopCount::Ttl(hops) | HopCount::HopLimit(hops)) = self.hops.unwrap_or(HopCount::Ttl(Spread::default()));
        let words = [
            self.lost.unwrap_or(0),
            self.duplicates.unwrap_or(0),
            jitter.min,
            jitter.max,
            jitter.mean,
            jitter.deviation,
            u32::from_be_bytes([hops.min, hops.max, hops.mean, hops.deviation]),
        ];
        let mut bytes = [0; SUMMARY_LEN];
        let (head, tail) = bytes.split_at_mut(RANGE_LEN);
        head.copy_from_slice(&range.to_bytes());
        for (slot, word) in tail.as_chunks_mut().0.iter_mut().zip(words) {
            *slot = word.to_be_bytes();
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Compound, CompoundRule, CompoundWriter, Packet, ParseError};
    use super::*;
    use std::vec;
    use std::vec::Vec;

    fn write(blocks: &[XrBlock<'_>]) -> Vec<u8> {
        let mut out = vec![0xee; 400];
        let mut writer = CompoundWriter::new(&mut out);
        writer.extended_report(Ssrc(7), blocks).unwrap();
        let len = writer.finish();
        out.truncate(len);
        out
    }

    fn read(bytes: &[u8]) -> Vec<XrBlock<'_>> {
        let mut packets = Compound::parse(bytes, CompoundRule::ReducedSize).unwrap().packets();
        let Some(Ok(Packet::Xr(xr))) = packets.next() else { panic!("no XR") };
        assert_eq!(xr.ssrc(), Ssrc(7));
        xr.blocks().collect()
    }

    #[test]
    fn all_blocks_there_and_back() {
        let range = PacketRange { thinning: 3, ssrc: Ssrc(9), begin_seq: Seq(65_000), end_seq: Seq(40) };
        let chunks = [Chunk::Run { set: true, len: 500 }, Chunk::Bits(0x5555), Chunk::Run { set: false, len: 16_383 }];
        let odd = chunks.map(Chunk::to_bytes);
        let times = [1u32, 0xffff_ffff].map(u32::to_be_bytes);
        let items = [DlrrItem { ssrc: Ssrc(1), last_rr: 2, delay_since_last_rr: 3 }; 2].map(DlrrItem::to_bytes);
        let summary = StatisticsSummary {
            ssrc: Ssrc(9),
            begin_seq: Seq(5),
            end_seq: Seq(6),
            lost: Some(7),
            duplicates: None,
            jitter: Some(Spread { min: 1, max: 4, mean: 2, deviation: 3 }),
            hops: Some(HopCount::HopLimit(Spread { min: 60, max: 64, mean: 62, deviation: 1 })),
        };
        let blocks = [
            XrBlock::DuplicateRle(RunLengths::new(range, &odd[..2])),
            XrBlock::ReceiptTimes(ReceiptTimes::new(range, &times)),
            XrBlock::ReceiverReferenceTime(NtpTime(0x0123_4567_89ab_cdef)),
            XrBlock::Dlrr(Dlrr::new(&items)),
            XrBlock::StatisticsSummary(summary),
            XrBlock::VoipMetrics(VoipMetrics::default()),
            XrBlock::Unknown { block_type: 20, type_specific: 0xab, body: &[1, 2, 3, 4] },
            XrBlock::Unknown { block_type: 21, type_specific: 0, body: &[] },
        ];
        assert_eq!(read(&write(&blocks)), blocks);
        assert_eq!(read(&write(&[])), []);

        // An odd number of chunks is followed by a null.
        let bytes = write(&[XrBlock::LossRle(RunLengths::new(range, &odd))]);
        let [XrBlock::LossRle(runs)] = read(&bytes)[..] else { panic!("no RLE") };
        assert!(runs.range == range && runs.chunks().eq(chunks.into_iter().chain([Chunk::Null])));
    }

    #[test]
    fn blocks_that_break_their_definition_are_unknown() {
        let summary = XrBlock::StatisticsSummary(StatisticsSummary { lost: Some(1), ..StatisticsSummary::default() });
        let bytes = write(&[summary]);
        let changed = |at: usize, value: u8| {
            let mut bytes = bytes.clone();
            bytes[at] = value;
            matches!(read(&bytes)[..], [XrBlock::Unknown { .. }])
        };
        // Flags without the loss that is there, both kinds of hops; reserved bits don't matter.
        assert!(changed(9, 0) && changed(9, 0x98) && !changed(9, 0x87));
        for (block_type, words) in [(1, 1), (3, 1), (4, 1), (4, 3), (5, 2), (6, 8), (7, 7), (7, 9)] {
            let body = &[0; 36][..4 * words];
            let block = XrBlock::Unknown { block_type, type_specific: 0, body };
            assert_eq!(read(&write(&[block])), [block]);
        }
    }

    #[test]
    fn a_block_beyond_its_packet_is_malformed() {
        for words in 0..4u8 {
            let bytes = [0x80, 207, 0, 3, 0, 0, 0, 7, 99, 0, 0, words, 1, 2, 3, 4];
            let packet = Compound::parse(&bytes, CompoundRule::ReducedSize).unwrap().packets().next().unwrap();
            // With none, the four bytes left are a header of a block of 772 words.
            let whole = words == 1;
            assert_eq!(packet.is_ok(), whole, "{words}");
            assert!(whole || packet == Err(ParseError::Body { packet_type: 207, got: 12 }));
        }
        let short = Compound::parse(&[0x80, 207, 0, 0], CompoundRule::ReducedSize).unwrap().packets().next();
        assert_eq!(short, Some(Err(ParseError::Body { packet_type: 207, got: 0 })));
    }
}

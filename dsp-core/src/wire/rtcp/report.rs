//! Sender and receiver reports (RFC 3550, 6.4.1 and 6.4.2).

use crate::time::{NtpTime, RtpTime, Ssrc};

/// Bytes of one report block.
pub(super) const BLOCK_LEN: usize = 24;

/// The sender information in a sender report (RFC 3550, 6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SenderInfo {
    /// Wall clock time at which the report was sent.
    pub ntp: NtpTime,
    /// The same moment on the RTP clock.
    pub rtp: RtpTime,
    /// RTP packets sent since the start, modulo 2^32.
    pub packets: u32,
    /// Payload bytes sent since the start, without headers and padding, modulo 2^32.
    pub octets: u32,
}

/// What a receiver reports about one source (RFC 3550, 6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ReportBlock {
    /// SSRC of the source.
    pub ssrc: Ssrc,
    /// Fraction of the packets lost since the report before, in 256ths of those expected.
    pub fraction_lost: u8,
    /// Packets lost since the start. It has 24 bits with sign in the packet, and can be negative because of
    /// duplicates. Values out of range are clamped when written.
    pub cumulative_lost: i32,
    /// Highest sequence number in the lower 16 bits, the count of its cycles in the upper.
    pub extended_highest_seq: u32,
    /// Interarrival jitter, in ticks of the RTP clock.
    pub jitter_ticks: u32,
    /// Middle 32 bits of the NTP time in the last sender report of this source; 0 if there was none.
    pub last_sr: u32,
    /// Time from the arrival of that report to the sending of this one, in 1/65536 s.
    pub delay_since_last_sr: u32,
}

impl ReportBlock {
    /// Range of the 24-bit cumulative loss (RFC 3550, A.3).
    pub const LOST_RANGE: core::ops::RangeInclusive<i32> = -0x80_0000..=0x7f_ffff;

    fn parse(bytes: &[u8; BLOCK_LEN]) -> Self {
        let (words, _) = bytes.as_chunks::<4>();
        let word = |index: usize| u32::from_be_bytes(words[index]);
        Self {
            ssrc: Ssrc(word(0)),
            fraction_lost: bytes[4],
            // Shifting left and back carries the 24-bit sign into the upper byte.
            cumulative_lost: ((word(1) << 8) as i32) >> 8,
            extended_highest_seq: word(2),
            jitter_ticks: word(3),
            last_sr: word(4),
            delay_since_last_sr: word(5),
        }
    }

    pub(super) fn to_bytes(self) -> [u8; BLOCK_LEN] {
        let lost = self.cumulative_lost.clamp(*Self::LOST_RANGE.start(), *Self::LOST_RANGE.end());
        let words = [
            self.ssrc.0,
            u32::from(self.fraction_lost) << 24 | (lost as u32 & 0x00ff_ffff),
            self.extended_highest_seq,
            self.jitter_ticks,
            self.last_sr,
            self.delay_since_last_sr,
        ];
        let mut bytes = [0; BLOCK_LEN];
        for (slot, word) in bytes.as_chunks_mut().0.iter_mut().zip(words) {
            *slot = word.to_be_bytes();
        }
        bytes
    }
}

/// Splits the announced number of blocks from what follows them.
fn split_blocks(count: u8, bytes: &[u8]) -> Option<(&[[u8; BLOCK_LEN]], &[u8])> {
    let (blocks, extension) = bytes.split_at_checked(BLOCK_LEN * usize::from(count))?;
    Some((blocks.as_chunks().0, extension))
}

/// A checked view of a sender report (RFC 3550, 6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderReport<'a> {
    ssrc: Ssrc,
    info: SenderInfo,
    blocks: &'a [[u8; BLOCK_LEN]],
    extension: &'a [u8],
}

impl<'a> SenderReport<'a> {
    pub(super) fn parse(count: u8, body: &'a [u8]) -> Option<Self> {
        let (head, rest) = body.split_first_chunk::<24>()?;
        let (words, _) = head.as_chunks::<4>();
        let word = |index: usize| u32::from_be_bytes(words[index]);
        let (blocks, extension) = split_blocks(count, rest)?;
        let info = SenderInfo {
            ntp: NtpTime(u64::from(word(1)) << 32 | u64::from(word(2))),
            rtp: RtpTime(word(3)),
            packets: word(4),
            octets: word(5),
        };
        Some(Self { ssrc: Ssrc(word(0)), info, blocks, extension })
    }

    /// SSRC of the sender of the report.
    pub const fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// Clocks and counters of the sender.
    pub const fn info(&self) -> SenderInfo {
        self.info
    }

    /// The report blocks, at most 31.
    pub fn blocks(&self) -> impl ExactSizeIterator<Item = ReportBlock> + 'a {
        self.blocks.iter().map(ReportBlock::parse)
    }

    /// Profile-specific extension behind the blocks.
    pub const fn extension(&self) -> &'a [u8] {
        self.extension
    }
}

/// A checked view of a receiver report (RFC 3550, 6.4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiverReport<'a> {
    ssrc: Ssrc,
    blocks: &'a [[u8; BLOCK_LEN]],
    extension: &'a [u8],
}

impl<'a> ReceiverReport<'a> {
    pub(super) fn parse(count: u8, body: &'a [u8]) -> Option<Self> {
        let (&ssrc, rest) = body.split_first_chunk()?;
        let (blocks, extension) = split_blocks(count, rest)?;
        Some(Self { ssrc: Ssrc(u32::from_be_bytes(ssrc)), blocks, extension })
    }

    /// SSRC of the sender of the report.
    pub const fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// The report blocks, at most 31.
    pub fn blocks(&self) -> impl ExactSizeIterator<Item = ReportBlock> + 'a {
        self.blocks.iter().map(ReportBlock::parse)
    }

    /// Profile-specific extension behind the blocks.
    pub const fn extension(&self) -> &'a [u8] {
        self.extension
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cumulative_loss_keeps_its_sign_and_clamps() {
        for (lost, back) in
            [(0, 0), (-1, -1), (0x7f_ffff, 0x7f_ffff), (0x80_0000, 0x7f_ffff), (i32::MIN, -0x80_0000), (-5, -5)]
        {
            let block = ReportBlock { cumulative_lost: lost, fraction_lost: 0xff, ..ReportBlock::default() };
            let parsed = ReportBlock::parse(&block.to_bytes());
            assert_eq!((parsed.cumulative_lost, parsed.fraction_lost), (back, 0xff));
        }
    }
}

//! Feedback messages: generic NACK and picture loss (RFC 4585, 6.2.1 and 6.3.1), full intra request (RFC 5104, 4.3.1),
//! the receiver's estimated maximum bit rate (REMB, draft-alvestrand-rmcat-remb-03), and arrival times of all packets
//! of a transport (draft-holmer-rmcat-transport-wide-cc-extensions-01, 3.1).
//!
//! A message is checked as a whole when its packet is reached, so that no accessor can fail afterwards. Arrival times
//! are in quarters of a millisecond after the message's reference time, which counts in 64 ms. The cost is in
//! proportion to the bytes.

mod transport_wide;

use super::packet_type;
use crate::time::{Seq, Ssrc};
pub use transport_wide::TransportFeedback;

/// Formats of transport feedback (packet type 205).
const NACK: u8 = 1;
const TRANSPORT_WIDE: u8 = 15;
/// Formats of payload-specific feedback (packet type 206).
const PICTURE_LOSS: u8 = 1;
const FULL_INTRA: u8 = 4;
const APPLICATION: u8 = 15;
/// What begins a REMB message.
const REMB: [u8; 4] = *b"REMB";

/// The largest mantissa of a REMB message's bit rate.
const REMB_MANTISSA: u64 = (1 << 18) - 1;

/// A feedback packet: its sender, the source that it is about, and its message (RFC 4585, 6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feedback<'a> {
    /// SSRC of the sender.
    pub sender: Ssrc,
    /// SSRC that the message is about; zero if the message itself names its sources.
    pub media: Ssrc,
    /// The message.
    pub message: FeedbackMessage<'a>,
}

/// The message of a feedback packet. It is checked when its packet is reached, so that its accessors cannot fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FeedbackMessage<'a> {
    /// These packets are missing (generic NACK, RFC 4585, 6.2.1).
    Nack(Nacks<'a>),
    /// A picture was lost (PLI, RFC 4585, 6.3.1).
    PictureLoss,
    /// A complete picture is requested (FIR, RFC 5104, 4.3.1).
    FullIntra(FullIntra<'a>),
    /// The bit rate that the receiver can take (REMB, draft-alvestrand-rmcat-remb-03).
    MaximumBitRate(MaximumBitRate<'a>),
    /// When the packets of the transport arrived (draft-holmer-rmcat-transport-wide-cc-extensions-01, 3.1).
    Transport(TransportFeedback<'a>),
    /// A message of another kind.
    Other {
        /// Packet type, 205 or 206.
        packet_type: u8,
        /// Format of the message (FMT).
        format: u8,
        /// Content behind the two SSRCs: whole words of 32 bits.
        fci: &'a [u8],
    },
}

impl<'a> Feedback<'a> {
    pub(super) fn parse(packet_type: u8, format: u8, body: &'a [u8]) -> Option<Self> {
        let (&sender, rest) = body.split_first_chunk::<4>()?;
        let (&media, fci) = rest.split_first_chunk::<4>()?;
        let message = match (packet_type, format) {
            (packet_type::RTPFB, NACK) => FeedbackMessage::Nack(Nacks(whole(fci)?)),
            (packet_type::RTPFB, TRANSPORT_WIDE) => FeedbackMessage::Transport(TransportFeedback::parse(fci)?),
            (packet_type::PSFB, PICTURE_LOSS) => FeedbackMessage::PictureLoss,
            (packet_type::PSFB, FULL_INTRA) => FeedbackMessage::FullIntra(FullIntra(whole(fci)?)),
            (packet_type::PSFB, APPLICATION) if fci.starts_with(&REMB) => {
                FeedbackMessage::MaximumBitRate(MaximumBitRate::parse(fci)?)
            }
            _ => FeedbackMessage::Other { packet_type, format, fci },
        };
        let [sender, media] = [sender, media].map(|ssrc| Ssrc(u32::from_be_bytes(ssrc)));
        Some(Self { sender, media, message })
    }

    /// Packet type, format, and bytes behind the two sources; `None` for what can't be written.
    pub(super) fn shape(&self) -> Option<(u8, u8, usize)> {
        Some(match &self.message {
            FeedbackMessage::Nack(nacks) => (packet_type::RTPFB, NACK, 4 * nacks.0.len()),
            FeedbackMessage::PictureLoss => (packet_type::PSFB, PICTURE_LOSS, 0),
            FeedbackMessage::FullIntra(intra) => (packet_type::PSFB, FULL_INTRA, 8 * intra.0.len()),
            FeedbackMessage::MaximumBitRate(rate) => {
                u8::try_from(rate.sources.len()).ok()?;
                (packet_type::PSFB, APPLICATION, 8 + 4 * rate.sources.len())
            }
            FeedbackMessage::Transport(transport) => (packet_type::RTPFB, TRANSPORT_WIDE, transport.fci.len()),
            FeedbackMessage::Other { packet_type, format, fci } => (*packet_type, *format, fci.len()),
        })
    }

    /// Writes what is behind the header, of the length that [`shape`](Self::shape) says.
    pub(super) fn write(&self, body: &mut [u8]) {
        let (head, fci) = body.split_at_mut(8);
        head[..4].copy_from_slice(&self.sender.0.to_be_bytes());
        head[4..].copy_from_slice(&self.media.0.to_be_bytes());
        match &self.message {
            FeedbackMessage::Nack(nacks) => fci.copy_from_slice(nacks.0.as_flattened()),
            FeedbackMessage::PictureLoss => {}
            FeedbackMessage::FullIntra(intra) => fci.copy_from_slice(intra.0.as_flattened()),
            FeedbackMessage::MaximumBitRate(rate) => rate.write(fci),
            FeedbackMessage::Transport(transport) => fci.copy_from_slice(transport.fci),
            FeedbackMessage::Other { fci: words, .. } => fci.copy_from_slice(words),
        }
    }
}

/// At least one entry, and nothing behind the last.
fn whole<const N: usize>(fci: &[u8]) -> Option<&[[u8; N]]> {
    let (entries, rest) = fci.as_chunks::<N>();
    (rest.is_empty() && !entries.is_empty()).then_some(entries)
}

/// Missing packets (generic NACK), at most 17 in each entry: a sequence number, and a bit for each of the 16 after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nacks<'a>(&'a [[u8; 4]]);

impl<'a> Nacks<'a> {
    /// A message with these entries, as [`write_nacks`] makes them; `None` without any.
    pub const fn new(entries: &'a [[u8; 4]]) -> Option<Self> {
        if entries.is_empty() { None } else { Some(Self(entries)) }
    }

    /// Sequence numbers of the missing packets, in the order of the entries.
    pub fn lost(&self) -> impl Iterator<Item = Seq> + 'a {
        self.0.iter().flat_map(|&[a, b, c, d]| {
            let (first, others) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            let later = (0..16).filter(move |bit| others & 1 << bit != 0).map(move |bit| first.wrapping_add(bit + 1));
            core::iter::once(first).chain(later).map(Seq)
        })
    }
}

/// Writes entries for missing packets, which must come in their order, into as few entries as possible. Returns the
/// number of entries, and the number of packets that they name, which is smaller than asked for if `out` is too small.
pub fn write_nacks(lost: impl IntoIterator<Item = Seq>, out: &mut [[u8; 4]]) -> (usize, usize) {
    let (mut entries, mut named) = (0, 0);
    let mut open: Option<(u16, u16)> = None;
    for Seq(seq) in lost {
        let joined = open.and_then(|(first, others)| match seq.wrapping_sub(first) {
            0 => Some((first, others)),
            ahead @ 1..=16 => Some((first, others | 1 << (ahead - 1))),
            _ => None,
        });
        if joined.is_none() {
            if entries == out.len() {
                break;
            }
            entries += 1;
        }
        let (first, others) = joined.unwrap_or((seq, 0));
        let ([a, b], [c, d]) = (first.to_be_bytes(), others.to_be_bytes());
        out[entries - 1] = [a, b, c, d];
        open = Some((first, others));
        named += 1;
    }
    (entries, named)
}

/// Sources of which a complete picture is requested (FIR).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FullIntra<'a>(&'a [[u8; 8]]);

impl<'a> FullIntra<'a> {
    /// A message with these entries, as [`full_intra_entry`] makes them; `None` without any.
    pub const fn new(entries: &'a [[u8; 8]]) -> Option<Self> {
        if entries.is_empty() { None } else { Some(Self(entries)) }
    }

    /// The sources, each with the number of the request. The same number again is not a new request.
    pub fn requests(&self) -> impl ExactSizeIterator<Item = (Ssrc, u8)> + 'a {
        self.0.iter().map(|&[a, b, c, d, number, ..]| (Ssrc(u32::from_be_bytes([a, b, c, d])), number))
    }
}

/// An entry of a full intra request.
pub const fn full_intra_entry(source: Ssrc, number: u8) -> [u8; 8] {
    let [a, b, c, d] = source.0.to_be_bytes();
    [a, b, c, d, number, 0, 0, 0]
}

/// A receiver's estimate of the bit rate that it can take, for all these sources together (REMB).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaximumBitRate<'a> {
    exponent: u8,
    mantissa: u32,
    sources: &'a [[u8; 4]],
}

impl<'a> MaximumBitRate<'a> {
    /// A message with a bit rate in bit/s, which is rounded down to 18 significant bits, and with sources as four
    /// bytes each, highest byte first. At most 255 sources can be written.
    pub const fn new(bit_rate: u64, sources: &'a [[u8; 4]]) -> Self {
        let mut exponent = 0;
        while bit_rate >> exponent > REMB_MANTISSA {
            exponent += 1;
        }
        Self { exponent, mantissa: (bit_rate >> exponent) as u32, sources }
    }

    fn parse(fci: &'a [u8]) -> Option<Self> {
        let (&[_, _, _, _, count, a, b, c], sources) = fci.split_first_chunk::<8>()?;
        let (sources, rest) = sources.as_chunks::<4>();
        let mantissa = u32::from_be_bytes([0, a & 0x03, b, c]);
        (rest.is_empty() && sources.len() == usize::from(count)).then_some(Self { exponent: a >> 2, mantissa, sources })
    }

    /// Bit rate in bit/s. A rate that does not fit into 64 bits is the greatest value.
    pub const fn bit_rate(&self) -> u64 {
        let mantissa = self.mantissa as u64;
        if self.exponent as u32 > mantissa.leading_zeros() && mantissa != 0 {
            u64::MAX
        } else {
            mantissa.unbounded_shl(self.exponent as u32)
        }
    }

    /// The sources.
    pub fn sources(&self) -> impl ExactSizeIterator<Item = Ssrc> + 'a {
        self.sources.iter().map(|&ssrc| Ssrc(u32::from_be_bytes(ssrc)))
    }

    fn write(&self, fci: &mut [u8]) {
        let [_, a, b, c] = self.mantissa.to_be_bytes();
        fci[..4].copy_from_slice(&REMB);
        fci[4..8].copy_from_slice(&[self.sources.len() as u8, self.exponent << 2 | a, b, c]);
        fci[8..].copy_from_slice(self.sources.as_flattened());
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Compound, CompoundRule, CompoundWriter, Packet, ParseError, WriteError};
    use super::*;
    use std::vec::Vec;

    pub(super) fn written(message: FeedbackMessage<'_>) -> Vec<u8> {
        let mut out = std::vec![0; 3_000];
        let mut writer = CompoundWriter::new(&mut out);
        writer.feedback(&Feedback { sender: Ssrc(1), media: Ssrc(2), message }).unwrap();
        let len = writer.finish();
        out.truncate(len);
        out
    }

    pub(super) fn read(bytes: &[u8]) -> Result<FeedbackMessage<'_>, ParseError> {
        match Compound::parse(bytes, CompoundRule::ReducedSize)?.packets().next().unwrap()? {
            Packet::Feedback(feedback) => {
                assert_eq!((feedback.sender, feedback.media), (Ssrc(1), Ssrc(2)));
                Ok(feedback.message)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn missing_packets_are_named_in_as_few_entries_as_it_takes() {
        let lost = [65_530, 65_531, 65_535, 10, 11, 27, 28, 40].map(Seq);
        let mut entries = [[0; 4]; 3];
        assert_eq!(write_nacks(lost, &mut entries), (3, 8));
        // 65530 and 16 behind it reach 10.
        assert_eq!(entries[0], [0xff, 0xfa, 0x80, 0b1_0001]);
        assert_eq!(entries[1], [0, 11, 0x80, 0], "11 and 27");
        assert_eq!(write_nacks(lost, &mut entries[..1]), (1, 4));
        assert_eq!(write_nacks(lost, &mut entries), (3, 8));
        let bytes = written(FeedbackMessage::Nack(Nacks::new(&entries).unwrap()));
        assert_eq!(bytes[..4], [0x81, 205, 0, 5]);
        let Ok(FeedbackMessage::Nack(nacks)) = read(&bytes) else { panic!() };
        assert!(nacks.lost().eq(lost));
        assert_eq!(Nacks::new(&[]), None);
        assert!(matches!(read(&[0x81, 205, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]), Err(ParseError::Body { .. })));
    }

    #[test]
    fn pictures_are_asked_for() {
        let bytes = written(FeedbackMessage::PictureLoss);
        assert_eq!(bytes, [0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]);
        assert_eq!(read(&bytes), Ok(FeedbackMessage::PictureLoss));
        let entries = [full_intra_entry(Ssrc(7), 255), full_intra_entry(Ssrc(u32::MAX), 0)];
        let bytes = written(FeedbackMessage::FullIntra(FullIntra::new(&entries).unwrap()));
        assert_eq!(bytes[..4], [0x84, 206, 0, 6]);
        let Ok(FeedbackMessage::FullIntra(intra)) = read(&bytes) else { panic!() };
        assert!(intra.requests().eq([(Ssrc(7), 255), (Ssrc(u32::MAX), 0)]));
    }

    #[test]
    fn bit_rates_have_18_significant_bits() {
        for (bit_rate, read_as) in
            [(0, 0), (64_000, 64_000), (262_143, 262_143), (262_145, 262_144), (u64::MAX, 0x3_ffff << 46)]
        {
            let sources = [[0, 0, 0, 9], [1, 2, 3, 4]];
            let bytes = written(FeedbackMessage::MaximumBitRate(MaximumBitRate::new(bit_rate, &sources)));
            let Ok(FeedbackMessage::MaximumBitRate(rate)) = read(&bytes) else { panic!() };
            assert_eq!(rate.bit_rate(), read_as);
            assert!(rate.sources().eq([Ssrc(9), Ssrc(0x0102_0304)]));
        }
        // What 64 bits don't hold, and a count that isn't true.
        let mut bytes = written(FeedbackMessage::MaximumBitRate(MaximumBitRate::new(1, &[])));
        assert_eq!(&bytes[12..16], b"REMB");
        bytes[17] = 63 << 2 | 3;
        let Ok(FeedbackMessage::MaximumBitRate(rate)) = read(&bytes) else { panic!() };
        assert_eq!(rate.bit_rate(), u64::MAX);
        bytes[16] = 1;
        assert!(read(&bytes).is_err());
        let many = [[0; 4]; 256];
        let message = FeedbackMessage::MaximumBitRate(MaximumBitRate::new(1, &many));
        let too_many = Feedback { sender: Ssrc(1), media: Ssrc(2), message };
        assert_eq!(CompoundWriter::new(&mut [0; 3_000]).feedback(&too_many), Err(WriteError::TooMany(256)));
    }
}

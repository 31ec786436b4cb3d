//! Feedback messages: generic NACK and picture loss (RFC 4585, 6.2.1 and 6.3.1), full intra request (RFC 5104, 4.3.1),
//! the receiver's estimated maximum bit rate (REMB, draft-alvestrand-rmcat-remb-03), and arrival times of all packets of a
//! transport (draft-holmer-rmcat-transport-wide-cc-extensions-01, 3.1).
//!
//! A message is checked as a whole when its packet is reached; afterwards no accessor can fail. Arrival times are in
//! quarters of a millisecond since the message's reference time, which counts in 64 ms. Cost: linear in the bytes.

use super::packet_type;
use crate::time::{Seq, Ssrc};

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

/// A feedback packet: who sends it, which source it's about, and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feedback<'a> {
    /// Who sends it.
    pub sender: Ssrc,
    /// Which source it's about; zero where the message itself names them.
    pub media: Ssrc,
    /// What it says.
    pub message: FeedbackMessage<'a>,
}

/// What a feedback packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FeedbackMessage<'a> {
    /// These packets are missing.
    Nack(Nacks<'a>),
    /// A picture was lost (PLI).
    PictureLoss,
    /// Whole pictures are asked for (FIR).
    FullIntra(FullIntra<'a>),
    /// The bit rate that the receiver can take (REMB).
    MaximumBitRate(MaximumBitRate<'a>),
    /// When packets of the transport arrived.
    Transport(TransportFeedback<'a>),
    /// Another message.
    Other {
        /// 205 or 206.
        packet_type: u8,
        /// The format.
        format: u8,
        /// What is behind the two sources: whole 32-bit words.
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

/// Packets that are missing, 17 an entry at most: a sequence number, and a bit for each of the 16 behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nacks<'a>(&'a [[u8; 4]]);

impl<'a> Nacks<'a> {
    /// Of entries as [`write_nacks`] makes them; `None` without any.
    pub const fn new(entries: &'a [[u8; 4]]) -> Option<Self> {
        if entries.is_empty() { None } else { Some(Self(entries)) }
    }

    /// The missing packets, in the order of the entries.
    pub fn lost(&self) -> impl Iterator<Item = Seq> + 'a {
        self.0.iter().flat_map(|&[a, b, c, d]| {
            let (first, others) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            let later = (0..16).filter(move |bit| others & 1 << bit != 0).map(move |bit| first.wrapping_add(bit + 1));
            core::iter::once(first).chain(later).map(Seq)
        })
    }
}

/// Entries for missing packets, which come in their order, in as few as that takes. How many there are, and how many
/// packets they name: fewer than asked where there is no room.
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

/// Sources of which a whole picture is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FullIntra<'a>(&'a [[u8; 8]]);

impl<'a> FullIntra<'a> {
    /// Of entries as [`full_intra_entry`] makes them; `None` without any.
    pub const fn new(entries: &'a [[u8; 8]]) -> Option<Self> {
        if entries.is_empty() { None } else { Some(Self(entries)) }
    }

    /// The sources, each with the number of the request: one that repeats is no new request.
    pub fn requests(&self) -> impl ExactSizeIterator<Item = (Ssrc, u8)> + 'a {
        self.0.iter().map(|&[a, b, c, d, number, ..]| (Ssrc(u32::from_be_bytes([a, b, c, d])), number))
    }
}

/// An entry of a full intra request.
pub const fn full_intra_entry(source: Ssrc, number: u8) -> [u8; 8] {
    let [a, b, c, d] = source.0.to_be_bytes();
    [a, b, c, d, number, 0, 0, 0]
}

/// A receiver's estimate of the bit rate it can take, for all these sources together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaximumBitRate<'a> {
    exponent: u8,
    mantissa: u32,
    sources: &'a [[u8; 4]],
}

impl<'a> MaximumBitRate<'a> {
    /// Of a bit rate in bit/s, rounded down to 18 significant bits, for sources that are written the highest byte first; at
    /// most 255 can be written.
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

    /// The bit rate in bit/s; more than 64 bits hold is the most they do.
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

/// When the packets of a transport arrived, one after the other from a first on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportFeedback<'a> {
    fci: &'a [u8],
    /// Bytes of `fci` up to the times.
    times_at: usize,
}

/// Bytes before the first chunk.
const TRANSPORT_HEAD: usize = 8;

/// A packet's symbol: how its time is written.
const LOST: u8 = 0;
const NEAR: u8 = 1;
const FAR: u8 = 2;

impl<'a> TransportFeedback<'a> {
    fn parse(fci: &'a [u8]) -> Option<Self> {
        let packets = usize::from(u16::from_be_bytes(*fci.get(2..4)?.first_chunk()?));
        if packets == 0 || fci.len() < TRANSPORT_HEAD {
            return None;
        }
        // Chunk by chunk: 40 bytes may speak of 65,535 packets.
        let (mut left, mut times_at, mut times) = (packets, TRANSPORT_HEAD, 0);
        while left > 0 {
            let chunk = Chunk::read(fci, times_at)?;
            let here = chunk.len().min(left);
            times += if chunk.0 & Chunk::VECTOR == 0 {
                here * time_bytes(chunk.symbol(0))?
            } else {
                (0..here).try_fold(0, |sum, n| Some(sum + time_bytes(chunk.symbol(n))?))?
            };
            left -= here;
            times_at += 2;
        }
        // What is filled up is filled with less than a word; padding is the packet's own.
        (fci.len() >= times_at + times).then_some(Self { fci, times_at })
    }

    /// The number of the first packet (see [`transport_sequence`](crate::wire::extension::transport_sequence)).
    pub fn base(&self) -> Seq {
        Seq(u16::from_be_bytes([self.fci[0], self.fci[1]]))
    }

    /// How many packets it speaks of, 1 to 65,535.
    pub fn packets(&self) -> usize {
        usize::from(u16::from_be_bytes([self.fci[2], self.fci[3]]))
    }

    /// What the times count from, in 64 ms of the receiver's clock, modulo 2^24.
    pub fn reference(&self) -> u32 {
        u32::from_be_bytes([0, self.fci[4], self.fci[5], self.fci[6]])
    }

    /// The number of this message among the receiver's.
    pub fn count(&self) -> u8 {
        self.fci[7]
    }

    /// Each packet with its time of arrival in quarters of a millisecond since the reference, `None` if it has not come.
    pub fn arrivals(&self) -> impl Iterator<Item = (Seq, Option<i32>)> + 'a {
        let (fci, base) = (self.fci, self.base());
        let (mut at, mut time) = (self.times_at, 0_i32);
        self.symbols().enumerate().map(move |(n, symbol)| {
            let bytes = time_bytes(symbol).unwrap_or(0);
            let delta = match fci.get(at..at + bytes) {
                Some(&[near]) => i32::from(near),
                Some(&[high, low]) => i32::from(i16::from_be_bytes([high, low])),
                _ => 0,
            };
            at += bytes;
            time = time.wrapping_add(delta);
            (Seq(base.0.wrapping_add(n as u16)), (symbol != LOST).then_some(time))
        })
    }

    fn symbols(&self) -> impl Iterator<Item = u8> + 'a {
        let chunks = self.fci[TRANSPORT_HEAD..self.times_at].as_chunks::<2>().0;
        let symbols = chunks.iter().flat_map(|&chunk| {
            let chunk = Chunk(u16::from_be_bytes(chunk));
            (0..chunk.len()).map(move |n| chunk.symbol(n))
        });
        symbols.take(self.packets())
    }

    /// Writes a message's content into `out`: the packets from `base` on with their arrival in quarters of a millisecond
    /// since `reference` (in 64 ms). `None` if there are none or more than 65,535, if two that follow each other are more
    /// than 8.191 s apart, or where it doesn't fit.
    pub fn make(out: &'a mut [u8], base: Seq, reference: u32, count: u8, arrivals: &[Option<i32>]) -> Option<Self> {
        let packets = u16::try_from(arrivals.len()).ok().filter(|&packets| packets > 0)?;
        let (head, rest) = out.split_first_chunk_mut::<TRANSPORT_HEAD>()?;
        head[..2].copy_from_slice(&base.0.to_be_bytes());
        head[2..4].copy_from_slice(&packets.to_be_bytes());
        head[4..].copy_from_slice(&((reference & 0x00ff_ffff) << 8 | u32::from(count)).to_be_bytes());
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            rest.get_mut(at..at + bytes.len())?.copy_from_slice(bytes);
            at += bytes.len();
            Some(at)
        };
        let mut times_at = TRANSPORT_HEAD;
        let mut left = deltas(arrivals);
        while left.clone().next().is_some() {
            let chunk = Chunk::of(left.clone().map(symbol_of))?;
            times_at = TRANSPORT_HEAD + put(&chunk.0.to_be_bytes())?;
            left.nth(chunk.len() - 1);
        }
        for delta in deltas(arrivals) {
            match (symbol_of(delta), delta) {
                (NEAR, Some(delta)) => put(&[delta as u8])?,
                (FAR, Some(delta)) => put(&i16::try_from(delta).ok()?.to_be_bytes())?,
                _ => put(&[])?,
            };
        }
        let used = at;
        let filled = used.next_multiple_of(4);
        rest.get_mut(used..filled)?.fill(0);
        let out: &'a [u8] = out;
        Some(Self { fci: out.get(..TRANSPORT_HEAD + filled)?, times_at })
    }
}

/// What each packet that came is later than the one before.
fn deltas(arrivals: &[Option<i32>]) -> impl Iterator<Item = Option<i32>> + Clone + '_ {
    let mut before = 0_i32;
    arrivals.iter().map(move |arrival| {
        let delta = arrival.map(|arrival| arrival.saturating_sub(before));
        before = arrival.unwrap_or(before);
        delta
    })
}

const fn symbol_of(delta: Option<i32>) -> u8 {
    match delta {
        None => LOST,
        Some(0..=255) => NEAR,
        Some(_) => FAR,
    }
}

/// `None` for a symbol that is reserved.
const fn time_bytes(symbol: u8) -> Option<usize> {
    match symbol {
        LOST => Some(0),
        NEAR => Some(1),
        FAR => Some(2),
        _ => None,
    }
}

/// Symbols of several packets in 16 bits: a run of one of them, 14 that are lost or near, or seven of any.
#[derive(Clone, Copy)]
struct Chunk(u16);

impl Chunk {
    const VECTOR: u16 = 1 << 15;
    const TWO_BITS: u16 = 1 << 14;
    const LONGEST_RUN: usize = (1 << 13) - 1;

    fn read(fci: &[u8], at: usize) -> Option<Self> {
        let chunk = Self(u16::from_be_bytes(*fci.get(at..)?.first_chunk()?));
        // A run of nothing would never come to an end.
        (chunk.len() > 0).then_some(chunk)
    }

    fn len(self) -> usize {
        match (self.0 & Self::VECTOR != 0, self.0 & Self::TWO_BITS != 0) {
            (false, _) => usize::from(self.0) & Self::LONGEST_RUN,
            (true, false) => 14,
            (true, true) => 7,
        }
    }

    fn symbol(self, n: usize) -> u8 {
        match (self.0 & Self::VECTOR != 0, self.0 & Self::TWO_BITS != 0) {
            (false, _) => (self.0 >> 13 & 3) as u8,
            (true, false) => (self.0 >> (13 - n) & 1) as u8,
            (true, true) => (self.0 >> (12 - 2 * n) & 3) as u8,
        }
    }

    /// What covers most of what is left; `None` if nothing is.
    fn of(symbols: impl Iterator<Item = u8> + Clone) -> Option<Self> {
        let first = symbols.clone().next()?;
        let run = symbols.clone().take(Self::LONGEST_RUN).take_while(|symbol| *symbol == first).count();
        let near = symbols.clone().take(14).all(|symbol| symbol != FAR);
        Some(if run >= 14 || (run >= 7 && !near) {
            Self(u16::from(first) << 13 | run as u16)
        } else if near {
            Self(
                symbols
                    .take(14)
                    .enumerate()
                    .fold(Self::VECTOR, |bits, (n, symbol)| bits | u16::from(symbol) << (13 - n)),
            )
        } else {
            let empty = Self::VECTOR | Self::TWO_BITS;
            Self(symbols.take(7).enumerate().fold(empty, |bits, (n, symbol)| bits | u16::from(symbol) << (12 - 2 * n)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Compound, CompoundRule, CompoundWriter, Packet, ParseError, WriteError};
    use super::*;
    use std::vec::Vec;

    /// Cut off in its head, of no packets and of some.
    #[test]
    fn a_transport_message_without_its_head_is_none() {
        for packets in [0, 1, 0xffff_u16] {
            for len in 0..=TRANSPORT_HEAD + 1 {
                let mut fci = [0; TRANSPORT_HEAD + 2];
                fci[2..4].copy_from_slice(&packets.to_be_bytes());
                assert_eq!(TransportFeedback::parse(&fci[..len]), None, "{packets} {len}");
            }
        }
    }

    fn written(message: FeedbackMessage<'_>) -> Vec<u8> {
        let mut out = std::vec![0; 3_000];
        let mut writer = CompoundWriter::new(&mut out);
        writer.feedback(&Feedback { sender: Ssrc(1), media: Ssrc(2), message }).unwrap();
        let len = writer.finish();
        out.truncate(len);
        out
    }

    fn read(bytes: &[u8]) -> Result<FeedbackMessage<'_>, ParseError> {
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

    /// The example of the draft's layout: a run, a vector of one bit, a vector of two.
    #[test]
    fn chunks_of_the_draft() {
        let fci = [
            0xff,
            0xfe,
            0,
            24,
            0,
            0,
            5,
            9,
            0x00,
            0x03,
            0b1010_0000,
            0b0000_0001,
            0b1101_1000,
            0b0000_0000,
            4,
            8,
            255,
            0xff,
            0xf0,
            0,
        ];
        let mut bytes = std::vec![0x8f, 205, 0, 7, 0, 0, 0, 1, 0, 0, 0, 2];
        bytes.extend(fci);
        let Ok(FeedbackMessage::Transport(transport)) = read(&bytes) else { panic!() };
        assert_eq!((transport.base(), transport.packets()), (Seq(65_534), 24));
        assert_eq!((transport.reference(), transport.count()), (5, 9));
        let heard: Vec<_> = transport.arrivals().filter_map(|(seq, time)| Some((seq.0, time?))).collect();
        // Three are lost; then the first and last of 14; then a near one and a far one that is earlier.
        assert_eq!(heard, [(1, 4), (14, 12), (15, 267), (16, 251)]);
        assert_eq!(transport.arrivals().count(), 24);
    }

    #[test]
    fn arrivals_are_read_as_they_were_written() {
        let mut dice = 7_u32;
        let mut roll = |below: u32| {
            dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (dice >> 8) % below
        };
        for round in 0..500 {
            let mut time = 0;
            let arrivals: Vec<Option<i32>> = (0..1 + roll(300))
                .map(|_| {
                    // Mostly near, now and then far or earlier, more or less lost.
                    time += if roll(20) == 0 { roll(65_536) as i32 - 32_768 } else { roll(250) as i32 };
                    if roll(1 + round % 9) == 0 { Some(time) } else { None }
                })
                .collect();
            let mut out = [0; 2_000];
            let Some(made) = TransportFeedback::make(&mut out, Seq(65_400), 1 << 24 | 3, round as u8, &arrivals) else {
                let apart = deltas(&arrivals).flatten().any(|delta| i16::try_from(delta).is_err());
                assert!(apart, "{arrivals:?}");
                continue;
            };
            let bytes = written(FeedbackMessage::Transport(made));
            let Ok(FeedbackMessage::Transport(transport)) = read(&bytes) else { panic!() };
            assert_eq!((transport.reference(), transport.count()), (3, round as u8));
            assert!(transport.arrivals().map(|(_, time)| time).eq(arrivals.iter().copied()));
        }
        assert_eq!(TransportFeedback::make(&mut [0; 100], Seq(0), 0, 0, &[]), None);
        assert_eq!(TransportFeedback::make(&mut [0; 100], Seq(0), 0, 0, &[Some(0), Some(32_768)]), None);
        assert_eq!(TransportFeedback::make(&mut [0; 10], Seq(0), 0, 0, &[Some(1)]), None);
        let most = std::vec![Some(0); 65_535];
        assert!(TransportFeedback::make(&mut std::vec![0; 70_000], Seq(0), 0, 0, &most).is_some());
    }

    #[test]
    fn malformed_transport_feedback_is_refused() {
        let packet = |fci: &[u8]| {
            let mut bytes = std::vec![0x8f, 205, 0, 2 + (fci.len() / 4) as u8, 0, 0, 0, 1, 0, 0, 0, 2];
            bytes.extend(fci);
            read(&bytes).is_ok()
        };
        assert!(packet(&[0, 0, 0, 1, 0, 0, 0, 0, 0x20, 1, 7, 0]));
        assert!(!packet(&[0, 0, 0, 0, 0, 0, 0, 0]), "of no packets");
        assert!(!packet(&[0, 0, 0, 9, 0, 0, 0, 0]), "no chunk");
        assert!(!packet(&[0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 9]), "a run of none");
        assert!(!packet(&[0, 0, 0, 1, 0, 0, 0, 0, 0x60, 1, 0, 0]), "a reserved symbol");
        assert!(!packet(&[0, 0, 0, 3, 0, 0, 0, 0, 0x20, 3, 7, 7]), "a time is missing");
    }
}

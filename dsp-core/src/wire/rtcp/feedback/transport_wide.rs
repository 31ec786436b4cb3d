//! Arrival times of all packets of a transport (draft-holmer-rmcat-transport-wide-cc-extensions-01, 3.1): chunks that
//! tell for each packet whether it arrived, and then the times of those that did.

use crate::time::Seq;

/// Arrival times of consecutive packets of a transport.
///
/// It is made by [`ArrivalLog`](crate::rtcp::transport::ArrivalLog) and read by
/// [`DepartureLog`](crate::rtcp::transport::DepartureLog).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportFeedback<'a> {
    pub(super) fci: &'a [u8],
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
    pub(super) fn parse(fci: &'a [u8]) -> Option<Self> {
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

    /// Number of the first packet (see [`transport_sequence`](crate::wire::extension::transport_sequence)).
    pub fn base(&self) -> Seq {
        Seq(u16::from_be_bytes([self.fci[0], self.fci[1]]))
    }

    /// Number of packets in the message, 1 to 65,535.
    pub fn packets(&self) -> usize {
        usize::from(u16::from_be_bytes([self.fci[2], self.fci[3]]))
    }

    /// Reference time, in 64 ms of the receiver's clock, modulo 2^24.
    pub fn reference(&self) -> u32 {
        u32::from_be_bytes([0, self.fci[4], self.fci[5], self.fci[6]])
    }

    /// Sequence number of this message among those of the receiver.
    pub fn count(&self) -> u8 {
        self.fci[7]
    }

    /// Each packet with its arrival time in quarters of a millisecond after the reference time; `None` if it has not
    /// arrived.
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

    /// Writes the content of a message into `out`: the packets from `base` on, with their arrival times in quarters of
    /// a millisecond after `reference` (which is in 64 ms). Returns `None` if there are no packets or more than
    /// 65,535, if two arrivals in a row are more than 8.191 s apart, or if it does not fit into `out`.
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
    use super::super::FeedbackMessage;
    use super::super::tests::{read, written};
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

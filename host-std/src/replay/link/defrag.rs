//! IP packets that were sent in pieces, put together (RFC 791, 3.2; RFC 8200, 4.5).
//!
//! Memory: [`MOST`] packets of at most 64 KiB. A packet that is not whole after [`LONGEST_US`], or is the oldest when there are
//! too many, is given up. A piece that contradicts another one about the same bytes makes the whole packet worthless (RFC 5722).

use std::collections::HashMap;
use std::net::IpAddr;

use etherparse::{IpFragOffset, IpNumber, defrag::IpDefragBuf};

/// Packets that may be unfinished at once.
const MOST: usize = 256;
/// The longest time between the pieces of a packet: Linux waits as long for those of IPv4.
const LONGEST_US: u64 = 30_000_000;

/// The packet that a piece belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) from: IpAddr,
    pub(super) to: IpAddr,
    pub(super) number: u8,
    pub(super) identification: u32,
}

/// A piece.
pub(super) struct IpFragment<'a> {
    pub(super) key: Key,
    pub(super) offset: IpFragOffset,
    pub(super) more: bool,
    pub(super) payload: &'a [u8],
}

/// The result of adding a piece.
pub(super) enum Added {
    /// Others are missing.
    Waiting,
    /// The packet is whole: its payload, and how many pieces waited for this one.
    Whole(Vec<u8>, u64),
    /// It contradicts the others.
    Conflict,
}

struct Unfinished {
    buffer: IpDefragBuf,
    pieces: u64,
    first_us: u64,
    /// The number of this packet among all.
    count: u64,
}

/// Packets that wait for pieces.
#[derive(Default)]
pub(super) struct Defragmenter {
    unfinished: HashMap<Key, Unfinished>,
    count: u64,
    time_us: u64,
}

impl Defragmenter {
    /// Takes in a piece that was seen at `time_us`.
    pub(super) fn add(&mut self, time_us: Option<u64>, piece: &IpFragment<'_>) -> Added {
        let now = time_us.unwrap_or(self.time_us);
        self.time_us = now;
        self.unfinished.retain(|_, packet| now.abs_diff(packet.first_us) <= LONGEST_US);
        if self.unfinished.len() >= MOST && !self.unfinished.contains_key(&piece.key) {
            let oldest = self.unfinished.iter().min_by_key(|(_, packet)| packet.count).map(|(key, _)| *key);
            oldest.map(|key| self.unfinished.remove(&key));
        }
        self.count += 1;
        let count = self.count;
        let packet = self.unfinished.entry(piece.key).or_insert_with(|| Unfinished {
            buffer: IpDefragBuf::new(IpNumber(piece.key.number), Vec::new(), Vec::new()),
            pieces: 0,
            first_us: now,
            count,
        });
        if packet.contradicts(piece) || packet.buffer.add(piece.offset, piece.more, piece.payload).is_err() {
            self.unfinished.remove(&piece.key);
            return Added::Conflict;
        }
        packet.pieces += 1;
        if !packet.buffer.is_complete() {
            return Added::Waiting;
        }
        match self.unfinished.remove(&piece.key) {
            Some(packet) => Added::Whole(packet.buffer.take_bufs().0, packet.pieces - 1),
            None => Added::Waiting,
        }
    }
}

impl Unfinished {
    /// Returns whether this piece contradicts bytes that came before.
    fn contradicts(&self, piece: &IpFragment<'_>) -> bool {
        let begin = usize::from(piece.offset.byte_offset());
        let end = begin + piece.payload.len();
        let data = self.buffer.data();
        self.buffer.sections().iter().any(|section| {
            let from = begin.max(section.start.into());
            let to = end.min(section.end.into()).min(data.len());
            from < to && data[from..to] != piece.payload[from - begin..to - begin]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(identification: u32) -> Key {
        Key { from: [1, 1, 1, 1].into(), to: [2, 2, 2, 2].into(), number: 17, identification }
    }

    fn add(pool: &mut Defragmenter, time_us: u64, id: u32, offset: u16, more: bool, payload: &[u8]) -> Added {
        let offset = IpFragOffset::try_new(offset).unwrap();
        pool.add(Some(time_us), &IpFragment { key: key(id), offset, more, payload })
    }

    #[test]
    fn pieces_in_any_order_and_twice_make_a_packet() {
        let mut pool = Defragmenter::default();
        assert!(matches!(add(&mut pool, 0, 1, 2, false, &[3; 5]), Added::Waiting));
        assert!(matches!(add(&mut pool, 1, 1, 0, true, &[1; 8]), Added::Waiting));
        assert!(matches!(add(&mut pool, 2, 1, 0, true, &[1; 8]), Added::Waiting));
        let Added::Whole(whole, waited) = add(&mut pool, 3, 1, 1, true, &[2; 8]) else { panic!("not whole") };
        assert_eq!((whole, waited), ([&[1; 8][..], &[2; 8], &[3; 5]].concat(), 3));
        assert!(pool.unfinished.is_empty());
    }

    #[test]
    fn pieces_that_contradict_each_other_make_none() {
        let mut pool = Defragmenter::default();
        add(&mut pool, 0, 1, 0, true, &[1; 16]);
        assert!(matches!(add(&mut pool, 0, 1, 1, false, &[2; 9]), Added::Conflict));
        assert!(pool.unfinished.is_empty());
    }

    #[test]
    fn what_is_never_whole_makes_room() {
        let mut pool = Defragmenter::default();
        for id in 0..10_000 {
            add(&mut pool, 0, id, 0, true, &[0; 8]);
            assert!(pool.unfinished.len() <= MOST);
        }
        // The newest are there, the oldest are not, and half a minute later none is.
        assert!(matches!(add(&mut pool, 1, 9_999, 1, false, &[0; 8]), Added::Whole(..)));
        assert!(matches!(add(&mut pool, 1, 0, 1, false, &[0; 8]), Added::Waiting));
        assert!(matches!(add(&mut pool, LONGEST_US + 1, 9_990, 1, false, &[0; 8]), Added::Waiting));
        assert_eq!(pool.unfinished.len(), 2);
    }
}

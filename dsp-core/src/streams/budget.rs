//! Budget: a limit on the bytes of payloads that several receivers hold together, and the rule by which packets are
//! dropped beyond it.
//!
//! Use it on a server whose calls have several streams, so that one flooded stream cannot take all memory. Within one
//! stream, [`DelayConfig::max_ms`](crate::receive::DelayConfig::max_ms) is the bound.
//!
//! The medium with the lowest priority loses packets first; among equals the one that holds most bytes, and the first
//! of two that hold the same. It drops the packet whose turn is next, as a full buffer does: what is left is newer,
//! and the delay comes down. The limit holds after each packet, even if one packet alone is larger than it.
//!
//! Bytes are those of the cells in which packets lie, redundant copies (RFC 2198) included: 64 for the shortest
//! packet, so that a flood of empty packets counts too. The cost is one pass over the media, and one more for each
//! dropped packet.
//!
//! Two streams hold more than they may together, and the one with the lower priority drops packets:
//!
//! ```
//! use dsp_core::streams::budget::{Budget, Buffered, Priority};
//!
//! /// Packets of 192 bytes.
//! struct Packets(u32);
//!
//! impl Buffered for Packets {
//!     fn buffered_bytes(&self) -> u32 {
//!         192 * self.0
//!     }
//!     fn give_up_oldest(&mut self) -> u32 {
//!         let before = self.buffered_bytes();
//!         self.0 = self.0.saturating_sub(1);
//!         before - self.buffered_bytes()
//!     }
//! }
//!
//! let mut media = [(Priority(1), Packets(10)), (Priority(0), Packets(10))];
//! Budget { bytes: 15 * 192 }.enforce(&mut media, |(priority, packets)| (*priority, packets));
//! assert_eq!((media[0].1.0, media[1].1.0), (10, 5));
//! ```

/// Priority of a medium: the higher one keeps its packets longer. Zero is usual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Priority(pub i8);

/// Something that holds packets under a budget, such as a [`Receiver`](crate::receive::Receiver).
pub trait Buffered {
    /// Number of bytes that the packets occupy.
    fn buffered_bytes(&self) -> u32;
    /// Drops the packet whose turn is next, and returns the number of bytes that this frees; 0 if there was none.
    fn give_up_oldest(&mut self) -> u32;
}

/// Limit on the bytes that several media may hold together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Budget {
    /// The limit, in bytes.
    pub bytes: u32,
}

impl Budget {
    /// Drops packets until all media together are within the budget. Call it whenever one of them has stored a packet.
    /// `of` returns the priority of a medium and the holder of its packets.
    pub fn enforce<T>(&self, media: &mut [T], of: impl Fn(&mut T) -> (Priority, &mut dyn Buffered)) {
        // Each turn frees some bytes, so this ends.
        loop {
            let mut sum = 0u32;
            let mut loser: Option<(Priority, u32, &mut T)> = None;
            for medium in &mut *media {
                let (priority, buffer) = of(medium);
                let bytes = buffer.buffered_bytes();
                sum = sum.saturating_add(bytes);
                let loses = |(lowest, most, _): &(Priority, u32, &mut T)| {
                    priority < *lowest || (priority == *lowest && bytes > *most)
                };
                if bytes > 0 && loser.as_ref().is_none_or(loses) {
                    loser = Some((priority, bytes, medium));
                }
            }
            let Some((.., loser)) = loser.filter(|_| sum > self.bytes) else { return };
            if of(loser).1.give_up_oldest() == 0 {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    /// Lengths of packets, the oldest first.
    struct Lengths(Vec<u32>);

    impl Buffered for Lengths {
        fn buffered_bytes(&self) -> u32 {
            self.0.iter().sum()
        }

        fn give_up_oldest(&mut self) -> u32 {
            if self.0.is_empty() { 0 } else { self.0.remove(0) }
        }
    }

    /// What is left of media of these priorities.
    fn left<const N: usize>(bytes: u32, media: [(i8, &[u32]); N]) -> [Vec<u32>; N] {
        let mut media = media.map(|(priority, lengths)| (Priority(priority), Lengths(lengths.to_vec())));
        Budget { bytes }.enforce(&mut media, |(priority, lengths)| (*priority, lengths));
        media.map(|(_, lengths)| lengths.0)
    }

    #[test]
    fn within_the_budget_nobody_loses() {
        let media: [(i8, &[u32]); 2] = [(0, &[128, 64]), (-1, &[64])];
        assert_eq!(left(256, media), [vec![128, 64], vec![64]]);
        assert!(left(0, [(0, &[]), (3, &[])]).concat().is_empty());
    }

    #[test]
    fn the_lowest_priority_loses_first_and_its_oldest() {
        let media: [(i8, &[u32]); 3] = [(0, &[64; 4]), (-1, &[192, 64, 128]), (1, &[640])];
        assert_eq!(left(1_280, media), [vec![64; 4], vec![192, 64, 128], vec![640]]);
        assert_eq!(left(1_279, media), [vec![64; 4], vec![64, 128], vec![640]]);
        // It loses all before the next one loses any.
        assert_eq!(left(896, media), [vec![64; 4], vec![], vec![640]]);
        assert_eq!(left(800, media), [vec![64; 2], vec![], vec![640]]);
        assert!(left(639, media).concat().is_empty());
    }

    #[test]
    fn among_equals_who_holds_most_loses() {
        assert_eq!(left(448, [(0, &[64; 2]), (0, &[64; 7]), (0, &[64; 3])]), [vec![64; 2], vec![64; 2], vec![64; 3]]);
        assert_eq!(left(256, [(0, &[64; 2]), (0, &[64; 3])]), [vec![64; 2], vec![64; 2]]);
        assert_eq!(left(192, [(0, &[64; 2]), (0, &[64; 2])]), [vec![64; 1], vec![64; 2]]);
    }

    /// One that has bytes and gives none.
    struct Stubborn;

    impl Buffered for Stubborn {
        fn buffered_bytes(&self) -> u32 {
            64
        }

        fn give_up_oldest(&mut self) -> u32 {
            0
        }
    }

    #[test]
    fn it_ends_with_whom_nothing_can_be_had_of() {
        Budget { bytes: 10 }.enforce(&mut [Stubborn], |medium| (Priority::default(), medium));
    }
}

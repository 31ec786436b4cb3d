//! Budget: bytes of payloads that several receivers share, and which of them lets packets go when there are more.
//!
//! The lowest priority loses first; among equals the medium that holds most, whose packets wait longest for their turn;
//! of two that hold the same the first in line. It gives up the packet whose turn is next, as a full buffer does: what
//! is left is newer, and the delay comes down. No packet is kept for its own sake. A last one would be given up for the
//! next before its turn came, and the bound would be none: it holds after each packet, even if one alone is larger.
//!
//! Bytes are those of the cells in which packets lie, redundant copies (RFC 2198) included: 64 for the shortest packet,
//! so that a flood of empty ones has its price too. Cost: one pass over the media, and one more for each packet let go.

use super::jitter::CELL_BYTES;
use super::stats::bump;
use super::{Receiver, State};

/// What a medium is worth beside others: the higher keeps its packets longer. Zero is usual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Priority(pub i8);

/// Who holds packets under a budget.
pub trait Buffered {
    /// Bytes that its packets occupy.
    fn buffered_bytes(&self) -> u32;
    /// Gives up the packet whose turn is next. Bytes that are free for it; 0 if there was none.
    fn give_up_oldest(&mut self) -> u32;
}

/// Bytes that several media may hold together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Budget {
    /// At most so many.
    pub bytes: u32,
}

impl Budget {
    /// Lets packets go until all media together are within the budget: to be called whenever one of them took in a
    /// packet. `of` tells a medium's priority and what holds its packets.
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

impl<const CELLS: usize, const SAMPLES: usize, const CHANNELS: usize> Buffered for Receiver<CELLS, SAMPLES, CHANNELS> {
    fn buffered_bytes(&self) -> u32 {
        (self.jitter.cells() * CELL_BYTES) as u32
    }

    fn give_up_oldest(&mut self) -> u32 {
        let before = self.buffered_bytes();
        if before == 0 {
            return 0;
        }
        self.drop_first();
        bump(&mut self.stats.crowded_out);
        if self.jitter.is_empty() {
            // What comes next follows a loss, not a pause.
            self.broken = true;
        } else {
            // To wait longer for the beginning would only lose more.
            self.full |= self.state == State::Priming;
        }
        before - self.buffered_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::g711::Pcmu;
    use crate::receive::{NarrowbandReceiver, ReceiverConfig};
    use crate::time::{Instant, PayloadType, RtpTime, Seq, Ssrc};
    use crate::wire::rtp::RtpHeader;
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

    fn push_payload(receiver: &mut NarrowbandReceiver, seq: u16, payload_type: PayloadType, payload: &[u8]) {
        let (seq, timestamp) = (Seq(seq), RtpTime(u32::from(seq) * 160));
        let header = RtpHeader { payload_type, seq, timestamp, ssrc: Ssrc(1), ..RtpHeader::default() };
        let mut bytes = vec![0; 12 + payload.len()];
        header.write_packet(payload, &mut bytes).unwrap();
        receiver.receive(Instant::from_millis(u64::from(seq.0) * 20), &bytes).unwrap();
    }

    fn push(receiver: &mut NarrowbandReceiver, seq: u16) {
        push_payload(receiver, seq, PayloadType::PCMU, &[0x55; 160]);
    }

    #[test]
    fn a_receiver_gives_up_what_is_next_and_counts_it() {
        let mut receiver = NarrowbandReceiver::new(ReceiverConfig::default()).unwrap();
        assert_eq!((receiver.buffered_bytes(), receiver.give_up_oldest()), (0, 0));
        for seq in [0, 1, 3] {
            push(&mut receiver, seq);
        }
        assert_eq!(receiver.buffered_bytes(), 3 * 192);
        Budget { bytes: 2 * 192 }.enforce(&mut [&mut receiver], |receiver| (Priority::default(), *receiver));
        assert_eq!(receiver.jitter.next_seq(), Some(Seq(1)));
        // Then the one that is missing is lost.
        assert_eq!([192, 192, 0], [(); 3].map(|()| receiver.give_up_oldest()));
        let (stats, bursts) = (receiver.stats(), receiver.bursts());
        assert_eq!((stats.crowded_out, stats.discarded, stats.buffered_packets), (3, 3, 0));
        assert_eq!((bursts.expected, bursts.discarded, bursts.lost), (4, 3, 1));
    }

    #[test]
    fn a_redundant_copy_is_a_packet() {
        let mut receiver = NarrowbandReceiver::new(ReceiverConfig::default()).unwrap();
        let red = PayloadType::from_low_bits(97);
        receiver.set_redundancy(Some(red));
        push(&mut receiver, 0);
        // RFC 2198, 3: PCMU 160 ticks before, 160 bytes; then PCMU.
        let mut payload = vec![0x80, 0x02, 0x80, 0xa0, 0x00];
        payload.extend([0x55; 320]);
        push_payload(&mut receiver, 2, red, &payload);
        assert_eq!(receiver.buffered_bytes(), 3 * 192);
        while receiver.give_up_oldest() > 0 {}
        let (stats, bursts) = (receiver.stats(), receiver.bursts());
        assert_eq!((stats.crowded_out, bursts.expected, bursts.discarded), (3, 3, 3));
    }

    #[test]
    fn what_was_given_up_is_filled_and_not_taken_for_a_pause() {
        let mut receiver = NarrowbandReceiver::new(ReceiverConfig::default()).unwrap();
        let mut decoder = (PayloadType::PCMU, Pcmu);
        let mut pcm = [0; 160];
        let mut silence = 0;
        for seq in 0..40 {
            push(&mut receiver, seq);
            if seq == 30 {
                silence = receiver.stats().silence_samples;
                while receiver.give_up_oldest() > 0 {}
            }
            receiver.play(Instant::from_millis(u64::from(seq) * 20), &mut decoder, &mut pcm);
        }
        let stats = receiver.stats();
        assert!(stats.crowded_out > 0 && stats.concealed_lost_samples > 0, "{stats:?}");
        assert_eq!((stats.silence_samples, stats.pauses), (silence, 0));
    }
}

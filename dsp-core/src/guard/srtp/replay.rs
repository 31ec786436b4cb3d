//! The packet index and the replay list of one stream: RFC 3711, 3.3.1 (index), 3.3.2 (replay), appendix A.
//!
//! An SRTP index has 48 bits: the roll-over counter in the upper 32, the sequence number in the lower 16. An SRTCP
//! index has 31 bits and is in the packet. Both use the same window of [`WINDOW`] packets. Nothing changes here before
//! the caller has authenticated the packet.

/// Packets that may arrive behind the newest and are still told apart from replays (RFC 3711, 3.3.2 asks for 64).
pub(super) const WINDOW: u64 = 128;

/// Which indices of one stream were used under one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Replay {
    /// One more than the highest index used, zero before the first; while `seen` is zero only an estimate of where the
    /// stream stands.
    next: u64,
    /// Bit k: `next - 1 - k` was used. Zero: none under this key.
    seen: u128,
}

impl Replay {
    /// A stream of which every index up to and including `highest` counts as used.
    pub(super) const fn used_up_to(highest: u64) -> Self {
        Self { next: highest + 1, seen: u128::MAX }
    }

    /// A stream that would go on with `next`, and of which nothing was used.
    pub(super) const fn from_estimate(next: u64) -> Self {
        Self { next, seen: 0 }
    }

    /// The same stream under a fresh key: nothing used, the roll-over counter goes on.
    pub(super) const fn continued(self) -> Self {
        Self::from_estimate(self.next)
    }

    /// Everything up to and including `highest` counts as used from now on. It never takes anything back.
    pub(super) const fn raise(&mut self, highest: u64) {
        if self.seen == 0 || highest >= self.next {
            *self = Self::used_up_to(highest);
        }
    }

    /// The highest used index, if any.
    pub(super) const fn highest(&self) -> Option<u64> {
        if self.seen == 0 { None } else { Some(self.next - 1) }
    }

    /// The index after the highest, also of an earlier key; zero before the first.
    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    /// The index that `seq` most likely has: RFC 3711, 3.3.1 and appendix A. Before the first packet, ROC zero never
    /// steps back: a stream can't have sent anything before index 0.
    pub(super) const fn estimate(&self, seq: u16) -> u64 {
        let highest = self.next.saturating_sub(1);
        let roc = highest >> 16;
        let newest = highest as u16;
        let roc = if newest < 0x8000 {
            if seq > newest && seq - newest > 0x8000 { roc.saturating_sub(1) } else { roc }
        } else if newest - 0x8000 > seq {
            roc + 1
        } else {
            roc
        };
        roc << 16 | seq as u64
    }

    /// The indices that an incoming `seq` may have, the likeliest first. Only before the first packet under a key is
    /// there more than one: the counter goes on from an earlier key, starts at 0, or went to 1 unheard.
    pub(super) fn candidates(&self, seq: u16) -> [Option<u64>; 3] {
        let likeliest = self.estimate(seq);
        let first = u64::from(seq);
        let second = 1 << 16 | first;
        let open = self.seen == 0;
        [
            Some(likeliest),
            (open && likeliest != first).then_some(first),
            (open && seq < 0x8000 && likeliest != second).then_some(second),
        ]
    }

    /// Whether `index` may still be used: ahead of the window, or inside and not seen.
    pub(super) const fn is_fresh(&self, index: u64) -> bool {
        if self.seen == 0 || index >= self.next {
            return true;
        }
        let age = self.next - 1 - index;
        age < WINDOW && self.seen & (1 << age) == 0
    }

    /// Records `index`; only for a packet that [`Self::is_fresh`] and, if incoming, authenticated.
    pub(super) const fn accept(&mut self, index: u64) {
        if self.seen == 0 {
            self.next = index + 1;
            self.seen = 1;
        } else if index >= self.next {
            let step = index + 1 - self.next;
            self.seen = if step < WINDOW { self.seen << step | 1 } else { 1 };
            self.next = index + 1;
        } else if self.next - 1 - index < WINDOW {
            self.seen |= 1 << (self.next - 1 - index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimate_follows_the_nearest_half() {
        let at = |roc: u64, seq: u64| Replay::used_up_to(roc << 16 | seq);
        assert_eq!(at(5, 10).estimate(65_530), 4 << 16 | 65_530);
        assert_eq!(at(5, 65_530).estimate(3), 6 << 16 | 3);
        assert_eq!(at(5, 30_000).estimate(40_000), 5 << 16 | 40_000);
        assert_eq!(at(0, 10).estimate(65_530), 65_530);
        // The ends of the two comparisons in 3.3.1 are strict.
        assert_eq!(at(5, 100).estimate(0x8000 + 100), 5 << 16 | (0x8000 + 100));
        assert_eq!(at(5, 100).estimate(0x8000 + 101), 4 << 16 | (0x8000 + 101));
        assert_eq!(at(5, 0x8000 + 100).estimate(100), 5 << 16 | 100);
        assert_eq!(at(5, 0x8000 + 100).estimate(99), 6 << 16 | 99);
    }

    #[test]
    fn window_knows_each_packet_once() {
        let mut replay = Replay::default();
        assert!(replay.is_fresh(1_000));
        replay.accept(1_000);
        assert!(!replay.is_fresh(1_000));
        assert!(replay.is_fresh(1_000 - 127) && !replay.is_fresh(1_000 - 128));
        replay.accept(1_000 - 127);
        assert!(!replay.is_fresh(1_000 - 127));
        replay.accept(1_001);
        assert!(!replay.is_fresh(1_000) && !replay.is_fresh(1_001) && replay.is_fresh(999));
        replay.accept(1_001 + 128);
        assert!(!replay.is_fresh(1_001) && replay.is_fresh(1_002));
        replay.accept(1 << 47);
        assert!(!replay.is_fresh(1_129) && replay.is_fresh((1 << 47) - 1));
    }

    #[test]
    fn raising_takes_nothing_back() {
        let mut replay = Replay::from_estimate(5_000);
        replay.raise(1_000);
        assert_eq!(replay, Replay::used_up_to(1_000));
        replay.accept(1_003);
        replay.raise(900);
        assert!(!replay.is_fresh(1_003) && replay.is_fresh(1_002) && !replay.is_fresh(1_000));
        replay.raise(1_003);
        assert!(replay.is_fresh(1_002));
        replay.raise(1_004);
        assert!(!replay.is_fresh(1_002) && replay.is_fresh(1_005));
    }

    #[test]
    fn window_against_a_set() {
        let mut replay = Replay::default();
        let mut seen = std::collections::BTreeSet::new();
        let mut state = 0x1234_5678_u32;
        let mut base = 500_u64;
        for _ in 0..20_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            base += u64::from(state >> 31);
            let index = base + u64::from(state >> 8 & 0xff) - 128;
            let newest = seen.last().copied();
            let expected = newest.is_none_or(|n: u64| index > n || (n - index < WINDOW && !seen.contains(&index)));
            assert_eq!(replay.is_fresh(index), expected);
            if expected {
                replay.accept(index);
                seen.insert(index);
            }
        }
    }
}

//! The contexts of one key, one for each SSRC: RFC 3711, 3.2.3.
//!
//! A context is created only by an outgoing packet or by one that was authenticated. When all are in use, the one
//! unused for longest is replaced, and its highest indices are kept in a list: if that SSRC comes back, it goes on
//! from there, so that nothing can be replayed (or, outgoing, encrypted twice with the same keystream). When that list
//! is full too, a new SSRC is refused: nothing is ever forgotten.

use super::replay::Replay;

/// Former streams that are remembered: this many for each place, and these in addition.
const RETIRED_A_PLACE: usize = 6;
const RETIRED: usize = 16;

/// One stream under one key.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ProtectedStream {
    pub(super) ssrc: u32,
    pub(super) rtp: Replay,
    pub(super) rtcp: Replay,
    /// The table's clock at the last use; zero marks a free place.
    used: u32,
}

impl ProtectedStream {
    pub(super) fn new(ssrc: u32) -> Self {
        Self { ssrc, ..Self::default() }
    }
}

/// What is kept of a stream that has no place: of each counter the index after the highest one used. Where none was used
/// under this key, it's an estimate that may be forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Retired {
    /// 49 bits, and the flags.
    rtp_next: u64,
    rtcp_next: u32,
    ssrc: u32,
}

impl Retired {
    const RTP_USED: u64 = 1 << 63;
    const RTCP_USED: u64 = 1 << 62;

    fn new(stream: &ProtectedStream) -> Self {
        let flag = |replay: &Replay, flag: u64| if replay.highest().is_some() { flag } else { 0 };
        let flags = flag(&stream.rtp, Self::RTP_USED) | flag(&stream.rtcp, Self::RTCP_USED);
        // An SRTCP index has 31 bits, so that the one after it fits.
        Self { rtp_next: stream.rtp.next() | flags, rtcp_next: stream.rtcp.next() as u32, ssrc: stream.ssrc }
    }

    fn stream(self) -> ProtectedStream {
        let replay = |next: u64, flag: u64| match next.checked_sub(1) {
            Some(highest) if self.rtp_next & flag != 0 => Replay::used_up_to(highest),
            _ => Replay::from_estimate(next),
        };
        let rtp = replay(self.rtp_next & !(Self::RTP_USED | Self::RTCP_USED), Self::RTP_USED);
        ProtectedStream { rtp, rtcp: replay(self.rtcp_next.into(), Self::RTCP_USED), ..ProtectedStream::new(self.ssrc) }
    }

    fn is_heard(&self) -> bool {
        self.rtp_next & (Self::RTP_USED | Self::RTCP_USED) != 0
    }

    /// The same stream under a fresh key.
    fn continued(self) -> Self {
        Self { rtp_next: self.rtp_next & !(Self::RTP_USED | Self::RTCP_USED), ..self }
    }

    fn is_free(&self) -> bool {
        self.rtp_next == 0 && self.rtcp_next == 0
    }
}

/// Up to `N` streams, and the memory of those before them.
#[derive(Clone)]
pub(super) struct Streams<const N: usize> {
    active: [ProtectedStream; N],
    retired: [Retired; RETIRED],
    more_retired: [[Retired; RETIRED_A_PLACE]; N],
    clock: u32,
    /// Where the last packet's stream lies: nearly always the next packet's too.
    latest: usize,
}

impl<const N: usize> Streams<N> {
    pub(super) fn new() -> Self {
        Self {
            active: [ProtectedStream::default(); N],
            retired: [Retired::default(); RETIRED],
            more_retired: [[Retired::default(); RETIRED_A_PLACE]; N],
            clock: 0,
            latest: 0,
        }
    }

    /// The stream of `ssrc` as it stands, new if it was never heard of; `None` if it is new and there is no room for it. A
    /// copy: nothing changes until [`Self::store`].
    pub(super) fn load(&self, ssrc: u32) -> Option<ProtectedStream> {
        if let Some(place) = self.find(ssrc) {
            return Some(self.active[place]);
        }
        // A place that is left needs an entry in the memory: the newcomer's own, or one that may be forgotten.
        let mut forgettable = self.active.iter().any(|stream| stream.used == 0);
        for old in self.all_retired() {
            if old.ssrc == ssrc && !old.is_free() {
                return Some(old.stream());
            }
            forgettable |= !old.is_heard();
        }
        forgettable.then(|| ProtectedStream::new(ssrc))
    }

    /// Puts back a stream that was [loaded](Self::load), after its packet was accepted. If it is new and all places are
    /// taken, the stream unused for longest makes room.
    pub(super) fn store(&mut self, mut stream: ProtectedStream) {
        self.clock = self.clock.wrapping_add(1).max(1);
        stream.used = self.clock;
        let place = self.find(stream.ssrc).unwrap_or_else(|| self.make_room(stream.ssrc));
        if let Some(slot) = self.active.get_mut(place) {
            *slot = stream;
            self.latest = place;
        }
    }

    /// Makes or changes the stream of `ssrc`: everything up to these indices counts as used. Whether there is room for it.
    pub(super) fn resume(&mut self, ssrc: u32, rtp_index: u64, rtcp_index: u64) -> bool {
        let Some(mut stream) = self.load(ssrc) else { return false };
        stream.rtp.raise(rtp_index);
        stream.rtcp.raise(rtcp_index);
        self.store(stream);
        true
    }

    /// Every stream's estimate for a fresh key: the roll-over counters go on, no index is used.
    pub(super) fn continued(&self) -> Self {
        let mut next = self.clone();
        for stream in &mut next.active {
            (stream.rtp, stream.rtcp) = (stream.rtp.continued(), stream.rtcp.continued());
        }
        for old in next.all_retired_mut() {
            *old = old.continued();
        }
        next
    }

    /// What must be remembered of this key when it is left.
    pub(super) fn heard(&self) -> impl Iterator<Item = Retired> + '_ {
        let active = self.active.iter().filter(|stream| stream.used != 0).map(Retired::new);
        active.chain(self.all_retired().copied()).filter(Retired::is_heard)
    }

    /// Takes back what was [heard](Self::heard) when this key was left.
    pub(super) fn recall(&mut self, old: Retired) {
        self.store(old.stream());
    }

    fn all_retired(&self) -> impl Iterator<Item = &Retired> {
        self.retired.iter().chain(self.more_retired.as_flattened())
    }

    fn all_retired_mut(&mut self) -> impl Iterator<Item = &mut Retired> {
        self.retired.iter_mut().chain(self.more_retired.as_flattened_mut())
    }

    fn find(&self, ssrc: u32) -> Option<usize> {
        let is = |stream: &ProtectedStream| stream.ssrc == ssrc && stream.used != 0;
        if self.active.get(self.latest).is_some_and(is) {
            return Some(self.latest);
        }
        self.active.iter().position(is)
    }

    /// A free place, or that of the stream unused for longest, which retires. `N` is not zero, as [`super::Srtp`] has it.
    fn make_room(&mut self, newcomer: u32) -> usize {
        // The newcomer may be an old acquaintance: its entry would otherwise take a place in the memory for nothing.
        if let Some(old) = self.all_retired_mut().find(|old| old.ssrc == newcomer) {
            *old = Retired::default();
        }
        let age =
            |stream: &ProtectedStream| if stream.used == 0 { u32::MAX } else { self.clock.wrapping_sub(stream.used) };
        let place = (0..N).max_by_key(|&place| age(&self.active[place])).unwrap_or(0);
        let Some(leaves) = self.active.get(place).filter(|old| old.used != 0).map(Retired::new) else { return place };
        // An entry that is free, else one that is only an estimate. `load` has seen that there is one.
        let rank = |old: &&mut Retired| u8::from(!old.is_free());
        let forgettable = self.all_retired_mut().filter(|old| !old.is_heard()).min_by_key(rank);
        if let Some(entry) = forgettable {
            *entry = leaves;
        }
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch<const N: usize>(streams: &mut Streams<N>, ssrc: u32, index: u64) -> bool {
        let mut stream = streams.load(ssrc).unwrap();
        let fresh = stream.rtp.is_fresh(index);
        stream.rtp.accept(index);
        streams.store(stream);
        fresh
    }

    #[test]
    fn the_least_recently_used_makes_room_and_is_remembered() {
        let mut streams = Streams::<2>::new();
        assert!(touch(&mut streams, 1, 100));
        assert!(touch(&mut streams, 2, 200));
        assert!(touch(&mut streams, 1, 101));
        assert!(touch(&mut streams, 3, 300));
        assert!(streams.find(2).is_none() && streams.find(1).is_some());
        assert_eq!(streams.load(2).unwrap().rtp, Replay::used_up_to(200));
        assert!(touch(&mut streams, 2, 201));
        assert!(!touch(&mut streams, 2, 201));
        assert_eq!(streams.load(1).unwrap().rtp, Replay::used_up_to(101));
    }

    #[test]
    fn the_memory_holds_as_many_as_it_says_and_then_no_newcomer() {
        let mut streams = Streams::<2>::new();
        let most = (2 + RETIRED + 2 * RETIRED_A_PLACE) as u32;
        for ssrc in 0..most {
            assert!(touch(&mut streams, ssrc, 7));
        }
        for _ in 0..3 {
            for ssrc in 0..most {
                assert!(!touch(&mut streams, ssrc, 7), "{ssrc}");
            }
            assert!(streams.load(most).is_none() && !streams.resume(most, 1, 1));
        }
        let heard: std::collections::BTreeSet<u32> = streams.heard().map(|old| old.ssrc).collect();
        assert!(heard.into_iter().eq(0..most));
        // Under a fresh key all of them are estimates, and make room.
        let mut next = streams.continued();
        assert_eq!(next.heard().count(), 0);
        for ssrc in 0..most {
            assert_eq!(next.load(ssrc).unwrap().rtp, Replay::from_estimate(8));
        }
        for ssrc in 0..most {
            assert!(touch(&mut next, 1_000 + ssrc, 7));
        }
        assert!(next.load(0).is_none());
    }

    #[test]
    fn what_was_heard_is_taken_back() {
        let mut streams = Streams::<2>::new();
        for ssrc in 0..20 {
            touch(&mut streams, ssrc, u64::from(ssrc) << 30);
        }
        let mut stream = streams.load(3).unwrap();
        stream.rtcp.accept((1 << 31) - 1);
        streams.store(stream);
        let mut again = Streams::<2>::new();
        for old in streams.heard() {
            again.recall(old);
        }
        for ssrc in 0..20 {
            let (before, after) = (streams.load(ssrc).unwrap(), again.load(ssrc).unwrap());
            assert_eq!(before.rtp.highest(), after.rtp.highest());
            assert_eq!(before.rtcp.highest(), after.rtcp.highest());
        }
    }

    #[test]
    fn ssrc_zero_is_a_stream_like_others() {
        let mut streams = Streams::<2>::new();
        assert_eq!(streams.load(0).unwrap().rtp, Replay::default());
        assert!(touch(&mut streams, 0, 5));
        assert!(!touch(&mut streams, 0, 5));
    }
}

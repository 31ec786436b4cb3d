//! The contexts of one key, one for each SSRC: RFC 3711, 3.2.3.
//!
//! A context is made only by a packet of ours or by one that authenticated. When all are taken, the one unused for
//! longest makes room, and its highest indices are kept in a short list: if that SSRC comes back, it goes on from
//! there and nothing of it can be replayed (or, outgoing, encrypted twice with the same keystream).

use super::replay::Replay;

/// Former streams whose highest indices are remembered.
pub(super) const RETIRED: usize = 16;

/// One stream under one key.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stream {
    pub(super) ssrc: u32,
    pub(super) rtp: Replay,
    pub(super) rtcp: Replay,
    /// The table's clock at the last use; zero marks a free place.
    used: u32,
}

impl Stream {
    pub(super) fn new(ssrc: u32) -> Self {
        Self { ssrc, ..Self::default() }
    }
}

/// What is kept of a stream that made room. A count is one more than the highest index used, zero if none was.
#[derive(Clone, Copy, Debug, Default)]
struct Retired {
    rtp_count: u64,
    ssrc: u32,
    rtcp_count: u32,
}

/// Up to `N` streams, and the memory of those before them.
#[derive(Clone)]
pub(super) struct Streams<const N: usize> {
    active: [Stream; N],
    retired: [Retired; RETIRED],
    next_retired: usize,
    clock: u32,
    /// Where the last packet's stream lies: nearly always the next packet's too.
    latest: usize,
}

impl<const N: usize> Streams<N> {
    pub(super) fn new() -> Self {
        Self {
            active: [Stream::default(); N],
            retired: [Retired::default(); RETIRED],
            next_retired: 0,
            clock: 0,
            latest: 0,
        }
    }

    /// The stream of `ssrc` as it stands, new if it was never heard of. A copy: nothing changes until
    /// [`Self::store`].
    pub(super) fn load(&self, ssrc: u32) -> Stream {
        if let Some(place) = self.find(ssrc) {
            return self.active[place];
        }
        let mut stream = Stream::new(ssrc);
        if let Some(old) =
            self.retired.iter().find(|old| old.ssrc == ssrc && (old.rtp_count | u64::from(old.rtcp_count)) != 0)
        {
            if let Some(highest) = old.rtp_count.checked_sub(1) {
                stream.rtp = Replay::used_up_to(highest);
            }
            if let Some(highest) = old.rtcp_count.checked_sub(1) {
                stream.rtcp = Replay::used_up_to(u64::from(highest));
            }
        }
        stream
    }

    /// Puts back a stream after its packet was accepted. If it is new and all places are taken, the stream unused
    /// for longest makes room. Nothing happens if `N` is zero, which [`super::Srtp`] forbids.
    pub(super) fn store(&mut self, mut stream: Stream) {
        self.clock = self.clock.wrapping_add(1).max(1);
        stream.used = self.clock;
        let place = self.find(stream.ssrc).unwrap_or_else(|| self.make_room(stream.ssrc));
        if let Some(slot) = self.active.get_mut(place) {
            *slot = stream;
            self.latest = place;
        }
    }

    /// Makes or changes the stream of `ssrc`: everything up to these indices counts as used.
    pub(super) fn resume(&mut self, ssrc: u32, rtp_index: u64, rtcp_index: u64) {
        let (rtp, rtcp) = (Replay::used_up_to(rtp_index), Replay::used_up_to(rtcp_index));
        self.store(Stream { rtp, rtcp, ..Stream::new(ssrc) });
    }

    /// Every stream's estimate for a fresh key: the roll-over counters go on, no index is used.
    pub(super) fn continued(&self) -> Self {
        let mut next = Self::new();
        next.clock = self.clock;
        next.latest = self.latest;
        for (to, from) in next.active.iter_mut().zip(&self.active) {
            *to = Stream { rtp: from.rtp.continued(), rtcp: from.rtcp.continued(), ..*from };
        }
        next
    }

    fn find(&self, ssrc: u32) -> Option<usize> {
        let is = |stream: &Stream| stream.ssrc == ssrc && stream.used != 0;
        if self.active.get(self.latest).is_some_and(is) {
            return Some(self.latest);
        }
        self.active.iter().position(is)
    }

    /// A free place, or that of the stream unused for longest, which retires.
    fn make_room(&mut self, newcomer: u32) -> usize {
        // The newcomer may be an old acquaintance: its entry would otherwise take a place in the memory for nothing.
        if let Some(old) = self.retired.iter_mut().find(|old| old.ssrc == newcomer) {
            *old = Retired::default();
        }
        let age = |stream: &Stream| if stream.used == 0 { u32::MAX } else { self.clock.wrapping_sub(stream.used) };
        let place = (0..N).max_by_key(|&place| age(&self.active[place])).unwrap_or(0);
        if let Some(old) = self.active.get(place).filter(|old| old.used != 0) {
            let rtp_count = old.rtp.highest().map_or(0, |highest| highest + 1);
            let rtcp_count = old.rtcp.highest().map_or(0, |highest| highest as u32 + 1);
            let free = self.retired.iter().position(|old| old.rtp_count == 0 && old.rtcp_count == 0);
            let slot = free.unwrap_or(self.next_retired);
            self.retired[slot] = Retired { rtp_count, ssrc: old.ssrc, rtcp_count };
            self.next_retired = (slot + 1) % RETIRED;
        }
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch<const N: usize>(streams: &mut Streams<N>, ssrc: u32, index: u64) -> bool {
        let mut stream = streams.load(ssrc);
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
        assert_eq!(streams.load(2).rtp, Replay::used_up_to(200));
        assert!(touch(&mut streams, 2, 201));
        assert!(!touch(&mut streams, 2, 201));
        assert_eq!(streams.load(1).rtp, Replay::used_up_to(101));
    }

    #[test]
    fn the_memory_holds_as_many_as_it_says() {
        let mut streams = Streams::<1>::new();
        for ssrc in 0..=RETIRED as u32 {
            assert!(touch(&mut streams, ssrc, 7));
        }
        for ssrc in 0..RETIRED as u32 {
            assert_eq!(streams.load(ssrc).rtp, Replay::used_up_to(7));
        }
        touch(&mut streams, 99, 7);
        assert_eq!(streams.load(0).rtp, Replay::default());
        assert_eq!(streams.load(1).rtp, Replay::used_up_to(7));
    }

    #[test]
    fn ssrc_zero_is_a_stream_like_others() {
        let mut streams = Streams::<2>::new();
        assert_eq!(streams.load(0).rtp, Replay::default());
        assert!(touch(&mut streams, 0, 5));
        assert!(!touch(&mut streams, 0, 5));
    }
}

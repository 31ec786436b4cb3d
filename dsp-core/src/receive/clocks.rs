//! One fine clock for all payload types: the timestamp of a packet counts in the clock of its payload type, and is
//! converted to the receiver's clock.
//!
//! Each payload type counts in the clock of its `a=rtpmap`. One of its ticks is a whole number of the receiver's ticks
//! if the rates are multiples, and otherwise a fraction that is exact for whole packets (441 ticks at 44.1 kHz are 480
//! at 48 kHz). The position of a timestamp is counted from an *anchor*, a packet of the same clock whose position is
//! known.
//!
//! Senders that change the clock rate under one SSRC count in one of three ways (RFC 7160): each clock from an origin
//! of its own (3.2.2); on from the packet before, with its length in the new clock (3.2.1), or in the old one (4.2).
//! No signalling tells which. For sound without a break it does not matter: the first packet with another clock lies
//! where those before it end. After a pause, the count is taken whose pause is as long as the arrival times say; if
//! there is none, the sender's clock has jumped too. A packet that was overtaken at the change is placed by the anchor
//! of its own clock.
//!
//! Times are ticks of the receiver's clock, modulo 2^32. A packet costs a multiplication if the clocks differ, and a
//! division if neither rate is a multiple of the other. The memory is 56 bytes, and 48 bytes of the table of payload
//! types.

use crate::time::{RtpTime, Seq, common_divisor};

/// Clocks that the payload types of one call may have, the receiver's own among them.
pub(super) const MOST: usize = 4;
/// Sound goes on unbroken if it is told within this share of the least jump: 60 ms / 32 are 2 ms.
const EXACT: i32 = 32;
/// A packet that is later by up to this multiple of the least jump was late; beyond that, its sender paused.
const STEADY: i32 = 8;

/// Ticks of the receiver's clock in one of another: `up / down`, in lowest terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ratio {
    up: u32,
    down: u32,
}

impl Ratio {
    /// The receiver's own clock.
    pub(super) const ONE: Self = Self { up: 1, down: 1 };

    /// The ratio of a clock of `from_hz` to one of `to_hz`, neither of which is 0.
    pub(super) const fn new(from_hz: u32, to_hz: u32) -> Self {
        let common = common_divisor(to_hz, from_hz);
        Self { up: to_hz / common, down: from_hz / common }
    }

    /// A distance in ticks of the other clock in ticks of the receiver's. Modulo 2^32 a multiple goes on through a wrap as
    /// if there were none.
    const fn distance(self, ticks: i32) -> i32 {
        match self.down {
            1 => ticks.wrapping_mul(self.up as i32),
            down => (ticks as i64 * self.up as i64).div_euclid(down as i64) as i32,
        }
    }

    /// A length in ticks of the other clock in ticks of the receiver's.
    pub(super) const fn length(self, ticks: u32) -> u32 {
        match (self.up, self.down) {
            (1, 1) => ticks,
            (up, 1) => ticks.saturating_mul(up),
            (up, down) => {
                let length = ticks as u64 * up as u64 / down as u64;
                if length > u32::MAX as u64 { u32::MAX } else { length as u32 }
            }
        }
    }

    /// Ticks of the other clock in `ticks` of the receiver's.
    pub(super) const fn back(self, ticks: i32) -> i32 {
        match (self.up, self.down) {
            (1, 1) => ticks,
            (up, down) => {
                let (up, wanted) = (up as i64, ticks as i64 * down as i64);
                // Up, as a fraction was rounded down.
                (wanted + up - 1).div_euclid(up) as i32
            }
        }
    }

    /// The other clock in Hz, if the receiver's is `to_hz`.
    pub(super) const fn clock_hz(self, to_hz: u32) -> u32 {
        // To divide first is exact: what they have in common was taken out.
        to_hz / self.up * self.down
    }

    /// Whether `ticks` of the other clock are a whole number of the receiver's.
    const fn is_exact(self, ticks: i32) -> bool {
        self.down == 1 || (ticks as i64 * self.up as i64).rem_euclid(self.down as i64) == 0
    }
}

/// A timestamp of a clock, and where it lies.
#[derive(Clone, Copy, Debug, Default)]
struct Anchor {
    sent: RtpTime,
    place: RtpTime,
}

impl Anchor {
    fn place(self, sent: RtpTime, ratio: Ratio) -> RtpTime {
        self.place.plus(ratio.distance(sent.distance(self.sent)) as u32)
    }

    fn sent(self, place: RtpTime, ratio: Ratio) -> RtpTime {
        self.sent.plus(ratio.back(place.distance(self.place)) as u32)
    }
}

/// A packet's timestamp, with the clock that it counts in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    pub(super) seq: Seq,
    pub(super) sent: RtpTime,
    /// Number of the clock, below [`MOST`], and a tick of it.
    pub(super) clock: u8,
    pub(super) ratio: Ratio,
}

/// The newest packet.
#[derive(Clone, Copy, Debug, Default)]
struct Newest {
    sent: RtpTime,
    place: RtpTime,
    arrival: u32,
    seq: Seq,
    clock: u8,
}

/// Where the timestamps of one source lie on the receiver's clock.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SourceClocks {
    /// Once one has come: then a clock was here.
    newest: Newest,
    /// The anchor of each clock that was used; a bit in `here` for each.
    anchors: [Anchor; MOST],
    here: u8,
}

impl SourceClocks {
    fn anchor(&self, clock: u8) -> Option<Anchor> {
        self.anchors.get(usize::from(clock)).copied().filter(|_| self.here >> clock & 1 == 1)
    }

    fn newest_packet(&self) -> Option<Newest> {
        (self.here > 0).then_some(self.newest)
    }

    /// Takes in a packet that is newer than all before it. Packets are `packet` ticks long, as far as that is known; by less
    /// than `least` networks change their delay from one packet to the next. `newest`: a tick of the clock of the newest
    /// packet. Where it lies.
    pub(super) fn follow(&mut self, stamp: Stamp, newest: Ratio, arrival: u32, packet: u32, least: i32) -> RtpTime {
        let Stamp { seq, sent, clock, ratio } = stamp;
        let own = self.anchor(clock);
        let (place, is_new) = match (&self.newest_packet(), own) {
            (Some(newest), Some(anchor)) if newest.clock == clock => (anchor.place(sent, ratio), false),
            (Some(before), own) => (change(before, newest, stamp, own, arrival, packet, least), true),
            (None, _) => (RtpTime(ratio.distance(sent.0 as i32) as u32), true),
        };
        // A fraction is counted from the newest packet that lies at a whole tick.
        let exact = || own.is_some_and(|own| ratio.is_exact(sent.distance(own.sent)));
        if let Some(anchor) = self.anchors.get_mut(usize::from(clock))
            && (is_new || ratio.down > 1 && exact())
        {
            *anchor = Anchor { sent, place };
            self.here |= 1 << clock;
        }
        self.newest = Newest { sent, place, arrival, seq, clock };
        place
    }

    /// Where a packet lies that was overtaken, or that has no time of its own.
    pub(super) fn place(&self, stamp: Stamp, packet: u32) -> RtpTime {
        let Stamp { seq, sent, clock, ratio } = stamp;
        match (self.anchor(clock), self.newest_packet()) {
            (Some(anchor), _) => anchor.place(sent, ratio),
            // Nothing of its clock has come: it lies by its number.
            (None, Some(newest)) => {
                newest.place.plus(i32::from(seq.distance(newest.seq)).wrapping_mul(packet as i32) as u32)
            }
            (None, None) => sent,
        }
    }

    /// Where a timestamp lies that the sender writes by now, in the clock of the newest packet, a tick of which is `newest`:
    /// one of a sender report. As it is before the first packet.
    pub(super) fn reported(&self, sent: RtpTime, newest: Ratio) -> RtpTime {
        self.anchor(self.newest.clock).map_or(sent, |anchor| anchor.place(sent, newest))
    }

    /// The timestamp with which a packet at `place` was sent.
    pub(super) fn sent(&self, clock: u8, ratio: Ratio, place: RtpTime) -> RtpTime {
        self.anchor(clock).map_or(place, |anchor| anchor.sent(place, ratio))
    }

    /// The number of the clock that the newest packet counts in.
    pub(super) fn newest(&self) -> u8 {
        self.newest.clock
    }
}

/// Where the first packet of another clock lies.
fn change(
    newest: &Newest,
    before: Ratio,
    stamp: Stamp,
    own: Option<Anchor>,
    arrival: u32,
    packet: u32,
    least: i32,
) -> RtpTime {
    let elapsed = arrival.wrapping_sub(newest.arrival) as i32;
    let packets = i32::from(stamp.seq.distance(newest.seq).max(1));
    let unbroken = match packet {
        0 => elapsed.max(0),
        packet => packets.saturating_mul(packet as i32),
    };
    let step = stamp.sent.distance(newest.sent);
    let counts = [
        own.map(|anchor| anchor.place(stamp.sent, stamp.ratio).distance(newest.place)),
        Some(stamp.ratio.distance(step)),
        Some(before.distance(step)),
    ];
    let off = |count: i32, from: i32| count.saturating_sub(from).saturating_abs();
    let mut best = None;
    for count in counts.into_iter().flatten() {
        let count = if off(count, unbroken) <= least / EXACT { unbroken } else { count };
        let is_pause = count > unbroken && off(count, elapsed) <= least;
        let is_better = best.is_none_or(|best| off(count, elapsed) < off(best, elapsed));
        if (count == unbroken || is_pause) && is_better {
            best = Some(count);
        }
    }
    // What comes much later was paused before; by less than that it is late.
    let late = elapsed.saturating_sub(unbroken).saturating_abs() < STEADY.saturating_mul(least);
    newest.place.plus(best.unwrap_or(if late { unbroken } else { elapsed }) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: u32 = 48_000;
    const LEAST: i32 = 2_880;
    const PACKET: u32 = 960;

    fn stamp(seq: u16, sent: u32, clock_hz: u32) -> Stamp {
        let clock = match clock_hz {
            48_000 => 0,
            8_000 => 1,
            _ => 2,
        };
        Stamp { seq: Seq(seq), sent: RtpTime(sent), clock, ratio: Ratio::new(clock_hz, FINE) }
    }

    const RATES: [u32; MOST] = [48_000, 8_000, 44_100, 0];

    fn follow(clocks: &mut SourceClocks, stamp: Stamp, arrival: u32) -> RtpTime {
        let newest = RATES[usize::from(clocks.newest())];
        clocks.follow(stamp, Ratio::new(newest, FINE), arrival, PACKET, LEAST)
    }

    /// How a sender counts that changes its clock.
    #[derive(Clone, Copy, Debug)]
    enum Way {
        /// RFC 7160, 3.2.1, 3.2.2 and 4.2.
        NewRate,
        OwnOrigin,
        OldRate,
    }

    /// Timestamps of 20 ms packets in these clocks; `None` is a packet's time in which nothing is sent.
    fn sender(way: Way, clocks: &[Option<u32>]) -> std::vec::Vec<Option<(u32, u32)>> {
        let (mut sent, mut before) = (u32::MAX - 3_000, 0);
        let mut paused = 0;
        clocks
            .iter()
            .enumerate()
            .map(|(n, clock)| {
                let Some(clock) = *clock else {
                    paused += 1;
                    return None;
                };
                let passed = if n == 0 { 0 } else { 1 + core::mem::take(&mut paused) };
                sent = match way {
                    Way::OwnOrigin => (n as u32 * clock / 50).wrapping_add(clock.wrapping_mul(977_777)),
                    Way::NewRate => sent.wrapping_add(passed * clock / 50),
                    Way::OldRate => sent.wrapping_add(passed * if before == 0 { clock } else { before } / 50),
                };
                before = clock;
                Some((clock, sent))
            })
            .collect()
    }

    const WAYS: [Way; 3] = [Way::NewRate, Way::OwnOrigin, Way::OldRate];

    #[test]
    fn however_a_sender_counts_its_packets_lie_one_behind_the_other() {
        let turns = [8_000, 48_000, 8_000, 44_100, 48_000, 8_000];
        let clocks: std::vec::Vec<_> = turns.iter().flat_map(|&clock| [Some(clock); 25]).collect();
        for way in WAYS {
            let mut clocks_of = SourceClocks::default();
            let mut begin = None;
            for (n, (clock, sent)) in sender(way, &clocks).into_iter().flatten().enumerate() {
                // Up to 25 ms later than the fastest.
                let arrival = n as u32 * PACKET + n as u32 * 7_919 % 1_200;
                let place = follow(&mut clocks_of, stamp(n as u16, sent, clock), arrival);
                let begin = *begin.get_or_insert(place);
                assert_eq!(place.distance(begin), n as i32 * PACKET as i32, "{way:?}, packet {n}");
                let ratio = Ratio::new(clock, FINE);
                let back = clocks_of.sent(stamp(0, 0, clock).clock, ratio, place);
                assert_eq!(back, RtpTime(sent), "{way:?}, packet {n}");
                assert_eq!(clocks_of.reported(RtpTime(sent.wrapping_add(clock / 100)), ratio).distance(place), 480);
            }
        }
    }

    #[test]
    fn packets_that_are_lost_or_overtaken_at_a_change_move_nothing() {
        for way in WAYS {
            let clocks: std::vec::Vec<_> = [[Some(8_000); 10], [Some(48_000); 10], [Some(8_000); 10]].concat();
            let sent: std::vec::Vec<_> = sender(way, &clocks).into_iter().flatten().collect();
            for order in [
                // The last of one clock and the first of the other are lost; or they overtake each other.
                [8, 11, 12, 13, 14, 15],
                [8, 10, 9, 11, 12, 13],
                [8, 11, 9, 10, 12, 13],
                [7, 10, 11, 12, 9, 8],
            ] {
                let mut clocks_of = SourceClocks::default();
                let mut place_of = |n: usize| {
                    let (clock, sent) = sent[n];
                    let stamp = stamp(n as u16, sent, clock);
                    let newer = clocks_of.newest_packet().is_none_or(|newest| stamp.seq.distance(newest.seq) > 0);
                    let place = match newer {
                        true => follow(&mut clocks_of, stamp, n as u32 * PACKET),
                        false => clocks_of.place(stamp, PACKET),
                    };
                    (n, place)
                };
                let begin = (0..7).map(&mut place_of).last().unwrap();
                for (n, place) in order.into_iter().map(place_of) {
                    let expected = (n as i32 - begin.0 as i32) * PACKET as i32;
                    assert_eq!(place.distance(begin.1), expected, "{way:?}, {order:?}: packet {n}");
                }
            }
        }
    }

    #[test]
    fn a_pause_at_a_change_is_as_long_as_the_count_says_that_the_arrivals_agree_with() {
        for way in WAYS {
            for pause in [5, 50, 500] {
                // The own origin of a clock is known only when it was here before.
                let mut clocks = std::vec![Some(48_000); 10];
                clocks.extend([Some(8_000); 10]);
                clocks.extend(core::iter::repeat_n(None, pause));
                clocks.extend([Some(48_000); 2]);
                let mut clocks_of = SourceClocks::default();
                let (mut seq, mut begin, mut last) = (0, None, RtpTime(0));
                for (n, sent) in sender(way, &clocks).into_iter().enumerate() {
                    let Some((clock, sent)) = sent else { continue };
                    // What comes behind the pause is 20 ms late.
                    let late = if n >= 20 + pause { PACKET } else { 0 };
                    last = follow(&mut clocks_of, stamp(seq, sent, clock), n as u32 * PACKET + late);
                    begin.get_or_insert(last);
                    seq += 1;
                }
                let expected = (clocks.len() - 1) as i32 * PACKET as i32;
                // Counted on in the old clock, a pause is as long in the new one as it was in the old.
                assert_eq!(last.distance(begin.unwrap()), expected, "{way:?}, a pause of {pause} packets");
            }
        }
    }

    #[test]
    fn one_clock_is_what_it_was() {
        let mut clocks = SourceClocks::default();
        for n in 0..1_000u32 {
            let sent = (u32::MAX - 1_000).wrapping_add(n * 960);
            let place = follow(&mut clocks, stamp(n as u16, sent, 48_000), n * 960);
            assert_eq!(place, RtpTime(sent));
        }
        // A jump of the sender's is somebody else's to see.
        let place = follow(&mut clocks, stamp(1_000, 77, 48_000), 0);
        assert_eq!(place, RtpTime(77));
    }

    #[test]
    fn ratios_are_exact_for_whole_packets_and_go_there_and_back() {
        let cd = Ratio::new(44_100, 48_000);
        assert_eq!((cd.length(882), cd.distance(-882), cd.back(960)), (960, -960, 882));
        let slow = Ratio::new(48_000, 8_000);
        assert_eq!((slow.length(960), slow.distance(-960), slow.back(-160)), (160, -160, -960));
        assert_eq!(Ratio::new(8_000, 48_000).length(u32::MAX), u32::MAX);
        for hz in [8_000, 11_025, 16_000, 44_100, 48_000] {
            let ratio = Ratio::new(hz, 48_000);
            for ticks in [0, 1, 7, 441, 160_000_000] {
                assert_eq!(ratio.back(ratio.distance(ticks)), ticks, "{hz}");
            }
        }
    }
}

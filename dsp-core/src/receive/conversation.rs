//! The delay of a conversation: several bounds of the waiting time are played virtually, and the best one is followed.
//!
//! A *bound* is how long a packet may wait. What a receiver with that bound would have done with the packets so far
//! needs no sound, but only its playout delay `d` after the base, and two sums. A packet that arrives `r` after the
//! base
//! - is late if `r > d`: for `r - d` nothing was there, sound was concealed, and the delay is `r` from then on;
//! - otherwise waits for `d - r`, but at most for the bound: sound that waited longer is dropped in exchange for sound
//!   that was concealed before;
//! - and afterwards a delay below the bound grows by an eighth of the time, as it does by playing slower.
//!
//! The base is that of the delay estimator, the fastest packet of the last 10 to 20 seconds. If the fastest of the
//! last few packets took longer, and the network does not become faster, the delay is counted from those as well: a
//! queue that fills is followed by playing slower, and a stall that drains is not.
//!
//! A packet that was overtaken is late alone and changes no delay. With every eighth packet, the rating R (ITU-T
//! G.107) of each bound is computed: the impairment by its mean waiting time together with the rest of the way from
//! mouth to ear, and the impairment by its share of concealed sound together with what is lost for all bounds. The
//! sums decay with a half-life of 355 packets. But a call is rated as a whole, so each bound is rated as if the
//! seconds to come, which are taken to be like those past, were joined to the call so far, which decays eight times as
//! slowly. Without that, bursts for which waiting or not waiting have the same R would be answered now in one way and
//! now in the other, which is worse than either. A bound is replaced by another one that is better by 0.3 of R in
//! these seconds, or by a shorter one that is better by 1, since each change is heard. A bound counts for no more than
//! the longest delay of the last 20 to 30 s, so that nothing waits any longer once the network has become calm.
//!
//! With packets of another length the network is loaded in another way, as by a sender that has made its packets longer because a queue
//! had filled: after eight of them all sums begin again.
//!
//! Everything is in whole ms and integers. The memory is below 450 bytes. A packet costs about 15 instructions for
//! each of 24 bounds, and every eighth packet three divisions for each.

use crate::quality::impairment::{self, LossImpairment};
use crate::time::Duration;

use core::num::NonZeroU16;

/// What a receiver is told about a conversation beyond what its packets show. See
/// [`Receiver::set_conversation`](super::Receiver::set_conversation).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Conversation {
    /// One-way delay from mouth to ear without the jitter buffer: half the round trip, the length of a packet, and the
    /// delay of codec and devices.
    pub besides: Duration,
    /// How much packet loss impairs the codec.
    pub loss: LossImpairment,
}

impl Default for Conversation {
    /// 50 ms of other delay, as for packets of 20 ms and a network of 30 ms, and G.711 with concealment.
    fn default() -> Self {
        Self { besides: Duration::from_millis(50), loss: LossImpairment::default() }
    }
}

/// Why a conversation is delayed as much as it is: the impairments, on the scale of the rating R (ITU-T G.107), that
/// the present bound costs over the call so far and the seconds to come.
/// [`Receiver::delay_choice`](super::Receiver::delay_choice) returns it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct DelayChoice {
    /// The longest that a packet may wait, in ms.
    pub bound_ms: u32,
    /// One-way delay without the jitter buffer, as told or assumed, in ms.
    pub besides_ms: u32,
    /// What the delay takes off R, in tenths.
    pub delay_tenths: u32,
    /// What lost and late sound takes off R, in tenths.
    pub loss_tenths: u32,
}

/// Bounds in ms, of which each is a fifth to a third above the one before.
const BOUNDS: [u16; 24] = [
    2, 10, 20, 30, 40, 60, 80, 100, 120, 140, 160, 180, 200, 240, 280, 320, 400, 480, 560, 640, 800, 1_000, 1_280,
    1_700,
];
/// Sums count in 64ths, so that forgetting leaves nothing behind.
const FINE: u32 = 64;
/// Every eighth packet sums lose a 64th, and those of the call a 512th.
pub(super) const EVERY: u32 = 8;
const FORGET: u32 = 6;
const FORGET_CALL: u32 = 9;
/// Least number of packets over which shares are computed: one stall of few packets is no reason to expect as large a
/// share in future.
const AT_LEAST_PACKETS: u32 = 512;
/// To be worth a change a longer bound must be better by 0.3 of R, and a shorter one by 1.
const WORTH_LONGER: u32 = 3 * impairment::ONE / 10;
const WORTH_SHORTER: u32 = impairment::ONE;
/// A delay grows by an eighth of the time.
const GROWTH: i32 = 8;
/// Greatest number of packets, in 64ths, that are lost before one arrives.
const MOST_LOST: u32 = 4_096 * FINE;
/// Later than this nothing is worth waiting for.
const LATEST_MS: i32 = 10_000;
/// No clock of 8 kHz or faster counts this many ms in 32 bits: sums and differences of two transits fit into the
/// range.
const FARTHEST_MS: i32 = 1 << 28;
/// No bound is of use that is longer than any packet needed in these windows, of which one is filling.
const WINDOWS: usize = 3;
const WINDOW_MS: u16 = 10_000;
/// The present transit of the network is that of the fastest of this many packets, or of twice as many.
const NEAR_PACKETS: u16 = 4;

/// Receivers that are only counted, one for each of `N` bounds: numbers of a kind lie together, so that a machine with
/// vectors counts several at once.
#[derive(Clone, Debug)]
struct Virtual<const N: usize> {
    /// The transit of a packet that would be played as it comes, in ms.
    playing: [i32; N],
    /// Wait and made-up sound, in 64ths of a ms, forgotten little by little.
    wait: [u32; N],
    made_up: [u32; N],
}

impl<const N: usize> Virtual<N> {
    const NEW: Self = Self { playing: [0; N], wait: [0; N], made_up: [0; N] };

    /// The next packet took `transit`, the fastest of all `floor`, and of the last few, where it counts, `near`.
    fn next(&mut self, transit: i32, [floor, near]: [i32; 2], bounds: &[u16; N], growth: i32) {
        for (n, &bound) in bounds.iter().enumerate() {
            let bound = i32::from(bound);
            let late = (transit - self.playing[n]).max(0);
            self.made_up[n] += fine(late);
            let playing = (self.playing[n] + late).min(transit + bound);
            self.wait[n] += fine(playing - transit);
            let wanted = (floor + bound).max(near + beyond_near(bound));
            self.playing[n] = playing.max(wanted.min(playing + growth));
        }
    }

    /// A single packet came out of order.
    fn single(&mut self, transit: i32, packet_ms: i32) {
        for n in 0..N {
            let wait = self.playing[n] - transit;
            if wait < 0 {
                self.made_up[n] += fine(packet_ms);
            } else {
                self.wait[n] += fine(wait.min(BOUNDS[BOUNDS.len() - 1].into()));
            }
        }
    }

    fn forget(&mut self, shift: u32) {
        for sum in self.wait.iter_mut().chain(&mut self.made_up) {
            *sum -= *sum >> shift;
        }
    }
}

/// How much of a bound is enough beyond the fastest of the last few packets: part of the jitter is in that already.
fn beyond_near(bound: i32) -> i32 {
    bound * 5 / 8
}

/// In 64ths of a ms, of `ms` that are not negative.
fn fine(ms: i32) -> u32 {
    ms as u32 * FINE
}

/// Packets that came, and those that were expected, in 64ths, forgotten little by little.
#[derive(Clone, Copy, Debug, Default)]
struct Packets {
    came: u32,
    expected: u32,
}

/// All bounds, and the one that is followed.
#[derive(Clone, Debug)]
pub(super) struct DelayBoundCandidates {
    bounds: Virtual<{ BOUNDS.len() }>,
    /// Packets later than each bound, in 16ths, forgotten as the sums are.
    later: [u16; BOUNDS.len()],
    packets: Packets,
    /// With the bounds that were followed: the call so far.
    call: Virtual<1>,
    call_packets: Packets,
    followed: u8,
    /// What delay and loss take off with it.
    taken: [u16; 2],
    /// Whether a packet was counted since the last restart.
    begun: bool,
    /// The base of all delays, in ms.
    floor: i32,
    /// The fastest and the slowest of the few packets that are gathered, and of those before them, in ms, and how many
    /// the first are.
    near: [i32; 2],
    slowest: [i32; 2],
    gathered: u16,
    /// The longest delays over the base in this window, in the one before and in the one before that, in ms, and how much of
    /// this one has passed, in ms of media time.
    longest: [u16; WINDOWS],
    passed: u16,
    /// Copies since the sums last forgot for their sake.
    copies: u8,
    packet_ms: u16,
    /// How long the packets of the sums are, and how many in a row are of another length.
    usual_ms: u16,
    others: u8,
    besides_ms: u16,
    loss: LossImpairment,
    /// Transit of the first packet, in ticks.
    origin: u32,
    /// Ticks made up for packets that came later: as many of what follows may be given up for them.
    pub(super) owed: u32,
}

impl DelayBoundCandidates {
    pub(super) fn new() -> Self {
        let mut bounds = Self {
            bounds: Virtual::NEW,
            later: [0; BOUNDS.len()],
            packets: Packets::default(),
            call: Virtual::NEW,
            call_packets: Packets::default(),
            followed: 0,
            taken: [0; 2],
            begun: false,
            floor: 0,
            near: [0; 2],
            slowest: [0; 2],
            gathered: 0,
            longest: [0; WINDOWS],
            passed: 0,
            copies: 0,
            packet_ms: 20,
            usual_ms: 20,
            others: 0,
            besides_ms: 0,
            loss: LossImpairment::default(),
            origin: 0,
            owed: 0,
        };
        bounds.set(&Conversation::default());
        bounds.restart();
        bounds
    }

    /// The same before the first packet.
    pub(super) fn anew(&self) -> Self {
        Self {
            packet_ms: self.packet_ms,
            usual_ms: self.usual_ms,
            besides_ms: self.besides_ms,
            loss: self.loss,
            ..Self::new()
        }
    }

    pub(super) fn set(&mut self, conversation: &Conversation) {
        self.besides_ms = conversation.besides.as_millis().min(10_000) as u16;
        self.loss = conversation.loss;
    }

    /// How long a packet is.
    pub(super) fn set_packet(&mut self, ms: u32) {
        self.packet_ms = ms.clamp(1, 1_000) as u16;
        if self.packet_ms == self.usual_ms {
            self.others = 0;
            return;
        }
        self.others += 1;
        if u32::from(self.others) >= EVERY {
            (self.usual_ms, self.others) = (self.packet_ms, 0);
            self.begin_sums();
        }
    }

    fn begin_sums(&mut self) {
        for sum in self.bounds.wait.iter_mut().chain(&mut self.bounds.made_up) {
            *sum = 0;
        }
        (self.call.wait, self.call.made_up) = ([0], [0]);
        self.later = [0; BOUNDS.len()];
        (self.packets, self.call_packets) = (Packets::default(), Packets::default());
    }

    /// What comes has another time: every delay is what it is at the beginning.
    pub(super) fn restart(&mut self) {
        self.begun = false;
    }

    /// A transit in ms after that of the first packet.
    pub(super) fn after_origin(&mut self, transit: u32, ticks_per_ms: NonZeroU16) -> i32 {
        if !self.begun {
            self.origin = transit;
        }
        transit.wrapping_sub(self.origin) as i32 / i32::from(ticks_per_ms.get())
    }

    /// Counts a packet that took `transit`, `relative` more than the base, and came `step` of media time after the one before,
    /// all in ms.
    pub(super) fn count(&mut self, transit: i32, relative: u32, step: u32) {
        let transit = transit.clamp(-FARTHEST_MS, FARTHEST_MS);
        let relative = relative.min(LATEST_MS as u32);
        let floor = transit - relative as i32;
        self.floor = floor;
        let step = step.min(WINDOW_MS.into());
        self.passed += step as u16;
        if self.passed >= WINDOW_MS {
            let [newest, before, _] = self.longest;
            (self.longest, self.passed) = ([0, newest, before], 0);
        }
        self.longest[0] = self.longest[0].max(relative as u16);
        // What takes so much longer at once has another time.
        if !self.begun || transit - self.bounds.playing[0] > LATEST_MS {
            self.begun = true;
            self.gathered = 0;
            (self.near, self.slowest) = ([transit; 2], [transit; 2]);
            self.bounds.playing = BOUNDS.map(|bound| transit + i32::from(bound));
            self.call.playing = [transit + i32::from(BOUNDS[self.effective()])];
        } else if self.gathered >= NEAR_PACKETS {
            self.gathered = 0;
            (self.near, self.slowest) = ([transit, self.near[0]], [transit, self.slowest[0]]);
        }
        self.gathered += 1;
        self.near[0] = self.near[0].min(transit);
        self.slowest[0] = self.slowest[0].max(transit);
        let near = if self.gets_faster() { floor } else { self.near() };
        let floors = [floor, near];
        let growth = step as i32 / GROWTH;
        self.bounds.next(transit, floors, &BOUNDS, growth);
        self.call.next(transit, floors, &[BOUNDS[self.effective()]], growth);
        self.count_later(transit);
        self.came();
    }

    /// Counts a packet that was overtaken.
    pub(super) fn count_single(&mut self, transit: i32) {
        let transit = transit.clamp(-FARTHEST_MS, FARTHEST_MS);
        self.longest[0] = self.longest[0].max((transit - self.floor).clamp(0, LATEST_MS) as u16);
        // Where it is late, it has been taken for lost.
        if transit > self.call.playing[0] {
            self.packets.expected = self.packets.expected.saturating_sub(FINE);
            self.call_packets.expected = self.call_packets.expected.saturating_sub(FINE);
        }
        let packet_ms = self.packet_ms.into();
        self.bounds.single(transit, packet_ms);
        self.call.single(transit, packet_ms);
        self.count_later(transit);
        self.came();
    }

    /// The same of a copy. As many may come with each packet, they make the sums forget as packets do.
    pub(super) fn count_copy(&mut self, transit: i32) {
        self.count_single(transit);
        self.copies += 1;
        if u32::from(self.copies) >= EVERY {
            self.copies = 0;
            self.forget();
        }
    }

    /// Counts the bounds that a packet which took `transit` came later than.
    fn count_later(&mut self, transit: i32) {
        // No bound is longer.
        let over = (transit - self.near()).clamp(0, i16::MAX.into()) as u16;
        for (later, bound) in self.later.iter_mut().zip(BOUNDS) {
            *later += u16::from(over > bound) * 16;
        }
    }

    fn near(&self) -> i32 {
        self.near[0].min(self.near[1])
    }

    /// Whether a queue drains.
    fn gets_faster(&self) -> bool {
        self.near[0] < self.near[1]
    }

    /// How much longer the network certainly takes at present than at its fastest, in ms. Few packets are also slow by
    /// chance, so twice the difference among themselves does not count.
    fn slower_ms(&self) -> i32 {
        if self.gets_faster() {
            return 0;
        }
        let spread = self.slowest[0].max(self.slowest[1]) - self.near();
        (self.near() - self.floor).saturating_sub(spread.saturating_mul(2)).clamp(0, LATEST_MS)
    }

    fn came(&mut self) {
        for packets in [&mut self.packets, &mut self.call_packets] {
            packets.came += FINE;
            packets.expected += FINE;
        }
    }

    /// Counts a packet that never came.
    pub(super) fn lost(&mut self) {
        for packets in [&mut self.packets, &mut self.call_packets] {
            packets.expected = (packets.expected + FINE).min(packets.came + MOST_LOST);
        }
    }

    /// Forgets a little: to be called with every eighth packet.
    pub(super) fn forget(&mut self) {
        self.bounds.forget(FORGET);
        self.later = self.later.map(|later| later - (later >> FORGET));
        self.call.forget(FORGET_CALL);
        for (packets, shift) in [(&mut self.packets, FORGET), (&mut self.call_packets, FORGET_CALL)] {
            packets.came -= packets.came >> shift;
            packets.expected -= packets.expected >> shift;
        }
    }

    /// Rates all bounds, and follows the best if that is worth it.
    pub(super) fn look_up(&mut self) {
        let came = (self.packets.came + self.call_packets.came).max(FINE);
        let expected = self.packets.expected + self.call_packets.expected;
        let packet_ms = u32::from(self.packet_ms);
        // Neither may be less than nothing: a packet may come twice, by its copy.
        let lost = expected.saturating_sub(came) * packet_ms;
        let sound = expected.max(came).max(AT_LEAST_PACKETS * FINE) * packet_ms;
        // In 64ths of a percent of what is played, so that no product exceeds 32 bits.
        let percent = (sound / 100).max(1);
        // What delay and loss take off with each bound.
        let mut taken = [[0u16; 2]; BOUNDS.len()];
        let sums = self.bounds.wait.iter().zip(&self.bounds.made_up);
        for (taken, (wait, made_up)) in taken.iter_mut().zip(sums) {
            let wait = (self.call.wait[0] + wait) / came;
            let made_up = lost + self.call.made_up[0] + made_up;
            let whole = (made_up / percent).min(100);
            let part = (made_up - whole * percent).min(percent) * 16 / percent.div_ceil(16);
            let share = whole * impairment::PERCENT + part;
            let delay = impairment::of_delay(u32::from(self.besides_ms) + wait);
            *taken = [delay as u16, self.loss.of_loss(share) as u16];
        }
        let sum = |index: usize| taken.get(index).map_or(0, |&[delay, loss]| u32::from(delay) + u32::from(loss));
        let followed = self.followed();
        let best = (0..BOUNDS.len()).min_by_key(|&index| sum(index)).unwrap_or(followed);
        // What it's worth in the seconds to come is that much less in all of the call.
        let seconds = self.packets.came >> 6;
        let all = came >> 6;
        let worth = if best < followed { WORTH_SHORTER } else { WORTH_LONGER };
        if (sum(followed) - sum(best)) * all > worth * seconds {
            self.followed = best as u8;
        }
        self.taken = taken[self.effective()];
    }

    /// The bound that is followed.
    fn followed(&self) -> usize {
        usize::from(self.followed).min(BOUNDS.len() - 1)
    }

    /// The bound that is followed, or a shorter one where none of the last packets needed more.
    fn effective(&self) -> usize {
        let longest = self.longest.into_iter().max().unwrap_or(0);
        let needed = BOUNDS.partition_point(|&bound| bound < longest);
        needed.min(self.followed())
    }

    /// The same in ms.
    fn bound_ms(&self) -> u32 {
        BOUNDS[self.effective()].into()
    }

    /// The delay after the base that the bound requires at present, in ms. Of the network's additional transit only
    /// three quarters count, as it may soon be fast again.
    pub(super) fn delay_ms(&self) -> u32 {
        let bound = self.bound_ms();
        bound.max((self.slower_ms() * 3 / 4 + beyond_near(bound as i32)) as u32)
    }

    /// Why it is that one.
    pub(super) fn choice(&self) -> DelayChoice {
        let tenths = |taken: u16| (u32::from(taken) * 10 + impairment::ONE / 2) / impairment::ONE;
        DelayChoice {
            bound_ms: self.bound_ms(),
            besides_ms: self.besides_ms.into(),
            delay_tenths: tenths(self.taken[0]),
            loss_tenths: tenths(self.taken[1]),
        }
    }

    /// What is usual, in ms: so few packets are later than it, one of `rarest` to one of `commonest`, that one of eight of
    /// those is later than the bound that is followed too. Where bursts are all in time, a hole before one is none.
    pub(super) fn usual_ms(&self, [rarest, commonest]: [u32; 2]) -> u32 {
        let came = self.packets.came / (FINE / 16);
        let late = u32::from(self.later[self.followed()]);
        let rare = (8 * late).max(came / rarest.max(1)).min(came / commonest.max(1));
        let within = self.later.iter().position(|&later| u32::from(later) <= rare);
        BOUNDS[within.unwrap_or(BOUNDS.len() - 1)].into()
    }
}

#[cfg(test)]
mod tests;

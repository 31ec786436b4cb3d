//! Transport-wide feedback: the receiver reports when each numbered packet arrived, and the sender learns which
//! packets were lost and how long they were queued (draft-holmer-rmcat-transport-wide-cc-extensions-01, 2 and 3).
//!
//! [`ArrivalLog`] is for the receiver: it keeps the arrival time of each number and writes what was not reported yet.
//! [`DepartureLog`] is for the sender: it gives out the numbers, and turns a feedback message into the fate of each
//! packet. Use both where bit rates adapt to the network ([`adapt`](crate::adapt)); where they do not, RTCP reports
//! are enough.
//!
//! Arrival times are in quarters of a millisecond, as in the message. Queueing delays are in microseconds above the
//! least transit time of the last 10 to 20 s, since the clocks of both sides are unrelated. Both logs remember their
//! last `PACKETS` numbers; older ones are forgotten and count as unknown. Noting a packet takes constant time, a
//! message time in proportion to its packets.
//!
//! Three packets are sent, and the second one is lost:
//!
//! ```
//! use dsp_core::rtcp::transport::{ArrivalLog, DepartureLog, MAX_MESSAGE_BYTES};
//! use dsp_core::time::{Duration, Instant, Seq};
//!
//! let mut sender = DepartureLog::<64>::new(Seq(10));
//! let mut receiver = ArrivalLog::<64>::new();
//! for n in 0..3 {
//!     let now = Instant::from_millis(1_000 + 20 * n);
//!     let number = sender.next();
//!     sender.depart(now, 200);
//!     if n != 1 {
//!         receiver.arrive(now + Duration::from_millis(35), number);
//!     }
//! }
//! let mut room = [0; MAX_MESSAGE_BYTES];
//! let message = receiver.write(&mut room).ok_or("nothing to tell")?;
//! let mut arrived = Vec::new();
//! sender.feedback(Instant::from_millis(1_200), &message, |packet| arrived.push((packet.number.0, packet.queued.is_some())));
//! assert_eq!(arrived, [(10, true), (11, false), (12, true)]);
//! receiver.told();
//! assert_eq!((receiver.pending(), sender.stats().lost), (0, 1));
//! # Ok::<(), &str>(())
//! ```

use crate::time::{Duration, Instant, Seq};
use crate::wire::rtcp::TransportFeedback;

/// The most packets of one message: a second and more of a call's sound.
const MESSAGE_PACKETS: usize = 96;
/// Number of bytes that [`ArrivalLog::write`] needs at most: a header, a chunk for seven packets, and two bytes of
/// time for each packet.
pub const MAX_MESSAGE_BYTES: usize = (8 + 2 * MESSAGE_PACKETS.div_ceil(7) + 2 * MESSAGE_PACKETS).next_multiple_of(4);
/// Microseconds in a unit of an arrival, and in one of its reference.
const QUARTER_US: u64 = 250;
const REFERENCE_US: u64 = 64_000;
/// How long the least delay of a period counts: for as long again afterwards.
const LEAST_FOR: Duration = Duration::from_secs(10);

/// Arrival times of the last `PACKETS` numbered packets. `PACKETS` is a power of two, at most 16,384.
#[derive(Clone, Debug)]
pub struct ArrivalLog<const PACKETS: usize> {
    /// Arrival times by packet number, modulo `PACKETS`.
    arrived: [Option<Instant>; PACKETS],
    /// The first number that is to be told, and the one after the highest that came.
    first: Seq,
    next: Seq,
    heard: bool,
    /// Numbers from `first` on that were told already, when the last message was made.
    written: u16,
    messages: u8,
}

impl<const PACKETS: usize> Default for ArrivalLog<PACKETS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const PACKETS: usize> ArrivalLog<PACKETS> {
    /// A log without any packets.
    pub const fn new() -> Self {
        const { assert!(PACKETS.is_power_of_two() && PACKETS <= 16_384, "a power of two up to 16,384") };
        Self { arrived: [None; PACKETS], first: Seq(0), next: Seq(0), heard: false, written: 0, messages: 0 }
    }

    /// Notes that the packet with this number arrived at `now`.
    pub fn arrive(&mut self, now: Instant, number: Seq) {
        let behind = self.next.0.wrapping_sub(number.0);
        let ahead = number.0.wrapping_sub(self.next.0);
        if !self.heard || (ahead >= PACKETS as u16 && behind > PACKETS as u16) {
            // The first, or so far from the others that nothing is left of them.
            *self = Self { first: number, next: number, heard: true, messages: self.messages, ..Self::new() };
        }
        let ahead = number.0.wrapping_sub(self.next.0);
        if ahead < PACKETS as u16 {
            for skipped in 0..ahead {
                self.arrived[Self::place(self.next.plus(skipped))] = None;
            }
            self.arrived[Self::place(number)] = Some(now);
            self.next = number.plus(1);
            // What is too old to be remembered is never told.
            let oldest = self.next.0.wrapping_sub(PACKETS as u16);
            if self.pending() > PACKETS as u16 {
                self.first = Seq(oldest);
            }
            return;
        }
        let place = &mut self.arrived[Self::place(number)];
        // The first of two with one number counts.
        if place.is_some() {
            return;
        }
        *place = Some(now);
        // It was told to be missing: from here on all is told again.
        if number.distance(self.first) < 0 {
            self.first = number;
        }
    }

    fn place(number: Seq) -> usize {
        usize::from(number.0) % PACKETS
    }

    /// Number of packet numbers that were not reported yet, missing packets included.
    pub const fn pending(&self) -> u16 {
        self.next.0.wrapping_sub(self.first.0)
    }

    /// Writes the message about everything that was not reported yet into `out`; `None` if there is nothing to report.
    /// It counts as reported when [`told`](Self::told) says that it was sent. [`MAX_MESSAGE_BYTES`] bytes are always
    /// enough.
    pub fn write<'a>(&mut self, out: &'a mut [u8]) -> Option<TransportFeedback<'a>> {
        let numbers = usize::from(self.pending()).min(MESSAGE_PACKETS);
        let arrived = |at: usize| self.arrived[Self::place(self.first.plus(at as u16))];
        let quarters = |at: Instant| at.as_micros() / QUARTER_US;
        // Where none of these has come, after a long gap, one behind them tells the time.
        let reference = (0..usize::from(self.pending())).find_map(arrived)?.as_micros() / REFERENCE_US;
        let zero = reference * (REFERENCE_US / QUARTER_US);
        let mut times = [None; MESSAGE_PACKETS];
        let (mut last, mut count) = (zero, 0);
        for (at, time) in times.iter_mut().take(numbers).enumerate() {
            if let Some(arrived) = arrived(at).map(quarters) {
                // Two bytes hold 8 s from packet to packet: what is further apart is another message's.
                if i16::try_from(arrived.wrapping_sub(last) as i64).is_err() {
                    break;
                }
                last = arrived;
                *time = Some(arrived.wrapping_sub(zero) as i32);
            }
            count = at + 1;
        }
        self.written = count as u16;
        TransportFeedback::make(out, self.first, reference as u32, self.messages, &times[..count])
    }

    /// Notes that the message written last was sent.
    pub fn told(&mut self) {
        if self.written > 0 {
            self.messages = self.messages.wrapping_add(1);
        }
        self.first = self.first.plus(core::mem::take(&mut self.written));
    }
}

/// What a feedback message says about one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PacketFeedback {
    /// Number of the packet.
    pub number: Seq,
    /// When it was sent.
    pub sent: Instant,
    /// Its size in bytes, all headers included.
    pub bytes: u16,
    /// How much longer it was on its way than the fastest packet of the last 10 to 20 s; `None` if it has not arrived.
    pub queued: Option<Duration>,
    /// Bytes of packets without a number, such as RTCP, that were sent between the packet before and this one, all headers included.
    pub others_bytes: u16,
}

/// Counters over all feedback messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FeedbackStats {
    /// Packets that were sent with a number.
    pub sent: u64,
    /// Messages that were read.
    pub messages: u32,
    /// Packets that arrived.
    pub arrived: u64,
    /// Packets that did not arrive, as far as is known.
    pub lost: u64,
    /// Packets that arrived after an earlier message had called them missing.
    pub late: u64,
    /// Packets in messages that were never sent, or are too old to be remembered.
    pub unknown: u64,
    /// Mean of [`PacketFeedback::queued`] over the packets of the last message that reported any arrival.
    pub queued: Option<Duration>,
}

/// What is remembered of a packet.
#[derive(Clone, Copy, Debug)]
struct Departure {
    sent: Instant,
    bytes: u16,
    told: Told,
    others_bytes: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    Lost,
    Arrived,
}

/// Sending times of the last `PACKETS` numbered packets. `PACKETS` is a power of two, at most 16,384.
#[derive(Clone, Debug)]
pub struct DepartureLog<const PACKETS: usize> {
    /// Departures by packet number, modulo `PACKETS`.
    sent: [Option<Departure>; PACKETS],
    next: Seq,
    /// Bytes that were sent without a number after the last packet.
    others_bytes: u16,
    stats: FeedbackStats,
    /// The last reference without its wrap, in 64 ms.
    reference: Option<i64>,
    /// The least transits, of this period and of the one before, in microseconds between two clocks; and when this one began.
    least_us: [Option<i64>; 2],
    since: Instant,
}

impl<const PACKETS: usize> DepartureLog<PACKETS> {
    /// A log whose first packet has the number `first`.
    pub const fn new(first: Seq) -> Self {
        const { assert!(PACKETS.is_power_of_two() && PACKETS <= 16_384, "a power of two up to 16,384") };
        let stats = FeedbackStats { sent: 0, messages: 0, arrived: 0, lost: 0, late: 0, unknown: 0, queued: None };
        Self {
            sent: [None; PACKETS],
            next: first,
            others_bytes: 0,
            stats,
            reference: None,
            least_us: [None; 2],
            since: Instant::ZERO,
        }
    }

    /// Number of the packet that is sent next.
    pub const fn next(&self) -> Seq {
        self.next
    }

    /// Notes that the packet with the [next](Self::next) number was sent at `now`, with this many bytes.
    pub fn depart(&mut self, now: Instant, bytes: usize) {
        let bytes = bytes.min(usize::from(u16::MAX)) as u16;
        let others_bytes = core::mem::take(&mut self.others_bytes);
        let departure = Departure { sent: now, bytes, told: Told::Nothing, others_bytes };
        self.sent[usize::from(self.next.0) % PACKETS] = Some(departure);
        self.next = self.next.plus(1);
        self.stats.sent += 1;
    }

    /// Notes that a packet without a number and with this many bytes, such as RTCP, was sent the same way: the next numbered packet may
    /// wait for it.
    pub fn depart_unnumbered(&mut self, bytes: usize) {
        self.others_bytes = self.others_bytes.saturating_add(bytes.min(usize::from(u16::MAX)) as u16);
    }

    /// Counters up to now.
    pub const fn stats(&self) -> FeedbackStats {
        self.stats
    }

    /// Takes in a feedback message that arrived at `now`, and calls `tell` for each packet about which it says
    /// something new, in the order of their numbers.
    pub fn feedback(&mut self, now: Instant, message: &TransportFeedback<'_>, mut tell: impl FnMut(PacketFeedback)) {
        self.stats.messages = self.stats.messages.saturating_add(1);
        if now.since(self.since) >= LEAST_FOR {
            self.least_us = [None, self.least_us[0]];
            self.since = now;
        }
        // None speaks honestly of many more than are remembered, and a few bytes may name 65,535.
        if message.packets() > 4 * PACKETS {
            self.stats.unknown += message.packets() as u64;
            return;
        }
        let zero_us = self.unwrap(message.reference()) * REFERENCE_US as i64;
        let (mut sum_us, mut count) = (0_u64, 0_u64);
        for (number, arrival) in message.arrivals() {
            let age = self.next.0.wrapping_sub(number.0);
            let known =
                self.sent[usize::from(number.0) % PACKETS].as_mut().filter(|_| (1..=PACKETS as u16).contains(&age));
            let Some(packet) = known else {
                self.stats.unknown += 1;
                continue;
            };
            let before = packet.told;
            let Departure { sent, bytes, others_bytes, .. } = *packet;
            let Some(arrival) = arrival else {
                if before == Told::Nothing {
                    packet.told = Told::Lost;
                    self.stats.lost += 1;
                    tell(PacketFeedback { number, sent, bytes, queued: None, others_bytes });
                }
                continue;
            };
            if before == Told::Arrived {
                continue;
            }
            packet.told = Told::Arrived;
            self.stats.arrived += 1;
            if before == Told::Lost {
                self.stats.lost -= 1;
                self.stats.late += 1;
            }
            let transit_us = zero_us + i64::from(arrival) * QUARTER_US as i64 - sent.as_micros() as i64;
            let least = self.least_us[0].map_or(transit_us, |least| least.min(transit_us));
            self.least_us[0] = Some(least);
            let base_us = self.least_us[1].map_or(least, |before| before.min(least));
            let queued = Duration::from_micros(transit_us.saturating_sub(base_us).max(0) as u64);
            sum_us = sum_us.saturating_add(queued.as_micros());
            count += 1;
            tell(PacketFeedback { number, sent, bytes, queued: Some(queued), others_bytes });
        }
        self.stats.queued = sum_us.checked_div(count).map(Duration::from_micros).or(self.stats.queued);
    }

    /// A reference of 24 bits, on the side of the last one that is nearer.
    fn unwrap(&mut self, reference: u32) -> i64 {
        let last = self.reference.unwrap_or(i64::from(reference));
        // The difference of 24 bits with its sign.
        let step = ((reference.wrapping_sub(last as u32) << 8) as i32) >> 8;
        let now = last + i64::from(step);
        self.reference = Some(now);
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(5_000_000 + ms)
    }

    type Told = Vec<(u16, Option<u64>)>;

    /// Tells what is pending, and what the sender makes of it.
    fn exchange(arrivals: &mut ArrivalLog<256>, departures: &mut DepartureLog<256>) -> Told {
        let mut out = [0; MAX_MESSAGE_BYTES];
        let mut told = Vec::new();
        while let Some(message) = arrivals.write(&mut out) {
            departures.feedback(at(0), &message, |packet| {
                told.push((packet.number.0, packet.queued.map(Duration::as_micros)));
            });
            arrivals.told();
        }
        told
    }

    #[test]
    fn what_arrives_is_told_once_with_its_delay() {
        let (mut arrivals, mut departures) = (ArrivalLog::new(), DepartureLog::new(Seq(65_534)));
        for n in 0..5 {
            assert_eq!(departures.next(), Seq(65_534).plus(n));
            departures.depart(at(u64::from(n) * 20), 200);
        }
        // On another clock, the third lost, the fourth 10 ms later than the others.
        for (n, late) in [(0, 0), (1, 0), (3, 10), (4, 0)] {
            arrivals.arrive(at(77_777 + u64::from(n) * 20 + late), Seq(65_534).plus(n));
        }
        assert_eq!(arrivals.pending(), 5);
        let told = exchange(&mut arrivals, &mut departures);
        assert_eq!(told, [(65_534, Some(0)), (65_535, Some(0)), (0, None), (1, Some(10_000)), (2, Some(0))]);
        let stats = departures.stats();
        assert_eq!((stats.sent, stats.arrived, stats.lost, stats.late, stats.unknown), (5, 4, 1, 0, 0));
        assert_eq!((stats.messages, stats.queued), (1, Some(Duration::from_micros(2_500))));
        assert_eq!(exchange(&mut arrivals, &mut departures), []);
        // The third after all: what follows it is told again, and is no news.
        arrivals.arrive(at(77_900), Seq(0));
        arrivals.arrive(at(77_901), Seq(0));
        assert_eq!(exchange(&mut arrivals, &mut departures), [(0, Some(83_000))]);
        let stats = departures.stats();
        assert_eq!((stats.arrived, stats.lost, stats.late), (5, 0, 1));
    }

    #[test]
    fn what_was_not_sent_or_is_forgotten_is_unknown() {
        let (mut arrivals, mut departures) = (ArrivalLog::<256>::new(), DepartureLog::<256>::new(Seq(10)));
        for n in [9, 10] {
            arrivals.arrive(at(0), Seq(n));
        }
        assert_eq!(exchange(&mut arrivals, &mut departures), []);
        assert_eq!(departures.stats().unknown, 2, "nothing was sent");
        for _ in 0..257 {
            departures.depart(at(0), 70_000);
        }
        for n in [10, 11] {
            arrivals.arrive(at(0), Seq(n));
        }
        // 10 was told before.
        assert_eq!(exchange(&mut arrivals, &mut departures), [(11, Some(0))]);
    }

    #[test]
    fn a_message_has_its_bounds_and_the_rest_comes_next() {
        let mut arrivals = ArrivalLog::<256>::new();
        // Far more than is remembered, and steps of 9 s that no message holds.
        for n in 0..300 {
            arrivals.arrive(at(u64::from(n) * 20 + if n > 290 { 9_000 } else { 0 }), Seq(n));
        }
        assert_eq!(arrivals.pending(), 256);
        let (mut out, mut lengths, mut counts) = ([0; MAX_MESSAGE_BYTES], Vec::new(), Vec::new());
        while let Some(message) = arrivals.write(&mut out) {
            lengths.push(message.packets());
            counts.push(message.count());
            assert!(message.arrivals().all(|(_, time)| time.is_some()));
            arrivals.told();
        }
        assert_eq!((lengths, counts), (Vec::from([96, 96, 55, 9]), Vec::from([0, 1, 2, 3])));
        // Nothing is told that did not leave.
        arrivals.arrive(at(20_000), Seq(300));
        assert!(arrivals.write(&mut out).is_some() && arrivals.write(&mut out).is_some());
        assert!(arrivals.write(&mut []).is_none());
        // A jump: nothing of before is left.
        arrivals.arrive(at(20_000), Seq(30_000));
        let message = arrivals.write(&mut out).unwrap();
        assert_eq!((message.base(), message.packets()), (Seq(30_000), 1));
        // Backwards by as little as is remembered.
        arrivals.arrive(at(20_000), Seq(30_000 - 255));
        assert_eq!(arrivals.pending(), 256);
        arrivals.arrive(at(20_000), Seq(30_000 - 256));
        assert_eq!(arrivals.pending(), 1);
    }

    #[test]
    fn a_gap_longer_than_a_message_is_told_at_once() {
        let mut arrivals = ArrivalLog::<256>::new();
        let mut out = [0; MAX_MESSAGE_BYTES];
        arrivals.arrive(at(0), Seq(0));
        assert!(arrivals.write(&mut out).is_some());
        arrivals.told();
        arrivals.arrive(at(2_400), Seq(120));
        let (mut counts, mut came) = (Vec::new(), Vec::new());
        while let Some(message) = arrivals.write(&mut out) {
            counts.push(message.packets());
            came.extend(message.arrivals().filter(|(_, time)| time.is_some()).map(|(number, _)| number));
            arrivals.told();
        }
        assert_eq!((counts, came), (Vec::from([96, 24]), Vec::from([Seq(120)])));
    }

    #[test]
    fn a_few_bytes_about_very_many_packets_are_not_walked() {
        // 65,535 lost packets in nine runs.
        let mut compound = Vec::from([0x8f, 205, 0, 9, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0xff, 0xff, 0, 0, 0, 0]);
        (0..9).for_each(|_| compound.extend([0x1f, 0xff]));
        compound.extend([0; 2]);
        let parsed =
            crate::wire::rtcp::Compound::parse(&compound, crate::wire::rtcp::CompoundRule::ReducedSize).unwrap();
        let mut departures = DepartureLog::<256>::new(Seq(0));
        for packet in parsed.packets() {
            let Ok(crate::wire::rtcp::Packet::Feedback(feedback)) = packet else { panic!("{packet:?}") };
            let crate::wire::rtcp::FeedbackMessage::Transport(message) = feedback.message else {
                panic!("{feedback:?}")
            };
            assert_eq!(message.packets(), 65_535);
            departures.depart(at(0), 100);
            departures.feedback(at(0), &message, |_| panic!("told of"));
        }
        assert_eq!((departures.stats().unknown, departures.stats().lost), (65_535, 0));
    }

    /// Any message against any log: nothing panics, nothing is counted twice, and the longest message fits.
    #[test]
    fn random_arrivals_add_up() {
        let mut dice = 5_u32;
        let mut roll = |below: u32| {
            dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (dice >> 8) % below
        };
        for _ in 0..50 {
            let (mut arrivals, mut departures) = (ArrivalLog::<256>::new(), DepartureLog::<256>::new(Seq(65_000)));
            let mut now = 0;
            for _ in 0..2_000 {
                now += u64::from(roll(60));
                departures.depart(at(now), 100);
                if roll(4) > 0 {
                    let back = if roll(5) == 0 { roll(20) as u16 } else { 0 };
                    arrivals.arrive(
                        at(9_000 + now + u64::from(roll(4_000))),
                        Seq(departures.next().0.wrapping_sub(1 + back)),
                    );
                }
                if roll(10) == 0 {
                    exchange(&mut arrivals, &mut departures);
                }
            }
            let stats = departures.stats();
            assert_eq!(stats.sent, 2_000);
            assert!(stats.arrived + stats.lost <= 2_000 && stats.late > 0, "{stats:?}");
            assert!(stats.arrived > 1_200, "{stats:?}");
        }
    }

    #[test]
    fn the_reference_wraps() {
        let mut departures = DepartureLog::<256>::new(Seq(0));
        let mut told = Vec::new();
        for n in 0..3_u16 {
            departures.depart(at(64 * u64::from(n)), 100);
            let mut out = [0; 32];
            let reference = 0x00ff_ffff + u32::from(n);
            let message = TransportFeedback::make(&mut out, Seq(n), reference, 0, &[Some(4)]).unwrap();
            departures.feedback(at(0), &message, |packet| told.push(packet.queued));
        }
        assert_eq!(told, [Some(Duration::ZERO); 3]);
    }
}

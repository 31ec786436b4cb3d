//! Timeline: the sender's timestamps without the jumps of the sender's clock.
//!
//! A sender may set its timestamps forward or back in mid-stream: when a call is taken off hold or transferred to
//! another device, or when a muted microphone does not count its time. The network can delay a packet but never
//! changes a timestamp. So a packet that follows in sequence, and whose timestamp is not where the packets before it
//! end, was sent after a pause, which is as long as the timestamps say, or by a clock that has jumped. A jump is
//! subtracted from all timestamps from there on: behind this module the stream goes on as if nothing had happened,
//! without an effect on delay, jitter and gaps.
//!
//! If the timestamps go on, but by up to half a second less than that number of usual packets would last, the packets
//! have become shorter, or packets without a time lie between. A clock that stood still while nothing was sent cannot
//! be told from a network that has become slower, and counts as that for up to five seconds; beyond that it is a jump,
//! and what was concealed meanwhile was a pause.
//!
//! Times are ticks of the RTP clock, modulo 2^32. The memory is 36 bytes.

use core::ops::RangeInclusive;

use crate::time::{RtpTime, Seq};

/// Packets that come sooner or later than their length by no more than this multiple of the least jump follow each
/// other without a break.
const STEADY: i32 = 8;
/// Two clocks get apart by no more than a tick in 2^10, about 1000 ppm: a shift, as a Cortex-M0 doesn't divide.
const DRIFT_SHIFT: u32 = 10;
/// A packet this many numbers behind a jump is not in the buffer together with one before it.
const FORGOTTEN: i16 = 16_384;

/// Where the packets of one source lie in time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timeline {
    newest: Option<Newest>,
    /// How far the sender's clock has jumped forward since the stream began.
    jumped: u32,
    /// The last jump: the first packet behind it, and `jumped` before it.
    last: Option<(Seq, u32)>,
}

/// A packet that is newer than all before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Newer {
    pub(super) seq: Seq,
    /// Its timestamp as it was sent.
    pub(super) sent: RtpTime,
    pub(super) arrival: u32,
    /// How much later than the fastest packet it is, if the clock did not jump.
    pub(super) relative: i32,
}

/// The newest packet.
#[derive(Clone, Copy, Debug)]
struct Newest {
    seq: Seq,
    sent: RtpTime,
    arrival: u32,
}

impl Timeline {
    /// Takes in a packet that is newer than all before it. Whether the sender's clock jumped before it. Packets are
    /// `packet` ticks long; by less than the beginning of `jumps` networks change their delay too, from one packet to the
    /// next, and by more than its end they don't. Before the first was decoded, nobody knows how long packets are.
    pub(super) fn follow(&mut self, step: Newer, packet: u32, jumps: RangeInclusive<i32>) -> bool {
        let Newer { seq, sent, arrival, relative } = step;
        let Some(before) = self.newest.replace(Newest { seq, sent, arrival }) else { return false };
        if self.last.is_some_and(|(since, _)| !(0..FORGOTTEN).contains(&seq.distance(since))) {
            self.last = None;
        }
        let accounted = i32::from(seq.distance(before.seq).max(1)).saturating_mul(packet as i32);
        // How much the timestamp, and the arrival, lies behind the end of the packets before it.
        let step = sent.distance(before.sent);
        let beyond = step.saturating_sub(accounted);
        let waited = (arrival.wrapping_sub(before.arrival) as i32).saturating_sub(accounted);
        let (far, contrary) = (beyond.saturating_abs(), if beyond > 0 { relative.saturating_neg() } else { relative });
        // A clock that goes on, if by less, counts shorter packets than before, or packets lie between that have no time.
        let shorter = beyond < 0 && step >= 0 && far < STEADY * jumps.start();
        // The longer a pause, the further clocks that only drift get apart.
        let least = jumps.start().saturating_add(waited.max(0) >> DRIFT_SHIFT);
        let jump = if packet == 0 || shorter || far.min(contrary) < least {
            // The network or a pause explains that, unless it's too much.
            if relative.saturating_abs() <= *jumps.end() {
                return false;
            }
            relative.saturating_neg()
        } else if waited.saturating_abs() < (far / 2).min(STEADY * jumps.start()) {
            // Sound that goes on unbroken tells exactly how far.
            beyond
        } else {
            // After a pause only this packet tells it: as if it were as fast as the fastest.
            relative.saturating_neg()
        };
        self.last = Some((seq, self.jumped));
        self.jumped = self.jumped.wrapping_add(jump as u32);
        true
    }

    /// Where a packet that follows in sequence lies.
    pub(super) fn place(&self, sent: RtpTime) -> RtpTime {
        back(sent, self.jumped)
    }

    /// Where a packet that was overtaken lies. One that was overtaken by the jump too lies before that or behind it,
    /// wherever it is less `off`.
    pub(super) fn place_overtaken(&self, seq: Seq, sent: RtpTime, off: impl Fn(RtpTime) -> u32) -> RtpTime {
        let place = self.place(sent);
        let before = self.last.filter(|(since, _)| seq.distance(*since) < 0);
        let before = before.map_or(place, |(_, jumped)| back(sent, jumped));
        if off(before) < off(place) { before } else { place }
    }

    /// The timestamp with which the packet `seq` at `place` was sent.
    pub(super) fn sent(&self, seq: Seq, place: RtpTime) -> RtpTime {
        let before = self.last.filter(|(since, _)| seq.distance(*since) < 0);
        place.plus(before.map_or(self.jumped, |(_, jumped)| jumped))
    }

    /// The timestamp that a sender writes at present for `place`.
    pub(super) fn sent_now(&self, place: RtpTime) -> RtpTime {
        place.plus(self.jumped)
    }

    /// Where the newest packet lies.
    pub(super) fn newest(&self) -> Option<RtpTime> {
        self.newest.map(|newest| self.place(newest.sent))
    }
}

fn back(time: RtpTime, by: u32) -> RtpTime {
    time.plus(by.wrapping_neg())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: u32 = 160;
    const JUMPS: RangeInclusive<i32> = 480..=40_000;

    fn step(seq: u16, sent: u32, arrival: u32, relative: i32) -> Newer {
        Newer { seq: Seq(seq), sent: RtpTime(sent), arrival, relative }
    }

    /// A stream of 20 ms packets up to number 9, and then one `gap_ms` after that by its timestamp and `later_ms` by its
    /// arrival: where it lies after that packet, in ms, if the clock jumped.
    fn after(gap_ms: i32, later_ms: i32) -> Option<i32> {
        let mut timeline = Timeline::default();
        for n in 0..10u16 {
            let time = u32::from(n) * PACKET;
            assert!(!timeline.follow(step(n, time, time, 0), PACKET, JUMPS));
        }
        let last = timeline.newest().unwrap();
        let (sent, arrival) = (last.plus((gap_ms * 8) as u32), last.plus((later_ms * 8) as u32).0);
        let relative = (later_ms - gap_ms) * 8;
        let jumped = timeline.follow(step(10, sent.0, arrival, relative), PACKET, JUMPS);
        assert_eq!(timeline.sent(Seq(10), timeline.place(sent)), sent);
        assert_eq!(timeline.sent(Seq(9), last), last);
        jumped.then(|| timeline.place(sent).distance(last) / 8)
    }

    #[test]
    fn a_clock_that_jumps_under_unbroken_sound_is_set_right_to_the_tick() {
        for jump_ms in [60, 250, 2_000, 5_001, 3_600_000] {
            for jitter_ms in [-19, 0, 25] {
                assert_eq!(
                    after(20 + jump_ms, 20 + jitter_ms),
                    if jump_ms == 60 && jitter_ms == 25 { None } else { Some(20) }
                );
                assert_eq!(after(20 - jump_ms, 20 + jitter_ms.max(0)), Some(20), "{jump_ms} {jitter_ms}");
            }
        }
    }

    #[test]
    fn pauses_stalls_and_losses_are_no_jumps() {
        for pause_ms in [40, 1_000, 3_600_000] {
            for jitter_ms in [-30, 0, 400] {
                assert_eq!(after(20 + pause_ms, 20 + pause_ms + jitter_ms), None);
            }
        }
        // Nothing came for two seconds: the network, or a clock that stood still.
        assert_eq!(after(20, 2_020), None);
        // Packets of another length.
        assert_eq!(after(60, 20), None);
        assert_eq!(after(20, 60), None);
    }

    #[test]
    fn shorter_packets_and_packets_without_a_time_are_no_jumps() {
        // A late packet, three numbers on, whose time goes on by less than three packets or by nothing.
        for sent in [0, 40, 160, 240] {
            let mut timeline = Timeline::default();
            timeline.follow(step(0, 0, 0, 0), PACKET, JUMPS);
            assert!(!timeline.follow(step(4, sent, 1_600, 1_600 - sent as i32), PACKET, JUMPS), "{sent}");
        }
        // One whose time goes back is no such.
        let mut timeline = Timeline::default();
        timeline.follow(step(0, 1_000, 0, 0), PACKET, JUMPS);
        assert!(timeline.follow(step(4, 200, 640, 1_440), PACKET, JUMPS));
    }

    #[test]
    fn clocks_that_drift_apart_in_a_pause_do_not_jump() {
        assert_eq!(after(120_000, 119_900), None);
        assert_eq!(after(120_000, 119_800), Some(119_800));
        assert_eq!(after(10_000, 9_900), Some(9_900));
    }

    #[test]
    fn after_a_pause_with_another_time_the_packet_is_as_fast_as_the_fastest() {
        assert_eq!(after(90_000, 10_000), Some(10_000));
        assert_eq!(after(-90_000, 10_000), Some(10_000));
        // The clock stood still for a minute, but for a packet.
        assert_eq!(after(20, 60_020), Some(60_020));
    }

    #[test]
    fn what_was_overtaken_lies_before_the_jump_or_behind_it() {
        let mut timeline = Timeline::default();
        timeline.follow(step(0, 0, 0, 0), PACKET, JUMPS);
        assert!(timeline.follow(step(3, 80_480, 480, -80_000), PACKET, JUMPS));
        let off = |near: u32| move |place: RtpTime| place.distance(RtpTime(near)).unsigned_abs();
        assert_eq!(timeline.place_overtaken(Seq(1), RtpTime(160), off(160)), RtpTime(160));
        assert_eq!(timeline.place_overtaken(Seq(2), RtpTime(80_320), off(320)), RtpTime(320));
    }
}

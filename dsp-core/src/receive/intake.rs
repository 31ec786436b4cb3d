//! Datagrams in, on the network's clock: parsed, counted, and put where they are played from. Sources that must prove
//! themselves, and clocks that jump.

use super::jitter::{PacketInfo, PushError};
use super::tick_rate::TickRate;
use super::{AT_ONCE, Cause, ReceiveError, Received, Receiver, Sending, State, ticks};
use crate::quality::{BurstTracker, JitterEstimator, PacketFate, SequenceTracker, SequenceUpdate};
use crate::time::{Duration, Instant, RtpTime};
use crate::wire::rtp::RtpPacket;

/// A packet that is this much too late or too early was sent by a clock that jumped.
const JUMP: Duration = Duration::from_secs(5);
/// After so long of nothing but packets over the bound of the delay, the bound is counted from them.
const HOPELESS: Duration = Duration::from_millis(500);
/// Packets in sequence that a new SSRC must send before it takes over (RFC 3550, A.1: MIN_SEQUENTIAL).
const PROBATION: u8 = 2;

impl<const CELLS: usize, const SAMPLES: usize, const CHANNELS: usize> Receiver<CELLS, SAMPLES, CHANNELS> {
    /// Takes in one RTP packet that arrived at `now`, after a guard has unprotected it.
    pub fn receive(&mut self, now: Instant, datagram: &[u8]) -> Result<Received, ReceiveError> {
        let packet = RtpPacket::parse(datagram).map_err(|error| {
            self.stats.malformed += 1;
            ReceiveError::Parse(error)
        })?;
        let arrival = ticks(now, self.config.rtp_clock_hz);
        let mut restarted = false;
        match self.ssrc {
            None => self.begin(&packet),
            Some(ssrc) if ssrc == packet.ssrc() => self.candidate = None,
            Some(_) => {
                if !self.admit(&packet) {
                    self.stats.probation += 1;
                    return Ok(Received::Probation);
                }
                self.stats.ssrc_changes += 1;
                self.restart();
                self.begin(&packet);
                restarted = true;
            }
        }
        let packet = self.tick_rate.place(packet);
        let update = self.sequence.update(packet.seq());
        match update {
            SequenceUpdate::Restarted { .. } => {
                self.stats.restarts += 1;
                self.restart();
                restarted = true;
            }
            SequenceUpdate::Probation | SequenceUpdate::Suspect => {
                self.stats.probation += 1;
                return Ok(Received::Probation);
            }
            SequenceUpdate::Duplicate { .. } => {
                self.stats.duplicate += 1;
                return Ok(Received::Duplicate);
            }
            SequenceUpdate::Started { .. } | SequenceUpdate::InOrder { .. } | SequenceUpdate::Late { .. } => {}
        }
        // A packet that was overtaken says nothing about the clock of those that overtook it.
        let tells = matches!(update, SequenceUpdate::InOrder { .. }) && !self.delay.repeats(packet.timestamp().0);
        if tells && self.has_jumped(now, packet.timestamp()) {
            self.stats.restarts += 1;
            self.stats.time_jumps += 1;
            self.restart();
            restarted = true;
        }
        if !tells && self.is_far_off(arrival, packet.timestamp()) {
            self.stats.discarded += 1;
            return Ok(Received::Late);
        }
        self.interarrival.update(arrival, packet.timestamp());
        self.store(now, arrival, &packet, restarted)
    }

    /// Whether the sender's clock or the way to us changed so much that the base of the delay means nothing any more:
    /// by more than `JUMP`, or so that for a while all packets came later than the bound.
    fn has_jumped(&mut self, now: Instant, timestamp: RtpTime) -> bool {
        let clock = self.config.rtp_clock_hz;
        let Some(relative) = self.delay.relative(ticks(now, clock), timestamp.0) else { return false };
        let maximum = self.delay.maximum();
        if relative <= maximum as i32 {
            self.hopeless_since = None;
        } else if now.since(*self.hopeless_since.get_or_insert(now)) >= HOPELESS {
            // Or the target would stay at the bound for as long as these delays are remembered.
            self.delay.reset();
            return true;
        }
        relative.unsigned_abs() > maximum.max(JUMP.as_samples(clock) as u32)
    }

    /// Whether a packet is so early or late that its timestamp must be wrong: as one that was overtaken it would become
    /// the base of the delay.
    fn is_far_off(&self, arrival: u32, timestamp: RtpTime) -> bool {
        let far = self.delay.maximum().max(JUMP.as_samples(self.config.rtp_clock_hz) as u32);
        self.delay.relative(arrival, timestamp.0).is_some_and(|relative| relative.unsigned_abs() > far)
    }

    fn store(
        &mut self,
        now: Instant,
        arrival: u32,
        packet: &RtpPacket<'_>,
        restarted: bool,
    ) -> Result<Received, ReceiveError> {
        let red = self.take_apart(packet)?;
        let (payload_type, payload) = match &red {
            Some(red) => (red.primary().payload_type, red.primary().payload),
            None => (packet.payload_type(), packet.payload()),
        };
        let info =
            PacketInfo { seq: packet.seq(), timestamp: packet.timestamp(), payload_type, copy: false, arrival: now };
        // A full buffer gives up its oldest packets: at most all of them, so this ends.
        let pushed = loop {
            match self.jitter.push(info, payload) {
                Err(PushError::Full | PushError::TooFarAhead) if !self.jitter.is_empty() => {
                    self.full = self.state == State::Priming;
                    self.drop_first();
                }
                Err(PushError::TooFarAhead) => self.skip_to(info.seq),
                other => break other,
            }
        };
        match pushed {
            Ok(()) => {
                self.delay.update(arrival, packet.timestamp().0);
                if let Some(red) = red.filter(|_| !restarted) {
                    self.store_copies(now, &info, &red);
                }
                Ok(if restarted { Received::Restarted } else { Received::Stored })
            }
            Err(PushError::Duplicate) => {
                self.stats.duplicate += 1;
                Ok(Received::Duplicate)
            }
            Err(PushError::TooLong { bytes }) => Err(ReceiveError::TooLong { bytes }),
            Err(error) => {
                // How late it was is worth knowing all the same.
                self.delay.update(arrival, packet.timestamp().0);
                self.stats.late += 1;
                if error == PushError::Late {
                    self.bursts.lost_came_late();
                }
                Ok(Received::Late)
            }
        }
    }

    /// A new source begins.
    fn begin(&mut self, packet: &RtpPacket<'_>) {
        self.ssrc = Some(packet.ssrc());
        self.candidate = None;
        self.tick_rate = TickRate::default();
        self.sequence = SequenceTracker::new(AT_ONCE);
        self.interarrival = JitterEstimator::new();
        self.bursts = BurstTracker::new();
        self.delay.rebase();
    }

    /// The stream goes on with other numbers: what is queued is played out, what was buffered is dropped.
    fn restart(&mut self) {
        while !self.jitter.is_empty() {
            self.skip_missing();
            self.stats.discarded += u32::from(self.pass(PacketFate::Discarded));
        }
        self.jitter.clear();
        self.recovered = 0;
        self.newest_copy = None;
        self.delay.rebase();
        self.interarrival = JitterEstimator::new();
        self.hopeless_since = None;
        if self.state == State::Playing {
            self.fading = true;
            self.filled = 0;
            self.settle(Cause::Lost);
        }
        self.sending = Sending::Sound;
        self.state = State::Priming;
        self.full = false;
    }

    /// Whether the packet of another source than the one that plays is the last that it needed to take over.
    fn admit(&mut self, packet: &RtpPacket<'_>) -> bool {
        let right = match self.candidate {
            Some((ssrc, seq, right)) if ssrc == packet.ssrc() && seq == packet.seq() => right + 1,
            _ => 1,
        };
        self.candidate = Some((packet.ssrc(), packet.seq().plus(1), right));
        right >= PROBATION
    }
}

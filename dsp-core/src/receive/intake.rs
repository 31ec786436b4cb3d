//! Taking in datagrams when the network delivers them: they are parsed, counted and stored. Sources that must prove
//! themselves, and clocks that jump, are handled here.

use super::clocks::{Ratio, SourceClocks, Stamp};
use super::jitter::{PacketInfo, PacketKind, PushError};
use super::memory::ReceiverMemory;
use super::stats::bump;
use super::timeline::{Newer, Timeline};
use super::{Cause, ReceiveError, Received, Receiver};
use crate::quality::{JitterEstimator, SequenceUpdate};
use crate::time::{Duration, Instant, PayloadType, RtpTime, Seq, Ssrc};
use crate::wire::red::RedPayload;
use crate::wire::rtp::RtpPacket;

/// A packet that is this much too late or too early was sent by a clock that jumped.
const JUMP: Duration = Duration::from_secs(5);
/// Changes of delay below this occur in networks too, from one packet to the next.
const LEAST_JUMP: Duration = Duration::from_millis(60);

impl<M: ReceiverMemory, const CHANNELS: usize> Receiver<M, CHANNELS> {
    /// Takes in one RTP packet that arrived at `now`. The packet must already be unprotected by a
    /// [guard](crate::guard).
    ///
    /// # Errors
    /// Returns [`ReceiveError::Parse`] if the datagram is not an RTP packet, and the errors of
    /// [`receive_packet`](Self::receive_packet). A datagram with an error is counted and changes nothing else.
    pub fn receive(&mut self, now: Instant, datagram: &[u8]) -> Result<Received, ReceiveError> {
        match RtpPacket::parse(datagram) {
            Ok(packet) => self.receive_packet(now, packet),
            Err(error) => {
                self.stats.received += 1;
                bump(&mut self.stats.malformed);
                Err(ReceiveError::Parse(error))
            }
        }
    }

    /// As [`receive`](Self::receive), for a packet that is parsed already. Its timestamp counts in the clock of its
    /// payload type; see [`set_payloads`](Self::set_payloads).
    ///
    /// # Errors
    /// Returns [`ReceiveError::Redundancy`] if the packet has the payload type of redundant audio data and its payload
    /// does not parse, and [`ReceiveError::TooLong`] if its payload is longer than the whole buffer. Such a packet is
    /// counted and changes nothing else.
    pub fn receive_packet(&mut self, now: Instant, packet: RtpPacket<'_>) -> Result<Received, ReceiveError> {
        self.stats.received += 1;
        // Browsers measure a network by packets of padding alone (RFC 3550, 5.1), between those of the sound and with the
        // timestamp of the one before: there is nothing in them to be heard, and nothing to be taken apart.
        let is_padding = packet.payload().is_empty() && packet.padding() > 0;
        // What can't be used takes nobody's number, and moves nothing.
        let red = if is_padding { None } else { self.take_apart(&packet)? };
        let (payload_type, payload) = match &red {
            Some(red) => (red.primary().payload_type, red.primary().payload),
            None => (packet.payload_type(), packet.payload()),
        };
        if payload.len() > self.jitter.longest() {
            bump(&mut self.stats.refused);
            return Err(ReceiveError::TooLong { bytes: payload.len() });
        }
        let kind = if is_padding { PacketKind::Unknown } else { self.kinds.of(payload_type) };
        let arrival = self.rates().at(now);
        let mut restarted = false;
        match self.source.ssrc {
            // A source proves itself by what was agreed on (RFC 3550, A.1).
            other if other != Some(packet.ssrc()) && kind == PacketKind::Unknown => {
                bump(&mut self.stats.probation);
                return Ok(Received::Probation);
            }
            None => self.hear(packet.ssrc()),
            Some(ssrc) if ssrc == packet.ssrc() => self.source.stay(),
            Some(_) => {
                if !self.source.admit(&packet) {
                    bump(&mut self.stats.probation);
                    return Ok(Received::Probation);
                }
                bump(&mut self.stats.ssrc_changes);
                self.restart();
                self.hear(packet.ssrc());
                restarted = true;
            }
        }
        let stamp = self.stamp(&packet);
        let before = self.source.sequence.totals();
        let update = self.source.sequence.update(packet.seq());
        match update {
            SequenceUpdate::Restarted { .. } => {
                self.stats.total.add(&before);
                bump(&mut self.stats.restarts);
                self.restart();
                self.source.timeline = Timeline::default();
                self.source.clocks = SourceClocks::default();
                restarted = true;
            }
            SequenceUpdate::Probation | SequenceUpdate::Suspect => {
                bump(&mut self.stats.probation);
                return Ok(Received::Probation);
            }
            SequenceUpdate::Duplicate { .. } => {
                bump(&mut self.stats.duplicate);
                return Ok(Received::Duplicate);
            }
            SequenceUpdate::Started { .. } | SequenceUpdate::InOrder { .. } | SequenceUpdate::Late { .. } => {}
        }
        // A packet that was overtaken says nothing about the clock of those that overtook it.
        let timestamp = if !kind.has_time() {
            self.source.timeline.place(self.place(stamp))
        } else if matches!(update, SequenceUpdate::Late { .. }) {
            let timestamp = self.place_overtaken(arrival, stamp);
            if self.is_far_off(arrival, timestamp) {
                bump(&mut self.stats.late);
                return Ok(Received::Late);
            }
            timestamp
        } else {
            let sent = if M::PARTS.clocks {
                let least = self.rates().ticks_in(LEAST_JUMP) as i32;
                let newest = self.newest_ratio();
                self.source.clocks.follow(stamp, newest, arrival, self.playhead.packet_ticks, least)
            } else {
                stamp.sent
            };
            restarted |= self.follow_clock(arrival, packet.seq(), sent);
            self.source.timeline.place(sent)
        };
        if kind.has_time() {
            self.source.interarrival.update(arrival, timestamp);
        }
        let info = PacketInfo { seq: packet.seq(), timestamp, payload_type, kind, arrival: now };
        self.store(arrival, info, payload, red, restarted)
    }

    /// Takes in the time of a packet that is newer than all before it. Whether the sender's clock jumped.
    fn follow_clock(&mut self, arrival: u32, seq: Seq, sent: RtpTime) -> bool {
        let place = self.source.timeline.place(sent);
        let relative = self.delay.relative(arrival, place.0).unwrap_or(0);
        let step = Newer { seq, sent, arrival, relative };
        let least = self.rates().ticks_in(LEAST_JUMP) as i32;
        let jumped = self.source.timeline.follow(step, self.playhead.packet_ticks, least..=self.far() as i32);
        self.stats.restarts = self.stats.restarts.saturating_add(u32::from(jumped));
        self.stats.time_jumps = self.stats.time_jumps.saturating_add(u32::from(jumped));
        jumped
    }

    /// A packet's timestamp in the clock of its payload type.
    fn stamp(&mut self, packet: &RtpPacket<'_>) -> Stamp {
        if !M::PARTS.clocks {
            return Stamp { seq: packet.seq(), sent: packet.timestamp(), clock: 0, ratio: Ratio::ONE };
        }
        let clock = self.kinds.clock(packet.payload_type());
        // Only what counts in the same clock tells how G.722 counts.
        let alike = clock == self.kinds.clock(PayloadType::G722);
        let sent = if alike { self.source.tick_rate.place(packet) } else { packet.timestamp() };
        Stamp { seq: packet.seq(), sent, clock, ratio: self.kinds.ratio(packet.payload_type()) }
    }

    /// Where a packet lies that is not the newest, or has no time of its own.
    fn place(&self, stamp: Stamp) -> RtpTime {
        if M::PARTS.clocks { self.source.clocks.place(stamp, self.playhead.packet_ticks) } else { stamp.sent }
    }

    /// A tick of the clock that a payload type counts in.
    #[inline]
    pub(super) fn ratio(&self, payload_type: PayloadType) -> Ratio {
        if M::PARTS.clocks { self.kinds.ratio(payload_type) } else { Ratio::ONE }
    }

    /// The same of the newest packet's.
    pub(super) fn newest_ratio(&self) -> Ratio {
        if M::PARTS.clocks { self.kinds.ratio_of(self.source.clocks.newest()) } else { Ratio::ONE }
    }

    /// Where a packet lies that was overtaken.
    fn place_overtaken(&self, arrival: u32, stamp: Stamp) -> RtpTime {
        let off = |place: RtpTime| self.delay.relative(arrival, place.0).unwrap_or(0).unsigned_abs();
        let sent = self.place(stamp);
        self.source.timeline.place_overtaken(stamp.seq, sent, off)
    }

    /// Whether a packet that was overtaken is so early or late that its timestamp must be wrong: it would become the base of
    /// the delay.
    fn is_far_off(&self, arrival: u32, timestamp: RtpTime) -> bool {
        self.delay.relative(arrival, timestamp.0).is_some_and(|relative| relative.unsigned_abs() > self.far())
    }

    /// No packet is early or late by more than this, in ticks.
    fn far(&self) -> u32 {
        self.delay.maximum().max(self.rates().ticks_in(JUMP))
    }

    fn store(
        &mut self,
        arrival: u32,
        info: PacketInfo,
        payload: &[u8],
        red: Option<RedPayload<'_>>,
        restarted: bool,
    ) -> Result<Received, ReceiveError> {
        // Of what is no sound only its turn is of interest.
        let payload = if info.kind.has_time() { payload } else { &[] };
        // A full buffer gives up its oldest packets: at most all of them, so this ends.
        let pushed = loop {
            match self.jitter.push(info, payload) {
                Err(PushError::Full | PushError::TooFarAhead) if !self.jitter.is_empty() => {
                    self.state.crowd();
                    self.drop_first(self.first());
                }
                Err(PushError::TooFarAhead) => self.skip_to(info.seq),
                other => break other,
            }
        };
        match pushed {
            Ok(()) => {
                if info.kind.has_time() {
                    self.delay.update(arrival, info.timestamp.0);
                }
                if let Some(red) = red.filter(|_| !restarted) {
                    self.store_copies(info.arrival, &info, &red);
                }
                Ok(if restarted { Received::Restarted } else { Received::Stored })
            }
            Err(PushError::Duplicate) => {
                bump(&mut self.stats.duplicate);
                Ok(Received::Duplicate)
            }
            Err(PushError::TooLong { bytes }) => Err(ReceiveError::TooLong { bytes }),
            Err(error) => {
                bump(&mut self.stats.late);
                if !info.kind.has_time() {
                    return Ok(Received::Late);
                }
                // How late it was is worth knowing all the same.
                self.delay.update(arrival, info.timestamp.0);
                if M::PARTS.bursts && error == PushError::Late {
                    self.source.bursts.lost_came_late();
                }
                Ok(Received::Late)
            }
        }
    }

    /// Another source is heard from here on.
    fn hear(&mut self, ssrc: Ssrc) {
        self.stats.total.add(&self.source.reset(ssrc, M::PARTS.bursts));
        self.delay.reset_base();
    }

    /// The stream goes on with other numbers: what is queued is played out, what was buffered is dropped.
    fn restart(&mut self) {
        while !self.jitter.is_empty() {
            self.drop_to(self.first());
        }
        self.jitter.reset();
        self.made_up.recovered = 0;
        self.redundancy = self.redundancy.reset();
        self.delay.reset_base();
        self.source.interarrival = JitterEstimator::new();
        if self.state.is_playing() {
            self.playhead.filled = 0;
        }
        self.settle(Cause::Lost);
        self.state.interrupt();
    }
}

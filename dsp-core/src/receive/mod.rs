//! The receive road: datagrams in on the network's clock, sound out on the audio clock.
//!
//! [`Receiver::receive`] parses a packet, does the RFC 3550 bookkeeping and stores it; [`Receiver::play`] fills a tick
//! of any length: decode, conceal, pause, stretch. Neither knows sockets, clocks or codecs: time comes as an argument,
//! decoders from a [`PayloadTable`]. Sound is mono `i16` at one rate that is fixed when the receiver is made.
//!
//! Delay. The playout delay is the time a sample is played minus the time it would have been played had its packet
//! been as fast as the fastest (`delay`). It's steered to the target in pauses, and within speech by time stretching;
//! it grows when the buffer runs dry, and never beyond the bound: later packets are dropped.
//!
//! Memory: `64 * CELLS` bytes of payloads, about 24 bytes a cell of tables, two bytes a sample for `SAMPLES`.

use crate::codec::cn::NoiseGenerator;
use crate::codec::{Decoder, OtherPayload, PayloadTable};
use crate::quality::{
    BurstStats, BurstTracker, JitterEstimator, PacketFate, ReceptionStats, SequenceConfig, SequenceTracker,
    SequenceUpdate, arrival_ticks as ticks,
};
use crate::time::{Duration, Instant, PayloadType, RtpTime, Seq, Ssrc};
use crate::wire::rtp::RtpPacket;

mod config;
pub mod decision;
pub mod delay;
mod extend;
mod gaps;
pub mod jitter;
mod lpc;
mod pitch;
pub mod plc;
mod redundancy;
pub mod sources;
mod speed;
mod stats;
pub mod strategy;
pub mod stretch;
mod sync_buffer;
mod together;

pub use config::{ConfigError, ReceiveError, Received, ReceiverConfig};
use decision::{Next, Operation, Sending, Situation};
pub use delay::DelayConfig;
use delay::DelayEstimator;
use jitter::{JitterBuffer, PacketInfo, PushError};
use plc::Concealer;
use speed::STRETCH_PAUSE;
pub use stats::{DelaySummary, Played, ReceiverStats};
use strategy::{Standard, Strategy};
use stretch::Stretcher;
use sync_buffer::SyncBuffer;

/// History that concealment and stretching may look at.
const HISTORY: Duration = Duration::from_millis(plc::HISTORY_MS as u64);
/// A gap of which both ends are known is filled in one piece up to this length.
const BRIDGE: Duration = Duration::from_millis(60);
/// Concealment goes in steps: a packet that comes meanwhile is used at the next one.
const CONCEAL_STEP: Duration = Duration::from_millis(10);
/// After so long without a packet the stream has stopped: silence, and a fresh start with the next packet.
const UNDERRUN: Duration = Duration::from_secs(1);
/// A packet that is this much too late or too early was sent by a clock that jumped.
const JUMP: Duration = Duration::from_secs(5);
/// After so long of nothing but packets over the bound of the delay, the bound is counted from them.
const HOPELESS: Duration = Duration::from_millis(500);
/// Packets in sequence that a new SSRC must send before it takes over (RFC 3550, A.1: MIN_SEQUENTIAL).
const PROBATION: u8 = 2;
/// The first source is heard from its first packet on: a call has only one, and who it is was settled before.
const AT_ONCE: SequenceConfig = SequenceConfig { min_sequential: 1, max_dropout: 3_000, max_misorder: 100 };

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Silence until the first packet's turn comes.
    Priming,
    Playing,
}

/// Why sound was made up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// Packets that are missing.
    Lost,
    /// A packet that came after its turn and is played all the same.
    Late,
}

/// Who is asked while a tick is played.
struct Road<'a> {
    payloads: &'a mut dyn PayloadTable,
    strategy: &'a mut dyn Strategy,
}

/// A receiver for G.711 with 200 ms of 20 ms packets: a desk phone. Set [`DelayConfig::max_ms`] to what it has room for.
pub type NarrowbandReceiver = Receiver<32, 1_760>;
/// A receiver for a host: any rate up to 48 kHz, 64 KiB of payloads (2 s of anything up to 256 kbit/s).
pub type HostReceiver = Receiver<1_024, 15_360>;

/// One incoming stream, from datagrams to sound.
pub struct Receiver<const CELLS: usize, const SAMPLES: usize> {
    config: ReceiverConfig,
    ssrc: Option<Ssrc>,
    /// A source that knocks: its SSRC, the sequence number it must send next, and how many were right so far.
    candidate: Option<(Ssrc, Seq, u8)>,
    sequence: SequenceTracker,
    interarrival: JitterEstimator,
    delay: DelayEstimator,
    /// Ticks that the delay is at least, for the sake of another stream.
    least_delay: u32,
    jitter: JitterBuffer<CELLS>,
    sound: SyncBuffer<SAMPLES>,
    concealer: Concealer,
    stretcher: Stretcher,
    state: State,
    /// What the sender does between its packets.
    sending: Sending,
    noise: NoiseGenerator,
    /// The RTP time of the sample that follows the last decoded one.
    next_time: RtpTime,
    /// Ticks filled since the last decoded sample.
    filled: u32,
    /// The packet before the next one was here but could not be decoded.
    broken: bool,
    /// Packets were dropped: the next one doesn't follow what was played last.
    spliced: bool,
    /// While waiting for a stream: the one before was cut off and fades out.
    fading: bool,
    /// While waiting for a stream: the buffer is full, so that waiting longer would only lose more.
    full: bool,
    /// Since when all packets in order came later than the bound of the delay.
    hopeless_since: Option<Instant>,
    /// The decoder that was used last.
    payload_type: Option<PayloadType>,
    /// Length of the last packet.
    packet_ticks: u32,
    /// Samples to play before the next change of speed.
    stretch_pause: usize,
    /// Samples concealed since the last decoded one.
    made_up: u32,
    /// What became of each packet.
    bursts: BurstTracker,
    /// Missing packets before the next one that were recovered by the codec.
    recovered: u16,
    /// The payload type of redundant audio data,
    redundancy: Option<PayloadType>,
    /// and the newest packet of which a copy came that was missing.
    newest_copy: Option<Seq>,
    stats: ReceiverStats,
}

impl<const CELLS: usize, const SAMPLES: usize> Receiver<CELLS, SAMPLES> {
    /// A receiver that waits for its first packet.
    pub fn new(config: ReceiverConfig) -> Result<Self, ConfigError> {
        let ReceiverConfig { sample_rate_hz, rtp_clock_hz, delay } = config;
        let (low, high) = (sample_rate_hz.min(rtp_clock_hz), sample_rate_hz.max(rtp_clock_hz));
        if low < 8_000 || sample_rate_hz > 48_000 || high > 192_000 || !high.is_multiple_of(low) {
            return Err(ConfigError::Rates { sample_rate_hz, rtp_clock_hz });
        }
        if delay.min_ms > delay.max_ms || delay.max_ms > 10_000 {
            return Err(ConfigError::DelayBounds { min_ms: delay.min_ms, max_ms: delay.max_ms });
        }
        let samples = |length: Duration| length.as_samples(sample_rate_hz) as usize;
        let need = samples(HISTORY) + samples(BRIDGE) + samples(Duration::from_millis(20));
        if SAMPLES < need {
            return Err(ConfigError::TooFewSamples { need, got: SAMPLES });
        }
        Ok(Self {
            config,
            ssrc: None,
            candidate: None,
            sequence: SequenceTracker::new(AT_ONCE),
            interarrival: JitterEstimator::new(),
            delay: DelayEstimator::new(rtp_clock_hz, delay),
            least_delay: 0,
            jitter: JitterBuffer::new(),
            sound: SyncBuffer::new(samples(HISTORY)),
            concealer: Concealer::new(sample_rate_hz),
            stretcher: Stretcher::new(sample_rate_hz),
            state: State::Priming,
            sending: Sending::Sound,
            noise: NoiseGenerator::new(),
            next_time: RtpTime(0),
            filled: 0,
            broken: false,
            spliced: false,
            fading: false,
            full: false,
            hopeless_since: None,
            payload_type: None,
            packet_ticks: 0,
            stretch_pause: 0,
            made_up: 0,
            bursts: BurstTracker::new(),
            recovered: 0,
            redundancy: None,
            newest_copy: None,
            stats: ReceiverStats::default(),
        })
    }

    /// The source that is being played.
    pub fn ssrc(&self) -> Option<Ssrc> {
        self.ssrc
    }

    /// Everything counted so far; plain numbers, no allocation.
    pub fn stats(&self) -> ReceiverStats {
        ReceiverStats {
            reception: ReceptionStats::new(self.ssrc.unwrap_or_default(), &self.sequence, &self.interarrival),
            target_delay_ms: self.config.ms(self.delay.target().max(self.least_delay)),
            drift_ppm: self.delay.drift_ppm(),
            buffered_packets: self.jitter.len() as u32,
            queued_samples: self.sound.queued() as u32,
            ..self.stats
        }
    }

    /// Losses, discards, bursts and gaps by RFC 3611, of the packets whose turn has passed. What redundancy made up for
    /// counts as received.
    pub fn bursts(&self) -> BurstStats {
        self.bursts.stats()
    }

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

    /// Plays one tick: fills `pcm` with the samples that follow, at the receiver's rate, the first of which is heard
    /// at `now`. It never fails: what it could not decode it has concealed.
    pub fn play(&mut self, now: Instant, payloads: &mut dyn PayloadTable, pcm: &mut [i16]) -> Played {
        self.play_with(now, payloads, &mut Standard, pcm)
    }

    /// As [`play`](Self::play), with a strategy of one's own.
    pub fn play_with(
        &mut self,
        now: Instant,
        payloads: &mut dyn PayloadTable,
        strategy: &mut dyn Strategy,
        pcm: &mut [i16],
    ) -> Played {
        let mut road = Road { payloads, strategy };
        self.delay.set_tick((pcm.len() as u32).div_ceil(self.config.sample_rate_hz / 1_000));
        let mut played = Played::default();
        let mut filled = 0;
        self.cut_short(now, road.strategy);
        while filled < pcm.len() {
            let at = now + Duration::from_samples(filled as u64, self.config.sample_rate_hz);
            if self.sound.queued() == 0 {
                self.produce(at, &mut road, pcm.len() - filled, &mut played);
            }
            filled += self.sound.take(&mut pcm[filled..]);
        }
        self.stretch_pause = self.stretch_pause.saturating_sub(pcm.len());
        played.target_delay_ms = self.config.ms(self.target(road.strategy));
        self.stats.count(&played, pcm.len());
        played
    }

    /// Makes the samples that are heard from `at` on: at least one.
    fn produce(&mut self, at: Instant, road: &mut Road<'_>, wanted: usize, played: &mut Played) {
        let now = ticks(at, self.config.rtp_clock_hz);
        loop {
            // Each turn of this loop that goes on has taken a packet out of the buffer, or has begun to play or ceased to,
            // so it ends.
            let first = self.jitter.first().map(|(offset, info, _)| (offset, info));
            let delay = first.map_or(0, |(_, info)| self.delay.relative(now, info.timestamp.0).unwrap_or(0));
            let target = self.target(road.strategy) as i32;
            if self.state == State::Priming {
                match first {
                    Some((offset, info)) if delay >= target || self.full => self.start(offset, info),
                    Some(_) => {
                        return self.wait(self.config.samples(target.saturating_sub(delay) as u32).min(wanted), played);
                    }
                    None => return self.wait(wanted, played),
                }
                continue;
            }
            let next = match first {
                None => Next::Nothing,
                Some((offset, info)) => {
                    let gap = info.timestamp.distance(self.next_time);
                    match offset {
                        0 => Next::Here { gap, broken: self.broken },
                        _ => Next::Later { gap },
                    }
                }
            };
            let operation = road.strategy.operation(&Situation {
                next,
                sending: self.sending,
                filled: self.filled as i32,
                concealed: self.concealer.is_concealing(),
                delay,
                target,
                reorders: self.delay.estimate().reorders,
                maximum: self.delay.maximum() as i32,
                step: CONCEAL_STEP.as_samples(self.config.rtp_clock_hz) as i32,
            });
            let samples = |ticks: i32| self.config.samples(ticks.max(0) as u32);
            match operation {
                // A strategy of somebody's own may ask for what isn't there.
                Operation::Decode | Operation::Merge | Operation::Drop | Operation::Fill(_) if first.is_none() => {
                    return self.conceal(wanted, road.payloads, played);
                }
                Operation::Decode | Operation::Merge => {
                    if self.decode(at, delay, road, played) {
                        return;
                    }
                }
                Operation::Drop => self.drop_first(),
                Operation::Silence(left) => return self.pause(samples(left).min(wanted), played),
                Operation::Noise(left) => return self.noise(samples(left).min(wanted), played),
                Operation::Fill(left) => return self.fill(samples(left), at, road.payloads, played),
                // What goes on for too long has ended: without noise that was described, or the sender, nobody knows.
                Operation::Conceal | Operation::Background(_) | Operation::Event(_) if self.has_ended() => {
                    self.stats.pauses += 1;
                    self.state = State::Priming;
                    self.sending = Sending::Sound;
                    self.fading = false;
                    self.settle(Cause::Late);
                    self.concealer.reset();
                }
                Operation::Background(left) => {
                    return self.background(samples(left).min(wanted), road.payloads, played);
                }
                Operation::Event(left) => return self.pause(samples(left).min(wanted), played),
                Operation::Conceal => return self.conceal(wanted, road.payloads, played),
            }
        }
    }

    fn has_ended(&self) -> bool {
        self.filled > UNDERRUN.as_samples(self.config.rtp_clock_hz) as u32
    }

    /// Begins to play with the packet `offset` places ahead.
    fn start(&mut self, offset: usize, info: PacketInfo) {
        debug_assert!(self.jitter.first_offset() == Some(offset), "only missing packets are skipped");
        self.skip_missing();
        self.state = State::Playing;
        self.sending = Sending::Sound;
        self.full = false;
        // A packet or two say what delay the network needs.
        self.stretch_pause = STRETCH_PAUSE.as_samples(self.config.sample_rate_hz) as usize;
        self.next_time = info.timestamp;
        self.filled = 0;
        self.broken = false;
        self.spliced = false;
    }

    /// Decodes the first packet in the buffer; whether samples came of it.
    fn decode(&mut self, at: Instant, delay: i32, road: &mut Road<'_>, played: &mut Played) -> bool {
        let missing = self.jitter.first_offset().unwrap_or(0);
        self.skip_missing();
        let Some((info, payload)) = self.jitter.peek(0) else { return false };
        let Some(decoder) = road.payloads.decoder(info.payload_type) else {
            let other = road.payloads.other(info.payload_type);
            self.take_in(other, info);
            return false;
        };
        let reach = if missing > 0 { decoder.redundancy(payload) } else { 0 };
        // A packet that was only late continues what was played before it: what is made up must last whole periods.
        let gap = info.timestamp.distance(self.next_time);
        let late = self.filled > 0 && !self.broken && gap == 0 && self.concealer.is_concealing();
        let more = if late { self.concealer.until_in_phase() } else { 0 };
        let duration = decoder.duration(payload).unwrap_or(0);
        let bound = self.config.samples(self.delay.maximum().saturating_sub(delay.max(0) as u32));
        let more = more.min(bound).min(self.sound.room().saturating_sub(self.config.samples(duration)));
        let pauses = decoder.pauses(payload);
        let decoded = decode_into(&mut self.sound, more, decoder, payload, &self.config);
        self.pass(if decoded.is_some() { PacketFate::Received } else { PacketFate::Discarded });
        self.weigh_reach(info.arrival, info.timestamp, missing, reach);
        let Some(samples) = decoded else {
            self.stats.undecodable += 1;
            self.broken = true;
            return false;
        };
        // Something is left out between what was played and this packet.
        let spliced = self.spliced || gap > self.filled as i32 || self.sending != Sending::Sound;
        let (history, place) = self.sound.extend(more + samples);
        let (made, frame) = place.split_at_mut(more);
        if more > 0 {
            self.concealer.bridge(history, made, frame);
        } else if self.concealer.is_concealing() {
            self.concealer.merge(history, frame);
        } else if spliced {
            self.concealer.bridge(history, &mut [], frame);
        }
        self.sound.commit(more + samples);
        self.count_concealed(more, played);
        self.settle(if gap > 0 { Cause::Lost } else { Cause::Late });
        self.count_decoded(info.copy, samples, played);
        self.sending = if pauses { Sending::Pause } else { Sending::Sound };
        let at = at + Duration::from_samples(more as u64, self.config.sample_rate_hz);
        let delay = delay + self.config.ticks(more) as i32;
        self.after_decoding(info, duration, at, delay, played);
        self.change_speed(delay, road.strategy, played);
        true
    }

    /// Takes a packet out for which there is no decoder.
    fn take_in(&mut self, other: OtherPayload, info: PacketInfo) {
        match other {
            OtherPayload::Noise => {
                let description = self.jitter.peek(0).map_or(&[][..], |(_, payload)| payload);
                if self.noise.update(description).is_ok() {
                    self.stats.noise_packets += 1;
                    self.settle(Cause::Lost);
                    self.sending = Sending::Noise;
                    self.next_time = info.timestamp;
                    self.filled = 0;
                } else {
                    self.stats.undecodable += 1;
                }
            }
            OtherPayload::Event => {
                self.stats.event_packets += 1;
                self.sending = Sending::Event;
            }
            // No sound, as if it had not come.
            OtherPayload::Unknown => {
                self.stats.unknown_payload += 1;
                self.pass(PacketFate::Discarded);
                return;
            }
        }
        self.pass(PacketFate::Received);
    }

    fn after_decoding(&mut self, info: PacketInfo, duration: u32, at: Instant, delay: i32, played: &mut Played) {
        if self.payload_type.is_some_and(|before| before != info.payload_type) {
            self.stats.codec_switches += 1;
        } else if self.packet_ticks != duration && self.packet_ticks > 0 {
            self.stats.ptime_changes += 1;
        }
        self.payload_type = Some(info.payload_type);
        self.packet_ticks = duration;
        self.next_time = info.timestamp.plus(duration);
        self.filled = 0;
        self.broken = false;
        self.spliced = false;
        let delay_us = Duration::from_samples(delay.max(0) as u64, self.config.rtp_clock_hz).as_micros() as u32;
        let waited_us = at.since(info.arrival).as_micros().min(u64::from(u32::MAX)) as u32;
        played.playout_delay_us = Some(delay_us);
        played.buffer_delay_us = Some(waited_us);
        played.timestamp = Some(info.timestamp);
        let samples = self.config.samples(duration) as u32;
        self.stats.playout_delay.count(delay_us, samples);
        self.stats.buffer_delay.count(waited_us, samples);
    }

    /// Drops the first packet, and plays on with the one after it as if it followed.
    fn drop_first(&mut self) {
        self.skip_missing();
        if self.pass(PacketFate::Discarded) {
            self.stats.discarded += 1;
        }
        if let Some((_, info, _)) = self.jitter.first() {
            self.next_time = info.timestamp;
            self.filled = 0;
            self.spliced = true;
        }
    }

    /// A new source begins.
    fn begin(&mut self, packet: &RtpPacket<'_>) {
        self.ssrc = Some(packet.ssrc());
        self.candidate = None;
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

/// Decodes `skip` samples behind the end of the sync buffer, without counting the samples as valid yet.
fn decode_into<const SAMPLES: usize>(
    sound: &mut SyncBuffer<SAMPLES>,
    skip: usize,
    decoder: &mut dyn Decoder,
    payload: &[u8],
    config: &ReceiverConfig,
) -> Option<usize> {
    let info = decoder.info();
    if !config.fits(&info) {
        return None;
    }
    let room = sound.room();
    let samples = info.samples(decoder.duration(payload).ok()?) as usize;
    if samples == 0 || skip + samples > room {
        return None;
    }
    let decoded = decoder.decode(payload, &mut sound.extend(skip + samples).1[skip..]).ok()?;
    (decoded == samples).then_some(samples)
}

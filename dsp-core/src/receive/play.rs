//! Sound out, on the audio clock: each tick asks what to do next until it is full.

use super::decision::{Next, Operation, Sending, Situation};
use super::jitter::{Fate, PacketInfo, PacketKind};
use super::speed::STRETCH_PAUSE;
use super::stats::bump;
use super::strategy::{Standard, Strategy};
use super::sync_buffer::SyncBuffer;
use super::{CONCEAL_STEP, Cause, Played, Receiver, ReceiverConfig, State, UNDERRUN, ticks};
use crate::codec::{Decoder, OtherPayload, PayloadTable};
use crate::time::{Duration, Instant, PayloadType};

/// Who is asked while a tick is played.
struct Road<'a> {
    payloads: &'a mut dyn PayloadTable,
    strategy: &'a mut dyn Strategy,
}

impl<const CELLS: usize, const SAMPLES: usize, const CHANNELS: usize> Receiver<CELLS, SAMPLES, CHANNELS> {
    /// Plays one tick: fills `pcm` with the samples that follow, at the receiver's rate, interleaved, the first of which
    /// is heard at `now`. It never fails: what it could not decode it has concealed. A part of a frame at the end of
    /// `pcm` is silence.
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
        let wanted = pcm.len() / CHANNELS.max(1);
        let (pcm, rest) = pcm.split_at_mut(wanted * CHANNELS);
        rest.fill(0);
        if !self.tick_told {
            self.delay.set_tick(tick_ms(Duration::from_samples(wanted as u64, self.config.sample_rate_hz)));
        }
        let mut played = Played::default();
        let mut filled = 0;
        self.cut_short(now, road.strategy);
        while filled < wanted {
            let at = now + Duration::from_samples(filled as u64, self.config.sample_rate_hz);
            if self.sound.queued() == 0 {
                self.produce(at, &mut road, wanted - filled, &mut played);
            }
            filled += self.sound.take(&mut pcm[filled * CHANNELS..]);
        }
        self.stretch_pause = self.stretch_pause.saturating_sub(wanted);
        played.target_delay_ms = self.config.ms(self.target(road.strategy));
        self.stats.count(&played, wanted);
        played
    }

    /// How much sound is asked for at a time: packets must be here when a tick begins. Needed only where ticks are played
    /// in parts; else the receiver sees it from what it's asked for.
    pub fn set_tick(&mut self, tick: Duration) {
        self.tick_told = true;
        self.delay.set_tick(tick_ms(tick));
    }

    /// Makes the samples that are heard from `at` on: at least one.
    fn produce(&mut self, at: Instant, road: &mut Road<'_>, wanted: usize, played: &mut Played) {
        let now = ticks(at, self.config.rtp_clock_hz);
        loop {
            // Each turn of this loop that goes on has taken a packet out of the buffer, or has begun to play or ceased to,
            // so it ends.
            if self.take_in_beside() {
                continue;
            }
            let first = self.jitter.first().map(|(offset, info, _)| (offset, info));
            let delay = first.map_or(0, |(_, info)| self.delay.relative(now, info.timestamp.0).unwrap_or(0));
            let overdue = first.is_some_and(|(_, info)| self.is_overdue(at, &info));
            let maximum = self.delay.maximum() as i32;
            let delay = if delay > maximum && !overdue {
                // It hasn't waited for so long: it's the network that is slow, or a clock that stood still.
                self.delay.raise((delay - maximum) as u32);
                maximum
            } else {
                delay
            };
            let target = self.target(road.strategy) as i32;
            if self.state == State::Priming {
                match first {
                    Some((offset, info)) if delay >= target || self.full => self.start(offset, info, played),
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
                overdue,
                target,
                reorders: self.delay.estimate().reorders,
                maximum,
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
                    bump(&mut self.stats.pauses);
                    self.state = State::Priming;
                    self.sending = Sending::Sound;
                    self.fading = false;
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

    /// Whether the first packet has waited for its turn longer than the bound, or what lies behind it would last longer.
    /// Missing packets don't count: as long as the delay is too long, nobody fills in for them.
    fn is_overdue(&self, at: Instant, first: &PacketInfo) -> bool {
        let span = self.timeline.newest().map_or(0, |newest| newest.distance(first.timestamp));
        let behind = (self.jitter.len() as i32 - 1).saturating_mul(self.packet_ticks as i32);
        // In microseconds, as they are: ticks would take a long division each time.
        let bound = Duration::from_millis(u64::from(self.config.delay.max_ms));
        span.min(behind) > self.delay.maximum() as i32 || at.since(first.arrival) > bound
    }

    /// Whether another codec was heard last.
    pub(super) fn switches_to(&self, payload_type: PayloadType) -> bool {
        self.payload_type.is_some_and(|before| before != payload_type)
    }

    fn has_ended(&self) -> bool {
        self.filled > UNDERRUN.as_samples(self.config.rtp_clock_hz) as u32
    }

    /// Begins to play with the packet `offset` places ahead.
    fn start(&mut self, offset: usize, info: PacketInfo, played: &mut Played) {
        debug_assert!(self.jitter.first_offset() == Some(offset), "only missing packets are skipped");
        // The stream had stopped: what was made up until then is known by now.
        let gap = info.timestamp.distance(self.next_time);
        match offset {
            _ if self.made_up == 0 => {}
            0 if !self.broken => self.settle_pause(gap.max(0) as u32, played),
            _ => self.settle(Cause::Lost),
        }
        self.skip_missing();
        self.state = State::Playing;
        self.sending = Sending::Sound;
        self.full = false;
        // Two packets or three say what delay the network needs.
        self.stretch_pause = STRETCH_PAUSE.as_samples(self.config.sample_rate_hz) as usize;
        self.next_time = info.timestamp;
        self.filled = 0;
        self.broken = false;
        self.spliced = false;
    }

    /// Decodes the first packet in the buffer; whether samples came of it.
    fn decode(&mut self, at: Instant, delay: i32, road: &mut Road<'_>, played: &mut Played) -> bool {
        let missing = self.skip_missing();
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
        let more = more.min(bound).min(self.sound.room().saturating_sub(CHANNELS * self.config.samples(duration)));
        // What a decoder remembers of an earlier turn has nothing to do with this one.
        let switched = self.switches_to(info.payload_type);
        if switched {
            decoder.reset();
        }
        let pauses = decoder.pauses(payload);
        let decoded = decode_into(&mut self.sound, more, decoder, payload, &self.config);
        self.pass(if decoded.is_some() { Fate::Played } else { Fate::Undecodable });
        self.weigh_reach(info.arrival, info.timestamp, missing, reach);
        let Some(samples) = decoded else {
            self.broken = true;
            return false;
        };
        // Something is left out between what was played and this packet.
        let spliced = self.spliced || switched || gap > self.filled as i32 || self.sending != Sending::Sound;
        let parts = self.sound.extend(more + samples);
        if more > 0 {
            self.concealer.bridge(parts, more);
        } else if self.concealer.is_concealing() {
            self.concealer.merge(parts);
        } else if spliced {
            self.concealer.bridge(parts, 0);
        }
        self.sound.commit(more + samples);
        self.count_concealed(more, played);
        // A pause is longer than a packet: one of another kind may have come instead of sound.
        let paused = missing == 0 && !self.broken && self.sending == Sending::Sound && gap > self.packet_ticks as i32;
        match gap {
            _ if paused => self.settle_pause(gap as u32, played),
            ..=0 => self.settle(Cause::Late),
            _ => self.settle(Cause::Lost),
        }
        count_decoded(info.kind, samples, played);
        self.sending = if pauses { Sending::Pause } else { Sending::Sound };
        let at = at + Duration::from_samples(more as u64, self.config.sample_rate_hz);
        let delay = delay.saturating_add(self.config.ticks(more) as i32);
        self.after_decoding(info, duration, at, delay, played);
        self.change_speed(delay, road.strategy, played);
        true
    }

    /// Takes a packet out for which there is no decoder.
    fn take_in(&mut self, other: OtherPayload, info: PacketInfo) {
        let fate = match other {
            OtherPayload::Noise => {
                let description = self.jitter.peek(0).map_or(&[][..], |(_, payload)| payload);
                if self.noise.update(description).is_ok() {
                    self.settle(Cause::Lost);
                    self.sending = Sending::Noise;
                    self.next_time = info.timestamp;
                    self.filled = 0;
                    Fate::Noise
                } else {
                    Fate::Undecodable
                }
            }
            OtherPayload::Event => {
                self.sending = Sending::Event;
                Fate::Event
            }
            // No sound, as if it had not come.
            OtherPayload::Unknown => Fate::Unknown,
        };
        self.pass(fate);
    }

    /// Takes the next packet out if it has no place in time: it waits for nothing, and nothing waits for it. Whether that
    /// was so.
    fn take_in_beside(&mut self) -> bool {
        let Some((info, _)) = self.jitter.peek(0) else { return false };
        // An event stands for the sound from where it begins; one that began earlier is sent beside it.
        if info.kind == PacketKind::Event
            && self.state == State::Playing
            && info.timestamp.distance(self.next_time) >= 0
        {
            self.sending = Sending::Event;
        }
        self.pass_beside()
    }

    pub(super) fn after_decoding(
        &mut self,
        info: PacketInfo,
        duration: u32,
        at: Instant,
        delay: i32,
        played: &mut Played,
    ) {
        if self.switches_to(info.payload_type) {
            bump(&mut self.stats.codec_switches);
        } else if self.packet_ticks != duration && self.packet_ticks > 0 {
            bump(&mut self.stats.ptime_changes);
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
        played.timestamp = Some(self.timeline.sent(info.seq, info.timestamp));
        let samples = self.config.samples(duration) as u32;
        self.stats.playout_delay.count(delay_us, samples);
        self.stats.buffer_delay.count(waited_us, samples);
    }

    /// Drops the first packet, and plays on with the one after it as if it followed.
    pub(super) fn drop_first(&mut self) {
        self.drop_to_first();
        if let Some((_, info, _)) = self.jitter.first() {
            self.next_time = info.timestamp;
            self.filled = 0;
            self.spliced = true;
        }
    }
}

/// Rounded to the next ms, as 441 samples at 44.1 kHz are 10 ms.
fn tick_ms(tick: Duration) -> u32 {
    tick.as_micros().div_ceil(1_000).min(10_000) as u32
}

/// Samples that were decoded from a packet, or from its copy.
pub(super) fn count_decoded(kind: PacketKind, samples: usize, played: &mut Played) {
    match kind {
        PacketKind::Copy => played.recovered += samples as u32,
        _ => played.decoded += samples as u32,
    }
}

/// Decodes `skip` samples behind the end of the sync buffer, without counting the samples as valid yet.
fn decode_into<const SAMPLES: usize, const CHANNELS: usize>(
    sound: &mut SyncBuffer<SAMPLES, CHANNELS>,
    skip: usize,
    decoder: &mut dyn Decoder,
    payload: &[u8],
    config: &ReceiverConfig,
) -> Option<usize> {
    let info = decoder.info();
    if !config.fits::<CHANNELS>(&info) {
        return None;
    }
    let samples = info.samples(decoder.duration(payload).ok()?) as usize;
    if samples == 0 || samples > sound.interleaved_room(skip) {
        return None;
    }
    let decoded = sound.make(skip, samples, |out| decoder.decode(payload, out))?.ok()?;
    (decoded == samples).then_some(samples)
}

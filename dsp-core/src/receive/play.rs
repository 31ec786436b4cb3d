//! Playing sound when the audio device asks for it: each tick decides what to do next until it is full.

use super::clocks::Ratio;
use super::decision::{Next, Operation, Sending, Situation, start};
use super::delay::Estimate;
use super::gaps::show_gap;
use super::jitter::{Fate, PacketInfo, PacketKind};
use super::memory::ReceiverMemory;
use super::speed::PERIOD;
use super::stats::bump;
use super::strategy::{Standard, Strategy};
use super::sync_buffer::SyncBuffer;
use super::{CONCEAL_STEP, Cause, First, Played, Receiver, State, UNDERRUN};
use crate::codec::{Decoder, OtherPayload, PayloadTable};
use crate::slices::split_mut;
use crate::storage::Storage;
use crate::time::{Duration, Instant, PayloadType};

/// A tick while it is played.
pub(super) struct Tick<'a> {
    pub(super) payloads: &'a mut dyn PayloadTable,
    pub(super) strategy: &'a mut dyn Strategy,
    /// What was known of the network when it began.
    pub(super) estimate: Estimate,
    /// What the strategy made of that: what the delay is steered to, in ticks of the receiver's clock.
    pub(super) target: u32,
    pub(super) played: Played,
}

/// The length of a packet as its decoder tells it.
#[derive(Clone, Copy, Default)]
pub(super) struct Length {
    /// In ticks of the receiver's clock.
    pub(super) ticks: u32,
    /// Samples a channel.
    pub(super) samples: usize,
}

impl Length {
    /// `None` if the decoder can't use the payload. `ratio`: of its clock.
    pub(super) fn of(decoder: &dyn Decoder, payload: &[u8], ratio: Ratio) -> Option<Self> {
        let ticks = decoder.duration(payload).ok()?;
        Some(Self { ticks: ratio.length(ticks), samples: decoder.info().samples(ticks) as usize })
    }
}

/// A packet's turn to be decoded.
#[derive(Clone, Copy)]
pub(super) struct Turn {
    pub(super) first: First,
    /// How much later than the base it would be played now, in ticks.
    pub(super) delay: i32,
    /// It has waited longer than the bound, or what lies behind it would last longer.
    overdue: bool,
}

impl<M: ReceiverMemory, const CHANNELS: usize> Receiver<M, CHANNELS> {
    /// Plays one tick, or a part of one: fills `pcm` with the samples that follow, interleaved, at the receiver's
    /// sample rate. The first of them is heard at `now`. It cannot fail: what cannot be decoded is concealed. If `pcm`
    /// ends within a frame of interleaved samples, these last samples are silence.
    /// [`ReceiverConfig::tick`](super::ReceiverConfig::tick) tells the length of a whole tick.
    pub fn play(&mut self, now: Instant, payloads: &mut dyn PayloadTable, pcm: &mut [i16]) -> Played {
        self.play_with(now, payloads, &mut Standard, pcm)
    }

    /// As [`play`](Self::play), with `strategy` in place of the receiver's own decisions.
    pub fn play_with(
        &mut self,
        now: Instant,
        payloads: &mut dyn PayloadTable,
        strategy: &mut dyn Strategy,
        pcm: &mut [i16],
    ) -> Played {
        let wanted = pcm.len() / CHANNELS.max(1);
        let (pcm, rest) = split_mut(pcm, wanted * CHANNELS);
        rest.fill(0);
        let estimate = self.delay.estimate();
        let target = strategy.target(&estimate).max(self.least_delay);
        let mut tick = Tick { payloads, strategy, estimate, target, played: Played::default() };
        let mut filled = 0;
        self.concealer.begin_tick();
        self.cut_short(now, target);
        while filled < wanted {
            if self.sound.queued() == 0 {
                self.produce(now + self.rates().lasting(filled), wanted - filled, &mut tick);
            }
            if self.concealer.unmet() > 0 {
                self.concealer.go_on(self.rates().sample_rate_hz, self.sound.next(wanted - filled));
            }
            filled += self.sound.take(pcm.get_mut(filled * CHANNELS..).unwrap_or_default());
        }
        self.prepare(now, estimate);
        self.speed.played(wanted);
        let mut played = tick.played;
        played.target_delay_ms = self.rates().ms(target);
        self.stats.count(&played, wanted);
        played
    }

    /// Makes the samples that are heard from `at` on: at least one.
    fn produce(&mut self, at: Instant, wanted: usize, tick: &mut Tick<'_>) {
        let now = self.rates().at(at);
        let target = tick.target as i32;
        // Beyond the bound the packet would be dropped.
        let start = start(target, self.rates().ticks_in(PERIOD) as i32, self.least_delay > 0);
        let start = start.min(self.delay.maximum() as i32).max(target);
        loop {
            // Each turn of this loop that goes on has taken a packet out of the buffer, or has begun to play or ceased to,
            // so it ends.
            if self.take_in_beside() {
                continue;
            }
            let turn = self.first().map(|first| self.turn_of(first, now, at));
            let delay = turn.map_or(0, |turn| turn.delay);
            let sending = match self.state {
                State::Playing { sending } => sending,
                State::Priming { fading, full } => {
                    let wait = match turn {
                        Some(turn) if delay >= start || full => {
                            // Nobody heard what came since it stopped.
                            self.delay.owe(delay.saturating_sub(start).max(0) as u32);
                            self.start(turn.first, &mut tick.played);
                            continue;
                        }
                        Some(_) => self.rates().samples(start.saturating_sub(delay) as u32).min(wanted),
                        None => wanted,
                    };
                    return self.wait(wait, fading, &mut tick.played);
                }
            };
            let next = turn.map_or(Next::Nothing, |Turn { first, .. }| {
                let gap = self.playhead.gap(first.info.timestamp);
                match first.offset {
                    0 => Next::Here { gap, broken: self.made_up.broken },
                    _ => Next::Later { gap },
                }
            });
            let operation = tick.strategy.operation(&Situation {
                next,
                sending,
                filled: self.playhead.filled as i32,
                concealed: self.concealer.is_concealing(),
                delay,
                overdue: turn.is_some_and(|turn| turn.overdue),
                target,
                start,
                reorders: tick.estimate.reorders,
                maximum: self.delay.maximum() as i32,
                step: self.rates().ticks_in(CONCEAL_STEP) as i32,
            });
            let samples = |ticks: i32| self.rates().samples(ticks.max(0) as u32);
            match (operation, turn) {
                // A strategy of somebody's own may ask for what isn't there.
                (Operation::Decode | Operation::Merge | Operation::Drop | Operation::Fill(_), None) => {
                    return self.conceal(wanted, tick);
                }
                (Operation::Decode | Operation::Merge, Some(turn)) => {
                    if self.decode(turn, at, wanted, tick) {
                        return;
                    }
                }
                (Operation::Drop, Some(turn)) => self.drop_first(Some(turn.first)),
                (Operation::Fill(left), Some(turn)) => {
                    return self.fill(turn, samples(left), at, wanted, tick);
                }
                (Operation::Silence(left), _) => return self.pause(samples(left).min(wanted), &mut tick.played),
                (Operation::Noise(left), _) => return self.noise(samples(left).min(wanted), &mut tick.played),
                // What goes on for too long has ended: without noise that was described, or the sender, nobody knows.
                (Operation::Conceal | Operation::Background(_) | Operation::Event(_), _) if self.has_ended() => {
                    bump(&mut self.stats.pauses);
                    self.state = State::WAITING;
                    self.concealer.reset();
                }
                (Operation::Background(left), _) => return self.background(samples(left).min(wanted), tick),
                (Operation::Event(left), _) => return self.pause(samples(left).min(wanted), &mut tick.played),
                (Operation::Conceal, _) => return self.conceal(wanted, tick),
            }
        }
    }

    /// What the delay is at which `first` would be played `now`.
    fn turn_of(&mut self, first: First, now: u32, at: Instant) -> Turn {
        let delay = self.delay.relative(now, first.info.timestamp.0).unwrap_or(0);
        let overdue = self.is_overdue(at, &first.info);
        let maximum = self.delay.maximum() as i32;
        if delay <= maximum || overdue {
            return Turn { first, delay, overdue };
        }
        // It hasn't waited for so long: it's the network that is slow, or a clock that stood still.
        self.delay.raise((delay - maximum) as u32);
        Turn { first, delay: maximum, overdue }
    }

    /// Whether the first packet has waited for its turn longer than the bound, or what lies behind it would last longer.
    /// Missing packets don't count: as long as the delay is too long, nobody fills in for them.
    fn is_overdue(&self, at: Instant, first: &PacketInfo) -> bool {
        let span = self.source.timeline.newest().map_or(0, |newest| newest.distance(first.timestamp));
        let behind = (self.jitter.len() as i32 - 1).saturating_mul(self.playhead.packet_ticks as i32);
        // In microseconds, as they are: ticks would take a long division each time.
        let bound = Duration::from_millis(u64::from(self.delay.max_ms()));
        let (behind, waited) = (span.min(behind), at.since(first.arrival));
        behind > self.delay.maximum() as i32 || waited > bound || self.is_given_up(waited, behind)
    }

    /// Whether another codec was heard last.
    pub(super) fn switches_to(&self, payload_type: PayloadType) -> bool {
        self.payload_type.is_some_and(|before| before != payload_type)
    }

    fn has_ended(&self) -> bool {
        self.playhead.filled > self.rates().ticks_in(UNDERRUN)
    }

    /// Begins to play with the packet `first`.
    fn start(&mut self, first: First, played: &mut Played) {
        // The stream had stopped: what was made up until then is known by now.
        let gap = self.playhead.gap(first.info.timestamp);
        match first.offset {
            _ if self.made_up.samples == 0 => {}
            0 if !self.made_up.broken => self.settle_pause(gap.max(0) as u32, played),
            _ => self.settle(Cause::Lost),
        }
        self.skip_missing(first);
        self.state = State::STARTED;
        self.speed.hold(&self.rates());
        self.playhead.seek(first.info.timestamp);
        self.made_up.joined();
    }

    /// Decodes the packet whose turn it is; whether samples came of it.
    fn decode(&mut self, turn: Turn, at: Instant, wanted: usize, tick: &mut Tick<'_>) -> bool {
        let Turn { first, delay, .. } = turn;
        let info = first.info;
        let missing = self.skip_missing(first);
        let payload = self.jitter.payload(0);
        let Some(decoder) = tick.payloads.decoder(info.payload_type) else {
            let other = tick.payloads.other(info.payload_type);
            self.take_in(other, info);
            return false;
        };
        let ratio = self.ratio(info.payload_type);
        let reach = if M::PARTS.codec_recovery && missing > 0 { ratio.length(decoder.redundancy(payload)) } else { 0 };
        // A packet that was only late continues what was played before it: what is made up must last whole periods.
        let gap = self.playhead.gap(info.timestamp);
        let late = self.playhead.filled > 0 && !self.made_up.broken && gap == 0 && self.concealer.is_concealing();
        let more = if late && self.concealer.may_search() { self.concealer.until_in_phase() } else { 0 };
        let length = Length::of(decoder, payload, ratio);
        let expected = length.unwrap_or_default();
        let bound = self.rates().samples(self.delay.maximum().saturating_sub(delay.max(0) as u32));
        let room = self.sound.room().saturating_sub(CHANNELS * expected.samples);
        let more = more.min(bound).min(room);
        // What a decoder remembers of an earlier turn has nothing to do with this one.
        let switched = self.switches_to(info.payload_type);
        if switched {
            decoder.reset();
        } else if self.concealer.is_concealing() {
            let (rate_hz, lost) = (self.rates().sample_rate_hz, self.made_up.samples as usize + more);
            show_gap::<M, CHANNELS>(decoder, lost, more, rate_hz, &self.concealer, &mut self.sound);
        }
        let pauses = M::PARTS.codec_recovery && decoder.pauses(payload);
        let fits = self.rates().fits::<CHANNELS>(&decoder.info());
        let length =
            length.filter(|length| fits && decode_into(&mut self.sound, more, decoder, payload, length.samples));
        self.pass(if length.is_some() { Fate::Played } else { Fate::Undecodable });
        if M::PARTS.codec_recovery {
            self.weigh_reach(info.arrival, info.timestamp, missing, reach);
        }
        let Some(Length { ticks, samples }) = length else {
            self.made_up.broken = true;
            return false;
        };
        // Something is left out between what was played and this packet.
        let follows = self.state == State::STARTED;
        let spliced = self.made_up.spliced || switched || gap > self.playhead.filled as i32 || !follows;
        let rate_hz = self.rates().sample_rate_hz;
        let parts = self.sound.extend(more + samples);
        if more > 0 {
            self.concealer.meet(rate_hz, parts, more);
        } else if self.concealer.is_concealing() {
            self.concealer.merge(rate_hz, parts);
        } else if spliced {
            self.concealer.join(rate_hz, parts);
        } else {
            self.concealer.dismiss();
        }
        self.sound.commit(more + samples);
        self.count_concealed(more, &mut tick.played);
        // A pause is longer than a packet: one of another kind may have come instead of sound.
        let longer = gap > self.playhead.packet_ticks as i32;
        match gap {
            _ if missing == 0 && !self.made_up.broken && follows && longer => {
                self.settle_pause(gap as u32, &mut tick.played);
            }
            ..=0 => self.settle(Cause::Late),
            _ => self.settle(Cause::Lost),
        }
        count_decoded(info.kind, samples, &mut tick.played);
        self.state.send(if pauses { Sending::Pause } else { Sending::Sound });
        let at = at + self.rates().lasting(more);
        let delay = delay.saturating_add(self.rates().ticks(more) as i32);
        self.after_decoding(info, ticks, at, delay, &mut tick.played);
        // A gap that begins in this tick would be one more search.
        if self.sound.queued() >= wanted {
            self.change_speed(delay, tick);
        }
        true
    }

    /// Takes a packet out for which there is no decoder.
    fn take_in(&mut self, other: OtherPayload, info: PacketInfo) {
        let fate = match other {
            OtherPayload::Noise if M::PARTS.comfort_noise => {
                let description = self.jitter.payload(0);
                // Within a pause noise moves to what is told; a pause begins with it.
                let goes_on = matches!(self.state, State::Playing { sending: Sending::Noise });
                let told = if goes_on { self.noise.update(description) } else { self.noise.begin(description) };
                if told.is_ok() {
                    self.settle(Cause::Lost);
                    self.state.send(Sending::Noise);
                    self.playhead.seek(info.timestamp);
                    Fate::Noise
                } else {
                    Fate::Undecodable
                }
            }
            OtherPayload::Event => {
                self.state.send(Sending::Event);
                Fate::Event
            }
            // No sound, as if it had not come.
            OtherPayload::Noise | OtherPayload::Redundancy | OtherPayload::Unknown => Fate::Unknown,
        };
        self.pass(fate);
    }

    /// Takes the next packet out if it has no place in time: it waits for nothing, and nothing waits for it. Whether that
    /// was so.
    fn take_in_beside(&mut self) -> bool {
        let Some((info, _)) = self.jitter.peek(0) else { return false };
        // An event stands for the sound from where it begins; one that began earlier is sent beside it.
        if info.kind == PacketKind::Event && self.playhead.gap(info.timestamp) >= 0 {
            self.state.send(Sending::Event);
        }
        self.pass_beside()
    }

    pub(super) fn after_decoding(
        &mut self,
        info: PacketInfo,
        ticks: u32,
        at: Instant,
        delay: i32,
        played: &mut Played,
    ) {
        if self.switches_to(info.payload_type) {
            self.conceals = false;
            bump(&mut self.stats.codec_switches);
        } else if self.playhead.packet_ticks != ticks && self.playhead.packet_ticks > 0 {
            bump(&mut self.stats.ptime_changes);
        }
        self.payload_type = Some(info.payload_type);
        self.playhead.decoded(info.timestamp, ticks);
        self.delay.set_packet(ticks);
        self.made_up.joined();
        let delay_us = self.rates().length(delay.max(0) as u32).as_micros() as u32;
        let waited_us = at.since(info.arrival).as_micros().min(u64::from(u32::MAX)) as u32;
        played.playout_delay_us = Some(delay_us);
        played.buffer_delay_us = Some(waited_us);
        let sent = self.source.timeline.sent(info.seq, info.timestamp);
        played.timestamp = Some(match M::PARTS.clocks {
            true => self.source.clocks.sent(self.kinds.clock(info.payload_type), self.ratio(info.payload_type), sent),
            false => sent,
        });
        let samples = self.rates().samples(ticks) as u32;
        self.stats.playout_delay.count(delay_us, samples);
        self.stats.buffer_delay.count(waited_us, samples);
    }

    /// Drops `first`, the first packet in the buffer, and plays on with the one after it as if it followed.
    pub(super) fn drop_first(&mut self, first: Option<First>) {
        self.count_given_up(first);
        self.drop_to(first);
        if let Some(First { info, .. }) = self.first() {
            self.playhead.seek(info.timestamp);
            self.made_up.spliced = true;
        }
    }
}

/// Samples that were decoded from a packet, or from its copy.
pub(super) fn count_decoded(kind: PacketKind, samples: usize, played: &mut Played) {
    match kind {
        PacketKind::Copy => played.recovered += samples as u32,
        _ => played.decoded += samples as u32,
    }
}

/// Decodes `samples` of them, `skip` samples behind the end of the sync buffer, without counting them as valid yet.
/// Returns whether as many came.
fn decode_into<S: Storage<i16>, const CHANNELS: usize>(
    sound: &mut SyncBuffer<S, CHANNELS>,
    skip: usize,
    decoder: &mut dyn Decoder,
    payload: &[u8],
    samples: usize,
) -> bool {
    let fits = samples > 0 && samples <= sound.interleaved_room(skip);
    fits && sound.make(skip, samples, |out| decoder.decode(payload, out)) == Some(Ok(samples))
}

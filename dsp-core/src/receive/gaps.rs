//! What a receiver plays when it has no packet to decode: filled gaps, concealed losses, pauses and waits.

use super::channels::Concealers;
use super::delay::Estimate;
use super::jitter::{Fate, PacketInfo};
use super::memory::ReceiverMemory;
use super::play::{Length, Tick, Turn, count_decoded};
use super::stats::bump;
use super::sync_buffer::SyncBuffer;
use super::{BRIDGE, CONCEAL_STEP, Cause, First, Played, Receiver, State, UNDERRUN};
use crate::codec::{Decoder, GapView};
use crate::time::{Duration, Instant};

impl<M: ReceiverMemory, const CHANNELS: usize> Receiver<M, CHANNELS> {
    /// Fills a gap of `samples` before the packet whose turn it is: by the redundancy in that packet, by the codec, or from
    /// both sides in the waveform. The tick wants `wanted` of them: no more is made up than that, but where the packet
    /// is decoded too.
    pub(super) fn fill(&mut self, turn: Turn, samples: usize, at: Instant, wanted: usize, tick: &mut Tick<'_>) {
        let Turn { first, delay, .. } = turn;
        let info = first.info;
        let bridge = self.rates().samples_in(BRIDGE);
        let room = self.sound.interleaved_room(0);
        let payload = self.jitter.payload(first.offset);
        let decoder = tick.payloads.decoder(info.payload_type);
        let decoder = decoder.filter(|decoder| self.rates().fits::<CHANNELS>(&decoder.info()));
        let Some(decoder) = decoder else { return self.conceal(samples.min(wanted), tick) };
        let ratio = self.ratio(info.payload_type);
        let length = Length::of(decoder, payload, ratio).unwrap_or_default();
        let packet = length.samples;
        let reach = match M::PARTS.codec_recovery {
            true => self.rates().samples(ratio.length(decoder.redundancy(payload))),
            false => 0,
        };
        if packet > 0 && samples > reach && reach > 0 {
            // It covers the end of the gap only: go no further for now.
            return self.conceal((samples - reach).min(wanted), tick);
        }
        if packet > 0 && reach > 0 {
            // Packet by packet. One that has been begun otherwise is recovered whole, if more than half of it is left.
            let unit = packet.min(reach);
            let ahead = samples.saturating_sub(1) / unit * unit;
            let part = samples - ahead;
            let ahead_ticks = self.rates().ticks(ahead);
            let theirs = ratio.back(ahead_ticks as i32) as u32;
            let mut recover = || self.sound.make(0, unit, |out| decoder.recover(payload, theirs, out));
            if part * 2 > unit && unit <= room && recover() == Some(true) {
                self.sound.commit(unit);
                self.concealer.reset();
                self.settle(Cause::Lost);
                self.playhead.seek(info.timestamp.plus(0_u32.wrapping_sub(ahead_ticks)));
                self.weigh_reach(info.arrival, self.playhead.next_time, 1, self.rates().ticks(unit));
                tick.played.recovered += unit as u32;
                self.made_up.recovered += 1;
                return;
            }
            if ahead > 0 {
                return self.conceal(part.min(wanted), tick);
            }
        }
        // The packet may have waited longer than its delay says, where those before it were slower: it's not made to wait
        // beyond the bound, the gap becomes shorter.
        let samples = samples.min(self.may_wait(at, &info));
        if samples > bridge || packet == 0 || packet > self.sound.interleaved_room(samples) {
            return self.conceal(samples.min(wanted), tick);
        }
        let by_codec = M::PARTS.codec_recovery && samples > 0 && !self.concealer.is_concealing();
        if by_codec && self.sound.conceal_by(decoder, samples) {
            self.conceals = true;
            self.concealer.dismiss();
            self.sound.commit(samples);
            self.count_concealed(samples, &mut tick.played);
            return;
        }
        if !self.concealer.is_ready() || !self.concealer.may_search() {
            // A tick analyses one side of a gap: the past now, the future in the next tick.
            return self.conceal(samples.min(wanted), tick);
        }
        if self.switches_to(info.payload_type) {
            // What the former codec sounded like is nothing to this one.
            decoder.reset();
            decoder.follow(samples);
        } else {
            let rate_hz = self.rates().sample_rate_hz;
            let lost = samples + self.made_up.samples as usize;
            tell_gap::<M, CHANNELS>(decoder, samples, &self.concealer);
            show_gap::<M, CHANNELS>(decoder, lost, samples, rate_hz, &self.concealer, &mut self.sound);
        }
        match self.sound.make(samples, packet, |out| decoder.decode(payload, out)) {
            Some(Ok(decoded)) if decoded == packet => {
                self.concealer.meet(self.rates().sample_rate_hz, self.sound.extend(samples + packet), samples);
                self.sound.commit(samples + packet);
                self.count_concealed(samples, &mut tick.played);
                let at = at + self.rates().lasting(samples);
                let delay = delay.saturating_add(self.rates().ticks(samples) as i32);
                self.settle(Cause::Lost);
                self.skip_missing(first);
                count_decoded(info.kind, packet, &mut tick.played);
                self.pass(Fate::Played);
                self.after_decoding(info, length.ticks, at, delay, &mut tick.played);
            }
            _ => {
                let samples = samples.min(wanted);
                self.concealer.conceal(self.rates().sample_rate_hz, self.sound.extend(samples));
                self.sound.commit(samples);
                self.count_concealed(samples, &mut tick.played);
            }
        }
    }

    /// Gets ready for a gap or a splice that is likely to come with the next tick: what was played is analysed while there
    /// is nothing else to be done. It is likely where something was left out, where a later packet is here and packets
    /// keep their order, and where the next one is later than nearly all are.
    pub(super) fn prepare(&mut self, now: Instant, known: Estimate) {
        let idle = self.state == State::STARTED && !self.concealer.is_ready() && self.concealer.may_search();
        if !idle || self.conceals || self.sound.queued() >= self.tick_samples as usize {
            return;
        }
        let likely = if self.jitter.peek(0).is_some() {
            self.made_up.spliced
        } else {
            let late = || self.delay.relative(self.rates().at(now), self.playhead.next_time.0);
            let hole = !known.reorders && !self.jitter.is_empty();
            hole || late().is_some_and(|late| late > known.usual as i32)
        };
        if likely {
            self.concealer.prepare(self.rates().sample_rate_hz, self.sound.extend(0));
        }
    }

    /// How many samples a packet may wait from `at` on, within the bound.
    fn may_wait(&self, at: Instant, info: &PacketInfo) -> usize {
        let bound = Duration::from_millis(u64::from(self.delay.max_ms()));
        self.rates().samples_in((info.arrival + bound).since(at))
    }

    /// Conceals `samples` with the codec's own means or in the waveform; what comes after is unknown.
    pub(super) fn conceal(&mut self, samples: usize, tick: &mut Tick<'_>) {
        let samples = samples.min(self.sound.room()).max(1);
        let step = self.rates().samples_in(CONCEAL_STEP);
        let decoder = self.payload_type.and_then(|payload_type| tick.payloads.decoder(payload_type));
        let mut decoder = decoder.filter(|decoder| self.rates().fits::<CHANNELS>(&decoder.info()));
        let by_codec = M::PARTS.codec_recovery && !self.concealer.is_concealing();
        let own = by_codec && decoder.as_deref_mut().is_some_and(|decoder| self.sound.conceal_by(decoder, step));
        self.conceals |= own;
        let samples = if own { step } else { samples };
        if own {
            self.concealer.dismiss();
            self.sound.commit(samples);
        } else {
            let rate_hz = self.rates().sample_rate_hz;
            self.concealer.conceal(rate_hz, self.sound.extend(samples));
            self.sound.commit(samples);
            if let Some(decoder) = decoder {
                tell_gap::<M, CHANNELS>(decoder, samples, &self.concealer);
            }
        }
        self.count_concealed(samples, &mut tick.played);
    }

    pub(super) fn count_concealed(&mut self, samples: usize, played: &mut Played) {
        if self.playhead.filled == 0 && samples > 0 {
            bump(&mut self.stats.concealment_events);
        }
        self.playhead.fill(self.rates().ticks(samples));
        self.made_up.samples = self.made_up.samples.saturating_add(samples as u32);
        played.concealed += samples as u32;
    }

    /// A codec conceals whole steps, and so beyond the end of a tick. What of that is still queued is taken back as far as
    /// it isn't needed any more, now that the packet that ends the gap is here.
    pub(super) fn cut_short(&mut self, now: Instant, target: u32) {
        let queued = self.sound.queued();
        let ticks_queued = self.rates().ticks(queued);
        if queued == 0 || queued > self.made_up.samples as usize || ticks_queued > self.playhead.filled {
            return;
        }
        let Some(First { info, .. }) = self.first() else { return };
        let delay = self.delay.relative(self.rates().at(now), info.timestamp.0).unwrap_or(0);
        let gap = self.playhead.gap(info.timestamp).saturating_sub((self.playhead.filled - ticks_queued) as i32);
        let needed = self.rates().samples(gap.min((target as i32).saturating_sub(delay)).max(0) as u32);
        if needed < queued {
            let spare = queued - needed;
            self.sound.shorten(spare);
            self.playhead.take_back(self.rates().ticks(spare));
            self.made_up.samples -= spare as u32;
            self.stats.concealed_samples -= spare as u64;
            self.made_up.spliced = true;
        }
    }

    /// Counts concealed sound, now that the reason for it is known.
    pub(super) fn settle(&mut self, cause: Cause) {
        let samples = u64::from(core::mem::take(&mut self.made_up.samples));
        match cause {
            Cause::Lost => self.stats.concealed_lost_samples += samples,
            Cause::Late => {
                self.stats.concealed_late_samples += samples;
                self.delay.owe(self.rates().ticks(samples as usize));
            }
        }
    }

    /// Counts a pause: the next packet is there, and its timestamp is `gap` ticks after the end of what was played.
    /// What was concealed for that time belonged to the pause; beyond that, the packet was late.
    pub(super) fn settle_pause(&mut self, gap: u32, played: &mut Played) {
        let paused = self.made_up.samples.min(self.rates().samples(gap) as u32);
        self.stats.silent_pauses += u32::from(gap > self.playhead.packet_ticks);
        self.stats.concealment_events = self.stats.concealment_events.saturating_sub(u32::from(paused > 0));
        self.made_up.samples -= paused;
        played.paused += paused;
        self.settle(Cause::Late);
    }

    /// Comfort noise, as it was described last.
    pub(super) fn noise(&mut self, samples: usize, played: &mut Played) {
        if !M::PARTS.comfort_noise || !self.noise.is_ready() {
            return self.pause(samples, played);
        }
        let samples = samples.min(self.sound.room()).max(1);
        let mut places = self.sound.extend(samples).map(|(_, place)| place);
        if let Some((first, others)) = places.split_first_mut() {
            self.noise.generate(first);
            for other in others {
                other.copy_from_slice(first);
            }
        }
        if self.playhead.filled == 0 || self.concealer.is_concealing() {
            self.concealer.join(self.rates().sample_rate_hz, self.sound.extend(samples));
        }
        self.sound.commit(samples);
        self.playhead.fill(self.rates().ticks(samples));
        played.noise += samples as u32;
    }

    /// The background of a codec that pauses, as its decoder makes it; silence if it makes none.
    pub(super) fn background(&mut self, samples: usize, tick: &mut Tick<'_>) {
        let step = self.rates().samples_in(CONCEAL_STEP);
        let own = match self.payload_type.and_then(|payload_type| tick.payloads.decoder(payload_type)) {
            Some(decoder) if M::PARTS.codec_recovery && self.rates().fits::<CHANNELS>(&decoder.info()) => {
                self.sound.conceal_by(decoder, step)
            }
            _ => false,
        };
        if !own {
            return self.pause(samples, &mut tick.played);
        }
        self.concealer.dismiss();
        self.sound.commit(step);
        self.playhead.fill(self.rates().ticks(step));
        tick.played.noise += step as u32;
    }

    /// A pause of the sender within the stream: what was heard fades out, then silence.
    pub(super) fn pause(&mut self, samples: usize, played: &mut Played) {
        let samples = samples.min(self.sound.room()).max(1);
        if self.playhead.filled == 0 || self.concealer.is_concealing() {
            self.concealer.conceal(self.rates().sample_rate_hz, self.sound.extend(samples));
        } else {
            self.sound.silence(samples);
        }
        self.sound.commit(samples);
        self.playhead.fill(self.rates().ticks(samples));
        played.silence += samples as u32;
    }

    /// Waits for a stream: silence, into which what was heard before a restart fades.
    pub(super) fn wait(&mut self, samples: usize, fading: bool, played: &mut Played) {
        let samples = samples.min(self.sound.room()).max(1);
        if fading {
            self.concealer.conceal(self.rates().sample_rate_hz, self.sound.extend(samples));
            self.playhead.fill(self.rates().ticks(samples));
            if self.playhead.filled >= self.rates().ticks_in(UNDERRUN) {
                self.state.faded();
            }
            played.concealed += samples as u32;
            self.stats.concealed_lost_samples += samples as u64;
        } else {
            self.sound.silence(samples);
            played.silence += samples as u32;
        }
        self.sound.commit(samples);
    }
}

/// Tells the decoder of `samples` that are concealed here, and what is known of the sound before them; unless it is
/// [shown](show_gap) the sound.
fn tell_gap<M: ReceiverMemory, const CHANNELS: usize>(
    decoder: &mut dyn Decoder,
    samples: usize,
    concealer: &Concealers<CHANNELS>,
) {
    match concealer.analysis() {
        _ if gap_view::<M, CHANNELS>(decoder).is_some() => {}
        Some(gap) if M::PARTS.codec_recovery => decoder.follow_known(samples, gap),
        _ => decoder.follow(samples),
    }
}

/// Shows the decoder the sound of a gap that is over: `samples`, of which the last `unmade` are made here, as far as they are needed.
/// They are made anew later, when what follows them is known.
#[inline(never)]
pub(super) fn show_gap<M: ReceiverMemory, const CHANNELS: usize>(
    decoder: &mut dyn Decoder,
    samples: usize,
    unmade: usize,
    rate_hz: u32,
    concealer: &Concealers<CHANNELS>,
    sound: &mut SyncBuffer<M::Sound, CHANNELS>,
) {
    if let Some(GapView { before, after }) = gap_view::<M, CHANNELS>(decoder)
        && unmade + after <= sound.room()
    {
        let skip = unmade.saturating_sub(before);
        concealer.try_out(rate_hz, skip, sound.extend_behind(skip, unmade - skip + after));
        decoder.follow_sound(sound.last(before + after, unmade + after), samples);
    }
}

/// The part of a gap's sound that the decoder needs, if it is shown sound at all.
fn gap_view<M: ReceiverMemory, const CHANNELS: usize>(decoder: &dyn Decoder) -> Option<GapView> {
    // In this order: what isn't there is not asked for, nor linked.
    if M::PARTS.codec_recovery && CHANNELS == 1 { decoder.gap_view() } else { None }
}

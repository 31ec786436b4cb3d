//! What a receiver plays where it has no packet to decode: gaps filled, losses concealed, pauses and waits.

use super::strategy::Strategy;
use super::{BRIDGE, CONCEAL_STEP, Cause, Played, Receiver, UNDERRUN, ticks};
use crate::codec::PayloadTable;
use crate::quality::PacketFate;
use crate::time::{Duration, Instant};

impl<const CELLS: usize, const SAMPLES: usize> Receiver<CELLS, SAMPLES> {
    /// Fills a gap of `samples` before a packet that is here: by the redundancy in that packet, by the codec, or from
    /// both sides in the waveform.
    pub(super) fn fill(&mut self, samples: usize, at: Instant, payloads: &mut dyn PayloadTable, played: &mut Played) {
        let bridge = BRIDGE.as_samples(self.config.sample_rate_hz) as usize;
        let room = self.sound.room();
        let Some((_, info, payload)) = self.jitter.first() else { return self.conceal(samples, payloads, played) };
        let decoder = payloads.decoder(info.payload_type).filter(|decoder| self.config.fits(&decoder.info()));
        let Some(decoder) = decoder else { return self.conceal(samples.min(bridge), payloads, played) };
        let duration = decoder.duration(payload).unwrap_or(0);
        let packet = self.config.samples(duration);
        let reach = self.config.samples(decoder.redundancy(payload));
        if packet > 0 && samples > reach && reach > 0 {
            // It covers the end of the gap only: go no further for now.
            return self.conceal((samples - reach).min(bridge), payloads, played);
        }
        if packet > 0 && reach > 0 {
            // Packet by packet. One that has been begun otherwise is recovered whole, if more than half of it is left.
            let unit = packet.min(reach);
            let ahead = samples.saturating_sub(1) / unit * unit;
            let part = samples - ahead;
            let ahead_ticks = self.config.ticks(ahead);
            if part * 2 > unit && unit <= room && decoder.recover(payload, ahead_ticks, self.sound.extend(unit).1) {
                self.sound.commit(unit);
                self.concealer.reset();
                self.settle(Cause::Lost);
                self.next_time = info.timestamp.plus(0_u32.wrapping_sub(ahead_ticks));
                self.weigh_reach(info.arrival, self.next_time, 1, self.config.ticks(unit));
                self.filled = 0;
                played.recovered += unit as u32;
                self.recovered += 1;
                return;
            }
            if ahead > 0 {
                return self.conceal(part.min(bridge), payloads, played);
            }
        }
        let whole = samples + packet;
        if samples > bridge || packet == 0 || whole > room {
            return self.conceal(samples.min(bridge), payloads, played);
        }
        if !self.concealer.is_concealing() && decoder.conceal(self.sound.extend(samples).1) {
            self.sound.commit(samples);
            self.count_concealed(samples, played);
            return;
        }
        decoder.follow(samples);
        let (history, place) = self.sound.extend(whole);
        let (gap, future) = place.split_at_mut(samples);
        match decoder.decode(payload, future) {
            Ok(decoded) if decoded == packet => {
                self.concealer.bridge(history, gap, future);
                self.sound.commit(whole);
                self.count_concealed(samples, played);
                let at = at + Duration::from_samples(samples as u64, self.config.sample_rate_hz);
                let now = ticks(at, self.config.rtp_clock_hz);
                let delay = self.delay.relative(now, info.timestamp.0).unwrap_or(0);
                self.settle(Cause::Lost);
                self.skip_missing();
                self.count_decoded(info.copy, packet, played);
                self.pass(PacketFate::Received);
                self.after_decoding(info, duration, at, delay, played);
            }
            _ => {
                self.concealer.conceal(history, gap);
                self.sound.commit(samples);
                self.count_concealed(samples, played);
            }
        }
    }

    /// Conceals `samples` with the codec's own means or in the waveform; what comes after is unknown.
    pub(super) fn conceal(&mut self, samples: usize, payloads: &mut dyn PayloadTable, played: &mut Played) {
        let samples = samples.clamp(1, self.sound.room());
        let step = CONCEAL_STEP.as_samples(self.config.sample_rate_hz) as usize;
        let own = match self.payload_type.and_then(|payload_type| payloads.decoder(payload_type)) {
            Some(decoder) if self.config.fits(&decoder.info()) => {
                let own = !self.concealer.is_concealing() && decoder.conceal(self.sound.extend(step).1);
                if !own {
                    decoder.follow(samples);
                }
                own
            }
            _ => false,
        };
        let samples = if own { step } else { samples };
        if !own {
            let (history, place) = self.sound.extend(samples);
            self.concealer.conceal(history, place);
        }
        self.sound.commit(samples);
        self.count_concealed(samples, played);
    }

    pub(super) fn count_concealed(&mut self, samples: usize, played: &mut Played) {
        if self.filled == 0 && samples > 0 {
            self.stats.concealment_events += 1;
        }
        self.filled += self.config.ticks(samples);
        self.made_up += samples as u32;
        played.concealed += samples as u32;
    }

    /// A codec conceals whole steps, and so beyond the end of a tick. What of that is still queued is taken back as far as
    /// it isn't needed any more, now that the packet that ends the gap is here.
    pub(super) fn cut_short(&mut self, now: Instant, strategy: &mut dyn Strategy) {
        let queued = self.sound.queued();
        let ticks_queued = self.config.ticks(queued);
        if queued == 0 || queued > self.made_up as usize || ticks_queued > self.filled {
            return;
        }
        let Some((_, info, _)) = self.jitter.first() else { return };
        let now = ticks(now, self.config.rtp_clock_hz);
        let delay = self.delay.relative(now, info.timestamp.0).unwrap_or(0);
        let target = self.target(strategy) as i32;
        let gap = info.timestamp.distance(self.next_time) - (self.filled - ticks_queued) as i32;
        let needed = self.config.samples(gap.min(target.saturating_sub(delay)).max(0) as u32);
        if needed < queued {
            let spare = queued - needed;
            self.sound.shorten(spare);
            self.filled -= self.config.ticks(spare);
            self.made_up -= spare as u32;
            self.stats.concealed_samples -= spare as u64;
            self.spliced = true;
        }
    }

    /// By now it's known why sound was made up.
    pub(super) fn settle(&mut self, cause: Cause) {
        let samples = u64::from(core::mem::take(&mut self.made_up));
        match cause {
            Cause::Lost => self.stats.concealed_lost_samples += samples,
            Cause::Late => self.stats.concealed_late_samples += samples,
        }
    }

    /// Comfort noise, as it was described last.
    pub(super) fn noise(&mut self, samples: usize, played: &mut Played) {
        if !self.noise.is_ready() {
            return self.pause(samples, played);
        }
        let samples = samples.clamp(1, self.sound.room());
        let (history, place) = self.sound.extend(samples);
        self.noise.generate(place);
        if self.filled == 0 || self.concealer.is_concealing() {
            self.concealer.bridge(history, &mut [], place);
        }
        self.sound.commit(samples);
        self.filled += self.config.ticks(samples);
        played.noise += samples as u32;
    }

    /// The background of a codec that pauses, as its decoder makes it; silence if it makes none.
    pub(super) fn background(&mut self, samples: usize, payloads: &mut dyn PayloadTable, played: &mut Played) {
        let step = CONCEAL_STEP.as_samples(self.config.sample_rate_hz) as usize;
        let own = match self.payload_type.and_then(|payload_type| payloads.decoder(payload_type)) {
            Some(decoder) if self.config.fits(&decoder.info()) => decoder.conceal(self.sound.extend(step).1),
            _ => false,
        };
        if !own {
            return self.pause(samples, played);
        }
        self.sound.commit(step);
        self.filled += self.config.ticks(step);
        played.noise += step as u32;
    }

    /// A pause of the sender within the stream: what was heard fades out, then silence.
    pub(super) fn pause(&mut self, samples: usize, played: &mut Played) {
        let samples = samples.clamp(1, self.sound.room());
        let (history, place) = self.sound.extend(samples);
        if self.filled == 0 || self.concealer.is_concealing() {
            self.concealer.conceal(history, place);
        } else {
            place.fill(0);
        }
        self.sound.commit(samples);
        self.filled += self.config.ticks(samples);
        played.silence += samples as u32;
    }

    /// Waits for a stream: silence, into which what was heard before a restart fades.
    pub(super) fn wait(&mut self, samples: usize, played: &mut Played) {
        let samples = samples.clamp(1, self.sound.room());
        let (history, place) = self.sound.extend(samples);
        if self.fading {
            self.concealer.conceal(history, place);
            self.filled += self.config.ticks(samples);
            self.fading = self.filled < UNDERRUN.as_samples(self.config.rtp_clock_hz) as u32;
            played.concealed += samples as u32;
            self.stats.concealed_lost_samples += samples as u64;
        } else {
            place.fill(0);
            played.silence += samples as u32;
        }
        self.sound.commit(samples);
    }
}

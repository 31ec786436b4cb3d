//! Playing faster or slower, so that the delay follows its target.

use super::Receiver;
use super::config::Rates;
use super::decision::{Pace, Stretch};
use super::memory::ReceiverMemory;
use super::play::Tick;
use crate::slices::part_mut;
use crate::time::Duration;
use crate::waveform::stretch::Stretching;

/// A usual pitch period.
pub(super) const PERIOD: Duration = Duration::from_millis(10);
/// Between two changes of speed is so long at least.
const STRETCH_PAUSE: Duration = Duration::from_millis(60);
/// The same where there is much to change.
const SHORT_PAUSE: Duration = Duration::from_millis(20);
const MUCH: Duration = Duration::from_millis(50);
/// A delay that is too long by less than this waits for a pause in the speech.
const CAN_WAIT: Duration = Duration::from_millis(100);
/// The longest time that it waits.
const PATIENCE: Duration = Duration::from_secs(3);

/// Changes of speed, and how long each has been waited for.
pub(super) struct Speed {
    stretcher: Stretching,
    /// Samples to play before the next change.
    pause: u32,
    /// Ticks of sound that could have been shortened since the delay is too long.
    too_long: u32,
}

impl Speed {
    pub(super) fn new() -> Self {
        Self { stretcher: Stretching::new(), pause: 0, too_long: 0 }
    }

    /// No change for a while: two packets or three say first what delay the network needs.
    pub(super) fn hold(&mut self, rates: &Rates) {
        self.pause = rates.samples_in(STRETCH_PAUSE) as u32;
    }

    /// Notes that this many samples were played.
    pub(super) fn played(&mut self, samples: usize) {
        self.pause = self.pause.saturating_sub(samples as u32);
    }
}

impl<M: ReceiverMemory, const CHANNELS: usize> Receiver<M, CHANNELS> {
    /// Stretches what was just decoded, if the delay is off its target or a hole is near.
    pub(super) fn change_speed(&mut self, delay: i32, tick: &mut Tick<'_>) {
        if self.speed.pause > 0 || self.concealer.is_concealing() || !self.concealer.may_search() {
            return;
        }
        let rates = self.rates();
        let estimate = self.delay.estimate();
        let target = tick.target;
        self.fall_behind(delay, target, rates.ticks_in(PERIOD) as i32);
        let pace = Pace {
            delay,
            target: target as i32,
            usual: estimate.usual as i32,
            ahead: self.ahead(target, estimate.reorders) as i32,
            period: rates.ticks_in(PERIOD) as i32,
            aligned: self.least_delay > 0,
        };
        if delay <= pace.target + pace.period {
            self.speed.too_long = 0;
        }
        let Some(change) = tick.strategy.stretch(&pace) else { return };
        // Slower means more packets that wait, and they need room.
        if matches!(change, Stretch::Decelerate(_)) && self.jitter.room() < self.jitter.memory().1 / 4 {
            return;
        }
        let by = match change {
            Stretch::Accelerate(by) => by,
            // Beyond the bound the next packet would be dropped.
            Stretch::Decelerate(by) => by.min((self.delay.maximum() as i32).saturating_sub(delay)),
        };
        if by <= 0 {
            return;
        }
        let by = by as u32;
        // Too long a delay can wait for a pause or a good splice; too short a one is concealment soon.
        let hurry = match change {
            Stretch::Decelerate(_) => Some(by),
            Stretch::Accelerate(_) => {
                self.speed.too_long = self.speed.too_long.saturating_add(self.playhead.packet_ticks);
                let can_wait = !pace.aligned && by < rates.ticks_in(CAN_WAIT);
                (!can_wait || self.speed.too_long > rates.ticks_in(PATIENCE)).then_some(by / 2)
            }
        };
        self.speed.stretcher.hurry(hurry.map(|by| self.rates().ms(by)));
        let most = self.rates().samples(by).min(self.sound.room());
        self.concealer.search_elsewhere();
        let changed = match change {
            Stretch::Accelerate(_) => {
                let (pcm, end, start) = self.sound.parts();
                let mut valid = pcm.map(|channel| part_mut(channel, 0, end));
                let removed =
                    self.speed.stretcher.accelerate(rates.sample_rate_hz, &mut valid, start, most).unwrap_or(0);
                self.sound.shorten(removed);
                tick.played.removed += removed as u32;
                removed
            }
            Stretch::Decelerate(_) => {
                // Room behind the end is made by moving history out.
                self.sound.extend(most);
                let (mut pcm, end, start) = self.sound.parts();
                let inserted =
                    self.speed.stretcher.decelerate(rates.sample_rate_hz, &mut pcm, end, start, most).unwrap_or(0);
                self.sound.commit(inserted);
                tick.played.inserted += inserted as u32;
                inserted
            }
        };
        if changed > 0 {
            let hole = matches!(change, Stretch::Decelerate(_)) && self.delay.bound().is_some();
            let much = hole || by > rates.ticks_in(MUCH);
            let pause = if much { SHORT_PAUSE } else { STRETCH_PAUSE };
            self.speed.pause = self.rates().samples_in(pause) as u32;
        }
    }

    /// How long the sound lasts that is here without a hole, in ticks: what is queued, and the packets behind it.
    /// Counted to a packet beyond `target`: nobody wants to know more. Where packets keep their order, one that was
    /// overtaken is lost, and to play slower would not bring it.
    fn ahead(&self, target: u32, reorders: bool) -> u32 {
        let mut ahead = self.rates().ticks(self.sound.queued());
        let (mut before, mut first) = (self.playhead.next_time, true);
        for offset in 0.. {
            let Some((info, _)) = self.jitter.peek(offset) else {
                if !reorders && self.jitter.len() > offset {
                    ahead += target + self.playhead.packet_ticks;
                }
                break;
            };
            if !info.kind.has_time() {
                continue;
            }
            // Where this one ends only the next one says; until then it's as long as the one before.
            ahead += info.timestamp.distance(before).max(0) as u32 + if first { self.playhead.packet_ticks } else { 0 };
            (before, first) = (info.timestamp, false);
            if ahead > target + self.playhead.packet_ticks {
                break;
            }
        }
        ahead.min(i32::MAX as u32)
    }
}

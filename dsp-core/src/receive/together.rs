//! What a receiver needs of others and tells them: streams that are played at the same moment (`sync`), and sources
//! that take turns at one receiver ([`sources`](super::sources)).

use super::Receiver;
use super::strategy::Strategy;
use crate::quality::arrival_ticks;
use crate::time::{Duration, Instant, RtpTime};

impl<const CELLS: usize, const SAMPLES: usize, const CHANNELS: usize> Receiver<CELLS, SAMPLES, CHANNELS> {
    /// From now on the delay is at least so long after the fastest packet, within its bounds, whatever the network
    /// needs; it gets there in pauses and by time stretching. Above zero the delay is also held closer to its target
    /// than it would be for its own sake: within about 10 ms. Zero, as at the beginning, asks for nothing.
    pub fn set_least_delay(&mut self, least: Duration) {
        let ticks = least.as_samples(self.config.rtp_clock_hz).min(u64::from(self.delay.maximum()));
        self.least_delay = ticks as u32;
    }

    /// The delay after the fastest packet that this stream would have for its own sake.
    pub fn own_delay(&self) -> Duration {
        Duration::from_samples(u64::from(self.delay.target()), self.config.rtp_clock_hz)
    }

    /// The timestamp of a packet that arrived at `now` and was as fast as the fastest; `None` before the first packet.
    pub fn media_time(&self, now: Instant) -> Option<RtpTime> {
        let ticks = arrival_ticks(now, self.config.rtp_clock_hz);
        // Negative if `now` lies before that of the fastest packet: modulo 2^32 all the same.
        self.delay.relative(ticks, 0).map(|time| self.timeline.sent_now(RtpTime(time as u32)))
    }

    /// Begins anew as if just made, with the same settings: another source comes.
    pub fn forget(&mut self) {
        if let Ok(new) = Self::new(self.config) {
            *self = Self { redundancy: self.redundancy, kinds: self.kinds, ..new };
        }
    }

    /// What the delay is steered to, in ticks.
    pub(super) fn target(&self, strategy: &mut dyn Strategy) -> u32 {
        strategy.target(&self.delay.estimate()).max(self.least_delay)
    }
}

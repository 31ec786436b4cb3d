//! A rate at which a probe has failed, and how long no probe goes there again.

use crate::time::{Duration, Instant};

/// How long a ceiling holds, the first time and at most.
const FIRST: Duration = Duration::from_secs(40);
const MOST: Duration = Duration::from_secs(160);

/// Added to the place.
const LEAST: u64 = 8;

#[derive(Clone, Copy, Debug)]
pub(super) struct Ceiling {
    bps: u32,
    until: Instant,
    lasts: Duration,
}

impl Ceiling {
    pub(super) const NONE: Self = Self { bps: u32::MAX, until: Instant::ZERO, lasts: FIRST };

    /// Whether a probe may go to this rate, in bit/s.
    pub(super) fn allows(&self, now: Instant, bps: u64) -> bool {
        now >= self.until || bps < u64::from(self.bps)
    }

    /// A probe of this rate ended in a queue or a loss. If the last one ended at about the same rate, this holds twice as long. `place` is
    /// that of the rate between its bounds, in 64ths: of those that share a link, the one that sends less asks again sooner.
    pub(super) fn failed(&mut self, now: Instant, bps: u32, place: u64) {
        let again = self.bps != u32::MAX && bps >= self.bps - self.bps / 8;
        self.lasts =
            if again { Duration::from_micros((2 * self.lasts.as_micros()).min(MOST.as_micros())) } else { FIRST };
        (self.bps, self.until) = (bps, now + Duration::from_micros(self.lasts.as_micros() * (LEAST + place) / 64));
    }

    /// A probe of this rate found room.
    pub(super) fn passed(&mut self, bps: u32) {
        if bps >= self.bps {
            *self = Self::NONE;
        }
    }
}

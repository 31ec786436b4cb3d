//! Rates that no probe goes to: one at which a probe has failed, and what the slowest link is seen to carry.

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

/// How long what is seen of a link is believed before a probe goes above it, the first time and at most.
const BELIEVED: Duration = Duration::from_secs(120);
const BELIEVED_MOST: Duration = Duration::from_secs(960);
/// How long it isn't, once a probe found more room.
const DISBELIEVED: Duration = Duration::from_secs(600);
/// Share of a link that is left free, because packets of several sizes queue up on a link that is nearly full, and for errors of the
/// estimate, as the part of this many.
const LEFT: u32 = 12;
/// How long it is remembered that a link carries much more than is sent, where somebody else hides it.
const REMEMBERED: Duration = Duration::from_secs(300);
/// How long a link that shows no longer counts as seen.
const SEEN: Duration = Duration::from_secs(10);
/// By the part of this many an estimate varies.
const VARIES: u32 = 24;
/// How much more must be carried before the estimate counts as wrong, as the part of this many.
const BEYOND: u32 = 6;

/// What the slowest link is seen to carry, and when a probe may go above it all the same: where packets cross several slow links, each
/// of them carries more than is seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinkCeiling {
    /// `u32::MAX` where nothing is believed.
    bps: u32,
    /// Until when this is believed, or until when nothing is.
    until: Instant,
    lasts: Duration,
    /// When it was seen last.
    seen: Instant,
}

impl LinkCeiling {
    pub(super) const NONE: Self = Self { bps: u32::MAX, until: Instant::ZERO, lasts: BELIEVED, seen: Instant::ZERO };

    /// The link is seen to carry this much, in bit/s.
    pub(super) fn see(&mut self, now: Instant, bps: u32) {
        if self.bps == u32::MAX {
            if now < self.until {
                return;
            }
            self.until = now + self.lasts;
        }
        (self.bps, self.seen) = (bps - bps / LEFT, now);
    }

    /// Whether the link is known to carry this much, in bit/s, and nobody else was in the way of seeing that.
    pub(super) fn carries(&self, now: Instant, bps: u64) -> bool {
        self.bps != u32::MAX && bps <= u64::from(self.bps) && now.since(self.seen) <= SEEN
    }

    /// Whether the link was seen to carry twice this not long ago, in bit/s: then a queue is not of that alone.
    pub(super) fn carries_twice(&self, now: Instant, bps: u64) -> bool {
        self.bps != u32::MAX && 2 * bps <= u64::from(self.bps) && now.since(self.seen) <= REMEMBERED
    }

    /// How much more than this the link is known to carry, in bit/s.
    pub(super) fn room(&self, now: Instant, bps: u32) -> u64 {
        if self.carries(now, bps.into()) { u64::from(self.bps - bps) } else { 0 }
    }

    /// What is sent at most, as long as what is seen is believed, in bit/s.
    pub(super) fn most_bps(&self, now: Instant) -> u64 {
        if now < self.until { self.bps.into() } else { u32::MAX.into() }
    }

    /// Whether a probe may go to this rate, in bit/s.
    pub(super) fn allows(&self, now: Instant, bps: u64) -> bool {
        bps <= self.most_bps(now)
    }

    /// Whether a probe that went to this rate may stay: estimates vary by a few percent.
    pub(super) fn tolerates(&self, now: Instant, bps: u64) -> bool {
        self.allows(now, bps.saturating_sub(u64::from(self.bps / VARIES)))
    }

    /// A probe of this rate ended in a queue or a loss.
    pub(super) fn failed(&mut self, now: Instant, bps: u32) {
        if bps > self.bps {
            self.lasts = Duration::from_micros((2 * self.lasts.as_micros()).min(BELIEVED_MOST.as_micros()));
            self.until = now + self.lasts;
        }
    }

    /// A probe found room for this much that was sent, in bit/s. A few percent more than the link carries hardly make a queue.
    pub(super) fn passed(&mut self, now: Instant, sent_bps: u64) {
        if sent_bps > u64::from(self.bps) + u64::from(self.bps / BEYOND) {
            (self.bps, self.until) = (u32::MAX, now + DISBELIEVED);
        }
    }
}

//! The times of ticks: counted from the start, so that late ticks are caught up, unless they are so late that a pause is better.

use std::time::Duration as StdDuration;

use tokio::time::Instant as TokioInstant;

use super::TICK_MS;
use crate::session::{tick_samples, ticks_samples};

/// Ticks that are later than this are skipped.
const LATEST: StdDuration = StdDuration::from_millis(100);
/// The length of a sleep after which the datagrams in the sockets are too late to be played.
const STALE: StdDuration = StdDuration::from_millis(500);
/// The time for which datagrams may delay a tick that is due: half of one. The rest of a flood stays with the system, which drops
/// it, and the sound continues.
const INTAKE: StdDuration = StdDuration::from_millis(5);

/// The ticks of a device.
pub(crate) struct DeviceTicks {
    rate_hz: u32,
    begin: TokioInstant,
    /// Length of a tick in seconds.
    period: f64,
    tick: u64,
    /// The time spent on datagrams since the last tick.
    spent: StdDuration,
}

/// Ticks that were skipped.
pub(crate) struct Skipped {
    /// Their samples (a channel).
    pub(crate) samples: usize,
    /// Whether the datagrams in the sockets are too late too.
    pub(crate) stale: bool,
}

impl DeviceTicks {
    /// Creates the ticks of a device of this rate from now on, faster than the clock by `drift_ppm`.
    pub(crate) fn new(rate_hz: u32, drift_ppm: f64) -> Self {
        let period = f64::from(TICK_MS) / 1_000.0 / (1.0 + drift_ppm * 1e-6);
        Self { rate_hz, begin: TokioInstant::now(), period, tick: 0, spent: StdDuration::ZERO }
    }

    /// The same ticks with samples of another rate.
    pub(crate) fn at(&self, rate_hz: u32) -> Self {
        Self { rate_hz, ..*self }
    }

    /// Returns when the next tick is due.
    pub(crate) fn next(&self) -> TokioInstant {
        self.begin + StdDuration::from_secs_f64(self.tick as f64 * self.period)
    }

    fn late(&self) -> StdDuration {
        TokioInstant::now().saturating_duration_since(self.next())
    }

    /// Returns the ticks that are left out, if the next one is too late to be made up for.
    pub(crate) fn skip(&mut self) -> Option<Skipped> {
        let late = self.late();
        if late <= LATEST {
            return None;
        }
        let skipped = (late.as_secs_f64() / self.period) as u64;
        let samples = ticks_samples(self.rate_hz, self.tick, skipped);
        self.tick += skipped;
        Some(Skipped { samples, stale: late > STALE })
    }

    /// Returns whether there is time for a datagram before the next tick.
    pub(crate) fn is_open(&self) -> bool {
        self.late().is_zero() || self.spent < INTAKE
    }

    /// Adds the time spent on a datagram.
    pub(crate) fn spend(&mut self, time: StdDuration) {
        self.spent += time;
    }

    /// A tick is due: its samples (a channel), and whether it's the first.
    pub(crate) fn begin_tick(&mut self) -> (usize, bool) {
        self.spent = StdDuration::ZERO;
        let (samples, is_first) = (tick_samples(self.rate_hz, self.tick), self.tick == 0);
        self.tick += 1;
        (samples, is_first)
    }

    /// Ticks so far, those that were skipped too.
    pub(crate) fn ticks(&self) -> u64 {
        self.tick
    }
}

//! What of the bits that were sent over a time has come.

use super::PERCENT;
use super::observe::Observation;
use crate::time::Duration;

/// Bits that were sent over a time, and those of them that came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    sent_bits: u64,
    came_bits: u64,
    pub(super) time: Duration,
}

impl Share {
    pub(super) const NONE: Self = Self { sent_bits: 0, came_bits: 0, time: Duration::ZERO };

    pub(super) fn add(&mut self, seen: &Observation) {
        self.sent_bits += seen.sent_bits;
        let came = (100 * PERCENT).saturating_sub(seen.loss);
        self.came_bits += (u128::from(seen.sent_bits) * u128::from(came) / u128::from(100 * PERCENT)) as u64;
        self.time = Duration::from_micros(self.time.as_micros() + seen.duration.as_micros());
    }

    /// Both in bit/s.
    pub(super) fn rates_bps(&self) -> [u64; 2] {
        let time = u128::from(self.time.as_micros().max(1));
        [self.sent_bits, self.came_bits].map(|bits| (u128::from(bits) * 1_000_000 / time) as u64)
    }
}

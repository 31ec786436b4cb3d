//! Two clocks that should run alike and don't: keeps a ring's level near its target by nudging a resampler.
//!
//! The ring integrates the difference of the clocks (1 ppm is one microsecond a second), so a proportional controller
//! on its averaged level settles without overshoot: here with a time constant of 50 s, and off the target by 1 ms for
//! each 20 ppm of drift.

/// Parts per million for each millisecond off the target.
const GAIN_PPM_PER_MS: f64 = 20.0;

/// The most nudge: inaudible in pitch (0.9 cents), and above what crystals drift.
const LIMIT_PPM: f64 = 500.0;

/// The time over which the level is averaged, in milliseconds: many periods of a card.
const AVERAGE_MS: f64 = 2_000.0;

/// The level of one ring, followed.
#[derive(Debug)]
pub(super) struct DriftControl {
    target_ms: f64,
    average_ms: f64,
}

impl DriftControl {
    pub(super) fn new(target_ms: f64) -> Self {
        Self { target_ms, average_ms: target_ms }
    }

    /// Takes the ring's level at the end of `elapsed_ms` of sound, and returns the nudge of the output's rate.
    pub(super) fn update(&mut self, level_ms: f64, elapsed_ms: f64) -> f64 {
        let weight = (elapsed_ms / AVERAGE_MS).clamp(0.0, 1.0);
        self.average_ms += weight * (level_ms - self.average_ms);
        self.ppm()
    }

    pub(super) fn ppm(&self) -> f64 {
        (GAIN_PPM_PER_MS * (self.target_ms - self.average_ms)).clamp(-LIMIT_PPM, LIMIT_PPM)
    }

    pub(super) fn level_ms(&self) -> f64 {
        self.average_ms
    }

    /// The ring was brought back to its target at one stroke.
    pub(super) fn restart(&mut self) {
        self.average_ms = self.target_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The level after ten minutes of 20 ms frames into a ring that drains faster by `drift_ppm`, and its lowest and
    /// highest on the way.
    fn settle(drift_ppm: f64) -> (f64, f64, f64) {
        let mut control = DriftControl::new(30.0);
        let (mut level, mut low, mut high) = (30.0_f64, 30.0_f64, 30.0_f64);
        for tick in 0..30_000 {
            // Seen in steps of the card's 10 ms period.
            let seen = level + f64::from(tick % 7) * 10.0 / 6.0 - 5.0;
            let ppm = control.update(seen, 20.0);
            level += 20.0 * (ppm - drift_ppm) * 1e-6;
            (low, high) = (low.min(level), high.max(level));
        }
        (level, low, high)
    }

    #[test]
    fn drift_is_absorbed_without_overshoot() {
        for drift in [-200.0, -50.0, 0.0, 50.0, 200.0] {
            let (level, low, high) = settle(drift);
            let offset = -drift / GAIN_PPM_PER_MS;
            assert!((level - 30.0 - offset).abs() < 0.3, "{drift} ppm settles at {level:.2} ms");
            assert!(low > 30.0 - offset.abs() - 0.3 && high < 30.0 + offset.abs() + 0.3, "{low:.2} to {high:.2} ms");
        }
    }

    #[test]
    fn the_nudge_is_bounded() {
        let mut control = DriftControl::new(30.0);
        assert_eq!(control.update(1e9, 1e9), -LIMIT_PPM);
        control.restart();
        assert_eq!(control.ppm(), 0.0);
    }
}

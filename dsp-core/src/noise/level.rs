//! How much louder or quieter the noise as a whole has become, told by the bands with the least speech in them.
//!
//! A voice leaves some bands free at almost all times. What passes by, swells or is switched on is heard in all of them. So
//! each block sorts its bands by their power over the estimate, and takes the one at a sixth of them. If that one has
//! been above the estimate for 100 ms, or for 200 ms where there is a voice, all noise has risen, also in bands where
//! a voice hides it; if it has been below for 40 ms, all noise has fallen.
//!
//! Loud speech in little noise fills all bands, but not evenly. So the band at a sixth counts for less where the one at two
//! fifths is far above it, and noise never rises by more than 15 dB in this way: the estimate has another rule for that
//! (`floor`).
//!
//! The cost is nine comparisons for each band. What is kept are 24 values.

use super::bands::BANDS;
use crate::arithmetic::{max, min};

/// Blocks for which the lowest bands must have been above the estimate: in a voice, and without.
const LONG: usize = 20;
const SHORT: usize = 10;
/// Blocks since the last voice in which there may still be one.
const VOICE: u32 = 4;
/// Blocks for which they must have been below it.
const BELOW_BLOCKS: usize = 4;
/// How far above or below the estimate they must have been.
const ABOVE: f32 = 1.2;
const BELOW: f32 = 0.7;
/// As much more is speech.
const MOST: f32 = 30.0;
/// How far the band at two fifths may be above the one at a sixth.
const UNEVEN: f32 = 4.0;
/// Where the estimate goes, relative to the lowest bands, and the share of the way in a block: upwards and downwards.
const UP: (f32, f32) = (0.95, 0.3);
const DOWN: (f32, f32) = (1.1, 0.15);
/// As many of the lowest bands as are looked at.
const LOWEST: usize = 9;

/// The lowest bands of the last blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    /// The band at a sixth of them over the estimate, less where bands are uneven; the last block is the last one.
    even: [f32; LONG],
    /// The same in any case.
    low: [f32; BELOW_BLOCKS],
}

impl Level {
    pub(super) const NEW: Self = Self { even: [0.0; LONG], low: [1.0; BELOW_BLOCKS] };

    /// The factor by which all noise has changed, where bands are so far `over` the estimate, and the last voice was so many
    /// blocks ago.
    pub(super) fn factor(&mut self, over: &[f32], voiceless: u32) -> f32 {
        let lowest = lowest(over);
        let (low, middle) = (lowest[over.len() / 6], lowest[over.len() * 2 / 5]);
        self.even.copy_within(1.., 0);
        self.low.copy_within(1.., 0);
        self.even[LONG - 1] = min(low, UNEVEN * low * low / (middle + 1e-9));
        self.low[BELOW_BLOCKS - 1] = low;
        let since = if voiceless < VOICE { 0 } else { LONG - SHORT };
        let least = self.even[since..].iter().fold(f32::MAX, |least, &even| min(least, even));
        let most = self.low.iter().fold(0.0, |most, &low| max(most, low));
        let factor = if least > ABOVE && least < MOST {
            1.0 + UP.1 * (UP.0 * least - 1.0)
        } else if most < BELOW {
            1.0 + DOWN.1 * (DOWN.0 * most - 1.0)
        } else {
            return 1.0;
        };
        self.even.iter_mut().chain(&mut self.low).for_each(|over| *over /= factor);
        factor
    }
}

/// The lowest values, in order.
fn lowest(values: &[f32]) -> [f32; LOWEST] {
    let mut lowest = [f32::MAX; LOWEST];
    for &value in values.iter().take(BANDS) {
        let mut higher = value;
        for low in &mut lowest {
            let lower = min(*low, higher);
            higher = max(*low, higher);
            *low = lower;
        }
    }
    lowest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The product of the factors of so many blocks in which bands are `over` the estimate, which follows.
    fn after(blocks: usize, voiceless: u32, over: impl Fn(usize) -> f32) -> f32 {
        let mut level = Level::NEW;
        let mut estimate = 1.0;
        for _ in 0..blocks {
            let over: [f32; BANDS] = core::array::from_fn(|band| over(band) / estimate);
            estimate *= level.factor(&over, voiceless);
        }
        estimate
    }

    #[test]
    fn noise_that_rises_or_falls_in_all_bands_is_followed() {
        for voiceless in [0, 50] {
            let until = if voiceless == 0 { LONG } else { SHORT };
            assert_eq!(after(until - 1, voiceless, |_| 8.0), 1.0);
            let settled = after(until + 15, voiceless, |_| 8.0);
            assert!((6.0..8.0).contains(&settled), "{settled}");
            let fallen = after(40, voiceless, |_| 0.1);
            assert!((0.09..0.2).contains(&fallen), "{fallen}");
        }
        // Also where a voice hides half of them, but not where it hides more.
        let hidden = |over: f32| after(40, 0, move |band| if band % 2 == 0 { 8.0 } else { over });
        assert!(hidden(500.0) > 6.0);
        assert_eq!(after(40, 0, |band| if band < 3 { 0.9 } else { 500.0 }), 1.0);
    }

    #[test]
    fn speech_and_steady_noise_change_nothing() {
        // Louder than any noise that is followed; uneven; as loud as the estimate.
        assert_eq!(after(100, 0, |_| 100.0), 1.0);
        assert_eq!(after(100, 0, |band| if band < 4 { 4.0 } else { 100.0 }), 1.0);
        assert_eq!(after(100, 50, |_| 0.9), 1.0);
        assert_eq!(lowest(&[3.0, 1.0, 2.0])[..4], [1.0, 2.0, 3.0, f32::MAX]);
    }
}

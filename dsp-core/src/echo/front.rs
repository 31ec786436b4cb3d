//! What far end and microphone go through before they are compared: a high-pass, powers of the far end for a loudspeaker that
//! saturates, and pre-emphasis.
//!
//! The high-pass is Butterworth's of 4th order at 120 Hz, two state-variable filters in trapezoidal form (A. Simper, 2013), the
//! same for all, so the echo path stays as it is. Without it, what remains of the echo is rumble, which speech hardly excites.
//! All signals are filtered side by side.

use crate::math::sin_cos;

/// Far end, microphone, and the far end's third and fifth power.
pub(super) const SIGNALS: usize = 4;
type Lanes = [f32; SIGNALS];

/// The corner of the high-pass.
const CORNER_HZ: f64 = 120.0;
/// 1 / Q of both filters.
const DAMPING: [f64; 2] = [1.847_759_065_022_573_5, 0.765_366_864_730_179_6];
/// Pre-emphasis: 1 - 0.9 z^-1.
pub(super) const EMPHASIS: f32 = 0.9;
/// The level that powers are taken of: a fifth of full scale.
const LEVEL: f32 = 0.2;

#[derive(Clone, Copy, Debug)]
struct HighPass {
    taps: [f32; 3],
    damping: f32,
    states: [Lanes; 2],
}

impl HighPass {
    fn new(sample_rate_hz: f64, damping: f64) -> Self {
        let (sin, cos) = sin_cos(CORNER_HZ / sample_rate_hz / 2.0);
        let g = sin / cos;
        let first = 1.0 / (1.0 + g * (g + damping));
        Self {
            taps: [first as f32, (g * first) as f32, (g * g * first) as f32],
            damping: damping as f32,
            states: [[0.0; SIGNALS]; 2],
        }
    }

    #[inline(always)]
    fn step(&mut self, input: Lanes) -> Lanes {
        let [own, across, through] = self.taps;
        let [first, second] = self.states;
        let difference: Lanes = core::array::from_fn(|n| input[n] - second[n]);
        let band: Lanes = core::array::from_fn(|n| own * first[n] + across * difference[n]);
        let rise: Lanes = core::array::from_fn(|n| across * first[n] + through * difference[n]);
        self.states =
            [core::array::from_fn(|n| 2.0 * band[n] - first[n]), core::array::from_fn(|n| second[n] + 2.0 * rise[n])];
        core::array::from_fn(|n| difference[n] - rise[n] - self.damping * band[n])
    }
}

/// A block behind the high-pass.
#[derive(Clone, Copy, Debug)]
pub(super) struct Emphasised<const B: usize> {
    /// The microphone, without emphasis.
    pub(super) near: [f32; B],
    /// All signals with emphasis.
    pub(super) signals: [[f32; B]; SIGNALS],
}

/// Filters of all signals.
#[derive(Clone, Copy, Debug)]
pub(super) struct Front {
    filters: [HighPass; 2],
    last: Lanes,
}

impl Front {
    pub(super) fn new(sample_rate_hz: u32) -> Self {
        let rate = f64::from(sample_rate_hz);
        Self { filters: DAMPING.map(|damping| HighPass::new(rate, damping)), last: [0.0; SIGNALS] }
    }

    pub(super) fn reset(&mut self) {
        self.last = [0.0; SIGNALS];
        self.filters.iter_mut().for_each(|filter| filter.states = [[0.0; SIGNALS]; 2]);
    }

    /// Forgets the far end alone: it goes on elsewhere.
    pub(super) fn jump(&mut self) {
        for signal in [0, 2, 3] {
            self.last[signal] = 0.0;
            self.filters.iter_mut().flat_map(|filter| &mut filter.states).for_each(|state| state[signal] = 0.0);
        }
    }

    /// Filters a block. `powers`: whether those of the far end are wanted.
    pub(super) fn process<const B: usize>(&mut self, far: &[f32; B], near: &[f32; B], powers: bool) -> Emphasised<B> {
        let mut out = Emphasised { near: [0.0; B], signals: [[0.0; B]; SIGNALS] };
        // Copies, which lie in registers.
        let ([mut one, mut other], mut last) = (self.filters, self.last);
        for n in 0..B {
            let (x, d) = (far[n], near[n]);
            let input = if powers {
                let square = x * x * (1.0 / (LEVEL * LEVEL));
                [x, d, x * square, x * square * square]
            } else {
                [x, d, 0.0, 0.0]
            };
            let high = other.step(one.step(input));
            out.near[n] = high[1];
            for signal in 0..SIGNALS {
                out.signals[signal][n] = high[signal] - EMPHASIS * last[signal];
            }
            last = high;
        }
        (self.filters, self.last) = ([one, other], last);
        out
    }
}

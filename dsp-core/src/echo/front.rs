//! What far end and microphone go through before they are compared: a high-pass, the powers of the far end for a
//! loudspeaker that saturates, and pre-emphasis.
//!
//! The high-pass is a 4th-order Butterworth filter at 120 Hz, as two state-variable filters in trapezoidal form (A.
//! Simper, 2013). It is the same for all signals, so that the echo path does not change. Without it, what remains of
//! the echo would be rumble, which speech hardly excites. All signals are filtered side by side.

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

    /// Filters the first `N` signals.
    #[inline(always)]
    fn step<const N: usize>(taps: [f32; 3], damping: f32, states: &mut [[f32; N]; 2], input: [f32; N]) -> [f32; N] {
        let [own, across, through] = taps;
        let [first, second] = *states;
        let difference: [f32; N] = core::array::from_fn(|n| input[n] - second[n]);
        let band: [f32; N] = core::array::from_fn(|n| own * first[n] + across * difference[n]);
        let rise: [f32; N] = core::array::from_fn(|n| across * first[n] + through * difference[n]);
        *states =
            [core::array::from_fn(|n| 2.0 * band[n] - first[n]), core::array::from_fn(|n| second[n] + 2.0 * rise[n])];
        core::array::from_fn(|n| difference[n] - rise[n] - damping * band[n])
    }

    /// The states of the first `N` signals.
    fn states<const N: usize>(&self) -> [[f32; N]; 2] {
        self.states.map(|state| core::array::from_fn(|n| state[n]))
    }

    /// Keeps those states; the other signals begin anew.
    fn keep<const N: usize>(&mut self, states: [[f32; N]; 2]) {
        self.states = states.map(spread);
    }
}

/// The first `N` signals, and silence.
fn spread<const N: usize>(signals: [f32; N]) -> Lanes {
    core::array::from_fn(|n| if n < N { signals[n] } else { 0.0 })
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

    /// Filters a block of the far end alone, and returns it with emphasis: it is read once more, where the microphone isn't.
    pub(super) fn replay<const B: usize>(&mut self, far: &[f32; B]) -> [f32; B] {
        let before = *self;
        let [far, ..] = self.filter(|n| [far[n]]).signals;
        for signal in 1..SIGNALS {
            self.last[signal] = before.last[signal];
            for (filter, before) in self.filters.iter_mut().zip(&before.filters) {
                for (state, before) in filter.states.iter_mut().zip(&before.states) {
                    state[signal] = before[signal];
                }
            }
        }
        far
    }

    /// Filters a block. `powers`: whether those of the far end are wanted; they are silence otherwise.
    pub(super) fn process<const B: usize>(&mut self, far: &[f32; B], near: &[f32; B], powers: bool) -> Emphasised<B> {
        if powers {
            self.filter(|n| {
                let square = far[n] * far[n] * (1.0 / (LEVEL * LEVEL));
                [far[n], near[n], far[n] * square, far[n] * square * square]
            })
        } else {
            self.filter(|n| [far[n], near[n]])
        }
    }

    /// Filters the first `N` signals, side by side.
    #[inline(always)]
    fn filter<const B: usize, const N: usize>(&mut self, input: impl Fn(usize) -> [f32; N]) -> Emphasised<B> {
        let mut out = Emphasised { near: [0.0; B], signals: [[0.0; B]; SIGNALS] };
        // Copies, which lie in registers.
        let [one, other] = &self.filters;
        let (mut one_states, mut other_states) = (one.states::<N>(), other.states::<N>());
        let mut last: [f32; N] = core::array::from_fn(|n| self.last[n]);
        for n in 0..B {
            let half = HighPass::step(one.taps, one.damping, &mut one_states, input(n));
            let high = HighPass::step(other.taps, other.damping, &mut other_states, half);
            if N > 1 {
                out.near[n] = high[1];
            }
            for signal in 0..N {
                out.signals[signal][n] = high[signal] - EMPHASIS * last[signal];
            }
            last = high;
        }
        let [one, other] = &mut self.filters;
        one.keep(one_states);
        other.keep(other_states);
        self.last = spread(last);
        out
    }
}

//! Whether the far end is a tone: of progress, of a key, or of music that is held.
//!
//! A tone's echo is the same one period later, so it has no beginning that could be found, and a filter that takes it away has
//! learned one frequency of a path and nothing else. Delay search, the filter's own onset and the drift loop have to wait.
//!
//! A tone is where the same bin is the strongest for 200 ms and holds most of the sound with its neighbours. Speech that is
//! held so long at one pitch has more than one harmonic. Cost: two multiplications a bin.

use crate::spectrum::Spectrum;

/// Blocks in which the strongest bin is the same.
const HELD_BLOCKS: u32 = 20;
/// What it holds of all power, with its neighbours: of two tones, as of a key, the stronger one has half.
const SHARE: f32 = 0.4;
/// How long ago the last tone was, where there was none: longer than anybody asks.
const LONG_AGO: u32 = 1_000;

/// What is known of the far end's strongest bin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steady<const B: usize> {
    strongest: usize,
    held: u32,
    /// Blocks of the far end's since the last tone.
    since: u32,
}

impl<const B: usize> Steady<B> {
    pub(super) const NEW: Self = Self { strongest: 0, held: 0, since: LONG_AGO };

    /// Looks at a block of the far end in which it isn't silent.
    pub(super) fn look(&mut self, far: &Spectrum<B>) {
        let (mut at, mut most, mut sum) = (0, 0.0, 0.0);
        // The first bin is DC and the highest one together.
        for k in 1..B {
            let power = far.re[k] * far.re[k] + far.im[k] * far.im[k];
            sum += power;
            if power > most {
                (at, most) = (k, power);
            }
        }
        let around = at.saturating_sub(1).max(1)..(at + 2).min(B);
        let held: f32 = around.map(|k| far.re[k] * far.re[k] + far.im[k] * far.im[k]).sum();
        if held > SHARE * sum && at.abs_diff(self.strongest) <= 1 {
            self.held = self.held.saturating_add(1);
        } else {
            (self.strongest, self.held) = (at, 0);
        }
        self.since = if self.held >= HELD_BLOCKS { 0 } else { self.since.saturating_add(1) };
    }

    /// Whether the last so many blocks of the far end were no tone.
    pub(super) fn varies(&self, blocks: u32) -> bool {
        self.since >= blocks
    }
}

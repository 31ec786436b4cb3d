//! Whether the far end is a tone: call progress, a key, or a sustained note of music.
//!
//! The echo of a tone is the same one period later, so it has no beginning that could be found. A filter that removes
//! it has learned one frequency of the path and nothing else. Delay search, the filter's own onset and the drift loop
//! must wait.
//!
//! A tone is present if the strongest bin stays within 100 Hz for 300 ms and has half of the power together with its
//! neighbours; of two tones together, or of the higher one, which pre-emphasis makes louder. A voice that is held so
//! long has more harmonics than that. The cost is two multiplications for each bin, in every second block.

use crate::spectrum::Spectrum;

/// Blocks in which the strongest bin stays where it is, and within how many bins.
const HELD_BLOCKS: u32 = 30;
const NEAR: usize = 2;
/// What it holds of all power, with as many neighbours.
const SHARE: f32 = 0.5;
/// How long ago the last tone was, where there was none: longer than anybody asks.
const LONG_AGO: u32 = 1_000;

/// What is known of the far end's strongest bin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steady<const B: usize> {
    strongest: usize,
    held: u32,
    /// Whether the next block is looked at.
    looks: bool,
    /// Blocks of the far end's since the last tone.
    since: u32,
}

impl<const B: usize> Steady<B> {
    pub(super) const NEW: Self = Self { strongest: 0, held: 0, looks: true, since: LONG_AGO };

    /// Looks at a block of the far end in which it isn't silent.
    pub(super) fn look(&mut self, far: &Spectrum<B>) {
        self.looks = !self.looks;
        if !self.looks {
            return;
        }
        let (mut at, mut most, mut sum) = (0, 0.0, 0.0);
        // The first bin is DC and the highest one together.
        for k in 1..B {
            let power = far.re[k] * far.re[k] + far.im[k] * far.im[k];
            sum += power;
            if power > most {
                (at, most) = (k, power);
            }
        }
        let around = at.saturating_sub(NEAR).max(1)..(at + NEAR + 1).min(B);
        let held: f32 = around.map(|k| far.re[k] * far.re[k] + far.im[k] * far.im[k]).sum();
        if held > SHARE * sum && at.abs_diff(self.strongest) <= NEAR {
            self.held = self.held.saturating_add(2);
        } else {
            (self.strongest, self.held) = (at, 0);
        }
        self.since = if self.held >= HELD_BLOCKS { 0 } else { self.since.saturating_add(2) };
    }

    /// Whether the last `blocks` blocks of the far end were not a tone.
    pub(super) fn varies(&self, blocks: u32) -> bool {
        self.since >= blocks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::tests_support::UniformNoise;

    /// Blocks of a signal of sample and noise, until it is taken for a tone.
    fn blocks(signal: impl Fn(usize, f32) -> f32) -> Option<usize> {
        let (mut steady, mut noise, mut last) = (Steady::<160>::NEW, UniformNoise::new(1), [0.0; 160]);
        (0..300).find(|block| {
            let now = core::array::from_fn(|n| signal(block * 160 + n, noise.next()));
            steady.look(&Spectrum::forward(&last, &now));
            last = now;
            !steady.varies(1)
        })
    }

    fn sine(n: usize, hz: f32) -> f32 {
        libm::sinf(n as f32 * hz / 16_000.0 * core::f32::consts::TAU)
    }

    #[test]
    fn tones_are_and_voices_are_not() {
        for hz in
            [[350.0, 440.0], [440.0, 480.0], [425.0, 425.0], [697.0, 1_209.0], [941.0, 1_633.0], [1_100.0, 1_100.0]]
        {
            let found = blocks(|n, noise| 0.2 * sine(n, hz[0]) + 0.3 * sine(n, hz[1]) + 0.01 * noise);
            assert!(found.is_some_and(|found| found < 60), "{hz:?}: {found:?}");
        }
        assert_eq!(blocks(|_, noise| noise), None);
        // Harmonics of a pitch that glides from 95 to 145 Hz and back once a second, as pre-emphasis makes them.
        let glides = |n: usize, _: f32| {
            let seconds = n as f32 / 16_000.0;
            let turns = 120.0 * seconds + 4.0 * libm::sinf(seconds * core::f32::consts::TAU);
            (1..20).map(|h| libm::sinf(turns * h as f32 * core::f32::consts::TAU) / libm::sqrtf(h as f32)).sum()
        };
        assert_eq!(blocks(glides), None);
        // It has been heard as long ago as it has.
        let mut steady = Steady::<160>::NEW;
        assert!(steady.varies(100));
        let tone = Spectrum::forward(
            &core::array::from_fn(|n| sine(n, 440.0)),
            &core::array::from_fn(|n| sine(n + 160, 440.0)),
        );
        (0..HELD_BLOCKS + 4).for_each(|_| steady.look(&tone));
        assert!(!steady.varies(1));
        let mut noise = UniformNoise::new(1);
        for _ in 0..10 {
            steady.look(&Spectrum::forward(&core::array::from_fn(|_| noise.next()), &[0.0; 160]));
        }
        assert!(steady.varies(10) && !steady.varies(12));
    }
}

//! Late reverberation: the power of the echo after the last partition of the filter.
//!
//! The response of a room decays exponentially once the first reflections are past. In each band, a line is fitted to
//! the level of the filter's partitions, from behind the strongest one to the last. Its slope is the decay of the
//! room, and its end the level at which the filter stops. What comes later follows from the far end that leaves the
//! filter, by a recursion with one term: `late = decay * (late + level * far)`. The suppressor removes it, as a filter
//! without taps there cannot.
//!
//! Source: Habets, Gannot, Cohen and Sommen, "Joint dereverberation and residual echo suppression of speech signals in
//! noisy environments", 2008, with the decay taken from the adaptive filter.
//!
//! The cost is four multiplications for each bin, and in each block a line through `P` points for one band.

use crate::arithmetic::{exp2, log2, max};
use crate::spectrum::Spectrum;

use super::filter::FarSpectra;

/// Bands of equal width that the decay is fitted in.
const BANDS: usize = 8;
/// What lies below 150 Hz the high-pass has taken away: nothing is learned of it.
const FIRST: usize = 3;
/// Partitions that a line needs.
const LEAST: usize = 3;
/// The slowest decay, in octaves of power a block: a room of 1.5 s.
const SLOWEST: f32 = -0.133;
/// Octaves of power that a partition without any energy lies under the others, at least.
const NOTHING: f32 = 1e-12;

/// What is known of the late reverberation. `B`: samples of a block; `P`: partitions of the filter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Late<const B: usize, const P: usize> {
    /// Octaves of power of each partition, by band.
    levels: [[f32; BANDS]; P],
    /// For each band: the share of its power that is left after a block, and the power of the last partition.
    decay: [f32; BANDS],
    last: [f32; BANDS],
    /// The far end's power a bin, by band, over a second.
    far: [f32; BANDS],
    band: usize,
    power: [f32; B],
}

impl<const B: usize, const P: usize> Late<B, P> {
    pub(super) const NEW: Self = Self {
        levels: [[-40.0; BANDS]; P],
        decay: [0.0; BANDS],
        last: [0.0; BANDS],
        far: [0.0; BANDS],
        band: 0,
        power: [0.0; B],
    };

    /// Forgets the room.
    pub(super) fn reset(&mut self) {
        self.levels = [[-40.0; BANDS]; P];
        (self.decay, self.last, self.far, self.band) = ([0.0; BANDS], [0.0; BANDS], [0.0; BANDS], 0);
        self.power = [0.0; B];
    }

    /// Goes on by a block, before the next one is pushed into `far`.
    pub(super) fn advance(&mut self, far: &FarSpectra<B, P>) {
        let leaves = far.ago(P - 1);
        let width = B / BANDS;
        for band in 0..BANDS {
            let (decay, last) = (self.decay[band], self.last[band]);
            let mut sum = 0.0;
            for k in band * width..(band + 1) * width {
                let far = leaves.re[k] * leaves.re[k] + leaves.im[k] * leaves.im[k];
                self.power[k] = decay * (self.power[k] + last * far);
                sum += if k < FIRST { 0.0 } else { far };
            }
            self.far[band] = 0.99 * self.far[band] + 0.01 * sum;
        }
    }

    /// The late reverberation's power of this block, in the scale of the far end's spectra.
    pub(super) fn power(&self) -> &[f32; B] {
        &self.power
    }

    /// Whether there is more echo right behind the filter's last partition than in its first one.
    pub(super) fn wants_tail(&self) -> bool {
        let (mut first, mut next) = (0.0, 0.0);
        for band in 0..BANDS {
            first += self.far[band] * exp2(self.levels[0][band]);
            next += self.far[band] * self.last[band] * self.decay[band];
        }
        first < next
    }

    /// Looks at partition `turn`, and fits a line to all in one of the bands.
    pub(super) fn look(&mut self, weights: &[Spectrum<B>; P], turn: usize) {
        let width = B / BANDS;
        if let Some(weights) = weights.get(turn) {
            for (band, level) in self.levels[turn].iter_mut().enumerate() {
                let bins = FIRST.max(band * width)..(band + 1) * width;
                let count = bins.len();
                let sum = weights.re[bins.clone()]
                    .iter()
                    .zip(&weights.im[bins])
                    .fold(0.0, |sum, (re, im)| sum + re * re + im * im);
                *level = log2(max(sum / count as f32, NOTHING));
            }
        }
        self.fit(self.band);
        self.band = (self.band + 1) % BANDS;
    }

    /// The line of a band, by least squares.
    fn fit(&mut self, band: usize) {
        let (mut strongest, mut most) = (0, f32::MIN);
        for (p, levels) in self.levels.iter().enumerate() {
            if levels[band] > most {
                (strongest, most) = (p, levels[band]);
            }
        }
        let from = strongest + 1;
        if from + LEAST > P {
            (self.decay[band], self.last[band]) = (0.0, 0.0);
            return;
        }
        let count = (P - from) as f32;
        let middle = (from + P - 1) as f32 / 2.0;
        let (mut sum, mut moment, mut spread) = (0.0, 0.0, 0.0);
        for (p, levels) in self.levels.iter().enumerate().skip(from) {
            let at = p as f32 - middle;
            sum += levels[band];
            moment += at * levels[band];
            spread += at * at;
        }
        let slope = (moment / spread).clamp(-8.0, SLOWEST);
        let last = sum / count + slope * ((P - 1) as f32 - middle);
        (self.decay[band], self.last[band]) = (exp2(slope), exp2(last));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::tests_support::UniformNoise;
    use std::boxed::Box;

    const B: usize = 160;
    const P: usize = 7;

    /// A filter whose partitions are a room's response that falls by `fall_db` a block, from the partition `from` on. All are of
    /// the same noise: no chance is in their levels.
    fn filter(from: usize, fall_db: f32) -> Box<[Spectrum<B>; P]> {
        let mut filter = Box::new([Spectrum::ZERO; P]);
        for (p, weights) in filter.iter_mut().enumerate().skip(from) {
            let mut noise = UniformNoise::new(3);
            let decay = |n: usize| crate::arithmetic::power(-fall_db * ((p - from) as f32 + n as f32 / B as f32));
            let response = core::array::from_fn(|n| 0.1 * noise.next() * libm::sqrtf(decay(n)));
            weights.set(&response, &[0.0; B]);
        }
        filter
    }

    /// What is known behind `blocks` of noise, and the power of a block of it.
    fn behind(filter: &[Spectrum<B>; P], blocks: usize) -> (Box<Late<B, P>>, Box<FarSpectra<B, P>>) {
        let (mut late, mut far) = (Box::new(Late::NEW), Box::new(FarSpectra::NEW));
        let (mut noise, mut last) = (UniformNoise::new(8), [0.0; B]);
        for block in 0..blocks {
            late.advance(&far);
            let now = core::array::from_fn(|_| noise.next());
            far.push(&last, &now);
            last = now;
            late.look(filter, block % P);
        }
        (late, far)
    }

    fn sum(late: &Late<B, P>) -> f32 {
        late.power()[FIRST..].iter().sum()
    }

    #[test]
    fn the_decay_is_read_from_the_filter() {
        // Rooms in which a sound falls by 60 dB within 200 ms, 300 ms and 600 ms.
        for fall_db in [3.0, 2.0, 1.0] {
            let (late, _) = behind(&filter(1, fall_db), 200);
            for band in 0..BANDS {
                let found = -crate::arithmetic::db(late.decay[band]);
                assert!((found - fall_db).abs() < 0.05, "{fall_db} dB, band {band}: {found} dB");
            }
        }
    }

    #[test]
    fn the_power_is_what_comes_behind_the_tail() {
        let fall_db = 1.0;
        let (late, _) = behind(&filter(0, fall_db), 400);
        // By hand: each later block weighs less than the last partition by what a block falls, and so on without end.
        let last = filter(0, fall_db)[P - 1].power()[FIRST..].iter().sum::<f32>() / (B - FIRST) as f32;
        let far = 2.0 * B as f32 / 3.0;
        let decay = crate::arithmetic::power(-fall_db);
        let expected = far * last * decay / (1.0 - decay) * (B - FIRST) as f32;
        assert!((sum(&late) / expected - 1.0).abs() < 0.2, "{} where {expected} is due", sum(&late));
    }

    #[test]
    fn it_fades_where_the_far_end_is_silent() {
        let filter = filter(0, 2.0);
        let (mut late, mut far) = behind(&filter, 200);
        let before = sum(&late);
        assert!(before > 0.0);
        // What is in the filter leaves it first.
        for _ in 0..P {
            late.advance(&far);
            far.push(&[0.0; B], &[0.0; B]);
        }
        let left = sum(&late);
        for _ in 0..10 {
            late.advance(&far);
            far.push(&[0.0; B], &[0.0; B]);
        }
        let fell_db = crate::arithmetic::db(left / sum(&late));
        assert!((15.0..25.0).contains(&fell_db), "10 blocks of 2 dB are {fell_db} dB");
        late.reset();
        assert_eq!(late.power(), &[0.0; B]);
    }

    #[test]
    fn a_tail_is_wanted_where_the_filter_begins_too_early() {
        let (late, _) = behind(&filter(2, 0.5), 200);
        assert!(late.wants_tail(), "two blocks before the echo are empty");
        let (late, _) = behind(&filter(0, 2.0), 200);
        assert!(!late.wants_tail());
        // An echo that begins so late that no decay can be seen tells nothing.
        let (late, _) = behind(&filter(P - 2, 2.0), 200);
        assert!(!late.wants_tail() && late.power() == &[0.0; B]);
    }
}

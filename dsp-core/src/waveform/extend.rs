//! Continues a signal past its edge, for concealment: a periodic part, noise, and the ringing of the join.
//!
//! An extension repeats the last pitch periods of a side, and the short-term prediction filter of that side runs
//! beside it. The filter starts with the difference between the real samples at the edge and those before the
//! repetition, so that the first sample joins without a step and nothing that was played must change: by linearity
//! this is the same as repeating the prediction residual through the filter. The same is done wherever the repetition
//! starts again. The unvoiced part is noise through the same filter. The side may also be a future one: samples are
//! addressed by their distance from the edge, and the predictor of a stationary signal is the same in both directions.
//!
//! Gains are Q15, read positions Q16 (with fractions only if the pitch is bent; parabolic interpolation). The cost for
//! each sample is 10 multiplications for the filter at 8 kHz (16 above) and two for the rest.

use super::lpc::{MAX_ORDER, Predictor};
use super::pitch;
use super::square_root;
use crate::slices::{part, split_mut};

use core::num::NonZeroU32;

/// One in Q15.
pub(super) const ONE: i32 = 32768;
/// A read position's step at the original pitch, Q16.
const STEP: NonZeroU32 = NonZeroU32::new(1 << 16).unwrap();

/// Sound on one side of an edge. A sample is addressed by its distance from the edge; beyond the end is silence.
#[derive(Clone, Copy, Debug)]
pub(super) enum GapSide<'a> {
    /// What was before the edge, newest last.
    Past(&'a [i16]),
    /// What comes behind it, oldest first.
    Future(&'a [i16]),
}

impl GapSide<'_> {
    /// Number of samples.
    fn len(self) -> usize {
        let (GapSide::Past(samples) | GapSide::Future(samples)) = self;
        samples.len()
    }

    /// The sample at this distance.
    #[inline]
    fn at(self, distance: usize) -> i32 {
        let sample = match self {
            GapSide::Past(samples) => samples.get(samples.len().wrapping_sub(1 + distance)),
            GapSide::Future(samples) => samples.get(distance),
        };
        sample.map_or(0, |sample| i32::from(*sample))
    }

    /// Writes the samples that come towards the edge from this distance on, scaled by a gain in Q15.
    fn read(self, from: usize, gain: i32, out: &mut [i32]) {
        let scale = |(to, sample): (&mut i32, &i16)| *to = (i32::from(*sample) * gain) >> 15;
        match self {
            GapSide::Past(samples) => {
                let samples = part(samples, samples.len().wrapping_sub(1 + from), out.len());
                out.iter_mut().zip(samples).for_each(scale);
            }
            GapSide::Future(samples) => {
                let samples = part(samples, (from + 1).wrapping_sub(out.len()), out.len());
                out.iter_mut().zip(samples.iter().rev()).for_each(scale);
            }
        }
    }
}

/// Continues a signal past its edge: forwards from the past, or backwards from the future.
#[derive(Clone, Copy, Debug)]
pub(super) struct SignalExtension {
    predictor: Predictor,
    /// Past outputs of the filter, newest first.
    pub(super) memory: [i16; MAX_ORDER],
    /// Pitch period in samples.
    pub(super) period: usize,
    /// Most periods to repeat.
    pub(super) cycles: u8,
    /// Length of what is being repeated: one to three periods.
    pub(super) span: usize,
    /// Read position within the span, Q16.
    pub(super) position: u32,
    /// Advance of the read position a sample, Q16.
    pub(super) step: NonZeroU32,
    /// Share of the periodic part, Q15.
    pub(super) voiced: i32,
    /// Peak of the uniform noise that excites the filter.
    noise: i32,
    pub(super) seed: u32,
}

impl SignalExtension {
    pub(super) const IDLE: SignalExtension = SignalExtension {
        predictor: Predictor::FLAT,
        memory: [0; MAX_ORDER],
        period: 1,
        cycles: 1,
        span: 1,
        position: 0,
        step: STEP,
        voiced: 0,
        noise: 0,
        seed: 1,
    };

    /// Analyses a side.
    pub(super) fn start(&mut self, predictor: Predictor, pitch: pitch::Match, side: GapSide<'_>) {
        self.predictor = predictor;
        self.period = pitch.lag.max(1);
        self.voiced = voicing(pitch.correlation);
        if side.len() < self.period + MAX_ORDER {
            self.voiced = 0;
        }
        // The periodic part carries voiced^2 of the power, noise the rest. A uniform peak is sqrt(3) over its rms; noise
        // at half the level it replaces disturbs least, as it never has the right fine structure.
        let share = square_root((ONE * (ONE >> 2) - self.voiced * (self.voiced >> 2)).unsigned_abs() << 2) as i32;
        self.noise = ((predictor.residual_rms.min(18_000) * share) >> 15) * 7 / 8;
        self.join(side);
    }

    /// As [`start`](Self::start), with what another one's analysis of the same sound gave.
    pub(super) fn start_as(&mut self, other: &Self, side: GapSide<'_>) {
        (self.predictor, self.period) = (other.predictor, other.period);
        (self.voiced, self.noise) = (other.voiced, other.noise);
        self.join(side);
    }

    /// Begins at the edge of a side that was analysed.
    fn join(&mut self, side: GapSide<'_>) {
        self.span = self.period;
        self.cycles = 1;
        self.position = 0;
        self.step = STEP;
        for (k, m) in self.memory.iter_mut().enumerate() {
            let repeated = if self.voiced == 0 { 0 } else { (self.voiced * side.at(self.span + k)) >> 15 };
            *m = (side.at(k) - repeated).clamp(-32768, 32767) as i16;
        }
        for m in self.memory.iter_mut().skip(self.predictor.order()) {
            *m = 0;
        }
    }

    /// Leaves out this many samples, of a pitch that isn't bent.
    pub(super) fn skip(&mut self, samples: usize) {
        let position = ((self.position >> 16) as usize + samples) % self.span.max(1);
        self.position = (position as u32) << 16;
        self.memory = [0; MAX_ORDER];
    }

    /// Continues outwards for `out.len()` samples.
    pub(super) fn fill(&mut self, rate_hz: u32, out: &mut [i32], side: GapSide<'_>) {
        let mut rest = out;
        while !rest.is_empty() {
            if self.voiced == 0 {
                rest.fill(0);
                return self.ring(rate_hz, rest);
            }
            // Up to where the repetition starts anew.
            let left = ((self.span as u32) << 16) - self.position;
            let steps = left + self.step.get() - 1;
            let is_bent = self.step != STEP;
            let run = (if is_bent { steps / self.step } else { steps >> 16 } as usize).min(rest.len());
            let (now, later) = split_mut(rest, run);
            if is_bent {
                self.read(now, side);
            } else {
                side.read(self.span - 1 - (self.position >> 16) as usize, self.voiced, now);
                self.position += (run as u32) << 16;
            }
            self.ring(rate_hz, now);
            if self.position >= (self.span as u32) << 16 {
                self.turn(side);
            }
            rest = later;
        }
    }

    /// Adds what the filter makes of its memory and of noise.
    fn ring(&mut self, rate_hz: u32, out: &mut [i32]) {
        let (noise, seed) = (self.noise, &mut self.seed);
        self.predictor.synthesise(&mut self.memory, out, rate_hz, noise != 0, || {
            if noise == 0 {
                return 0;
            }
            *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (((*seed >> 16) as i32 - ONE) * noise) >> 15
        });
    }

    /// The source from the read position on, bent: a parabola through four points (Farrow, alpha 1/4). Positions go on by about one, so three of four taps
    /// are those of the sample before.
    fn read(&mut self, out: &mut [i32], side: GapSide<'_>) {
        let (last, period, voiced, step) = (self.span - 1, self.period, self.voiced, self.step.get());
        // Positions past the edge come round again one period earlier.
        let tap = |i: usize| side.at(if i > last { last + period - i } else { last - i });
        let window = |whole: usize| [side.at(last + 1 - whole), tap(whole), tap(whole + 1), tap(whole + 2)];
        let mut position = self.position;
        let mut whole = ((position >> 16) as usize).min(last);
        let mut taps = window(whole);
        for y in out {
            let now = ((position >> 16) as usize).min(last);
            if now == whole + 1 {
                taps = [taps[1], taps[2], taps[3], tap(now + 2)];
            } else if now != whole {
                taps = window(now);
            }
            whole = now;
            let [a, b, c, d] = taps;
            // With the fraction in Q11 each product fits 32 bits, as sums of taps stay below 2^19.
            let f = ((position & 0xffff) >> 5) as i32;
            let square = (a - b - c + d) >> 2;
            let between = b + (((c - b - square + ((square * f) >> 11)) * f) >> 11);
            // The parabola may rise above the samples.
            *y = ((between * voiced) >> 15).clamp(-32_768, 32_767);
            position += step;
        }
        self.position = position;
    }

    /// End of the span: begins anew, one period further back in longer losses; the mismatch rings out.
    fn turn(&mut self, side: GapSide<'_>) {
        self.position -= (self.span as u32) << 16;
        let longer = self.span + self.period;
        if longer <= usize::from(self.cycles) * self.period && longer + MAX_ORDER <= side.len() {
            self.span = longer;
        }
        self.position = self.position.min(((self.span as u32) << 16) - 1);
        let order = self.predictor.order();
        for (k, m) in self.memory.iter_mut().enumerate().take(order) {
            let step = (self.voiced * ((side.at(k) - side.at(self.span + k)) >> 1)) >> 14;
            *m = (i32::from(*m) + step).clamp(-32768, 32767) as i16;
        }
    }
}

/// Share of the periodic part for a normalised correlation (both Q15): none below 0.4, all from 0.8.
fn voicing(correlation: i32) -> i32 {
    ((correlation - 13_107) * 5 / 2).clamp(0, ONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bent_pitch_stays_within_full_scale() {
        let loud: [i16; 80] = core::array::from_fn(|k| if (k / 2).is_multiple_of(2) { 32_767 } else { -32_768 });
        let step = NonZeroU32::new(STEP.get() + STEP.get() / 16).unwrap();
        let mut side = SignalExtension { period: 40, span: 40, voiced: ONE, step, ..SignalExtension::IDLE };
        let mut out = [0; 40];
        side.fill(8_000, &mut out, GapSide::Future(&loud));
        assert!(out.iter().all(|y| (-32_768..=32_767).contains(y)), "{out:?}");
    }
}

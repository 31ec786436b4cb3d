//! A loudspeaker that saturates: how much of the far end's third and fifth power is in the echo.
//!
//! The powers go through the first four partitions of the filter and are fitted to its error by recursive least
//! squares. Each block is weighted by the inverse of the error's energy, so that the near end counts little. They are
//! used if they explain a quarter of the error behind a filter that removes 10 dB; with a linear loudspeaker nothing
//! changes. This fits a soft clip without memory.
//!
//! The cost is two spectra and two estimates for each block, in a third of the blocks while nothing is found.

use super::filter::{FarSpectra, estimate};
use crate::arithmetic::{dot, energy};
use crate::spectrum::Spectrum;

/// Partitions that the powers go through.
const PARTITIONS: usize = 4;

/// Number of blocks behind a good filter in which it always looks. While nothing is found, it then looks in some of
/// the blocks only.
const FIRST: u32 = 500;
const LOOK: u32 = 16;
const EVERY: u32 = 48;

/// The model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Saturation<const B: usize> {
    powers: [FarSpectra<B, PARTITIONS>; 2],
    /// The last block of each power, with emphasis.
    last: [[f32; B]; 2],
    /// How much of each power is in the echo.
    parts: [f32; 2],
    correlation: [[f32; 2]; 2],
    target: [f32; 2],
    /// Explained and whole energy.
    explained: [f32; 2],
    on: bool,
    block: u32,
    /// Blocks that it has learned from, at most [`FIRST`].
    learned: u32,
}

impl<const B: usize> Saturation<B> {
    pub(super) const NEW: Self = Self {
        powers: [FarSpectra::NEW; 2],
        last: [[0.0; B]; 2],
        parts: [0.0; 2],
        correlation: [[1e-6, 0.0], [0.0, 1e-6]],
        target: [0.0; 2],
        explained: [0.0; 2],
        on: false,
        block: 0,
        learned: 0,
    };

    /// Whether the loudspeaker saturates.
    pub(super) fn is_on(&self) -> bool {
        self.on
    }

    /// How much of the powers is to be added to the far end.
    pub(super) fn parts(&self) -> [f32; 2] {
        self.parts
    }

    /// The far end goes on elsewhere.
    pub(super) fn jump(&mut self) {
        self.powers.iter_mut().for_each(FarSpectra::clear);
        self.last = [[0.0; B]; 2];
    }

    /// Forgets everything.
    pub(super) fn reset(&mut self) {
        self.jump();
        let Self { correlation, parts, target, explained, on, block, learned, .. } = Self::NEW;
        (self.correlation, self.parts, self.target, self.explained) = (correlation, parts, target, explained);
        (self.on, self.block, self.learned) = (on, block, learned);
    }

    /// Whether it learns from every block.
    fn follows(&self) -> bool {
        self.on || self.learned < FIRST
    }

    /// Whether the powers of this block are wanted.
    pub(super) fn wants_powers(&self) -> bool {
        self.follows() || self.block % EVERY < LOOK
    }

    /// Learns from a block: the far end's powers, the filter, its error, and whether it removes 10 dB.
    pub(super) fn learn(&mut self, powers: [&[f32; B]; 2], weights: &[Spectrum<B>], error: &[f32; B], good: bool) {
        let phase = self.block % EVERY;
        let wanted = self.wants_powers();
        self.block = self.block.wrapping_add(1);
        if !wanted {
            return;
        }
        for ((spectra, last), now) in self.powers.iter_mut().zip(&mut self.last).zip(powers) {
            spectra.push(last, now);
            *last = *now;
        }
        // The spectra of the blocks before are old ones as long as the powers weren't followed.
        if !self.on && (!good || (!self.follows() && phase < PARTITIONS as u32)) {
            return;
        }
        let forget = if self.follows() { 0.995 } else { 0.985 };
        self.learned = (self.learned + 1).min(FIRST);
        let used = &weights[..weights.len().min(PARTITIONS)];
        let [third, fifth] = [0, 1].map(|power| estimate(used, &self.powers[power]));
        let weight = 1.0 / (energy(error) + 1e-7);
        let (aa, ab, bb) = (energy(&third), dot(&third, &fifth), energy(&fifth));
        let (ae, be) = (dot(&third, error), dot(&fifth, error));
        let [a, b] = self.parts;
        let [[caa, cab], [_, cbb]] = self.correlation;
        let correlation = [forget * caa + weight * aa, forget * cab + weight * ab, forget * cbb + weight * bb];
        self.correlation = [[correlation[0], correlation[1]], [correlation[1], correlation[2]]];
        self.target[0] = forget * self.target[0] + weight * (ae + aa * a + ab * b);
        self.target[1] = forget * self.target[1] + weight * (be + ab * a + bb * b);
        if correlation[0] <= 1e-4 {
            return;
        }
        let (aa, ab, bb) = (correlation[0] * 1.001 + 1.0, correlation[1], correlation[2] * 1.001 + 1.0);
        let determinant = aa * bb - ab * ab;
        if determinant <= 1e-12 {
            return;
        }
        let fit = [
            (bb * self.target[0] - ab * self.target[1]) / determinant,
            (aa * self.target[1] - ab * self.target[0]) / determinant,
        ];
        // What the powers explain of the error that there is without them.
        let (mut explained, mut whole) = (0.0, 0.0);
        for n in 0..B {
            let model = fit[0] * third[n] + fit[1] * fifth[n];
            let without = error[n] + a * third[n] + b * fifth[n];
            explained += model * model;
            whole += without * without;
        }
        self.explained = [forget * self.explained[0] + explained, forget * self.explained[1] + whole];
        let share = self.explained[0] / (self.explained[1] + 1e-12);
        self.on = (share > 0.25 && good) || (self.on && fit[0].abs().max(fit[1].abs()) > 0.02);
        for (part, fit) in self.parts.iter_mut().zip(fit) {
            let aim = if self.on { fit.clamp(-2.0, 2.0) } else { 0.0 };
            *part += 0.1 * (aim - *part);
        }
        if !self.on && self.parts.iter().all(|part| part.abs() < 1e-4) {
            self.parts = [0.0; 2];
        }
    }
}

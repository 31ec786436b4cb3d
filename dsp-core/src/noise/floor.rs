//! The noise's power in each bin: unbiased estimation under speech presence (Gerkmann and Hendriks, 2012), with two rules
//! for noise that it would take for speech.
//!
//! A bin's power counts by how likely it is noise alone, at a fixed a-priori SNR of 15 dB. That follows noise that rises
//! slowly, but never one that jumps by more than 15 dB, so: when most bands have stood still within 4.5 dB for 300 ms and
//! lie above the estimate, that is noise; and so is what the frame's own detector surely calls no speech.
//!
//! Units: power of a windowed spectrum's bin. Cost: 12 operations and one power of two a bin.

use super::bands::{BANDS, Bands};
use crate::arithmetic::{db, exp2};

/// The a-priori SNR of speech where it's present: 15 dB.
const PRIOR: f32 = 31.622_776;
/// A power over the noise beyond this says nothing more.
const MOST_OVER: f32 = 200.0;
/// Blocks at the beginning that are taken for noise, whatever they are.
const BEGINNING: u32 = 8;
/// Blocks in which bands that stand still become noise, by how much they may move, and how many of them must.
const STILL_BLOCKS: usize = 30;
const STILL_DB: f32 = 4.5;
const STILL_BANDS: f32 = 0.75;
/// How far above the estimate they must lie.
const STILL_ABOVE_DB: f32 = 2.0;
/// The share of the way that the estimate goes in a block by either rule.
const STEP: f32 = 0.3;
/// Speech less likely than this is none.
const NO_SPEECH: f32 = 0.1;
/// Below all that a converter could make.
const LEAST: f32 = 1e-12;

/// How likely speech is where the power is so many times the noise's.
#[inline(always)]
pub(super) fn likely(over: f32) -> f32 {
    // Of the likelihood ratio, in octaves.
    const SLOPE: f32 = -PRIOR / (1.0 + PRIOR) * core::f32::consts::LOG2_E;
    1.0 / (1.0 + (1.0 + PRIOR) * exp2(over.min(MOST_OVER) * SLOPE))
}

/// The estimate.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoiseFloor<const H: usize> {
    power: [f32; H],
    presence: [f32; H],
    smooth: [f32; H],
    bands: [f32; BANDS],
    levels_db: [[f32; BANDS]; STILL_BLOCKS],
    blocks: u32,
}

impl<const H: usize> NoiseFloor<H> {
    pub(super) const NEW: Self = Self {
        power: [LEAST; H],
        presence: [0.5; H],
        smooth: [0.0; H],
        bands: [0.0; BANDS],
        levels_db: [[0.0; BANDS]; STILL_BLOCKS],
        blocks: 0,
    };

    /// The noise's power.
    pub(super) fn power(&self) -> &[f32; H] {
        &self.power
    }

    /// Whether enough was heard to know speech from noise.
    pub(super) fn has_begun(&self) -> bool {
        self.blocks > BEGINNING
    }

    /// Takes in a block: powers of its bins, of them smoothed over three neighbours, and of its bands.
    pub(super) fn hear(&mut self, power: &[f32; H], even: &[f32; H], heard: &[f32; BANDS]) {
        if self.blocks < BEGINNING {
            let before = self.blocks as f32;
            for (noise, now) in self.power.iter_mut().zip(power) {
                *noise = (*noise * before + now) / (before + 1.0) + LEAST;
            }
            if self.blocks == 0 {
                self.smooth = *power;
            }
        }
        for k in 0..H {
            let likely = likely(even[k] / self.power[k]);
            let presence = 0.9 * self.presence[k] + 0.1 * likely;
            self.presence[k] = presence;
            // A bin that seems to be speech for long must not stay so for ever.
            let likely = if presence > 0.99 { likely.min(0.99) } else { likely };
            self.power[k] += 0.1 * (1.0 - likely) * (power[k] - self.power[k]);
            self.smooth[k] = 0.85 * self.smooth[k] + 0.15 * power[k];
        }
        self.stand_still(heard);
        self.blocks = self.blocks.saturating_add(1);
    }

    /// Bands that stand still above the estimate are noise.
    fn stand_still(&mut self, heard: &[f32; BANDS]) {
        let noise = Bands::<H>::sums(&self.power);
        let row = self.blocks as usize % STILL_BLOCKS;
        let mut above_db = 0.0;
        for band in 0..Bands::<H>::COUNT {
            self.bands[band] = 0.7 * self.bands[band] + 0.3 * heard[band];
            let level_db = db(self.bands[band] + LEAST);
            self.levels_db[row][band] = level_db;
            above_db += level_db - db(noise[band] + LEAST);
        }
        if self.blocks < STILL_BLOCKS as u32 || above_db <= STILL_ABOVE_DB * Bands::<H>::COUNT as f32 {
            return;
        }
        let (mut least, mut most) = ([f32::MAX; BANDS], [f32::MIN; BANDS]);
        for row in &self.levels_db {
            for band in 0..BANDS {
                least[band] = least[band].min(row[band]);
                most[band] = most[band].max(row[band]);
            }
        }
        let still = (0..Bands::<H>::COUNT).filter(|&band| most[band] - least[band] < STILL_DB).count();
        if still as f32 >= STILL_BANDS * Bands::<H>::COUNT as f32 {
            for (noise, smooth) in self.power.iter_mut().zip(&self.smooth) {
                *noise += STEP * (smooth - *noise).max(0.0);
            }
        }
    }

    /// What was heard holds speech so surely: where it doesn't, the estimate rises to it.
    pub(super) fn follow(&mut self, power: &[f32; H], speech: f32) {
        if speech < NO_SPEECH && self.has_begun() {
            let step = STEP * (1.0 - speech / NO_SPEECH);
            for (noise, now) in self.power.iter_mut().zip(power) {
                *noise += step * (now - *noise).max(0.0);
            }
        }
    }
}

//! The power of the noise in each bin: unbiased estimation with the probability of speech (Gerkmann and Hendriks,
//! 2012), with rules for noise that it would take for speech.
//!
//! The power of a bin counts by the probability that it is noise alone, at a fixed a-priori SNR of 15 dB. That follows
//! noise that rises slowly in a bin. For the rest there are these rules:
//!
//! - Where the noise of all bands rises or falls, it does so in bins that a voice hides, too (`level`).
//! - If most bands have stayed within 4.5 dB for 300 ms and lie above the estimate, that is noise, provided that there
//!   is no voice, or for one second even with one, or if they lie far above it.
//! - Noise is also what the frame's own detector is certain not to be speech.
//! - A bin whose smoothed power is below half of the estimate has less noise than that.
//!
//! In frames that are certainly speech the estimate moves a quarter as fast, except in bins whose lowest power in the
//! last 300 to 600 ms is well above it.
//!
//! Values are the power of a bin of a windowed spectrum. The cost is 15 operations and one power of two for each bin.

use super::bands::{BANDS, Bands};
use super::level::Level;
use crate::arithmetic::{db, exp2, max, min, total};

/// The a-priori SNR of speech where it's present: 15 dB.
const PRIOR: f32 = 31.622_776;
/// A power over the noise beyond this says nothing more.
const MOST_OVER: f32 = 200.0;
/// A power over the noise that moves the estimate as much as any larger one: clean speech must not leak into it.
const MOST_LEAK: f32 = 30.0;
/// Blocks at the beginning that are taken for noise, whatever they are.
const BEGINNING: u32 = 8;
/// Blocks in which bands that stand still become noise, by how much they may move, and how many of them must.
const STILL_BLOCKS: usize = 30;
const STILL_DB: f32 = 4.5;
const STILL_BANDS: f32 = 0.75;
/// How far above the estimate they must lie.
const STILL_ABOVE_DB: f32 = 2.0;
/// How far while there is a voice, blocks since the last one after which there is none, and blocks of stillness that no voice
/// has.
const STILL_IN_VOICE_DB: f32 = 4.0;
const VOICELESS: u32 = 10;
const NO_VOICE: u32 = 70;
/// Blocks of which the least power is kept, and how far it must lie above the estimate for that to be too low.
const LEAST_BLOCKS: u32 = 30;
const TOO_LOW: f32 = 1.5;
/// How far a smoothed bin must lie below the estimate for that to be too high, and the share of the way down in a block.
const TOO_HIGH: f32 = 0.5;
const FALL: f32 = 0.15;
/// Noise of -70 dBov, as a share of the square of the number of bins. Quieter noise is left alone, as nobody hears it.
const QUIET: f32 = 1e-7;
/// A band is no louder than so many times its last block.
const RINGING: f32 = 1.5;
/// How fast a bin's estimate moves: in a pause, and by how much less in speech.
const RATE: f32 = 0.1;
const LESS_RATE: f32 = 0.075;
/// The share of the way that the estimate goes in a block by either rule.
const STEP: f32 = 0.3;
/// Speech less likely than this is none.
const NO_SPEECH: f32 = 0.1;
/// Below all that a converter could make.
const LEAST: f32 = 1e-12;

/// Probability of speech where the power is this multiple of the noise's.
#[inline(always)]
pub(super) fn likely(over: f32) -> f32 {
    // Of the likelihood ratio, in octaves.
    const SLOPE: f32 = -PRIOR / (1.0 + PRIOR) * core::f32::consts::LOG2_E;
    1.0 / (1.0 + (1.0 + PRIOR) * exp2(min(over, MOST_OVER) * SLOPE))
}

/// How fast the estimate moves in a block that is so surely speech: what is left of speech in bins that seem to be noise
/// adds up over a long one.
#[inline(always)]
pub(super) fn rate(speech: f32) -> f32 {
    RATE - LESS_RATE * speech
}

/// The estimate.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoiseFloor<const H: usize> {
    power: [f32; H],
    presence: [f32; H],
    smooth: [f32; H],
    /// The least of it in these blocks, and in the ones before.
    least: [[f32; H]; 2],
    bands: [f32; BANDS],
    level: Level,
    levels_db: [[f32; BANDS]; STILL_BLOCKS],
    /// Blocks of bands that stand still, in a row.
    still: u32,
    blocks: u32,
}

impl<const H: usize> NoiseFloor<H> {
    pub(super) const NEW: Self = Self {
        power: [LEAST; H],
        presence: [0.5; H],
        smooth: [0.0; H],
        least: [[f32::MAX; H]; 2],
        bands: [0.0; BANDS],
        level: Level::NEW,
        levels_db: [[0.0; BANDS]; STILL_BLOCKS],
        still: 0,
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

    /// Takes in a block: powers of its bins, of them smoothed over three neighbours, and of its bands; and what was known of
    /// the block before: how surely it was speech, and blocks since the last voice.
    pub(super) fn hear(
        &mut self,
        power: &[f32; H],
        even: &[f32; H],
        heard: &[f32; BANDS],
        speech: f32,
        voiceless: u32,
    ) {
        if self.blocks < BEGINNING {
            let before = self.blocks as f32;
            for (noise, now) in self.power.iter_mut().zip(power) {
                *noise = (*noise * before + now) / (before + 1.0) + LEAST;
            }
            if self.blocks == 0 {
                self.smooth = *power;
            }
        }
        if self.blocks.is_multiple_of(LEAST_BLOCKS) {
            self.least = [self.smooth, self.least[0]];
        }
        // Without a branch, so that neighbours are computed together.
        let too_low = if self.blocks > 2 * LEAST_BLOCKS { TOO_LOW } else { f32::MAX };
        let slow = rate(speech);
        let mut likelihoods = [0.0; H];
        for ((likely_now, even), noise) in likelihoods.iter_mut().zip(even).zip(&self.power) {
            *likely_now = likely(even / noise);
        }
        let [now, before] = &mut self.least;
        for k in 0..H {
            let noise = self.power[k];
            let likely = likelihoods[k];
            let presence = 0.9 * self.presence[k] + 0.1 * likely;
            self.presence[k] = presence;
            // A bin that seems to be speech for long must not stay so for ever.
            let likely = if presence > 0.99 { min(likely, 0.99) } else { likely };
            let smooth = 0.85 * self.smooth[k] + 0.15 * power[k];
            now[k] = min(now[k], smooth);
            let rate = if min(now[k], before[k]) > too_low * noise { RATE } else { slow };
            self.power[k] = noise + rate * (1.0 - likely) * (min(power[k], MOST_LEAK * noise) - noise);
            if smooth < TOO_HIGH * self.power[k] {
                self.power[k] += FALL * (smooth - self.power[k]);
            }
            self.smooth[k] = smooth;
        }
        self.follow_bands(heard, voiceless);
        self.blocks = self.blocks.saturating_add(1);
    }

    /// What bands tell together: how loud all noise is, and that bands that stand still above the estimate are noise.
    fn follow_bands(&mut self, heard: &[f32; BANDS], voiceless: u32) {
        let noise = Bands::<H>::sums(&self.power);
        let mut over = [0.0; BANDS];
        for band in 0..Bands::<H>::COUNT {
            self.bands[band] = 0.7 * self.bands[band] + 0.3 * heard[band];
            // The smoothed band falls too slowly behind a click.
            over[band] = min(self.bands[band], RINGING * heard[band]) / (noise[band] + LEAST);
        }
        let audible = self.has_begun() && total(&noise) > QUIET * (H * H) as f32;
        let factor = if audible { self.level.factor(&over[..Bands::<H>::COUNT], voiceless) } else { 1.0 };
        if factor != 1.0 {
            self.power.iter_mut().for_each(|noise| *noise *= factor);
        }
        let row = self.blocks as usize % STILL_BLOCKS;
        let mut above_db = 0.0;
        for (band, noise) in noise.iter().enumerate().take(Bands::<H>::COUNT) {
            let level_db = db(self.bands[band] + LEAST);
            self.levels_db[row][band] = level_db;
            above_db += level_db - db(factor * noise + LEAST);
        }
        if self.blocks < STILL_BLOCKS as u32 || above_db <= STILL_ABOVE_DB * Bands::<H>::COUNT as f32 {
            self.still = 0;
            return;
        }
        let (mut least, mut most) = ([f32::MAX; BANDS], [f32::MIN; BANDS]);
        for row in &self.levels_db {
            for band in 0..BANDS {
                least[band] = min(least[band], row[band]);
                most[band] = max(most[band], row[band]);
            }
        }
        let still = (0..Bands::<H>::COUNT).filter(|&band| most[band] - least[band] < STILL_DB).count();
        if (still as f32) < STILL_BANDS * Bands::<H>::COUNT as f32 {
            self.still = 0;
            return;
        }
        self.still = self.still.saturating_add(1);
        // A vowel in loud noise stands still, too, but never so long.
        let far = above_db > STILL_IN_VOICE_DB * Bands::<H>::COUNT as f32;
        if far || voiceless > VOICELESS || self.still > NO_VOICE {
            for (noise, smooth) in self.power.iter_mut().zip(&self.smooth) {
                *noise += STEP * max(smooth - *noise, 0.0);
            }
        }
    }

    /// What was heard holds speech so surely: where it doesn't, the estimate rises to it.
    pub(super) fn follow(&mut self, power: &[f32; H], speech: f32) {
        if speech < NO_SPEECH && self.has_begun() {
            let step = STEP * (1.0 - speech / NO_SPEECH);
            for (noise, now) in self.power.iter_mut().zip(power) {
                *noise += step * max(now - *noise, 0.0);
            }
        }
    }
}

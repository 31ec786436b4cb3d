//! Whether a frame is speech, by its harmonics and by how likely its bands are noise; and clicks, of keys, mice and
//! dishes.
//!
//! Harmonicity is the largest peak, at the pitches of voices, of the autocorrelation of the compressed enhanced
//! spectrum, relative to that of the window: 0.08 in noise, 0.15 to 0.3 in voices. Likelihood is the mean ratio over
//! the bands (Sohn, Kim and Sung, 1999). Both together are log odds.
//!
//! A click is one to six blocks of likely speech between silence, without a voice for 150 ms. Number and level of
//! clicks are learned in pauses. If there are many, the likelihood counts for less, and least where no voice was heard
//! for 150 ms; pauses become quieter; and within speech, a simultaneous rise of most bands that is no louder than the
//! clicks were is held down.
//!
//! There is no delay. The cost is one cosine transform in every second block, and a power and a logarithm for each bin
//! below 4 kHz.

use super::bands::{BANDS, Bands, Windows};
use super::cosines::even_spectrum;
use super::gain::MOST_OVER;
use crate::arithmetic::{exp2, log2, max, min, total};

/// Bins of the harmonics: 94 Hz to 4 kHz.
const HARMONICS: core::ops::Range<usize> = 3..128;
/// Clicks are looked for above 875 Hz.
const CLICKS_FROM: usize = 28;
/// Harmonicity of a voice.
const VOICED: f32 = 0.11;
/// Likelihood of speech in a block, above and below.
const LIKELY: f32 = 1.0;
const UNLIKELY: f32 = 0.5;
/// How much faster the share of the speech's gain rises with the log odds than their probability, and where it is a half.
const STEEPER: f32 = 2.0;
const HARDER: f32 = 0.5;
/// Most blocks of a click, as many as windows have a part of 30 ms, and blocks without a voice around it.
const CLICK_BLOCKS: u32 = 6;
const VOICELESS: u32 = 15;
/// Factor of the likelihood in unvoiced frames, once clicks are known, as an unvoiced frame may be one of them.
const UNVOICED: f32 = 0.7;
/// Blocks at the beginning in which no click counts.
const BEGINNING: u32 = 50;
/// As many learned clicks as take effect.
const MANY: f32 = 0.6;

/// What is known of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpeechPresence {
    /// The log odds that it is speech.
    pub(super) log_odds: f32,
    /// How surely it is speech, 0 to 1; it falls by at most a tenth a block.
    pub(super) speech: f32,
    /// The share of the gain of speech in the frame's, and not that of pauses: as `speech`, but with a steeper rise, so that
    /// pauses are pauses and no speech is half of one.
    pub(super) share: f32,
    /// Whether there are clicks, so that pauses are to be quieter.
    pub(super) clicks: bool,
    /// Whether there is one in it, perhaps within speech.
    pub(super) click: bool,
}

/// An unlikely burst that may become a click.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Burst {
    /// There is none.
    None,
    /// The number of blocks that it has lasted, and the level of the loudest one.
    Blocks(u32, f32),
    /// It is a voice.
    Voice,
}

/// The detector.
#[derive(Clone, Copy, Debug)]
pub(super) struct Presence<const B: usize, const H: usize> {
    harmonicity: f32,
    likelihood: f32,
    speech: f32,
    share: f32,
    /// Blocks since the last voice.
    voiceless: u32,
    burst: Burst,
    /// Number and level of recent clicks.
    count: f32,
    level: f32,
    /// Bands, smoothed.
    bands: [f32; BANDS],
    blocks: u32,
}

impl<const B: usize, const H: usize> Presence<B, H> {
    pub(super) const NEW: Self = Self {
        harmonicity: 0.0,
        likelihood: 0.0,
        speech: 0.0,
        share: 0.0,
        voiceless: 0,
        burst: Burst::None,
        count: 0.0,
        level: 0.0,
        bands: [1e-3; BANDS],
        blocks: 0,
    };

    /// The share of the speech's gain in the last frame.
    pub(super) fn share(&self) -> f32 {
        self.share
    }

    /// Blocks since the last voice.
    pub(super) fn voiceless(&self) -> u32 {
        self.voiceless
    }

    /// Looks at a block: powers of bins and bands, the noise's bands, and the power behind the gain over the noise.
    pub(super) fn look(
        &mut self,
        power: &[f32; H],
        heard: &[f32; BANDS],
        noise: &[f32; BANDS],
        over: &[f32; H],
    ) -> SpeechPresence {
        // Each second block, in turn with the cepstrum.
        if !self.blocks.is_multiple_of(2) {
            self.harmonicity = 0.72 * self.harmonicity + 0.28 * harmonicity::<B, H>(over);
        }
        let (mut likelihood, mut risen, mut high) = (0.0, 0, 0);
        for band in 0..Bands::<H>::COUNT {
            let over = heard[band] / (noise[band] + 1e-12);
            if over > 1.0 {
                likelihood += min(over - 1.0 - core::f32::consts::LN_2 * log2(min(over, 1e9)), 8.0);
            }
            if Bands::<H>::range(band).start >= CLICKS_FROM {
                high += 1;
                risen += u32::from(heard[band] > 4.0 * self.bands[band]);
            }
            let last = self.bands[band];
            self.bands[band] = 0.5 * last + 0.5 * min(heard[band], 2.0 * last + 1e-9);
        }
        likelihood /= Bands::<H>::COUNT as f32;
        self.likelihood = 0.6 * self.likelihood + 0.4 * likelihood;
        let energy = total(&power[CLICKS_FROM..H - 1]);
        self.learn_clicks(likelihood, energy);
        let known = (2.0 * self.count).min(1.0);
        let unvoiced = if self.voiceless > VOICELESS { UNVOICED * known } else { 0.0 };
        let weight = 1.0 + 1.2 * (1.0 - known) - unvoiced;
        let log_odds = (48.0 * self.harmonicity + weight * libm::sqrtf(self.likelihood) - 5.5).clamp(-20.0, 20.0);
        let now = 1.0 / (1.0 + exp2(-core::f32::consts::LOG2_E * log_odds));
        self.speech = now.max(0.9 * self.speech);
        let share = 1.0 / (1.0 + exp2(-core::f32::consts::LOG2_E * STEEPER * (log_odds - HARDER)));
        self.share = share.max(0.9 * self.share);
        self.blocks = self.blocks.saturating_add(1);
        let clicks = known > MANY;
        let click = clicks && risen as f32 >= 0.7 * high as f32 && energy < 4.0 * self.level;
        SpeechPresence { log_odds, speech: self.speech, share: self.share, clicks, click }
    }

    fn learn_clicks(&mut self, likelihood: f32, energy: f32) {
        self.voiceless = if self.harmonicity > VOICED { 0 } else { self.voiceless.saturating_add(1) };
        let voiceless = self.voiceless > VOICELESS;
        if likelihood > LIKELY {
            self.burst = match self.burst {
                _ if !voiceless => Burst::Voice,
                Burst::None => Burst::Blocks(1, energy),
                Burst::Blocks(blocks, loudest) => Burst::Blocks(blocks.saturating_add(1), loudest.max(energy)),
                Burst::Voice => Burst::Voice,
            };
        } else if likelihood < UNLIKELY {
            if let Burst::Blocks(1..=CLICK_BLOCKS, loudest) = self.burst
                && voiceless
                && self.blocks > BEGINNING
            {
                self.count = (self.count + 0.2).min(1.5);
                let learned = (0.7 * self.level + 0.3 * loudest).max(loudest.min(2.0 * self.level));
                self.level = if self.count < 0.3 { loudest } else { learned };
            }
            self.burst = Burst::None;
        }
        self.count *= 0.998;
    }
}

/// How periodic a block is at the pitches of voices, 80 to 400 Hz.
fn harmonicity<const B: usize, const H: usize>(over: &[f32; H]) -> f32 {
    let mut compressed = [0.0; H];
    for (compressed, over) in compressed[HARMONICS].iter_mut().zip(&over[HARMONICS]) {
        *compressed = exp2(0.3 * log2(over.clamp(1e-12, MOST_OVER)));
    }
    let whole = total(&compressed) + 1e-9;
    let (correlation, _) = even_spectrum(&compressed, 0.0);
    let pitches = B / 4..=B + B / 4;
    let lags = correlation[pitches.clone()].iter().zip(&Windows::<B, H>::UNBIASED[pitches]);
    // The spectrum's other half counts, too.
    lags.fold(0.0f32, |most, (lag, factor)| max(lag * factor, most)) / (2.0 * whole)
}

//! The gain of each bin: the a-priori SNR from two estimators, and the log-spectral amplitude estimator.
//!
//! The SNR is a weighted geometric mean of two estimates. One, with a weight of 0.15, is smoothed over time in the
//! cepstrum, where speech is in few coefficients and noise in all of them (Breithaupt, Gerkmann and Martin, 2008); it
//! keeps harmonics, and sounds musical. The other, with a weight of 0.85, is decision-directed (Ephraim and Malah,
//! 1984), and the weight of new values grows with the gain (Valin, 2007); it is even and dull. The gain is that of the
//! log-spectral amplitude (Ephraim and Malah, 1985).
//!
//! There is no delay; the envelope may be that of the block before. The cost is two cosine transforms, and one
//! logarithm for each bin, in every second block, and 40 operations, a logarithm and a power of two for each bin.

use super::cosines::even_spectrum;
use crate::arithmetic::{exp2, log2, max, min};

/// Factors by which the noise is overestimated: in pauses, where its peaks must not be heard, and in speech.
const OVER: [f32; 2] = [1.6, 1.15];
/// The least a-priori SNR, -25 dB, and the largest that is told apart.
pub(super) const LEAST: f32 = 3.162_277_7e-3;
const MOST: f32 = 1e6;
/// The largest power over the noise that is told apart: harmonics must stand out in the cleanest speech.
pub(super) const MOST_OVER: f32 = 1e8;
/// A cepstral peak of a voice, in octaves of power.
const PEAK: f32 = 0.288_539;
/// What smoothing logarithms takes off the mean, in octaves: 0.29 in natural ones.
const BIAS: f32 = 0.418_382;
/// The cepstral estimate's share of the a-priori SNR, in octaves.
const CEPSTRAL: f32 = 0.15;
/// How much of the old the cepstrum keeps: of the envelope, of what is between, of the rest.
const KEPT: [f32; 3] = [0.15, 0.35, 0.9];

/// What a block became.
#[derive(Clone, Copy, Debug)]
pub(super) struct Enhanced<const H: usize> {
    /// The power gain of each bin.
    pub(super) gain: [f32; H],
    /// Its power by that gain, over the noise's.
    pub(super) over: [f32; H],
}

/// The estimators' memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpeechGain<const H: usize> {
    /// The last block's power behind the gain.
    last: [f32; H],
    kept: [f32; H],
    cepstrum: [f32; H],
    /// The cepstrum's last value, at `H`.
    end: f32,
    /// The speech's power by it, of this block or the one before.
    smooth: [f32; H],
    odd: bool,
}

/// How much more than it is the noise is taken for, where the block before was so surely speech.
#[inline(always)]
pub(super) fn over(speech: f32) -> f32 {
    OVER[0] + (OVER[1] - OVER[0]) * speech
}

/// `v` exp(E1(`v`)), where E1 is the exponential integral, within 1.2e-4 of it: `v` and what is left, a fit over 0 to 25.
#[inline(always)]
pub(super) fn log_amplitude(v: f32) -> f32 {
    let rest =
        1.0 + v * (0.784_954_5 + v * (0.327_309_5 + v * (0.189_126_47 + v * (-0.035_581_68 + v * 0.024_075_817))));
    v + 0.561_459_5 / rest
}

impl<const H: usize> SpeechGain<H> {
    pub(super) const NEW: Self =
        Self { last: [0.0; H], kept: [0.0; H], cepstrum: [0.0; H], end: 0.0, smooth: [0.0; H], odd: false };

    /// Quefrencies are samples at a rate of `2 * H` bins of 31.25 Hz.
    const MS: usize = H / 16;

    /// Looks at the envelope, each second block.
    fn envelope(&mut self, power: &[f32; H], noise: &[f32; H], more: f32) {
        self.odd = !self.odd;
        if !self.odd {
            return;
        }
        let mut octaves = [0.0; H];
        for k in 0..H {
            let n = more * noise[k];
            octaves[k] = log2(max(power[k] - n, LEAST * n) + 1e-14);
        }
        // Half the sample rate has no power of its own here: its neighbour's.
        let (mut cepstrum, mut end) = even_spectrum(&octaves, octaves[H - 1]);
        cepstrum.iter_mut().for_each(|lag| *lag *= 0.5 / H as f32);
        end *= 0.5 / H as f32;
        self.smooth(&cepstrum);
        self.end = end + KEPT[2] * (self.end - end);
        let (smooth, _) = even_spectrum(&self.cepstrum, self.end);
        for (envelope, octaves) in self.smooth.iter_mut().zip(smooth) {
            *envelope = exp2(octaves + BIAS);
        }
    }

    /// Gains of a block, where the one before was so surely speech. Everything is power.
    pub(super) fn enhance(&mut self, power: &[f32; H], noise: &[f32; H], speech: f32) -> Enhanced<H> {
        let more = over(speech);
        self.envelope(power, noise, more);
        let mut enhanced = Enhanced { gain: [0.0; H], over: [0.0; H] };
        for k in 0..H {
            let n = more * noise[k];
            let part = 1.0 / n;
            let over = min(power[k] * part, MOST_OVER);
            let before = self.last[k];
            let trust = before / (before + n);
            let new = 0.06 + 0.8 * trust * trust;
            let directed = (1.0 - new) * before * part + new * max(over - 1.0, 0.0);
            let cepstral = self.smooth[k] * part;
            let (cepstral, directed) = (cepstral.clamp(LEAST, MOST), directed.clamp(LEAST, MOST));
            let prior = directed * exp2(CEPSTRAL * log2(cepstral / directed));
            let wiener = prior / (1.0 + prior);
            let kept = min(wiener * log_amplitude(over * wiener), over);
            let gain = min(kept / over, 1.0);
            self.last[k] = gain * power[k];
            enhanced.gain[k] = gain;
            enhanced.over[k] = kept;
        }
        enhanced
    }

    /// Smooths the cepstrum: the envelope hardly, the voice's peak hardly, all else much.
    fn smooth(&mut self, cepstrum: &[f32; H]) {
        let pitch = 19 * Self::MS / 8..25 * Self::MS / 2;
        let (mut peak, mut most) = (0, PEAK);
        for lag in pitch {
            if cepstrum[lag] > most {
                (peak, most) = (lag, cepstrum[lag]);
            }
        }
        let (envelope, between) = (3 * Self::MS / 8, 5 * Self::MS / 2);
        for (lags, kept) in [0..envelope, envelope..between, between..H].into_iter().zip(KEPT) {
            self.kept[lags].iter_mut().for_each(|now| *now = 0.9 * *now + 0.1 * kept);
        }
        if peak > 0 {
            self.kept[peak - 2..=peak + 2].fill(KEPT[0]);
        }
        for ((smooth, kept), now) in self.cepstrum.iter_mut().zip(&self.kept).zip(cepstrum) {
            *smooth = now + kept * (*smooth - now);
        }
    }
}

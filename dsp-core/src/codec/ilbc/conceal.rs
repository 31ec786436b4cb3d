//! Concealment of lost frames in the residual (RFC 3951, 4.5; A.14): the last pitch periods again, mixed with noise the
//! more the less they repeated, fading away. The synthesis filter stays that of the last sub-block.

use super::filter::{dot, energy};
use super::{BLOCKL_MAX, IlbcMode};

/// Samples of residual whose correlation tells the pitch.
const SPAN: usize = 60;

/// What a run of lost frames needs to know.
#[derive(Clone, Debug)]
pub(super) struct IlbcConcealer {
    /// Pitch lag of the run, samples.
    lag: usize,
    /// How much the residual before the run repeated, 0 to 1.
    periodicity: f32,
    /// Samples of the run so far.
    lost: usize,
    seed: u32,
}

impl IlbcConcealer {
    pub(super) const fn new() -> Self {
        Self { lag: 120, periodicity: 0.0, lost: 0, seed: 777 }
    }

    /// A frame was received: what run there was is over.
    pub(super) fn received(&mut self) {
        self.lost = 0;
    }

    /// The residual of a lost frame, from that of the frame before, `previous`, and its pitch lag, 20 to 118.
    pub(super) fn conceal(&mut self, mode: IlbcMode, previous: &[f32], pitch: usize, out: &mut [f32; BLOCKL_MAX]) {
        let samples = mode.samples();
        if self.lost == 0 {
            self.find_lag(previous, pitch);
        }
        self.lost = (self.lost + samples).min(1 << 16);
        // Reached in the order of the text: a run fades more the longer it lasts.
        let gain = match self.lost {
            0..=320 => 1.0,
            321..=640 => 0.9,
            641..=960 => 0.7,
            961..=1280 => 0.5,
            _ => 0.0,
        };
        let voiced = ((libm::sqrtf(self.periodicity) - 0.4) / (0.7 - 0.4)).clamp(0.0, 1.0);
        // Two short periods sound less like a buzz than one.
        let lag = if self.lag < 80 { 2 * self.lag } else { self.lag };

        let mut noise = [0.0; BLOCKL_MAX];
        let mut sum = 0.0;
        for i in 0..samples {
            self.seed = self.seed.wrapping_mul(69_069).wrapping_add(1) & 0x7fff_ffff;
            let back = 50 + (self.seed % 70) as usize;
            noise[i] = if i < back { previous[samples + i - back] } else { noise[i - back] };
            let repeated = if i < lag { previous[samples + i - lag] } else { out[i - lag] };
            let gain = match i {
                0..80 => gain,
                80..160 => 0.95 * gain,
                _ => 0.9 * gain,
            };
            out[i] = gain * (voiced * repeated + (1.0 - voiced) * noise[i]);
            sum += out[i] * out[i];
        }
        // Below 30 rms, noise alone.
        if sum < 900.0 * samples as f32 {
            for (out, noise) in out[..samples].iter_mut().zip(&noise) {
                *out = gain * noise;
            }
        }
    }

    /// The lag within 3 samples of `pitch` at which the end of `residual` repeats best.
    fn find_lag(&mut self, residual: &[f32], pitch: usize) {
        let mut most = -1.0;
        for lag in pitch - 3..=pitch + 3 {
            let span = SPAN.min(residual.len() - lag);
            let end = &residual[residual.len() - span..];
            let before = &residual[residual.len() - span - lag..residual.len() - lag];
            let (product, energy_before, energy_end) = (dot(end, before), energy(before), energy(end));
            let measure = if energy_before > 0.0 { product * product / energy_before } else { 0.0 };
            if measure > most {
                most = measure;
                self.lag = lag;
                let norm = libm::sqrtf(energy_before) * libm::sqrtf(energy_end);
                self.periodicity = if norm > 0.0 { (product.abs() / norm).min(1.0) } else { 0.0 };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn a_periodic_residual_goes_on() {
        let period = 50;
        let residual: Vec<f32> = (0..160).map(|i| if i % period == 0 { 4000.0 } else { 0.0 }).collect();
        let mut concealer = IlbcConcealer::new();
        let mut out = [0.0; BLOCKL_MAX];
        concealer.conceal(IlbcMode::Ms20, &residual, 52, &mut out);
        for (i, &x) in out[..160].iter().enumerate() {
            let gain = if i < 80 { 1.0 } else { 0.95 };
            // Two periods repeat, so the second time they are scaled again.
            let expected = if (i + 160) % period == 0 { 4000.0 * gain } else { 0.0 };
            assert!((x - expected).abs() < 250.0, "{i}: {x}");
        }
    }

    #[test]
    fn a_long_loss_becomes_silence() {
        for mode in [IlbcMode::Ms20, IlbcMode::Ms30] {
            let mut residual: Vec<f32> = (0..mode.samples()).map(|i| ((i * i) % 997) as f32 - 498.0).collect();
            let mut concealer = IlbcConcealer::new();
            let mut out = [0.0; BLOCKL_MAX];
            let mut last = f32::MAX;
            for frame in 0..12 {
                concealer.conceal(mode, &residual, 40, &mut out);
                residual.copy_from_slice(&out[..mode.samples()]);
                if frame % 4 == 3 {
                    let now = energy(&residual);
                    assert!(now < last || now == 0.0, "{frame}");
                    last = now;
                }
            }
            assert_eq!(last, 0.0);
        }
    }
}

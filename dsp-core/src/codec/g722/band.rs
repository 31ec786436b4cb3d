//! The two ADPCM coders of ITU-T G.722 (clause 6.2): the lower band with 6 bits for each sample, of which 4 adapt it,
//! and the higher band with 2 bits.
//!
//! A quantiser compares the difference with all levels at once (29 comparisons without branches: QUANTL's search), or
//! in five steps if the processor has no vector unit. A step size is computed from the integer and the fraction of its
//! logarithm with a table of 32 powers, without division.
//!
//! Signals have 15 bits in 16 (-16384 to 16383); the logarithm of the step size is Q11, base 2. The state takes 92
//! bytes for each band.

use super::Mode;
use super::predictor::BandPredictor;
use super::qmf::{Band, limit, saturate};
use super::tables::{
    GROWTH_2, GROWTH_4, INVERSE_LOG, LEVEL_2, LEVELS, LEVELS_6, OUTPUTS_2, OUTPUTS_4, OUTPUTS_5, OUTPUTS_6,
};

/// Step size (DETL, DETH) and its logarithm (NBL, NBH).
#[derive(Clone, Debug)]
struct Scale<const LARGEST: i32, const SHIFT: u32> {
    logarithm: i32,
    step: i32,
}

impl<const LARGEST: i32, const SHIFT: u32> Scale<LARGEST, SHIFT> {
    const fn new() -> Self {
        Self { logarithm: 0, step: step_size::<SHIFT>(0) }
    }

    /// LOGSCL and SCALEL, or LOGSCH and SCALEH.
    #[inline(always)]
    fn update(&mut self, growth: i16) {
        self.logarithm = (((self.logarithm * 127) >> 7) + i32::from(growth)).clamp(0, LARGEST);
        self.step = step_size::<SHIFT>(self.logarithm);
    }

    /// Goes back to the state `before`, since what was followed after it was only an estimate. The step size is the
    /// one of that time too, unless the next growths suggest less than half of it: otherwise a sound that ended during
    /// the loss would end in a burst.
    fn recall(&mut self, before: &Self, growths: impl Iterator<Item = i16>) {
        self.logarithm = before.logarithm.min(expected_logarithm(growths) + OCTAVE).clamp(0, LARGEST);
        self.step = step_size::<SHIFT>(self.logarithm);
    }
}

/// Twice the step size, in its logarithm.
const OCTAVE: i32 = 2048;

/// What the logarithm of the step size was before these growths, if it did not change much over them: the recursion's
/// own share in the growths' weighted sum makes up the rest.
fn expected_logarithm(growths: impl Iterator<Item = i16>) -> i32 {
    let (mut logarithm, mut forgotten) = (0, 1 << 15);
    for growth in growths.take(160) {
        logarithm = ((logarithm * 127) >> 7) + i32::from(growth);
        forgotten = (forgotten * 127) >> 7;
    }
    // At most 160 growths of 3042.
    ((i64::from(logarithm) << 15) / i64::from(((1 << 15) - forgotten).max(1))) as i32
}

const fn step_size<const SHIFT: u32>(logarithm: i32) -> i32 {
    let fraction = INVERSE_LOG[((logarithm >> 6) & 31) as usize] as i32;
    ((fraction << (logarithm >> 11)) >> SHIFT) << 2
}

/// A fraction of the step size in Q15 to a difference.
#[inline(always)]
fn scaled(fraction: i16, step: i32) -> i16 {
    // |fraction| < 1 and the step is at most 16384.
    ((i32::from(fraction) * step) >> 15) as i16
}

/// Coder of the lower band.
#[derive(Clone, Debug)]
pub(super) struct Lower {
    predictor: BandPredictor,
    scale: Scale<18432, 8>,
}

impl Lower {
    pub(super) const fn new() -> Self {
        Self { predictor: BandPredictor::new(), scale: Scale::new() }
    }

    /// One sample to the 6 bits of IL.
    #[inline(always)]
    pub(super) fn encode(&mut self, sample: i16) -> u8 {
        let code = self.code(sample);
        self.adapt(code);
        code
    }

    /// One sample to what decoding its 6 bits gives.
    pub(super) fn follow(&mut self, sample: i16) -> i16 {
        self.decode(self.code(sample), Mode::Kbps64)
    }

    /// SUBTRA, QUANTL.
    #[inline(always)]
    fn code(&self, sample: i16) -> u8 {
        let difference = saturate(i32::from(sample) - self.predictor.prediction());
        let sign = difference >> 15;
        let magnitude = quantise(difference ^ sign, self.scale.step as u16);
        if sign == 0 {
            61 - magnitude
        } else if magnitude < 2 {
            63 - magnitude
        } else {
            33 - magnitude
        }
    }

    /// The 6 bits of IL to one sample; the mode says how many of them are sound.
    #[inline(always)]
    pub(super) fn decode(&mut self, code: u8, mode: Mode) -> i16 {
        let fraction = match mode {
            Mode::Kbps64 => OUTPUTS_6[usize::from(code & 63)],
            Mode::Kbps56 => OUTPUTS_5[usize::from((code >> 1) & 31)],
            Mode::Kbps48 => OUTPUTS_4[usize::from((code >> 2) & 15)],
        };
        let sample = limit(self.predictor.prediction() + i32::from(scaled(fraction, self.scale.step)));
        self.adapt(code);
        sample
    }

    /// Codes each sample into the lower six bits of an octet.
    #[inline(never)]
    pub(super) fn encode_block(&mut self, samples: &Band, octets: &mut [u8]) {
        // A copy lives in registers as far as there are any; `self` would be written to memory after each sample.
        let mut band = self.clone();
        for (octet, &sample) in octets.iter_mut().zip(samples) {
            *octet |= band.encode(sample);
        }
        *self = band;
    }

    /// Decodes the lower six bits of each octet.
    #[inline(never)]
    pub(super) fn decode_block(&mut self, octets: &[u8], mode: Mode, samples: &mut Band) {
        let mut band = self.clone();
        for (sample, &octet) in samples.iter_mut().zip(octets) {
            *sample = band.decode(octet, mode);
        }
        *self = band;
    }

    /// As [`follow`](Self::follow), for each of so many samples.
    #[inline(never)]
    pub(super) fn follow_block(&mut self, samples: &mut [i16]) {
        let mut band = self.clone();
        for sample in samples {
            *sample = band.follow(*sample);
        }
        *self = band;
    }

    /// Goes back to `before` a loss, with a look at the octets behind it.
    pub(super) fn recall(&mut self, before: &Self, next: &[u8]) {
        self.scale.recall(&before.scale, next.iter().map(|&octet| GROWTH_4[usize::from((octet >> 2) & 15)]));
        self.predictor.recall(&before.predictor);
    }

    #[inline(always)]
    fn adapt(&mut self, code: u8) {
        let coarse = usize::from((code >> 2) & 15);
        let difference = scaled(OUTPUTS_4[coarse], self.scale.step);
        self.scale.update(GROWTH_4[coarse]);
        self.predictor.update(difference);
    }
}

/// Coder of the higher band.
#[derive(Clone, Debug)]
pub(super) struct Higher {
    predictor: BandPredictor,
    scale: Scale<22528, 10>,
}

impl Higher {
    pub(super) const fn new() -> Self {
        Self { predictor: BandPredictor::new(), scale: Scale::new() }
    }

    /// One sample to the 2 bits of IH.
    #[inline(always)]
    pub(super) fn encode(&mut self, sample: i16) -> u8 {
        let code = self.code(sample);
        self.decode(code);
        code
    }

    /// One sample to what decoding its 2 bits gives.
    pub(super) fn follow(&mut self, sample: i16) -> i16 {
        self.decode(self.code(sample))
    }

    /// SUBTRA, QUANTH.
    #[inline(always)]
    fn code(&self, sample: i16) -> u8 {
        let difference = i32::from(saturate(i32::from(sample) - self.predictor.prediction()));
        let sign = difference >> 31;
        let large = (difference ^ sign) >= (LEVEL_2 * self.scale.step) >> 12;
        // 3 and 2 for small and large positive differences, 1 and 0 for negative ones.
        (3 + 2 * sign) as u8 - large as u8
    }

    /// Codes each sample into the upper two bits of an octet, which is overwritten.
    #[inline(never)]
    pub(super) fn encode_block(&mut self, samples: &Band, octets: &mut [u8]) {
        let mut band = self.clone();
        for (octet, &sample) in octets.iter_mut().zip(samples) {
            *octet = band.encode(sample) << 6;
        }
        *self = band;
    }

    /// Decodes the upper two bits of each octet.
    #[inline(never)]
    pub(super) fn decode_block(&mut self, octets: &[u8], samples: &mut Band) {
        let mut band = self.clone();
        for (sample, &octet) in samples.iter_mut().zip(octets) {
            *sample = band.decode(octet >> 6);
        }
        *self = band;
    }

    /// As [`follow`](Self::follow), for each of so many samples.
    #[inline(never)]
    pub(super) fn follow_block(&mut self, samples: &mut [i16]) {
        let mut band = self.clone();
        for sample in samples {
            *sample = band.follow(*sample);
        }
        *self = band;
    }

    /// Goes back to `before` a loss, with a look at the octets behind it.
    pub(super) fn recall(&mut self, before: &Self, next: &[u8]) {
        self.scale.recall(&before.scale, next.iter().map(|&octet| GROWTH_2[usize::from(octet >> 6)]));
        self.predictor.recall(&before.predictor);
    }

    /// The 2 bits of IH to one sample.
    #[inline(always)]
    pub(super) fn decode(&mut self, code: u8) -> i16 {
        let code = usize::from(code & 3);
        let difference = scaled(OUTPUTS_2[code], self.scale.step);
        let sample = limit(self.predictor.prediction() + i32::from(difference));
        self.scale.update(GROWTH_2[code]);
        self.predictor.update(difference);
        sample
    }
}

/// QUANTL: how many decision levels `magnitude` reaches, 0 to 29.
#[inline(always)]
fn quantise(magnitude: i16, step: u16) -> u8 {
    if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
        quantise_at_once(magnitude, step)
    } else {
        quantise_in_steps(magnitude, step)
    }
}

/// Level `i` for this step size: at most 2919/4096 of 16384.
#[inline(always)]
fn level(i: usize, step: u16) -> i16 {
    ((u32::from(LEVELS_6[i] << 4) * u32::from(step)) >> 16) as i16
}

/// All comparisons at once.
#[inline(always)]
fn quantise_at_once(magnitude: i16, step: u16) -> u8 {
    let mut reached = 0i16;
    for i in 0..32 {
        reached += i16::from(magnitude >= level(i, step));
    }
    // The three places behind the last level are always reached.
    reached as u8 - (32 - LEVELS as u8)
}

/// Five comparisons, each of which halves what is left.
#[inline(always)]
fn quantise_in_steps(magnitude: i16, step: u16) -> u8 {
    let mut reached = 0;
    for half in [16, 8, 4, 2, 1] {
        let i = reached + half;
        if i <= LEVELS && magnitude >= level((i - 1) & 31, step) {
            reached = i;
        }
    }
    reached as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_searches_agree() {
        for logarithm in (0..=18432).step_by(64) {
            let step = step_size::<8>(logarithm) as u16;
            // Every magnitude around each level, and the ends.
            let near = (0..LEVELS).flat_map(|i| (-1..=1).map(move |by| level(i, step).saturating_add(by).max(0)));
            for magnitude in near.chain([0, 1, 16384, i16::MAX]) {
                let reached = quantise_at_once(magnitude, step);
                assert_eq!(quantise_in_steps(magnitude, step), reached);
                assert_eq!((0..LEVELS).filter(|&i| level(i, step) <= magnitude).count(), usize::from(reached));
            }
        }
    }
}

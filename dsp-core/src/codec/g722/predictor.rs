//! The adaptive predictor of both bands of ITU-T G.722 (clause 6.2: PARREC, RECONS, UPPOL1, UPPOL2, UPZERO, DELAYA,
//! FILTEP, FILTEZ, PREDIC): six zeros on the quantised differences and two poles on the reconstructed signal, all
//! adapted by signs alone.
//!
//! The 16-bit words of the Recommendation saturate at each addition. Here sums have 32 bits and saturate where it can
//! matter; where saturation is left out it cannot occur, and a comment says why.
//!
//! Signals have 16 bits; coefficients of poles and zeros are Q14. The state takes 84 bytes. The cost is 18
//! multiplications for each sample, of which 8 are by 127 or 255 and become shifts.

use super::qmf::saturate;
use crate::kernel::{COUNTS_ZEROS, VECTORS};

/// Zeros of a predictor.
const ZEROS: usize = 6;
/// Whether saturation is one instruction, and so cheaper than to find out whether it is needed: from a Cortex-M3 on.
const SATURATES: bool = COUNTS_ZEROS && !VECTORS;

/// Predictor of one band.
#[derive(Clone, Debug)]
pub(super) struct BandPredictor {
    /// Coefficients of the zeros, b1 to b6 (BL, BH), Q14; the other lanes stay 0 in effect.
    zeros: [i32; ZEROS],
    /// The last quantised differences d1 to d6 (DLT, DH), newest first.
    differences: [i32; ZEROS],
    /// Sum of the magnitudes of the six differences: whether FILTEZ could saturate at all. Kept where that is asked.
    magnitude: i32,
    /// Coefficients of the poles, a1 and a2 (AL, AH), Q14.
    poles: [i32; 2],
    /// Twice the last two reconstructed signals (RLT, RH), saturated, newest first.
    doubled: [i32; 2],
    /// Signs of the last two partially reconstructed signals (PLT, PH): 0 or -1, newest first.
    signs: [i32; 2],
    /// The zeros' part of the prediction (SZL, SZH).
    zeros_part: i32,
    /// The prediction (SL, SH).
    prediction: i32,
}

impl BandPredictor {
    pub(super) const fn new() -> Self {
        Self {
            zeros: [0; ZEROS],
            differences: [0; ZEROS],
            magnitude: 0,
            poles: [0; 2],
            doubled: [0; 2],
            signs: [0; 2],
            zeros_part: 0,
            prediction: 0,
        }
    }

    /// What the next sample is expected to be (SL, SH).
    #[inline(always)]
    pub(super) fn prediction(&self) -> i32 {
        self.prediction
    }

    /// Goes half of the way back to the poles and zeros of `before`; what was heard meanwhile stays.
    pub(super) fn recall(&mut self, before: &Self) {
        let zeros = self.zeros.iter_mut().zip(&before.zeros);
        for (now, &before) in zeros.chain(self.poles.iter_mut().zip(&before.poles)) {
            *now = (*now + before) / 2;
        }
        // FILTEZ, FILTEP and PREDIC with the new coefficients.
        self.zeros_part = self.saturating_sum();
        let [newer, older] = [0, 1].map(|i| (self.poles[i] * self.doubled[i]) >> 15);
        self.prediction = i32::from(saturate(i32::from(saturate(newer + older)) + self.zeros_part));
    }

    /// Takes the quantised difference between the prediction and the sample, and predicts the next. Differences are
    /// at most 0.63 of a step size of 16384: 14 bits.
    #[inline(always)]
    pub(super) fn update(&mut self, difference: i16) {
        self.update_by::<SATURATES>(difference);
    }

    /// In one of two ways to the same bits: `ALWAYS` saturates each sum of FILTEZ, or only where one may overflow.
    #[inline(always)]
    fn update_by<const ALWAYS: bool>(&mut self, difference: i16) {
        let d = i32::from(difference);
        // Only the sign of PLT is used, and saturation leaves that alone.
        let sign = (d + self.zeros_part) >> 31;
        let [sign1, sign2] = self.signs;

        // UPPOL2. 4 a1 saturated, negated and shifted by 7 is the same as a1 shifted by 5 and limited.
        let [a1, a2] = self.poles;
        let differs = sign ^ sign1;
        // a1 as it is where the signs differ, else negated.
        let turned = (a1 ^ !differs) - !differs;
        let push = (turned >> 5).clamp(-256, 255);
        let bias = 128 + ((sign ^ sign2) & -256);
        let a2 = (push + bias + ((a2 * 127) >> 7)).clamp(-12288, 12288);
        // UPPOL1.
        let a1 = ((a1 * 255) >> 8) + 192 + (differs & -384);
        let bound = 15360 - a2;
        let a1 = a1.clamp(-bound, bound);
        self.poles = [a1, a2];
        self.signs = [sign, sign1];

        // RECONS and FILTEP: the doubled signal saturates wherever the signal itself would.
        let doubled = i32::from(saturate(2 * (self.prediction + d)));
        let poles_part = i32::from(saturate(((a1 * doubled) >> 15) + ((a2 * self.doubled[0]) >> 15)));
        self.doubled = [doubled, self.doubled[0]];

        self.run_zeros::<ALWAYS>(d);
        // PREDIC.
        self.prediction = i32::from(saturate(poles_part + self.zeros_part));
    }

    /// UPZERO, DELAYA of the differences and FILTEZ, tap by tap, from the oldest.
    #[inline(always)]
    fn run_zeros<const ALWAYS: bool>(&mut self, difference: i32) {
        // 255/256 of a zero, rounded down, is it without its 256th, rounded up. A step of 128 is added where the signs agree, and one
        // of -128 where they do not, unless the difference is 0: at most 32639 + 128, at least -32640 - 128.
        let (round, turn) = if difference == 0 { (255, 0) } else { (255 - (128 << 8), 256) };
        if !ALWAYS {
            self.magnitude += difference.abs() - self.differences[ZEROS - 1].abs();
        }
        let mut sum = 0;
        for tap in (0..ZEROS).rev() {
            let newer = if tap == 0 { difference } else { self.differences[tap - 1] };
            let place = core::mem::replace(&mut self.differences[tap], newer);
            let zero = &mut self.zeros[tap];
            *zero -= ((*zero + round) >> 8) + ((place ^ difference) >> 31 & turn);
            // The Recommendation doubles a difference, which 14 bits allow, and shifts the product by 15.
            sum += (*zero * newer) >> 14;
            if ALWAYS {
                sum = i32::from(saturate(sum));
            }
        }
        // No term exceeds twice its difference, so that below this no partial sum can saturate, in any order.
        self.zeros_part = if ALWAYS || self.magnitude <= 16383 { sum } else { self.saturating_sum() };
    }

    /// FILTEZ in the Recommendation's order of additions, each of which saturates: from the oldest to the newest.
    #[cold]
    #[inline(never)]
    fn saturating_sum(&self) -> i32 {
        let terms = self.zeros.iter().zip(&self.differences).map(|(zero, difference)| (zero * difference) >> 14);
        terms.rev().fold(0, |sum, term| i32::from(saturate(sum + term)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// The blocks as the Recommendation has them: words of 16 bits, each addition saturating, each product shifted.
    #[derive(Default)]
    struct Literal {
        a: [i16; 3],
        b: [i16; 7],
        d: [i16; 7],
        p: [i16; 3],
        r: [i16; 3],
        sz: i16,
        s: i16,
        /// Samples at which FILTEZ came out other than a sum that saturates at its end only.
        early: u32,
    }

    fn product(a: i16, b: i16) -> i16 {
        ((i32::from(a) * i32::from(b)) >> 15) as i16
    }

    impl Literal {
        fn update(&mut self, difference: i16) {
            // PARREC, RECONS.
            self.d[0] = difference;
            self.p[0] = difference.saturating_add(self.sz);
            self.r[0] = self.s.saturating_add(difference);
            // UPPOL2.
            let sign = |x: i16| x >> 15;
            let quadruple = self.a[1].saturating_add(self.a[1]);
            let quadruple = quadruple.saturating_add(quadruple);
            let turned = if sign(self.p[0]) == sign(self.p[1]) { 0i16.saturating_sub(quadruple) } else { quadruple };
            let push = if sign(self.p[0]) == sign(self.p[2]) { 128 } else { -128 };
            let a2 = (turned >> 7).saturating_add(push).saturating_add(product(self.a[2], 32512));
            let a2 = a2.clamp(-12288, 12288);
            // UPPOL1.
            let push = if sign(self.p[0]) == sign(self.p[1]) { 192 } else { -192 };
            let a1 = product(self.a[1], 32640).saturating_add(push);
            let bound = 15360 - a2;
            self.a = [0, a1.min(bound).max(-bound), a2];
            // UPZERO.
            let step = if difference == 0 { 0 } else { 128 };
            for i in 1..7 {
                let push = if sign(self.d[i]) == sign(difference) { step } else { -step };
                self.b[i] = product(self.b[i], 32640).saturating_add(push);
            }
            // DELAYA.
            for i in (1..7).rev() {
                self.d[i] = self.d[i - 1];
            }
            self.r = [0, self.r[0], self.r[1]];
            self.p = [0, self.p[0], self.p[1]];
            // FILTEP, FILTEZ, PREDIC.
            let double = |x: i16| x.saturating_add(x);
            let sp = product(self.a[1], double(self.r[1])).saturating_add(product(self.a[2], double(self.r[2])));
            let terms: Vec<i16> = (1..7).map(|i| product(self.b[i], double(self.d[i]))).collect();
            self.sz = terms.iter().rev().fold(0, |sum: i16, &term| sum.saturating_add(term));
            self.early += u32::from(saturate(terms.iter().map(|&term| i32::from(term)).sum()) != self.sz);
            self.s = sp.saturating_add(self.sz);
        }
    }

    #[test]
    fn as_the_blocks_say_for_any_signal() {
        let mut random = 1u32;
        let mut early = 0;
        for run in 0..200 {
            let (mut ours, mut always, mut literal) = (BandPredictor::new(), BandPredictor::new(), Literal::default());
            let period = 1 + run % 13;
            for n in 0..3000 {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = (random >> 16) as i32 - 32768;
                let difference = match run % 4 {
                    // As loud as can be, the sign in runs.
                    0 => ((noise & 2047) + 8180) * if n / period % 2 == 0 { 1 } else { -1 },
                    // One sign for long, then anything.
                    1 if n < 2000 => 10228,
                    // Steps of all sizes, some of them 0.
                    2 => noise >> (2 + (n / 100) % 16),
                    _ => noise * 10228 / 32768,
                } as i16;
                ours.update_by::<false>(difference);
                always.update_by::<true>(difference);
                literal.update(difference);
                assert_eq!(ours.prediction(), i32::from(literal.s), "run {run}, sample {n}");
                assert_eq!(always.prediction(), i32::from(literal.s), "run {run}, sample {n}, saturating always");
            }
            early += literal.early;
        }
        assert!(early > 0, "FILTEZ never saturated before its end");
    }
}

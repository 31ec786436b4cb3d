//! Short-term linear prediction: the spectral envelope of the last samples, as an all-pole filter.
//!
//! It is the autocorrelation method with the Levinson-Durbin recursion; coefficients are Q12. Concealment uses the
//! filter to let a mismatch at a join ring out as a voice would, and to shape noise. The sum of the coefficients'
//! magnitudes is kept below 16, so that the synthesis sum of 16-bit states fits into 32 bits. The cost at 8 kHz is
//! 1,900 16-bit multiplications and about 110 wide ones.

use super::pitch::{bits, dot, four_dots, four_dots_of_pairs, pair};
use super::square_root;
use crate::kernel::VECTORS;
use crate::slices::{part, split_mut};

/// Largest order.
pub(crate) const MAX_ORDER: usize = 16;
/// Longest analysis window in samples.
pub(crate) const MAX_WINDOW: usize = 480;
/// Samples synthesised in one piece.
const RUN: usize = 80;
/// Samples whose sums are computed together, by [`four_dots`]; divides [`RUN`].
const AT_ONCE: usize = 4;

/// An all-pole filter 1/A(z), A(z) = 1 + a1 z^-1 + ...
#[derive(Clone, Copy, Debug)]
pub(crate) struct Predictor {
    /// a1, a2, ... Q12.
    a: [i16; MAX_ORDER],
    order: usize,
    /// Root mean square of the prediction error, in sample units.
    pub(crate) residual_rms: i32,
}

impl Predictor {
    pub(crate) const FLAT: Predictor = Predictor { a: [0; MAX_ORDER], order: 0, residual_rms: 0 };

    /// Order for a sampling rate: a pole pair a kilohertz and one for the tilt, at most 16.
    pub(crate) fn order_for(rate_hz: u32) -> usize {
        ((rate_hz / 1_000 + 2) as usize).min(MAX_ORDER)
    }

    /// Analyses `x` (at most the last 20 ms, at most 480 samples).
    pub(crate) fn analyse(x: &[i16], rate_hz: u32) -> Predictor {
        let order = Self::order_for(rate_hz);
        let window = (rate_hz as usize / 50).min(MAX_WINDOW).min(x.len());
        if window < 2 * order {
            return Self::FLAT;
        }
        let x = &x[x.len() - window..];
        let shift = bits(x).saturating_sub(11);
        let energy = dot(x, x, shift, 1);
        if energy == 0 {
            return Self::FLAT;
        }
        let r = if VECTORS { correlate(x, shift, order) } else { correlate_pairs(x, shift, order) };
        if r[0] <= 0 {
            return Self::FLAT;
        }
        let up = (r[0].leading_zeros() - 1).saturating_sub(1);
        let mut r = r;
        for v in r.iter_mut().take(order + 1) {
            *v <<= up;
        }
        // White noise 33 dB down keeps the poles off the unit circle.
        r[0] += r[0] >> 11;
        let (a, error) = levinson(&r, order);
        // At most 480.
        let mean = (energy / (window as i32).max(1)).max(1);
        // error / r[0] as Q15.
        let ratio = (error / (r[0] >> 15).max(1)).clamp(1, 32767);
        let variance = ((i64::from(mean) << (2 * shift)) * i64::from(ratio)) >> 15;
        Predictor {
            a: to_q12(&a, order, rate_hz),
            order,
            residual_rms: square_root(variance.clamp(0, i64::from(i32::MAX)) as u32) as i32,
        }
    }

    /// Synthesis: adds `excitation` through 1/A(z) to `out` and limits the sum to 16 bits. `memory` holds the filter's
    /// past outputs, newest first; beyond its order the contents don't matter. `rate_hz` is the rate that was analysed.
    pub(crate) fn synthesise(
        &self,
        memory: &mut [i16; MAX_ORDER],
        out: &mut [i32],
        rate_hz: u32,
        excited: bool,
        excitation: impl FnMut() -> i32,
    ) {
        if !excited && memory.iter().all(|m| *m == 0) {
            return;
        }
        // A known number of taps unrolls; 10 is the order at 8 kHz. Coefficients beyond the order are 0.
        if Self::order_for(rate_hz) <= 10 {
            self.run::<10>(memory, out, excitation);
        } else if VECTORS {
            self.run::<MAX_ORDER>(memory, out, excitation);
        } else {
            self.run_by_fours(memory, out, excitation);
        }
    }

    fn run<const TAPS: usize>(
        &self,
        memory: &mut [i16; MAX_ORDER],
        out: &mut [i32],
        mut excitation: impl FnMut() -> i32,
    ) {
        // Coefficients and outputs as words, oldest first: a Cortex-M0 has no offsets for signed halfwords.
        let mut a = [0i32; TAPS];
        let mut line = [0i32; MAX_ORDER + RUN];
        a.iter_mut().zip(&self.a).for_each(|(a, v)| *a = i32::from(*v));
        for block in out.chunks_mut(RUN) {
            let len = block.len().min(RUN);
            for (k, v) in memory.iter().enumerate().take(TAPS) {
                line[TAPS - 1 - k] = i32::from(*v);
            }
            for (n, y) in (0..RUN).zip(block) {
                let past = &line[n..n + TAPS];
                let sum = (0..TAPS).rev().fold(0i32, |sum, k| sum.wrapping_add(a[k] * past[TAPS - 1 - k]));
                // Division rounds towards zero, so a ringing filter ends in silence and not in a limit cycle.
                let rung = (excitation() - sum / 4096).clamp(-32768, 32767);
                line[n + TAPS] = rung;
                *y = (*y + rung).clamp(-32768, 32767);
            }
            for (k, m) in memory.iter_mut().enumerate().take(TAPS) {
                *m = line[len + TAPS - 1 - k] as i16;
            }
        }
    }

    /// As `run` with all taps, which are more than there are registers for: four samples share what is loaded.
    fn run_by_fours(&self, memory: &mut [i16; MAX_ORDER], out: &mut [i32], mut excitation: impl FnMut() -> i32) {
        // Oldest first, and zeros around them: four samples have their sums computed together, the later ones with coefficients
        // that lie further on.
        let mut a = [0i16; MAX_ORDER + AT_ONCE];
        a.iter_mut().skip(AT_ONCE - 1).zip(self.a.iter().rev()).for_each(|(to, a)| *to = *a);
        let taps = pairs::<{ (MAX_ORDER + AT_ONCE) / 2 }>(&a);
        let newest: [i32; AT_ONCE - 1] = core::array::from_fn(|k| self.a[k].into());
        let mut line = [0i32; (MAX_ORDER + RUN) / 2];
        for block in out.chunks_mut(RUN) {
            let len = block.len().min(RUN);
            let mut heard = *memory;
            heard.reverse();
            line.iter_mut().zip(pairs::<{ MAX_ORDER / 2 }>(&heard)).for_each(|(to, word)| *to = word);
            for (y, n) in block.chunks_mut(AT_ONCE).zip((MAX_ORDER / 2..).step_by(AT_ONCE / 2)) {
                let (past, new) = split_mut(&mut line, n);
                // The part of the sums that lies before all of them.
                let mut sums = four_dots_of_pairs(part(past, n - MAX_ORDER / 2, MAX_ORDER / 2), &taps);
                sums.reverse();
                let (mut y, mut made) = (y.iter_mut(), [0; AT_ONCE]);
                for at in 0..AT_ONCE {
                    let Some(y) = y.next() else { break };
                    // Division rounds towards zero, so a ringing filter ends in silence and not in a limit cycle.
                    let rung = (excitation() - sums[at] / 4096).clamp(-32768, 32767);
                    made[at] = rung as i16;
                    for later in at + 1..AT_ONCE {
                        sums[later] = sums[later].wrapping_add(newest[later - at - 1] * rung);
                    }
                    *y = (*y + rung).clamp(-32768, 32767);
                }
                new.iter_mut().zip(pairs::<{ AT_ONCE / 2 }>(&made)).for_each(|(to, word)| *to = word);
            }
            for (k, m) in memory.iter_mut().enumerate() {
                let at = len + MAX_ORDER - 1 - k;
                *m = line.get(at / 2).map_or(0, |word| (word >> (16 * (at % 2))) as i16);
            }
        }
    }

    pub(crate) fn order(&self) -> usize {
        self.order
    }
}

/// Samples in pairs.
#[inline(always)]
fn pairs<const WORDS: usize>(samples: &[i16]) -> [i32; WORDS] {
    let mut words = [0; WORDS];
    words.iter_mut().zip(samples.as_chunks().0).for_each(|(word, [first, second])| *word = pair(*first, *second));
    words
}

/// Autocorrelation of `x`, which is shifted down, in a window: lags up to `order`, and up to three more.
fn correlate(x: &[i16], shift: u32, order: usize) -> [i32; MAX_ORDER + 1] {
    // A trapezoid with ramps of an eighth: the newest samples keep most of their weight.
    let window = x.len();
    let mut buffer = [0i16; MAX_WINDOW + 4];
    let w = &mut buffer[..window];
    for (y, v) in w.iter_mut().zip(x) {
        *y = v >> shift;
    }
    let ramp = window / 8;
    let step = 32768 / (ramp as i32 + 1);
    let gains = || (1..=ramp as i32).map(|i| step * i);
    let scale = |(v, gain): (&mut i16, i32)| *v = ((i32::from(*v) * gain) >> 15) as i16;
    w.iter_mut().zip(gains()).for_each(scale);
    w.iter_mut().rev().zip(gains()).for_each(scale);
    // Behind the window are zeros, so that four lags may end at the same sample.
    let mut r = [0i32; MAX_ORDER + 1];
    for (v, k) in r[..=order].chunks_mut(4).zip((0..).step_by(4)) {
        let (window, later) = (buffer.get(..window - k), buffer.get(k..));
        let sums = four_dots(window.unwrap_or_default(), later.unwrap_or_default());
        v.iter_mut().zip(sums).for_each(|(to, sum)| *to = sum);
    }
    r
}

/// The same bits, with two samples in a word.
fn correlate_pairs(x: &[i16], shift: u32, order: usize) -> [i32; MAX_ORDER + 1] {
    let window = x.len();
    let ramp = window / 8;
    let step = 32768 / (ramp as i32 + 1);
    let mut buffer = [0i32; MAX_WINDOW / 2 + 4];
    let (two, last) = x.as_chunks::<2>();
    let last = last.first().map(|&last| [last, 0]);
    for (word, [first, second]) in buffer.iter_mut().zip(two.iter().copied().chain(last)) {
        *word = pair(first >> shift, second >> shift);
    }
    let mut weigh = |at: usize, gain: i32| {
        if let Some(word) = buffer.get_mut(at / 2) {
            let [first, second] = [*word as i16, (*word >> 16) as i16];
            let scaled = |sample: i16| ((i32::from(sample) * gain) >> 15) as i16;
            *word = if at.is_multiple_of(2) { pair(scaled(first), second) } else { pair(first, scaled(second)) };
        }
    };
    for at in 0..ramp {
        let gain = step * (at as i32 + 1);
        weigh(at, gain);
        weigh(window - 1 - at, gain);
    }
    // Whole blocks of four samples: behind the window are zeros.
    let words = window.div_ceil(4) * 2;
    let mut r = [0i32; MAX_ORDER + 1];
    for (v, k) in r.chunks_mut(4).zip((0..=order).step_by(4)) {
        let (window, later) = (buffer.get(..words - k / 2), buffer.get(k / 2..words + 2));
        let sums = four_dots_of_pairs(window.unwrap_or_default(), later.unwrap_or_default());
        v.iter_mut().zip(sums).for_each(|(to, sum)| *to = sum);
    }
    r
}

/// Levinson-Durbin on `r` (r[0] in 2^29..2^31): coefficients Q20 and the error in the units of `r`.
fn levinson(r: &[i32; MAX_ORDER + 1], order: usize) -> ([i32; MAX_ORDER], i32) {
    let mut a = [0i32; MAX_ORDER];
    let mut error = r[0];
    for (m, &lag) in r.iter().enumerate().take(order + 1).skip(1) {
        let mut acc = i64::from(lag);
        for (a, lag) in a.iter().zip(part(r, 1, m - 1).iter().rev()) {
            acc += (i64::from(*a) * i64::from(*lag)) >> 20;
        }
        if acc.abs() >= i64::from(error) {
            break;
        }
        let up = error.leading_zeros() - 1;
        let k = -((acc as i32) << up) / ((error << up) >> 15).max(1);
        let old = a;
        let old = part(&old, 0, m - 1);
        for ((a, one), other) in a.iter_mut().zip(old).zip(old.iter().rev()) {
            *a = one.wrapping_add(scaled(*other, k));
        }
        if let Some(next) = a.get_mut(m - 1) {
            *next = k << 5;
        }
        error -= ((i64::from(error) * i64::from(k * k)) >> 30) as i32;
        if error < r[0] >> 14 {
            break;
        }
    }
    (a, error)
}

/// `value` by a factor in Q15, -1 to 1, rounded down: the upper and the lower half of the value apart, as a Cortex-M0 has no
/// products of 64 bits.
fn scaled(value: i32, factor: i32) -> i32 {
    let [high, low] = [value >> 16, value & 0xffff].map(|half| half.wrapping_mul(factor));
    high.wrapping_mul(2).wrapping_add(low >> 15)
}

/// Bandwidth expansion by about 50 Hz, which lets a join ring for 6 ms, and rounding to Q12; expands further until the
/// magnitudes sum to less than 16.
fn to_q12(a: &[i32; MAX_ORDER], order: usize, rate_hz: u32) -> [i16; MAX_ORDER] {
    let mut out = [0i16; MAX_ORDER];
    let mut gamma = 32_768 - i64::from(32_768 * 160 / rate_hz.max(8_000));
    for _ in 0..8 {
        let mut weight = gamma;
        let mut sum = 0;
        for (y, v) in out.iter_mut().zip(a).take(order) {
            let q = (i64::from(*v) * weight) >> 23;
            *y = q.clamp(-32768, 32767) as i16;
            sum += q.abs();
            weight = (weight * gamma) >> 15;
        }
        if sum < 65_536 && out.iter().all(|v| *v > i16::MIN && *v < i16::MAX) {
            return out;
        }
        gamma = (gamma * gamma) >> 15;
    }
    [0; MAX_ORDER]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Noise of any level, from a seed.
    fn noise(seed: u32, level: i32) -> impl Iterator<Item = i16> {
        let mut state = seed;
        core::iter::repeat_with(move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state as i32 >> 16) * level / 100) as i16
        })
    }

    proptest! {
        #[test]
        fn pairs_have_the_sums_of_single_samples(seed: u32, level in 1i32..100, window in 34usize..=MAX_WINDOW) {
            let x: std::vec::Vec<i16> = noise(seed, level).take(window).collect();
            let shift = bits(&x).saturating_sub(11);
            for order in [10, 16] {
                let [ours, theirs] = [correlate(&x, shift, order), correlate_pairs(&x, shift, order)];
                prop_assert_eq!(&ours[..=order], &theirs[..=order]);
            }
        }

        #[test]
        fn four_samples_at_a_time_are_the_same(seed: u32, level in 1i32..100, len in 0usize..200) {
            let x: std::vec::Vec<i16> = noise(seed, level).take(320).collect();
            let predictor = Predictor::analyse(&x, 16_000);
            let begin: [i16; MAX_ORDER] = core::array::from_fn(|k| x[k]);
            let excitation = || noise(!seed, level).map(|sample| i32::from(sample) / 4);
            let (mut ours, mut theirs) = (std::vec![7; len], std::vec![7; len]);
            let (mut our_memory, mut their_memory) = (begin, begin);
            let mut source = excitation();
            predictor.run_by_fours(&mut our_memory, &mut ours, || source.next().unwrap());
            let mut source = excitation();
            predictor.run::<MAX_ORDER>(&mut their_memory, &mut theirs, || source.next().unwrap());
            prop_assert_eq!((ours, our_memory), (theirs, their_memory));
        }
    }

    proptest! {
        #[test]
        fn halves_make_the_whole_product(value in -(1i32 << 30)..1 << 30, factor in -32_768i32..=32_768) {
            let whole = (i64::from(value) * i64::from(factor)) >> 15;
            prop_assert_eq!(i64::from(scaled(value, factor)), whole);
        }
    }
}

//! Pitch search: the lag at which a signal repeats itself best, by normalised cross-correlation.
//!
//! There are two steps: every lag at about 4 kHz (after averaging neighbours), then the lags around the best one at
//! the full rate. Signals are first shifted down by their headroom, so that every sum fits into 32 bits; two fractions
//! are compared without division. Correlations are Q15.
//!
//! The cost at 8 kHz is about 4,000 multiplications for the coarse step and 800 for the fine one. Processors without
//! vectors compute the sums of four lags at once ([`four_dots`]), with the same bits.

use super::square_root;
use crate::kernel::VECTORS;
use crate::slices::part;

use core::hint::black_box;
use core::num::NonZeroUsize;
use core::ops::RangeInclusive;

/// Samples of the coarse window (20 ms at 4 kHz).
const COARSE_WINDOW: usize = 80;
/// Shortest lag of the coarse search (2.5 ms, 400 Hz).
const COARSE_MIN: usize = 10;
/// Longest lag of the coarse search (15 ms, 66 Hz).
const COARSE_MAX: usize = 60;
/// Samples the coarse search looks at (35 ms).
const COARSE_LEN: usize = COARSE_WINDOW + COARSE_MAX;

/// Where a signal repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    /// Distance in samples.
    pub(crate) lag: usize,
    /// Normalised correlation at that distance, Q15; 0 when it is negative or the signal is silent.
    pub(crate) correlation: i32,
}

/// Decimation from `rate_hz` to about 4 kHz.
pub(crate) fn decimation(rate_hz: u32) -> NonZeroUsize {
    let whole = ((rate_hz + 2_000) / 4_000).min(12);
    NonZeroUsize::new(whole as usize).unwrap_or(NonZeroUsize::MIN)
}

/// Largest magnitude in `x`.
pub(crate) fn peak(x: &[i16]) -> u32 {
    x.iter().fold(0, |m, v| m.max(u32::from(v.unsigned_abs())))
}

/// Bits that the largest magnitude in `x` takes. Cheaper than [`peak`], because nothing is compared.
pub(crate) fn bits(x: &[i16]) -> u32 {
    length(magnitudes(x))
}

/// The bits that any magnitude in `x` has.
fn magnitudes(x: &[i16]) -> u32 {
    x.iter().fold(0, |all, v| all | u32::from(v.unsigned_abs()))
}

/// Bits that `value` takes.
fn length(value: u32) -> u32 {
    32 - value.leading_zeros()
}

/// Sum of products of every `stride`-th sample pair, each shifted right by `shift` first.
///
/// The caller picks `shift` so that the sum fits.
#[inline]
pub(crate) fn dot(a: &[i16], b: &[i16], shift: u32, stride: usize) -> i32 {
    let product = |(x, y): (&i16, &i16)| i32::from(x >> shift) * i32::from(y >> shift);
    if stride == 1 {
        a.iter().zip(b).map(product).fold(0i32, i32::wrapping_add)
    } else {
        let (mut sum, mut at) = (0i32, 0);
        while let (Some(x), Some(y)) = (a.get(at), b.get(at)) {
            sum = sum.wrapping_add(product((x, y)));
            at += stride.max(1);
        }
        sum
    }
}

/// Sums of products of `a` with `b` from each of its first four samples on; `b` has three samples more.
pub(crate) fn four_dots(a: &[i16], b: &[i16]) -> [i32; 4] {
    if VECTORS {
        core::array::from_fn(|lag| dot(a, b.get(lag..).unwrap_or_default(), 0, 1))
    } else {
        four_dots_at_once(a, b)
    }
}

/// Each sample is loaded once, and not for each of the sums.
fn four_dots_at_once(a: &[i16], b: &[i16]) -> [i32; 4] {
    let mut sums = [0i32; 4];
    let mut add = |a: &i16, b: [i32; 4]| {
        for (sum, b) in sums.iter_mut().zip(b) {
            *sum = sum.wrapping_add(i32::from(*a) * b);
        }
        // It costs nothing and keeps the loop from being unrolled, for which a Cortex-M has too few registers.
        black_box(());
    };
    let Some((begin, next)) = b.split_first_chunk::<3>() else { return sums };
    let [mut b0, mut b1, mut b2] = begin.map(i32::from);
    let ((blocks, rest), (next, last)) = (a.as_chunks::<4>(), next.as_chunks::<4>());
    for (a, b) in blocks.iter().zip(next) {
        // The newest takes the place of the oldest.
        let b3 = i32::from(b[0]);
        add(&a[0], [b0, b1, b2, b3]);
        b0 = i32::from(b[1]);
        add(&a[1], [b1, b2, b3, b0]);
        b1 = i32::from(b[2]);
        add(&a[2], [b2, b3, b0, b1]);
        b2 = i32::from(b[3]);
        add(&a[3], [b3, b0, b1, b2]);
    }
    let last = next.get(blocks.len()).map_or(last, |next| &next[..]);
    for (a, b3) in rest.iter().zip(last) {
        let b3 = i32::from(*b3);
        add(a, [b0, b1, b2, b3]);
        [b0, b1, b2] = [b1, b2, b3];
    }
    sums
}

/// Two samples in a word, the first of them in the lower half.
#[inline(always)]
pub(crate) fn pair(first: i16, second: i16) -> i32 {
    i32::from(first) & 0xffff | i32::from(second) << 16
}

/// As [`four_dots`], of pairs: `a` is an even number of words, `b` has two words more. A word is one load where two samples are
/// two, and some Cortex-M multiply its halves.
pub(crate) fn four_dots_of_pairs(a: &[i32], b: &[i32]) -> [i32; 4] {
    let [mut s0, mut s1, mut s2, mut s3] = [0i32; 4];
    let Some((&[mut b01, mut b23], next)) = b.split_first_chunk::<2>() else { return [0; 4] };
    for (&[a01, a23], &[b45, b67]) in a.as_chunks::<2>().0.iter().zip(next.as_chunks::<2>().0) {
        s0 = straight(straight(s0, a01, b01), a23, b23);
        s1 = crossed(crossed(s1, a01, b01, b23), a23, b23, b45);
        s2 = straight(straight(s2, a01, b23), a23, b45);
        s3 = crossed(crossed(s3, a01, b23, b45), a23, b45, b67);
        (b01, b23) = (b45, b67);
    }
    [s0, s1, s2, s3]
}

/// The sum and the products of the lower halves and of the upper ones.
#[inline(always)]
fn straight(sum: i32, a: i32, b: i32) -> i32 {
    sum.wrapping_add(i32::from(a as i16) * i32::from(b as i16)).wrapping_add((a >> 16) * (b >> 16))
}

/// The sum and the products of the lower half of `a` with the upper one of `b`, and of its upper half with the lower one of
/// `next`.
#[inline(always)]
fn crossed(sum: i32, a: i32, b: i32, next: i32) -> i32 {
    sum.wrapping_add(i32::from(a as i16) * (b >> 16)).wrapping_add((a >> 16) * i32::from(next as i16))
}

/// Normalised correlation of two sums of squares and their sum of products, Q15, 0 to 32767.
pub(crate) fn normalised(cross: i32, energy_a: i32, energy_b: i32) -> i32 {
    if cross <= 0 || energy_a <= 0 || energy_b <= 0 {
        return 0;
    }
    let norm = square_root(energy_a.unsigned_abs()) * square_root(energy_b.unsigned_abs());
    // Both sides lose the same number of bits, so that 15 can be gained.
    let spare = cross.leading_zeros() - 1;
    let up = spare.min(15);
    let numerator = cross.unsigned_abs() << up;
    let denominator = (norm >> (15 - up)).max(1);
    (numerator / denominator).min(32767) as i32
}

/// The best candidate so far: squared correlation over energy, kept as a fraction of 16-bit numbers.
#[derive(Clone, Copy)]
struct Best {
    square: u32,
    energy: u32,
}

impl Best {
    const NONE: Best = Best { square: 0, energy: 1 };

    /// Takes the new candidate if it is better by more than one part in `margin`. `scale` brings correlation and energy
    /// to 15 bits.
    fn offer(&mut self, cross: i32, energy: i32, scale: u32, margin: u32) -> bool {
        let c = (cross.max(0).unsigned_abs() >> scale).min(0x7fff);
        let square = (c * c) >> 14;
        let energy = (energy.max(0).unsigned_abs() >> scale).min(0x7fff) + 1;
        if square * self.energy <= (self.square + self.square / margin) * energy {
            return false;
        }
        *self = Best { square, energy };
        true
    }
}

/// Shift that brings a correlation bounded by `energy` to 15 bits, so that its square fits.
fn square_scale(energy: i32) -> u32 {
    (32 - energy.max(0).leading_zeros()).saturating_sub(15)
}

/// On which side of the reference the copies lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CopySide {
    Before,
    After,
}

/// Which copies a reference of `window` samples is compared with. The reference belongs at `start`; its copies lie
/// `shortest..=longest` samples to one side of that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub(crate) start: usize,
    pub(crate) window: usize,
    pub(crate) side: CopySide,
    pub(crate) shortest: usize,
    pub(crate) longest: usize,
}

impl Range {
    /// Where the copy at `lag` begins.
    fn copy(&self, lag: usize) -> usize {
        match self.side {
            CopySide::Before => self.start - lag,
            CopySide::After => self.start + lag,
        }
    }

    /// Begin and end of all copies.
    fn bounds(&self) -> (usize, usize) {
        match self.side {
            CopySide::Before => (self.start - self.longest, self.start - self.shortest + self.window),
            CopySide::After => (self.start + self.shortest, self.start + self.longest + self.window),
        }
    }

    /// Whether there are lags at all, and all copies lie inside `len` samples.
    fn fits(&self, len: usize) -> bool {
        self.window > 0
            && self.shortest > 0
            && self.shortest <= self.longest
            && (self.side == CopySide::After || self.start >= self.longest)
            && self.bounds().1 <= len
    }
}

/// The lag at which `reference` (`range.window` samples) best matches its copies in `x`, in two steps: None when
/// nothing correlates, or when the range doesn't fit into `x` or is too long (20 ms window, 15 ms of lags).
pub(crate) fn best_lag(x: &[i16], reference: &[i16], range: Range, rate_hz: u32) -> Option<Match> {
    let d = decimation(rate_hz);
    let (shortest, longest) = ((range.shortest + d.get() - 1) / d, range.longest / d);
    let (window, d) = (range.window / d, d.get());
    if !range.fits(x.len()) || reference.len() != range.window || window > COARSE_WINDOW || shortest > longest {
        return None;
    }
    let have = window + longest - shortest;
    if have > COARSE_LEN {
        return None;
    }
    // In decimated samples, everything counts from the first copy.
    let (coarse, begin) = match range.side {
        CopySide::Before => (Range { start: longest, window, shortest, longest, ..range }, range.start - longest * d),
        CopySide::After => {
            (Range { start: 0, window, shortest: 0, longest: longest - shortest, ..range }, range.start + shortest * d)
        }
    };
    let (mut low_reference, mut low) = ([0i16; COARSE_WINDOW], [0i16; COARSE_LEN + 3]);
    let (decimated, rest) = reference.split_at_checked(window * d)?;
    let of_reference = magnitudes(decimated);
    decimate(decimated, d, of_reference, &mut low_reference);
    let x_decimated = x.get(begin..begin + have * d)?;
    decimate(x_decimated, d, magnitudes(x_decimated), &mut low);
    let mut lag = coarse_lag(&low[..have + 3], &low_reference[..window], coarse)?;
    if range.side == CopySide::After {
        lag += shortest;
    }
    let fine = Range {
        shortest: (lag * d).saturating_sub(d).max(range.shortest).min(range.longest),
        longest: (lag * d + d).max(range.shortest).min(range.longest),
        ..range
    };
    fine_lag(x, reference, length(of_reference | magnitudes(rest)), fine, rate_hz)
}

/// Sums blocks of `d`, shifted to 12 bits: 80 products of those fit 31 bits. `magnitudes` are those of `x`.
fn decimate(x: &[i16], d: usize, magnitudes: u32, low: &mut [i16]) {
    match d {
        // 8 and 16 kHz: sums of a known length.
        2 => sum_blocks::<2>(x, magnitudes, low),
        4 => sum_blocks::<4>(x, magnitudes, low),
        _ => {
            let shift = length(peak(x) * d as u32).saturating_sub(12);
            for (y, block) in low.iter_mut().zip(x.chunks_exact(d.max(1))) {
                *y = (block.iter().map(|v| i32::from(*v)).sum::<i32>() >> shift) as i16;
            }
        }
    }
}

/// `D` is a power of two.
fn sum_blocks<const D: usize>(x: &[i16], magnitudes: u32, low: &mut [i16]) {
    let shift = (length(magnitudes) + D.ilog2()).saturating_sub(12);
    let (blocks, _) = x.as_chunks::<D>();
    for (y, block) in low.iter_mut().zip(blocks) {
        *y = (block.iter().map(|v| i32::from(*v)).sum::<i32>() >> shift) as i16;
    }
}

/// The best lag of a decimated signal, behind which there are three samples more.
fn coarse_lag(low: &[i16], reference: &[i16], range: Range) -> Option<usize> {
    let window = range.window;
    let square = |v: &i16| i32::from(*v) * i32::from(*v);
    let square_at = |at: usize| low.get(at).map_or(0, square);
    // 140 squares of 12 bits fit 32.
    let loudest = low.iter().fold(0u32, |sum, v| sum + square(v) as u32).min(i32::MAX as u32) as i32;
    // The reference may be louder than its copies.
    let scale = square_scale(loudest.max(dot(reference, reference, 0, 1)));
    // Sums of products with the copies that begin at each sample, four such samples at a time.
    let (mut begin, mut four) = (usize::MAX, [0; 4]);
    let mut cross = |at: usize| {
        if begin != at & !3 {
            begin = at & !3;
            four = four_dots(reference, low.get(begin..).unwrap_or_default());
        }
        four[at & 3]
    };
    let mut energy = 0;
    let mut best = None;
    let mut top = Best::NONE;
    for lag in range.shortest..=range.longest {
        let at = range.copy(lag);
        if lag == range.shortest {
            let copy = part(low, at, window);
            energy = dot(copy, copy, 0, 1);
        } else if range.side == CopySide::Before {
            energy += square_at(at) - square_at(at + window);
        } else {
            energy += square_at(at + window - 1) - square_at(at - 1);
        }
        // A longer lag must be clearly better, or multiples of the period would win by chance.
        if top.offer(cross(at), energy, scale, 8) {
            best = Some(lag);
        }
    }
    best
}

/// Longest window of the fine search whose samples are all made use of: 20 ms at 16 kHz and what the decimation left.
const FINE_WINDOW: usize = 324;
/// Most lags of it: a decimated sample to either side.
const FINE_LAGS: usize = 9;
/// Its signal, with room for the last four lags.
const FINE_LEN: usize = FINE_WINDOW + FINE_LAGS + 3;

/// The best lag of `range` at the full rate, every one tried. `own_bits` are those of the reference.
#[inline(never)]
fn fine_lag(x: &[i16], reference: &[i16], own_bits: u32, range: Range, rate_hz: u32) -> Option<Match> {
    let stride = (rate_hz / 16_000).max(1) as usize;
    let (begin, end) = range.bounds();
    // At most 320 products of 11 bits by 11 bits.
    let x = x.get(begin..end)?;
    let shift = bits(x).max(own_bits).saturating_sub(11);
    let (mut own, mut signal, mut crosses) = ([0; FINE_WINDOW], [0; FINE_LEN], [0; FINE_LAGS]);
    let lags = range.longest - range.shortest + 1;
    if stride == 1
        && let (Some(own), Some(crosses)) = (own.get_mut(..range.window), crosses.get_mut(..lags))
    {
        // Each sample is shifted once, and not for each lag.
        own.iter_mut().zip(reference).for_each(|(to, v)| *to = v >> shift);
        signal.iter_mut().zip(x).for_each(|(to, v)| *to = v >> shift);
        for (at, crosses) in crosses.chunks_mut(4).enumerate() {
            let signal = signal.get(4 * at..).unwrap_or_default();
            match crosses {
                [one] => *one = dot(own, signal, 0, 1),
                some => some.iter_mut().zip(four_dots(own, signal)).for_each(|(to, sum)| *to = sum),
            }
        }
        let energy = |from: usize, len: usize| {
            let samples = part(&signal, from, len);
            dot(samples, samples, 0, 1)
        };
        // The last copy has left some samples of the first behind and got as many more. Sums fit into 32 bits: it is exact.
        let first = energy(0, range.window);
        let last = first - energy(0, lags - 1) + energy(range.window, lags - 1);
        let energies = match range.side {
            CopySide::Before => [dot(own, own, 0, 1), last, first],
            CopySide::After => [dot(own, own, 0, 1), first, last],
        };
        return best_of(range, energies, |at| crosses.get(at - begin).copied().unwrap_or(0));
    }
    let copy = |at: usize| part(x, at - begin, range.window);
    let energy = |x: &[i16]| dot(x, x, shift, stride);
    let [first, last] = [range.shortest, range.longest].map(|lag| energy(copy(range.copy(lag))));
    best_of(range, [energy(reference), first, last], |at| dot(reference, copy(at), shift, stride))
}

/// The best lag of `range`, all of which are so near that the energy of the copies changes evenly: from `first` to `last`,
/// beside the reference's `own`. `cross` is the reference's sum of products with the copy that begins at a sample of the
/// signal.
#[inline]
fn best_of(range: Range, [own, first, last]: [i32; 3], cross: impl Fn(usize) -> i32) -> Option<Match> {
    let scale = square_scale(own.max(first).max(last));
    // As 16 bits, of which it is known that they are never -1.
    let lags = ((range.longest - range.shortest) as u16).max(1);
    let step = (last - first) / i32::from(lags);
    let mut energy = first;
    let mut best = None;
    let mut top = Best::NONE;
    for lag in range.shortest..=range.longest {
        if lag == range.longest {
            energy = last;
        }
        let cross = cross(range.copy(lag));
        if top.offer(cross, energy, scale, u32::MAX) {
            best = Some((lag, cross, energy));
        }
        energy = energy.wrapping_add(step);
    }
    best.map(|(lag, cross, energy)| Match { lag, correlation: normalised(cross, own, energy) })
}

/// The pitch of the end of `x`: the lag between 2.5 and 15 ms at which the last 20 ms best match what was before.
///
/// Wants 35 ms of signal and works with less (the window shrinks, then the range of lags). Where nothing correlates
/// it answers 5 ms and no correlation.
pub(crate) fn search(x: &[i16], rate_hz: u32) -> Match {
    let d = decimation(rate_hz).get();
    let have = x.len().min(COARSE_LEN * d);
    let longest = (COARSE_MAX * d).min(have / 3 * 2);
    let window = (COARSE_WINDOW * d).min(have - longest);
    let start = x.len() - window;
    let range = Range { start, window, side: CopySide::Before, shortest: COARSE_MIN * d, longest };
    best_lag(x, x.get(start..).unwrap_or_default(), range, rate_hz).unwrap_or(Match { lag: 20 * d, correlation: 0 })
}

/// The pitch of the beginning of `x` near a known one (within a fifth).
pub(crate) fn search_near(x: &[i16], lag: usize, rate_hz: u32) -> Match {
    let reach = lag / 5;
    let longest = (lag + reach).min(x.len() / 3 * 2);
    let window = (x.len() - longest).min(COARSE_WINDOW * decimation(rate_hz).get());
    let range = Range { start: 0, window, side: CopySide::After, shortest: lag - reach, longest };
    let none = Match { lag, correlation: 0 };
    if range.fits(x.len()) { best_lag(x, &x[..window], range, rate_hz).unwrap_or(none) } else { none }
}

/// How far before the end of `past` the beginning of `future` would fit in, up to a `period` of it: one of `lags`.
pub(crate) fn phase(
    past: &[i16],
    future: &[i16],
    period: usize,
    lags: RangeInclusive<usize>,
    rate_hz: u32,
) -> Option<Match> {
    let window = period.min(future.len());
    let range =
        Range { start: past.len(), window, side: CopySide::Before, shortest: *lags.start(), longest: *lags.end() };
    best_lag(past, &future[..window], range, rate_hz)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn four_sums_at_once_are_the_direct_ones(
            a in proptest::collection::vec(-4_096i16..=4_096, 0..=80),
            b in proptest::collection::vec(-4_096i16..=4_096, 83..=90),
        ) {
            let direct = |lag: usize| a.iter().zip(&b[lag..]).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum::<i32>();
            prop_assert_eq!(four_dots_at_once(&a, &b), [0, 1, 2, 3].map(direct));
            prop_assert_eq!(four_dots_at_once(&a, &b[..a.len() + 3]), [0, 1, 2, 3].map(direct));
            let pairs = |samples: &[i16]| {
                let mut words = [0; 46];
                for (word, two) in words.iter_mut().zip(samples.chunks(2)) {
                    *word = pair(two[0], two.get(1).copied().unwrap_or(0));
                }
                words
            };
            let words = a.len().div_ceil(4) * 2;
            prop_assert_eq!(four_dots_of_pairs(&pairs(&a)[..words], &pairs(&b)[..words + 2]), [0, 1, 2, 3].map(direct));
        }

        #[test]
        fn bits_are_those_of_the_peak(x in proptest::collection::vec(any::<i16>(), 0..10), shift in 0..16) {
            let x: std::vec::Vec<i16> = x.into_iter().chain([i16::MIN]).map(|x| x >> shift).collect();
            prop_assert_eq!(bits(&x), length(peak(&x)));
        }
    }
}

//! Correlation of a short reference with a signal at four neighbouring lags at once, from nine sums of a quarter of the
//! length instead of sixteen (a fast FIR algorithm applied twice; Mou and Duhamel, "Short-length FIR filters and their use
//! in fast nonrecursive filtering", 1991).
//!
//! At two lags, with even and odd samples apart, `h0 x0 + h1 x1` and `h0 x1 + h1 x2` are `A + B` and `A - C`, where
//! `A = (h0 + h1) x1`, `B = h0 (x0 - x1)` and `C = h1 (x1 - x2)`: three sums instead of four. Each of them is again a
//! correlation at neighbouring lags. All is exact modulo 2^32, so a sum that fits 32 bits comes out as if it were made
//! directly. Samples are words, because a Cortex-M0 has no offsets for signed halfwords and an M3 loads words in pairs.
//!
//! Cost: 2.25 multiplies a sample of the reference for four lags' 4, and 2 KiB of stack.

/// Longest reference and longest signal, in quarters.
const REFERENCE: usize = 20;
const SIGNAL: usize = 36;
/// Sums that are made for four lags.
const SUMS: usize = 9;

/// A reference and a signal, taken apart.
pub(super) struct Quarters {
    reference: [[i32; REFERENCE]; SUMS],
    signal: [[i32; SIGNAL]; SUMS],
    /// Length of the reference, in quarters; a multiple of 4.
    length: usize,
}

impl Quarters {
    /// Nothing yet.
    pub(super) const EMPTY: Self = Self { reference: [[0; REFERENCE]; SUMS], signal: [[0; SIGNAL]; SUMS], length: 0 };

    /// Takes apart a reference of at most 80 samples and a signal of at most 144, each of at most 13 bits. Only once.
    pub(super) fn take_apart(&mut self, reference: &[i16], signal: &[i16]) {
        self.length = reference.len().div_ceil(16) * 4;
        for (k, [h0, h1, h2, h3]) in fours(reference).enumerate().take(REFERENCE) {
            let parts = [h0 + h1 + h2 + h3, h0 + h1, h2 + h3, h0 + h2, h0, h2, h1 + h3, h1, h3];
            self.reference.iter_mut().zip(parts).for_each(|(to, part)| to[k] = part);
        }
        let behind = fours(signal).skip(1).chain([[0; 4]]);
        for (k, ([x0, x1, x2, x3], [x4, x5, x6, _])) in fours(signal).zip(behind).enumerate().take(SIGNAL) {
            let (first, second, third) = (x1 - x2, x2 - x3, x3 - x4);
            let (fourth, fifth) = (x4 - x5, x5 - x6);
            let parts =
                [x3, x1 - x3, x3 - x5, second, x0 - x1 - second, second - fourth, third, first - third, third - fifth];
            self.signal.iter_mut().zip(parts).for_each(|(to, part)| to[k] = part);
        }
    }

    /// Sums of products of the reference with the signal from sample `4 * quarter` on, and from the three behind it. Where
    /// the signal ends before the reference, it goes on as zeros.
    pub(super) fn correlations(&self, quarter: usize) -> [i32; 4] {
        let sum = |part: usize| {
            let signal = self.signal[part].get(quarter..).unwrap_or(&[]);
            sum_of_products(&self.reference[part][..self.length], signal)
        };
        // At an even lag and at the one two behind it.
        let pair = |part: usize| {
            let common = sum(part);
            [common.wrapping_add(sum(part + 1)), common.wrapping_sub(sum(part + 2))]
        };
        let ([a0, a2], [b0, b2], [c0, c2]) = (pair(0), pair(3), pair(6));
        [a0.wrapping_add(b0), a0.wrapping_sub(c0), a2.wrapping_add(b2), a2.wrapping_sub(c2)]
    }
}

/// Samples by fours; what is missing of the last four is zero.
fn fours(x: &[i16]) -> impl Iterator<Item = [i32; 4]> {
    let (blocks, rest) = x.as_chunks::<4>();
    let mut last = [0; 4];
    last.iter_mut().zip(rest).for_each(|(to, &x)| *to = i32::from(x));
    blocks.iter().map(|block| block.map(i32::from)).chain((!rest.is_empty()).then_some(last))
}

/// Of words, by fours. Where `b` is shorter, it ends there.
#[inline(never)]
fn sum_of_products(a: &[i32], b: &[i32]) -> i32 {
    let ((a, _), (b, rest)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    let mut sum = 0i32;
    let mut add = |a: &[i32; 4], b: &[i32; 4]| {
        for (a, b) in a.iter().zip(b) {
            sum = sum.wrapping_add(a.wrapping_mul(*b));
        }
    };
    a.iter().zip(b).for_each(|(a, b)| add(a, b));
    if let Some(a) = a.get(b.len()) {
        let mut last = [0; 4];
        last.iter_mut().zip(rest).for_each(|(to, x)| *to = *x);
        add(a, &last);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn are_the_direct_sums(
            reference in proptest::collection::vec(-4_096i16..=4_096, 1..=80),
            signal in proptest::collection::vec(-4_096i16..=4_096, 1..=140),
        ) {
            let mut quarters = Quarters::EMPTY;
            quarters.take_apart(&reference, &signal);
            for lag in 0..signal.len() {
                let direct: i32 =
                    reference.iter().zip(&signal[lag..]).map(|(&h, &x)| i32::from(h) * i32::from(x)).sum();
                prop_assert_eq!(quarters.correlations(lag / 4)[lag % 4], direct);
            }
        }
    }
}

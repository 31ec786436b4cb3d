//! Brings sound of a multiple of 8 kHz to 8 kHz by averaging, for detectors whose bands end far below 4 kHz.
//!
//! The mean of N samples is a filter with zeros at all multiples of 8 kHz, from where sound would fold into a
//! detector's band. There is no delay. The cost is one addition for each sample, and one multiplication for each
//! output sample, in integers.

use crate::sample::Sample;

/// What is left of samples that were split between two calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EightKhz {
    /// Samples that make one: 1 to 6.
    factor: usize,
    /// The sample that is being summed, and how many are in it.
    sum: i32,
    summed: usize,
}

impl EightKhz {
    /// `factor` is the rate in units of 8 kHz: 1 to 6.
    pub(crate) const fn new(factor: usize) -> Self {
        Self { factor, sum: 0, summed: 0 }
    }

    /// The rate in units of 8 kHz.
    pub(crate) const fn factor(&self) -> usize {
        self.factor
    }

    /// Number of input samples until there are `samples` more at 8 kHz.
    pub(crate) const fn missing(&self, samples: usize) -> usize {
        samples * self.factor - self.summed
    }

    /// Takes in samples, at most those that [`Self::missing`] from `out`, and writes from its beginning. How many there are.
    #[inline]
    pub(crate) fn bring<S: Sample>(&mut self, mut pcm: &[S], out: &mut [i16]) -> usize {
        let mut count = 0;
        while self.summed > 0
            && let Some((sample, rest)) = pcm.split_first()
        {
            pcm = rest;
            if let Some(mean) = self.add(sample.to_i16()) {
                out.get_mut(count).into_iter().for_each(|slot| *slot = mean as i16);
                count += 1;
            }
        }
        let out = out.get_mut(count..).unwrap_or_default();
        let (whole, rest) = match self.factor {
            1 => means::<S, 1>(pcm, out),
            2 => means::<S, 2>(pcm, out),
            3 => means::<S, 3>(pcm, out),
            4 => means::<S, 4>(pcm, out),
            5 => means::<S, 5>(pcm, out),
            _ => means::<S, 6>(pcm, out),
        };
        for sample in rest {
            // Fewer than make one.
            let _ = self.add(sample.to_i16());
        }
        count + whole
    }

    fn add(&mut self, sample: i16) -> Option<i32> {
        self.sum += i32::from(sample);
        self.summed += 1;
        if self.summed < self.factor {
            return None;
        }
        let whole = mean(self.sum, self.factor);
        (self.sum, self.summed) = (0, 0);
        Some(whole)
    }
}

/// Puts the means of `N` samples each; how many there are, and the samples that are left.
#[inline(always)]
fn means<'a, S: Sample, const N: usize>(pcm: &'a [S], out: &mut [i16]) -> (usize, &'a [S]) {
    let (groups, rest) = pcm.as_chunks::<N>();
    for (slot, group) in out.iter_mut().zip(groups) {
        *slot = mean(group.iter().map(|sample| i32::from(sample.to_i16())).sum(), N) as i16;
    }
    (groups.len(), rest)
}

/// Mean of a sum over this many samples, rounded down.
#[inline(always)]
fn mean(sum: i32, factor: usize) -> i32 {
    match factor {
        1 => sum,
        2 => sum >> 1,
        4 => sum >> 2,
        // The reciprocal in 2^-13 is rounded down, so that no mean is beyond its samples.
        _ => (sum * (8_192 / factor) as i32) >> 13,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_any_length_are_the_same_as_one() {
        let pcm: [i16; 61] = core::array::from_fn(|n| (n as i16).wrapping_mul(7_919));
        for factor in 1..=6usize {
            let mut whole = [0; 61];
            let count = EightKhz::new(factor).bring(&pcm, &mut whole);
            assert_eq!(count, 61 / factor);
            for piece in 1..9 {
                let (mut brought, mut at, mut out) = (EightKhz::new(factor), 0, [0; 61]);
                for part in pcm.chunks(piece) {
                    at += brought.bring(part, &mut out[at..]);
                }
                assert_eq!(out[..at], whole[..count], "{factor}, {piece}");
                assert_eq!(brought.missing(2), 2 * factor - 61 % factor);
            }
        }
    }
}

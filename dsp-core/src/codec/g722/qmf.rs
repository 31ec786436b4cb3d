//! The quadrature mirror filters of ITU-T G.722, clause 5.2: 16 kHz sound to a lower (0 to 4 kHz) and a higher (4 to
//! 8 kHz) band at 8 kHz each, and back.
//!
//! Both are the same symmetric FIR filter of 24 taps (Q13). In the Recommendation's transmit filter, XA sums the even
//! taps and XB the odd ones, and the bands are XA + XB and XA - XB: here each band is one product of 24 taps, the
//! higher band's with every other sign turned, which vector units do in three steps; without one it is as in the
//! Recommendation. Sums are exact in 32 bits, so their order is free.
//!
//! Units: PCM 16 bits, band signals 15 bits (-16384 to 16383). Delay: 22 samples of 16 kHz, both filters together.
//! State: 22 samples in either.

use super::tables::QMF;
use crate::kernel::VECTORS;

/// Sample pairs (and so band samples) that one call takes at most. Where bands go one after the other, what each block costs besides
/// its samples is worth a longer one: 10 ms.
pub(super) const BLOCK: usize = if VECTORS { 16 } else { 80 };

/// Number of earlier samples that a filter needs.
const MEMORY: usize = 22;
/// Those of each band.
const OLD: usize = MEMORY / 2;

/// QMF with the sign of every other tap turned: what parts the higher band from the lower.
const MIRRORED: [i16; 24] = {
    let mut taps = QMF;
    let mut k = 0;
    while k < taps.len() {
        taps[k] = -taps[k];
        k += 2;
    }
    taps
};

/// The even taps for the sums of the bands, and the odd ones for their differences.
const fn every_other(first: usize) -> [i16; 12] {
    let mut taps = [0; 12];
    let mut i = 0;
    while i < taps.len() {
        taps[i] = QMF[2 * i + first];
        i += 1;
    }
    taps
}
const EVEN: [i16; 12] = every_other(0);
const ODD: [i16; 12] = every_other(1);

#[inline(always)]
fn dot<const N: usize>(a: &[i16; N], b: &[i16; N]) -> i32 {
    let mut sum = 0;
    for i in 0..N {
        sum += i32::from(a[i]) * i32::from(b[i]);
    }
    sum
}

/// The products of both bands by XA and XB, in half as many multiplications.
#[inline(always)]
fn sum_and_difference(line: &[i16; 24]) -> (i32, i32) {
    let (mut even, mut odd) = (0, 0);
    for i in 0..12 {
        even += i32::from(line[2 * i]) * i32::from(QMF[2 * i]);
        odd += i32::from(line[2 * i + 1]) * i32::from(QMF[2 * i + 1]);
    }
    (odd + even, odd - even)
}

/// One of the two bands: a block of 15-bit samples.
pub(super) type Band = [i16; BLOCK];

/// Sound to bands.
#[derive(Clone, Debug)]
pub(super) struct Analysis {
    memory: [i16; MEMORY],
}

impl Analysis {
    pub(super) const fn new() -> Self {
        Self { memory: [0; MEMORY] }
    }

    /// A filter that has heard this.
    pub(super) const fn after(sound: &[i16; MEMORY]) -> Self {
        Self { memory: *sound }
    }

    /// Splits at most [`BLOCK`] pairs of samples; further pairs are not read.
    #[inline]
    pub(super) fn split(&mut self, pcm: &[[i16; 2]], lower: &mut Band, higher: &mut Band) {
        let mut line = [0; MEMORY + 2 * BLOCK];
        let pairs = pcm.len().min(BLOCK);
        line[..MEMORY].copy_from_slice(&self.memory);
        line[MEMORY..MEMORY + 2 * pairs].copy_from_slice(pcm[..pairs].as_flattened());
        for i in 0..pairs {
            let taps = line[2 * i..].first_chunk().expect("24 samples end each pair");
            let (low, high) = if VECTORS { (dot(taps, &QMF), dot(taps, &MIRRORED)) } else { sum_and_difference(taps) };
            lower[i] = limit(low >> 14);
            higher[i] = limit(high >> 14);
        }
        self.memory.copy_from_slice(&line[2 * pairs..2 * pairs + MEMORY]);
    }
}

/// LOWT, HIGHT and LIMIT: to 15 bits.
#[inline(always)]
pub(super) fn limit(x: i32) -> i16 {
    x.clamp(-16384, 16383) as i16
}

/// Bands to sound.
#[derive(Clone, Debug)]
pub(super) struct Synthesis {
    /// Differences of the bands (XD), oldest first.
    differences: [i16; OLD],
    /// Sums of the bands (XS), oldest first.
    sums: [i16; OLD],
}

impl Synthesis {
    pub(super) const fn new() -> Self {
        Self { differences: [0; OLD], sums: [0; OLD] }
    }

    /// Sums and differences of the bands, behind those from before.
    #[inline(always)]
    fn lines(&self, lower: &Band, higher: &Band) -> [[i16; OLD + BLOCK]; 2] {
        let (mut differences, mut sums) = ([0; OLD + BLOCK], [0; OLD + BLOCK]);
        differences[..OLD].copy_from_slice(&self.differences);
        sums[..OLD].copy_from_slice(&self.sums);
        for i in 0..BLOCK {
            // Two numbers of 15 bits: neither can overflow.
            differences[OLD + i] = lower[i] - higher[i];
            sums[OLD + i] = lower[i] + higher[i];
        }
        [differences, sums]
    }

    /// Keeps what the next pairs need, behind so many.
    #[inline(always)]
    fn keep(&mut self, [differences, sums]: &[[i16; OLD + BLOCK]; 2], pairs: usize) {
        self.differences.copy_from_slice(&differences[pairs..pairs + OLD]);
        self.sums.copy_from_slice(&sums[pairs..pairs + OLD]);
    }

    /// As [`join`](Self::join), for sound that nobody hears.
    pub(super) fn hear(&mut self, lower: &Band, higher: &Band, pairs: usize) {
        let lines = self.lines(lower, higher);
        self.keep(&lines, pairs.min(BLOCK));
    }

    /// Joins at most [`BLOCK`] samples of each band into as many pairs as `pcm` has; further pairs are not written.
    #[inline]
    pub(super) fn join(&mut self, lower: &Band, higher: &Band, pcm: &mut [[i16; 2]]) {
        let lines = self.lines(lower, higher);
        let [differences, sums] = &lines;
        let pairs = pcm.len().min(BLOCK);
        for (i, pair) in pcm[..pairs].iter_mut().enumerate() {
            let difference = differences[i..].first_chunk().expect("12 differences end each pair");
            let sum = sums[i..].first_chunk().expect("12 sums end each pair");
            *pair = [saturate(dot(difference, &ODD) >> 11), saturate(dot(sum, &EVEN) >> 11)];
        }
        self.keep(&lines, pairs);
    }
}

#[inline(always)]
pub(super) fn saturate(x: i32) -> i16 {
    x.clamp(i16::MIN as i32, i16::MAX as i32) as i16
}

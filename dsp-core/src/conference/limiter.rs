//! The limiter of a conference: one gain for all listeners, without delay.
//!
//! What a listener hears is the sum less his own frame, which lies between the sum less the highest and the sum less
//! the lowest sample of any port. So one look at the sum bounds what everybody hears, and nothing is changed as long
//! as that is below the threshold. Otherwise the frame is divided into pieces of 1 ms (or a 16th of the frame, if that
//! is longer), rounded to multiples of 16 samples, which is 2 ms at 8 kHz. Each piece gets the gain that its highest
//! bound needs, and the gain moves in straight lines from piece to piece: down in the piece before the one that needs
//! it, and up by 67 dB/s once it has not been needed for 20 ms. A frame that is too loud from its first sample has no
//! piece before it: the gain then falls within the first piece, and what is above the threshold goes through a smooth
//! curve that never reaches full scale.
//!
//! One gain for all keeps the balance of the voices the same for everybody, and costs one computation for each frame.

use super::sum::{Sum, TILE};

/// Where limiting begins: -1 dBov.
pub(super) const THRESHOLD: i32 = 29_204;
/// What the curve has between the threshold and full scale.
const KNEE: i64 = 32_767 - THRESHOLD as i64;
/// Pieces of a frame, at most.
const PIECES: usize = 16;
/// A gain of 0 dB, in 2^-30.
const UNITY: u32 = 1 << 30;
/// In which the gain doubles, at first order: 67 dB/s.
const RELEASE_MS: u32 = 130;
/// For which the gain stays after it was needed.
const HOLD_MS: u32 = 20;

/// What the limiter of a conference has done. It acts only where the sum of the voices would exceed -1 dBov.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LimiterStats {
    /// Lowest gain in the last frame, in hundredths of a decibel; 0 if the limiter did not act.
    pub gain_hundredths_db: i16,
    /// Frames in which the limiter acted.
    pub limited_frames: u64,
    /// Frames that were too loud from their first sample, so that their first millisecond or two went through a soft
    /// clipping curve.
    pub bent_frames: u64,
}

/// The plan of one frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct MixLimiter<const SAMPLES: usize> {
    /// At the end of the frame, in 2^-30.
    gain: u32,
    /// Samples until it may go up.
    hold: u32,
    piece_samples: usize,
    hold_samples: u32,
    release_samples: u32,
    /// Whether the gain of this frame isn't 0 dB throughout.
    working: bool,
    /// Samples at its beginning that go through the curve; the gain before them and its change a sample, in 2^-30.
    bent: usize,
    bent_gain: u32,
    bent_step: i32,
    /// What comes after them: the sum with its gain, rounded down, its lower 16 bits (at rest: the sum's); and the gain of each
    /// sample in 2^-16, less 1 from a half on, which its sign then says.
    sum: [i16; SAMPLES],
    gains: [i16; SAMPLES],
    /// Whether all of these gains are below a half.
    low: bool,
    /// The lowest gain of the frame.
    lowest: u32,
    stats: LimiterStats,
}

impl<const SAMPLES: usize> MixLimiter<SAMPLES> {
    const SILENCE: [i16; SAMPLES] = [0; SAMPLES];

    /// At rest.
    pub(super) fn new(sample_rate_hz: u32, frame_samples: usize) -> Self {
        Self {
            gain: UNITY,
            hold: 0,
            piece_samples: frame_samples.div_ceil(PIECES).max((sample_rate_hz / 1_000) as usize).next_multiple_of(TILE),
            hold_samples: sample_rate_hz / 1_000 * HOLD_MS,
            release_samples: sample_rate_hz / 1_000 * RELEASE_MS,
            working: false,
            bent: 0,
            bent_gain: UNITY,
            bent_step: 0,
            sum: [0; SAMPLES],
            gains: [0; SAMPLES],
            low: false,
            lowest: UNITY,
            stats: LimiterStats::default(),
        }
    }

    pub(super) fn stats(&self) -> LimiterStats {
        let power = (u64::from(self.lowest) * u64::from(self.lowest)) >> 14;
        let gain_hundredths_db =
            if self.lowest == UNITY { 0 } else { crate::process::decibel::hundredths_of_power(power.max(1)) };
        LimiterStats { gain_hundredths_db, ..self.stats }
    }

    /// Plans the gain of a frame by its sum, and by the highest and lowest sample of its ports.
    pub(super) fn plan(&mut self, frame: &Sum<SAMPLES>, samples: usize) {
        let (sum, highest, lowest) = (&frame.sum[..samples], &frame.highest[..samples], &frame.lowest[..samples]);
        self.working = !self.fits(sum, highest, lowest) || self.gain != UNITY;
        self.lowest = UNITY;
        if self.working {
            let shift = narrowing(sum);
            let mut peaks = [0u32; PIECES];
            let pieces = sum.chunks(self.piece_samples);
            let bounds = highest.chunks(self.piece_samples).zip(lowest.chunks(self.piece_samples));
            for ((at, sum), (highest, lowest)) in peaks.iter_mut().zip(pieces).zip(bounds) {
                *at = peak(sum, highest, lowest, shift);
            }
            self.stats.limited_frames += 1;
            self.descend(&peaks, sum);
        }
    }

    /// Whether what anybody hears is below the threshold; then the sum is in `self.sum`. In 16 bits, for vectors: a difference
    /// that saturates is beyond the threshold in any case.
    fn fits(&mut self, sum: &[i32], highest: &[i16], lowest: &[i16]) -> bool {
        let (mut up, mut down) = (0, 0);
        for (((to, &sum), &high), &low) in self.sum.iter_mut().zip(sum).zip(highest).zip(lowest) {
            *to = sum.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
            up = to.saturating_sub(low).max(up);
            down = to.saturating_sub(high).min(down);
        }
        up.unsigned_abs().max(down.unsigned_abs()) <= THRESHOLD as u16
    }

    /// Plans a frame in which the gain is not 0 dB throughout.
    fn descend(&mut self, peaks: &[u32; PIECES], sum: &[i32]) {
        let samples = sum.len();
        let pieces = samples.div_ceil(self.piece_samples);
        let needed = |piece: usize| peaks.get(piece).map_or(UNITY, |&peak| gain_for(peak));
        let mut next = needed(0);
        self.bent = 0;
        for piece in 0..pieces {
            let first = piece * self.piece_samples;
            let count = self.piece_samples.min(samples - first);
            let (from, need) = (self.gain, next);
            next = needed(piece + 1);
            let to = self.next_gain(from, need, next, count as u32);
            // A division is slow, and held gains are usual.
            let step = if to == from { 0 } else { (to as i32 - from as i32) / count as i32 };
            (self.gain, self.lowest) = (to, self.lowest.min(to));
            // The first piece alone can begin with a gain that is too high for it.
            if from > need {
                (self.bent, self.bent_gain, self.bent_step) = (count, from, step);
                self.stats.bent_frames += 1;
                continue;
            }
            let gains = &mut self.gains[first..first + count];
            if step == 0 {
                gains.fill(gain_q16(from));
            } else {
                gains.iter_mut().zip(1..).for_each(|(gain, n)| *gain = gain_q16((from as i32 + n * step) as u32));
            }
        }
        let mut signs = 0;
        for ((limited, &sum), &gain_q16) in self.sum.iter_mut().zip(sum).zip(&self.gains) {
            signs |= gain_q16;
            // In two halves of 16 bits, as vectors do it.
            let lower = (u32::from(sum as u16) * u32::from(gain_q16 as u16)) >> 16;
            *limited = ((sum >> 16) as i16).wrapping_mul(gain_q16).wrapping_add(lower as i16);
        }
        self.low = signs >= 0;
    }

    /// The gain at the end of a piece that needs `need`, before one that needs `next`.
    fn next_gain(&mut self, from: u32, need: u32, next: u32, samples: u32) -> u32 {
        let lowest = need.min(next);
        // Within half a decibel of being too high.
        if lowest != UNITY && u64::from(lowest) * 17 <= u64::from(from) * 18 {
            self.hold = self.hold_samples;
        } else {
            self.hold = self.hold.saturating_sub(samples);
        }
        if self.hold != 0 {
            return from.min(lowest);
        }
        let up = from + (u64::from(from) * u64::from(samples) / u64::from(self.release_samples)) as u32;
        up.min(UNITY).min(lowest)
    }

    /// Writes the sum.
    pub(super) fn all(&self, sum: &[i32], out: &mut [i16]) {
        if self.working {
            return self.limited(sum, &Self::SILENCE[..sum.len()], out);
        }
        out.copy_from_slice(&self.sum[..sum.len()]);
    }

    /// Writes the sum without `own`.
    pub(super) fn others(&self, sum: &[i32], own: &[i16], out: &mut [i16]) {
        if self.working {
            return self.limited(sum, own, out);
        }
        // All that anybody hears is below the threshold, the sum too, and so fits 16 bits.
        for ((out, &sum), &own) in out.iter_mut().zip(&self.sum[..sum.len()]).zip(own) {
            *out = sum.wrapping_sub(own);
        }
    }

    /// Writes the sum without `own`, with the gain that was planned.
    fn limited(&self, sum: &[i32], own: &[i16], out: &mut [i16]) {
        let (now, later) = out.split_at_mut(self.bent.min(sum.len()));
        let mut gain = self.bent_gain;
        for ((out, &sum), &own) in now.iter_mut().zip(sum).zip(own) {
            gain = gain.wrapping_add_signed(self.bent_step);
            *out = bent((i64::from(sum - i32::from(own)) * i64::from(gain)) >> 30);
        }
        // The sum and one's own are both rounded down, so their difference has the sign of the exact one and is off by less than
        // 1. It is below the threshold, so it fits 16 bits although its terms may not.
        let from = now.len()..sum.len();
        let planned = self.sum[from.clone()].iter().zip(&self.gains[from.clone()]);
        let frames = later.iter_mut().zip(planned).zip(&own[from]);
        let upper = |own: i16, gain_q16: i16| ((i32::from(own) * i32::from(gain_q16)) >> 16) as i16;
        if self.low {
            for ((out, (&sum, &gain_q16)), &own) in frames {
                *out = sum.wrapping_sub(upper(own, gain_q16));
            }
        } else {
            for ((out, (&sum, &gain_q16)), &own) in frames {
                *out = sum.wrapping_sub(upper(own, gain_q16)).wrapping_sub(own & (gain_q16 >> 15));
            }
        }
    }
}

/// A gain of 2^-30 in 2^-16. 1 itself is a 65,536th less.
#[inline]
fn gain_q16(gain_q30: u32) -> i16 {
    (gain_q30 >> 14).min(0xffff) as u16 as i16
}

/// The gain that brings a peak to the threshold, or up to 0.0006 dB below it: by a division of 32 bits.
#[inline]
fn gain_for(peak: u32) -> u32 {
    if peak <= THRESHOLD as u32 {
        return UNITY;
    }
    let shift = (16 - peak.leading_zeros() as i32).max(0);
    let upper = (peak >> shift) + u32::from(shift > 0);
    (((THRESHOLD as u32) << 16) / upper) << 14 >> shift
}

/// Number of bits by which sums are shifted down, so that the difference of a sum and a sample fits into 16 bits.
#[inline]
fn narrowing(sum: &[i32]) -> u32 {
    let bits = sum.iter().fold(0, |bits, &sum| bits | (sum ^ (sum >> 31)));
    // Differences have one bit more, and a sign.
    18u32.saturating_sub(bits.leading_zeros()).max(1)
}

/// The highest magnitude that any listener could hear, or a little more, in steps of `1 << shift`. In 16 bits, for vectors.
#[inline]
fn peak(sum: &[i32], highest: &[i16], lowest: &[i16], shift: u32) -> u32 {
    let of = |sum: i32, high: i16, low: i16| {
        let sum = (sum >> shift) as i16;
        sum.wrapping_sub(low >> shift).max((high >> shift).wrapping_sub(sum))
    };
    let ((sums, sum), (highs, high)) = (sum.as_chunks::<TILE>(), highest.as_chunks::<TILE>());
    let (lows, low) = lowest.as_chunks::<TILE>();
    let mut peaks = [0; TILE];
    for ((sum, high), low) in sums.iter().zip(highs).zip(lows) {
        for n in 0..TILE {
            peaks[n] = of(sum[n], high[n], low[n]).max(peaks[n]);
        }
    }
    let mut peak = peaks.iter().fold(0, |peak, &other| other.max(peak));
    for ((&sum, &high), &low) in sum.iter().zip(high).zip(low) {
        peak = of(sum, high, low).max(peak);
    }
    // Both terms were rounded down, so their difference is off by less than a step.
    (u32::from(peak.unsigned_abs()) + 1) << shift
}

/// A sample of any height by the curve: unchanged up to the threshold, then with a slope that falls from 1 to 0.
#[inline]
fn bent(sample: i64) -> i16 {
    let above = sample.abs() - i64::from(THRESHOLD);
    let magnitude = if above <= 0 { sample.abs() } else { i64::from(THRESHOLD) + KNEE * above / (KNEE + above) };
    (magnitude * sample.signum()) as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Of up to 1,000 ports: never below the true peak, and above it by no more than is told.
        #[test]
        fn bounds_and_gains_are_safe_and_close(
            sums in proptest::collection::vec(-33_000_000i32..=33_000_000, 1..40),
            high in 0i16..=i16::MAX, low in i16::MIN..=0,
        ) {
            let (highest, lowest) = (std::vec![high; sums.len()], std::vec![low; sums.len()]);
            let shift = narrowing(&sums);
            let found = peak(&sums, &highest, &lowest, shift);
            let exact = sums.iter().map(|&sum| (sum - i32::from(low)).max(i32::from(high) - sum)).max().unwrap().unsigned_abs();
            prop_assert!((exact..=exact + (2 << shift)).contains(&found), "{found} where {exact} is due");
            let limited = u64::from(gain_for(found)) * u64::from(found);
            let threshold = (THRESHOLD as u64) << 30;
            // 0.0006 dB.
            prop_assert!(gain_for(found) == UNITY || (limited <= threshold && limited > threshold / 100_000 * 99_993));
        }
    }
}

//! The limiter of a conference: one gain for all listeners, without delay.
//!
//! What a listener hears, the sum less his own frame, lies between the sum less the highest and the sum less the lowest
//! sample of any port. So one look at the sum bounds what everybody hears, and while that is below the threshold nothing
//! is changed. Above it the frame is cut into pieces of 1 ms (or a 16th of the frame, if that is longer). Each has the
//! gain that its highest bound needs, and the gain goes in straight lines from piece to piece: down in the piece before
//! the one that needs it, and up by 67 dB/s after it was needed for the last time 20 ms ago. A frame that is too loud from
//! its beginning on has no piece before it: there the gain goes down within the first piece, and what is above the
//! threshold is bent by a smooth curve that never reaches full scale.
//!
//! One gain for all keeps the balance of the voices the same for everybody, and costs one computation a frame.

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

/// What the limiter of a conference does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LimiterStats {
    /// The lowest gain in the last frame, in hundredths of a decibel: 0 if the limiter was at rest.
    pub gain_hundredths_db: i16,
    /// Frames in which it was not at rest.
    pub limited_frames: u64,
    /// Frames that began too loud, so that up to 1 ms of them was bent by the curve.
    pub bent_frames: u64,
}

/// A part of a frame in which all sums are shifted by the same number of bits, so that they fit 16.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    samples: usize,
    shift: u8,
}

/// The plan of one frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limiter<const SAMPLES: usize> {
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
    /// What comes after them.
    runs: [Run; PIECES],
    /// The sum shifted by `shift` of its run, its lower 16 bits; and the gain of each sample times 2^`shift`, in 2^-14.
    sum: [i16; SAMPLES],
    gains: [i16; SAMPLES],
    /// The lowest gain of the frame.
    lowest: u32,
    stats: LimiterStats,
}

impl<const SAMPLES: usize> Limiter<SAMPLES> {
    const SILENCE: [i16; SAMPLES] = [0; SAMPLES];

    /// At rest.
    pub(super) fn new(sample_rate_hz: u32, frame_samples: usize) -> Self {
        Self {
            gain: UNITY,
            hold: 0,
            piece_samples: frame_samples.div_ceil(PIECES).max((sample_rate_hz / 1_000) as usize),
            hold_samples: sample_rate_hz / 1_000 * HOLD_MS,
            release_samples: sample_rate_hz / 1_000 * RELEASE_MS,
            working: false,
            bent: 0,
            bent_gain: UNITY,
            bent_step: 0,
            runs: [Run::default(); PIECES],
            sum: [0; SAMPLES],
            gains: [0; SAMPLES],
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
    pub(super) fn plan(&mut self, sum: &[i32], highest: &[i16], lowest: &[i16]) {
        // In one go: pieces are short, and at rest nobody needs them.
        self.working = self.gain != UNITY || peak(sum, highest, lowest) > THRESHOLD as u32;
        self.lowest = UNITY;
        if self.working {
            let mut peaks = [0u32; PIECES];
            let pieces = sum.chunks(self.piece_samples);
            let bounds = highest.chunks(self.piece_samples).zip(lowest.chunks(self.piece_samples));
            for ((at, sum), (highest, lowest)) in peaks.iter_mut().zip(pieces).zip(bounds) {
                *at = peak(sum, highest, lowest);
            }
            self.stats.limited_frames += 1;
            self.descend(&peaks, sum);
        }
    }

    /// Plans a frame in which the gain is not 0 dB throughout.
    fn descend(&mut self, peaks: &[u32; PIECES], sum: &[i32]) {
        let samples = sum.len();
        let pieces = samples.div_ceil(self.piece_samples);
        let needed = |piece: usize| match peaks.get(piece) {
            Some(&peak) if peak > THRESHOLD as u32 => (((THRESHOLD as u64) << 30) / u64::from(peak)) as u32,
            _ => UNITY,
        };
        self.bent = 0;
        self.runs = [Run::default(); PIECES];
        let mut run = 0;
        for piece in 0..pieces {
            let first = piece * self.piece_samples;
            let count = self.piece_samples.min(samples - first);
            let (from, need) = (self.gain, needed(piece));
            let to = self.next_gain(from, need, needed(piece + 1), count as u32);
            let step = (to as i32 - from as i32) / count as i32;
            (self.gain, self.lowest) = (to, self.lowest.min(to));
            // The first piece alone can begin with a gain that is too high for it.
            if from > need {
                (self.bent, self.bent_gain, self.bent_step) = (count, from, step);
                self.stats.bent_frames += 1;
                continue;
            }
            let shift = (from.max(to).leading_zeros() - 1) as u8;
            if self.runs[run].samples != 0 && self.runs[run].shift != shift {
                run += 1;
            }
            self.runs[run] = Run { samples: self.runs[run].samples + count, shift };
            let mut gain = from as i32;
            let piece = first..first + count;
            let plan = self.gains[piece.clone()].iter_mut().zip(&mut self.sum[piece.clone()]);
            for ((gain_q14, shifted), &sum) in plan.zip(&sum[piece]) {
                gain += step;
                // 1 to 2. What it multiplies is then within 16 bits, for the product of both is below the threshold; so its
                // terms may wrap.
                *gain_q14 = (gain >> (16 - u32::from(shift))) as i16;
                *shifted = (sum >> shift) as i16;
            }
        }
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
        out.iter_mut().zip(sum).for_each(|(out, &sum)| *out = saturated(sum));
    }

    /// Writes the sum without `own`.
    pub(super) fn others(&self, sum: &[i32], own: &[i16], out: &mut [i16]) {
        if self.working {
            return self.limited(sum, own, out);
        }
        for ((out, &sum), &own) in out.iter_mut().zip(sum).zip(own) {
            *out = saturated(sum - i32::from(own));
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
        let mut at = now.len();
        for run in self.runs.iter().filter(|run| run.samples != 0) {
            let end = (at + run.samples).min(sum.len());
            let planned = self.sum[at..end].iter().zip(&self.gains[at..end]);
            for ((out, (&sum, &gain_q14)), &own) in later[at - now.len()..].iter_mut().zip(planned).zip(&own[at..end]) {
                let others = sum.wrapping_sub(own >> run.shift);
                *out = saturated((i32::from(others) * i32::from(gain_q14) + (1 << 13)) >> 14);
            }
            at = end;
        }
    }
}

/// The highest magnitude that any listener could hear.
#[inline]
fn peak(sum: &[i32], highest: &[i16], lowest: &[i16]) -> u32 {
    let (mut up, mut down) = (0, 0);
    for ((&sum, &high), &low) in sum.iter().zip(highest).zip(lowest) {
        up = (sum - i32::from(low)).max(up);
        down = (sum - i32::from(high)).min(down);
    }
    up.unsigned_abs().max(down.unsigned_abs())
}

#[inline]
fn saturated(sum: i32) -> i16 {
    sum.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

/// A sample of any height by the curve: unchanged up to the threshold, then with a slope that falls from 1 to 0.
#[inline]
fn bent(sample: i64) -> i16 {
    let above = sample.abs() - i64::from(THRESHOLD);
    let magnitude = if above <= 0 { sample.abs() } else { i64::from(THRESHOLD) + KNEE * above / (KNEE + above) };
    (magnitude * sample.signum()) as i16
}

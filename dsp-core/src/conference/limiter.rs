//! The limiter of a conference: one gain for all listeners, without delay.
//!
//! What a listener hears, the sum less his own frame, lies between the sum less the highest and the sum less the lowest
//! sample of any port, so one look at the sum bounds what everybody hears; while that is below the threshold nothing is
//! changed. Above it the frame is cut into pieces of 1 ms or a 16th of it, whichever is longer; each has the
//! gain that its highest bound needs, and the gain goes in straight lines from piece to piece, down in the piece before the
//! one that needs it and up with a time constant of 130 ms, the last 3 % in a straight line. A frame that is too loud from its beginning on has no
//! piece before it: there the gain goes down within the first piece, and what is above the threshold is bent by a
//! smooth curve that never reaches full scale.
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
/// In which the gain goes 63 % of its way back.
const RELEASE_MS: u32 = 130;

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

/// A part of a frame.
#[derive(Clone, Copy, Debug, Default)]
struct Piece {
    /// Gain before its first sample, in 2^-30, and its change a sample.
    gain: u32,
    step: i32,
    /// Bits by which sums are shifted so that they fit 16.
    shift: u8,
    /// Whether something stays above the threshold: samples go through the curve.
    bent: bool,
}

/// The plan of one frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limiter<const SAMPLES: usize> {
    /// At the end of the frame, in 2^-30.
    gain: u32,
    piece_samples: usize,
    release_samples: u32,
    working: bool,
    pieces: [Piece; PIECES],
    /// The gain of each sample times 2^`shift` of its piece, in 2^-14; not of bent pieces.
    gains: [i16; SAMPLES],
    stats: LimiterStats,
    lowest: u32,
}

impl<const SAMPLES: usize> Limiter<SAMPLES> {
    /// At rest.
    pub(super) fn new(sample_rate_hz: u32, frame_samples: usize) -> Self {
        Self {
            gain: UNITY,
            piece_samples: frame_samples.div_ceil(PIECES).max((sample_rate_hz / 1_000) as usize),
            release_samples: sample_rate_hz / 1_000 * RELEASE_MS,
            working: false,
            pieces: [Piece::default(); PIECES],
            gains: [0; SAMPLES],
            stats: LimiterStats::default(),
            lowest: UNITY,
        }
    }

    pub(super) fn stats(&self) -> LimiterStats {
        let power = u64::from(self.lowest) * u64::from(self.lowest) >> 14;
        let gain_hundredths_db =
            if self.lowest == UNITY { 0 } else { crate::process::decibel::hundredths_of_power(power.max(1)) };
        LimiterStats { gain_hundredths_db, ..self.stats }
    }

    /// Plans the gain of a frame by its sum, and by the highest and lowest sample of its ports.
    pub(super) fn plan(&mut self, sum: &[i32], highest: &[i16], lowest: &[i16]) {
        let mut peaks = [0u32; PIECES];
        let pieces = sum.chunks(self.piece_samples);
        let bounds = highest.chunks(self.piece_samples).zip(lowest.chunks(self.piece_samples));
        for ((peak, sum), (highest, lowest)) in peaks.iter_mut().zip(pieces).zip(bounds) {
            let (mut up, mut down) = (0, 0);
            for ((&sum, &high), &low) in sum.iter().zip(highest).zip(lowest) {
                up = (sum - i32::from(low)).max(up);
                down = (sum - i32::from(high)).min(down);
            }
            *peak = up.unsigned_abs().max(down.unsigned_abs());
        }
        let loudest = peaks.iter().fold(0, |a, &b| b.max(a));
        self.working = self.gain != UNITY || loudest > THRESHOLD as u32;
        self.lowest = UNITY;
        if self.working {
            self.stats.limited_frames += 1;
            self.descend(&peaks, sum.len());
        }
    }

    /// Plans a frame in which the gain is not 0 dB throughout.
    fn descend(&mut self, peaks: &[u32; PIECES], samples: usize) {
        let pieces = samples.div_ceil(self.piece_samples).min(PIECES);
        let needed = |piece: usize| -> u32 {
            match peaks.get(piece).copied() {
                Some(peak) if peak > THRESHOLD as u32 => ((THRESHOLD as u64) << 30).div_euclid(u64::from(peak)) as u32,
                _ => UNITY,
            }
        };
        let mut bent = false;
        for piece in 0..pieces {
            let first = piece * self.piece_samples;
            let count = self.piece_samples.min(samples - first);
            let from = self.gain;
            let way = u64::from(UNITY - from).max(u64::from(UNITY) / 32);
            let back = from + (way * count as u64 / u64::from(self.release_samples)) as u32;
            let next = if piece + 1 < pieces { needed(piece + 1) } else { UNITY };
            let to = back.min(UNITY).min(needed(piece)).min(next);
            let step = (to as i32 - from as i32) / count as i32;
            // The first piece alone can begin with a gain that is too high for it.
            let plan = Piece {
                gain: from,
                step,
                // What is next to a power of two would be rounded up to it.
                shift: (32 - ((peaks[piece] + (peaks[piece] >> 14)) >> 15).leading_zeros()) as u8,
                bent: from > needed(piece),
            };
            bent |= plan.bent;
            if !plan.bent {
                let mut gain = from as i32;
                for q14 in &mut self.gains[first..first + count] {
                    gain += step;
                    // Below 2 after the shift, for the gain is at most the threshold divided by the peak, and 0 dB where the
                    // shift is 0.
                    *q14 = (gain >> (16 - u32::from(plan.shift))) as i16;
                }
            }
            self.pieces[piece] = plan;
            self.lowest = self.lowest.min(to);
            self.gain = to;
        }
        self.stats.bent_frames += u64::from(bent);
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

    const SILENCE: [i16; SAMPLES] = [0; SAMPLES];

    /// Writes the sum without `own`, with the gain that was planned.
    fn limited(&self, sum: &[i32], own: &[i16], out: &mut [i16]) {
        let pieces = sum.chunks(self.piece_samples).zip(own.chunks(self.piece_samples));
        let pieces = pieces.zip(out.chunks_mut(self.piece_samples)).zip(self.gains.chunks(self.piece_samples));
        for ((((sum, own), out), gains), piece) in pieces.zip(&self.pieces) {
            if piece.bent {
                let mut gain = piece.gain as i32;
                for ((out, &sum), &own) in out.iter_mut().zip(sum).zip(own) {
                    gain += piece.step;
                    *out = bent((i64::from(sum - i32::from(own)) * i64::from(gain)) >> 30);
                }
                continue;
            }
            let half = (1 << piece.shift) >> 1;
            for (((out, &sum), &own), &gain_q14) in out.iter_mut().zip(sum).zip(own).zip(gains) {
                // 16 bits by 16 bits, which processors with vectors multiply eight at a time.
                let sample = ((sum - i32::from(own) + half) >> piece.shift) as i16;
                *out = ((i32::from(sample) * i32::from(gain_q14) + (1 << 13)) >> 14) as i16;
            }
        }
    }
}

fn saturated(sum: i32) -> i16 {
    sum.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

/// A sample of any height by the curve: unchanged up to the threshold, then with a slope that falls from 1 to 0.
fn bent(sample: i64) -> i16 {
    let above = sample.abs() - i64::from(THRESHOLD);
    let magnitude = if above <= 0 { sample.abs() } else { i64::from(THRESHOLD) + KNEE * above / (KNEE + above) };
    (magnitude * sample.signum()) as i16
}

//! The far end as the canceller reads it: at a position of its own in the render history, between two samples if the
//! clocks of loudspeaker and microphone drift, and at a half or a third of the history's sample rate if the call is
//! wider.
//!
//! The interpolator is a windowed sinc of 24 taps, counted at the lower rate, in 64 phases with linear interpolation
//! between neighbours. It is flat within 0.1 dB up to 0.8 of the band. At whole positions of the same rate it is a
//! copy. It adds no delay, since it reads ahead.

use crate::front::Render;
use crate::process::resample::Prototype;

const TAPS: usize = 24;
const PHASES: usize = 64;
/// From one phase to the next, in 2^-32 of a sample.
const BETWEEN: u64 = (1 << 32) / PHASES as u64;
/// Samples of the history that a block needs at most: 480 and the filter's reach, both at 48 kHz.
const MOST: usize = 480 + 3 * TAPS + 8;

/// One row for each phase, and the first one of the next sample.
const fn table<const N: usize>(ratio: usize) -> [[f32; N]; PHASES + 1] {
    let filter = Prototype::new((N / 2) as f64, 1.0 / ratio as f64, 80.0);
    let mut table = [[0.0; N]; PHASES + 1];
    let mut phase = 0;
    while phase <= PHASES {
        let mut tap = 0;
        while tap < N {
            let time = tap as f64 - (N / 2 - 1) as f64 - phase as f64 / PHASES as f64;
            table[phase][tap] = filter.at(time) as f32;
            tap += 1;
        }
        phase += 1;
    }
    table
}

static SAME: [[f32; TAPS]; PHASES + 1] = table(1);
static HALF: [[f32; 2 * TAPS]; PHASES + 1] = table(2);
static THIRD: [[f32; 3 * TAPS]; PHASES + 1] = table(3);

/// Two neighbouring rows of the filter for reading at a `RATIO`th of the history's rate.
#[inline(always)]
fn rows<const RATIO: usize>(phase: usize) -> [&'static [f32]; 2] {
    match RATIO {
        1 => [&SAME[phase], &SAME[phase + 1]],
        2 => [&HALF[phase], &HALF[phase + 1]],
        _ => [&THIRD[phase], &THIRD[phase + 1]],
    }
}

/// A position in the history: samples at its rate, and 2^-32 of a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) sample: i64,
    pub(super) fraction: u32,
}

impl Position {
    /// The position later by this many 2^-32 of a sample.
    pub(super) fn later(self, parts: u64) -> Self {
        let sum = u64::from(self.fraction) + (parts & 0xffff_ffff);
        Self { sample: self.sample + (parts >> 32) as i64 + (sum >> 32) as i64, fraction: sum as u32 }
    }

    /// The position earlier by this many 2^-32 of a sample.
    pub(super) fn earlier(self, parts: u64) -> Self {
        let (fraction, borrows) = self.fraction.overflowing_sub(parts as u32);
        Self { sample: self.sample - (parts >> 32) as i64 - i64::from(borrows), fraction }
    }

    /// Samples after `other`, which is at a whole position.
    pub(super) fn after(self, other: i64) -> f32 {
        (self.sample - other) as f32 + self.fraction as f32 / 4_294_967_296.0
    }
}

/// How exactly a place between two samples is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Precision {
    /// Between two phases of the filter.
    Between,
    /// At the nearest phase, a 128th of a sample off at most: half the time, and 35 dB of a tone at 3/4 of the band are
    /// right.
    Phase,
}

/// How far a sample of the lower rate is from the next, in 2^-32 samples of the history, when the loudspeaker's clock is
/// `ppm` faster than the microphone's.
pub(super) fn step<const RATIO: usize>(ppm: f32) -> u64 {
    (((RATIO as i64) << 32) + (ppm * RATIO as f32 * 4_294.967_3) as i64) as u64
}

/// Reads a block from `from` on, at `step` from sample to sample.
pub(super) fn read<const B: usize, const RATIO: usize>(
    render: &Render<'_>,
    channel: usize,
    from: Position,
    step: u64,
    precision: Precision,
    out: &mut [f32; B],
) {
    let reach = RATIO * TAPS / 2 - 1;
    let mut pcm = [0i16; MOST];
    let scale = 1.0 / 32_768.0;
    if RATIO == 1 && from.fraction == 0 && step == 1 << 32 {
        let pcm = &mut pcm[..B];
        render.read_position(from.sample, channel, pcm);
        out.iter_mut().zip(pcm).for_each(|(out, pcm)| *out = f32::from(*pcm) * scale);
        return;
    }
    let need = (B * RATIO + 2 * reach + 10).min(MOST);
    render.read_position(from.sample.saturating_sub(reach as i64), channel, &mut pcm[..need]);
    let mut far = [0f32; MOST];
    far[..need].iter_mut().zip(&pcm[..need]).for_each(|(far, pcm)| *far = f32::from(*pcm) * scale);
    let mut at = u64::from(from.fraction);
    for out in out {
        let met = match precision {
            Precision::Between => at,
            Precision::Phase => (at + BETWEEN / 2) & !(BETWEEN - 1),
        };
        let (first, fraction) = ((met >> 32) as usize, met as u32);
        let [row, next] = rows::<RATIO>((u64::from(fraction) / BETWEEN) as usize);
        let between = (u64::from(fraction) % BETWEEN) as f32 / BETWEEN as f32;
        *out = match far.get(first..first + row.len()) {
            Some(far) if between == 0.0 => crate::arithmetic::dot(far, row),
            Some(far) => {
                let (low, high) = (crate::arithmetic::dot(far, row), crate::arithmetic::dot(far, next));
                low + between * (high - low)
            }
            None => 0.0,
        };
        at += step;
    }
}

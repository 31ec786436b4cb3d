//! Residual echo suppressor: it reduces what the filters leave to the noise floor when only the far end speaks, and
//! leaves it almost unchanged when the near end does.
//!
//! The residual is the larger of two models: the power of the filter's uncertainty applied to its estimate, and the
//! power of the estimate itself. Each is calibrated in each band: the least ratio of what is left to the model over
//! the last 300 loud frames is found in the pauses of the near end. A Wiener gain with a decision-directed SNR removes
//! the residual, with less over-subtraction the more certainly the near end speaks. Comfort noise at the level of the
//! noise floor (minimum statistics) replaces it. The suppressor remembers the noise of the room through a far end
//! without pauses, which would become part of the floor, and through a muted microphone.
//!
//! If the delay search explains half of what is left, the filters do not reach the echo yet, and everything is taken
//! for echo.
//!
//! Windows are square roots of Hann windows of 20 ms with half overlap. The delay is 10 ms.

use super::front::EMPHASIS;
use crate::arithmetic::{db, max, min, power};
use crate::math::sin_cos;
use crate::spectrum::Spectrum;

/// First bins of the bands, of 50 Hz each.
const EDGES: [usize; 23] = [0, 2, 4, 6, 8, 10, 12, 14, 17, 20, 24, 28, 33, 39, 46, 54, 64, 76, 90, 106, 125, 143, 161];
const BANDS: usize = EDGES.len() - 1;
/// Stretches of loud frames whose least ratio is kept, and frames in each.
const STRETCHES: usize = 15;
const LOUD_FRAMES: u32 = 20;
/// What the floor, a minimum, lies below the mean of the same noise.
const FILL: f32 = 1.7;
/// Stretches of the noise floor, and blocks in each.
const FLOORS: usize = 8;
const FLOOR_BLOCKS: u32 = 75;
/// How fast the comfort noise may rise, in power a block: 0.25 dB a second while echo may be left in the floor, and 10 dB a second
/// where none is.
const RISE: [f32; 2] = [1.000_58, 1.023_3];
/// A microphone that gives less than a line of 24 bits has by itself is muted; behind a high-pass it is never exactly 0.
const NOTHING: f32 = 1e-6;
/// dB added to the calibrated models: of the uncertainty, and of the estimate.
const MARGIN_DB: [f32; 3] = [4.0, 8.0, 2.5];
/// The band from which on the near end is looked for: above 300 Hz.
const FIRST_BAND: usize = 3;
/// Bands, the strongest ones, that tell whether the near end speaks.
const STRONGEST: usize = 5;
/// The residual is sure to be gone below, and the near end sure to speak above, in dB over residual and noise.
const SURE_DB: [f32; 2] = [6.0, 14.0];
/// The share of the error that is echo, as the delay search has it, from which on all of it is taken for echo: the near end has
/// less than half of its power then.
const PRESUMED: f32 = 0.5;
/// How fast certainty about the near end falls, in dB a block.
const RELEASE_DB: f32 = 0.25;
/// The least gain: -50 dB.
const LEAST: f32 = 0.003_16;

/// What has happened to the filter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum FilterChange {
    /// The second filter was taken over, which leaves this much of the error, in dB.
    TakenOver(f32),
    /// It has forgotten everything.
    Forgot,
    /// It moved along the delay.
    Moved,
}

/// The least ratios of one model, a band each, in dB.
#[derive(Clone, Copy, Debug)]
struct Leakage {
    least: [[f32; BANDS]; STRETCHES],
    now: [f32; BANDS],
}

impl Leakage {
    const NEW: Self = Self { least: [[3.0; BANDS]; STRETCHES], now: [99.0; BANDS] };

    fn lift(&mut self, to_db: f32) {
        self.least.as_flattened_mut().iter_mut().for_each(|least| *least = max(*least, to_db));
        self.now = [99.0; BANDS];
    }

    fn next(&mut self, band: usize) {
        for stretch in (1..STRETCHES).rev() {
            self.least[stretch][band] = self.least[stretch - 1][band];
        }
        self.least[0][band] = core::mem::replace(&mut self.now[band], 99.0);
    }

    fn least(&self, band: usize) -> f32 {
        self.least.iter().fold(self.now[band], |least, stretch| min(least, stretch[band]))
    }
}

/// The suppressor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Suppressor<const B: usize> {
    window: [f32; B],
    /// What de-emphasis does to the power of each bin.
    deemphasis: [f32; B],
    last: [[f32; B]; 2],
    overlap: [f32; B],
    /// The uncertainty of the block before.
    doubt: [f32; B],
    /// The late reverberation of the block before.
    late: [f32; B],
    estimate: [f32; B],
    gain: [f32; B],
    snr: [f32; B],
    smooth: [f32; B],
    floors: [[f32; B]; FLOORS],
    /// The least of all but the first, which change only when a stretch ends.
    older: [f32; B],
    /// The noise floor as far as no echo is in it: of a far end that doesn't pause the floor is a part.
    fill: [f32; B],
    blocks: u32,
    leakage: [Leakage; 3],
    loud: [u32; BANDS],
    /// Smoothed bands of error, estimate and uncertainty, and the estimate's slow peak.
    bands: [[f32; BANDS]; 4],
    peak: [f32; BANDS],
    near_db: f32,
    /// How far the error's strongest bands stood out in the block before.
    strongest_db: f32,
    near: f32,
    /// Whether there seems to be no echo at all.
    absent: bool,
    /// Whether what is left is an echo that the filters don't reach yet.
    presumed: bool,
    random: u32,
}

impl<const B: usize> Suppressor<B> {
    pub(super) fn new() -> Self {
        let mut new = Self {
            window: [0.0; B],
            deemphasis: [1.0; B],
            last: [[0.0; B]; 2],
            overlap: [0.0; B],
            doubt: [0.0; B],
            late: [0.0; B],
            estimate: [0.0; B],
            gain: [1.0; B],
            snr: [1.0; B],
            smooth: [0.0; B],
            floors: [[1e3; B]; FLOORS],
            older: [1e3; B],
            fill: [1e3; B],
            blocks: 0,
            leakage: [Leakage::NEW; 3],
            loud: [0; BANDS],
            bands: [[0.0; BANDS]; 4],
            peak: [0.0; BANDS],
            near_db: 0.0,
            strongest_db: 0.0,
            near: 0.0,
            absent: false,
            presumed: false,
            random: 1,
        };
        for n in 0..B {
            // The square root of Hann is half a sine.
            new.window[n] = sin_cos(n as f64 / (4 * B) as f64).0 as f32;
            let (_, cos) = sin_cos(n as f64 / (2 * B) as f64);
            let emphasis = f64::from(EMPHASIS);
            new.deemphasis[n] = (1.0 / (1.0 - 2.0 * emphasis * cos + emphasis * emphasis)) as f32;
        }
        new
    }

    /// Forgets everything, in place: no second one lies on the stack meanwhile.
    pub(super) fn reset(&mut self) {
        self.last = [[0.0; B]; 2];
        for zero in [&mut self.overlap, &mut self.doubt, &mut self.late, &mut self.estimate, &mut self.smooth] {
            *zero = [0.0; B];
        }
        (self.gain, self.snr) = ([1.0; B], [1.0; B]);
        self.floors.iter_mut().for_each(|floor| *floor = [1e3; B]);
        (self.older, self.fill) = ([1e3; B], [1e3; B]);
        self.leakage.iter_mut().for_each(|leakage| *leakage = Leakage::NEW);
        (self.loud, self.bands, self.peak) = ([0; BANDS], [[0.0; BANDS]; 4], [0.0; BANDS]);
        (self.blocks, self.near_db, self.strongest_db) = (0, 0.0, 0.0);
        (self.near, self.absent, self.presumed, self.random) = (0.0, false, false, 1);
    }

    /// How surely the near end speaks, 0 to 1.
    pub(super) fn near_end(&self) -> f32 {
        self.near
    }

    /// Whether there seems to be no echo at all, as with a headset: there is no residual then, whatever the
    /// models say.
    pub(super) fn set_absent(&mut self, absent: bool) {
        self.absent = absent;
    }

    /// What share of the error is an echo that the filters don't reach yet.
    pub(super) fn presume(&mut self, share: f32) {
        self.presumed = share > PRESUMED && !self.absent;
    }

    /// The filter isn't what it was.
    pub(super) fn change(&mut self, change: FilterChange) {
        let to_db = match change {
            FilterChange::TakenOver(left_db) => (left_db + 3.0).min(0.0),
            FilterChange::Forgot => 3.0,
            FilterChange::Moved => -6.0,
        };
        if change == FilterChange::Forgot {
            // The estimate begins anew, and what is loud for it.
            self.peak = [0.0; BANDS];
            self.estimate = [0.0; B];
        }
        self.leakage[0].lift(-6.0);
        self.leakage[1].lift(to_db);
    }

    fn bands() -> usize {
        EDGES.iter().take_while(|&&edge| edge < B).count().min(BANDS)
    }

    fn band(band: usize) -> core::ops::Range<usize> {
        EDGES[band]..EDGES[band + 1].min(B)
    }

    #[inline(never)]
    fn windowed(&self, last: &[f32; B], now: &[f32; B]) -> Spectrum<B> {
        let rise: [f32; B] = core::array::from_fn(|n| last[n] * self.window[n]);
        let fall: [f32; B] = core::array::from_fn(|n| if n == 0 { now[0] } else { now[n] * self.window[B - n] });
        Spectrum::forward(&rise, &fall)
    }

    fn random(&mut self) -> f32 {
        self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.random >> 8) as f32 * (1.0 / 8_388_608.0) - 1.0
    }

    /// Takes in a block of the error and of the echo's estimate, both without emphasis, and the power that the filter's
    /// uncertainty means for it; `out` becomes the block before. `noise`: whether to fill up with comfort noise.
    #[inline(never)]
    pub(super) fn process(
        &mut self,
        error: &[f32; B],
        estimate: &[f32; B],
        doubt: &[f32; B],
        late: &[f32; B],
        noise: bool,
        out: &mut [f32; B],
    ) {
        let mut spectrum = self.windowed(&self.last[1], estimate);
        let echo = spectrum.power();
        spectrum = self.windowed(&self.last[0], error);
        self.last = [*error, *estimate];
        let power_now = spectrum.power();
        // A microphone that is muted or not open yet says nothing of the room's noise.
        let muted = error.iter().zip(estimate).all(|(error, estimate)| (error + estimate).abs() < NOTHING);
        let floor = self.noise_floor(&power_now, !muted);
        let mut model = [0.0; B];
        for k in 0..B {
            self.estimate[k] = max(echo[k], 0.5 * self.estimate[k]);
            model[k] = 0.25 * (self.doubt[k] + doubt[k]) * self.deemphasis[k] + 1e-5 * self.estimate[k];
        }
        self.doubt = *doubt;
        let mut reverberation = [0.0; B];
        for k in 0..B {
            reverberation[k] = 0.25 * (self.late[k] + late[k]) * self.deemphasis[k];
        }
        self.late = *late;
        self.residual(&power_now, &mut model, &reverberation, &floor);
        let residual = model;
        if !muted {
            for ((fill, floor), residual) in self.fill.iter_mut().zip(&floor).zip(&residual) {
                let rise = if *residual > 0.1 * *floor { RISE[0] } else { RISE[1] };
                *fill = min(*floor, rise * *fill);
            }
        }
        // 2 where the near end speaks, 100 where it surely doesn't. Without any echo nothing has to be muted.
        let sure = if self.absent { 1.0 } else { self.near };
        let oversubtraction = power(3.010_3 * sure + 20.0 * (1.0 - sure));
        let (mute, noise) = (mute(sure), noise && !muted);
        for k in 0..B {
            // Where nothing is heard nothing is taken away.
            let snr = (power_now[k] + 1e-13) / (oversubtraction * residual[k] + 1e-15);
            let over = max(snr - 1.0, 0.0);
            let mut prior = 0.9 * self.gain[k] * self.gain[k] * self.snr[k] + 0.1 * over;
            if snr > 20.0 {
                prior = max(prior, over);
            }
            let prior = max(prior, 1e-3);
            (self.gain[k], self.snr[k]) = (prior / (1.0 + prior), snr);
            let gain = max(self.gain[k] * mute, LEAST);
            (spectrum.re[k], spectrum.im[k]) = (gain * spectrum.re[k], gain * spectrum.im[k]);
            // The floor is a minimum: a mean of the same noise lies higher.
            let fill = if noise { FILL * self.fill[k] * (1.0 - gain * gain) } else { 0.0 };
            if fill > 0.0 {
                // Even between -1 and 1, which has a third of the power.
                let level = libm::sqrtf(1.5 * fill);
                spectrum.re[k] += level * self.random();
                spectrum.im[k] += level * self.random();
            }
        }
        let [rise, fall] = spectrum.inverse();
        for n in 0..B {
            out[n] = self.overlap[n] + rise[n] * self.window[n];
            self.overlap[n] = if n == 0 { fall[0] } else { fall[n] * self.window[B - n] };
        }
    }

    /// Minimum statistics: the least smoothed power of the last 6 s, in which even a far end that hardly pauses does.
    fn noise_floor(&mut self, now: &[f32; B], learns: bool) -> [f32; B] {
        let first = self.blocks == 0;
        if learns {
            let begins = self.blocks.is_multiple_of(FLOOR_BLOCKS);
            if begins {
                self.floors.rotate_right(1);
                let [_, second, rest @ ..] = &self.floors;
                self.older = *second;
                for row in rest {
                    self.older.iter_mut().zip(row).for_each(|(least, row)| *least = min(*least, *row));
                }
            }
            for ((smooth, least), now) in self.smooth.iter_mut().zip(&mut self.floors[0]).zip(now) {
                *smooth = if first { *now } else { 0.85 * *smooth + 0.15 * now };
                *least = if begins { *smooth } else { min(*least, *smooth) };
            }
            self.blocks = self.blocks.wrapping_add(1);
        } else if first {
            return [0.0; B];
        }
        let mut floor = self.older;
        floor.iter_mut().zip(&self.floors[0]).for_each(|(least, now)| *least = 1.5 * min(*now, *least));
        // Steady rumble of the far end is no noise.
        let low = floor[4..8].iter().sum::<f32>() / 4.0;
        floor[..4].iter_mut().for_each(|least| *least = min(*least, low));
        floor
    }

    /// Makes the model's power the residual echo's, and finds whether the near end speaks.
    fn residual(&mut self, error: &[f32; B], model: &mut [f32; B], late: &[f32; B], floor: &[f32; B]) {
        let bands = Self::bands();
        let sum = |of: &[f32; B], band| of[Self::band(band)].iter().sum::<f32>() + 1e-15;
        let (mut e, mut y, mut n, mut z, mut r) =
            ([0.0; BANDS], [0.0; BANDS], [0.0; BANDS], [0.0; BANDS], [0.0; BANDS]);
        // Of both models, in octaves of power: what the bins are interpolated from.
        let mut factors = [[0.0; BANDS]; 3];
        for band in 0..bands {
            (e[band], y[band]) = (sum(error, band), sum(&self.estimate, band));
            (n[band], z[band]) = (sum(floor, band), sum(model, band));
            r[band] = sum(late, band);
            for (smooth, now) in self.bands.iter_mut().zip([e[band], y[band], z[band], r[band]]) {
                smooth[band] = 0.85 * smooth[band] + 0.15 * now;
            }
            let rise = if y[band] > self.peak[band] { 0.1 } else { 0.002 };
            self.peak[band] += rise * (y[band] - self.peak[band]);
            if y[band] > 30.0 * n[band] && y[band] > 0.3 * self.peak[band] {
                let left = db(max(self.bands[0][band] - n[band], 0.02 * self.bands[0][band]));
                for (leakage, model) in
                    self.leakage.iter_mut().zip([self.bands[2][band], self.bands[1][band], self.bands[3][band]])
                {
                    leakage.now[band] = min(leakage.now[band], left - db(model));
                }
                self.loud[band] += 1;
                if self.loud[band] >= LOUD_FRAMES {
                    self.loud[band] = 0;
                    self.leakage.iter_mut().for_each(|leakage| leakage.next(band));
                }
            }
            factors[0][band] = self.leakage[0].least(band).clamp(-25.0, 25.0) + MARGIN_DB[0];
            factors[1][band] = self.leakage[1].least(band).clamp(-60.0, 6.0) + MARGIN_DB[1];
            factors[2][band] = self.leakage[2].least(band).clamp(-20.0, 0.0) + MARGIN_DB[2];
        }
        let centre = |band: usize| (EDGES[band] + EDGES[band + 1] - 1) as f32 / 2.0;
        let mut slopes = [[0.0; BANDS]; 3];
        for (slopes, factors) in slopes.iter_mut().zip(&factors) {
            for band in 1..bands {
                slopes[band - 1] = (factors[band] - factors[band - 1]) / (centre(band) - centre(band - 1));
            }
        }
        let share = if self.absent { 0.0 } else { 1.0 };
        let mut band = 0;
        for (k, model) in model.iter_mut().enumerate() {
            if band + 1 < bands && k as f32 >= centre(band + 1) {
                band += 1;
            }
            let at = max(k as f32 - centre(band), 0.0);
            let first = power(factors[0][band] + slopes[0][band] * at);
            let second = power(factors[1][band] + slopes[1][band] * at);
            let third = power(factors[2][band] + slopes[2][band] * at);
            *model = share * max(max(first * *model, second * self.estimate[k]), third * late[k]);
        }
        if self.presumed {
            model.iter_mut().zip(error).for_each(|(model, error)| *model = max(*model, *error));
        }
        // The strongest ones, in order.
        let mut over = [f32::MIN; STRONGEST];
        for band in FIRST_BAND..bands {
            let ratio = db(e[band] / (sum(model, band) + n[band])).clamp(-30.0, 40.0);
            if let Some(at) = over.iter().position(|&other| ratio > other) {
                over[at..].rotate_right(1);
                over[at] = ratio;
            }
        }
        let strongest = (over.iter().sum::<f32>() / STRONGEST as f32).min(25.0);
        // What only one block has may be the filter's, at an onset of the far end's.
        let sure = min(strongest, core::mem::replace(&mut self.strongest_db, strongest));
        self.near_db = if self.presumed { sure } else { max(sure, self.near_db - RELEASE_DB) };
        self.near = ((self.near_db - SURE_DB[0]) / (SURE_DB[1] - SURE_DB[0])).clamp(0.0, 1.0);
    }
}

/// Another 20 dB off where only the far end speaks.
fn mute(near: f32) -> f32 {
    power(-10.0 * (1.0 - near))
}

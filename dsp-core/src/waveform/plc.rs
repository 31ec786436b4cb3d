//! Packet-loss concealment on the waveform: makes up the sound of packets that never came.
//!
//! In the spirit of ITU-T G.711 Appendix I (repeat the last pitch period, fade), with four differences. No delay: a
//! mismatch at a join rings out through a short-term prediction filter instead of being crossfaded into samples that
//! have been played. Unvoiced sound is continued by noise of the same spectrum, not by a buzzing repetition. Longer
//! losses repeat two, then three periods. And when the packet after the gap is already there, [`Concealer::bridge`]
//! fills the gap from both sides, each fading with its distance, and the pitch bent so that both are in phase.
//!
//! The work can be split: [`Concealer::prepare`] analyses the past side of a gap before it begins, [`Concealer::meet`]
//! analyses and makes the future side of all of it, and [`Concealer::go_on`] adds the past side to as much as is needed.
//!
//! All integer: samples are `i16`, gains and correlations Q15, filter coefficients Q12, read positions Q16. Delay:
//! none. Memory: under 200 bytes, and about 1.5 KiB of stack while a loss begins. Any rate from 8 to 48 kHz, mono.

use super::extend::{Extension, ONE};
use super::lpc::{MAX_ORDER, Predictor};
use super::pitch;

/// History that it makes use of: 60 ms before a loss, and as much again for what was concealed since.
pub(crate) const HISTORY_MS: usize = 120;
/// The concealment is at full level for so long,
const HOLD_MS: usize = 10;
/// and silent after so long, falling linearly.
const SILENT_MS: usize = 120;
/// One more period is repeated after each of these.
const GROW_MS: usize = 20;
/// Samples made in one piece, between which periods may be added.
const BLOCK: usize = 40;
/// Samples made in one piece where none are added.
const LONG_BLOCK: usize = 80;
/// Crossfade into the first good frame: long enough that two voices out of step join without a click.
const MERGE_MS: usize = 5;
/// Lengths of a gap in samples in which the pitch is bent: shorter ones have no room for it, longer ones no meaning.
const BEND: core::ops::Range<usize> = 32..1 << 15;
/// From this correlation on (Q15), both sides of a gap are the same voice.
const ALIKE: i32 = ONE / 2;

/// Conceals lost packets of one mono stream; see the module's page.
#[derive(Clone, Debug)]
pub struct Concealer {
    rate_hz: u32,
    /// Samples until silence, and how many of them the level falls.
    silent: u16,
    falling: u16,
    /// Fall of the gain a sample, Q30.
    slope: u32,
    forward: Extension,
    /// Whether `forward` continues what was heard before the loss, or before one that may come.
    ready: bool,
    /// Samples concealed since the last good one; 0 when not concealing.
    lost: usize,
    /// Samples of a gap to which only the future side was given, and its crossfade's step a sample, Q30.
    met: u32,
    step: u32,
    seed: u32,
}

impl Concealer {
    /// A concealer for `sample_rate_hz` (8,000 to 48,000; others are taken as the nearest of these).
    pub fn new(sample_rate_hz: u32) -> Self {
        let rate_hz = sample_rate_hz.clamp(8_000, 48_000);
        let falling = (SILENT_MS - HOLD_MS) * rate_hz as usize / 1_000;
        let silent = SILENT_MS * rate_hz as usize / 1_000;
        // Rounded up, so that the gain is one before the fall.
        let slope = (1u32 << 30).div_ceil(falling as u32);
        Concealer {
            rate_hz,
            silent: silent as u16,
            falling: falling as u16,
            slope,
            forward: Extension::IDLE,
            ready: false,
            lost: 0,
            met: 0,
            step: 0,
            seed: 1,
        }
    }

    /// Whether the last call made up sound that [`Self::merge`] or [`Self::bridge`] has to join to the next packet.
    pub fn is_concealing(&self) -> bool {
        self.lost != 0 && self.met == 0
    }

    /// Whether the past side is analysed: of the loss that goes on, or of one that may come.
    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// Samples of a gap whose future side was made by [`Self::meet`], and whose past side [`Self::go_on`] still has to
    /// add.
    pub fn unmet(&self) -> usize {
        self.met as usize
    }

    /// Samples for which concealment must go on to have lasted a whole number of pitch periods: only then does the
    /// signal continue in phase where the loss began. 0 where nothing periodic sounds.
    pub fn until_in_phase(&self) -> usize {
        let period = self.forward.period;
        if self.lost >= self.silent() || self.forward.voiced == 0 { 0 } else { (period - self.lost % period) % period }
    }

    /// Forgets the stream.
    pub fn reset(&mut self) {
        self.end();
        self.forward = Extension::IDLE;
    }

    /// The loss is over.
    fn end(&mut self) {
        self.ready = false;
        self.lost = 0;
        self.met = 0;
    }

    /// Analyses the past side of a loss that may begin right behind `history`: one pitch search. No loss is begun by
    /// that; when good samples come instead, [`Self::dismiss`] takes it back.
    pub fn prepare(&mut self, history: &[i16]) {
        self.begin(history);
    }

    /// No loss came where one was prepared for.
    pub fn dismiss(&mut self) {
        self.ready &= self.lost != 0;
    }

    /// Fills `out` when a loss begins or goes on and nothing is known of what follows.
    ///
    /// `history` is everything played most recently, newest last, with what earlier calls made. Any length of `out`.
    /// Begins to fade after 10 ms, and is silent after 120 ms.
    pub fn conceal(&mut self, history: &[i16], out: &mut [i16]) {
        let real = self.begin(history);
        self.extend(real, out, |_, made| made);
    }

    /// Fills a `gap` of which both ends are known: `future` is the decoded signal after it.
    ///
    /// `history` as for [`Self::conceal`]; 20 ms of `future` are made use of, and shorter ones serve less well. The gap
    /// may be the whole of a loss or, after [`Self::conceal`], what is left of it. `future` stays as it is, except when
    /// the gap is empty (something was cut out between `history` and `future`): then its first 5 ms are blended.
    pub fn bridge(&mut self, history: &[i16], gap: &mut [i16], future: &mut [i16]) {
        if gap.is_empty() {
            return self.blend(history, future);
        }
        self.meet(history, gap, future);
        self.go_on(history, gap);
    }

    /// The first half of [`Self::bridge`]: makes the future side of the whole `gap`. What is in it is of use only when
    /// [`Self::go_on`] has added the past side. Two short pitch searches near the known period, and one more analysis,
    /// that of [`Self::prepare`], if it wasn't made before.
    pub fn meet(&mut self, history: &[i16], gap: &mut [i16], future: &[i16]) {
        let real = self.begin(history);
        let near = &future[..future.len().min(self.ms(20))];
        let ahead = |k: usize| i32::from(near[k]);
        let mut pitch = pitch::search_near(near, self.forward.period, self.rate_hz);
        if pitch.lag + MAX_ORDER > near.len() {
            pitch.correlation = 0;
        }
        let mut backward = Extension::IDLE;
        backward.seed = !self.seed;
        backward.start(Predictor::analyse(near, self.rate_hz), pitch, near.len(), ahead);
        if self.lost < self.silent() {
            self.align(&mut backward, real, near, gap.len());
        }
        // From the far end, fading as the near side does.
        let mut block = [0; LONG_BLOCK];
        let mut back = 0;
        for part in gap.rchunks_mut(LONG_BLOCK) {
            backward.fill(&mut block[..part.len()], near.len(), ahead);
            // The gain falls evenly: its products need no multiplication each.
            let left = self.silent().saturating_sub(back).min(self.falling.into()) as u32;
            let slope = if back < self.hold() { 0 } else { self.slope };
            let mut gain = left * self.slope;
            for (y, made) in part.iter_mut().rev().zip(block) {
                *y = ((made * (gain >> 15) as i32) >> 15) as i16;
                gain = gain.saturating_sub(slope);
            }
            back += part.len();
        }
        self.met = gap.len() as u32;
        self.step = (1 << 30) / (self.met + 1);
    }

    /// The second half of [`Self::bridge`], for the next samples of the gap that was met: adds the past side, crossfaded
    /// over the whole gap. `history` is everything up to them; `gap` may be any part of it, one after the other.
    pub fn go_on(&mut self, history: &[i16], gap: &mut [i16]) {
        let real = self.begin(history);
        let here = gap.len().min(self.met as usize);
        let (step, left) = (self.step, self.met - here as u32);
        let mut weight = step * self.met;
        self.extend(real, &mut gap[..here], |far, made| {
            let w = (weight >> 15) as i32;
            weight -= step;
            far + (((i32::from(made as i16) - far) * w) >> 15)
        });
        self.met = left;
        if left == 0 {
            self.end();
        }
    }

    /// Joins the first good `frame` after [`Self::conceal`] in place: the concealment goes on for a moment beneath it.
    pub fn merge(&mut self, history: &[i16], frame: &mut [i16]) {
        if self.lost != 0 {
            self.blend(history, frame);
        }
    }

    /// Crossfades from the running extension of `history` into `frame`.
    fn blend(&mut self, history: &[i16], frame: &mut [i16]) {
        let real = self.begin(history);
        let n = frame.len().min(self.ms(MERGE_MS));
        let step = ONE / (n as i32 + 1);
        let mut w = 0;
        self.extend(real, &mut frame[..n], |y, made| {
            w += step;
            (y * w + made * (ONE - w)) >> 15
        });
        self.end();
    }

    /// Bends both pitches so that they meet in phase: the repetition of the past arrives at the gap's end where the
    /// future begins. Nothing is bent when the two sides are not the same voice.
    fn align(&mut self, backward: &mut Extension, real: &[i16], near: &[i16], gap: usize) {
        let forward = &mut self.forward;
        if forward.voiced == 0 || backward.voiced == 0 || !BEND.contains(&gap) {
            return;
        }
        let (p, q) = (forward.period as i32, backward.period as i32);
        let gap = gap as i32;
        let nominal = gap * 2 * p / (p + q);
        let natural = (forward.position >> 16) as i32 + nominal;
        // Where the future would lie before the past's end if nothing were bent, and how far off that is looked for it:
        // a little further than may be bent, so that what lies beyond is seen to do so.
        let (most, whole) = (gap / 8, near.len().min(forward.period) as i32);
        let reach = (most + 2 * pitch::decimation(self.rate_hz) as i32).min(p / 2);
        let mut straight = (forward.span as i32 - natural).rem_euclid(p);
        while straight - reach < whole {
            straight += p;
        }
        let lags = (straight - reach) as usize..=(straight + reach) as usize;
        let Some(found) = pitch::phase(real, near, forward.period, lags, self.rate_hz) else { return };
        let bend = straight - found.lag as i32;
        if found.correlation < ALIKE || bend.abs() > most {
            return;
        }
        let advance = nominal + bend;
        forward.step = ((advance as u32) << 16) / gap as u32;
        backward.step = ((advance as u32) << 16) / gap as u32 * q as u32 / p as u32;
    }

    fn ms(&self, ms: usize) -> usize {
        ms * self.rate_hz as usize / 1_000
    }

    /// The real part of `history`; at the beginning of a loss, its analysis.
    fn begin<'a>(&mut self, history: &'a [i16]) -> &'a [i16] {
        if !self.ready {
            self.ready = true;
            let real = &history[history.len() - history.len().min(self.ms(HISTORY_MS))..];
            let pitch = pitch::search(real, self.rate_hz);
            self.forward.seed = self.seed;
            self.seed = self.seed.wrapping_add(0x9e37_79b9);
            self.forward.start(Predictor::analyse(real, self.rate_hz), pitch, real.len(), past(real));
            return real;
        }
        let real = &history[..history.len() - self.lost.min(history.len())];
        let real = &real[real.len() - real.len().min(self.ms(HISTORY_MS))..];
        if self.forward.voiced != 0 && real.len() < self.forward.span + MAX_ORDER {
            // The source has left the caller's memory: what sounds now rings out.
            self.forward.voiced = 0;
            for (m, v) in self.forward.memory.iter_mut().zip(history.iter().rev()) {
                *m = *v;
            }
        }
        real
    }

    /// The concealment's next samples, each `join`ed to what is in `out`.
    fn extend(&mut self, real: &[i16], out: &mut [i16], mut join: impl FnMut(i32, i32) -> i32) {
        let mut block = [0; BLOCK];
        for part in out.chunks_mut(BLOCK) {
            let block = &mut block[..part.len()];
            if self.lost < self.silent() {
                self.forward.cycles = (1 + self.lost / self.ms(GROW_MS)).min(3) as u8;
                self.forward.fill(block, real.len(), past(real));
            }
            if self.lost + part.len() <= self.hold() {
                part.iter_mut().zip(&*block).for_each(|(y, made)| *y = join(i32::from(*y), *made) as i16);
                self.lost += part.len();
                continue;
            }
            for (y, made) in part.iter_mut().zip(block) {
                *y = join(i32::from(*y), (*made * self.fade(self.lost)) >> 15) as i16;
                self.lost += 1;
            }
            // The count stays where nothing more changes.
            self.lost = self.lost.min(self.silent());
        }
    }

    /// Samples of a loss for which the gain is one.
    fn hold(&self) -> usize {
        usize::from(self.silent - self.falling)
    }

    /// Samples of a loss until silence.
    fn silent(&self) -> usize {
        self.silent.into()
    }

    /// Gain after `samples` of loss, Q15.
    fn fade(&self, samples: usize) -> i32 {
        let left = self.silent().saturating_sub(samples).min(self.falling.into()) as u32;
        ((left * self.slope) >> 15) as i32
    }
}

/// A signal seen from its newest end.
fn past(real: &[i16]) -> impl Fn(usize) -> i32 {
    |k| i32::from(real[real.len() - 1 - k])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    /// A sum of harmonics of `pitch_hz`, like a vowel; peak about 12,000.
    fn vowel(rate_hz: u32, pitch_hz: f64, samples: usize) -> Vec<i16> {
        let t = |i: usize| i as f64 / f64::from(rate_hz) * pitch_hz * core::f64::consts::TAU;
        let tone =
            |i: usize| (1..=6).map(|h| (t(i) * f64::from(h) + f64::from(h * h)).sin() / f64::from(h)).sum::<f64>();
        (0..samples).map(|i| (tone(i) * 6_000.0) as i16).collect()
    }

    /// A voice made of integers alone, so that all targets hash the same: a resonance struck every 9 ms, and noise.
    fn synthetic(rate_hz: u32, samples: usize) -> Vec<i16> {
        let (mut y1, mut y2, mut seed) = (0i32, 0i32, 7u32);
        let period = rate_hz as usize * 9 / 1_000;
        (0..samples)
            .map(|i| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let strike = if i % period == 0 { 6_000 } else { 0 };
                let y = strike + ((seed >> 25) as i32 - 64) + (y1 * 27_000 / 16_384) - (y2 * 15_500 / 16_384);
                (y2, y1) = (y1, y.clamp(-32_000, 32_000));
                y1 as i16
            })
            .collect()
    }

    fn largest_step(x: &[i16]) -> i32 {
        x.windows(2).map(|p| (i32::from(p[1]) - i32::from(p[0])).abs()).max().unwrap_or(0)
    }

    fn energy(x: &[i16]) -> f64 {
        x.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / x.len() as f64
    }

    fn snr_db(clean: &[i16], made: &[i16]) -> f64 {
        let error: Vec<i16> = clean.iter().zip(made).map(|(a, b)| a.saturating_sub(*b)).collect();
        10.0 * (energy(clean) / energy(&error).max(1e-3)).log10()
    }

    fn hash(x: &[i16]) -> u32 {
        x.iter().flat_map(|v| v.to_le_bytes()).fold(0x811c_9dc5, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193))
    }

    const RATES: [u32; 4] = [8_000, 16_000, 32_000, 48_000];

    #[test]
    fn continues_a_vowel() {
        for rate in RATES {
            let ms = rate as usize / 1_000;
            let clean = vowel(rate, 125.0, ms * 200);
            let mut out = vec![0; ms * 10];
            Concealer::new(rate).conceal(&clean[..ms * 120], &mut out);
            let snr = snr_db(&clean[ms * 120..ms * 130], &out);
            assert!(snr > 25.0, "{rate} Hz: {snr} dB");
        }
    }

    #[test]
    fn bridges_a_gliding_vowel_better_than_it_extrapolates() {
        for rate in RATES {
            let ms = rate as usize / 1_000;
            // 120 Hz rising by 6 % over the gap's 20 ms.
            let phase = |i: usize| {
                let t = i as f64 / f64::from(rate);
                (120.0 * t + 120.0 * 1.5 * t * t) * core::f64::consts::TAU
            };
            let clean: Vec<i16> =
                (0..ms * 200).map(|i| ((phase(i).sin() + (phase(i) * 3.0).cos() * 0.5) * 8_000.0) as i16).collect();
            let (a, b) = (ms * 120, ms * 140);
            let (mut ahead, mut alone) = (vec![0; b - a], vec![0; b - a]);
            Concealer::new(rate).conceal(&clean[..a], &mut alone);
            Concealer::new(rate).bridge(&clean[..a], &mut ahead, &mut clean[b..].to_vec());
            let (ahead, alone) = (snr_db(&clean[a..b], &ahead), snr_db(&clean[a..b], &alone));
            assert!(ahead > alone + 3.0 && ahead > 8.0, "{rate} Hz: {ahead} and {alone} dB");
        }
    }

    #[test]
    fn a_gap_that_is_filled_in_parts_is_the_same_gap() {
        for (rate, gap) in [(8_000usize, 240), (16_000, 480), (48_000, 960)] {
            let clean = synthetic(rate as u32, rate / 2);
            let (history, rest) = clean.split_at(rate / 4);
            let future = &rest[gap..];
            let mut whole = vec![0; gap];
            Concealer::new(rate as u32).bridge(history, &mut whole, &mut future.to_vec());
            // The past side is analysed before the gap begins, the future side with it, and the rest as it is needed.
            let mut it = Concealer::new(rate as u32);
            it.prepare(history);
            assert!(it.is_ready() && !it.is_concealing());
            let mut parts = history.to_vec();
            parts.resize(history.len() + gap, 0);
            it.meet(history, &mut parts[history.len()..], future);
            for at in (history.len()..parts.len()).step_by(80) {
                assert_eq!(it.unmet(), parts.len() - at);
                assert!(!it.is_concealing());
                let (before, place) = parts.split_at_mut(at);
                it.go_on(before, &mut place[..80]);
            }
            assert_eq!(parts[history.len()..], whole, "{rate} Hz");
            assert!(!it.is_ready() && it.unmet() == 0);
            // Nothing was lost after all.
            it.prepare(history);
            it.dismiss();
            assert!(!it.is_ready());
        }
    }

    #[test]
    fn repeats_impulses_at_their_period() {
        let x: Vec<i16> = (0..960).map(|i| if i % 64 == 0 { 10_000 } else { 0 }).collect();
        let mut out = [0; 160];
        Concealer::new(8_000).conceal(&x, &mut out);
        for (i, y) in out.iter().enumerate() {
            let loud = y.unsigned_abs() > 5_000;
            assert_eq!(loud, i % 64 == 0, "sample {i} is {y}");
        }
    }

    #[test]
    fn joins_without_a_click() {
        for rate in RATES {
            let ms = rate as usize / 1_000;
            for pitch in [90.0, 133.0, 210.0, 317.0] {
                let clean = vowel(rate, pitch, ms * 400);
                for lost in [20, 60, 100] {
                    let (from, to) = (120 * ms, (120 + lost) * ms);
                    // The largest step is no larger than in the clean signal at the joins, and hardly within the gap.
                    let check = |what: &str, x: &[i16]| {
                        let limit = largest_step(&clean);
                        let joins = largest_step(&x[from - 1..=from]).max(largest_step(&x[to - 1..to + 6 * ms]));
                        assert!(joins <= limit, "{what}, {rate} Hz, {pitch} Hz, {lost} ms: {joins} over {limit}");
                        let step = largest_step(x);
                        assert!(step <= limit * 3 / 2, "{what}, {rate} Hz, {pitch} Hz, {lost} ms: {step}, {limit}");
                    };
                    let mut x = clean.clone();
                    let mut it = Concealer::new(rate);
                    for at in (from..to).step_by(20 * ms) {
                        let (past, rest) = x.split_at_mut(at);
                        it.conceal(past, &mut rest[..20 * ms]);
                    }
                    let (past, rest) = x.split_at_mut(to);
                    it.merge(past, &mut rest[..20 * ms]);
                    assert!(!it.is_concealing());
                    assert_eq!(rest[5 * ms..], clean[to + 5 * ms..]);
                    check("merge", &x);

                    let mut x = clean.clone();
                    let (past, rest) = x.split_at_mut(from);
                    let (gap, future) = rest.split_at_mut(to - from);
                    it.bridge(past, gap, &mut future[..20 * ms]);
                    assert_eq!(&x[to..], &clean[to..]);
                    check("bridge", &x);
                }
            }
        }
    }

    #[test]
    fn a_long_loss_ends_in_silence_and_the_merge_keeps_the_energy() {
        let clean = vowel(8_000, 140.0, 8_000);
        let mut x = clean.clone();
        let mut it = Concealer::new(8_000);
        for at in (960..960 + 1_600).step_by(160) {
            let (past, rest) = x.split_at_mut(at);
            it.conceal(&past[at - 960..], &mut rest[..160]);
        }
        assert!(x[960 + 1_280..960 + 1_600].iter().all(|v| v.abs() <= 2), "not silent after 160 ms");
        let early = energy(&x[960..1_040]) / energy(&clean[..960]);
        assert!((0.5..1.5).contains(&early), "the first 10 ms have {early} of the energy");
        let (past, rest) = x.split_at_mut(2_560);
        it.merge(&past[1_600..], &mut rest[..160]);
        let back = energy(&x[2_560..2_720]) / energy(&clean[2_560..2_720]);
        assert!((0.6..1.1).contains(&back), "the merged frame has {back} of its energy");
    }

    #[test]
    fn sound_that_was_late_goes_on_in_phase() {
        for rate in RATES {
            let ms = rate as usize / 1_000;
            // 125 Hz: periods of 8 ms.
            let clean = vowel(rate, 125.0, ms * 160);
            let mut it = Concealer::new(rate);
            assert_eq!(it.until_in_phase(), 0);
            let mut made = vec![0; ms * 10];
            it.conceal(&clean[..ms * 120], &mut made);
            let more = it.until_in_phase();
            assert!(more.abs_diff(ms * 6) <= 2, "{more} samples to 16 ms at {rate} Hz");
            it.merge(&[&clean[..ms * 120], &made].concat(), &mut clean[ms * 120..].to_vec());
            assert_eq!(it.until_in_phase(), 0);
        }
    }

    #[test]
    fn noise_stays_noise_of_the_same_colour_and_does_not_repeat() {
        let mut seed = 3u32;
        let x: Vec<i16> = (0..960)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 18) as i16 - 8_192
            })
            .collect();
        let mut out = [0; 160];
        Concealer::new(8_000).conceal(&x, &mut out);
        let share = energy(&out) / energy(&x);
        assert!((0.1..1.2).contains(&share), "{share}");
        let again = pitch::search(&[&x[..], &out].concat(), 8_000);
        assert!(again.correlation < 24_000, "buzzes: {again:?}");
    }

    #[test]
    fn silence_gives_silence() {
        let mut out = [1; 960];
        let mut it = Concealer::new(48_000);
        it.conceal(&[0; 5_760], &mut out);
        assert_eq!(out, [0; 960]);
        it.reset();
        it.bridge(&[0; 5_760], &mut out, &mut [0; 960]);
        assert_eq!(out, [0; 960]);
        it.conceal(&[], &mut out);
        assert_eq!(out, [0; 960]);
    }

    #[test]
    fn a_full_scale_square_wave_stays_one() {
        for rate in RATES {
            let half = rate as usize / 200;
            let x: Vec<i16> =
                (0..half * 30).map(|i| if (i / half).is_multiple_of(2) { i16::MAX } else { i16::MIN }).collect();
            let mut out = vec![0; half * 4];
            Concealer::new(rate).conceal(&x, &mut out);
            let signs = out.iter().enumerate().filter(|(i, y)| (i / half).is_multiple_of(2) == (**y > 0)).count();
            assert!(signs * 10 > out.len() * 9, "{rate} Hz: {signs} of {}", out.len());
        }
    }

    #[test]
    fn an_empty_gap_is_a_splice() {
        let clean = vowel(8_000, 140.0, 4_000);
        let limit = largest_step(&clean) * 3 / 2;
        for cut in [7, 20, 31, 44] {
            let mut it = Concealer::new(8_000);
            let mut future = clean[960 + cut..1_120 + cut].to_vec();
            it.bridge(&clean[..960], &mut [], &mut future);
            assert!(!it.is_concealing());
            assert_eq!(future[40..], clean[1_000 + cut..1_120 + cut]);
            let step = largest_step(&[&clean[..960], &future].concat());
            assert!(step <= limit, "{cut}: {step} over {limit}");
        }
    }

    #[test]
    fn is_small() {
        let bytes = size_of::<Concealer>();
        assert!(bytes <= 200, "{bytes}");
    }

    #[test]
    fn golden_output() {
        // The same bits on every target: all arithmetic is integer.
        let mut hashes = Vec::new();
        for rate in [8_000, 16_000] {
            let frame = rate as usize / 50;
            let mut x = synthetic(rate, frame * 40);
            let mut it = Concealer::new(rate);
            for i in [8, 9, 12, 15, 16, 17, 18, 19, 20, 25, 30] {
                let (past, rest) = x.split_at_mut(i * frame);
                let past = &past[past.len() - 6 * frame..];
                let (now, next) = rest.split_at_mut(frame);
                if i >= 25 {
                    it.bridge(past, now, &mut next[..frame]);
                } else {
                    it.conceal(past, now);
                    if !matches!(i, 8 | 15..=19) {
                        let (past, rest) = x.split_at_mut((i + 1) * frame);
                        it.merge(&past[past.len() - 6 * frame..], &mut rest[..frame]);
                    }
                }
            }
            hashes.push(hash(&x));
        }
        assert_eq!(hashes, [GOLDEN_8K, GOLDEN_16K], "{hashes:#x?}");
    }
    const GOLDEN_8K: u32 = 0x9350_a3ea;
    const GOLDEN_16K: u32 = 0x1beb_4962;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn any_lengths_and_any_signal(
            rate in 4_000u32..60_000,
            history in proptest::collection::vec(any::<i16>(), 0..3_000),
            steps in proptest::collection::vec((0u8..4, 0usize..1_500, 0usize..1_000), 1..8),
            loud in any::<bool>(),
        ) {
            let mut x: Vec<i16> = if loud { history } else { history.iter().map(|v| v >> 12).collect() };
            let mut it = Concealer::new(rate);
            for (what, a, b) in steps {
                let mut out = vec![0; a];
                let mut next: Vec<i16> = x.iter().rev().take(b).copied().collect();
                match what {
                    0 => it.conceal(&x, &mut out),
                    1 => it.bridge(&x, &mut out, &mut next),
                    2 => { it.merge(&x, &mut next); out = next; }
                    _ => x.truncate(a),
                }
                x.extend(out);
            }
        }
    }
}

//! Packet-loss concealment on the waveform: makes up the sound of packets that never came.
//!
//! In the spirit of ITU-T G.711 Appendix I (repeat the last pitch period, fade), with four differences. No delay: a
//! mismatch at a join rings out through a short-term prediction filter instead of being crossfaded into samples that
//! have been played. Unvoiced sound is continued by noise of the same spectrum, not by a buzzing repetition. Longer
//! losses repeat two, then three periods. And when the packet after the gap is already there, [`Concealer::bridge`]
//! fills the gap from both sides, with the pitch bent so that both halves are in phase.
//!
//! All integer: samples are `i16`, gains and correlations Q15, filter coefficients Q12, read positions Q16. Delay:
//! none. Memory: some 100 bytes, and about 1.5 KiB of stack while a loss begins. Any rate from 8 to 48 kHz, mono.

use super::lpc::{MAX_ORDER, Predictor};
use super::pitch;

/// One in Q15.
const ONE: i32 = 32768;
/// One in Q16: a read position's step at the original pitch.
const STEP: u32 = 1 << 16;

/// Continues a signal past its edge: forwards from the past, or backwards from the future.
#[derive(Clone, Copy, Debug)]
struct Extension {
    predictor: Predictor,
    memory: [i16; MAX_ORDER],
    /// Pitch period in samples.
    period: usize,
    /// Most periods to repeat.
    cycles: usize,
    /// Length of what is being repeated: one to three periods.
    span: usize,
    /// Read position within the span, Q16.
    position: u32,
    /// Advance of the read position a sample, Q16.
    step: u32,
    /// Share of the periodic part, Q15.
    voiced: i32,
    /// Peak of the uniform noise that excites the filter.
    noise: i32,
    seed: u32,
}

impl Extension {
    const IDLE: Extension = Extension {
        predictor: Predictor::FLAT,
        memory: [0; MAX_ORDER],
        period: 1,
        cycles: 1,
        span: 1,
        position: 0,
        step: STEP,
        voiced: 0,
        noise: 0,
        seed: 1,
    };

    /// Analyses a side. `at(k)` is the sample at distance `k` from the edge, for `k < have`.
    fn start(&mut self, predictor: Predictor, pitch: pitch::Match, have: usize, at: impl Fn(usize) -> i32) {
        self.predictor = predictor;
        self.period = pitch.lag.max(1);
        self.span = self.period;
        self.cycles = 1;
        self.position = 0;
        self.step = STEP;
        self.voiced = voicing(pitch.correlation);
        if have < self.span + MAX_ORDER {
            self.voiced = 0;
        }
        // The periodic part carries voiced^2 of the power, noise the rest; sqrt(3) is a uniform peak over its rms.
        let share = ((ONE * (ONE >> 2) - self.voiced * (self.voiced >> 2)).unsigned_abs() << 2).isqrt() as i32;
        let share = (share * 60) / 100;
        self.noise = ((predictor.residual_rms.min(18_000) * share) >> 15) * 7 / 4;
        for (k, m) in self.memory.iter_mut().enumerate() {
            let edge = if k < have { at(k) } else { 0 };
            let repeated = if self.voiced == 0 { 0 } else { (self.voiced * at(self.span + k)) >> 15 };
            *m = (edge - repeated).clamp(-32768, 32767) as i16;
        }
        for m in self.memory.iter_mut().skip(predictor.order()) {
            *m = 0;
        }
    }

    /// The next sample outwards, at `gain` (Q15).
    fn next(&mut self, gain: i32, have: usize, at: impl Fn(usize) -> i32) -> i32 {
        let mut y = 0;
        if self.voiced != 0 {
            let whole = (self.position >> 16) as usize;
            let level = (gain * self.voiced) >> 15;
            y = (self.read(whole, self.position & 0xffff, &at) * level) >> 15;
            self.position += self.step;
            if self.position >= (self.span as u32) << 16 {
                self.turn(level, have, &at);
            }
        }
        let mut excitation = 0;
        if self.noise != 0 {
            self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let uniform = (self.seed >> 16) as i32 - ONE;
            excitation = (((uniform * self.noise) >> 15) * gain) >> 15;
        }
        (y + self.predictor.step(&mut self.memory, excitation)).clamp(-32768, 32767)
    }

    /// The source at a fractional position of the span.
    fn read(&self, whole: usize, fraction: u32, at: &impl Fn(usize) -> i32) -> i32 {
        let last = self.span - 1;
        if fraction == 0 {
            return at(last - whole.min(last));
        }
        // Positions past the edge come round again one period earlier.
        let tap = |i: usize| if i > last { at(last + self.period - i.min(last + self.period)) } else { at(last - i) };
        let before = at((last + 1 - whole.min(last)).min(last + MAX_ORDER));
        let (b, c, d) = (tap(whole), tap(whole + 1), tap(whole + 2));
        // Catmull-Rom cubic, Horner, fraction Q15.
        let f = (fraction >> 1) as i32;
        let c3 = 3 * (b - c) + d - before;
        let c2 = 2 * before - 5 * b + 4 * c - d;
        let c1 = c - before;
        let mul = |x: i32| ((i64::from(x) * i64::from(f)) >> 15) as i32;
        b + (mul(c1 + mul(c2 + mul(c3))) >> 1)
    }

    /// End of the span: begins anew, one period further back in longer losses; the mismatch rings out.
    fn turn(&mut self, level: i32, have: usize, at: &impl Fn(usize) -> i32) {
        self.position -= (self.span as u32) << 16;
        let longer = self.span + self.period;
        if longer <= self.cycles * self.period && longer + MAX_ORDER <= have {
            self.span = longer;
        }
        self.position = self.position.min(((self.span as u32) << 16) - 1);
        let order = self.predictor.order();
        for (k, m) in self.memory.iter_mut().enumerate().take(order) {
            let step = (level * ((at(k) - at(self.span + k)) >> 1)) >> 14;
            *m = (i32::from(*m) + step).clamp(-32768, 32767) as i16;
        }
    }
}

/// Share of the periodic part for a normalised correlation: none below 0.4, all above 0.8.
fn voicing(correlation: i32) -> i32 {
    let lo = 13_107;
    let hi = 26_214;
    ((correlation - lo) * 8 / ((hi - lo) / 4096).max(1)).clamp(0, ONE)
}

/// Conceals lost packets of one mono stream; see the module's page.
#[derive(Clone, Debug)]
pub struct Concealer {
    rate_hz: u32,
    forward: Extension,
    /// Samples concealed since the last good one; 0 when not concealing.
    lost: usize,
    seed: u32,
}

impl Concealer {
    /// A concealer for `sample_rate_hz` (8,000 to 48,000; others are taken as the nearest of these).
    pub fn new(sample_rate_hz: u32) -> Self {
        Concealer { rate_hz: sample_rate_hz.clamp(8_000, 48_000), forward: Extension::IDLE, lost: 0, seed: 1 }
    }

    /// Samples of real signal before a loss that it makes use of (60 ms). The caller keeps as much again and more
    /// for what was concealed since: 120 ms in all.
    pub fn history_len(&self) -> usize {
        self.ms(60)
    }

    /// Whether the last call made up sound that [`Self::merge`] or [`Self::bridge`] has to join to the next packet.
    pub fn is_concealing(&self) -> bool {
        self.lost != 0
    }

    /// Forgets the stream.
    pub fn reset(&mut self) {
        self.lost = 0;
        self.forward = Extension::IDLE;
    }

    /// Fills `out` when a loss begins or goes on and nothing is known of what follows.
    ///
    /// `history` is everything played most recently, newest last, with what earlier calls made. Any length of `out`.
    /// Fades after 20 ms, and is silent after 200 ms.
    pub fn conceal(&mut self, history: &[i16], out: &mut [i16]) {
        let real = self.begin(history);
        for y in out.iter_mut() {
            let gain = self.fade(self.lost);
            self.forward.cycles = (1 + self.lost / self.ms(20)).min(3);
            *y = self.forward.next(gain, real.len(), past(real)) as i16;
            self.lost += 1;
        }
    }

    /// Fills a `gap` of which both ends are known: `future` is the decoded signal after it.
    pub fn bridge(&mut self, history: &[i16], gap: &mut [i16], future: &[i16]) {
        if gap.is_empty() {
            return;
        }
        let resumed = self.lost != 0;
        let real = self.begin(history);
        let _ = resumed;
        let level = self.fade(self.lost);
        let mut backward = Extension::IDLE;
        backward.seed = self.seed ^ 0x5555;
        let near = &future[..future.len().min(self.ms(20))];
        let mut match_ = pitch::search_near(near, self.forward.period, self.rate_hz);
        if match_.lag + MAX_ORDER > near.len() {
            match_.correlation = 0;
        }
        backward.start(Predictor::analyse(near, self.rate_hz), match_, near.len(), |k| i32::from(near[k]));
        for y in gap.iter_mut() {
            *y = self.forward.next(level, real.len(), past(real)) as i16;
        }
        let n = gap.len() as i32 + 1;
        for (i, y) in gap.iter_mut().rev().enumerate() {
            let b = backward.next(ONE, near.len(), |k| i32::from(near[k]));
            let w = (i as i32 + 1) * (ONE / n);
            *y = ((i32::from(*y) * w + b * (ONE - w)) >> 15).clamp(-32768, 32767) as i16;
        }
        self.lost = 0;
    }

    /// Joins the first good `frame` after [`Self::conceal`] in place: the concealment goes on for a moment beneath it.
    pub fn merge(&mut self, history: &[i16], frame: &mut [i16]) {
        if self.lost == 0 {
            return;
        }
        let real = self.begin(history);
        let n = frame.len().min(self.ms(3));
        let step = ONE / (n as i32 + 1);
        for (i, y) in frame.iter_mut().take(n).enumerate() {
            let gain = self.fade(self.lost);
            let made = self.forward.next(gain, real.len(), past(real));
            let w = step * (i as i32 + 1);
            *y = ((i32::from(*y) * w + made * (ONE - w)) >> 15).clamp(-32768, 32767) as i16;
            self.lost += 1;
        }
        self.lost = 0;
    }

    fn ms(&self, ms: i32) -> usize {
        ms as usize * self.rate_hz as usize / 1_000
    }

    /// The real part of `history`; at the beginning of a loss, its analysis.
    fn begin<'a>(&mut self, history: &'a [i16]) -> &'a [i16] {
        if self.lost == 0 {
            let real = &history[history.len() - history.len().min(self.ms(120))..];
            let pitch = pitch::search(real, self.rate_hz);
            self.forward.seed = self.seed;
            self.seed = self.seed.wrapping_add(0x9e37_79b9);
            self.forward.start(Predictor::analyse(real, self.rate_hz), pitch, real.len(), past(real));
            return real;
        }
        let real = &history[..history.len() - self.lost.min(history.len())];
        let real = &real[real.len() - real.len().min(self.ms(120))..];
        if self.forward.voiced != 0 && real.len() < self.forward.span + MAX_ORDER {
            // The source has left the caller's memory: what sounds now rings out.
            self.forward.voiced = 0;
            for (m, v) in self.forward.memory.iter_mut().zip(history.iter().rev()) {
                *m = *v;
            }
        }
        real
    }

    /// Gain after `samples` of loss, Q15.
    fn fade(&self, samples: usize) -> i32 {
        let hold = self.ms(10);
        let end = self.ms(120);
        if samples <= hold {
            return ONE;
        }
        if samples >= end {
            return 0;
        }
        ((end - samples) as i32 * (ONE / 8)) / (((end - hold) as i32) / 8).max(1)
    }
}

/// A signal seen from its newest end.
fn past(real: &[i16]) -> impl Fn(usize) -> i32 {
    |k| i32::from(real[real.len() - 1 - k])
}

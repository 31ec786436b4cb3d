//! Packet loss concealment of ITU-T G.711 Appendix I, around any decoder at 8 kHz; described on [`WithAppendixI`].
//!
//! The pitch is the lag of 40 to 120 samples at which the last 20 ms correlate best with what was before, searched in
//! steps of two and then of one. The text of the appendix was not available: this follows public descriptions of it,
//! and gives the bits of the vectors in the ITU-T software tool library (G.191). Sums of the pitch search are whole
//! numbers. Weights and gains are `f64`, whose rounding the vectors show, with + - * / and square root alone, so that
//! all targets give the same bits.

use crate::codec::{CodecInfo, DecodeError, Decoder};

/// Pitch lags that are searched.
const SHORTEST: usize = 40;
const LONGEST: usize = 120;
/// Most samples that a quarter of a period has, and the delay.
const DELAY: usize = LONGEST / 4;
/// Three periods and the quarter before them.
const HISTORY: usize = 3 * LONGEST + DELAY;
/// Window of the pitch search: 20 ms.
const WINDOW: usize = 160;
/// Least power that a correlation is divided by.
const LEAST_POWER: i64 = 250;
/// 10 ms: at the bounds of these the concealment changes.
const FRAME: usize = 80;
/// Number of samples by which the join to good sound grows with each lost frame.
const GROWTH: usize = 32;
/// Fall of the gain a frame.
const FALL: f64 = 0.2;
/// Frames with one, two and three periods; and frames before silence.
const FRAMES_GROWING: u32 = 3;
const FRAMES_HEARD: u32 = 6;

/// A decoder with the packet loss concealment of ITU-T G.711 Appendix I around a decoder at 8 kHz.
///
/// Use it where concealment must follow that standard, bit by bit with the vectors of the ITU-T software tool library
/// (G.191). Otherwise leave concealment to the [`Receiver`](crate::receive::Receiver), which scores higher where
/// concealment alone is compared (`BENCHMARKS.md`) and adds no delay. Losses and packets may have any length.
///
/// The last pitch period is repeated, from 10 ms on the last two, and from 20 ms on the last three. After the first 10
/// ms the sound fades by 20 % in each 10 ms, to silence at 60 ms. Each repetition is joined over a quarter of a
/// period, and so is the first good sound, over 4 ms more for each 10 ms that were lost.
///
/// The output is delayed by 30 samples (3.75 ms), so that samples before a loss can still be changed. The state takes
/// 1.8 KiB. The beginning of a loss costs 8,000 multiplications, good sound none.
///
/// A packet is lost in the middle of a tone, and the tone goes on:
///
/// ```
/// use dsp_core::codec::Decoder;
/// use dsp_core::codec::g711::{Pcmu, WithAppendixI, encode_ulaw};
///
/// let mut decoder = WithAppendixI::new(Pcmu).ok_or("another rate")?;
/// // 100 Hz, 80 samples a period.
/// let tone: [i16; 160] = core::array::from_fn(|n| (8_000.0 * (n as f32 * core::f32::consts::TAU / 80.0).sin()) as i16);
/// let mut payload = [0; 160];
/// encode_ulaw(&tone, &mut payload);
/// let mut pcm = [0; 160];
/// for _ in 0..10 {
///     decoder.decode(&payload, &mut pcm)?;
/// }
/// assert!(decoder.conceal(&mut pcm));
/// assert!(pcm.iter().any(|&sample| sample > 6_000));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct WithAppendixI<D> {
    decoder: D,
    /// All that was decoded or made, newest last. The last [`DELAY`] samples are still to be given out.
    history: [i16; HISTORY],
    /// What was heard before the loss, its end prepared to be repeated.
    source: [i16; HISTORY],
    /// The end of the source as it was: a quarter of a period.
    end: [i16; DELAY],
    period: usize,
    /// Samples that are repeated, and the next of them.
    span: usize,
    position: usize,
    /// Frames made in this loss.
    frames: u32,
    /// The last of these, and how much of it was given out.
    frame: [i16; FRAME],
    used: usize,
}

impl<D: Decoder> WithAppendixI<D> {
    /// Wraps a decoder of mono sound at 8 kHz; `None` if the decoder is another.
    pub fn new(decoder: D) -> Option<Self> {
        let info = decoder.info();
        (info.sample_rate_hz == 8_000 && info.channels == 1).then_some(Self {
            decoder,
            history: [0; HISTORY],
            source: [0; HISTORY],
            end: [0; DELAY],
            period: LONGEST,
            span: LONGEST,
            position: 0,
            frames: 0,
            frame: [0; FRAME],
            used: FRAME,
        })
    }

    /// The next frame of a loss.
    fn make_frame(&mut self) {
        self.used = 0;
        self.frames += 1;
        if self.frames > FRAMES_HEARD {
            self.frame.fill(0);
            return;
        }
        let quarter = self.period / 4;
        if self.frames == 1 {
            self.begin();
            self.repeat(FRAME);
            return;
        }
        if self.frames > FRAMES_GROWING {
            self.repeat(FRAME);
        } else {
            // The old repetition goes on beneath the beginning of the longer one.
            let position = self.position;
            self.repeat(quarter);
            let old = self.frame;
            self.position = position;
            while self.position > self.period {
                self.position -= self.period;
            }
            self.lengthen(self.span + self.period);
            self.repeat(FRAME);
            let step = 1.0 / quarter as f64;
            let (mut left, mut right) = (1.0 - step, step);
            for (new, &old) in self.frame.iter_mut().zip(&old[..quarter]) {
                *new = clipped(left * f64::from(old) + right * f64::from(*new));
                left -= step;
                right += step;
            }
        }
        let mut gain = 1.0 - (self.frames - 2) as f64 * FALL;
        for sample in &mut self.frame {
            *sample = clipped(f64::from(*sample) * gain);
            gain -= FALL / FRAME as f64;
        }
    }

    /// Prepares the source where a loss begins.
    fn begin(&mut self) {
        self.source = self.history;
        self.period = pitch(&self.history);
        let quarter = self.period / 4;
        self.end[..quarter].copy_from_slice(&self.source[HISTORY - quarter..]);
        self.position = 0;
        self.lengthen(self.period);
        // What is heard before the repetition ends as the repetition does.
        self.history[HISTORY - quarter..].copy_from_slice(&self.source[HISTORY - quarter..]);
    }

    /// Makes `span` samples repeatable: their end fades into what was before their beginning.
    fn lengthen(&mut self, span: usize) {
        self.span = span;
        let quarter = self.period / 4;
        let before = HISTORY - span - quarter;
        let step = 1.0 / quarter as f64;
        let (mut left, mut right) = (1.0 - step, step);
        for i in 0..quarter {
            let joined = left * f64::from(self.end[i]) + right * f64::from(self.source[before + i]);
            self.source[HISTORY - quarter + i] = clipped(joined);
            left -= step;
            right += step;
        }
    }

    /// Writes `count` samples of the repetition to the frame.
    fn repeat(&mut self, count: usize) {
        for sample in &mut self.frame[..count] {
            *sample = self.source[HISTORY - self.span + self.position];
            self.position += 1;
            if self.position == self.span {
                self.position = 0;
            }
        }
    }

    /// Joins the first good sound to a loss.
    fn join(&mut self, pcm: &mut [i16]) {
        // What was made and not asked for.
        let unused = FRAME - self.used;
        self.position = (self.position + self.span - unused % self.span) % self.span;
        let length = (self.period / 4 + (self.frames as usize - 1) * GROWTH).min(FRAME).min(pcm.len());
        self.repeat(length);
        let step = 1.0 / length as f64;
        let gain = (1.0 - (self.frames - 1) as f64 * FALL).max(0.0);
        let (fall, mut left, mut right) = (step * gain, (1.0 - step) * gain, step);
        for (good, &made) in pcm.iter_mut().zip(&self.frame[..length]) {
            *good = clipped(left * f64::from(made) + right * f64::from(*good));
            left -= fall;
            right += step;
        }
        (self.frames, self.used) = (0, FRAME);
    }

    /// Puts `pcm` in and the same number of samples of [`DELAY`] earlier out.
    fn delay(&mut self, pcm: &mut [i16]) {
        for block in pcm.chunks_mut(FRAME) {
            let new = HISTORY - block.len();
            self.history.copy_within(block.len().., 0);
            self.history[new..].copy_from_slice(block);
            block.copy_from_slice(&self.history[new - DELAY..HISTORY - DELAY]);
        }
    }

    fn decoded(&mut self, pcm: &mut [i16]) {
        if self.frames > 0 && !pcm.is_empty() {
            self.join(pcm);
        }
        self.delay(pcm);
    }
}

impl<D: Decoder> Decoder for WithAppendixI<D> {
    fn info(&self) -> CodecInfo {
        self.decoder.info()
    }

    fn duration(&self, payload: &[u8]) -> Result<u32, DecodeError> {
        self.decoder.duration(payload)
    }

    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, DecodeError> {
        let samples = self.decoder.decode(payload, pcm)?;
        self.decoded(&mut pcm[..samples]);
        Ok(samples)
    }

    fn conceal(&mut self, mut pcm: &mut [i16]) -> bool {
        while !pcm.is_empty() {
            if self.used == FRAME {
                self.make_frame();
            }
            let count = pcm.len().min(FRAME - self.used);
            let (now, rest) = pcm.split_at_mut(count);
            now.copy_from_slice(&self.frame[self.used..][..count]);
            self.used += count;
            self.delay(now);
            pcm = rest;
        }
        true
    }

    fn redundancy(&mut self, next: &[u8]) -> u32 {
        self.decoder.redundancy(next)
    }

    fn recover(&mut self, next: &[u8], ahead: u32, pcm: &mut [i16]) -> bool {
        let recovered = self.decoder.recover(next, ahead, pcm);
        if recovered {
            self.decoded(pcm);
        }
        recovered
    }

    fn reset(&mut self) {
        self.decoder.reset();
        (self.history, self.frames, self.used) = ([0; HISTORY], 0, FRAME);
    }
}

/// To 16 bits, without the fraction.
fn clipped(x: f64) -> i16 {
    // A conversion to an integer saturates and rounds towards zero.
    x as i16
}

/// The lag at which the end of `history` best matches what was before.
fn pitch(history: &[i16; HISTORY]) -> usize {
    let coarse = best_lag(history, SHORTEST..=LONGEST, 2, |new, best| new >= best);
    let near = (coarse - 1).max(SHORTEST)..=(coarse + 1).min(LONGEST);
    best_lag(history, near, 1, |new, best| new > best)
}

/// Tries lags and samples in steps of `step`, the longest lag first.
fn best_lag(
    history: &[i16; HISTORY],
    lags: core::ops::RangeInclusive<usize>,
    step: usize,
    better: fn(f64, f64) -> bool,
) -> usize {
    let recent = &history[HISTORY - WINDOW..];
    let mut best = (f64::MIN, *lags.end());
    for lag in lags.rev().step_by(step) {
        let copy = &history[HISTORY - WINDOW - lag..];
        // Whole numbers below 2^38, which a float of 64 bits holds exactly.
        let (mut power, mut product) = (0i64, 0i64);
        for (&a, &b) in recent.iter().zip(copy).step_by(step) {
            let (a, b) = (i32::from(a), i32::from(b));
            power += i64::from(b * b);
            product += i64::from(a * b);
        }
        let alike = product as f64 / libm::sqrt(power.max(LEAST_POWER) as f64);
        if better(alike, best.0) {
            best = (alike, lag);
        }
    }
    best.1
}

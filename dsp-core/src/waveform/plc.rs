//! Packet-loss concealment on the waveform; described on [`Concealer`].
//!
//! The work can be split: [`Concealer::prepare`] analyses the past side of a gap before it begins, [`Concealer::meet`]
//! analyses and makes the future side of the whole gap, and [`Concealer::go_on`] adds the past side to as much as is
//! needed.
//!
//! All arithmetic is integer: samples are `i16`, gains and correlations Q15, filter coefficients Q12, read positions
//! Q16.

use super::extend::{GapSide, ONE, SignalExtension};
use super::lpc::{MAX_ORDER, Predictor};
use super::pitch;

use core::num::NonZeroU32;

/// History that it makes use of: 60 ms before a loss, and as much again for what was concealed since.
pub(crate) const HISTORY_MS: usize = 120;
/// How long the concealed sound is at full level.
const HOLD_MS: usize = 10;
/// It is silent after so long, falling linearly.
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

/// Conceals lost packets of one mono stream.
///
/// It repeats the last pitch periods and fades, as ITU-T G.711 Appendix I does, with four differences:
///
/// - There is no delay. A mismatch at a join rings out through a short-term prediction filter, so that samples that
///   were played need not be changed.
/// - Unvoiced sound is continued by noise of the same spectrum instead of a buzzing repetition.
/// - Longer losses repeat two and then three pitch periods.
/// - If the packet after the gap is there already, [`bridge`](Self::bridge) fills the gap from both sides. Each side
///   fades with its distance, and the pitch is bent so that both are in phase.
///
/// Call [`conceal`](Self::conceal) when a packet is missing and nothing is known of what follows,
/// [`merge`](Self::merge) on the first good packet after it, and [`bridge`](Self::bridge) if that packet is there. The
/// work of `bridge` can be spread over several ticks with [`prepare`](Self::prepare), [`meet`](Self::meet) and
/// [`go_on`](Self::go_on). A concealer takes less than 200 bytes, and about 1.5 KiB of stack when a loss begins. At 8
/// kHz a first lost frame of 20 ms takes 2.2 µs on a host (`BENCHMARKS.md`).
///
/// A gap whose both ends are known is filled from both:
///
/// ```
/// use dsp_core::waveform::Concealer;
///
/// let tone = |n: usize| (8_000.0 * (n as f32 * core::f32::consts::TAU / 40.0).sin()) as i16;
/// let before: Vec<i16> = (0..960).map(tone).collect();
/// let mut after: Vec<i16> = (1_120..1_280).map(tone).collect();
/// let mut gap = [0; 160];
/// Concealer::new(8_000).bridge(&before, &mut gap, &mut after);
/// // The tone goes on as it would have.
/// let error = (0..160).map(|n| tone(960 + n).abs_diff(gap[n])).max();
/// assert!(error < Some(1_600));
/// ```
#[derive(Clone, Debug)]
pub struct Concealer {
    rate_hz: u32,
    state: RatedConcealer,
}

impl Concealer {
    /// A concealer for this sample rate, in Hz. Rates outside 8,000 to 48,000 count as the nearest of these.
    pub fn new(sample_rate_hz: u32) -> Self {
        let rate_hz = sample_rate_hz.clamp(8_000, 48_000);
        Self { rate_hz, state: RatedConcealer::new(rate_hz) }
    }

    /// Whether concealed sound was made that [`Self::merge`] or [`Self::bridge`] has to join to the next packet.
    pub fn is_concealing(&self) -> bool {
        self.state.is_concealing()
    }

    /// Whether the past side is analysed, for a loss that goes on or one that may come.
    pub fn is_ready(&self) -> bool {
        self.state.ready
    }

    /// Number of samples of a gap whose future side [`Self::meet`] has made, and to which [`Self::go_on`] still has to
    /// add the past side.
    pub fn unmet(&self) -> usize {
        self.state.unmet()
    }

    /// Number of samples until concealment has lasted a whole number of pitch periods, so that the signal continues in
    /// phase with where the loss began; 0 if the sound has no pitch.
    pub fn until_in_phase(&self) -> usize {
        self.state.until_in_phase()
    }

    /// Forgets the stream.
    pub fn reset(&mut self) {
        self.state.reset();
    }

    /// Analyses the past side of a loss that may begin right behind `history`, with one pitch search. If good samples
    /// come instead, call [`Self::dismiss`].
    pub fn prepare(&mut self, history: &[i16]) {
        self.state.begin(self.rate_hz, history);
    }

    /// Takes [`Self::prepare`] back, as no loss came.
    pub fn dismiss(&mut self) {
        self.state.dismiss();
    }

    /// Fills `out`, of any length, when a loss begins or goes on and nothing is known of what follows.
    ///
    /// `history` is everything played most recently, newest last, with what earlier calls made. The sound begins to
    /// fade after 10 ms and is silent after 120 ms.
    pub fn conceal(&mut self, history: &[i16], out: &mut [i16]) {
        self.state.conceal(self.rate_hz, history, out);
    }

    /// Fills a `gap` whose both ends are known: `future` is the decoded signal after it.
    ///
    /// `history` is as for [`Self::conceal`]. Up to 20 ms of `future` are used; with less the result is worse. The gap
    /// may be a whole loss, or what is left of it after [`Self::conceal`]. `future` stays as it is, except if the gap
    /// is empty, because something was cut out between `history` and `future`: then its first 5 ms are blended.
    pub fn bridge(&mut self, history: &[i16], gap: &mut [i16], future: &mut [i16]) {
        if gap.is_empty() {
            return self.state.blend(self.rate_hz, history, future);
        }
        self.meet(history, gap, future);
        self.go_on(history, gap);
    }

    /// The first half of [`Self::bridge`]: makes the future side of the whole `gap`, whose content is of use only
    /// after [`Self::go_on`] has added the past side. It takes two short pitch searches near the known period and one
    /// more analysis, and that of [`Self::prepare`] if it was not made before.
    pub fn meet(&mut self, history: &[i16], gap: &mut [i16], future: &[i16]) {
        self.state.meet(self.rate_hz, history, gap, future);
    }

    /// The second half of [`Self::bridge`], for the next samples of the gap: adds the past side, crossfaded over the
    /// whole gap. `history` is everything up to these samples. `gap` may be any part of the whole gap, one part after
    /// the other.
    pub fn go_on(&mut self, history: &[i16], gap: &mut [i16]) {
        self.state.go_on(self.rate_hz, history, gap);
    }

    /// Joins the first good `frame` after [`Self::conceal`], in place: the concealed sound goes on for a moment and
    /// fades out beneath it.
    pub fn merge(&mut self, history: &[i16], frame: &mut [i16]) {
        self.state.merge(self.rate_hz, history, frame);
    }
}

/// What a concealer found out about the sound before a gap: its pitch and its spectral envelope. A
/// [`Decoder`](crate::codec::Decoder) gets it with the gap (`follow_known`).
#[derive(Clone, Copy, Debug)]
pub struct GapAnalysis<'a>(&'a SignalExtension);

/// A [`Concealer`] that is told its rate with each call. A receiver that knows its rate when the program is made passes it on as a
/// constant, for which the compiler leaves out what other rates need, and divides beforehand.
#[derive(Clone, Debug)]
pub(crate) struct RatedConcealer {
    /// Samples until silence, and how many of them the level falls.
    silent: u16,
    falling: u16,
    /// Fall of the gain a sample, Q30.
    slope: u32,
    forward: SignalExtension,
    /// Whether `forward` continues what was heard before the loss, or before one that may come.
    ready: bool,
    /// Samples concealed since the last good one; 0 when not concealing.
    lost: usize,
    /// Samples of a gap to which only the future side was given, and its crossfade's step a sample, Q30.
    met: u32,
    step: u32,
    seed: u32,
}

impl RatedConcealer {
    /// For a rate of 8 to 48 kHz.
    pub(crate) fn new(rate_hz: u32) -> Self {
        let falling = (SILENT_MS - HOLD_MS) * rate_hz as usize / 1_000;
        let silent = SILENT_MS * rate_hz as usize / 1_000;
        // Rounded up, so that the gain is one before the fall.
        let slope = (1u32 << 30).div_ceil((falling as u32).max(1));
        Self {
            silent: silent as u16,
            falling: falling as u16,
            slope,
            forward: SignalExtension::IDLE,
            ready: false,
            lost: 0,
            met: 0,
            step: 0,
            seed: 1,
        }
    }

    /// As [`Concealer::is_concealing`].
    pub(crate) fn is_concealing(&self) -> bool {
        self.lost != 0 && self.met == 0
    }

    /// As [`Concealer::is_ready`].
    pub(crate) fn is_ready(&self) -> bool {
        self.ready
    }

    /// As [`Concealer::unmet`].
    pub(crate) fn unmet(&self) -> usize {
        self.met as usize
    }

    /// As [`Concealer::until_in_phase`].
    pub(crate) fn until_in_phase(&self) -> usize {
        let period = self.forward.period.max(1);
        if self.lost >= self.silent() || self.forward.voiced == 0 { 0 } else { (period - self.lost % period) % period }
    }

    /// As [`Concealer::reset`].
    pub(crate) fn reset(&mut self) {
        self.end();
        self.forward = SignalExtension::IDLE;
    }

    /// The loss is over.
    fn end(&mut self) {
        self.ready = false;
        self.lost = 0;
        self.met = 0;
    }

    /// As [`Concealer::dismiss`].
    pub(crate) fn dismiss(&mut self) {
        self.ready &= self.lost != 0;
    }

    /// As [`Concealer::conceal`].
    pub(crate) fn conceal(&mut self, rate_hz: u32, history: &[i16], out: &mut [i16]) {
        let real = self.begin(rate_hz, history);
        self.extend(rate_hz, real, out, |_, made| made);
    }

    /// Leaves out the next `samples` of a loss that has begun, or may begin: the voice is in phase behind them, but what rings
    /// of a join before them does not.
    pub(crate) fn skip(&mut self, samples: usize) {
        if samples > 0 {
            self.lost = (self.lost + samples).min(self.silent());
            self.forward.skip(samples);
        }
    }

    /// As [`Concealer::meet`].
    pub(crate) fn meet(&mut self, rate_hz: u32, history: &[i16], gap: &mut [i16], future: &[i16]) {
        let real = self.begin(rate_hz, history);
        let near = &future[..future.len().min(Self::ms(rate_hz, 20))];
        let ahead = GapSide::Future(near);
        let mut pitch = pitch::search_near(near, self.forward.period, rate_hz);
        if pitch.lag + MAX_ORDER > near.len() {
            pitch.correlation = 0;
        }
        let mut backward = SignalExtension::IDLE;
        backward.seed = !self.seed;
        backward.start(Predictor::analyse(near, rate_hz), pitch, ahead);
        if self.lost < self.silent() {
            self.align(rate_hz, &mut backward, real, near, gap.len());
        }
        // From the far end, fading as the near side does.
        let mut block = [0; LONG_BLOCK];
        let mut back = 0;
        for part in gap.rchunks_mut(LONG_BLOCK) {
            backward.fill(rate_hz, block.get_mut(..part.len()).unwrap_or_default(), ahead);
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
        self.step = (1 << 30) / (self.met + 1).max(1);
    }

    /// As [`Concealer::go_on`].
    pub(crate) fn go_on(&mut self, rate_hz: u32, history: &[i16], gap: &mut [i16]) {
        let real = self.begin(rate_hz, history);
        let here = gap.len().min(self.met as usize);
        let (step, left) = (self.step, self.met - here as u32);
        let mut weight = step * self.met;
        self.extend(rate_hz, real, &mut gap[..here], |far, made| {
            let w = (weight >> 15) as i32;
            weight -= step;
            far + (((i32::from(made as i16) - far) * w) >> 15)
        });
        self.met = left;
        if left == 0 {
            self.end();
        }
    }

    /// As [`Concealer::merge`].
    pub(crate) fn merge(&mut self, rate_hz: u32, history: &[i16], frame: &mut [i16]) {
        if self.lost != 0 {
            self.blend(rate_hz, history, frame);
        }
    }

    /// Crossfades from the running extension of `history` into `frame`.
    pub(crate) fn blend(&mut self, rate_hz: u32, history: &[i16], frame: &mut [i16]) {
        let real = self.begin(rate_hz, history);
        let n = frame.len().min(Self::ms(rate_hz, MERGE_MS));
        let step = ONE / (n as i32 + 1).max(1);
        let mut w = 0;
        self.extend(rate_hz, real, &mut frame[..n], |y, made| {
            w += step;
            (y * w + made * (ONE - w)) >> 15
        });
        self.end();
    }

    /// Bends both pitches so that they meet in phase: the repetition of the past arrives at the gap's end where the
    /// future begins. Nothing is bent when the two sides are not the same voice.
    fn align(&mut self, rate_hz: u32, backward: &mut SignalExtension, real: &[i16], near: &[i16], gap: usize) {
        let forward = &mut self.forward;
        if forward.voiced == 0 || backward.voiced == 0 || !BEND.contains(&gap) {
            return;
        }
        let (p, q) = ((forward.period as i32).max(1), (backward.period as i32).max(1));
        let gap = gap as i32;
        let nominal = gap * 2 * p / (p + q).max(1);
        let natural = (forward.position >> 16) as i32 + nominal;
        // Where the future would lie before the past's end if nothing were bent, and how far off that is looked for it:
        // a little further than may be bent, so that what lies beyond is seen to do so.
        let (most, whole) = (gap / 8, near.len().min(forward.period) as i32);
        let reach = (most + 2 * pitch::decimation(rate_hz).get() as i32).min(p / 2);
        let mut straight = (forward.span as i32 - natural).rem_euclid(p);
        while straight - reach < whole {
            straight += p;
        }
        let lags = (straight - reach) as usize..=(straight + reach) as usize;
        let Some(found) = pitch::phase(real, near, forward.period, lags, rate_hz) else { return };
        let bend = straight - found.lag as i32;
        if found.correlation < ALIKE || bend.abs() > most {
            return;
        }
        let step = (((nominal + bend) as u32) << 16) / gap as u32;
        let steps = [step, step * q as u32 / p as u32].map(NonZeroU32::new);
        // Neither is far from one.
        if let [Some(forwards), Some(backwards)] = steps {
            (forward.step, backward.step) = (forwards, backwards);
        }
    }

    fn ms(rate_hz: u32, ms: usize) -> usize {
        ms * rate_hz as usize / 1_000
    }

    /// The real part of `history`; at the beginning of a loss, its analysis.
    pub(crate) fn begin<'a>(&mut self, rate_hz: u32, history: &'a [i16]) -> &'a [i16] {
        if !self.ready {
            self.ready = true;
            let real = &history[history.len() - history.len().min(Self::ms(rate_hz, HISTORY_MS))..];
            let pitch = pitch::search(real, rate_hz);
            self.sow();
            self.forward.start(Predictor::analyse(real, rate_hz), pitch, GapSide::Past(real));
            return real;
        }
        let real = &history[..history.len() - self.lost.min(history.len())];
        let real = &real[real.len() - real.len().min(Self::ms(rate_hz, HISTORY_MS))..];
        if self.forward.voiced != 0 && real.len() < self.forward.span + MAX_ORDER {
            // The source has left the caller's memory: what sounds now rings out.
            self.forward.voiced = 0;
            for (m, v) in self.forward.memory.iter_mut().zip(history.iter().rev()) {
                *m = *v;
            }
        }
        real
    }

    /// What the analysis of the past side found out; `None` before it.
    pub(crate) fn analysis(&self) -> Option<GapAnalysis<'_>> {
        self.ready.then_some(GapAnalysis(&self.forward))
    }

    /// Begins a loss behind `history` as [`begin`](Self::begin) does, with what somebody else found out about the same sound at
    /// the same rate.
    pub(crate) fn begin_as(&mut self, rate_hz: u32, history: &[i16], known: GapAnalysis<'_>) {
        if !self.ready {
            self.ready = true;
            let real = &history[history.len() - history.len().min(Self::ms(rate_hz, HISTORY_MS))..];
            self.sow();
            self.forward.start_as(known.0, GapSide::Past(real));
        }
    }

    /// Each loss has noise of its own.
    fn sow(&mut self) {
        self.forward.seed = self.seed;
        self.seed = self.seed.wrapping_add(0x9e37_79b9);
    }

    /// The concealment's next samples, each `join`ed to what is in `out`.
    fn extend(&mut self, rate_hz: u32, real: &[i16], out: &mut [i16], mut join: impl FnMut(i32, i32) -> i32) {
        let mut block = [0; BLOCK];
        for part in out.chunks_mut(BLOCK) {
            let block = block.get_mut(..part.len()).unwrap_or_default();
            if self.lost < self.silent() {
                let grow = Self::ms(rate_hz, GROW_MS);
                self.forward.cycles = 1 + u8::from(self.lost >= grow) + u8::from(self.lost >= 2 * grow);
                self.forward.fill(rate_hz, block, GapSide::Past(real));
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

#[cfg(test)]
mod tests;

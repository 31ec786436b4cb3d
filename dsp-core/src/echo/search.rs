//! Delay search: where in the last half second of the far end the echo begins.
//!
//! Far end and microphone are brought to 2 kHz and whitened, with one long NLMS filter between them. Its step is also
//! divided by the power of the error, so that double talk disturbs it little. Every 100 ms the first strong tap is
//! noted. The delay is what three of these notes agree on, provided that the filter's own error is well below the
//! canceller's in the same band; without that comparison, double talk would lead to false delays. The first result
//! comes after 0.7 to 1.2 s of speech.
//!
//! The cost is two multiplications for each tap and sample at 2 kHz. Four samples are processed together, so that a
//! tap is read and written once for them.

use crate::arithmetic::{dot, energy, max, min};
use crate::block::Block;
use crate::process::biquad::{Biquad, BiquadDesign};
use crate::process::resample::Prototype;

/// Samples of a block of 10 ms.
const BLOCK: usize = 20;
/// Samples that share one update.
const GROUP: usize = 4;
/// Taps of the low-pass at 16 kHz.
const LOW_PASS: usize = 48;
/// At 2 kHz: speech hardly excites what is below 120 Hz.
const HIGH_PASS: BiquadDesign = match BiquadDesign::high_pass(2_000, 120) {
    Ok(design) => design,
    Err(_) => panic!("120 Hz are below half of 2 kHz"),
};
/// Blocks between two looks at the filter: 100 ms.
const LOOK: u32 = 10;
/// The far end's mean power a sample, -80 dB, below which nothing is learned.
const QUIET: f32 = 1e-8;
/// Step of the filter, and a smaller one, with which noise is averaged for longer, if nothing was found for this many
/// blocks of the far end: a near end without pauses hides the echo.
const STEP: f32 = 0.5;
const PATIENT_STEP: f32 = 0.15;
const PATIENT_BLOCKS: u32 = 300;
/// How long an echo is heard behind its onset.
const REVERBERATION_MS: f32 = 150.0;
/// Onsets that are kept.
const ONSETS: usize = 10;

/// Onsets that agree, and by how many ms they may differ.
const AGREE: usize = 3;
const AGREE_MS: f32 = 6.0;
/// Onsets that agree where nothing else tells that they are right.
const STEADY: usize = 5;

/// What the canceller's filter does meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FilterState {
    /// It takes nothing away.
    Idle,
    /// It takes some of the echo away.
    Works,
    /// It takes 10 dB away.
    Good,
}

/// Length of the memory for a search over this many taps at 2 kHz, 2 for each ms.
pub const fn search_memory(taps: usize) -> usize {
    2 * taps + BLOCK
}

/// A signal on its way to 2 kHz.
#[derive(Clone, Copy, Debug)]
struct Decimator<const B: usize> {
    last: [f32; B],
    whitened: f32,
}

impl<const B: usize> Decimator<B> {
    const NEW: Self = Self { last: [0.0; B], whitened: 0.0 };

    fn process(&mut self, taps: &[f32], block: &[f32; B]) -> [f32; BLOCK] {
        let factor = B / BLOCK;
        let mut out = [0.0; BLOCK];
        for (n, out) in out.iter_mut().enumerate() {
            // The newest sample that belongs to this one is the group's first; the low-pass is symmetric.
            let end = n * factor + 1;
            let low = match end.checked_sub(taps.len()) {
                Some(start) => dot(&block[start..end], taps),
                None => {
                    let before = taps.len() - end;
                    dot(&self.last[B - before..], &taps[..before]) + dot(&block[..end], &taps[before..])
                }
            };
            (*out, self.whitened) = (low - 0.95 * self.whitened, low);
        }
        self.last = *block;
        out
    }
}

/// The search. `S`: [`search_memory`].
#[derive(Clone, Debug)]
pub(super) struct Search<const B: usize, S> {
    low_pass: [f32; LOW_PASS],
    far: Decimator<B>,
    near: Decimator<B>,
    error: Decimator<B>,
    /// High-pass filters for far end and microphone.
    high_pass: [Biquad<f32>; 2],
    memory: S,
    /// Smoothed powers a block: the search's error, the microphone, the canceller's error.
    powers: [f32; 3],
    /// The same over the last 30 ms or so.
    recent: [f32; 3],
    /// The first two of the last block, if it learned from it.
    last: Option<[f32; 2]>,
    /// Blocks since the far end was heard.
    silent: u32,
    last_error: f32,
    blocks: u32,
    /// Blocks of the far end's in which neither this filter nor the canceller's has found anything.
    waiting: u32,
    /// The newest first; negative where there was none.
    onsets_ms: [f32; ONSETS],
}

impl<const B: usize, S: AsRef<[f32]> + AsMut<[f32]>> Search<B, S> {
    pub(super) fn new(mut memory: S) -> Self {
        let mut low_pass = [0.0; LOW_PASS];
        let length = Self::low_pass_len();
        // 850 Hz, against 16 or 8 kHz.
        let cutoff = 2.0 * 850.0 / (B as f64 * 100.0);
        let filter = Prototype::new(length as f64 / 2.0, cutoff, 53.0);
        for (n, tap) in low_pass[..length].iter_mut().enumerate() {
            *tap = filter.at(n as f64 - (length as f64 - 1.0) / 2.0) as f32;
        }
        memory.as_mut().fill(0.0);
        Self {
            low_pass,
            far: Decimator::NEW,
            near: Decimator::NEW,
            error: Decimator::NEW,
            high_pass: [Biquad::new(HIGH_PASS); 2],
            memory,
            powers: [0.0; 3],
            recent: [0.0; 3],
            last: None,
            silent: 0,
            last_error: 0.0,
            blocks: 0,
            waiting: 0,
            onsets_ms: [-1.0; ONSETS],
        }
    }

    fn low_pass_len() -> usize {
        (B / BLOCK * 6).min(LOW_PASS)
    }

    /// Taps, or 0 where there is no memory for a search.
    fn taps(&self) -> usize {
        self.memory.as_ref().len().saturating_sub(BLOCK) / 2
    }

    /// Whether its filter explains a fifth of the microphone, with an onset that stays where it is.
    pub(super) fn hears_echo(&self) -> bool {
        self.powers[0] < 0.8 * self.powers[1] && spread(&self.onsets_ms[..AGREE]) < AGREE_MS
    }

    /// The share that this filter explains, long before it's sure of the delay, of what the canceller leaves, or of the microphone
    /// where the canceller's filter is `idle`; 0 where no onset stands out.
    pub(super) fn explains(&self, idle: bool) -> f32 {
        // What was said last comes back after the delay, and is over soon.
        if self.onsets_ms[0] < 0.0 || self.silent as f32 * 10.0 > self.onsets_ms[0] + REVERBERATION_MS {
            return 0.0;
        }
        let left = [self.powers, self.recent].map(|[own, near, canceller]| {
            let whole = if idle { near } else { canceller };
            if whole > 0.0 { min(own / whole, 1.0) } else { 1.0 }
        });
        1.0 - max(left[0], left[1])
    }

    /// Forgets the filter: the path has changed.
    pub(super) fn restart(&mut self) {
        let taps = self.taps();
        self.memory.as_mut()[..taps].fill(0.0);
        self.onsets_ms = [-1.0; ONSETS];
        (self.powers, self.recent) = ([0.0; 3], [0.0; 3]);
        self.waiting = 0;
    }

    pub(super) fn reset(&mut self) {
        self.restart();
        self.memory.as_mut().fill(0.0);
        (self.far, self.near, self.error) = (Decimator::NEW, Decimator::NEW, Decimator::NEW);
        self.high_pass = [Biquad::new(HIGH_PASS); 2];
        (self.last, self.last_error, self.blocks) = (None, 0.0, 0);
    }

    /// What the canceller left of the microphone's block, to compare with.
    pub(super) fn canceller_error(&mut self, error: &[f32; B]) {
        let low = self.error.process(&self.low_pass[..Self::low_pass_len()], error);
        self.last_error = energy(&low);
        if let Some([own, near]) = self.last {
            for (power, now) in self.recent.iter_mut().zip([own, near, self.last_error]) {
                *power = 0.7 * *power + 0.3 * now;
            }
        }
    }

    /// Takes in a block of far end and microphone, both as they are; each 100 ms it may return the echo's onset in ms.
    /// Every second block is enough behind a filter that is good.
    pub(super) fn process(&mut self, far: &[f32; B], near: &[f32; B], filter_state: FilterState) -> Option<f32> {
        let taps = self.taps();
        if taps == 0 {
            return None;
        }
        let low_pass = &self.low_pass[..Self::low_pass_len()];
        let (mut x, mut d) = (self.far.process(low_pass, far), self.near.process(low_pass, near));
        let [far_high, near_high] = &mut self.high_pass;
        far_high.process(&mut x);
        near_high.process(&mut d);
        let (filter, history) = self.memory.as_mut().split_at_mut(taps);
        history.copy_within(BLOCK.., 0);
        history[taps..].copy_from_slice(&x);
        self.blocks = self.blocks.wrapping_add(1);
        self.last = None;
        let speaks = energy(&x) > BLOCK as f32 * QUIET;
        self.silent = if speaks { 0 } else { self.silent.saturating_add(1) };
        if speaks && !(filter_state == FilterState::Good && self.blocks.is_multiple_of(2)) {
            self.waiting = if filter_state == FilterState::Idle { self.waiting.saturating_add(1) } else { 0 };
            let step = if self.waiting > PATIENT_BLOCKS { PATIENT_STEP } else { STEP };
            let error = adapt(filter, history, &d, step);
            for (power, now) in self.powers.iter_mut().zip([error, energy(&d), self.last_error]) {
                *power = 0.97 * *power + 0.03 * now;
            }
            self.last = Some([error, energy(&d)]);
        }
        if !self.blocks.is_multiple_of(LOOK) {
            return None;
        }
        let onset = onset_ms(&self.memory.as_ref()[..taps]);
        self.onsets_ms.rotate_right(1);
        self.onsets_ms[0] = onset.unwrap_or(-1.0);
        self.agreed(filter_state == FilterState::Idle)
    }

    /// What the last onsets agree on, if it surely is the echo's. `idle`: whether a filter that is moved loses nothing.
    fn agreed(&self, idle: bool) -> Option<f32> {
        let [own, near, canceller] = self.powers;
        let better = own < 0.5 * canceller;
        let surely = spread(&self.onsets_ms) < 3.0 && own < 0.25 * near;
        // A near end that never pauses hides what either filter explains, so it's enough that they stay where they are.
        let steady = idle && spread(&self.onsets_ms[..STEADY]) < AGREE_MS && own < 0.95 * min(near, canceller);
        if spread(&self.onsets_ms[..AGREE]) < AGREE_MS && (better || surely || steady) {
            let [a, b, c] = [self.onsets_ms[0], self.onsets_ms[1], self.onsets_ms[2]];
            return Some(a.min(b).max(a.max(b).min(c)));
        }
        None
    }
}

/// How far onsets lie apart in ms; there must be some in all places.
fn spread(onsets_ms: &[f32]) -> f32 {
    let (low, high) =
        onsets_ms.iter().fold((f32::MAX, f32::MIN), |(low, high), &onset| (low.min(onset), high.max(onset)));
    if low < 0.0 { f32::MAX } else { high - low }
}

/// A block of NLMS, four samples an update; returns the energy of the errors. The filter's last tap is of the newest sample.
fn adapt(filter: &mut [f32], history: &[f32], near: &[f32; BLOCK], step: f32) -> f32 {
    let taps = filter.len();
    let mut power = energy(&history[1..=taps]);
    let mut total = 0.0;
    for group in 0..BLOCK / GROUP {
        let first = group * GROUP + 1;
        let window = &history[first..first + taps + GROUP - 1];
        let estimates = estimate(filter, window);
        let mut gains = [0.0; GROUP];
        for n in 0..GROUP {
            let at = group * GROUP + n;
            let error = near[at] - estimates[n];
            total += error * error;
            gains[n] = step * error / (power.max(0.0) + 1e-7 * taps as f32 + 10.0 * error * error);
            // The window moves on by one sample.
            if at + 1 < BLOCK {
                let (gone, come) = (history[at + 1], history[at + 1 + taps]);
                power += come * come - gone * gone;
            }
        }
        update(filter, window, gains);
    }
    total
}

/// Outputs for `GROUP` neighbouring samples: each tap is read once.
fn estimate(filter: &[f32], window: &[f32]) -> [f32; GROUP] {
    let mut sums = [[0.0f32; 8]; GROUP];
    let (lanes, rest) = filter.as_chunks::<8>();
    for (at, taps) in lanes.iter().enumerate() {
        for (n, sum) in sums.iter_mut().enumerate() {
            let x = &window[8 * at + n..8 * at + n + 8];
            for lane in 0..8 {
                sum[lane] += taps[lane] * x[lane];
            }
        }
    }
    let done = filter.len() - rest.len();
    core::array::from_fn(|n| {
        let [a, b, c, d, e, f, g, h] = sums[n];
        let rest: f32 = rest.iter().zip(&window[done + n..]).fold(0.0, |sum, (tap, x)| sum + tap * x);
        ((a + e) + (c + g)) + ((b + f) + (d + h)) + rest
    })
}

/// Adds `GROUP` shifted windows to the filter, each by its gain: each tap is written once.
fn update(filter: &mut [f32], window: &[f32], gains: [f32; GROUP]) {
    let [a, b, c, d] = gains;
    let count = filter.len();
    let (one, two, three) = (&window[1..1 + count], &window[2..2 + count], &window[3..3 + count]);
    for ((((tap, x), one), two), three) in filter.iter_mut().zip(window).zip(one).zip(two).zip(three) {
        *tap += (a * x + b * one) + (c * two + d * three);
    }
}

/// Where the strongest part of the filter begins, if it stands out.
fn onset_ms(filter: &[f32]) -> Option<f32> {
    let taps = filter.len();
    // By lag: the filter's last tap is lag 0.
    let tap = |lag: usize| filter[taps - 1 - lag];
    let smoothed = |lag: usize| {
        let square = |lag: usize| tap(lag) * tap(lag);
        let before = if lag > 0 { square(lag - 1) } else { 0.0 };
        let after = if lag + 1 < taps { square(lag + 1) } else { 0.0 };
        0.5 * square(lag) + 0.25 * (before + after)
    };
    let (mut peak, mut at, mut sum) = (0.0, 0, 0.0);
    for lag in 0..taps {
        let value = smoothed(lag);
        sum += value;
        if value > peak {
            (peak, at) = (value, lag);
        }
    }
    if !(peak > 1e-6 && peak * taps as f32 > 12.0 * sum) {
        return None;
    }
    let begin = (at.saturating_sub(80)..=at).find(|&lag| smoothed(lag) > 0.12 * peak).unwrap_or(at);
    // Two taps of the low-pass come before.
    Some((begin as f32 - 2.0) / 2.0)
}

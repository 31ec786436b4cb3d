//! Time stretching; described on [`Stretcher`]. Correlations are Q15. The cost at 8 kHz is 4,000 to 6,000
//! multiplications for each call.

use super::pitch::{self, CopySide, Match, Range};
use crate::slices::{move_within, part, part_mut, split_mut};

/// A splice is made from this normalised correlation on (0.9 in Q15), as long as there is no hurry.
const ALIKE: i32 = 29_491;
/// With a delay that is off by up to the first number of ms there is no hurry; from the second on any splice will do.
const HURRY_MS: core::ops::Range<i32> = 50..150;
/// Peak below which a signal counts as silence (-54 dB of full scale).
const SILENCE: u32 = 64;
/// Sound that is this far below the speech counts as quiet too (1/32: 30 dB).
const QUIET_SHIFT: u32 = 5;

/// Makes a signal shorter or longer by one pitch period, where that cannot be heard. Use one for each stream.
///
/// It is pitch-synchronous overlap-add: around the splice, the lag at which the signal repeats itself best is cut out
/// or inserted, with a linear crossfade. In near silence any length serves. All channels are spliced alike, so that a
/// voice keeps its place between the loudspeakers. It keeps no sound between calls and uses 280 bytes of stack; at 8
/// kHz a call takes 1.1 µs on a host (`BENCHMARKS.md`).
///
/// The buffer holds too little, so a tone is made longer by whole periods:
///
/// ```
/// use dsp_core::waveform::Stretcher;
///
/// let tone = |n: usize| (8_000.0 * (n as f32 * core::f32::consts::TAU / 40.0).sin()) as i16;
/// // 60 ms, and room for 15 more.
/// let mut sound: Vec<i16> = (0..480).map(tone).collect();
/// sound.resize(600, 0);
/// let inserted = Stretcher::new(8_000).decelerate(&mut [&mut sound[..]], 480, 200, 120).ok_or("not alike")?;
/// assert_eq!(inserted % 40, 0);
/// // Still the same tone at its end.
/// let last = 480 + inserted - 1;
/// assert!(tone(479).abs_diff(sound[last]) < 200);
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Stretcher {
    rate_hz: u32,
    state: Stretching,
}

impl Stretcher {
    /// A stretcher for this sample rate, in Hz. Rates outside 8,000 to 48,000 count as the nearest of these.
    pub fn new(sample_rate_hz: u32) -> Self {
        Stretcher { rate_hz: sample_rate_hz.clamp(8_000, 48_000), state: Stretching::new() }
    }

    /// Sets how far the delay is off its target, in ms, or less if the change can wait. The larger it is, the less
    /// alike the two sides of a splice need to be: noise and music never repeat themselves well, and the delay must
    /// change all the same. `None` waits for a pause in the speech.
    pub fn hurry(&mut self, off_ms: Option<u32>) {
        self.state.hurry(off_ms);
    }

    /// Removes one pitch period (2.5 to 15 ms, at most `max_remove` samples) after `start`.
    ///
    /// Each of `channels`, all of the same length, is context followed by samples not played yet, which begin at
    /// `start`; only those change. It works best with 10 ms of context and at least 20 ms after it. Returns the number
    /// of samples removed from each channel, of which `[..len - removed]` is valid afterwards. Returns `None`, and
    /// changes nothing, if every splice would be heard.
    pub fn accelerate(&mut self, channels: &mut [&mut [i16]], start: usize, max_remove: usize) -> Option<usize> {
        self.state.accelerate(self.rate_hz, channels, start, max_remove)
    }

    /// Inserts about one pitch period (2.5 to 15 ms, at most `max_insert` samples) after `start`.
    ///
    /// The first `len` samples of each of `channels` are valid, and the rest is room; only samples from `start` on
    /// change. It works best with 25 ms of context before `start`. Returns the number of samples inserted into each
    /// channel. Returns `None`, and changes nothing, if every splice would be heard or there is no room.
    pub fn decelerate(
        &mut self,
        channels: &mut [&mut [i16]],
        len: usize,
        start: usize,
        max_insert: usize,
    ) -> Option<usize> {
        self.state.decelerate(self.rate_hz, channels, len, start, max_insert)
    }
}

/// A [`Stretcher`] that is told its rate with each call, as a constant where that is known when the program is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretching {
    /// How alike a splice's sides must be; `None`: silent.
    alike: Option<i32>,
    /// The loudest recent peak.
    loudest: u32,
}

impl Stretching {
    pub(crate) fn new() -> Self {
        Stretching { alike: Some(ALIKE), loudest: 0 }
    }

    /// As [`Stretcher::hurry`].
    pub(crate) fn hurry(&mut self, off_ms: Option<u32>) {
        self.alike = off_ms.map(|off_ms| {
            let left = HURRY_MS.end - (off_ms.min(HURRY_MS.end as u32) as i32).max(HURRY_MS.start);
            let whole = HURRY_MS.end - HURRY_MS.start;
            if left == 0 { i32::MIN } else { ALIKE * left / whole }
        });
    }

    /// As [`Stretcher::accelerate`].
    pub(crate) fn accelerate(
        &mut self,
        rate_hz: u32,
        channels: &mut [&mut [i16]],
        start: usize,
        max_remove: usize,
    ) -> Option<usize> {
        let len = shortest(channels);
        let ahead = len.checked_sub(start)?;
        let shortest = Self::tenths(rate_hz, 25);
        let longest = max_remove.min(Self::tenths(rate_hz, 150)).min(ahead.saturating_sub(shortest));
        if longest < shortest {
            return None;
        }
        let back = start.min(Self::tenths(rate_hz, 100));
        let window = back + Self::tenths(rate_hz, 100).min(ahead - longest);
        let range = Range { start: start - back, window, side: CopySide::After, shortest, longest };
        let lag = self.splice(rate_hz, channels, len, range)?;
        let overlap = lag.min(ahead - lag);
        for signal in channels {
            let (kept, later) = split_mut(part_mut(signal, start, ahead), lag);
            crossfade(part_mut(kept, 0, overlap), later);
            let rest = start + lag + overlap;
            move_within(signal, rest, len - rest, start + overlap);
        }
        Some(lag)
    }

    /// As [`Stretcher::decelerate`].
    pub(crate) fn decelerate(
        &mut self,
        rate_hz: u32,
        channels: &mut [&mut [i16]],
        len: usize,
        start: usize,
        max_insert: usize,
    ) -> Option<usize> {
        let room = shortest(channels).checked_sub(len)?;
        len.checked_sub(start)?;
        let shortest = Self::tenths(rate_hz, 25);
        let most = max_insert.min(Self::tenths(rate_hz, 150)).min(room);
        // Without enough context the splice is made later.
        let at = start.max(most.min(len / 2));
        let longest = most.min(at);
        let ahead = (len - at).min(Self::tenths(rate_hz, 100));
        if longest < shortest || ahead < shortest {
            return None;
        }
        let back = (at - longest).min(Self::tenths(rate_hz, 100));
        let range = Range { start: at - back, window: back + ahead, side: CopySide::Before, shortest, longest };
        let lag = self.splice(rate_hz, channels, len, range)?;
        let overlap = lag.min(ahead);
        for signal in channels {
            let rest = at + overlap - lag;
            move_within(signal, rest, len - rest, at + overlap);
            let (earlier, later) = split_mut(signal, at);
            crossfade(part_mut(later, 0, overlap), part(earlier, at - lag, overlap));
        }
        Some(lag)
    }

    /// The lag to cut or insert in the first `len` samples, if one goes unheard.
    fn splice(&mut self, rate_hz: u32, channels: &[&mut [i16]], len: usize, range: Range) -> Option<usize> {
        let reference_of = |signal| part(signal, range.start, range.window);
        let peaks = channels.iter().map(|signal| (pitch::peak(reference_of(signal)), part(signal, 0, len)));
        let (peak, signal) = peaks.rev().max_by_key(|(peak, _)| *peak)?;
        let reference = reference_of(signal);
        self.loudest = peak.max(self.loudest - (self.loudest >> 6));
        if peak < SILENCE || peak << QUIET_SHIFT < self.loudest {
            return Some(range.longest);
        }
        let alike = self.alike?;
        let Match { lag, correlation } = pitch::best_lag(signal, reference, range, rate_hz)?;
        (correlation >= alike).then_some(lag)
    }

    fn tenths(rate_hz: u32, tenths_of_ms: u32) -> usize {
        (rate_hz * tenths_of_ms / 10_000) as usize
    }
}

fn shortest(channels: &[&mut [i16]]) -> usize {
    channels.iter().map(|signal| signal.len()).min().unwrap_or(0)
}

/// From `into` to `to`, linearly.
fn crossfade(into: &mut [i16], to: &[i16]) {
    let step = 32_768 / (into.len() as i32 + 1).max(1);
    let mut w = 0;
    for (y, t) in into.iter_mut().zip(to) {
        w += step;
        *y = ((i32::from(*y) * (32_768 - w) + i32::from(*t) * w) >> 15) as i16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    /// Two harmonics of `pitch_hz`.
    fn tone(rate_hz: u32, pitch_hz: f64, samples: usize) -> Vec<i16> {
        let t = |i: usize| i as f64 / f64::from(rate_hz) * pitch_hz * core::f64::consts::TAU;
        (0..samples).map(|i| ((t(i).sin() + (t(i) * 3.0).sin() * 0.4) * 8_000.0) as i16).collect()
    }

    fn noise(samples: usize, shift: u32) -> Vec<i16> {
        let mut seed = 5u32;
        (0..samples)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                ((seed >> 16) as u16 as i16) >> shift
            })
            .collect()
    }

    fn largest_step(x: &[i16]) -> i32 {
        x.windows(2).map(|p| (i32::from(p[1]) - i32::from(p[0])).abs()).max().unwrap_or(0)
    }

    #[test]
    fn a_tone_loses_and_gains_whole_periods_without_a_click() {
        for rate in [8_000u32, 16_000, 32_000, 48_000] {
            let ms = rate as usize / 1_000;
            for pitch in [80.0, 125.0, 200.0] {
                let clean = tone(rate, pitch, ms * 120);
                let limit = largest_step(&clean) * 11 / 10;
                let start = ms * 40;

                let mut x = clean.clone();
                let removed =
                    Stretcher::new(rate).accelerate(&mut [&mut x], start, ms * 20).expect("a tone can be cut");
                assert_eq!(x[..start], clean[..start]);
                x.truncate(clean.len() - removed);
                assert!(largest_step(&x) <= limit, "{rate} Hz, {pitch} Hz: {} over {limit}", largest_step(&x));
                let cycles = removed as f64 * pitch / f64::from(rate);
                assert!(cycles > 0.5 && (cycles - cycles.round()).abs() < 0.05, "{cycles} cycles removed");

                let mut x = clean.clone();
                x.resize(clean.len() + ms * 20, 0);
                let added =
                    Stretcher::new(rate).decelerate(&mut [&mut x], clean.len(), start, ms * 20).expect("inserts");
                assert_eq!(x[..start], clean[..start]);
                assert_eq!(x[clean.len() + added - ms..][..ms], clean[clean.len() - ms..]);
                x.truncate(clean.len() + added);
                assert!(largest_step(&x) <= limit, "{rate} Hz, {pitch} Hz: {} over {limit}", largest_step(&x));
                let cycles = added as f64 * pitch / f64::from(rate);
                assert!(cycles > 0.5 && (cycles - cycles.round()).abs() < 0.05, "{cycles} cycles added");
            }
        }
    }

    #[test]
    fn loud_noise_is_left_alone_and_silence_gives_what_is_asked() {
        let mut it = Stretcher::new(8_000);
        let clean = noise(960, 2);
        let mut x = clean.clone();
        assert_eq!(it.accelerate(&mut [&mut x], 320, 120), None);
        assert_eq!(it.decelerate(&mut [&mut x], 800, 320, 120), None);
        assert_eq!(x, clean);
        let mut x = noise(960, 10);
        assert_eq!(it.accelerate(&mut [&mut x], 320, 100), Some(100));
        assert_eq!(it.decelerate(&mut [&mut x], 800, 320, 100), Some(100));
    }

    #[test]
    fn too_little_signal_or_room_is_refused() {
        let mut it = Stretcher::new(8_000);
        let mut x = tone(8_000, 125.0, 400);
        assert_eq!(it.accelerate(&mut [&mut x], 380, 120), None);
        assert_eq!(it.accelerate(&mut [&mut x], 500, 120), None);
        assert_eq!(it.accelerate(&mut [&mut x], 100, 10), None);
        assert_eq!(it.decelerate(&mut [&mut x], 400, 200, 120), None);
        assert_eq!(it.decelerate(&mut [&mut x], 500, 200, 120), None);
        assert_eq!(it.decelerate(&mut [&mut x], 100, 200, 120), None);
    }

    #[test]
    fn channels_are_spliced_alike() {
        let rate = 16_000;
        let ms = 16;
        let (left, right) = (tone(rate, 140.0, ms * 120), tone(rate, 190.0, ms * 120));
        let quiet: Vec<i16> = right.iter().map(|x| x / 4).collect();
        let start = ms * 40;
        let mut alone = left.clone();
        let removed = Stretcher::new(rate).accelerate(&mut [&mut alone], start, ms * 20).unwrap();
        for louder in [0, 1] {
            let (mut a, mut b) =
                if louder == 0 { (left.clone(), quiet.clone()) } else { (quiet.clone(), left.clone()) };
            let both = Stretcher::new(rate).accelerate(&mut [&mut a, &mut b], start, ms * 20);
            assert_eq!(both, Some(removed), "the louder one decides");
            let (loud, soft) = if louder == 0 { (a, b) } else { (b, a) };
            assert_eq!(loud[..left.len() - removed], alone[..left.len() - removed]);
            assert_eq!(soft[..start], quiet[..start]);
            assert_eq!(soft[left.len() - removed - ms..][..ms], quiet[left.len() - ms..]);

            let (mut a, mut b) =
                if louder == 0 { (left.clone(), quiet.clone()) } else { (quiet.clone(), left.clone()) };
            a.resize(left.len() + ms * 20, 0);
            b.resize(left.len() + ms * 20, 0);
            let added = Stretcher::new(rate).decelerate(&mut [&mut a, &mut b], left.len(), start, ms * 20).unwrap();
            let soft = if louder == 0 { b } else { a };
            assert_eq!(soft[..start], quiet[..start]);
            assert_eq!(soft[left.len() + added - ms..][..ms], quiet[left.len() - ms..]);
        }
        assert_eq!(Stretcher::new(rate).accelerate(&mut [], start, ms * 20), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn any_lengths(
            rate in 4_000u32..60_000,
            pitch in 50.0f64..500.0,
            len in 0usize..3_000,
            start in 0usize..3_000,
            room in 0usize..1_000,
            most in 0usize..1_000,
        ) {
            let clean = tone(rate, pitch, len);
            let mut it = Stretcher::new(rate);
            let mut x = clean.clone();
            let removed = it.accelerate(&mut [&mut x], start, most);
            prop_assert!(removed.unwrap_or(0) <= most.min(len));
            let fixed = if removed.is_some() { start } else { len };
            prop_assert_eq!(&x[..fixed.min(len)], &clean[..fixed.min(len)]);

            let mut x = vec![0; len + room];
            x[..len].copy_from_slice(&clean);
            let added = it.decelerate(&mut [&mut x], len, start, most);
            prop_assert!(added.unwrap_or(0) <= most.min(room));
            let fixed = if added.is_some() { start } else { len };
            prop_assert_eq!(&x[..fixed.min(len)], &clean[..fixed.min(len)]);
        }
    }
}

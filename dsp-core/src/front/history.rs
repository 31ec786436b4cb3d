//! Render history: what the loudspeaker plays, with the volume applied, and when each sample is heard.
//!
//! It is a ring in memory of its owner, with each channel in one piece. [`Render`] reads it by time, or by position
//! for a canceller that follows the drift of two clocks itself. A position counts the samples of a channel since the
//! beginning.
//!
//! The newest tick relates time and position. Ticks of a host are irregular by milliseconds, but near end and far end
//! of one tick are so by the same amount, which cancels out. Where nothing was played, the positions go on with
//! silence, if the host tells so ([`RenderHistory::skip`]) or more than 100 ms are missing. Sound that comes more than
//! 100 ms too early is counted as extra.
//!
//! There is no delay. The cost is a copy of each sample; without memory nothing is kept and nothing done.

use crate::storage::Storage;
use crate::time::{Duration, Instant};

/// Ticks that come earlier or later by less are only unsteady: a host makes up for them.
const UNSTEADY: Duration = Duration::from_millis(100);

/// What was played, for the near end to compare with.
#[derive(Clone, Copy, Debug)]
pub(super) struct RenderHistory<S> {
    samples: S,
    sample_rate_hz: u32,
    channels: usize,
    /// Samples of each channel that are kept.
    kept: usize,
    /// Where the next sample goes: `written` modulo `kept`.
    next: usize,
    written: u64,
    /// When the sample behind the newest is heard.
    end_at: Instant,
    missing: u64,
    extra: u64,
}

impl<S: Storage<i16>> RenderHistory<S> {
    /// An empty history for sound at this sample rate with this many channels, whatever is in `samples`.
    pub(super) fn new(sample_rate_hz: u32, channels: usize, samples: S) -> Self {
        Self {
            kept: samples.as_ref().len().checked_div(channels).unwrap_or(0),
            samples,
            sample_rate_hz,
            channels,
            next: 0,
            written: 0,
            end_at: Instant::ZERO,
            missing: 0,
            extra: 0,
        }
    }

    /// Whether it has memory.
    #[inline(always)]
    pub(super) fn keeps(&self) -> bool {
        // Of an array of no samples the compiler knows it, and leaves out the rest.
        !self.samples.as_ref().is_empty() && self.kept > 0
    }

    /// Notes a tick of interleaved samples, the first of which is heard at `play_at`.
    pub(super) fn write(&mut self, play_at: Instant, pcm: &[i16]) {
        if self.kept == 0 {
            return;
        }
        if self.written > 0 {
            let (late, early) = (play_at.since(self.end_at), self.end_at.since(play_at));
            if late > UNSTEADY {
                self.pass(samples(late, self.sample_rate_hz));
            } else if early > UNSTEADY {
                self.extra += samples(early, self.sample_rate_hz);
            }
        }
        let count = pcm.len() / self.channels;
        // Of a tick longer than the history its end is kept.
        let left_out = count.saturating_sub(self.kept);
        let next = (self.next + left_out) % self.kept;
        for (channel, ring) in self.samples.as_mut().chunks_exact_mut(self.kept).take(self.channels).enumerate() {
            let (start, end) = ring.split_at_mut(next);
            if self.channels == 1 {
                let (before, after) = pcm[left_out..count].split_at(end.len().min(count - left_out));
                end[..before.len()].copy_from_slice(before);
                start[..after.len()].copy_from_slice(after);
            } else {
                let samples = pcm.chunks_exact(self.channels).skip(left_out).map(|frame| frame[channel]);
                end.iter_mut().chain(start).zip(samples).for_each(|(to, from)| *to = from);
            }
        }
        self.advance(count as u64);
        self.end_at = play_at + Duration::from_samples(count as u64, self.sample_rate_hz);
    }

    /// Notes that the loudspeaker got nothing for this many samples.
    pub(super) fn skip(&mut self, samples: u32) {
        if self.kept > 0 && self.written > 0 && samples > 0 {
            self.pass(samples.into());
            self.end_at += Duration::from_samples(samples.into(), self.sample_rate_hz);
        }
    }

    /// Silence for what is missing.
    fn pass(&mut self, samples: u64) {
        let silent = samples.min(self.kept as u64) as usize;
        for ring in self.samples.as_mut().chunks_exact_mut(self.kept) {
            let (start, end) = ring.split_at_mut(self.next);
            end.iter_mut().chain(start).take(silent).for_each(|sample| *sample = 0);
        }
        self.missing += samples;
        self.advance(samples);
    }

    fn advance(&mut self, samples: u64) {
        self.written += samples;
        self.next = match usize::try_from(samples) {
            // Without a division of 64 bits, which a small processor has to do by hand.
            Ok(samples) if samples <= self.kept => {
                let next = self.next + samples;
                if next >= self.kept { next - self.kept } else { next }
            }
            _ => (self.written % self.kept as u64) as usize,
        };
    }

    /// Forgets everything; positions begin anew.
    pub(super) fn reset(&mut self) {
        (self.next, self.written, self.end_at) = (0, 0, Instant::ZERO);
        (self.missing, self.extra) = (0, 0);
    }

    /// The history, to read.
    pub(super) fn view(&self) -> Render<'_> {
        Render {
            samples: self.samples.as_ref(),
            sample_rate_hz: self.sample_rate_hz,
            channels: self.channels,
            kept: self.kept,
            written: self.written,
            end_at: self.end_at,
            missing: self.missing,
            extra: self.extra,
        }
    }
}

/// To the nearest sample: times are rounded to microseconds.
fn samples(length: Duration, sample_rate_hz: u32) -> u64 {
    length.as_micros().saturating_mul(u64::from(sample_rate_hz)).saturating_add(500_000) / 1_000_000
}

/// The far end for a [`CaptureBlock`](super::CaptureBlock): what the loudspeaker plays, as far back as it is kept. It
/// can be read by time, or by position for a canceller that follows the drift of two clocks itself. A position counts
/// the samples of a channel since the beginning.
#[derive(Clone, Copy, Debug)]
pub struct Render<'a> {
    samples: &'a [i16],
    sample_rate_hz: u32,
    channels: usize,
    kept: usize,
    written: u64,
    end_at: Instant,
    missing: u64,
    extra: u64,
}

impl Render<'_> {
    /// Sample rate, in Hz.
    pub const fn sample_rate_hz(&self) -> u32 {
        self.sample_rate_hz
    }

    /// Number of channels of the loudspeaker.
    pub const fn channels(&self) -> usize {
        self.channels
    }

    /// Greatest number of samples of each channel that is kept.
    pub const fn kept(&self) -> usize {
        self.kept
    }

    /// Number of samples of each channel since the beginning: the position behind the newest sample.
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// When the newest sample is heard; the zero of the clock before anything was played.
    pub fn newest_at(&self) -> Instant {
        if self.written == 0 { Instant::ZERO } else { self.end_at - Duration::from_samples(1, self.sample_rate_hz) }
    }

    /// Samples of each channel for which the loudspeaker got nothing. They count as silence in all positions.
    pub const fn missing_samples(&self) -> u64 {
        self.missing
    }

    /// Samples of each channel that came more than 100 ms before the sound ahead of them had ended, summed over all
    /// such jumps.
    pub const fn extra_samples(&self) -> u64 {
        self.extra
    }

    /// Position of the sample that is heard at `at`. It is negative before the beginning, and
    /// [`written`](Self::written) or more for sound that is not known yet.
    pub fn position_at(&self, at: Instant) -> i64 {
        let written = self.written as i64;
        if at >= self.end_at {
            written.saturating_add_unsigned(samples(at.since(self.end_at), self.sample_rate_hz))
        } else {
            written.saturating_sub_unsigned(samples(self.end_at.since(at), self.sample_rate_hz))
        }
    }

    /// Writes what is heard from `at` on into `out`, and returns how many of the samples are known. The others, not
    /// played yet or no longer kept, are silence.
    pub fn read(&self, at: Instant, channel: usize, out: &mut [i16]) -> usize {
        self.read_position(self.position_at(at), channel, out)
    }

    /// As [`read`](Self::read), beginning at a position.
    pub fn read_position(&self, position: i64, channel: usize, out: &mut [i16]) -> usize {
        let end = self.written as i64;
        let first = end - self.written.min(self.kept as u64) as i64;
        let stop = position.saturating_add(out.len() as i64).min(end);
        let start = position.max(first);
        if channel >= self.channels || start >= stop {
            out.fill(0);
            return 0;
        }
        // All differences are at most `out.len()` from here on.
        let (before, rest) = out.split_at_mut((start - position) as usize);
        let (known, after) = rest.split_at_mut((stop - start) as usize);
        before.fill(0);
        after.fill(0);
        let ring = &self.samples[channel * self.kept..][..self.kept];
        let (ring_start, ring_end) = ring.split_at((start as u64 % self.kept as u64) as usize);
        let (one, other) = known.split_at_mut(ring_end.len().min(known.len()));
        one.copy_from_slice(&ring_end[..one.len()]);
        other.copy_from_slice(&ring_start[..other.len()]);
        known.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn at(position: u64, rate: u32) -> Instant {
        Instant::from_millis(50) + Duration::from_samples(position, rate)
    }

    proptest! {
        /// Against a list of everything that was played: by time and by position, in ticks of any length, with skips.
        #[test]
        fn reads_what_was_played_at_a_time(
            rate in prop::sample::select(&[8_000u32, 16_000, 44_100, 48_000][..]),
            channels in 1usize..=2,
            ticks in prop::collection::vec((1usize..1_300, any::<bool>(), 0u32..1_500), 1..20),
            back in 0u64..2_000,
            length in 1usize..700,
        ) {
            let mut history = RenderHistory::new(rate, channels, [0; 1_001]);
            let kept = 1_001 / channels;
            let mut all = [Vec::<i16>::new(), Vec::new()];
            let mut skipped_all = 0;
            for (count, skip, skipped) in ticks {
                if skip && !all[0].is_empty() {
                    history.skip(skipped);
                    all.iter_mut().for_each(|all| all.extend((0..skipped).map(|_| 0)));
                    skipped_all += u64::from(skipped);
                }
                let begin = all[0].len();
                for (channel, all) in all.iter_mut().enumerate() {
                    all.extend((begin..begin + count).map(|n| (n * 7 + channel * 13 + 1) as i16));
                }
                let pcm: Vec<i16> =
                    (begin..begin + count).flat_map(|n| all.iter().take(channels).map(move |all| all[n])).collect();
                history.write(at(begin as u64, rate), &pcm);
            }
            let (render, total) = (history.view(), all[0].len() as i64);
            prop_assert_eq!((render.written(), render.kept()), (total as u64, kept));
            prop_assert_eq!((render.missing_samples(), render.extra_samples()), (skipped_all, 0));
            let position = total - back as i64;
            prop_assume!(position >= -300);
            let expected = |channel: usize, n: i64| {
                (n >= 0 && n < total && n >= total - kept as i64).then(|| all[channel][n as usize])
            };
            for channel in 0..channels {
                let mut out = std::vec![1; length];
                let known = render.read_position(position, channel, &mut out);
                let wanted: Vec<_> = (position..).take(length).map(|n| expected(channel, n)).collect();
                prop_assert_eq!(known, wanted.iter().flatten().count());
                prop_assert!(out.iter().zip(&wanted).all(|(&got, wanted)| got == wanted.unwrap_or(0)));
                if position >= 0 {
                    let mut by_time = std::vec![1; length];
                    prop_assert_eq!(render.read(at(position as u64, rate), channel, &mut by_time), known);
                    prop_assert_eq!(by_time, out);
                }
            }
            prop_assert_eq!(render.read_position(position, channels, &mut [1; 3]), 0);
        }
    }

    #[test]
    fn unsteady_ticks_move_the_times_and_gaps_become_silence() {
        let mut history = RenderHistory::new(8_000, 1, [0; 8_000]);
        history.write(Instant::from_millis(1_000), &[1; 80]);
        // 30 ms late, and the next makes up for it.
        history.write(Instant::from_millis(1_040), &[2; 80]);
        assert_eq!(history.view().position_at(Instant::from_millis(1_040)), 80);
        history.write(Instant::from_millis(1_020), &[3; 80]);
        assert_eq!(history.view().position_at(Instant::from_millis(1_020)), 160);
        assert_eq!((history.view().missing_samples(), history.view().extra_samples()), (0, 0));
        assert_eq!(history.view().newest_at().as_micros(), 1_029_875);
        // 200 ms of nothing.
        history.write(Instant::from_millis(1_230), &[4; 80]);
        let render = history.view();
        assert_eq!((render.missing_samples(), render.written()), (1_600, 4 * 80 + 1_600));
        let mut heard = [9; 3];
        assert_eq!(render.read(Instant::from_millis(1_100), 0, &mut heard), 3);
        assert_eq!(heard, [0; 3]);
        assert_eq!(render.read(Instant::from_micros(1_029_875), 0, &mut heard), 3);
        assert_eq!(heard, [3, 0, 0]);
        // A clock that goes back by half a second.
        history.write(Instant::from_millis(740), &[5; 80]);
        assert_eq!((history.view().missing_samples(), history.view().extra_samples()), (1_600, 4_000));
        assert_eq!(history.view().read(Instant::from_millis(749), 0, &mut heard), 3);
        assert_eq!(heard, [5; 3]);
        history.reset();
        assert_eq!((history.view().written(), history.view().newest_at()), (0, Instant::ZERO));
    }

    #[test]
    fn none_is_kept_where_there_is_no_room() {
        let mut history = RenderHistory::new(8_000, 1, []);
        history.write(Instant::ZERO, &[1; 80]);
        history.skip(100);
        let mut heard = [9; 80];
        assert_eq!(history.view().read(Instant::ZERO, 0, &mut heard), 0);
        assert_eq!((heard, history.view().written()), ([0; 80], 0));
    }

    #[test]
    fn extreme_positions_and_times_are_only_unknown() {
        let mut history = RenderHistory::new(48_000, 1, [0; 100]);
        history.write(Instant::from_micros(u64::MAX), &[1; 80]);
        history.write(Instant::ZERO, &[1; 80]);
        history.skip(u32::MAX);
        history.write(Instant::from_micros(u64::MAX), &[1; 80]);
        for position in [i64::MIN, -1, i64::MAX, i64::MAX - 1] {
            assert_eq!(history.view().read_position(position, 0, &mut [0; 1]), 0);
        }
        for at in [Instant::ZERO, Instant::from_micros(u64::MAX)] {
            assert!(history.view().read(at, 0, &mut [0; 10]) <= 10);
        }
    }
}

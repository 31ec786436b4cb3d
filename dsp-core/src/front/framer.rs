//! Framer: ticks of any length in, frames of exactly 10 ms out, each channel separately, with their times.
//!
//! A tick is what a device delivers, interleaved. A frame is `sample_rate_hz / 100` samples of each channel, rounded
//! down (110 at 11,025 Hz, which is 9.98 ms). Samples that do not fill a frame wait for the next tick; none is lost or
//! added.
//!
//! The delay is less than 10 ms, and none if ticks are multiples of 10 ms. The cost is a copy of each sample.

use super::FrontError;
use crate::time::{Duration, Instant};

/// Samples a channel of a frame of 10 ms.
pub(super) const fn frame_samples(sample_rate_hz: u32) -> usize {
    (sample_rate_hz / 100) as usize
}

/// A frame of 10 ms.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    /// When its first sample was captured.
    pub(super) captured_at: Instant,
    /// Samples a channel that were lost since the frame before.
    pub(super) lost: u32,
    /// All samples, channel after channel.
    pub(super) planar: &'a mut [i16],
}

/// Makes frames of ticks. `SAMPLES`: room for a frame, all channels together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Framer<const SAMPLES: usize> {
    planar: [i16; SAMPLES],
    sample_rate_hz: u32,
    channels: usize,
    /// Samples a channel of a frame, and how many of them are here.
    frame: usize,
    waiting: usize,
    /// Lost since the last frame, and how many of those behind the first sample that waits.
    lost: u32,
    lost_within: u32,
}

impl<const SAMPLES: usize> Framer<SAMPLES> {
    /// An empty framer for one channel or more.
    ///
    /// # Errors
    /// [`FrontError::Frame`] if there is no room for a frame, or a frame has no samples.
    pub(super) const fn new(sample_rate_hz: u32, channels: usize) -> Result<Self, FrontError> {
        let frame = frame_samples(sample_rate_hz);
        let need = frame.saturating_mul(channels);
        if need == 0 || need > SAMPLES {
            return Err(FrontError::Frame { need, got: SAMPLES });
        }
        Ok(Self::with(sample_rate_hz, channels, frame))
    }

    /// One that is never used: where there is no block.
    pub(super) const fn unused() -> Self {
        Self::with(0, 0, 0)
    }

    const fn with(sample_rate_hz: u32, channels: usize, frame: usize) -> Self {
        Self { planar: [0; SAMPLES], sample_rate_hz, channels, frame, waiting: 0, lost: 0, lost_within: 0 }
    }

    /// Takes in a tick whose first sample was captured at `captured_at`, `lost` samples a channel behind the last of the
    /// tick before, and hands out each frame that is full.
    pub(super) fn push(&mut self, captured_at: Instant, lost: u32, tick: &[i16], mut each: impl FnMut(Frame<'_>)) {
        self.lost = self.lost.saturating_add(lost);
        if self.waiting > 0 {
            self.lost_within = self.lost_within.saturating_add(lost);
        }
        let mut taken = 0;
        let mut rest = tick;
        while self.frame > 0 {
            let count = (self.frame - self.waiting).min(rest.len() / self.channels);
            let (now, later) = rest.split_at(count * self.channels);
            for (channel, planar) in self.planar.chunks_exact_mut(self.frame).take(self.channels).enumerate() {
                let room = &mut planar[self.waiting..self.waiting + count];
                if self.channels == 1 {
                    room.copy_from_slice(now);
                } else {
                    let samples = now.iter().skip(channel).step_by(self.channels);
                    room.iter_mut().zip(samples).for_each(|(to, &from)| *to = from);
                }
            }
            (self.waiting, taken, rest) = (self.waiting + count, taken + count, later);
            if self.waiting < self.frame {
                return;
            }
            let first_at = match taken.checked_sub(self.frame) {
                Some(offset) => captured_at + Duration::from_samples(offset as u64, self.sample_rate_hz),
                // It began in a tick before. By this tick's clock all the same: ticks come unsteadily, sound does not.
                None => {
                    let before = (self.frame - taken) as u64 + u64::from(self.lost_within);
                    captured_at - Duration::from_samples(before, self.sample_rate_hz)
                }
            };
            let planar = &mut self.planar[..self.frame * self.channels];
            each(Frame { captured_at: first_at, lost: self.lost, planar });
            (self.waiting, self.lost, self.lost_within) = (0, 0, 0);
        }
    }

    /// Samples a channel that wait for more.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Forgets what waits.
    pub(super) fn reset(&mut self) {
        (self.waiting, self.lost, self.lost_within) = (0, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    proptest! {
        /// A steady microphone in ticks of any length: all samples come out, in order, at their times.
        #[test]
        fn nothing_is_lost_and_times_are_right(
            rate in prop::sample::select(&[8_000u32, 11_025, 16_000, 44_100, 48_000][..]),
            channels in 1usize..=2,
            ticks in prop::collection::vec((0usize..1_000, 0u32..40), 1..40),
        ) {
            let mut framer = Framer::<960>::new(rate, channels).unwrap();
            let frame = frame_samples(rate);
            // The number of each sample of the microphone that was not lost.
            let (mut heard, mut out) = (Vec::new(), Vec::<i16>::new());
            let (mut number, mut lost_all, mut told) = (80_000u64, 0, 0);
            for (samples, lost) in ticks {
                number += u64::from(lost);
                lost_all += lost;
                let numbers: Vec<u64> = (number..).take(samples).collect();
                number += samples as u64;
                let pcm: Vec<i16> =
                    numbers.iter().flat_map(|&n| (0..channels).map(move |c| n as i16 ^ ((c as i16) << 14))).collect();
                let at = Duration::from_samples(number - samples as u64, rate);
                heard.extend(numbers);
                framer.push(Instant::ZERO + at, lost, &pcm, |got| {
                    assert_eq!(got.planar.len(), frame * channels);
                    let first = Duration::from_samples(heard[out.len()], rate);
                    assert!(got.captured_at.as_micros().abs_diff(first.as_micros()) <= 2);
                    for channel in 1..channels {
                        let (left, other) = (&got.planar[..frame], &got.planar[channel * frame..][..frame]);
                        assert!(left.iter().zip(other).all(|(a, b)| a ^ b == (channel as i16) << 14));
                    }
                    out.extend_from_slice(&got.planar[..frame]);
                    told += got.lost;
                });
            }
            prop_assert_eq!(out.len() + framer.waiting(), heard.len());
            prop_assert!(out.iter().zip(&heard).all(|(&a, &b)| a == b as i16));
            prop_assert!(told <= lost_all && framer.waiting() < frame);
            // What was lost last is told with the next frame.
            let (mut told, pcm) = (told, [0; 960]);
            framer.push(Instant::ZERO, 0, &pcm[..frame * channels], |got| told += got.lost);
            prop_assert_eq!(told, lost_all);
        }
    }

    #[test]
    fn room_is_needed_for_a_frame_of_all_channels() {
        assert_eq!(Framer::<480>::new(48_000, 2).err(), Some(FrontError::Frame { need: 960, got: 480 }));
        assert_eq!(Framer::<480>::new(99, 1).err(), Some(FrontError::Frame { need: 0, got: 480 }));
        let mut unused = Framer::<480>::unused();
        unused.push(Instant::ZERO, 1, &[0; 100], |_| panic!("a frame of nothing"));
    }
}

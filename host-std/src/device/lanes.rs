//! Interleaved sound of one channel or of two through as many resamplers, which do the same at each sample.

use crate::resample::{ResampleError, Resampler};

/// Samples of a channel that are moved in one go.
pub(super) const PART: usize = 256;

/// The resamplers of all channels.
#[derive(Debug)]
pub(super) struct Lanes {
    lanes: Vec<Resampler>,
}

impl Lanes {
    /// Creates the lanes for this many channels, 1 or 2.
    pub(super) fn new(from_hz: u32, to_hz: u32, channels: usize) -> Result<Self, ResampleError> {
        let lanes = (0..channels.clamp(1, 2)).map(|_| Resampler::steered(from_hz, to_hz)).collect::<Result<_, _>>()?;
        Ok(Self { lanes })
    }

    pub(super) fn channels(&self) -> usize {
        self.lanes.len()
    }

    pub(super) fn input_hz(&self) -> u32 {
        self.lanes[0].from_hz()
    }

    pub(super) fn output_hz(&self) -> u32 {
        self.lanes[0].to_hz()
    }

    pub(super) fn delay_ms(&self) -> f64 {
        self.lanes[0].delay_ms()
    }

    pub(super) fn set_ppm(&mut self, ppm: f64) {
        self.lanes.iter_mut().for_each(|lane| lane.set_ppm(ppm));
    }

    /// Samples a channel that can be pulled now.
    pub(super) fn available(&self) -> usize {
        self.lanes[0].available()
    }

    /// Takes as much as there is room for; returns the samples a channel that were taken.
    pub(super) fn push(&mut self, pcm: &[i16]) -> usize {
        self.take(pcm, Resampler::push)
    }

    /// Does the same with floats, full scale at 1.0.
    pub(super) fn push_f32(&mut self, pcm: &[f32]) -> usize {
        self.take(pcm, Resampler::push_f32)
    }

    fn take<S: Copy + Default>(&mut self, pcm: &[S], push: impl Fn(&mut Resampler, &[S]) -> usize) -> usize {
        let [left, right] = &mut self.lanes[..] else { return push(&mut self.lanes[0], pcm) };
        let (mut taken, mut lane) = (0, [S::default(); PART]);
        for part in pcm.chunks(2 * PART) {
            let count = part.len() / 2;
            let lane = &mut lane[..count];
            lane.iter_mut().zip(part.chunks_exact(2)).for_each(|(sample, frame)| *sample = frame[0]);
            let fitted = push(left, lane);
            lane.iter_mut().zip(part.chunks_exact(2)).for_each(|(sample, frame)| *sample = frame[1]);
            taken += push(right, lane).min(fitted);
            if fitted < count {
                break;
            }
        }
        taken
    }

    /// Fills `pcm` as far as there is output; samples a channel.
    pub(super) fn pull(&mut self, pcm: &mut [i16]) -> usize {
        self.give(pcm, Resampler::pull)
    }

    /// Does the same in floats.
    pub(super) fn pull_f32(&mut self, pcm: &mut [f32]) -> usize {
        self.give(pcm, Resampler::pull_f32)
    }

    fn give<S: Copy + Default>(&mut self, pcm: &mut [S], pull: impl Fn(&mut Resampler, &mut [S]) -> usize) -> usize {
        let [left, right] = &mut self.lanes[..] else { return pull(&mut self.lanes[0], pcm) };
        let (mut given, mut lane) = (0, [S::default(); PART]);
        for part in pcm.chunks_mut(2 * PART) {
            let wanted = part.len() / 2;
            let count = pull(left, &mut lane[..wanted]);
            part.chunks_exact_mut(2).zip(&lane[..count]).for_each(|(frame, sample)| frame[0] = *sample);
            pull(right, &mut lane[..count]);
            part.chunks_exact_mut(2).zip(&lane[..count]).for_each(|(frame, sample)| frame[1] = *sample);
            given += count;
            if count < wanted {
                break;
            }
        }
        given
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_channels_are_what_each_would_be_alone() {
        let mut both = Lanes::new(16_000, 44_100, 2).unwrap();
        let mut alone = [0, 1].map(|_| Lanes::new(16_000, 44_100, 1).unwrap());
        let side = |n: usize, channel: usize| ((n * (37 + 13 * channel)) % 2_001) as i16 - 1_000;
        for begin in (0..6_400).step_by(640) {
            let frames: Vec<i16> = (begin..begin + 640).flat_map(|n| [side(n, 0), side(n, 1)]).collect();
            assert_eq!(both.push(&frames), 640);
            let mut pcm = [0; 4_000];
            let count = both.pull(&mut pcm);
            for (channel, one) in alone.iter_mut().enumerate() {
                let samples: Vec<i16> = (begin..begin + 640).map(|n| side(n, channel)).collect();
                one.push(&samples);
                let mut own = [0; 2_000];
                assert_eq!(one.pull(&mut own), count);
                assert!(pcm[..2 * count].chunks(2).zip(&own).all(|(frame, sample)| frame[channel] == *sample));
            }
        }
        assert_eq!((both.available(), both.channels()), (0, 2));
    }
}

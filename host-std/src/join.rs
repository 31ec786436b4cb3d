//! The join of two pieces of sound without a click, where one breaks off and another continues.
//!
//! A step in a waveform is a click. Where sound breaks off, the difference between the last sample and the next one is added to
//! the following sound and fades out: into silence, out of it, or from one device's sound into another's.

use dsp_core::sample::Sample as _;

/// The time in which the difference fades out, in ms: too short to be heard, too long to click.
const FADE_MS: u32 = 5;

/// Joins sound of one channel or of two.
#[derive(Clone, Copy, Debug)]
pub struct Join {
    last: [f32; 2],
    /// The difference that is added to the next sample.
    missing: [f32; 2],
    length: u32,
    /// Samples until nothing is added any more.
    left: u32,
    broken: bool,
    /// Anything has been passed.
    begun: bool,
}

impl Join {
    /// Creates a join for sound of this rate in Hz; it begins with silence, from which the first sample may jump.
    pub fn new(rate_hz: u32) -> Self {
        Self {
            last: [0.0; 2],
            missing: [0.0; 2],
            length: (rate_hz * FADE_MS / 1_000).max(1),
            left: 0,
            broken: false,
            begun: false,
        }
    }

    /// Creates a join for sound of another rate and channel count that follows this one's, if there was any.
    pub(crate) fn followed_by(&self, rate_hz: u32, channels: [u8; 2]) -> Self {
        let last = match channels {
            [1, 2] => [self.last[0]; 2],
            [2, 1] => [(self.last[0] + self.last[1]) / 2.0, 0.0],
            _ => self.last,
        };
        Self { last, broken: self.begun, begun: self.begun, ..Self::new(rate_hz) }
    }

    /// The next sample doesn't follow the last one.
    #[cfg(any(feature = "device", feature = "tokio", test))]
    pub fn break_off(&mut self) {
        self.broken = true;
    }

    /// Returns whether silence would not be silent now, because the end of the last sound still fades out.
    #[cfg(any(feature = "device", test))]
    pub(crate) fn is_fading(&self) -> bool {
        self.left > 0 || (self.broken && self.last != [0.0; 2])
    }

    /// The next sample of each channel.
    pub(crate) fn pass(&mut self, frame: &mut [f32]) {
        self.begun = true;
        if std::mem::take(&mut self.broken) {
            for ((missing, last), next) in self.missing.iter_mut().zip(self.last).zip(&*frame) {
                *missing = last - next;
            }
            self.left = self.length;
        }
        if self.left > 0 {
            let left = self.left as f32 / self.length as f32;
            // Level at both ends.
            let weight = left * left * (3.0 - 2.0 * left);
            for (sample, missing) in frame.iter_mut().zip(self.missing) {
                *sample = (*sample + weight * missing).clamp(-1.0, 1.0);
            }
            self.left -= 1;
        }
        self.last.iter_mut().zip(&*frame).for_each(|(last, next)| *last = *next);
    }

    /// Returns whether the next samples that are passed will be changed.
    pub(crate) fn is_joining(&self) -> bool {
        self.broken || self.left > 0
    }

    /// The next samples, which are not changed while it [joins](Self::is_joining) nothing.
    pub(crate) fn note(&mut self, pcm: &[i16], channels: usize) {
        self.begun |= !pcm.is_empty();
        if let Some(frame) = pcm.chunks_exact(channels.clamp(1, 2)).last() {
            self.last.iter_mut().zip(frame).for_each(|(last, sample)| *last = f32::from_i16(*sample));
        }
    }

    /// Takes the next samples, interleaved with this many channels. Where nothing has broken off they stay as they are.
    pub fn pass_all(&mut self, pcm: &mut [i16], channels: usize) {
        let channels = channels.clamp(1, 2);
        if !self.is_joining() {
            return self.note(pcm, channels);
        }
        let mut done = 0;
        while self.is_joining() {
            let Some(frame) = pcm.get_mut(done..done + channels) else { return };
            let mut floats = [0.0; 2];
            let floats = &mut floats[..frame.len()];
            floats.iter_mut().zip(&*frame).for_each(|(float, sample)| *float = f32::from_i16(*sample));
            self.pass(floats);
            frame.iter_mut().zip(&*floats).for_each(|(sample, float)| *sample = float.to_i16());
            done += channels;
        }
        self.note(&pcm[done..], channels);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest step between two samples, and between the last and the first.
    fn largest_step(pcm: &[i16]) -> u16 {
        pcm.windows(2).map(|pair| pair[0].abs_diff(pair[1])).max().unwrap_or(0)
    }

    fn tone(from: usize, count: usize) -> Vec<i16> {
        let sample = |n: usize| (n as f64 * 400.0 / 16_000.0 * std::f64::consts::TAU).cos() * 20_000.0;
        (from..from + count).map(|n| sample(n) as i16).collect()
    }

    #[test]
    fn what_is_whole_stays_as_it_is() {
        let mut join = Join::new(16_000);
        let mut pcm = tone(3, 500);
        join.pass_all(&mut pcm, 1);
        assert_eq!(pcm, tone(3, 500));
    }

    #[test]
    fn sound_that_ends_begins_or_jumps_makes_no_step() {
        // Of the tone itself the largest step is 3,140.
        let pieces: [(usize, usize); 5] = [(0, 333), (0, 0), (5, 321), (117, 250), (3, 400)];
        for channels in [1, 2] {
            let (mut join, mut heard) = (Join::new(16_000), Vec::new());
            for (from, count) in pieces {
                let mono = if count == 0 { vec![0; 300] } else { tone(from, count) };
                let mut pcm: Vec<i16> = mono.into_iter().flat_map(|sample| vec![sample; channels]).collect();
                join.break_off();
                join.pass_all(&mut pcm, channels);
                heard.extend(pcm.chunks(channels).map(|frame| frame[channels - 1]));
            }
            assert!(largest_step(&heard) < 4_000, "{channels}: {}", largest_step(&heard));
            assert_eq!(heard[333 + 80..633], [0; 220], "silence is silence after 5 ms");
            assert_eq!(heard[633 + 80..633 + 321], tone(5 + 80, 241)[..], "and the sound is whole");
        }
    }

    #[test]
    fn what_follows_nothing_is_whole() {
        let silent = Join::new(16_000).followed_by(8_000, [1, 1]);
        for (mut next, joins) in [(silent, false), (Join { begun: true, ..silent }.followed_by(8_000, [1, 2]), true)] {
            let mut pcm = [9_000; 100];
            next.pass_all(&mut pcm, 1);
            assert_eq!(pcm != [9_000; 100], joins);
        }
    }

    #[test]
    fn the_fade_goes_on_over_pieces_of_any_length() {
        let (mut whole, mut parts) = (Join::new(8_000), Join::new(8_000));
        let (mut one, mut other) = (vec![9_000; 100], vec![9_000; 100]);
        whole.break_off();
        parts.break_off();
        assert!(!parts.is_fading(), "there was silence");
        whole.pass_all(&mut one, 1);
        other.chunks_mut(7).for_each(|part| parts.pass_all(part, 1));
        assert_eq!(one, other);
        assert!(one[0] == 0 && one[40..] == [9_000; 60]);
        parts.break_off();
        assert!(parts.is_fading());
    }
}

//! A mono device in a stereo call: what it captures is in both channels, and it plays the mean of both.

use dsp_core::format;
use dsp_core::front::Latency;

use super::{AudioCounters, AudioIo, DeviceError, Gaps};

/// Samples of a channel that are moved in one go.
const PART: usize = 480;

/// Makes a mono device one of two channels.
#[derive(Debug)]
pub struct Widened<T>(pub T);

impl<T: AudioIo> AudioIo for Widened<T> {
    fn sample_rate_hz(&self) -> u32 {
        self.0.sample_rate_hz()
    }

    fn channels(&self) -> u8 {
        2
    }

    fn read(&mut self, pcm: &mut [i16]) -> usize {
        let (mut mono, mut read) = ([0; PART], 0);
        for frames in pcm.chunks_mut(2 * PART) {
            let mono = &mut mono[..frames.len() / 2];
            read += self.0.read(mono);
            // Of half the length, which is all that can be wrong.
            let _ = format::mono_to_stereo(mono, &mut frames[..2 * mono.len()]);
        }
        2 * read
    }

    fn write(&mut self, pcm: &[i16]) -> usize {
        let (mut mono, mut taken) = ([0; PART], 0);
        for frames in pcm.chunks(2 * PART) {
            let mono = &mut mono[..frames.len() / 2];
            let _ = format::stereo_to_mono(&frames[..2 * mono.len()], mono);
            taken += self.0.write(mono);
        }
        2 * taken
    }

    fn latency(&self) -> Latency {
        self.0.latency()
    }

    fn gaps(&mut self) -> Gaps {
        self.0.gaps()
    }

    fn counters(&self) -> AudioCounters {
        self.0.counters()
    }

    fn failure(&self) -> Option<&DeviceError> {
        self.0.failure()
    }

    fn close(&mut self) -> Result<(), DeviceError> {
        self.0.close()
    }

    fn may_come_back(&self) -> bool {
        self.0.may_come_back()
    }

    fn reopen(&mut self) -> Result<(), DeviceError> {
        self.0.reopen()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Captures a ramp, and has what was played last.
    #[derive(Default)]
    struct Mono {
        next: i16,
        played: Vec<i16>,
    }

    impl AudioIo for Mono {
        fn sample_rate_hz(&self) -> u32 {
            48_000
        }
        fn read(&mut self, pcm: &mut [i16]) -> usize {
            for sample in pcm.iter_mut() {
                *sample = self.next;
                self.next += 1;
            }
            pcm.len()
        }
        fn write(&mut self, pcm: &[i16]) -> usize {
            self.played.extend_from_slice(pcm);
            pcm.len()
        }
    }

    #[test]
    fn one_is_heard_on_both_sides_and_both_sides_on_one() {
        let mut device = Widened(Mono::default());
        let mut pcm = [0; 2_000];
        assert_eq!(device.read(&mut pcm), 2_000);
        assert!(pcm.iter().enumerate().all(|(i, &sample)| sample == i as i16 / 2));
        let stereo: Vec<i16> = (0..1_000).flat_map(|n| [n, 3 * n]).collect();
        assert_eq!(device.write(&stereo), 2_000);
        assert_eq!(device.0.played, (0..1_000).map(|n| 2 * n).collect::<Vec<i16>>());
    }
}

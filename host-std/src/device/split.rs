//! Microphone and loudspeaker that are two devices.

use dsp_core::front::Latency;

use super::{AudioCounters, AudioIo, DeviceError, Gaps};

/// A device that captures from one device and plays to another, such as the microphone of a headset and the loudspeaker of the room. If
/// one of them is lost it alone is opened again, and the call is silent in both directions for that long.
///
/// ```
/// use host_std::device::{AudioIo, FileIo, Split};
///
/// // Two devices without a card stand for a headset's microphone and a loudspeaker of the room.
/// let mut device =
///     Split { capture: Box::new(FileIo::null(16_000)), playback: Box::new(FileIo::null(16_000)) };
/// let mut pcm = [1; 160];
/// device.read(&mut pcm);
/// device.write(&pcm);
/// assert_eq!((device.sample_rate_hz(), pcm), (16_000, [0; 160]));
/// ```
pub struct Split {
    /// The device that captures. Its rate and channels are those of the whole.
    pub capture: Box<dyn AudioIo>,
    /// The device that plays, which must have the same rate and channels.
    pub playback: Box<dyn AudioIo>,
}

impl AudioIo for Split {
    fn sample_rate_hz(&self) -> u32 {
        self.capture.sample_rate_hz()
    }

    fn channels(&self) -> u8 {
        self.capture.channels()
    }

    fn read(&mut self, pcm: &mut [i16]) -> usize {
        self.capture.read(pcm)
    }

    fn write(&mut self, pcm: &[i16]) -> usize {
        self.playback.write(pcm)
    }

    fn latency(&self) -> Latency {
        Latency { capture: self.capture.latency().capture, playback: self.playback.latency().playback }
    }

    fn gaps(&mut self) -> Gaps {
        Gaps { captured: self.capture.gaps().captured, played: self.playback.gaps().played }
    }

    fn counters(&self) -> AudioCounters {
        let (capture, playback) = (self.capture.counters(), self.playback.counters());
        AudioCounters {
            captured: capture.captured,
            capture_underrun: capture.capture_underrun,
            capture_overrun: capture.capture_overrun,
            capture_level_ms: capture.capture_level_ms,
            capture_ppm: capture.capture_ppm,
            xruns: capture.xruns + playback.xruns,
            ..playback
        }
    }

    fn failure(&self) -> Option<&DeviceError> {
        self.capture.failure().or(self.playback.failure())
    }

    fn close(&mut self) -> Result<(), DeviceError> {
        let capture = self.capture.close();
        self.playback.close().and(capture)
    }

    fn may_come_back(&self) -> bool {
        [&self.capture, &self.playback].iter().all(|side| side.failure().is_none() || side.may_come_back())
    }

    fn reopen(&mut self) -> Result<(), DeviceError> {
        for side in [&mut self.capture, &mut self.playback] {
            if side.failure().is_some() {
                side.reopen()?;
            }
        }
        Ok(())
    }
}

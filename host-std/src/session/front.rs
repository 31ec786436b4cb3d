//! The device side of a call on a host: the core's front end, sized for any call, with its capture chain.

use dsp_core::front::{FrontConfig, FrontEnd, FrontError, Media};
use dsp_core::process::activity::Activity;
use dsp_core::receive::Played;
use dsp_core::time::Instant;

use super::capture::{CaptureConfig, HostBlock};
use super::{Call, TICK_MS, Transmit};

/// Samples of a tick of 10 ms at 48 kHz in stereo, with some to spare.
pub(super) const FRAME: usize = 1_024;
/// Samples of what was played that a step can look back on: 1.3 s at 48 kHz, of stereo half.
const HISTORY: usize = 65_536;

/// Rate in Hz and channels of a device side without a stream.
pub(super) const NO_SOUND: (u32, u8) = (8_000, 1);

/// A front end for a host: calls of up to 48 kHz in stereo. What was played is kept only where a step of the chain looks back on it.
pub type HostFront = FrontEnd<HostBlock, FRAME, Box<[i16]>>;

/// The device side of a call without the call, for sound at this rate with so many channels, and a capture chain for each.
///
/// # Errors
/// [`FrontError`] for sound of more than 48 kHz in stereo, for a high-pass whose corner is 0 or not below half the rate, and
/// what the block refuses.
pub fn front_end(sample_rate_hz: u32, channels: u8, capture: &CaptureConfig) -> Result<Box<HostFront>, FrontError> {
    let need = (u64::from(sample_rate_hz) * u64::from(TICK_MS)).div_ceil(1_000) as usize * usize::from(channels);
    if need > FRAME {
        return Err(FrontError::Frame { need, got: FRAME });
    }
    let make = |channel| {
        let wanted = channel < channels && !capture.is_empty();
        wanted.then(|| HostBlock::new(capture, sample_rate_hz)).transpose()
    };
    let config = FrontConfig { sample_rate_hz, channels, meters: true, high_pass: None };
    let blocks = [make(0)?, make(1)?];
    let history = if capture.hears_far_end() { HISTORY } else { 0 };
    Ok(Box::new(FrontEnd::new(config, blocks, vec![0; history].into())?))
}

impl Call {
    /// The device side of the first stream, for a device with the call's rate and channels; with the chain of
    /// [`CallConfig::capture`](super::CallConfig::capture). Mono at 8 kHz before the call is agreed on.
    ///
    /// # Errors
    /// [`FrontError`] for sound of a codec of one's own that is more than 48 kHz in stereo, and for a
    /// [high-pass](super::CaptureConfig::high_pass_hz) whose corner is 0 or not below half the call's rate.
    pub fn front_end(&self) -> Result<Box<HostFront>, FrontError> {
        self.stream_front_end(0)
    }

    /// As [`front_end`](Self::front_end), of the stream with this number; it is stepped with [`stream`](Self::stream).
    ///
    /// # Errors
    /// As for [`front_end`](Self::front_end).
    pub fn stream_front_end(&self, stream: usize) -> Result<Box<HostFront>, FrontError> {
        let (sample_rate_hz, channels) = self.stream_sound(stream).unwrap_or(NO_SOUND);
        front_end(sample_rate_hz, channels, &self.settings.capture)
    }
}

/// One stream of a call, as a front end sees it. What leaves is of all streams: whoever asks first gets it.
pub struct CallStream<'a> {
    call: &'a mut Call,
    stream: usize,
}

impl Call {
    /// The stream with this number, for a front end of its own; silent if there is none.
    pub fn stream(&mut self, stream: usize) -> CallStream<'_> {
        CallStream { call: self, stream }
    }
}

impl Media for CallStream<'_> {
    type Transmit = Transmit;

    fn play(&mut self, now: Instant, pcm: &mut [i16]) -> Played {
        self.call.play_stream(now, self.stream, pcm)
    }

    fn microphone(&mut self, _: Instant, pcm: &[i16]) {
        self.call.hear_microphone(self.stream, pcm);
    }

    fn hear_activity(&mut self, activity: Option<Activity>) {
        self.call.hear_activity(self.stream, activity);
    }

    fn capture(&mut self, captured_at: Instant, pcm: &[i16]) {
        self.call.capture_stream(captured_at, self.stream, pcm);
    }

    fn transmit(&mut self, now: Instant, datagram: &mut [u8]) -> Option<Transmit> {
        self.call.transmit(now, datagram)
    }
}

/// The first stream, as a front end sees a call.
impl Media for Call {
    type Transmit = Transmit;

    fn play(&mut self, now: Instant, pcm: &mut [i16]) -> Played {
        self.stream(0).play(now, pcm)
    }

    fn microphone(&mut self, captured_at: Instant, pcm: &[i16]) {
        self.stream(0).microphone(captured_at, pcm);
    }

    fn hear_activity(&mut self, activity: Option<Activity>) {
        self.stream(0).hear_activity(activity);
    }

    fn capture(&mut self, captured_at: Instant, pcm: &[i16]) {
        self.stream(0).capture(captured_at, pcm);
    }

    fn transmit(&mut self, now: Instant, datagram: &mut [u8]) -> Option<Transmit> {
        self.stream(0).transmit(now, datagram)
    }
}

//! The device side of a call on a host: the core's front end, sized for any call, with its capture chain.

use dsp_core::front::{FrontConfig, FrontEnd, FrontError, Media};
use dsp_core::process::activity::Activity;
use dsp_core::receive::Played;
use dsp_core::time::Instant;

use super::capture::{CaptureConfig, HostBlock};
use super::{Call, TICK_MS, Transmit};

/// Samples of a tick of 10 ms at 48 kHz in stereo, with some to spare.
pub(super) const FRAME: usize = 1_024;
/// The samples of played sound that a step can look back on: 1.3 s at 48 kHz, half of that in stereo.
const HISTORY: usize = 65_536;

/// Rate in Hz and channels of a device side without a stream.
pub(super) const NO_SOUND: (u32, u8) = (8_000, 1);

/// The device side of a call on a host, which [`Call::front_end`] makes: gains, mute, level meters and the capture chain, for
/// sound of up to 48 kHz in stereo. The played sound is kept, for 1.3 s of mono at 48 kHz, only if a step of the chain needs it.
///
/// A tick is [`begin`](FrontEnd::begin) and then [`step`](FrontEnd::step) until there is no step left, in the order that the echo
/// canceller needs. The [`Driver`](crate::session::driver) does this for you.
///
/// ```
/// use dsp_core::front::Step;
/// use dsp_core::time::Instant;
/// use host_std::session::{Call, CallConfig, HostFront};
///
/// let mut call = Call::new(CallConfig { sound: Some((48_000, 1)), ..CallConfig::new(4000)? })?;
/// let mut front: Box<HostFront> = call.front_end()?;
/// front.set_volume(-600)?; // 6 dB less, in hundredths of a decibel
/// front.set_microphone_muted(true);
///
/// let mut datagram = [0; 1500];
/// front.begin(Instant::ZERO, 480, true)?; // 10 ms at 48 kHz
/// while let Some(step) = front.step(&mut call, &mut datagram) {
///     match step {
///         Step::Loudspeaker { .. } => {} // write it to the loudspeaker
///         Step::Microphone(microphone) => microphone.pcm.fill(0), // read it from the microphone
///         Step::Transmit(_) => {} // send the datagram
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type HostFront = FrontEnd<HostBlock, FRAME, Box<[i16]>>;

/// Makes a device side that belongs to no call yet, for sound at this rate in Hz and with this many channels, each with a capture
/// chain of its own. Where there is a call use [`Call::front_end`].
///
/// # Errors
/// [`FrontError::Frame`] if a tick of 10 ms is longer than that of 48 kHz in stereo; another [`FrontError`] if the high-pass has a
/// corner of 0 or not below half the rate, or if a step of the chain can't have this rate.
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
    /// Makes the device side of the first stream, for a device with the call's rate and channels, with the capture chain of
    /// [`CallConfig::capture`](super::CallConfig::capture). Before the call is agreed on its sound is mono at 8 kHz, unless
    /// [`CallConfig::sound`](super::CallConfig::sound) sets it.
    ///
    /// # Errors
    /// [`FrontError::Frame`] if the call's sound is more than 48 kHz in stereo, as a codec of your own may have it; another
    /// [`FrontError`] if the [high-pass](super::CaptureConfig::high_pass_hz) has a corner of 0 or not below half the call's rate.
    pub fn front_end(&self) -> Result<Box<HostFront>, FrontError> {
        self.stream_front_end(0)
    }

    /// Does the same as [`front_end`](Self::front_end), for the stream with this number. Step it with [`stream`](Self::stream) in
    /// place of the call.
    ///
    /// # Errors
    /// The same as for [`front_end`](Self::front_end).
    pub fn stream_front_end(&self, stream: usize) -> Result<Box<HostFront>, FrontError> {
        let (sample_rate_hz, channels) = self.stream_sound(stream).unwrap_or(NO_SOUND);
        front_end(sample_rate_hz, channels, &self.settings.capture)
    }
}

/// One stream of a call, as the front end of that stream needs it: [`Call::stream`]. It transmits the datagrams of all streams:
/// whichever front end asks first gets them.
pub struct CallStream<'a> {
    call: &'a mut Call,
    stream: usize,
}

impl Call {
    /// The stream with this number, for a front end of its own. If there is none it plays silence and captures nothing.
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

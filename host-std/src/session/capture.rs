//! The capture chain of a host: the core's steps, sized for any call, as a call's settings ask for them.

use std::fmt;

use dsp_core::format;
use dsp_core::front::{BlockStep, CaptureBlock, CaptureChain, CaptureParts, FrontError, InFloat, Near, Stage};
use dsp_core::noise::{NoiseLevel, NoiseStats};
use dsp_core::process::activity::Activity;
use dsp_core::process::agc::{Agc, AgcConfig};
use dsp_core::process::biquad::{Biquad, BiquadDesign};
use dsp_core::process::echo_suppressor::EchoSuppressorConfig;
use dsp_core::process::voice::VoiceConfig;

use super::canceller::{EchoSettings, HostEcho};
use super::denoiser::HostNoise;
use super::front::FRAME;
use super::own::{BoxedBlock, OwnBlock};
use super::voice::HostVoice;
use super::{BoxedFloatBlock, EchoStatus};

/// The capture chain between microphone and stream: [`CallConfig::capture`](super::CallConfig::capture). By default it is empty.
///
/// This example has an echo canceller, followed by an effect of your own:
///
/// ```
/// use dsp_core::front::{CaptureBlock, Near};
/// use host_std::session::{CallConfig, CaptureConfig, EchoSettings, OwnBlock};
///
/// struct Softer;
///
/// impl CaptureBlock<f32> for Softer {
///     fn process(&mut self, frame: &mut [f32], _: &Near<'_>) {
///         frame.iter_mut().for_each(|sample| *sample *= 0.5);
///     }
///     fn reset(&mut self) {}
///     fn delay_samples(&self) -> usize {
///         0
///     }
/// }
///
/// let own = Some(OwnBlock::in_float(|_| Softer));
/// let capture = CaptureConfig { echo: Some(EchoSettings::default()), own, ..CaptureConfig::default() };
/// let config = CallConfig { capture, ..CallConfig::new(4_000)? };
/// # let _ = config;
/// # Ok::<(), host_std::session::CallError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct CaptureConfig {
    /// The corner frequency, in Hz, of a high-pass filter against rumble and DC: 80 to 120 Hz don't change a voice.
    pub high_pass_hz: Option<u32>,
    /// The echo canceller, at 8, 16, 32 and 48 kHz.
    pub echo: Option<EchoSettings>,
    /// An echo suppressor, at any rate, for where there is no canceller; with `echo` set it isn't made. It turns the microphone
    /// down while that picks up mostly the loudspeaker, so that one of two people who speak at once isn't heard. It is meant
    /// for machines without floating point. The rate in these settings is replaced by the call's.
    pub echo_suppressor: Option<EchoSuppressorConfig>,
    /// The noise suppressor, at 8, 16, 32 and 48 kHz.
    pub noise: Option<NoiseLevel>,
    /// The voice detector. It gates the gain control, and decides when a pause is not sent, by comfort noise
    /// ([`CallConfig::comfort_noise`](super::CallConfig::comfort_noise)) or by the codec's own means. The rate in these settings is
    /// replaced by the call's. Where that isn't a multiple of 8 kHz there is no detector, and the sender's own one decides.
    pub detector: Option<VoiceConfig>,
    /// Whether the voice detector is a neural net ([`neural_voice`](dsp_core::process::neural_voice)), at 8, 16, 32 and 48 kHz.
    #[cfg(feature = "earshot")]
    pub neural_detector: bool,
    /// Whether noise is suppressed by a neural net ([`NeuralNoise`](super::NeuralNoise)), at the same rates. `noise` is then
    /// ignored.
    #[cfg(feature = "nnnoiseless")]
    pub neural_noise: bool,
    /// The automatic gain control, at multiples of 8 kHz. The rate in these settings is replaced by the call's.
    pub gain: Option<AgcConfig>,
    /// A block of your own, between the noise suppressor and the voice detector.
    pub own: Option<OwnBlock>,
}

impl CaptureConfig {
    /// Returns whether a step needs the history of the played sound.
    pub(super) fn hears_far_end(&self) -> bool {
        self.echo.is_some() || self.echo_suppressor.is_some() || self.own.is_some()
    }

    /// Returns whether the chain between microphone and stream is empty.
    pub(super) fn is_empty(&self) -> bool {
        let Self { high_pass_hz, echo, echo_suppressor, noise, detector, gain, own, .. } = self;
        let echo = echo.is_some() || echo_suppressor.is_some();
        let hears = high_pass_hz.is_some() || echo || noise.is_some() || self.has_neural_noise();
        !hears && detector.is_none() && gain.is_none() && own.is_none()
    }

    /// Returns whether noise is suppressed by a neural net.
    fn has_neural_noise(&self) -> bool {
        #[cfg(feature = "nnnoiseless")]
        return self.neural_noise;
        #[cfg(not(feature = "nnnoiseless"))]
        false
    }

    /// Returns whether the detector is a neural net.
    fn has_neural_detector(&self) -> bool {
        #[cfg(feature = "earshot")]
        return self.neural_detector;
        #[cfg(not(feature = "earshot"))]
        false
    }

    /// Returns the noise suppressor, if there is one.
    fn noise(&self, rate_hz: u32) -> Result<Option<HostNoise>, FrontError> {
        #[cfg(feature = "nnnoiseless")]
        if self.neural_noise {
            return HostNoise::neural(rate_hz).map(Some);
        }
        self.noise.map(|level| HostNoise::new(level, rate_hz)).transpose()
    }
}

impl From<OwnBlock> for CaptureConfig {
    /// Creates a block of your own and nothing else.
    fn from(own: OwnBlock) -> Self {
        Self { own: Some(own), ..Self::default() }
    }
}

/// A step of the capture chain that can be [switched](HostBlock::set_step) while a call runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CaptureStep {
    /// The high-pass.
    HighPass,
    /// The echo canceller, or the suppressor in its place.
    Echo,
    /// The noise suppressor.
    Noise,
    /// The voice detector; while it's off, the sender hears for itself.
    Detector,
    /// The gain control.
    Gain,
    /// The block of your own.
    Own,
}

/// The blocks of a host's chain.
#[derive(Debug)]
pub enum HostParts {}

impl CaptureParts for HostParts {
    type Echo = HostEcho;
    type Noise = HostNoise;
    type Gain = Agc;
    type Own = HostOwn;
    type Detector = HostVoice;
}

/// The capture chain of one channel of a call's sound.
pub struct HostBlock(InFloat<CaptureChain<HostParts, FRAME>, FRAME>);

impl fmt::Debug for HostBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostBlock")
    }
}

impl HostBlock {
    /// Creates the chain for a channel at this rate.
    ///
    /// # Errors
    /// [`FrontError`] for a corner that is 0 or not below half the rate, and for a rate that a block doesn't have.
    pub(super) fn new(config: &CaptureConfig, sample_rate_hz: u32) -> Result<Self, FrontError> {
        let CaptureConfig { high_pass_hz, echo, echo_suppressor, detector, gain, own, .. } = config;
        let mut chain = CaptureChain::default();
        if let Some(corner_hz) = *high_pass_hz {
            let design = BiquadDesign::high_pass(sample_rate_hz, corner_hz).map_err(FrontError::HighPass)?;
            chain.high_pass = Some(Stage::new(BlockStep(Biquad::new(design)))?);
        }
        if let Some(echo) = echo {
            chain.echo = Some(Stage::new(echo.make(sample_rate_hz)?)?);
        } else if let Some(suppressor) = *echo_suppressor {
            chain.echo = Some(Stage::new(HostEcho::suppressor(suppressor, sample_rate_hz))?);
        }
        chain.noise = config.noise(sample_rate_hz)?.map(Stage::new).transpose()?;
        let detector = detector.map(|config| VoiceConfig { sample_rate_hz, ..config });
        let detector = detector.and_then(|detector| HostVoice::new(detector, config.has_neural_detector()));
        chain.detector = detector.map(Stage::new).transpose()?;
        if let Some(gain) = *gain {
            let agc = Agc::new(AgcConfig { sample_rate_hz, ..gain }).map_err(FrontError::Gain)?;
            chain.gain = Some(Stage::new(agc)?);
        }
        if let Some(own) = own {
            chain.own = Some(Stage::new(own.make(sample_rate_hz)?)?);
        }
        Ok(Self(InFloat::new(chain, sample_rate_hz)?))
    }

    /// Switches a step on or off within the next frames, without a click and without a change of delay; its adapted state stays.
    /// Returns whether there is such a step.
    pub fn set_step(&mut self, step: CaptureStep, on: bool) -> bool {
        let chain = self.0.block();
        match step {
            CaptureStep::HighPass => chain.high_pass.as_mut().map(|stage| stage.set_on(on)),
            CaptureStep::Echo => chain.echo.as_mut().map(|stage| stage.set_on(on)),
            CaptureStep::Noise => chain.noise.as_mut().map(|stage| stage.set_on(on)),
            CaptureStep::Detector => chain.detector.as_mut().map(|stage| stage.set_on(on)),
            CaptureStep::Gain => chain.gain.as_mut().map(|stage| stage.set_on(on)),
            CaptureStep::Own => chain.own.as_mut().map(|stage| stage.set_on(on)),
        }
        .is_some()
    }

    /// Returns the noise suppressor's statistics; `None` if there is none, or a neural net, or if it's off.
    pub fn noise(&mut self) -> Option<NoiseStats> {
        let stage = self.0.block().noise.as_ref().filter(|stage| stage.is_on())?;
        stage.block().stats()
    }

    /// Returns the echo canceller's status; `None` if there is none, or a suppressor, or if it's off.
    pub fn echo(&mut self) -> Option<EchoStatus> {
        let stage = self.0.block().echo.as_ref().filter(|stage| stage.is_on())?;
        stage.block().status()
    }
}

impl CaptureBlock<i16> for HostBlock {
    fn process(&mut self, frame: &mut [i16], near: &Near<'_>) {
        self.0.process(frame, near);
    }

    fn reset(&mut self) {
        self.0.reset();
    }

    fn delay_samples(&self) -> usize {
        self.0.delay_samples()
    }

    fn activity(&self) -> Option<Activity> {
        self.0.activity()
    }
}

/// A block of the user's own, in a chain that computes in `f32`.
pub enum HostOwn {
    /// A block in floating point, like the chain itself.
    Float(BoxedFloatBlock),
    /// A block on 16 bits, with room for a frame.
    Short(BoxedBlock, Box<[i16; FRAME]>),
}

impl HostOwn {
    pub(super) fn short(block: BoxedBlock) -> Self {
        Self::Short(block, Box::new([0; FRAME]))
    }
}

impl CaptureBlock<f32> for HostOwn {
    fn process(&mut self, frame: &mut [f32], near: &Near<'_>) {
        match self {
            Self::Float(block) => block.process(frame, near),
            Self::Short(block, room) => {
                let Some(short) = room.get_mut(..frame.len()) else { return };
                // Lengths are the same: neither conversion can fail.
                let _ = format::write(frame, short);
                block.process(short, near);
                let _ = format::read(short, frame);
            }
        }
    }

    fn reset(&mut self) {
        match self {
            Self::Float(block) => block.reset(),
            Self::Short(block, _) => block.reset(),
        }
    }

    fn delay_samples(&self) -> usize {
        match self {
            Self::Float(block) => block.delay_samples(),
            Self::Short(block, _) => block.delay_samples(),
        }
    }
}

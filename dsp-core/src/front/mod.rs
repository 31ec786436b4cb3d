//! The device side of a call: volume, mute, level meters, and processing of the microphone, with the time of every
//! sample.
//! ```text
//! stream -> play -> volume -> meter -> loudspeaker
//!                                 \--> render history
//!                                          |
//! microphone -> high-pass -> framer -> block (10 ms frames) -> gain -> meter -> capture -> stream -> transmit
//! ```
//! A [`FrontEnd`] has the gains, mutes and meters of both directions, the capture blocks, the render history and the
//! samples of one tick. It opens no device and reads no clock: a program moves sound through it in the order of
//! [`tick`]. Use it wherever a loudspeaker and a microphone are connected to a call; a server without devices does not
//! need it.
//!
//! The microphone's gain and mute come behind the block, since an echo canceller would take a change of gain for
//! another room, and a mute for an echo that has gone. A block can be a whole [`CaptureChain`].
//!
//! Samples are `i16`, mono or interleaved stereo. Without a block there is no delay, and at 0 dB the samples are
//! unchanged; without a history nothing is copied either. A block adds its own delay, and less than 10 ms for making
//! frames if ticks are not multiples of 10 ms. Memory is two ticks of `FRAME` samples, and the history, which its
//! owner provides.
//!
//! A block of one's own, which removes what the loudspeaker plays, in a front end whose microphone hears nothing but
//! the loudspeaker, 5 ms later and at half its level:
//!
//! ```
//! use dsp_core::front::{CaptureBlock, FrontConfig, FrontEnd, Media, Near, Step};
//! use dsp_core::receive::Played;
//! use dsp_core::time::{Duration, Instant};
//!
//! /// A canceller that knows the room.
//! struct KnownEcho;
//!
//! impl CaptureBlock<i16> for KnownEcho {
//!     fn process(&mut self, frame: &mut [i16], near: &Near<'_>) {
//!         let mut far = [0; 80];
//!         near.render.read(near.captured_at - Duration::from_millis(5), near.channel, &mut far);
//!         for (near, far) in frame.iter_mut().zip(far) {
//!             *near -= far / 2;
//!         }
//!     }
//!     fn reset(&mut self) {}
//!     fn delay_samples(&self) -> usize {
//!         0
//!     }
//! }
//!
//! /// Plays a sawtooth; notes the loudest sample that is captured.
//! struct Stream {
//!     loudest: i16,
//! }
//!
//! impl Media for Stream {
//!     type Transmit = ();
//!     fn play(&mut self, _: Instant, pcm: &mut [i16]) -> Played {
//!         pcm.iter_mut().zip(0..).for_each(|(sample, n)| *sample = n * 100);
//!         Played::default()
//!     }
//!     fn capture(&mut self, _: Instant, pcm: &[i16]) {
//!         self.loudest = pcm.iter().fold(self.loudest, |loudest, &sample| loudest.max(sample));
//!     }
//!     fn transmit(&mut self, _: Instant, _: &mut [u8]) -> Option<()> {
//!         None
//!     }
//! }
//!
//! // Ticks of 10 ms at 8 kHz, half a second of history.
//! let mut front = FrontEnd::<_, 80, _>::new(FrontConfig::default(), [Some(KnownEcho), None], [0; 4_000])?;
//! let mut stream = Stream { loudest: 0 };
//! let mut room = vec![0; 40];
//! for tick in 0..50 {
//!     front.begin(Instant::from_millis(1_000 + 10 * tick), 80, tick > 0)?;
//!     while let Some(step) = front.step(&mut stream, &mut []) {
//!         match step {
//!             Step::Loudspeaker { pcm, .. } => room.extend(pcm.iter().map(|sample| sample / 2)),
//!             Step::Microphone(microphone) => microphone.pcm.copy_from_slice(&room.drain(..80).collect::<Vec<_>>()),
//!             Step::Transmit(()) => {}
//!         }
//!     }
//! }
//! assert_eq!(stream.loudest, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use core::fmt;

use crate::block::Block;
use crate::process::agc::AgcError;
use crate::process::biquad::{Biquad, BiquadDesign, BiquadError};
use crate::process::gain::GainError;
use crate::process::level::{Level, LevelError};
use crate::storage::Storage;
use crate::time::{Duration, Instant};

mod capture;
mod chain;
mod fader;
mod framer;
mod history;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod tests_support;
pub mod tick;

pub use capture::{BlockStep, CaptureChain, CaptureParts, Stage};
pub use chain::{CaptureBlock, InFloat, Near, NoBlock};
pub use history::Render;
pub use tick::{Media, Microphone, Step, TickTooLong};

use fader::Fader;
use framer::Framer;
use history::RenderHistory;

/// Settings of a [`FrontEnd`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FrontConfig {
    /// Sample rate of microphone and loudspeaker, 1,000 to 192,000 Hz.
    pub sample_rate_hz: u32,
    /// Number of channels: 1, or 2 for interleaved stereo.
    pub channels: u8,
    /// Whether levels are measured, which takes one multiplication for each sample.
    pub meters: bool,
    /// A filter in front of everything else, for each channel of the microphone: a
    /// [high-pass](crate::process::biquad::BiquadDesign::high_pass) against rumble and DC.
    pub high_pass: Option<BiquadDesign>,
}

impl Default for FrontConfig {
    /// 8 kHz, mono, without meters and high-pass filter.
    fn default() -> Self {
        Self { sample_rate_hz: 8_000, channels: 1, meters: false, high_pass: None }
    }
}

/// Why a [`FrontEnd`] or a part of it cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FrontError {
    /// The sample rate is not between 1,000 and 192,000 Hz.
    SampleRate {
        /// Sample rate that was asked for, in Hz.
        hz: u32,
    },
    /// The number of channels is neither one nor two.
    Channels(u8),
    /// There are blocks, but not one for each channel.
    Blocks {
        /// Number of channels.
        need: usize,
        /// Number of blocks.
        got: usize,
    },
    /// There is no room for a frame of 10 ms, or the frame has no samples.
    Frame {
        /// Samples of a frame, all its channels together.
        need: usize,
        /// Samples that there is room for.
        got: usize,
    },
    /// A block of the capture chain is not made for the sample rate.
    BlockRate {
        /// Sample rate, in Hz.
        hz: u32,
    },
    /// The level meter cannot be made.
    Meter(LevelError),
    /// The high-pass filter cannot be made for the sample rate.
    HighPass(BiquadError),
    /// The gain control cannot be made with these settings or for this sample rate.
    Gain(AgcError),
}

impl fmt::Display for FrontError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SampleRate { hz } => write!(f, "a rate of {hz} Hz; 1000 to 192000 Hz are possible"),
            Self::Channels(channels) => write!(f, "{channels} channels; one or two are possible"),
            Self::Blocks { need, got } => write!(f, "{got} capture blocks for {need} channels"),
            Self::Frame { need, got } => write!(f, "10 ms are {need} samples, and there is room for {got}"),
            Self::BlockRate { hz } => write!(f, "the capture block doesn't have a rate of {hz} Hz"),
            Self::Meter(_) => write!(f, "the level meter can't be made"),
            Self::HighPass(_) => write!(f, "the high-pass can't be made"),
            Self::Gain(_) => write!(f, "the gain control can't be made"),
        }
    }
}

impl core::error::Error for FrontError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Meter(error) => Some(error),
            Self::HighPass(error) => Some(error),
            Self::Gain(error) => Some(error),
            _ => None,
        }
    }
}

/// How long sound takes through the audio device, as the device reports it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Latency {
    /// From the microphone until a tick is read.
    pub capture: Duration,
    /// From writing a tick until it is heard.
    pub playback: Duration,
}

/// The device side of one call: loudspeaker, microphone, and what lies between them and the stream.
///
/// `B` is the type of the capture blocks; [`NoBlock`] if there is none. `FRAME` is the number of samples of the
/// longest tick, all channels together, and with a block at least 10 ms. `H` is the memory for the far end that blocks
/// can look back on, all channels together. [`tick`] shows the loop of a program, and [the module's page](self) a
/// block.
///
/// Half volume, and a muted microphone:
///
/// ```
/// use dsp_core::front::{FrontConfig, FrontEnd, Media, NoBlock, Step};
/// use dsp_core::receive::Played;
/// use dsp_core::time::Instant;
///
/// /// Plays a constant, and keeps what the microphone says.
/// struct Stream(Vec<i16>);
///
/// impl Media for Stream {
///     type Transmit = ();
///     fn play(&mut self, _: Instant, pcm: &mut [i16]) -> Played {
///         pcm.fill(1_000);
///         Played::default()
///     }
///     fn capture(&mut self, _: Instant, pcm: &[i16]) {
///         self.0.extend(pcm);
///     }
///     fn transmit(&mut self, _: Instant, _: &mut [u8]) -> Option<()> {
///         None
///     }
/// }
///
/// let mut front = FrontEnd::<NoBlock, 80>::new(FrontConfig::default(), [None, None], [])?;
/// // Hundredths of a decibel: -6.02 dB is a half.
/// front.set_volume(-602)?;
/// front.set_microphone_muted(true);
/// let (mut stream, mut heard) = (Stream(Vec::new()), Vec::new());
/// for tick in 0..10 {
///     front.begin(Instant::from_millis(10 * tick), 80, true)?;
///     while let Some(step) = front.step(&mut stream, &mut []) {
///         match step {
///             Step::Loudspeaker { pcm, .. } => heard.extend(pcm.iter().copied()),
///             Step::Microphone(microphone) => microphone.pcm.fill(500),
///             Step::Transmit(()) => {}
///         }
///     }
/// }
/// // Both ramps take 10 ms.
/// assert!((499..=501).contains(&heard[799]));
/// assert_eq!((stream.0.len(), stream.0[799]), (800, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FrontEnd<B, const FRAME: usize, H = [i16; 0]> {
    config: FrontConfig,
    latency: Latency,
    volume: Fader,
    microphone: Fader,
    high_pass: Option<[Biquad<i16>; 2]>,
    framer: Framer<FRAME>,
    blocks: [Option<B>; 2],
    history: RenderHistory<H>,
    /// The far end until it's written to the loudspeaker, and the near end from then on.
    pcm: [i16; FRAME],
    tick: tick::Progress,
}

impl<B: CaptureBlock<i16>, const FRAME: usize, H: Storage<i16>> FrontEnd<B, FRAME, H> {
    /// A front end at 0 dB that has heard and played nothing. `blocks` has one block for each channel, or none.
    /// `history` is the memory that blocks look back on, and empty if none does.
    ///
    /// # Errors
    /// Returns a [`FrontError`] if a setting in `config` is out of range, `blocks` has not one block for each channel
    /// or none at all, or `FRAME` has no room for 10 ms although there is a block.
    pub fn new(config: FrontConfig, blocks: [Option<B>; 2], history: H) -> Result<Self, FrontError> {
        let FrontConfig { sample_rate_hz, channels, meters, high_pass } = config;
        if !(1_000..=192_000).contains(&sample_rate_hz) {
            return Err(FrontError::SampleRate { hz: sample_rate_hz });
        }
        if !(1..=2).contains(&channels) {
            return Err(FrontError::Channels(channels));
        }
        let need = usize::from(channels);
        let (within, beyond) = blocks.split_at(need);
        let got = within.iter().flatten().count();
        if beyond.iter().any(Option::is_some) || (got > 0 && got < need) {
            return Err(FrontError::Blocks { need, got: got + beyond.iter().flatten().count() });
        }
        let framer = if got > 0 { Framer::new(sample_rate_hz, need)? } else { Framer::unused() };
        let fader = Fader::new(sample_rate_hz, need, meters).map_err(FrontError::Meter)?;
        Ok(Self {
            config,
            latency: Latency::default(),
            volume: fader,
            microphone: fader,
            high_pass: high_pass.map(|design| [Biquad::new(design); 2]),
            framer,
            blocks,
            history: RenderHistory::new(sample_rate_hz, need, history),
            pcm: [0; FRAME],
            tick: tick::Progress::default(),
        })
    }

    /// The settings with which it was made.
    pub fn config(&self) -> FrontConfig {
        self.config
    }

    /// How long sound takes through the device.
    pub fn latency(&self) -> Latency {
        self.latency
    }

    /// Sets how long sound takes through the device, from the next tick on.
    pub fn set_latency(&mut self, latency: Latency) {
        self.latency = latency;
    }

    /// Volume of the loudspeaker, in hundredths of a decibel.
    pub fn volume(&self) -> i16 {
        self.volume.gain()
    }

    /// Sets the volume of the loudspeaker, in hundredths of a decibel, with a ramp of 10 ms. Below -90 dB it is
    /// silent.
    ///
    /// # Errors
    /// Returns a [`GainError`] for a gain above 18.05 dB; nothing changes then.
    pub fn set_volume(&mut self, hundredths_db: i16) -> Result<(), GainError> {
        self.volume.set_gain(hundredths_db)
    }

    /// Gain of the microphone, in hundredths of a decibel.
    pub fn microphone_gain(&self) -> i16 {
        self.microphone.gain()
    }

    /// Sets the gain of the microphone, in hundredths of a decibel, with a ramp of 10 ms. Below -90 dB it is silent.
    ///
    /// # Errors
    /// Returns a [`GainError`] for a gain above 18.05 dB; nothing changes then.
    pub fn set_microphone_gain(&mut self, hundredths_db: i16) -> Result<(), GainError> {
        self.microphone.set_gain(hundredths_db)
    }

    /// Whether the microphone is muted.
    pub fn microphone_muted(&self) -> bool {
        self.microphone.is_muted()
    }

    /// Mutes the microphone, or ends the mute, with a ramp of 10 ms.
    pub fn set_microphone_muted(&mut self, muted: bool) {
        self.microphone.set_muted(muted);
    }

    /// Whether the loudspeaker is muted.
    pub fn speaker_muted(&self) -> bool {
        self.volume.is_muted()
    }

    /// Mutes the loudspeaker, or ends the mute, with a ramp of 10 ms.
    pub fn set_speaker_muted(&mut self, muted: bool) {
        self.volume.set_muted(muted);
    }

    /// RMS level of the microphone's loudest channel, with its gain; `None` without meters.
    pub fn microphone_level(&self) -> Option<Level> {
        self.microphone.level()
    }

    /// RMS level of the loudspeaker's loudest channel, with the volume; `None` without meters.
    pub fn speaker_level(&self) -> Option<Level> {
        self.volume.level()
    }

    /// What the loudspeaker plays.
    pub fn render(&self) -> Render<'_> {
        self.history.view()
    }

    /// The block of a channel, for reading and for changing its settings; `None` if there is none.
    pub fn block(&mut self, channel: usize) -> Option<&mut B> {
        self.blocks.get_mut(channel)?.as_mut()
    }

    /// Delay from reading the microphone's tick to the stream, in samples: that of the block, and what waits now to
    /// fill a frame.
    pub fn delay_samples(&self) -> usize {
        self.framer.waiting() + block_delay(&self.blocks)
    }

    /// Forgets all sound, near and far, and what the blocks have learned. Settings stay.
    pub fn reset(&mut self) {
        self.volume.reset();
        self.microphone.reset();
        self.high_pass.iter_mut().flatten().for_each(Biquad::reset);
        self.framer.reset();
        self.blocks.iter_mut().flatten().for_each(B::reset);
        self.history.reset();
        self.tick = tick::Progress::default();
    }

    /// When the first sample of a tick was captured that is read now.
    fn captured_at(&self, now: Instant, tick: Duration) -> Instant {
        now - (tick + self.latency.capture)
    }
}

fn block_delay<B: CaptureBlock<i16>>(blocks: &[Option<B>]) -> usize {
    blocks.iter().flatten().map(B::delay_samples).max().unwrap_or(0)
}

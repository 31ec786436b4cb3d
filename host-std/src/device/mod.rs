//! Sound in and out for a call: a sound card, WAV files, or nothing, behind one trait, [`AudioIo`].
//!
//! Use `CardIo` (cargo feature `device`) for a microphone and a loudspeaker, [`FileIo`] for files, tests and calls without
//! sound, [`Split`] where capture and playback are two devices, and [`LoopTest`] to measure how long sound takes through one.
//! A device of one's own is a type with two methods: see the trait's example.
//!
//! ```
//! use host_std::device::{AudioIo, FileIo};
//!
//! let mut device = FileIo::null(48_000);
//! let mut pcm = [1; 480]; // 10 ms
//! assert_eq!(device.read(&mut pcm), 480); // silence
//! assert_eq!((device.write(&pcm), pcm), (480, [0; 480]));
//! ```
//!
//! The caller moves 16-bit frames at its own rate, mono or interleaved stereo, and at its own pace, usually one frame a tick.
//! Nothing here blocks but [`AudioIo::close`] and [`AudioIo::reopen`]. `CardIo` brings that together with the card's pace, rate,
//! channels and sample format. It has one lock-free ring a direction and resamples on the caller's side; a slow nudge of the
//! ratio keeps the ring near its target level however the clocks drift. [`FileIo`] runs as fast as it is called.
//!
//! Delay of a card, in each direction: its own period, the ring's target level (`target_ms`) and the resampler's delay.

use std::fmt;

use dsp_core::front::Latency;

use crate::resample::ResampleError;
use crate::wav::WavError;

#[cfg(feature = "device")]
mod callbacks;
#[cfg(feature = "device")]
mod card;
#[cfg(feature = "device")]
mod drift;
#[cfg(feature = "device")]
mod ends;
mod file;
#[cfg(feature = "device")]
mod lanes;
#[cfg(feature = "device")]
mod list;
mod looped;
mod split;
#[cfg(feature = "device")]
mod stream;

#[cfg(feature = "device")]
pub use card::{CardConfig, CardIo};
pub use file::FileIo;
#[cfg(feature = "device")]
pub use list::{DeviceInfo, FormatInfo, list_devices};
pub use looped::{LoopTest, Looped};
pub use split::Split;

/// Sound in and out at one rate. Nothing blocks, and after construction nothing allocates. What is provided is that of a
/// device that counts nothing and can't fail.
///
/// A device of one's own, whose microphone hears its loudspeaker, in a call's place:
///
/// ```
/// use std::collections::VecDeque;
///
/// use host_std::device::AudioIo;
///
/// struct Loop(VecDeque<i16>);
///
/// impl AudioIo for Loop {
///     fn sample_rate_hz(&self) -> u32 {
///         16_000
///     }
///     fn read(&mut self, pcm: &mut [i16]) -> usize {
///         let count = self.0.len().min(pcm.len());
///         pcm[count..].fill(0);
///         pcm.iter_mut().zip(self.0.drain(..count)).for_each(|(to, from)| *to = from);
///         count
///     }
///     fn write(&mut self, pcm: &[i16]) -> usize {
///         self.0.extend(pcm);
///         pcm.len()
///     }
/// }
///
/// let mut device: Box<dyn AudioIo> = Box::new(Loop(VecDeque::with_capacity(1_600)));
/// let mut heard = [1; 160];
/// assert_eq!(device.read(&mut heard), 0);
/// device.write(&[500; 160]);
/// assert_eq!((device.read(&mut heard), heard), (160, [500; 160]));
/// assert!(device.failure().is_none());
/// ```
pub trait AudioIo: Send {
    /// Rate of the sound on this side, in Hz.
    fn sample_rate_hz(&self) -> u32;

    /// Channels of the sound on this side, interleaved: mono unless a device says otherwise.
    fn channels(&self) -> u8 {
        1
    }

    /// Fills `pcm` with captured sound and returns how many samples were, all channels together; the rest of `pcm` is
    /// silence.
    fn read(&mut self, pcm: &mut [i16]) -> usize;

    /// Plays `pcm` and returns how many samples were taken, all channels together; what isn't taken is dropped and
    /// counted.
    fn write(&mut self, pcm: &[i16]) -> usize;

    /// How long sound takes through the device, each way.
    fn latency(&self) -> Latency {
        Latency::default()
    }

    /// Sound that was lost since this was asked last.
    fn gaps(&mut self) -> Gaps {
        Gaps::default()
    }

    /// What was moved, missed and dropped so far.
    fn counters(&self) -> AudioCounters {
        AudioCounters::default()
    }

    /// Why sound has stopped, if it has: the device is lost, or its file can't be read or written on. Until
    /// [`AudioIo::reopen`], reads give silence and writes are dropped.
    fn failure(&self) -> Option<&DeviceError> {
        None
    }

    /// Ends playback: what was played has got to where it goes, and not only into a buffer. Nothing is written after it.
    ///
    /// # Errors
    /// The reason why it hasn't, from now or before.
    fn close(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }

    /// Whether a device that has failed may be back at a later [`AudioIo::reopen`]: a card that is plugged in again, but
    /// not a file that breaks off.
    fn may_come_back(&self) -> bool {
        true
    }

    /// Opens the device anew, lost or not. Blocks and allocates.
    ///
    /// # Errors
    /// The reason why it can't be opened; the device then stays failed.
    fn reopen(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }
}

/// Sound that a device has lost since it was asked last, in samples a channel at the rate of the caller's side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Captured, and dropped before it was read.
    pub captured: u32,
    /// Silence that was played because nothing had been written.
    pub played: u32,
}

/// Counts since the device was made; they go on when it is reopened. All in samples of one channel at the rate of the
/// side where they fell, unless said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AudioCounters {
    /// Samples read that were captured sound.
    pub captured: u64,
    /// Samples written that were taken.
    pub played: u64,
    /// Samples of silence read because the card had none yet.
    pub capture_underrun: u64,
    /// Samples from the card dropped because the caller read too slowly.
    pub capture_overrun: u64,
    /// Samples of silence played because the caller had written none yet.
    pub playback_underrun: u64,
    /// Samples to play dropped because the card took them too slowly, or has failed.
    pub playback_overrun: u64,
    /// Times that the system itself told of an underrun or overrun.
    pub xruns: u64,
    /// Level of the capture ring, averaged over seconds, in milliseconds.
    pub capture_level_ms: f32,
    /// Level of the playback ring, averaged over seconds, in milliseconds.
    pub playback_level_ms: f32,
    /// How the capture's rate is nudged against clock drift, in parts per million.
    pub capture_ppm: f32,
    /// The same for playback.
    pub playback_ppm: f32,
}

/// Into or out of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Microphone.
    Capture,
    /// Loudspeaker.
    Playback,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Capture => "capture",
            Self::Playback => "playback",
        })
    }
}

/// Which device to open for a direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceChoice {
    /// None: reads give silence, writes go nowhere.
    Off,
    /// The system's default.
    #[default]
    Default,
    /// By its id or name as `list_devices` gives them, or by a part of the name.
    Named(String),
}

/// Why there is no sound. One line; the system's own words are in `source()`.
#[derive(Debug)]
#[non_exhaustive]
pub enum DeviceError {
    /// The machine has no sound device for this direction.
    #[cfg(feature = "device")]
    NoDevice {
        /// What it was wanted for.
        direction: Direction,
        /// What the system said, if anything.
        source: Option<cpal::Error>,
    },
    /// No device has this name.
    NotFound {
        /// The name asked for.
        name: String,
        /// What it was wanted for.
        direction: Direction,
    },
    /// The device has no format that is read here.
    Unsupported {
        /// The device.
        name: String,
        /// What it was wanted for.
        direction: Direction,
    },
    /// The device is there but can't be opened or started.
    #[cfg(feature = "device")]
    Open {
        /// The device.
        name: String,
        /// What the system said.
        source: cpal::Error,
    },
    /// The device was unplugged or stopped working.
    #[cfg(feature = "device")]
    Lost {
        /// The kind of error that the system reported.
        source: cpal::Error,
    },
    /// The call's rate and the device's can't be brought together.
    Rate(ResampleError),
    /// A WAV file that stands for a device can't be read or written.
    Wav(WavError),
}

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            #[cfg(feature = "device")]
            Self::NoDevice { direction, .. } => {
                write!(f, "no sound device: use --null to run without {direction}, or WAV files")
            }
            Self::NotFound { name, direction } => write!(f, "no {direction} device is named {name:?}"),
            Self::Unsupported { name, direction } => write!(f, "{name:?} has no {direction} format known here"),
            #[cfg(feature = "device")]
            Self::Open { name, .. } => write!(f, "cannot open the sound device {name:?}"),
            #[cfg(feature = "device")]
            Self::Lost { .. } => f.write_str("the sound device is lost"),
            Self::Rate(_) => f.write_str("the sound device's rate does not fit the call"),
            Self::Wav(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for DeviceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            #[cfg(feature = "device")]
            Self::NoDevice { source, .. } => source.as_ref().map(|e| e as _),
            #[cfg(feature = "device")]
            Self::Open { source, .. } | Self::Lost { source } => Some(source),
            Self::Rate(e) => Some(e),
            Self::Wav(e) => std::error::Error::source(e),
            Self::NotFound { .. } | Self::Unsupported { .. } => None,
        }
    }
}

impl From<WavError> for DeviceError {
    fn from(e: WavError) -> Self {
        Self::Wav(e)
    }
}

impl From<ResampleError> for DeviceError {
    fn from(e: ResampleError) -> Self {
        Self::Rate(e)
    }
}

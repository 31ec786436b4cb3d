//! Audio input and output for a call: a sound card, WAV files, or nothing, all through one trait, [`AudioIo`].
//!
//! | use | where |
//! |---|---|
//! | `CardIo` (cargo feature `device`) | a microphone and a loudspeaker |
//! | [`FileIo`] | WAV files, tests, and calls without sound |
//! | [`Split`] | capture and playback are two devices |
//! | [`LoopTest`] | the latency of a device is to be measured |
//! | your own [`AudioIo`] | sound comes from elsewhere; three methods are enough, as the trait's example shows |
//! | no device at all | a server ticks its [`Call`](crate::session::Call)s itself, and mixes or forwards their sound |
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
//! The caller reads and writes 16-bit samples, mono or interleaved stereo, at its own rate and pace, usually one frame each tick.
//! Nothing blocks but [`AudioIo::close`] and [`AudioIo::reopen`]. `CardIo` adapts this to the card's pace, rate, channels and sample
//! format: it has one lock-free ring in each direction and resamples on the caller's side, and slowly adjusts the ratio so that
//! the ring stays near its target level however the two clocks drift. [`FileIo`] runs as fast as it is called.
//!
//! **Delay** of a card, in each direction: its own period, the ring's target level (`target_ms`) and the resampler's delay.
//! [`AudioIo::latency`] returns their sum.
//!
//! **Limits.** A caller's sound has one or two channels. `FileIo` reads what [`wav`](crate::wav) reads. Cards are opened by cpal: on
//! Linux that is ALSA.

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

/// Sound in and out at one rate. Nothing but [`close`](Self::close) and [`reopen`](Self::reopen) may block, and after construction
/// nothing may allocate. The provided methods are those of a device that counts nothing and can't fail.
///
/// A device of your own, whose microphone picks up its loudspeaker:
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
    /// Returns the rate, in Hz, of the sound that the caller reads and writes.
    fn sample_rate_hz(&self) -> u32;

    /// Returns the channels, 1 or 2, of the sound that the caller reads and writes; two are interleaved. By default it is mono.
    fn channels(&self) -> u8 {
        1
    }

    /// Fills `pcm` with captured sound and returns how many samples were captured, all channels together. The rest of `pcm` is
    /// silence.
    fn read(&mut self, pcm: &mut [i16]) -> usize;

    /// Plays `pcm` and returns how many samples were accepted, all channels together. The others are dropped and counted.
    fn write(&mut self, pcm: &[i16]) -> usize;

    /// Returns the latency of the device in each direction.
    fn latency(&self) -> Latency {
        Latency::default()
    }

    /// The sound that was lost since the last call of this.
    fn gaps(&mut self) -> Gaps {
        Gaps::default()
    }

    /// Returns the counts so far of samples captured, played, missed and dropped.
    fn counters(&self) -> AudioCounters {
        AudioCounters::default()
    }

    /// Returns why sound has stopped, if it has: the device is lost, or its file can't be read or written any further. Until
    /// [`AudioIo::reopen`] reads give silence and writes are dropped.
    fn failure(&self) -> Option<&DeviceError> {
        None
    }

    /// Ends playback, and returns when everything that was written has reached the loudspeaker or the file. Write nothing after
    /// it. Blocks.
    ///
    /// # Errors
    /// A [`DeviceError`] that says why not all of it did, be it now or before.
    fn close(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }

    /// Returns whether a later [`AudioIo::reopen`] of a device that has failed may succeed: that of a card that is plugged in
    /// again, but not that of a file that breaks off.
    fn may_come_back(&self) -> bool {
        true
    }

    /// Opens the device again, lost or not. Blocks and allocates.
    ///
    /// # Errors
    /// A [`DeviceError`] that says why it can't be opened; the device then stays failed.
    fn reopen(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }
}

/// The sound that a device has lost since the last call of [`AudioIo::gaps`], in samples of one channel at the caller's rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Samples that were captured, and dropped before they were read.
    pub captured: u32,
    /// Samples of silence that were played because nothing had been written.
    pub played: u32,
}

/// Counts since the device was made, which continue when it is reopened. Unless their names say otherwise they are samples of one
/// channel, at the caller's rate or, for samples that a card missed or dropped, at the card's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AudioCounters {
    /// Samples of captured sound that were read.
    pub captured: u64,
    /// Samples that were written and accepted.
    pub played: u64,
    /// Samples of silence that were read because the card had no sound yet.
    pub capture_underrun: u64,
    /// Captured samples that were dropped because the caller read too slowly.
    pub capture_overrun: u64,
    /// Samples of silence that were played because the caller had written nothing yet.
    pub playback_underrun: u64,
    /// Written samples that were dropped because the card played too slowly, or has failed.
    pub playback_overrun: u64,
    /// The number of underruns and overruns that the system itself reported.
    pub xruns: u64,
    /// The level of the capture ring in ms, averaged over seconds.
    pub capture_level_ms: f32,
    /// The level of the playback ring in ms, averaged over seconds.
    pub playback_level_ms: f32,
    /// The current adjustment of the capture's rate against clock drift, in parts per million.
    pub capture_ppm: f32,
    /// The current adjustment of the playback's rate against clock drift, in parts per million.
    pub playback_ppm: f32,
}

/// The direction of sound through a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The direction into the program, from a microphone.
    Capture,
    /// The direction out of the program, to a loudspeaker.
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

/// The device to open for a direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceChoice {
    /// No device: reads give silence, and writes are dropped.
    Off,
    /// The system's default device.
    #[default]
    Default,
    /// The device with this id or name, as `list_devices` returns them, or with this part of a name.
    Named(String),
}

/// The reason why a device has no sound. Its `Display` is one line; the system's own words are in `source()`.
#[derive(Debug)]
#[non_exhaustive]
pub enum DeviceError {
    /// The machine has no sound device for this direction.
    #[cfg(feature = "device")]
    NoDevice {
        /// The direction for which the device was wanted.
        direction: Direction,
        /// The system's error, if it gave one.
        source: Option<cpal::Error>,
    },
    /// No device has this name.
    NotFound {
        /// The name asked for.
        name: String,
        /// The direction for which the device was wanted.
        direction: Direction,
    },
    /// The device has no format that is read here.
    Unsupported {
        /// The device.
        name: String,
        /// The direction for which the device was wanted.
        direction: Direction,
    },
    /// The device is there but can't be opened or started.
    #[cfg(feature = "device")]
    Open {
        /// The device.
        name: String,
        /// The system's error.
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
    /// A WAV file that takes the place of a device can't be read or written.
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
